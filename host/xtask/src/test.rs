//! Everything that a change must pass, and the long tests beside it.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::shell::{Command, root};
use crate::{SIM_COUNT, SIMULATIONS, tidy, tools};

/// Native tests of plug-ins need no slow optimization across crates.
const QUICK_PROFILE: [(&str, &str); 2] =
    [("CARGO_PROFILE_RELEASE_LTO", "false"), ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")];

/// Makes tests long.
const SOAK: &str = "SOAK";

/// The machine that compiles is the machine that tests.
const NATIVE: &str = env!("NATIVE_TARGET");

/// A step of the test command.
struct Step {
    name: &'static str,
    run: fn() -> Result<()>,
}

const STEPS: [Step; 9] = [
    Step { name: "format", run: format },
    Step { name: "tidy", run: tidy::run },
    Step { name: "third-party code", run: deny },
    Step { name: "plug-ins", run: build_guests },
    Step { name: "lints", run: clippy },
    Step { name: "lints of plug-ins", run: clippy_guests },
    Step { name: "binary", run: build },
    Step { name: "tests", run: tests },
    Step { name: "native tests of plug-ins", run: guest_tests },
];

/// Runs every step, also behind one that failed, so that one run shows all that is wrong.
pub(crate) fn run() -> Result<()> {
    tools::for_build()?;
    tools::for_tests()?;
    let mut report = String::new();
    let mut failed = Vec::new();
    for step in STEPS {
        println!("\n== {}", step.name);
        let began = Instant::now();
        let result = (step.run)();
        let seconds = began.elapsed().as_secs();
        let word = if result.is_ok() { "ok" } else { "FAILED" };
        report += &format!("{word:>8} {seconds:>5} s  {}\n", step.name);
        if let Err(error) = result {
            eprintln!("{}: {error:#}", step.name);
            failed.push(step.name);
        }
    }
    println!("\n{report}");
    match failed.is_empty() {
        true => Ok(()),
        false => bail!("failed: {}", failed.join(", ")),
    }
}

/// The long tests.
pub(crate) fn soak() -> Result<()> {
    tools::for_build()?;
    tools::for_tests()?;
    build_guests()?;
    build()?;
    let tests = Command::new("cargo")
        .args(["test", "--release", "--workspace", "--no-fail-fast"])
        .env(SOAK, "1")
        .env(SIM_COUNT, SIMULATIONS)
        .run();
    // Those of plug-ins too, whatever became of the others.
    native_tests().env(SOAK, "1").run().and(tests)
}

/// Writes TYPES.md anew, by the test that looks whether it is stale.
pub(crate) fn types() -> Result<()> {
    tools::for_build()?;
    tools::for_tests()?;
    build()?;
    cargo(["test", "--release", "--package", "tests", "--test", "e2e", "types::"])
        .env("UPDATE_EXPECTED", "1")
        .run()
}

fn cargo<const N: usize>(args: [&str; N]) -> Command {
    Command::new("cargo").args(args)
}

/// Cargo among the plug-ins; the folder matters, since their settings lie there.
fn guest_cargo<const N: usize>(args: [&str; N], target_dir: &str) -> Command {
    let target_dir = root().join(target_dir).display().to_string();
    cargo(args)
        .folder(root().join("guest-plugins"))
        .env_remove("RUSTFLAGS")
        .env("CARGO_TARGET_DIR", &target_dir)
}

fn format() -> Result<()> {
    cargo(["fmt", "--all", "--check"]).run()?;
    guest_cargo(["fmt", "--all", "--check"], "target/guests").run()
}

/// Third-party licences, bans, sources and known weaknesses, by `deny.toml`.
pub(crate) fn deny() -> Result<()> {
    // The database of weaknesses lies elsewhere; a machine that cannot reach it checks the rest.
    let advisories = cargo_deny(&root()).args(["fetch", "db"]).run().is_ok();
    if !advisories {
        println!("note: known weaknesses are not checked: their database cannot be fetched");
    }
    for workspace in [root(), root().join("guest-plugins")] {
        let check = cargo_deny(&workspace)
            .args(["check", "--hide-inclusion-graph", "--allow", "duplicate"])
            .args(["licenses", "bans", "sources"]);
        check.run()?;
        if advisories {
            cargo_deny(&workspace).args(["check", "--disable-fetch", "advisories"]).run()?;
        }
    }
    Ok(())
}

fn cargo_deny(workspace: &Path) -> Command {
    let manifest = workspace.join("Cargo.toml").display().to_string();
    let config = root().join("deny.toml").display().to_string();
    let program = tools::python().join("bin/cargo-deny").display().to_string();
    Command::new(program).args(["--manifest-path", &manifest, "--config", &config])
}

/// All plug-ins, the faulty one too, where the tests look for them.
pub(crate) fn build_guests() -> Result<()> {
    guest_cargo(["build", "--release", "--workspace"], "target/guests").run()
}

fn clippy() -> Result<()> {
    cargo(["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"]).run()
}

/// The plug-ins for their target, and their tests for the machine.
fn clippy_guests() -> Result<()> {
    let args = ["clippy", "--release", "--workspace", "--", "-D", "warnings"];
    guest_cargo(args, "target/guests").run()?;
    native_guests("clippy").args(["--all-targets", "--", "-D", "warnings"]).run()
}

/// Cargo among the plug-ins for the machine itself: all but the faulty one, which is a component alone.
fn native_guests(subcommand: &str) -> Command {
    let args = [subcommand, "--release", "--workspace", "--exclude", "faulty", "--target", NATIVE];
    guest_cargo(args, "target/guests-native")
}

fn build() -> Result<()> {
    cargo(["build", "--release"]).run()
}

fn tests() -> Result<()> {
    cargo(["test", "--release", "--workspace", "--no-fail-fast"]).run()
}

fn guest_tests() -> Result<()> {
    native_tests().run()
}

fn native_tests() -> Command {
    let command = native_guests("test").args(["--no-fail-fast"]);
    QUICK_PROFILE.iter().fold(command, |command, (name, value)| command.env(name, value))
}
