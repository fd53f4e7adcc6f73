//! Buffers to record batches, validated once.

use std::vec;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Decimal128Type, Decimal256Type, DecimalType};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, make_array};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, i256};
use arrow_data::ArrayData;
use arrow_schema::{DataType, Field};
use domain::{Batch, Dataset};

use crate::bindings::airlock::connector::types;
use crate::limits::Limits;

/// Elements of a child (of lists, maps) at most: those of type null carry no bytes that bound them.
const CHILD_ROWS_MAX: usize = 1 << 26;

/// The metadata of a field that says what the extremes of its type stand for.
const EXTREMES: &str = "airlock:extremes";

/// Why a batch was refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It passes the limit of this name.
    Limit(&'static str),
    /// It is not what the contract says; without values of rows.
    Lie(String),
}

type Checked<T> = std::result::Result<T, Refused>;

fn lie<T>(what: impl Into<String>) -> Checked<T> {
    Err(Refused::Lie(what.into()))
}

/// Makes a batch of one of `datasets` from a guest's buffers.
pub(crate) fn decode(batch: types::Batch, datasets: &[Dataset], limits: &Limits) -> Checked<Batch> {
    if u64::from(batch.rows) > limits.batch_rows {
        return Err(Refused::Limit("batch-rows"));
    }
    let bytes: u64 = batch.buffers.iter().map(|buffer| buffer.len() as u64).sum();
    let Some(bytes_left) = limits.batch_bytes.checked_sub(bytes) else {
        return Err(Refused::Limit("batch-bytes"));
    };
    let Some(dataset) = datasets.get(batch.dataset as usize) else {
        return lie(format!(
            "a batch of dataset {}, of {} datasets",
            batch.dataset,
            datasets.len()
        ));
    };
    let rows = batch.rows as usize;
    let schema = &dataset.schema;
    let mut buffers = Buffers { rest: batch.buffers.into_iter(), bytes_left };
    let mut columns = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        columns.push(buffers.top(field, rows)?);
    }
    let too_many = buffers.rest.len();
    if too_many > 0 {
        return lie(format!("{too_many} buffers more than its fields have"));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let record = RecordBatch::try_new_with_options(schema.clone(), columns, &options)
        .or_else(|error| lie(error.to_string()))?;
    Ok(Batch {
        dataset: batch.dataset,
        rows: record,
        operations: operations(batch.operations, rows)?,
        absent: absent(batch.absent, schema.fields().len(), rows)?,
        positions: None,
    })
}

fn operations(operations: Option<Vec<u8>>, rows: usize) -> Checked<Option<Vec<u8>>> {
    let Some(mut operations) = operations else { return Ok(None) };
    if operations.len() < rows {
        return lie(format!("{} operations for {rows} rows", operations.len()));
    }
    operations.truncate(rows);
    if operations.iter().any(|operation| *operation > 3) {
        return lie("an operation that is none of 0 to 3");
    }
    let before_stands_alone = operations
        .iter()
        .enumerate()
        .any(|(row, operation)| *operation == 1 && operations.get(row + 1) != Some(&2));
    if before_stands_alone {
        return lie("an update-before without its update-after");
    }
    Ok(Some(operations))
}

fn absent(mut absent: Vec<Vec<u8>>, fields: usize, rows: usize) -> Checked<Vec<Vec<u8>>> {
    if !absent.is_empty() && absent.len() != fields {
        return lie(format!("bitmaps of absent values for {} of {fields} fields", absent.len()));
    }
    for bitmap in &mut absent {
        if !bitmap.is_empty() && bitmap.len() < rows.div_ceil(8) {
            return lie(format!(
                "a bitmap of absent values with {} bytes for {rows} rows",
                bitmap.len()
            ));
        }
        bitmap.truncate(rows.div_ceil(8));
    }
    Ok(absent)
}

