//! Datasets, their columns and rows.

use arrow_array::RecordBatch;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{ArrowError, Field};
use domain::dataset::Dataset;
use serde_json::{Map, Value, json};

use crate::render::{escape, table};

/// Characters of a value that a table shows.
const SHOWN_VALUE_CHARACTERS: usize = 40;

/// Path, key and columns.
pub(crate) fn text(dataset: &Dataset) -> String {
    let fields = dataset.schema.fields().iter();
    let is_declared = fields.clone().any(|field| declared(field).is_some());
    let rows: Vec<_> = fields
        .map(|field| {
            let key = if dataset.primary_key.contains(field.name()) { "key" } else { "" };
            let there = declared(field).unwrap_or_default().to_owned();
            [field.name().clone(), type_text(field), null_text(field).into(), key.into(), there]
        })
        .collect();
    let head = ["column", "type", "null", "key", if is_declared { "declared" } else { "" }];
    format!("{}\n{}", title(dataset), table::text(head, &rows))
}

/// The type that the source itself has for a column, where its plug-in says so: `pg:type` and the like.
fn declared(field: &Field) -> Option<&str> {
    let mut pairs = field.metadata().iter();
    pairs.find(|(key, _)| key.ends_with(":type")).map(|(_, declared)| declared.as_str())
}

fn title(dataset: &Dataset) -> String {
    match dataset.path.is_empty() {
        true => "(unnamed)".into(),
        false => dataset.title(),
    }
}

/// The Arrow type, and what it stands for where it is an extension.
pub(crate) fn type_text(field: &Field) -> String {
    let plain = field.data_type().to_string();
    match field.metadata().get("ARROW:extension:name") {
        Some(extension) => format!("{plain} as {extension}"),
        None => plain,
    }
}

fn null_text(field: &Field) -> &'static str {
    if field.is_nullable() { "yes" } else { "no" }
}

pub(crate) fn json(dataset: &Dataset) -> Value {
    let fields = dataset.schema.fields().iter().map(|field| {
        let mut object = field_json(field);
        object["declared"] = declared(field).into();
        object
    });
    json!({
        "path": dataset.path,
        "fields": fields.collect::<Vec<_>>(),
        "primary_key": dataset.primary_key,
        "metadata": pairs_json(&dataset.metadata),
    })
}

pub(crate) fn field_json(field: &Field) -> Value {
    json!({"name": field.name(), "type": type_text(field), "nullable": field.is_nullable()})
}

fn pairs_json(pairs: &[(String, String)]) -> Value {
    let members = pairs.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str())));
    Value::Object(members.collect::<Map<_, _>>())
}

/// Rows as a table, long values cut.
///
/// # Errors
/// A type that cannot be shown.
pub(crate) fn rows_text(rows: &RecordBatch) -> Result<String, ArrowError> {
    let cells = cells(rows)?;
    let shown: Vec<Vec<String>> = cells
        .into_iter()
        .map(|row| {
            row.into_iter().map(|cell| cell.map_or("NULL".into(), |text| cut(&text))).collect()
        })
        .collect();
    let names: Vec<_> = rows.schema().fields().iter().map(|field| field.name().clone()).collect();
    Ok(table::dynamic(&names, &shown))
}

/// Rows as objects of texts; `null` is NULL.
///
/// # Errors
/// A type that cannot be shown.
pub(crate) fn rows_json(rows: &RecordBatch) -> Result<Vec<Value>, ArrowError> {
    let schema = rows.schema();
    let object = |row: Vec<Option<String>>| {
        let names = schema.fields().iter().map(|field| field.name().clone());
        Value::Object(names.zip(row.into_iter().map(Value::from)).collect())
    };
    Ok(cells(rows)?.into_iter().map(object).collect())
}

fn cells(rows: &RecordBatch) -> Result<Vec<Vec<Option<String>>>, ArrowError> {
    use arrow_array::Array;
    let options = FormatOptions::default();
    let columns = rows.columns();
    let formatters =
        columns.iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
    let formatters = formatters.collect::<Result<Vec<_>, _>>()?;
    let cell = |row: usize, column: usize| {
        let value = &formatters[column];
        match columns[column].is_null(row) {
            true => Ok(None),
            false => value.value(row).try_to_string().map(Some),
        }
    };
    let row = |row| (0..columns.len()).map(|column| cell(row, column)).collect();
    (0..rows.num_rows()).map(row).collect()
}

/// One line, control characters escaped, cut to what a table shows.
fn cut(text: &str) -> String {
    let line = escape::line(text);
    if line.chars().count() <= SHOWN_VALUE_CHARACTERS {
        return line;
    }
    let head: String = line.chars().take(SHOWN_VALUE_CHARACTERS - 3).collect();
    format!("{head}...")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, StringArray};
    use arrow_schema::{DataType, Schema};

    use super::*;

    fn orders() -> RecordBatch {
        let id: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let name: ArrayRef = Arc::new(StringArray::from(vec![Some("a\u{1b}\n"), None]));
        RecordBatch::try_from_iter_with_nullable([("id", id, false), ("name", name, true)]).unwrap()
    }

    #[test]
    fn a_dataset_shows_types_and_keys() {
        let schema = Arc::new(Schema::new(vec![
            Field::new("id", DataType::Int64, false),
            Field::new("price", DataType::Decimal128(15, 2), true),
        ]));
        let path = vec!["public".into(), "orders".into()];
        let dataset = Dataset { path, schema, primary_key: vec!["id".into()], metadata: vec![] };
        assert_eq!(
            text(&dataset),
            "\
public.orders
  column  type               null  key
  id      Int64              no    key
  price   Decimal128(15, 2)  yes
"
        );
        assert_eq!(json(&dataset)["primary_key"], json!(["id"]));
        assert_eq!(json(&dataset)["fields"][1]["type"], "Decimal128(15, 2)");
    }

    #[test]
    fn rows_cannot_steer_a_terminal() {
        let text = rows_text(&orders()).unwrap();
        assert_eq!(text, "  id  name\n  1   a\\u{1b}\\n\n  2   NULL\n");
        let objects = rows_json(&orders()).unwrap();
        assert_eq!(objects[1], json!({"id": "2", "name": null}));
    }

    #[test]
    fn long_values_are_cut() {
        assert_eq!(cut(&"x".repeat(41)), format!("{}...", "x".repeat(37)));
        assert_eq!(cut(&"x".repeat(40)), "x".repeat(40));
    }
}
