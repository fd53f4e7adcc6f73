//! Arrays from the streams of a column.

use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{ArrayRef, BooleanArray, ListArray, MapArray, PrimitiveArray, StructArray};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, FieldRef, TimeUnit};

use crate::bytes::{Booleans, Bytes};
use crate::error::{Error, Result};
use crate::file::Streams;
use crate::ints::Ints;
use crate::meta::stream;
use crate::stream::Stream;
use crate::text::{Texts, length, offsets};
use crate::types::Node;
use crate::zone::Zone;

/// Which of some rows have a value.
pub(crate) struct Presence {
    pub(crate) rows: usize,
    /// Those with a value.
    pub(crate) count: usize,
    /// `None`: all have one.
    pub(crate) nulls: Option<NullBuffer>,
}

/// Reads one column and those in it.
pub(crate) struct Column {
    name: String,
    data_type: DataType,
    present: Option<Booleans>,
    values: Values,
}

enum Values {
    Booleans(Booleans),
    /// Small numbers.
    Bytes(Bytes),
    /// Numbers and dates.
    Ints(Ints),
    Floats(Stream),
    Texts(Texts),
    Decimals {
        values: Stream,
        scales: Ints,
    },
    Times {
        seconds: Ints,
        nanos: Ints,
        zone: Zone,
    },
    /// Of a list or map: a column of the items, or two of keys and values.
    Lists {
        lengths: Ints,
        items: Vec<Column>,
    },
    Struct(Vec<Column>),
}

impl Column {
    pub(crate) fn open(node: &Node, streams: &Streams<'_>) -> Result<Self> {
        let column = node.column;
        let encoding = streams.encoding(column)?;
        let raw = |kind| streams.get(column, kind);
        let ints = |kind, is_signed| Ints::new(raw(kind), is_signed, encoding.is_second_version());
        let children = || node.children.iter().map(|child| Self::open(child, streams));
        let data_type = node.field.data_type();
        let values = match data_type {
            DataType::Boolean => Values::Booleans(Booleans::new(raw(stream::DATA))),
            DataType::Int8 => Values::Bytes(Bytes::new(raw(stream::DATA))),
            DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Date32 => {
                Values::Ints(ints(stream::DATA, true))
            }
            DataType::Float32 | DataType::Float64 => Values::Floats(raw(stream::DATA)),
            DataType::Utf8 | DataType::Binary if encoding.is_dictionary() => {
                let size = usize::try_from(encoding.dictionary_size).unwrap_or(usize::MAX);
                let dictionary = (raw(stream::DICTIONARY), ints(stream::LENGTH, false), size);
                Values::Texts(Texts::Dictionary {
                    indexes: ints(stream::DATA, false),
                    unread: Some(Box::new(dictionary)),
                    offsets: Vec::new(),
                    bytes: Vec::new(),
                })
            }
            DataType::Utf8 | DataType::Binary => Values::Texts(Texts::Direct {
                data: raw(stream::DATA),
                lengths: ints(stream::LENGTH, false),
            }),
            DataType::Decimal128(..) => Values::Decimals {
                values: raw(stream::DATA),
                scales: ints(stream::SECONDARY, true),
            },
            DataType::Timestamp(_, zone) => Values::Times {
                seconds: ints(stream::DATA, true),
                nanos: ints(stream::SECONDARY, false),
                zone: if zone.is_some() { Zone::Utc } else { Zone::parse(streams.zone())? },
            },
            DataType::List(_) | DataType::Map(..) => Values::Lists {
                lengths: ints(stream::LENGTH, false),
                items: children().collect::<Result<_>>()?,
            },
            DataType::Struct(_) => Values::Struct(children().collect::<Result<_>>()?),
            _ => {
                let message =
                    format!("column \"{}\" is of a type that is not read", node.field.name());
                return Err(Error::Unsupported(message));
            }
        };
        let present = streams.find(column, stream::PRESENT).map(Booleans::new);
        let (name, data_type) = (node.field.name().clone(), data_type.clone());
        Ok(Self { name, data_type, present, values })
    }

    /// The next rows. Where the parent of a row is NULL, nothing is stored for it.
    pub(crate) fn read(&mut self, rows: usize, parent: Option<&NullBuffer>) -> Result<ArrayRef> {
        let read = self.presence(rows, parent).and_then(|presence| self.values(&presence));
        read.map_err(|error| error.at(format_args!("column \"{}\"", self.name)))
    }

    fn presence(&mut self, rows: usize, parent: Option<&NullBuffer>) -> Result<Presence> {
        let stored = parent.map_or(rows, |parent| rows - parent.null_count());
        let own = match &mut self.present {
            None => None,
            Some(present) => Some(present.read(stored)?),
        };
        let valid = match (parent, own) {
            (None, own) => own,
            (Some(parent), None) => Some(parent.inner().clone()),
            (Some(parent), Some(own)) => Some(spread_bits(&own, parent)),
        };
        let nulls = valid.map(NullBuffer::new).filter(|nulls| nulls.null_count() > 0);
        let count = nulls.as_ref().map_or(rows, |nulls| rows - nulls.null_count());
        Ok(Presence { rows, count, nulls })
    }

