//! Texts as values of other types: understood whole and unchanged, or told.
//!
//! Arrow's own readers are generous: they drop a time, a zone or decimals that have no place.

use std::sync::Arc;

use arrow_array::builder::FixedSizeBinaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Decimal256Type, DecimalType, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray, StringArray};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_schema::{DataType, Field, TimeUnit};
use domain::Result;

use super::clock::{self, Moment};
use super::column::{Converted, Misfit, arrow, cast_fault, retyped};
use super::extremes::{self, Extreme, Words};
use super::number::{Floats, Number, Unscaled};
use super::zones::{self, Rules};

pub(super) type Read<T> = std::result::Result<T, Misfit>;

/// Bytes of a UUID, and the places of the hyphens in its text.
const UUID: usize = 16;
const HYPHENS: [usize; 4] = [8, 13, 18, 23];
const HEX: &[u8; 16] = b"0123456789abcdef";

/// Whether texts can be read as values of this type.
pub(super) fn can_be(to: &Field) -> bool {
    use DataType as T;
    match to.data_type() {
        T::Float32 | T::Float64 | T::Decimal128(..) | T::Decimal256(..) => true,
        T::Boolean | T::Binary => true,
        T::Date32 | T::Date64 | T::Time32(_) | T::Time64(_) | T::Timestamp(..) => true,
        kind => kind.is_integer() || is_uuid(to),
    }
}

/// Reads texts as values of `to`, of a type that `can_be`.
pub(super) fn read(column: &ArrayRef, to: &Field, rules: &Rules) -> Result<Converted> {
    use DataType as T;
    let texts = column.as_string::<i32>();
    let words = Words::of(to);
    let read = match to.data_type() {
        T::Int8 => integers::<Int8Type>(texts),
        T::Int16 => integers::<Int16Type>(texts),
        T::Int32 => integers::<Int32Type>(texts),
        T::Int64 => integers::<Int64Type>(texts),
        T::UInt8 => integers::<UInt8Type>(texts),
        T::UInt16 => integers::<UInt16Type>(texts),
        T::UInt32 => integers::<UInt32Type>(texts),
        T::UInt64 => integers::<UInt64Type>(texts),
        T::Float32 => {
            let mut floats = Floats::default();
            each::<Float32Type>(texts, |text| floats.single(text, false))
        }
        T::Float64 => {
            let mut floats = Floats::default();
            each::<Float64Type>(texts, |text| floats.double(text, false))
        }
        T::Decimal128(p, s) => decimals::<Decimal128Type>(texts, *p, *s, words, false),
        T::Decimal256(p, s) => decimals::<Decimal256Type>(texts, *p, *s, words, false),
        T::Date32 => each::<Date32Type>(texts, |text| match extremes::endless(text) {
            Some(extreme) => words.admit(extreme).map(extremes::day),
            None => i32::try_from(clock::date(text)?).map_err(|_| Misfit::Value),
        }),
        T::Date64 => each::<Int64Type>(texts, |text| match extremes::endless(text) {
            Some(extreme) => words.admit(extreme).map(extremes::instant),
            None => Ok(clock::date(text)? * 86_400_000),
        }),
        T::Time32(unit) => each::<Int32Type>(texts, |text| {
            i32::try_from(time(text, *unit, words)?).map_err(|_| Misfit::Value)
        }),
        T::Time64(unit) => each::<Int64Type>(texts, |text| time(text, *unit, words)),
        T::Timestamp(unit, None) => each::<Int64Type>(texts, |text| {
            timestamp(text, words, |moment| match moment.offset {
                None => moment.in_units(*unit, false),
                // The zone would be lost.
                Some(_) => Err(Misfit::Changed),
            })
        }),
        T::Timestamp(unit, Some(_)) => instants(texts, *unit, words, rules)?,
        T::FixedSizeBinary(_) => uuids(texts)?,
        _ => arrow(column, to.data_type())?,
    };
    retyped(read, to.data_type())
}

/// Each text by itself; what cannot be read becomes null and is told.
pub(super) fn each<T: ArrowPrimitiveType>(
    texts: &StringArray,
    mut parse: impl FnMut(&str) -> Read<T::Native>,
) -> Converted {
    each_row::<T>(texts, |_, text| parse(text))
}

/// The same with the number of the row.
pub(super) fn each_row<T: ArrowPrimitiveType>(
    texts: &StringArray,
    mut parse: impl FnMut(usize, &str) -> Read<T::Native>,
) -> Converted {
    let mut misfits = Vec::new();
    let mut values = Vec::with_capacity(texts.len());
    for row in 0..texts.len() {
        let read = if texts.is_null(row) {
            Ok(T::Native::default())
        } else {
            parse(row, texts.value(row))
        };
        values.push(read.unwrap_or_else(|misfit| {
            misfits.push((row, misfit));
            T::Native::default()
        }));
    }
    let nulls = without(texts.nulls(), texts.len(), &misfits);
    Converted { column: Arc::new(PrimitiveArray::<T>::new(values.into(), nulls)), misfits }
}

