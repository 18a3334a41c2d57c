// SPDX-License-Identifier: GPL-2.0-only
//! A queue of a controller: one TCP connection, over which commands go and come back in any order.

use std::collections::HashMap;
use std::io::{Error, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::command::Command;
use crate::pdu::{Digests, IS_LAST, IS_SUCCESS, Kind, Pdu, wrong};

/// How long the controller may keep silent.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// What a command of this many bytes brings along before anything else is known.
const ADMIN_IN_CAPSULE: usize = 8192;

/// The end of a command.
#[derive(Clone, Debug)]
pub struct Completion {
    /// Which one.
    pub id: u16,
    /// The first eight bytes of the answer.
    pub result: u64,
    /// 0, or why it failed: the code in the lower eight bits, its type above.
    pub status: u16,
    /// What was read.
    pub data: Vec<u8>,
}

impl Completion {
    /// What was read, or an error.
    ///
    /// # Errors
    /// The command failed.
    pub fn ok(self) -> Result<Completion> {
        match self.status {
            0 => Ok(self),
            status => Err(Error::other(format!("the command failed with status {status:#x}"))),
        }
    }
}

struct Pending {
    out: Vec<u8>,
    data: Vec<u8>,
}

/// A connection.
pub struct Queue {
    stream: TcpStream,
    digests: Digests,
    /// The most data of a write in one unit.
    data_max: usize,
    /// Writes up to so many bytes bring their data along.
    pub in_capsule: usize,
    next_id: u16,
    pending: HashMap<u16, Pending>,
}

impl Queue {
    /// Connects and agrees on the digests.
    ///
    /// # Errors
    /// Those of the connection, and an answer that is none.
    pub fn open(address: SocketAddr, digests: Digests) -> Result<Queue> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        stream.set_write_timeout(Some(SILENCE_MAX))?;
        let mut head = vec![0; 120];
        head[3] = u8::from(digests.header) | u8::from(digests.data) << 1;
        stream.write_all(&Pdu::new(Kind::InitRequest, head).encode(digests))?;
        let answer = Pdu::read(&mut stream)?;
        if answer.kind != Kind::InitResponse || answer.head.len() != 120 {
            return Err(wrong("something else than the answer to an initialization"));
        }
        let agreed = answer.head[3];
        let digests = Digests { header: agreed & 1 != 0, data: agreed & 2 != 0 };
        let data_max = number(&answer.head, 4) as usize;
        Ok(Queue {
            stream,
            digests,
            data_max,
            in_capsule: ADMIN_IN_CAPSULE,
            next_id: 0,
            pending: HashMap::new(),
        })
    }

    /// The digests that both sides agreed on.
    pub fn digests(&self) -> Digests {
        self.digests
    }

    /// The connection itself, for tests that send what a host does not.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// How many commands are under way.
    pub fn depth(&self) -> usize {
        self.pending.len()
    }

    /// Sends a command; its number.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn submit(&mut self, mut command: Command) -> Result<u16> {
        while self.pending.contains_key(&self.next_id) {
            self.next_id = self.next_id.wrapping_add(1);
        }
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        let len = command.out.len();
        let is_in_capsule = len > 0 && len <= self.in_capsule;
        command.place(is_in_capsule);
        command.set_id(id);
        let mut unit = Pdu::new(Kind::Command, command.entry.to_vec());
        let pending = Pending { out: command.out, data: vec![0; command.room] };
        if is_in_capsule {
            unit.data.clone_from(&pending.out);
        }
        self.pending.insert(id, pending);
        self.stream.write_all(&unit.encode(self.digests))?;
        Ok(id)
    }

    /// Waits for the end of any command.
    ///
    /// # Errors
    /// Those of the connection, and `InvalidData` where the controller breaks the protocol or ends it.
    pub fn complete(&mut self) -> Result<Completion> {
        loop {
            let unit = Pdu::read(&mut self.stream)?;
            let needed = if unit.kind == Kind::ControllerTermination { 2 } else { 16 };
            if unit.head.len() < needed {
                return Err(wrong("a header that is too short"));
            }
            match unit.kind {
                Kind::Response => return self.end(&unit),
                Kind::ControllerData => {
                    if let Some(completion) = self.take_data(&unit)? {
                        return Ok(completion);
                    }
                }
                Kind::ReadyToTransfer => self.give_data(&unit)?,
                Kind::ControllerTermination => {
                    return Err(wrong(&format!(
                        "an end of the connection, reason {}",
                        unit.head[0]
                    )));
                }
                kind => return Err(wrong(&format!("{kind:?}, which is a host's"))),
            }
        }
    }

    /// Sends a command and waits for its end. No other is under way.
    ///
    /// # Errors
    /// As [`Queue::submit`] and [`Queue::complete`].
    pub fn run(&mut self, command: Command) -> Result<Completion> {
        let id = self.submit(command)?;
        let completion = self.complete()?;
        if completion.id == id { Ok(completion) } else { Err(wrong("the end of another command")) }
    }

    fn end(&mut self, unit: &Pdu) -> Result<Completion> {
        let id = short(&unit.head, 12);
        let pending = self.pending.remove(&id).ok_or_else(|| wrong("the end of no command"))?;
        let result = u64::from(number(&unit.head, 4)) << 32 | u64::from(number(&unit.head, 0));
        // The lowest bit is of rings in memory.
        let status = (short(&unit.head, 14) >> 1) & 0x7ff;
        Ok(Completion { id, result, status, data: pending.data })
    }

    fn take_data(&mut self, unit: &Pdu) -> Result<Option<Completion>> {
        let (id, at) = (short(&unit.head, 0), number(&unit.head, 4) as usize);
        let pending = self.pending.get_mut(&id).ok_or_else(|| wrong("data of no command"))?;
        let place = pending.data.get_mut(at..at + unit.data.len());
        let place = place.ok_or_else(|| wrong("more data than were asked for"))?;
        place.copy_from_slice(&unit.data);
        if unit.flags & IS_SUCCESS == 0 {
            return Ok(None);
        }
        let pending = self.pending.remove(&id);
        let data = pending.map(|pending| pending.data).unwrap_or_default();
        Ok(Some(Completion { id, result: 0, status: 0, data }))
    }

    fn give_data(&mut self, unit: &Pdu) -> Result<()> {
        let (id, tag) = (short(&unit.head, 0), short(&unit.head, 2));
        let (begin, len) = (number(&unit.head, 4) as usize, number(&unit.head, 8) as usize);
        let pending =
            self.pending.get(&id).ok_or_else(|| wrong("a wish for data of no command"))?;
        let data = pending.out.get(begin..begin + len);
        let data = data.ok_or_else(|| wrong("a wish for data that are not there"))?;
        let step = if self.data_max == 0 { len } else { self.data_max };
        let mut at = begin;
        for part in data.chunks(step) {
            let mut head = id.to_le_bytes().to_vec();
            head.extend(tag.to_le_bytes());
            head.extend((at as u32).to_le_bytes());
            head.extend((part.len() as u32).to_le_bytes());
            head.extend([0; 4]);
            at += part.len();
            let mut unit = Pdu::new(Kind::HostData, head);
            unit.flags = if at == begin + len { IS_LAST } else { 0 };
            unit.data = part.to_vec();
            self.stream.write_all(&unit.encode(self.digests))?;
        }
        Ok(())
    }
}

fn short(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

pub(crate) fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
