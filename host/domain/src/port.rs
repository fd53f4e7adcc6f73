//! The ports: what the engine needs of a reader, a writer and a store, and what they may expect of it.
//!
//! [`Source`], [`Transform`] and [`Destination`] are plug-ins bound to a step's configuration and grants; each
//! `connect` opens a session of its own (one login). A [`Reader`] is one session and the one cursor it
//! has open; a [`Writer`] one session and the one sink it has open: session and cursor are one port,
//! since they live and die together. After a fault of a session's own calls (`connect`, `plan`,
//! `splits`, `prepare`, …) or of its cursor's or sink's, the session is dropped; a new one goes on.
//!
//! The words follow the contract in `wit/`; what is said there is not repeated here.

use std::pin::Pin;
use std::time::Duration;

use crate::batch::Batch;
use crate::dataset::Dataset;
use crate::fault::{Fault, Result};
use crate::mark::{Counts, Mark, Position};
use crate::run::{Epoch, RunEvent, RunId, RunState, SourceIndex, TaskIndex};
use crate::verify::{Sums, Verified};

/// `Future` that may move between threads: what every port's call answers.
pub trait Answering<T>: Future<Output = Result<T>> + Send {}
impl<T, F: Future<Output = Result<T>> + Send> Answering<T> for F {}

/// Where readers come from: a plug-in with its step's configuration and grants.
pub trait Source: Send + Sync + 'static {
    type Session: Reader;
    fn connect(&self) -> impl Answering<Self::Session>;
}

/// One session with a source, and the cursor it has open.
pub trait Reader: Send + 'static {
    fn plan(&mut self, parallelism: u32, since: &[Position]) -> impl Answering<Plan>;
    fn splits(&mut self, at: &[u8], limit: u32) -> impl Answering<Splits>;
    /// Opens a cursor in place of the one before, which is dropped.
    fn open(
        &mut self,
        split: &Split,
        start: Option<&Position>,
        datasets: &[Dataset],
    ) -> impl Answering<()>;
    fn next(&mut self, budget: Budget) -> impl Answering<Step>;
    fn acknowledge(&mut self, position: &Position) -> impl Answering<()>;
    fn tend(&mut self) -> impl Answering<Option<Duration>>;
}

/// The answer of a call that is made through `dyn`.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Where transformers come from: a plug-in with its step's configuration and grants. A job may have
/// several, of different plug-ins.
pub trait Transform: Send + Sync + 'static {
    fn connect(&self) -> Boxed<'_, Box<dyn Transformer>>;
}

/// One session of a step between reader and writer.
pub trait Transformer: Send {
    /// What comes out of each dataset, index for index.
    fn open<'a>(&'a mut self, datasets: &'a [Dataset]) -> Boxed<'a, Vec<Dataset>>;
    /// What becomes of the rows of a batch, which has one at least.
    fn apply<'a>(&'a mut self, batch: &'a Batch) -> Boxed<'a, Transformed>;
}

/// Where writers come from.
pub trait Destination: Send + Sync + 'static {
    type Session: Writer;
    /// What the plug-in's own reader gives of this destination.
    type Back: Source;
    fn connect(&self) -> impl Answering<Self::Session>;
    /// The plug-in's own reader on the same connection, with a parameter of [`ReadBack::By`].
    fn back(&self, parameter: &str) -> Self::Back;
}

/// One session with a destination, and the sink it has open.
pub trait Writer: Send + 'static {
    fn prepare(&mut self, attempt: &Attempt, datasets: &[Dataset]) -> impl Answering<Prepared>;
    fn preview(&mut self, datasets: &[Dataset]) -> impl Answering<Prepared>;
    /// Opens a sink in place of the one before, and answers the newest mark that the destination
    /// itself holds for this task, of any epoch.
    fn open(
        &mut self,
        attempt: &Attempt,
        task: TaskIndex,
        epoch: Epoch,
        datasets: &[Dataset],
    ) -> impl Answering<Option<Mark>>;
    fn write(&mut self, batch: &Batch) -> impl Answering<Answer>;
    fn commit(&mut self, mark: &Mark, now: bool) -> impl Answering<Answer>;
    fn close(&mut self, mark: &Mark) -> impl Answering<Closed>;
    fn finish(
        &mut self,
        attempt: &Attempt,
        outcome: Outcome,
        receipts: &[Vec<u8>],
    ) -> impl Answering<()>;
    /// How exactly what the run wrote is read again; without receipts, whether it can be.
    fn read_back(
        &mut self,
        attempt: &Attempt,
        datasets: &[Dataset],
        receipts: &[Vec<u8>],
    ) -> impl Answering<ReadBack>;
    fn tend(&mut self) -> impl Answering<Option<Duration>>;
}

