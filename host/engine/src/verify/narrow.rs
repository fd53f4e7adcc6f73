//! From fingerprints of both sides to the keys whose rows differ. Pure.

use std::collections::{BTreeSet, HashMap, HashSet};

use domain::verify::{DifferenceKind, Kept, Print, Sums};

/// Differences that are shown at most.
pub(crate) const SHOWN_MAX: usize = 10;

/// What is known beside the fingerprints.
pub(crate) struct Known {
    refused: HashMap<(u128, u128), u64>,
    changed: HashSet<u128>,
    /// Rows of one key replace each other.
    replaces: bool,
}

/// The keys that differ, over all looks.
#[derive(Debug, Default)]
pub(crate) struct Differences {
    pub(crate) missing: u64,
    pub(crate) extra: u64,
    pub(crate) different: u64,
    pub(crate) first: Vec<(u128, DifferenceKind)>,
    pub(crate) buckets: BTreeSet<usize>,
    /// What the source gave this time, without the rows that were refused.
    pub(crate) source: Sums,
}

impl Known {
    pub(crate) fn new(refused: &Kept, changed: &Kept, replaces: bool) -> Self {
        let mut counts = HashMap::new();
        for print in &refused.prints {
            *counts.entry((print.key, print.row)).or_default() += 1;
        }
        let changed = changed.prints.iter().map(|print| print.key).collect();
        Self { refused: counts, changed, replaces }
    }

    /// The rows of one key, sorted, without those that were refused.
    fn written(&self, rows: &[Print]) -> Vec<u128> {
        let same = rows.chunk_by(|one, other| one.row == other.row);
        let kept = same.flat_map(|same| {
            let refused = self.refused.get(&(same[0].key, same[0].row)).copied().unwrap_or(0);
            std::iter::repeat_n(same[0].row, same.len().saturating_sub(refused as usize))
        });
        kept.collect()
    }

    /// How the rows of a key differ; both are sorted.
    fn judge(&self, key: u128, written: &[u128], back: &[u128]) -> Option<DifferenceKind> {
        let explained = written == back
            || (written.len() == back.len() && self.changed.contains(&key))
            || (self.replaces && back.len() == 1 && written.contains(&back[0]));
        if explained {
            return None;
        }
        Some(match written.len().cmp(&back.len()) {
            std::cmp::Ordering::Less => DifferenceKind::Extra,
            std::cmp::Ordering::Greater if self.replaces && !back.is_empty() => {
                DifferenceKind::Different
            }
            std::cmp::Ordering::Greater => DifferenceKind::Missing,
            std::cmp::Ordering::Equal => DifferenceKind::Different,
        })
    }
}

impl Differences {
    /// Compares what both sides have of some keys: all of their rows.
    pub(crate) fn look(&mut self, known: &Known, mut source: Vec<Print>, mut back: Vec<Print>) {
        let order = |print: &Print| (print.key, print.row);
        source.sort_unstable_by_key(order);
        back.sort_unstable_by_key(order);
        let (mut source, mut back) = (source.as_slice(), back.as_slice());
        loop {
            let next = [source.first(), back.first()].into_iter().flatten();
            let Some(key) = next.map(|print| print.key).min() else { return };
            let (rows, read) = (cut(&mut source, key), cut(&mut back, key));
            let written = known.written(rows);
            for row in &written {
                self.source.add(Print { key, row: *row });
            }
            let read: Vec<u128> = read.iter().map(|print| print.row).collect();
            if let Some(kind) = known.judge(key, &written, &read) {
                self.add(key, kind);
            }
        }
    }

    fn add(&mut self, key: u128, kind: DifferenceKind) {
        match kind {
            DifferenceKind::Missing => self.missing += 1,
            DifferenceKind::Extra => self.extra += 1,
            DifferenceKind::Different => self.different += 1,
        }
        self.buckets.insert(Print { key, row: 0 }.bucket());
        if self.first.len() < SHOWN_MAX {
            self.first.push((key, kind));
        }
    }
}

/// Takes the rows of `key` off the front.
fn cut<'a>(rows: &mut &'a [Print], key: u128) -> &'a [Print] {
    let end = rows.partition_point(|print| print.key <= key);
    let (taken, rest) = rows.split_at(end);
    *rows = rest;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prints(rows: &[(u128, u128)]) -> Vec<Print> {
        rows.iter().map(|(key, row)| Print { key: *key, row: *row }).collect()
    }

    fn look(known: &Known, source: &[(u128, u128)], back: &[(u128, u128)]) -> Differences {
        let mut differences = Differences::default();
        differences.look(known, prints(source), prints(back));
        differences
    }

    fn counts(known: &Known, source: &[(u128, u128)], back: &[(u128, u128)]) -> [u64; 3] {
        let found = look(known, source, back);
        [found.missing, found.extra, found.different]
    }

    fn nothing() -> Known {
        Known::new(&Kept::default(), &Kept::default(), false)
    }

    #[test]
    fn keys_are_missing_extra_or_different() {
        let source = [(1, 10), (2, 20), (3, 30), (4, 40), (4, 41)];
        let back = [(4, 41), (4, 40), (5, 50), (3, 31), (1, 10), (1, 10)];
        let found = look(&nothing(), &source, &back);
        assert_eq!((found.missing, found.extra, found.different), (1, 2, 1));
        let kinds: Vec<_> = found.first.iter().map(|(key, kind)| (*key, kind.word())).collect();
        assert_eq!(kinds, [(1, "extra"), (2, "missing"), (3, "different"), (5, "extra")]);
        assert_eq!(found.buckets.into_iter().collect::<Vec<_>>(), [1, 2, 3, 5]);
        assert_eq!(found.source.rows(), 5);
    }

    #[test]
    fn a_row_that_was_refused_is_not_missed() {
        let refused = Kept { prints: prints(&[(1, 10), (2, 20)]), more: false };
        let known = Known::new(&refused, &Kept::default(), false);
        assert_eq!(counts(&known, &[(1, 10), (1, 10), (2, 20)], &[(1, 10)]), [0, 0, 0]);
        assert_eq!(counts(&known, &[(1, 10), (1, 10), (2, 20)], &[]), [1, 0, 0]);
        assert_eq!(counts(&known, &[(1, 10), (2, 20)], &[(2, 20)]), [0, 1, 0]);
    }

    #[test]
    fn a_row_that_was_changed_may_differ_but_must_be_there() {
        let changed = Kept { prints: prints(&[(1, 10), (1, 10)]), more: false };
        let known = Known::new(&Kept::default(), &changed, false);
        assert_eq!(counts(&known, &[(1, 10)], &[(1, 11)]), [0, 0, 0]);
        assert_eq!(counts(&known, &[(1, 10)], &[]), [1, 0, 0]);
    }

    #[test]
    fn of_rows_that_replace_each_other_one_is_there() {
        let known = Known::new(&Kept::default(), &Kept::default(), true);
        assert_eq!(counts(&known, &[(1, 10), (1, 11)], &[(1, 10)]), [0, 0, 0]);
        assert_eq!(counts(&known, &[(1, 10), (1, 11)], &[(1, 12)]), [0, 0, 1]);
        assert_eq!(counts(&known, &[(1, 10)], &[(1, 10), (1, 10)]), [0, 1, 0]);
        assert_eq!(counts(&known, &[(1, 10), (1, 11)], &[]), [1, 0, 0]);
    }
}
