//! Programs that load kernel modules, and programs that end the machine.
//!
//! `drbdsetup` runs `/sbin/modprobe drbd` when it finds no `/proc/drbd`, init scripts and cluster
//! agents run `modprobe`, `rmmod` and `lsmod`; handlers of drbd.conf run `reboot -f` and `halt -f`. Left
//! alone they would load the host's module into the host's kernel, or end the host. The exec family
//! runs the `umc` program beside this library in their place, with the arguments as they are: `umc`
//! acts by the name it is called by.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;

use crate::raw;
use crate::real::{self, fail, keeping_errno};
use crate::root::{self, Root};
use crate::systemctl;

type Argv = *const *const c_char;

const PROGRAMS: [&[u8]; 10] = [
    b"modprobe",
    b"insmod",
    b"rmmod",
    b"lsmod",
    b"modinfo",
    b"reboot",
    b"halt",
    b"poweroff",
    b"shutdown",
    b"telinit",
];

/// Other names of `telinit`; elsewhere `init` is a script like any other.
const INIT: [&[u8]; 3] = [b"init", b"/sbin/init", b"/usr/sbin/init"];

/// Room for the path of `umc`.
type Room = [u8; 4096];

hooks! {
    fn execve(path: *const c_char, argv: Argv, envp: Argv) -> c_int {
        match replacement(path, argv, &mut [0; 4096]) {
            Ok(path) => real::execve(path, argv, envp),
            Err(error) => fail(error),
        }
    }
    fn execv(path: *const c_char, argv: Argv) -> c_int {
        match replacement(path, argv, &mut [0; 4096]) {
            Ok(path) => real::execv(path, argv),
            Err(error) => fail(error),
        }
    }
    fn execvp(file: *const c_char, argv: Argv) -> c_int {
        match replacement(file, argv, &mut [0; 4096]) {
            Ok(file) => real::execvp(file, argv),
            Err(error) => fail(error),
        }
    }
    fn execvpe(file: *const c_char, argv: Argv, envp: Argv) -> c_int {
        match replacement(file, argv, &mut [0; 4096]) {
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
        match replacement(path, argv, &mut [0; 4096]) {
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
        match replacement(file, argv, &mut [0; 4096]) {
            Ok(file) => real::posix_spawnp(pid, file, actions, attr, argv, envp),
            Err(error) => error,
        }
    }
}

/// The program to run in place of `path`: `path` itself, or `umc`. Where there is no `umc` the host's
/// program is not run either, and the caller hears ENOENT.
///
/// # Safety
/// `path` is NULL or a C string, `argv` is NULL or an array of C strings that ends with NULL.
unsafe fn replacement(
    path: *const c_char,
    argv: Argv,
    room: &mut Room,
) -> Result<*const c_char, c_int> {
    if Root::get().is_none() || path.is_null() {
        return Ok(path);
    }
    // SAFETY: a C string by contract.
    let name = unsafe { CStr::from_ptr(path) }.to_bytes();
    // SAFETY: by contract.
    if !acts_on_the_kernel(name, unsafe { arguments(argv) }) {
        return Ok(path);
    }
    keeping_errno(|| {
        let umc = beside_library(room).ok_or(libc::ENOENT)?;
        raw::exists(umc).then_some(umc).ok_or(libc::ENOENT)
    })
}

fn acts_on_the_kernel<'a>(path: &[u8], arguments: impl Iterator<Item = &'a [u8]>) -> bool {
    let name = path.rsplit(|&b| b == b'/').next().unwrap_or(path);
    PROGRAMS.contains(&name)
        || INIT.contains(&path)
        || (name == b"systemctl" && systemctl::ending(arguments).is_some())
}

/// What a program is called with, without its own name.
///
/// # Safety
/// `argv` is NULL or an array of C strings that ends with NULL and outlives the result.
unsafe fn arguments<'a>(argv: Argv) -> impl Iterator<Item = &'a [u8]> {
    let mut next = argv;
    core::iter::from_fn(move || {
        // SAFETY: by contract; `next` did not pass the end.
        let argument = if next.is_null() { ptr::null() } else { unsafe { *next } };
        if argument.is_null() {
            return None;
        }
        // SAFETY: a string stood here, so there is a next place.
        next = unsafe { next.add(1) };
        // SAFETY: by contract.
        Some(unsafe { CStr::from_ptr(argument) }.to_bytes())
    })
    .skip(1)
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

    fn is_replaced(command: &str) -> bool {
        let mut words = command.split(' ').map(str::as_bytes);
        acts_on_the_kernel(words.next().unwrap(), words)
    }

    #[test]
    fn programs_are_known_by_their_last_component() {
        for path in ["/sbin/modprobe", "modprobe", "/usr/sbin/rmmod", "./insmod", "/sbin/reboot"] {
            assert!(is_replaced(path), "{path}");
        }
        for path in ["/sbin/modprobe/x", "modprobes", "", "/", "/sbin/drbdsetup", "./init"] {
            assert!(!is_replaced(path), "{path}");
        }
    }

    #[test]
    fn what_ends_the_machine_is_known() {
        for command in ["halt -f", "/sbin/init 6", "init 0", "telinit 6"] {
            assert!(is_replaced(command), "{command}");
        }
        assert!(!is_replaced("./init 6"));
    }

    #[test]
    fn what_of_systemctl_ends_the_machine_is_known() {
        for arguments in [
            "reboot",
            "--force reboot",
            "-ff poweroff",
            "-q --no-wall exit",
            "-- kexec",
            "--message gone soft-reboot",
            "--mess gone halt",
            "--message=gone halt",
            "-qn 5 reboot",
            "-n5 reboot",
            "start reboot.target",
            "isolate poweroff.target",
            "isolate halt",
            "start --no-block drbd.service kexec.target",
            "--job-mode replace-irreversibly start shutdown.target",
            "restart soft-reboot.target",
            "start ctrl-alt-del.target",
            "isolate exit.target",
            "isolate runlevel6.target",
            "start systemd-reboot.service",
            "start systemd-poweroff",
        ] {
            assert!(is_replaced(&format!("systemctl {arguments}")), "{arguments}");
            assert!(is_replaced(&format!("/usr/bin/systemctl {arguments}")), "{arguments}");
        }
        for arguments in [
            "status reboot",
            "status reboot.target",
            "restart drbd",
            "start reboot",
            "start reboot.service",
            "start systemd-logind.service",
            "isolate multi-user.target",
            "stop reboot.target",
            "list-units --state reboot",
            "--type target list-units reboot.target",
            "-p reboot show",
            "--version",
            "-- --force reboot",
            "-- status reboot",
        ] {
            assert!(!is_replaced(&format!("systemctl {arguments}")), "{arguments}");
        }
        assert!(!is_replaced("systemctl"));
    }

    #[test]
    fn arguments_end_with_null() {
        let argv = [c"name".as_ptr(), c"-f".as_ptr(), ptr::null()];
        // SAFETY: literals, and the end.
        assert_eq!(unsafe { arguments(argv.as_ptr()) }.collect::<Vec<_>>(), [b"-f"]);
        // SAFETY: NULL is allowed.
        assert_eq!(unsafe { arguments(ptr::null()) }.count(), 0);
    }
}
