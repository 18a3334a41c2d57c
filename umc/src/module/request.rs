// SPDX-License-Identifier: GPL-2.0-only
//! Modules that a driver asks for.
//!
//! C header: `include/linux/kmod.h` (API of 6.12).
//! Guarantees kept: when `request_module` says 0, the module is loaded and its init function has returned; `init` may
//! request further modules.
//! Differs from Linux: the program that the kernel is part of finds the files ([`set_finder`]), instead of modprobe; a
//! module that requests itself in its own `init` is told that it is there. One that is not live is waited for under the lock
//! of loads and unloads, so what an `init` or `exit` waits for must not request one.
//! Used by DRBD for: its transports (9 only).

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Change, Error, Module, insert};
use crate::context::might_sleep;
use crate::errno::Errno;
use crate::kernel::Kernel;
use crate::kprintln;
use crate::printk::Level;

/// Finds the files of the module that has a name or alias, in load order; nothing when there is none. The second
/// argument is the file of the module that asks, when one does.
pub type Finder = dyn Fn(&str, Option<&Path>) -> Vec<PathBuf> + Send + Sync;

/// What modprobe's exit status 1 is as a wait status.
const MODPROBE_FAILED: c_int = 1 << 8;

/// From now on `finder` is asked when a driver requests a module.
pub fn set_finder(kernel: &Kernel, finder: Arc<Finder>) {
    *kernel.modules.finder.write() = Some(finder);
}

/// Loads the module that has a name or alias, with what it depends on, unless it is loaded. False when there is none. May
/// sleep.
///
/// # Errors
/// Those of [`insert`].
pub fn request(
    kernel: &'static Kernel,
    name: &str,
    asked_by: Option<&Path>,
) -> Result<bool, Error> {
    let is = |name: &str, what: fn(&Module) -> bool| {
        let name = name.replace('-', "_");
        kernel.modules.loaded.read().iter().any(|module| module.name() == name && what(module))
    };
    // For one that is there nobody is waited for; for one that is being loaded, whoever does it.
    if is(name, Module::is_live) {
        return Ok(true);
    }
    let _change = Change::begin(kernel);
    let is_loaded = |name: &str| is(name, |module| !module.is_going());
    if is_loaded(name) {
        return Ok(true);
    }
    let Some(finder) = kernel.modules.finder.read().clone() else { return Ok(false) };
    let files = finder(name, asked_by);
    for file in &files {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        if !is_loaded(&stem) {
            insert(kernel, file, &[])?;
        }
    }
    Ok(!files.is_empty())
}

/// The file of the module that has the address in its code.
fn module_at(kernel: &Kernel, address: *const c_void) -> Option<PathBuf> {
    let loaded = kernel.modules.loaded.read();
    let at = address as usize;
    loaded.iter().find(|module| module.image.range().contains(&at)).map(|m| m.path.clone())
}

/// What `request_module` calls once the name is put together; `caller` is where it returns to.
///
/// # Safety
/// `name` is a string.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_request_module(name: *const c_char, caller: *const c_void) -> c_int {
    might_sleep();
    let kernel = Kernel::current();
    // SAFETY: the caller's contract.
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
    match request(kernel, &name, module_at(kernel, caller).as_deref()) {
        Ok(true) => 0,
        Ok(false) => Errno::ENOENT.neg(),
        Err(error) => {
            kprintln!(kernel => Level::Err, "umc: request_module {name}: {error}");
            MODPROBE_FAILED
        }
    }
}
