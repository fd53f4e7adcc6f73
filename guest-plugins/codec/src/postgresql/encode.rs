//! Arrow columns, written as COPY takes them: binary where every column has a binary form here, else
//! as text for all of them.
//!
//! What the server would cut or round without a word is refused here, row by row.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, Time64MicrosecondType, TimestampMicrosecondType, UInt32Type,
};
use arrow_array::{
    Array, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array,
    FixedSizeBinaryArray, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array,
    ListArray, PrimitiveArray, RecordBatch, StringArray, UInt32Array,
};
use arrow_buffer::NullBuffer;
use arrow_schema::SchemaRef;
use serde::{Deserialize, Serialize};

use crate::bounds;
use crate::fault::{Fault, Result};
use crate::postgresql::column::{EPOCH_DAYS, EPOCH_MICROS};
use crate::postgresql::kind::{Kind, Limit, data_type};
use crate::postgresql::limits::{self, Misfit};
use crate::postgresql::numeric;
use crate::postgresql::text;
use crate::{Encoder, Refused};

/// The two forms of a COPY.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Form {
    Binary,
    Text,
}

impl Form {
    /// The form that all columns have.
    pub fn of<'a>(kinds: impl IntoIterator<Item = &'a Kind>) -> Self {
        let opaque = kinds.into_iter().any(|kind| *kind == Kind::Opaque);
        if opaque { Self::Text } else { Self::Binary }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Text => "text",
        }
    }
}

/// How columns become the rows of a COPY.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyEncoding {
    pub form: Form,
    /// Of the schema's fields, one by one.
    pub columns: Vec<CopyColumn>,
    /// An empty text is written as NULL.
    pub empty_as_null: bool,
}

/// A column of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyColumn {
    pub kind: Kind,
    pub limit: Limit,
    /// Its texts are those of arrays, and the limit is that of their elements.
    pub is_array: bool,
}

/// Writes the rows of a COPY, without what stands before and behind them.
pub(crate) struct CopyEncoder {
    how: CopyEncoding,
}

const OUT_OF_RANGE: Misfit =
    ("postgresql.value_out_of_range", "the value lies outside the column's type");
const NO_UUID: Misfit = ("postgresql.value_invalid", "the text is no uuid");

impl CopyEncoder {
    /// # Errors
    /// `postgresql.batch` where a column is of another Arrow type than its kind.
    pub(crate) fn new(how: CopyEncoding, schema: &SchemaRef) -> Result<Self> {
        let encoder = Self { how };
        encoder.cells(&RecordBatch::new_empty(schema.clone()))?;
        Ok(encoder)
    }

    fn cells<'a>(&self, rows: &'a RecordBatch) -> Result<Vec<Cells<'a>>> {
        let columns = &self.how.columns;
        if columns.len() != rows.num_columns() {
            return Err(mismatch("the number of columns"));
        }
        let pairs = columns.iter().zip(rows.columns());
        pairs
            .map(|(column, array)| Cells::of(array.as_ref(), column, self.how.empty_as_null))
            .collect()
    }
}

impl Encoder for CopyEncoder {
    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<Vec<Refused>> {
        let columns = self.cells(rows)?;
        let mut refused = Vec::new();
        out.reserve(rows.get_array_memory_size());
        for row in 0..rows.num_rows() {
            let start = out.len();
            let written = match self.how.form {
                Form::Binary => binary_row(&columns, row, out),
                Form::Text => text_row(&columns, row, out),
            };
            bounds::check_answer(out.len())?;
            if let Err((column, (code, message))) = written {
                out.truncate(start);
                refused.push(Refused {
                    row: row as u32,
                    column: column as u32,
                    code: code.to_owned(),
                    message: message.to_owned(),
                });
            }
        }
        Ok(refused)
    }
}

fn mismatch(what: &str) -> Fault {
    Fault::plugin("postgresql.batch", format!("{what} of a batch is not as prepared"))
}

