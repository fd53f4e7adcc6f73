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
use sdk::{Fault, Result};

use crate::decode::{EPOCH_DAYS, EPOCH_MICROS, SIGNATURE};
use crate::limits::{self, Misfit};
use crate::numeric;
use crate::text;
use crate::types::{Kind, Limit, PgType, data_type};

/// The two forms of a COPY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Binary,
    Text,
}

impl Form {
    /// The form that all columns have.
    pub(crate) fn of<'a>(types: impl IntoIterator<Item = &'a PgType>) -> Self {
        let opaque = types.into_iter().any(|pg| pg.kind == Kind::Opaque);
        if opaque { Self::Text } else { Self::Binary }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Text => "text",
        }
    }
}

/// A row that must not go to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) row: u32,
    pub(crate) column: u32,
    pub(crate) code: &'static str,
    pub(crate) message: &'static str,
}

/// A batch in COPY's form.
pub(crate) struct Encoded {
    pub(crate) bytes: Vec<u8>,
    /// The row of the batch that each line of the COPY holds.
    pub(crate) lines: Vec<u32>,
    pub(crate) refusals: Vec<Refusal>,
}

const OUT_OF_RANGE: Misfit =
    ("postgresql.value_out_of_range", "the value lies outside the column's type");
const NO_UUID: Misfit = ("postgresql.value_invalid", "the text is no uuid");

/// Writes `batch`, whose columns are of `types` one by one.
///
/// # Errors
/// `postgresql.batch` where a column is of another Arrow type than prepared.
pub(crate) fn encode(
    batch: &RecordBatch,
    types: &[PgType],
    form: Form,
    empty_as_null: bool,
) -> Result<Encoded> {
    let columns = types
        .iter()
        .zip(batch.columns())
        .map(|(pg, array)| Cells::of(array.as_ref(), pg, empty_as_null))
        .collect::<Result<Vec<_>>>()?;
    if columns.len() != batch.num_columns() || columns.len() != types.len() {
        return Err(mismatch("the number of columns"));
    }
    let mut encoded = Encoded { bytes: Vec::new(), lines: Vec::new(), refusals: Vec::new() };
    encoded.bytes.reserve(batch.get_array_memory_size());
    if form == Form::Binary {
        encoded.bytes.extend_from_slice(SIGNATURE);
        encoded.bytes.extend_from_slice(&[0; 8]);
    }
    for row in 0..batch.num_rows() {
        let start = encoded.bytes.len();
        let written = match form {
            Form::Binary => binary_row(&columns, row, &mut encoded.bytes),
            Form::Text => text_row(&columns, row, &mut encoded.bytes),
        };
        match written {
            Ok(()) => encoded.lines.push(row as u32),
            Err((column, (code, message))) => {
                encoded.bytes.truncate(start);
                let column = column as u32;
                encoded.refusals.push(Refusal { row: row as u32, column, code, message });
            }
        }
    }
    if form == Form::Binary {
        encoded.bytes.extend_from_slice(&(-1_i16).to_be_bytes());
    }
    Ok(encoded)
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
    array: &'a dyn Array,
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
    fn of(array: &'a dyn Array, pg: &PgType, empty_as_null: bool) -> Result<Self> {
        let empty_as_null = empty_as_null
            && data_type(&pg.kind) == arrow_schema::DataType::Utf8
            && !matches!(pg.kind, Kind::Json | Kind::Jsonb);
        let values = match Values::of(array, &pg.kind, pg.limit) {
            Some(Values::Text(texts)) if pg.name.ends_with("[]") => Values::ArrayText(texts),
            Some(values) => values,
            None => return Err(mismatch(&format!("a column of type {}", pg.name))),
        };
        Ok(Self { array, values, limit: pg.limit, empty_as_null })
    }

    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
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
                let cells = Cells { array, values, limit, empty_as_null: false };
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
