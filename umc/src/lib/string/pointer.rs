// SPDX-License-Identifier: GPL-2.0-only
//! The `%p` extensions of printk: what a pointer points to, as text.
//!
//! glue/printf.c calls [`umc_format_pointer`] for each `%p` and pads the result. Not provided: the extensions for
//! device trees, clocks, flags of pages and times; they print the address.

use std::ffi::{c_char, c_int, c_void};
use std::net::{Ipv4Addr, Ipv6Addr};

use super::{bytes, lossy, lossy_bytes};
use crate::errno::ptr_err;
use crate::{bitmap, sys};

/// Below this an address is an offset from NULL.
const LOWEST_ADDRESS: usize = 4096;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
/// Names that `%pd4` shows at most.
const NAMES_MAX: usize = 4;

/// The address, all digits: `%p`, `%px`.
fn address(ptr: *const c_void) -> String {
    format!("{:016x}", ptr as usize)
}

/// `%pe`: the name of an error. Numbers without a name stay numbers.
fn error_name(errno: c_int) -> String {
    macro_rules! names {
        ($($name:ident)*) => {
            match errno {
                $(libc::$name => concat!("-", stringify!($name)),)*
                512 => "-ERESTARTSYS",
                513 => "-ERESTARTNOINTR",
                514 => "-ERESTARTNOHAND",
                515 => "-ENOIOCTLCMD",
                516 => "-ERESTART_RESTARTBLOCK",
                517 => "-EPROBE_DEFER",
                518 => "-EOPENSTALE",
                519 => "-ENOPARAM",
                521 => "-EBADHANDLE",
                522 => "-ENOTSYNC",
                523 => "-EBADCOOKIE",
                524 => "-ENOTSUPP",
                525 => "-ETOOSMALL",
                526 => "-ESERVERFAULT",
                527 => "-EBADTYPE",
                528 => "-EJUKEBOX",
                529 => "-EIOCBQUEUED",
                _ => return (-errno).to_string(),
            }
        };
    }
    names! {
        EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY
        EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK
        EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP ENOMSG EIDRM ENODATA ETIME ENOSR
        EREMOTE ENOLINK ECOMM EPROTO EBADMSG EOVERFLOW EILSEQ EUSERS ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE
        ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE
        EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN ESHUTDOWN
        ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS ESTALE EREMOTEIO EDQUOT ENOMEDIUM
        EMEDIUMTYPE ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED EOWNERDEAD ENOTRECOVERABLE
    }
    .to_owned()
}

/// `%ps` (the name), `%pS`, `%pB` (with the offset into the function, where its start is known).
fn symbol(ptr: *const c_void, with_offset: bool) -> String {
    let mut found = None;
    // `resolve` is made for return addresses and looks at the byte before. The last name is that of the function;
    // those before it were inlined.
    backtrace::resolve(ptr.cast_mut().wrapping_byte_add(1), |symbol| {
        found = symbol.name().map(|name| format!("{name:#}")).or(found.take());
    });
    let Some(name) = found else { return format!("0x{:x}", ptr as usize) };
    match start_of(ptr, &name) {
        Some(start) if with_offset => format!("{name}+0x{:x}", (ptr as usize).wrapping_sub(start)),
        _ => name,
    }
}

/// Where the exported function `name` around `ptr` begins. The dynamic linker knows no others, and would give the
/// exported one before it.
fn start_of(ptr: *const c_void, name: &str) -> Option<usize> {
    // SAFETY: a plain struct, for which all zero is valid.
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    // SAFETY: any address may be asked about.
    let found = unsafe { libc::dladdr(ptr, &raw mut info) } != 0 && !info.dli_sname.is_null();
    // SAFETY: the name is a string of a loaded object.
    (found && unsafe { lossy(info.dli_sname) } == name).then_some(info.dli_saddr as usize)
}

/// `%*ph`: bytes in hexadecimal, `width` of them; C, D and N choose what is between.
fn hex(bytes: &[u8], ext: &[u8]) -> String {
    let separator = match ext.get(1) {
        Some(b'C') => ":",
        Some(b'D') => "-",
        Some(b'N') => "",
        _ => " ",
    };
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(separator)
}

