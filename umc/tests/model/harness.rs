// SPDX-License-Identifier: GPL-2.0-only
//! Plays: running them, naming a failure, and replaying it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Deref;
use std::process::Command;

use mte::sim::lock::Mutex;
use mte::sim::{self, Config, HostId, Outcome, Rng, Sim};
use umc::kthread::{self, Thread};
use umc::{Kernel, sched};

pub const US: u64 = 1_000;
pub const MS: u64 = 1_000_000;
pub const SECOND: u64 = 1_000 * MS;
/// A jiffy.
pub const TICK: u64 = SECOND / umc::sys::HZ as u64;

/// The host that the kernel of a play runs on.
pub const HOST: HostId = 1;
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

/// Virtual time after which a play has failed: what spins must not do so for long.
const LIMIT_NS: u64 = 20 * SECOND;
/// Freed memory is full of this.
const POISON: u8 = 0x6b;
/// Replays one seed.
const SEED: &str = "UMC_MODEL_SEED";
/// How many seeds are played.
const SEEDS: &str = "UMC_MODEL_SEEDS";

/// A kernel, and what a play needs besides.
pub struct World {
    pub kernel: &'static Kernel,
    pub sim: Sim,
    rng: Mutex<Rng>,
    /// Where freed objects are, and their lengths.
    freed: Mutex<Vec<(Shared<u8>, usize)>>,
}

impl World {
    /// A number below `end`, drawn from the seed.
    pub fn below(&self, end: u64) -> u64 {
        self.rng.lock().below(end)
    }

    /// Whether a coin of the seed shows heads.
    pub fn flip(&self) -> bool {
        self.below(2) == 0
    }

    /// Lets some time pass, up to `ns_max`, or none: as if the host had taken the processor away.
    pub fn nap(&self, ns_max: u64) {
        match self.below(3) {
            0 => sim::preempt_point(),
            _ => self.sim.sleep(self.below(ns_max)),
        }
    }

    /// Lets everything run that can: afterwards the other threads sleep.
    pub fn settle(&self) {
        self.sim.sleep(50 * MS);
    }

    /// Starts a kernel thread.
    pub fn thread(&self, name: &str, main: impl FnOnce() + Send + 'static) -> Thread {
        kthread::spawn(self.kernel, name, Box::new(main)).expect("a thread")
    }

    /// Ends the life of an object: from here on its bytes must not change.
    pub fn free<T>(&self, object: Shared<T>) {
        let bytes = object.0.cast::<u8>();
        // SAFETY: the object was boxed by `Shared::new` and is never given back.
        unsafe { bytes.write_bytes(POISON, size_of::<T>()) };
        self.freed.lock().push((Shared(bytes), size_of::<T>()));
    }

    /// What must hold after every play: no report of the kernel, no write to freed memory, no thread that stays.
    fn finish(&self) {
        self.kernel.shutdown();
        let limit = self.sim.now_ns() + SECOND;
        loop {
            let tasks = sched::tasks(self.kernel);
            let left: Vec<_> = tasks.into_iter().filter(|task| task.kernel_thread).collect();
            if left.is_empty() {
                break;
            }
            assert!(self.sim.now_ns() < limit, "threads are left over: {left:?}");
            self.sim.sleep(MS);
        }
        for (bytes, len) in self.freed.lock().iter() {
            // SAFETY: never unmapped.
            let is_poison = |at: usize| unsafe { bytes.0.add(at).read_volatile() } == POISON;
            assert!((0..*len).all(is_poison), "freed memory of {len} bytes was written");
        }
        let is_report = |text: &str| text.starts_with("BUG: ") || text.starts_with("WARNING: ");
        let records = self.kernel.log_records(0);
        let report = records.iter().find(|record| is_report(&record.text));
        assert!(report.is_none(), "the kernel reports: {}", report.unwrap().text);
    }
}

/// An object as drivers have them: used by pointer, from any thread. Its memory is never unmapped, so that a late
/// access is no crash but can be told, see [`World::free`].
pub struct Shared<T>(*mut T);

// SAFETY: plays synchronize with the primitives under test, and one thread at a time runs.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Shared<T> {
        *self
    }
}

impl<T> Copy for Shared<T> {}

impl<T> Shared<T> {
    pub fn new(value: T) -> Shared<T> {
        Shared(Box::into_raw(Box::new(value)))
    }

    /// One that [`Shared::get`] gave away.
    ///
    /// # Safety
    /// It did.
    pub unsafe fn from_raw(object: *mut T) -> Shared<T> {
        Shared(object)
    }

    pub fn get(self) -> *mut T {
        self.0
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: never given back.
        unsafe { &*self.0 }
    }
}

