// SPDX-License-Identifier: GPL-2.0-only
//! What `tools/lint` leaves to the toolchain is shown to refuse a planted fault, as the tests beside them show it of the
//! rules of `umc-tidy`. It is asked about a workspace of one tiny crate, which stands for `umc-tidy` too.

use std::fs;
use std::path::Path;
use std::process::Command;

const MANIFEST: &str = "[package]\nname = \"umc-tidy\"\nedition = \"2024\"\n\n[workspace]\n";

/// What `tools/lint` says of a workspace with this program; an error when it refuses it.
fn lint(top: &Path, program: &str, args: &[&str]) -> Result<String, String> {
    fs::write(top.join("src/main.rs"), program).expect("a program");
    let output = Command::new(top.join("tools/lint"))
        .args(args)
        // Everything of this workspace stays below it.
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("CARGO_BUILD_TARGET_DIR")
        .output()
        .expect("tools/lint runs");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if output.status.success() { Ok(said) } else { Err(said) }
}

#[test]
fn each_part_of_the_toolchain_refuses_its_fault() {
    let dir = tempfile::tempdir().expect("a directory");
    let top = dir.path();
    fs::create_dir(top.join("src")).expect("a directory");
    fs::create_dir(top.join("tools")).expect("a directory");
    fs::write(top.join("Cargo.toml"), MANIFEST).expect("a manifest");
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lint");
    fs::copy(ours, top.join("tools/lint")).expect("tools/lint");

    let good = "/// Does nothing.\nfn main() {}\n";
    assert_eq!(lint(top, good, &["--rustdoc"]), Ok(String::new()));
    let refused = |program: &str, args: &[&str], says: &str| {
        let said = lint(top, program, args).expect_err(says);
        assert!(said.contains(says), "{says} is not in: {said}");
    };
    refused("fn main() { }\n", &[], "Diff in");
    refused("fn main() {\n    return;\n}\n", &[], "unneeded `return`");
    // Private items have pages, too. Those of a real workspace take their time, so they are asked for.
    let dangling = "/// Does as [`gone`].\nfn main() {}\n";
    assert_eq!(lint(top, dangling, &[]), Ok(String::new()));
    refused(dangling, &["--rustdoc"], "unresolved link to `gone`");
}
