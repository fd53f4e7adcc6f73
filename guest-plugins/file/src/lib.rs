//! The plug-in `file`: reads and writes files of the formats of `formats` in granted folders.
//!
//! What this crate is not: the formats themselves (crate `formats`), and the grants: the host opens a
//! folder under the text that the user wrote, and nothing else can be seen.
//!
//! Begin with `parameters` (what a document may say), then `reader` with `places` (which files a path
//! means), then `writer` and `sink` (how parts are staged, marked and published); `disk` is the file
//! system with its faults.

mod disk;
mod parameters;
mod places;
mod reader;
mod sink;
#[cfg(test)]
mod tests;
mod writer;

use sdk::{
    Access, CheckStep, Configuration, Dataset, Description, Directory, Entry, Fault, NoTransformer,
    Plugin, Reader, Requirement, Result, Role, Side, SourceType, Writer,
};
use serde_json::Value;

use crate::parameters::{Connection, ReaderDocument, WriterDocument};
pub use crate::reader::{FileCursor, FileSession};
pub use crate::sink::FileSink;
pub use crate::writer::FolderSession;

/// The plug-in.
pub struct FilePlugin;

sdk::export!(FilePlugin);

impl Plugin for FilePlugin {
    type Reader = FileSession;
    type Transformer = NoTransformer;
    type Writer = FolderSession;

    fn describe() -> Description {
        let role = |parameter_schema| Role { parameter_schema, features: vec!["resume".into()] };
        Description {
            name: "file".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "CSV, JSON lines, Parquet, ORC, Avro, Arrow and Excel files in folders".into(),
            types: vec![SourceType {
                name: "file".into(),
                aliases: ["txtfile", "txtfilereader", "txtfilewriter", "localfile"]
                    .map(str::to_owned)
                    .into(),
                title: "Files".into(),
                family: "file".into(),
                connection_schema: sdk::parameters::schema::<Connection>(),
                reader: Some(role(sdk::parameters::schema::<ReaderDocument>())),
                transformer: None,
                writer: Some(role(sdk::parameters::schema::<WriterDocument>())),
                places: Vec::new(),
            }],
            metadata: Vec::new(),
        }
    }

    /// Reads all parameters, so that a bad one is found before anything runs.
    fn requirements(configuration: &Configuration) -> Result<Vec<Requirement>> {
        let (paths, access) = match configuration.side {
            Side::Reader => {
                let session = FileSession::connect(&reading(configuration)?)?;
                (session.paths().to_vec(), Access::Read)
            }
            Side::Transformer => return Err(NoTransformer::fault()),
            Side::Writer => {
                let session = FolderSession::connect(configuration)?;
                (vec![session.path().to_owned()], Access::Write)
            }
        };
        let mut folders: Vec<_> = paths.iter().map(|path| places::folder_text(path)).collect();
        folders.sort_unstable();
        folders.dedup();
        let place =
            |path: &str| Requirement::Directory(Directory { path: path.to_owned(), access });
        Ok(folders.into_iter().map(place).collect())
    }

    fn check(configuration: &Configuration) -> Result<Vec<CheckStep>> {
        Ok(match configuration.side {
            Side::Reader => {
                let mut session = FileSession::connect(&reading(configuration)?)?;
                let mut steps: Vec<_> =
                    session.paths().iter().map(|path| check_path(path)).collect();
                if steps.iter().all(|step| step.fault.is_none()) {
                    let fault = session.whole().err();
                    steps.push(CheckStep { name: "columns".to_owned(), fault });
                }
                steps
            }
            Side::Transformer => return Err(NoTransformer::fault()),
            Side::Writer => vec![check_folder(FolderSession::connect(configuration)?.path())],
        })
    }

    fn browse(
        configuration: &Configuration,
        path: &[String],
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Entry>> {
        if !path.is_empty() {
            return Ok(Vec::new());
        }
        let files = FileSession::connect(&reading(configuration)?)?.list()?;
        let behind =
            files.into_iter().filter(|file| after.is_none_or(|after| file.as_str() > after));
        let entry = |file| Entry { path: vec![file], is_dataset: true };
        Ok(behind.take(limit as usize).map(entry).collect())
    }

    fn discover(configuration: &Configuration, paths: &[Vec<String>]) -> Result<Vec<Dataset>> {
        let mut session = FileSession::connect(&reading(configuration)?)?;
        if paths.is_empty() {
            return Ok(vec![session.whole()?]);
        }
        // Only files that the configuration means are looked at.
        let files = session.list()?;
        let known = |path: &Vec<String>| match path.as_slice() {
            [file] if files.contains(file) => session.one(file),
            _ => Err(Fault::external(
                "file.not_found",
                format!("\"{}\" is none of the files", path.join("/")),
            )),
        };
        paths.iter().map(known).collect()
    }
}

/// The configuration with the data source's path where the step has none.
fn reading(configuration: &Configuration) -> Result<Configuration> {
    let connection: Connection = sdk::parameters::connection(configuration)?;
    let mut parameter: Value = sdk::parameters::parameter(configuration)?;
    if let (Some(path), Value::Object(members)) = (connection.path, &mut parameter)
        && !members.contains_key("object")
    {
        members.entry("path").or_insert(Value::String(path));
    }
    Ok(Configuration { parameter: parameter.to_string(), ..configuration.clone() })
}

fn check_path(path: &str) -> CheckStep {
    let found = places::files(&[path.to_owned()], None).and_then(|files| match files.first() {
        Some(file) => disk::DiskInput::open(file).map(drop),
        None => Ok(()),
    });
    CheckStep { name: format!("files \"{path}\""), fault: found.err() }
}

/// An absent folder is made when the job runs.
fn check_folder(path: &str) -> CheckStep {
    CheckStep { name: format!("folder \"{path}\""), fault: disk::names(path).err() }
}

/// Tells the log which keys mean nothing. Unit tests run natively, where there is no log.
pub(crate) fn note_idle(keys: &[&str]) {
    if cfg!(target_arch = "wasm32") && !keys.is_empty() {
        sdk::log::warn(&format!("without effect here: {}", keys.join(", ")));
    }
}
