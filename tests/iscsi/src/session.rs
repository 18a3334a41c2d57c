// SPDX-License-Identifier: GPL-2.0-only
//! A connection of a session, over which commands go and come back in any order.

use std::collections::HashMap;
use std::io::{BufReader, Error, Result, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::command::Command;
use crate::login::{Agreed, Initiator, Place, login};
use crate::pdu::{Digests, Pdu, op, wrong};

/// How long the target may keep silent.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// No task.
const NONE: u32 = u32::MAX;
/// In the second byte: the last of its kind; a command that reads, that writes; data with a status.
const LAST: u8 = 0x80;
const READS: u8 = 0x40;
const WRITES: u8 = 0x20;
const HAS_STATUS: u8 = 1;
/// No order among commands is asked for.
const SIMPLE: u8 = 1;

/// The end of a command.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Which one.
    pub task: u32,
    /// 0, 2 for a failure that `sense` tells of, 0x18 for a reservation of another.
    pub status: u8,
    /// The key, the code and its qualifier of a failure: `0x052400` for an invalid field.
    pub sense: u32,
    /// What was read.
    pub data: Vec<u8>,
}

impl Answer {
    /// What was read, or an error.
    ///
    /// # Errors
    /// The command failed.
    pub fn ok(self) -> Result<Vec<u8>> {
        match (self.status, self.sense) {
            (0, _) => Ok(self.data),
            (status, sense) => Err(Error::other(format!("status {status:#x}, sense {sense:#08x}"))),
        }
    }
}

struct Pending {
    lun: u8,
    out: Vec<u8>,
    data: Vec<u8>,
}

/// A session, by one of its connections. Most have no other.
pub struct Session {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
    agreed: Agreed,
    /// Which connection it is.
    connection: u16,
    /// The number of the next command, of all connections.
    command: Arc<AtomicU32>,
    next: u32,
    pending: HashMap<u32, Pending>,
}

impl Session {
    /// Connects and logs in to a target; without one, to look at what there is.
    ///
    /// # Errors
    /// Those of the connection, and what the target refuses.
    pub fn open(
        address: SocketAddr,
        target: Option<&str>,
        initiator: &Initiator,
    ) -> Result<Session> {
        let place = Place { command: 1, ..Place::default() };
        let (stream, agreed) = connect(address, target, initiator, place)?;
        let command = Arc::new(AtomicU32::new(agreed.command));
        Session::new(stream, agreed, command, 0)
    }

    fn new(
        stream: TcpStream,
        agreed: Agreed,
        command: Arc<AtomicU32>,
        connection: u16,
    ) -> Result<Session> {
        let reader = BufReader::with_capacity(1 << 18, stream.try_clone()?);
        let next = 1 + (u32::from(connection) << 24);
        Ok(Session { stream, reader, agreed, connection, command, next, pending: HashMap::new() })
    }

