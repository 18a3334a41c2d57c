// SPDX-License-Identifier: GPL-2.0-only
//! Programs that load kernel modules, and programs that end the machine.
//!
//! `drbdsetup` runs `/sbin/modprobe drbd` when it finds no `/proc/drbd`, init scripts and cluster
//! agents run `modprobe`, `rmmod` and `lsmod`; handlers of drbd.conf run `reboot -f` and `halt -f`. Left
//! alone they would load the host's module into the host's kernel, or end the host. The exec family
//! runs the `umc` program beside this library in their place, with the arguments as they are: `umc`
//! acts by the name it is called by.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;

use libc::{AT_FDCWD, mode_t};

use crate::bytes;
use crate::paths::{open_flags, open_way};
use crate::raw;
use crate::real::{self, fail, keeping_errno};
use crate::redirect::{Redirect, Room, Way};
use crate::root::Root;
use umc_protocol::programs::is_of_the_node;

type Argv = *const *const c_char;

unsafe extern "C" {
    /// The environment of this process.
    static environ: Argv;
}

/// The environment of `umc`: the caller's, with the root of this process's node. Where that is not in it, somebody has
/// cleared it (`env -i reboot`), and `umc` would have to guess which node is meant.
struct Environment {
    root: [u8; 4096],
    list: [*const c_char; Environment::MAX + 2],
}

impl Environment {
    /// More are left out: they are none that `umc` knows.
    const MAX: usize = 254;

    fn new() -> Environment {
        Environment { root: [0; 4096], list: [ptr::null(); Environment::MAX + 2] }
    }

    /// # Safety
    /// `envp` is NULL or an array of C strings that ends with NULL.
    unsafe fn of_node(&mut self, envp: Argv) -> Argv {
        // SAFETY: by contract.
        let mut own = unsafe { strings(envp) };
        if own.any(|entry| entry.starts_with(b"UMC_FS_ROOT=") && !entry.ends_with(b"=")) {
            return envp;
        }
        let root = Root::get().map_or(&b""[..], Root::path);
        let Some(root) = bytes::join(b"UMC_FS_ROOT=", &[root], &mut self.root) else { return envp };
        self.list[0] = root.as_ptr();
        // SAFETY: by contract.
        let own = unsafe { strings(envp) }.filter(|entry| !entry.starts_with(b"UMC_FS_ROOT="));
        for (place, entry) in self.list[1..=Environment::MAX].iter_mut().zip(own) {
            *place = entry.as_ptr().cast();
        }
        self.list.as_ptr()
    }
}

/// Room for the path of `umc`.
type UmcPath = [u8; 4096];

/// A variadic function: written in C (`variadic.c`), since Rust has no such definitions, and exported here, since of C
/// nothing is exported. The jump leaves every argument where the caller put it.
macro_rules! variadic {
    ($(fn $name:ident is $body:ident;)*) => {
        unsafe extern "C" {
            $(fn $body();)*
        }
        $(
            /// The hook of libc's function of this name.
            ///
            /// # Safety
            /// As the libc function.
            #[cfg_attr(not(test), unsafe(no_mangle))]
            #[unsafe(naked)]
            pub unsafe extern "C" fn $name() {
                #[cfg(target_arch = "x86_64")]
                core::arch::naked_asm!("jmp {}", sym $body);
                #[cfg(target_arch = "aarch64")]
                core::arch::naked_asm!("b {}", sym $body);
            }
        )*
    };
}

variadic! {
    fn execl is umc_execl;
    fn execlp is umc_execlp;
    fn execle is umc_execle;
}

