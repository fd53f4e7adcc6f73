//! Whether the values of a column mostly differ, by a look at the first ones.

use std::hash::{BuildHasher, RandomState};

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_schema::DataType;

/// Fewer say nothing.
const ROWS_MIN: usize = 1 << 10;
/// More need not be looked at.
const ROWS_MAX: usize = 8 << 10;
/// Of a hundred values, as many as differ where a dictionary is not worth its work: a column with one
/// more in ten of its values seen before has some forty thousand different ones, and the dictionary of a
/// row group takes about as much as they.
const DIFFER_MIN: usize = 90;

/// Whether a dictionary of the column would be about as large as its values.
pub(crate) fn mostly_differ(column: &dyn Array) -> bool {
    let column = column.slice(0, column.len().min(ROWS_MAX));
    let values = column.len() - column.null_count();
    if values < ROWS_MIN {
        return false;
    }
    let Some(mut hashes) = hashes(column.as_ref()) else { return false };
    hashes.sort_unstable();
    hashes.dedup();
    hashes.len() * 100 >= values * DIFFER_MIN
}

/// A hash of each value that is not NULL; `None` for types whose values are not looked at.
fn hashes(column: &dyn Array) -> Option<Vec<u64>> {
    let valid = |row: &usize| column.is_valid(*row);
    let rows = (0..column.len()).filter(valid);
    let hash = RandomState::new();
    Some(match column.data_type() {
        DataType::Utf8 => {
            let texts = column.as_string::<i32>();
            rows.map(|row| hash.hash_one(texts.value(row))).collect()
        }
        DataType::Binary => {
            let binaries = column.as_binary::<i32>();
            rows.map(|row| hash.hash_one(binaries.value(row))).collect()
        }
        data_type => {
            let width = data_type.primitive_width()?;
            let data = column.to_data();
            let bytes = data.buffers().first()?.get(data.offset() * width..)?;
            rows.map(|row| hash.hash_one(&bytes[row * width..(row + 1) * width])).collect()
        }
    })
}

#[cfg(test)]
mod tests {
    use arrow_array::{Decimal128Array, Int64Array, StringArray};

    use super::*;

    #[test]
    fn columns_are_told_apart_by_their_first_values() {
        let rows = 20_000_i64;
        let numbers = |different: i64| -> Int64Array {
            (0..rows).map(|row| Some(row.wrapping_mul(7919) % different)).collect()
        };
        assert!(mostly_differ(&numbers(200_000)));
        assert!(!mostly_differ(&numbers(2_000)));
        assert!(!mostly_differ(&numbers(200_000).slice(0, ROWS_MIN - 1)));
        assert!(mostly_differ(&numbers(200_000).slice(19, ROWS_MIN)));
        let texts: StringArray = (0..rows).map(|row| Some(format!("text {row}"))).collect();
        assert!(mostly_differ(&texts) && mostly_differ(&texts.slice(5, 2000)));
        let same: StringArray =
            (0..rows).map(|row| Some(["one", "two"][row as usize % 2])).collect();
        assert!(!mostly_differ(&same));
        let sparse: Decimal128Array =
            (0..rows).map(|row| (row % 100 == 0).then_some(i128::from(row))).collect();
        assert!(!mostly_differ(&sparse), "mostly NULL");
        let decimals: Decimal128Array = (0..rows).map(|row| Some(i128::from(row))).collect();
        assert!(mostly_differ(&decimals));
    }
}
