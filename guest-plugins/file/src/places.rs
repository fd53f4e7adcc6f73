//! Which files a written path means.
//!
//! A path without wildcards is a file, or a folder with its files. `*` and `?` stand for characters of one
//! name, `[a-z]` for one of some, `{a,b}` for either text, `**` for any folders. Names that begin with a
//! point or an underscore (`_SUCCESS`, `_temporary`) are passed over unless the pattern begins with it too.

use std::fs;

use sdk::{Fault, Result};

use crate::disk;

/// More files than a job can be meant to read; a list of them must fit in memory.
const FILES_MAX: usize = 200_000;
/// Folders below each other that `**` walks into.
const DEPTH_MAX: usize = 64;
/// Texts that the braces of one path stand for.
const BRACES_MAX: usize = 1_000;

/// Names that begin with one of these are no data.
pub(crate) const HIDDEN: [char; 2] = ['.', '_'];

const WILDCARDS: [char; 4] = ['*', '?', '[', '{'];

/// The part of a written path before its first wildcard, cut back to the last `/` where there is one; `.`
/// where nothing is left. The folder is granted under this text.
pub(crate) fn folder_text(written: &str) -> &str {
    let before = match written.find(WILDCARDS) {
        Some(wildcard) => match written[..wildcard].rfind('/') {
            Some(0) => "/",
            Some(slash) => &written[..slash],
            None => "",
        },
        None => written,
    };
    match before.trim_end_matches('/') {
        "" if before.starts_with('/') => "/",
        "" => ".",
        text => text,
    }
}

/// The files that the written paths mean, each once, by name; none of them is called `done`, the file that
/// says that the others are there.
///
/// # Errors
/// `file.not_found`, for a path that means none.
pub(crate) fn files(written: &[String], done: Option<&str>) -> Result<Vec<String>> {
    let mut files: Vec<String> = Vec::new();
    let is_done = |file: &String| {
        done.is_some_and(|done| file.rsplit('/').next().is_some_and(|it| it == done))
    };
    for (at, path) in written.iter().enumerate() {
        let before = files.len();
        match path.contains(WILDCARDS) {
            true => matching(path, &mut files)?,
            false => plain(path, &mut files)?,
        }
        files.retain(|file| !is_done(file));
        if files.len() == before {
            return Err(Fault::external("file.not_found", format!("no file matches \"{path}\""))
                .hint("check the path, and that the files are there")
                .at(format!("/parameter/path/{at}")));
        }
    }
    files.sort();
    files.dedup();
    Ok(files)
}

fn plain(path: &str, files: &mut Vec<String>) -> Result<()> {
    let metadata = fs::metadata(path).map_err(|error| disk::fault("open", path, &error))?;
    if !metadata.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for name in disk::names(path)?.iter().filter(|name| !name.starts_with(HIDDEN)) {
        let file = joined(path, name);
        if is_file(&file)? {
            push(file, files)?;
        }
    }
    Ok(())
}

fn joined(folder: &str, name: &str) -> String {
    match folder {
        "." => name.to_owned(),
        folder => format!("{}/{name}", folder.trim_end_matches('/')),
    }
}

fn is_file(path: &str) -> Result<bool> {
    let metadata = fs::metadata(path).map_err(|error| disk::fault("open", path, &error))?;
    Ok(metadata.is_file())
}

fn push(file: String, files: &mut Vec<String>) -> Result<()> {
    if files.len() == FILES_MAX {
        return Err(Fault::user(
            "file.too_many",
            format!("the paths mean more than {FILES_MAX} files"),
        )
        .hint("read them in several jobs")
        .at("/parameter/path"));
    }
    files.push(file);
    Ok(())
}

fn matching(written: &str, files: &mut Vec<String>) -> Result<()> {
    let folder = folder_text(written);
    // Braces stand behind the folder, which is cut before them.
    for pattern in braces(written)? {
        let rest = match folder {
            "." if !pattern.starts_with("./") => pattern.as_str(),
            folder => pattern.get(folder.len()..).unwrap_or_default().trim_start_matches('/'),
        };
        let segments: Vec<_> = rest.split('/').filter(|segment| !segment.is_empty()).collect();
        walk(folder, &segments, 0, files)?;
    }
    Ok(())
}

