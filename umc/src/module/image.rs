// SPDX-License-Identifier: GPL-2.0-only
//! A module file: what its ELF says, and the mapped image.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fs;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use dlopen2::raw::Library;
use nix::sys::memfd::{MFdFlags, memfd_create};
use object::{
    Object, ObjectSection, ObjectSegment, ObjectSymbol, ObjectSymbolTable, RelocationFlags,
    RelocationTarget,
};

use super::Error;

/// Names that mean the same in libc and in Linux: a driver's call may land in libc. Any other name that only libc has
/// is a missing symbol.
const FROM_LIBC: &str = include_str!("libc-symbols.txt");

/// A range of addresses; of a module's, relative to its base.
#[derive(Clone, Copy, Default)]
struct Range {
    start: u64,
    len: u64,
}

/// What the ELF file says before anything of it is mapped.
pub struct Elf {
    pub name: String,
    pub modinfo: Vec<(String, String)>,
    pub size: u64,
    /// One past the last address.
    end: u64,
    undefined: Vec<String>,
    /// Where the addresses of weak symbols stand: name, place, what is added.
    weak: Vec<(String, u64, i64)>,
    sections: Vec<(String, Range)>,
    this_module: u64,
}

impl Elf {
    /// Reads and checks the file.
    pub fn read(path: &Path) -> Result<Elf, Error> {
        let refuse = |reason: String| Error::NotAModule { path: path.into(), reason };
        let bytes = fs::read(path).map_err(|error| refuse(error.to_string()))?;
        let file = object::File::parse(&*bytes).map_err(|error| refuse(error.to_string()))?;
        let modinfo = file
            .section_by_name(".modinfo")
            .and_then(|section| section.data().ok())
            .ok_or_else(|| refuse("it has no .modinfo section".into()))?;
        let modinfo: Vec<(String, String)> = modinfo
            .split(|byte| *byte == 0)
            .filter_map(|pair| std::str::from_utf8(pair).ok()?.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let this_module = file
            .dynamic_symbols()
            .find(|symbol| symbol.is_definition() && symbol.name() == Ok("__this_module"))
            .ok_or_else(|| refuse("it does not define __this_module".into()))?
            .address();
        let info = |key: &str| modinfo.iter().find(|(found, _)| found == key);
        let name = match info("name") {
            Some((_, name)) => name.clone(),
            None => path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        };
        Ok(Elf {
            name,
            size: file.segments().map(|segment| segment.size()).sum(),
            end: file.segments().map(|part| part.address() + part.size()).max().unwrap_or(0),
            undefined: file
                .dynamic_symbols()
                .filter(|symbol| symbol.is_undefined() && !symbol.is_weak())
                .filter_map(|symbol| symbol.name().ok())
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            weak: weak_places(&file),
            sections: file
                .sections()
                .filter_map(|section| {
                    let range = Range { start: section.address(), len: section.size() };
                    Some((section.name().ok()?.to_owned(), range))
                })
                .collect(),
            this_module,
            modinfo,
        })
    }

    /// The value of a `.modinfo` key.
    pub fn info(&self, key: &str) -> Option<&str> {
        self.modinfo.iter().find(|(found, _)| found == key).map(|(_, value)| value.as_str())
    }

    /// The symbols that it wants of others.
    pub fn undefined(&self) -> &[String] {
        &self.undefined
    }

    /// The undefined symbols that this program does not provide.
    pub fn missing(&self) -> Vec<String> {
        let provided = |name: &&String| {
            FROM_LIBC.lines().any(|known| known == name.as_str())
                || CString::new(name.as_str()).is_ok_and(|name| exported_by_us(&name))
        };
        self.undefined.iter().filter(|name| !provided(name)).cloned().collect()
    }
}

/// Relocations to a whole address: that of a symbol as it is, and in a table of them.
const WHOLE: [u32; 2] = if cfg!(target_arch = "x86_64") {
    [object::elf::R_X86_64_64, object::elf::R_X86_64_GLOB_DAT]
} else {
    [object::elf::R_AARCH64_ABS64, object::elf::R_AARCH64_GLOB_DAT]
};

fn weak_places(file: &object::File<'_>) -> Vec<(String, u64, i64)> {
    let Some(symbols) = file.dynamic_symbol_table() else { return Vec::new() };
    let relocations = file.dynamic_relocations().into_iter().flatten();
    let places = relocations.filter_map(|(place, relocation)| {
        let RelocationTarget::Symbol(index) = relocation.target() else { return None };
        let symbol = symbols.symbol_by_index(index).ok()?;
        let RelocationFlags::Elf { r_type } = relocation.flags() else { return None };
        let is_bound_by_us = symbol.is_undefined() && symbol.is_weak() && WHOLE.contains(&r_type);
        is_bound_by_us
            .then(|| Some((symbol.name().ok()?.to_owned(), place, relocation.addend())))?
    });
    places.collect()
}

/// The addresses of the program that we are part of. A look at the segments once: dladdr(3) compares every exported
/// name of the program at each call.
fn our_range() -> Range {
    static OURS: OnceLock<Range> = OnceLock::new();

    /// # Safety
    /// `info` describes an object, and `found` is a [`Range`] that nobody else uses.
    unsafe extern "C" fn look(
        info: *mut libc::dl_phdr_info,
        _: libc::size_t,
        found: *mut c_void,
    ) -> c_int {
        // SAFETY: the caller's contract; the headers live as long as the object.
        let (base, headers) = unsafe {
            let info = &*info;
            let count = usize::from(info.dlpi_phnum);
            (info.dlpi_addr, std::slice::from_raw_parts(info.dlpi_phdr, count))
        };
        let load = || headers.iter().filter(|header| header.p_type == libc::PT_LOAD);
        let start = load().map(|header| base + header.p_vaddr).min().unwrap_or(0);
        let end = load().map(|header| base + header.p_vaddr + header.p_memsz).max().unwrap_or(0);
        if !(start..end).contains(&(our_range as *const () as u64)) {
            return 0;
        }
        // SAFETY: `found` is the range of the caller of this walk, which uses it only afterwards.
        unsafe { *found.cast::<Range>() = Range { start, len: end - start } };
        1
    }

    *OURS.get_or_init(|| {
        let mut range = Range::default();
        // SAFETY: `look` is called with what it asks for, before this returns.
        unsafe { libc::dl_iterate_phdr(Some(look), (&raw mut range).cast()) };
        range
    })
}

/// Whether the program that we are part of exports the name.
fn exported_by_us(name: &CStr) -> bool {
    // SAFETY: the name is a C string.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) } as u64;
    let ours = our_range();
    (ours.start..ours.start + ours.len).contains(&address)
}

/// A mapped module.
pub struct Image {
    elf: Elf,
    base: u64,
    /// Unmapped before the copy is closed: under its name backtraces and debuggers find the symbols.
    _library: Library,
    /// A private copy of the file, when another kernel of this process has the file itself mapped.
    _copy: Option<fs::File>,
}

impl Image {
    /// Maps the file and binds its symbols. Each kernel of a process gets globals of its own.
    pub fn map(path: &Path, elf: Elf) -> Result<Image, Error> {
        let refuse = |error: &dyn std::fmt::Display| Error::NotAModule {
            path: path.into(),
            reason: error.to_string(),
        };
        let copy = if is_mapped(path) {
            Some(private_copy(path).map_err(|error| refuse(&error))?)
        } else {
            None
        };
        let name = copy.as_ref().map_or_else(|| path.to_owned(), name_of);
        let flags = libc::RTLD_NOW | libc::RTLD_LOCAL;
        let library =
            Library::open_with_flags(&name, Some(flags)).map_err(|error| refuse(&error))?;
        // SAFETY: the symbol is an object; only its address is used here.
        let this_module = unsafe { library.symbol::<*const c_void>("__this_module") }
            .map_err(|error| refuse(&error))?;
        let base = (this_module as u64).wrapping_sub(elf.this_module);
        Ok(Image { elf, base, _library: library, _copy: copy })
    }

