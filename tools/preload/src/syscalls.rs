// SPDX-License-Identifier: GPL-2.0-only
//! syscall(2): what programs ask the kernel for by number goes the way of the function of that name.

use core::ffi::{c_char, c_int, c_long, c_uint, c_ulong, c_void};

use libc::{dev_t, gid_t, mode_t, off_t, size_t, sockaddr, socklen_t, uid_t};

use crate::real::{self, fail};
use crate::root::Root;
use crate::{exec, hostname, ioctl, mount, netlink, paths, power, stat};

type Path = *const c_char;
type Argv = *const *const c_char;

/// `NUMBER => function(types of its arguments);` for each call that has a hook.
macro_rules! calls {
    ($number:expr, $args:expr; $($(#[$cfg:meta])? $call:ident => $($function:ident)::+($($ty:ty),*);)*) => {
        match $number {
            $($(#[$cfg])? libc::$call => {
                let mut args = $args.into_iter();
                // The arguments are as many words as the widest call has.
                $($function)::+($(args.next().unwrap_or(0) as $ty),*) as c_long
            })*
            _ => return None,
        }
    };
}

/// As a kernel without keyrings answers.
fn no_keyrings(_first: c_long) -> c_long {
    fail(libc::ENOSYS)
}

/// The hook's answer; None for a call that has none.
///
/// # Safety
/// `args` are what the call wants.
unsafe fn hooked(number: c_long, args: [c_long; 6]) -> Option<c_long> {
    // SAFETY: by contract: each function takes what its call does.
    Some(unsafe {
        calls! { number, args;
            #[cfg(target_arch = "x86_64")]
            SYS_open => paths::open(Path, c_int, mode_t);
            #[cfg(target_arch = "x86_64")]
            SYS_creat => paths::creat(Path, mode_t);
            #[cfg(target_arch = "x86_64")]
            SYS_stat => stat::stat(Path, *mut libc::stat);
            #[cfg(target_arch = "x86_64")]
            SYS_lstat => stat::lstat(Path, *mut libc::stat);
            #[cfg(target_arch = "x86_64")]
            SYS_access => paths::access(Path, c_int);
            #[cfg(target_arch = "x86_64")]
            SYS_readlink => paths::readlink(Path, *mut c_char, size_t);
            #[cfg(target_arch = "x86_64")]
            SYS_mkdir => paths::mkdir(Path, mode_t);
            #[cfg(target_arch = "x86_64")]
            SYS_mknod => paths::mknod(Path, mode_t, dev_t);
            #[cfg(target_arch = "x86_64")]
            SYS_rmdir => paths::rmdir(Path);
            #[cfg(target_arch = "x86_64")]
            SYS_unlink => paths::unlink(Path);
            #[cfg(target_arch = "x86_64")]
            SYS_rename => paths::rename(Path, Path);
            #[cfg(target_arch = "x86_64")]
            SYS_link => paths::link(Path, Path);
            #[cfg(target_arch = "x86_64")]
            SYS_symlink => paths::symlink(Path, Path);
            #[cfg(target_arch = "x86_64")]
            SYS_chmod => paths::chmod(Path, mode_t);
            #[cfg(target_arch = "x86_64")]
            SYS_chown => paths::chown(Path, uid_t, gid_t);
            #[cfg(target_arch = "x86_64")]
            SYS_lchown => paths::lchown(Path, uid_t, gid_t);
            SYS_openat => paths::openat(c_int, Path, c_int, mode_t);
            SYS_openat2 => paths::openat2(c_int, Path, *mut c_void, size_t);
            SYS_newfstatat => stat::fstatat(c_int, Path, *mut libc::stat, c_int);
            SYS_fstat => stat::fstat(c_int, *mut libc::stat);
            SYS_statx => stat::statx(c_int, Path, c_int, c_uint, *mut libc::statx);
            SYS_statfs => stat::statfs(Path, *mut libc::statfs);
            SYS_fstatfs => stat::fstatfs(c_int, *mut libc::statfs);
            SYS_faccessat => paths::access_at(c_int, Path, c_int);
            SYS_faccessat2 => paths::faccessat(c_int, Path, c_int, c_int);
            SYS_readlinkat => paths::readlinkat(c_int, Path, *mut c_char, size_t);
            SYS_mkdirat => paths::mkdirat(c_int, Path, mode_t);
            SYS_mknodat => paths::mknodat(c_int, Path, mode_t, dev_t);
            SYS_unlinkat => paths::unlinkat(c_int, Path, c_int);
            SYS_renameat => paths::renameat(c_int, Path, c_int, Path);
            SYS_renameat2 => paths::renameat2(c_int, Path, c_int, Path, c_uint);
            SYS_linkat => paths::linkat(c_int, Path, c_int, Path, c_int);
            SYS_symlinkat => paths::symlinkat(Path, c_int, Path);
            SYS_fchmodat => paths::chmod_at(c_int, Path, mode_t);
            SYS_fchownat => paths::fchownat(c_int, Path, uid_t, gid_t, c_int);
            SYS_utimensat => paths::utimensat(c_int, Path, *const libc::timespec, c_int);
            SYS_truncate => paths::truncate(Path, off_t);
            SYS_chdir => paths::chdir(Path);
            SYS_fchdir => paths::fchdir(c_int);
            SYS_chroot => paths::chroot(Path);
            SYS_execve => exec::execve(Path, Argv, Argv);
            SYS_execveat => exec::execveat(c_int, Path, Argv, Argv, c_int);
            SYS_mount => mount::mount(Path, Path, Path, c_ulong, *const c_void);
            SYS_fsopen => mount::fsopen(Path, c_uint);
            SYS_fsconfig => mount::fsconfig(c_int, c_uint, Path, *const c_void, c_int);
            SYS_swapon => paths::swapon(Path, c_int);
            SYS_swapoff => paths::swapoff(Path);
            SYS_ioctl => ioctl::ioctl(c_int, libc::Ioctl, *mut c_void);
            SYS_socket => netlink::socket(c_int, c_int, c_int);
            SYS_bind => netlink::bind(c_int, *const sockaddr, socklen_t);
            SYS_uname => hostname::uname(*mut libc::utsname);
            SYS_sethostname => power::sethostname(Path, size_t);
            SYS_reboot => power::reboot_call(c_uint, c_uint, c_int, *const c_void);
            SYS_init_module => power::init_module(*const c_void, c_ulong, Path);
            SYS_finit_module => power::only_a_host_can(c_ulong);
            SYS_delete_module => power::delete_module(Path, c_uint);
            SYS_kexec_load => power::only_a_host_can(c_ulong);
            SYS_kexec_file_load => power::only_a_host_can(c_ulong);
            // The host's keyrings are not the node's: who hears that there are none does without.
            SYS_add_key => no_keyrings(c_long);
            SYS_request_key => no_keyrings(c_long);
            SYS_keyctl => no_keyrings(c_long);
            SYS_syslog => power::klogctl(c_int, *mut c_char, c_int);
        }
    })
}

hooks! {
    fn syscall(
        number: c_long,
        a: c_long,
        b: c_long,
        c: c_long,
        d: c_long,
        e: c_long,
        f: c_long,
    ) -> c_long {
        let args = [a, b, c, d, e, f];
        match Root::get().and_then(|_| hooked(number, args)) {
            Some(result) => result,
            None => real::syscall(number, a, b, c, d, e, f),
        }
    }
}
