//! Values of SQLite, to Arrow.

use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Decimal256Builder,
    Float64Builder, Int64Builder, StringBuilder, Time64MicrosecondBuilder,
    TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_buffer::i256;
use arrow_schema::{ArrowError, DataType, SchemaRef};
use rusqlite::Row;
use rusqlite::types::ValueRef;
use sdk::{Fault, Result, Undecodable};
use serde_json::Value;

use crate::error;
use crate::moments;
use crate::settings::NumericDates;
use crate::types::Kind;

/// Why a value has no place in its column: code and words.
type Misfit = (&'static str, &'static str);

const NOT_UTF8: Misfit = ("sqlite.text_invalid", "the text is not UTF-8");
const NO_TYPE: Misfit =
    ("sqlite.type_mismatch", "what is stored is not of the declared type; \"asText\" reads it");
const NO_DECIMAL: Misfit =
    ("sqlite.value_invalid", "the number has more digits than its type, or is none");
const NO_DATE: Misfit = (
    "sqlite.value_invalid",
    "it is no date or time of the form 2024-02-29 12:30:00; \"numericDates\" reads numbers, \"asText\" texts",
);
const NO_BOOL: Misfit = ("sqlite.value_invalid", "a boolean is 0 or 1");

/// Whole numbers up to here are floats.
const FLOAT_EXACT: u64 = 1 << 53;

