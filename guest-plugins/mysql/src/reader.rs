//! The reader: a table, in shares, or a query, each streamed by one prepared statement.
//!
//! Each share is one statement, and so of one moment; sessions of this server cannot share a snapshot,
//! so rows that are written during a run may be seen by some shares and not by others. A share of a
//! primary key of one column is read in its order, and a broken read goes on behind the last key.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_schema::{Schema, SchemaRef};
use database::columns::{self, Gaps, are_same};
use database::settings::Selection;
use database::tables::{MissingColumn, Named, about};
use database::walk::{Part, Walk};
use database::watermark::{METADATA, PLACE, Watermark};
use database::{ANSWER_WAIT, STATEMENT_WAIT};
use sdk::{
    Batch, Budget, Configuration, Cursor, Dataset, Fault, Plan, Position, Reader, Result, Rows,
    Split, Splits, Step, log,
};

use crate::catalog::{self, Column, Table};
use crate::client::{Client, RowStep};
use crate::decode::{Gathered, RowReader};
use crate::error::{VENDOR, broken};
use crate::settings::{Connection, ReaderParameter};
use crate::splits::{Key, Keys, Share, Shares};
use crate::types::{Definition, Kind};
use crate::{sql, watermark};

/// A batch at most: large blocks are slow to allocate in a guest.
const BATCH_BYTES: u64 = 512 << 10;
/// A query that is waited for so long is lost: sorting a large one takes hours.
const SILENCE_MAX: Duration = Duration::from_secs(12 * 3600);
const SPLIT_PLACE: &str = "/parameter/splitPk";

/// A session with the source.
pub struct MysqlReader {
    connection: Connection,
    parameter: ReaderParameter,
    client: Rc<RefCell<Client>>,
    /// The one that was looked up last, and its table where the step reads several.
    source: Option<(Option<String>, Rc<Source>)>,
    /// The cursor that was opened last is in the middle of its rows.
    streaming: Rc<RefCell<bool>>,
}

/// What is read.
pub(crate) struct Source {
    table: Option<Table>,
    primary_key: Vec<String>,
    keys: Option<Keys>,
    filter: Option<String>,
    /// Entries of the select list, or the user's query.
    inner: String,
    columns: Vec<Definition>,
    /// Columns that are NULL.
    gaps: Gaps,
}

impl Source {
    pub(crate) fn look(
        client: &mut Client,
        parameter: &ReaderParameter,
        selection: &Selection,
    ) -> crate::error::Result<Self> {
        match selection {
            Selection::Query(query) => {
                let columns =
                    client.describe(query).map_err(|error| error.at("/parameter/querySql"))?;
                if columns.is_empty() {
                    let message = "the statement of \"querySql\" answers no rows";
                    return Err(Fault::user("parameter.invalid", message)
                        .at("/parameter/querySql")
                        .into());
                }
                Ok(Self {
                    table: None,
                    primary_key: Vec::new(),
                    keys: None,
                    filter: None,
                    inner: query.clone(),
                    columns: readable(columns, parameter.zero_is_null()),
                    gaps: Gaps::default(),
                })
            }
            Selection::Table { table, columns, filter, split_by } => {
                let table = catalog::table(client, table)?;
                let all = catalog::columns(client, &table)?;
                let (columns, gaps) = match parameter.missing_column {
                    MissingColumn::Error => (columns.clone(), Gaps::default()),
                    MissingColumn::Null => catalog::without_gaps(client, &table, &all, columns)?,
                };
                let ident = |column: &Column| sql::ident(&column.name);
                let (list, names) =
                    columns::select_list(&all, &columns, catalog::find_column, ident);
                let inner = list.join(", ");
                let statement = format!("SELECT {inner} FROM {}", table.sql());
                let mut columns =
                    client.describe(&statement).map_err(|error| error.at("/parameter/column"))?;
                for ((column, name), entry) in columns.iter_mut().zip(names).zip(&list) {
                    match name {
                        Some(name) => column.name = name,
                        None => column.declared = declared(&all, entry),
                    }
                }
                let primary = catalog::primary_key(client, &table)?;
                let keys = split_column(&all, &primary, &table, split_by.as_deref())?
                    .map(|column| keys(&all, &primary, column));
                let columns = readable(columns, parameter.zero_is_null());
                let read = |name: &String| columns.iter().any(|column| column.name == *name);
                let primary_key = if primary.iter().all(read) { primary } else { Vec::new() };
                let filter = filter.clone();
                Ok(Self { table: Some(table), primary_key, keys, filter, inner, columns, gaps })
            }
        }
    }

