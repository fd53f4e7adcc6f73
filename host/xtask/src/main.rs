//! The commands of this repository's development: `cargo xtask COMMAND`.
//!
//! Not part of the product: it installs tools, builds, checks and tests. It has hardly a dependency,
//! since it is compiled before anything else.
//!
//! Begin with [`USAGE`]; each command is a module, [`shell`] runs programs, [`tools`] installs them.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for terminals")]

mod bench;
mod quickstart;
mod shell;
mod test;
mod tidy;
mod tools;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::shell::Command;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  quickstart       installs what the build lacks, builds, and runs a first job
  test             installs what the tests need, checks and tests everything
  tools            installs what the build and the tests need, nothing else
  licences         checks third-party code only: licences, sources, known weaknesses
  tidy             checks borders, sizes and texts only
  guests           builds all plug-ins into target/guests, the faulty one too
  sim [--seed N]   plays many simulated runs, and shows which fault met which call and which planted
                   bugs were found; with a seed plays that one alone, and shows it
  types            writes TYPES.md anew: what each type becomes, as the plug-ins do it
  bench [CASE ...] [--rounds N] [--rows N] [--large N]
                   compares Airlock with other programs: time, memory, ratios; all cases without one
  bench --readme   writes the last results of the bench into README.md
  soak             the long tests: full matrices, many simulations, many kills";

/// Where the simulation reads which seed to replay, or how many to play.
const SIM_SEED: &str = "SIM_SEED";
const SIM_COUNT: &str = "SIM_COUNT";

/// Runs of `sim` and `soak`: some minutes of work.
const SIMULATIONS: &str = "200000";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["quickstart"] => quickstart::run(),
        ["test"] => test::run(),
        ["tools"] => tools::for_build().and_then(|()| tools::for_tests()),
        ["licences"] => tools::for_tests().and_then(|()| test::deny()),
        ["tidy"] => tidy::run(),
        ["guests"] => test::build_guests(),
        ["sim"] => simulation().env(SIM_COUNT, SIMULATIONS).run(),
        ["sim", "--seed", seed] => {
            simulation().args(["no_seed_breaks_an_invariant"]).env(SIM_SEED, seed).run()
        }
        ["types"] => test::types(),
        ["soak"] => test::soak(),
        ["bench", arguments @ ..] => bench::run(arguments),
        ["help" | "-h" | "--help"] => {
            println!("{USAGE}");
            Ok(())
        }
        _ => bail!("no such command\n\n{USAGE}"),
    }
}

/// The simulations are tests of the engine.
fn simulation() -> Command {
    Command::new("cargo")
        .args(["test", "--release", "--package", "engine", "--test", "sim"])
        .args(["--", "--nocapture"])
}
