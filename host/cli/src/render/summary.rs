//! The end of a run, as text and as one object.

use std::time::Duration;

use domain::fault::Fault;
use domain::grant::Grant;
use domain::mark::Counts;
use domain::port::CommitMode;
use domain::run::RunId;
use domain::verify::{Difference, Verified};
use engine::advice::Advice;
use serde_json::{Map, Value, json};

use crate::human;
use crate::render::{escape, fault};

/// Width of the words on the left.
const WORD_WIDTH: usize = 9;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Status {
    Succeeded,
    #[default]
    Failed,
    Interrupted,
}

impl Status {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Everything that is told about a run when it ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    /// `None`: it was refused before it was one.
    pub(crate) run: Option<RunId>,
    pub(crate) status: Status,
    /// An attempt before this one worked on it: the counts are of all, the times of this one.
    pub(crate) resumed: bool,
    pub(crate) counts: Counts,
    pub(crate) elapsed: Duration,
    /// Over all lanes.
    pub(crate) waited_reader: Duration,
    pub(crate) waited_writer: Duration,
    pub(crate) waited_throttle: Duration,
    pub(crate) tasks: u32,
    /// Done by an attempt before this one.
    pub(crate) tasks_resumed: u32,
    pub(crate) retries: u64,
    pub(crate) commit_mode: Option<CommitMode>,
    /// By side: `reader` and `writer`.
    pub(crate) grants: Vec<(&'static str, Grant)>,
    pub(crate) clock: String,
    pub(crate) dirty: Vec<DirtyReason>,
    /// From where to where was read, of what is not read whole.
    pub(crate) watermarks: Vec<String>,
    /// What matters most first.
    pub(crate) advice: Vec<Advice>,
    pub(crate) notes: Vec<String>,
    /// What came of reading back what was written, where that was asked for.
    pub(crate) verified: Option<Verified>,
    /// Of the document.
    pub(crate) warnings: Vec<Fault>,
    /// The command that goes on with the run, where it can be resumed.
    pub(crate) resume: Option<String>,
    pub(crate) fault: Option<Fault>,
}

/// Dirty records that have one reason in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DirtyReason {
    pub(crate) stage: &'static str,
    pub(crate) code: String,
    pub(crate) column: Option<String>,
    /// Of the first.
    pub(crate) message: String,
    pub(crate) origin: Option<String>,
    pub(crate) records: u64,
}

impl DirtyReason {
    pub(crate) fn of(reason: &store::DirtyReason) -> Self {
        Self {
            stage: reason.stage.word(),
            code: reason.code.clone(),
            column: reason.column.clone(),
            message: reason.message.clone(),
            origin: reason.origin.clone(),
            records: reason.records,
        }
    }
}

pub(crate) fn text(summary: &Summary) -> String {
    let run = summary.run.as_ref().map_or("", |run| run.0.as_str());
    let mut lines = Lines(format!("{} run {run}\n", summary.status.word()));
    let counts = &summary.counts;
    let moved =
        |records, bytes| format!("{}, {}", human::plural(records, "record"), human::bytes(bytes));
    lines.add("read", moved(counts.records_read, counts.bytes_read));
    if counts.records_nulled > 0 {
        let text = format!(
            "{} read with NULL in place of a value that did not fit",
            human::plural(counts.records_nulled, "record")
        );
        lines.add("nulled", text);
    }
    lines.add("written", moved(counts.records_written, counts.bytes_written));
    if counts.records_added > 0 {
        let text = format!(
            "{} by steps that make several of one",
            human::plural(counts.records_added, "record")
        );
        lines.add("added", text);
    }
    if counts.records_filtered > 0 {
        lines.add("filtered", human::plural(counts.records_filtered, "record"));
    }
    if counts.records_changed > 0 {
        lines.add(
            "changed",
            format!("{} by the destination", human::plural(counts.records_changed, "record")),
        );
    }
    lines.add("dirty", human::plural(counts.records_dirty, "record"));
    for reason in &summary.dirty {
        lines.add("", dirty_line(reason));
    }
    if counts.records_dirty + counts.records_changed > 0 {
        lines.add("", format!("all of them: airlock dirty show {run}"));
    }
    if let Some(verified) = &summary.verified {
        add_verified(&mut lines, verified);
    }
    lines.add("elapsed", elapsed(summary));
    lines.add("tasks", tasks(summary));
    if let Some(mode) = summary.commit_mode {
        lines.add("commit", mode.word().into());
    }
    for watermark in &summary.watermarks {
        lines.add("watermark", watermark.clone());
    }
    for (index, (side, grant)) in summary.grants.iter().enumerate() {
        lines.add(if index == 0 { "granted" } else { "" }, format!("{side}: {grant}"));
    }
    lines.add("clock", summary.clock.clone());
    if let Some(advice) = summary.advice.first() {
        lines.add("advice", advice.text.clone());
    }
    let verified = summary.verified.iter().flat_map(|verified| &verified.notes);
    for note in summary.notes.iter().chain(verified) {
        lines.add("note", note.clone());
    }
    lines.0
}

