//! From arguments to a job whose ends are granted: what `run`, `plan`, `check` and `discover`
//! have in common.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use domain::configuration::{Configuration, Side};
use domain::fault::{Fault, Result};
use domain::grant::{Grant, NamedPlace, Requirement};
use domain::job::{Transformer, Work};
use engine::{Addresses, Engine, StepPlugin};
use sandbox::{GuestSource, Limits, Output, Reach, Sandbox};
use spec::{Clock, Parameters};

use crate::arguments::{Format, GrantArguments, InputArguments, LimitArguments};
use crate::catalogue::{Catalogue, Plugin};
use crate::document::{DocumentFile, HostSecrets, SourcesFile};
use crate::failure::{self, Failure};
use crate::host::Host;
use crate::locate::{self, Locator};
use crate::ports::Ports;
use crate::signals::Stop;
use crate::statements::Statements;
use crate::{grants, terminal};

/// Parameters and clock that a document is read with.
#[derive(Clone)]
pub(crate) struct Given {
    pub(crate) parameters: Parameters,
    pub(crate) clock: Clock,
}

impl Given {
    fn from_arguments(host: &Host, input: &InputArguments, faults: &mut Vec<Fault>) -> Self {
        let texts = input.parameters.iter().map(String::as_str);
        let parameters = Parameters::gather(texts, faults);
        let read = |bizdate, cyctime| Clock::from_arguments(host.now.datetime(), bizdate, cyctime);
        let (bizdate, cyctime) = (input.bizdate.as_deref(), input.cyctime.as_deref());
        let clock = read(bizdate, cyctime).unwrap_or_else(|fault| {
            let each = [read(bizdate, None).err(), read(None, cyctime).err()];
            let both: Vec<_> = each.into_iter().flatten().collect();
            faults.extend(if both.is_empty() { vec![fault] } else { both });
            // A stand-in, with which the document can be looked at.
            Clock::standing_in(host.now.datetime())
        });
        Self { parameters, clock }
    }
}

/// What the arguments say. What is wrong with them is told together with the document's faults.
pub(crate) struct Said {
    pub(crate) given: Given,
    limits: Limits,
    /// Places that the operator allows.
    pub(crate) allowed: Vec<NamedPlace>,
    faults: Vec<Fault>,
}

impl Said {
    pub(crate) fn new(
        host: &Host,
        input: &InputArguments,
        limits: &LimitArguments,
        grants: &GrantArguments,
    ) -> Self {
        let mut faults = Vec::new();
        let given = Given::from_arguments(host, input, &mut faults);
        let limits = read_limits(limits).unwrap_or_else(|wrong| {
            faults.extend(wrong);
            Limits::default()
        });
        let allowed = grants::places(grants).unwrap_or_else(|wrong| {
            faults.extend(wrong);
            Vec::new()
        });
        Self { given, limits, allowed, faults }
    }

    /// `failure` behind what is wrong with the arguments.
    fn and(&self, failure: impl Into<Failure>) -> Failure {
        let failure = failure.into();
        Failure { faults: [self.faults.as_slice(), &failure.faults].concat(), ..failure }
    }

    /// The sandbox with the limits of the arguments, and the plug-ins.
    ///
    /// # Errors
    /// All plug-ins that are wrong, behind what else is wrong with the arguments.
    pub(crate) async fn catalogue(
        &self,
        host: &Host,
        plugins: &[PathBuf],
    ) -> Result<Catalogue, Failure> {
        let catalogue = catalogue(host, self.limits.clone(), plugins).await;
        catalogue.map_err(|faults| self.and(faults))
    }

    /// What was read, or all that is wrong with it and with the arguments.
    ///
    /// # Errors
    /// All of it.
    pub(crate) fn judge<T>(
        &self,
        catalogue: &Catalogue,
        read: Result<T, spec::Refused>,
        warnings: impl FnOnce(&T) -> Vec<Fault>,
    ) -> Result<T, Failure> {
        // A plug-in that is broken explains why its types are unknown.
        let broken = catalogue.take_faults();
        match read {
            _ if !broken.is_empty() => Err(self.and(broken)),
            Err(refused) => Err(self.and(refused)),
            Ok(read) if self.faults.is_empty() => Ok(read),
            Ok(read) => Err(self.and(Failure { warnings: warnings(&read), faults: Vec::new() })),
        }
    }
}

