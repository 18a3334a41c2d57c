//! A client of DRBD 8.4's netlink family: what `drbdsetup` does, without a program.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use umc::Kernel;
use umc::genetlink::{Overrun, Portal, Sink};
use umc::sched::Creds;

/// Commands of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Command {
    GetStatus = 2,
    NewMinor = 5,
    NewResource = 7,
    Connect = 10,
    Attach = 12,
    Primary = 14,
    NewCurrentUuid = 16,
}

/// Top-level attributes.
mod tla {
    pub const CONTEXT: u16 = 2;
    pub const DISK_CONF: u16 = 3;
    pub const NET_CONF: u16 = 5;
    pub const ROLE_PARMS: u16 = 6;
    pub const STATE_INFO: u16 = 8;
    pub const NEW_UUID_PARMS: u16 = 10;
}

const RESOURCE: &str = "r0";
const NO_MINOR: u32 = u32::MAX;
const NLMSG_ERROR: u16 = 2;
const ID_CTRL: u16 = 16;
const NO_ERROR: i32 = 101;
/// State changes answer with numbers of their own; these mean success.
const SUCCESS: std::ops::RangeInclusive<i32> = 1..=4;

/// Why a command failed: DRBD's code, or the errno of netlink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused(pub i32);

/// The state of a device, numbered as DRBD does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(u32);

pub const CONN_STANDALONE: u32 = 0;
pub const CONN_CONNECTED: u32 = 10;
pub const DISK_DISKLESS: u32 = 0;
pub const DISK_UP_TO_DATE: u32 = 8;

impl Status {
    pub fn is_primary(self) -> bool {
        self.0 & 3 == 1
    }

    pub fn conn(self) -> u32 {
        (self.0 >> 4) & 31
    }

    pub fn disk(self) -> u32 {
        (self.0 >> 9) & 15
    }

    pub fn peer_disk(self) -> u32 {
        (self.0 >> 13) & 15
    }

    /// Connected, and both replicas are good.
    pub fn is_healthy(self) -> bool {
        self.conn() == CONN_CONNECTED
            && self.disk() == DISK_UP_TO_DATE
            && self.peer_disk() == DISK_UP_TO_DATE
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const ROLES: [&str; 4] = ["Unknown", "Primary", "Secondary", "?"];
        let role = ROLES[(self.0 & 3) as usize];
        write!(f, "cs {} ro {role} ds {}/{}", self.conn(), self.disk(), self.peer_disk())
    }
}

/// Connection options.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetSpec {
    /// A, B or C.
    pub protocol: char,
    /// Tenths of a second.
    pub timeout: u32,
    /// Seconds.
    pub ping_int: u32,
    /// Seconds.
    pub connect_int: u32,
    /// KiB/s.
    pub resync_rate: u32,
}

impl Default for NetSpec {
    fn default() -> NetSpec {
        NetSpec { protocol: 'C', timeout: 20, ping_int: 3, connect_int: 3, resync_rate: 1 << 20 }
    }
}

#[derive(Default)]
struct Inbox(Mutex<Vec<Vec<u8>>>);

impl Sink for Inbox {
    fn deliver(&self, message: &[u8]) -> Result<(), Overrun> {
        self.0.lock().push(message.to_vec());
        Ok(())
    }
}

/// Attributes under construction.
#[derive(Default)]
struct Attrs(Vec<u8>);

