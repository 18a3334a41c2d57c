// SPDX-License-Identifier: GPL-2.0-only
//! Finding and loading handlers.
//!
//! A handler is looked for when the first disk asks for its subtype. It is loaded once per process and never unloaded,
//! as in tcmu-runner: its table lives in its data, and libraries below it may keep threads.

use std::cell::RefCell;
use std::ffi::{CStr, OsStr, c_int};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use dlopen2::raw::Library;
use parking_lot::{Mutex, ReentrantMutex};

use crate::abi::Handler;
use crate::elf;
use crate::error::{Error, Kind};

/// Where Debian's tcmu-runner has its handlers.
pub const DEBIAN_DIR: &str = "/usr/lib/x86_64-linux-gnu/tcmu-runner";

/// The most handler files looked at in one directory.
const FILES_MAX: usize = 1000;

/// Handlers that this process has loaded. Process-wide, because the dynamic linker is: loading a file again yields
/// the same code and data.
static LOADED: Mutex<Vec<Loaded>> = Mutex::new(Vec::new());

/// Held while a handler initialises itself.
static LOADING: ReentrantMutex<()> = ReentrantMutex::new(());

struct Loaded {
    path: PathBuf,
    handlers: Vec<&'static Handler>,
}

thread_local! {
    /// What the `handler_init` that runs on this thread has registered.
    static REGISTERED: RefCell<Option<Vec<&'static Handler>>> = const { RefCell::new(None) };
}

/// The directories in which a node looks for handlers.
pub struct Registry {
    dirs: Vec<PathBuf>,
}

/// A handler, as `umc disk handlers` shows it.
#[derive(Debug)]
pub struct Listed {
    /// What a disk's description begins with.
    pub subtype: String,
    /// The handler's own name.
    pub name: String,
    /// What follows the subtype, in the handler's words.
    pub config: String,
    /// Its file.
    pub path: PathBuf,
}

impl Registry {
    /// Looks beside the executable first (the handlers of this project), then in `dirs`.
    pub fn new(dirs: impl IntoIterator<Item = PathBuf>) -> Registry {
        crate::process::prepare();
        let mut all: Vec<PathBuf> = builtin_dirs().into_iter().filter(|dir| dir.is_dir()).collect();
        all.extend(dirs);
        Registry { dirs: all }
    }

    /// The handler of a subtype, loaded if need be.
    ///
    /// # Errors
    /// When no file in the directories registers it, with what was wrong with those that could not be loaded, and with the
    /// directories that could not be read.
    ///
    /// # Context
    /// May block: runs the handlers' initialisation.
    pub fn find(&self, subtype: &str) -> Result<&'static Handler, Error> {
        let Files { mut files, unread } = self.files();
        let registered_by = |path: &Path| {
            let found = load(path)?.into_iter().find(|found| self::subtype(found) == subtype);
            Ok::<_, Error>(found)
        };
        // The file that bears the name is the one that is meant.
        let named = files.iter().find(|path| stem(path) == Some(subtype.as_bytes()));
        if let Some(path) = named
            && let Some(handler) = registered_by(path)?
        {
            return Ok(handler);
        }
        // Then those that contain the word, then the rest.
        let mut word = subtype.as_bytes().to_vec();
        word.push(0);
        files.sort_by_cached_key(|path| !fs::read(path).is_ok_and(|data| contains(&data, &word)));
        let mut errors: Vec<String> = unread.iter().map(Error::to_string).collect();
        for path in &files {
            match registered_by(path) {
                Ok(Some(handler)) => return Ok(handler),
                Ok(None) => {}
                Err(error) => errors.push(error.to_string()),
            }
        }
        let dirs: Vec<String> = self.dirs.iter().map(|dir| dir.display().to_string()).collect();
        let mut cause = format!("no file in {} registers it", dirs.join(", "));
        if !errors.is_empty() {
            cause = format!("{cause}; {}", errors.join(" "));
        }
        let next = format!("Known handlers: {}. See --handler-dir.", self.known(&files));
        Err(Error::new(Kind::NoSuchHandler, "find handler", subtype, cause, next))
    }

    /// Every handler that can be loaded, and why the others cannot: of a directory that cannot be read that it cannot.
    ///
    /// # Context
    /// May block: loads all of them.
    pub fn list(&self) -> (Vec<Listed>, Vec<Error>) {
        let mut listed = Vec::new();
        let Files { files, unread: mut errors } = self.files();
        for path in files {
            match load(&path) {
                Ok(handlers) => listed.extend(handlers.iter().map(|handler| Listed {
                    subtype: subtype(handler).to_owned(),
                    name: constant(handler.name).to_owned(),
                    config: constant(handler.cfg_desc).to_owned(),
                    path: path.clone(),
                })),
                Err(error) => errors.push(error),
            }
        }
        (listed, errors)
    }

    /// The subtypes of the handlers that are loaded already.
    fn known(&self, files: &[PathBuf]) -> String {
        let loaded = LOADED.lock();
        let known: Vec<&str> = loaded
            .iter()
            .filter(|loaded| files.contains(&loaded.path))
            .flat_map(|loaded| loaded.handlers.iter().map(|handler| subtype(handler)))
            .collect();
        if known.is_empty() { "none".to_owned() } else { known.join(", ") }
    }

    /// The handler files, directory by directory; of several with one name the first counts.
    fn files(&self) -> Files {
        let mut found = Files::default();
        for dir in &self.dirs {
            match files_in(dir) {
                Ok(here) => here.into_iter().for_each(|path| found.add(path)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                // It hides what is in it, and nothing of the others.
                Err(error) => found.unread.push(Error::new(
                    Kind::Unreadable,
                    "look for handlers in",
                    dir.display(),
                    error,
                    "See --handler-dir.",
                )),
            }
        }
        found
    }
}

