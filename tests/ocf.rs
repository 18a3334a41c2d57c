// SPDX-License-Identifier: GPL-2.0-only
//! The cluster manager's agent `ocf:linbit:drbd`, unmodified, manages two nodes as Pacemaker would.
//!
//! Needs the agent, which drbd-utils installs, and the shell functions of resource-agents. `crm_master` and
//! `crm_resource` are stand-ins: there is no cluster manager, and what the agent tells it is kept in a file.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use cluster::{Cluster, Layout, text};

const AGENT: &str = "/usr/lib/ocf/resource.d/linbit/drbd";
const FUNCTIONS: &str = "/usr/lib/ocf/lib/heartbeat/ocf-shellfuncs";
const TESTER: &str = "/usr/sbin/ocf-tester";

/// Exit statuses of an action.
const SUCCESS: i32 = 0;
const NOT_RUNNING: i32 = 7;
const RUNNING_MASTER: i32 = 8;

struct Manager {
    cluster: Cluster,
}

impl Manager {
    fn new(name: &str) -> Manager {
        for file in [AGENT, FUNCTIONS, TESTER] {
            assert!(
                Path::new(file).exists(),
                "{file} is missing: apt-get install drbd-utils resource-agents"
            );
        }
        let cluster = Cluster::new(name, Layout::default());
        let bin = cluster.dir.join("bin");
        fs::create_dir_all(&bin).expect("a directory for the stand-ins");
        let scores = cluster.dir.join("scores");
        fs::write(&scores, "").expect("the scores");
        let master = format!("#!/bin/sh\necho \"$(hostname) $*\" >> {}\n", scores.display());
        for (name, script) in
            [("crm_master", master.as_str()), ("crm_resource", "#!/bin/sh\nexit 0\n")]
        {
            fs::write(bin.join(name), script).expect("a stand-in");
            fs::set_permissions(bin.join(name), Permissions::from_mode(0o755)).expect("a stand-in");
        }
        for node in &cluster.nodes {
            cluster.adm(node, &["create-md", "--force", "r0"]);
        }
        Manager { cluster }
    }

    /// An action of the agent on a node; `extra` are `NAME=VALUE`.
    fn act(&self, node: &str, action: &str, extra: &[String]) -> i32 {
        let output = self.run(node, extra, &[AGENT, action]);
        println!("--- {node} {action}: {}", text(&output));
        output.status.code().expect("the agent was not killed")
    }

    /// A program on a node, with what Pacemaker would set.
    fn run(&self, node: &str, extra: &[String], program: &[&str]) -> Output {
        let dir = &self.cluster.dir;
        let mut command = vec![
            "env".to_owned(),
            format!("PATH={}/bin:/usr/sbin:/usr/bin:/sbin:/bin", dir.display()),
            "OCF_ROOT=/usr/lib/ocf".to_owned(),
            "OCF_RA_VERSION_MAJOR=1".to_owned(),
            "OCF_RA_VERSION_MINOR=0".to_owned(),
            "OCF_RESOURCE_INSTANCE=p_r0:0".to_owned(),
            "OCF_RESOURCE_TYPE=drbd".to_owned(),
            "OCF_RESOURCE_PROVIDER=linbit".to_owned(),
            "HA_LOGFILE=/dev/null".to_owned(),
            "HA_debug=0".to_owned(),
            format!("HA_SBIN_DIR={}/bin", dir.display()),
            format!("HA_RSCTMP={}", dir.display()),
            "OCF_RESKEY_drbd_resource=r0".to_owned(),
            format!("OCF_RESKEY_drbdconf={}", self.cluster.conf().display()),
            "OCF_RESKEY_crm_feature_set=3.15.0".to_owned(),
        ];
        let meta = [
            ("clone_max", "2"),
            ("clone_node_max", "1"),
            ("master_max", "1"),
            ("master_node_max", "1"),
            ("notify", "true"),
            ("globally_unique", "false"),
            ("timeout", "60000"),
            ("interval", "0"),
        ];
        command.extend(meta.map(|(name, value)| format!("OCF_RESKEY_CRM_meta_{name}={value}")));
        let both = self.cluster.nodes.join(" ");
        command.push(format!("OCF_RESKEY_CRM_meta_notify_start_uname={both}"));
        command.extend(extra.iter().cloned());
        let mut command: Vec<&str> = command.iter().map(String::as_str).collect();
        command.extend(program);
        self.cluster.on(node, &command)
    }

    fn expect(&self, node: &str, action: &str, status: i32) {
        assert_eq!(self.act(node, action, &[]), status, "{action} on {node}");
    }

