//! Arrow record batches, and the contract's lists of buffers.
//!
//! Each buffer is copied once on its way out and, where it is aligned, not at all on its way in.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, make_array};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, ToByteSlice};
use arrow_data::{ArrayData, ArrayDataBuilder, BufferSpec, layout};
use arrow_schema::{DataType, Field, SchemaRef};

use crate::bindings::airlock::connector::types as wire;
use crate::{Fault, Result};

#[cfg(test)]
mod tests;

/// Rows of one dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Index into the datasets that the cursor or sink was opened with.
    pub dataset: u32,
    pub rows: RecordBatch,
    /// One byte a row: 0 insert, 1 update-before, 2 update-after, 3 delete; `None`: all inserts.
    pub operations: Option<Vec<u8>>,
    /// Per top-level field a bitmap of values that the source did not send; empty: all are there.
    pub absent: Vec<Vec<u8>>,
}

impl Batch {
    /// Inserts of the first dataset.
    pub fn inserts(rows: RecordBatch) -> Self {
        Self { dataset: 0, rows, operations: None, absent: Vec::new() }
    }

    pub(crate) fn into_wire(self) -> Result<wire::Batch> {
        Ok(wire::Batch {
            dataset: self.dataset,
            rows: self.rows.num_rows() as u32,
            operations: self.operations,
            absent: self.absent,
            buffers: buffers_of(&self.rows)?,
        })
    }

    pub(crate) fn from_wire(batch: wire::Batch, schema: &SchemaRef) -> Result<Self> {
        Ok(Self {
            dataset: batch.dataset,
            rows: rows_of(batch.rows, batch.buffers, schema)?,
            operations: batch.operations,
            absent: batch.absent,
        })
    }
}

/// The buffers of all columns, depth first.
pub(crate) fn buffers_of(rows: &RecordBatch) -> Result<Vec<Vec<u8>>> {
    let mut buffers = Vec::new();
    rows.columns().iter().try_for_each(|column| push_column(column, &mut buffers))?;
    Ok(buffers)
}

/// The rows that stand in `buffers`.
pub(crate) fn rows_of(rows: u32, buffers: Vec<Vec<u8>>, schema: &SchemaRef) -> Result<RecordBatch> {
    let rows = rows as usize;
    let mut buffers = buffers.into_iter();
    let columns = schema
        .fields()
        .iter()
        .map(|field| Ok(make_array(column(field, rows, &mut buffers)?)))
        .collect::<Result<Vec<ArrayRef>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(broken)
}

fn broken(error: impl std::fmt::Display) -> Fault {
    Fault::plugin("sdk.batch", format!("a batch is not what its schema says: {error}"))
}

/// The buffers of `column`, each starting at its first row.
fn push_column(column: &ArrayRef, buffers: &mut Vec<Vec<u8>>) -> Result<()> {
    let kind = column.data_type();
    if !matches!(kind, DataType::Null) {
        buffers.push(column.nulls().map(validity_bytes).unwrap_or_default());
    }
    match kind {
        DataType::Null => {}
        DataType::Boolean => buffers.push(bits(column.as_boolean().values())),
        DataType::Utf8 => {
            let texts = column.as_string::<i32>();
            let range = push_offsets(texts.value_offsets(), buffers);
            buffers.push(texts.value_data()[range].to_vec());
        }
        DataType::Binary => {
            let values = column.as_binary::<i32>();
            let range = push_offsets(values.value_offsets(), buffers);
            buffers.push(values.value_data()[range].to_vec());
        }
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            let range = push_offsets(list.value_offsets(), buffers);
            push_column(&list.values().slice(range.start, range.len()), buffers)?;
        }
        DataType::Map(_, _) => {
            let map = column.as_map();
            let range = push_offsets(map.value_offsets(), buffers);
            let entries: ArrayRef = Arc::new(map.entries().slice(range.start, range.len()));
            push_column(&entries, buffers)?;
        }
        DataType::FixedSizeList(_, _) => {
            push_column(column.as_fixed_size_list().values(), buffers)?;
        }
        DataType::Struct(_) => {
            for child in column.as_struct().columns() {
                push_column(child, buffers)?;
            }
        }
        _ => buffers.push(fixed_width(&column.to_data())?),
    }
    Ok(())
}

