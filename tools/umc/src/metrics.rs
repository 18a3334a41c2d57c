// SPDX-License-Identifier: GPL-2.0-only
//! `umc metrics`: an endpoint for Prometheus.
//!
//! What drbd-reactor has a name for has that name and its labels, and one more that says which node it is of: panels and
//! alerts that were made for it work here. The rest begins with `umc_`.

mod text;

use std::net::{SocketAddr, TcpListener, TcpStream};

use anyhow::{Context, Result};
use clap::Args;

use crate::http::{Request, Status};
use crate::top::look::Look;
use crate::top::target::Chosen;
use text::text;

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

    fn answer(&self, connection: TcpStream) -> std::io::Result<()> {
        let request = Request::read(connection)?;
        let (status, body) = match (&*request.method, request.path()) {
            ("GET", "/metrics") => match Look::at(&self.chosen) {
                Ok(look) => (Status::OK, text(&look)),
                Err(error) => (Status::INTERNAL_SERVER_ERROR, format!("{error:#}\n")),
            },
            _ => (Status::NOT_FOUND, "It is at /metrics\n".to_owned()),
        };
        let kind = "text/plain; version=0.0.4; charset=utf-8";
        request.answer(status, &[("Content-Type", kind)], &body)
    }
}
