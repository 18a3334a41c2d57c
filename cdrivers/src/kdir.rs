// SPDX-License-Identifier: GPL-2.0-only
//! The synthetic KDIR.
//!
//! What Kbuild needs to build an external module, and nothing else: Debian's own top Makefile and scripts as symbolic
//! links, our shim headers, and a `Module.symvers` with every symbol that `umcd` exports. The name of the directory
//! holds a hash of its content, so two versions of this program never share one.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use crate::{Error, Result, embedded, io, symbols};

/// The release that modules are built for.
pub const KERNEL_RELEASE: &str = "6.12.0-umc";

const ARCH_MAKEFILE: &str = "\
# User space: position-independent code; unwind tables and line numbers for backtraces and gdb.
KBUILD_CFLAGS := $(filter-out -fno-PIE -fno-pie -fno-pic -mcmodel=kernel,$(KBUILD_CFLAGS))
KBUILD_CFLAGS += -fPIC -g -fasynchronous-unwind-tables -DUMC_HEADERS=@HEADERS@ $(UMC_CFLAGS)
KBUILD_AFLAGS := $(filter-out -fno-PIE,$(KBUILD_AFLAGS)) -fPIC
LINUXINCLUDE += -I$(srctree)/include/uapi
";

/// Debian's kbuild: the top Makefile of the headers package and the scripts of the kbuild package, one version.
struct Kbuild {
    makefile: PathBuf,
    scripts: PathBuf,
}

fn find_kbuild() -> Result<Kbuild> {
    let missing = |what: &str| Error::PackageMissing {
        package: "linux-kbuild-6.12.* and linux-headers-6.12.*-common of the same version".into(),
        missing: what.into(),
    };
    let lib = Path::new("/usr/lib");
    let mut versions: Vec<String> = fs::read_dir(lib)
        .map_err(io("read", lib))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_prefix("linux-kbuild-").map(str::to_owned))
        .filter(|version| version.starts_with("6.12"))
        .collect();
    versions.sort_by_key(|version| {
        version
            .split(|c: char| !c.is_ascii_digit())
            .map(|n| n.parse().unwrap_or(0))
            .collect::<Vec<u32>>()
    });
    while let Some(version) = versions.pop() {
        let makefile = PathBuf::from(format!("/usr/src/linux-headers-{version}-common/Makefile"));
        let scripts = lib.join(format!("linux-kbuild-{version}/scripts"));
        if makefile.exists() && scripts.join("mod/modpost").exists() {
            return Ok(Kbuild { makefile, scripts });
        }
    }
    Err(missing(
        "/usr/lib/linux-kbuild-6.12*/scripts or /usr/src/linux-headers-6.12*-common/Makefile",
    ))
}

/// `CONFIG_X=y|m|value` lines for make, from the C macros of `generated/autoconf.h`.
fn auto_conf(autoconf: &str) -> String {
    let mut text = String::from(
        "CONFIG_MODULES=y\nCONFIG_FRAME_POINTER=y\nCONFIG_FRAME_WARN=2048\nCONFIG_FUNCTION_ALIGNMENT=16\n\
         CONFIG_CC_OPTIMIZE_FOR_PERFORMANCE=y\n",
    );
    // Frame pointers lead through a jump to nowhere, where unwind tables do not. Without the optimizer, checks at compile
    // time (BUILD_BUG_ON) are none.
    for line in autoconf.lines() {
        let mut words = line.split_whitespace();
        if words.next() != Some("#define") {
            continue;
        }
        let (Some(name), Some(value)) = (words.next(), words.next()) else { continue };
        if !name.starts_with("CONFIG_") || ["CONFIG_MODULES", "CONFIG_FRAME_WARN"].contains(&name) {
            continue;
        }
        let _ = match name.strip_suffix("_MODULE") {
            Some(name) => writeln!(text, "{name}=m"),
            None if value == "1" => writeln!(text, "{name}=y"),
            None => writeln!(text, "{name}={value}"),
        };
    }
    text
}

