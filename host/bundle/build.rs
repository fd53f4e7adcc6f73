//! Builds the built-in plug-ins and writes the table that `src/lib.rs` includes.
//!
//! The guests are a workspace of their own, for another target, so a second cargo builds them, in
//! `target/guests`: a directory of its own, because cargo locks a target directory while it builds,
//! and one that survives, so that only what changed is built again.

#![allow(clippy::print_stdout, reason = "a build script speaks to cargo on its standard output")]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::{env, fs};

/// Packages of `guest-plugins/` that every binary carries.
const PLUGINS: [&str; 7] = ["stream", "file", "mysql", "postgresql", "rest", "sqlite", "texts"];

const TARGET: &str = "wasm32-wasip2";

/// Folders of `guest-plugins/` that no built-in plug-in is made of.
const NOT_BUILT_IN: [&str; 2] = ["target", "faulty"];

/// Variables of cargo that mean the same to the inner cargo; all others tell about the outer build.
const KEPT: [&str; 5] =
    ["CARGO_HOME", "CARGO_MAKEFLAGS", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTRIES_"];

/// Variables beside cargo's own that would change what the inner compiler does.
const COMPILER: [&str; 7] = [
    "RUSTFLAGS",
    "RUSTDOCFLAGS",
    "RUSTC",
    "RUSTDOC",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_LINKER",
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            for line in message.lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let root = variable("CARGO_MANIFEST_DIR")?.join("../..");
    let root = root.canonicalize().map_err(|error| format!("{}: {error}", root.display()))?;
    let guests = root.join("guest-plugins");
    watch(&root, &guests)?;
    check_tools()?;
    let target = root.join("target/guests");
    build(&guests, &target)?;
    write_table(&target.join(TARGET).join("release"), &variable("OUT_DIR")?)
}

fn variable(name: &str) -> Result<PathBuf, String> {
    env::var_os(name).map(PathBuf::from).ok_or_else(|| format!("{name} is not set"))
}

/// Names what the components are made of; a folder means everything in it.
fn watch(root: &Path, guests: &Path) -> Result<(), String> {
    let unreadable = |error| format!("{}: {error}", guests.display());
    let mut paths = vec![root.join("wit"), root.join("host/bundle/build.rs")];
    for entry in fs::read_dir(guests).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if !NOT_BUILT_IN.iter().any(|name| entry.file_name() == *name) {
            paths.push(entry.path());
        }
    }
    for path in paths {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    Ok(())
}

fn check_tools() -> Result<(), String> {
    let hint = "run \"cargo xtask quickstart\", which installs what the build needs";
    let libraries = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .map_err(|error| format!("rustc does not start: {error}"))?;
    let folder = String::from_utf8_lossy(&libraries.stdout).trim().to_owned();
    if !libraries.status.success() || !Path::new(&folder).is_dir() {
        return Err(format!("the Rust target \"{TARGET}\" is missing\n{hint}"));
    }
    for tool in ["clang", "llvm-ar"] {
        let found = Command::new(tool).arg("--version").stdout(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            return Err(format!("\"{tool}\" is missing; it compiles C parts of plug-ins\n{hint}"));
        }
    }
    Ok(())
}

fn build(guests: &Path, target: &Path) -> Result<(), String> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let kept = KEPT.iter().any(|prefix| text.starts_with(prefix));
        if (text.starts_with("CARGO_") && !kept) || COMPILER.contains(&&*text) {
            cargo.env_remove(&name);
        }
    }
    // The folder matters: cargo reads `.cargo/config.toml` from where it is started.
    cargo.current_dir(guests).args(["build", "--release", "--target-dir"]).arg(target);
    for plugin in PLUGINS {
        cargo.args(["--package", plugin]);
    }
    // Its standard output would be taken for words to the outer cargo.
    let status = cargo.stdout(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("building the plug-ins in guest-plugins/ failed ({status})")),
        Err(error) => Err(format!("cargo does not start: {error}")),
    }
}

/// Copies each component that changed, and writes `plugins.rs`.
fn write_table(built: &Path, out: &Path) -> Result<(), String> {
    let mut table = String::from("&[\n");
    for name in PLUGINS {
        let file = format!("{name}.wasm");
        let component = built.join(&file);
        let bytes =
            fs::read(&component).map_err(|error| format!("{}: {error}", component.display()))?;
        write_changed(&out.join(&file), &bytes)?;
        let digest = blake3::hash(&bytes).to_hex();
        table += &format!(
            "    Plugin {{ name: {name:?}, digest: \"blake3:{digest}\", \
             bytes: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{file}\")) }},\n"
        );
    }
    table += "]\n";
    write_changed(&out.join("plugins.rs"), table.as_bytes())
}

/// An untouched file keeps its time, so that nothing that includes it is compiled again.
fn write_changed(path: &Path, bytes: &[u8]) -> Result<(), String> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    // A new file, and not the old one written over: a copy of a target folder by hard links shares it.
    let fresh = path.with_extension("new");
    let written = fs::write(&fresh, bytes).and_then(|()| fs::rename(&fresh, path));
    written.map_err(|error| format!("{}: {error}", path.display()))
}
