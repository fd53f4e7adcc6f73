//! Arrays without the layouts that only save memory: dictionaries, views, 64-bit offsets, short decimals.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal32Type, Decimal64Type, Decimal128Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, FixedSizeListArray, ListArray, MapArray, RecordBatch,
    RecordBatchOptions, StringArray, StructArray,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{ArrowError, DataType, FieldRef, SchemaRef};

use crate::own::plain_type;

/// The batch with the fields of `schema`, which [`crate::own::plain_schema`] made of its own.
pub(crate) fn plain_batch(
    batch: &RecordBatch,
    schema: &SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().map(plain).collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
}

/// The same values in an array of [`plain_type`].
pub(crate) fn plain(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let wanted = plain_type(array.data_type());
    if wanted == *array.data_type() {
        return Ok(array.clone());
    }
    Ok(match array.data_type() {
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let values = plain(dictionary.values())?;
            arrow_select::take::take(&values, dictionary.keys(), None)?
        }
        DataType::LargeUtf8 => {
            let texts = array.as_string::<i64>();
            short(texts.value_offsets())?;
            Arc::new(texts.iter().collect::<StringArray>())
        }
        DataType::Utf8View => Arc::new(array.as_string_view().iter().collect::<StringArray>()),
        DataType::LargeBinary => {
            let bytes = array.as_binary::<i64>();
            short(bytes.value_offsets())?;
            Arc::new(bytes.iter().collect::<BinaryArray>())
        }
        DataType::BinaryView => Arc::new(array.as_binary_view().iter().collect::<BinaryArray>()),
        DataType::Decimal32(precision, scale) => {
            let wide = array.as_primitive::<Decimal32Type>().unary::<_, Decimal128Type>(i128::from);
            Arc::new(wide.with_precision_and_scale(*precision, *scale)?)
        }
        DataType::Decimal64(precision, scale) => {
            let wide = array.as_primitive::<Decimal64Type>().unary::<_, Decimal128Type>(i128::from);
            Arc::new(wide.with_precision_and_scale(*precision, *scale)?)
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            Arc::new(ListArray::try_new(items(&wanted)?, offsets, plain(list.values())?, nulls)?)
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let (offsets, nulls) = (short(list.value_offsets())?, list.nulls().cloned());
            Arc::new(ListArray::try_new(items(&wanted)?, offsets, plain(list.values())?, nulls)?)
        }
        DataType::FixedSizeList(_, size) => {
            let list = array.as_fixed_size_list();
            let values = plain(list.values())?;
            let nulls = list.nulls().cloned();
            Arc::new(FixedSizeListArray::try_new(items(&wanted)?, *size, values, nulls)?)
        }
        DataType::Map(_, sorted) => {
            let map = array.as_map();
            let entries: ArrayRef = Arc::new(map.entries().clone());
            let entries = plain(&entries)?.as_struct().clone();
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            Arc::new(MapArray::try_new(items(&wanted)?, offsets, entries, nulls, *sorted)?)
        }
        DataType::Struct(_) => {
            let DataType::Struct(fields) = wanted else { return Err(foreign(array.data_type())) };
            let row = array.as_struct();
            let columns = row.columns().iter().map(plain).collect::<Result<_, _>>()?;
            Arc::new(StructArray::try_new(fields, columns, row.nulls().cloned())?)
        }
        other => return Err(foreign(other)),
    })
}

fn foreign(data_type: &DataType) -> ArrowError {
    ArrowError::NotYetImplemented(format!("{data_type} has no plain form"))
}

fn items(data_type: &DataType) -> Result<FieldRef, ArrowError> {
    match data_type {
        DataType::List(field) | DataType::FixedSizeList(field, _) | DataType::Map(field, _) => {
            Ok(field.clone())
        }
        other => Err(foreign(other)),
    }
}

/// Offsets of 32 bits.
fn short(offsets: &[i64]) -> Result<OffsetBuffer<i32>, ArrowError> {
    let offsets = offsets.iter().map(|offset| i32::try_from(*offset));
    let offsets = offsets.collect::<Result<Vec<_>, _>>();
    let offsets = offsets.map_err(|_| {
        ArrowError::MemoryError("the values of a column in one batch take more than 2 GiB".into())
    })?;
    Ok(OffsetBuffer::new(offsets.into()))
}
