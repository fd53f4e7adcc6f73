//! Dirty records out of the books, made rows again.
//!
//! The books keep each value as a text, bytes in hexadecimal digits. Expressions see these texts; what no
//! fix gives becomes the value that it was, so that what comes next sees it as it did before.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, BinaryArray, FixedSizeBinaryArray, RecordBatch, RecordBatchOptions,
    StringArray, new_null_array,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use domain::port::{RunRecord, SourceRecord};
use domain::{Batch, Dataset, Fault, Result, nearest};
use expression::{Compiled, Expression};

use crate::dirty;
use crate::mapping::{Exact, Mapping};
use crate::settings::Settings;
use crate::union::Union;

/// A change of one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    pub column: String,
    /// In SQL, on texts.
    pub expression: String,
}

/// The names and values of one record, as the books keep them.
pub type Values = [(String, Option<String>)];

/// Makes records of one dataset rows again.
#[derive(Clone, Debug)]
pub struct Restoring {
    /// All texts, for expressions.
    texts: SchemaRef,
    /// What is cast back: texts, and the bytes that they stood for.
    stored: SchemaRef,
    back: Mapping,
    /// For each column its fix.
    fixes: Vec<Option<Compiled>>,
    condition: Option<Compiled>,
    exact: Exact,
    dataset: Dataset,
}

/// Rows again, or why the first record cannot be.
#[derive(Clone, Debug, PartialEq)]
pub enum Restored {
    /// Of the first records, one each.
    Rows(RecordBatch),
    Misfit {
        code: String,
        message: String,
    },
}

/// What a run read, as its dirty records of reading, transformers and casts have it; `None` where it read
/// nothing.
///
/// # Errors
/// Those of tables that don't match, which the run had too.
pub fn dataset_read(record: &RunRecord, settings: &Settings) -> Result<Option<Dataset>> {
    let plans: Vec<_> = record.sources.iter().map(|source: &SourceRecord| &source.plan).collect();
    let union = Union::new(&plans, &settings.source_names, settings.missing_column)?;
    Ok(union.datasets().first().cloned())
}

/// The names and texts of a row, for people.
pub fn texts(rows: &RecordBatch, row: usize) -> Vec<(String, Option<String>)> {
    dirty::values(rows, row)
}

impl Restoring {
    /// # Errors
    /// `replay.column`: a fix of a column that there is not; what expressions have; a column that no text
    /// can be brought back to, where no fix gives it.
    pub fn new(
        dataset: &Dataset,
        fixes: &[Fix],
        condition: Option<&str>,
        settings: &Settings,
    ) -> Result<Self> {
        let exact = Exact::new(settings)?;
        let fields = dataset.schema.fields();
        let text = |field: &Arc<Field>| Field::new(field.name(), DataType::Utf8, true);
        let texts: SchemaRef = Arc::new(Schema::new(fields.iter().map(text).collect::<Vec<_>>()));
        let compiled = compiled(fixes, &texts, &exact)?;
        let (mut stored, mut back, mut told) = (Vec::new(), Vec::new(), Vec::new());
        for (field, fix) in fields.iter().zip(&compiled) {
            // A null that may not be is told by the mapping, at the destination's column.
            let was = field.as_ref().clone().with_nullable(true);
            match fix.as_ref().map(|fix| fix.data_type().clone()) {
                None => {
                    stored.push(if is_bytes(field) { was.clone() } else { text(field) });
                    back.push(was.clone());
                    told.push(was);
                }
                Some(kind) => {
                    stored.push(text(field));
                    back.push(text(field));
                    let gives_null = kind == DataType::Null;
                    told.push(if gives_null { was } else { Field::new(field.name(), kind, true) });
                }
            }
        }
        let of = |fields: Vec<Field>| {
            let schema = Arc::new(Schema::new(fields));
            Dataset { schema, ..dataset.clone() }
        };
        let (stored, back) = (of(stored), of(back));
        // What the job allows of its own casts is not allowed here.
        let back = Mapping::new(std::slice::from_ref(&stored), &[back], &Settings::default())
            .map_err(|fault| {
                fault.within("the texts of dirty records").hint(
                    "give the column a value with --fix, or export the records and load them with a job of their own",
                )
            })?;
        let condition = condition.map(|text| {
            Expression::parse(text).and_then(|parsed| parsed.compile_condition(&texts, &exact))
        });
        Ok(Self {
            texts,
            stored: stored.schema,
            back,
            fixes: compiled,
            condition: condition.transpose()?,
            exact,
            dataset: of(told),
        })
    }

