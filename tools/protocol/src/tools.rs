// SPDX-License-Identifier: GPL-2.0-only
//! What stock tools keep on a host, and two nodes must not share: for tools that belong to no one driver. Those of a driver
//! are in its entry of the catalogue.

use std::path::Path;

/// Names below a directory of the host that lead into the node's state directory.
pub struct State {
    /// Their directory.
    pub dir: &'static str,
    /// What they are called, `*` at the end stands for any rest.
    pub names: &'static [&'static str],
    /// The directory of the node.
    pub at: &'static str,
    /// Whether that stands for each of the names itself; else they lie in it.
    pub is_it: bool,
}

const fn is(dir: &'static str, names: &'static [&'static str], at: &'static str) -> State {
    State { dir, names, at, is_it: true }
}

const fn lies_in(dir: &'static str, names: &'static [&'static str], at: &'static str) -> State {
    State { dir, names, at, is_it: false }
}

/// All of them. Both spellings of `/run` and of `/run/lock` are there.
pub const STATE: &[State] = &[
    // Of the host's udev nothing is true for a node: who looks whether one runs finds none.
    is("/run", &["udev"], "run-udev"),
    is("/var/run", &["udev"], "run-udev"),
    // Volume management: locks, hints, and what it remembers of its devices and its metadata.
    is("/run", &["lvm"], "run-lvm"),
    is("/var/run", &["lvm"], "run-lvm"),
    is("/run/lock", &["lvm"], "lock-lvm"),
    is("/var/lock", &["lvm"], "lock-lvm"),
    is("/var/run/lock", &["lvm"], "lock-lvm"),
    lies_in("/etc/lvm", &["archive", "backup", "cache", "devices"], "etc-lvm"),
    lies_in("/run", &["dmeventd*"], "run"),
    lies_in("/var/run", &["dmeventd*"], "run"),
    is("/run", &["mdadm"], "run-mdadm"),
    is("/var/run", &["mdadm"], "run-mdadm"),
    is("/run", &["cryptsetup"], "run-cryptsetup"),
    is("/var/run", &["cryptsetup"], "run-cryptsetup"),
    // Targets.
    is("/etc", &["rtslib-fb-target", "target"], "etc-target"),
    is("/var", &["target"], "var-target"),
    lies_in("/run", &["targetcli.lock", "targetclid.sock", "rtslib_backstore.lock"], "run"),
    lies_in("/var/run", &["targetcli.lock", "targetclid.sock", "rtslib_backstore.lock"], "run"),
    is("/run", &["nvme"], "run-nvme"),
    lies_in("/run", &["dnbd3.socket"], "run"),
];

/// What targets (LIO) look for there, and make no directory for: reservations, and states of ports.
const MADE: &[&str] = &["etc-target/alua", "etc-target/pr", "var-target/alua", "var-target/pr"];

/// The directories of a node that these need.
pub fn state_dirs() -> impl Iterator<Item = &'static str> {
    STATE.iter().map(|state| state.at).chain(MADE.iter().copied())
}

/// The same for what drivers open themselves: absolute names of the host, and those that stand for them in a node whose state is
/// in the directory `state`. Names with a `*` are not among them.
pub fn moved(state: &Path) -> Vec<(String, String)> {
    let each = |it: &'static State| {
        let names = it.names.iter().filter(|name| !name.ends_with('*'));
        names.map(move |name| {
            let at = state.join(it.at);
            let to = if it.is_it { at } else { at.join(name) };
            (format!("{}/{name}", it.dir), to.display().to_string())
        })
    };
    STATE.iter().flat_map(each).collect()
}

/// What programs on a node find in their environment, unless it says otherwise: their libraries look for no udev there, which
/// would be the host's, and take the node's sysfs for one.
pub const ENVIRONMENT: [(&str, &str); 3] =
    [("DM_DISABLE_UDEV", "1"), ("MDADM_NO_UDEV", "1"), ("SYSTEMD_DEVICE_VERIFY_SYSFS", "0")];
