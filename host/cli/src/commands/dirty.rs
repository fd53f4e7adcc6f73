//! `airlock dirty`: the records that a run could not write as they are, whole.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use domain::fault::Fault;
use domain::port::DirtyRecord;
use domain::run::RunId;
use serde_json::{Map, Value, json};
use store::{DirtyEntry, DirtyFilter, DirtyReason};

use crate::arguments::{
    DirtyCommand, DirtyExportArguments, DirtyListArguments, DirtySelection, DirtyShowArguments,
    ExportFormat,
};
use crate::commands::replay;
use crate::commands::report::open;
use crate::failure::{self, Ending};
use crate::host::Host;
use crate::human;
use crate::ports::Ports;
use crate::render::{escape, table};

/// Reasons that are listed at most; records that differ in more have none in common.
const REASONS_MAX: u32 = 1000;
/// Records that an export holds at a time.
const PAGE: u32 = 1000;
/// The header of an export as CSV: the keys of the same record as JSON.
const COLUMNS: [&str; 13] = [
    "task",
    "record",
    "stage",
    "code",
    "message",
    "dataset",
    "column",
    "origin",
    "plugin",
    "values",
    "raw",
    "raw_hex",
    "replayed_by",
];

pub(crate) async fn dirty(host: &Host, ports: &impl Ports, command: &DirtyCommand) -> Ending {
    match command {
        DirtyCommand::List(arguments) => list(host, arguments).await,
        DirtyCommand::Show(arguments) => show(host, arguments).await,
        DirtyCommand::Export(arguments) => export(host, arguments).await,
        DirtyCommand::Replay(arguments) => replay::replay(host, ports, arguments).await,
    }
}

fn filter(which: &DirtySelection) -> DirtyFilter {
    DirtyFilter { task: which.task, code: which.code.clone() }
}

async fn list(host: &Host, arguments: &DirtyListArguments) -> Ending {
    let (store, run) = open(host, &arguments.run).await?;
    let count = store.dirty_count(&run, &DirtyFilter::default()).await?;
    let reasons = store.dirty_reasons(&run, REASONS_MAX).await?;
    let json = || {
        json!({
            "status": "succeeded",
            "run_id": run.0,
            "count": count,
            "reasons": reasons.iter().map(reason_json).collect::<Vec<_>>(),
            "error": null,
        })
    };
    host.console.result(|| reasons_text(&reasons), json)?;
    Ok(0)
}

fn reasons_text(reasons: &[DirtyReason]) -> String {
    if reasons.is_empty() {
        return "no dirty records\n".into();
    }
    let row = |reason: &DirtyReason| {
        [
            human::count(reason.records),
            human::count(reason.replayed),
            reason.stage.word().into(),
            reason.column.clone().unwrap_or_default(),
            reason.code.clone(),
            reason.origin.clone().unwrap_or_default(),
            reason.message.clone(),
        ]
    };
    let rows: Vec<_> = reasons.iter().map(row).collect();
    table::text(
        ["records", "replayed", "stage", "column", "code", "first at", "first message"],
        &rows,
    )
}

fn reason_json(reason: &DirtyReason) -> Value {
    json!({
        "stage": reason.stage.word(),
        "code": reason.code,
        "column": reason.column,
        "message": reason.message,
        "origin": reason.origin,
        "records": reason.records,
        "replayed": reason.replayed,
    })
}

async fn show(host: &Host, arguments: &DirtyShowArguments) -> Ending {
    let (store, run) = open(host, &arguments.which.run).await?;
    let filter = filter(&arguments.which);
    let count = store.dirty_count(&run, &filter).await?;
    let entries = store.dirty(&run, &filter, None, arguments.limit).await?;
    host.console.result(|| text(&entries, count), || json(&run, &entries, count))?;
    Ok(0)
}

