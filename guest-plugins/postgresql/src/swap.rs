//! Rows that take the place of those that are there: of a whole table, or of one partition of it.
//!
//! A run's rows go into a staging table that is made like the destination's, and so refuses what that
//! one would refuse; `finish` deletes the old rows and inserts the staged ones in one transaction. The
//! table itself stays what it is, with its privileges, views, triggers and keys, and whoever reads it
//! never waits and sees all old rows or all new ones. A staging table's name tells the table (its oid),
//! the partition (a hash) and the run; a session that works with it holds an advisory lock, so that those
//! of dead runs can be told from those of live ones.

use database::load::{self, LoadMode, Partition};
use database::writing::column_generated;
use sdk::{Fault, Run, log};

use crate::catalog::{self, Column, Table};
use crate::client::{Client, is_true};
use crate::error::{Result, VENDOR};
use crate::marks::Marks;
use crate::settings::WriterParameter;
use crate::sql;

const PREFIX: &str = "_airlock_swap_";
/// In a staging table's name, where the whole table is replaced.
const WHOLE: &str = "all";
/// The constraint of a staging table that lets in rows of its partition alone.
const PARTITION: &str = "airlock_partition";
/// A name is cut at 63 bytes; this is what prefix, oid and hash leave.
const RUN_BYTES_MAX: usize = 28;

/// What a run's rows take the place of.
#[derive(Clone, Debug)]
pub(crate) struct Swap {
    partition: Partition,
    /// Other tables have foreign keys to this one.
    referenced: bool,
}

/// A staging table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stage {
    pub(crate) schema: String,
    pub(crate) name: String,
    target: String,
    scope: String,
    run: String,
}

impl Stage {
    /// `None` for the name of another table.
    fn parse(schema: &str, name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix(PREFIX)?.splitn(3, '_').map(str::to_owned);
        let (target, scope, run) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self { schema: schema.to_owned(), name: name.to_owned(), target, scope, run })
    }

    /// All staging tables of a schema.
    fn list(client: &mut Client, schema: &str) -> Result<Vec<Self>> {
        let rows = client.query(&format!(
            "SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind = 'r' AND n.nspname = {} AND pg_catalog.starts_with(c.relname, {})",
            sql::literal(schema),
            sql::literal(PREFIX)
        ))?;
        let names = rows.into_iter().filter_map(|row| row.into_iter().next().flatten());
        Ok(names.filter_map(|name| Self::parse(schema, &name)).collect())
    }

    /// The staging table of a run.
    ///
    /// # Errors
    /// `postgresql.stage_missing` where there is none: somebody dropped it, or the destination is no
    /// more the table that it was made for.
    pub(crate) fn of(client: &mut Client, schema: &str, table: &Table, run: &str) -> Result<Self> {
        let stages = Self::list(client, schema)?;
        let own = |stage: &Stage| stage.run == run && stage.target == table.oid.to_string();
        stages.into_iter().find(own).ok_or_else(|| {
            let message =
                format!("the rows that this run staged for \"{}\" are gone", table.title());
            Fault::external("postgresql.stage_missing", message)
                .hint(
                    "the staging table or the table itself was dropped meanwhile; start a new run",
                )
                .into()
        })
    }

    pub(crate) fn sql(&self) -> String {
        format!("{}.{}", sql::ident(&self.schema), sql::ident(&self.name))
    }

    fn key(&self) -> String {
        format!("pg_catalog.hashtextextended({}, 0)", sql::literal(&self.sql()))
    }

    /// Says, for the life of the session, that somebody works with it.
    pub(crate) fn hold(&self, client: &mut Client) -> Result<()> {
        let statement = format!("SELECT pg_catalog.pg_advisory_lock_shared({})", self.key());
        client.query(&statement).map(|_| ())
    }

    /// In the open transaction: has the table for this session alone. Sessions of older attempts that
    /// have rows in it which they did not commit are ended.
    fn seize(&self, client: &mut Client) -> Result<()> {
        let name = self.sql();
        client.query(&format!(
            "SELECT pg_catalog.pg_terminate_backend(l.pid) FROM pg_catalog.pg_locks l \
             JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
             WHERE l.relation = pg_catalog.to_regclass({}) AND a.usename = current_user \
             AND a.backend_type = 'client backend' AND l.pid <> pg_catalog.pg_backend_pid()",
            sql::literal(&name)
        ))?;
        client.execute(&format!("LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")).map(|_| ())
    }

    fn drop(&self, client: &mut Client) -> Result<()> {
        client.execute(&format!("DROP TABLE IF EXISTS {}", self.sql())).map(|_| ())
    }

    /// Whether no session works with it, from here to the end of the transaction.
    fn is_idle(&self, client: &mut Client) -> Result<bool> {
        let statement = format!("SELECT pg_catalog.pg_try_advisory_xact_lock({})", self.key());
        let rows = client.query(&statement)?;
        Ok(is_true(&rows))
    }
}

