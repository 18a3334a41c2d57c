// SPDX-License-Identifier: GPL-2.0-only
//! Parameters: section `__param`, the command line of insmod, and `/sys/module/NAME/parameters`.

use std::ffi::CString;

use super::Error;
use super::image::Image;
use crate::errno::{Errno, from_ret};
use crate::kernel::Kernel;
use crate::sys;

/// Linux gives `get` one page.
const PAGE: usize = 4096;

/// A parameter of a mapped module.
#[derive(Clone, Copy)]
struct Param(*const sys::kernel_param);

// SAFETY: a `kernel_param` is constant; its value is read and written by its own ops, under `kernel_param_lock`'s
// equivalent in `tree`: one call at a time per file.
unsafe impl Send for Param {}
// SAFETY: as above.
unsafe impl Sync for Param {}

impl Param {
    fn name(&self) -> String {
        // SAFETY: the name is a C string inside the image.
        unsafe { crate::string::lossy((*self.0).name) }.into_owned()
    }

    fn set(&self, value: Option<&str>) -> Result<(), Errno> {
        let value = value.map(CString::new).transpose().map_err(|_| Errno::EINVAL)?;
        // SAFETY: the parameter lies in a mapped image, and its ops are those of the emulated kernel or the module's.
        unsafe {
            let set = (*(*self.0).ops).set.ok_or(Errno::EPERM)?;
            from_ret(set(value.as_ref().map_or(std::ptr::null(), |v| v.as_ptr()), self.0)).map(drop)
        }
    }

    fn get(&self) -> Result<String, Errno> {
        let mut buffer = vec![0u8; PAGE];
        // SAFETY: as in `set`; `get` writes at most a page.
        let len = unsafe {
            let get = (*(*self.0).ops).get.ok_or(Errno::EPERM)?;
            from_ret(get(buffer.as_mut_ptr().cast(), self.0))?
        };
        buffer.truncate(len as usize);
        Ok(String::from_utf8_lossy(&buffer).into_owned())
    }
}

fn params(image: &Image) -> Vec<Param> {
    let (start, len) = image.section("__param");
    let count = len / size_of::<sys::kernel_param>();
    let first = start.cast::<sys::kernel_param>();
    // SAFETY: the section holds `count` of them.
    (0..count).map(|index| Param(unsafe { first.add(index) })).collect()
}

/// Sets what the user gave. A name that the module does not have is refused, unlike on Linux, which only warns: a
/// misspelt parameter would change nothing in silence.
pub fn set(image: &Image, args: &[String]) -> Result<(), Error> {
    let module = &image.elf().name;
    let params = params(image);
    for arg in args {
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (arg.as_str(), None),
        };
        let wanted = name.replace('-', "_");
        let Some(param) = params.iter().find(|param| param.name() == wanted) else {
            let known: Vec<String> = params.iter().map(Param::name).collect();
            let reason = format!("it has no parameter {name} (it has {})", known.join(", "));
            return Err(Error::Parameter { name: module.clone(), reason });
        };
        param.set(value).map_err(|errno| Error::Parameter {
            name: module.clone(),
            reason: format!("parameter {arg} was refused: {errno}"),
        })?;
    }
    Ok(())
}

/// `/sys/module/NAME/parameters/*`, for parameters with a mode.
pub fn show(kernel: &'static Kernel, dir: &str, image: &Image) {
    for param in params(image) {
        // SAFETY: the parameter lies in a mapped image.
        let mode = unsafe { (*param.0).perm };
        if mode == 0 {
            continue;
        }
        let show = move || param.get().unwrap_or_default();
        let file = crate::tree::attr(show, move |text: &str| param.set(Some(text)));
        let _ = kernel.tree.add_file(&format!("{dir}/parameters/{}", param.name()), mode, file);
    }
}