struct Lines(String);

impl Lines {
    fn add(&mut self, word: &str, text: String) {
        self.0 += format!("  {word:WORD_WIDTH$} {}", escape::line(&text)).trim_end();
        self.0.push('\n');
    }
}

fn add_verified(lines: &mut Lines, verified: &Verified) {
    let Verified { written, found, key, missing, extra, different, .. } = verified;
    let found = human::plural(*found, "record");
    if verified.matches() {
        let by = match key.as_slice() {
            [] => "compared by their count and one checksum, since there is no key".to_owned(),
            key => format!("compared by {}", key.join(", ")),
        };
        lines.add("verified", format!("{found} read back as written, {by}"));
        return;
    }
    let mut text = format!("NOT as written: {found} read back, {} written", human::count(*written));
    if missing + extra + different > 0 {
        let counts = [missing, extra, different].map(|count| human::count(*count));
        let [missing, extra, different] = counts;
        text += &format!("; of the keys {missing} missing, {extra} too often, {different} differ");
    }
    lines.add("verified", text);
    for one in &verified.differences {
        lines.add("", difference_line(one));
    }
    let shown = verified.differences.len() as u64;
    let more = (missing + extra + different).saturating_sub(shown);
    if shown > 0 && more > 0 {
        lines.add("", format!("and {}", human::plural(more, "other")));
    }
}

fn difference_line(one: &Difference) -> String {
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "NULL".to_owned());
    let key: Vec<_> =
        one.key.iter().map(|(name, text)| format!("{name}={}", value(text))).collect();
    let columns = match one.columns.as_slice() {
        [] => String::new(),
        columns => format!(" in {}", columns.join(", ")),
    };
    format!("{} {}{columns}", one.kind.word(), key.join(" "))
}

fn elapsed(summary: &Summary) -> String {
    let (counts, time) = (&summary.counts, summary.elapsed);
    let mut text = human::duration(time);
    if summary.resumed {
        text += " in this attempt";
    } else if counts.records_read > 0 {
        let records = human::count(human::per_second(counts.records_read, time));
        let bytes = human::bytes(human::per_second(counts.bytes_read, time));
        text += &format!(", {records} records/s, {bytes}/s");
    }
    text + &waited(summary)
}

/// In brackets, where it is worth a word.
fn waited(summary: &Summary) -> String {
    let Summary { waited_reader, waited_writer, waited_throttle, .. } = *summary;
    if waited_reader + waited_writer + waited_throttle < Duration::from_secs(1) {
        return String::new();
    }
    let (reader, writer) = (human::duration(waited_reader), human::duration(waited_writer));
    let mut text = format!(" (waited {reader} for the reader, {writer} for the writer");
    if !waited_throttle.is_zero() {
        text += &format!(", {} for the limit on the rate", human::duration(waited_throttle));
    }
    text + ")"
}

