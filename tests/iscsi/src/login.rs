// SPDX-License-Identifier: GPL-2.0-only
//! The way into a session: who one is, proofs of it, and what both sides can.

use std::collections::HashMap;
use std::io::{Error, Result, Write};
use std::net::TcpStream;

use md5::{Digest, Md5};

use crate::pdu::{Digests, Pdu, op, wrong};

/// Stages of a login.
const SECURITY: u8 = 0;
const OPERATIONAL: u8 = 1;
const FULL_FEATURE: u8 = 3;
/// In the second byte: a step to the next stage.
const TRANSIT: u8 = 0x80;
/// The identifier of one challenge of ours, and the challenge.
const OUR_ID: u8 = 42;
const OUR_CHALLENGE: [u8; 16] = [0x5a; 16];

/// A name and the secret that proves it.
#[derive(Clone, Debug)]
pub struct Chap {
    /// Whose.
    pub name: String,
    /// Its secret, and with `back` that of the target, which has to prove itself then.
    pub secret: String,
    /// The target's name and secret.
    pub back: Option<(String, String)>,
}

/// Who connects, and what it can.
#[derive(Clone, Debug)]
pub struct Initiator {
    /// Its name.
    pub name: String,
    /// Tells apart sessions of one name.
    pub port: u32,
    /// Checksums that it asks for.
    pub digests: Digests,
    /// Whether data may come along with a command.
    pub immediate: bool,
    /// The most connections of a session.
    pub connections: u16,
    /// How it proves itself.
    pub chap: Option<Chap>,
}

impl Default for Initiator {
    fn default() -> Initiator {
        Initiator {
            name: "iqn.2026-11.org.test:initiator".to_owned(),
            port: 1,
            digests: Digests::default(),
            immediate: true,
            connections: 1,
            chap: None,
        }
    }
}

/// Which connection of which session a login is for.
#[derive(Clone, Copy, Default)]
pub(crate) struct Place {
    /// The target's name of the session; 0 for a new one.
    pub session: u16,
    pub connection: u16,
    /// The number of its next command.
    pub command: u32,
}

/// What came of a login.
pub(crate) struct Agreed {
    /// The target's name of the session.
    pub session: u16,
    pub digests: Digests,
    /// The most data of a unit, and of a command without being asked for; 0: none come along.
    pub segment: usize,
    pub immediate: usize,
    /// Numbers of the next command, and of the target's next status.
    pub command: u32,
    pub status: u32,
}

/// A login that is under way.
struct Login<'a> {
    stream: &'a mut TcpStream,
    initiator: &'a Initiator,
    place: Place,
    session: u16,
    status: u32,
    command: u32,
    max: u32,
}

type Keys = HashMap<String, String>;

impl Login<'_> {
    /// Says something in a stage, with a step to the next where there is one; the answer.
    fn say(&mut self, stage: u8, next: Option<u8>, keys: &[(&str, String)]) -> Result<Keys> {
        let flags = stage << 2 | next.map_or(0, |next| TRANSIT | next);
        let mut unit = Pdu::new(op::LOGIN | op::IMMEDIATE, flags, 1);
        // Of the kind that is told apart by random numbers.
        unit.header[8] = 0x80;
        unit.header[10..14].copy_from_slice(&self.initiator.port.to_be_bytes());
        unit.header[14..16].copy_from_slice(&self.place.session.to_be_bytes());
        unit.header[20..22].copy_from_slice(&self.place.connection.to_be_bytes());
        unit = unit.with(24, self.command).with(28, self.status);
        for (key, value) in keys {
            unit.data.extend(format!("{key}={value}\0").bytes());
        }
        self.stream.write_all(&unit.encode(Digests::default()))?;
        let answer = Pdu::read(self.stream, Digests::default())?;
        if answer.opcode() != op::LOGIN_RESPONSE {
            return Err(wrong(&format!("unit {:#x} in a login", answer.opcode())));
        }
        let (class, detail) = (answer.header[36], answer.header[37]);
        if class != 0 {
            return Err(Error::other(format!(
                "the login was refused with {class:02x}{detail:02x}"
            )));
        }
        self.status = answer.number(24).wrapping_add(1);
        self.session = u16::from_be_bytes([answer.header[14], answer.header[15]]);
        self.command = answer.number(28);
        self.max = answer.number(32);
        let text = String::from_utf8_lossy(&answer.data);
        let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
        let keys: Keys = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        if next.is_some_and(|next| answer.header[1] & 0x83 != TRANSIT | next) {
            return Err(Error::other(format!("the target stays in stage {stage}: {keys:?}")));
        }
        Ok(keys)
    }

    fn prove(&mut self, names: &[(&str, String)], chap: &Chap) -> Result<()> {
        let mut first = names.to_vec();
        first.push(("AuthMethod", "CHAP".to_owned()));
        self.say(SECURITY, None, &first)?;
        let asked = self.say(SECURITY, None, &[("CHAP_A", "5".to_owned())])?;
        let missing = || wrong(&format!("no challenge: {asked:?}"));
        let id = asked.get("CHAP_I").and_then(|id| id.parse().ok()).ok_or_else(missing)?;
        let challenge = asked.get("CHAP_C").and_then(|text| bytes(text)).ok_or_else(missing)?;
        let mut proof = vec![
            ("CHAP_N", chap.name.clone()),
            ("CHAP_R", hex(&answer(id, &chap.secret, &challenge))),
        ];
        if chap.back.is_some() {
            proof.push(("CHAP_I", OUR_ID.to_string()));
            proof.push(("CHAP_C", hex(&OUR_CHALLENGE)));
        }
        let told = self.say(SECURITY, Some(OPERATIONAL), &proof)?;
        if let Some((name, secret)) = &chap.back {
            let expected = answer(OUR_ID, secret, &OUR_CHALLENGE);
            let is_it = told.get("CHAP_N") == Some(name)
                && told.get("CHAP_R").and_then(|text| bytes(text)).as_deref() == Some(&expected);
            if !is_it {
                return Err(wrong(&format!("a wrong proof of itself: {told:?}")));
            }
        }
        Ok(())
    }
}

