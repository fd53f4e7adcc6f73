//! `airlock dirty replay RUN`: sends dirty records of a run to its destination again, after fixes.
//!
//! It is a run of its own, with marks and books of its own. What it wrote is noted at the records in the
//! transaction that ends it, and one that was killed is gone on with before another begins: so no record
//! is sent twice, as far as the commit mode allows.

use std::path::Path;
use std::sync::Arc;

use domain::fault::{Fault, Result};
use domain::job::{self, ErrorLimit};
use domain::port::{NewRun, RunRecord, Store};
use domain::run::RunState;
use engine::replay::{self, Fix, Restoring};
use engine::{Engine, Settings};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{DirtyEntry, DirtyFilter, Replay, RunLock, Shape, SqliteStore};

use self::seen::Seen;
use self::told::Told;
use crate::arguments::{DirtyReplayArguments, InputArguments};
use crate::commands::report::open;
use crate::commands::run::{self, Attempted};
use crate::document::DocumentFile;
use crate::failure::{Ending, Failure};
use crate::host::{Host, clock_text};
use crate::job as jobs;
use crate::job::{End, Given, Said};
use crate::locate::{self, Locator};
use crate::ports::Ports;
use crate::render::summary::{Status, Summary};
use crate::replay::{ReplaySource, values};
use crate::{adding, again, books, run_id};

mod seen;
mod told;

/// Records that are looked at together.
const PAGE: u32 = 500;

/// Which records are sent, and how: what the books keep of a replay's options.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Definition {
    fixes: Vec<(String, String)>,
    condition: Option<String>,
    task: Option<u32>,
    code: Option<String>,
}

impl Definition {
    /// # Errors
    /// `replay.fix`: a fix is not `COLUMN=EXPRESSION`.
    fn of(arguments: &DirtyReplayArguments) -> Result<Self> {
        let fix = |text: &String| {
            let pair = text.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
            let pair = pair.filter(|(name, value)| !name.is_empty() && !value.is_empty());
            let (name, value) = pair.ok_or_else(|| {
                Fault::user("replay.fix", format!("\"{text}\" is no fix")).hint(
                    "write column=expression, such as --fix \"amount=REPLACE(amount, ',', '')\"",
                )
            })?;
            Ok((name.to_owned(), value.to_owned()))
        };
        Ok(Self {
            fixes: arguments.fixes.iter().map(fix).collect::<Result<_>>()?,
            condition: arguments.condition.clone(),
            task: arguments.which.task,
            code: arguments.which.code.clone(),
        })
    }

    fn read(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| unreadable(&error))
    }

    fn text(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| unreadable(&error))
    }

    fn fixes(&self) -> Vec<Fix> {
        let fixes = self.fixes.iter().cloned();
        fixes.map(|(column, expression)| Fix { column, expression }).collect()
    }

    fn filter(&self) -> DirtyFilter {
        DirtyFilter { task: self.task, code: self.code.clone() }
    }
}

fn unreadable(error: &serde_json::Error) -> Fault {
    Fault::internal("books.replay", format!("the options of a replay are unreadable: {error}"))
}

/// What a replay needs of the job: its writer, made to add only, and its settings.
struct Job {
    read: spec::Read,
    writer: End,
    clock: String,
    /// The command that goes on.
    resume: String,
}

/// The records of one shape that are sent.
struct Chosen {
    shape: Shape,
    restoring: Arc<Restoring>,
    /// By their numbers.
    records: Vec<u64>,
    /// Those that the condition left out.
    left_out: u64,
}

struct Work<'a, P> {
    host: &'a Host,
    ports: &'a P,
    store: Arc<SqliteStore>,
    /// The run whose dirty records are sent.
    record: RunRecord,
    job: Job,
    arguments: &'a DirtyReplayArguments,
}

