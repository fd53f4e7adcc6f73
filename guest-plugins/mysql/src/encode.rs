//! Arrow to the values of an INSERT.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use codec::temporal::civil;
use sdk::{Fault, Result};

use crate::catalog::Column;
use crate::sql;
use crate::types::{Kind, data_type, is_numeral};

/// Why a value cannot be written.
pub(crate) type Misfit = (&'static str, &'static str);

const TOO_LONG: Misfit = ("mysql.value_too_long", "the value is longer than the column");
const ROUNDED: Misfit =
    ("mysql.value_would_change", "the seconds have more decimals than the column");
const PADDED: Misfit =
    ("mysql.value_would_change", "the column would fill the bytes up with zeros to its length");
const OUT_OF_RANGE: Misfit =
    ("mysql.value_out_of_range", "the value lies outside the column's type");
const NOT_FINITE: Misfit = ("mysql.value_out_of_range", "the server has no infinity and no NaN");
const NO_MEMBER: Misfit = (
    "mysql.value_would_change",
    "the number is no member of the column's list, and the server would take it for the place of one",
);
const NO_NULL: Misfit = (
    "mysql.not_null_violation",
    "the column takes no NULL, and the server would put the current time there",
);
const TOO_LARGE: Misfit =
    ("mysql.row_too_large", "the row is larger than the server's max_allowed_packet");

/// A row that must not go to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) row: u32,
    pub(crate) column: Option<u32>,
    pub(crate) misfit: Misfit,
}

/// A row in its form, and which of the batch it is.
pub(crate) struct Line {
    pub(crate) row: u32,
    pub(crate) values: Vec<u8>,
}

/// What a row is for the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Literals, `(…)`.
    Literals,
    /// A line of a file: texts between tabs, for columns that [`is_loaded`].
    Line,
}

/// How values are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) form: Form,
    pub(crate) empty_as_null: bool,
    /// A NULL leaves the column at its default.
    pub(crate) skips_null: bool,
    /// Bytes of a row at most.
    pub(crate) row_bytes: usize,
}

/// The rows of `batch`, whose columns are those of the table one by one.
///
/// # Errors
/// `mysql.batch` where a column is of another Arrow type than prepared.
pub(crate) fn encode(
    batch: &RecordBatch,
    columns: &[Column],
    style: Style,
) -> Result<(Vec<Line>, Vec<Refusal>)> {
    let same = |column: &Column, array: &dyn Array| *array.data_type() == data_type(column.kind);
    if batch.num_columns() != columns.len()
        || !columns.iter().zip(batch.columns()).all(|(column, array)| same(column, array.as_ref()))
    {
        return Err(Fault::plugin("mysql.batch", "the columns of a batch are not as prepared"));
    }
    let (mut lines, mut refusals) = (Vec::new(), Vec::new());
    for row in 0..batch.num_rows() {
        let number = row as u32;
        match line(batch, columns, row, style) {
            Ok(values) if values.len() > style.row_bytes => {
                refusals.push(Refusal { row: number, column: None, misfit: TOO_LARGE });
            }
            Ok(values) => lines.push(Line { row: number, values }),
            Err((column, misfit)) => {
                refusals.push(Refusal { row: number, column: Some(column), misfit });
            }
        }
    }
    Ok((lines, refusals))
}

fn line(
    batch: &RecordBatch,
    columns: &[Column],
    row: usize,
    style: Style,
) -> Result<Vec<u8>, (u32, Misfit)> {
    let is_line = style.form == Form::Line;
    let mut out = if is_line { Vec::new() } else { vec![b'('] };
    for (index, (column, array)) in columns.iter().zip(batch.columns()).enumerate() {
        if index > 0 {
            out.push(if is_line { b'\t' } else { b',' });
        }
        let is_empty = style.empty_as_null
            && column.kind == Kind::Text
            && array.as_string::<i32>().value(row).is_empty();
        match array.is_null(row) || is_empty {
            true if style.skips_null => out.extend_from_slice(b"DEFAULT"),
            true if column.kind == Kind::Timestamp && !column.nullable => {
                return Err((index as u32, NO_NULL));
            }
            true => out.extend_from_slice(if is_line { b"\\N" } else { b"NULL" }),
            false => value(array.as_ref(), column, row, style.form, &mut out)
                .map_err(|misfit| (index as u32, misfit))?,
        }
    }
    out.push(if is_line { b'\n' } else { b')' });
    Ok(out)
}

