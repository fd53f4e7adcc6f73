//! The destination's table: which columns are written, with which types, and how rows meet those that
//! are there.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema};
use codec::postgresql::{CopyColumn, CopyEncoding, Form};
use database::writing;
use sdk::{Dataset, Fault, FaultDomain};

use crate::catalog::{self, Column, Table};
use crate::client::Client;
use crate::error::{Result, VENDOR};
use crate::settings::{ConflictMode, WriterParameter};
use crate::sql;
use crate::swap::{Stage, Swap};
use crate::types::{self, Kind};

/// The temporary table through which an upsert goes, and its column that numbers the rows.
const STAGE: &str = "pg_temp.airlock_stage";
const STAGE_ROW: &str = "\"airlock row\"";

/// The destination's table as this job writes it.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) table: Table,
    /// The written columns, in the order of the incoming fields.
    pub(crate) columns: Vec<Column>,
    /// All columns of the table.
    pub(crate) all: Vec<Column>,
    /// Nobody named the written columns.
    takes_all: bool,
    pub(crate) primary_key: Vec<String>,
    pub(crate) upsert: Option<Upsert>,
    /// Where the rows take the place of others.
    pub(crate) swap: Option<Swap>,
    /// The table that takes the rows until then, once it is known.
    pub(crate) stage: Option<Stage>,
}

/// How an upsert goes.
#[derive(Clone, Debug)]
pub(crate) struct Upsert {
    /// Columns of the unique index that decides; empty: any (only where rows that are there stay).
    pub(crate) keys: Vec<String>,
    /// Assignments in SQL; empty: rows that are there stay.
    assignments: Vec<String>,
}

impl Target {
    /// Looks the table up, and what the parameters say about it.
    ///
    /// # Errors
    /// `postgresql.table_not_found`, `postgresql.column_not_found`, `postgresql.no_key` and others.
    pub(crate) fn look(client: &mut Client, parameter: &WriterParameter) -> Result<Self> {
        let table = catalog::table(client, &parameter.table()?)?;
        let all = catalog::table_columns(client, &table)?;
        let names = parameter.columns();
        let columns = writing::written(VENDOR, &names, &all, |name| {
            catalog::column(&all, name, &table, "/parameter/column")
        })?;
        for name in parameter.pg_type.keys() {
            let place = format!("/parameter/pgType/{}", name.replace('~', "~0").replace('/', "~1"));
            catalog::column(&all, name, &table, &place)
                .map_err(|fault| Fault { domain: FaultDomain::User, ..fault })?;
        }
        let primary_key = catalog::primary_key(client, &table)?;
        let upsert = match parameter.conflict_mode() {
            Some(mode) => Some(Upsert::new(parameter, mode, &table, &all, &columns, &primary_key)?),
            None => None,
        };
        if let Some(upsert) = &upsert {
            upsert.find_index(client, &table)?;
        }
        let swap = Swap::look(client, parameter, &table, &all)?;
        let takes_all = names.iter().any(|name| name.trim() == "*");
        Ok(Self { table, columns, all, takes_all, primary_key, upsert, swap, stage: None })
    }

    /// Takes over from the incoming fields what the table leaves open.
    ///
    /// # Errors
    /// `postgresql.column_count` where there are not as many fields as columns.
    pub(crate) fn adapt(&mut self, incoming: &Dataset) -> Result<(), Fault> {
        let partition: Vec<&str> = self.swap.iter().flat_map(Swap::partition_columns).collect();
        writing::fit(VENDOR, incoming, &mut self.columns, self.takes_all, &partition)?;
        for (column, field) in self.columns.iter_mut().zip(incoming.schema.fields()) {
            match (&column.pg.kind, field.data_type()) {
                // A numeric without precision holds any decimal as it is, in binary form.
                (Kind::Opaque, incoming) if column.pg.name == "numeric" => {
                    column.pg.kind = decimal_kind(incoming).unwrap_or(Kind::Opaque);
                }
                // An array that comes as text, of whatever shape, is the server's to read.
                (Kind::Array(..), DataType::Utf8) => column.pg.kind = Kind::Opaque,
                (Kind::Uuid, DataType::Utf8) => column.pg.kind = Kind::UuidText,
                _ => {}
            }
        }
        Ok(())
    }