fn walk(folder: &str, segments: &[&str], depth: usize, files: &mut Vec<String>) -> Result<()> {
    let Some((first, rest)) = segments.split_first() else { return Ok(()) };
    if depth > DEPTH_MAX {
        let message = format!("folders below \"{folder}\" are nested deeper than {DEPTH_MAX}");
        return Err(Fault::external("file.too_deep", message));
    }
    let any_folders = *first == "**";
    if any_folders {
        walk(folder, rest, depth + 1, files)?;
    }
    for name in disk::names(folder)? {
        let hidden = name.starts_with(HIDDEN) && first.chars().next() != name.chars().next();
        let path = joined(folder, &name);
        if hidden || !any_folders && !matches(first, &name) {
            continue;
        }
        match (is_file(&path)?, any_folders, rest.is_empty()) {
            (true, _, true) => push(path, files)?,
            (false, true, _) => walk(&path, segments, depth + 1, files)?,
            (false, false, false) => walk(&path, rest, depth + 1, files)?,
            _ => {}
        }
    }
    Ok(())
}

/// The texts that a pattern with braces stands for. Braces without a comma are themselves.
fn braces(pattern: &str) -> Result<Vec<String>> {
    let mut done = Vec::new();
    let mut left = vec![pattern.to_owned()];
    while let Some(pattern) = left.pop() {
        if done.len() + left.len() > BRACES_MAX {
            let message = format!("the braces stand for more than {BRACES_MAX} paths");
            return Err(Fault::user("parameter.invalid", message).at("/parameter/path"));
        }
        let group = pattern.find('{').and_then(|open| {
            let close = open + pattern[open..].find('}')?;
            pattern[open + 1..close].contains(',').then_some((open, close))
        });
        match group {
            None => done.push(pattern),
            Some((open, close)) => {
                for text in pattern[open + 1..close].split(',') {
                    left.push(format!("{}{text}{}", &pattern[..open], &pattern[close + 1..]));
                }
            }
        }
    }
    done.sort();
    Ok(done)
}

/// Whether a name matches one segment of a pattern.
fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    // Where the last star stood, and where the name went on behind it.
    let mut star: Option<(usize, usize)> = None;
    let (mut p, mut n) = (0, 0);
    while n < name.len() {
        let step = match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, n));
                p += 1;
                continue;
            }
            Some('?') => Some(p + 1),
            Some('[') => class(&pattern, p, name[n]),
            Some(letter) => (*letter == name[n]).then_some(p + 1),
            None => None,
        };
        match (step, star) {
            (Some(next), _) => (p, n) = (next, n + 1),
            (None, Some((behind, from))) => {
                (p, n) = (behind, from + 1);
                star = Some((behind, from + 1));
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|letter| *letter == '*')
}

/// Behind the class at `at`, where it has the letter. A class that is not closed is a plain `[`.
fn class(pattern: &[char], at: usize, letter: char) -> Option<usize> {
    let negated = matches!(pattern.get(at + 1), Some('!' | '^'));
    let first = at + 1 + usize::from(negated);
    let close = (first + 1..pattern.len()).find(|place| pattern[*place] == ']');
    let Some(close) = close else { return (letter == '[').then_some(at + 1) };
    let mut place = first;
    let mut found = false;
    while place < close {
        if pattern.get(place + 1) == Some(&'-') && place + 2 < close {
            found |= (pattern[place]..=pattern[place + 2]).contains(&letter);
            place += 3;
        } else {
            found |= pattern[place] == letter;
            place += 1;
        }
    }
    (found != negated).then_some(close + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_patterns() {
        let table = [
            ("*.csv", "a.csv", true),
            ("*.csv", "a.csv.gz", false),
            ("orders-?.csv", "orders-1.csv", true),
            ("orders-?.csv", "orders-12.csv", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]x", "]x", true),
            ("[x", "[x", true),
            ("*", "anything", true),
            ("", "", true),
            ("?", "ü", true),
        ];
        for (pattern, name, expected) in table {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn braces_stand_for_texts() {
        assert_eq!(braces("a{b,c}d{e,f}").unwrap(), ["abde", "abdf", "acde", "acdf"]);
        assert_eq!(braces("a{b}").unwrap(), ["a{b}"]);
        assert_eq!(braces("{").unwrap(), ["{"]);
        assert!(braces(&"{a,b}".repeat(20)).is_err());
    }

    #[test]
    fn folders_are_cut_before_the_first_wildcard() {
        let table = [
            ("data", "data"),
            ("data/", "data"),
            ("data/in/*.csv", "data/in"),
            ("orders-*.csv", "."),
            ("/data/[ab]/x", "/data"),
            ("/*.csv", "/"),
            ("", "."),
        ];
        for (written, folder) in table {
            assert_eq!(folder_text(written), folder, "{written}");
        }
    }
}
