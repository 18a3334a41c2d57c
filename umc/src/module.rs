// SPDX-License-Identifier: GPL-2.0-only
//! Modules: load, unload, reference counts.
//!
//! C header: `include/linux/module.h` (API of 6.12).
//! Guarantees kept: a module with a missing symbol is refused with all names before any of its code runs; parameters
//! are set before `init`; a failing `init` leaves nothing behind; a module in use is not unloaded; RCU callbacks of a
//! module have run, and its threads have ended, before its code is unmapped. With a thread that stays, it stays mapped.
//! Differs from Linux: a module is a shared object linked from the `.ko` (see `cdrivers`); no forced unload, no
//! versions of symbols, no signatures.
//! Used by DRBD for: `THIS_MODULE`, `try_module_get` in each of its threads, `srcversion` in the first packet.

mod image;
mod parameters;
pub mod request;
pub mod umh;

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use crate::jiffies::ticker::Ticks;
use crate::kernel::Kernel;
use crate::mutex::KMutex;
use crate::sys;
use image::{Elf, Image};

/// Why a module was not loaded or unloaded. Each text names object, cause and next step.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "Cannot load {path}: not a module that can be loaded: {reason}. Build it with umc build."
    )]
    NotAModule { path: PathBuf, reason: String },
    #[error("Cannot load module {name}: nobody provides {}. Was it built for another umc? Then build it again: umc build {name}. Else umc symbols lists what it needs.", symbols.join(", "))]
    MissingSymbols { name: String, symbols: Vec<String> },
    #[error("Cannot load module {name}: it is loaded already. Unload it first: umc rmmod {name}.")]
    Loaded { name: String },
    #[error("Cannot load module {name}: {reason}. umc modinfo {name} lists its parameters.")]
    Parameter { name: String, reason: String },
    #[error("Cannot load module {name}: its init function failed: {errno}. umc dmesg may say why.")]
    Init { name: String, errno: crate::Errno },
    #[error("Cannot unload module {name}: it is not loaded. See umc lsmod.")]
    NotLoaded { name: String },
    #[error("Cannot unload module {name}: it is in use{}. Take down what it serves first, with the tools of the driver.", by(used_by, *refs))]
    InUse { name: String, refs: i64, used_by: Vec<String> },
    #[error("Cannot unload module {name}: it has no exit function, so it stays for ever.")]
    Permanent { name: String },
    #[error(
        "Cannot unload module {name}: its exit function ran, but its thread {thread} is still there, asleep in {place}, so its code stays loaded. umc dmesg shows the stack of the thread; umc rmmod {name} tries again."
    )]
    ThreadStays { name: String, thread: String, place: &'static str },
}

fn by(used_by: &[String], refs: i64) -> String {
    if used_by.is_empty() {
        format!(" ({refs} references)")
    } else {
        format!(" by {}", used_by.join(", "))
    }
}

/// A loaded module, as lsmod shows it.
#[derive(Debug, Clone)]
pub struct ModuleInfo {
    pub name: String,
    pub version: String,
    /// Bytes of code and data.
    pub size: u64,
    /// References held.
    pub refs: i64,
    /// Modules that use its symbols.
    pub used_by: Vec<String>,
    /// The file it was loaded from.
    pub path: String,
    /// It does nothing any more, but a thread is left in its code.
    pub is_going: bool,
}

/// `struct umc_ksym` of the header: what `EXPORT_SYMBOL` leaves in section `__umc_ksymtab`.
#[repr(C)]
struct Export {
    name: *const c_char,
    value: *mut c_void,
}

/// A slot of section `__umc_imports`, filled when the module is loaded.
#[repr(C)]
struct Import {
    name: *const c_char,
    slot: *mut c_void,
}

struct Module {
    image: Image,
    path: PathBuf,
    /// Modules whose symbols this one uses; each holds a reference on them.
    uses: Vec<String>,
    /// Until it is unmapped.
    _ticks: Option<Ticks>,
}

impl Module {
    fn name(&self) -> &str {
        &self.image.elf().name
    }

