// SPDX-License-Identifier: GPL-2.0-only
//! Every function that C sees says in a sentence what it does: its name is Linux's, what of it is kept here is not.

use crate::Finding;
use crate::source::File;

/// What makes a function an export, in whichever attribute it stands.
const EXPORTS: [&str; 2] = ["unsafe(no_mangle)", "unsafe(export_name"];

fn is_attribute(line: &str) -> bool {
    line.starts_with("#[")
}

fn is_doc(line: &str) -> bool {
    // A macro hands the doc of its caller on.
    line.starts_with("///") || line.starts_with("#[doc") || line.starts_with("$(#[")
}

/// Whether the doc in `lines` begins with a sentence, not with a heading or a blank.
fn has_summary(lines: &[&str]) -> bool {
    let docs: Vec<&str> = lines.iter().copied().filter(|line| is_doc(line)).collect();
    let Some(first) = docs.first() else { return false };
    let Some(begin) = first.strip_prefix("///") else { return true };
    let begin = begin.trim();
    let summary = docs.iter().map_while(|line| line.strip_prefix("///").map(str::trim));
    let last = summary.take_while(|line| !line.is_empty() && !line.starts_with('#')).last();
    !begin.is_empty() && last.is_some_and(|line| line.ends_with(['.', '?']))
}

/// The name of the function that `line` begins.
fn function_name(line: &str) -> Option<&str> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words.iter().position(|word| *word == "fn")?;
    words.get(at + 1).and_then(|name| name.split(['(', '<']).next())
}

/// Exported functions without a summary sentence.
pub fn silent(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.is("rs") && !file.is_test()) {
        let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
        for (at, line) in lines.iter().enumerate() {
            if !is_attribute(line) || !EXPORTS.iter().any(|export| line.contains(export)) {
                continue;
            }
            let belongs = |line: &&&str| is_attribute(line) || is_doc(line);
            let begin = at - lines[..at].iter().rev().take_while(belongs).count();
            let end = at + lines[at..].iter().take_while(belongs).count();
            let Some(name) = lines.get(end).and_then(|line| function_name(line)) else { continue };
            if !has_summary(&lines[begin..end]) {
                findings.push(Finding {
                    file: file.path.clone(),
                    line: end + 1,
                    what: format!(
                        "`{name}` is exported, and its doc does not begin with a sentence. Say what it does, and where \
                         it matters: units, errors, and how it differs from Linux"
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
    fn a_heading_is_no_sentence() {
        let export = |doc: &str, rest: &str| {
            format!(
                "{doc}#[unsafe(no_mangle)]\n{rest}pub unsafe extern \"C\" fn gcd(a: u64) {{}}\n"
            )
        };
        let found = |text: String| {
            let file = File { path: "umc/src/lib/math.rs".into(), text };
            silent(&[file]).first().map_or(0, |finding| finding.line)
        };
        assert_eq!(found(export("", "")), 2);
        assert_eq!(found(export("/// # Safety\n/// None.\n", "")), 4);
        assert_eq!(found(export("///\n/// Divides.\n", "")), 4);
        assert_eq!(found(export("/// the divisor\n///\n/// # Safety\n", "")), 5);
        assert_eq!(found(export("/// Divides,\n/// and more.\n///\n/// # Safety\n", "")), 0);
        assert_eq!(found(export("#[allow(x)]\n", "/// Divides.\n#[inline]\n")), 0);
        assert_eq!(found(export("$(#[$doc])*\n///\n/// # Safety\n", "")), 0);
        assert_eq!(
            found("#[unsafe(export_name = \"umc_f\")]\nfn f() {}\n#[unsafe(no_mangle)]\nstatic S: u8 = 0;".into()),
            2
        );
    }
}
