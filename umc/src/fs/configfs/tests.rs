// SPDX-License-Identifier: GPL-2.0-only
//! What configfs promises, with a small driver of Rust: groups of which each may link to others.

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_int};
use std::ptr;
use std::sync::Arc;

use super::*;
use crate::tree::OpenFile;
use crate::{Config, Errno};

thread_local! {
    /// What the driver was asked, in order.
    static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static NUMBER: RefCell<i32> = const { RefCell::new(7) };
}

fn seen(what: &str, item: *mut sys::config_item) {
    // SAFETY: the items of this driver have names while it is asked about them.
    let name = unsafe { crate::string::lossy((*item).ci_name) };
    SEEN.with_borrow_mut(|seen| seen.push(format!("{what} {name}")));
}

fn take_seen() -> Vec<String> {
    SEEN.take()
}

/// A group with a default group `inner`.
#[repr(C)]
struct Thing {
    group: sys::config_group,
    inner: sys::config_group,
}

unsafe extern "C" fn show(_item: *mut sys::config_item, page: *mut c_char) -> isize {
    let text = format!("{}\n", NUMBER.with_borrow(|number| *number));
    // SAFETY: a show has a page.
    unsafe { ptr::copy_nonoverlapping(text.as_ptr().cast(), page, text.len()) };
    text.len() as isize
}

unsafe extern "C" fn store(_item: *mut sys::config_item, page: *const c_char, len: usize) -> isize {
    // SAFETY: the text of a store is a C string.
    match unsafe { crate::string::lossy(page) }.trim().parse() {
        Ok(value) => {
            NUMBER.set(value);
            len as isize
        }
        Err(_) => Errno::EINVAL.neg() as isize,
    }
}

unsafe extern "C" fn allow_link(
    src: *mut sys::config_item,
    target: *mut sys::config_item,
) -> c_int {
    seen("allow", target);
    if ptr::eq(src, target) { Errno::EINVAL.neg() } else { 0 }
}

unsafe extern "C" fn drop_link(_src: *mut sys::config_item, target: *mut sys::config_item) {
    seen("unlink", target);
}

unsafe extern "C" fn release(item: *mut sys::config_item) {
    SEEN.with_borrow_mut(|seen| seen.push("release".into()));
    // SAFETY: things are made by `make_group` and end here; the item is the first field.
    drop(unsafe { Box::from_raw(item.cast::<Thing>()) });
}

unsafe extern "C" fn make_group(
    _group: *mut sys::config_group,
    name: *const c_char,
) -> *mut sys::config_group {
    // SAFETY: a C string.
    if unsafe { CStr::from_ptr(name) } == c"bad" {
        return crate::errno::err_ptr(Errno::ENODEV);
    }
    let thing = Box::into_raw(Box::new(Thing {
        group: sys::config_group::default(),
        inner: sys::config_group::default(),
    }));
    // SAFETY: a new thing, and types that live for ever.
    unsafe {
        let (group, inner) = (&raw mut (*thing).group, &raw mut (*thing).inner);
        item::config_group_init_type_name(group, name, thing_type());
        item::config_group_init_type_name(inner, c"inner".as_ptr(), ptr::null());
        crate::lib::list::add_tail(&raw mut (*inner).group_entry, &raw mut (*group).default_groups);
    }
    thing.cast()
}

unsafe extern "C" fn drop_item(_group: *mut sys::config_group, item: *mut sys::config_item) {
    seen("drop", item);
    // SAFETY: the driver's references: of the thing's default group, and of the thing.
    unsafe {
        item::configfs_remove_default_groups(item.cast());
        item::config_item_put(item);
    }
}

fn leak<T>(value: T) -> *mut T {
    Box::leak(Box::new(value))
}

fn attributes() -> *mut *mut sys::configfs_attribute {
    let attr = |name: &'static CStr, ca_mode, show, store| {
        let ca_name = name.as_ptr();
        leak(sys::configfs_attribute { ca_name, ca_owner: ptr::null_mut(), ca_mode, show, store })
    };
    let number = attr(c"number", 0o644, Some(show as _), Some(store as _));
    let seen = attr(c"seen", 0o444, Some(show as _), None);
    leak([number, seen, ptr::null_mut()]).cast()
}

