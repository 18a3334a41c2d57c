// SPDX-License-Identifier: GPL-2.0-only
//! Disks that cannot be: each gets one clear error that names the disk, the cause and the next step, and the node lives.

#[path = "handlers/support.rs"]
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use cluster::{Cluster, Layout, LoopDevice, Start, text};
use support::{compile, refused, run, sparse};

const MIB: u64 = 1 << 20;

struct Node {
    cluster: Cluster,
    dir: tempfile::TempDir,
}

impl Node {
    /// A node that also finds the test's own handlers.
    fn new(name: &str) -> Node {
        let dir = tempfile::tempdir().expect("a directory");
        let start_args = vec!["--handler-dir".into(), dir.path().display().to_string()];
        let cluster = Cluster::new(name, Layout { disk_mib: 16, start_args, ..Layout::default() });
        Node { cluster, dir }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn add(&self, name: &str, spec: &str) -> Output {
        self.cluster.umc(&["disk", "--node", self.cluster.a(), "add", name, spec])
    }

    /// The disk is refused in one error with these words, and nothing of it stays.
    fn refuses(&self, name: &str, spec: &str, says: &[&str]) {
        let output = self.add(name, spec);
        let bare = spec.split(",size=").next().unwrap_or(spec);
        refused(&output, &[&[name, bare], says].concat());
        assert_eq!(text(&output).matches("Cannot ").count(), 1, "one error: {}", text(&output));
        assert!(
            !self.list().lines().any(|line| line.starts_with(&format!("{name} "))),
            "{}",
            self.list()
        );
        assert!(fs::read_to_string(self.cluster.root(self.cluster.a()).join("proc/drbd")).is_ok());
    }

    fn list(&self) -> String {
        self.cluster.umc_ok(&["disk", "--node", self.cluster.a(), "ls"])
    }

    fn end(self) {
        self.cluster.stop(self.cluster.a());
        self.cluster.stop(self.cluster.b());
    }
}

#[test]
fn images() {
    let node = Node::new("images");
    let missing = node.path("missing");
    for handler in ["file", "qcow", "fbo"] {
        node.refuses(
            "gone",
            &format!("{handler}/{missing}"),
            &[&missing, "there is no", "create the image"],
        );
    }
    assert!(!Path::new(&missing).exists(), "nothing is created without a size");

    let empty = node.path("empty");
    sparse(Path::new(&empty), 0);
    node.refuses("empty", &format!("file/{empty}"), &["is empty", "size"]);

    // Too small for the size that is asked for, or of another.
    let small = node.path("small");
    sparse(Path::new(&small), MIB);
    node.refuses("small", &format!("file/{small},size=16M"), &[&small]);
    node.refuses("small", &format!("qcow/{small},size=16M"), &["image format not recognized"]);
    let qcow2 = node.path("disk.qcow2");
    run(Command::new("qemu-img").args(["create", "-q", "-f", "qcow2", &qcow2, "8M"]));
    node.refuses("other", &format!("qcow/{qcow2},size=16M"), &["size"]);
    node.refuses("odd", &format!("file/{small},size=1000"), &["1000", "multiple of 512"]);

    let folder = node.path("folder");
    fs::create_dir(&folder).expect("a directory");
    node.refuses(
        "folder",
        &format!("file/{folder}"),
        &["neither a regular file nor a block device"],
    );

    let other = node.path("no-such-directory/image");
    node.refuses("nowhere", &format!("file/{other},size=1M"), &[&other]);
    node.end();
}

/// A block device that takes no writes: root may write to any file, whatever its mode.
#[test]
fn read_only_images() {
    let node = Node::new("readonly");
    let device = LoopDevice::read_only(&node.dir.path().join("ro.img"), 8 * MIB);
    let path = device.path.display().to_string();
    node.refuses("ro", &format!("file/{path}"), &[&format!("{path} is read-only")]);
    drop(device);

    let image = node.path("immutable.img");
    sparse(Path::new(&image), 8 * MIB);
    fs::set_permissions(&image, fs::Permissions::from_mode(0o444)).expect("chmod");
    // Where the host's file system knows immutable files.
    if Command::new("chattr").args(["+i", &image]).run_shown().is_ok_and(|status| status.success())
    {
        let outputs =
            ["file", "qcow"].map(|handler| node.add("fixed", &format!("{handler}/{image}")));
        run(Command::new("chattr").args(["-i", &image]));
        for output in outputs {
            refused(&output, &["fixed", &image]);
        }
    }
    node.end();
}

#[test]
fn images_in_use() {
    let node = Node::new("inuse");
    let image = node.path("one.img");
    sparse(Path::new(&image), 8 * MIB);
    for handler in ["file", "qcow", "fbo"] {
        node.cluster.umc_ok(&[
            "disk",
            "--node",
            node.cluster.a(),
            "add",
            "first",
            &format!("{handler}/{image}"),
        ]);
        for second in ["file", "qcow", "fbo"] {
            node.refuses(
                "second",
                &format!("{second}/{image}"),
                &[&image, "in use by another disk"],
            );
            let there = node.cluster.umc(&[
                "disk",
                "--node",
                node.cluster.b(),
                "add",
                "there",
                &format!("{second}/{image}"),
            ]);
            refused(&there, &["there", &image, "in use by another disk"]);
        }
        node.cluster.umc_ok(&["disk", "--node", node.cluster.a(), "del", "first"]);
    }
    node.end();
}

#[test]
fn handlers_that_refuse() {
    let node = Node::new("refusers");
    compile(node.dir.path(), "refuser.c", "refuser", &[]);
    node.refuses(
        "d",
        "refuser/config,size=1M",
        &["the word config is not to its taste", "Refuser takes no config"],
    );
    node.refuses("d", "refuser/open,size=1M", &["no open today", "Refuser takes no config"]);
    node.refuses("d", "refuser/silent,size=1M", &["did not open it and does not say why"]);
    node.refuses("d", "refuser/errno,size=1M", &["refuser/errno"]);
    node.refuses("d", "refuser/geometry,size=1M", &["blocks of 100 bytes"]);

    fs::write(node.path("handler_text.so"), "not an ELF file").expect("a file");
    let output = node.add("d", "text/x,size=1M");
    refused(&output, &["handler_text.so", "not a 64-bit ELF file"]);
    compile(node.dir.path(), "no_init.c", "noinit", &[]);
    let output = node.add("d", "noinit/x,size=1M");
    refused(&output, &["handler_noinit.so", "handler_init"]);
    let output = node.add("d", "nobody/x,size=1M");
    refused(&output, &["nobody", "--handler-dir"]);
    node.cluster.umc_ok(&["disk", "--node", node.cluster.a(), "add", "d", "ram/,size=1M"]);
    node.end();
}

#[test]
fn disks_of_a_running_node() {
    let node = Node::new("running");
    let (a, cluster) = (node.cluster.a(), &node.cluster);
    cluster.umc_ok(&["disk", "--node", a, "add", "extra", "ram/,size=16M"]);
    let line =
        |name: &str| node.list().lines().find(|line| line.starts_with(name)).map(str::to_owned);
    assert!(
        line("extra").is_some_and(|line| line.contains("16M") && line.contains("ram/")),
        "{}",
        node.list()
    );
    assert_eq!(
        fs::metadata(cluster.root(a).join("dev/extra")).expect("the device").len(),
        16 * MIB
    );
    refused(&node.add("extra", "ram/,size=16M"), &["extra", "has a disk of this name"]);

    // An open file holds it, and so does DRBD: the refusal says so, and nothing changes.
    let open = fs::File::open(cluster.root(a).join("dev/extra")).expect("the device");
    refused(&cluster.umc(&["disk", "--node", a, "del", "extra"]), &["extra"]);
    drop(open);
    cluster.adm(a, &["create-md", "--force", "r0"]);
    cluster.adm(a, &["up", "r0"]);
    refused(&cluster.umc(&["disk", "--node", a, "del", "low0"]), &["low0", "drbd"]);
    assert!(line("low0").is_some_and(|line| line.contains("held by")), "{}", node.list());
    cluster.adm(a, &["down", "r0"]);
    cluster.umc_ok(&["disk", "--node", a, "del", "low0"]);
    cluster.umc_ok(&["disk", "--node", a, "del", "extra"]);
    assert!(line("extra").is_none() && line("low0").is_none(), "{}", node.list());
    assert!(!cluster.root(a).join("dev/extra").exists());
    refused(&cluster.umc(&["disk", "--node", a, "del", "extra"]), &["extra", "no such disk"]);
    node.end();
}