/// The sandbox with its limits, and the plug-ins.
///
/// # Errors
/// All plug-ins that are wrong.
pub(crate) async fn catalogue(
    host: &Host,
    limits: Limits,
    plugins: &[PathBuf],
) -> Result<Catalogue, Vec<Fault>> {
    let sandbox = sandbox(host, limits).map_err(|fault| vec![fault])?;
    Catalogue::open(sandbox, plugins).await
}

fn sandbox(host: &Host, limits: Limits) -> Result<Sandbox> {
    let folders = host.folders()?;
    folders.create()?;
    let output = Arc::clone(&host.guest_output) as Arc<dyn Output>;
    let on_host_call = host.on_host_call.clone();
    let (cache_dir, own_folders) = (Some(folders.cache), vec![folders.state]);
    Sandbox::new(sandbox::Settings {
        cache_dir,
        own_folders,
        limits,
        output,
        on_host_call,
        meter: None,
    })
}

/// # Errors
/// All that are wrong.
pub(crate) fn read_limits(arguments: &LimitArguments) -> Result<Limits, Vec<Fault>> {
    let mut limits = Limits::default();
    let faults: Vec<_> =
        arguments.limits.iter().filter_map(|text| limits.set(text).err()).collect();
    if faults.is_empty() { Ok(limits) } else { Err(faults) }
}

/// What a guest prints is data; beside a JSON object it would be in the way. Its statements are kept.
pub(crate) struct GuestOutput {
    format: Format,
    stop: Stop,
    /// Where they were asked for.
    pub(crate) statements: Option<Statements>,
    /// Why rows that a guest printed were lost.
    lost: OnceLock<Fault>,
}

impl GuestOutput {
    pub(crate) fn new(format: Format, stop: Stop, explains: bool) -> Self {
        let statements = explains.then(Statements::default);
        Self { format, stop, statements, lost: OnceLock::new() }
    }

    /// Why rows that a guest printed were lost, where some were.
    pub(crate) fn lost(&self) -> Option<&Fault> {
        self.lost.get()
    }
}

impl Output for GuestOutput {
    fn write(&self, text: &str) {
        let written = match self.format {
            Format::Text => terminal::print(text),
            Format::Json => {
                terminal::say(text);
                Ok(())
            }
        };
        if let Err(error) = written {
            self.lost.get_or_init(|| failure::of_output(&error));
            self.stop.ask();
        }
    }

    fn takes_statements(&self) -> bool {
        self.statements.is_some()
    }

    fn statement(&self, statement: sandbox::Statement<'_>) {
        if let Some(statements) = &self.statements {
            statements.add(&statement);
        }
    }
}

/// Reads the document with its data sources.
///
/// # Errors
/// All that is wrong, with the document and with the arguments.
pub(crate) fn read(
    host: &Host,
    said: &Said,
    catalogue: &Catalogue,
    document: &DocumentFile,
    sources: Option<&Path>,
    given: &Given,
) -> Result<spec::Read, Failure> {
    let sources = SourcesFile::read(sources, &document.folder, Some(&document.name));
    let sources = sources.map_err(|fault| said.and(fault))?;
    let environment = &host.environment;
    let secrets = HostSecrets { environment, sources: &sources, document: Some(document) };
    let input = spec::Input {
        text: &document.text,
        name: &document.name,
        parameters: &given.parameters,
        clock: &given.clock,
        sources: sources.sources(),
        plugins: catalogue,
        secrets: &secrets,
    };
    said.judge(catalogue, spec::read(&input), |read| read.warnings.clone())
}

/// Keys that hold secrets by the schemas of any plug-in.
pub(crate) fn secret_keys(catalogue: &Catalogue) -> BTreeSet<String> {
    let descriptions = catalogue.all().map(|(plugin, _)| &plugin.description);
    descriptions.flat_map(|description| &description.types).flat_map(spec::secret_keys).collect()
}