    pub(crate) fn dataset(&self) -> Dataset {
        let fields: Vec<Field> = self
            .columns
            .iter()
            .map(|column| column.pg.field(&column.name, column.nullable))
            .collect();
        let written = |name: &String| self.columns.iter().any(|column| column.name == *name);
        let has_key = self.primary_key.iter().all(written);
        Dataset {
            path: vec![self.table.schema.clone(), self.table.name.clone()],
            schema: Arc::new(Schema::new(fields)),
            primary_key: if has_key { self.primary_key.clone() } else { Vec::new() },
            metadata: Vec::new(),
        }
    }

    /// How rows become those of a COPY.
    pub(crate) fn encoding(&self, empty_as_null: bool) -> CopyEncoding {
        let column = |column: &Column| CopyColumn {
            kind: column.pg.kind.clone(),
            limit: column.pg.limit,
            is_array: column.pg.name.ends_with("[]"),
        };
        let columns = self.columns.iter().map(column).collect();
        CopyEncoding { form: self.form(), columns, empty_as_null }
    }

    pub(crate) fn form(&self) -> Form {
        Form::of(self.columns.iter().map(|column| &column.pg.kind))
    }

    /// The table that takes the rows for now.
    fn sql(&self) -> String {
        self.stage.as_ref().map_or_else(|| self.table.sql(), Stage::sql)
    }

    fn names(&self) -> String {
        sql::idents(self.columns.iter().map(|column| column.name.as_str()))
    }

    /// The statement that takes the rows, and the relation that its errors name.
    pub(crate) fn copy(&self) -> (String, &str) {
        let (table, relation) = match (&self.upsert, &self.stage) {
            (Some(_), _) => (STAGE.to_owned(), "airlock_stage"),
            (None, Some(stage)) => (stage.sql(), stage.name.as_str()),
            (None, None) => (self.table.sql(), self.table.name.as_str()),
        };
        let form = self.form().word();
        (format!("COPY {table} ({}) FROM STDIN (FORMAT {form})", self.names()), relation)
    }

    /// Creates the temporary table of an upsert, for the life of the session.
    pub(crate) fn create_stage(&self) -> String {
        format!(
            "DROP TABLE IF EXISTS {STAGE}; \
             CREATE TEMPORARY TABLE airlock_stage ON COMMIT DELETE ROWS AS SELECT {} FROM {} WITH NO DATA; \
             ALTER TABLE {STAGE} ADD COLUMN {STAGE_ROW} bigserial",
            self.names(),
            self.table.sql()
        )
    }

    /// Moves the rows of the temporary table to where they belong, and empties it. Of rows with one
    /// key the last wins, as if they had come one by one; where rows stay, the first.
    pub(crate) fn merge(&self, upsert: &Upsert) -> String {
        let names = self.names();
        let keys = sql::idents(upsert.keys.iter().map(String::as_str));
        let action = match upsert.assignments.as_slice() {
            [] => "NOTHING".to_owned(),
            assignments => format!("UPDATE SET {}", assignments.join(", ")),
        };
        let (from, latest) = if upsert.assignments.is_empty() {
            (STAGE.to_owned(), String::new())
        } else {
            // NULL equals no NULL: such rows are all different.
            let nulls = upsert.keys.iter().map(|key| format!("{} IS NULL", sql::ident(key)));
            let nulls = nulls.collect::<Vec<_>>().join(" OR ");
            let numbered = format!(
                "(SELECT *, row_number() OVER (PARTITION BY {keys} ORDER BY {STAGE_ROW} DESC) AS \"airlock turn\" \
                 FROM {STAGE}) AS s"
            );
            (numbered, format!(" WHERE \"airlock turn\" = 1 OR {nulls}"))
        };
        let target = if keys.is_empty() { String::new() } else { format!(" ({keys})") };
        format!(
            "INSERT INTO {} AS t ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM {from}{latest} \
             ORDER BY {STAGE_ROW} ON CONFLICT{target} DO {action}; TRUNCATE {STAGE}",
            self.sql()
        )
    }
}

/// The decimal that holds every value of an incoming field.
fn decimal_kind(data_type: &DataType) -> Option<Kind> {
    match data_type {
        // As 0 and 1.
        DataType::Boolean => Some(Kind::Numeric { precision: 1, scale: 0 }),
        DataType::Decimal128(precision, scale @ 0..)
        | DataType::Decimal256(precision, scale @ 0..) => {
            Some(Kind::Numeric { precision: *precision, scale: *scale })
        }
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            Some(Kind::Numeric { precision: 19, scale: 0 })
        }
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
            Some(Kind::Numeric { precision: 20, scale: 0 })
        }
        _ => None,
    }
}

