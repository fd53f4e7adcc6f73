//! Columns of made-up values.
//!
//! A random value depends on the seed, its column and its row alone, so that a resumed task makes the
//! rows that a task without interruption would have made.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, StringBuilder};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array,
    Int64Array, StringArray, TimestampMicrosecondArray, new_null_array,
};

use crate::kind::{Kind, Scalar};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A random text is no longer than this, so that a row stays far below any budget.
pub(crate) const TEXT_BYTES_MAX: i64 = 64 << 10;

/// Makes the values of one column.
#[derive(Clone, Debug)]
pub(crate) enum Generator {
    /// As many equal values as a batch has at most.
    Constant(ArrayRef),
    /// `first + row * step`, where rows count over all slices.
    Sequence {
        kind: Kind,
        first: i64,
        step: i64,
    },
    /// Whole numbers from `low` to `high`, both included; also decimals and dates.
    Integers {
        kind: Kind,
        low: i64,
        high: i64,
    },
    Doubles {
        low: f64,
        high: f64,
    },
    /// Letters and digits, `shortest` to `longest` of them.
    Texts {
        kind: Kind,
        shortest: i64,
        longest: i64,
    },
    /// `yes` of `of` values are true.
    Flags {
        yes: u64,
        of: u64,
    },
}

impl Generator {
    /// Rows `from` to `from + count`, counted over all slices, of the column with this `seed`.
    pub(crate) fn values(&self, seed: u64, from: u64, count: usize) -> ArrayRef {
        let rows = from..from + count as u64;
        let hash = |row: u64| mix(seed ^ mix(row));
        match self {
            Self::Constant(values) => values.slice(0, count),
            Self::Sequence { kind, first, step } => {
                integers(*kind, rows.map(|row| first.wrapping_add(step.wrapping_mul(row as i64))))
            }
            Self::Integers { kind, low, high } => {
                let span = high.wrapping_sub(*low) as u64;
                integers(*kind, rows.map(|row| low.wrapping_add(within(hash(row), span) as i64)))
            }
            Self::Doubles { low, high } => {
                let unit = |row| (hash(row) >> 11) as f64 / (1_u64 << 53) as f64;
                let values = rows.map(|row| low + unit(row) * (high - low));
                Arc::new(Float64Array::from_iter_values(values))
            }
            Self::Texts { kind, shortest, longest } => {
                texts(*kind, rows.map(hash), *shortest as u64, (longest - shortest) as u64)
            }
            Self::Flags { yes, of } => {
                let values: Vec<_> = rows.map(|row| within(hash(row), of - 1) < *yes).collect();
                Arc::new(BooleanArray::from(values))
            }
        }
    }

    /// How wide a value is at most, in bytes.
    pub(crate) fn width_max(&self) -> u64 {
        match self {
            Self::Constant(values) if values.is_empty() => 0,
            Self::Constant(values) => (values.get_buffer_memory_size() / values.len()) as u64 + 1,
            Self::Texts { longest, .. } => *longest as u64 + 4,
            Self::Flags { .. } => 1,
            _ => 16,
        }
    }
}

/// `count` times the same value.
pub(crate) fn constant(kind: Kind, value: &Scalar, count: usize) -> ArrayRef {
    match (kind, value) {
        (_, Scalar::Null) => new_null_array(&kind.data_type(), count),
        (_, Scalar::Integer(number)) => integers(kind, std::iter::repeat_n(*number, count)),
        (_, Scalar::Double(number)) => Arc::new(Float64Array::from(vec![*number; count])),
        (_, Scalar::Bool(flag)) => Arc::new(BooleanArray::from(vec![*flag; count])),
        (Kind::Bytes, Scalar::Text(text)) => {
            Arc::new(BinaryArray::from_iter_values(std::iter::repeat_n(text, count)))
        }
        (_, Scalar::Text(text)) => {
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, count)))
        }
    }
}

/// Whole numbers as the array of `kind`; the parameters were checked to fit it.
fn integers(kind: Kind, values: impl Iterator<Item = i64>) -> ArrayRef {
    match kind {
        Kind::Int => Arc::new(Int32Array::from_iter_values(values.map(|value| value as i32))),
        Kind::Day => Arc::new(Date32Array::from_iter_values(values.map(|value| value as i32))),
        Kind::Moment => Arc::new(TimestampMicrosecondArray::from_iter_values(values)),
        Kind::Decimal { .. } => {
            let numbers = Decimal128Array::from_iter_values(values.map(i128::from));
            Arc::new(numbers.with_data_type(kind.data_type()))
        }
        _ => Arc::new(Int64Array::from_iter_values(values)),
    }
}

fn texts(kind: Kind, hashes: impl Iterator<Item = u64>, shortest: u64, span: u64) -> ArrayRef {
    let mut text = String::new();
    let mut strings = StringBuilder::new();
    let mut binaries = BinaryBuilder::new();
    for mut hash in hashes {
        text.clear();
        for _ in 0..shortest + within(hash, span) {
            hash = mix(hash);
            text.push(ALPHABET[(hash % ALPHABET.len() as u64) as usize].into());
        }
        match kind {
            Kind::Bytes => binaries.append_value(text.as_bytes()),
            _ => strings.append_value(&text),
        }
    }
    match kind {
        Kind::Bytes => Arc::new(binaries.finish()),
        _ => Arc::new(strings.finish()),
    }
}

/// The finaliser of SplitMix64: each bit of the answer depends on each bit of `value`.
pub(crate) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A number from 0 to `span`, both included.
fn within(hash: u64, span: u64) -> u64 {
    match span.checked_add(1) {
        Some(count) => ((u128::from(hash) * u128::from(count)) >> 64) as u64,
        None => hash,
    }
}
