//! `airlock run JOB`: one attempt at a new run, or at one that is unfinished.

use std::io;
use std::path::Path;
use std::sync::Arc;

use domain::fault::{Fault, Result};
use domain::port::{Destination, NewRun, Source, Store};
use domain::run::{RunId, RunState};
use engine::mapping::ColumnCast;
use engine::{Engine, Progress};
use spec::Clock;
use store::{RunLock, SqliteStore};

use crate::again;
use crate::arguments::{ProgressMode, RunArguments};
use crate::books;
use crate::catalogue::Catalogue;
use crate::document::DocumentFile;
use crate::failure::{self, Ending, Failure, exit_code};
use crate::host::{Host, clock_text};
use crate::job::{self, Given, GrantedJob, Said};
use crate::kept::Kept;
use crate::locate::Locator;
use crate::ports::Ports;
use crate::progress::Shown;
use crate::render::summary::{self, DirtyReason, Status, Summary};
use crate::run_id;
use crate::sampler::Sampler;

/// Reasons that a summary shows.
const DIRTY_REASONS: u32 = 5;

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
    match begin_and_attempt(host, ports, arguments).await {
        Ok(summary) => Ok(tell(host, &summary)),
        Err(failure) => {
            host.console.tell(&failure, summary::of_nothing());
            Ok(failure.exit_code())
        }
    }
}

/// # Errors
/// Why the run was refused before it was one.
async fn begin_and_attempt(
    host: &Host,
    ports: &impl Ports,
    arguments: &RunArguments,
) -> Result<Summary, Failure> {
    let sandboxed = &arguments.sandboxed;
    let input = &sandboxed.job.input;
    let document = DocumentFile::read(&sandboxed.job.job)?;
    let said = Said::new(host, input, &sandboxed.limits, &sandboxed.grants);
    let state = host.folders()?.state;
    let before = match &arguments.resume {
        Some(wanted) => Unfinished::find(host, &state, &document, wanted.as_deref()).await?,
        None => None,
    };
    if let Some(before) = &before {
        before.same_verify(arguments)?;
    }
    let catalogue = said.catalogue(host, &input.plugins).await?;
    let given = match &before {
        Some(before) => before.given(&document, &catalogue, &said.given)?,
        None => said.given.clone(),
    };
    let sources = input.sources.as_deref();
    let read = job::read(host, &said, &catalogue, &document, sources, &given)?;
    let job = GrantedJob::new(&catalogue, read, &document.folder, &said.allowed).await?;
    if let Some(before) = &before {
        before.tell(host, &given.clock, &said.given);
    }
    let store = ports.store(SqliteStore::open(&state)?);
    let ours = match before {
        Some(before) => before.ours(&given),
        None => begin(host, &store, &state, &document, &given, &job, arguments).await?,
    };
    host.console.warnings(&job.read.warnings);
    let state_dir = host.state_dir.as_deref();
    let secret = &job.read.secret_parameters;
    let resume = again::command(&document, &ours.id, arguments, state_dir, secret);
    Ok(attempt(host, ports, store, arguments, &job, &ours, resume).await)
}

