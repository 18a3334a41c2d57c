// SPDX-License-Identifier: GPL-2.0-only
//! The logs of a cluster in one folder, for who wants to know why a test failed.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use umc_protocol::node;

use super::live::Live;

/// Writes into the folder, which is made: `drbd.conf`, `keeper.log`, and of each node its log, its kernel log and what DRBD says.
///
/// # Errors
/// The folder cannot be written to. What a node does not say any more is left out.
pub fn save(live: &Live, folder: &Path) -> Result<()> {
    let cannot = || format!("Cannot write the logs into {}", folder.display());
    fs::create_dir_all(folder).with_context(cannot)?;
    fs::copy(live.place.conf(), folder.join("drbd.conf")).with_context(cannot)?;
    let _ = fs::copy(live.place.log(), folder.join("keeper.log"));
    for (at, of) in live.plan.nodes.iter().enumerate() {
        let dir = live.place.node(&of.name);
        for (from, to) in [(node::LOG.to_owned(), "log"), (format!("{}.1", node::LOG), "log.1")] {
            let _ = fs::copy(dir.join(from), folder.join(format!("{}.{to}", of.name)));
        }
        let said = [
            ("dmesg", live.umc(at, &["dmesg", &of.name])),
            ("status", live.on(at, &["drbdsetup", "status", "--verbose", "--statistics"])),
        ];
        for (what, text) in said {
            if let Ok(text) = text {
                fs::write(folder.join(format!("{}.{what}", of.name)), text).with_context(cannot)?;
            }
        }
    }
    Ok(())
}
