// SPDX-License-Identifier: GPL-2.0-only
//! Who may open or mount a device, and who may not: claims, holders, roles, and a close that is seen at once.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use cluster::{Cluster, Layout, LoopDevice, Over, Volumes, text};

/// Opens each `PATH FLAGS` on a node, and says how each went: `ok`, or the name of the error.
fn opens(cluster: &Cluster, node: &str, what: &[(&str, &str)]) -> Vec<String> {
    let script = include_str!("fixtures/exclusive/opens.py");
    let mut command = vec!["python3", "-c", script];
    command.extend(what.iter().flat_map(|(path, flags)| [*path, *flags]));
    let output = cluster.on(node, &command);
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

const ALL_WAYS: [&str; 4] = ["O_RDONLY", "O_RDWR", "O_RDONLY|O_EXCL", "O_RDWR|O_EXCL"];

fn all_ways(cluster: &Cluster, node: &str, path: &str) -> Vec<String> {
    opens(cluster, node, &ALL_WAYS.map(|flags| (path, flags)))
}

#[test]
fn the_role_decides_about_the_device() {
    let cluster = Cluster::in_sync("x-role", Layout::default());
    assert_eq!(all_ways(&cluster, cluster.a(), "/dev/drbd0"), ["ok"; 4]);
    let secondary = ["EMEDIUMTYPE", "EROFS", "EMEDIUMTYPE", "EROFS"];
    assert_eq!(all_ways(&cluster, cluster.b(), "/dev/drbd0"), secondary);
    // The same for who does not use the redirector.
    let direct = File::open(cluster.device(cluster.b(), 0)).expect_err("a Secondary");
    assert_eq!(direct.raw_os_error(), Some(libc::EMEDIUMTYPE));
    cluster.down();
}

#[test]
fn what_drbd_holds_is_held() {
    let cluster = Cluster::in_sync("x-held", Layout::default());
    let node = cluster.a();
    // Open to read and write it still is, as on Linux; to claim it is not.
    assert_eq!(all_ways(&cluster, node, "/dev/low0"), ["ok", "ok", "EBUSY", "EBUSY"]);
    let root = cluster.root(node);
    let holder =
        fs::read_link(root.join("sys/block/low0/holders/drbd0")).expect("a link to the holder");
    assert!(holder.ends_with("drbd0"), "{}", holder.display());
    let slave =
        fs::read_link(root.join("sys/block/drbd0/slaves/low0")).expect("a link to the disk below");
    assert!(slave.ends_with("low0"), "{}", slave.display());
    let refused = cluster.umc(&["disk", "--node", node, "del", "low0"]);
    assert!(text(&refused).contains("in use by"), "{}", text(&refused));
    let refused =
        cluster.on(node, &["drbdmeta", "--force", "0", "v08", "/dev/low0", "internal", "wipe-md"]);
    assert!(text(&refused).contains("is configured"), "{}", text(&refused));

    // Nobody but the owner and the group, as the device nodes of Linux.
    for device in ["dev/low0", "dev/drbd0"] {
        assert_eq!(
            fs::metadata(root.join(device)).expect("the device").mode() & 0o777,
            0o660,
            "{device}"
        );
    }

    cluster.adm(node, &["detach", "r0"]);
    assert_eq!(all_ways(&cluster, node, "/dev/low0"), ["ok"; 4]);
    assert!(fs::symlink_metadata(root.join("sys/block/low0/holders/drbd0")).is_err());
    cluster.adm(node, &["attach", "r0"]);
    cluster.await_dstate("UpToDate/UpToDate");
    cluster.down();
}

/// While a process has the device open, the node stays Primary; once it closed it, the next command sees that.
#[test]
fn a_close_is_seen_by_the_next_command() {
    let cluster = Cluster::in_sync("x-close", Layout::default());
    let script = include_str!("fixtures/exclusive/close_is_seen.py");
    let output = cluster.on(cluster.a(), &["python3", "-c", script]);
    assert!(output.status.success(), "{}", text(&output));
    cluster.down();
}

/// Who closes a device after an ioctl is the last to do so, however busy the node is: it serves the call with a descriptor
/// of its own.
#[test]
fn a_close_after_an_ioctl_is_the_last_one() {
    let host = Volumes::new("x-ioctl", "md-mod");
    let is_over = AtomicBool::new(false);
    let output = std::thread::scope(|scope| {
        let _over = Over(&is_over);
        // Nobody is to come to the processor as soon as he could.
        for _ in 0..3 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let script = include_str!("fixtures/exclusive/ioctl_and_close.py");
        host.0.on(host.0.a(), &["python3", "-c", script])
    });
    assert!(output.status.success(), "{}", text(&output));
    host.stop();
}

/// Runs a command on a node that must fail, and say so.
fn refused(cluster: &Cluster, node: &str, command: &[&str], says: &str) {
    let output = cluster.on(node, command);
    assert!(!output.status.success(), "{command:?}: {}", text(&output));
    assert!(text(&output).contains(says), "{command:?}: {}", text(&output));
}

fn done(cluster: &Cluster, node: &str, command: &[&str]) {
    let output = cluster.on(node, command);
    assert!(output.status.success(), "{command:?}: {}", text(&output));
}

/// A mount claims the device as on a kernel: not the disk that DRBD holds, not twice, and until the unmount nobody else.
#[test]
fn a_mount_is_a_claim() {
    let cluster = Cluster::in_sync("x-mount", Layout { handler: "ram", ..Layout::default() });
    let node = cluster.a();
    let dirs = ["one", "two"].map(|name| cluster.dir.join(name));
    dirs.iter().for_each(|dir| fs::create_dir(dir).expect("a mount point"));
    let [one, two] = dirs.each_ref().map(|dir| dir.to_str().expect("a name"));

    let busy = "/dev/low0 already mounted or mount point busy";
    refused(&cluster, node, &["mount", "-t", "ext4", "/dev/low0", one], busy);
    refused(&cluster, node, &["mount", "-t", "ext4", "-o", "ro", "/dev/low0", one], busy);
    refused(&cluster, cluster.b(), &["mount", "-t", "ext4", "/dev/drbd0", one], "Wrong medium");

    done(&cluster, node, &["mkfs.ext4", "-q", "/dev/drbd0"]);
    for _ in 0..5 {
        done(&cluster, node, &["mount", "/dev/drbd0", one]);
        refused(&cluster, node, &["mount", "/dev/drbd0", two], "/dev/drbd0 already mounted");
        refused(&cluster, node, &["mkfs.ext4", "-q", "-F", "/dev/drbd0"], "is mounted");
        let refused = cluster.try_adm(node, &["secondary", "r0"]);
        assert!(text(&refused).contains("held open"), "{}", text(&refused));
        let file = format!("echo hello > {one}/file && umount {one}");
        done(&cluster, node, &["sh", "-c", &file]);
        // The unmount is seen by the next command.
        cluster.adm(node, &["secondary", "r0"]);
        cluster.adm(node, &["primary", "r0"]);
    }
    // And in the way in which newer programs mount.
    let script = include_str!("fixtures/exclusive/mount_api.py");
    done(&cluster, node, &["python3", "-c", script, two]);
    refused(&cluster, node, &["mount", "/dev/drbd0", one], "/dev/drbd0 already mounted");
    done(&cluster, node, &["umount", two]);
    cluster.adm(node, &["secondary", "r0"]);
    cluster.down();
}

/// A loop device of the host over this file.
fn over(file: &Path) -> Result<LoopDevice, String> {
    LoopDevice::over(file, &[])
}

/// Who does not see a block device cannot know that somebody has it.
#[test]
fn a_claim_holds_without_the_redirector() {
    let cluster = Cluster::in_sync("x-stranger", Layout { handler: "ram", ..Layout::default() });
    let node = cluster.a();
    let (low, device) = (cluster.root(node).join("dev/low0"), cluster.device(node, 0));
    let write = |path: &Path| {
        File::options().write(true).open(path).err().and_then(|error| error.raw_os_error())
    };
    assert_eq!(write(&low), Some(libc::EBUSY));
    File::open(&low).expect("a reader");
    let refused = over(&low).err().expect("DRBD has it");
    assert!(refused.contains("busy"), "{refused}");
    assert!(cluster.umc_ok(&["dmesg", node]).contains("may not write to a device of"));

    // Nobody has this one. Then a loop device has it for itself.
    assert_eq!(write(&device), None);
    let taker = over(&device).expect("a loop device");
    let name = taker.path.file_name().expect("a name").to_string_lossy();
    assert_eq!(all_ways(&cluster, node, "/dev/drbd0"), ["ok", "ok", "EBUSY", "EBUSY"]);
    assert_eq!(write(&device), Some(libc::EBUSY));
    assert!(over(&device).is_err());
    refused_by(&cluster, node, &name);
    drop(taker);
    assert_eq!(all_ways(&cluster, node, "/dev/drbd0"), ["ok"; 4]);

    // Nor does the driver take what a loop device has.
    cluster.adm(node, &["detach", "r0"]);
    let taker = over(&low).expect("a loop device");
    let attached = cluster.try_adm(node, &["attach", "r0"]);
    assert!(!attached.status.success(), "{}", text(&attached));
    drop(taker);
    cluster.adm(node, &["attach", "r0"]);
    cluster.await_dstate("UpToDate/UpToDate");
    cluster.down();
}

/// The loop device is named by whoever meets it.
fn refused_by(cluster: &Cluster, node: &str, name: &str) {
    refused(cluster, node, &["mkfs.ext4", "-q", "-F", "/dev/drbd0"], "in use");
    let listed = cluster.umc_ok(&["disk", "--node", node, "ls"]);
    let wanted = format!("held by {name} of the host; used by {name}");
    assert!(listed.contains(&wanted), "{listed}");
    let stop = cluster.umc(&["stop", node]);
    assert!(
        !stop.status.success() && text(&stop).contains(&format!(": {name}")),
        "{}",
        text(&stop)
    );
}
