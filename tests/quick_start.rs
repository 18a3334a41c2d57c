// SPDX-License-Identifier: GPL-2.0-only
//! The quick start of the README is a script that runs as it stands there.
//!
//! Left out is its first block, which builds and names the place of what was built. It runs in a network namespace, since
//! its ports are not the test's own. With DRBD 9 nothing but the name of the module is another.

use std::process::Command;

use cluster::{Guard, Start, bin_dir, mesh, text};

/// The code blocks of the section, one text each.
fn blocks(page: &str, heading: &str) -> Vec<String> {
    let section = page.split(heading).nth(1).expect("the section");
    let section = section.split("\n## ").next().expect("its text");
    let mut blocks = vec![String::new()];
    for line in section.lines() {
        match line.strip_prefix("    ") {
            Some(code) => blocks.last_mut().expect("one").extend([code, "\n"]),
            None if line.is_empty() => {}
            None => blocks.push(String::new()),
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

#[test]
fn it_shows_status_sync_failover_and_the_data() {
    play("8.4", "drbd", ["peer", "peer"]);
}

#[test]
fn and_so_it_does_with_drbd_9() {
    let builds = mesh::builds();
    if builds.is_empty() {
        mesh::left_out();
    }
    for (number, dir) in builds.iter().enumerate() {
        let module = dir.join("drbd.so").display().to_string();
        play(&format!("9-{number}"), &module, ["beta", "alpha"]);
    }
}

/// Runs it with a module of DRBD. `peers` is what the other node is called, on alpha and on beta.
fn play(name: &str, module: &str, peers: [&str; 2]) {
    let dir = std::env::temp_dir().join(format!("umc-quick-start-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let guard = Guard::start(&dir);
    let page = include_str!("../README.md");
    let blocks = blocks(page, "## Quick start\n");
    assert!(blocks[0].contains("tools/setup"), "the first block: {}", blocks[0]);
    let script = blocks[1..].concat();
    assert_eq!(script.matches("--modprobe drbd\n").count(), 2, "{script}");
    let script = script.replace("--modprobe drbd\n", &format!("--modprobe {module}\n"));

    let path = format!("{}:{}", bin_dir().display(), std::env::var("PATH").unwrap_or_default());
    let output = Command::new("unshare")
        .args(["--net", "bash", "-euc", "ip link set lo up; eval \"$0\"", &script])
        .env("PATH", path)
        .env("UMC_RUNTIME_DIR", dir.join("run"))
        .env("TMPDIR", &dir)
        .env_remove("UMC_FS_ROOT")
        .run()
        .expect("it runs");
    let shown = text(&output);
    assert!(output.status.success(), "{shown}");
    let says = String::from_utf8_lossy(&output.stdout).into_owned();
    let (alpha, beta) = says.split_once("written on alpha\n").expect("the file's text");
    // Each as the Primary that it is at that time.
    for (status, peer) in [alpha, beta].into_iter().zip(peers) {
        let peer = format!("{peer} role:Secondary");
        for part in ["r0 role:Primary", "disk:UpToDate", &peer, "peer-disk:UpToDate"] {
            assert!(status.contains(part), "\"{part}\" is not in {status}\nof {shown}");
        }
    }
    // Nodes, mounts and loop devices: the script has ended them itself.
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("mounts");
    assert!(!mounts.contains(&dir.display().to_string()), "{mounts}");
    for node in ["alpha", "beta"] {
        assert!(!dir.join("run").join(node).join("node.json").exists(), "{node} runs");
    }
    drop(guard);
}
