//! What the server's catalog says: tables, columns, keys, types.

use database::marks::TABLE;
use database::names::shown;
use database::writing::Writable;
use sdk::Fault;

use crate::client::{Client, Described, TextRow};
use crate::error::{Result, broken};
use crate::sql::{self, Written};
use crate::types::{Kind, PgType, TypeFacts};

/// Names that are looked through for the one that was meant.
const CANDIDATES_MAX: u32 = 5000;

/// A relation that can be read or written.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) oid: u32,
    pub(crate) schema: String,
    pub(crate) name: String,
    /// The catalog's letter: `r` table, `p` partitioned, `v` view, `m` materialized view, `f` foreign.
    pub(crate) kind: char,
}

/// A column of a statement's result, or of a table.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) pg: PgType,
    /// False only where the column itself refuses NULL.
    pub(crate) nullable: bool,
    /// The server computes the value; nobody may write it.
    pub(crate) generated: bool,
    /// It is a table's array whose declaration does not say one dimension; the server enforces none.
    pub(crate) any_shape: bool,
}

impl Column {
    /// The column as it is read: values of any shape travel as their text.
    pub(crate) fn for_reading(mut self) -> Self {
        if self.any_shape {
            self.pg.kind = Kind::Opaque;
        }
        self
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
    /// The name in quotes, with its schema.
    pub(crate) fn sql(&self) -> String {
        format!("{}.{}", sql::ident(&self.schema), sql::ident(&self.name))
    }

    pub(crate) fn title(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }
}

fn text(row: &TextRow, index: usize) -> &str {
    row.get(index).and_then(|value| value.as_deref()).unwrap_or_default()
}

fn number(row: &TextRow, index: usize) -> u32 {
    text(row, index).parse().unwrap_or(0)
}

/// The table that `name` means, if there is one.
///
/// # Errors
/// `parameter.invalid` for a text that names no table, or one of another database.
pub(crate) fn find_table(client: &mut Client, name: &str) -> Result<Option<Table>> {
    let (schema, table) = parts(client, name)?;
    let names = table.candidates();
    let schemas = schema.as_ref().map(Written::candidates);
    let place = match &schemas {
        Some(schemas) => {
            format!("n.nspname IN ({})", sql::literals(schemas.iter().map(String::as_str)))
        }
        None => "pg_catalog.pg_table_is_visible(c.oid)".to_owned(),
    };
    let rows = client.query(&format!(
        "SELECT c.oid, n.nspname, c.relname, c.relkind FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname IN ({}) AND {place}",
        sql::literals(names.iter().map(String::as_str)),
    ))?;
    let rank = |row: &TextRow| {
        let schema = schemas.as_ref().and_then(|all| all.iter().position(|s| s == text(row, 1)));
        (schema, names.iter().position(|n| n == text(row, 2)))
    };
    Ok(rows.iter().min_by_key(|row| rank(row)).map(table_of))
}

/// The tables whose whole names match a regular expression of the server, by name: those that are
/// visible without a schema.
pub(crate) fn tables_like(client: &mut Client, pattern: &str) -> Result<Vec<Table>> {
    let rows = client
        .query(&format!(
            "SELECT c.oid, n.nspname, c.relname, c.relkind FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition \
             AND pg_catalog.pg_table_is_visible(c.oid) AND n.nspname <> 'information_schema' \
             AND n.nspname !~ '^pg_' AND c.relname ~ {} ORDER BY c.relname COLLATE \"C\"",
            sql::literal(&format!("^(?:{pattern})$"))
        ))
        .map_err(|error| error.at("/parameter/tablePattern"))?;
    Ok(rows.iter().map(table_of).collect())
}

fn table_of(row: &TextRow) -> Table {
    Table {
        oid: number(row, 0),
        schema: text(row, 1).to_owned(),
        name: text(row, 2).to_owned(),
        kind: text(row, 3).chars().next().unwrap_or('r'),
    }
}

/// The table that `name` means.
///
/// # Errors
/// `postgresql.table_not_found` with the name that was probably meant.
pub(crate) fn table(client: &mut Client, name: &str) -> Result<Table> {
    if let Some(table) = find_table(client, name)? {
        return Ok(table);
    }
    let (schema, table) = parts(client, name)?;
    let place = match &schema {
        Some(schema) => {
            let names = schema.candidates();
            format!("n.nspname IN ({})", sql::literals(names.iter().map(String::as_str)))
        }
        None => "n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'".to_owned(),
    };
    let rows = client.query(&format!(
        "SELECT c.relname, n.nspname FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {place} ORDER BY 2, 1 LIMIT {CANDIDATES_MAX}",
    ))?;
    let names = rows.iter().map(|row| text(row, 0));
    let fault =
        Fault::external("postgresql.table_not_found", format!("there is no table {}", shown(name)))
            .at("/parameter/table");
    Err(match sql::nearest(&table.name, names) {
        Some(near) => {
            let schema =
                rows.iter().find(|row| text(row, 0) == near).map_or("", |row| text(row, 1));
            fault.hint(format!("did you mean \"{schema}.{near}\"?"))
        }
        None => fault.hint("look at the tables with `airlock discover`"),
    }
    .into())
}

/// Schema and table of a name as the user wrote it.
fn parts(client: &mut Client, name: &str) -> Result<(Option<Written>, Written)> {
    let invalid = |why: &str| {
        Fault::user("parameter.invalid", format!("\"{name}\" {why}"))
            .hint("write table, schema.table, or \"schema\".\"table\" with quotes around unusual names")
            .at("/parameter/table")
    };
    let mut parts = sql::split_name(name).ok_or_else(|| invalid("is not the name of a table"))?;
    let table = parts.pop().ok_or_else(|| invalid("is not the name of a table"))?;
    let schema = parts.pop();
    if let Some(database) = parts.pop() {
        let rows = client.query("SELECT pg_catalog.current_database()")?;
        let current = rows.first().map_or("", |row| text(row, 0));
        if !parts.is_empty() || !database.candidates().iter().any(|name| name == current) {
            return Err(invalid("lies in another database than the data source's").into());
        }
    }
    Ok((schema, table))
}

/// The columns that `statement` answers, with the types behind domains.
pub(crate) fn columns(client: &mut Client, statement: &str) -> Result<Vec<Column>> {
    let described = client.describe(statement)?;
    if described.is_empty() {
        return Ok(Vec::new());
    }
    let list =
        |value: fn(&Described) -> String| described.iter().map(value).collect::<Vec<_>>().join(",");
    // Arrays of the server's own fixed vectors (int2vector, oidvector) are numbered from 0.
    let rows = client.query(&format!(
        "SELECT pg_catalog.format_type(d.t, d.m), \
           CASE WHEN t.typcategory = 'A' AND t.typlen = -1 AND t.oid NOT IN (22, 30) THEN t.typelem ELSE 0 END, \
           coalesce(a.attndims, 1), coalesce(a.attnotnull, false), {} \
         FROM unnest('{{{}}}'::oid[], '{{{}}}'::int4[], '{{{}}}'::oid[], '{{{}}}'::int4[]) \
           WITH ORDINALITY AS d (t, m, r, n, o) \
         JOIN pg_catalog.pg_type t ON t.oid = d.t \
         LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = d.r AND a.attnum = d.n AND d.n <> 0 \
         ORDER BY d.o",
        if client.version() >= 120_000 { "coalesce(a.attgenerated, '') <> ''" } else { "false" },
        list(|d| d.type_oid.to_string()),
        list(|d| d.typmod.to_string()),
        list(|d| d.table.to_string()),
        list(|d| d.attribute.to_string()),
    ))?;
    if rows.len() != described.len() {
        return Err(broken("the catalog does not know a column's type").into());
    }
    let columns = described.into_iter().zip(&rows).map(|(described, row)| {
        let facts = TypeFacts {
            oid: described.type_oid,
            typmod: described.typmod,
            name: text(row, 0).to_owned(),
            element: number(row, 1),
            dimensions: number(row, 2),
        };
        Column {
            name: described.name,
            pg: PgType::of(&facts),
            nullable: text(row, 3) != "t",
            generated: text(row, 4) == "t",
            any_shape: facts.element != 0 && facts.dimensions != 1,
        }
    });
    Ok(columns.collect())
}

/// The columns of a table, in its order.
pub(crate) fn table_columns(client: &mut Client, table: &Table) -> Result<Vec<Column>> {
    columns(client, &format!("SELECT * FROM {}", table.sql()))
}

/// The columns of the primary key, in its order.
pub(crate) fn primary_key(client: &mut Client, table: &Table) -> Result<Vec<String>> {
    let rows = client.query(&format!(
        "SELECT a.attname FROM pg_catalog.pg_index i \
         CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY AS k (n, o) \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.n \
         WHERE i.indrelid = {} AND i.indisprimary ORDER BY k.o",
        table.oid
    ))?;
    Ok(rows.iter().map(|row| text(row, 0).to_owned()).collect())
}

/// Whether an index of all rows begins with a column.
pub(crate) fn leads_an_index(client: &mut Client, table: &Table, column: &str) -> Result<bool> {
    let rows = client.query(&format!(
        "SELECT 1 FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a \
           ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] \
         WHERE i.indrelid = {} AND i.indisvalid AND i.indpred IS NULL AND a.attname = {} LIMIT 1",
        table.oid,
        sql::literal(column)
    ))?;
    Ok(!rows.is_empty())
}

/// Whether a unique index that an upsert can go by has exactly these columns.
pub(crate) fn has_unique_index(
    client: &mut Client,
    table: &Table,
    columns: &[String],
) -> Result<bool> {
    // Columns that an index merely includes stand behind its key.
    let keys = if client.version() >= 110_000 { "i.indnkeyatts" } else { "i.indnatts" };
    let rows = client.query(&format!(
        "SELECT 1 FROM pg_catalog.pg_index i WHERE i.indrelid = {} AND i.indisunique AND i.indimmediate \
         AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND {keys} = {} \
         AND NOT EXISTS (SELECT FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (n, o) \
           JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.n \
           WHERE k.o <= {keys} AND a.attname NOT IN ({}))",
        table.oid,
        columns.len(),
        sql::literals(columns.iter().map(String::as_str))
    ))?;
    Ok(!rows.is_empty())
}

/// The column of `columns` that the user's text names, as it stands or folded as SQL folds.
pub(crate) fn find_column<'a>(columns: &'a [Column], name: &str) -> Option<&'a Column> {
    let mut parts = sql::split_name(name)?;
    let exact = columns.iter().find(|column| column.name == name.trim());
    let written = parts.pop().filter(|_| parts.is_empty());
    exact.or_else(|| {
        let names = written?.candidates();
        names.iter().find_map(|name| columns.iter().find(|column| column.name == *name))
    })
}

