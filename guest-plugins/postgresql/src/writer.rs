//! The writer: COPY into the table, or through a temporary table where rows meet others.
//!
//! Rows and mark are committed together; each batch is one COPY behind a savepoint, so that a refused
//! row costs its batch and no more. `prepare` and `finish` run the user's statements once a run, in one
//! transaction each, noted in the mark table. Rows that a failed run committed stay, as with DataX.
//! Where there can be no mark table, a redone task may write rows twice, and statements may be
//! repeated: the mode is then at-least-once.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use sdk::{
    Answer, Batch, Closed, CommitMode, Configuration, Dataset, Fault, Mark, Outcome, Prepared,
    ReadBack, Remark, Result, Run, Sink, Task, Wishes, Writer,
};

use crate::back;
use crate::catalog;
use crate::client::{ANSWER_WAIT, Client, STATEMENT_WAIT};
use crate::encode::{self, Form};
use crate::error::{Error, ServerError};
use crate::marks::{Marks, Once};
use crate::note;
use crate::settings::{Connection, WriterParameter};
use crate::target::{self, Target};
use crate::types::PgType;
use crate::xids::Xids;

/// A batch that makes a COPY worth its statements.
const BATCH_BYTES: u64 = 512 << 10;
/// A transaction of this size keeps the cost of commits small and a redone part short.
const COMMIT_BYTES: u64 = 32 << 20;
const COMMIT_WAIT: Duration = Duration::from_secs(5);
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
        note::info(&format!("creates the table: {statement}"));
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
        if once == Once::Now {
            self.create_table(client, incoming)?;
            self.statements(client, self.parameter.pre_sql(), "/parameter/preSql")?;
        }
        Ok(self.look(client, incoming)?)
    }
}

/// Changes lock_timeout, in milliseconds, where it is `from`; one of the user's own stays.
fn lock_timeout(from: &str, to: &str) -> String {
    format!(
        "SELECT pg_catalog.set_config(name, '{to}', false) FROM pg_catalog.pg_settings \
         WHERE name = 'lock_timeout' AND setting = '{from}'"
    )
}

fn single(mut datasets: Vec<Dataset>) -> Result<Dataset> {
    match datasets.len() {
        1 => Ok(datasets.remove(0)),
        count => Err(Fault::user(
            "postgresql.dataset_count",
            format!("{count} datasets come in, but a step writes one table"),
        )),
    }
}

