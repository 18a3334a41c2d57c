// SPDX-License-Identifier: GPL-2.0-only
//! The files of a tree, and Rust source without its comments.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A text file of the tree.
pub struct File {
    /// Below the top of the tree.
    pub path: PathBuf,
    pub text: String,
}

impl File {
    pub fn is(&self, extension: &str) -> bool {
        self.path.extension().is_some_and(|found| found == extension)
    }

    pub fn is_below(&self, folder: &str) -> bool {
        self.path.starts_with(folder)
    }

    /// A file of unit tests.
    pub fn is_test(&self) -> bool {
        self.path.file_stem().is_some_and(|stem| stem == "tests")
            || self.path.iter().any(|part| part == "tests")
    }
}

/// Folders that hold nothing of ours.
const PASSED_OVER: [&str; 3] = ["target", "cache", "node_modules"];

/// Every file that is text, in the order of their paths.
pub fn read_tree(top: &Path) -> Result<Vec<File>> {
    let mut files = Vec::new();
    read_folder(top, Path::new(""), &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn read_folder(top: &Path, folder: &Path, files: &mut Vec<File>) -> Result<()> {
    let at = top.join(folder);
    for entry in fs::read_dir(&at).with_context(|| at.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = folder.join(&name);
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if name != ".git" && !PASSED_OVER.contains(&name.as_str()) {
                read_folder(top, &path, files)?;
            }
        } else if kind.is_file()
            && let Ok(text) = fs::read_to_string(entry.path())
        {
            files.push(File { path, text });
        }
    }
    Ok(())
}

/// Rust source taken apart.
pub struct Rust {
    /// The code: comments and the insides of strings are blanks, lines stay where they are. It ends where an inline
    /// module of tests begins.
    pub code: String,
    /// The insides of strings, each with the line where it begins.
    pub strings: Vec<(usize, String)>,
}

/// Takes Rust source apart. What it reads has passed the compiler, so it does not look for errors.
pub fn rust(text: &str) -> Rust {
    let text = text.find("#[cfg(test)]\nmod ").map_or(text, |tests| &text[..tests]);
    let chars: Vec<char> = text.chars().collect();
    let (mut code, mut strings) = (String::with_capacity(text.len()), Vec::new());
    let (mut at, mut line) = (0, 1);
    let starts = |at: usize, what: &str| {
        what.chars().enumerate().all(|(i, c)| chars.get(at + i) == Some(&c))
    };
    while at < chars.len() {
        let begin = at;
        if starts(at, "//") {
            while at < chars.len() && chars[at] != '\n' {
                at += 1;
            }
        } else if starts(at, "/*") {
            while at < chars.len() && !starts(at, "*/") {
                at += 1;
            }
            at = (at + 2).min(chars.len());
        } else if let Some(hashes) = raw_string(&chars, at) {
            let close: String = std::iter::once('"').chain("#".repeat(hashes).chars()).collect();
            at += hashes + 2;
            let inside = at;
            while at < chars.len() && !starts(at, &close) {
                at += 1;
            }
            strings.push((line, chars[inside..at].iter().collect()));
            at = (at + hashes + 1).min(chars.len());
        } else if chars[at] == '"' {
            at += 1;
            let inside = at;
            while at < chars.len() && chars[at] != '"' {
                at += if chars[at] == '\\' { 2 } else { 1 };
            }
            at = at.min(chars.len());
            strings.push((line, chars[inside..at].iter().collect()));
            at = (at + 1).min(chars.len());
        } else {
            // A character literal may hold a quote; a lifetime has no second apostrophe so soon.
            let literal = chars[at] == '\''
                && (chars.get(at + 2) == Some(&'\'') || chars.get(at + 1) == Some(&'\\'));
            if literal {
                at += if chars[at + 1] == '\\' { 3 } else { 2 };
                while at < chars.len() && chars[at] != '\'' {
                    at += 1;
                }
            } else {
                code.push(chars[at]);
            }
            line += usize::from(chars[at.min(chars.len() - 1)] == '\n');
            at += 1;
            continue;
        }
        let passed = &chars[begin..at];
        let lines = passed.iter().filter(|c| **c == '\n').count();
        code.extend(std::iter::repeat_n('\n', lines));
        code.push(' ');
        line += lines;
    }
    Rust { code, strings }
}

/// Whether a raw string begins here: the number of its hashes.
fn raw_string(chars: &[char], at: usize) -> Option<usize> {
    let word = |c: &char| c.is_alphanumeric() || *c == '_';
    if chars[at] != 'r' || (at > 0 && word(&chars[at - 1]) && chars[at - 1] != 'b') {
        return None;
    }
    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
    (chars.get(at + 1 + hashes) == Some(&'"')).then_some(hashes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_strings_and_tests_are_no_code() {
        let found = rust(
            "use a; // crate::b\n/* crate::c\n*/ let d = \"crate::\\\"e\"; r#\"f\n\"#; '\"'; 'x: loop\n#[cfg(test)]\nmod tests {}",
        );
        assert!(!found.code.contains("crate"), "{}", found.code);
        assert!(found.code.contains("'x: loop"), "{}", found.code);
        assert!(!found.code.contains("tests"));
        assert_eq!(found.strings, [(3, "crate::\\\"e".into()), (3, "f\n".into())]);
        assert_eq!(found.code.lines().count(), 4);
    }
}
