//! A plug-in that is ready to be started.

use std::sync::Arc;

use domain::description::{CheckStep, Description, Entry};
use domain::grant::Requirement;
use domain::job::Category;
use domain::{Configuration, Dataset, Fault, Result};
use tokio::sync::OnceCell;
use wasmtime::component::{Component as WasmComponent, ComponentExportIndex, InstancePre};

use crate::Shared;
use crate::bindings::exports::airlock::connector::{connector, reader, transformer, writer};
use crate::call::Call;
use crate::compile::{self, Compiled};
use crate::convert;
use crate::destination::GuestDestination;
use crate::engine;
use crate::inspect::{self, Faces};
use crate::instance::{Factory, Instance, who};
use crate::ledger;
use crate::limits;
use crate::reach::Reach;
use crate::secrets::Secrets;
use crate::source::GuestSource;
use crate::state::State;
use crate::stored;
use crate::transform::GuestTransform;

/// What one `discover` or `browse` may list at most.
const LISTED_MAX: usize = 100_000;
/// Steps of one `check` at most.
const CHECK_STEPS_MAX: usize = 1_000;
/// Requirements of one step at most.
const REQUIREMENTS_MAX: usize = 1_000;

/// A plug-in: looked over, compiled and linked. Cheap to clone.
#[derive(Clone)]
pub struct Component {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    digest: String,
    faces: Faces,
    compiled: Compiled,
    factory: Arc<Factory>,
    connector: connector::GuestIndices,
    reader: Option<reader::GuestIndices>,
    transformer: Option<TransformerFace>,
    writer: Option<WriterFace>,
    description: OnceCell<Arc<Description>>,
}

/// The transformer's functions; `apply` is called with borrowed buffers, so it is looked up by hand.
#[derive(Clone)]
pub(crate) struct TransformerFace {
    pub(crate) indices: transformer::GuestIndices,
    pub(crate) apply: ComponentExportIndex,
}

/// The writer's functions; `write` is called with borrowed buffers, so it is looked up by hand.
#[derive(Clone)]
pub(crate) struct WriterFace {
    pub(crate) indices: writer::GuestIndices,
    pub(crate) write: ComponentExportIndex,
}

impl Component {
    /// Looks over, compiles and links; takes seconds where the cache has nothing.
    pub(crate) fn load(
        shared: &Arc<Shared>,
        bytes: &[u8],
        digest: String,
        title: &str,
    ) -> Result<Self> {
        inspect::check_size(bytes.len(), title, &shared.limits)?;
        let (component, compiled) =
            compile::component(&shared.engine, shared.cache.as_ref(), bytes, &digest, title)?;
        let exported = component.component_type();
        let exported = exported.exports(&shared.engine).map(|(name, _)| name);
        let faces = inspect::faces(exported, title)?;
        check_resources(&component, title, &shared.limits)?;
        let pre =
            shared.linker.instantiate_pre(&component).map_err(|error| unlinked(title, &error))?;
        let bound = |error: wasmtime::Error| unlinked(title, &error);
        let connector = connector::GuestIndices::new(&pre).map_err(bound)?;
        let reader = faces.reader.then(|| reader::GuestIndices::new(&pre)).transpose();
        let transformer = faces.transformer.then(|| TransformerFace::new(&pre)).transpose();
        let writer = faces.writer.then(|| WriterFace::new(&pre)).transpose();
        let (reader, writer) = (reader.map_err(bound)?, writer.map_err(bound)?);
        let transformer = transformer.map_err(bound)?;
        let factory = Arc::new(Factory {
            title: title.to_owned(),
            pre,
            limits: Arc::clone(&shared.limits),
            output: Arc::clone(&shared.output),
            slots: Arc::clone(&shared.slots),
            host_calls: shared.host_calls.clone(),
            meter: shared.meter.clone(),
            own_folders: Arc::clone(&shared.own_folders),
        });
        let (shared, description) = (Arc::clone(shared), OnceCell::new());
        Ok(Self {
            inner: Arc::new(Inner {
                shared,
                digest,
                faces,
                compiled,
                factory,
                connector,
                reader,
                transformer,
                writer,
                description,
            }),
        })
    }

    /// `blake3:` and the hexadecimal digest of the component's bytes.
    pub fn digest(&self) -> &str {
        &self.inner.digest
    }

    /// Which interfaces it exports.
    pub fn faces(&self) -> Faces {
        self.inner.faces
    }

    /// Whether its code came from the cache, and how long that took.
    pub fn compiled(&self) -> Compiled {
        self.inner.compiled
    }

