//! The writing half of a task: hands batches to the sink, commits, and keeps the books in order.

use std::collections::VecDeque;
use std::time::Duration;

use domain::port::{Answer, DirtyStage, Done, Remark, Store, TaskRecord, Writer};
use domain::verify::{Print, Sums};
use domain::{Batch, Counts, Fault, Mark, Position, Result};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::attempt::Context;
use crate::dirty::{self, Reason};
use crate::parts::{Part, Parts};
use crate::reading::{Item, Piece};
use crate::session::{Kept, Writes};
use crate::told::{Retold, Told};
use crate::unsettled::{REFUSED_TOO_LATE, Unsettled};
use crate::watch::{Phase, Watch};

/// Marks that may wait to become durable; with the last of them the sink may wait no longer.
const GIVEN_MAX: usize = 4096;

/// A mark that the sink was given and that is not known to be durable.
struct Given {
    mark: Mark,
    /// How many writes came before it.
    writes: u64,
    /// How many dirty records were told before it.
    told: u64,
}

pub(crate) struct Writing<'a, S, W> {
    context: &'a Context<S>,
    writer: &'a mut Kept<Writes<W>>,
    task: &'a TaskRecord,
    watch: &'a Watch,
    /// Of the whole task, over all its epochs.
    counts: Counts,
    /// Of the same rows as the counts, where the run is verified.
    sums: Option<Sums>,
    /// The newest position that the reader gave.
    position: Option<Position>,
    /// Commits at every position, so that little must be kept.
    careful: bool,
    /// Whether the reader could go on just behind what was written last: only there may a commit be.
    resumable: bool,
    /// The newest durable mark.
    durable: Mark,
    /// The sequence of the newest mark that was given to the sink.
    sequence: u64,
    given: VecDeque<Given>,
    /// Calls of `write` so far.
    writes: u64,
    unsettled: Unsettled,
    told: Told,
    acknowledge: watch::Sender<Option<Position>>,
    bytes_since_commit: u64,
    committed_at: Instant,
}

impl<'a, S: Store, W: Writer> Writing<'a, S, W> {
    /// A writing half that goes on behind `start`.
    pub(crate) fn new(
        context: &'a Context<S>,
        writer: &'a mut Kept<Writes<W>>,
        task: &'a TaskRecord,
        (start, sums): (Mark, Option<Sums>),
        watch: &'a Watch,
        acknowledge: watch::Sender<Option<Position>>,
        careful: bool,
    ) -> Self {
        context.progress.goes_on(task.index, &start.counts);
        watch.counted(&start.counts);
        Self {
            context,
            writer,
            task,
            watch,
            counts: start.counts,
            sums,
            position: start.position.clone(),
            careful,
            resumable: false,
            sequence: start.sequence,
            durable: start,
            given: VecDeque::new(),
            writes: 0,
            unsettled: Unsettled::new(context.settings.uncommitted_bytes),
            told: Told::default(),
            acknowledge,
            bytes_since_commit: 0,
            committed_at: Instant::now(),
        }
    }

    /// Writes all that comes, to the end of the task. `None`: the reading half ended before its end.
    /// Answers also what this try has counted, which another try will count again.
    pub(crate) async fn run(
        mut self,
        mut queue: mpsc::Receiver<Item>,
    ) -> (Result<Option<Done>>, Counts) {
        let result = self.take_all(&mut queue).await;
        if !matches!(result, Ok(Some(_))) {
            self.store_rest().await;
        }
        (result, self.counts)
    }

    /// Stores the dirty records that were told, where the try ends: they are in its counts. The next
    /// try, if there is one, drops them and tells them again.
    async fn store_rest(&mut self) {
        let dirty = self.told.unstored();
        if dirty.is_empty() {
            return;
        }
        let (run, task, sequence) = (&self.context.attempt.run, self.task, self.sequence + 1);
        // Without looking after the session: it may be the one that failed.
        let store = &self.context.store;
        let stored = store.add_dirty(run, task.index, task.epoch, sequence, &dirty).await;
        if let Err(fault) = stored {
            tracing::warn!("dirty records of the end of task {} are lost: {fault}", task.index);
        }
    }

    async fn take_all(&mut self, queue: &mut mpsc::Receiver<Item>) -> Result<Option<Done>> {
        loop {
            match self.next(queue).await? {
                Some(Item::Piece(piece)) => {
                    self.take(*piece).await?;
                    self.commit_where_due().await?;
                }
                Some(Item::Ended { bookmark }) => return self.close(bookmark).await.map(Some),
                None => return Ok(None),
            }
        }
    }

