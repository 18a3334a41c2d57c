// SPDX-License-Identifier: GPL-2.0-only
//! `jiffies` as a variable, for drivers that give the name to a member of theirs and so cannot have it as a macro
//! (`UMC_JIFFIES_VARIABLE` in `linux/jiffies.h`). Only while a module that uses it is loaded does a node tick.

#![allow(non_upper_case_globals)]

use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering};

use mte::sim::lock::Mutex;

use super::{INITIAL, TICK_NS, now};
use crate::Kernel;

/// The ticks of the kernel that ticks.
#[unsafe(no_mangle)]
pub static jiffies: AtomicU64 = AtomicU64::new(INITIAL);

/// The name under which a module asks for it.
const NAME: &str = "jiffies";

#[derive(Default)]
pub(crate) struct Ticker {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Modules that use the variable.
    users: u32,
    is_armed: bool,
}

/// Uses of the variable by one module.
pub(crate) struct Ticks(&'static Kernel);

impl Ticks {
    /// Has the node tick, if that is one of the symbols of a module.
    pub(crate) fn for_symbols(kernel: &'static Kernel, undefined: &[String]) -> Option<Ticks> {
        if !undefined.iter().any(|symbol| symbol == NAME) {
            return None;
        }
        jiffies.store(now(kernel), Ordering::Relaxed);
        let mut state = kernel.timer.ticker.state.lock();
        state.users += 1;
        if !state.is_armed {
            state.is_armed = true;
            arm(kernel);
        }
        Some(Ticks(kernel))
    }
}

impl Drop for Ticks {
    fn drop(&mut self) {
        self.0.timer.ticker.state.lock().users -= 1;
    }
}

fn arm(kernel: &'static Kernel) {
    let arg: *const Kernel = kernel;
    // SAFETY: the kernel lives for ever.
    unsafe { kernel.ops.timer_arm(kernel.ops.now_ns() + TICK_NS, tick, arg.cast_mut().cast()) };
}

unsafe extern "C" fn tick(arg: *mut c_void) {
    // SAFETY: the kernel that `arm` gave.
    let kernel: &'static Kernel = unsafe { &*arg.cast_const().cast() };
    jiffies.store(now(kernel), Ordering::Relaxed);
    let mut state = kernel.timer.ticker.state.lock();
    if state.users > 0 {
        arm(kernel);
    } else {
        state.is_armed = false;
    }
}
