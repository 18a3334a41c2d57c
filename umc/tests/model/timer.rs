// SPDX-License-Identifier: GPL-2.0-only
//! Timers: `linux/timer.h`, `linux/hrtimer.h`.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};

use mte::sim::preempt_point;
use umc::sys;

use crate::abi::c;
use crate::harness::*;

/// A timer, and what its callback does.
#[repr(C)]
pub struct Probe {
    timer: sys::timer_list,
    world: &'static World,
    /// For those whose `expires` does not change while the callback runs: it and the number of the timer.
    order: Option<Log<(u64, u64)>>,
    number: u64,
    pub runs: AtomicU64,
    pub is_live: AtomicU64,
    pub is_running: AtomicBool,
    /// So many times the callback arms its timer again.
    pub rearms: AtomicU64,
    frees_itself: bool,
}

pub const LIVE: u64 = 0x11fe;

unsafe extern "C" fn fire(timer: *mut sys::timer_list) {
    // SAFETY: the first field of a probe, which is never unmapped.
    let probe = unsafe { &*timer.cast::<Probe>() };
    assert_eq!(probe.is_live.load(SeqCst), LIVE, "the callback runs after its timer is gone");
    assert!(!probe.is_running.swap(true, SeqCst), "two callbacks run at once");
    if let Some(order) = probe.order {
        assert!(c!(umc_jiffies()) >= probe.timer.expires, "the callback runs early");
        order.lock().push((probe.timer.expires, probe.number));
    }
    probe.runs.fetch_add(1, SeqCst);
    probe.world.nap(3 * US);
    if probe.rearms.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
        c!(mod_timer(timer, c!(umc_jiffies())));
        preempt_point();
    }
    assert_eq!(probe.is_live.load(SeqCst), LIVE, "the timer goes while its callback runs");
    probe.is_running.store(false, SeqCst);
    if probe.frees_itself {
        let probe = timer.cast::<Probe>();
        // SAFETY: as above.
        unsafe { (*probe).world.free(Shared::from_raw(probe)) };
    }
}

pub fn probe(world: &'static World) -> Shared<Probe> {
    numbered(world, 0, None, false)
}

fn numbered(
    world: &'static World,
    number: u64,
    order: Option<Log<(u64, u64)>>,
    frees_itself: bool,
) -> Shared<Probe> {
    let probe = Shared::new(Probe {
        timer: sys::timer_list::default(),
        world,
        order,
        number,
        runs: AtomicU64::new(0),
        is_live: AtomicU64::new(LIVE),
        is_running: AtomicBool::new(false),
        rearms: AtomicU64::new(0),
        frees_itself,
    });
    c!(umc_timer_setup(probe.timer(), Some(fire), 0));
    probe
}

impl Shared<Probe> {
    pub fn timer(self) -> *mut sys::timer_list {
        self.get().cast()
    }

    pub fn arm(self, ticks: u64) -> bool {
        c!(mod_timer(self.timer(), c!(umc_jiffies()) + ticks)) != 0
    }
}

/// Callbacks run one at a time, never early, in the order of expiry and then of arming.
#[test]
fn callbacks_run_in_order() {
    holds(500, |world| {
        let order = log();
        let begin = c!(umc_jiffies());
        let delays: [u64; 6] = std::array::from_fn(|_| 1 + world.below(4));
        let probes: Vec<_> = (0..6)
            .map(|number| {
                let probe = numbered(world, number, Some(order), false);
                assert_eq!(c!(mod_timer(probe.timer(), begin + delays[number as usize])), 0);
                probe
            })
            .collect();
        world.settle();
        let mut expected: Vec<_> = (0..6).map(|n| (begin + delays[n as usize], n)).collect();
        expected.sort();
        assert_eq!(*order.lock(), expected);
        probes.into_iter().for_each(|probe| world.free(probe));
    });
}

/// `mod_timer` and `timer_delete` tell whether the timer was pending: each arming of one that was not leads to one run,
/// or to one deletion that says so.
#[test]
fn whether_it_was_pending_adds_up() {
    holds(1000, |world| {
        let (probe, armed, deleted) =
            (probe(world), leak(AtomicU64::new(0)), leak(AtomicU64::new(0)));
        let threads = [(); 3].map(|()| {
            world.thread("user", move || {
                for _ in 0..4 {
                    world.nap(3 * US);
                    match world.below(3) {
                        0 => deleted.fetch_add(c!(timer_delete(probe.timer())) as u64, SeqCst),
                        ticks => armed.fetch_add(u64::from(!probe.arm(ticks - 1)), SeqCst),
                    };
                }
            })
        });
        threads.into_iter().for_each(|thread| thread.join());
        deleted.fetch_add(c!(timer_delete_sync(probe.timer())) as u64, SeqCst);
        assert_eq!(c!(timer_pending(probe.timer())), 0);
        assert_eq!(probe.runs.load(SeqCst) + deleted.load(SeqCst), armed.load(SeqCst));
        world.free(probe);
    });
}

