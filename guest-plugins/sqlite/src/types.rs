//! The types that columns are declared with, in Arrow and back.
//!
//! SQLite keeps a type with each value; what a column is declared as only says which one it prefers (its
//! affinity). Words that other databases have for dates, booleans and decimals are taken for what they mean
//! there, and a value that is none of that is told instead of being bent.

use std::collections::HashMap;

use arrow_schema::{DataType, Field, TimeUnit};

/// Digits of a decimal that 128 bits hold, and that 256 bits do.
const DECIMAL128_DIGITS: u8 = 38;
const DECIMAL256_DIGITS: u8 = 76;
/// Digits that every number keeps which SQLite holds as a float.
pub(crate) const FLOAT_DIGITS: usize = 15;
const EXTENSION: &str = "ARROW:extension:name";
const JSON: &str = "arrow.json";

/// How values of a column travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Int,
    Double,
    Decimal(u8, i8),
    /// A number of any size, as text.
    Number,
    Text,
    Json,
    Bytes,
    Date,
    Time,
    /// Without a zone.
    DateTime,
    /// An instant.
    Instant,
    /// Nothing is declared that means a type: values decide.
    Any,
    /// Texts and numbers, as text.
    Loose,
}

/// What SQLite makes of a value that is written to a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Affinity {
    Integer,
    Text,
    None,
    Real,
    Numeric,
}

/// SQLite's own rules, in their order.
pub(crate) fn affinity(declared: &str, is_strict: bool) -> Affinity {
    let declared = declared.to_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
    // Only in a STRICT table it is a type of its own.
    let is_any = is_strict && declared.trim() == "ANY";
    if has(&["INT"]) {
        Affinity::Integer
    } else if has(&["CHAR", "CLOB", "TEXT"]) {
        Affinity::Text
    } else if has(&["BLOB"]) || declared.trim().is_empty() || is_any {
        Affinity::None
    } else if has(&["REAL", "FLOA", "DOUB"]) {
        Affinity::Real
    } else {
        Affinity::Numeric
    }
}

/// The kind of a column by what it is declared as.
pub(crate) fn kind(declared: &str) -> Kind {
    let declared = declared.trim().to_uppercase();
    let (word, digits) = match declared.split_once('(') {
        Some((word, rest)) => (word.trim(), rest.split(')').next().unwrap_or_default()),
        None => (declared.as_str(), ""),
    };
    let has = |part: &str| word.contains(part);
    match word {
        "DATE" => Kind::Date,
        "TIME" => Kind::Time,
        _ if word.starts_with("BOOL") => Kind::Bool,
        _ if word.starts_with("DATETIME") || word.starts_with("TIMESTAMP") => {
            let has_zone = has("TZ") || declared.contains("WITH TIME ZONE") || has("WITH LOCAL");
            if has_zone { Kind::Instant } else { Kind::DateTime }
        }
        _ if has("JSON") && !has("BLOB") => Kind::Json,
        _ if has("DECIMAL") || has("NUMERIC") || matches!(word, "DEC" | "NUMBER") => {
            decimal(digits)
        }
        _ if has("INT") => Kind::Int,
        _ if has("CHAR") || has("CLOB") || has("TEXT") => Kind::Text,
        _ if has("BLOB") || has("BINARY") || word == "BYTEA" => Kind::Bytes,
        _ if has("REAL") || has("FLOA") || has("DOUB") => Kind::Double,
        _ => Kind::Any,
    }
}

fn decimal(digits: &str) -> Kind {
    let mut numbers = digits.split(',').map(|text| text.trim().parse::<u8>().ok());
    let precision = numbers.next().flatten();
    let scale = numbers.next().map_or(Some(0), |scale| scale);
    match (precision, scale) {
        (Some(precision @ 1..=DECIMAL256_DIGITS), Some(scale)) if scale <= precision => {
            Kind::Decimal(precision, scale as i8)
        }
        _ => Kind::Number,
    }
}

pub(crate) fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Bool => DataType::Boolean,
        Kind::Int => DataType::Int64,
        Kind::Double => DataType::Float64,
        Kind::Decimal(digits, scale) if digits <= DECIMAL128_DIGITS => {
            DataType::Decimal128(digits, scale)
        }
        Kind::Decimal(digits, scale) => DataType::Decimal256(digits, scale),
        Kind::Number | Kind::Text | Kind::Json | Kind::Any | Kind::Loose => DataType::Utf8,
        Kind::Bytes => DataType::Binary,
        Kind::Date => DataType::Date32,
        Kind::Time => DataType::Time64(TimeUnit::Microsecond),
        Kind::DateTime => DataType::Timestamp(TimeUnit::Microsecond, None),
        Kind::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    }
}