/// Page by page, so that any number of records takes no more memory than a page.
async fn export(host: &Host, arguments: &DirtyExportArguments) -> Ending {
    let (store, run) = open(host, &arguments.which.run).await?;
    let (file, format) = (arguments.file.as_path(), arguments.format);
    let is_output = file == Path::new("-");
    let failed = |error: io::Error| match is_output {
        true => failure::of_output(&error),
        false => {
            let message = format!("cannot write \"{}\": {error}", file.display());
            let hint = "name a new file in a folder that you can write";
            Fault::external("export.write", message).hint(hint)
        }
    };
    let mut out: Box<dyn Write + Send> = match is_output {
        true => Box::new(io::stdout()),
        false => Box::new(BufWriter::new(File::create_new(file).map_err(failed)?)),
    };
    let filter = filter(&arguments.which);
    if format == ExportFormat::Csv {
        out.write_all(csv_line(COLUMNS.map(Value::from).iter()).as_bytes()).map_err(failed)?;
    }
    let mut count = 0;
    let mut page = store.dirty(&run, &filter, None, PAGE).await?;
    while let Some(last) = page.last() {
        count += page.len() as u64;
        let lines: String = page.iter().map(|entry| line(entry, format)).collect();
        match out.write_all(lines.as_bytes()) {
            // A reader that went away is content with what it has.
            Err(error) if is_output && error.kind() == io::ErrorKind::BrokenPipe => return Ok(0),
            written => written.map_err(failed)?,
        }
        page = store.dirty(&run, &filter, Some(last), PAGE).await?;
    }
    out.flush().map_err(failed)?;
    if !is_output {
        let name = file.display().to_string();
        let text = || format!("{} written to \"{name}\"\n", human::plural(count, "record"));
        let json = || json!({"status": "succeeded", "run_id": run.0, "count": count, "file": name, "error": null});
        host.console.result(text, json)?;
    }
    Ok(0)
}

fn line(entry: &DirtyEntry, format: ExportFormat) -> String {
    let record = entry_json(entry);
    match format {
        ExportFormat::Jsonl => format!("{record}\n"),
        ExportFormat::Csv => csv_line(COLUMNS.iter().map(|name| &record[*name])),
    }
}

/// By RFC 4180: texts in quotes, also empty ones, and nothing for null.
fn csv_line<'v>(values: impl Iterator<Item = &'v Value>) -> String {
    let cell = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => format!("\"{}\"", text.replace('"', "\"\"")),
        Value::Number(number) => number.to_string(),
        other => format!("\"{}\"", other.to_string().replace('"', "\"\"")),
    };
    values.map(cell).collect::<Vec<_>>().join(",") + "\n"
}

fn text(entries: &[DirtyEntry], count: u64) -> String {
    let mut text: String = entries.iter().map(entry_text).collect();
    if (entries.len() as u64) < count {
        let rest = count - entries.len() as u64;
        text += &format!("and {} more (--limit shows more)\n", human::count(rest));
    }
    if text.is_empty() {
        text = "no dirty records\n".into();
    }
    text
}

fn entry_text(entry: &DirtyEntry) -> String {
    let dirty = &entry.dirty;
    let column =
        dirty.column.as_ref().map(|name| format!(" column \"{name}\"")).unwrap_or_default();
    let origin = dirty.origin.as_ref().map(|place| format!(" at {place}")).unwrap_or_default();
    let (task, stage) = (entry.task, dirty.stage.word());
    // Where the reader said a place, that is better.
    let position = dirty.position.filter(|_| dirty.origin.is_none());
    let record = position.map(|position| format!(" record {}", position + 1));
    let record = record.unwrap_or_default();
    let replayed = entry.replayed_by.as_ref().map(|run| format!("; replayed by {run}"));
    let mut text = format!(
        "task {task}{record}, {stage}{column}{origin}: {} [{}]{}\n",
        dirty.message,
        dirty.code,
        replayed.unwrap_or_default()
    );
    match &dirty.record {
        DirtyRecord::Raw(bytes) => {
            text += &format!("  {}\n", escape::line(&String::from_utf8_lossy(bytes)));
        }
        DirtyRecord::Values(values) => {
            for (name, value) in values {
                let value = value.as_deref().map_or("NULL".into(), escape::line);
                text += &format!("  {name}: {value}\n");
            }
        }
    }
    text
}

