// SPDX-License-Identifier: GPL-2.0-only
//! One request, its memory with guards around it, and what the handler answered.

use std::cell::UnsafeCell;
use std::mem::zeroed;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use handlers::abi::{self, Status, sts};
use handlers::cdb;
use libc::iovec;

/// What is asked of the handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Read,
    Write,
    Flush,
    Unmap,
    WriteSame,
}

/// Bytes before and behind each piece of memory, which a handler has no business with.
const GUARD_BYTES: usize = 512;

/// What a read's memory holds before the handler fills it.
const UNREAD: u8 = 0x5d;

/// What the handler said so far.
#[derive(Default)]
struct Answer {
    returned: Option<Called>,
    completions: u32,
    completed_with: Status,
}

/// How a call ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Called {
    /// With this status, and no completion will come.
    Final(Status),
    /// It will be completed, or was already.
    Queued,
}

/// A request. Never freed: a handler that breaks the rules may use it at any time.
///
/// # Invariants
/// `abi` comes first, so that a pointer to it is one to the request. The cells belong to the handler from the call to
/// the answer.
#[repr(C)]
pub struct Request {
    abi: UnsafeCell<abi::Cmd>,
    lib: UnsafeCell<abi::LibCmd>,
    cdb: UnsafeCell<[u8; cdb::CDB_BYTES]>,
    handed: UnsafeCell<Vec<iovec>>,
    memory: UnsafeCell<Vec<u8>>,
    /// Where the pieces are in `memory`.
    pieces: Vec<(usize, usize)>,
    pub what: What,
    pub offset: u64,
    pub len: u64,
    answer: Mutex<Answer>,
    changed: Condvar,
}

// SAFETY: the cells are touched by the checker before the call and after the answer only; in between by the handler.
unsafe impl Sync for Request {}

/// Every request there was.
static ALL: Mutex<Vec<&'static Request>> = Mutex::new(Vec::new());

