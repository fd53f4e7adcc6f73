//! Dirty records since the last durable mark: what is in the store already, and what must leave it
//! again.

use std::collections::VecDeque;
use std::ops::Range;

use domain::port::{Dirty, DirtyRecord};

/// Records in memory at most; older ones, being in the store, are forgotten.
const KEPT_MAX: usize = 10_000;
/// Bytes of records in memory at most.
const KEPT_BYTES_MAX: usize = 16 << 20;
/// Records in memory before they go to the store.
const UNSTORED_MAX: usize = 1_000;
/// Bytes of records in memory before they go to the store.
const UNSTORED_BYTES_MAX: usize = 4 << 20;

#[derive(Debug, Default)]
pub(crate) struct Told {
    records: VecDeque<Record>,
    /// How many of `records` are in the store.
    stored: usize,
    bytes: usize,
    unstored_bytes: usize,
    /// Records below this number, being in the store, are not in memory.
    forgotten_below: u64,
    /// Batches below this number brought records, loaded with a change, that are not in memory.
    forgotten_batches_below: u64,
    /// A durable mark covers the records below this number.
    settled_below: u64,
    /// How many were ever pushed: a mark covers all below its own number.
    count: u64,
}

#[derive(Debug)]
struct Record {
    number: u64,
    dirty: Dirty,
    bytes: usize,
    /// The batch that brought it, for one that was loaded with a change: if the batch is undone, it is
    /// told again.
    loaded_in: Option<u64>,
}

/// What `undone` makes of the records.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Retold {
    /// Nothing in the store is wrong.
    Right,
    /// What is in the store behind the newest mark that still counts must be dropped and stored again.
    Again,
    /// The same, but it is no longer here.
    Lost,
}

impl Told {
    pub(crate) fn push(&mut self, dirty: Dirty, loaded_in: Option<u64>) {
        let bytes = size(&dirty);
        self.bytes += bytes;
        self.unstored_bytes += bytes;
        self.records.push_back(Record { number: self.count, dirty, bytes, loaded_in });
        self.count += 1;
    }

    pub(crate) fn last(&self) -> Option<&Dirty> {
        self.records.back().map(|record| &record.dirty)
    }

    pub(crate) fn should_be_stored(&self) -> bool {
        self.records.len() - self.stored >= UNSTORED_MAX
            || self.unstored_bytes >= UNSTORED_BYTES_MAX
    }

    /// The number below which a mark given now covers all.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// What is not in the store, and will be when the caller has put it there.
    pub(crate) fn unstored(&mut self) -> Vec<Dirty> {
        let unstored = self.records.range(self.stored..).map(|record| record.dirty.clone());
        let unstored = unstored.collect();
        self.stored = self.records.len();
        self.unstored_bytes = 0;
        while self.records.len() > KEPT_MAX || self.bytes > KEPT_BYTES_MAX {
            let Some(record) = self.pop() else { break };
            self.forgotten_below = record.number + 1;
            if let Some(batch) = record.loaded_in {
                self.forgotten_batches_below = self.forgotten_batches_below.max(batch + 1);
            }
        }
        unstored
    }

    /// A mark that covers all below `count` is durable; they were stored before it was given.
    pub(crate) fn settle(&mut self, count: u64) {
        self.settled_below = self.settled_below.max(count);
        while self.records.front().is_some_and(|record| record.number < count) {
            self.pop();
        }
    }

    /// The oldest, which is in the store.
    fn pop(&mut self) -> Option<Record> {
        let record = self.records.pop_front()?;
        self.bytes -= record.bytes;
        self.stored = self.stored.saturating_sub(1);
        Some(record)
    }