fn binary_row(columns: &[Cells<'_>], row: usize, out: &mut Vec<u8>) -> Result<(), (usize, Misfit)> {
    out.extend_from_slice(&(columns.len() as i16).to_be_bytes());
    for (index, column) in columns.iter().enumerate() {
        column.binary(row, out).map_err(|misfit| (index, misfit))?;
    }
    Ok(())
}

fn text_row(columns: &[Cells<'_>], row: usize, out: &mut Vec<u8>) -> Result<(), (usize, Misfit)> {
    let mut value = String::new();
    for (index, column) in columns.iter().enumerate() {
        if index > 0 {
            out.push(b'\t');
        }
        value.clear();
        if column.text(row, &mut value).map_err(|misfit| (index, misfit))? {
            text::escape_copy(&value, out);
        } else {
            out.extend_from_slice(b"\\N");
        }
    }
    out.push(b'\n');
    Ok(())
}

/// A column, by the Arrow array that its values are in.
struct Cells<'a> {
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
    limit: Limit,
    empty_as_null: bool,
}

enum Values<'a> {
    Bool(&'a BooleanArray),
    I16(&'a Int16Array),
    I32(&'a Int32Array),
    I64(&'a Int64Array),
    U32(&'a UInt32Array),
    F32(&'a Float32Array),
    F64(&'a Float64Array),
    I128(&'a Decimal128Array, i8),
    I256(&'a Decimal256Array, i8),
    Text(&'a StringArray),
    /// The server's text of an array.
    ArrayText(&'a StringArray),
    UuidText(&'a StringArray),
    Jsonb(&'a StringArray),
    Bytes(&'a BinaryArray),
    Uuid(&'a FixedSizeBinaryArray),
    Date(&'a Date32Array),
    Time(&'a PrimitiveArray<Time64MicrosecondType>),
    Instant(&'a PrimitiveArray<TimestampMicrosecondType>, bool),
    List(&'a ListArray, Box<Cells<'a>>, u32),
}

impl<'a> Cells<'a> {
    fn of(array: &'a dyn Array, column: &CopyColumn, empty_as_null: bool) -> Result<Self> {
        let CopyColumn { kind, limit, is_array } = column;
        let empty_as_null = empty_as_null
            && data_type(kind) == arrow_schema::DataType::Utf8
            && !matches!(kind, Kind::Json | Kind::Jsonb);
        let values = match Values::of(array, kind, *limit) {
            Some(Values::Text(texts)) if *is_array => Values::ArrayText(texts),
            Some(values) => values,
            None => return Err(mismatch("the type of a column")),
        };
        Ok(Self { nulls: array.nulls(), values, limit: *limit, empty_as_null })
    }

    fn is_null(&self, row: usize) -> bool {
        self.nulls.is_some_and(|nulls| nulls.is_null(row))
            || self.empty_as_null
                && matches!(
                    &self.values,
                    Values::Text(texts) | Values::ArrayText(texts) | Values::UuidText(texts)
                        if texts.value(row).is_empty()
                )
    }

    /// Appends length and value.
    fn binary(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Misfit> {
        if self.is_null(row) {
            out.extend_from_slice(&(-1_i32).to_be_bytes());
            return Ok(());
        }
        match &self.values {
            Values::Bool(values) => sized(&[u8::from(values.value(row))], out),
            Values::I16(values) => sized(&values.value(row).to_be_bytes(), out),
            Values::I32(values) => sized(&values.value(row).to_be_bytes(), out),
            Values::I64(values) => sized(&values.value(row).to_be_bytes(), out),
            Values::U32(values) => sized(&values.value(row).to_be_bytes(), out),
            Values::F32(values) => sized(&values.value(row).to_be_bytes(), out),
            Values::F64(values) => sized(&values.value(row).to_be_bytes(), out),
            Values::I128(values, scale) => numeric::write(values.value(row), *scale, out),
            Values::I256(values, scale) => numeric::write_wide(values.value(row), *scale, out),
            Values::Text(values) => sized(self.fitting(values.value(row))?.as_bytes(), out),
            // An array's text has no binary form; the whole COPY is in text then.
            Values::ArrayText(values) => sized(values.value(row).as_bytes(), out),
            Values::UuidText(values) => {
                sized(&text::uuid_bytes(values.value(row)).ok_or(NO_UUID)?, out);
            }
            Values::Jsonb(values) => {
                let text = values.value(row);
                out.extend_from_slice(&(text.len() as u32 + 1).to_be_bytes());
                out.push(1);
                out.extend_from_slice(text.as_bytes());
            }
            Values::Bytes(values) => sized(values.value(row), out),
            Values::Uuid(values) => sized(values.value(row), out),
            Values::Date(values) => sized(&days(values.value(row))?.to_be_bytes(), out),
            Values::Time(values) => sized(&self.unrounded(values.value(row))?.to_be_bytes(), out),
            Values::Instant(values, _) => {
                sized(&micros(self.unrounded(values.value(row))?)?.to_be_bytes(), out);
            }
            Values::List(list, elements, oid) => {
                let start = out.len();
                out.extend_from_slice(&[0; 4]);
                binary_array(list, elements, *oid, row, out)?;
                let length = (out.len() - start - 4) as u32;
                out[start..start + 4].copy_from_slice(&length.to_be_bytes());
            }
        }
        Ok(())
    }

    /// Appends the value as the server reads it; false for NULL.
    fn text(&self, row: usize, out: &mut String) -> Result<bool, Misfit> {
        if self.is_null(row) {
            return Ok(false);
        }
        match &self.values {
            Values::Bool(values) => out.push_str(if values.value(row) { "t" } else { "f" }),
            Values::I16(values) => out.push_str(&values.value(row).to_string()),
            Values::I32(values) => out.push_str(&values.value(row).to_string()),
            Values::I64(values) => out.push_str(&values.value(row).to_string()),
            Values::U32(values) => out.push_str(&values.value(row).to_string()),
            Values::F32(values) => text::float(&values.value(row).to_string(), out),
            Values::F64(values) => text::float(&values.value(row).to_string(), out),
            Values::I128(values, scale) => numeric::text(values.value(row), *scale, out),
            Values::I256(values, scale) => numeric::text_wide(values.value(row), *scale, out),
            Values::Text(values) => out.push_str(self.fitting(values.value(row))?),
            Values::ArrayText(values) => {
                limits::fits_array(values.value(row), self.limit)?;
                out.push_str(values.value(row));
            }
            Values::UuidText(values) => {
                text::uuid(&text::uuid_bytes(values.value(row)).ok_or(NO_UUID)?, out);
            }
            Values::Jsonb(values) => out.push_str(values.value(row)),
            Values::Bytes(values) => text::hex(values.value(row), out),
            Values::Uuid(values) => text::uuid(values.value(row), out),
            Values::Date(values) => text::date(values.value(row), out),
            Values::Time(values) => text::time(self.unrounded(values.value(row))?, out),
            Values::Instant(values, zoned) => {
                text::instant(self.unrounded(values.value(row))?, *zoned, out);
            }
            Values::List(list, elements, _) => text_array(list, elements, row, out)?,
        }
        Ok(true)
    }

    /// The text, where the server would not change it.
    fn fitting<'t>(&self, text: &'t str) -> Result<&'t str, Misfit> {
        limits::fits_text(text, self.limit).map(|()| text)
    }

    /// The microseconds, where the server would not round them.
    fn unrounded(&self, micros: i64) -> Result<i64, Misfit> {
        limits::fits_micros(micros, self.limit).map(|()| micros)
    }
}

impl<'a> Values<'a> {
    fn of(array: &'a dyn Array, kind: &Kind, limit: Limit) -> Option<Self> {
        let expected = data_type(kind);
        let same = match (array.data_type(), &expected) {
            // The names and metadata of elements do not matter.
            (arrow_schema::DataType::List(a), arrow_schema::DataType::List(b)) => {
                a.data_type() == b.data_type()
            }
            (a, b) => a == b,
        };
        if !same {
            return None;
        }
        Some(match kind {
            Kind::Bool => Self::Bool(array.as_boolean_opt()?),
            Kind::Int2 => Self::I16(array.as_primitive_opt::<Int16Type>()?),
            Kind::Int4 => Self::I32(array.as_primitive_opt::<Int32Type>()?),
            Kind::Int8 => Self::I64(array.as_primitive_opt::<Int64Type>()?),
            Kind::Oid => Self::U32(array.as_primitive_opt::<UInt32Type>()?),
            Kind::Float4 => Self::F32(array.as_primitive_opt::<Float32Type>()?),
            Kind::Float8 => Self::F64(array.as_primitive_opt::<Float64Type>()?),
            Kind::Numeric { scale, .. } => match array.as_primitive_opt::<Decimal128Type>() {
                Some(values) => Self::I128(values, *scale),
                None => Self::I256(array.as_primitive_opt::<Decimal256Type>()?, *scale),
            },
            Kind::Text | Kind::Json | Kind::Opaque => Self::Text(array.as_string_opt()?),
            Kind::UuidText => Self::UuidText(array.as_string_opt()?),
            Kind::Jsonb => Self::Jsonb(array.as_string_opt()?),
            Kind::Bytea => Self::Bytes(array.as_binary_opt()?),
            Kind::Uuid => Self::Uuid(array.as_fixed_size_binary_opt()?),
            Kind::Date => Self::Date(array.as_primitive_opt::<Date32Type>()?),
            Kind::Time => Self::Time(array.as_primitive_opt()?),
            Kind::Timestamp => Self::Instant(array.as_primitive_opt()?, false),
            Kind::TimestampTz => Self::Instant(array.as_primitive_opt()?, true),
            Kind::Array(element, oid) => {
                let list: &ListArray = array.as_list_opt()?;
                let array = list.values().as_ref();
                let values = Self::of(array, element, limit)?;
                let cells = Cells { nulls: array.nulls(), values, limit, empty_as_null: false };
                Self::List(list, Box::new(cells), *oid)
            }
        })
    }
}

fn sized(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn days(days: i32) -> Result<i32, Misfit> {
    match days {
        i32::MAX | i32::MIN => Ok(days),
        _ => days.checked_sub(EPOCH_DAYS).ok_or(OUT_OF_RANGE),
    }
}

fn micros(micros: i64) -> Result<i64, Misfit> {
    match micros {
        i64::MAX | i64::MIN => Ok(micros),
        _ => micros.checked_sub(EPOCH_MICROS).ok_or(OUT_OF_RANGE),
    }
}

/// An array of one dimension, numbered from 1, or of none where it is empty.
fn binary_array(
    list: &ListArray,
    elements: &Cells<'_>,
    oid: u32,
    row: usize,
    out: &mut Vec<u8>,
) -> Result<(), Misfit> {
    let range = list.value_offsets()[row]..list.value_offsets()[row + 1];
    let count = range.end - range.start;
    out.extend_from_slice(&i32::from(count > 0).to_be_bytes());
    let has_nulls = range.clone().any(|index| elements.is_null(index as usize));
    out.extend_from_slice(&i32::from(has_nulls).to_be_bytes());
    out.extend_from_slice(&oid.to_be_bytes());
    if count > 0 {
        out.extend_from_slice(&count.to_be_bytes());
        out.extend_from_slice(&1_i32.to_be_bytes());
    }
    range.into_iter().try_for_each(|index| elements.binary(index as usize, out))
}

fn text_array(
    list: &ListArray,
    elements: &Cells<'_>,
    row: usize,
    out: &mut String,
) -> Result<(), Misfit> {
    let range = list.value_offsets()[row]..list.value_offsets()[row + 1];
    let mut element = String::new();
    out.push('{');
    for index in range.clone() {
        if index > range.start {
            out.push(',');
        }
        element.clear();
        if elements.text(index as usize, &mut element)? {
            text::quote_element(&element, out);
        } else {
            out.push_str("NULL");
        }
    }
    out.push('}');
    Ok(())
}

#[cfg(test)]
mod tests;
