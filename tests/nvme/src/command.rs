// SPDX-License-Identifier: GPL-2.0-only
//! Commands: what a submission queue entry says, and the data that go with it.

/// Namespaces that an Identify tells of.
pub const IDENTIFY_NAMESPACE: u32 = 0;
/// The controller.
pub const IDENTIFY_CONTROLLER: u32 = 1;
/// The numbers of all namespaces.
pub const IDENTIFY_NAMESPACES: u32 = 2;

/// Bytes of what an Identify answers.
const IDENTIFY_LEN: usize = 4096;
/// Of the lists of places: data in the capsule, or by the transport.
const IN_CAPSULE: u8 = 0x01;
const BY_TRANSPORT: u8 = 0x5a;
/// Of the flags of a command: its data are described so.
const HAS_LIST: u8 = 0x40;
const FABRICS: u8 = 0x7f;

/// A command that can be submitted.
#[derive(Clone, Debug)]
pub struct Command {
    pub(crate) entry: [u8; 64],
    /// What goes to the controller.
    pub(crate) out: Vec<u8>,
    /// How many bytes come from it.
    pub(crate) room: usize,
}

impl Command {
    /// A command without data for a namespace, or for none with 0.
    pub fn new(opcode: u8, nsid: u32) -> Command {
        let mut command = Command { entry: [0; 64], out: Vec::new(), room: 0 };
        command.entry[0] = opcode;
        command.entry[1] = HAS_LIST;
        command.put(4, &nsid.to_le_bytes());
        command
    }

    fn fabrics(kind: u8) -> Command {
        let mut command = Command::new(FABRICS, 0);
        command.entry[4] = kind;
        command
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.entry[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Sets one of the words 10 to 15.
    pub fn word(mut self, number: usize, value: u32) -> Command {
        self.put(number * 4, &value.to_le_bytes());
        self
    }

    /// With data for the controller.
    pub fn with_data(mut self, data: Vec<u8>) -> Command {
        self.out = data;
        self
    }

    /// With room for data of the controller.
    pub fn with_room(mut self, room: usize) -> Command {
        self.room = room;
        self
    }

    pub(crate) fn connect(queue: u16, depth: u16, keep_alive_ms: u32, data: Vec<u8>) -> Command {
        let mut command = Command::fabrics(0x01).with_data(data);
        command.put(42, &queue.to_le_bytes());
        command.put(44, &(depth - 1).to_le_bytes());
        command.put(48, &keep_alive_ms.to_le_bytes());
        command
    }

    pub(crate) fn property_get(offset: u32, is_long: bool) -> Command {
        let mut command = Command::fabrics(0x04);
        command.entry[40] = is_long.into();
        command.put(44, &offset.to_le_bytes());
        command
    }

    pub(crate) fn property_set(offset: u32, value: u32) -> Command {
        let mut command = Command::fabrics(0x00);
        command.put(44, &offset.to_le_bytes());
        command.put(48, &u64::from(value).to_le_bytes());
        command
    }

    /// Tells of the controller or a namespace; `kind` is one of the constants of this module, or another number of the
    /// specification.
    pub fn identify(kind: u32, nsid: u32) -> Command {
        Command::new(0x06, nsid).word(10, kind).with_room(IDENTIFY_LEN)
    }

    /// The number of queues that the host wants, and how many it gets.
    pub fn set_queue_count(count: u16) -> Command {
        let last = u32::from(count - 1);
        Command::new(0x09, 0).word(10, 7).word(11, last << 16 | last)
    }

    /// A log page.
    pub fn log_page(page: u8, room: usize) -> Command {
        let words = (room / 4 - 1) as u32;
        Command::new(0x02, 0)
            .word(10, u32::from(page) | (words & 0xffff) << 16)
            .word(11, words >> 16)
            .with_room(room)
    }

    /// Tells the controller that the host is there.
    pub fn keep_alive() -> Command {
        Command::new(0x18, 0)
    }

    /// Answered when something happens.
    pub fn event_request() -> Command {
        Command::new(0x0c, 0)
    }

    fn range(self, block: u64, blocks: u32) -> Command {
        self.word(10, block as u32).word(11, (block >> 32) as u32).word(12, blocks - 1)
    }

    /// Reads blocks, `len` bytes together.
    pub fn read(nsid: u32, block: u64, blocks: u32, len: usize) -> Command {
        Command::new(0x02, nsid).range(block, blocks).with_room(len)
    }

    /// Writes blocks.
    pub fn write(nsid: u32, block: u64, blocks: u32, data: Vec<u8>) -> Command {
        Command::new(0x01, nsid).range(block, blocks).with_data(data)
    }

    /// Brings what was written to the medium.
    pub fn flush(nsid: u32) -> Command {
        Command::new(0x00, nsid)
    }

    /// Zeroes blocks.
    pub fn write_zeroes(nsid: u32, block: u64, blocks: u32) -> Command {
        Command::new(0x08, nsid).range(block, blocks)
    }

    /// Forgets the content of blocks.
    pub fn deallocate(nsid: u32, block: u64, blocks: u32) -> Command {
        let mut range = vec![0; 4];
        range.extend(blocks.to_le_bytes());
        range.extend(block.to_le_bytes());
        Command::new(0x09, nsid).word(11, 4).with_data(range)
    }

    /// Says where the data are: in the capsule, or as the controller asks for them.
    pub(crate) fn place(&mut self, is_in_capsule: bool) {
        let len = self.out.len().max(self.room) as u32;
        self.put(32, &len.to_le_bytes());
        self.entry[39] = if is_in_capsule { IN_CAPSULE } else { BY_TRANSPORT };
    }

    pub(crate) fn set_id(&mut self, id: u16) {
        self.put(2, &id.to_le_bytes());
    }
}
