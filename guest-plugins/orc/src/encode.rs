//! Columns on their way into the streams of a stripe.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{ArrowNativeType, NullBuffer};
use arrow_schema::{DataType, Field, TimeUnit};

use crate::codec::Codec;
use crate::error::{Error, Result};
use crate::ints_out::IntsOut;
use crate::meta::{Encoding, stream};
use crate::out::{BooleansOut, BytesOut, Out};
use crate::proto::push_varint;
use crate::stats::{Extremes, Stats};
use crate::text_out::TextsOut;
use crate::zone::BASE;

/// A stream that is ready, in blocks: its column, kind and bytes.
pub(crate) struct Ready {
    pub(crate) column: u64,
    pub(crate) kind: u64,
    pub(crate) blocks: Vec<Vec<u8>>,
}

/// Gathers a column and those in it.
pub(crate) struct Encoder {
    present: BooleansOut,
    stats: Stats,
    values: Values,
}

enum Values {
    Booleans(BooleansOut),
    Bytes(BytesOut),
    Ints(IntsOut),
    Floats(Out),
    Texts(TextsOut),
    Decimals { values: Out, scales: IntsOut, scale: u8 },
    Times { seconds: IntsOut, nanos: IntsOut, unit: TimeUnit },
    Lists { lengths: IntsOut, items: Vec<Encoder> },
    Struct(Vec<Encoder>),
}

impl Encoder {
    pub(crate) fn new(field: &Field, codec: Codec, with_dictionary: bool) -> Result<Self> {
        let ints = |is_signed| IntsOut::new(codec, is_signed);
        let inner = |field: &Field| Self::new(field, codec, with_dictionary);
        let values = match field.data_type() {
            DataType::Boolean => Values::Booleans(BooleansOut::new(codec)),
            DataType::Int8 => Values::Bytes(BytesOut::new(codec)),
            DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Date32 => {
                Values::Ints(ints(true))
            }
            DataType::Float32 | DataType::Float64 => Values::Floats(Out::new(codec)),
            DataType::Utf8 => Values::Texts(TextsOut::new(codec, with_dictionary)),
            // The format has no dictionaries of bytes.
            DataType::Binary => Values::Texts(TextsOut::new(codec, false)),
            DataType::Decimal128(_, scale) => Values::Decimals {
                values: Out::new(codec),
                scales: ints(true),
                scale: u8::try_from(*scale).unwrap_or_default(),
            },
            DataType::Timestamp(unit, _) => {
                Values::Times { seconds: ints(true), nanos: ints(false), unit: *unit }
            }
            DataType::List(item) => {
                Values::Lists { lengths: ints(false), items: vec![inner(item)?] }
            }
            DataType::Map(entries, _) => {
                let DataType::Struct(fields) = entries.data_type() else {
                    return Err(Error::Unsupported("a map has no entries".into()));
                };
                let items = fields.iter().map(|field| inner(field)).collect::<Result<_>>()?;
                Values::Lists { lengths: ints(false), items }
            }
            DataType::Struct(fields) => {
                Values::Struct(fields.iter().map(|field| inner(field)).collect::<Result<_>>()?)
            }
            other => return Err(Error::Unsupported(format!("ORC has no {other}"))),
        };
        Ok(Self { present: BooleansOut::new(codec), stats: Stats::default(), values })
    }

    /// Takes the values of an array, but for the rows whose parent is NULL.
    pub(crate) fn write(&mut self, array: &ArrayRef, parent: Option<&NullBuffer>) -> Result<()> {
        let there = self.presence(array.as_ref(), parent)?;
        let count = there.as_ref().map_or(array.len(), |it| it.len() - it.null_count());
        let extremes = self.values(array, there.as_ref())?;
        self.stats.join(Stats { values: count as u64, has_null: self.stats.has_null, extremes });
        Ok(())
    }

