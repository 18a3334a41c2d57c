// SPDX-License-Identifier: GPL-2.0-only
//! What drivers prepare for each CPU.
//!
//! C header: `include/linux/cpuhotplug.h` (API of 6.12).
//! Guarantees kept: an instance that was added was started on every CPU that a task can be on, or, where one of them failed,
//! on none.
//! Differs from Linux: CPUs never come or go.
//! Used by DRBD for: nothing; `raid456` keeps room to compute in for each CPU.

use std::collections::BTreeMap;
use std::ffi::{c_int, c_uint};

use crate::errno::{Errno, Result, from_ret, to_ret};
use crate::mutex::KMutex;
use crate::{Kernel, sys};

type Step = unsafe extern "C" fn(c_uint, *mut sys::hlist_node) -> c_int;

#[derive(Clone, Copy)]
struct Steps {
    startup: Option<Step>,
    teardown: Option<Step>,
}

/// State of this subsystem in one kernel: the states of drivers that are set up.
#[derive(Default)]
pub struct State(KMutex<BTreeMap<sys::cpuhp_state, Steps>>);

impl State {
    fn steps(&self, state: sys::cpuhp_state) -> Result<Steps> {
        self.0.lock().get(&state).copied().ok_or(Errno::EINVAL)
    }
}

/// Calls a step for one CPU.
///
/// # Safety
/// The step takes the node.
unsafe fn call(step: Option<Step>, cpu: c_uint, node: *mut sys::hlist_node) -> Result<()> {
    // SAFETY: the caller's contract.
    step.map_or(Ok(()), |step| from_ret(unsafe { step(cpu, node) }).map(drop))
}

/// Sets a state up, with the steps of each of its instances; -EBUSY where that was done already.
///
/// # Safety
/// The steps take the instances that are added, and are there until the state is removed.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __cpuhp_setup_state_multi(
    state: sys::cpuhp_state,
    startup: Option<Step>,
    teardown: Option<Step>,
) -> c_int {
    let mut states = Kernel::current().cpuhp.0.lock();
    if states.contains_key(&state) {
        return Errno::EBUSY.neg();
    }
    states.insert(state, Steps { startup, teardown });
    0
}

/// Starts an instance on each CPU.
///
/// # Safety
/// The steps of the state take `node`.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cpuhp_state_add_instance(
    state: sys::cpuhp_state,
    node: *mut sys::hlist_node,
) -> c_int {
    let add = || {
        let steps = Kernel::current().cpuhp.steps(state)?;
        for cpu in 0..sys::NR_CPUS {
            // SAFETY: the caller's contract.
            if let Err(error) = unsafe { call(steps.startup, cpu, node) } {
                for cpu in (0..cpu).rev() {
                    // SAFETY: as above. A step down has no failure that anybody could mend.
                    let _ = unsafe { call(steps.teardown, cpu, node) };
                }
                return Err(error);
            }
        }
        Ok(())
    };
    to_ret(add())
}

/// Tears an instance down on each CPU.
///
/// # Safety
/// The steps of the state take `node`, which was added.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cpuhp_state_remove_instance(
    state: sys::cpuhp_state,
    node: *mut sys::hlist_node,
) -> c_int {
    let Ok(steps) = Kernel::current().cpuhp.steps(state) else { return Errno::EINVAL.neg() };
    for cpu in (0..sys::NR_CPUS).rev() {
        // SAFETY: the caller's contract. A step down has no failure that anybody could mend.
        let _ = unsafe { call(steps.teardown, cpu, node) };
    }
    0
}

/// Forgets a state, which has no instance any more.
///
/// # Safety
/// None beyond the C types.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cpuhp_remove_multi_state(state: sys::cpuhp_state) {
    Kernel::current().cpuhp.0.lock().remove(&state);
}

#[cfg(test)]
mod tests {
    use std::ptr;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const STATE: sys::cpuhp_state = sys::CPUHP_MD_RAID5_PREPARE;
    static STARTED: AtomicU32 = AtomicU32::new(0);
    static FAILS_AT: AtomicU32 = AtomicU32::new(u32::MAX);

    unsafe extern "C" fn startup(cpu: c_uint, _node: *mut sys::hlist_node) -> c_int {
        if cpu == FAILS_AT.load(Ordering::Relaxed) {
            return Errno::ENOMEM.neg();
        }
        STARTED.fetch_add(1, Ordering::Relaxed);
        0
    }

    unsafe extern "C" fn teardown(_cpu: c_uint, _node: *mut sys::hlist_node) -> c_int {
        STARTED.fetch_sub(1, Ordering::Relaxed);
        0
    }

    #[test]
    fn an_instance_is_started_everywhere_or_nowhere() {
        let node = ptr::null_mut();
        // SAFETY: the steps take any node.
        crate::sched::with_kernel(Kernel::boot(Default::default()), || unsafe {
            assert_eq!(cpuhp_state_add_instance(STATE, node), Errno::EINVAL.neg());
            assert_eq!(__cpuhp_setup_state_multi(STATE, Some(startup), Some(teardown)), 0);
            let again = __cpuhp_setup_state_multi(STATE, None, None);
            assert_eq!(again, Errno::EBUSY.neg());
            FAILS_AT.store(5, Ordering::Relaxed);
            assert_eq!(cpuhp_state_add_instance(STATE, node), Errno::ENOMEM.neg());
            assert_eq!(STARTED.load(Ordering::Relaxed), 0);
            FAILS_AT.store(u32::MAX, Ordering::Relaxed);
            assert_eq!(cpuhp_state_add_instance(STATE, node), 0);
            assert_eq!(STARTED.load(Ordering::Relaxed), sys::NR_CPUS);
            assert_eq!(cpuhp_state_remove_instance(STATE, node), 0);
            assert_eq!(STARTED.load(Ordering::Relaxed), 0);
            cpuhp_remove_multi_state(STATE);
        });
    }
}
