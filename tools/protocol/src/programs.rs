// SPDX-License-Identifier: GPL-2.0-only
//! The programs that `umc` acts for: those that load modules, that end the machine, that show its log, and those that speak to
//! managers of the machine, which would be the host's.
//!
//! The redirector runs `umc` in their place, and so does `umc run` when its command is one.

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

/// Those that speak to what manages a machine: its services, its devices, its sessions, its name and time.
pub const MANAGERS: [&[u8]; 9] = [
    b"systemctl",
    b"udevadm",
    b"systemd-run",
    b"hostnamectl",
    b"timedatectl",
    b"localectl",
    b"loginctl",
    b"machinectl",
    b"busctl",
];

/// What they are asked of themselves, as the first argument.
const ABOUT_ITSELF: [&[u8]; 4] = [b"--help", b"-h", b"--version", b"-V"];

/// Other names of `telinit`; elsewhere `init` is a script like any other.
const INIT: [&[u8]; 3] = [b"init", b"/sbin/init", b"/usr/sbin/init"];

/// Options with which `dmesg` waits for more.
const FOLLOWS: [&[u8]; 4] = [b"-w", b"--follow", b"-W", b"--follow-new"];

/// Whether a program at `path`, called with these arguments, is one that `umc` acts for.
pub fn is_of_the_node<'a>(path: &[u8], mut arguments: impl Iterator<Item = &'a [u8]>) -> bool {
    let name = path.rsplit(|&b| b == b'/').next().unwrap_or(path);
    PROGRAMS.contains(&name)
        || INIT.contains(&path)
        || match name {
            _ if MANAGERS.contains(&name) => {
                !arguments.next().is_some_and(|first| ABOUT_ITSELF.contains(&first))
            }
            // The host's reads the log of the node to its end.
            b"dmesg" => arguments.any(|word| FOLLOWS.contains(&word)),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_replaced(command: &str) -> bool {
        let mut words = command.split(' ').map(str::as_bytes);
        is_of_the_node(words.next().unwrap(), words)
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
    fn what_speaks_to_managers_is_known() {
        for command in [
            "systemctl",
            "/usr/bin/systemctl reboot",
            "systemctl status --help",
            "/sbin/udevadm settle",
            "systemd-run sh",
            "hostnamectl set-hostname x",
        ] {
            assert!(is_replaced(command), "{command}");
        }
        for command in ["systemctl --version", "udevadm -V", "busctl -h", "systemd-notify --ready"]
        {
            assert!(!is_replaced(command), "{command}");
        }
    }
}
