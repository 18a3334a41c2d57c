// SPDX-License-Identifier: GPL-2.0-only
//! The address of a control socket, however long its path is.
//!
//! `sun_path` holds 107 bytes (unix(7)), and runtime directories of test suites are longer. A longer path is reached
//! through a descriptor of what it leads to, below `/proc/self/fd`.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open};
use nix::sys::socket::{UnixAddr, bind, connect};
use nix::sys::stat::Mode;

/// Binds `socket` to `path`, which must not exist.
///
/// # Errors
///
/// Those of bind(2) and of open(2) for the directory of `path`.
pub fn bind_to(socket: impl AsFd, path: &Path) -> nix::Result<()> {
    let bind = |path: &Path| bind(socket.as_fd().as_raw_fd(), &UnixAddr::new(path)?);
    match (UnixAddr::new(path), path.parent(), path.file_name()) {
        (Err(_), Some(dir), Some(name)) => {
            let dir = reach(dir)?;
            bind(&short(&dir).join(name))
        }
        _ => bind(path),
    }
}

/// Connects `socket` to the socket at `path`.
///
/// # Errors
///
/// Those of connect(2) and of open(2) for `path`.
pub fn connect_to(socket: impl AsFd, path: &Path) -> nix::Result<()> {
    let held = UnixAddr::new(path).is_err().then(|| reach(path)).transpose()?;
    let address = UnixAddr::new(&held.as_ref().map_or(path.to_path_buf(), short))?;
    loop {
        match connect(socket.as_fd().as_raw_fd(), &address) {
            Err(nix::Error::EINTR) => {}
            other => return other,
        }
    }
}

fn reach(path: &Path) -> nix::Result<File> {
    open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).map(File::from)
}

fn short(held: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, listen, socket};

    use super::*;

    #[test]
    fn paths_of_any_length() {
        let top = tempfile::tempdir().unwrap();
        for name in ["control".to_owned(), "x".repeat(90), "x".repeat(200)] {
            let dir = top.path().join(&name);
            std::fs::create_dir(&dir).unwrap();
            let path = dir.join("control");
            let new = || {
                socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)
                    .unwrap()
            };
            let (listener, client) = (new(), new());
            assert_eq!(connect_to(&client, &path), Err(nix::Error::ENOENT));
            bind_to(&listener, &path).unwrap();
            listen(&listener, Backlog::new(1).unwrap()).unwrap();
            connect_to(&client, &path).unwrap();
            assert_eq!(bind_to(new(), &path), Err(nix::Error::EADDRINUSE));
        }
    }
}
