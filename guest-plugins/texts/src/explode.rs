//! `explode`: a text with delimiters becomes a record for each of its parts.

use std::sync::Arc;

use arrow_array::builder::{Int64Builder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::{DataType, Field, Schema};
use arrow_select::take::take;
use schemars::JsonSchema;
use sdk::{Batch, Dataset, Fault, Refused, Result, Transformed};
use serde::Deserialize;

/// Bytes of rows after which an answer ends; what is left of the batch comes again.
const ANSWER_BYTES: usize = 1 << 20;
/// Bytes that the rows of one record may take.
const RECORD_BYTES_MAX: usize = 32 << 20;
/// Rows that one record may become.
const RECORD_ROWS_MAX: usize = 500_000;

/// What is taken apart, and how.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Parameter {
    /// The column of texts; each record has one of the parts in its place.
    column: String,
    /// What stands between two parts.
    #[serde(default = "comma")]
    #[schemars(length(min = 1))]
    delimiter: String,
    /// Whether blanks around a part are left out.
    #[serde(default)]
    trim: bool,
    /// Name of a column with the number of each part, from 1 on, which comes last.
    #[serde(default)]
    number: Option<String>,
    /// Whether a record whose text is NULL is dropped; else it stays as one, and so does an empty text.
    #[serde(default)]
    drop_null: bool,
}

fn comma() -> String {
    ",".to_owned()
}

/// A session of the step.
pub(crate) struct Explode {
    parameter: Parameter,
    /// For each dataset the position of its column, and the schema of what comes out.
    datasets: Vec<(usize, Arc<Schema>)>,
}

impl Explode {
    pub(crate) fn new(parameter: Parameter) -> Self {
        Self { parameter, datasets: Vec::new() }
    }

    pub(crate) fn open(&mut self, datasets: Vec<Dataset>) -> Result<Vec<Dataset>> {
        let opened = datasets.into_iter().map(|dataset| self.open_one(dataset));
        let opened = opened.collect::<Result<Vec<_>>>()?;
        let behind = |(column, dataset): &(usize, Dataset)| (*column, dataset.schema.clone());
        self.datasets = opened.iter().map(behind).collect();
        Ok(opened.into_iter().map(|(_, dataset)| dataset).collect())
    }

    fn open_one(&self, mut dataset: Dataset) -> Result<(usize, Dataset)> {
        let Parameter { column, number, .. } = &self.parameter;
        let at = crate::text_column(&dataset, column, "/parameter/column")?;
        let mut fields: Vec<_> = dataset.schema.fields().iter().cloned().collect();
        if let Some(number) = number {
            if dataset.schema.index_of(number).is_ok() {
                let message = format!("there is a column \"{number}\" already");
                return Err(Fault::user("explode.number", message).at("/parameter/number"));
            }
            fields.push(Arc::new(Field::new(number, DataType::Int64, false)));
        }
        // The records of one key are told apart by their numbers alone.
        match number {
            Some(number) if !dataset.primary_key.is_empty() => {
                dataset.primary_key.push(number.clone());
            }
            _ => dataset.primary_key.clear(),
        }
        if dataset.primary_key.contains(column) {
            dataset.primary_key.clear();
        }
        dataset.schema =
            Arc::new(Schema::new_with_metadata(fields, dataset.schema.metadata().clone()));
        Ok((at, dataset))
    }

    pub(crate) fn apply(&self, batch: &Batch) -> Result<Transformed> {
        let (column, schema) = self.datasets.get(batch.dataset as usize).ok_or_else(|| {
            Fault::plugin("explode.dataset", format!("there is no dataset {}", batch.dataset))
        })?;
        let mut parts = self.parts(batch, *column);
        let origins = UInt32Array::from(std::mem::take(&mut parts.origins));
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
        for (index, other) in batch.rows.columns().iter().enumerate() {
            columns.push(match index == *column {
                true => Arc::new(parts.texts.finish()),
                false => take(other, &origins, None).map_err(wrong)?,
            });
        }
        if self.parameter.number.is_some() {
            columns.push(Arc::new(parts.numbers.finish()));
        }
        let rows = RecordBatch::try_new(schema.clone(), columns).map_err(wrong)?;
        let made = Transformed::of(batch, rows, origins.values().to_vec())?;
        Ok(Transformed { refused: parts.refused, taken: parts.taken, ..made })
    }

    /// The parts of the first rows, as many as one answer holds.
    fn parts(&self, batch: &Batch, column: usize) -> Parts {
        let texts = batch.rows.column(column).as_string::<i32>();
        let mut parts = Parts::default();
        let mut bytes = 0;
        for (row, text) in texts.iter().enumerate() {
            if bytes > ANSWER_BYTES {
                break;
            }
            parts.taken += 1;
            let count = match text {
                None if self.parameter.drop_null => continue,
                None => 1,
                Some(text) => text.matches(&self.parameter.delimiter).count() + 1,
            };
            let others = (0..batch.rows.num_columns()).filter(|other| *other != column);
            let width: usize = others.map(|other| width(batch.rows.column(other), row)).sum();
            let size = count.saturating_mul(width) + text.map_or(0, str::len);
            if count > RECORD_ROWS_MAX || size > RECORD_BYTES_MAX {
                parts.refused.push(too_large(row as u32, column as u32, count));
                continue;
            }
            bytes += size;
            match text {
                None => parts.push(row as u32, 1, None),
                Some(text) => {
                    for (number, part) in (1..).zip(text.split(&self.parameter.delimiter)) {
                        let part = if self.parameter.trim { part.trim() } else { part };
                        parts.push(row as u32, number, Some(part));
                    }
                }
            }
        }
        parts
    }
}

/// The rows that come out.
#[derive(Default)]
struct Parts {
    texts: StringBuilder,
    numbers: Int64Builder,
    origins: Vec<u32>,
    refused: Vec<Refused>,
    taken: u32,
}

impl Parts {
    fn push(&mut self, row: u32, number: i64, text: Option<&str>) {
        self.texts.append_option(text);
        self.numbers.append_value(number);
        self.origins.push(row);
    }
}

/// Bytes of a value, and of what it takes beside.
fn width(column: &ArrayRef, row: usize) -> usize {
    const EACH: usize = 8;
    let value = match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value_length(row) as usize,
        DataType::Binary => column.as_binary::<i32>().value_length(row) as usize,
        other => other
            .primitive_width()
            .unwrap_or_else(|| column.get_array_memory_size() / column.len().max(1)),
    };
    value + EACH
}

fn too_large(row: u32, column: u32, count: usize) -> Refused {
    let message = format!("the text has {count} parts, which are too many or too large together");
    Refused { row, column: Some(column), code: "explode.too_large".into(), message }
}

fn wrong(error: arrow_schema::ArrowError) -> Fault {
    Fault::plugin("explode.rows", error.to_string())
}