impl Attrs {
    fn bytes(mut self, kind: u16, value: &[u8]) -> Attrs {
        self.0.extend_from_slice(&(value.len() as u16 + 4).to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    fn u32(self, kind: u16, value: u32) -> Attrs {
        self.bytes(kind, &value.to_ne_bytes())
    }

    fn flag(self, kind: u16, value: bool) -> Attrs {
        self.bytes(kind, &[u8::from(value)])
    }

    fn text(self, kind: u16, value: &str) -> Attrs {
        let mut value = value.as_bytes().to_vec();
        value.push(0);
        self.bytes(kind, &value)
    }

    fn nest(self, kind: u16, inner: Attrs) -> Attrs {
        const NESTED: u16 = 1 << 15;
        self.bytes(kind | NESTED, &inner.0)
    }
}

/// The payload of the attribute `kind`.
fn find(mut attrs: &[u8], kind: u16) -> Option<&[u8]> {
    while attrs.len() >= 4 {
        let len = usize::from(u16::from_ne_bytes([attrs[0], attrs[1]]));
        // The two top bits are flags of netlink, the next one is DRBD's.
        let found = u16::from_ne_bytes([attrs[2], attrs[3]]) & 0x3fff;
        let value = attrs.get(4..len)?;
        if found == kind {
            return Some(value);
        }
        attrs = attrs.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    None
}

fn message(kind: u16, command: u8, version: u8, body: &[u8]) -> Vec<u8> {
    const REQUEST: u16 = 1;
    let mut message = Vec::new();
    message.extend_from_slice(&(20 + body.len() as u32).to_ne_bytes());
    message.extend_from_slice(&kind.to_ne_bytes());
    message.extend_from_slice(&REQUEST.to_ne_bytes());
    message.extend_from_slice(&1_u32.to_ne_bytes());
    message.extend_from_slice(&0_u32.to_ne_bytes());
    message.extend_from_slice(&[command, version, 0, 0]);
    message.extend_from_slice(body);
    message
}

fn i32_at(message: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_ne_bytes(message.get(at..at + 4)?.try_into().ok()?))
}

fn kind_of(message: &[u8]) -> u16 {
    u16::from_ne_bytes([message[4], message[5]])
}

/// The resource of a node. Its methods are called on a task of the node's host.
#[derive(Clone)]
pub struct Client {
    kernel: &'static Kernel,
    family: u16,
}

impl Client {
    /// Looks the family up. The module is loaded.
    pub fn new(kernel: &'static Kernel) -> Result<Client, Refused> {
        let query = message(ID_CTRL, 3, 2, &Attrs::default().text(2, "drbd").0);
        let replies = exchange(kernel, &query);
        let reply = replies.first().ok_or(Refused(0))?;
        if kind_of(reply) == NLMSG_ERROR {
            return Err(Refused(i32_at(reply, 16).unwrap_or(0)));
        }
        let id = find(&reply[20..], 1).ok_or(Refused(0))?;
        Ok(Client { kernel, family: u16::from_ne_bytes([id[0], id[1]]) })
    }

    fn send(&self, command: Command, minor: u32, attrs: Attrs) -> Result<Vec<u8>, Refused> {
        let mut body = minor.to_ne_bytes().to_vec();
        body.extend_from_slice(&0_u32.to_ne_bytes());
        body.extend_from_slice(&attrs.0);
        for reply in exchange(self.kernel, &message(self.family, command as u8, 1, &body)) {
            if kind_of(&reply) == NLMSG_ERROR {
                match i32_at(&reply, 16).unwrap_or(0) {
                    0 => continue,
                    errno => return Err(Refused(errno)),
                }
            }
            if kind_of(&reply) == self.family && reply.get(16) == Some(&(command as u8)) {
                let code = i32_at(&reply, 24).unwrap_or(0);
                let is_fine = code == NO_ERROR || SUCCESS.contains(&code);
                return if is_fine { Ok(reply) } else { Err(Refused(code)) };
            }
        }
        Err(Refused(0))
    }

    fn context(&self) -> Attrs {
        Attrs::default().text(2, RESOURCE)
    }

    /// `new-resource` and `new-minor`.
    pub fn create(&self) -> Result<(), Refused> {
        let context = Attrs::default().nest(tla::CONTEXT, self.context());
        self.send(Command::NewResource, NO_MINOR, context)?;
        let context = Attrs::default().nest(tla::CONTEXT, self.context().u32(1, 0));
        self.send(Command::NewMinor, 0, context).map(drop)
    }

    /// `attach`, with internal metadata.
    pub fn attach(&self, disk: &str, net: &NetSpec) -> Result<(), Refused> {
        let conf = Attrs::default()
            .text(1, disk)
            .text(2, disk)
            .u32(3, -1_i32 as u32)
            .u32(8, net.resync_rate)
            .u32(11, 0);
        self.send(Command::Attach, 0, Attrs::default().nest(tla::DISK_CONF, conf)).map(drop)
    }

    fn path(&self, mine: SocketAddr, peer: SocketAddr) -> Attrs {
        self.context().bytes(3, &raw_address(mine)).bytes(4, &raw_address(peer))
    }

    /// `connect`.
    pub fn connect(
        &self,
        mine: SocketAddr,
        peer: SocketAddr,
        net: &NetSpec,
    ) -> Result<(), Refused> {
        let protocol = match net.protocol {
            'A' => 1,
            'B' => 2,
            _ => 3,
        };
        let conf = Attrs::default()
            .u32(6, protocol)
            .u32(7, net.connect_int)
            .u32(8, net.timeout)
            .u32(9, net.ping_int);
        let attrs =
            Attrs::default().nest(tla::CONTEXT, self.path(mine, peer)).nest(tla::NET_CONF, conf);
        self.send(Command::Connect, NO_MINOR, attrs).map(drop)
    }

    /// `primary`, with `--force` if the data shall count as good.
    pub fn primary(&self, force: bool) -> Result<(), Refused> {
        let parms = Attrs::default().nest(tla::ROLE_PARMS, Attrs::default().flag(1, force));
        self.send(Command::Primary, 0, parms).map(drop)
    }

    /// `new-current-uuid --clear-bitmap`: both sides are declared equal.
    pub fn declare_equal(&self) -> Result<(), Refused> {
        let parms = Attrs::default().nest(tla::NEW_UUID_PARMS, Attrs::default().flag(1, true));
        self.send(Command::NewCurrentUuid, 0, parms).map(drop)
    }

    /// The state of the device.
    pub fn status(&self) -> Result<Status, Refused> {
        let reply = self.send(Command::GetStatus, 0, Attrs::default())?;
        let info = find(&reply[28..], tla::STATE_INFO).ok_or(Refused(0))?;
        let state = find(info, 2).and_then(|state| i32_at(state, 0)).ok_or(Refused(0))?;
        Ok(Status(state as u32))
    }
}

fn exchange(kernel: &'static Kernel, request: &[u8]) -> Vec<Vec<u8>> {
    let inbox = Arc::new(Inbox::default());
    let creds = Creds { pid: 1, uid: 0, caps: u64::MAX };
    let portal = Portal::open(kernel, creds, inbox.clone());
    portal.receive(request);
    drop(portal);
    std::mem::take(&mut *inbox.0.lock())
}

/// A `struct sockaddr_in` or `sockaddr_in6`.
fn raw_address(addr: SocketAddr) -> Vec<u8> {
    let family = |number: u16| number.to_ne_bytes();
    let mut raw = Vec::new();
    match addr.ip() {
        IpAddr::V4(ip) => {
            raw.extend_from_slice(&family(2));
            raw.extend_from_slice(&addr.port().to_be_bytes());
            raw.extend_from_slice(&ip.octets());
            raw.resize(16, 0);
        }
        IpAddr::V6(ip) => {
            raw.extend_from_slice(&family(10));
            raw.extend_from_slice(&addr.port().to_be_bytes());
            raw.extend_from_slice(&[0; 4]);
            raw.extend_from_slice(&ip.octets());
            raw.resize(28, 0);
        }
    }
    raw
}
