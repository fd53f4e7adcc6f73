//! The reader: a table or view, in shares, or a query, each streamed by one statement.
//!
//! A plan holds for files that stay as they are: every split is read from the same state, and a file that
//! somebody writes meanwhile ends the run, since no locks can be taken. A share of a rowid, or of a primary
//! key of one column, is read in its order, and a broken read goes on behind the last key.

use std::rc::Rc;
use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};
use database::columns;
use rusqlite::{Connection as Database, Row};
use sdk::{
    Batch, Budget, Configuration, Cursor, Dataset, Fault, Plan, Position, Reader, Result, Rows,
    Split, Splits, Step,
};

use crate::catalog::{self, Column, Seen, Table};
use crate::decode::{Decoder, Form};
use crate::error::{self, VENDOR};
use crate::places::{self, Places, State};
use crate::rows::Stream;
use crate::settings::{Connection, ReaderParameter, Selection};
use crate::splits::{Key, Share, Shares, Token};
use crate::sql;
use crate::types::{Kind, field, kind};

/// A batch at most: large blocks are slow to allocate in a guest.
const BATCH_BYTES: u64 = 512 << 10;
/// Undecodable records of one answer at most.
const UNDECODABLE_MAX: usize = 1000;
/// Of a field, the type that its column is declared with.
const SQLITE_TYPE: &str = "sqlite:type";
/// Rows that decide what a column holds which is declared as nothing.
const SAMPLE_ROWS: usize = 1000;

/// A session with the source.
pub struct SqliteReader {
    places: Places,
    parameter: ReaderParameter,
    /// Opened once a session, for what is not rows.
    database: Option<Database>,
    source: Option<Rc<Source>>,
}

/// What is read.
pub(crate) struct Source {
    table: Option<Table>,
    primary_key: Vec<String>,
    key: Option<Key>,
    filter: Option<String>,
    /// Entries of the select list, or the user's query.
    inner: String,
    columns: Vec<ReadColumn>,
}

struct ReadColumn {
    name: String,
    kind: Kind,
    nullable: bool,
    /// The type that it is declared with, of a column of a table.
    declared: Option<String>,
}

impl Source {
    pub(crate) fn look(
        database: &Database,
        schemas: &[String],
        parameter: &ReaderParameter,
    ) -> Result<Self> {
        let mut source = match parameter.selection()? {
            Selection::Query(query) => {
                let columns = described(database, &query, "/parameter/querySql")?;
                if columns.is_empty() {
                    let message = "the statement of \"querySql\" answers no rows";
                    return Err(Fault::user("parameter.invalid", message).at("/parameter/querySql"));
                }
                Self {
                    table: None,
                    primary_key: Vec::new(),
                    key: None,
                    filter: None,
                    inner: query,
                    columns,
                }
            }
            Selection::Table { table, columns, filter, split_by } => {
                let table = catalog::table(database, schemas, &table)?;
                Self::of_table(database, table, &columns, filter, split_by.as_deref())?
            }
        };
        columns::tell_apart(source.columns.iter_mut().map(|column| &mut column.name));
        for column in &mut source.columns {
            if parameter.is_text(&column.name) {
                column.kind = Kind::Loose;
            }
        }
        source.decide(database)?;
        Ok(source)
    }

    fn of_table(
        database: &Database,
        table: Table,
        wanted: &[String],
        filter: Option<String>,
        split_by: Option<&str>,
    ) -> Result<Self> {
        let all = catalog::columns(database, &table)?;
        let ident = |column: &Column| sql::ident(&column.name);
        let (list, names) = columns::select_list(&all, wanted, catalog::find_column, ident);
        let inner = list.join(", ");
        let statement = format!("SELECT {inner} FROM {}", table.sql());
        let mut columns = described(database, &statement, "/parameter/column")?;
        for ((column, entry), name) in columns.iter_mut().zip(&list).zip(names) {
            match (name, catalog::find_column(&all, entry)) {
                (Some(name), _) => column.name = name,
                (None, Some(of)) => column.nullable = of.nullable,
                (None, None) => {}
            }
        }
        let key = key(&all, &table, split_by)?;
        let primary = catalog::primary_key(&all);
        let is_read = |name: &String| list.contains(&sql::ident(name));
        let primary_key = if primary.iter().all(is_read) { primary } else { Vec::new() };
        Ok(Self { table: Some(table), primary_key, key, filter, inner, columns })
    }

    /// Decides by their values what columns hold that are declared as nothing. What comes behind the
    /// sample and does not fit is told.
    fn decide(&mut self, database: &Database) -> Result<()> {
        if self.columns.iter().all(|column| column.kind != Kind::Any) {
            return Ok(());
        }
        let mut seen = vec![Seen::default(); self.columns.len()];
        let place = if self.table.is_some() { "/parameter/where" } else { "/parameter/querySql" };
        let mut work = || -> rusqlite::Result<()> {
            let mut statement = database.prepare(&self.select(&Share::Whole))?;
            let mut rows = statement.raw_query();
            for _ in 0..SAMPLE_ROWS {
                let Some(row) = rows.next()? else { break };
                for (index, seen) in seen.iter_mut().enumerate() {
                    seen.note(row.get_ref(index)?);
                }
            }
            Ok(())
        };
        work().map_err(error::at(place))?;
        for (column, seen) in self.columns.iter_mut().zip(seen) {
            if column.kind == Kind::Any {
                column.kind = seen.kind();
            }
        }
        Ok(())
    }

