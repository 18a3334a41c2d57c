// SPDX-License-Identifier: GPL-2.0-only
//! `umc handler check`: does a handler keep the rules of its ABI?
//!
//! The checks run in a child process, because a handler may end the process it is loaded in. Each rule is printed as
//! kept, broken or not applicable; what cannot be checked after a broken rule is left out.

#![allow(
    clippy::multiple_unsafe_ops_per_block,
    reason = "one SAFETY line for what the contract of the handler ABI covers"
)]
#![allow(clippy::disallowed_methods)] // a program of its own, not part of a node

mod request;
mod rules;
mod session;

use std::ffi::{CStr, CString, OsString};
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use handlers::abi::Handler;
use handlers::{image, registry};
use rules::Check;
use session::{Failure, Session};

/// Tells the child that it is the child.
const WORKER: &str = "UMC_HANDLER_CHECK_WORKER";

/// How long a completion that must not come is waited for.
const SETTLE: Duration = Duration::from_millis(200);

const USAGE: &str = "Usage: umc handler check [--volatile] FILE.so CONFIG[,size=N]\n\
    CONFIG is what follows the subtype, for example /srv/disk.img. The image is overwritten.\n\
    --volatile: the handler keeps nothing over close, as a ram disk.";

struct Arguments {
    file: PathBuf,
    config: String,
    size: Option<u64>,
    volatile: bool,
}

fn arguments() -> Result<Arguments, String> {
    let mut words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let volatile = words.first().is_some_and(|word| word == "--volatile");
    if volatile {
        words.remove(0);
    }
    let [file, config] = words.as_slice() else { return Err(USAGE.into()) };
    let config = config.to_str().ok_or("The config is not UTF-8.")?;
    let (config, size) = match config.rsplit_once(",size=") {
        None => (config, None),
        Some((config, size)) => {
            let size = image::size_option(&format!(";size={size}"));
            (config, size.map_err(|text| format!("size={text} is no size. Examples: 64M, 1G."))?)
        }
    };
    Ok(Arguments { file: file.into(), config: config.into(), size, volatile })
}

/// Prints and counts.
#[derive(Default)]
struct Report {
    broken: u32,
}

impl Report {
    fn line(&self, verdict: &str, rule: &str, text: &str) {
        let colon = if text.is_empty() { "" } else { ": " };
        println!("{verdict:<7} {rule}{colon}{text}");
    }

    fn rule(&mut self, rule: &str, result: Option<Result<(), Failure>>) {
        match result {
            Some(Ok(())) => self.line("kept", rule, ""),
            None => self.line("absent", rule, "the handler has no such call"),
            Some(Err(Failure::Broken(text))) => {
                self.broken += 1;
                self.line("broken", rule, &text);
            }
            Some(Err(Failure::Stuck(text))) => {
                self.broken += 1;
                self.line("broken", rule, &text);
                // What can still be said without calling it.
                self.rule("completes once", Some(rules::completions()));
                self.line(
                    "ended",
                    "the handler holds a request, or cannot be opened: nothing more is checked",
                    "",
                );
                FINISHED.store(true, SeqCst);
                std::process::exit(1);
            }
        }
    }

    fn code(&self) -> ExitCode {
        match self.broken {
            0 => println!("The handler keeps every rule that was checked."),
            1 => println!("The handler breaks 1 rule."),
            broken => println!("The handler breaks {broken} rules."),
        }
        ExitCode::from(u8::from(self.broken > 0))
    }
}

fn check_config(handler: &Handler, spec: &str) -> Option<Result<(), Failure>> {
    let check = handler.check_config?;
    let spec = CString::new(spec).ok()?;
    let mut reason = std::ptr::null_mut();
    // SAFETY: the ABI's contract: a string, and a place for one that the caller frees.
    if unsafe { check(spec.as_ptr(), &raw mut reason) } {
        return Some(Ok(()));
    }
    let text = if reason.is_null() {
        "refused without a reason".to_owned()
    } else {
        // SAFETY: the handler left a string. It is not freed: the process ends soon.
        unsafe { CStr::from_ptr(reason) }.to_string_lossy().into_owned()
    };
    Some(Err(Failure::Broken(text)))
}

