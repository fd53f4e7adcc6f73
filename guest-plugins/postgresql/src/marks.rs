//! The table `_airlock_commit` beside the destination: how far each task of a run has come.
//!
//! Its shape is that of [`database::marks`]. Whoever takes a task over or commits shares a lock on the row
//! [`PREPARED`], which `finish` has for itself: what was not committed before it began is refused when
//! it has ended.

use database::marks::{self, ABANDONED_DAYS, FINISHED, PREPARED, REMEMBERED_DAYS, TABLE};
use sdk::{Fault, Mark, Run, log};

use crate::catalog::Table;
use crate::client::{Client, is_true};
use crate::error::{Error, Result, VENDOR};
use crate::sql;
use crate::xids::Xids;

/// The row of a task's transactions: this minus the task's number.
const XIDS: i64 = -3;
/// The mark of a run that has ended because a newer one replaced what it was to replace.
const SUPERSEDED: &[u8] = b"superseded";

/// The mark table of a destination.
#[derive(Clone, Debug)]
pub(crate) struct Marks {
    schema: String,
    /// Its name in quotes, with its schema.
    table: String,
}

/// Whether a run's statements are to be run now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Once {
    Now,
    DoneBefore,
}

impl Marks {
    /// The mark table in `schema`, where it is there and may be used.
    pub(crate) fn find(client: &mut Client, schema: &str) -> Result<Option<Self>> {
        let table = format!("{}.{TABLE}", sql::ident(schema));
        let name = sql::literal(&table);
        let rows = client.query(&format!(
            "SELECT pg_catalog.has_table_privilege(oid, 'SELECT') AND pg_catalog.has_table_privilege(oid, 'INSERT') \
             AND pg_catalog.has_table_privilege(oid, 'UPDATE') AND pg_catalog.has_table_privilege(oid, 'DELETE') \
             FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass({name})"
        ))?;
        Ok(is_true(&rows).then_some(Self { schema: schema.to_owned(), table }))
    }

    /// The mark table in `schema`, created where it is absent; `None` where the role may not.
    pub(crate) fn ensure(client: &mut Client, schema: &str) -> Result<Option<Self>> {
        if let Some(marks) = Self::find(client, schema)? {
            return Ok(Some(marks));
        }
        let table = format!("{}.{TABLE}", sql::ident(schema));
        let created = client.execute(&format!(
            "CREATE TABLE IF NOT EXISTS {table} (run text, task int8, epoch int8 NOT NULL, mark bytea, \
             at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (run, task))"
        ));
        match created {
            Ok(_) => {}
            Err(Error::Server(error)) => {
                // Two runs may create it at the same time; one of them is told that it is there.
                log::debug(&format!("the table {table} was not created: {}", error.text()));
            }
            Err(error) => return Err(error),
        }
        Self::find(client, schema)
    }

