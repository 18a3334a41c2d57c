// SPDX-License-Identifier: GPL-2.0-only
//! `umc cluster ssh-shim DIR`: `ssh`, `scp` and `sftp` that reach nodes, for tools that reach machines so.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::place::Place;

/// Writes the directory, which is made.
///
/// # Errors
/// There is no cluster, or the directory cannot be written to.
pub fn write(name: Option<&str>, dir: &Path) -> Result<()> {
    let place = Place::meant(name)?;
    let cannot = || format!("Cannot write {}", dir.display());
    fs::create_dir_all(dir).with_context(cannot)?;
    let dir = dir.canonicalize().with_context(cannot)?;
    let me = std::env::current_exe().context("Cannot find out where umc itself is")?;
    let base = place.dir.ancestors().nth(2).unwrap_or(&place.dir);
    let [ssh, me, base] = [&dir.join("ssh"), &me, base].map(|path| path.display().to_string());
    ensure!(
        [&ssh, &me, &base].iter().all(|path| !path.contains('\'')),
        "A shell's script cannot name {ssh}, {me} and {base}: no quotes, please"
    );
    let head = format!(
        "#!/bin/sh\n# Written by umc cluster ssh-shim: reaches nodes of cluster {}.\n",
        place.name
    );
    let ours = format!(
        "{head}UMC_RUNTIME_DIR='{base}' exec '{me}' cluster --name '{}' ssh -- \"$@\"\n",
        place.name
    );
    // OpenSSH's own programs, which talk to another of their kind over whatever -S names.
    let of_openssh = |program: &str, options: &str| {
        format!(
            "{head}[ -x /usr/bin/{program} ] || {{ echo '{program}: apt-get install openssh-client' >&2; exit 255; }}\n\
             exec /usr/bin/{program} {options}-S '{ssh}' \"$@\"\n"
        )
    };
    for (program, text) in
        [("ssh", ours), ("scp", of_openssh("scp", "-O ")), ("sftp", of_openssh("sftp", ""))]
    {
        let path = dir.join(program);
        fs::write(&path, text)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o755)))
            .with_context(cannot)?;
    }
    let nodes = place.plan()?.nodes;
    let first = nodes.first().map_or("NODE", |node| &node.name);
    println!("export PATH={}:$PATH   # then ssh {first} lsmod reaches node {first}", dir.display());
    Ok(())
}