    /// As the rows have it.
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// Which records fulfil the condition; all where there is none.
    ///
    /// # Errors
    /// What expressions have.
    pub fn matching(&self, records: &[&Values]) -> Result<Vec<bool>> {
        let Some(condition) = &self.condition else { return Ok(vec![true; records.len()]) };
        let texts = self.texts(records)?;
        let truths = condition.evaluate(&texts, &self.exact)?.column;
        let truths = truths.as_boolean_opt();
        let holds = |row: usize| truths.is_some_and(|it| it.is_valid(row) && it.value(row));
        Ok((0..records.len()).map(holds).collect())
    }

    /// As many of the first records as can be rows; of none, why the first cannot.
    ///
    /// # Errors
    /// What expressions have.
    pub fn restore(&self, records: &[&Values]) -> Result<Restored> {
        let texts = self.texts(records)?;
        let mut columns = Vec::with_capacity(self.fixes.len());
        let mut misfit: Option<(usize, String, String)> = None;
        let mut blame = |row: usize, code: &str, message: String| {
            if misfit.as_ref().is_none_or(|(first, ..)| row < *first) {
                misfit = Some((row, code.to_owned(), message));
            }
        };
        let (stored, not_hex) = self.stored(&texts)?;
        for (column, row) in not_hex {
            let name = self.texts.field(column).name();
            blame(
                row,
                "replay.bytes",
                format!("column \"{name}\": the text is not of hexadecimal digits"),
            );
        }
        let count = stored.num_rows();
        let mapped = self.back.apply(Batch::new(0, stored))?;
        for (row, reason) in mapped.dirty {
            blame(row, &reason.code, reason.message);
        }
        for (index, fix) in self.fixes.iter().enumerate() {
            let Some(fix) = fix else {
                columns.push(mapped.batch.rows.column(index).clone());
                continue;
            };
            let name = self.texts.field(index).name();
            let evaluated = fix.evaluate(&texts, &self.exact)?;
            for failure in evaluated.failures {
                blame(
                    failure.row,
                    failure.code,
                    format!("fix of column \"{name}\": {}", failure.message),
                );
            }
            let kind = self.dataset.schema.field(index).data_type();
            let column = evaluated.column;
            let is_null = column.data_type() == &DataType::Null;
            columns.push(if is_null { new_null_array(kind, count) } else { column });
        }
        match misfit {
            Some((0, code, message)) => Ok(Restored::Misfit { code, message }),
            // Without what cannot be, all columns have their rows.
            Some((row, ..)) => self.restore(&records[..row]),
            None => Ok(Restored::Rows(assembled(&self.dataset.schema, columns, count)?)),
        }
    }

    fn texts(&self, records: &[&Values]) -> Result<RecordBatch> {
        let columns = self.texts.fields().iter().enumerate().map(|(index, field)| -> ArrayRef {
            let value = |record: &&Values| {
                let at = record.get(index).filter(|(name, _)| name == field.name());
                at.or_else(|| record.iter().find(|(name, _)| name == field.name()))
                    .and_then(|(_, text)| text.clone())
            };
            Arc::new(StringArray::from_iter(records.iter().map(value)))
        });
        assembled(&self.texts, columns.collect(), records.len())
    }

