//! The order of rows within a batch, where the destination wishes one.

use std::sync::Arc;

use arrow_array::{ArrayRef, UInt32Array};
use arrow_ord::sort::{SortColumn, lexsort_to_indices};
use arrow_select::take::take_record_batch;
use domain::port::Prepared;
use domain::{Batch, Fault, Result};

use crate::unsettled::gathered_bitmap;

/// The columns that each dataset's batches are sorted by, the first counting most.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sorting {
    columns: Vec<Vec<usize>>,
}

impl Sorting {
    /// # Errors
    /// `plugin.lie.sort_by` for a field that a dataset does not have.
    pub(crate) fn new(prepared: &Prepared) -> Result<Self> {
        let wished = &prepared.wishes.sort_by;
        let columns = prepared.datasets.iter().map(|dataset| {
            let index = |name: &String| {
                dataset.schema.index_of(name).map_err(|_| {
                    let message = format!(
                        "the writer wishes rows sorted by \"{name}\", which is no field of \"{}\"",
                        dataset.title()
                    );
                    Fault::plugin("plugin.lie.sort_by", message).within("writer")
                })
            };
            wished.iter().map(index).collect()
        });
        Ok(Self { columns: columns.collect::<Result<_>>()? })
    }

    /// The rows in the wished order, equal ones in the source's. Changes stay as they came: one may
    /// follow from the other.
    pub(crate) fn sorted(&self, batch: Batch) -> Result<Batch> {
        let columns = self.columns.get(batch.dataset as usize).map_or(&[][..], Vec::as_slice);
        if columns.is_empty() || batch.operations.is_some() || batch.len() < 2 {
            return Ok(batch);
        }
        let failed = |error: arrow_schema::ArrowError| {
            Fault::plugin("plugin.lie.sort_by", error.to_string()).within("writer")
        };
        // The row's number comes last, so that the order is a stable one.
        let numbers: ArrayRef = Arc::new(UInt32Array::from_iter_values(0..batch.len() as u32));
        let keys = columns.iter().map(|index| batch.rows.column(*index).clone()).chain([numbers]);
        let keys: Vec<_> = keys.map(|values| SortColumn { values, options: None }).collect();
        let order = lexsort_to_indices(&keys, None).map_err(failed)?;
        let rows = take_record_batch(&batch.rows, &order).map_err(failed)?;
        let absent = batch
            .absent
            .iter()
            .map(|bitmap| gathered_bitmap(bitmap, order.values().iter().map(|row| *row as usize)));
        let rows_of = || order.values().iter().map(|row| *row as usize);
        let positions = batch.positions.as_ref().map(|positions| positions.gathered(rows_of()));
        Ok(Batch { rows, absent: absent.collect(), positions, ..batch })
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_array::{Int64Array, RecordBatch, StringArray};
    use arrow_schema::{DataType, Field, Schema};
    use domain::Dataset;
    use domain::port::{CommitMode, Wishes};

    use super::*;

    fn prepared(sort_by: &[&str]) -> Prepared {
        let schema = Schema::new(vec![
            Field::new("id", DataType::Int64, false),
            Field::new("name", DataType::Utf8, true),
        ]);
        let dataset = Dataset {
            path: vec!["t".into()],
            schema: Arc::new(schema),
            primary_key: vec![],
            metadata: vec![],
        };
        let sort_by = sort_by.iter().map(|name| (*name).to_owned()).collect();
        Prepared {
            datasets: vec![dataset],
            commit_mode: CommitMode::Staged,
            wishes: Wishes { sort_by, ..Wishes::default() },
        }
    }

    fn batch(prepared: &Prepared) -> Batch {
        let ids = Int64Array::from(vec![4, 1, 3, 2]);
        let names = StringArray::from(vec![Some("b"), Some("b"), None, Some("a")]);
        let schema = prepared.datasets[0].schema.clone();
        let rows = RecordBatch::try_new(schema, vec![Arc::new(ids), Arc::new(names)]).unwrap();
        Batch { absent: vec![vec![], vec![0b0100]], ..Batch::new(0, rows) }
    }

    fn ids(batch: &Batch) -> Vec<i64> {
        batch.rows.column(0).as_primitive::<Int64Type>().values().to_vec()
    }

    #[test]
    fn rows_come_as_the_destination_wishes() {
        for (by, wanted, absent) in [
            (&[][..], [4, 1, 3, 2], 0b0100),
            (&["id"][..], [1, 2, 3, 4], 0b0100),
            (&["name"][..], [3, 2, 4, 1], 0b0001),
            (&["name", "id"][..], [3, 2, 1, 4], 0b0001),
        ] {
            let prepared = prepared(by);
            let sorted = Sorting::new(&prepared).unwrap().sorted(batch(&prepared)).unwrap();
            assert_eq!(
                (ids(&sorted), &sorted.absent[1]),
                (wanted.to_vec(), &vec![absent]),
                "{by:?}"
            );
        }
    }

    #[test]
    fn changes_keep_their_order() {
        let prepared = prepared(&["id"]);
        let changes = Batch { operations: Some(vec![0, 1, 2, 3]), ..batch(&prepared) };
        let sorted = Sorting::new(&prepared).unwrap().sorted(changes.clone()).unwrap();
        assert_eq!(sorted, changes);
    }

    #[test]
    fn a_field_that_is_not_there_is_a_lie() {
        assert_eq!(Sorting::new(&prepared(&["nope"])).unwrap_err().code, "plugin.lie.sort_by");
    }
}
