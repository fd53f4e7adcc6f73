//! The transactions in which a task has written rows: each row carries the one that made it (`xmin`),
//! so that a run's rows can be read back among others.
//!
//! A row that was written behind a savepoint carries the number of the savepoint's own subtransaction.
//! Numbers come back after four billion transactions, so a table that is older than that may show a
//! row of before as one too many.

use std::collections::BTreeMap;

/// Ranges of a task at most: what its receipt has room for.
const RANGES_MAX: usize = 10_000;
/// Ranges that a condition compares one by one; the others are looked up as numbers.
const COMPARED_MAX: usize = 20;
/// Numbers that a condition looks up at most.
const NUMBERS_MAX: u64 = 200_000;

/// Numbers of transactions, as ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Xids {
    /// Last by first.
    ranges: BTreeMap<u32, u32>,
    /// There were more than there is room for.
    too_many: bool,
}

impl Xids {
    pub(crate) fn add(&mut self, xid: u32) {
        self.add_range(xid, xid);
    }

    fn add_range(&mut self, mut first: u32, mut last: u32) {
        let behind = last.saturating_add(1);
        let near: Vec<_> = self.ranges.range(..=behind).rev().map(|(a, b)| (*a, *b)).collect();
        for (a, b) in near {
            if b.saturating_add(1) < first {
                break;
            }
            self.ranges.remove(&a);
            (first, last) = (first.min(a), last.max(b));
        }
        self.ranges.insert(first, last);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        other.ranges.iter().for_each(|(first, last)| self.add_range(*first, *last));
        self.too_many |= other.too_many;
    }

    /// A byte that says whether there were too many, then first and last of each range.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let too_many = self.too_many || self.ranges.len() > RANGES_MAX;
        let mut bytes = vec![u8::from(too_many)];
        for (first, last) in self.ranges.iter().filter(|_| !too_many) {
            bytes.extend_from_slice(&first.to_le_bytes());
            bytes.extend_from_slice(&last.to_le_bytes());
        }
        bytes
    }

    /// `None` for bytes that no version of this plug-in wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (too_many, mut rest) = bytes.split_first()?;
        let mut xids = Self { too_many: *too_many != 0, ..Self::default() };
        while !rest.is_empty() {
            let (first, behind) = rest.split_first_chunk()?;
            let (last, behind) = behind.split_first_chunk()?;
            xids.add_range(u32::from_le_bytes(*first), u32::from_le_bytes(*last));
            rest = behind;
        }
        Some(xids)
    }

    /// The condition that rows of these transactions meet; `None` where they are too many for one.
    pub(crate) fn condition(&self) -> Option<String> {
        if self.too_many {
            return None;
        }
        if self.ranges.is_empty() {
            return Some("false".to_owned());
        }
        let mut ranges: Vec<_> = self.ranges.iter().map(|(first, last)| (*first, *last)).collect();
        ranges.sort_by_key(|(first, last)| std::cmp::Reverse(last - first));
        let (long, short) = ranges.split_at(COMPARED_MAX.min(ranges.len()));
        let length = |(first, last): &(u32, u32)| u64::from(last - first) + 1;
        if short.iter().map(length).sum::<u64>() > NUMBERS_MAX {
            return None;
        }
        let between =
            |(first, last): &(u32, u32)| format!("xmin::text::int8 BETWEEN {first} AND {last}");
        let mut conditions: Vec<_> = long.iter().map(between).collect();
        let numbers: Vec<_> = short.iter().flat_map(|(first, last)| *first..=*last).collect();
        if !numbers.is_empty() {
            let numbers: Vec<_> = numbers.iter().map(u32::to_string).collect();
            conditions.push(format!("xmin = ANY ('{{{}}}'::xid[])", numbers.join(",")));
        }
        Some(conditions.join(" OR "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xids(numbers: &[u32]) -> Xids {
        let mut xids = Xids::default();
        numbers.iter().for_each(|number| xids.add(*number));
        xids
    }

    #[test]
    fn neighbours_are_one_range() {
        let all = xids(&[5, 7, 6, 10, 5, 9, u32::MAX, u32::MAX - 1]);
        let ranges: Vec<_> = all.ranges.clone().into_iter().collect();
        assert_eq!(ranges, [(5, 7), (9, 10), (u32::MAX - 1, u32::MAX)]);
        assert_eq!(Xids::decode(&all.encode()), Some(all.clone()));
        let mut merged = xids(&[8, 20]);
        merged.merge(&all);
        assert_eq!(merged.ranges.get(&5), Some(&10));
        assert_eq!(Xids::decode(&[0, 1]), None);
        assert_eq!(Xids::decode(&[]), None);
    }

    #[test]
    fn a_condition_names_ranges_and_numbers() {
        assert_eq!(xids(&[]).condition().as_deref(), Some("false"));
        let few = xids(&[5, 6, 9]).condition().unwrap();
        assert_eq!(few, "xmin::text::int8 BETWEEN 5 AND 6 OR xmin::text::int8 BETWEEN 9 AND 9");
        let many: Vec<u32> = (0..30).map(|number| number * 2 + 3).collect();
        let many = xids(&many).condition().unwrap();
        assert!(
            many.ends_with("OR xmin = ANY ('{43,45,47,49,51,53,55,57,59,61}'::xid[])"),
            "{many}"
        );
    }

    #[test]
    fn too_many_are_told() {
        let numbers: Vec<u32> = (0..=RANGES_MAX as u32).map(|number| number * 2).collect();
        let many = Xids::decode(&xids(&numbers).encode()).unwrap();
        assert_eq!((many.ranges.len(), many.condition()), (0, None));
    }
}
