// SPDX-License-Identifier: GPL-2.0-only
//! Stock servers of the host, to compare with. They end with what holds them.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use cluster::{IscsiTarget, eventually};

use super::clients::iscsi_rate;
use super::{DISK_MIB, Load};
use crate::{fio_with, iops};

/// A process that ends with this; none where its program is not installed.
struct Server(Child);

impl Server {
    fn start(command: &mut Command) -> Option<Server> {
        match command.stdin(Stdio::null()).spawn() {
            Ok(process) => Some(Server(process)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                eprintln!("figures: {:?} is not here, and is left out", command.get_program());
                None
            }
            Err(error) => panic!("{:?}: {error}", command.get_program()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server of NBD on a socket of the host.
pub struct NbdServer {
    _process: Server,
    socket: PathBuf,
}

impl NbdServer {
    /// `{}` stands for the socket.
    pub fn start(dir: &Path, words: &[&str]) -> Option<NbdServer> {
        let socket = dir.join(format!("{}.sock", words[0]));
        let place = socket.display().to_string();
        let args = words[1..].iter().map(|word| word.replace("{}", &place));
        let process = Server::start(Command::new(words[0]).args(args))?;
        eventually("the server listens", || socket.exists());
        Some(NbdServer { _process: process, socket })
    }

    /// Requests a second.
    pub fn rate(&self, load: Load) -> f64 {
        let side = if load.writes { "write" } else { "read" };
        let uri = format!("--uri=nbd+unix:///?socket={}", self.socket.display());
        let args = [
            "--ioengine=nbd",
            &uri,
            &format!("--rw=rand{side}"),
            &format!("--bs={}", load.len),
            &format!("--iodepth={}", load.depth),
            &format!("--size={DISK_MIB}M"),
        ];
        iops(&fio_with(&[], Path::new("/dev/null"), &args), side)
    }
}

/// The iSCSI server of user space, on a file.
pub struct Tgt {
    _process: Server,
    address: SocketAddr,
}

impl Tgt {
    pub fn start(dir: &Path, target: &str, file: &str) -> Option<Tgt> {
        let address = IscsiTarget::free_address();
        // It adds the number.
        let control = dir.join("tgt.sock");
        let portal = format!("portal={address}");
        let mut command = Command::new("tgtd");
        command.args(["-f", "-C", "1", "--iscsi", &portal]).env("TGT_IPC_SOCKET", &control);
        let process = Server::start(command.stderr(Stdio::null()))?;
        let admin = |args: &[&str]| {
            let mut command = Command::new("tgtadm");
            command.args(["-C", "1", "--lld", "iscsi"]).args(args);
            let output = command.env("TGT_IPC_SOCKET", &control).output();
            output.expect("tgtadm is where tgtd is").status.success()
        };
        let set = |what: &str, args: &[&str]| {
            let args = [&["--mode", what, "--tid", "1"], args].concat();
            eventually(&format!("tgtadm {}", args.join(" ")), || admin(&args));
        };
        set("target", &["--op", "new", "-T", target]);
        set("logicalunit", &["--op", "new", "--lun", "1", "-b", file]);
        set("target", &["--op", "bind", "-I", "ALL"]);
        Some(Tgt { _process: process, address })
    }

    /// Requests a second.
    pub fn rate(&self, target: &str, load: Load) -> f64 {
        // Unit 0 is the server itself.
        iscsi_rate(self.address, target, 1, load)
    }
}