/// Whether a line of a file says the values of a column as exactly as a literal does: one of bits or
/// bytes does not, and 0 as a text is another year.
pub(crate) fn is_loaded(kind: Kind) -> bool {
    !matches!(kind, Kind::Bool | Kind::Bits | Kind::Bytes | Kind::Year)
}

/// Appends the value, which is not null, as a literal or as what stands between tabs.
fn value(
    array: &dyn Array,
    column: &Column,
    row: usize,
    form: Form,
    out: &mut Vec<u8>,
) -> Result<(), Misfit> {
    let moment = |text: String| match form {
        Form::Literals => format!("'{text}'"),
        Form::Line => text,
    };
    let text = match column.kind {
        Kind::Bool => u8::from(array.as_boolean().value(row)).to_string(),
        Kind::Bits => array.as_primitive::<UInt64Type>().value(row).to_string(),
        Kind::Int(1, false) => array.as_primitive::<Int8Type>().value(row).to_string(),
        Kind::Int(1, true) => array.as_primitive::<UInt8Type>().value(row).to_string(),
        Kind::Int(2, false) => array.as_primitive::<Int16Type>().value(row).to_string(),
        Kind::Int(2, true) => array.as_primitive::<UInt16Type>().value(row).to_string(),
        Kind::Int(4, false) => array.as_primitive::<Int32Type>().value(row).to_string(),
        Kind::Int(4, true) => array.as_primitive::<UInt32Type>().value(row).to_string(),
        Kind::Int(_, false) => array.as_primitive::<Int64Type>().value(row).to_string(),
        Kind::Int(_, true) => array.as_primitive::<UInt64Type>().value(row).to_string(),
        // The server takes 1 to 99 for years of this century and the last.
        Kind::Year => match array.as_primitive::<UInt16Type>().value(row) {
            year @ (0 | 1901..=2155) => format!("{year:04}"),
            _ => return Err(OUT_OF_RANGE),
        },
        // Each float is a double, exactly.
        Kind::Float => float(f64::from(array.as_primitive::<Float32Type>().value(row)))?,
        Kind::Double => float(array.as_primitive::<Float64Type>().value(row))?,
        Kind::Decimal(..) => match array.as_primitive_opt::<Decimal128Type>() {
            Some(values) => values.value_as_string(row),
            None => array.as_primitive::<Decimal256Type>().value_as_string(row),
        },
        Kind::Text | Kind::Time => {
            let text = array.as_string::<i32>().value(row);
            fits(text, column)?;
            match form {
                Form::Literals => sql::quote(text.as_bytes(), out),
                Form::Line => sql::escape(text.as_bytes(), out),
            }
            return Ok(());
        }
        Kind::Bytes => {
            let bytes = array.as_binary::<i32>().value(row);
            match column.length {
                Some(most) if bytes.len() as u64 > most => return Err(TOO_LONG),
                Some(width)
                    if column.sql_type.starts_with("binary") && (bytes.len() as u64) < width =>
                {
                    return Err(PADDED);
                }
                _ => {}
            }
            sql::hex(bytes, out);
            return Ok(());
        }
        Kind::Date => {
            let days = i64::from(array.as_primitive::<Date32Type>().value(row));
            moment(date(days)?)
        }
        Kind::DateTime | Kind::Timestamp => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            moment(instant(micros, column.fraction.unwrap_or(0))?)
        }
    };
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

fn float(value: f64) -> Result<String, Misfit> {
    if value.is_finite() { Ok(format!("{value:e}")) } else { Err(NOT_FINITE) }
}

