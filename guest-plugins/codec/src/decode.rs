//! Records of text into columns.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::bounds::{FLAWED_MAX, MARK_BYTES_MAX, check_answer, check_option};
use crate::cells::{Cells, Column, Misfits};
use crate::csv::{self, Dialect, Fields, Scan};
use crate::fault::{Fault, Result};
use crate::json;
use crate::kind::Kind;
use crate::value::Misfit;
use crate::{Budget, Decoded, Decoder, Flawed};

/// How records of text are taken apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Records {
    Csv {
        dialect: Dialect,
        fields: Fields,
    },
    /// Objects, one a line, with the members that become cells; where `complete`, with no others.
    Json {
        names: Vec<String>,
        complete: bool,
    },
}

/// How records of text become columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TextDecoding {
    pub records: Records,
    /// Of the schema's fields, one by one.
    pub columns: Vec<CellColumn>,
}

/// The cell of a record that a column is read from, and what it is read as.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CellColumn {
    /// From 0.
    pub cell: usize,
    pub kind: Kind,
    /// The kind was guessed, and a value that it does not hold exactly is a flaw.
    pub inferred: bool,
}

/// Takes records of text apart.
#[allow(
    clippy::large_enum_variant,
    reason = "one stands in each decoder, and it is called for every record"
)]
enum Tokenizer {
    Csv(csv::Tokenizer),
    Json(json::Tokenizer),
}

impl Tokenizer {
    fn new(records: &Records) -> Self {
        match records {
            Records::Csv { dialect, fields } => {
                Self::Csv(csv::Tokenizer::new(dialect.clone(), *fields))
            }
            Records::Json { names, complete } => Self::Json(json::Tokenizer::new(names, *complete)),
        }
    }

    /// Another window comes.
    fn begin(&mut self) {
        match self {
            Self::Csv(csv) => csv.begin(),
            Self::Json(_) => {}
        }
    }

    /// Reads the record at `at` of the window that has been the same since [`Self::begin`].
    fn record(&mut self, window: &[u8], at: usize, ended: bool, cells: &mut Cells) -> Scan {
        match self {
            Self::Csv(csv) => csv.next_record(window, at, ended, cells),
            Self::Json(json) => json.record(window, at, ended, cells),
        }
    }
}

/// Decodes records of text.
pub struct TextDecoder {
    tokenizer: Tokenizer,
    columns: Vec<CellColumn>,
    schema: SchemaRef,
    cells: Cells,
    empty_is_null: bool,
    /// Bytes of a row in its columns, without its own text.
    row_bytes: usize,
    /// How often the text of a row may come in its columns.
    copies: usize,
    /// Records of one call, so that the cells stay small.
    rows_max: usize,
}

/// Cells of one call; one record may have more.
const CELLS_MAX: usize = 4 << 20;

/// Where the tokenizer came to.
struct Passed {
    bytes: usize,
    lines_before: u32,
    /// About the bytes of the records' columns.
    column_bytes: usize,
}

/// The row and the column of a value that does not fit.
type Found = (usize, usize, Misfit);

/// How often the cell is read that most columns read.
fn copies(columns: &[CellColumn]) -> usize {
    let mut cells: Vec<_> = columns.iter().map(|column| column.cell).collect();
    cells.sort_unstable();
    cells.chunk_by(|one, other| one == other).map(<[usize]>::len).max().unwrap_or(1)
}

impl TextDecoder {
    /// # Errors
    /// `codec.options` where the columns are not those of the schema.
    pub fn new(how: TextDecoding, schema: SchemaRef) -> Result<Self> {
        let fields = schema.fields();
        let suits = how.columns.len() == fields.len()
            && how.columns.iter().zip(fields).all(|(column, field)| {
                column.kind.data_type() == *field.data_type() && column.cell < csv::CELLS_MAX
            });
        if !suits {
            let message = "the columns of the options are not those of the fields";
            return Err(Fault::plugin("codec.options", message));
        }
        let used = how.columns.iter().map(|column| column.cell + 1).max().unwrap_or(0);
        let (width, looked_at) = match &how.records {
            Records::Csv { dialect, .. } => {
                check_option("bytes of the text for NULL", dialect.null.len(), MARK_BYTES_MAX)?;
                (used, dialect.slices.as_ref().map_or(used, Vec::len))
            }
            Records::Json { names, .. } => (used.max(names.len()), names.len()),
        };
        check_option("cells of a record", looked_at, csv::CELLS_MAX)?;
        let empty_is_null =
            matches!(&how.records, Records::Csv { dialect, .. } if dialect.empty_is_null);
        Ok(Self {
            tokenizer: Tokenizer::new(&how.records),
            row_bytes: how.columns.iter().map(|column| column.kind.width() + 1).sum(),
            copies: copies(&how.columns),
            rows_max: CELLS_MAX / looked_at.max(width).max(1),
            columns: how.columns,
            schema,
            cells: Cells::new(width),
            empty_is_null,
        })
    }

    /// Passes over up to `rows` records at the front of `bytes`, and answers how many bytes and records.
    pub fn pass(&mut self, bytes: &[u8], last: bool, rows: u32) -> (usize, u32) {
        let passed = self.tokenize(bytes, last, Budget { rows, bytes: usize::MAX });
        (passed.bytes, self.cells.rows() as u32)
    }

