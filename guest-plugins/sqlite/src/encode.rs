//! Arrow to values of SQLite.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Decimal256Type, Float64Type, Int64Type, Time64MicrosecondType,
    TimestampMicrosecondType,
};
use arrow_array::{Array, RecordBatch};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use sdk::{Fault, Result};

use crate::catalog::Column;
use crate::moments;
use crate::types::{Affinity, FLOAT_DIGITS, Kind, data_type};

/// Why a value can't be written: code and words.
pub(crate) type Misfit = (&'static str, &'static str);

const OUT_OF_RANGE: Misfit = (
    "sqlite.value_out_of_range",
    "SQLite has no NaN, and no dates before the year 0 or after 9999",
);
const WOULD_CHANGE: Misfit = (
    "sqlite.value_would_change",
    "the column's declared type makes a number of the text, which is then another one",
);

/// # Errors
/// `sqlite.batch` where a column is of another Arrow type than prepared.
pub(crate) fn check(batch: &RecordBatch, columns: &[Column]) -> Result<()> {
    let same = |column: &Column, array: &dyn Array| *array.data_type() == data_type(column.kind);
    let fits = batch.num_columns() == columns.len()
        && columns.iter().zip(batch.columns()).all(|(column, array)| same(column, array.as_ref()));
    match fits {
        true => Ok(()),
        false => Err(Fault::plugin("sqlite.batch", "the columns of a batch are not as prepared")),
    }
}

/// The value of a column in a row.
pub(crate) fn value<'a>(
    array: &'a dyn Array,
    column: &Column,
    row: usize,
    empty_as_null: bool,
) -> Result<ToSqlOutput<'a>, Misfit> {
    if array.is_null(row) {
        return Ok(owned(Value::Null));
    }
    Ok(match column.kind {
        Kind::Bool => owned(Value::Integer(array.as_boolean().value(row).into())),
        Kind::Int => owned(Value::Integer(array.as_primitive::<Int64Type>().value(row))),
        Kind::Double => match array.as_primitive::<Float64Type>().value(row) {
            // It would be kept as NULL.
            number if number.is_nan() => return Err(OUT_OF_RANGE),
            number => owned(Value::Real(number)),
        },
        Kind::Decimal(..) => {
            let text = match array.as_primitive_opt::<Decimal128Type>() {
                Some(values) => values.value_as_string(row),
                None => array.as_primitive::<Decimal256Type>().value_as_string(row),
            };
            if is_numeric(column.affinity) && !keeps_digits(&text) {
                return Err(WOULD_CHANGE);
            }
            owned(Value::Text(text))
        }
        Kind::Text | Kind::Number | Kind::Json | Kind::Any | Kind::Loose => {
            let text = array.as_string::<i32>().value(row);
            if text.is_empty() && empty_as_null {
                return Ok(owned(Value::Null));
            }
            let is_safe = match column.kind {
                Kind::Number | Kind::Json => keeps_digits(text),
                _ => false,
            };
            if is_numeric(column.affinity) && looks_like_a_number(text) && !is_safe {
                return Err(WOULD_CHANGE);
            }
            ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes()))
        }
        Kind::Bytes => ToSqlOutput::Borrowed(ValueRef::Blob(array.as_binary::<i32>().value(row))),
        Kind::Date => {
            let days = array.as_primitive::<Date32Type>().value(row);
            text(moments::date_text(days.into()))?
        }
        Kind::Time => {
            text(moments::clock_text(array.as_primitive::<Time64MicrosecondType>().value(row)))?
        }
        Kind::DateTime => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            text(moments::moment_text(micros))?
        }
        Kind::Instant => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            text(moments::moment_text(micros).map(|text| text + "+00:00"))?
        }
    })
}

fn owned(value: Value) -> ToSqlOutput<'static> {
    ToSqlOutput::Owned(value)
}

fn text(text: Option<String>) -> Result<ToSqlOutput<'static>, Misfit> {
    text.map(|text| owned(Value::Text(text))).ok_or(OUT_OF_RANGE)
}

/// Whether SQLite makes numbers of texts that look like some.
fn is_numeric(affinity: Affinity) -> bool {
    matches!(affinity, Affinity::Integer | Affinity::Real | Affinity::Numeric)
}

/// Whether SQLite takes a text for a number.
fn looks_like_a_number(text: &str) -> bool {
    let text = text.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let are_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    !exponent.is_empty()
        && [whole, fraction, exponent].into_iter().all(are_digits)
        && !(whole.is_empty() && fraction.is_empty())
}

/// Whether a decimal stays the same number where SQLite keeps it as an integer or a float.
fn keeps_digits(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return !looks_like_a_number(text);
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() && text.split('.').next().is_some_and(|text| text.parse::<i64>().is_ok())
    {
        return true;
    }
    let all = format!("{whole}{fraction}");
    let significant = all.trim_start_matches('0').trim_end_matches('0');
    significant.len() <= FLOAT_DIGITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_sqlite_would_change_are_known() {
        let table = [
            ("12", true, true),
            ("-1.50", true, true),
            ("9223372036854775807", true, true),
            ("9223372036854775807.00", true, true),
            ("9223372036854775808", true, false),
            ("100000000000000000000", true, true),
            ("0.1234567890123456", true, false),
            ("123456789012.345", true, true),
            ("1e5", true, false),
            (" 7 ", true, false),
            (".5", true, true),
            ("007", true, true),
            ("1.2.3", false, true),
            ("abc", false, true),
            ("", false, true),
            ("1e", false, true),
            ("0x10", false, true),
            ("2024-01-02", false, true),
        ];
        for (text, number, kept) in table {
            assert_eq!((looks_like_a_number(text), keeps_digits(text)), (number, kept), "{text}");
        }
    }
}
