//! A plug-in as a writer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use domain::port::{Answer, Attempt, Closed, Destination, Outcome, Prepared, ReadBack, Writer};
use domain::{Batch, Configuration, Dataset, Epoch, Fault, Mark, Result, Side, TaskIndex};
use wasmtime::component::{Func, ResourceAny};

use crate::batch::{self, Outgoing};
use crate::bindings::airlock::connector::types;
use crate::bindings::exports::airlock::connector::{reader, writer};
use crate::call::Call;
use crate::component::WriterFace;
use crate::convert;
use crate::instance::{Factory, Instance, who};
use crate::reach::Reach;
use crate::secrets::Secrets;
use crate::source::GuestSource;

/// A writer plug-in with its step's configuration and grants.
pub struct GuestDestination {
    step: Arc<WriterStep>,
}

/// What its sessions are made of.
struct WriterStep {
    factory: Arc<Factory>,
    face: Option<WriterFace>,
    /// What reads back what was written.
    reader: Option<reader::GuestIndices>,
    configuration: Configuration,
    reach: Reach,
}

/// One session of a writer, in an instance of its own.
pub struct GuestWriter {
    step: Arc<WriterStep>,
    instance: Instance,
    face: writer::Guest,
    write: Func,
    session: ResourceAny,
    sink: Option<ResourceAny>,
    written: Written,
}

/// The batches that the open sink was given; its remarks are held against them.
#[derive(Default)]
struct Written {
    count: u64,
    /// Columns of the sink's datasets, the widest.
    columns: usize,
    /// Rows of the newest batches.
    rows: VecDeque<u32>,
}

/// Batches whose number of rows is remembered; remarks about older ones are taken as they are.
const REMEMBERED_MAX: usize = 4096;

impl Written {
    fn add(&mut self, rows: u32) {
        self.count += 1;
        self.rows.push_back(rows);
        if self.rows.len() > REMEMBERED_MAX {
            self.rows.pop_front();
        }
    }

    /// Whether there is such a row and column.
    fn has(&self, batch: u64, row: u32, column: Option<u32>) -> bool {
        let oldest = self.count - self.rows.len() as u64;
        let known = batch.checked_sub(oldest).and_then(|index| self.rows.get(index as usize));
        let column_is_there = column.is_none_or(|column| (column as usize) < self.columns);
        batch < self.count && known.is_none_or(|rows| row < *rows) && column_is_there
    }
}

impl GuestDestination {
    pub(crate) fn new(
        factory: Arc<Factory>,
        face: Option<WriterFace>,
        reader: Option<reader::GuestIndices>,
        configuration: Configuration,
        reach: Reach,
    ) -> Self {
        Self { step: Arc::new(WriterStep { factory, face, reader, configuration, reach }) }
    }
}

impl WriterStep {
    async fn connect(self: &Arc<Self>) -> Result<GuestWriter> {
        let known = self.face.as_ref().ok_or_else(|| {
            Fault::user("plugin.no_writer", format!("{} cannot write", who(&self.factory.title)))
        })?;
        let secrets = Secrets::of(&self.configuration);
        let mut instance =
            Instance::start(&self.factory, Some(Side::Writer), &self.reach, secrets).await?;
        let (mut live, turn) = instance.enter(Call::Connect)?;
        let loaded = known.indices.load(&mut live.store, &live.instance).and_then(|face| {
            let write = live.instance.get_func(&mut live.store, known.write);
            write.map(|write| (face, write)).ok_or_else(|| wasmtime::format_err!("no \"write\""))
        });
        let (face, write) = instance.leave(live, turn, Some(loaded))?;
        let configuration = convert::configuration(&self.configuration);
        let (mut live, turn) = instance.enter(Call::Connect)?;
        let outcome = turn.wait(face.session().call_connect(&mut live.store, &configuration)).await;
        let session = instance.answer(live, turn, outcome)?;
        let (step, written) = (Arc::clone(self), Written::default());
        Ok(GuestWriter { step, instance, face, write, session, sink: None, written })
    }
}

impl Destination for GuestDestination {
    type Session = GuestWriter;
    type Back = GuestSource;

    async fn connect(&self) -> Result<GuestWriter> {
        self.step.connect().await
    }

    /// It reaches what the writer reaches, to read.
    fn back(&self, parameter: &str) -> GuestSource {
        let configuration = Configuration {
            side: Side::Reader,
            parameter: parameter.to_owned(),
            ..self.step.configuration.clone()
        };
        let (factory, reach) = (Arc::clone(&self.step.factory), self.step.reach.to_read());
        GuestSource::new(factory, self.step.reader.clone(), configuration, reach)
    }
}

