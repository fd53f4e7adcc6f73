//! Who may import whom.

use crate::tidy::{Source, host_crate};

/// Each crate of `host/`, and those of ours that it may import. Imports go down.
const MAY_IMPORT: [(&str, &[&str]); 10] = [
    ("domain", &[]),
    ("expression", &["domain"]),
    ("spec", &["domain", "expression"]),
    ("engine", &["domain", "expression"]),
    ("sandbox", &["domain", "codec"]),
    ("store", &["domain"]),
    ("testkit", &["domain"]),
    ("bundle", &[]),
    ("xtask", &[]),
    ("cli", &["domain", "expression", "spec", "engine", "sandbox", "store", "bundle"]),
];

/// Crates for tests may be seen by tests alone.
const TEST_CRATES: [&str; 1] = ["testkit"];

/// Third-party crates that few may know; a name ending in `*` is a beginning.
const ONLY_IN: [(&str, &[&str]); 9] = [
    ("sqlparser", &["expression"]),
    ("wasmtime*", &["sandbox"]),
    ("wasmparser", &["sandbox"]),
    ("cap-std", &["sandbox"]),
    ("rusqlite", &["store"]),
    ("clap*", &["cli"]),
    ("indicatif", &["cli"]),
    ("tracing-subscriber", &["cli"]),
    ("wit-bindgen", &[]),
];

/// Files that may allow unsafe code: the host's one crate, and what is generated from the contract.
const UNSAFE: [&str; 3] =
    ["host/sandbox/", "guest-plugins/sdk/src/lib.rs", "guest-plugins/faulty/src/lib.rs"];

pub(crate) fn check(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources {
        if let Some(name) = host_crate(&source.path)
            && source.path == format!("host/{name}/Cargo.toml")
        {
            findings.extend(check_manifest(name, source));
        }
        if source.path.ends_with(".rs") {
            findings.extend(check_unsafe(source));
        }
    }
    findings
}

fn check_manifest(name: &str, source: &Source) -> Vec<String> {
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(known, _)| *known == name) else {
        return vec![format!("{}: \"{name}\" has no row in the table of borders", source.path)];
    };
    let mut findings = Vec::new();
    for (line, dependency) in dependencies(&source.text) {
        let Dependency { name: wanted, for_tests } = dependency;
        let place = format!("{}:{line}", source.path);
        let is_ours = MAY_IMPORT.iter().any(|(ours, _)| *ours == wanted);
        let is_test_crate = for_tests && TEST_CRATES.contains(&wanted);
        if is_ours && !allowed.contains(&wanted) && !is_test_crate {
            findings.push(format!("{place}: \"{name}\" must not import \"{wanted}\""));
        }
        let rule = ONLY_IN.iter().find(|(pattern, _)| matches(pattern, wanted));
        if rule.is_some_and(|(_, crates)| !crates.contains(&name)) {
            findings.push(format!("{place}: \"{name}\" must not know \"{wanted}\""));
        }
    }
    findings
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

struct Dependency<'a> {
    name: &'a str,
    for_tests: bool,
}

/// The dependencies that a manifest names, with their lines.
fn dependencies(manifest: &str) -> Vec<(usize, Dependency<'_>)> {
    let mut found = Vec::new();
    let mut section = "";
    for (index, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']');
        } else if section.ends_with("dependencies") && !line.starts_with('#') {
            let end = line.find(['.', '=', ' ']).unwrap_or(0);
            if end > 0 {
                let for_tests = section.ends_with("dev-dependencies");
                found.push((index + 1, Dependency { name: &line[..end], for_tests }));
            }
        }
    }
    found
}

fn check_unsafe(source: &Source) -> Vec<String> {
    if UNSAFE.iter().any(|allowed| source.path.starts_with(allowed)) {
        return Vec::new();
    }
    let words = ["allow", "expect"].map(|word| format!("{word}(unsafe_code"));
    // The macro that makes a component is defined in the SDK and expands in each plug-in.
    let lines = source.text.lines().enumerate();
    lines
        .filter(|(_, line)| words.iter().any(|word| line.contains(word.as_str())))
        .map(|(index, _)| format!("{}:{}: unsafe code is not allowed here", source.path, index + 1))
        .collect()
}