/// `%pM`, `%pm`, `%pMF` (dashes), `%pMR` (reversed).
fn mac(mut bytes: [u8; 6], ext: &[u8]) -> String {
    if ext.contains(&b'R') {
        bytes.reverse();
    }
    let separator: &[u8] = match (ext[0], ext.get(1)) {
        (b'M', Some(b'F')) => b"hD",
        (b'M', _) => b"hC",
        _ => b"hN",
    };
    hex(&bytes, separator)
}

/// `%pI4`, `%pi4` (three digits each); h and l name the byte order of the word.
fn ipv4(mut octets: [u8; 4], ext: &[u8]) -> String {
    if ext[1..].iter().any(|byte| matches!(byte, b'h' | b'l')) && cfg!(target_endian = "little")
        || ext[1..].contains(&b'l')
    {
        octets.reverse();
    }
    if ext[0] == b'i' {
        let [a, b, c, d] = octets;
        return format!("{a:03}.{b:03}.{c:03}.{d:03}");
    }
    Ipv4Addr::from(octets).to_string()
}

/// `%pI6`, `%pi6` (no colons), `%pI6c` (compressed).
fn ipv6(octets: [u8; 16], ext: &[u8]) -> String {
    if ext.contains(&b'c') {
        return Ipv6Addr::from(octets).to_string();
    }
    let groups = octets.chunks(2).map(|pair| format!("{:02x}{:02x}", pair[0], pair[1]));
    groups.collect::<Vec<_>>().join(if ext[0] == b'i' { "" } else { ":" })
}

/// `%pIS`, `%piS`: an address with its family; p adds the port, f the flow, s the scope, c compresses.
///
/// # Safety
/// `ptr` is a socket address as long as its family says.
unsafe fn socket_address(ptr: *const c_void, ext: &[u8]) -> String {
    // SAFETY: the caller's contract; every socket address begins with its family.
    let family = unsafe { ptr.cast::<u16>().read_unaligned() };
    let at = |offset: usize| ptr.cast::<u8>().wrapping_add(offset);
    let options = &ext[2..];
    let has = |option: u8| options.contains(&option);
    if !matches!(family, AF_INET | AF_INET6) {
        return format!("(family {family})");
    }
    // SAFETY: the caller's contract; both families have the port here.
    let port = u16::from_be_bytes(unsafe { at(2).cast::<[u8; 2]>().read() });
    if family == AF_INET {
        // SAFETY: an address of IPv4 ends behind its four bytes, which are read here.
        let text = ipv4(unsafe { at(4).cast::<[u8; 4]>().read() }, &ext[..1]);
        return if has(b'p') { format!("{text}:{port}") } else { text };
    }
    let style: &[u8] = if has(b'c') { b"Ic" } else { &ext[..1] };
    // SAFETY: an address of IPv6 ends behind its scope, which is the last thing read.
    let (octets, flow, scope) = unsafe {
        let flow = u32::from_be_bytes(at(4).cast::<[u8; 4]>().read());
        (at(8).cast::<[u8; 16]>().read(), flow, at(24).cast::<u32>().read_unaligned())
    };
    let mut text = ipv6(octets, style);
    if has(b'p') || has(b'f') || has(b's') {
        text = format!("[{text}]");
    }
    if has(b'p') {
        text += &format!(":{port}");
    }
    if has(b'f') {
        text += &format!("/{}", flow & 0x000f_ffff);
    }
    if has(b's') {
        text += &format!("%{scope}");
    }
    text
}

/// `%pU`: b and B have the bytes in order, l and L the first three groups reversed; capitals give capitals.
fn uuid(bytes: [u8; 16], ext: &[u8]) -> String {
    const REVERSED: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let style = ext.get(1).copied().unwrap_or(b'b');
    let mut text = String::new();
    for (at, reversed) in REVERSED.into_iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let byte = bytes[if matches!(style, b'l' | b'L') { reversed } else { at }];
        text += &format!("{byte:02x}");
    }
    if matches!(style, b'B' | b'L') { text.to_uppercase() } else { text }
}

