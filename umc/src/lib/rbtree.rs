// SPDX-License-Identifier: GPL-2.0-only
//! Red-black trees.
//!
//! C header: `include/linux/rbtree.h`, `include/linux/rbtree_augmented.h` (API of 6.12).
//! Guarantees kept: a tree of n nodes is at most 2·log2(n+1) deep; the callbacks of an augmented tree see a
//! consistent tree, and every value is right when a function returns.
//! In a simulation others may run before each change of a tree and in the middle of `rb_erase_augmented`, so that a
//! driver which does not lock its tree is found.
//! Differs from Linux: a reader without the writer's lock may miss nodes during a rotation, as on Linux, and gets no
//! order of stores beyond that of `rb_link_node_rcu`.
//! Used by DRBD for: the trees of requests and peer requests by interval (`drbd_interval.c`, augmented), the rate of
//! the bitmap writeout.

use std::ffi::c_void;
use std::ptr;

use mte::sim::preempt_point;

use crate::sys;

const BLACK: usize = sys::RB_BLACK as usize;
const COLOR: usize = 1;
const POINTER: usize = !3;

/// `rotate` of `struct rb_augment_callbacks`: `(old, successor)`.
type Rotate = Option<unsafe extern "C" fn(*mut sys::rb_node, *mut sys::rb_node)>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

impl Side {
    fn other(self) -> Side {
        if self == Side::Left { Side::Right } else { Side::Left }
    }
}

/// A node, or the empty tree below a leaf, which counts as black.
///
/// # Invariants
/// Not null: a valid node on the tree that the calling C function is about, which its caller has exclusively.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Node(*mut sys::rb_node);

impl Node {
    const NONE: Node = Node(ptr::null_mut());

    fn is_none(self) -> bool {
        self.0.is_null()
    }

    fn parent_color(self) -> usize {
        // SAFETY: the invariant, and no caller passes NONE.
        unsafe { (*self.0).__rb_parent_color as usize }
    }

    fn set_parent_color(self, parent: Node, color: usize) {
        // SAFETY: the invariant, and no caller passes NONE.
        unsafe { (*self.0).__rb_parent_color = (parent.0 as usize | color) as _ }
    }

    fn parent(self) -> Node {
        // INVARIANT: the parent of a node of the tree is one, too.
        Node(ptr::with_exposed_provenance_mut(self.parent_color() & POINTER))
    }

    fn set_parent(self, parent: Node) {
        self.set_parent_color(parent, self.parent_color() & COLOR);
    }

    fn color(self) -> usize {
        if self.is_none() { BLACK } else { self.parent_color() & COLOR }
    }

    fn is_black(self) -> bool {
        self.color() == BLACK
    }

    fn set_color(self, color: usize) {
        self.set_parent_color(self.parent(), color);
    }

    fn set_red(self) {
        self.set_color(sys::RB_RED as usize);
    }

    fn set_black(self) {
        self.set_color(BLACK);
    }

    fn child(self, side: Side) -> Node {
        // SAFETY: the invariant, and no caller passes NONE.
        let node = unsafe { &*self.0 };
        // INVARIANT: the child of a node of the tree is one, too.
        Node(if side == Side::Left { node.rb_left } else { node.rb_right })
    }

    fn set_child(self, side: Side, child: Node) {
        // SAFETY: the invariant, and no caller passes NONE.
        let node = unsafe { &mut *self.0 };
        let link = if side == Side::Left { &mut node.rb_left } else { &mut node.rb_right };
        *link = child.0;
    }

    /// On which side of `parent` the node is; also right for NONE, as long as the other child is there.
    fn side_of(self, parent: Node) -> Side {
        if parent.child(Side::Left) == self { Side::Left } else { Side::Right }
    }

    /// The node furthest on `side` of the subtree.
    fn outermost(mut self, side: Side) -> Node {
        while !self.is_none() && !self.child(side).is_none() {
            self = self.child(side);
        }
        self
    }

    /// The in-order neighbour on `side`.
    fn neighbour(mut self, side: Side) -> Node {
        if !self.child(side).is_none() {
            return self.child(side).outermost(side.other());
        }
        let mut parent = self.parent();
        while !parent.is_none() && parent.child(side) == self {
            self = parent;
            parent = self.parent();
        }
        parent
    }

