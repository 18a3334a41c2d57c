// SPDX-License-Identifier: GPL-2.0-only
//! Many nodes at once: pairs that replicate.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::{Cluster, Layout};

/// So many start or stop at the same time; more would only wait for each other.
const AT_ONCE: usize = 4;

/// Clusters that are up at the same time.
pub struct Fleet(pub Vec<Cluster>);

impl Fleet {
    /// So many pairs, made by `make`, which is given each one's name.
    pub fn new(pairs: usize, make: impl Fn(&str) -> Cluster + Sync) -> Fleet {
        let made = Mutex::new(Vec::new());
        at_once(pairs, |index| {
            let cluster = make(&format!("n{index}"));
            made.lock().expect("nobody panicked").push(cluster);
        });
        Fleet(made.into_inner().expect("nobody panicked"))
    }

    /// Pairs on disks in memory, all in sync, the first node of each Primary.
    pub fn in_sync(pairs: usize) -> Fleet {
        let layout = Layout { handler: "ram", disk_mib: 4, ..Layout::default() };
        Fleet::new(pairs, |name| Cluster::in_sync(name, layout.clone()))
    }

    /// Every node with its cluster.
    pub fn nodes(&self) -> impl Iterator<Item = (&Cluster, &str)> {
        self.0.iter().flat_map(|cluster| cluster.nodes.iter().map(move |node| (cluster, &**node)))
    }

    /// Does something with every cluster.
    pub fn each(&self, work: impl Fn(&Cluster) + Sync) {
        at_once(self.0.len(), |index| work(&self.0[index]));
    }
}

/// Calls `work` with each number below `count`, a few at the same time.
fn at_once(count: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        return;
                    }
                    work(index);
                }
            });
        }
    });
}
