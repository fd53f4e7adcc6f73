//! Rows in the protocol's binary form, to Arrow.

use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Decimal128Builder, Decimal256Builder, PrimitiveBuilder,
    StringBuilder,
};
use arrow_array::types::{
    Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_buffer::i256;
use arrow_schema::{ArrowError, DataType, SchemaRef};
use sdk::{Fault, Result, Undecodable};

use crate::types::Kind;
use crate::wire::Parts;

/// Why a value has no place in its Arrow type.
pub(crate) type Misfit = (&'static str, &'static str);

const ZERO_DATE: Misfit = (
    "mysql.zero_date",
    "a date with a zero in it is no day; \"zeroDates\": \"null\" reads it as NULL",
);
const NO_DAY: Misfit = ("mysql.value_invalid", "the date is no day of the calendar");
const NOT_UTF8: Misfit = ("mysql.text_invalid", "the text is not UTF-8");
const NO_DECIMAL: Misfit = ("mysql.value_invalid", "the number has more digits than its type");

enum Cell<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f32),
    Double(f64),
    Decimal(i256),
    Text(&'a str),
    Made(String),
    Bytes(&'a [u8]),
}

/// Gathers rows.
pub(crate) struct Decoder {
    schema: SchemaRef,
    kinds: Vec<Kind>,
    columns: Vec<Column>,
    /// Behind the columns of the schema comes the key as text, which is kept for the last row.
    has_key: bool,
    last_key: Option<String>,
    zero_is_null: bool,
    rows: usize,
    /// Of these, those with NULL in place of a zero date.
    nulled: u64,
    bytes: u64,
    undecodable: Vec<Undecodable>,
    label: String,
    seen: u64,
}

impl Decoder {
    /// `kinds` are those of the schema's fields; `label` says where rows come from.
    pub(crate) fn new(
        schema: SchemaRef,
        kinds: Vec<Kind>,
        has_key: bool,
        zero_is_null: bool,
        label: String,
    ) -> Self {
        let columns = schema.fields().iter().map(|field| Column::new(field.data_type())).collect();
        Self {
            schema,
            kinds,
            columns,
            has_key,
            last_key: None,
            zero_is_null,
            rows: 0,
            nulled: 0,
            bytes: 0,
            undecodable: Vec::new(),
            label,
            seen: 0,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Rows with NULL in place of a zero date.
    pub(crate) fn nulled(&self) -> u64 {
        self.nulled
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn undecodable(&self) -> usize {
        self.undecodable.len()
    }

    /// The key of the last row, decodable or not.
    pub(crate) fn last_key(&self) -> Option<&str> {
        self.last_key.as_deref()
    }

    /// # Errors
    /// `mysql.protocol` for bytes that are no row.
    pub(crate) fn feed(&mut self, row: &[u8]) -> Result<()> {
        let mut parts = Parts::new(row);
        parts.number(1)?;
        let width = self.kinds.len() + usize::from(self.has_key);
        let nulls = parts.bytes((width + 2).div_ceil(8))?;
        let is_null = |index: usize| nulls[(index + 2) / 8] & (1 << ((index + 2) % 8)) != 0;
        let mut cells = Vec::with_capacity(self.kinds.len());
        let (mut misfit, mut has_zero) = (None, false);
        for (index, kind) in self.kinds.iter().enumerate() {
            cells.push(match is_null(index) {
                true => Cell::Null,
                false => match cell(*kind, &mut parts)? {
                    Ok(cell) => cell,
                    Err(ZERO_DATE) if self.zero_is_null => {
                        has_zero = true;
                        Cell::Null
                    }
                    Err(why) => {
                        misfit = misfit.or(Some((index, why)));
                        Cell::Null
                    }
                },
            });
        }
        if self.has_key && !is_null(self.kinds.len()) {
            self.last_key = Some(String::from_utf8_lossy(parts.text()?).into_owned());
        }
        self.seen += 1;
        self.bytes += row.len() as u64;
        match misfit {
            Some((column, (code, message))) => self.undecodable.push(Undecodable {
                dataset: Some(0),
                origin: format!("{}, row {}", self.label, self.seen),
                data: row.to_vec(),
                code: code.to_owned(),
                message: format!("column \"{}\": {message}", self.schema.field(column).name()),
            }),
            None => {
                for (column, cell) in self.columns.iter_mut().zip(cells) {
                    column.append(cell);
                }
                self.rows += 1;
                self.nulled += u64::from(has_zero);
            }
        }
        Ok(())
    }

    /// The rows gathered so far, and the records that could not be decoded.
    pub(crate) fn batch(&mut self) -> Result<(RecordBatch, Vec<Undecodable>)> {
        let broken = |error: ArrowError| Fault::plugin("mysql.batch", error.to_string());
        let columns = self.columns.iter_mut().map(Column::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options);
        self.rows = 0;
        self.nulled = 0;
        self.bytes = 0;
        Ok((batch.map_err(broken)?, std::mem::take(&mut self.undecodable)))
    }
}

/// The next value of a row. The outer error is of the packet, the inner one of the value.
fn cell<'a>(kind: Kind, parts: &mut Parts<'a>) -> Result<Result<Cell<'a>, Misfit>> {
    Ok(Ok(match kind {
        Kind::Int(width, unsigned) => {
            let bits = 64 - u32::from(width) * 8;
            let number = parts.number(usize::from(width))?;
            // Unsigned numbers keep their bits, whatever they mean as signed.
            let signed = (number << bits) as i64 >> bits;
            Cell::Int(if unsigned { number as i64 } else { signed })
        }
        Kind::Year => Cell::Int(parts.number(2)? as i64),
        Kind::Bool => Cell::Bool(parts.text()?.iter().any(|byte| *byte != 0)),
        Kind::Bits => {
            let bits = parts.text()?;
            Cell::Int(bits.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)) as i64)
        }
        Kind::Float => Cell::Float(f32::from_le_bytes(parts.array()?)),
        Kind::Double => Cell::Double(f64::from_le_bytes(parts.array()?)),
        Kind::Decimal(_, scale) => {
            let text = parts.text()?;
            return Ok(decimal(text, scale).map(Cell::Decimal).ok_or(NO_DECIMAL));
        }
        Kind::Text => {
            return Ok(std::str::from_utf8(parts.text()?).map(Cell::Text).map_err(|_| NOT_UTF8));
        }
        Kind::Bytes => Cell::Bytes(parts.text()?),
        Kind::Date => return Ok(moment(parts)?.map(|micros| Cell::Int(micros / DAY_MICROS))),
        Kind::DateTime | Kind::Timestamp => return Ok(moment(parts)?.map(Cell::Int)),
        Kind::Time => Cell::Made(time(parts)?),
    }))
}

