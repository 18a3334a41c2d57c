// SPDX-License-Identifier: GPL-2.0-only
//! Our helpers against those of the real libtcmu.
//!
//! Goal: a handler cannot tell them apart. Method: Debian's `libtcmu.so.2` is loaded beside ours, and both are called
//! with the same pseudo-random arguments, and with every opcode. Results and all memory touched must be equal.
//! Without the library the tests say so and pass.

#![allow(clippy::multiple_unsafe_ops_per_block, reason = "calls of the ABI under one contract")]

use std::ffi::c_int;
use std::fs;
use std::path::Path;

use dlopen2::raw::Library;
use handlers::helpers as ours;
use libc::iovec;
use object::{Object, ObjectSymbol};

fn libtcmu() -> Library {
    let flags = Some(libc::RTLD_NOW | libc::RTLD_LOCAL);
    Library::open_with_flags("libtcmu.so.2", flags).expect("libtcmu2 of Debian is installed")
}

/// A function of the real library.
fn real<T>(library: &Library, name: &str) -> T {
    // SAFETY: each caller names the type of the C prototype.
    unsafe { library.symbol(name) }.expect(name)
}

/// Of the library, but for the daemon: its ring, its log files, its configuration, its D-Bus.
const FOR_THE_DAEMON: &[&str] = &[
    "tcmulib_",
    "tcmuservice1_",
    "tcmu_dev_get_memory_info",
    "tcmu_initialize_config",
    "tcmu_load_config",
    "tcmu_free_config",
    "tcmu_watch_config",
    "tcmu_unwatch_config",
    "tcmu_setup_log",
    "tcmu_resetup_log_file",
    "tcmu_destroy_log",
    "tcmu_make_absolute_logfile",
];

