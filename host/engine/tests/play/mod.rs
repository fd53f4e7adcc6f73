//! A source and a destination whose every answer a test says, and one attempt with them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use domain::job::ErrorLimit;
use domain::port::{
    Answer, Attempt, Budget, Closed, CommitMode, Destination, Dirty, Outcome, Plan, Prepared,
    ReadBack, Reader, Remark, Rows, Source, Split, Splits, Step, Store, TaskRecord, Wishes, Writer,
};
use domain::run::RunState;
use domain::{Batch, Counts, Dataset, Epoch, Fault, Mark, Position, Result, RunId, TaskIndex};
use engine::{Engine, Progress, Settings, StepPlugin, Summary};
use testkit::MemStore;
use testkit::conformance::new_run;
use tokio::sync::watch;

/// Simulated time that no attempt needs.
const ATTEMPT_MAX: Duration = Duration::from_secs(24 * 3600);

type Script<A, T> = Box<dyn Fn(A) -> Result<T> + Send + Sync>;

/// What each call answers. As it is made, a run of one split with ten rows that succeeds.
pub(crate) struct Play {
    pub(crate) plan: Script<(), ()>,
    pub(crate) splits: Script<Vec<u8>, Splits>,
    /// The split's label, and which step of the cursor it is, from 0.
    pub(crate) next: Script<(String, u64), Step>,
    pub(crate) prepare: Script<(), ()>,
    /// What the destination holds of a task.
    pub(crate) open: Script<TaskIndex, Option<Mark>>,
    /// Which call of the sink it is, from 0, and the ids.
    pub(crate) write: Script<(u64, Vec<i64>), Answer>,
    pub(crate) commit: Script<(u64, Mark, bool), Answer>,
    pub(crate) close: Script<Mark, Closed>,
    pub(crate) finish: Script<Outcome, ()>,
    pub(crate) tend: Option<Duration>,
    pub(crate) tend_takes: Duration,
    /// How many sinks were closed, when a writer is tended.
    pub(crate) tend_writer: Script<usize, ()>,
    pub(crate) acknowledge_takes: Duration,
    pub(crate) mode: CommitMode,
    pub(crate) wishes: Wishes,
    pub(crate) settings: Settings,
    pub(crate) plugins: Vec<StepPlugin>,
    /// Lanes of the attempts behind the first; `None`: as many as its.
    pub(crate) lanes_later: Option<u32>,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) calls: Mutex<Vec<String>>,
}

impl Default for Play {
    fn default() -> Self {
        let settings = Settings { error_limit: ErrorLimit::NONE, ..Settings::default() };
        Self {
            plan: Box::new(|()| Ok(())),
            splits: Box::new(|_| Ok(splits(&["only"]))),
            next: Box::new(|(_, step)| Ok(if step == 0 { rows(0..10) } else { ended() })),
            prepare: Box::new(|()| Ok(())),
            open: Box::new(|_| Ok(None)),
            write: Box::new(|(number, _)| Ok(taken(number + 1))),
            commit: Box::new(|(writes, mark, _)| {
                Ok(Answer { durable: Some(mark), ..taken(writes) })
            }),
            close: Box::new(|_| Ok(Closed::default())),
            finish: Box::new(|_| Ok(())),
            tend: None,
            tend_takes: Duration::ZERO,
            tend_writer: Box::new(|_| Ok(())),
            acknowledge_takes: Duration::ZERO,
            mode: CommitMode::Transactional,
            wishes: Wishes::default(),
            settings,
            plugins: Vec::new(),
            lanes_later: None,
            stop: watch::Sender::new(false),
            calls: Mutex::default(),
        }
    }
}

/// What came of an attempt.
pub(crate) struct Played {
    pub(crate) summary: Summary,
    pub(crate) tasks: Vec<TaskRecord>,
    pub(crate) dirty: usize,
    pub(crate) told: Vec<Dirty>,
    /// Simulated.
    pub(crate) took: Duration,
}

impl Played {
    pub(crate) fn state(&self) -> RunState {
        self.summary.state
    }

    /// The code of the fault that ended it.
    pub(crate) fn code(&self) -> &str {
        self.summary.fault.as_ref().map_or("", |fault| &fault.code)
    }
}

impl Play {
    /// How often `call` was made.
    pub(crate) fn count(&self, call: &str) -> usize {
        self.calls
            .lock()
            .expect("no panic while it is held")
            .iter()
            .filter(|one| one.starts_with(call))
            .count()
    }

