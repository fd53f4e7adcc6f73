//! Reads the records of CSV and JSON lines files as batches.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{Schema, SchemaRef};
use codec::{CellColumn, Records, TextDecoder, TextDecoding};
use sdk::codec::{Decoded, Decoder, Flawed};
use sdk::{Budget, Fault, Result, Undecodable};
use serde::{Deserialize, Serialize};

use crate::columns::{self, ReadFrom, Reading};
use crate::read::Chunk;
use crate::window::{BLOCK_BYTES, Window};

/// A batch of this size keeps the costs of a call small and the batch in the cache.
const BATCH_BYTES: u64 = 384 << 10;

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
    window: Window,
    decoder: Decoder,
    constants: Vec<Constant>,
    schema: SchemaRef,
    label: String,
    /// Of the next record, counted from 1, where it is known.
    line: Option<u64>,
    /// Records before the next one, where the file is packed.
    records: Option<u64>,
}

/// A column that has one value in each row.
struct Constant {
    /// Of the column.
    index: usize,
    value: ArrayRef,
}

/// Where a reader begins.
pub(crate) struct Beginning {
    pub(crate) window: Window,
    pub(crate) label: String,
    pub(crate) line: Option<u64>,
    /// Records to pass over, where the file is packed.
    pub(crate) records: Option<u64>,
}

impl TextReader {
    /// A reader of `records`, of which each column of `schema` is read as `readings` says.
    pub(crate) fn open(
        from: Beginning,
        records: Records,
        readings: Vec<Reading>,
        schema: &SchemaRef,
    ) -> Result<Self> {
        let (mut columns, mut fields, mut constants) = (Vec::new(), Vec::new(), Vec::new());
        for (index, (reading, field)) in readings.into_iter().zip(schema.fields()).enumerate() {
            match reading.from {
                ReadFrom::Cell(cell) => {
                    columns.push(CellColumn {
                        cell,
                        kind: reading.kind,
                        inferred: reading.inferred,
                    });
                    fields.push(field.clone());
                }
                ReadFrom::Constant(value) => constants.push(Constant { index, value }),
            }
        }
        let how = TextDecoding { records, columns };
        let Beginning { mut window, label, line, records } = from;
        if let Some(count) = records {
            pass_over(&mut window, &label, how.records.clone(), count)?;
        }
        let decoder = Decoder::open("text", &how, &Arc::new(Schema::new(fields)))?;
        Ok(Self { window, decoder, constants, schema: schema.clone(), label, line, records })
    }

    /// As [`crate::FileReader::next`].
    pub fn next(&mut self, budget: Budget) -> Result<Option<Chunk>> {
        let size = budget.bytes.min(BATCH_BYTES);
        let rows = budget.rows.min(u32::try_from(size / self.constant_bytes()).unwrap_or(u32::MAX));
        loop {
            self.window.fill(BLOCK_BYTES)?;
            let (window, ended) = (self.window.bytes(), self.window.ended());
            let decoded = self.decoder.decode(window, ended, rows.max(1), size)?;
            self.line = self.line.map(|line| line + u64::from(decoded.lines_before));
            if decoded.records > 0 {
                return self.chunk(decoded).map(Some);
            }
            if decoded.taken > 0 {
                self.window.consume(decoded.taken);
            } else if self.window.ended() {
                return Ok(None);
            } else {
                self.window.grow()?;
            }
        }
    }

    /// Bytes that the constants take in each row, at least one.
    fn constant_bytes(&self) -> u64 {
        let bytes = |constant: &Constant| constant.value.to_data().get_slice_memory_size();
        self.constants
            .iter()
            .map(|constant| bytes(constant).unwrap_or(0) as u64)
            .sum::<u64>()
            .max(1)
    }

    fn chunk(&mut self, decoded: Decoded) -> Result<Chunk> {
        let undecodable = decoded.flawed.iter().map(|flawed| self.undecodable(flawed)).collect();
        let batch = match decoded.rows.num_rows() {
            0 => None,
            _ => Some(self.with_constants(decoded.rows)?),
        };
        self.line = self.line.map(|line| line + u64::from(decoded.lines));
        self.records = self.records.map(|records| records + u64::from(decoded.records));
        self.window.consume(decoded.taken);
        let at = self.records.unwrap_or(self.window.offset());
        let position = TextPosition { at, line: self.line };
        let position = serde_json::to_vec(&position)
            .map_err(|error| Fault::plugin("format.position", error.to_string()))?;
        Ok(Chunk { batch, undecodable, position })
    }

    /// The decoded columns and the constants, in the order of the schema.
    fn with_constants(&self, rows: RecordBatch) -> Result<RecordBatch> {
        if self.constants.is_empty() {
            return Ok(rows);
        }
        let mut columns = rows.columns().to_vec();
        for Constant { index, value } in &self.constants {
            columns.insert(*index, columns::repeated(value, rows.num_rows())?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .map_err(|error| Fault::plugin("format.batch", error.to_string()))
    }

    fn undecodable(&self, flawed: &Flawed) -> Undecodable {
        let origin = match self.line {
            Some(line) => format!("{}:{}", self.label, line + u64::from(flawed.lines_before)),
            None => format!("{}@{}", self.label, self.window.offset() + flawed.start as u64),
        };
        Undecodable {
            dataset: Some(0),
            origin,
            data: flawed.data.clone(),
            code: flawed.code.clone(),
            message: flawed.message.clone(),
        }
    }
}

/// Passes over `count` records, as a resume of a packed file must.
fn pass_over(window: &mut Window, label: &str, records: Records, count: u64) -> Result<()> {
    let how = TextDecoding { records, columns: Vec::new() };
    let mut decoder = TextDecoder::new(how, Arc::new(Schema::empty()))?;
    let mut left = count;
    while left > 0 {
        window.fill(BLOCK_BYTES)?;
        let rows = u32::try_from(left).unwrap_or(u32::MAX);
        let (passed, records) = decoder.pass(window.bytes(), window.ended(), rows);
        if passed == 0 && window.ended() {
            let message = format!("\"{label}\" has fewer records than before");
            return Err(Fault::data("file.changed", message));
        }
        if passed == 0 {
            window.grow()?;
        }
        window.consume(passed);
        left -= u64::from(records);
    }
    Ok(())
}