/// Asks the plug-ins what they require: they look at their parameters, and reach nothing.
///
/// # Errors
/// What they say of their parameters.
pub(crate) async fn try_requirements(
    catalogue: &Catalogue,
    read: &spec::Read,
) -> Result<(), Failure> {
    let locator = Locator::of_job(read);
    let mut faults = Vec::new();
    for (word, step) in locate::steps(&read.job) {
        let required = requirements(catalogue, &step.configuration).await;
        faults.extend(required.err().map(|fault| locator.locate_in(&word, fault)));
    }
    match faults.is_empty() {
        true => Ok(()),
        false => Err(Failure { faults, warnings: read.warnings.clone() }),
    }
}

async fn requirements(
    catalogue: &Catalogue,
    configuration: &Configuration,
) -> Result<(Plugin, Vec<Requirement>)> {
    let kind = &configuration.source_type;
    let plugin = catalogue.plugin(kind).cloned().ok_or_else(|| {
        Fault::internal("host.plugin", format!("no plug-in for the type \"{kind}\""))
    })?;
    let requirements = plugin.component.requirements(configuration).await?;
    Ok((plugin, requirements))
}

/// One end of a job, or a data source, with what it may reach.
pub(crate) struct End {
    /// What faults call it: `writer`, `reader of "orders"`.
    pub(crate) word: String,
    /// What people call the data source.
    source: String,
    pub(crate) plugin: Plugin,
    pub(crate) configuration: Configuration,
    pub(crate) reach: Reach,
    pub(crate) grants: Vec<Grant>,
}

impl End {
    /// Asks the plug-in what it requires, and judges it.
    ///
    /// # Errors
    /// `grant.refused`, or what the plug-in says.
    pub(crate) async fn granted(
        catalogue: &Catalogue,
        word: &str,
        source: &str,
        configuration: &Configuration,
        named: &[NamedPlace],
        base: &Path,
    ) -> Result<Self> {
        let (plugin, requirements) = requirements(catalogue, configuration).await?;
        let grants = grants::judge(configuration, &requirements, named, base)?;
        let reach = Reach::new(&grants, base)?;
        let (word, source) = (word.to_owned(), source.to_owned());
        Ok(Self { word, source, plugin, configuration: configuration.clone(), reach, grants })
    }

    pub(crate) fn side(&self) -> Side {
        self.configuration.side
    }

    pub(crate) fn title(&self) -> String {
        locate::title(&self.word, self.side(), &self.configuration.source_type)
    }

    pub(crate) fn source(&self) -> GuestSource {
        self.plugin.component.source(self.configuration.clone(), self.reach.clone())
    }
}

/// A job whose plug-ins may reach what they require.
pub(crate) struct GrantedJob {
    pub(crate) read: spec::Read,
    /// One for each source, with an end for each of its addresses.
    pub(crate) readers: Vec<Vec<End>>,
    /// One for each step between that a plug-in does.
    pub(crate) transformers: Vec<End>,
    pub(crate) writer: End,
    pub(crate) locator: Locator,
    no_progress: Duration,
    /// Sessions that a lane may keep beside the one that it reads.
    resting_sessions: usize,
}

