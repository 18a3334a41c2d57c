// SPDX-License-Identifier: GPL-2.0-only
//! `umc cluster`: clusters in one command, what is done to them, and that nothing of them stays behind. [`ssh`]: tools that reach
//! machines by ssh reach its nodes.

mod browser;
mod host;
mod ssh;
mod web;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use cluster::{Guard, Start, Watch, eventually, mesh, text};
use host::{Host, keeper, kill, processes};
use serde_json::Value;

/// What `umc metrics` answers a scraper.
fn scraped(host: &Host) -> String {
    let mut server = Watch::start(host.command(&["metrics", "--listen", "127.0.0.1:0"]));
    let line = server.until("http://");
    let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next()).unwrap();
    let ask = |path: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: umc\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(ask("/").starts_with("HTTP/1.1 404"));
    let answer = ask("/metrics");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    answer
}

const RING: &str = r#"
nodes = ["alpha", "beta", "gamma"]
driver = "drbd"
disk.size = "16M"
# Dead peers are noticed by DRBD's own pings, sooner than by default.
drbd.net = "ping-int 1; ping-timeout 5; connect-int 1;"
"#;

#[test]
fn the_life_of_a_cluster() {
    let host = Host::new(true);
    let _guard = Guard::start(&host.dir);
    fs::write(host.dir.join("ring.toml"), RING).unwrap();
    let summary = host.ok(&["cluster", "up", "ring.toml"]);
    for part in ["a ring of pairs", "umc cluster exec alpha -- drbdadm primary r0", "/dev/drbd0"] {
        assert!(summary.contains(part), "no {part}: {summary}");
    }
    let table = host.ok(&["cluster", "status"]);
    assert_eq!(table.lines().count(), 7, "{table}");
    assert!(table.contains("gamma:Established") && host.is_in_sync(), "{table}");
    // No address and no interface of it is outside; inside, each node has its own, and knows the others by name.
    let outside = text(&Command::new("ip").args(["-brief", "address"]).run().unwrap());
    assert!(!outside.contains("10.77.0."), "{outside}");
    let inside = host.on("beta", "hostname; ip -brief address; getent hosts gamma; cat /proc/drbd");
    for part in ["beta\n", "10.77.0.2/24", "10.77.0.3", "version: 8.4"] {
        assert!(inside.contains(part), "no {part}: {inside}");
    }
    // Who types only `umc` is told of it, and a shell completes its names.
    let welcome = host.ok(&[]);
    for part in ["Cluster default is up", "umc cluster status", "umc cluster shell alpha"] {
        assert!(welcome.contains(part), "no {part}: {welcome}");
    }
    let offered = |words: &[&str]| {
        let mut umc = host.command(&["--", "umc"]);
        let at = words.len().to_string();
        umc.args(words).env("COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", at);
        text(&umc.env("_CLAP_IFS", " ").run().unwrap())
    };
    assert!(offered(&["cluster", "kill", ""]).contains("alpha beta gamma"));
    assert!(offered(&["cluster", "--name", "d"]).contains("default"));
    assert!(offered(&["cluster", "exec", "beta", "--", "drbdadm", "adj"]).contains("adjust"));
    assert!(offered(&["cluster", "exec", "beta", "--", "drbdadm", "up", "r"]).contains("r0 r1 r2"));
    // Written on one node, read on another, by the commands that the summary shows.
    host.on("alpha", "drbdadm primary r0; echo hello | dd of=/dev/drbd0 bs=4k conv=sync status=none; drbdadm secondary r0");
    assert_eq!(
        host.on("beta", "drbdadm primary r0; head -n 1 /dev/drbd0; drbdadm secondary r0"),
        "hello\n"
    );
    // A crash.
    host.ok(&["cluster", "kill", "beta"]);
    eventually("alpha misses beta", || host.connection("alpha", "beta") != "Connected");
    let table = host.ok(&["cluster", "status"]);
    assert!(table.lines().any(|line| line.starts_with("beta") && line.contains("dead")), "{table}");
    host.fails(&["cluster", "exec", "beta", "--", "true"], &["beta", "umc cluster start beta"]);
    assert!(host.ok(&["cluster", "start", "beta"]).contains("connected"));
    assert!(host.is_in_sync(), "{}", host.ok(&["cluster", "status"]));
    // A cable is pulled: the two ends lose each other, and nobody else.
    assert!(host.ok(&["cluster", "link", "cut", "alpha", "beta"]).contains("alpha -- beta: cut"));
    eventually("they lose each other", || {
        host.connection("alpha", "beta") != "Connected"
            && host.connection("beta", "alpha") != "Connected"
    });
    assert_eq!(host.connection("alpha", "gamma"), "Connected");
    assert_eq!(host.connection("beta", "gamma"), "Connected");
    host.on("alpha", "drbdadm primary r0; echo meanwhile | dd of=/dev/drbd0 bs=4k conv=sync,fsync status=none; drbdadm secondary r0");
    // The picture has all of it, with what was done between two looks.
    let top = host.ok(&["top", "--once", "--interval", "0.1", "--latency"]);
    for part in ["alpha -- beta  cut", "r0/0", "UpToDate", "WRITES/s", "gamma:Established"] {
        assert!(top.contains(part), "no {part}: {top}");
    }
    let json: Value = serde_json::from_str(&host.ok(&[
        "top",
        "--once",
        "--json",
        "-n",
        "beta",
        "--interval",
        "0.1",
    ]))
    .unwrap();
    assert_eq!(json["nodes"].as_array().unwrap().len(), 1, "{json}");
    let peers = json["nodes"][0]["resources"].to_string();
    assert!(peers.contains(r#""name":"alpha""#) && peers.contains(r#""name":"gamma""#), "{peers}");
    host.fails(&["top"], &["no terminal", "--once"]);
    let metrics = scraped(&host);
    for part in [
        r#"drbd_resource_role{node="alpha",cluster="default",name="r0",drbd_resource_role="Secondary"} 1"#,
        r#"drbd_resource_role{node="alpha",cluster="default",name="r0",drbd_resource_role="Primary"} 0"#,
        r#"drbd_device_size_bytes{node="gamma""#,
        r#"umc_link_cut{cluster="default",a="alpha",b="beta"} 1"#,
        r#"umc_disk_written_bytes_total{node="alpha",cluster="default",disk="drbd0"}"#,
        "# TYPE drbd_peerdevice_sent_bytes counter",
    ] {
        assert!(metrics.contains(part), "no {part}: {metrics}");
    }
    // It is back, late and with losses, and is good enough for a resync.
    host.ok(&["cluster", "link", "slow", "alpha", "beta", "--delay", "2ms", "--rate", "50M"]);
    let links = host.ok(&["cluster", "link", "lossy", "beta", "alpha", "--loss", "1%"]);
    assert!(links.contains("alpha -- beta: 2 ms late, 50 Mbit/s, 1 % lost"), "{links}");
    eventually("the resync", || host.is_in_sync());
    assert!(host.ok(&["cluster", "link", "heal"]).contains("All links are whole"));
    host.fails(
        &["cluster", "link", "cut", "alpha", "delta"],
        &["no node delta", "alpha, beta, gamma"],
    );
    // Programs on nodes do not hold it up, and its disks stay.
    let mut sleeper = host.command(&["cluster", "exec", "gamma", "--", "sleep", "1000"]);
    let mut sleeper = sleeper.stdin(Stdio::null()).start().unwrap();
    host.fails(&["cluster", "up"], &["default", "umc cluster down"]);
    let down = host.umc(&["cluster", "down", "--keep"]);
    assert!(down.status.success(), "{}", text(&down));
    assert!(!sleeper.wait().unwrap().success());
    assert!(processes(&host.clusters().display().to_string()).is_empty());
    host.fails(&["cluster", "up", "2"], &["kept", "umc cluster down"]);
    host.ok(&["cluster", "up"]);
    assert_eq!(
        host.on("beta", "drbdadm primary r0; head -n 1 /dev/drbd0; drbdadm secondary r0"),
        "meanwhile\n"
    );
    // What was kept once stays whatever happens, until it is taken down for good.
    kill(&keeper(&host.clusters().join("default"), "keeper"));
    eventually("it is down", || {
        host.ok(&["cluster", "ls"]).contains("kept")
            && processes(&host.clusters().display().to_string()).is_empty()
    });
    assert!(host.ok(&["ls"]).contains("Clusters: default"));
    host.ok(&["cluster", "down"]);
    host.is_clean();
    host.fails(&["cluster", "status"], &["no cluster", "umc cluster up"]);
}

#[test]
fn clusters_side_by_side_and_killed_commands() {
    let host = Host::new(true);
    let _guard = Guard::start(&host.dir);
    let up = |name: &str| {
        host.command(&["cluster", "up", "2", "--driver", "drbd", "--name", name])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .start()
            .unwrap()
    };
    let both: Vec<Child> = ["one", "other"].map(up).into();
    both.into_iter().for_each(|mut up| assert!(up.wait().unwrap().success()));
    host.fails(&["cluster", "status"], &["one, other", "--name"]);
    // The same names, addresses and minors, and neither sees the other.
    let on = |name: &str, script: &str| {
        host.ok(&["cluster", "--name", name, "exec", "n1", "--", "sh", "-ec", script])
    };
    on("one", "drbdadm primary r0");
    assert_eq!(on("one", "drbdadm role r0").trim(), "Primary/Secondary");
    assert_eq!(on("other", "drbdadm role r0").trim(), "Secondary/Secondary");
    // From a node its own cluster is the one that is meant.
    assert!(on("other", "umc cluster status").contains("Secondary"));
    // The sweeper is killed: another takes its place. The keeper is: all of that cluster is gone, and nothing of the other.
    let sweeper = keeper(&host.clusters().join("one"), "sweeper");
    kill(&sweeper);
    eventually("another sweeper", || keeper(&host.clusters().join("one"), "sweeper") != sweeper);
    kill(&keeper(&host.clusters().join("one"), "keeper"));
    eventually("one is gone", || !host.clusters().join("one").exists());
    assert!(host.is_in_sync());
    host.ok(&["cluster", "down"]);
    // A command that is killed on the way leaves nothing.
    let mut third = up("third");
    eventually("it has begun", || host.clusters().join("third/run/n2/log").exists());
    kill(&third.id().to_string());
    let _ = third.wait();
    host.is_clean();
}

#[test]
fn a_cluster_for_one_command() {
    let host = Host::new(true);
    let _guard = Guard::start(&host.dir);
    fs::write(
        host.dir.join("two.toml"),
        "nodes = 2\ndriver = 'drbd'\ndisk = { size = '8M', handler = 'ram' }\n",
    )
    .unwrap();
    let script =
        "set -e; umc cluster exec n1 -- drbdadm dstate r0; umc cluster exec n2 -- umc ls; exit 3";
    let run = host.umc(&["cluster", "run", "two.toml", "--logs", "logs", "--", "sh", "-c", script]);
    assert_eq!(run.status.code(), Some(3), "{}", text(&run));
    assert!(text(&run).contains("UpToDate/UpToDate"), "{}", text(&run));
    for file in ["drbd.conf", "n1.log", "n2.dmesg", "n2.status"] {
        assert!(
            host.dir.join("logs").join(file).metadata().is_ok_and(|of| of.len() > 0),
            "no {file}"
        );
    }
    host.is_clean();
    // What is offered to begin with succeeds.
    let example = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ci");
    let [file, test] =
        ["pair.toml", "failover.sh"].map(|of| example.join(of).display().to_string());
    let run = host.umc(&["cluster", "run", &file, "--", &test]);
    assert!(run.status.success(), "{}", text(&run));
    host.is_clean();
    // Killed, with a command that runs on the host, and one that runs on a node.
    let script = "umc cluster exec n1 -- sleep 1000 & sleep 1001";
    let mut run = host
        .command(&["cluster", "run", "two.toml", "--name", "killed", "--", "sh", "-c", script])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .start()
        .unwrap();
    let sleeps = || {
        let spaces = fs::read_dir("/proc").unwrap().flatten();
        spaces
            .filter(|entry| {
                fs::read(entry.path().join("cmdline")).is_ok_and(|line| line == b"sleep\x001000\0")
            })
            .count()
    };
    eventually("the command runs", || sleeps() == 1);
    kill(&run.id().to_string());
    let _ = run.wait();
    host.is_clean();
    eventually("what it ran on a node is gone", || sleeps() == 0);
}

#[test]
fn as_another_user() {
    let host = Host::new(false);
    let _guard = Guard::start(&host.dir);
    let may = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "unshare", "-Urnm", "true"])
        .run()
        .unwrap();
    if !may.status.success() {
        // It says what is missing.
        host.fails(&["cluster", "up", "2", "--driver", "drbd"], &["user namespace"]);
        host.is_clean();
        return;
    }
    host.ok(&["cluster", "up", "2", "--driver", "drbd"]);
    assert!(host.is_in_sync());
    host.on("n1", "drbdadm primary r0; echo mine | dd of=/dev/drbd0 bs=4k conv=sync status=none; drbdadm secondary r0");
    assert_eq!(host.on("n2", "drbdadm primary r0; head -n 1 /dev/drbd0"), "mine\n");
    host.ok(&["cluster", "link", "slow", "n1", "n2", "--delay", "1ms"]);
    for top in [
        host.ok(&["top", "--once", "--interval", "0.1"]),
        host.on("n1", "umc top --once --interval 0.1"),
    ] {
        assert_eq!(top.matches("drbd0").count(), 2, "{top}");
    }
    host.ok(&["cluster", "kill", "n1"]);
    host.ok(&["cluster", "start", "n1"]);
    host.ok(&["cluster", "down"]);
    host.is_clean();
}

#[test]
fn a_mesh_of_drbd_9() {
    let Some(build) = mesh::builds().into_iter().next() else { return mesh::left_out() };
    let host = Host::new(true);
    let _guard = Guard::start(&host.dir);
    let driver = build.join("drbd.so").display().to_string();
    let text =
        format!("nodes = 5\ndriver = {driver:?}\ndisk.size = '8M'\n[node.n5]\ndiskless = true\n");
    fs::write(host.dir.join("mesh.toml"), text).unwrap();
    let summary = host.ok(&["cluster", "up", "mesh.toml"]);
    assert!(summary.contains("a mesh") && summary.contains("5 nodes, DRBD 9"), "{summary}");
    // A node without a disk has nothing to flush, and its buffers can be.
    host.on(
        "n5",
        "blockdev --flushbufs /dev/drbd0; echo far | dd of=/dev/drbd0 bs=4k conv=sync status=none",
    );
    assert_eq!(host.on("n2", "head -n 1 /dev/drbd0"), "far\n");
    host.ok(&["cluster", "down"]);
    host.is_clean();
}
