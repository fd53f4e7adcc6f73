//! The writer: INSERTs of many rows, in the transaction of their mark; or into a staging table whose rows
//! take the place of those that are there (see `swap`).
//!
//! Rows and mark are committed together; each batch stands behind a savepoint, so that a refused row
//! costs its batch and no more. Nothing is cut in silence: sessions are strict, what the server would
//! still change is found before it is sent, and its warnings are read. `prepare` and `finish` run the
//! user's statements once a run, noted in the mark table; DDL commits by itself here, so a run that is
//! killed among them may repeat them. Where the engine knows no transactions (MyISAM), rows are written
//! one by one, and a redone task may write rows twice: the mode is then at-least-once.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use database::{ANSWER_WAIT, STATEMENT_WAIT, Spoken};
use sdk::load::LoadMode;
use sdk::{
    Answer, Back, Batch, Closed, CommitMode, Configuration, Dataset, Fault, Form, Mark, Outcome,
    Prepared, ReadBack, Remark, Result, Run, Sink, Task, Wishes, Writer, log,
};

use crate::back::{self, Before};
use crate::catalog::{self, text};
use crate::client::{Client, Done};
use crate::encode::{self, Line, Style};
use crate::error::{Error, ServerError};
use crate::marks::Marks;
use crate::settings::{Connection, WriteMode, WriterParameter};
use crate::swap;
use crate::target::{self, Target};

/// A batch that makes an INSERT worth its way.
const BATCH_BYTES: u64 = 512 << 10;
/// A statement at most, where the server takes as much: longer ones bring nothing.
const STATEMENT_BYTES: usize = 1 << 20;
/// A transaction of this size keeps the cost of commits small and a redone part short.
const COMMIT_BYTES: u64 = 32 << 20;
const COMMIT_WAIT: Duration = Duration::from_secs(5);
/// Warnings that say that a value is not what was sent.
const CHANGES: [u16; 7] = [1048, 1264, 1265, 1292, 1366, 1406, 1411];

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

fn single(mut datasets: Vec<Dataset>) -> Result<Dataset> {
    match datasets.len() {
        1 => Ok(datasets.remove(0)),
        count => Err(Fault::user(
            "mysql.dataset_count",
            format!("{count} datasets come in, but a step writes one table"),
        )),
    }
}

/// A swap without marks could neither be resumed nor ended once.
fn needs_marks() -> Fault {
    let message = "replacing rows takes the right to create tables in the table's database";
    Fault::external("mysql.swap_needs_marks", message)
        .hint("grant CREATE, DROP and ALTER to the user that logs in")
        .at("/parameter/loadMode")
}

