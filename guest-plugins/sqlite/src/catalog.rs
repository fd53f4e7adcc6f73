//! What a database says of itself: tables, columns, keys.

use database::marks::TABLE;
use database::names::shown;
use database::writing::Writable;
use rusqlite::types::ValueRef;
use rusqlite::{Connection as Database, Params, Row};
use sdk::{Fault, Result};

use crate::error::{self, VENDOR};
use crate::sql;
use crate::types::{Affinity, Kind, affinity, kind};

/// Names that a hint shows at most.
const NAMES_MAX: usize = 20;

/// A table or view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) is_view: bool,
    /// Its rows have a number beside their key.
    pub(crate) has_rowid: bool,
    pub(crate) is_strict: bool,
}

/// A column of a table.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) declared: String,
    pub(crate) kind: Kind,
    pub(crate) affinity: Affinity,
    pub(crate) nullable: bool,
    /// SQLite computes the value; nobody may write it.
    pub(crate) generated: bool,
    /// Its place in the primary key, from 1; 0 where it is not of it.
    pub(crate) key: u32,
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
    /// The name in quotes, with its schema.
    pub(crate) fn sql(&self) -> String {
        format!("{}.{}", sql::ident(&self.schema), sql::ident(&self.name))
    }

    pub(crate) fn title(&self) -> String {
        match self.schema.as_str() {
            "main" => self.name.clone(),
            schema => format!("{schema}.{}", self.name),
        }
    }
}

/// All rows of a query, made of by `take`.
pub(crate) fn query<T>(
    database: &Database,
    sql: &str,
    params: impl Params,
    mut take: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>> {
    let work = || -> rusqlite::Result<Vec<T>> {
        let mut statement = database.prepare(sql)?;
        let rows = statement.query_map(params, |row| take(row))?;
        rows.collect()
    };
    work().map_err(error::fault)
}

/// The schemas that a name as the user wrote it may mean, and the table's name.
///
/// # Errors
/// `parameter.invalid` for a text that names no table, `sqlite.schema_not_found`.
pub(crate) fn place(schemas: &[String], name: &str) -> Result<(Vec<String>, String)> {
    let parts = sql::split_name(name).unwrap_or_default();
    match parts.as_slice() {
        [table] => Ok((schemas.to_vec(), table.clone())),
        [schema, table] => match schemas.iter().find(|known| known.eq_ignore_ascii_case(schema)) {
            Some(known) => Ok((vec![known.clone()], table.clone())),
            None => Err(schema_not_found(schema, schemas).at("/parameter/table")),
        },
        _ => {
            let message = format!("\"{name}\" is not the name of a table");
            Err(Fault::user("parameter.invalid", message)
                .hint("write table, schema.table, or \"schema\".\"table\" with quotes around unusual names")
                .at("/parameter/table"))
        }
    }
}

pub(crate) fn schema_not_found(schema: &str, schemas: &[String]) -> Fault {
    let hint =
        format!("the schemas are {}; \"attach\" in the data source adds some", schemas.join(", "));
    VENDOR.user("schema_not_found", format!("no file is attached as \"{schema}\"")).hint(hint)
}

/// The table that `name` means, if there is one.
pub(crate) fn find_table(
    database: &Database,
    schemas: &[String],
    name: &str,
) -> Result<Option<Table>> {
    let (schemas, name) = place(schemas, name)?;
    for schema in schemas {
        let found = query(
            database,
            "SELECT name, type, wr, strict FROM pragma_table_list \
             WHERE lower(schema) = lower(?1) AND lower(name) = lower(?2) AND type <> 'shadow'",
            [&schema, &name],
            |row| {
                let kind: String = row.get(1)?;
                Ok(Table {
                    schema: schema.clone(),
                    name: row.get(0)?,
                    is_view: kind == "view",
                    has_rowid: kind == "table" && row.get::<_, i64>(2)? == 0,
                    is_strict: row.get::<_, i64>(3)? != 0,
                })
            },
        )?;
        if let Some(table) = found.into_iter().next() {
            return Ok(Some(table));
        }
    }
    Ok(None)
}

/// The table that `name` means.
///
/// # Errors
/// `sqlite.table_not_found`, with the names of those that are there.
pub(crate) fn table(database: &Database, schemas: &[String], name: &str) -> Result<Table> {
    if let Some(table) = find_table(database, schemas, name)? {
        return Ok(table);
    }
    let mut names = Vec::new();
    for schema in schemas {
        let found = tables(database, schema, "", NAMES_MAX as u32)?;
        let below = |name: String| if schema == "main" { name } else { format!("{schema}.{name}") };
        names.extend(found.into_iter().map(below));
    }
    let hint = match names.is_empty() {
        true => "the file has no tables; check the path".to_owned(),
        false => format!("there are {}", listed(&names)),
    };
    let message = format!("there is no table {}", shown(name));
    Err(VENDOR.external("table_not_found", message).hint(hint).at("/parameter/table"))
}

fn listed(names: &[String]) -> String {
    let more = if names.len() > NAMES_MAX { " and others" } else { "" };
    let shown = names.iter().take(NAMES_MAX).map(String::as_str).collect::<Vec<_>>();
    format!("{}{more}", shown.join(", "))
}

/// The columns of a table, in its order.
pub(crate) fn columns(database: &Database, table: &Table) -> Result<Vec<Column>> {
    let mut columns = query(
        database,
        "SELECT name, type, \"notnull\", pk, hidden FROM pragma_table_xinfo(?1, ?2) WHERE hidden <> 1",
        [&table.name, &table.schema],
        |row| {
            let declared: String = row.get(1)?;
            Ok(Column {
                name: row.get(0)?,
                kind: kind(&declared),
                affinity: affinity(&declared, table.is_strict),
                declared,
                nullable: row.get::<_, i64>(2)? == 0,
                generated: matches!(row.get(4)?, 2_i64 | 3),
                key: row.get(3)?,
            })
        },
    )?;
    if let Some(alias) = alias(&columns, table).map(str::to_owned) {
        columns.iter_mut().filter(|column| column.name == alias).for_each(|column| {
            column.nullable = false;
        });
    }
    Ok(columns)
}

/// The column that is the rowid itself.
fn alias<'a>(columns: &'a [Column], table: &Table) -> Option<&'a str> {
    let mut keys = columns.iter().filter(|column| column.key > 0);
    let first = keys.next().filter(|_| keys.next().is_none() && table.has_rowid)?;
    first.declared.trim().eq_ignore_ascii_case("integer").then_some(first.name.as_str())
}

