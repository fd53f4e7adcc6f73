//! How values of MySQL's types travel, and the Arrow types that they travel as.

use arrow_schema::{DataType, TimeUnit};
use serde::{Deserialize, Serialize};

/// Digits of a decimal that 128 bits hold.
pub const DECIMAL128_DIGITS: u8 = 38;

/// How values of a column travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// `bit(1)`.
    Bool,
    /// `bit(n)`.
    Bits,
    /// Bytes of an integer, and whether it is unsigned.
    Int(u8, bool),
    Year,
    Float,
    Double,
    /// Digits, and those behind the point.
    Decimal(u8, i8),
    Text,
    Bytes,
    Date,
    /// A text: it may be negative, or longer than a day.
    Time,
    /// Without a zone.
    DateTime,
    /// An instant.
    Timestamp,
}

/// The Arrow type of a column's values.
pub fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Bool => DataType::Boolean,
        Kind::Bits => DataType::UInt64,
        Kind::Int(1, false) => DataType::Int8,
        Kind::Int(1, true) => DataType::UInt8,
        Kind::Int(2, false) => DataType::Int16,
        Kind::Int(2, true) | Kind::Year => DataType::UInt16,
        Kind::Int(4, false) => DataType::Int32,
        Kind::Int(4, true) => DataType::UInt32,
        Kind::Int(_, false) => DataType::Int64,
        Kind::Int(_, true) => DataType::UInt64,
        Kind::Float => DataType::Float32,
        Kind::Double => DataType::Float64,
        Kind::Decimal(digits, scale) if digits <= DECIMAL128_DIGITS => {
            DataType::Decimal128(digits, scale)
        }
        Kind::Decimal(digits, scale) => DataType::Decimal256(digits, scale),
        Kind::Text | Kind::Time => DataType::Utf8,
        Kind::Bytes => DataType::Binary,
        Kind::Date => DataType::Date32,
        Kind::DateTime => DataType::Timestamp(TimeUnit::Microsecond, None),
        Kind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    }
}

impl Kind {
    /// Whether a server can have columns of the kind.
    pub(super) fn is_known(self) -> bool {
        match self {
            Self::Int(width, _) => matches!(width, 1 | 2 | 4 | 8),
            Self::Decimal(digits, scale) => {
                (1..=76).contains(&digits) && (0..=digits as i8).contains(&scale)
            }
            _ => true,
        }
    }
}
