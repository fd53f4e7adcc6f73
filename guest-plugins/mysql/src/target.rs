//! What the writer knows about its table: columns, and the statements that reach it.

use std::sync::Arc;

use arrow_schema::{Field, Schema};
use database::writing;
use sdk::{Dataset, Fault};

use crate::catalog::{self, Column, Table};
use crate::client::{Client, Server};
use crate::encode::is_loaded;
use crate::error::{Result, VENDOR};
use crate::settings::{WriteMode, WriterParameter};
use crate::sql;
use crate::swap::Swap;
use crate::types::{self, column_field};

/// Bytes that the texts of a row may take in the table itself; the server allows 65,535 for all columns.
const ROW_BYTES_MAX: u64 = 60_000;

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
    /// `mysql.table_not_found`, `mysql.column_not_found`, `mysql.column_generated`.
    pub(crate) fn look(client: &mut Client, parameter: &WriterParameter) -> Result<Self> {
        let table = catalog::table(client, &parameter.table()?)?;
        let all = catalog::columns(client, &table)?;
        let names = parameter.columns();
        let columns = writing::written(VENDOR, &names, &all, |name| {
            catalog::column(&all, name, &table, "/parameter/column")
        })?;
        let primary_key = catalog::primary_key(client, &table)?;
        let swap = Swap::look(client, parameter, &table, &all)?;
        let takes_all = names.iter().any(|name| name.trim() == "*");
        Ok(Self { table, columns, all, takes_all, swap, stage: None, primary_key })
    }

    /// # Errors
    /// `mysql.column_count` where other fields come in than are written.
    pub(crate) fn fit(&mut self, incoming: &Dataset) -> Result<(), Fault> {
        let partition: Vec<&str> = self.swap.iter().flat_map(Swap::partition_columns).collect();
        writing::fit(VENDOR, incoming, &mut self.columns, self.takes_all, &partition)
    }

    pub(crate) fn dataset(&self) -> Dataset {
        let fields: Vec<_> = self.columns.iter().map(column_field).collect();
        let written = |name: &String| self.columns.iter().any(|column| column.name == *name);
        let is_whole = self.primary_key.iter().all(written);
        Dataset {
            path: vec![self.table.database.clone(), self.table.name.clone()],
            schema: Arc::new(Schema::new(fields)),
            primary_key: if is_whole { self.primary_key.clone() } else { Vec::new() },
            metadata: Vec::new(),
        }
    }

    /// What stands before the rows of an INSERT, and what behind them.
    ///
    /// # Errors
    /// `mysql.column_not_found` for a column to update that is not written.
    pub(crate) fn insert(&self, parameter: &WriterParameter) -> Result<(String, String), Fault> {
        let names: Vec<String> = self.columns.iter().map(|c| sql::ident(&c.name)).collect();
        let mode = parameter.write_mode();
        let word = if mode == WriteMode::Replace { "REPLACE" } else { "INSERT" };
        let table = self.stage.as_ref().unwrap_or(&self.table).sql();
        let head = format!("{word} INTO {table} ({}) VALUES ", names.join(", "));
        if mode != WriteMode::Update {
            return Ok((head, String::new()));
        }
        let named = parameter.update_columns();
        let updated: Vec<String> = match named {
            [] => names,
            [all] if all.trim() == "*" => names,
            named => named
                .iter()
                .map(|name| {
                    let place = "/parameter/updateColumn";
                    let column = catalog::column(&self.columns, name, &self.table, place)?;
                    Ok(sql::ident(&column.name))
                })
                .collect::<Result<_, Fault>>()?,
        };
        let taken = |name: &String| match parameter.skips_null() {
            true => format!("{name} = COALESCE(VALUES({name}), {name})"),
            false => format!("{name} = VALUES({name})"),
        };
        let list: Vec<String> = updated.iter().map(taken).collect();
        Ok((head, format!(" ON DUPLICATE KEY UPDATE {}", list.join(", "))))
    }

    /// The statement that loads rows from lines, where they are then what an INSERT makes of them: rows
    /// that are updated, values that are left at their defaults, and tables that cannot go back are not.
    pub(crate) fn load(&self, parameter: &WriterParameter) -> Option<String> {
        let mode = parameter.write_mode();
        let fits = self.table.is_transactional
            && mode != WriteMode::Update
            && !parameter.skips_null()
            && self.columns.iter().all(|column| is_loaded(column.kind));
        let names: Vec<String> = self.columns.iter().map(|c| sql::ident(&c.name)).collect();
        let word = if mode == WriteMode::Replace { "REPLACE " } else { "" };
        let table = self.stage.as_ref().unwrap_or(&self.table).sql();
        // Tab, backslash and line feed; in digits, since the session says what a backslash means.
        fits.then(|| {
            format!(
                "LOAD DATA LOCAL INFILE 'rows' {word}INTO TABLE {table} CHARACTER SET utf8mb4 \
                 FIELDS TERMINATED BY x'09' ESCAPED BY x'5c' LINES TERMINATED BY x'0a' ({})",
                names.join(", ")
            )
        })
    }
}

