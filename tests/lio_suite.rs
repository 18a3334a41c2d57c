// SPDX-License-Identifier: GPL-2.0-only
//! libiscsi's test suite against the target of a node: nothing fails that does not fail against a kernel's.

use std::collections::BTreeSet;
use std::process::Command;

use cluster::{Cluster, IscsiTarget, Layout, Start, Volumes, text};

/// What fails against the same target in a kernel (6.1, on a RAM disk), in version 1.19 of the suite: `docs/exports.md` says why.
const KNOWN: &[&str] = &[
    "CompareAndWrite.Miscompare",
    "CompareAndWrite.Simple",
    "ReceiveCopyResults.CopyStatus",
    "Verify10.Dpo",
    "Verify10.Mismatch",
    "Verify10.VerifyProtect",
    "Verify16.Dpo",
    "Verify16.Mismatch",
    "Verify16.VerifyProtect",
    "iSCSIResiduals.Write10Residuals",
    "iSCSIResiduals.Write12Residuals",
    "iSCSIResiduals.Write16Residuals",
    "iSCSIResiduals.WriteVerify10Residuals",
    "iSCSIResiduals.WriteVerify16Residuals",
    "iSCSIdatasn.iSCSIDataSnInvalid",
];

/// What a run says, test by test: its name, whether it failed, whether it was left out.
fn verdicts(said: &str) -> Vec<(String, bool, bool)> {
    let mut suite = "";
    let mut tests: Vec<(String, bool, bool)> = Vec::new();
    for line in said.lines() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix("Suite: ") {
            suite = name;
        } else if let Some(test) = line.strip_prefix("Test: ") {
            let name = test.split(' ').next().unwrap_or_default();
            tests.push((format!("{suite}.{name}"), false, false));
        }
        if let Some((_, failed, skipped)) = tests.last_mut() {
            *failed |= line == "FAILED" || line.ends_with("...FAILED");
            *skipped |= line.contains("[SKIPPED]");
        }
    }
    tests
}

/// Runs some families, writes included, which are at least so many tests: later versions have more.
fn run(families: &str, url: &str, tests_min: usize) {
    let output = Command::new("iscsi-test-cu").args(["-d", "-t", families, url]).run().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("Run Summary"), "{}", text(&output));
    let tests = verdicts(&said);
    assert!(tests.len() >= tests_min, "only {} tests", tests.len());
    let failed: BTreeSet<&str> =
        tests.iter().filter(|(_, failed, _)| *failed).map(|(name, ..)| name.as_str()).collect();
    let skipped = tests.iter().filter(|(.., skipped)| *skipped).count();
    println!("{url}: {} tests, {skipped} left out, failed: {failed:?}", tests.len());
    let unknown: Vec<_> = failed.iter().filter(|name| !KNOWN.contains(name)).collect();
    assert!(unknown.is_empty(), "{unknown:?} failed\n{said}");
}

#[test]
fn on_a_ram_disk() {
    let volumes = Volumes::new("lio-suite", "target_core_mod");
    let target = IscsiTarget::new(&volumes.0, volumes.0.a(), "iqn.2026-11.org.test:ram");
    let address = target.export("/dev/ram0");
    run("ALL", &target.url(address, 0), 200);
    volumes.stop();
}

/// Without `iSCSIResiduals`, which has parts of blocks read: a RAM disk of the kernel gives them, any other disk refuses, and DRBD
/// then lets go of that disk.
#[test]
fn on_a_replicated_device() {
    let cluster =
        Cluster::in_sync("lio-suite-drbd", Layout { handler: "ram", ..Layout::default() });
    cluster.adm(cluster.a(), &["primary", "r0"]);
    let target = IscsiTarget::new(&cluster, cluster.a(), "iqn.2026-11.org.test:drbd");
    let address = target.export("/dev/drbd0");
    for (families, tests_min) in
        [("SCSI", 200), ("iSCSI.iSCSIcmdsn", 2), ("iSCSI.iSCSIdatasn", 1), ("iSCSI.iSCSITMF", 2)]
    {
        run(families, &target.url(address, 0), tests_min);
    }
    assert_eq!(cluster.adm(cluster.a(), &["dstate", "r0"]), "UpToDate/UpToDate");
    cluster.stop(cluster.a());
    cluster.stop(cluster.b());
}
