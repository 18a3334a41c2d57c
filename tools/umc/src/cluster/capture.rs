// SPDX-License-Identifier: GPL-2.0-only
//! `umc cluster capture`: what arrived last at the node that it runs on, from each other node.
//!
//! For each line on its standard input it prints a line of JSON, and it ends with its input. It keeps a few frames of each
//! sender, and nothing of what is in them but their heads.

use std::collections::{BTreeMap, VecDeque};
use std::io::{Read as _, Write as _};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd};

use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::time::TimeValLike as _;
use nix::time::ClockId;
use serde::{Deserialize, Serialize};

use super::dissect;
use super::packet;

/// So many frames of each sender are kept.
const FRAMES_MAX: usize = 60;
/// So many are taken at a time before somebody who asks is answered.
const AT_ONCE_MAX: usize = 256;

/// A frame that arrived.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Arrived {
    /// Microseconds since 1970.
    pub at_us: u64,
    /// Who sent it.
    pub from: Ipv4Addr,
    /// What it is, in a line.
    pub what: String,
    /// Its length on the wire.
    pub len: usize,
}

/// Runs until its input ends.
///
/// # Errors
/// There is no interface, or the host has no packet sockets.
pub fn run() -> Result<()> {
    let socket = packet::open("eth0")
        .context("Cannot open a packet socket on eth0: it takes CAP_NET_RAW")?;
    let mut last: BTreeMap<Ipv4Addr, VecDeque<Arrived>> = BTreeMap::new();
    let mut frame = vec![0; packet::FRAME_MAX];
    let stdin = std::io::stdin();
    loop {
        let mut fds = [stdin.as_fd(), socket.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        let _ = poll(&mut fds, PollTimeout::NONE);
        let [is_asked, has_frames] = fds.map(|fd| fd.any().unwrap_or(true));
        if has_frames {
            for _ in 0..AT_ONCE_MAX {
                let Some(len) = packet::receive(socket.as_raw_fd(), &mut frame) else { break };
                let Some((from, what)) =
                    dissect::frame(&frame[packet::HEADER..len.max(packet::HEADER)])
                else {
                    continue;
                };
                let now = ClockId::CLOCK_REALTIME.now().map_or(0, |now| now.num_microseconds());
                let at_us = now.cast_unsigned();
                let of_it = last.entry(from).or_default();
                if of_it.len() == FRAMES_MAX {
                    of_it.pop_front();
                }
                of_it.push_back(Arrived { at_us, from, what, len: len - packet::HEADER });
            }
        }
        if is_asked {
            let mut words = [0; 64];
            if stdin.lock().read(&mut words).unwrap_or(0) == 0 {
                return Ok(());
            }
            let all: Vec<&Arrived> = last.values().flatten().collect();
            let text = serde_json::to_string(&all).context("frames as JSON")?;
            let mut out = std::io::stdout().lock();
            writeln!(out, "{text}").and_then(|()| out.flush()).context("Cannot answer")?;
        }
    }
}
