// SPDX-License-Identifier: GPL-2.0-only
//! What keeps a node going when the host runs out of memory.
//!
//! Memory that a file system on the node's devices has dirtied is freed by writing it, which is the node's work. An
//! allocation of `umcd` itself that waits for such memory waits for itself. As in Linux, where the I/O path allocates
//! with `GFP_NOIO`, the host is told not to start I/O, nor to wait for any, to serve an allocation of this process; nor
//! to slow it down for the dirty memory of others.
//!
//! And when nothing helps, a kernel ends processes, never itself: the node is the last one to be chosen.
//!
//! Its memory is not locked. Reading a page of it back from swap waits for the swap device, which is no device of the
//! node, since the host swaps to none of its files.

use std::fs;
use std::io;

use libc::c_int;

/// `PR_SET_IO_FLUSHER` of `linux/prctl.h`.
const SET_IO_FLUSHER: c_int = 57;

/// The last one to be ended, but not beyond it: a node alone in a memory cgroup had better end than stand still.
const OOM_SCORE: &str = "-999";

/// Does so, for this thread and all that it starts; programs inherit it, among them the driver's helpers, for which the
/// driver may wait with its I/O frozen. To be called before there is a second thread.
///
/// # Errors
/// What the host refused to do for whom it does not trust: both want CAP_SYS_RESOURCE.
pub fn prepare() -> io::Result<()> {
    // SAFETY: plain values.
    let flusher = match unsafe { libc::prctl(SET_IO_FLUSHER, 1, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    };
    let score = fs::write("/proc/self/oom_score_adj", OOM_SCORE);
    flusher.and(score)
}