    fn refcnt(&self) -> &AtomicI32 {
        // SAFETY: `refcnt` is an atomic_t inside the mapped image, and every access to it is atomic.
        unsafe { AtomicI32::from_ptr(&raw mut (*self.image.this_module()).refcnt.counter) }
    }

    fn state(&self) -> &AtomicU32 {
        // SAFETY: `state` is a word inside the mapped image; whoever reads it here or writes it does so atomically.
        unsafe { AtomicU32::from_ptr((&raw mut (*self.image.this_module()).state).cast()) }
    }

    /// Whether its init function has returned, and its exit function was not called.
    fn is_live(&self) -> bool {
        self.state().load(Ordering::Acquire) == sys::MODULE_STATE_LIVE
    }

    /// Whether its exit function ran, or its init function failed: what is left of it is its code.
    fn is_going(&self) -> bool {
        self.refcnt().load(Ordering::SeqCst) < 0
    }

    fn exports(&self) -> &[Export] {
        let (start, len) = self.image.section("__umc_ksymtab");
        // SAFETY: the section holds an array of `struct umc_ksym`, relocated, and lives as long as the image.
        unsafe { std::slice::from_raw_parts(start.cast(), len / size_of::<Export>()) }
    }
}

/// State of this subsystem in one kernel.
#[derive(Default)]
pub struct State {
    /// Serialises load and unload; `init` and `exit` run inside.
    change: KMutex<()>,
    /// The task that holds `change`, or 0: an `init` may request further modules.
    changer: AtomicI32,
    finder: mte::sim::lock::RwLock<Option<Arc<request::Finder>>>,
    loaded: mte::sim::lock::RwLock<Vec<Arc<Module>>>,
    /// Woken when a reference count falls to zero.
    unused: crate::wait::WaitQueue,
}

/// The loaded modules, the latest first: in this order they can be unloaded.
pub fn list(kernel: &Kernel) -> Vec<ModuleInfo> {
    let loaded = kernel.modules.loaded.read();
    let info = |module: &Arc<Module>| ModuleInfo {
        name: module.name().to_owned(),
        version: module.image.elf().info("version").unwrap_or_default().to_owned(),
        size: module.image.elf().size,
        refs: i64::from(module.refcnt().load(Ordering::SeqCst).max(0)),
        used_by: loaded
            .iter()
            .filter(|user| user.uses.iter().any(|used| used == module.name()))
            .map(|user| user.name().to_owned())
            .collect(),
        path: module.path.display().to_string(),
        is_going: module.is_going(),
    };
    loaded.iter().rev().map(info).collect()
}

/// `/proc/modules`.
fn proc_modules(kernel: &Kernel) -> String {
    let mut text = String::new();
    for module in list(kernel) {
        let users: String = module.used_by.iter().map(|user| format!("{user},")).collect();
        let users = if users.is_empty() { "-".to_owned() } else { users };
        let state = if module.is_going { "Unloading" } else { "Live" };
        text += &format!("{} {} {} {users} {state} 0x0\n", module.name, module.size, module.refs);
    }
    text
}

/// Binds the module's calls into other modules, and their variables. Returns whom it uses.
fn bind_imports(kernel: &Kernel, image: &Image) -> Result<Vec<String>, Error> {
    let (start, len) = image.section("__umc_imports");
    // SAFETY: the section holds an array of pairs, writable, and nobody else looks at it yet.
    let imports = unsafe {
        std::slice::from_raw_parts_mut(start.cast::<Import>(), len / size_of::<Import>())
    };
    let loaded = kernel.modules.loaded.read();
    let (mut uses, mut missing) = (Vec::new(), Vec::new());
    let mut find = |wanted: &CStr| {
        let found = loaded.iter().filter(|module| !module.is_going()).find_map(|module| {
            // SAFETY: the names are C strings inside mapped images.
            let is_it = |export: &&Export| unsafe { CStr::from_ptr(export.name) } == wanted;
            let export = module.exports().iter().find(is_it)?;
            Some((module.name().to_owned(), export.value))
        });
        match found {
            Some((module, value)) => {
                if !uses.contains(&module) {
                    uses.push(module);
                }
                Some(value)
            }
            None => {
                missing.push(wanted.to_string_lossy().into_owned());
                None
            }
        }
    };
    for import in imports {
        // SAFETY: as above.
        if let Some(value) = find(unsafe { CStr::from_ptr(import.name) }) {
            import.slot = value;
        }
    }
    for variable in image.variables() {
        let Ok(wanted) = CString::new(variable.as_str()) else { continue };
        if let Some(value) = find(&wanted) {
            // SAFETY: nothing of the module runs yet.
            unsafe { image.bind_variable(&variable, value as u64) };
        }
    }
    if missing.is_empty() {
        return Ok(uses);
    }
    Err(Error::MissingSymbols { name: image.elf().name.clone(), symbols: missing })
}

