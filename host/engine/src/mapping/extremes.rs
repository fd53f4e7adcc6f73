//! Values outside their Arrow type, announced by the field's metadata: infinity as the largest and
//! smallest integer of a date or timestamp, 24:00 as a whole day of a time's units, NaN as the smallest
//! integer of a decimal. A text can say them all.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, Float64Array,
    Int32Array, Int64Array, StringArray,
};
use arrow_buffer::{ArrowNativeType, i256};
use arrow_schema::{DataType, Field, TimeUnit};
use domain::Result;

use super::clock::per_second;
use super::column::{Converted, Misfit, arrow_all, cast_fault, relabeled};

/// Key in a field's metadata: the extremes that its values may stand for, separated by commas.
const KEY: &str = "airlock:extremes";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extreme {
    Infinity,
    MinusInfinity,
    EndOfDay,
    NaN,
}

impl Extreme {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Infinity => "infinity",
            Self::MinusInfinity => "-infinity",
            Self::EndOfDay => "24:00:00",
            Self::NaN => "NaN",
        }
    }
}

/// The extremes that a field's type and metadata allow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    infinity: bool,
    end_of_day: bool,
    nan: bool,
}

impl Words {
    pub(super) fn of(field: &Field) -> Self {
        use DataType as T;
        let Some(list) = field.metadata().get(KEY) else { return Self::default() };
        let has = |word| list.split(',').any(|other| other.trim() == word);
        match field.data_type() {
            T::Date32 | T::Date64 | T::Timestamp(..) => {
                Self { infinity: has("infinity"), ..Self::default() }
            }
            T::Time32(_) | T::Time64(_) => Self { end_of_day: has("24:00"), ..Self::default() },
            T::Decimal128(..) | T::Decimal256(..) => Self { nan: has("NaN"), ..Self::default() },
            _ => Self::default(),
        }
    }

    /// What a destination can hold: a text everything, a floating point number NaN.
    fn held_by(field: &Field) -> Self {
        match field.data_type() {
            DataType::Utf8 => Self { infinity: true, end_of_day: true, nan: true },
            DataType::Float32 | DataType::Float64 => Self { nan: true, ..Self::default() },
            _ => Self::of(field),
        }
    }

    pub(super) fn has(self, extreme: Extreme) -> bool {
        match extreme {
            Extreme::Infinity | Extreme::MinusInfinity => self.infinity,
            Extreme::EndOfDay => self.end_of_day,
            Extreme::NaN => self.nan,
        }
    }

    pub(super) fn admit(self, extreme: Extreme) -> std::result::Result<Extreme, Misfit> {
        if self.has(extreme) { Ok(extreme) } else { Err(Misfit::Extreme) }
    }

    /// Those that `other` has not.
    fn minus(self, other: Self) -> Self {
        Self {
            infinity: self.infinity && !other.infinity,
            end_of_day: self.end_of_day && !other.end_of_day,
            nan: self.nan && !other.nan,
        }
    }

    fn any(self) -> bool {
        self.infinity || self.end_of_day || self.nan
    }
}

/// Whether `from` may hold extremes that `to` has no place for.
pub(super) fn are_lost(from: &Field, to: &Field) -> bool {
    Words::of(from).minus(Words::held_by(to)).any()
}

/// Whether a plain value of `from` could be taken for an extreme of `to`. Texts are read with care;
/// a plain decimal is never so small.
pub(super) fn may_arise(from: &Field, to: &Field) -> bool {
    arising(from, to).any()
}

fn arising(from: &Field, to: &Field) -> Words {
    match from.data_type() {
        DataType::Utf8 | DataType::Null => Words::default(),
        _ => Words { nan: false, ..Words::of(to).minus(Words::of(from)) },
    }
}

/// The rows of a column that hold extremes of its field.
pub(super) fn find(field: &Field, column: &ArrayRef) -> Vec<(usize, Extreme)> {
    find_words(Words::of(field), column)
}

/// The rows of a column in the type of `to` that would be taken for extremes, but are none.
pub(super) fn false_ones(from: &Field, to: &Field, column: &ArrayRef) -> Vec<(usize, Extreme)> {
    find_words(arising(from, to), column)
}

fn find_words(words: Words, column: &ArrayRef) -> Vec<(usize, Extreme)> {
    use DataType as T;
    match column.data_type() {
        T::Date32 if words.infinity => ends(column, i32::MIN, i32::MAX),
        T::Date64 | T::Timestamp(..) if words.infinity => ends(column, i64::MIN, i64::MAX),
        T::Time32(unit) if words.end_of_day => {
            scan(column, &[(day_end(*unit) as i32, Extreme::EndOfDay)])
        }
        T::Time64(unit) if words.end_of_day => scan(column, &[(day_end(*unit), Extreme::EndOfDay)]),
        T::Decimal128(..) if words.nan => scan(column, &[(i128::MIN, Extreme::NaN)]),
        T::Decimal256(..) if words.nan => scan(column, &[(i256::MIN, Extreme::NaN)]),
        _ => Vec::new(),
    }
}

