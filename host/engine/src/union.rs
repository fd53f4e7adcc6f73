//! One dataset for the writer out of the tables of all sources.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use domain::job::MissingColumn;
use domain::port::Plan;
use domain::{Batch, Dataset, Fault, Result, SourceIndex};

/// Where a field says what its storage type means.
const EXTENSION: &str = "ARROW:extension:name";

/// How the datasets of all sources become one.
#[derive(Clone, Debug)]
pub(crate) struct Union {
    /// One; none where no source has any.
    datasets: Vec<Dataset>,
    /// By source and dataset: for each field of the union the column that it is taken from, `None` for
    /// one that is missing. Nothing where a dataset is the union as it is.
    takes: Vec<Vec<Option<Vec<Option<usize>>>>>,
    notes: Vec<String>,
}

/// A field of the union while it grows, and a table that has it.
struct Column {
    field: Field,
    of: String,
}

impl Union {
    /// The union of all datasets that `plans` have, the first of which says the order of the fields.
    ///
    /// # Errors
    /// `sources.column_missing`, `sources.column_type`: the tables are not alike.
    pub(crate) fn new(plans: &[&Plan], names: &[String], missing: MissingColumn) -> Result<Self> {
        let tables: Vec<(String, &Dataset)> = plans
            .iter()
            .enumerate()
            .flat_map(|(source, plan)| plan.datasets.iter().map(move |dataset| (source, dataset)))
            .map(|(source, dataset)| (title(names, source, dataset), dataset))
            .collect();
        let [(_, first), others @ ..] = tables.as_slice() else {
            return Ok(Self { datasets: Vec::new(), takes: Vec::new(), notes: Vec::new() });
        };
        let columns = columns(&tables, missing)?;
        let notes = match missing {
            MissingColumn::Error => Vec::new(),
            MissingColumn::Null => absences(&columns, &tables)?,
        };
        let fields: Vec<Field> = columns.into_iter().map(|column| column.field).collect();
        let mut dataset = (*first).clone();
        if !others.is_empty() {
            dataset.schema = Arc::new(Schema::new(fields));
            // A key of one table says nothing of all of them.
            dataset.primary_key.clear();
            dataset.metadata.retain(|entry| others.iter().all(|(_, o)| o.metadata.contains(entry)));
        }
        let take = |from: &Dataset| takes(&dataset.schema, &from.schema);
        let takes = plans.iter().map(|plan| plan.datasets.iter().map(take).collect()).collect();
        Ok(Self { datasets: vec![dataset], takes, notes })
    }

    pub(crate) fn datasets(&self) -> &[Dataset] {
        &self.datasets
    }

    /// For people: which columns are filled with NULL.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The batch of a source as one of the union.
    pub(crate) fn apply(&self, source: SourceIndex, batch: &Batch) -> Result<Batch> {
        let takes = self.takes.get(source as usize);
        let taken = takes.and_then(|takes| takes.get(batch.dataset as usize));
        let Some(taken) = taken else {
            let message = format!("the reader gave a batch of dataset {}", batch.dataset);
            return Err(Fault::plugin("plugin.lie.dataset", message));
        };
        let Some(taken) = taken else { return Ok(Batch { dataset: 0, ..batch.clone() }) };
        let schema: &SchemaRef = &self.datasets[0].schema;
        let rows = batch.len();
        let column = |(field, from): (&Arc<Field>, &Option<usize>)| -> ArrayRef {
            let found = from.map(|index| batch.rows.column(index));
            let found = found.filter(|column| column.data_type() == field.data_type());
            found.cloned().unwrap_or_else(|| new_null_array(field.data_type(), rows))
        };
        let columns = schema.fields().iter().zip(taken).map(column).collect();
        let absent = |from: &Option<usize>| from.and_then(|index| batch.absent.get(index)).cloned();
        let absent = match batch.absent.is_empty() {
            true => Vec::new(),
            false => taken.iter().map(|from| absent(from).unwrap_or_default()).collect(),
        };
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let rows = RecordBatch::try_new_with_options(schema.clone(), columns, &options)
            .map_err(|error| Fault::internal("engine.union", error.to_string()))?;
        Ok(Batch { dataset: 0, rows, absent, ..batch.clone() })
    }
}

fn title(names: &[String], source: usize, dataset: &Dataset) -> String {
    match names.get(source) {
        Some(name) => format!("{} of \"{name}\"", dataset.title()),
        None => dataset.title(),
    }
}

/// The fields of all tables, by name, in the order in which they come first.
fn columns(tables: &[(String, &Dataset)], missing: MissingColumn) -> Result<Vec<Column>> {
    let mut columns: Vec<Column> = Vec::new();
    for (number, (title, dataset)) in tables.iter().enumerate() {
        for field in dataset.schema.fields() {
            match columns.iter_mut().find(|column| column.field.name() == field.name()) {
                Some(column) => column.join(field, title)?,
                None if number > 0 && missing == MissingColumn::Error => {
                    return Err(column_missing(field.name(), title, &tables[0].0));
                }
                None => {
                    columns.push(Column { field: field.as_ref().clone(), of: title.clone() });
                }
            }
        }
        let absent = columns.iter().find(|column| lacks(dataset, column.field.name()));
        if let (Some(column), MissingColumn::Error) = (absent, missing) {
            return Err(column_missing(column.field.name(), &column.of, title));
        }
    }
    for column in &mut columns {
        if tables.iter().any(|(_, dataset)| lacks(dataset, column.field.name())) {
            column.field.set_nullable(true);
        }
    }
    Ok(columns)
}

