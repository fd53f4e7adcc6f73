//! A lane: one reader session and one writer session that work on one task after another.

use std::sync::Arc;

use domain::port::{
    Closed, CommitMode, Destination, Done, Reader, Source, Split, Store, TaskRecord, Writer,
};
use domain::verify::Sums;
use domain::{Counts, Fault, Mark, Result, SourceIndex, TaskIndex};
use tokio::sync::{mpsc, watch};

use crate::attempt::Context;
use crate::pool::{Pool, Taken};
use crate::processing::Sessions;
use crate::reading::Reading;
use crate::retry::Tries;
use crate::session::{self, Kept, Origin, Reads, Resting, Writes, until};
use crate::throttle::Throttle;
use crate::unsettled::REFUSED_TOO_LATE;
use crate::watch::Watch;
use crate::writing::Writing;

/// By how many bits the rows of a step shrink: three times bring any batch down to single rows.
const CAREFUL_BITS: u32 = 6;

pub(crate) struct Lane<S, R: Source, W: Destination> {
    pub(crate) number: u32,
    pub(crate) context: Arc<Context<S>>,
    pub(crate) origins: Vec<Origin<R>>,
    pub(crate) destination: Arc<W>,
    /// The source of the task at work, and the session with it.
    pub(crate) source: SourceIndex,
    pub(crate) reader: Option<Kept<Reads<R::Session>>>,
    /// Sessions with other sources.
    pub(crate) resting: Resting<R::Session>,
    pub(crate) writer: Option<Kept<Writes<W::Session>>>,
    /// Sessions with the plug-ins among the steps.
    pub(crate) transformers: Option<Sessions>,
    pub(crate) throttle: Arc<Throttle>,
    /// What the try that failed last has counted.
    pub(crate) counted: Counts,
    /// How often refusals of the task came too late: each time it is read in smaller steps.
    pub(crate) careful: u32,
    /// What was written of the task where it was first begun anew.
    pub(crate) redone_from: Option<u64>,
    /// Why a session is gone that was not at work.
    pub(crate) lost: Option<Fault>,
}

impl<S: Store, R: Source, W: Destination> Lane<S, R, W> {
    /// Works until the pool has no more tasks.
    pub(crate) async fn run(mut self, pool: Arc<Pool<S, R>>) -> Result<()> {
        loop {
            let kept: Vec<_> = self.resting.sources().chain([self.source]).collect();
            let Some(Taken { index, source, split }) = self.while_idle(pool.take(&kept)).await?
            else {
                return Ok(());
            };
            self.turn_to(source);
            self.work(index, &split).await.map_err(|fault| {
                let title = self.context.settings.split_title(source, &split.label);
                fault.within(format!("task {index} ({title})"))
            })?;
            self.while_idle(pool.done(source, split.stage)).await?;
        }
    }

    /// Lays the session with the source before aside.
    fn turn_to(&mut self, source: SourceIndex) {
        if source == self.source {
            return;
        }
        if let Some(reader) = self.reader.take() {
            self.resting.put(self.source, reader);
        }
        self.source = source;
        self.reader = self.resting.take(source);
    }

    /// What faults call the reader.
    fn who(&self) -> String {
        self.context.settings.reader_word(self.source)
    }

    /// One task, again after each fault that says so, in new sessions.
    async fn work(&mut self, index: TaskIndex, split: &Split) -> Result<()> {
        let mut tries = Tries::default();
        let mut before = None;
        let progress = self.context.progress.clone();
        let title = self.context.settings.split_title(self.source, &split.label);
        let watch = Arc::new(Watch::new(progress, index, title, self.number));
        self.careful = 0;
        self.redone_from = None;
        loop {
            match self.try_task(index, split, &watch, &mut before).await {
                Ok(()) => {
                    watch.done();
                    return Ok(());
                }
                Err((fault, progressed)) => {
                    self.reader = None;
                    self.writer = None;
                    self.transformers = None;
                    if progressed {
                        tries.progressed();
                    }
                    if fault.code == REFUSED_TOO_LATE {
                        self.careful += 1;
                    }
                    let wait = tries.again(fault, &self.context.settings)?;
                    self.context.progress.retried();
                    watch.retried();
                    let counted = std::mem::take(&mut self.counted);
                    self.context.progress.moved(&counted, &Counts::default());
                    let waiting = async {
                        tokio::time::sleep(wait).await;
                        Ok(())
                    };
                    self.while_idle(waiting).await?;
                }
            }
        }
    }

    /// With a fault, whether the durable mark went forward since the try before.
    async fn try_task(
        &mut self,
        index: TaskIndex,
        split: &Split,
        watch: &Arc<Watch>,
        before: &mut Option<u64>,
    ) -> Result<(), (Fault, bool)> {
        let mut progressed = false;
        let result = self.try_once(index, split, watch, before, &mut progressed).await;
        result.map_err(|fault| (fault, progressed))
    }