/// Logs in to a target; without one, to look at what there is.
pub(crate) fn login(
    stream: &mut TcpStream,
    initiator: &Initiator,
    target: Option<&str>,
    place: Place,
) -> Result<Agreed> {
    let mut names = vec![("InitiatorName", initiator.name.clone())];
    match target {
        Some(target) => {
            names.push(("SessionType", "Normal".to_owned()));
            names.push(("TargetName", target.to_owned()));
        }
        None => names.push(("SessionType", "Discovery".to_owned())),
    }
    let command = place.command;
    let mut login = Login { stream, initiator, place, session: 0, status: 0, command, max: 0 };
    match &initiator.chap {
        Some(chap) => login.prove(&names, chap)?,
        None => {
            let mut first = names;
            first.push(("AuthMethod", "None".to_owned()));
            login.say(SECURITY, Some(OPERATIONAL), &first)?;
        }
    }
    let digest = |wanted| if wanted { "CRC32C" } else { "None" }.to_owned();
    let mut wanted = vec![
        ("HeaderDigest", digest(initiator.digests.header)),
        ("DataDigest", digest(initiator.digests.data)),
        ("MaxRecvDataSegmentLength", "262144".to_owned()),
    ];
    if place.session == 0 {
        // Of these only the first connection speaks.
        wanted.extend([
            ("ImmediateData", if initiator.immediate { "Yes" } else { "No" }.to_owned()),
            ("InitialR2T", "Yes".to_owned()),
            ("MaxBurstLength", "262144".to_owned()),
            ("FirstBurstLength", "65536".to_owned()),
            ("MaxOutstandingR2T", "1".to_owned()),
            ("MaxConnections", initiator.connections.to_string()),
            ("ErrorRecoveryLevel", "0".to_owned()),
            ("DataPDUInOrder", "Yes".to_owned()),
            ("DataSequenceInOrder", "Yes".to_owned()),
            ("DefaultTime2Wait", "0".to_owned()),
            ("DefaultTime2Retain", "0".to_owned()),
        ]);
    }
    let told = login.say(OPERATIONAL, Some(FULL_FEATURE), &wanted)?;
    let is = |key: &str, value: &str| told.get(key).is_some_and(|told| told == value);
    let number = |key: &str, otherwise| {
        told.get(key).and_then(|value| value.parse().ok()).unwrap_or(otherwise)
    };
    let segment = number("MaxRecvDataSegmentLength", 8192);
    let immediate = segment.min(number("FirstBurstLength", 65536));
    Ok(Agreed {
        session: login.session,
        digests: Digests { header: is("HeaderDigest", "CRC32C"), data: is("DataDigest", "CRC32C") },
        segment,
        immediate: if is("ImmediateData", "Yes") { immediate } else { 0 },
        command: login.command,
        status: login.status,
    })
}

fn answer(id: u8, secret: &str, challenge: &[u8]) -> Vec<u8> {
    let mut digest = Md5::new();
    digest.update([id]);
    digest.update(secret);
    digest.update(challenge);
    digest.finalize().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    let at = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..digits.len()).step_by(2).map(at).collect()
}