    /// Notes which rows are NULL. Answers those with a value; `None`: all.
    fn presence(
        &mut self,
        array: &dyn Array,
        parent: Option<&NullBuffer>,
    ) -> Result<Option<NullBuffer>> {
        let own = array.logical_nulls().filter(|nulls| nulls.null_count() > 0);
        self.stats.has_null |= match (&own, parent) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(own), Some(parent)) => {
                (0..own.len()).any(|at| own.is_null(at) && parent.is_valid(at))
            }
        };
        match (&own, parent) {
            (None, None) => self.present.push_true(array.len())?,
            (None, Some(parent)) => {
                self.present.push_true(parent.len() - parent.null_count())?;
            }
            (Some(own), None) => own.iter().try_for_each(|it| self.present.push(it))?,
            (Some(own), Some(parent)) => {
                let there = parent.inner().set_indices();
                there.map(|at| own.is_valid(at)).try_for_each(|it| self.present.push(it))?;
            }
        }
        Ok(NullBuffer::union(own.as_ref(), parent))
    }

    fn values(&mut self, array: &ArrayRef, there: Option<&NullBuffer>) -> Result<Extremes> {
        match &mut self.values {
            Values::Booleans(out) => {
                let (bits, mut count) = (array.as_boolean(), 0);
                each(array.len(), there, |at| {
                    count += u64::from(bits.value(at));
                    out.push(bits.value(at))
                })?;
                Ok(Extremes::Booleans(count))
            }
            Values::Bytes(out) => {
                let values = array.as_primitive::<Int8Type>().values();
                each(array.len(), there, |at| out.push(values[at] as u8))?;
                let values = rows(array.len(), there).map(|at| i64::from(values[at]));
                Ok(range(values).map_or(Extremes::None, |(a, b)| Extremes::Ints(a, b)))
            }
            Values::Ints(out) => ints(out, array, there),
            Values::Floats(out) => floats(out, array, there),
            Values::Texts(out) => texts(out, array, there),
            Values::Decimals { values: out, scales, scale } => {
                let values = array.as_primitive::<Decimal128Type>().values();
                let mut bytes = Vec::new();
                each(array.len(), there, |at| {
                    bytes.clear();
                    wide_varint(&mut bytes, values[at]);
                    scales.push(i64::from(*scale))?;
                    out.write(&bytes)
                })?;
                let range = range(rows(array.len(), there).map(|at| values[at]));
                Ok(range.map_or(Extremes::None, |(a, b)| Extremes::Decimals(a, b, *scale)))
            }
            Values::Times { seconds, nanos, unit } => times(seconds, nanos, *unit, array, there),
            Values::Lists { lengths, items } => {
                lists(lengths, items, array, there)?;
                Ok(Extremes::None)
            }
            Values::Struct(columns) => {
                let pairs = columns.iter_mut().zip(array.as_struct().columns());
                for (column, array) in pairs {
                    column.write(array, there)?;
                }
                Ok(Extremes::None)
            }
        }
    }

    /// About what its streams take.
    pub(crate) fn bytes(&self) -> usize {
        let inner = |columns: &[Self]| columns.iter().map(Self::bytes).sum::<usize>();
        self.present.bytes()
            + match &self.values {
                Values::Booleans(out) => out.bytes(),
                Values::Bytes(out) => out.out.bytes(),
                Values::Ints(out) => out.bytes(),
                Values::Floats(out) => out.bytes(),
                Values::Texts(out) => out.bytes(),
                Values::Decimals { values, scales, .. } => values.bytes() + scales.bytes(),
                Values::Times { seconds, nanos, .. } => seconds.bytes() + nanos.bytes(),
                Values::Lists { lengths, items } => lengths.bytes() + inner(items),
                Values::Struct(columns) => inner(columns),
            }
    }

    /// Ends the streams of a stripe, in the order of the columns, and begins anew.
    pub(crate) fn finish(
        &mut self,
        streams: &mut Vec<Ready>,
        encodings: &mut Vec<Encoding>,
        stats: &mut Vec<Stats>,
    ) -> Result<()> {
        let column = encodings.len() as u64;
        let own = std::mem::take(&mut self.stats);
        let mut put = |kind, blocks: Vec<Vec<u8>>| streams.push(Ready { column, kind, blocks });
        let present = self.present.finish()?;
        if own.has_null {
            put(stream::PRESENT, present);
        }
        stats.push(own);
        let mut encoding = Encoding::DIRECT_V2;
        match &mut self.values {
            Values::Booleans(out) => {
                put(stream::DATA, out.finish()?);
                encoding = Encoding::DIRECT;
            }
            Values::Bytes(out) => {
                put(stream::DATA, out.finish()?);
                encoding = Encoding::DIRECT;
            }
            Values::Ints(out) => put(stream::DATA, out.finish()?),
            Values::Floats(out) => {
                put(stream::DATA, out.finish()?);
                encoding = Encoding::DIRECT;
            }
            Values::Texts(out) => encoding = out.finish(&mut put)?,
            Values::Decimals { values, scales, .. } => {
                put(stream::DATA, values.finish()?);
                put(stream::SECONDARY, scales.finish()?);
            }
            Values::Times { seconds, nanos, .. } => {
                put(stream::DATA, seconds.finish()?);
                put(stream::SECONDARY, nanos.finish()?);
            }
            Values::Lists { lengths, .. } => put(stream::LENGTH, lengths.finish()?),
            Values::Struct(_) => encoding = Encoding::DIRECT,
        }
        encodings.push(encoding);
        if let Values::Lists { items: inner, .. } | Values::Struct(inner) = &mut self.values {
            inner.iter_mut().try_for_each(|it| it.finish(streams, encodings, stats))?;
        }
        Ok(())
    }
}

