// SPDX-License-Identifier: GPL-2.0-only
//! The machine: devices, namespaces, programs, drivers, limits.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;
use nix::unistd::geteuid;
use umc_protocol::node;

use super::Finding::{self, Fails, Fine, Lacks};
use super::Look;
use crate::redirect;

/// A node with a few devices and programs has some hundred.
const FILES_MIN: u64 = 1024;
/// Disks of a small cluster.
const SPACE_MIN: u64 = 512 << 20;

/// All looks at the machine.
pub fn looks() -> Vec<Look> {
    vec![
        Look::new("programs", beside()),
        Look::new("FUSE", fuse()),
        Look::new("namespaces", vec![namespaces()]),
        Look::new("tools", tools()),
        Look::new("driver", drivers()),
        Look::new("directory", vec![directory()]),
        Look::new("limits", limits()),
    ]
}

/// What belongs beside `umc`.
fn beside() -> Vec<Finding> {
    let files = ["umcd", "libumc_preload.so", "libhandler_file.so", "libhandler_ram.so"];
    let missing: Vec<_> = files.iter().filter_map(|file| redirect::beside(file).err()).collect();
    match missing.first() {
        None => vec![Fine("umcd, the redirector and the handlers are beside umc".into())],
        Some(error) => {
            vec![Fails(
                error.to_string(),
                "install all of it: tools/install, or the package".into(),
            )]
        }
    }
}

fn fuse() -> Vec<Finding> {
    let opened = File::options().read(true).write(true).open("/dev/fuse");
    let device = match opened {
        Ok(_) => Fine("/dev/fuse can be opened".into()),
        Err(error) => Fails(
            format!("/dev/fuse cannot be opened: {error}"),
            match error.kind() {
                std::io::ErrorKind::NotFound => {
                    "as root: modprobe fuse; a container is given it: --device /dev/fuse".into()
                }
                _ => "as root: chmod 666 /dev/fuse; a container is given it: --device /dev/fuse"
                    .into(),
            },
        ),
    };
    let mut found = vec![device];
    if !geteuid().is_root() && find("fusermount3").is_none() {
        found.push(Lacks(
            "fusermount3 is not here: umc start wants it for users other than root (umc cluster does not)".into(),
            "apt-get install fuse3".into(),
        ));
    }
    found
}

/// What a cluster is made of is made, by a process that goes at once.
fn namespaces() -> Finding {
    let me = env::current_exe().unwrap_or_else(|_| "/proc/self/exe".into());
    let probe = Command::new(me).args(["cluster", "probe"]).stdin(Stdio::null()).output();
    match probe {
        Ok(output) if output.status.success() => {
            Fine(format!("umc cluster can make {}", String::from_utf8_lossy(&output.stdout).trim()))
        }
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let said = said.trim().trim_start_matches("umc: ").to_owned();
            Lacks(
                format!("umc cluster does not run: {said}"),
                "allow namespaces, or run it as root; umc start runs without them".into(),
            )
        }
        Err(error) => Lacks(format!("umc cannot start itself: {error}"), "install it again".into()),
    }
}

/// Programs, what for, and the package that has them.
const TOOLS: [(&str, &str, &str, bool); 6] = [
    ("drbdadm", "controls DRBD", "drbd-utils", true),
    ("drbdmeta", "makes the metadata of DRBD", "drbd-utils", true),
    ("ip", "umc cluster makes networks with it", "iproute2", false),
    ("mkfs.ext4", "file systems on nodes", "e2fsprogs", false),
    ("dmsetup", "device-mapper on nodes", "dmsetup", false),
    ("losetup", "mounting what is on a node's device", "mount", false),
];

fn tools() -> Vec<Finding> {
    let mut here = Vec::new();
    let mut found = Vec::new();
    for (program, what, package, is_needed) in TOOLS {
        let mend = || format!("apt-get install --no-install-recommends {package}");
        match find(program) {
            Some(_) => here.push(program),
            None if is_needed => {
                found.push(Fails(format!("{program} is not here: it {what}"), mend()))
            }
            None => found.push(Lacks(format!("{program} is not here: {what}"), mend())),
        }
    }
    if !here.is_empty() {
        found.insert(0, Fine(format!("{} are here", here.join(", "))));
    }
    found
}

/// Where a program is, whoever asks.
fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let dirs = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    dirs.map(|dir| dir.join(program)).find(|file| file.is_file())
}

