//! The writer: rows in the transaction of their mark; or into a staging table whose rows take the place of
//! those that are there (see `swap`).
//!
//! One task is written at a time, since a file has one writer. Nothing changes in silence: what a column's
//! declared type would make another value of is refused. Statements before and after are run in one
//! transaction with the note that says so, also those that make tables.

use std::rc::Rc;

use database::load::LoadMode;
use database::writing::{Pace, prepared, single};
use rusqlite::Connection as Database;
use sdk::{
    Back, Configuration, Dataset, Fault, Form, Outcome, Prepared, ReadBack, Result, Run, Task,
    Writer, log,
};

use crate::back::{self, Before};
use crate::catalog;
use crate::error::{self, VENDOR};
use crate::marks::Marks;
use crate::places::{self, Places};
use crate::settings::{Connection, WriterParameter};
use crate::sink::SqliteSink;
use crate::swap;
use crate::target::{self, Target};

/// A session with the destination.
pub struct SqliteWriter {
    places: Places,
    parameter: WriterParameter,
    /// Opened when it is first needed.
    database: Option<Rc<Database>>,
}

impl SqliteWriter {
    /// The files, to write; those that are absent are made.
    fn database(&mut self) -> Result<Rc<Database>> {
        if let Some(database) = &self.database {
            if !database.is_autocommit() {
                places::run(database, "ROLLBACK").map_err(error::fault)?;
            }
            return Ok(database.clone());
        }
        let database = Rc::new(self.places.open_to_write(self.parameter.session())?);
        self.database = Some(database.clone());
        Ok(database)
    }

    /// The files as they are; those that are absent are not made.
    fn preview_database(&mut self) -> Result<Rc<Database>> {
        match self.places.are_there()? {
            true => self.database(),
            false => self.places.stand_in().map(Rc::new),
        }
    }

    /// The table that is to be created, where it is absent and wanted, and the statement for it.
    fn absent(&self, database: &Database, incoming: &Dataset) -> Result<Option<(Target, String)>> {
        let (schemas, name) = (self.places.schemas(), self.parameter.table()?);
        if !self.parameter.creates_table()
            || catalog::find_table(database, &schemas, &name)?.is_some()
        {
            return Ok(None);
        }
        target::create(&schemas, &self.parameter, incoming).map(Some)
    }

    fn look(&self, database: &Database, incoming: &Dataset) -> Result<Target> {
        let mut target = Target::look(database, &self.places.schemas(), &self.parameter)?;
        target.fit(incoming)?;
        target.insert(self.parameter.write_mode())?;
        Ok(target)
    }

    /// The schema of the marks: that of the table.
    fn schema(&self, database: &Database) -> Result<String> {
        let (schemas, name) = (self.places.schemas(), self.parameter.table()?);
        if let Some(table) = catalog::find_table(database, &schemas, &name)? {
            return Ok(table.schema);
        }
        let (schemas, _) = catalog::place(&schemas, &name)?;
        Ok(schemas.into_iter().next().unwrap_or_default())
    }

    /// The run's own statements.
    fn statements(&self, database: &Database, list: &[String], place: &str) -> Result<()> {
        let table = self.parameter.table()?;
        for (index, statement) in list.iter().enumerate() {
            let statement = statement.replace("@table", &table);
            places::run(database, &statement).map_err(error::at(&format!("{place}/{index}")))?;
        }
        Ok(())
    }

    fn truncate(&self, database: &Database) -> Result<()> {
        let table = catalog::table(database, &self.places.schemas(), &self.parameter.table()?)?;
        places::run(database, &format!("DELETE FROM {}", table.sql())).map_err(error::fault)
    }

    /// Whether a fault of the destination may be gone when preSql was run.
    fn may_be_made_by_pre_sql(&self, fault: &Fault) -> bool {
        const MADE: [&str; 3] =
            ["sqlite.table_not_found", "sqlite.column_not_found", "sqlite.column_count"];
        !self.parameter.pre_sql().is_empty() && MADE.contains(&fault.code.as_str())
    }

    /// In the open transaction: what a run does before its first row.
    fn begin_run(&self, database: &Database, run: &Run, incoming: &Dataset) -> Result<Target> {
        let marks = Marks::ensure(database, &self.schema(database)?)?;
        if !marks.is_prepared(database, run)? {
            if let Some((_, statement)) = self.absent(database, incoming)? {
                log::info(&format!("creates the table: {statement}"));
                places::run(database, &statement).map_err(error::fault)?;
            } else if self.parameter.truncates() {
                self.truncate(database)?;
            }
            self.statements(database, self.parameter.pre_sql(), "/parameter/preSql")?;
            let target = self.look(database, incoming)?;
            let before = run
                .verify
                .then(|| Before::look(database, &target))
                .transpose()?
                .map(|before| before.encode());
            marks.prepared(database, run, before.as_deref())?;
        }
        let target = self.look(database, incoming)?;
        if let Some(swap) = &target.swap {
            swap.prepare(database, &marks, &target.table, run)?;
        }
        Ok(target)
    }

