//! The port `Store` in memory. It outlives the engine that uses it, as a file would.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::port::{
    Dirty, DirtyRecord, DirtyStage, Done, NewRun, Plan, Prepared, RunRecord, SourceRecord, Splits,
    Store, TaskRecord,
};
use domain::run::{RunEvent, RunState};
use domain::verify::{Sums, Verified};
use domain::{
    Bookmark, Epoch, Fault, Mark, Position, Result, RunId, SourceIndex, TaskIndex, bookmark, books,
};

use crate::fault::Operation;
use crate::planted::Planted;
use crate::scenario::{Abilities, Scenario};
use crate::world::{Of, State, World};

/// The books of a [`World`].
pub struct MemStore {
    world: Arc<World>,
}

#[derive(Default)]
pub(crate) struct Books {
    runs: Vec<Book>,
    bookmarks: BTreeMap<String, Vec<Bookmark>>,
}

/// One run.
pub(crate) struct Book {
    pub(crate) record: RunRecord,
    pub(crate) tasks: Vec<TaskRecord>,
    pub(crate) dirty: Vec<DirtyLine>,
    /// By task and sequence.
    sums: BTreeMap<(TaskIndex, u64), Sums>,
    pub(crate) run_sums: Sums,
}

pub(crate) struct DirtyLine {
    pub(crate) task: TaskIndex,
    pub(crate) sequence: u64,
    pub(crate) dirty: Dirty,
}

impl Books {
    fn book(&mut self, run: &RunId) -> Result<&mut Book> {
        self.runs
            .iter_mut()
            .find(|book| book.record.new.id == *run)
            .ok_or_else(|| books::no_such_run(run))
    }

    fn renew_bookmarks(&mut self, run: &RunId) -> Result<()> {
        let book = self.book(run)?;
        let done = book.tasks.iter().filter_map(|task| task.done.as_ref());
        let given: Vec<_> = done.filter_map(|done| done.bookmark.clone()).collect();
        let NewRun { document, created_ms, .. } = book.record.new.clone();
        let kept = self.bookmarks.remove(&document).unwrap_or_default();
        self.bookmarks.insert(document, bookmark::renew(kept, given, created_ms));
        Ok(())
    }

    /// The run that a simulation plays: the first.
    pub(crate) fn only(&self) -> Option<&Book> {
        self.runs.first()
    }

    pub(crate) fn is_prepared(&self) -> bool {
        self.only().is_some_and(|book| book.record.prepared.is_some())
    }
}

impl Book {
    fn new(record: RunRecord) -> Self {
        Self {
            record,
            tasks: Vec::new(),
            dirty: Vec::new(),
            sums: BTreeMap::new(),
            run_sums: Sums::default(),
        }
    }

    fn task(&mut self, task: TaskIndex) -> Result<&mut TaskRecord> {
        let run = &self.record.new.id;
        self.tasks.get_mut(task as usize).ok_or_else(|| books::no_such_task(run, task))
    }

    fn admitted(&mut self, task: TaskIndex, epoch: Epoch) -> Result<&mut TaskRecord> {
        let run = self.record.new.id.clone();
        let record = self.task(task)?;
        record.admit(&run, epoch)?;
        Ok(record)
    }

    fn complete(&mut self, task: TaskIndex, done: &Done) -> Result<()> {
        let record = self.task(task)?;
        let sequence = record.mark.as_ref().map_or(0, |mark| mark.sequence);
        if record.complete(done)
            && let Some(sums) = self.sums.remove(&(task, sequence))
        {
            self.run_sums.fold(&sums);
        }
        Ok(())
    }

    /// Records of a task that are dirty, up to a mark, and those that were loaded with a change.
    pub(crate) fn dirty_up_to(&self, task: TaskIndex, sequence: u64) -> (u64, u64) {
        let covered =
            self.dirty.iter().filter(|line| line.task == task && line.sequence <= sequence);
        covered.fold((0, 0), |(dirty, loaded), line| match line.dirty.stage {
            DirtyStage::Loaded => (dirty, loaded + 1),
            _ => (dirty + 1, loaded),
        })
    }
}

