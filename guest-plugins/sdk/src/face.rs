//! The contract's exports on one side, the traits of this crate on the other.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;

use arrow_schema::SchemaRef;

use crate::bindings::airlock::connector::types as wire;
use crate::bindings::exports::airlock::connector::{connector, reader, sql, transformer, writer};
use crate::{
    Answer, Batch, Budget, CheckStep, Closed, Configuration, Cursor, Dataset, Description, Entry,
    Fault, Mark, Outcome, Plan, Plugin, Position, Prepared, ReadBack, Reader, Requirement, Result,
    Rows, Run, Sink, Split, Splits, Step, Task, Transformed, Transformer, Writer,
};

/// All that a component exports for the plug-in `P`.
pub struct Face<P>(PhantomData<P>);

fn from_wire(datasets: Vec<wire::Dataset>) -> Result<Vec<Dataset>> {
    datasets.into_iter().map(Dataset::from_wire).collect()
}

fn to_wire(datasets: &[Dataset]) -> Result<Vec<wire::Dataset>> {
    datasets.iter().map(Dataset::to_wire).collect()
}

impl<P: Plugin> connector::Guest for Face<P> {
    fn describe() -> Description {
        P::describe()
    }

    fn requirements(configuration: Configuration) -> Result<Vec<Requirement>> {
        P::requirements(&configuration)
    }

    fn check(configuration: Configuration) -> Result<Vec<CheckStep>> {
        P::check(&configuration)
    }

    fn browse(
        configuration: Configuration,
        path: Vec<String>,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<Entry>> {
        P::browse(&configuration, &path, after.as_deref(), limit)
    }

    fn discover(
        configuration: Configuration,
        paths: Vec<Vec<String>>,
    ) -> Result<Vec<wire::Dataset>> {
        to_wire(&P::discover(&configuration, &paths)?)
    }
}

/// A reader behind the contract's session resource.
pub struct ReaderFace<R>(RefCell<R>);

/// A cursor behind the contract's cursor resource.
pub struct CursorFace<C>(RefCell<C>);

impl<P: Plugin> reader::Guest for Face<P> {
    type Session = ReaderFace<P::Reader>;
    type Cursor = CursorFace<<P::Reader as Reader>::Cursor>;
}

impl<R: Reader> reader::GuestSession for ReaderFace<R> {
    fn connect(configuration: Configuration) -> Result<reader::Session> {
        Ok(reader::Session::new(Self(RefCell::new(R::connect(&configuration)?))))
    }

    fn make_plan(&self, parallelism: u32, since: Vec<Position>) -> Result<reader::Plan> {
        let Plan { datasets, bounded, start } = self.0.borrow_mut().plan(parallelism, &since)?;
        Ok(reader::Plan { datasets: to_wire(&datasets)?, bounded, start })
    }

    fn next_splits(&self, at: Vec<u8>, limit: u32) -> Result<Splits> {
        self.0.borrow_mut().splits(&at, limit)
    }

    fn open(
        &self,
        split: Split,
        start: Option<Position>,
        datasets: Vec<wire::Dataset>,
    ) -> Result<reader::Cursor> {
        let cursor = self.0.borrow_mut().open(split, start, from_wire(datasets)?)?;
        Ok(reader::Cursor::new(CursorFace(RefCell::new(cursor))))
    }

    fn tend(&self) -> Result<Option<u32>> {
        self.0.borrow_mut().tend()
    }
}

impl<C: Cursor> reader::GuestCursor for CursorFace<C> {
    fn next(&self, budget: Budget) -> Result<reader::Step> {
        Ok(match self.0.borrow_mut().next(budget)? {
            Step::Rows(rows) => reader::Step::Rows(rows_to_wire(rows)?),
            Step::Advanced(position) => {
                reader::Step::Advanced(reader::Advanced { position, source_time_ms: None })
            }
            Step::Idle => reader::Step::Idle,
            Step::Ended(bookmark) => reader::Step::Ended(reader::Ended { bookmark }),
        })
    }

    fn acknowledge(&self, position: Position) -> Result<()> {
        self.0.borrow_mut().acknowledge(position)
    }
}

fn rows_to_wire(rows: Rows) -> Result<reader::Rows> {
    Ok(reader::Rows {
        batches: rows.batches.into_iter().map(Batch::into_wire).collect::<Result<_>>()?,
        undecodable: rows.undecodable,
        nulled: rows.nulled,
        position: rows.position,
        source_time_ms: rows.source_time_ms,
        backlog: rows.backlog,
    })
}

/// A transformer behind the contract's session resource, and the schemas of what comes in.
pub struct TransformerFace<T>(RefCell<T>, RefCell<Vec<SchemaRef>>);

impl<P: Plugin> transformer::Guest for Face<P> {
    type Session = TransformerFace<P::Transformer>;
}

impl<T: Transformer> transformer::GuestSession for TransformerFace<T> {
    fn connect(configuration: Configuration) -> Result<transformer::Session> {
        let session = RefCell::new(T::connect(&configuration)?);
        Ok(transformer::Session::new(Self(session, RefCell::default())))
    }

