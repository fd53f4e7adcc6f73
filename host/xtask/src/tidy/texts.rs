//! Words and sources that have no place in the tree.

use crate::tidy::Source;

/// Marks of unfinished work, in halves so that this file has none.
const UNFINISHED: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")];

/// Where every package comes from, as lock files name it.
const REGISTRY: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";

/// Files that hold settings of cargo, pip or npm.
const SETTINGS: [&str; 4] = [".toml", ".txt", "pip.conf", ".npmrc"];

/// Settings that would name another registry.
const OTHER_REGISTRY: [&str; 4] = ["replace-with", "[source.", "index-url", "registry="];

pub(crate) fn check(sources: &[Source]) -> Vec<String> {
    sources.iter().flat_map(check_file).collect()
}

fn check_file(source: &Source) -> Vec<String> {
    let is_lock = source.path.ends_with("Cargo.lock");
    let is_setting = SETTINGS.iter().any(|end| source.path.ends_with(end));
    let mut findings = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let mut find = |what: &str| findings.push(format!("{}:{}: {what}", source.path, index + 1));
        if is_lock && line.starts_with("source = ") && line != REGISTRY {
            find("a package from elsewhere than crates.io");
        }
        if UNFINISHED.iter().any(|mark| has_word(line, mark)) {
            find("a mark of unfinished work");
        }
        if is_setting && OTHER_REGISTRY.iter().any(|setting| line.contains(setting)) {
            find("a setting that names another registry");
        }
    }
    findings
}

/// Whether `word` stands in `line` by itself.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + word.len()..].chars().next();
        let is_part =
            |letter: Option<char>| letter.is_some_and(|it| it.is_alphanumeric() || it == '_');
        !is_part(before) && (word.ends_with(':') || !is_part(after))
    })
}
