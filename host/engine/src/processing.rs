//! What happens to records between Reader and mapping, on columns: DataX's transformers and the host's
//! own steps.
//!
//! A transformer of DataX sees values as DataX does, by its table of conversions. A record that a step
//! drops is filtered, and one whose value it cannot handle is dirty; neither meets the next.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use domain::job::{self, Action, Transformer};
use domain::port::DirtyStage;
use domain::{Batch, Dataset, Fault, Result, nearest};
use expression::{Compiled, Expression};

use self::edit::{Edit, Origin};
use self::evaluated::evaluated;
use self::extract::Extract;
use self::filter::Filter;
use self::mask::Masks;
use self::replace::Replace;
use self::texts::Change;
use crate::dirty::Reason;
use crate::mapping::{Exact, Kind, Values, kind};
use crate::settings::Settings;
use crate::unsettled::filtered;

mod edit;
mod evaluated;
mod extract;
mod filter;
mod mask;
mod replace;
mod texts;

/// The transformers of a job, made ready for each of its datasets.
#[derive(Clone, Debug)]
pub(crate) struct Processing {
    rules: Rules,
    /// As the mapping gets them.
    datasets: Vec<Dataset>,
    /// The steps of each dataset, index for index.
    chains: Vec<Vec<Step>>,
}

/// How steps see values: DataX's by its table, others by exact casts.
#[derive(Clone, Debug)]
struct Rules {
    datax: Values,
    exact: Exact,
}

#[derive(Clone, Debug)]
struct Step {
    /// The name in the document, for messages.
    name: String,
    work: Work,
    /// For each column before the step its position in what was read; `None`: it was not read.
    read: Vec<Option<u32>>,
    /// The fields behind the step.
    schema: SchemaRef,
}

#[derive(Clone, Debug)]
enum Work {
    Change { column: usize, change: Change },
    Drop { column: usize, filter: Filter },
    Keep(Compiled),
    Edit(Edit),
    Replace(Replace),
    Extract(Extract),
    Mask(Masks),
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
    /// type; `transform.value`: a filter's value is not of its column's type; `mapping.time_zone`; what
    /// an expression has.
    pub(crate) fn new(datasets: &[Dataset], settings: &Settings) -> Result<Self> {
        let rules = Rules { datax: Values::new(settings)?, exact: Exact::new(settings)? };
        let (mut made, mut chains) = (Vec::new(), Vec::new());
        for dataset in datasets {
            let (dataset, chain) = chain(dataset, &settings.transformers, &rules)?;
            made.push(dataset);
            chains.push(chain);
        }
        Ok(Self { rules, datasets: made, chains })
    }

    /// The reader's datasets with the types behind the transformers.
    pub(crate) fn datasets(&self) -> &[Dataset] {
        &self.datasets
    }

    /// For each dataset the fields behind each step.
    pub(crate) fn schemas(&self) -> Vec<Vec<SchemaRef>> {
        let of = |chain: &Vec<Step>| chain.iter().map(|step| step.schema.clone()).collect();
        self.chains.iter().map(of).collect()
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
            step.apply(&self.rules, &mut done)?;
        }
        Ok(done)
    }
}

/// A dataset as it is behind all steps, and the steps.
fn chain(
    dataset: &Dataset,
    transformers: &[Transformer],
    rules: &Rules,
) -> Result<(Dataset, Vec<Step>)> {
    let mut behind = dataset.clone();
    let mut read: Vec<_> = (0..dataset.schema.fields().len() as u32).map(Some).collect();
    let mut steps = Vec::with_capacity(transformers.len());
    for transformer in transformers {
        let (work, schema) = work(transformer, &behind.schema, rules).map_err(|fault| {
            let table = format!("table \"{}\"", dataset.title());
            let within = fault.place.as_deref().unwrap_or_default();
            let place = format!("{}{within}", transformer.place);
            fault.at(place).within(&transformer.name).within(table)
        })?;
        let next = read_behind(&work, &read, schema.fields().len());
        behind.primary_key = key_behind(&work, &behind, &schema);
        behind.schema = schema.clone();
        steps.push(Step { name: transformer.name.clone(), work, read, schema });
        read = next;
    }
    Ok((behind, steps))
}

/// Which columns behind a step were read where, as far as one was.
fn read_behind(work: &Work, before: &[Option<u32>], count: usize) -> Vec<Option<u32>> {
    match work {
        Work::Edit(edit) => {
            let origins = edit.origins.iter();
            origins
                .map(|origin| match origin {
                    Origin::Column(index) => before[*index],
                    Origin::Computed(_) => None,
                })
                .collect()
        }
        _ => (0..count).map(|index| before.get(index).copied().flatten()).collect(),
    }
}

