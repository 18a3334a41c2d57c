// SPDX-License-Identifier: GPL-2.0-only
//! A disk in words: `HANDLER/CONFIG[,size=N]`, and its name.

use crate::size;

/// Handlers whose config is the path of an image, at once.
const OF_IMAGES: [&str; 2] = ["file", "qcow"];

/// What `--disk` means: `NAME=HANDLER/CONFIG[,size=N]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskSpec {
    /// Its name below `/dev`.
    pub name: String,
    /// `HANDLER/CONFIG`.
    pub spec: String,
    /// In bytes; without it, the image has one.
    pub size: Option<u64>,
}

impl DiskSpec {
    /// From the name and `HANDLER/CONFIG[,size=N]`.
    ///
    /// # Errors
    /// What is wrong, and as it would be right.
    pub fn new(name: &str, rest: &str) -> Result<DiskSpec, String> {
        check_name(name)?;
        let (spec, size) = parse(rest)?;
        Ok(DiskSpec { name: name.into(), spec, size })
    }
}

impl std::str::FromStr for DiskSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<DiskSpec, String> {
        let (name, rest) = text.split_once('=').ok_or(
            "expected NAME=HANDLER/CONFIG, for example r0=ram/,size=1G or r0=file//srv/r0.img",
        )?;
        DiskSpec::new(name, rest)
    }
}

/// Takes the size off the end: what a handler is told, and the size in bytes if there is one.
fn parse(text: &str) -> Result<(String, Option<u64>), String> {
    let (spec, size) = match text.rsplit_once(",size=") {
        Some((spec, size)) => (spec, Some(parse_size(spec, size)?)),
        None => (text, None),
    };
    let Some((handler, config)) = spec.split_once('/') else {
        return Err(format!(
            "\"{text}\" is not HANDLER/CONFIG, for example ram/,size=1G or file//srv/r0.img."
        ));
    };
    if handler.is_empty() {
        return Err(format!(
            "\"{text}\" names no handler. A disk on a file or a block device: file/{text}"
        ));
    }
    if OF_IMAGES.contains(&handler) && !config.starts_with('/') {
        return Err(format!(
            "\"{text}\": the path of an image is absolute. One slash ends the handler's name, \
             the next begins the path: {handler}//{config}"
        ));
    }
    Ok((spec.into(), size))
}

fn parse_size(spec: &str, size: &str) -> Result<u64, String> {
    size::parse(size).map_err(|reason| match size.find([';', ',']) {
        Some(end) => {
            let (size, options) = size.split_at(end);
            format!("The size stands last: '{spec}{options},size={size}'")
        }
        None => reason,
    })
}

/// Refuses the mistakes that are likely in the name of a disk; whether it fits is the node's to say.
fn check_name(name: &str) -> Result<(), String> {
    match name.strip_prefix("/dev/") {
        Some(rest) => Err(format!("A disk is named without its directory: {rest}, not {name}.")),
        None if name.is_empty() => Err("The disk's name is missing.".into()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_taken_off_the_end() {
        assert_eq!(parse("ram/,size=1G").unwrap(), ("ram/".into(), Some(1 << 30)));
        assert_eq!(parse("file//a,b.img").unwrap(), ("file//a,b.img".into(), None));
        assert_eq!(parse("rbd/pool/image").unwrap(), ("rbd/pool/image".into(), None));
        let (spec, size) = parse("file//a;direct=off,size=1M").unwrap();
        assert_eq!((spec.as_str(), size), ("file//a;direct=off", Some(1 << 20)));
    }

    #[test]
    fn what_is_wrong_is_shown_as_it_would_be_right() {
        for (wrong, right) in [
            ("ram", "ram/,size=1G"),
            ("ram/,size=big", "\"big\" is not a size"),
            ("ram/,size=", "\"\" is not a size"),
            ("/tmp/x", "file//tmp/x"),
            ("/tmp/x,size=1G", "file//tmp/x,size=1G"),
            ("file/tmp/x", "file//tmp/x"),
            ("qcow/x.qcow2", "qcow//x.qcow2"),
            ("file//x,size=1M;direct=off;sync", "'file//x;direct=off;sync,size=1M'"),
        ] {
            let error = parse(wrong).unwrap_err();
            assert!(error.contains(right), "{wrong}: {error}");
        }
        assert!(check_name("/dev/r0").unwrap_err().contains("r0, not /dev/r0"));
        assert!(check_name("").is_err() && check_name("r0").is_ok());
    }
}
