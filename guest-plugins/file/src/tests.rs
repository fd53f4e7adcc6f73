//! Sessions, cursors and sinks on real folders.

mod documents;
mod reading;
mod writing;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow_array::RecordBatch;
use sdk::{Budget, Configuration, Cursor, Dataset, Plugin, Reader, Side, Split, Step, Writer};
use serde_json::{Value, json};

use crate::{FilePlugin, FileSession, FolderSession};

/// A folder of one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("file-test-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn text(&self) -> &str {
        self.0.to_str().unwrap()
    }

    fn put(&self, name: &str, content: &[u8]) -> String {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Published files, by name.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        names
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn configuration(side: Side, parameter: &Value) -> Configuration {
    Configuration {
        source_type: "file".into(),
        side,
        connection: "{}".into(),
        parameter: parameter.to_string(),
    }
}

fn reader(parameter: &Value) -> FileSession {
    FileSession::connect(&configuration(Side::Reader, parameter)).unwrap()
}

fn writer(parameter: &Value) -> FolderSession {
    FolderSession::connect(&configuration(Side::Writer, parameter)).unwrap()
}

const BUDGET: Budget = Budget { rows: 1000, bytes: 1 << 20, wait_ms: 0 };

fn all_splits(session: &mut FileSession, limit: u32) -> Vec<Split> {
    let mut at = session.plan(1, &[]).unwrap().start;
    let mut all = Vec::new();
    loop {
        let splits = session.splits(&at, limit).unwrap();
        all.extend(splits.splits);
        at = splits.next;
        if splits.last {
            return all;
        }
        // Another session goes on as well.
    }
}

/// Everything that the parameter's files hold: schema, batches, undecodable records.
fn read_all(parameter: &Value) -> (Dataset, Vec<RecordBatch>, Vec<sdk::Undecodable>) {
    let mut session = reader(parameter);
    let plan = session.plan(1, &[]).unwrap();
    let (mut batches, mut dirty) = (Vec::new(), Vec::new());
    for split in all_splits(&mut session, 3) {
        let mut cursor = session.open(split, None, plan.datasets.clone()).unwrap();
        while let Step::Rows(rows) = cursor.next(BUDGET).unwrap() {
            batches.extend(rows.batches.into_iter().map(|batch| batch.rows));
            dirty.extend(rows.undecodable);
        }
    }
    (plan.datasets.into_iter().next().unwrap(), batches, dirty)
}
