// SPDX-License-Identifier: GPL-2.0-only
//! No driver's name stands in the emulated kernel, the engine or the export: what is to be known of a driver is its entry
//! in the catalogue. Comments may say who needs a thing; headers have the names that Linux gives.

use crate::Finding;
use crate::source::{File, rust};

const FREE_OF_NAMES: [&str; 4] = ["umc/src", "mte/src", "fusefs/src", "tools/preload/src"];

/// Devices of the host have this driver, too: nodes are mounted by them.
const THE_HOSTS_TOO: &str = "loop";

/// Whether `name` stands in `text` as a word.
fn has_word(text: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| {
        !text[..at].ends_with(is_word) && !text[at + name.len()..].starts_with(is_word)
    })
}

/// Strings that name a driver of the catalogue.
pub fn named(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let places = |file: &&File| {
        file.is("rs") && !file.is_test() && FREE_OF_NAMES.iter().any(|folder| file.is_below(folder))
    };
    for file in files.iter().filter(places) {
        for (line, text) in rust(&file.text).strings {
            let text = text.to_lowercase();
            let drivers = cdrivers::catalogue::DRIVERS.iter();
            let drivers = drivers.filter(|driver| driver.name != THE_HOSTS_TOO);
            for driver in drivers.filter(|driver| has_word(&text, driver.name)) {
                findings.push(Finding {
                    file: file.path.clone(),
                    line,
                    what: format!(
                        "names the driver `{}`: what is to be known of a driver belongs to its entry in \
                         cdrivers/src/catalogue.rs",
                        driver.name
                    ),
                });
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_a_string_is_found_and_one_in_a_comment_is_not() {
        let file = |path: &str, text: &str| File { path: path.into(), text: text.into() };
        let files = [
            file(
                "umc/src/module.rs",
                "// drbd\nlet a = \"try DRBD down\";\nlet b = \"/dev/drbd0\";",
            ),
            file("umc/src/fs/tests.rs", "\"drbd\""),
            file("src/main.rs", "\"drbd\""),
        ];
        let found: Vec<_> = named(&files).into_iter().map(|finding| finding.line).collect();
        assert_eq!(found, [2]);
    }
}
