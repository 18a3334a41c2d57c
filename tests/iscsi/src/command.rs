// SPDX-License-Identifier: GPL-2.0-only
//! Commands of disks.

/// A command block of SCSI with what goes along.
#[derive(Clone, Debug)]
pub struct Command {
    /// Its unit.
    pub lun: u8,
    /// Its bytes.
    pub block: [u8; 16],
    /// What is written.
    pub out: Vec<u8>,
    /// How much may be read.
    pub room: usize,
}

impl Command {
    /// One without data.
    pub fn new(lun: u8, opcode: u8) -> Command {
        let mut block = [0; 16];
        block[0] = opcode;
        Command { lun, block, out: Vec::new(), room: 0 }
    }

    /// With a byte at this place of the block.
    pub fn byte(mut self, at: usize, byte: u8) -> Command {
        self.block[at] = byte;
        self
    }

    /// With bytes from this place of the block on.
    pub fn bytes(mut self, at: usize, bytes: &[u8]) -> Command {
        self.block[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// With room for what is read.
    pub fn room(mut self, room: usize) -> Command {
        self.room = room;
        self
    }

    /// With what is written.
    pub fn out(mut self, out: Vec<u8>) -> Command {
        self.out = out;
        self
    }

    fn at(lun: u8, opcode: u8, block: u64, blocks: u32) -> Command {
        let it = Command::new(lun, opcode);
        it.bytes(2, &block.to_be_bytes()).bytes(10, &blocks.to_be_bytes())
    }

    /// Reads blocks, `len` bytes.
    pub fn read(lun: u8, block: u64, blocks: u32, len: usize) -> Command {
        Command::at(lun, 0x88, block, blocks).room(len)
    }

    /// Writes blocks.
    pub fn write(lun: u8, block: u64, blocks: u32, data: Vec<u8>) -> Command {
        Command::at(lun, 0x8a, block, blocks).out(data)
    }

    /// Writes one block over many.
    pub fn write_same(lun: u8, block: u64, blocks: u32, data: Vec<u8>) -> Command {
        Command::at(lun, 0x93, block, blocks).out(data)
    }

    /// Writes a block where another one is: first the latter, then the former.
    pub fn compare_and_write(lun: u8, block: u64, both: Vec<u8>) -> Command {
        Command::at(lun, 0x89, block, 0).byte(13, 1).out(both)
    }

    /// Lets go of blocks.
    pub fn unmap(lun: u8, block: u64, blocks: u32) -> Command {
        let mut list = vec![0, 22, 0, 16, 0, 0, 0, 0];
        list.extend(block.to_be_bytes());
        list.extend(blocks.to_be_bytes());
        list.extend([0; 4]);
        Command::new(lun, 0x42).byte(8, list.len() as u8).out(list)
    }

    /// Brings what was written to stable storage.
    pub fn flush(lun: u8) -> Command {
        Command::new(lun, 0x91)
    }

    /// Is it there?
    pub fn ready(lun: u8) -> Command {
        Command::new(lun, 0x00)
    }

    /// What it is; a page of that.
    pub fn inquiry(lun: u8, page: Option<u8>) -> Command {
        let it = Command::new(lun, 0x12).byte(4, 255).room(255);
        page.map_or(it.clone(), |page| it.byte(1, 1).byte(2, page))
    }

    /// How large it is: the number of its last block, the bytes of a block.
    pub fn capacity(lun: u8) -> Command {
        Command::new(lun, 0x9e).byte(1, 0x10).byte(13, 32).room(32)
    }

    /// Which units there are.
    pub fn luns() -> Command {
        Command::new(0, 0xa0).bytes(6, &512_u32.to_be_bytes()).room(512)
    }

    /// Asks of persistent reservations: 0 for the keys, 1 for the reservation.
    pub fn reservations(lun: u8, action: u8) -> Command {
        Command::new(lun, 0x5e).byte(1, action).bytes(7, &512_u16.to_be_bytes()).room(512)
    }

    /// Changes persistent reservations: 0 registers a key, 1 reserves, 2 releases. With `kept` they survive the target.
    pub fn reserve(lun: u8, action: u8, kind: u8, keys: (u64, u64), kept: bool) -> Command {
        let mut list = keys.0.to_be_bytes().to_vec();
        list.extend(keys.1.to_be_bytes());
        list.extend([0, 0, 0, 0, u8::from(kept), 0, 0, 0]);
        Command::new(lun, 0x5f).byte(1, action).byte(2, kind).byte(8, 24).out(list)
    }

    /// Which groups the ports to a unit are in, and the groups' states.
    pub fn port_groups(lun: u8) -> Command {
        let it = Command::new(lun, 0xa3).byte(1, 0x0a);
        it.bytes(6, &512_u32.to_be_bytes()).room(512)
    }

    /// Sets the state of such a group.
    pub fn set_port_group(lun: u8, group: u16, state: u8) -> Command {
        let mut list = vec![0, 0, 0, 0, state, 0];
        list.extend(group.to_be_bytes());
        let it = Command::new(lun, 0xa4).byte(1, 0x0a);
        it.bytes(6, &(list.len() as u32).to_be_bytes()).out(list)
    }
}
