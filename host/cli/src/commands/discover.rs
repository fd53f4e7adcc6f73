//! `airlock discover SOURCE [PATH...]` and `airlock discover JOB --sample N`

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use domain::batch::Batch;
use domain::dataset::Dataset;
use domain::description::Entry;
use domain::fault::{Fault, Result};
use engine::Sample;
use serde_json::{Value, json};

use crate::arguments::DiscoverArguments;
use crate::failure::Ending;
use crate::host::Host;
use crate::job::End;
use crate::ports::Ports;
use crate::render::{dataset, escape};
use crate::target::{Target, is_document};

/// Entries asked for at a time.
const PAGE: u32 = 500;
/// Entries listed at most; what lies deeper is listed by its own path.
const ENTRIES_MAX: usize = 10_000;
/// Rows of a sample at most: it is held whole.
const SAMPLE_ROWS_MAX: u32 = 10_000;

pub(crate) async fn discover(
    host: &Host,
    ports: &impl Ports,
    arguments: &DiscoverArguments,
) -> Ending {
    if let Some(rows) = arguments.sample {
        sample_rows(rows, arguments)?;
    }
    let target = Target::open(host, &arguments.target).await?;
    let Some(end) = target.ends.first() else { return Ok(0) };
    let locate = |fault| target.locator.locate_in(&end.word, fault);
    if let Some(rows) = arguments.sample {
        let source = ports.source(end.source());
        let sample = engine::sample(&source, rows as usize).await.map_err(locate)?;
        target.tell_warnings(host);
        return show_sample(host, &sample);
    }
    let found = look(end, &arguments.path).await.map_err(locate)?;
    target.tell_warnings(host);
    host.result(|| text(&found), || json(&found))?;
    Ok(0)
}

fn sample_rows(rows: u32, arguments: &DiscoverArguments) -> Result<()> {
    if !is_document(&arguments.target.target) {
        let message = "--sample reads with the reader of a job, and this is a data source";
        return Err(Fault::user("arguments.sample", message).hint("name a job document"));
    }
    if !(1..=SAMPLE_ROWS_MAX).contains(&rows) {
        let message = format!("a sample has 1 to {SAMPLE_ROWS_MAX} rows, not {rows}");
        return Err(Fault::user("arguments.sample", message));
    }
    Ok(())
}

/// What lies under a path, or what the path is.
enum Found {
    Entries { entries: Vec<Entry>, more: bool },
    Datasets(Vec<Dataset>),
}

async fn look(end: &End, path: &[String]) -> Result<Found> {
    let listed = browse(end, path).await;
    match listed {
        Ok((entries, more)) if !entries.is_empty() || path.is_empty() => {
            Ok(Found::Entries { entries, more })
        }
        // Nothing lies under a dataset, which some plug-ins answer with a fault.
        listed => {
            let paths = [path.to_vec()];
            let found = end.plugin.component.discover(&end.configuration, &end.reach, &paths).await;
            match (found, listed) {
                (Ok(datasets), _) if !datasets.is_empty() => Ok(Found::Datasets(datasets)),
                (Err(fault), Ok(_)) | (_, Err(fault)) => Err(fault),
                (Ok(_), Ok(_)) => Ok(Found::Entries { entries: Vec::new(), more: false }),
            }
        }
    }
}

async fn browse(end: &End, path: &[String]) -> Result<(Vec<Entry>, bool)> {
    let mut entries: Vec<Entry> = Vec::new();
    while entries.len() < ENTRIES_MAX {
        let after = entries.last().and_then(|entry| entry.path.last()).cloned();
        let (configuration, reach) = (&end.configuration, &end.reach);
        let component = &end.plugin.component;
        let page = component.browse(configuration, reach, path, after.as_deref(), PAGE).await?;
        let last = page.len() < PAGE as usize;
        entries.extend(page);
        if last {
            return Ok((entries, false));
        }
    }
    Ok((entries, true))
}

fn text(found: &Found) -> String {
    match found {
        Found::Datasets(datasets) => {
            datasets.iter().map(dataset::text).collect::<Vec<_>>().join("\n")
        }
        Found::Entries { entries, .. } if entries.is_empty() => "nothing lies here\n".into(),
        Found::Entries { entries, more } => {
            let mut text: String = entries.iter().map(entry_text).collect();
            if *more {
                text += &format!("only the first {} are listed\n", entries.len());
            }
            text
        }
    }
}

/// What can be looked into further ends with a slash.
fn entry_text(entry: &Entry) -> String {
    let name = escape::line(&entry.path.join(" "));
    format!("{name}{}\n", if entry.is_dataset { "" } else { " /" })
}

fn json(found: &Found) -> Value {
    match found {
        Found::Datasets(datasets) => {
            let datasets: Vec<_> = datasets.iter().map(dataset::json).collect();
            json!({"status": "succeeded", "datasets": datasets, "error": null})
        }
        Found::Entries { entries, more } => {
            let entry = |entry: &Entry| json!({"path": entry.path, "is_dataset": entry.is_dataset});
            let entries: Vec<_> = entries.iter().map(entry).collect();
            json!({"status": "succeeded", "entries": entries, "more": more, "error": null})
        }
    }
}

fn show_sample(host: &Host, sample: &Sample) -> Ending {
    let unshown = |error| Fault::data("sample.type", format!("a column cannot be shown: {error}"));
    let (mut text, mut objects) = (String::new(), Vec::new());
    for (index, dataset) in sample.datasets.iter().enumerate() {
        let rows = of_dataset(index as u32, dataset, &sample.batches);
        let rows = rows.map_err(unshown)?;
        text += &dataset::text(dataset);
        text += "\n";
        text += &dataset::rows_text(&rows).map_err(unshown)?;
        let mut object = dataset::json(dataset);
        object["rows"] = dataset::rows_json(&rows).map_err(unshown)?.into();
        objects.push(object);
    }
    let undecodable = sample.undecodable;
    if undecodable > 0 {
        text += &format!("{undecodable} records beside them cannot be decoded\n");
    }
    let json = || {
        json!({
            "status": "succeeded", "datasets": objects, "undecodable": undecodable, "error": null,
        })
    };
    host.result(|| text, json)?;
    Ok(0)
}

/// The rows of one dataset in one batch.
fn of_dataset(
    index: u32,
    dataset: &Dataset,
    batches: &[Batch],
) -> std::result::Result<RecordBatch, ArrowError> {
    let rows = batches.iter().filter(|batch| batch.dataset == index).map(|batch| &batch.rows);
    arrow_select::concat::concat_batches(&dataset.schema, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_looked_into_ends_with_a_slash() {
        let entry = |path: &[&str], is_dataset| Entry {
            path: path.iter().map(|part| (*part).to_owned()).collect(),
            is_dataset,
        };
        let entries = vec![entry(&["public"], false), entry(&["public", "orders"], true)];
        let found = Found::Entries { entries, more: false };
        assert_eq!(text(&found), "public /\npublic orders\n");
        assert_eq!(json(&found)["entries"][1]["path"], json!(["public", "orders"]));
        let nothing = Found::Entries { entries: vec![], more: false };
        assert_eq!(text(&nothing), "nothing lies here\n");
    }
}
