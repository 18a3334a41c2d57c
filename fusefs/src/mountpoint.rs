// SPDX-License-Identifier: GPL-2.0-only
//! Putting a FUSE connection onto a directory, and taking it away.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::mount::{MntFlags, MsFlags};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use umc::Kernel;
use umc::kprintln;
use umc::printk::Level;

use crate::Error;

const DEV_FUSE: &str = "/dev/fuse";
const FSTYPE: &str = "fuse.umc";
const TABLE: &str = "/proc/self/mountinfo";

/// A directory with our connection on it.
pub(crate) struct MountPoint {
    path: PathBuf,
    /// The device number of our tree, to tell it from another one that stands there later.
    dev: u64,
    /// The host's table of mounts, kept open: the tree can be taken away when no descriptor is left.
    table: File,
}

/// One line of the host's table of mounts.
struct Mounted {
    fstype: String,
    source: String,
    dev: u64,
}

impl MountPoint {
    /// Mounts; the descriptor is the connection, with the first request waiting in it.
    pub(crate) fn new(
        kernel: &'static Kernel,
        root: &Path,
    ) -> Result<(MountPoint, OwnedFd), Error> {
        let fail = |cause: &str, next: &str, source| {
            let text = format!("Cannot mount the tree at {}: {cause}. {next}", root.display());
            Error::new(text, source)
        };
        let table = File::open(TABLE).map_err(|error| {
            fail(&format!("{TABLE}: {error}"), "Is /proc mounted?", Some(error))
        })?;
        let path = usable(kernel, &table, root, &fail)?;
        let fd = match connect(kernel, &path) {
            Ok(fd) => fd,
            Err(error) => {
                let next = match error.raw_os_error() {
                    Some(libc::ENOENT) => "Load the fuse module, or run where /dev/fuse exists.",
                    Some(libc::EACCES | libc::EPERM) => {
                        "Run as root, in a user namespace, or install fuse3 for fusermount3."
                    }
                    _ => "See the kernel log of the host.",
                };
                return Err(fail(&error.to_string(), next, Some(error)));
            }
        };
        let mut point = MountPoint { path, dev: 0, table };
        match mounted_at(&point.table, &point.path) {
            Ok(mounted) => point.dev = mounted.map_or(0, |mounted| mounted.dev),
            Err(error) => {
                point.detach();
                return Err(fail(&format!("{TABLE}: {error}"), "Try again.", Some(error)));
            }
        }
        Ok((point, fd))
    }

    /// The directory, absolute and without links.
    pub(crate) fn root(&self) -> &Path {
        &self.path
    }

    pub(crate) fn path(&self) -> std::path::Display<'_> {
        self.path.display()
    }

    /// Whether our tree still stands there: also when the host does not say.
    pub(crate) fn is_ours(&self) -> bool {
        let mounted = mounted_at(&self.table, &self.path);
        mounted.map_or(true, |mounted| mounted.is_some_and(|mounted| mounted.dev == self.dev))
    }

    /// Unmounts properly; false when somebody uses the tree.
    pub(crate) fn unmount(&self) -> bool {
        if !self.is_ours() {
            return true;
        }
        match nix::mount::umount2(&self.path, MntFlags::UMOUNT_NOFOLLOW) {
            Ok(()) | Err(Errno::EINVAL) => true,
            Err(Errno::EPERM) => fusermount(&["-u", "--"], &self.path).is_ok(),
            Err(_) => false,
        }
    }

    /// Takes the tree from the directory, whoever uses it.
    pub(crate) fn detach(&self) {
        let flags = MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW;
        if nix::mount::umount2(&self.path, flags).is_err() {
            let _ = fusermount(&["-u", "-z", "--"], &self.path);
        }
    }
}

/// Takes dead mounts from a directory: a node that was killed leaves one, and the path cannot even be looked at before it
/// is gone. True when there was one. Any other error of looking at the path is left to who uses it.
///
/// # Errors
/// When the host does not let go of it.
pub fn clear_stale(root: &Path) -> Result<bool, Error> {
    let is_dead = || {
        let looked = fs::metadata(root);
        looked.is_err_and(|error| error.raw_os_error() == Some(libc::ENOTCONN))
    };
    let mut found = false;
    // Several may lie on top of each other.
    for _ in 0..16 {
        if !is_dead() {
            return Ok(found);
        }
        found = true;
        if nix::mount::umount2(root, MntFlags::MNT_DETACH).is_err() {
            let _ = fusermount(&["-u", "-z", "--"], root);
        }
    }
    let text = format!(
        "Cannot remove the dead mount from {0}: the host refuses. Run umount -l {0} as root.",
        root.display()
    );
    Err(Error::new(text, None))
}

