//! Fingerprints of rows: 128 bits that two rows have in common where their values are equal, however
//! they came to be.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use domain::port::Form;
use domain::verify::Print;
use serde_json::Value;
use twox_hash::xxhash3_128::Hasher;

/// The hash of a value that is not there. Others can't be told from it with a chance of 1 in 2^128.
const NULL: u128 = 0;

/// How the rows of a dataset become fingerprints.
#[derive(Clone, Debug)]
pub(crate) struct Printer {
    forms: Vec<Form>,
    /// Columns that make the key.
    key: Vec<usize>,
}

impl Printer {
    pub(crate) fn new(forms: Vec<Form>, key: Vec<usize>) -> Self {
        Self { forms, key }
    }

    pub(crate) fn forms(&self) -> &[Form] {
        &self.forms
    }

    pub(crate) fn key(&self) -> &[usize] {
        &self.key
    }

    /// One fingerprint a row. Without a key all rows have the same.
    pub(crate) fn print(&self, rows: &RecordBatch) -> Vec<Print> {
        let columns = self.columns(rows);
        let all = (0..columns.len()).collect::<Vec<_>>();
        let print =
            |row| Print { key: mix(&columns, &self.key, row), row: mix(&columns, &all, row) };
        (0..rows.num_rows()).map(print).collect()
    }

    /// The hashes of each column's values.
    pub(crate) fn columns(&self, rows: &RecordBatch) -> Vec<Vec<u128>> {
        let form = |index: usize| self.forms.get(index).copied().unwrap_or_default();
        let columns = rows.columns().iter().enumerate();
        columns.map(|(index, column)| hashes(column, form(index))).collect()
    }
}

/// The hash of a row's values in some columns, one after another: no sum of them, so that values that
/// change places are noticed.
fn mix(columns: &[Vec<u128>], which: &[usize], row: usize) -> u128 {
    which.iter().fold(NULL, |hash, column| pair(hash, columns[*column][row]))
}

fn pair(one: u128, other: u128) -> u128 {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(&one.to_le_bytes());
    bytes[16..].copy_from_slice(&other.to_le_bytes());
    Hasher::oneshot(&bytes)
}

/// One hash a value.
fn hashes(column: &ArrayRef, form: Form) -> Vec<u128> {
    let of = |hash: &dyn Fn(usize) -> u128| -> Vec<u128> {
        let hash = |row| if column.is_null(row) { NULL } else { hash(row) };
        (0..column.len()).map(hash).collect()
    };
    if form == Form::Reshaped {
        return of(&|_| 1);
    }
    match column.data_type() {
        DataType::Null => vec![NULL; column.len()],
        DataType::Boolean => {
            let values = column.as_boolean();
            of(&|row| Hasher::oneshot(&[u8::from(values.value(row))]))
        }
        DataType::Float16 => {
            let values = column.as_primitive::<Float16Type>().values();
            of(&|row| float(f64::from(values[row])))
        }
        DataType::Float32 => {
            let values = column.as_primitive::<Float32Type>().values();
            of(&|row| float(f64::from(values[row])))
        }
        DataType::Float64 => {
            let values = column.as_primitive::<Float64Type>().values();
            of(&|row| float(values[row]))
        }
        DataType::Utf8 => {
            let values = column.as_string::<i32>();
            of(&|row| text(values.value(row), form))
        }
        DataType::Binary => {
            let values = column.as_binary::<i32>();
            of(&|row| Hasher::oneshot(values.value(row)))
        }
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            of(&elements(list.value_offsets(), &hashes(list.values(), form)))
        }
        DataType::Map(_, _) => {
            let map = column.as_map();
            let parts = map.entries().columns().iter();
            let parts: Vec<_> = parts.map(|part| hashes(part, form)).collect();
            of(&elements(map.value_offsets(), &rows_of(&parts, map.entries().len())))
        }
        DataType::FixedSizeList(_, width) => {
            let values = hashes(column.as_fixed_size_list().values(), form);
            let width = *width as usize;
            of(&|row| values[row * width..(row + 1) * width].iter().fold(1, |a, b| pair(a, *b)))
        }
        DataType::Struct(_) => {
            let parts = column.as_struct().columns().iter();
            let parts: Vec<_> = parts.map(|part| hashes(part, form)).collect();
            let rows = rows_of(&parts, column.len());
            of(&|row| rows[row])
        }
        kind => {
            let (data, width) = (column.to_data(), width(kind));
            let (bytes, from) = (data.buffers()[0].as_slice(), data.offset());
            of(&|row| Hasher::oneshot(&bytes[(from + row) * width..][..width]))
        }
    }
}

