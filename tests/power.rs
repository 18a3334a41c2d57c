// SPDX-License-Identifier: GPL-2.0-only
//! What ends a machine ends the node, and never the host: sysrq, reboot(2), `reboot -f` and their like, as handlers of
//! drbd.conf use them.
//!
//! Method: each test runs itself once more where it could do no harm if it failed: in a pid namespace, in which reboot(2)
//! ends at most that, below a shell that reaps what is orphaned there; without CAP_SYS_BOOT; and with a plain file in the
//! place of the host's sysrq-trigger, which has to be empty afterwards.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use cluster::{Cluster, Foreground, Layout, PATIENCE, Start, bin_dir, text};

const CONFINED: &str = "UMC_TEST_CONFINED";

/// Runs `test`, which is called `name`, confined.
fn confined(name: &str, test: impl FnOnce()) {
    if env::var_os(CONFINED).is_some() {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        let bounding = status.lines().find_map(|line| line.strip_prefix("CapBnd:\t")).unwrap();
        let cap_sys_boot = 1 << 22;
        assert_eq!(u64::from_str_radix(bounding, 16).unwrap() & cap_sys_boot, 0);
        return test();
    }
    // Process ids repeat there, so names made of them do.
    let dir = env::temp_dir().join(format!("umc-power-{}-{name}", std::process::id()));
    fs::create_dir(&dir).unwrap();
    let trigger = dir.join("trigger");
    fs::write(&trigger, "").unwrap();
    let script = "[ ! -e /proc/sysrq-trigger ] || mount --bind \"$0\" /proc/sysrq-trigger; setpriv --bounding-set -sys_boot \
                  --inh-caps -sys_boot -- \"$@\" && exit; exit 1";
    let output = Command::new("unshare")
        .args(["--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-ec", script])
        .arg(&trigger)
        .arg(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CONFINED, "yes")
        .env("TMPDIR", &dir)
        .run()
        .unwrap();
    let reached_the_host = fs::read_to_string(&trigger).unwrap();
    let _ = fs::remove_dir_all(&dir);
    assert_eq!(reached_the_host, "", "this reached the host's sysrq-trigger");
    assert!(output.status.success(), "{}", text(&output));
}

fn node(name: &str) -> (Cluster, Foreground) {
    let cluster = Cluster::new(name, Layout { disk_mib: 16, ..Layout::default() });
    cluster.stop(cluster.b());
    cluster.stop(cluster.a());
    let umcd = foreground(&cluster);
    (cluster, umcd)
}

fn foreground(cluster: &Cluster) -> Foreground {
    Foreground::start(cluster, cluster.a(), Command::new(bin_dir().join("umcd")), &[])
}

/// Runs a command on the node again and again, each time on a new one: the status it ends with, and its log.
fn ends(commands: &[&str], status: i32, says: &str) {
    let (cluster, umcd) = node("power");
    let mut umcd = Some(umcd);
    for command in commands {
        let umcd = umcd.take().unwrap_or_else(|| foreground(&cluster));
        let output = cluster.on(cluster.a(), &["sh", "-c", command]);
        let (ended, log) = umcd.wait();
        assert_eq!(ended.code(), Some(status), "{command}: {ended}\n{}\n{log}", text(&output));
        assert!(log.contains(says), "{command}: {log}");
    }
}

#[test]
fn sysrq() {
    confined("sysrq", || {
        ends(
            &["echo b > /proc/sysrq-trigger", "cd /proc && printf b >sysrq-trigger"],
            72,
            "Resetting",
        );
        ends(&["echo o | tee /proc/sysrq-trigger"], 72, "Power Off");
        ends(&["echo c > /proc/sysrq-trigger"], 70, "sysrq triggered crash");
    });
}

#[test]
fn programs_and_system_calls() {
    confined("programs_and_system_calls", || {
        // By their paths, because a small machine has none of them for a shell to find.
        let reboot = "python3 -c 'import ctypes; ctypes.CDLL(None).reboot(0x01234567)'";
        ends(&["/sbin/reboot -f", "/sbin/reboot --force", reboot], 72, "Resetting");
        ends(&["/sbin/halt -f", "/usr/bin/systemctl poweroff -ff"], 72, "Power Off");
        ends(&["/sbin/reboot", "/sbin/shutdown -h now", "/sbin/init 6"], 0, "goes down");
    });
}