/// The size to ask for: that of the words, else that of the image.
fn size(arguments: &Arguments, subtype: &str) -> Result<u64, String> {
    if let Some(size) = arguments.size {
        return Ok(size);
    }
    let path = image::path_of(&arguments.config)
        .ok_or("Its size is unknown. Add ,size=64M for example.")?;
    image::size_of(&path, subtype).map_err(|error| {
        format!("{}: {error}. Create the image, or add ,size=64M for example.", path.display())
    })
}

/// The checks are over, and the process may exit.
static FINISHED: AtomicBool = AtomicBool::new(false);

/// A handler that calls `exit` does not look like the end of the checks.
extern "C" fn exits() {
    if !FINISHED.load(SeqCst) {
        println!("broken  lives: it called exit in the rule after the last one above");
        println!("The handler breaks 1 rule or more.");
        let _ = io::stdout().flush();
        // SAFETY: ends the process.
        unsafe { libc::_exit(1) };
    }
}

fn check(arguments: &Arguments) -> Result<ExitCode, String> {
    // SAFETY: a function that is there until the end.
    unsafe { libc::atexit(exits) };
    let result = check_rules(arguments);
    FINISHED.store(true, SeqCst);
    result
}

fn check_rules(arguments: &Arguments) -> Result<ExitCode, String> {
    let loaded = registry::load_file(&arguments.file).map_err(|error| error.to_string())?;
    let handler = loaded[0];
    let subtype = registry::subtype(handler);
    if let Some(path) = image::path_of(&arguments.config)
        && let Some(why) = image::objection(&path, subtype)
            .map_err(|error| format!("{}: {error}.", path.display()))?
    {
        return Err(format!("{}: {why}. {}", path.display(), image::CONVERT));
    }
    let size = size(arguments, subtype)?;
    let spec = format!("{subtype}/{}", arguments.config);
    let mut report = Report::default();
    report.line("kept", "loads", &format!("subtype {subtype}, nr_threads {}", handler.nr_threads));
    report.rule("accepts its config", check_config(handler, &spec));
    let session = match Session::open(handler, &spec, size) {
        Ok(session) => session,
        Err(text) => {
            report.rule("opens", Some(Err(Failure::Broken(text))));
            return Ok(report.code());
        }
    };
    report.line(
        "kept",
        "opens",
        &format!("{} blocks of {} bytes", session.size / session.block, session.block),
    );
    let mut check = Check::new(handler, session);
    report.rule("reads and writes its first and last blocks", Some(check.bounds()));
    report.rule("keeps what was written, and nothing else changes", Some(check.patterns()));
    report.rule("takes memory in pieces at any block's alignment", Some(check.alignment()));
    report.rule("flushes", check.flush());
    report.rule("unmaps", check.unmap());
    report.rule("repeats a block", check.write_same());
    report.rule("answers many requests in flight", Some(check.in_flight()));
    match check.reopen(&spec, size, arguments.volatile) {
        Ok(check) => {
            report.rule("keeps its content over close and open", Some(Ok(())));
            check.session.close();
        }
        Err(failure) => report.rule("keeps its content over close and open", Some(Err(failure))),
    }
    thread::sleep(SETTLE);
    report.rule("completes once", Some(rules::completions()));
    report.rule("touches no memory but the request's", Some(rules::memory()));
    Ok(report.code())
}

/// The checks in a child, and what its end says.
fn supervise() -> Result<ExitCode, String> {
    let program =
        std::env::current_exe().map_err(|error| format!("Cannot find this program: {error}"))?;
    let mut child = Command::new(program);
    let status = child.args(std::env::args_os().skip(1)).env(WORKER, "1").status();
    let status = status.map_err(|error| format!("Cannot start the checks: {error}"))?;
    if let Some(signal) = status.signal() {
        println!(
            "broken  lives: signal {signal} ended the process in the rule after the last one above"
        );
        println!("The handler breaks 1 rule or more.");
    }
    Ok(ExitCode::from(status.code().map_or(1, |code| code as u8)))
}

fn main() -> ExitCode {
    let result = arguments().and_then(|arguments| match std::env::var_os(WORKER) {
        Some(_) => check(&arguments),
        None => supervise(),
    });
    result.unwrap_or_else(|text| {
        eprintln!("umc handler check: {text}");
        ExitCode::from(2)
    })
}
