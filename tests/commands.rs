// SPDX-License-Identifier: GPL-2.0-only
//! The commands that a newcomer runs first say what they do before they do anything, and say what is missing.
//!
//! What they would call is played by scripts in a directory that is first in PATH.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cluster::{Start, text};

/// A machine as the command sees it: programs by name, with their scripts.
struct Machine {
    dir: tempfile::TempDir,
}

impl Machine {
    fn new(programs: &[(&str, &str)]) -> Machine {
        let machine = Machine { dir: tempfile::tempdir().expect("a directory") };
        for (name, script) in programs {
            machine.put(&machine.dir.path().join("bin"), name, script);
        }
        machine
    }

    fn put(&self, dir: &Path, name: &str, script: &str) {
        let file = dir.join(name);
        fs::create_dir_all(dir).expect("a directory");
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).expect("a script");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("its mode");
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(words[0]);
        let path = format!("{}/bin:/usr/sbin:/usr/bin:/sbin:/bin", self.dir.path().display());
        command
            .args(&words[1..])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("PATH", path)
            .env("HOME", self.home())
            .env_remove("RUSTUP_HOME")
            .env_remove("CARGO_HOME")
            .env_remove("SUDO_USER");
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).run().expect("it runs")
    }
}

/// Where root's toolchain is out of sight, and everything else is a machine that was never set up.
const BARE: [(&str, &str); 4] = [
    ("id", "echo 0"),
    ("cargo", "echo cargo 1.85.0"),
    ("dpkg-query", "exit 1"),
    ("apt-get", "echo no network; exit 100"),
];

#[test]
fn they_say_what_they_do_and_do_nothing_else() {
    // Whatever they would begin with fails.
    let machine = Machine::new(&BARE);
    for tool in ["setup", "demo", "test", "crash", "bench", "install"] {
        for option in ["--help", "-h"] {
            let output = machine.run(&[&format!("tools/{tool}"), option]);
            let shown = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{tool} {option}: {}", text(&output));
            assert!(shown.contains(&format!("  tools/{tool}")), "{tool} {option}: {shown}");
        }
    }
    for tool in ["setup", "demo", "crash", "bench", "install"] {
        let output = machine.run(&[&format!("tools/{tool}"), "--explode"]);
        let shown = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{tool} takes --explode");
        assert!(!shown.contains("Rust"), "{tool} begins before it looks at its options: {shown}");
    }
}

#[test]
fn an_old_toolchain_is_refused_and_the_next_step_is_named() {
    let machine = Machine::new(&BARE);
    for tool in ["setup", "test", "demo", "crash", "bench"] {
        let output = machine.run(&[&format!("tools/{tool}")]);
        let shown = text(&output);
        assert!(!output.status.success(), "{shown}");
        assert!(shown.contains(concat!("Rust ", env!("CARGO_PKG_RUST_VERSION"))), "{shown}");
        assert!(shown.contains("bin/cargo (1.85.0)") && shown.contains("rustup"), "{shown}");
        assert!(!shown.contains("no network"), "{shown}");
    }
}

/// sudo gives root's home and a PATH of its own; the toolchain is in the home of who called it.
#[test]
fn the_toolchain_of_who_called_sudo_is_found() {
    let machine = Machine::new(&[("cargo", "echo cargo 1.85.0")]);
    let caller = machine.dir.path().join("caller");
    machine.put(&machine.dir.path().join("bin"), "getent", &{
        format!(
            "[ \"$*\" = 'passwd somebody' ] && echo somebody:x:1000:1000::{}:/bin/sh",
            caller.display()
        )
    });
    machine.put(&caller.join(".cargo/bin"), "cargo", "echo cargo 1.999.0 in $RUSTUP_HOME");
    let sees = ["bash", "-euc", ". tools/rust; cargo --version; echo ${CARGO_HOME:-none}"];
    let output = machine.command(&sees).env("SUDO_USER", "somebody").run().expect("it runs");
    let expected = format!("cargo 1.999.0 in {}\nnone\n", caller.join(".rustup").display());
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{}", text(&output));

    // Root's own comes first.
    machine.put(&machine.home().join(".cargo/bin"), "cargo", "echo cargo 1.998.0");
    let output = machine.command(&sees).env("SUDO_USER", "somebody").run().expect("it runs");
    assert!(output.stdout.starts_with(b"cargo 1.998.0\n"), "{}", text(&output));
}

#[test]
fn what_apt_says_is_shown_when_it_fails() {
    let fails = "[ $1 = update ] || { echo dpkg: error: no space left; exit 100; }";
    let machine = Machine::new(&[
        ("id", "echo 0"),
        ("cargo", "echo cargo 1.999.0"),
        // For tcmu-runner, set-up would keep the host's services from starting.
        ("dpkg-query", "case $4 in tcmu-runner) printf installed ;; *) exit 1 ;; esac"),
        ("apt-get", fails),
        ("apt-cache", "echo linux-kbuild-6.12.0"),
    ]);
    let output = machine.run(&["tools/setup"]);
    let shown = text(&output);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    assert!(shown.contains("dpkg: error: no space left"), "{shown}");
    // What is to be typed by hand is what was tried.
    let by_hand = shown.lines().find(|line| line.contains("by hand: apt-get install")).expect("it");
    for word in ["--no-install-recommends", " kmod ", " drbd-utils ", "linux-kbuild-6.12.0"] {
        assert!(by_hand.contains(word), "{word}: {by_hand}");
    }
}
