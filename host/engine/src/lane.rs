//! A lane: one reader session and one writer session that work on one task after another.

use std::sync::Arc;

use domain::port::{CommitMode, Destination, Done, Reader, Source, Split, Store, Writer};
use domain::{Counts, Fault, Mark, Result, TaskIndex};
use tokio::sync::{mpsc, watch};

use crate::attempt::Context;
use crate::pool::Pool;
use crate::reading::{Reading, Tending};
use crate::retry::Tries;
use crate::writing::Writing;

pub(crate) struct Lane<S, R: Source, W: Destination> {
    pub(crate) context: Arc<Context<S>>,
    pub(crate) source: Arc<R>,
    pub(crate) destination: Arc<W>,
    pub(crate) reader: Option<R::Session>,
    pub(crate) writer: Option<W::Session>,
    /// What the try that failed last has counted.
    pub(crate) counted: Counts,
}

impl<S: Store, R: Source, W: Destination> Lane<S, R, W> {
    /// Works until the pool has no more tasks.
    pub(crate) async fn run(mut self, pool: Arc<Pool<S, R>>) -> Result<()> {
        while let Some((index, split)) = pool.take().await? {
            self.work(index, &split).await.map_err(|fault| {
                fault.within(format!("task {index} ({})", split.label))
            })?;
            pool.done(split.stage).await;
        }
        Ok(())
    }

    /// One task, again after each fault that says so, in new sessions.
    async fn work(&mut self, index: TaskIndex, split: &Split) -> Result<()> {
        let mut tries = Tries::default();
        let mut before = None;
        loop {
            match self.try_task(index, split, &mut before).await {
                Ok(()) => return Ok(()),
                Err((fault, progressed)) => {
                    self.reader = None;
                    self.writer = None;
                    if progressed {
                        tries.progressed();
                    }
                    let wait = tries.again(fault, &self.context.settings)?;
                    self.context.progress.retried();
                    let counted = std::mem::take(&mut self.counted);
                    self.context.progress.moved(&counted, &Counts::default());
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// With a fault, whether the durable mark went forward since the try before.
    async fn try_task(
        &mut self,
        index: TaskIndex,
        split: &Split,
        before: &mut Option<u64>,
    ) -> Result<(), (Fault, bool)> {
        let mut progressed = false;
        let result = self.try_once(index, split, before, &mut progressed).await;
        result.map_err(|fault| (fault, progressed))
    }

    async fn try_once(
        &mut self,
        index: TaskIndex,
        split: &Split,
        before: &mut Option<u64>,
        progressed: &mut bool,
    ) -> Result<()> {
        let context = self.context.clone();
        let run = &context.attempt.run;
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => self.source.connect().await.map_err(|fault| fault.within("reader"))?,
        };
        let writer = match &mut self.writer {
            Some(writer) => writer,
            empty => {
                let session = self.destination.connect().await;
                empty.insert(session.map_err(|fault| fault.within("writer"))?)
            }
        };
        let task = context.store.claim(run, index).await?;
        if task.done.is_some() {
            self.reader = Some(reader);
            return Ok(());
        }
        let datasets = &context.prepared.datasets;
        let held = writer.open(&context.attempt, index, task.epoch, datasets).await;
        let held = held.map_err(|fault| fault.within("writer"))?;
        let start = start_mark(context.prepared.commit_mode, held, task.mark.as_ref())?;
        *progressed = before.replace(start.sequence).is_some_and(|before| before < start.sequence);
        context.store.drop_dirty_behind(run, index, task.epoch, start.sequence).await?;
        if task.mark.as_ref().is_none_or(|mark| mark.sequence < start.sequence) {
            context.store.checkpoint(run, index, task.epoch, &start).await?;
        }
        if start.end {
            context.progress.moved(&Counts::default(), &start.counts);
            let closed = writer.close(&start).await.map_err(|fault| fault.within("writer"))?;
            let done =
                Done { counts: start.counts, receipt: closed.receipt, bookmark: start.position };
            context.store.complete(run, index, task.epoch, &done).await?;
            self.reader = Some(reader);
            return Ok(());
        }
        open_reader(&context, &mut reader, split, &start).await.map_err(|f| f.within("reader"))?;
        let reader_tending = Tending::new(reader.tend().await?);
        let writer_tending = Tending::new(writer.tend().await?);

        let (queue, items) = mpsc::channel(context.settings.queue_batches.max(1));
        let (acknowledge, durable) = watch::channel(None);
        let reading =
            Reading { context: context.clone(), reader, queue, durable, tending: reader_tending };
        let reading = Spawned(tokio::spawn(reading.run()));
        let writing = Writing::new(&context, writer, &task, start, writer_tending, acknowledge);
        let (written, counted) = writing.run(items).await;
        self.counted = counted;
        let written = written.map_err(|fault| fault.within("writer"))?;
        let read = reading.join().await.map_err(|fault| fault.within("reader"));
        match (written, read) {
            (Some(_), read) => {
                self.counted = Counts::default();
                // The task is done and stored; a reader that cannot hear of it costs its session.
                self.reader = read.inspect_err(|fault| tracing::warn!("{fault}")).ok();
                Ok(())
            }
            (None, Err(fault)) => Err(fault),
            (None, Ok(_)) => Err(Fault::internal("engine.reading", "the reading half ended too early")),
        }
    }
}

async fn open_reader<S: Store, R: Reader>(
    context: &Context<S>,
    reader: &mut R,
    split: &Split,
    start: &Mark,
) -> Result<()> {
    reader.open(split, start.position.as_ref(), &context.datasets).await?;
    match &start.position {
        // A kill may have come between the store and the acknowledge.
        Some(position) => reader.acknowledge(position).await,
        None => Ok(()),
    }
}

/// Where a task goes on: the destination's own mark wins over the store's.
fn start_mark(mode: CommitMode, held: Option<Mark>, stored: Option<&Mark>) -> Result<Mark> {
    let keeps_marks = matches!(mode, CommitMode::Transactional | CommitMode::Staged);
    match (held, stored) {
        (Some(held), Some(stored)) if held.sequence < stored.sequence => Err(lost_mark()),
        (Some(held), _) => Ok(held),
        (None, Some(_)) if keeps_marks => Err(lost_mark()),
        (None, Some(stored)) => Ok(stored.clone()),
        (None, None) => Ok(Mark::default()),
    }
}

fn lost_mark() -> Fault {
    Fault::external(
        "run.mark_lost",
        "the destination no longer has what this run had committed to it",
    )
    .hint("somebody removed it; start a new run")
}

/// A task of the runtime that ends with its owner.
struct Spawned<T>(tokio::task::JoinHandle<Result<T>>);

impl<T> Spawned<T> {
    async fn join(mut self) -> Result<T> {
        (&mut self.0).await.unwrap_or_else(|error| {
            Err(Fault::internal("engine.panic", format!("the reading half ended: {error}")))
        })
    }
}

impl<T> Drop for Spawned<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
