//! Types of columns, and how their values are spelled in a document.

use arrow_schema::{DataType, TimeUnit};
use serde_json::Value;

use crate::date;

/// Digits that an unscaled decimal may have here: it must fit 64 bits.
const DECIMAL_DIGITS_MAX: u8 = 18;

/// The types as documents name them; that of decimals is an example.
pub(crate) const NAMES: [&str; 12] = [
    "string",
    "long",
    "bigint",
    "int",
    "double",
    "decimal(15,2)",
    "bool",
    "boolean",
    "date",
    "timestamp",
    "bytes",
    "binary",
];

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Int,
    Long,
    Double,
    Decimal { precision: u8, scale: i8 },
    Bool,
    Day,
    Moment,
    Bytes,
}

/// One value. Decimals are unscaled, days and microseconds count from 1970.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scalar {
    Null,
    Integer(i64),
    Double(f64),
    Bool(bool),
    Text(String),
}

impl Kind {
    /// Reads `type`; a date is a day where `date_format` has no hours.
    pub(crate) fn parse(text: &str, date_format: &str) -> Result<Self, String> {
        let lower = text.trim().to_ascii_lowercase();
        Ok(match lower.as_str() {
            "string" => Self::Text,
            "int" => Self::Int,
            "long" | "bigint" => Self::Long,
            "double" => Self::Double,
            "bool" | "boolean" => Self::Bool,
            "date" if !date_format.contains(['H', 'm', 's']) => Self::Day,
            "date" | "timestamp" => Self::Moment,
            "bytes" | "binary" => Self::Bytes,
            _ => return decimal(&lower).ok_or_else(|| unknown(text)),
        })
    }

    pub(crate) fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Int => DataType::Int32,
            Self::Long => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Decimal { precision, scale } => DataType::Decimal128(precision, scale),
            Self::Bool => DataType::Boolean,
            Self::Day => DataType::Date32,
            Self::Moment => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Bytes => DataType::Binary,
        }
    }

    /// The value that `text` spells.
    pub(crate) fn read(self, text: &str, date_format: &str) -> Result<Scalar, String> {
        let wrong = |what: &str| format!("\"{text}\" is not {what}");
        match self {
            Self::Text | Self::Bytes => Ok(Scalar::Text(text.to_owned())),
            Self::Int => text.parse::<i32>().map(|it| Scalar::Integer(it.into())).or(Err(())),
            Self::Long => text.parse().map(Scalar::Integer).or(Err(())),
            Self::Double => text.parse().map(Scalar::Double).or(Err(())),
            Self::Bool => text.to_ascii_lowercase().parse().map(Scalar::Bool).or(Err(())),
            Self::Decimal { precision, scale } => {
                unscaled(text, precision, scale).map(Scalar::Integer).ok_or(())
            }
            Self::Day => date::parse(text, date_format)
                .map(|micros| Scalar::Integer(micros.div_euclid(date::DAY_MICROS)))
                .ok_or(()),
            Self::Moment => date::parse(text, date_format).map(Scalar::Integer).ok_or(()),
        }
        .map_err(|()| match self {
            Self::Day | Self::Moment => wrong(&format!("a date in the format \"{date_format}\"")),
            Self::Int => wrong("a whole number of 32 bits"),
            Self::Long => wrong("a whole number of 64 bits"),
            Self::Decimal { precision, scale } => wrong(&format!("a decimal({precision},{scale})")),
            Self::Bool => wrong("true or false"),
            _ => wrong("a number"),
        })
    }

    /// The value of a constant column.
    pub(crate) fn constant(self, value: &Value, date_format: &str) -> Result<Scalar, String> {
        match value {
            Value::Null => Ok(Scalar::Null),
            Value::String(text) => self.read(text, date_format),
            Value::Bool(_) | Value::Number(_) => self.read(&value.to_string(), date_format),
            Value::Array(_) | Value::Object(_) => Err("a value is one text, number or flag".into()),
        }
    }
}

fn unknown(text: &str) -> String {
    format!("unknown type \"{text}\"; known are {}", NAMES.join(", "))
}

fn decimal(text: &str) -> Option<Kind> {
    let (precision, scale) = text
        .strip_prefix("decimal(")?
        .strip_suffix(')')?
        .split_once(',')
        .map(|(p, s)| (p.trim().parse::<u8>().ok(), s.trim().parse::<u8>().ok()))?;
    let (precision, scale) = (precision?, scale?);
    let fits = (1..=DECIMAL_DIGITS_MAX).contains(&precision) && scale <= precision;
    fits.then_some(Kind::Decimal { precision, scale: scale as i8 })
}

/// The digits of `text` without its point; `None` where that would lose any.
fn unscaled(text: &str, precision: u8, scale: i8) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let padding = (scale as usize).checked_sub(fraction.len())?;
    let number: i64 = format!("{whole}{fraction}{}", "0".repeat(padding)).parse().ok()?;
    (number < 10_i64.pow(precision.into())).then_some(sign * number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_lose_nothing() {
        let table = [
            ("12.34", Some(1234)),
            ("-0.5", Some(-50)),
            ("7", Some(700)),
            ("1.230", Some(123)),
            ("1.234", None),
            ("1000", None),
            ("999.99", Some(99999)),
            ("", None),
            (".5", None),
            ("1e3", None),
        ];
        for (text, expected) in table {
            assert_eq!(unscaled(text, 5, 2), expected, "{text}");
        }
    }

    #[test]
    fn types_are_read_by_their_names() {
        assert_eq!(Kind::parse("DATE", "yyyy-MM-dd"), Ok(Kind::Day));
        assert_eq!(Kind::parse("date", "yyyy-MM-dd HH:mm:ss"), Ok(Kind::Moment));
        assert_eq!(
            Kind::parse("decimal(15, 2)", ""),
            Ok(Kind::Decimal { precision: 15, scale: 2 })
        );
        for name in NAMES {
            assert!(Kind::parse(name, "yyyy-MM-dd").is_ok(), "{name}");
        }
        for wrong in ["decimal", "decimal(19,2)", "decimal(2,3)", "varchar", ""] {
            assert!(Kind::parse(wrong, "").is_err(), "{wrong}");
        }
    }
}
