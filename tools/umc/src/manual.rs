//! `umc man` and `umc completion`: what is known of the command lines, for man(1) and for shells.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::{Cli, args};

/// The page of the redirector, which has no command line to make one of.
const PRELOAD: &str = include_str!("umc-preload.7");

/// `umc man`: umc.1 and a page for each of its commands, umcd.8, umc-preload.7.
pub fn write(dir: &Path) -> Result<()> {
    let place = || format!("Cannot write the manual pages to {}", dir.display());
    fs::create_dir_all(dir).with_context(place)?;
    clap_mangen::generate_to(Cli::command(), dir).with_context(place)?;
    let mut page = vec![];
    Man::new(umcd()).section("8").render(&mut page).with_context(place)?;
    fs::write(dir.join("umcd.8"), page).with_context(place)?;
    fs::write(dir.join("umc-preload.7"), PRELOAD).with_context(place)
}

/// The command line of umcd, without the name of the host that the page is written on.
fn umcd() -> clap::Command {
    args::Args::command().name("umcd").mut_arg("name", |name| {
        let help =
            format!("{} [default: the host's]", name.get_help().cloned().unwrap_or_default());
        name.hide_default_value(true).help(help)
    })
}

/// `umc completion`.
pub fn print_completion(shell: Shell) -> Result<()> {
    std::io::stdout().write_all(&completion(shell)).context("Cannot write the completion")
}

fn completion(shell: Shell) -> Vec<u8> {
    let mut script = vec![];
    clap_complete::generate(shell, &mut Cli::command(), "umc", &mut script);
    script
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
        for sub in command.get_subcommands() {
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

    #[test]
    fn shells_complete_every_command() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = String::from_utf8(completion(shell)).unwrap();
            for sub in Cli::command().get_subcommands() {
                assert!(script.contains(sub.get_name()), "{shell} lacks {}", sub.get_name());
            }
        }
    }

    #[test]
    fn a_directory_that_cannot_be_is_named() {
        let error = write(Path::new("/dev/null/man")).unwrap_err();
        assert!(error.to_string().contains("/dev/null/man"), "{error:#}");
    }
}