    /// The first node of the subtree in post-order: a leaf.
    fn deepest(mut self) -> Node {
        loop {
            let left = self.child(Side::Left);
            let below = if left.is_none() { self.child(Side::Right) } else { left };
            if below.is_none() {
                return self;
            }
            self = below;
        }
    }
}

/// The tree, for the time of one call.
///
/// # Invariants
/// A valid root that the caller has exclusively.
#[derive(Clone, Copy)]
struct Tree {
    root: *mut sys::rb_root,
    rotate: Rotate,
}

impl Tree {
    /// # Safety
    /// `root` and the nodes of its tree are valid and the caller's alone; `rotate` may be called on them.
    unsafe fn new(root: *mut sys::rb_root, rotate: Rotate) -> Tree {
        // INVARIANT: the caller's contract.
        Tree { root, rotate }
    }

    fn set_root(self, node: Node) {
        // SAFETY: the invariant.
        unsafe { (*self.root).rb_node = node.0 }
    }

    /// `new` takes the place of `old` below `parent`, which may be NONE for the root.
    fn change_child(self, parent: Node, old: Node, new: Node) {
        if parent.is_none() {
            self.set_root(new);
        } else {
            parent.set_child(old.side_of(parent), new);
        }
    }

    /// Turns `top` down to `side`; its other child comes up. Colours stay with their nodes.
    fn rotate(self, top: Node, side: Side) {
        let up = top.child(side.other());
        let between = up.child(side);
        let parent = top.parent();
        top.set_child(side.other(), between);
        if !between.is_none() {
            between.set_parent(top);
        }
        self.change_child(parent, top, up);
        up.set_parent(parent);
        up.set_child(side, top);
        top.set_parent(up);
        if let Some(rotate) = self.rotate {
            // SAFETY: contract of `Tree::new`; both nodes are linked and consistent again.
            unsafe { rotate(top.0, up.0) };
        }
    }

    /// Restores the colours after `node`, red, became a leaf.
    fn insert_fixup(self, mut node: Node) {
        loop {
            let parent = node.parent();
            if parent.is_none() {
                node.set_black();
                return;
            }
            if parent.is_black() {
                return;
            }
            // A red node is never the root, so there is a grandparent.
            let grandparent = parent.parent();
            let side = parent.side_of(grandparent);
            let uncle = grandparent.child(side.other());
            if !uncle.is_black() {
                parent.set_black();
                uncle.set_black();
                grandparent.set_red();
                node = grandparent;
                continue;
            }
            let top = if parent.child(side) == node {
                parent
            } else {
                self.rotate(parent, side);
                node
            };
            top.set_black();
            grandparent.set_red();
            self.rotate(grandparent, side.other());
            return;
        }
    }

    /// Restores the colours when one black node is missing on all ways through an empty child of `parent`.
    fn erase_fixup(self, mut parent: Node) {
        let mut node = Node::NONE;
        while !parent.is_none() {
            // The side without the missing node has at least one, so only one child can be NONE.
            let side = node.side_of(parent);
            let mut sibling = parent.child(side.other());
            if !sibling.is_black() {
                sibling.set_black();
                parent.set_red();
                self.rotate(parent, side);
                sibling = parent.child(side.other());
            }
            let (near, far) = (sibling.child(side), sibling.child(side.other()));
            if near.is_black() && far.is_black() {
                sibling.set_red();
                if !parent.is_black() {
                    parent.set_black();
                    return;
                }
                node = parent;
                parent = node.parent();
                continue;
            }
            if far.is_black() {
                near.set_black();
                sibling.set_red();
                self.rotate(sibling, side.other());
                sibling = near;
            }
            sibling.set_color(parent.color());
            parent.set_black();
            sibling.child(side.other()).set_black();
            self.rotate(parent, side);
            return;
        }
    }