    pub(crate) fn dataset(&self) -> Dataset {
        let path = match &self.table {
            Some(table) => vec![table.schema.clone(), table.name.clone()],
            None => vec!["query".to_owned()],
        };
        let fields: Vec<_> = self.columns.iter().map(ReadColumn::field).collect();
        Dataset {
            path,
            schema: Arc::new(Schema::new(fields)),
            primary_key: self.primary_key.clone(),
            metadata: Vec::new(),
        }
    }

    /// Finds what is wrong with the user's own condition, before anything is done to a destination.
    pub(crate) fn try_read(&self, database: &Database) -> Result<()> {
        let statement = self.select(&Share::Whole);
        database.prepare(&statement).map(drop).map_err(error::at("/parameter/where"))
    }

    /// About how many rows the table has, at most.
    fn rows(&self, database: &Database) -> Result<u64> {
        let (Some(table), Some(key)) = (&self.table, &self.key) else { return Ok(0) };
        if !table.has_rowid || !key.is_unique {
            return Ok(0);
        }
        let name = sql::ident(&key.column);
        let statement = format!("SELECT max({name}), min({name}) FROM {}", table.sql());
        // A key that is no number tells nothing.
        let number = |row: &Row<'_>, index| row.get::<_, Option<i64>>(index).unwrap_or_default();
        let (high, low) = database
            .query_row(&statement, [], |row| Ok((number(row, 0), number(row, 1))))
            .map_err(error::fault)?;
        Ok(high.zip(low).map_or(0, |(high, low)| high.abs_diff(low)))
    }

    /// The statement that reads a share.
    fn select(&self, share: &Share) -> String {
        let Some(table) = &self.table else { return self.inner.clone() };
        let order = share.order().map(|key| sql::ident(&key.column));
        let key = order.as_ref().map_or_else(String::new, |name| format!(", {name}"));
        // The line break ends a comment that the condition may end with.
        let filter = self.filter.as_ref().map(|filter| format!("({filter}\n)"));
        let conditions: Vec<String> = filter.into_iter().chain(share.condition()).collect();
        let condition = match conditions.is_empty() {
            true => String::new(),
            false => format!(" WHERE {}", conditions.join(" AND ")),
        };
        let order = order.map_or_else(String::new, |name| format!(" ORDER BY {name}"));
        format!("SELECT {}{key} FROM {}{condition}{order}", self.inner, table.sql())
    }
}

impl ReadColumn {
    fn field(&self) -> Field {
        let field = field(&self.name, self.kind, self.nullable);
        let mut metadata = field.metadata().clone();
        metadata.extend(self.declared.clone().map(|declared| (SQLITE_TYPE.to_owned(), declared)));
        field.with_metadata(metadata)
    }
}

/// The columns that a statement answers.
fn described(database: &Database, statement: &str, place: &str) -> Result<Vec<ReadColumn>> {
    let statement = database.prepare(statement).map_err(error::at(place))?;
    if !statement.readonly() {
        let message = "a reader takes statements that read alone";
        return Err(Fault::user("parameter.invalid", message).at(place));
    }
    let columns = statement.columns();
    let column = |column: rusqlite::Column<'_>| ReadColumn {
        name: column.name().to_owned(),
        kind: column.decl_type().map_or(Kind::Any, kind),
        nullable: true,
        declared: column.decl_type().map(str::to_owned),
    };
    Ok(columns.into_iter().map(column).collect())
}

/// What the table is split by: the column that the user names, the rowid, or the first of the primary key.
fn key(all: &[Column], table: &Table, split_by: Option<&str>) -> Result<Option<Key>> {
    let primary = catalog::primary_key(all);
    let of = |column: &Column| {
        let is_unique = !column.nullable && primary == [column.name.as_str()];
        Key { column: column.name.clone(), nullable: column.nullable, is_unique }
    };
    if let Some(name) = split_by {
        return catalog::column(all, name, table, "/parameter/splitPk")
            .map(|column| Some(of(column)));
    }
    if let Some(column) = catalog::rowid(all, table) {
        return Ok(Some(Key { column, nullable: false, is_unique: true }));
    }
    let first = primary.first().and_then(|name| all.iter().find(|column| column.name == *name));
    Ok(first.filter(|_| !table.is_view).map(of))
}

impl SqliteReader {
    fn database(&mut self) -> Result<&Database> {
        let database = match self.database.take() {
            Some(database) => database,
            None => self.places.open_to_read(self.parameter.session())?,
        };
        Ok(self.database.insert(database))
    }

