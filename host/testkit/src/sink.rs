//! One sink of the scripted destination: takes batches, refuses rows, commits marks.
//!
//! A batch is *held* until the destination takes it; then its rows are *accepted*. A mark that was
//! committed without `now` is *pending* until it is settled. Refusals concern held rows alone, since
//! the host forgets what is taken; and a refusal voids every pending mark that covers the row: what
//! such a mark counts is no longer true.

use domain::port::{Answer, Closed, CommitMode, Remark};
use domain::{Batch, Epoch, Fault, Mark, Result, TaskIndex};

use crate::destination::{Delivered, is_eager};
use crate::planted::Planted;
use crate::scenario::Taking;
use crate::table::{self, Fate};
use crate::world::State;

pub(crate) struct Sink {
    task: TaskIndex,
    epoch: Epoch,
    split: usize,
    /// The number of the next batch.
    next: u64,
    taken: u64,
    held: Vec<Held>,
    accepted: Vec<Row>,
    /// A mark, and the number of the first batch that it does not cover.
    pending: Vec<(Mark, u64)>,
    durable: Option<Mark>,
    /// The highest sequence that it was told.
    sequence: u64,
    lose: Lose,
    /// A planted bug: the rows of the next batch come twice.
    twice: bool,
}

/// Planted bugs: the first that comes gets lost.
#[derive(Clone, Copy)]
pub(crate) struct Lose {
    pub(crate) row: bool,
    pub(crate) commit: bool,
}

struct Held {
    number: u64,
    rows: Vec<Row>,
}

#[derive(Clone, Copy)]
struct Row {
    batch: u64,
    row: u32,
    id: i64,
    fate: Fate,
    /// What happened to it was told.
    told: bool,
}

impl Sink {
    pub(crate) fn new(
        task: TaskIndex,
        epoch: Epoch,
        split: usize,
        durable: Option<Mark>,
        lose: Lose,
    ) -> Self {
        Self {
            task,
            epoch,
            split,
            next: 0,
            taken: 0,
            held: Vec::new(),
            accepted: Vec::new(),
            pending: Vec::new(),
            sequence: durable.as_ref().map_or(0, |mark| mark.sequence),
            durable,
            lose,
            twice: false,
        }
    }

    pub(crate) fn split(&self) -> usize {
        self.split
    }

    pub(crate) fn write(&mut self, state: &mut State, batch: &Batch) -> Result<Answer> {
        state.admit(self.task, self.epoch)?;
        let number = self.next;
        self.next += 1;
        let mut answer = Answer::default();
        self.tell_next(&mut answer);
        let mut rows = self.examine(state, batch, number);
        if std::mem::take(&mut self.lose.row) && !rows.is_empty() {
            rows.remove(0);
        }
        rows.retain(|row| match row.fate {
            Fate::RefusedAtOnce => {
                answer.remarks.push(remark(row, false));
                false
            }
            Fate::Changed => {
                answer.remarks.push(remark(row, true));
                true
            }
            _ => true,
        });
        if std::mem::take(&mut self.twice) {
            let good = rows.iter().filter(|row| row.fate == Fate::Good).copied();
            rows.extend(good.collect::<Vec<_>>());
        }
        self.held.push(Held { number, rows });
        match state.scenario.writing.taking {
            Taking::AtOnce => self.take(state, &mut answer),
            Taking::Every(count) if self.held.len() >= count => self.take(state, &mut answer),
            Taking::Every(_) | Taking::AtCommit => {}
        }
        Ok(self.seal(state, answer))
    }

    pub(crate) fn commit(&mut self, state: &mut State, mark: &Mark, now: bool) -> Result<Answer> {
        state.admit(self.task, self.epoch)?;
        let rises = mark.sequence > self.sequence;
        state.ensure(rises, || {
            format!("task {}: mark {} comes after {}", self.task, mark.sequence, self.sequence)
        });
        self.sequence = mark.sequence.max(self.sequence);
        self.check_place(state, mark);
        let mut answer = Answer::default();
        self.pending.push((mark.clone(), self.next));
        if state.scenario.writing.tells_at_commit && !now {
            self.tell_next(&mut answer);
        }
        let lag = if now { 0 } else { state.scenario.writing.lag };
        if self.pending.len() > lag {
            self.take(state, &mut answer);
            if answer.undone.is_none() {
                let settled = self.pending.len() - lag;
                self.settle(state, settled, &mut answer);
            }
        }
        Ok(self.seal(state, answer))
    }

