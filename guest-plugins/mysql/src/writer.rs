//! The writer: rows that are loaded or inserted, in the transaction of their mark; or into a staging table
//! whose rows take the place of those that are there (see `swap`).
//!
//! Rows and mark are committed together; each batch stands behind a savepoint, so that a refused row
//! costs its batch and no more. Nothing is cut in silence: sessions are strict, what the server would
//! still change is found before it is sent, and its warnings are read. `prepare` and `finish` run the
//! user's statements once a run, noted in the mark table; DDL commits by itself here, so a run that is
//! killed among them may repeat them. Where the engine knows no transactions (MyISAM), rows are written
//! one by one, and a redone task may write rows twice: the mode is then at-least-once.

use std::cell::RefCell;
use std::rc::Rc;

use database::load::LoadMode;
use database::writing::{prepared, single};
use database::{ANSWER_WAIT, STATEMENT_WAIT};
use sdk::{
    Back, Configuration, Dataset, Fault, Form, Outcome, Prepared, ReadBack, Result, Run, Task,
    Writer, log,
};

use crate::back::{self, Before};
use crate::catalog::{self, text};
use crate::client::Client;
use crate::error::{Error, VENDOR};
use crate::marks::Marks;
use crate::settings::{Connection, WriterParameter};
use crate::sink::MysqlSink;
use crate::swap;
use crate::target::{self, Target};

/// A session with the destination.
pub struct MysqlWriter {
    parameter: Rc<WriterParameter>,
    client: Rc<RefCell<Client>>,
    /// Looked up once a session: the table, and its marks.
    place: Option<(Target, Option<Marks>)>,
}

impl MysqlWriter {
    /// The table that is to be created, where it is absent and wanted, and the statement for it.
    fn absent(
        &self,
        client: &mut Client,
        incoming: &Dataset,
    ) -> crate::error::Result<Option<(Target, String)>> {
        if !self.parameter.creates_table()
            || catalog::find_table(client, &self.parameter.table()?)?.is_some()
        {
            return Ok(None);
        }
        target::create(client, &self.parameter, incoming).map(Some)
    }

    /// The run's own statements.
    fn statements(&self, client: &mut Client, list: &[String], place: &str) -> Result<()> {
        let table = self.parameter.table()?;
        for (index, statement) in list.iter().enumerate() {
            let statement = statement.replace("@table", &table);
            client.execute(&statement).map_err(|error| error.at(&format!("{place}/{index}")))?;
        }
        Ok(())
    }

    /// Whether a fault of the destination may be gone when preSql was run.
    fn may_be_made_by_pre_sql(&self, fault: &Fault) -> bool {
        const MADE: [&str; 3] =
            ["mysql.table_not_found", "mysql.column_not_found", "mysql.column_count"];
        !self.parameter.pre_sql().is_empty() && MADE.contains(&fault.code.as_str())
    }

    fn database(&self, client: &mut Client) -> crate::error::Result<String> {
        Ok(catalog::place(client, &self.parameter.table()?)?.0)
    }

    /// In the open transaction: puts the staged rows in the place of those that are there.
    fn swap(&self, client: &mut Client, run: &Run) -> Result<()> {
        if self.parameter.load_mode() == LoadMode::Append {
            return Ok(());
        }
        let Target { table, columns, all, swap, .. } = Target::look(client, &self.parameter)?;
        match swap {
            Some(swap) => Ok(swap.replace(client, &table, &all, &columns, run)?),
            None => Ok(()),
        }
    }

    fn look(&self, client: &mut Client, incoming: &Dataset) -> crate::error::Result<Target> {
        let mut target = Target::look(client, &self.parameter)?;
        target.fit(incoming)?;
        target.insert(&self.parameter)?;
        Ok(target)
    }
}

