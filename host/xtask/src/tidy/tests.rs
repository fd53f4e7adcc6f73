//! Each check finds what it is for, and lets the rest pass.

use super::*;

fn source(path: &str, text: impl Into<String>) -> Source {
    Source { path: path.into(), text: text.into() }
}

fn manifest(name: &str, lines: &str) -> Source {
    source(&format!("host/{name}/Cargo.toml"), format!("[package]\nname = \"{name}\"\n{lines}"))
}

#[test]
fn imports_go_down_only() {
    let table = [
        ("engine", "[dependencies]\ndomain.workspace = true\ntokio.workspace = true", 0),
        ("engine", "[dev-dependencies]\ntestkit.workspace = true", 0),
        ("engine", "[dependencies]\ntestkit.workspace = true", 1),
        ("engine", "[dependencies]\nwasmtime.workspace = true", 1),
        ("engine", "[dependencies]\nwasmtime-wasi = { version = \"1\" }", 1),
        ("engine", "[dev-dependencies]\nsandbox.workspace = true", 1),
        ("domain", "[dependencies]\nspec.workspace = true", 1),
        ("store", "[dependencies]\nrusqlite = \"1\"", 0),
        ("spec", "[dependencies]\n# wasmtime.workspace = true", 0),
        ("cli", "[dependencies]\nengine.workspace = true\nclap_complete = \"4\"", 0),
        ("unheard", "", 1),
    ];
    for (name, lines, count) in table {
        let findings = borders::check(&[manifest(name, lines)]);
        assert_eq!(findings.len(), count, "{name} {lines}: {findings:?}");
    }
}

#[test]
fn unsafe_code_lives_in_the_sandbox() {
    let text = format!("#[{}(unsafe_code, reason = \"none\")]", "allow");
    assert!(borders::check(&[source("host/sandbox/src/cache.rs", text.as_str())]).is_empty());
    assert_eq!(borders::check(&[source("host/store/src/lib.rs", text.as_str())]).len(), 1);
}

#[test]
fn the_architecture_names_every_crate_and_no_path_that_is_not_there() {
    let crates = [manifest("domain", ""), manifest("engine", "")];
    let judge = |text: &str| {
        let mut sources = vec![source("ARCHITECTURE.md", text)];
        sources.extend(crates.iter().map(|it| source(&it.path, it.text.as_str())));
        architecture::check(&sources)
    };
    assert_eq!(judge("`host/domain/` and `host/engine/Cargo.toml`"), Vec::<String>::new());
    assert_eq!(judge("`host/domain`"), ["ARCHITECTURE.md: does not name host/engine"]);
    assert_eq!(
        judge("`host/domain`\n`host/engine/src/gone.rs`"),
        ["ARCHITECTURE.md:2: \"host/engine/src/gone.rs\" does not exist"]
    );
    assert_eq!(architecture::check(&[]).len(), 1);
}

/// A function of `lines` lines.
fn function(name: &str, lines: usize) -> String {
    format!("    pub fn {name}(&self) {{\n{}    }}\n", "        step();\n".repeat(lines - 2))
}

#[test]
fn long_functions_and_files_are_found() {
    let long = |path: &str, text: String| sizes::check(&[source(path, text)]);
    assert!(long("a/src/lib.rs", function("short", 70)).is_empty());
    assert_eq!(
        long("a/src/lib.rs", function("long", 71)),
        ["a/src/lib.rs long: 71 lines are too many"]
    );
    assert_eq!(
        long("a/src/lib.rs", "// line\n".repeat(601)),
        ["a/src/lib.rs: 601 lines are too many"]
    );
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function("long", 200));
    assert!(long("a/src/lib.rs", tests).is_empty());
    assert!(long("a/src/tests.rs", function("long", 200)).is_empty());
    let declared = format!("    fn declared(&self);\n{}", function("short", 60).repeat(2));
    assert!(long("a/src/lib.rs", declared).is_empty());
}

#[test]
fn marks_and_foreign_sources_are_found() {
    let count = |path: &str, text: &str| texts::check(&[source(path, text)]).len();
    assert_eq!(count("a.rs", &format!("// {}: later", concat!("TO", "DO"))), 1);
    assert_eq!(count("a.rs", "let todos = 1;"), 0);
    assert_eq!(count("Cargo.lock", "source = \"git+https://example.com/x\""), 1);
    assert_eq!(
        count(
            "guest-plugins/Cargo.lock",
            "source = \"registry+https://github.com/rust-lang/crates.io-index\""
        ),
        0
    );
    assert_eq!(count("x/config.toml", &format!("{} = \"y\"", concat!("replace-", "with"))), 1);
}