/// The rows that have a value.
fn rows(count: usize, there: Option<&NullBuffer>) -> impl Iterator<Item = usize> {
    let some = there.map(|there| there.inner().set_indices());
    let all = if there.is_none() { 0..count } else { 0..0 };
    some.into_iter().flatten().chain(all)
}

fn each(
    count: usize,
    there: Option<&NullBuffer>,
    mut take: impl FnMut(usize) -> Result<()>,
) -> Result<()> {
    match there {
        None => (0..count).try_for_each(take),
        Some(there) => there.inner().set_indices().try_for_each(&mut take),
    }
}

fn range<T: Copy + Ord>(mut values: impl Iterator<Item = T>) -> Option<(T, T)> {
    let first = values.next()?;
    Some(values.fold((first, first), |(least, most), value| (least.min(value), most.max(value))))
}

fn ints(out: &mut IntsOut, array: &ArrayRef, there: Option<&NullBuffer>) -> Result<Extremes> {
    fn of<T: ArrowPrimitiveType>(
        out: &mut IntsOut,
        array: &ArrayRef,
        there: Option<&NullBuffer>,
    ) -> Result<Option<(i64, i64)>>
    where
        i64: From<T::Native>,
    {
        let values = array.as_primitive::<T>().values();
        each(array.len(), there, |at| out.push(i64::from(values[at])))?;
        Ok(range(rows(array.len(), there).map(|at| i64::from(values[at]))))
    }
    let is_date = *array.data_type() == DataType::Date32;
    let range = match array.data_type() {
        DataType::Int16 => of::<Int16Type>(out, array, there),
        DataType::Int32 => of::<Int32Type>(out, array, there),
        DataType::Date32 => of::<Date32Type>(out, array, there),
        _ => of::<Int64Type>(out, array, there),
    }?;
    Ok(match range {
        None => Extremes::None,
        Some((least, most)) if is_date => Extremes::Dates(least, most),
        Some((least, most)) => Extremes::Ints(least, most),
    })
}

fn floats(out: &mut Out, array: &ArrayRef, there: Option<&NullBuffer>) -> Result<Extremes> {
    let count = array.len();
    Ok(match array.data_type() {
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>().values();
            each(count, there, |at| out.write(&values[at].to_le_bytes()))?;
            Extremes::of_doubles(rows(count, there).map(|at| f64::from(values[at])))
        }
        _ => {
            let values = array.as_primitive::<Float64Type>().values();
            each(count, there, |at| out.write(&values[at].to_le_bytes()))?;
            Extremes::of_doubles(rows(count, there).map(|at| values[at]))
        }
    })
}

