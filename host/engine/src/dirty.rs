//! Dirty records, whole and readable.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{DataType, Field};
use domain::Dataset;
use domain::port::{Dirty, DirtyRecord, DirtyStage, Undecodable};

use crate::mapping::{extreme_word, relabeled};

/// Why a row is dirty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) stage: DirtyStage,
    pub(crate) column: Option<u32>,
    pub(crate) code: String,
    pub(crate) message: String,
    /// Digest of the step's plug-in that found it; `None`: it was whoever is at work at this stage.
    pub(crate) plugin: Option<Arc<str>>,
}

/// The dirty record of `row` in `rows`, which belong to `dataset`; `plugin` is the digest of who is at
/// work.
pub(crate) fn of_row(
    reason: Reason,
    dataset: Option<&Dataset>,
    rows: &RecordBatch,
    row: usize,
    position: Option<u64>,
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
        plugin: reason.plugin.as_deref().unwrap_or(plugin).to_owned(),
        origin: None,
        position,
        record: DirtyRecord::Values(values(rows, row)),
    }
}

pub(crate) fn values(rows: &RecordBatch, row: usize) -> Vec<(String, Option<String>)> {
    let schema = rows.schema();
    let columns = schema.fields().iter().zip(rows.columns());
    columns
        .map(|(field, column)| {
            let text = (!column.is_null(row)).then(|| text(field, column, row));
            (field.name().clone(), text)
        })
        .collect()
}

fn text(field: &Field, column: &ArrayRef, row: usize) -> String {
    if let Some(word) = extreme_word(field, column, row) {
        return word.to_owned();
    }
    match (shown(column, row), column.data_type()) {
        (Some(text), _) => text,
        // The zone is not known here; the instant is.
        (None, DataType::Timestamp(unit, Some(_))) => {
            let utc = relabeled(column, &DataType::Timestamp(*unit, Some("UTC".into())));
            utc.ok().and_then(|utc| shown(&utc, row)).unwrap_or_else(|| number(column, row))
        }
        (None, _) => number(column, row),
    }
}

/// `None` where the value has no text, such as a date beyond the calendar.
fn shown(column: &ArrayRef, row: usize) -> Option<String> {
    let options = FormatOptions::new().with_display_error(false);
    let formatter = ArrayFormatter::try_new(column.as_ref(), &options).ok()?;
    formatter.value(row).try_to_string().ok()
}

/// The number that a value is made of, or else its type.
fn number(column: &ArrayRef, row: usize) -> String {
    let kind = column.data_type();
    let plain = match kind.primitive_width() {
        Some(4) => relabeled(column, &DataType::Int32),
        Some(8) => relabeled(column, &DataType::Int64),
        _ => return format!("({kind})"),
    };
    plain.ok().and_then(|plain| shown(&plain, row)).unwrap_or_else(|| format!("({kind})"))
}

/// The dirty record of what the reader could not decode.
pub(crate) fn of_undecodable(
    record: Undecodable,
    datasets: &[Dataset],
    position: u64,
    plugin: &str,
) -> Dirty {
    let dataset = record.dataset.and_then(|index| datasets.get(index as usize));
    Dirty {
        stage: DirtyStage::Read,
        code: record.code,
        message: record.message,
        dataset: dataset.map(Dataset::title).unwrap_or_default(),
        column: None,
        plugin: plugin.to_owned(),
        origin: Some(record.origin),
        position: Some(position),
        record: DirtyRecord::Raw(record.data),
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{Date32Array, TimestampMicrosecondArray};
    use arrow_schema::TimeUnit;

    use super::*;

    fn text_of(column: ArrayRef, extremes: &str) -> String {
        let metadata: std::collections::HashMap<_, _> =
            [("airlock:extremes".to_owned(), extremes.to_owned())].into();
        let field = Field::new("c", column.data_type().clone(), true).with_metadata(metadata);
        text(&field, &column, 0)
    }

    #[test]
    fn instants_are_shown_in_their_zone_and_in_utc_where_it_is_not_known() {
        for (zone, expected) in [
            ("UTC", "2025-01-31T10:00:00Z"),
            ("+00:00", "2025-01-31T10:00:00Z"),
            ("Asia/Shanghai", "2025-01-31T18:00:00+08:00"),
            ("Mars/Olympus", "2025-01-31T10:00:00Z"),
        ] {
            let values = TimestampMicrosecondArray::from(vec![1_738_317_600_000_000]);
            assert_eq!(text_of(Arc::new(values.with_timezone(zone)), ""), expected, "{zone}");
        }
    }

    #[test]
    fn values_outside_the_calendar_are_shown_as_what_they_are() {
        let dates = |value| Arc::new(Date32Array::from(vec![value])) as ArrayRef;
        assert_eq!(text_of(dates(i32::MAX), "infinity"), "infinity");
        assert_eq!(text_of(dates(i32::MIN), "infinity"), "-infinity");
        assert_eq!(text_of(dates(i32::MAX), ""), "2147483647");
        let kind = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let instants =
            relabeled(&(Arc::new(arrow_array::Int64Array::from(vec![i64::MAX])) as _), &kind);
        assert_eq!(text_of(instants.unwrap(), ""), "9223372036854775807");
    }
}