fn run(attempt: &Attempt) -> writer::Run {
    let Attempt { run, epoch, bounded, verify } = attempt;
    writer::Run { id: run.0.clone(), epoch: *epoch, bounded: *bounded, verify: *verify }
}

impl Writer for GuestWriter {
    async fn prepare(&mut self, attempt: &Attempt, datasets: &[Dataset]) -> Result<Prepared> {
        if self.step.reach.make_folders()? {
            // This session was shown an empty folder in their place.
            *self = self.step.connect().await?;
        }
        let (run, wanted) = (run(attempt), convert::datasets_out(datasets)?);
        let (mut live, turn) = self.instance.enter(Call::Prepare)?;
        let outcome = turn
            .wait(self.face.session().call_prepare(&mut live.store, self.session, &run, &wanted))
            .await;
        let prepared = self.instance.answer(live, turn, outcome)?;
        self.prepared(Call::Prepare, prepared, datasets)
    }

    async fn preview(&mut self, datasets: &[Dataset]) -> Result<Prepared> {
        let wanted = convert::datasets_out(datasets)?;
        let (mut live, turn) = self.instance.enter(Call::Preview)?;
        let outcome = turn
            .wait(self.face.session().call_preview(&mut live.store, self.session, &wanted))
            .await;
        let prepared = self.instance.answer(live, turn, outcome)?;
        self.prepared(Call::Preview, prepared, datasets)
    }

    async fn open(
        &mut self,
        attempt: &Attempt,
        task: TaskIndex,
        epoch: Epoch,
        datasets: &[Dataset],
    ) -> Result<Option<Mark>> {
        if let Some(sink) = self.sink.take() {
            self.instance.drop_resource(sink).await?;
        }
        for dataset in datasets {
            batch::check_dataset(dataset)?;
        }
        let wanted = convert::datasets_out(datasets)?;
        let (run, verify) = (attempt.run.0.clone(), attempt.verify);
        let task = writer::Task { run, index: task, epoch, verify };
        let (mut live, turn) = self.instance.enter(Call::Open)?;
        let outcome = turn
            .wait(self.face.session().call_open(&mut live.store, self.session, &task, &wanted))
            .await;
        let sink = self.instance.answer(live, turn, outcome)?;
        self.sink = Some(sink);
        let columns = datasets.iter().map(|dataset| dataset.schema.fields().len()).max();
        self.written = Written { columns: columns.unwrap_or(0), ..Written::default() };
        let (mut live, turn) = self.instance.enter(Call::Committed)?;
        let outcome = turn.wait(self.face.sink().call_committed(&mut live.store, sink)).await;
        let committed = self.instance.leave(live, turn, outcome)?;
        let mark = committed.map(|bytes| Mark::decode(&bytes)).transpose();
        mark.map_err(|fault| self.instance.broke(Call::Committed, fault))
    }

