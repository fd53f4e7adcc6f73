//! What must be true when a run has ended (invariants 1, 2, 5 and 9).

use std::collections::BTreeMap;

use domain::Counts;
use domain::port::{CommitMode, Dirty, DirtyRecord, DirtyStage};
use domain::run::RunState;

use crate::fault::{FaultKind, Operation};
use crate::store::Book;
use crate::table::{self, Amounts, Fate};
use crate::world::State;

/// Adds what is wrong to the violations.
pub(crate) fn judge(state: &mut State) {
    let Some(found) = state.books.only().map(|book| book.record.state) else {
        return state.violation("the run is not in the books".into());
    };
    let left = state.destination.staged.values().map(Vec::len).sum::<usize>();
    state.ensure(left == 0 || refused_to_clear(state), || format!("{left} rows are left staged"));
    let dirty = state.scenario.dirty_expected();
    let records = state.scenario.records().count() as u64;
    let broken = state.scenario.error_limit.exceeded_at_end(dirty, records);
    match found {
        RunState::Succeeded => {
            state.ensure(!broken, || "the run succeeded with too many dirty records".into());
            judge_records(state);
            judge_dirty(state);
            judge_verified(state);
            judge_sums(state);
        }
        RunState::Failed => {
            let may_fail = broken || state.met.iter().any(|met| breaks(met.kind, met.prepared));
            let fault = state.books.only().and_then(|book| book.record.fault.clone());
            state.ensure(fault.is_some(), || "the run failed and does not say why".into());
            state.ensure(may_fail, || format!("the run failed without a reason: {fault:?}"));
        }
        _ => state.violation(format!("the run does not end: it is {found:?}")),
    }
}

/// A destination that says for good that it cannot clear away keeps what it staged.
fn refused_to_clear(state: &State) -> bool {
    let clearing = [Operation::DestinationConnect, Operation::WriterFinish];
    let refused = |kind, operation| kind == FaultKind::DataError && clearing.contains(&operation);
    state.met.iter().any(|met| refused(met.kind, met.operation))
}

/// Whether a run may end as failed by a fault: one of the content, or one that came while there was
/// nothing to resume yet.
fn breaks(kind: FaultKind, prepared: bool) -> bool {
    match kind {
        FaultKind::DataError => true,
        FaultKind::Error | FaultKind::Retry | FaultKind::Lost | FaultKind::Stop => !prepared,
        FaultKind::Hang | FaultKind::CrashBefore | FaultKind::CrashAfter | FaultKind::Overtaken => {
            false
        }
    }
}

/// Invariant 2: every record is at the destination, or in the dirty store, as often as it must be.
fn judge_records(state: &mut State) {
    let mut arrived: BTreeMap<i64, u32> = BTreeMap::new();
    for row in &state.destination.rows {
        *arrived.entry(row.id).or_default() += 1;
    }
    let (dirty, changed) = state.books.only().map(dirty_ids).unwrap_or_default();
    let exactly_once = match state.scenario.writing.mode {
        // Rows of one key are one row; rows without are as many as were sent.
        CommitMode::Idempotent => {
            arrived.values_mut().for_each(|count| *count = 1);
            true
        }
        // Only where nothing was redone.
        CommitMode::AtLeastOnce => state.met.is_empty() && state.destination.undone == 0,
        CommitMode::Transactional | CommitMode::Staged | CommitMode::BrokerTransaction => true,
    };
    let records: Vec<_> = state.scenario.records().collect();
    for record in &records {
        let times = arrived.remove(&record.id).unwrap_or(0);
        if record.fate == Fate::Doubled {
            let twins = arrived.remove(&table::twin(record.id)).unwrap_or(0);
            state.ensure(twins == 1 || (twins > 1 && !exactly_once), || {
                format!("invariant 2: the twin of record {} arrived {twins} times", record.id)
            });
        }
        let told = dirty.get(&record.id).copied().unwrap_or(0);
        let told_changed = changed.get(&record.id).copied().unwrap_or(0);
        let right = match record.fate {
            Fate::Dropped => times == 0 && told == 0,
            fate if fate.is_dirty() => times == 0 && told == 1,
            _ => (times == 1 || (times > 1 && !exactly_once)) && told == 0,
        };
        state.ensure(right, || {
            format!(
                "invariant 2: record {} ({:?}) is {times} times at the destination, {told} times dirty",
                record.id, record.fate
            )
        });
        let right = match record.fate {
            Fate::Changed => told_changed == 1,
            // Where a mark had to become durable first, there was no time to tell.
            Fate::ChangedNext => told_changed <= 1,
            _ => told_changed == 0,
        };
        state.ensure(right, || {
            format!("record {} is told {told_changed} times as changed", record.id)
        });
    }
    state.ensure(arrived.is_empty(), || format!("records that nobody sent: {arrived:?}"));
}

