// SPDX-License-Identifier: GPL-2.0-only
//! What a page names exists: paths, links, and functions that it says are in a file.

use std::path::Path;

use crate::Finding;
use crate::source::File;

/// The folders that a path in a page may begin with; any other word with a slash is something else.
const TOPS: [&str; 11] = [
    "cdrivers/",
    "docs/",
    "examples/",
    "fusefs/",
    "handlers/",
    "mte/",
    "src/",
    "tests/",
    "tools/",
    "umc/",
    ".github/",
];

/// Whether `path` is a pattern or a placeholder: it has a part in capitals, a star, a brace, or an ellipsis.
fn is_pattern(path: &str) -> bool {
    path.contains(['*', '{', '<', '…', '$', ' '])
        || path.split(['/', '.', '_']).any(|part| {
            !part.is_empty()
                && part.len() < 12
                && part.chars().all(|c| c.is_ascii_uppercase())
                && !["README", "LICENSE", "CHANGELOG", "SECURITY", "CONTRIBUTING"].contains(&part)
        })
}

/// The insides of code spans of a line, each with where it begins and ends.
fn spans(line: &str) -> Vec<(usize, &str, usize)> {
    let ticks: Vec<usize> = line.match_indices('`').map(|(at, _)| at).collect();
    ticks.chunks_exact(2).map(|pair| (pair[0], &line[pair[0] + 1..pair[1]], pair[1])).collect()
}

/// The targets of links of a line that lead to a file.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](").filter_map(|(at, open)| {
        let target = line[at + open.len()..].split(')').next()?;
        let file = target.split('#').next()?;
        (!file.is_empty() && !file.contains("://") && !file.starts_with("mailto:")).then_some(file)
    })
}

/// Where a link to the page that `cargo doc` makes of a module leads in truth: to the module's source.
fn source_of(link: &str) -> Option<String> {
    let (_, page) = link.split_once("target/doc/")?;
    let (of, module) = page.strip_suffix("/index.html")?.split_once('/')?;
    Some(format!("{of}/src/{module}.rs"))
}

/// Paths, links and symbols in pages that lead nowhere.
pub fn dangling(top: &Path, files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for page in files.iter().filter(|file| file.is("md")) {
        let folder = page.path.parent().unwrap_or(Path::new(""));
        for (number, line) in page.text.lines().enumerate() {
            let mut report = |what: String| {
                findings.push(Finding { file: page.path.clone(), line: number + 1, what });
            };
            for target in links(line) {
                let leads_to = match source_of(target) {
                    Some(source) => top.join(source),
                    None => top.join(folder).join(target),
                };
                if !leads_to.exists() {
                    report(format!("the link to `{target}` leads nowhere. Correct it"));
                }
            }
            let spans = spans(line);
            for (index, (begin, text, _)) in spans.iter().enumerate() {
                let path = text.split([':', '#']).next().unwrap_or(text).trim_end_matches('/');
                if !TOPS.iter().any(|top| path.starts_with(top)) || is_pattern(path) {
                    continue;
                }
                if !top.join(path).exists() {
                    report(format!("`{path}` does not exist. Correct the page"));
                    continue;
                }
                // "`submit_bio` (`umc/src/block/submit.rs`)" says that it is in there.
                let Some((_, symbol, end)) = index.checked_sub(1).map(|before| spans[before])
                else {
                    continue;
                };
                let is_name =
                    !symbol.is_empty() && symbol.chars().all(|c| c.is_alphanumeric() || c == '_');
                if is_name && &line[end + 1..*begin] == " (" {
                    let has = files
                        .iter()
                        .any(|file| file.path == Path::new(path) && file.text.contains(symbol));
                    if !has {
                        report(format!("`{symbol}` is not in `{path}`. Correct the page"));
                    }
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_names_is_looked_for() {
        let dir = tempfile::tempdir().expect("a directory");
        for folder in ["umc/src", "docs"] {
            std::fs::create_dir_all(dir.path().join(folder)).expect("a directory");
        }
        std::fs::write(dir.path().join("umc/src/bio.rs"), "fn bio_endio() {}").expect("a file");
        let page = |text: &str| {
            let files = [
                File { path: "docs/page.md".into(), text: text.into() },
                File { path: "umc/src/bio.rs".into(), text: "fn bio_endio() {}".into() },
            ];
            dangling(dir.path(), &files).len()
        };
        assert_eq!(
            page(
                "`bio_endio` (`umc/src/bio.rs`), `umc/src/X.rs`, `umc/src/*.rs`, [a](../umc/src/bio.rs#x)"
            ),
            0
        );
        assert_eq!(page("`submit_bio` (`umc/src/bio.rs`)"), 1);
        assert_eq!(page("`umc/src/gone.rs`"), 1);
        assert_eq!(page("[a](gone.md)"), 1);
        assert_eq!(page("[a](../target/doc/umc/bio/index.html)"), 0);
        assert_eq!(page("[a](../target/doc/umc/gone/index.html)"), 1);
    }
}
