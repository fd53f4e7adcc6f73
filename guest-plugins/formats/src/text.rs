//! Reads the records of CSV and JSON lines files as batches.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
use sdk::{Budget, Fault, Result, Undecodable};
use serde::{Deserialize, Serialize};

use crate::cells::{Cells, Column, Misfits};
use crate::columns::{self, ReadFrom, Reading};
use crate::csv::{self, Scan};
use crate::json;
use crate::read::Chunk;
use crate::value::Misfit;
use crate::window::{BLOCK_BYTES, Window};

/// A batch of this size keeps the costs of a call small and the batch in the cache.
const BATCH_BYTES: usize = 384 << 10;

#[allow(
    clippy::large_enum_variant,
    reason = "one stands in each cursor, and it is called for every record"
)]
pub(crate) enum Tokenizer {
    Csv(csv::Tokenizer),
    Json(json::Tokenizer),
}

impl Tokenizer {
    pub(crate) fn record(
        &mut self,
        window: &[u8],
        at: usize,
        ended: bool,
        cells: &mut Cells,
    ) -> Scan {
        match self {
            Self::Csv(csv) => csv.record(window, at, ended, cells),
            Self::Json(json) => json.record(window, at, ended, cells),
        }
    }
}

/// Where a reader stands in a text file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TextPosition {
    /// Bytes from the beginning where the file is not packed, else records.
    pub(crate) at: u64,
    /// Counted from 1, where it is known.
    pub(crate) line: Option<u64>,
}

impl TextPosition {
    /// # Errors
    /// `format.position`.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|_| {
            let message = "the position was not made by this version of the plug-in";
            Fault::plugin("format.position", message)
        })
    }
}

/// A document has chosen a format that its plug-in does not have.
pub(crate) fn not_text() -> Fault {
    Fault::user("format.not_text", "of the formats this plug-in has those of text alone")
        .hint("set \"fileFormat\" to csv, text or jsonl")
}

/// Reads one share of a text file.
pub struct TextReader {
    pub(crate) window: Window,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) readings: Vec<Reading>,
    pub(crate) schema: SchemaRef,
    pub(crate) cells: Cells,
    pub(crate) empty_is_null: bool,
    pub(crate) label: String,
    /// Of the next record, counted from 1, where it is known.
    pub(crate) line: Option<u64>,
    /// Records before the next one, where the file is packed.
    pub(crate) records: Option<u64>,
}

impl TextReader {
    /// As [`crate::FileReader::next`].
    pub fn next(&mut self, budget: Budget) -> Result<Option<Chunk>> {
        loop {
            self.window.fill(BLOCK_BYTES)?;
            let passed = self.tokenize(budget);
            if self.cells.rows() > 0 {
                return self.chunk(passed).map(Some);
            }
            if passed > 0 {
                self.window.consume(passed);
            } else if self.window.ended() {
                return Ok(None);
            } else {
                self.window.grow()?;
            }
        }
    }

    /// Passes over `count` records, as a resume of a packed file must.
    pub(crate) fn skip(&mut self, count: u64) -> Result<()> {
        let mut left = count;
        while left > 0 {
            self.window.fill(BLOCK_BYTES)?;
            let rows = u32::try_from(left).unwrap_or(u32::MAX);
            let passed = self.tokenize(Budget { rows, bytes: u64::MAX, wait_ms: 0 });
            if passed == 0 && self.window.ended() {
                let message = format!("\"{}\" has fewer records than before", self.label);
                return Err(Fault::data("file.changed", message));
            }
            if passed == 0 {
                self.window.grow()?;
            }
            self.window.consume(passed);
            left -= self.cells.rows() as u64;
        }
        Ok(())
    }

    /// Fills the cells with records of the window, within the budget, and answers how many bytes they
    /// take.
    fn tokenize(&mut self, budget: Budget) -> usize {
        self.cells.clear();
        let rows_max = budget.rows.max(1) as usize;
        let bytes_max = usize::try_from(budget.bytes).unwrap_or(usize::MAX).min(BATCH_BYTES);
        let row_bytes = self.row_bytes();
        let (mut at, mut bytes) = (0, 0);
        let window = self.window.bytes();
        while self.cells.rows() < rows_max {
            match self.tokenizer.record(window, at, self.window.ended(), &mut self.cells) {
                Scan::Record => {
                    let record = &self.cells.records[self.cells.records.len() - 1];
                    bytes += row_bytes + (record.end - record.start) as usize;
                    if bytes > bytes_max && self.cells.rows() > 1 {
                        self.cells.pop();
                        break;
                    }
                    at = record.next as usize;
                }
                Scan::Skipped { next, lines } => {
                    self.line = match self.cells.rows() {
                        0 => self.line.map(|line| line + u64::from(lines)),
                        // Behind a record the lines count as its own.
                        _ => {
                            self.cells.extend_last(next, lines);
                            self.line
                        }
                    };
                    at = next;
                }
                Scan::Incomplete => break,
            }
        }
        at
    }

