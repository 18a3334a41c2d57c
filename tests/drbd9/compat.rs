// SPDX-License-Identifier: GPL-2.0-only
//! What DRBD 9's own tests of the kernel's headers find: the same in ours as in a real 6.12's, but for what is listed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cluster::{Start, mesh, text};

/// What a build finds otherwise with our headers, and why that is right.
const JUSTIFIED: [&str; 10] = [
    // The sources are written for these, and without them want to be patched by coccinelle: kernels from 6.13 on have them.
    "HAVE_DEBUGFS_CHANGE_NAME",
    "HAVE_STRUCT_SOCKADDR_UNSIZED",
    "HAVE_TIMER_CONTAINER_OF",
    "QUEUE_LIMITS_HAS_MAX_HW_WZEROES_UNMAP_SECTORS",
    "QUEUE_LIMITS_HAS_MAX_HW_ZONE_APPEND_SECTORS",
    // No disk here is persistent memory.
    "DAX_DIRECT_ACCESS_TAKES_MODE",
    "HAVE_PFN_T",
    // There is no RDMA.
    "HAVE_IB_ALLOC_CQ",
    // 6.12 has it, but the test includes no header; ours are there before the file begins.
    "HAVE_KMAP_LOCAL_PAGE",
    // The macro is there, but the test wants a whole `struct crypto_shash`, which is nobody's business.
    "HAVE_SHASH_DESC_ON_STACK",
];

/// The headers of Debian's own kernel of this level, the newest: its package is no part of what set-up installs.
fn real_headers() -> Option<PathBuf> {
    let found = fs::read_dir("/usr/src").ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let is_it = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("linux-headers-6.12") && name.ends_with("-amd64")
    };
    found.filter(is_it).max()
}

/// Where the module was built, as its record says.
fn source(modules: &Path) -> PathBuf {
    let umc = cluster::bin_dir().join("umc");
    let shown = Command::new(umc).arg("modinfo").arg(modules.join("drbd.so")).run().unwrap();
    let shown = text(&shown);
    let dir = shown.lines().find_map(|line| line.strip_prefix("built in:"));
    PathBuf::from(dir.unwrap_or_else(|| panic!("no source in {shown}")).trim())
}

/// The tests by name, and whether each compiled.
fn results(file: &Path) -> BTreeMap<String, bool> {
    let results = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
    let result = |line: &str| {
        let name = line.split("COMPAT_").nth(1)?.trim_end_matches(" */");
        Some((name.to_owned(), line.starts_with("#define")))
    };
    results.lines().filter_map(result).collect()
}

/// A copy of the source of a build, which goes with the test.
struct Copy(PathBuf);

impl Copy {
    fn of(source: &Path) -> Copy {
        let dir = std::env::temp_dir().join(format!("umc-test-compat-{}", std::process::id()));
        let copy = Copy(dir);
        let copied = Command::new("cp").arg("-r").arg(source.parent().unwrap()).arg(&copy.0).run();
        assert!(copied.unwrap().status.success());
        copy
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn its_tests_of_the_headers_find_a_6_12() {
    if mesh::builds().is_empty() {
        return mesh::left_out();
    }
    let Some(headers) = real_headers() else {
        return mesh::left_out_because("the package linux-headers-6.12*-amd64 is not there");
    };
    for modules in mesh::builds() {
        let source = source(&modules);
        let copy = Copy::of(&source);
        let dir = copy.0.join(source.file_name().unwrap());
        let clean = Command::new("make").arg("-C").arg(&dir).arg("distclean").run().unwrap();
        assert!(clean.status.success(), "{}", text(&clean));
        // Ends where patches are wanted, behind the tests; without asking a service for them.
        let kdir = format!("KDIR={}", headers.display());
        let _ends = Command::new("make").arg("-C").arg(&dir).args([&kdir, "SPAAS=false"]).run();
        let real = results(&dir.join("compat.h"));
        let ours = results(&source.join("compat.h"));
        assert!(real.len() > 50, "the tests did not run");
        for (name, is_there) in &real {
            let ours = ours.get(name).copied();
            let is_justified = JUSTIFIED.contains(&name.as_str());
            assert!(
                ours == Some(*is_there) || is_justified,
                "{name}: {is_there} in a real kernel's headers, {ours:?} in ours"
            );
        }
    }
}