/// The table that is to be created for `incoming`, and the statement for it.
///
/// # Errors
/// `mysql.type_unmappable` for a field that no type of the server holds.
pub(crate) fn create(
    client: &mut Client,
    parameter: &WriterParameter,
    incoming: &Dataset,
) -> Result<(Target, String)> {
    let (database, name) = catalog::place(client, &parameter.table()?)?;
    let table = Table { database, name, is_transactional: true, rows: 0 };
    let names = parameter.columns();
    let is_named = !names.iter().any(|name| name.trim() == "*");
    let (mut columns, mut texts, mut key) = (Vec::new(), Vec::new(), Vec::new());
    let sql_types = sql_types(incoming, client.server)?;
    for ((index, field), sql_type) in incoming.schema.fields().iter().enumerate().zip(sql_types) {
        let written = names.get(index).filter(|_| is_named);
        let column = written
            .and_then(|name| sql::split_name(name)?.pop())
            .unwrap_or_else(|| field.name().clone());
        let is_key = incoming.primary_key.contains(field.name());
        let null = if is_key { "NOT NULL" } else { "NULL" };
        texts.push(format!("{} {sql_type} {null}", sql::ident(&column)));
        if is_key {
            key.push(column.clone());
        }
        // As the catalog will tell it.
        columns.push(Column::new(&column, &sql_type, !is_key));
    }
    let swap = Swap::of_new(parameter)?;
    for name in swap.iter().flat_map(Swap::partition_columns) {
        if columns.iter().all(|column| !column.name.eq_ignore_ascii_case(name)) {
            texts.push(format!("{} varchar(255) NOT NULL", sql::ident(name)));
        }
    }
    let (all, takes_all) = (columns.clone(), false);
    let mut target = Target { table, columns, all, takes_all, swap, stage: None, primary_key: key };
    target.fit(incoming)?;
    if !target.primary_key.is_empty() {
        let names: Vec<String> = target.primary_key.iter().map(|name| sql::ident(name)).collect();
        texts.push(format!("PRIMARY KEY ({})", names.join(", ")));
    }
    let statement = format!(
        "CREATE TABLE {} ({}) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        target.table.sql(),
        texts.join(", ")
    );
    Ok((target, statement))
}

/// The types in SQL of a table for `incoming`.
fn sql_types(incoming: &Dataset, server: Server) -> Result<Vec<String>, Fault> {
    let made = |field: &Field| {
        let is_key = incoming.primary_key.contains(field.name());
        types::sql_type(field, is_key, server).ok_or_else(|| {
            let (name, kind) = (field.name(), field.data_type());
            let message = format!("no type of the server holds the field \"{name}\" ({kind})");
            Fault::user("mysql.type_unmappable", message).hint("create the table yourself")
        })
    };
    let fields = incoming.schema.fields();
    let made = fields.iter().map(|field| made(field)).collect::<Result<Vec<_>, _>>()?;
    let bytes: u64 = made.iter().map(|sql_type| types::row_bytes(sql_type)).sum();
    if bytes <= ROW_BYTES_MAX {
        return Ok(made);
    }
    // Their characters took fewer bytes there.
    let shorter = |(sql_type, field): (String, &Arc<Field>)| {
        let is_free = !incoming.primary_key.contains(field.name());
        let plain = types::plain_type(field, false).filter(|_| is_free);
        if types::row_bytes(&sql_type) == 0 { sql_type } else { plain.unwrap_or(sql_type) }
    };
    Ok(made.into_iter().zip(fields).map(shorter).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_a_row_has_no_room_for_are_made_longer() {
        let of = |length: u32| {
            let fields = ["a", "b", "k"].map(|name| {
                types::column_field(&Column::new(name, &format!("varchar({length})"), true))
            });
            let schema = Arc::new(Schema::new(fields.to_vec()));
            let primary_key = vec!["k".to_owned()];
            sql_types(
                &Dataset { path: vec![], schema, primary_key, metadata: vec![] },
                Server::default(),
            )
        };
        assert_eq!(of(100).unwrap(), ["varchar(100)"; 3]);
        assert_eq!(of(10_000).unwrap(), ["longtext", "longtext", "varchar(255)"]);
    }
}
