// SPDX-License-Identifier: GPL-2.0-only
//! A headless Chromium, driven over a pair of pipes (`--remote-debugging-pipe`): records of JSON with a zero behind each.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use cluster::{PATIENCE, Start};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::host::children;

/// Names under which distributions have it.
const NAMES: [&str; 3] = ["chromium", "chromium-headless-shell", "chromium-browser"];

/// One page in a browser, which is ended when this is dropped.
pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    session: Option<String>,
    last: u64,
}

impl Browser {
    /// Opens a page of this size; nothing where no such browser is installed. All that it writes is in `dir`.
    pub fn open(url: &str, width: u32, height: u32, dir: &Path) -> Option<Browser> {
        let path = std::env::var_os("PATH")?;
        let mut dirs = std::env::split_paths(&path);
        let program = dirs
            .find_map(|dir| NAMES.map(|name| dir.join(name)).into_iter().find(|f| f.is_file()))?;
        // The pipes that a test has are those of its input and output; the browser wants them elsewhere.
        let script = "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1";
        // The browser is the first process of a namespace, and what it starts ends with it.
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "sh", "-c", script, "sh"]).arg(program);
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]);
        command.args(["--remote-debugging-pipe", &format!("--window-size={width},{height}")]);
        command.arg(format!("--user-data-dir={}", dir.join(format!("profile-{width}")).display()));
        // The socket there has a name that may not be long.
        command.env("TMPDIR", dir);
        // unshare says that it was no end by itself.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        #[allow(clippy::zombie_processes, reason = "waited for when it is dropped")]
        let mut child = command.start().expect("the browser starts");
        let (to, records) = (
            child.stdin.take().expect("a pipe"),
            BufReader::new(child.stdout.take().expect("a pipe")),
        );
        let (sender, from) = channel();
        #[allow(clippy::disallowed_methods, reason = "a test program, not part of a node")]
        std::thread::spawn(move || {
            for record in records.split(0).map_while(Result::ok) {
                let _ = serde_json::from_slice(&record).map(|record| sender.send(record));
            }
        });
        let mut browser = Browser { child, to, from, session: None, last: 0 };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let target = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", target);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        browser.call(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false }),
        );
        browser.call("Page.navigate", json!({ "url": url }));
        Some(browser)
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let mut record = json!({ "id": self.last, "method": method, "params": params });
        if let Some(session) = &self.session {
            record["sessionId"] = session.as_str().into();
        }
        self.to.write_all(format!("{record}\0").as_bytes()).expect("the browser listens");
        loop {
            let mut answer = self.from.recv_timeout(PATIENCE).expect("the browser answers");
            if answer["id"] == self.last {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].take();
            }
        }
    }

    /// The value of an expression on the page.
    pub fn value(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true });
        self.call("Runtime.evaluate", params)["result"]["value"].take()
    }

    /// A click in the middle of the element that a selector finds first.
    pub fn click(&mut self, selector: &str) {
        let at = self.value(&format!(
            "(() => {{ const b = document.querySelector({selector:?}).getBoundingClientRect(); \
             return [b.x + b.width / 2, b.y + b.height / 2] }})()"
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            let params =
                json!({ "type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", params);
        }
    }

    /// A picture of the page, PNG in base64.
    pub fn picture(&mut self) -> String {
        let picture = self.call("Page.captureScreenshot", json!({}));
        picture["data"].as_str().expect("a picture").to_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The namespace is empty before the one who waits for its first process ends.
        match children(self.child.id()).first() {
            Some((first, _)) => _ = kill(Pid::from_raw(*first as i32), Signal::SIGKILL),
            None => _ = self.child.kill(),
        }
        let _ = self.child.wait();
    }
}
