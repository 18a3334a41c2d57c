// SPDX-License-Identifier: GPL-2.0-only
//! `umc cluster ssh-shim`: who knows machines only, and ssh, finds nodes.

use std::fs;
use std::process::{Command, Output, Stdio};

use cluster::{Guard, Start, Watch, eventually, text};

use crate::host::{Host, processes};

struct Shim<'a>(&'a Host);

impl Shim<'_> {
    /// A program of its directory, or one that finds them in PATH.
    fn program(&self, program: &str, args: &[&str]) -> Command {
        // What the test's environment says of umc, the shim has to say itself.
        let shim = self.0.dir.join("shim");
        let path = format!("PATH={}:/usr/sbin:/usr/bin:/sbin:/bin", shim.display());
        let cache = format!("UMC_CACHE_DIR={}", cdrivers::cache_dir().display());
        let mut command = Command::new("env");
        command.args(["-i", &path, &cache, program]).args(args).current_dir(&self.0.dir);
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.program("ssh", args).run().expect("ssh runs")
    }

    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "ssh {}: {}", args.join(" "), text(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

#[test]
fn tools_that_know_ssh_reach_nodes() {
    let host = Host::new(true);
    let _guard = Guard::start(&host.dir);
    let own = host.dir.join("own");
    fs::create_dir(&own).unwrap();
    let file = format!(
        "nodes = 2\ndriver = 'drbd'\nreplicate = false\nvolumes = 2\ndisk.size = '16M'\nmodules = ['dm-mod']\nprivate = [{own:?}]\n"
    );
    fs::write(host.dir.join("bare.toml"), file).unwrap();
    // What nodes need is not to be hidden from them, however it is spelled.
    let link = host.dir.join("link");
    std::os::unix::fs::symlink(host.dir.join("run"), &link).unwrap();
    let hides = format!("nodes = 2\ndriver = 'drbd'\nprivate = [{link:?}]\n");
    fs::write(host.dir.join("hides.toml"), hides).unwrap();
    host.fails(&["cluster", "up", "hides.toml"], &["nodes need what is in", "UMC_RUNTIME_DIR"]);
    let summary = host.ok(&["cluster", "up", "bare.toml"]);
    assert!(
        summary.contains("nothing is configured") && summary.contains("/dev/disk1"),
        "{summary}"
    );
    assert!(host.ok(&["cluster", "ssh-shim", "shim"]).contains("export PATH="));
    let ssh = Shim(&host);

    // A machine of its own.
    let script =
        "hostname -f; ip -4 route get 1; getent hosts n2; lsmod; modinfo -F version drbd; id -un";
    let said = ssh.ok(&["-o", "BatchMode=yes", "root@n1", script]);
    for part in ["n1\n", "src 10.77.0.1", "10.77.0.2", "dm_mod", "8.4.11", "root"] {
        assert!(said.contains(part), "no {part}: {said}");
    }
    assert!(ssh.ok(&["-l", "root", "10.77.0.2", "hostname"]).starts_with("n2"));
    // Each command leads a session, and its status is that of ssh.
    assert_eq!(ssh.ok(&["n1", "test $$ = $(ps -o sid= $$) && echo leads"]), "leads\n");
    assert_eq!(ssh.run(&["n1", "exit 7"]).status.code(), Some(7));
    let output = ssh.run(&["n3", "true"]);
    assert_eq!(output.status.code(), Some(255));
    assert!(
        text(&output).contains("no node n3") && text(&output).contains("n1, n2"),
        "{}",
        text(&output)
    );
    assert!(text(&ssh.run(&["-L", "1:n2:2", "n1"])).contains("forwards nothing"));
    // A directory of its own, and what DRBD's tests keep.
    let own = own.display();
    ssh.ok(&[
        "n1",
        &format!("echo mine > {own}/file; mkdir -p /var/lib/drbd-test; touch /var/lib/drbd-test/x"),
    ]);
    assert_eq!(
        ssh.ok(&["n2", &format!("ls {own} /var/lib/drbd-test 2>&1 || true")])
            .matches("file")
            .count(),
        1
    );
    assert!(
        !host.dir.join("own/file").exists() && !std::path::Path::new("/var/lib/drbd-test").exists()
    );
    // Modules, and volumes on its disks.
    ssh.ok(&["n1", "rmmod drbd && ! lsmod | grep drbd && modprobe drbd && lsmod | grep -q drbd"]);
    ssh.ok(&["n1", "exec 2>&1; vgcreate -q scratch /dev/disk0 && lvcreate -q -n lv -L 8M scratch && test -b /dev/scratch/lv && vgremove -q -ff -y scratch"]);

    // A connection that is begun once, and used by its path.
    let socket = host.dir.join("socket");
    let path = socket.display().to_string();
    let mut master = ssh.program("ssh", &["-S", &path, "-l", "root", "-N", "-M", "n2"]);
    let mut master = master.stdin(Stdio::null()).start().unwrap();
    eventually("the master", || ssh.run(&["-S", &path, "-O", "check", "_"]).status.success());
    assert!(ssh.ok(&["-S", &path, "_", "hostname"]).starts_with("n2"));
    // The kernel log from now on: what was there before is not shown. The end of ssh ends what it began.
    let mut log =
        Watch::start(ssh.program(
            "ssh",
            &["-S", &path, "_", "echo $$; exec dmesg --follow-new --time-format=iso"],
        ));
    log.until("");
    let writes = "until [ -e written ]; do echo seen > /dev/kmsg; done; journalctl -k -n 1";
    let writer = ssh.program("ssh", &["-S", &path, "_", writes]).stdout(Stdio::piped()).start();
    assert!(log.until("seen").contains("+00:00 seen"));
    fs::write(host.dir.join("written"), "").unwrap();
    let written = writer.unwrap().wait_with_output().unwrap();
    assert!(text(&written).contains("] seen"), "{}", text(&written));
    assert!(!log.seen().iter().any(|line| line.contains("initialized")), "{:?}", log.seen());
    let own_dir = host.dir.display().to_string();
    let follows =
        |text: &str| processes(&own_dir).iter().filter(|line| line.contains(text)).count();
    assert!(follows("follow-new") > 0);
    let killed = Command::new("kill").arg(log.pid().to_string()).run_shown();
    assert!(killed.unwrap().success() && !log.ends().0.success());
    assert!(ssh.ok(&["n2", "journalctl -u drbd -b 0 -q"]).is_empty());
    ssh.ok(&["-S", &path, "-O", "exit", "_"]);
    assert!(master.wait().unwrap().success() && !socket.exists());
    // Files, by OpenSSH's own program.
    if std::path::Path::new("/usr/bin/scp").exists() {
        let copied =
            ssh.program("scp", &["-q", "bare.toml", "root@n1:/var/lib/drbd-test/"]).run().unwrap();
        assert!(copied.status.success(), "{}", text(&copied));
        assert!(ssh.ok(&["n1", "cat /var/lib/drbd-test/bare.toml"]).contains("replicate"));
    }
    // What lies at the path of a connection that is to be begun stays, and a master ends with its cluster.
    fs::write(&socket, "not a socket").unwrap();
    let in_the_way = ssh.run(&["-S", &path, "-f", "-N", "-M", "n1"]);
    assert!(text(&in_the_way).contains("did not begin"), "{}", text(&in_the_way));
    assert!(text(&ssh.run(&["-S", &path, "-N", "-M", "n1"])).contains("Choose another path"));
    assert_eq!(fs::read_to_string(&socket).unwrap(), "not a socket");
    fs::remove_file(&socket).unwrap();
    ssh.ok(&["-S", &path, "-f", "-N", "-M", "n1"]);
    host.ok(&["cluster", "down"]);
    eventually("the master's end", || !socket.exists());
    host.is_clean();
}
