//! The reading half of a task: asks the cursor for steps, maps their rows, and acknowledges.

use std::sync::Arc;

use domain::port::{Budget, Dirty, Reader, Rows, Step, Store};
use domain::verify::Print;
use domain::{Batch, Dataset, Fault, Position, Positions, Result, SourceIndex};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::attempt::Context;
use crate::dirty;
use crate::processing::Processed;
use crate::session::{Kept, Reads, Session, until};
use crate::throttle::Throttle;
use crate::verify::Comparison;
use crate::watch::{Phase, Watch};

/// The metadata of a dataset that stands for several tables.
const TABLES: &str = "tables";
/// Steps in a row of a bounded plan that may bring neither a record nor a new position, though they say
/// that there is something.
const EMPTY_STEPS_MAX: u32 = 10_000;

/// What goes from the reading half to the writing half.
pub(crate) enum Item {
    Piece(Piece),
    Ended { bookmark: Option<Position> },
}

/// Rows of one batch, mapped, and what was read beside them.
#[derive(Default)]
pub(crate) struct Piece {
    pub(crate) batch: Option<Batch>,
    pub(crate) records_read: u64,
    pub(crate) bytes_read: u64,
    /// Records that could not be decoded, transformed or cast; contained in `records_read`.
    pub(crate) dirty: Vec<Dirty>,
    /// Records that a transformer dropped; contained in `records_read`.
    pub(crate) records_filtered: u64,
    /// Of the rows in `batch`, where the run is verified.
    pub(crate) prints: Vec<Print>,
    /// Where the reader could go on behind this piece.
    pub(crate) position: Option<Position>,
}

pub(crate) struct Reading<S, R> {
    pub(crate) context: Arc<Context<S>>,
    pub(crate) source: SourceIndex,
    /// The split's title, which tells where a record came from.
    pub(crate) split: String,
    pub(crate) reader: Kept<Reads<R>>,
    pub(crate) queue: mpsc::Sender<Item>,
    /// The newest position that is durable and stored.
    pub(crate) durable: watch::Receiver<Option<Position>>,
    pub(crate) budget: Budget,
    /// The lane's own; the job's is in the context.
    pub(crate) throttle: Arc<Throttle>,
    pub(crate) watch: Arc<Watch>,
    /// Records of the task that were read before, over all its epochs.
    pub(crate) records: u64,
    /// The newest position that the cursor told.
    pub(crate) position: Option<Position>,
    /// The steps since something came that brought nothing, and since when it waits.
    pub(crate) empty_steps: u32,
    pub(crate) waits_since: Option<Instant>,
}

impl<S: Store, R: Reader> Reading<S, R> {
    /// Reads the open cursor to its end, then acknowledges until the writing half is done. Answers the
    /// session for the next task.
    pub(crate) async fn run(mut self) -> Result<Kept<Reads<R>>> {
        loop {
            if self.durable.has_changed().unwrap_or(false) {
                self.acknowledge().await?;
            }
            if self.reader.is_due() {
                self.reader.tend().await?;
            }
            let asked = Instant::now();
            let step = self
                .reader
                .session
                .0
                .next(self.budget)
                .await
                .map_err(|fault| self.within(fault))?;
            self.watch.since(Phase::Reading, asked);
            self.look(&step)?;
            let taken = match step {
                Step::Rows(rows) => self.send_all(rows).await?,
                Step::Advanced { position } => {
                    let piece = Piece { position: Some(position), ..Piece::default() };
                    self.send(Item::Piece(piece)).await?
                }
                // A cursor that does not wait by itself must not keep a core busy.
                Step::Idle => {
                    let waiting = Instant::now();
                    let taken = self.wait_until(asked + self.budget.wait).await?;
                    self.watch.since(Phase::Reading, waiting);
                    taken
                }
                Step::Ended { bookmark } => {
                    self.send(Item::Ended { bookmark }).await?;
                    return self.rest().await;
                }
            };
            if !taken {
                return Ok(self.reader);
            }
        }
    }

