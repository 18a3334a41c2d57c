// SPDX-License-Identifier: GPL-2.0-only
//! The functions of libc behind the hooks.

use core::ffi::{CStr, c_char, c_int, c_long, c_uint, c_ulong, c_void};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

use libc::{DIR, FILE, mode_t, size_t, sockaddr, socklen_t, ssize_t};

/// A function of the next library in search order, looked up at first use.
pub struct Symbol {
    name: &'static CStr,
    address: AtomicPtr<c_void>,
}

impl Symbol {
    pub const fn new(name: &'static CStr) -> Symbol {
        Symbol { name, address: AtomicPtr::new(ptr::null_mut()) }
    }

    /// NULL when no library has the function. Two threads may both look it up; they find the same.
    pub fn get(&self) -> *mut c_void {
        let mut address = self.address.load(Ordering::Relaxed);
        if address.is_null() {
            // SAFETY: the name is a C string; dlsym has no other condition.
            address = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) };
            self.address.store(address, Ordering::Relaxed);
        }
        address
    }
}

/// What a function returns when it fails.
pub trait Failed {
    const FAILED: Self;
}
impl Failed for c_int {
    const FAILED: c_int = -1;
}
impl Failed for c_long {
    const FAILED: c_long = -1;
}
impl Failed for isize {
    const FAILED: isize = -1;
}
impl Failed for () {
    const FAILED: () = ();
}
impl<T> Failed for *mut T {
    const FAILED: *mut T = ptr::null_mut();
}

pub fn errno() -> c_int {
    // SAFETY: the location is this thread's errno, always valid.
    unsafe { *libc::__errno_location() }
}

pub fn set_errno(value: c_int) {
    // SAFETY: as in `errno`.
    unsafe { *libc::__errno_location() = value }
}

/// Fail with `error`.
pub fn fail<R: Failed>(error: c_int) -> R {
    set_errno(error);
    R::FAILED
}

/// Run `work` and leave errno as it was.
pub fn keeping_errno<R>(work: impl FnOnce() -> R) -> R {
    let before = errno();
    let result = work();
    set_errno(before);
    result
}

/// Declares callers of real functions; `...` marks those that are variadic in libc.
macro_rules! real {
    ($(fn $name:ident($($arg:ident: $ty:ty),* $(; $extra:ident: $extra_ty:ty)?) -> $ret:ty;)*) => {$(
        /// libc's function of this name; ENOSYS where libc lacks it.
        ///
        /// # Safety
        /// As the libc function.
        #[inline]
        pub unsafe fn $name($($arg: $ty,)* $($extra: $extra_ty)?) -> $ret {
            static SYMBOL: $crate::real::Symbol = $crate::real::Symbol::new(
                // The name of a function has no NUL inside.
                match core::ffi::CStr::from_bytes_with_nul(
                    concat!(stringify!($name), "\0").as_bytes(),
                ) {
                    Ok(name) => name,
                    Err(_) => panic!("not a C string"),
                },
            );
            let address = SYMBOL.get();
            if address.is_null() {
                return $crate::real::fail(libc::ENOSYS);
            }
            // SAFETY: libc's function of this name has this type; the arguments are the caller's.
            unsafe {
                let function = core::mem::transmute::<
                    *mut core::ffi::c_void,
                    real!(@type $($ty),* $(; $extra_ty)? => $ret)
                >(address);
                function($($arg,)* $($extra)?)
            }
        }
    )*};
    (@type $($ty:ty),* ; $extra:ty => $ret:ty) => { unsafe extern "C" fn($($ty,)* ...) -> $ret };
    (@type $($ty:ty),* => $ret:ty) => { unsafe extern "C" fn($($ty),*) -> $ret };
}