impl MemStore {
    pub fn new(world: Arc<World>) -> Self {
        Self { world }
    }

    /// A store by itself: nothing goes wrong, nothing is checked.
    pub fn alone() -> Self {
        let mut scenario = Scenario::from_seed(0, Abilities::ALL);
        scenario.faults.clear();
        scenario.latency_ms_max = 0;
        Self::new(Arc::new(World::with_strictness(scenario, false)))
    }

    /// The dirty records of a run.
    pub fn dirty(&self, run: &RunId) -> Vec<Dirty> {
        let mut state = self.world.lock();
        let book = state.books.book(run);
        book.map_or(Vec::new(), |book| book.dirty.iter().map(|line| line.dirty.clone()).collect())
    }

    /// A call for a task that its epoch must be the newest of; `effect` gets the book.
    async fn change_task(
        &self,
        operation: Operation,
        of: (&RunId, TaskIndex, Epoch),
        what: String,
        effect: impl FnOnce(&mut State, &RunId) -> Result<()> + Clone + Send + 'static,
    ) -> Result<()> {
        let (run, task, epoch) = (of.0.clone(), of.1, of.2);
        let of = Of { task, epoch, session: None };
        let admitted = move |state: &mut State| {
            let stale = state.is_planted(Planted::AcceptStaleEpoch);
            match state.books.book(&run)?.admitted(task, epoch) {
                Err(fault) if !(stale && fault.code == "store.fenced") => Err(fault),
                _ => effect(state, &run),
            }
        };
        self.world.call_of(of, operation, what, admitted).await
    }

    async fn change<T>(
        &self,
        operation: Operation,
        run: &RunId,
        what: String,
        effect: impl FnOnce(&mut Book) -> Result<T>,
    ) -> Result<T> {
        let what = if what.is_empty() { run.to_string() } else { what };
        self.world.call(operation, what, |state| effect(state.books.book(run)?)).await
    }
}

impl Store for MemStore {
    async fn record(&self, run: &NewRun) -> Result<()> {
        self.world
            .call(Operation::StoreRecord, run.id.to_string(), |state| {
                if state.books.book(&run.id).is_ok() {
                    return Err(books::run_exists(&run.id));
                }
                let record = RunRecord::new(run.clone());
                state.books.runs.push(Book::new(record));
                Ok(())
            })
            .await
    }

    async fn load(&self, run: &RunId) -> Result<RunRecord> {
        self.world
            .call(Operation::StoreLoad, run.to_string(), |state| {
                let mut record = state.books.book(run)?.record.clone();
                if state.is_planted(Planted::ForgetAnswers) {
                    (record.sources, record.prepared) = (Vec::new(), None);
                }
                Ok(record)
            })
            .await
    }

    async fn newest_unfinished(&self, document: &str) -> Result<Option<RunId>> {
        self.world
            .call(Operation::StoreNewestUnfinished, document.into(), |state| {
                let records = state.books.runs.iter().map(|book| &book.record);
                let newest = records
                    .filter(|run| run.new.document == document && !run.state.is_ended())
                    .max_by_key(|run| run.new.created_ms);
                Ok(newest.map(|run| run.new.id.clone()))
            })
            .await
    }

    async fn bookmarks(&self, document: &str) -> Result<Vec<Position>> {
        self.world
            .call(Operation::StoreBookmarks, document.into(), |state| {
                let kept = state.books.bookmarks.get(document).cloned().unwrap_or_default();
                Ok(kept.into_iter().map(|bookmark| bookmark.position).collect())
            })
            .await
    }

    async fn happened(
        &self,
        run: &RunId,
        event: RunEvent,
        cause: Option<&Fault>,
    ) -> Result<RunRecord> {
        let why = cause.map(|cause| format!(" by {}", cause.code)).unwrap_or_default();
        let what = format!("{}{why}", event.word());
        self.world
            .call(Operation::StoreHappened, what, |state| {
                let book = state.books.book(run)?;
                book.record.happen(event, cause)?;
                let mut record = book.record.clone();
                if state.is_planted(Planted::ForgetAnswers) {
                    (record.sources, record.prepared) = (Vec::new(), None);
                }
                if record.state == RunState::Succeeded {
                    state.books.renew_bookmarks(run)?;
                }
                Ok(record)
            })
            .await
    }