    pub(crate) fn dataset(&self) -> Dataset {
        let path = match &self.table {
            Some(table) => vec![table.database.clone(), table.name.clone()],
            None => vec!["query".to_owned()],
        };
        let mut dataset = dataset(path, &self.columns, self.primary_key.clone());
        dataset.schema = self.gaps.schema(dataset.schema);
        dataset
    }

    /// Of the columns that are read.
    fn schema(&self) -> SchemaRef {
        dataset(Vec::new(), &self.columns, Vec::new()).schema
    }

    /// All shares, of which the lanes want so many.
    fn shares(&self, wanted: u32) -> Shares {
        Shares::new(self.table.as_ref(), self.keys.clone(), wanted)
    }

    /// Reads no row, but needs the rights that reading needs, and finds what is wrong with the user's
    /// own condition, before anything is done to a destination.
    pub(crate) fn try_read(&self, client: &mut Client) -> crate::error::Result<()> {
        let Some(table) = &self.table else { return Ok(()) };
        let statement = format!("SELECT {} FROM {}", self.inner, table.sql());
        client
            .query(&format!("{statement} LIMIT 0"))
            .map_err(|error| error.at("/parameter/table"))?;
        if let Some(filter) = &self.filter {
            client
                .query(&format!("{statement} WHERE ({filter}\n) LIMIT 0"))
                .map_err(|error| error.at("/parameter/where"))?;
        }
        Ok(())
    }

    /// The statement that reads a share.
    fn select(&self, share: &Share) -> Result<String> {
        let Some(table) = &self.table else { return Ok(self.inner.clone()) };
        let order = share.order();
        let text = order.map_or_else(String::new, |key| format!(", {}", key.text()));
        // The line break ends a comment that the condition may end with.
        let filter = self.filter.as_ref().map(|filter| format!("({filter}\n)"));
        let conditions: Vec<String> = filter.into_iter().chain(share.condition()?).collect();
        let condition = match conditions.is_empty() {
            true => String::new(),
            false => format!(" WHERE {}", conditions.join(" AND ")),
        };
        let order =
            order.map_or_else(String::new, |key| format!(" ORDER BY {}", sql::ident(&key.column)));
        Ok(format!("SELECT {}{text} FROM {}{condition}{order}", self.inner, table.sql()))
    }
}

/// The type in SQL of a column.
pub(crate) fn declared(all: &[Column], name: &str) -> Option<String> {
    catalog::find_column(all, name).map(|column| column.sql_type.clone())
}

/// The dataset of a table or query.
pub(crate) fn dataset(
    path: Vec<String>,
    columns: &[Definition],
    primary_key: Vec<String>,
) -> Dataset {
    let fields: Vec<_> = columns.iter().map(Definition::field).collect();
    Dataset { path, schema: Arc::new(Schema::new(fields)), primary_key, metadata: Vec::new() }
}

/// The column that the table is split by: the one that the user names, or the first of the primary key.
fn split_column<'a>(
    all: &'a [Column],
    primary: &[String],
    table: &Table,
    split_by: Option<&str>,
) -> Result<Option<&'a Column>> {
    match split_by {
        Some(name) => {
            let column = catalog::column(all, name, table, SPLIT_PLACE)?;
            if !column.is_key() {
                let message =
                    format!("a table can't be split by a column of type {}", column.sql_type);
                return Err(Fault::user("mysql.split_column", message)
                    .hint("integers, decimals, dates and texts can be split by")
                    .at(SPLIT_PLACE));
            }
            Ok(Some(column))
        }
        None => {
            let first = primary.first().and_then(|name| all.iter().find(|c| c.name == *name));
            Ok(first.filter(|column| column.is_key()))
        }
    }
}

/// A column that the table is split by, and the column of the primary key that rows with one value of it
/// are split by.
fn keys(all: &[Column], primary: &[String], column: &Column) -> Keys {
    let key = |column: &Column| Key::new(column, primary == [column.name.as_str()]);
    let mut others = primary.iter().filter(|name| **name != column.name);
    let second = others.find_map(|name| all.iter().find(|c| c.name == *name && c.is_key()));
    Keys { first: key(column), second: second.map(key) }
}

/// Columns with names of their own. A date that may become NULL may be it.
fn readable(mut columns: Vec<Definition>, zero_is_null: bool) -> Vec<Definition> {
    columns::tell_apart(columns.iter_mut().map(|column| &mut column.name));
    for column in &mut columns {
        let is_date = matches!(column.kind, Kind::Date | Kind::DateTime | Kind::Timestamp);
        column.nullable |= zero_is_null && is_date;
    }
    columns
}

