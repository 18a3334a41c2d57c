// SPDX-License-Identifier: GPL-2.0-only
//! The largest circle of modules in the emulated kernel is the one that the head of `umc/src/sched.rs` names.
//!
//! A module is a file of a floor with its parts, or the file of the floor itself. The root, which holds everybody's state,
//! is left out. Floors hold no circle between them (`arrows`), so each circle lies within one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::Finding;
use crate::arrows::{homes, used};
use crate::source::{File, rust};

/// Where the circle is named: its head has a line that begins so, and names the modules between backticks up to the
/// next full stop.
const NAMED_IN: &str = "umc/src/sched.rs";
const NAMED_BY: &str = "One circle";

type Graph = BTreeMap<String, BTreeSet<String>>;

/// Floor and module that a file belongs to: `umc/src/FLOOR/MODULE/…`, or `umc/src/FLOOR.rs`.
fn module_of(path: &Path) -> Option<(String, String)> {
    let rest = path.strip_prefix("umc/src").ok()?.with_extension("");
    let mut parts = rest.iter().map(|part| part.to_string_lossy().into_owned());
    let floor = parts.next()?;
    let module = parts.next().unwrap_or_else(|| floor.clone());
    Some((floor, module))
}

/// Who uses whom.
fn graph(files: &[File]) -> Graph {
    let homes = homes(files);
    let mut graph = Graph::new();
    for file in files.iter().filter(|file| file.is("rs") && !file.is_test()) {
        let Some((floor, module)) = module_of(&file.path) else { continue };
        if !homes.contains_key(&floor) {
            continue;
        }
        let code = rust(&file.text).code;
        let is_module = |name: &str| homes.get(name).is_some_and(|home| *home == floor);
        let mut targets = BTreeSet::new();
        for (_, path) in used(&code) {
            // A module may be reached by way of its floor; the macro of the log is the log.
            let mut names = path.split("::");
            let first = names.next().unwrap_or_default();
            let first = if first == "kprintln" { "printk" } else { first };
            match names.next().filter(|name| is_module(name)) {
                Some(name) if first == floor => targets.insert(name.to_owned()),
                _ if is_module(first) => targets.insert(first.to_owned()),
                _ => false,
            };
        }
        // From a module to its neighbours, or to its floor; and from a floor's file to its modules.
        let depth = file.path.iter().count() - 4;
        let is_floor = file.path.iter().count() == 3;
        if !is_floor {
            let up = "super::".repeat(depth + 1);
            for (at, _) in
                code.match_indices(&up).filter(|(at, _)| !code[..*at].ends_with("super::"))
            {
                let name = word(&code[at + up.len()..]);
                if name != "super" {
                    targets.insert(if is_module(name) { name.to_owned() } else { floor.clone() });
                }
            }
        } else {
            let own = homes.iter().filter(|(_, home)| **home == floor).map(|(name, _)| name);
            targets.extend(own.filter(|name| names_path(&code, name)).cloned());
        }
        targets.remove(&module);
        graph.entry(module).or_default().extend(targets);
    }
    graph
}

/// The word that `text` begins with.
fn word(text: &str) -> &str {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}

/// Whether `code` has a path that begins with `name`.
fn names_path(code: &str, name: &str) -> bool {
    code.match_indices(&format!("{name}::"))
        .any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'))
}

/// Everything that `from` uses, directly or not.
fn reach<'a>(graph: &'a Graph, from: &'a str) -> BTreeSet<&'a str> {
    let (mut seen, mut ahead) = (BTreeSet::new(), vec![from]);
    while let Some(name) = ahead.pop() {
        for next in graph.get(name).into_iter().flatten() {
            if seen.insert(next.as_str()) {
                ahead.push(next);
            }
        }
    }
    seen
}

