//! Rows that take the place of those that are there: of a whole table, or of one partition of it.
//!
//! A run's rows go into a staging table that is made by the destination's own statement, and so refuses
//! what that one would refuse; `finish` deletes the old rows and inserts the staged ones in one
//! transaction. A staging table's name tells the table and the run.

use database::load::{self, LoadMode, Partition};
use database::names::quoted;
use database::writing::column_generated;
use rusqlite::Connection as Database;
use sdk::{Fault, Result, Run, log};

use crate::catalog::{self, Column, Table};
use crate::error::{self, VENDOR};
use crate::marks::Marks;
use crate::places;
use crate::settings::WriterParameter;
use crate::sql;

const PREFIX: &str = "_airlock_swap_";

/// What a run's rows take the place of.
#[derive(Clone, Debug)]
pub(crate) struct Swap {
    partition: Partition,
}

impl Swap {
    /// What the parameters want replaced; `None` where rows are added.
    ///
    /// # Errors
    /// `sqlite.swap_unsupported` for a view, and faults of the partition's columns.
    pub(crate) fn look(
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
        if table.is_view {
            let message =
                format!("the rows of \"{}\" can't be replaced: it is a view", table.title());
            return Err(VENDOR
                .user("swap_unsupported", message)
                .hint("name the table behind it")
                .at("/parameter/table"));
        }
        Ok(Some(Self { partition }))
    }

    /// That of a table which is yet to be created.
    pub(crate) fn of_new(parameter: &WriterParameter) -> Result<Option<Self>> {
        match parameter.load_mode() {
            LoadMode::Append => Ok(None),
            LoadMode::Swap => Ok(Some(Self { partition: parameter.partition()? })),
        }
    }

    /// Column and value of what all rows have.
    pub(crate) fn pairs(&self) -> &[(String, String)] {
        self.partition.pairs()
    }

    /// The condition in SQL for the rows that are replaced.
    pub(crate) fn condition(&self) -> String {
        self.partition.condition(sql::ident, sql::literal)
    }

    /// In the open transaction: makes the run's staging table, where it is not there yet, and drops those of
    /// the same table whose runs have ended.
    pub(crate) fn prepare(
        &self,
        database: &Database,
        marks: &Marks,
        table: &Table,
        run: &Run,
    ) -> Result<()> {
        let prefix = prefix(table);
        for name in staged(database, table)? {
            let other = &name[prefix.len()..];
            if other != run.id && !marks.is_unfinished(database, other)? {
                log::info(&format!("drops {name}, which a run left behind"));
                drop_table(database, &Table { name, ..table.clone() })?;
            }
        }
        let stage = stage(table, &run.id);
        if is_there(database, &stage)? {
            return Ok(());
        }
        let statements = catalog::query(
            database,
            &format!(
                "SELECT sql FROM {}.sqlite_schema WHERE lower(tbl_name) = lower(?1) AND sql IS NOT NULL \
                 AND (type = 'table' OR type = 'index' AND sql LIKE 'create unique%') ORDER BY type DESC",
                sql::ident(&table.schema)
            ),
            [&table.name],
            |row| row.get::<_, String>(0),
        )?;
        for (index, statement) in statements.iter().enumerate() {
            let made = renamed(statement, &stage, index).ok_or_else(|| {
                let message = format!("the statement of \"{}\" can't be read", table.title());
                VENDOR.user("swap_unsupported", message).at("/parameter/loadMode")
            })?;
            places::run(database, &made).map_err(error::fault)?;
        }
        Ok(())
    }

    /// In the open transaction: puts the staged rows in the place of the old ones.
    ///
    /// # Errors
    /// `sqlite.partition_row` where rows of another partition came in.
    pub(crate) fn replace(
        &self,
        database: &Database,
        table: &Table,
        columns: &[Column],
        run: &Run,
    ) -> Result<()> {
        let stage = of_run(database, table, &run.id)?;
        let condition = self.condition();
        let strange =
            format!("SELECT 1 FROM {} WHERE ({condition}) IS NOT TRUE LIMIT 1", stage.sql());
        if !catalog::query(database, &strange, [], |_| Ok(()))?.is_empty() {
            let message = format!("there are rows that are not of the partition {condition}");
            let hint = "leave the partition's columns out of \"column\", or filter the rows";
            return Err(Fault::user("sqlite.partition_row", message).hint(hint).at(load::PLACE));
        }
        let names = columns.iter().filter(|column| !column.generated);
        let names: Vec<_> = names.map(|column| sql::ident(&column.name)).collect();
        let names = names.join(", ");
        let (into, from) = (table.sql(), stage.sql());
        places::run(database, &format!("DELETE FROM {into} WHERE {condition}"))
            .and_then(|()| {
                places::run(
                    database,
                    &format!("INSERT INTO {into} ({names}) SELECT {names} FROM {from}"),
                )
            })
            .map_err(error::fault)
    }
}

