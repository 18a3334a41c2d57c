// SPDX-License-Identifier: GPL-2.0-only
//! A node whose `umcd` is a child of the test: its exit status and its log can be seen.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::{Cluster, PATIENCE, Start};

/// A part of the line that says so.
const IS_UP: &str = " is up, root ";

#[derive(Default)]
struct Log {
    lines: Mutex<(Vec<String>, bool)>,
    changed: Condvar,
}

/// See the module.
pub struct Foreground {
    child: Option<Child>,
    log: Arc<Log>,
    reader: Option<JoinHandle<()>>,
}

/// Arguments of a node with DRBD and its first disk, and these.
fn drbd(cluster: &Cluster, node: &str, args: &[&str]) -> Vec<String> {
    let disk = cluster.disk_spec(node, 0);
    let args = ["--modprobe", "drbd", "--disk", &disk].into_iter().chain(args.iter().copied());
    args.map(str::to_owned).collect()
}

impl Foreground {
    /// Starts `program` (umcd, or something that runs it) as a node of the cluster with DRBD and its first disk, and
    /// waits until it is up.
    pub fn start(cluster: &Cluster, node: &str, program: Command, args: &[&str]) -> Foreground {
        Foreground::start_with(cluster, node, program, &drbd(cluster, node, args))
    }

    /// The same with nothing but what `args` say.
    pub fn start_with(
        cluster: &Cluster,
        node: &str,
        program: Command,
        args: &[String],
    ) -> Foreground {
        let foreground = Foreground::spawn(cluster, node, program, args);
        foreground.await_line(IS_UP);
        foreground
    }

    /// The same for one that may refuse: its status and its log.
    pub fn try_start(
        cluster: &Cluster,
        node: &str,
        program: Command,
        args: &[&str],
    ) -> Result<Foreground, (ExitStatus, String)> {
        let foreground = Foreground::spawn(cluster, node, program, &drbd(cluster, node, args));
        match foreground.find_line(IS_UP) {
            Ok(_) => Ok(foreground),
            Err(_) => Err(foreground.wait()),
        }
    }

    fn spawn(cluster: &Cluster, node: &str, mut program: Command, args: &[String]) -> Foreground {
        let dir = cluster.dir.join("run").join(node);
        let mut child = program
            .args(["--name", node])
            .arg("--root")
            .arg(dir.join("root"))
            .arg("--state")
            .arg(dir.join("state"))
            .args(args)
            .env("UMC_RUNTIME_DIR", cluster.dir.join("run"))
            .env("UMC_DEBUG_CHECKS", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .start()
            .expect("umcd starts");
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let log = Arc::new(Log::default());
        let reader = std::thread::spawn({
            let log = Arc::clone(&log);
            move || {
                for line in stderr.split(b'\n').map_while(Result::ok) {
                    log.lines.lock().unwrap().0.push(String::from_utf8_lossy(&line).into_owned());
                    log.changed.notify_all();
                }
                log.lines.lock().unwrap().1 = true;
                log.changed.notify_all();
            }
        });
        Foreground { child: Some(child), log, reader: Some(reader) }
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Waits until a line of the log holds the text.
    pub fn await_line(&self, wanted: &str) -> String {
        self.find_line(wanted)
            .unwrap_or_else(|log| panic!("no line \"{wanted}\" in the log:\n{log}"))
    }

    /// The same; without such a line, the log up to its end.
    fn find_line(&self, wanted: &str) -> Result<String, String> {
        let guard = self.log.lines.lock().unwrap();
        let found = |lines: &[String]| lines.iter().find(|line| line.contains(wanted)).cloned();
        // A node under a tool is slow.
        let (guard, _) = self
            .log
            .changed
            .wait_timeout_while(guard, 3 * PATIENCE, |(lines, ended)| {
                found(lines).is_none() && !*ended
            })
            .unwrap();
        found(&guard.0).ok_or_else(|| guard.0.join("\n"))
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.pid().to_string()]).run_shown();
        assert!(status.is_ok_and(|status| status.success()));
    }

    /// Waits for its end: the status, and the whole log.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let mut child = self.child.take().expect("not waited for yet");
        let end = Instant::now() + 3 * PATIENCE;
        let status = loop {
            match child.try_wait().expect("its status") {
                Some(status) => break status,
                None if Instant::now() < end => std::thread::sleep(Duration::from_millis(10)),
                None => {
                    self.child = Some(child);
                    panic!(
                        "umcd does not end; its log:\n{}",
                        self.log.lines.lock().unwrap().0.join("\n")
                    );
                }
            }
        };
        self.reader.take().expect("not joined yet").join().expect("the reader");
        let lines = self.log.lines.lock().unwrap();
        (status, lines.0.join("\n"))
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
