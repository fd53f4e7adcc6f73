//! Rows on their way from a reader to a writer.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;

/// Rows of one dataset, validated: every offset, length and text in it was checked once, at the border.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Index into the datasets that the cursor or sink was opened with.
    pub dataset: u32,
    pub rows: RecordBatch,
    /// One byte a row: 0 insert, 1 update-before, 2 update-after, 3 delete; `None`: all inserts.
    pub operations: Option<Vec<u8>>,
    /// Per top-level field a bitmap of the values that the source did not send; an empty bitmap, or no
    /// bitmaps at all, where everything is present.
    pub absent: Vec<Vec<u8>>,
    /// Which records of its task the rows are; `None` where nobody counts.
    pub positions: Option<Positions>,
}

/// Which records of a task rows are, in the order in which the reader gave them, from 0 on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Positions {
    /// One after another from this one.
    From(u64),
    Each(Arc<[u64]>),
}

impl Positions {
    pub fn of(&self, row: usize) -> Option<u64> {
        match self {
            Self::From(first) => Some(first + row as u64),
            Self::Each(each) => each.get(row).copied(),
        }
    }

    /// Those of `rows`, in their order.
    pub fn gathered(&self, rows: impl Iterator<Item = usize>) -> Self {
        Self::Each(rows.filter_map(|row| self.of(row)).collect())
    }
}

impl Batch {
    pub fn new(dataset: u32, rows: RecordBatch) -> Self {
        Self { dataset, rows, operations: None, absent: Vec::new(), positions: None }
    }

    pub fn len(&self) -> usize {
        self.rows.num_rows()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the values themselves: widths of types and lengths of texts, nulls counting nothing.
    /// Independent of how rows were cut into batches, unlike the size of the buffers.
    pub fn value_bytes(&self) -> u64 {
        self.rows.columns().iter().map(value_bytes).sum()
    }
}

fn value_bytes(column: &ArrayRef) -> u64 {
    let present = (column.len() - column.null_count()) as u64;
    match column.data_type() {
        DataType::Null => 0,
        DataType::Boolean => present,
        data_type => match data_type.primitive_width() {
            Some(width) => present * width as u64,
            None => variable_bytes(column, present),
        },
    }
}

fn variable_bytes(column: &ArrayRef, present: u64) -> u64 {
    use arrow_array::cast::AsArray;
    match column.data_type() {
        DataType::Utf8 => texts(column.as_string::<i32>().value_offsets()),
        DataType::Binary => texts(column.as_binary::<i32>().value_offsets()),
        DataType::FixedSizeBinary(width) => present * *width as u64,
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            value_bytes(&covered(list.value_offsets(), list.values()))
        }
        DataType::Map(_, _) => {
            let map = column.as_map();
            let entries = map.entries().columns().iter();
            entries.map(|part| value_bytes(&covered(map.value_offsets(), part))).sum()
        }
        DataType::Struct(_) => column.as_struct().columns().iter().map(value_bytes).sum(),
        DataType::FixedSizeList(_, _) => value_bytes(column.as_fixed_size_list().values()),
        _ => column.get_array_memory_size() as u64,
    }
}

/// The part of a child that a slice of its parent means.
fn covered(offsets: &[i32], child: &ArrayRef) -> ArrayRef {
    let first = offsets.first().copied().unwrap_or(0) as usize;
    child.slice(first, texts(offsets) as usize)
}

fn texts(offsets: &[i32]) -> u64 {
    match (offsets.first(), offsets.last()) {
        (Some(first), Some(last)) => (last - first) as u64,
        _ => 0,
    }
}