/// Invariant 9: what stands in the dirty store is the record, whole, as it was where it got dirty.
fn judge_dirty(state: &mut State) {
    let reading = state.scenario.reading.amounts;
    let lines = state.books.only().map(|book| &book.dirty[..]).unwrap_or_default();
    let mut wrong = Vec::new();
    for Dirty { stage, record, .. } in lines.iter().map(|line| &line.dirty) {
        let DirtyRecord::Values(found) = record else { continue };
        let amounts = match stage {
            DirtyStage::Write | DirtyStage::Loaded => Amounts::Integers,
            _ => reading,
        };
        let known = state.scenario.records().find(|one| id_of(record) == one.id);
        let wanted = known.map(|one| table::values(one, amounts));
        if wanted.as_ref() != Some(found) {
            wrong.push(format!("invariant 9: the dirty store has {found:?} instead of {wanted:?}"));
        }
    }
    wrong.into_iter().for_each(|what| state.violation(what));
}

/// The id that a dirty record tells; 0, which is nobody's, where it tells none.
fn id_of(record: &DirtyRecord) -> i64 {
    let text = match record {
        DirtyRecord::Raw(bytes) => std::str::from_utf8(bytes).ok(),
        DirtyRecord::Values(values) => {
            values.iter().find(|(name, _)| name == "id").and_then(|(_, value)| value.as_deref())
        }
    };
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// What is read back is what was written, also over kills and refusals.
fn judge_verified(state: &mut State) {
    let Some(book) = state.books.only() else { return };
    if !state.scenario.verify {
        return;
    }
    let done = book.tasks.iter().filter_map(|task| task.done.as_ref());
    let written: u64 = done.map(|done| done.counts.records_written).sum();
    let (summed, verified) = (book.run_sums.rows(), book.record.verified.clone());
    let right = summed == written
        && verified.as_ref().is_some_and(|it| it.matches() && it.written == written);
    state.ensure(right, || {
        format!("{written} records are written, {summed} summed up, read back: {verified:?}")
    });
}

/// How often each record stands in the dirty store: refused, and loaded with a changed value.
fn dirty_ids(book: &Book) -> (BTreeMap<i64, u32>, BTreeMap<i64, u32>) {
    let (mut dirty, mut changed) = (BTreeMap::new(), BTreeMap::new());
    for line in &book.dirty {
        let ids = if line.dirty.stage == DirtyStage::Loaded { &mut changed } else { &mut dirty };
        *ids.entry(id_of(&line.dirty.record)).or_default() += 1;
    }
    (dirty, changed)
}

/// Invariant 5: the sums of the run are those of the scenario.
fn judge_sums(state: &mut State) {
    let Some(book) = state.books.only() else { return };
    let mut sums = Counts::default();
    let mut undone = Vec::new();
    for task in &book.tasks {
        match &task.done {
            Some(done) => sums.add(&done.counts),
            None => undone.push(task.index),
        }
    }
    let tasks = book.tasks.len();
    let strangers = dirty_ids(book).0.contains_key(&0);
    let records = state.scenario.records().count() as u64;
    let dirty = state.scenario.dirty_expected();
    let changed = dirty_ids(book).1.values().map(|times| u64::from(*times)).sum::<u64>();
    let splits = state.scenario.splits.len();
    state.ensure(!strangers, || "a dirty record without its values is stored".into());
    state.ensure(undone.is_empty() && tasks == splits, || {
        format!("the run succeeded with {tasks} tasks of {splits}, not done: {undone:?}")
    });
    let (doubled, dropped) =
        (state.scenario.count(Fate::Doubled), state.scenario.count(Fate::Dropped));
    let written = records + doubled - dropped - dirty;
    let wanted = [records, doubled, written, dropped, dirty, changed];
    let found = [
        sums.records_read,
        sums.records_added,
        sums.records_written,
        sums.records_filtered,
        sums.records_dirty,
        sums.records_changed,
    ];
    state.ensure(found == wanted, || {
        format!(
            "invariant 5: read, added, written, filtered, dirty, changed: {found:?} instead of {wanted:?}"
        )
    });
}
