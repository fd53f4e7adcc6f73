//! The bench: installs the programs that Airlock is compared with, and runs `tests/bench`.

use std::fs;

use anyhow::{Context, Result};

use crate::shell::{Command, root};
use crate::tools;

/// A program of others in a Python environment of its own, since they want different versions of the same.
struct Peer {
    name: &'static str,
    wheels: &'static [&'static str],
}

const PEERS: [Peer; 4] = [
    Peer { name: "polars", wheels: &["polars==2.1.0"] },
    Peer { name: "duckdb", wheels: &["duckdb==2.0.0"] },
    Peer { name: "pyarrow", wheels: &["pyarrow==26.0.1"] },
    // The newest version that has a scanner of PostgreSQL.
    Peer {
        name: "duckdb-postgres",
        wheels: &["duckdb==1.5.5", "duckdb-extension-postgres-scanner==1.5.5"],
    },
];

/// Runs the cases that `arguments` name, or all.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    tools::for_build()?;
    tools::for_tests()?;
    let folder = root().join("target/tools/bench");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    for peer in &PEERS {
        let installed = tools::environment(&folder.join(peer.name), peer.wheels);
        // The bench says what is missing, and compares the others.
        if let Err(error) = installed {
            println!("note: {} is not there: {error:#}", peer.name);
        }
    }
    Command::new("cargo").args(["build", "--release"]).run()?;
    let place = |path: &str| root().join(path).display().to_string();
    Command::new(tools::python().join("bin/python").display().to_string())
        .args([place("tests/bench/bench.py")])
        .args(arguments.iter().copied())
        .args(["--airlock".to_owned(), place("target/release/airlock")])
        .args(["--tools".to_owned(), folder.display().to_string()])
        .args(["--data".to_owned(), place("target/test-data")])
        .run()
}
