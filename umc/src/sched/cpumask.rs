// SPDX-License-Identifier: GPL-2.0-only
//! CPU masks, and what is kept once a CPU.
//!
//! C header: `include/linux/cpumask.h`, `include/linux/smp.h`, `include/linux/percpu.h` (API of 6.12).
//! Guarantees kept: `smp_processor_id()` is below `nr_cpu_ids`; a per-CPU slot has a cache line of its own. A task that
//! asks for its CPU or for a slot of it where the CPU would not be taken away from it (preemption, interrupts or soft
//! interrupts off, a spin lock held) is the only one on that CPU until it leaves the outermost such section.
//! Differs from Linux: CPUs never come or go, and a thread is never held on one. Those online are the host's that the
//! process may use, two with a simulated provider; the possible ones are more, for tasks that the host has taken the
//! processor away from in such a section. With all of them taken a task waits for one.
//! Used by DRBD for: `nr_cpu_ids`, `cpumask_*`, `for_each_online_cpu` in the choice of a resource's CPU mask.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ffi::{c_int, c_uint, c_void};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;

use crate::sched::Task;
use crate::{Kernel, context, sched, sys};

const CPUS_MAX: u32 = sys::NR_CPUS;
/// CPUs of a kernel with virtual time, whatever the host is.
const CPUS_SIMULATED: u32 = 2;
/// Room before the slots of a per-CPU allocation for its length; keeps their alignment.
const HEADER: usize = 64;

/// The CPUs that tasks of a kernel have to themselves, as bits.
#[derive(Default)]
pub struct State {
    taken: AtomicU64,
}

/// Number of CPUs the process may use.
fn host_cpus() -> u32 {
    static HOST: OnceLock<u32> = OnceLock::new();
    *HOST.get_or_init(|| {
        let set = sched_getaffinity(Pid::from_raw(0)).unwrap_or_default();
        let allowed = (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu) == Ok(true));
        (allowed.count() as u32).clamp(1, CPUS_MAX)
    })
}

/// Number of CPUs of `kernel` that are online: they are numbered from 0.
pub(crate) fn count(kernel: &Kernel) -> u32 {
    if kernel.ops.is_simulated != 0 { CPUS_SIMULATED } else { host_cpus() }
}

/// The mask of all CPUs of `kernel`.
pub(crate) fn online(kernel: &Kernel) -> sys::cpumask {
    sys::cpumask { bits: [u64::MAX >> (CPUS_MAX - count(kernel))] }
}

/// The CPU that the calling thread is on, folded to the CPUs of the kernel.
pub(crate) fn processor_id(kernel: &Kernel) -> u32 {
    if kernel.ops.is_simulated != 0 {
        return 0;
    }
    // SAFETY: no arguments; a negative answer becomes a large number, which is folded as well.
    (unsafe { libc::sched_getcpu() } as u32) % count(kernel)
}

/// The CPU of the calling task, which is in an atomic section, and has it to itself until that ends.
fn own(task: &Task) -> u32 {
    if let Some(cpu) = task.own_cpu.get() {
        return cpu;
    }
    let here = processor_id(task.kernel);
    let taken = &task.kernel.sched.cpus.taken;
    loop {
        let now = taken.load(Ordering::Relaxed);
        let cpu = if now & (1 << here) == 0 { here } else { (!now).trailing_zeros() };
        if cpu == CPUS_MAX {
            task.kernel.ops.yield_now();
            continue;
        }
        let with = now | 1 << cpu;
        if taken.compare_exchange(now, with, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            task.own_cpu.set(Some(cpu));
            return cpu;
        }
    }
}

/// The calling task leaves its outermost atomic section.
#[inline]
pub(crate) fn leave(task: &Task) {
    if let Some(cpu) = task.own_cpu.take() {
        task.kernel.sched.cpus.taken.fetch_and(!(1 << cpu), Ordering::Release);
    }
}

static MASKS: [sys::cpumask; CPUS_MAX as usize + 1] = {
    let mut masks = [sys::cpumask { bits: [0] }; CPUS_MAX as usize + 1];
    let mut count = 1;
    while count <= CPUS_MAX as usize {
        masks[count].bits[0] = u64::MAX >> (CPUS_MAX as usize - count);
        count += 1;
    }
    masks
};

static SINGLE: [sys::cpumask; CPUS_MAX as usize] = {
    let mut masks = [sys::cpumask { bits: [0] }; CPUS_MAX as usize];
    let mut cpu = 0;
    while cpu < CPUS_MAX as usize {
        masks[cpu].bits[0] = 1 << cpu;
        cpu += 1;
    }
    masks
};

/// The number of CPUs of the caller's kernel: that of its configuration, not of the host.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_num_online_cpus() -> c_uint {
    count(sched::current_kernel())
}

/// The mask of the CPUs of the caller's kernel; it never changes.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_cpu_online_mask() -> *const sys::cpumask {
    &MASKS[count(sched::current_kernel()) as usize]
}

/// The mask of all CPUs that any kernel may have.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_cpu_possible_mask() -> *const sys::cpumask {
    &MASKS[CPUS_MAX as usize]
}

/// The mask of one CPU, which is below `NR_CPUS`; it never changes.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cpumask_of(cpu: c_uint) -> *const sys::cpumask {
    &SINGLE[cpu as usize]
}

/// Where the CPU may not be taken away, one that nobody else has meanwhile; a hint elsewhere.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_processor_id() -> c_int {
    let task = sched::current_task();
    let cpu = if context::is_on_its_cpu(task) { own(task) } else { processor_id(task.kernel) };
    cpu as c_int
}

fn percpu_layout(bytes: usize) -> Option<Layout> {
    Layout::from_size_align(bytes.checked_add(HEADER)?, HEADER).ok()
}

/// Slots of `size` bytes for every possible CPU, zeroed; NULL without memory.
///
/// # Safety
/// `align` is a power of two up to a cache line, as for every type of C.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __alloc_percpu(size: usize, align: usize) -> *mut c_void {
    debug_assert!(align <= HEADER);
    let bytes =
        size.checked_next_multiple_of(64).and_then(|slot| slot.checked_mul(CPUS_MAX as usize));
    let Some(layout) = bytes.and_then(percpu_layout) else { return ptr::null_mut() };
    // SAFETY: the layout is not empty, it holds the header.
    let start = unsafe { alloc_zeroed(layout) };
    if start.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: the header is inside the allocation and aligned.
    unsafe {
        start.cast::<usize>().write(layout.size() - HEADER);
        start.add(HEADER).cast()
    }
}

/// [`__alloc_percpu`].
///
/// # Safety
/// As for [`__alloc_percpu`].
/// # Context
/// Any: the host's allocator does not sleep in the sense of a driver.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __alloc_percpu_gfp(
    size: usize,
    align: usize,
    _gfp: sys::gfp_t,
) -> *mut c_void {
    // SAFETY: `align` is a power of two up to a cache line.
    unsafe { __alloc_percpu(size, align) }
}

/// Frees slots of [`__alloc_percpu`]; NULL is allowed.
///
/// # Safety
/// `slots` is NULL or came from [`__alloc_percpu`], and is not used any more.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_percpu(slots: *mut c_void) {
    if slots.is_null() {
        return;
    }
    // SAFETY: the caller's contract: the header lies before the slots, and holds the size of the allocation.
    unsafe {
        let start = slots.cast::<u8>().sub(HEADER);
        let layout = percpu_layout(start.cast::<usize>().read()).expect("made with this layout");
        dealloc(start, layout);
    }
}