/// After `timer_delete_sync` the callback does not run and will not, although it arms its own timer again.
#[test]
fn after_delete_sync_the_callback_is_over() {
    holds(1000, |world| {
        let probe = probe(world);
        probe.rearms.store(u64::MAX, SeqCst);
        probe.arm(0);
        let deleters = [(); 2].map(|()| {
            world.thread("deleter", move || {
                world.nap(10 * US);
                c!(timer_delete_sync(probe.timer()));
            })
        });
        world.nap(10 * US);
        // With a spinlock that the callback does not take, too.
        let lock = Shared::new(sys::raw_spinlock_t::default());
        let locked = world.flip();
        if locked {
            c!(_raw_spin_lock(lock.get()));
        }
        c!(timer_delete_sync(probe.timer()));
        if locked {
            c!(_raw_spin_unlock(lock.get()));
        }
        assert!(!probe.is_running.load(SeqCst));
        deleters.into_iter().for_each(|deleter| deleter.join());
        world.free(probe);
        world.settle();
    });
}

/// After `timer_shutdown_sync` nobody arms the timer any more, not even one who tries.
#[test]
fn after_shutdown_nobody_arms_it() {
    holds(1000, |world| {
        let probe = probe(world);
        let armer = world.thread("armer", move || {
            for _ in 0..5 {
                world.nap(3 * US);
                probe.arm(0);
            }
        });
        world.nap(10 * US);
        c!(timer_shutdown_sync(probe.timer()));
        assert!(!probe.is_running.load(SeqCst));
        let runs = probe.runs.load(SeqCst);
        armer.join();
        world.settle();
        assert_eq!((probe.runs.load(SeqCst), c!(timer_pending(probe.timer()))), (runs, 0));
    });
}

/// `try_to_del_timer_sync` says -1 while the callback runs; any other answer means that it does not.
#[test]
fn try_to_delete_tells_of_a_running_callback() {
    holds(1000, |world| {
        let probe = probe(world);
        probe.arm(0);
        world.nap(10 * US);
        let answer = loop {
            match c!(try_to_del_timer_sync(probe.timer())) {
                -1 => world.sim.sleep(US),
                answer => break answer,
            }
        };
        assert!(!probe.is_running.load(SeqCst));
        assert_eq!(probe.runs.load(SeqCst), u64::from(answer == 0));
        world.free(probe);
        world.settle();
    });
}

/// A callback may free its timer.
#[test]
fn a_callback_may_free_its_timer() {
    holds(300, |world| {
        (0..3).for_each(|number| {
            numbered(world, number, None, true).arm(world.below(2));
        });
        world.settle();
    });
}

/// `timer_reduce` only makes a pending timer earlier, `mod_timer_pending` only changes a pending one.
#[test]
fn reduce_and_pending_keep_to_their_word() {
    holds(300, |world| {
        let (early, idle) = (probe(world), probe(world));
        let now = c!(umc_jiffies());
        c!(mod_timer(early.timer(), now + 1000));
        let reducers = [7, 3, 5].map(|ticks| {
            world.thread("reducer", move || {
                world.nap(3 * US);
                assert_eq!(c!(timer_reduce(early.timer(), now + ticks)), 1);
                assert_eq!(c!(mod_timer_pending(idle.timer(), now + ticks)), 0);
            })
        });
        reducers.into_iter().for_each(|reducer| reducer.join());
        assert_eq!((early.timer.expires, c!(timer_pending(idle.timer()))), (now + 3, 0));
        c!(timer_delete_sync(early.timer()));
    });
}

#[repr(C)]
struct High {
    timer: sys::hrtimer,
    is_running: AtomicBool,
    world: &'static World,
}

unsafe extern "C" fn tick(timer: *mut sys::hrtimer) -> sys::hrtimer_restart {
    // SAFETY: the first field of a `High`, which is never unmapped.
    let high = unsafe { &*timer.cast::<High>() };
    high.is_running.store(true, SeqCst);
    high.world.nap(2 * US);
    c!(hrtimer_forward(timer, high.world.sim.now_ns() as i64, 5_000));
    high.is_running.store(false, SeqCst);
    sys::HRTIMER_RESTART
}

/// After `hrtimer_cancel` the callback does not run and will not, although it asks for a restart each time.
#[test]
fn after_hrtimer_cancel_the_callback_is_over() {
    holds(500, |world| {
        let high = Shared::new(High {
            timer: sys::hrtimer::default(),
            is_running: AtomicBool::new(false),
            world,
        });
        let timer: *mut sys::hrtimer = high.get().cast();
        c!(hrtimer_init(timer, sys::CLOCK_MONOTONIC as i32, sys::HRTIMER_MODE_REL));
        // SAFETY: not armed yet.
        unsafe { (*timer).function = Some(tick) };
        c!(hrtimer_start_range_ns(timer, 5_000, 0, sys::HRTIMER_MODE_REL));
        world.sim.sleep(world.below(60 * US));
        c!(hrtimer_cancel(timer));
        assert!(!high.is_running.load(SeqCst));
        world.free(high);
        world.settle();
    });
}
