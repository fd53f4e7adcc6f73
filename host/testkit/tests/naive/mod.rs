//! The simplest engine that is right: one task after another, one call after another. It proves that
//! the doubles and the checkers are right.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int64Type};
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::DataType;
use domain::port::{
    Answer, Attempt, Budget, Destination, Dirty, DirtyRecord, DirtyStage, Done, Outcome, Plan,
    Prepared, Reader, Rows, RunRecord, Source, SourceRecord, Step, Store, TaskRecord, Writer,
};
use domain::run::{RunEvent, RunState};
use domain::{Batch, Counts, Dataset, Fault, FaultDomain, Mark, Position, Result, RunId};
use testkit::destination::ScriptedWriter;
use testkit::source::ScriptedReader;
use testkit::{MemStore, Parts};

const BUDGET: Budget = Budget { rows: 7, bytes: 1 << 20, wait: Duration::from_millis(200) };

pub(crate) async fn attempt(parts: Parts) -> Result<()> {
    let record = parts.store.happened(&parts.run, RunEvent::Started, None).await?;
    let attempt =
        Attempt { run: parts.run.clone(), epoch: record.epoch, bounded: true, verify: false };
    let mut state = record.state;
    if state == RunState::Running {
        let event = match work(&parts, &attempt, record).await {
            Ok(()) => (RunEvent::TasksDone, None),
            Err(fault) => (event_of(&fault), Some(fault)),
        };
        state = parts.store.happened(&parts.run, event.0, event.1.as_ref()).await?.state;
        if let (RunState::Interrupted, Some(fault)) = (state, event.1) {
            return Err(fault);
        }
    }
    match finish(&parts, &attempt, state).await {
        Ok(()) => parts.store.happened(&parts.run, RunEvent::Finished, None).await.map(drop),
        Err(fault) => {
            parts.store.happened(&parts.run, event_of(&fault), Some(&fault)).await?;
            Err(fault)
        }
    }
}

fn event_of(fault: &Fault) -> RunEvent {
    match fault.domain {
        FaultDomain::External => RunEvent::Stopped,
        _ => RunEvent::Broke,
    }
}

async fn finish(parts: &Parts, attempt: &Attempt, state: RunState) -> Result<()> {
    let outcome = if state == RunState::Finishing { Outcome::Succeeded } else { Outcome::Failed };
    let tasks = parts.store.tasks(&parts.run).await?;
    let receipts: Vec<_> =
        tasks.into_iter().filter_map(|task| task.done).map(|done| done.receipt).collect();
    let mut writer = parts.destination.connect().await?;
    writer.finish(attempt, outcome, &receipts).await
}

async fn work(parts: &Parts, attempt: &Attempt, record: RunRecord) -> Result<()> {
    let Parts { store, source, destination, run, options, .. } = parts;
    let mut planner = source.connect().await?;
    let planned = match record.sources.into_iter().next() {
        Some(planned) => planned,
        None => {
            let plan = planner.plan(options.lanes, &[]).await?;
            store.save_plans(run, std::slice::from_ref(&plan)).await?;
            SourceRecord::new(plan)
        }
    };
    let SourceRecord { plan, mut next, mut last } = planned;
    let prepared = match record.prepared {
        Some(prepared) => prepared,
        None => {
            let prepared = destination.connect().await?.prepare(attempt, &plan.datasets).await?;
            store.save_prepared(run, &prepared).await?;
            prepared
        }
    };
    while !last {
        let splits = planner.splits(&next, 3).await?;
        store.add_splits(run, 0, &splits).await?;
        (next, last) = (splits.next, splits.last);
    }
    let mut tasks = store.tasks(run).await?;
    tasks.sort_by_key(|task| task.split.stage);
    for task in tasks.iter().filter(|task| task.done.is_none()) {
        copy(parts, attempt, task, &plan, &prepared).await?;
    }
    let mut sums = Counts::default();
    let done = store.tasks(run).await?.into_iter().filter_map(|task| task.done);
    done.for_each(|done| sums.add(&done.counts));
    if options.error_limit.exceeded_at_end(sums.records_dirty, sums.records_read) {
        return Err(Fault::data("naive.limit", "too many dirty records"));
    }
    Ok(())
}

