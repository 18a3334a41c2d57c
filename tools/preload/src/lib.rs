// SPDX-License-Identifier: GPL-2.0-only
//! The redirector: gives unmodified programs the faces of a umc node (`LD_PRELOAD`).
//!
//! With `UMC_FS_ROOT` set, a program that was linked against libc sees the node whose tree is
//! mounted there:
//!
//! - paths ([`names`], [`map`], [`redirect`], [`paths`]): `/dev/drbd*`, `/proc/drbd`, `/sys/block` … lead into
//!   the tree, and what DRBD's tools keep in `/var/lib/drbd`, `/run/drbd`, `/run/lock/drbd-*` and the
//!   host name are the node's own; a listing of `/dev` ([`listing`]) shows its disks;
//! - block devices ([`stat`], [`ioctl`]): the regular files under the tree's `/dev` look like block
//!   special files and answer the block layer's ioctls; one that is mounted ([`mount`]) goes behind a
//!   loop device of the host, which tables of mounts ([`mount_table`]) show under its name;
//! - character devices and drivers' own ioctls ([`tunnel`]): an open one is a connection to the node, which asks back for
//!   the caller's memory and descriptors;
//! - generic netlink ([`netlink`]): an AF_NETLINK socket is a connection to the node;
//! - programs that load modules or end the machine ([`exec`], [`power`]): `modprobe drbd` and
//!   `reboot -f` are run as `umc` and reach the node, and reboot(2) ends it; the host's kernel keeps
//!   its settings in /proc/sys/kernel and its host name.
//!
//! Without `UMC_FS_ROOT` each function is one check and the call of the real one.
//!
//! Limits: static and set-user-ID programs are not reached. Host symlinks that lead to a mapped name are
//! followed by the kernel, which knows nothing of the map. A directory listing of the host's `/proc` or
//! `/sys` shows the host. Which functions of libc are not hooked, and why, is said in
//! `tests/redirector/libc.txt`, which a test compares with the libc that there is.
//!
//! # How functions are replaced
//!
//! Each hook is an exported function with libc's name; the real one is found once by
//! `dlsym(RTLD_NEXT)` ([`real`]). libc's variadic functions (`open`, `openat`, `ioctl`, `fcntl`) are
//! defined here with a fixed last argument: both Linux ABIs this is built for pass a variadic integer
//! or pointer in the register a fixed one would use, and an argument the caller left out is a
//! register with an arbitrary value that the kernel ignores, as it does under libc's own `va_arg`.
//! Where the number of arguments is open (`execl`) the function is C.
//! The library's own work uses system calls directly ([`raw`]), never a hooked function, keeps `errno`,
//! and takes no lock: hooks run in signal handlers and between fork and exec. It allocates when the root is
//! first looked up, when a table of mounts is opened, and in functions that allocate themselves.

#![allow(
    clippy::multiple_unsafe_ops_per_block,
    reason = "one SAFETY line for the arguments of a C function that is stood in for"
)]
#![cfg_attr(test, allow(dead_code, reason = "unexported, nothing calls the hooks"))]

#[cfg(not(all(
    target_os = "linux",
    target_env = "gnu",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
compile_error!("the redirector is written for 64-bit x86-64 and aarch64 Linux with glibc");

#[macro_use]
mod real;

mod bytes;
mod connection;
mod device;
mod exec;
mod fds;
mod host_loop;
mod hostname;
mod ioctl;
mod links;
mod listing;
mod map;
mod mount;
mod mount_table;
mod names;
mod netlink;
mod paths;
mod power;
mod raw;
mod redirect;
mod root;
mod stat;
mod syscalls;
mod tunnel;
mod walk;
