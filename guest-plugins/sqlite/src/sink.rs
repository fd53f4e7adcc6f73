//! One task: rows one by one in a large transaction, committed together with their mark.
//!
//! A row that is refused costs itself alone: SQLite undoes the statement, and the transaction goes on.

use std::rc::Rc;

use arrow_array::RecordBatch;
use database::writing::{Pace, refuse_changes, refused};
use rusqlite::{Connection as Database, Statement};
use sdk::{Answer, Batch, Closed, Mark, Remark, Result, Sink, Task};

use crate::encode;
use crate::error::{self, VENDOR};
use crate::marks::Marks;
use crate::places;
use crate::target::Target;

/// Writes one task.
pub struct SqliteSink {
    pub(crate) database: Rc<Database>,
    pub(crate) target: Target,
    /// The statement that writes a row.
    pub(crate) insert: String,
    pub(crate) empty_as_null: bool,
    pub(crate) marks: Marks,
    pub(crate) task: Task,
    pub(crate) committed: Option<Mark>,
    /// Calls of `write`.
    pub(crate) written: u64,
    pub(crate) pace: Pace,
}

impl Sink for SqliteSink {
    fn committed(&mut self) -> Option<Mark> {
        self.committed.clone()
    }

    fn write(&mut self, batch: Batch) -> Result<Answer> {
        refuse_changes(VENDOR, &batch)?;
        encode::check(&batch.rows, &self.target.columns)?;
        self.begin()?;
        let remarks = self.insert(&batch.rows)?;
        self.pace.add(batch.rows.get_array_memory_size() as u64);
        self.written += 1;
        Ok(Answer { remarks, taken: self.written, ..Answer::default() })
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

impl SqliteSink {
    fn begin(&self) -> Result<()> {
        match self.database.is_autocommit() {
            true => places::run(&self.database, "BEGIN IMMEDIATE").map_err(error::fault),
            false => Ok(()),
        }
    }

    /// Writes the rows, and answers those that are refused.
    fn insert(&self, rows: &RecordBatch) -> Result<Vec<Remark>> {
        sdk::log::statement(&self.insert, None);
        let mut statement = self.database.prepare(&self.insert).map_err(error::fault)?;
        let mut remarks = Vec::new();
        for row in 0..rows.num_rows() {
            remarks.extend(self.row(&mut statement, rows, row)?);
        }
        Ok(remarks)
    }

    fn row(
        &self,
        statement: &mut Statement<'_>,
        rows: &RecordBatch,
        row: usize,
    ) -> Result<Option<Remark>> {
        let remark = |column: Option<usize>, code: &str, message: String| {
            Some(refused(self.written, row as u32, column, code, message))
        };
        let columns = &self.target.columns;
        for (index, (column, array)) in columns.iter().zip(rows.columns()).enumerate() {
            match encode::value(array.as_ref(), column, row, self.empty_as_null) {
                Ok(value) => {
                    statement.raw_bind_parameter(index + 1, value).map_err(error::fault)?;
                }
                Err((code, words)) => return Ok(remark(Some(index), code, words.to_owned())),
            }
        }
        let Err(error) = statement.raw_execute() else { return Ok(None) };
        let Some((code, words, name)) = error::refusal(&error) else {
            return Err(error::fault(error));
        };
        if self.database.is_autocommit() {
            let message = format!("the table undid the whole transaction: {words}");
            return Err(VENDOR
                .user("transaction_lost", message)
                .hint("a trigger calls RAISE(ROLLBACK); let it call RAISE(ABORT)"));
        }
        let column = name.and_then(|name| columns.iter().position(|column| column.name == name));
        Ok(remark(column, code, self.of_the_table(words)))
    }

    /// What SQLite says of a staging table is of the table that it stands for.
    fn of_the_table(&self, message: String) -> String {
        match &self.target.stage {
            Some(stage) => message.replace(&stage.name, &self.target.table.name),
            None => message,
        }
    }

    /// Commits rows and mark together.
    fn commit_rows(&mut self, mark: Mark) -> Result<()> {
        self.begin()?;
        let Task { run, index, epoch, .. } = &self.task;
        let work = self.marks.set(&self.database, run, *index, *epoch, &mark);
        let work = work.and_then(|()| places::run(&self.database, "COMMIT").map_err(error::fault));
        if let Err(fault) = work {
            // What could not be committed is undone when the file is opened next, at the latest.
            let _ = self.database.execute_batch("ROLLBACK");
            return Err(fault);
        }
        self.committed = Some(mark);
        self.pace = Pace::default();
        Ok(())
    }
}
