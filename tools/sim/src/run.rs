// SPDX-License-Identifier: GPL-2.0-only
//! One simulation: the cluster, its faults and its administrator, and the checks.
//!
//! | file | what |
//! |---|---|
//! | `faults` | what goes wrong, and becomes whole again |
//! | `commands` | what the administrator of a scenario does |
//! | `manager` | the hand that puts right what is not as it is wanted |
//! | `verdict` | the checks at the end |

mod commands;
mod faults;
mod manager;
mod verdict;

use std::path::PathBuf;
use std::sync::Arc;

use mte::sim::{Config, HostId, Outcome, Rng, Sim};

use crate::disk::SimDisk;
use crate::drbd::{self, Status};
use crate::load::{BLOCK, Load, Model};
use crate::meta::{self, Layout};
use crate::node::{KERNEL, Node, Setup};
use crate::scenario::Scenario;
use commands::{Order, Undo};
use faults::Active;
use manager::Wanted;

/// The hosts of the nodes; a node's place is one less.
const A: HostId = 1;
const B: HostId = 2;
const MS: u64 = 1_000_000;
/// How often the manager looks.
const TICK_NS: u64 = 50 * MS;
/// Once all faults are over, the replicas must be good within this time.
const RECOVERY_NS: u64 = 600_000 * MS;

/// What is printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    Events,
    KernelLog,
    Everything,
}

/// A line of the log that is worth a line of output.
fn is_significant(host: HostId, text: &str, detail: Detail) -> bool {
    match text.strip_prefix(KERNEL) {
        Some(line) => {
            let is_bad = line.as_bytes().get(1).is_some_and(|level| *level <= b'3');
            let is_told = [" -> ", "Online verify"].iter().any(|words| line.contains(words));
            detail != Detail::Events || is_bad || is_told
        }
        None => host == 0 || detail == Detail::Everything,
    }
}

fn name_of(host: HostId) -> &'static str {
    match host {
        A => "a",
        B => "b",
        _ => "-",
    }
}

/// Runs a scenario in this process.
pub fn run(scenario: &Scenario, seed: u64, modules: Vec<PathBuf>, detail: Detail) -> Outcome {
    let config = Config {
        time_limit_ns: 2 * RECOVERY_NS + scenario.duration_ms * MS * 2,
        ..Default::default()
    };
    let sim = Sim::with_config(seed, config);
    sim.set_log(move |line| {
        if is_significant(line.host, line.text, detail) {
            let seconds = line.time_ns as f64 / 1e9;
            let text = line.text.strip_prefix(KERNEL).unwrap_or(line.text);
            println!("{seconds:12.6} {} {text}", name_of(line.host));
        }
    });
    let setup = Setup { modules, net: scenario.net.clone() };
    sim.run(|| World::new(sim, scenario, setup).play())
}

struct World<'a> {
    sim: Sim,
    scenario: &'a Scenario,
    nodes: [Arc<Node>; 2],
    /// What the applications know of each volume.
    models: Vec<Arc<Model>>,
    /// The applications of each node.
    loads: [Option<Load>; 2],
    lives: u32,
    crashes: u32,
    /// The node whose data the applications see: the Primary, or the last one. Where two are allowed, the first one.
    primary: usize,
    /// Whether it shall be Primary.
    is_primary_wanted: bool,
    /// Whether the other node had all answered writes when the Primary lost power.
    may_fail_over: bool,
    /// Whether a disk of each node failed or was taken away, and the replicas were not good since.
    is_degraded: [bool; 2],
    wanted: [Wanted; 2],
    active: Vec<Active>,
    undo: Vec<Undo>,
    rng: Rng,
}

/// Ends the run with a failure.
fn fail(why: &str) -> ! {
    mte::sim::fail(why);
    unreachable!("the run has ended");
}

impl<'a> World<'a> {
    fn new(sim: Sim, scenario: &'a Scenario, setup: Setup) -> World<'a> {
        let setup = Arc::new(setup);
        let node = |host, name: &'static str| {
            let disk = |volume| {
                let of = if volume == 0 { name.to_owned() } else { format!("{name}/{volume}") };
                let disk = SimDisk::new(scenario.disk.clone(), sim.rng(&format!("disk {of}")));
                let mut rng = sim.rng(&format!("metadata {of}"));
                meta::create(&disk, rng.next_u64());
                disk
            };
            let disks = (0..scenario.volumes).map(disk).collect();
            Node::new(sim, host, name, disks, Arc::clone(&setup))
        };
        let nodes = [node(A, "a"), node(B, "b")];
        if let Some(liar) = scenario.plant.flush_lies {
            nodes[liar as usize].disks.iter().for_each(|disk| disk.set_flush_lies());
        }
        let blocks = |disk: &Arc<SimDisk>| Layout::new(disk.len()).data_len() / BLOCK;
        World {
            sim,
            scenario,
            models: nodes[0].disks.iter().map(|disk| Model::new(blocks(disk))).collect(),
            nodes,
            loads: [None, None],
            lives: 0,
            crashes: 0,
            primary: 0,
            is_primary_wanted: true,
            may_fail_over: false,
            is_degraded: [false; 2],
            wanted: Default::default(),
            active: Vec::new(),
            undo: Vec::new(),
            rng: sim.rng("faults"),
        }
    }

    fn say(&self, text: &str) {
        self.sim.trace(text);
    }

    fn node(&self, place: usize) -> Arc<Node> {
        Arc::clone(&self.nodes[place])
    }

    fn play(mut self) {
        self.sim.network().set_default_link(self.scenario.link.link());
        self.set_up();
        self.say("both replicas are good: load and faults begin");
        let lose = self.scenario.plant.lose_wakeup_one_in;
        self.sim.lose_wakeup_one_in(lose);
        self.trouble();
        self.settle();
        self.sim.lose_wakeup_one_in(0);
        self.check();
    }

