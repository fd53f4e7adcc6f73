//! The values of one column of a COPY, from their binary form.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array,
    FixedSizeBinaryArray, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array,
    ListArray, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray, UInt32Array,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer, i256};
use arrow_schema::ArrowError;

use crate::postgresql::kind::{DECIMAL128_DIGITS, Kind, element_field};
use crate::postgresql::numeric::{NAN_NARROW, NAN_WIDE, Parts, Unfit};

/// Days and microseconds from 1970, where Arrow counts from, to 2000, where PostgreSQL does.
pub(crate) const EPOCH_DAYS: i32 = 10_957;
pub(crate) const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;
/// Elements of an array of the server at most, so that a count from the wire allocates nothing large.
const ELEMENTS_MAX: usize = 128 << 20;
/// Why a value has no place in its Arrow type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    pub(crate) code: &'static str,
    pub(crate) message: &'static str,
}

const MALFORMED: Misfit = Misfit {
    code: "postgresql.value_malformed",
    message: "the value is not in its type's binary form",
};
const NOT_UTF8: Misfit =
    Misfit { code: "postgresql.text_invalid", message: "the text is not valid UTF-8" };
const SHAPE: Misfit = Misfit {
    code: "postgresql.array_shape",
    message: "the array has several dimensions, or is not numbered from 1; read it with a cast to text",
};
const NAN: Misfit = Misfit {
    code: "postgresql.nan",
    message: "NaN is no element of a list of decimals; read the column with a cast to text",
};
pub(crate) const OUT_OF_RANGE: Misfit = Misfit {
    code: "postgresql.value_out_of_range",
    message: "the value lies outside what its column's type can hold",
};

pub(crate) fn int4(bytes: &[u8]) -> i32 {
    bytes.first_chunk::<4>().map_or(0, |bytes| i32::from_be_bytes(*bytes))
}

/// The values of one column.
pub(crate) struct Column {
    kind: Kind,
    valid: Vec<bool>,
    nulls: usize,
    values: Values,
}