fn drivers() -> Vec<Finding> {
    let dir = cdrivers::module_dir();
    let sets = fs::read_dir(&dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let sets = sets
        .filter(|path| path.is_dir())
        .filter_map(|path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned));
    let mut names: Vec<String> = std::iter::once("drbd".to_owned()).chain(sets).collect();
    names.sort();
    let mut found: Vec<Finding> = names.iter().filter_map(|name| driver(name)).collect();
    if found.is_empty() {
        found.push(not_built());
    }
    found
}

/// A driver that was built; nothing when it was not.
fn driver(name: &str) -> Option<Finding> {
    let module = cdrivers::modules::find(name).ok()?;
    Some(match cdrivers::modules::check_headers(&module) {
        Ok(()) => Fine(format!("{name} is built: {}", module.display())),
        Err(error) => Lacks(
            format!("{name}: {error}"),
            format!("umc build {name}, or umc build --as {name} DIR"),
        ),
    })
}

fn not_built() -> Finding {
    let what = "no driver is built yet";
    let programs = [("make", "make"), ("gcc", "gcc"), ("xz", "xz-utils")];
    let programs = programs.into_iter().filter(|(program, _)| find(program).is_none());
    let mut lacks: Vec<String> = programs.map(|(_, package)| package.to_owned()).collect();
    let source = catalogue_package();
    if cdrivers::package::installed_version(source).is_err() {
        lacks.push(source.to_owned());
    }
    let kbuild = fs::read_dir("/usr/lib")
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("linux-kbuild-6.12"));
    if !kbuild {
        lacks.push(kbuild_packages());
    }
    match lacks.is_empty() {
        true => Lacks(what.into(), "umc build drbd; the first umc cluster up does it too".into()),
        false => Fails(
            format!("{what}, and packages to build one are missing"),
            format!(
                "apt-get install --no-install-recommends {}; then: umc build drbd",
                lacks.join(" ")
            ),
        ),
    }
}

/// Kbuild and the headers that all kernels share, of the newest version that the archives have.
fn kbuild_packages() -> String {
    const NAME: &str = "linux-kbuild-";
    let listed = Command::new("apt-cache").args(["pkgnames", &format!("{NAME}6.12")]).output();
    let listed = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let listed = listed.unwrap_or_default();
    let versions = listed.lines().filter_map(|name| name.strip_prefix(NAME));
    let numbers = |version: &&str| -> Vec<u64> {
        version.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
    };
    match versions.max_by_key(numbers) {
        Some(version) => format!("{NAME}{version} linux-headers-{version}-common"),
        None => "linux-kbuild-6.12* linux-headers-6.12*-common (behind apt-get update)".into(),
    }
}

fn catalogue_package() -> &'static str {
    cdrivers::catalogue::find("drbd").map_or("linux-source-6.12", |driver| driver.package)
}

/// Where nodes and clusters are kept.
fn directory() -> Finding {
    let base = match node::runtime_base() {
        Ok(base) => base,
        Err(text) => {
            return Fails(
                text,
                "export UMC_RUNTIME_DIR=$HOME/.umc (a directory of your own)".into(),
            );
        }
    };
    let there = base.ancestors().find(|dir| dir.is_dir()).unwrap_or(Path::new("/"));
    let writable = nix::unistd::access(there, nix::unistd::AccessFlags::W_OK).is_ok();
    let shown = base.display();
    if !writable {
        return Fails(
            format!("{shown} cannot be written to"),
            "run as who may, or set UMC_RUNTIME_DIR to a directory of yours".into(),
        );
    }
    let space = statvfs(there).map_or(0, |of| of.blocks_available() * of.fragment_size());
    match space < SPACE_MIN {
        true => Lacks(
            format!("{shown}: only {} MiB are left, and disks of clusters are there", space >> 20),
            "make room, or set UMC_RUNTIME_DIR to a directory where there is more".into(),
        ),
        false => Fine(format!("{shown}, with {} MiB to spare", space >> 20)),
    }
}

fn limits() -> Vec<Finding> {
    let files = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(_, hard)| hard);
    match files < FILES_MIN {
        true => vec![Lacks(
            format!("only {files} files may be open in a process"),
            format!("ulimit -Hn {FILES_MIN}, as root, in the shell that starts nodes"),
        )],
        false => vec![Fine(format!("{files} open files a process"))],
    }
}