fn lacks(dataset: &Dataset, column: &str) -> bool {
    dataset.schema.field_with_name(column).is_err()
}

impl Column {
    /// Takes over what `field`, of the table `title`, says of the same column.
    ///
    /// # Errors
    /// `sources.column_type`: they are of different types.
    fn join(&mut self, field: &Field, title: &str) -> Result<()> {
        let takes_null =
            |field: &Field| field.is_nullable() || *field.data_type() == DataType::Null;
        let nullable = takes_null(&self.field) || takes_null(field);
        if *self.field.data_type() == DataType::Null && *field.data_type() != DataType::Null {
            (self.field, self.of) = (field.clone(), title.to_owned());
        } else if *field.data_type() != DataType::Null {
            let meaning = |field: &Field| field.metadata().get(EXTENSION).cloned();
            if self.field.data_type() != field.data_type() || meaning(&self.field) != meaning(field)
            {
                return Err(column_type(&self.field, &self.of, field, title));
            }
            let mut metadata = self.field.metadata().clone();
            metadata.retain(|key, value| field.metadata().get(key) == Some(value));
            self.field.set_metadata(metadata);
        }
        self.field.set_nullable(nullable);
        Ok(())
    }
}

fn column_missing(column: &str, has: &str, lacks: &str) -> Fault {
    let message = format!("the tables differ: {has} has the column \"{column}\", {lacks} has not");
    Fault::external("sources.column_missing", message).hint(
        "name the columns that all tables have, or set \"missingColumn\": \"null\" in the reader's \
         parameters to read NULL where a table has no such column",
    )
}

fn column_type(a: &Field, of_a: &str, b: &Field, of_b: &str) -> Fault {
    let message = format!(
        "the tables differ: the column \"{}\" is {} in {of_a} and {} in {of_b}",
        a.name(),
        type_of(a),
        type_of(b)
    );
    Fault::external("sources.column_type", message).hint(
        "cast the column to one type in \"column\" or \"querySql\", or alter one of the tables",
    )
}

/// The type for people, with the meaning that its storage has.
fn type_of(field: &Field) -> String {
    match field.metadata().get(EXTENSION) {
        Some(meaning) => format!("{} ({meaning})", field.data_type()),
        None => field.data_type().to_string(),
    }
}

/// Which tables lack which columns.
///
/// # Errors
/// `sources.column_missing` for a column that no table has.
fn absences(columns: &[Column], tables: &[(String, &Dataset)]) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    for column in columns {
        let name = column.field.name();
        if *column.field.data_type() == DataType::Null {
            let message = format!("no table has the column \"{name}\"");
            return Err(Fault::external("sources.column_missing", message)
                .hint("correct its name in \"column\""));
        }
        let lacking = tables.iter().filter(|(_, dataset)| {
            let field = dataset.schema.field_with_name(name);
            field.ok().is_none_or(|field| *field.data_type() == DataType::Null)
        });
        let titles: Vec<&str> = lacking.map(|(title, _)| title.as_str()).collect();
        if let [first, others @ ..] = titles.as_slice() {
            let others = match others.len() {
                0 => String::new(),
                1 => format!(" and in {}", others[0]),
                count => format!(" and {count} others"),
            };
            notes.push(format!(
                "the column \"{name}\" is missing in {first}{others}: it is read as NULL"
            ));
        }
    }
    Ok(notes)
}

/// For each field of `to` its column in `from`; nothing where both are the same.
fn takes(to: &SchemaRef, from: &SchemaRef) -> Option<Vec<Option<usize>>> {
    let takes: Vec<_> = to.fields().iter().map(|field| from.index_of(field.name()).ok()).collect();
    let same = from.fields().len() == takes.len()
        && to.fields().iter().zip(from.fields()).all(|(to, from)| to == from)
        && takes.iter().enumerate().all(|(index, take)| *take == Some(index));
    (!same).then_some(takes)
}

#[cfg(test)]
mod tests {
    use arrow_array::{Int64Array, NullArray, StringArray};

    use super::*;

    fn plan(table: &str, fields: &[(&str, DataType)]) -> Plan {
        let fields: Vec<_> =
            fields.iter().map(|(name, kind)| Field::new(*name, kind.clone(), false)).collect();
        let dataset = Dataset {
            path: vec!["public".into(), table.into()],
            schema: Arc::new(Schema::new(fields)),
            primary_key: vec!["id".into()],
            metadata: vec![("tables".into(), table.into())],
        };
        Plan { datasets: vec![dataset], bounded: true, start: Vec::new() }
    }