pub(crate) async fn replay(
    host: &Host,
    ports: &impl Ports,
    arguments: &DirtyReplayArguments,
) -> Ending {
    let definition = Definition::of(arguments)?;
    let (store, of) = open(host, &arguments.which.run).await?;
    let record = store.load(&of).await?;
    judge(&store, &record).await?;
    // Nobody else sends them meanwhile.
    let _lock = RunLock::take(&host.folders()?.state, &of)?;
    let unfinished = store.unfinished_replay(&of).await?;
    if let Some(unfinished) = &unfinished {
        same_definition(&definition, unfinished)?;
    }
    let job = Job::read(host, &record, arguments).await?;
    let work = Work { host, ports, store: Arc::new(store), record, job, arguments };
    if arguments.dry_run {
        return work.look(&definition, unfinished.as_ref()).await;
    }
    let (summaries, left_out) = work.send(&definition, unfinished).await?;
    let standing = work.store.standing(&of).await?;
    let mut replayed = 0;
    for run in summaries.iter().filter_map(|summary| summary.run.as_ref()) {
        replayed += work.store.replayed_by(run).await?;
    }
    let told = Told { of: &of, summaries: &summaries, replayed, left_out, standing };
    let written = host.result(|| told.text(), || told.json());
    Ok(run::tell_ends(host, &summaries, written))
}

/// # Errors
/// Where the records of the run are not for a replay.
async fn judge(store: &SqliteStore, record: &RunRecord) -> Result<()> {
    let run = &record.new.id;
    if let Some(replay) = store.replay(run).await? {
        let message = format!("run \"{run}\" is itself a replay, of run \"{}\"", replay.of);
        let hint = format!("what it left dirty stands there: airlock dirty replay {}", replay.of);
        return Err(Fault::user("replay.of_replay", message).hint(hint));
    }
    if record.state != RunState::Succeeded {
        let message = format!("run \"{run}\" has not succeeded, it is {}", record.state.word());
        return Err(Fault::user("replay.not_succeeded", message).hint(match record.state {
            RunState::Failed => "run its job again, which reads all its records again",
            _ => "go on with it first: airlock run JOB --resume",
        }));
    }
    Ok(())
}

/// Nothing that was asked for is passed over: a replay goes on as it began.
fn same_definition(definition: &Definition, unfinished: &Replay) -> Result<()> {
    let before = Definition::read(&unfinished.definition)?;
    if *definition == Definition::default() || *definition == before {
        return Ok(());
    }
    let Replay { run, of, .. } = unfinished;
    let message = format!("replay \"{run}\" is unfinished, and began with other options");
    let hint = format!("go on with it first: airlock dirty replay {of}");
    Err(Fault::user("replay.unfinished", message).hint(hint))
}

impl Job {
    /// The job as the run had it.
    async fn read(
        host: &Host,
        record: &RunRecord,
        arguments: &DirtyReplayArguments,
    ) -> Result<Self, Failure> {
        let document = document(record, arguments)?;
        let input = InputArguments {
            parameters: arguments.parameters.clone(),
            sources: arguments.sources.clone(),
            plugins: arguments.plugins.clone(),
            ..InputArguments::default()
        };
        let said = Said::new(host, &input, &arguments.limits, &arguments.grants);
        let catalogue = said.catalogue(host, &input.plugins).await?;
        let kept = books::Given::read(record)?;
        let keys = || jobs::secret_keys(&catalogue);
        books::same_text(&record.new.id, &record.new.text, &kept, &document.text, keys)?;
        let parameters = kept.parameters(&said.given.parameters)?;
        let given = Given { parameters, clock: kept.clock()? };
        let sources = input.sources.as_deref();
        let read = jobs::read(host, &said, &catalogue, &document, sources, &given)?;
        let step = &read.job.writer;
        let places = [read.places.writer.as_slice(), &said.allowed].concat();
        let word = step.configuration.side.word();
        let granted = async {
            let configuration = adding::only(&catalogue, &step.configuration)?;
            let base = &document.folder;
            End::granted(&catalogue, word, &step.source, &configuration, &places, base).await
        };
        let writer = match granted.await {
            Ok(writer) => writer,
            Err(fault) => {
                let faults = vec![Locator::of_job(&read).locate_in(word, fault)];
                return Err(Failure { faults, warnings: read.warnings });
            }
        };
        let clock = clock_text(&given.clock, &kept.zone);
        let resume = resume(host, record, arguments, &read.secret_parameters);
        Ok(Self { read, writer, clock, resume })
    }