fn thing_type() -> *const sys::config_item_type {
    let item_ops = sys::configfs_item_operations {
        release: Some(release),
        allow_link: Some(allow_link),
        drop_link: Some(drop_link),
    };
    leak(sys::config_item_type {
        ct_item_ops: leak(item_ops),
        ct_attrs: attributes(),
        ..sys::config_item_type::default()
    })
}

/// A kernel with the subsystem `things`.
fn subsystem() -> (&'static Kernel, *mut sys::configfs_subsystem) {
    let kernel = Kernel::boot(Config::default());
    crate::sched::attach(kernel, "test");
    let ops = sys::configfs_group_operations {
        make_group: Some(make_group),
        drop_item: Some(drop_item),
        ..sys::configfs_group_operations::default()
    };
    let ty =
        leak(sys::config_item_type { ct_group_ops: leak(ops), ..sys::config_item_type::default() });
    let subsys = leak(sys::configfs_subsystem::default());
    // SAFETY: a subsystem that lives for ever.
    unsafe {
        let group = &raw mut (*subsys).su_group;
        item::config_group_init_type_name(group, c"things".as_ptr(), ty);
        crate::mutex::abi::__mutex_init(
            &raw mut (*subsys).su_mutex,
            c"things".as_ptr(),
            ptr::null_mut(),
        );
        assert_eq!(configfs_register_subsystem(subsys), 0);
    }
    take_seen();
    (kernel, subsys)
}

fn names(kernel: &'static Kernel, dir: &str) -> Arc<dyn crate::tree::TreeDir> {
    kernel.tree.names_in(kernel.tree.resolve(dir).unwrap().ino).unwrap()
}

fn to(path: &str) -> crate::tree::LinkTarget {
    crate::tree::LinkTarget { text: path.to_owned(), path: path.to_owned() }
}

fn open(kernel: &'static Kernel, path: &str, write: bool) -> Result<Box<dyn OpenFile>> {
    kernel.tree.open(kernel.tree.resolve(path)?.ino, write)
}

const THINGS: &str = "/sys/kernel/config/things";

#[test]
fn directories_come_with_their_content_and_go() {
    let (kernel, subsys) = subsystem();
    let root = names(kernel, "/sys/kernel/config/things");
    assert_eq!(root.mkdir("one", 0o755), Ok(()));
    assert_eq!(root.mkdir("one", 0o755), Err(Errno::EEXIST));
    assert_eq!(root.mkdir("bad", 0o755), Err(Errno::ENODEV));
    let all = kernel.tree.read_dir(kernel.tree.resolve(&format!("{THINGS}/one")).unwrap().ino);
    let all: Vec<String> = all.unwrap().1.into_iter().map(|entry| entry.name).collect();
    assert_eq!(all, ["inner", "number", "seen"]);
    // A default group is no group that somebody made; and one without operations takes none.
    let one = names(kernel, &format!("{THINGS}/one"));
    assert_eq!(one.rmdir("inner"), Err(Errno::EPERM));
    assert_eq!(one.rmdir("number"), Err(Errno::ENOTDIR));
    assert_eq!(one.unlink("number"), Err(Errno::EPERM));
    assert_eq!(names(kernel, &format!("{THINGS}/one/inner")).mkdir("x", 0o755), Err(Errno::EPERM));
    assert_eq!(names(kernel, "/sys/kernel/config/things").rmdir("none"), Err(Errno::ENOENT));
    assert_eq!(take_seen(), Vec::<String>::new());
    // An open attribute outlives its item, and says so.
    let open = open(kernel, &format!("{THINGS}/one/number"), false).unwrap();
    assert_eq!(root.rmdir("one"), Ok(()));
    assert_eq!(take_seen(), ["drop one", "release"]);
    assert_eq!(open.read(0, 10), Err(Errno::ENOENT));
    assert!(kernel.tree.resolve(&format!("{THINGS}/one")).is_err());
    assert_eq!(one.mkdir("late", 0o755), Err(Errno::ENOENT));
    // SAFETY: registered above.
    unsafe { configfs_unregister_subsystem(subsys) };
    assert!(kernel.tree.resolve(THINGS).is_err());
}

