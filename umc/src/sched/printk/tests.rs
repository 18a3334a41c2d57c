// SPDX-License-Identifier: GPL-2.0-only
use std::sync::atomic::AtomicUsize;

use super::*;
use crate::Config;
use crate::printk::Level;

fn boot() -> &'static Kernel {
    let kernel = Kernel::boot(Config::default());
    sched::attach(kernel, "test");
    kernel
}

fn texts(kernel: &'static Kernel) -> Vec<(u8, String)> {
    kernel.log_records(0).into_iter().map(|record| (record.level as u8, record.text)).collect()
}

#[test]
fn headers() {
    assert_eq!(split_header("\u{1}3lost"), (Header::Level(Level::Err), "lost"));
    assert_eq!(split_header("\u{1}6\u{1}3lost"), (Header::Level(Level::Info), "lost"));
    assert_eq!(split_header("\u{1}cmore"), (Header::Continue, "more"));
    assert_eq!(split_header("\u{1}c\u{1}4x"), (Header::Level(Level::Warning), "x"));
    assert_eq!(split_header("plain"), (Header::Missing, "plain"));
    assert_eq!(split_header("\u{1}"), (Header::Missing, "\u{1}"));
}

#[test]
fn lines_become_records() {
    let kernel = boot();
    message(kernel, "\u{1}6one\n");
    message(kernel, "two\n");
    message(kernel, "\u{1}3three\nfour\n");
    kprintln!(kernel => Level::Notice, "five");
    let expected = [(6, "one"), (4, "two"), (3, "three"), (3, "four"), (5, "five")];
    assert_eq!(texts(kernel), expected.map(|(level, text)| (level, text.to_owned())));
    assert_eq!(kernel.log_records(3).len(), 2);
    assert_eq!(kernel.log_records(4)[0].seq, 4);
    assert_eq!(kernel.log_records(0)[0].comm, "test");
}

#[test]
fn a_line_in_pieces_is_one_record() {
    let kernel = boot();
    message(kernel, "\u{1}6a");
    message(kernel, "\u{1}cb");
    message(kernel, "\u{1}cc\nd");
    message(kernel, "\u{1}3interrupts\n");
    let expected = [(6, "abc"), (6, "d"), (3, "interrupts")];
    assert_eq!(texts(kernel), expected.map(|(level, text)| (level, text.to_owned())));
    message(kernel, "\u{1}6left open");
    kernel.log_wait(3);
    assert_eq!(texts(kernel)[3], (6, "left open".to_owned()));
}

#[test]
fn the_console_sees_every_record_once_and_in_order() {
    let kernel = boot();
    kprintln!(kernel => Level::Info, "before");
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    kernel.set_console(Box::new(move |record| {
        assert_eq!(SEEN.fetch_add(1, Ordering::SeqCst) as u64, record.seq);
        if record.text == "before" {
            kprintln!(kernel => Level::Info, "from the console");
        }
    }));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for number in 0..200 {
                    kprintln!(kernel => Level::Info, "line {number}");
                }
            });
        }
    });
    assert_eq!(SEEN.load(Ordering::SeqCst), 802);
    assert_eq!(kernel.log.tail(3).len(), 3);
}

#[test]
fn the_ring_is_bounded() {
    let kernel = boot();
    for number in 0..CAPACITY + 10 {
        emit(kernel, Level::Info, &number.to_string());
    }
    let records = kernel.log_records(0);
    assert_eq!(records.len(), CAPACITY);
    assert_eq!(records[0].text, "10");
    assert_eq!(records[0].seq, 10);
}

#[test]
fn a_record_as_dmesg_shows_it() {
    let record = Record {
        seq: 0,
        time_ns: 12_345_678_901,
        level: Level::Info,
        comm: String::new(),
        pid: 0,
        text: "up".to_owned(),
    };
    assert_eq!(record.to_string(), "[   12.345678] up");
}
