//! Values as text: what CSV and JSON lines write for every Arrow type.
//!
//! Numbers keep all their digits. Dates and times are ISO 8601; a timestamp with a zone is written in UTC
//! with `Z`. Bytes are base64. Lists, structs and maps are JSON. Infinite and undefined floats are
//! `NaN`, `Infinity` and `-Infinity` (in JSON as strings), which a declared double reads back. The extremes
//! of dates and timestamps are `infinity` and `-infinity` where the field says that they mean it.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type,
    Decimal256Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field, TimeUnit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::bounds::ANSWER_BYTES_MAX;
use crate::fault::{Fault, Result};
use crate::kind;
use crate::temporal::{self, Pattern};
use crate::value;
use crate::written;

/// What a printed text is, for the format that frames it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Number,
    /// A number, unless it begins with a letter.
    Float,
    Boolean,
    /// Digits and signs that need no escape: dates, base64.
    Plain,
    Text,
    /// JSON as somebody wrote it.
    Json,
    /// JSON as it is made here.
    Nested,
}

/// How dates and times are written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Style {
    /// Between date and time of day: a blank, or `T`.
    #[serde(with = "written::byte")]
    pub separator: u8,
    /// For dates and timestamps.
    pub date: Option<Pattern>,
}

type Print<'a> = Box<dyn Fn(usize, &mut Vec<u8>) + 'a>;

/// Prints the values of one column.
pub struct Printer<'a> {
    pub shape: Shape,
    nulls: Option<NullBuffer>,
    print: Print<'a>,
}

impl<'a> Printer<'a> {
    /// # Errors
    /// `format.type`, for a type without a text.
    pub fn new(field: &Field, array: &'a ArrayRef, style: &'a Style) -> Result<Self> {
        let (shape, print) = print(field, array, style)?;
        Ok(Self { shape, nulls: array.logical_nulls(), print })
    }

    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// Appends the text of a value that is not NULL, without quotes or escapes.
    pub fn push(&self, row: usize, out: &mut Vec<u8>) {
        (self.print)(row, out);
    }

    /// Appends the value as JSON.
    pub fn push_json(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            return out.extend_from_slice(b"null");
        }
        let from = out.len();
        match self.shape {
            Shape::Number | Shape::Boolean | Shape::Nested => self.push(row, out),
            Shape::Float => {
                self.push(row, out);
                if out[from..].iter().any(|byte| matches!(byte, b'N' | b'I')) {
                    out.insert(from, b'"');
                    out.push(b'"');
                }
            }
            Shape::Plain => {
                out.push(b'"');
                self.push(row, out);
                out.push(b'"');
            }
            Shape::Text => {
                out.push(b'"');
                self.push(row, out);
                close_json(from, out);
            }
            Shape::Json => {
                self.push(row, out);
                match serde_json::from_slice::<serde::de::IgnoredAny>(&out[from..]) {
                    // Line ends stand only between the tokens of valid JSON.
                    Ok(_) => out[from..].iter_mut().for_each(|byte| {
                        if matches!(byte, b'\n' | b'\r') {
                            *byte = b' ';
                        }
                    }),
                    Err(_) => quote_json(from, out),
                }
            }
        }
    }
}

/// Makes a JSON string of the text from `from` on.
fn quote_json(from: usize, out: &mut Vec<u8>) {
    out.insert(from, b'"');
    close_json(from, out);
}

/// Makes a JSON string of the text behind the quote at `from`.
fn close_json(from: usize, out: &mut Vec<u8>) {
    let special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    if !out[from + 1..].iter().any(special) {
        out.push(b'"');
        return;
    }
    let text = out.split_off(from + 1);
    for byte in text {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                push_hex(byte, out);
            }
            byte => out.push(byte),
        }
    }
    out.push(b'"');
}

/// A name as JSON.
pub fn json_name(name: &str) -> Vec<u8> {
    let mut out = name.as_bytes().to_vec();
    quote_json(0, &mut out);
    out
}

