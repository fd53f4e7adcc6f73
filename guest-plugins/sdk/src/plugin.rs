//! The traits that a plug-in implements. Each call's duties stand in the contract (`wit/`).

use crate::{
    Answer, Batch, Budget, CheckStep, Closed, CommitMode, Configuration, Dataset, Description,
    Entry, Fault, Mark, Outcome, Position, ReadBack, Requirement, Result, Run, Split, Splits, Task,
    Transformer, Undecodable, Wishes,
};

/// A plug-in: what it is, what it needs, and what it can be in a job.
pub trait Plugin: 'static {
    type Reader: Reader;
    type Transformer: Transformer;
    type Writer: Writer;

    /// Runs without any grant; its answer depends on nothing.
    fn describe() -> Description;

    /// The places that a step needs; runs without any grant, secrets are blank.
    fn requirements(configuration: &Configuration) -> Result<Vec<Requirement>>;

    /// Connects, authenticates and looks at what the configuration names, step by step.
    fn check(configuration: &Configuration) -> Result<Vec<CheckStep>>;

    /// What lies directly under `path`, in a stable order, from behind `after`.
    fn browse(
        _configuration: &Configuration,
        _path: &[String],
        _after: Option<&str>,
        _limit: u32,
    ) -> Result<Vec<Entry>> {
        Ok(Vec::new())
    }

    /// The datasets at `paths`; with no path, those that the configuration names.
    fn discover(_configuration: &Configuration, _paths: &[Vec<String>]) -> Result<Vec<Dataset>> {
        Ok(Vec::new())
    }
}

/// One session with a source.
pub trait Reader: Sized + 'static {
    type Cursor: Cursor;

    fn connect(configuration: &Configuration) -> Result<Self>;
    fn plan(&mut self, parallelism: u32, since: &[Position]) -> Result<Plan>;
    fn splits(&mut self, at: &[u8], limit: u32) -> Result<Splits>;
    fn open(
        &mut self,
        split: Split,
        start: Option<Position>,
        datasets: Vec<Dataset>,
    ) -> Result<Self::Cursor>;
    fn tend(&mut self) -> Result<Option<u32>> {
        Ok(None)
    }
}

/// Reads one split.
pub trait Cursor: 'static {
    fn next(&mut self, budget: Budget) -> Result<Step>;
    fn acknowledge(&mut self, _position: Position) -> Result<()> {
        Ok(())
    }
}

/// What a reader will read.
pub struct Plan {
    pub datasets: Vec<Dataset>,
    /// False where the source goes on for ever.
    pub bounded: bool,
    /// What `splits` needs to begin.
    pub start: Vec<u8>,
}

/// One step of a cursor.
pub enum Step {
    Rows(Rows),
    /// The source moved on without rows for this job.
    Advanced(Position),
    /// Nothing came within the budget's wait.
    Idle,
    /// The split is at its end, with the bookmark for the next run of the job.
    Ended(Option<Position>),
}

#[derive(Default)]
pub struct Rows {
    pub batches: Vec<Batch>,
    pub undecodable: Vec<Undecodable>,
    /// How many of the rows have NULL in place of a value that did not fit, as the job asked.
    pub nulled: u64,
    /// Set where a restart may resume just after these rows.
    pub position: Option<Position>,
    /// The source's clock at the last row, ms since 1970.
    pub source_time_ms: Option<i64>,
    /// Rows or messages that still wait at the source.
    pub backlog: Option<u64>,
}

/// One session with a destination.
pub trait Writer: Sized + 'static {
    type Sink: Sink;

    fn connect(configuration: &Configuration) -> Result<Self>;
    fn prepare(&mut self, run: &Run, datasets: Vec<Dataset>) -> Result<Prepared>;
    fn preview(&mut self, datasets: Vec<Dataset>) -> Result<Prepared>;
    fn open(&mut self, task: Task, datasets: Vec<Dataset>) -> Result<Self::Sink>;
    fn finish(&mut self, run: &Run, outcome: Outcome, receipts: Vec<Vec<u8>>) -> Result<()>;
    /// How the plug-in's own reader reads exactly what a run wrote; without receipts, whether it can.
    fn read_back(
        &mut self,
        _run: &Run,
        _datasets: Vec<Dataset>,
        _receipts: Vec<Vec<u8>>,
    ) -> Result<ReadBack> {
        Ok(ReadBack::Impossible("this plug-in cannot read back what it writes".into()))
    }
    fn tend(&mut self) -> Result<Option<u32>> {
        Ok(None)
    }
}

/// Writes one task.
pub trait Sink: 'static {
    /// The newest mark that the destination itself holds for this task, of any epoch.
    fn committed(&mut self) -> Option<Mark>;
    fn write(&mut self, batch: Batch) -> Result<Answer>;
    fn commit(&mut self, mark: Mark, now: bool) -> Result<Answer>;
    fn close(&mut self, mark: Mark) -> Result<Closed>;
}

/// The destination's answer to the datasets that are to come.
pub struct Prepared {
    /// As the destination has them, index for index and field for field.
    pub datasets: Vec<Dataset>,
    pub commit_mode: CommitMode,
    pub wishes: Wishes,
}

/// Has no wish.
impl Default for Wishes {
    fn default() -> Self {
        Self {
            batch_rows: 0,
            batch_bytes: 0,
            commit_bytes: 0,
            commit_ms: 0,
            sort_by: Vec::new(),
            lanes: 0,
        }
    }
}

/// Nothing to remark, nothing durable yet.
impl Default for Answer {
    fn default() -> Self {
        Self { remarks: Vec::new(), undone: None, durable: None, taken: 0 }
    }
}

/// The reader of a plug-in that only writes.
pub enum NoReader {}

/// The writer of a plug-in that only reads.
pub enum NoWriter {}

impl Reader for NoReader {
    type Cursor = Self;
    fn connect(_configuration: &Configuration) -> Result<Self> {
        Err(Fault::user("plugin.no_reader", "this plug-in has no reader"))
    }
    fn plan(&mut self, _parallelism: u32, _since: &[Position]) -> Result<Plan> {
        match *self {}
    }
    fn splits(&mut self, _at: &[u8], _limit: u32) -> Result<Splits> {
        match *self {}
    }
    fn open(&mut self, _: Split, _: Option<Position>, _: Vec<Dataset>) -> Result<Self> {
        match *self {}
    }
}

impl Cursor for NoReader {
    fn next(&mut self, _budget: Budget) -> Result<Step> {
        match *self {}
    }
}

impl Writer for NoWriter {
    type Sink = Self;
    fn connect(_configuration: &Configuration) -> Result<Self> {
        Err(Fault::user("plugin.no_writer", "this plug-in has no writer"))
    }
    fn prepare(&mut self, _run: &Run, _datasets: Vec<Dataset>) -> Result<Prepared> {
        match *self {}
    }
    fn preview(&mut self, _datasets: Vec<Dataset>) -> Result<Prepared> {
        match *self {}
    }
    fn open(&mut self, _task: Task, _datasets: Vec<Dataset>) -> Result<Self> {
        match *self {}
    }
    fn finish(&mut self, _: &Run, _: Outcome, _: Vec<Vec<u8>>) -> Result<()> {
        match *self {}
    }
}

impl Sink for NoWriter {
    fn committed(&mut self) -> Option<Mark> {
        match *self {}
    }
    fn write(&mut self, _batch: Batch) -> Result<Answer> {
        match *self {}
    }
    fn commit(&mut self, _mark: Mark, _now: bool) -> Result<Answer> {
        match *self {}
    }
    fn close(&mut self, _mark: Mark) -> Result<Closed> {
        match *self {}
    }
}