    pub(crate) fn close(&mut self, state: &mut State, mark: &Mark) -> Result<Closed> {
        state.ensure(mark.end, || {
            format!("task {} is closed with a mark that is no end", self.task)
        });
        let answer = if self.durable.as_ref() == Some(mark) {
            state.admit(self.task, self.epoch)?;
            self.seal(state, Answer::default())
        } else {
            self.commit(state, mark, true)?
        };
        if answer.undone.is_some() {
            return Ok(Closed { answer, receipt: Vec::new() });
        }
        let receipt = format!("receipt of task {} mark {}", self.task, mark.sequence).into_bytes();
        state.destination.receipts.insert(self.task, receipt.clone());
        Ok(Closed { answer, receipt })
    }

    /// Tells in a later answer what happened to rows that are still held.
    fn tell_next(&mut self, answer: &mut Answer) {
        let mut first = None;
        for held in &mut self.held {
            held.rows.retain_mut(|row| {
                let refused = row.fate == Fate::RefusedNext;
                let changed = row.fate == Fate::ChangedNext && !row.told;
                if refused || changed {
                    row.told = true;
                    answer.remarks.push(remark(row, changed));
                    first.get_or_insert(row.batch);
                }
                !refused
            });
        }
        if let Some(first) = first {
            self.pending.retain(|(_, covered)| *covered <= first);
        }
    }

    /// The rows of a batch, checked one by one.
    fn examine(&self, state: &mut State, batch: &Batch, number: u64) -> Vec<Row> {
        let ids = table::ids_of(batch).unwrap_or_else(|wrong| {
            state.violation(format!("task {}: {wrong}", self.task));
            Vec::new()
        });
        let mut rows = Vec::new();
        for (row, id) in ids.into_iter().enumerate() {
            let fate = state.scenario.fate(id);
            let here = table::place_of(id).is_some_and(|(split, _)| split == self.split);
            match fate {
                Some(fate) if here && reaches(fate) => {
                    rows.push(Row { batch: number, row: row as u32, id, fate, told: false });
                }
                _ => state.violation(format!("task {} gets record {id}", self.task)),
            }
        }
        rows
    }

    /// Takes all held batches for good, or drops them all.
    fn take(&mut self, state: &mut State, answer: &mut Answer) {
        let late = |row: &&Row| {
            matches!(row.fate, Fate::RefusedNext | Fate::RefusedLate | Fate::RefusedUnnamed)
        };
        let bad: Vec<Row> =
            self.held.iter().flat_map(|held| &held.rows).filter(late).copied().collect();
        let held = std::mem::take(&mut self.held);
        if bad.is_empty() {
            let rows: Vec<Row> = held.into_iter().flat_map(|held| held.rows).collect();
            self.taken = self.next;
            if is_eager(state.scenario.writing.mode) {
                let task = self.task;
                let seen = rows.iter().map(|row| Delivered { id: row.id, task });
                state.destination.rows.extend(seen);
            } else {
                self.accepted.extend(rows);
            }
            return;
        }
        state.destination.undone += 1;
        self.twice = state.is_planted(Planted::SendTwiceAfterUndone);
        let first = held.first().map_or(self.next, |held| held.number);
        self.pending.retain(|(_, covered)| *covered <= first);
        let named = bad.iter().filter(|row| row.fate != Fate::RefusedUnnamed);
        let most = if state.scenario.writing.names_all { usize::MAX } else { 1 };
        answer.remarks.extend(named.take(most).map(|row| remark(row, false)));
        answer.undone = Some(Fault::data("testkit.refused", "simulated: batches were dropped"));
    }