    fn values(&mut self, presence: &Presence) -> Result<ArrayRef> {
        let data_type = &self.data_type;
        match &mut self.values {
            Values::Booleans(bits) => {
                let bits = bits.read(presence.count)?;
                let bits = match &presence.nulls {
                    None => bits,
                    Some(nulls) => spread_bits(&bits, nulls),
                };
                Ok(Arc::new(BooleanArray::new(bits, presence.nulls.clone())))
            }
            Values::Bytes(bytes) => {
                let mut values = Vec::with_capacity(presence.count);
                bytes.read(presence.count, &mut values)?;
                let values = values.into_iter().map(|byte| byte as i8).collect();
                Ok(primitive::<Int8Type>(values, presence, data_type))
            }
            Values::Ints(ints) => {
                let mut values = Vec::with_capacity(presence.count);
                ints.read(presence.count, &mut values)?;
                numbers(values, presence, data_type)
            }
            Values::Floats(stream) => floats(stream, presence, data_type),
            Values::Texts(texts) => texts.read(presence, *data_type == DataType::Utf8),
            Values::Decimals { values, scales } => decimals(values, scales, presence, data_type),
            Values::Times { seconds, nanos, zone } => {
                times(seconds, nanos, zone, presence, data_type)
            }
            Values::Lists { lengths, items } => lists(lengths, items, presence, data_type),
            Values::Struct(columns) => structs(columns, presence, data_type),
        }
    }
}

/// Bits for the rows that have one; false for the others.
fn spread_bits(bits: &BooleanBuffer, nulls: &NullBuffer) -> BooleanBuffer {
    let mut out = BooleanBufferBuilder::new(nulls.len());
    let mut bits = bits.iter();
    for is_there in nulls {
        out.append(is_there && bits.next().unwrap_or_default());
    }
    out.finish()
}

/// Values for the rows that have one; zero for the others.
fn spread<T: Copy + Default>(values: Vec<T>, presence: &Presence) -> Vec<T> {
    let Some(nulls) = &presence.nulls else { return values };
    let mut out = vec![T::default(); presence.rows];
    for (place, value) in nulls.inner().set_indices().zip(values) {
        out[place] = value;
    }
    out
}

fn primitive<T: ArrowPrimitiveType>(
    values: Vec<T::Native>,
    presence: &Presence,
    data_type: &DataType,
) -> ArrayRef {
    let values = ScalarBuffer::from(spread(values, presence));
    let array = PrimitiveArray::<T>::new(values, presence.nulls.clone());
    Arc::new(array.with_data_type(data_type.clone()))
}

fn numbers(values: Vec<i64>, presence: &Presence, data_type: &DataType) -> Result<ArrayRef> {
    fn narrow<N: TryFrom<i64>>(values: &[i64]) -> Result<Vec<N>> {
        let narrow = values.iter().map(|value| N::try_from(*value));
        let narrow = narrow.collect::<Result<_, _>>();
        narrow.map_err(|_| Error::corrupt("a number is larger than its type"))
    }
    Ok(match data_type {
        DataType::Int16 => primitive::<Int16Type>(narrow(&values)?, presence, data_type),
        DataType::Int32 => primitive::<Int32Type>(narrow(&values)?, presence, data_type),
        DataType::Date32 => primitive::<Date32Type>(narrow(&values)?, presence, data_type),
        _ => primitive::<Int64Type>(values, presence, data_type),
    })
}

fn floats(stream: &mut Stream, presence: &Presence, data_type: &DataType) -> Result<ArrayRef> {
    let width = data_type.primitive_width().unwrap_or(8);
    let mut bytes = Vec::new();
    stream.append(presence.count * width, &mut bytes)?;
    Ok(match bytes.as_chunks::<4>() {
        (singles, []) if *data_type == DataType::Float32 => {
            let values = singles.iter().map(|it| f32::from_le_bytes(*it)).collect();
            primitive::<Float32Type>(values, presence, data_type)
        }
        _ => {
            let (doubles, _) = bytes.as_chunks::<8>();
            let values = doubles.iter().map(|it| f64::from_le_bytes(*it)).collect();
            primitive::<Float64Type>(values, presence, data_type)
        }
    })
}

/// Each value has a scale of its own.
fn decimals(
    stream: &mut Stream,
    scales: &mut Ints,
    presence: &Presence,
    data_type: &DataType,
) -> Result<ArrayRef> {
    let DataType::Decimal128(precision, scale) = *data_type else {
        return Err(Error::corrupt("it is no decimal"));
    };
    let most = 10_i128.pow(u32::from(precision)) - 1;
    let mut own = Vec::with_capacity(presence.count);
    scales.read(presence.count, &mut own)?;
    let mut values = Vec::with_capacity(presence.count);
    for own in own {
        let raw = stream.wide_varint()?;
        let value = (raw >> 1) as i128 ^ -((raw & 1) as i128);
        let value = match i64::from(scale) - own {
            0 => Some(value),
            up @ 1..=38 => value.checked_mul(10_i128.pow(up as u32)),
            down @ -38..0 => {
                let by = 10_i128.pow(down.unsigned_abs() as u32);
                (value % by == 0).then_some(value / by)
            }
            _ => (value == 0).then_some(0),
        };
        let value = value.filter(|value| (-most..=most).contains(value));
        values.push(value.ok_or_else(|| {
            Error::Precision(format!(
                "a decimal does not fit {precision} digits with {scale} decimals"
            ))
        })?);
    }
    Ok(primitive::<Decimal128Type>(values, presence, data_type))
}

