//! Sums over every byte of what arrives, so that one can tell that it is what was made.
//!
//! A column is a row of words of 64 bits: a number of up to 64 bits is one, a decimal two (the lower half
//! first), a text a hash of its bytes, NULL [`NULL`]. Word `i` of a task, counted from 0, adds itself
//! `2 * i + 1` times, modulo 2^64: how rows are cut into batches does not matter, but each bit does, and
//! that rows keep their order.

use std::fmt::Write as _;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use sdk::{Fault, Result};

use crate::generate::mix;

/// The word of a value that is not there.
const NULL: u64 = 0x6e75_6c6c_6e75_6c6c;

/// The sums of one task's rows.
#[derive(Debug, Default)]
pub(crate) struct Checksum {
    rows: u64,
    columns: Vec<Column>,
}

#[derive(Clone, Debug)]
struct Column {
    sum: u64,
    /// How often the next word adds itself.
    weight: u64,
}

impl Checksum {
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        self.columns.resize(batch.num_columns(), Column { sum: 0, weight: 1 });
        for (column, values) in self.columns.iter_mut().zip(batch.columns()) {
            column.add(values)?;
        }
        Ok(())
    }

    /// The number of rows and the sum of each column, as a line.
    pub(crate) fn line(&self, delimiter: &str) -> String {
        let mut line = format!("{}", self.rows);
        for column in &self.columns {
            let _ = write!(line, "{delimiter}{:016x}", column.sum);
        }
        line.push('\n');
        line
    }
}

/// Whether values of this type can be summed up.
pub(crate) fn takes(kind: &DataType) -> bool {
    matches!(
        kind,
        DataType::Null
            | DataType::Boolean
            | DataType::Int32
            | DataType::Int64
            | DataType::Float64
            | DataType::Date32
            | DataType::Decimal128(..)
            | DataType::Timestamp(TimeUnit::Microsecond, _)
            | DataType::Utf8
            | DataType::Binary
    )
}

impl Column {
    fn add(&mut self, values: &ArrayRef) -> Result<()> {
        let at = |row: usize, word: u64| if values.is_null(row) { NULL } else { word };
        let rows = 0..values.len();
        macro_rules! numbers {
            ($kind:ty, $word:expr) => {{
                let numbers = values.as_primitive::<$kind>().values();
                match values.null_count() {
                    0 => self.words(numbers.iter().map($word)),
                    _ => {
                        self.words(numbers.iter().map($word).zip(rows).map(|(it, row)| at(row, it)))
                    }
                }
            }};
        }
        match values.data_type() {
            DataType::Null => self.words(rows.map(|_| NULL)),
            DataType::Boolean => {
                let flags = values.as_boolean();
                self.words(rows.map(|row| at(row, flags.value(row).into())));
            }
            DataType::Int32 => numbers!(Int32Type, |it| *it as u64),
            DataType::Int64 => numbers!(Int64Type, |it| *it as u64),
            DataType::Float64 => numbers!(Float64Type, |it| it.to_bits()),
            DataType::Date32 => numbers!(Date32Type, |it| *it as u64),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                numbers!(TimestampMicrosecondType, |it| *it as u64);
            }
            DataType::Decimal128(..) => self.decimals(values),
            DataType::Utf8 => {
                let texts = values.as_string::<i32>();
                self.words(rows.map(|row| at(row, hash(texts.value(row).as_bytes()))));
            }
            DataType::Binary => {
                let texts = values.as_binary::<i32>();
                self.words(rows.map(|row| at(row, hash(texts.value(row)))));
            }
            other => return Err(unsummed(other)),
        }
        Ok(())
    }

    fn decimals(&mut self, values: &ArrayRef) {
        let numbers = values.as_primitive::<Decimal128Type>().values();
        if values.null_count() == 0 {
            for number in numbers {
                self.word(*number as u64);
                self.word((*number >> 64) as u64);
            }
            return;
        }
        for (row, number) in numbers.iter().enumerate() {
            let null = values.is_null(row);
            self.word(if null { NULL } else { *number as u64 });
            self.word(if null { NULL } else { (*number >> 64) as u64 });
        }
    }

    fn words(&mut self, words: impl Iterator<Item = u64>) {
        words.for_each(|word| self.word(word));
    }

    fn word(&mut self, word: u64) {
        self.sum = self.sum.wrapping_add(word.wrapping_mul(self.weight));
        self.weight = self.weight.wrapping_add(2);
    }
}

/// The fault of a type whose values cannot be summed up.
pub(crate) fn unsummed(kind: &DataType) -> Fault {
    Fault::user("stream.checksum", format!("values of type {kind} cannot be summed up"))
        .at("/parameter/checksum")
        .hint("leave \"checksum\" out, or the column")
}

fn hash(bytes: &[u8]) -> u64 {
    let mut parts = bytes.chunks_exact(8);
    let whole =
        parts.by_ref().map(|part| part.iter().rev().fold(0, |word, it| word << 8 | u64::from(*it)));
    let hash = whole.fold(bytes.len() as u64, |hash, word| mix(hash ^ word));
    parts.remainder().iter().fold(hash, |hash, byte| mix(hash ^ u64::from(*byte)))
}
