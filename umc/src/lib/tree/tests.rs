// SPDX-License-Identifier: GPL-2.0-only
//! What the tree promises, without a kernel.

use super::*;

fn tree_names(tree: &Tree, path: &str) -> Vec<String> {
    let ino = tree.resolve(path).unwrap().ino;
    tree.read_dir(ino).unwrap().1.into_iter().map(|entry| entry.name).collect()
}

#[test]
fn files_and_directories() {
    let tree = Tree::default();
    tree.add_file("/proc/a/b", 0o444, text(|| "hello\n".into())).unwrap();
    assert_eq!(tree.read_to_string("/proc/a/b").unwrap(), "hello\n");
    assert_eq!(tree.add_file("/proc/a/b", 0o444, text(String::new)), Err(Errno::EEXIST));
    assert_eq!(tree.add_dir("/proc/a", 0o755), Err(Errno::EEXIST));
    assert_eq!(tree.mkdir("/proc/a"), Ok(()));
    assert_eq!(tree.mkdir("/proc/a/b"), Err(Errno::ENOTDIR));
    assert_eq!(tree.mkdir("/proc/a/b/c"), Err(Errno::ENOTDIR));
    assert_eq!(tree.mkdir("relative"), Err(Errno::EINVAL));
    assert_eq!(tree.mkdir("/proc/.."), Err(Errno::EINVAL));
    assert_eq!(tree_names(&tree, "/"), ["dev", "proc", "sys"]);
    let root = tree.attr(ROOT_INO).unwrap();
    assert_eq!((root.kind, root.nlink), (Kind::Dir, 5));
    assert_eq!(tree.open(ROOT_INO, false).err(), Some(Errno::EISDIR));
}

#[test]
fn a_handle_outlives_its_node() {
    let tree = Tree::default();
    tree.add_file("/sys/x/y", 0o444, text(|| "still here".into())).unwrap();
    let attr = tree.resolve("/sys/x/y").unwrap();
    let open = tree.open(attr.ino, false).unwrap();
    tree.remove("/sys/x").unwrap();
    assert_eq!(tree.resolve("/sys/x/y"), Err(Errno::ENOENT));
    assert_eq!(tree.attr(attr.ino), Err(Errno::ENOENT));
    assert_eq!(open.read(6, 100).unwrap(), b"here");
    assert_eq!(open.read(600, 100).unwrap(), b"");
    assert_eq!(tree.remove("/sys/x"), Err(Errno::ENOENT));
    assert_eq!(tree.remove("/"), Err(Errno::EBUSY));
    tree.add_file("/sys/x/y", 0o444, text(String::new)).unwrap();
    assert_ne!(tree.resolve("/sys/x/y").unwrap().ino, attr.ino);
}

#[test]
fn a_text_is_made_anew_for_a_read_from_its_start() {
    let shown = Arc::new(AtomicU64::new(0));
    let show = move || format!("state {}", shown.fetch_add(1, Ordering::Relaxed));
    let tree = Tree::default();
    tree.add_file("/proc/state", 0o444, text(show)).unwrap();
    let open = tree.open(tree.resolve("/proc/state").unwrap().ino, false).unwrap();
    assert_eq!(open.read(0, 100).unwrap(), b"state 0");
    assert_eq!(open.read(6, 100).unwrap(), b"0", "one who reads on sees the same state");
    assert_eq!(open.read(7, 100).unwrap(), b"");
    assert_eq!(open.read(0, 5).unwrap(), b"state", "one who starts over sees what is now");
    assert_eq!(open.read(5, 100).unwrap(), b" 1");
}

#[test]
fn block_numbers_tell_the_device() {
    let tree = Tree::default();
    let devt = crate::Devt::new(147, 3);
    tree.add_block("/dev/drbd3", devt, 0o660).unwrap();
    tree.add_block("/dev/drbd/by-res/r0", devt, 0o660).unwrap();
    let attr = tree.resolve("/dev/drbd3").unwrap();
    assert_eq!(attr.ino, 0x424c_0000_0930_0003);
    assert_eq!((attr.kind, attr.nlink), (Kind::Block(devt), 2));
    tree.remove("/dev/drbd3").unwrap();
    assert_eq!(tree.attr(attr.ino).unwrap().nlink, 1);
    tree.remove("/dev/drbd").unwrap();
    assert_eq!(tree.attr(attr.ino), Err(Errno::ENOENT));
    tree.add_block("/dev/drbd3", devt, 0o660).unwrap();
    assert_ne!(tree.attr(attr.ino).unwrap().generation, attr.generation);
}

#[test]
fn links_and_renames() {
    let tree = Tree::default();
    tree.add_symlink("/dev/l", "../proc").unwrap();
    let link = tree.resolve("/dev/l").unwrap();
    assert_eq!(link.kind, Kind::Symlink(7));
    assert_eq!(tree.read_link(link.ino).unwrap(), "../proc");
    tree.mkdir("/sys/a/b").unwrap();
    assert_eq!(tree.rename("/sys/a", "/sys/a/b/c"), Err(Errno::EINVAL));
    tree.rename("/sys/a", "/proc/z").unwrap();
    let (dir, entries) = tree.read_dir(tree.resolve("/proc/z").unwrap().ino).unwrap();
    assert_eq!((dir, entries.len()), (tree.resolve("/proc").unwrap().ino, 1));
    tree.remove("/proc/z").unwrap();
    assert_eq!(tree.resolve("/proc").unwrap().nlink, 2);
}

#[test]
fn attributes_store() {
    let tree = Tree::default();
    let value = Arc::new(Mutex::new(1_u32));
    let (get, set) = (value.clone(), value.clone());
    let store = move |text: &str| {
        *set.lock() = text.trim().parse().map_err(|_| Errno::EINVAL)?;
        Ok(())
    };
    tree.add_file("/sys/v", 0o644, attr(move || format!("{}\n", get.lock()), store)).unwrap();
    let open = tree.open(tree.resolve("/sys/v").unwrap().ino, true).unwrap();
    assert_eq!(open.write(0, b"42\n"), Ok(3));
    assert_eq!(open.write(0, b"many"), Err(Errno::EINVAL));
    assert_eq!(tree.read_to_string("/sys/v").unwrap(), "42\n");
    tree.add_file("/sys/r", 0o444, text(String::new)).unwrap();
    assert_eq!(tree.open(tree.resolve("/sys/r").unwrap().ino, true).err(), Some(Errno::EACCES));
}

#[test]
fn a_path_is_followed_through_links() {
    let tree: &'static Tree = Box::leak(Box::default());
    tree.mkdir("/sys/a/b").unwrap();
    tree.add_symlink("/sys/a/up", "../../dev").unwrap();
    tree.add_symlink("/dev/far", "/sys/a/./b").unwrap();
    tree.add_symlink("/dev/round", "round").unwrap();
    assert_eq!(tree.follow("/sys/a/up/far/"), Ok("/sys/a/b".into()));
    assert_eq!(tree.follow("/sys/a/up/.."), Ok("/".into()));
    assert_eq!(tree.follow("/../.."), Ok("/".into()));
    assert_eq!(tree.follow("/dev/round"), Err(Errno::ELOOP));
    assert_eq!(tree.follow("/dev/none"), Err(Errno::ENOENT));
    assert_eq!(tree.follow("dev"), Err(Errno::EINVAL));
    let dir = tree.resolve("/sys/a").unwrap().ino;
    assert_eq!(tree.names_in(dir).err(), Some(Errno::EPERM));
}
