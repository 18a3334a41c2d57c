// SPDX-License-Identifier: GPL-2.0-only
//! What a frame is, in a line: its protocol, and of DRBD's connections the packets that begin in it.

use std::net::Ipv4Addr;

/// `<linux/if_ether.h>`.
const ARP: u16 = 0x0806;
const IPV4: u16 = 0x0800;
const ETHERNET: usize = 14;
const TCP: u8 = 6;
const ICMP: u8 = 1;
/// So many packets of DRBD in one frame are named.
const PACKETS_MAX: usize = 4;

/// DRBD's packets, by number.
const NAMES: [&str; 0x55] = [
    "Data",
    "DataReply",
    "RsDataReply",
    "Barrier",
    "Bitmap",
    "BecomeSyncTarget",
    "BecomeSyncSource",
    "UnplugRemote",
    "DataRequest",
    "RsDataRequest",
    "SyncParam",
    "Protocol",
    "Uuids",
    "Sizes",
    "State",
    "SyncUuid",
    "AuthChallenge",
    "AuthResponse",
    "StateChgReq",
    "Ping",
    "PingAck",
    "RecvAck",
    "WriteAck",
    "RsWriteAck",
    "Superseded",
    "NegAck",
    "NegDReply",
    "NegRsDReply",
    "BarrierAck",
    "StateChgReply",
    "OvRequest",
    "OvReply",
    "OvResult",
    "CsumRsRequest",
    "RsIsInSync",
    "SyncParam89",
    "CompressedBitmap",
    "",
    "",
    "DelayProbe",
    "OutOfSync",
    "RsCancel",
    "ConnStChgReq",
    "ConnStChgReply",
    "RetryWrite",
    "ProtocolUpdate",
    "TwopcPrepare",
    "TwopcAbort",
    "Dagtag",
    "Trim",
    "RsThinReq",
    "RsDeallocated",
    "WSame",
    "TwopcPrepRsz",
    "Zeroes",
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "PeerAck",
    "PeersInSync",
    "Uuids110",
    "PeerDagtag",
    "CurrentUuid",
    "TwopcYes",
    "TwopcNo",
    "TwopcCommit",
    "TwopcRetry",
    "ConfirmStable",
    "RsCancelAhead",
    "Disconnect",
    "RsDagtagReq",
    "RsCsumDagtagReq",
    "RsThinDagtagReq",
    "OvDagtagReq",
    "OvDagtagReply",
    "WriteAckInSync",
    "RsNegAck",
    "OvResultId",
    "RsDeallocatedId",
];

/// Who sent a frame of Ethernet, and what it is. Nothing for what belongs to no node's address.
pub fn frame(bytes: &[u8]) -> Option<(Ipv4Addr, String)> {
    let body = bytes.get(ETHERNET..)?;
    match word(bytes, 12)? {
        ARP => {
            let [from, of] = [14, 24].map(|at| address(body, at));
            let what = if word(body, 6)? == 1 { "asks who has" } else { "answers to" };
            Some((from?, format!("ARP {what} {}", of?)))
        }
        IPV4 => ipv4(body),
        _ => None,
    }
}

fn ipv4(packet: &[u8]) -> Option<(Ipv4Addr, String)> {
    let head = usize::from(packet.first()? & 15) * 4;
    let (protocol, from) = (*packet.get(9)?, address(packet, 12)?);
    // What stands behind the packet is padding. Of a large one that the sender leaves to be cut the length may be 0.
    let end = match usize::from(word(packet, 2)?) {
        0 => packet.len(),
        len => len.min(packet.len()),
    };
    let inside = packet.get(head..end)?;
    let what = match protocol {
        TCP => tcp(inside)?,
        ICMP => format!("ICMP type {}", inside.first()?),
        other => format!("IP protocol {other}"),
    };
    Some((from, what))
}