impl Swap {
    /// What the parameters want replaced; `None` where rows are added.
    ///
    /// # Errors
    /// `postgresql.swap_unsupported` where the table could not stay what it is,
    /// `postgresql.permission_denied`, and faults of the partition's columns and values.
    pub(crate) fn look(
        client: &mut Client,
        parameter: &WriterParameter,
        table: &Table,
        columns: &[Column],
    ) -> Result<Option<Self>> {
        if parameter.load_mode() == LoadMode::Append {
            return Ok(None);
        }
        let partition =
            parameter.partition()?.found(|(name, value)| -> Result<(String, String)> {
                let column = catalog::column(columns, &name, table, load::PLACE)?;
                if column.generated {
                    return Err(column_generated(VENDOR, &name).at(load::PLACE).into());
                }
                let value = canonical(client, table, column, &value)?;
                Ok((column.name.clone(), value))
            })?;
        let referenced = keys_allow(client, table, !partition.is_whole())?;
        stays_itself(client, table)?;
        Ok(Some(Self { partition, referenced }))
    }

    /// The columns that have one value in all rows.
    pub(crate) fn partition_columns(&self) -> impl Iterator<Item = &str> {
        self.partition.columns()
    }

    fn scope(&self) -> String {
        if self.partition.is_whole() {
            return WHOLE.to_owned();
        }
        load::digest(
            self.partition
                .pairs()
                .iter()
                .flat_map(|(name, value)| [name.as_str(), "=", value, "\n"]),
        )
    }

    fn stage(&self, schema: &str, table: &Table, run: &str) -> Result<Stage> {
        if run.len() > RUN_BYTES_MAX {
            let message = format!("the run's name has more than {RUN_BYTES_MAX} bytes");
            return Err(Fault::plugin("postgresql.run_name", message).into());
        }
        let (target, scope) = (table.oid.to_string(), self.scope());
        let name = format!("{PREFIX}{target}_{scope}_{run}");
        Ok(Stage { schema: schema.to_owned(), name, target, scope, run: run.to_owned() })
    }

    /// The condition in SQL for the rows that are replaced.
    pub(crate) fn condition(&self) -> String {
        self.partition.condition(sql::ident, sql::literal)
    }

    /// In the open transaction: makes the run's staging table in `schema`, and drops those of the same
    /// table whose runs have ended.
    pub(crate) fn prepare(
        &self,
        client: &mut Client,
        marks: &Marks,
        table: &Table,
        written: &[Column],
        run: &Run,
    ) -> Result<()> {
        let schema = marks.schema();
        for other in Stage::list(client, schema)? {
            let is_left = other.target == table.oid.to_string() && other.run != run.id;
            if is_left && !marks.is_unfinished(client, &other.run)? && other.is_idle(client)? {
                log::info(&format!("drops {}, which a run left behind", other.sql()));
                other.drop(client)?;
            }
        }
        let stage = self.stage(schema, table, &run.id)?;
        let name = stage.sql();
        client.execute(&format!(
            "CREATE TABLE {name} (LIKE {} INCLUDING ALL EXCLUDING IDENTITY)",
            table.sql()
        ))?;
        for column in identities(client, table)? {
            if written.iter().any(|written| written.name == column) {
                continue;
            }
            client.execute(&format!(
                "ALTER TABLE {name} ALTER COLUMN {} SET DEFAULT \
                 pg_catalog.nextval(pg_catalog.pg_get_serial_sequence({}, {}))",
                sql::ident(&column),
                sql::literal(&table.sql()),
                sql::literal(&column)
            ))?;
        }
        for (column, value) in self.partition.pairs() {
            client.execute(&format!(
                "ALTER TABLE {name} ALTER COLUMN {} SET DEFAULT {}",
                sql::ident(column),
                sql::literal(value)
            ))?;
        }
        if !self.partition.is_whole() {
            client.execute(&format!(
                "ALTER TABLE {name} ADD CONSTRAINT {PARTITION} CHECK (({}) IS TRUE)",
                self.condition()
            ))?;
        }
        Ok(())
    }

