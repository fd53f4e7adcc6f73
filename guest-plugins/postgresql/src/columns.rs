//! What `column` means: columns of a table, expressions, and names that the table has not.

use sdk::Fault;

use crate::catalog::{self, Column, Table};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::sql;

/// SQLSTATE of a column that is not there.
const UNDEFINED_COLUMN: &str = "42703";

/// Columns that a table has not: where they stand, and their names.
pub(crate) type Gaps = Vec<(usize, String)>;

/// The entries of `column` that a table can answer, and the plain names among them that it has not.
pub(crate) fn without_gaps(
    client: &mut Client,
    table: &Table,
    all: &[Column],
    wanted: &[String],
) -> Result<(Vec<String>, Gaps)> {
    let (mut found, mut gaps) = (Vec::new(), Vec::new());
    let mut place = 0;
    for entry in wanted {
        if entry.trim() == "*" {
            place += all.len();
        } else if is_gap(client, table, all, entry)? {
            let name = sql::split_name(entry).and_then(|mut parts| parts.pop());
            gaps.push((place, name.map_or_else(|| entry.trim().to_owned(), |part| part.name)));
            place += 1;
            continue;
        } else {
            place += 1;
        }
        found.push(entry.clone());
    }
    if found.is_empty() {
        let message = format!("the table \"{}\" has none of the columns", table.title());
        return Err(Fault::external("postgresql.column_not_found", message)
            .hint("correct \"column\", or leave the table out")
            .at("/parameter/column")
            .into());
    }
    Ok((found, gaps))
}

/// Whether an entry is a plain name, such as a column has, and the server knows nothing of it.
fn is_gap(client: &mut Client, table: &Table, all: &[Column], entry: &str) -> Result<bool> {
    let is_name = sql::split_name(entry).is_some_and(|parts| parts.len() == 1);
    if !is_name || catalog::find_column(all, entry).is_some() {
        return Ok(false);
    }
    // What fails must not end the transaction that holds the snapshot.
    let within = client.in_transaction();
    if within {
        client.execute("SAVEPOINT airlock")?;
    }
    let answer = catalog::columns(client, &format!("SELECT {entry}\n FROM {}", table.sql()));
    if within && !matches!(answer, Err(Error::Fault(_))) {
        client.execute("ROLLBACK TO SAVEPOINT airlock")?;
        client.execute("RELEASE SAVEPOINT airlock")?;
    }
    match answer {
        Ok(_) => Ok(false),
        Err(Error::Server(error)) if error.code == UNDEFINED_COLUMN => Ok(true),
        // It is told when all are looked up.
        Err(Error::Server(_)) => Ok(false),
        Err(fault) => Err(fault),
    }
}

/// Columns as they are read: with names of their own, and as text where arrays may have any shape.
pub(crate) fn readable(columns: Vec<Column>) -> Vec<Column> {
    let mut columns: Vec<_> = columns.into_iter().map(Column::for_reading).collect();
    database::columns::tell_apart(columns.iter_mut().map(|column| &mut column.name));
    columns
}