/// A statement that makes a table or index, so that it makes the staging table or one of it.
fn renamed(statement: &str, stage: &Table, index: usize) -> Option<String> {
    let upper = statement.to_uppercase();
    let schema = sql::ident(&stage.schema);
    if upper.starts_with("CREATE TABLE ") {
        let rest = behind_name(&statement["CREATE TABLE ".len()..])?;
        return Some(format!("CREATE TABLE {} {rest}", stage.sql()));
    }
    let rest = behind_name(&statement["CREATE UNIQUE INDEX ".len()..])?.trim_start();
    let rest = rest.get(..2).filter(|word| word.eq_ignore_ascii_case("on")).map(|_| &rest[2..])?;
    let rest = behind_name(rest)?;
    let name = sql::ident(&format!("{}_{index}", stage.name));
    Some(format!("CREATE UNIQUE INDEX {schema}.{name} ON {} {rest}", sql::ident(&stage.name)))
}

/// What stands behind the name that a text begins with.
fn behind_name(text: &str) -> Option<&str> {
    let text = text.trim_start();
    match text.chars().next()? {
        quote @ ('"' | '`' | '\'') => quoted(&text[1..], quote).map(|(_, rest)| rest),
        '[' => text.split_once(']').map(|(_, rest)| rest),
        _ => text.find(|c: char| c.is_whitespace() || c == '(').map(|end| &text[end..]),
    }
}

fn prefix(table: &Table) -> String {
    format!("{PREFIX}{}_", load::digest([table.name.to_lowercase().as_str()]))
}

/// The staging table of a run.
fn stage(table: &Table, run: &str) -> Table {
    Table { name: format!("{}{run}", prefix(table)), ..table.clone() }
}

/// The staging tables of all runs.
fn staged(database: &Database, table: &Table) -> Result<Vec<String>> {
    let prefix = prefix(table);
    catalog::query(
        database,
        &format!(
            "SELECT name FROM {}.sqlite_schema WHERE type = 'table' AND substr(name, 1, ?1) = ?2",
            sql::ident(&table.schema)
        ),
        (prefix.len() as i64, &prefix),
        |row| row.get(0),
    )
}

fn is_there(database: &Database, table: &Table) -> Result<bool> {
    Ok(staged(database, table)?.contains(&table.name) || {
        let schemas = [table.schema.clone()];
        catalog::find_table(database, &schemas, &sql::ident(&table.name))?.is_some()
    })
}

/// The staging table of a run that was prepared.
///
/// # Errors
/// `sqlite.stage_missing` where somebody dropped it.
pub(crate) fn of_run(database: &Database, table: &Table, run: &str) -> Result<Table> {
    let stage = stage(table, run);
    if is_there(database, &stage)? {
        return Ok(stage);
    }
    let message = format!("the rows that this run staged for \"{}\" are gone", table.title());
    Err(VENDOR
        .external("stage_missing", message)
        .hint("the staging table was dropped meanwhile; start a new run"))
}

/// Drops what a run has staged.
pub(crate) fn discard(database: &Database, table: &Table, run: &str) -> Result<()> {
    drop_table(database, &stage(table, run))
}

fn drop_table(database: &Database, table: &Table) -> Result<()> {
    places::run(database, &format!("DROP TABLE IF EXISTS {}", table.sql())).map_err(error::fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_make_the_staging_table() {
        let stage = Table {
            schema: "main".into(),
            name: "s".into(),
            is_view: false,
            has_rowid: true,
            is_strict: false,
        };
        let made = |text: &str| renamed(text, &stage, 1).unwrap();
        assert_eq!(made("CREATE TABLE t (a)"), "CREATE TABLE \"main\".\"s\"  (a)");
        assert_eq!(made("CREATE TABLE \"t \"\"(\"(a)"), "CREATE TABLE \"main\".\"s\" (a)");
        assert_eq!(
            made("CREATE UNIQUE INDEX i ON [t](a)"),
            "CREATE UNIQUE INDEX \"main\".\"s_1\" ON \"s\" (a)"
        );
    }
}
