// SPDX-License-Identifier: GPL-2.0-only
//! Handlers that cannot be used, and what the user is told.

#[path = "support/compile.rs"]
mod compile;

use std::fs;

use handlers::{Kind, Registry};
use tempfile::TempDir;

const ENDING: &str = "int open_it(struct tcmu_device *d, bool r) { (void)d; (void)r; return -1; }\n\
    void close_it(struct tcmu_device *d) { (void)d; }\n\
    int cmd(struct tcmu_device *d, struct tcmur_cmd *c) { (void)d; (void)c; return 0; }\n";

fn dir() -> TempDir {
    tempfile::tempdir().expect("tempdir")
}

/// What is said when a disk asks for handler `name` in `dir`.
fn refusal(dir: &TempDir, name: &str) -> (Kind, String) {
    let registry = Registry::new([dir.path().to_owned()]);
    let error = registry.find(name).err().expect("it is refused");
    let text = error.to_string().replace(&*dir.path().to_string_lossy(), "DIR");
    (error.kind, text)
}

/// The same for a handler made of this C text.
fn compiled(name: &str, source: &str) -> (Kind, String) {
    let dir = dir();
    compile::handler(dir.path(), name, &format!("#include \"abi.h\"\n{source}"));
    refusal(&dir, name)
}

#[test]
fn text_is_no_handler() {
    let dir = dir();
    fs::write(dir.path().join("handler_text.so"), "hello").expect("written");
    let (kind, text) = refusal(&dir, "text");
    assert_eq!(kind, Kind::NotElf);
    assert_eq!(
        text,
        "Cannot load handler DIR/handler_text.so: it is not a 64-bit ELF file. \
         A handler is a shared object for x86-64."
    );
}

#[test]
fn a_program_is_no_handler() {
    let dir = dir();
    let object = dir.path().join("handler_object.so");
    fs::copy("/proc/self/exe", &object).expect("copied");
    let (kind, text) = refusal(&dir, "object");
    assert_eq!(kind, Kind::NoHandlerInit, "{text}");
}

#[test]
fn an_entry_is_needed() {
    let (kind, text) = compiled("empty", "int x;");
    assert_eq!(kind, Kind::NoHandlerInit);
    assert!(text.contains("it does not define handler_init"), "{text}");
}

#[test]
fn missing_symbols_are_all_named() {
    let source = "int tcmu_frobnicate(int); int librbd_thing(void);\n\
        int handler_init(void) { return tcmu_frobnicate(librbd_thing()); }";
    let (kind, text) = compiled("missing", source);
    assert_eq!(kind, Kind::MissingSymbols);
    assert!(text.contains("librbd_thing") && text.contains("tcmu_frobnicate"), "{text}");
    assert!(
        text.ends_with("Rebuild the handler against the headers of tcmu-runner 1.5.4 or later.")
    );
}

#[test]
fn older_versions_are_recognised() {
    let source = "char *tcmu_get_dev_cfgstring(void *);\n\
        int handler_init(void) { return tcmu_get_dev_cfgstring(0) != 0; }";
    let (kind, text) = compiled("old", source);
    assert_eq!(kind, Kind::ForeignAbi);
    assert!(text.contains("tcmu_get_dev_cfgstring") && text.contains("1.4"), "{text}");

    let source =
        "int tcmur_handle_caw(void);\nint handler_init(void) { return tcmur_handle_caw(); }";
    let (kind, text) = compiled("older", source);
    assert_eq!(kind, Kind::ForeignAbi);
    assert!(text.contains("1.5.0 to 1.5.3"), "{text}");
}

#[test]
fn a_failed_start_is_told() {
    let (kind, text) = compiled("fails", "int handler_init(void) { return 7; }");
    assert_eq!(kind, Kind::BadHandler);
    assert!(text.contains("handler_init returned 7"), "{text}");

    let source = format!(
        "{ENDING} static int init(void) {{ return 1; }}\n\
         static struct tcmur_handler h = {{ .subtype = \"noinit\", .open = open_it, .close = close_it, \
         .handle_cmd = cmd, .init = init }};\n\
         int handler_init(void) {{ return tcmur_register_handler(&h); }}"
    );
    let (kind, text) = compiled("noinit", &source);
    assert_eq!(kind, Kind::BadHandler);
    assert!(text.contains("its init failed"), "{text}");
}

#[test]
fn what_is_registered_must_be_usable() {
    let registering = |name: &str, fields: &str| {
        let source = format!(
            "{ENDING} static struct tcmur_handler h = {{ {fields} }};\n\
             int handler_init(void) {{ (void)cmd; (void)open_it; (void)close_it; \
             return tcmur_register_handler(&h); }}"
        );
        compiled(name, &source)
    };
    let (kind, text) = registering("noopen", ".subtype = \"noopen\", .handle_cmd = cmd");
    assert_eq!(kind, Kind::BadHandler);
    assert!(text.contains("it has no open or no close"), "{text}");

    let (_, text) =
        registering("nothing", ".subtype = \"nothing\", .open = open_it, .close = close_it");
    assert!(text.contains("neither handle_cmd nor both read and write"), "{text}");

    let fields = ".subtype = \"a/b\", .open = open_it, .close = close_it, .handle_cmd = cmd";
    let (_, text) = registering("slash", fields);
    assert!(text.contains("its subtype is empty, or contains a slash"), "{text}");
}

#[test]
fn a_file_that_registers_something_else_is_not_it() {
    let source = format!(
        "{ENDING} static struct tcmur_handler h = {{ .subtype = \"inside\", .open = open_it, \
         .close = close_it, .handle_cmd = cmd }};\n\
         int handler_init(void) {{ return tcmur_register_handler(&h); }}"
    );
    let dir = dir();
    compile::handler(dir.path(), "outside", &format!("#include \"abi.h\"\n{source}"));
    let (kind, text) = refusal(&dir, "outside");
    assert_eq!(kind, Kind::NoSuchHandler);
    assert!(text.contains("Known handlers:") && text.contains("inside"), "{text}");
    // It is found by what it registers, whatever its file is called.
    let registry = Registry::new([dir.path().to_owned()]);
    assert!(registry.find("inside").is_ok());
}
