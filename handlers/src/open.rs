// SPDX-License-Identifier: GPL-2.0-only
//! From the words a user wrote to a disk of a node.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fmt::Display;
use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use umc::{Errno, Kernel, blkdev, printk, sched};

use crate::abi::Handler;
use crate::device::Device;
use crate::disk::{self, HandlerDisk};
use crate::error::{Error, Kind};
use crate::image::{self, Claim};
use crate::registry::Registry;
use crate::request_limits::RequestLimits;

/// A block is a power of two in this range.
const BLOCK_BYTES_MAX: u32 = 4096;

/// Opens `spec`, `HANDLER/CONFIG`, and makes it the disk `name` of the node.
///
/// `size`, in bytes, is needed where there is no image yet, or none whose size the host can see.
///
/// # Errors
/// With the object, the cause and what to do; see [`Kind`].
///
/// # Context
/// May block.
pub fn open_disk(
    kernel: &'static Kernel,
    registry: &Registry,
    name: &str,
    spec: &str,
    size: Option<u64>,
) -> Result<(), Error> {
    sched::with_kernel(kernel, || Opening::new(kernel, registry, name, spec)?.open(size))
}

/// A disk that is being opened.
struct Opening<'a> {
    kernel: &'static Kernel,
    name: &'a str,
    spec: &'a str,
    handler: &'static Handler,
    subtype: &'a str,
    config: &'a str,
    image: Option<PathBuf>,
}