fn texts(out: &mut TextsOut, array: &ArrayRef, there: Option<&NullBuffer>) -> Result<Extremes> {
    if let Some(bytes) = array.as_binary_opt::<i32>() {
        each(array.len(), there, |at| out.push(bytes.value(at)))?;
        return Ok(Extremes::Unknown);
    }
    let texts = array.as_string::<i32>();
    each(array.len(), there, |at| out.push(texts.value(at).as_bytes()))?;
    Ok(Extremes::of_texts(rows(array.len(), there).map(|at| texts.value(at).as_bytes())))
}

/// The number of nanoseconds in each unit.
pub(crate) fn unit_nanos(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

/// The numbers of a timestamp, whatever its unit.
pub(crate) fn instants(array: &dyn Array) -> &[i64] {
    match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => {
            array.as_primitive::<TimestampSecondType>().values()
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            array.as_primitive::<TimestampMillisecondType>().values()
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            array.as_primitive::<TimestampMicrosecondType>().values()
        }
        _ => array.as_primitive::<TimestampNanosecondType>().values(),
    }
}

fn times(
    seconds: &mut IntsOut,
    nanos: &mut IntsOut,
    unit: TimeUnit,
    array: &ArrayRef,
    there: Option<&NullBuffer>,
) -> Result<Extremes> {
    let values = instants(array.as_ref());
    let each_nanos = unit_nanos(unit);
    let each_second = 1_000_000_000 / each_nanos;
    each(array.len(), there, |at| {
        let second = values[at].div_euclid(each_second);
        let nano = values[at].rem_euclid(each_second) * each_nanos;
        let stored = second + i64::from(second < 0 && nano > 999_999);
        let stored = stored
            .checked_sub(BASE)
            .ok_or_else(|| Error::Precision("a timestamp is before all that ORC has".into()))?;
        seconds.push(stored)?;
        nanos.push(stored_nano(nano))
    })?;
    let millis = |value: i64| match 1_000_000 / each_nanos {
        0 => value.saturating_mul(each_nanos / 1_000_000),
        by => value.div_euclid(by),
    };
    let range = range(rows(array.len(), there).map(|at| values[at]));
    Ok(range.map_or(Extremes::None, |(least, most)| Extremes::Times(millis(least), millis(most))))
}

/// Without the zeros at its end, whose number stands in the lowest three bits.
fn stored_nano(nano: i64) -> i64 {
    if nano == 0 || nano % 100 != 0 {
        return nano << 3;
    }
    let (mut digits, mut zeros) = (nano / 100, 1);
    while digits % 10 == 0 && zeros < 7 {
        digits /= 10;
        zeros += 1;
    }
    digits << 3 | zeros
}

fn wide_varint(out: &mut Vec<u8>, value: i128) {
    let mut rest = ((value << 1) ^ (value >> 127)) as u128;
    while rest > u128::from(u64::MAX >> 1) {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    push_varint(out, rest as u64);
}

fn lists(
    lengths: &mut IntsOut,
    items: &mut [Encoder],
    array: &ArrayRef,
    there: Option<&NullBuffer>,
) -> Result<()> {
    let (offsets, columns) = match array.data_type() {
        DataType::Map(..) => {
            let map = array.as_map();
            (map.value_offsets(), map.entries().columns().to_vec())
        }
        _ => {
            let list = array.as_list::<i32>();
            (list.value_offsets(), vec![list.values().clone()])
        }
    };
    let mut write = |begin: usize, end: usize| {
        let pairs = items.iter_mut().zip(&columns);
        pairs
            .filter(|_| end > begin)
            .try_for_each(|(item, column)| item.write(&column.slice(begin, end - begin), None))
    };
    // Items of lists that follow each other are written at once; behind a NULL may be some of no list.
    let (mut begin, mut end) = (0, 0);
    each(array.len(), there, |at| {
        let (first, behind) = (offsets[at].as_usize(), offsets[at + 1].as_usize());
        if first != end {
            write(begin, end)?;
            begin = first;
        }
        end = behind;
        lengths.push((behind - first) as i64)
    })?;
    write(begin, end)
}
