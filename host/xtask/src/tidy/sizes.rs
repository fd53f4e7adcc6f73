//! Files and functions stay short. What is longer is listed, and the list may only shrink.

use std::collections::BTreeMap;

use crate::tidy::Source;

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;

/// What is longer than its limit: `path` of a file, or `path name` of a function, and its lines now.
const EXCEPTIONS: &[(&str, usize)] = &[];

pub(crate) fn check(sources: &[Source]) -> Vec<String> {
    let code =
        sources.iter().filter(|source| source.path.ends_with(".rs") && !is_test(&source.path));
    let mut long = BTreeMap::new();
    for source in code {
        let text = without_tests(&source.text);
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            long.insert(source.path.clone(), lines);
        }
        for (name, lines) in functions(text) {
            if lines > FUNCTION_LINES_MAX {
                long.insert(format!("{} {name}", source.path), lines);
            }
        }
    }
    judge(&long, EXCEPTIONS)
}

/// What is too long and not listed, or listed with another number than it has.
fn judge(long: &BTreeMap<String, usize>, exceptions: &[(&str, usize)]) -> Vec<String> {
    let listed: BTreeMap<_, _> = exceptions.iter().copied().collect();
    let mut findings = Vec::new();
    for (what, lines) in long {
        match listed.get(what.as_str()) {
            None => findings.push(format!("{what}: {lines} lines are too many")),
            Some(old) if lines > old => {
                findings.push(format!("{what}: grew from {old} to {lines} lines"));
            }
            Some(old) if lines < old => {
                findings.push(format!("{what}: is shorter now, lower its exception to {lines}"));
            }
            Some(_) => {}
        }
    }
    for (what, _) in exceptions.iter().filter(|(what, _)| !long.contains_key(*what)) {
        findings.push(format!("{what}: is short now, remove its exception"));
    }
    findings
}

fn is_test(path: &str) -> bool {
    path.ends_with("tests.rs")
        || path.starts_with("tests/")
        || path.split('/').any(|part| part == "tests")
}

/// The text before its module of tests, which stands last.
fn without_tests(text: &str) -> &str {
    match text.find("#[cfg(test)]\nmod tests {") {
        Some(start) => &text[..start],
        None => text,
    }
}

/// Names and lines of the functions with a body. Relies on rustfmt: the closing brace stands under the
/// line that begins the function.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<_> = text.lines().collect();
    let mut found = Vec::new();
    for (first, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = &line[..line.len() - line.trim_start().len()];
        let closing = format!("{indent}}}");
        let end = lines[first..].iter().position(|line| {
            *line == closing
                || (line.starts_with(indent) && line.ends_with(';') && is_flat(line, indent))
        });
        if let Some(count) = end {
            found.push((name.to_owned(), count + 1));
        }
    }
    found
}

/// Whether `line` stands exactly at `indent`: the end of a declaration without a body.
fn is_flat(line: &str, indent: &str) -> bool {
    line[indent.len()..].starts_with(|first: char| !first.is_whitespace())
}

fn function_name(line: &str) -> Option<&str> {
    let mut words = line.trim_start();
    for prefix in ["pub(crate) ", "pub(super) ", "pub ", "const ", "async ", "unsafe "] {
        words = words.strip_prefix(prefix).unwrap_or(words);
    }
    let name = words.strip_prefix("fn ")?;
    Some(&name[..name.find(['(', '<'])?])
}
