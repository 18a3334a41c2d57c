// SPDX-License-Identifier: GPL-2.0-only
//! A bus of D-Bus with nobody on it.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::{Cluster, Start, eventually};

/// What `targetcli` asks whether anybody offers handlers; without one it does not begin. It dies with this process.
pub struct Bus {
    daemon: Child,
    /// What programs find in their environment: `NAME=VALUE`. With the bus, where `targetcli` keeps its settings, which is
    /// root's home directory otherwise.
    pub environment: [String; 2],
}

impl Bus {
    /// Starts it in a cluster's directory.
    pub fn start(cluster: &Cluster) -> Bus {
        let socket = cluster.dir.join("bus");
        let environment = [
            format!("DBUS_SYSTEM_BUS_ADDRESS=unix:path={}", socket.display()),
            format!("TARGETCLI_HOME={}", cluster.dir.join("targetcli").display()),
        ];
        Bus { daemon: daemon(&socket), environment }
    }
}

fn daemon(socket: &Path) -> Child {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "dbus-daemon", "--session", "--nofork"]);
    command.arg(format!("--address=unix:path={}", socket.display()));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let daemon = command.start().expect("dbus-daemon runs");
    eventually("the bus is there", || socket.exists());
    daemon
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}
