//! Record batches to buffers that start at row 0.

use arrow_array::cast::AsArray as _;
use arrow_array::{Array, RecordBatch};
use arrow_buffer::{Buffer, NullBuffer};
use arrow_schema::DataType;
use domain::{Batch, Fault, Result};
use wasmtime::component::{ComponentType, Lower};

/// The contract's `batch`, borrowed: the guest's memory gets its bytes straight from Arrow's.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct Outgoing<'a> {
    dataset: u32,
    rows: u32,
    operations: Option<&'a [u8]>,
    absent: Vec<&'a [u8]>,
    buffers: Vec<&'a [u8]>,
}

impl<'a> Outgoing<'a> {
    /// `batch` with the buffers that [`encode`] made of its rows.
    ///
    /// # Errors
    /// `sandbox.rows`, a bug of the host.
    pub(crate) fn new(batch: &'a Batch, buffers: &'a [Buffer]) -> Result<Self> {
        let rows = u32::try_from(batch.len()).map_err(|_| {
            Fault::internal("sandbox.rows", "a batch of more rows than the contract can count")
        })?;
        Ok(Self {
            dataset: batch.dataset,
            rows,
            operations: batch.operations.as_deref(),
            absent: batch.absent.iter().map(Vec::as_slice).collect(),
            buffers: buffers.iter().map(Buffer::as_slice).collect(),
        })
    }

    pub(crate) fn rows(&self) -> u32 {
        self.rows
    }
}

/// The buffers of the columns, depth first. Shares the batch's memory except where a slice does not
/// begin at a byte, or at offset 0.
///
/// # Errors
/// `sandbox.type`, a bug of the host: the datasets of a sink were checked when it was opened.
pub(crate) fn encode(rows: &RecordBatch) -> Result<Vec<Buffer>> {
    let mut buffers = Vec::with_capacity(rows.num_columns() * 3);
    for column in rows.columns() {
        encode_column(column.as_ref(), &mut buffers)?;
    }
    Ok(buffers)
}

fn encode_column(column: &dyn Array, buffers: &mut Vec<Buffer>) -> Result<()> {
    use DataType as T;
    if *column.data_type() == T::Null {
        return Ok(());
    }
    buffers.push(validity(column.nulls()));
    match column.data_type() {
        T::Boolean => buffers.push(column.as_boolean().values().sliced()),
        T::Utf8 => {
            let texts = column.as_string::<i32>();
            encode_bytes(
                texts.offsets().inner().inner(),
                texts.value_offsets(),
                texts.values(),
                buffers,
            );
        }
        T::Binary => {
            let bytes = column.as_binary::<i32>();
            encode_bytes(
                bytes.offsets().inner().inner(),
                bytes.value_offsets(),
                bytes.values(),
                buffers,
            );
        }
        T::List(_) => {
            let list = column.as_list::<i32>();
            let (first, len) =
                encode_offsets(list.offsets().inner().inner(), list.value_offsets(), buffers);
            encode_column(list.values().slice(first, len).as_ref(), buffers)?;
        }
        T::Map(_, _) => {
            let map = column.as_map();
            let (first, len) =
                encode_offsets(map.offsets().inner().inner(), map.value_offsets(), buffers);
            encode_column(&map.entries().slice(first, len), buffers)?;
        }
        T::FixedSizeList(_, _) => encode_column(column.as_fixed_size_list().values(), buffers)?,
        T::Struct(_) => {
            for child in column.as_struct().columns() {
                encode_column(child.as_ref(), buffers)?;
            }
        }
        T::FixedSizeBinary(width) => {
            // A width is at least 1: `check_dataset`.
            encode_fixed(column, usize::try_from(*width).unwrap_or(0), buffers);
        }
        other => match other.primitive_width() {
            Some(width) => encode_fixed(column, width, buffers),
            None => {
                return Err(Fault::internal(
                    "sandbox.type",
                    format!("no batch may have type {other}"),
                ));
            }
        },
    }
    Ok(())
}

fn validity(nulls: Option<&NullBuffer>) -> Buffer {
    match nulls {
        Some(nulls) if nulls.null_count() > 0 => nulls.inner().sliced(),
        _ => Buffer::default(),
    }
}

fn encode_fixed(column: &dyn Array, width: usize, buffers: &mut Vec<Buffer>) {
    let data = column.to_data();
    let values = &data.buffers()[0];
    buffers.push(values.slice_with_length(data.offset() * width, data.len() * width));
}

fn encode_bytes(shared: &Buffer, offsets: &[i32], values: &Buffer, buffers: &mut Vec<Buffer>) {
    let (first, len) = encode_offsets(shared, offsets, buffers);
    buffers.push(values.slice_with_length(first, len));
}

/// Pushes offsets that begin at 0; answers where the values that they mean begin, and how many they
/// are. `shared` is the memory of `offsets`.
fn encode_offsets(shared: &Buffer, offsets: &[i32], buffers: &mut Vec<Buffer>) -> (usize, usize) {
    let first = offsets.first().copied().unwrap_or(0);
    let last = offsets.last().copied().unwrap_or(0);
    buffers.push(match first {
        0 => shared.slice_with_length(0, size_of_val(offsets)),
        _ => Buffer::from_vec(offsets.iter().map(|offset| offset - first).collect::<Vec<i32>>()),
    });
    // Offsets are not negative and do not fall: arrays hold that.
    (first as usize, (last - first) as usize)
}