    /// # Errors
    /// `plugin.lie.idle` and `run.no_progress` where a bounded plan does not get on.
    fn look(&mut self, step: &Step) -> Result<()> {
        let (records, position) = match step {
            Step::Rows(rows) => {
                let good = rows.batches.iter().any(|batch| !batch.is_empty());
                (good || !rows.undecodable.is_empty(), rows.position.as_ref())
            }
            Step::Advanced { position } => (false, Some(position)),
            Step::Idle => (false, None),
            Step::Ended { .. } => (true, None),
        };
        let moved = position.is_some() && position != self.position.as_ref();
        if moved {
            self.position = position.cloned();
        }
        if records || moved {
            (self.empty_steps, self.waits_since) = (0, None);
            return Ok(());
        }
        let since = *self.waits_since.get_or_insert_with(Instant::now);
        self.empty_steps += u32::from(*step != Step::Idle);
        if !self.context.attempt.bounded {
            return Ok(());
        }
        if since.elapsed() > self.context.settings.no_progress {
            return Err(self.within(self.no_progress()));
        }
        if self.empty_steps > EMPTY_STEPS_MAX {
            let message = format!(
                "the reader answered {EMPTY_STEPS_MAX} times in a row without a record, a new position or the end"
            );
            return Err(Fault::plugin("plugin.lie.idle", message).within(self.reader.session.who()));
        }
        Ok(())
    }

    fn no_progress(&self) -> Fault {
        let seconds = self.context.settings.no_progress.as_secs_f64();
        Fault::external(
            "run.no_progress",
            format!("the source has given neither a record nor a new position for {seconds} s"),
        )
        .hint(
            "look at what it waits for, such as a lock or a long query, and resume the run; \
             --limit no-progress=VALUE lets it wait longer",
        )
    }

