//! A small honest reader, and its lies.

use std::cell::Cell;
use std::rc::Rc;

use sdk::bindings::airlock::connector::types::{ChangeKind, Dataset, DatasetChange};
use sdk::bindings::exports::airlock::connector::reader as raw;
use sdk::{Budget, Configuration, Position, Result, Split, Splits, Undecodable};

use crate::acts::{before, before_silent};
use crate::script::Script;
use crate::{Faulty, batches, datasets};

pub(crate) struct Session(Rc<Script>);

/// Reads the rows of one split, from `at` on.
pub(crate) struct Cursor {
    script: Rc<Script>,
    at: Cell<u64>,
}

impl raw::Guest for Faulty {
    type Session = Session;
    type Cursor = Cursor;
}

impl raw::GuestSession for Session {
    fn connect(configuration: Configuration) -> Result<raw::Session> {
        let script = Script::of(&configuration)?;
        before(&script, "connect", Some(&configuration))?;
        Ok(raw::Session::new(Self(Rc::new(script))))
    }

    fn make_plan(&self, _parallelism: u32, _since: Vec<Position>) -> Result<raw::Plan> {
        let act = before(&self.0, "make-plan", None)?;
        let start = match act {
            Some("start-huge") => vec![0; self.0.amount_or(16 << 20) as usize],
            _ => 0_u32.to_le_bytes().to_vec(),
        };
        let datasets = datasets::lie(act, &self.0, vec![datasets::honest()]);
        Ok(raw::Plan { datasets, bounded: true, start })
    }

    fn next_splits(&self, at: Vec<u8>, limit: u32) -> Result<Splits> {
        let act = before(&self.0, "next-splits", None)?;
        let huge = || vec![0; self.0.amount_or(16 << 20) as usize];
        let first = at.try_into().map(u32::from_le_bytes).unwrap_or_default();
        let end = first.saturating_add(limit).min(self.0.splits);
        let mut splits: Vec<_> = (first..end).map(|index| split(index, &self.0)).collect();
        let (mut last, mut next) = (end == self.0.splits, end.to_le_bytes().to_vec());
        match act {
            Some("splits-many") => {
                splits = vec![split(0, &self.0); self.0.amount_or(100_000) as usize];
            }
            Some("splits-forever") => (last, next) = (false, first.to_le_bytes().to_vec()),
            Some("token-huge") => splits[0].token = huge(),
            Some("label") => splits[0].label = self.0.target.clone(),
            Some("label-huge") => splits[0].label = "x".repeat(huge().len()),
            Some("next-huge") => next = huge(),
            _ => {}
        }
        Ok(Splits { splits, last, next })
    }

    fn open(
        &self,
        _split: Split,
        start: Option<Position>,
        _datasets: Vec<Dataset>,
    ) -> Result<raw::Cursor> {
        before(&self.0, "open", None)?;
        let at = start.and_then(|at| at.try_into().ok()).map(u64::from_le_bytes);
        Ok(cursor(&self.0, at.unwrap_or_default()))
    }

    fn tend(&self) -> Result<Option<u32>> {
        let act = before(&self.0, "tend", None)?;
        Ok(tend_again(act, &self.0))
    }
}

pub(crate) fn cursor(script: &Rc<Script>, at: u64) -> raw::Cursor {
    raw::Cursor::new(Cursor { script: Rc::clone(script), at: Cell::new(at) })
}

/// After how many ms a session wants to be tended again.
pub(crate) fn tend_again(act: Option<&str>, script: &Script) -> Option<u32> {
    match act {
        Some("tend-zero") => Some(0),
        _ => (script.tend > 0).then_some(script.tend),
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        before_silent(&self.0, "drop-session");
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        before_silent(&self.script, "drop-cursor");
    }
}

fn split(index: u32, script: &Script) -> Split {
    Split {
        token: index.to_le_bytes().to_vec(),
        label: format!("split {index}"),
        stage: 0,
        rows_estimate: Some(script.rows),
        bytes_estimate: None,
    }
}

impl raw::GuestCursor for Cursor {
    fn next(&self, budget: Budget) -> Result<raw::Step> {
        let act = before(&self.script, "next", None)?.unwrap_or_default();
        let at = self.at.get();
        if let Some(step) = step_lie(act, at) {
            return Ok(step);
        }
        let rows = u64::from(budget.rows.min(self.script.batch));
        let to = (at + rows).min(self.script.rows);
        if at == to {
            return Ok(ended());
        }
        self.at.set(to);
        let batch = batches::lie(act, &self.script, budget, batches::honest(at, to));
        let position = match act {
            "position-huge" => vec![0; self.script.amount_or(16 << 20) as usize],
            _ => to.to_le_bytes().to_vec(),
        };
        Ok(raw::Step::Rows(raw::Rows {
            batches: vec![batch],
            undecodable: undecodable(act, &self.script),
            nulled: if act == "nulled-beyond" { to - at + 1 } else { 0 },
            position: Some(position),
            source_time_ms: None,
            backlog: None,
        }))
    }

    fn acknowledge(&self, _position: Position) -> Result<()> {
        before(&self.script, "acknowledge", None)?;
        Ok(())
    }
}

fn ended() -> raw::Step {
    raw::Step::Ended(raw::Ended { bookmark: None })
}

/// Steps that stand in place of rows; with `nth` 0 they come for ever.
fn step_lie(act: &str, at: u64) -> Option<raw::Step> {
    let position = at.to_le_bytes().to_vec();
    Some(match act {
        "ended-early" => ended(),
        "idle-forever" => raw::Step::Idle,
        "advanced-forever" => raw::Step::Advanced(raw::Advanced { position, source_time_ms: None }),
        "empty-forever" => raw::Step::Rows(raw::Rows {
            batches: vec![batches::honest(at, at)],
            undecodable: Vec::new(),
            nulled: 0,
            position: Some(position),
            source_time_ms: None,
            backlog: None,
        }),
        "changed" => raw::Step::Changed(raw::Changed {
            change: DatasetChange {
                dataset: 0,
                kind: ChangeKind::Truncated,
                columns: Vec::new(),
                to: Some(datasets::honest()),
                statement: None,
            },
            position: Some(position),
        }),
        _ => return None,
    })
}

fn undecodable(act: &str, script: &Script) -> Vec<Undecodable> {
    let one = |dataset, data| Undecodable {
        dataset: Some(dataset),
        origin: "line 7".into(),
        data,
        code: "faulty.undecodable".into(),
        message: "not decoded on purpose".into(),
    };
    match act {
        "undecodable" => vec![one(0, b"a,b".to_vec())],
        "undecodable-origin" => {
            vec![Undecodable { origin: script.target.clone(), ..one(0, b"a,b".to_vec()) }]
        }
        "undecodable-many" => vec![one(0, Vec::new()); script.amount_or(1_000_000) as usize],
        "undecodable-huge" => vec![one(0, vec![0; script.amount_or(64 << 20) as usize])],
        "undecodable-dataset" => vec![one(7, b"a,b".to_vec())],
        _ => Vec::new(),
    }
}
