// SPDX-License-Identifier: GPL-2.0-only
//! Tag sets: what the queues of a driver share.

use std::ffi::{c_int, c_uint};
use std::ptr;

use super::queue::Queue;
use super::tags::Tags;
use crate::errno::to_ret;
use crate::kprintln;
use crate::mm::gfp;
use crate::mutex::abi::{mutex_lock, mutex_unlock};
use crate::printk::Level;
use crate::slab::{kfree, kzalloc};
use crate::{Errno, Result, list, sys};

const NR_CPUS: u32 = sys::NR_CPUS;

/// The tags of hardware queue `index`.
///
/// # Safety
/// `set` is allocated, and has that many hardware queues.
pub(super) unsafe fn tags_of(set: *mut sys::blk_mq_tag_set, index: u32) -> *mut sys::blk_mq_tags {
    // SAFETY: the caller's contract.
    unsafe { *(*set).tags.add(index as usize) }
}

/// All tags of a set, each once.
///
/// # Safety
/// `set` is allocated, and its number of hardware queues does not change meanwhile.
pub(super) unsafe fn all_tags<'a>(set: *mut sys::blk_mq_tag_set) -> impl Iterator<Item = &'a Tags> {
    // SAFETY: the caller's contract.
    let count = unsafe { if (*set).shared_tags.is_null() { (*set).nr_hw_queues } else { 1 } };
    // SAFETY: as above; tags live as long as their set.
    (0..count).map(move |index| unsafe { Tags::from_sys(tags_of(set, index)) })
}

/// Holds the lock of the list of queues during `f`, which is given the list.
///
/// # Safety
/// `set` is allocated.
pub(super) unsafe fn with_list<R>(
    set: *mut sys::blk_mq_tag_set,
    f: impl FnOnce(*mut sys::list_head) -> R,
) -> R {
    // SAFETY: the caller's contract; the lock is given back by the same task.
    unsafe {
        mutex_lock(&raw mut (*set).tag_list_lock);
        let result = f(&raw mut (*set).tag_list);
        mutex_unlock(&raw mut (*set).tag_list_lock);
        result
    }
}

/// The queues of a set, whose list `head` is.
///
/// # Safety
/// The lock of the list is held for as long as the result is used.
pub(super) unsafe fn queues<'a>(head: *mut sys::list_head) -> Vec<&'a Queue> {
    let mut queues = Vec::new();
    // SAFETY: the caller's contract; queues are in the list from their making to their end.
    unsafe {
        let mut at = (*head).next;
        while at != head {
            let q = at.byte_sub(std::mem::offset_of!(sys::request_queue, tag_set_list));
            queues.extend(Queue::of(q.cast::<sys::request_queue>()));
            at = (*at).next;
        }
    }
    queues
}

/// Makes the tags from hardware queue `from` to `to`.
///
/// # Safety
/// `set` is valid, and `set.tags` has room for `to` entries, of which those from `from` on are unused.
unsafe fn make_tags(set: *mut sys::blk_mq_tag_set, from: u32, to: u32) -> Result<()> {
    // SAFETY: `set` is valid, and its array of tags has room for `to` entries.
    unsafe {
        let is_shared = (*set).flags & sys::BLK_MQ_F_TAG_HCTX_SHARED != 0;
        for index in from..to {
            if !(*set).shared_tags.is_null() {
                *(*set).tags.add(index as usize) = (*set).shared_tags;
                continue;
            }
            let number = if is_shared { sys::BLK_MQ_NO_HCTX_IDX as u32 } else { index };
            match Tags::new(set, number) {
                Ok(tags) => {
                    let tags = Box::leak(tags).as_sys();
                    *(*set).tags.add(index as usize) = tags;
                    if is_shared {
                        (*set).shared_tags = tags;
                    }
                }
                Err(error) => {
                    free_tags(set, from, index);
                    return Err(error);
                }
            }
        }
    }
    Ok(())
}

/// Frees the tags from hardware queue `from` to `to`; those that all share with the first.
///
/// # Safety
/// As [`make_tags`], which made them; no request of theirs is used any more.
unsafe fn free_tags(set: *mut sys::blk_mq_tag_set, from: u32, to: u32) {
    // SAFETY: `make_tags` made these, and no request of theirs is used any more.
    unsafe {
        for index in from..to {
            let place = (*set).tags.add(index as usize);
            let tags = std::mem::replace(&mut *place, ptr::null_mut());
            if !tags.is_null() && tags != (*set).shared_tags {
                Box::from_raw(tags.cast::<Tags>()).exit(set, index);
            }
        }
        if from == 0 {
            let shared = std::mem::replace(&mut (*set).shared_tags, ptr::null_mut());
            if !shared.is_null() {
                Box::from_raw(shared.cast::<Tags>()).exit(set, sys::BLK_MQ_NO_HCTX_IDX as u32);
            }
        }
    }
}

