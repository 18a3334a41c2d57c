// SPDX-License-Identifier: GPL-2.0-only
//! `umc build`, `kdir`, `modinfo` and `symbols`: everything about module files that needs no node.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use cdrivers::manifest::Manifest;
use cdrivers::symbols::{self, Provider};
use cdrivers::{catalogue, kbuild, kdir, modules, package};

/// The `umcd` whose exports are the kernel API: the one beside this program.
fn umcd() -> Result<PathBuf> {
    let me = std::env::current_exe().context("Cannot find out where umc itself is")?;
    let umcd = me.with_file_name("umcd");
    if !umcd.exists() {
        bail!(
            "{}: not there. umcd has to be beside umc; build both: cargo build --release --workspace",
            umcd.display()
        );
    }
    Ok(umcd)
}

/// `umc build [--as SET] NAME|DIR`.
pub fn build(what: &str, set: Option<&str>, verbose: bool) -> Result<()> {
    let (built, output) = kbuild::build(&umcd()?, what, set)?;
    if verbose || output.contains("warning:") {
        eprint!("{output}");
    }
    for module in built {
        println!("{}: {}", module.name, module.so.display());
    }
    Ok(())
}

/// `umc kdir`.
pub fn print_kdir() -> Result<()> {
    println!("{}", kdir::make(&umcd()?)?.display());
    Ok(())
}

/// `umc modinfo NAME|FILE`.
pub fn modinfo(what: &str) -> Result<()> {
    let module = modules::find(what)?;
    let manifest = Manifest::read(&module)?;
    println!("{:<17}{}", "filename:", module.display());
    println!("{:<17}{}", "name:", manifest.name);
    for (key, value) in symbols::modinfo(&module)? {
        if key != "name" {
            println!("{:<17}{value}", format!("{key}:"));
        }
    }
    println!("{:<17}{}", "built in:", manifest.built_in.display());
    let driver = manifest.driver.as_deref().and_then(catalogue::find);
    if let (Some(driver), Some(package), Some(version)) =
        (driver, &manifest.package, &manifest.package_version)
    {
        println!("{:<17}{package} {version}", "package:");
        let installed = package::installed_version(package)?;
        if installed != *version {
            bail!(
                "package {package} is at {installed} now, the module was built from {version}. Build it again: umc build {}",
                driver.name
            );
        }
        // Some seconds: all of the archive is unpacked.
        if std::io::stderr().is_terminal() {
            eprintln!("umc: comparing the source with that of the package …");
        }
        let comparison = package::compare(driver, &manifest.built_in)?;
        println!(
            "{:<17}{} of {}",
            "source differs:",
            comparison.differing.len(),
            comparison.compared
        );
        for name in &comparison.differing {
            println!("{:<17}{}", "", name.display());
        }
    }
    Ok(())
}

/// `umc symbols FILE`: the ledger. Fails when something is missing.
pub fn print_symbols(what: &str) -> Result<()> {
    let path = Path::new(what);
    let module =
        if path.exists() { path.to_owned() } else { modules::find(what)?.with_extension("ko") };
    let beside = modules::beside(&module)?;
    let exports = symbols::module_exports(beside.iter().map(PathBuf::as_path))?;
    let ledger = symbols::ledger(&module, &symbols::kernel_exports(&umcd()?)?, &exports)?;
    let mut missing = 0;
    for (name, provider) in &ledger {
        let text = match provider {
            Provider::Implemented => "implemented".to_owned(),
            Provider::Libc => "implemented (libc)".to_owned(),
            Provider::Stub(reason) => format!("stub: {reason}"),
            Provider::Module(module) => format!("module {module}"),
            Provider::Missing => {
                missing += 1;
                "missing".to_owned()
            }
        };
        println!("{name:<40} {text}");
    }
    if missing > 0 {
        bail!(
            "{}: {missing} of {} symbols are missing: insmod will refuse it.",
            module.display(),
            ledger.len()
        );
    }
    Ok(())
}