    async fn save_plans(&self, run: &RunId, plans: &[Plan]) -> Result<()> {
        self.change(Operation::StoreSavePlan, run, String::new(), |book| {
            let stored = &mut book.record.sources;
            match stored.iter().map(|source| &source.plan).eq(plans) {
                true => Ok(()),
                false if stored.is_empty() => {
                    *stored = plans.iter().cloned().map(SourceRecord::new).collect();
                    Ok(())
                }
                false => Err(books::written_once(run, "plan")),
            }
        })
        .await
    }

    async fn save_prepared(&self, run: &RunId, prepared: &Prepared) -> Result<()> {
        let save = |book: &mut Book| match &book.record.prepared {
            Some(stored) if stored == prepared => Ok(()),
            Some(_) => Err(books::written_once(run, "prepared answer")),
            None => {
                book.record.prepared = Some(prepared.clone());
                Ok(())
            }
        };
        self.change(Operation::StoreSavePrepared, run, String::new(), save).await
    }

    async fn add_splits(&self, run: &RunId, source: SourceIndex, splits: &Splits) -> Result<()> {
        let what = format!("{}", splits.splits.len());
        let add = |book: &mut Book| {
            let planned = book.record.sources.get_mut(source as usize);
            let planned = planned.ok_or_else(|| books::no_such_source(run, source))?;
            (planned.next, planned.last) = (splits.next.clone(), splits.last);
            for split in &splits.splits {
                let index = book.tasks.len() as TaskIndex;
                let split = split.clone();
                let task = TaskRecord { index, source, split, epoch: 0, mark: None, done: None };
                book.tasks.push(task);
            }
            Ok(())
        };
        self.change(Operation::StoreAddSplits, run, what, add).await
    }

    async fn tasks(&self, run: &RunId) -> Result<Vec<TaskRecord>> {
        // Also for a run that nobody recorded: it has none.
        self.world
            .call(Operation::StoreTasks, run.to_string(), |state| {
                Ok(state.books.book(run).map(|book| book.tasks.clone()).unwrap_or_default())
            })
            .await
    }

    async fn claim(&self, run: &RunId, task: TaskIndex) -> Result<TaskRecord> {
        let claim = |book: &mut Book| {
            let record = book.task(task)?;
            record.epoch += 1;
            Ok(record.clone())
        };
        self.change(Operation::StoreClaim, run, format!("task {task}"), claim).await
    }

    async fn drop_dirty_behind(
        &self,
        run: &RunId,
        task: TaskIndex,
        epoch: Epoch,
        sequence: u64,
    ) -> Result<()> {
        let what = format!("task {task} behind {sequence}");
        let drop = move |state: &mut State, run: &RunId| {
            if !state.is_planted(Planted::KeepDirtyOnResume) {
                let dirty = &mut state.books.book(run)?.dirty;
                dirty.retain(|line| line.task != task || line.sequence <= sequence);
            }
            Ok(())
        };
        self.change_task(Operation::StoreDropDirty, (run, task, epoch), what, drop).await
    }

    async fn add_dirty(
        &self,
        run: &RunId,
        task: TaskIndex,
        epoch: Epoch,
        sequence: u64,
        dirty: &[Dirty],
    ) -> Result<()> {
        let what = format!("task {task} mark {sequence}: {}", dirty.len());
        let dirty = dirty.to_vec();
        let add = move |state: &mut State, run: &RunId| {
            let cuts = state.is_planted(Planted::CutDirty);
            if !state.is_planted(Planted::ForgetDirty) {
                let lines = dirty.into_iter().map(|mut dirty| {
                    if let (true, DirtyRecord::Values(values)) = (cuts, &mut dirty.record) {
                        values.pop();
                    }
                    DirtyLine { task, sequence, dirty }
                });
                state.books.book(run)?.dirty.extend(lines);
            }
            Ok(())
        };
        self.change_task(Operation::StoreAddDirty, (run, task, epoch), what, add).await
    }