/// The buffers that are not used yet, in the order of the fields.
struct Buffers {
    rest: vec::IntoIter<Vec<u8>>,
    /// What the limit on bytes leaves for nulls of type null: they come without buffers, and get some
    /// when they are cast.
    bytes_left: u64,
}

impl Buffers {
    fn top(&mut self, field: &Field, rows: usize) -> Checked<ArrayRef> {
        let data = self.column(field, rows)?;
        if !field.is_nullable() && data.null_count() > 0 && *field.data_type() != DataType::Null {
            return lie(format!("nulls in field \"{}\", which has none", field.name()));
        }
        Ok(make_array(data))
    }

    fn next(&mut self, field: &Field) -> Checked<Vec<u8>> {
        match self.rest.next() {
            Some(bytes) => Ok(bytes),
            None => lie(format!("no buffers for field \"{}\"", field.name())),
        }
    }

    /// The next buffer, cut behind its last row: Arrow takes lengths that are not whole values badly.
    fn exactly(&mut self, field: &Field, bytes: usize) -> Checked<Buffer> {
        let mut buffer = self.next(field)?;
        if buffer.len() < bytes {
            let (name, length) = (field.name(), buffer.len());
            return lie(format!("field \"{name}\": a buffer of {length} bytes for {bytes}"));
        }
        buffer.truncate(bytes);
        Ok(Buffer::from_vec(buffer))
    }

    /// Offsets of `rows` rows; none where there are no rows.
    fn offsets(&mut self, field: &Field, rows: usize) -> Checked<Buffer> {
        let count = if rows == 0 { 0 } else { rows + 1 };
        self.exactly(field, count * size_of::<i32>())
    }

    fn column(&mut self, field: &Field, rows: usize) -> Checked<ArrayData> {
        use DataType as T;
        let data_type = field.data_type();
        if *data_type == T::Null {
            let left = self.bytes_left.checked_sub(rows as u64);
            self.bytes_left = left.ok_or(Refused::Limit("batch-bytes"))?;
            return Ok(ArrayData::new_null(data_type, rows));
        }
        let nulls = self.validity(field, rows)?;
        let mut buffers = Vec::new();
        let mut children = Vec::new();
        match data_type {
            T::Utf8 | T::Binary => {
                buffers.push(self.offsets(field, rows)?);
                buffers.push(Buffer::from_vec(self.next(field)?));
            }
            T::List(child) | T::Map(child, _) => {
                let offsets = self.offsets(field, rows)?;
                let child_rows = last_offset(field, &offsets)?;
                buffers.push(offsets);
                children.push(self.column(child, child_rows)?);
            }
            T::FixedSizeList(child, width) => {
                let child_rows = rows.saturating_mul(usize::try_from(*width).unwrap_or(usize::MAX));
                if child_rows > CHILD_ROWS_MAX {
                    return Err(Refused::Limit("batch-rows"));
                }
                children.push(self.column(child, child_rows)?);
            }
            T::Struct(fields) => {
                for child in fields {
                    children.push(self.column(child, rows)?);
                }
            }
            T::Boolean => buffers.push(self.exactly(field, rows.div_ceil(8))?),
            T::FixedSizeBinary(width) => {
                // Widths are at least 1: `check_dataset`.
                let width = usize::try_from(*width).unwrap_or(0);
                buffers.push(self.exactly(field, rows.saturating_mul(width))?);
            }
            other => {
                let Some(width) = other.primitive_width() else {
                    return lie(format!("field \"{}\" of type {other}", field.name()));
                };
                buffers.push(self.exactly(field, rows * width)?);
            }
        }
        let data = ArrayData::builder(data_type.clone())
            .len(rows)
            .nulls(nulls)
            .buffers(buffers)
            .child_data(children)
            .align_buffers(true)
            .build()
            .or_else(|error| lie(format!("field \"{}\": {error}", field.name())))?;
        check_digits(field, &data)?;
        Ok(data)
    }