/// Bytes of a value that is hashed as it is: the types of both sides are the same, so are units and scales.
fn width(kind: &DataType) -> usize {
    match kind {
        DataType::FixedSizeBinary(width) => *width as usize,
        kind => kind.primitive_width().unwrap_or(0),
    }
}

/// The elements of each list one after another, behind a mark that tells an empty list from null.
fn elements<'a>(offsets: &'a [i32], values: &'a [u128]) -> impl Fn(usize) -> u128 + 'a {
    |row| {
        let range = offsets[row] as usize..offsets[row + 1] as usize;
        values[range].iter().fold(1, |a, b| pair(a, *b))
    }
}

fn rows_of(parts: &[Vec<u128>], count: usize) -> Vec<u128> {
    (0..count).map(|row| parts.iter().fold(1, |a, part| pair(a, part[row]))).collect()
}

/// Zero has no sign, and all that is no number is one.
fn float(value: f64) -> u128 {
    let value = if value.is_nan() { f64::NAN } else { value + 0.0 };
    Hasher::oneshot(&value.to_le_bytes())
}

fn text(text: &str, form: Form) -> u128 {
    match form {
        Form::EmptyIsNull if text.is_empty() => NULL,
        Form::Padded => Hasher::oneshot(text.trim_end_matches(' ').as_bytes()),
        Form::Json => match serde_json::from_str(text) {
            Ok(value) => json(&value),
            Err(_) => Hasher::oneshot(text.as_bytes()),
        },
        Form::Uuid => {
            let digits = text.bytes().filter(u8::is_ascii_hexdigit);
            let digits: Vec<_> = digits.map(|digit| digit.to_ascii_lowercase()).collect();
            Hasher::oneshot(&digits)
        }
        _ => Hasher::oneshot(text.as_bytes()),
    }
}

