//! How what a run wrote is read back. SQLite does not tell whose a row is, so rows are the run's where none
//! but its own can be: all that it put in the place of others, all of a table that was empty when it began,
//! or those with higher rowids than there were.

use database::load::LoadMode;
use rusqlite::Connection as Database;
use sdk::{Back, Form, ReadBack, Result, Run};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::catalog::{self, Column};
use crate::error;
use crate::marks::Marks;
use crate::settings::{WriteMode, WriterParameter};
use crate::sql;
use crate::target::Target;
use crate::types::{Affinity, Kind};

const NO_KEY: &str = "the table holds rows of others, and SQLite does not tell whose a row is: empty it in \
    preSql, replace its rows (loadMode swap), or insert by a rowid that grows";

/// What was in the table when the run began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Before {
    rows: i64,
    /// The highest rowid, where there were rows.
    high: Option<i64>,
}

impl Before {
    pub(crate) fn look(database: &Database, target: &Target) -> Result<Self> {
        let high = match catalog::rowid(&target.all, &target.table) {
            Some(name) => format!("max({})", sql::ident(&name)),
            None => "NULL".to_owned(),
        };
        let statement = format!("SELECT count(*), {high} FROM {}", target.table.sql());
        let row = database
            .query_row(&statement, [], |row| Ok(Self { rows: row.get(0)?, high: row.get(1)? }));
        row.map_err(error::fault)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// Why rows that are written so come back as others; `None` where they don't.
fn hindrance(
    database: &Database,
    parameter: &WriterParameter,
    target: &Target,
) -> Result<Option<&'static str>> {
    if parameter.write_mode() == WriteMode::Insert {
        return Ok(None);
    }
    let is_written = |name: &String| target.columns.iter().any(|column| column.name == *name);
    if target.primary_key.is_empty() || !target.primary_key.iter().all(is_written) {
        return Ok(Some("rows replace each other by a key that is not written"));
    }
    let others = catalog::query(
        database,
        "SELECT 1 FROM pragma_index_list(?1, ?2) WHERE \"unique\" AND origin <> 'pk'",
        [&target.table.name, &target.table.schema],
        |_| Ok(()),
    )?;
    Ok((!others.is_empty()).then_some("rows replace each other by more than one unique key"))
}

/// The reader's document for the rows of a run, or why there can be none. A table that `is_new` is yet to
/// be created.
pub(crate) fn read_back(
    database: &Database,
    parameter: &WriterParameter,
    (target, is_new): (&Target, bool),
    run: &Run,
) -> Result<ReadBack> {
    if let Some(why) = hindrance(database, parameter, target)? {
        return Ok(ReadBack::Impossible(why.into()));
    }
    let marks = Marks::of(&target.table.schema);
    let condition = match &target.swap {
        Some(swap) => Ok(Some(swap.condition())),
        None if is_new => Ok(None),
        None if marks.has_ended(database, run) || marks.before(database, run).is_some() => {
            since_it_began(database, &marks, parameter, target, run)?
        }
        None => before_it_begins(database, parameter, target)?,
    };
    let condition = match condition {
        Ok(condition) => condition,
        Err(why) => return Ok(ReadBack::Impossible(why.into())),
    };
    let names: Vec<_> = target.columns.iter().map(|column| sql::ident(&column.name)).collect();
    let loose = target.columns.iter().filter(|column| column.kind == Kind::Loose);
    let loose: Vec<_> = loose.map(|column| column.name.as_str()).collect();
    let mut document = json!({
        "table": target.table.sql(), "column": names, "asText": loose, "session": parameter.session(),
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
    database: &Database,
    parameter: &WriterParameter,
    target: &Target,
) -> Result<Result<Option<String>, &'static str>> {
    let grows = parameter.write_mode() == WriteMode::Insert
        && catalog::rowid(&target.all, &target.table).is_some();
    // What preSql leaves is seen when it was run.
    let can = grows
        || parameter.truncates()
        || !parameter.pre_sql().is_empty()
        || parameter.load_mode() == LoadMode::Swap
        || Before::look(database, target)?.rows == 0;
    Ok(if can { Ok(None) } else { Err(NO_KEY) })
}

/// The condition in SQL for the rows that the run added.
fn since_it_began(
    database: &Database,
    marks: &Marks,
    parameter: &WriterParameter,
    target: &Target,
    run: &Run,
) -> Result<Result<Option<String>, &'static str>> {
    let noted = marks.before(database, run);
    let Some(before) = noted.and_then(|bytes| serde_json::from_slice::<Before>(&bytes).ok()) else {
        return Ok(Err("the run did not note which rows were there when it began"));
    };
    if before.rows == 0 {
        return Ok(Ok(None));
    }
    let name = catalog::rowid(&target.all, &target.table);
    let (Some(name), Some(high), WriteMode::Insert) = (name, before.high, parameter.write_mode())
    else {
        return Ok(Err(NO_KEY));
    };
    let name = sql::ident(&name);
    let statement = format!("SELECT count(*) FROM {} WHERE {name} <= {high}", target.table.sql());
    let kept: i64 = database.query_row(&statement, [], |row| row.get(0)).map_err(error::fault)?;
    Ok(match kept == before.rows {
        true => Ok(Some(format!("{name} > {high}"))),
        false => {
            Err("rows were added or taken away among those that were there when the run began")
        }
    })
}

/// How the values of a column come back.
fn form(column: &Column, empty_as_null: bool) -> Form {
    match column.kind {
        Kind::Json => Form::Json,
        // SQLite writes numbers its own way.
        Kind::Number if column.affinity == Affinity::Numeric => Form::Reshaped,
        Kind::Text | Kind::Number | Kind::Loose if empty_as_null => Form::EmptyIsNull,
        _ => Form::Same,
    }
}
