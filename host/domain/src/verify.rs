//! Words of verification: what a run has written, as sums that any order of rows leaves the same, and
//! what came of reading it back.

use crate::fault::{Fault, Result};

/// Into how many buckets rows are shared out by their key.
pub const BUCKETS: usize = 1024;
/// Rows of which it is kept that they were refused, or changed: a second look at the source knows them.
pub const KEPT_MAX: usize = 10_000;

/// What a destination has taken of one bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    pub rows: u64,
    /// Of the rows' fingerprints, wrapping: unlike an exclusive or, it tells a row that is there twice.
    pub sum: u128,
}

/// Fingerprints of a row, and of its key alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Print {
    pub key: u128,
    pub row: u128,
}

impl Print {
    pub fn bucket(self) -> usize {
        (self.key % BUCKETS as u128) as usize
    }
}

/// Some rows by their fingerprints, [`KEPT_MAX`] at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    pub prints: Vec<Print>,
    /// There are more.
    pub more: bool,
}

impl Kept {
    fn add(&mut self, prints: &[Print]) {
        let room = KEPT_MAX.saturating_sub(self.prints.len()).min(prints.len());
        self.prints.extend_from_slice(&prints[..room]);
        self.more |= room < prints.len();
    }
}

/// What a task or a run has written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sums {
    buckets: Vec<Bucket>,
    /// Rows that came to the destination and were refused.
    refused: Kept,
    /// Rows that the destination said it changed; some of them twice.
    changed: Kept,
}

impl Default for Sums {
    fn default() -> Self {
        let buckets = vec![Bucket::default(); BUCKETS];
        Self { buckets, refused: Kept::default(), changed: Kept::default() }
    }
}

const VERSION: u8 = 1;
/// Bucket, rows, sum.
const BUCKET_BYTES: usize = 2 + 8 + 16;
const PRINT_BYTES: usize = 16 + 16;

impl Sums {
    pub fn add(&mut self, print: Print) {
        let bucket = &mut self.buckets[print.bucket()];
        bucket.rows = bucket.rows.wrapping_add(1);
        bucket.sum = bucket.sum.wrapping_add(print.row);
    }

    /// A row that was added is refused.
    pub fn refuse(&mut self, print: Print) {
        self.take_out(print);
        self.refused.add(&[print]);
    }

    /// A row that was added does not count.
    pub fn take_out(&mut self, print: Print) {
        let bucket = &mut self.buckets[print.bucket()];
        bucket.rows = bucket.rows.wrapping_sub(1);
        bucket.sum = bucket.sum.wrapping_sub(print.row);
    }

    /// A row that was added is loaded with a change.
    pub fn change(&mut self, print: Print) {
        self.changed.add(&[print]);
    }

    /// Adds what another task has.
    pub fn fold(&mut self, other: &Self) {
        for (own, other) in self.buckets.iter_mut().zip(&other.buckets) {
            own.rows = own.rows.wrapping_add(other.rows);
            own.sum = own.sum.wrapping_add(other.sum);
        }
        for (own, other) in
            [(&mut self.refused, &other.refused), (&mut self.changed, &other.changed)]
        {
            own.add(&other.prints);
            own.more |= other.more;
        }
    }

    pub fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    pub fn rows(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.rows).fold(0, u64::wrapping_add)
    }

    pub fn refused(&self) -> &Kept {
        &self.refused
    }

    pub fn changed(&self) -> &Kept {
        &self.changed
    }

    /// Version; the number of buckets that have something, and each of them; then the refused rows and
    /// the changed ones, each with whether there are more and their number; little endian.
    pub fn encode(&self) -> Vec<u8> {
        let filled = self.buckets.iter().enumerate();
        let filled: Vec<_> = filled.filter(|(_, bucket)| **bucket != Bucket::default()).collect();
        let kept = self.refused.prints.len() + self.changed.prints.len();
        let mut bytes = Vec::with_capacity(16 + filled.len() * BUCKET_BYTES + kept * PRINT_BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(&(filled.len() as u16).to_le_bytes());
        for (index, bucket) in filled {
            bytes.extend_from_slice(&(index as u16).to_le_bytes());
            bytes.extend_from_slice(&bucket.rows.to_le_bytes());
            bytes.extend_from_slice(&bucket.sum.to_le_bytes());
        }
        for kept in [&self.refused, &self.changed] {
            bytes.push(u8::from(kept.more));
            bytes.extend_from_slice(&(kept.prints.len() as u32).to_le_bytes());
            for print in &kept.prints {
                bytes.extend_from_slice(&print.key.to_le_bytes());
                bytes.extend_from_slice(&print.row.to_le_bytes());
            }
        }
        bytes
    }

    /// # Errors
    /// `verify.sums`, a bug of the host, for bytes that no version of this program wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut rest = Rest(bytes);
        let mut sums = Self::default();
        if rest.take()? != [VERSION] {
            return Err(unreadable());
        }
        for _ in 0..u16::from_le_bytes(rest.take()?) {
            let index = usize::from(u16::from_le_bytes(rest.take()?));
            let bucket = sums.buckets.get_mut(index).ok_or_else(unreadable)?;
            bucket.rows = u64::from_le_bytes(rest.take()?);
            bucket.sum = u128::from_le_bytes(rest.take()?);
        }
        for kept in [&mut sums.refused, &mut sums.changed] {
            kept.more = rest.take()? != [0];
            for _ in 0..u32::from_le_bytes(rest.take()?) {
                let key = u128::from_le_bytes(rest.take()?);
                let row = u128::from_le_bytes(rest.take()?);
                kept.prints.push(Print { key, row });
            }
        }
        if rest.0.is_empty() { Ok(sums) } else { Err(unreadable()) }
    }
}

struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk().ok_or_else(unreadable)?;
        self.0 = rest;
        Ok(*taken)
    }
}

fn unreadable() -> Fault {
    Fault::internal("verify.sums", "the books hold sums that were not written by this program")
}

/// What came of reading back what a run wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Rows that the destination had taken.
    pub written: u64,
    /// Rows that it gave back.
    pub found: u64,
    /// Fields that rows were told apart by; without any, all rows make one checksum.
    pub key: Vec<String>,
    /// Buckets that differ.
    pub buckets_differ: u32,
    /// Keys at the source alone.
    pub missing: u64,
    /// Keys at the destination alone, or more often there.
    pub extra: u64,
    /// Keys on both sides whose rows differ.
    pub different: u64,
    /// The first of them.
    pub differences: Vec<Difference>,
    /// For people: what was not compared, and why keys are not named.
    pub notes: Vec<String>,
}

impl Verified {
    pub fn matches(&self) -> bool {
        self.buckets_differ == 0
    }
}

/// How the rows of one key differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DifferenceKind {
    Missing,
    Extra,
    Different,
}

impl DifferenceKind {
    pub const ALL: [Self; 3] = [Self::Missing, Self::Extra, Self::Different];

    pub fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Different => "different",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// A key whose rows differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub kind: DifferenceKind,
    /// Names and values as text; `None` is NULL.
    pub key: Vec<(String, Option<String>)>,
    /// The fields that differ.
    pub columns: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(row: u128) -> Print {
        Print { key: row + 7, row }
    }

    fn sums(rows: &[u128]) -> Sums {
        let mut sums = Sums::default();
        rows.iter().for_each(|row| sums.add(Print { key: 7, row: *row }));
        sums
    }

    #[test]
    fn the_order_of_rows_does_not_count_but_their_number_does() {
        assert_eq!(sums(&[1, u128::MAX, 3]), sums(&[3, 1, u128::MAX]));
        assert_ne!(sums(&[1, 1, 3]), sums(&[3]));
        let mut one = sums(&[1]);
        one.fold(&sums(&[2, 3]));
        assert_eq!(one, sums(&[1, 2, 3]));
    }

    #[test]
    fn sums_come_back_as_they_were() {
        let mut sums = Sums::default();
        assert_eq!(Sums::decode(&sums.encode()), Ok(sums.clone()));
        for row in 0..KEPT_MAX as u128 + 2 {
            sums.add(print(row));
            if row < 5 {
                sums.change(print(row));
            } else {
                sums.refuse(print(row));
            }
        }
        assert_eq!(Sums::decode(&sums.encode()), Ok(sums.clone()));
        assert_eq!((sums.rows(), sums.refused().more), (5, false));
        let mut twice = sums.clone();
        twice.fold(&sums);
        assert!(twice.refused().more && !twice.changed().more);
        assert_eq!(Sums::decode(&twice.encode()), Ok(twice));
    }

    #[test]
    fn foreign_bytes_are_refused() {
        let mut longer = Sums::default().encode();
        longer.push(0);
        for bad in [&[][..], &[9; 20], &[1, 1, 0, 255, 255], &longer] {
            assert_eq!(Sums::decode(bad).unwrap_err().code, "verify.sums");
        }
    }
}
