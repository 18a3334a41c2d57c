// SPDX-License-Identifier: GPL-2.0-only
//! `tools/install`: what is installed below a prefix works from there alone, and is gone after `--uninstall`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cluster::{Start, bin_dir, text};

/// A prefix, and a node's runtime directory; the node is stopped when it is dropped.
struct Installed {
    dir: tempfile::TempDir,
}

impl Installed {
    fn prefix(&self) -> PathBuf {
        self.dir.path().join("usr")
    }

    fn install(&self, args: &[&str]) -> Output {
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/install");
        let built = bin_dir();
        Command::new(tools)
            .arg("--prefix")
            .arg(self.prefix())
            .args(args)
            .env("CARGO_TARGET_DIR", built.parent().expect("a target directory"))
            .run()
            .expect("tools/install runs")
    }

    /// The installed `umc`, with nothing of the place where it was built.
    fn umc(&self, args: &[&str]) -> Output {
        Command::new(self.prefix().join("bin/umc"))
            .args(args)
            .env("UMC_RUNTIME_DIR", self.dir.path().join("run"))
            .env_remove("UMC_FS_ROOT")
            .current_dir("/")
            .run()
            .expect("umc runs")
    }

    fn umc_ok(&self, args: &[&str]) -> String {
        let output = self.umc(args);
        assert!(output.status.success(), "umc {}: {}", args.join(" "), text(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut all = Vec::new();
        let mut dirs = vec![self.prefix()];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(&dir).into_iter().flatten().map_while(Result::ok) {
                match entry.file_type().expect("its type").is_dir() {
                    true => dirs.push(entry.path()),
                    false => all.push(entry.path()),
                }
            }
        }
        all
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.umc(&["stop", "installed"]);
        }
    }
}

#[test]
fn a_prefix_has_all_that_a_node_needs() {
    let installed = Installed { dir: tempfile::tempdir().expect("a directory") };
    let prefix = installed.prefix();
    let output = installed.install(&[]);
    assert!(output.status.success(), "{}", text(&output));
    for file in [
        "sbin/umcd",
        "share/man/man1/umc.1",
        "share/man/man1/umc-start.1",
        "share/man/man7/umc-preload.7",
        "share/man/man8/umcd.8",
        "share/bash-completion/completions/umc",
        "share/zsh/site-functions/_umc",
        "share/fish/vendor_completions.d/umc.fish",
        "share/doc/umc/docs/handlers.md",
        "share/umc/scenarios/resync.toml",
    ] {
        let path = prefix.join(file);
        assert!(fs::metadata(&path).is_ok_and(|file| file.len() > 0), "{file} is missing");
    }
    // What is offered to begin with can be built there.
    let examples = fs::read_dir(prefix.join("share/doc/umc/examples")).expect("examples");
    let examples: Vec<_> = examples.map(|example| example.expect("its name").path()).collect();
    assert!(!examples.is_empty());
    for example in examples {
        let made = Command::new("make")
            .arg("-C")
            .arg(&example)
            .arg(format!("O={}", installed.dir.path().display()))
            .run()
            .expect("make runs");
        assert!(made.status.success(), "{}: {}", example.display(), text(&made));
    }

    // The driver is the one of this build: its headers are in `umc`, which is the same.
    let disks = ["ram=ram/,size=16M", "file=file/IMAGE,size=16M"].map(|disk| {
        disk.replace("IMAGE", &installed.dir.path().join("image").display().to_string())
    });
    installed.umc_ok(&["build", "drbd"]);
    installed.umc_ok(&[
        "start",
        "installed",
        "--modprobe",
        "drbd",
        "--disk",
        &disks[0],
        "--disk",
        &disks[1],
    ]);
    let run = installed.dir.path().join("run/installed");
    let record = fs::read_to_string(run.join("node.json")).expect("the node's record");
    let record: serde_json::Value = serde_json::from_str(&record).expect("the node's record");
    let exe = fs::read_link(format!("/proc/{}/exe", record["pid"])).expect("its program");
    assert_eq!(exe, prefix.canonicalize().unwrap().join("lib/umc/umcd"));

    // The stock tools reach it, through the installed redirector.
    let run = |command: &[&str]| installed.umc_ok(&[&["run", "installed", "--"], command].concat());
    assert!(run(&["cat", "/proc/drbd"]).starts_with("version: 8.4.11"));
    assert_eq!(run(&["uname", "-n"]).trim(), "installed");
    assert!(
        run(&["sh", "-c", "/sbin/modprobe drbd"]).is_empty(),
        "modprobe is umc, and has nothing to do"
    );
    run(&["drbdsetup", "new-resource", "r0"]);
    assert!(run(&["drbdsetup", "status"]).contains("r0 role:Secondary"));
    run(&["mkfs.ext4", "-q", "/dev/ram"]);
    run(&["mkfs.ext4", "-q", "/dev/file"]);
    run(&["drbdsetup", "down", "r0"]);
    // Not from under a node that runs.
    let output = installed.install(&["--uninstall"]);
    let pid = record["pid"].to_string();
    assert!(!output.status.success() && text(&output).contains(&pid), "{}", text(&output));
    installed.umc_ok(&["stop", "installed"]);

    // Installed again, over what is there, what the older one had alone goes.
    let list = prefix.join("lib/umc/installed");
    let old = prefix.join("share/doc/umc/older/page.md");
    fs::create_dir_all(old.parent().unwrap()).and_then(|()| fs::write(&old, "old")).unwrap();
    let mut files = fs::read_to_string(&list).expect("the list");
    files.push_str("share/doc/umc/older/page.md\n");
    fs::write(&list, files).expect("the list");
    let foreign = prefix.join("bin/foreign");
    symlink("/bin/true", &foreign).expect("somebody else's program");
    let output = installed.install(&[]);
    assert!(output.status.success(), "{}", text(&output));
    assert!(!old.exists() && !old.parent().unwrap().exists(), "an old file is left");

    let output = installed.install(&["--uninstall"]);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(installed.files(), [foreign], "left behind, or taken with it");
    assert!(!prefix.join("share").exists() && !prefix.join("lib").exists());
    let output = installed.install(&["--uninstall"]);
    assert!(text(&output).contains("has no umc"), "{}", text(&output));
}

/// What was made for it goes with it; what was there before stays.
#[test]
fn an_empty_prefix_goes_with_what_was_in_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let installed = Installed { dir };
    let above = installed.dir.path().join("above");
    fs::create_dir(&above).expect("a directory");
    let prefix = above.join("made/for/it").display().to_string();
    for args in [&["--prefix", &prefix][..], &["--prefix", &prefix, "--uninstall"]] {
        let output = installed.install(args);
        assert!(output.status.success(), "{}", text(&output));
    }
    assert!(above.exists(), "it was there before");
    assert_eq!(fs::read_dir(&above).expect("a directory").count(), 0, "left behind");
}
