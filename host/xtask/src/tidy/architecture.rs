//! ARCHITECTURE.md against the tree: it names every crate of `host/`, and every path in it exists.

use std::collections::BTreeSet;

use crate::tidy::{Source, host_crate};

const FILE: &str = "ARCHITECTURE.md";

/// A word in backquotes that begins with one of these is a path.
const TOP: [&str; 4] = ["host/", "guest-plugins/", "wit/", "tests/"];

pub(crate) fn check(sources: &[Source]) -> Vec<String> {
    let Some(document) = sources.iter().find(|source| source.path == FILE) else {
        return vec![format!("{FILE}: is missing")];
    };
    let manifests = sources.iter().filter(|source| source.path.ends_with("/Cargo.toml"));
    let crates: BTreeSet<_> = manifests.filter_map(|source| host_crate(&source.path)).collect();
    let mut findings: Vec<_> = crates
        .into_iter()
        .filter(|name| !document.text.contains(&format!("host/{name}")))
        .map(|name| format!("{FILE}: does not name host/{name}"))
        .collect();
    for (index, line) in document.text.lines().enumerate() {
        for path in paths(line) {
            if !exists(sources, path) {
                findings.push(format!("{FILE}:{}: \"{path}\" does not exist", index + 1));
            }
        }
    }
    findings
}

/// The paths in backquotes on `line`; patterns are none.
fn paths(line: &str) -> impl Iterator<Item = &str> {
    let quoted = line.split('`').skip(1).step_by(2);
    quoted.filter(|word| {
        TOP.iter().any(|top| word.starts_with(top)) && !word.contains(['*', ' ', '<', '{'])
    })
}

fn exists(sources: &[Source], path: &str) -> bool {
    let folder = format!("{}/", path.trim_end_matches('/'));
    sources.iter().any(|source| source.path == path || source.path.starts_with(&folder))
}
