// SPDX-License-Identifier: GPL-2.0-only
//! Errors of this crate: a kind to match, and a sentence for the user.

use std::fmt;

/// What went wrong, to match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A handler file, or a directory of them, could not be read.
    Unreadable,
    /// A handler file is no shared object for this machine.
    NotElf,
    /// It has no `handler_init`.
    NoHandlerInit,
    /// It was built for another version of the ABI.
    ForeignAbi,
    /// Nobody provides symbols that it imports.
    MissingSymbols,
    /// The dynamic linker refused it.
    NotLoadable,
    /// Its initialisation failed, or what it registered cannot be used.
    BadHandler,
    /// No handler of this subtype.
    NoSuchHandler,
    /// The words behind the subtype make no sense.
    BadConfig,
    /// Nobody knows the size.
    NoSize,
    /// The image is used by another disk.
    Busy,
    /// The handler would damage the image.
    BadImage,
    /// The handler did not open the disk.
    OpenFailed,
    /// The handler opened it with an impossible geometry.
    BadGeometry,
    /// The node refused the disk.
    Refused,
}

/// A failed operation: `Cannot OPERATION OBJECT: CAUSE. NEXT STEP`.
#[derive(Debug, thiserror::Error)]
#[error("Cannot {operation} {object}: {cause}.{}", Sentence(next_step))]
pub struct Error {
    /// What went wrong, to match on.
    pub kind: Kind,
    operation: &'static str,
    object: String,
    cause: String,
    next_step: String,
}

/// A space and the text, or nothing.
struct Sentence<'a>(&'a str);

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " {}", self.0) }
    }
}

impl Error {
    pub(crate) fn new(
        kind: Kind,
        operation: &'static str,
        object: impl fmt::Display,
        cause: impl fmt::Display,
        next_step: impl Into<String>,
    ) -> Error {
        let cause = cause.to_string();
        Error {
            kind,
            operation,
            object: object.to_string(),
            cause: cause.trim_end_matches(['.', '\n']).to_owned(),
            next_step: next_step.into(),
        }
    }
}
