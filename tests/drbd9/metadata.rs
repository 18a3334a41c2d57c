// SPDX-License-Identifier: GPL-2.0-only
//! Metadata under the tools that look at it while nothing runs.

use std::fs;

use cluster::{Mesh, MeshLayout, text};

use crate::{read, write};

#[test]
fn metadata_is_dumped_restored_and_converted() {
    let Some(mesh) = Mesh::in_sync("meta9", MeshLayout { nodes: 2, ..MeshLayout::default() })
    else {
        return;
    };
    write(&mesh, 0, 0, 3).unwrap();
    for node in &mesh.cluster.nodes {
        mesh.cluster.adm(node, &["down", "r0"]);
    }
    let node = mesh.node(0);
    let meta = |version: &str, words: &[&str]| {
        let mut command = vec!["drbdmeta", "--force", "0", version, "/dev/low0", "internal"];
        command.extend(words);
        let output = mesh.cluster.on(node, &command);
        assert!(output.status.success(), "{words:?}: {}", text(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    // What the last Primary left open belongs to its activity log.
    meta("v09", &["apply-al"]);
    let dump = meta("v09", &["dump-md"]);
    assert!(dump.contains("version \"v09\";") && dump.contains("peer[0]"), "{dump}");
    let file = mesh.cluster.dir.join("dump");
    fs::write(&file, &dump).unwrap();
    meta("v09", &["wipe-md"]);
    let gone = mesh.cluster.try_adm(node, &["dump-md", "r0"]);
    assert!(!gone.status.success(), "{}", text(&gone));
    meta("v09", &["restore-md", &file.display().to_string()]);
    let identity = |dump: &str| {
        let line = |line: &&str| line.contains("current-uuid") || line.contains("la-size-sect");
        dump.lines().filter(line).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(identity(&meta("v09", &["dump-md"])), identity(&dump));
    // To the metadata of the release before, and back.
    meta("v08", &["create-md"]);
    let older = meta("v08", &["dump-md"]);
    assert!(older.contains("version \"v08\";"), "{older}");
    meta("v09", &["create-md", "1"]);
    assert!(meta("v09", &["dump-md"]).contains("version \"v09\";"));
    for node in &mesh.cluster.nodes {
        mesh.cluster.adm(node, &["up", "r0"]);
    }
    mesh.await_connected();
    assert_eq!(read(&mesh, 1, 0), [3; 4096]);
    mesh.cluster.adm(node, &["down", "r0"]);
}
