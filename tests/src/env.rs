//! A place of its own for one test: a fresh folder, and an environment in which nothing is inherited.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

use crate::airlock::Airlock;
use crate::tree;

/// The business date of all tests that need one.
pub const BIZDATE: &str = "20251031";

/// A fresh folder with the home and the working folder of one test. Dropped, it is gone.
pub struct Env {
    folder: TempDir,
    variables: BTreeMap<String, String>,
}

impl Env {
    pub fn new() -> Self {
        warm_cache();
        Self::cold(&cache())
    }

    /// With a compile cache of its own, or one that nothing has warmed.
    pub fn cold(cache: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("airlock-test-").tempdir().unwrap();
        let home = folder.path().join("home");
        fs::create_dir_all(&home).unwrap();
        fs::create_dir_all(folder.path().join("work")).unwrap();
        let text = |path: PathBuf| path.display().to_string();
        let variables = [
            ("HOME", text(home.clone())),
            ("XDG_STATE_HOME", text(home.join("state"))),
            ("XDG_CONFIG_HOME", text(home.join("config"))),
            ("XDG_CACHE_HOME", text(cache.to_owned())),
            ("PATH", "/usr/bin:/bin".to_owned()),
            ("TMPDIR", text(home.clone())),
            ("LANG", "C.UTF-8".to_owned()),
            ("TZ", "UTC".to_owned()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value)).into();
        Self { folder, variables }
    }

    /// The folder that programs run in.
    pub fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// The folder of the program's own files: books and locks.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("home/state/airlock")
    }

    /// Everything of this test: its name must not stand in a snapshot.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.into(), value.into());
    }

    /// A path below the working folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.work().join(name)
    }

    /// Writes a file below the working folder, and the folders that it needs.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub fn write_json(&self, name: &str, value: &Value) -> PathBuf {
        self.write(name, format!("{value:#}\n"))
    }

    /// Gives the test's programs a data source, beside those that are there.
    pub fn admit(&self, name: &str, source: Value) {
        let text = fs::read_to_string(self.path("datasources.json"));
        let text = text.unwrap_or_else(|_| "{}".into());
        let mut sources: Value = serde_json::from_str(&text).unwrap();
        sources[name] = source;
        self.write_json("datasources.json", &sources);
    }

    /// Copies a folder into the working folder, as it is.
    pub fn copy(&self, from: &Path) {
        copy_folder(from, &self.work());
    }

    /// The regular files below `name`, by their paths in it, in order.
    pub fn files(&self, name: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        find_files(&self.path(name), &mut found);
        found.sort();
        found
    }

    /// The files below `name` that readers see: no part of their paths in it hides.
    pub fn published(&self, name: &str) -> Vec<PathBuf> {
        let folder = self.path(name);
        let hides = |file: &PathBuf| {
            let path = file.strip_prefix(&folder).unwrap();
            path.iter().any(|part| part.to_string_lossy().starts_with(['.', '_']))
        };
        self.files(name).into_iter().filter(|file| !hides(file)).collect()
    }

    /// The binary with `arguments`, ready to be started.
    pub fn airlock<A: AsRef<str>>(&self, arguments: &[A]) -> Airlock {
        self.program(&tree::airlock(), arguments)
    }

    pub fn program<A: AsRef<str>>(&self, program: &Path, arguments: &[A]) -> Airlock {
        Airlock::new(self, program, arguments.iter().map(|text| text.as_ref().to_owned()).collect())
    }
}

impl Default for Env {
    fn default() -> Self {
        Self::new()
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn find_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find_files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// One compile cache for all tests: compiling the plug-ins takes seconds, and tests start often.
fn cache() -> PathBuf {
    tree::target().join("test-cache")
}

/// Compiles the built-in plug-ins once, so that no two tests do it at the same time.
fn warm_cache() {
    static WARM: OnceLock<()> = OnceLock::new();
    WARM.get_or_init(|| {
        fs::create_dir_all(cache()).unwrap();
        Env::cold(&cache()).airlock(&["plugin", "list"]).run().expect(0);
    });
}
