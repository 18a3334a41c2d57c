// SPDX-License-Identifier: GPL-2.0-only
//! One request on its way through a handler.
//!
//! A request becomes a sequence of calls: a flush before, the data in parts the handler can take, a flush after. The
//! calls of one request never overlap. What a call's return value means depends on the handler's kind:
//!
//! | entry point | `nr_threads` | returned | meaning |
//! |---|---|---|---|
//! | `read`, `write`, `flush`, `unmap`, `writesame` | > 0 | any | final |
//! | the same | 0 | `OK` | `tcmur_cmd_complete` comes, perhaps it came already |
//! | the same | 0 | other | final |
//! | `handle_cmd` | any | `ASYNC_HANDLED` | `tcmur_cmd_complete` comes, perhaps it came already |
//! | `handle_cmd` | any | other | final |
//! | `handle_cmd` of a handler that has callbacks too | any | `NOT_HANDLED` | the callback is tried |

use std::cell::Cell;
use std::ffi::c_void;
use std::mem::{MaybeUninit, offset_of, zeroed};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::AcqRel};

use libc::iovec;
use smallvec::SmallVec;
use umc::{bio, sys};

use crate::abi::{self, Status, sts};
use crate::cdb;
use crate::open_disk::OpenDisk;
use crate::queue::Run;
use crate::request_limits::RequestLimits;

/// The most pieces a handler is given at a time: qcow and fbo put them on the stack, preadv(2) takes no more.
pub(crate) const PIECES_MAX: usize = 1024;

/// How often a call is repeated when the handler says it is busy; the pause doubles from 1 ms up to 256 ms.
const RETRIES_MAX: u32 = 12;
const RETRY_FIRST_NS: u64 = 1_000_000;
const RETRY_DOUBLINGS_MAX: u32 = 8;

/// What writes of zeros point at, over and over.
static ZEROS: [u8; 65536] = [0; 65536];

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Flush,
    Read,
    Write,
    Discard,
    WriteZeroes,
}

impl Kind {
    /// What the log calls a call for `len` bytes at `offset`.
    fn of(self, len: u64, offset: u64) -> String {
        let what = match self {
            Kind::Flush => return "flush".to_owned(),
            Kind::Read => "read",
            Kind::Write => "write",
            Kind::Discard => "discard",
            Kind::WriteZeroes => "zeroing",
        };
        format!("{what} of {len} bytes at {offset}")
    }
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    PreFlush,
    Data,
    PostFlush,
}

/// A request as the block layer states it, in bytes.
pub(crate) struct Request {
    pub kind: Kind,
    pub offset: u64,
    pub len: u64,
    pub pre_flush: bool,
    pub fua: bool,
    /// Zeroes may be unallocated.
    pub unmap: bool,
    pub pieces: Pieces,
    /// What is ended when the request is.
    pub bio: *mut sys::bio,
}

/// Pieces of memory.
pub(crate) type Pieces = SmallVec<[iovec; 8]>;

/// The call and its completion meet here; the second of them goes on with the request.
mod meeting {
    /// The handler's function runs.
    pub const CALLED: u8 = 0;
    /// It returned, the completion has not come.
    pub const RETURNED: u8 = 1;
    /// The completion came, the function has not returned.
    pub const COMPLETED: u8 = 2;
}

/// A request in the hands of a handler. Handlers know it as `struct tcmur_cmd`, which is its first field.
#[repr(C)]
pub(crate) struct Command {
    abi: abi::Cmd,
    lib: abi::LibCmd,
    cdb: [u8; cdb::CDB_BYTES],
    meeting: AtomicU8,
    completed_with: Cell<Status>,
    disk: Arc<OpenDisk>,
    pub request: Request,
    stage: Option<Stage>,
    /// Bytes of the data that are done, and that the current call does.
    done: u64,
    step: u64,
    retries: u32,
    /// The host's last error, where the call was over when it returned.
    errno: i32,
    /// The handler's `writesame` did not want it.
    write_zeros_plainly: bool,
    /// What the handler consumes: never the request's own pieces.
    pub handed: Pieces,
}

const _: () = assert!(offset_of!(Command, abi) == 0);

