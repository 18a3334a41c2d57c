// SPDX-License-Identifier: GPL-2.0-only
//! Modules: where they came from, parameters, sysfs, /proc/drbd, debugfs, load and unload.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cluster::{Cluster, Layout, Model, Random, Start, assert_same, bin_dir, text};

#[test]
fn modinfo_compares_with_the_package() {
    let output = Command::new(bin_dir().join("umc")).args(["modinfo", "drbd"]).run().unwrap();
    let shown = text(&output);
    assert!(output.status.success(), "{shown}");
    assert!(shown.contains("linux-source-6.12 6.12"), "{shown}");
    let differs =
        shown.lines().find_map(|line| line.strip_prefix("source differs:")).expect("a comparison");
    let (differing, compared) = differs.trim().split_once(" of ").expect("N of M");
    assert_eq!(differing, "0", "{shown}");
    assert!(compared.parse::<u32>().unwrap() > 30, "{shown}");
}

#[test]
fn every_symbol_has_a_provider() {
    for module in [
        "lru_cache",
        "drbd",
        "brd",
        "nbd",
        "null_blk",
        "loop",
        "dm-mod",
        "dm-thin-pool",
        "dm-cache-smq",
        "dm-crypt",
        "dm-integrity",
        "dm-raid",
        "dm-mirror",
        "raid1",
        "raid456",
        "bcache",
        "nvmet",
        "nvmet-tcp",
        "nvme-core",
        "nvme-fabrics",
        "nvme-tcp",
        "target_core_mod",
        "target_core_iblock",
        "target_core_file",
        "iscsi_target_mod",
    ] {
        let output = Command::new(bin_dir().join("umc")).args(["symbols", module]).run().unwrap();
        assert!(output.status.success(), "{}", text(&output));
    }
}

