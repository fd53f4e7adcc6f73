//! Sums of what tasks and runs have written.

use domain::verify::Sums;
use domain::{Result, RunId, TaskIndex};
use rusqlite::{Connection, OptionalExtension, params};

use crate::fault::Trouble;
use crate::rows;

pub(crate) fn save(
    books: &Connection,
    run: &RunId,
    task: TaskIndex,
    sequence: u64,
    bytes: &[u8],
) -> Result<(), Trouble> {
    books
        .prepare_cached(
            "INSERT OR REPLACE INTO sums (run, task, sequence, sums) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![run.0, task, rows::signed(sequence)?, bytes])?;
    Ok(())
}

pub(crate) fn of_task(
    books: &Connection,
    run: &RunId,
    task: TaskIndex,
    sequence: u64,
) -> Result<Option<Sums>, Trouble> {
    let bytes: Option<Vec<u8>> = books
        .prepare_cached("SELECT sums FROM sums WHERE run = ?1 AND task = ?2 AND sequence = ?3")?
        .query_row(params![run.0, task, rows::signed(sequence)?], |row| row.get(0))
        .optional()?;
    Ok(bytes.map(|bytes| Sums::decode(&bytes)).transpose()?)
}

pub(crate) fn of_run(books: &Connection, run: &RunId) -> Result<Sums, Trouble> {
    let bytes: Option<Option<Vec<u8>>> = books
        .query_row("SELECT sums FROM run WHERE id = ?1", params![run.0], |row| row.get(0))
        .optional()?;
    match bytes.flatten() {
        Some(bytes) => Ok(Sums::decode(&bytes)?),
        None => Ok(Sums::default()),
    }
}

/// Marks before `sequence` are asked for no more.
pub(crate) fn forget_before(
    books: &Connection,
    run: &RunId,
    task: TaskIndex,
    sequence: u64,
) -> Result<(), Trouble> {
    books
        .prepare_cached("DELETE FROM sums WHERE run = ?1 AND task = ?2 AND sequence < ?3")?
        .execute(params![run.0, task, rows::signed(sequence)?])?;
    Ok(())
}

/// A task is done with the mark `sequence`: what it has written becomes part of the run's sums.
pub(crate) fn fold(
    books: &Connection,
    run: &RunId,
    task: TaskIndex,
    sequence: u64,
) -> Result<(), Trouble> {
    let Some(done) = of_task(books, run, task, sequence)? else { return Ok(()) };
    let mut sums = of_run(books, run)?;
    sums.fold(&done);
    books.execute("UPDATE run SET sums = ?2 WHERE id = ?1", params![run.0, sums.encode()])?;
    books.execute("DELETE FROM sums WHERE run = ?1 AND task = ?2", params![run.0, task])?;
    Ok(())
}
