//! The types of values: what goes together, and the words for them.

use arrow_schema::{DataType, TimeUnit};
use domain::{Fault, Result};
use sqlparser::ast::{DataType as Sql, ExactNumberInfo, TimezoneInfo};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

/// Digits of a decimal.
pub(crate) const PRECISION_MAX: u8 = 38;

pub(crate) const INSTANT_UNIT: TimeUnit = TimeUnit::Microsecond;

/// What a type is, as far as operators care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Boolean,
    Integer,
    Decimal,
    Float,
    Text,
    Bytes,
    Date,
    Time,
    Timestamp,
    /// A timestamp with a zone.
    Instant,
    Other,
}

pub(crate) fn kind(data_type: &DataType) -> Kind {
    use DataType as T;
    match data_type {
        T::Null => Kind::Null,
        T::Boolean => Kind::Boolean,
        T::Decimal128(..) | T::Decimal256(..) => Kind::Decimal,
        T::Float16 | T::Float32 | T::Float64 => Kind::Float,
        T::Utf8 => Kind::Text,
        T::Binary => Kind::Bytes,
        T::Date32 => Kind::Date,
        T::Time32(_) | T::Time64(_) => Kind::Time,
        T::Timestamp(_, None) => Kind::Timestamp,
        T::Timestamp(_, Some(_)) => Kind::Instant,
        other if other.is_integer() => Kind::Integer,
        _ => Kind::Other,
    }
}

impl Kind {
    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Decimal | Self::Float)
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Boolean => "a boolean",
            Self::Integer => "a whole number",
            Self::Decimal => "a decimal",
            Self::Float => "a floating point number",
            Self::Text => "a text",
            Self::Bytes => "bytes",
            Self::Date => "a date",
            Self::Time => "a time",
            Self::Timestamp => "a timestamp",
            Self::Instant => "a timestamp with a zone",
            Self::Other => "of a type that expressions only hand on",
        }
    }
}

pub(crate) fn word(data_type: &DataType) -> String {
    kind(data_type).word().to_owned()
}

/// Decimal digits that an integer type may need.
pub(crate) fn digits(integer: &DataType) -> u8 {
    match integer {
        DataType::Int8 | DataType::UInt8 => 3,
        DataType::Int16 | DataType::UInt16 => 5,
        DataType::Int32 | DataType::UInt32 => 10,
        DataType::UInt64 => 20,
        _ => 19,
    }
}

/// The decimal that holds all values of a decimal or an integer type.
pub(crate) fn as_decimal(data_type: &DataType) -> (u8, i8) {
    match data_type {
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            (*precision, *scale)
        }
        integer => (digits(integer), 0),
    }
}

/// A decimal with so many digits before the point and behind it, as far as there is room.
pub(crate) fn decimal(before: i32, scale: i8) -> DataType {
    let precision = (before + i32::from(scale)).clamp(1, i32::from(PRECISION_MAX));
    DataType::Decimal128(precision as u8, scale)
}

/// The type that values of both become when they meet; `None` where they do not.
pub(crate) fn common(left: &DataType, right: &DataType) -> Option<DataType> {
    use DataType as T;
    let (a, b) = (kind(left), kind(right));
    Some(match (left, right) {
        _ if left == right => left.clone(),
        (T::Null, other) | (other, T::Null) => other.clone(),
        (T::Timestamp(unit, zone), T::Timestamp(other, second)) => {
            if zone.is_some() != second.is_some() {
                return None;
            }
            T::Timestamp(*unit.max(other), zone.clone())
        }
        (T::Date32, T::Timestamp(_, None)) => right.clone(),
        (T::Timestamp(_, None), T::Date32) => left.clone(),
        (T::Time32(_) | T::Time64(_), T::Time32(_) | T::Time64(_)) => {
            T::Time64(TimeUnit::Nanosecond)
        }
        _ if a == Kind::Integer && b == Kind::Integer => match (left, right) {
            (T::UInt64, _) | (_, T::UInt64) => T::Decimal128(20, 0),
            _ => T::Int64,
        },
        _ if a == Kind::Float && b == Kind::Float => T::Float64,
        _ if (a, b) == (Kind::Float, Kind::Integer) || (a, b) == (Kind::Integer, Kind::Float) => {
            T::Float64
        }
        _ if a.is_number() && b.is_number() && a != Kind::Float && b != Kind::Float => {
            let ((p1, s1), (p2, s2)) = (as_decimal(left), as_decimal(right));
            let before = |p: u8, s: i8| i32::from(p) - i32::from(s);
            decimal(before(p1, s1).max(before(p2, s2)), s1.max(s2))
        }
        _ => return None,
    })
}

