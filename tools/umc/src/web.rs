// SPDX-License-Identifier: GPL-2.0-only
//! `umc web`: clusters as a graph in the browser.
//!
//! The page is in this program, and asks for nothing from elsewhere. It listens on a loopback address, and answers those only
//! who know the token of the address that is printed: other users of the host may reach the port. What it shows comes as
//! Server-Sent Events, after each change that a node's events2 tells and at least once a second; [`packets`] are asked for.

mod door;
mod packets;

use std::io::{Read as _, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use nix::sys::signal::{SigHandler, Signal, signal};
use serde_json::json;

use crate::http::{Request, Status};
use crate::top::follow::Follow;
use crate::top::json;
use crate::top::look::Look;
use crate::top::target::{Chosen, Target};
use packets::{Between, Captures};

const PAGE: &str = include_str!("web/page.html");
const SCRIPT: &str = include_str!("web/page.js");
const STYLE: &str = include_str!("web/page.css");

/// Bytes of a token.
const TOKEN_BYTES: usize = 16;
/// At least so often a page hears something.
const TICK: Duration = Duration::from_secs(1);
/// Variable that sets another number of seconds, for tests of what comes without it.
const TICK_S: &str = "UMC_WEB_TICK_S";
/// Changes so close together are one.
const TOGETHER: Duration = Duration::from_millis(80);
/// A node shows its log at once.
const LOG_PATIENCE: Duration = Duration::from_secs(10);
/// Of a kernel log its last lines are shown.
const LOG_LINES_MAX: usize = 400;

/// `umc web`.
#[derive(Args)]
pub struct WebCommand {
    #[command(flatten)]
    chosen: Chosen,
    /// Where to listen: a loopback address, and a port, or 0 for any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

/// What every request is answered from.
struct Site {
    chosen: Chosen,
    token: String,
    captures: Mutex<Captures>,
    tick: Duration,
}

/// As long as it is there, a page is open.
struct Page<'a>(&'a Site);

impl Page<'_> {
    fn open(site: &Site) -> Page<'_> {
        site.captures().page_opens();
        Page(site)
    }
}

impl Drop for Page<'_> {
    fn drop(&mut self) {
        self.0.captures().page_closes();
    }
}

impl WebCommand {
    /// Serves until it is ended.
    ///
    /// # Errors
    /// The address is none of this machine alone, or cannot be listened on.
    pub fn run(&self) -> Result<()> {
        ensure!(
            self.listen.ip().is_loopback(),
            "{} can be reached from elsewhere, and what is sent is not encrypted. Listen on 127.0.0.1; from another machine: \
             ssh -L PORT:127.0.0.1:PORT",
            self.listen.ip()
        );
        let listener = TcpListener::bind(self.listen).with_context(|| {
            format!(
                "Cannot listen on {}. Choose another address: --listen 127.0.0.1:0",
                self.listen
            )
        })?;
        let at = listener.local_addr().context("Cannot say where this listens")?;
        let site = Site {
            chosen: self.chosen.clone(),
            token: token()?,
            captures: Mutex::new(Captures::default()),
            tick: tick()?,
        };
        // What a helper no longer hears, and what a browser no longer reads, is an error there and no end here.
        // SAFETY: to be ignored takes no handler.
        unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) }.context("Cannot ignore SIGPIPE")?;
        println!("http://{at}/?token={}", site.token);
        std::io::stdout().flush()?;
        door::serve(&listener, move |request| site.answer(request))
    }
}

/// How long nothing need change until a page hears something.
fn tick() -> Result<Duration> {
    let Some(set) = std::env::var_os(TICK_S) else { return Ok(TICK) };
    let seconds = set.to_str().and_then(|text| text.parse().ok()).filter(|seconds| *seconds > 0);
    let seconds = seconds.with_context(|| {
        format!("{TICK_S} is a number of seconds, not {}", set.to_string_lossy())
    })?;
    Ok(Duration::from_secs(seconds))
}

