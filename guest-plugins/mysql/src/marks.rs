//! The table `_airlock_commit` beside the destination: how far each task of a run has come, in the shape
//! of [`database::marks`].

use database::marks::{self, ABANDONED_DAYS, FINISHED, PREPARED, REMEMBERED_DAYS, TABLE};
use sdk::{Mark, Run, log};

use crate::catalog::text;
use crate::client::Client;
use crate::error::{Error, Result, VENDOR};
use crate::sql;

/// The mark table of a destination.
#[derive(Clone, Debug)]
pub(crate) struct Marks {
    /// Its name in quotes, with its database.
    table: String,
}

impl Marks {
    /// That of `database`, whether it is there or not.
    pub(crate) fn of(database: &str) -> Self {
        Self { table: format!("{}.{TABLE}", sql::ident(database)) }
    }

    /// The mark table in `database`, where it is there and may be used.
    pub(crate) fn find(client: &mut Client, database: &str) -> Result<Option<Self>> {
        let marks = Self::of(database);
        match client
            .query(&format!("SELECT run, task, epoch, mark, at FROM {} LIMIT 0", marks.table))
        {
            Ok(_) => Ok(Some(marks)),
            Err(Error::Server(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The mark table in `database`, created where it is absent; `None` where the user may not.
    pub(crate) fn ensure(client: &mut Client, database: &str) -> Result<Option<Self>> {
        if let Some(marks) = Self::find(client, database)? {
            return Ok(Some(marks));
        }
        let marks = Self::of(database);
        let created = client.execute(&format!(
            "CREATE TABLE IF NOT EXISTS {} (run varbinary(200), task bigint, epoch bigint unsigned NOT NULL, \
             mark longblob, at datetime NOT NULL DEFAULT current_timestamp, PRIMARY KEY (run, task)) ENGINE = InnoDB",
            marks.table
        ));
        match created {
            Ok(_) => Ok(Some(marks)),
            Err(Error::Server(error)) => {
                log::debug(&format!("the table {} was not created: {}", marks.table, error.text()));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether [`Self::ensure`] is likely to find or create the table.
    pub(crate) fn possible(client: &mut Client, database: &str) -> Result<bool> {
        if Self::find(client, database)?.is_some() {
            return Ok(true);
        }
        let schema = sql::literal(database);
        let rows = client.query(&format!(
            "SELECT 1 FROM information_schema.user_privileges WHERE privilege_type = 'CREATE' \
             UNION ALL SELECT 1 FROM information_schema.schema_privileges \
             WHERE privilege_type = 'CREATE' AND {schema} LIKE table_schema"
        ))?;
        Ok(!rows.is_empty())
    }

    /// Whether the run's pre-statements were run.
    ///
    /// # Errors
    /// `mysql.fenced` where the run has ended.
    pub(crate) fn is_prepared(&self, client: &mut Client, run: &Run) -> Result<bool> {
        if self.has(client, &run.id, FINISHED)? {
            return Err(marks::ended(VENDOR).into());
        }
        self.has(client, &run.id, PREPARED)
    }

    pub(crate) fn is_finished(&self, client: &mut Client, run: &Run) -> Result<bool> {
        self.has(client, &run.id, FINISHED)
    }

    /// The same, where the table need not be there.
    pub(crate) fn has_ended(&self, client: &mut Client, run: &Run) -> Result<bool> {
        match self.has(client, &run.id, FINISHED) {
            Err(Error::Server(_)) => Ok(false),
            answer => answer,
        }
    }

    /// Whether the run was prepared here and has not ended: it may be resumed.
    pub(crate) fn is_unfinished(&self, client: &mut Client, run: &str) -> Result<bool> {
        Ok(self.has(client, run, PREPARED)? && !self.has(client, run, FINISHED)?)
    }

    fn has(&self, client: &mut Client, run: &str, task: i64) -> Result<bool> {
        let run = sql::literal(run);
        let rows = client
            .query(&format!("SELECT 1 FROM {} WHERE run = {run} AND task = {task}", self.table))?;
        Ok(!rows.is_empty())
    }

    /// Notes that the run's pre-statements were run.
    pub(crate) fn prepared(&self, client: &mut Client, run: &Run) -> Result<()> {
        self.note(client, run, PREPARED)
    }

    /// Notes, for the end of the run, what was in its table when it began.
    pub(crate) fn note_before(&self, client: &mut Client, run: &Run, before: &[u8]) -> Result<()> {
        let id = sql::literal(&run.id);
        let mut bytes = Vec::new();
        sql::hex(before, &mut bytes);
        let bytes = String::from_utf8_lossy(&bytes);
        client
            .execute(&format!(
                "UPDATE {} SET mark = {bytes} WHERE run = {id} AND task = {PREPARED}",
                self.table
            ))
            .map(|_| ())
    }

    /// What [`Self::note_before`] noted of the run, where it did.
    pub(crate) fn before(&self, client: &mut Client, run: &Run) -> Result<Option<Vec<u8>>> {
        let id = sql::literal(&run.id);
        let rows = client.query(&format!(
            "SELECT HEX(mark) FROM {} WHERE run = {id} AND task IN ({PREPARED}, {FINISHED}) \
             AND mark IS NOT NULL LIMIT 1",
            self.table
        ));
        match rows {
            Ok(rows) => Ok(rows.first().and_then(|row| sql::from_hex(row.first()?.as_deref()?))),
            // There is no table yet.
            Err(Error::Server(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Notes that the run has ended, and drops what is no more needed.
    pub(crate) fn finished(&self, client: &mut Client, run: &Run) -> Result<()> {
        let id = sql::literal(&run.id);
        let table = &self.table;
        client.execute(&format!(
            "INSERT IGNORE INTO {table} (run, task, epoch, mark) SELECT run, {FINISHED}, {}, mark \
             FROM {table} WHERE run = {id} AND task = {PREPARED}",
            run.epoch
        ))?;
        self.note(client, run, FINISHED)?;
        client.execute(&format!("DELETE FROM {table} WHERE run = {id} AND task <> {FINISHED}"))?;
        client.execute(&format!(
            "DELETE FROM {table} WHERE run <> {id} AND (at < now() - INTERVAL {ABANDONED_DAYS} DAY \
             OR task = {FINISHED} AND at < now() - INTERVAL {REMEMBERED_DAYS} DAY)"
        ))?;
        Ok(())
    }

    fn note(&self, client: &mut Client, run: &Run, task: i64) -> Result<()> {
        let id = sql::literal(&run.id);
        client
            .execute(&format!(
                "INSERT IGNORE INTO {} (run, task, epoch) VALUES ({id}, {task}, {})",
                self.table, run.epoch
            ))
            .map(|_| ())
    }

    /// Takes a task over for `epoch`, and answers its newest mark.
    ///
    /// # Errors
    /// `mysql.fenced` where a higher epoch has it, or the run has ended.
    pub(crate) fn claim(
        &self,
        client: &mut Client,
        run: &str,
        task: u32,
        epoch: u64,
    ) -> Result<Option<Mark>> {
        let (id, table) = (sql::literal(run), &self.table);
        client.execute(&format!(
            "INSERT IGNORE INTO {table} (run, task, epoch) VALUES ({id}, {task}, {epoch})"
        ))?;
        let claimed = client.execute(&format!(
            "UPDATE {table} SET epoch = {epoch}, at = now() WHERE run = {id} AND task = {task} AND epoch <= {epoch}"
        ))?;
        // A run that ends takes its tasks' rows away behind its note, so whoever sees no note here, and has
        // not the row when it commits, is fenced there.
        if claimed.rows != 1 || self.has(client, run, FINISHED)? {
            return Err(marks::fenced(VENDOR).into());
        }
        let rows = client
            .query(&format!("SELECT HEX(mark) FROM {table} WHERE run = {id} AND task = {task}"))?;
        let mark = rows.first().filter(|row| row.first().is_some_and(Option::is_some));
        Ok(mark.and_then(|row| sql::from_hex(text(row, 0))))
    }

    /// Sets a task's mark in the open transaction.
    ///
    /// # Errors
    /// `mysql.fenced` where another epoch has the task, or the run has ended.
    pub(crate) fn set(
        &self,
        client: &mut Client,
        run: &str,
        task: u32,
        epoch: u64,
        mark: &[u8],
    ) -> Result<()> {
        let run = sql::literal(run);
        let mut bytes = Vec::new();
        sql::hex(mark, &mut bytes);
        let changed = client.execute(&format!(
            "UPDATE {} SET mark = {}, at = now() WHERE run = {run} AND task = {task} AND epoch = {epoch}",
            self.table,
            String::from_utf8_lossy(&bytes)
        ))?;
        if changed.rows == 1 { Ok(()) } else { Err(marks::fenced(VENDOR).into()) }
    }
}
