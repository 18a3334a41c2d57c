// SPDX-License-Identifier: GPL-2.0-only
//! Debian's cryptsetup and integritysetup on a node: encrypted disks, and disks that find what was changed below them.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use cluster::{Cluster, Layout, Model, Random, Volumes, assert_same};
use nix::libc;

/// As cheap as a key can be made: what is tested is the disk.
const CHEAP: &str = "--pbkdf pbkdf2 --pbkdf-force-iterations 1000";

/// A file with a pass phrase, which is long enough for a key.
fn key(cluster: &Cluster, phrase: &str) -> String {
    let path = cluster.dir.join(phrase);
    fs::write(&path, phrase.repeat(16)).unwrap();
    path.display().to_string()
}

/// Random writes, flushed and read again; the content.
fn check(device: &Path, what: &str) -> Vec<u8> {
    let mut model = Model::open(device);
    let mut random = Random::new(what);
    (0..100).for_each(|_| model.write(&mut random));
    model.sync();
    model.check();
    model.close()
}

fn contains(disk: &Path, part: &[u8]) -> bool {
    fs::read(disk).unwrap().chunks(512).any(|sector| sector == part)
}

#[test]
fn an_encrypted_disk() {
    let host = Volumes::new("luks", "dm-mod");
    let (key, wrong) = (key(&host.0, "right"), key(&host.0, "wrong"));
    let format = format!("cryptsetup luksFormat -q {CHEAP} --key-file {key}");
    host.line(&format!("{format} /dev/ram0"));
    let open = format!("cryptsetup open --key-file {key} /dev/ram0 safe");
    let refused = format!("cryptsetup open --key-file {wrong} /dev/ram0 safe");
    host.refused(&refused.split_whitespace().collect::<Vec<_>>());
    host.line(&open);
    let device = host.path("dev/mapper/safe");
    let content = check(&device, "luks");
    let below = host.path("dev/ram0");
    let written = content.chunks(512).find(|sector| sector.iter().any(|byte| *byte != 0)).unwrap();
    assert!(!contains(&below, written), "it lies there in the clear");
    // It is taken while it is open, and everything is there again.
    host.line("cryptsetup status safe");
    host.line("cryptsetup close safe");
    assert!(!device.exists());
    host.line(&open);
    assert_same(&fs::read(&device).unwrap(), &content, "opened again");

    // Under a new key while it is in use, and smaller.
    let file = File::open(&device).unwrap();
    host.line(&format!("cryptsetup reencrypt -q {CHEAP} --key-file {key} /dev/ram0"));
    let mut read = vec![0; content.len()];
    file.read_exact_at(&mut read, 0).unwrap();
    assert_same(&read, &content, "encrypted anew");
    host.line(&format!("cryptsetup resize --key-file {key} --device-size 8M safe"));
    assert_eq!(file.metadata().unwrap().len(), 8 << 20);
    drop(file);
    host.line("cryptsetup close safe");

    for cipher in ["aes-cbc-essiv:sha256", "serpent-xts-plain64", "twofish-xts-plain64"] {
        let plain = format!("--type plain --cipher {cipher} --key-size 256");
        host.line(&format!("cryptsetup open {plain} --key-file {key} /dev/ram1 other"));
        check(&host.path("dev/mapper/other"), cipher);
        host.line("cryptsetup close other");
    }
    // No algorithm of the emulated kernel.
    let unknown = "cryptsetup open --type plain --cipher des3_ede-cbc-plain --key-size 192";
    let unknown = format!("{unknown} --key-file {key} /dev/ram1 other");
    host.refused(&unknown.split_whitespace().collect::<Vec<_>>());
    host.stop();
}

/// Changes one byte below.
fn damage(disk: &Path, at: u64) {
    let file = File::options().read(true).write(true).open(disk).unwrap();
    let mut sector = [0; 512];
    file.read_exact_at(&mut sector, at).unwrap();
    sector[7] ^= 1;
    file.write_all_at(&sector, at).unwrap();
    file.sync_all().unwrap();
}

/// Where the content of the device begins on the disk below it.
fn place_of(disk: &Path, device: &Path) -> u64 {
    let mut mark = [0; 512];
    File::open(device).unwrap().read_exact_at(&mut mark, 0).unwrap();
    let below = fs::read(disk).unwrap();
    let place = below.chunks(512).position(|sector| sector == mark);
    place.expect("the first sector lies below as it is") as u64 * 512
}