    fn names() -> [String; 2] {
        ["a".to_owned(), "b".to_owned()]
    }

    fn refusal(plans: [&Plan; 2], missing: MissingColumn) -> Fault {
        Union::new(&plans, &names(), missing).unwrap_err()
    }

    #[test]
    fn one_dataset_stays_as_it_is() {
        let plan = plan("t", &[("id", DataType::Int64)]);
        let union = Union::new(&[&plan], &[], MissingColumn::Error).unwrap();
        assert_eq!(union.datasets(), plan.datasets);
        let rows = RecordBatch::try_new(
            plan.datasets[0].schema.clone(),
            vec![Arc::new(Int64Array::from(vec![1]))],
        );
        let batch = Batch::new(0, rows.unwrap());
        assert_eq!(union.apply(0, &batch).unwrap(), batch);
        assert_eq!(
            union.apply(0, &Batch { dataset: 1, ..batch }).unwrap_err().code,
            "plugin.lie.dataset"
        );
    }

    #[test]
    fn columns_go_by_name() {
        let (a, b) = (("id", DataType::Int64), ("name", DataType::Utf8));
        let plans = [plan("t0", &[a.clone(), b.clone()]), plan("t1", &[b, a])];
        let union = Union::new(&[&plans[0], &plans[1]], &names(), MissingColumn::Error).unwrap();
        let united = &union.datasets()[0];
        assert_eq!((united.path[1].as_str(), united.primary_key.len()), ("t0", 0));
        assert!(united.metadata.is_empty() && union.notes().is_empty());
        let rows = RecordBatch::try_new(
            plans[1].datasets[0].schema.clone(),
            vec![Arc::new(StringArray::from(vec!["x"])), Arc::new(Int64Array::from(vec![7]))],
        );
        let batch = Batch { absent: vec![vec![1], vec![]], ..Batch::new(0, rows.unwrap()) };
        let united = union.apply(1, &batch).unwrap();
        assert_eq!(united.rows.schema(), union.datasets()[0].schema);
        assert_eq!(
            united.rows.column(0).as_ref(),
            &Int64Array::from(vec![7]) as &dyn arrow_array::Array
        );
        assert_eq!(united.absent, [vec![], vec![1]]);
    }

    #[test]
    fn a_missing_column_is_an_error_that_names_both_tables() {
        let (a, b) = (("id", DataType::Int64), ("name", DataType::Utf8));
        let (long, short) = (plan("t0", &[a.clone(), b]), plan("t1", &[a]));
        for plans in [[&long, &short], [&short, &long]] {
            let fault = refusal(plans, MissingColumn::Error);
            assert_eq!(fault.code, "sources.column_missing");
            for part in ["public.t0", "public.t1", "\"name\""] {
                assert!(fault.message.contains(part), "{}", fault.message);
            }
            assert!(fault.message.contains("public.t0 of"), "{}", fault.message);
        }
    }

    #[test]
    fn a_missing_column_is_null_where_the_job_says_so() {
        let (a, b) = (("id", DataType::Int64), ("name", DataType::Utf8));
        let long = plan("t0", &[a.clone(), b]);
        for short in [
            plan("t1", std::slice::from_ref(&a)),
            plan("t1", &[a.clone(), ("name", DataType::Null)]),
        ] {
            for plans in [[&long, &short], [&short, &long]] {
                let union = Union::new(&plans, &names(), MissingColumn::Null).unwrap();
                let schema = &union.datasets()[0].schema;
                assert_eq!(schema.field(1).data_type(), &DataType::Utf8);
                assert!(schema.field(1).is_nullable() && !schema.field(0).is_nullable());
                assert_eq!(union.notes().len(), 1);
                assert!(union.notes()[0].contains("public.t1 of"), "{:?}", union.notes());
            }
            let union = Union::new(&[&long, &short], &names(), MissingColumn::Null).unwrap();
            let from = short.datasets[0].schema.clone();
            let mut columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![1, 2]))];
            if from.fields().len() > 1 {
                columns.push(Arc::new(NullArray::new(2)));
            }
            let batch = Batch::new(0, RecordBatch::try_new(from, columns).unwrap());
            let united = union.apply(1, &batch).unwrap();
            assert_eq!(united.rows.column(1).null_count(), 2);
        }
        let none = plan("t0", &[("x", DataType::Null)]);
        let fault = refusal([&none, &none], MissingColumn::Null);
        assert_eq!(fault.message, "no table has the column \"x\"");
    }

    #[test]
    fn types_that_differ_are_an_error_whatever_the_job_says() {
        let long = plan("t0", &[("id", DataType::Int64)]);
        let short = plan("t1", &[("id", DataType::Int32)]);
        for missing in [MissingColumn::Error, MissingColumn::Null] {
            let fault = refusal([&long, &short], missing);
            assert_eq!(fault.code, "sources.column_type");
            assert_eq!(
                fault.message,
                "the tables differ: the column \"id\" is Int64 in public.t0 of \"a\" and Int32 in \
                 public.t1 of \"b\""
            );
        }
    }
}
