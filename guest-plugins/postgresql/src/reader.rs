//! The reader: a table, in shares, or a query, each read by one COPY in binary form.
//!
//! All sessions of a run read one snapshot: the session that plans exports it and keeps its
//! transaction open. Where that session is gone (a resumed run), shares are read as they are then,
//! each from a snapshot of its own; ranges of pages then come with a warning, since a row that was
//! changed meanwhile has moved.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_schema::{Schema, SchemaRef};
use codec::postgresql::CopyDecoding;
use database::columns::{Gaps, are_same, select_list};
use database::settings::Selection;
use database::tables::{MissingColumn, Named, about};
use database::walk::{Part, Walk};
use database::watermark::{Found, METADATA, both};
use database::{ANSWER_WAIT, STATEMENT_WAIT};
use sdk::codec::{Decoded, Decoder, Flawed};
use sdk::{
    Batch, Budget, Configuration, Cursor, Dataset, Plan, Position, Reader, Result, Rows, Split,
    Splits, Step, Undecodable, log,
};

use crate::catalog::{self, Column, Table};
use crate::client::{Client, CopyStep};
use crate::columns::{readable, without_gaps};
use crate::cutting::{self, Whole};
use crate::error::{Error, VENDOR};
use crate::settings::{Connection, ReaderParameter};
use crate::splits::{self, Cut, Share, Shares, SplitBy};
use crate::sql;
use crate::tables;
use crate::types::Kind;
use crate::watermark;

/// A batch at most: large blocks are slow to allocate in a guest.
const BATCH_BYTES: u64 = 512 << 10;
/// A COPY that is waited for so long is lost: sorting a large query takes hours.
const SILENCE_MAX: Duration = Duration::from_secs(12 * 3600);

/// What is said, once a session, where the snapshot of the run is gone.
const KEYS_OF_NOW: &str = "the snapshot of the run is gone with the session that planned; the table is read on as it is now";
const PAGES_OF_NOW: &str = "the snapshot of the run is gone with the session that planned, and the table is split by its pages: \
    rows that were changed since the run began may be missing or come twice; name a key in \"splitPk\" to be \
    able to resume safely, or start a new run where the table was written to";

/// A session with the source.
pub struct PostgresReader {
    connection: Connection,
    parameter: ReaderParameter,
    client: Rc<RefCell<Client>>,
    /// The one that was looked up last, and its table where the step reads several.
    source: Option<(Option<String>, Rc<Source>)>,
    /// This session holds the snapshot of the run, in an open transaction.
    holds_snapshot: bool,
    /// The snapshot of the run is known to be gone, which was said.
    snapshot_is_gone: bool,
    /// The cursor that was opened last is in the middle of a COPY.
    copying: Rc<RefCell<bool>>,
}

/// What is read: the inner statement's parts, and its columns.
pub(crate) struct Source {
    table: Option<Table>,
    primary_key: Vec<String>,
    split_by: Option<SplitBy>,
    filter: Option<String>,
    /// `SELECT … FROM …` without a condition, or the user's query.
    inner: String,
    columns: Vec<Column>,
    /// Columns that are NULL.
    gaps: Gaps,
}