fn print<'a>(field: &Field, array: &'a ArrayRef, style: &'a Style) -> Result<(Shape, Print<'a>)> {
    use Shape::{Float, Number, Text};
    Ok(match array.data_type() {
        DataType::Null => (Shape::Plain, Box::new(|_, _| {})),
        DataType::Boolean => {
            let values = array.as_boolean();
            let word = |value| if value { b"true".as_slice() } else { b"false" };
            (
                Shape::Boolean,
                Box::new(move |row, out| out.extend_from_slice(word(values.value(row)))),
            )
        }
        DataType::Int8 => (Number, integer::<Int8Type>(array)),
        DataType::Int16 => (Number, integer::<Int16Type>(array)),
        DataType::Int32 => (Number, integer::<Int32Type>(array)),
        DataType::Int64 => (Number, integer::<Int64Type>(array)),
        DataType::UInt8 => (Number, integer::<UInt8Type>(array)),
        DataType::UInt16 => (Number, integer::<UInt16Type>(array)),
        DataType::UInt32 => (Number, integer::<UInt32Type>(array)),
        DataType::UInt64 => {
            let values = array.as_primitive::<UInt64Type>();
            (Number, Box::new(move |row, out| value::push_u64(values.value(row), out)))
        }
        DataType::Float16 => {
            let values = array.as_primitive::<Float16Type>();
            (Float, Box::new(move |row, out| value::push_float(values.value(row).to_f32(), out)))
        }
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>();
            (Float, Box::new(move |row, out| value::push_float(values.value(row), out)))
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>();
            (Float, Box::new(move |row, out| value::push_float(values.value(row), out)))
        }
        DataType::Decimal32(_, scale) => (Number, decimal::<Decimal32Type>(array, *scale)),
        DataType::Decimal64(_, scale) => (Number, decimal::<Decimal64Type>(array, *scale)),
        DataType::Decimal128(_, scale) => (Number, decimal::<Decimal128Type>(array, *scale)),
        DataType::Decimal256(_, scale) => {
            let (values, scale) = (array.as_primitive::<Decimal256Type>(), *scale);
            (
                Number,
                Box::new(move |row, out| {
                    value::push_decimal256(values.value(row), scale, out);
                }),
            )
        }
        DataType::Utf8 => {
            let values = array.as_string::<i32>();
            let name = field.metadata().get("ARROW:extension:name");
            let shape = match name.is_some_and(|name| *name == *"arrow.json") {
                true => Shape::Json,
                false => Text,
            };
            (shape, Box::new(move |row, out| out.extend_from_slice(values.value(row).as_bytes())))
        }
        DataType::Binary => {
            let values = array.as_binary::<i32>();
            (Shape::Plain, Box::new(move |row, out| push_base64(values.value(row), out)))
        }
        DataType::FixedSizeBinary(_) => fixed_binary(field, array),
        data_type if data_type.is_nested() => (Shape::Nested, nested(array)?),
        data_type => (Shape::Plain, endless(field, array, temporal(data_type, array, style)?)),
    })
}

fn integer<'a, T>(array: &'a ArrayRef) -> Print<'a>
where
    T: ArrowPrimitiveType,
    T::Native: Into<i64>,
{
    let values = array.as_primitive::<T>();
    Box::new(move |row, out| value::push_i64(values.value(row).into(), out))
}

fn decimal<'a, T>(array: &'a ArrayRef, scale: i8) -> Print<'a>
where
    T: ArrowPrimitiveType,
    T::Native: Into<i128>,
{
    let values = array.as_primitive::<T>();
    Box::new(move |row, out| value::push_decimal(values.value(row).into(), scale, out))
}

fn push_base64(bytes: &[u8], out: &mut Vec<u8>) {
    let from = out.len();
    out.resize(from + bytes.len().div_ceil(3) * 4, 0);
    // The room is exactly what the bytes take.
    let written = STANDARD.encode_slice(bytes, &mut out[from..]).unwrap_or(0);
    out.truncate(from + written);
}