/// Looks at what the driver filled in, and bounds it.
fn check(set: &mut sys::blk_mq_tag_set) -> Result<()> {
    // SAFETY: the driver's operations are there, if it set them.
    let ops = unsafe { set.ops.as_ref() }.ok_or(Errno::EINVAL)?;
    let has_depth = set.queue_depth > set.reserved_tags;
    let has_budget_pair = ops.get_budget.is_some() == ops.put_budget.is_some();
    if set.nr_hw_queues == 0 || !has_depth || ops.queue_rq.is_none() || !has_budget_pair {
        return Err(Errno::EINVAL);
    }
    if set.queue_depth > sys::BLK_MQ_MAX_DEPTH {
        kprintln!(Level::Info, "blk-mq: reduced tag depth to {}", sys::BLK_MQ_MAX_DEPTH);
        set.queue_depth = sys::BLK_MQ_MAX_DEPTH;
    }
    set.nr_maps = set.nr_maps.max(1);
    if set.nr_maps > sys::HCTX_MAX_TYPES || (set.nr_maps > 1 && ops.map_queues.is_none()) {
        return Err(Errno::EINVAL);
    }
    if set.nr_maps == 1 {
        set.nr_hw_queues = set.nr_hw_queues.min(NR_CPUS);
    }
    Ok(())
}

/// Lets the driver say which CPU uses which hardware queue.
///
/// # Safety
/// `set` is valid, with maps for all CPUs that nobody uses meanwhile.
unsafe fn map(set: *mut sys::blk_mq_tag_set) {
    // SAFETY: `set` is valid, with maps for all CPUs that nobody reads meanwhile.
    unsafe {
        if (*set).nr_maps == 1 {
            (*set).map[0].nr_queues = (*set).nr_hw_queues;
        }
        let Some(map_queues) = (*(*set).ops).map_queues else {
            return blk_mq_map_queues(&raw mut (*set).map[0]);
        };
        for map in &(&(*set).map)[..(*set).nr_maps as usize] {
            map.mq_map.write_bytes(0, NR_CPUS as usize);
        }
        map_queues(set);
    }
}

/// # Safety
/// `set` is valid, as the driver filled it in.
unsafe fn alloc(set: *mut sys::blk_mq_tag_set) -> Result<()> {
    // SAFETY: the caller's contract: nobody else has the set yet.
    unsafe {
        check(&mut *set)?;
        let room = (*set).nr_hw_queues as usize;
        (*set).tags = kzalloc(room * size_of::<usize>(), gfp::KERNEL).cast();
        (*set).srcu = kzalloc(size_of::<sys::srcu_struct>(), gfp::KERNEL).cast();
        (*set).shared_tags = ptr::null_mut();
        let mut has_all = !(*set).tags.is_null() && !(*set).srcu.is_null();
        for map in &mut (&mut (*set).map)[..(*set).nr_maps as usize] {
            map.mq_map = kzalloc(NR_CPUS as usize * size_of::<c_uint>(), gfp::KERNEL).cast();
            map.nr_queues = (*set).nr_hw_queues;
            has_all &= !map.mq_map.is_null();
        }
        let made = if has_all {
            map(set);
            make_tags(set, 0, (*set).nr_hw_queues)
        } else {
            Err(Errno::ENOMEM)
        };
        if let Err(error) = made {
            free_arrays(set);
            return Err(error);
        }
        (*set).tag_list_lock = Default::default();
        list::init(&raw mut (*set).tag_list);
    }
    Ok(())
}

/// # Safety
/// `set` was filled in by [`alloc`], and has no tags.
unsafe fn free_arrays(set: *mut sys::blk_mq_tag_set) {
    // SAFETY: the caller's contract; each is NULL or came from `kzalloc`.
    unsafe {
        for map in &mut (&mut (*set).map)[..(*set).nr_maps as usize] {
            kfree(std::mem::replace(&mut map.mq_map, ptr::null_mut()).cast());
        }
        kfree(std::mem::replace(&mut (*set).tags, ptr::null_mut()).cast());
        kfree(std::mem::replace(&mut (*set).srcu, ptr::null_mut()).cast());
    }
}

