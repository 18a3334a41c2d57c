// SPDX-License-Identifier: GPL-2.0-only
//! A disk that grows while it is in use.
//!
//! The handler is told as tcmu-runner tells it, by `reconfig` with the new size. Only then the requests that come may
//! use what was added: first the device behind, then the bound of requests, and last, by the caller, the gendisk.

use std::sync::atomic::Ordering::SeqCst;

use umc::Errno;

use crate::abi::{CfgInfo, cfg_type};
use crate::image;
use crate::open_disk::OpenDisk;

/// Makes the disk larger: to `size` bytes, or to what its image has now. The size it has then.
///
/// # Errors
/// The cause and the next step.
pub(crate) fn resize(inner: &OpenDisk, size: Option<u64>) -> Result<u64, String> {
    let now = inner.limits.size_bytes.load(SeqCst);
    let wanted = match size {
        Some(size) => size,
        None => image_size(inner)?,
    };
    let block = u64::from(inner.limits.block_size);
    if size.is_some() && !wanted.is_multiple_of(block) {
        return Err(format!("{wanted} bytes are no whole blocks of {block}. Give a multiple."));
    }
    let wanted = wanted - wanted % block;
    if wanted < now {
        return Err(format!(
            "it has {now} bytes, {wanted} are less, and what is in use cannot be taken away. Delete the disk and \
             add it with the smaller size."
        ));
    }
    if wanted == now {
        return Ok(now);
    }
    if i64::try_from(wanted).is_err() {
        return Err(format!("{wanted} bytes are too many. Give a smaller size."));
    }
    let Some(reconfig) = inner.handler.reconfig else {
        return Err("its handler cannot change the size of an open disk. Delete it and add it with the new size, or \
                    use the file handler."
            .to_owned());
    };
    let mut info = CfgInfo { type_: cfg_type::DEV_SIZE, value: wanted };
    let (ret, messages) = crate::log::keeping_errors(|| {
        // SAFETY: the ABI's contract: an open device, and a record that lives through the call.
        unsafe { reconfig(inner.device.as_abi(), &raw mut info) }
    });
    if ret < 0 {
        let cause = if messages.is_empty() { Errno::new(ret).to_string() } else { messages };
        return Err(format!("{cause}. The size is as before."));
    }
    inner.device.set_size_bytes(wanted);
    inner.limits.size_bytes.store(wanted, SeqCst);
    Ok(wanted)
}

/// What stands behind the disk has this size now.
fn image_size(inner: &OpenDisk) -> Result<u64, String> {
    let text = inner.device.cfgstring.to_string_lossy();
    let (subtype, config) = text.split_once('/').unwrap_or((&text, ""));
    let unknown = "the size of what is behind it cannot be found out";
    let Some(path) = image::path_of(config) else {
        return Err(format!("{unknown}. Give the size."));
    };
    image::size_of(&path, subtype)
        .map_err(|error| format!("{unknown}: {}: {error}. Check the image.", path.display()))
}