/// The command of `umc run` goes the way of every program that is started later.
#[test]
fn the_command_of_umc_run() {
    confined("the_command_of_umc_run", || {
        let (cluster, umcd) = node("command");
        // Programs of the host of these names, which are not to be run, wherever they are found.
        let host = cluster.dir.join("host");
        fs::create_dir(&host).unwrap();
        let names = [
            "reboot",
            "shutdown",
            "modprobe",
            "rmmod",
            "lsmod",
            "modinfo",
            "systemctl",
            "udevadm",
            "hostnamectl",
        ];
        for name in names {
            let program = host.join(name);
            fs::write(&program, "#!/bin/sh\necho the host ran $0\n").unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let path = format!("{}:{}", host.display(), env::var("PATH").unwrap());
        let run = |words: &[&str]| {
            let output = cluster.command_on(cluster.a(), words).env("PATH", &path).run().unwrap();
            assert!(!text(&output).contains("the host ran"), "{words:?}: {}", text(&output));
            (output.status.success(), text(&output))
        };
        for lsmod in ["lsmod", "/sbin/lsmod", &host.join("lsmod").display().to_string()] {
            assert!(run(&[lsmod]).1.contains("drbd"), "{lsmod}");
        }
        assert!(run(&["modprobe", "-s", "drbd"]).0);
        assert!(run(&["modinfo", "-F", "version", "drbd"]).1.contains("8.4.11"));
        assert!(run(&["rmmod", "drbd"]).0);
        assert!(!run(&["lsmod"]).1.contains("drbd"));
        // The host's managers are not asked, however it is said, and by whom.
        for command in [
            "systemctl status",
            "systemctl restart drbd",
            "udevadm trigger",
            "hostnamectl set-hostname x",
        ] {
            let words: Vec<&str> = command.split(' ').collect();
            for words in [
                &words[..],
                &["sh", "-c", command, "sh"],
                &["env", "sh", "-c", &format!("exec {command}")],
            ] {
                let (is_done, said) = run(words);
                assert!(
                    !is_done && said.contains(command) && said.contains("the host"),
                    "{words:?}: {said}"
                );
            }
        }
        assert_eq!(
            run(&["systemctl", "is-active", "drbd"]),
            (false, "exit status: 3\ninactive\n".into())
        );
        assert!(run(&["udevadm", "settle", "--timeout=60"]).0);
        run(&["shutdown", "-h", "now"]);
        assert_eq!(umcd.wait().0.code(), Some(0));
        let umcd = foreground(&cluster);
        run(&["reboot", "-f"]);
        assert_eq!(umcd.wait().0.code(), Some(72));
    });
}

#[test]
fn settings_of_the_host_stay() {
    confined("settings_of_the_host_stay", || {
        let (cluster, umcd) = node("settings");
        let on = |script: &str| cluster.on(cluster.a(), &["sh", "-c", script]);
        assert!(
            on("test -r /proc/sys/kernel/osrelease && cat /proc/sys/kernel/pid_max")
                .status
                .success()
        );
        // A setting that is no different if it is written after all.
        let refused = on("read max </proc/sys/kernel/pid_max; echo $max >/proc/sys/kernel/pid_max");
        assert!(text(&refused).contains("ermission denied"), "{}", text(&refused));
        assert!(!on("hostname \"$(cat /proc/sys/kernel/hostname)\"").status.success());
        // The node's own setting can be changed.
        assert!(on("echo 60 >/proc/sys/kernel/hung_task_timeout_secs").status.success());
        umcd.signal("TERM");
        assert_eq!(umcd.wait().0.code(), Some(0));
    });
}

/// What drbd.conf has as its example for a Primary that lost its data.
#[test]
fn the_stock_handlers_end_the_node() {
    confined("the_stock_handlers_end_the_node", || {
        let notify = Path::new("/usr/lib/drbd/notify-emergency-reboot.sh");
        assert!(notify.exists(), "drbd-utils has {}", notify.display());
        let cluster = Cluster::new("emergency", Layout { disk_mib: 16, ..Layout::default() });
        let (a, b) = (cluster.a(), cluster.b());
        // A mail program that keeps what it is given.
        let bin = cluster.dir.join("bin");
        let mail = cluster.dir.join("mail");
        fs::create_dir(&bin).unwrap();
        fs::write(
            bin.join("mail"),
            format!("#!/bin/sh\n{{ echo \"$@\"; cat; }} >{}\n", mail.display()),
        )
        .unwrap();
        assert!(
            Command::new("chmod").arg("+x").arg(bin.join("mail")).run_shown().unwrap().success()
        );
        let handler = format!(
            "PATH={}:$PATH {}; echo b > /proc/sysrq-trigger ; reboot -f",
            bin.display(),
            notify.display()
        );
        let conf = fs::read_to_string(cluster.conf()).unwrap().replace(
            "protocol C;",
            &format!("protocol C;\n  handlers {{ pri-on-incon-degr \"{handler}\"; }}"),
        );
        fs::write(cluster.conf(), conf).unwrap();
        for node in [a, b] {
            cluster.adm(node, &["create-md", "--force", "r0"]);
            cluster.adm(node, &["up", "r0"]);
        }
        cluster.await_connected(a);
        cluster.adm(a, &["primary", "--force", "r0"]);
        cluster.await_dstate("UpToDate/UpToDate");
        // A Primary without a disk loses the peer that has one.
        cluster.adm(a, &["detach", "--force", "r0"]);
        let pid = cluster.pid(a).unwrap();
        cluster.kill(b);
        let ended = Command::new("timeout")
            .args([&PATIENCE.as_secs().to_string(), "tail", "-s", "0.05", "-f", "/dev/null"])
            .arg(format!("--pid={pid}"))
            .run_shown()
            .unwrap();
        assert!(ended.success(), "the node goes on without its data");
        let mail = fs::read_to_string(&mail).unwrap();
        assert!(mail.contains(&format!("emergency reboot of node {a}")), "{mail}");
        // As after any loss of power.
        for node in [a, b] {
            cluster.start(node);
            cluster.adm(node, &["up", "r0"]);
        }
        cluster.await_dstate("UpToDate/UpToDate");
        cluster.down();
    });
}
