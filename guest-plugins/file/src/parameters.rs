//! What a step's document may say.

use formats::lenient::{Switch, word};
use formats::parameters::{ReadParameters, WriteParameters};
use schemars::JsonSchema;
use sdk::parameters::{Number, OneOrMany};
use sdk::{Configuration, Fault, Result, parameters};
use serde::Deserialize;
use serde_json::Value;

use crate::places::HIDDEN;

/// A data source of files.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Connection {
    /// A folder, a file or a pattern, for looking at the data source by itself.
    pub(crate) path: Option<String>,
}

/// Which files are read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReadPlaces {
    /// Files, folders (their files) or patterns with `*`, `?`, `[a-z]`, `{a,b}` and `**` (any folders), one
    /// or a list of them. Names that begin with a point or an underscore are passed over.
    path: Option<OneOrMany<String>>,
    /// In place of `path`, as object storages call it.
    object: Option<OneOrMany<String>>,
    /// A file beside the data that must be there before anything is read; it is not read itself.
    pub(crate) mark_done_file_name: Option<String>,
    /// Without effect: a run that misses the file of `markDoneFileName` is tried again as the job's settings
    /// say.
    max_retry_time: Option<Value>,
}

/// All keys of the reader.
#[derive(JsonSchema)]
pub(crate) struct ReaderDocument {
    #[serde(flatten)]
    _places: ReadPlaces,
    #[serde(flatten)]
    _format: ReadParameters,
}

/// What becomes of files that are already there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WriteMode {
    /// Files that earlier runs wrote under this `fileName` are removed when the new ones are published.
    #[default]
    Truncate,
    /// They stay.
    Append,
    /// The run is refused where another name begins with `fileName`.
    NonConflict,
}

/// Where files are written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WritePlaces {
    /// The folder.
    pub(crate) path: String,
    /// What the names of the files begin with: `<fileName>-<run>-<task>-<part>.<suffix>`.
    pub(crate) file_name: String,
    /// truncate: files that earlier runs wrote under this `fileName` are removed when the new ones are
    /// published; append: they stay; nonConflict: the run is refused where a name begins with `fileName`.
    #[serde(default, deserialize_with = "word")]
    #[schemars(with = "Option<String>", extend("default" = "truncate", "enum" = ["truncate", "append", "nonConflict"]))]
    pub(crate) write_mode: Option<WriteMode>,
    /// What the names end with (default: by format and compression, such as `csv.gz`).
    pub(crate) suffix: Option<String>,
    /// A file ends before it passes about this many MB.
    #[schemars(extend("default" = 10_000))]
    pub(crate) max_file_size: Option<Number>,
    /// Whether a run without rows writes one file, with header or schema alone.
    #[schemars(extend("default" = true))]
    pub(crate) generate_empty_file: Option<Switch>,
    /// An empty file with this name, in the same folder, is written when all others are there.
    pub(crate) mark_done_file_name: Option<String>,
    /// Only false: each task writes its own files.
    #[schemars(extend("default" = false))]
    single_file_output: Option<Switch>,
    /// Only false, as `singleFileOutput`.
    #[schemars(extend("default" = false))]
    write_single_object: Option<Switch>,
    /// Without effect: `path` and `fileName` say where files are written.
    object: Option<Value>,
    /// Without effect: files are written as they come.
    oss_block_size: Option<Value>,
    /// Without effect: files need no time-out.
    timeout: Option<Value>,
}

/// All keys of the writer.
#[derive(JsonSchema)]
#[schemars(extend("x-adding" = {"writeMode": "append"}))]
pub(crate) struct WriterDocument {
    #[serde(flatten)]
    _places: WritePlaces,
    #[serde(flatten)]
    _format: WriteParameters,
}

fn unsupported(key: &str, hint: &str) -> Fault {
    Fault::user("parameter.unsupported", format!("\"{key}\" is not supported"))
        .hint(hint)
        .at(format!("/parameter/{key}"))
}

