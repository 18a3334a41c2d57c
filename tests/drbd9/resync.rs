// SPDX-License-Identifier: GPL-2.0-only
//! What a resync sends, and leaves out.

use cluster::{Mesh, MeshLayout};

use crate::{dmesg, read, shown};

/// Blocks that were written with what they held are compared, and not sent.
#[test]
fn checksums_save_what_is_the_same() {
    let net = "csums-alg sha1;".into();
    let Some(mesh) = Mesh::in_sync("csums", MeshLayout { nodes: 2, net, ..MeshLayout::default() })
    else {
        return;
    };
    let copy = |from: &str, seek: &str, count: &str| {
        let (from, seek, count) =
            (format!("if={from}"), format!("seek={seek}"), format!("count={count}"));
        shown(&mesh, 0, &["dd", &from, "of=/dev/drbd0", "bs=1M", &seek, &count, "oflag=direct"]);
    };
    mesh.cluster.adm(mesh.node(0), &["disconnect", "r0"]);
    // Zeroes are there already.
    copy("/dev/zero", "0", "3");
    copy("/dev/urandom", "3", "1");
    mesh.cluster.adm(mesh.node(0), &["connect", "r0"]);
    mesh.await_up_to_date();
    let log = dmesg(&mesh, 1);
    let wanted = "75 % had equal checksums, eliminated: 3072K; transferred 1024K total 4096K";
    assert!(log.contains(wanted), "{log}");
    assert_ne!(read(&mesh, 1, 3 << 20), [0; 4096]);
    mesh.down_and_compare();
}