    async fn next(&mut self, queue: &mut mpsc::Receiver<Item>) -> Result<Option<Item>> {
        let waiting = Instant::now();
        let context = self.context;
        let item = async {
            tokio::select! {
                biased;
                fault = context.stopping() => Err(fault),
                item = queue.recv() => Ok(item),
            }
        };
        let item = self.writer.during(item).await;
        self.watch.since(Phase::WaitingReader, waiting);
        item
    }

    async fn take(&mut self, piece: Piece) -> Result<()> {
        let dirty = piece.dirty.len() as u64;
        let batch = piece.batch.filter(|batch| !batch.is_empty());
        let written = batch.as_ref().map_or(0, |batch| batch.len() as u64);
        let bytes_written = batch.as_ref().map_or(0, Batch::value_bytes);
        self.count(|counts| {
            counts.records_read += piece.records_read;
            counts.records_nulled += piece.records_nulled;
            counts.bytes_read += piece.bytes_read;
            counts.records_dirty += dirty;
            counts.records_filtered += piece.records_filtered;
            counts.records_added += piece.records_added;
            counts.records_written += written;
            counts.bytes_written += bytes_written;
        });
        if let Some(sums) = &mut self.sums {
            piece.prints.iter().for_each(|print| sums.add(*print));
        }
        piece.dirty.into_iter().for_each(|dirty| self.told.push(dirty, None));
        if dirty > 0 {
            self.within_error_limit().await?;
        }
        self.bytes_since_commit += bytes_written;
        self.write_all(batch.into_iter().map(Part::Whole).collect()).await?;
        self.resumable = piece.position.is_some();
        self.position = piece.position.or(self.position.take());
        Ok(())
    }

    fn committed(&self, begun: Instant) {
        self.watch.since(Phase::Committing, begun);
        self.watch.committed();
    }

    fn count(&mut self, change: impl FnOnce(&mut Counts)) {
        let old = self.counts;
        change(&mut self.counts);
        self.context.progress.moved(&old, &self.counts);
        self.watch.counted(&self.counts);
    }

    /// Writes parts in their order, and again what the destination dropped.
    async fn write_all(&mut self, parts: Vec<Part>) -> Result<()> {
        let mut parts = Parts::new(parts);
        while let Some(next) = parts.next()? {
            let (batch, other) = next.split();
            let number = self.writes;
            self.writes += 1;
            self.unsettled.push(number, batch.clone());
            let begun = Instant::now();
            let answer = self.writer.session.0.write(&batch).await.map_err(within)?;
            self.watch.since(Phase::Writing, begun);
            let again = self.hear(answer, Some(number)).await?;
            parts.tried(other, again);
        }
        Ok(())
    }

    /// Takes in what the sink says: remarks, what it took, what is durable. Answers what must be sent
    /// again, in order, where it dropped some.
    async fn hear(&mut self, answer: Answer, blamed: Option<u64>) -> Result<Option<Vec<Part>>> {
        if answer.taken > self.writes {
            return Err(
                self.lie("taken", format!("took {} batches of {}", answer.taken, self.writes))
            );
        }
        let mut refused = false;
        let mut first_remarked = u64::MAX;
        for remark in answer.remarks {
            refused |= !remark.loaded;
            first_remarked = first_remarked.min(remark.batch);
            self.remark(remark).map_err(within)?;
        }
        self.unsettled.settle_below(answer.taken);
        let untrue = |given: &Given| given.writes > first_remarked;
        if self
            .given
            .iter()
            .any(|given| untrue(given) && answer.durable.as_ref() == Some(&given.mark))
        {
            return Err(self.lie_late());
        }
        // What a mark counts is no longer so where a row that it covers is refused, or was changed: it
        // must not become durable.
        self.given.retain(|given| !untrue(given));
        if let Some(mark) = answer.durable {
            self.settle(mark).await?;
        }
        let again = match answer.undone {
            Some(fault) => {
                let back = self.unsettled.take_back().map_err(within)?;
                // A mark that covers none of them may still become durable.
                let first = back.first().map_or(self.writes, |(number, _)| *number);
                self.given.retain(|given| given.writes <= first);
                self.untell(first).await?;
                Some(if refused {
                    back.into_iter().map(|(_, batch)| Part::Whole(batch)).collect()
                } else {
                    refused = true;
                    self.blame(fault, blamed, back)?
                })
            }
            None => None,
        };
        if refused {
            self.within_error_limit().await?;
        }
        Ok(again)
    }

