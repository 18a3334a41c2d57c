// SPDX-License-Identifier: GPL-2.0-only
//! The emulated kernel as DRBD 9 uses it, without DRBD 9.
//!
//! Small drivers of our own (`cdrivers/tests/surface`) use what DRBD 9 wants of the kernel beyond 8.4: each on a node of its
//! own, with several threads, and until it is unloaded. They check what they see themselves; a failure here shows their
//! lines. `symbols.txt` beside them is what DRBD 9 imports, and together they import all of it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use cluster::{Guard, Start, bin_dir, eventually, text};

/// Longer than the longest wait of a module, in seconds: it says itself what it waited for.
const LOAD_MAX_S: &str = "55";

/// The modules, built, and the nodes of this program.
struct Host {
    dir: PathBuf,
    /// Removes the directory when this program is gone.
    _guard: Guard,
}

fn host() -> &'static Host {
    static HOST: OnceLock<Host> = OnceLock::new();
    HOST.get_or_init(|| {
        let dir = std::env::temp_dir().join(format!("umc-test-surface-{}", std::process::id()));
        fs::create_dir_all(dir.join("modules")).unwrap();
        let host = Host { _guard: Guard::start(&dir), dir };
        for file in fs::read_dir(source()).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), host.dir.join("modules").join(file.file_name())).unwrap();
        }
        host.umc_ok(&["build", &host.dir.join("modules").display().to_string()]);
        host
    })
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cdrivers/tests/surface")
}

impl Host {
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("UMC_RUNTIME_DIR", self.dir.join("run"))
            .env("UMC_DEBUG_CHECKS", "1")
            .env_remove("UMC_FS_ROOT");
        command
    }

    fn umc(&self, args: &[&str]) -> Output {
        self.command(&bin_dir().join("umc").display().to_string()).args(args).run().unwrap()
    }

    fn umc_ok(&self, args: &[&str]) -> String {
        let output = self.umc(args);
        assert!(output.status.success(), "umc {}: {}", args.join(" "), text(&output));
        text(&output)
    }
}

/// A node with one of the modules.
struct Loaded {
    module: &'static str,
    node: String,
}

/// Loads a module on a node of its own, which has the disk low0; what it checks while it is loaded is right.
fn load(module: &'static str) -> Loaded {
    let host = host();
    let loaded = Loaded { module, node: format!("surface-{module}") };
    host.umc_ok(&["start", &loaded.node, "--disk", "low0=ram/,size=16M"]);
    let file = host.dir.join(format!("modules/{module}.so")).display().to_string();
    let umc = bin_dir().join("umc").display().to_string();
    let insmod = host
        .command("timeout")
        .args([LOAD_MAX_S, &umc, "insmod", "-n", &loaded.node, &file])
        .run()
        .unwrap();
    assert!(insmod.status.success(), "{}\n{}", text(&insmod), loaded.complaints());
    loaded
}

impl Loaded {
    fn root(&self) -> PathBuf {
        host().dir.join("run").join(&self.node).join("root")
    }

    fn log(&self) -> String {
        host().umc_ok(&["dmesg", &self.node])
    }

    /// Lines of the log that nothing should have made.
    fn complaints(&self) -> String {
        let log = self.log();
        let bad = ["check failed", "WARNING", "BUG", "hung", "leak"];
        let lines = log.lines().filter(|line| bad.iter().any(|word| line.contains(word)));
        lines.filter(|line| !line.contains("as it is meant to")).collect::<Vec<_>>().join("\n")
    }

    /// Unloads it, and takes the node down.
    fn unload(self) {
        host().umc_ok(&["rmmod", "-n", &self.node, self.module]);
        let complaints = self.complaints();
        assert!(complaints.is_empty(), "{complaints}");
        host().umc_ok(&["stop", &self.node]);
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        // It is stopped already, unless the test failed.
        let _ = host().umc(&["stop", &self.node]);
    }
}

#[test]
fn locks_that_spin() {
    load("locks").unload();
}

#[test]
fn locks_that_sleep() {
    load("sleepers").unload();
}

#[test]
fn rcu() {
    load("rcu").unload();
}

#[test]
fn tables() {
    load("tables").unload();
}

#[test]
fn memory() {
    load("memory").unload();
}

#[test]
fn text_and_numbers() {
    let loaded = load("text");
    let log = loaded.log();
    let warnings = log.lines().filter(|line| line.contains("WARNING")).collect::<Vec<_>>();
    assert!(matches!(warnings[..], [one] if one.contains("as it is meant to, of 1")), "{log}");
    loaded.unload();
}

#[test]
fn timers_and_work() {
    load("works").unload();
}

