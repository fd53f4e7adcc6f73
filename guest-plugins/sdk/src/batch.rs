//! Arrow record batches, and the contract's lists of buffers.

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, make_array};
use arrow_buffer::{ArrowNativeType, BooleanBuffer, Buffer, NullBuffer};
use arrow_data::transform::MutableArrayData;
use arrow_data::{ArrayData, ArrayDataBuilder, layout};
use arrow_schema::{DataType, Field, SchemaRef};

use crate::bindings::airlock::connector::types as wire;
use crate::{Fault, Result};

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
        let rows = self.rows.num_rows() as u32;
        let mut buffers = Vec::new();
        let (_, columns, _) = self.rows.into_parts();
        for column in columns {
            push_buffers(column.to_data(), &mut buffers)?;
        }
        Ok(wire::Batch {
            dataset: self.dataset,
            rows,
            operations: self.operations,
            absent: self.absent,
            buffers,
        })
    }

    pub(crate) fn from_wire(batch: wire::Batch, schema: &SchemaRef) -> Result<Self> {
        let rows = batch.rows as usize;
        let mut buffers = batch.buffers.into_iter();
        let columns = schema
            .fields()
            .iter()
            .map(|field| Ok(make_array(column(field, rows, &mut buffers)?)))
            .collect::<Result<Vec<ArrayRef>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let rows =
            RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(broken)?;
        Ok(Self {
            dataset: batch.dataset,
            rows,
            operations: batch.operations,
            absent: batch.absent,
        })
    }
}

fn broken(error: impl std::fmt::Display) -> Fault {
    Fault::plugin("sdk.batch", format!("a batch is not what its schema says: {error}"))
}

/// The buffers of `data`, each starting at its first row.
fn push_buffers(data: ArrayData, buffers: &mut Vec<Vec<u8>>) -> Result<()> {
    let data = if starts_at_zero(&data) { data } else { compacted(&data)? };
    if !matches!(data.data_type(), DataType::Null) {
        buffers.push(data.nulls().map(validity_bytes).unwrap_or_default());
    }
    let (len, kind) = (data.len(), data.data_type().clone());
    for (index, buffer) in data.buffers().iter().enumerate() {
        let bytes = buffer.as_slice();
        let used = match (layout(&kind).buffers.get(index), index) {
            (Some(arrow_data::BufferSpec::FixedWidth { byte_width, .. }), 0) => {
                (len + usize::from(is_offset_layout(&kind))) * byte_width
            }
            (Some(arrow_data::BufferSpec::BitMap), _) => len.div_ceil(8),
            _ => variable_len(&data, bytes.len()),
        };
        buffers.push(bytes[..used.min(bytes.len())].to_vec());
    }
    for child in data.child_data() {
        push_buffers(child.clone(), buffers)?;
    }
    Ok(())
}

fn is_offset_layout(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::Binary | DataType::List(_) | DataType::Map(_, _))
}

fn starts_at_zero(data: &ArrayData) -> bool {
    data.offset() == 0
        && (!is_offset_layout(data.data_type())
            || data.is_empty()
            || data.buffers()[0].typed_data::<i32>().first() == Some(&0))
}

/// A copy that starts at row 0, for slices.
fn compacted(data: &ArrayData) -> Result<ArrayData> {
    let mut copy = MutableArrayData::new(vec![data], false, data.len());
    copy.try_extend(0, 0, data.len()).map_err(broken)?;
    Ok(copy.freeze())
}

fn validity_bytes(nulls: &NullBuffer) -> Vec<u8> {
    if nulls.null_count() == 0 {
        return Vec::new();
    }
    nulls.inner().sliced().as_slice()[..nulls.len().div_ceil(8)].to_vec()
}

fn variable_len(data: &ArrayData, all: usize) -> usize {
    match data.data_type() {
        DataType::Utf8 | DataType::Binary if !data.is_empty() => {
            data.buffers()[0].typed_data::<i32>()[data.len()].as_usize()
        }
        DataType::Utf8 | DataType::Binary => 0,
        _ => all,
    }
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
        if !validity.is_empty() {
            let bits = BooleanBuffer::new(Buffer::from_vec(validity), 0, rows);
            builder = builder.nulls(Some(NullBuffer::new(bits)));
        }
    }
    let mut own = Vec::new();
    for _ in 0..layout(kind).buffers.len() {
        own.push(next()?);
    }
    if is_offset_layout(kind) && own[0].is_empty() {
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
