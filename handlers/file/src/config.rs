// SPDX-License-Identifier: GPL-2.0-only
//! What follows `file/`: an absolute path, and options behind semicolons.

use std::path::PathBuf;

/// How requests reach the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// io_uring for direct I/O where the kernel allows it, else threads.
    Auto,
    /// io_uring, or no disk.
    Uring,
    /// A pool of threads.
    Threads,
}

/// A parsed config.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Config {
    pub path: PathBuf,
    /// Every write is durable when it completes.
    pub sync: bool,
    /// Past the page cache, where the file system can.
    pub direct: bool,
    pub engine: Engine,
}

/// For the user; also the handler's description.
pub(crate) const USAGE: &std::ffi::CStr =
    c"file//absolute/path[;option]... with the options sync (each write is durable), direct=off (through the page \
      cache), engine=uring|threads, size=N (creates the file if there is none)";

impl Config {
    /// Parses `/absolute/path;option;option`.
    pub(crate) fn parse(config: &str) -> Result<Config, String> {
        let mut words = config.split(';');
        let path = PathBuf::from(words.next().unwrap_or_default());
        if !path.is_absolute() {
            return Err(format!(
                "the path {:?} is not absolute (write file//dir/image, with two slashes)",
                path.display()
            ));
        }
        let mut parsed = Config { path, sync: false, direct: true, engine: Engine::Auto };
        for word in words.filter(|word| !word.is_empty()) {
            match word {
                "sync" => parsed.sync = true,
                "direct=on" => parsed.direct = true,
                "direct=off" => parsed.direct = false,
                "engine=uring" => parsed.engine = Engine::Uring,
                "engine=threads" => parsed.engine = Engine::Threads,
                // The host reads it and passes it on as the size that was asked for.
                _ if word.starts_with("size=") => {}
                _ => return Err(format!("there is no option {word:?}")),
            }
        }
        Ok(parsed)
    }
}