    fn source(&mut self) -> Result<Rc<Source>> {
        if let Some(source) = &self.source {
            return Ok(source.clone());
        }
        self.database()?;
        let (schemas, parameter) = (self.places.schemas(), &self.parameter);
        let database = self.database.as_ref().ok_or_else(|| VENDOR.lost("it is not open"))?;
        let source = Rc::new(Source::look(database, &schemas, parameter)?);
        self.source = Some(source.clone());
        Ok(source)
    }

    /// # Errors
    /// `sqlite.file_changed`.
    fn check(&self, state: &State) -> Result<()> {
        match self.places.state()? == *state {
            true => Ok(()),
            false => Err(places::changed(self.places.title())),
        }
    }
}

impl Reader for SqliteReader {
    type Cursor = SqliteCursor;

    fn connect(configuration: &Configuration) -> Result<Self> {
        let places = Places::of(&Connection::read(configuration)?);
        let parameter: ReaderParameter = sdk::parameters::parameter(configuration)?;
        parameter.selection()?;
        Ok(Self { places, parameter, database: None, source: None })
    }

    fn plan(&mut self, parallelism: u32, _since: &[Position]) -> Result<Plan> {
        // Before the first look, so that what changes after it is seen.
        self.database()?;
        let state = self.places.state()?;
        let wanted = parallelism.max(1).saturating_mul(self.parameter.split_factor());
        let source = self.source()?;
        let database = self.database()?;
        source.try_read(database)?;
        let rows = source.rows(database)?;
        let start = Shares::new(state, source.key.clone(), rows, wanted).encode();
        Ok(Plan { datasets: vec![source.dataset()], bounded: true, start })
    }

    fn splits(&mut self, at: &[u8], limit: u32) -> Result<Splits> {
        let shares = Shares::decode(at)?;
        self.check(&shares.state)?;
        let source = self.source()?;
        shares.take(self.database()?, source.table.as_ref(), limit)
    }

    fn open(
        &mut self,
        split: Split,
        start: Option<Position>,
        datasets: Vec<Dataset>,
    ) -> Result<SqliteCursor> {
        let Token { state, mut share } = Token::decode(&split.token)?;
        if let Some(start) = start {
            share = share.behind(String::from_utf8_lossy(&start).into_owned());
        }
        self.check(&state)?;
        let source = self.source()?;
        let planned = datasets.first().map(|dataset| dataset.schema.clone());
        let now = source.dataset().schema;
        if !planned.is_some_and(|planned| same_columns(&planned, &now)) {
            return Err(VENDOR.table_changed());
        }
        let database = self.places.open_to_read(self.parameter.session())?;
        let rows = Stream::new(database, &source.select(&share), &source.inner)?;
        let form = Form {
            schema: now,
            kinds: source.columns.iter().map(|column| column.kind).collect(),
            numeric_dates: self.parameter.numeric_dates(),
            has_key: share.order().is_some(),
            label: split.label,
        };
        let (places, decoder) = (self.places.clone(), Decoder::new(form));
        Ok(SqliteCursor { places, state, rows, decoder, ended: false })
    }
}

fn same_columns(a: &SchemaRef, b: &SchemaRef) -> bool {
    let columns = |schema: &SchemaRef| -> Vec<_> {
        schema.fields().iter().map(|f| (f.name().clone(), f.data_type().clone())).collect()
    };
    columns(a) == columns(b)
}

/// Reads one share.
pub struct SqliteCursor {
    places: Places,
    /// How the files are while they are read.
    state: State,
    rows: Stream,
    decoder: Decoder,
    ended: bool,
}

impl SqliteCursor {
    /// Reads as much as one answer holds.
    fn read(&mut self, budget: &Budget) -> Result<()> {
        let rows_max = budget.rows.max(1) as usize;
        let bytes_max = budget.bytes.clamp(1, BATCH_BYTES);
        while !self.ended
            && self.decoder.rows() < rows_max
            && self.decoder.bytes() < bytes_max
            && self.decoder.undecodable() < UNDECODABLE_MAX
        {
            self.ended = !self.rows.next(|row| self.decoder.feed(row))?;
        }
        Ok(())
    }
}

impl Cursor for SqliteCursor {
    fn next(&mut self, budget: Budget) -> Result<Step> {
        let read = self.read(&budget);
        // What was read is of the planned state only where the files still are. A page that is torn by
        // another program's write looks like a damaged file.
        if self.places.state()? != self.state {
            return Err(places::changed(self.places.title()));
        }
        read?;
        if self.decoder.rows() == 0 && self.decoder.undecodable() == 0 {
            return Ok(Step::Ended(None));
        }
        let (batch, undecodable) = self.decoder.batch()?;
        let batches = if batch.num_rows() > 0 { vec![Batch::inserts(batch)] } else { vec![] };
        let position = self.decoder.last_key().map(|key| key.as_bytes().to_vec());
        Ok(Step::Rows(Rows { batches, undecodable, position, ..Rows::default() }))
    }
}