enum Cell<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Decimal(i256),
    Text(&'a str),
    Made(String),
    Bytes(&'a [u8]),
}

/// What a share is read with.
pub(crate) struct Form {
    pub(crate) schema: SchemaRef,
    /// Those of the schema's fields.
    pub(crate) kinds: Vec<Kind>,
    pub(crate) numeric_dates: NumericDates,
    /// Behind the columns of the schema comes the key, which is kept for the last row.
    pub(crate) has_key: bool,
    /// Where rows come from.
    pub(crate) label: String,
}

/// Gathers rows.
pub(crate) struct Decoder {
    form: Form,
    columns: Vec<Column>,
    last_key: Option<String>,
    rows: usize,
    bytes: u64,
    undecodable: Vec<Undecodable>,
    seen: u64,
}

impl Decoder {
    pub(crate) fn new(form: Form) -> Self {
        let columns =
            form.schema.fields().iter().map(|field| Column::new(field.data_type())).collect();
        let (rows, bytes, seen) = (0, 0, 0);
        Self { form, columns, last_key: None, rows, bytes, undecodable: Vec::new(), seen }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn undecodable(&self) -> usize {
        self.undecodable.len()
    }

    /// The key of the last row, decodable or not, as a literal.
    pub(crate) fn last_key(&self) -> Option<&str> {
        self.last_key.as_deref()
    }

    /// # Errors
    /// What SQLite could not read.
    pub(crate) fn feed(&mut self, row: &Row<'_>) -> Result<()> {
        let width = self.form.kinds.len();
        let values = (0..width).map(|index| row.get_ref(index));
        let values = values.collect::<rusqlite::Result<Vec<_>>>().map_err(error::fault)?;
        if self.form.has_key {
            self.last_key = literal(row.get_ref(width).map_err(error::fault)?);
        }
        self.seen += 1;
        self.bytes += values.iter().map(|value| size(*value)).sum::<u64>();
        let mut cells = Vec::with_capacity(width);
        for (index, (value, kind)) in values.iter().zip(&self.form.kinds).enumerate() {
            let fits = cell(*kind, *value, self.form.numeric_dates);
            // What a schema calls NOT NULL can be NULL in a file that was written by other means.
            let is_wrong_null =
                matches!(fits, Ok(Cell::Null)) && !self.form.schema.field(index).is_nullable();
            match fits {
                Ok(_) if is_wrong_null => return self.refuse(index, &values, NO_TYPE),
                Ok(cell) => cells.push(cell),
                Err(why) => return self.refuse(index, &values, why),
            }
        }
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            column.append(cell);
        }
        self.rows += 1;
        Ok(())
    }

    fn refuse(&mut self, index: usize, values: &[ValueRef<'_>], why: Misfit) -> Result<()> {
        let fields = self.form.schema.fields();
        let record: serde_json::Map<String, Value> = fields
            .iter()
            .zip(values)
            .map(|(field, value)| (field.name().clone(), shown(*value)))
            .collect();
        let (code, words) = why;
        let stored = values.get(index).map_or("", |value| class(*value));
        self.undecodable.push(Undecodable {
            dataset: Some(0),
            origin: format!("{}, row {}", self.form.label, self.seen),
            data: Value::Object(record).to_string().into_bytes(),
            code: code.to_owned(),
            message: format!("column \"{}\" holds {stored}: {words}", fields[index].name()),
        });
        Ok(())
    }

    /// The rows gathered so far, and the records that could not be decoded.
    pub(crate) fn batch(&mut self) -> Result<(RecordBatch, Vec<Undecodable>)> {
        let broken = |error: ArrowError| Fault::plugin("sqlite.batch", error.to_string());
        let columns = self.columns.iter_mut().map(Column::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let batch = RecordBatch::try_new_with_options(self.form.schema.clone(), columns, &options);
        self.rows = 0;
        self.bytes = 0;
        Ok((batch.map_err(broken)?, std::mem::take(&mut self.undecodable)))
    }
}

/// A value that can be the border of a share.
fn literal(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Text(text) if !text.contains(&0) => {
            std::str::from_utf8(text).ok().map(crate::sql::literal)
        }
        ValueRef::Blob(bytes) => Some(format!("x'{}'", hex(bytes))),
        ValueRef::Null | ValueRef::Real(_) | ValueRef::Text(_) => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn size(value: ValueRef<'_>) -> u64 {
    match value {
        ValueRef::Null => 1,
        ValueRef::Integer(_) | ValueRef::Real(_) => 8,
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => 4 + bytes.len() as u64,
    }
}

fn class(value: ValueRef<'_>) -> &'static str {
    match value {
        ValueRef::Null => "NULL",
        ValueRef::Integer(_) => "a whole number",
        ValueRef::Real(_) => "a float",
        ValueRef::Text(_) => "a text",
        ValueRef::Blob(_) => "a blob",
    }
}

/// A value of a record that could not be decoded, for people.
fn shown(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) if number.is_finite() => number.into(),
        ValueRef::Real(number) => number_text(number).into(),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => text.into(),
            Err(_) => format!("x'{}'", hex(text)).into(),
        },
        ValueRef::Blob(bytes) => format!("x'{}'", hex(bytes)).into(),
    }
}

/// The shortest text that reads back as the same float.
fn number_text(number: f64) -> String {
    match number {
        f64::INFINITY => "Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        number => format!("{number:?}"),
    }
}

fn cell(kind: Kind, value: ValueRef<'_>, dates: NumericDates) -> Result<Cell<'_>, Misfit> {
    use ValueRef::{Blob, Integer, Null, Real, Text};
    Ok(match (kind, value) {
        (_, Null) => Cell::Null,
        (Kind::Bool, Integer(number @ (0 | 1))) => Cell::Bool(number == 1),
        (Kind::Bool, Integer(_)) => return Err(NO_BOOL),
        (Kind::Int, Integer(number)) => Cell::Int(number),
        (Kind::Double, Real(number)) => Cell::Double(number),
        (Kind::Double, Integer(number)) if number.unsigned_abs() <= FLOAT_EXACT => {
            Cell::Double(number as f64)
        }
        (Kind::Decimal(digits, scale), Integer(_) | Real(_) | Text(_)) => {
            let text = plain_text(value).ok_or(NO_DECIMAL)?;
            Cell::Decimal(decimal(&text, digits, scale).ok_or(NO_DECIMAL)?)
        }
        (Kind::Number | Kind::Json | Kind::Loose | Kind::Any, Integer(number)) => {
            Cell::Made(number.to_string())
        }
        (Kind::Number | Kind::Json, Real(number)) if !number.is_finite() => return Err(NO_DECIMAL),
        (Kind::Number, Real(number)) => Cell::Made(number.to_string()),
        (Kind::Json | Kind::Loose | Kind::Any, Real(number)) => Cell::Made(number_text(number)),
        (Kind::Text | Kind::Number | Kind::Json | Kind::Loose | Kind::Any, Text(text)) => {
            Cell::Text(std::str::from_utf8(text).map_err(|_| NOT_UTF8)?)
        }
        (Kind::Bytes, Blob(bytes)) => Cell::Bytes(bytes),
        (Kind::Date | Kind::Time | Kind::DateTime | Kind::Instant, _) => {
            Cell::Int(moment(kind, value, dates).ok_or(NO_DATE)?)
        }
        _ => return Err(NO_TYPE),
    })
}

/// Days, or microseconds, of a value in a column of dates or times.
fn moment(kind: Kind, value: ValueRef<'_>, dates: NumericDates) -> Option<i64> {
    let text = match value {
        ValueRef::Text(text) => std::str::from_utf8(text).ok()?,
        ValueRef::Integer(number) if kind != Kind::Time => {
            let micros = match dates {
                NumericDates::Refuse => return None,
                NumericDates::Seconds => number.checked_mul(1_000_000)?,
                NumericDates::Milliseconds => number.checked_mul(1000)?,
            };
            let is_day = micros % moments::DAY == 0;
            return match kind {
                Kind::Date => is_day.then_some(micros / moments::DAY),
                _ => Some(micros),
            };
        }
        _ => return None,
    };
    match kind {
        Kind::Date => moments::days(text),
        Kind::Time => moments::clock(text),
        Kind::Instant => moments::instant(text),
        _ => moments::moment(text),
    }
}

/// A number's digits, without an exponent.
fn plain_text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => number.is_finite().then(|| number.to_string()),
        ValueRef::Text(text) => std::str::from_utf8(text).ok().map(str::to_owned),
        ValueRef::Null | ValueRef::Blob(_) => None,
    }
}

/// The digits of a decimal, with zeros up to its scale.
fn decimal(text: &str, precision: u8, scale: i8) -> Option<i256> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || whole.is_empty() {
        return None;
    }
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let scale = usize::try_from(scale).ok()?;
    let missing = scale.checked_sub(fraction.len())?;
    if whole.len() + scale > usize::from(precision) {
        return None;
    }
    i256::from_string(&format!("{sign}0{whole}{fraction}{}", "0".repeat(missing)))
}