#[test]
fn a_disk_that_finds_changes() {
    let host = Volumes::new("integrity", "dm-mod");
    let (below, device) = (host.path("dev/ram0"), host.path("dev/mapper/whole"));
    for mode in ["", "--integrity sha256", "--integrity-bitmap-mode", "--integrity-no-journal"] {
        // The algorithm is kept in the superblock; the way to write is said at each open.
        let (format, open) = if mode.contains("sha256") { (mode, mode) } else { ("", mode) };
        host.line(&format!("integritysetup format -q {format} /dev/ram0"));
        host.line(&format!("integritysetup open {open} /dev/ram0 whole"));
        let content = check(&device, mode);
        File::options().write(true).open(&device).unwrap().write_all_at(&[9; 512], 0).unwrap();
        host.line("integritysetup close whole");
        host.line(&format!("integritysetup open {open} /dev/ram0 whole"));
        assert_same(&fs::read(&device).unwrap()[512..], &content[512..], mode);
        let place = place_of(&below, &device);
        host.line("integritysetup close whole");
        damage(&below, place);
        host.line(&format!("integritysetup open {open} /dev/ram0 whole"));
        let read = File::open(&device).unwrap().read_exact_at(&mut [0; 512], 0);
        let error = read.expect_err("the change is found").raw_os_error();
        assert!(matches!(error, Some(libc::EILSEQ | libc::EIO)), "{mode}: {error:?}");
        host.line("integritysetup close whole");
    }
    host.stop();
}

#[test]
fn an_encrypted_disk_that_finds_changes() {
    let host = Volumes::new("luks-auth", "dm-mod");
    let key = key(&host.0, "right");
    let device = host.path("dev/mapper/safe");
    // Of the ciphers that authenticate by themselves cryptsetup asks the host's kernel whether it knows them.
    let integrity = "--cipher aes-xts-plain64 --integrity hmac-sha256";
    host.line(&format!("cryptsetup luksFormat -q {CHEAP} {integrity} --key-file {key} /dev/ram0"));
    let open = format!("cryptsetup open --key-file {key} /dev/ram0 safe");
    host.line(&open);
    let content = check(&device, "hmac");
    host.line("cryptsetup close safe");
    host.line(&open);
    assert_same(&fs::read(&device).unwrap(), &content, "opened again");
    host.line("cryptsetup close safe");
    // Somewhere in the data, behind the header and the journal.
    (20..24).for_each(|mib| damage(&host.path("dev/ram0"), mib << 20));
    host.line(&open);
    let error = fs::read(&device).expect_err("the change is found").raw_os_error();
    assert!(matches!(error, Some(libc::EILSEQ | libc::EIO)), "{error:?}");
    host.line("cryptsetup close safe");
    host.stop();
}

#[test]
fn an_encrypted_disk_on_drbd() {
    let cluster = Cluster::in_sync("luks-drbd", Layout { disk_mib: 32, ..Layout::default() });
    let (a, b) = (cluster.a().to_owned(), cluster.b().to_owned());
    for node in [&a, &b] {
        cluster.umc_ok(&["insmod", "--node", node, "dm-mod"]);
    }
    let key = key(&cluster, "right");
    let on = |node: &str, line: &str| {
        let output = cluster.on(node, &line.split_whitespace().collect::<Vec<_>>());
        assert!(output.status.success(), "{line}: {}", cluster::text(&output));
    };
    let safe = |node: &str| -> PathBuf { cluster.root(node).join("dev/mapper/safe") };
    cluster.adm(&a, &["primary", "r0"]);
    on(&a, &format!("cryptsetup luksFormat -q {CHEAP} --key-file {key} /dev/drbd0"));
    on(&a, &format!("cryptsetup open --key-file {key} /dev/drbd0 safe"));
    let content = check(&safe(&a), "on drbd");
    on(&a, "cryptsetup close safe");
    cluster.adm(&a, &["secondary", "r0"]);
    // The other node has it.
    cluster.adm(&b, &["primary", "r0"]);
    on(&b, &format!("cryptsetup open --key-file {key} /dev/drbd0 safe"));
    assert_same(&fs::read(safe(&b)).unwrap(), &content, "on the other node");
    // The whole of the stack is taken down.
    cluster.stop(&b);
    cluster.stop(&a);
}
