// SPDX-License-Identifier: GPL-2.0-only
//! `umc man`: what is known of the command lines, for man(1).

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_mangen::Man;

use umc_protocol::{sim_args, umcd_args};

use crate::Cli;

/// The page of the redirector, which has no command line to make one of.
const PRELOAD: &str = include_str!("umc-preload.7");

/// `umc man`: umc.1 and a page for each of its commands, umcd.8, umc-preload.7.
pub fn write(dir: &Path) -> Result<()> {
    let place = || format!("Cannot write the manual pages to {}", dir.display());
    fs::create_dir_all(dir).with_context(place)?;
    clap_mangen::generate_to(Cli::command(), dir).with_context(place)?;
    let page = |name: &str, command: clap::Command, section: &str| {
        let mut page = vec![];
        Man::new(command).section(section).render(&mut page)?;
        fs::write(dir.join(name), page)
    };
    page("umcd.8", umcd(), "8").with_context(place)?;
    let sim = sim_args::Args::command().bin_name("umc sim");
    page("umc-sim.1", sim, "1").with_context(place)?;
    // The maker of pages does not know that dashes stand before a last argument.
    for name in ["umc-run.1", "umc-cluster-run.1", "umc-cluster-exec.1"] {
        let run = dir.join(name);
        let text = fs::read_to_string(&run).with_context(place)?;
        fs::write(&run, text.replace("<\\fICMD\\fR>", "\\-\\- \\fICMD\\fR [\\fIARG\\fR]..."))
            .with_context(place)?;
    }
    fs::write(dir.join("umc-preload.7"), PRELOAD).with_context(place)
}

/// The command line of umcd, without the name of the host that the page is written on.
fn umcd() -> clap::Command {
    umcd_args::Args::command().name("umcd").mut_arg("name", |name| {
        let help =
            format!("{} [default: the host's]", name.get_help().cloned().unwrap_or_default());
        name.hide_default_value(true).help(help)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of a page, without roff's escapes of dashes and apostrophes.
    fn page(dir: &Path, name: &str) -> String {
        let file = dir.join(name);
        let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        assert!(text.contains(".TH ") && text.contains(".SH NAME"), "{name} is no page:\n{text}");
        text.replace("\\-", "-").replace("\\*(Aq", "'")
    }

    /// `command` names each of its commands, each of which has a page.
    fn assert_pages(dir: &Path, name: &str, command: &clap::Command) {
        let text = page(dir, &format!("{name}.1"));
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            let sub_name = format!("{name}-{}", sub.get_name());
            assert!(text.contains(&format!("{sub_name}(1)")), "{name}.1 lacks {sub_name}:\n{text}");
            assert_pages(dir, &sub_name, sub);
        }
    }

    #[test]
    fn every_command_has_a_page() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("man");
        write(&dir).unwrap();
        let umc = Cli::command();
        assert!(umc.get_subcommands().count() > 10);
        assert_pages(&dir, "umc", &umc);
        assert!(dir.join("umc-disk-resize.1").exists());
    }

    #[test]
    fn the_page_of_umcd_has_every_option_and_no_host_name() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path()).unwrap();
        let text = page(dir.path(), "umcd.8");
        assert!(text.contains(".TH umcd 8"), "{text}");
        for option in umcd().get_opts() {
            let long = option.get_long().unwrap();
            assert!(text.contains(&format!("--{long}")), "umcd.8 lacks --{long}:\n{text}");
        }
        assert!(text.contains("[default: the host's]"), "{text}");
        assert!(page(dir.path(), "umc-preload.7").contains("UMC_FS_ROOT"));
    }

    /// `umc sim` is another program, whose options its page has.
    #[test]
    fn the_pages_of_run_and_sim_show_what_is_to_be_typed() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path()).unwrap();
        let run = page(dir.path(), "umc-run.1");
        assert!(run.contains("-- \\fICMD\\fR [\\fIARG\\fR]..."), "{run}");
        let sim = page(dir.path(), "umc-sim.1");
        for option in sim_args::Args::command().get_opts() {
            let long = option.get_long().unwrap();
            assert!(sim.contains(&format!("--{long}")), "umc-sim.1 lacks --{long}:\n{sim}");
        }
        assert!(sim.contains("umc sim"), "{sim}");
    }

    #[test]
    fn a_directory_that_cannot_be_is_named() {
        let error = write(Path::new("/dev/null/man")).unwrap_err();
        assert!(error.to_string().contains("/dev/null/man"), "{error:#}");
    }
}
