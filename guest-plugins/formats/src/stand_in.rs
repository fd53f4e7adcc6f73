//! Types that ORC lacks stand in its files as others, with their own name beside them, so that they come back.
//! Other programs see the type that stands there.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal128Type, Decimal256Type, DecimalType, Float16Type, Float32Type, Int16Type, Int32Type,
    Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryArray, FixedSizeBinaryArray, FixedSizeListArray,
    Int32Array, ListArray, MapArray, NullArray, PrimitiveArray, StringArray, StructArray,
    make_array, new_null_array,
};
use arrow_buffer::{OffsetBuffer, i256};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields, TimeUnit};
use arrow_select::take::take;

use crate::own::plain_type;
use crate::plain::plain;

/// The attribute of a column in a file that says its own type.
const OWN_TYPE: &str = "airlock.type";
const UTC: &str = "UTC";

/// The type that stands in a file; the same, where ORC has it or nothing like it.
fn stored_type(data_type: &DataType) -> DataType {
    match plain_type(data_type) {
        DataType::Null => DataType::Boolean,
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Float16 => DataType::Float32,
        DataType::Time32(_) => DataType::Int32,
        DataType::Time64(_) | DataType::Duration(_) => DataType::Int64,
        DataType::Date64 => DataType::Timestamp(TimeUnit::Millisecond, None),
        DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Decimal256(..) => DataType::Utf8,
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(unit, Some(UTC.into())),
        DataType::List(item) | DataType::FixedSizeList(item, _) => {
            DataType::List(Arc::new(stored_field(&item)))
        }
        DataType::Struct(fields) => DataType::Struct(stored_fields(&fields)),
        DataType::Map(entries, sorted) => DataType::Map(Arc::new(stored_field(&entries)), sorted),
        other => other,
    }
}

/// The fields as they stand in a file.
pub(crate) fn stored_fields(fields: &Fields) -> Fields {
    fields.iter().map(|field| stored_field(field)).collect()
}

fn stored_field(field: &Field) -> Field {
    let stored = stored_type(field.data_type());
    let mut metadata = field.metadata().clone();
    if let Some(word) = word(field.data_type(), &stored) {
        metadata.insert(OWN_TYPE.to_owned(), word);
    }
    field.clone().with_data_type(stored).with_metadata(metadata)
}

/// What tells the type; `None` where what is stored does.
fn word(own: &DataType, stored: &DataType) -> Option<String> {
    match own {
        DataType::FixedSizeList(_, size) => Some(format!("{FIXED}{size}")),
        own if own == stored || own.is_nested() => None,
        own => Some(own.to_string()),
    }
}

/// In front of how many items each list has.
const FIXED: &str = "FixedSizeList ";

/// The fields that a file was written from.
pub(crate) fn own_fields(fields: &Fields) -> Fields {
    fields.iter().map(|field| own_field(field)).collect()
}

fn own_field(field: &Field) -> Field {
    let mut metadata = field.metadata().clone();
    let word = metadata.remove(OWN_TYPE);
    let inner = match field.data_type() {
        DataType::List(item) => DataType::List(Arc::new(own_field(item))),
        DataType::Struct(fields) => DataType::Struct(own_fields(fields)),
        DataType::Map(entries, sorted) => DataType::Map(Arc::new(own_field(entries)), *sorted),
        other => other.clone(),
    };
    let own = word.and_then(|word| named(&word, &inner)).unwrap_or(inner);
    field.clone().with_data_type(own).with_metadata(metadata)
}

/// The type of this name, where it stands in files as `stored`.
fn named(word: &str, stored: &DataType) -> Option<DataType> {
    if let (Some(size), DataType::List(item)) = (word.strip_prefix(FIXED), stored) {
        let size = size.parse().ok().filter(|size| *size > 0)?;
        return Some(DataType::FixedSizeList(item.clone(), size));
    }
    let own = word.parse::<DataType>().ok()?;
    (stored_type(&own) == *stored).then_some(own)
}

/// The values as another type, one of a pair of this module.
pub(crate) fn converted(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let array = plain(array)?;
    Ok(match (array.data_type(), to) {
        (from, to) if from == to => array,
        (DataType::Null, _) => new_null_array(to, array.len()),
        (_, DataType::Null) => Arc::new(NullArray::new(array.len())),
        (DataType::UInt8, _) => number::<UInt8Type, Int16Type>(&array)?,
        (DataType::UInt16, _) => number::<UInt16Type, Int32Type>(&array)?,
        (DataType::UInt32, _) => number::<UInt32Type, Int64Type>(&array)?,
        (_, DataType::UInt8) => number::<Int16Type, UInt8Type>(&array)?,
        (_, DataType::UInt16) => number::<Int32Type, UInt16Type>(&array)?,
        (_, DataType::UInt32) => number::<Int64Type, UInt32Type>(&array)?,
        (_, DataType::UInt64) => number::<Decimal128Type, UInt64Type>(&array)?,
        (DataType::UInt64, _) => relabelled(&number::<UInt64Type, Decimal128Type>(&array)?, to)?,
        (DataType::Float16, _) => {
            Arc::new(array.as_primitive::<Float16Type>().unary::<_, Float32Type>(f32::from))
        }
        (_, DataType::Float16) => {
            let singles = array.as_primitive::<Float32Type>();
            Arc::new(
                singles
                    .unary::<_, Float16Type>(<Float16Type as ArrowPrimitiveType>::Native::from_f32),
            )
        }
        (DataType::FixedSizeBinary(_), _) => {
            Arc::new(array.as_fixed_size_binary().iter().collect::<BinaryArray>())
        }
        (_, DataType::FixedSizeBinary(size)) => {
            let values = array.as_binary::<i32>().iter();
            Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(values, *size)?)
        }
        (DataType::Decimal256(digits, scale), _) => {
            let text = |value| Decimal256Type::format_decimal(value, *digits, *scale);
            let values = array.as_primitive::<Decimal256Type>().iter();
            Arc::new(values.map(|value| value.map(text)).collect::<StringArray>())
        }
        (_, DataType::Decimal256(digits, scale)) => decimals(&array, *digits, *scale)?,
        (
            DataType::List(_)
            | DataType::FixedSizeList(..)
            | DataType::Map(..)
            | DataType::Struct(_),
            _,
        ) => nested(&array, to)?,
        _ => relabelled(&array, to)?,
    })
}