#[test]
fn attributes_are_shown_once_and_stored_whole() {
    let (kernel, _) = subsystem();
    names(kernel, THINGS).mkdir("one", 0o755).unwrap();
    let path = format!("{THINGS}/one/number");
    let file = open(kernel, &path, true).unwrap();
    assert_eq!(file.read(0, 10).unwrap(), b"7\n");
    NUMBER.set(8);
    assert_eq!(file.read(0, 10).unwrap(), b"7\n", "one show an open");
    assert_eq!(file.write(0, b"42\n"), Ok(3));
    assert_eq!(file.read(1, 10).unwrap(), b"2\n", "and again after a write");
    assert_eq!(file.write(0, b"many"), Err(Errno::EINVAL));
    assert_eq!(file.write(0, &[b'0'; 5000]), Ok(4095));
    assert_eq!(open(kernel, &format!("{THINGS}/one/seen"), true).err(), Some(Errno::EACCES));
    NUMBER.set(7);
}

#[test]
fn links_hold_what_they_lead_to() {
    let (kernel, _) = subsystem();
    let root = names(kernel, THINGS);
    root.mkdir("one", 0o755).unwrap();
    root.mkdir("a-name-that-is-longer-than-the-buffer", 0o755).unwrap();
    let one = names(kernel, &format!("{THINGS}/one"));
    let long = format!("{THINGS}/a-name-that-is-longer-than-the-buffer");
    let none: Result<()> = Err(Errno::ENOENT);
    assert_eq!(one.symlink("l", &to(&format!("{THINGS}/none"))), none);
    assert_eq!(one.symlink("l", &to(&format!("{THINGS}/one/number"))), Err(Errno::ENOTDIR));
    assert_eq!(one.symlink("l", &to("/dev")), Err(Errno::EPERM));
    assert_eq!(root.symlink("l", &to(&long)), Err(Errno::EPERM), "the subsystem takes none");
    assert_eq!(one.symlink("l", &to(&format!("{THINGS}/one"))), Err(Errno::EINVAL));
    assert_eq!(one.symlink("l", &to(&long)), Ok(()));
    assert_eq!(one.symlink("l", &to(&long)), Err(Errno::EEXIST));
    let link = kernel.tree.resolve(&format!("{THINGS}/one/l")).unwrap().ino;
    let text = kernel.tree.read_link(link).unwrap();
    assert_eq!(text, "../../things/a-name-that-is-longer-than-the-buffer");
    assert_eq!(kernel.tree.follow(&format!("{THINGS}/one/l")), Ok(long.clone()));
    assert_eq!(root.rmdir("a-name-that-is-longer-than-the-buffer"), Err(Errno::EBUSY));
    assert_eq!(root.rmdir("one"), Err(Errno::ENOTEMPTY));
    take_seen();
    assert_eq!(one.unlink("l"), Ok(()));
    assert_eq!(take_seen(), ["unlink a-name-that-is-longer-than-the-buffer"]);
    assert_eq!(one.unlink("l"), none);
    assert_eq!(root.rmdir("a-name-that-is-longer-than-the-buffer"), Ok(()));
    assert_eq!(root.rmdir("one"), Ok(()));
}

#[test]
fn what_something_depends_on_stays() {
    let (kernel, subsys) = subsystem();
    let root = names(kernel, THINGS);
    root.mkdir("one", 0o755).unwrap();
    // SAFETY: the subsystem is registered; its mutex is not needed, for nobody else is here.
    let item =
        unsafe { item::config_group_find_item(&raw mut (*subsys).su_group, c"one".as_ptr()) };
    assert!(!item.is_null());
    // SAFETY: both are live.
    unsafe {
        assert_eq!(depend::configfs_depend_item(subsys, item), 0);
        assert_eq!(root.rmdir("one"), Err(Errno::EBUSY));
        depend::configfs_undepend_item(item);
        let other = leak(sys::configfs_subsystem::default());
        assert_eq!(depend::configfs_depend_item(other, item), Errno::ENOENT.neg());
    }
    assert_eq!(root.rmdir("one"), Ok(()));
    // SAFETY: the reference of the search.
    unsafe {
        assert_eq!(depend::configfs_depend_item(subsys, item), Errno::ENOENT.neg());
        item::config_item_put(item);
    }
    assert_eq!(take_seen().last().map(String::as_str), Some("release"));
}