    /// The destination dropped `batches`: what was told of them as loaded does not count. Records below
    /// `kept` belong to a mark that still counts. Answers also how many records were untold.
    pub(crate) fn undo(&mut self, batches: Range<u64>, kept: u64) -> (Retold, u64) {
        if batches.start < self.forgotten_batches_below {
            return (Retold::Lost, 0);
        }
        let before = self.records.len();
        let undone =
            |record: &Record| record.loaded_in.is_some_and(|batch| batches.contains(&batch));
        let in_store = self.records.range(..self.stored).any(undone);
        self.records.retain(|record| !undone(record));
        self.bytes = self.records.iter().map(|record| record.bytes).sum();
        if in_store {
            self.stored = self.records.iter().take_while(|record| record.number < kept).count();
        }
        self.unstored_bytes = self.records.range(self.stored..).map(|record| record.bytes).sum();
        let retold = match in_store {
            false => Retold::Right,
            true if self.forgotten_below > kept.max(self.settled_below) => Retold::Lost,
            true => Retold::Again,
        };
        (retold, (before - self.records.len()) as u64)
    }
}

/// Bytes that a record takes, roughly: its texts and what each of them costs by itself.
fn size(dirty: &Dirty) -> usize {
    const EACH: usize = 64;
    let record = match &dirty.record {
        DirtyRecord::Raw(bytes) => bytes.len(),
        DirtyRecord::Values(values) => values
            .iter()
            .map(|(name, value)| EACH + name.len() + value.as_ref().map_or(0, String::len))
            .sum(),
    };
    let texts = [&dirty.code, &dirty.message, &dirty.dataset, &dirty.plugin].map(String::len);
    let origin = dirty.origin.as_ref().map_or(0, String::len);
    record + texts.iter().sum::<usize>() + origin + 4 * EACH
}

#[cfg(test)]
mod tests {
    use domain::port::DirtyStage;

    use super::*;

    fn dirty(bytes: usize) -> Dirty {
        Dirty {
            stage: DirtyStage::Loaded,
            code: "x".into(),
            message: "x".into(),
            dataset: "t".into(),
            column: None,
            plugin: "p".into(),
            origin: None,
            position: None,
            record: DirtyRecord::Raw(vec![0; bytes]),
        }
    }

    #[test]
    fn large_records_go_to_the_store_early_and_are_forgotten_there() {
        let mut told = Told::default();
        let mut stored = 0;
        for _ in 0..100 {
            told.push(dirty(1 << 20), None);
            if told.should_be_stored() {
                stored += told.unstored().len();
            }
            assert!(told.bytes <= KEPT_BYTES_MAX + UNSTORED_BYTES_MAX, "{}", told.bytes);
        }
        assert_eq!(stored, 100, "four at a time");
    }

    #[test]
    fn what_was_forgotten_behind_a_settled_mark_is_not_retold() {
        let mut told = Told::default();
        told.push(dirty(1), None);
        let mark = told.count();
        (0..KEPT_MAX).for_each(|_| told.push(dirty(1), None));
        told.push(dirty(1), Some(7));
        told.unstored();
        told.settle(mark);
        // One record behind the mark is in the store alone: it cannot be stored again.
        assert_eq!(told.undo(7..8, 0), (Retold::Lost, 1));
    }

    #[test]
    fn what_a_durable_mark_covers_may_be_forgotten() {
        let mut told = Told::default();
        (0..=KEPT_MAX).for_each(|_| told.push(dirty(1), None));
        told.unstored();
        told.settle(told.count());
        told.push(dirty(1), Some(7));
        assert_eq!(told.unstored().len(), 1);
        assert_eq!(told.undo(7..8, 0), (Retold::Again, 1));
        assert_eq!(told.undo(7..8, 0), (Retold::Right, 0));
    }

    #[test]
    fn a_forgotten_record_of_an_undone_batch_is_missed() {
        let mut told = Told::default();
        told.push(dirty(1), Some(3));
        (0..KEPT_MAX).for_each(|_| told.push(dirty(1), None));
        told.unstored();
        assert_eq!(told.undo(4..9, 0).0, Retold::Right);
        assert_eq!(told.undo(3..9, 0).0, Retold::Lost);
    }
}