/// Writes down a new run, before either side is connected to.
async fn begin(
    host: &Host,
    store: &impl Store,
    state: &Path,
    document: &DocumentFile,
    given: &Given,
    job: &GrantedJob,
    arguments: &RunArguments,
) -> Result<Ours> {
    let id = run_id::new(&host.now)?;
    let lock = RunLock::take(state, &id)?;
    let zone = host.zone();
    let kept = books::Given::new(&given.clock, &zone, &given.parameters, &job.read);
    let new = NewRun {
        id: id.clone(),
        document: document.identity.clone(),
        text: job.read.text_blanked.clone(),
        parameters: kept.text()?,
        created_ms: host.now.timestamp().as_millisecond(),
        verify: arguments.verify.then(|| arguments.verify_key.clone()),
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
    verify: Option<Vec<String>>,
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
        let record = store.load(&id).await?;
        books::same_place(&id, &record.new.document, &document.identity)?;
        let lock = RunLock::take(state, &id)?;
        // Within the lock: nobody else changes it from here on.
        let record = store.load(&id).await?;
        if record.state.is_ended() {
            let message = format!("run \"{id}\" has {} already", record.state.word());
            return Err(Fault::user("run.ended", message).hint("start a new run without --resume"));
        }
        let given = books::Given::read(&record)?;
        let NewRun { text, verify, .. } = record.new;
        Ok(Some(Self { id, lock, text, given, verify }))
    }

    /// # Errors
    /// `run.not_verified`: the run began without what is asked for now.
    fn same_verify(&self, arguments: &RunArguments) -> Result<()> {
        let message = match &self.verify {
            _ if !arguments.verify => return Ok(()),
            None => format!("run \"{}\" began without --verify", self.id),
            Some(key) if arguments.verify_key.is_empty() || *key == arguments.verify_key => {
                return Ok(());
            }
            Some(_) => format!("run \"{}\" began with another --verify-key", self.id),
        };
        Err(Fault::user("run.not_verified", message)
            .hint("a resumed run is verified as it began; leave these options out"))
    }

    /// Parameters and clock of the first attempt.
    ///
    /// # Errors
    /// `run.document_changed`, and secret parameters that were not given again.
    fn given(
        &self,
        document: &DocumentFile,
        catalogue: &Catalogue,
        now: &Given,
    ) -> Result<Given, Vec<Fault>> {
        let keys = || job::secret_keys(catalogue);
        books::same_text(&self.id, &self.text, &self.given, &document.text, keys)
            .map_err(|fault| vec![fault])?;
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
) -> Summary {
    let begun = Summary {
        run: Some(ours.id.clone()),
        resumed: ours.resumed,
        grants: job.grants(),
        clock: ours.clock.clone(),
        warnings: job.read.warnings.clone(),
        ..Summary::default()
    };
    let engine = job.engine(ports, store);
    let (progress, locator) = (arguments.progress, &job.locator);
    let attempted = Attempted { run: &ours.id, begun, progress, resume, locator };
    let notes = || engine.sources.iter().filter_map(|source| source.note()).collect();
    attempted_by(host, &engine, attempted, notes).await
}

/// An attempt at a run that this process works on, and no other.
pub(crate) struct Attempted<'a> {
    pub(crate) run: &'a RunId,
    /// What is known of it before.
    pub(crate) begun: Summary,
    pub(crate) progress: ProgressMode,
    /// The command that goes on with it.
    pub(crate) resume: String,
    pub(crate) locator: &'a Locator,
}

