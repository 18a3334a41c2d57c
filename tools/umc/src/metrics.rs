// SPDX-License-Identifier: GPL-2.0-only
//! `umc metrics`: an endpoint for Prometheus.
//!
//! What drbd-reactor has a name for has that name and its labels, and one more that says which node it is of: panels and
//! alerts that were made for it work here. The rest begins with `umc_`.

mod text;

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use crate::top::look::Look;
use crate::top::target::Chosen;
use text::text;

/// A scraper that sends nothing for so long is sent away.
const PATIENCE: Duration = Duration::from_secs(5);
/// Lines of a request that are read.
const LINES_MAX: usize = 100;

/// `umc metrics`.
#[derive(Args)]
pub struct MetricsCommand {
    #[command(flatten)]
    chosen: Chosen,
    /// Where to listen: /metrics there. 9942 is the port of drbd-reactor
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9942")]
    listen: SocketAddr,
    /// Print them once instead
    #[arg(long)]
    once: bool,
}

impl MetricsCommand {
    /// Serves until it is ended.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn run(&self) -> Result<()> {
        if self.once {
            print!("{}", text(&Look::at(&self.chosen)?));
            return Ok(());
        }
        let listener = TcpListener::bind(self.listen).with_context(|| {
            format!(
                "Cannot listen on {}. Choose another address: --listen 127.0.0.1:PORT",
                self.listen
            )
        })?;
        let at = listener.local_addr().context("Cannot say where this listens")?;
        println!("Metrics are at http://{at}/metrics");
        for connection in listener.incoming() {
            // One that fails is the scraper's own trouble.
            let _ = connection.and_then(|connection| self.answer(connection));
        }
        Ok(())
    }

    fn answer(&self, mut to: TcpStream) -> std::io::Result<()> {
        to.set_read_timeout(Some(PATIENCE))?;
        to.set_write_timeout(Some(PATIENCE))?;
        let lines = BufReader::new(to.try_clone()?).lines();
        let head: Vec<String> = lines
            .take(LINES_MAX)
            .map_while(Result::ok)
            .take_while(|line| !line.is_empty())
            .collect();
        let path = head.first().and_then(|line| line.strip_prefix("GET "));
        let path = path.and_then(|line| line.split(' ').next()).unwrap_or_default();
        let (status, body) = match path.split('?').next() {
            Some("/metrics") => match Look::at(&self.chosen) {
                Ok(look) => ("200 OK", text(&look)),
                Err(error) => ("500 Internal Server Error", format!("{error:#}\n")),
            },
            _ => ("404 Not Found", "It is at /metrics\n".to_owned()),
        };
        write!(
            to,
            "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    }
}
