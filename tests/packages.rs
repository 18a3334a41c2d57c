// SPDX-License-Identifier: GPL-2.0-only
//! `tools/package`: lintian is content, what is installed runs nodes, and nothing of it stays.
//!
//! dpkg installs into a root of its own, without what the packages depend on: that they bring all that a new user needs is
//! tried by `tools/package --check`, in a fresh Debian.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cluster::{Start, bin_dir, text};

fn ok(command: &mut Command) -> String {
    let output = command.run().expect("it runs");
    assert!(output.status.success(), "{command:?}: {}", text(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// dpkg on a root that has nothing else.
fn dpkg(root: &Path, args: &[&str]) -> Output {
    let mut command = Command::new("dpkg");
    command.arg(format!("--root={}", root.display()));
    command.args(["--force-depends", "--force-script-chrootless", "--log=/dev/null"]);
    command.args(args).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").run().expect("dpkg runs")
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("a directory").map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn packages_are_installed_and_removed() {
    let temp = tempfile::tempdir().expect("a directory");
    let (out, root) = (temp.path().join("out"), temp.path().join("root"));
    let built = bin_dir();
    let mut package = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/package"));
    package.args(["--quick", "--out"]).arg(&out);
    package.env("CARGO_TARGET_DIR", built.parent().expect("a target directory"));
    let made = ok(package.env("DEBFULLNAME", "A Test").env("DEBEMAIL", "test@umc.invalid"));
    let packages: Vec<&str> = made.lines().collect();
    assert_eq!(packages.len(), 3, "{made}");

    let told = packages.iter().map(|package| ok(Command::new("dpkg-deb").args(["-I", package])));
    let told: String = told.collect();
    for part in ["umc-preload (= 0.1.0", "drbd-utils", "linux-source-6.12", "libc6 (>="] {
        assert!(told.contains(part), "no {part}: {told}");
    }
    for dir in ["var/lib/dpkg/updates", "var/lib/dpkg/info"] {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    for file in ["status", "available"] {
        fs::write(root.join("var/lib/dpkg").join(file), "").unwrap();
    }
    let installed = dpkg(&root, &[&["-i"][..], &packages].concat());
    assert!(installed.status.success(), "{}", text(&installed));
    for file in [
        "usr/sbin/umcd",
        "usr/share/man/man1/umc-cluster-up.1.gz",
        "usr/share/man/man7/umc-preload.7.gz",
        "usr/share/zsh/vendor-completions/_umc",
        "usr/share/doc/umc/docs/cluster.md",
        "usr/share/doc/umc/licences-of-crates.gz",
    ] {
        let path = root.join(file);
        assert!(fs::metadata(&path).is_ok_and(|file| file.len() > 0), "{file} is missing");
    }

    // What is installed has no symbols for debuggers, and runs nodes all the same.
    let umc = |args: &[&str]| {
        let mut umc = Command::new(root.join("usr/bin/umc"));
        umc.args(args).env("UMC_RUNTIME_DIR", temp.path().join("run"));
        umc.env("UMC_CACHE_DIR", cdrivers::cache_dir()).env_remove("UMC_FS_ROOT");
        umc
    };
    let start = ["start", "packaged", "--modprobe", "drbd", "--disk", "r0=ram/,size=8M"];
    ok(&mut umc(&start));
    let refused = dpkg(&root, &["-r", "umc"]);
    let version = umc(&["run", "packaged", "--", "cat", "/proc/drbd"]).run();
    ok(&mut umc(&["stop", "packaged"]));
    let version = text(&version.unwrap());
    assert!(version.contains("version: 8.4"), "{version}");
    assert!(!refused.status.success() && text(&refused).contains("umc stop"), "{}", text(&refused));

    let cache = root.join("var/cache/umc/modules");
    fs::create_dir_all(&cache).expect("what umc build leaves");
    let purged = dpkg(&root, &["-P", "umc", "umc-preload", "umc-doc"]);
    assert!(purged.status.success(), "{}", text(&purged));
    let left = files(&root).into_iter().filter(|file| !file.starts_with(root.join("var/lib/dpkg")));
    assert_eq!(left.collect::<Vec<_>>(), Vec::<PathBuf>::new(), "left behind");
    assert!(!root.join("var/cache/umc").exists());
}