/// What there is in the directories.
#[derive(Default)]
struct Files {
    files: Vec<PathBuf>,
    /// Why a directory could not be read.
    unread: Vec<Error>,
}

impl Files {
    fn add(&mut self, path: PathBuf) {
        if !self.files.iter().any(|known| stem(known) == stem(&path)) {
            self.files.push(path);
        }
    }
}

/// The handler files of a directory, by name.
fn files_in(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries: Vec<fs::DirEntry> = fs::read_dir(dir)?.collect::<Result<_, _>>()?;
    let mut here: Vec<PathBuf> = entries
        .iter()
        // A link to nowhere is no file.
        .filter_map(|entry| fs::canonicalize(entry.path()).ok())
        .filter(|path| stem(path).is_some())
        .take(FILES_MAX)
        .collect();
    here.sort();
    Ok(here)
}

/// Calls the `destroy` of every loaded handler. For the end of the process, when all disks are deleted.
pub fn shutdown() {
    let loaded = std::mem::take(&mut *LOADED.lock());
    for handler in loaded.iter().flat_map(|loaded| &loaded.handlers) {
        if let Some(destroy) = handler.destroy {
            // SAFETY: the ABI's contract: once, with no device open.
            unsafe { destroy() }
        }
    }
}

/// Where the handlers that are built with the executable can be.
fn builtin_dirs() -> Vec<PathBuf> {
    let Some(dir) = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.to_owned()))
    else {
        return Vec::new();
    };
    let mut dirs = Vec::new();
    // cargo puts test executables one level below what it builds for use.
    if dir.file_name() == Some(OsStr::new("deps")) {
        dirs.extend(dir.parent().map(Path::to_owned));
    }
    dirs.push(dir.join("../lib/umc"));
    dirs.push(dir);
    dirs
}

/// `NAME` of `handler_NAME.so` and `libhandler_NAME.so`.
fn stem(path: &Path) -> Option<&[u8]> {
    let name = path.file_name()?.as_bytes();
    let name = name.strip_prefix(b"lib").unwrap_or(name);
    name.strip_prefix(b"handler_")?.strip_suffix(b".so").filter(|stem| !stem.is_empty())
}

fn contains(data: &[u8], word: &[u8]) -> bool {
    data.windows(word.len()).any(|window| window == word)
}

/// A constant string of a handler.
fn constant(text: *const std::ffi::c_char) -> &'static str {
    if text.is_null() {
        return "";
    }
    // SAFETY: the ABI's contract: a constant string of the handler, which is never unloaded.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap_or_default()
}

/// What disks call the handler.
pub fn subtype(handler: &Handler) -> &'static str {
    constant(handler.subtype)
}

/// Loads one file: the handlers it registers, at least one.
///
/// # Errors
/// What was wrong with it.
///
/// # Context
/// May block: runs the handler's initialisation.
pub fn load_file(path: &Path) -> Result<Vec<&'static Handler>, Error> {
    load(&fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()))
}

