//! Where the next run of a document goes on: what readers answer at the ends of their splits.
//!
//! A bookmark is a plug-in's own bytes, by the contract's convention the readable text `name=value`.

use std::str;

use crate::mark::Position;

/// The key in a dataset's metadata of what a run reads of it, in words: from where to where.
pub const METADATA: &str = "watermark";

/// A bookmark as the books keep it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bookmark {
    pub position: Position,
    /// When the run that gave it was recorded.
    pub created_ms: i64,
}

/// Name and value of a bookmark that follows the convention.
pub fn parts(position: &[u8]) -> Option<(&str, &str)> {
    str::from_utf8(position).ok()?.split_once('=')
}

fn name(position: &[u8]) -> Option<&str> {
    parts(position).map(|(name, _)| name)
}

/// The bookmarks of a document after a run that was recorded at `created_ms` has succeeded and gave
/// `given`: each takes the place of those with its name. What a younger run gave stays, since that one
/// has read further; a run that gave none changes nothing.
pub fn renew(
    kept: Vec<Bookmark>,
    given: impl IntoIterator<Item = Position>,
    created_ms: i64,
) -> Vec<Bookmark> {
    let mut new: Vec<Position> = Vec::new();
    for position in given {
        let named = name(&position);
        // All splits of a dataset give the same one.
        new.retain(|other| *other != position && (named.is_none() || name(other) != named));
        new.push(position);
    }
    let younger = |position: &Position| {
        let mut same = kept.iter().filter(|kept| name(&kept.position) == name(position));
        same.any(|kept| kept.created_ms > created_ms)
    };
    new.retain(|position| !younger(position));
    let replaced =
        |kept: &Bookmark| new.iter().any(|position| name(position) == name(&kept.position));
    let mut all: Vec<_> = kept.iter().filter(|kept| !replaced(kept)).cloned().collect();
    all.extend(new.into_iter().map(|position| Bookmark { position, created_ms }));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(kept: &[(&str, i64)], given: &[&str], created_ms: i64) -> Vec<String> {
        let kept = kept
            .iter()
            .map(|(text, created_ms)| Bookmark {
                position: text.as_bytes().to_vec(),
                created_ms: *created_ms,
            })
            .collect();
        let given = given.iter().map(|text| text.as_bytes().to_vec());
        let all = renew(kept, given, created_ms);
        all.into_iter().map(|kept| String::from_utf8(kept.position).unwrap()).collect()
    }

    #[test]
    fn a_bookmark_takes_the_place_of_its_name() {
        assert_eq!(after(&[], &["a=1", "a=1"], 5), ["a=1"]);
        assert_eq!(after(&[("a=1", 1), ("b=1", 1)], &["a=2=2"], 5), ["b=1", "a=2=2"]);
        assert_eq!(after(&[("a=1", 1)], &[], 5), ["a=1"]);
        assert_eq!(after(&[("x", 1), ("a=1", 1)], &["y", "z", "y"], 5), ["a=1", "z", "y"]);
    }

    #[test]
    fn an_older_run_does_not_set_back_what_a_younger_one_read() {
        assert_eq!(after(&[("a=9", 7), ("b=1", 1)], &["a=2", "b=2"], 5), ["a=9", "b=2"]);
        assert_eq!(after(&[("a=9", 5)], &["a=10"], 5), ["a=10"]);
    }
}