/// `%*pE`: bytes that do not print, escaped.
fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| byte.escape_ascii().to_string()).collect()
}

/// `%pd`, `%pd2` … `%pd4`: the last names of a path.
///
/// # Safety
/// `dentry` is valid.
unsafe fn names(dentry: *const sys::dentry, ext: &[u8]) -> String {
    let wanted = match ext.get(1) {
        Some(digit @ b'2'..=b'4') => usize::from(digit - b'0'),
        _ => 1,
    };
    let mut parts = Vec::new();
    let mut at = dentry;
    while parts.len() < wanted.min(NAMES_MAX) && !at.is_null() {
        // SAFETY: the caller's contract: a dentry keeps its parents.
        let entry = unsafe { &*at };
        // SAFETY: a dentry's name is a string that lives with it.
        parts.push(unsafe { lossy(entry.d_name.name.cast()) }.into_owned());
        let parent = entry.d_parent.cast_const();
        at = if parent == at { std::ptr::null() } else { parent };
    }
    parts.reverse();
    parts.join("/")
}

/// What `%p` with the letters `ext` shows for `ptr`.
///
/// # Safety
/// `ptr` is what the letters say.
unsafe fn shown(ptr: *const c_void, ext: &[u8], width: c_int) -> String {
    let kind = ext.first().copied().unwrap_or(0);
    match kind {
        b'e' => {
            return ptr_err(ptr).map_or_else(|| address(ptr), |error| error_name(error.raw()));
        }
        b's' => return symbol(ptr, false),
        b'S' | b'B' => return symbol(ptr, true),
        b'h' | b'b' | b'M' | b'm' | b'I' | b'i' | b'U' | b'E' | b'd' | b'D' | b'g' | b'a' => {}
        _ => return address(ptr),
    }
    if (ptr as usize) < LOWEST_ADDRESS {
        return if ptr.is_null() { "(null)" } else { "(efault)" }.to_owned();
    }
    if ptr_err(ptr).is_some() {
        return "(efault)".to_owned();
    }
    let len = if width < 0 { 1 } else { width as usize };
    let raw = ptr.cast::<u8>();
    // SAFETY: in each arm: the caller's contract says what `ptr` points to.
    unsafe {
        match (kind, ext.get(1)) {
            (b'h', _) => hex(std::slice::from_raw_parts(raw, len.min(64)), ext),
            (b'E', _) => escaped(std::slice::from_raw_parts(raw, len)),
            (b'b', Some(b'l')) => bitmap::to_list(
                &bitmap::load(ptr.cast(), width.max(0) as usize),
                width.max(0) as usize,
            ),
            (b'b', _) => bitmap::to_hex(
                &bitmap::load(ptr.cast(), width.max(0) as usize),
                width.max(0) as usize,
            ),
            (b'M' | b'm', _) => mac(raw.cast::<[u8; 6]>().read(), ext),
            (b'I' | b'i', Some(b'4')) => ipv4(raw.cast::<[u8; 4]>().read(), ext),
            (b'I' | b'i', Some(b'6')) => ipv6(raw.cast::<[u8; 16]>().read(), ext),
            (b'I' | b'i', Some(b'S')) => socket_address(ptr, ext),
            (b'U', _) => uuid(raw.cast::<[u8; 16]>().read(), ext),
            (b'd', _) => names(ptr.cast(), ext),
            (b'D', _) => names((*ptr.cast::<sys::file>()).f_path.dentry, ext),
            (b'g', _) => disk_name(ptr.cast()),
            (b'a', _) => format!("0x{:016x}", raw.cast::<u64>().read_unaligned()),
            _ => address(ptr),
        }
    }
}

/// `%pg`: the name of a block device.
///
/// # Safety
/// `bdev` is valid.
unsafe fn disk_name(bdev: *const sys::block_device) -> String {
    // SAFETY: the caller's contract.
    let disk = unsafe { (*bdev).bd_disk };
    if disk.is_null() {
        return "unknown-block".to_owned();
    }
    // SAFETY: a block device keeps its disk, and a name ends within its array.
    let name =
        unsafe { bytes((&raw const (*disk).disk_name).cast(), size_of_val(&(*disk).disk_name)) };
    // SAFETY: as above.
    unsafe { lossy_bytes(name.as_ptr().cast(), name.len()) }.into_owned()
}

