//! How what a run wrote is read back. The server does not tell whose a row is, so rows are the run's where
//! none but its own can be: all that it put in the place of others, all of a table that was empty when it
//! began, or those with higher keys than there were.

use sdk::{Back, Form, ReadBack, Result, Run};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::catalog::{self, Column, text};
use crate::client::Client;
use crate::marks::Marks;
use crate::settings::{WriteMode, WriterParameter};
use crate::splits::Key;
use crate::sql;
use crate::target::Target;
use crate::types::Kind;

const NO_MARKS: &str =
    "there can be no table _airlock_commit, so nobody knows which rows are the run's";
const NO_KEY: &str = "the table holds rows of others, and the server does not tell whose a row is: \
    empty it in preSql, replace its rows (loadMode swap), or insert by a primary key of one column that grows";

/// What was in the table when the run began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Before {
    rows: u64,
    /// The highest key, where there were rows.
    high: Option<String>,
}

impl Before {
    pub(crate) fn look(client: &mut Client, target: &Target) -> crate::error::Result<Self> {
        let high = key(target).map_or_else(|| "NULL".to_owned(), |key| key.highest());
        let rows = client.query(&format!("SELECT COUNT(*), {high} FROM {}", target.table.sql()))?;
        let row = rows.first().map(Vec::as_slice).unwrap_or_default();
        let count = row.first().and_then(|count| count.as_deref()?.parse().ok());
        Ok(Self { rows: count.unwrap_or(0), high: row.get(1).cloned().flatten() })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// The primary key, where it is of one column by which rows can be told apart as they grow.
fn key(target: &Target) -> Option<Key> {
    let [name] = target.primary_key.as_slice() else { return None };
    let column = target.all.iter().find(|column| column.name == *name)?;
    column.is_key().then(|| Key::new(column, true))
}

/// Why rows that are written so come back changed, or as others; `None` where they don't.
fn hindrance(
    client: &mut Client,
    parameter: &WriterParameter,
    target: &Target,
) -> Result<Option<String>> {
    if parameter.skips_null() {
        return Ok(Some("nullMode skipNull lets the server choose values".into()));
    }
    if parameter.write_mode() == WriteMode::Insert {
        return Ok(None);
    }
    let updated = parameter.update_columns();
    if parameter.write_mode() == WriteMode::Update
        && !updated.is_empty()
        && !updated.iter().any(|name| name.trim() == "*")
    {
        return Ok(Some("updateColumn leaves columns of rows that are there as they are".into()));
    }
    let is_written = |name: &String| target.columns.iter().any(|column| column.name == *name);
    if target.primary_key.is_empty() || !target.primary_key.iter().all(is_written) {
        return Ok(Some("rows replace each other by a key that is not written".into()));
    }
    let others = catalog::has_unique_beside_primary(client, &target.table)?;
    Ok(others.then(|| "rows replace each other by more than one unique key".into()))
}

/// The reader's document for the rows of a run, or why there can be none. `marks` are those that are
/// there or can be; a table that `is_new` is yet to be created.
pub(crate) fn read_back(
    client: &mut Client,
    parameter: &WriterParameter,
    marks: Option<&Marks>,
    (target, is_new): (&Target, bool),
    run: &Run,
) -> Result<ReadBack> {
    if let Some(why) = hindrance(client, parameter, target)? {
        return Ok(ReadBack::Impossible(why));
    }
    let condition = match (&target.swap, marks) {
        (Some(swap), _) => Ok(Some(swap.condition())),
        (None, None) => Err(NO_MARKS),
        (None, Some(_)) if is_new => Ok(None),
        (None, Some(marks))
            if marks.has_ended(client, run)? || marks.before(client, run)?.is_some() =>
        {
            since_it_began(client, marks, parameter, target, run)?
        }
        (None, Some(_)) => before_it_begins(client, parameter, target)?,
    };
    let condition = match condition {
        Ok(condition) => condition,
        Err(why) => return Ok(ReadBack::Impossible(why.into())),
    };
    let names: Vec<_> = target.columns.iter().map(|column| sql::ident(&column.name)).collect();
    let mut document = json!({
        "table": target.table.sql(), "column": names, "session": parameter.session(),
    });
    if let Some(condition) = condition {
        document["where"] = condition.into();
    }
    let empty_as_null = parameter.empty_as_null();
    let forms = target.columns.iter().map(|column| form(column, empty_as_null)).collect();
    let replaces = parameter.write_mode() != WriteMode::Insert;
    let replaces_by = if replaces { target.primary_key.clone() } else { Vec::new() };
    Ok(ReadBack::By(Back { parameter: document.to_string(), forms, replaces_by }))
}

/// Whether the run's rows will be told from those that are there.
fn before_it_begins(
    client: &mut Client,
    parameter: &WriterParameter,
    target: &Target,
) -> Result<std::result::Result<Option<String>, &'static str>> {
    let grows = parameter.write_mode() == WriteMode::Insert && key(target).is_some();
    // What preSql leaves is seen when it was run.
    let rows = client.query(&format!("SELECT 1 FROM {} LIMIT 1", target.table.sql()))?;
    let can = grows || rows.is_empty() || !parameter.pre_sql().is_empty();
    Ok(if can { Ok(None) } else { Err(NO_KEY) })
}

/// The condition in SQL for the rows that the run added.
fn since_it_began(
    client: &mut Client,
    marks: &Marks,
    parameter: &WriterParameter,
    target: &Target,
    run: &Run,
) -> Result<std::result::Result<Option<String>, &'static str>> {
    let noted = marks.before(client, run)?;
    let Some(before) = noted.and_then(|bytes| serde_json::from_slice::<Before>(&bytes).ok()) else {
        return Ok(Err("the run did not note which rows were there when it began"));
    };
    if before.rows == 0 {
        return Ok(Ok(None));
    }
    let (Some(key), Some(high), WriteMode::Insert) =
        (key(target), before.high, parameter.write_mode())
    else {
        return Ok(Err(NO_KEY));
    };
    let (above, up_to) = key.around(&high)?;
    let rows =
        client.query(&format!("SELECT COUNT(*) FROM {} WHERE {up_to}", target.table.sql()))?;
    let kept = rows.first().map_or("", |row| text(row, 0)) == before.rows.to_string();
    Ok(match kept {
        true => Ok(Some(above)),
        false => {
            Err("rows were added or taken away among those that were there when the run began")
        }
    })
}

/// How the values of a column come back from the server.
fn form(column: &Column, empty_as_null: bool) -> Form {
    let sql_type = column.sql_type.as_str();
    let is_list = sql_type.starts_with("enum") || sql_type.starts_with("set");
    match column.kind {
        // The server writes them as they are declared, and times with all their decimals.
        _ if is_list => Form::Reshaped,
        Kind::Time => Form::Reshaped,
        Kind::Text if sql_type == "json" => Form::Json,
        Kind::Text if empty_as_null => Form::EmptyIsNull,
        Kind::Text if sql_type.starts_with("char") => Form::Padded,
        _ => Form::Same,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_writes_its_own_way_is_known() {
        let table = [
            ("varchar(3)", Form::Same),
            ("char(3)", Form::Padded),
            ("enum('a')", Form::Reshaped),
            ("time(2)", Form::Reshaped),
            ("json", Form::Json),
            ("int", Form::Same),
        ];
        for (sql_type, expected) in table {
            assert_eq!(form(&Column::new("c", sql_type, true), false), expected, "{sql_type}");
        }
        assert_eq!(form(&Column::new("c", "text", true), true), Form::EmptyIsNull);
    }
}
