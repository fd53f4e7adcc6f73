//! What the writer knows about its table: columns, and the statements that reach it.

use std::sync::Arc;

use arrow_schema::Schema;
use database::writing;
use rusqlite::Connection as Database;
use sdk::{Dataset, Result};

use crate::catalog::{self, Column, Table};
use crate::error::VENDOR;
use crate::settings::{WriteMode, WriterParameter};
use crate::sql;
use crate::swap::Swap;
use crate::types::{self, Affinity, Kind, field};

/// The table with the columns that are written.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) table: Table,
    pub(crate) columns: Vec<Column>,
    /// All columns of the table.
    pub(crate) all: Vec<Column>,
    /// All are written, where the job names none.
    takes_all: bool,
    /// What the rows take the place of.
    pub(crate) swap: Option<Swap>,
    /// Where a swap keeps rows until the run ends.
    pub(crate) stage: Option<Table>,
    pub(crate) primary_key: Vec<String>,
}

impl Target {
    /// # Errors
    /// `sqlite.table_not_found`, `sqlite.view_not_writable`, `sqlite.column_not_found`,
    /// `sqlite.column_generated`.
    pub(crate) fn look(
        database: &Database,
        schemas: &[String],
        parameter: &WriterParameter,
    ) -> Result<Self> {
        let table = catalog::table(database, schemas, &parameter.table()?)?;
        if table.is_view && !catalog::takes_rows(database, &table)? {
            let message = format!("\"{}\" is a view, which takes no rows", table.title());
            return Err(VENDOR
                .user("view_not_writable", message)
                .hint("name the table behind it, or give the view a trigger INSTEAD OF INSERT")
                .at("/parameter/table"));
        }
        let all = catalog::columns(database, &table)?;
        let names = parameter.columns();
        let columns = writing::written(VENDOR, &names, &all, |name| {
            catalog::column(&all, name, &table, "/parameter/column")
        })?;
        let primary_key = catalog::primary_key(&all);
        let swap = Swap::look(parameter, &table, &all)?;
        let takes_all = names.iter().any(|name| name.trim() == "*");
        Ok(Self { table, columns, all, takes_all, swap, stage: None, primary_key })
    }

    /// # Errors
    /// `sqlite.column_count` where other fields come in than are written.
    pub(crate) fn fit(&mut self, incoming: &Dataset) -> Result<()> {
        let partition: Vec<&str> =
            self.swap.iter().flat_map(Swap::pairs).map(|(name, _)| name.as_str()).collect();
        writing::fit(VENDOR, incoming, &mut self.columns, self.takes_all, &partition)?;
        // A column that is declared as nothing takes values as they come.
        for (column, field) in self.columns.iter_mut().zip(incoming.schema.fields()) {
            if column.kind == Kind::Any {
                column.kind = types::kind_of(field);
            }
        }
        Ok(())
    }

    pub(crate) fn dataset(&self) -> Dataset {
        let fields: Vec<_> = self
            .columns
            .iter()
            .map(|column| field(&column.name, column.kind, column.nullable))
            .collect();
        let written = |name: &String| self.columns.iter().any(|column| column.name == *name);
        let is_whole = self.primary_key.iter().all(written);
        Dataset {
            path: vec![self.table.schema.clone(), self.table.name.clone()],
            schema: Arc::new(Schema::new(fields)),
            primary_key: if is_whole { self.primary_key.clone() } else { Vec::new() },
            metadata: Vec::new(),
        }
    }

