// SPDX-License-Identifier: GPL-2.0-only
//! The rules, in the order in which they are checked.

use handlers::abi::Handler;

use crate::request::{self, Request, What};
use crate::session::{Failure, Session};

/// Bytes at the beginning of the device that the checks write to, and know.
const SPAN_MAX: u64 = 4 << 20;
const PATTERNS: u64 = 200;
const IN_FLIGHT: u64 = 64;

type Checked = Result<(), Failure>;

/// What the device has to hold.
pub struct Check {
    pub handler: &'static Handler,
    pub session: Session,
    model: Vec<u8>,
    /// The last block, where the model does not reach it.
    last: Vec<u8>,
    random: u64,
}

/// Bytes that differ from place to place and from seed to seed.
fn pattern(len: u64, seed: u64) -> Vec<u8> {
    let word = |index: u64| (index ^ seed << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    (0..len).map(|at| (word(at / 8) >> (at % 4 * 8)) as u8).collect()
}

/// The same bytes, or where they differ first.
fn same(found: &[u8], wanted: &[u8], offset: u64, what: &str) -> Checked {
    match found.iter().zip(wanted).position(|(found, wanted)| found != wanted) {
        None => Ok(()),
        Some(at) => {
            let count = found.iter().zip(wanted).filter(|(found, wanted)| found != wanted).count();
            let text = format!("{what}: {count} bytes differ, the first at {}", offset + at as u64);
            Err(Failure::Broken(text))
        }
    }
}

impl Check {
    pub fn new(handler: &'static Handler, session: Session) -> Check {
        let block = session.block;
        let span = session.size.min(SPAN_MAX) / block * block;
        Check {
            handler,
            model: vec![0; span as usize],
            last: Vec::new(),
            random: 0x1234_5678_9abc_def1,
            session,
        }
    }

    fn below(&mut self, end: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % end
    }

    fn span(&self) -> u64 {
        self.model.len() as u64
    }

    fn whole(&self, what: What, offset: u64, len: u64, data: &[u8]) -> &'static Request {
        Request::new(what, offset, len, data, len.max(1) as usize, 0)
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Checked {
        let request = self.whole(What::Write, offset, data.len() as u64, data);
        self.session.run(&[request])?;
        same(&request.data(), data, offset, "the handler changed the data of a write")?;
        self.model[offset as usize..][..data.len()].copy_from_slice(data);
        Ok(())
    }

    fn read(&self, offset: u64, len: u64) -> Result<Vec<u8>, Failure> {
        let request = self.whole(What::Read, offset, len, &[]);
        self.session.run(&[request])?;
        Ok(request.data())
    }

    /// Everything that is known, read back.
    fn verify(&self, what: &str) -> Checked {
        let step = self.session.transfer_max.min(1 << 20) / self.session.block * self.session.block;
        for offset in (0..self.span()).step_by(step as usize) {
            let len = step.min(self.span() - offset);
            same(
                &self.read(offset, len)?,
                &self.model[offset as usize..][..len as usize],
                offset,
                what,
            )?;
        }
        if !self.last.is_empty() {
            let offset = self.session.size - self.session.block;
            same(&self.read(offset, self.session.block)?, &self.last, offset, what)?;
        }
        Ok(())
    }

    /// The first and the last block can be written and read.
    pub fn bounds(&mut self) -> Checked {
        let (block, size) = (self.session.block, self.session.size);
        let step = self.session.transfer_max.min(1 << 20) / block * block;
        for offset in (0..self.span()).step_by(step as usize) {
            let data = pattern(step.min(self.span() - offset), offset + 1);
            self.write(offset, &data)?;
        }
        if size / block * block > self.span() {
            let data = pattern(block, 77);
            self.session.run(&[self.whole(What::Write, size - block, block, &data)])?;
            self.last = data;
        }
        self.verify("the first and the last blocks")
    }

    /// Writes of random place and size come back, and change nothing else.
    pub fn patterns(&mut self) -> Checked {
        let (block, span) = (self.session.block, self.span());
        let longest = (self.session.transfer_max / block).min(256).min(span / block);
        for number in 0..PATTERNS {
            let blocks = 1 + self.below(longest);
            let offset = self.below(span / block - blocks + 1) * block;
            let data = pattern(blocks * block, 1000 + number);
            self.write(offset, &data)?;
            // With what is beside it.
            let start = offset.saturating_sub(4 * block);
            let end = (offset + blocks * block + 4 * block).min(span);
            let end = end.min(start + self.session.transfer_max);
            let found = self.read(start, end - start)?;
            same(&found, &self.model[start as usize..end as usize], start, "around a write")?;
        }
        self.verify("after writes of random place and size")
    }

    /// Memory in many pieces, at addresses that are no beginnings of pages, and the longest transfer.
    pub fn alignment(&mut self) -> Checked {
        let block = self.session.block;
        let len = (64 * block).min(self.span()).min(self.session.transfer_max);
        for (number, shift) in [0, 512, 1536, 3584].into_iter().enumerate() {
            let data = pattern(len, 2000 + number as u64);
            let piece = block as usize * (1 + number);
            let write = Request::new(What::Write, 0, len, &data, piece, shift);
            self.session.run(&[write])?;
            self.model[..len as usize].copy_from_slice(&data);
            let read = Request::new(What::Read, 0, len, &[], piece, 3584 - shift);
            self.session.run(&[read])?;
            same(&read.data(), &data, 0, "through memory in pieces")?;
        }
        let longest = self.session.transfer_max.min(self.span()) / block * block;
        let data = pattern(longest, 2100);
        self.write(0, &data)?;
        same(&self.read(0, longest)?, &data, 0, "the longest transfer")
    }

    /// A flush ends well; `None`: there is none.
    pub fn flush(&mut self) -> Option<Checked> {
        let passthrough = self.handler.read.is_none();
        (passthrough || self.handler.flush.is_some()).then(|| {
            self.session.run(&[self.whole(What::Flush, 0, 0, &[])])?;
            self.verify("after a flush")
        })
    }

    /// An unmapped range can be read and written again, and nothing else changes.
    pub fn unmap(&mut self) -> Option<Checked> {
        self.handler.unmap?;
        Some(self.unmap_ranges())
    }

    fn unmap_ranges(&mut self) -> Checked {
        let (block, span) = (self.session.block, self.span());
        let most = (span / 2).min(self.session.unmap_max) / block * block;
        for (offset, len) in [(block, 3 * block), (span / 4 / block * block, most)] {
            let len = len.min(span - offset);
            self.session.run(&[self.whole(What::Unmap, offset, len, &[])])?;
            let step = self.session.transfer_max.min(len);
            let found = self.read(offset, step)?;
            same(&found, &self.read(offset, step)?, offset, "an unmapped range, read twice")?;
            let mut filled = 0;
            while filled < len {
                let part = step.min(len - filled);
                self.write(offset + filled, &pattern(part, 3000 + filled))?;
                filled += part;
            }
        }
        self.verify("beside unmapped ranges")
    }

    /// A block is repeated over a range, and nothing else changes.
    pub fn write_same(&mut self) -> Option<Checked> {
        self.handler.writesame?;
        Some(self.write_same_ranges())
    }

    fn write_same_ranges(&mut self) -> Checked {
        let block = self.session.block;
        for seed in [0, 1] {
            let data = if seed == 0 { vec![0; block as usize] } else { pattern(block, 4000) };
            let (offset, len) = (5 * block, (100 * block).min(self.span() - 5 * block));
            self.session.run(&[self.whole(What::WriteSame, offset, len, &data)])?;
            let range = &mut self.model[offset as usize..(offset + len) as usize];
            range.chunks_mut(block as usize).for_each(|chunk| chunk.copy_from_slice(&data));
        }
        self.verify("after write same")
    }

    /// Many requests at a time, to places of their own.
    pub fn in_flight(&mut self) -> Checked {
        let block = self.session.block;
        let count = IN_FLIGHT.min(self.span() / block / 4);
        for round in 0..4 {
            let place = |number: u64| number * 4 * block;
            let datas: Vec<Vec<u8>> =
                (0..count).map(|number| pattern(2 * block, 5000 + round * 100 + number)).collect();
            let writes: Vec<_> = (0..count)
                .map(|number| {
                    self.whole(What::Write, place(number), 2 * block, &datas[number as usize])
                })
                .collect();
            self.session.run(&writes)?;
            for (number, data) in datas.iter().enumerate() {
                self.model[place(number as u64) as usize..][..data.len()].copy_from_slice(data);
            }
            let reads: Vec<_> = (0..count)
                .map(|number| self.whole(What::Read, place(number), 2 * block, &[]))
                .collect();
            self.session.run(&reads)?;
            for (read, data) in reads.iter().zip(&datas) {
                same(&read.data(), data, read.offset, "with many requests in flight")?;
            }
        }
        self.verify("after many requests in flight")
    }

    /// Closed and opened again, the device holds what was written.
    pub fn reopen(mut self, spec: &str, size: u64, volatile: bool) -> Result<Check, Failure> {
        if self.handler.flush.is_some() || self.handler.read.is_none() {
            self.session.run(&[self.whole(What::Flush, 0, 0, &[])])?;
        }
        let (block, old_size) = (self.session.block, self.session.size);
        self.session.close();
        self.session = Session::open(self.handler, spec, size)
            .map_err(|text| Failure::Stuck(format!("the second open: {text}")))?;
        if (self.session.block, self.session.size) != (block, old_size) {
            let text = format!("{} bytes were {old_size} before", self.session.size);
            return Err(Failure::Broken(text));
        }
        if !volatile {
            self.verify("after close and open")?;
        }
        Ok(self)
    }
}

/// Requests were completed once each.
pub fn completions() -> Checked {
    request::wrong_completion().map_or(Ok(()), |text| Err(Failure::Broken(text)))
}

/// Nothing beside the memory of a request was touched.
pub fn memory() -> Checked {
    request::overrun().map_or(Ok(()), |text| Err(Failure::Broken(text)))
}