/// One process's work on a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub run: RunId,
    /// Rises with each attempt.
    pub epoch: Epoch,
    /// False where the source goes on for ever.
    pub bounded: bool,
    /// What the run writes will be read back: the writer keeps what it needs to tell it apart.
    pub verify: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub datasets: Vec<Dataset>,
    pub bounded: bool,
    /// What `splits` needs to begin; the plug-in's own.
    pub start: Vec<u8>,
}

/// A share of the work, independent of the others of its stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    pub token: Vec<u8>,
    pub label: String,
    /// Splits start when all splits of lower stages are done.
    pub stage: u32,
    pub rows_estimate: Option<u64>,
    pub bytes_estimate: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splits {
    pub splits: Vec<Split>,
    pub last: bool,
    pub next: Vec<u8>,
}

/// What one `next` may return at most, and how long it may wait for the first row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    pub rows: u32,
    pub bytes: u64,
    pub wait: Duration,
}

/// A record that the reader could not decode, as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecodable {
    pub dataset: Option<u32>,
    /// Where it stands in the source: a file and line, an offset.
    pub origin: String,
    pub data: Vec<u8>,
    pub code: String,
    pub message: String,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    pub batches: Vec<Batch>,
    pub undecodable: Vec<Undecodable>,
    /// How many rows have NULL in place of a value that did not fit, as the job asked.
    pub nulled: u64,
    pub position: Option<Position>,
    pub source_time_ms: Option<i64>,
    pub backlog: Option<u64>,
}

/// One step of a cursor.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Rows(Rows),
    /// The source moved on without rows for this job. Committed like rows.
    Advanced {
        position: Position,
    },
    /// Nothing came within the budget's wait.
    Idle,
    /// The cursor is not called again.
    Ended {
        bookmark: Option<Position>,
    },
}

/// What a transformer made of the first `taken` rows of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Transformed {
    /// Of the same dataset index.
    pub rows: Batch,
    /// For each row of `rows` the row in that it was made of, ascending.
    pub origins: Vec<u32>,
    /// Rows in that it cannot handle; none of them is among the origins.
    pub refused: Vec<Refused>,
    /// At least one; the others are sent again.
    pub taken: u32,
}

/// A row that a transformer cannot handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub row: u32,
    /// Of the dataset that came in.
    pub column: Option<u32>,
    pub code: String,
    pub message: String,
}

/// How a redone task is made harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitMode {
    Transactional,
    Staged,
    Idempotent,
    BrokerTransaction,
    AtLeastOnce,
}

impl CommitMode {
    pub const ALL: [Self; 5] = [
        Self::Transactional,
        Self::Staged,
        Self::Idempotent,
        Self::BrokerTransaction,
        Self::AtLeastOnce,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::Transactional => "transactional",
            Self::Staged => "staged",
            Self::Idempotent => "idempotent",
            Self::BrokerTransaction => "broker-transaction",
            Self::AtLeastOnce => "at-least-once",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.word() == word)
    }
}

/// What suits the destination; zero is no wish. The engine follows within its own limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    pub batch_rows: u32,
    pub batch_bytes: u64,
    pub commit_bytes: u64,
    pub commit_ms: u32,
    /// Fields that each batch is sorted by, the first counting most; batches of changes are not.
    pub sort_by: Vec<String>,
    /// Tasks that are written at a time, at most.
    pub lanes: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// As the destination has them, index for index and field for field, so that the engine casts to
    /// their types.
    pub datasets: Vec<Dataset>,
    pub commit_mode: CommitMode,
    pub wishes: Wishes,
}

/// A row that was refused, or (`loaded`) taken with a value cut or nulled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Counts the calls of `write` since `open`, from 0.
    pub batch: u64,
    pub row: u32,
    pub column: Option<u32>,
    pub loaded: bool,
    pub code: String,
    pub message: String,
}

