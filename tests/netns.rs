// SPDX-License-Identifier: GPL-2.0-only
//! Two nodes, each in a network namespace of its own: they replicate, notice that the link between them went down, and
//! resync when it is back.

use std::fs;
use std::os::unix::fs::FileExt;
use std::process::Command;

use cluster::{Cluster, Layout, Namespace, Start, text};

#[test]
fn a_link_goes_down_and_comes_back() {
    // Dead peers are noticed by DRBD's own pings, sooner than by default.
    let net = "ping-int 1; ping-timeout 5; connect-int 1;".into();
    let cluster = Cluster::new("netns", Layout { disk_mib: 16, net, ..Layout::default() });
    let (a, b) = (cluster.a(), cluster.b());
    let spaces = [Namespace::new(), Namespace::new()];
    let [one, other] = &spaces;
    one.ip(&format!("link add veth0 type veth peer name veth0 netns {}", other.pid()));
    let conf = fs::read_to_string(cluster.conf()).unwrap();
    // No need to leave out the check of addresses: each node has its own.
    let conf = conf.replace("127.0.0.", "10.11.12.").replace("disable-ip-verification;", "");
    fs::write(cluster.conf(), conf).unwrap();
    for (index, (space, node)) in spaces.iter().zip([a, b]).enumerate() {
        space.ip(&format!("address add 10.11.12.{}/24 dev veth0", index + 1));
        space.ip("link set veth0 up");
        cluster.stop(node);
        let disk = format!("low0=file/{}", cluster.image(node, 0).display());
        let args = ["start", node, "--modprobe", "drbd", "--disk", &disk, "--netns", &space.file()];
        cluster.umc_ok(&args);
        // A program on the node is in its network.
        let seen = text(&cluster.on(node, &["readlink", "/proc/self/ns/net"]));
        let wanted = fs::read_link(space.file()).unwrap().display().to_string();
        assert!(seen.contains(&wanted), "{seen}");
        // Who cannot see which network that is does not run in the wrong one.
        let umc = cluster.command_on(node, &["echo", "ran"]);
        let blind = Command::new("setpriv")
            .args(["--bounding-set", "-sys_ptrace", "--inh-caps", "-sys_ptrace", "--"])
            .arg(umc.get_program())
            .args(umc.get_args())
            .env("UMC_RUNTIME_DIR", cluster.dir.join("run"))
            .run()
            .unwrap();
        assert!(!blind.status.success(), "{}", text(&blind));
        let pid = cluster.pid(node).unwrap().to_string();
        for part in [node, &pid, "Permission denied", "Run umc as root"] {
            assert!(text(&blind).contains(part), "no {part}: {}", text(&blind));
        }
        cluster.adm(node, &["create-md", "--force", "r0"]);
        cluster.adm(node, &["up", "r0"]);
    }
    cluster.await_connected(a);
    cluster.adm(a, &["primary", "--force", "r0"]);
    cluster.await_dstate("UpToDate/UpToDate");
    // What the tools keep is not shared: each node has written down its own minor.
    for node in [a, b] {
        let state = cluster.dir.join("run").join(node).join("state/lib-drbd");
        assert!(fs::read_dir(&state).unwrap().count() > 0, "nothing in {}", state.display());
    }

    one.ip("link set veth0 down");
    let device = fs::File::options().write(true).open(cluster.device(a, 0)).unwrap();
    device.write_all_at(&[0xab; 128 << 10], 1 << 20).unwrap();
    device.sync_all().unwrap();
    cluster.await_events(a, |_| cluster.adm(a, &["cstate", "r0"]) == "WFConnection", "the loss");
    cluster.await_events(b, |_| cluster.adm(b, &["cstate", "r0"]) == "WFConnection", "the loss");
    one.ip("link set veth0 up");
    cluster.await_dstate("UpToDate/UpToDate");
    assert!(cluster.umc_ok(&["dmesg", b]).contains("SyncTarget"), "nothing was resynced");
    drop(device);
    cluster.down();
    let mut found = vec![0; 128 << 10];
    fs::File::open(cluster.image(b, 0)).unwrap().read_exact_at(&mut found, 1 << 20).unwrap();
    assert!(found.iter().all(|byte| *byte == 0xab), "the peer lacks what was written meanwhile");
}
