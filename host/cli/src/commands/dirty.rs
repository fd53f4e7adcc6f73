//! `airlock dirty RUN`: the records that a run could not write as they are, whole.

use domain::fault::Fault;
use domain::port::{DirtyRecord, Store};
use domain::run::RunId;
use serde_json::{Map, Value, json};
use store::{DirtyEntry, SqliteStore};

use crate::arguments::DirtyArguments;
use crate::failure::Ending;
use crate::host::Host;
use crate::render::escape;
use crate::{human, run_id};

pub(crate) async fn dirty(host: &Host, arguments: &DirtyArguments) -> Ending {
    if !run_id::is_valid(&arguments.run) {
        let message = format!("\"{}\" is not the id of a run", arguments.run);
        return Err(Fault::user("run.bad_id", message).hint("\"airlock runs\" lists them").into());
    }
    let store = SqliteStore::open(&host.folders()?.state)?;
    let run = RunId(arguments.run.clone());
    store.load(&run).await?;
    let count = store.dirty_count(&run).await?;
    let entries = store.dirty(&run, arguments.limit).await?;
    host.console.result(|| text(&entries, count), || json(&run, &entries, count))?;
    Ok(0)
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
    let mut text =
        format!("task {task}, {stage}{column}{origin}: {} [{}]\n", dirty.message, dirty.code);
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
            record,
        };
        DirtyEntry { task: 1, sequence: 1, dirty }
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
}