    async fn save_sums(
        &self,
        run: &RunId,
        task: TaskIndex,
        epoch: Epoch,
        sequence: u64,
        sums: &Sums,
    ) -> Result<()> {
        let save = |book: &mut Book| {
            book.admitted(task, epoch)?;
            book.sums.insert((task, sequence), sums.clone());
            Ok(())
        };
        let what = format!("task {task} mark {sequence}");
        self.change(Operation::StoreSaveSums, run, what, save).await
    }

    async fn task_sums(&self, run: &RunId, task: TaskIndex, sequence: u64) -> Result<Option<Sums>> {
        let look = |book: &mut Book| Ok(book.sums.get(&(task, sequence)).cloned());
        let what = format!("task {task} mark {sequence}");
        self.change(Operation::StoreTaskSums, run, what, look).await
    }

    async fn run_sums(&self, run: &RunId) -> Result<Sums> {
        let look = |book: &mut Book| Ok(book.run_sums.clone());
        self.change(Operation::StoreRunSums, run, String::new(), look).await
    }

    async fn save_verified(&self, run: &RunId, verified: &Verified) -> Result<()> {
        let save = |book: &mut Book| {
            book.record.verified = Some(verified.clone());
            Ok(())
        };
        self.change(Operation::StoreSaveVerified, run, String::new(), save).await
    }

    async fn checkpoint(
        &self,
        run: &RunId,
        task: TaskIndex,
        epoch: Epoch,
        mark: &Mark,
    ) -> Result<()> {
        let what = format!("task {task} mark {}", mark.sequence);
        let mark = mark.clone();
        let checkpoint = move |state: &mut State, run: &RunId| {
            let book = state.books.book(run)?;
            if book.task(task)?.checkpoint(&mark) {
                let older = (task, 0)..(task, mark.sequence);
                book.sums.retain(|at, _| !older.contains(at));
            }
            check_durable(state, task, &mark);
            Ok(())
        };
        self.change_task(Operation::StoreCheckpoint, (run, task, epoch), what, checkpoint).await
    }

    async fn complete(
        &self,
        run: &RunId,
        task: TaskIndex,
        epoch: Epoch,
        done: &Done,
    ) -> Result<()> {
        let what = format!("task {task}");
        let mut done = done.clone();
        let complete = move |state: &mut State, run: &RunId| {
            if state.is_planted(Planted::Miscount) {
                done.counts.records_read += 1;
            }
            if state.is_planted(Planted::CountDirtyTwice) && done.counts.records_dirty > 0 {
                done.counts.records_read += 1;
                done.counts.records_dirty += 1;
            }
            state.books.book(run)?.complete(task, &done)?;
            check_done(state, task, &done);
            Ok(())
        };
        self.change_task(Operation::StoreComplete, (run, task, epoch), what, complete).await
    }
}

/// Invariant 1: what the books hold, the destination holds.
fn check_durable(state: &mut State, task: TaskIndex, mark: &Mark) {
    let durable = state.destination.durable.get(&task).map_or(0, |durable| durable.sequence);
    state.ensure(mark.sequence <= durable, || {
        format!("invariant 1: task {task} mark {} stored, {durable} is durable", mark.sequence)
    });
}

fn check_done(state: &mut State, task: TaskIndex, done: &Done) {
    let receipt = state.destination.receipts.get(&task) == Some(&done.receipt);
    state.ensure(receipt, || format!("task {task} is stored as done without its receipt"));
    state.ensure(done.counts.add_up(), || {
        format!("invariant 5: task {task} is done with sums that do not add up: {:?}", done.counts)
    });
    let told = state.destination.durable.get(&task).map(|mark| mark.counts);
    state.ensure(told == Some(done.counts), || {
        format!("task {task} is done with {:?}, the destination was told {told:?}", done.counts)
    });
}
