//! How many bytes the rows of a batch take.

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;

/// Bytes of a batch's own rows.
pub fn batch_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|column| array_bytes(column.as_ref())).sum()
}

/// Bytes of an array's own values. The library counts all items of a list, however short the slice is.
fn array_bytes(array: &dyn Array) -> usize {
    match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            items_bytes(list.values().as_ref(), list.value_offsets())
        }
        DataType::Map(..) => {
            let map = array.as_map();
            items_bytes(map.entries(), map.value_offsets())
        }
        DataType::FixedSizeList(..) => array_bytes(array.as_fixed_size_list().values().as_ref()),
        DataType::Struct(_) => {
            let columns = array.as_struct().columns();
            columns.iter().map(|column| array_bytes(column.as_ref())).sum()
        }
        _ => array.to_data().get_slice_memory_size().unwrap_or(0),
    }
}

/// The items that the offsets mean, and the offsets.
fn items_bytes(items: &dyn Array, offsets: &[i32]) -> usize {
    let first = offsets.first().map_or(0, |offset| *offset as usize);
    let last = offsets.last().map_or(0, |offset| *offset as usize);
    size_of_val(offsets) + array_bytes(items.slice(first, last - first).as_ref())
}