    /// In the open transaction: puts the staged rows in the place of the old ones, and drops the staging
    /// tables of this run and of older ones that can only bring back what was replaced.
    pub(crate) fn finish(
        &self,
        client: &mut Client,
        marks: &Marks,
        table: &Table,
        columns: &[Column],
        run: &Run,
    ) -> Result<()> {
        let schema = marks.schema();
        let stage = Stage::of(client, schema, table, &run.id)?;
        stage.seize(client)?;
        // A policy that hides rows from this role would leave them in place.
        client.execute("SET LOCAL row_security = off")?;
        // Whoever replaces the same waits for its turn here; readers don't.
        client.execute(&match self.partition.is_whole() {
            true => format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", table.sql()),
            false => format!(
                "DO $$BEGIN PERFORM pg_catalog.pg_advisory_xact_lock({}, pg_catalog.hashtext('{}')); END$$",
                table.oid as i32,
                self.scope()
            ),
        })?;
        let staged = count(client, &stage.sql())?;
        let added = self.replace(client, table, columns, &stage)?;
        if added < staged {
            log::warn(&format!(
                "{} rows that count as written are not in the table \"{}\": a trigger or rule of it dropped them",
                staged - added,
                table.title()
            ));
        }
        stage.drop(client)?;
        for other in Stage::list(client, schema)? {
            let same = other.target == stage.target
                && (other.scope == stage.scope || stage.scope == WHOLE);
            if same && marks.is_older(client, &other.run, &run.id)? && other.is_idle(client)? {
                marks.supersede(client, &other.run)?;
                other.drop(client)?;
            }
        }
        Ok(())
    }

    /// Answers how many rows came in.
    fn replace(
        &self,
        client: &mut Client,
        table: &Table,
        columns: &[Column],
        stage: &Stage,
    ) -> Result<u64> {
        let (target, from) = (table.sql(), stage.sql());
        let columns = columns.iter().filter(|column| !column.generated);
        let names = sql::idents(columns.map(|column| column.name.as_str()));
        let delete = format!("DELETE FROM {target} WHERE {}", self.condition());
        let insert = format!(
            "INSERT INTO {target} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM {from}"
        );
        if !self.referenced {
            client.execute(&delete)?;
            return client.execute(&insert);
        }
        // Foreign keys to the table are judged at the end of a statement: as one, the new rows count.
        client.execute(&format!(
            "WITH old AS ({delete} RETURNING 1) {insert} WHERE (SELECT count(*) FROM old) >= 0"
        ))
    }
}

/// Drops what a run has staged, also where the table it was for is gone.
pub(crate) fn discard(client: &mut Client, schema: &str, run: &Run) -> Result<()> {
    for stage in Stage::list(client, schema)?.iter().filter(|stage| stage.run == run.id) {
        stage.seize(client)?;
        stage.drop(client)?;
    }
    Ok(())
}