    fn notify(&self, node: &str, when: &str, operation: &str) {
        let extra = [
            format!("OCF_RESKEY_CRM_meta_notify_type={when}"),
            format!("OCF_RESKEY_CRM_meta_notify_operation={operation}"),
        ];
        assert_eq!(
            self.act(node, "notify", &extra),
            SUCCESS,
            "notify {when}-{operation} on {node}"
        );
    }

    /// What the agent told the cluster manager last about a node.
    fn score(&self, node: &str) -> String {
        let scores = fs::read_to_string(self.cluster.dir.join("scores")).expect("the scores");
        let mine =
            |line: &&str| line.starts_with(node) && (line.contains(" -v ") || line.contains(" -D"));
        scores.lines().rfind(mine).unwrap_or_default().to_owned()
    }
}

#[test]
fn the_agent_manages_two_nodes() {
    let manager = Manager::new("ocf");
    let cluster = &manager.cluster;
    let (a, b) = (cluster.a(), cluster.b());
    manager.expect(a, "meta-data", SUCCESS);
    manager.expect(a, "validate-all", SUCCESS);
    manager.expect(a, "monitor", NOT_RUNNING);

    for node in [a, b] {
        manager.expect(node, "start", SUCCESS);
        manager.expect(node, "monitor", SUCCESS);
        manager.notify(node, "post", "start");
    }
    cluster.await_connected(a);
    cluster.adm(a, &["new-current-uuid", "--clear-bitmap", "r0/0"]);
    cluster.await_dstate("UpToDate/UpToDate");
    manager.expect(a, "monitor", SUCCESS);
    assert!(manager.score(a).contains("-v 10000"), "{}", manager.score(a));

    manager.notify(b, "pre", "promote");
    manager.expect(a, "promote", SUCCESS);
    manager.notify(b, "post", "promote");
    manager.expect(a, "monitor", RUNNING_MASTER);
    manager.expect(b, "monitor", SUCCESS);
    assert_eq!(cluster.adm(a, &["role", "r0"]), "Primary/Secondary");

    manager.expect(a, "demote", SUCCESS);
    manager.expect(a, "monitor", SUCCESS);
    assert_eq!(cluster.adm(a, &["role", "r0"]), "Secondary/Secondary");
    manager.expect(b, "promote", SUCCESS);
    manager.expect(b, "monitor", RUNNING_MASTER);
    manager.expect(b, "demote", SUCCESS);

    for node in [b, a] {
        manager.expect(node, "stop", SUCCESS);
        manager.expect(node, "monitor", NOT_RUNNING);
        assert!(!cluster.device(node, 0).exists(), "{node}: the device is gone");
    }
    assert!(manager.score(a).contains("-D"), "{}", manager.score(a));
}

/// The tester of resource-agents is content with what the agent does on a node whose peer is there.
#[test]
fn the_tester_passes() {
    let manager = Manager::new("tester");
    let cluster = &manager.cluster;
    let (a, b) = (cluster.a(), cluster.b());
    for node in [a, b] {
        cluster.adm(node, &["up", "r0"]);
    }
    cluster.await_connected(a);
    cluster.adm(a, &["new-current-uuid", "--clear-bitmap", "r0/0"]);
    cluster.await_dstate("UpToDate/UpToDate");
    // It begins with what is up already.
    let conf = format!("drbdconf={}", cluster.conf().display());
    let tester = [TESTER, "-n", "p_r0", "-o", "drbd_resource=r0", "-o", &conf, AGENT];
    let output = manager.run(a, &[], &tester);
    let shown = text(&output);
    println!("{shown}");
    // What drbd-utils writes of its agent does not conform to the tester's DTD, on a kernel neither.
    let of_dtd = |line: &&str| line.contains("meta-data which does not conform");
    let complaints: Vec<&str> = shown.lines().filter(|line| line.starts_with("* rc=")).collect();
    assert!(complaints.iter().all(of_dtd), "{shown}");
    let ended = format!("failed {} tests", complaints.len());
    assert!(
        shown.contains(&ended) || shown.contains("passed all tests"),
        "not to the end: {shown}"
    );
    for optional in ["notify", "demote", "promote"] {
        assert!(!shown.contains(&format!("not support the {optional}")), "{shown}");
    }
    manager.expect(a, "monitor", NOT_RUNNING);
    assert_eq!(cluster.adm(b, &["role", "r0"]), "Secondary/Unknown");
    cluster.adm(b, &["down", "r0"]);
}
