// SPDX-License-Identifier: GPL-2.0-only
//! Files whose content is made by Rust code.

use std::sync::Arc;

use mte::sim::lock::Mutex;

use super::{OpenFile, TreeFile};
use crate::{Errno, Result};

type Show = Box<dyn Fn() -> String + Send + Sync>;
type Store = Box<dyn Fn(&str) -> Result<()> + Send + Sync>;

struct Content {
    show: Option<Show>,
    store: Option<Store>,
}

/// The text as it was when its start was read, so that one who reads on sees one consistent state, and one who starts
/// over sees what is now.
struct OpenContent {
    content: Arc<Content>,
    text: Mutex<Option<Arc<str>>>,
}

struct ContentFile(Arc<Content>);

impl TreeFile for ContentFile {
    fn open(&self, write: bool) -> Result<Box<dyn OpenFile>> {
        if write && self.0.store.is_none() {
            return Err(Errno::EACCES);
        }
        Ok(Box::new(OpenContent { content: self.0.clone(), text: Mutex::default() }))
    }
}

impl OpenFile for OpenContent {
    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let kept = self.text.lock().clone();
        let text = match kept {
            Some(text) if offset > 0 => text,
            _ => {
                let show = self.content.show.as_ref();
                let text: Arc<str> = show.map(|show| show()).unwrap_or_default().into();
                *self.text.lock() = Some(text.clone());
                text
            }
        };
        Ok(part(text.as_bytes(), offset, len).to_vec())
    }

    fn write(&self, _offset: u64, data: &[u8]) -> Result<usize> {
        let store = self.content.store.as_ref().ok_or(Errno::EACCES)?;
        store(std::str::from_utf8(data).map_err(|_| Errno::EINVAL)?)?;
        Ok(data.len())
    }
}

/// The part of `data` that a read at `offset` of `len` bytes sees.
pub(crate) fn part(data: &[u8], offset: u64, len: usize) -> &[u8] {
    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(data.len());
    &data[start..start.saturating_add(len).min(data.len())]
}

/// A file that shows what `show` returns, anew for each read from the start.
pub fn text(show: impl Fn() -> String + Send + Sync + 'static) -> Arc<dyn TreeFile> {
    Arc::new(ContentFile(Arc::new(Content { show: Some(Box::new(show)), store: None })))
}

/// A file that shows what `show` returns and hands each write(2) to `store`.
pub fn attr(
    show: impl Fn() -> String + Send + Sync + 'static,
    store: impl Fn(&str) -> Result<()> + Send + Sync + 'static,
) -> Arc<dyn TreeFile> {
    let content = Content { show: Some(Box::new(show)), store: Some(Box::new(store)) };
    Arc::new(ContentFile(Arc::new(content)))
}