/// The absolute path of a directory that can be mounted on.
fn usable(
    kernel: &'static Kernel,
    table: &File,
    root: &Path,
    fail: &dyn Fn(&str, &str, Option<io::Error>) -> Error,
) -> Result<PathBuf, Error> {
    let absolute = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
    if clear_stale(&absolute)? {
        kprintln!(kernel => Level::Notice, "umc: removed the dead mount of a killed node from {}", absolute.display());
    }
    match fs::metadata(&absolute) {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => return Err(fail("it is not a directory", "Choose a directory.", None)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(fail("the directory does not exist", "Create it first.", Some(error)));
        }
        Err(error) => {
            let cause = error.to_string();
            return Err(fail(&cause, "Check the permissions of its parents.", Some(error)));
        }
    }
    let path = absolute
        .canonicalize()
        .map_err(|error| fail(&error.to_string(), "Unmount it by hand.", Some(error)))?;
    let mounted = mounted_at(table, &path)
        .map_err(|error| fail(&format!("{TABLE}: {error}"), "Try again.", Some(error)))?;
    match mounted {
        Some(mounted) if mounted.fstype == FSTYPE => {
            let node = mounted.source.trim_start_matches("umc:");
            let cause = format!("node {node} is running there");
            return Err(fail(
                &cause,
                &format!("Stop it (umc stop {node}), or choose another directory."),
                None,
            ));
        }
        Some(mounted) => {
            let cause = format!("{} ({}) is mounted there", mounted.source, mounted.fstype);
            return Err(fail(&cause, "Choose another directory.", None));
        }
        None => {}
    }
    let mut entries = fs::read_dir(&path)
        .map_err(|error| fail(&error.to_string(), "Check its permissions.", Some(error)))?;
    if entries.next().is_some() {
        return Err(fail("the directory is not empty", "Empty it, or choose another one.", None));
    }
    Ok(path)
}

/// What is mounted at exactly this path, the topmost.
fn mounted_at(table: &File, path: &Path) -> io::Result<Option<Mounted>> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match table.read_at(&mut piece, bytes.len() as u64) {
            Ok(0) => break,
            Ok(len) => bytes.extend_from_slice(&piece[..len]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().filter_map(|line| parse_mount(line, path)).next_back())
}

fn parse_mount(line: &str, path: &Path) -> Option<Mounted> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(2);
    let (major, minor) = left.next()?.split_once(':')?;
    if Path::new(&unescape(left.nth(1)?)) != path {
        return None;
    }
    let mut right = right.split(' ');
    let dev = libc::makedev(major.parse().ok()?, minor.parse().ok()?);
    Some(Mounted { fstype: right.next()?.to_owned(), source: unescape(right.next()?), dev })
}

/// Octal escapes of the table, as in `\040` for a space.
fn unescape(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.get(..3).and_then(|octal| u8::from_str_radix(octal, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend_from_slice(&part.as_bytes()[3..]);
            }
            None => bytes.extend_from_slice(part.as_bytes()),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn source(kernel: &Kernel) -> String {
    // A comma would end the option of fusermount3.
    let name = kernel.config.name.replace([',', '\\'], "_");
    format!("umc:{}", if name.is_empty() { "node" } else { &name })
}

/// A connection that stands on the directory: by mount(2), or with the help of fusermount3 for who may not.
fn connect(kernel: &Kernel, path: &Path) -> io::Result<OwnedFd> {
    match connect_direct(kernel, path) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES)) => {
            connect_helped(kernel, path).map_err(|helper| {
                if helper.kind() == io::ErrorKind::NotFound { error } else { helper }
            })
        }
        result => result,
    }
}

fn connect_direct(kernel: &Kernel, path: &Path) -> io::Result<OwnedFd> {
    let fuse: File =
        OpenOptions::new().read(true).write(true).open(DEV_FUSE).map_err(|error| {
            io::Error::from_raw_os_error(error.raw_os_error().unwrap_or(libc::EIO))
        })?;
    let mode = fs::metadata(path)?.mode();
    let options = format!(
        "fd={},rootmode={mode:o},user_id={},group_id={},default_permissions",
        fuse.as_raw_fd(),
        nix::unistd::geteuid(),
        nix::unistd::getegid(),
    );
    let flags = MsFlags::MS_NODEV | MsFlags::MS_NOSUID;
    let source = source(kernel);
    nix::mount::mount(Some(source.as_str()), path, Some(FSTYPE), flags, Some(options.as_str()))?;
    Ok(fuse.into())
}

fn fusermount(arguments: &[&str], path: &Path) -> io::Result<()> {
    let output =
        Command::new("fusermount3").args(arguments).arg(path).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

fn connect_helped(kernel: &Kernel, path: &Path) -> io::Result<OwnedFd> {
    let (ours, theirs) = UnixStream::pair()?;
    fcntl(&theirs, FcntlArg::F_SETFD(FdFlag::empty()))?;
    let options = format!("fsname={},subtype=umc,default_permissions,nodev,nosuid", source(kernel));
    let output = Command::new("fusermount3")
        .args(["-o", &options, "--"])
        .arg(path)
        .env("_FUSE_COMMFD", theirs.as_raw_fd().to_string())
        .stdin(Stdio::null())
        .output()?;
    drop(theirs);
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    let fd = receive_fd(&ours)?;
    fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(fd)
}

fn receive_fd(socket: &UnixStream) -> io::Result<OwnedFd> {
    let mut byte = [0_u8];
    let mut iov = [IoSliceMut::new(&mut byte)];
    let mut control = nix::cmsg_space!(RawFd);
    let message =
        recvmsg::<()>(socket.as_raw_fd(), &mut iov, Some(&mut control), MsgFlags::empty())?;
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = part
            && let Some(fd) = fds.first()
        {
            // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
            return Ok(unsafe { OwnedFd::from_raw_fd(*fd) });
        }
    }
    Err(io::Error::other("fusermount3 sent no descriptor"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_table() {
        let line = "36 35 0:51 / /mnt/a\\040b rw,nosuid - fuse.umc umc:alpha rw,user_id=0";
        let mounted = parse_mount(line, Path::new("/mnt/a b")).unwrap();
        assert_eq!((mounted.fstype.as_str(), mounted.source.as_str()), ("fuse.umc", "umc:alpha"));
        assert_eq!(mounted.dev, libc::makedev(0, 51));
        assert!(parse_mount(line, Path::new("/mnt")).is_none());
        assert_eq!(unescape("a\\134b\\9"), "a\\b9");
    }
}
