//! Prints rows, or counts and drops them.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{DataType, FieldRef, Schema};
use sdk::{
    Answer, Batch, Closed, CommitMode, Configuration, Dataset, Fault, Mark, Outcome, Prepared,
    Result, Run, Sink, Task, Wishes, Writer, log,
};

use crate::checksum::{self, Checksum};
use crate::parameters::{Encoding, WriterParameters};

/// A call of the host must not take longer than this.
const SLEEP_SECONDS_MAX: u64 = 30;

/// What becomes of rows.
#[derive(Clone)]
pub(crate) struct Output {
    print: bool,
    checksum: bool,
    /// Stands between what is printed.
    delimiter: String,
    /// After so many rows of a task the writer sleeps once, for so long.
    sleep: Option<(u64, Duration)>,
}

/// Reads and checks the parameters.
pub(crate) fn output(configuration: &Configuration) -> Result<Output> {
    let parameters: WriterParameters = sdk::parameters::parameter(configuration)?;
    let file = [("path", &parameters.path), ("fileName", &parameters.file_name)];
    if let Some((key, _)) = file.iter().find(|(_, value)| value.is_some()) {
        let fault = Fault::user("stream.file", format!("the stream writer takes no \"{key}\""));
        return Err(fault
            .at(format!("/parameter/{key}"))
            .hint("write files with \"stepType\": \"file\""));
    }
    let seconds = parameters.sleep_time.0;
    if seconds > SLEEP_SECONDS_MAX {
        let message = format!("\"sleepTime\" is {seconds}, more than {SLEEP_SECONDS_MAX} seconds");
        return Err(Fault::user("stream.sleep", message).at("/parameter/sleepTime"));
    }
    let rows = parameters.record_num_before_sleep.0;
    let sleeps = rows > 0 && seconds > 0;
    // The only encoding so far; the schema and the reader of the document refuse others.
    let Encoding::Utf8 = parameters.encoding;
    Ok(Output {
        print: parameters.print,
        checksum: parameters.checksum,
        delimiter: parameters.field_delimiter,
        sleep: sleeps.then(|| (rows, Duration::from_secs(seconds))),
    })
}

/// Decimals that may be NaN come as texts: as numbers they would show the value that stands for it.
/// Instants come in UTC by its offset, since zones are not known by name here.
pub(crate) fn printable(dataset: Dataset) -> Dataset {
    const EXTREMES: &str = "airlock:extremes";
    let shown = |field: &FieldRef| {
        let mut field = field.as_ref().clone();
        if field.data_type().is_decimal() && field.metadata_mut().remove(EXTREMES).is_some() {
            field.set_data_type(DataType::Utf8);
        }
        let kind = in_utc(field.data_type());
        field.with_data_type(kind)
    };
    let fields: Vec<_> = dataset.schema.fields().iter().map(shown).collect();
    Dataset { schema: Arc::new(Schema::new(fields)), ..dataset }
}

fn in_utc(kind: &DataType) -> DataType {
    match kind {
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, Some("+00:00".into())),
        DataType::List(item) => {
            let kind = in_utc(item.data_type());
            DataType::List(Arc::new(item.as_ref().clone().with_data_type(kind)))
        }
        other => other.clone(),
    }
}

pub(crate) struct StreamWriter(Output);

impl Writer for StreamWriter {
    type Sink = StreamSink;

    fn connect(configuration: &Configuration) -> Result<Self> {
        output(configuration).map(Self)
    }

    fn prepare(&mut self, _run: &Run, datasets: Vec<Dataset>) -> Result<Prepared> {
        self.preview(datasets)
    }

    fn preview(&mut self, datasets: Vec<Dataset>) -> Result<Prepared> {
        let commit_mode = CommitMode::AtLeastOnce;
        let datasets: Vec<_> = match self.0.print {
            true => datasets.into_iter().map(printable).collect(),
            false => datasets,
        };
        let fields = datasets.iter().flat_map(|dataset| dataset.schema.fields().iter());
        let mut kinds = fields.map(|field| field.data_type());
        if self.0.checksum
            && let Some(kind) = kinds.find(|kind| !checksum::takes(kind))
        {
            return Err(checksum::unsummed(kind));
        }
        Ok(Prepared { datasets, commit_mode, wishes: Wishes::default() })
    }

    fn open(&mut self, _task: Task, _datasets: Vec<Dataset>) -> Result<StreamSink> {
        Ok(StreamSink {
            output: self.0.clone(),
            batches: 0,
            rows: 0,
            checksum: Checksum::default(),
        })
    }

    fn finish(&mut self, _run: &Run, _outcome: Outcome, receipts: Vec<Vec<u8>>) -> Result<()> {
        let counts = receipts.iter().filter_map(|it| it.as_slice().try_into().ok());
        let rows: u64 = counts.map(u64::from_le_bytes).sum();
        log::debug(&format!("{rows} rows in {} tasks", receipts.len()));
        Ok(())
    }
}

/// Counts the rows of one task since it was opened.
pub(crate) struct StreamSink {
    output: Output,
    batches: u64,
    rows: u64,
    checksum: Checksum,
}

impl StreamSink {
    /// What was printed or dropped is never undone.
    fn durable(&self, mark: Mark) -> Answer {
        Answer { durable: Some(mark), taken: self.batches, ..Answer::default() }
    }
}

impl Sink for StreamSink {
    fn committed(&mut self) -> Option<Mark> {
        None
    }

    fn write(&mut self, batch: Batch) -> Result<Answer> {
        if self.output.print {
            print(&lines(&batch.rows, &self.output.delimiter)?)?;
        }
        if self.output.checksum {
            self.checksum.add(&batch.rows)?;
        }
        let before = self.rows;
        self.rows += batch.rows.num_rows() as u64;
        self.batches += 1;
        if let Some((rows, time)) = self.output.sleep
            && (before..self.rows).contains(&(rows - 1))
        {
            std::thread::sleep(time);
        }
        Ok(Answer { taken: self.batches, ..Answer::default() })
    }

    fn commit(&mut self, mark: Mark, _now: bool) -> Result<Answer> {
        Ok(self.durable(mark))
    }

    fn close(&mut self, mark: Mark) -> Result<Closed> {
        if self.output.checksum {
            print(&self.checksum.line(&self.output.delimiter))?;
        }
        Ok(Closed { answer: self.durable(mark), receipt: self.rows.to_le_bytes().to_vec() })
    }
}

fn print(text: &str) -> Result<()> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Fault::external("stream.print", error.to_string()))
}

/// Each row as a line; NULL is `null`, bytes are hexadecimal.
pub(crate) fn lines(rows: &RecordBatch, delimiter: &str) -> Result<String> {
    let broken = |error| Fault::plugin("stream.print", format!("{error}"));
    let options = FormatOptions::default()
        .with_null("null")
        .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
        .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f%:z"));
    let columns = rows.columns().iter();
    let columns = columns
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
        .collect::<Result<Vec<_>, _>>()
        .map_err(broken)?;
    let mut text = String::new();
    for row in 0..rows.num_rows() {
        for (index, column) in columns.iter().enumerate() {
            if index > 0 {
                text += delimiter;
            }
            column.value(row).write(&mut text).map_err(broken)?;
        }
        text.push('\n');
    }
    Ok(text)
}