/// The column that the user's text names.
///
/// # Errors
/// `postgresql.column_not_found` with the name that was probably meant.
pub(crate) fn column<'a>(
    columns: &'a [Column],
    name: &str,
    table: &Table,
    place: &str,
) -> Result<&'a Column, Fault> {
    find_column(columns, name).ok_or_else(|| {
        let title = table.title();
        let message = format!("the table \"{title}\" has no column \"{name}\"");
        let fault = Fault::external("postgresql.column_not_found", message).at(place);
        match sql::nearest(name, columns.iter().map(|column| column.name.as_str())) {
            Some(near) => fault.hint(format!("did you mean \"{near}\"?")),
            None => {
                let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
                fault.hint(format!("its columns are {}", names.join(", ")))
            }
        }
    })
}

/// Names of schemas that hold anything, from behind `after`.
pub(crate) fn schemas(client: &mut Client, after: &str, limit: u32) -> Result<Vec<String>> {
    let rows = client.query(&format!(
        "SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname <> 'information_schema' \
         AND nspname !~ '^pg_' AND nspname COLLATE \"C\" > {} ORDER BY nspname COLLATE \"C\" LIMIT {limit}",
        sql::literal(after)
    ))?;
    Ok(rows.iter().map(|row| text(row, 0).to_owned()).collect())
}

/// Names of the tables of a schema, from behind `after`. The writer's own table is none of the user's.
pub(crate) fn tables(
    client: &mut Client,
    schema: &str,
    after: &str,
    limit: u32,
) -> Result<Vec<String>> {
    let rows = client.query(&format!(
        "SELECT c.relname FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname = {} AND c.relname COLLATE \"C\" > {} \
         AND c.relname <> '{TABLE}' ORDER BY c.relname COLLATE \"C\" LIMIT {limit}",
        sql::literal(schema),
        sql::literal(after)
    ))?;
    Ok(rows.iter().map(|row| text(row, 0).to_owned()).collect())
}
