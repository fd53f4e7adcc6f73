//! Values outside their Arrow type: infinity as the largest and smallest integer of a date or
//! timestamp, 24:00 as a whole day of microseconds, announced by the field's metadata.

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Time64MicrosecondType, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType};
use arrow_schema::{DataType, Field, TimeUnit};

/// Key in a field's metadata: what its extreme values mean (`infinity`, `24:00`).
const KEY: &str = "airlock:extremes";
const DAY_US: i64 = 86_400_000_000;

/// Whether extremes have a meaning in `from` that `to` does not know. A text can say them.
pub(super) fn are_lost(from: &Field, to: &Field) -> bool {
    match from.metadata().get(KEY) {
        Some(meaning) => {
            to.metadata().get(KEY) != Some(meaning) && *to.data_type() != DataType::Utf8
        }
        None => false,
    }
}

/// The rows of a column that hold an extreme.
pub(super) fn rows(column: &ArrayRef) -> Vec<usize> {
    match column.data_type() {
        DataType::Date32 => find::<Date32Type>(column, &[i32::MIN, i32::MAX]),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            find::<TimestampMicrosecondType>(column, &[i64::MIN, i64::MAX])
        }
        DataType::Time64(TimeUnit::Microsecond) => find::<Time64MicrosecondType>(column, &[DAY_US]),
        _ => Vec::new(),
    }
}

fn find<T: ArrowPrimitiveType>(column: &ArrayRef, extremes: &[T::Native]) -> Vec<usize>
where
    T::Native: PartialEq,
{
    let values = column.as_primitive::<T>();
    let extreme = |row: &usize| !values.is_null(*row) && extremes.contains(&values.value(*row));
    (0..values.len()).filter(extreme).collect()
}