    /// In the open transaction: what a run does behind its last row.
    fn end_run(&self, database: &Database, run: &Run, outcome: Outcome) -> Result<()> {
        let marks = Marks::ensure(database, &self.schema(database)?)?;
        if marks.is_finished(database, run)? {
            return Ok(());
        }
        let is_swap = self.parameter.load_mode() == LoadMode::Swap;
        if outcome == Outcome::Succeeded {
            if is_swap {
                let target = Target::look(database, &self.places.schemas(), &self.parameter)?;
                if let Some(swap) = &target.swap {
                    swap.replace(database, &target.table, &target.all, run)?;
                }
            }
            self.statements(database, self.parameter.post_sql(), "/parameter/postSql")?;
        }
        let (schemas, name) = (self.places.schemas(), self.parameter.table()?);
        if let (true, Some(table)) = (is_swap, catalog::find_table(database, &schemas, &name)?) {
            swap::discard(database, &table, &run.id)?;
        }
        marks.finished(database, run)
    }

    fn answer(&self, target: &Target) -> Prepared {
        one_lane(prepared(target.dataset(), true, self.parameter.load_mode()))
    }
}

/// A file has one writer at a time.
fn one_lane(mut prepared: Prepared) -> Prepared {
    prepared.wishes.lanes = 1;
    prepared
}

/// Runs `work` in a transaction that is committed where it succeeds.
fn whole<T>(database: &Database, work: impl FnOnce() -> Result<T>) -> Result<T> {
    places::run(database, "BEGIN IMMEDIATE").map_err(error::fault)?;
    let done = work().and_then(|answer| {
        places::run(database, "COMMIT").map_err(error::fault)?;
        Ok(answer)
    });
    if done.is_err() && !database.is_autocommit() {
        // What could not be undone now is when the file is opened next.
        let _ = database.execute_batch("ROLLBACK");
    }
    done
}

impl Writer for SqliteWriter {
    type Sink = SqliteSink;

    fn connect(configuration: &Configuration) -> Result<Self> {
        let places = Places::of(&Connection::read(configuration)?);
        let parameter: WriterParameter = sdk::parameters::parameter(configuration)?;
        parameter.judge()?;
        Ok(Self { places, parameter, database: None })
    }

    fn prepare(&mut self, run: &Run, datasets: Vec<Dataset>) -> Result<Prepared> {
        let incoming = single(VENDOR, datasets)?;
        let database = self.database()?;
        let target = whole(&database, || self.begin_run(&database, run, &incoming))?;
        Ok(self.answer(&target))
    }

    /// A table that is yet to be created is judged as it would be. What preSql may still make is not
    /// missed: `prepare` looks again.
    fn preview(&mut self, datasets: Vec<Dataset>) -> Result<Prepared> {
        let incoming = single(VENDOR, datasets)?;
        let database = self.preview_database()?;
        let target = match self.absent(&database, &incoming)? {
            Some((target, _)) => Ok(target),
            None => self.look(&database, &incoming),
        };
        match target {
            Ok(target) => Ok(self.answer(&target)),
            Err(fault) if self.may_be_made_by_pre_sql(&fault) => {
                log::warn(&format!(
                    "{}; preSql is not run for a plan and may make it, so columns and types are judged once it was run",
                    fault.message
                ));
                Ok(one_lane(prepared(incoming, true, self.parameter.load_mode())))
            }
            Err(fault) => Err(fault),
        }
    }

    fn open(&mut self, task: Task, datasets: Vec<Dataset>) -> Result<SqliteSink> {
        let incoming = single(VENDOR, datasets)?;
        let database = self.database()?;
        let mut target = self.look(&database, &incoming)?;
        if target.swap.is_some() {
            target.stage = Some(swap::of_run(&database, &target.table, &task.run)?);
        }
        let marks = Marks::of(&target.table.schema);
        let committed = marks.claim(&database, &task.run, task.index, task.epoch)?;
        Ok(SqliteSink {
            insert: target.insert(self.parameter.write_mode())?,
            empty_as_null: self.parameter.empty_as_null(),
            database,
            target,
            marks,
            task,
            committed,
            written: 0,
            pace: Pace::default(),
        })
    }

    fn read_back(
        &mut self,
        run: &Run,
        datasets: Vec<Dataset>,
        _receipts: Vec<Vec<u8>>,
    ) -> Result<ReadBack> {
        let dataset = single(VENDOR, datasets)?;
        let database = self.preview_database()?;
        let target = match self.absent(&database, &dataset)? {
            Some((target, _)) => Ok((target, true)),
            None => self.look(&database, &dataset).map(|target| (target, false)),
        };
        match target {
            Ok((target, is_new)) => {
                back::read_back(&database, &self.parameter, (&target, is_new), run)
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
        let database = self.database()?;
        whole(&database, || self.end_run(&database, run, outcome))?;
        self.places.tidy(&database)
    }
}
