// SPDX-License-Identifier: GPL-2.0-only
//! The table of generic netlink families.
//!
//! C header: `include/net/genetlink.h` (API of 6.12).
//! Guarantees kept: no operation runs of a family that left the table; ids and groups are those Linux would give.
//! Differs from Linux: leaving waits only for requests to this family, not for those to others.
//! Used by DRBD for: its family `drbd` with the group `events`.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, c_int};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::errno::{Errno, Result};
use crate::kernel::Kernel;
use crate::sys;
use crate::wait::WaitQueue;

/// Group ids that Linux never hands out: invalid, and three whose users count on fixed numbers.
const RESERVED_GROUPS: [u32; 5] =
    [0, 1, sys::GENL_ID_CTRL, sys::GENL_ID_VFS_DQUOT, sys::GENL_ID_PMCRAID];
/// Groups up to here can be joined even when no family has them.
const GROUPS_MIN: u32 = 64;

/// The policy of an operation that takes no attributes.
struct RejectAll([sys::nla_policy; 2]);

// SAFETY: never written, and its pointers are null.
unsafe impl Sync for RejectAll {}

static REJECT_ALL: RejectAll = {
    let entry = sys::nla_policy {
        type_: sys::NLA_REJECT as u8,
        validation_type: 0,
        len: 0,
        __bindgen_anon_1: sys::nla_policy__bindgen_ty_1 { reject_message: std::ptr::null() },
    };
    RejectAll([entry, entry])
};

/// A command of a family in the one form that all three C forms become.
pub(crate) struct Command {
    pub(crate) cmd: u8,
    pub(crate) doit: Option<sys::genl_split_ops>,
    pub(crate) dumpit: Option<sys::genl_split_ops>,
}

/// A multicast group of a family.
pub(crate) struct Group {
    pub(crate) id: u32,
    pub(crate) name: String,
    flags: u8,
}

/// A registered family.
///
/// # Invariants
/// `raw` is valid while the family is in the table or `users` is not zero.
pub(crate) struct Family {
    pub(crate) raw: *const sys::genl_family,
    pub(crate) id: u16,
    pub(crate) name: String,
    pub(crate) commands: Vec<Command>,
    pub(crate) groups: Vec<Group>,
    users: AtomicU32,
    idle: WaitQueue,
}

// SAFETY: the driver's family is only read, and its functions may be called from any thread.
unsafe impl Send for Family {}
// SAFETY: as above.
unsafe impl Sync for Family {}

/// A family that stays registered, as far as its driver can see, until this is dropped.
pub(crate) struct FamilyRef(Arc<Family>);

impl std::ops::Deref for FamilyRef {
    type Target = Family;
    fn deref(&self) -> &Family {
        &self.0
    }
}

impl Drop for FamilyRef {
    fn drop(&mut self) {
        if self.0.users.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.wake_up_all();
        }
    }
}

impl Family {
    /// The driver's struct.
    pub(crate) fn raw(&self) -> &sys::genl_family {
        // SAFETY: invariant; whoever holds a `FamilyRef` counts as a user.
        unsafe { &*self.raw }
    }

    /// Whether the family serializes its operations itself.
    pub(crate) fn is_parallel(&self) -> bool {
        self.raw().parallel_ops() != 0
    }

    /// The operation for a request, as `genl_get_cmd` finds it.
    pub(crate) fn operation(&self, cmd: u8, dump: bool) -> Option<&sys::genl_split_ops> {
        let command = self.commands.iter().find(|command| command.cmd == cmd)?;
        if dump { command.dumpit.as_ref() } else { command.doit.as_ref() }
    }
}

/// The families of one kernel.
pub(crate) struct Table {
    families: BTreeMap<u16, Arc<Family>>,
    used_groups: BTreeSet<u32>,
    next_id: u16,
}

impl Default for Table {
    fn default() -> Table {
        Table {
            families: BTreeMap::new(),
            used_groups: RESERVED_GROUPS.into(),
            next_id: sys::GENL_START_ALLOC as u16,
        }
    }
}

fn hold(family: &Arc<Family>) -> FamilyRef {
    family.users.fetch_add(1, Ordering::AcqRel);
    FamilyRef(family.clone())
}

impl Table {
    /// The id of a group whose family is gone may be used again.
    pub(crate) fn free_group(&mut self, id: u32) {
        if !RESERVED_GROUPS.contains(&id) {
            self.used_groups.remove(&id);
        }
    }

    /// The family with this id.
    pub(crate) fn by_id(&self, id: u16) -> Option<FamilyRef> {
        self.families.get(&id).map(hold)
    }

    /// The family with this name.
    pub(crate) fn by_name(&self, name: &str) -> Option<FamilyRef> {
        self.families.values().find(|family| family.name == name).map(hold)
    }