unsafe extern "C" {
    /// glue/printf.c: text with a width, a precision and flags.
    fn umc_printf_text(
        out: *mut c_void,
        text: *const c_char,
        len: usize,
        width: c_int,
        precision: c_int,
        flags: c_int,
    );
}

/// A `%p` of glue/printf.c, with the `ext_len` letters and digits behind it.
///
/// # Safety
/// `ptr` is what the letters say; `out` is the glue's own.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_format_pointer(
    out: *mut c_void,
    ptr: *const c_void,
    ext: *const c_char,
    ext_len: usize,
    width: c_int,
    precision: c_int,
    flags: c_int,
) {
    // SAFETY: `ext` are `ext_len` letters of the format, which lives through the call.
    let ext = unsafe { std::slice::from_raw_parts(ext.cast::<u8>(), ext_len) };
    // SAFETY: `ptr` is what the letters of `ext` say.
    let text = unsafe { shown(ptr, ext, width) };
    // A width is a count of bytes or bits there.
    let width = if matches!(ext.first(), Some(b'h' | b'b' | b'E')) { -1 } else { width };
    // SAFETY: the caller's contract; the text lives through the call.
    unsafe { umc_printf_text(out, text.as_ptr().cast(), text.len(), width, precision, flags) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(ipv4([10, 0, 0, 1], b"I4"), "10.0.0.1");
        assert_eq!(ipv4([10, 0, 0, 1], b"i4"), "010.000.000.001");
        assert_eq!(ipv4([1, 0, 0, 10], b"I4l"), "10.0.0.1");
        let octets = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1).octets();
        assert_eq!(ipv6(octets, b"I6"), "fe80:0000:0000:0000:0000:0000:0000:0001");
        assert_eq!(ipv6(octets, b"i6"), "fe800000000000000000000000000001");
        assert_eq!(ipv6(octets, b"I6c"), "fe80::1");
        let mut v4 = [0_u8; 16];
        v4[..8].copy_from_slice(&[2, 0, 0x1e, 0x61, 127, 0, 0, 1]);
        let mut v6 = [0_u8; 28];
        v6[..4].copy_from_slice(&[10, 0, 0x1e, 0x61]);
        v6[8..24].copy_from_slice(&octets);
        v6[24] = 3;
        // SAFETY: both are socket addresses.
        unsafe {
            assert_eq!(socket_address(v4.as_ptr().cast(), b"ISpc"), "127.0.0.1:7777");
            assert_eq!(socket_address(v4.as_ptr().cast(), b"IS"), "127.0.0.1");
            assert_eq!(socket_address(v6.as_ptr().cast(), b"ISpc"), "[fe80::1]:7777");
            assert_eq!(socket_address(v6.as_ptr().cast(), b"ISpsc"), "[fe80::1]:7777%3");
        }
    }

    #[test]
    fn bytes_and_names() {
        assert_eq!(hex(&[1, 0xab], b"h"), "01 ab");
        assert_eq!(hex(&[1, 0xab], b"hN"), "01ab");
        assert_eq!(mac([1, 2, 3, 4, 5, 6], b"M"), "01:02:03:04:05:06");
        assert_eq!(mac([1, 2, 3, 4, 5, 6], b"MR"), "06:05:04:03:02:01");
        assert_eq!(mac([1, 2, 3, 4, 5, 6], b"m"), "010203040506");
        let bytes: [u8; 16] = std::array::from_fn(|at| at as u8);
        assert_eq!(uuid(bytes, b"U"), "00010203-0405-0607-0809-0a0b0c0d0e0f");
        assert_eq!(uuid(bytes, b"UL"), "03020100-0504-0706-0809-0A0B0C0D0E0F");
        assert_eq!(error_name(28), "-ENOSPC");
        assert_eq!(error_name(4000), "-4000");
        assert_eq!(escaped(b"a\n\x01"), "a\\n\\x01");
    }
}