    /// The texts with bytes instead of their digits, and the columns and rows where there are no digits.
    fn stored(&self, texts: &RecordBatch) -> Result<(RecordBatch, Vec<(usize, usize)>)> {
        let mut wrong = Vec::new();
        let mut columns = Vec::with_capacity(texts.num_columns());
        for (index, field) in self.stored.fields().iter().enumerate() {
            let column = texts.column(index);
            if !is_bytes(field) {
                columns.push(column.clone());
                continue;
            }
            let digits = column.as_string::<i32>();
            let bytes: Vec<Option<Vec<u8>>> =
                digits.iter().map(|text| text.and_then(from_hex)).collect();
            let width = match field.data_type() {
                DataType::FixedSizeBinary(width) => Some(*width),
                _ => None,
            };
            let fits = |bytes: &Vec<u8>| width.is_none_or(|width| bytes.len() == width as usize);
            let bytes: Vec<_> = bytes.into_iter().map(|bytes| bytes.filter(fits)).collect();
            let missing = |row: &usize| column.is_valid(*row) && bytes[*row].is_none();
            wrong.extend((0..bytes.len()).filter(missing).map(|row| (index, row)));
            columns.push(match width {
                Some(width) => {
                    let array = FixedSizeBinaryArray::try_from_sparse_iter_with_size(
                        bytes.iter().map(Option::as_ref),
                        width,
                    );
                    Arc::new(array.map_err(bug)?)
                }
                None => Arc::new(bytes.iter().map(Option::as_deref).collect::<BinaryArray>()),
            });
        }
        Ok((assembled(&self.stored, columns, texts.num_rows())?, wrong))
    }
}

/// For each column its fix.
fn compiled(fixes: &[Fix], texts: &SchemaRef, exact: &Exact) -> Result<Vec<Option<Compiled>>> {
    let mut compiled = vec![None; texts.fields().len()];
    for fix in fixes {
        let names = texts.fields().iter().map(|field| field.name().as_str());
        let index = texts.index_of(&fix.column).map_err(|_| {
            let message = format!("the dirty records have no column \"{}\"", fix.column);
            let all =
                names.clone().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
            let hint = nearest::hint(&fix.column, names).unwrap_or(format!("there are {all}"));
            Fault::user("replay.column", message).hint(hint)
        })?;
        if compiled[index].is_some() {
            let message = format!("column \"{}\" has two fixes", fix.column);
            return Err(Fault::user("replay.column", message));
        }
        let parsed = Expression::parse(&fix.expression)
            .and_then(|parsed| parsed.compile(texts, None, exact))
            .map_err(|fault| fault.within(format!("the fix of column \"{}\"", fix.column)))?;
        compiled[index] = Some(parsed);
    }
    Ok(compiled)
}

fn is_bytes(field: &Field) -> bool {
    matches!(field.data_type(), DataType::Binary | DataType::FixedSizeBinary(_))
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<_> = text.chars().map(|digit| digit.to_digit(16)).collect::<Option<_>>()?;
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(high * 16 + low).ok(),
        _ => None,
    });
    pairs.collect()
}

fn assembled(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(bug)
}

