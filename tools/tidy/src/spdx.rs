// SPDX-License-Identifier: GPL-2.0-only
//! Every source file says its licence in its first lines.

use crate::Finding;
use crate::source::File;

const LINE: &str = "SPDX-License-Identifier: GPL-2.0-only";

fn is_source(file: &File) -> bool {
    ["rs", "c", "h", "sh", "py"].iter().any(|extension| file.is(extension))
        || (file.is_below("tools") && file.text.starts_with("#!"))
}

/// Source files without the line.
pub fn missing(files: &[File]) -> Vec<Finding> {
    files
        .iter()
        .filter(|file| {
            is_source(file) && !file.text.lines().take(3).any(|line| line.contains(LINE))
        })
        .map(|file| Finding {
            file: file.path.clone(),
            line: 1,
            what: format!("no SPDX line. Begin the file with a comment `{LINE}`"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_lines_count() {
        let file = |path: &str, text: &str| File { path: path.into(), text: text.into() };
        let line = format!("// {LINE}\n");
        let files = [
            file("a.rs", &line),
            file("b.rs", &format!("\n\n\n{line}")),
            file("tools/run", "#!/bin/sh\n"),
            file("tools/page", "text"),
        ];
        let found: Vec<_> = missing(&files).into_iter().map(|finding| finding.file).collect();
        assert_eq!(found, [std::path::PathBuf::from("b.rs"), "tools/run".into()]);
    }
}
