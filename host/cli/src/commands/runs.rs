//! `airlock runs`

use serde_json::{Value, json};
use store::{RunEntry, SqliteStore};

use crate::arguments::{RunsArguments, RunsCommand, RunsShowArguments};
use crate::commands::report::{Known, moment};
use crate::failure::Ending;
use crate::host::Host;
use crate::render::{fault, shown_run, table};

pub(crate) async fn runs(host: &Host, arguments: &RunsArguments) -> Ending {
    match &arguments.command {
        Some(RunsCommand::Show(arguments)) => show(host, arguments).await,
        None => list(host, arguments).await,
    }
}

async fn show(host: &Host, arguments: &RunsShowArguments) -> Ending {
    let Known { record, attempts, dirty } = Known::of(host, &arguments.run).await?;
    let text = || shown_run::text(&record, &attempts, &dirty, |began| moment(host, began));
    host.console.result(text, || shown_run::json(&record, &attempts, &dirty))?;
    Ok(0)
}

async fn list(host: &Host, arguments: &RunsArguments) -> Ending {
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
                moment(host, run.created_ms),
                run.state.word().into(),
                run.document.clone(),
            ]
        })
        .collect();
    table::text(["run", "started", "state", "document"], &rows)
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