    /// Hands on the pieces of a step; false where nobody takes them any more.
    async fn send_all(&mut self, rows: Rows) -> Result<bool> {
        let begun = Instant::now();
        let pieces = self.pieces(rows)?;
        self.watch.since(Phase::Processing, begun);
        for piece in pieces {
            if !self.pay(&piece).await? || !self.send(Item::Piece(piece)).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Waits until the rates of the job and of the lane allow what was read; false where nobody takes
    /// it any more.
    async fn pay(&mut self, piece: &Piece) -> Result<bool> {
        let begun = Instant::now();
        let (bytes, records) = (piece.bytes_read, piece.records_read);
        let by_job = self.context.throttle.take(begun, bytes, records);
        let by_lane = self.throttle.take(begun, bytes, records);
        let Some(end) = by_job.max(by_lane).filter(|end| *end > begun) else { return Ok(true) };
        let taken = self.wait_until(end).await;
        self.watch.since(Phase::WaitingThrottle, begun);
        taken
    }

    /// Waits, acknowledges and tends; false where nobody takes anything any more.
    async fn wait_until(&mut self, end: Instant) -> Result<bool> {
        let queue = self.queue.clone();
        loop {
            tokio::select! {
                biased;
                () = queue.closed() => return Ok(false),
                Ok(()) = self.durable.changed() => self.acknowledge().await?,
                () = until(self.reader.due()) => self.reader.tend().await?,
                () = tokio::time::sleep_until(end) => return Ok(true),
            }
        }
    }

    /// After the end: what becomes durable is acknowledged, until nothing more will.
    async fn rest(mut self) -> Result<Kept<Reads<R>>> {
        loop {
            tokio::select! {
                biased;
                more = self.durable.changed() => match more {
                    Ok(()) => self.acknowledge().await?,
                    Err(_) => return Ok(self.reader),
                },
                () = until(self.reader.due()) => self.reader.tend().await?,
            }
        }
    }

    /// Hands an item on; false where nobody takes it any more. Waiting, it acknowledges and tends.
    async fn send(&mut self, item: Item) -> Result<bool> {
        let waiting = Instant::now();
        let queue = self.queue.clone();
        let reserve = queue.reserve();
        tokio::pin!(reserve);
        loop {
            tokio::select! {
                biased;
                permit = &mut reserve => {
                    self.watch.since(Phase::WaitingWriter, waiting);
                    return Ok(permit.map(|permit| permit.send(item)).is_ok());
                }
                Ok(()) = self.durable.changed() => self.acknowledge().await?,
                () = until(self.reader.due()) => self.reader.tend().await?,
            }
        }
    }

    async fn acknowledge(&mut self) -> Result<()> {
        let position = self.durable.borrow_and_update().clone();
        match position {
            Some(position) => self
                .reader
                .session
                .0
                .acknowledge(&position)
                .await
                .map_err(|fault| self.within(fault)),
            None => Ok(()),
        }
    }

    fn within(&self, fault: Fault) -> Fault {
        fault.within(self.reader.session.who())
    }

    /// Of the source that is read.
    fn datasets(&self) -> &[Dataset] {
        self.context.datasets.get(self.source as usize).map_or(&[], Vec::as_slice)
    }

    /// One piece a batch; the position stands behind the last.
    fn pieces(&mut self, rows: Rows) -> Result<Vec<Piece>> {
        let mut pieces = Vec::with_capacity(rows.batches.len().max(1));
        for batch in rows.batches {
            pieces.push(self.piece(batch)?);
        }
        if pieces.is_empty() {
            pieces.push(Piece::default());
        }
        let context = &self.context;
        let digest = &context.settings.reader_digest;
        if let Some(last) = pieces.last_mut() {
            last.position = rows.position;
            for record in rows.undecodable {
                last.records_read += 1;
                last.bytes_read += record.data.len() as u64;
                let position = self.records;
                self.records += 1;
                last.dirty.push(dirty::of_undecodable(record, self.datasets(), position, digest));
            }
        }
        Ok(pieces)
    }

    fn piece(&mut self, mut batch: Batch) -> Result<Piece> {
        let (records_read, bytes_read) = (batch.len() as u64, batch.value_bytes());
        let first = self.records;
        self.records += records_read;
        let context = &self.context;
        let dataset = self.datasets().get(batch.dataset as usize);
        batch.positions = Some(Positions::From(first));
        let batch = context.union.apply(self.source, &batch).map_err(|fault| self.within(fault))?;
        let source = batch.rows.clone();
        let processed = context.processing.apply(batch).map_err(|fault| self.within(fault))?;
        let Processed { batch, origins, mut dirty, filtered: records_filtered } = processed;
        let mapped = context.mapping.apply(batch).map_err(|fault| self.within(fault))?;
        dirty.extend(mapped.dirty.into_iter().map(|(row, why)| (origins.of(row), why)));
        let sorted = context.sorting.sorted(mapped.batch)?;
        let comparison = context.comparison.as_ref();
        let print = |comparison: &Comparison| comparison.printer.print(&sorted.rows);
        let prints = comparison.map(print).unwrap_or_default();
        let digest = &context.settings.reader_digest;
        let is_one_of_several = context.datasets.len() > 1
            || dataset.is_some_and(|dataset| dataset.metadata.iter().any(|(key, _)| key == TABLES));
        let dirty = dirty.into_iter();
        let dirty = dirty.map(|(row, why)| Dirty {
            origin: is_one_of_several.then(|| self.split.clone()),
            ..dirty::of_row(why, dataset, &source, row, Some(first + row as u64), digest)
        });
        Ok(Piece {
            dirty: dirty.collect(),
            batch: Some(sorted).filter(|batch| !batch.is_empty()),
            records_read,
            bytes_read,
            records_filtered,
            prints,
            position: None,
        })
    }
}