    /// The schema that it lies in.
    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }

    /// Whether [`Self::ensure`] would find or create the table.
    pub(crate) fn possible(client: &mut Client, schema: &str) -> Result<bool> {
        if Self::find(client, schema)?.is_some() {
            return Ok(true);
        }
        let (name, table) =
            (sql::literal(schema), sql::literal(&format!("{}.{TABLE}", sql::ident(schema))));
        let rows = client.query(&format!(
            "SELECT pg_catalog.has_schema_privilege({name}, 'CREATE') AND pg_catalog.to_regclass({table}) IS NULL"
        ))?;
        Ok(is_true(&rows))
    }

    /// Notes, in the open transaction, that the run's pre-statements are being run.
    ///
    /// # Errors
    /// `postgresql.fenced` where the run has ended.
    pub(crate) fn prepare(&self, client: &mut Client, run: &Run) -> Result<Once> {
        if self.once(client, run, PREPARED)? == Once::Now {
            return Ok(Once::Now);
        }
        let rows =
            client.query(&format!("SELECT 1 WHERE {}", self.ended(&sql::literal(&run.id))))?;
        if rows.is_empty() { Ok(Once::DoneBefore) } else { Err(marks::ended(VENDOR).into()) }
    }

    /// Notes, in the open transaction, which table the run's rows go to.
    pub(crate) fn note_table(&self, client: &mut Client, run: &Run, table: &Table) -> Result<()> {
        let statement = format!(
            "UPDATE {} SET mark = {} WHERE run = {} AND task = {PREPARED}",
            self.table,
            sql::bytea(table.oid.to_string().as_bytes()),
            sql::literal(&run.id)
        );
        client.execute(&statement).map(|_| ())
    }

    /// # Errors
    /// `postgresql.table_replaced` where the run has begun with another table of this name: what it
    /// committed there is gone.
    pub(crate) fn check_table(&self, client: &mut Client, run: &str, table: &Table) -> Result<()> {
        let rows = client.query(&format!(
            "SELECT mark <> {} FROM {} WHERE run = {} AND task = {PREPARED}",
            sql::bytea(table.oid.to_string().as_bytes()),
            self.table,
            sql::literal(run)
        ))?;
        if !is_true(&rows) {
            return Ok(());
        }
        let message = format!(
            "the table \"{}\" is not the one that this run began with: it was dropped and made anew, \
             and the rows committed to it are gone",
            table.title()
        );
        let hint = "start a new run";
        Err(Fault::external("postgresql.table_replaced", message).hint(hint).into())
    }

    /// Notes, in the open transaction, that the run ends. Nobody else commits for it from here on.
    ///
    /// # Errors
    /// `postgresql.fenced` where a newer attempt ends it, or a newer run has replaced the same rows.
    pub(crate) fn finish(&self, client: &mut Client, run: &Run) -> Result<Once> {
        let id = sql::literal(&run.id);
        let rows = client.query(&format!(
            "SELECT epoch > {} FROM {} WHERE run = {id} AND task = {PREPARED} FOR UPDATE",
            run.epoch, self.table
        ))?;
        if is_true(&rows) {
            return Err(marks::fenced(VENDOR).into());
        }
        client.execute(&format!(
            "UPDATE {} SET epoch = {} WHERE run = {id} AND task = {PREPARED}",
            self.table, run.epoch
        ))?;
        let once = self.once(client, run, FINISHED)?;
        let rows = client.query(&format!(
            "SELECT mark = {} FROM {} WHERE run = {id} AND task = {FINISHED}",
            sql::bytea(SUPERSEDED),
            self.table
        ))?;
        if is_true(&rows) { Err(superseded().into()) } else { Ok(once) }
    }

    /// Drops what is no more needed when a run has ended.
    pub(crate) fn clean(&self, client: &mut Client, run: &Run) -> Result<()> {
        let statements = format!(
            "DELETE FROM {0} WHERE run = {1} AND task <> {FINISHED}; \
             DELETE FROM {0} WHERE task = {FINISHED} AND run <> {1} AND at < now() - interval '{REMEMBERED_DAYS} days'; \
             DELETE FROM {0} WHERE run IN \
               (SELECT run FROM {0} GROUP BY run HAVING max(at) < now() - interval '{ABANDONED_DAYS} days')",
            self.table,
            sql::literal(&run.id)
        );
        client.execute(&statements).map(|_| ())
    }

    /// Whether the run was prepared here and has not ended: it may be resumed.
    pub(crate) fn is_unfinished(&self, client: &mut Client, run: &str) -> Result<bool> {
        let run = sql::literal(run);
        let rows = client.query(&format!(
            "SELECT EXISTS (SELECT FROM {} WHERE run = {run} AND task = {PREPARED}) AND NOT {}",
            self.table,
            self.ended(&run)
        ))?;
        Ok(is_true(&rows))
    }

    /// # Errors
    /// `postgresql.fenced` where the run has ended.
    pub(crate) fn check_open(&self, client: &mut Client, run: &str) -> Result<()> {
        if self.is_unfinished(client, run)? { Ok(()) } else { Err(marks::ended(VENDOR).into()) }
    }

    /// Whether `run` was prepared before `than`.
    pub(crate) fn is_older(&self, client: &mut Client, run: &str, than: &str) -> Result<bool> {
        let rows = client.query(&format!(
            "SELECT a.at < b.at FROM {0} a, {0} b WHERE a.run = {1} AND a.task = {PREPARED} \
             AND b.run = {2} AND b.task = {PREPARED}",
            self.table,
            sql::literal(run),
            sql::literal(than)
        ))?;
        Ok(is_true(&rows))
    }

    /// Ends an older run, which would only bring back what was replaced since.
    pub(crate) fn supersede(&self, client: &mut Client, run: &str) -> Result<()> {
        let statements = format!(
            "INSERT INTO {0} (run, task, epoch, mark) VALUES ({1}, {FINISHED}, 0, {2}) ON CONFLICT DO NOTHING; \
             DELETE FROM {0} WHERE run = {1} AND task <> {FINISHED}",
            self.table,
            sql::literal(run),
            sql::bytea(SUPERSEDED)
        );
        client.execute(&statements).map(|_| ())
    }

    fn once(&self, client: &mut Client, run: &Run, task: i64) -> Result<Once> {
        let id = sql::literal(&run.id);
        let added = client.execute(&format!(
            "INSERT INTO {} (run, task, epoch) SELECT {id}, {task}, {} WHERE NOT {} ON CONFLICT DO NOTHING",
            self.table,
            run.epoch,
            self.ended(&id)
        ))?;
        Ok(if added == 1 { Once::Now } else { Once::DoneBefore })
    }

    /// The condition in SQL that the run, a literal, has ended.
    fn ended(&self, run: &str) -> String {
        format!("EXISTS (SELECT FROM {} WHERE run = {run} AND task = {FINISHED})", self.table)
    }

    /// Drops all that is known about a run.
    pub(crate) fn forget(&self, client: &mut Client, run: &Run) -> Result<()> {
        let run = sql::literal(&run.id);
        client.execute(&format!("DELETE FROM {} WHERE run = {run}", self.table)).map(|_| ())
    }

    /// Waits, in the open transaction, for a `finish` that is at work, and holds back one that comes.
    ///
    /// # Errors
    /// `postgresql.fenced` where the run has ended.
    fn share(&self, client: &mut Client, run: &str) -> Result<()> {
        let rows = client.query(&format!(
            "SELECT true FROM {} WHERE run = {run} AND task = {PREPARED} FOR SHARE",
            self.table
        ))?;
        if is_true(&rows) { Ok(()) } else { Err(marks::ended(VENDOR).into()) }
    }

    /// Takes a task over for `epoch`, and answers its newest mark.
    ///
    /// # Errors
    /// `postgresql.fenced` where a higher epoch has it, or the run has ended.
    pub(crate) fn claim(
        &self,
        client: &mut Client,
        run: &str,
        task: u32,
        epoch: u64,
    ) -> Result<Option<Mark>> {
        let run = sql::literal(run);
        client.execute("BEGIN")?;
        let claimed = self.share(client, &run).and_then(|()| {
            client.query(&format!(
                "INSERT INTO {0} AS t (run, task, epoch) VALUES ({run}, {task}, {epoch}) \
                 ON CONFLICT (run, task) DO UPDATE SET epoch = {epoch}, at = now() WHERE t.epoch <= {epoch} \
                 RETURNING mark",
                self.table
            ))
        });
        let row = match claimed {
            Ok(rows) => {
                client.execute("COMMIT")?;
                rows.into_iter().next().ok_or_else(|| marks::fenced(VENDOR))?
            }
            Err(error) => {
                let _ = client.execute("ROLLBACK");
                return Err(error);
            }
        };
        Ok(row.into_iter().next().flatten().and_then(|text| sql::bytea_bytes(&text)))
    }

    /// The transactions in which a task has committed rows.
    pub(crate) fn xids(&self, client: &mut Client, run: &str, task: u32) -> Result<Xids> {
        let (run, number) = (sql::literal(run), XIDS - i64::from(task));
        let rows = client.query(&format!(
            "SELECT mark FROM {} WHERE run = {run} AND task = {number}",
            self.table
        ))?;
        let bytes = rows.into_iter().next().and_then(|row| row.into_iter().next().flatten());
        let bytes = bytes.and_then(|text| sql::bytea_bytes(&text));
        Ok(bytes.and_then(|bytes| Xids::decode(&bytes)).unwrap_or_default())
    }

    /// Notes them in the open transaction, which [`Self::set`] guards.
    pub(crate) fn set_xids(
        &self,
        client: &mut Client,
        run: &str,
        task: u32,
        xids: &Xids,
    ) -> Result<()> {
        let (run, number) = (sql::literal(run), XIDS - i64::from(task));
        client
            .execute(&format!(
                "INSERT INTO {} (run, task, epoch, mark) VALUES ({run}, {number}, 0, {}) \
                 ON CONFLICT (run, task) DO UPDATE SET mark = EXCLUDED.mark, at = now()",
                self.table,
                sql::bytea(&xids.encode())
            ))
            .map(|_| ())
    }

    /// Sets a task's mark in the open transaction.
    ///
    /// # Errors
    /// `postgresql.fenced` where another epoch has the task, or the run has ended.
    pub(crate) fn set(
        &self,
        client: &mut Client,
        run: &str,
        task: u32,
        epoch: u64,
        mark: &[u8],
    ) -> Result<()> {
        let run = sql::literal(run);
        self.share(client, &run)?;
        let changed = client.execute(&format!(
            "UPDATE {} SET mark = {}, at = now() WHERE run = {run} AND task = {task} AND epoch = {epoch}",
            self.table,
            sql::bytea(mark)
        ))?;
        if changed == 1 { Ok(()) } else { Err(marks::fenced(VENDOR).into()) }
    }
}

fn superseded() -> Fault {
    let message = "a newer run has replaced the rows that this one was to replace";
    Fault::external("postgresql.fenced", message).hint("start a new run where its rows are wanted")
}