impl Source {
    pub(crate) fn look(
        client: &mut Client,
        selection: &Selection,
        missing: MissingColumn,
    ) -> crate::error::Result<Self> {
        match selection {
            Selection::Query(query) => {
                let columns = catalog::columns(client, query)
                    .map_err(|error| error.at("/parameter/querySql"))?;
                Ok(Self {
                    table: None,
                    primary_key: Vec::new(),
                    split_by: None,
                    filter: None,
                    inner: query.clone(),
                    columns: readable(columns),
                    gaps: Gaps::default(),
                })
            }
            Selection::Table { table, columns, filter, split_by } => {
                let table = catalog::table(client, table)?;
                let all = catalog::table_columns(client, &table)?;
                let split_by =
                    split_by.as_ref().map(|name| SplitBy::of(name, &all, &table)).transpose()?;
                let (columns, gaps) = match missing {
                    MissingColumn::Error => (columns.clone(), Gaps::default()),
                    MissingColumn::Null => without_gaps(client, &table, &all, columns)?,
                };
                let ident = |column: &Column| sql::ident(&column.name);
                let (list, names) = select_list(&all, &columns, catalog::find_column, ident);
                let inner = format!("SELECT {} FROM {}", list.join(", "), table.sql());
                let mut columns = catalog::columns(client, &inner)
                    .map_err(|error| error.at("/parameter/column"))?;
                for (column, name) in columns.iter_mut().zip(names) {
                    column.name = name.unwrap_or_else(|| column.name.clone());
                }
                let key = catalog::primary_key(client, &table)?;
                let read = |name: &String| columns.iter().any(|column| column.name == *name);
                let primary_key = if key.iter().all(read) { key } else { Vec::new() };
                Ok(Self {
                    table: Some(table),
                    primary_key,
                    split_by,
                    filter: filter.clone(),
                    inner,
                    columns: readable(columns),
                    gaps,
                })
            }
        }
    }

