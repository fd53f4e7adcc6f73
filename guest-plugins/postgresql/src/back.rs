//! How what a run wrote is read back: by the reader, limited to rows of the run's transactions, or to what
//! the run replaced.

use arrow_schema::{DataType, Field, Fields};
use sdk::{Back, Dataset, Form, ReadBack, Result};
use serde_json::json;

use crate::settings::{ConflictMode, WriterParameter};
use crate::target::Target;
use crate::types::PG_TYPE;
use crate::xids::Xids;

/// Why rows that are written so cannot be told from others, or come back changed; `None` where they can.
pub(crate) fn hindrance(parameter: &WriterParameter, target: Option<&Target>) -> Option<String> {
    if parameter.conflict_mode() == Some(ConflictMode::Ignore) {
        return Some("conflictMode ignore keeps rows that are there, as they are".into());
    }
    let target = target?;
    if target.upsert.as_ref().is_some_and(|upsert| upsert.leaves_some(&target.columns)) {
        return Some("updateColumn leaves columns of rows that are there as they are".into());
    }
    let what = match target.table.kind {
        'r' | 'p' => return None,
        'v' => "a view",
        'f' => "a foreign table",
        _ => "no plain table",
    };
    let title = target.table.title();
    Some(format!("\"{title}\" is {what}, whose rows do not say which transaction wrote them"))
}

/// The reader's document for the rows of the tasks with these receipts.
pub(crate) fn read_back(
    parameter: &WriterParameter,
    target: Option<&Target>,
    dataset: &Dataset,
    receipts: &[Vec<u8>],
) -> Result<ReadBack> {
    if let Some(why) = hindrance(parameter, target) {
        return Ok(ReadBack::Impossible(why));
    }
    // What a swap has put in the place of other rows is all that is there.
    let condition = match target.and_then(|target| target.swap.as_ref()) {
        Some(swap) => Ok(swap.condition()),
        None => of_transactions(receipts),
    };
    let condition = match condition {
        Ok(condition) => condition,
        Err(why) => return Ok(ReadBack::Impossible(why.into())),
    };
    let fields = dataset.schema.fields();
    let names: Vec<_> = fields.iter().map(|field| field.name()).collect();
    let document = json!({
        "table": parameter.table()?, "column": names, "where": condition, "session": parameter.session(),
    });
    let forms: Vec<_> = fields.iter().map(|field| form(field)).collect();
    let forms = match empty_as_null(parameter, fields, forms) {
        Ok(forms) => forms,
        Err(why) => return Ok(ReadBack::Impossible(why)),
    };
    let upsert = target.and_then(|target| target.upsert.as_ref());
    let replaces_by = upsert.map(|upsert| upsert.keys.clone()).unwrap_or_default();
    Ok(ReadBack::By(Back { parameter: document.to_string(), forms, replaces_by }))
}

/// The condition in SQL for rows of the tasks' transactions, or why there is none.
fn of_transactions(receipts: &[Vec<u8>]) -> std::result::Result<String, &'static str> {
    let mut xids = Xids::default();
    for receipt in receipts {
        let of_task = Xids::decode(receipt).ok_or("a task did not note its transactions")?;
        xids.merge(&of_task);
    }
    xids.condition()
        .ok_or("the run's transactions are too many, and scattered among others of the server")
}

/// With emptyAsNull, what becomes of empty texts.
fn empty_as_null(
    parameter: &WriterParameter,
    fields: &Fields,
    mut forms: Vec<Form>,
) -> std::result::Result<Vec<Form>, String> {
    if !parameter.empty_as_null() {
        return Ok(forms);
    }
    for (form, field) in forms.iter_mut().zip(fields) {
        match (field.data_type(), &form) {
            (DataType::Utf8, Form::Same) => *form = Form::EmptyIsNull,
            (DataType::Utf8, Form::Padded | Form::Uuid | Form::Reshaped) => {
                let name = field.name();
                return Err(format!("with emptyAsNull nobody can say what \"{name}\" must hold"));
            }
            _ => {}
        }
    }
    Ok(forms)
}

/// How the values of a column come back from the server.
fn form(field: &Field) -> Form {
    let metadata = |key: &str| field.metadata().get(key).map(String::as_str).unwrap_or_default();
    let name = metadata(PG_TYPE);
    let is_padded = name.starts_with("character(") || name == "bpchar";
    match (field.data_type(), metadata("ARROW:extension:name")) {
        // Arrays come back as text, since they may have any shape.
        (DataType::List(_), _) => Form::Reshaped,
        (DataType::Utf8, "arrow.json") => Form::Json,
        (DataType::Utf8, _) if name == "uuid" => Form::Uuid,
        (DataType::Utf8, "arrow.opaque") => Form::Reshaped,
        (DataType::Utf8, _) if is_padded => Form::Padded,
        _ => Form::Same,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn what_the_server_writes_its_own_way_is_known() {
        let table = [
            ("text", "", Form::Same),
            ("character(3)", "", Form::Padded),
            ("character varying(3)", "", Form::Same),
            ("uuid", "arrow.opaque", Form::Uuid),
            ("jsonb", "arrow.json", Form::Json),
            ("interval", "arrow.opaque", Form::Reshaped),
        ];
        for (name, extension, expected) in table {
            let metadata = [(PG_TYPE, name), ("ARROW:extension:name", extension)];
            let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned()));
            let field =
                Field::new("c", DataType::Utf8, true).with_metadata(HashMap::from(metadata));
            assert_eq!(form(&field), expected, "{name}");
        }
    }
}