/// The right to load and unload; a task has it once, however often it begins.
struct Change(Option<crate::mutex::KMutexGuard<'static, ()>>, &'static AtomicI32);

impl Change {
    /// May sleep.
    fn begin(kernel: &'static Kernel) -> Change {
        let changer = &kernel.modules.changer;
        let me = crate::sched::current_task().pid();
        if changer.load(Ordering::Relaxed) == me {
            return Change(None, changer);
        }
        let guard = kernel.modules.change.lock();
        changer.store(me, Ordering::Relaxed);
        Change(Some(guard), changer)
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        if self.0.is_some() {
            self.1.store(0, Ordering::Relaxed);
        }
    }
}

/// Loads a module file with parameters (`name=value`). May sleep.
pub fn insert(kernel: &'static Kernel, path: &Path, params: &[String]) -> Result<(), Error> {
    let _change = Change::begin(kernel);
    let elf = Elf::read(path)?;
    let name = elf.name.clone();
    if kernel.modules.loaded.read().iter().any(|module| module.name() == name) {
        return Err(Error::Loaded { name });
    }
    let symbols = elf.missing();
    if !symbols.is_empty() {
        return Err(Error::MissingSymbols { name, symbols });
    }
    let image = Image::map(path, elf)?;
    let uses = bind_imports(kernel, &image)?;
    let this = image.this_module();
    // SAFETY: the image is mapped and nobody else knows it yet.
    unsafe {
        (*this).state = sys::MODULE_STATE_COMING;
        (*this).srcversion = image.info_ptr("srcversion").unwrap_or(c"".as_ptr());
        (*this).version = image.info_ptr("version").unwrap_or(c"".as_ptr());
    }
    parameters::set(&image, params)?;

    for used in &uses {
        if let Some(module) = kernel.modules.loaded.read().iter().find(|m| m.name() == used) {
            module.refcnt().fetch_add(1, Ordering::SeqCst);
        }
    }
    let _ticks = Ticks::for_symbols(kernel, image.elf().undefined());
    let module = Arc::new(Module { image, path: path.to_owned(), uses, _ticks });
    kernel.modules.loaded.write().push(Arc::clone(&module));
    show(kernel, &module);

    // SAFETY: `init` is the module's own function, called once, after everything it needs was set up.
    let ret = unsafe { (*this).init.map_or(0, |init| init()) };
    if ret < 0 {
        module.refcnt().store(GOING, Ordering::SeqCst);
        // The log tells of a thread that stays; what failed is the init function.
        let _ = forget(kernel, &module);
        return Err(Error::Init { name, errno: crate::Errno::new(ret) });
    }
    module.state().store(sys::MODULE_STATE_LIVE, Ordering::Release);
    Ok(())
}

/// Waits until nobody holds a reference on the module, or until the timeout: a driver's threads give theirs back a
/// moment after the command that ended them was answered. May sleep.
pub fn wait_unused(kernel: &'static Kernel, name: &str, timeout_ns: u64) -> bool {
    let module = kernel.modules.loaded.read().iter().find(|module| module.name() == name).cloned();
    let Some(module) = module else { return true };
    // What other modules hold does not go away by waiting.
    if kernel.modules.loaded.read().iter().any(|user| user.uses.iter().any(|used| used == name)) {
        return false;
    }
    let is_unused = || module.refcnt().load(Ordering::SeqCst) <= 0;
    kernel.modules.unused.wait_event_timeout(timeout_ns, is_unused)
}

