//! Programs that load kernel modules.
//!
//! `drbdsetup` runs `/sbin/modprobe drbd` when it finds no `/proc/drbd`, init scripts and cluster
//! agents run `modprobe`, `rmmod` and `lsmod`. Left alone they would load the host's module into the
//! host's kernel. The exec family runs the `umc` program beside this library in their place, with
//! the arguments as they are: `umc` acts by the name it is called by.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;

use crate::raw;
use crate::real::{self, fail, keeping_errno};
use crate::root::{self, Root};

type Argv = *const *const c_char;

const PROGRAMS: [&[u8]; 5] = [b"modprobe", b"insmod", b"rmmod", b"lsmod", b"modinfo"];

/// Room for the path of `umc`.
type Room = [u8; 4096];

hooks! {
    fn execve(path: *const c_char, argv: Argv, envp: Argv) -> c_int {
        match replacement(path, &mut [0; 4096]) {
            Ok(path) => real::execve(path, argv, envp),
            Err(error) => fail(error),
        }
    }
    fn execv(path: *const c_char, argv: Argv) -> c_int {
        match replacement(path, &mut [0; 4096]) {
            Ok(path) => real::execv(path, argv),
            Err(error) => fail(error),
        }
    }
    fn execvp(file: *const c_char, argv: Argv) -> c_int {
        match replacement(file, &mut [0; 4096]) {
            Ok(file) => real::execvp(file, argv),
            Err(error) => fail(error),
        }
    }
    fn execvpe(file: *const c_char, argv: Argv, envp: Argv) -> c_int {
        match replacement(file, &mut [0; 4096]) {
            Ok(file) => real::execvpe(file, argv, envp),
            Err(error) => fail(error),
        }
    }
    fn posix_spawn(
        pid: *mut c_int,
        path: *const c_char,
        actions: *const c_void,
        attr: *const c_void,
        argv: Argv,
        envp: Argv,
    ) -> c_int {
        match replacement(path, &mut [0; 4096]) {
            Ok(path) => real::posix_spawn(pid, path, actions, attr, argv, envp),
            Err(error) => error,
        }
    }
    fn posix_spawnp(
        pid: *mut c_int,
        file: *const c_char,
        actions: *const c_void,
        attr: *const c_void,
        argv: Argv,
        envp: Argv,
    ) -> c_int {
        match replacement(file, &mut [0; 4096]) {
            Ok(file) => real::posix_spawnp(pid, file, actions, attr, argv, envp),
            Err(error) => error,
        }
    }
}

/// The program to run in place of `path`: `path` itself, or `umc`. Where there is no `umc` the host's
/// program is not run either, and the caller hears ENOENT.
///
/// # Safety
/// `path` is NULL or a C string.
unsafe fn replacement(path: *const c_char, room: &mut Room) -> Result<*const c_char, c_int> {
    if Root::get().is_none() || path.is_null() {
        return Ok(path);
    }
    // SAFETY: a C string by contract.
    let name = unsafe { CStr::from_ptr(path) }.to_bytes();
    if !loads_modules(name) {
        return Ok(path);
    }
    keeping_errno(|| {
        let umc = beside_library(room).ok_or(libc::ENOENT)?;
        raw::exists(umc).then_some(umc).ok_or(libc::ENOENT)
    })
}

fn loads_modules(path: &[u8]) -> bool {
    let name = path.rsplit(|&b| b == b'/').next().unwrap_or(path);
    PROGRAMS.contains(&name)
}

/// `umc` in the directory this library was loaded from.
fn beside_library(room: &mut Room) -> Option<*const c_char> {
    let mut info = libc::Dl_info {
        dli_fname: ptr::null(),
        dli_fbase: ptr::null_mut(),
        dli_sname: ptr::null(),
        dli_saddr: ptr::null_mut(),
    };
    let here = beside_library as fn(&mut Room) -> Option<*const c_char>;
    // SAFETY: any address may be asked for; `info` has room for the answer.
    if unsafe { libc::dladdr(here as *const c_void, &mut info) } == 0 || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: the loader's name of this library, which stays loaded.
    let library = unsafe { CStr::from_ptr(info.dli_fname) }.to_bytes();
    let dir = &library[..library.iter().rposition(|&b| b == b'/')?];
    root::join(dir, &[b"/umc"], room).map(CStr::as_ptr)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_known_by_their_last_component() {
        for path in ["/sbin/modprobe", "modprobe", "/usr/sbin/rmmod", "./insmod"] {
            assert!(loads_modules(path.as_bytes()), "{path}");
        }
        for path in ["/sbin/modprobe/x", "modprobes", "", "/", "/sbin/drbdsetup"] {
            assert!(!loads_modules(path.as_bytes()), "{path}");
        }
    }
}
