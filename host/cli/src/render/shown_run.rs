//! A run as the books know it: where its time went, by lane and task.

use std::time::Duration;

use domain::port::RunRecord;
use serde_json::{Value, json};
use store::DirtyReason;

use crate::human;
use crate::kept::{Kept, KeptLane, KeptSpent};
use crate::render::{fault, summary, table};

/// The columns that lanes and tasks share.
const SPENT: [&str; 10] = [
    "took",
    "reading",
    "processing",
    "writing",
    "committing",
    "waited: reader",
    "writer",
    "rate",
    "records",
    "bytes",
];

/// `began` says when an attempt began, for people.
pub(crate) fn text(
    record: &RunRecord,
    attempts: &[Kept],
    dirty: &[DirtyReason],
    began: impl Fn(i64) -> String,
) -> String {
    let mut text = format!("{} run {}\n", record.state.word(), record.new.id);
    text += &format!("  document  {}\n", record.new.document);
    for (index, kept) in attempts.iter().enumerate() {
        text += &format!("  attempt   {}{}\n", began(kept.began_ms), attempt(kept));
        if index + 1 < attempts.len() {
            continue;
        }
        for advice in &kept.advice {
            text += &format!("  advice    {}\n", advice.text);
        }
        for note in &kept.notes {
            text += &format!("  note      {note}\n");
        }
        text += &lanes(kept);
        text += &tasks(kept);
    }
    if let Some(fault) = &record.fault {
        text += &format!("error: {}\n", fault::text(fault));
    }
    text + &reasons(dirty)
}

fn attempt(kept: &Kept) -> String {
    let stages = kept.stages.iter().map(|(word, took)| format!("{word} {}", time(*took)));
    let stages: Vec<_> = stages.collect();
    let read = human::plural(kept.counts.records_read, "record");
    format!(
        ": {} after {} ({}), {read} read so far",
        kept.status,
        time(kept.elapsed_ms),
        stages.join(", ")
    )
}

fn time(milliseconds: u64) -> String {
    human::duration(Duration::from_millis(milliseconds))
}

fn spent(spent: &KeptSpent) -> [String; SPENT.len()] {
    [
        time(spent.elapsed_ms),
        time(spent.reading_ms),
        time(spent.processing_ms),
        time(spent.writing_ms),
        time(spent.committing_ms),
        time(spent.waiting_reader_ms),
        time(spent.waiting_writer_ms),
        time(spent.waiting_throttle_ms),
        human::count(spent.records),
        human::bytes(spent.bytes),
    ]
}

/// A table whose first columns are `first`, and the others those of [`SPENT`].
fn with_spent(first: &[&str], rows: Vec<(Vec<String>, &KeptSpent)>) -> String {
    let names: Vec<String> = first.iter().chain(&SPENT).map(|name| (*name).to_owned()).collect();
    let rows = rows.into_iter().map(|(head, numbers)| [head, spent(numbers).to_vec()].concat());
    table::dynamic(&names, &rows.collect::<Vec<_>>())
}

fn lanes(kept: &Kept) -> String {
    let rows: Vec<_> = kept.lanes.iter().map(lane).collect();
    if rows.is_empty() { String::new() } else { with_spent(&["lane", "tasks"], rows) }
}

fn lane(lane: &KeptLane) -> (Vec<String>, &KeptSpent) {
    (vec![lane.lane.to_string(), human::count(lane.spent.tasks)], &lane.spent)
}

fn tasks(kept: &Kept) -> String {
    if kept.slowest.is_empty() {
        return String::new();
    }
    let mut rows: Vec<_> = kept
        .slowest
        .iter()
        .map(|task| {
            let label = match task.done {
                true => task.label.clone(),
                false => format!("{} (unfinished)", task.label),
            };
            let head =
                vec![task.task.to_string(), label, task.lane.to_string(), time(task.started_ms)];
            (head, &task.spent)
        })
        .collect();
    if kept.rest.tasks > 0 {
        let others = format!("{} that were quicker", human::count(kept.rest.tasks));
        rows.push((vec![String::new(), others, String::new(), String::new()], &kept.rest));
    }
    with_spent(&["task", "split", "lane", "began after"], rows)
}

fn reasons(dirty: &[DirtyReason]) -> String {
    let lines = dirty.iter().map(|reason| {
        format!("  dirty     {}\n", summary::dirty_line(&summary::DirtyReason::of(reason)))
    });
    lines.collect()
}

pub(crate) fn json(record: &RunRecord, attempts: &[Kept], dirty: &[DirtyReason]) -> Value {
    let dirty = dirty.iter().map(|reason| summary::dirty_json(&summary::DirtyReason::of(reason)));
    json!({
        "status": "succeeded",
        "run_id": record.new.id.0,
        "document": record.new.document,
        "created_ms": record.new.created_ms,
        "state": record.state.word(),
        "fault": record.fault.as_ref().map(fault::json),
        "attempts": attempts,
        "dirty": dirty.collect::<Vec<_>>(),
        "error": null,
    })
}
