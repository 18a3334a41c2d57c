// SPDX-License-Identifier: GPL-2.0-only
//! What a generic netlink client sees of its socket, with a script in the place of a stock tool.

use cluster::{Cluster, Layout, text};

#[test]
fn a_socket_has_an_address_of_its_own_and_errors_of_its_own() {
    let cluster = Cluster::new("genl", Layout { disk_mib: 16, ..Layout::default() });
    let script = "import os, socket, struct, errno
def socket_of_its_own():
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16); s.bind((0, 0)); return s
def ask(s, name):
    body = bytes((3, 1, 0, 0)) + struct.pack('HH', 4 + len(name), 2) + name
    body += bytes(-len(body) % 4)
    s.send(struct.pack('IHHII', 16 + len(body), 16, 1, 1, 0) + body); return s.recv(65536)
s, t = socket_of_its_own(), socket_of_its_own()
# The address is that which replies carry, and no other socket has it.
for x in s, t: assert struct.unpack_from('I', ask(x, b'drbd\\0'), 12)[0] == x.getsockname()[0]
assert s.getsockname()[0] != t.getsockname()[0] != 0
for option, group in (1, 16), (1, 9999), (1, 0), (2, 16):
    try: s.setsockopt(270, option, group); print('ok')
    except OSError as e: print(errno.errorcode[e.errno])";
    let output = cluster.on(cluster.a(), &["python3", "-c", script]);
    assert_eq!(text(&output), "exit status: 0\nok\nEINVAL\nEINVAL\nok\n");
}