/// The Arrow field of a column.
pub(crate) fn field(name: &str, kind: Kind, nullable: bool) -> Field {
    let field = Field::new(name, data_type(kind), nullable);
    match kind {
        Kind::Json => field.with_metadata(HashMap::from([(EXTENSION.to_owned(), JSON.to_owned())])),
        _ => field,
    }
}

/// The kind that holds a field's values in a column that takes any.
pub(crate) fn kind_of(field: &Field) -> Kind {
    match field.data_type() {
        DataType::Boolean => Kind::Bool,
        kind if kind.is_integer() && *kind != DataType::UInt64 => Kind::Int,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => Kind::Double,
        DataType::Binary | DataType::LargeBinary | DataType::FixedSizeBinary(_) => Kind::Bytes,
        _ => Kind::Loose,
    }
}

/// The type that a column is declared with so that it holds all values of a field; `None` where there is
/// none. What has more digits than a float keeps is held as text.
pub(crate) fn sql_type(field: &Field) -> Option<String> {
    let is_json = field.metadata().get(EXTENSION).is_some_and(|name| name == JSON);
    Some(match field.data_type() {
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::UInt64 => "DECIMAL_TEXT(20,0)".to_owned(),
        kind if kind.is_integer() => "INTEGER".to_owned(),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Decimal128(digits, scale) | DataType::Decimal256(digits, scale)
            if *scale >= 0 && *scale as u8 <= *digits =>
        {
            let is_kept = usize::from(*digits) <= FLOAT_DIGITS;
            format!("DECIMAL{}({digits},{scale})", if is_kept { "" } else { "_TEXT" })
        }
        DataType::Utf8 | DataType::LargeUtf8 if is_json => "JSON".to_owned(),
        DataType::Utf8 | DataType::LargeUtf8 => "TEXT".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::FixedSizeBinary(_) => {
            "BLOB".to_owned()
        }
        DataType::Date32 | DataType::Date64 => "DATE".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "TIME".to_owned(),
        DataType::Timestamp(_, None) => "DATETIME".to_owned(),
        DataType::Timestamp(_, Some(_)) => "TIMESTAMPTZ".to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_types_have_kinds_and_affinities() {
        use Affinity::{Integer, None, Numeric, Real, Text};
        let cases = [
            ("INTEGER", Kind::Int, Integer),
            ("unsigned big int", Kind::Int, Integer),
            ("VARCHAR(20)", Kind::Text, Text),
            ("clob", Kind::Text, Text),
            ("BLOB", Kind::Bytes, None),
            ("VARBINARY(9)", Kind::Bytes, Numeric),
            ("", Kind::Any, None),
            ("DOUBLE PRECISION", Kind::Double, Real),
            ("NUMERIC", Kind::Number, Numeric),
            ("decimal(10, 2)", Kind::Decimal(10, 2), Numeric),
            ("DECIMAL(5)", Kind::Decimal(5, 0), Numeric),
            ("DECIMAL_TEXT(20,0)", Kind::Decimal(20, 0), Text),
            ("DECIMAL(99,2)", Kind::Number, Numeric),
            ("BOOLEAN", Kind::Bool, Numeric),
            ("DATE", Kind::Date, Numeric),
            ("datetime", Kind::DateTime, Numeric),
            ("TIMESTAMP(6)", Kind::DateTime, Numeric),
            ("TIMESTAMP WITHOUT TIME ZONE", Kind::DateTime, Numeric),
            ("TIMESTAMP(3) WITH TIME ZONE", Kind::Instant, Numeric),
            ("TIMESTAMPTZ", Kind::Instant, Numeric),
            ("TIME", Kind::Time, Numeric),
            ("JSON", Kind::Json, Numeric),
            ("STRING", Kind::Any, Numeric),
            ("UUID", Kind::Any, Numeric),
        ];
        for (declared, expected, preferred) in cases {
            let found = (kind(declared), affinity(declared, false));
            assert_eq!(found, (expected, preferred), "{declared}");
        }
        assert_eq!(affinity("ANY", true), Affinity::None);
    }

    #[test]
    fn created_columns_are_read_as_what_they_were_made_for() {
        let types = [
            DataType::Boolean,
            DataType::Int64,
            DataType::Float64,
            DataType::Decimal128(15, 2),
            DataType::Decimal128(38, 10),
            DataType::Decimal256(76, 76),
            DataType::Utf8,
            DataType::Binary,
            DataType::Date32,
            DataType::Time64(TimeUnit::Microsecond),
            DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ];
        for data in types {
            let declared = sql_type(&Field::new("c", data.clone(), true)).unwrap();
            assert_eq!(data_type(kind(&declared)), data, "{declared}");
        }
    }
}