async fn copy(
    parts: &Parts,
    attempt: &Attempt,
    task: &TaskRecord,
    plan: &Plan,
    prepared: &Prepared,
) -> Result<()> {
    let record = parts.store.claim(&parts.run, task.index).await?;
    let mut writer = parts.destination.connect().await?;
    let told = writer.open(attempt, task.index, record.epoch, &prepared.datasets).await?;
    let newest = |mark: &Mark| mark.sequence;
    let from = [told.clone(), record.mark].into_iter().flatten().max_by_key(newest);
    let from = from.unwrap_or_default();
    let store = Arc::clone(&parts.store);
    store.drop_dirty_behind(&parts.run, task.index, record.epoch, from.sequence).await?;
    if told.is_some() {
        store.checkpoint(&parts.run, task.index, record.epoch, &from).await?;
    }
    let mut lane = Lane {
        store,
        run: parts.run.clone(),
        task: record.index,
        epoch: record.epoch,
        to: prepared.datasets[0].clone(),
        writer,
        reader: None,
        next: 0,
        untaken: Vec::new(),
        notes: Vec::new(),
        counts: from.counts,
        sequence: from.sequence,
        durable: from.clone(),
        pending: Vec::new(),
    };
    let bookmark = if from.end {
        None
    } else {
        let mut reader = parts.source.connect().await?;
        reader.open(&task.split, from.position.as_ref(), &plan.datasets).await?;
        lane.reader = Some(reader);
        lane.read(parts).await?
    };
    let receipt = lane.close().await?;
    let done = Done { counts: lane.durable.counts, receipt, bookmark };
    lane.store.complete(&lane.run, lane.task, lane.epoch, &done).await
}

struct Lane {
    store: Arc<MemStore>,
    run: RunId,
    task: u32,
    epoch: u64,
    to: Dataset,
    writer: ScriptedWriter,
    reader: Option<ScriptedReader>,
    /// The number of the next batch.
    next: u64,
    untaken: Vec<Untaken>,
    /// Dirty records since the durable mark.
    notes: Vec<Note>,
    counts: Counts,
    sequence: u64,
    durable: Mark,
    /// Marks that are committed and not durable, with the number of the first batch not covered.
    pending: Vec<(u64, u64)>,
}

struct Untaken {
    number: u64,
    batch: Batch,
    refused: BTreeSet<u32>,
}

struct Note {
    dirty: Dirty,
    /// The mark that it was stored with.
    sequence: Option<u64>,
    /// The batch that was loaded with a changed value.
    loaded: Option<u64>,
}

impl Lane {
    async fn read(&mut self, parts: &Parts) -> Result<Option<Position>> {
        loop {
            if *parts.options.stop.borrow() {
                return Err(Fault::external("naive.stopped", "stopped"));
            }
            let reader = self.reader.as_mut().expect("a task that is read has a reader");
            match reader.next(BUDGET).await? {
                Step::Rows(rows) => self.take_rows(rows).await?,
                Step::Advanced { position } => self.commit(Some(position), false).await?,
                Step::Idle => {}
                Step::Ended { bookmark } => return Ok(bookmark),
            }
        }
    }

    async fn take_rows(&mut self, rows: Rows) -> Result<()> {
        for bad in rows.undecodable {
            self.counts.records_read += 1;
            self.note_dirty(DirtyStage::Read, DirtyRecord::Raw(bad.data));
        }
        for batch in rows.batches {
            self.counts.records_read += batch.len() as u64;
            let batch = self.cast(batch);
            self.send([batch].into()).await?;
        }
        match rows.position {
            // Every other commit may be late.
            Some(position) => self.commit(Some(position), self.sequence.is_multiple_of(2)).await,
            None => Ok(()),
        }
    }

    fn note_dirty(&mut self, stage: DirtyStage, record: DirtyRecord) {
        self.counts.records_dirty += 1;
        self.notes.push(Note { dirty: dirty(stage, record), sequence: None, loaded: None });
    }

