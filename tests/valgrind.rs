// SPDX-License-Identifier: GPL-2.0-only
//! A node under valgrind: no access to memory that is not its own, and nothing lost when it ends.
//!
//! Method: one of two nodes is `umcd` under memcheck, from its start through a sync in both roles, writes, `drbdadm down`
//! and `rmmod` to `umc stop`. valgrind's exit status takes the place of the node's when it has anything to report.
//! What valgrind cannot do: io_uring blocks all threads, hence `engine=threads`; 3.19 knows no pidfd, so no usermode helper
//! runs (under 3.24 they do); it searches all of the memory for pointers, hence the limit of address space, within which the kernel
//! reserves less for its pages. Each request of FUSE is slow, because it looks at all of the 16 MiB that one may have.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::sync::Arc;

use cluster::{Cluster, Foreground, Layout, Lower, Mesh, MeshLayout, bin_dir, eventually, text};

/// KiB of address space.
const ADDRESS_SPACE: &str = "6000000";

fn under_valgrind() -> Command {
    let mut command = Command::new("sh");
    let script = format!("ulimit -v {ADDRESS_SPACE} && exec \"$@\"");
    command.args([
        "-ec",
        &script,
        "sh",
        "valgrind",
        "-q",
        "--error-exitcode=99",
        "--fair-sched=yes",
    ]);
    // Nobody debugs it, and each helper would leave the pipes for that behind.
    command.arg("--vgdb=no");
    command.args(["--leak-check=full", "--show-leak-kinds=definite"]);
    command.args(["--errors-for-leak-kinds=definite"]).arg(bin_dir().join("umcd"));
    command
}

fn write_and_read(cluster: &Cluster, node: &str) {
    let device = File::options().read(true).write(true).open(cluster.device(node, 0)).unwrap();
    let data: Vec<u8> = (0..256 << 10).map(|at: u32| (at / 7) as u8).collect();
    // Whole blocks, and a piece of one.
    for (offset, len) in [(0, data.len()), (1 << 20, 4096), (300_001, 5)] {
        device.write_all_at(&data[..len], offset).unwrap();
    }
    device.sync_all().unwrap();
    let mut found = vec![0; 4096];
    device.read_exact_at(&mut found, 1 << 20).unwrap();
    assert_eq!(found, data[..4096]);
}

/// What `drbdadm VERB r0` would run, without the few seconds that it would give each command.
fn patiently(cluster: &Cluster, node: &str, verb: &str) {
    for command in cluster.adm(node, &["--dry-run", verb, "r0"]).lines() {
        // Its programs for 8.4 lie beside it.
        let command = format!("PATH=$PATH:/usr/lib/drbd; {command}");
        let output = cluster.on(node, &["sh", "-c", &command]);
        assert!(output.status.success(), "{command}: {}", text(&output));
    }
}

#[test]
fn nothing_is_lost() {
    let lower = |lower: &Lower| {
        if !lower.image.exists() {
            File::create(lower.image).unwrap().set_len(4 << 20).unwrap();
        }
        format!("file/{};engine=threads", lower.image.display())
    };
    let layout = Layout { lower: Some(Arc::new(lower)), ..Layout::default() };
    let cluster = Cluster::new("valgrind", layout);
    // Looked at is the other node, which is quick.
    let (a, b) = (cluster.a(), cluster.b());
    cluster.stop(b);
    let umcd = Foreground::start(&cluster, b, under_valgrind(), &[]);
    for node in [a, b] {
        cluster.adm(node, &["create-md", "--force", "r0"]);
    }
    cluster.adm(a, &["up", "r0"]);
    // What `drbdadm up` notes for its own later calls as a helper.
    let notes = cluster.root(b).join(".umc/state/run-drbd/drbd-minor-0.conf");
    std::os::unix::fs::symlink(cluster.conf(), notes).unwrap();
    patiently(&cluster, b, "up");
    cluster.await_connected(a);
    // A full sync as its target, a resync as its source after changes without the peer.
    cluster.adm(a, &["primary", "--force", "r0"]);
    cluster.await_dstate("UpToDate/UpToDate");
    write_and_read(&cluster, a);
    cluster.adm(a, &["secondary", "r0"]);
    cluster.adm(a, &["disconnect", "r0"]);
    patiently(&cluster, b, "primary");
    write_and_read(&cluster, b);
    cluster.adm(a, &["connect", "r0"]);
    cluster.await_dstate("UpToDate/UpToDate");
    write_and_read(&cluster, b);
    patiently(&cluster, b, "secondary");
    patiently(&cluster, b, "down");
    cluster.umc_ok(&["rmmod", "--node", b, "drbd"]);
    cluster.umc_ok(&["stop", b]);
    let (status, log) = umcd.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    cluster.adm(a, &["down", "r0"]);
    cluster.stop(a);
}

#[test]
fn nothing_is_lost_by_drbd_9() {
    let layout = MeshLayout {
        nodes: 2,
        disk_mib: 4,
        lower_options: ";engine=threads".into(),
        ..MeshLayout::default()
    };
    let Some(mesh) = Mesh::new("valgrind9", layout) else { return };
    let (cluster, a, b) = (&mesh.cluster, mesh.node(0), mesh.node(1));
    cluster.stop(b);
    let umcd = mesh.start_in_foreground(1, &under_valgrind());
    for node in [a, b] {
        cluster.adm(node, &["create-md", "--force", "r0"]);
    }
    cluster.adm(a, &["up", "r0"]);
    patiently(cluster, b, "up");
    mesh.await_connected();
    // A full sync as its target, a resync as its source after changes without the peer.
    cluster.adm(a, &["primary", "--force", "r0"]);
    mesh.await_up_to_date();
    write_and_read(cluster, a);
    cluster.adm(a, &["secondary", "r0"]);
    cluster.adm(a, &["disconnect", "r0"]);
    // Promoted by the open, demoted by the close.
    write_and_read(cluster, b);
    cluster.adm(a, &["connect", "r0"]);
    mesh.await_up_to_date();
    write_and_read(cluster, b);
    eventually("the writer is Secondary again", || mesh.status(1)["role"] == "Secondary");
    patiently(cluster, b, "down");
    for module in ["drbd_transport_tcp", "drbd"] {
        cluster.umc_ok(&["rmmod", "--node", b, module]);
    }
    cluster.umc_ok(&["stop", b]);
    let (status, log) = umcd.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    cluster.adm(a, &["down", "r0"]);
    cluster.stop(a);
    mesh.compare();
}