const DAY_MICROS: i64 = 86_400_000_000;

/// Microseconds since 1970 of a date, with or without a time.
fn moment(parts: &mut Parts<'_>) -> Result<Result<i64, Misfit>> {
    let length = parts.number(1)?;
    if length == 0 {
        return Ok(Err(ZERO_DATE));
    }
    let (year, month, day) = (parts.number(2)? as i64, parts.number(1)?, parts.number(1)?);
    let mut micros = 0;
    if length >= 7 {
        let (hour, minute, second) = (parts.number(1)?, parts.number(1)?, parts.number(1)?);
        micros = (hour * 3600 + minute * 60 + second) as i64 * 1_000_000;
    }
    if length >= 11 {
        micros += parts.number(4)? as i64;
    }
    if month == 0 || day == 0 {
        return Ok(Err(ZERO_DATE));
    }
    let days = days(year, month as i64, day as i64);
    // A day that the month has not would come back as one of the next.
    if civil(days) != (year, month as i64, day as i64) {
        return Ok(Err(NO_DAY));
    }
    Ok(Ok(days * DAY_MICROS + micros))
}

/// Days since 1970 of a day in the Gregorian calendar, counted from March, in eras of 400 years.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of days since 1970.
pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// A time, which may be negative or longer than a day, as the server writes it.
fn time(parts: &mut Parts<'_>) -> Result<String> {
    let length = parts.number(1)?;
    if length == 0 {
        return Ok("00:00:00".to_owned());
    }
    let is_negative = parts.number(1)? == 1;
    let days = parts.number(4)?;
    let (hour, minute, second) = (parts.number(1)?, parts.number(1)?, parts.number(1)?);
    let sign = if is_negative { "-" } else { "" };
    let mut text = format!("{sign}{:02}:{minute:02}:{second:02}", days * 24 + hour);
    if length >= 12 {
        let micros = format!("{:06}", parts.number(4)?);
        let fraction = micros.trim_end_matches('0');
        if !fraction.is_empty() {
            text.push('.');
            text.push_str(fraction);
        }
    }
    Ok(text)
}