/// The circles, the largest first.
fn circles(graph: &Graph) -> Vec<BTreeSet<&str>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        graph.keys().map(|name| (name.as_str(), reach(graph, name))).collect();
    let mut circles = BTreeSet::new();
    for (name, below) in &reached {
        let circle: BTreeSet<&str> = below
            .iter()
            .copied()
            .filter(|other| reached.get(other).is_some_and(|back| back.contains(name)))
            .collect();
        if circle.len() > 1 {
            circles.insert(circle);
        }
    }
    let mut circles: Vec<_> = circles.into_iter().collect();
    circles.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
    circles
}

/// The modules that the head of a file names as one circle.
fn named(text: &str) -> BTreeSet<&str> {
    let head = text.find(NAMED_BY).map_or("", |at| &text[at..]);
    let head = head.split(".\n").next().unwrap_or_default();
    head.split('`').skip(1).step_by(2).collect()
}

/// Says where the largest circle is another one than the one that is named, or where a second one is as large.
pub fn grown(files: &[File]) -> Vec<Finding> {
    let Some(place) = files.iter().find(|file| file.path == Path::new(NAMED_IN)) else {
        return Vec::new();
    };
    let graph = graph(files);
    let circles = circles(&graph);
    let named = named(&place.text);
    let finding = |what| Finding { file: place.path.clone(), line: 1, what };
    let list = |names: &BTreeSet<&str>| names.iter().copied().collect::<Vec<_>>().join(", ");
    let mut findings = Vec::new();
    let stands = circles.contains(&named) || (named.is_empty() && circles.is_empty());
    if !stands {
        let nearest = circles.iter().max_by_key(|circle| circle.intersection(&named).count());
        findings.push(finding(format!(
            "names the circle {}, and the modules have {}. Cut the new arrow, or name the circle as it is",
            list(&named),
            nearest.map_or_else(|| "none".to_owned(), list)
        )));
    }
    for circle in circles.iter().filter(|circle| **circle != named && circle.len() >= named.len()) {
        findings.push(finding(format!(
            "is to name the largest circle, and this one is as large: {}. Cut one of its arrows",
            list(circle)
        )));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.into(), text: text.into() }
    }

    const SCHED: &str = "//! Tasks. One circle is honest: `printk`, `sched`.\nuse crate::printk;";

    #[test]
    fn the_circle_that_is_named_may_be_there_and_none_as_large() {
        let mut files = vec![
            file("umc/src/sched.rs", SCHED),
            file("umc/src/sched/printk.rs", "use crate::{mm::gfp, sched::{self, X}};"),
            file("umc/src/mm/slab.rs", "use crate::printk;"),
            file("umc/src/mm/slab/cache.rs", "use super::X; use crate::{Errno, vmalloc};"),
            file("umc/src/mm/vmalloc.rs", ""),
        ];
        assert_eq!(grown(&files), []);
        files.push(file("umc/src/mm/vmalloc/area.rs", "fn f() { super::super::slab::alloc() }"));
        let found = grown(&files);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].what.contains("this one is as large: slab, vmalloc"), "{found:?}");
    }

    #[test]
    fn a_circle_that_grows_is_found() {
        let files = [
            file("umc/src/sched.rs", SCHED),
            file("umc/src/sched/printk.rs", "fn f() { crate::kprintln!(); signal::x(); }"),
            file("umc/src/sched/bug.rs", "use crate::sched;"),
            file("umc/src/sched/signal.rs", "use super::Task;"),
        ];
        assert!(grown(&files)[0].what.contains("the modules have none"));
        let grows = "//! One circle: `printk`, `sched`.\nuse crate::{printk, signal};";
        let files = [
            file("umc/src/sched.rs", grows),
            file("umc/src/sched/printk.rs", "use crate::sched;"),
            file("umc/src/sched/signal.rs", "use super::Task;"),
        ];
        let found = grown(&files);
        assert!(found[0].what.contains("the modules have printk, sched, signal"), "{found:?}");
    }
}
