// SPDX-License-Identifier: GPL-2.0-only
//! Listings of directories.
//!
//! `/dev` is listed for both: what the node's tree has there, and of the host's what leads to the host, its character
//! devices among it. The host's disks, and whatever may lead to one, are not shown: who goes by the listing, as
//! volume managers do, is to see the machine that the node is. Such a stream is our own ([`Stream`]); every function of
//! libc that takes a stream is hooked. Elsewhere entries only get the face of a block device.

use core::ffi::{CStr, c_char, c_int, c_long, c_void};
use core::mem::size_of;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use libc::{AT_FDCWD, DIR, O_CLOEXEC, O_DIRECTORY, O_RDONLY, dirent64};

use crate::device::device;
use crate::map;
use crate::names::{self, Owner};
use crate::raw;
use crate::real::{self, errno, fail, keeping_errno, set_errno};
use crate::redirect::{Room, lead};
use crate::root::Root;

const _: () = assert!(size_of::<libc::dirent>() == size_of::<dirent64>());

/// An open stream of `/dev`: its entries as they were when it was opened or rewound.
struct Stream {
    /// The host's directory.
    fd: c_int,
    entries: Vec<dirent64>,
    next: usize,
}

/// The streams that are open. Programs see a pointer to one as a `DIR *`.
static STREAMS: [AtomicPtr<Stream>; 256] = [const { AtomicPtr::new(ptr::null_mut()) }; 256];
/// How many there are: with none every stream is libc's.
static OPEN: AtomicUsize = AtomicUsize::new(0);