/// Lets the engine work, and keeps and answers what came of it.
pub(crate) async fn attempted_by<S: Store, R: Source, W: Destination>(
    host: &Host,
    engine: &Engine<S, R, W>,
    attempted: Attempted<'_>,
    notes: impl FnOnce() -> Vec<String>,
) -> Summary {
    let Attempted { run, begun, progress: mode, resume, locator } = attempted;
    let progress = engine.progress.clone();
    let kept = Kept::begun(
        jiff::Timestamp::now().as_millisecond(),
        engine.settings.concurrent,
        &begun.clock,
    );
    let sampler = sampler(host, run, kept, &progress);
    let shown = Shown::start(mode, host.console.interactive, run, progress);
    let mut ended = engine.attempt(run, host.stop.subscribe()).await;
    if ended.state == RunState::Failed && ended.fault.is_none() {
        // This attempt only cleared away; what broke the run is in the books.
        ended.fault = engine.store.load(run).await.map_or_else(Some, |record| record.fault);
    }
    if let Some(lost) = host.guest_output.lost() {
        ended.fault = Some(lost.clone());
    }
    ended.notes.extend(notes());
    let status = status(host, &ended);
    shown.end(status.word());
    let looked_at = ended.counts.records_dirty + ended.counts.records_changed > 0;
    let dirty = if looked_at { dirty_reasons(host, run).await } else { Ok(Vec::new()) };
    // The run has ended whatever becomes of this: books that cannot be read are only warned of.
    let dirty = dirty.unwrap_or_else(|fault| {
        host.console.warn(&fault.within("the reasons of the dirty records"));
        Vec::new()
    });
    let summary = Summary {
        status,
        counts: ended.counts,
        elapsed: ended.elapsed,
        waited_reader: ended.waited_reader,
        waited_writer: ended.waited_writer,
        waited_throttle: ended.waited_throttle,
        tasks: ended.tasks,
        tasks_resumed: ended.tasks_resumed,
        retries: ended.retries,
        commit_mode: ended.commit_mode,
        dirty,
        watermarks: ended.watermarks,
        advice: ended.advice,
        notes: ended.notes,
        verified: ended.verified,
        resume: (!ended.state.is_ended()).then_some(resume),
        fault: ended.fault.map(|fault| locator.locate(fault)),
        ..begun
    };
    // As with the reasons: the run has ended.
    let columns = engine.columns(run).await.unwrap_or_default();
    if let Err(fault) = keep_report(sampler, &summary, &columns).await {
        host.console.warn(&fault.within("the report of the run"));
    }
    summary
}

async fn keep_report(
    sampler: Result<Sampler>,
    summary: &Summary,
    columns: &[(String, Vec<ColumnCast>)],
) -> Result<()> {
    let sampler = sampler?;
    let mut kept = sampler.look();
    kept.end(summary, columns);
    sampler.end(&kept).await
}

fn sampler(host: &Host, run: &RunId, kept: Kept, progress: &Arc<Progress>) -> Result<Sampler> {
    let store = SqliteStore::open(&host.folders()?.state)?;
    Ok(Sampler::start(progress.clone(), store, run.clone(), kept))
}

fn status(host: &Host, ended: &engine::Summary) -> Status {
    let stopped = ended.fault.as_ref().is_some_and(|fault| fault.code == "run.stopped");
    match ended.state {
        // Rows that were printed and lost are nobody's, whatever the books say.
        RunState::Succeeded if host.guest_output.lost().is_none() => Status::Succeeded,
        _ if stopped && host.stop.code().is_some() => Status::Interrupted,
        _ => Status::Failed,
    }
}

async fn dirty_reasons(host: &Host, run: &RunId) -> Result<Vec<DirtyReason>> {
    let store = SqliteStore::open(&host.folders()?.state)?;
    let reasons = store.dirty_reasons(run, DIRTY_REASONS).await?;
    Ok(reasons.iter().map(DirtyReason::of).collect())
}

fn tell(host: &Host, summary: &Summary) -> u8 {
    let written = host.result(|| summary::text(summary), || summary::json(summary));
    tell_ends(host, std::slice::from_ref(summary), written)
}

/// What became of runs counts, and is told, whether or not anybody could read their summaries. Answers
/// the code of the last that did not succeed.
pub(crate) fn tell_ends(host: &Host, summaries: &[Summary], written: io::Result<()>) -> u8 {
    let unwritten = written.err().map(|error| failure::of_output(&error));
    unwritten.iter().for_each(|fault| host.console.error(fault));
    let code = |fault: &Fault| exit_code(std::slice::from_ref(fault));
    let mut ended = unwritten.as_ref().map_or(0, code);
    for summary in summaries {
        if let (Some(fault), Status::Succeeded | Status::Failed) = (&summary.fault, summary.status)
        {
            host.console.error(fault);
        }
        if let Some(resume) = &summary.resume {
            host.console.note(&format!("the run is unfinished; go on with: {resume}"));
        }
        match summary.status {
            Status::Succeeded => {}
            Status::Interrupted => ended = host.stop.code().unwrap_or(1),
            Status::Failed => ended = summary.fault.as_ref().map_or(1, code),
        }
    }
    ended
}