    async fn try_once(
        &mut self,
        index: TaskIndex,
        split: &Split,
        watch: &Arc<Watch>,
        before: &mut Option<u64>,
        progressed: &mut bool,
    ) -> Result<()> {
        let context = self.context.clone();
        let run = &context.attempt.run;
        self.connect().await?;
        let task = self.while_idle(context.store.claim(run, index)).await?;
        if let Some(done) = &task.done {
            // It was told that it is done, and the answer got lost.
            context.progress.goes_on(index, &done.counts);
            return Ok(());
        }
        let start = self.open_writer(&task).await?;
        if task.epoch > 1 {
            let from = start.counts.records_written;
            self.redone_from = Some(self.redone_from.map_or(from, |before| before.min(from)));
        }
        *progressed = before.replace(start.sequence).is_some_and(|before| before < start.sequence);
        let dropping = context.store.drop_dirty_behind(run, index, task.epoch, start.sequence);
        self.while_idle(dropping).await?;
        if task.mark.as_ref().map_or(0, |mark| mark.sequence) < start.sequence {
            let storing = context.store.checkpoint(run, index, task.epoch, &start);
            self.while_idle(storing).await?;
        }
        if start.end {
            return self.close_again(&task, start).await;
        }
        let sums = self.sums(index, &start).await?;
        self.open_reader(split, &start).await?;
        self.pump(&task, (start, sums), watch).await
    }

    /// Opens the sessions that are missing.
    async fn connect(&mut self) -> Result<()> {
        if self.reader.is_none() {
            let missing = || Fault::internal("engine.source", "a task is of no source of the job");
            let origin = self.origins.get(self.source as usize).cloned().ok_or_else(missing)?;
            self.reader = Some(self.while_idle(origin.connect()).await?);
        }
        if self.writer.is_none() {
            let destination = self.destination.clone();
            let connecting = async {
                let session =
                    destination.connect().await.map_err(|fault| fault.within("writer"))?;
                Kept::new(Writes(session)).await
            };
            self.writer = Some(self.while_idle(connecting).await?);
        }
        if self.transformers.is_none() {
            let context = self.context.clone();
            self.transformers = Some(self.while_idle(context.processing.sessions()).await?);
        }
        Ok(())
    }

    /// Opens the task's sink, and answers where the task goes on.
    async fn open_writer(&mut self, task: &TaskRecord) -> Result<Mark> {
        let context = self.context.clone();
        let mut writer = self.writer.take().ok_or_else(|| self.lost())?;
        let datasets = &context.prepared.datasets;
        let (index, epoch) = (task.index, task.epoch);
        let opening = async {
            let opening = writer.session.0.open(&context.attempt, index, epoch, datasets);
            opening.await.map_err(|fault| fault.within("writer"))
        };
        let held = self.while_idle(opening).await?;
        self.writer = Some(writer);
        start_mark(context.prepared.commit_mode, held, task.mark.as_ref())
    }

    /// What the task had written at `start`, where the run is verified.
    async fn sums(&mut self, task: TaskIndex, start: &Mark) -> Result<Option<Sums>> {
        let context = self.context.clone();
        if context.comparison.is_none() {
            return Ok(None);
        }
        if start.sequence == 0 {
            return Ok(Some(Sums::default()));
        }
        let loading = context.store.task_sums(&context.attempt.run, task, start.sequence);
        match self.while_idle(loading).await? {
            Some(sums) => Ok(Some(sums)),
            None => Err(Fault::internal("verify.sums", "the books have no sums for a mark")),
        }
    }

    /// Killed between the last commit and the store: there is nothing left to read.
    async fn close_again(&mut self, task: &TaskRecord, end: Mark) -> Result<()> {
        let context = self.context.clone();
        context.progress.goes_on(task.index, &end.counts);
        self.counted = end.counts;
        let mut writer = self.writer.take().ok_or_else(|| self.lost())?;
        let closing = async {
            let closed = writer.session.0.close(&end).await;
            closed.and_then(only_closed).map_err(|fault| fault.within("writer"))
        };
        let closed = self.while_idle(closing).await?;
        self.writer = Some(writer);
        let done = Done { counts: end.counts, receipt: closed.receipt, bookmark: end.position };
        self.told_redone(task.index, &done);
        let run = &context.attempt.run;
        let storing = context.store.complete(run, task.index, task.epoch, &done);
        self.while_idle(storing).await?;
        self.counted = Counts::default();
        Ok(())
    }

    async fn open_reader(&mut self, split: &Split, start: &Mark) -> Result<()> {
        let context = self.context.clone();
        let mut reader = self.reader.take().ok_or_else(|| self.lost())?;
        let who = self.who();
        let datasets = context.datasets.get(self.source as usize).map_or(&[][..], Vec::as_slice);
        let opening = async {
            let position = start.position.as_ref();
            reader.session.0.open(split, position, datasets).await?;
            match position {
                // A kill may have come between the store and the acknowledge.
                Some(position) => reader.session.0.acknowledge(position).await,
                None => Ok(()),
            }
        };
        let opening = async { opening.await.map_err(|fault: Fault| fault.within(who)) };
        self.while_idle(opening).await?;
        self.reader = Some(reader);
        Ok(())
    }