impl<'a> Opening<'a> {
    fn new(
        kernel: &'static Kernel,
        registry: &Registry,
        name: &'a str,
        spec: &'a str,
    ) -> Result<Opening<'a>, Error> {
        let (subtype, config) = spec.split_once('/').unwrap_or((spec, ""));
        let handler = registry.find(subtype)?;
        let image = image::path_of(config);
        Ok(Opening { kernel, name, spec, handler, subtype, config, image })
    }

    fn fail(&self, kind: Kind, cause: impl Display, next: impl Into<String>) -> Error {
        let object = format!("disk {} ({})", self.name, self.spec);
        Error::new(kind, "open", object, cause, next)
    }

    /// How the handler describes its config.
    fn usage(&self) -> String {
        if self.handler.cfg_desc.is_null() {
            return String::new();
        }
        // SAFETY: the ABI's contract: a constant string.
        let text = unsafe { CStr::from_ptr(self.handler.cfg_desc) }.to_string_lossy();
        format!("The handler says of what follows {:?}: {}", self.subtype, text.trim())
    }

    fn open(&self, size: Option<u64>) -> Result<(), Error> {
        let cfgstring = CString::new(format!("{}/{}", self.subtype, self.config))
            .map_err(|_| self.fail(Kind::BadConfig, "it contains a NUL byte", ""))?;
        self.check_config(&cfgstring)?;
        let size = self.size(size)?;
        let mut claim = self.claim()?;
        self.look_at_image()?;

        let kernel = self.kernel;
        let log =
            Box::new(move |level: printk::Level, text: &str| printk::emit(kernel, level, text));
        let device = Device::new(self.name, cfgstring, self.wwn(), size, log);
        device.attributes.unmap.store(self.handler.unmap.is_some(), Relaxed);
        self.call_open(&device)?;

        let limits = match self.geometry(&device) {
            Ok(limits) => limits,
            Err(error) => {
                // SAFETY: it was opened, and nothing was called since.
                unsafe { disk::close(self.handler, device.as_abi()) };
                return Err(error);
            }
        };
        if claim.is_none() {
            // The handler made the image.
            claim = self.claim().ok().flatten();
        }
        let disk = match HandlerDisk::new(kernel, self.handler, device, limits, claim) {
            Ok(disk) => Arc::new(disk),
            Err((error, device)) => {
                // SAFETY: as above.
                unsafe { disk::close(self.handler, device.as_abi()) };
                let cause = format!("its threads cannot be started: {error}");
                return Err(self.fail(Kind::OpenFailed, cause, ""));
            }
        };
        let limits = disk.block_limits();
        // When the node refuses it, the disk is dropped, and that closes it.
        blkdev::add_disk(kernel, self.name, disk, limits).map_err(|error| match error {
            Errno::EEXIST => {
                let cause = "the node has a disk of this name";
                self.fail(Kind::Refused, cause, "Choose another name, or delete that disk.")
            }
            error => self.fail(Kind::Refused, error, ""),
        })
    }

    fn check_config(&self, cfgstring: &CStr) -> Result<(), Error> {
        let Some(check_config) = self.handler.check_config else { return Ok(()) };
        let mut reason: *mut c_char = null_mut();
        // SAFETY: the ABI's contract: a string, and a place for one that the caller frees.
        if unsafe { check_config(cfgstring.as_ptr(), &raw mut reason) } {
            return Ok(());
        }
        let cause = if reason.is_null() {
            "the handler does not accept the config".to_owned()
        } else {
            // SAFETY: the handler left a string.
            let text = unsafe { CStr::from_ptr(reason) }.to_string_lossy().into_owned();
            // SAFETY: which it malloc'ed.
            unsafe { libc::free(reason.cast::<c_void>()) };
            text
        };
        Err(self.fail(Kind::BadConfig, cause, self.usage()))
    }

    /// The size to tell the handler, in bytes.
    fn size(&self, size: Option<u64>) -> Result<u64, Error> {
        let written = image::size_option(self.config).map_err(|text| {
            self.fail(Kind::BadConfig, format!("size={text} is no size"), "Examples: 64M, 1G.")
        })?;
        if let Some(size) = size.or(written) {
            if size == 0 || size % 512 != 0 {
                let cause = format!("{size} bytes are no size of a disk");
                return Err(self.fail(Kind::BadConfig, cause, "Give a multiple of 512."));
            }
            return Ok(size);
        }
        let Some(path) = &self.image else {
            let cause = "its size is unknown";
            return Err(self.fail(Kind::NoSize, cause, "Give it: add ,size=1G for example."));
        };
        match image::size_of(path, self.subtype) {
            Ok(0) => {
                let cause = format!("{} is empty", path.display());
                Err(self.fail(
                    Kind::NoSize,
                    cause,
                    "Give the disk a size: add ,size=1G for example.",
                ))
            }
            Ok(size) => Ok(size),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let cause = format!("there is no {}", path.display());
                let next = "Check the path, or create the image; handlers that can create one \
                            need its size: add ,size=1G for example. In a shell, quote what has a ';'.";
                Err(self.fail(Kind::NoSize, cause, next))
            }
            Err(error) => {
                let cause = format!("{}: {}", path.display(), plain(&error));
                Err(self.fail(Kind::OpenFailed, cause, "Check the image."))
            }
        }
    }

    /// Keeps other disks from the image. Our file handler does it by itself, also below tcmu-runner.
    fn claim(&self) -> Result<Option<Claim>, Error> {
        let is_image = |path: &&Path| {
            fs::metadata(path)
                .is_ok_and(|meta| meta.is_file() || meta.file_type().is_block_device())
        };
        let Some(path) = self.image.as_deref().filter(is_image) else { return Ok(None) };
        if self.subtype == "file" {
            return Ok(None);
        }
        match Claim::new(path) {
            Ok(claim) => Ok(Some(claim)),
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => Err(self.busy(path)),
            Err(error) => {
                let cause = format!("{}: {}", path.display(), plain(&error));
                Err(self.fail(Kind::OpenFailed, cause, "Check the image."))
            }
        }
    }

    /// Keeps the handler from an image that it would damage.
    fn look_at_image(&self) -> Result<(), Error> {
        let Some(path) = self.image.as_deref() else { return Ok(()) };
        match image::objection(path, self.subtype) {
            Ok(None) => Ok(()),
            Ok(Some(why)) => Err(self.fail(Kind::BadImage, why, image::CONVERT)),
            Err(error) => {
                let cause = format!("{}: {}", path.display(), plain(&error));
                Err(self.fail(Kind::OpenFailed, cause, "Check the image."))
            }
        }
    }

    fn busy(&self, path: &Path) -> Error {
        let is_file = path.is_file();
        let others = if is_file { "" } else { ", or of the host" };
        let path = path.display();
        let cause = format!("{path} is in use by another disk, of this or another node{others}");
        let next = "Give each disk its own image; umc disk ls shows the node's disks.";
        self.fail(Kind::Busy, cause, next)
    }

    fn call_open(&self, device: &Device) -> Result<(), Error> {
        let open = |reopen: bool| -> c_int {
            // SAFETY: the ABI's contract: a device with its geometry, not open yet.
            self.handler.open.map_or(-1, |open| unsafe { open(device.as_abi(), reopen) })
        };
        let (ret, messages) = crate::log::keeping_errors(|| open(false));
        if ret >= 0 {
            return Ok(());
        }
        if ret == -libc::EBUSY
            && let Some(path) = &self.image
        {
            return Err(self.busy(path));
        }
        let cause = match (ret, messages.is_empty()) {
            (_, false) => messages,
            // Handlers return -1 as often for "failed" as for EPERM.
            (-1, true) => "the handler did not open it and does not say why".to_owned(),
            (_, true) => Errno::new(ret).to_string(),
        };
        let parent = self.image.as_deref().and_then(Path::parent);
        let next = match parent.filter(|parent| !parent.exists()) {
            Some(parent) => format!("Make the directory first: mkdir -p {}", parent.display()),
            None => self.usage(),
        };
        Err(self.fail(Kind::OpenFailed, cause, next))
    }

    /// The limits of the opened device, when they make sense.
    fn geometry(&self, device: &Device) -> Result<RequestLimits, Error> {
        let block = device.attributes.block_size.load(Relaxed);
        let size = device.size_bytes().filter(|size| *size > 0 && *size <= i64::MAX as u64);
        match size {
            Some(size) if block.is_power_of_two() && (512..=BLOCK_BYTES_MAX).contains(&block) => {
                Ok(RequestLimits::of(device, self.handler, size))
            }
            _ => {
                let blocks = device.attributes.num_lbas.load(Relaxed);
                let cause = format!("the handler set {blocks} blocks of {block} bytes");
                Err(self.fail(Kind::BadGeometry, cause, "Give the disk a larger size."))
            }
        }
    }

    /// An identifier that is the same whenever this node opens this disk: FNV-1a, in the shape of a UUID.
    fn wwn(&self) -> CString {
        let hash = |seed: u64| {
            let bytes = self.kernel.config.name.bytes().chain([0]).chain(self.name.bytes());
            bytes.fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
        };
        let (a, b) = (hash(0xcbf2_9ce4_8422_2325), hash(0x6c62_272e_07bb_0142));
        let text = format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            a >> 32,
            a >> 16 & 0xffff,
            a & 0xffff,
            b >> 48,
            b & 0xffff_ffff_ffff
        );
        CString::new(text).unwrap_or_default()
    }
}

/// The host's words for an error, without its number.
fn plain(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(raw) => Errno::new(raw).to_string(),
        None => error.to_string(),
    }
}