/// Equal where the values are: the order of an object's members, blanks, and how a number is written
/// don't count.
fn json(value: &Value) -> u128 {
    let tagged = |tag: u128, value| pair(tag, value);
    match value {
        Value::Null => tagged(2, NULL),
        Value::Bool(value) => tagged(3, u128::from(*value)),
        Value::Number(number) => {
            // Whole numbers are one, with and without decimals.
            let float_value = number.as_f64().unwrap_or(f64::NAN);
            match number.as_i64().map(i128::from).or(number.as_u64().map(i128::from)) {
                Some(whole) if whole.unsigned_abs() > 1 << 53 => tagged(4, whole as u128),
                _ => tagged(5, float(float_value)),
            }
        }
        Value::String(text) => tagged(6, Hasher::oneshot(text.as_bytes())),
        Value::Array(items) => tagged(7, items.iter().fold(1, |a, item| pair(a, json(item)))),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                pair(Hasher::oneshot(name.as_bytes()), json(value))
            };
            tagged(8, members.iter().map(member).fold(0, u128::wrapping_add))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::Int64Type;
    use arrow_array::{Float64Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray};
    use arrow_schema::{Field, Schema};

    use super::*;

    fn batch(columns: Vec<ArrayRef>) -> RecordBatch {
        let field = |(index, column): (usize, &ArrayRef)| {
            Field::new(format!("c{index}"), column.data_type().clone(), true)
        };
        let fields: Vec<_> = columns.iter().enumerate().map(field).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    }

    fn one(column: ArrayRef, form: Form) -> Vec<u128> {
        let prints = Printer::new(vec![form], Vec::new()).print(&batch(vec![column]));
        prints.into_iter().map(|print| print.row).collect()
    }

    fn texts(values: &[&str], form: Form) -> Vec<u128> {
        one(Arc::new(StringArray::from(values.to_vec())), form)
    }

    fn all_equal(prints: &[u128]) -> bool {
        prints.iter().all(|print| *print == prints[0])
    }

    fn all_differ(prints: &[u128]) -> bool {
        (1..prints.len()).all(|index| !prints[..index].contains(&prints[index]))
    }

    #[test]
    fn equal_values_have_one_fingerprint() {
        let zeros = Float64Array::from(vec![0.0, -0.0]);
        assert!(all_equal(&one(Arc::new(zeros), Form::Same)));
        let none = Float64Array::from(vec![f64::NAN, -f64::NAN]);
        assert!(all_equal(&one(Arc::new(none), Form::Same)));
        assert!(all_equal(&texts(&["a", "a  "], Form::Padded)));
        let json = ["{\"a\":1,\"b\":[1.50]}", "{ \"b\": [15e-1], \"a\": 1.0 }"];
        assert!(all_equal(&texts(&json, Form::Json)));
        let uuids = ["A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11", "{a0eebc999c0b4ef8bb6d6bb9bd380a11}"];
        assert!(all_equal(&texts(&uuids, Form::Uuid)));
        let empty = StringArray::from(vec![Some(""), None]);
        assert!(all_equal(&one(Arc::new(empty), Form::EmptyIsNull)));
        assert!(all_equal(&texts(&["1 day", "24:00:00"], Form::Reshaped)));
    }

    #[test]
    fn other_values_have_others() {
        let empty = StringArray::from(vec![Some(""), None, Some("a"), Some("a ")]);
        assert!(all_differ(&one(Arc::new(empty), Form::Same)));
        let json = ["{\"a\":null}", "{}", "{\"a\":\"1\"}", "{\"a\":1}", "[\"a\",1]", "\"a\"", "no"];
        assert!(all_differ(&texts(&json, Form::Json)));
        assert!(all_differ(&texts(&["9007199254740993", "9007199254740992"], Form::Json)));
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([
            None,
            Some(vec![]),
            Some(vec![None]),
            Some(vec![Some(1), Some(2)]),
            Some(vec![Some(2), Some(1)]),
        ]);
        assert!(all_differ(&one(Arc::new(lists), Form::Same)));
        let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(0), None]));
        let field = Arc::new(Field::new("x", DataType::Int64, true));
        let pairs = StructArray::from(vec![(field, values)]);
        assert!(all_differ(&one(Arc::new(pairs), Form::Same)));
    }

    #[test]
    fn values_that_change_places_are_noticed() {
        let sum = |left: [i64; 2], right: [i64; 2]| {
            let column = |values: [i64; 2]| Arc::new(Int64Array::from(values.to_vec())) as ArrayRef;
            let printer = Printer::new(Vec::new(), Vec::new());
            let prints = printer.print(&batch(vec![column(left), column(right)]));
            prints.iter().fold(0, |sum: u128, print| sum.wrapping_add(print.row))
        };
        assert_eq!(sum([1, 2], [3, 4]), sum([2, 1], [4, 3]));
        assert_ne!(sum([1, 2], [3, 4]), sum([1, 2], [4, 3]));
        assert_ne!(sum([1, 2], [3, 4]), sum([3, 4], [1, 2]));
    }

    #[test]
    fn slices_are_read_where_they_are() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3), Some(4)]));
        let names: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c", "d"]));
        let printer = Printer::new(Vec::new(), vec![1]);
        let whole = batch(vec![numbers, names]);
        assert_eq!(printer.print(&whole.slice(1, 2)), printer.print(&whole)[1..3]);
        assert_eq!(printer.print(&whole)[0].key, printer.print(&whole.slice(0, 1))[0].key);
    }
}
