//! `airlock run JOB`: one attempt at a new run, or at one that is unfinished.

use std::collections::HashMap;
use std::path::Path;

use domain::fault::{Fault, Result};
use domain::port::{NewRun, Store};
use domain::run::{RunId, RunState};
use spec::Clock;
use store::{DirtyEntry, RunLock, SqliteStore};

use crate::arguments::RunArguments;
use crate::books;
use crate::document::DocumentFile;
use crate::failure::{Ending, exit_code};
use crate::grants;
use crate::host::{Host, clock_text};
use crate::job::{self, Given, GrantedJob};
use crate::ports::Ports;
use crate::progress::Shown;
use crate::render::summary::{self, DirtyReason, Status, Summary};
use crate::run_id;

/// Dirty records that a summary looks at for its reasons.
const DIRTY_LOOKED_AT: u32 = 1000;
/// Reasons that a summary shows.
const DIRTY_REASONS: usize = 5;

/// A run that this process works on, and no other.
struct Ours {
    id: RunId,
    /// Kept until the process ends.
    _lock: RunLock,
    clock: String,
    /// An attempt before this one worked on it.
    resumed: bool,
}

pub(crate) async fn run(host: &Host, ports: &impl Ports, arguments: &RunArguments) -> Ending {
    let job_arguments = &arguments.sandboxed.job;
    let input = &job_arguments.input;
    let document = DocumentFile::read(&job_arguments.job)?;
    let given_now = Given::from_arguments(host, input)?;
    let state = host.folders()?.state;
    let before = match &arguments.resume {
        Some(wanted) => Unfinished::find(host, &state, &document, wanted.as_deref()).await?,
        None => None,
    };
    let given = match &before {
        Some(before) => before.given(&given_now)?,
        None => given_now.clone(),
    };
    let catalogue = job::catalogue(host, &arguments.sandboxed.limits, &input.plugins).await?;
    let read = job::read(host, &catalogue, &document, input.sources.as_deref(), &given)?;
    read.warnings.iter().for_each(|warning| host.console.warn(warning));
    if let Some(before) = &before {
        books::same_document(&before.id, &before.text, &read.text_blanked)?;
        before.tell(host, &given.clock, &given_now);
    }
    let folder = &document.folder;
    let job = GrantedJob::new(&catalogue, read, folder, &arguments.sandboxed.grants).await?;
    let store = ports.store(SqliteStore::open(&state)?);
    let ours = match before {
        Some(before) => before.ours(&given),
        None => begin(host, &store, &state, &document, &given, &job).await?,
    };
    let resume = format!("airlock run {} --resume={}", document.argument(), ours.id);
    let summary = attempt(host, ports, store, arguments, &job, &ours, resume).await?;
    tell(host, &summary)
}

/// Writes down a new run, before anything else happens.
async fn begin(
    host: &Host,
    store: &impl Store,
    state: &Path,
    document: &DocumentFile,
    given: &Given,
    job: &GrantedJob,
) -> Result<Ours> {
    let id = run_id::new(&host.now)?;
    let lock = RunLock::take(state, &id)?;
    let zone = host.zone();
    let (used, secret) = (&job.read.parameters_used, &job.read.secret_parameters);
    let kept = books::Given::new(&given.clock, &zone, &given.parameters, used, secret);
    let new = NewRun {
        id: id.clone(),
        document: document.identity.clone(),
        text: job.read.text_blanked.clone(),
        parameters: kept.text()?,
        created_ms: host.now.timestamp().as_millisecond(),
    };
    store.record(&new).await?;
    Ok(Ours { id, _lock: lock, clock: clock_text(&given.clock, &zone), resumed: false })
}

/// A run to go on with, locked.
struct Unfinished {
    id: RunId,
    lock: RunLock,
    /// The document before substitution, secrets blanked.
    text: String,
    given: books::Given,
}

impl Unfinished {
    /// The run that was asked for, or the newest unfinished one of the document; `None`, and a word
    /// about it, where there is none.
    async fn find(
        host: &Host,
        state: &Path,
        document: &DocumentFile,
        wanted: Option<&str>,
    ) -> Result<Option<Self>> {
        let store = SqliteStore::open(state)?;
        let id = match wanted {
            Some(wanted) if run_id::is_valid(wanted) => Some(RunId(wanted.to_owned())),
            Some(wanted) => {
                let message = format!("\"{wanted}\" is not the id of a run");
                return Err(Fault::user("run.bad_id", message).hint("\"airlock runs\" lists them"));
            }
            None => store.newest_unfinished(&document.identity).await?,
        };
        let Some(id) = id else {
            host.console.note("nothing is unfinished of this document, so a new run starts");
            return Ok(None);
        };
        // Before the lock: a run that is unknown shall not leave a lock's file.
        store.load(&id).await?;
        let lock = RunLock::take(state, &id)?;
        // Within the lock: nobody else changes it from here on.
        let record = store.load(&id).await?;
        if record.state.is_ended() {
            let message = format!("run \"{id}\" has {} already", record.state.word());
            return Err(Fault::user("run.ended", message).hint("start a new run without --resume"));
        }
        let given = books::Given::read(&record)?;
        Ok(Some(Self { id, lock, text: record.new.text, given }))
    }

    /// Parameters and clock of the first attempt.
    fn given(&self, now: &Given) -> Result<Given, Vec<Fault>> {
        let clock = self.given.clock().map_err(|fault| vec![fault])?;
        Ok(Given { parameters: self.given.parameters(&now.parameters)?, clock })
    }

