// SPDX-License-Identifier: GPL-2.0-only
//! Programs that see a node which is gone: its names are nobody's, and the host's disks stay out of reach.

use std::fs;
use std::process::Command;

use cluster::{Cluster, Layout, Start, bin_dir, text};

/// What a program says of names under `umc env` of a node.
fn look(cluster: &Cluster, root: &str) -> String {
    let script = "import os,errno
for n in '/dev/drbd0', '/dev/low0', '/dev/loop3', '/dev/sdb', '/proc/drbd', '/sys/block', '/run/drbd/x':
    try: os.stat(n); answer = 'ok'
    except OSError as e: answer = errno.errorcode[e.errno]
    print(n, answer)
try: print(len(os.listdir('/dev')) > 0)
except OSError as e: print(errno.errorcode[e.errno])
os.stat('/dev/null')";
    let output = Command::new("python3")
        .args(["-c", script])
        .env("UMC_FS_ROOT", root)
        .env("LD_PRELOAD", bin_dir().join("libumc_preload.so"))
        .current_dir(&cluster.dir)
        .run()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_node_that_died_or_was_stopped_leaves_nothing_to_the_host() {
    let cluster = Cluster::new("dead", Layout { disk_mib: 16, ..Layout::default() });
    let root = cluster.root(cluster.a()).display().to_string();
    let alive = "/dev/drbd0 ENOENT
/dev/low0 ok
/dev/loop3 ENOENT
/dev/sdb ENOENT
/proc/drbd ok
/sys/block ok
/run/drbd/x ENOENT
True
";
    let nobody = "/dev/drbd0 ENOTCONN
/dev/low0 ENOTCONN
/dev/loop3 ENOTCONN
/dev/sdb ENOTCONN
/proc/drbd ENOTCONN
/sys/block ENOTCONN
/run/drbd/x ENOTCONN
ENOTCONN
";
    assert_eq!(look(&cluster, &root), alive);
    // Its mount is left.
    cluster.kill(cluster.a());
    assert_eq!(look(&cluster, &root), nobody);
    cluster.start(cluster.a());
    assert_eq!(look(&cluster, &root), alive);
    cluster.stop(cluster.a());
    assert_eq!(look(&cluster, &root), nobody);
    // What a program would have made there.
    let left = fs::read_dir(&root).map_or(0, Iterator::count);
    assert_eq!(left, 0);
}