impl MysqlReader {
    /// What is read; of `table`, where the step reads several.
    fn source(&mut self, table: Option<&str>) -> Result<Rc<Source>> {
        if let Some((known, source)) = &self.source
            && known.as_deref() == table
        {
            return Ok(source.clone());
        }
        let selection = match table {
            Some(table) => self.parameter.table_selection(table),
            None => self.parameter.selection()?,
        };
        let source = Source::look(&mut self.client.borrow_mut(), &self.parameter, &selection)?;
        let source = Rc::new(source);
        self.source = Some((table.map(str::to_owned), source.clone()));
        Ok(source)
    }

    /// Plans a step that reads several tables: they are looked at now and cut one after another, when
    /// lanes ask for their shares.
    fn plan_several(&mut self, named: &Named, wanted: u32) -> Result<Plan> {
        let tables = catalog::named(&mut self.client.borrow_mut(), named)?;
        let mut found = Vec::with_capacity(tables.len());
        for table in tables {
            let source = self.source(Some(&table.sql())).and_then(|source| {
                source.try_read(&mut self.client.borrow_mut())?;
                Ok(source)
            });
            let source = source.map_err(|fault| about(&table.title(), fault))?;
            found.push((table.sql(), source.dataset()));
        }
        let (walk, datasets) = Walk::plan(found, wanted, None)?;
        Ok(Plan { datasets, bounded: true, start: walk.encode() })
    }

    /// The shares of what is new in a table, and what people see of it.
    fn new_shares(
        &mut self,
        source: &Source,
        table: &Table,
        mark: &Watermark,
        wanted: u32,
        since: &[Position],
    ) -> Result<(Shares, String)> {
        let client = &mut self.client.borrow_mut();
        let all = catalog::columns(client, table)?;
        let column = catalog::column(&all, &mark.column, table, &format!("{PLACE}/column"))?;
        let login = self.connection.login()?;
        let of = (column, source.filter.as_deref());
        let found = watermark::find(client, &login, table, of, mark, since)?;
        let Some(window) = found.window else { return Ok((Shares::nothing(), found.text)) };
        // Where an index leads to what is new, it is split by it.
        let is_led =
            !self.parameter.names_split() && catalog::leads_an_index(client, table, &column.name)?;
        let keys = match is_led {
            true => Some(keys(&all, &catalog::primary_key(client, table)?, column)),
            false => source.keys.clone(),
        };
        Ok((Shares::new(Some(table), keys, wanted).within(window), found.text))
    }

    /// The next of the shares that are left, of `table` where the step reads several.
    fn take(&mut self, table: Option<&str>, shares: Shares, limit: u32) -> Result<Splits> {
        let source = self.source(table)?;
        shares.take(&mut self.client.borrow_mut(), source.table.as_ref(), limit)
    }

    /// A cursor that was dropped in the middle left rows on the way: log in anew.
    fn clean(&mut self) -> Result<()> {
        if *self.streaming.borrow() {
            let client = Client::connect(&self.connection, self.parameter.session())?;
            self.client = Rc::new(RefCell::new(client));
            self.streaming = Rc::default();
        }
        Ok(())
    }
}

impl Reader for MysqlReader {
    type Cursor = MysqlCursor;

    fn connect(configuration: &Configuration) -> Result<Self> {
        let connection = Connection::read(configuration)?;
        let parameter: ReaderParameter = sdk::parameters::parameter(configuration)?;
        parameter.judge()?;
        let client = Client::connect(&connection, parameter.session())?;
        Ok(Self {
            connection,
            parameter,
            client: Rc::new(RefCell::new(client)),
            source: None,
            streaming: Rc::default(),
        })
    }

    fn plan(&mut self, parallelism: u32, since: &[Position]) -> Result<Plan> {
        self.client.borrow_mut().allow(STATEMENT_WAIT);
        if self.parameter.wants_read_only() {
            log::warn(
                "useReadOnly chooses no server: the one that the data source names is read; name a read-only one there",
            );
        }
        let wanted = parallelism.max(1).saturating_mul(self.parameter.split_factor());
        if let Some(named) = self.parameter.several()? {
            return self.plan_several(&named, wanted);
        }
        let source = self.source(None)?;
        source.try_read(&mut self.client.borrow_mut())?;
        let mut dataset = source.dataset();
        let mark = self.parameter.watermark()?.cloned();
        let shares = match (mark, &source.table) {
            (Some(mark), Some(table)) => {
                let (shares, text) = self.new_shares(&source, table, &mark, wanted, since)?;
                dataset.metadata.push((METADATA.to_owned(), text));
                shares
            }
            _ => source.shares(wanted),
        };
        Ok(Plan { datasets: vec![dataset], bounded: true, start: shares.encode() })
    }

