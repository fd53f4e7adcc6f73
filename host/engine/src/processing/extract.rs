//! `json-extracting`: columns with what paths find in JSON texts.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use domain::job::Extraction;
use domain::{Fault, Result};
use expression::json::{Document, Path};
use expression::{Casts, type_of};

use super::Misfit;
use crate::mapping::Exact;

#[derive(Clone, Debug)]
pub(super) struct Extract {
    columns: Vec<Column>,
    pub(super) schema: SchemaRef,
}

#[derive(Clone, Debug)]
struct Column {
    from: usize,
    path: Path,
    to: DataType,
    null_where_invalid: bool,
}

/// The texts of one new column, and the rows of it that have none for a reason.
type Found = (Vec<Option<String>>, Vec<Misfit>);

impl Extract {
    /// # Errors
    /// `transform.column`: a column that there is not, or is there already; `transform.type`: one
    /// without texts; `expression.value`: no path; `expression.type`: no type.
    pub(super) fn new(
        extractions: &[Extraction],
        schema: &SchemaRef,
        casts: &Exact,
    ) -> Result<Self> {
        let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
        let mut columns = Vec::with_capacity(extractions.len());
        for (index, extraction) in extractions.iter().enumerate() {
            let place = |key: &str| format!("/parameter/column/{index}/{key}");
            if fields.iter().any(|field| *field.name() == extraction.name) {
                let message = format!("there is a column \"{}\" already", extraction.name);
                return Err(Fault::user("transform.column", message).at(place("name")));
            }
            let from = super::text_column(&extraction.from, schema)
                .map_err(|fault| fault.at(place("fromColumn")))?;
            let path =
                Path::parse(&extraction.path).map_err(|fault| fault.at(place("jsonPath")))?;
            let to = type_of(&extraction.data_type).map_err(|fault| fault.at(place("type")))?;
            if !casts.has(&Field::new("", DataType::Utf8, true), &to) {
                let message = format!("texts cannot be cast to {to}");
                return Err(Fault::user("transform.type", message).at(place("type")));
            }
            fields.push(Arc::new(Field::new(&extraction.name, to.clone(), true)));
            let null_where_invalid = extraction.null_where_invalid;
            columns.push(Column { from, path, to, null_where_invalid });
        }
        let schema = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
        Ok(Self { columns, schema })
    }

    /// The columns that come to those of the rows, each with the rows that it makes dirty, and the
    /// column that it comes from.
    pub(super) fn apply(
        &self,
        rows: &RecordBatch,
        casts: &Exact,
    ) -> Result<Vec<(ArrayRef, Vec<Misfit>, usize)>> {
        self.find(rows)
            .into_iter()
            .zip(&self.columns)
            .map(|(found, column)| {
                let (texts, mut misfits) = found;
                let texts: ArrayRef = Arc::new(StringArray::from(texts));
                let field = Field::new("", DataType::Utf8, true);
                let (made, lost) = casts.cast(&field, &column.to, &texts)?;
                if column.null_where_invalid {
                    return Ok((made, Vec::new(), column.from));
                }
                let lost = lost.into_iter();
                misfits.extend(lost.map(|(row, message)| misfit(row, message)));
                Ok((made, misfits, column.from))
            })
            .collect()
    }

    /// Each text is read once for all columns that come from it.
    fn find(&self, rows: &RecordBatch) -> Vec<Found> {
        let count = rows.num_rows();
        let mut found: Vec<Found> =
            self.columns.iter().map(|_| (vec![None; count], Vec::new())).collect();
        let mut froms: Vec<_> = self.columns.iter().map(|column| column.from).collect();
        froms.sort_unstable();
        froms.dedup();
        for from in froms {
            let texts = rows.column(from).as_string::<i32>();
            for row in 0..count {
                let document = match texts.is_null(row) {
                    true => Err("the text is NULL".to_owned()),
                    false => Document::parse(texts.value(row)),
                };
                for (column, (values, misfits)) in self.columns.iter().zip(&mut found) {
                    if column.from != from {
                        continue;
                    }
                    let document = document.as_ref().map_err(Clone::clone);
                    match document.and_then(|document| document.find(&column.path)) {
                        Ok(Some(value)) => values[row] = Some(value),
                        Ok(None) => misfits.push(misfit(row, "the path finds nothing".to_owned())),
                        Err(message) => misfits.push(misfit(row, message)),
                    }
                }
            }
        }
        found
    }
}

fn misfit(row: usize, message: String) -> Misfit {
    Misfit { row, code: "transform.json", message }
}
