// SPDX-License-Identifier: GPL-2.0-only
//! Faults of DRBD 9 that the rounds meet, and what an administrator does about each.
//!
//! docs/simulator-findings.md tells of all of them. Each is known by what DRBD has logged, or by what the disks hold; what is
//! not known is a failure.

use cluster::eventually;
use cluster::versions::{Candidates, SECTOR};

use crate::{NODES, Test};

/// What DRBD says before it gives a connection up over a late state of its peer.
const GIVEN_UP: &str = "Can not start OV/resync since it is already active";

/// What DRBD says when it reconciles with a node of the same generation.
const RECONCILED: [&str; 2] = ["to reconcile equal-UUID peers", "Reconciliation resync because"];

/// What a log says of a peer since it met it last.
fn since_handshake(log: &str, peer: &str) -> String {
    let of_peer: Vec<&str> =
        log.lines().filter(|line| line.contains(&format!(" {peer}: "))).collect();
    let met = of_peer.iter().rposition(|line| line.contains("drbd_sync_handshake:"));
    of_peer[met.unwrap_or(of_peer.len())..].join("\n")
}

/// Did a node take over the generation of a write that it was not sent, as it had just connected? `logs` are those of all
/// nodes. A Primary has named the node as one that misses the generation, and no resync has followed.
fn missed_early_write(index: usize, logs: &[String]) -> bool {
    let own: Vec<&str> = logs[index].lines().collect();
    let Some(at) = own.iter().rposition(|line| line.contains("received new current UUID: ")) else {
        return false;
    };
    let uuid = own[at].split("UUID: ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or("");
    let is_copied = own[at..].iter().any(|line| line.contains("Resync done"));
    let named = |line: &str| {
        let weak = line.split("weak: ").nth(1).map(str::trim);
        let weak = weak.and_then(|weak| u64::from_str_radix(weak, 16).ok()).unwrap_or(0);
        line.contains(&format!(": new current UUID: {uuid} ")) && weak >> index & 1 == 1
    };
    !is_copied && logs.iter().any(|log| log.lines().any(named))
}

/// Did a node and a peer meet with bits between them, and agree that there is nothing to copy?
fn forgot_bits(log: &str) -> bool {
    let mut bits = 0;
    log.lines().any(|line| {
        if line.contains("drbd_sync_handshake:") {
            bits = 0;
        }
        let told = line.split_once(" bits:").and_then(|(_, rest)| rest.split(' ').next());
        bits += told.and_then(|told| told.parse::<u64>().ok()).unwrap_or(0);
        bits > 0 && line.contains("uuid_compare()=no-sync by rule=")
    })
}

impl Test {
    /// What a node has logged since the round began.
    fn log(&self, index: usize) -> String {
        let log = self.mesh.cluster.umc_ok(&["dmesg", self.mesh.node(index)]);
        let time = |line: &&str| {
            let time = line.strip_prefix('[').and_then(|rest| rest.split(']').next());
            time.and_then(|time| time.trim().parse::<f64>().ok())
                .is_some_and(|time| time >= self.since)
        };
        log.lines().filter(time).collect::<Vec<_>>().join("\n")
    }

    /// Connects again what DRBD has given up for the one reason that is known; true if there was something.
    pub(crate) fn connects_again(&self, index: usize) -> bool {
        let node = self.mesh.node(index);
        let status = self.mesh.status(index);
        let peers = status["connections"].as_array().map_or(&[][..], Vec::as_slice);
        let Some(alone) = peers.iter().find(|peer| peer["connection-state"] == "StandAlone") else {
            return false;
        };
        let log = self.log(index);
        let is_known = log.contains(GIVEN_UP) && !log.contains("Split-Brain detected");
        assert!(is_known, "{node} is StandAlone, and not for what is known");
        let peer = format!("r0:{}", alone["name"].as_str().unwrap_or_default());
        self.mesh.cluster.adm(node, &["connect", &peer]);
        println!("{node} had given up {peer}");
        true
    }

    /// Copies to a node that a peer has reconciled with, which knows nothing of it, and gets no writes any more; true if
    /// there was one. `stuck` are the pairs that looked so the last time.
    pub(crate) fn reconciles_again(&self, index: usize, stuck: &mut Vec<(usize, usize)>) -> bool {
        let status = self.mesh.status(index);
        let peers = status["connections"].as_array().cloned().unwrap_or_default();
        let mut is_done = false;
        for peer in peers {
            let id = peer["peer-node-id"].as_u64().unwrap_or(0) as usize;
            let state = peer["peer_devices"][0]["replication-state"].as_str().unwrap_or_default();
            let target = match state {
                "WFBitMapS" => id,
                "WFBitMapT" => index,
                _ => {
                    stuck.retain(|pair| *pair != (index, id));
                    continue;
                }
            };
            let logs = [index, id].map(|at| self.log(at));
            let [own, other] = [(&logs[0], id), (&logs[1], index)]
                .map(|(log, peer)| since_handshake(log, self.mesh.node(peer)));
            let has_decided = |log: &str| RECONCILED.iter().any(|words| log.contains(words));
            if !has_decided(&own) || has_decided(&other) || other.is_empty() {
                continue;
            }
            // A bitmap may be on its way.
            if !stuck.contains(&(index, id)) {
                stuck.push((index, id));
                continue;
            }
            let (source, node) = (self.mesh.node(index + id - target), self.mesh.node(target));
            println!("{node} has been reconciled with, and does not know: it copies from {source}");
            let connection = format!("r0:{source}");
            self.mesh.cluster.adm(node, &["disconnect", &connection]);
            self.mesh.cluster.adm(node, &["connect", &connection]);
            let from = format!("--sync-from-peer-node-id={}", index + id - target);
            eventually(&format!("{node} copies from {source}"), || {
                self.mesh.cluster.on(node, &["drbdadm", "invalidate", &from, "r0"]).status.success()
            });
            stuck.clear();
            is_done = true;
        }
        is_done
    }

    /// Finds a replica with what a program has read, or would read next, and invalidates those that differ from it: in
    /// sectors of writes that failed for want of quorum, for want of a write that came as they connected, or where DRBD
    /// knew of a difference and forgot it.
    pub(crate) fn copy_over_odd(&mut self, doubtful: &[Candidates]) {
        let images: Vec<Vec<u8>> = (0..NODES).map(|index| self.mesh.image(index, 0)).collect();
        let sector = |index: usize, number: usize| &images[index][number * SECTOR..][..SECTOR];
        let is_read =
            |index: &usize| self.regions.iter().all(|region| region.fits(&images[*index]));
        let kept =
            (0..NODES).find(is_read).expect("a replica holds what was read, and written since");
        for index in 0..NODES {
            let differs = |number: &usize| sector(index, *number) != sector(kept, *number);
            let odd: Vec<usize> = (0..self.size / SECTOR).filter(differs).collect();
            if odd.is_empty() {
                continue;
            }
            let is_failed = |number: usize, index: usize| {
                let held = sector(index, number);
                doubtful.iter().any(|region| region.allow(number as u64, held))
            };
            let have_failed =
                odd.iter().all(|number| is_failed(*number, index) && is_failed(*number, kept));
            let logs: Vec<String> = (0..NODES).map(|at| self.log(at)).collect();
            let (node, source) = (self.mesh.node(index), self.mesh.node(kept));
            let reason = match have_failed {
                true => "of failed writes",
                false if missed_early_write(index, &logs) => "of a write that came as it connected",
                false if [index, kept].iter().any(|at| forgot_bits(&logs[*at])) => {
                    "of forgotten bits"
                }
                false => panic!("{node} differs from {source} in {odd:?}, where no write failed"),
            };
            println!("{node} differs in {} sectors {reason}, and is invalidated", odd.len());
            let from = format!("--sync-from-peer-node-id={kept}");
            self.mesh.cluster.adm(node, &["invalidate", &from, "r0"]);
            self.copies += 1;
            self.await_up_to_date();
        }
    }
}