/// Unloads a module. May sleep.
pub fn remove(kernel: &'static Kernel, name: &str) -> Result<(), Error> {
    let _change = Change::begin(kernel);
    let name = name.replace('-', "_");
    let module = kernel.modules.loaded.read().iter().find(|module| module.name() == name).cloned();
    let Some(module) = module else { return Err(Error::NotLoaded { name }) };
    let this = module.image.this_module();
    // SAFETY: the image is mapped.
    let (init, exit) = unsafe { ((*this).init, (*this).exit) };
    if init.is_some() && exit.is_none() {
        return Err(Error::Permanent { name });
    }
    // From 0 to a value that no try_module_get accepts, in one step.
    if let Err(refs) =
        module.refcnt().compare_exchange(0, GOING, Ordering::SeqCst, Ordering::SeqCst)
    {
        if refs < 0 {
            // Its exit function ran; a thread stayed.
            return forget(kernel, &module);
        }
        let info = list(kernel).into_iter().find(|info| info.name == name);
        let used_by = info.map(|info| info.used_by).unwrap_or_default();
        return Err(Error::InUse { name, refs: refs.into(), used_by });
    }
    module.state().store(sys::MODULE_STATE_GOING, Ordering::Release);
    // SAFETY: the image is mapped; `exit` is called once, and no new user can come.
    unsafe {
        if let Some(exit) = exit {
            exit();
        }
    }
    forget(kernel, &module)
}

/// A reference count that says: going away.
const GOING: i32 = i32::MIN / 2;

/// How long the threads of a module may take to leave its code, once its exit function ran.
const THREADS_NS_MAX: u64 = 5_000_000_000;

/// Takes a module that is going out of every list and unmaps it, unless a thread stays in its code.
fn forget(kernel: &'static Kernel, module: &Arc<Module>) -> Result<(), Error> {
    // A thread that gave back its reference as its last deed may still be on its way out of the module's code.
    let ended = crate::kthread::wait_for_exits(kernel, &module.image.range(), THREADS_NS_MAX);
    if let Err(task) = ended {
        let info = task.info();
        crate::sched::report_stack(kernel, &task, &info);
        return Err(Error::ThreadStays {
            name: module.name().to_owned(),
            thread: format!("{}/{}", info.comm, info.pid),
            place: info.waits_in.unwrap_or("nothing that is known"),
        });
    }
    // Callbacks into the module's code may still be queued.
    crate::rcupdate::barrier(kernel);
    let _ = kernel.tree.remove(&format!("/sys/module/{}", module.name()));
    kernel.modules.loaded.write().retain(|other| !Arc::ptr_eq(other, module));
    for used in &module.uses {
        if let Some(module) = kernel.modules.loaded.read().iter().find(|m| m.name() == used) {
            module.refcnt().fetch_sub(1, Ordering::SeqCst);
        }
        let _ = kernel.tree.remove(&format!("/sys/module/{used}/holders/{}", module.name()));
    }
    Ok(())
}

/// `/sys/module/NAME` and, once, `/proc/modules`.
fn show(kernel: &'static Kernel, module: &Arc<Module>) {
    let dir = format!("/sys/module/{}", module.name());
    let tree = &kernel.tree;
    let weak = Arc::downgrade(module);
    let add = |path: String, text: String| {
        let _ = tree.add_file(&path, 0o444, crate::tree::text(move || text.clone()));
    };
    for key in ["version", "srcversion"] {
        if let Some(value) = module.image.elf().info(key) {
            add(format!("{dir}/{key}"), format!("{value}\n"));
        }
    }
    let state = Weak::clone(&weak);
    let state = crate::tree::text(move || {
        let is_going = state.upgrade().is_none_or(|module| module.is_going());
        if is_going { "going\n".into() } else { "live\n".into() }
    });
    let _ = tree.add_file(&format!("{dir}/initstate"), 0o444, state);
    let refs = crate::tree::text(move || {
        let refs = weak.upgrade().map_or(0, |module| module.refcnt().load(Ordering::SeqCst));
        format!("{}\n", refs.max(0))
    });
    let _ = tree.add_file(&format!("{dir}/refcnt"), 0o444, refs);
    let _ = tree.mkdir(&format!("{dir}/holders"));
    for used in &module.uses {
        let _ = tree.add_symlink(
            &format!("/sys/module/{used}/holders/{}", module.name()),
            &format!("../../{}", module.name()),
        );
    }
    parameters::show(kernel, &dir, &module.image);
    let _ = tree.add_file("/proc/modules", 0o444, crate::tree::text(move || proc_modules(kernel)));
}

