//! What `column` means: columns of a table, expressions, and names that the table has not.

use database::columns::{Gaps, is_name};

use crate::catalog::{self, Column, Table};
use crate::client::Client;
use crate::error::{Error, Result, VENDOR};
use crate::sql;

/// SQLSTATE of a column that is not there.
const UNDEFINED_COLUMN: &str = "42703";

/// The entries of `column` that a table can answer, and the names among them that it has not.
pub(crate) fn without_gaps(
    client: &mut Client,
    table: &Table,
    all: &[Column],
    wanted: &[String],
) -> Result<(Vec<String>, Gaps)> {
    let gap = |entry: &str| gap(client, table, all, entry);
    Gaps::find(VENDOR, &table.title(), all.len(), wanted, gap)
}

/// The name that an entry means, where it is one such as a column has, and the server knows nothing of it.
fn gap(client: &mut Client, table: &Table, all: &[Column], entry: &str) -> Result<Option<String>> {
    let mut parts = sql::split_name(entry).unwrap_or_default();
    let (Some(written), true) = (parts.pop(), parts.is_empty()) else { return Ok(None) };
    if !is_name(entry) || catalog::find_column(all, entry).is_some() {
        return Ok(None);
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
        Err(Error::Server(error)) if error.code == UNDEFINED_COLUMN => Ok(Some(written.name)),
        // What else the server refuses is told when all are looked up.
        Ok(_) | Err(Error::Server(_)) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Columns as they are read: with names of their own, and as text where arrays may have any shape.
pub(crate) fn readable(columns: Vec<Column>) -> Vec<Column> {
    let mut columns: Vec<_> = columns.into_iter().map(Column::for_reading).collect();
    database::columns::tell_apart(columns.iter_mut().map(|column| &mut column.name));
    columns
}
