//! One task: batches go into a COPY behind a savepoint, many into one, and rows and mark are committed
//! together.
//!
//! A COPY is ended when it has become large, and before a commit; until then the server works on it while
//! the next batch is made. Where the server refuses a row, the whole COPY is undone, and the row is found:
//! by the line that the server names, else by sending smaller and smaller parts.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use codec::postgresql::{Form, SIGNATURE};
use database::writing::{Pace, refuse_changes, refused};
use database::{ANSWER_WAIT, STATEMENT_WAIT, Spoken};
use sdk::codec::{Encoder, Refused};
use sdk::{Answer, Batch, Closed, Fault, Mark, Remark, Result, Sink, Task, log};

use crate::client::Client;
use crate::error::{Error, ServerError, VENDOR};
use crate::marks::Marks;
use crate::sent::{Sent, slice};
use crate::target::Target;
use crate::xids::Xids;

/// A COPY is ended behind so many bytes at most: they are kept until then, here and by the host.
const COPY_BYTES_MAX: usize = 8 << 20;
/// Behind a refused row each batch is a COPY of its own, so that little is done twice where there are many
/// of them; every COPY that is taken doubles what the next one holds, from here on.
const COPY_BYTES_MIN: usize = 512 << 10;

/// Writes one task.
pub struct PostgresSink {
    client: Rc<RefCell<Client>>,
    target: Target,
    form: Form,
    encoder: Encoder,
    marks: Option<Marks>,
    task: Task,
    committed: Option<Mark>,
    /// Calls of `write`.
    written: u64,
    /// What the open COPY holds; empty where none is open.
    sent: Vec<Sent>,
    sent_bytes: usize,
    /// What ends the open COPY.
    sent_bytes_max: usize,
    pace: Pace,
    has_savepoint: bool,
    /// The transactions of this task's rows, where they are read back.
    xids: Option<Xids>,
    /// COPYs sent to the server.
    copies: u64,
    /// Rows that the server took and did not add.
    dropped: u64,
}

/// What became of a COPY that the server refused: it is undone, but for the batches before `taken`.
struct Undone {
    fault: Fault,
    remark: Remark,
    taken: u64,
}

impl Sink for PostgresSink {
    fn committed(&mut self) -> Option<Mark> {
        self.committed.clone()
    }

    fn write(&mut self, batch: Batch) -> Result<Answer> {
        refuse_changes(VENDOR, &batch)?;
        let number = self.written;
        self.written += 1;
        self.client.borrow_mut().allow(ANSWER_WAIT);
        let encoded = self.encoder.encode(&batch.rows)?;
        let told = |it: &Refused| {
            refused(number, it.row, Some(it.column as usize), &it.code, it.message.clone())
        };
        let remarks = encoded.refused.iter().map(told).collect();
        let sent = Sent::new(number, batch.rows.num_rows(), encoded);
        let undone = if sent.rows > 0 { self.send(sent)? } else { None };
        Ok(self.answer(remarks, undone))
    }

    fn commit(&mut self, mark: Mark, now: bool) -> Result<Answer> {
        if !self.pace.is_due(now) {
            return Ok(self.answer(Vec::new(), None));
        }
        self.client.borrow_mut().allow(STATEMENT_WAIT);
        if let Some(undone) = self.end_copy()? {
            return Ok(self.answer(Vec::new(), Some(undone)));
        }
        self.commit_rows(mark)?;
        Ok(Answer { durable: self.committed.clone(), ..self.answer(Vec::new(), None) })
    }

