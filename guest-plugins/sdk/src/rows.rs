//! Rows of plain values, for sources and destinations where speed does not matter.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, RecordBatch,
    RecordBatchOptions, StringArray,
};
use arrow_schema::{DataType, SchemaRef};

use crate::{Fault, Result};

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A batch of `rows`, whose columns are of type Boolean, Int64, Float64, Utf8 or Binary.
///
/// # Errors
/// `sdk.rows` where a row has another number of values than the schema, or a value of another type.
pub fn to_batch(schema: &SchemaRef, rows: &[Vec<Value>]) -> Result<RecordBatch> {
    let width = schema.fields().len();
    if let Some(row) = rows.iter().position(|row| row.len() != width) {
        let count = rows[row].len();
        return Err(wrong(format!("row {row} has {count} values, the table has {width} fields")));
    }
    let fields = schema.fields().iter().enumerate();
    let columns = fields
        .map(|(index, field)| {
            column(field.data_type(), rows, index)
                .ok_or_else(|| wrong(format!("a value does not fit field \"{}\"", field.name())))
        })
        .collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
        .map_err(|error| wrong(error.to_string()))
}

fn wrong(message: String) -> Fault {
    Fault::plugin("sdk.rows", message)
}

/// `None` where a value is of another type.
fn column(kind: &DataType, rows: &[Vec<Value>], index: usize) -> Option<ArrayRef> {
    let values = rows.iter().map(|row| &row[index]);
    Some(match kind {
        DataType::Boolean => Arc::new(BooleanArray::from(each(values, |value| match value {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        })?)),
        DataType::Int64 => Arc::new(Int64Array::from(each(values, |value| match value {
            Value::Int(number) => Some(*number),
            _ => None,
        })?)),
        DataType::Float64 => Arc::new(Float64Array::from(each(values, |value| match value {
            Value::Float(number) => Some(*number),
            _ => None,
        })?)),
        DataType::Utf8 => Arc::new(StringArray::from(each(values, |value| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })?)),
        DataType::Binary => Arc::new(BinaryArray::from(each(values, |value| match value {
            Value::Bytes(bytes) => Some(bytes.as_slice()),
            _ => None,
        })?)),
        _ => return None,
    })
}

/// What `get` finds in each value that is not null; `None` where it finds nothing.
fn each<'a, T>(
    values: impl Iterator<Item = &'a Value>,
    get: impl Fn(&'a Value) -> Option<T>,
) -> Option<Vec<Option<T>>> {
    values
        .map(|value| match value {
            Value::Null => Some(None),
            value => get(value).map(Some),
        })
        .collect()
}

/// The rows of a batch whose columns are of the types of [`to_batch`].
///
/// # Errors
/// `sdk.rows` for a column of another type.
pub fn from_batch(batch: &RecordBatch) -> Result<Vec<Vec<Value>>> {
    let schema = batch.schema();
    for field in schema.fields() {
        if value_at(&arrow_array::new_null_array(field.data_type(), 1), 0).is_none() {
            let (name, kind) = (field.name(), field.data_type());
            return Err(wrong(format!("field \"{name}\" is of type {kind}, which rows lack")));
        }
    }
    let row = |row| batch.columns().iter().filter_map(|column| value_at(column, row)).collect();
    Ok((0..batch.num_rows()).map(row).collect())
}

/// `None` for a type that rows lack.
fn value_at(column: &ArrayRef, row: usize) -> Option<Value> {
    let is_null = column.is_null(row);
    Some(match column.data_type() {
        DataType::Boolean if !is_null => Value::Bool(column.as_boolean().value(row)),
        DataType::Int64 if !is_null => Value::Int(column.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 if !is_null => {
            Value::Float(column.as_primitive::<Float64Type>().value(row))
        }
        DataType::Utf8 if !is_null => Value::Text(column.as_string::<i32>().value(row).to_owned()),
        DataType::Binary if !is_null => {
            Value::Bytes(column.as_binary::<i32>().value(row).to_owned())
        }
        DataType::Boolean
        | DataType::Int64
        | DataType::Float64
        | DataType::Utf8
        | DataType::Binary => Value::Null,
        _ => return None,
    })
}