/// A value that lives as long as the process.
pub fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

/// A list of what happened.
pub type Log<T> = &'static Mutex<Vec<T>>;

pub fn log<T>() -> Log<T> {
    leak(Mutex::new(Vec::new()))
}

/// Plays one seed.
fn play_seed(seed: u64, verbose: bool, play: &(impl Fn(&'static World) + Sync)) -> Outcome {
    let config = Config {
        time_limit_ns: LIMIT_NS,
        // A park may return for no reason: every other seed does that.
        spurious_one_in: [0, 16][seed as usize % 2],
        log_switches: verbose,
        ..Config::default()
    };
    let sim = Sim::with_config(seed, config);
    sim.add_host(HOST, &[IpAddr::V4(ADDRESS)]);
    // A second one, where nobody is.
    sim.add_host(HOST + 1, &[IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2))]);
    if verbose {
        sim.set_log(|line| {
            println!("{:12.6} {:<15} {}", line.time_ns as f64 / 1e9, line.task, line.text);
        });
    }
    sim.run(|| {
        sim::set_host(HOST);
        let kernel = Kernel::boot(umc::Config::default());
        if verbose {
            kernel.set_console(Box::new(|record| sim::trace(&record.text)));
        }
        sched::attach(kernel, "play");
        let rng = Mutex::new(sim.rng("play"));
        let world = leak(World { kernel, sim, rng, freed: Mutex::default() });
        play(world);
        world.finish();
    })
}

fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text}: not a number")))
}

/// The name of the test that a closure is in, as the test program knows it.
fn test_of<F>(_: &F) -> &'static str {
    let name = std::any::type_name::<F>().trim_end_matches("::{{closure}}");
    name.split_once("::").map_or(name, |(_, name)| name)
}

/// A failed run, and how to see it again.
fn report(test: &str, outcome: &Outcome) -> String {
    let seed = outcome.seed;
    format!(
        "{test} fails: {outcome}\nreplay: {SEED}={seed} cargo test --release -p umc --test model -- --exact {test}"
    )
}

/// Plays `play` for each of `seeds` seeds. The guarantee it states holds in all of them.
#[track_caller]
pub fn holds(seeds: u64, play: impl Fn(&'static World) + Sync) {
    let test = test_of(&play);
    if let Some(seed) = number_from(SEED) {
        let outcome = play_seed(seed, true, &play);
        assert!(outcome.is_ok(), "{}", report(test, &outcome));
        return;
    }
    let mut hashes = BTreeSet::new();
    for seed in 0..number_from(SEEDS).unwrap_or(seeds) {
        let outcome = play_seed(seed, false, &play);
        assert!(outcome.is_ok(), "{}", report(test, &outcome));
        if seed == 0 {
            let again = play_seed(seed, false, &play);
            assert_eq!(outcome.hash, again.hash, "{test}: a seed gives one run");
        }
        hashes.insert(outcome.hash);
    }
    assert!(hashes.len() > 1, "{test}: other seeds give other runs");
}

/// A report without addresses, which differ between processes.
fn without_addresses(text: &str) -> String {
    let mut parts = text.split("0x");
    let mut left = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_hexdigit());
        let _ = write!(left, "0x…{rest}");
    }
    left
}

/// Plays a planted fault: it is found within `seeds` seeds, with a failure that `expected` is part of, and the command
/// that is printed then fails in the same way, to the last switch.
#[track_caller]
pub fn finds(seeds: u64, expected: &str, play: impl Fn(&'static World) + Sync) {
    let test = test_of(&play);
    if let Some(seed) = number_from(SEED) {
        let outcome = play_seed(seed, true, &play);
        assert!(outcome.is_ok(), "{}", report(test, &outcome));
        return;
    }
    let mut outcomes =
        (0..number_from(SEEDS).unwrap_or(seeds)).map(|seed| play_seed(seed, false, &play));
    let found = outcomes.find(|outcome| !outcome.is_ok());
    let found = found.unwrap_or_else(|| panic!("{test}: the fault is not found in {seeds} seeds"));
    let report = report(test, &found);
    assert!(report.contains(expected), "{test}: another failure than the planted one: {report}");
    println!("found: {report}");

    let mut replay = Command::new(std::env::current_exe().expect("this program"));
    replay.args(["--exact", test, "--nocapture"]).env(SEED, found.seed.to_string());
    let output = replay.output().expect("this program runs");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{test}: the replay does not fail: {text}");
    let (text, report) = (without_addresses(&text), without_addresses(&report));
    assert!(text.contains(&report), "{test}: the replay fails in another way: {text}\n{report}");
}
