// SPDX-License-Identifier: GPL-2.0-only
//! Connections to `umc web`: every user of the host may make some, and none may end it by making many.
//!
//! Who has asked for nothing yet waits in a list that has an end, and whoever comes then takes the place of the oldest: silent
//! connections do not bar one that asks at once.

use std::collections::VecDeque;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::http::Request;

/// Connections that have asked for nothing yet.
const SILENT_MAX: usize = 64;
/// No descriptor is left: one may be soon.
const SHORT_OF: Duration = Duration::from_millis(100);

/// In the order that they came in, with a number each.
type Silent = Arc<Mutex<VecDeque<(u64, TcpStream)>>>;

/// Has every request answered on a thread of its own.
pub fn serve(listener: &TcpListener, answer: impl Fn(Request) + Send + Sync + 'static) -> ! {
    let answer = Arc::new(answer);
    let silent = Silent::default();
    for number in 0.. {
        let new = listener.accept().and_then(|(new, _)| Ok((new.try_clone()?, new)));
        let Ok((seen, new)) = new else {
            crate::top::pause(SHORT_OF);
            continue;
        };
        let waits = Waits::of(seen, number, &silent);
        let answer = answer.clone();
        // Without another thread it is let go of.
        let _ = std::thread::Builder::new().spawn(move || {
            let request = Request::read(new);
            drop(waits);
            if let Ok(request) = request {
                answer(request);
            }
        });
    }
    unreachable!("more connections than numbers")
}

/// As long as it is there, a connection is one of the silent.
struct Waits {
    number: u64,
    silent: Silent,
}

impl Waits {
    fn of(seen: TcpStream, number: u64, silent: &Silent) -> Waits {
        let mut all = silent.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() == SILENT_MAX
            && let Some((_, oldest)) = all.pop_front()
        {
            // Its thread reads the end.
            let _ = oldest.shutdown(Shutdown::Both);
        }
        all.push_back((number, seen));
        Waits { number, silent: silent.clone() }
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        let mut all = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(number, _)| *number != self.number);
    }
}