    /// Makes the first `count` pending marks durable, with the rows that they cover.
    fn settle(&mut self, state: &mut State, count: usize, answer: &mut Answer) {
        let Some((mark, covered)) = self.pending.drain(..count).next_back() else {
            return;
        };
        let (settled, rest): (Vec<Row>, Vec<Row>) =
            self.accepted.iter().partition(|row| row.batch < covered);
        self.accepted = rest;
        if std::mem::take(&mut self.lose.commit) {
            answer.durable = Some(mark);
            return;
        }
        let task = self.task;
        match state.scenario.writing.mode {
            CommitMode::Staged => {
                let ids = settled.iter().map(|row| row.id);
                state.destination.staged.entry(task).or_default().extend(ids);
            }
            _ => {
                let rows = settled.iter().map(|row| Delivered { id: row.id, task });
                state.destination.rows.extend(rows);
            }
        }
        state.destination.durable.insert(task, mark.clone());
        state.tell(&format!(" durable {}", mark.sequence));
        check_counts(state, task, &mark);
        self.durable = Some(mark.clone());
        answer.durable = Some(mark);
    }

    fn seal(&self, state: &mut State, mut answer: Answer) -> Answer {
        answer.taken = self.taken;
        if state.scenario.writing.repeats_durable && answer.durable.is_none() {
            answer.durable.clone_from(&self.durable);
        }
        if answer.undone.is_some() {
            state.tell(" undone");
        }
        if !answer.remarks.is_empty() {
            state.tell(&format!(" remarks {}", answer.remarks.len()));
        }
        answer
    }

    /// A mark stands where its counts say: just behind as many records as were read.
    fn check_place(&self, state: &mut State, mark: &Mark) {
        let counts = mark.counts;
        state.ensure(counts.add_up(), || {
            format!("invariant 5: task {} mark {}: {counts:?}", self.task, mark.sequence)
        });
        let length = state.scenario.splits[self.split].records.len();
        let place = mark.position.as_deref().map(table::place_in);
        let index = match place {
            // The plug-in's own marks at the end need no position.
            None if mark.end => Some(length),
            None => None,
            Some(place) => place.filter(|(split, _)| *split == self.split).map(|place| place.1),
        };
        let right = index.is_some_and(|index| {
            index as u64 == counts.records_read
                || (mark.end && counts.records_read == length as u64)
        });
        state.ensure(right, || {
            format!(
                "invariant 5: task {} mark {} at {index:?} counts {} records read",
                self.task, mark.sequence, counts.records_read
            )
        });
    }
}

/// Whether a record of this fate comes to the destination.
fn reaches(fate: Fate) -> bool {
    use Fate as F;
    !matches!(fate, F::Undecodable | F::Uncastable | F::Dropped | F::RefusedByStep)
}

/// What a durable mark counts is at the destination and in the dirty store.
fn check_counts(state: &mut State, task: TaskIndex, mark: &Mark) {
    let stored = state.books.only().map_or((0, 0), |book| book.dirty_up_to(task, mark.sequence));
    let counted = (mark.counts.records_dirty, mark.counts.records_changed);
    state.ensure(stored == counted, || {
        format!(
            "invariant 5: task {task} mark {} counts {counted:?} records as dirty and changed, stored are {stored:?}",
            mark.sequence
        )
    });
    let found = state.destination.count(task);
    let told = mark.counts.records_written;
    // Where rows are seen at once, some behind the mark may be there already.
    let exact = !is_eager(state.scenario.writing.mode);
    state.ensure(if exact { found == told } else { found >= told }, || {
        format!(
            "invariant 5: task {task} mark {} counts {told} written, {found} are there",
            mark.sequence
        )
    });
}

fn remark(row: &Row, loaded: bool) -> Remark {
    Remark {
        batch: row.batch,
        row: row.row,
        column: None,
        loaded,
        code: if loaded { "testkit.changed" } else { "testkit.refused" }.into(),
        message: "simulated".into(),
    }
}
