// SPDX-License-Identifier: GPL-2.0-only
//! Listings of directories that the node and the host share, by every function that lists.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileTypeExt;

use crate::{FakeRoot, said};

/// A program that prints the names in `/dev`, one a line, in each way there is.
const WAYS: &[(&str, &[&str])] = &[
    ("ls", &["-1", "/dev"]),
    ("sh", &["-c", "cd /dev && ls -1"]),
    ("find", &["/dev", "-maxdepth", "1", "-mindepth", "1", "-printf", "%f\\n"]),
    ("bash", &["-c", "cd /dev && printf '%s\\n' *"]),
    ("dash", &["-c", "for f in /dev/*; do echo ${f##*/}; done"]),
    ("python3", &["-c", "import os; print(*os.listdir('/dev'), sep='\\n')"]),
    (
        "python3",
        &["-c", "import os; print(*os.listdir(os.open('/dev', os.O_DIRECTORY)), sep='\\n')"],
    ),
    (
        "perl",
        &[
            "-e",
            "opendir D, '/dev'; @a = readdir D; rewinddir D; print map {\"$_\\n\"} grep {!/^\\.\\.?$/} readdir D",
        ],
    ),
    // glob(3), scandir(3) and nftw(3) of libc.
    ("perl", &["-MFile::Glob=bsd_glob", "-e", "print map {s,.*/,,r . \"\\n\"} bsd_glob('/dev/*')"]),
    (
        "python3",
        &[
            "-c",
            concat!(
                "import ctypes as c\n",
                "l = c.CDLL(None); p = c.c_void_p()\n",
                "n = l.scandir(b'/dev', c.byref(p), None, None)\n",
                "a = c.cast(p, c.POINTER(c.c_void_p))\n",
                "names = [c.string_at(a[i] + 19).decode() for i in range(n)]\n",
                "print(*(n for n in names if n not in '..'), sep='\\n')"
            ),
        ],
    ),
    (
        "python3",
        &[
            "-c",
            concat!(
                "import ctypes as c\n",
                "l = c.CDLL(None)\n",
                "class G(c.Structure): _fields_ = [('n', c.c_size_t), ('v', c.POINTER(c.c_char_p)), ('rest', c.c_char * 128)]\n",
                "g = G(); assert l.glob(b'/dev/*', 0, None, c.byref(g)) == 0\n",
                "print(*(g.v[i].decode()[5:] for i in range(g.n)), sep='\\n')"
            ),
        ],
    ),
];

#[test]
fn dev_shows_the_nodes_disks_and_the_hosts_character_devices() {
    let root = FakeRoot::new();
    root.file("dev/sdz", "a disk of the node");
    for (program, args) in WAYS {
        let printed = said(root.command(program).args(*args));
        let names: BTreeSet<_> = printed.lines().collect();
        for name in ["drbd0", "disk0", "sdz", "null", "zero", "pts", "stdin"] {
            assert!(names.contains(name), "{program} {args:?}: no {name} in {printed}");
        }
        assert_eq!(names.len(), printed.lines().count(), "{program}: a name twice in {printed}");
        for name in names {
            let own = root.path().join("dev").join(name).exists();
            let Ok(host) = fs::symlink_metadata(format!("/dev/{name}")) else {
                assert!(own, "{program}: {name} is nobody's");
                continue;
            };
            assert!(own || !host.file_type().is_block_device(), "{program}: the host's {name}");
            assert!(own || !name.starts_with("loop"), "{program}: the host's {name}");
        }
    }
}

#[test]
fn what_is_listed_can_be_looked_at() {
    let root = FakeRoot::new();
    // Each entry of the listing by its name relative to the open directory, and by its full name.
    let script = "import os
d = os.open('/dev', os.O_DIRECTORY)
for e in os.scandir(d): os.stat(e.name, dir_fd=d, follow_symlinks=False); os.lstat('/dev/' + e.name)
print(sorted(os.listdir('/sys/module')), sorted(os.listdir('/sys/block')))";
    assert_eq!(said(root.command("python3").args(["-c", script])), "['brd'] ['drbd0']\n");
}

#[test]
fn a_walk_shows_the_nodes_disks_under_the_names_that_were_asked_for() {
    let root = FakeRoot::new();
    root.file("dev/sub/below", "");
    let script = "import ctypes as c
l = c.CDLL(None)
found = []
@c.CFUNCTYPE(c.c_int, c.c_char_p, c.c_void_p, c.c_int, c.POINTER(c.c_int * 2))
def visit(path, st, kind, at):
    found.append((path.decode(), kind, path[at.contents[0]:].decode(), at.contents[1])); return 0
for top in (b'/dev', b'/sys/block'): assert l.nftw(top, visit, 8, 1) == 0
for line in sorted(found): print(*line)
found.clear()
@c.CFUNCTYPE(c.c_int, c.c_char_p, c.c_void_p, c.c_int)
def plain(path, st, kind): found.append(path.decode()); return 0
assert l.ftw(b'/sys/block', plain, 8) == 0
print(*sorted(found))";
    let want = "/dev 1 dev 0
/dev/disk0 0 disk0 1
/dev/drbd0 0 drbd0 1
/dev/sub 1 sub 1
/dev/sub/below 0 below 2
/sys/block 1 block 0
/sys/block/drbd0 1 drbd0 1
/sys/block/drbd0/size 0 size 2
/sys/block /sys/block/drbd0 /sys/block/drbd0/size
";
    assert_eq!(said(root.command("python3").args(["-c", script])), want);
}