    /// Bytes of a row in its batch at most, without its own text.
    fn row_bytes(&self) -> usize {
        let bytes = |reading: &Reading| match &reading.from {
            ReadFrom::Cell(_) => reading.kind.width() + 1,
            ReadFrom::Constant(value) => {
                value.to_data().get_slice_memory_size().unwrap_or(BATCH_BYTES)
            }
        };
        self.readings.iter().map(bytes).sum()
    }

    fn chunk(&mut self, passed: usize) -> Result<Chunk> {
        let rows = self.cells.rows();
        let window = self.window.bytes();
        let mut arrays = Vec::with_capacity(self.readings.len());
        let mut found: Vec<(usize, &'static str, String)> = Vec::new();
        for reading in &self.readings {
            let mut misfits = Misfits::new();
            arrays.push(self.array(window, reading, rows, &mut misfits)?);
            found.extend(misfits.into_iter().map(|(row, misfit)| {
                let (name, word) = (&reading.name, reading.kind.word());
                let hint = match reading.inferred && misfit != Misfit::Text {
                    true => "; the type was inferred, so declare \"column\" if it is another",
                    false => "",
                };
                let reason = misfit.reason();
                (row, misfit.code(), format!("column \"{name}\" is no {word}: {reason}{hint}"))
            }));
        }
        for (row, code, message) in found {
            self.cells.flaw(row, code, message);
        }
        let undecodable = self.undecodable();
        let batch = self.batch(arrays, rows, &undecodable)?;
        let lines = self.cells.records.iter().map(|record| u64::from(record.lines)).sum::<u64>();
        self.line = self.line.map(|line| line + lines);
        self.records = self.records.map(|records| records + rows as u64);
        self.window.consume(passed);
        let at = self.records.unwrap_or(self.window.offset());
        let position = TextPosition { at, line: self.line };
        let position = serde_json::to_vec(&position)
            .map_err(|error| Fault::plugin("format.position", error.to_string()))?;
        let undecodable = undecodable.into_iter().map(|(_, record)| record).collect();
        Ok(Chunk { batch, undecodable, position })
    }

    fn array(
        &self,
        window: &[u8],
        reading: &Reading,
        rows: usize,
        misfits: &mut Misfits,
    ) -> Result<ArrayRef> {
        match &reading.from {
            ReadFrom::Constant(value) => columns::repeated(value, rows),
            ReadFrom::Cell(index) => {
                let column = Column {
                    cells: &self.cells,
                    window,
                    index: *index,
                    empty_is_null: self.empty_is_null && reading.kind != crate::kind::Kind::Text,
                    exact: reading.inferred,
                };
                Ok(column.read(&reading.kind, misfits))
            }
        }
    }

    /// The records that are no good, with their row.
    fn undecodable(&mut self) -> Vec<(u32, Undecodable)> {
        let flaws = self.cells.take_flaws();
        let mut line = self.line;
        let mut counted = 0;
        let window = self.window.bytes();
        let mut undecodable = Vec::with_capacity(flaws.len());
        for (row, flaw) in flaws {
            let before = &self.cells.records[counted..row as usize];
            let lines = before.iter().map(|record| u64::from(record.lines)).sum::<u64>();
            line = line.map(|line| line + lines);
            counted = row as usize;
            let record = self.cells.records[counted];
            let origin = match line {
                Some(line) => format!("{}:{line}", self.label),
                None => {
                    let offset = self.window.offset() + u64::from(record.start);
                    format!("{}@{offset}", self.label)
                }
            };
            undecodable.push((
                row,
                Undecodable {
                    dataset: Some(0),
                    origin,
                    data: window[record.start as usize..record.end as usize].to_vec(),
                    code: flaw.code.to_owned(),
                    message: flaw.message,
                },
            ));
        }
        undecodable
    }

    /// The good rows; `None` where there is none.
    fn batch(
        &self,
        arrays: Vec<ArrayRef>,
        rows: usize,
        undecodable: &[(u32, Undecodable)],
    ) -> Result<Option<RecordBatch>> {
        if undecodable.len() == rows {
            return Ok(None);
        }
        let broken = |error: arrow_schema::ArrowError| {
            Fault::plugin("format.batch", format!("a batch could not be made: {error}"))
        };
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let schema = Arc::clone(&self.schema);
        let batch = RecordBatch::try_new_with_options(schema, arrays, &options).map_err(broken)?;
        if undecodable.is_empty() {
            return Ok(Some(batch));
        }
        let mut good = vec![true; rows];
        for (row, _) in undecodable {
            good[*row as usize] = false;
        }
        let good = BooleanArray::from(good);
        arrow_select::filter::filter_record_batch(&batch, &good).map(Some).map_err(broken)
    }
}
