//! `umc`: the emulated kernel.
//!
//! The API of Linux 6.12 for drivers that run in an ordinary process. One module per kernel header: the C side of
//! `workqueue.rs` is `include/linux/workqueue.h`. Start reading at [`completion`], the smallest complete module, and
//! [`kernel`], which holds the state of all of them.
//!
//! Every exported C function bears its Linux name and is a thin layer over safe Rust. What may block ends in
//! [`mte::Ops::park`] and nowhere else.

pub mod errno;
pub mod kernel;

// lib/
pub mod bitmap;
pub mod bug;
pub mod idr;
pub mod printk;
pub mod random;
pub mod ratelimit;
pub mod rbtree;
pub mod refcount;
pub mod string;
pub mod utsname;
pub mod xarray;

// Memory, crypto, modules.
pub mod capability;
pub mod crc32c;
pub mod crypto_hash;
pub mod mempool;
pub mod mm;
pub mod module;
pub mod params;
pub mod slab;
pub mod uaccess;
pub mod umh;
pub mod vmalloc;

// Tasks, locks, time.
pub mod completion;
pub mod context;
pub mod cpumask;
pub mod jiffies;
pub mod kthread;
pub mod mutex;
pub mod rcupdate;
pub mod rwlock;
pub mod rwsem;
pub mod sched;
pub mod semaphore;
pub mod signal;
pub mod spinlock;
pub mod timer;
pub mod wait;
pub mod workqueue;

// Block.
pub mod bdev;
pub mod bio;
pub mod bio_alloc;
pub mod bio_iter;
pub mod bio_split;
pub mod blk_lib;
pub(crate) mod blk_sysfs;
pub mod blkdev;
pub mod gendisk;
pub mod holder;
pub mod limits;
pub mod part_stat;
pub mod plug;
pub mod submit;

// Network.
pub mod genetlink;
pub mod genl_ctrl;
pub mod genl_family;
pub mod genlmsg;
pub mod inet;
pub mod net;
pub mod netlink;
pub mod netlink_dump;
pub mod nla;
pub mod nla_policy;
pub mod skbuff;
mod sock;
mod sock_io;
mod sock_watch;
pub mod uio;

// Files.
pub mod debugfs;
pub mod device;
pub mod fs;
pub mod kobject;
pub mod proc_fs;
pub mod seq_file;
pub mod sysfs;
pub mod sysrq;
pub mod tree;

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