fn push_hex(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

/// A UUID as people write it, other bytes as base64.
fn fixed_binary<'a>(field: &Field, array: &'a ArrayRef) -> (Shape, Print<'a>) {
    let values = array.as_fixed_size_binary();
    let name = field.metadata().get("ARROW:extension:name");
    let is_uuid = name.is_some_and(|name| *name == *"arrow.uuid");
    let print: Print<'a> = match is_uuid {
        false => Box::new(move |row, out| push_base64(values.value(row), out)),
        true => Box::new(move |row, out| {
            for (at, byte) in values.value(row).iter().enumerate() {
                if matches!(at, 4 | 6 | 8 | 10) {
                    out.push(b'-');
                }
                push_hex(*byte, out);
            }
        }),
    };
    (Shape::Plain, print)
}

fn temporal<'a>(data_type: &DataType, array: &'a ArrayRef, style: &'a Style) -> Result<Print<'a>> {
    Ok(match data_type {
        DataType::Date32 => {
            let values = array.as_primitive::<Date32Type>();
            date(style, move |row| i64::from(values.value(row)))
        }
        DataType::Date64 => {
            let values = array.as_primitive::<Date64Type>();
            date(style, move |row| values.value(row).div_euclid(86_400_000))
        }
        DataType::Time32(TimeUnit::Second) => {
            let values = array.as_primitive::<Time32SecondType>();
            time(1, move |row| i64::from(values.value(row)))
        }
        DataType::Time32(_) => {
            let values = array.as_primitive::<Time32MillisecondType>();
            time(1000, move |row| i64::from(values.value(row)))
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            let values = array.as_primitive::<Time64MicrosecondType>();
            time(1_000_000, move |row| values.value(row))
        }
        DataType::Time64(_) => {
            let values = array.as_primitive::<Time64NanosecondType>();
            time(1_000_000_000, move |row| values.value(row))
        }
        DataType::Timestamp(unit, zone) => {
            let instant = zone.is_some();
            match unit {
                TimeUnit::Second => timestamp::<TimestampSecondType>(array, 1, instant, style),
                TimeUnit::Millisecond => {
                    timestamp::<TimestampMillisecondType>(array, 1_000, instant, style)
                }
                TimeUnit::Microsecond => {
                    timestamp::<TimestampMicrosecondType>(array, 1_000_000, instant, style)
                }
                TimeUnit::Nanosecond => {
                    timestamp::<TimestampNanosecondType>(array, 1_000_000_000, instant, style)
                }
            }
        }
        other => {
            let message = format!("values of the type {other} have no text");
            return Err(
                Fault::user("format.type", message).hint("write Parquet, or leave the column out")
            );
        }
    })
}

/// Prints the extremes as what they mean, where the field says that they mean it.
fn endless<'a>(field: &Field, array: &'a ArrayRef, print: Print<'a>) -> Print<'a> {
    let meaning = field.metadata().get(kind::EXTREMES);
    if meaning.is_none_or(|meaning| *meaning != *kind::INFINITY) {
        return print;
    }
    let values: Box<dyn Fn(usize) -> Option<bool> + 'a> = match array.data_type() {
        DataType::Date32 => {
            let values = array.as_primitive::<Date32Type>();
            Box::new(|row| extreme(values.value(row), i32::MIN, i32::MAX))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let values = array.as_primitive::<TimestampMicrosecondType>();
            Box::new(|row| extreme(values.value(row), i64::MIN, i64::MAX))
        }
        _ => return print,
    };
    Box::new(move |row, out| match values(row) {
        Some(true) => out.extend_from_slice(b"infinity"),
        Some(false) => out.extend_from_slice(b"-infinity"),
        None => print(row, out),
    })
}

/// Whether a value is the largest, or the smallest.
fn extreme<T: PartialEq>(value: T, least: T, most: T) -> Option<bool> {
    match value {
        value if value == most => Some(true),
        value if value == least => Some(false),
        _ => None,
    }
}