/// The count of a C `struct module`; `None` for built-in code (a null module).
///
/// # Safety
/// `module` is null, or a `struct module` of a mapped image.
unsafe fn refcnt<'a>(module: *mut sys::module) -> Option<&'a AtomicI32> {
    if module.is_null() {
        return None;
    }
    // SAFETY: the caller's contract; every access to the counter is atomic.
    Some(unsafe { AtomicI32::from_ptr(&raw mut (*module).refcnt.counter) })
}

/// # Safety
/// `module` is a `struct module` of a mapped image.
pub(crate) unsafe fn name_of(module: *mut sys::module) -> String {
    // SAFETY: the caller's contract; the name is never changed.
    let name = unsafe { (&raw const (*module).name).read() };
    name.iter().take_while(|byte| **byte != 0).map(|byte| *byte as u8 as char).collect()
}

/// Takes a reference; false when the module is going away.
///
/// # Safety
/// `module` is null (built-in: always true), or a `struct module` of a mapped image.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn try_module_get(module: *mut sys::module) -> bool {
    // SAFETY: the caller's contract.
    let Some(refcnt) = (unsafe { refcnt(module) }) else { return true };
    refcnt
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |refs| (refs >= 0).then_some(refs + 1))
        .is_ok()
}

/// Takes a reference where one is held already.
///
/// # Safety
/// As [`try_module_get`].
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __module_get(module: *mut sys::module) {
    // SAFETY: `module` is null, or in an image that stays mapped.
    if let Some(refcnt) = unsafe { refcnt(module) } {
        refcnt.fetch_add(1, Ordering::SeqCst);
    }
}

/// Gives a reference back.
///
/// # Safety
/// As [`try_module_get`], and the caller holds a reference.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn module_put(module: *mut sys::module) {
    // SAFETY: `module` is null, or in an image that the caller's reference keeps mapped.
    if let Some(refcnt) = unsafe { refcnt(module) } {
        // Below zero is a module that is going away: it would be unmapped without its exit.
        let floor = |refs: i32| if refs < 0 { GOING } else { 0 };
        let one_less = |refs: i32| (refs > floor(refs)).then_some(refs - 1);
        let before = refcnt.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
        let Some(task) = crate::sched::try_current() else { return };
        match before {
            Ok(1) => task.kernel.modules.unused.wake_up_all(),
            Ok(_) => {}
            // SAFETY: as above.
            Err(_) => crate::context::warn(task.kernel, &unsafe {
                format!("module_put of {} without a reference", name_of(module))
            }),
        }
    }
}

/// The number of references held.
///
/// # Safety
/// As [`try_module_get`].
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn module_refcount(module: *mut sys::module) -> c_int {
    // SAFETY: `module` is null, or in an image that stays mapped.
    unsafe { refcnt(module) }.map_or(0, |refs| refs.load(Ordering::SeqCst).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_that_nobody_holds_is_not_given_back() {
        let kernel = Kernel::boot(crate::Config::default());
        crate::sched::attach(kernel, "test");
        let mut module = sys::module::default();
        for (to, from) in module.name.iter_mut().zip(b"alpha") {
            *to = *from as _;
        }
        let module = &raw mut module;
        // SAFETY: the struct lives to the end of the test.
        unsafe {
            assert!(try_module_get(module));
            module_put(module);
            module_put(module);
            assert_eq!((*module).refcnt.counter, 0);
            assert!(try_module_get(module));
            assert_eq!(module_refcount(module), 1);
        }
        let report = "WARNING: module_put of alpha without a reference";
        assert!(kernel.log_records(0).iter().any(|record| record.text == report));
    }
}
