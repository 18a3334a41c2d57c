// SPDX-License-Identifier: GPL-2.0-only
//! The driver's usermode helpers, all that DRBD 8.4 calls: configured handlers run, know who calls, reach their own
//! node with stock tools, and the driver waits for them and acts on their exit status.

mod disk;
#[path = "../handlers/support.rs"]
mod handlers;
mod peer;
mod resync;
mod split;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;

use cluster::{Cluster, Layout, eventually};

const HANDLERS: [&str; 12] = [
    "before-resync-target",
    "after-resync-target",
    "before-resync-source",
    "split-brain",
    "initial-split-brain",
    "fence-peer",
    "unfence-peer",
    "local-io-error",
    "pri-lost",
    "pri-lost-after-sb",
    "pri-on-incon-degr",
    "out-of-sync",
];

/// What each handler does. It writes one line: its name, where it runs, what it was told, and what stock tools say there
/// meanwhile. `hold-VERB` is a FIFO that it then waits for, `exit-VERB` its exit status.
const SCRIPT: &str = r#"#!/bin/sh
dir=$(dirname "$0")
known="minor=$DRBD_MINOR volume=$DRBD_VOLUME disk=$DRBD_LL_DISK peer=$DRBD_PEER_AF:$DRBD_PEER_ADDRESS"
state="$(drbdsetup role 0 2>&1) $(drbdsetup cstate 0 2>&1) $(drbdsetup dstate 0 2>&1)"
admin=$(drbdadm -c "$dir/drbd.conf" role "$DRBD_RESOURCE" 2>&1)
echo "$1 on $(hostname) of $DRBD_RESOURCE: $known root=$UMC_FS_ROOT: $state, $admin" >> "$dir/handled"
[ ! -p "$dir/hold-$1" ] || read -r _ < "$dir/hold-$1"
[ ! -e "$dir/exit-$1" ] || exit "$(cat "$dir/exit-$1")"
exit 0
"#;

/// A cluster whose handlers are all that script; in sync, the first node Primary.
pub struct Handled(pub Cluster);

impl std::ops::Deref for Handled {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.0
    }
}

impl Handled {
    pub fn new(name: &str, layout: Layout) -> Handled {
        let cluster = Cluster::new(name, layout);
        let executable = |name: &str, text: &str| {
            let path = cluster.dir.join(name);
            fs::write(&path, text).expect(name);
            fs::set_permissions(&path, Permissions::from_mode(0o755)).expect(name);
            path
        };
        let script = executable("handler", SCRIPT);
        fs::write(cluster.dir.join("handled"), "").expect("the log");
        let lines: Vec<String> = HANDLERS
            .iter()
            .map(|verb| format!("    {verb} \"{} {verb}\";\n", script.display()))
            .collect();
        let conf = fs::read_to_string(cluster.conf()).expect("drbd.conf");
        let handlers = format!("  handlers {{\n{}  }}\n  net {{", lines.concat());
        fs::write(cluster.conf(), conf.replacen("  net {", &handlers, 1)).expect("drbd.conf");
        // The driver runs drbdadm without a configuration file; here it is not the system's.
        let admin = format!("#!/bin/sh\nexec drbdadm -c {} \"$@\"\n", cluster.conf().display());
        let helper = executable("helper", &admin);
        for node in &cluster.nodes {
            let parameter = cluster.root(node).join("sys/module/drbd/parameters/usermode_helper");
            fs::write(parameter, helper.display().to_string()).expect("the parameter");
            cluster.adm(node, &["create-md", "--force", "r0"]);
            cluster.adm(node, &["up", "r0"]);
        }
        cluster.nodes.iter().for_each(|node| cluster.await_connected(node));
        cluster.adm(cluster.a(), &["new-current-uuid", "--clear-bitmap", "r0/0"]);
        cluster.await_dstate("UpToDate/UpToDate");
        cluster.adm(cluster.a(), &["primary", "r0"]);
        Handled(cluster)
    }

    /// From now on the handler ends with this status.
    pub fn exit_with(&self, verb: &str, status: u8) {
        fs::write(self.dir.join(format!("exit-{verb}")), status.to_string()).expect("the status");
    }

    /// From now on the handler waits until it is let go.
    pub fn hold(&self, verb: &str) -> Hold {
        let fifo = self.dir.join(format!("hold-{verb}"));
        handlers::run(std::process::Command::new("mkfifo").arg(&fifo));
        Hold(fifo)
    }

    pub fn handled(&self) -> String {
        fs::read_to_string(self.dir.join("handled")).expect("the log")
    }

    /// Waits until the handler ran on a node, and checks what it was told: what the tools told it.
    #[track_caller]
    pub fn await_handler(&self, verb: &str, node: &str) -> String {
        let start = format!("{verb} on {node} of r0: ");
        let found =
            || self.handled().lines().find_map(|line| line.strip_prefix(&start).map(str::to_owned));
        eventually(&start, || found().is_some());
        let line = found().expect("it is there");
        let index = self.nodes.iter().position(|other| other == node).expect("a node");
        // Of the whole connection; else of one device.
        let known = match verb {
            "fence-peer" | "unfence-peer" => "minor=",
            _ => "minor=0 volume=0 disk=/dev/low0",
        };
        let root = self.root(node);
        let known = [
            known.to_owned(),
            format!("peer=ipv4:127.0.0.{} ", 2 - index),
            format!("root={}: ", root.display()),
        ];
        for known in known {
            assert!(line.contains(&known), "{verb} on {node} was not told \"{known}\": {line}");
        }
        let (_, states) = line.split_once(&format!("{}: ", root.display())).expect("the states");
        states.to_owned()
    }

    /// Waits until the driver knows how the handler ended.
    #[track_caller]
    pub fn await_exit(&self, verb: &str, node: &str, status: u8) {
        let wanted = format!("exit code {status} (");
        let verb = format!(" {verb} ");
        eventually(&format!("{verb}ended with {status} on {node}"), || {
            let log = self.umc_ok(&["dmesg", node]);
            log.lines().any(|line| line.contains(&verb) && line.contains(&wanted))
        });
    }

    pub fn write(&self, node: &str, byte: u8, at: u64) {
        let device =
            File::options().write(true).open(self.device(node, 0)).expect("the device opens");
        let written = device.write_all_at(&[byte; 4096], at).and_then(|()| device.sync_all());
        written.expect("a write");
    }
}

/// A handler that waits. Dropped, it lets the handler go, and those after it.
pub struct Hold(PathBuf);

impl Drop for Hold {
    fn drop(&mut self) {
        // Open for both it waits for nobody. Whoever reads, or is about to, finds the end once it is closed.
        let fifo = File::options().read(true).write(true).open(&self.0);
        let _ = fs::remove_file(&self.0);
        drop(fifo);
    }
}
