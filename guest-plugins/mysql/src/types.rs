//! The types of the server, in Arrow and back.

use arrow_schema::{DataType, Field, TimeUnit};
use sdk::Result;

use crate::catalog::Column;
use crate::wire::Parts;

const EXTENSION_NAME: &str = "ARROW:extension:name";
const EXTENSION_METADATA: &str = "ARROW:extension:metadata";

/// Digits of a decimal that 128 bits hold.
const DECIMAL128_DIGITS: u8 = 38;
/// Digits, and those behind the point, of a decimal of the server at most.
const DIGITS_MAX: u8 = 65;
const SCALE_MAX: i8 = 30;
const BINARY_CHARSET: u16 = 63;

/// A column of a statement's result, as the server describes it.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) nullable: bool,
}

/// How values of a column travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `bit(1)`.
    Bool,
    /// `bit(n)`.
    Bits,
    /// Bytes of an integer, and whether it is unsigned.
    Int(u8, bool),
    Year,
    Float,
    Double,
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

impl Definition {
    pub(crate) fn read(body: &[u8]) -> Result<Self> {
        let mut parts = Parts::new(body);
        for _ in 0..4 {
            parts.text()?;
        }
        let name = String::from_utf8_lossy(parts.text()?).into_owned();
        parts.text()?;
        parts.length()?;
        let charset = parts.number(2)? as u16;
        let length = parts.number(4)? as u32;
        let code = parts.number(1)? as u8;
        let flags = parts.number(2)? as u16;
        let decimals = parts.number(1)? as u8;
        let kind = kind_of(code, flags, charset, length, decimals);
        Ok(Self { name, kind, nullable: flags & 1 == 0 })
    }
}

fn kind_of(code: u8, flags: u16, charset: u16, length: u32, decimals: u8) -> Kind {
    let unsigned = flags & 32 != 0;
    match code {
        0 | 246 => {
            let signs = u32::from(decimals > 0) + u32::from(!unsigned);
            let digits = length.saturating_sub(signs).clamp(1, u32::from(DIGITS_MAX)) as u8;
            Kind::Decimal(digits.max(decimals), decimals as i8)
        }
        1 => Kind::Int(1, unsigned),
        2 => Kind::Int(2, unsigned),
        3 | 9 => Kind::Int(4, unsigned),
        8 => Kind::Int(8, unsigned),
        4 => Kind::Float,
        5 => Kind::Double,
        7 => Kind::Timestamp,
        10 | 14 => Kind::Date,
        11 => Kind::Time,
        12 => Kind::DateTime,
        13 => Kind::Year,
        16 if length <= 1 => Kind::Bool,
        16 => Kind::Bits,
        // NULL itself, and JSON.
        6 | 245 => Kind::Text,
        255 => Kind::Bytes,
        _ if charset == BINARY_CHARSET => Kind::Bytes,
        _ => Kind::Text,
    }
}

/// The kind of a column by its type in SQL, such as `int(10) unsigned`, in lower case.
pub(crate) fn kind_of_type(sql_type: &str) -> Kind {
    let unsigned = sql_type.contains("unsigned") || sql_type.contains("zerofill");
    let (word, rest) = split_word(sql_type);
    let numbers =
        rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).map(|(list, _)| list);
    let mut numbers = numbers.into_iter().flat_map(|list| list.split(','));
    let mut number = || numbers.next().and_then(|text| text.trim().parse::<u8>().ok());
    match word {
        "tinyint" => Kind::Int(1, unsigned),
        "smallint" => Kind::Int(2, unsigned),
        "mediumint" | "int" | "integer" => Kind::Int(4, unsigned),
        "bigint" => Kind::Int(8, unsigned),
        "decimal" | "numeric" => {
            let digits = number().unwrap_or(10);
            Kind::Decimal(digits, number().unwrap_or(0) as i8)
        }
        "float" => Kind::Float,
        "double" | "real" => Kind::Double,
        "bit" if number().unwrap_or(1) == 1 => Kind::Bool,
        "bit" => Kind::Bits,
        "year" => Kind::Year,
        "date" => Kind::Date,
        "time" => Kind::Time,
        "datetime" => Kind::DateTime,
        "timestamp" => Kind::Timestamp,
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Kind::Bytes,
        _ if is_geometry(word) => Kind::Bytes,
        _ => Kind::Text,
    }
}

/// The first word of a type in SQL, and what stands behind it.
fn split_word(sql_type: &str) -> (&str, &str) {
    let end = sql_type.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(sql_type.len());
    sql_type.split_at(end)
}

fn is_geometry(word: &str) -> bool {
    let shape = word.strip_prefix("multi").unwrap_or(word);
    matches!(
        shape,
        "geometry" | "point" | "linestring" | "polygon" | "geometrycollection" | "geomcollection"
    )
}

