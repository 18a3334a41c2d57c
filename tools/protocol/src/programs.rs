// SPDX-License-Identifier: GPL-2.0-only
//! The programs that `umc` acts for: those that load modules, that end the machine, and that show its log.
//!
//! The redirector runs `umc` in their place, and so does `umc run` when its command is one.

use crate::systemctl;

const PROGRAMS: [&[u8]; 11] = [
    b"modprobe",
    b"insmod",
    b"rmmod",
    b"lsmod",
    b"modinfo",
    b"reboot",
    b"halt",
    b"poweroff",
    b"shutdown",
    b"telinit",
    b"journalctl",
];

/// Other names of `telinit`; elsewhere `init` is a script like any other.
const INIT: [&[u8]; 3] = [b"init", b"/sbin/init", b"/usr/sbin/init"];

/// Options with which `dmesg` waits for more.
const FOLLOWS: [&[u8]; 4] = [b"-w", b"--follow", b"-W", b"--follow-new"];

/// Whether a program at `path`, called with these arguments, loads modules, ends the machine or shows its log.
pub fn acts_on_the_kernel<'a>(path: &[u8], arguments: impl Iterator<Item = &'a [u8]>) -> bool {
    let name = path.rsplit(|&b| b == b'/').next().unwrap_or(path);
    PROGRAMS.contains(&name)
        || INIT.contains(&path)
        || match name {
            b"systemctl" => systemctl::ending(arguments).is_some(),
            // The host's reads the log of the node to its end.
            b"dmesg" => arguments.into_iter().any(|word| FOLLOWS.contains(&word)),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_replaced(command: &str) -> bool {
        let mut words = command.split(' ').map(str::as_bytes);
        acts_on_the_kernel(words.next().unwrap(), words)
    }

    #[test]
    fn programs_are_known_by_their_last_component() {
        for path in [
            "/sbin/modprobe",
            "modprobe",
            "/usr/sbin/rmmod",
            "./insmod",
            "/sbin/reboot",
            "journalctl",
        ] {
            assert!(is_replaced(path), "{path}");
        }
        for path in ["/sbin/modprobe/x", "modprobes", "", "/", "/sbin/drbdsetup", "./init"] {
            assert!(!is_replaced(path), "{path}");
        }
    }

    #[test]
    fn what_ends_the_machine_is_known() {
        for command in ["halt -f", "/sbin/init 6", "init 0", "telinit 6"] {
            assert!(is_replaced(command), "{command}");
        }
        assert!(!is_replaced("./init 6"));
        assert!(is_replaced("dmesg --follow") && !is_replaced("dmesg -T"));
    }

    #[test]
    fn what_of_systemctl_ends_the_machine_is_known() {
        for arguments in [
            "reboot",
            "--force reboot",
            "-ff poweroff",
            "-q --no-wall exit",
            "-- kexec",
            "--message gone soft-reboot",
            "--mess gone halt",
            "--message=gone halt",
            "-qn 5 reboot",
            "-n5 reboot",
            "start reboot.target",
            "isolate poweroff.target",
            "isolate halt",
            "start --no-block drbd.service kexec.target",
            "--job-mode replace-irreversibly start shutdown.target",
            "restart soft-reboot.target",
            "start ctrl-alt-del.target",
            "isolate exit.target",
            "isolate runlevel6.target",
            "start systemd-reboot.service",
            "start systemd-poweroff",
        ] {
            assert!(is_replaced(&format!("systemctl {arguments}")), "{arguments}");
            assert!(is_replaced(&format!("/usr/bin/systemctl {arguments}")), "{arguments}");
        }
        for arguments in [
            "status reboot",
            "status reboot.target",
            "restart drbd",
            "start reboot",
            "start reboot.service",
            "start systemd-logind.service",
            "isolate multi-user.target",
            "stop reboot.target",
            "list-units --state reboot",
            "--type target list-units reboot.target",
            "-p reboot show",
            "--version",
            "-- --force reboot",
            "-- status reboot",
        ] {
            assert!(!is_replaced(&format!("systemctl {arguments}")), "{arguments}");
        }
        assert!(!is_replaced("systemctl"));
    }
}