    fn note(&self, call: impl Into<String>) {
        self.calls.lock().expect("no panic while it is held").push(call.into());
    }

    pub(crate) fn run(self) -> (Arc<Self>, Played) {
        let play = Arc::new(self);
        let mut played = play.attempts(1);
        (play, played.remove(0))
    }

    pub(crate) fn sample(self, rows: usize) -> (Arc<Self>, engine::Sample) {
        let play = Arc::new(self);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let source = PlaySource(play.clone());
        let sample = runtime.block_on(engine::sample(&source, rows)).expect("a sample");
        (play, sample)
    }

    /// Several attempts at one run, under simulated time.
    pub(crate) fn attempts(self: &Arc<Self>, count: usize) -> Vec<Played> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let store = Arc::new(MemStore::alone());
            let new = new_run("r1", "/a", 1);
            store.record(&new).await.expect("recorded");
            let mut all = Vec::new();
            let mut settings = self.settings.clone();
            for _ in 0..count {
                all.push(self.attempt(&store, &new.id, settings.clone()).await);
                settings.concurrent = self.lanes_later.unwrap_or(settings.concurrent);
            }
            all
        })
    }

    async fn attempt(
        self: &Arc<Self>,
        store: &Arc<MemStore>,
        run: &RunId,
        settings: Settings,
    ) -> Played {
        let engine = Engine {
            store: store.clone(),
            sources: vec![Arc::new(PlaySource(self.clone()))],
            destination: Arc::new(PlayDestination(self.clone())),
            plugins: self.plugins.clone(),
            settings,
            progress: Arc::new(Progress::default()),
        };
        let begun = tokio::time::Instant::now();
        let attempt = engine.attempt(run, self.stop.subscribe());
        let summary = tokio::time::timeout(ATTEMPT_MAX, attempt).await.expect("it ends");
        let tasks = store.tasks(run).await.expect("tasks");
        let told = store.dirty(run);
        Played { summary, tasks, dirty: told.len(), told, took: begun.elapsed() }
    }
}

pub(crate) fn dataset() -> Dataset {
    Dataset {
        path: vec!["t".into()],
        schema: Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)])),
        primary_key: vec![],
        metadata: vec![],
    }
}

pub(crate) fn splits(labels: &[&str]) -> Splits {
    let split = |label: &&str| split(label, 0);
    Splits { splits: labels.iter().map(split).collect(), last: true, next: b"end".to_vec() }
}

pub(crate) fn split(label: &str, stage: u32) -> Split {
    let token = label.as_bytes().to_vec();
    Split { token, label: label.into(), stage, rows_estimate: None, bytes_estimate: None }
}

/// A step of rows; the last id is the position.
pub(crate) fn rows(ids: std::ops::Range<i64>) -> Step {
    let position = Some(ids.end.to_le_bytes().to_vec());
    let ids: ArrayRef = Arc::new(ids.collect::<Int64Array>());
    let batch = RecordBatch::try_new(dataset().schema, vec![ids]).expect("columns of the schema");
    Step::Rows(Rows { batches: vec![Batch::new(0, batch)], position, ..Rows::default() })
}

pub(crate) fn ended() -> Step {
    Step::Ended { bookmark: None }
}

pub(crate) fn taken(below: u64) -> Answer {
    Answer { taken: below, ..Answer::default() }
}

pub(crate) fn remark(batch: u64, row: u32, loaded: bool) -> Remark {
    let (code, message) = ("play.remark".into(), "said".into());
    Remark { batch, row, column: None, loaded, code, message }
}

pub(crate) fn counts(read: u64, written: u64, dirty: u64) -> Counts {
    Counts {
        records_read: read,
        records_written: written,
        records_dirty: dirty,
        ..Counts::default()
    }
}

struct PlaySource(Arc<Play>);
struct PlayReader {
    play: Arc<Play>,
    label: String,
    steps: u64,
}

impl Source for PlaySource {
    type Session = PlayReader;

    async fn connect(&self) -> Result<PlayReader> {
        Ok(PlayReader { play: self.0.clone(), label: String::new(), steps: 0 })
    }
}