    fn set_up(&mut self) {
        self.power_on(0);
        self.power_on(1);
        self.wait("connect", |world| {
            world.is_everywhere(|status| status.conn() == drbd::CONN_CONNECTED)
        });
        let (initial_sync, mut volumes) = (self.scenario.initial_sync, self.nodes[0].volumes());
        let result = self.nodes[0].command(move |drbd| {
            volumes.try_for_each(|volume| {
                if !initial_sync {
                    drbd.declare_equal(volume)?;
                }
                drbd.primary(volume, initial_sync)
            })
        });
        if !matches!(result, Some(Ok(()))) {
            fail(&format!("the first node does not become Primary: {result:?}"));
        }
        self.wait("be in sync", Self::is_healthy);
    }

    /// Waits, while nothing goes wrong, until the nodes do `what`.
    fn wait(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let limit = self.sim.now_ns() + RECOVERY_NS;
        while !condition(self) {
            if self.sim.now_ns() > limit {
                self.give_up(what);
            }
            self.sim.sleep(TICK_NS);
        }
    }

    /// Ends the run because the nodes do not do `what`.
    fn give_up(&self, what: &str) -> ! {
        let state = self.nodes.iter().map(|node| {
            let volumes: Vec<String> = match node.statuses() {
                Some(statuses) => statuses.iter().map(Status::to_string).collect(),
                None => vec!["off, down, or without an answer".into()],
            };
            format!("{}: {}", node.name, volumes.join(", "))
        });
        let state: Vec<String> = state.collect();
        fail(&format!("the nodes do not {what}: {}", state.join("; ")))
    }

    /// Whether something is true of each volume on both nodes.
    fn is_everywhere(&self, is_so: impl Fn(Status) -> bool) -> bool {
        let is_so_on =
            |node: &Arc<Node>| node.statuses().is_some_and(|all| all.into_iter().all(&is_so));
        self.nodes.iter().all(is_so_on)
    }

    fn is_healthy(&self) -> bool {
        self.is_everywhere(Status::is_healthy)
    }

    /// Load, faults and commands, until their time is over.
    fn trouble(&mut self) {
        let begin = self.sim.now_ns();
        let end = begin + self.scenario.duration_ms * MS;
        let mut faults: Vec<_> = self.scenario.faults.iter().map(|f| f.get_ref()).collect();
        faults.sort_by_key(|fault| std::cmp::Reverse(fault.at_ms));
        let mut commands: Vec<_> = self.scenario.commands.iter().map(|c| c.get_ref()).collect();
        // What stands first in the file comes first.
        commands.reverse();
        commands.sort_by_key(|command| std::cmp::Reverse(command.at_ms));
        let mut next_random = self.draw_time();
        while self.sim.now_ns() < end {
            self.manage();
            let now = self.sim.now_ns();
            let is_due = |at_ms: u64| begin + at_ms * MS <= now;
            while let Some(fault) = faults.pop_if(|fault| is_due(fault.at_ms)) {
                self.inflict(fault.kind, fault.for_ms * MS);
            }
            while let Some(command) = commands.pop_if(|command| is_due(command.at_ms)) {
                self.order(&Order::from(command), command.for_ms);
            }
            if self.scenario.random.is_some() && now >= next_random {
                next_random = self.something_random();
            }
            let jitter = self.rng.below(TICK_NS);
            self.sim.sleep(TICK_NS / 2 + jitter);
        }
    }

    /// Ends all applications and waits for what they wait for.
    fn stop_loads(&mut self) {
        // All at once: where one of them waits for ever, the others do not go on until the run's time is over.
        self.loads.iter().flatten().for_each(Load::finish);
        self.loads.iter_mut().filter_map(Option::take).for_each(Load::stop);
    }

    fn draw_time(&mut self) -> u64 {
        let random = self.scenario.random.as_ref();
        let every = random.map_or(0, |random| random.get_ref().every_ms * MS);
        self.sim.now_ns() + self.rng.below(2 * every + 1)
    }

    /// Lets a fault or a command happen that the seed chooses. Returns when the next one is due.
    fn something_random(&mut self) -> u64 {
        let Some(random) = self.scenario.random.as_ref().map(|random| random.get_ref()) else {
            return u64::MAX;
        };
        let choices = random.kinds.len() + random.commands.len();
        let choice = self.rng.below(choices as u64) as usize;
        let for_ms = self.rng.between(0..=random.for_ms);
        let next = self.draw_time();
        match random.kinds.get(choice) {
            Some(kind) if self.is_excusable(*kind) => self.inflict(*kind, for_ms * MS),
            Some(_) => {}
            None => {
                let order = Order::from(random.commands[choice - random.kinds.len()].get_ref());
                if self.is_harmless(&order) {
                    let undo = order.run.opposite().is_some();
                    self.order(&order, undo.then_some(for_ms));
                }
            }
        }
        next
    }

    /// All faults end, and the cluster recovers.
    fn settle(&mut self) {
        self.say("faults end");
        for active in &mut self.active {
            active.until_ns = 0;
        }
        self.want_everything();
        let limit = self.sim.now_ns() + RECOVERY_NS;
        loop {
            self.manage();
            if self.sim.now_ns() >= limit {
                self.give_up("recover");
            }
            if self.is_healthy() {
                break;
            }
            self.sim.sleep(TICK_NS);
        }
        self.stop_loads();
        self.wait("stay in sync", Self::is_healthy);
        // What was answered has been written on both sides; the last answers of the peer may be on their way.
        self.sim.sleep(1000 * MS);
    }
}