    pub(crate) fn dataset(&self) -> Dataset {
        let path = match &self.table {
            Some(table) => vec![table.schema.clone(), table.name.clone()],
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

    /// Reads no row, but needs all the rights that reading needs, and finds what is wrong with the
    /// user's own SQL, before anything is done to a destination.
    pub(crate) fn try_read(&self, client: &mut Client) -> crate::error::Result<()> {
        let place = if self.table.is_some() { "/parameter/table" } else { "/parameter/querySql" };
        self.try_one(client, "", place)?;
        let condition = self.filter.as_ref().map(|filter| format!(" WHERE ({filter}\n)"));
        if let Some(condition) = &condition {
            self.try_one(client, condition, "/parameter/where")?;
        }
        if let (Some(SplitBy::Key(key)), Some(table)) = (&self.split_by, &self.table) {
            let (key, table) = (sql::ident(&key.name), table.sql());
            let statement = format!("SELECT {key} FROM {table} ORDER BY {key} LIMIT 0");
            client.query(&statement).map_err(|error| error.at(splits::PLACE))?;
        }
        Ok(())
    }

    /// The shares of a table, or of what is new in it.
    fn shares(
        &self,
        client: &mut Client,
        table: &Table,
        found: Option<(Found, Option<SplitBy>)>,
        wanted: u32,
    ) -> crate::error::Result<Shares> {
        let (window, led_to) = match found {
            Some((Found { window: None, .. }, _)) => {
                return Ok(Shares { cut: Cut::Nothing, ..Shares::whole() });
            }
            Some((found, led_to)) => (found.window, led_to),
            None => (None, None),
        };
        let filter = both(self.filter.as_deref(), window.as_ref());
        let (by, is_asked) = (self.split_by.as_ref().or(led_to.as_ref()), self.split_by.is_some());
        let whole = Whole { table, by, is_asked, filter: filter.as_deref(), wanted };
        let cut = cutting::cut(client, &whole)?;
        // Of what is new the server has no guess.
        let rows = match window {
            Some(_) => None,
            None => cutting::rows_estimate(client, table)?,
        };
        Ok(Shares { cut, window, rows, ..Shares::whole() })
    }

    fn try_one(
        &self,
        client: &mut Client,
        condition: &str,
        place: &str,
    ) -> crate::error::Result<()> {
        let statement = format!("SELECT * FROM ({}{condition}\n) AS airlock LIMIT 0", self.inner);
        client.query(&statement).map(|_| ()).map_err(|error| error.at(place))
    }

    /// The statement that reads a share.
    fn copy(&self, share: &Share) -> String {
        let names: Vec<String> = (0..self.columns.len()).map(|index| format!("c{index}")).collect();
        let values: Vec<String> = names
            .iter()
            .zip(&self.columns)
            .map(|(name, column)| match column.pg.kind {
                Kind::Opaque => format!("{name}::text"),
                _ => name.clone(),
            })
            .collect();
        let filter = self.filter.as_ref().map(|filter| format!("({filter}\n)"));
        let window = share.window.as_ref().map(|window| window.condition.clone());
        let conditions: Vec<String> =
            filter.into_iter().chain(window).chain(share.condition.clone()).collect();
        let condition = match conditions.is_empty() {
            true => String::new(),
            false => format!(" WHERE {}", conditions.join(" AND ")),
        };
        // The line break ends a comment that the user's query may end with.
        format!(
            "COPY (SELECT {} FROM ({}{condition}\n) AS airlock ({})) TO STDOUT (FORMAT binary)",
            values.join(", "),
            self.inner,
            names.join(", ")
        )
    }
}

/// The dataset of a table or query.
pub(crate) fn dataset(path: Vec<String>, columns: &[Column], primary_key: Vec<String>) -> Dataset {
    let fields: Vec<_> =
        columns.iter().map(|column| column.pg.field(&column.name, column.nullable)).collect();
    Dataset { path, schema: Arc::new(Schema::new(fields)), primary_key, metadata: Vec::new() }
}

impl PostgresReader {
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
        let missing = self.parameter.missing_column;
        let source = Source::look(&mut self.client.borrow_mut(), &selection, missing)?;
        let source = Rc::new(source);
        self.source = Some((table.map(str::to_owned), source.clone()));
        Ok(source)
    }

    /// Plans a step that reads several tables: they are looked at now and cut one after another, when
    /// lanes ask for their shares.
    fn plan_several(&mut self, named: &Named, wanted: u32) -> Result<Plan> {
        let snapshot = self.export_snapshot()?;
        let tables = tables::find(&mut self.client.borrow_mut(), named)?;
        let mut found = Vec::with_capacity(tables.len());
        for table in tables {
            let source = self.source(Some(&table.sql())).and_then(|source| {
                source.try_read(&mut self.client.borrow_mut())?;
                Ok(source)
            });
            let source = source.map_err(|fault| about(&table.title(), fault))?;
            found.push((table.sql(), source.dataset()));
        }
        let (walk, datasets) = Walk::plan(found, wanted, snapshot)?;
        Ok(Plan { datasets, bounded: true, start: walk.encode() })
    }

    /// Cuts one of several tables.
    fn cut(&mut self, table: &str, wanted: u32) -> Result<Shares> {
        let source = self.source(Some(table))?;
        let client = &mut self.client.borrow_mut();
        client.allow(STATEMENT_WAIT);
        match &source.table {
            Some(table) if wanted > 1 => Ok(source.shares(client, table, None, wanted)?),
            Some(table) => {
                Ok(Shares { rows: cutting::rows_estimate(client, table)?, ..Shares::whole() })
            }
            None => Ok(Shares::whole()),
        }
    }

    /// Begins a transaction that others can share the snapshot of; where the server doesn't allow it,
    /// there is none, and shares are read from snapshots of their own.
    fn export_snapshot(&mut self) -> Result<Option<String>> {
        let mut client = self.client.borrow_mut();
        let begun = client.query(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_catalog.pg_export_snapshot()",
        );
        match begun {
            Ok(rows) => {
                self.holds_snapshot = true;
                Ok(rows.into_iter().next().and_then(|row| row.into_iter().next().flatten()))
            }
            Err(Error::Server(error)) => {
                log::warn(&format!("no snapshot is shared between splits: {}", error.text()));
                client.execute("ROLLBACK")?;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Begins a transaction on the shared snapshot, or on one of its own where that is gone.
    fn begin(&mut self, snapshot: &str, is_pages: bool) -> Result<()> {
        let mut client = self.client.borrow_mut();
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        if !self.snapshot_is_gone {
            let shared = format!("{begin}; SET TRANSACTION SNAPSHOT {}", sql::literal(snapshot));
            match client.execute(&shared) {
                Ok(_) => return Ok(()),
                Err(Error::Server(_)) => client.execute("ROLLBACK")?,
                Err(error) => return Err(error.into()),
            };
            self.snapshot_is_gone = true;
            log::warn(if is_pages { PAGES_OF_NOW } else { KEYS_OF_NOW });
        }
        client.execute(begin)?;
        Ok(())
    }

    /// A cursor that was dropped in the middle left the connection in a COPY, and a failed one in a
    /// transaction: log in anew, or end it.
    fn clean(&mut self) -> Result<()> {
        if *self.copying.borrow() {
            let client = Client::connect(&self.connection, self.parameter.session())?;
            self.client = Rc::new(RefCell::new(client));
            self.copying = Rc::default();
            self.holds_snapshot = false;
        } else if self.client.borrow().in_transaction() && !self.holds_snapshot {
            self.client.borrow_mut().execute("ROLLBACK")?;
        }
        Ok(())
    }
}

impl Reader for PostgresReader {
    type Cursor = PostgresCursor;

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
            holds_snapshot: false,
            snapshot_is_gone: false,
            copying: Rc::default(),
        })
    }

    fn plan(&mut self, parallelism: u32, since: &[Position]) -> Result<Plan> {
        self.client.borrow_mut().allow(STATEMENT_WAIT);
        let wanted = parallelism.max(1).saturating_mul(self.parameter.split_factor());
        if let Some(named) = self.parameter.several()? {
            return self.plan_several(&named, wanted);
        }
        let snapshot = match self.parameter.selection()? {
            Selection::Table { .. } => self.export_snapshot()?,
            Selection::Query(_) => None,
        };
        let source = self.source(None)?;
        let client = &mut self.client.borrow_mut();
        source.try_read(client)?;
        let mut dataset = source.dataset();
        let shares = match &source.table {
            Some(table) => {
                let filter = source.filter.as_deref();
                let found = match self.parameter.watermark()? {
                    Some(mark) => {
                        let login = self.connection.login()?;
                        Some(watermark::find(client, &login, table, filter, mark, since)?)
                    }
                    None => None,
                };
                if let Some((found, _)) = &found {
                    dataset.metadata.push((METADATA.to_owned(), found.text.clone()));
                }
                Shares { snapshot, ..source.shares(client, table, found, wanted)? }
            }
            None => Shares::whole(),
        };
        Ok(Plan { datasets: vec![dataset], bounded: true, start: shares.encode() })
    }

    fn splits(&mut self, at: &[u8], limit: u32) -> Result<Splits> {
        match Walk::decode(at) {
            Some(walk) => {
                let snapshot = walk.snapshot.clone();
                walk.next(VENDOR, |table, wanted, rest| {
                    let shares = match rest {
                        Some(rest) => Shares::decode(rest)?,
                        None => Shares { snapshot: snapshot.clone(), ..self.cut(table, wanted)? },
                    };
                    Ok(shares.take(limit))
                })
            }
            None => Ok(Shares::decode(at)?.take(limit)),
        }
    }

    fn open(
        &mut self,
        split: Split,
        _start: Option<Position>,
        datasets: Vec<Dataset>,
    ) -> Result<PostgresCursor> {
        let Part { table, dataset, share } = Part::decode(&split.token);
        let share = Share::decode(&share)?;
        let deadline = Instant::now() + ANSWER_WAIT;
        self.client.borrow_mut().wire.deadline = deadline;
        self.clean()?;
        self.client.borrow_mut().wire.deadline = deadline;
        let source = self.source(table.as_deref())?;
        let planned = datasets.get(dataset as usize).map(|dataset| dataset.schema.clone());
        if !planned.is_some_and(|planned| are_same(&planned, &source.dataset().schema)) {
            return Err(VENDOR.table_changed());
        }
        if let Some(snapshot) = share.snapshot.as_deref().filter(|_| !self.holds_snapshot) {
            self.begin(snapshot, share.is_pages)?;
        }
        self.client.borrow_mut().copy_out(&source.copy(&share), &source.inner)?;
        *self.copying.borrow_mut() = true;
        let kinds = source.columns.iter().map(|column| column.pg.kind.clone()).collect();
        let decoder = Decoder::open("postgresql-copy", &CopyDecoding { kinds }, &source.schema())?;
        Ok(PostgresCursor {
            client: self.client.clone(),
            copying: self.copying.clone(),
            ends_transaction: share.snapshot.is_some() && !self.holds_snapshot,
            decoder,
            label: split.label,
            seen: 0,
            source,
            dataset,
            silent: Duration::ZERO,
            ended: false,
            bookmark: share.window.and_then(|window| window.bookmark).map(String::into_bytes),
        })
    }
}

/// Reads one share.
pub struct PostgresCursor {
    source: Rc<Source>,
    dataset: u32,
    client: Rc<RefCell<Client>>,
    copying: Rc<RefCell<bool>>,
    ends_transaction: bool,
    decoder: Decoder,
    /// Where rows come from, for people.
    label: String,
    /// Rows since the beginning of the COPY, undecodable ones included.
    seen: u64,
    /// Waited for since the last row; the time between calls is the host's.
    silent: Duration,
    ended: bool,
    /// Where the next run goes on.
    bookmark: Option<Position>,
}

impl Cursor for PostgresCursor {
    fn next(&mut self, budget: Budget) -> Result<Step> {
        let wait = Duration::from_millis(u64::from(budget.wait_ms)).min(ANSWER_WAIT);
        let deadline = Instant::now() + wait;
        let client = self.client.clone();
        let client = &mut client.borrow_mut();
        client.allow(ANSWER_WAIT);
        let begun = Instant::now();
        if let Some(decoded) = self.decode(client, budget, deadline)? {
            self.silent = Duration::ZERO;
            return self.rows(decoded).map(Step::Rows);
        }
        self.silent += begun.elapsed();
        if !self.ended && self.silent > SILENCE_MAX {
            return Err(VENDOR.lost(format!("silent for {} s", SILENCE_MAX.as_secs())));
        }
        Ok(if self.ended { Step::Ended(self.bookmark.clone()) } else { Step::Idle })
    }
}

impl PostgresCursor {
    /// The next rows within the budget, as many as come until `deadline`; `None` where there are none.
    fn decode(
        &mut self,
        client: &mut Client,
        budget: Budget,
        deadline: Instant,
    ) -> Result<Option<Decoded>> {
        let (rows, size) = (budget.rows.max(1), budget.bytes.clamp(1, BATCH_BYTES));
        while !self.ended {
            let unread = client.unread();
            if !unread.is_empty() {
                let decoded = self.decoder.decode(unread, false, rows, size)?;
                client.pass(decoded.taken);
                if decoded.records > 0 {
                    return Ok(Some(decoded));
                }
            }
            match client.copy_next(deadline)? {
                CopyStep::More => {}
                CopyStep::Done => self.end(client)?,
                CopyStep::Idle => break,
            }
        }
        let rest = self.decoder.decode(&[], self.ended, rows, size)?;
        Ok(Some(rest).filter(|rest| rest.records > 0))
    }

    fn rows(&mut self, decoded: Decoded) -> Result<Rows> {
        let undecodable = |flawed: Flawed| Undecodable {
            dataset: Some(self.dataset),
            origin: format!("{}, row {}", self.label, self.seen + u64::from(flawed.record) + 1),
            data: flawed.data,
            code: flawed.code,
            message: flawed.message,
        };
        let undecodable = decoded.flawed.into_iter().map(undecodable).collect();
        self.seen += u64::from(decoded.records);
        let batch = self.source.gaps.fill(VENDOR, decoded.rows)?;
        let batch = Batch { dataset: self.dataset, ..Batch::inserts(batch) };
        let batches = if batch.rows.num_rows() > 0 { vec![batch] } else { vec![] };
        Ok(Rows { batches, undecodable, ..Rows::default() })
    }

    fn end(&mut self, client: &mut Client) -> Result<()> {
        self.ended = true;
        *self.copying.borrow_mut() = false;
        if self.ends_transaction {
            client.execute("COMMIT")?;
        }
        Ok(())
    }
}