/// Nobody guesses it.
fn token() -> Result<String> {
    let mut bytes = [0; TOKEN_BYTES];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Site {
    fn answer(&self, request: Request) {
        // A guess tells nothing by how long the answer takes: no byte is left out.
        let given = request.value("token").unwrap_or_default();
        let value = |key| request.value(key);
        let is_known = given.len() == self.token.len()
            && given.bytes().zip(self.token.bytes()).fold(0, |all, (a, b)| all | (a ^ b)) == 0;
        let (status, kind, body) = match (&*request.method, request.path()) {
            ("GET", _) if !is_known => (
                Status::FORBIDDEN,
                "text/plain",
                "This wants the token: open the address that umc web printed\n".to_owned(),
            ),
            ("GET", "/") => (Status::OK, "text/html", PAGE.replace("@TOKEN@", &self.token)),
            ("GET", "/page.js") => (Status::OK, "text/javascript", SCRIPT.to_owned()),
            ("GET", "/page.css") => (Status::OK, "text/css", STYLE.to_owned()),
            ("GET", "/events") => {
                // It ends when nobody listens any more.
                let _ = self.feed(request);
                return;
            }
            ("GET", "/log") => self.text(self.log(value("cluster"), value("node"))),
            ("GET", "/packets") => {
                self.text(self.packets(value("cluster"), value("a"), value("b")))
            }
            ("GET", path) => (Status::NOT_FOUND, "text/plain", format!("There is no {path}\n")),
            _ => (
                Status::METHOD_NOT_ALLOWED,
                "text/plain",
                "This page changes nothing: GET only\n".to_owned(),
            ),
        };
        let kind = format!("{kind}; charset=utf-8");
        let headers = [
            ("Content-Type", &*kind),
            ("Cache-Control", "no-store"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
            ("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'"),
        ];
        let _ = request.answer(status, &headers, &body);
    }

    fn text(&self, result: Result<String>) -> (Status, &'static str, String) {
        match result {
            Ok(body) => (Status::OK, "text/plain", body),
            Err(error) => (Status::NOT_FOUND, "text/plain", format!("{error:#}\n")),
        }
    }

    /// Looks, until the connection breaks.
    fn feed(&self, request: Request) -> Result<()> {
        let headers = [("Content-Type", "text/event-stream"), ("Cache-Control", "no-store")];
        let mut to = request.begin(Status::OK, &headers)?;
        let _page = Page::open(self);
        let mut follow = Follow::begin(&self.chosen);
        let mut before = Look::at(&self.chosen)?;
        loop {
            let now = Look::at(&self.chosen)?;
            write!(to, "data: {}\n\n", json::of(&before, &now))?;
            to.flush()?;
            self.captures().renew(&self.chosen);
            // What comes close behind a change is shown with it.
            if follow.wait(self.tick) {
                crate::top::pause(TOGETHER);
                let _ = follow.has_changed();
            }
            follow.renew();
            before = now;
        }
    }

    fn captures(&self) -> std::sync::MutexGuard<'_, Captures> {
        self.captures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn target(&self, cluster: Option<String>, node: Option<String>) -> Result<Target> {
        let (cluster, node) = (cluster.filter(|name| !name.is_empty()), node.unwrap_or_default());
        let mut targets = self.chosen.targets()?.into_iter();
        let of = |target: &Target| {
            target.cluster.as_ref().map(|(live, _)| live.place.name.clone()) == cluster
        };
        let found = targets.find(|target| target.name == node && of(target));
        found.ok_or_else(|| anyhow!("There is no node {node}"))
    }

    /// The last lines of a kernel log.
    fn log(&self, cluster: Option<String>, node: Option<String>) -> Result<String> {
        let target = self.target(cluster, node)?;
        let name = target.name.as_str();
        ensure!(target.record.is_some(), "Node {name} is dead. Start it: umc cluster start {name}");
        let mut command = target.stock(&["dmesg", "--time-format", "iso"])?;
        let output = crate::cluster::run_within(&mut command, LOG_PATIENCE)?;
        let text = crate::cluster::check(output, || format!("node {name}"))?;
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(LOG_LINES_MAX);
        Ok(lines[from..].join("\n") + "\n")
    }

    /// What arrived last over a link, as JSON.
    fn packets(
        &self,
        cluster: Option<String>,
        a: Option<String>,
        b: Option<String>,
    ) -> Result<String> {
        let (a, b) = (self.target(cluster.clone(), a)?, self.target(cluster, b)?);
        let mut captures = self.captures();
        captures.renew(&self.chosen);
        let Between { packets, failed } = captures.between(&a, &b)?;
        let shown = json!({ "a": a.name, "b": b.name, "packets": packets, "failed": failed });
        Ok(shown.to_string())
    }
}
