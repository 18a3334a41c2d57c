// SPDX-License-Identifier: GPL-2.0-only
//! Directories whose names are made when somebody looks for them.

use std::sync::Arc;

use super::{Body, Node, Tree};
use crate::Result;

/// Brings the names of a directory up to date. May sleep.
pub type Look = Arc<dyn Fn() + Send + Sync>;

impl Tree {
    /// Adds an empty directory that stays, also where [`Tree::prune`] finds it empty: who is about to list its names, or to
    /// look one up, calls `look` before.
    ///
    /// # Errors
    /// As [`Tree::add_file`].
    pub fn add_dir_with_look(&self, path: &str, look: Look) -> Result<()> {
        let ino = self.add(path, 0o755, Body::dir(0, None))?;
        if let Some(Node { body: Body::Dir { look: of_dir, .. }, .. }) =
            self.nodes.lock().get_mut(&ino)
        {
            *of_dir = Some(look);
        }
        Ok(())
    }

    /// What has to be called before a program sees the names in a directory.
    pub fn look_of(&self, dir: u64) -> Option<Look> {
        match &self.nodes.lock().get(&dir)?.body {
            Body::Dir { look, .. } => look.clone(),
            _ => None,
        }
    }
}

/// Whether a directory stays though it is empty.
pub(super) fn is_kept(node: &Node) -> bool {
    matches!(&node.body, Body::Dir { look: Some(_), .. })
}
