//! A small honest transformer, and its lies.

use std::rc::Rc;

use sdk::bindings::airlock::connector::types::{Batch, Dataset};
use sdk::bindings::exports::airlock::connector::transformer as raw;
use sdk::{Configuration, Refused, Result};

use crate::acts::{before, before_silent};
use crate::script::Script;
use crate::{Faulty, batches, datasets};

/// Hands on what it gets.
pub(crate) struct Session(Rc<Script>);

impl raw::Guest for Faulty {
    type Session = Session;
}

impl raw::GuestSession for Session {
    fn connect(configuration: Configuration) -> Result<raw::Session> {
        let script = Script::of(&configuration)?;
        before(&script, "connect", Some(&configuration))?;
        Ok(raw::Session::new(Self(Rc::new(script))))
    }

    fn open(&self, datasets: Vec<Dataset>) -> Result<Vec<Dataset>> {
        let act = before(&self.0, "open", None)?;
        Ok(datasets::lie(act, &self.0, datasets))
    }

    fn apply(&self, batch: Batch) -> Result<raw::Transformed> {
        let act = before(&self.0, "apply", None)?.unwrap_or_default();
        let (rows, columns) = (batch.rows, batch.buffers.len());
        let rows_of = |batch| batches::lie(act, &self.0, batches::NO_BUDGET, batch);
        let mut made = raw::Transformed {
            rows: rows_of(batch),
            origins: (0..rows).collect(),
            refused: Vec::new(),
            taken: rows,
        };
        let refused = |row, column| Refused {
            row,
            column,
            code: "faulty.refused".into(),
            message: "refused on purpose".into(),
        };
        match act {
            "origins-few" => drop(made.origins.pop()),
            "origins-beyond" => made.origins[rows as usize - 1] = rows,
            "origins-falling" => made.origins.swap(0, 1),
            "origins-twice" => made.origins[1] = 0,
            "taken-none" => made.taken = 0,
            "taken-beyond" => made.taken = rows + 1,
            "refused-beyond" => made.refused.push(refused(rows, None)),
            "refused-and-out" => made.refused.push(refused(0, None)),
            "refused-column" => {
                made = none(made);
                made.refused.push(refused(0, Some(columns as u32)));
            }
            "refused-twice" => {
                made = none(made);
                made.refused = vec![refused(0, None); 2];
            }
            "refuse" => {
                made = none(made);
                made.refused = (0..rows).map(|row| refused(row, Some(0))).collect();
            }
            "drop" => made = none(made),
            _ => {}
        }
        Ok(made)
    }
}

/// No row comes out.
fn none(made: raw::Transformed) -> raw::Transformed {
    let rows = Batch { dataset: made.rows.dataset, ..batches::honest(0, 0) };
    raw::Transformed { rows, origins: Vec::new(), ..made }
}

impl Drop for Session {
    fn drop(&mut self) {
        before_silent(&self.0, "drop-session");
    }
}