// SAFETY: the pointers inside are to memory of the command itself and of the request, which lives until its end is
// told; one thread at a time owns the command (see `meeting`).
unsafe impl Send for Command {}

/// What a handler's function returned.
enum Called {
    /// It is over; with the host's last error on this thread, if the call left one.
    Final(Status, i32),
    Pending,
}

/// What to do after a call.
enum After {
    Next,
    Again,
    End(u8),
}

impl Run for Command {
    fn run(self: Box<Command>) {
        self.drive();
    }
}

impl Command {
    pub(crate) fn new(
        memory: Box<MaybeUninit<Command>>,
        disk: Arc<OpenDisk>,
        request: Request,
        handed: Pieces,
    ) -> Box<Command> {
        let first = if request.pre_flush && disk.limits.flush {
            Some(Stage::PreFlush)
        } else if request.len > 0 {
            Some(Stage::Data)
        } else {
            None
        };
        let command = Command {
            // SAFETY: all-zero is valid for these: integers, null pointers, `None`.
            abi: unsafe { zeroed() },
            // SAFETY: as above.
            lib: unsafe { zeroed() },
            cdb: [0; cdb::CDB_BYTES],
            meeting: AtomicU8::new(meeting::CALLED),
            completed_with: Cell::new(sts::OK),
            disk,
            request,
            stage: first,
            done: 0,
            step: 0,
            retries: 0,
            errno: 0,
            write_zeros_plainly: false,
            handed,
        };
        Box::write(memory, command)
    }

    /// Goes on with the request until it ends, or a call is pending. Calls the handler on this thread.
    pub(crate) fn drive(self: Box<Command>) {
        let mut command = self;
        loop {
            let Some(stage) = command.stage else { return command.end(bio::STS_OK) };
            if let Err(status) = command.prepare(stage) {
                return command.end(status);
            }
            // From here to the meeting a completion on another thread may use the command, so no reference to it
            // is held across the call.
            let raw = Box::into_raw(command);
            // SAFETY: the command lives until both the call and its completion are done with it.
            let (status, errno) = match unsafe { call(raw, stage) } {
                Called::Final(status, errno) => (status, errno),
                Called::Pending => {
                    // SAFETY: as above; after a swap that finds `CALLED` it belongs to the completion.
                    let found = unsafe { (*raw).meeting.swap(meeting::RETURNED, AcqRel) };
                    if found == meeting::CALLED {
                        return;
                    }
                    // SAFETY: the completion came, so the command is ours alone.
                    (unsafe { (*raw).completed_with.get() }, 0)
                }
            };
            // SAFETY: the call is over, the command is ours alone again.
            command = unsafe { Box::from_raw(raw) };
            command.errno = errno;
            command = match command.after(stage, status) {
                (command, After::Next) => command,
                (command, After::Again) => return command.retry_later(),
                (command, After::End(status)) => return command.end(status),
            };
        }
    }

    /// Goes on with the request on the thread that may call the handler.
    fn resume(self: Box<Command>) {
        let disk = Arc::clone(&self.disk);
        match &disk.queue {
            Some(queue) => queue.push(self),
            None => self.drive(),
        }
    }

    /// A completion came for a call that had returned.
    fn completed(self: Box<Command>) {
        let stage = self.stage.expect("a call belongs to a stage");
        let status = self.completed_with.get();
        match self.after(stage, status) {
            (command, After::Next) if command.stage.is_none() => command.end(bio::STS_OK),
            (command, After::Next) => command.resume(),
            (command, After::Again) => command.retry_later(),
            (command, After::End(status)) => command.end(status),
        }
    }