fn bug(error: impl ToString) -> Fault {
    Fault::internal("engine.replay", error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset(fields: &[(&str, DataType)]) -> Dataset {
        let fields = fields.iter().map(|(name, kind)| Field::new(*name, kind.clone(), false));
        Dataset {
            path: vec!["t".into()],
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            primary_key: Vec::new(),
            metadata: Vec::new(),
        }
    }

    fn fix(column: &str, expression: &str) -> Fix {
        Fix { column: column.into(), expression: expression.into() }
    }

    fn restoring(fields: &[(&str, DataType)], fixes: &[Fix], condition: Option<&str>) -> Restoring {
        Restoring::new(&dataset(fields), fixes, condition, &Settings::default()).unwrap()
    }

    fn record(values: &[(&str, Option<&str>)]) -> Vec<(String, Option<String>)> {
        let value = |(name, text): &(&str, Option<&str>)| ((*name).into(), text.map(str::to_owned));
        values.iter().map(value).collect()
    }

    fn rows(restored: Restored) -> RecordBatch {
        match restored {
            Restored::Rows(rows) => rows,
            Restored::Misfit { code, message } => panic!("{message} [{code}]"),
        }
    }

    #[test]
    fn values_become_again_what_they_were() {
        use arrow_schema::TimeUnit::Microsecond;
        let kinds = [
            ("a", DataType::Int64, "-7"),
            ("b", DataType::Float64, "0.1"),
            ("c", DataType::Decimal128(10, 2), "12.30"),
            ("d", DataType::Boolean, "true"),
            ("e", DataType::Date32, "2025-01-31"),
            ("f", DataType::Timestamp(Microsecond, None), "2025-01-31T10:00:00.000001"),
            ("g", DataType::Timestamp(Microsecond, Some("UTC".into())), "2025-01-31T10:00:00Z"),
            ("h", DataType::Time64(Microsecond), "10:00:00.5"),
            ("i", DataType::Binary, "ff00"),
            ("j", DataType::FixedSizeBinary(2), "ff00"),
            ("k", DataType::Utf8, "ff00"),
        ];
        let fields: Vec<_> = kinds.iter().map(|(name, kind, _)| (*name, kind.clone())).collect();
        let restoring = restoring(&fields, &[], None);
        let texts: Vec<_> = kinds.iter().map(|(name, _, text)| (*name, Some(*text))).collect();
        let nulls: Vec<_> = kinds.iter().map(|(name, ..)| (*name, None)).collect();
        let (texts, nulls) = (record(&texts), record(&nulls));
        let rows = rows(restoring.restore(&[&texts, &nulls]).unwrap());
        assert_eq!(rows.schema(), restoring.dataset().schema);
        for ((name, kind, text), column) in kinds.iter().zip(rows.columns()) {
            assert_eq!(column.data_type(), kind, "{name}");
            assert!(column.is_null(1), "{name}");
            let shown = super::texts(&rows, 0).into_iter().find(|(column, _)| column == name);
            let shown = shown.unwrap().1.unwrap();
            assert!(shown.starts_with(text.trim_end_matches('Z')), "{name}: {shown}");
        }
    }

    #[test]
    fn a_fix_sees_texts_and_gives_a_column_its_type() {
        let fields = [("id", DataType::Int64), ("amount", DataType::Utf8), ("x", DataType::Date32)];
        let fixes =
            [fix("id", "CAST(id AS bigint) + 1"), fix("amount", "id || amount"), fix("x", "NULL")];
        let restoring = restoring(&fields, &fixes, Some("amount LIKE 'a%'"));
        let one = record(&[("id", Some("1")), ("amount", Some("a")), ("x", Some("no date"))]);
        let other = record(&[("id", Some("x")), ("amount", Some("b")), ("x", None)]);
        assert_eq!(restoring.matching(&[&one, &other]).unwrap(), [true, false]);
        let rows = rows(restoring.restore(&[&one]).unwrap());
        assert_eq!(
            super::texts(&rows, 0),
            record(&[("id", Some("2")), ("amount", Some("1a")), ("x", None)])
        );
        assert_eq!(rows.column(2).data_type(), &DataType::Date32);
    }

    #[test]
    fn the_first_record_that_is_no_row_is_told_when_it_is_the_first() {
        let fields = [("id", DataType::Int64), ("raw", DataType::Binary)];
        let restoring = restoring(&fields, &[fix("id", "CAST(id AS bigint)")], None);
        let good = record(&[("id", Some("1")), ("raw", Some("00"))]);
        let no_number = record(&[("id", Some("x")), ("raw", Some("00"))]);
        let no_digits = record(&[("id", Some("1")), ("raw", Some("0x"))]);
        let all: [&Values; 4] = [&good, &good, &no_digits, &no_number];
        assert_eq!(rows(restoring.restore(&all).unwrap()).num_rows(), 2);
        let misfit = |records: &[&Values]| match restoring.restore(records).unwrap() {
            Restored::Misfit { code, .. } => code,
            Restored::Rows(_) => panic!("the first is no row"),
        };
        assert_eq!(misfit(&all[2..]), "replay.bytes");
        assert!(misfit(&all[3..]).starts_with("expression."));
    }

    #[test]
    fn what_no_text_can_be_brought_back_to_needs_a_fix() {
        let item = Arc::new(Field::new("item", DataType::Int64, true));
        let list = dataset(&[("id", DataType::Int64), ("list", DataType::List(item))]);
        let new = |fixes: &[Fix]| Restoring::new(&list, fixes, None, &Settings::default());
        let fault = new(&[]).unwrap_err();
        assert_eq!(fault.code, "mapping.impossible_cast");
        assert!(new(&[fix("list", "NULL")]).is_ok());
        let fault = new(&[fix("lst", "NULL")]).unwrap_err();
        assert_eq!((fault.code.as_str(), fault.hint.is_some()), ("replay.column", true));
        let twice = [fix("id", "1"), fix("id", "2"), fix("list", "NULL")];
        assert_eq!(new(&twice).unwrap_err().code, "replay.column");
    }
}