/// A guard's byte at a place.
fn guard_byte(at: usize) -> u8 {
    (at as u8).wrapping_mul(131) ^ 0xa9
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Request {
    /// A request with memory in pieces of `piece` bytes, at `shift` bytes behind the beginning of a page.
    pub fn new(
        what: What,
        offset: u64,
        len: u64,
        data: &[u8],
        piece: usize,
        shift: usize,
    ) -> &'static Request {
        let bytes = match what {
            What::Read => len as usize,
            What::Write | What::WriteSame => data.len(),
            What::Flush | What::Unmap => 0,
        };
        let count = bytes.div_ceil(piece);
        let mut memory = vec![0; bytes + (count + 1) * GUARD_BYTES + 2 * 4096];
        let mut at = memory.as_ptr().align_offset(4096) + shift;
        for (place, byte) in memory.iter_mut().enumerate() {
            *byte = guard_byte(place);
        }
        let mut pieces = Vec::new();
        for start in (0..bytes).step_by(piece) {
            let part = piece.min(bytes - start);
            at += GUARD_BYTES;
            match what {
                What::Read => memory[at..at + part].fill(UNREAD),
                _ => memory[at..at + part].copy_from_slice(&data[start..start + part]),
            }
            pieces.push((at, part));
            at += part;
        }
        let request = Box::leak(Box::new(Request {
            // SAFETY: all-zero is valid for these: integers, null pointers, `None`.
            abi: UnsafeCell::new(unsafe { zeroed() }),
            // SAFETY: as above.
            lib: UnsafeCell::new(unsafe { zeroed() }),
            cdb: UnsafeCell::new([0; cdb::CDB_BYTES]),
            handed: UnsafeCell::default(),
            memory: UnsafeCell::new(memory),
            pieces,
            what,
            offset,
            len,
            answer: Mutex::default(),
            changed: Condvar::new(),
        }));
        locked(&ALL).push(request);
        request
    }

    /// Makes it ready for a call: the command and a fresh array of pieces.
    pub fn prepare(&self, block: u64) -> (*mut abi::Cmd, *mut iovec, usize) {
        let cdb = match self.what {
            What::Flush => cdb::synchronize_cache(),
            _ => {
                let blocks = (self.len / block).min(cdb::BLOCKS_MAX.into());
                cdb::transfer(self.what != What::Read, self.offset / block, blocks as u32)
            }
        };
        *locked(&self.answer) = Answer::default();
        // SAFETY: the request is not in the handler's hands: the cells are ours.
        unsafe {
            let memory = (*self.memory.get()).as_mut_ptr();
            let handed = &mut *self.handed.get();
            handed.clear();
            handed.extend(
                self.pieces
                    .iter()
                    .map(|(at, len)| iovec { iov_base: memory.add(*at).cast(), iov_len: *len }),
            );
            *self.cdb.get() = cdb;
            let lib = &mut *self.lib.get();
            lib.cdb = self.cdb.get().cast();
            lib.iovec = handed.as_mut_ptr();
            lib.iov_cnt = handed.len();
            let abi = &mut *self.abi.get();
            abi.lib_cmd = self.lib.get();
            abi.done = Some(done);
            (self.abi.get(), handed.as_mut_ptr(), handed.len())
        }
    }

    /// The call returned.
    pub fn returned(&self, called: Called) {
        locked(&self.answer).returned = Some(called);
        self.changed.notify_all();
    }

    /// Waits for the answer: its status; `None` when there was none until the deadline.
    pub fn wait(&self, deadline: Instant) -> Option<Status> {
        let mut answer = locked(&self.answer);
        loop {
            match answer.returned {
                Some(Called::Final(status)) => return Some(status),
                Some(Called::Queued) if answer.completions > 0 => {
                    return Some(answer.completed_with);
                }
                _ => {}
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            answer =
                self.changed.wait_timeout(answer, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Asks for a repetition.
    pub fn is_busy(status: Status) -> bool {
        matches!(status, sts::BUSY | sts::NO_RESOURCE)
    }

    /// The data of an answered request.
    pub fn data(&self) -> Vec<u8> {
        // SAFETY: it was answered: the memory is ours again.
        let memory = unsafe { &*self.memory.get() };
        self.pieces.iter().flat_map(|(at, len)| &memory[*at..*at + *len]).copied().collect()
    }

    /// Bytes outside the pieces that were changed.
    fn guards_changed(&self) -> usize {
        // SAFETY: as in `data`; a handler that still writes breaks the rule anyway.
        let memory = unsafe { &*self.memory.get() };
        let inside = |at: usize| {
            self.pieces.iter().any(|(start, len)| (*start..*start + *len).contains(&at))
        };
        let changed = |at: &usize| memory[*at] != guard_byte(*at) && !inside(*at);
        (0..memory.len()).filter(changed).count()
    }

    /// `write of 4096 bytes at 512`.
    pub fn describe(&self) -> String {
        let what = match self.what {
            What::Read => "read",
            What::Write => "write",
            What::Flush => return "flush".into(),
            What::Unmap => "unmap",
            What::WriteSame => "write same",
        };
        format!("{what} of {} bytes at {}", self.len, self.offset)
    }
}

/// The first request whose number of completions is wrong, and how.
pub fn wrong_completion() -> Option<String> {
    locked(&ALL).iter().find_map(|request| {
        let answer = locked(&request.answer);
        let count = answer.completions;
        match answer.returned {
            Some(Called::Final(status)) if count > 0 => Some(format!(
                "{}: the call returned {status}, which is final, and tcmur_cmd_complete was called too",
                request.describe()
            )),
            Some(Called::Queued) if count > 1 => {
                Some(format!("{}: completed {count} times", request.describe()))
            }
            _ => None,
        }
    })
}

/// The first request with touched guards.
pub fn overrun() -> Option<String> {
    locked(&ALL).iter().find_map(|request| match request.guards_changed() {
        0 => None,
        count => Some(format!(
            "{}: {count} bytes beside the memory of the request changed",
            request.describe()
        )),
    })
}

/// `done` of every command.
unsafe extern "C" fn done(_dev: *mut abi::Device, cmd: *mut abi::Cmd, status: Status) {
    // SAFETY: requests are never freed, and `abi` is their first member.
    let request = unsafe { &*cmd.cast::<Request>() };
    let mut answer = locked(&request.answer);
    answer.completions += 1;
    answer.completed_with = status;
    drop(answer);
    request.changed.notify_all();
}