/// Values of one width each, also those of `FixedSizeBinary`.
fn fixed_width(data: &ArrayData) -> Result<Vec<u8>> {
    let plan = layout(data.data_type());
    match (plan.buffers.as_slice(), data.buffers()) {
        // Views and dictionaries also have values of one width, and more beside them.
        ([BufferSpec::FixedWidth { byte_width, .. }], [values])
            if !plan.variadic && data.child_data().is_empty() =>
        {
            let start = data.offset() * byte_width;
            Ok(values.as_slice()[start..start + data.len() * byte_width].to_vec())
        }
        _ => {
            let message = format!("a column of type {} cannot travel", data.data_type());
            let hint = "cast it to a type that the contract names";
            Err(Fault::plugin("sdk.type", message).hint(hint))
        }
    }
}

/// Pushes `offsets` counted from their first, and answers what they cover.
fn push_offsets(offsets: &[i32], buffers: &mut Vec<Vec<u8>>) -> Range<usize> {
    let first = offsets.first().copied().unwrap_or_default();
    let last = offsets.last().copied().unwrap_or_default();
    buffers.push(match first {
        0 => offsets.to_byte_slice().to_vec(),
        _ => offsets.iter().flat_map(|offset| (offset - first).to_le_bytes()).collect(),
    });
    first as usize..last as usize
}

fn validity_bytes(nulls: &NullBuffer) -> Vec<u8> {
    match nulls.null_count() {
        0 => Vec::new(),
        _ => bits(nulls.inner()),
    }
}

fn bits(values: &BooleanBuffer) -> Vec<u8> {
    values.sliced().as_slice()[..values.len().div_ceil(8)].to_vec()
}

/// The host has validated every batch that it hands out; the builder checks once more what it can
/// without looking at the values.
fn column(
    field: &Field,
    rows: usize,
    buffers: &mut impl Iterator<Item = Vec<u8>>,
) -> Result<ArrayData> {
    let mut next = || buffers.next().ok_or_else(|| broken("a buffer is missing"));
    let kind = field.data_type();
    let mut builder = ArrayDataBuilder::new(kind.clone()).len(rows);
    if !matches!(kind, DataType::Null) {
        let validity = next()?;
        if validity.len() * 8 < rows && !validity.is_empty() {
            return Err(broken("a validity bitmap is too short"));
        }
        if !validity.is_empty() {
            let bits = BooleanBuffer::new(Buffer::from_vec(validity), 0, rows);
            builder = builder.nulls(Some(NullBuffer::new(bits)));
        }
    }
    let mut own = Vec::new();
    for _ in 0..layout(kind).buffers.len() {
        own.push(next()?);
    }
    let has_offsets =
        matches!(kind, DataType::Utf8 | DataType::Binary | DataType::List(_) | DataType::Map(_, _));
    if has_offsets && own[0].is_empty() {
        own[0] = vec![0; 4];
    }
    for (child, rows) in child_rows(kind, rows, own.first())? {
        builder = builder.add_child_data(column(child, rows, buffers)?);
    }
    for bytes in own {
        builder = builder.add_buffer(Buffer::from_vec(bytes));
    }
    builder.align_buffers(true).build().map_err(broken)
}

fn child_rows<'a>(
    kind: &'a DataType,
    rows: usize,
    offsets: Option<&Vec<u8>>,
) -> Result<Vec<(&'a Field, usize)>> {
    Ok(match kind {
        DataType::List(child) | DataType::Map(child, _) => {
            let last = offsets.and_then(|bytes| bytes.get(rows * 4..rows * 4 + 4));
            let last = last.and_then(|bytes| bytes.try_into().ok()).map(i32::from_le_bytes);
            let last = last.ok_or_else(|| broken("offsets are missing"))?;
            vec![(child.as_ref(), last as usize)]
        }
        DataType::FixedSizeList(child, width) => vec![(child.as_ref(), rows * *width as usize)],
        DataType::Struct(children) => children.iter().map(|child| (child.as_ref(), rows)).collect(),
        _ => Vec::new(),
    })
}