#[test]
fn every_function_for_handlers_is_there() {
    let file = Path::new("/usr/lib/x86_64-linux-gnu/libtcmu.so.2");
    let data = fs::read(file).expect("libtcmu2 of Debian is installed");
    let library = object::File::parse(&*data).expect("an ELF file");
    let own = Library::open_self().expect("this program");
    let mut count = 0;
    for symbol in library.dynamic_symbols().filter(ObjectSymbol::is_definition) {
        let name = symbol.name().expect("a name");
        let is_helper = name.trim_start_matches('_').starts_with("tcmu")
            && !FOR_THE_DAEMON.iter().any(|other| name.starts_with(other));
        if is_helper {
            // SAFETY: only its presence is of interest.
            assert!(unsafe { own.symbol::<*const u8>(name) }.is_ok(), "{name} is missing");
            count += 1;
        }
    }
    assert!(count > 40, "only {count} helpers in {}", file.display());
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

/// Memory in pieces; some are empty.
struct Pieces {
    memory: Vec<Vec<u8>>,
    iov: Vec<iovec>,
}

impl Pieces {
    fn new(lens: &[usize], fill: &[u8]) -> Pieces {
        let mut rest = fill;
        let mut memory: Vec<Vec<u8>> = lens
            .iter()
            .map(|len| {
                let (head, tail) = rest.split_at((*len).min(rest.len()));
                rest = tail;
                let mut piece = head.to_vec();
                piece.resize(*len, 0);
                piece
            })
            .collect();
        let iov = memory
            .iter_mut()
            .map(|piece| iovec { iov_base: piece.as_mut_ptr().cast(), iov_len: piece.len() })
            .collect();
        Pieces { memory, iov }
    }

    /// How far each piece was consumed, and what is left of it.
    fn state(&self) -> Vec<(usize, usize)> {
        self.memory
            .iter()
            .zip(&self.iov)
            .map(|(memory, iov)| (iov.iov_base as usize - memory.as_ptr() as usize, iov.iov_len))
            .collect()
    }
}

#[test]
fn cdbs() {
    let library = libtcmu();
    let length: unsafe extern "C" fn(*mut u8) -> c_int = real(&library, "tcmu_cdb_get_length");
    let lba: unsafe extern "C" fn(*mut u8) -> u64 = real(&library, "tcmu_cdb_get_lba");
    let blocks: unsafe extern "C" fn(*mut u8) -> u32 = real(&library, "tcmu_cdb_get_xfer_length");
    let mut random = Random(1);
    for opcode in 0..=255_u8 {
        let mut cdb = random.bytes(300);
        cdb[0] = opcode;
        let cdb = cdb.as_mut_ptr();
        // SAFETY: a CDB has at most 263 bytes.
        let lengths = unsafe { (ours::tcmu_cdb_get_length(cdb), length(cdb)) };
        assert_eq!(lengths.0, lengths.1, "length of opcode {opcode:#x}");
        // The real library ends the process for CDBs without these fields.
        if ![6, 10, 12, 16].contains(&lengths.1) {
            continue;
        }
        // SAFETY: as above.
        let lbas = unsafe { (ours::tcmu_cdb_get_lba(cdb), lba(cdb)) };
        assert_eq!(lbas.0, lbas.1, "address of opcode {opcode:#x}");
        // SAFETY: as above.
        let counts = unsafe { (ours::tcmu_cdb_get_xfer_length(cdb), blocks(cdb)) };
        assert_eq!(counts.0, counts.1, "blocks of opcode {opcode:#x}");
    }
}

#[test]
fn pieces() {
    let library = libtcmu();
    let seek: unsafe extern "C" fn(*mut iovec, usize) -> usize = real(&library, "tcmu_iovec_seek");
    let length: unsafe extern "C" fn(*mut iovec, usize) -> usize =
        real(&library, "tcmu_iovec_length");
    let into: unsafe extern "C" fn(*mut iovec, usize, *mut u8, usize) -> usize =
        real(&library, "tcmu_memcpy_into_iovec");
    let from: unsafe extern "C" fn(*mut u8, usize, *mut iovec, usize) -> usize =
        real(&library, "tcmu_memcpy_from_iovec");
    let mut random = Random(2);
    for _ in 0..2000 {
        let count = 1 + random.below(6);
        let lens: Vec<usize> = (0..count).map(|_| random.below(20)).collect();
        let total: usize = lens.iter().sum();
        let data = random.bytes(total);
        let (mut a, mut b) = (Pieces::new(&lens, &data), Pieces::new(&lens, &data));
        let (pa, pb) = (a.iov.as_mut_ptr(), b.iov.as_mut_ptr());
        // SAFETY: both describe `count` pieces of live memory with `total` bytes.
        unsafe {
            assert_eq!(ours::tcmu_iovec_length(pa, count), length(pb, count));
            let first = random.below(total + 1);
            assert_eq!(ours::tcmu_iovec_seek(pa, first), seek(pb, first), "seek {first} {lens:?}");
            assert_eq!(a.state(), b.state(), "seek {first} {lens:?}");
            let len = random.below(30);
            let mut source = random.bytes(len);
            let source = source.as_mut_ptr();
            assert_eq!(
                ours::tcmu_memcpy_into_iovec(pa, count, source.cast(), len),
                into(pb, count, source, len)
            );
            assert_eq!((a.state(), &a.memory), (b.state(), &b.memory));
            let (mut to_a, mut to_b) = (vec![0_u8; len], vec![0_u8; len]);
            assert_eq!(
                ours::tcmu_memcpy_from_iovec(to_a.as_mut_ptr().cast(), len, pa, count),
                from(to_b.as_mut_ptr(), len, pb, count)
            );
            assert_eq!((a.state(), to_a), (b.state(), to_b));
        }
    }
}

#[test]
fn comparisons() {
    let library = libtcmu();
    let compare: unsafe extern "C" fn(*mut u8, *mut iovec, usize) -> i64 =
        real(&library, "tcmu_iovec_compare");
    let zeroed: unsafe extern "C" fn(*mut iovec, usize) -> bool =
        real(&library, "tcmu_iovec_zeroed");
    let mut random = Random(3);
    for _ in 0..2000 {
        let lens: Vec<usize> = (0..1 + random.below(5)).map(|_| 1 + random.below(20)).collect();
        let total: usize = lens.iter().sum();
        let mut data = vec![0; total];
        let mut pieces = Pieces::new(&lens, &data);
        if random.below(3) > 0 {
            data[random.below(total)] ^= 1;
        }
        let size = random.below(total + 1);
        let iov = pieces.iov.as_mut_ptr();
        // SAFETY: memory and pieces have `total` bytes.
        unsafe {
            let memory = data.as_mut_ptr();
            assert_eq!(
                ours::tcmu_iovec_compare(memory.cast(), iov, size),
                compare(memory, iov, size),
                "{size} of {lens:?}"
            );
            if random.below(2) > 0 {
                *pieces.memory[random.below(lens.len())].last_mut().expect("not empty") = 1;
            }
            assert_eq!(ours::tcmu_iovec_zeroed(iov, lens.len()), zeroed(iov, lens.len()));
        }
    }
}

#[test]
fn sense_data() {
    let library = libtcmu();
    let data: unsafe extern "C" fn(*mut u8, u8, u16) -> c_int =
        real(&library, "tcmu_sense_set_data");
    let info: unsafe extern "C" fn(*mut u8, u32) = real(&library, "tcmu_sense_set_info");
    let specific: unsafe extern "C" fn(*mut u8, u16) =
        real(&library, "tcmu_sense_set_key_specific_info");
    let mut random = Random(4);
    for step in 0..3000 {
        let bytes = random.bytes(96);
        let (mut a, mut b) = (bytes.clone(), bytes);
        let (pa, pb) = (a.as_mut_ptr(), b.as_mut_ptr());
        let value = random.next();
        // SAFETY: both buffers have the 96 bytes of a sense buffer.
        unsafe {
            match step % 3 {
                0 => {
                    let (key, code) = (value as u8 & 0xf, (value >> 8) as u16);
                    assert_eq!(ours::tcmu_sense_set_data(pa, key, code), data(pb, key, code));
                }
                1 => {
                    ours::tcmu_sense_set_info(pa, value as u32);
                    info(pb, value as u32);
                }
                _ => {
                    ours::tcmu_sense_set_key_specific_info(pa, value as u16);
                    specific(pb, value as u16);
                }
            }
        }
        assert_eq!(a, b, "kind {}", step % 3);
    }
}