fn count(client: &mut Client, table: &str) -> Result<u64> {
    let rows = client.query(&format!("SELECT count(*) FROM {table}"))?;
    let text = rows.into_iter().next().and_then(|row| row.into_iter().next().flatten());
    Ok(text.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// The value as the column's type writes it, so that two ways to write it are one partition.
fn canonical(client: &mut Client, table: &Table, column: &Column, value: &str) -> Result<String> {
    let rows = client.query(&format!(
        "SELECT pg_catalog.format_type(atttypid, NULL) FROM pg_catalog.pg_attribute \
         WHERE attrelid = {} AND attname = {}",
        table.oid,
        sql::literal(&column.name)
    ))?;
    let kind = rows.into_iter().next().and_then(|row| row.into_iter().next().flatten());
    let kind = kind.unwrap_or_else(|| column.pg.name.clone());
    let cast = format!("SELECT CAST({} AS {kind})::text", sql::literal(value));
    let rows = client.query(&cast).map_err(|error| {
        let reason = Fault::from(error).message;
        let message = format!("the value of \"{}\" is no {kind}: {reason}", column.name);
        Fault::user("postgresql.partition_value", message).at(load::PLACE)
    })?;
    let text = rows.into_iter().next().and_then(|row| row.into_iter().next().flatten());
    Ok(text.unwrap_or_else(|| value.to_owned()))
}

/// Columns whose values a sequence of the table's own gives.
fn identities(client: &mut Client, table: &Table) -> Result<Vec<String>> {
    let rows = client.query(&format!(
        "SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = {} AND attnum > 0 \
         AND NOT attisdropped AND attidentity <> ''",
        table.oid
    ))?;
    Ok(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
}

fn unsupported(table: &Table, why: &str, hint: &str) -> Fault {
    let message = format!("the rows of \"{}\" can't be replaced: {why}", table.title());
    Fault::user("postgresql.swap_unsupported", message).hint(hint).at("/parameter/table")
}

/// Whether foreign keys point at the table.
///
/// # Errors
/// `postgresql.swap_unsupported` where one of them would change or hold other rows when old ones go.
fn keys_allow(client: &mut Client, table: &Table, is_part: bool) -> Result<bool> {
    let rows = client.query(&format!(
        "SELECT c.conname, c.conrelid::pg_catalog.regclass::text, c.confdeltype, c.conrelid = {0} \
         FROM pg_catalog.pg_constraint c WHERE c.contype = 'f' AND c.confrelid = {0}",
        table.oid
    ))?;
    for row in &rows {
        let text = |index: usize| row.get(index).and_then(Option::as_deref).unwrap_or_default();
        let is_own = text(3) == "t";
        // Rows of the table itself that go along are replaced with the others.
        if text(2) == "a" || is_own && !is_part {
            continue;
        }
        let why = format!(
            "deleting them acts on \"{}\" by the foreign key \"{}\" (on delete {})",
            text(1),
            text(0),
            match text(2) {
                "c" => "cascade",
                "r" => "restrict",
                _ => "set",
            }
        );
        let hint = "make the key ON DELETE NO ACTION, or write with \"writeMode\": \"upsert\"";
        return Err(unsupported(table, &why, hint).into());
    }
    Ok(!rows.is_empty())
}

/// # Errors
/// `postgresql.swap_unsupported` for what is no table of rows of its own, `postgresql.permission_denied`
/// where the end of the run would find that rows may not be deleted.
fn stays_itself(client: &mut Client, table: &Table) -> Result<()> {
    if !matches!(table.kind, 'r' | 'p') {
        let hint = "name the table behind it";
        return Err(unsupported(table, "it is a view or a foreign table", hint).into());
    }
    let rows = client.query(&format!(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhparent = {})",
        table.oid
    ))?;
    if table.kind == 'r' && is_true(&rows) {
        let hint = "name a table that no other inherits from";
        return Err(
            unsupported(table, "tables that inherit from it hold some of them", hint).into()
        );
    }
    let rows = client.query(&format!(
        "SELECT pg_catalog.has_table_privilege({0}, 'SELECT') AND pg_catalog.has_table_privilege({0}, 'INSERT') \
         AND pg_catalog.has_table_privilege({0}, 'DELETE')",
        table.oid
    ))?;
    if !is_true(&rows) {
        let message = format!(
            "replacing rows of \"{}\" takes the rights to select, insert and delete",
            table.title()
        );
        return Err(Fault::external("postgresql.permission_denied", message)
            .hint("grant them to the role that logs in")
            .into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_table_partition_and_run() {
        let swap = |partition: Option<&str>| Swap {
            partition: Partition::read(None, partition).unwrap(),
            referenced: false,
        };
        let table = Table { oid: 16_384, schema: "s".into(), name: "t".into(), kind: 'r' };
        let name = |swap: Swap| swap.stage("s", &table, "20261127t070820wtyjh").unwrap();
        let whole = name(swap(None));
        assert_eq!(whole.name, "_airlock_swap_16384_all_20261127t070820wtyjh");
        let part = name(swap(Some("ds=20251031,type=a")));
        assert_ne!(part.name, name(swap(Some("ds=20251031,type=b"))).name);
        assert!(part.name.len() <= 63);
        for stage in [whole, part] {
            assert_eq!(Stage::parse("s", &stage.name), Some(stage));
        }
        assert_eq!(Stage::parse("s", "_airlock_swap_1"), None);
        assert_eq!(Stage::parse("s", "orders"), None);
    }
}