    /// Takes `node` out. The result: the node below which a black one is missing now, or NONE; and what `augment` has
    /// to know to bring the values up to date.
    fn unlink(self, node: Node) -> Unlinked {
        let (left, right, parent) =
            (node.child(Side::Left), node.child(Side::Right), node.parent());
        if left.is_none() || right.is_none() {
            // An only child is red, and its parent black: the child takes place and colour.
            let child = if left.is_none() { right } else { left };
            self.change_child(parent, node, child);
            let missing = if !child.is_none() {
                child.set_parent_color(parent, node.color());
                Node::NONE
            } else if node.is_black() {
                parent
            } else {
                Node::NONE
            };
            return Unlinked { missing, changed: parent, heir: Node::NONE };
        }
        let heir = right.outermost(Side::Left);
        let (orphan, heir_color) = (heir.child(Side::Right), heir.color());
        let changed = if heir == right {
            heir
        } else {
            let above = heir.parent();
            above.set_child(Side::Left, orphan);
            if !orphan.is_none() {
                orphan.set_parent(above);
            }
            heir.set_child(Side::Right, right);
            right.set_parent(heir);
            above
        };
        heir.set_child(Side::Left, left);
        left.set_parent(heir);
        self.change_child(parent, node, heir);
        heir.set_parent_color(parent, node.color());
        let missing = if !orphan.is_none() {
            orphan.set_black();
            Node::NONE
        } else if heir_color == BLACK {
            changed
        } else {
            Node::NONE
        };
        Unlinked { missing, changed, heir }
    }
}

struct Unlinked {
    missing: Node,
    /// The lowest node whose subtree lost something.
    changed: Node,
    /// The node that took the place, when it came from further down.
    heir: Node,
}

/// Balances the tree after `node` was linked as a leaf.
///
/// # Safety
/// `node` was linked by `rb_link_node` to the tree of `root`; the caller has the tree exclusively.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rb_insert_color(node: *mut sys::rb_node, root: *mut sys::rb_root) {
    preempt_point();
    // SAFETY: the caller has the tree of `root` exclusively, and `node` is linked to it.
    unsafe { Tree::new(root, None) }.insert_fixup(Node(node));
}

/// Balances an augmented tree after `node` was linked and the values above it are right; each
/// rotation tells `augment_rotate`.
///
/// # Safety
/// As for [`rb_insert_color`]; `augment_rotate` may be called on the nodes of the tree.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __rb_insert_augmented(
    node: *mut sys::rb_node,
    root: *mut sys::rb_root,
    augment_rotate: Option<unsafe extern "C" fn(*mut sys::rb_node, *mut sys::rb_node)>,
) {
    preempt_point();
    // SAFETY: the caller has the tree of `root` exclusively, and `augment_rotate` may be called on
    // its nodes.
    unsafe { Tree::new(root, augment_rotate) }.insert_fixup(Node(node));
}

/// Takes `node` off its tree and balances it; `node` itself stays as it is, so it looks linked
/// until it is cleared.
///
/// # Safety
/// `node` is on the tree of `root`; the caller has the tree exclusively.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rb_erase(node: *mut sys::rb_node, root: *mut sys::rb_root) {
    preempt_point();
    // SAFETY: the caller has the tree of `root` exclusively, and `node` is on it.
    let tree = unsafe { Tree::new(root, None) };
    let unlinked = tree.unlink(Node(node));
    tree.erase_fixup(unlinked.missing);
}

/// Takes `node` off an augmented tree and brings the values up to date; gives the node from where
/// [`__rb_erase_color`] has to balance, or NULL when nothing is left to do.
///
/// # Safety
/// As for [`rb_erase`]; the functions of `augment` may be called on the nodes of the tree.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __rb_erase_augmented(
    node: *mut sys::rb_node,
    root: *mut sys::rb_root,
    augment: *const sys::rb_augment_callbacks,
) -> *mut sys::rb_node {
    preempt_point();
    // SAFETY: the caller has the tree of `root` exclusively; `augment` is valid through the call.
    let (tree, augment) = unsafe { (Tree::new(root, None), &*augment) };
    let Unlinked { missing, changed, heir } = tree.unlink(Node(node));
    if let (false, Some(copy)) = (heir.is_none(), augment.copy) {
        // SAFETY: the caller's contract; `node` is off the tree but still holds its value.
        unsafe { copy(node, heir.0) };
    }
    if let Some(propagate) = augment.propagate {
        if !heir.is_none() && changed != heir {
            // SAFETY: the caller's contract; `heir` is above `changed`.
            unsafe { propagate(changed.0, heir.0) };
        }
        let from = if heir.is_none() { changed } else { heir };
        // SAFETY: the caller's contract; NULL is above every node.
        unsafe { propagate(from.0, ptr::null_mut()) };
    }
    missing.0
}

