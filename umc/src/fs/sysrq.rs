// SPDX-License-Identifier: GPL-2.0-only
//! The magic SysRq key.
//!
//! C header: none; the keys of `/proc/sysrq-trigger`.
//! Guarantees kept: `b` and `o` end the node at once, as the loss of its power does: nothing is taken down, written back
//! or unmounted, and what it runs on the host is killed with it; `c` is a panic.
//! Differs from Linux: keys for what a node does not have (keyboards, consoles, host memory) only say so. `s` has nothing
//! to do: a node keeps no dirty data. Only the first byte of a write counts, as before Linux 6.7.
//! Used by DRBD for: the handlers of drbd.conf, whose stock examples end in `echo b > /proc/sysrq-trigger`.

use std::ffi::c_int;

use crate::errno::Result;
use crate::kernel::Kernel;
use crate::kprintln;
use crate::printk::Level;
use crate::{bug, sched, sys, tree, umh};

const FILE: &str = "/proc/sysrq-trigger";

/// Exit status of a node that was reset or switched off from inside.
pub const EXIT_POWER: c_int = 72;

/// Adds `/proc/sysrq-trigger`.
///
/// # Errors
/// `EEXIST`.
pub fn install(kernel: &'static Kernel) -> Result<()> {
    let store = move |keys: &str| {
        if let Some(key) = keys.chars().next() {
            press(kernel, key);
        }
        Ok(())
    };
    kernel.tree.add_file(FILE, 0o200, tree::attr(String::new, store))
}

fn press(kernel: &'static Kernel, key: char) {
    let say = |line: &str| kprintln!(kernel => Level::Info, "sysrq: {line}");
    match key {
        'b' => {
            say("Resetting");
            power_loss(kernel)
        }
        'o' => {
            say("Power Off");
            power_loss(kernel)
        }
        'c' => {
            say("Trigger a crash");
            bug::die("Kernel panic - not syncing: sysrq triggered crash", "press")
        }
        's' => say("Emergency Sync: a node keeps nothing back that is to be written"),
        't' => show(kernel, "Show State", |_| true),
        'w' => show(kernel, "Show Blocked State", |task| {
            task.state & sys::TASK_UNINTERRUPTIBLE != 0 && task.state & sys::TASK_NOLOAD == 0
        }),
        '\n' => {}
        _ => say(
            "HELP : reboot(b) crash(c) poweroff(o) sync(s) show-task-states(t) show-blocked-tasks(w)",
        ),
    }
}

fn show(kernel: &'static Kernel, what: &str, wanted: impl Fn(&sched::TaskInfo) -> bool) {
    kprintln!(kernel => Level::Info, "sysrq: {what}");
    for task in sched::tasks(kernel).iter().filter(|task| wanted(task)) {
        let line = format!(
            "task:{:<16}state:{} pid:{} in {}",
            task.comm,
            task.state_letter(),
            task.pid,
            task.waits_in.unwrap_or("-")
        );
        kprintln!(kernel => Level::Info, "{line}");
    }
}

/// The end of the machine between two instructions.
fn power_loss(kernel: &'static Kernel) -> ! {
    umh::shutdown(kernel);
    // SAFETY: ends the process; nothing of it is to be put in order.
    unsafe { libc::_exit(EXIT_POWER) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    fn pressed(key: &str) -> Vec<String> {
        let kernel = Kernel::boot(Config::default());
        sched::attach(kernel, "test");
        install(kernel).unwrap();
        let ino = kernel.tree.resolve(FILE).unwrap().ino;
        let open = kernel.tree.open(ino, true).unwrap();
        assert_eq!(open.write(0, key.as_bytes()), Ok(key.len()));
        kernel.log_records(0).into_iter().map(|record| record.text).collect()
    }

    #[test]
    fn keys_show_tasks_or_help() {
        let log = pressed("t\n").join("\n");
        assert!(log.starts_with("sysrq: Show State\ntask:test "), "{log}");
        assert_eq!(pressed("w\n"), ["sysrq: Show Blocked State"]);
        assert!(pressed("?\n")[0].contains("reboot(b)"));
        assert!(pressed("\n").is_empty());
    }

    /// Run by the next test in a process of its own.
    #[test]
    #[ignore = "ends the process"]
    fn ends() {
        pressed(&std::env::var("UMC_TEST_KEY").unwrap());
    }

    #[test]
    fn keys_end_the_process() {
        for (key, status) in [("b", EXIT_POWER), ("o\n", EXIT_POWER), ("c", bug::EXIT_BUG)] {
            let mut command = std::process::Command::new(std::env::current_exe().unwrap());
            // Without the name of the crate. A name that is none ends with success, which is no status of a node.
            let (_, module) = module_path!().split_once("::").unwrap();
            command.args(["--exact", &format!("{module}::ends"), "--ignored"]);
            let output = command.env("UMC_TEST_KEY", key).output().unwrap();
            assert_eq!(output.status.code(), Some(status), "{key}: {output:?}");
        }
    }
}
