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
use parking_lot::Mutex;

use crate::disk::SimDisk;
use crate::drbd::{Link, Release, Site, Status};
use crate::known::Line;
use crate::load::{BLOCK, Load, Model};
use crate::meta::{self, Layout};
use crate::node::{self, KERNEL, NAMES, Node, Running, Setup};
use crate::scenario::Scenario;
use commands::{Order, Undo};
use faults::Active;
use manager::Wanted;

const MS: u64 = 1_000_000;
/// How often the manager looks.
const TICK_NS: u64 = 50 * MS;
/// Once all faults are over, the replicas must be good within this time.
const RECOVERY_NS: u64 = 600_000 * MS;
/// A task that sleeps for longer where nothing goes on is told of.
const HUNG_NS: u64 = 60_000 * MS;

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
    let place = (host as usize).checked_sub(1);
    place.and_then(|place| NAMES.get(place)).copied().unwrap_or("-")
}

/// Runs a scenario in this process. Returns its log, too.
pub fn run(
    scenario: &Scenario,
    seed: u64,
    modules: Vec<PathBuf>,
    release: Release,
    detail: Detail,
) -> (Outcome, Vec<Line>) {
    let config = Config {
        time_limit_ns: 2 * RECOVERY_NS + scenario.duration_ms * MS * 2,
        ..Default::default()
    };
    let sim = Sim::with_config(seed, config);
    let lines = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&lines);
    sim.set_log(move |line| {
        let (time_ns, node) = (line.time_ns, name_of(line.host));
        keep.lock().push(Line { time_ns, node, text: line.text.to_owned() });
        if is_significant(line.host, line.text, detail) {
            let seconds = time_ns as f64 / 1e9;
            let text = line.text.strip_prefix(KERNEL).unwrap_or(line.text);
            println!("{seconds:12.6} {node} {text}");
        }
    });
    let site = Site {
        addresses: (0..scenario.nodes as usize).map(node::address).collect(),
        has_disk: scenario.has_disk(),
        net: scenario.net.clone(),
        options: scenario.options.clone(),
    };
    let setup = Setup { modules, release, site: Arc::new(site) };
    let outcome = sim.run(|| World::new(sim, scenario, setup).play());
    let lines = std::mem::take(&mut *lines.lock());
    (outcome, lines)
}

struct World<'a> {
    sim: Sim,
    scenario: &'a Scenario,
    setup: Arc<Setup>,
    /// By their places.
    nodes: Vec<Arc<Node>>,
    /// What the applications know of each volume.
    models: Vec<Arc<Model>>,
    /// The applications of each node.
    loads: Vec<Option<Load>>,
    lives: u32,
    crashes: u32,
    /// The node whose data the applications see: the Primary, or the last one. Where two are allowed, the first one.
    primary: usize,
    /// Whether it shall be Primary.
    is_primary_wanted: bool,
    /// Whether the other nodes had all answered writes when the Primary lost power.
    may_fail_over: bool,
    /// Whether a disk of each node failed or was taken away, and the replicas were not good since.
    is_degraded: Vec<bool>,
    wanted: Vec<Wanted>,
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
        let format = setup.format();
        let node = |place: usize| {
            let name = NAMES[place];
            let disk = |volume| {
                let of = if volume == 0 { name.to_owned() } else { format!("{name}/{volume}") };
                let disk = SimDisk::new(scenario.disk.clone(), |more| {
                    sim.rng(&format!("disk {of}{more}"))
                });
                let mut rng = sim.rng(&format!("metadata {of}"));
                meta::create(&disk, format, rng.next_u64());
                disk
            };
            let disks = (0..scenario.volumes).map(disk).collect();
            Node::new(sim, place, disks, Arc::clone(&setup))
        };
        let nodes: Vec<_> = setup.site.nodes().map(node).collect();
        if let Some(liar) = &scenario.plant.flush_lies {
            nodes[liar.get_ref().0].disks.iter().for_each(|disk| disk.set_flush_lies());
        }
        let blocks = |disk: &Arc<SimDisk>| Layout::new(format, disk.len()).data_len() / BLOCK;
        World {
            sim,
            scenario,
            models: nodes[0].disks.iter().map(|disk| Model::new(blocks(disk))).collect(),
            loads: nodes.iter().map(|_| None).collect(),
            is_degraded: vec![false; nodes.len()],
            wanted: nodes.iter().map(|_| Wanted::default()).collect(),
            nodes,
            setup,
            lives: 0,
            crashes: 0,
            primary: 0,
            is_primary_wanted: true,
            may_fail_over: false,
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
        self.say("all replicas are good: load and faults begin");
        let lose = self.scenario.plant.lose_wakeup_one_in;
        self.sim.lose_wakeup_one_in(lose);
        self.trouble();
        self.settle();
        self.sim.lose_wakeup_one_in(0);
        self.check();
    }

    fn set_up(&mut self) {
        (0..self.nodes.len()).for_each(|place| self.power_on(place));
        let is_connected =
            |status: &Status| status.peers.iter().all(|peer| peer.link == Link::ESTABLISHED);
        self.wait("connect", |world| world.is_everywhere(|_, status| is_connected(status)));
        let (initial_sync, volumes) = (self.scenario.initial_sync, self.nodes[0].volumes());
        let result = self.nodes[0].command(move |drbd| drbd.begin(volumes, initial_sync));
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
        umc::bug::show_stacks();
        for Running { kernel, .. } in self.nodes.iter().filter_map(|node| node.running()) {
            umc::hung_task::report_hung_tasks(kernel, HUNG_NS);
        }
        self.nodes.iter().for_each(|node| node.show_debugfs());
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

    /// Whether something is true of each volume on all nodes.
    fn is_everywhere(&self, is_so: impl Fn(usize, &Status) -> bool) -> bool {
        let is_so_on = |node: &Arc<Node>| {
            let all = node.statuses();
            all.is_some_and(|all| all.iter().all(|status| is_so(node.place, status)))
        };
        self.nodes.iter().all(is_so_on)
    }

    /// Whether a volume is as it shall be, seen from the node at `place`.
    fn is_good(&self, place: usize, status: &Status) -> bool {
        status.is_healthy(place, |place| self.setup.wanted_disk(place))
    }

    fn is_healthy(&self) -> bool {
        self.is_everywhere(|place, status| self.is_good(place, status))
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
                let fault_for = fault.for_ms * MS;
                let fault = fault.kind.draw(&mut self.rng, &self.setup.site.has_disk);
                self.inflict(fault, fault_for);
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
            Some(kind) => {
                let fault = kind.draw(&mut self.rng, &self.setup.site.has_disk);
                if self.is_excusable(fault) {
                    self.inflict(fault, for_ms * MS);
                }
            }
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
        // What was answered has been written everywhere; the last answers of the peers may be on their way.
        self.sim.sleep(1000 * MS);
    }
}