enum Column {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Double(Float64Builder),
    I128(Decimal128Builder),
    I256(Decimal256Builder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Moment(TimestampMicrosecondBuilder),
    Bytes(BinaryBuilder),
    Text(StringBuilder),
}

impl Column {
    fn new(kind: &DataType) -> Self {
        match kind {
            DataType::Boolean => Self::Bool(BooleanBuilder::new()),
            DataType::Int64 => Self::Int(Int64Builder::new()),
            DataType::Float64 => Self::Double(Float64Builder::new()),
            DataType::Decimal128(..) => {
                Self::I128(Decimal128Builder::new().with_data_type(kind.clone()))
            }
            DataType::Decimal256(..) => {
                Self::I256(Decimal256Builder::new().with_data_type(kind.clone()))
            }
            DataType::Date32 => Self::Date(Date32Builder::new()),
            DataType::Time64(_) => Self::Time(Time64MicrosecondBuilder::new()),
            DataType::Timestamp(..) => {
                Self::Moment(TimestampMicrosecondBuilder::new().with_data_type(kind.clone()))
            }
            DataType::Binary => Self::Bytes(BinaryBuilder::new()),
            _ => Self::Text(StringBuilder::new()),
        }
    }

    /// A cell of another kind than the column cannot come: both are made from one kind.
    fn append(&mut self, cell: Cell<'_>) {
        match (self, cell) {
            (Self::Bool(to), Cell::Bool(value)) => to.append_value(value),
            (Self::Int(to), Cell::Int(value)) => to.append_value(value),
            (Self::Double(to), Cell::Double(value)) => to.append_value(value),
            (Self::I128(to), Cell::Decimal(value)) => to.append_option(value.to_i128()),
            (Self::I256(to), Cell::Decimal(value)) => to.append_value(value),
            (Self::Date(to), Cell::Int(value)) => to.append_value(value as i32),
            (Self::Time(to), Cell::Int(value)) => to.append_value(value),
            (Self::Moment(to), Cell::Int(value)) => to.append_value(value),
            (Self::Bytes(to), Cell::Bytes(value)) => to.append_value(value),
            (Self::Text(to), Cell::Text(value)) => to.append_value(value),
            (Self::Text(to), Cell::Made(value)) => to.append_value(value),
            (column, _) => column.append_null(),
        }
    }

