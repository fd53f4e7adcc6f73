//! From a fresh clone to a first job.

use anyhow::Result;

use crate::shell::{Command, root};
use crate::tools;

const JOB: &str = "tests/jobs/quickstart/job.json";

const NEXT: &str = "\
what to try next:
  target/release/airlock plan tests/jobs/quickstart/job.json       what a run would do, and may reach
  target/release/airlock run tests/jobs/quickstart/job.json -o json
  target/release/airlock discover tests/jobs/quickstart/job.json --sample 5
  target/release/airlock plugin list                               the built-in readers and writers
  cargo xtask test                                                 every check and test";

pub(crate) fn run() -> Result<()> {
    tools::for_build()?;
    println!("building; the first time takes some minutes");
    Command::new("cargo").args(["build", "--release"]).run()?;
    let binary = root().join("target/release/airlock").display().to_string();
    println!();
    Command::new(&binary).args(["plugin", "warm"]).run()?;
    println!();
    Command::new(&binary).args(["run", JOB]).run()?;
    println!("\nthe program: {binary}\n{NEXT}");
    Ok(())
}