impl Stream {
    /// Takes `fd`, which is open on the host's `/dev`.
    fn open(root: &Root, fd: c_int) -> Result<*mut DIR, c_int> {
        let entries = entries(root, fd)?;
        let stream = Box::into_raw(Box::new(Stream { fd, entries, next: 0 }));
        let free = STREAMS.iter().any(|place| {
            place
                .compare_exchange(ptr::null_mut(), stream, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        });
        if !free {
            // SAFETY: made above, and nobody else has it.
            drop(unsafe { Box::from_raw(stream) });
            return Err(libc::EMFILE);
        }
        OPEN.fetch_add(1, Ordering::AcqRel);
        Ok(stream.cast())
    }

    /// The stream behind `dir`, if it is one of ours.
    ///
    /// # Safety
    /// The caller may use `dir` as a stream, as one thread at a time.
    unsafe fn of<'a>(dir: *mut DIR) -> Option<&'a mut Stream> {
        if OPEN.load(Ordering::Acquire) == 0 || dir.is_null() {
            return None;
        }
        let stream = dir.cast::<Stream>();
        let ours = STREAMS.iter().any(|place| ptr::eq(place.load(Ordering::Acquire), stream));
        // SAFETY: it stands in the table, so it was made here and not closed; the caller has it for itself.
        ours.then(|| unsafe { &mut *stream })
    }

    fn next(&mut self) -> *mut dirent64 {
        match self.entries.get_mut(self.next) {
            Some(entry) => {
                self.next += 1;
                entry
            }
            None => ptr::null_mut(),
        }
    }

    /// Forgets it; its descriptor stays open.
    fn close(&mut self) -> c_int {
        let (fd, this) = (self.fd, ptr::from_mut(self));
        for place in &STREAMS {
            let empty = ptr::null_mut();
            if place.compare_exchange(this, empty, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                OPEN.fetch_sub(1, Ordering::AcqRel);
                // SAFETY: made by `open`, and nobody finds it any more.
                drop(unsafe { Box::from_raw(this) });
                break;
            }
        }
        fd
    }
}

/// What `/dev` has for both.
fn entries(root: &Root, host: c_int) -> Result<Vec<dirent64>, c_int> {
    // What may not be listed is not opened, either.
    root.standing()?;
    let mut path = [0; 4096];
    let path = root.join(&[names::SHARED_DIR], &mut path).ok_or(libc::ENAMETOOLONG)?;
    let mut found = vec![];
    let tree = raw::open(path, O_RDONLY | O_DIRECTORY)?;
    let listed = read_all(tree, |entry| {
        let own = !is_dots(name(&entry)) && owner(name(&entry)) != Owner::Host;
        if own {
            found.push(entry);
        }
    });
    raw::close(tree);
    listed?;
    let from_tree = found.len();
    read_all(host, |entry| {
        let shown = match owner(name(&entry)) {
            _ if is_dots(name(&entry)) => true,
            Owner::Host => true,
            Owner::NodeElseHost => is_character_device(host, &entry),
            _ => false,
        };
        if shown && !found[..from_tree].iter().any(|own| name(own) == name(&entry)) {
            found.push(entry);
        }
    })?;
    for (at, entry) in found.iter_mut().enumerate() {
        entry.d_off = at as i64 + 1;
        if let Some((kind, _)) = device(entry.d_ino).filter(|_| entry.d_type == libc::DT_REG) {
            entry.d_type = kind.entry();
        }
    }
    Ok(found)
}

fn owner(name: &[u8]) -> Owner {
    names::find_in(names::SHARED_DIR, name).map_or(Owner::Host, |row| row.owner)
}

fn name(entry: &dirent64) -> &[u8] {
    // SAFETY: `read_all` makes entries with a NUL in the name.
    unsafe { CStr::from_ptr(entry.d_name.as_ptr()) }.to_bytes()
}

fn is_dots(name: &[u8]) -> bool {
    matches!(name, b"." | b"..")
}

fn is_character_device(dir: c_int, entry: &dirent64) -> bool {
    match entry.d_type {
        libc::DT_CHR => true,
        libc::DT_UNKNOWN => raw::fstatat(dir, entry.d_name.as_ptr(), libc::AT_SYMLINK_NOFOLLOW)
            .is_ok_and(|st| st.st_mode & libc::S_IFMT == libc::S_IFCHR),
        _ => false,
    }
}

/// Hands each entry of the open directory `fd` to `take`, from the first on.
fn read_all(fd: c_int, mut take: impl FnMut(dirent64)) -> Result<(), c_int> {
    /// `struct linux_dirent64` up to its name.
    const HEAD: usize = 19;
    raw::rewind(fd)?;
    let mut records = vec![0_u8; 32 << 10];
    loop {
        let len = raw::getdents(fd, &mut records)?;
        if len == 0 {
            return Ok(());
        }
        let mut rest = &records[..len];
        while let [_, ..] = rest {
            let size = usize::from(u16::from_ne_bytes([rest[16], rest[17]]));
            let (record, others) = rest.split_at(size);
            // SAFETY: a dirent64 is plain data for which zero is a value.
            let mut entry: dirent64 = unsafe { core::mem::zeroed() };
            entry.d_ino = u64::from_ne_bytes(record[..8].try_into().unwrap_or_default());
            entry.d_reclen = size_of::<dirent64>() as u16;
            entry.d_type = record[18];
            let room = entry.d_name.len() - 1;
            for (to, from) in entry.d_name.iter_mut().zip(&record[HEAD..]).take(room) {
                *to = *from as c_char;
            }
            take(entry);
            rest = others;
        }
    }
}

/// What scandir(3) fills: an array from malloc of entries from malloc.
type List = *mut *mut dirent64;
type Filter = Option<unsafe extern "C" fn(*const dirent64) -> c_int>;
type Compare = Option<unsafe extern "C" fn(*const c_void, *const c_void) -> c_int>;

hooks! {
    fn opendir(path: *const c_char) -> *mut DIR {
        let mut room = Room::new();
        let to = lead!(room, AT_FDCWD, path);
        let Some(root) = Root::get().filter(|_| to.is_shared_dir()) else {
            return real::opendir(to.path());
        };
        shared(root, raw::open(CStr::from_ptr(path), O_RDONLY | O_DIRECTORY))
    }
    fn fdopendir(fd: c_int) -> *mut DIR {
        let mut name = [0; 16];
        let len = Root::get().and_then(|_| keeping_errno(|| raw::name_of(fd, &mut name)));
        match (Root::get(), len) {
            (Some(root), Some(len)) if map::is_shared_dir(&name[..len]) => {
                match Stream::open(root, fd) {
                    Ok(dir) => dir,
                    Err(error) => fail(error),
                }
            }
            _ => real::fdopendir(fd),
        }
    }
    fn readdir(dir: *mut DIR) -> *mut libc::dirent {
        readdir64(dir).cast()
    }
    fn readdir64(dir: *mut DIR) -> *mut dirent64 {
        if let Some(stream) = Stream::of(dir) {
            return stream.next();
        }
        let entry = real::readdir64(dir);
        if let Some(entry) = entry.as_mut() {
            face(dir, entry);
        }
        entry
    }
    fn readdir_r(dir: *mut DIR, entry: *mut libc::dirent, result: *mut *mut libc::dirent) -> c_int {
        readdir64_r(dir, entry.cast(), result.cast())
    }
    fn readdir64_r(dir: *mut DIR, entry: *mut dirent64, result: *mut *mut dirent64) -> c_int {
        let Some(stream) = Stream::of(dir) else {
            let error = real::readdir64_r(dir, entry, result);
            if error == 0 && !(*result).is_null() {
                face(dir, &mut *entry);
            }
            return error;
        };
        let next = stream.next();
        *result = if next.is_null() { next } else { entry };
        if !next.is_null() {
            ptr::copy_nonoverlapping(next, entry, 1);
        }
        0
    }
    fn closedir(dir: *mut DIR) -> c_int {
        match Stream::of(dir).map(Stream::close) {
            Some(fd) => real::close(fd),
            None => real::closedir(dir),
        }
    }
    fn dirfd(dir: *mut DIR) -> c_int {
        match Stream::of(dir) {
            Some(stream) => stream.fd,
            None => real::dirfd(dir),
        }
    }
    fn telldir(dir: *mut DIR) -> c_long {
        match Stream::of(dir) {
            Some(stream) => stream.next as c_long,
            None => real::telldir(dir),
        }
    }
    fn seekdir(dir: *mut DIR, at: c_long) -> () {
        match Stream::of(dir) {
            Some(stream) => stream.next = usize::try_from(at).unwrap_or(0),
            None => real::seekdir(dir, at),
        }
    }
    fn rewinddir(dir: *mut DIR) -> () {
        match (Stream::of(dir), Root::get()) {
            (Some(stream), Some(root)) => {
                // A node that is gone by now has no entries.
                let fd = stream.fd;
                stream.entries = keeping_errno(|| entries(root, fd)).unwrap_or_default();
                stream.next = 0;
            }
            _ => real::rewinddir(dir),
        }
    }

    fn scandir(path: *const c_char, list: *mut List, filter: Filter, compare: Compare) -> c_int {
        scandirat64(AT_FDCWD, path, list, filter, compare)
    }
    fn scandir64(path: *const c_char, list: *mut List, filter: Filter, compare: Compare) -> c_int {
        scandirat64(AT_FDCWD, path, list, filter, compare)
    }
    fn scandirat(
        dir: c_int,
        path: *const c_char,
        list: *mut List,
        filter: Filter,
        compare: Compare,
    ) -> c_int {
        scandirat64(dir, path, list, filter, compare)
    }
    fn scandirat64(
        dir: c_int,
        path: *const c_char,
        list: *mut List,
        filter: Filter,
        compare: Compare,
    ) -> c_int {
        let mut room = Room::new();
        let to = lead!(room, dir, path);
        if !to.is_in_tree() && !to.is_shared_dir() {
            return real::scandirat64(dir, to.path(), list, filter, compare);
        }
        let fd = real::openat(dir, to.path(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
        if fd < 0 {
            return fd;
        }
        let stream = fdopendir(fd);
        if stream.is_null() {
            keeping_errno(|| raw::close(fd));
            return -1;
        }
        let result = collect(stream, list, filter, compare);
        keeping_errno(|| closedir(stream));
        result
    }
}

/// A stream of `/dev` over a fresh descriptor.
fn shared(root: &Root, host: Result<c_int, c_int>) -> *mut DIR {
    let opened = host
        .and_then(|fd| keeping_errno(|| Stream::open(root, fd)).inspect_err(|_| raw::close(fd)));
    match opened {
        Ok(dir) => dir,
        Err(error) => fail(error),
    }
}

/// Shows the type of a device's entry: find(1) and python's scandir believe it.
///
/// # Safety
/// `dir` is an open stream of libc's.
unsafe fn face(dir: *mut DIR, entry: &mut dirent64) {
    let device = device(entry.d_ino).filter(|_| entry.d_type == libc::DT_REG);
    let (Some((kind, _)), Some(root)) = (device, Root::get()) else { return };
    // SAFETY: by contract.
    let fd = unsafe { dirfd(dir) };
    if keeping_errno(|| raw::fstat(fd)).is_ok_and(|st| root.is_on_tree(st.st_dev)) {
        entry.d_type = kind.entry();
    }
}

/// scandir(3) of an open stream.
///
/// # Safety
/// As scandir(3); `stream` is open.
unsafe fn collect(stream: *mut DIR, list: *mut List, filter: Filter, compare: Compare) -> c_int {
    let before = errno();
    let mut found: Vec<*mut dirent64> = vec![];
    let error = loop {
        set_errno(0);
        // SAFETY: an open stream.
        let entry = unsafe { readdir64(stream) };
        if entry.is_null() {
            break errno();
        }
        set_errno(before);
        // SAFETY: the caller's function, with an entry.
        if filter.is_some_and(|filter| unsafe { filter(entry) } == 0) {
            continue;
        }
        // SAFETY: a plain allocation, which is the caller's to free.
        let copy = unsafe { libc::malloc(size_of::<dirent64>()) }.cast::<dirent64>();
        if copy.is_null() {
            break libc::ENOMEM;
        }
        // SAFETY: `copy` has room; an entry is as long as it says.
        unsafe {
            let len = usize::from((*entry).d_reclen).min(size_of::<dirent64>());
            ptr::copy_nonoverlapping(entry.cast::<u8>(), copy.cast(), len);
        }
        found.push(copy);
    };
    let size = found.len() * size_of::<*mut dirent64>();
    // SAFETY: a plain allocation, which is the caller's to free.
    let array = unsafe { libc::malloc(size.max(1)) }.cast::<*mut dirent64>();
    if error != 0 || array.is_null() {
        for entry in found {
            // SAFETY: from malloc above.
            unsafe { libc::free(entry.cast()) };
        }
        // SAFETY: as above, or NULL.
        unsafe { libc::free(array.cast()) };
        return fail(if error == 0 { libc::ENOMEM } else { error });
    }
    // SAFETY: `array` has room for as many; the comparison is the caller's, for such entries.
    unsafe {
        ptr::copy_nonoverlapping(found.as_ptr(), array, found.len());
        if let Some(compare) = compare {
            libc::qsort(array.cast(), found.len(), size_of::<*mut dirent64>(), Some(compare));
        }
        *list = array;
    }
    set_errno(before);
    found.len() as c_int
}
