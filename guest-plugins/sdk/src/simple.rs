//! The simple face: a connector in fifty lines.
//!
//! [`SimpleReader`] names its table and hands out rows, [`SimpleWriter`] takes rows and says when they
//! are safe; [`Simple`] makes a [`Reader`] or a [`Writer`] of it and looks after sessions, splits,
//! budgets and positions. Rows may be Arrow record batches or plain values ([`crate::rows`]).
//!
//! ```
//! # use airlock_sdk as sdk;
//! use sdk::arrow_schema::{DataType, Field};
//! use sdk::simple::{RowStream, Simple, SimpleReader};
//! use sdk::{Configuration, Dataset, Result, rows};
//!
//! struct Squares(u64);
//!
//! impl SimpleReader for Squares {
//!     fn connect(_: &Configuration) -> Result<Self> {
//!         Ok(Self(10))
//!     }
//!     fn dataset(&mut self) -> Result<Dataset> {
//!         let number = |name| Field::new(name, DataType::Int64, false);
//!         Ok(Dataset::new(["squares"], [number("n"), number("square")]))
//!     }
//!     fn read(&mut self, _share: &str, from: u64) -> Result<RowStream> {
//!         let schema = self.dataset()?.schema;
//!         let made = (from..self.0).map(|n| vec![(n as i64).into(), ((n * n) as i64).into()]);
//!         let batch = rows::to_batch(&schema, &made.collect::<Vec<_>>());
//!         Ok(Box::new(std::iter::once(batch)))
//!     }
//! }
//!
//! type Reader = Simple<Squares>; // `type Reader = Simple<Squares>;` in the `Plugin`
//! ```
//!
//! What it does not do: several tables, changes, bookmarks, undoing. The full traits do.

use std::cell::RefCell;
use std::rc::Rc;

use arrow_array::RecordBatch;

use crate::{
    Answer, Batch, Budget, Closed, CommitMode, Configuration, Cursor, Dataset, Fault, Mark,
    Outcome, Plan, Position, Prepared, Reader, Result, Rows, Run, Sink, Split, Splits, Step, Task,
    Wishes, Writer,
};

#[cfg(test)]
mod tests;

/// Batches of any size; the next is asked for when it is needed.
pub type RowStream = Box<dyn Iterator<Item = Result<RecordBatch>>>;

/// A source of one table.
pub trait SimpleReader: Sized + 'static {
    fn connect(configuration: &Configuration) -> Result<Self>;

    /// The table that is read.
    fn dataset(&mut self) -> Result<Dataset>;

    /// Names of the shares that may be read side by side, the same ones in the same order in each
    /// session of a run; one share where nothing can be divided.
    fn shares(&mut self) -> Result<Vec<String>> {
        Ok(vec!["all".to_owned()])
    }

    /// The rows of `share` from row `from` on. The order must be the same in each session of a run:
    /// a resumed run counts rows.
    fn read(&mut self, share: &str, from: u64) -> Result<RowStream>;
}

/// A destination that takes rows of any table, and may get some twice after a restart.
pub trait SimpleWriter: Sized + 'static {
    fn connect(configuration: &Configuration) -> Result<Self>;

    /// Comes before the first row, and again in a resumed run.
    fn prepare(&mut self, _datasets: &[Dataset]) -> Result<()> {
        Ok(())
    }

    fn write(&mut self, dataset: &Dataset, rows: &RecordBatch) -> Result<()>;

    /// Answers when everything written so far is safe.
    fn flush(&mut self) -> Result<()>;

    /// Comes behind the last row of the run.
    fn finish(&mut self, _outcome: Outcome) -> Result<()> {
        Ok(())
    }
}

/// Makes a full reader or writer of a simple one.
pub struct Simple<T>(Rc<RefCell<T>>);

impl<T> Simple<T> {
    fn new(inner: T) -> Self {
        Self(Rc::new(RefCell::new(inner)))
    }
}

impl<T: SimpleReader> Reader for Simple<T> {
    type Cursor = SimpleCursor;

    fn connect(configuration: &Configuration) -> Result<Self> {
        T::connect(configuration).map(Self::new)
    }

    fn plan(&mut self, _parallelism: u32, _since: &[Position]) -> Result<Plan> {
        let dataset = self.0.borrow_mut().dataset()?;
        Ok(Plan { datasets: vec![dataset], bounded: true, start: number_bytes(0) })
    }

    fn splits(&mut self, at: &[u8], limit: u32) -> Result<Splits> {
        let shares = self.0.borrow_mut().shares()?;
        let first = number(at)? as usize;
        let end = first.saturating_add(limit as usize).min(shares.len());
        let split = |share: &String| Split {
            token: share.clone().into_bytes(),
            label: share.clone(),
            stage: 0,
            rows_estimate: None,
            bytes_estimate: None,
        };
        Ok(Splits {
            splits: shares.get(first..end).unwrap_or_default().iter().map(split).collect(),
            last: end == shares.len(),
            next: number_bytes(end as u64),
        })
    }