    /// Judges a finished call and moves the request on.
    fn after(mut self: Box<Command>, stage: Stage, status: Status) -> (Box<Command>, After) {
        let after = match status {
            sts::OK => {
                self.retries = 0;
                self.step_done(stage);
                After::Next
            }
            sts::NO_RESOURCE | sts::BUSY if self.retries < RETRIES_MAX => After::Again,
            sts::NOT_HANDLED | sts::INVALID_CMD
                if stage != Stage::Data && self.disk.limits.passthrough =>
            {
                // A disk that does not know the command has no cache to flush (as Linux takes it). From a callback
                // the same values are failures: -1 is what handlers return for anything.
                self.disk.say_once("the handler does not know SYNCHRONIZE CACHE: no flushes");
                self.step_done(stage);
                After::Next
            }
            sts::NOT_HANDLED | sts::INVALID_CMD
                if self.request.kind == Kind::WriteZeroes && self.uses_writesame() =>
            {
                self.write_zeros_plainly = true;
                After::Next
            }
            status => {
                let (sense, errno) = (&self.lib.sense_buf[..], self.errno);
                let answer = cdb::Answer { status, sense, errno };
                let at = self.request.offset + self.done;
                self.disk.say_failed(&self.request.kind.of(self.step, at), &answer.to_string());
                After::End(answer.block_status())
            }
        };
        (self, after)
    }

    fn step_done(&mut self, stage: Stage) {
        if stage == Stage::Data {
            self.done += self.step;
        }
        let post_flush = self.request.fua && self.disk.limits.flush;
        self.stage = match stage {
            Stage::PreFlush | Stage::Data if self.done < self.request.len => Some(Stage::Data),
            Stage::Data if post_flush => Some(Stage::PostFlush),
            _ => None,
        };
    }

    /// The handler is busy: calls it again after a pause.
    fn retry_later(mut self: Box<Command>) {
        unsafe extern "C" fn again(arg: *mut c_void) {
            // SAFETY: the timer passes what was armed with, once.
            unsafe { Box::from_raw(arg.cast::<Command>()) }.resume();
        }
        let pause_ns = RETRY_FIRST_NS << self.retries.min(RETRY_DOUBLINGS_MAX);
        self.retries += 1;
        let ops = self.disk.ops;
        let deadline_ns = ops.now_ns() + pause_ns;
        // SAFETY: the command is given to the timer, which is never cancelled.
        unsafe { ops.timer_arm(deadline_ns, again, Box::into_raw(self).cast()) };
    }

    fn end(self: Box<Command>, status: u8) {
        let (disk, bio) = (Arc::clone(&self.disk), self.request.bio);
        disk.commands.keep(self);
        // SAFETY: the request's contract: a bio that was not ended yet.
        unsafe { disk.end_bio(bio, status) };
        disk.request_ended();
    }

    /// Sets up the next call: its part of the data, the private copy of the pieces, the CDB.
    fn prepare(&mut self, stage: Stage) -> Result<(), u8> {
        self.handed.clear();
        self.step = 0;
        if stage == Stage::Data {
            let left = self.request.len - self.done;
            match self.request.kind {
                Kind::Flush => return Err(bio::STS_IOERR),
                Kind::Read | Kind::Write => self.hand_pieces()?,
                Kind::Discard => self.step = left.min(self.disk.limits.unmap_max_bytes),
                Kind::WriteZeroes => self.hand_zeros(left),
            }
        }
        let block = u64::from(self.disk.limits.block_size);
        let (lba, blocks) = ((self.request.offset + self.done) / block, (self.step / block) as u32);
        if self.disk.handler.handle_cmd.is_some() && !self.has_no_cdb(stage) {
            self.cdb = match stage {
                Stage::PreFlush | Stage::PostFlush => cdb::synchronize_cache(),
                Stage::Data => cdb::transfer(self.request.kind != Kind::Read, lba, blocks),
            };
        } else if stage == Stage::Data && self.request.kind == Kind::WriteZeroes {
            self.cdb = cdb::write_same(lba, blocks, self.request.unmap);
        }
        self.lib.sense_buf.fill(0);
        self.lib.cdb = self.cdb.as_mut_ptr();
        self.lib.iovec = self.handed.as_mut_ptr();
        self.lib.iov_cnt = self.handed.len();
        self.abi.lib_cmd = &raw mut self.lib;
        self.abi.done = Some(done);
        *self.meeting.get_mut() = meeting::CALLED;
        Ok(())
    }

    /// Is the next call one that only a callback can do?
    fn has_no_cdb(&self, stage: Stage) -> bool {
        stage == Stage::Data
            && match self.request.kind {
                Kind::Discard => true,
                Kind::WriteZeroes => self.uses_writesame(),
                Kind::Flush | Kind::Read | Kind::Write => false,
            }
    }

