//! A small honest writer that counts, and its lies.

use std::cell::Cell;
use std::rc::Rc;

use sdk::bindings::airlock::connector::types::{Batch, Dataset, DatasetChange};
use sdk::bindings::exports::airlock::connector::writer as raw;
use sdk::{
    Answer, Closed, CommitMode, Configuration, Fault, Mark, NoSql, Outcome, Remark, Result, Run,
    Task, Wishes,
};

use crate::acts::{before, before_silent};
use crate::reader::tend_again;
use crate::script::Script;
use crate::{Faulty, datasets};

pub(crate) struct Session(Rc<Script>);

pub(crate) struct Sink {
    script: Rc<Script>,
    /// Batches and rows since `open`.
    batches: Cell<u64>,
    rows: Cell<u64>,
}

impl raw::Guest for Faulty {
    type Session = Session;
    type Sink = Sink;
}

impl sdk::bindings::exports::airlock::connector::sql::Guest for Faulty {
    type Session = NoSql;
}

impl Session {
    fn prepared(&self, act: Option<&str>, datasets: Vec<Dataset>) -> raw::Prepared {
        let wish = if act == Some("wishes-huge") { u32::MAX } else { 0 };
        raw::Prepared {
            datasets: datasets::lie(act, &self.0, datasets),
            commit_mode: CommitMode::AtLeastOnce,
            wishes: Wishes {
                batch_rows: wish,
                batch_bytes: u64::from(wish) << 20,
                commit_bytes: u64::from(wish) << 20,
                commit_ms: wish,
                sort_by: Vec::new(),
                lanes: 0,
            },
        }
    }
}

impl raw::GuestSession for Session {
    fn connect(configuration: Configuration) -> Result<raw::Session> {
        let script = Script::of(&configuration)?;
        before(&script, "connect", Some(&configuration))?;
        Ok(raw::Session::new(Self(Rc::new(script))))
    }

    fn prepare(&self, _run: Run, datasets: Vec<Dataset>) -> Result<raw::Prepared> {
        let act = before(&self.0, "prepare", None)?;
        Ok(self.prepared(act, datasets))
    }

    fn preview(&self, datasets: Vec<Dataset>) -> Result<raw::Prepared> {
        let act = before(&self.0, "preview", None)?;
        Ok(self.prepared(act, datasets))
    }

    fn change(&self, _run: Run, _change: DatasetChange) -> Result<Option<Dataset>> {
        Err(Fault::user("faulty.change", "this writer does not follow changes"))
    }

    fn open(&self, _task: Task, _datasets: Vec<Dataset>) -> Result<raw::Sink> {
        before(&self.0, "open", None)?;
        let (batches, rows) = (Cell::new(0), Cell::new(0));
        Ok(raw::Sink::new(Sink { script: self.0.clone(), batches, rows }))
    }

    fn finish(&self, _run: Run, outcome: Outcome, receipts: Vec<Vec<u8>>) -> Result<()> {
        before(&self.0, "finish", None)?;
        sdk::log::info(&format!("finish {outcome:?} with {} receipts", receipts.len()));
        Ok(())
    }

    fn read_back(
        &self,
        _run: Run,
        datasets: Vec<Dataset>,
        _receipts: Vec<Vec<u8>>,
    ) -> Result<raw::ReadBack> {
        let act = before(&self.0, "read-back", None)?;
        let fields: usize = datasets.iter().map(|dataset| dataset.fields.len()).sum();
        let lie = usize::from(act == Some("forms-missing"));
        let forms = vec![raw::Form::Same; fields.saturating_sub(lie)];
        let (parameter, replaces_by) = ("{}".into(), Vec::new());
        Ok(raw::ReadBack::By(raw::Back { parameter, forms, replaces_by }))
    }

    fn tend(&self) -> Result<Option<u32>> {
        let act = before(&self.0, "tend", None)?;
        Ok(tend_again(act, &self.0))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        before_silent(&self.0, "drop-session");
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        before_silent(&self.script, "drop-sink");
    }
}

impl Sink {
    /// The honest answer with the lie that `act` means.
    fn answer(&self, act: Option<&str>, durable: Option<Mark>) -> Answer {
        let batches = self.batches.get();
        let taken = if durable.is_some() { batches } else { 0 };
        let mut answer = Answer { remarks: Vec::new(), undone: None, durable, taken };
        let last = batches.saturating_sub(1);
        match act.unwrap_or_default() {
            "mark-foreign" => answer.durable = Some(b"not a mark of the host".to_vec()),
            "mark-huge" => answer.durable = Some(vec![0; self.script.amount_or(16 << 20) as usize]),
            "mark-none" => answer.durable = None,
            "taken-beyond" => answer.taken = u64::MAX,
            "remark" => answer.remarks.push(remark(last, 0, None)),
            "remark-batch-beyond" => answer.remarks.push(remark(batches + 1000, 0, None)),
            "remark-row-beyond" => answer.remarks.push(remark(last, u32::MAX, None)),
            "remark-column-beyond" => answer.remarks.push(remark(last, 0, Some(u32::MAX))),
            "remarks-many" => {
                let count = self.script.amount_or(1_000_000) as usize;
                answer.remarks = vec![remark(last, 0, None); count];
            }
            "undone" => {
                answer = Answer {
                    undone: Some(Fault::data("faulty.undone", "undone on purpose")),
                    durable: None,
                    taken: 0,
                    ..answer
                };
            }
            _ => {}
        }
        answer
    }
}

fn remark(batch: u64, row: u32, column: Option<u32>) -> Remark {
    Remark {
        batch,
        row,
        column,
        loaded: false,
        code: "faulty.remark".into(),
        message: "refused on purpose".into(),
    }
}

impl raw::GuestSink for Sink {
    fn committed(&self) -> Option<Mark> {
        match before_silent(&self.script, "committed") {
            Some("mark-foreign") => Some(b"not a mark of the host".to_vec()),
            _ => None,
        }
    }

    fn write(&self, batch: Batch) -> Result<Answer> {
        let act = before(&self.script, "write", None)?;
        self.batches.set(self.batches.get() + 1);
        self.rows.set(self.rows.get() + u64::from(batch.rows));
        Ok(self.answer(act, None))
    }

    fn adopt(&self, _dataset: u32, _to: Dataset) -> Result<()> {
        Err(Fault::user("faulty.change", "this writer does not follow changes"))
    }

    fn commit(&self, mark: Mark, _now: bool) -> Result<Answer> {
        let act = before(&self.script, "commit", None)?;
        Ok(self.answer(act, Some(mark)))
    }

    fn close(&self, mark: Mark) -> Result<Closed> {
        let act = before(&self.script, "close", None)?;
        let receipt = match act {
            Some("receipt-huge") => vec![0; self.script.amount_or(16 << 20) as usize],
            _ => self.rows.get().to_string().into_bytes(),
        };
        Ok(Closed { answer: self.answer(act, Some(mark)), receipt })
    }
}
