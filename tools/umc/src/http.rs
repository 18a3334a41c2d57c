// SPDX-License-Identifier: GPL-2.0-only
//! One request and one answer of HTTP on a connection, for [`metrics`](crate::metrics) and [`web`](crate::web).
//!
//! Both are read by programs of the host that nobody vouches for: a request has so much time and so many bytes, and whoever
//! needs more is sent away. Headers of a request say nothing that is wanted here.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A request has to be here by then, and each part of an answer be taken.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of a request's head.
const HEAD_MAX: usize = 16 << 10;
/// What ends the head.
const END: &[u8] = b"\r\n\r\n";

/// What somebody asks for.
pub struct Request {
    /// As it was sent: `GET`.
    pub method: String,
    path: String,
    query: String,
    to: TcpStream,
}

impl Request {
    /// The request on a new connection.
    ///
    /// # Errors
    /// It does not come, not in time, or is none; nobody is told.
    pub fn read(mut from: TcpStream) -> io::Result<Request> {
        from.set_write_timeout(Some(PATIENCE))?;
        #[allow(clippy::disallowed_methods, reason = "no node's time")]
        let now = Instant::now;
        let end = now() + PATIENCE;
        let (mut head, mut part, mut seen) = (Vec::new(), [0; 1024], 0);
        while !head[seen..].windows(END.len()).any(|at| at == END) {
            seen = (head.len() + 1).saturating_sub(END.len());
            let left = end.saturating_duration_since(now());
            if left.is_zero() || head.len() > HEAD_MAX {
                return Err(ErrorKind::TimedOut.into());
            }
            from.set_read_timeout(Some(left))?;
            match from.read(&mut part)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                len => head.extend(&part[..len]),
            }
        }
        let head = String::from_utf8_lossy(&head);
        let mut words = head.lines().next().unwrap_or_default().split(' ');
        let (Some(method), Some(target), Some(_)) = (words.next(), words.next(), words.next())
        else {
            return Err(ErrorKind::InvalidData.into());
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (method, path, query) = (method.to_owned(), path.to_owned(), query.to_owned());
        Ok(Request { method, path, query, to: from })
    }

    /// What is asked for, without the query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// A value of the query, as it was sent.
    pub fn value(&self, key: &str) -> Option<String> {
        let mut pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(name, _)| *name == key).map(|(_, value)| value.to_owned())
    }

    /// The answer, and the end of the connection.
    ///
    /// # Errors
    /// Nobody takes it.
    pub fn answer(self, status: Status, headers: &[(&str, &str)], body: &str) -> io::Result<()> {
        let length = body.len().to_string();
        let mut to = self.begin(status, &[headers, &[("Content-Length", &length)]].concat())?;
        to.write_all(body.as_bytes())
    }

    /// The beginning of an answer that ends with the connection.
    ///
    /// # Errors
    /// Nobody takes it.
    pub fn begin(mut self, status: Status, headers: &[(&str, &str)]) -> io::Result<TcpStream> {
        let mut head = format!("HTTP/1.1 {}\r\nConnection: close\r\n", status.0);
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        self.to.write_all(format!("{head}\r\n").as_bytes())?;
        Ok(self.to)
    }
}

/// What became of a request.
#[derive(Clone, Copy)]
pub struct Status(&'static str);

impl Status {
    pub const OK: Status = Status("200 OK");
    pub const FORBIDDEN: Status = Status("403 Forbidden");
    pub const NOT_FOUND: Status = Status("404 Not Found");
    pub const METHOD_NOT_ALLOWED: Status = Status("405 Method Not Allowed");
    pub const INTERNAL_SERVER_ERROR: Status = Status("500 Internal Server Error");
}