pub(crate) fn data_type(kind: Kind) -> DataType {
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

/// The Arrow field of a table's column. A type whose texts or bytes only the server can judge names itself.
pub(crate) fn column_field(column: &Column) -> Field {
    let field = field(&column.name, column.kind, column.nullable);
    let (word, _) = split_word(&column.sql_type);
    let (name, metadata) = match word {
        "json" => ("arrow.json", String::new()),
        "enum" | "set" | "time" | "uuid" | "inet4" | "inet6" => opaque(&column.sql_type),
        _ if is_geometry(word) => opaque(&column.sql_type),
        _ => return field,
    };
    let pairs = [(EXTENSION_NAME, name.to_owned()), (EXTENSION_METADATA, metadata)];
    field.with_metadata(pairs.map(|(key, value)| (key.to_owned(), value)))
}

/// The extension for a type of this server, as the specification of `arrow.opaque` says.
fn opaque(sql_type: &str) -> (&'static str, String) {
    let metadata = serde_json::json!({"type_name": sql_type, "vendor_name": "MySQL"});
    ("arrow.opaque", metadata.to_string())
}

/// The Arrow field of a value.
pub(crate) fn field(name: &str, kind: Kind, nullable: bool) -> Field {
    Field::new(name, data_type(kind), nullable)
}

/// The type in SQL that holds all values of a field's Arrow type; `None` where the server has none. A
/// key needs a bound.
pub(crate) fn sql_type(field: &Field, is_key: bool) -> Option<String> {
    Some(match field.data_type() {
        DataType::Boolean => "bit(1)".to_owned(),
        DataType::Int8 => "tinyint".to_owned(),
        DataType::Int16 => "smallint".to_owned(),
        DataType::Int32 => "int".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::UInt8 => "tinyint unsigned".to_owned(),
        DataType::UInt16 => "smallint unsigned".to_owned(),
        DataType::UInt32 => "int unsigned".to_owned(),
        DataType::UInt64 => "bigint unsigned".to_owned(),
        DataType::Float16 | DataType::Float32 => "float".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Decimal128(digits, scale) | DataType::Decimal256(digits, scale)
            if *digits <= DIGITS_MAX && (0..=SCALE_MAX).contains(scale) =>
        {
            format!("decimal({digits},{scale})")
        }
        DataType::Utf8 | DataType::LargeUtf8 if is_key => "varchar(255)".to_owned(),
        DataType::Utf8 | DataType::LargeUtf8 => "longtext".to_owned(),
        DataType::Binary | DataType::LargeBinary if is_key => "varbinary(255)".to_owned(),
        DataType::Binary | DataType::LargeBinary => "longblob".to_owned(),
        DataType::FixedSizeBinary(width @ 1..=255) => format!("binary({width})"),
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "time(6)".to_owned(),
        DataType::Timestamp(_, None) => "datetime(6)".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamp(6)".to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_in_sql_have_kinds() {
        let cases = [
            ("int(10) unsigned", Kind::Int(4, true)),
            ("mediumint(9)", Kind::Int(4, false)),
            ("bigint(20) unsigned zerofill", Kind::Int(8, true)),
            ("decimal(65,30)", Kind::Decimal(65, 30)),
            ("decimal(5,0) unsigned", Kind::Decimal(5, 0)),
            ("bit(1)", Kind::Bool),
            ("bit(12)", Kind::Bits),
            ("varchar(20)", Kind::Text),
            ("enum('unsigned','b')", Kind::Text),
            ("varbinary(20)", Kind::Bytes),
            ("datetime(6)", Kind::DateTime),
            ("timestamp", Kind::Timestamp),
            ("year(4)", Kind::Year),
            ("multipoint", Kind::Bytes),
            ("geometrycollection", Kind::Bytes),
        ];
        for (text, kind) in cases {
            assert_eq!(kind_of_type(text), kind, "{text}");
        }
    }

    #[test]
    fn what_only_the_server_can_judge_names_itself() {
        let name = |sql_type: &str| {
            let field = column_field(&Column::new("c", sql_type, true));
            let name = field.metadata().get(EXTENSION_NAME).cloned();
            (name, field.metadata().get(EXTENSION_METADATA).cloned().unwrap_or_default())
        };
        assert_eq!(name("json").0.as_deref(), Some("arrow.json"));
        let (extension, metadata) = name("enum('a','b')");
        assert_eq!(extension.as_deref(), Some("arrow.opaque"));
        assert_eq!(metadata, r#"{"type_name":"enum('a','b')","vendor_name":"MySQL"}"#);
        assert_eq!(name("point").0.as_deref(), Some("arrow.opaque"));
        assert_eq!(name("datetime(6)").0, None);
        assert_eq!(name("varchar(3)").0, None);
    }
}