/// The name of the rowid, where a column has not taken all of them.
pub(crate) fn rowid(columns: &[Column], table: &Table) -> Option<String> {
    if !table.has_rowid {
        return None;
    }
    if let Some(alias) = alias(columns, table) {
        return Some(alias.to_owned());
    }
    let is_free =
        |name: &&str| columns.iter().all(|column| !column.name.eq_ignore_ascii_case(name));
    ["rowid", "_rowid_", "oid"].into_iter().find(is_free).map(str::to_owned)
}

/// The columns of the primary key, in its order.
pub(crate) fn primary_key(columns: &[Column]) -> Vec<String> {
    let mut keys: Vec<_> = columns.iter().filter(|column| column.key > 0).collect();
    keys.sort_by_key(|column| column.key);
    keys.into_iter().map(|column| column.name.clone()).collect()
}

/// The column that `name` means: quotes around it are taken off, case does not matter.
pub(crate) fn find_column<'a>(columns: &'a [Column], name: &str) -> Option<&'a Column> {
    let parts = sql::split_name(name)?;
    let [name] = parts.as_slice() else { return None };
    columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
}

/// # Errors
/// `sqlite.column_not_found` at `place`.
pub(crate) fn column<'a>(
    columns: &'a [Column],
    name: &str,
    table: &Table,
    place: &str,
) -> Result<&'a Column> {
    find_column(columns, name).ok_or_else(|| {
        let message = format!("the table \"{}\" has no column \"{name}\"", table.title());
        let names: Vec<_> = columns.iter().map(|column| column.name.clone()).collect();
        VENDOR
            .external("column_not_found", message)
            .hint(format!("it has {}", listed(&names)))
            .at(place)
    })
}

/// Whether a trigger takes the rows that are inserted into a view.
pub(crate) fn takes_rows(database: &Database, view: &Table) -> Result<bool> {
    let triggers = query(
        database,
        &format!(
            "SELECT sql FROM {}.sqlite_schema WHERE type = 'trigger' AND lower(tbl_name) = lower(?1)",
            sql::ident(&view.schema)
        ),
        [&view.name],
        |row| row.get::<_, String>(0),
    )?;
    let takes = |trigger: &String| {
        let words = trigger.to_uppercase();
        let mut words = words.split_ascii_whitespace().skip_while(|word| *word != "INSTEAD");
        words.nth(1) == Some("OF") && words.next() == Some("INSERT")
    };
    Ok(triggers.iter().any(takes))
}

/// Tables and views of a schema, behind `after`. The writer's own table is none of the user's.
pub(crate) fn tables(
    database: &Database,
    schema: &str,
    after: &str,
    limit: u32,
) -> Result<Vec<String>> {
    query(
        database,
        "SELECT name FROM pragma_table_list WHERE lower(schema) = lower(?1) AND name > ?2 \
         AND type <> 'shadow' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name <> ?4 ORDER BY name LIMIT ?3",
        (schema, after, limit, TABLE),
        |row| row.get(0),
    )
}

/// Of values of each column, what they are stored as.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    integer: bool,
    real: bool,
    text: bool,
    blob: bool,
}

impl Seen {
    pub(crate) fn note(&mut self, value: ValueRef<'_>) {
        match value {
            ValueRef::Null => {}
            ValueRef::Integer(_) => self.integer = true,
            ValueRef::Real(_) => self.real = true,
            ValueRef::Text(_) => self.text = true,
            ValueRef::Blob(_) => self.blob = true,
        }
    }

    /// The kind of a column whose values are so.
    pub(crate) fn kind(self) -> Kind {
        match (self.integer, self.real, self.text, self.blob) {
            (true, false, false, false) => Kind::Int,
            (_, true, false, false) => Kind::Double,
            (false, false, false, true) => Kind::Bytes,
            _ => Kind::Loose,
        }
    }
}
