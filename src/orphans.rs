// SPDX-License-Identifier: GPL-2.0-only
//! Programs that a node which was killed left behind: usermode helpers and what they started, told by a variable of their
//! environment.
//!
//! On a machine they end with its power. Here they go on, and would act on the next node of this root, so that ends them
//! first.

use std::fs;
use std::path::Path;

use umc_protocol::node::HELPER_OF;
use umc_protocol::process::{self, Process};

/// How long one that was killed is waited for.
const PATIENCE_MS: u16 = 2000;

/// How often all processes are looked at: one of them may have started another one meanwhile.
const ROUNDS_MAX: usize = 10;

/// Ends them; but for one that starts this node, and waits for it.
pub fn end(root: &Path) {
    let spared = lineage();
    (0..ROUNDS_MAX).find(|_| end_those_of(root, &spared) == 0);
}

/// Ends the helpers that are there: how many.
fn end_those_of(root: &Path, spared: &[i32]) -> usize {
    let mut ended = 0;
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()) {
        // The variable tells a helper from other programs that use the node.
        if spared.contains(&pid) || !process::is_of_node(pid, HELPER_OF, root) {
            continue;
        }
        let (name, of) = (process::name(pid), "a helper of a node that was killed");
        let process = Process::of_program(pid, HELPER_OF, root);
        let is_gone = process.and_then(|process| match process {
            Some(process) => process.end(libc::SIGKILL, PATIENCE_MS),
            None => Ok(true),
        });
        match is_gone {
            Ok(true) => {
                ended += 1;
                tracing::info!("ended {name} ({pid}), {of}")
            }
            Ok(false) => tracing::warn!("{name} ({pid}), {of}, was killed and does not end"),
            Err(error) => tracing::warn!("cannot end {name} ({pid}), {of}: {error}"),
        }
    }
    ended
}

/// This process, its parent, and so on.
fn lineage() -> Vec<i32> {
    let parent_of = |pid: &i32| {
        let parent = process::stat_field(*pid, 4)?;
        i32::try_from(parent).ok().filter(|pid| *pid > 0)
    };
    std::iter::successors(Some(std::process::id().cast_signed()), parent_of).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};

    use super::*;

    const ROOT: &str = "/no-such-root/of-orphans";

    /// Run by the next test as a helper that starts its node again.
    #[test]
    #[ignore = "ends what it starts"]
    fn starts_the_node() {
        // Some are met in the middle of their exec.
        for _ in 0..100 {
            // Ends with this process, whatever comes of it.
            let mut left = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
            end(Path::new(ROOT));
            assert_eq!(left.try_wait().unwrap().unwrap().signal(), Some(libc::SIGKILL));
        }
    }

    #[test]
    fn who_starts_the_node_again_is_spared() {
        let mut helper = Command::new(std::env::current_exe().unwrap());
        helper.args(["--exact", "orphans::tests::starts_the_node", "--ignored"]);
        let output = helper.env(HELPER_OF, ROOT).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
    }
}
