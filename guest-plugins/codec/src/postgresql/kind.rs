//! How values of PostgreSQL's types travel, and the Arrow types that they travel as.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, TimeUnit};
use serde::{Deserialize, Serialize};

use crate::postgresql::interval;

/// Metadata of a field: what its extreme values mean. `infinity`: the largest integer is infinity, the
/// smallest minus infinity (dates, timestamps). `24:00`: 86,400,000,000 µs is the end of the day
/// (times). `NaN`: the smallest integer is no number (decimals).
pub const EXTREMES: &str = "airlock:extremes";
const NAN: &str = "NaN";
pub const EXTENSION_NAME: &str = "ARROW:extension:name";
pub const EXTENSION_METADATA: &str = "ARROW:extension:metadata";

/// Digits that a 128-bit decimal holds.
pub const DECIMAL128_DIGITS: u8 = 38;
/// How values of a type travel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric {
        precision: u8,
        scale: i8,
    },
    Text,
    Json,
    Jsonb,
    Uuid,
    /// A uuid that comes in as its text, to be written; not every text is one.
    UuidText,
    Bytea,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Oid,
    /// One dimension, numbered from 1; with the element's OID for the binary form.
    Array(Box<Kind>, u32),
    /// As the server's text.
    Opaque,
}

/// Where the server would cut or round a value without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Limit {
    None,
    /// Characters of a varchar: blanks beyond them would be cut.
    Characters(u32),
    /// Bytes of a name: those beyond them would be cut.
    Bytes(u32),
    /// The single byte of a `"char"`.
    OneByte,
    /// Decimals of a second: those beyond them would be rounded.
    SecondDecimals(u32),
    /// The smallest field of an interval: those below would be cut.
    Fields(interval::Field),
    /// Decimals of a numeric; below zero, zeros before the point.
    Scale(i32),
}

pub fn data_type(kind: &Kind) -> DataType {
    match kind {
        Kind::Bool => DataType::Boolean,
        Kind::Int2 => DataType::Int16,
        Kind::Int4 => DataType::Int32,
        Kind::Int8 => DataType::Int64,
        Kind::Float4 => DataType::Float32,
        Kind::Float8 => DataType::Float64,
        Kind::Numeric { precision, scale } if *precision <= DECIMAL128_DIGITS => {
            DataType::Decimal128(*precision, *scale)
        }
        Kind::Numeric { precision, scale } => DataType::Decimal256(*precision, *scale),
        Kind::Text | Kind::Json | Kind::Jsonb | Kind::UuidText | Kind::Opaque => DataType::Utf8,
        Kind::Uuid => DataType::FixedSizeBinary(16),
        Kind::Bytea => DataType::Binary,
        Kind::Date => DataType::Date32,
        Kind::Time => DataType::Time64(TimeUnit::Microsecond),
        Kind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        Kind::TimestampTz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Kind::Oid => DataType::UInt32,
        Kind::Array(element, _) => DataType::List(Arc::new(element_field(element))),
    }
}

/// The field of a list's elements.
pub fn element_field(element: &Kind) -> Field {
    let mut metadata = HashMap::new();
    if let Some((extension, text)) = extension(element, "") {
        metadata.insert(EXTENSION_NAME.to_owned(), extension.to_owned());
        metadata.insert(EXTENSION_METADATA.to_owned(), text);
    }
    // Few destinations look for NaN inside of lists, so it does not travel there.
    if let Some(extremes) = extremes(element).filter(|extremes| *extremes != NAN) {
        metadata.insert(EXTREMES.to_owned(), extremes.to_owned());
    }
    Field::new("item", data_type(element), true).with_metadata(metadata)
}

pub fn extension(kind: &Kind, name: &str) -> Option<(&'static str, String)> {
    match kind {
        Kind::Json | Kind::Jsonb => Some(("arrow.json", String::new())),
        Kind::Uuid => Some(("arrow.uuid", String::new())),
        Kind::Opaque | Kind::UuidText => {
            let metadata = serde_json::json!({"type_name": name, "vendor_name": "PostgreSQL"});
            Some(("arrow.opaque", metadata.to_string()))
        }
        _ => None,
    }
}

pub fn extremes(kind: &Kind) -> Option<&'static str> {
    match kind {
        Kind::Date | Kind::Timestamp | Kind::TimestampTz => Some("infinity"),
        Kind::Time => Some("24:00"),
        Kind::Numeric { .. } => Some(NAN),
        _ => None,
    }
}
