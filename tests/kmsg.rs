// SPDX-License-Identifier: GPL-2.0-only
//! The node's kernel log through the stock programs: `/dev/kmsg` and dmesg(1).

use std::process::Command;

use cluster::{Cluster, Layout, Start, text};

#[test]
fn lines_for_the_kernel_log_land_in_the_nodes() {
    let cluster = Cluster::new("kmsg", Layout { disk_mib: 16, ..Layout::default() });
    let (a, b) = (cluster.a(), cluster.b());
    let token = format!("a line of {}", std::process::id());
    let on = |script: &str| {
        let output = cluster.on(a, &["sh", "-c", script]);
        assert!(output.status.success(), "{script}: {}", text(&output));
        text(&output)
    };
    on(&format!("echo '<3>{token} by a shell' > /dev/kmsg; echo {token} again | tee /dev/kmsg"));
    for log in [cluster.umc_ok(&["dmesg", a]), on("dmesg"), on("timeout 30 cat /dev/kmsg")] {
        assert!(log.contains(&format!("{token} by a shell")), "{log}");
        assert!(log.contains(&format!("{token} again")), "{log}");
        assert!(log.contains("drbd: initialized"), "{log}");
    }
    assert!(on("dmesg --level err").contains("by a shell"));
    // Neither the other node's nor the host's, which is not to be cleared, either.
    assert!(!cluster.umc_ok(&["dmesg", b]).contains(&token));
    let host = Command::new("dmesg").run().unwrap();
    assert!(!text(&host).contains(&token));
    assert!(!cluster.on(a, &["dmesg", "--clear"]).status.success());
}