/// The handlers of a file.
fn load(path: &Path) -> Result<Vec<&'static Handler>, Error> {
    let _loading = LOADING.lock();
    if let Some(loaded) = LOADED.lock().iter().find(|loaded| loaded.path == path) {
        return Ok(loaded.handlers.clone());
    }
    elf::check(path)?;
    let fail = |kind, cause: &dyn std::fmt::Display, next: &str| {
        Error::new(kind, "load handler", path.display(), cause, next)
    };
    let library = Library::open_with_flags(path, Some(libc::RTLD_NOW | libc::RTLD_LOCAL)).map_err(
        |error| fail(Kind::NotLoadable, &error, "Install the libraries it is linked to."),
    )?;
    // SAFETY: the ABI's contract: this symbol is a function of this type.
    let init = unsafe { library.symbol::<unsafe extern "C" fn() -> c_int>("handler_init") }
        .map_err(|error| fail(Kind::NoHandlerInit, &error, ""))?;
    std::mem::forget(library);

    REGISTERED.set(Some(Vec::new()));
    // SAFETY: the ABI's contract: once after loading.
    let (ret, messages) = crate::log::keeping_errors(|| unsafe { init() });
    let handlers = REGISTERED.take().unwrap_or_default();
    if ret != 0 || handlers.is_empty() {
        let cause = match ret {
            0 => "handler_init registered nothing".to_owned(),
            _ if messages.is_empty() => format!("handler_init returned {ret}"),
            _ => format!("handler_init returned {ret}: {messages}"),
        };
        return Err(fail(Kind::BadHandler, &cause, "Look at the handler's own documentation."));
    }
    LOADED.lock().push(Loaded { path: path.to_owned(), handlers: handlers.clone() });
    Ok(handlers)
}

/// A handler introduces itself. 0, or -1 when it cannot be used.
///
/// # Safety
/// `handler` points to a table that stays valid and unchanged for the life of the process.
///
/// # Context
/// Only from `handler_init`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmur_register_handler(handler: *mut Handler) -> c_int {
    // SAFETY: the caller's contract.
    let Some(handler) = (unsafe { handler.as_ref() }) else { return -1 };
    let refuse = |cause: &str| {
        crate::log::refuse(&format!("handler {:?}: {cause}", subtype(handler)));
        -1
    };
    if subtype(handler).is_empty() || subtype(handler).contains('/') {
        return refuse("its subtype is empty, or contains a slash");
    }
    if handler.open.is_none() || handler.close.is_none() {
        return refuse("it has no open or no close");
    }
    if handler.handle_cmd.is_none() && (handler.read.is_none() || handler.write.is_none()) {
        return refuse("it has neither handle_cmd nor both read and write");
    }
    let taken =
        |others: &[&'static Handler]| others.iter().any(|other| subtype(other) == subtype(handler));
    if LOADED.lock().iter().any(|loaded| taken(&loaded.handlers))
        || REGISTERED.with_borrow(|registered| registered.as_deref().is_none_or(taken))
    {
        return refuse("another handler has registered this subtype, or handler_init has ended");
    }
    if let Some(init) = handler.init {
        // SAFETY: the ABI's contract: once, at registration.
        if unsafe { init() } != 0 {
            return refuse("its init failed");
        }
    }
    REGISTERED.with_borrow_mut(|registered| {
        if let Some(registered) = registered {
            registered.push(handler);
        }
    });
    0
}

/// A handler leaves. It stays loaded until the process ends, so that open disks keep working: false.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub extern "C" fn tcmur_unregister_handler(_handler: *mut Handler) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names() {
        assert_eq!(stem(Path::new("/x/handler_qcow.so")), Some(b"qcow".as_slice()));
        assert_eq!(stem(Path::new("libhandler_ram.so")), Some(b"ram".as_slice()));
        assert_eq!(stem(Path::new("libhandlers.so")), None);
        assert_eq!(stem(Path::new("handler_ram.so.1")), None);
        assert_eq!(stem(Path::new("handler_.so")), None);
    }

    #[test]
    fn unknown_subtypes_are_named() {
        let registry = Registry { dirs: vec!["/nonexistent".into()] };
        let error = registry.find("foo").err().expect("there is none");
        assert_eq!(error.kind, Kind::NoSuchHandler);
        assert_eq!(
            error.to_string(),
            "Cannot find handler foo: no file in /nonexistent registers it. \
             Known handlers: none. See --handler-dir."
        );
    }

    /// Also for root, whom no permission keeps out.
    #[test]
    fn a_directory_that_cannot_be_read_hides_no_other() {
        let dir = tempfile::tempdir().expect("tempdir");
        let (file, good) = (dir.path().join("file"), dir.path().join("good"));
        fs::write(&file, "").expect("a file in place of a directory");
        fs::create_dir(&good).expect("a directory");
        fs::write(good.join("handler_bad.so"), "no library").expect("a file");
        let registry = Registry { dirs: vec![file.clone(), good.clone()] };
        let unread = format!("look for handlers in {}: Not a directory", file.display());
        let (listed, errors) = registry.list();
        assert_eq!((listed.len(), errors.len()), (0, 2), "{errors:?}");
        assert!(errors[0].to_string().contains(&unread), "{}", errors[0]);
        assert!(errors[1].to_string().contains("handler_bad.so"), "{}", errors[1]);
        let text = registry.find("foo").err().expect("there is none").to_string();
        assert!(text.contains(&unread) && text.contains("handler_bad.so"), "{text}");
    }
}
