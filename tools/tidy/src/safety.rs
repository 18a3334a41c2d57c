// SPDX-License-Identifier: GPL-2.0-only
//! A SAFETY line names the fact that makes a block sound. "The caller's contract." names none: where the block is longer
//! than a glance, it does not do.

use crate::Finding;
use crate::source::{File, rust};

/// The longest block in lines, braces and all, that may refer to the contract of the function around it alone.
const LINES_MAX: usize = 3;

/// What says nothing by itself.
const EMPTY: [&str; 4] = ["the caller's contract", "by contract", "as above", "the contract"];

fn is_empty(text: &str) -> bool {
    EMPTY.contains(&text.trim().trim_end_matches('.').to_lowercase().as_str())
}

/// How many lines the unsafe block takes that begins in `code`, if the first `unsafe` there is a block.
fn block_lines(code: &str) -> Option<usize> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let (at, word) = code.match_indices("unsafe").find(|(at, word)| {
        !code[..*at].ends_with(is_name) && !code[at + word.len()..].starts_with(is_name)
    })?;
    let rest = code[at + word.len()..].trim_start();
    let mut depth = 0;
    let end = rest.strip_prefix('{')?.char_indices().find(|(_, c)| {
        depth += match c {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        depth < 0
    })?;
    Some(rest[..=end.0].matches('\n').count() + 1)
}

/// Long unsafe blocks whose SAFETY line names no fact.
pub fn vague(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.is("rs")) {
        let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
        let mut code = None;
        for (at, line) in lines.iter().enumerate() {
            let Some(first) = line.strip_prefix("// SAFETY:") else { continue };
            let more = lines[at + 1..].iter().take_while(|line| line.starts_with("//"));
            let mut text = first.to_owned();
            more.clone().for_each(|line| text += line.trim_start_matches('/'));
            if !is_empty(&text) {
                continue;
            }
            // The code has the lines of the file, up to its tests.
            let code = code.get_or_insert_with(|| rust(&file.text).code);
            let behind: Vec<&str> = code.lines().skip(at + 1 + more.count()).collect();
            if block_lines(&behind.join("\n")).is_some_and(|lines| lines > LINES_MAX) {
                findings.push(Finding {
                    file: file.path.clone(),
                    line: at + 1,
                    what: format!(
                        "`{}` is all that is said of a block of more than {LINES_MAX} lines. Name the fact: which \
                         pointer is valid, for how long, who holds what",
                        first.trim()
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
    fn a_long_block_needs_a_fact() {
        let found = |safety: &str, code: &str| {
            let text = format!("fn f() {{\n    // SAFETY: {safety}\n    {code}\n}}\n");
            vague(&[File { path: "umc/src/lib/a.rs".into(), text }]).len()
        };
        let long = "unsafe {\n        a();\n        b();\n    }";
        assert_eq!(found("the caller's contract.", long), 1);
        assert_eq!(found("The caller's\n    // contract.", long), 1);
        assert_eq!(found("as above.", &format!("let x = {long};")), 1);
        assert_eq!(found("the caller's contract.", "unsafe {\n        a(\"{\")\n    }"), 0);
        assert_eq!(found("the caller's contract: `a` is valid.", long), 0);
        assert_eq!(found("the caller's contract.", "unsafe impl A for B {\n\n\n\n}"), 0);
        assert_eq!(found("by contract.", "a(unsafe { b }, || {\n\n\n\n    })"), 0);
    }
}
