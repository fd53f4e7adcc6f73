//! Checks of the source tree that no compiler makes: who may import whom, sizes, texts.
//!
//! Each check reads files and answers findings as lines of text, `path:line: what`.

mod architecture;
mod borders;
mod sizes;
#[cfg(test)]
mod tests;
mod texts;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::shell::root;

/// Folders that hold nothing of ours.
const SKIPPED: [&str; 6] = ["target", "node_modules", "out", "dist", "fuzz", ".git"];

/// A text file of the repository.
pub(crate) struct Source {
    /// From the root, with `/`.
    path: String,
    text: String,
}

/// Runs every check, and fails with all findings.
pub(crate) fn run() -> Result<()> {
    let mut sources = Vec::new();
    collect(&root(), "", &mut sources)?;
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    let findings = check(&sources);
    for finding in &findings {
        eprintln!("{finding}");
    }
    match findings.len() {
        0 => {
            println!("tidy: {} files", sources.len());
            Ok(())
        }
        count => bail!("{count} findings"),
    }
}

fn check(sources: &[Source]) -> Vec<String> {
    [borders::check, architecture::check, sizes::check, texts::check]
        .iter()
        .flat_map(|check| check(sources))
        .collect()
}

fn collect(folder: &Path, prefix: &str, sources: &mut Vec<Source>) -> Result<()> {
    let context = || folder.display().to_string();
    for entry in fs::read_dir(folder).with_context(context)? {
        let entry = entry.with_context(context)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().with_context(context)?;
        if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
            collect(&entry.path(), &format!("{path}/"), sources)?;
        }
        // What is no text is no source; what vanishes meanwhile was none either.
        if kind.is_file()
            && let Ok(text) = fs::read_to_string(entry.path())
        {
            sources.push(Source { path, text });
        }
    }
    Ok(())
}

/// The name of the host crate that `path` lies in.
fn host_crate(path: &str) -> Option<&str> {
    path.strip_prefix("host/")?.split_once('/').map(|(name, _)| name)
}
