//! Runs programs, and says which.

use std::path::{Path, PathBuf};
use std::process;

use anyhow::{Context, Result, bail};

/// A program to run, from the repository's root unless another folder is named.
pub(crate) struct Command {
    inner: process::Command,
    words: Vec<String>,
}

impl Command {
    pub(crate) fn new(program: impl Into<String>) -> Self {
        let program = program.into();
        let mut inner = process::Command::new(&program);
        inner.current_dir(root());
        Self { inner, words: vec![program] }
    }

    pub(crate) fn args<T: Into<String>>(mut self, args: impl IntoIterator<Item = T>) -> Self {
        for arg in args {
            let arg = arg.into();
            self.inner.arg(&arg);
            self.words.push(arg);
        }
        self
    }

    pub(crate) fn folder(mut self, folder: impl AsRef<Path>) -> Self {
        self.inner.current_dir(folder);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.inner.env(name, value);
        self
    }

    pub(crate) fn env_remove(mut self, name: &str) -> Self {
        self.inner.env_remove(name);
        self
    }

    /// Shows the command, runs it, and fails where it fails.
    pub(crate) fn run(mut self) -> Result<()> {
        let text = self.words.join(" ");
        println!("$ {text}");
        let status = self.inner.status().with_context(|| format!("\"{text}\" does not start"))?;
        if !status.success() {
            bail!("\"{text}\" failed ({status})");
        }
        Ok(())
    }

    /// What it prints, where it starts and succeeds.
    pub(crate) fn output(mut self) -> Option<String> {
        let output = self.inner.stderr(process::Stdio::null()).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    }

    /// True where it starts and succeeds; prints nothing.
    pub(crate) fn succeeds(self) -> bool {
        self.output().is_some()
    }
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own).to_owned()
}