/// Whether the server keeps a text as it is. It cuts blanks at the end, and decimals of a time, and takes
/// a number for the place of a member or for the bits of several, without a word.
fn fits(text: &str, column: &Column) -> Result<(), Misfit> {
    if let Some(numerals) = &column.numerals {
        let kept = text.trim_end_matches(' ');
        let is_place = is_numeral(text) && !numerals.iter().any(|member| member == kept);
        return if is_place { Err(NO_MEMBER) } else { Ok(()) };
    }
    if column.kind == Kind::Time {
        let digits = text.split_once('.').map_or("", |(_, fraction)| fraction);
        let most = column.fraction.unwrap_or(0) as usize;
        return if digits.trim_end_matches('0').len() > most { Err(ROUNDED) } else { Ok(()) };
    }
    let is_counted = column.sql_type.starts_with("char") || column.sql_type.starts_with("varchar");
    match column.length {
        Some(most) if is_counted && text.chars().count() as u64 > most => Err(TOO_LONG),
        _ => Ok(()),
    }
}

fn date(days: i64) -> Result<String, Misfit> {
    let (year, month, day) = civil(days);
    if !(0..=9999).contains(&year) {
        return Err(OUT_OF_RANGE);
    }
    Ok(format!("{year:04}-{month:02}-{day:02}"))
}

fn instant(micros: i64, decimals: u32) -> Result<String, Misfit> {
    const DAY: i64 = 86_400_000_000;
    let kept = 10_i64.pow(6_u32.saturating_sub(decimals));
    if micros % kept != 0 {
        return Err(ROUNDED);
    }
    let (day, rest) = (date(micros.div_euclid(DAY))?, micros.rem_euclid(DAY));
    let (seconds, fraction) = (rest / 1_000_000, rest % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    Ok(format!("{day} {hour:02}:{minute:02}:{second:02}.{fraction:06}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_or_refused() {
        assert_eq!(instant(-1, 6).unwrap(), "1969-12-31 23:59:59.999999");
        assert_eq!(instant(1_500_000, 1).unwrap(), "1970-01-01 00:00:01.500000");
        assert_eq!(instant(1_500_000, 0), Err(ROUNDED));
        assert_eq!(date(3_000_000), Err(OUT_OF_RANGE));
        assert_eq!(float(f64::from(0.1_f32)).unwrap(), "1.0000000149011612e-1");
        assert_eq!(float(f64::NAN), Err(NOT_FINITE));
    }

    #[test]
    fn what_the_server_would_cut_is_refused() {
        let column = |sql_type: &str, length, fraction| Column {
            length,
            fraction,
            ..Column::new("c", sql_type, true)
        };
        assert_eq!(fits("äö", &column("varchar(2)", Some(2), None)), Ok(()));
        assert_eq!(fits("ab ", &column("char(2)", Some(2), None)), Err(TOO_LONG));
        assert_eq!(fits("-01:00:00.50", &column("time(1)", None, Some(1))), Ok(()));
        assert_eq!(fits("01:00:00.5", &column("time", None, Some(0))), Err(ROUNDED));
    }

    #[test]
    fn a_number_is_no_place_in_a_list() {
        let list = Column::new("c", "enum('a','2','b')", true);
        for text in ["a", "2", "2 ", "other", ""] {
            assert_eq!(fits(text, &list), Ok(()), "{text}");
        }
        for text in ["1", "3", "0", "02", "+2", " 2", "9999999"] {
            assert_eq!(fits(text, &list), Err(NO_MEMBER), "{text}");
        }
        assert_eq!(fits("3", &Column::new("c", "set('a','b')", true)), Err(NO_MEMBER));
        assert_eq!(fits("a,b", &Column::new("c", "set('a','b')", true)), Ok(()));
    }

    #[test]
    fn no_null_becomes_the_current_time() {
        let schema = arrow_schema::Schema::new(vec![arrow_schema::Field::new(
            "at",
            data_type(Kind::Timestamp),
            true,
        )]);
        let column = arrow_array::new_null_array(schema.field(0).data_type(), 1);
        let batch = RecordBatch::try_new(std::sync::Arc::new(schema), vec![column]).unwrap();
        for form in [Form::Literals, Form::Line] {
            let style =
                |skips_null| Style { form, empty_as_null: false, skips_null, row_bytes: 99 };
            let refused = |nullable, skips_null| {
                let columns = [Column::new("at", "timestamp", nullable)];
                encode(&batch, &columns, style(skips_null)).unwrap().1
            };
            assert_eq!(refused(false, false)[0].misfit, NO_NULL);
            assert_eq!((refused(true, false), refused(false, true)), (vec![], vec![]));
        }
    }
}
