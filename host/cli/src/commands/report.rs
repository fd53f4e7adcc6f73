//! `airlock report RUN`: one HTML file with all that the books know of a run.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use domain::fault::{Fault, Result};
use domain::port::{RunRecord, Store};
use domain::run::RunId;
use jiff::Timestamp;
use serde_json::json;
use store::{DirtyReason, SqliteStore};

use crate::arguments::ReportArguments;
use crate::failure::{self, Ending};
use crate::host::Host;
use crate::kept::Kept;
use crate::render::{fault, report};
use crate::run_id;

/// Reasons of dirty records that are told.
const REASONS_MAX: u32 = 100;

/// What the books know of a run.
pub(crate) struct Known {
    pub(crate) record: RunRecord,
    /// The newest last.
    pub(crate) attempts: Vec<Kept>,
    pub(crate) dirty: Vec<DirtyReason>,
}

impl Known {
    /// # Errors
    /// `run.bad_id`, `store.no_such_run`.
    pub(crate) async fn of(host: &Host, run: &str) -> Result<Self> {
        let (store, run) = open(host, run).await?;
        let record = store.load(&run).await?;
        let reports = store.reports(&run).await?;
        let attempts = reports.iter().map(|text| Kept::read(text)).collect::<Result<_>>()?;
        let dirty = store.dirty_reasons(&run, REASONS_MAX).await?;
        Ok(Self { record, attempts, dirty })
    }
}

/// The books, and the run in them.
pub(crate) async fn open(host: &Host, run: &str) -> Result<(SqliteStore, RunId)> {
    if !run_id::is_valid(run) {
        let message = format!("\"{run}\" is not the id of a run");
        return Err(Fault::user("run.bad_id", message).hint("\"airlock runs\" lists them"));
    }
    let store = SqliteStore::open(&host.folders()?.state)?;
    let run = RunId(run.to_owned());
    store.load(&run).await?;
    Ok((store, run))
}

/// A moment in the machine's zone.
pub(crate) fn moment(host: &Host, milliseconds: i64) -> String {
    let zone = host.now.time_zone().clone();
    match Timestamp::from_millisecond(milliseconds) {
        Ok(time) => time.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => milliseconds.to_string(),
    }
}

pub(crate) async fn report(host: &Host, arguments: &ReportArguments) -> Ending {
    let known = Known::of(host, &arguments.run).await?;
    let Known { record, attempts, dirty } = known;
    let run = record.new.id.0;
    let attempts = attempts.into_iter().map(|kept| (moment(host, kept.began_ms), kept));
    let page = report::page(&report::Report {
        run: run.clone(),
        document: record.new.document,
        state: record.state,
        fault: record.fault.as_ref().map(fault::text),
        attempts: attempts.collect(),
        dirty,
        now: moment(host, host.now.timestamp().as_millisecond()),
    });
    let file = arguments.file.clone().unwrap_or_else(|| PathBuf::from(format!("{run}.html")));
    if file == Path::new("-") {
        io::stdout().write_all(page.as_bytes()).map_err(|error| failure::of_output(&error))?;
        return Ok(0);
    }
    write(&file, &page)?;
    let name = file.display().to_string();
    let text = || format!("report written to \"{name}\"\n");
    host.console.result(
        text,
        || json!({"status": "succeeded", "run_id": run, "file": name, "error": null}),
    )?;
    Ok(0)
}

fn write(file: &Path, page: &str) -> Result<()> {
    let written = File::create_new(file).and_then(|mut file| file.write_all(page.as_bytes()));
    written.map_err(|error| {
        let message = format!("cannot write \"{}\": {error}", file.display());
        let hint = "name a new file in a folder that you can write";
        Fault::external("export.write", message).hint(hint)
    })
}
