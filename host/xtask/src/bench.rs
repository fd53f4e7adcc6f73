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

const PEERS: [Peer; 13] = [
    Peer { name: "polars", wheels: &["polars==2.1.0"] },
    Peer { name: "duckdb", wheels: &["duckdb==2.0.0"] },
    Peer { name: "pyarrow", wheels: &["pyarrow==26.0.1"] },
    // The newest version that has scanners of PostgreSQL and MySQL.
    Peer {
        name: "duckdb-scanners",
        wheels: &[
            "duckdb==1.5.5",
            "duckdb-extension-postgres-scanner==1.5.5",
            "duckdb-extension-mysql-scanner==1.5.5",
        ],
    },
    // The newest versions of these two that bring their program along.
    Peer { name: "sling", wheels: &["sling==1.4.11", "sling-linux-amd64==1.4.11"] },
    Peer { name: "ingestr", wheels: &["ingestr==0.15.9"] },
    Peer {
        name: "dlt",
        wheels: &[
            "dlt[postgres,parquet,filesystem]==1.31.0",
            "sqlalchemy==2.1.9",
            "pymysql==1.2.4",
            "connectorx==0.4.6",
            "pyarrow==26.0.1",
        ],
    },
    Peer { name: "mq-bridge", wheels: &["mq-bridge==1.2.0"] },
    Peer { name: "connectorx", wheels: &["connectorx==0.4.6", "pyarrow==26.0.1"] },
    Peer {
        name: "adbc",
        wheels: &["adbc-driver-postgresql==1.13.0", "pyarrow==26.0.1", "polars==2.1.0"],
    },
    Peer { name: "fastavro", wheels: &["fastavro==1.13.1", "pyarrow==26.0.1"] },
    Peer { name: "openpyxl", wheels: &["openpyxl==3.1.5"] },
    Peer { name: "lxml", wheels: &["lxml==6.1.3"] },
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
    if let Err(error) = tools::for_bench() {
        println!("note: pgloader is not there: {error:#}");
    }
    Command::new("cargo").args(["build", "--release"]).run()?;
    let place = |path: &str| root().join(path).display().to_string();
    Command::new(tools::python().join("bin/python").display().to_string())
        .args([place("tests/bench/bench.py")])
        .args(arguments.iter().copied())
        .args(["--airlock".to_owned(), place("target/release/airlock")])
        .args(["--tools".to_owned(), folder.display().to_string()])
        .args(["--data".to_owned(), place("target/test-data")])
        .args(["--results".to_owned(), place("target/bench")])
        .run()
}