hooks! {
    fn execveat(dir: c_int, path: *const c_char, argv: Argv, envp: Argv, flags: c_int) -> c_int {
        match replacement_of_open(dir, path, argv, &mut [0; 4096]) {
            Ok(Some(umc)) => real::execve(umc, argv, Environment::new().of_node(envp)),
            Ok(None) => real::execveat(dir, path, argv, envp, flags),
            Err(error) => fail(error),
        }
    }
    fn fexecve(fd: c_int, argv: Argv, envp: Argv) -> c_int {
        match replacement_of_open(fd, c"".as_ptr(), argv, &mut [0; 4096]) {
            Ok(Some(umc)) => real::execve(umc, argv, Environment::new().of_node(envp)),
            Ok(None) => real::fexecve(fd, argv, envp),
            Err(error) => fail(error),
        }
    }
    // What is opened for a new program is opened by libc itself.
    fn posix_spawn_file_actions_addopen(
        actions: *mut c_void,
        fd: c_int,
        path: *const c_char,
        flags: c_int,
        mode: mode_t,
    ) -> c_int {
        let mut room = Room::new();
        match Redirect::new(&mut room, AT_FDCWD, path, open_way(flags)) {
            Ok(to) if to.is_refused(flags) => libc::EACCES,
            Ok(to) => {
                let flags = if to.is_in_tree() { open_flags(flags) } else { flags };
                real::posix_spawn_file_actions_addopen(actions, fd, to.path(), flags, mode)
            }
            Err(error) => error,
        }
    }
    fn posix_spawn_file_actions_addchdir_np(actions: *mut c_void, path: *const c_char) -> c_int {
        let mut room = Room::new();
        match Redirect::new(&mut room, AT_FDCWD, path, Way::Use) {
            Ok(to) => real::posix_spawn_file_actions_addchdir_np(actions, to.path()),
            Err(error) => error,
        }
    }
    fn execve(path: *const c_char, argv: Argv, envp: Argv) -> c_int {
        match replacement(path, argv, &mut [0; 4096]) {
            Ok(Some(umc)) => real::execve(umc, argv, Environment::new().of_node(envp)),
            Ok(None) => real::execve(path, argv, envp),
            Err(error) => fail(error),
        }
    }
    fn execv(path: *const c_char, argv: Argv) -> c_int {
        match replacement(path, argv, &mut [0; 4096]) {
            Ok(Some(umc)) => real::execve(umc, argv, Environment::new().of_node(environ)),
            Ok(None) => real::execv(path, argv),
            Err(error) => fail(error),
        }
    }
    fn execvp(file: *const c_char, argv: Argv) -> c_int {
        match replacement(file, argv, &mut [0; 4096]) {
            Ok(Some(umc)) => real::execve(umc, argv, Environment::new().of_node(environ)),
            Ok(None) => real::execvp(file, argv),
            Err(error) => fail(error),
        }
    }
    fn execvpe(file: *const c_char, argv: Argv, envp: Argv) -> c_int {
        match replacement(file, argv, &mut [0; 4096]) {
            Ok(Some(umc)) => real::execve(umc, argv, Environment::new().of_node(envp)),
            Ok(None) => real::execvpe(file, argv, envp),
            Err(error) => fail(error),
        }
    }
}

/// Functions like posix_spawn: they return the error.
macro_rules! spawn_hooks {
    ($(fn $name:ident;)*) => {
        hooks! {$(
            fn $name(
                id: *mut c_int,
                path: *const c_char,
                actions: *const c_void,
                attr: *const c_void,
                argv: Argv,
                envp: Argv,
            ) -> c_int {
                real! {
                    fn $name(
                        id: *mut c_int, path: *const c_char, actions: *const c_void,
                        attr: *const c_void, argv: Argv, envp: Argv
                    ) -> c_int;
                }
                let mut environment = Environment::new();
                let (path, envp) = match replacement(path, argv, &mut [0; 4096]) {
                    Ok(Some(umc)) => (umc, environment.of_node(envp)),
                    Ok(None) => (path, envp),
                    Err(error) => return error,
                };
                match keeping_errno(|| $name(id, path, actions, attr, argv, envp)) {
                    // There is no such function.
                    -1 => libc::ENOSYS,
                    result => result,
                }
            }
        )*}
    };
}

spawn_hooks! {
    fn posix_spawn;
    fn posix_spawnp;
    fn pidfd_spawn;
    fn pidfd_spawnp;
}