    /// The same session by another connection of this number. Who opened the session says so.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub fn join(
        &self,
        address: SocketAddr,
        target: &str,
        initiator: &Initiator,
        connection: u16,
    ) -> Result<Session> {
        let command = self.command.load(Ordering::Relaxed);
        let place = Place { session: self.agreed.session, connection, command };
        let (stream, mut agreed) = connect(address, Some(target), initiator, place)?;
        agreed.immediate = self.agreed.immediate.min(agreed.segment);
        Session::new(stream, agreed, self.command.clone(), connection)
    }

    /// The checksums that both sides agreed on.
    pub fn digests(&self) -> Digests {
        self.agreed.digests
    }

    /// The connection itself, for tests that send what an initiator does not.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// The numbers of the next command, and of the target's next status.
    pub fn numbers(&self) -> (u32, u32) {
        (self.command.load(Ordering::Relaxed), self.agreed.status)
    }

    /// How many commands are under way.
    pub fn depth(&self) -> usize {
        self.pending.len()
    }

    fn send(&mut self, unit: Pdu) -> Result<()> {
        let unit = unit.with(28, self.agreed.status);
        self.stream.write_all(&unit.encode(self.agreed.digests))
    }

    /// Sends a command; its tag.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn submit(&mut self, command: Command) -> Result<u32> {
        let number = self.take_number();
        self.submit_as(number, command)
    }

    /// Takes the place of a command among those of all connections, for [`Session::submit_as`].
    pub fn take_number(&self) -> u32 {
        self.command.fetch_add(1, Ordering::Relaxed)
    }

    /// The same in a place that was taken.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn submit_as(&mut self, number: u32, command: Command) -> Result<u32> {
        let task = self.next;
        self.next = if task + 1 == NONE { 1 } else { task + 1 };
        let Command { lun, block, out, room } = command;
        let way = if room > 0 { READS } else { 0 } | if out.is_empty() { 0 } else { WRITES };
        let mut unit = Pdu::new(op::COMMAND, LAST | way | SIMPLE, task)
            .with(20, room.max(out.len()) as u32)
            .with(24, number);
        unit.header[9] = lun;
        unit.header[32..].copy_from_slice(&block);
        unit.data = out[..out.len().min(self.agreed.immediate)].to_vec();
        self.pending.insert(task, Pending { lun, out, data: vec![0; room] });
        self.send(unit)?;
        Ok(task)
    }

    /// Waits for the end of any command.
    ///
    /// # Errors
    /// Those of the connection, and `InvalidData` where the target breaks the protocol, or rejects.
    pub fn complete(&mut self) -> Result<Answer> {
        loop {
            let unit = Pdu::read(&mut self.reader, self.agreed.digests)?;
            match unit.opcode() {
                op::RESPONSE => return self.end(&unit),
                op::DATA_IN => {
                    if let Some(answer) = self.take_data(&unit)? {
                        return Ok(answer);
                    }
                }
                op::READY => self.give_data(&unit)?,
                op::NOP_IN => self.answer_ping(&unit)?,
                op::REJECT => {
                    return Err(wrong(&format!("a rejection, reason {:#x}", unit.header[2])));
                }
                other => return Err(wrong(&format!("unit {other:#x}"))),
            }
        }
    }

    /// Sends a command and waits for its end. No other is under way.
    ///
    /// # Errors
    /// As [`Session::submit`] and [`Session::complete`].
    pub fn run(&mut self, command: Command) -> Result<Answer> {
        let task = self.submit(command)?;
        let answer = self.complete()?;
        if answer.task == task { Ok(answer) } else { Err(wrong("the end of another command")) }
    }

    /// The same of a unit's news to a new session (it was reset, its capacity has changed), which are passed over.
    ///
    /// # Errors
    /// As [`Session::run`], and those of the command.
    pub fn ask(&mut self, command: Command) -> Result<Vec<u8>> {
        loop {
            let answer = self.run(command.clone())?;
            if answer.sense >> 16 != 6 {
                return answer.ok();
            }
        }
    }

    /// Blocks of a unit, and the bytes of a block.
    ///
    /// # Errors
    /// As [`Session::ask`].
    pub fn size(&mut self, lun: u8) -> Result<(u64, usize)> {
        let told = self.ask(Command::capacity(lun))?;
        let last = u64::from_be_bytes(told[..8].try_into().expect("8 bytes"));
        let block = u32::from_be_bytes(told[8..12].try_into().expect("4 bytes"));
        Ok((last + 1, block as usize))
    }

    /// The targets that there are, with their addresses.
    ///
    /// # Errors
    /// As [`Session::complete`].
    pub fn targets(&mut self) -> Result<String> {
        let mut unit = Pdu::new(op::TEXT | op::IMMEDIATE, LAST, self.next).with(20, NONE);
        unit = unit.with(24, self.numbers().0);
        unit.data = b"SendTargets=All\0".to_vec();
        self.send(unit)?;
        let answer = Pdu::read(&mut self.reader, self.agreed.digests)?;
        self.agreed.status = answer.number(24).wrapping_add(1);
        Ok(String::from_utf8_lossy(&answer.data).replace('\0', "\n"))
    }

    /// Ends it in good order.
    ///
    /// # Errors
    /// As [`Session::complete`].
    pub fn log_out(self) -> Result<()> {
        self.say_farewell(0)
    }

    /// Ends this connection in good order; the session goes on with the others.
    ///
    /// # Errors
    /// As [`Session::complete`].
    pub fn leave(self) -> Result<()> {
        self.say_farewell(1)
    }

    /// Ends the connection without a word.
    pub fn cut(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// `reason`: 0 for the session, 1 for the connection.
    fn say_farewell(mut self, reason: u8) -> Result<()> {
        let mut unit = Pdu::new(op::LOGOUT | op::IMMEDIATE, LAST | reason, self.next);
        unit = unit.with(20, u32::from(self.connection) << 16).with(24, self.numbers().0);
        self.send(unit)?;
        let answer = Pdu::read(&mut self.reader, self.agreed.digests)?;
        let is_it = answer.opcode() == op::LOGOUT_RESPONSE && answer.header[2] == 0;
        if is_it { Ok(()) } else { Err(wrong("no farewell")) }
    }

    fn finish(&mut self, unit: &Pdu, sense: u32) -> Result<Answer> {
        self.agreed.status = unit.number(24).wrapping_add(1);
        let task = unit.task();
        let pending = self.pending.remove(&task).ok_or_else(|| wrong("the end of no command"))?;
        Ok(Answer { task, status: unit.header[3], sense, data: pending.data })
    }

    fn end(&mut self, unit: &Pdu) -> Result<Answer> {
        // In front of the sense data is their length.
        let at = |at: usize| u32::from(unit.data.get(at + 2).copied().unwrap_or(0));
        let sense = (at(2) & 15) << 16 | at(12) << 8 | at(13);
        if unit.header[2] != 0 {
            return Err(wrong(&format!("response {:#x}", unit.header[2])));
        }
        self.finish(unit, sense)
    }

    fn take_data(&mut self, unit: &Pdu) -> Result<Option<Answer>> {
        let at = unit.number(40) as usize;
        let pending = self.pending.get_mut(&unit.task()).ok_or_else(|| wrong("data of nothing"))?;
        let place = pending.data.get_mut(at..at + unit.data.len());
        let place = place.ok_or_else(|| wrong("more data than were asked for"))?;
        place.copy_from_slice(&unit.data);
        if unit.header[1] & HAS_STATUS == 0 {
            return Ok(None);
        }
        self.finish(unit, 0).map(Some)
    }

    fn give_data(&mut self, unit: &Pdu) -> Result<()> {
        let (task, tag) = (unit.task(), unit.number(20));
        let (begin, len) = (unit.number(40) as usize, unit.number(44) as usize);
        let pending = self.pending.get(&task).ok_or_else(|| wrong("a wish for data of nothing"))?;
        let data = pending.out.get(begin..begin + len);
        let data = data.ok_or_else(|| wrong("a wish for data that are not there"))?.to_vec();
        let lun = pending.lun;
        let mut at = begin;
        for (number, part) in data.chunks(self.agreed.segment).enumerate() {
            let flags = if at + part.len() == begin + len { LAST } else { 0 };
            let mut unit = Pdu::new(op::DATA_OUT, flags, task).with(20, tag);
            unit = unit.with(36, number as u32).with(40, at as u32);
            unit.header[9] = lun;
            unit.data = part.to_vec();
            at += part.len();
            self.send(unit)?;
        }
        Ok(())
    }

    fn answer_ping(&mut self, unit: &Pdu) -> Result<()> {
        let tag = unit.number(20);
        if tag == NONE {
            return Ok(());
        }
        let mut answer = Pdu::new(op::NOP_OUT | op::IMMEDIATE, LAST, NONE).with(20, tag);
        answer.header[8..16].copy_from_slice(&unit.header[8..16]);
        let command = self.numbers().0;
        self.send(answer.with(24, command))
    }
}

fn connect(
    address: SocketAddr,
    target: Option<&str>,
    initiator: &Initiator,
    place: Place,
) -> Result<(TcpStream, Agreed)> {
    let mut stream = TcpStream::connect_timeout(&address, SILENCE_MAX)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    stream.set_write_timeout(Some(SILENCE_MAX))?;
    let agreed = login(&mut stream, initiator, target, place)?;
    Ok((stream, agreed))
}