    fn settings(&self, shape: Shape) -> Settings {
        let job = &self.read.job;
        Settings {
            concurrent: 1,
            // What is dirty again stays so, with its new reason.
            error_limit: ErrorLimit::NONE,
            writer_digest: self.writer.plugin.component.digest().to_owned(),
            transformers: match shape {
                Shape::Read => job.transformers.clone(),
                // They have been through them.
                Shape::Written => Vec::new(),
            },
            ..Settings::new(&job.settings)
        }
    }
}

/// The document of the run, by default where it was then.
fn document(record: &RunRecord, arguments: &DirtyReplayArguments) -> Result<DocumentFile> {
    let before = &record.new.document;
    let document = match &arguments.job {
        Some(path) => DocumentFile::read(path)?,
        None => DocumentFile::read(Path::new(before)).map_err(|fault| {
            fault.hint("name the job document: --job FILE, or --job - for standard input")
        })?,
    };
    books::same_place(&record.new.id, before, &document.identity)?;
    Ok(document)
}

/// The command that goes on with a replay.
fn resume(
    host: &Host,
    record: &RunRecord,
    arguments: &DirtyReplayArguments,
    secret: &[String],
) -> String {
    let mut words = vec![format!("airlock dirty replay {}", record.new.id)];
    words.extend(again::options(&again::Options {
        job: arguments.job.as_deref(),
        sources: arguments.sources.as_deref(),
        state_dir: host.state_dir.as_deref(),
        plugins: &arguments.plugins,
        grants: &arguments.grants,
        limits: &arguments.limits,
        secret,
    }));
    words.join(" ")
}