    fn close(&mut self, mark: Mark) -> Result<Closed> {
        let answer = self.commit(mark, true)?;
        if answer.undone.is_none() {
            self.say_what_was_done();
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
        encoder: Encoder,
    ) -> Self {
        Self {
            xids,
            form: target.form(),
            encoder,
            target,
            marks,
            client,
            task,
            committed,
            written: 0,
            sent: Vec::new(),
            sent_bytes: 0,
            sent_bytes_max: COPY_BYTES_MAX,
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

    fn answer(&self, mut remarks: Vec<Remark>, undone: Option<Undone>) -> Answer {
        let open = self.sent.first().map_or(self.written, |sent| sent.number);
        let (undone, taken) = match undone {
            Some(Undone { fault, remark, taken }) => {
                remarks.push(remark);
                (Some(fault), taken)
            }
            None => (None, open),
        };
        Answer { remarks, undone, durable: None, taken }
    }

    fn say_what_was_done(&self) {
        log::debug(&format!("{} COPYs for {} batches", self.copies, self.written));
        if self.dropped > 0 {
            log::warn(&format!(
                "{} rows that count as written are not in the table \"{}\": a trigger or rule of it dropped them",
                self.dropped,
                self.target.table.title()
            ));
        }
    }

    /// Sends a batch with the open COPY, or a new one.
    fn send(&mut self, sent: Sent) -> Result<Option<Undone>> {
        if self.sent.is_empty() {
            self.savepoint()?;
            if let Err(error) = self.begin_copy() {
                return self.undone(error, vec![sent]);
            }
        }
        self.client.borrow_mut().copy_send(&sent.bytes)?;
        self.pace.add(sent.bytes.len() as u64);
        self.sent_bytes += sent.bytes.len();
        self.sent.push(sent);
        if self.sent_bytes < self.sent_bytes_max {
            return Ok(None);
        }
        self.end_copy()
    }

    /// Ends the open COPY, if there is one; an upsert moves its rows on.
    fn end_copy(&mut self) -> Result<Option<Undone>> {
        let sent = std::mem::take(&mut self.sent);
        self.sent_bytes = 0;
        if sent.is_empty() {
            return Ok(None);
        }
        let rows = sent.iter().map(|sent| sent.rows).sum();
        match self.end(rows) {
            Ok(dropped) => {
                self.dropped += dropped;
                let next = (self.sent_bytes_max * 2).clamp(COPY_BYTES_MIN, COPY_BYTES_MAX);
                self.sent_bytes_max = next;
                Ok(None)
            }
            Err(error) => self.undone(error, sent),
        }
    }

    /// A savepoint to come back to, in a transaction.
    fn savepoint(&mut self) -> crate::error::Result<()> {
        let client = &mut self.client.borrow_mut();
        if !client.in_transaction() {
            // Deferred constraints would speak only at the commit, about no row.
            client.execute("BEGIN; SET CONSTRAINTS ALL IMMEDIATE")?;
            self.has_savepoint = false;
        }
        let release = if self.has_savepoint { "RELEASE SAVEPOINT airlock; " } else { "" };
        client.execute(&format!("{release}SAVEPOINT airlock"))?;
        self.has_savepoint = true;
        Ok(())
    }

    fn begin_copy(&mut self) -> crate::error::Result<()> {
        self.copies += 1;
        let client = &mut self.client.borrow_mut();
        client.copy_in(&self.target.copy().0)?;
        if self.form == Form::Binary {
            client.copy_send(&[SIGNATURE.as_slice(), &[0; 8]].concat())?;
        }
        Ok(())
    }

    /// Ends a COPY of so many rows, and answers how many of them were dropped.
    fn end(&mut self, rows: usize) -> crate::error::Result<u64> {
        let client = &mut self.client.borrow_mut();
        let trailer = match self.form {
            Form::Binary => &(-1_i16).to_be_bytes()[..],
            Form::Text => &[],
        };
        let added = client.copy_end(trailer)?;
        if let Some(upsert) = &self.target.upsert {
            client.execute(&self.target.merge(upsert))?;
        }
        if let Some(xids) = &mut self.xids {
            note_xids(client, xids)?;
        }
        Ok((rows as u64).saturating_sub(added))
    }

    /// Goes back to the savepoint, and finds the row of `sent` that is to blame.
    fn undone(&mut self, error: Error, sent: Vec<Sent>) -> Result<Option<Undone>> {
        let error = match error {
            Error::Server(error) if error.refuses_rows() => error,
            error => return Err(error.into()),
        };
        self.client.borrow_mut().execute("ROLLBACK TO SAVEPOINT airlock")?;
        self.sent_bytes_max = 0;
        let (error, index) = match self.named_row(&error) {
            Some(index) => (error, index),
            None => self.searched(error, &sent)?,
        };
        let Some((batch, row)) = find(&sent, index) else {
            return Err(Error::Server(error).into());
        };
        Ok(Some(self.refusal(&error, (batch, row), sent[0].number)))
    }

    /// Finds the first row of `sent` with which the server refuses them, and what it says of it. Rows before
    /// it are in the table while it is looked for, as they were when it was refused.
    fn searched(
        &mut self,
        mut error: Box<ServerError>,
        sent: &[Sent],
    ) -> Result<(Box<ServerError>, usize)> {
        let ends: Vec<_> = sent.iter().map(|sent| sent.ends(self.form)).collect();
        let mut suspects = 0..sent.iter().map(|sent| sent.rows).sum::<usize>();
        while suspects.len() > 1 {
            let middle = suspects.start + suspects.len() / 2;
            self.client.borrow_mut().execute("SAVEPOINT airlock_half")?;
            match self.copy_of(sent, &ends, suspects.start..middle) {
                Ok(()) => suspects.start = middle,
                Err(Error::Server(said)) if said.refuses_rows() => {
                    self.client.borrow_mut().execute("ROLLBACK TO SAVEPOINT airlock_half")?;
                    suspects.end = middle;
                    error = said;
                }
                Err(other) => return Err(other.into()),
            }
        }
        self.client.borrow_mut().execute("ROLLBACK TO SAVEPOINT airlock")?;
        Ok((error, suspects.start))
    }

    /// A COPY of some of the rows of `sent`, which are counted through.
    fn copy_of(
        &mut self,
        sent: &[Sent],
        ends: &[Vec<usize>],
        rows: Range<usize>,
    ) -> crate::error::Result<()> {
        self.begin_copy()?;
        let mut first = 0;
        for (sent, ends) in sent.iter().zip(ends) {
            let within = |row: usize| row.clamp(first, first + sent.rows) - first;
            let bytes = slice(&sent.bytes, ends, within(rows.start)..within(rows.end));
            self.client.borrow_mut().copy_send(bytes)?;
            first += sent.rows;
        }
        self.end(rows.len()).map(drop)
    }

    fn refusal(&self, error: &ServerError, (batch, row): (u64, u32), taken: u64) -> Undone {
        let relation = self.target.copy().1;
        let column = error
            .copy_column(relation)
            .and_then(|name| self.target.columns.iter().position(|column| column.name == name));
        let message = match &error.constraint {
            Some(constraint) => format!("{} (constraint \"{constraint}\")", error.text()),
            None => error.text(),
        };
        let message = self.of_the_table(message);
        let remark = refused(batch, row, column, error.refusal_code(), message);
        Undone { fault: self.refused(error), remark, taken }
    }

    /// The row of the COPY that the server was at, where it says so.
    fn named_row(&self, error: &ServerError) -> Option<usize> {
        let line = usize::try_from(error.copy_line(self.target.copy().1)?).ok()?;
        line.checked_sub(1)
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

    /// Commits rows and mark together.
    fn commit_rows(&mut self, mark: Mark) -> Result<()> {
        let client = &mut self.client.borrow_mut();
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

/// The batch, and the row in it, of a row that was sent.
fn find(sent: &[Sent], mut index: usize) -> Option<(u64, u32)> {
    for sent in sent {
        if index < sent.rows {
            return Some((sent.number, sent.row(index)));
        }
        index -= sent.rows;
    }
    None
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