    fn open(&self, datasets: Vec<wire::Dataset>) -> Result<Vec<wire::Dataset>> {
        let datasets = from_wire(datasets)?;
        self.1.replace(datasets.iter().map(|dataset| dataset.schema.clone()).collect());
        to_wire(&self.0.borrow_mut().open(datasets)?)
    }

    fn apply(&self, batch: wire::Batch) -> Result<transformer::Transformed> {
        let batch = batch_from_wire(batch, &self.1.borrow())?;
        let Transformed { rows, origins, refused, taken } = self.0.borrow_mut().apply(&batch)?;
        Ok(transformer::Transformed { rows: rows.into_wire()?, origins, refused, taken })
    }
}

fn batch_from_wire(batch: wire::Batch, schemas: &[SchemaRef]) -> Result<Batch> {
    let schema = schemas.get(batch.dataset as usize).ok_or_else(|| {
        Fault::plugin("sdk.batch", format!("there is no dataset {}", batch.dataset))
    })?;
    Batch::from_wire(batch, schema)
}

/// A writer behind the contract's session resource.
pub struct WriterFace<W>(RefCell<W>);

/// A sink behind the contract's sink resource, and the schemas that its batches follow.
pub struct SinkFace<S>(RefCell<S>, Rc<Vec<SchemaRef>>);

impl<P: Plugin> writer::Guest for Face<P> {
    type Session = WriterFace<P::Writer>;
    type Sink = SinkFace<<P::Writer as Writer>::Sink>;
}

impl<W: Writer> writer::GuestSession for WriterFace<W> {
    fn connect(configuration: Configuration) -> Result<writer::Session> {
        Ok(writer::Session::new(Self(RefCell::new(W::connect(&configuration)?))))
    }

    fn prepare(&self, run: Run, datasets: Vec<wire::Dataset>) -> Result<writer::Prepared> {
        prepared(self.0.borrow_mut().prepare(&run, from_wire(datasets)?)?)
    }

    fn preview(&self, datasets: Vec<wire::Dataset>) -> Result<writer::Prepared> {
        prepared(self.0.borrow_mut().preview(from_wire(datasets)?)?)
    }

    fn change(&self, _run: Run, change: writer::DatasetChange) -> Result<Option<wire::Dataset>> {
        Err(Fault::user(
            "writer.change_unsupported",
            format!("this writer does not follow changes of a table ({:?})", change.kind),
        ))
    }

    fn open(&self, task: Task, datasets: Vec<wire::Dataset>) -> Result<writer::Sink> {
        let datasets = from_wire(datasets)?;
        let schemas = datasets.iter().map(|dataset| dataset.schema.clone()).collect();
        let sink = self.0.borrow_mut().open(task, datasets)?;
        Ok(writer::Sink::new(SinkFace(RefCell::new(sink), Rc::new(schemas))))
    }

    fn finish(&self, run: Run, outcome: Outcome, receipts: Vec<Vec<u8>>) -> Result<()> {
        self.0.borrow_mut().finish(&run, outcome, receipts)
    }

    fn read_back(
        &self,
        run: Run,
        datasets: Vec<wire::Dataset>,
        receipts: Vec<Vec<u8>>,
    ) -> Result<ReadBack> {
        self.0.borrow_mut().read_back(&run, from_wire(datasets)?, receipts)
    }

    fn tend(&self) -> Result<Option<u32>> {
        self.0.borrow_mut().tend()
    }
}

fn prepared(prepared: Prepared) -> Result<writer::Prepared> {
    Ok(writer::Prepared {
        datasets: to_wire(&prepared.datasets)?,
        commit_mode: prepared.commit_mode,
        wishes: prepared.wishes,
    })
}

impl<S: Sink> writer::GuestSink for SinkFace<S> {
    fn committed(&self) -> Option<Mark> {
        self.0.borrow_mut().committed()
    }

    fn write(&self, batch: wire::Batch) -> Result<Answer> {
        self.0.borrow_mut().write(batch_from_wire(batch, &self.1)?)
    }

    fn adopt(&self, _dataset: u32, _to: wire::Dataset) -> Result<()> {
        Err(Fault::user(
            "writer.change_unsupported",
            "this writer does not follow changes of a table",
        ))
    }

    fn commit(&self, mark: Mark, now: bool) -> Result<Answer> {
        self.0.borrow_mut().commit(mark, now)
    }

    fn close(&self, mark: Mark) -> Result<Closed> {
        self.0.borrow_mut().close(mark)
    }
}

/// No plug-in runs statements yet: the interface is there, and says so.
pub enum NoSql {}

impl<P: Plugin> sql::Guest for Face<P> {
    type Session = NoSql;
}

impl sql::GuestSession for NoSql {
    fn connect(_configuration: Configuration) -> Result<sql::Session> {
        Err(Fault::user("plugin.no_sql", "this plug-in runs no statements"))
    }
    fn submit(&self, _script: String) -> Result<()> {
        match *self {}
    }
    fn next(&self, _rows: u32, _bytes: u64, _wait_ms: u32) -> Result<sql::Event> {
        match *self {}
    }
    fn cancel(&self) -> Result<()> {
        match *self {}
    }
}