fn times(
    seconds: &mut Ints,
    nanos: &mut Ints,
    zone: &Zone,
    presence: &Presence,
    data_type: &DataType,
) -> Result<ArrayRef> {
    let (mut values, mut parts) = (Vec::with_capacity(presence.count), Vec::new());
    seconds.read(presence.count, &mut values)?;
    nanos.read(presence.count, &mut parts)?;
    let unit = match data_type {
        DataType::Timestamp(unit, _) => *unit,
        _ => TimeUnit::Nanosecond,
    };
    let nanos_each = match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    };
    for (value, part) in values.iter_mut().zip(parts) {
        let part =
            nano(part).ok_or_else(|| Error::corrupt("a timestamp has no part of a second"))?;
        let lost = || Error::Precision(format!("a timestamp has more than {unit} holds"));
        if part % nanos_each != 0 {
            return Err(lost());
        }
        let whole = zone.local(*value, part).ok_or_else(lost)?;
        // The least number of an array is below any whole second that it holds.
        let all = i128::from(whole) * i128::from(1_000_000_000 / nanos_each);
        let all = all + i128::from(part / nanos_each);
        *value = i64::try_from(all).map_err(|_| lost())?;
    }
    Ok(match unit {
        TimeUnit::Second => primitive::<TimestampSecondType>(values, presence, data_type),
        TimeUnit::Millisecond => primitive::<TimestampMillisecondType>(values, presence, data_type),
        TimeUnit::Microsecond => primitive::<TimestampMicrosecondType>(values, presence, data_type),
        TimeUnit::Nanosecond => primitive::<TimestampNanosecondType>(values, presence, data_type),
    })
}

/// Nanoseconds without the zeros at their end, whose number is in the lowest three bits. Some writers
/// store those before 1970 below zero.
fn nano(stored: i64) -> Option<i64> {
    let zeros = match stored & 7 {
        0 => 0,
        more => more as u32 + 1,
    };
    let nanos = (stored >> 3).checked_mul(10_i64.pow(zeros))?;
    (nanos.abs() < 1_000_000_000).then_some(nanos)
}

fn lists(
    lengths: &mut Ints,
    items: &mut [Column],
    presence: &Presence,
    data_type: &DataType,
) -> Result<ArrayRef> {
    let mut numbers = Vec::with_capacity(presence.count);
    lengths.read(presence.count, &mut numbers)?;
    let offsets = offsets(&numbers, presence, |value| length(*value))?;
    let count = offsets.last().map_or(0, |last| *last as usize);
    let arrays = items.iter_mut().map(|item| item.read(count, None));
    let arrays = arrays.collect::<Result<Vec<_>>>()?;
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    let nulls = presence.nulls.clone();
    let broken = |error: ArrowError| Error::corrupt(error.to_string());
    match (data_type, arrays.as_slice()) {
        (DataType::List(field), [items]) => {
            let list = ListArray::try_new(field.clone(), offsets, items.clone(), nulls);
            Ok(Arc::new(list.map_err(broken)?))
        }
        (DataType::Map(field, sorted), [_, _]) => {
            let entries = entries(field, arrays)?;
            let map = MapArray::try_new(field.clone(), offsets, entries, nulls, *sorted);
            Ok(Arc::new(map.map_err(broken)?))
        }
        _ => Err(Error::corrupt("it is no list")),
    }
}

fn entries(field: &FieldRef, arrays: Vec<ArrayRef>) -> Result<StructArray> {
    let DataType::Struct(fields) = field.data_type() else {
        return Err(Error::corrupt("it is no map"));
    };
    let entries = StructArray::try_new(fields.clone(), arrays, None);
    entries.map_err(|_| Error::corrupt("a key of a map is NULL"))
}

fn structs(columns: &mut [Column], presence: &Presence, data_type: &DataType) -> Result<ArrayRef> {
    let DataType::Struct(fields) = data_type else {
        return Err(Error::corrupt("it is no struct"));
    };
    let arrays = columns.iter_mut().map(|it| it.read(presence.rows, presence.nulls.as_ref()));
    let arrays = arrays.collect::<Result<Vec<_>>>()?;
    let nulls = presence.nulls.clone();
    let array = StructArray::try_new_with_length(fields.clone(), arrays, nulls, presence.rows);
    Ok(Arc::new(array.map_err(|error| Error::corrupt(error.to_string()))?))
}
