//! Rows that take the place of those that are there: of a whole table, or of one partition of it.
//!
//! A run's rows go into a staging table that is made like the destination's, and so refuses what that
//! one would refuse; `finish` deletes the old rows and inserts the staged ones in one transaction. The
//! table itself stays what it is, with its privileges, views and triggers, and whoever reads it never
//! waits and sees all old rows or all new ones. A staging table's name tells the table and the run.

use database::load::{self, LoadMode, Partition};
use database::writing::column_generated;
use sdk::{Fault, Run, log};

use crate::catalog::{self, Column, Table, text};
use crate::client::Client;
use crate::error::{Result, VENDOR};
use crate::marks::Marks;
use crate::settings::WriterParameter;
use crate::sql;

const PREFIX: &str = "_airlock_swap_";
/// The constraint of a staging table that lets in rows of its partition alone.
const PARTITION: &str = "airlock_partition";
/// A name has 64 characters at most; this is what prefix and digest leave.
const RUN_BYTES_MAX: usize = 41;
/// Seconds that runs which replace rows of one table wait for each other.
const TURN_WAIT: u32 = 12 * 3600;

/// What a run's rows take the place of.
#[derive(Clone, Debug)]
pub(crate) struct Swap {
    partition: Partition,
}

impl Swap {
    /// What the parameters want replaced; `None` where rows are added.
    ///
    /// # Errors
    /// `mysql.swap_unsupported` where rows can't be replaced in one transaction, and faults of the
    /// partition's columns.
    pub(crate) fn look(
        client: &mut Client,
        parameter: &WriterParameter,
        table: &Table,
        columns: &[Column],
    ) -> Result<Option<Self>> {
        if parameter.load_mode() == LoadMode::Append {
            return Ok(None);
        }
        let partition = parameter.partition()?.found(|(name, value)| {
            let column = catalog::column(columns, &name, table, load::PLACE)?;
            match column.generated {
                true => Err(column_generated(VENDOR, &name).at(load::PLACE)),
                false => Ok((column.name.clone(), value)),
            }
        })?;
        stays_itself(client, table)?;
        Ok(Some(Self { partition }))
    }

    /// That of a table which is yet to be created.
    pub(crate) fn of_new(parameter: &WriterParameter) -> Result<Option<Self>> {
        match parameter.load_mode() {
            LoadMode::Append => Ok(None),
            LoadMode::Swap => Ok(Some(Self { partition: parameter.partition()? })),
        }
    }

    /// The columns that have one value in all rows.
    pub(crate) fn partition_columns(&self) -> impl Iterator<Item = &str> {
        self.partition.columns()
    }

    /// The condition in SQL for the rows that are replaced.
    pub(crate) fn condition(&self) -> String {
        self.partition.condition(sql::ident, sql::literal)
    }

    /// Makes the run's staging table, where it is not there yet, and drops those of the same table whose
    /// runs have ended.
    ///
    /// # Errors
    /// `mysql.partition_value` for a value that its column can't hold.
    pub(crate) fn prepare(
        &self,
        client: &mut Client,
        marks: &Marks,
        table: &Table,
        run: &Run,
    ) -> Result<()> {
        drop_left(client, marks, table, &run.id)?;
        let stage = stage(table, &run.id)?;
        if is_there(client, &stage)? {
            return Ok(());
        }
        // It gets its name when it is whole.
        let half = half(&stage);
        let drop = format!("DROP TABLE IF EXISTS {}", half.sql());
        client.execute(&drop)?;
        client.execute(&format!("CREATE TABLE {} LIKE {}", half.sql(), table.sql()))?;
        if let Err(error) = self.limit(client, &half) {
            client.execute(&drop)?;
            return Err(error);
        }
        client.execute(&format!("RENAME TABLE {} TO {}", half.sql(), stage.sql())).map(|_| ())
    }

    /// Lets a staging table hold rows of the partition alone, which is what it takes rows to be of.
    fn limit(&self, client: &mut Client, stage: &Table) -> Result<()> {
        for (name, value) in self.partition.pairs() {
            let default = format!(
                "ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}",
                stage.sql(),
                sql::ident(name),
                sql::literal(value)
            );
            client.execute(&default).map_err(|error| {
                let message = format!(
                    "the column \"{name}\" can't have the partition's value: {}",
                    Fault::from(error).message
                );
                Fault::user("mysql.partition_value", message).at(load::PLACE)
            })?;
        }
        if self.partition.is_whole() {
            return Ok(());
        }
        let check = format!(
            "ALTER TABLE {} ADD CONSTRAINT {PARTITION} CHECK (({}) IS TRUE)",
            stage.sql(),
            self.condition()
        );
        client.execute(&check).map(|_| ())
    }

    /// In the open transaction: puts the staged rows in the place of the old ones.
    ///
    /// # Errors
    /// `mysql.partition_row` where rows of another partition came in, on servers that check nothing.
    pub(crate) fn replace(
        &self,
        client: &mut Client,
        table: &Table,
        columns: &[Column],
        written: &[Column],
        run: &Run,
    ) -> Result<()> {
        let stage = of_run(client, table, &run.id)?;
        let condition = self.condition();
        let strange = client.query(&format!(
            "SELECT 1 FROM {} WHERE NOT (({condition}) IS TRUE) LIMIT 1",
            stage.sql()
        ))?;
        if !strange.is_empty() {
            let message = format!("there are rows that are not of the partition {condition}");
            let hint = "leave the partition's columns out of \"column\", or filter the rows";
            return Err(Fault::user("mysql.partition_row", message)
                .hint(hint)
                .at(load::PLACE)
                .into());
        }
        // A number that nobody wrote is the table's own to give.
        let is_written = |column: &Column| written.iter().any(|other| other.name == column.name);
        let names: Vec<String> = columns
            .iter()
            .filter(|column| !column.generated && (is_written(column) || !column.is_numbered))
            .map(|column| sql::ident(&column.name))
            .collect();
        let names = names.join(", ");
        client.execute(&format!("DELETE FROM {} WHERE {condition}", table.sql()))?;
        client.execute(&format!(
            "INSERT INTO {} ({names}) SELECT {names} FROM {}",
            table.sql(),
            stage.sql()
        ))?;
        Ok(())
    }
}