    /// What it says about itself, asked without any grant; remembered in memory and beside the
    /// compiled code.
    ///
    /// # Errors
    /// A trap, a limit or a lie, domain plugin.
    pub async fn describe(&self) -> Result<Arc<Description>> {
        let known = self.inner.description.get_or_try_init(|| self.describe_once());
        known.await.cloned()
    }

    async fn describe_once(&self) -> Result<Arc<Description>> {
        let cache = self.inner.shared.cache.as_ref();
        if let Some(known) = cache.and_then(|cache| stored::read(cache, &self.inner.digest)) {
            return Ok(Arc::new(known));
        }
        let (mut instance, face) =
            self.begin(&Reach::none(), Secrets::default(), Call::Describe).await?;
        let (mut live, turn) = instance.enter(Call::Describe)?;
        let outcome = turn.wait(face.call_describe(&mut live.store)).await;
        let description = convert::description(instance.leave(live, turn, outcome)?)
            .map_err(|what| instance.lie(Call::Describe, "description", what))?;
        if description.types.is_empty() {
            return Err(instance.lie(Call::Describe, "description", "it serves no type"));
        }
        if let Some(cache) = cache
            && let Err(error) = stored::write(cache, &self.inner.digest, &description)
        {
            tracing::warn!("cannot keep the description of {}: {error}", instance.who());
        }
        Ok(Arc::new(description))
    }

    /// The places that a step needs, asked without any grant and without secrets.
    ///
    /// # Errors
    /// The plug-in's own fault; a trap, a limit or a lie, domain plugin.
    pub async fn requirements(&self, configuration: &Configuration) -> Result<Vec<Requirement>> {
        let call = Call::Requirements;
        let (mut instance, face) = self.begin(&Reach::none(), Secrets::default(), call).await?;
        let blanked = convert::configuration_blanked(configuration);
        let (mut live, turn) = instance.enter(call)?;
        let outcome = turn.wait(face.call_requirements(&mut live.store, &blanked)).await;
        let wanted = instance.answer(live, turn, outcome)?;
        if wanted.len() > REQUIREMENTS_MAX {
            let what = format!("{} requirements, more than {REQUIREMENTS_MAX}", wanted.len());
            return Err(instance.lie(call, "requirements", what));
        }
        let wanted = wanted.into_iter().map(convert::requirement);
        let wanted: std::result::Result<_, String> = wanted.collect();
        wanted.map_err(|what| instance.lie(call, "requirements", what))
    }

    /// Connects and looks at what the configuration names, step by step.
    ///
    /// # Errors
    /// The plug-in's own fault; a trap, a limit or a lie, domain plugin.
    pub async fn check(
        &self,
        configuration: &Configuration,
        reach: &Reach,
    ) -> Result<Vec<CheckStep>> {
        let (mut instance, face) =
            self.begin(reach, Secrets::of(configuration), Call::Check).await?;
        let configuration = convert::configuration(configuration);
        let (mut live, turn) = instance.enter(Call::Check)?;
        let outcome = turn.wait(face.call_check(&mut live.store, &configuration)).await;
        let steps = instance.answer(live, turn, outcome)?;
        if steps.len() > CHECK_STEPS_MAX {
            let what = format!("{} steps, more than {CHECK_STEPS_MAX}", steps.len());
            return Err(instance.lie(Call::Check, "steps", what));
        }
        let secrets = instance.secrets();
        Ok(steps.into_iter().map(|step| convert::check_step(step, secrets)).collect())
    }

