//! Files that were granted by their names. For the guest their folder is an empty one in which these
//! files, and nothing else, can be opened, made or removed: what the host does not send elsewhere meets the
//! empty folder.

use std::collections::HashMap;

use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::filesystem::Descriptor;

use crate::reach::OpenFile;

/// Begins the names of folders that no guest sees; no path can have it.
const HIDDEN: char = '\0';

/// The granted files of an instance.
#[derive(Debug, Default)]
pub(crate) struct Files {
    granted: Vec<OpenFile>,
    /// The handles of the hidden folders, once the guest asked for its folders.
    hidden: Vec<u32>,
    /// The handles of folders with granted files, and the folders' names. A guest that gives such a
    /// handle back, and gets its number again for another folder, confuses itself alone.
    folders: HashMap<u32, String>,
}

/// The name under which the engine keeps a hidden folder.
pub(crate) fn hidden_name(index: usize) -> String {
    format!("{HIDDEN}{index}")
}

impl Files {
    pub(crate) fn new(granted: Vec<OpenFile>) -> Self {
        Self { granted, ..Self::default() }
    }

    /// Keeps the hidden ones of all opened folders, and answers the others.
    pub(crate) fn keep_hidden(
        &mut self,
        table: &mut ResourceTable,
        opened: Vec<(Resource<Descriptor>, String)>,
    ) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let known = !self.hidden.is_empty();
        let mut shown = Vec::new();
        for (handle, name) in opened {
            if !name.starts_with(HIDDEN) {
                if self.granted.iter().any(|file| file.folder == name) {
                    self.folders.insert(handle.rep(), name.clone());
                }
                shown.push((handle, name));
            } else if known {
                table.delete(handle)?;
            } else {
                self.hidden.push(handle.rep());
            }
        }
        Ok(shown)
    }

    /// Where a path below a handle leads: into a hidden folder for a granted file.
    pub(crate) fn lead(
        &self,
        handle: Resource<Descriptor>,
        path: String,
    ) -> (Resource<Descriptor>, String) {
        let Some(folder) = self.folders.get(&handle.rep()) else { return (handle, path) };
        let name = path.trim_start_matches("./");
        let granted = self.granted.iter().find(|file| file.folder == *folder && file.name == name);
        match granted.and_then(|file| Some((*self.hidden.get(file.hidden)?, file))) {
            Some((hidden, file)) => (Resource::new_borrow(hidden), file.real.clone()),
            None => (handle, path),
        }
    }
}
