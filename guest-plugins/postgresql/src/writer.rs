//! The writer: COPY into the table, or through a temporary table where rows meet others, or into a staging
//! table whose rows take the place of those that are there (see `swap`).
//!
//! Rows and mark are committed together; each batch is one COPY behind a savepoint, so that a refused
//! row costs its batch and no more. `prepare` and `finish` run the user's statements once a run, in one
//! transaction each, noted in the mark table. Rows that a failed run committed stay, as with DataX.
//! Where there can be no mark table, a redone task may write rows twice, and statements may be
//! repeated: the mode is then at-least-once.

use std::cell::RefCell;
use std::rc::Rc;

use database::load::LoadMode;
use database::writing::{prepared, single};
use database::{ANSWER_WAIT, STATEMENT_WAIT};
use sdk::codec::Encoder;
use sdk::{
    Configuration, Dataset, Fault, Outcome, Prepared, ReadBack, Result, Run, Task, Writer, log,
};

use crate::back;
use crate::catalog;
use crate::client::Client;
use crate::error::VENDOR;
use crate::marks::{Marks, Once};
use crate::settings::{Connection, WriterParameter};
use crate::sink::PostgresSink;
use crate::swap::{self, Stage};
use crate::target::{self, Target};

/// A lock is waited for a little shorter than an answer, so that the server says what it waits for.
const LOCK_WAIT_MS: &str = "40000";

/// The code for a statement of the user that ends the transaction around it.
const ENDS_TRANSACTION: &str = "postgresql.statement_ends_transaction";

/// A session with the destination.
pub struct PostgresWriter {
    parameter: Rc<WriterParameter>,
    client: Rc<RefCell<Client>>,
    /// Looked up once a session: the table with the types of its fields, and its marks.
    place: Option<(Target, Option<Marks>)>,
    /// The temporary table of an upsert is there.
    staged: bool,
}

impl PostgresWriter {
    fn mark_schema<'a>(&'a self, target: &'a Target) -> &'a str {
        self.parameter.mark_schema.as_deref().unwrap_or(&target.table.schema)
    }

    /// In the open transaction: creates the table where it is absent and wanted.
    fn create_table(&self, client: &mut Client, incoming: &Dataset) -> crate::error::Result<()> {
        if !self.parameter.creates_table()
            || catalog::find_table(client, &self.parameter.table()?)?.is_some()
        {
            return Ok(());
        }
        let statement = target::create_table(client, &self.parameter, incoming)?;
        log::info(&format!("creates the table: {statement}"));
        client.execute(&statement).map(|_| ())
    }

    /// In the open transaction: the run's own statements.
    fn statements(&self, client: &mut Client, list: &[String], place: &str) -> Result<()> {
        let table = self.parameter.table()?;
        for (index, statement) in list.iter().enumerate() {
            let at = format!("{place}/{index}");
            let statement = statement.replace("@table", &table);
            client.execute(&statement).map_err(|error| Fault::from(error).at(&at))?;
            if !client.in_transaction() {
                let message = "the statement ends the transaction that it is run in";
                return Err(Fault::user(ENDS_TRANSACTION, message)
                    .hint("leave COMMIT and ROLLBACK out; all statements are one transaction")
                    .at(at));
            }
        }
        Ok(())
    }

    /// Whether a fault of the destination may be gone when preSql was run.
    fn may_be_made_by_pre_sql(&self, fault: &Fault) -> bool {
        const MADE: [&str; 5] = [
            "postgresql.table_not_found",
            "postgresql.schema_not_found",
            "postgresql.column_not_found",
            "postgresql.column_count",
            "postgresql.no_key",
        ];
        !self.parameter.pre_sql().is_empty() && MADE.contains(&fault.code.as_str())
    }

    /// The schema for the mark table, before the table itself may be there.
    fn mark_schema_before(&self, client: &mut Client) -> crate::error::Result<Option<String>> {
        if let Some(schema) = &self.parameter.mark_schema {
            return Ok(Some(schema.clone()));
        }
        let name = self.parameter.table()?;
        if let Some(table) = catalog::find_table(client, &name)? {
            return Ok(Some(table.schema));
        }
        let mut parts = crate::sql::split_name(&name).unwrap_or_default();
        parts.pop();
        if let Some(schema) = parts.pop() {
            return Ok(schema.candidates().pop());
        }
        let rows = client.query("SELECT pg_catalog.current_schema()")?;
        Ok(rows.into_iter().next().and_then(|row| row.into_iter().next().flatten()))
    }

    fn look(&self, client: &mut Client, incoming: &Dataset) -> crate::error::Result<Target> {
        let mut target = Target::look(client, &self.parameter)?;
        target.adapt(incoming)?;
        Ok(target)
    }

