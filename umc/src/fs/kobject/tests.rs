// SPDX-License-Identifier: GPL-2.0-only
//! Objects, their attributes and their end.

use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::AtomicU32;

use super::*;
use crate::sysfs::{sysfs_create_file_ns, sysfs_create_link};
use crate::{Config, sched};

static RELEASED: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" fn count_release(_kobj: *mut sys::kobject) {
    RELEASED.fetch_add(1, Ordering::SeqCst);
}

unsafe extern "C" fn show_name(
    kobj: *mut sys::kobject,
    _attr: *mut sys::kobj_attribute,
    buf: *mut c_char,
) -> isize {
    // SAFETY: the object is live, the buffer is a page.
    unsafe {
        let name = CStr::from_ptr((*kobj).name).to_bytes();
        ptr::copy_nonoverlapping(name.as_ptr(), buf.cast(), name.len());
        name.len() as isize
    }
}

unsafe extern "C" fn store_nothing(
    _kobj: *mut sys::kobject,
    _attr: *mut sys::kobj_attribute,
    buf: *const c_char,
    count: usize,
) -> isize {
    // SAFETY: the text ends with a zero byte.
    let text = unsafe { CStr::from_ptr(buf) };
    assert_eq!(text.to_bytes().len(), count);
    -(libc::EBUSY as isize)
}

fn attribute(name: &'static CStr) -> sys::kobj_attribute {
    sys::kobj_attribute {
        attr: sys::attribute { name: name.as_ptr(), mode: 0o644 },
        show: Some(show_name),
        store: Some(store_nothing),
    }
}

#[test]
fn a_tree_of_objects() {
    let kernel = Kernel::boot(Config::default());
    sched::attach(kernel, "test");
    let tree = &kernel.tree;
    let attr = attribute(c"who");
    // SAFETY: names are C strings, the attribute outlives the objects.
    unsafe {
        let parent = kobject_create_and_add(c"par/ent".as_ptr(), umc_kernel_kobj());
        let child = kobject_create_and_add(c"child".as_ptr(), parent);
        assert!(kobject_create_and_add(c"child".as_ptr(), parent).is_null());
        assert_eq!(sysfs_create_file_ns(child, &raw const attr.attr, ptr::null()), 0);
        let path = "/sys/kernel/par!ent/child/who";
        assert_eq!(tree.read_to_string(path).unwrap(), "child");
        let open = tree.open(tree.resolve(path).unwrap().ino, true).unwrap();
        assert_eq!(open.write(0, b"x"), Err(Errno::EBUSY));
        assert_eq!(sysfs_create_link(parent, child, c"first".as_ptr()), 0);
        let link = tree.resolve("/sys/kernel/par!ent/first").unwrap();
        assert_eq!(tree.read_link(link.ino).unwrap(), "child");
        let text = kobject_get_path(child, crate::mm::gfp::KERNEL);
        assert_eq!(CStr::from_ptr(text), c"/kernel/par!ent/child");
        slab::kfree(text.cast::<c_void>());
        assert_eq!(kobject_uevent(child, sys::KOBJ_CHANGE), 0);
        // The child holds its parent.
        kobject_put(parent);
        assert!(tree.resolve(path).is_ok());
        kobject_put(child);
        assert_eq!(tree.resolve("/sys/kernel/par!ent"), Err(Errno::ENOENT));
        assert_eq!(open.read(0, 10), Err(Errno::ENODEV));
    }
}

#[test]
fn groups_and_the_last_put() {
    let kernel = Kernel::boot(Config::default());
    sched::attach(kernel, "test");
    let tree = &kernel.tree;
    let (one, two) = (attribute(c"one"), attribute(c"two"));
    let mut attrs =
        [(&raw const one.attr).cast_mut(), (&raw const two.attr).cast_mut(), ptr::null_mut()];
    let group =
        sys::attribute_group { name: c"set".as_ptr(), is_visible: None, attrs: attrs.as_mut_ptr() };
    let mut groups = [&raw const group, ptr::null()];
    let ktype = sys::kobj_type {
        release: Some(count_release),
        sysfs_ops: &raw const crate::sysfs::kobj_sysfs_ops,
        default_groups: groups.as_mut_ptr(),
    };
    let mut object = sys::kobject::default();
    let kobj = &raw mut object;
    // SAFETY: everything outlives the object.
    unsafe {
        kobject_init(kobj, &raw const ktype);
        assert_eq!(umc_kobject_set_name(kobj, c"object".as_ptr()), 0);
        assert_eq!(umc_kobject_add(kobj, ptr::null_mut()), 0);
        assert_eq!(tree.read_to_string("/sys/object/set/two").unwrap(), "object");
        assert_eq!(kobject_get(kobj), kobj);
        kobject_put(kobj);
        assert_eq!(RELEASED.load(Ordering::SeqCst), 0);
        kobject_put(kobj);
        assert!(kobject_get_unless_zero(kobj).is_null());
    }
    assert_eq!(RELEASED.load(Ordering::SeqCst), 1);
    assert_eq!(tree.resolve("/sys/object"), Err(Errno::ENOENT));
}

#[test]
fn variables_of_an_event() {
    let mut env: Box<sys::kobj_uevent_env> = Box::default();
    let at = &raw mut *env;
    // SAFETY: a live environment and C strings.
    unsafe {
        assert_eq!(umc_add_uevent_var(at, c"A=1".as_ptr()), 0);
        assert_eq!(umc_add_uevent_var(at, c"B=2".as_ptr()), 0);
        assert_eq!(CStr::from_ptr((*at).envp[1]), c"B=2");
        let long = std::ffi::CString::new(vec![b'x'; 3000]).unwrap();
        assert_eq!(umc_add_uevent_var(at, long.as_ptr()), Errno::ENOMEM.neg());
    }
    assert_eq!((env.envp_idx, env.buflen), (2, 8));
}
