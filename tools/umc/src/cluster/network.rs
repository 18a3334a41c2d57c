// SPDX-License-Identifier: GPL-2.0-only
//! The network of a cluster: a bridge in the keeper's own namespace, and a cable from it to each node.

use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::conf;
use super::spaces::Kept;
use super::wire::{Port, Wire};

const BRIDGE: &str = "lan";
/// The end of the cable between bridge and [`Wire`] that is the wire's.
const UPLINK: &str = "wire";
const UPLINK_OF_BRIDGE: &str = "wire-lan";

/// The bridge's end of a node's cable.
fn port(node: usize) -> String {
    format!("port{}", node + 1)
}

/// Lays the network. The calling thread is in the keeper's namespace.
///
/// # Errors
/// `ip` of iproute2 is missing, or the kernel has no bridges or veths.
pub fn lay(nodes: &[Kept]) -> Result<()> {
    let me = std::process::id();
    let mut script = format!(
        "link set lo up\nlink add {BRIDGE} type bridge forward_delay 0\nlink set {BRIDGE} up\n\
         link add {UPLINK} type veth peer name {UPLINK_OF_BRIDGE}\nlink set {UPLINK} addrgenmode none\nlink set {UPLINK} up\n\
         link set {UPLINK_OF_BRIDGE} addrgenmode none\nlink set {UPLINK_OF_BRIDGE} master {BRIDGE} up\n"
    );
    for (at, kept) in nodes.iter().enumerate() {
        let (port, space) = (port(at), kept.spaces().net);
        script.push_str(&format!(
            "link add {port} type veth peer name eth0 netns /proc/{me}/fd/{space}\n\
             link set {port} addrgenmode none\nlink set {port} master {BRIDGE} up\n"
        ));
    }
    ip(None, &script)?;
    for (at, kept) in nodes.iter().enumerate() {
        let address = conf::address(at);
        // There is no way out. But who asks for the way to 1.0.0.0 (ip route get 1) wants to know a host's main address.
        let script = format!(
            "link set lo up\nlink set eth0 addrgenmode none\naddress add {address}/24 dev eth0\nlink set eth0 up\n\
             route add 1.0.0.0/32 dev eth0\n"
        );
        ip(Some(kept), &script)?;
    }
    Ok(())
}

/// Takes each node to the bridge or to the wire, as the wire wants it.
///
/// # Errors
/// As of [`lay`]; or the kernel has no packet sockets.
pub fn connect(wire: &mut Wire, nodes: &[Kept]) -> Result<()> {
    let (wanted, is) = (wire.wanted(), wire.nodes());
    let cannot = |node: usize| format!("Cannot take over the cable of node {}", node + 1);
    for node in is.iter().filter(|node| !wanted.contains(node)) {
        wire.unplug(Port::Node(*node));
        ip(None, &format!("link set {} master {BRIDGE}\n", port(*node)))?;
        ip(nodes.get(*node), "link set eth0 gso_max_segs 65535\n")?;
    }
    if is != wanted {
        // Whoever moves is not where the bridge saw him last.
        ip(None, &format!("link set {UPLINK_OF_BRIDGE} type bridge_slave fdb_flush\n"))?;
    }
    if wanted.is_empty() {
        wire.unplug(Port::Bridge);
    } else if is.is_empty() {
        wire.plug(Port::Bridge, UPLINK).context(
            "Cannot open the way to the bridge, a packet socket: it takes CAP_NET_RAW, in a container --cap-add NET_RAW",
        )?;
    }
    for node in wanted.iter().filter(|node| !is.contains(node)) {
        ip(None, &format!("link set {} nomaster\n", port(*node)))?;
        // One frame of the node is one on the wire, so each may be lost or late for itself.
        ip(nodes.get(*node), "link set eth0 gso_max_segs 1\n")?;
        wire.plug(Port::Node(*node), &port(*node)).with_context(|| cannot(*node))?;
    }
    Ok(())
}

/// Whether links can be cut, after [`lay`].
///
/// # Errors
/// The kernel has no packet sockets.
pub fn try_wire() -> Result<()> {
    Wire::new().plug(Port::Bridge, UPLINK).context("Cannot open a packet socket (CONFIG_PACKET)")
}

/// Lines of `ip -batch`, in this namespace or in a node's.
fn ip(inside: Option<&Kept>, script: &str) -> Result<()> {
    let mut command = Command::new("ip");
    command.args(["-batch", "-"]).stdin(Stdio::piped()).stdout(Stdio::null());
    command.stderr(Stdio::piped());
    if let Some(kept) = inside {
        let spaces = kept.spaces();
        // SAFETY: between fork and exec only setns(2) is called, with a descriptor that the keeper has for good.
        unsafe { command.pre_exec(move || enter_network(spaces.net)) };
    }
    let mut child = command.spawn().context("Cannot run ip: install iproute2")?;
    if let Some(mut stdin) = child.stdin.take() {
        // When it does not want it all, it says why.
        let _ = stdin.write_all(script.as_bytes());
    }
    let output = child.wait_with_output().context("Cannot wait for ip")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let next = match said.contains("not permitted") {
            true => "It takes CAP_NET_ADMIN: in a container --cap-add NET_ADMIN",
            false => "The kernel of the host has to have bridge and veth",
        };
        bail!("ip cannot make the network: {}. {next}", said.trim().replace('\n', "; "));
    }
    Ok(())
}

fn enter_network(fd: i32) -> std::io::Result<()> {
    // SAFETY: only numbers are passed; the descriptor is open.
    match unsafe { libc::setns(fd, libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}