/// Integers of another width, where each fits.
fn number<F: ArrowPrimitiveType, T: ArrowPrimitiveType>(
    array: &ArrayRef,
) -> Result<ArrayRef, ArrowError>
where
    T::Native: TryFrom<F::Native>,
{
    let fits = |value| T::Native::try_from(value).map_err(|_| foreign(&T::DATA_TYPE));
    Ok(Arc::new(array.as_primitive::<F>().try_unary::<_, T, _>(fits)?))
}

fn foreign(data_type: &DataType) -> ArrowError {
    ArrowError::InvalidArgumentError(format!("a value is none of {data_type}"))
}

/// The same numbers under another type of their width.
fn relabelled(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type().primitive_width() != to.primitive_width() {
        return Err(foreign(to));
    }
    let data = array.to_data().into_builder().data_type(to.clone()).build()?;
    Ok(make_array(data))
}

fn decimals(texts: &ArrayRef, digits: u8, scale: i8) -> Result<ArrayRef, ArrowError> {
    let wrong = || foreign(&DataType::Decimal256(digits, scale));
    let decimal = |text: &str| {
        let (_, part) = text.split_once('.').unwrap_or((text, ""));
        let is_plain = part.len() == usize::from(scale.unsigned_abs());
        let value = is_plain.then(|| i256::from_string(&text.replacen('.', "", 1))).flatten();
        value.filter(|value| Decimal256Type::is_valid_decimal_precision(*value, digits))
    };
    let texts = texts.as_string::<i32>().iter();
    let values = texts.map(|text| text.map(|text| decimal(text).ok_or_else(wrong)).transpose());
    let values = values.collect::<Result<PrimitiveArray<Decimal256Type>, _>>()?;
    Ok(Arc::new(values.with_precision_and_scale(digits, scale)?))
}

fn nested(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let nulls = array.nulls().cloned();
    Ok(match (array.data_type(), to) {
        (DataType::List(_), DataType::List(item)) => {
            let list = array.as_list::<i32>();
            let values = converted(list.values(), item.data_type())?;
            Arc::new(ListArray::try_new(item.clone(), list.offsets().clone(), values, nulls)?)
        }
        (DataType::FixedSizeList(_, size), DataType::List(item)) => {
            let list = array.as_fixed_size_list();
            let lengths = std::iter::repeat_n(usize::try_from(*size).unwrap_or(0), list.len());
            let values = converted(list.values(), item.data_type())?;
            let offsets = OffsetBuffer::from_lengths(lengths);
            Arc::new(ListArray::try_new(item.clone(), offsets, values, nulls)?)
        }
        (DataType::List(_), DataType::FixedSizeList(item, size)) => {
            fixed_lists(array, item, *size)?
        }
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let pairs = array.as_struct().columns().iter().zip(fields);
            let columns = pairs.map(|(column, field)| converted(column, field.data_type()));
            let columns = columns.collect::<Result<_, _>>()?;
            Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, array.len())?)
        }
        (DataType::Map(..), DataType::Map(field, sorted)) => {
            let map = array.as_map();
            let entries: ArrayRef = Arc::new(map.entries().clone());
            let entries = converted(&entries, field.data_type())?.as_struct().clone();
            let offsets = map.offsets().clone();
            Arc::new(MapArray::try_new(field.clone(), offsets, entries, nulls, *sorted)?)
        }
        _ => return Err(foreign(to)),
    })
}

/// Lists of one length; those that are NULL have no items in a file.
fn fixed_lists(array: &ArrayRef, item: &FieldRef, size: i32) -> Result<ArrayRef, ArrowError> {
    let list = array.as_list::<i32>();
    let values = converted(list.values(), item.data_type())?;
    let mut places = Vec::with_capacity(list.len() * usize::try_from(size).unwrap_or(0));
    for (row, pair) in list.value_offsets().windows(2).enumerate() {
        match list.is_valid(row) {
            true if pair[1] - pair[0] == size => places.extend((pair[0]..pair[1]).map(Some)),
            true => return Err(foreign(&DataType::FixedSizeList(item.clone(), size))),
            false => places.extend((0..size).map(|_| None)),
        }
    }
    let values = take(&values, &Int32Array::from(places), None)?;
    let nulls = array.nulls().cloned();
    Ok(Arc::new(FixedSizeListArray::try_new(item.clone(), size, values, nulls)?))
}