    /// What lies directly under `path`, at most `limit` entries, from behind `after`.
    ///
    /// # Errors
    /// The plug-in's own fault; a trap, a limit or a lie, domain plugin.
    pub async fn browse(
        &self,
        configuration: &Configuration,
        reach: &Reach,
        path: &[String],
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Entry>> {
        let (mut instance, face) =
            self.begin(reach, Secrets::of(configuration), Call::Browse).await?;
        let configuration = convert::configuration(configuration);
        let (mut live, turn) = instance.enter(Call::Browse)?;
        let outcome =
            turn.wait(face.call_browse(&mut live.store, &configuration, path, after, limit)).await;
        let entries = instance.answer(live, turn, outcome)?;
        if entries.len() > LISTED_MAX.min(limit as usize) {
            let what = format!("{} entries, asked for {limit}", entries.len());
            return Err(instance.lie(Call::Browse, "entries", what));
        }
        Ok(entries.into_iter().map(convert::entry).collect())
    }

    /// The datasets at `paths`.
    ///
    /// # Errors
    /// The plug-in's own fault; a trap, a limit or a lie, domain plugin.
    pub async fn discover(
        &self,
        configuration: &Configuration,
        reach: &Reach,
        paths: &[Vec<String>],
    ) -> Result<Vec<Dataset>> {
        let (mut instance, face) =
            self.begin(reach, Secrets::of(configuration), Call::Discover).await?;
        let configuration = convert::configuration(configuration);
        let (mut live, turn) = instance.enter(Call::Discover)?;
        let outcome = turn.wait(face.call_discover(&mut live.store, &configuration, paths)).await;
        let datasets = instance.answer(live, turn, outcome)?;
        if datasets.len() > LISTED_MAX {
            let what = format!("{} datasets, more than {LISTED_MAX}", datasets.len());
            return Err(instance.lie(Call::Discover, "datasets", what));
        }
        convert::datasets_in(datasets).map_err(|fault| instance.broke(Call::Discover, fault))
    }

    /// The component as a reader's source.
    pub fn source(&self, configuration: Configuration, reach: Reach) -> GuestSource {
        GuestSource::new(
            Arc::clone(&self.inner.factory),
            self.inner.reader.clone(),
            configuration,
            reach,
        )
    }

    /// The component as a step between reader and writer, held to its category.
    pub fn transform(
        &self,
        configuration: Configuration,
        reach: Reach,
        category: Category,
    ) -> GuestTransform {
        GuestTransform::new(
            Arc::clone(&self.inner.factory),
            self.inner.transformer.clone(),
            configuration,
            reach,
            category,
        )
    }

    /// The component as a writer's destination.
    pub fn destination(&self, configuration: Configuration, reach: Reach) -> GuestDestination {
        GuestDestination::new(
            Arc::clone(&self.inner.factory),
            self.inner.writer.clone(),
            self.inner.reader.clone(),
            configuration,
            reach,
        )
    }

    async fn begin(
        &self,
        reach: &Reach,
        secrets: Secrets,
        call: Call,
    ) -> Result<(Instance, connector::Guest)> {
        let mut instance = Instance::start(&self.inner.factory, None, reach, secrets).await?;
        let (mut live, turn) = instance.enter(call)?;
        let face = self.inner.connector.load(&mut live.store, &live.instance);
        let face = instance.leave(live, turn, Some(face))?;
        Ok((instance, face))
    }
}

impl WriterFace {
    fn new(pre: &InstancePre<State>) -> wasmtime::Result<Self> {
        let indices = writer::GuestIndices::new(pre)?;
        Ok(Self { indices, write: method(pre, "writer", "sink.write")? })
    }
}

impl TransformerFace {
    fn new(pre: &InstancePre<State>) -> wasmtime::Result<Self> {
        let indices = transformer::GuestIndices::new(pre)?;
        Ok(Self { indices, apply: method(pre, "transformer", "session.apply")? })
    }
}

/// A method of a resource of one of the contract's interfaces.
fn method(
    pre: &InstancePre<State>,
    interface: &str,
    method: &str,
) -> wasmtime::Result<ComponentExportIndex> {
    let component = pre.component();
    let name = format!("{}/{interface}@{}", inspect::CONTRACT, inspect::CONTRACT_VERSION);
    component
        .get_export_index(None, &name)
        .and_then(|face| component.get_export_index(Some(&face), format!("[method]{method}")))
        .ok_or_else(|| wasmtime::format_err!("no function \"{method}\" in \"{name}\""))
}

fn unlinked(title: &str, error: &wasmtime::Error) -> Fault {
    let why = crate::text::harmless(&format!("{error:#}"), 500);
    Fault::plugin(
        "plugin.contract",
        format!("{} does not fit this host's contract: {why}", who(title)),
    )
    .hint("build it against the contract in wit/")
}

/// Refuses, before anything is started, what no instance could hold.
fn check_resources(component: &WasmComponent, title: &str, limits: &limits::Limits) -> Result<()> {
    const PAGE: u64 = 64 << 10;
    let Some(needs) = component.resources_required() else {
        return Err(unlinked(title, &wasmtime::format_err!("it imports modules")));
    };
    let initial = needs.max_initial_memory_size.unwrap_or(0).saturating_mul(PAGE);
    if initial > limits.memory_bytes {
        return Err(limits::passed(limits, &who(title), Call::Instantiate.word(), "memory"));
    }
    for (what, count, max) in [
        ("memories", needs.num_memories as usize, ledger::MEMORIES_MAX),
        ("tables", needs.num_tables as usize, ledger::TABLES_MAX),
        (
            "elements in a table",
            needs.max_initial_table_size.unwrap_or(0) as usize,
            engine::TABLE_ELEMENTS_MAX,
        ),
    ] {
        if count > max {
            return Err(Fault::plugin(
                "plugin.too_complex",
                format!("{} has {count} {what}, at most {max} are taken", who(title)),
            ));
        }
    }
    Ok(())
}