    /// All families, by id.
    pub(crate) fn all(&self) -> Vec<FamilyRef> {
        self.families.values().map(hold).collect()
    }

    /// Whether a group of this id may be joined.
    pub(crate) fn is_group(&self, id: u32) -> bool {
        let last = self.used_groups.last().copied().unwrap_or(0).max(GROUPS_MIN);
        (1..=last).contains(&id)
    }

    /// The family that has this group, and the group's index in it.
    pub(crate) fn by_group(&self, id: u32) -> Option<(FamilyRef, usize)> {
        self.families.values().find_map(|family| {
            let index = family.groups.iter().position(|group| group.id == id)?;
            Some((hold(family), index))
        })
    }

    fn new_id(&mut self, name: &str) -> Result<u16> {
        let (first, last) = (sys::GENL_START_ALLOC as u16, sys::GENL_MAX_ID as u16);
        if name == "nlctrl" {
            return Ok(sys::GENL_ID_CTRL as u16);
        }
        let id = (self.next_id..=last)
            .chain(first..self.next_id)
            .find(|id| !self.families.contains_key(id))
            .ok_or(Errno::ENOSPC)?;
        self.next_id = if id == last { first } else { id + 1 };
        Ok(id)
    }

    /// The first of `count` adjacent free group ids.
    fn new_groups(&mut self, name: &str, count: u32) -> u32 {
        if name == "nlctrl" {
            return sys::GENL_ID_CTRL;
        }
        let mut first = 1;
        while let Some(used) = (first..first + count).rev().find(|id| self.used_groups.contains(id))
        {
            first = used + 1;
        }
        self.used_groups.extend(first..first + count);
        first
    }
}

/// The C array of a family, as a slice.
///
/// # Safety
/// `start` has `count` entries as long as the result is used, or `count` is 0.
unsafe fn entries<'a, T>(start: *const T, count: u8) -> Result<&'a [T]> {
    if count == 0 {
        return Ok(&[]);
    }
    if start.is_null() {
        return Err(Errno::EINVAL);
    }
    // SAFETY: the caller's contract.
    Ok(unsafe { std::slice::from_raw_parts(start, usize::from(count)) })
}

/// Brings an operation of the old forms into the new one.
fn split(family: &sys::genl_family, ops: &sys::genl_ops) -> Command {
    let mut common = sys::genl_split_ops {
        policy: ops.policy,
        maxattr: ops.maxattr,
        cmd: ops.cmd,
        internal_flags: ops.internal_flags,
        flags: ops.flags,
        validate: ops.validate,
        ..Default::default()
    };
    if common.maxattr == 0 {
        common.maxattr = family.maxattr;
    }
    if common.policy.is_null() {
        common.policy = family.policy;
    }
    if common.policy.is_null() && ops.cmd >= family.resv_start_op {
        (common.policy, common.maxattr) = (REJECT_ALL.0.as_ptr(), 1);
    }
    let doit = ops.doit.is_some().then(|| {
        let mut op = common;
        op.flags |= sys::GENL_CMD_CAP_DO as u8;
        op.__bindgen_anon_1.__bindgen_anon_1 = sys::genl_split_ops__bindgen_ty_1__bindgen_ty_1 {
            pre_doit: family.pre_doit,
            doit: ops.doit,
            post_doit: family.post_doit,
        };
        op
    });
    let dumpit = ops.dumpit.is_some().then(|| {
        let mut op = common;
        op.flags |= sys::GENL_CMD_CAP_DUMP as u8;
        op.__bindgen_anon_1.__bindgen_anon_2 = sys::genl_split_ops__bindgen_ty_1__bindgen_ty_2 {
            start: ops.start,
            dumpit: ops.dumpit,
            done: ops.done,
        };
        if u32::from(op.validate) & sys::GENL_DONT_VALIDATE_DUMP != 0 {
            (op.policy, op.maxattr) = (std::ptr::null(), 0);
        }
        op
    });
    Command { cmd: ops.cmd, doit, dumpit }
}