impl Reader for PlayReader {
    async fn plan(&mut self, _parallelism: u32, _since: &[Position]) -> Result<Plan> {
        (self.play.plan)(())?;
        Ok(Plan { datasets: vec![dataset()], bounded: true, start: b"start".to_vec() })
    }

    async fn splits(&mut self, at: &[u8], _limit: u32) -> Result<Splits> {
        (self.play.splits)(at.to_vec())
    }

    async fn open(
        &mut self,
        split: &Split,
        _start: Option<&Position>,
        _datasets: &[Dataset],
    ) -> Result<()> {
        self.play.note("open");
        (self.label, self.steps) = (split.label.clone(), 0);
        Ok(())
    }

    async fn next(&mut self, _budget: Budget) -> Result<Step> {
        self.steps += 1;
        (self.play.next)((self.label.clone(), self.steps - 1))
    }

    async fn acknowledge(&mut self, _position: &Position) -> Result<()> {
        self.play.note("acknowledge");
        tokio::time::sleep(self.play.acknowledge_takes).await;
        Ok(())
    }

    async fn tend(&mut self) -> Result<Option<Duration>> {
        self.play.note("tend");
        tokio::time::sleep(self.play.tend_takes).await;
        Ok(self.play.tend)
    }
}

struct PlayDestination(Arc<Play>);
struct PlayWriter {
    play: Arc<Play>,
    writes: u64,
    /// It answered a fault to `tend`.
    dead: bool,
}

impl Destination for PlayDestination {
    type Session = PlayWriter;
    type Back = PlaySource;

    async fn connect(&self) -> Result<PlayWriter> {
        Ok(PlayWriter { play: self.0.clone(), writes: 0, dead: false })
    }

    fn back(&self, _parameter: &str) -> PlaySource {
        PlaySource(self.0.clone())
    }
}

impl PlayWriter {
    fn prepared(&self) -> Prepared {
        let (commit_mode, wishes) = (self.play.mode, self.play.wishes.clone());
        Prepared { datasets: vec![dataset()], commit_mode, wishes }
    }
}

impl Writer for PlayWriter {
    async fn prepare(&mut self, _attempt: &Attempt, _datasets: &[Dataset]) -> Result<Prepared> {
        (self.play.prepare)(())?;
        Ok(self.prepared())
    }

    async fn preview(&mut self, _datasets: &[Dataset]) -> Result<Prepared> {
        Ok(self.prepared())
    }

    async fn open(
        &mut self,
        _attempt: &Attempt,
        task: TaskIndex,
        _epoch: Epoch,
        _datasets: &[Dataset],
    ) -> Result<Option<Mark>> {
        self.writes = 0;
        (self.play.open)(task)
    }

    async fn write(&mut self, batch: &Batch) -> Result<Answer> {
        let ids = batch.rows.column(0).as_primitive::<Int64Type>().values().to_vec();
        self.play.note(format!("write {ids:?}"));
        self.writes += 1;
        (self.play.write)((self.writes - 1, ids))
    }

    async fn commit(&mut self, mark: &Mark, now: bool) -> Result<Answer> {
        self.play.note(format!("commit {}{}", mark.sequence, if now { " now" } else { "" }));
        (self.play.commit)((self.writes, mark.clone(), now))
    }

    async fn close(&mut self, mark: &Mark) -> Result<Closed> {
        self.play.note("close");
        (self.play.close)(mark.clone())
    }

    async fn finish(
        &mut self,
        _attempt: &Attempt,
        outcome: Outcome,
        _receipts: &[Vec<u8>],
    ) -> Result<()> {
        self.play.note(format!("finish {outcome:?}"));
        (self.play.finish)(outcome)
    }

    async fn read_back(
        &mut self,
        _attempt: &Attempt,
        _datasets: &[Dataset],
        _receipts: &[Vec<u8>],
    ) -> Result<ReadBack> {
        Ok(ReadBack::Impossible("this play has no end".into()))
    }

    async fn tend(&mut self) -> Result<Option<Duration>> {
        self.play.note("tend");
        tokio::time::sleep(self.play.tend_takes).await;
        assert!(!self.dead, "a session that answered a fault is only dropped");
        let answer = (self.play.tend_writer)(self.play.count("close"));
        self.dead = answer.is_err();
        answer?;
        Ok(self.play.tend)
    }
}

/// A fault that says try again.
pub(crate) fn again() -> Fault {
    Fault::external("play.again", "try again").retry_after(Duration::ZERO)
}
