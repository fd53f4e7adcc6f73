//! What the server's catalog says: tables, columns, keys.

use sdk::Fault;

use crate::client::{Client, TextRow};
use crate::error::Result;
use crate::sql;
use crate::types::{Kind, kind_of_type};

/// A table or view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) database: String,
    pub(crate) name: String,
    /// Its engine takes part in transactions.
    pub(crate) is_transactional: bool,
    /// Rows, as the server guesses.
    pub(crate) rows: u64,
}

/// A column of a table.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// The type in SQL, in lower case.
    pub(crate) sql_type: String,
    pub(crate) kind: Kind,
    pub(crate) nullable: bool,
    /// The server computes the value; nobody may write it.
    pub(crate) generated: bool,
    /// The server numbers the rows.
    pub(crate) is_numbered: bool,
    /// Characters of a text, bytes of a binary.
    pub(crate) length: Option<u64>,
    /// Digits of the seconds' fraction.
    pub(crate) fraction: Option<u32>,
}

impl Column {
    /// A column of a type in SQL.
    pub(crate) fn new(name: &str, sql_type: &str, nullable: bool) -> Self {
        let sql_type = sql_type.to_lowercase();
        let kind = kind_of_type(&sql_type);
        let (name, generated) = (name.to_owned(), false);
        let (is_numbered, length, fraction) = (false, None, None);
        Self { name, sql_type, kind, nullable, generated, is_numbered, length, fraction }
    }

    /// Whether its values can be borders between splits: those whose order a comparison with their text
    /// follows.
    pub(crate) fn is_key(&self) -> bool {
        let is_list = self.sql_type.starts_with("enum") || self.sql_type.starts_with("set");
        !is_list
            && self.sql_type != "json"
            && !matches!(
                self.kind,
                Kind::Bool | Kind::Bits | Kind::Float | Kind::Double | Kind::Time
            )
    }
}

impl Table {
    /// The name in quotes, with its database.
    pub(crate) fn sql(&self) -> String {
        format!("{}.{}", sql::ident(&self.database), sql::ident(&self.name))
    }

    pub(crate) fn title(&self) -> String {
        format!("{}.{}", self.database, self.name)
    }

    /// The condition in SQL on a view of the catalog.
    fn condition(&self) -> String {
        let (database, name) = (sql::literal(&self.database), sql::literal(&self.name));
        format!("table_schema = {database} AND table_name = {name}")
    }
}

pub(crate) fn text(row: &TextRow, index: usize) -> &str {
    row.get(index).and_then(|value| value.as_deref()).unwrap_or_default()
}

/// Database and table of a name as the user wrote it.
///
/// # Errors
/// `parameter.invalid` for a text that names no table.
pub(crate) fn place(client: &mut Client, name: &str) -> Result<(String, String)> {
    let parts = sql::split_name(name).unwrap_or_default();
    match parts.as_slice() {
        [table] => {
            let rows = client.query("SELECT DATABASE()")?;
            Ok((rows.first().map_or("", |row| text(row, 0)).to_owned(), table.clone()))
        }
        [database, table] => Ok((database.clone(), table.clone())),
        _ => {
            let message = format!("\"{name}\" is not the name of a table");
            Err(Fault::user("parameter.invalid", message)
                .hint("write table, database.table, or `database`.`table` with quotes around unusual names")
                .at("/parameter/table")
                .into())
        }
    }
}

/// The table that `name` means, if there is one.
pub(crate) fn find_table(client: &mut Client, name: &str) -> Result<Option<Table>> {
    let (database, name) = place(client, name)?;
    let mut table = Table { database, name, is_transactional: true, rows: 0 };
    let rows = client.query(&format!(
        "SELECT t.table_schema, t.table_name, COALESCE(e.transactions, 'YES'), COALESCE(t.table_rows, 0) \
         FROM information_schema.tables t LEFT JOIN information_schema.engines e ON e.engine = t.engine \
         WHERE {}",
        table.condition()
    ))?;
    let Some(row) = rows.first() else { return Ok(None) };
    table.database = text(row, 0).to_owned();
    table.name = text(row, 1).to_owned();
    table.is_transactional = text(row, 2) != "NO";
    table.rows = text(row, 3).parse().unwrap_or(0);
    Ok(Some(table))
}