impl Upsert {
    fn new(
        parameter: &WriterParameter,
        mode: ConflictMode,
        table: &Table,
        all: &[Column],
        written: &[Column],
        primary_key: &[String],
    ) -> Result<Self, Fault> {
        let place = "/parameter/uniqueIndexColumns";
        let named = parameter.unique_index()?;
        let keys = match &named {
            Some(names) => names
                .iter()
                .map(|name| Ok(catalog::column(all, name, table, place)?.name.clone()))
                .collect::<Result<Vec<_>, Fault>>()?,
            None => primary_key.to_vec(),
        };
        if mode == ConflictMode::Ignore {
            let keys = if named.is_some() { keys } else { Vec::new() };
            return Ok(Self { keys, assignments: Vec::new() });
        }
        if keys.is_empty() {
            let message = format!("the table \"{}\" has no primary key to go by", table.title());
            return Err(Fault::user("postgresql.no_key", message)
                .hint("name the columns of a unique index in \"uniqueIndexColumns\"")
                .at(place));
        }
        if let Some(key) = keys.iter().find(|key| !written.iter().any(|c| c.name == **key)) {
            let message = format!("the key column \"{key}\" is not written");
            return Err(Fault::user("postgresql.key_not_written", message).at("/parameter/column"));
        }
        let assignments = assignments(parameter, mode, table, all, written, &keys)?;
        Ok(Self { keys, assignments })
    }

    /// Whether a row that is there keeps some of its values in these columns.
    pub(crate) fn leaves_some(&self, columns: &[Column]) -> bool {
        let is_left = |column: &Column| {
            !self.keys.contains(&column.name) && !self.assignments.contains(&taken(&column.name))
        };
        columns.iter().any(is_left)
    }

    /// # Errors
    /// `postgresql.no_key` where no unique index has the columns of the key, before anything is done.
    fn find_index(&self, client: &mut Client, table: &Table) -> Result<()> {
        // The index of a view is that of the table behind it.
        if self.keys.is_empty()
            || table.kind == 'v'
            || catalog::has_unique_index(client, table, &self.keys)?
        {
            return Ok(());
        }
        let keys = self.keys.join("\", \"");
        let message = format!("the table \"{}\" has no unique index on \"{keys}\"", table.title());
        Err(Fault::user("postgresql.no_key", message)
            .hint("the index must have these columns and no others, be valid, not partial, and its constraint not deferrable")
            .at("/parameter/uniqueIndexColumns")
            .into())
    }
}

/// The assignment of a column's new value.
fn taken(name: &str) -> String {
    format!("{0} = EXCLUDED.{0}", sql::ident(name))
}

fn assignments(
    parameter: &WriterParameter,
    mode: ConflictMode,
    table: &Table,
    all: &[Column],
    written: &[Column],
    keys: &[String],
) -> Result<Vec<String>, Fault> {
    let named = parameter.update_columns();
    if !named.is_empty() && named != ["*"] {
        return named
            .iter()
            .map(|name| {
                let column = catalog::column(written, name, table, "/parameter/updateColumn")?;
                Ok(taken(&column.name))
            })
            .collect();
    }
    let is_key = |column: &&Column| !keys.contains(&column.name);
    let mut list: Vec<String> = written.iter().filter(is_key).map(|c| taken(&c.name)).collect();
    if mode == ConflictMode::Replace {
        let unwritten = |column: &&Column| !written.iter().any(|w| w.name == column.name);
        let others = all.iter().filter(|column| !column.generated).filter(unwritten);
        list.extend(others.map(|column| format!("{} = DEFAULT", sql::ident(&column.name))));
    }
    if list.is_empty() {
        // A table of keys alone: the row that is there is the same.
        list.push(taken(&keys[0]));
    }
    Ok(list)
}