fn ends<N: ArrowNativeType>(column: &ArrayRef, least: N, most: N) -> Vec<(usize, Extreme)> {
    scan(column, &[(least, Extreme::MinusInfinity), (most, Extreme::Infinity)])
}

fn scan<N: ArrowNativeType>(column: &ArrayRef, extremes: &[(N, Extreme)]) -> Vec<(usize, Extreme)> {
    let data = column.to_data();
    let values = &data.buffer::<N>(0)[..column.len()];
    let which = |value: &N| extremes.iter().find(|(number, _)| number == value);
    let found = values.iter().enumerate().filter_map(|(row, value)| Some((row, which(value)?.1)));
    found.filter(|(row, _)| column.is_valid(*row)).collect()
}

/// The column with null instead of its extremes, which no cast understands.
pub(super) fn taken_out(column: &ArrayRef, found: &[(usize, Extreme)]) -> Result<ArrayRef> {
    arrow_select::nullif::nullif(column, &mask(column.len(), found)).map_err(cast_fault)
}

/// The extremes again, in a column of the type of `to`; those without a place there are told.
pub(super) fn put_back(
    to: &Field,
    mut done: Converted,
    found: &[(usize, Extreme)],
) -> Result<Converted> {
    let words = Words::held_by(to);
    let (kept, lost): (Vec<_>, Vec<_>) = found.iter().partition(|(_, it)| words.has(*it));
    done.misfits.extend(lost.into_iter().map(|(row, _)| (row, Misfit::Extreme)));
    if !kept.is_empty() {
        let count = done.column.len();
        let extremes = column_of(to, count, &kept)?;
        let column = arrow_select::zip::zip(&mask(count, &kept), &extremes, &done.column);
        done.column = column.map_err(cast_fault)?;
    }
    Ok(done)
}

fn mask(count: usize, rows: &[(usize, Extreme)]) -> BooleanArray {
    let mut mask = vec![false; count];
    rows.iter().for_each(|(row, _)| mask[*row] = true);
    BooleanArray::from(mask)
}

/// A column of the type of `to` with extremes at their rows.
fn column_of(to: &Field, count: usize, found: &[(usize, Extreme)]) -> Result<ArrayRef> {
    use DataType as T;
    let mut rows = vec![None; count];
    found.iter().for_each(|(row, extreme)| rows[*row] = Some(*extreme));
    let rows = rows.into_iter();
    let column: ArrayRef = match to.data_type() {
        T::Utf8 => Arc::new(rows.map(|it| it.map(Extreme::text)).collect::<StringArray>()),
        T::Date32 => Arc::new(rows.map(|it| it.map(day)).collect::<Date32Array>()),
        T::Time32(unit) => {
            Arc::new(rows.map(|it| it.map(|_| day_end(*unit) as i32)).collect::<Int32Array>())
        }
        T::Time64(unit) => {
            Arc::new(rows.map(|it| it.map(|_| day_end(*unit))).collect::<Int64Array>())
        }
        T::Decimal128(..) => {
            Arc::new(rows.map(|it| it.map(|_| i128::MIN)).collect::<Decimal128Array>())
        }
        T::Decimal256(..) => {
            Arc::new(rows.map(|it| it.map(|_| i256::MIN)).collect::<Decimal256Array>())
        }
        T::Float32 | T::Float64 => {
            let nan: ArrayRef =
                Arc::new(rows.map(|it| it.map(|_| f64::NAN)).collect::<Float64Array>());
            return arrow_all(&nan, to.data_type());
        }
        _ => Arc::new(rows.map(|it| it.map(instant)).collect::<Int64Array>()),
    };
    relabeled(&column, to.data_type())
}

/// The infinity that a text says.
pub(super) fn endless(text: &str) -> Option<Extreme> {
    let (negative, word) = match text.strip_prefix('-') {
        Some(word) => (true, word),
        None => (false, text),
    };
    let extreme = if negative { Extreme::MinusInfinity } else { Extreme::Infinity };
    word.eq_ignore_ascii_case("infinity").then_some(extreme)
}

/// Infinity as a date in days.
pub(super) fn day(extreme: Extreme) -> i32 {
    if extreme == Extreme::MinusInfinity { i32::MIN } else { i32::MAX }
}

/// Infinity as a date in milliseconds, or a timestamp.
pub(super) fn instant(extreme: Extreme) -> i64 {
    if extreme == Extreme::MinusInfinity { i64::MIN } else { i64::MAX }
}

/// 24:00.
pub(super) fn day_end(unit: TimeUnit) -> i64 {
    86_400 * per_second(unit)
}

/// The rows of a column that hold extremes of its field.
pub(crate) fn rows(field: &Field, column: &ArrayRef) -> Vec<usize> {
    find(field, column).into_iter().map(|(row, _)| row).collect()
}

/// The word for the extreme that a row of a column holds, if it holds one.
pub(crate) fn word(field: &Field, column: &ArrayRef, row: usize) -> Option<&'static str> {
    let found = find(field, &column.slice(row, 1));
    found.first().map(|(_, extreme)| extreme.text())
}