/// Collects and checks the commands of a family.
///
/// # Safety
/// `family` is valid, its arrays included.
unsafe fn commands(family: &sys::genl_family) -> Result<Vec<Command>> {
    let mut commands = Vec::new();
    // SAFETY: the caller's contract.
    for ops in unsafe { entries(family.ops, family.n_ops) }? {
        commands.push(split(family, ops));
    }
    // SAFETY: the caller's contract.
    for small in unsafe { entries(family.small_ops, family.n_small_ops) }? {
        let ops = sys::genl_ops {
            doit: small.doit,
            dumpit: small.dumpit,
            cmd: small.cmd,
            internal_flags: small.internal_flags,
            flags: small.flags,
            validate: small.validate,
            ..Default::default()
        };
        commands.push(split(family, &ops));
    }
    // SAFETY: `family` is valid, its arrays included.
    for op in unsafe { entries(family.split_ops, family.n_split_ops) }? {
        let mut op = *op;
        if op.policy.is_null() {
            (op.policy, op.maxattr) = (REJECT_ALL.0.as_ptr(), 1);
        }
        let command = match commands.iter_mut().position(|command| command.cmd == op.cmd) {
            Some(index) => &mut commands[index],
            None => {
                commands.push(Command { cmd: op.cmd, doit: None, dumpit: None });
                commands.last_mut().ok_or(Errno::EINVAL)?
            }
        };
        let slot = match u32::from(op.flags) & (sys::GENL_CMD_CAP_DO | sys::GENL_CMD_CAP_DUMP) {
            sys::GENL_CMD_CAP_DO => &mut command.doit,
            sys::GENL_CMD_CAP_DUMP => &mut command.dumpit,
            _ => return Err(Errno::EINVAL),
        };
        if slot.replace(op).is_some() {
            return Err(Errno::EINVAL);
        }
    }
    let mut seen = BTreeSet::new();
    for command in &commands {
        let validates = |op: &sys::genl_split_ops| op.validate != 0;
        let reserved = command.cmd >= family.resv_start_op;
        let either = command.doit.iter().chain(&command.dumpit);
        if (command.doit.is_none() && command.dumpit.is_none())
            || (reserved && either.clone().any(validates))
            || !seen.insert(command.cmd)
        {
            return Err(Errno::EINVAL);
        }
    }
    Ok(commands)
}

/// A name in a fixed array.
fn name_of(chars: &[std::ffi::c_char]) -> Result<String> {
    let bytes: Vec<u8> = chars.iter().map(|char| *char as u8).collect();
    let name = CStr::from_bytes_until_nul(&bytes).map_err(|_| Errno::EINVAL)?;
    if name.is_empty() { Err(Errno::EINVAL) } else { Ok(name.to_string_lossy().into_owned()) }
}

/// Enters a family into the table. Nothing is announced.
///
/// # Safety
/// `raw` stays valid, its arrays included, until it is unregistered.
pub(crate) unsafe fn enter(
    kernel: &'static Kernel,
    raw: *mut sys::genl_family,
) -> Result<FamilyRef> {
    // SAFETY: the caller's contract.
    let family = unsafe { &mut *raw };
    let name = name_of(&family.name)?;
    // SAFETY: the caller's contract.
    let commands = unsafe { commands(family) }?;
    // SAFETY: the caller's contract.
    let mcgrps = unsafe { entries(family.mcgrps, family.n_mcgrps) }?;
    let names = mcgrps.iter().map(|group| name_of(&group.name)).collect::<Result<Vec<_>>>()?;

    let mut table = kernel.genl.table.lock();
    if table.families.values().any(|known| known.name == name) {
        return Err(Errno::EEXIST);
    }
    let id = table.new_id(&name)?;
    let first = if names.is_empty() { 0 } else { table.new_groups(&name, names.len() as u32) };
    family.id = c_int::from(id);
    family.mcgrp_offset = first;
    let groups = names.into_iter().zip(mcgrps).zip(first..);
    let groups = groups.map(|((name, group), id)| Group { id, name, flags: group.flags }).collect();
    let (users, idle) = (AtomicU32::new(0), WaitQueue::new());
    let family = Arc::new(Family { raw, id, name, commands, groups, users, idle });
    let held = hold(&family);
    table.families.insert(id, family);
    Ok(held)
}

impl Group {
    /// Whether the calling task may join.
    pub(crate) fn admits_caller(&self) -> bool {
        let needs = |flag: u32, cap: u32| {
            u32::from(self.flags) & flag == 0 || crate::capability::has(cap as c_int)
        };
        needs(sys::GENL_MCAST_CAP_NET_ADMIN, sys::CAP_NET_ADMIN)
            && needs(sys::GENL_MCAST_CAP_SYS_ADMIN, sys::CAP_SYS_ADMIN)
    }
}

/// Takes a family out of the table, and waits for the requests to it that are under way. May sleep.
pub(crate) fn leave(kernel: &'static Kernel, raw: *const sys::genl_family) -> Result<Arc<Family>> {
    // SAFETY: the driver passes its own family.
    let id = unsafe { (*raw).id } as u16;
    let family = {
        let mut table = kernel.genl.table.lock();
        if !table.families.get(&id).is_some_and(|family| std::ptr::eq(family.raw, raw)) {
            return Err(Errno::ENOENT);
        }
        table.families.remove(&id).ok_or(Errno::ENOENT)?
    };
    // From here on no request finds it.
    family.idle.wait_event(|| family.users.load(Ordering::Acquire) == 0);
    Ok(family)
}