enum Values {
    Bool(Vec<bool>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    U32(Vec<u32>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    I128(Vec<i128>),
    I256(Vec<i256>),
    Fixed16(Vec<u8>),
    Bytes { offsets: Vec<i32>, bytes: Vec<u8> },
    List { offsets: Vec<i32>, elements: Box<Column> },
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Misfit> {
    bytes.try_into().map_err(|_| MALFORMED)
}

impl Column {
    pub(crate) fn new(kind: &Kind) -> Self {
        let values = match kind {
            Kind::Bool => Values::Bool(Vec::new()),
            Kind::Int2 => Values::I16(Vec::new()),
            Kind::Int4 | Kind::Date => Values::I32(Vec::new()),
            Kind::Int8 | Kind::Time | Kind::Timestamp | Kind::TimestampTz => {
                Values::I64(Vec::new())
            }
            Kind::Oid => Values::U32(Vec::new()),
            Kind::Float4 => Values::F32(Vec::new()),
            Kind::Float8 => Values::F64(Vec::new()),
            Kind::Numeric { precision, .. } if *precision <= DECIMAL128_DIGITS => {
                Values::I128(Vec::new())
            }
            Kind::Numeric { .. } => Values::I256(Vec::new()),
            Kind::Uuid => Values::Fixed16(Vec::new()),
            Kind::Text | Kind::Json | Kind::Jsonb | Kind::UuidText | Kind::Opaque | Kind::Bytea => {
                Values::Bytes { offsets: vec![0], bytes: Vec::new() }
            }
            Kind::Array(element, _) => {
                Values::List { offsets: vec![0], elements: Box::new(Self::new(element)) }
            }
        };
        Self { kind: kind.clone(), valid: Vec::new(), nulls: 0, values }
    }

    pub(crate) fn push(&mut self, value: Option<&[u8]>) -> Result<(), Misfit> {
        match value {
            Some(value) => self.push_value(value)?,
            None => {
                self.push_nothing();
                self.nulls += 1;
            }
        }
        self.valid.push(value.is_some());
        Ok(())
    }

    fn push_value(&mut self, value: &[u8]) -> Result<(), Misfit> {
        match &mut self.values {
            Values::Bool(values) => values.push(fixed::<1>(value)? != [0]),
            Values::I16(values) => values.push(i16::from_be_bytes(fixed(value)?)),
            Values::I32(values) => {
                let number = i32::from_be_bytes(fixed(value)?);
                values.push(if self.kind == Kind::Date { date(number)? } else { number });
            }
            Values::I64(values) => {
                let number = i64::from_be_bytes(fixed(value)?);
                let is_instant = matches!(self.kind, Kind::Timestamp | Kind::TimestampTz);
                values.push(if is_instant { instant(number)? } else { number });
            }
            Values::U32(values) => values.push(u32::from_be_bytes(fixed(value)?)),
            Values::F32(values) => values.push(f32::from_be_bytes(fixed(value)?)),
            Values::F64(values) => values.push(f64::from_be_bytes(fixed(value)?)),
            Values::I128(values) => values.push(narrow(value, &self.kind)?),
            Values::I256(values) => values.push(wide(value, &self.kind)?),
            Values::Fixed16(values) => values.extend_from_slice(&fixed::<16>(value)?),
            Values::Bytes { offsets, bytes } => {
                let value = match self.kind {
                    Kind::Bytea => value,
                    // The first byte of a jsonb is the version of its form.
                    Kind::Jsonb => text(value.strip_prefix(&[1]).ok_or(MALFORMED)?)?,
                    _ => text(value)?,
                };
                let end = i32::try_from(bytes.len() + value.len()).map_err(|_| OUT_OF_RANGE)?;
                bytes.extend_from_slice(value);
                offsets.push(end);
            }
            Values::List { offsets, elements } => {
                push_elements(elements, value)?;
                offsets.push(i32::try_from(elements.valid.len()).map_err(|_| OUT_OF_RANGE)?);
            }
        }
        Ok(())
    }

    fn push_nothing(&mut self) {
        match &mut self.values {
            Values::Bool(values) => values.push(false),
            Values::I16(values) => values.push(0),
            Values::I32(values) => values.push(0),
            Values::I64(values) => values.push(0),
            Values::U32(values) => values.push(0),
            Values::F32(values) => values.push(0.0),
            Values::F64(values) => values.push(0.0),
            Values::I128(values) => values.push(0),
            Values::I256(values) => values.push(i256::ZERO),
            Values::Fixed16(values) => values.extend_from_slice(&[0; 16]),
            Values::Bytes { offsets, .. } | Values::List { offsets, .. } => {
                offsets.push(offsets.last().copied().unwrap_or_default());
            }
        }
    }

    /// Takes out what stands behind the first `rows`.
    pub(crate) fn truncate(&mut self, rows: usize) {
        let cut = self.valid.get(rows..).unwrap_or_default();
        self.nulls -= cut.iter().filter(|valid| !**valid).count();
        self.valid.truncate(rows);
        match &mut self.values {
            Values::Bool(values) => values.truncate(rows),
            Values::I16(values) => values.truncate(rows),
            Values::I32(values) => values.truncate(rows),
            Values::I64(values) => values.truncate(rows),
            Values::U32(values) => values.truncate(rows),
            Values::F32(values) => values.truncate(rows),
            Values::F64(values) => values.truncate(rows),
            Values::I128(values) => values.truncate(rows),
            Values::I256(values) => values.truncate(rows),
            Values::Fixed16(values) => values.truncate(rows * 16),
            Values::Bytes { offsets, bytes } => {
                offsets.truncate(rows + 1);
                bytes.truncate(offsets.last().copied().unwrap_or_default() as usize);
            }
            Values::List { offsets, elements } => {
                offsets.truncate(rows + 1);
                elements.truncate(offsets.last().copied().unwrap_or_default() as usize);
            }
        }
    }

    /// The column as an array; the column is empty again, with room for as much.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let rows = self.valid.len();
        let valid = std::mem::take(&mut self.valid);
        let nulls = (self.nulls > 0).then(|| NullBuffer::from(valid));
        self.nulls = 0;
        /// Leaves an empty vector of the same room behind.
        fn taken<T>(values: &mut Vec<T>) -> Vec<T> {
            let room = values.len();
            std::mem::replace(values, Vec::with_capacity(room))
        }
        Ok(match &mut self.values {
            Values::Bool(values) => Arc::new(BooleanArray::new(taken(values).into(), nulls)),
            Values::I16(values) => Arc::new(Int16Array::try_new(taken(values).into(), nulls)?),
            Values::I32(values) => {
                let values: ScalarBuffer<i32> = taken(values).into();
                match self.kind {
                    Kind::Date => Arc::new(Date32Array::try_new(values, nulls)?),
                    _ => Arc::new(Int32Array::try_new(values, nulls)?),
                }
            }
            Values::I64(values) => {
                let values: ScalarBuffer<i64> = taken(values).into();
                match self.kind {
                    Kind::Time => Arc::new(Time64MicrosecondArray::try_new(values, nulls)?),
                    Kind::Timestamp => Arc::new(TimestampMicrosecondArray::try_new(values, nulls)?),
                    Kind::TimestampTz => Arc::new(
                        TimestampMicrosecondArray::try_new(values, nulls)?.with_timezone("UTC"),
                    ),
                    _ => Arc::new(Int64Array::try_new(values, nulls)?),
                }
            }
            Values::U32(values) => Arc::new(UInt32Array::try_new(taken(values).into(), nulls)?),
            Values::F32(values) => Arc::new(Float32Array::try_new(taken(values).into(), nulls)?),
            Values::F64(values) => Arc::new(Float64Array::try_new(taken(values).into(), nulls)?),
            Values::I128(values) => {
                let (precision, scale) = decimal(&self.kind);
                let array = Decimal128Array::try_new(taken(values).into(), nulls)?;
                Arc::new(array.with_precision_and_scale(precision, scale)?)
            }
            Values::I256(values) => {
                let (precision, scale) = decimal(&self.kind);
                let array = Decimal256Array::try_new(taken(values).into(), nulls)?;
                Arc::new(array.with_precision_and_scale(precision, scale)?)
            }
            Values::Fixed16(values) => {
                let values = Buffer::from_vec(taken(values));
                Arc::new(FixedSizeBinaryArray::try_new(16, values, nulls)?)
            }
            Values::Bytes { offsets, bytes } => {
                let offsets = offset_buffer(offsets, rows);
                let bytes = Buffer::from_vec(taken(bytes));
                match self.kind {
                    Kind::Bytea => Arc::new(BinaryArray::try_new(offsets, bytes, nulls)?),
                    _ => Arc::new(StringArray::try_new(offsets, bytes, nulls)?),
                }
            }
            Values::List { offsets, elements } => {
                let field = Arc::new(element_field(&elements.kind));
                let offsets = offset_buffer(offsets, rows);
                Arc::new(ListArray::try_new(field, offsets, elements.finish()?, nulls)?)
            }
        })
    }
}

/// The offsets, which only ever rise; `offsets` begins anew.
fn offset_buffer(offsets: &mut Vec<i32>, rows: usize) -> OffsetBuffer<i32> {
    let mut empty = Vec::with_capacity(rows + 1);
    empty.push(0);
    OffsetBuffer::new(std::mem::replace(offsets, empty).into())
}

fn decimal(kind: &Kind) -> (u8, i8) {
    match kind {
        Kind::Numeric { precision, scale } => (*precision, *scale),
        _ => (DECIMAL128_DIGITS, 0),
    }
}

fn text(bytes: &[u8]) -> Result<&[u8], Misfit> {
    // Of short texts, which most are, this is told faster.
    if bytes.is_ascii() {
        return Ok(bytes);
    }
    std::str::from_utf8(bytes).map(str::as_bytes).map_err(|_| NOT_UTF8)
}

/// Both calendars mark infinity by the extremes of the integer.
pub(crate) fn date(days: i32) -> Result<i32, Misfit> {
    match days {
        i32::MAX | i32::MIN => Ok(days),
        _ => days.checked_add(EPOCH_DAYS).ok_or(OUT_OF_RANGE),
    }
}

pub(crate) fn instant(micros: i64) -> Result<i64, Misfit> {
    match micros {
        i64::MAX | i64::MIN => Ok(micros),
        // The last years of the server's calendar lie beyond Arrow's, and its last number is taken.
        _ => micros.checked_add(EPOCH_MICROS).filter(|m| *m < i64::MAX).ok_or(OUT_OF_RANGE),
    }
}

fn unfit(unfit: Unfit) -> Misfit {
    match unfit {
        Unfit::Malformed => MALFORMED,
        Unfit::OutOfRange => OUT_OF_RANGE,
    }
}

/// Of ten, as many as 128 bits hold.
const POWERS: [u128; DECIMAL128_DIGITS as usize + 1] = {
    let mut powers = [1; DECIMAL128_DIGITS as usize + 1];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

pub(crate) fn narrow(bytes: &[u8], kind: &Kind) -> Result<i128, Misfit> {
    let parts = Parts::parse(bytes).ok_or(MALFORMED)?;
    if parts.is_nan() {
        return Ok(NAN_NARROW);
    }
    let (precision, scale) = decimal(kind);
    let value = parts.unscaled(scale).map_err(unfit)?;
    let limit = POWERS.get(usize::from(precision)).copied().unwrap_or(u128::MAX);
    if value.unsigned_abs() < limit { Ok(value) } else { Err(OUT_OF_RANGE) }
}

pub(crate) fn wide(bytes: &[u8], kind: &Kind) -> Result<i256, Misfit> {
    let parts = Parts::parse(bytes).ok_or(MALFORMED)?;
    if parts.is_nan() {
        return Ok(NAN_WIDE);
    }
    parts.unscaled_wide(decimal(kind).1).map_err(unfit)
}

/// Appends the elements of an array in binary form.
fn push_elements(elements: &mut Column, bytes: &[u8]) -> Result<(), Misfit> {
    let (head, rest) = bytes.split_at_checked(12).ok_or(MALFORMED)?;
    if int4(head) == 0 {
        return Ok(());
    }
    let (shape, mut rest) = rest.split_at_checked(8).ok_or(MALFORMED)?;
    if int4(head) != 1 || int4(&shape[4..]) != 1 {
        return Err(SHAPE);
    }
    let count = usize::try_from(int4(shape)).ok().filter(|count| *count <= ELEMENTS_MAX);
    for _ in 0..count.ok_or(MALFORMED)? {
        let (length, behind) = rest.split_at_checked(4).ok_or(MALFORMED)?;
        rest = behind;
        match usize::try_from(int4(length)) {
            Err(_) => elements.push(None)?,
            Ok(length) => {
                let (value, behind) = rest.split_at_checked(length).ok_or(MALFORMED)?;
                let is_numeric = matches!(elements.kind, Kind::Numeric { .. });
                if is_numeric && Parts::parse(value).is_some_and(|parts| parts.is_nan()) {
                    return Err(NAN);
                }
                elements.push(Some(value))?;
                rest = behind;
            }
        }
    }
    if rest.is_empty() { Ok(()) } else { Err(MALFORMED) }
}
