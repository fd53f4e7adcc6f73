//! What a dry run sees of the records that would be sent.

use domain::fault::Result;
use engine::replay::{self, Restored, Restoring, Values};
use serde_json::{Value, json};

use super::{Chosen, title};
use crate::human;
use crate::render::table;

/// Rows that are shown of each shape.
const SHOWN_MAX: usize = 10;

#[derive(Default)]
pub(super) struct Seen {
    head: Vec<String>,
    /// The first rows, after the fixes.
    rows: Vec<Vec<String>>,
    /// Records that cannot be rows.
    misfits: u64,
    /// Of the first of them.
    why: Option<String>,
}

impl Seen {
    pub(super) fn take(&mut self, restoring: &Restoring, records: &[&Values]) -> Result<()> {
        let mut left = records;
        while !left.is_empty() {
            let count = match restoring.restore(left)? {
                Restored::Rows(rows) => {
                    let shown = (SHOWN_MAX - self.rows.len()).min(rows.num_rows());
                    for row in 0..shown {
                        let (head, cells) = replay::texts(&rows, row).into_iter().unzip();
                        self.head = head;
                        let cells: Vec<Option<String>> = cells;
                        let cells = cells.into_iter();
                        self.rows.push(cells.map(|it| it.unwrap_or("NULL".into())).collect());
                    }
                    rows.num_rows()
                }
                Restored::Misfit { code, message } => {
                    self.misfits += 1;
                    self.why.get_or_insert_with(|| format!("{message} [{code}]"));
                    1
                }
            };
            left = &left[count..];
        }
        Ok(())
    }

    pub(super) fn text(&self, chosen: &Chosen) -> String {
        let records = human::plural(chosen.records.len() as u64, "record");
        let mut text = format!("{}: {records} would be sent", title(chosen.shape));
        if chosen.left_out > 0 {
            text += &format!(", {} left out by --where", human::count(chosen.left_out));
        }
        text += "\n";
        if let Some(why) = &self.why {
            let misfits = human::count(self.misfits);
            text += &format!("  {misfits} of them would stay dirty, the first: {why}\n");
        }
        if !self.rows.is_empty() {
            text += &table::dynamic(&self.head, &self.rows);
        }
        text
    }

    pub(super) fn json(&self, chosen: &Chosen) -> Value {
        json!({
            "shape": chosen.shape.word(),
            "records": chosen.records.len(),
            "left_out": chosen.left_out,
            "misfits": self.misfits,
            "first_misfit": self.why,
            "columns": self.head,
            "rows": self.rows,
        })
    }
}