/// What a sink says after `write`, `commit` or `close`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// About any batch since the last durable mark. What is said of a row that a mark covers comes
    /// before that mark is durable, or with `undone`: a mark that was given before counts what is no
    /// longer so, and must not become durable any more.
    pub remarks: Vec<Remark>,
    /// The destination dropped every batch since the last durable mark that it had not taken.
    pub undone: Option<Fault>,
    /// The newest mark that is durable, or staged for good.
    pub durable: Option<Mark>,
    /// Batches below this number are taken: `undone` no longer means them.
    pub taken: u64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Closed {
    pub answer: Answer,
    pub receipt: Vec<u8>,
}

/// How what a run wrote is read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadBack {
    /// By the plug-in's own reader with this parameter (JSON), which gives the fields of the prepared
    /// dataset in their order; each comes back in its form.
    By {
        parameter: String,
        forms: Vec<Form>,
        /// Fields by which rows replace each other, so that one of those that agree in them is there;
        /// empty where every row stays.
        replaces_by: Vec<String>,
    },
    /// The run left nothing that could be read.
    Nothing,
    /// Not at all; for people.
    Impossible(String),
}

/// How values of a field come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// As they were written.
    #[default]
    Same,
    /// An empty text may be null.
    EmptyIsNull,
    /// Blanks at the end of a text don't count.
    Padded,
    /// As a JSON text of the same value.
    Json,
    /// As a text of the same UUID.
    Uuid,
    /// In a form of the destination's own: only whether it is null can be compared.
    Reshaped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Succeeded,
    Failed,
}

/// Where a run's books are kept. Every call is one transaction, durable when it answers.
///
/// Calls that change a task carry its epoch; a lower one than the stored is refused with
/// `store.fenced`.
pub trait Store: Send + Sync + 'static {
    /// Writes down a new run in state `Recorded`, before anything else happens.
    fn record(&self, run: &NewRun) -> impl Answering<()>;
    /// # Errors
    /// `store.no_such_run`, domain user.
    fn load(&self, run: &RunId) -> impl Answering<RunRecord>;
    /// The newest run of a document that has not ended.
    fn newest_unfinished(&self, document: &str) -> impl Answering<Option<RunId>>;
    /// What the next run of a document reads `since`: see [`crate::bookmark`].
    fn bookmarks(&self, document: &str) -> impl Answering<Vec<Position>>;
    /// Applies `run::step`, and stores state and cause together (invariant 6). `Started` raises the
    /// attempt's epoch; a step to `Succeeded` renews the document's bookmarks by those of the tasks.
    fn happened(
        &self,
        run: &RunId,
        event: RunEvent,
        cause: Option<&Fault>,
    ) -> impl Answering<RunRecord>;
    /// Writes down the plans of all sources, in the job's order.
    fn save_plans(&self, run: &RunId, plans: &[Plan]) -> impl Answering<()>;
    fn save_prepared(&self, run: &RunId, prepared: &Prepared) -> impl Answering<()>;
    /// Adds splits of a source as the next tasks, together with where its next call goes on (`next`,
    /// `last`).
    fn add_splits(&self, run: &RunId, source: SourceIndex, splits: &Splits) -> impl Answering<()>;
    /// All tasks of the run, by index.
    fn tasks(&self, run: &RunId) -> impl Answering<Vec<TaskRecord>>;
    /// Raises the task's epoch and answers it with the stored mark.
    fn claim(&self, run: &RunId, task: TaskIndex) -> impl Answering<TaskRecord>;
    /// Drops dirty entries of marks behind `sequence`: what they tell will be told again.
    fn drop_dirty_behind(
        &self,
        run: &RunId,
        task: TaskIndex,
        epoch: Epoch,
        sequence: u64,
    ) -> impl Answering<()>;
    /// Adds dirty entries that belong to the mark with `sequence`, before the destination gets it.
    fn add_dirty(
        &self,
        run: &RunId,
        task: TaskIndex,
        epoch: Epoch,
        sequence: u64,
        dirty: &[Dirty],
    ) -> impl Answering<()>;
    /// Keeps what the task has written up to the mark with `sequence`, before the destination gets it;
    /// what was kept for that sequence before is replaced.
    fn save_sums(
        &self,
        run: &RunId,
        task: TaskIndex,
        epoch: Epoch,
        sequence: u64,
        sums: &Sums,
    ) -> impl Answering<()>;
    /// What was kept for the mark with `sequence`.
    fn task_sums(
        &self,
        run: &RunId,
        task: TaskIndex,
        sequence: u64,
    ) -> impl Answering<Option<Sums>>;
    /// The sums of all tasks that are done.
    fn run_sums(&self, run: &RunId) -> impl Answering<Sums>;
    fn save_verified(&self, run: &RunId, verified: &Verified) -> impl Answering<()>;
    /// The destination holds `mark`. Sums of marks before it are forgotten.
    fn checkpoint(
        &self,
        run: &RunId,
        task: TaskIndex,
        epoch: Epoch,
        mark: &Mark,
    ) -> impl Answering<()>;
    /// The task is at its end, with the writer's receipt and the reader's bookmark. Where sums are kept
    /// for its mark, they become part of the run's.
    fn complete(
        &self,
        run: &RunId,
        task: TaskIndex,
        epoch: Epoch,
        done: &Done,
    ) -> impl Answering<()>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRun {
    pub id: RunId,
    /// Identifies the document before substitution: the absolute path, or a digest of standard input.
    pub document: String,
    /// The text before substitution, secrets blanked; `--resume` compares it.
    pub text: String,
    /// The parameters and clock of the first attempt, as JSON of the front end's own.
    pub parameters: String,
    pub created_ms: i64,
    /// Whether what the run writes is read back and compared, and the fields that the user named as
    /// the key; with none, the key is that of the destination or the source.
    pub verify: Option<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct RunRecord {
    pub new: NewRun,
    pub state: RunState,
    /// The epoch of the newest attempt; 0 before the first.
    pub epoch: Epoch,
    /// One for each source, in the job's order; none before they are planned.
    pub sources: Vec<SourceRecord>,
    pub prepared: Option<Prepared>,
    /// The fault that stopped or broke the run last.
    pub fault: Option<Fault>,
    /// What came of reading back what it wrote.
    pub verified: Option<Verified>,
}

/// What a run has of one of its sources.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceRecord {
    pub plan: Plan,
    /// Where `splits` goes on: the plan's start before the first call.
    pub next: Vec<u8>,
    /// The last splits have come.
    pub last: bool,
}