/// Balances an augmented tree below `parent` after a node was erased; each rotation tells
/// `augment_rotate`.
///
/// # Safety
/// `parent` is what [`__rb_erase_augmented`] gave, not NULL; the rest as for it.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __rb_erase_color(
    parent: *mut sys::rb_node,
    root: *mut sys::rb_root,
    augment_rotate: Option<unsafe extern "C" fn(*mut sys::rb_node, *mut sys::rb_node)>,
) {
    preempt_point();
    // SAFETY: the caller has the tree of `root` exclusively, and `parent` is on it.
    unsafe { Tree::new(root, augment_rotate) }.erase_fixup(Node(parent));
}

/// Whether the node was marked as being on no tree (`RB_CLEAR_NODE`).
fn is_cleared(node: *const sys::rb_node) -> bool {
    Node(node.cast_mut()).parent_color() == node.cast::<c_void>() as usize
}

/// The node that sorts behind `node`; NULL at the end, and for a cleared node.
///
/// # Safety
/// `node` is on a tree that does not change, or cleared.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rb_next(node: *const sys::rb_node) -> *mut sys::rb_node {
    if is_cleared(node) {
        return ptr::null_mut();
    }
    Node(node.cast_mut()).neighbour(Side::Right).0
}

/// The node that sorts before `node`; NULL at the beginning, and for a cleared node.
///
/// # Safety
/// As for [`rb_next`].
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rb_prev(node: *const sys::rb_node) -> *mut sys::rb_node {
    if is_cleared(node) {
        return ptr::null_mut();
    }
    Node(node.cast_mut()).neighbour(Side::Left).0
}

/// The node that sorts first; NULL when the tree is empty.
///
/// # Safety
/// The tree of `root` does not change.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rb_first(root: *const sys::rb_root) -> *mut sys::rb_node {
    // SAFETY: the caller's contract.
    Node(unsafe { (*root).rb_node }).outermost(Side::Left).0
}

/// The node that sorts last; NULL when the tree is empty.
///
/// # Safety
/// As for [`rb_first`].
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rb_last(root: *const sys::rb_root) -> *mut sys::rb_node {
    // SAFETY: the tree of `root` does not change.
    Node(unsafe { (*root).rb_node }).outermost(Side::Right).0
}

/// The first node of a walk that meets children before their parents; NULL when the tree is empty.
///
/// # Safety
/// As for [`rb_first`].
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rb_first_postorder(root: *const sys::rb_root) -> *mut sys::rb_node {
    // SAFETY: the tree of `root` does not change.
    let top = Node(unsafe { (*root).rb_node });
    if top.is_none() { ptr::null_mut() } else { top.deepest().0 }
}

/// The node behind `node` in a walk that meets children before their parents; NULL behind the root.
///
/// # Safety
/// As for [`rb_next`]; NULL is allowed. What is below `node` may be gone already.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rb_next_postorder(node: *const sys::rb_node) -> *mut sys::rb_node {
    let node = Node(node.cast_mut());
    if node.is_none() {
        return ptr::null_mut();
    }
    let parent = node.parent();
    if !parent.is_none() && parent.child(Side::Left) == node {
        let right = parent.child(Side::Right);
        if !right.is_none() {
            return right.deepest().0;
        }
    }
    parent.0
}

/// Puts `replacement` into the place of `victim`, without balancing; `victim` stays as it is.
///
/// # Safety
/// `victim` is on the tree of `root`, `replacement` on none; it must sort to the same place.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rb_replace_node(
    victim: *mut sys::rb_node,
    replacement: *mut sys::rb_node,
    root: *mut sys::rb_root,
) {
    // SAFETY: the caller has the tree of `root` exclusively, and `victim` is on it.
    let tree = unsafe { Tree::new(root, None) };
    // SAFETY: both are valid and different nodes.
    unsafe { *replacement = ptr::read(victim) };
    let (old, new) = (Node(victim), Node(replacement));
    for child in [new.child(Side::Left), new.child(Side::Right)] {
        if !child.is_none() {
            child.set_parent(new);
        }
    }
    tree.change_child(new.parent(), old, new);
}

#[cfg(test)]
mod tests;