/// The digits of a decimal, with zeros up to its scale.
fn decimal(text: &[u8], scale: i8) -> Option<i256> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let scale = usize::try_from(scale).ok()?;
    let missing = scale.checked_sub(fraction.len())?;
    let digits = format!("{whole}{fraction}{}", "0".repeat(missing));
    i256::from_string(digits.trim_start_matches('+'))
}

enum Column {
    Bool(BooleanBuilder),
    I8(PrimitiveBuilder<Int8Type>),
    I16(PrimitiveBuilder<Int16Type>),
    I32(PrimitiveBuilder<Int32Type>),
    I64(PrimitiveBuilder<Int64Type>),
    U8(PrimitiveBuilder<UInt8Type>),
    U16(PrimitiveBuilder<UInt16Type>),
    U32(PrimitiveBuilder<UInt32Type>),
    U64(PrimitiveBuilder<UInt64Type>),
    F32(PrimitiveBuilder<Float32Type>),
    F64(PrimitiveBuilder<Float64Type>),
    I128(Decimal128Builder),
    I256(Decimal256Builder),
    Date(PrimitiveBuilder<Date32Type>),
    Instant(PrimitiveBuilder<TimestampMicrosecondType>),
    Bytes(BinaryBuilder),
    Text(StringBuilder),
}

impl Column {
    fn new(kind: &DataType) -> Self {
        match kind {
            DataType::Boolean => Self::Bool(BooleanBuilder::new()),
            DataType::Int8 => Self::I8(PrimitiveBuilder::new()),
            DataType::Int16 => Self::I16(PrimitiveBuilder::new()),
            DataType::Int32 => Self::I32(PrimitiveBuilder::new()),
            DataType::Int64 => Self::I64(PrimitiveBuilder::new()),
            DataType::UInt8 => Self::U8(PrimitiveBuilder::new()),
            DataType::UInt16 => Self::U16(PrimitiveBuilder::new()),
            DataType::UInt32 => Self::U32(PrimitiveBuilder::new()),
            DataType::UInt64 => Self::U64(PrimitiveBuilder::new()),
            DataType::Float32 => Self::F32(PrimitiveBuilder::new()),
            DataType::Float64 => Self::F64(PrimitiveBuilder::new()),
            DataType::Decimal128(..) => {
                Self::I128(Decimal128Builder::new().with_data_type(kind.clone()))
            }
            DataType::Decimal256(..) => {
                Self::I256(Decimal256Builder::new().with_data_type(kind.clone()))
            }
            DataType::Date32 => Self::Date(PrimitiveBuilder::new()),
            DataType::Timestamp(..) => {
                Self::Instant(PrimitiveBuilder::new().with_data_type(kind.clone()))
            }
            DataType::Binary => Self::Bytes(BinaryBuilder::new()),
            _ => Self::Text(StringBuilder::new()),
        }
    }

    /// A cell of another kind than the column cannot come: both are made from one kind.
    fn append(&mut self, cell: Cell<'_>) {
        match (self, cell) {
            (Self::Bool(to), Cell::Bool(value)) => to.append_value(value),
            (Self::I8(to), Cell::Int(value)) => to.append_value(value as i8),
            (Self::I16(to), Cell::Int(value)) => to.append_value(value as i16),
            (Self::I32(to), Cell::Int(value)) => to.append_value(value as i32),
            (Self::I64(to), Cell::Int(value)) => to.append_value(value),
            (Self::U8(to), Cell::Int(value)) => to.append_value(value as u8),
            (Self::U16(to), Cell::Int(value)) => to.append_value(value as u16),
            (Self::U32(to), Cell::Int(value)) => to.append_value(value as u32),
            (Self::U64(to), Cell::Int(value)) => to.append_value(value as u64),
            (Self::F32(to), Cell::Float(value)) => to.append_value(value),
            (Self::F64(to), Cell::Double(value)) => to.append_value(value),
            (Self::I128(to), Cell::Decimal(value)) => to.append_option(value.to_i128()),
            (Self::I256(to), Cell::Decimal(value)) => to.append_value(value),
            (Self::Date(to), Cell::Int(value)) => to.append_value(value as i32),
            (Self::Instant(to), Cell::Int(value)) => to.append_value(value),
            (Self::Bytes(to), Cell::Bytes(value)) => to.append_value(value),
            (Self::Text(to), Cell::Text(value)) => to.append_value(value),
            (Self::Text(to), Cell::Made(value)) => to.append_value(value),
            (column, _) => column.append_null(),
        }
    }

