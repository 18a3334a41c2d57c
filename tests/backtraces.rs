// SPDX-License-Identifier: GPL-2.0-only
//! A driver that goes wrong says where: a backtrace with module, function, file and line, the last lines of the log, and
//! an exit status of its own. A task that hangs is reported with its stack.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use cluster::netlink::{NLM_F_DUMP, Netlink, attribute, drbd_command, hex, seal};
use cluster::{Cluster, Foreground, Layout, Start, bin_dir, text};

/// Builds the driver that goes wrong, outside of the source tree.
fn faulty() -> &'static Path {
    static MODULE: OnceLock<PathBuf> = OnceLock::new();
    MODULE.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/faulty");
        let dir =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("faulty-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        for name in ["Kbuild", "faulty.c"] {
            fs::copy(source.join(name), dir.join(name)).unwrap();
        }
        let output = Command::new(bin_dir().join("umc")).arg("build").arg(&dir).run().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        dir.join("faulty.so")
    })
}

/// A cluster with one node, in the foreground.
fn node(name: &str, args: &[&str]) -> (Cluster, Foreground) {
    let cluster = Cluster::new(name, Layout { disk_mib: 16, ..Layout::default() });
    cluster.stop(cluster.b());
    cluster.stop(cluster.a());
    let umcd = Foreground::start(&cluster, cluster.a(), Command::new(bin_dir().join("umcd")), args);
    (cluster, umcd)
}

/// The node ends with this status, and its log holds all of these, in this order.
fn ends(umcd: Foreground, status: i32, says: &[&str]) {
    let (ended, log) = umcd.wait();
    assert_eq!(ended.code(), Some(status), "{ended}\n{log}");
    let mut rest = &log[log.find("goes wrong now").map_or(0, |at| at)..];
    for wanted in says {
        let at = rest
            .find(wanted)
            .unwrap_or_else(|| panic!("\"{wanted}\" is not in, or not in this order:\n{log}"));
        rest = &rest[at + wanted.len()..];
    }
}

fn goes_wrong(how: &str, status: i32, says: &[&str]) {
    let (cluster, umcd) = node(how, &[]);
    let module = faulty().display().to_string();
    let output = cluster.umc(&["insmod", "--node", cluster.a(), &module, &format!("how={how}")]);
    assert!(!output.status.success(), "{}", text(&output));
    let tail = [format!("faulty: goes wrong now: {how}"), format!("ends with status {status}")];
    ends(
        umcd,
        status,
        &says.iter().copied().chain(tail.iter().map(|s| s.as_str())).collect::<Vec<_>>(),
    );
    // What it left is no obstacle.
    cluster.start(cluster.a());
    cluster.stop(cluster.a());
}

const PLACE: &str = "faulty_goes_wrong [faulty] (";
const CALLER: &str = "faulty_init [faulty] (";
/// The Rust side of the stack.
const LOADER: &str = "insert [umcd] (umc/src/module.rs:";

#[test]
fn bug() {
    goes_wrong(
        "bug",
        70,
        &[
            "kernel BUG at ",
            "faulty.c:",
            " in faulty_goes_wrong()",
            PLACE,
            "faulty.c:",
            CALLER,
            LOADER,
        ],
    );
}

#[test]
fn failing_assertion() {
    goes_wrong("assert", 70, &["kernel BUG at ", "strcmp", PLACE, "faulty.c:", CALLER, LOADER]);
}

#[test]
fn panic() {
    goes_wrong(
        "panic",
        70,
        &["Kernel panic - not syncing: faulty: panic", PLACE, "faulty.c:", CALLER, LOADER],
    );
}

#[test]
fn null_pointer() {
    let says = ["Fatal signal SIGSEGV", "at address 0x0 [umc/", PLACE, "faulty.c:", CALLER, LOADER];
    goes_wrong("null", 71, &says);
}

#[test]
fn call_of_nothing() {
    goes_wrong(
        "nowhere",
        71,
        &["Fatal signal SIGSEGV", "0x0: a call through a null pointer", PLACE, "faulty.c:", CALLER],
    );
}

#[test]
fn division_by_zero() {
    goes_wrong(
        "divide",
        71,
        &["Fatal signal SIGFPE", "integer division by zero", PLACE, "faulty.c:", CALLER, LOADER],
    );
}

#[test]
fn illegal_instruction() {
    goes_wrong("illegal", 71, &["Fatal signal SIGILL", PLACE, "faulty.c:", CALLER, LOADER]);
}

#[test]
fn stack_overflow() {
    let says = [
        "Fatal signal SIGSEGV",
        "faulty_deeper [faulty] (",
        "faulty.c:",
        "faulty_deeper [faulty] (",
    ];
    goes_wrong("overflow", 71, &says);
}