    /// What was told of batches from `first` on as loaded with a change will be told again.
    async fn untell(&mut self, first: u64) -> Result<()> {
        let (sequence, kept) = match self.given.back() {
            Some(given) => (given.mark.sequence, given.told),
            None => (self.durable.sequence, 0),
        };
        let (retold, count) = self.told.undo(first..self.writes, kept);
        self.count(|counts| counts.records_changed -= count);
        match retold {
            Retold::Right => Ok(()),
            Retold::Again => {
                let (run, task) = (&self.context.attempt.run, self.task);
                let store = &self.context.store;
                let dropping = store.drop_dirty_behind(run, task.index, task.epoch, sequence);
                self.writer.during(dropping).await
            }
            Retold::Lost => Err(Fault::data(
                REFUSED_TOO_LATE,
                "the destination dropped batches whose remarks are no longer kept",
            )
            .retry_after(Duration::ZERO)
            .within("writer")),
        }
    }

    fn remark(&mut self, remark: Remark) -> Result<()> {
        let sent = self.unsettled.find(remark.batch)?;
        if remark.loaded {
            if remark.row as usize >= sent.batch.len() {
                let message = format!("the writer spoke of row {}, which is not there", remark.row);
                return Err(Fault::plugin("plugin.lie.remark", message));
            }
        } else {
            sent.refuse(remark.row)?;
        }
        let batch = sent.batch.clone();
        let stage = if remark.loaded { DirtyStage::Loaded } else { DirtyStage::Write };
        let reason = Reason {
            stage,
            column: remark.column,
            code: remark.code,
            message: remark.message,
            plugin: None,
        };
        self.note(reason, &batch, remark.row as usize, remark.batch);
        Ok(())
    }

    /// Notes a row that was refused, or loaded with a change.
    fn note(&mut self, reason: Reason, batch: &Batch, row: usize, number: u64) {
        let loaded = reason.stage == DirtyStage::Loaded;
        let bytes = Batch::new(batch.dataset, batch.rows.slice(row, 1)).value_bytes();
        self.count(|counts| {
            if loaded {
                counts.records_changed += 1;
            } else {
                counts.records_written -= 1;
                counts.records_dirty += 1;
                counts.bytes_written -= bytes;
            }
        });
        if let (Some(print), Some(sums)) = (self.print(batch, row), &mut self.sums) {
            if loaded { sums.change(print) } else { sums.refuse(print) }
        }
        let dataset = self.context.prepared.datasets.get(batch.dataset as usize);
        let digest = &self.context.settings.writer_digest;
        let position = batch.positions.as_ref().and_then(|positions| positions.of(row));
        let dirty = dirty::of_row(reason, dataset, &batch.rows, row, position, digest);
        self.told.push(dirty, loaded.then_some(number));
    }

    /// The fingerprint of one row, where the run is verified.
    fn print(&self, batch: &Batch, row: usize) -> Option<Print> {
        let comparison = self.context.comparison.as_ref()?;
        comparison.printer.print(&batch.rows.slice(row, 1)).pop()
    }

    /// The destination dropped batches and named no row: the batch just written is to blame; where it
    /// is one row, that row is refused.
    fn blame(
        &mut self,
        fault: Fault,
        blamed: Option<u64>,
        back: Vec<(u64, Batch)>,
    ) -> Result<Vec<Part>> {
        let only = (back.len() == 1).then_some(0);
        let suspect = match blamed {
            Some(number) => back.iter().position(|(sent, _)| *sent == number),
            None => only,
        };
        let Some(guilty) = suspect else {
            return Err(fault
                .within("the destination refused several batches together and named no row")
                .within("writer"));
        };
        let mut parts = Vec::with_capacity(back.len());
        for (index, (number, batch)) in back.into_iter().enumerate() {
            if index != guilty {
                parts.push(Part::Whole(batch));
            } else if batch.len() > 1 {
                parts.push(Part::Guilty(batch));
            } else {
                let (code, message) = (fault.code.clone(), fault.message.clone());
                let reason =
                    Reason { stage: DirtyStage::Write, column: None, code, message, plugin: None };
                self.note(reason, &batch, 0, number);
            }
        }
        Ok(parts)
    }

    fn lie(&self, what: &str, message: String) -> Fault {
        within(Fault::plugin(format!("plugin.lie.{what}"), format!("the writer {message}")))
    }

    fn lie_late(&self) -> Fault {
        let message = "spoke of rows of a mark in the answer that made it durable, or after it";
        self.lie("late_remark", message.into())
    }

