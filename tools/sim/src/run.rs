//! One simulation: the cluster, its manager, its faults, and the checks.
//!
//! The manager is the outside world's hand: it powers nodes on again, attaches disks that work again, reconnects, and
//! makes the first node Primary once its data is known to be good. The first node is the Primary throughout, so that a
//! single fault never excuses a loss of data.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mte::sim::{Config, HostId, Outcome, Rng, Sim};

use crate::disk::SimDisk;
use crate::drbd::{self, NetSpec};
use crate::load::{BLOCK, Load, Model};
use crate::meta::{self, Layout};
use crate::node::{KERNEL, Node, Setup};
use crate::scenario::{FaultKind, Scenario};

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
            detail != Detail::Events || is_bad || line.contains(" -> ")
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

/// Runs a scenario in this process. The flag says whether the process may go on to use its result.
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
    let setup = Setup { modules, net: NetSpec { ..scenario.net.clone() } };
    sim.run(|| World::new(sim, scenario, setup).play())
}

/// A fault that ends at a time.
struct Active {
    kind: FaultKind,
    until_ns: u64,
}

struct World<'a> {
    sim: Sim,
    scenario: &'a Scenario,
    a: Arc<Node>,
    b: Arc<Node>,
    model: Arc<Model>,
    load: Option<Load>,
    lives: u32,
    crashes: u32,
    /// A disk failed, and the replicas were not good since.
    is_degraded: bool,
    active: Vec<Active>,
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
        let node = |host, name| {
            let disk = SimDisk::new(scenario.disk.clone(), sim.rng(&format!("disk {name}")));
            let mut rng = sim.rng(&format!("metadata {name}"));
            meta::create(&disk, rng.next_u64());
            Node::new(sim, host, name, disk, Arc::clone(&setup))
        };
        let (a, b) = (node(A, "a"), node(B, "b"));
        match scenario.plant.flush_lies {
            Some('a') => a.disk.set_flush_lies(),
            Some(_) => b.disk.set_flush_lies(),
            None => {}
        }
        let blocks = Layout::new(a.disk.len()).data_len() / BLOCK;
        World {
            sim,
            scenario,
            a,
            b,
            model: Model::new(blocks),
            load: None,
            lives: 0,
            crashes: 0,
            is_degraded: false,
            active: Vec::new(),
            rng: sim.rng("faults"),
        }
    }

    fn say(&self, text: &str) {
        self.sim.trace(text);
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
        for node in [&self.a, &self.b] {
            if let Err(error) = node.start() {
                fail(&format!("{error:#}"));
            }
        }
        let connected = |world: &World<'_>| {
            let conn = |node: &Node| node.status().map(drbd::Status::conn);
            let connected = Some(drbd::CONN_CONNECTED);
            conn(&world.a) == connected && conn(&world.b) == connected
        };
        self.wait("connect", connected);
        let result = if self.scenario.initial_sync {
            self.a.command(|drbd| drbd.primary(true))
        } else {
            self.a.command(|drbd| drbd.declare_equal().and_then(|()| drbd.primary(false)))
        };
        if !matches!(result, Some(Ok(()))) {
            fail(&format!("the first node does not become Primary: {result:?}"));
        }
        self.wait("be in sync", |world| world.is_healthy());
    }

    fn wait(&self, what: &str, condition: impl Fn(&World<'_>) -> bool) {
        let limit = self.sim.now_ns() + RECOVERY_NS;
        while !condition(self) {
            if self.sim.now_ns() > limit {
                let state = [&self.a, &self.b].map(|node| match node.status() {
                    Some(status) => format!("{}: {status}", node.name),
                    None => format!("{}: off or without an answer", node.name),
                });
                fail(&format!("the nodes do not {what}: {}", state.join("; ")));
            }
            self.sim.sleep(TICK_NS);
        }
    }

    fn is_healthy(&self) -> bool {
        let is_good = |node: &Node| node.status().is_some_and(drbd::Status::is_healthy);
        is_good(&self.a) && is_good(&self.b)
    }

    /// Load and faults, until their time is over.
    fn trouble(&mut self) {
        let begin = self.sim.now_ns();
        let end = begin + self.scenario.duration_ms * MS;
        let mut faults = self.scenario.faults.clone();
        faults.sort_by_key(|fault| std::cmp::Reverse(fault.at_ms));
        let mut next_random = self.draw_time();
        while self.sim.now_ns() < end {
            self.manage();
            let now = self.sim.now_ns();
            while faults.last().is_some_and(|fault| begin + fault.at_ms * MS <= now) {
                let fault = faults.pop().expect("just seen");
                self.inflict(fault.kind, fault.for_ms * MS);
            }
            if let (Some(random), true) = (&self.scenario.random, now >= next_random) {
                let kind = random.kinds[self.rng.below(random.kinds.len() as u64) as usize];
                let for_ns = self.rng.between(0..=random.for_ms * MS);
                next_random = self.draw_time();
                if self.is_excusable(kind) {
                    self.inflict(kind, for_ns);
                }
            }
            let jitter = self.rng.below(TICK_NS);
            self.sim.sleep(TICK_NS / 2 + jitter);
        }
    }

    fn draw_time(&mut self) -> u64 {
        let every = self.scenario.random.as_ref().map_or(0, |random| random.every_ms * MS);
        self.sim.now_ns() + self.rng.below(2 * every + 1)
    }

    /// Whether no data may be lost if this happens now too. While one disk is bad, the other one is the only good copy.
    fn is_excusable(&self, kind: FaultKind) -> bool {
        match kind {
            FaultKind::CrashA | FaultKind::CrashB => !self.is_degraded,
            FaultKind::DiskErrorA | FaultKind::DiskErrorB => {
                !self.is_degraded && self.active.is_empty() && self.is_healthy()
            }
            _ => true,
        }
    }

    fn inflict(&mut self, kind: FaultKind, for_ns: u64) {
        if self.active.iter().any(|active| active.kind == kind) {
            return;
        }
        self.say(&format!("fault: {kind:?} for {} ms", for_ns / MS));
        let network = self.sim.network();
        match kind {
            FaultKind::Partition => network.partition(A, B),
            FaultKind::PartitionOneWay => network.partition_one_way(A, B),
            FaultKind::Reset => network.reset(A, B),
            FaultKind::CrashA => {
                self.load = None;
                self.power_off(&Arc::clone(&self.a));
            }
            FaultKind::CrashB => self.power_off(&Arc::clone(&self.b)),
            FaultKind::DiskErrorA => self.a.disk.set_failing(true),
            FaultKind::DiskErrorB => self.b.disk.set_failing(true),
        }
        self.is_degraded |= matches!(kind, FaultKind::DiskErrorA | FaultKind::DiskErrorB);
        self.active.push(Active { kind, until_ns: self.sim.now_ns() + for_ns });
    }

    fn power_off(&mut self, node: &Node) {
        node.crash();
        self.crashes += 1;
        if node.host == A {
            self.model.crashed();
        }
    }

    fn mend(&mut self, kind: FaultKind) {
        self.say(&format!("over: {kind:?}"));
        let power_on = |node: &Node| {
            if let Err(error) = node.power_on() {
                fail(&format!("{error:#}"));
            }
        };
        match kind {
            FaultKind::Partition | FaultKind::PartitionOneWay => self.sim.network().heal(A, B),
            FaultKind::Reset => {}
            FaultKind::CrashA => power_on(&self.a),
            FaultKind::CrashB => power_on(&self.b),
            FaultKind::DiskErrorA => self.a.disk.set_failing(false),
            FaultKind::DiskErrorB => self.b.disk.set_failing(false),
        }
    }

    /// Ends faults whose time is over, and puts right what a cluster manager puts right.
    fn manage(&mut self) {
        let now = self.sim.now_ns();
        while let Some(at) = self.active.iter().position(|active| active.until_ns <= now) {
            let active = self.active.remove(at);
            self.mend(active.kind);
        }
        let is_active = |kind| self.active.iter().any(|active| active.kind == kind);
        let bad_disks = [is_active(FaultKind::DiskErrorA), is_active(FaultKind::DiskErrorB)];
        for (node, is_bad) in [Arc::clone(&self.a), Arc::clone(&self.b)].iter().zip(bad_disks) {
            let Some(status) = node.status() else { continue };
            if status.disk() == drbd::DISK_DISKLESS && !is_bad {
                meta::apply_al(&node.disk);
                let result = node.attach();
                self.say(&format!("{} attaches its disk again: {result:?}", node.name));
            }
            if status.conn() == drbd::CONN_STANDALONE {
                let result = node.connect();
                self.say(&format!("{} connects again: {result:?}", node.name));
            }
        }
        let Some(status) = self.a.status() else { return };
        if self.is_degraded && self.active.is_empty() && self.is_healthy() {
            self.is_degraded = false;
        }
        let is_good =
            status.conn() >= drbd::CONN_CONNECTED && status.disk() == drbd::DISK_UP_TO_DATE;
        if !status.is_primary() && is_good {
            let result = self.a.command(|drbd| drbd.primary(false));
            self.say(&format!("a becomes Primary: {result:?}"));
        }
        if self.load.is_none()
            && self.a.status().is_some_and(drbd::Status::is_primary)
            && let Some(running) = self.a.running()
        {
            self.lives += 1;
            let spec = &self.scenario.load;
            self.load = Some(Load::start(&self.a, &running, &self.model, spec, self.lives));
        }
    }

    /// All faults end, and the cluster recovers.
    fn settle(&mut self) {
        self.say("faults end");
        for active in &mut self.active {
            active.until_ns = 0;
        }
        let limit = self.sim.now_ns() + RECOVERY_NS;
        loop {
            self.manage();
            if self.is_healthy() && self.sim.now_ns() < limit {
                break;
            }
            if self.sim.now_ns() >= limit {
                self.wait("recover", |_| false);
            }
            self.sim.sleep(TICK_NS);
        }
        if let Some(load) = self.load.take() {
            load.stop();
        }
        self.wait("stay in sync", |world| world.is_healthy());
        // What was answered has been written on both sides; the last answers of the peer may be on their way.
        self.sim.sleep(1000 * MS);
    }

    fn check(&self) {
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let model = &self.model;
        self.say(&format!(
            "{} writes, {} errors, {} flushes, {} reads, {} crashes",
            count(&model.writes),
            count(&model.errors),
            count(&model.flushes),
            count(&model.reads),
            self.crashes
        ));
        let len = Layout::new(self.a.disk.len()).data_len();
        let a = self.a.disk.read(0, len);
        let differs = self.b.disk.with_content(|b| {
            a.chunks(BLOCK).zip(b[..len].chunks(BLOCK)).position(|(a, b)| a != b)
        });
        if let Some(block) = differs {
            fail(&format!("the replicas are UpToDate and differ, first in block {block}"));
        }
        if let Err(why) = model.check(0, &a[..len / BLOCK * BLOCK], true) {
            fail(&format!("data is lost: {why}"));
        }
        for node in [&self.a, &self.b] {
            let Some(running) = node.running() else { continue };
            let is_report = |text: &str| text.starts_with("BUG: ") || text.starts_with("WARNING: ");
            let records = running.kernel.log_records(0);
            if let Some(record) = records.iter().find(|record| is_report(&record.text)) {
                fail(&format!("the kernel of {} reports: {}", node.name, record.text));
            }
        }
        self.say("the replicas are equal, and nothing is lost");
    }
}