    fn append_null(&mut self) {
        match self {
            Self::Bool(to) => to.append_null(),
            Self::Int(to) => to.append_null(),
            Self::Double(to) => to.append_null(),
            Self::I128(to) => to.append_null(),
            Self::I256(to) => to.append_null(),
            Self::Date(to) => to.append_null(),
            Self::Time(to) => to.append_null(),
            Self::Moment(to) => to.append_null(),
            Self::Bytes(to) => to.append_null(),
            Self::Text(to) => to.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Bool(to) => Arc::new(to.finish()),
            Self::Int(to) => Arc::new(to.finish()),
            Self::Double(to) => Arc::new(to.finish()),
            Self::I128(to) => Arc::new(to.finish()),
            Self::I256(to) => Arc::new(to.finish()),
            Self::Date(to) => Arc::new(to.finish()),
            Self::Time(to) => Arc::new(to.finish()),
            Self::Moment(to) => Arc::new(to.finish()),
            Self::Bytes(to) => Arc::new(to.finish()),
            Self::Text(to) => Arc::new(to.finish()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_keep_all_digits_or_are_refused() {
        let digits =
            |text: &str, precision, scale| decimal(text, precision, scale).map(|d| d.to_string());
        assert_eq!(digits("-1.50", 4, 2).as_deref(), Some("-150"));
        assert_eq!(digits("-0.05", 4, 2).as_deref(), Some("-5"));
        assert_eq!(digits("0.1000", 1, 1).as_deref(), Some("1"));
        assert_eq!(digits("1.234", 9, 2), None);
        assert_eq!(digits("12345", 4, 0), None);
        assert_eq!(digits("999.99", 5, 2).as_deref(), Some("99999"));
        for bad in ["", "-", ".5", "1e3", "0x1", "1.2.3", " 1", "NaN"] {
            assert_eq!(digits(bad, 9, 2), None, "{bad}");
        }
        let wide = "9".repeat(76);
        assert_eq!(digits(&wide, 76, 0), Some(wide.clone()));
    }

    #[test]
    fn values_fit_their_kind_or_are_told() {
        let fits = |kind, value| cell(kind, value, NumericDates::Refuse).err().map(|why| why.0);
        let (mismatch, invalid) = (Some("sqlite.type_mismatch"), Some("sqlite.value_invalid"));
        let cases = [
            (Kind::Int, ValueRef::Real(1.5), mismatch),
            (Kind::Int, ValueRef::Text(b"1"), mismatch),
            (Kind::Double, ValueRef::Integer(1 << 53), None),
            (Kind::Double, ValueRef::Integer((1 << 53) + 1), mismatch),
            (Kind::Bool, ValueRef::Integer(2), invalid),
            (Kind::Text, ValueRef::Blob(b"a"), mismatch),
            (Kind::Text, ValueRef::Text(b"\xff"), Some("sqlite.text_invalid")),
            (Kind::Text, ValueRef::Text(b"a\0b"), None),
            (Kind::Bytes, ValueRef::Text(b"a"), mismatch),
            (Kind::Decimal(4, 2), ValueRef::Real(0.1 + 0.2), invalid),
            (Kind::Decimal(4, 2), ValueRef::Real(0.3), None),
            (Kind::Number, ValueRef::Real(f64::INFINITY), invalid),
            (Kind::Loose, ValueRef::Real(f64::INFINITY), None),
            (Kind::Date, ValueRef::Integer(0), invalid),
        ];
        for (kind, value, expected) in cases {
            assert_eq!(fits(kind, value), expected, "{kind:?} {value:?}");
        }
        assert_eq!(moment(Kind::Date, ValueRef::Integer(86_400), NumericDates::Seconds), Some(1));
        assert_eq!(moment(Kind::Date, ValueRef::Integer(1), NumericDates::Milliseconds), None);
    }
}