    async fn commit_where_due(&mut self) -> Result<()> {
        if !self.resumable || self.position == self.durable.position {
            return Ok(());
        }
        let (settings, wishes) = (&self.context.settings, &self.context.prepared.wishes);
        let full = self.given.len() >= GIVEN_MAX;
        let now = self.careful || full || self.unsettled.is_half_full();
        let due = now
            || self.bytes_since_commit >= settings.commit_bytes(wishes)
            || self.committed_at.elapsed() >= settings.commit_every(wishes);
        if !due {
            return Ok(());
        }
        loop {
            let mark = self.give_mark(self.position.clone(), false).await?;
            let begun = Instant::now();
            let answer = self.writer.session.0.commit(&mark, now).await.map_err(within)?;
            self.committed(begun);
            match self.hear(answer, None).await? {
                Some(again) => self.write_all(again).await?,
                None => break,
            }
        }
        if full && self.given.len() > GIVEN_MAX {
            return Err(
                self.lie("mark", "did not make a mark durable that may wait no longer".into())
            );
        }
        self.bytes_since_commit = 0;
        self.committed_at = Instant::now();
        Ok(())
    }

    /// The next mark. What it counts as dirty and what it has written is in the store before the
    /// destination gets it, so that a resume behind it finds all.
    async fn give_mark(&mut self, position: Option<Position>, end: bool) -> Result<Mark> {
        self.store_dirty().await?;
        self.sequence += 1;
        self.store_sums().await?;
        let mark = Mark { sequence: self.sequence, position, counts: self.counts, end };
        let told = self.told.count();
        self.given.push_back(Given { mark: mark.clone(), writes: self.writes, told });
        Ok(mark)
    }

    /// Invariant 1: durable at the destination, then in the store, then acknowledged.
    async fn settle(&mut self, mark: Mark) -> Result<()> {
        if mark == self.durable {
            return Ok(());
        }
        let Some(index) = self.given.iter().position(|given| given.mark == mark) else {
            return Err(
                self.lie("mark", "says that a mark is durable which it was not given".into())
            );
        };
        if let Some(given) = self.given.drain(..=index).next_back() {
            self.unsettled.settle_below(given.writes);
            self.told.settle(given.told);
        }
        let (run, task) = (&self.context.attempt.run, self.task);
        let storing = self.context.store.checkpoint(run, task.index, task.epoch, &mark);
        self.writer.during(storing).await?;
        if !mark.end && mark.position.is_some() {
            self.acknowledge.send_replace(mark.position.clone());
        }
        self.durable = mark;
        Ok(())
    }

    async fn close(&mut self, bookmark: Option<Position>) -> Result<Done> {
        loop {
            let mark = self.give_mark(bookmark.clone(), true).await?;
            let begun = Instant::now();
            let closed = self.writer.session.0.close(&mark).await.map_err(within)?;
            self.committed(begun);
            if let Some(again) = self.hear(closed.answer, None).await? {
                self.write_all(again).await?;
                continue;
            }
            // A sink that closed has made its last mark durable, whether it says so or not.
            if self.durable != mark && self.given.iter().all(|given| given.mark != mark) {
                return Err(self.lie_late());
            }
            self.settle(mark).await?;
            let done = Done { counts: self.counts, receipt: closed.receipt, bookmark };
            let (run, task) = (&self.context.attempt.run, self.task);
            let storing = self.context.store.complete(run, task.index, task.epoch, &done);
            self.writer.during(storing).await?;
            if self.position.is_some() {
                self.acknowledge.send_replace(self.position.clone());
            }
            return Ok(done);
        }
    }

    /// Stores dirty records under the next mark's sequence.
    async fn store_dirty(&mut self) -> Result<()> {
        let dirty = self.told.unstored();
        if dirty.is_empty() {
            return Ok(());
        }
        let (run, task) = (&self.context.attempt.run, self.task);
        let sequence = self.sequence + 1;
        let storing = self.context.store.add_dirty(run, task.index, task.epoch, sequence, &dirty);
        self.writer.during(storing).await
    }

    /// Stores what was written, under the mark that comes.
    async fn store_sums(&mut self) -> Result<()> {
        let Some(sums) = &self.sums else { return Ok(()) };
        let (run, task, store) = (&self.context.attempt.run, self.task, &self.context.store);
        let storing = store.save_sums(run, task.index, task.epoch, self.sequence, sums);
        self.writer.during(storing).await
    }

    /// # Errors
    /// `run.dirty_limit` where the run has more dirty records than the job allows.
    async fn within_error_limit(&mut self) -> Result<()> {
        let limit = self.context.settings.error_limit;
        let dirty = self.context.progress.dirty();
        if limit.exceeded(dirty) {
            return Err(self.context.dirty_limit(dirty, self.told.last()));
        }
        if self.told.should_be_stored() {
            self.store_dirty().await?;
        }
        Ok(())
    }
}

fn within(fault: Fault) -> Fault {
    fault.within("writer")
}
