// SPDX-License-Identifier: GPL-2.0-only
//! `umc`: the emulated kernel.
//!
//! The API of Linux 6.12 for drivers that run in an ordinary process. One module per kernel header: the C side of
//! `workqueue.rs` is `include/linux/workqueue.h`. Start reading at [`completion`], the smallest complete module, and
//! [`kernel`], which holds the state of all of them.
//!
//! Every exported C function bears its Linux name and is a thin layer over safe Rust. What may block ends in
//! [`mte::Ops::park`] and nowhere else.

#![allow(
    clippy::multiple_unsafe_ops_per_block,
    reason = "one SAFETY line for the fields of a C struct that one contract covers"
)]
#![deny(clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro)] // they panic when nobody can be told

pub mod errno;
pub mod kernel;

// The floors, from the ground up: a module uses its own floor and those below. `kernel`, the root, holds the state of all
// of them, and every module may ask it for its own part.

/// Pure data: no task, no allocation that may fail, nothing that waits.
pub mod lib {
    pub mod bitmap;
    pub mod crc32c;
    pub mod crc64;
    pub mod crc_t10dif;
    pub mod devt;
    pub(crate) mod latency;
    pub(crate) mod list;
    pub mod list_sort;
    pub mod math;
    pub mod rbtree;
    pub mod sort;
    pub mod string;
    pub mod tree;
}
pub mod block;
pub mod fs;
pub mod mm;
pub mod module;
pub mod net;
pub mod netlink;
pub mod sched;
pub mod sync;

// A module is known by the name of its header, whichever floor it is on.
pub use block::{
    bdev, bio, bio_alloc, bio_integrity, bio_iter, bio_split, blkdev, blkdev_issue, disk, gendisk,
    holder_links, part_stat, plug, queue_limits, submit,
};
pub(crate) use block::{blk_sysfs, mq, queue_gate, rust_disk};
pub use fs::{
    char_file, chrdev, debugfs, device, hung_task, kmsg, kobject, miscdevice, proc_fs, seq_file,
    sysfs, sysrq, task_list,
};
pub use lib::{bitmap, crc32c, crc64, devt, math, rbtree, string, tree};
pub(crate) use lib::{latency, list};
pub use mm::{caller, crypto_hash, idr, mempool, params, slab, uaccess, uio, vmalloc, xarray};
pub use module::umh;
pub use net::{inet, skbuff};
pub(crate) use net::{sock, sock_ahead, sock_held, sock_io, sock_watch};
pub use netlink::{genetlink, genl_ctrl, genl_family, netlink_dump, nla, nla_policy};
pub(crate) use netlink::{genl_client, genl_request};
pub use sched::{bug, context, cpumask, jiffies, printk, random, ratelimit, signal, utsname};
pub use sync::{
    capability, completion, kthread, mutex, percpu_ref, rcupdate, refcount, rwlock, rwsem,
    semaphore, spinlock, srcu, timer, wait, workqueue,
};

pub use devt::Devt;
pub use errno::{Errno, Result};
pub use kernel::{Config, Kernel};

/// The layouts of the shim headers, made by bindgen.
#[allow(missing_docs, non_camel_case_types, non_snake_case, non_upper_case_globals, clippy::all)]
#[allow(clippy::undocumented_unsafe_blocks, clippy::missing_safety_doc, unsafe_op_in_unsafe_fn)]
#[allow(
    unnecessary_transmutes,
    dead_code,
    unpredictable_function_pointer_comparisons,
    improper_ctypes
)]
pub mod sys {
    include!(concat!(env!("OUT_DIR"), "/sys.rs"));
}

/// Compares the signature of every exported function with its C prototype, at compile time.
#[allow(
    dead_code,
    non_camel_case_types,
    non_snake_case,
    clippy::all,
    improper_ctypes,
    unnecessary_transmutes
)]
#[allow(clippy::undocumented_unsafe_blocks, clippy::missing_safety_doc, unsafe_op_in_unsafe_fn)]
mod signatures {
    mod prototypes {
        use crate::sys::*;
        include!(concat!(env!("OUT_DIR"), "/prototypes.rs"));
    }
    include!(concat!(env!("OUT_DIR"), "/signatures.rs"));
}
