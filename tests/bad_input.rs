// SPDX-License-Identifier: GPL-2.0-only
//! Bad input gets an error that names the object, the cause and the next step, and loses nothing.

use std::fs;
use std::process::{Command, Output};

use cluster::{Cluster, Layout, Start, bin_dir, text};

/// The command fails, and what it says holds all of these.
fn refused(output: &Output, says: &[&str]) {
    let shown = text(output);
    assert!(!output.status.success(), "not refused: {shown}");
    for wanted in says {
        assert!(shown.contains(wanted), "\"{wanted}\" is not in: {shown}");
    }
}

/// A shell command in a mount namespace of its own.
fn in_namespace(script: &str) -> Output {
    let path = format!("{}:{}", bin_dir().display(), std::env::var("PATH").unwrap_or_default());
    Command::new("unshare").args(["-m", "sh", "-ec", script]).env("PATH", path).run().unwrap()
}

fn one_node(name: &str) -> Cluster {
    Cluster::new(name, Layout { disk_mib: 16, ..Layout::default() })
}

#[test]
fn no_fuse_device() {
    let dir = std::env::temp_dir().join(format!("umc-nofuse-{}", std::process::id()));
    let script = format!(
        "mkdir -p {0}; mount -t tmpfs none /dev; mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/urandom c 1 9; \
         UMC_RUNTIME_DIR={0}/run umc start lonely",
        dir.display()
    );
    let output = in_namespace(&script);
    let _ = fs::remove_dir_all(&dir);
    refused(&output, &["/dev/fuse"]);
}

#[test]
fn package_missing() {
    let output = in_namespace("mount -t tmpfs none /usr/src; umc build drbd");
    refused(&output, &["6.12", "apt-get install"]);
    let output =
        Command::new(bin_dir().join("umc")).args(["build", "no-such-driver"]).run().unwrap();
    refused(&output, &["no-such-driver", "drbd"]);
}

/// What stands in the way is named, and not the options that a handler has.
#[test]
fn paths_that_lead_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let umc = |args: &[&str]| {
        let mut command = Command::new(bin_dir().join("umc"));
        command.args(args).env("UMC_RUNTIME_DIR", dir.path().join("run")).run().unwrap()
    };
    let none = dir.path().join("none").display().to_string();
    let output = umc(&["start", "lonely", "--handler-dir", &none]);
    refused(&output, &["--handler-dir", &none, "No such file or directory"]);
    let disk = format!("d=file/{none}/x,size=1M");
    let output = umc(&["start", "lonely", "--disk", &disk]);
    refused(&output, &[&format!("Make the directory first: mkdir -p {none}")]);
    assert!(!text(&output).contains("engine="), "{}", text(&output));
    let output = umc(&["handler", "check", &format!("{none}/x.so"), "/x"]);
    refused(&output, &["Check the path"]);
}

#[test]
fn two_nodes_on_one_root() {
    let cluster = one_node("oneroot");
    let root = cluster.root(cluster.a()).display().to_string();
    refused(&cluster.umc(&["start", "third", "--root", &root]), &[&root]);
    // The name alone is enough to be refused.
    refused(&cluster.umc(&["start", cluster.a()]), &[cluster.a()]);
    cluster.umc_ok(&["run", cluster.a(), "--", "cat", "/proc/drbd"]);
    cluster.stop(cluster.a());
    cluster.stop(cluster.b());
}

#[test]
fn root_in_use() {
    let cluster = one_node("busyroot");
    let busy = cluster.dir.join("busy");
    fs::create_dir(&busy).unwrap();
    fs::write(busy.join("precious"), "data").unwrap();
    refused(
        &cluster.umc(&["start", "third", "--root", &busy.display().to_string()]),
        &["busy", "empty"],
    );
    assert_eq!(fs::read_to_string(busy.join("precious")).unwrap(), "data");
}

#[test]
fn stale_mount_of_a_killed_node_is_cleaned_up() {
    let cluster = one_node("stale");
    cluster.kill(cluster.a());
    assert!(fs::read_dir(cluster.root(cluster.a())).is_err(), "the mount of a killed node answers");
    cluster.start(cluster.a());
    assert!(fs::read_to_string(cluster.root(cluster.a()).join("proc/drbd")).is_ok());
    cluster.stop(cluster.a());
    cluster.stop(cluster.b());
}

#[test]
fn disks() {
    let cluster = one_node("disks");
    let node = cluster.a();
    let missing = cluster.dir.join("missing.img").display().to_string();
    refused(&cluster.umc(&["start", "x1", "--disk", "d=nosuch/x,size=1M"]), &["nosuch"]);
    refused(&cluster.umc(&["start", "x2", "--disk", &format!("d=file/{missing}")]), &[&missing]);
    refused(&cluster.umc(&["start", "x3", "--disk", "nonsense"]), &["NAME=HANDLER/CONFIG"]);
    refused(&cluster.umc(&["start", "x4", "--disk", "d=ram/,size=lots"]), &["lots"]);
    // The image is in use by the other node.
    let image = cluster.image(cluster.b(), 0).display().to_string();
    refused(&cluster.umc(&["start", "x5", "--disk", &format!("d=file/{image}")]), &[&image]);

    // Too small for DRBD's metadata: the tool says so, and the node lives on.
    let small = cluster.dir.join("small.img");
    fs::File::create(&small).unwrap().set_len(64 << 10).unwrap();
    cluster.umc_ok(&["disk", "--node", node, "add", "small", &format!("file/{}", small.display())]);
    let output = cluster
        .on(node, &["drbdmeta", "--force", "9", "v08", "/dev/small", "internal", "create-md"]);
    refused(&output, &["small"]);
    cluster.umc_ok(&["run", node, "--", "cat", "/proc/drbd"]);
}

#[test]
fn nodes_that_are_not_there() {
    let cluster = one_node("absent");
    refused(&cluster.umc(&["run", "nobody", "--", "true"]), &["nobody"]);
    refused(&cluster.umc(&["stop", "nobody"]), &["nobody"]);
    cluster.stop(cluster.a());
    refused(&cluster.umc(&["stop", cluster.a()]), &[cluster.a()]);
}

#[test]
fn module_with_missing_symbols() {
    let cluster = one_node("missing");
    let dir = cluster.dir.join("module");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("Kbuild"), "obj-m := wanting.o\n").unwrap();
    fs::write(
        dir.join("wanting.c"),
        "#include <linux/module.h>\n\
         extern int nobody_has_this(void);\nextern int nor_this(void);\n\
         static int __init wanting_init(void) { return nobody_has_this() + nor_this(); }\n\
         static void __exit wanting_exit(void) { }\n\
         module_init(wanting_init);\nmodule_exit(wanting_exit);\nMODULE_LICENSE(\"GPL\");\n",
    )
    .unwrap();
    cluster.umc_ok(&["build", &dir.display().to_string()]);
    let file = dir.join("wanting.so").display().to_string();
    refused(
        &cluster.umc(&["insmod", "--node", cluster.a(), &file]),
        &["wanting", "nobody_has_this", "nor_this"],
    );
    refused(
        &cluster.umc(&["symbols", &dir.join("wanting.ko").display().to_string()]),
        &["nobody_has_this"],
    );
    refused(&cluster.umc(&["insmod", "--node", cluster.a(), "/etc/passwd"]), &["/etc/passwd"]);
    cluster.umc_ok(&["run", cluster.a(), "--", "cat", "/proc/drbd"]);
}