    fn splits(&mut self, at: &[u8], limit: u32) -> Result<Splits> {
        self.client.borrow_mut().allow(ANSWER_WAIT);
        self.clean()?;
        match Walk::decode(at) {
            Some(walk) => walk.next(VENDOR, |table, wanted, rest| {
                let shares = match rest {
                    Some(rest) => Shares::decode(rest)?,
                    None => self.source(Some(table))?.shares(wanted),
                };
                self.take(Some(table), shares, limit)
            }),
            None => self.take(None, Shares::decode(at)?, limit),
        }
    }

    fn open(
        &mut self,
        split: Split,
        start: Option<Position>,
        datasets: Vec<Dataset>,
    ) -> Result<MysqlCursor> {
        let Part { table, dataset, share } = Part::decode(&split.token);
        let mut share = Share::decode(&share)?;
        if let Some(start) = start {
            share = share.behind(String::from_utf8_lossy(&start).into_owned());
        }
        self.client.borrow_mut().allow(ANSWER_WAIT);
        self.clean()?;
        let source = self.source(table.as_deref())?;
        let planned = datasets.get(dataset as usize).map(|dataset| dataset.schema.clone());
        if !planned.is_some_and(|planned| are_same(&planned, &source.dataset().schema)) {
            return Err(VENDOR.table_changed());
        }
        let kinds = source.columns.iter().map(|column| column.kind).collect();
        let more = (share.order().is_some(), self.parameter.zero_is_null());
        let rows = RowReader::new(source.schema(), kinds, more, split.label)?;
        self.client.borrow_mut().stream(&source.select(&share)?, &source.inner)?;
        *self.streaming.borrow_mut() = true;
        Ok(MysqlCursor {
            client: self.client.clone(),
            streaming: self.streaming.clone(),
            rows,
            source,
            dataset,
            bookmark: share.window.and_then(|window| window.bookmark).map(String::into_bytes),
            silent: Duration::ZERO,
            ended: false,
        })
    }
}

/// Reads one share.
pub struct MysqlCursor {
    source: Rc<Source>,
    dataset: u32,
    /// Where the next run goes on.
    bookmark: Option<Position>,
    client: Rc<RefCell<Client>>,
    streaming: Rc<RefCell<bool>>,
    rows: RowReader,
    /// Waited for since the last row; the time between calls is the host's.
    silent: Duration,
    ended: bool,
}

impl Cursor for MysqlCursor {
    fn next(&mut self, budget: Budget) -> Result<Step> {
        let wait = Duration::from_millis(u64::from(budget.wait_ms)).min(ANSWER_WAIT);
        let begun = Instant::now();
        let client = self.client.clone();
        let client = &mut client.borrow_mut();
        client.allow(ANSWER_WAIT);
        if let Some(gathered) = self.gather(client, budget, begun + wait)? {
            self.silent = Duration::ZERO;
            return self.rows(gathered).map(Step::Rows);
        }
        self.silent += begun.elapsed();
        if !self.ended && self.silent > SILENCE_MAX {
            return Err(VENDOR.lost(format!("silent for {} s", SILENCE_MAX.as_secs())));
        }
        Ok(if self.ended { Step::Ended(self.bookmark.clone()) } else { Step::Idle })
    }
}

impl MysqlCursor {
    /// The next rows within the budget, as many as come until `deadline`; `None` where there are none.
    fn gather(
        &mut self,
        client: &mut Client,
        budget: Budget,
        deadline: Instant,
    ) -> Result<Option<Gathered>> {
        let (rows, size) = (budget.rows.max(1), budget.bytes.clamp(1, BATCH_BYTES));
        while !self.ended {
            match client.next_rows(deadline)? {
                RowStep::Rows => {
                    let (taken, gathered) = self.rows.read(client.unread(), rows, size)?;
                    client.pass(taken);
                    if gathered.is_some() {
                        return Ok(gathered);
                    }
                    if taken == 0 {
                        return Err(broken("a packet that is no row"));
                    }
                }
                RowStep::Done => {
                    self.ended = true;
                    *self.streaming.borrow_mut() = false;
                }
                RowStep::Idle => break,
            }
        }
        Ok(self.rows.read(&[], rows, size)?.1)
    }

    fn rows(&mut self, gathered: Gathered) -> Result<Rows> {
        let Gathered { rows, mut undecodable, nulled } = gathered;
        undecodable.iter_mut().for_each(|record| record.dataset = Some(self.dataset));
        let batch = self.source.gaps.fill(VENDOR, rows)?;
        let batch = Batch { dataset: self.dataset, ..Batch::inserts(batch) };
        let batches = if batch.rows.num_rows() > 0 { vec![batch] } else { vec![] };
        let position = self.rows.last_key().map(|key| key.as_bytes().to_vec());
        Ok(Rows { batches, undecodable, nulled, position, ..Rows::default() })
    }
}
