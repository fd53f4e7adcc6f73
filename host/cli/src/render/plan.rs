//! What a run would do.

use std::sync::Arc;

use arrow_schema::{Field, SchemaRef};
use domain::dataset::Dataset;
use domain::grant::Grant;
use domain::job::Transformer;
use domain::port::Split;
use engine::mapping::{Cast, ColumnCast};
use engine::{Preview, PreviewedSource};
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
    /// Beside those of the preview.
    pub(crate) notes: &'a [String],
    pub(crate) warnings: Vec<Value>,
}

pub(crate) fn text(plan: &Plan<'_>) -> String {
    let preview = plan.preview;
    let mut text = format!("clock: {}\n", plan.clock);
    for (index, from) in preview.datasets.iter().enumerate() {
        let columns = preview.columns.get(index).map(Vec::as_slice).unwrap_or_default();
        text += &mapping_text(from, preview.prepared.datasets.get(index), columns);
        text += &steps_text(plan, index);
    }
    text += &sources_text(&preview.sources);
    text += &splits_text(&preview.sources);
    for note in preview.notes.iter().chain(plan.notes) {
        text += &format!("note: {note}\n");
    }
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

/// The tables by source, where there are several.
fn sources_text(sources: &[PreviewedSource]) -> String {
    if let [source] = sources
        && source.plan.datasets.len() <= 1
    {
        return String::new();
    }
    let tables = |dataset: &Dataset| {
        let listed = dataset.metadata.iter().find(|(key, _)| key == "tables");
        listed.map_or_else(|| dataset.title(), |(_, tables)| tables.clone())
    };
    let row = |source: &PreviewedSource| {
        let tables: Vec<_> = source.plan.datasets.iter().map(tables).collect();
        [source.name.clone().unwrap_or_default(), tables.join(", ")]
    };
    let rows: Vec<_> = sources.iter().map(row).collect();
    format!("sources: {}\n{}", sources.len(), table::text(["source", "tables"], &rows))
}

/// The split's label, with the source's name where there are several.
fn split_label(source: &PreviewedSource, split: &Split) -> String {
    match &source.name {
        Some(name) => format!("{name}: {}", split.label),
        None => split.label.clone(),
    }
}

fn splits_text(sources: &[PreviewedSource]) -> String {
    let complete = sources.iter().all(|source| source.splits_complete);
    let more = if complete { "" } else { ", and more as the run goes" };
    let bounded = sources.iter().all(|source| source.plan.bounded);
    let bounded = if bounded { "" } else { " (the source goes on for ever)" };
    let splits: Vec<_> = sources
        .iter()
        .flat_map(|source| source.splits.iter().map(move |split| (source, split)))
        .collect();
    let mut text = format!("splits: {}{more}{bounded}\n", splits.len());
    let estimate =
        |number: Option<u64>, show: fn(u64) -> String| number.map(show).unwrap_or_default();
    let rows: Vec<_> = splits
        .iter()
        .take(SHOWN_SPLITS)
        .map(|(source, split)| {
            let rows = estimate(split.rows_estimate, human::count);
            [split_label(source, split), rows, estimate(split.bytes_estimate, human::bytes)]
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
    let sources = &preview.sources;
    let sides = preview.datasets.iter().enumerate();
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
        "bounded": sources.iter().all(|source| source.plan.bounded),
        "sources": sources.iter().map(source_json).collect::<Vec<_>>(),
        "datasets": datasets.collect::<Vec<_>>(),
        "splits": sources.iter().flat_map(splits_json).collect::<Vec<_>>(),
        "splits_complete": sources.iter().all(|source| source.splits_complete),
        "commit_mode": preview.prepared.commit_mode.word(),
        "grants": grants.collect::<Vec<_>>(),
        "notes": preview.notes.iter().chain(plan.notes).collect::<Vec<_>>(),
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

fn source_json(source: &PreviewedSource) -> Value {
    let datasets: Vec<_> = source.plan.datasets.iter().map(dataset::json).collect();
    json!({"name": source.name, "datasets": datasets})
}

fn splits_json(source: &PreviewedSource) -> Vec<Value> {
    source.splits.iter().map(|split| split_json(source, split)).collect()
}

fn split_json(source: &PreviewedSource, split: &Split) -> Value {
    json!({
        "source": source.name,
        "label": split.label,
        "stage": split.stage,
        "rows_estimate": split.rows_estimate,
        "bytes_estimate": split.bytes_estimate,
    })
}

#[cfg(test)]
mod tests;