    /// The statement that writes a row. What a constraint of the table would do in a conflict it does
    /// not do: the row is refused alone.
    ///
    /// # Errors
    /// `sqlite.key_missing` for rows that replace each other by a key that is not written.
    pub(crate) fn insert(&self, mode: WriteMode) -> Result<String> {
        let table = self.stage.as_ref().unwrap_or(&self.table).sql();
        let is_written = |name: &str| self.columns.iter().any(|column| column.name == name);
        let fixed = self.swap.iter().flat_map(Swap::pairs).filter(|(name, _)| !is_written(name));
        let (mut names, mut values): (Vec<_>, Vec<_>) =
            fixed.map(|(name, value)| (sql::ident(name), sql::literal(value))).unzip();
        for (index, column) in self.columns.iter().enumerate() {
            names.push(sql::ident(&column.name));
            values.push(format!("?{}", index + 1));
        }
        let (names, values) = (names.join(", "), values.join(", "));
        let word = if mode == WriteMode::Replace { "REPLACE" } else { "ABORT" };
        let insert = format!("INSERT OR {word} INTO {table} ({names}) VALUES ({values})");
        if mode != WriteMode::Upsert {
            return Ok(insert);
        }
        let key: Vec<_> = self.primary_key.iter().map(|name| sql::ident(name)).collect();
        if key.is_empty() || !self.primary_key.iter().all(|name| is_written(name)) {
            let message =
                "rows replace each other by the primary key, which is not written or not there";
            return Err(VENDOR.user("key_missing", message).at("/parameter/writeMode"));
        }
        let others = self.columns.iter().filter(|column| column.key == 0);
        let set = others.map(|column| format!("{0} = excluded.{0}", sql::ident(&column.name)));
        let set = set.collect::<Vec<_>>().join(", ");
        let what = if set.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {set}") };
        Ok(format!("{insert} ON CONFLICT ({}) DO {what}", key.join(", ")))
    }
}

/// The table that is to be created for `incoming`, and the statement for it.
///
/// # Errors
/// `sqlite.type_unmappable` for a field that no type holds.
pub(crate) fn create(
    schemas: &[String],
    parameter: &WriterParameter,
    incoming: &Dataset,
) -> Result<(Target, String)> {
    let (schemas, name) = catalog::place(schemas, &parameter.table()?)?;
    let schema = schemas.into_iter().next().unwrap_or_default();
    let table = Table { schema, name, is_view: false, has_rowid: true, is_strict: false };
    let names = parameter.columns();
    let is_named = !names.iter().any(|name| name.trim() == "*");
    let (mut columns, mut texts, mut key) = (Vec::new(), Vec::new(), Vec::new());
    for (index, field) in incoming.schema.fields().iter().enumerate() {
        let written = names.get(index).filter(|_| is_named);
        let name = written
            .and_then(|name| sql::split_name(name)?.pop())
            .unwrap_or_else(|| field.name().clone());
        let declared = types::sql_type(field).ok_or_else(|| {
            let (name, kind) = (field.name(), field.data_type());
            let message = format!("no type of SQLite holds the field \"{name}\" ({kind})");
            VENDOR.user("type_unmappable", message).hint("create the table yourself")
        })?;
        let is_key = incoming.primary_key.contains(field.name());
        let null = if is_key { " NOT NULL" } else { "" };
        texts.push(format!("{} {declared}{null}", sql::ident(&name)));
        if is_key {
            key.push(name.clone());
        }
        columns.push(made(name, declared, !is_key, if is_key { key.len() as u32 } else { 0 }));
    }
    let swap = Swap::of_new(parameter)?;
    for (name, _) in swap.iter().flat_map(Swap::pairs) {
        if columns.iter().all(|column: &Column| !column.name.eq_ignore_ascii_case(name)) {
            texts.push(format!("{} TEXT NOT NULL", sql::ident(name)));
        }
    }
    let all = columns.clone();
    let mut target =
        Target { table, columns, all, takes_all: false, swap, stage: None, primary_key: key };
    target.fit(incoming)?;
    if !target.primary_key.is_empty() {
        let names: Vec<_> = target.primary_key.iter().map(|name| sql::ident(name)).collect();
        texts.push(format!("PRIMARY KEY ({})", names.join(", ")));
    }
    let statement = format!("CREATE TABLE {} ({})", target.table.sql(), texts.join(", "));
    Ok((target, statement))
}

/// A column as the catalog will tell it.
fn made(name: String, declared: String, nullable: bool, key: u32) -> Column {
    let (kind, affinity): (Kind, Affinity) =
        (types::kind(&declared), types::affinity(&declared, false));
    Column { name, declared, kind, affinity, nullable, generated: false, key }
}