    async fn write(&mut self, batch: &Batch) -> Result<Answer> {
        let sink = self.open_sink()?;
        let buffers = batch::encode(&batch.rows)?;
        let outgoing = Outgoing::new(batch, &buffers)?;
        let rows = outgoing.rows();
        let (mut live, turn) = self.instance.enter(Call::Write)?;
        let (write, store) = (self.write, &mut live.store);
        let outcome = turn
            .wait(async move {
                let write = write.typed::<
                    (ResourceAny, Outgoing<'_>),
                    (std::result::Result<writer::Answer, types::Fault>,),
                >(&*store)?;
                let (answer,) = write.call_async(store, (sink, outgoing)).await?;
                Ok(answer)
            })
            .await;
        let answer = self.instance.answer(live, turn, outcome)?;
        self.written.add(rows);
        self.checked(Call::Write, answer)
    }

    async fn commit(&mut self, mark: &Mark, now: bool) -> Result<Answer> {
        let (sink, mark) = (self.open_sink()?, mark.encode());
        let (mut live, turn) = self.instance.enter(Call::Commit)?;
        let outcome =
            turn.wait(self.face.sink().call_commit(&mut live.store, sink, &mark, now)).await;
        let answer = self.instance.answer(live, turn, outcome)?;
        self.checked(Call::Commit, answer)
    }

    async fn close(&mut self, mark: &Mark) -> Result<Closed> {
        let (sink, mark) = (self.open_sink()?, mark.encode());
        let (mut live, turn) = self.instance.enter(Call::Close)?;
        let outcome = turn.wait(self.face.sink().call_close(&mut live.store, sink, &mark)).await;
        let closed = self.instance.answer(live, turn, outcome)?;
        if closed.receipt.len() as u64 > self.instance.limits().position_bytes {
            return Err(self.instance.passed(Call::Close, "position"));
        }
        let answer = self.checked(Call::Close, closed.answer)?;
        // Nothing is asked of a sink whose end is durable, so its destructor is held to its limits here.
        let ended = answer.durable.as_ref().is_some_and(|mark| mark.end);
        if let Some(sink) = self.sink.take_if(|_| ended) {
            self.instance.drop_resource(sink).await?;
        }
        Ok(Closed { answer, receipt: closed.receipt })
    }

    async fn finish(
        &mut self,
        attempt: &Attempt,
        outcome: Outcome,
        receipts: &[Vec<u8>],
    ) -> Result<()> {
        let (run, how) = (run(attempt), convert::outcome(outcome));
        let (mut live, turn) = self.instance.enter(Call::Finish)?;
        let face = self.face.session();
        let outcome =
            turn.wait(face.call_finish(&mut live.store, self.session, &run, how, receipts)).await;
        self.instance.answer(live, turn, outcome)
    }

    async fn read_back(
        &mut self,
        attempt: &Attempt,
        datasets: &[Dataset],
        receipts: &[Vec<u8>],
    ) -> Result<ReadBack> {
        let call = Call::ReadBack;
        let (run, wanted) = (run(attempt), convert::datasets_out(datasets)?);
        let (mut live, turn) = self.instance.enter(call)?;
        let face = self.face.session();
        let outcome = turn
            .wait(face.call_read_back(&mut live.store, self.session, &run, &wanted, receipts))
            .await;
        let answer = self.instance.answer(live, turn, outcome)?;
        let fields = datasets.iter().map(|dataset| dataset.schema.fields().len()).sum();
        convert::read_back(answer, fields).map_err(|what| self.instance.lie(call, "forms", what))
    }

    async fn tend(&mut self) -> Result<Option<Duration>> {
        let (mut live, turn) = self.instance.enter(Call::Tend)?;
        let outcome = turn.wait(self.face.session().call_tend(&mut live.store, self.session)).await;
        let again = self.instance.answer(live, turn, outcome)?;
        Ok(again.map(|ms| Duration::from_millis(ms.into())))
    }
}

impl GuestWriter {
    fn open_sink(&self) -> Result<ResourceAny> {
        self.sink.ok_or_else(|| {
            Fault::internal("sandbox.no_sink", "a sink was used before it was opened")
        })
    }

    /// An answer about batches that were written, and marks that were given.
    fn checked(&mut self, call: Call, answer: writer::Answer) -> Result<Answer> {
        let written = self.written.count;
        if answer.taken > written {
            let what = format!("{} batches are taken, of {written} written", answer.taken);
            return Err(self.instance.lie(call, "taken", what));
        }
        let unknown = answer
            .remarks
            .iter()
            .find(|remark| !self.written.has(remark.batch, remark.row, remark.column));
        if let Some(remark) = unknown {
            let what = format!("a remark about row {} of batch {}", remark.row, remark.batch);
            return Err(self.instance.lie(
                call,
                "remark",
                format!("{what}, which was not written"),
            ));
        }
        let answer = convert::answer(answer, self.instance.secrets());
        answer.map_err(|fault| self.instance.broke(call, fault))
    }

    /// The destination's datasets stand index for index and field for field beside the asked ones.
    fn prepared(
        &mut self,
        call: Call,
        prepared: writer::Prepared,
        asked: &[Dataset],
    ) -> Result<Prepared> {
        let datasets = convert::datasets_in(prepared.datasets);
        let datasets = datasets.map_err(|fault| self.instance.broke(call, fault))?;
        let fields = |dataset: &Dataset| dataset.schema.fields().len();
        let same_shape = datasets.len() == asked.len()
            && datasets.iter().zip(asked).all(|(one, other)| fields(one) == fields(other));
        if !same_shape {
            let what =
                "its datasets or their fields are not as many as those that it was asked for";
            return Err(self.instance.lie(call, "datasets", what));
        }
        Ok(Prepared {
            datasets,
            commit_mode: convert::commit_mode(prepared.commit_mode),
            wishes: convert::wishes(prepared.wishes),
        })
    }
}

impl Drop for GuestWriter {
    fn drop(&mut self) {
        self.instance.retire(self.sink.take().into_iter().chain([self.session]).collect());
    }
}
