//! Records taken apart: where each field's text stands, and columns made of it.
//!
//! A tokenizer (CSV, JSON lines) notes for a window of bytes where each field begins and ends; then one
//! loop a column turns the texts into Arrow values. A record whose text does not fit is left out of the
//! columns whole, and told with its reason.

use std::sync::Arc;

use arrow_array::builder::NullBufferBuilder;
use arrow_array::types::{
    Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::{
    ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, PrimitiveArray, StringArray,
};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::kind::{BinaryText, Kind, UTC};
use crate::temporal::{self, DAY_US, Pattern};
use crate::value::{self, Misfit};

/// One field of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    pub start: u32,
    pub end: u32,
    pub form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Null,
    /// Its bytes in the window.
    Plain,
    /// Its bytes in the scratch, where escapes are resolved.
    Resolved,
}

impl Cell {
    pub const NULL: Self = Self { start: 0, end: 0, form: Form::Null };
}

/// One record, at its place in the window.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    pub start: u32,
    /// Without its line end.
    pub end: u32,
    /// Where the next one starts.
    pub next: u32,
    /// As written, wanted or not.
    pub fields: u32,
    /// Line ends in it, its own included.
    pub lines: u32,
}

/// Why a record can't be taken as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    pub code: &'static str,
    pub message: String,
}

/// The fields of some records, `width` a record.
#[derive(Default)]
pub struct Cells {
    pub width: usize,
    pub cells: Vec<Cell>,
    pub scratch: Vec<u8>,
    pub records: Vec<Record>,
    /// Records that are no good, by index.
    flaws: Vec<(u32, Flaw)>,
}

impl Cells {
    pub fn new(width: usize) -> Self {
        Self { width, ..Self::default() }
    }

    pub fn clear(&mut self) {
        self.cells.clear();
        self.scratch.clear();
        self.records.clear();
        self.flaws.clear();
    }

    pub fn rows(&self) -> usize {
        self.records.len()
    }

    /// How often something was noted as wrong.
    pub fn flaws(&self) -> usize {
        self.flaws.len()
    }

    /// Keeps the first `left` records alone.
    pub fn truncate(&mut self, left: usize) {
        self.records.truncate(left);
        self.cells.truncate(left * self.width);
        self.flaws.retain(|(record, _)| (*record as usize) < left);
    }

    /// Counts lines that were passed over behind the last record as its own.
    pub fn extend_last(&mut self, next: usize, lines: u32) {
        if let Some(last) = self.records.last_mut() {
            last.next = next as u32;
            last.lines += lines;
        }
    }

    /// Notes what is wrong with the record that is being read, or with an earlier one.
    pub fn flaw(&mut self, record: usize, code: &'static str, message: String) {
        self.flaws.push((record as u32, Flaw { code, message }));
    }

    /// The first flaw of each record that has one, in order.
    pub fn take_flaws(&mut self) -> Vec<(u32, Flaw)> {
        let mut flaws = std::mem::take(&mut self.flaws);
        flaws.sort_by_key(|(record, _)| *record);
        flaws.dedup_by_key(|(record, _)| *record);
        flaws
    }

    /// The text of a field; `None` where it is NULL.
    #[inline]
    pub fn text<'a>(&'a self, window: &'a [u8], row: usize, column: usize) -> Option<&'a [u8]> {
        let cell = self.cells[row * self.width + column];
        let range = cell.start as usize..cell.end as usize;
        match cell.form {
            Form::Null => None,
            Form::Plain => Some(&window[range]),
            Form::Resolved => Some(&self.scratch[range]),
        }
    }
}

/// One column of the cells, and what is needed to read it.
pub struct Column<'a> {
    pub cells: &'a Cells,
    pub window: &'a [u8],
    pub index: usize,
    /// An empty text of a type other than text is NULL.
    pub empty_is_null: bool,
    /// A double must give its digits back: the type was inferred, and nobody asked for rounding.
    pub exact: bool,
}

/// Rows whose text does not fit, and why.
pub type Misfits = Vec<(usize, Misfit)>;