/// The names of the key's columns behind a step; none where one of them is gone.
fn key_behind(work: &Work, before: &Dataset, schema: &SchemaRef) -> Vec<String> {
    let Work::Edit(edit) = work else { return before.primary_key.clone() };
    let name = |key: &String| {
        let column = before.schema.index_of(key).ok()?;
        let is_it = |origin: &Origin| matches!(origin, Origin::Column(index) if *index == column);
        let at = edit.origins.iter().position(is_it)?;
        Some(schema.field(at).name().clone())
    };
    before.primary_key.iter().map(name).collect::<Option<_>>().unwrap_or_default()
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

/// What a step does, and the fields behind it.
fn work(transformer: &Transformer, schema: &SchemaRef, rules: &Rules) -> Result<(Work, SchemaRef)> {
    Ok(match &transformer.work {
        job::Work::Column { column, action } => of_column(*column, action, schema)?,
        job::Work::Filter { condition } => {
            let condition = Expression::parse(condition)
                .and_then(|parsed| parsed.compile_condition(schema, &rules.exact))
                .map_err(|fault| fault.at("/parameter/condition"))?;
            (Work::Keep(condition), schema.clone())
        }
        job::Work::Edit(edits) => {
            let edit = Edit::new(edits, schema, &rules.exact)?;
            let schema = edit.schema.clone();
            (Work::Edit(edit), schema)
        }
        job::Work::Replace(replacements) => {
            let replace = Replace::new(replacements, schema)?;
            let schema = replace.schema.clone();
            (Work::Replace(replace), schema)
        }
        job::Work::Extract(extractions) => {
            let extract = Extract::new(extractions, schema, &rules.exact)?;
            let schema = extract.schema.clone();
            (Work::Extract(extract), schema)
        }
        job::Work::Mask(maskings) => {
            let masks = Masks::new(maskings, schema)?;
            let schema = masks.schema.clone();
            (Work::Mask(masks), schema)
        }
        job::Work::Plugin(_) => {
            return Err(Fault::internal("engine.transform", "a plug-in is no step of the host"));
        }
    })
}

/// A transformer of DataX.
fn of_column(column: usize, action: &Action, schema: &SchemaRef) -> Result<(Work, SchemaRef)> {
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
    Ok(match action {
        Action::Drop(condition) => {
            (Work::Drop { column, filter: Filter::new(condition, kind)? }, schema.clone())
        }
        action => {
            let nulls = field.is_nullable() && !texts::fills_nulls(action);
            let mut fields: Vec<_> = fields.iter().cloned().collect();
            // What described the old values does not describe the new ones.
            fields[column] = Arc::new(Field::new(field.name(), DataType::Utf8, nulls));
            let schema = Schema::new_with_metadata(fields, schema.metadata().clone());
            (Work::Change { column, change: Change::new(action)? }, Arc::new(schema))
        }
    })
}

/// The position of a column.
fn column(name: &str, schema: &SchemaRef) -> Result<usize> {
    let names = schema.fields().iter().map(|field| field.name().as_str());
    schema.index_of(name).map_err(|_| unknown_column(name, names))
}

/// The position of a column of texts.
fn text_column(name: &str, schema: &SchemaRef) -> Result<usize> {
    let column = column(name, schema)?;
    match schema.field(column).data_type() {
        DataType::Utf8 => Ok(column),
        other => {
            let message = format!("column \"{name}\" ({other}) holds no texts");
            let hint = "make it a text before, by a step \"edit-columns\" with CAST(x AS text)";
            Err(Fault::user("transform.type", message).hint(hint))
        }
    }
}

fn unknown_column<'n>(name: &str, names: impl Iterator<Item = &'n str> + Clone) -> Fault {
    let fault = Fault::user("transform.column", format!("there is no column \"{name}\""));
    let hint = nearest::hint(name, names.clone()).unwrap_or_else(|| {
        let names: Vec<_> = names.take(NAMES_MAX).map(|name| format!("\"{name}\"")).collect();
        format!("there are {}", names.join(", "))
    });
    fault.hint(hint)
}

/// Columns that a hint names.
const NAMES_MAX: usize = 12;

/// What a step makes of a batch.
struct Outcome {
    /// Rows that it drops.
    drops: Vec<usize>,
    /// Rows that it cannot handle, with the column before the step that is to blame, and the name of
    /// the one that has no value.
    misfits: Vec<(Option<usize>, String, Misfit)>,
    columns: Vec<ArrayRef>,
}

impl Outcome {
    fn blame(&mut self, column: Option<usize>, name: &str, misfits: Vec<Misfit>) {
        let misfits = misfits.into_iter();
        self.misfits.extend(misfits.map(|misfit| (column, name.to_owned(), misfit)));
    }
}