fn prepared(dataset: Dataset, transactional: bool) -> Prepared {
    Prepared {
        datasets: vec![dataset],
        commit_mode: match transactional {
            true => CommitMode::Transactional,
            false => CommitMode::AtLeastOnce,
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
        let client = Client::connect(&Connection::read(configuration)?, parameter.session())?;
        Ok(Self {
            parameter: Rc::new(parameter),
            client: Rc::new(RefCell::new(client)),
            place: None,
            staged: false,
        })
    }

    fn prepare(&mut self, run: &Run, datasets: Vec<Dataset>) -> Result<Prepared> {
        let incoming = single(datasets)?;
        let client = &mut self.client.borrow_mut();
        client.allow(STATEMENT_WAIT);
        let marks = match self.mark_schema_before(client)? {
            Some(schema) => Marks::ensure(client, &schema)?,
            None => None,
        };
        if marks.is_none() {
            note::warn(
                "the table _airlock_commit can't be created: a redone task may write rows twice",
            );
        }
        let target = noted(client, marks.as_ref(), run, |client| {
            self.prepare_once(client, marks.as_ref(), run, &incoming)
        })?;
        Ok(prepared(target.dataset(), marks.is_some()))
    }

    /// A table that is yet to be created is created and rolled back, so that the answer is the real
    /// one and missing rights show. What preSql may still make is not missed: `prepare` looks again.
    fn preview(&mut self, datasets: Vec<Dataset>) -> Result<Prepared> {
        let incoming = single(datasets)?;
        let client = &mut self.client.borrow_mut();
        client.allow(STATEMENT_WAIT);
        let transactional = match self.mark_schema_before(client)? {
            Some(schema) => Marks::possible(client, &schema)?,
            None => false,
        };
        client.execute("BEGIN")?;
        let target = self
            .create_table(client, &incoming)
            .and_then(|()| self.look(client, &incoming))
            .map_err(Fault::from);
        client.execute("ROLLBACK")?;
        match target {
            Ok(target) => Ok(prepared(target.dataset(), transactional)),
            Err(fault) if self.may_be_made_by_pre_sql(&fault) => {
                note::warn(&format!(
                    "{}; preSql is not run for a plan and may make it, so columns and types are judged once it was run",
                    fault.message
                ));
                Ok(prepared(incoming, transactional))
            }
            Err(fault) => Err(fault),
        }
    }

    fn open(&mut self, task: Task, datasets: Vec<Dataset>) -> Result<PostgresSink> {
        let incoming = single(datasets)?;
        let client = &mut self.client.borrow_mut();
        client.allow(ANSWER_WAIT);
        if client.in_transaction() {
            client.execute("ROLLBACK")?;
        }
        let (mut target, marks) = match &self.place {
            Some(place) => place.clone(),
            None => {
                client.query(&lock_timeout("0", LOCK_WAIT_MS))?;
                let target = Target::look(client, &self.parameter)?;
                let marks = Marks::find(client, self.mark_schema(&target))?;
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
            (Some(marks), true) => Some(marks.xids(client, &task.run, task.index)?),
            _ => None,
        };
        Ok(PostgresSink {
            xids,
            types: target.types(),
            form: target.form(),
            empty_as_null: self.parameter.empty_as_null(),
            target,
            marks,
            client: self.client.clone(),
            task,
            committed,
            pending: None,
            written: 0,
            uncommitted_bytes: 0,
            last_commit: Instant::now(),
            has_savepoint: false,
            copies: 0,
            dropped: 0,
        })
    }

    fn read_back(
        &mut self,
        _run: &Run,
        datasets: Vec<Dataset>,
        receipts: Vec<Vec<u8>>,
    ) -> Result<ReadBack> {
        let dataset = single(datasets)?;
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
            (Outcome::Succeeded, marks) => noted(client, marks.as_ref(), run, |client| {
                let once = match marks {
                    Some(marks) => marks.finish(client, run)?,
                    None => Once::Now,
                };
                match once {
                    Once::Now => {
                        self.statements(client, self.parameter.post_sql(), "/parameter/postSql")
                    }
                    Once::DoneBefore => Ok(()),
                }
            }),
            (Outcome::Failed, Some(marks)) => {
                noted(client, None, run, |client| Ok(marks.finish(client, run).map(|_| ())?))
            }
            (Outcome::Failed, None) => Ok(()),
        }
    }
}

/// Writes one task.
pub struct PostgresSink {
    client: Rc<RefCell<Client>>,
    target: Target,
    types: Vec<PgType>,
    form: Form,
    empty_as_null: bool,
    marks: Option<Marks>,
    task: Task,
    committed: Option<Mark>,
    /// The mark of rows that are in the open transaction.
    pending: Option<Mark>,
    /// Calls of `write`.
    written: u64,
    uncommitted_bytes: u64,
    last_commit: Instant,
    has_savepoint: bool,
    /// The transactions of this task's rows, where they are read back.
    xids: Option<Xids>,
    /// COPYs sent to the server.
    copies: u64,
    /// Rows that the server took and did not add.
    dropped: u64,
}

impl Sink for PostgresSink {
    fn committed(&mut self) -> Option<Mark> {
        self.committed.clone()
    }

    fn write(&mut self, batch: Batch) -> Result<Answer> {
        refuse_changes(&batch)?;
        let number = self.written;
        self.written += 1;
        let encoded = encode::encode(&batch.rows, &self.types, self.form, self.empty_as_null)?;
        let mut remarks: Vec<Remark> = encoded
            .refusals
            .iter()
            .map(|refusal| Remark {
                batch: number,
                row: refusal.row,
                column: Some(refusal.column),
                loaded: false,
                code: refusal.code.to_owned(),
                message: refusal.message.to_owned(),
            })
            .collect();
        if encoded.lines.is_empty() {
            return Ok(Answer { remarks, undone: None, durable: None, taken: self.written });
        }
        match self.copy(&encoded.bytes, encoded.lines.len() as u64) {
            Ok(()) => {
                self.uncommitted_bytes += encoded.bytes.len() as u64;
                Ok(Answer { remarks, undone: None, durable: None, taken: self.written })
            }
            Err(Error::Server(error)) if error.refuses_rows() => {
                self.client.borrow_mut().execute("ROLLBACK TO SAVEPOINT airlock")?;
                remarks.extend(self.named_row(&error, number, &encoded.lines));
                Ok(Answer { remarks, undone: Some(error.fault()), durable: None, taken: number })
            }
            Err(error) => Err(error.into()),
        }
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
        Ok(Answer { remarks: Vec::new(), undone: None, durable, taken: self.written })
    }

    fn close(&mut self, mark: Mark) -> Result<Closed> {
        let answer = self.commit(mark, true)?;
        note::debug(&format!("{} COPYs for {} batches", self.copies, self.written));
        if self.dropped > 0 {
            note::warn(&format!(
                "{} rows that count as written are not in the table \"{}\": a trigger or rule of it dropped them",
                self.dropped,
                self.target.table.title()
            ));
        }
        let receipt = self.xids.as_ref().map(Xids::encode).unwrap_or_default();
        Ok(Closed { answer, receipt })
    }
}

impl PostgresSink {
    /// COPYs that were sent to the server, refused ones included.
    pub fn copies(&self) -> u64 {
        self.copies
    }

    /// Rows that the server took and did not add, since a trigger dropped them.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// One COPY behind a savepoint of its own; an upsert moves the rows on at once.
    fn copy(&mut self, bytes: &[u8], rows: u64) -> crate::error::Result<()> {
        let client = &mut self.client.borrow_mut();
        client.allow(ANSWER_WAIT);
        if !client.in_transaction() {
            // Deferred constraints would speak only at the commit, about no row.
            client.execute("BEGIN; SET CONSTRAINTS ALL IMMEDIATE")?;
            self.has_savepoint = false;
        }
        let release = if self.has_savepoint { "RELEASE SAVEPOINT airlock; " } else { "" };
        client.execute(&format!("{release}SAVEPOINT airlock"))?;
        self.has_savepoint = true;
        self.copies += 1;
        let added = client.copy_in(&self.target.copy().0, bytes)?;
        self.dropped += rows.saturating_sub(added);
        if let Some(upsert) = &self.target.upsert {
            client.execute(&self.target.merge(upsert))?;
        }
        if let Some(xids) = &mut self.xids {
            note_xids(client, xids)?;
        }
        Ok(())
    }

    /// The row that the server was at, where it says so.
    fn named_row(&self, error: &ServerError, batch: u64, lines: &[u32]) -> Option<Remark> {
        let relation = self.target.copy().1.to_owned();
        let line = usize::try_from(error.copy_line(&relation)?).ok()?;
        let row = *lines.get(line.checked_sub(1)?)?;
        let column = error
            .copy_column(&relation)
            .and_then(|name| self.target.columns.iter().position(|column| column.name == name));
        let message = match &error.constraint {
            Some(constraint) => format!("{} (constraint \"{constraint}\")", error.text()),
            None => error.text(),
        };
        Some(Remark {
            batch,
            row,
            column: column.map(|index| index as u32),
            loaded: false,
            code: error.refusal_code().to_owned(),
            message,
        })
    }

    /// Commits rows and mark together.
    fn commit_pending(&mut self) -> Result<()> {
        let Some(mark) = self.pending.take() else { return Ok(()) };
        let client = &mut self.client.borrow_mut();
        client.allow(STATEMENT_WAIT);
        if !client.in_transaction() {
            client.execute("BEGIN")?;
        }
        if let Some(marks) = &self.marks {
            let Task { run, index, epoch, .. } = &self.task;
            let set = marks.set(client, run, *index, *epoch, &mark);
            let set = set.and_then(|()| match &self.xids {
                Some(xids) => marks.set_xids(client, run, *index, xids),
                None => Ok(()),
            });
            if let Err(error) = set {
                let _ = client.execute("ROLLBACK");
                return Err(error.into());
            }
        }
        client.execute("COMMIT")?;
        self.committed = Some(mark);
        self.uncommitted_bytes = 0;
        self.last_commit = Instant::now();
        self.has_savepoint = false;
        Ok(())
    }
}

/// Adds the transaction, and the savepoint's, by which the rows just written are known. They are held
/// as locks while they last.
fn note_xids(client: &mut Client, xids: &mut Xids) -> crate::error::Result<()> {
    let rows = client.query(
        "SELECT transactionid FROM pg_catalog.pg_locks WHERE locktype = 'transactionid' \
         AND pid = pg_catalog.pg_backend_pid() AND mode = 'ExclusiveLock' AND granted",
    )?;
    let numbers = rows.into_iter().filter_map(|row| row.into_iter().next().flatten());
    numbers.filter_map(|number| number.parse().ok()).for_each(|number| xids.add(number));
    Ok(())
}

/// Updates and deletes, and values that were not sent, need a writer that follows changes.
fn refuse_changes(batch: &Batch) -> Result<()> {
    let operations = batch.operations.as_deref().unwrap_or_default();
    let absent = batch.absent.iter().flatten().any(|bits| *bits != 0);
    if absent || operations.iter().any(|operation| *operation != 0) {
        let message = "this writer takes new rows only, no updates or deletes";
        return Err(Fault::user("postgresql.changes_unsupported", message));
    }
    Ok(())
}