    /// The module's `struct module`.
    pub fn this_module(&self) -> *mut crate::sys::module {
        (self.base.wrapping_add(self.elf.this_module)) as *mut crate::sys::module
    }

    /// Address and length in bytes of a section; empty where the module has none.
    pub fn section(&self, name: &str) -> (*mut u8, usize) {
        let found = self.elf.sections.iter().find(|(section, _)| section == name);
        let range = found.map_or(Range::default(), |(_, range)| *range);
        (self.base.wrapping_add(range.start) as *mut u8, range.len as usize)
    }

    /// The variables of other modules that it uses.
    pub fn variables(&self) -> Vec<String> {
        let (start, len) = self.section("__umc_variables");
        if len == 0 {
            return Vec::new();
        }
        // SAFETY: the section is mapped, and `len` long.
        let bytes = unsafe { std::slice::from_raw_parts(start, len) };
        let names = bytes.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        names.map(|name| String::from_utf8_lossy(name).into_owned()).collect()
    }

    /// Writes the address of a variable wherever the module looks for it.
    ///
    /// # Safety
    /// The variable is one of [`Image::variables`], and no code of the module runs yet.
    pub unsafe fn bind_variable(&self, name: &str, address: u64) {
        for (_, place, addend) in self.elf.weak.iter().filter(|(weak, ..)| weak == name) {
            let place = self.base.wrapping_add(*place) as *mut u64;
            // SAFETY: a relocation of the module, in data that stay writable where there are variables (cdrivers/src/kbuild.rs).
            unsafe { place.write(address.wrapping_add_signed(*addend)) };
        }
    }

