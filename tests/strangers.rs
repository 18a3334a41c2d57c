// SPDX-License-Identifier: GPL-2.0-only
//! Another user on the machine can neither control a node nor open its disks, and records that are none are refused.
//!
//! Injected on both services of the control socket: truncated, oversized, wrong and random records (fixed seed).
//! Checked: each gets an error or the end of its connection, and the node serves others as before.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use cluster::{Cluster, Layout, Random, Start, text};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, sendmsg, setsockopt,
    socket, sockopt,
};
use nix::sys::time::TimeVal;

fn nobody(script: &str) -> Output {
    let args = ["--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", script];
    Command::new("setpriv").args(args).run().expect("setpriv runs")
}

#[test]
fn another_user() {
    let cluster = Cluster::in_sync("stranger", Layout { disk_mib: 16, ..Layout::default() });
    let node = cluster.a();
    let root = cluster.root(node);
    // What is refused is refused for who asks: root can do all of it.
    assert!(std::fs::read(cluster.device(node, 0)).is_ok());
    assert!(nobody("true").status.success());
    for script in [
        format!("ls {}", root.display()),
        format!("cat {}/proc/drbd", root.display()),
        format!("head -c 512 {}", cluster.device(node, 0).display()),
        format!("head -c 512 {}/dev/low0", root.display()),
        format!("echo 1 > {}/proc/sys/kernel/hung_task_timeout_secs", root.display()),
    ] {
        let output = nobody(&script);
        assert!(!output.status.success(), "{script}: {}", text(&output));
        assert!(text(&output).contains("Permission denied"), "{script}: {}", text(&output));
    }
    let control = root.with_file_name("control");
    let python = format!(
        "python3 -c 'import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect(\"{}\")'",
        control.display()
    );
    let output = nobody(&python);
    assert!(text(&output).contains("PermissionError"), "{}", text(&output));
    // A mode can be changed: who asks is looked at once more.
    Command::new("chmod").arg("0777").arg(&control).run_shown().expect("chmod runs");
    let ask = "s.send(b\"UMCctl\\0\\0\"); s.send(b\"{\\\"op\\\":\\\"lsmod\\\"}\"); print(len(s.recv(100)))";
    let output = nobody(&format!("{}; {ask}'", python.trim_end_matches('\'')));
    let shown = text(&output);
    assert!(
        shown.trim_end().ends_with("\n0")
            || shown.trim_end() == "0"
            || shown.contains("ConnectionResetError")
            || shown.contains("BrokenPipeError"),
        "a stranger was answered: {shown}"
    );
    assert!(cluster.proc_drbd(node).contains("UpToDate/UpToDate"));
}

fn dial(control: &Path, hello: &[u8]) -> OwnedFd {
    let fd =
        socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
    connect(fd.as_raw_fd(), &UnixAddr::new(control).unwrap()).unwrap();
    setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::new(10, 0)).unwrap();
    let _ = post(&fd, hello);
    fd
}

fn post(fd: &OwnedFd, record: &[u8]) -> nix::Result<usize> {
    sendmsg::<()>(fd.as_raw_fd(), &[IoSlice::new(record)], &[], MsgFlags::MSG_NOSIGNAL, None)
}

/// The next record; empty at the end of the connection.
fn answer(fd: &OwnedFd) -> Vec<u8> {
    let mut buf = vec![0; 1 << 20];
    match recv(fd.as_raw_fd(), &mut buf, MsgFlags::empty()) {
        Ok(len) => buf[..len].to_vec(),
        Err(nix::Error::EAGAIN) => panic!("no answer in {:?}", Duration::from_secs(10)),
        Err(error) => panic!("no answer: {}", io::Error::from(error)),
    }
}

#[test]
fn records_that_are_none() {
    let cluster = Cluster::in_sync("records", Layout { disk_mib: 16, ..Layout::default() });
    let control = cluster.root(cluster.a()).with_file_name("control");
    let before = cluster.proc_drbd(cluster.a());
    let mut random = Random::new("records_that_are_none");
    let mut garbage = |len: u64| {
        let mut record = vec![0; (1 + random.below(len)) as usize];
        random.fill(&mut record);
        record
    };

    // No service.
    for hello in [b"hello".to_vec(), garbage(64)] {
        assert!(answer(&dial(&control, &hello)).is_empty(), "a stranger's greeting was answered");
    }
    // JSON: an error each, and the connection stays usable.
    let json = dial(&control, &umc_protocol::HELLO_CONTROL);
    let mut wrong: Vec<Vec<u8>> = [
        "{",
        "[]",
        "{\"op\":\"explode\"}",
        "{\"op\":\"stop\",\"x\":1}",
        "{\"op\":\"rmmod\"}",
        "null",
        "\u{0}",
    ]
    .iter()
    .map(|record| record.as_bytes().to_vec())
    .collect();
    wrong.extend((0..200).map(|_| garbage(300)));
    wrong.push(vec![b'['; 60_000]);
    for record in &wrong {
        post(&json, record).unwrap();
        let reply = String::from_utf8(answer(&json)).unwrap();
        assert!(reply.starts_with("{\"error\":"), "{record:?} was answered with {reply}");
    }
    post(&json, br#"{"op":"lsmod"}"#).unwrap();
    assert!(String::from_utf8(answer(&json)).unwrap().contains("drbd"));

    // Netlink: what is shorter than its header says, and a whole message of an unknown family, is answered with
    // NLMSG_ERROR.
    let genl = dial(&control, &umc_protocol::HELLO_GENL);
    for _ in 0..200 {
        let mut record = garbage(300);
        // Never a length that holds: it is longer than the record.
        let len = (record.len() as u32 + 1).to_ne_bytes();
        record.iter_mut().zip(len).for_each(|(to, from)| *to = from);
        // Joining and leaving a group is not answered.
        record.iter_mut().skip(4).take(2).for_each(|byte| *byte |= 0x80);
        post(&genl, &record).unwrap();
        let reply = answer(&genl);
        assert_eq!(u16::from_ne_bytes([reply[4], reply[5]]), 2, "not NLMSG_ERROR: {reply:?}");
        assert_eq!(reply[16..20], (-libc::EINVAL).to_ne_bytes(), "{reply:?}");
    }
    for round in 0..200u32 {
        let mut record = garbage(300);
        record.resize(record.len().max(20), 0);
        let len = record.len() as u32;
        record[..4].copy_from_slice(&len.to_ne_bytes());
        // A family that nobody has; a request that wants an answer.
        record[4..6].copy_from_slice(&(0x7000 + round as u16).to_ne_bytes());
        record[6..8].copy_from_slice(&5u16.to_ne_bytes());
        record[8..12].copy_from_slice(&round.to_ne_bytes());
        post(&genl, &record).unwrap();
        let reply = answer(&genl);
        assert_eq!(u16::from_ne_bytes([reply[4], reply[5]]), 2, "not NLMSG_ERROR: {reply:?}");
        assert_eq!(reply[8..12], round.to_ne_bytes(), "an answer to something else: {reply:?}");
        assert!(i32::from_ne_bytes([reply[16], reply[17], reply[18], reply[19]]) < 0, "{reply:?}");
    }
    // Nothing else happened.
    let states = |text: &str| text.split("ns:").next().unwrap_or_default().to_owned();
    assert_eq!(states(&cluster.proc_drbd(cluster.a())), states(&before));
    cluster.adm(cluster.a(), &["secondary", "r0"]);
    cluster.down();
}
