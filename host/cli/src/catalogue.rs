//! The plug-ins of this process: those given with `--plugin`, then the built-in ones.
//!
//! A built-in one is compiled and described when a document first asks for a type that it could
//! serve, so that a job starts without those it does not name.

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use domain::description::{Description, SourceType};
use domain::fault::{Fault, Result};
use sandbox::{Component, Sandbox};
use tokio::runtime::Handle;

/// A component, and what it says about itself.
#[derive(Clone)]
pub(crate) struct Plugin {
    pub(crate) component: Component,
    pub(crate) description: Arc<Description>,
}

impl Plugin {
    pub(crate) async fn load(sandbox: &Sandbox, bytes: Vec<u8>, title: &str) -> Result<Self> {
        let component = sandbox.load(bytes, title).await?;
        let description = component.describe().await?;
        Ok(Self { component, description })
    }
}

/// A plug-in that may not have been looked at yet.
struct Entry {
    name: String,
    built_in: bool,
    bytes: &'static [u8],
    loaded: OnceLock<Option<Plugin>>,
}

/// All plug-ins by the order in which they are asked.
pub(crate) struct Catalogue {
    sandbox: Sandbox,
    entries: Vec<Entry>,
    /// Why plug-ins could not be loaded, until somebody asks.
    faults: Mutex<Vec<Fault>>,
}

impl Catalogue {
    /// The plug-ins in `files`, loaded at once, before the built-in ones.
    ///
    /// # Errors
    /// Each file that is unreadable or no plug-in.
    pub(crate) async fn open(
        sandbox: Sandbox,
        files: &[impl AsRef<Path>],
    ) -> Result<Self, Vec<Fault>> {
        let mut entries = Vec::new();
        let mut faults = Vec::new();
        for file in files {
            match load_file(&sandbox, file.as_ref()).await {
                Ok(entry) => entries.push(entry),
                Err(fault) => faults.push(fault),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        entries.extend(bundle::plugins().iter().map(|plugin| Entry {
            name: plugin.name.to_owned(),
            built_in: true,
            bytes: plugin.bytes,
            loaded: OnceLock::new(),
        }));
        Ok(Self { sandbox, entries, faults: Mutex::default() })
    }

    /// The plug-in that serves a type, by its name or an alias.
    pub(crate) fn plugin(&self, source_type: &str) -> Option<&Plugin> {
        let mut found = self.likely(source_type);
        found.find(|plugin| plugin.description.source_type(source_type).is_some())
    }

    /// All plug-ins, and whether each is built in. What cannot be loaded is left out.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Plugin, bool)> {
        self.entries.iter().filter_map(|entry| Some((self.load(entry)?, entry.built_in)))
    }

    /// Why plug-ins could not be loaded since this was last asked.
    pub(crate) fn take_faults(&self) -> Vec<Fault> {
        std::mem::take(&mut *self.faults.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Loads entry after entry, those first whose name is part of the type's, such as `file` of
    /// `txtfilereader`: the others then need not be loaded.
    fn likely(&self, source_type: &str) -> impl Iterator<Item = &Plugin> {
        let wanted = source_type.to_ascii_lowercase();
        let mut order: Vec<_> = self.entries.iter().collect();
        order
            .sort_by_key(|entry| (entry.built_in, entry.built_in && !wanted.contains(&entry.name)));
        order.into_iter().filter_map(|entry| self.load(entry))
    }

    fn load<'a>(&'a self, entry: &'a Entry) -> Option<&'a Plugin> {
        let load = || {
            let loading = Plugin::load(&self.sandbox, entry.bytes.to_vec(), &entry.name);
            // Documents are read by synchronous code, which asks for types in the middle of it.
            match tokio::task::block_in_place(|| Handle::current().block_on(loading)) {
                Ok(plugin) => Some(plugin),
                Err(fault) => {
                    self.faults.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
                    None
                }
            }
        };
        entry.loaded.get_or_init(load).as_ref()
    }
}

impl spec::Plugins for Catalogue {
    fn find(&self, name: &str) -> Option<&SourceType> {
        self.plugin(name)?.description.source_type(name)
    }

    fn names(&self) -> Vec<&str> {
        let descriptions = self.all().map(|(plugin, _)| plugin.description.as_ref());
        descriptions.flat_map(names).collect()
    }
}

fn names(description: &Description) -> impl Iterator<Item = &str> {
    description.types.iter().map(|kind| kind.name.as_str())
}

async fn load_file(sandbox: &Sandbox, file: &Path) -> Result<Entry> {
    let name = file.display().to_string();
    let bytes = std::fs::read(file).map_err(|error| {
        let message = format!("cannot read the plug-in \"{name}\": {error}");
        match error.kind() {
            std::io::ErrorKind::NotFound => Fault::user("plugin.unreadable", message),
            _ => Fault::external("plugin.unreadable", message),
        }
    })?;
    let plugin = Plugin::load(sandbox, bytes, &name).await?;
    let loaded = OnceLock::from(Some(plugin));
    Ok(Entry { name, built_in: false, bytes: &[], loaded })
}
