// SPDX-License-Identifier: GPL-2.0-only
//! The JSON service of the control socket.
//!
//! On the wire: `{"op":"insmod","path":"/x/drbd.so","params":["minor_count=8"]}` is answered by
//! `{"ok":…}` or `{"error":"Cannot load …"}`. The `ok` type of each request stands at its variant.
//! An unknown `op` is an error reply, and the connection stays usable. A client that goes away in
//! the middle of a reply loses only its reply.

use serde::{Deserialize, Serialize};

/// A request: one record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// The node as a whole. `ok`: [`Status`]. A node that answers this has finished starting.
    Status {},
    /// Clean shutdown. `ok`: null, sent when nothing is in use and shutdown has become inevitable;
    /// the client then waits for the end of the process. `error` says what is in use, and the node
    /// goes on as before.
    Stop {},
    /// Load a module. `ok`: [`Module`].
    Insmod {
        /// Absolute path of the `.so`.
        path: String,
        /// `name=value`, or `name` for a flag, each as on insmod's command line.
        #[serde(default)]
        params: Vec<String>,
    },
    /// Unload a module. `ok`: null.
    Rmmod {
        /// As in `lsmod`; `-` and `_` are the same.
        name: String,
    },
    /// `ok`: list of [`Module`], latest first.
    Lsmod {},
    /// Attach a disk below. `ok`: [`Disk`].
    DiskAdd {
        /// Name in `/dev`.
        name: String,
        /// `HANDLER/CONFIG`, as `ram/` or `file//images/a.img`.
        spec: String,
        /// Bytes; where it is missing the handler says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
    },
    /// Take over a new size of a disk that `DiskAdd` or `--disk` made, in use or not. `ok`: [`Disk`].
    DiskResize {
        /// Name in `/dev`.
        name: String,
        /// Bytes, not less than now; where it is missing, the size that the image has grown to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
    },
    /// Detach a disk that `DiskAdd` or `--disk` made. `ok`: null; `error` names the holder.
    DiskDel {
        /// Name in `/dev`.
        name: String,
    },
    /// `ok`: list of [`Disk`], every block device of the node, drivers' own included.
    DiskLs {},
    /// The kernel log. `ok`: [`Log`], as many replies as needed until one has `more: false`.
    Dmesg {
        /// Go on with new records until the client closes the connection; `more` is then always
        /// true.
        #[serde(default)]
        follow: bool,
    },
}

/// A reply: one record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply<T> {
    /// Done; the result.
    Ok(T),
    /// Not done: a whole message for the user (object, operation, cause, next step).
    Error(String),
}

/// The node as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Node name.
    pub name: String,
    /// Process id of umcd.
    pub pid: u32,
    /// Where its tree is mounted.
    pub root: String,
    /// Its state directory.
    pub state: String,
    /// Seconds since 1970 at start.
    pub started: u64,
    /// Loaded modules, latest first.
    pub modules: Vec<Module>,
    /// Every block device.
    pub disks: Vec<Disk>,
}

/// A loaded module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// Name, with underscores.
    pub name: String,
    /// MODULE_VERSION; empty when it has none.
    #[serde(default)]
    pub version: String,
    /// Bytes of code and data.
    #[serde(default)]
    pub size: u64,
    /// References held (`try_module_get`, users of its symbols).
    #[serde(default)]
    pub refs: i64,
    /// Modules that use its symbols.
    #[serde(default)]
    pub used_by: Vec<String>,
    /// File it was loaded from.
    #[serde(default)]
    pub path: String,
}

/// A block device of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Name in `/dev`.
    pub name: String,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Bytes.
    pub size: u64,
    /// Not writable.
    #[serde(default)]
    pub read_only: bool,
    /// `HANDLER/CONFIG` of a disk below, or the module a device belongs to.
    pub backing: String,
    /// Opens at the moment.
    #[serde(default)]
    pub openers: u32,
    /// Who claims it exclusively; empty when nobody does.
    #[serde(default)]
    pub holder: String,
    /// Who on the host uses it, one phrase each, as far as the host tells. Only in the answer to [`Request::DiskLs`].
    #[serde(default)]
    pub users: Vec<String>,
}

/// A part of the kernel log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// Oldest first; may be empty in the last reply.
    pub records: Vec<LogRecord>,
    /// Another reply follows.
    pub more: bool,
}

/// A line of the kernel log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// Sequence number; a gap means that records were overwritten unread.
    pub seq: u64,
    /// Kernel level, 0 (emergency) to 7 (debug).
    pub level: u8,
    /// Nanoseconds since the node booted.
    pub time_ns: u64,
    /// Text without the level prefix and without the final newline.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(request: &Request) -> String {
        serde_json::to_string(request).unwrap()
    }

    #[test]
    fn wire_form_of_requests_is_fixed() {
        assert_eq!(json(&Request::Status {}), r#"{"op":"status"}"#);
        assert_eq!(
            json(&Request::DiskAdd { name: "a".into(), spec: "ram/".into(), size: Some(4096) }),
            r#"{"op":"disk_add","name":"a","spec":"ram/","size":4096}"#
        );
        assert_eq!(
            json(&Request::DiskResize { name: "a".into(), size: None }),
            r#"{"op":"disk_resize","name":"a"}"#
        );
        assert_eq!(json(&Request::Dmesg { follow: true }), r#"{"op":"dmesg","follow":true}"#);
    }

    #[test]
    fn fields_with_defaults_may_be_left_out_and_unknown_ones_are_refused() {
        let insmod = serde_json::from_str::<Request>(r#"{"op":"insmod","path":"/x.so"}"#).unwrap();
        assert_eq!(insmod, Request::Insmod { path: "/x.so".into(), params: vec![] });
        assert!(serde_json::from_str::<Request>(r#"{"op":"rmmod","name":"x","force":1}"#).is_err());
        assert!(serde_json::from_str::<Request>(r#"{"op":"explode"}"#).is_err());
    }

    #[test]
    fn wire_form_of_replies_is_fixed() {
        assert_eq!(serde_json::to_string(&Reply::Ok(())).unwrap(), r#"{"ok":null}"#);
        let error: Reply<Status> = serde_json::from_str(r#"{"error":"no"}"#).unwrap();
        assert_eq!(error, Reply::Error("no".into()));
    }
}