fn date<'a>(style: &'a Style, days: impl Fn(usize) -> i64 + 'a) -> Print<'a> {
    match &style.date {
        None => Box::new(move |row, out| temporal::push_date(days(row), out)),
        Some(pattern) => Box::new(move |row, out| pattern.push(days(row) * 86_400, 1, out)),
    }
}

fn time<'a>(per_second: i64, value: impl Fn(usize) -> i64 + 'a) -> Print<'a> {
    Box::new(move |row, out| {
        let value = value(row);
        let nanos = value.rem_euclid(per_second) * (1_000_000_000 / per_second);
        temporal::push_time(value.div_euclid(per_second), nanos, out);
    })
}

fn timestamp<'a, T: ArrowPrimitiveType<Native = i64>>(
    array: &'a ArrayRef,
    per_second: i64,
    instant: bool,
    style: &'a Style,
) -> Print<'a> {
    let values = array.as_primitive::<T>();
    match &style.date {
        Some(pattern) => Box::new(move |row, out| pattern.push(values.value(row), per_second, out)),
        None => Box::new(move |row, out| {
            temporal::push_timestamp(values.value(row), per_second, style.separator, instant, out);
        }),
    }
}

/// Inside JSON.
static JSON_STYLE: Style = Style { separator: b'T', date: None };

fn nested<'a>(array: &'a ArrayRef) -> Result<Print<'a>> {
    Ok(match array.data_type() {
        DataType::List(field) => {
            let list = array.as_list::<i32>();
            let items = Printer::new(field, list.values(), &JSON_STYLE)?;
            Box::new(move |row, out| {
                let offsets = list.value_offsets();
                push_list(&items, offsets[row] as usize..offsets[row + 1] as usize, out);
            })
        }
        DataType::FixedSizeList(field, size) => {
            let list = array.as_fixed_size_list();
            let (items, size) = (Printer::new(field, list.values(), &JSON_STYLE)?, *size as usize);
            Box::new(move |row, out| push_list(&items, row * size..(row + 1) * size, out))
        }
        DataType::Struct(fields) => {
            let values = array.as_struct();
            let members = fields.iter().zip(values.columns()).map(|(field, column)| {
                Ok((json_name(field.name()), Printer::new(field, column, &JSON_STYLE)?))
            });
            let members = members.collect::<Result<Vec<_>>>()?;
            Box::new(move |row, out| {
                out.push(b'{');
                for (at, (name, member)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(name);
                    out.push(b':');
                    member.push_json(row, out);
                }
                out.push(b'}');
            })
        }
        DataType::Map(field, _) => {
            let map = array.as_map();
            let DataType::Struct(parts) = field.data_type() else {
                return Err(Fault::plugin("format.type", "a map without entries"));
            };
            let keys = Printer::new(&parts[0], map.keys(), &JSON_STYLE)?;
            let values = Printer::new(&parts[1], map.values(), &JSON_STYLE)?;
            Box::new(move |row, out| {
                let offsets = map.value_offsets();
                out.push(b'{');
                for entry in offsets[row] as usize..offsets[row + 1] as usize {
                    if is_beyond_bounds(out) {
                        break;
                    }
                    if entry > offsets[row] as usize {
                        out.push(b',');
                    }
                    let from = out.len();
                    keys.push(entry, out);
                    quote_json(from, out);
                    out.push(b':');
                    values.push_json(entry, out);
                }
                out.push(b'}');
            })
        }
        other => {
            let message = format!("values of the type {other} have no text");
            return Err(Fault::user("format.type", message).hint("leave the column out"));
        }
    })
}

/// The answer will be refused, and need not go on: elements of type null cost nothing, but their texts do.
fn is_beyond_bounds(out: &[u8]) -> bool {
    out.len() > ANSWER_BYTES_MAX
}

fn push_list(items: &Printer<'_>, range: std::ops::Range<usize>, out: &mut Vec<u8>) {
    out.push(b'[');
    let first = range.start;
    for item in range {
        if is_beyond_bounds(out) {
            break;
        }
        if item > first {
            out.push(b',');
        }
        items.push_json(item, out);
    }
    out.push(b']');
}