    fn append_null(&mut self) {
        match self {
            Self::Bool(to) => to.append_null(),
            Self::I8(to) => to.append_null(),
            Self::I16(to) => to.append_null(),
            Self::I32(to) => to.append_null(),
            Self::I64(to) => to.append_null(),
            Self::U8(to) => to.append_null(),
            Self::U16(to) => to.append_null(),
            Self::U32(to) => to.append_null(),
            Self::U64(to) => to.append_null(),
            Self::F32(to) => to.append_null(),
            Self::F64(to) => to.append_null(),
            Self::I128(to) => to.append_null(),
            Self::I256(to) => to.append_null(),
            Self::Date(to) => to.append_null(),
            Self::Instant(to) => to.append_null(),
            Self::Bytes(to) => to.append_null(),
            Self::Text(to) => to.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Bool(to) => Arc::new(to.finish()),
            Self::I8(to) => Arc::new(to.finish()),
            Self::I16(to) => Arc::new(to.finish()),
            Self::I32(to) => Arc::new(to.finish()),
            Self::I64(to) => Arc::new(to.finish()),
            Self::U8(to) => Arc::new(to.finish()),
            Self::U16(to) => Arc::new(to.finish()),
            Self::U32(to) => Arc::new(to.finish()),
            Self::U64(to) => Arc::new(to.finish()),
            Self::F32(to) => Arc::new(to.finish()),
            Self::F64(to) => Arc::new(to.finish()),
            Self::I128(to) => Arc::new(to.finish()),
            Self::I256(to) => Arc::new(to.finish()),
            Self::Date(to) => Arc::new(to.finish()),
            Self::Instant(to) => Arc::new(to.finish()),
            Self::Bytes(to) => Arc::new(to.finish()),
            Self::Text(to) => Arc::new(to.finish()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_go_both_ways() {
        for day in (-800_000..3_000_000).step_by(97) {
            let (year, month, number) = civil(day);
            assert_eq!(days(year, month, number), day);
        }
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(days(2000, 2, 29), 11_016);
    }

    #[test]
    fn moments_and_times_are_read() {
        let moment = |bytes: &[u8]| moment(&mut Parts::new(bytes)).unwrap();
        assert_eq!(moment(&[4, 0xb2, 7, 1, 2]), Ok(DAY_MICROS));
        assert_eq!(moment(&[11, 0xb2, 7, 1, 1, 0, 0, 1, 5, 0, 0, 0]), Ok(1_000_005));
        assert_eq!(moment(&[0]), Err(ZERO_DATE));
        assert_eq!(moment(&[4, 0xb2, 7, 0, 2]), Err(ZERO_DATE));
        assert_eq!(moment(&[4, 0xb2, 7, 2, 30]), Err(NO_DAY));
        let time = |bytes: &[u8]| time(&mut Parts::new(bytes)).unwrap();
        assert_eq!(time(&[0]), "00:00:00");
        assert_eq!(time(&[8, 1, 34, 0, 0, 0, 22, 59, 59]), "-838:59:59");
        assert_eq!(time(&[12, 0, 0, 0, 0, 0, 1, 2, 3, 0x20, 0xa1, 7, 0]), "01:02:03.5");
    }

    #[test]
    fn decimals_keep_all_digits() {
        let digits = |text: &str, scale| decimal(text.as_bytes(), scale).map(|d| d.to_string());
        assert_eq!(digits("-1.50", 2).as_deref(), Some("-150"));
        assert_eq!(digits("-0.05", 2).as_deref(), Some("-5"));
        assert_eq!(digits("7", 3).as_deref(), Some("7000"));
        assert_eq!(digits("1.234", 2), None);
        let wide = "9".repeat(65);
        assert_eq!(digits(&wide, 0), Some(wide.clone()));
    }
}