/// The nulls of a column and of the rows that did not come through.
fn without(
    nulls: Option<&NullBuffer>,
    count: usize,
    misfits: &[(usize, Misfit)],
) -> Option<NullBuffer> {
    if misfits.is_empty() {
        return nulls.cloned();
    }
    let mut valid = vec![true; count];
    misfits.iter().for_each(|(row, _)| valid[*row] = false);
    NullBuffer::union(nulls, Some(&NullBuffer::new(BooleanBuffer::from(valid))))
}

fn integers<T: ArrowPrimitiveType>(texts: &StringArray) -> Converted
where
    T::Native: std::str::FromStr,
{
    each::<T>(texts, |text| text.parse().map_err(|_| Misfit::Value))
}

/// Decimals, `rounded` where that is allowed.
pub(super) fn decimals<T: DecimalType>(
    texts: &StringArray,
    precision: u8,
    scale: i8,
    words: Words,
    rounded: bool,
) -> Converted
where
    T::Native: Unscaled,
{
    each::<T>(texts, |text| match Number::scan(text.as_bytes()) {
        Some(number) => number.unscaled(precision, scale, rounded),
        None if text.eq_ignore_ascii_case("nan") => {
            words.admit(Extreme::NaN).map(|_| T::Native::NAN)
        }
        None => Err(Misfit::Value),
    })
}

fn time(text: &str, unit: TimeUnit, words: Words) -> Read<i64> {
    let value = clock::time(text)?.in_units(unit, false)?;
    if value == extremes::day_end(unit) {
        words.admit(Extreme::EndOfDay)?;
    }
    Ok(value)
}

/// A timestamp by what `of` makes of the moment; infinity where the destination has it.
fn timestamp(text: &str, words: Words, of: impl FnOnce(Moment) -> Read<i64>) -> Read<i64> {
    if let Some(extreme) = extremes::endless(text) {
        return words.admit(extreme).map(extremes::instant);
    }
    let value = of(clock::date_and_time(text)?)?;
    match value {
        i64::MIN | i64::MAX if words.has(Extreme::Infinity) => Err(Misfit::Extreme),
        value => Ok(value),
    }
}

/// Instants. A text without a zone is in the job's, or in UTC.
fn instants(texts: &StringArray, unit: TimeUnit, words: Words, rules: &Rules) -> Result<Converted> {
    let mut locals = Vec::new();
    let read = each_row::<Int64Type>(texts, |row, text| {
        timestamp(text, words, |moment| {
            if moment.offset.is_none() {
                locals.push(row);
            }
            moment.in_units(unit, false)
        })
    });
    match &rules.zone {
        Some(zone) => zones::located(read, &locals, unit, zone),
        None => Ok(read),
    }
}

/// Whether a field holds UUIDs.
pub(super) fn is_uuid(field: &Field) -> bool {
    *field.data_type() == DataType::FixedSizeBinary(UUID as i32)
        && field.extension_type_name() == Some("arrow.uuid")
}

/// UUIDs from `01234567-89ab-cdef-0123-456789abcdef`.
fn uuids(texts: &StringArray) -> Result<Converted> {
    let mut misfits = Vec::new();
    let mut bytes = FixedSizeBinaryBuilder::with_capacity(texts.len(), UUID as i32);
    for (row, text) in texts.iter().enumerate() {
        match text.map(uuid) {
            Some(Some(uuid)) => bytes.append_value(uuid).map_err(cast_fault)?,
            Some(None) => {
                misfits.push((row, Misfit::Value));
                bytes.append_null();
            }
            None => bytes.append_null(),
        }
    }
    Ok(Converted { column: Arc::new(bytes.finish()), misfits })
}

fn uuid(text: &str) -> Option<[u8; UUID]> {
    let text = text.as_bytes();
    if text.len() != 2 * UUID + HYPHENS.len() || HYPHENS.iter().any(|at| text[*at] != b'-') {
        return None;
    }
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let mut digits = text.iter().enumerate().filter(|(at, _)| !HYPHENS.contains(at));
    let mut uuid = [0; UUID];
    for byte in &mut uuid {
        let (high, low) = (digit(digits.next()?.1)?, digit(digits.next()?.1)?);
        *byte = (high << 4 | low) as u8;
    }
    Some(uuid)
}

/// The texts of UUIDs, in lower case with hyphens.
pub(super) fn of_uuids(column: &ArrayRef) -> ArrayRef {
    let uuids = column.as_fixed_size_binary();
    let mut text = String::with_capacity(36);
    let mut texts =
        arrow_array::builder::StringBuilder::with_capacity(uuids.len(), uuids.len() * 36);
    for uuid in uuids {
        let Some(uuid) = uuid else {
            texts.append_null();
            continue;
        };
        text.clear();
        for byte in uuid {
            if HYPHENS.contains(&text.len()) {
                text.push('-');
            }
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
        texts.append_value(&text);
    }
    Arc::new(texts.finish())
}
