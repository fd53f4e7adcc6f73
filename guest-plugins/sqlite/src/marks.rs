//! The table `_airlock_commit` beside the destination: how far each task of a run has come, in the shape
//! of [`database::marks`].

use database::marks::{self, ABANDONED_DAYS, FINISHED, PREPARED, REMEMBERED_DAYS, TABLE};
use rusqlite::{Connection as Database, OptionalExtension, Params};
use sdk::{Mark, Result, Run};

use crate::error::{self, VENDOR};
use crate::sql;

/// The mark table of a destination.
#[derive(Clone, Debug)]
pub(crate) struct Marks {
    /// Its name in quotes, with its schema.
    table: String,
}

fn execute(database: &Database, sql: &str, params: impl Params) -> Result<usize> {
    sdk::log::statement(sql, None);
    database.execute(sql, params).map_err(error::fault)
}

impl Marks {
    /// That of a schema, whether it is there or not.
    pub(crate) fn of(schema: &str) -> Self {
        Self { table: format!("{}.{TABLE}", sql::ident(schema)) }
    }

    /// Creates the table where it is absent.
    pub(crate) fn ensure(database: &Database, schema: &str) -> Result<Self> {
        let marks = Self::of(schema);
        let create = format!(
            "CREATE TABLE IF NOT EXISTS {} (run TEXT NOT NULL, task INTEGER NOT NULL, epoch INTEGER NOT NULL, \
             mark BLOB, at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (run, task)) WITHOUT ROWID",
            marks.table
        );
        execute(database, &create, [])?;
        Ok(marks)
    }

    /// Whether the run's pre-statements were run.
    ///
    /// # Errors
    /// `sqlite.fenced` where the run has ended.
    pub(crate) fn is_prepared(&self, database: &Database, run: &Run) -> Result<bool> {
        if self.is_finished(database, run)? {
            return Err(marks::ended(VENDOR));
        }
        self.has(database, &run.id, PREPARED)
    }

    pub(crate) fn is_finished(&self, database: &Database, run: &Run) -> Result<bool> {
        self.has(database, &run.id, FINISHED)
    }

    /// The same, where the table need not be there.
    pub(crate) fn has_ended(&self, database: &Database, run: &Run) -> bool {
        self.is_finished(database, run).unwrap_or(false)
    }

    /// Whether the run was prepared here and has not ended: it may be resumed.
    pub(crate) fn is_unfinished(&self, database: &Database, run: &str) -> Result<bool> {
        Ok(self.has(database, run, PREPARED)? && !self.has(database, run, FINISHED)?)
    }

    fn has(&self, database: &Database, run: &str, task: i64) -> Result<bool> {
        let sql = format!("SELECT 1 FROM {} WHERE run = ?1 AND task = ?2", self.table);
        let found = database.query_row(&sql, (run, task), |_| Ok(())).optional();
        found.map(|found| found.is_some()).map_err(error::fault)
    }

    /// Notes that the run's pre-statements were run, and what was in its table then.
    pub(crate) fn prepared(
        &self,
        database: &Database,
        run: &Run,
        before: Option<&[u8]>,
    ) -> Result<()> {
        let sql = format!(
            "INSERT OR IGNORE INTO {} (run, task, epoch, mark) VALUES (?1, ?2, ?3, ?4)",
            self.table
        );
        execute(database, &sql, (&run.id, PREPARED, run.epoch as i64, before)).map(drop)
    }

    /// What [`Self::prepared`] noted of the run, where it did.
    pub(crate) fn before(&self, database: &Database, run: &Run) -> Option<Vec<u8>> {
        let sql = format!(
            "SELECT mark FROM {} WHERE run = ?1 AND task IN ({PREPARED}, {FINISHED}) AND mark IS NOT NULL",
            self.table
        );
        database.query_row(&sql, [&run.id], |row| row.get(0)).ok()
    }

    /// Notes that the run has ended, and drops what is no more needed.
    pub(crate) fn finished(&self, database: &Database, run: &Run) -> Result<()> {
        let table = &self.table;
        let sql = format!(
            "INSERT OR IGNORE INTO {table} (run, task, epoch, mark) SELECT run, {FINISHED}, ?2, mark \
             FROM {table} WHERE run = ?1 AND task = {PREPARED}"
        );
        let id = &run.id;
        execute(database, &sql, (id, run.epoch as i64))?;
        let sql =
            format!("INSERT OR IGNORE INTO {table} (run, task, epoch) VALUES (?1, {FINISHED}, ?2)");
        execute(database, &sql, (id, run.epoch as i64))?;
        execute(
            database,
            &format!("DELETE FROM {table} WHERE run = ?1 AND task <> {FINISHED}"),
            [id],
        )?;
        let sql = format!(
            "DELETE FROM {table} WHERE run <> ?1 AND (at < datetime('now', '-{ABANDONED_DAYS} days') \
             OR task = {FINISHED} AND at < datetime('now', '-{REMEMBERED_DAYS} days'))"
        );
        execute(database, &sql, [id]).map(drop)
    }

    /// Takes a task over for `epoch`, and answers its newest mark.
    ///
    /// # Errors
    /// `sqlite.fenced` where a higher epoch has it, or the run has ended.
    pub(crate) fn claim(
        &self,
        database: &Database,
        run: &str,
        task: u32,
        epoch: u64,
    ) -> Result<Option<Mark>> {
        let table = &self.table;
        let sql = format!("INSERT OR IGNORE INTO {table} (run, task, epoch) VALUES (?1, ?2, ?3)");
        execute(database, &sql, (run, task, epoch as i64))?;
        let sql = format!(
            "UPDATE {table} SET epoch = ?3, at = CURRENT_TIMESTAMP WHERE run = ?1 AND task = ?2 AND epoch <= ?3"
        );
        let claimed = execute(database, &sql, (run, task, epoch as i64))?;
        if claimed != 1 || self.has(database, run, FINISHED)? {
            return Err(marks::fenced(VENDOR));
        }
        let sql = format!("SELECT mark FROM {table} WHERE run = ?1 AND task = ?2");
        database.query_row(&sql, (run, task), |row| row.get(0)).map_err(error::fault)
    }

    /// Sets a task's mark in the open transaction.
    ///
    /// # Errors
    /// `sqlite.fenced` where another epoch has the task, or the run has ended.
    pub(crate) fn set(
        &self,
        database: &Database,
        run: &str,
        task: u32,
        epoch: u64,
        mark: &[u8],
    ) -> Result<()> {
        let sql = format!(
            "UPDATE {} SET mark = ?4, at = CURRENT_TIMESTAMP WHERE run = ?1 AND task = ?2 AND epoch = ?3",
            self.table
        );
        match execute(database, &sql, (run, task, epoch as i64, mark))? {
            1 => Ok(()),
            _ => Err(marks::fenced(VENDOR)),
        }
    }
}
