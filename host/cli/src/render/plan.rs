//! What a run would do.

use std::sync::Arc;

use arrow_schema::{Field, SchemaRef};
use domain::dataset::Dataset;
use domain::grant::Grant;
use domain::job::Transformer;
use domain::port::Split;
use engine::Preview;
use engine::mapping::{Cast, ColumnCast};
use serde_json::{Value, json};

use crate::human;
use crate::render::{dataset, summary, table};

/// Splits that the text lists; all that are known stand in the JSON.
const SHOWN_SPLITS: usize = 10;

/// A preview and what surrounds it.
pub(crate) struct Plan<'a> {
    pub(crate) preview: &'a Preview,
    pub(crate) transformers: &'a [Transformer],
    pub(crate) grants: &'a [(&'static str, Grant)],
    pub(crate) clock: &'a str,
    pub(crate) warnings: Vec<Value>,
}

pub(crate) fn text(plan: &Plan<'_>) -> String {
    let preview = plan.preview;
    let mut text = format!("clock: {}\n", plan.clock);
    for (index, from) in preview.plan.datasets.iter().enumerate() {
        let columns = preview.columns.get(index).map(Vec::as_slice).unwrap_or_default();
        text += &mapping_text(from, preview.prepared.datasets.get(index), columns);
        text += &steps_text(plan, index);
    }
    text += &splits_text(preview);
    text += &format!("commit: {}\n", preview.prepared.commit_mode.word());
    for (index, (side, grant)) in plan.grants.iter().enumerate() {
        text += &format!("{} {side}: {grant}\n", if index == 0 { "grants:" } else { "       " });
    }
    text
}

fn mapping_text(from: &Dataset, to: Option<&Dataset>, columns: &[ColumnCast]) -> String {
    let name = |dataset: &Dataset| match dataset.path.is_empty() {
        true => "(unnamed)".to_owned(),
        false => dataset.title(),
    };
    let mut text = format!("dataset: {}", name(from));
    if let Some(to) = to {
        text += &format!(" -> {}", name(to));
    }
    text += "\n";
    let rows: Vec<_> = columns
        .iter()
        .map(|pair| {
            let (from, to) = (dataset::type_text(&pair.from), dataset::type_text(&pair.to));
            [pair.from.name().clone(), from, pair.to.name().clone(), to, cast_text(pair)]
        })
        .collect();
    text += &table::text(["from", "type", "to", "type", "cast"], &rows);
    for (key, value) in &from.metadata {
        text += &format!("  {key}: {value}\n");
    }
    text
}

/// The steps between, each with the columns behind it.
fn steps_text(plan: &Plan<'_>, dataset: usize) -> String {
    let rows: Vec<_> = steps(plan, dataset)
        .map(|(step, schema)| {
            let column =
                |field: &Arc<Field>| format!("{} {}", field.name(), dataset::type_text(field));
            let columns: Vec<_> = schema.fields().iter().map(column).collect();
            [step.name.clone(), step.work.word().to_owned(), columns.join(", ")]
        })
        .collect();
    if rows.is_empty() { String::new() } else { table::text(["step", "type", "columns"], &rows) }
}

fn steps<'p>(
    plan: &Plan<'p>,
    dataset: usize,
) -> impl Iterator<Item = (&'p Transformer, &'p SchemaRef)> {
    let schemas = plan.preview.between.get(dataset).map(Vec::as_slice).unwrap_or_default();
    plan.transformers.iter().zip(schemas)
}

fn steps_json(plan: &Plan<'_>, dataset: usize) -> Value {
    let steps = steps(plan, dataset).map(|(step, schema)| {
        let columns = schema.fields().iter().map(|field| dataset::field_json(field));
        let columns: Vec<_> = columns.collect();
        json!({"name": step.name, "type": step.work.word(), "columns": columns})
    });
    steps.collect()
}

/// Marks what must be looked at, also without colour.
fn cast_text(pair: &ColumnCast) -> String {
    let word = pair.cast.word();
    match pair.cast {
        Cast::Same | Cast::Exact | Cast::Checked => word.into(),
        Cast::Lossy | Cast::Impossible if pair.is_allowed() => format!("! {word}, allowed"),
        Cast::Lossy | Cast::Impossible => format!("! {word}, refused"),
    }
}

fn splits_text(preview: &Preview) -> String {
    let more = if preview.splits_complete { "" } else { ", and more as the run goes" };
    let bounded = if preview.plan.bounded { "" } else { " (the source goes on for ever)" };
    let splits = &preview.splits;
    let mut text = format!("splits: {}{more}{bounded}\n", splits.len());
    let estimate =
        |number: Option<u64>, show: fn(u64) -> String| number.map(show).unwrap_or_default();
    let rows: Vec<_> = splits
        .iter()
        .take(SHOWN_SPLITS)
        .map(|split| {
            let rows = estimate(split.rows_estimate, human::count);
            [split.label.clone(), rows, estimate(split.bytes_estimate, human::bytes)]
        })
        .collect();
    if !rows.is_empty() {
        text += &table::text(["split", "rows", "bytes"], &rows);
    }
    if splits.len() > SHOWN_SPLITS {
        text += &format!("  and {} others\n", human::count((splits.len() - SHOWN_SPLITS) as u64));
    }
    text
}

pub(crate) fn json(plan: &Plan<'_>) -> Value {
    let preview = plan.preview;
    let sides = preview.plan.datasets.iter().enumerate();
    let datasets = sides.map(|(index, from)| {
        let columns = preview.columns.get(index).map(Vec::as_slice).unwrap_or_default();
        json!({
            "from": dataset::json(from),
            "steps": steps_json(plan, index),
            "to": preview.prepared.datasets.get(index).map(dataset::json),
            "columns": columns.iter().map(pair_json).collect::<Vec<_>>(),
        })
    });
    let grants = plan.grants.iter().map(|(side, grant)| summary::grant_json(side, grant));
    json!({
        "status": "succeeded",
        "clock": plan.clock,
        "bounded": preview.plan.bounded,
        "datasets": datasets.collect::<Vec<_>>(),
        "splits": preview.splits.iter().map(split_json).collect::<Vec<_>>(),
        "splits_complete": preview.splits_complete,
        "commit_mode": preview.prepared.commit_mode.word(),
        "grants": grants.collect::<Vec<_>>(),
        "warnings": plan.warnings,
        "error": null,
    })
}

fn pair_json(pair: &ColumnCast) -> Value {
    json!({
        "from": dataset::field_json(&pair.from),
        "to": dataset::field_json(&pair.to),
        "cast": pair.cast.word(),
        "allowed": pair.is_allowed(),
    })
}

fn split_json(split: &Split) -> Value {
    json!({
        "label": split.label,
        "stage": split.stage,
        "rows_estimate": split.rows_estimate,
        "bytes_estimate": split.bytes_estimate,
    })
}

#[cfg(test)]
mod tests;
