//! Where things lie in the checkout.

use std::path::{Path, PathBuf};

/// The folder of this package.
pub fn tests() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Cargo's target folder: a test's own program lies in `target/<profile>/deps`.
pub fn target() -> PathBuf {
    profile().parent().unwrap().to_owned()
}

/// The binary under test.
pub fn airlock() -> PathBuf {
    existing(profile().join("airlock"), "cargo build --release --package cli")
}

/// The binary with stop points.
pub fn stops() -> PathBuf {
    existing(profile().join("airlock-stops"), "cargo build --release --package tests")
}

/// A component that is not built in.
pub fn component(name: &str) -> PathBuf {
    existing(
        target().join("guests/wasm32-wasip2/release").join(format!("{name}.wasm")),
        &format!(
            "(cd guest-plugins && cargo build --release --target-dir ../target/guests --package {name})"
        ),
    )
}

/// Python with the referee's packages.
pub fn python() -> PathBuf {
    existing(target().join("tools/python/bin/python"), "cargo xtask test")
}

/// A tool beside that Python.
pub fn tool(name: &str) -> PathBuf {
    existing(target().join("tools/python/bin").join(name), "cargo xtask test")
}

fn profile() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let folder = program.parent().unwrap();
    let in_deps = folder.file_name().is_some_and(|name| name == "deps");
    if in_deps { folder.parent().unwrap().to_owned() } else { folder.to_owned() }
}

fn existing(path: PathBuf, command: &str) -> PathBuf {
    assert!(path.exists(), "\"{}\" is missing; make it with: {command}", path.display());
    path
}