fn prepared(dataset: Dataset, is_marked: bool, mode: LoadMode) -> Prepared {
    Prepared {
        datasets: vec![dataset],
        commit_mode: match (is_marked, mode) {
            (true, LoadMode::Append) => CommitMode::Transactional,
            (true, LoadMode::Swap) => CommitMode::Staged,
            (false, _) => CommitMode::AtLeastOnce,
        },
        wishes: Wishes {
            batch_rows: 0,
            batch_bytes: BATCH_BYTES,
            commit_bytes: COMMIT_BYTES,
            commit_ms: COMMIT_WAIT.as_millis() as u32,
            sort_by: Vec::new(),
        },
    }
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
        let incoming = single(datasets)?;
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
        let is_marked = marks.is_some() && target.table.is_transactional;
        Ok(prepared(target.dataset(), is_marked, mode))
    }

    /// A table that is yet to be created is judged as it would be. What preSql may still make is not
    /// missed: `prepare` looks again.
    fn preview(&mut self, datasets: Vec<Dataset>) -> Result<Prepared> {
        let incoming = single(datasets)?;
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
        let incoming = single(datasets)?;
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
        let (head, tail) = target.insert(&self.parameter)?;
        // A mark that is of another transaction than its rows says too much of them.
        let marks = marks.filter(|_| target.table.is_transactional);
        let committed = match &marks {
            Some(marks) => marks.claim(client, &task.run, task.index, task.epoch)?,
            None => None,
        };
        let overhead = head.len() + tail.len() + 64;
        let style = Style {
            empty_as_null: self.parameter.empty_as_null(),
            skips_null: self.parameter.skips_null()
                && self.parameter.write_mode() != WriteMode::Update,
            row_bytes: client.packet_max.saturating_sub(overhead),
        };
        Ok(MysqlSink {
            statement_bytes: style.row_bytes.min(STATEMENT_BYTES),
            statement_rows: match target.table.is_transactional {
                true => self.parameter.batch_rows(),
                false => 1,
            },
            style,
            head,
            tail,
            target,
            marks,
            client: self.client.clone(),
            task,
            committed,
            pending: None,
            written: 0,
            uncommitted_bytes: 0,
            last_commit: Instant::now(),
        })
    }

    fn read_back(
        &mut self,
        run: &Run,
        datasets: Vec<Dataset>,
        _receipts: Vec<Vec<u8>>,
    ) -> Result<ReadBack> {
        let dataset = single(datasets)?;
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

/// Writes one task.
pub struct MysqlSink {
    client: Rc<RefCell<Client>>,
    target: Target,
    head: String,
    tail: String,
    style: Style,
    statement_bytes: usize,
    statement_rows: usize,
    marks: Option<Marks>,
    task: Task,
    committed: Option<Mark>,
    /// The mark of rows that are in the open transaction.
    pending: Option<Mark>,
    /// Calls of `write`.
    written: u64,
    uncommitted_bytes: u64,
    last_commit: Instant,
}

/// Rows of a statement that the server refused, or whose values it changed.
struct Refused {
    error: ServerError,
    /// They are in the table as the server changed them.
    loaded: bool,
}

impl Sink for MysqlSink {
    fn committed(&mut self) -> Option<Mark> {
        self.committed.clone()
    }

    fn write(&mut self, batch: Batch) -> Result<Answer> {
        refuse_changes(&batch)?;
        let number = self.written;
        self.written += 1;
        let (lines, refusals) = encode::encode(&batch.rows, &self.target.columns, self.style)?;
        let mut remarks: Vec<Remark> = refusals
            .iter()
            .map(|refusal| Remark {
                batch: number,
                row: refusal.row,
                column: refusal.column,
                loaded: false,
                code: refusal.misfit.0.to_owned(),
                message: refusal.misfit.1.to_owned(),
            })
            .collect();
        let mut answer = Answer { taken: self.written, ..Answer::default() };
        self.client.borrow_mut().allow(ANSWER_WAIT);
        if self.target.table.is_transactional && !lines.is_empty() {
            self.save()?;
        }
        for chunk in self.chunks(&lines) {
            let Some(refused) = self.insert(chunk)? else { continue };
            remarks.extend(self.named_row(&refused, number, chunk));
            if self.target.table.is_transactional {
                self.client.borrow_mut().execute("ROLLBACK TO SAVEPOINT airlock")?;
                let mut fault = refused.error.fault();
                fault.message = self.of_the_table(fault.message);
                answer.undone = Some(fault);
                answer.taken = number;
                break;
            }
        }
        if answer.undone.is_none() {
            self.uncommitted_bytes +=
                lines.iter().map(|line| line.values.len() as u64).sum::<u64>();
        }
        Ok(Answer { remarks, ..answer })
    }

    fn commit(&mut self, mark: Mark, now: bool) -> Result<Answer> {
        self.pending = Some(mark);
        let due = now
            || self.uncommitted_bytes >= COMMIT_BYTES
            || self.last_commit.elapsed() >= COMMIT_WAIT;
        if due {
            self.commit_pending()?;
        }
        let durable = if due { self.committed.clone() } else { None };
        Ok(Answer { durable, taken: self.written, ..Answer::default() })
    }

    fn close(&mut self, mark: Mark) -> Result<Closed> {
        let answer = self.commit(mark, true)?;
        Ok(Closed { answer, receipt: Vec::new() })
    }
}

impl MysqlSink {
    /// Rows by statement.
    fn chunks<'a>(&self, lines: &'a [Line]) -> Vec<&'a [Line]> {
        let (mut chunks, mut start, mut bytes) = (Vec::new(), 0, 0);
        for (index, line) in lines.iter().enumerate() {
            let is_full = bytes + line.values.len() + 1 > self.statement_bytes
                || index - start >= self.statement_rows;
            if is_full && index > start {
                chunks.push(&lines[start..index]);
                (start, bytes) = (index, 0);
            }
            bytes += line.values.len() + 1;
        }
        if start < lines.len() {
            chunks.push(&lines[start..]);
        }
        chunks
    }

    /// What a batch goes back to.
    fn save(&mut self) -> crate::error::Result<()> {
        let client = &mut self.client.borrow_mut();
        if !client.in_transaction() {
            client.execute("START TRANSACTION")?;
        }
        // One of the same name takes the place of the last.
        client.execute("SAVEPOINT airlock").map(|_| ())
    }

    /// Writes the rows of one statement.
    fn insert(&mut self, lines: &[Line]) -> crate::error::Result<Option<Refused>> {
        let mut statement = self.head.clone().into_bytes();
        for (index, line) in lines.iter().enumerate() {
            if index > 0 {
                statement.push(b',');
            }
            statement.extend_from_slice(&line.values);
        }
        statement.extend_from_slice(self.tail.as_bytes());
        let client = &mut self.client.borrow_mut();
        match client.execute_bytes(&statement) {
            Ok(Done { warnings: 0, .. }) => Ok(None),
            Ok(_) => {
                let change = change(client)?;
                let loaded = !self.target.table.is_transactional;
                Ok(change.map(|error| Refused { error, loaded }))
            }
            Err(Error::Server(error)) if error.refuses_rows() => {
                Ok(Some(Refused { error: *error, loaded: false }))
            }
            Err(error) => Err(error),
        }
    }

    /// What the server says of a staging table is of the table that it stands for.
    fn of_the_table(&self, message: String) -> String {
        match &self.target.stage {
            Some(stage) => message.replace(&stage.name, &self.target.table.name),
            None => message,
        }
    }

    /// The row that is meant, where the server says so, or there was but one.
    fn named_row(&self, refused: &Refused, batch: u64, lines: &[Line]) -> Option<Remark> {
        let error = &refused.error;
        let line = match lines {
            [only] => only,
            lines => lines.get(error.row()?.checked_sub(1)?)?,
        };
        let columns = &self.target.columns;
        let column = error.column().and_then(|name| columns.iter().position(|c| c.name == name));
        Some(Remark {
            batch,
            row: line.row,
            column: column.map(|index| index as u32),
            loaded: refused.loaded,
            code: error.refusal_code().to_owned(),
            message: self.of_the_table(error.text()),
        })
    }

    /// Commits rows and mark together.
    fn commit_pending(&mut self) -> Result<()> {
        let Some(mark) = self.pending.take() else { return Ok(()) };
        let client = &mut self.client.borrow_mut();
        client.allow(STATEMENT_WAIT);
        if !client.in_transaction() {
            client.execute("START TRANSACTION")?;
        }
        if let Some(marks) = &self.marks {
            let Task { run, index, epoch, .. } = &self.task;
            if let Err(error) = marks.set(client, run, *index, *epoch, &mark) {
                let _ = client.execute("ROLLBACK");
                return Err(error.into());
            }
        }
        client.execute("COMMIT")?;
        self.committed = Some(mark);
        self.uncommitted_bytes = 0;
        self.last_commit = Instant::now();
        Ok(())
    }
}

/// The first of the last statement's warnings by which a value is not what was sent.
fn change(client: &mut Client) -> crate::error::Result<Option<ServerError>> {
    let rows = client.query("SHOW WARNINGS")?;
    let warnings = rows.iter().map(|row| ServerError {
        number: text(row, 1).parse().unwrap_or(0),
        message: text(row, 2).to_owned(),
    });
    Ok(warnings.into_iter().find(|warning| CHANGES.contains(&warning.number)))
}

/// Updates and deletes, and values that were not sent, need a writer that follows changes.
fn refuse_changes(batch: &Batch) -> Result<()> {
    let operations = batch.operations.as_deref().unwrap_or_default();
    let absent = batch.absent.iter().flatten().any(|bits| *bits != 0);
    if absent || operations.iter().any(|operation| *operation != 0) {
        let message = "this writer takes new rows only, no updates or deletes";
        return Err(Fault::user("mysql.changes_unsupported", message));
    }
    Ok(())
}
