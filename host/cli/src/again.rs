//! The command that goes on with a run: everything that a resumed attempt needs again.

use std::path::{Path, PathBuf};

use domain::run::RunId;

use crate::arguments::{GrantArguments, LimitArguments, RunArguments};
use crate::document::DocumentFile;
use crate::shell::quoted;

/// Parameters and clock are in the books; secret ones, `secret`, must be given again, and what
/// stands beside the document is named again.
pub(crate) fn command(
    document: &DocumentFile,
    run: &RunId,
    arguments: &RunArguments,
    state_dir: Option<&Path>,
    secret: &[String],
) -> String {
    let mut words = vec![format!("airlock run {} --resume={run}", document.argument())];
    let (input, sandboxed) = (&arguments.sandboxed.job.input, &arguments.sandboxed);
    words.extend(options(&Options {
        job: None,
        sources: input.sources.as_deref(),
        state_dir,
        plugins: &input.plugins,
        grants: &sandboxed.grants,
        limits: &sandboxed.limits,
        secret,
    }));
    words.join(" ")
}

/// Options that are not in the books.
pub(crate) struct Options<'a> {
    pub(crate) job: Option<&'a Path>,
    pub(crate) sources: Option<&'a Path>,
    pub(crate) state_dir: Option<&'a Path>,
    pub(crate) plugins: &'a [PathBuf],
    pub(crate) grants: &'a GrantArguments,
    pub(crate) limits: &'a LimitArguments,
    /// The names of secret parameters.
    pub(crate) secret: &'a [String],
}

/// They as words for a shell.
pub(crate) fn options(options: &Options<'_>) -> Vec<String> {
    let mut words = Vec::new();
    let mut add = |option: &str, value: &str| words.push(format!("{option} {}", quoted(value)));
    let paths = [
        ("--job", options.job),
        ("--sources", options.sources),
        ("--state-dir", options.state_dir),
    ];
    for (option, path) in paths {
        if let Some(path) = path {
            add(option, &path.display().to_string());
        }
    }
    for plugin in options.plugins {
        add("--plugin", &plugin.display().to_string());
    }
    let grants = options.grants;
    let repeated = [
        ("--allow-net", &grants.net),
        ("--allow-read", &grants.read),
        ("--allow-write", &grants.write),
        ("--limit", &options.limits.limits),
    ];
    for (option, values) in repeated {
        values.iter().for_each(|value| add(option, value));
    }
    words.extend(options.secret.iter().map(|name| format!("-p {}=...", quoted(name))));
    words
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::arguments::{Arguments, Command};

    #[test]
    fn everything_that_is_needed_again_is_repeated() {
        let line = "airlock run a.json -p a=1 -p pw=s3cret --bizdate 20251031 --sources s.json --plugin p.wasm --allow-net db:1 --allow-read in --allow-write out --limit memory=1GiB -o json";
        let Command::Run(arguments) = Arguments::try_parse_from(line.split(' ')).unwrap().command
        else {
            panic!("it is run")
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("my job.json");
        std::fs::write(&path, "{}").unwrap();
        let document = DocumentFile::read(&path).unwrap();
        let secret = ["pw".to_owned()];
        let state_dir = Some(Path::new("state"));
        let command = command(&document, &RunId("r1".into()), &arguments, state_dir, &secret);
        let expected = format!(
            "airlock run '{}' --resume=r1 --sources s.json --state-dir state --plugin p.wasm --allow-net db:1 --allow-read in --allow-write out --limit memory=1GiB -p pw=...",
            path.display()
        );
        assert_eq!(command, expected);
    }
}
