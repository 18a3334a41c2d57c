// SPDX-License-Identifier: GPL-2.0-only
//! `umc web`: clusters as a graph in the browser.
//!
//! The page is in this program, and asks for nothing from elsewhere. It listens on a loopback address, and answers those only
//! who know the token of the address that is printed: other users of the host may reach the port. What it shows comes as
//! Server-Sent Events, after each change that a node's events2 tells and at least once a second; [`packets`] are asked for.

mod packets;

use std::io::{Read as _, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use clap::Args;
use serde_json::json;
use tiny_http::{Header, Method, Request, Response, Server};

use crate::top::follow::Follow;
use crate::top::json;
use crate::top::look::Look;
use crate::top::target::{Chosen, Target};
use packets::Captures;

const PAGE: &str = include_str!("web/page.html");
const SCRIPT: &str = include_str!("web/page.js");
const STYLE: &str = include_str!("web/page.css");

/// Bytes of a token.
const TOKEN_BYTES: usize = 16;
/// At least so often a page hears something.
const TICK: Duration = Duration::from_secs(1);
/// Changes so close together are one.
const TOGETHER: Duration = Duration::from_millis(80);
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
        let server = Server::http(self.listen).map_err(|error| {
            anyhow!(
                "Cannot listen on {}: {error}. Choose another address: --listen 127.0.0.1:0",
                self.listen
            )
        })?;
        let site = Site {
            chosen: self.chosen.clone(),
            token: token()?,
            captures: Mutex::new(Captures::default()),
        };
        let site = Arc::new(site);
        println!("http://{}/?token={}", server.server_addr(), site.token);
        std::io::stdout().flush()?;
        for request in server.incoming_requests() {
            let site = site.clone();
            // Whoever asks may stay: each has a thread.
            #[allow(clippy::disallowed_methods, reason = "no node's thread")]
            std::thread::spawn(move || site.answer(request));
        }
        Ok(())
    }
}

/// Nobody guesses it.
fn token() -> Result<String> {
    let mut bytes = [0; TOKEN_BYTES];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Site {
    fn answer(&self, request: Request) {
        let url = request.url().to_owned();
        let (path, query) = url.split_once('?').unwrap_or((&url, ""));
        let value = |key: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.into_iter().find(|(name, _)| *name == key).map(|(_, value)| value.to_owned())
        };
        // A guess tells nothing by how long the answer takes: no byte is left out.
        let given = value("token").unwrap_or_default();
        let is_known = given.len() == self.token.len()
            && given.bytes().zip(self.token.bytes()).fold(0, |all, (a, b)| all | (a ^ b)) == 0;
        let (status, kind, body) = match (request.method(), path) {
            (Method::Get, _) if !is_known => (
                403,
                "text/plain",
                "This wants the token: open the address that umc web printed\n".to_owned(),
            ),
            (Method::Get, "/") => (200, "text/html", PAGE.replace("@TOKEN@", &self.token)),
            (Method::Get, "/page.js") => (200, "text/javascript", SCRIPT.to_owned()),
            (Method::Get, "/page.css") => (200, "text/css", STYLE.to_owned()),
            (Method::Get, "/events") => {
                // It ends when nobody listens any more.
                let _ = self.feed(request);
                return;
            }
            (Method::Get, "/log") => self.text(self.log(value("cluster"), value("node"))),
            (Method::Get, "/packets") => {
                self.text(self.packets(value("cluster"), value("a"), value("b")))
            }
            (Method::Get, _) => (404, "text/plain", format!("There is no {path}\n")),
            _ => (405, "text/plain", "This page changes nothing: GET only\n".to_owned()),
        };
        let mut response = Response::from_string(body).with_status_code(status);
        for (name, value) in [
            ("Content-Type", format!("{kind}; charset=utf-8")),
            ("Cache-Control", "no-store".into()),
            ("Referrer-Policy", "no-referrer".into()),
            ("X-Content-Type-Options", "nosniff".into()),
            ("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'".into()),
        ] {
            response.add_header(header(name, &value));
        }
        let _ = request.respond(response);
    }

    fn text(&self, result: Result<String>) -> (u16, &'static str, String) {
        match result {
            Ok(body) => (200, "text/plain", body),
            Err(error) => (404, "text/plain", format!("{error:#}\n")),
        }
    }

    /// Looks, until the connection breaks.
    fn feed(&self, request: Request) -> Result<()> {
        let mut to = request.into_writer();
        write!(
            to,
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
        )?;
        let mut follow = Follow::begin(&self.chosen);
        let mut before = Look::at(&self.chosen)?;
        loop {
            let now = Look::at(&self.chosen)?;
            write!(to, "data: {}\n\n", json::of(&before, &now))?;
            to.flush()?;
            self.captures().renew(&self.chosen);
            // What comes close behind a change is shown with it.
            if follow.wait(TICK) {
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
        let text = crate::cluster::check(crate::cluster::run_to_end(&mut command)?, || {
            format!("node {name}")
        })?;
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
        let frames = captures.between(&a, &b)?;
        Ok(json!({ "a": a.name, "b": b.name, "packets": frames }).to_string())
    }
}

fn header(name: &str, value: &str) -> Header {
    // Both are written above, without what a header may not have.
    Header::from_bytes(name, value).unwrap_or_else(|()| unreachable!("{name}: {value}"))
}
