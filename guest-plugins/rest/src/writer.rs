//! The writer: batches become requests.
//!
//! A request that was answered is taken for good, and no service says which it has, so that what was sent
//! since the last mark is sent again after a break: records arrive at least once. Where a request is refused
//! for its records, the host sends it again in halves until those that are refused are found.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use database::writing;
use formats::parameters::{FileFormat, WriteParameters};
use formats::{Output, WriteFormat};
use sdk::{
    Answer, Batch, Closed, CommitMode, Configuration, Dataset, Fault, Mark, Outcome, Prepared,
    ReadBack, Remark, Result, Run, Sink, Task, Wishes, Writer,
};
use ureq::http::HeaderValue;

use crate::client::Client;
use crate::error::{REFUSED, VENDOR};
use crate::records;
use crate::settings::{Asking, BodyType, Connection, Shape, WriterParameter};

/// A body that a server takes without asking for less.
const BATCH_BYTES: u64 = 1 << 20;
/// Requests of one call where each carries one record: all must be answered while the host waits.
const SINGLES: u32 = 16;
/// What was answered is marked soon, so that little is sent twice.
const COMMIT_BYTES: u64 = 256 << 10;
const COMMIT_MS: u32 = 1_000;

/// Where a step sends records, checked.
pub(crate) struct Target {
    connection: Connection,
    parameter: WriterParameter,
    asking: Asking,
    pub(crate) shape: Shape,
}

impl Target {
    /// # Errors
    /// `connection.invalid`, `parameter.invalid`.
    pub(crate) fn of(configuration: &Configuration) -> Result<Self> {
        let connection = Connection::read(configuration)?;
        let parameter: WriterParameter = sdk::parameters::parameter(configuration)?;
        let asking: Asking = sdk::parameters::parameter(configuration)?;
        let shape = parameter.shape(&connection, &asking)?;
        Ok(Self { connection, parameter, asking, shape })
    }

    /// # Errors
    /// `connection.invalid`.
    pub(crate) fn client(&self) -> Result<Client> {
        self.connection.client()
    }

    /// The incoming table with the names that its members get.
    fn dataset(&self, datasets: Vec<Dataset>) -> Result<Dataset> {
        let dataset = writing::single(VENDOR, datasets)?;
        let Some(names) = self.parameter.names(dataset.schema.fields().len())? else {
            return Ok(dataset);
        };
        let fields = dataset.schema.fields().iter().zip(&names);
        let fields: Vec<_> =
            fields.map(|(field, name)| field.as_ref().clone().with_name(name)).collect();
        Ok(Dataset { schema: Arc::new(Schema::new(fields)), ..dataset })
    }
}

/// One session with a service.
pub struct RestWriter {
    target: Rc<Target>,
    client: Rc<RefCell<Client>>,
}

impl Writer for RestWriter {
    type Sink = RestSink;

    fn connect(configuration: &Configuration) -> Result<Self> {
        let target = Target::of(configuration)?;
        let mut client = target.client()?;
        client.retries_errors = true;
        Ok(Self { target: Rc::new(target), client: Rc::new(RefCell::new(client)) })
    }

    fn prepare(&mut self, _run: &Run, datasets: Vec<Dataset>) -> Result<Prepared> {
        let mut client = self.client.borrow_mut();
        client.deadline.allow(self.target.asking.wait());
        client.reach()?;
        drop(client);
        self.preview(datasets)
    }

    fn preview(&mut self, datasets: Vec<Dataset>) -> Result<Prepared> {
        let shape = &self.target.shape;
        let mut dataset = self.target.dataset(datasets)?;
        dataset.path = vec![shape.request.url.name()];
        Ok(Prepared {
            datasets: vec![dataset],
            commit_mode: CommitMode::AtLeastOnce,
            wishes: Wishes {
                batch_rows: if shape.is_one { SINGLES } else { shape.batch_size },
                batch_bytes: BATCH_BYTES,
                commit_bytes: COMMIT_BYTES,
                commit_ms: COMMIT_MS,
                ..Wishes::default()
            },
        })
    }

    fn open(&mut self, task: Task, datasets: Vec<Dataset>) -> Result<RestSink> {
        let dataset = self.target.dataset(datasets)?;
        let names: Vec<_> =
            dataset.schema.fields().iter().map(|field| field.name().clone()).collect();
        let json =
            WriteParameters { file_format: Some(FileFormat::Json), ..WriteParameters::default() };
        Ok(RestSink {
            target: self.target.clone(),
            client: self.client.clone(),
            format: json.format(&names)?,
            schema: dataset.schema,
            task,
            batches: 0,
        })
    }

    fn finish(&mut self, _: &Run, _: Outcome, _: Vec<Vec<u8>>) -> Result<()> {
        Ok(())
    }

    fn read_back(&mut self, _: &Run, _: Vec<Dataset>, _: Vec<Vec<u8>>) -> Result<ReadBack> {
        Ok(ReadBack::Impossible("an HTTP API does not say which records a run has sent".into()))
    }
}

