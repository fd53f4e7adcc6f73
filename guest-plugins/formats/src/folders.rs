//! Columns whose values stand in the names of folders: `dt=2026-11-27/hour=7/orders.parquet`.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{FieldRef, Schema, SchemaRef};
use sdk::{Fault, Result};

use crate::columns::{self, Origin, Wanted};
use crate::infer::Guess;
use crate::kind::Kind;

/// What Hive and Spark write for NULL.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";
const PLACE: &str = "/parameter/partitionColumns";

/// The columns of a job that its folders name.
#[derive(Clone, Debug, PartialEq)]
pub struct Folders {
    /// In the order in which they come.
    columns: Vec<Named>,
}

#[derive(Clone, Debug, PartialEq)]
struct Named {
    key: String,
    /// As declared; `None`: inferred from the names of all folders.
    kind: Option<Kind>,
    /// Among the columns of the job; `None`: behind those of the files.
    at: Option<usize>,
    /// JSON pointer into the document.
    place: String,
}

impl Folders {
    /// Those on the way to `file`. Where `wanted` lists them they are taken out of it.
    pub(crate) fn of(file: &str, wanted: &mut Wanted) -> Result<Self> {
        let keys: Vec<_> = pairs(file).into_iter().map(|(key, _)| key).collect();
        let Wanted::Listed(listed) = wanted else {
            let kind = (*wanted == Wanted::AllText).then_some(Kind::Text);
            let named = |key| Named { key, kind: kind.clone(), at: None, place: PLACE.to_owned() };
            return Ok(Self { columns: keys.into_iter().map(named).collect() });
        };
        let (mut columns, mut rest) = (Vec::new(), Vec::new());
        for (at, column) in std::mem::take(listed).into_iter().enumerate() {
            match &column.origin {
                Origin::Name(name) if keys.contains(name) => columns.push(Named {
                    key: name.clone(),
                    kind: column.kind,
                    at: Some(at),
                    place: column.place,
                }),
                _ => rest.push(column),
            }
        }
        if rest.is_empty() {
            let message = "\"column\" lists no column of the files themselves";
            return Err(Fault::user("parameter.invalid", message).at("/parameter/column"));
        }
        *listed = rest;
        Ok(Self { columns })
    }

    /// The fields of the job, `own` being those of the files. `files` are all that the job reads.
    ///
    /// # Errors
    /// `format.folders_differ`, `format.folder_value`: what the names of folders say does not fit.
    pub fn schema(&self, own: &SchemaRef, files: &[String]) -> Result<SchemaRef> {
        let keys = |file: &String| -> Vec<String> {
            pairs(file).into_iter().map(|(key, _)| key).collect()
        };
        let first = files.first().map(keys).unwrap_or_default();
        if let Some(other) = files.iter().find(|file| keys(file) != first) {
            let message = format!(
                "\"{}\" and \"{other}\" lie in folders of different columns",
                files.first().map(String::as_str).unwrap_or_default()
            );
            return Err(Fault::user("format.folders_differ", message)
                .hint("narrow \"path\", or read without \"partitionColumns\"")
                .at(PLACE));
        }
        if first.is_empty() {
            let message = "no folder on the way to the files is named name=value";
            return Err(Fault::user("format.no_folders", message)
                .hint("begin \"path\" above these folders, with ** behind it")
                .at(PLACE));
        }
        let field = |column: &Named| {
            if own.field_with_name(&column.key).is_ok() {
                let message = format!("\"{}\" is a folder and a column of the files", column.key);
                return Err(Fault::user("format.folder_column", message)
                    .hint("list in \"column\" what is to be read")
                    .at(column.place.clone()));
            }
            let texts = files.iter().filter_map(|file| value(file, &column.key));
            let kind = column.kind.clone().unwrap_or_else(|| {
                let mut guess = Guess::default();
                texts.for_each(|text| guess.add(text.as_bytes()));
                guess.kind()
            });
            for file in files {
                column.array(file, &kind)?;
            }
            Ok(Arc::new(kind.field(&column.key)))
        };
        let fields = self.columns.iter().map(field).collect::<Result<Vec<_>>>()?;
        let all: Vec<FieldRef> = self.joined(own.fields().to_vec(), fields);
        Ok(Arc::new(Schema::new(all)))
    }

