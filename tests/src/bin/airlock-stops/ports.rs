//! Every port, with a stop point before and after every call.

use std::sync::Arc;
use std::time::Duration;

use domain::Batch;
use domain::Dataset;
use domain::fault::{Fault, Result};
use domain::mark::{Mark, Position};
use domain::port::{
    Answer, Answering, Attempt, Budget, Closed, Destination, Dirty, Done, NewRun, Outcome, Plan,
    Prepared, ReadBack, Reader, RunRecord, Source, Split, Splits, Step, Store, TaskRecord, Writer,
};
use domain::run::{Epoch, RunEvent, RunId, SourceIndex, TaskIndex};
use domain::verify::{Sums, Verified};
use store::SqliteStore;

use crate::points::Points;

/// Wraps the real ports.
pub(crate) struct Stopping(pub(crate) Arc<Points>);

/// A port, and the points around its calls.
pub(crate) struct Stops<P> {
    port: P,
    points: Arc<Points>,
}

impl cli::Ports for Stopping {
    type Store = Stops<SqliteStore>;
    type Source = Stops<sandbox::GuestSource>;
    type Destination = Stops<sandbox::GuestDestination>;

    fn store(&self, port: SqliteStore) -> Self::Store {
        Stops { port, points: self.0.clone() }
    }

    fn source(&self, port: sandbox::GuestSource) -> Self::Source {
        Stops { port, points: self.0.clone() }
    }

    fn destination(&self, port: sandbox::GuestDestination) -> Self::Destination {
        Stops { port, points: self.0.clone() }
    }

    fn on_host_call(&self) -> Option<sandbox::OnHostCall> {
        let points = self.0.clone();
        Some(Arc::new(move |call| {
            if let Some(side) = call.side {
                points.host_call(side);
            }
        }))
    }
}

impl<P: Source> Source for Stops<P> {
    type Session = Stops<P::Session>;

    async fn connect(&self) -> Result<Self::Session> {
        let port = self.points.around("source.connect", self.port.connect()).await?;
        Ok(Stops { port, points: self.points.clone() })
    }
}

impl<P: Destination> Destination for Stops<P> {
    type Session = Stops<P::Session>;
    type Back = Stops<P::Back>;

    async fn connect(&self) -> Result<Self::Session> {
        let port = self.points.around("destination.connect", self.port.connect()).await?;
        Ok(Stops { port, points: self.points.clone() })
    }

    fn back(&self, parameter: &str) -> Self::Back {
        Stops { port: self.port.back(parameter), points: self.points.clone() }
    }
}

impl<P: Reader> Reader for Stops<P> {
    fn plan(&mut self, parallelism: u32, since: &[Position]) -> impl Answering<Plan> {
        self.points.around("reader.plan", self.port.plan(parallelism, since))
    }

    fn splits(&mut self, at: &[u8], limit: u32) -> impl Answering<Splits> {
        self.points.around("reader.splits", self.port.splits(at, limit))
    }

    fn open(
        &mut self,
        split: &Split,
        start: Option<&Position>,
        datasets: &[Dataset],
    ) -> impl Answering<()> {
        self.points.around("reader.open", self.port.open(split, start, datasets))
    }

    fn next(&mut self, budget: Budget) -> impl Answering<Step> {
        self.points.around("reader.next", self.port.next(budget))
    }

    fn acknowledge(&mut self, position: &Position) -> impl Answering<()> {
        self.points.around("reader.acknowledge", self.port.acknowledge(position))
    }

    fn tend(&mut self) -> impl Answering<Option<Duration>> {
        self.points.around("reader.tend", self.port.tend())
    }
}

impl<P: Writer> Writer for Stops<P> {
    fn prepare(&mut self, attempt: &Attempt, datasets: &[Dataset]) -> impl Answering<Prepared> {
        self.points.around("writer.prepare", self.port.prepare(attempt, datasets))
    }

    fn preview(&mut self, datasets: &[Dataset]) -> impl Answering<Prepared> {
        self.points.around("writer.preview", self.port.preview(datasets))
    }

    fn open(
        &mut self,
        attempt: &Attempt,
        task: TaskIndex,
        epoch: Epoch,
        datasets: &[Dataset],
    ) -> impl Answering<Option<Mark>> {
        self.points.around("writer.open", self.port.open(attempt, task, epoch, datasets))
    }

    fn write(&mut self, batch: &Batch) -> impl Answering<Answer> {
        self.points.around("writer.write", self.port.write(batch))
    }

    fn commit(&mut self, mark: &Mark, now: bool) -> impl Answering<Answer> {
        self.points.around("writer.commit", self.port.commit(mark, now))
    }

