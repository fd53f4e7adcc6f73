//! The packets of a result set in binary form, read into Arrow columns.
//!
//! The codec takes rows, and stops before any other packet: what ends them, and what the server says
//! meanwhile, is the plug-in's.

use std::borrow::Cow;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, DataType, Field, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::bounds::FLAWED_MAX;
use crate::fault::{Fault, Result};
use crate::mysql::column::Column;
use crate::mysql::kind::{Kind, data_type};
use crate::mysql::value::{Cell, Misfit, Parts, ZERO_DATE, broken, cell};
use crate::{Budget, Decoded, Flawed};

/// A packet at most; what is longer comes in several, of which the last is shorter.
const PACKET_BYTES: usize = 0xff_ffff;
/// Bytes of a row, and of what is gathered, at most: two of them still have their places in a column.
const BYTES_MAX: usize = 1 << 30;

/// What the columns of a result set hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RowDecoding {
    /// Of the columns, one by one.
    pub kinds: Vec<Kind>,
    /// A date with a zero in it is NULL. Behind the columns stands then a boolean one: whether the row had
    /// such a date.
    pub zero_is_null: bool,
    /// The last column of the rows is a key as text, which is the last of the schema too.
    pub has_key: bool,
}

/// Reads packets, and gathers their rows until there are enough.
pub(crate) struct RowDecoder {
    how: RowDecoding,
    schema: SchemaRef,
    columns: Vec<Column>,
    /// Bytes of a row's values beside its texts.
    fixed: usize,
    rows: usize,
    bytes: usize,
    flawed: Vec<Flawed>,
}

/// What a row holds beside its cells.
#[derive(Default)]
struct Rest<'a> {
    misfit: Option<(usize, Misfit)>,
    has_zero: bool,
    key: Option<&'a [u8]>,
}

impl RowDecoder {
    /// # Errors
    /// `codec.options` where the kinds are not those of the schema's fields.
    pub(crate) fn new(how: RowDecoding, schema: SchemaRef) -> Result<Self> {
        let mut wanted: Vec<DataType> = how.kinds.iter().map(|kind| data_type(*kind)).collect();
        wanted.extend(how.zero_is_null.then_some(DataType::Boolean));
        wanted.extend(how.has_key.then_some(DataType::Utf8));
        let found = schema.fields().iter().map(|field: &std::sync::Arc<Field>| field.data_type());
        if !how.kinds.iter().all(|kind| kind.is_known()) || !found.eq(wanted.iter()) {
            return Err(Fault::plugin("codec.options", "the kinds are not those of the fields"));
        }
        Ok(Self {
            columns: wanted.iter().map(Column::new).collect(),
            fixed: wanted.iter().map(|kind| kind.primitive_width().unwrap_or(4)).sum(),
            how,
            schema,
            rows: 0,
            bytes: 0,
            flawed: Vec::new(),
        })
    }

    fn is_full(&self, budget: Budget) -> bool {
        self.rows >= budget.rows as usize
            || self.bytes >= budget.bytes.min(BYTES_MAX)
            || self.flawed.len() >= FLAWED_MAX
    }

    /// Takes one row. `cells` is room for its values.
    fn push<'a>(&mut self, row: &'a [u8], cells: &mut Vec<Cell<'a>>) -> Result<()> {
        let rest = read(&self.how, row, cells)?;
        self.bytes += row.len().max(self.fixed);
        if let Some((column, misfit)) = rest.misfit {
            let name = self.schema.field(column).name();
            self.flawed.push(Flawed {
                record: (self.rows + self.flawed.len()) as u32,
                start: 0,
                lines_before: 0,
                data: row.to_vec(),
                code: misfit.code.to_owned(),
                message: format!("column \"{name}\": {}", misfit.message),
            });
            return Ok(());
        }
        cells.extend(self.how.zero_is_null.then_some(Cell::Bool(rest.has_zero)));
        let key = rest.key.map(String::from_utf8_lossy);
        let (key, more) = (key.as_deref().map_or(Cell::Null, Cell::Text), self.how.has_key);
        let cells = cells.iter().copied().chain(more.then_some(key));
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            column.append(cell);
        }
        self.rows += 1;
        Ok(())
    }

    /// What was gathered so far.
    fn gathered(&mut self, taken: usize) -> Result<Decoded> {
        let broken = |error: ArrowError| Fault::plugin("mysql.batch", error.to_string());
        let columns = self.columns.iter_mut().map(Column::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let rows = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options);
        let flawed = std::mem::take(&mut self.flawed);
        let records = (self.rows + flawed.len()) as u32;
        (self.rows, self.bytes) = (0, 0);
        Ok(decoded(taken, records, rows.map_err(broken)?, flawed))
    }
}