    /// Those fields of the job that the files have.
    pub(crate) fn own(&self, planned: &SchemaRef) -> SchemaRef {
        let places: Vec<_> = self.places(planned).collect();
        let fields = planned.fields().iter().enumerate();
        let own = fields.filter(|(at, _)| !places.contains(at)).map(|(_, field)| field.clone());
        Arc::new(Schema::new(own.collect::<Vec<_>>()))
    }

    /// What is the same in all rows of `file`, with the fields of the job.
    pub(crate) fn given(&self, file: &str, planned: &SchemaRef) -> Result<Given> {
        let pairs = self.columns.iter().zip(self.places(planned));
        let array = |(column, at): (&Named, usize)| {
            let field: Option<&FieldRef> = planned.fields().get(at);
            let own = |field: &FieldRef| Kind::of(field.data_type());
            let kind = column.kind.clone().or_else(|| field.and_then(own));
            let foreign =
                || Fault::plugin("format.plan", "the plan has other columns than the job");
            column.array(file, &kind.ok_or_else(foreign)?)
        };
        let values = pairs.map(array).collect::<Result<_>>()?;
        Ok(Given { folders: self.clone(), values, schema: planned.clone() })
    }

    /// Where the columns are among all of the job.
    fn places(&self, planned: &SchemaRef) -> impl Iterator<Item = usize> {
        let behind = planned.fields().len().saturating_sub(self.columns.len());
        let columns = self.columns.iter().enumerate();
        columns.map(move |(index, column)| column.at.unwrap_or(behind + index))
    }

    fn joined<T>(&self, own: Vec<T>, given: Vec<T>) -> Vec<T> {
        let mut all = own;
        for (column, item) in self.columns.iter().zip(given) {
            let at = column.at.unwrap_or(all.len()).min(all.len());
            all.insert(at, item);
        }
        all
    }
}

impl Named {
    /// The value in the folders of `file`, as an array of one.
    fn array(&self, file: &str, kind: &Kind) -> Result<ArrayRef> {
        let text = value(file, &self.key);
        columns::one_value(text.as_deref(), kind).map_err(|reason| {
            let text = text.unwrap_or_default();
            let message = format!("the folder \"{}={text}\" of \"{file}\" {reason}", self.key);
            Fault::data("format.folder_value", message).at(self.place.clone())
        })
    }
}

/// The values of one file's folders.
pub(crate) struct Given {
    folders: Folders,
    values: Vec<ArrayRef>,
    schema: SchemaRef,
}

impl Given {
    /// A batch of the file with them.
    pub(crate) fn with(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let repeated = self.values.iter().map(|value| columns::repeated(value, rows));
        let repeated = repeated.collect::<Result<Vec<_>>>()?;
        let arrays = self.folders.joined(batch.columns().to_vec(), repeated);
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)
            .map_err(|error| Fault::plugin("format.folder_value", error.to_string()))
    }
}

/// Names and values in the folders of a path, from its beginning.
fn pairs(file: &str) -> Vec<(String, String)> {
    let folders = file.rsplit_once('/').map_or("", |(folders, _)| folders);
    let pair = |folder: &str| folder.split_once('=').map(|(key, text)| (plain(key), plain(text)));
    folders.split('/').filter_map(pair).filter(|(key, _)| !key.is_empty()).collect()
}

/// `None` is NULL.
fn value(file: &str, key: &str) -> Option<String> {
    let pair = pairs(file).into_iter().find(|(known, _)| known == key);
    pair.map(|(_, text)| text).filter(|text| text != NULL)
}

/// Without the escapes (`%3A`) of letters that no folder's name takes.
fn plain(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let code = behind.get(..2).filter(|_| *first == b'%');
        let code = code.and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_folders_are_taken_apart() {
        let own = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect()
        };
        assert_eq!(
            pairs("in/dt=2026-11-27/hour=7/a=b.csv"),
            own(&[("dt", "2026-11-27"), ("hour", "7")])
        );
        assert_eq!(pairs("in/at=12%3A30/=x/a.csv"), own(&[("at", "12:30")]));
        assert_eq!(pairs("a.csv"), []);
        assert_eq!(value(&format!("dt={NULL}/a"), "dt"), None);
        assert_eq!(plain("100%"), "100%");
        assert_eq!(plain("%ff"), "%ff");
    }
}