    /// In the open transaction, once a run: puts the staged rows in the place of those that are there.
    fn swap(&self, client: &mut Client, marks: &Marks, run: &Run) -> Result<()> {
        if self.parameter.load_mode() == LoadMode::Append {
            return Ok(());
        }
        let Target { table, all, swap, .. } = Target::look(client, &self.parameter)?;
        match swap {
            Some(swap) => Ok(swap.finish(client, marks, &table, &all, run)?),
            None => Ok(()),
        }
    }

    /// `prepare` inside of its transaction.
    fn prepare_once(
        &self,
        client: &mut Client,
        marks: Option<&Marks>,
        run: &Run,
        incoming: &Dataset,
    ) -> Result<Target> {
        let once = match marks {
            Some(marks) => marks.prepare(client, run)?,
            None => Once::Now,
        };
        if once == Once::DoneBefore {
            return Ok(self.look(client, incoming)?);
        }
        self.create_table(client, incoming)?;
        self.statements(client, self.parameter.pre_sql(), "/parameter/preSql")?;
        let target = self.look(client, incoming)?;
        if let Some(marks) = marks {
            marks.note_table(client, run, &target.table)?;
            if let Some(swap) = &target.swap {
                swap.prepare(client, marks, &target.table, &target.columns, run)?;
            }
        }
        Ok(target)
    }
}

/// Changes lock_timeout, in milliseconds, where it is `from`; one of the user's own stays.
fn lock_timeout(from: &str, to: &str) -> String {
    format!(
        "SELECT pg_catalog.set_config(name, '{to}', false) FROM pg_catalog.pg_settings \
         WHERE name = 'lock_timeout' AND setting = '{from}'"
    )
}

/// A swap without marks could neither be resumed nor ended once.
fn needs_marks() -> Fault {
    let message = "replacing rows takes a schema where this role may create tables";
    Fault::external("postgresql.swap_needs_schema", message)
        .hint("name one in \"markSchema\", or grant CREATE on the table's own")
        .at("/parameter/loadMode")
}

/// Runs `work`, which notes in `marks` that it is done, in a transaction that is committed where it
/// succeeds.
fn noted<T>(
    client: &mut Client,
    marks: Option<&Marks>,
    run: &Run,
    work: impl FnOnce(&mut Client) -> Result<T>,
) -> Result<T> {
    client.execute("BEGIN")?;
    match work(client) {
        Ok(answer) => {
            client.execute("COMMIT")?;
            Ok(answer)
        }
        Err(fault) => {
            // Where the connection is gone, the server rolls back by itself.
            let _ = client.execute("ROLLBACK");
            if let (ENDS_TRANSACTION, Some(marks)) = (fault.code.as_str(), marks) {
                // The user's COMMIT has taken the note along, but not all is done.
                marks.forget(client, run)?;
            }
            Err(fault)
        }
    }
}

impl Writer for PostgresWriter {
    type Sink = PostgresSink;

    fn connect(configuration: &Configuration) -> Result<Self> {
        let parameter: WriterParameter = sdk::parameters::parameter(configuration)?;
        parameter.table()?;
        parameter.unique_index()?;
        parameter.partition()?;
        let client = Client::connect(&Connection::read(configuration)?, parameter.session())?;
        Ok(Self {
            parameter: Rc::new(parameter),
            client: Rc::new(RefCell::new(client)),
            place: None,
            staged: false,
        })
    }

    fn prepare(&mut self, run: &Run, datasets: Vec<Dataset>) -> Result<Prepared> {
        let incoming = single(VENDOR, datasets)?;
        let client = &mut self.client.borrow_mut();
        client.allow(STATEMENT_WAIT);
        let marks = match self.mark_schema_before(client)? {
            Some(schema) => Marks::ensure(client, &schema)?,
            None => None,
        };
        let mode = self.parameter.load_mode();
        if marks.is_none() {
            if mode == LoadMode::Swap {
                return Err(needs_marks());
            }
            log::warn(
                "the table _airlock_commit can't be created: a redone task may write rows twice",
            );
        }
        let target = noted(client, marks.as_ref(), run, |client| {
            self.prepare_once(client, marks.as_ref(), run, &incoming)
        })?;
        Ok(prepared(target.dataset(), marks.is_some(), mode))
    }

    /// A table that is yet to be created is created and rolled back, so that the answer is the real
    /// one and missing rights show. What preSql may still make is not missed: `prepare` looks again.
    fn preview(&mut self, datasets: Vec<Dataset>) -> Result<Prepared> {
        let incoming = single(VENDOR, datasets)?;
        let client = &mut self.client.borrow_mut();
        client.allow(STATEMENT_WAIT);
        let has_marks = match self.mark_schema_before(client)? {
            Some(schema) => Marks::possible(client, &schema)?,
            None => false,
        };
        let mode = self.parameter.load_mode();
        if mode == LoadMode::Swap && !has_marks {
            return Err(needs_marks());
        }
        client.execute("BEGIN")?;
        let target = self
            .create_table(client, &incoming)
            .and_then(|()| self.look(client, &incoming))
            .map_err(Fault::from);
        client.execute("ROLLBACK")?;
        match target {
            Ok(target) => Ok(prepared(target.dataset(), has_marks, mode)),
            Err(fault) if self.may_be_made_by_pre_sql(&fault) => {
                log::warn(&format!(
                    "{}; preSql is not run for a plan and may make it, so columns and types are judged once it was run",
                    fault.message
                ));
                Ok(prepared(incoming, has_marks, mode))
            }
            Err(fault) => Err(fault),
        }
    }