impl Column<'_> {
    /// The column's values; a row that does not fit holds NULL and is told in `misfits`.
    pub fn read(&self, kind: &Kind, misfits: &mut Misfits) -> ArrayRef {
        match kind {
            Kind::Int16 => self.primitive::<Int16Type>(misfits, |text| {
                i16::try_from(value::parse_i64(text)?).map_err(|_| Misfit::Range)
            }),
            Kind::Int32 => self.primitive::<Int32Type>(misfits, |text| {
                i32::try_from(value::parse_i64(text)?).map_err(|_| Misfit::Range)
            }),
            Kind::Int64 => self.primitive::<Int64Type>(misfits, value::parse_i64),
            Kind::Float32 => self.primitive::<Float32Type>(misfits, value::parse_f32),
            Kind::Float64 if self.exact => {
                self.primitive::<Float64Type>(misfits, value::parse_exact_f64)
            }
            Kind::Float64 => self.primitive::<Float64Type>(misfits, value::parse_f64),
            Kind::Decimal128 { precision, scale } => {
                let values = self.primitive_array::<Decimal128Type>(misfits, |text| {
                    value::parse_decimal(text, *precision, *scale)
                });
                Arc::new(values.with_data_type(kind.data_type()))
            }
            Kind::Decimal256 { precision, scale } => {
                let values = self.primitive_array::<Decimal256Type>(misfits, |text| {
                    value::parse_decimal256(text, *precision, *scale)
                });
                Arc::new(values.with_data_type(kind.data_type()))
            }
            Kind::Text => self.texts(misfits),
            Kind::Boolean => self.booleans(misfits),
            Kind::Date(pattern) => self.dates(pattern.as_ref(), misfits),
            Kind::Time(pattern) => self.times(pattern.as_ref(), misfits),
            Kind::Timestamp(pattern) => {
                Arc::new(self.timestamps(pattern.as_ref(), temporal::parse_local, misfits))
            }
            Kind::Instant(pattern) => {
                let values = self.timestamps(pattern.as_ref(), temporal::parse_instant, misfits);
                Arc::new(values.with_timezone(UTC))
            }
            Kind::Binary(how) => self.binaries(*how, misfits),
        }
    }

    #[inline]
    fn value(&self, row: usize) -> Option<&[u8]> {
        let text = self.cells.text(self.window, row, self.index)?;
        if self.empty_is_null && text.is_empty() { None } else { Some(text) }
    }

    fn primitive_array<T: ArrowPrimitiveType>(
        &self,
        misfits: &mut Misfits,
        parse: impl Fn(&[u8]) -> Result<T::Native, Misfit>,
    ) -> PrimitiveArray<T> {
        let rows = self.cells.rows();
        let mut values = Vec::with_capacity(rows);
        let mut nulls = NullBufferBuilder::new(rows);
        for row in 0..rows {
            let parsed = self.value(row).map(&parse);
            match parsed {
                Some(Ok(value)) => {
                    values.push(value);
                    nulls.append_non_null();
                    continue;
                }
                Some(Err(misfit)) => misfits.push((row, misfit)),
                None => {}
            }
            values.push(T::Native::default());
            nulls.append_null();
        }
        PrimitiveArray::new(ScalarBuffer::from(values), nulls.finish())
    }

    fn primitive<T: ArrowPrimitiveType>(
        &self,
        misfits: &mut Misfits,
        parse: impl Fn(&[u8]) -> Result<T::Native, Misfit>,
    ) -> ArrayRef {
        Arc::new(self.primitive_array::<T>(misfits, parse))
    }

    fn dates(&self, pattern: Option<&Pattern>, misfits: &mut Misfits) -> ArrayRef {
        match pattern {
            None => self.primitive::<Date32Type>(misfits, temporal::parse_date),
            Some(pattern) => self.primitive::<Date32Type>(misfits, |text| {
                let (days, _, _) = pattern.read(text)?;
                i32::try_from(days).map_err(|_| Misfit::Range)
            }),
        }
    }

    fn times(&self, pattern: Option<&Pattern>, misfits: &mut Misfits) -> ArrayRef {
        match pattern {
            None => self.primitive::<Time64MicrosecondType>(misfits, temporal::parse_time),
            Some(pattern) => {
                self.primitive::<Time64MicrosecondType>(misfits, |text| Ok(pattern.read(text)?.1))
            }
        }
    }

    fn timestamps(
        &self,
        pattern: Option<&Pattern>,
        parse: fn(&[u8]) -> Result<i64, Misfit>,
        misfits: &mut Misfits,
    ) -> PrimitiveArray<TimestampMicrosecondType> {
        match pattern {
            None => self.primitive_array(misfits, parse),
            Some(pattern) => self.primitive_array(misfits, |text| {
                let (days, time, zone) = pattern.read(text)?;
                Ok(days * DAY_US + time - zone.unwrap_or(0) * temporal::SECOND_US)
            }),
        }
    }

    fn booleans(&self, misfits: &mut Misfits) -> ArrayRef {
        let rows = self.cells.rows();
        let mut values = BooleanBufferBuilder::new(rows);
        let mut nulls = NullBufferBuilder::new(rows);
        for row in 0..rows {
            let parsed = self.value(row).map(value::parse_bool);
            if let Some(Err(misfit)) = parsed {
                misfits.push((row, misfit));
            }
            let good = parsed.and_then(Result::ok);
            values.append(good.unwrap_or_default());
            nulls.append(good.is_some());
        }
        Arc::new(BooleanArray::new(values.finish(), nulls.finish()))
    }

    fn texts(&self, misfits: &mut Misfits) -> ArrayRef {
        let (offsets, values, nulls) = self.bytes(
            |text, values| {
                push_text(text, values);
                Ok(())
            },
            misfits,
        );
        // Checks all texts at once; only where that fails are they looked at one by one.
        let values = Buffer::from_vec(values);
        match StringArray::try_new(offsets, values, nulls) {
            Ok(texts) => Arc::new(texts),
            Err(_) => self.checked_texts(misfits),
        }
    }

    fn checked_texts(&self, misfits: &mut Misfits) -> ArrayRef {
        let texts = (0..self.cells.rows()).map(|row| {
            let text = self.value(row)?;
            let checked = std::str::from_utf8(text);
            if checked.is_err() {
                misfits.push((row, Misfit::Text));
            }
            checked.ok()
        });
        Arc::new(texts.collect::<StringArray>())
    }

    fn binaries(&self, how: BinaryText, misfits: &mut Misfits) -> ArrayRef {
        let (offsets, values, nulls) = self.bytes(
            |text, values| match how {
                BinaryText::Raw => {
                    values.extend_from_slice(text);
                    Ok(())
                }
                BinaryText::Base64 => STANDARD.decode_vec(text, values).map_err(|_| Misfit::Form),
                BinaryText::Hex => hex(text, values),
            },
            misfits,
        );
        Arc::new(BinaryArray::new(offsets, Buffer::from_vec(values), nulls))
    }

    fn bytes(
        &self,
        mut push: impl FnMut(&[u8], &mut Vec<u8>) -> Result<(), Misfit>,
        misfits: &mut Misfits,
    ) -> (OffsetBuffer<i32>, Vec<u8>, Option<NullBuffer>) {
        let rows = self.cells.rows();
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        let mut values = Vec::new();
        let mut nulls = NullBufferBuilder::new(rows);
        for row in 0..rows {
            let before = values.len();
            let pushed = self.value(row).map(|text| push(text, &mut values));
            if let Some(Err(misfit)) = pushed {
                values.truncate(before);
                misfits.push((row, misfit));
            }
            nulls.append(matches!(pushed, Some(Ok(()))));
            // A window is far smaller than 2 GiB.
            offsets.push(values.len() as i32);
        }
        (OffsetBuffer::new(ScalarBuffer::from(offsets)), values, nulls.finish())
    }
}

