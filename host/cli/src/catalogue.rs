//! The plug-ins of this process: those given with `--plugin`, then the built-in ones.
//!
//! A built-in one is compiled and described when a document first asks for a type that it could
//! serve, so that a job starts without those it does not name.

use std::fmt::Display;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use domain::description::{Description, SourceType};
use domain::fault::{Fault, Result};
use sandbox::{Component, Limits, Sandbox};
use tokio::runtime::Handle;

/// A component, and what it says about itself.
#[derive(Clone)]
pub(crate) struct Plugin {
    pub(crate) component: Component,
    pub(crate) description: Arc<Description>,
}

impl Plugin {
    pub(crate) async fn built_in(sandbox: &Sandbox, plugin: bundle::Plugin) -> Result<Self> {
        Self::of(sandbox.load_known(plugin.bytes, plugin.digest, plugin.name).await?).await
    }

    async fn of(component: Component) -> Result<Self> {
        let description = component.describe().await?;
        Ok(Self { component, description })
    }
}

/// A plug-in that may not have been looked at yet.
struct Entry {
    name: String,
    /// Its bytes, where it is built in.
    built_in: Option<bundle::Plugin>,
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
            built_in: Some(*plugin),
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
        self.entries.iter().filter_map(|entry| Some((self.load(entry)?, entry.built_in.is_some())))
    }

    /// Why plug-ins could not be loaded since this was last asked.
    pub(crate) fn take_faults(&self) -> Vec<Fault> {
        std::mem::take(&mut *self.faults.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What plug-ins may use.
    pub(crate) fn limits(&self) -> &Limits {
        self.sandbox.limits()
    }

    /// Loads entry after entry, those first whose name is part of the type's, such as `file` of
    /// `txtfilereader`: the others then need not be loaded.
    fn likely(&self, source_type: &str) -> impl Iterator<Item = &Plugin> {
        let wanted = source_type.to_ascii_lowercase();
        let mut order: Vec<_> = self.entries.iter().collect();
        order.sort_by_key(|entry| {
            let built_in = entry.built_in.is_some();
            (built_in, built_in && !wanted.contains(&entry.name))
        });
        order.into_iter().filter_map(|entry| self.load(entry))
    }

    fn load<'a>(&'a self, entry: &'a Entry) -> Option<&'a Plugin> {
        let load = || {
            let plugin = entry.built_in?;
            let loading = Plugin::built_in(&self.sandbox, plugin);
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
    let bytes = read_file(file, sandbox.limits().component_bytes)?;
    let plugin = Plugin::of(sandbox.load(bytes, &name).await?).await?;
    let loaded = OnceLock::from(Some(plugin));
    Ok(Entry { name, built_in: None, loaded })
}

/// The bytes of a component, and at most one more than `bytes_max`: the sandbox refuses that.
fn read_file(file: &Path, bytes_max: u64) -> Result<Vec<u8>> {
    let message =
        |why: &dyn Display| format!("cannot read the plug-in \"{}\": {why}", file.display());
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Fault::user("plugin.unreadable", message(&error)),
        _ => Fault::external("plugin.unreadable", message(&error)),
    };
    // Asked before it is opened: a pipe would wait for its other end.
    let known = std::fs::metadata(file).map_err(unreadable)?;
    if !known.is_file() {
        let why = if known.is_dir() { "it is a folder" } else { "it is no regular file" };
        return Err(Fault::user("plugin.unreadable", message(&why))
            .hint("name the file of a WebAssembly component"));
    }
    let mut bytes = Vec::new();
    let opened = File::open(file).map_err(unreadable)?;
    opened.take(bytes_max + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plug_ins_are_regular_files_and_no_more_is_read_than_may_be() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.wasm");
        std::fs::write(&file, [1; 100]).unwrap();
        assert_eq!(read_file(&file, 100).unwrap().len(), 100);
        assert_eq!(read_file(&file, 10).unwrap().len(), 11);
        for (path, word) in [(folder.path(), "a folder"), (Path::new("/dev/zero"), "no regular")] {
            let fault = read_file(path, 10).unwrap_err();
            assert_eq!(fault.code, "plugin.unreadable");
            assert!(fault.message.contains(word), "{fault}");
        }
    }
}
