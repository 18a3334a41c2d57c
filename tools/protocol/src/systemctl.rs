// SPDX-License-Identifier: GPL-2.0-only
//! What of `systemctl` ends a machine, and what its words are.
//!
//! The redirector takes the call away from the host, and `umc` acts on it.

/// How it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By this verb.
    Verb(&'static str),
    /// By the start of a unit.
    Unit,
}

const VERBS: [&str; 6] = ["reboot", "halt", "poweroff", "kexec", "soft-reboot", "exit"];

/// Verbs that start a unit which does not run.
const STARTS: [&[u8]; 4] = [b"start", b"restart", b"reload-or-restart", b"isolate"];

/// Targets that end a machine, besides those called as a verb is.
const TARGETS: [&[u8]; 4] = [b"shutdown", b"ctrl-alt-del", b"runlevel0", b"runlevel6"];

/// Options whose value may be the next argument.
const VALUED: [&[u8]; 27] = [
    b"boot-loader-entry",
    b"boot-loader-menu",
    b"capsule",
    b"check-inhibitors",
    b"drop-in",
    b"host",
    b"image",
    b"image-policy",
    b"job-mode",
    b"kill-subgroup",
    b"kill-value",
    b"kill-whom",
    b"legend",
    b"lines",
    b"machine",
    b"message",
    b"output",
    b"preset-mode",
    b"property",
    b"reboot-argument",
    b"root",
    b"signal",
    b"state",
    b"timestamp",
    b"type",
    b"what",
    b"when",
];

/// The same, short.
const VALUED_SHORT: &[u8] = b"tpPHMnosC";

/// How a call with these arguments ends the machine, if it does: the first that is no option is the
/// verb, the others name units.
pub fn ending<'a>(arguments: impl Iterator<Item = &'a [u8]>) -> Option<Ending> {
    let mut words = words(arguments);
    let verb = words.next()?;
    if let Some(known) = VERBS.into_iter().find(|known| known.as_bytes() == verb) {
        return Some(Ending::Verb(known));
    }
    let ends = STARTS.contains(&verb) && words.any(|unit| is_end(unit, verb == b"isolate"));
    ends.then_some(Ending::Unit)
}

/// What is neither an option nor the value of one.
pub fn words<'a>(mut arguments: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    let mut options = true;
    core::iter::from_fn(move || {
        loop {
            let argument = arguments.next()?;
            match argument {
                b"--" if options => options = false,
                [b'-', _, ..] if options => {
                    if awaits_value(argument) {
                        arguments.next()?;
                    }
                }
                _ => return Some(argument),
            }
        }
    })
}

/// Whether the next argument is this option's value. A long option may be abbreviated.
fn awaits_value(option: &[u8]) -> bool {
    match option.strip_prefix(b"--") {
        Some(long) => VALUED.iter().any(|valued| valued.starts_with(long)),
        // A value may also follow its letter.
        None => option.iter().position(|b| VALUED_SHORT.contains(b)) == Some(option.len() - 1),
    }
}

/// Whether the start of this unit ends a machine. What is isolated is a target without being called
/// one.
fn is_end(unit: &[u8], isolated: bool) -> bool {
    let is_verb = |name: &[u8]| VERBS.iter().any(|verb| verb.as_bytes() == name);
    if let Some(service) = unit.strip_prefix(b"systemd-") {
        return is_verb(service.strip_suffix(b".service").unwrap_or(service));
    }
    match unit.strip_suffix(b".target").or(isolated.then_some(unit)) {
        Some(target) => is_verb(target) || TARGETS.contains(&target),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(arguments: &str) -> bool {
        ending(arguments.split_whitespace().map(str::as_bytes)).is_some()
    }

    #[test]
    fn what_ends_the_machine_is_known() {
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
            assert!(ends(arguments), "{arguments}");
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
            assert!(!ends(arguments), "{arguments}");
        }
        assert!(!ends(""));
    }
}