    /// Amounts that are texts or decimals become integers.
    fn cast(&mut self, batch: Batch) -> Batch {
        if *batch.rows.column(2).data_type() == DataType::Int64 {
            return batch;
        }
        let ids = batch.rows.column(0).as_primitive::<Int64Type>();
        let names = batch.rows.column(1).as_string::<i32>();
        let mut kept = Vec::new();
        for row in 0..batch.len() {
            let text = amount(&batch, row);
            match text.strip_suffix(".00").unwrap_or(&text).parse::<i64>() {
                Ok(amount) => kept.push((row, amount)),
                Err(_) => self.note_dirty(DirtyStage::Cast, values(&batch, row)),
            }
        }
        let name = |row: usize| names.is_valid(row).then(|| names.value(row));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(kept.iter().map(|one| ids.value(one.0)))),
            Arc::new(kept.iter().map(|one| name(one.0)).collect::<StringArray>()),
            Arc::new(Int64Array::from_iter_values(kept.iter().map(|one| one.1))),
        ];
        Batch::new(
            0,
            RecordBatch::try_new(self.to.schema.clone(), columns).expect("columns of the schema"),
        )
    }

    async fn send(&mut self, mut queue: VecDeque<Batch>) -> Result<()> {
        while let Some(batch) = queue.pop_front() {
            if batch.is_empty() {
                continue;
            }
            self.counts.records_written += batch.len() as u64;
            let number = self.next;
            self.next += 1;
            let answer = self.writer.write(&batch).await;
            self.untaken.push(Untaken { number, batch, refused: BTreeSet::new() });
            for again in self.digest(answer?).await?.into_iter().rev() {
                queue.push_front(again);
            }
        }
        Ok(())
    }

    /// Commits until nothing is undone.
    async fn commit(&mut self, position: Option<Position>, now: bool) -> Result<()> {
        loop {
            let mark = self.mark(position.clone(), false).await?;
            let answer = self.writer.commit(&mark, now).await?;
            let undone = answer.undone.is_some();
            let again = self.digest(answer).await?;
            self.send(again).await?;
            if !undone {
                return Ok(());
            }
        }
    }

    async fn close(&mut self) -> Result<Vec<u8>> {
        loop {
            let mark = match self.durable.end {
                true => self.durable.clone(),
                false => self.mark(None, true).await?,
            };
            let closed = self.writer.close(&mark).await?;
            let undone = closed.answer.undone.is_some();
            let again = self.digest(closed.answer).await?;
            self.send(again).await?;
            if !undone {
                return Ok(closed.receipt);
            }
        }
    }

    /// The next mark, with its dirty records stored before.
    async fn mark(&mut self, position: Option<Position>, end: bool) -> Result<Mark> {
        self.sequence += 1;
        let mut dirty = Vec::new();
        for note in self.notes.iter_mut().filter(|note| note.sequence.is_none()) {
            note.sequence = Some(self.sequence);
            dirty.push(note.dirty.clone());
        }
        self.store.add_dirty(&self.run, self.task, self.epoch, self.sequence, &dirty).await?;
        self.pending.push((self.sequence, self.next));
        Ok(Mark { sequence: self.sequence, position, counts: self.counts, end })
    }

    /// What the sink said; answers what must be sent again.
    async fn digest(&mut self, answer: Answer) -> Result<VecDeque<Batch>> {
        let named = answer.remarks.iter().any(|remark| !remark.loaded);
        for remark in &answer.remarks {
            let held = self.untaken.iter_mut().find(|held| held.number == remark.batch);
            let held = held.expect("remarks are about batches that are not taken");
            let record = values(&held.batch, remark.row as usize);
            if remark.loaded {
                self.counts.records_changed += 1;
                let loaded = Some(remark.batch);
                let dirty = dirty(DirtyStage::Loaded, record);
                self.notes.push(Note { dirty, sequence: None, loaded });
            } else {
                held.refused.insert(remark.row);
                self.counts.records_written -= 1;
                self.note_dirty(DirtyStage::Write, record);
            }
        }
        let taken = answer.taken;
        let again = match answer.undone {
            Some(_) => self.undo(taken, named).await?,
            None => VecDeque::new(),
        };
        self.untaken.retain(|held| held.number >= taken);
        if let Some(mark) = answer.durable.filter(|mark| mark.sequence > self.durable.sequence) {
            self.durable(mark).await?;
        }
        Ok(again)
    }

    async fn durable(&mut self, mark: Mark) -> Result<()> {
        self.store.checkpoint(&self.run, self.task, self.epoch, &mark).await?;
        if let (Some(reader), Some(position)) = (&mut self.reader, &mark.position) {
            reader.acknowledge(position).await?;
        }
        self.notes.retain(|note| note.sequence.is_none_or(|stored| stored > mark.sequence));
        self.durable = mark;
        Ok(())
    }

    async fn undo(&mut self, taken: u64, named: bool) -> Result<VecDeque<Batch>> {
        let mut again = VecDeque::new();
        // Marks that cover nothing of what was dropped may still become durable.
        let first = self.untaken.first().map_or(self.next, |held| held.number.max(taken));
        self.pending.retain(|(_, covered)| *covered <= first);
        for held in std::mem::take(&mut self.untaken) {
            if held.number < taken {
                continue;
            }
            let kept = (held.batch.len() - held.refused.len()) as u64;
            self.counts.records_written -= kept;
            let before = self.notes.len();
            self.notes.retain(|note| note.loaded != Some(held.number));
            self.counts.records_changed -= (before - self.notes.len()) as u64;
            let parts = rest(&held);
            match (named, &parts[..]) {
                (false, [only]) if only.len() == 1 => {
                    self.note_dirty(DirtyStage::Write, values(only, 0));
                }
                (false, _) => again.extend(parts.iter().flat_map(halves)),
                (true, _) => again.extend(parts),
            }
        }
        let alive = self.pending.last().map_or(self.durable.sequence, |pending| pending.0);
        self.store.drop_dirty_behind(&self.run, self.task, self.epoch, alive).await?;
        for note in &mut self.notes {
            note.sequence = note.sequence.filter(|stored| *stored <= alive);
        }
        Ok(again)
    }
}

