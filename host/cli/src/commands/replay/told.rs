//! What became of the dirty records of a run, in words and as one object.

use domain::run::RunId;
use serde_json::{Value, json};
use store::Standing;

use crate::human;
use crate::render::fault;
use crate::render::summary::{self, Status, Summary};

/// What became of the dirty records of a run.
pub(super) struct Told<'a> {
    pub(super) of: &'a RunId,
    pub(super) summaries: &'a [Summary],
    /// By these runs.
    pub(super) replayed: u64,
    pub(super) left_out: u64,
    pub(super) standing: Standing,
}

impl Told<'_> {
    pub(super) fn text(&self) -> String {
        let mut text: String = self.summaries.iter().map(summary::text).collect();
        if self.summaries.is_empty() {
            text += "nothing to replay\n";
        }
        text += &format!(
            "{} of run {} replayed, {} dirty still",
            human::plural(self.replayed, "dirty record"),
            self.of,
            human::count(self.standing.dirty)
        );
        if self.left_out > 0 {
            text += &format!(", {} of them left out by --where", human::count(self.left_out));
        }
        text + "\n" + &raw_text(self.of, &self.standing)
    }

    pub(super) fn json(&self) -> Value {
        let last = self.summaries.last();
        let status = last.map_or(Status::Succeeded, |summary| summary.status);
        json!({
            "status": status.word(),
            "run_id": self.of.0,
            "replays": self.summaries.iter().map(summary::json).collect::<Vec<_>>(),
            "replayed": self.replayed,
            "replayed_in_all": self.standing.replayed,
            "dirty": self.standing.dirty,
            "left_out": self.left_out,
            "raw": self.standing.raw,
            "changed": self.standing.loaded,
            "resume": last.and_then(|summary| summary.resume.clone()),
            "error": last.and_then(|summary| summary.fault.as_ref()).map(fault::json),
        })
    }
}

/// Which records no replay sends.
pub(super) fn raw_text(of: &RunId, standing: &Standing) -> String {
    if standing.raw == 0 {
        return String::new();
    }
    let records = human::plural(standing.raw, "record");
    format!(
        "{records} could not be decoded, so there are no values to replay; correct them at the source, \
         or after \"airlock dirty export {of} FILE\"\n"
    )
}