/// Sends the rows of one task.
pub struct RestSink {
    target: Rc<Target>,
    client: Rc<RefCell<Client>>,
    format: WriteFormat,
    schema: SchemaRef,
    task: Task,
    batches: u64,
}

/// A row of a batch, as JSON.
type Record = (u32, Vec<u8>);

/// The lines that an encoder writes.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Output for Lines {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        Ok(())
    }
}

impl RestSink {
    /// Each row as a JSON object, and remarks on those that can be none.
    fn encode(&self, rows: &RecordBatch) -> Result<(Vec<Record>, Vec<Remark>)> {
        let lines = Lines::default();
        let rows = rows.clone().with_schema(self.schema.clone());
        let rows = rows.map_err(|error| Fault::plugin("http.batch", error.to_string()))?;
        let mut encoder = self.format.text_encoder(Box::new(lines.clone()), &self.schema)?;
        let refused = encoder.write(&rows)?;
        encoder.finish()?;
        let remarks: Vec<_> = refused
            .into_iter()
            .map(|refused| {
                self.remark(refused.row, Some(refused.column), &refused.code, refused.message)
            })
            .collect();
        let good = (0..rows.num_rows() as u32)
            .filter(|row| remarks.iter().all(|remark| remark.row != *row));
        let text = lines.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        Ok((good.zip(lines.map(<[u8]>::to_vec)).collect(), remarks))
    }

    fn remark(&self, row: u32, column: Option<u32>, code: &str, message: String) -> Remark {
        Remark { batch: self.batches, row, column, loaded: false, code: code.to_owned(), message }
    }

    /// Sends records in one request; `number` tells it from the others of its batch.
    fn send(&self, records: &[Record], number: u32) -> Result<()> {
        let shape = &self.target.shape;
        let mut request = shape.request.clone();
        request.body = Some(body(shape, records));
        if let Some(name) = &shape.key_header {
            let Task { run, index, epoch, .. } = &self.task;
            let key = format!("{run}-{index}-{epoch}-{}-{number}", self.batches);
            let key = HeaderValue::from_str(&key)
                .map_err(|error| Fault::plugin("http.key", error.to_string()))?;
            request.headers.insert(name.clone(), key);
        }
        self.client.borrow_mut().send(&request)?.whole(u64::MAX).map(drop)
    }

    /// One request for each record, so that each answer is about one.
    fn send_each(&self, records: &[Record], remarks: &mut Vec<Remark>) -> Result<()> {
        for record in records {
            match self.send(std::slice::from_ref(record), record.0) {
                Err(fault) if fault.code == REFUSED => {
                    remarks.push(self.remark(record.0, None, &fault.code, fault.message));
                }
                sent => sent?,
            }
        }
        Ok(())
    }
}

/// The body of a request for these records.
fn body(shape: &Shape, records: &[Record]) -> Vec<u8> {
    let mut body = Vec::new();
    for name in &shape.envelope {
        body.push(b'{');
        records::push_name(name, &mut body);
        body.push(b':');
    }
    let is_list = !shape.is_one && shape.body_type == BodyType::Json;
    if is_list {
        body.push(b'[');
    }
    for (at, (_, record)) in records.iter().enumerate() {
        if at > 0 && is_list {
            body.push(b',');
        }
        body.extend_from_slice(record);
        if shape.body_type == BodyType::Ndjson {
            body.push(b'\n');
        }
    }
    if is_list {
        body.push(b']');
    }
    body.extend(std::iter::repeat_n(b'}', shape.envelope.len()));
    body
}

impl Sink for RestSink {
    fn committed(&mut self) -> Option<Mark> {
        None
    }

    fn write(&mut self, batch: Batch) -> Result<Answer> {
        writing::refuse_changes(VENDOR, &batch)?;
        self.client.borrow().deadline.allow(self.target.asking.wait());
        let (records, mut remarks) = self.encode(&batch.rows)?;
        let mut undone = None;
        if self.target.shape.is_one {
            self.send_each(&records, &mut remarks)?;
        } else if !records.is_empty() {
            match (self.send(&records, 0), records.as_slice()) {
                (Err(fault), [(row, _)]) if fault.code == REFUSED => {
                    remarks.push(self.remark(*row, None, &fault.code, fault.message));
                }
                (Err(fault), _) if fault.code == REFUSED => undone = Some(fault),
                (sent, _) => sent?,
            }
        }
        // Of a batch that was refused nothing was taken, and all before it was.
        let taken = if undone.is_some() { self.batches } else { self.batches + 1 };
        self.batches += 1;
        Ok(Answer { remarks, undone, taken, ..Answer::default() })
    }

    fn commit(&mut self, mark: Mark, _now: bool) -> Result<Answer> {
        Ok(Answer { durable: Some(mark), taken: self.batches, ..Answer::default() })
    }

    fn close(&mut self, mark: Mark) -> Result<Closed> {
        Ok(Closed { answer: self.commit(mark, true)?, receipt: Vec::new() })
    }
}