    fn close(&mut self, mark: &Mark) -> impl Answering<Closed> {
        self.points.around("writer.close", self.port.close(mark))
    }

    fn finish(
        &mut self,
        attempt: &Attempt,
        outcome: Outcome,
        receipts: &[Vec<u8>],
    ) -> impl Answering<()> {
        self.points.around("writer.finish", self.port.finish(attempt, outcome, receipts))
    }

    fn read_back(
        &mut self,
        attempt: &Attempt,
        datasets: &[Dataset],
        receipts: &[Vec<u8>],
    ) -> impl Answering<ReadBack> {
        self.points.around("writer.read_back", self.port.read_back(attempt, datasets, receipts))
    }

    fn tend(&mut self) -> impl Answering<Option<Duration>> {
        self.points.around("writer.tend", self.port.tend())
    }
}

impl<P: Store> Store for Stops<P> {
    fn record(&self, run: &NewRun) -> impl Answering<()> {
        self.points.around("store.record", self.port.record(run))
    }

    fn load(&self, run: &RunId) -> impl Answering<RunRecord> {
        self.points.around("store.load", self.port.load(run))
    }

    fn newest_unfinished(&self, document: &str) -> impl Answering<Option<RunId>> {
        self.points.around("store.newest_unfinished", self.port.newest_unfinished(document))
    }

    fn bookmarks(&self, document: &str) -> impl Answering<Vec<Position>> {
        self.points.around("store.bookmarks", self.port.bookmarks(document))
    }

    fn happened(
        &self,
        run: &RunId,
        event: RunEvent,
        cause: Option<&Fault>,
    ) -> impl Answering<RunRecord> {
        self.points.around("store.happened", self.port.happened(run, event, cause))
    }

    fn save_plans(&self, run: &RunId, plans: &[Plan]) -> impl Answering<()> {
        self.points.around("store.save_plans", self.port.save_plans(run, plans))
    }

    fn save_prepared(&self, run: &RunId, prepared: &Prepared) -> impl Answering<()> {
        self.points.around("store.save_prepared", self.port.save_prepared(run, prepared))
    }

    fn add_splits(&self, run: &RunId, source: SourceIndex, splits: &Splits) -> impl Answering<()> {
        self.points.around("store.add_splits", self.port.add_splits(run, source, splits))
    }

    fn tasks(&self, run: &RunId) -> impl Answering<Vec<TaskRecord>> {
        self.points.around("store.tasks", self.port.tasks(run))
    }

    fn claim(&self, run: &RunId, task: TaskIndex) -> impl Answering<TaskRecord> {
        self.points.around("store.claim", self.port.claim(run, task))
    }

    fn drop_dirty_behind(
        &self,
        run: &RunId,
        task: TaskIndex,
        epoch: Epoch,
        sequence: u64,
    ) -> impl Answering<()> {
        let work = self.port.drop_dirty_behind(run, task, epoch, sequence);
        self.points.around("store.drop_dirty_behind", work)
    }

    fn add_dirty(
        &self,
        run: &RunId,
        task: TaskIndex,
        epoch: Epoch,
        sequence: u64,
        dirty: &[Dirty],
    ) -> impl Answering<()> {
        let work = self.port.add_dirty(run, task, epoch, sequence, dirty);
        self.points.around("store.add_dirty", work)
    }

    fn save_sums(
        &self,
        run: &RunId,
        task: TaskIndex,
        epoch: Epoch,
        sequence: u64,
        sums: &Sums,
    ) -> impl Answering<()> {
        let work = self.port.save_sums(run, task, epoch, sequence, sums);
        self.points.around("store.save_sums", work)
    }

    fn task_sums(
        &self,
        run: &RunId,
        task: TaskIndex,
        sequence: u64,
    ) -> impl Answering<Option<Sums>> {
        self.points.around("store.task_sums", self.port.task_sums(run, task, sequence))
    }

    fn run_sums(&self, run: &RunId) -> impl Answering<Sums> {
        self.points.around("store.run_sums", self.port.run_sums(run))
    }

    fn save_verified(&self, run: &RunId, verified: &Verified) -> impl Answering<()> {
        self.points.around("store.save_verified", self.port.save_verified(run, verified))
    }

    fn checkpoint(
        &self,
        run: &RunId,
        task: TaskIndex,
        epoch: Epoch,
        mark: &Mark,
    ) -> impl Answering<()> {
        self.points.around("store.checkpoint", self.port.checkpoint(run, task, epoch, mark))
    }

    fn complete(
        &self,
        run: &RunId,
        task: TaskIndex,
        epoch: Epoch,
        done: &Done,
    ) -> impl Answering<()> {
        self.points.around("store.complete", self.port.complete(run, task, epoch, done))
    }
}
