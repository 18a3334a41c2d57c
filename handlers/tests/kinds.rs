// SPDX-License-Identifier: GPL-2.0-only
//! Every way in which a handler may answer.
//!
//! Goal: no request is lost, answered twice or answered early, whatever the kind of the handler. Method: a handler
//! written for this test keeps a memory disk behind each kind of entry point, and varies by a counter whether it
//! completes before or after its return, on which thread, and whether it is busy first. What is checked: all data, that
//! no more calls run at a time than the handler allows, that each device is closed once, and how errors arrive.
//! The handler aborts when it is called with a range that is not in whole blocks or not in the disk.

#![allow(clippy::multiple_unsafe_ops_per_block, reason = "calls of the ABI under one contract")]

#[path = "support/compile.rs"]
mod compile;
#[path = "support/node.rs"]
mod node;

use std::fs;
use std::path::Path;
use std::sync::Once;

use dlopen2::raw::Library;
use handlers::{Kind, Registry, open_disk};
use node::{Disk, boot, registry, stress};
use umc::Errno;
use umc::bdev::Io;

const SIZE: u64 = 16 << 20;

/// The handler, compiled once, where the build keeps its things.
fn dir() -> &'static Path {
    static COMPILED: Once = Once::new();
    let dir = Path::new(concat!(env!("CARGO_TARGET_TMPDIR"), "/kinds"));
    COMPILED.call_once(|| {
        fs::create_dir_all(dir).expect("directory");
        compile::handler(dir, "kinds", include_str!("fixtures/kinds.c"));
    });
    dir
}

fn kinds() -> Registry {
    registry(&[dir()])
}

/// A counter of the handler.
fn counter(name: &str) -> i32 {
    let library = Library::open(dir().join("handler_kinds.so")).expect("loaded already");
    // SAFETY: all counters are ints of the handler, which is never unloaded.
    unsafe { *library.symbol::<*const i32>(name).expect(name) }
}

#[test]
fn asynchronous() {
    let disk = Disk::open_with(boot("a"), &kinds(), "d", "async/", Some(SIZE));
    let before = counter("same");
    disk.exercise(0);
    assert!(counter("same") > before, "zeros are first offered to writesame");
    let said = disk.kernel.log_records(0);
    assert!(!said.iter().any(|record| record.text.contains("failed")), "then they are written");
    stress(&disk, 4, 100);
}

#[test]
fn limits_and_flushes() {
    let disk = Disk::open_with(boot("a"), &kinds(), "d", "narrow/", Some(SIZE));
    let limits = disk.bdev().limits();
    assert!(limits.write_cache && limits.discard_max_bytes > 0);
    assert_eq!(limits.write_zeroes_max_bytes, 0, "zeros are written by who wants them");
    // The handler aborts when it is asked for more than it takes.
    disk.exercise(0);
    disk.write(0, &[1; 65536], false).expect("write");
    assert!(counter("unflushed") > 0, "nobody asked for a flush");
    disk.run(Io::Flush).map(|_| ()).expect("flush");
    assert_eq!(counter("unflushed"), 0);
    // Durable when it ends: the flush comes behind the last part.
    disk.write(0, &[2; 65536], true).expect("write");
    assert_eq!(counter("unflushed"), 0);
}

#[test]
fn busy_for_ever() {
    let disk = Disk::open_with(boot("a"), &kinds(), "d", "async/stuck", Some(SIZE));
    assert_eq!(disk.write(0, &[0; 512], false), Err(Errno::ENOMEM));
}

#[test]
fn threaded() {
    let disk = Disk::open_with(boot("a"), &kinds(), "d", "threaded/", Some(SIZE));
    disk.exercise(0);
    stress(&disk, 6, 50);
    let most = counter("most_running");
    assert!((2..=3).contains(&most), "{most} calls ran at a time");
    let limits = disk.bdev().limits();
    assert!(!limits.write_cache, "no flush, no cache");
    assert_eq!((limits.discard_max_bytes, limits.write_zeroes_max_bytes), (0, 0));
}

#[test]
fn scsi_commands() {
    let before = counter_or_zero("unknown");
    let disk = Disk::open_with(boot("a"), &kinds(), "d", "scsi/", Some(SIZE));
    disk.exercise(0);
    stress(&disk, 4, 100);
    assert!(counter("unknown") > before, "it was asked to flush, and did not know how");
    assert_eq!(counter("most_scsi_running"), 1, "one call at a time");
}

fn counter_or_zero(name: &str) -> i32 {
    kinds().find("scsi").map_or(0, |_| counter(name))
}

#[test]
fn both() {
    let disk = Disk::open_with(boot("a"), &kinds(), "d", "mixed/", Some(SIZE));
    let before = counter("unknown");
    disk.exercise(0);
    assert!(counter("unknown") > before, "handle_cmd is asked first");
    let error = open_disk(disk.kernel, &kinds(), "e", "mixed/wrong", Some(SIZE));
    let error = error.expect_err("check_config refuses it");
    assert_eq!(error.kind, Kind::BadConfig);
    assert_eq!(
        error.to_string(),
        "Cannot open disk e (mixed/wrong): the word wrong is wrong. \
         The handler says of what follows \"mixed\": mixed/WORD"
    );
}

#[test]
fn errors_arrive() {
    let kernel = boot("a");
    for spec in ["async/bad", "threaded/bad", "scsi/bad", "mixed/bad"] {
        let disk = Disk::open_with(kernel, &kinds(), "d", spec, Some(SIZE));
        // All of them report a write error of the medium; scsi does it with sense data.
        assert_eq!(disk.write(0, &[0; 512], false), Err(Errno::ENODATA), "{spec}");
    }
}

#[test]
fn a_failed_flush_is_a_failure() {
    let disk = Disk::open_with(boot("a"), &kinds(), "d", "async/bad", Some(SIZE));
    assert_eq!(disk.run(Io::Flush).map(|_| ()), Err(Errno::EOPNOTSUPP));
}

#[test]
fn every_disk_is_closed() {
    let kernel = boot("a");
    for spec in ["async/", "threaded/", "scsi/"] {
        let disk = Disk::open_with(kernel, &kinds(), "closing", spec, Some(SIZE));
        disk.write(0, &[1; 4096], true).expect("write");
        let closes = counter("closes");
        drop(disk);
        assert!(counter("closes") > closes, "{spec}");
    }
}
