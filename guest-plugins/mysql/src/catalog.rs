//! What the server's catalog says: tables, columns, keys.

use database::columns::{Gaps, is_name};
use database::marks::TABLE;
use database::names::shown;
use database::tables::{Named, PATTERN_PLACE};
use database::writing::Writable;
use sdk::Fault;

use crate::client::{Client, TextRow};
use crate::error::{Error, Result, VENDOR};
use crate::sql;
use crate::types::{Kind, bounds, kind_of_type, numerals};

/// The server's number for a column that is not there.
const UNKNOWN_COLUMN: u16 = 1054;

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
    /// The type in SQL, in lower case but for the words of a list.
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
    /// Of an enum or a set, the members that read as numbers.
    pub(crate) numerals: Option<Vec<String>>,
}

impl Column {
    /// A column of a type in SQL.
    pub(crate) fn new(name: &str, sql_type: &str, nullable: bool) -> Self {
        let words = sql_type.find('\'').unwrap_or(sql_type.len());
        let sql_type = sql_type[..words].to_lowercase() + &sql_type[words..];
        let kind = kind_of_type(&sql_type);
        let (name, generated, is_numbered) = (name.to_owned(), false, false);
        let (length, fraction) = bounds(&sql_type);
        let numerals = numerals(&sql_type);
        Self { name, sql_type, kind, nullable, generated, is_numbered, length, fraction, numerals }
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

impl Writable for Column {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_generated(&self) -> bool {
        self.generated
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
    let wanted = Table { database, name, is_transactional: true, rows: 0 };
    Ok(find_tables(client, &wanted.condition())?.into_iter().next())
}

/// Tables and views that meet a condition in SQL.
fn find_tables(client: &mut Client, condition: &str) -> Result<Vec<Table>> {
    let rows = client.query(&format!(
        "SELECT t.table_schema, t.table_name, COALESCE(e.transactions, 'YES'), COALESCE(t.table_rows, 0) \
         FROM information_schema.tables t LEFT JOIN information_schema.engines e ON e.engine = t.engine \
         WHERE {condition} ORDER BY BINARY t.table_name"
    ))?;
    let table = |row: &TextRow| Table {
        database: text(row, 0).to_owned(),
        name: text(row, 1).to_owned(),
        is_transactional: text(row, 2) != "NO",
        rows: text(row, 3).parse().unwrap_or(0),
    };
    Ok(rows.iter().map(table).collect())
}

/// The tables of the session's database whose whole names match a regular expression of the server's.
pub(crate) fn tables_like(client: &mut Client, pattern: &str) -> Result<Vec<Table>> {
    let pattern = sql::literal(&format!("^({pattern})$"));
    // Names differ by case, whatever the catalog's own order says of them.
    let name = "CONVERT(t.table_name USING utf8mb4) COLLATE utf8mb4_bin";
    let condition = format!("t.table_schema = DATABASE() AND {name} REGEXP {pattern}");
    find_tables(client, &condition).map_err(|error| error.at(PATTERN_PLACE))
}

/// The tables that a step names, each of which must be there, in their order.
///
/// # Errors
/// `mysql.table_not_found`, `mysql.no_table_matches`, `parameter.invalid`.
pub(crate) fn named(client: &mut Client, named: &Named) -> Result<Vec<Table>> {
    let tables = match named {
        Named::Listed(names) => {
            names.iter().map(|name| table(client, name)).collect::<Result<Vec<_>>>()?
        }
        Named::Matching(pattern) => tables_like(client, pattern)?,
    };
    let titles: Vec<_> = tables.iter().map(Table::title).collect();
    named.judge(VENDOR, &titles)?;
    Ok(tables)
}

/// The entries of `column` that a table can answer, and the names among them that it has not.
pub(crate) fn without_gaps(
    client: &mut Client,
    table: &Table,
    all: &[Column],
    wanted: &[String],
) -> Result<(Vec<String>, Gaps)> {
    let gap = |entry: &str| {
        let mut parts = sql::split_name(entry).unwrap_or_default();
        let (Some(name), true) = (parts.pop(), parts.is_empty()) else { return Ok(None) };
        if !is_name(entry) || find_column(all, entry).is_some() {
            return Ok(None);
        }
        match client.describe(&format!("SELECT {entry}\n FROM {}", table.sql())) {
            Err(Error::Server(error)) if error.number == UNKNOWN_COLUMN => Ok(Some(name)),
            // What else the server refuses is told when all are looked up.
            Ok(_) | Err(Error::Server(_)) => Ok(None),
            Err(fault) => Err(fault),
        }
    };
    Gaps::find(VENDOR, &table.title(), all.len(), wanted, gap)
}

/// The table that `name` means.
///
/// # Errors
/// `mysql.table_not_found`.
pub(crate) fn table(client: &mut Client, name: &str) -> Result<Table> {
    find_table(client, name)?.ok_or_else(|| {
        let message = format!("there is no table {}, or the user may not see it", shown(name));
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
    let mut columns: Vec<_> = rows
        .iter()
        .map(|row| Column {
            generated: text(row, 3).to_uppercase().contains("GENERATED")
                && !text(row, 3).to_uppercase().contains("DEFAULT_GENERATED"),
            is_numbered: text(row, 3).to_uppercase().contains("AUTO_INCREMENT"),
            length: text(row, 4).parse().ok(),
            fraction: text(row, 5).parse().ok(),
            ..Column::new(text(row, 0), text(row, 1), text(row, 2) == "YES")
        })
        .collect();
    if client.server.is_mariadb && columns.iter().any(|column| column.sql_type == "longtext") {
        tell_json(client, table, &mut columns)?;
    }
    Ok(columns)
}

/// MariaDB makes a text of `json`, with a check that the column is valid.
fn tell_json(client: &mut Client, table: &Table, columns: &mut [Column]) -> Result<()> {
    let (database, name) = (sql::literal(&table.database), sql::literal(&table.name));
    let checks = client.query(&format!(
        "SELECT check_clause FROM information_schema.check_constraints \
         WHERE constraint_schema = {database} AND table_name = {name}"
    ));
    let checks = match checks {
        Ok(checks) => checks,
        // Old ones don't list their checks.
        Err(Error::Server(_)) => return Ok(()),
        Err(error) => return Err(error),
    };
    for column in columns.iter_mut().filter(|column| column.sql_type == "longtext") {
        let check = format!("json_valid({})", sql::ident(&column.name));
        if checks.iter().any(|row| text(row, 0) == check) {
            column.sql_type = "json".to_owned();
        }
    }
    Ok(())
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

/// Whether an index leads to the rows with values of a column.
pub(crate) fn leads_an_index(client: &mut Client, table: &Table, column: &str) -> Result<bool> {
    let rows = client.query(&format!(
        "SELECT 1 FROM information_schema.statistics WHERE {} AND seq_in_index = 1 \
         AND column_name = {} LIMIT 1",
        table.condition(),
        sql::literal(column)
    ))?;
    Ok(!rows.is_empty())
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

/// Tables of a database, behind `after`. The writer's own table is none of the user's.
pub(crate) fn tables(
    client: &mut Client,
    database: &str,
    after: &str,
    limit: u32,
) -> Result<Vec<String>> {
    let rows = client.query(&format!(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = {} \
         AND BINARY table_name > {} AND table_name <> '{TABLE}' \
         ORDER BY BINARY table_name LIMIT {limit}",
        sql::literal(database),
        sql::literal(after)
    ))?;
    Ok(rows.iter().map(|row| text(row, 0).to_owned()).collect())
}