/// A batch without its refused rows.
fn rest(held: &Untaken) -> Vec<Batch> {
    let mut parts = Vec::new();
    let mut first = 0;
    for end in held.refused.iter().map(|row| *row as usize).chain([held.batch.len()]) {
        if end > first {
            parts.push(Batch::new(0, held.batch.rows.slice(first, end - first)));
        }
        first = end + 1;
    }
    parts
}

fn halves(batch: &Batch) -> [Batch; 2] {
    let half = batch.len() / 2;
    let part = |from, length| Batch::new(0, batch.rows.slice(from, length));
    [part(0, half), part(half, batch.len() - half)]
}

fn values(batch: &Batch, row: usize) -> DirtyRecord {
    let id = batch.rows.column(0).as_primitive::<Int64Type>().value(row);
    let names = batch.rows.column(1).as_string::<i32>();
    let name = names.is_valid(row).then(|| names.value(row).to_owned());
    DirtyRecord::Values(vec![
        ("id".into(), Some(id.to_string())),
        ("name".into(), name),
        ("amount".into(), Some(amount(batch, row))),
    ])
}

fn amount(batch: &Batch, row: usize) -> String {
    let amounts = batch.rows.column(2);
    match amounts.data_type() {
        DataType::Int64 => amounts.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Utf8 => amounts.as_string::<i32>().value(row).to_owned(),
        _ => amounts.as_primitive::<Decimal128Type>().value_as_string(row),
    }
}

fn dirty(stage: DirtyStage, record: DirtyRecord) -> Dirty {
    Dirty {
        stage,
        code: "naive".into(),
        message: "dirty".into(),
        dataset: "orders".into(),
        column: None,
        plugin: "naive".into(),
        origin: None,
        position: None,
        record,
    }
}