impl SourceRecord {
    /// A source of which no splits have come.
    pub fn new(plan: Plan) -> Self {
        Self { next: plan.start.clone(), last: false, plan }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct TaskRecord {
    pub index: TaskIndex,
    pub source: SourceIndex,
    pub split: Split,
    pub epoch: Epoch,
    pub mark: Option<Mark>,
    pub done: Option<Done>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Over all epochs of the task.
    pub counts: Counts,
    pub receipt: Vec<u8>,
    pub bookmark: Option<Position>,
}

/// At which step a record became dirty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirtyStage {
    /// The reader could not decode it.
    Read,
    /// A transformer could not handle a value.
    Transform,
    /// A value could not be cast to the destination's type.
    Cast,
    /// The destination refused it.
    Write,
    /// Loaded, but the destination cut or nulled a value.
    Loaded,
}

impl DirtyStage {
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Transform => "transform",
            Self::Cast => "cast",
            Self::Write => "write",
            Self::Loaded => "loaded",
        }
    }
}

/// A record that was not written as it is, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dirty {
    pub stage: DirtyStage,
    pub code: String,
    pub message: String,
    pub dataset: String,
    pub column: Option<String>,
    /// Digest of the plug-in that found it dirty.
    pub plugin: String,
    /// Where it stands in the source, where the reader said so.
    pub origin: Option<String>,
    /// Which record of its task it is, in the order in which they were counted, from 0 on; `None` for one
    /// that a step between Reader and Writer made.
    pub position: Option<u64>,
    pub record: DirtyRecord,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirtyRecord {
    /// As the source sent it, undecoded.
    Raw(Vec<u8>),
    /// Names and values as text; `None` is NULL.
    Values(Vec<(String, Option<String>)>),
}