    /// Fills the cells with records, within the budget.
    fn tokenize(&mut self, window: &[u8], last: bool, budget: Budget) -> Passed {
        self.cells.clear();
        self.tokenizer.begin();
        let rows_max = (budget.rows as usize).min(self.rows_max).max(1);
        let (mut at, mut bytes, mut lines_before) = (0, 0_usize, 0);
        while self.cells.rows() < rows_max && self.cells.flaws() < FLAWED_MAX {
            match self.tokenizer.record(window, at, last, &mut self.cells) {
                Scan::Record => {
                    let record = &self.cells.records[self.cells.records.len() - 1];
                    let text = (record.end - record.start) as usize;
                    let of_row = text.saturating_mul(self.copies).saturating_add(self.row_bytes);
                    if bytes.saturating_add(of_row) > budget.bytes && self.cells.rows() > 1 {
                        self.cells.truncate(self.cells.rows() - 1);
                        break;
                    }
                    at = record.next as usize;
                    bytes = bytes.saturating_add(of_row);
                }
                Scan::Skipped { next, lines } => {
                    match self.cells.rows() {
                        0 => lines_before += lines,
                        // Behind a record the lines count as its own.
                        _ => self.cells.extend_last(next, lines),
                    }
                    at = next;
                }
                Scan::Incomplete => break,
            }
        }
        Passed { bytes: at, lines_before, column_bytes: bytes }
    }

    fn array(&self, window: &[u8], column: &CellColumn, misfits: &mut Misfits) -> ArrayRef {
        let cells = Column {
            cells: &self.cells,
            window,
            index: column.cell,
            empty_is_null: self.empty_is_null && column.kind != Kind::Text,
            exact: column.inferred,
        };
        cells.read(&column.kind, misfits)
    }

    /// Leaves the records for the next call that would bring more flawed ones than an answer has; where
    /// that is so, answers what is taken of the bytes.
    fn cut(&mut self, found: &[Found], arrays: &mut [ArrayRef]) -> Option<usize> {
        let (rows, ..) = *found.get(FLAWED_MAX)?;
        self.cells.truncate(rows);
        arrays.iter_mut().for_each(|array| *array = array.slice(0, rows));
        self.cells.records.last().map(|record| record.next as usize)
    }

    /// The records that are no good, with their row.
    fn flawed(&mut self, window: &[u8]) -> Vec<(u32, Flawed)> {
        let flaws = self.cells.take_flaws();
        let (mut lines_before, mut counted) = (0, 0);
        let flawed = flaws.into_iter().map(|(row, flaw)| {
            let before = &self.cells.records[counted..row as usize];
            lines_before += before.iter().map(|record| record.lines).sum::<u32>();
            counted = row as usize;
            let record = self.cells.records[counted];
            let (start, end) = (record.start as usize, record.end as usize);
            let flawed = Flawed {
                record: row,
                start,
                lines_before,
                data: window[start..end].to_vec(),
                code: flaw.code.to_owned(),
                message: flaw.message,
            };
            (row, flawed)
        });
        flawed.collect()
    }
}

impl Decoder for TextDecoder {
    fn decode(&mut self, bytes: &[u8], last: bool, budget: Budget) -> Result<Decoded> {
        let passed = self.tokenize(bytes, last, budget);
        check_answer(passed.column_bytes)?;
        let mut arrays = Vec::with_capacity(self.columns.len());
        let mut found = Vec::new();
        for (index, column) in self.columns.iter().enumerate() {
            let mut misfits = Misfits::new();
            arrays.push(self.array(bytes, column, &mut misfits));
            note(&mut found, index, misfits);
        }
        let taken = self.cut(&found, &mut arrays).unwrap_or(passed.bytes);
        for (row, index, misfit) in found.into_iter().take(FLAWED_MAX) {
            let (column, field) = (&self.columns[index], self.schema.field(index));
            self.cells.flaw(row, misfit.code(), reason(column, field.name(), misfit));
        }
        let flawed = self.flawed(bytes);
        let rows = self.cells.rows();
        let lines = self.cells.records.iter().map(|record| record.lines).sum();
        Ok(Decoded {
            taken,
            records: rows as u32,
            lines_before: passed.lines_before,
            lines,
            rows: good_rows(&self.schema, arrays, rows, &flawed).map_err(broken)?,
            flawed: flawed.into_iter().map(|(_, flawed)| flawed).collect(),
        })
    }
}

/// Keeps the first misfit of each row.
fn note(found: &mut Vec<Found>, column: usize, misfits: Misfits) {
    if misfits.is_empty() {
        return;
    }
    found.extend(misfits.into_iter().map(|(row, misfit)| (row, column, misfit)));
    found.sort_by_key(|(row, _, _)| *row);
    found.dedup_by_key(|(row, _, _)| *row);
}

/// Why a value does not fit its column, for people.
fn reason(column: &CellColumn, name: &str, misfit: Misfit) -> String {
    let (word, reason) = (column.kind.word(), misfit.reason());
    let hint = match column.inferred && misfit != Misfit::Text {
        true => "; the type was inferred, so declare \"column\" if it is another",
        false => "",
    };
    format!("column \"{name}\" is no {word}: {reason}{hint}")
}

fn broken(error: ArrowError) -> Fault {
    Fault::plugin("format.batch", format!("a batch could not be made: {error}"))
}

/// The rows that are not flawed.
fn good_rows(
    schema: &SchemaRef,
    arrays: Vec<ArrayRef>,
    rows: usize,
    flawed: &[(u32, Flawed)],
) -> Result<RecordBatch, ArrowError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)?;
    if flawed.is_empty() {
        return Ok(batch);
    }
    let mut good = vec![true; rows];
    for (row, _) in flawed {
        good[*row as usize] = false;
    }
    arrow_select::filter::filter_record_batch(&batch, &BooleanArray::from(good))
}
