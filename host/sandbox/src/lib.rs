//! The only crate that knows WebAssembly: plug-ins from their bytes to the ports of `domain`.
//!
//! [`Sandbox::load`] makes a [`Component`] of bytes: looked over, compiled (or taken from the cache),
//! linked. A component answers what it is and what it needs without reaching anything; with a
//! [`Configuration`] and a [`Reach`] it becomes a [`GuestSource`], [`GuestTransform`] or [`GuestDestination`], whose
//! sessions each own one instance and its memory.
//!
//! What holds here (invariants 3 and 4): a guest reaches what its `Reach` names and nothing else; every
//! call has limits on time, processor, memory and size ([`Limits`]); after a trap, a passed limit or a
//! lie its session is dead; what it says is checked once, at this border, and made harmless.
//!
//! What is not here: which grants a job has (`domain::grant`), what to do about a fault (`engine`).
//! Types of the engine and of the contract's bindings never leave the crate.
//!
//! Begin with `component`, then `instance` (how a call is made), `linker` (what a guest can import),
//! `batch` (how rows cross).

mod address;
mod batch;
mod bindings;
mod blocks;
mod cache;
mod call;
mod clocks;
mod codecs;
mod compile;
mod component;
mod convert;
mod descriptors;
mod destination;
mod engine;
mod files;
mod hook;
mod inspect;
mod instance;
mod ledger;
mod limits;
mod linker;
mod meter;
mod network;
mod reach;
mod secrets;
mod source;
mod state;
mod statements;
mod stdio;
mod stored;
mod text;
mod transform;

use std::path::PathBuf;
use std::sync::Arc;

use domain::{Fault, Result};
use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::Linker;

pub use compile::Compiled;
pub use component::Component;
pub use destination::{GuestDestination, GuestWriter};
pub use hook::{HostCall, OnHostCall};
pub use inspect::Faces;
pub use limits::{LimitRow, Limits, Unit};
pub use meter::Meter;
pub use reach::Reach;
pub use source::{GuestReader, GuestSource};
pub use statements::Statement;
pub use stdio::{Discard, Output};
pub use transform::{GuestTransform, GuestTransformer};

use cache::Cache;
use hook::HostCalls;
use state::State;

/// What a sandbox is set up with.
pub struct Settings {
    /// Where compiled code is kept; `None` compiles anew in each process.
    pub cache_dir: Option<PathBuf>,
    /// Other folders of the host's own. No plug-in is given a folder to write to in which one of them or
    /// the cache lies, whatever was granted.
    pub own_folders: Vec<PathBuf>,
    pub limits: Limits,
    /// Where the standard output of guests goes, and their statements.
    pub output: Arc<dyn Output>,
    /// Called before every host call of every guest, such as to stop there for a test; `None` costs
    /// nothing.
    pub on_host_call: Option<OnHostCall>,
    /// Counts the instructions of all guests; `None` costs nothing.
    pub meter: Option<Meter>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cache_dir: None,
            own_folders: Vec::new(),
            limits: Limits::default(),
            output: Arc::new(Discard),
            on_host_call: None,
            meter: None,
        }
    }
}

/// The engine and everything that plug-ins share. Cheap to clone; one for a process.
#[derive(Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Engine,
    linker: Linker<State>,
    cache: Option<Cache>,
    limits: Arc<Limits>,
    output: Arc<dyn Output>,
    slots: Arc<Semaphore>,
    host_calls: Option<HostCalls>,
    meter: Option<Meter>,
    own_folders: Arc<[PathBuf]>,
}

impl Sandbox {
    /// Starts the engine. A cache that cannot be used is done without, with a warning.
    ///
    /// # Errors
    /// `sandbox.engine`, `sandbox.clock`, `sandbox.linker`, domain internal.
    pub fn new(settings: Settings) -> Result<Self> {
        descriptors::raise_limit();
        let limits = Arc::new(settings.limits);
        let engine = engine::engine(&limits, settings.meter.is_some())?;
        let linker = linker::linker(&engine)?;
        let cache = settings.cache_dir.as_deref().and_then(|folder| {
            Cache::open(folder)
                .inspect_err(|error| {
                    tracing::warn!("no compile cache in \"{}\": {error}", folder.display());
                })
                .ok()
        });
        let slots = Arc::new(Semaphore::new(limits.instances as usize));
        let output = settings.output;
        let host_calls = settings.on_host_call.map(HostCalls::new);
        let meter = settings.meter;
        let own_folders = settings.own_folders.into_iter().chain(settings.cache_dir);
        let own_folders = own_folders.map(|path| path.canonicalize().unwrap_or(path)).collect();
        let shared =
            Shared { engine, linker, cache, limits, output, slots, host_calls, meter, own_folders };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// What plug-ins may use here.
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// Makes a plug-in of the bytes of a component. `title` names it in messages.
    ///
    /// # Errors
    /// `plugin.not_a_component`, `plugin.not_a_plugin`, domain user, for other files;
    /// `plugin.import`, `plugin.contract_version`, `plugin.too_complex`, `plugin.limit.*`,
    /// `plugin.invalid`, domain plugin, for components that this host cannot take.
    pub async fn load(&self, bytes: Vec<u8>, title: &str) -> Result<Component> {
        self.load_with(bytes, None, title).await
    }

    /// As [`Self::load`], for bytes whose digest is known: the host's own, which it need not read where their
    /// code is in the cache.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub async fn load_known(
        &self,
        bytes: impl AsRef<[u8]> + Send + 'static,
        digest: &str,
        title: &str,
    ) -> Result<Component> {
        self.load_with(bytes, Some(digest.to_owned()), title).await
    }

    async fn load_with(
        &self,
        bytes: impl AsRef<[u8]> + Send + 'static,
        digest: Option<String>,
        title: &str,
    ) -> Result<Component> {
        let (shared, title) = (Arc::clone(&self.shared), title.to_owned());
        // Compiling takes seconds of processor time.
        let loading = tokio::task::spawn_blocking(move || {
            let bytes = bytes.as_ref();
            let digest = digest.unwrap_or_else(|| compile::digest(bytes));
            Component::load(&shared, bytes, digest, &title)
        });
        loading.await.map_err(|error| {
            Fault::internal("sandbox.load", format!("loading a plug-in failed: {error}"))
        })?
    }
}