/// Waits for other runs that replace rows of the table. The turn is held until [`end_turn`], or to the end
/// of the session.
///
/// # Errors
/// `mysql.swap_busy` where another run does not come to its end.
pub(crate) fn take_turn(client: &mut Client, table: &Table) -> Result<()> {
    let rows = client.query(&format!("SELECT GET_LOCK({}, {TURN_WAIT})", turn(table)))?;
    if rows.first().map(|row| text(row, 0)) == Some("1") {
        return Ok(());
    }
    let message = format!("another run that replaces rows of \"{}\" holds it", table.title());
    Err(Fault::external("mysql.swap_busy", message).retry_after(0).into())
}

pub(crate) fn end_turn(client: &mut Client, table: &Table) -> Result<()> {
    client.query(&format!("SELECT RELEASE_LOCK({})", turn(table))).map(|_| ())
}

/// The name of a lock of the server's, as a literal.
fn turn(table: &Table) -> String {
    sql::literal(&prefix(table))
}

fn prefix(table: &Table) -> String {
    format!("{PREFIX}{}", load::digest([table.database.as_str(), ".", &table.name]))
}

/// The staging table of a run.
fn stage(table: &Table, run: &str) -> Result<Table> {
    if run.len() > RUN_BYTES_MAX {
        let message = format!("the run's name has more than {RUN_BYTES_MAX} bytes");
        return Err(Fault::plugin("mysql.run_name", message).into());
    }
    Ok(Table { name: format!("{}_{run}", prefix(table)), ..table.clone() })
}

/// The staging table of a run that was prepared.
///
/// # Errors
/// `mysql.stage_missing` where somebody dropped it.
pub(crate) fn of_run(client: &mut Client, table: &Table, run: &str) -> Result<Table> {
    let stage = stage(table, run)?;
    if is_there(client, &stage)? {
        return Ok(stage);
    }
    let message = format!("the rows that this run staged for \"{}\" are gone", table.title());
    Err(Fault::external("mysql.stage_missing", message)
        .hint("the staging table was dropped meanwhile; start a new run")
        .into())
}

/// Drops what a run has staged.
pub(crate) fn discard(client: &mut Client, table: &Table, run: &str) -> Result<()> {
    let stage = stage(table, run)?;
    let both = format!("DROP TABLE IF EXISTS {}, {}", stage.sql(), half(&stage).sql());
    client.execute(&both).map(|_| ())
}

/// A staging table while it is made.
fn half(stage: &Table) -> Table {
    Table { name: format!("{}_", stage.name), ..stage.clone() }
}

fn is_there(client: &mut Client, table: &Table) -> Result<bool> {
    let rows = client.query(&format!(
        "SELECT 1 FROM information_schema.tables WHERE table_schema = {} AND table_name = {}",
        sql::literal(&table.database),
        sql::literal(&table.name)
    ))?;
    Ok(!rows.is_empty())
}

/// Drops staging tables of runs that have ended.
fn drop_left(client: &mut Client, marks: &Marks, table: &Table, run: &str) -> Result<()> {
    let prefix = format!("{}_", prefix(table));
    let rows = client.query(&format!(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = {} AND LEFT(table_name, {}) = {}",
        sql::literal(&table.database),
        prefix.len(),
        sql::literal(&prefix)
    ))?;
    for row in &rows {
        let name = text(row, 0);
        let other = name[prefix.len()..].trim_end_matches('_');
        if other != run && !marks.is_unfinished(client, other)? {
            let left = Table { name: name.to_owned(), ..table.clone() };
            log::info(&format!("drops {}, which a run left behind", left.title()));
            client.execute(&format!("DROP TABLE IF EXISTS {}", left.sql()))?;
        }
    }
    Ok(())
}

/// # Errors
/// `mysql.swap_unsupported` for a table whose rows can't be replaced in one transaction.
fn stays_itself(client: &mut Client, table: &Table) -> Result<()> {
    let unsupported = |why: &str, hint: &str| {
        let message = format!("the rows of \"{}\" can't be replaced: {why}", table.title());
        Fault::user("mysql.swap_unsupported", message).hint(hint).at("/parameter/table")
    };
    let (database, name) = (sql::literal(&table.database), sql::literal(&table.name));
    let rows = client.query(&format!(
        "SELECT table_type FROM information_schema.tables WHERE table_schema = {database} AND table_name = {name}"
    ))?;
    if rows.first().is_some_and(|row| text(row, 0) != "BASE TABLE") {
        return Err(unsupported("it is a view", "name the table behind it").into());
    }
    if !table.is_transactional {
        let hint = "write to a table of the engine InnoDB";
        return Err(unsupported("its engine knows no transactions", hint).into());
    }
    let rows = client.query(&format!(
        "SELECT table_name, constraint_name FROM information_schema.referential_constraints \
         WHERE unique_constraint_schema = {database} AND referenced_table_name = {name} LIMIT 1"
    ))?;
    if let Some(row) = rows.first() {
        let why =
            format!("\"{}\" refers to them by the foreign key \"{}\"", text(row, 0), text(row, 1));
        return Err(unsupported(&why, "write with \"writeMode\": \"update\"").into());
    }
    Ok(())
}