#[test]
fn sockets() {
    load("sockets").unload();
}

#[test]
fn one_sequence_over_several_streams() {
    load("streams").unload();
}

#[test]
fn disks() {
    load("disks").unload();
}

/// What the module sees itself, and then what a disk of requests is for those who use it.
#[test]
fn requests() {
    let loaded = load("requests");
    let disk = loaded.root().join("dev/requests0");
    let stat = || fs::read_to_string(loaded.root().join("sys/block/requests0/stat")).unwrap();
    let fields = |stat: &str| -> Vec<u64> {
        stat.split_whitespace().map(|field| field.parse().unwrap()).collect()
    };
    let before = fields(&stat());
    let data: Vec<u8> = (0..1 << 19).map(|n: u32| (n / 512 * 7 + n) as u8).collect();
    let file = File::options().read(true).write(true).open(&disk).unwrap();
    file.write_all_at(&data, 1 << 20).unwrap();
    file.sync_all().unwrap();
    let mut read = vec![0; data.len()];
    file.read_exact_at(&mut read, 1 << 20).unwrap();
    assert!(read == data, "what is read is what was written");
    drop(file);
    let after = fields(&stat());
    let grown = |field: usize| after[field] - before[field];
    assert_eq!((grown(2), grown(6), after[8]), (1024, 1024, 0), "sectors, in flight: {after:?}");
    assert!(grown(15) >= 1, "flushes: {after:?}");
    eventually("nobody has the disk open", || {
        let modules = fs::read_to_string(loaded.root().join("proc/modules")).unwrap();
        modules
            .lines()
            .any(|line| line.starts_with("requests ") && line.split(' ').nth(2) == Some("0"))
    });
    loaded.unload();
}

#[test]
fn parameters_with_functions_and_files_that_are_renamed() {
    let loaded = load("files");
    let parameters = loaded.root().join("sys/module/files/parameters");
    let parameter = |name: &str| fs::read_to_string(parameters.join(name)).unwrap();
    let set =
        |name: &str, value: &str| fs::write(parameters.join(name), value).map_err(|e| e.kind());
    assert_eq!(set("even", "3"), Err(ErrorKind::InvalidInput));
    assert_eq!(set("even", "x"), Err(ErrorKind::InvalidInput));
    assert_eq!((set("even", "8\n"), parameter("even")), (Ok(()), "8\n".into()));
    assert_eq!((set("strict", "y"), parameter("strict")), (Ok(()), "Y\n".into()));
    assert_eq!(set("strict", "0"), Err(ErrorKind::PermissionDenied));
    assert_eq!(parameter("strict"), "Y\n");

    let debug = loaded.root().join("sys/kernel/debug");
    let shown = |mut file: &File| {
        let mut shown = String::new();
        file.read_to_string(&mut shown).map(|_| shown)
    };
    let open = File::open(debug.join("surface/state")).unwrap();
    assert_eq!(set("name", "renamed"), Ok(()));
    assert!(!debug.join("surface").exists());
    assert_eq!(shown(&open).unwrap(), "named renamed\n");
    drop(open);
    let open = File::open(debug.join("renamed/state")).unwrap();
    assert_eq!(set("gone", "1"), Ok(()));
    assert!(!debug.join("renamed/state").exists());
    assert_eq!(shown(&open).unwrap_err().raw_os_error(), Some(nix::libc::EIO));
    drop(open);
    // A file that is closed is closed on the node a little later.
    eventually("nobody uses the module", || {
        let modules = fs::read_to_string(loaded.root().join("proc/modules")).unwrap();
        modules
            .lines()
            .any(|line| line.starts_with("files ") && line.split(' ').nth(2) == Some("0"))
    });

    // It has requested the one beside it.
    host().umc_ok(&["rmmod", "-n", &loaded.node, "text"]);
    loaded.unload();
}

/// Several clients at once, one that listens, and none of the events is lost.
const CLIENTS: &str = r"
import socket, struct, threading
ERROR, ASK = 2, 5
def attribute(kind, body): return struct.pack('HH', 4 + len(body), kind) + body + bytes(-len(body) % 4)
def attributes(data):
    while data:
        size, kind = struct.unpack_from('HH', data)
        yield kind, data[4:size]
        data = data[(size + 3) & ~3:]
def connect():
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16); s.bind((0, 0)); s.settimeout(20); return s
def ask(s, family, command, body, answers):
    body = bytes((command, 1, 0, 0)) + body
    s.send(struct.pack('IHHII', 16 + len(body), family, ASK, 1, 0) + body)
    got = b''
    while len(messages(got)) < answers + 1: got += s.recv(65536)
    return messages(got)