/// Defines exported functions under libc's names. In the unit tests they keep Rust names, so that
/// the test program itself is not redirected.
macro_rules! hooks {
    ($($(#[$meta:meta])* fn $name:ident($($arg:ident: $ty:ty),* $(,)?) -> $ret:ty $body:block)*) => {$(
        $(#[$meta])*
        /// The hook of libc's function of this name.
        ///
        /// # Safety
        /// As the libc function.
        #[cfg_attr(not(test), unsafe(no_mangle))]
        pub unsafe extern "C" fn $name($($arg: $ty),*) -> $ret {
            // SAFETY: the caller keeps the contract of the libc function of this name. The body
            // hands its arguments to the real one, or does with them what that contract allows.
            unsafe { $body }
        }
    )*};
}

type Path = *const c_char;
type Stat = *mut libc::stat;
type GlobError = Option<unsafe extern "C" fn(*const c_char, c_int) -> c_int>;
type List = *mut *mut libc::dirent64;
type Filter = Option<unsafe extern "C" fn(*const libc::dirent64) -> c_int>;
type Compare = Option<unsafe extern "C" fn(*const c_void, *const c_void) -> c_int>;
type Visit = unsafe extern "C" fn(Path, *const libc::stat, c_int, *mut c_void) -> c_int;
type Argv = *const *const c_char;

real! {
    fn open(path: Path, flags: c_int; mode: mode_t) -> c_int;
    fn open64(path: Path, flags: c_int; mode: mode_t) -> c_int;
    fn openat(dir: c_int, path: Path, flags: c_int; mode: mode_t) -> c_int;
    fn openat64(dir: c_int, path: Path, flags: c_int; mode: mode_t) -> c_int;
    fn __open_2(path: Path, flags: c_int) -> c_int;
    fn __open64_2(path: Path, flags: c_int) -> c_int;
    fn __openat_2(dir: c_int, path: Path, flags: c_int) -> c_int;
    fn __openat64_2(dir: c_int, path: Path, flags: c_int) -> c_int;
    fn fopen(path: Path, mode: Path) -> *mut FILE;
    fn fopen64(path: Path, mode: Path) -> *mut FILE;
    fn setmntent(path: Path, mode: Path) -> *mut FILE;
    fn freopen(path: Path, mode: Path, file: *mut FILE) -> *mut FILE;
    fn freopen64(path: Path, mode: Path, file: *mut FILE) -> *mut FILE;

    fn stat(path: Path, st: Stat) -> c_int;
    fn stat64(path: Path, st: Stat) -> c_int;
    fn lstat(path: Path, st: Stat) -> c_int;
    fn lstat64(path: Path, st: Stat) -> c_int;
    fn fstat(fd: c_int, st: Stat) -> c_int;
    fn fstat64(fd: c_int, st: Stat) -> c_int;
    fn fstatat(dir: c_int, path: Path, st: Stat, flags: c_int) -> c_int;
    fn fstatat64(dir: c_int, path: Path, st: Stat, flags: c_int) -> c_int;
    fn statfs(path: Path, st: *mut libc::statfs) -> c_int;
    fn fstatfs(fd: c_int, st: *mut libc::statfs) -> c_int;
    fn statx(dir: c_int, path: Path, flags: c_int, mask: c_uint, stx: *mut libc::statx) -> c_int;

    fn realpath(path: Path, resolved: *mut c_char) -> *mut c_char;
    fn opendir(path: Path) -> *mut DIR;
    fn fdopendir(fd: c_int) -> *mut DIR;
    fn readdir64(dir: *mut DIR) -> *mut libc::dirent64;
    fn readdir64_r(dir: *mut DIR, entry: *mut libc::dirent64, result: *mut *mut libc::dirent64) -> c_int;
    fn closedir(dir: *mut DIR) -> c_int;
    fn dirfd(dir: *mut DIR) -> c_int;
    fn telldir(dir: *mut DIR) -> c_long;
    fn seekdir(dir: *mut DIR, at: c_long) -> ();
    fn rewinddir(dir: *mut DIR) -> ();
    fn scandirat64(dir: c_int, path: Path, list: *mut List, filter: Filter, compare: Compare) -> c_int;
    fn glob64(pattern: Path, flags: c_int, error: GlobError, found: *mut c_void) -> c_int;
    fn nftw64(path: Path, visit: Visit, descriptors: c_int, flags: c_int) -> c_int;
    fn fts_open(paths: *const *const c_char, options: c_int, compare: *mut c_void) -> *mut c_void;
    fn __realpath_chk(path: Path, resolved: *mut c_char, room: size_t) -> *mut c_char;
    fn mkdtemp(template: *mut c_char) -> *mut c_char;
    fn chdir(path: Path) -> c_int;
    fn fchdir(fd: c_int) -> c_int;
    fn renameat(from_dir: c_int, from: Path, to_dir: c_int, to: Path) -> c_int;
    fn renameat2(from_dir: c_int, from: Path, to_dir: c_int, to: Path, flags: c_uint) -> c_int;
    fn linkat(from_dir: c_int, from: Path, to_dir: c_int, to: Path, flags: c_int) -> c_int;
    fn mknodat(dir: c_int, path: Path, mode: mode_t, dev: libc::dev_t) -> c_int;
    fn symlinkat(target: Path, dir: c_int, path: Path) -> c_int;
    fn fanotify_mark(fd: c_int, flags: c_uint, mask: u64, dir: c_int, path: Path) -> c_int;
    fn quotactl(command: c_int, special: Path, id: c_int, data: *mut c_void) -> c_int;
    fn mount(source: Path, target: Path, kind: Path, flags: c_ulong, data: *const c_void) -> c_int;
    fn fsopen(kind: Path, flags: c_uint) -> c_int;
    fn fsconfig(fd: c_int, command: c_uint, key: Path, value: *const c_void, more: c_int) -> c_int;
    fn uname(name: *mut libc::utsname) -> c_int;
    fn gethostname(name: *mut c_char, length: size_t) -> c_int;
    fn __gethostname_chk(name: *mut c_char, length: size_t, room: size_t) -> c_int;
    fn sethostname(name: Path, length: size_t) -> c_int;
    fn reboot(command: c_int) -> c_int;

    fn execve(path: Path, argv: Argv, envp: Argv) -> c_int;
    fn execv(path: Path, argv: Argv) -> c_int;
    fn execvp(file: Path, argv: Argv) -> c_int;
    fn execvpe(file: Path, argv: Argv, envp: Argv) -> c_int;
    fn execveat(dir: c_int, path: Path, argv: Argv, envp: Argv, flags: c_int) -> c_int;
    fn fexecve(fd: c_int, argv: Argv, envp: Argv) -> c_int;
    fn posix_spawn_file_actions_addopen(actions: *mut c_void, fd: c_int, path: Path, flags: c_int, mode: mode_t) -> c_int;
    fn posix_spawn_file_actions_addchdir_np(actions: *mut c_void, path: Path) -> c_int;

    fn syscall(number: c_long, a: c_long, b: c_long, c: c_long, d: c_long, e: c_long, f: c_long) -> c_long;
    fn ioctl(fd: c_int, request: libc::Ioctl; arg: *mut c_void) -> c_int;
    fn fcntl(fd: c_int, command: c_int; arg: c_long) -> c_int;
    fn fcntl64(fd: c_int, command: c_int; arg: c_long) -> c_int;
    fn close(fd: c_int) -> c_int;
    fn close_range(first: c_uint, last: c_uint, flags: c_int) -> c_int;
    fn dup(fd: c_int) -> c_int;
    fn dup2(fd: c_int, to: c_int) -> c_int;
    fn dup3(fd: c_int, to: c_int, flags: c_int) -> c_int;

    fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int;
    fn bind(fd: c_int, addr: *const sockaddr, len: socklen_t) -> c_int;
    fn connect(fd: c_int, addr: *const sockaddr, len: socklen_t) -> c_int;
    fn getsockname(fd: c_int, addr: *mut sockaddr, len: *mut socklen_t) -> c_int;
    fn getpeername(fd: c_int, addr: *mut sockaddr, len: *mut socklen_t) -> c_int;
    fn setsockopt(fd: c_int, level: c_int, name: c_int, value: *const c_void, len: socklen_t) -> c_int;
    fn getsockopt(fd: c_int, level: c_int, name: c_int, value: *mut c_void, len: *mut socklen_t) -> c_int;
    fn recvmsg(fd: c_int, msg: *mut libc::msghdr, flags: c_int) -> ssize_t;
    fn recv(fd: c_int, buf: *mut c_void, len: size_t, flags: c_int) -> ssize_t;
    fn __recv_chk(fd: c_int, buf: *mut c_void, len: size_t, room: size_t, flags: c_int) -> ssize_t;
    fn recvfrom(fd: c_int, buf: *mut c_void, len: size_t, flags: c_int, addr: *mut sockaddr, addr_len: *mut socklen_t) -> ssize_t;
    fn __recvfrom_chk(fd: c_int, buf: *mut c_void, len: size_t, room: size_t, flags: c_int, addr: *mut sockaddr, addr_len: *mut socklen_t) -> ssize_t;
    fn send(fd: c_int, buf: *const c_void, len: size_t, flags: c_int) -> ssize_t;
    fn sendto(fd: c_int, buf: *const c_void, len: size_t, flags: c_int, addr: *const sockaddr, addr_len: socklen_t) -> ssize_t;
    fn sendmsg(fd: c_int, msg: *const libc::msghdr, flags: c_int) -> ssize_t;
    fn read(fd: c_int, buf: *mut c_void, len: size_t) -> ssize_t;
    fn __read_chk(fd: c_int, buf: *mut c_void, len: size_t, room: size_t) -> ssize_t;
    fn write(fd: c_int, buf: *const c_void, len: size_t) -> ssize_t;
}
