//! What happens to records between Reader and mapping: DataX's transformers, on columns.
//!
//! A transformer sees values as DataX does, by its table of conversions. A record that one of them
//! drops is filtered, and one whose value it cannot handle is dirty; neither meets the next.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use domain::job::{self, Action, Transformer};
use domain::port::DirtyStage;
use domain::{Batch, Dataset, Fault, Result};

use self::filter::Filter;
use self::texts::Change;
use crate::dirty::Reason;
use crate::mapping::{Kind, Values, kind};
use crate::settings::Settings;
use crate::unsettled::filtered;

mod filter;
mod texts;

/// The transformers of a job, made ready for each of its datasets.
#[derive(Clone, Debug)]
pub(crate) struct Processing {
    values: Values,
    /// As the mapping gets them.
    datasets: Vec<Dataset>,
    /// The steps of each dataset, index for index.
    chains: Vec<Vec<Step>>,
}

#[derive(Clone, Debug)]
struct Step {
    /// The name in the document, for messages.
    name: String,
    column: usize,
    work: Work,
    /// The fields behind the step.
    schema: SchemaRef,
}

#[derive(Clone, Debug)]
enum Work {
    Change(Change),
    Drop(Filter),
}

/// A batch after all transformers, and what became of the rows that are no longer in it.
pub(crate) struct Processed {
    pub(crate) batch: Batch,
    pub(crate) origins: Origins,
    /// Row numbers of the batch before the transformers.
    pub(crate) dirty: Vec<(usize, Reason)>,
    /// Records that were dropped.
    pub(crate) filtered: u64,
}

/// For each row its number in the batch before; `None`: the numbers are the same.
pub(crate) struct Origins(Option<Vec<usize>>);

impl Origins {
    pub(crate) fn of(&self, row: usize) -> usize {
        self.0.as_ref().map_or(row, |origins| origins[row])
    }
}

/// Why a transformer cannot handle a value.
struct Misfit {
    row: usize,
    code: &'static str,
    message: String,
}

impl Misfit {
    /// A value that DataX's table does not convert.
    fn unread(row: usize, to: &str) -> Self {
        Self { row, code: "transform.no_value", message: format!("the value is no {to}") }
    }
}

impl Processing {
    /// # Errors
    /// `transform.column`: a dataset has no such column; `transform.type`: a transformer cannot see a
    /// type; `transform.value`: a filter's value is not of its column's type; `mapping.time_zone`.
    pub(crate) fn new(datasets: &[Dataset], settings: &Settings) -> Result<Self> {
        let mut made = Self {
            values: Values::new(settings)?,
            datasets: Vec::with_capacity(datasets.len()),
            chains: Vec::with_capacity(datasets.len()),
        };
        for dataset in datasets {
            let mut schema = dataset.schema.clone();
            let mut chain = Vec::with_capacity(settings.transformers.len());
            for transformer in &settings.transformers {
                let step = step(transformer, &schema).map_err(|fault| {
                    let table = format!("table \"{}\"", dataset.title());
                    fault.at(&transformer.place).within(&transformer.name).within(table)
                })?;
                schema = step.schema.clone();
                chain.push(step);
            }
            made.datasets.push(Dataset { schema, ..dataset.clone() });
            made.chains.push(chain);
        }
        Ok(made)
    }

    /// The reader's datasets with the types behind the transformers.
    pub(crate) fn datasets(&self) -> &[Dataset] {
        &self.datasets
    }

    pub(crate) fn apply(&self, batch: Batch) -> Result<Processed> {
        let mut done = Processed { batch, origins: Origins(None), dirty: Vec::new(), filtered: 0 };
        // A batch of a dataset that there is not is told by the mapping.
        let chain = self.chains.get(done.batch.dataset as usize);
        for step in chain.into_iter().flatten() {
            if done.batch.is_empty() {
                // No step sees it any more, and the types are still those that follow.
                done.batch.rows = RecordBatch::new_empty(step.schema.clone());
                continue;
            }
            step.apply(&self.values, &mut done)?;
        }
        Ok(done)
    }
}

