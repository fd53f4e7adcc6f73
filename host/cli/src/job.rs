//! From arguments to a job whose two ends are granted: what `run`, `plan`, `check` and `discover`
//! have in common.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::configuration::{Configuration, Side};
use domain::fault::{Fault, Result};
use domain::grant::{self, Grant, NamedPlace};
use engine::Engine;
use sandbox::{GuestSource, Limits, Output, Reach, Sandbox};
use spec::{Clock, Parameters};

use crate::arguments::{Format, GrantArguments, InputArguments, LimitArguments};
use crate::catalogue::{Catalogue, Plugin};
use crate::document::{DocumentFile, HostSecrets, SourcesFile};
use crate::host::Host;
use crate::locate::{self, Locator};
use crate::ports::Ports;
use crate::{grants, terminal};

/// Parameters and clock that a document is read with.
#[derive(Clone)]
pub(crate) struct Given {
    pub(crate) parameters: Parameters,
    pub(crate) clock: Clock,
}

impl Given {
    /// # Errors
    /// All that is wrong with the arguments.
    pub(crate) fn from_arguments(host: &Host, input: &InputArguments) -> Result<Self, Vec<Fault>> {
        let parameters = Parameters::from_arguments(input.parameters.iter().map(String::as_str))?;
        let (bizdate, cyctime) = (input.bizdate.as_deref(), input.cyctime.as_deref());
        let clock = Clock::from_arguments(host.now.datetime(), bizdate, cyctime);
        Ok(Self { parameters, clock: clock.map_err(|fault| vec![fault])? })
    }
}

/// The sandbox with the limits of the arguments, and the plug-ins.
///
/// # Errors
/// All limits that are wrong, or all plug-ins that are.
pub(crate) async fn catalogue(
    host: &Host,
    limits: &LimitArguments,
    plugins: &[PathBuf],
) -> Result<Catalogue, Vec<Fault>> {
    let limits = read_limits(limits)?;
    let sandbox = sandbox(host, limits).map_err(|fault| vec![fault])?;
    Catalogue::open(sandbox, plugins).await
}

fn sandbox(host: &Host, limits: Limits) -> Result<Sandbox> {
    let folders = host.folders()?;
    folders.create()?;
    let output = Arc::new(GuestOutput { format: host.console.format });
    let on_host_call = host.on_host_call.clone();
    let cache_dir = Some(folders.cache);
    Sandbox::new(sandbox::Settings { cache_dir, limits, output, on_host_call })
}

/// # Errors
/// All that are wrong.
pub(crate) fn read_limits(arguments: &LimitArguments) -> Result<Limits, Vec<Fault>> {
    let mut limits = Limits::default();
    let faults: Vec<_> =
        arguments.limits.iter().filter_map(|text| limits.set(text).err()).collect();
    if faults.is_empty() { Ok(limits) } else { Err(faults) }
}

/// What a guest prints is data; beside a JSON object it would be in the way.
struct GuestOutput {
    format: Format,
}

impl Output for GuestOutput {
    fn write(&self, text: &str) {
        match self.format {
            // A reader that went away wants no more; the run goes on.
            Format::Text => drop(terminal::print(text)),
            Format::Json => terminal::say(text),
        }
    }
}

/// Reads the document with its data sources, and tells its warnings.
///
/// # Errors
/// All that is wrong.
pub(crate) fn read(
    host: &Host,
    catalogue: &Catalogue,
    document: &DocumentFile,
    sources: Option<&Path>,
    given: &Given,
) -> Result<spec::Read, Vec<Fault>> {
    let sources = SourcesFile::read(sources, &document.folder, Some(&document.name));
    let sources = sources.map_err(|fault| vec![fault])?;
    let input = spec::Input {
        text: &document.text,
        name: &document.name,
        parameters: &given.parameters,
        clock: &given.clock,
        sources: sources.sources(),
        plugins: catalogue,
        secrets: &HostSecrets(&host.environment),
    };
    let read = spec::read(&input);
    // A plug-in that is broken explains why its types are unknown.
    let broken = catalogue.take_faults();
    if broken.is_empty() { read } else { Err(broken) }
}