/// Whether the server lets its clients load rows.
fn takes_loads(client: &mut Client) -> crate::error::Result<bool> {
    match client.query("SELECT @@local_infile") {
        Ok(rows) => Ok(rows.first().is_some_and(|row| text(row, 0) == "1")),
        Err(Error::Server(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A swap without marks could neither be resumed nor ended once.
fn needs_marks() -> Fault {
    let message = "replacing rows takes the right to create tables in the table's database";
    Fault::external("mysql.swap_needs_marks", message)
        .hint("grant CREATE, DROP and ALTER to the user that logs in")
        .at("/parameter/loadMode")
}

/// Runs `work` in a transaction that is committed where it succeeds.
fn whole<T>(client: &mut Client, work: impl FnOnce(&mut Client) -> Result<T>) -> Result<T> {
    client.execute("START TRANSACTION")?;
    match work(client) {
        Ok(answer) => {
            client.execute("COMMIT")?;
            Ok(answer)
        }
        Err(fault) => {
            // Where the connection is gone, the server rolls back by itself.
            let _ = client.execute("ROLLBACK");
            Err(fault)
        }
    }
}

impl Writer for MysqlWriter {
    type Sink = MysqlSink;

    fn connect(configuration: &Configuration) -> Result<Self> {
        let parameter: WriterParameter = sdk::parameters::parameter(configuration)?;
        parameter.table()?;
        parameter.partition()?;
        let client = Client::connect(&Connection::read(configuration)?, parameter.session())?;
        let client = Rc::new(RefCell::new(client));
        Ok(Self { parameter: Rc::new(parameter), client, place: None })
    }

    fn prepare(&mut self, run: &Run, datasets: Vec<Dataset>) -> Result<Prepared> {
        let incoming = single(VENDOR, datasets)?;
        let client = &mut self.client.borrow_mut();
        client.allow(STATEMENT_WAIT);
        let database = self.database(client)?;
        let marks = Marks::ensure(client, &database)?;
        let is_prepared = match &marks {
            Some(marks) => marks.is_prepared(client, run)?,
            None => false,
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
        if !is_prepared {
            if let Some((_, statement)) = self.absent(client, &incoming)? {
                log::info(&format!("creates the table: {statement}"));
                client.execute(&statement)?;
            }
            whole(client, |client| {
                self.statements(client, self.parameter.pre_sql(), "/parameter/preSql")?;
                let Some(marks) = &marks else { return Ok(()) };
                marks.prepared(client, run)?;
                if run.verify {
                    let target = self.look(client, &incoming)?;
                    let before = Before::look(client, &target)?;
                    marks.note_before(client, run, &before.encode())?;
                }
                Ok(())
            })?;
        }
        let target = self.look(client, &incoming)?;
        if let (Some(swap), Some(marks)) = (&target.swap, &marks) {
            swap.prepare(client, marks, &target.table, run)?;
        }
        if !target.table.is_transactional {
            log::warn(&format!(
                "the engine of \"{}\" knows no transactions: a redone task may write rows twice",
                target.table.title()
            ));
        }
        if target.load(&self.parameter).is_some() && !takes_loads(client)? {
            log::info(
                "local_infile is off at the server: rows are inserted, which takes it more time",
            );
        }
        let is_marked = marks.is_some() && target.table.is_transactional;
        Ok(prepared(target.dataset(), is_marked, mode))
    }

    /// A table that is yet to be created is judged as it would be. What preSql may still make is not
    /// missed: `prepare` looks again.
    fn preview(&mut self, datasets: Vec<Dataset>) -> Result<Prepared> {
        let incoming = single(VENDOR, datasets)?;
        let client = &mut self.client.borrow_mut();
        client.allow(STATEMENT_WAIT);
        let database = self.database(client)?;
        let is_marked = Marks::possible(client, &database)?;
        let mode = self.parameter.load_mode();
        if mode == LoadMode::Swap && !is_marked {
            return Err(needs_marks());
        }
        let target = match self.absent(client, &incoming)? {
            Some((target, _)) => Ok(target),
            None => self.look(client, &incoming).map_err(Fault::from),
        };
        match target {
            Ok(target) => {
                Ok(prepared(target.dataset(), is_marked && target.table.is_transactional, mode))
            }
            Err(fault) if self.may_be_made_by_pre_sql(&fault) => {
                log::warn(&format!(
                    "{}; preSql is not run for a plan and may make it, so columns and types are judged once it was run",
                    fault.message
                ));
                Ok(prepared(incoming, is_marked, mode))
            }
            Err(fault) => Err(fault),
        }
    }

    fn open(&mut self, task: Task, datasets: Vec<Dataset>) -> Result<MysqlSink> {
        let incoming = single(VENDOR, datasets)?;
        let client = &mut self.client.borrow_mut();
        client.allow(ANSWER_WAIT);
        if client.in_transaction() {
            client.execute("ROLLBACK")?;
        }
        let (mut target, marks) = match &self.place {
            Some(place) => place.clone(),
            None => {
                let mut target = Target::look(client, &self.parameter)?;
                if target.swap.is_some() {
                    target.stage = Some(swap::of_run(client, &target.table, &task.run)?);
                }
                let marks = Marks::find(client, &target.table.database)?;
                self.place = Some((target.clone(), marks.clone()));
                (target, marks)
            }
        };
        target.fit(&incoming)?;
        // A mark that is of another transaction than its rows says too much of them.
        let marks = marks.filter(|_| target.table.is_transactional);
        let committed = match &marks {
            Some(marks) => marks.claim(client, &task.run, task.index, task.epoch)?,
            None => None,
        };
        let limits = (client.packet_max, takes_loads(client)?);
        let place = (target, marks);
        MysqlSink::new(self.client.clone(), place, task, committed, &self.parameter, limits)
    }

    fn read_back(
        &mut self,
        run: &Run,
        datasets: Vec<Dataset>,
        _receipts: Vec<Vec<u8>>,
    ) -> Result<ReadBack> {
        let dataset = single(VENDOR, datasets)?;
        let client = &mut self.client.borrow_mut();
        client.allow(STATEMENT_WAIT);
        let database = self.database(client)?;
        let marks = Marks::possible(client, &database)?.then(|| Marks::of(&database));
        let target = match self.absent(client, &dataset)? {
            Some((target, _)) => Ok((target, true)),
            None => self.look(client, &dataset).map(|target| (target, false)).map_err(Fault::from),
        };
        match target {
            Ok((target, is_new)) => {
                let target = (&target, is_new);
                back::read_back(client, &self.parameter, marks.as_ref(), target, run)
            }
            // It is asked again when preSql was run.
            Err(fault) if self.may_be_made_by_pre_sql(&fault) => {
                let forms = vec![Form::Same; dataset.schema.fields().len()];
                let parameter = "{}".to_owned();
                Ok(ReadBack::By(Back { parameter, forms, replaces_by: Vec::new() }))
            }
            Err(fault) => Err(fault),
        }
    }

    fn finish(&mut self, run: &Run, outcome: Outcome, _receipts: Vec<Vec<u8>>) -> Result<()> {
        let client = &mut self.client.borrow_mut();
        client.allow(STATEMENT_WAIT);
        if client.in_transaction() {
            client.execute("ROLLBACK")?;
        }
        let database = self.database(client)?;
        let marks = Marks::find(client, &database)?;
        let swapped = match self.parameter.load_mode() {
            LoadMode::Append => None,
            LoadMode::Swap => catalog::find_table(client, &self.parameter.table()?)?,
        };
        if let Some(table) = &swapped {
            swap::take_turn(client, table)?;
        }
        let is_finished = match &marks {
            Some(marks) => marks.is_finished(client, run)?,
            None => false,
        };
        if !is_finished {
            whole(client, |client| {
                if outcome == Outcome::Succeeded {
                    self.swap(client, run)?;
                    self.statements(client, self.parameter.post_sql(), "/parameter/postSql")?;
                }
                Ok(marks.as_ref().map_or(Ok(()), |marks| marks.finished(client, run))?)
            })?;
        }
        if let Some(table) = &swapped {
            swap::discard(client, table, &run.id)?;
            swap::end_turn(client, table)?;
        }
        Ok(())
    }
}