impl Processed {
    /// Leaves only the rows that `keep` says.
    fn retain(&mut self, keep: &[bool]) -> Result<()> {
        if keep.iter().all(|keep| *keep) {
            return Ok(());
        }
        let kept = (0..keep.len()).filter(|row| keep[*row]);
        self.origins = Origins(Some(kept.map(|row| self.origins.of(row)).collect()));
        self.batch = filtered(&self.batch, keep)?;
        Ok(())
    }
}

fn step(transformer: &Transformer, schema: &SchemaRef) -> Result<Step> {
    match &transformer.work {
        job::Work::Column { column, action } => {
            of_column(&transformer.name, *column, action, schema)
        }
        job::Work::Plugin(_) => {
            Err(Fault::internal("engine.transform", "a plug-in is no step of the host"))
        }
    }
}

/// A transformer of DataX.
fn of_column(name: &str, column: usize, action: &Action, schema: &SchemaRef) -> Result<Step> {
    let fields = schema.fields();
    let Some(field) = fields.get(column) else {
        let message =
            format!("\"columnIndex\" is {column}, but there are {} columns", fields.len());
        let fault = Fault::user("transform.column", message);
        return Err(fault.hint("the first column has the index 0"));
    };
    let Some(kind) = kind(field.data_type()) else {
        let message = format!("column \"{}\" ({}) has no text", field.name(), field.data_type());
        return Err(Fault::user("transform.type", message).hint("read the column as a text"));
    };
    let (work, schema) = match action {
        Action::Drop(condition) => (Work::Drop(Filter::new(condition, kind)?), schema.clone()),
        action => {
            let nulls = field.is_nullable() && !texts::fills_nulls(action);
            let mut fields: Vec<_> = fields.iter().cloned().collect();
            // What described the old values does not describe the new ones.
            fields[column] = Arc::new(Field::new(field.name(), DataType::Utf8, nulls));
            let schema = Schema::new_with_metadata(fields, schema.metadata().clone());
            (Work::Change(Change::new(action)?), Arc::new(schema))
        }
    };
    Ok(Step { name: name.to_owned(), column, work, schema })
}

impl Step {
    fn apply(&self, values: &Values, done: &mut Processed) -> Result<()> {
        let before = done.batch.rows.schema();
        let (field, column) = (before.field(self.column), done.batch.rows.column(self.column));
        let mut keep = vec![true; column.len()];
        let (misfits, changed) = match &self.work {
            Work::Change(change) => {
                let (changed, misfits) = change.apply(field, column, values)?;
                (misfits, Some(changed))
            }
            Work::Drop(filter) => {
                let (drops, misfits) = filter.apply(field, column, values)?;
                for row in drops {
                    keep[row] = false;
                    done.filtered += 1;
                }
                (misfits, None)
            }
        };
        for misfit in misfits {
            keep[misfit.row] = false;
            done.dirty.push((done.origins.of(misfit.row), self.reason(misfit, field)));
        }
        if let Some(changed) = changed {
            done.batch.rows = self.replaced(&done.batch.rows, changed)?;
        }
        done.retain(&keep)
    }

    fn reason(&self, misfit: Misfit, field: &Field) -> Reason {
        Reason {
            stage: DirtyStage::Transform,
            column: Some(self.column as u32),
            code: misfit.code.to_owned(),
            message: format!("{} of column \"{}\": {}", self.name, field.name(), misfit.message),
        }
    }

    /// The rows with another column in the place of the step's.
    fn replaced(&self, rows: &RecordBatch, column: ArrayRef) -> Result<RecordBatch> {
        let mut columns = rows.columns().to_vec();
        columns[self.column] = column;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .map_err(|error| Fault::internal("engine.transform", error.to_string()))
    }
}

/// What a value is for DataX, for people.
fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Long => "whole number",
        Kind::Double => "number",
        Kind::Date => "date",
        Kind::Text | Kind::Bool | Kind::Bytes => "text",
    }
}

#[cfg(test)]
mod tests;