/// One end of a job, or a data source, with what it may reach.
pub(crate) struct End {
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
        configuration: &Configuration,
        named: &[NamedPlace],
        base: &Path,
    ) -> Result<Self> {
        let kind = &configuration.source_type;
        let plugin = catalogue.plugin(kind).cloned().ok_or_else(|| {
            Fault::internal("host.plugin", format!("no plug-in for the type \"{kind}\""))
        })?;
        let requirements = plugin.component.requirements(configuration).await?;
        let grants = grant::judge(configuration.side, kind, &requirements, named)?;
        let reach = Reach::new(&grants, base)?;
        Ok(Self { plugin, configuration: configuration.clone(), reach, grants })
    }

    pub(crate) fn side(&self) -> Side {
        self.configuration.side
    }

    pub(crate) fn title(&self) -> String {
        locate::title(self.side(), &self.configuration.source_type)
    }

    pub(crate) fn source(&self) -> GuestSource {
        self.plugin.component.source(self.configuration.clone(), self.reach.clone())
    }
}

/// A job whose plug-ins may reach what they require.
pub(crate) struct GrantedJob {
    pub(crate) read: spec::Read,
    pub(crate) reader: End,
    pub(crate) writer: End,
    pub(crate) locator: Locator,
    /// Where relative paths start.
    pub(crate) base: PathBuf,
}

impl GrantedJob {
    /// # Errors
    /// Every place that is refused, at the step that asks for it.
    pub(crate) async fn new(
        catalogue: &Catalogue,
        read: spec::Read,
        base: &Path,
        arguments: &GrantArguments,
    ) -> Result<Self, Vec<Fault>> {
        let allowed = grants::places(arguments)?;
        let named = |places: &[NamedPlace]| [places, &allowed].concat();
        let locator = Locator::of_job(&read.job, &read.lines);
        let (reader, writer) = (&read.job.reader.configuration, &read.job.writer.configuration);
        let reader_end = End::granted(catalogue, reader, &named(&read.places.reader), base).await;
        let writer_end = End::granted(catalogue, writer, &named(&read.places.writer), base).await;
        let (reader, writer) = match (reader_end, writer_end) {
            (Ok(reader), Ok(writer)) => (reader, writer),
            (reader, writer) => {
                let reader = reader.err().map(|fault| locator.locate_in(Side::Reader, fault));
                let writer = writer.err().map(|fault| locator.locate_in(Side::Writer, fault));
                return Err(reader.into_iter().chain(writer).collect());
            }
        };
        Ok(Self { read, reader, writer, locator, base: base.to_owned() })
    }

    /// By side, the reader's first.
    pub(crate) fn grants(&self) -> Vec<(&'static str, Grant)> {
        let of = |end: &End| {
            let word = end.side().word();
            end.grants.iter().map(|grant| (word, grant.clone())).collect::<Vec<_>>()
        };
        [of(&self.reader), of(&self.writer)].concat()
    }
}

impl GrantedJob {
    /// The engine for this job, its ports wrapped.
    pub(crate) fn engine<P: Ports>(
        &self,
        ports: &P,
        store: P::Store,
    ) -> Engine<P::Store, P::Source, P::Destination> {
        let (reader, writer) = (&self.reader, &self.writer);
        let component = &writer.plugin.component;
        let destination = component.destination(writer.configuration.clone(), writer.reach.clone());
        let settings = engine::Settings {
            reader_digest: reader.plugin.component.digest().to_owned(),
            writer_digest: component.digest().to_owned(),
            ..engine::Settings::new(&self.read.job.settings)
        };
        Engine {
            store: Arc::new(store),
            source: Arc::new(ports.source(reader.source())),
            destination: Arc::new(ports.destination(destination)),
            settings,
            progress: Arc::default(),
        }
    }
}