fn tasks(summary: &Summary) -> String {
    let mut text = human::count(summary.tasks.into());
    if summary.tasks_resumed > 0 {
        text += &format!(", {} done before", human::count(summary.tasks_resumed.into()));
    }
    if summary.retries > 0 {
        let retries = if summary.retries == 1 { "retry" } else { "retries" };
        text += &format!(", {} {retries}", human::count(summary.retries));
    }
    text
}

pub(crate) fn dirty_line(reason: &DirtyReason) -> String {
    let column =
        reason.column.as_ref().map(|name| format!(" column \"{name}\"")).unwrap_or_default();
    let origin =
        reason.origin.as_ref().map(|place| format!(", first at {place}")).unwrap_or_default();
    let DirtyReason { stage, code, message, .. } = reason;
    format!("{} x {stage}{column}: {message} [{code}]{origin}", human::count(reason.records))
}

pub(crate) fn json(summary: &Summary) -> Value {
    let counts = &summary.counts;
    let milliseconds = |time: Duration| time.as_millis() as u64;
    json!({
        "run_id": summary.run.as_ref().map(|run| &run.0),
        "status": summary.status.word(),
        "records_read": counts.records_read,
        "records_nulled": counts.records_nulled,
        "records_written": counts.records_written,
        "records_added": counts.records_added,
        "records_filtered": counts.records_filtered,
        "records_dirty": counts.records_dirty,
        "records_changed": counts.records_changed,
        "bytes_read": counts.bytes_read,
        "bytes_written": counts.bytes_written,
        "elapsed_ms": milliseconds(summary.elapsed),
        "waited_reader_ms": milliseconds(summary.waited_reader),
        "waited_writer_ms": milliseconds(summary.waited_writer),
        "waited_throttle_ms": milliseconds(summary.waited_throttle),
        "tasks": summary.tasks,
        "tasks_resumed": summary.tasks_resumed,
        "retries": summary.retries,
        "commit_mode": summary.commit_mode.map(CommitMode::word),
        "grants": summary.grants.iter().map(|(side, grant)| grant_json(side, grant)).collect::<Vec<_>>(),
        "clock": summary.clock,
        "dirty": summary.dirty.iter().map(dirty_json).collect::<Vec<_>>(),
        "watermarks": summary.watermarks,
        "verified": summary.verified.as_ref().map(verified_json),
        "advice": summary.advice.iter().map(advice_json).collect::<Vec<_>>(),
        "notes": summary.notes,
        "resume": summary.resume,
        "warnings": summary.warnings.iter().map(fault::json).collect::<Vec<_>>(),
        "errors": summary.fault.iter().map(fault::json).collect::<Vec<_>>(),
        "error": summary.fault.as_ref().map(fault::json),
    })
}

/// The members of the object of a run that was refused before it was one: all that [`json`] has.
pub(crate) fn of_nothing() -> Map<String, Value> {
    match json(&Summary::default()) {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

pub(crate) fn grant_json(side: &str, grant: &Grant) -> Value {
    json!({"side": side, "place": grant.requirement.to_string(), "named_by": grant.origin})
}

fn verified_json(verified: &Verified) -> Value {
    let difference = |one: &Difference| {
        let key = one.key.iter().map(|(name, value)| (name.clone(), json!(value)));
        let key: Map<String, Value> = key.collect();
        json!({"kind": one.kind.word(), "key": key, "columns": one.columns})
    };
    json!({
        "matches": verified.matches(),
        "records_written": verified.written,
        "records_found": verified.found,
        "key": verified.key,
        "buckets_differ": verified.buckets_differ,
        "missing": verified.missing,
        "extra": verified.extra,
        "different": verified.different,
        "differences": verified.differences.iter().map(difference).collect::<Vec<_>>(),
        "notes": verified.notes,
    })
}

fn advice_json(advice: &Advice) -> Value {
    json!({"code": advice.code, "text": advice.text})
}

pub(crate) fn dirty_json(reason: &DirtyReason) -> Value {
    json!({
        "stage": reason.stage,
        "code": reason.code,
        "column": reason.column,
        "message": reason.message,
        "origin": reason.origin,
        "records": reason.records,
    })
}

#[cfg(test)]
mod tests;