def messages(data):
    found = []
    while data:
        size, kind = struct.unpack_from('IH', data)
        found.append((kind, data[16:size])); data = data[(size + 3) & ~3:]
    return found
def errno_of(message): return -struct.unpack_from('i', message[1])[0]
def number_of(message): return struct.unpack('I', dict(attributes(message[1][4:]))[1])[0]

s = connect()
told = dict(attributes(ask(s, 16, 3, attribute(2, b'surface\0'), 1)[0][1][4:]))
family = struct.unpack('H', told[1])[0]
group = struct.unpack('I', dict(attributes(next(attributes(told[7]))[1]))[2])[0]
listener = connect()
listener.setsockopt(270, 1, group)

def client(which):
    try:
        s = connect()
        for n in range(100 * which + 100, 100 * which + 130):
            command = 1 + n % 2
            answer = ask(s, family, command, attribute(1, struct.pack('I', n)), 1)
            assert number_of(answer[0]) == n * (1 + command) and errno_of(answer[1]) == 0, answer
    except Exception as e:
        print('client', which, repr(e))
clients = [threading.Thread(target=client, args=(which,)) for which in range(4)]
for c in clients: c.start()
for c in clients: c.join()
heard = sorted(number_of(messages(listener.recv(65536))[0]) for _ in range(120))
assert heard == [100 * which + n for which in range(4) for n in range(100, 130)], heard
for command in 1, 2:
    print(errno_of(ask(s, family, command, attribute(1, struct.pack('I', 13)), 0)[0]),
          errno_of(ask(s, family, command, b'', 0)[0]))
";

#[test]
fn commands_and_events_of_netlink() {
    let loaded = load("netlink");
    let clients = host().umc(&["run", &loaded.node, "--", "python3", "-c", CLIENTS]);
    assert_eq!(text(&clients), "exit status: 0\n34 22\n34 22\n", "{}", loaded.complaints());
    loaded.unload();
}

/// What of the host a node's programs must not change: names in `/dev` and where tools keep their state, semaphores, keys,
/// mounts. What other tests come and go with is left out.
fn host_state() -> BTreeSet<String> {
    let mut state = BTreeSet::new();
    let dirs =
        ["/dev", "/dev/mapper", "/dev/disk/by-id", "/run", "/run/lvm", "/run/lock", "/etc/lvm"];
    for dir in dirs {
        let names = fs::read_dir(dir).into_iter().flatten().flatten();
        let names = names.map(|entry| entry.path().display().to_string());
        state.extend(names.filter(|name| !name.contains("loop") && !name.contains("umc")));
    }
    for (file, word) in
        [("/proc/sysvipc/sem", ""), ("/proc/keys", "umc"), ("/proc/mounts", "configfs")]
    {
        let text = fs::read_to_string(file).unwrap_or_default();
        state.extend(text.lines().filter(|line| line.contains(word)).map(str::to_owned));
    }
    state
}

/// Programs on its devices: `tests/fixtures/calls.py` says what they see.
#[test]
fn system_calls_of_programs() {
    let loaded = load("calls");
    let before = host_state();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/calls.py");
    let script = script.display().to_string();
    let umc = bin_dir().join("umc").display().to_string();
    let said = host()
        .command(&umc)
        .env("TMPDIR", &host().dir)
        .args(["run", &loaded.node, "--", "python3", &script])
        .run()
        .unwrap();
    assert_eq!(text(&said), "exit status: 0\nall is well\n", "{}", loaded.complaints());
    assert_eq!(host_state(), before, "the host is as it was");
    loaded.unload();
}

#[test]
fn headers_are_of_the_kernel_that_drbd_9_is_written_for() {
    load("answers").unload();
}

/// What DRBD 9 imports and 8.4 does not, by `symbols.txt`. A name that the modules leave out has its reason behind it.
#[test]
fn they_import_what_drbd_9_does() {
    let listed = fs::read_to_string(source().join("symbols.txt")).unwrap();
    let listed = listed.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let (left_out, wanted): (Vec<_>, Vec<_>) = listed.partition(|line| line.contains(' '));
    let mut imported = BTreeSet::new();
    for file in fs::read_dir(host().dir.join("modules")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "ko") {
            imported.extend(cdrivers::symbols::undefined(&path).unwrap());
        }
    }
    let missing: Vec<_> = wanted.into_iter().filter(|name| !imported.contains(*name)).collect();
    assert!(missing.is_empty(), "no module uses {missing:?}");
    let used: Vec<_> = left_out
        .into_iter()
        .filter_map(|line| line.split_once(' '))
        .filter(|(name, _)| imported.contains(*name))
        .collect();
    assert!(used.is_empty(), "used, and not left out: {used:?}");
}