/// Makes the requests of a tag set, and says which CPU uses which hardware queue. The depth may be reduced.
///
/// # Safety
/// `set` is valid and filled in by the driver.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_alloc_tag_set(set: *mut sys::blk_mq_tag_set) -> c_int {
    // SAFETY: the caller's contract.
    to_ret(unsafe { alloc(set) })
}

/// As `blk_mq_alloc_tag_set`, with one hardware queue.
///
/// # Safety
/// `set` is valid for writes, `ops` stays.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_alloc_sq_tag_set(
    set: *mut sys::blk_mq_tag_set,
    ops: *const sys::blk_mq_ops,
    queue_depth: c_uint,
    set_flags: c_uint,
) -> c_int {
    // SAFETY: `set` is valid for writes, and nobody else has it yet.
    unsafe {
        set.write(sys::blk_mq_tag_set {
            ops,
            nr_hw_queues: 1,
            nr_maps: 1,
            queue_depth,
            numa_node: -1,
            flags: set_flags,
            ..Default::default()
        });
        blk_mq_alloc_tag_set(set)
    }
}

/// Frees the requests of a tag set.
///
/// # Safety
/// `set` is allocated, and its queues have ended.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_free_tag_set(set: *mut sys::blk_mq_tag_set) {
    // SAFETY: the queues of `set` have ended, so nobody uses its tags or maps.
    unsafe {
        free_tags(set, 0, (*set).nr_hw_queues);
        free_arrays(set);
    }
}

/// Spreads the CPUs evenly over the hardware queues of a map.
///
/// # Safety
/// `qmap` is valid, with room for all CPUs.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_map_queues(qmap: *mut sys::blk_mq_queue_map) {
    // SAFETY: the map is valid, and has an entry for each CPU.
    unsafe {
        let (count, offset) = ((*qmap).nr_queues.max(1), (*qmap).queue_offset);
        for cpu in 0..NR_CPUS {
            *(*qmap).mq_map.add(cpu as usize) = offset + cpu % count;
        }
    }
}

/// Changes the number of hardware queues of all queues of a set, which are frozen meanwhile. Stays with the number that
/// was, with a message, when there is no memory or the driver refuses.
///
/// # Safety
/// `set` is allocated.
///
/// # Context
/// May sleep. Not from within a request of the set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_update_nr_hw_queues(
    set: *mut sys::blk_mq_tag_set,
    nr_hw_queues: c_int,
) {
    // SAFETY: `set` is allocated; under the lock of its list no queue comes or goes.
    unsafe {
        with_list(set, |head| {
            let (before, mut wanted) = ((*set).nr_hw_queues, nr_hw_queues.max(0) as u32);
            if (*set).nr_maps == 1 {
                wanted = wanted.min(NR_CPUS);
            }
            if wanted == 0 || ((*set).nr_maps == 1 && wanted == before) {
                return;
            }
            let queues = queues(head);
            queues.iter().for_each(|queue| queue.gate().freeze());
            if let Err(error) = change_count(set, &queues, wanted) {
                kprintln!(
                    Level::Warning,
                    "blk-mq: {wanted} hardware queues cannot be had: {error}. It stays at {before}."
                );
            }
            queues.iter().for_each(|queue| queue.gate().unfreeze());
        });
    }
}

/// # Safety
/// `set` is allocated, its list of queues is locked, and `queues`, which are all of it, are frozen.
unsafe fn change_count(
    set: *mut sys::blk_mq_tag_set,
    queues: &[&Queue],
    wanted: u32,
) -> Result<()> {
    // SAFETY: the caller's contract: nobody uses tags or maps.
    unsafe {
        let before = (*set).nr_hw_queues;
        if wanted > before {
            let tags = kzalloc(wanted as usize * size_of::<usize>(), gfp::KERNEL);
            if tags.is_null() {
                return Err(Errno::ENOMEM);
            }
            let tags: *mut *mut sys::blk_mq_tags = tags.cast();
            tags.copy_from_nonoverlapping((*set).tags, before as usize);
            kfree(std::mem::replace(&mut (*set).tags, tags).cast());
            make_tags(set, before, wanted)?;
        }
        (*set).nr_hw_queues = wanted;
        map(set);
        let mut made = Ok(());
        for queue in queues {
            queue.exit_hctxs(wanted);
            made = made.and_then(|()| queue.init_hctxs());
        }
        if made.is_err() {
            (*set).nr_hw_queues = before;
            map(set);
            queues.iter().for_each(|queue| queue.exit_hctxs(before));
        }
        free_tags(set, (*set).nr_hw_queues, before.max(wanted));
        made
    }
}