impl GrantedJob {
    /// # Errors
    /// Every place that is refused, at the step that asks for it.
    pub(crate) async fn new(
        catalogue: &Catalogue,
        read: spec::Read,
        base: &Path,
        allowed: &[NamedPlace],
    ) -> Result<Self, Failure> {
        let sources = read.job.readers.len() as u64;
        let concurrent = read.job.settings.concurrent;
        let between = read.places.transformers.len() as u64;
        let resting = grants::resting_sessions(catalogue.limits(), concurrent, sources, between);
        let resting_sessions = match resting {
            Ok(resting) => resting,
            Err(fault) => return Err(Failure { faults: vec![fault], warnings: read.warnings }),
        };
        let named = |places: &[NamedPlace]| [places, allowed].concat();
        let no_progress = catalogue.limits().no_progress;
        let locator = Locator::of_job(&read);
        let mut faults = Vec::new();
        let (mut readers, mut transformers) = (Vec::new(), Vec::new());
        let mut writer = None;
        let steps = locate::steps(&read.job).into_iter().zip(read.places.steps());
        for ((word, step), places) in steps {
            let others = step.alternatives.iter().map(|other| (&other.title, &other.configuration));
            let mut ends = Vec::new();
            for (source, configuration) in
                [(&step.source, &step.configuration)].into_iter().chain(others)
            {
                let places = named(places);
                match End::granted(catalogue, &word, source, configuration, &places, base).await {
                    Ok(end) => ends.push(end),
                    Err(fault) => faults.push(locator.locate_in(&word, fault)),
                }
            }
            match step.configuration.side {
                Side::Reader => readers.push(ends),
                Side::Transformer => transformers.append(&mut ends),
                Side::Writer => writer = ends.pop(),
            }
        }
        match writer {
            Some(writer) if faults.is_empty() => Ok(Self {
                read,
                readers,
                transformers,
                writer,
                locator,
                no_progress,
                resting_sessions,
            }),
            _ => Err(Failure { faults, warnings: read.warnings }),
        }
    }

    /// By side, in the order of the steps.
    pub(crate) fn grants(&self) -> Vec<(&'static str, Grant)> {
        let of = |end: &End| {
            let word = end.side().word();
            end.grants.iter().map(|grant| (word, grant.clone())).collect::<Vec<_>>()
        };
        let mut grants: Vec<(&'static str, Grant)> = Vec::new();
        for grant in self.ends().flat_map(of) {
            if !grants.contains(&grant) {
                grants.push(grant);
            }
        }
        grants
    }
}

impl GrantedJob {
    /// All steps that plug-ins do, in their order.
    fn ends(&self) -> impl Iterator<Item = &End> {
        self.readers.iter().flatten().chain(&self.transformers).chain([&self.writer])
    }

    /// The plug-ins between, each held to the category of its step.
    fn plugins(&self) -> Vec<StepPlugin> {
        let steps = self.read.job.transformers.iter();
        let steps = steps.filter(|step| matches!(step.work, Work::Plugin(_)));
        let plugin = |(step, end): (&Transformer, &End)| {
            let (component, reach) = (&end.plugin.component, end.reach.clone());
            let transform = component.transform(end.configuration.clone(), reach, step.category);
            let digest = component.digest().to_owned();
            StepPlugin { transform: Arc::new(transform), digest }
        };
        steps.zip(&self.transformers).map(plugin).collect()
    }

    /// The engine for this job, its ports wrapped.
    pub(crate) fn engine<P: Ports>(
        &self,
        ports: &P,
        store: P::Store,
    ) -> Engine<P::Store, Addresses<P::Source>, P::Destination> {
        let writer = &self.writer;
        let component = &writer.plugin.component;
        let destination = component.destination(writer.configuration.clone(), writer.reach.clone());
        let digest = |end: &End| end.plugin.component.digest().to_owned();
        let address = |end: &End| (end.source.clone(), ports.source(end.source()));
        let addresses =
            |ends: &Vec<End>| Arc::new(Addresses::new(ends.iter().map(address).collect()));
        let settings = engine::Settings {
            // All sources are of one type.
            reader_digest: self.readers.iter().flatten().map(digest).next().unwrap_or_default(),
            source_names: locate::source_names(&self.read.job),
            resting_sessions: self.resting_sessions,
            writer_digest: component.digest().to_owned(),
            transformers: self.read.job.transformers.clone(),
            no_progress: self.no_progress,
            ..engine::Settings::new(&self.read.job.settings)
        };
        Engine {
            store: Arc::new(store),
            sources: self.readers.iter().map(addresses).collect(),
            destination: Arc::new(ports.destination(destination)),
            plugins: self.plugins(),
            settings,
            progress: Arc::default(),
        }
    }
}

#[cfg(test)]
mod tests;