    fn validity(&mut self, field: &Field, rows: usize) -> Checked<Option<NullBuffer>> {
        let bitmap = self.next(field)?;
        if bitmap.is_empty() || rows == 0 {
            return Ok(None);
        }
        if bitmap.len() < rows.div_ceil(8) {
            let (name, length) = (field.name(), bitmap.len());
            return lie(format!("field \"{name}\": a validity of {length} bytes for {rows} rows"));
        }
        let bitmap = Buffer::from_vec(bitmap);
        let nulls = NullBuffer::new(BooleanBuffer::new(bitmap, 0, rows));
        Ok(Some(nulls).filter(|nulls| nulls.null_count() > 0))
    }
}

/// How many rows a child has: the offset behind the last row.
fn last_offset(field: &Field, offsets: &Buffer) -> Checked<usize> {
    let last = offsets.as_slice().last_chunk().copied().map_or(0, i32::from_le_bytes);
    match usize::try_from(last) {
        Ok(last) if last <= CHILD_ROWS_MAX => Ok(last),
        Ok(_) => Err(Refused::Limit("batch-rows")),
        Err(_) => lie(format!("field \"{}\": a negative offset", field.name())),
    }
}

/// A decimal has no more digits than its type says. The upstream message would show the value.
fn check_digits(field: &Field, data: &ArrayData) -> Checked<()> {
    let digits_fit = match field.data_type() {
        DataType::Decimal128(digits, _) => {
            all_within(data, *digits) || all_fit::<Decimal128Type>(field, data, *digits, i128::MIN)
        }
        DataType::Decimal256(digits, _) => {
            all_fit::<Decimal256Type>(field, data, *digits, i256::MIN)
        }
        _ => true,
    };
    match digits_fit {
        true => Ok(()),
        false => {
            lie(format!("field \"{}\": a decimal with more digits than its type", field.name()))
        }
    }
}

/// Whether all values have so many digits, those behind NULL too: told for all of them at once.
fn all_within(data: &ArrayData, digits: u8) -> bool {
    let most = 10_i128.pow(digits.into()) - 1;
    let values = make_array(data.clone());
    let values = values.as_primitive::<Decimal128Type>().values();
    // Below the range the sum is negative, which is beyond it too.
    let within = |value: &i128| value.wrapping_add(most).cast_unsigned() <= most.unsigned_abs() * 2;
    values.iter().fold(true, |all, value| all & within(value))
}

/// The smallest integer stands for NaN where the field says so.
fn all_fit<T: DecimalType>(field: &Field, data: &ArrayData, digits: u8, nan: T::Native) -> bool {
    let array = make_array(data.clone());
    let values = array.as_primitive::<T>();
    if values.validate_decimal_precision(digits).is_ok() {
        return true;
    }
    let has_nan = field
        .metadata()
        .get(EXTREMES)
        .is_some_and(|words| words.split(|c: char| !c.is_alphanumeric()).any(|word| word == "NaN"));
    let fits =
        |value: T::Native| value == nan || T::validate_decimal_precision(value, digits, 0).is_ok();
    has_nan && values.iter().flatten().all(fits)
}

#[cfg(test)]
mod tests {
    use arrow_array::{Array as _, Decimal128Array};

    use super::*;

    #[test]
    fn decimals_are_as_long_as_their_type_and_no_longer() {
        for digits in [1, 5, 38] {
            let most = 10_i128.pow(digits) - 1;
            let digits = digits as u8;
            for (value, fits) in [
                (most, true),
                (-most, true),
                (most + 1, false),
                (-most - 1, false),
                (i128::MAX, false),
                (i128::MIN, false),
            ] {
                let array = Decimal128Array::from(vec![0, value, 1]);
                let array = array.with_precision_and_scale(digits, 0).unwrap();
                assert_eq!(all_within(&array.to_data(), digits), fits, "{value} of {digits}");
            }
        }
    }
}
