// SPDX-License-Identifier: GPL-2.0-only
//! `umc handler check` passes good handlers, finds each planted fault and names the rule that is broken.

#[path = "handlers/support.rs"]
mod support;

use std::path::Path;
use std::process::{Command, Output};

use cluster::{Start, bin_dir, text};
use support::{compile, run, sparse};

const DEBIAN: &str = "/usr/lib/x86_64-linux-gnu/tcmu-runner";
const MEMORY: &str = "touches no memory but the request's";
const KEEPS: &str = "keeps what was written, and nothing else changes";

fn check(args: &[&str]) -> Output {
    Command::new(bin_dir().join("umc"))
        .args(["handler", "check"])
        .args(args)
        .run()
        .expect("umc runs")
}

fn image(dir: &Path) -> String {
    let image = dir.join("disk.img");
    sparse(&image, 16 << 20);
    image.display().to_string()
}

/// Every rule is kept.
fn passes(args: &[&str]) {
    let output = check(args);
    let said = text(&output);
    assert!(output.status.success(), "{args:?}: {said}");
    assert!(said.contains("keeps every rule") && !said.contains("broken"), "{args:?}: {said}");
}

/// The handler of the fixture with these faults: the verdict on each rule.
fn suspect(flags: &[&str]) -> Output {
    let dir = tempfile::tempdir().expect("a directory");
    let file = compile(dir.path(), "suspect.c", "suspect", flags);
    check(&[&file.display().to_string(), &image(dir.path())])
}

/// The fault is found: these rules, and no others, are broken.
fn found(fault: &str, rules: &[&str]) {
    let output = suspect(&[&format!("-D{fault}")]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{fault}: {said}");
    let broken: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("broken  ")).collect();
    assert_eq!(broken.len(), rules.len(), "{fault}: {said}");
    for (broken, rule) in broken.iter().zip(rules) {
        assert!(broken.starts_with(rule), "{fault}: \"{rule}\" is not what is said: {said}");
    }
}

#[test]
fn our_own_handlers() {
    let dir = tempfile::tempdir().expect("a directory");
    let own = |name: &str| bin_dir().join(format!("libhandler_{name}.so")).display().to_string();
    passes(&["--volatile", &own("ram"), "label,size=16M"]);
    passes(&[&own("file"), &image(dir.path())]);
    passes(&[&own("file"), &format!("{};engine=threads", image(dir.path()))]);
    // A ram disk that is not declared as one has lost everything.
    let output = check(&[&own("ram"), "label,size=16M"]);
    assert!(
        text(&output).contains("broken  keeps its content over close and open"),
        "{}",
        text(&output)
    );
}

#[test]
fn debians_handlers() {
    let dir = tempfile::tempdir().expect("a directory");
    let debian = |name: &str| format!("{DEBIAN}/handler_{name}.so");
    passes(&[&debian("qcow"), &image(dir.path())]);
    passes(&[&debian("file_optical"), &image(dir.path())]);
    let qcow2 = dir.path().join("disk.qcow2").display().to_string();
    run(Command::new("qemu-img").args(["create", "-q", "-f", "qcow2", &qcow2, "16M"]));
    passes(&[&debian("qcow"), &qcow2]);
    run(Command::new("qemu-img").args(["check", "-q", &qcow2]));
    // Formats at each open with options: known, and found.
    let zbc =
        format!("model-HA/lba-512/zsize-16/conv-2@{},size=64M", dir.path().join("zoned").display());
    let said = text(&check(&[&debian("file_zbc"), &zbc]));
    assert!(said.contains("broken  keeps its content over close and open"), "{said}");
    assert_eq!(said.matches("broken ").count(), 1, "{said}");
}

#[test]
fn sound_handlers() {
    for flags in [&[][..], &["-DSYNCHRONOUS"]] {
        let output = suspect(flags);
        assert!(output.status.success(), "{flags:?}: {}", text(&output));
    }
}

#[test]
fn wrong_data_after_reopen() {
    found("FAULT_REOPEN", &["keeps its content over close and open: after close and open: "]);
}

#[test]
fn completion_twice() {
    found("FAULT_TWICE", &["completes once: "]);
}

#[test]
fn completion_and_return() {
    found("FAULT_BOTH", &["completes once: "]);
}

#[test]
fn lost_completion() {
    found("FAULT_LOST", &[KEEPS]);
}

#[test]
fn more_bytes_than_asked() {
    found("FAULT_LONG", &[MEMORY]);
}

#[test]
fn more_bytes_written_than_asked() {
    // The stray bytes stay where they are, so what compares later finds them as well.
    let many = "answers many requests in flight: after";
    found(
        "FAULT_SPILL",
        &[&format!("{KEEPS}: around a write"), many, "keeps its content over close and open"],
    );
}

#[test]
fn fewer_bytes_than_asked() {
    let output = suspect(&["-DFAULT_SHORT"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains(&format!("broken  {KEEPS}")), "{}", text(&output));
}

#[test]
fn a_crash() {
    found("FAULT_CRASH", &["lives: signal 6"]);
}

#[test]
fn an_exit() {
    found("FAULT_EXIT", &["lives: it called exit"]);
}

#[test]
fn a_failing_call() {
    let output = suspect(&["-DFAULT_STATUS"]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("broken  flushes: flush failed with status 4"), "{said}");
}

#[test]
fn what_cannot_be_checked() {
    let dir = tempfile::tempdir().expect("a directory");
    let output = check(&["/etc/passwd", "x,size=1M"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("/etc/passwd"), "{}", text(&output));
    let missing = dir.path().join("missing").display().to_string();
    let output = check(&[&format!("{DEBIAN}/handler_qcow.so"), &missing]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains(&missing), "{}", text(&output));
    // An image that the handler would damage stays as it is.
    let image = dir.path().join("disk.vmdk").display().to_string();
    run(Command::new("qemu-img").args(["create", "-q", "-f", "vmdk", &image, "16M"]));
    let output = check(&[&format!("{DEBIAN}/handler_qcow.so"), &image]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("it is a VMDK image"), "{}", text(&output));
}

/// The templates build with one command each, and keep the rules.
#[test]
fn templates() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let dir = tempfile::tempdir().expect("a directory");
    run(Command::new("make")
        .args(["-s", "-C"])
        .arg(examples.join("handler-template-c"))
        .arg(format!("O={}", dir.path().display())));
    passes(&[&dir.path().join("handler_template.so").display().to_string(), &image(dir.path())]);

    run(Command::new(env!("CARGO"))
        .args(["build", "--release", "--quiet", "--locked", "--offline", "--target-dir"])
        .arg(dir.path().join("target"))
        .current_dir(examples.join("handler-template-rust")));
    let built = dir.path().join("target/release/libhandler_template.so");
    passes(&[&built.display().to_string(), &image(dir.path())]);
}