impl<P: Ports> Work<'_, P> {
    /// Goes on with the replay that is unfinished, then sends what is left; answers how the runs
    /// ended, and how many records the condition left out.
    async fn send(
        &self,
        definition: &Definition,
        unfinished: Option<Replay>,
    ) -> Result<(Vec<Summary>, u64)> {
        let mut summaries = Vec::new();
        let mut shapes = Shape::ALL.to_vec();
        if let Some(replay) = unfinished {
            self.host.console.note(&format!("going on with replay {}", replay.run));
            // What it leaves dirty has just been tried.
            shapes.retain(|shape| *shape > replay.shape);
            let definition = Definition::read(&replay.definition)?;
            let restoring = Arc::new(self.restoring(replay.shape, &definition)?);
            summaries.push(self.attempt(replay, restoring, true).await?);
        }
        let mut left_out = 0;
        for chosen in self.chosen(&shapes, definition).await? {
            left_out += chosen.left_out;
            let goes_on = summaries.iter().all(|one| one.status == Status::Succeeded);
            if goes_on && !chosen.records.is_empty() {
                summaries.push(self.begin(definition, chosen).await?);
            }
        }
        Ok((summaries, left_out))
    }

    async fn begin(&self, definition: &Definition, chosen: Chosen) -> Result<Summary> {
        let replay = Replay {
            run: run_id::new(&self.host.now)?,
            of: self.record.new.id.clone(),
            shape: chosen.shape,
            definition: definition.text()?,
            records: chosen.records.len() as u64,
        };
        let new = NewRun {
            id: replay.run.clone(),
            document: format!("dirty records of {}", replay.of),
            created_ms: self.host.now.timestamp().as_millisecond(),
            verify: None,
            ..self.record.new.clone()
        };
        self.store.record_replay(&new, &replay, chosen.records).await?;
        self.attempt(replay, chosen.restoring, false).await
    }

    async fn attempt(
        &self,
        replay: Replay,
        restoring: Arc<Restoring>,
        resumed: bool,
    ) -> Result<Summary> {
        let Self { host, job, .. } = self;
        let _lock = RunLock::take(&host.folders()?.state, &replay.run)?;
        let run = replay.run.clone();
        let engine = self.engine(replay, restoring)?;
        let side = job.writer.side().word();
        let begun = Summary {
            run: Some(run.clone()),
            resumed,
            grants: job.writer.grants.iter().map(|grant| (side, grant.clone())).collect(),
            clock: job.clock.clone(),
            warnings: job.read.warnings.clone(),
            ..Summary::default()
        };
        let attempted = Attempted {
            run: &run,
            begun,
            progress: self.arguments.progress,
            resume: job.resume.clone(),
            locator: &Locator::of_job(&job.read),
        };
        Ok(run::attempted_by(host, &engine, attempted, Vec::new).await)
    }

    fn engine(
        &self,
        replay: Replay,
        restoring: Arc<Restoring>,
    ) -> Result<Engine<P::Store, ReplaySource, P::Destination>> {
        let writer = &self.job.writer;
        let component = &writer.plugin.component;
        let destination = component.destination(writer.configuration.clone(), writer.reach.clone());
        let settings = self.job.settings(replay.shape);
        let books = SqliteStore::open(&self.host.folders()?.state)?;
        Ok(Engine {
            store: Arc::new(self.ports.store(books)),
            sources: vec![Arc::new(ReplaySource { store: self.store.clone(), replay, restoring })],
            destination: Arc::new(self.ports.destination(destination)),
            // A job with some has no replay that they would be in.
            plugins: Vec::new(),
            settings,
            progress: Arc::default(),
        })
    }

    fn restoring(&self, shape: Shape, definition: &Definition) -> Result<Restoring> {
        let source_names = locate::source_names(&self.job.read.job);
        let settings = Settings { source_names, ..self.job.settings(shape) };
        let dataset = match shape {
            Shape::Read => replay::dataset_read(&self.record, &settings)?,
            Shape::Written => {
                let prepared = self.record.prepared.as_ref();
                prepared.and_then(|prepared| prepared.datasets.first()).cloned()
            }
        };
        let missing = || Fault::internal("replay.dataset", "the books have no columns of the run");
        let dataset = dataset.ok_or_else(missing)?;
        let condition = definition.condition.as_deref();
        Restoring::new(&dataset, &definition.fixes(), condition, &settings)
            .map_err(|fault| fault.within(title(shape)))
    }

    /// The records of each shape that has some, all judged before the first is sent.
    async fn chosen(&self, shapes: &[Shape], definition: &Definition) -> Result<Vec<Chosen>> {
        let mut all = Vec::new();
        for shape in shapes {
            let mut page = self.page(*shape, definition, 0).await?;
            if page.is_empty() {
                continue;
            }
            if *shape == Shape::Read {
                self.without_plugin_steps()?;
            }
            let restoring = Arc::new(self.restoring(*shape, definition)?);
            let (mut records, mut left_out) = (Vec::new(), 0);
            while let Some(last) = page.last() {
                let after = last.number;
                let texts: Vec<_> = page.iter().map(|entry| values(&entry.dirty)).collect();
                for (entry, matches) in page.iter().zip(restoring.matching(&texts)?) {
                    match matches {
                        true => records.push(entry.number),
                        false => left_out += 1,
                    }
                }
                page = self.page(*shape, definition, after).await?;
            }
            all.push(Chosen { shape: *shape, restoring, records, left_out });
        }
        Ok(all)
    }

    /// A step that makes several records of one could have some of them written and others not, and the
    /// books know one record.
    ///
    /// # Errors
    /// `replay.plugin_step`
    fn without_plugin_steps(&self) -> Result<()> {
        let mut steps = self.job.read.job.transformers.iter();
        let Some(step) = steps.find(|step| matches!(step.work, job::Work::Plugin(_))) else {
            return Ok(());
        };
        let message = format!(
            "\"{}\" is a step of a plug-in, behind which a replay cannot tell records apart",
            step.name
        );
        Err(Fault::user("replay.plugin_step", message)
            .hint("export the dirty records, and load them with a job of their own"))
    }

    async fn page(
        &self,
        shape: Shape,
        definition: &Definition,
        after: u64,
    ) -> Result<Vec<DirtyEntry>> {
        let run = &self.record.new.id;
        self.store.replayable(run, shape, &definition.filter(), after, PAGE).await
    }

    /// A dry run: what would be sent.
    async fn look(&self, definition: &Definition, unfinished: Option<&Replay>) -> Ending {
        if let Some(Replay { run, .. }) = unfinished {
            let text = format!("replay {run} is unfinished, and may have written some of these");
            self.host.console.note(&text);
        }
        let run = &self.record.new.id;
        let (mut text, mut objects) = (String::new(), Vec::new());
        for chosen in self.chosen(&Shape::ALL, definition).await? {
            let seen = self.seen(&chosen, definition).await?;
            text += &seen.text(&chosen);
            objects.push(seen.json(&chosen));
        }
        let standing = self.store.standing(run).await?;
        text += &told::raw_text(run, &standing);
        text += "nothing was written\n";
        let json = || {
            json!({
                "status": "succeeded",
                "run_id": run.0,
                "shapes": objects,
                "raw": standing.raw,
                "replayed_in_all": standing.replayed,
                "error": null,
            })
        };
        self.host.result(|| text, json)?;
        Ok(0)
    }

    async fn seen(&self, chosen: &Chosen, definition: &Definition) -> Result<Seen> {
        let mut seen = Seen::default();
        let mut page = self.page(chosen.shape, definition, 0).await?;
        while let Some(last) = page.last() {
            let after = last.number;
            let is_chosen =
                |entry: &&DirtyEntry| chosen.records.binary_search(&entry.number).is_ok();
            let texts: Vec<_> =
                page.iter().filter(is_chosen).map(|entry| values(&entry.dirty)).collect();
            seen.take(&chosen.restoring, &texts)?;
            page = self.page(chosen.shape, definition, after).await?;
        }
        Ok(seen)
    }
}

