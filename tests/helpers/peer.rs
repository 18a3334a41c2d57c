// SPDX-License-Identifier: GPL-2.0-only
//! A peer that is gone.

use cluster::Layout;

use crate::Handled;

#[test]
fn fence_peer_outdates_the_peer() {
    let disk = "c-plan-ahead 0; resync-rate 1G; fencing resource-only;".to_owned();
    let cluster = Handled::new("h-fence", Layout { disk, ..Layout::default() });
    let a = cluster.a();
    cluster.exit_with("fence-peer", 4);
    let hold = cluster.hold("fence-peer");
    cluster.kill(cluster.b());
    let states = cluster.await_handler("fence-peer", a);
    assert!(states.starts_with("Primary/Unknown "), "{states}");
    // Exit status 4, "the peer was outdated", is not known before the handler ends.
    assert_eq!(cluster.adm(a, &["dstate", "r0"]), "UpToDate/DUnknown");
    drop(hold);
    cluster.await_event(a, "peer-disk:Outdated");
    cluster.write(a, 0x42, 65536);
    let log = cluster.umc_ok(&["dmesg", a]);
    assert!(log.contains("fence-peer helper returned 4 (peer was fenced)"), "{log}");
}

/// A Primary without good data of its own loses the peer that served it.
#[test]
fn no_good_data_left() {
    let cluster = Handled::new("h-incon", Layout::default());
    let a = cluster.a();
    cluster.adm(a, &["detach", "r0"]);
    cluster.write(a, 1, 0);
    assert!(!cluster.handled().contains("pri-on-incon-degr"));
    cluster.exit_with("pri-on-incon-degr", 9);
    cluster.kill(cluster.b());
    let states = cluster.await_handler("pri-on-incon-degr", a);
    assert!(states.starts_with("Primary/Unknown "), "{states}");
    assert!(states.contains(" Diskless/DUnknown, "), "{states}");
    cluster.await_exit("pri-on-incon-degr", a, 9);
}
