// SPDX-License-Identifier: GPL-2.0-only
//! A driver that was unloaded has left: no thread, no descriptor and no memory of it, however often it was there.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;

use cluster::{Cluster, Layout, eventually};

const ROUNDS: usize = 5;

/// What may come to be held in some rounds: freed pages are kept for the next use, a few times as many as one round needs.
/// valgrind looks for leaks; this finds what is big and no leak to it.
const GROWTH_KIB_MAX: u64 = 32 << 10;

/// Threads of the emulated kernel itself, which are made when they are needed first and live as long as it.
const KERNELS_OWN: [&str; 3] = ["mte/", "ktimers", "rcu"];

/// How many of each name.
type Count = BTreeMap<String, usize>;

fn count(names: impl Iterator<Item = String>) -> Count {
    names.fold(Count::new(), |mut count, name| {
        *count.entry(name).or_default() += 1;
        count
    })
}

fn entries(pid: u32, dir: &str) -> impl Iterator<Item = std::path::PathBuf> {
    let entries = fs::read_dir(format!("/proc/{pid}/{dir}")).unwrap();
    entries.map_while(Result::ok).map(|entry| entry.path())
}

fn threads(pid: u32) -> Count {
    let names = entries(pid, "task").filter_map(|task| fs::read_to_string(task.join("comm")).ok());
    // Each client of the control socket has a number. Workers of io_uring are threads of the host's kernel.
    let names = names.filter(|name| !name.starts_with("iou-wrk-"));
    count(names.map(|name| match name.trim() {
        client if client.starts_with("control/") => "control/N".into(),
        name => name.to_owned(),
    }))
}

fn descriptors(pid: u32) -> Count {
    let targets = entries(pid, "fd").filter_map(|fd| fs::read_link(fd).ok());
    // socket:[1234] is some socket.
    count(targets.map(|to| {
        let to = to.display().to_string();
        to.split_once(":[")
            .filter(|(kind, _)| *kind != "anon_inode")
            .map_or(to.clone(), |(kind, _)| kind.into())
    }))
}

fn anonymous_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// What is more in `after` than in `before`.
fn more(after: &Count, before: &Count) -> Vec<String> {
    let grown = |(name, count): (&String, &usize)| {
        let was = before.get(name).copied().unwrap_or(0);
        (*count > was).then(|| format!("{name}: {was} -> {count}"))
    };
    after.iter().filter_map(grown).collect()
}

/// One life of the driver in the node.
fn round(cluster: &Cluster, node: &str) {
    cluster.umc_ok(&["insmod", "--node", node, "drbd"]);
    cluster.adm(node, &["up", "r0"]);
    cluster.await_connected(node);
    cluster.adm(node, &["primary", "--force", "r0"]);
    cluster.await_dstate("UpToDate/UpToDate");
    let device = fs::File::options().write(true).open(cluster.device(node, 0)).unwrap();
    device.write_all_at(&[7; 64 << 10], 0).unwrap();
    device.sync_all().unwrap();
    drop(device);
    cluster.adm(node, &["secondary", "r0"]);
    cluster.adm(node, &["down", "r0"]);
    for module in ["drbd", "lru_cache"] {
        cluster.umc_ok(&["rmmod", "--node", node, module]);
    }
}

#[test]
fn an_unloaded_driver_leaves_nothing() {
    let cluster = Cluster::new("residue", Layout { disk_mib: 16, ..Layout::default() });
    let (a, b) = (cluster.a(), cluster.b());
    cluster.adm(a, &["create-md", "--force", "r0"]);
    cluster.adm(b, &["create-md", "--force", "r0"]);
    cluster.adm(b, &["up", "r0"]);
    cluster.stop(a);
    cluster.umc_ok(&[
        "start",
        a,
        "--disk",
        &format!("low0=file/{}", cluster.image(a, 0).display()),
    ]);
    let pid = cluster.pid(a).unwrap();
    // The last client is still held when it has gone; the next one, this, sweeps it.
    let look = || {
        cluster.umc_ok(&["lsmod", "--node", a]);
        (threads(pid), descriptors(pid))
    };
    let (fresh_threads, fresh_descriptors) = look();
    let mut settled: Option<(Count, Count, u64)> = None;
    // A thread of the kernel's own may be needed first in any round; each has a descriptor to be woken by.
    let own = |threads: &Count, before: &Count| -> Vec<String> {
        let is_new = |name: &&String| {
            !before.contains_key(*name)
                && threads[*name] == 1
                && KERNELS_OWN.iter().any(|own| name.starts_with(own))
        };
        threads.keys().filter(is_new).cloned().collect()
    };
    for number in 0..ROUNDS {
        round(&cluster, a);
        let (before_threads, before_descriptors) = match &settled {
            Some((threads, descriptors, _)) => (threads, descriptors),
            None => (&fresh_threads, &fresh_descriptors),
        };
        // Lanes of the tree that have nothing to do end by themselves.
        let mut left = Vec::new();
        let is_clean = || {
            let (mut threads, mut descriptors) = look();
            for name in own(&threads, before_threads) {
                threads.remove(&name);
                descriptors.entry("anon_inode:[eventfd]".into()).and_modify(|count| *count -= 1);
            }
            left = more(&threads, before_threads);
            if settled.is_none() {
                left.retain(|thread| !KERNELS_OWN.iter().any(|own| thread.starts_with(own)));
            }
            left.extend(
                more(&descriptors, before_descriptors).into_iter().filter(|descriptor| {
                    settled.is_some() || !descriptor.starts_with("anon_inode:")
                }),
            );
            left.is_empty()
        };
        let clean = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually("the node is as before", is_clean);
        }));
        assert!(clean.is_ok(), "after round {number} these are left: {}", left.join(", "));
        // The first round leaves what the kernel keeps for the next.
        if number == 1 {
            let (threads, descriptors) = look();
            settled = Some((threads, descriptors, anonymous_kib(pid)));
        }
    }
    let (_, _, early) = settled.unwrap();
    let late = anonymous_kib(pid);
    assert!(
        late < early + GROWTH_KIB_MAX,
        "anonymous memory grew from {early} to {late} KiB in {ROUNDS} rounds"
    );
    cluster.adm(b, &["down", "r0"]);
    cluster.stop(a);
    cluster.stop(b);
}
