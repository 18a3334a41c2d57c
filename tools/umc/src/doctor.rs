// SPDX-License-Identifier: GPL-2.0-only
//! `umc doctor`: looks at the machine, and says of each thing that would fail how to mend it.
//!
//! What can be tried is tried: a FUSE device is opened, namespaces are made, a module is looked at. [`host`] is about the
//! machine, [`left`] about what earlier nodes and clusters left.

mod host;
mod left;

use anyhow::{Result, bail};

/// What a look at one thing found.
enum Finding {
    /// It is as it should be.
    Fine(String),
    /// Nodes run, and something does not; and how to mend it.
    Lacks(String, String),
    /// Nodes do not run; and how to mend it.
    Fails(String, String),
}

use Finding::{Fails, Fine, Lacks};

/// Something that is looked at.
struct Look {
    /// What it is.
    what: &'static str,
    found: Vec<Finding>,
}

impl Look {
    fn new(what: &'static str, found: Vec<Finding>) -> Look {
        Look { what, found }
    }
}

/// `umc doctor`.
///
/// # Errors
/// Something would fail.
pub fn run() -> Result<()> {
    let looks = host::looks().into_iter().chain(left::looks());
    let (mut fails, mut lacks) = (0, 0);
    for look in looks {
        for finding in look.found {
            let (sign, text, mend) = match finding {
                Fine(text) => ("ok", text, None),
                Lacks(text, mend) => {
                    lacks += 1;
                    ("note", text, Some(mend))
                }
                Fails(text, mend) => {
                    fails += 1;
                    ("FAILS", text, Some(mend))
                }
            };
            println!("{sign:<5}  {:<12} {text}", look.what);
            if let Some(mend) = mend {
                println!("{:20}-> {mend}", "");
            }
        }
    }
    match (fails, lacks) {
        (0, 0) => println!("\nAll is well. Begin with: umc cluster up"),
        (0, _) => println!("\nNodes run here; see the notes. Begin with: umc cluster up"),
        _ => bail!("{fails} of these would fail: mend what is marked FAILS, then ask again"),
    }
    Ok(())
}
