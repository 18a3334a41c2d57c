// SPDX-License-Identifier: GPL-2.0-only
//! An iSCSI server that fails over, as the guides for it have it: DRBD, an address, a target and its unit, each by its agent.
//! The agents of the target and of the unit call `targetcli`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use cluster::{Bus, Lan, Layout, Random, Unit, assert_same, mesh};
use iscsi::{Command, Initiator, Session};

use crate::manager::{AGENTS, Manager, NOT_RUNNING, RUNNING_MASTER, Resource, SUCCESS};

const TARGET: &str = "iqn.2026-11.org.test:ha";
const SERIAL: &str = "5e1f0000";

/// What moves together: started in this order, stopped in the other.
fn group(initiator: &Initiator) -> [Resource; 3] {
    let address = Lan::MOVING.to_string();
    let target = Resource::new("heartbeat/iSCSITarget", "p_target")
        .with("implementation", "lio-t")
        .with("iqn", TARGET)
        .with("portals", format!("{address}:3260"))
        .with("allowed_initiators", &initiator.name);
    let unit = Resource::new("heartbeat/iSCSILogicalUnit", "p_unit")
        .with("implementation", "lio-t")
        .with("target_iqn", TARGET)
        .with("lun", "0")
        .with("path", "/dev/drbd0")
        .with("scsi_sn", SERIAL)
        .with("product_id", "replicated")
        .with("emulate_caw", "1")
        .with("emulate_3pc", "0")
        .with("allowed_initiators", &initiator.name);
    let address = Resource::new("heartbeat/IPaddr2", "p_address")
        .with("ip", address)
        .with("cidr_netmask", "24");
    [address, target, unit]
}

impl Manager {
    /// Makes a node the one that serves.
    fn take_over(&self, node: &str, group: &[Resource]) {
        self.expect(node, "promote", SUCCESS);
        self.expect(node, "monitor", RUNNING_MASTER);
        for resource in group {
            self.expect_of(node, resource, "monitor", NOT_RUNNING);
            self.expect_of(node, resource, "start", SUCCESS);
            self.expect_of(node, resource, "monitor", SUCCESS);
        }
    }

    fn give_up(&self, node: &str, group: &[Resource]) {
        for resource in group.iter().rev() {
            self.expect_of(node, resource, "stop", SUCCESS);
            self.expect_of(node, resource, "monitor", NOT_RUNNING);
        }
        self.expect(node, "demote", SUCCESS);
        self.expect(node, "monitor", SUCCESS);
    }
}

#[test]
fn agents_move_a_server() {
    let target = format!("{AGENTS}/heartbeat/iSCSITarget");
    if !Path::new(&target).exists() {
        return mesh::left_out_because("resource-agents has no agents for iSCSI here");
    }
    let lan = Arc::new(Lan::default());
    let layout = Layout { disk_mib: 8, lan: Some(lan.clone()), ..Layout::default() };
    let mut manager = Manager::new("ocf-iscsi", layout);
    let bus = Bus::start(&manager.cluster);
    manager.environment = bus.environment.to_vec();
    let (a, b) = (manager.cluster.a().to_owned(), manager.cluster.b().to_owned());
    let initiator = Initiator::default();
    let group = group(&initiator);
    for resource in &group {
        manager.expect_of(&a, resource, "meta-data", SUCCESS);
        manager.expect_of(&a, resource, "validate-all", SUCCESS);
        manager.expect_of(&a, resource, "monitor", NOT_RUNNING);
    }
    manager.start_both();

    let mut random = Random::new("ocf-iscsi");
    // What an initiator sees at the address, which has to be what it left; it goes on with it.
    let mut content: Option<Vec<u8>> = None;
    let mut visit = || {
        let address = SocketAddr::from((Lan::MOVING, 3260));
        lan.within(|| {
            let mut session = Session::open(address, Some(TARGET), &initiator).unwrap();
            let about = session.ask(Command::inquiry(0, None)).unwrap();
            let about = String::from_utf8_lossy(&about[..36]).into_owned();
            assert!(about.contains("LIO-ORG replicated"), "{about}");
            let serial = session.ask(Command::inquiry(0, Some(0x80))).unwrap();
            assert_eq!(&serial[4..12], SERIAL.as_bytes());
            let mut unit = Unit::open(session, 0);
            if let Some(content) = &content {
                assert_same(&unit.content, content, "after the move");
            }
            unit.play(&mut random, 100, 16);
            unit.check();
            content = Some(unit.content);
        });
    };
    manager.take_over(&a, &group);
    visit();
    // As planned.
    manager.give_up(&a, &group);
    manager.take_over(&b, &group);
    visit();
    // The machine dies, and with it what its kernel had.
    manager.cluster.kill(&b);
    lan.take(1);
    manager.cluster.await_events(
        &a,
        |_| manager.cluster.adm(&a, &["cstate", "r0"]) == "WFConnection",
        "the loss of the peer",
    );
    manager.take_over(&a, &group);
    visit();
    // It comes back, and is even again.
    manager.cluster.start(&b);
    manager.expect(&b, "start", SUCCESS);
    manager.cluster.await_dstate("UpToDate/UpToDate");
    manager.give_up(&a, &group);
    for node in [&b, &a] {
        manager.expect(node, "stop", SUCCESS);
        manager.cluster.stop(node);
    }
}