fn refuse(keys: &[(&str, bool, &str)]) -> Result<()> {
    match keys.iter().find(|(_, given, _)| *given) {
        Some((key, _, hint)) => Err(unsupported(key, hint)),
        None => Ok(()),
    }
}

impl ReadPlaces {
    pub(crate) fn of(configuration: &Configuration) -> Result<Self> {
        let places: Self = parameters::parameter(configuration)?;
        if places.path.is_some() && places.object.is_some() {
            return Err(Fault::user("parameter.invalid", "\"path\" and \"object\" are the same")
                .hint("write one of them")
                .at("/parameter/object"));
        }
        if places.paths().iter().all(|path| path.is_empty()) {
            return Err(
                Fault::user("parameter.invalid", "\"path\" names no file").at("/parameter/path")
            );
        }
        Ok(places)
    }

    /// Files, folders and patterns as they are written.
    pub(crate) fn paths(&self) -> &[String] {
        self.path.as_ref().or(self.object.as_ref()).map(OneOrMany::as_slice).unwrap_or_default()
    }

    pub(crate) fn idle_keys(&self) -> Vec<&'static str> {
        self.max_retry_time.iter().map(|_| "maxRetryTime").collect()
    }
}

/// The format's part of a reader's document. What it says of characters and columns is checked.
pub(crate) fn read_format(
    configuration: &Configuration,
    places: &ReadPlaces,
) -> Result<ReadParameters> {
    let format: ReadParameters = parameters::parameter(configuration)?;
    format.format(places.paths().first().map(String::as_str).unwrap_or_default())?;
    Ok(format)
}

impl WritePlaces {
    pub(crate) fn of(configuration: &Configuration) -> Result<Self> {
        let places: Self = parameters::parameter(configuration)?;
        let is_on = |switch: Option<Switch>| switch.is_some_and(|Switch(on)| on);
        let one_file = "each task writes its own files; set \"concurrent\" to 1 for few of them";
        refuse(&[
            ("singleFileOutput", is_on(places.single_file_output), one_file),
            ("writeSingleObject", is_on(places.write_single_object), one_file),
        ])?;
        let names = [
            ("fileName", Some(&places.file_name)),
            ("suffix", places.suffix.as_ref()),
            ("markDoneFileName", places.mark_done_file_name.as_ref()),
        ];
        for (key, name) in names {
            let Some(name) = name else { continue };
            if name.contains(['/', '\\', '\0']) || name.is_empty() || name == ".." || name == "." {
                let message = format!("\"{key}\" must be a plain name, without a folder");
                return Err(
                    Fault::user("parameter.invalid", message).at(format!("/parameter/{key}"))
                );
            }
        }
        if places.file_name.starts_with(HIDDEN) {
            let message = "\"fileName\" can't begin with a point or an underscore";
            return Err(Fault::user("parameter.invalid", message)
                .hint("readers pass over such files")
                .at("/parameter/fileName"));
        }
        if places.path.contains(['*', '?', '[', '{']) || places.path.is_empty() {
            return Err(Fault::user("parameter.invalid", "\"path\" must be one folder")
                .at("/parameter/path"));
        }
        Ok(places)
    }

    pub(crate) fn idle_keys(&self) -> Vec<&'static str> {
        let keys = [
            ("object", self.object.is_some()),
            ("ossBlockSize", self.oss_block_size.is_some()),
            ("timeout", self.timeout.is_some()),
        ];
        keys.iter().filter(|(_, given)| *given).map(|(key, _)| *key).collect()
    }

    pub(crate) fn mode(&self) -> WriteMode {
        self.write_mode.unwrap_or_default()
    }
}

/// The format's part of a writer's document. What it says of characters is checked.
pub(crate) fn write_format(configuration: &Configuration) -> Result<WriteParameters> {
    let format: WriteParameters = parameters::parameter(configuration)?;
    format.suffix()?;
    Ok(format)
}
