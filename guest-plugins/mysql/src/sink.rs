//! One task: each batch behind a savepoint, loaded where that is exact, else by INSERTs of many rows; rows
//! and mark committed together.
//!
//! LOAD DATA LOCAL costs the server half of what INSERTs do. But it makes warnings of errors and passes over
//! rows whose key is there, so only a load without a single one counts: all else is taken back, and the
//! INSERTs find which rows are bad.

use std::cell::RefCell;
use std::rc::Rc;

use database::writing::{Pace, refuse_changes, refused};
use database::{ANSWER_WAIT, STATEMENT_WAIT, Spoken};
use sdk::{Answer, Batch, Closed, Mark, Remark, Result, Sink, Task};

use crate::catalog::text;
use crate::client::{Client, Done};
use crate::encode::{self, Form, Line, Refusal, Style};
use crate::error::{Error, ServerError, VENDOR};
use crate::marks::Marks;
use crate::settings::{WriteMode, WriterParameter};
use crate::target::Target;

/// A statement at most, where the server takes as much: longer ones bring nothing.
const STATEMENT_BYTES: usize = 1 << 20;
/// Rows of a load at most: clusters that commit a longer one in parts, do so every 10,000 rows.
const LOAD_ROWS: usize = 8_000;
/// Warnings that say that a value is not what was sent.
const CHANGES: [u16; 7] = [1048, 1264, 1265, 1292, 1366, 1406, 1411];

/// Writes one task.
pub struct MysqlSink {
    client: Rc<RefCell<Client>>,
    target: Target,
    head: String,
    tail: String,
    style: Style,
    /// The statement that loads rows, where that is tried.
    load: Option<String>,
    statement_bytes: usize,
    statement_rows: usize,
    marks: Option<Marks>,
    task: Task,
    committed: Option<Mark>,
    /// Calls of `write`.
    written: u64,
    pace: Pace,
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
        refuse_changes(VENDOR, &batch)?;
        let number = self.written;
        self.written += 1;
        let form = if self.load.is_some() { Form::Line } else { Form::Literals };
        let (mut lines, mut refusals) = self.encode(&batch, form)?;
        let mut answer = Answer { taken: self.written, ..Answer::default() };
        self.client.borrow_mut().allow(ANSWER_WAIT);
        if self.target.table.is_transactional && batch.rows.num_rows() > 0 {
            self.save()?;
        }
        // Which row is too large depends on its form.
        let is_tried = form == Form::Line && refusals.iter().all(|it| it.column.is_some());
        let was_loaded = is_tried && self.load(&lines)?;
        if form == Form::Line && !was_loaded {
            (lines, refusals) = self.encode(&batch, Form::Literals)?;
        }
        let mut remarks: Vec<Remark> = refusals
            .iter()
            .map(|refusal| {
                let (code, message) = refusal.misfit;
                let column = refusal.column.map(|column| column as usize);
                refused(number, refusal.row, column, code, message.to_owned())
            })
            .collect();
        let chunks = if was_loaded { Vec::new() } else { self.chunks(&lines) };
        for chunk in chunks {
            let Some(bad) = self.insert(chunk)? else { continue };
            remarks.extend(self.named_row(&bad, number, chunk));
            if self.target.table.is_transactional {
                self.client.borrow_mut().execute("ROLLBACK TO SAVEPOINT airlock")?;
                let mut fault = bad.error.fault();
                fault.message = self.of_the_table(fault.message);
                answer.undone = Some(fault);
                answer.taken = number;
                break;
            }
        }
        if answer.undone.is_none() {
            if is_tried && !was_loaded {
                // Whatever a load is told of here, it says nothing of the rows.
                self.load = None;
            }
            self.pace.add(lines.iter().map(|line| line.values.len() as u64).sum());
        }
        Ok(Answer { remarks, ..answer })
    }

    fn commit(&mut self, mark: Mark, now: bool) -> Result<Answer> {
        let due = self.pace.is_due(now);
        if due {
            self.commit_rows(mark)?;
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
    /// A sink behind what `committed` says, to a server that takes packets of `packet_max` bytes, and loads
    /// where it `may_load`.
    ///
    /// # Errors
    /// Those of [`Target::insert`].
    pub(crate) fn new(
        client: Rc<RefCell<Client>>,
        (target, marks): (Target, Option<Marks>),
        task: Task,
        committed: Option<Mark>,
        parameter: &WriterParameter,
        (packet_max, may_load): (usize, bool),
    ) -> Result<Self> {
        let (head, tail) = target.insert(parameter)?;
        let overhead = head.len() + tail.len() + 64;
        let style = Style {
            form: Form::Literals,
            empty_as_null: parameter.empty_as_null(),
            skips_null: parameter.skips_null() && parameter.write_mode() != WriteMode::Update,
            row_bytes: packet_max.saturating_sub(overhead),
        };
        Ok(Self {
            statement_bytes: style.row_bytes.min(STATEMENT_BYTES),
            statement_rows: match target.table.is_transactional {
                true => parameter.batch_rows(),
                false => 1,
            },
            load: target.load(parameter).filter(|_| may_load),
            style,
            head,
            tail,
            target,
            marks,
            client,
            task,
            committed,
            written: 0,
            pace: Pace::default(),
        })
    }

    fn encode(&self, batch: &Batch, form: Form) -> Result<(Vec<Line>, Vec<Refusal>)> {
        encode::encode(&batch.rows, &self.target.columns, Style { form, ..self.style })
    }

    /// Loads rows; false where not all of them got there as they are, and nothing of them stays.
    fn load(&mut self, lines: &[Line]) -> Result<bool> {
        let Some(statement) = &self.load else { return Ok(false) };
        let client = &mut self.client.borrow_mut();
        for lines in lines.chunks(self.statement_rows.min(LOAD_ROWS)) {
            let rows: Vec<u8> = lines.iter().flat_map(|line| &line.values).copied().collect();
            let count = lines.len() as u64;
            let is_clean = match client.load(statement, &rows) {
                Ok(Done { loaded: Some([read, _, skipped, warned]), warnings, .. }) => {
                    read == count && [skipped, warned, u64::from(warnings)] == [0; 3]
                }
                Ok(_) => false,
                // What has undone more than the statement is no matter of its rows.
                Err(Error::Server(error)) if error.fault().retry_after_ms.is_none() => false,
                Err(error) => return Err(error.into()),
            };
            if !is_clean {
                client.execute("ROLLBACK TO SAVEPOINT airlock")?;
                return Ok(false);
            }
        }
        Ok(true)
    }

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
    fn named_row(&self, bad: &Refused, batch: u64, lines: &[Line]) -> Option<Remark> {
        let error = &bad.error;
        let line = match lines {
            [only] => only,
            lines => lines.get(error.row()?.checked_sub(1)?)?,
        };
        let columns = &self.target.columns;
        let column = error.column().and_then(|name| columns.iter().position(|c| c.name == name));
        let message = self.of_the_table(error.text());
        let remark = refused(batch, line.row, column, error.refusal_code(), message);
        Some(Remark { loaded: bad.loaded, ..remark })
    }

    /// Commits rows and mark together.
    fn commit_rows(&mut self, mark: Mark) -> Result<()> {
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
        self.pace = Pace::default();
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