/// Takes comments and the amount of white space away.
fn without_comments(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("/*") {
        code.push_str(&rest[..at]);
        code.push(' ');
        rest = rest[at + 2..].split_once("*/").map_or("", |(_, after)| after);
    }
    code.push_str(rest);
    let lines = code.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code));
    let lines = lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// The name of this program's headers, as far as a compiler sees them.
pub fn headers() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let mut hash = Sha256::new();
        for (name, text) in embedded::HEADERS {
            hash.update(name);
            hash.update(without_comments(text));
        }
        hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    })
}

/// Makes the KDIR if this content was not made before, and returns it. `umcd` is the program whose exports count.
pub fn make(umcd: &Path) -> Result<PathBuf> {
    let kbuild = find_kbuild()?;
    let mut symvers = String::new();
    for name in symbols::kernel_exports(umcd)? {
        let _ = writeln!(symvers, "0x00000000\t{name}\tvmlinux\tEXPORT_SYMBOL_GPL\t");
    }
    let autoconf = embedded::HEADERS
        .iter()
        .find(|(name, _)| *name == "generated/autoconf.h")
        .map_or("", |(_, text)| *text);

    let mut files: Vec<(PathBuf, String)> = embedded::HEADERS
        .iter()
        .map(|(name, text)| (Path::new("include").join(name), (*text).to_owned()))
        .collect();
    files.push((
        ".kernelvariables".into(),
        format!(
            "override ARCH = umc\noverride KERNELRELEASE = {KERNEL_RELEASE}\nCC = gcc\n\
             DEBIAN_KERNEL_NO_CC_VERSION_CHECK = y\n"
        ),
    ));
    let arch_makefile = ARCH_MAKEFILE.replace("@HEADERS@", headers());
    files.push(("arch/umc/Makefile".into(), arch_makefile));
    files.push(("arch/umc/module.lds".into(), "SECTIONS { }\n".into()));
    files.push((".config".into(), auto_conf(autoconf)));
    files.push(("include/config/auto.conf".into(), auto_conf(autoconf)));
    files.push(("Module.symvers".into(), symvers));

    let mut hash = Sha256::new();
    hash.update(kbuild.makefile.as_os_str().as_encoded_bytes());
    for (name, text) in &files {
        hash.update(name.as_os_str().as_encoded_bytes());
        hash.update(text);
    }
    let hash: String = hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let dir = crate::cache_dir().join(format!("kdir-{hash}"));
    if dir.join("Makefile").exists() {
        return Ok(dir);
    }

    // Made aside and renamed: two builds at once, or one that is interrupted, never leave half a KDIR.
    let fresh = crate::cache_dir().join(format!("kdir-{hash}.{}", std::process::id()));
    for (name, text) in &files {
        let path = fresh.join(name);
        let parent = path.parent().unwrap_or(&fresh);
        fs::create_dir_all(parent).map_err(io("create", parent))?;
        fs::write(&path, text).map_err(io("write", &path))?;
    }
    symlink(&kbuild.scripts, fresh.join("scripts")).map_err(io("link", &kbuild.scripts))?;
    symlink(&kbuild.makefile, fresh.join("Makefile")).map_err(io("link", &kbuild.makefile))?;
    if let Err(error) = fs::rename(&fresh, &dir) {
        let _ = fs::remove_dir_all(&fresh);
        if !dir.join("Makefile").exists() {
            return Err(io("rename", &dir)(error));
        }
    }
    Ok(dir)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_comment_makes_no_other_headers() {
        let code = super::without_comments;
        assert_eq!(code("/* a\n * b */\nint  x; // y\n\n\tint z; /* w */\n"), "int x;\nint z;");
        assert_eq!(code("int x; /* a */ int y;"), code("int x;  int y;\n/* b */"));
        assert_ne!(code("int x;"), code("long x;"));
        assert_eq!(super::headers().len(), 12);
    }

    #[test]
    fn config_for_make() {
        let text = super::auto_conf(
            "#define CONFIG_A 1\n#define CONFIG_B_MODULE 1\n#define CONFIG_HZ 250\n",
        );
        assert!(text.ends_with("CONFIG_A=y\nCONFIG_B=m\nCONFIG_HZ=250\n"), "{text}");
    }
}
