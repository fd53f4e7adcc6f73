//! `airlock runs`

use jiff::Timestamp;
use serde_json::{Value, json};
use store::{RunEntry, SqliteStore};

use crate::arguments::RunsArguments;
use crate::failure::Ending;
use crate::host::Host;
use crate::render::{fault, table};

pub(crate) async fn runs(host: &Host, arguments: &RunsArguments) -> Ending {
    let store = SqliteStore::open(&host.folders()?.state)?;
    let runs = store.runs(arguments.limit).await?;
    host.console.result(|| text(host, &runs), || json(&runs))?;
    Ok(0)
}

fn text(host: &Host, runs: &[RunEntry]) -> String {
    if runs.is_empty() {
        return "no runs yet\n".into();
    }
    let rows: Vec<_> = runs
        .iter()
        .map(|run| {
            [
                run.id.0.clone(),
                started(host, run.created_ms),
                run.state.word().into(),
                run.document.clone(),
            ]
        })
        .collect();
    table::text(["run", "started", "state", "document"], &rows)
}

fn started(host: &Host, created_ms: i64) -> String {
    let zone = host.now.time_zone().clone();
    match Timestamp::from_millisecond(created_ms) {
        Ok(time) => time.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => created_ms.to_string(),
    }
}

fn json(runs: &[RunEntry]) -> Value {
    let run = |run: &RunEntry| {
        json!({
            "run_id": run.id.0,
            "document": run.document,
            "created_ms": run.created_ms,
            "state": run.state.word(),
            "attempts": run.epoch,
            "error": run.fault.as_ref().map(fault::json),
        })
    };
    json!({"status": "succeeded", "runs": runs.iter().map(run).collect::<Vec<_>>(), "error": null})
}