    /// Moves the rows of the task from its open cursor to its open sink.
    async fn pump(
        &mut self,
        task: &TaskRecord,
        (start, sums): (Mark, Option<Sums>),
        watch: &Arc<Watch>,
    ) -> Result<()> {
        let context = self.context.clone();
        let reader = self.reader.take().ok_or_else(|| self.lost())?;
        let mut writer = self.writer.take().ok_or_else(|| self.lost())?;
        let transformers = self.transformers.take().unwrap_or_default();
        let (queue, items) = mpsc::channel(context.settings.queue_batches.max(1));
        let (acknowledge, durable) = watch::channel(None);
        let mut budget = context.budget;
        budget.rows = (budget.rows >> (CAREFUL_BITS * self.careful).min(31)).max(1);
        let reading = Reading {
            context: context.clone(),
            source: self.source,
            split: context.settings.split_title(self.source, &task.split.label),
            reader,
            transformers,
            queue,
            durable,
            budget,
            throttle: self.throttle.clone(),
            watch: watch.clone(),
            records: start.counts.records_read,
            position: start.position.clone(),
            empty_steps: 0,
            waits_since: None,
        };
        let reading = Spawned(tokio::spawn(reading.run()));
        let careful = self.careful > 0;
        let start = (start, sums);
        let writing = Writing::new(&context, &mut writer, task, start, watch, acknowledge, careful);
        let (written, counted) = self.resting.during(writing.run(items)).await;
        self.counted = counted;
        let written = match written {
            Ok(written) => written,
            Err(fault) => {
                // The next try must not meet the session of this one.
                reading.end().await;
                return Err(fault);
            }
        };
        let joining = writer.during(async { Ok(reading.join().await) });
        let joined = self.resting.during(joining).await;
        // A session that could not be tended meanwhile is not kept.
        self.writer = joined.is_ok().then_some(writer);
        let read = joined.and_then(|read| read);
        match (written, read) {
            (Some(done), read) => {
                self.told_redone(task.index, &done);
                self.counted = Counts::default();
                // The task is done and stored; a reader that cannot hear of it costs its session.
                let kept = read.inspect_err(|fault| tracing::warn!("{fault}")).ok();
                (self.reader, self.transformers) = kept.unzip();
                Ok(())
            }
            (None, Err(fault)) => Err(fault),
            (None, Ok(_)) => {
                Err(Fault::internal("engine.reading", "the reading half ended too early"))
            }
        }
    }

    /// Notes how much of a task that is done may have been written before.
    fn told_redone(&self, task: TaskIndex, done: &Done) {
        if let Some(from) = self.redone_from {
            let records = done.counts.records_written.saturating_sub(from);
            self.context.progress.redone(task, records);
        }
    }

    /// Waits for `call`, and tends the sessions that are not at work. One that cannot be tended is lost.
    async fn while_idle<T>(&mut self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let context = self.context.clone();
        let stopping = context.stopping();
        tokio::pin!(call, stopping);
        loop {
            tokio::select! {
                biased;
                () = until(self.reader.as_ref().and_then(Kept::due)) => {
                    let lost = session::tend_or_lose(&mut self.reader).await;
                    self.lost = lost.or(self.lost.take());
                }
                () = until(self.writer.as_ref().and_then(Kept::due)) => {
                    let lost = session::tend_or_lose(&mut self.writer).await;
                    self.lost = lost.or(self.lost.take());
                }
                () = until(self.resting.due()) => self.resting.tend().await,
                fault = &mut stopping => return Err(fault),
                answer = &mut call => return answer,
            }
            // Two sessions that are always due must not keep the call from getting on.
            tokio::select! {
                biased;
                answer = &mut call => return answer,
                () = std::future::ready(()) => {}
            }
        }
    }

    /// Why a session is missing.
    fn lost(&mut self) -> Fault {
        let missing = || Fault::internal("engine.session", "a lane has lost its session");
        self.lost.take().unwrap_or_else(missing)
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

/// A task that is closed again has nothing more to tell.
///
/// # Errors
/// `plugin.lie.closed` where its sink does.
fn only_closed(closed: Closed) -> Result<Closed> {
    if closed.answer.undone.is_some() || !closed.answer.remarks.is_empty() {
        return Err(Fault::plugin(
            "plugin.lie.closed",
            "the writer spoke of rows of a task that it had closed, and nothing was written since",
        ));
    }
    Ok(closed)
}

/// A task of the runtime that ends with its owner.
struct Spawned<T>(tokio::task::JoinHandle<Result<T>>);

impl<T> Spawned<T> {
    async fn join(mut self) -> Result<T> {
        (&mut self.0).await.unwrap_or_else(|error| {
            Err(Fault::internal("engine.panic", format!("the reading half ended: {error}")))
        })
    }

    /// Stops it, and waits until it is gone.
    async fn end(mut self) {
        self.0.abort();
        drop((&mut self.0).await);
    }
}

impl<T> Drop for Spawned<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