fn killed_by(signal: &str) {
    let (cluster, umcd) = node(&signal.to_lowercase(), &[]);
    umcd.signal(signal);
    let name = format!("of node {}:", cluster.a());
    ends(
        umcd,
        71,
        &[&format!("Fatal signal SIG{signal}"), "sent by process", &name, "ends with status 71"],
    );
    cluster.start(cluster.a());
    cluster.stop(cluster.a());
}

#[test]
fn signals_from_outside() {
    killed_by("BUS");
    killed_by("ABRT");
}

#[test]
fn hung_task() {
    let (cluster, umcd) = node("hung", &["--hung-task-timeout", "1"]);
    // DRBD idles in many sleeps of its own, and none of them is a report.
    cluster.adm(cluster.a(), &["create-md", "--force", "r0"]);
    cluster.adm(cluster.a(), &["up", "r0"]);
    let setting = cluster.root(cluster.a()).join("proc/sys/kernel/hung_task_timeout_secs");
    assert_eq!(fs::read_to_string(&setting).unwrap(), "1\n");
    let module = faulty().display().to_string();
    cluster.umc_ok(&["insmod", "--node", cluster.a(), &module, "how=hang"]);
    umcd.await_line("blocked for more than 1 seconds");
    umcd.await_line("faulty_waits [faulty] (");
    fs::write(&setting, "0").unwrap();
    assert_eq!(fs::read_to_string(&setting).unwrap(), "0\n");
    cluster.umc_ok(&["rmmod", "--node", cluster.a(), "faulty"]);
    cluster.stop(cluster.a());
    let (status, log) = umcd.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    // A request that waits for a second for the host's own disk is one: that is true, and of no concern here.
    let of_drivers =
        |line: &&str| line.contains("blocked for more") && !line.contains("task fuse-");
    let reports: Vec<&str> = log.lines().filter(of_drivers).collect();
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert!(reports[0].contains("INFO: task faulty_hangs:"), "{reports:?}");
    assert!(log.contains("task:faulty_hangs state:D in completion, on 0x"), "{log}");
}

/// A thread that the exit function forgot: the module's code stays, with an error that names the thread, until it ended.
#[test]
fn a_thread_that_stays() {
    let (cluster, umcd) = node("stays", &[]);
    let node = cluster.a();
    let module = faulty().display().to_string();
    cluster.umc_ok(&["insmod", "--node", node, &module, "how=stay"]);
    let refused = cluster.umc(&["rmmod", "--node", node, "faulty"]);
    let said = text(&refused);
    assert!(!refused.status.success(), "{said}");
    assert!(said.contains("its thread faulty_stays/") && said.contains("in completion"), "{said}");
    umcd.await_line("faulty_stays [faulty] (");
    let sys = cluster.root(node).join("sys/module/faulty");
    assert_eq!(fs::read_to_string(sys.join("initstate")).unwrap(), "going\n");
    let again = cluster.umc(&["insmod", "--node", node, &module]);
    assert!(text(&again).contains("loaded already"), "{}", text(&again));
    fs::write(sys.join("parameters/let_go"), "1").unwrap();
    cluster.umc_ok(&["rmmod", "--node", node, "faulty"]);
    assert!(!sys.exists());
    cluster.umc_ok(&["insmod", "--node", node, &module]);
    cluster.stop(node);
    let (status, log) = umcd.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(log.matches("faulty: forgets its thread").count(), 1, "the exit function ran twice");
}

/// `current->comm` of a driver is the program that it acts for, as on Linux.
#[test]
fn callers_are_known_by_their_names() {
    let (cluster, umcd) = node("callers", &[]);
    cluster.umc_ok(&["insmod", "--node", cluster.a(), &faulty().display().to_string()]);
    umcd.await_line("faulty: loaded by umc");
    let file = cluster.root(cluster.a()).join("sys/module/faulty/parameters/who");
    for program in ["cat", "head"] {
        let output = Command::new(program).arg(&file).run().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), program);
    }
    cluster.stop(cluster.a());
    assert_eq!(umcd.wait().0.code(), Some(0));
}

/// DRBD's own: see docs/simulator-findings.md, "A record that ends the machine".
#[test]
fn a_record_that_ends_the_node_is_shown() {
    let (cluster, umcd) = node("record", &[]);
    let mut link = Netlink::open(&cluster, cluster.a());
    let family = link.family("drbd");
    let mut record = drbd_command(family, 31, 0);
    record[6..8].copy_from_slice(&NLM_F_DUMP.to_ne_bytes());
    record.extend(attribute(0x8002, &attribute(0x4014, b"")));
    seal(&mut record, 7);
    link.send(&record);
    let shown =
        format!("It was serving a netlink record of {} bytes: {}", record.len(), hex(&record));
    ends(umcd, 71, &["SIGSEGV", &shown, "drbd_adm_dump_devices", "ends with status 71"]);
}
