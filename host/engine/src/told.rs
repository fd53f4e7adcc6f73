//! Dirty records since the last durable mark: what is in the store already, and what must leave it
//! again.

use std::ops::Range;

use domain::port::Dirty;

/// Records in memory at most; older ones, being in the store, are forgotten.
const KEPT_MAX: usize = 10_000;
/// Records in memory before they go to the store.
const UNSTORED_MAX: usize = 1_000;

#[derive(Debug, Default)]
pub(crate) struct Told {
    records: Vec<Record>,
    /// How many of `records` are in the store.
    stored: usize,
    /// Records that were forgotten since the last durable mark.
    forgotten: u64,
    /// How many were ever pushed: a mark covers all below its own number.
    count: u64,
}

#[derive(Debug)]
struct Record {
    number: u64,
    dirty: Dirty,
    /// The batch that brought it, for one that was loaded with a change: if the batch is undone, it is
    /// told again.
    loaded_in: Option<u64>,
}

/// What `undone` makes of the records.
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
        self.records.push(Record { number: self.count, dirty, loaded_in });
        self.count += 1;
    }

    pub(crate) fn last(&self) -> Option<&Dirty> {
        self.records.last().map(|record| &record.dirty)
    }

    pub(crate) fn should_be_stored(&self) -> bool {
        self.records.len() - self.stored >= UNSTORED_MAX
    }

    /// The number below which a mark given now covers all.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// What is not in the store, and will be when the caller has put it there.
    pub(crate) fn unstored(&mut self) -> Vec<Dirty> {
        let unstored = self.records[self.stored..].iter().map(|record| record.dirty.clone());
        let unstored = unstored.collect();
        self.stored = self.records.len();
        let surplus = self.records.len().saturating_sub(KEPT_MAX);
        self.records.drain(..surplus);
        self.stored -= surplus;
        self.forgotten += surplus as u64;
        unstored
    }

    /// A mark that covers all below `count` is durable.
    pub(crate) fn settle(&mut self, count: u64) {
        let settled = self.records.iter().take_while(|record| record.number < count).count();
        self.records.drain(..settled);
        self.stored = self.stored.saturating_sub(settled);
        self.forgotten = 0;
    }

    /// The destination dropped `batches`: what was told of them as loaded does not count. Records below
    /// `kept` belong to a mark that still counts. Answers also how many records were untold.
    pub(crate) fn undo(&mut self, batches: Range<u64>, kept: u64) -> (Retold, u64) {
        let before = self.records.len();
        let undone =
            |record: &Record| record.loaded_in.is_some_and(|batch| batches.contains(&batch));
        let in_store = self.records[..self.stored].iter().any(undone);
        if !in_store {
            self.records.retain(|record| !undone(record));
            return (Retold::Right, (before - self.records.len()) as u64);
        }
        self.records.retain(|record| !undone(record));
        self.stored = self.records.iter().take_while(|record| record.number < kept).count();
        let retold = if self.forgotten > 0 { Retold::Lost } else { Retold::Again };
        (retold, (before - self.records.len()) as u64)
    }
}