#[test]
fn parameters_proc_and_debugfs() {
    let cluster = Cluster::up("modules", Layout::default());
    let root = cluster.root(cluster.a());
    let read = |path: &str| {
        fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    };

    assert!(read("proc/drbd").starts_with("version: 8.4.11"));
    assert!(read("proc/modules").contains("drbd "));
    let parameters = root.join("sys/module/drbd/parameters");
    assert_eq!(read("sys/module/drbd/parameters/minor_count").trim(), "32");
    fs::write(parameters.join("usermode_helper"), "/bin/true\n").unwrap();
    assert_eq!(read("sys/module/drbd/parameters/usermode_helper").trim(), "/bin/true");
    // Mode 0444: nobody writes it.
    assert!(fs::metadata(parameters.join("minor_count")).unwrap().permissions().readonly());
    assert!(
        root.join("sys/module/drbd/parameters/fault_rate").exists(),
        "fault injection is built in"
    );
    assert!(root.join("sys/module/lru_cache/holders/drbd").exists());

    let debugfs = root.join("sys/kernel/debug/drbd");
    assert!(fs::read_to_string(debugfs.join("version")).unwrap().contains("VERSION=8.4.11"));
    let resource = debugfs.join("resources/r0");
    for file in [
        "in_flight_summary",
        "connections/peer/callback_history",
        "volumes/0/oldest_requests",
        "volumes/0/act_log_extents",
        "volumes/0/data_gen_id",
        "volumes/0/ed_gen_id",
    ] {
        fs::read_to_string(resource.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
    assert!(fs::read_to_string(debugfs.join("minors/0/data_gen_id")).is_ok());
    cluster.down();
}

#[test]
fn insmod_and_rmmod() {
    let cluster = Cluster::up("rmmod", Layout::default());
    let node = cluster.a();
    let busy = cluster.umc(&["rmmod", "--node", node, "lru_cache"]);
    assert!(!busy.status.success() && text(&busy).contains("drbd"), "{}", text(&busy));
    cluster.adm(node, &["down", "r0"]);
    for _ in 0..3 {
        cluster.umc_ok(&["rmmod", "--node", node, "drbd"]);
        assert!(!cluster.root(node).join("proc/drbd").exists());
        cluster.umc_ok(&["insmod", "--node", node, "drbd", "minor_count=8"]);
        let count = cluster.root(node).join("sys/module/drbd/parameters/minor_count");
        assert_eq!(fs::read_to_string(count).unwrap().trim(), "8");
    }
    let wrong = cluster.umc(&["insmod", "--node", node, "lru_cache", "no_such=1"]);
    assert!(!wrong.status.success());
    cluster.adm(node, &["up", "r0"]);
    cluster.await_event(node, "connection:Connected");
    cluster.down();
}

/// A second driver, and one on top of another: DRBD replicates RAM disks of the kernel's own brd.
#[test]
fn drbd_stands_on_brd() {
    let cluster = Cluster::new("on-brd", Layout::default());
    let conf = fs::read_to_string(cluster.conf()).unwrap();
    fs::write(cluster.conf(), conf.replace("/dev/low0", "/dev/ram1")).unwrap();
    for node in &cluster.nodes {
        cluster.umc_ok(&["insmod", "--node", node, "brd", "rd_nr=2", "rd_size=16384"]);
        cluster.adm(node, &["create-md", "--force", "r0"]);
        cluster.adm(node, &["up", "r0"]);
    }
    cluster.adm(cluster.a(), &["primary", "--force", "r0"]);
    cluster.await_dstate("UpToDate/UpToDate");
    let busy = cluster.umc(&["rmmod", "--node", cluster.a(), "brd"]);
    assert!(!busy.status.success() && text(&busy).contains("brd"), "{}", text(&busy));

    let mut model = Model::open(&cluster.device(cluster.a(), 0));
    let mut random = Random::new("drbd_stands_on_brd");
    (0..300).for_each(|_| model.write(&mut random));
    model.sync();
    model.check();
    let content = model.close();
    for node in &cluster.nodes {
        cluster.adm(node, &["down", "r0"]);
        let below = fs::read(cluster.root(node).join("dev/ram1")).unwrap();
        assert_same(&below, &content, node);
        cluster.umc_ok(&["rmmod", "--node", node, "brd"]);
        assert!(!cluster.root(node).join("dev/ram1").exists());
        cluster.stop(node);
    }
}

/// Builds a copy of a fixture of this name: where its modules are.
fn build(cluster: &Cluster, name: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    // Beside the trees of the nodes, not above them.
    let dir = cluster.dir.join(name);
    fs::create_dir(&dir).unwrap();
    for entry in fs::read_dir(source).unwrap() {
        let file = entry.unwrap();
        fs::copy(file.path(), dir.join(file.file_name())).unwrap();
    }
    let output = Command::new(bin_dir().join("umc")).arg("build").arg(&dir).run().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    dir
}

/// It is one variable, whoever looks at it, and one for each kernel.
#[test]
fn modules_share_variables() {
    let cluster = Cluster::new("shared", Layout { disk_mib: 16, ..Layout::default() });
    let dir = build(&cluster, "shared");
    let module = |name: &str| dir.join(name).with_extension("so").display().to_string();
    let (node, user) = (cluster.a(), module("shared_user"));
    cluster.umc_ok(&["insmod", "--node", node, &module("shared_owner")]);
    for number in [42, 43] {
        cluster.umc_ok(&["insmod", "--node", node, &user]);
        let log = cluster.umc_ok(&["dmesg", node]);
        let line = format!("shared_user: {number} {number} {number} of the owner");
        assert!(log.contains(&line), "{log}");
        let loaded = cluster.umc_ok(&["lsmod", "--node", node]);
        assert!(loaded.contains("shared_user"), "{loaded}");
        cluster.umc_ok(&["rmmod", "--node", node, "shared_user"]);
    }
    cluster.down();
}

/// Each load begins with what DEFINE_PER_CPU says.
#[test]
fn variables_of_each_cpu_begin_as_the_source_says() {
    let cluster = Cluster::new("percpu", Layout { disk_mib: 16, ..Layout::default() });
    let module = build(&cluster, "percpu").join("percpu.so").display().to_string();
    let node = cluster.a();
    for _ in 0..2 {
        cluster.umc_ok(&["insmod", "--node", node, &module]);
        let wrong = cluster.root(node).join("sys/module/percpu/parameters/wrong");
        assert_eq!(fs::read_to_string(wrong).unwrap().trim(), "0");
        cluster.umc_ok(&["rmmod", "--node", node, "percpu"]);
    }
    cluster.down();
}

/// A record of another build is enough: what the module was compiled with says nothing itself.
#[test]
fn a_module_for_other_headers_is_refused() {
    let cluster = Cluster::new("headers", Layout { disk_mib: 16, ..Layout::default() });
    let built = cdrivers::module_dir();
    for name in ["brd.so", "brd.ko"] {
        fs::copy(built.join(name), cluster.dir.join(name)).unwrap();
    }
    let record = fs::read_to_string(built.join("brd.json")).unwrap();
    let at = record.find("\"headers\": \"").expect("built by this umc") + 12;
    let mut other = record.clone();
    other.replace_range(at..at + 4, "ffff");
    fs::write(cluster.dir.join("brd.json"), other).unwrap();
    let module = cluster.dir.join("brd.so").display().to_string();
    let output = cluster.umc(&["insmod", "--node", cluster.a(), &module]);
    let shown = text(&output);
    assert!(!output.status.success() && shown.contains("umc build brd"), "{shown}");
    fs::write(cluster.dir.join("brd.json"), record).unwrap();
    cluster.umc_ok(&["insmod", "--node", cluster.a(), &module]);
    cluster.umc_ok(&["rmmod", "--node", cluster.a(), "brd"]);
    cluster.down();
}