/// The statement that creates the table for `incoming`.
///
/// # Errors
/// `postgresql.type_unmappable` for a field that no type of PostgreSQL holds.
pub(crate) fn create_table(
    client: &mut Client,
    parameter: &WriterParameter,
    incoming: &Dataset,
) -> Result<String> {
    let text = parameter.table()?;
    let parts = sql::split_name(&text).unwrap_or_default();
    let name: Vec<String> = parts
        .iter()
        .map(|part| part.candidates().pop().unwrap_or_default())
        .map(|name| sql::ident(&name))
        .collect();
    let names = parameter.columns();
    let named = !names.iter().any(|name| name.trim() == "*");
    if named && names.len() != incoming.schema.fields().len() {
        let (fields, columns) = (incoming.schema.fields().len(), names.len());
        let message = format!("{fields} fields come in, but {columns} columns are written");
        return Err(Fault::user("postgresql.column_count", message).at("/parameter/column").into());
    }
    let mut columns = Vec::new();
    let mut key = Vec::new();
    for (index, field) in incoming.schema.fields().iter().enumerate() {
        let column = if named { column_name(&names[index]) } else { field.name().clone() };
        let chosen = parameter.pg_type.get(&column);
        let sql_type = match chosen {
            Some(chosen) => canonical(client, &standard(chosen))?
                .ok_or_else(|| unknown_type(chosen).at(format!("/parameter/pgType/{column}")))?,
            None => column_type(client, field)?,
        };
        if incoming.primary_key.contains(field.name()) {
            key.push(sql::ident(&column));
        }
        columns.push(format!("{} {sql_type}", sql::ident(&column)));
    }
    for name in parameter.partition()?.columns() {
        let column = column_name(name);
        if columns.iter().all(|other: &String| !other.starts_with(&sql::ident(&column))) {
            let sql_type = parameter.pg_type.get(&column).map_or("text", String::as_str);
            let sql_type =
                canonical(client, &standard(sql_type))?.ok_or_else(|| unknown_type(sql_type))?;
            columns.push(format!("{} {sql_type}", sql::ident(&column)));
        }
    }
    if !key.is_empty() && key.len() == incoming.primary_key.len() {
        columns.push(format!("PRIMARY KEY ({})", key.join(", ")));
    }
    Ok(format!("CREATE TABLE {} ({})", name.join("."), columns.join(", ")))
}

/// A type as the server names it, where DataX has a word of its own.
fn standard(name: &str) -> String {
    match name.trim().strip_prefix("double") {
        Some(rest) if rest.is_empty() || rest.starts_with('[') => format!("double precision{rest}"),
        _ => name.to_owned(),
    }
}

fn column_name(written: &str) -> String {
    let part = sql::split_name(written).and_then(|mut parts| parts.pop());
    part.and_then(|part| part.candidates().pop()).unwrap_or_else(|| written.to_owned())
}

fn column_type(client: &mut Client, field: &Field) -> Result<String> {
    if let Some(name) = types::named_type(field)
        && let Some(canonical) = canonical(client, &name)?
    {
        return Ok(canonical);
    }
    types::sql_type(field).ok_or_else(|| {
        let message = format!(
            "no type of PostgreSQL holds the field \"{}\" ({})",
            field.name(),
            field.data_type()
        );
        Fault::user("postgresql.type_unmappable", message)
            .hint("name a type for the column in \"pgType\", or create the table yourself")
            .into()
    })
}

/// The type's name as it may stand in a statement, where the server knows the type. A name comes from
/// a document or a file, so only what the server reads as one type gets through.
fn canonical(client: &mut Client, name: &str) -> Result<Option<String>> {
    let allowed = |c: char| c.is_alphanumeric() || " _.,()[]\"-".contains(c);
    // A minus belongs to a scale; two of them would begin a comment.
    if !name.chars().all(allowed) || name.contains("--") {
        return Ok(None);
    }
    let known = client.query(&format!(
        "SAVEPOINT airlock_type; SELECT pg_catalog.to_regtype({}) IS NOT NULL",
        sql::literal(name)
    ));
    match known {
        Ok(rows) => {
            client.execute("RELEASE SAVEPOINT airlock_type")?;
            let known = rows.first().and_then(|row| row.first()?.as_deref()) == Some("t");
            Ok(known.then(|| name.to_owned()))
        }
        Err(crate::error::Error::Server(_)) => {
            client.execute("ROLLBACK TO SAVEPOINT airlock_type")?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn unknown_type(name: &str) -> Fault {
    Fault::user("postgresql.type_unknown", format!("the server knows no type \"{name}\""))
}
