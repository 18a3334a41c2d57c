// SPDX-License-Identifier: GPL-2.0-only
//! A model test: thousands of random insertions and removals, with every property of the tree checked.

use std::collections::BTreeMap;
use std::ptr;

use super::*;

/// `node` comes first, so that its address is the item's.
#[repr(C)]
struct Item {
    node: sys::rb_node,
    key: u64,
    end: u64,
    /// The largest `end` of the subtree.
    max: u64,
}

fn item(node: *mut sys::rb_node) -> &'static mut Item {
    // SAFETY: every node of these tests is the first member of an item that outlives its tree.
    unsafe { &mut *node.cast::<Item>() }
}

fn largest(item: &Item) -> u64 {
    let below = |node: *mut sys::rb_node| if node.is_null() { 0 } else { self::item(node).max };
    item.end.max(below(item.node.rb_left)).max(below(item.node.rb_right))
}

unsafe extern "C" fn propagate(mut node: *mut sys::rb_node, stop: *mut sys::rb_node) {
    while node != stop {
        let max = largest(item(node));
        if item(node).max == max {
            return;
        }
        item(node).max = max;
        node = Node(node).parent().0;
    }
}

unsafe extern "C" fn copy(old: *mut sys::rb_node, successor: *mut sys::rb_node) {
    item(successor).max = item(old).max;
}

unsafe extern "C" fn rotate(old: *mut sys::rb_node, successor: *mut sys::rb_node) {
    // SAFETY: both are nodes of the test's tree.
    unsafe { copy(old, successor) };
    item(old).max = largest(item(old));
}

const AUGMENT: sys::rb_augment_callbacks = sys::rb_augment_callbacks {
    propagate: Some(propagate),
    copy: Some(copy),
    rotate: Some(rotate),
};

struct Model {
    root: sys::rb_root,
    items: BTreeMap<u64, Box<Item>>,
    augmented: bool,
}

impl Model {
    fn new(augmented: bool) -> Model {
        Model { root: sys::rb_root { rb_node: ptr::null_mut() }, items: BTreeMap::new(), augmented }
    }

    fn insert(&mut self, key: u64, end: u64) {
        if self.items.contains_key(&key) {
            return;
        }
        let node = sys::rb_node {
            __rb_parent_color: 0,
            rb_right: ptr::null_mut(),
            rb_left: ptr::null_mut(),
        };
        let mut boxed = Box::new(Item { node, key, end, max: end });
        let new = &raw mut *boxed;
        self.items.insert(key, boxed);
        let (mut link, mut parent) = (&raw mut self.root.rb_node, Node::NONE);
        // SAFETY: links of live items, or of the root.
        while let below @ 1.. = unsafe { *link } as usize {
            parent = Node(below as *mut sys::rb_node);
            let above = item(parent.0);
            above.max = above.max.max(end);
            link = if key < above.key {
                &raw mut above.node.rb_left
            } else {
                &raw mut above.node.rb_right
            };
        }
        let node = new.cast::<sys::rb_node>();
        Node(node).set_parent_color(parent, 0);
        // SAFETY: as above, and the tree is the test's own.
        unsafe {
            *link = node;
            match self.augmented {
                true => __rb_insert_augmented(node, &raw mut self.root, Some(rotate)),
                false => rb_insert_color(node, &raw mut self.root),
            }
        }
    }

    fn remove(&mut self, key: u64) {
        let Some(boxed) = self.items.get_mut(&key) else { return };
        let node = (&raw mut **boxed).cast::<sys::rb_node>();
        // SAFETY: the node is on the tree, which is the test's own.
        unsafe {
            if self.augmented {
                let parent = __rb_erase_augmented(node, &raw mut self.root, &AUGMENT);
                if !parent.is_null() {
                    __rb_erase_color(parent, &raw mut self.root, Some(rotate));
                }
            } else {
                rb_erase(node, &raw mut self.root);
            }
        }
        self.items.remove(&key);
    }

    /// The number of black nodes on each way down from `node`; checks everything else on the way.
    fn check_node(&self, node: Node, parent: Node) -> usize {
        if node.is_none() {
            return 1;
        }
        assert!(node.parent() == parent);
        assert!(node.is_black() || parent.is_black(), "two red nodes in a row");
        let left = self.check_node(node.child(Side::Left), node);
        let right = self.check_node(node.child(Side::Right), node);
        assert_eq!(left, right, "different numbers of black nodes");
        if self.augmented {
            assert_eq!(item(node.0).max, largest(item(node.0)));
        }
        left + usize::from(node.is_black())
    }

    fn check(&self) {
        self.check_node(Node(self.root.rb_node), Node::NONE);
        assert!(Node(self.root.rb_node).is_black());
        // SAFETY: the tree does not change during the walks.
        unsafe {
            let mut node = rb_first(&self.root);
            for key in self.items.keys() {
                assert_eq!(item(node).key, *key);
                node = rb_next(node);
            }
            assert!(node.is_null());
            node = rb_last(&self.root);
            for key in self.items.keys().rev() {
                assert_eq!(item(node).key, *key);
                node = rb_prev(node);
            }
            assert!(node.is_null());
            let (mut count, mut node) = (0, rb_first_postorder(&self.root));
            while !node.is_null() {
                count += 1;
                node = rb_next_postorder(node);
            }
            assert_eq!(count, self.items.len());
        }
    }
}

/// A plain generator: the seed is all there is to replay a run.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    *state >> 33
}

fn run(augmented: bool, seed: u64) {
    let (mut model, mut state) = (Model::new(augmented), seed);
    for step in 0..6000 {
        let key = random(&mut state) % 400;
        // Grows for a while, then shrinks, so that both small and large trees are seen.
        if random(&mut state) % 100 < if step / 1000 % 2 == 0 { 60 } else { 40 } {
            model.insert(key, key + random(&mut state) % 1000);
        } else {
            model.remove(key);
        }
        if step % 7 == 0 {
            model.check();
        }
    }
    for key in 0..400 {
        model.remove(key);
        model.check();
    }
    assert!(model.root.rb_node.is_null());
}

#[test]
fn plain_trees_match_a_model() {
    run(false, 1);
    run(false, 2);
}

#[test]
fn augmented_trees_match_a_model() {
    run(true, 3);
    run(true, 4);
}

#[test]
fn a_replacement_takes_the_place() {
    let mut model = Model::new(false);
    (0..50).for_each(|key| model.insert(key, 0));
    let mut other = Box::new(Item {
        node: sys::rb_node {
            __rb_parent_color: 0,
            rb_right: ptr::null_mut(),
            rb_left: ptr::null_mut(),
        },
        key: 20,
        end: 0,
        max: 0,
    });
    let victim = (&raw mut **model.items.get_mut(&20).expect("inserted")).cast();
    // SAFETY: the victim is on the tree, the replacement on none.
    unsafe { rb_replace_node(victim, (&raw mut *other).cast(), &raw mut model.root) };
    std::mem::swap(model.items.get_mut(&20).expect("inserted"), &mut other);
    model.check();
    (0..50).for_each(|key| model.remove(key));
    assert!(model.root.rb_node.is_null());
}