    /// Says which run goes on, and which arguments do not count.
    fn tell(&self, host: &Host, clock: &Clock, now: &Given) {
        let clock = clock_text(clock, &self.given.zone);
        let mut text = format!("going on with run {}: clock {clock}", self.id);
        let differing = self.given.differing(&now.parameters);
        if !differing.is_empty() {
            text += &format!("; values now given for {} are passed over", differing.join(", "));
        }
        host.console.note(&text);
    }

    fn ours(self, given: &Given) -> Ours {
        let clock = clock_text(&given.clock, &self.given.zone);
        Ours { id: self.id, _lock: self.lock, clock, resumed: true }
    }
}

async fn attempt<P: Ports>(
    host: &Host,
    ports: &P,
    store: P::Store,
    arguments: &RunArguments,
    job: &GrantedJob,
    ours: &Ours,
    resume: String,
) -> Result<Summary> {
    grants::create_folders(&job.writer.grants, &job.base)
        .map_err(|fault| job.locator.locate(fault))?;
    let engine = job.engine(ports, store);
    let progress = engine.progress.clone();
    let shown = Shown::start(arguments.progress, host.console.interactive, &ours.id, progress);
    let mut ended = engine.attempt(&ours.id, host.stop.subscribe()).await;
    if ended.state == RunState::Failed && ended.fault.is_none() {
        // This attempt only cleared away; what broke the run is in the books.
        ended.fault = engine.store.load(&ours.id).await?.fault;
    }
    let status = status(host, &ended);
    shown.end(status.word());
    let looked_at = ended.counts.records_dirty + ended.counts.records_changed > 0;
    let dirty = if looked_at { dirty_reasons(host, &ours.id).await? } else { Vec::new() };
    Ok(Summary {
        run: ours.id.clone(),
        status,
        resumed: ours.resumed,
        counts: ended.counts,
        elapsed: ended.elapsed,
        waited_reader: ended.waited_reader,
        waited_writer: ended.waited_writer,
        tasks: ended.tasks,
        tasks_resumed: ended.tasks_resumed,
        retries: ended.retries,
        commit_mode: ended.commit_mode,
        grants: job.grants(),
        clock: ours.clock.clone(),
        dirty,
        notes: ended.notes,
        resume: (!ended.state.is_ended()).then_some(resume),
        fault: ended.fault.map(|fault| job.locator.locate(fault)),
    })
}

fn status(host: &Host, ended: &engine::Summary) -> Status {
    let stopped = ended.fault.as_ref().is_some_and(|fault| fault.code == "run.stopped");
    match ended.state {
        RunState::Succeeded => Status::Succeeded,
        _ if stopped && host.stop.code().is_some() => Status::Interrupted,
        _ => Status::Failed,
    }
}

async fn dirty_reasons(host: &Host, run: &RunId) -> Result<Vec<DirtyReason>> {
    let store = SqliteStore::open(&host.folders()?.state)?;
    Ok(reasons(&store.dirty(run, DIRTY_LOOKED_AT).await?))
}

/// Counts records by stage, code and column, the first reasons first.
fn reasons(entries: &[DirtyEntry]) -> Vec<DirtyReason> {
    let mut reasons: Vec<DirtyReason> = Vec::new();
    let mut known = HashMap::new();
    for DirtyEntry { dirty, .. } in entries {
        let key = (dirty.stage.word(), dirty.code.as_str(), dirty.column.as_deref());
        let index = *known.entry(key).or_insert_with(|| {
            reasons.push(DirtyReason {
                stage: dirty.stage.word(),
                code: dirty.code.clone(),
                column: dirty.column.clone(),
                message: dirty.message.clone(),
                origin: dirty.origin.clone(),
                records: 0,
            });
            reasons.len() - 1
        });
        reasons[index].records += 1;
    }
    reasons.truncate(DIRTY_REASONS);
    reasons
}

fn tell(host: &Host, summary: &Summary) -> Ending {
    host.console.result(|| summary::text(summary), || summary::json(summary))?;
    if let (Some(fault), Status::Succeeded | Status::Failed) = (&summary.fault, summary.status) {
        host.console.error(fault);
    }
    if let Some(resume) = &summary.resume {
        host.console.note(&format!("the run is unfinished; go on with: {resume}"));
    }
    Ok(match (summary.status, &summary.fault) {
        (Status::Succeeded, _) => 0,
        (Status::Interrupted, _) => host.stop.code().unwrap_or(1),
        (Status::Failed, Some(fault)) => exit_code(std::slice::from_ref(fault)),
        (Status::Failed, None) => 1,
    })
}

#[cfg(test)]
mod tests {
    use domain::port::{Dirty, DirtyRecord, DirtyStage};

    use super::*;

    #[test]
    fn dirty_records_are_counted_by_reason() {
        let entry = |code: &str, message: &str| DirtyEntry {
            task: 0,
            sequence: 1,
            dirty: Dirty {
                stage: DirtyStage::Cast,
                code: code.into(),
                message: message.into(),
                dataset: "orders".into(),
                column: Some("amount".into()),
                plugin: "d".into(),
                origin: None,
                record: DirtyRecord::Raw(vec![]),
            },
        };
        let entries = [entry("a", "first"), entry("b", "other"), entry("a", "second")];
        let reasons = reasons(&entries);
        assert_eq!(reasons.len(), 2);
        assert_eq!((reasons[0].records, reasons[0].message.as_str()), (2, "first"));
        assert_eq!(reasons[1].records, 1);
    }
}
