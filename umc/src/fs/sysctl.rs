// SPDX-License-Identifier: GPL-2.0-only
//! Settings below `/proc/sys`.
//!
//! C header: `include/linux/sysctl.h` (API of 6.12).
//! Guarantees kept: a handler gets a buffer of the kernel's; after a table is unregistered none of its handlers is running,
//! and none will start.
//! Differs from Linux: of the ready-made handlers there is that of ints; files only, no directories in a table.
//! Used by DRBD for: nothing; `md` has its limits of speed there.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;
use std::sync::Arc;

use mte::sim::lock::Mutex;

use crate::errno::from_ret;
use crate::fs::gate::RemovalGate;
use crate::string::lossy;
use crate::tree::{self, OpenFile, TreeFile};
use crate::{Errno, Kernel, Result, sys};

/// The longest text.
const TEXT_MAX: usize = 4096;

/// What a registration is.
struct Registered {
    kernel: &'static Kernel,
    dir: String,
    paths: Vec<String>,
    gate: Arc<RemovalGate>,
}

#[derive(Clone)]
struct Setting {
    table: *const sys::ctl_table,
    gate: Arc<RemovalGate>,
}

// SAFETY: the table is used within the gate only, and its handlers may be called by any thread.
unsafe impl Send for Setting {}
// SAFETY: as above.
unsafe impl Sync for Setting {}

impl Setting {
    /// Calls the handler; how many bytes it used or made.
    fn call(&self, write: bool, buffer: &mut [u8]) -> Result<usize> {
        let _pass = self.gate.enter().ok_or(Errno::ENOENT)?;
        // SAFETY: within the gate the table is there.
        let handler = unsafe { (*self.table).proc_handler }.ok_or(Errno::EINVAL)?;
        // A text to write ends with a zero byte that does not count.
        let (mut len, mut pos) = (buffer.len() - usize::from(write), 0);
        let data = buffer.as_mut_ptr().cast();
        // SAFETY: the driver's handler, with its table and a buffer of that length.
        let ret = unsafe { handler(self.table, write.into(), data, &raw mut len, &raw mut pos) };
        from_ret(ret)?;
        Ok(len.min(buffer.len()))
    }
}

impl TreeFile for Setting {
    fn open(&self, _write: bool) -> Result<Box<dyn OpenFile>> {
        Ok(Box::new(Open { setting: self.clone(), text: Mutex::default() }))
    }
}

struct Open {
    setting: Setting,
    text: Mutex<Vec<u8>>,
}

impl OpenFile for Open {
    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        if offset == 0 {
            let mut page = vec![0; TEXT_MAX];
            let made = self.setting.call(false, &mut page)?;
            page.truncate(made);
            *self.text.lock() = page;
        }
        Ok(tree::part(&self.text.lock(), offset, len).to_vec())
    }

    fn write(&self, _offset: u64, data: &[u8]) -> Result<usize> {
        let mut text = data[..data.len().min(TEXT_MAX - 1)].to_vec();
        text.push(0);
        self.setting.call(true, &mut text)
    }
}

/// Makes the files of a table; NULL when one cannot be made, and none is there then.
///
/// # Safety
/// `path` is a C string; the `size` entries of `table` stay until they are unregistered.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn register_sysctl_sz(
    path: *const c_char,
    table: *const sys::ctl_table,
    size: usize,
) -> *mut sys::ctl_table_header {
    let kernel = Kernel::current();
    // SAFETY: a C string.
    let dir = format!("/proc/sys/{}", unsafe { lossy(path) });
    let gate = Arc::new(RemovalGate::new());
    let mut made = Box::new(Registered { kernel, dir, paths: Vec::new(), gate: gate.clone() });
    for index in 0..size {
        let table = table.wrapping_add(index);
        // SAFETY: an entry of the table; its name is a C string.
        let (name, mode) = unsafe { (lossy((*table).procname), (*table).mode & 0o777) };
        let path = format!("{}/{name}", made.dir);
        let setting = Setting { table, gate: gate.clone() };
        if kernel.tree.add_file(&path, mode, Arc::new(setting)).is_err() {
            made.remove();
            return ptr::null_mut();
        }
        made.paths.push(path);
    }
    Box::into_raw(made).cast()
}