    /// The value of a `.modinfo` key, as a C string inside the image.
    pub fn info_ptr(&self, key: &str) -> Option<*const c_char> {
        let (start, len) = self.section(".modinfo");
        // SAFETY: the section is mapped, and `len` long.
        let bytes = unsafe { std::slice::from_raw_parts(start, len) };
        let prefix = format!("{key}=");
        let mut offset = 0;
        for pair in bytes.split(|byte| *byte == 0) {
            if pair.starts_with(prefix.as_bytes()) {
                return Some(bytes[offset + prefix.len()..].as_ptr().cast());
            }
            offset += pair.len() + 1;
        }
        None
    }

    /// The addresses that the image takes.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.base as usize..self.base.wrapping_add(self.elf.end) as usize
    }

    pub fn elf(&self) -> &Elf {
        &self.elf
    }
}

/// Whether the process has the file mapped as a library.
fn is_mapped(path: &Path) -> bool {
    let Ok(name) = CString::new(path.as_os_str().as_encoded_bytes()) else { return false };
    // SAFETY: the name is a C string; RTLD_NOLOAD maps nothing new.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_NOLOAD) };
    if handle.is_null() {
        return false;
    }
    // SAFETY: gives back the reference that the call above took.
    unsafe { libc::dlclose(handle) };
    true
}

/// A copy in memory: nothing that has to be removed again, however the process ends.
fn private_copy(path: &Path) -> std::io::Result<fs::File> {
    let stem = path.file_stem().unwrap_or_default().as_encoded_bytes();
    let mut copy = fs::File::from(memfd_create(stem, MFdFlags::MFD_CLOEXEC)?);
    std::io::copy(&mut fs::File::open(path)?, &mut copy)?;
    Ok(copy)
}

/// The name by which this process, and a debugger of it, open the copy. No other mapping has it, since the copy stays
/// open for as long as it is mapped.
fn name_of(copy: &fs::File) -> PathBuf {
    format!("/proc/{}/fd/{}", std::process::id(), copy.as_raw_fd()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_addresses_are_ours_and_those_of_libc_are_not() {
        let ours = our_range();
        let has =
            |address: *const ()| (ours.start..ours.start + ours.len).contains(&(address as u64));
        assert!(has(private_copy as *const ()) && has(our_range as *const ()));
        assert!(!has(libc::puts as *const ()));
        assert!(!exported_by_us(c"puts") && !exported_by_us(c"no_such_symbol"));
    }
}
