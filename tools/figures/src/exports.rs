// SPDX-License-Identifier: GPL-2.0-only
//! Disks as another machine sees them: through the NVMe target and the iSCSI target of a node, and beside them through stock
//! servers of iSCSI and NBD.
//!
//! The hosts of NVMe and iSCSI are one connection and one thread of this process (`tests/nvme`, `tests/iscsi`), that of NBD is
//! fio's own engine.

mod clients;
mod servers;

use cluster::{Cluster, IscsiTarget, NvmeTarget};

use crate::{Figure, REPETITIONS, ram};
use clients::{iscsi_rate, nvme_rate};
use servers::{NbdServer, Tgt};

const DISK_MIB: u64 = 64;
const SUBSYSTEM: &str = "nqn.2026-11.figures:export";
const TARGET: &str = "iqn.2026-11.figures:export";

/// A load of one client: at random places, one size, as many requests under way as it says.
#[derive(Clone, Copy)]
struct Load {
    writes: bool,
    len: usize,
    depth: usize,
}

/// Size of a request, depth.
const LOADS: [(usize, usize); 4] = [(4 << 10, 1), (4 << 10, 32), (128 << 10, 1), (128 << 10, 32)];

/// What is measured: its name, and requests a second of a load.
type Export<'a> = (String, Box<dyn Fn(Load) -> f64 + 'a>);

pub fn measure(figures: &mut Vec<Figure>) {
    let cluster = Cluster::in_sync("exports", ram("", "", DISK_MIB));
    let node = cluster.a();
    cluster.adm(node, &["primary", "r0"]);
    // The targets have the one for themselves.
    for disk in ["plain", "shown"] {
        let config = format!("ram/,size={DISK_MIB}M");
        cluster.umc_ok(&["disk", "--node", node, "add", disk, &config]);
    }
    let exports = of_node(&cluster, node).into_iter().chain(of_host(&cluster, node));
    let exports: Vec<Export> = exports.collect();
    for (len, depth) in LOADS {
        for writes in [false, true] {
            let side = if writes { "write" } else { "read" };
            for (name, rate) in &exports {
                let load = Load { writes, len, depth };
                let values = (0..REPETITIONS).map(|_| rate(load)).collect();
                let name = format!("{}k {side}, depth {depth}: {name}", len >> 10);
                figures.push(Figure { name, unit: "1/s", wanted: "", values });
            }
        }
    }
}

/// A plain disk and one of DRBD, each through both targets.
fn of_node<'a>(cluster: &Cluster, node: &str) -> Vec<Export<'a>> {
    let nvme = NvmeTarget::new(cluster, node);
    let iscsi = IscsiTarget::new(cluster, node, TARGET);
    let portal = IscsiTarget::free_address();
    let mut exports: Vec<Export> = Vec::new();
    for (number, path) in [(1, "/dev/plain"), (2, "/dev/drbd0")] {
        let (address, subsystem) = (NvmeTarget::free_address(), format!("{SUBSYSTEM}-{number}"));
        nvme.add_subsystem(&subsystem);
        nvme.add_namespace(&subsystem, 1, path, &[]);
        nvme.add_port(number, address);
        nvme.link(number, &subsystem);
        let rate = move |load| nvme_rate(address, &subsystem, load);
        exports.push((format!("NVMe/TCP, {path}"), Box::new(rate)));
        let (lun, store) = (number as u8, format!("unit{number}"));
        iscsi.add_store("iblock", &store, path, "");
        iscsi.add_unit(lun, "iblock", &store);
        let rate = move |load| iscsi_rate(portal, TARGET, lun, load);
        exports.push((format!("iSCSI, {path}"), Box::new(rate)));
    }
    iscsi.add_portal(portal);
    iscsi.enable(true);
    exports
}

/// Servers of the host: on memory of their own, and on the file of a ram disk. One that is not installed is left out.
fn of_host<'a>(cluster: &Cluster, node: &str) -> Vec<Export<'a>> {
    let size = format!("{DISK_MIB}M");
    let shown = cluster.root(node).join("dev/shown").display().to_string();
    let servers = [
        ("nbdkit memory", ["nbdkit", "-f", "-U", "{}", "memory", &size].to_vec()),
        ("qemu-nbd, ram by FUSE", ["qemu-nbd", "-t", "-f", "raw", "-k", "{}", &shown].to_vec()),
    ];
    let mut exports: Vec<Export> = Vec::new();
    for (name, words) in servers {
        if let Some(server) = NbdServer::start(&cluster.dir, &words) {
            exports.push((name.to_owned(), Box::new(move |load| server.rate(load))));
        }
    }
    if let Some(tgt) = Tgt::start(&cluster.dir, TARGET, &shown) {
        exports.push(("tgt, ram by FUSE".to_owned(), Box::new(move |load| tgt.rate(TARGET, load))));
    }
    exports
}
