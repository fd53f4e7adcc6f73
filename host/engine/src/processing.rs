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
pub(crate) use self::passing::Passing;
use self::plugin::Plugin;
pub(crate) use self::plugin::Sessions;
pub use self::plugin::StepPlugin;
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
mod passing;
mod plugin;
mod replace;
mod texts;

/// The transformers of a job, made ready for each of its datasets.
#[derive(Clone)]
pub(crate) struct Processing {
    rules: Rules,
    /// As the mapping gets them.
    datasets: Vec<Dataset>,
    /// The steps of each dataset, index for index.
    chains: Vec<Vec<Step>>,
    /// For each column of each dataset its position in what was read; `None`: it was not read.
    read: Vec<Vec<Option<u32>>>,
    /// Those of the steps that a plug-in does.
    plugins: Vec<Plugin>,
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
    Change {
        column: usize,
        change: Change,
    },
    Drop {
        column: usize,
        filter: Filter,
    },
    Keep(Compiled),
    Edit(Edit),
    Replace(Replace),
    Extract(Extract),
    Mask(Masks),
    /// By the plug-in with this number.
    Plugin(usize),
}

/// A part of a batch behind all transformers, and what became of its rows.
pub(crate) struct Processed {
    pub(crate) batch: Batch,
    pub(crate) origins: Origins,
    /// Row numbers of the batch before the transformers.
    pub(crate) dirty: Vec<(usize, Reason)>,
    /// Records that were dropped.
    pub(crate) filtered: u64,
    /// Records that were made of others beside the first of each.
    pub(crate) added: u64,
}

/// For each row its number in the batch before; `None`: the numbers are the same.
pub(crate) struct Origins(Option<Vec<usize>>);

impl Origins {
    pub(crate) fn of(&self, row: usize) -> usize {
        self.0.as_ref().map_or(row, |origins| origins[row])
    }

    /// The same of `rows`.
    fn through(&self, rows: impl Iterator<Item = usize>) -> Self {
        Self(Some(rows.map(|row| self.of(row)).collect()))
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
    /// Asks each of `plugins`, one for each step that is one, what comes out of it.
    ///
    /// # Errors
    /// `transform.column`: a dataset has no such column; `transform.type`: a transformer cannot see a
    /// type; `transform.value`: a filter's value is not of its column's type; `mapping.time_zone`; what
    /// an expression or a plug-in has.
    pub(crate) async fn new(
        datasets: &[Dataset],
        settings: &Settings,
        plugins: &[StepPlugin],
    ) -> Result<Self> {
        let columns = |dataset: &Dataset| 0..dataset.schema.fields().len() as u32;
        let mut made = Self {
            rules: Rules { datax: Values::new(settings)?, exact: Exact::new(settings)? },
            datasets: datasets.to_vec(),
            chains: vec![Vec::new(); datasets.len()],
            read: datasets.iter().map(|dataset| columns(dataset).map(Some).collect()).collect(),
            plugins: Vec::new(),
        };
        let mut plugins = plugins.iter();
        for transformer in &settings.transformers {
            if !matches!(transformer.work, job::Work::Plugin(_)) {
                made.add(transformer)?;
                continue;
            }
            let missing = || Fault::internal("engine.transform", "a step has no plug-in");
            made.add_plugin(&transformer.name, plugins.next().ok_or_else(missing)?).await?;
        }
        Ok(made)
    }

    /// Adds a step of the host's own.
    fn add(&mut self, transformer: &Transformer) -> Result<()> {
        let ways = self.datasets.iter_mut().zip(&mut self.chains).zip(&mut self.read);
        for ((dataset, chain), read) in ways {
            let (work, schema) =
                work(transformer, &dataset.schema, &self.rules).map_err(|fault| {
                    let table = format!("table \"{}\"", dataset.title());
                    let within = fault.place.as_deref().unwrap_or_default();
                    let place = format!("{}{within}", transformer.place);
                    fault.at(place).within(&transformer.name).within(table)
                })?;
            let next = read_behind(&work, read, schema.fields().len());
            dataset.primary_key = key_behind(&work, dataset, &schema);
            dataset.schema = schema.clone();
            let read = std::mem::replace(read, next);
            chain.push(Step { name: transformer.name.clone(), work, read, schema });
        }
        Ok(())
    }

    /// Adds a step that a plug-in does.
    async fn add_plugin(&mut self, name: &str, plugin: &StepPlugin) -> Result<()> {
        let before = self.datasets.clone();
        let plugin = Plugin::new(name, plugin, before, self.read.clone()).await?;
        let number = self.plugins.len();
        let ways = self.datasets.iter_mut().zip(&mut self.chains).zip(&mut self.read);
        for (((dataset, chain), read), after) in ways.zip(&plugin.after) {
            // Where a column comes from is told by its name alone.
            let at = |field: &Arc<Field>| {
                read.get(dataset.schema.index_of(field.name()).ok()?).copied().flatten()
            };
            let next = after.schema.fields().iter().map(at).collect();
            let (work, schema) = (Work::Plugin(number), after.schema.clone());
            let read = std::mem::replace(read, next);
            chain.push(Step { name: name.to_owned(), work, read, schema });
            // It is the same table, whatever the plug-in calls it.
            dataset.schema = after.schema.clone();
            dataset.primary_key = after.primary_key.clone();
        }
        self.plugins.push(plugin);
        Ok(())
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

    /// Where the column of a dataset behind all steps was read.
    pub(crate) fn read(&self, dataset: u32, column: u32) -> Option<u32> {
        *self.read.get(dataset as usize)?.get(column as usize)?
    }

    /// A lane's own sessions with the plug-ins.
    pub(crate) async fn sessions(&self) -> Result<Sessions> {
        Sessions::open(&self.plugins).await
    }
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
        self.origins = self.origins.through(kept);
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
        job::Work::Plugin(_) => return Err(no_own()),
    })
}

/// A plug-in's work is done in its session.
fn no_own() -> Fault {
    Fault::internal("engine.transform", "a plug-in is no step of the host's own")
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
            Work::Plugin(_) => return Err(no_own()),
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
            plugin: None,
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
