// SPDX-License-Identifier: GPL-2.0-only
//! A network of a test's own: the two nodes of a cluster and the test have an address each, and more addresses can move.

use std::fs::File;
use std::net::Ipv4Addr;

use nix::sched::{CloneFlags, setns};

use crate::{Cluster, Namespace, text};

/// Says who has an address now; a program of resource-agents.
const SEND_ARP: &str = "/usr/libexec/heartbeat/send_arp";

/// The switch with the test at it, and a network for each of two nodes, whose device is `eth0`.
pub struct Lan {
    here: Namespace,
    spaces: [Namespace; 2],
}

impl Default for Lan {
    fn default() -> Lan {
        let lan = Lan { here: Namespace::new(), spaces: [Namespace::new(), Namespace::new()] };
        lan.here.ip("link add switch type bridge");
        lan.here.ip("address add 10.78.0.100/24 dev switch");
        lan.here.ip("link set switch up");
        lan.here.ip("link set lo up");
        for (index, space) in lan.spaces.iter().enumerate() {
            let peer = format!("eth0 netns {}", space.pid());
            lan.here.ip(&format!("link add port{index} type veth peer name {peer}"));
            lan.here.ip(&format!("link set port{index} master switch up"));
            space.ip(&format!("address add {}/24 dev eth0", Lan::address(index)));
            space.ip("link set eth0 up");
            space.ip("link set lo up");
        }
        lan
    }
}

impl Lan {
    /// An address that moves: no node has it at first.
    pub const MOVING: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 10);

    /// The address that stays with a node.
    pub fn address(node: usize) -> String {
        format!("10.78.0.{}", node + 1)
    }

    /// A node's network.
    pub fn space(&self, node: usize) -> &Namespace {
        &self.spaces[node]
    }

    /// Gives the address that moves to a node, and tells the neighbours.
    pub fn give(&self, cluster: &Cluster, node: usize) {
        let address = Lan::MOVING.to_string();
        self.spaces[node].ip(&format!("address add {address}/24 dev eth0"));
        let pid_file = cluster.dir.join("send_arp.pid").display().to_string();
        let mut words = vec![SEND_ARP, "-i", "50", "-r", "1", "-p", &pid_file];
        words.extend(["eth0", &address, "auto", "not_used", "not_used"]);
        let told = cluster.on(&cluster.nodes[node], &words);
        assert!(told.status.success(), "{}", text(&told));
    }

    /// Takes it from a node.
    pub fn take(&self, node: usize) {
        let address = Lan::MOVING;
        self.spaces[node].ip(&format!("address del {address}/24 dev eth0"));
    }

    /// Does something in the test's own network, on a thread of its own; what it starts is in it too.
    pub fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            let space = File::open(self.here.file()).expect("the network is there");
            setns(&space, CloneFlags::CLONE_NEWNET).expect("it can be entered");
            act()
        };
        let done = std::thread::scope(|scope| scope.spawn(inside).join());
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}
