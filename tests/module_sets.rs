// SPDX-License-Identifier: GPL-2.0-only
//! Several builds of one module side by side, and modules that drivers request.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cluster::{Guard, Start, bin_dir, text};

/// A cache and a runtime directory of the test's own.
struct Host {
    dir: PathBuf,
    /// Clears up if this program is killed.
    _guard: Guard,
}

impl Host {
    fn umc(&self, args: &[&str]) -> Output {
        Command::new(bin_dir().join("umc"))
            .args(args)
            .env("UMC_CACHE_DIR", self.dir.join("cache"))
            .env("UMC_RUNTIME_DIR", self.dir.join("run"))
            .env_remove("UMC_FS_ROOT")
            .run()
            .unwrap()
    }

    fn umc_ok(&self, args: &[&str]) -> String {
        let output = self.umc(args);
        assert!(output.status.success(), "umc {}: {}", args.join(" "), text(&output));
        text(&output)
    }

    /// A copy of the source, as that version.
    fn source(&self, version: &str) -> String {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/asker");
        let dir = self.dir.join(version);
        fs::create_dir(&dir).unwrap();
        for name in ["Makefile", "asker.c", "asked-one.c"] {
            fs::copy(from.join(name), dir.join(name)).unwrap();
        }
        fs::write(dir.join("version.h"), format!("#define ASKER_VERSION \"{version}\"\n")).unwrap();
        dir.display().to_string()
    }

    /// A module that a build with other headers left in that directory.
    fn leave_old_module(&self, dir: &str) {
        let mut module = fs::read(self.dir.join("1/asker.ko")).unwrap();
        let mark = b" mod_unload umc ";
        let at = module.windows(mark.len()).position(|bytes| bytes == mark).unwrap() + mark.len();
        assert_ne!(module[at], 0, "the headers have a name");
        module[at] ^= 1;
        fs::write(Path::new(dir).join("left.ko"), module).unwrap();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.umc(&["stop", "sets-a"]);
        let _ = fs::remove_dir_all(&self.dir);
    }
}

#[test]
fn each_build_has_its_own_and_finds_what_it_requests() {
    let dir = std::env::temp_dir().join(format!("umc-test-sets-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let guard = Guard::start(&dir);
    let host = Host { dir, _guard: guard };
    for version in ["1", "2"] {
        let source = host.source(version);
        if version == "2" {
            host.leave_old_module(&source);
        }
        host.umc_ok(&["build", "--as", &format!("asker-{version}"), &source]);
        let info = host.umc_ok(&["modinfo", &format!("asker-{version}")]);
        assert!(info.lines().any(|line| line == format!("version:         {version}")), "{info}");
        let set = host.dir.join(format!("cache/modules/asker-{version}"));
        assert!(set.join("asker.so").exists() && !set.join("left.so").exists());
    }

    host.umc_ok(&["start", "sets-a", "--modprobe", "asker-1"]);
    let log = host.umc_ok(&["dmesg", "sets-a"]);
    assert!(log.contains("asked one of 1") && !log.contains("asked one of 2"), "{log}");
    // Found, there already, found by its alias; nobody has the next, a path is no name, and the last is too long for one.
    assert!(log.contains("asker 1: 0 0 0 -2 -2 -36"), "{log}");
    assert!(host.umc_ok(&["lsmod", "-n", "sets-a"]).contains("asked_one"));
    // What modinfo tells on the node is of the build that it has loaded.
    let told = host.umc_ok(&["run", "sets-a", "--", "modinfo", "-F", "version", "asker"]);
    assert!(told.lines().any(|line| line == "1"), "{told}");
    // One name is loaded once, of whichever build.
    let output = host.umc(&["insmod", "-n", "sets-a", "asker-2"]);
    assert!(
        !output.status.success() && text(&output).contains("loaded already"),
        "{}",
        text(&output)
    );
    host.umc_ok(&["rmmod", "-n", "sets-a", "asker"]);
    host.umc_ok(&["rmmod", "-n", "sets-a", "asked-one"]);
    host.umc_ok(&["insmod", "-n", "sets-a", "asker-2"]);
    assert!(host.umc_ok(&["dmesg", "sets-a"]).contains("asked one of 2"));
    // What is beside a loaded module is found by kmod's own names.
    host.umc_ok(&["rmmod", "-n", "sets-a", "asked_one"]);
    host.umc_ok(&["run", "sets-a", "--", "modprobe", "asked-one"]);
    assert!(host.umc_ok(&["lsmod", "-n", "sets-a"]).contains("asked_one"));
    // What is removed has the same names; the set of another build is not that which is loaded.
    let lsmod = || host.umc_ok(&["lsmod", "-n", "sets-a"]);
    host.umc_ok(&["run", "sets-a", "--", "modprobe", "-r", "asked-as-9"]);
    assert!(!lsmod().contains("asked_one"), "{}", lsmod());
    host.umc_ok(&["run", "sets-a", "--", "modprobe", "-r", "asker-1"]);
    assert!(lsmod().contains("asker"), "{}", lsmod());
    host.umc_ok(&["run", "sets-a", "--", "modprobe", "-r", "asker-2"]);
    assert!(!lsmod().contains("asker"), "{}", lsmod());
    for (options, name, reason) in
        [("-r", "asker-3", "no such module"), ("--first-time", "asker-2", "is not loaded")]
    {
        let words = ["run", "sets-a", "--", "modprobe", "-r", options, name];
        let output = host.umc(&words);
        assert!(!output.status.success() && text(&output).contains(reason), "{}", text(&output));
    }

    let source = host.dir.join("1").display().to_string();
    for (name, reason) in [
        ("other-1", "begins with the name of a module of it: "),
        ("asker/1", "made of letters"),
        ("asker 1", "made of letters"),
    ] {
        let output = host.umc(&["build", "--as", name, &source]);
        assert!(!output.status.success() && text(&output).contains(reason), "{}", text(&output));
    }
    let output = host.umc(&["build", "--as", "drbd-8", "drbd"]);
    assert!(
        !output.status.success() && text(&output).contains("keeps its name"),
        "{}",
        text(&output)
    );
    // A file that is not there is not another one of that name.
    for file in ["./asker.so", "../modules/asker-2/none.ko", "asker.ko"] {
        let output = host.umc(&["insmod", "-n", "sets-a", file]);
        assert!(text(&output).contains("no such module file"), "{file}: {}", text(&output));
    }
    host.umc_ok(&["run", "sets-a", "--", "modprobe", "asker-2"]);
    let output = host.umc(&["insmod", "-n", "sets-a", "asker-3"]);
    assert!(text(&output).contains("no such module file"), "{}", text(&output));
}
