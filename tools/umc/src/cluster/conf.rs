// SPDX-License-Identifier: GPL-2.0-only
//! The `drbd.conf` of a cluster, as drbd-utils of Debian 12 and 13 take it.

use std::fmt::Write as _;

use super::plan::{Plan, Resource};

/// Of the network that all nodes are in.
pub const NETWORK: &str = "10.77.0";
const PORT: usize = 7789;

/// A node's address.
pub fn address(node: usize) -> String {
    format!("{NETWORK}.{}", node + 1)
}

/// The text.
pub fn text(plan: &Plan) -> String {
    let drbd = &plan.drbd;
    let mut text = String::from(
        "# Written by umc cluster up. Nodes have it as /etc/drbd.conf.\nglobal { usage-count no; }\ncommon {\n",
    );
    let net = format!("protocol {}; {}", drbd.protocol, drbd.net);
    for (section, inside) in [
        ("options", &drbd.options),
        ("net", &net),
        ("disk", &drbd.disk),
        ("handlers", &drbd.handlers),
    ] {
        if !inside.trim().is_empty() {
            let _ = writeln!(text, "  {section} {{ {} }}", inside.trim());
        }
    }
    text.push_str("}\n");
    plan.resources.iter().for_each(|resource| one(&mut text, plan, resource));
    text
}

fn one(text: &mut String, plan: &Plan, resource: &Resource) {
    let _ = writeln!(text, "resource {} {{", resource.name);
    // Pairs of 8.4 that share a node differ by their port.
    let port = PORT + resource.minor;
    for node in &resource.nodes {
        let name = &plan.nodes[*node].name;
        let _ = writeln!(text, "  on {name} {{");
        if plan.is_nine {
            let _ = writeln!(text, "    node-id {node};");
        }
        let _ = writeln!(text, "    address {}:{port};", address(*node));
        for volume in 0..plan.volumes {
            let disk = match &plan.nodes[*node].disk {
                Some(disk) if disk.table.is_some() => {
                    format!("/dev/mapper/{}", above(&resource.lower(volume)))
                }
                Some(_) => format!("/dev/{}", resource.lower(volume)),
                None => "none".into(),
            };
            let minor = resource.minor(volume);
            let _ = writeln!(
                text,
                "    volume {volume} {{ device /dev/drbd{minor}; disk {disk}; meta-disk internal; }}"
            );
        }
        text.push_str("  }\n");
    }
    if plan.is_nine {
        let names: Vec<_> =
            resource.nodes.iter().map(|node| plan.nodes[*node].name.as_str()).collect();
        let _ = writeln!(text, "  connection-mesh {{ hosts {}; }}", names.join(" "));
    }
    if !plan.drbd.more.trim().is_empty() {
        let _ = writeln!(text, "  {}", plan.drbd.more.trim());
    }
    text.push_str("}\n");
}

/// The device of device-mapper that stands above a lower disk.
pub fn above(lower: &str) -> String {
    format!("{lower}-above")
}

/// The `/etc/hosts` of its nodes.
pub fn hosts(plan: &Plan) -> String {
    let nodes = plan.nodes.iter().enumerate();
    let lines = nodes.map(|(at, node)| format!("{} {}\n", address(at), node.name));
    format!("127.0.0.1 localhost\n::1 localhost\n{}", lines.collect::<String>())
}