impl Registered {
    fn remove(&self) {
        for path in &self.paths {
            let _ = self.kernel.tree.remove(path);
        }
        self.kernel.tree.prune(&format!("{}/x", self.dir), "/proc/sys");
        self.gate.close();
    }
}

/// Removes what [`register_sysctl_sz`] made.
///
/// # Safety
/// `header` is NULL, or came from there.
///
/// # Context
/// May sleep: waits for handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unregister_sysctl_table(header: *mut sys::ctl_table_header) {
    if !header.is_null() {
        // SAFETY: made by `register_sysctl_sz`, and not used any more.
        unsafe { Box::from_raw(header.cast::<Registered>()) }.remove();
    }
}

/// The handler of ints: shows them with tabs between, or takes as many as the text has.
///
/// # Errors
/// `EINVAL` for what is no int; those before it are taken.
///
/// # Safety
/// `data` of the table is `maxlen` bytes of ints; `buffer` is valid for `len` bytes, and when writing ends with a zero byte.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn proc_dointvec(
    table: *const sys::ctl_table,
    write: c_int,
    buffer: *mut c_void,
    len: *mut usize,
    pos: *mut sys::loff_t,
) -> c_int {
    // SAFETY: the table is the caller's, and its data are ints.
    let (data, count) = unsafe { ((*table).data.cast::<c_int>(), (*table).maxlen as usize / 4) };
    if write != 0 {
        // SAFETY: the text of a write ends with a zero byte.
        let text = unsafe { lossy(buffer.cast()) };
        for (index, word) in text.split_whitespace().take(count).enumerate() {
            let Ok(value) = word.parse::<c_int>() else { return Errno::EINVAL.neg() };
            // SAFETY: one of the ints.
            unsafe { data.wrapping_add(index).write(value) };
        }
        return 0;
    }
    // SAFETY: the ints of the table.
    let shown = (0..count).map(|index| unsafe { data.wrapping_add(index).read() }.to_string());
    let text = shown.collect::<Vec<_>>().join("\t") + "\n";
    // SAFETY: the buffer is as long as `len` says.
    unsafe {
        let made = if *pos > 0 { 0 } else { text.len().min(*len) };
        ptr::copy_nonoverlapping(text.as_ptr(), buffer.cast(), made);
        *len = made;
        *pos += made as sys::loff_t;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ints_are_shown_and_taken() {
        let kernel = Kernel::boot(crate::Config::default());
        crate::sched::attach(kernel, "test");
        let mut ints = [1, -2];
        let table = sys::ctl_table {
            procname: c"limits".as_ptr(),
            data: ints.as_mut_ptr().cast(),
            maxlen: 8,
            mode: 0o644,
            proc_handler: Some(proc_dointvec),
            ..sys::ctl_table::default()
        };
        // SAFETY: the table and its ints live to the end of the test.
        let header = unsafe { register_sysctl_sz(c"dev/test".as_ptr(), &raw const table, 1) };
        let path = "/proc/sys/dev/test/limits";
        let file = kernel.tree.open(kernel.tree.resolve(path).unwrap().ino, true).unwrap();
        assert_eq!(file.read(0, 100).unwrap(), b"1\t-2\n");
        assert_eq!(file.write(0, b"7\n"), Ok(2));
        assert_eq!(file.read(0, 100).unwrap(), b"7\t-2\n");
        assert_eq!(file.write(0, b"8 many"), Err(Errno::EINVAL));
        // SAFETY: registered above.
        unsafe {
            assert!(register_sysctl_sz(c"dev/test".as_ptr(), &raw const table, 1).is_null());
            unregister_sysctl_table(header);
        }
        assert_eq!(file.read(0, 100), Err(Errno::ENOENT));
        assert!(kernel.tree.resolve("/proc/sys/dev").is_err());
    }
}