fn json(run: &RunId, entries: &[DirtyEntry], count: u64) -> Value {
    json!({
        "status": "succeeded",
        "run_id": run.0,
        "count": count,
        "records": entries.iter().map(entry_json).collect::<Vec<_>>(),
        "error": null,
    })
}

fn entry_json(entry: &DirtyEntry) -> Value {
    let dirty = &entry.dirty;
    let (raw, raw_hex, values) = match &dirty.record {
        DirtyRecord::Raw(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => (Some(text), None, None),
            Err(_) => (None, Some(hex(bytes)), None),
        },
        DirtyRecord::Values(values) => {
            let members = values.iter().map(|(name, value)| (name.clone(), value.clone().into()));
            (None, None, Some(Value::Object(members.collect::<Map<_, _>>())))
        }
    };
    json!({
        "task": entry.task,
        "record": dirty.position.map(|position| position + 1),
        "stage": dirty.stage.word(),
        "code": dirty.code,
        "message": dirty.message,
        "dataset": dirty.dataset,
        "column": dirty.column,
        "origin": dirty.origin,
        "plugin": dirty.plugin,
        "values": values,
        "raw": raw,
        "raw_hex": raw_hex,
        "replayed_by": entry.replayed_by.as_ref().map(|run| &run.0),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use domain::port::{Dirty, DirtyStage};

    use super::*;

    fn entry(record: DirtyRecord) -> DirtyEntry {
        let dirty = Dirty {
            stage: DirtyStage::Read,
            code: "csv.fields".into(),
            message: "3 fields instead of 2".into(),
            dataset: "orders".into(),
            column: None,
            plugin: "d".into(),
            origin: Some("a.csv line 7".into()),
            position: None,
            record,
        };
        DirtyEntry { task: 1, sequence: 1, number: 1, dirty, replayed_by: None }
    }

    #[test]
    fn records_are_whole_and_cannot_steer_a_terminal() {
        let raw = entry(DirtyRecord::Raw(b"1,\x1b[2J,3".to_vec()));
        assert_eq!(
            text(std::slice::from_ref(&raw), 3),
            "task 1, read at a.csv line 7: 3 fields instead of 2 [csv.fields]\n  1,\\u{1b}[2J,3\nand 2 more (--limit shows more)\n"
        );
        assert_eq!(entry_json(&raw)["raw"], "1,\u{1b}[2J,3");
        let bytes = entry(DirtyRecord::Raw(vec![0xff, 0x00]));
        assert_eq!(entry_json(&bytes)["raw_hex"], "ff00");
        let values = vec![("a".to_owned(), Some("1".to_owned())), ("b".to_owned(), None)];
        let values = entry(DirtyRecord::Values(values));
        assert!(text(std::slice::from_ref(&values), 1).ends_with("  a: 1\n  b: NULL\n"));
        assert_eq!(entry_json(&values)["values"], json!({"a": "1", "b": null}));
    }

    #[test]
    fn csv_tells_null_from_an_empty_text() {
        let mut one = entry(DirtyRecord::Values(vec![("a".into(), Some("x,\"y\"".into()))]));
        one.dirty.origin = Some(String::new());
        assert_eq!(
            line(&one, ExportFormat::Csv),
            "1,,\"read\",\"csv.fields\",\"3 fields instead of 2\",\"orders\",,\"\",\"d\",\"{\"\"a\"\":\"\"x,\\\"\"y\\\"\"\"\"}\",,,\n"
        );
    }

    #[test]
    fn the_columns_of_an_export_are_the_keys_of_a_record() {
        let record = entry_json(&entry(DirtyRecord::Raw(Vec::new())));
        let keys: Vec<_> = record.as_object().unwrap().keys().collect();
        assert_eq!(keys, COLUMNS);
        assert_eq!(line(&entry(DirtyRecord::Raw(vec![])), ExportFormat::Jsonl).lines().count(), 1);
    }
}