    fn open(&mut self, task: Task, datasets: Vec<Dataset>) -> Result<PostgresSink> {
        let incoming = single(VENDOR, datasets)?;
        let client = &mut self.client.borrow_mut();
        client.allow(ANSWER_WAIT);
        if client.in_transaction() {
            client.execute("ROLLBACK")?;
        }
        let (mut target, marks) = match &self.place {
            Some(place) => place.clone(),
            None => {
                client.query(&lock_timeout("0", LOCK_WAIT_MS))?;
                let mut target = Target::look(client, &self.parameter)?;
                let marks = Marks::find(client, self.mark_schema(&target))?;
                if let Some(marks) = &marks {
                    marks.check_table(client, &task.run, &target.table)?;
                }
                if target.swap.is_some() {
                    let marks = marks.as_ref().ok_or_else(needs_marks)?;
                    marks.check_open(client, &task.run)?;
                    let stage = Stage::of(client, marks.schema(), &target.table, &task.run)?;
                    stage.hold(client)?;
                    target.stage = Some(stage);
                }
                self.place = Some((target.clone(), marks.clone()));
                (target, marks)
            }
        };
        target.adapt(&incoming)?;
        if target.upsert.is_some() && !self.staged {
            client.execute(&target.create_stage())?;
            self.staged = true;
        }
        let committed = match &marks {
            Some(marks) => marks.claim(client, &task.run, task.index, task.epoch)?,
            None => None,
        };
        let xids = match (&marks, task.verify) {
            (Some(marks), true) if target.swap.is_none() => {
                Some(marks.xids(client, &task.run, task.index)?)
            }
            _ => None,
        };
        let encoding = target.encoding(self.parameter.empty_as_null());
        let encoder = Encoder::open("postgresql-copy", &encoding, &incoming.schema)?;
        let place = (target, marks);
        Ok(PostgresSink::new(self.client.clone(), place, task, committed, xids, encoder))
    }

    fn read_back(
        &mut self,
        _run: &Run,
        datasets: Vec<Dataset>,
        receipts: Vec<Vec<u8>>,
    ) -> Result<ReadBack> {
        let dataset = single(VENDOR, datasets)?;
        let client = &mut self.client.borrow_mut();
        client.allow(STATEMENT_WAIT);
        let marks = match self.mark_schema_before(client)? {
            Some(schema) => Marks::possible(client, &schema)?,
            None => false,
        };
        if !marks {
            let why =
                "there can be no table _airlock_commit, so nobody knows which rows are the run's";
            return Ok(ReadBack::Impossible(why.into()));
        }
        let target = match catalog::find_table(client, &self.parameter.table()?)? {
            Some(_) => Some(Target::look(client, &self.parameter)?),
            None => None,
        };
        back::read_back(&self.parameter, target.as_ref(), &dataset, &receipts)
    }

    fn finish(&mut self, run: &Run, outcome: Outcome, _receipts: Vec<Vec<u8>>) -> Result<()> {
        let client = &mut self.client.borrow_mut();
        client.allow(STATEMENT_WAIT);
        if client.in_transaction() {
            client.execute("ROLLBACK")?;
        }
        client.query(&lock_timeout(LOCK_WAIT_MS, "0"))?;
        let marks = match self.mark_schema_before(client)? {
            Some(schema) => Marks::find(client, &schema)?,
            None => None,
        };
        match (outcome, &marks) {
            (Outcome::Succeeded, Some(marks)) => noted(client, Some(marks), run, |client| {
                if marks.finish(client, run)? == Once::Now {
                    self.swap(client, marks, run)?;
                    self.statements(client, self.parameter.post_sql(), "/parameter/postSql")?;
                }
                Ok(marks.clean(client, run)?)
            }),
            (Outcome::Failed, Some(marks)) => noted(client, None, run, |client| {
                marks.finish(client, run)?;
                swap::discard(client, marks.schema(), run)?;
                Ok(marks.clean(client, run)?)
            }),
            (Outcome::Succeeded, None) => noted(client, None, run, |client| {
                self.statements(client, self.parameter.post_sql(), "/parameter/postSql")
            }),
            (Outcome::Failed, None) => Ok(()),
        }
    }
}