/// The type that a document names: a type of SQL, or one of DataX's words.
///
/// # Errors
/// `expression.type`: there is no such type.
pub fn type_of(text: &str) -> Result<DataType> {
    let dialect = GenericDialect {};
    let parsed = Parser::new(&dialect).with_recursion_limit(8).try_with_sql(text);
    let parsed = parsed.and_then(|mut parser| {
        let parsed = parser.parse_data_type()?;
        parser.expect_token(&sqlparser::tokenizer::Token::EOF)?;
        Ok(parsed)
    });
    parsed.map_err(|_| unknown(text)).and_then(|parsed| of_sql(&parsed))
}

fn unknown(text: &str) -> Fault {
    Fault::user("expression.type", format!("there is no type \"{text}\"")).hint(
        "there are boolean, smallint, int, bigint, decimal(p, s), real, double, text, bytes, date, time, timestamp, timestamptz",
    )
}

pub(crate) fn of_sql(sql: &Sql) -> Result<DataType> {
    use DataType as T;
    Ok(match sql {
        Sql::Boolean | Sql::Bool => T::Boolean,
        Sql::TinyInt(None) => T::Int8,
        Sql::SmallInt(None) | Sql::Int2(None) => T::Int16,
        Sql::Int(None) | Sql::Integer(None) | Sql::Int4(None) => T::Int32,
        Sql::BigInt(None) | Sql::Int8(None) => T::Int64,
        Sql::Real | Sql::Float4 | Sql::Float(ExactNumberInfo::None) => T::Float32,
        Sql::Double(ExactNumberInfo::None) | Sql::DoublePrecision | Sql::Float8 => T::Float64,
        Sql::Numeric(info) | Sql::Decimal(info) | Sql::Dec(info) => of_digits(info, sql)?,
        Sql::Text | Sql::String(None) | Sql::Varchar(None) | Sql::CharacterVarying(None) => T::Utf8,
        Sql::Bytea | Sql::Bytes(None) | Sql::Binary(None) | Sql::Varbinary(None) => T::Binary,
        Sql::Blob(None) => T::Binary,
        Sql::Date => T::Date32,
        Sql::Time(None, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            T::Time64(INSTANT_UNIT)
        }
        Sql::Datetime(None) | Sql::TimestampNtz(None) => T::Timestamp(INSTANT_UNIT, None),
        Sql::Timestamp(digits, zone) => T::Timestamp(
            unit(*digits, sql)?,
            match zone {
                TimezoneInfo::None | TimezoneInfo::WithoutTimeZone => None,
                TimezoneInfo::WithTimeZone | TimezoneInfo::Tz => Some("UTC".into()),
            },
        ),
        Sql::Varchar(Some(_)) | Sql::CharacterVarying(Some(_)) => {
            return Err(unknown(&sql.to_string()).hint("write text, and left(x, n) to cut it"));
        }
        Sql::Custom(name, modifiers) if modifiers.is_empty() => {
            match name.to_string().to_lowercase().as_str() {
                "long" => T::Int64,
                "boolean" => T::Boolean,
                "timestamptz" => T::Timestamp(INSTANT_UNIT, Some("UTC".into())),
                _ => return Err(unknown(&sql.to_string())),
            }
        }
        _ => return Err(unknown(&sql.to_string())),
    })
}

fn of_digits(info: &ExactNumberInfo, sql: &Sql) -> Result<DataType> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => {
            let fault = unknown(&sql.to_string());
            return Err(fault.hint("say how many digits: decimal(18, 2)"));
        }
        ExactNumberInfo::Precision(precision) => (*precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
    };
    let fits = (1..=u64::from(PRECISION_MAX)).contains(&precision)
        && (0..=precision as i64).contains(&scale);
    match fits {
        true => Ok(DataType::Decimal128(precision as u8, scale as i8)),
        false => Err(unknown(&sql.to_string())
            .hint("a decimal has 1 to 38 digits, and no more of them behind the point")),
    }
}

fn unit(digits: Option<u64>, sql: &Sql) -> Result<TimeUnit> {
    match digits {
        Some(0) => Ok(TimeUnit::Second),
        Some(1..=3) => Ok(TimeUnit::Millisecond),
        None | Some(4..=6) => Ok(TimeUnit::Microsecond),
        Some(7..=9) => Ok(TimeUnit::Nanosecond),
        _ => Err(unknown(&sql.to_string())),
    }
}
