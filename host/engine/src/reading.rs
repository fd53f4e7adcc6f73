//! The reading half of a task: asks the cursor for steps, maps their rows, and acknowledges.

use std::sync::Arc;

use arrow_array::RecordBatch;
use domain::port::{Budget, Dirty, Reader, Rows, Step, Store};
use domain::verify::Print;
use domain::{Batch, Dataset, Fault, Position, Positions, Result, SourceIndex};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::attempt::Context;
use crate::dirty::{self, Reason};
use crate::processing::{Passing, Processed, Sessions};
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
    Piece(Box<Piece>),
    Ended { bookmark: Option<Position> },
}

/// Rows of one batch or of a part of it, mapped, and what was read beside them.
#[derive(Default)]
pub(crate) struct Piece {
    pub(crate) batch: Option<Batch>,
    pub(crate) records_read: u64,
    /// Of these, those with NULL in place of a value, as the job asked.
    pub(crate) records_nulled: u64,
    pub(crate) bytes_read: u64,
    /// Records that could not be decoded, transformed or cast.
    pub(crate) dirty: Vec<Dirty>,
    /// Records that a transformer dropped.
    pub(crate) records_filtered: u64,
    /// Records that a transformer made of others; not contained in `records_read`.
    pub(crate) records_added: u64,
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
    /// The lane's, with the plug-ins among the steps.
    pub(crate) transformers: Sessions,
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

/// A batch that goes through the steps, and how it was read.
struct Way {
    dataset: u32,
    /// Which record of the task its first row is.
    first: u64,
    /// As one of the union, which steps and dirty records know.
    read: RecordBatch,
    passing: Passing,
    /// Of the batch, for its first piece.
    records_read: u64,
    bytes_read: u64,
}

impl<S: Store, R: Reader> Reading<S, R> {
    /// Reads the open cursor to its end, then acknowledges until the writing half is done. Answers the
    /// sessions for the next task.
    pub(crate) async fn run(mut self) -> Result<(Kept<Reads<R>>, Sessions)> {
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
                    self.send(Item::Piece(Box::new(piece))).await?
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
                return Ok((self.reader, self.transformers));
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
        let mut last = None;
        for batch in rows.batches {
            let mut way = self.way(batch)?;
            while let Some(piece) = self.piece(&mut way).await? {
                // One is held back, since the position stands behind the last.
                if let Some(piece) = last.replace(piece)
                    && !self.hand_on(piece).await?
                {
                    return Ok(false);
                }
            }
        }
        let digest = self.context.settings.reader_digest.clone();
        let mut last = last.unwrap_or_default();
        last.position = rows.position;
        last.records_nulled = rows.nulled;
        for record in rows.undecodable {
            last.records_read += 1;
            last.bytes_read += record.data.len() as u64;
            let position = self.records;
            self.records += 1;
            last.dirty.push(dirty::of_undecodable(record, self.datasets(), position, &digest));
        }
        self.hand_on(last).await
    }

    /// Hands on a piece when the rates allow it; false where nobody takes it any more.
    async fn hand_on(&mut self, piece: Piece) -> Result<bool> {
        Ok(self.pay(&piece).await? && self.send(Item::Piece(Box::new(piece))).await?)
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
    async fn rest(mut self) -> Result<(Kept<Reads<R>>, Sessions)> {
        loop {
            tokio::select! {
                biased;
                more = self.durable.changed() => match more {
                    Ok(()) => self.acknowledge().await?,
                    Err(_) => return Ok((self.reader, self.transformers)),
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

    /// Begins the way of a batch.
    fn way(&mut self, mut batch: Batch) -> Result<Way> {
        let (dataset, records_read) = (batch.dataset, batch.len() as u64);
        let (bytes_read, first) = (batch.value_bytes(), self.records);
        self.records += records_read;
        batch.positions = Some(Positions::From(first));
        let union = &self.context.union;
        let batch = union.apply(self.source, &batch).map_err(|fault| self.within(fault))?;
        let read = batch.rows.clone();
        Ok(Way { dataset, first, read, passing: Passing::new(batch), records_read, bytes_read })
    }

    /// The next piece of a batch; `None` where there is none.
    async fn piece(&mut self, way: &mut Way) -> Result<Option<Piece>> {
        let begun = Instant::now();
        let context = self.context.clone();
        let passing = way.passing.next(&context.processing, &mut self.transformers);
        let Some(processed) = self.reader.during(passing).await? else { return Ok(None) };
        let Processed { batch, origins, mut dirty, filtered, added } = processed;
        let made = batch.dataset;
        let mapped = context.mapping.apply(batch).map_err(|fault| self.within(fault))?;
        dirty.extend(mapped.dirty.into_iter().map(|(row, why)| {
            let column = why.column.and_then(|column| context.processing.read(made, column));
            (origins.of(row), Reason { column, ..why })
        }));
        let sorted = context.sorting.sorted(mapped.batch)?;
        let comparison = context.comparison.as_ref();
        let print = |comparison: &Comparison| comparison.printer.print(&sorted.rows);
        let prints = comparison.map(print).unwrap_or_default();
        self.watch.since(Phase::Processing, begun);
        Ok(Some(Piece {
            dirty: dirty.into_iter().map(|(row, why)| self.dirty(way, row, why)).collect(),
            batch: Some(sorted).filter(|batch| !batch.is_empty()),
            records_read: std::mem::take(&mut way.records_read),
            records_nulled: 0,
            bytes_read: std::mem::take(&mut way.bytes_read),
            records_filtered: filtered,
            records_added: added,
            prints,
            position: None,
        }))
    }

    /// The dirty record of a row as it was read.
    fn dirty(&self, way: &Way, row: usize, why: Reason) -> Dirty {
        let dataset = self.datasets().get(way.dataset as usize);
        let is_one_of_several = self.context.datasets.len() > 1
            || dataset.is_some_and(|dataset| dataset.metadata.iter().any(|(key, _)| key == TABLES));
        let digest = &self.context.settings.reader_digest;
        Dirty {
            origin: is_one_of_several.then(|| self.split.clone()),
            ..dirty::of_row(why, dataset, &way.read, row, Some(way.first + row as u64), digest)
        }
    }
}
