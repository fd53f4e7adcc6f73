//! Dirty records, whole and readable.

use arrow_array::RecordBatch;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use domain::Dataset;
use domain::port::{Dirty, DirtyRecord, DirtyStage, Undecodable};

/// Why a row is dirty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) stage: DirtyStage,
    pub(crate) column: Option<u32>,
    pub(crate) code: String,
    pub(crate) message: String,
}

/// The dirty record of `row` in `rows`, which belong to `dataset`.
pub(crate) fn of_row(
    reason: Reason,
    dataset: Option<&Dataset>,
    rows: &RecordBatch,
    row: usize,
    plugin: &str,
) -> Dirty {
    let schema = rows.schema();
    let name = |column: u32| schema.fields().get(column as usize).map(|field| field.name().clone());
    Dirty {
        stage: reason.stage,
        code: reason.code,
        message: reason.message,
        dataset: dataset.map(Dataset::title).unwrap_or_default(),
        column: reason.column.and_then(name),
        plugin: plugin.to_owned(),
        origin: None,
        record: DirtyRecord::Values(values(rows, row)),
    }
}

fn values(rows: &RecordBatch, row: usize) -> Vec<(String, Option<String>)> {
    let options = FormatOptions::default();
    let schema = rows.schema();
    let columns = schema.fields().iter().zip(rows.columns());
    columns
        .map(|(field, column)| {
            let text = (!column.is_null(row)).then(|| {
                match ArrayFormatter::try_new(column.as_ref(), &options) {
                    Ok(formatter) => formatter.value(row).to_string(),
                    Err(_) => format!("({})", column.data_type()),
                }
            });
            (field.name().clone(), text)
        })
        .collect()
}

/// The dirty record of what the reader could not decode.
pub(crate) fn of_undecodable(record: Undecodable, datasets: &[Dataset], plugin: &str) -> Dirty {
    let dataset = record.dataset.and_then(|index| datasets.get(index as usize));
    Dirty {
        stage: DirtyStage::Read,
        code: record.code,
        message: record.message,
        dataset: dataset.map(Dataset::title).unwrap_or_default(),
        column: None,
        plugin: plugin.to_owned(),
        origin: Some(record.origin),
        record: DirtyRecord::Raw(record.data),
    }
}