/// The one column that an expression reads.
fn only_column(compiled: &Compiled) -> Option<usize> {
    match compiled.columns().as_slice() {
        [column] => Some(*column),
        _ => None,
    }
}

impl Step {
    fn apply(&self, rules: &Rules, done: &mut Processed) -> Result<()> {
        let mut outcome = self.work(&done.batch.rows, rules)?;
        outcome.misfits.sort_by_key(|(_, _, misfit)| misfit.row);
        let mut keep = vec![true; done.batch.len()];
        for (column, name, misfit) in outcome.misfits {
            // Of several misfits of a row the first counts.
            if std::mem::replace(&mut keep[misfit.row], false) {
                done.dirty.push((done.origins.of(misfit.row), self.reason(column, &name, misfit)));
            }
        }
        for row in outcome.drops {
            if std::mem::replace(&mut keep[row], false) {
                done.filtered += 1;
            }
        }
        done.batch.rows = self.assembled(outcome.columns, done.batch.len())?;
        self.carry_absent(&mut done.batch);
        done.retain(&keep)
    }

    fn work(&self, rows: &RecordBatch, rules: &Rules) -> Result<Outcome> {
        let (before, columns) = (rows.schema(), rows.columns().to_vec());
        let mut outcome = Outcome { drops: Vec::new(), misfits: Vec::new(), columns };
        match &self.work {
            Work::Change { column, change } => {
                let (field, values) = (before.field(*column), rows.column(*column));
                let (changed, misfits) = change.apply(field, values, &rules.datax)?;
                outcome.columns[*column] = changed;
                outcome.blame(Some(*column), field.name(), misfits);
            }
            Work::Drop { column, filter } => {
                let (field, values) = (before.field(*column), rows.column(*column));
                let (drops, misfits) = filter.apply(field, values, &rules.datax)?;
                outcome.drops = drops;
                outcome.blame(Some(*column), field.name(), misfits);
            }
            Work::Keep(condition) => {
                let (truths, misfits) = evaluated(condition, rows, &rules.exact)?;
                let truths = truths.as_boolean_opt();
                let holds = |row: usize| truths.is_some_and(|it| it.is_valid(row) && it.value(row));
                outcome.drops = (0..rows.num_rows()).filter(|row| !holds(*row)).collect();
                outcome.blame(only_column(condition), "", misfits);
            }
            Work::Edit(edit) => self.edit(edit, rows, &mut outcome, &rules.exact)?,
            Work::Replace(replace) => replace.apply(&mut outcome.columns),
            Work::Mask(masks) => {
                for (column, misfits) in masks.apply(&mut outcome.columns) {
                    outcome.blame(Some(column), before.field(column).name(), misfits);
                }
            }
            Work::Extract(extract) => {
                for (column, misfits, from) in extract.apply(rows, &rules.exact)? {
                    let name = self.schema.field(outcome.columns.len()).name();
                    outcome.columns.push(column);
                    outcome.blame(Some(from), name, misfits);
                }
            }
        }
        Ok(outcome)
    }

    fn edit(
        &self,
        edit: &Edit,
        rows: &RecordBatch,
        outcome: &mut Outcome,
        exact: &Exact,
    ) -> Result<()> {
        outcome.columns.clear();
        for (origin, field) in edit.origins.iter().zip(self.schema.fields()) {
            let column = match origin {
                Origin::Column(index) => rows.column(*index).clone(),
                Origin::Computed(compiled) => {
                    let (column, misfits) = evaluated(compiled, rows, exact)?;
                    outcome.blame(only_column(compiled), field.name(), misfits);
                    column
                }
            };
            outcome.columns.push(column);
        }
        Ok(())
    }

    /// What the source did not send stays so where it goes.
    fn carry_absent(&self, batch: &mut Batch) {
        if let (Work::Edit(edit), false) = (&self.work, batch.absent.is_empty()) {
            let before = std::mem::take(&mut batch.absent);
            let of = |origin: &Origin| match origin {
                Origin::Column(index) => before.get(*index).cloned().unwrap_or_default(),
                Origin::Computed(_) => Vec::new(),
            };
            batch.absent = edit.origins.iter().map(of).collect();
        }
        if !batch.absent.is_empty() {
            batch.absent.resize(batch.rows.num_columns(), Vec::new());
        }
    }

    fn reason(&self, column: Option<usize>, name: &str, misfit: Misfit) -> Reason {
        let message = match name {
            "" => format!("{}: {}", self.name, misfit.message),
            name => format!("{} of column \"{name}\": {}", self.name, misfit.message),
        };
        Reason {
            stage: DirtyStage::Transform,
            column: column.and_then(|column| self.read[column]),
            code: misfit.code.to_owned(),
            message,
        }
    }

    fn assembled(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
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
