// SPDX-License-Identifier: GPL-2.0-only
//! Stands for the cluster manager: calls agents as Pacemaker does, and keeps what they tell it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use cluster::{Cluster, Layout, text};

/// Where agents are.
pub const AGENTS: &str = "/usr/lib/ocf/resource.d";
const FUNCTIONS: &str = "/usr/lib/ocf/lib/heartbeat/ocf-shellfuncs";

/// Exit statuses of an action.
pub const SUCCESS: i32 = 0;
pub const NOT_RUNNING: i32 = 7;
pub const RUNNING_MASTER: i32 = 8;

/// Something that an agent manages.
pub struct Resource {
    /// The agent, below [`AGENTS`].
    agent: &'static str,
    /// What the manager calls it.
    name: &'static str,
    parameters: Vec<(&'static str, String)>,
}

impl Resource {
    pub fn new(agent: &'static str, name: &'static str) -> Resource {
        Resource { agent, name, parameters: Vec::new() }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Resource {
        self.parameters.push((name, value.into()));
        self
    }

    /// The agent's program.
    pub fn program(&self) -> String {
        format!("{AGENTS}/{}", self.agent)
    }

    fn environment(&self) -> impl Iterator<Item = String> {
        let (provider, kind) = self.agent.split_once('/').expect("PROVIDER/TYPE");
        let about = [("INSTANCE", self.name), ("TYPE", kind), ("PROVIDER", provider)];
        let about = about.map(|(name, value)| format!("OCF_RESOURCE_{name}={value}"));
        let given =
            self.parameters.iter().map(|(name, value)| format!("OCF_RESKEY_{name}={value}"));
        about.into_iter().chain(given)
    }
}

/// The manager of a cluster of two.
pub struct Manager {
    pub cluster: Cluster,
    /// The replicated device.
    pub drbd: Resource,
    /// Programs that stand for Pacemaker's.
    bin: PathBuf,
    /// More of what agents find in their environment.
    pub environment: Vec<String>,
}

impl Manager {
    pub fn new(name: &str, layout: Layout) -> Manager {
        for file in [&format!("{AGENTS}/linbit/drbd"), FUNCTIONS] {
            assert!(
                Path::new(file).exists(),
                "{file} is missing: apt-get install drbd-utils resource-agents"
            );
        }
        let cluster = Cluster::new(name, layout);
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
        let mut drbd = Resource::new("linbit/drbd", "p_r0:0").with("drbd_resource", "r0");
        drbd = drbd.with("drbdconf", cluster.conf().display().to_string());
        for (name, value) in [
            ("CRM_meta_clone_max", "2"),
            ("CRM_meta_clone_node_max", "1"),
            ("CRM_meta_master_max", "1"),
            ("CRM_meta_master_node_max", "1"),
            ("CRM_meta_notify", "true"),
            ("CRM_meta_globally_unique", "false"),
        ] {
            drbd = drbd.with(name, value);
        }
        drbd = drbd.with("CRM_meta_notify_start_uname", cluster.nodes.join(" "));
        for node in &cluster.nodes {
            // Locks of agents are a node's.
            fs::create_dir_all(cluster.dir.join("rsctmp").join(node)).expect("a directory");
            cluster.adm(node, &["create-md", "--force", "r0"]);
        }
        Manager { cluster, drbd, bin, environment: Vec::new() }
    }

    /// An action of an agent on a node; `extra` are `NAME=VALUE`.
    fn act(&self, node: &str, resource: &Resource, action: &str, extra: &[String]) -> i32 {
        let output = self.run(node, resource, extra, &[&resource.program(), action]);
        println!("--- {node} {} {action}: {}", resource.name, text(&output));
        output.status.code().expect("the agent was not killed")
    }

    /// A program on a node, with what Pacemaker would set.
    pub fn run(
        &self,
        node: &str,
        resource: &Resource,
        extra: &[String],
        program: &[&str],
    ) -> Output {
        let bin = self.bin.display();
        let mut command = vec![
            "env".to_owned(),
            format!("PATH={bin}:/usr/sbin:/usr/bin:/sbin:/bin"),
            "OCF_ROOT=/usr/lib/ocf".to_owned(),
            "OCF_RA_VERSION_MAJOR=1".to_owned(),
            "OCF_RA_VERSION_MINOR=0".to_owned(),
            format!("HA_LOGFILE={}", self.log().display()),
            "HA_debug=0".to_owned(),
            format!("HA_SBIN_DIR={bin}"),
            format!("HA_RSCTMP={}/rsctmp/{node}", self.cluster.dir.display()),
            "OCF_RESKEY_crm_feature_set=3.15.0".to_owned(),
            "OCF_RESKEY_CRM_meta_timeout=60000".to_owned(),
            "OCF_RESKEY_CRM_meta_interval=0".to_owned(),
        ];
        command.extend(resource.environment());
        command.extend(self.environment.iter().chain(extra).cloned());
        let mut command: Vec<&str> = command.iter().map(String::as_str).collect();
        command.extend(program);
        self.cluster.on(node, &command)
    }

    /// An action that has to end with this status.
    pub fn expect_of(&self, node: &str, resource: &Resource, action: &str, status: i32) {
        let ended = self.act(node, resource, action, &[]);
        let said = || fs::read_to_string(self.log()).unwrap_or_default();
        assert_eq!(ended, status, "{action} of {} on {node}\n{}", resource.name, said());
    }

    /// What agents say.
    fn log(&self) -> PathBuf {
        self.cluster.dir.join("agents.log")
    }

    /// The same of the replicated device.
    pub fn expect(&self, node: &str, action: &str, status: i32) {
        self.expect_of(node, &self.drbd, action, status);
    }

    pub fn notify(&self, node: &str, when: &str, operation: &str) {
        let extra = [
            format!("OCF_RESKEY_CRM_meta_notify_type={when}"),
            format!("OCF_RESKEY_CRM_meta_notify_operation={operation}"),
        ];
        let ended = self.act(node, &self.drbd, "notify", &extra);
        assert_eq!(ended, SUCCESS, "notify {when}-{operation} on {node}");
    }

    /// Starts the replicated device on both nodes, and awaits that both are in sync.
    pub fn start_both(&self) {
        let cluster = &self.cluster;
        // At once: each waits a while for the other.
        std::thread::scope(|scope| {
            for node in &cluster.nodes {
                scope.spawn(|| self.expect(node, "start", SUCCESS));
            }
        });
        for node in &cluster.nodes {
            self.expect(node, "monitor", SUCCESS);
            self.notify(node, "post", "start");
        }
        cluster.await_connected(cluster.a());
        cluster.adm(cluster.a(), &["new-current-uuid", "--clear-bitmap", "r0/0"]);
        cluster.await_dstate("UpToDate/UpToDate");
    }

    /// What the agent told the cluster manager last about a node.
    pub fn score(&self, node: &str) -> String {
        let scores = fs::read_to_string(self.cluster.dir.join("scores")).expect("the scores");
        let mine =
            |line: &&str| line.starts_with(node) && (line.contains(" -v ") || line.contains(" -D"));
        scores.lines().rfind(mine).unwrap_or_default().to_owned()
    }
}