/// `umc`, if it is to be run in place of the program `path`. Where there is no `umc` the host's program is not run
/// either, and the caller hears ENOENT.
///
/// # Safety
/// `path` is NULL or a C string, `argv` is NULL or an array of C strings that ends with NULL.
unsafe fn replacement(
    path: *const c_char,
    argv: Argv,
    room: &mut UmcPath,
) -> Result<Option<*const c_char>, c_int> {
    if Root::get().is_none() || path.is_null() {
        return Ok(None);
    }
    // SAFETY: a C string by contract.
    let name = unsafe { CStr::from_ptr(path) }.to_bytes();
    // SAFETY: by contract.
    if !is_of_the_node(name, unsafe { arguments(argv) }) {
        return Ok(None);
    }
    keeping_errno(|| {
        let umc = beside_library(room).ok_or(libc::ENOENT)?;
        raw::exists(umc)?.then_some(Some(umc)).ok_or(libc::ENOENT)
    })
}

/// `umc`, if it is to be run in place of the program `path` relative to `dir`, or, for an empty `path`, of the open
/// file `dir`.
///
/// # Safety
/// As [`replacement`].
unsafe fn replacement_of_open(
    dir: c_int,
    path: *const c_char,
    argv: Argv,
    room: &mut UmcPath,
) -> Result<Option<*const c_char>, c_int> {
    let mut name = [0; 4096];
    // SAFETY: a C string by contract.
    let is_open = !path.is_null() && unsafe { CStr::from_ptr(path) }.is_empty();
    let path = match Root::get() {
        None => return Ok(None),
        Some(_) if is_open => {
            let room = name.len() - 1;
            // A file without a name is no program of the machine.
            if keeping_errno(|| raw::name_of(dir, &mut name[..room])).is_none() {
                return Ok(None);
            }
            name.as_ptr().cast()
        }
        Some(_) => path,
    };
    // SAFETY: by contract.
    unsafe { replacement(path, argv, room) }
}

/// What a program is called with, without its own name.
///
/// # Safety
/// `argv` is NULL or an array of C strings that ends with NULL and outlives the result.
unsafe fn arguments<'a>(argv: Argv) -> impl Iterator<Item = &'a [u8]> {
    // SAFETY: by contract.
    unsafe { strings(argv) }.skip(1)
}

/// The strings of an array.
///
/// # Safety
/// As [`arguments`].
unsafe fn strings<'a>(array: Argv) -> impl Iterator<Item = &'a [u8]> {
    let mut next = array;
    core::iter::from_fn(move || {
        // SAFETY: by contract; `next` did not pass the end.
        let string = if next.is_null() { ptr::null() } else { unsafe { *next } };
        if string.is_null() {
            return None;
        }
        // SAFETY: a string stood here, so there is a next place.
        next = unsafe { next.add(1) };
        // SAFETY: by contract.
        Some(unsafe { CStr::from_ptr(string) }.to_bytes())
    })
}

/// `umc` in the directory this library was loaded from.
fn beside_library(room: &mut UmcPath) -> Option<*const c_char> {
    let mut info = libc::Dl_info {
        dli_fname: ptr::null(),
        dli_fbase: ptr::null_mut(),
        dli_sname: ptr::null(),
        dli_saddr: ptr::null_mut(),
    };
    let here = beside_library as fn(&mut UmcPath) -> Option<*const c_char>;
    // SAFETY: any address may be asked for; `info` has room for the answer.
    if unsafe { libc::dladdr(here as *const c_void, &mut info) } == 0 || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: the loader's name of this library, which stays loaded.
    let library = unsafe { CStr::from_ptr(info.dli_fname) }.to_bytes();
    let dir = &library[..library.iter().rposition(|&b| b == b'/')?];
    bytes::join(dir, &[b"/umc"], room).map(CStr::as_ptr)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_end_with_null() {
        let argv = [c"name".as_ptr(), c"-f".as_ptr(), ptr::null()];
        // SAFETY: literals, and the end.
        assert_eq!(unsafe { arguments(argv.as_ptr()) }.collect::<Vec<_>>(), [b"-f"]);
        // SAFETY: NULL is allowed.
        assert_eq!(unsafe { arguments(ptr::null()) }.count(), 0);
    }
}
