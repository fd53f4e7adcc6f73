//! The envelope that says how far a task has come: written by the host, kept by the destination
//! beside the rows and by the store, opaque to both.

use crate::fault::{Fault, Result};

/// Where a reader stands in one split; the plug-in's own bytes.
pub type Position = Vec<u8>;

/// Records and bytes of a task or a run. Bytes are widths of values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub records_read: u64,
    /// Read with NULL in place of a value, as the job asked; contained in `records_read`.
    pub records_nulled: u64,
    pub records_written: u64,
    pub records_filtered: u64,
    /// Made of others on the way, beside the first of each; not contained in `records_read`.
    pub records_added: u64,
    pub records_dirty: u64,
    /// Loaded, but cut or nulled by a policy; contained in `records_written`.
    pub records_changed: u64,
    pub bytes_read: u64,
    pub bytes_written: u64,
}

impl Counts {
    /// Records that were read, and those that were made of them.
    pub fn records_in(&self) -> u64 {
        self.records_read + self.records_added
    }

    /// Invariant 5: every record read or added is written, dirty or filtered.
    pub fn add_up(&self) -> bool {
        self.records_in() == self.records_written + self.records_dirty + self.records_filtered
    }

    pub fn add(&mut self, other: &Self) {
        self.records_read += other.records_read;
        self.records_nulled += other.records_nulled;
        self.records_written += other.records_written;
        self.records_filtered += other.records_filtered;
        self.records_added += other.records_added;
        self.records_dirty += other.records_dirty;
        self.records_changed += other.records_changed;
        self.bytes_read += other.bytes_read;
        self.bytes_written += other.bytes_written;
    }
}

/// How far a task has come. Everything counts from the task's beginning, over all its epochs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Rises by at least one with each mark of a task.
    pub sequence: u64,
    /// Where the reader goes on; `None` before the first position, or where only the end counts.
    pub position: Option<Position>,
    pub counts: Counts,
    /// Nothing comes after it.
    pub end: bool,
}

const VERSION: u8 = 3;
const NUMBERS: usize = 10;
/// Earlier versions, which counted neither added nor nulled records, or no nulled ones, and their numbers.
const EARLIER: [(u8, usize); 2] = [(1, 8), (2, 9)];

impl Mark {
    /// Version, flags, ten little-endian numbers, then the position.
    pub fn encode(&self) -> Vec<u8> {
        let position = self.position.as_deref().unwrap_or_default();
        let mut bytes = Vec::with_capacity(2 + NUMBERS * 8 + position.len());
        bytes.push(VERSION);
        bytes.push(u8::from(self.end) | u8::from(self.position.is_some()) << 1);
        for number in self.numbers() {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(position);
        bytes
    }

    fn numbers(&self) -> [u64; NUMBERS] {
        let counts = &self.counts;
        [
            self.sequence,
            counts.records_read,
            counts.records_written,
            counts.records_filtered,
            counts.records_dirty,
            counts.records_changed,
            counts.bytes_read,
            counts.bytes_written,
            counts.records_added,
            counts.records_nulled,
        ]
    }

    /// # Errors
    /// `mark.unreadable` for bytes that no version of this program wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let unreadable = || {
            Fault::plugin(
                "mark.unreadable",
                "the destination handed back a mark that was not written by this program",
            )
        };
        let (head, rest) = bytes.split_at_checked(2).ok_or_else(unreadable)?;
        let mut versions = EARLIER.into_iter().chain([(VERSION, NUMBERS)]);
        let (_, count) =
            versions.find(|(version, _)| *version == head[0]).ok_or_else(unreadable)?;
        let (numbers, position) = rest.split_at_checked(count * 8).ok_or_else(unreadable)?;
        if head[1] > 3 {
            return Err(unreadable());
        }
        let mut values = numbers.chunks_exact(8).map(|chunk| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(chunk);
            u64::from_le_bytes(bytes)
        });
        let mut next = || values.next().unwrap_or_default();
        Ok(Self {
            sequence: next(),
            counts: Counts {
                records_read: next(),
                records_written: next(),
                records_filtered: next(),
                records_dirty: next(),
                records_changed: next(),
                bytes_read: next(),
                bytes_written: next(),
                records_added: next(),
                records_nulled: next(),
            },
            position: (head[1] & 2 != 0).then(|| position.to_vec()),
            end: head[1] & 1 != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_comes_back_as_it_was() {
        let counts = Counts {
            records_read: 3,
            records_written: 2,
            records_dirty: 1,
            records_added: 4,
            records_nulled: 2,
            bytes_read: u64::MAX,
            ..Counts::default()
        };
        for position in [None, Some(vec![]), Some(vec![1, 2, 3])] {
            for end in [false, true] {
                let mark = Mark { sequence: 7, position: position.clone(), counts, end };
                assert_eq!(Mark::decode(&mark.encode()), Ok(mark));
            }
        }
    }

    #[test]
    fn marks_of_earlier_versions_are_read() {
        for (version, numbers) in EARLIER {
            let mut bytes = vec![version, 2];
            (1..=numbers as u64).for_each(|number| bytes.extend(number.to_le_bytes()));
            bytes.push(b'p');
            let mark = Mark::decode(&bytes).unwrap();
            assert_eq!((mark.sequence, mark.counts.bytes_written), (1, 8));
            let added = if version == 1 { 0 } else { 9 };
            assert_eq!((mark.counts.records_added, mark.counts.records_nulled), (added, 0));
            assert_eq!(mark.position.as_deref(), Some(&b"p"[..]));
        }
    }

    #[test]
    fn foreign_bytes_are_refused() {
        let good = Mark::default().encode();
        for bad in [&[][..], &[9; 80], &good[..good.len() - 1]] {
            assert_eq!(Mark::decode(bad).unwrap_err().code, "mark.unreadable");
        }
    }
}