    fn open(
        &mut self,
        split: Split,
        start: Option<Position>,
        _datasets: Vec<Dataset>,
    ) -> Result<SimpleCursor> {
        let share = String::from_utf8(split.token).map_err(|_| foreign())?;
        let at = start.map_or(Ok(0), |start| number(&start))?;
        let rows = self.0.borrow_mut().read(&share, at)?;
        Ok(SimpleCursor { rows, rest: None, row_bytes: 1, at })
    }
}

/// Cuts the batches of a [`RowStream`] to the host's budget.
pub struct SimpleCursor {
    rows: RowStream,
    /// What a batch had beyond the budget.
    rest: Option<RecordBatch>,
    /// Of a row of the batch that `rest` is of, on average: a slice still holds all its buffers.
    row_bytes: u64,
    /// Rows handed out: the position.
    at: u64,
}

impl Cursor for SimpleCursor {
    fn next(&mut self, budget: Budget) -> Result<Step> {
        let batch = match self.rest.take() {
            Some(rest) => rest,
            None => match self.rows.next() {
                Some(batch) => {
                    let batch = batch?;
                    let bytes = batch.get_array_memory_size();
                    self.row_bytes = (bytes / batch.num_rows().max(1)).max(1) as u64;
                    batch
                }
                None => return Ok(Step::Ended(None)),
            },
        };
        if batch.num_rows() == 0 {
            return Ok(Step::Idle);
        }
        let fitting = (budget.bytes / self.row_bytes).clamp(1, u64::from(budget.rows.max(1)));
        let count = batch.num_rows().min(fitting as usize);
        if count < batch.num_rows() {
            self.rest = Some(batch.slice(count, batch.num_rows() - count));
        }
        self.at += count as u64;
        Ok(Step::Rows(Rows {
            batches: vec![Batch::inserts(batch.slice(0, count))],
            position: Some(number_bytes(self.at)),
            ..Rows::default()
        }))
    }
}

impl<T: SimpleWriter> Writer for Simple<T> {
    type Sink = SimpleSink<T>;

    fn connect(configuration: &Configuration) -> Result<Self> {
        T::connect(configuration).map(Self::new)
    }

    fn prepare(&mut self, _run: &Run, datasets: Vec<Dataset>) -> Result<Prepared> {
        self.0.borrow_mut().prepare(&datasets)?;
        self.preview(datasets)
    }

    fn preview(&mut self, datasets: Vec<Dataset>) -> Result<Prepared> {
        let commit_mode = CommitMode::AtLeastOnce;
        Ok(Prepared { datasets, commit_mode, wishes: Wishes::default() })
    }

    fn open(&mut self, _task: Task, datasets: Vec<Dataset>) -> Result<SimpleSink<T>> {
        Ok(SimpleSink { writer: self.0.clone(), datasets, batches: 0 })
    }

    fn finish(&mut self, _run: &Run, outcome: Outcome, _receipts: Vec<Vec<u8>>) -> Result<()> {
        self.0.borrow_mut().finish(outcome)
    }
}

/// One task of a simple writer.
pub struct SimpleSink<T> {
    writer: Rc<RefCell<T>>,
    datasets: Vec<Dataset>,
    batches: u64,
}

impl<T: SimpleWriter> Sink for SimpleSink<T> {
    fn committed(&mut self) -> Option<Mark> {
        None
    }

    fn write(&mut self, batch: Batch) -> Result<Answer> {
        let dataset = self.datasets.get(batch.dataset as usize).ok_or_else(foreign)?;
        self.writer.borrow_mut().write(dataset, &batch.rows)?;
        self.batches += 1;
        Ok(Answer { taken: self.batches, ..Answer::default() })
    }

    fn commit(&mut self, mark: Mark, _now: bool) -> Result<Answer> {
        self.writer.borrow_mut().flush()?;
        Ok(Answer { durable: Some(mark), taken: self.batches, ..Answer::default() })
    }

    fn close(&mut self, mark: Mark) -> Result<Closed> {
        Ok(Closed { answer: self.commit(mark, true)?, receipt: Vec::new() })
    }
}

fn number_bytes(number: u64) -> Vec<u8> {
    number.to_le_bytes().to_vec()
}

fn number(bytes: &[u8]) -> Result<u64> {
    bytes.try_into().map(u64::from_le_bytes).map_err(|_| foreign())
}

fn foreign() -> Fault {
    Fault::plugin("sdk.position", "a split, a position or a dataset is not of this plug-in")
}