/// Appends a text, mostly a short one, which one or two words hold: in a guest a copy of unknown length is
/// a call to the host.
#[inline]
fn push_text(text: &[u8], values: &mut Vec<u8>) {
    let end = values.len() + text.len();
    match text.split_first_chunk::<8>() {
        None => match value::word(text) {
            None => return,
            Some(word) => values.extend_from_slice(&word.to_le_bytes()),
        },
        Some((first, rest)) if rest.len() <= 8 => {
            values.extend_from_slice(first);
            if let Some(word) = value::word(rest) {
                values.extend_from_slice(&word.to_le_bytes());
            }
        }
        Some(_) => values.extend_from_slice(text),
    }
    values.truncate(end);
}

/// With or without `\x` or `0x` in front.
fn hex(text: &[u8], values: &mut Vec<u8>) -> Result<(), Misfit> {
    let digits = text.strip_prefix(b"\\x").or(text.strip_prefix(b"0x")).unwrap_or(text);
    if !digits.len().is_multiple_of(2) {
        return Err(Misfit::Form);
    }
    for pair in digits.chunks_exact(2) {
        let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(Misfit::Form);
        values.push((digit(pair[0])? * 16 + digit(pair[1])?) as u8);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_any_length_are_appended() {
        let text: Vec<u8> = (1..=40).collect();
        for length in 0..=text.len() {
            let mut values = vec![0xff];
            push_text(&text[..length], &mut values);
            assert_eq!(values[1..], text[..length]);
        }
    }
}