fn title(shape: Shape) -> &'static str {
    match shape {
        Shape::Read => "records as the source has them",
        Shape::Written => "records as the destination has them",
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use domain::run::RunId;

    use super::*;
    use crate::arguments::{Arguments, Command, DirtyCommand};

    fn definition(fixes: &[&str]) -> Result<Definition> {
        let line = ["airlock", "dirty", "replay", "r1"].into_iter();
        let line = line.chain(fixes.iter().flat_map(|fix| ["--fix", fix]));
        let Command::Dirty(DirtyCommand::Replay(arguments)) =
            Arguments::try_parse_from(line).unwrap().command
        else {
            panic!("it is a replay")
        };
        Definition::of(&arguments)
    }

    #[test]
    fn a_fix_is_a_column_and_an_expression() {
        let found = definition(&["a = b = 'c'", "d=1"]).unwrap();
        let pairs = [("a", "b = 'c'"), ("d", "1")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(found.fixes, pairs);
        assert_eq!(Definition::read(&found.text().unwrap()).unwrap(), found);
        for wrong in ["a", "=1", "a="] {
            assert_eq!(definition(&[wrong]).unwrap_err().code, "replay.fix", "{wrong}");
        }
    }

    #[test]
    fn a_replay_goes_on_as_it_began() {
        let before = definition(&["a=1"]).unwrap();
        let unfinished = Replay {
            run: RunId("r2".into()),
            of: RunId("r1".into()),
            shape: Shape::Read,
            definition: before.text().unwrap(),
            records: 1,
        };
        assert_eq!(same_definition(&before, &unfinished), Ok(()));
        assert_eq!(same_definition(&Definition::default(), &unfinished), Ok(()));
        let fault = same_definition(&definition(&["a=2"]).unwrap(), &unfinished).unwrap_err();
        assert_eq!(fault.code, "replay.unfinished");
    }
}
