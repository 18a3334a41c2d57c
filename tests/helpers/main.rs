//! The driver's usermode helper: configured handlers run, reach their own node with stock tools, and the driver waits
//! for them and acts on their exit status.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};

use cluster::{Cluster, Layout, eventually};

const HANDLERS: [&str; 8] = [
    "before-resync-target",
    "after-resync-target",
    "split-brain",
    "initial-split-brain",
    "fence-peer",
    "unfence-peer",
    "local-io-error",
    "pri-lost-after-sb",
];

/// A cluster whose handlers write down who called them, and what a stock tool says there meanwhile.
fn with_handlers(name: &str, fence_status: u8) -> Cluster {
    let net = "verify-alg crc32c; max-buffers 2048;".to_owned();
    let disk = "c-plan-ahead 0; resync-rate 1G; fencing resource-only;".to_owned();
    let cluster = Cluster::new(name, Layout { net, disk, ..Layout::default() });
    let script = cluster.dir.join("handler");
    let log = cluster.dir.join("handled");
    fs::write(&log, "").expect("the log");
    let text = format!(
        "#!/bin/sh\n\
         # VERB: what ran, where, and what the node itself says; one line, written at once.\n\
         role=$(drbdsetup role \"${{DRBD_MINOR:-0}}\" 2>&1)\n\
         state=$(drbdsetup cstate \"${{DRBD_MINOR:-0}}\" 2>&1)\n\
         echo \"$1 on $(hostname) of $DRBD_RESOURCE: $role $state\" >> {}\n\
         [ $1 = fence-peer ] && exit {fence_status}\n\
         exit 0\n",
        log.display()
    );
    fs::write(&script, text).expect("the handler");
    fs::set_permissions(&script, Permissions::from_mode(0o755)).expect("the handler");
    let lines: Vec<String> = HANDLERS
        .iter()
        .map(|verb| format!("    {verb} \"{} {verb}\";\n", script.display()))
        .collect();
    let conf = fs::read_to_string(cluster.conf()).expect("drbd.conf");
    let conf =
        conf.replacen("  net {", &format!("  handlers {{\n{}  }}\n  net {{", lines.concat()), 1);
    fs::write(cluster.conf(), conf).expect("drbd.conf");
    // The driver runs drbdadm without a configuration file; here it is not the system's.
    let helper = cluster.dir.join("helper");
    fs::write(&helper, format!("#!/bin/sh\nexec drbdadm -c {} \"$@\"\n", cluster.conf().display()))
        .expect("helper");
    fs::set_permissions(&helper, Permissions::from_mode(0o755)).expect("helper");
    for node in &cluster.nodes {
        let parameter = cluster.root(node).join("sys/module/drbd/parameters/usermode_helper");
        fs::write(parameter, helper.display().to_string()).expect("the parameter");
        cluster.adm(node, &["create-md", "--force", "r0"]);
        cluster.adm(node, &["up", "r0"]);
    }
    cluster.nodes.iter().for_each(|node| cluster.await_connected(node));
    cluster.adm(cluster.a(), &["new-current-uuid", "--clear-bitmap", "r0/0"]);
    cluster.await_dstate("UpToDate/UpToDate");
    cluster.adm(cluster.a(), &["primary", "r0"]);
    cluster
}

fn handled(cluster: &Cluster) -> String {
    fs::read_to_string(cluster.dir.join("handled")).expect("the log")
}

/// Waits for a line of the handlers' log: the line.
fn await_handled(cluster: &Cluster, start: &str) -> String {
    let found = || handled(cluster).lines().find(|line| line.starts_with(start)).map(str::to_owned);
    eventually(start, || found().is_some());
    found().expect("it is there")
}

fn write(cluster: &Cluster, node: &str, byte: u8) {
    let device =
        File::options().write(true).open(cluster.device(node, 0)).expect("the device opens");
    device.write_all_at(&[byte; 4096], 65536).and_then(|()| device.sync_all()).expect("a write");
}

#[test]
fn resync_target() {
    let cluster = with_handlers("h-sync", 4);
    let b = cluster.b().to_owned();
    cluster.adm(&b, &["invalidate", "r0"]);
    // The driver waits: while the handler before it looks, the resync has not begun.
    let before = await_handled(&cluster, "before-resync-target");
    assert!(
        before.starts_with(&format!("before-resync-target on {b} of r0: Secondary/Primary WF")),
        "{before}"
    );
    let after = await_handled(&cluster, "after-resync-target");
    assert!(
        after
            .starts_with(&format!("after-resync-target on {b} of r0: Secondary/Primary Connected")),
        "{after}"
    );
    cluster.await_dstate("UpToDate/UpToDate");
    cluster.down();
}

#[test]
fn fence_peer_outdates_the_peer() {
    let cluster = with_handlers("h-fence", 4);
    let a = cluster.a().to_owned();
    cluster.kill(cluster.b());
    let fence = await_handled(&cluster, "fence-peer");
    assert!(fence.starts_with(&format!("fence-peer on {a} of r0: Primary/Unknown")), "{fence}");
    // Exit status 4: the peer was outdated.
    cluster.await_event(&a, "peer-disk:Outdated");
    write(&cluster, &a, 0x42);
    let log = cluster.umc_ok(&["dmesg", &a]);
    assert!(log.contains("fence-peer helper returned 4 (peer was fenced)"), "{log}");
}

#[test]
fn split_brain() {
    let cluster = with_handlers("h-split", 4);
    let (a, b) = (cluster.a().to_owned(), cluster.b().to_owned());
    cluster.adm(&b, &["disconnect", "r0"]);
    write(&cluster, &a, 1);
    cluster.adm(&b, &["primary", "--force", "r0"]);
    write(&cluster, &b, 2);
    cluster.adm(&b, &["secondary", "r0"]);
    cluster.adm(&b, &["connect", "r0"]);
    await_handled(&cluster, "split-brain on");
    let seen = handled(&cluster);
    assert!(seen.contains("initial-split-brain on"), "{seen}");
    eventually("both sides refuse", || {
        cluster.nodes.iter().any(|node| cluster.adm(node, &["cstate", "r0"]) == "StandAlone")
    });
}
