// SPDX-License-Identifier: GPL-2.0-only
//! A mounted file system follows its device: it grows online, and is found by the device's name.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;

use cluster::{Cluster, Layout, eventually, may_resize, text};

fn done(cluster: &Cluster, node: &str, command: &[&str]) -> String {
    let output = cluster.on(node, command);
    assert!(output.status.success(), "{command:?}: {}", text(&output));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn a_mounted_file_system_grows_with_its_device() {
    let cluster = Cluster::in_sync("grow", Layout { disk_mib: 32, ..Layout::default() });
    let node = cluster.a();
    let dir = cluster.dir.join("mnt");
    fs::create_dir(&dir).expect("a mount point");
    let dir = dir.to_str().expect("a name");
    done(&cluster, node, &["mkfs.ext4", "-q", "/dev/drbd0"]);
    done(&cluster, node, &["mount", "/dev/drbd0", dir]);
    done(&cluster, node, &["sh", "-c", "echo kept > $0/file", dir]);

    // By the name under which it was mounted, as on a kernel.
    assert_eq!(done(&cluster, node, &["findmnt", "-n", "-o", "TARGET", "-S", "/dev/drbd0"]), dir);
    assert_eq!(done(&cluster, node, &["findmnt", "-n", "-o", "SOURCE", dir]), "/dev/drbd0");
    let df = done(&cluster, node, &["df", "--output=source,target", "/dev/drbd0"]);
    assert!(df.contains("/dev/drbd0") && df.contains(dir), "{df}");
    // What is mounted outside of the node keeps its name.
    let tables = [["cat", "/proc/self/mounts"], ["cat", "/proc/mounts"]];
    for table in tables.map(|command| done(&cluster, node, &command)) {
        assert!(table.lines().any(|line| line.starts_with("proc /proc ")), "{table}");
        assert!(
            table.lines().any(|line| line.starts_with(&format!("/dev/drbd0 {dir} "))),
            "{table}"
        );
    }

    for node in &cluster.nodes {
        let image = File::options().write(true).open(cluster.image(node, 0)).expect("the image");
        image.set_len(64 << 20).expect("it grows");
        cluster.umc_ok(&["disk", "--node", node, "resize", "low0"]);
    }
    cluster.adm(node, &["resize", "r0"]);
    let device = cluster.device(node, 0);
    eventually("the device grows", || fs::metadata(&device).expect("it").len() > 60 << 20);
    // The device that the host has mounted follows by itself.
    let dev = fs::metadata(dir).expect("the file system").dev();
    let sectors = format!("/sys/dev/block/{}:{}/size", libc::major(dev), libc::minor(dev));
    let sectors = || fs::read_to_string(&sectors).expect("its size").trim().parse::<u64>();
    eventually("what is mounted grows", || sectors().expect("a number") * 512 > 60 << 20);

    let blocks = || {
        let blocks = done(&cluster, node, &["stat", "-f", "-c", "%b", dir]);
        blocks.parse::<u64>().expect("a number")
    };
    let before = blocks();
    let resized = cluster.on(node, &["resize2fs", "/dev/drbd0"]);
    assert!(text(&resized).contains(&format!("mounted on {dir}; on-line")), "{}", text(&resized));
    if may_resize() {
        assert!(resized.status.success(), "{}", text(&resized));
        assert!(blocks() > before * 3 / 2, "{before} to {} blocks", blocks());
        done(&cluster, node, &["sh", "-c", "head -c 40M /dev/zero > $0/large && sync -f $0", dir]);
    }

    done(&cluster, node, &["umount", "/dev/drbd0"]);
    done(&cluster, node, &["e2fsck", "-fn", "/dev/drbd0"]);
    done(&cluster, node, &["mount", "-r", "/dev/drbd0", dir]);
    assert_eq!(done(&cluster, node, &["cat", &format!("{dir}/file")]), "kept");
    done(&cluster, node, &["umount", dir]);
    cluster.down();
}