impl crate::Decoder for RowDecoder {
    fn decode(&mut self, bytes: &[u8], last: bool, budget: Budget) -> Result<Decoded> {
        let mut taken = 0;
        let mut cells = Vec::with_capacity(self.columns.len());
        while !self.is_full(budget) {
            let Some((body, behind)) = packet(&bytes[taken..])? else { break };
            match (body.first(), &body) {
                (Some(0), Cow::Borrowed(row)) => self.push(row, &mut cells)?,
                (Some(0), Cow::Owned(row)) => self.push(row, &mut Vec::new())?,
                (Some(0xfe | 0xff), _) => break,
                _ => return Err(broken("a packet that is no row")),
            }
            taken += behind;
        }
        if last || bytes.is_empty() || self.is_full(budget) {
            return self.gathered(taken);
        }
        Ok(decoded(taken, 0, RecordBatch::new_empty(self.schema.clone()), Vec::new()))
    }

    fn memory(&self) -> usize {
        self.bytes
    }
}

fn decoded(taken: usize, records: u32, rows: RecordBatch, flawed: Vec<Flawed>) -> Decoded {
    Decoded { taken, records, lines_before: 0, lines: 0, rows, flawed }
}

/// The body of the packet that `bytes` begin with, put together where it came in several, and where the next
/// one begins; `None` where not all of it is there.
fn packet(bytes: &[u8]) -> Result<Option<(Cow<'_, [u8]>, usize)>> {
    const HEAD: usize = 4;
    let mut body = Cow::Borrowed(&bytes[..0]);
    let mut at = 0;
    loop {
        let Some([low, middle, high, _]) = bytes.get(at..).and_then(|rest| rest.first_chunk())
        else {
            return Ok(None);
        };
        let length = u32::from_le_bytes([*low, *middle, *high, 0]) as usize;
        let Some(part) = bytes.get(at + HEAD..at + HEAD + length) else { return Ok(None) };
        at += HEAD + length;
        if at > BYTES_MAX {
            return Err(broken("a row of impossible length"));
        }
        match body.is_empty() {
            true => body = Cow::Borrowed(part),
            false => body.to_mut().extend_from_slice(part),
        }
        if length < PACKET_BYTES {
            return Ok(Some((body, at)));
        }
    }
}

/// Reads the values of a row into `cells`. Behind one that does not fit its type they don't matter.
fn read<'a>(how: &RowDecoding, row: &'a [u8], cells: &mut Vec<Cell<'a>>) -> Result<Rest<'a>> {
    let mut rest = Rest::default();
    let mut parts = Parts::new(row);
    parts.byte()?;
    let width = how.kinds.len() + usize::from(how.has_key);
    let nulls = parts.bytes((width + 2).div_ceil(8))?;
    // The first two bits are of no column.
    let is_null = |index: usize| nulls[(index + 2) / 8] & (1 << ((index + 2) % 8)) != 0;
    cells.clear();
    for (index, kind) in how.kinds.iter().enumerate() {
        if is_null(index) {
            cells.push(Cell::Null);
            continue;
        }
        match cell(*kind, &mut parts)? {
            Ok(cell) => cells.push(cell),
            Err(ZERO_DATE) if how.zero_is_null => {
                rest.has_zero = true;
                cells.push(Cell::Null);
            }
            Err(misfit) => {
                rest.misfit = rest.misfit.or(Some((index, misfit)));
                cells.push(Cell::Null);
            }
        }
    }
    if how.has_key && !is_null(how.kinds.len()) {
        rest.key = Some(parts.text()?);
    }
    Ok(rest)
}

/// The key of a row that could not be decoded, where there is one.
///
/// # Errors
/// `mysql.protocol` for bytes that are no row.
pub fn key(how: &RowDecoding, row: &[u8]) -> Result<Option<String>> {
    let key = read(how, row, &mut Vec::new())?.key;
    Ok(key.map(|key| String::from_utf8_lossy(key).into_owned()))
}