fn tcp(segment: &[u8]) -> Option<String> {
    let (from, to) = (word(segment, 0)?, word(segment, 2)?);
    let head = usize::from(segment.get(12)? >> 4) * 4;
    let bits = *segment.get(13)?;
    let flags = [(2, "SYN"), (1, "FIN"), (4, "RST")];
    let flags: Vec<_> =
        flags.into_iter().filter(|(bit, _)| bits & bit != 0).map(|of| of.1).collect();
    let data = segment.get(head..).unwrap_or_default();
    let mut text = format!("TCP {from} > {to}");
    if !flags.is_empty() {
        text += &format!(" {}", flags.join(" "));
    }
    match (data.len(), drbd(data).as_slice()) {
        (0, _) if flags.is_empty() => text += " ack",
        (0, _) => {}
        (len, []) => text += &format!(" {len} bytes"),
        (len, packets) => text += &format!(" {len} bytes: {}", packets.join(", ")),
    }
    Some(text)
}

/// The packets of DRBD that data holds, if one begins at its beginning.
fn drbd(data: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = data;
    while let Some((command, len)) = header(rest) {
        if found.len() == PACKETS_MAX {
            found.push("…".into());
            break;
        }
        found.push(name(command));
        rest = rest.get(len..).unwrap_or_default();
    }
    found
}

/// The number of a packet, and how long it is with its head: of the protocols before 95, before 100, and later.
fn header(data: &[u8]) -> Option<(u16, usize)> {
    let long = |at: usize| Some(u32::from_be_bytes(data.get(at..at + 4)?.try_into().ok()?));
    if long(0)? == 0x8374_0267 {
        return Some((word(data, 4)?, 8 + usize::from(word(data, 6)?)));
    }
    if word(data, 0)? == 0x835a {
        return Some((word(data, 2)?, 8 + long(4)? as usize));
    }
    (long(0)? == 0x8620_ec20).then_some(())?;
    Some((word(data, 6)?, 16 + long(8)? as usize))
}

fn name(command: u16) -> String {
    let of_handshake = match command {
        0xfff1 => "InitialMeta",
        0xfff2 => "InitialData",
        0xfffe => "Features",
        _ => "",
    };
    let name = NAMES.get(usize::from(command)).copied().unwrap_or(of_handshake);
    if name.is_empty() { format!("packet {command:#x}") } else { name.to_owned() }
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn address(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    let four: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(four.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(data: &[u8], flags: u8) -> Vec<u8> {
        let mut bytes = vec![0; ETHERNET + 40];
        bytes[12..14].copy_from_slice(&IPV4.to_be_bytes());
        bytes[14] = 0x45;
        bytes[16..18].copy_from_slice(&(40 + data.len() as u16).to_be_bytes());
        bytes[23] = TCP;
        bytes[26..30].copy_from_slice(&[10, 77, 0, 2]);
        bytes[34..36].copy_from_slice(&7789_u16.to_be_bytes());
        bytes[36..38].copy_from_slice(&40000_u16.to_be_bytes());
        bytes[46] = 0x50;
        bytes[47] = flags;
        bytes.extend_from_slice(data);
        bytes
    }

    #[test]
    fn frames_are_told_in_a_line() {
        let from = Ipv4Addr::new(10, 77, 0, 2);
        let ping = [0x83, 0x74, 0x02, 0x67, 0, 0x13, 0, 0];
        let two =
            [&ping[..], &[0x86, 0x20, 0xec, 0x20, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0]].concat();
        for (data, flags, want) in [
            (&[][..], 0x02, "TCP 7789 > 40000 SYN"),
            (&[], 0x10, "TCP 7789 > 40000 ack"),
            (b"hello", 0x18, "TCP 7789 > 40000 5 bytes"),
            (&two, 0x18, "TCP 7789 > 40000 24 bytes: Ping, Data"),
            (&[0x83, 0x5a, 0xff, 0xfe, 0, 0, 0, 0], 0x18, "TCP 7789 > 40000 8 bytes: Features"),
        ] {
            assert_eq!(frame(&segment(data, flags)), Some((from, want.to_owned())));
        }
        // Padding is none of it, and what is cut off is no panic.
        let mut padded = segment(&[], 0x10);
        padded.extend_from_slice(&[0; 6]);
        assert_eq!(frame(&padded).unwrap().1, "TCP 7789 > 40000 ack");
        let whole = segment(&two, 0x18);
        (0..whole.len()).for_each(|len| drop(frame(&whole[..len])));
        assert_eq!(NAMES[0x54], "RsDeallocatedId");
        assert_eq!(NAMES[0x40], "PeerAck");
        assert_eq!(NAMES[0x27], "DelayProbe");
    }
}
