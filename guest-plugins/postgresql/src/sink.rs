//! One task: each batch is one COPY behind a savepoint, rows and mark are committed together.

use std::cell::RefCell;
use std::rc::Rc;

use database::writing::{Pace, refuse_changes, refused};
use database::{ANSWER_WAIT, STATEMENT_WAIT, Spoken};
use sdk::{Answer, Batch, Closed, Fault, Mark, Remark, Result, Sink, Task, log};

use crate::client::Client;
use crate::encode::{self, Form};
use crate::error::{Error, ServerError, VENDOR};
use crate::marks::Marks;
use crate::target::Target;
use crate::types::PgType;
use crate::xids::Xids;

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
    /// Calls of `write`.
    written: u64,
    pace: Pace,
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
        refuse_changes(VENDOR, &batch)?;
        let number = self.written;
        self.written += 1;
        let encoded = encode::encode(&batch.rows, &self.types, self.form, self.empty_as_null)?;
        let mut remarks: Vec<Remark> = encoded
            .refusals
            .iter()
            .map(|refusal| {
                let column = Some(refusal.column as usize);
                refused(number, refusal.row, column, refusal.code, refusal.message.to_owned())
            })
            .collect();
        if encoded.lines.is_empty() {
            return Ok(Answer { remarks, undone: None, durable: None, taken: self.written });
        }
        match self.copy(&encoded.bytes, encoded.lines.len() as u64) {
            Ok(()) => {
                self.pace.add(encoded.bytes.len() as u64);
                Ok(Answer { remarks, undone: None, durable: None, taken: self.written })
            }
            Err(Error::Server(error)) if error.refuses_rows() => {
                self.client.borrow_mut().execute("ROLLBACK TO SAVEPOINT airlock")?;
                remarks.extend(self.named_row(&error, number, &encoded.lines));
                Ok(Answer {
                    remarks,
                    undone: Some(self.refused(&error)),
                    durable: None,
                    taken: number,
                })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn commit(&mut self, mark: Mark, now: bool) -> Result<Answer> {
        let due = self.pace.is_due(now);
        if due {
            self.commit_rows(mark)?;
        }
        let durable = if due { self.committed.clone() } else { None };
        Ok(Answer { remarks: Vec::new(), undone: None, durable, taken: self.written })
    }

    fn close(&mut self, mark: Mark) -> Result<Closed> {
        let answer = self.commit(mark, true)?;
        log::debug(&format!("{} COPYs for {} batches", self.copies, self.written));
        if self.dropped > 0 {
            log::warn(&format!(
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
    /// A sink behind what `committed` says.
    pub(crate) fn new(
        client: Rc<RefCell<Client>>,
        (target, marks): (Target, Option<Marks>),
        task: Task,
        committed: Option<Mark>,
        xids: Option<Xids>,
        empty_as_null: bool,
    ) -> Self {
        Self {
            xids,
            types: target.types(),
            form: target.form(),
            empty_as_null,
            target,
            marks,
            client,
            task,
            committed,
            written: 0,
            pace: Pace::default(),
            has_savepoint: false,
            copies: 0,
            dropped: 0,
        }
    }

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

    /// What the server says of a staging table is of the table that it stands for.
    fn of_the_table(&self, message: String) -> String {
        match &self.target.stage {
            Some(stage) => message.replace(&stage.name, &self.target.table.name),
            None => message,
        }
    }

    fn refused(&self, error: &ServerError) -> Fault {
        let mut fault = error.fault();
        fault.message = self.of_the_table(fault.message);
        fault
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
        Some(refused(batch, row, column, error.refusal_code(), self.of_the_table(message)))
    }

    /// Commits rows and mark together.
    fn commit_rows(&mut self, mark: Mark) -> Result<()> {
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
        self.pace = Pace::default();
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