    fn uses_writesame(&self) -> bool {
        self.disk.handler.writesame.is_some() && !self.write_zeros_plainly
    }

    /// The next part of the request's memory, at most what the handler takes at a time, in whole blocks.
    fn hand_pieces(&mut self) -> Result<(), u8> {
        let limits = &self.disk.limits;
        let (mut skip, mut room) = (self.done as usize, limits.transfer_max_bytes as usize);
        for piece in &self.request.pieces {
            if skip >= piece.iov_len {
                skip -= piece.iov_len;
                continue;
            }
            if self.handed.len() == PIECES_MAX || room == 0 {
                break;
            }
            let len = (piece.iov_len - skip).min(room);
            self.handed
                .push(iovec { iov_base: piece.iov_base.wrapping_byte_add(skip), iov_len: len });
            (skip, room) = (0, room - len);
        }
        // Many small pieces may end inside a block: leave its beginning for the next part.
        let total: usize = self.handed.iter().map(|piece| piece.iov_len).sum();
        let mut excess = total % limits.block_size as usize;
        while excess > 0 {
            let last = self.handed.last_mut().ok_or(bio::STS_IOERR)?;
            if last.iov_len > excess {
                last.iov_len -= excess;
                break;
            }
            excess -= last.iov_len;
            self.handed.pop();
        }
        self.step = self.handed.iter().map(|piece| piece.iov_len as u64).sum();
        if self.step == 0 { Err(bio::STS_IOERR) } else { Ok(()) }
    }

    /// One block of zeros for `writesame`, or as many as a write takes.
    fn hand_zeros(&mut self, left: u64) {
        let limits = &self.disk.limits;
        let piece = |len: usize| iovec { iov_base: ZEROS.as_ptr().cast_mut().cast(), iov_len: len };
        if self.uses_writesame() {
            self.step = left.min(limits.zeroes_max_bytes);
            self.handed.push(piece(limits.block_size as usize));
            return;
        }
        self.step = left.min(limits.transfer_max_bytes).min((ZEROS.len() * PIECES_MAX) as u64);
        let mut to_hand = self.step as usize;
        while to_hand > 0 {
            let len = to_hand.min(ZEROS.len());
            self.handed.push(piece(len));
            to_hand -= len;
        }
    }
}

/// Calls the handler.
///
/// # Safety
/// `raw` is a prepared command, owned by the caller. When `Pending` is returned it may belong to another thread.
unsafe fn call(raw: *mut Command, stage: Stage) -> Called {
    // SAFETY: the caller's contract; plain values are read before the call, none after it.
    let (disk, kind, offset, step, no_cdb, same) = unsafe {
        let command = &*raw;
        let at = command.request.offset + command.done;
        let disk: *const OpenDisk = &raw const *command.disk;
        let (no_cdb, same) = (command.has_no_cdb(stage), command.uses_writesame());
        (disk, command.request.kind, at, command.step, no_cdb, same)
    };
    // SAFETY: the disk outlives its commands: `close` waits for them.
    let disk = unsafe { &*disk };
    let (handler, dev) = (disk.handler, disk.device.as_abi());
    let cmd = raw.cast::<abi::Cmd>();

    set_errno(0);
    if let Some(handle_cmd) = handler.handle_cmd.filter(|_| !no_cdb) {
        // SAFETY: the ABI's contract: a live device, a command with a CDB and private pieces.
        match unsafe { handle_cmd(dev, cmd) } {
            sts::ASYNC_HANDLED => return Called::Pending,
            sts::NOT_HANDLED if !disk.limits.passthrough => {}
            status => return Called::Final(status, errno()),
        }
    }
    // SAFETY: the command is still ours: the handler refused it, or did not see it.
    let (pieces, count) = unsafe { ((*raw).handed.as_mut_ptr(), (*raw).handed.len()) };
    // SAFETY: the ABI's contract: a live device, a command, private pieces that stay until the completion, a range
    // inside the disk and in whole blocks.
    let status = unsafe {
        match (stage, kind) {
            (Stage::PreFlush | Stage::PostFlush, _) => handler.flush.map(|flush| flush(dev, cmd)),
            (Stage::Data, Kind::Read) => {
                handler.read.map(|read| read(dev, cmd, pieces, count, step as usize, offset as i64))
            }
            (Stage::Data, Kind::Discard) => {
                handler.unmap.map(|unmap| unmap(dev, cmd, offset, step))
            }
            (Stage::Data, Kind::WriteZeroes) if same => {
                handler.writesame.map(|writesame| writesame(dev, cmd, offset, step, pieces, count))
            }
            (Stage::Data, _) => handler
                .write
                .map(|write| write(dev, cmd, pieces, count, step as usize, offset as i64)),
        }
    };
    match status {
        Some(sts::OK) if handler.nr_threads == 0 => Called::Pending,
        Some(status) => Called::Final(status, errno()),
        None => Called::Final(sts::NOT_HANDLED, 0),
    }
}

fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

fn set_errno(errno: i32) {
    // SAFETY: the thread's own.
    unsafe { *libc::__errno_location() = errno };
}

/// The completion of every command: `done` of `struct tcmur_cmd`.
unsafe extern "C" fn done(_dev: *mut abi::Device, cmd: *mut abi::Cmd, status: Status) {
    let raw = cmd.cast::<Command>();
    // SAFETY: the handler completes a command that it was given and has not completed yet.
    let found = unsafe {
        (*raw).completed_with.set(status);
        (*raw).meeting.swap(meeting::COMPLETED, AcqRel)
    };
    match found {
        // The call has not returned: `drive` goes on.
        meeting::CALLED => {}
        // SAFETY: the call returned and let go of the command: it is ours alone.
        meeting::RETURNED => unsafe { Box::from_raw(raw) }.completed(),
        _ => panic!("a handler completed a command twice"),
    }
}

/// The request of a bio, with `pieces` for its memory; `Err` with its status for one that no handler should see.
///
/// # Safety
/// `bio` is a valid bio that has not ended; its memory stays until then.
pub(crate) unsafe fn request_of(
    bio: *mut sys::bio,
    limits: &RequestLimits,
    pieces: Pieces,
) -> Result<Request, u8> {
    // SAFETY: the caller's contract.
    let (op, flags, sector, size) =
        unsafe { (bio::op(bio), bio::flags(bio), bio::sector(bio), bio::size(bio)) };
    let kind = match op {
        bio::Op::Read => Kind::Read,
        bio::Op::Write if size == 0 => Kind::Flush,
        bio::Op::Write => Kind::Write,
        bio::Op::Discard if limits.discard => Kind::Discard,
        bio::Op::WriteZeroes => Kind::WriteZeroes,
        bio::Op::Other(sys::REQ_OP_FLUSH) => Kind::Flush,
        _ => return Err(bio::STS_NOTSUPP),
    };
    let mut request = Request {
        kind,
        offset: sector << 9,
        len: if kind == Kind::Flush { 0 } else { size.into() },
        pre_flush: kind == Kind::Flush || flags & sys::REQ_PREFLUSH != 0,
        fua: flags & sys::REQ_FUA != 0,
        unmap: kind == Kind::WriteZeroes && flags & sys::REQ_NOUNMAP == 0,
        pieces,
        bio,
    };
    if sector > u64::MAX >> 9 || !limits.holds(request.offset, request.len) {
        return Err(bio::STS_IOERR);
    }
    if matches!(kind, Kind::Read | Kind::Write) {
        // SAFETY: `bio` is valid and has not ended, so its vectors stand still.
        for (at, len) in unsafe { bio::segments(bio) } {
            add_piece(&mut request.pieces, at, len);
        }
        let total: u64 = request.pieces.iter().map(|piece| piece.iov_len as u64).sum();
        if total != request.len {
            return Err(bio::STS_IOERR);
        }
    }
    Ok(request)
}

/// Appends memory; what continues the last piece is merged into it.
pub(crate) fn add_piece(pieces: &mut Pieces, at: *mut u8, len: usize) {
    match pieces.last_mut() {
        Some(last) if last.iov_base.cast::<u8>().wrapping_add(last.iov_len) == at => {
            last.iov_len += len;
        }
        _ => pieces.push(iovec { iov_base: at.cast(), iov_len: len }),
    }
}