/// The table that `name` means.
///
/// # Errors
/// `mysql.table_not_found`.
pub(crate) fn table(client: &mut Client, name: &str) -> Result<Table> {
    find_table(client, name)?.ok_or_else(|| {
        let message = format!("there is no table \"{name}\", or the user may not see it");
        Fault::external("mysql.table_not_found", message)
            .hint("look at the tables with `airlock discover`")
            .at("/parameter/table")
            .into()
    })
}

/// The columns of a table, in its order.
pub(crate) fn columns(client: &mut Client, table: &Table) -> Result<Vec<Column>> {
    let rows = client.query(&format!(
        "SELECT column_name, column_type, is_nullable, extra, character_maximum_length, datetime_precision \
         FROM information_schema.columns WHERE {} ORDER BY ordinal_position",
        table.condition()
    ))?;
    Ok(rows
        .iter()
        .map(|row| Column {
            generated: text(row, 3).to_uppercase().contains("GENERATED")
                && !text(row, 3).to_uppercase().contains("DEFAULT_GENERATED"),
            is_numbered: text(row, 3).to_uppercase().contains("AUTO_INCREMENT"),
            length: text(row, 4).parse().ok(),
            fraction: text(row, 5).parse().ok(),
            ..Column::new(text(row, 0), text(row, 1), text(row, 2) == "YES")
        })
        .collect())
}

/// The column that `name` means: quotes around it are taken off, case does not matter.
pub(crate) fn find_column<'a>(columns: &'a [Column], name: &str) -> Option<&'a Column> {
    let parts = sql::split_name(name)?;
    let [name] = parts.as_slice() else { return None };
    let exact = columns.iter().find(|column| column.name == *name);
    exact
        .or_else(|| columns.iter().find(|column| column.name.to_lowercase() == name.to_lowercase()))
}

/// # Errors
/// `mysql.column_not_found` at `place`.
pub(crate) fn column<'a>(
    columns: &'a [Column],
    name: &str,
    table: &Table,
    place: &str,
) -> Result<&'a Column, Fault> {
    find_column(columns, name).ok_or_else(|| {
        let message = format!("the table \"{}\" has no column \"{name}\"", table.title());
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        Fault::external("mysql.column_not_found", message)
            .hint(format!("it has {}", names.join(", ")))
            .at(place)
    })
}

/// The columns of the primary key, in its order.
pub(crate) fn primary_key(client: &mut Client, table: &Table) -> Result<Vec<String>> {
    let rows = client.query(&format!(
        "SELECT column_name FROM information_schema.statistics WHERE {} AND index_name = 'PRIMARY' \
         ORDER BY seq_in_index",
        table.condition()
    ))?;
    Ok(rows.iter().map(|row| text(row, 0).to_owned()).collect())
}

/// Whether the table has a unique index beside its primary key.
pub(crate) fn has_unique_beside_primary(client: &mut Client, table: &Table) -> Result<bool> {
    let rows = client.query(&format!(
        "SELECT 1 FROM information_schema.statistics WHERE {} AND non_unique = 0 \
         AND index_name <> 'PRIMARY' LIMIT 1",
        table.condition()
    ))?;
    Ok(!rows.is_empty())
}

/// Databases that the user sees, behind `after`.
pub(crate) fn databases(client: &mut Client, after: &str, limit: u32) -> Result<Vec<String>> {
    let rows = client.query(&format!(
        "SELECT schema_name FROM information_schema.schemata \
         WHERE schema_name NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys') \
         AND BINARY schema_name > {} ORDER BY BINARY schema_name LIMIT {limit}",
        sql::literal(after)
    ))?;
    Ok(rows.iter().map(|row| text(row, 0).to_owned()).collect())
}

/// Tables of a database, behind `after`.
pub(crate) fn tables(
    client: &mut Client,
    database: &str,
    after: &str,
    limit: u32,
) -> Result<Vec<String>> {
    let rows = client.query(&format!(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = {} \
         AND BINARY table_name > {} ORDER BY BINARY table_name LIMIT {limit}",
        sql::literal(database),
        sql::literal(after)
    ))?;
    Ok(rows.iter().map(|row| text(row, 0).to_owned()).collect())
}
