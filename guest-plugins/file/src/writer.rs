//! The writer: what happens once a run. Tasks write their parts into a hidden folder inside the
//! destination (see `sink`); `finish` gives them their names.
//!
//! A reader of the folder sees either nothing of a run or whole files. Each step of `finish` can be done
//! again: a part that is not in the hidden folder any more stands under its name.

use std::fs;

use arrow_schema::Field;
use formats::WriteFormat;
use formats::lenient::Switch;
use formats::parameters::WriteParameters;
use sdk::parameters::Number;
use sdk::{
    Back, CommitMode, Configuration, Dataset, Fault, Outcome, Prepared, ReadBack, Result, Run,
    Task, Wishes, Writer,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::disk::{self, DiskOutput};
use crate::parameters::{self, WriteMode, WritePlaces};
use crate::sink::{FileSink, Limits};

/// Batches of this size are worth a call.
const BATCH_BYTES: u64 = 512 << 10;
/// A file that can grow is made durable this often; others are cut this often, when asked.
const COMMIT_BYTES: u64 = 256 << 20;
const FILE_MB_DEFAULT: u64 = 10_000;
/// In the hidden folder: a file without rows.
const EMPTY: &str = "empty";

/// One session with a folder.
pub struct FolderSession {
    places: WritePlaces,
    parameters: WriteParameters,
}

/// A finished file of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    /// Its name in the hidden folder.
    pub(crate) staged: String,
    /// Its name when it is published.
    pub(crate) name: String,
    pub(crate) bytes: u64,
}

/// What a task leaves for `finish`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Receipt {
    pub(crate) parts: Vec<Part>,
}

impl FolderSession {
    /// The folder as the user wrote it.
    pub(crate) fn path(&self) -> &str {
        &self.places.path
    }

    fn folder(&self) -> &str {
        match self.places.path.trim_end_matches('/') {
            "" => "/",
            folder => folder,
        }
    }

    fn staging(&self, run: &str) -> String {
        format!("{}/.airlock-{run}", self.folder())
    }

    /// The columns' fields under the names that the job gives them, and how they are written.
    fn columns(&self, datasets: &[Dataset]) -> Result<(Dataset, WriteFormat)> {
        let [dataset] = datasets else {
            let message = format!("files take one dataset, and {} come", datasets.len());
            return Err(Fault::user("file.one_dataset", message));
        };
        let fields = dataset.schema.fields();
        let names = match self.parameters.names()? {
            Some(names) if names.len() != fields.len() => {
                let message = format!(
                    "\"column\" has {} names, and the reader gives {} columns",
                    names.len(),
                    fields.len()
                );
                return Err(Fault::user("parameter.invalid", message)
                    .hint("columns belong together by their place")
                    .at("/parameter/column"));
            }
            Some(names) => names,
            None => fields.iter().map(|field| field.name().clone()).collect(),
        };
        let format = self.parameters.format(&names)?;
        let named = fields
            .iter()
            .zip(&names)
            .map(|(field, name)| held(field.as_ref().clone().with_name(name)));
        let schema = arrow_schema::Schema::new(named.collect::<Vec<_>>());
        let path = vec![format!("{}/{}", self.folder(), self.places.file_name)];
        let dataset =
            Dataset { path, schema: schema.into(), primary_key: Vec::new(), metadata: Vec::new() };
        Ok((dataset, format))
    }

    fn suffix(&self, format: &WriteFormat) -> String {
        match &self.places.suffix {
            Some(suffix) => suffix.trim_start_matches('.').to_owned(),
            None => format.suffix(),
        }
    }

    fn name(&self, run: &str, task: u32, part: usize, suffix: &str) -> String {
        format!("{}-{run}-{task}-{part}.{suffix}", self.places.file_name)
    }

    /// Files that other runs wrote under this name and suffix.
    fn older(&self, run: &str, suffix: &str) -> Result<Vec<String>> {
        let mut names = disk::names(self.folder())?;
        names.retain(|name| {
            run_of(name, &self.places.file_name, suffix).is_some_and(|other| other != run)
        });
        Ok(names)
    }

    fn check_conflict(&self, run: &str) -> Result<()> {
        if self.places.mode() != WriteMode::NonConflict {
            return Ok(());
        }
        let own = format!("{}-{run}-", self.places.file_name);
        let names = disk::names(self.folder())?;
        let other =
            |name: &&String| name.starts_with(&self.places.file_name) && !name.starts_with(&own);
        match names.iter().find(other) {
            None => Ok(()),
            Some(name) => {
                let message = format!("\"{}\" holds \"{name}\" already", self.folder());
                Err(Fault::external("file.conflict", message)
                    .hint("remove the files, or set \"writeMode\" to truncate or append")
                    .at("/parameter/writeMode"))
            }
        }
    }

    fn answer(&self, dataset: Dataset, format: &WriteFormat) -> Prepared {
        Prepared {
            datasets: vec![dataset],
            commit_mode: CommitMode::Staged,
            wishes: Wishes {
                batch_rows: 0,
                batch_bytes: BATCH_BYTES,
                commit_bytes: if format.grows() { 0 } else { COMMIT_BYTES },
                commit_ms: 0,
                sort_by: Vec::new(),
                lanes: 0,
            },
        }
    }

    fn limits(&self) -> Limits {
        let mb = self.places.max_file_size.map_or(FILE_MB_DEFAULT, |Number(mb)| mb.max(1));
        Limits { file_bytes: mb.saturating_mul(1_000_000), cut_bytes: COMMIT_BYTES }
    }

    fn publish(&self, staging: &str, part: &Part) -> Result<()> {
        let staged = format!("{staging}/{}", part.staged);
        let target = format!("{}/{}", self.folder(), part.name);
        if fs::metadata(&staged).is_ok() {
            disk::cut(&staged, part.bytes)?;
            return fs::rename(&staged, &target)
                .map_err(|error| disk::fault("rename", &staged, &error));
        }
        match fs::metadata(&target) {
            Ok(there) if there.len() == part.bytes => Ok(()),
            _ => {
                let message = format!("the staged file \"{staged}\" is gone");
                Err(Fault::external("file.part_missing", message)
                    .hint("somebody removed it: start a new run"))
            }
        }
    }

    fn wants_empty(&self) -> bool {
        self.places.generate_empty_file.is_none_or(|Switch(on)| on)
    }

    fn publish_all(&self, run: &Run, receipts: &[Vec<u8>], suffix: &str) -> Result<()> {
        let staging = self.staging(&run.id);
        let mut parts = parts_of(receipts)?;
        if parts.is_empty() && self.wants_empty() {
            let name = self.name(&run.id, 0, 0, suffix);
            let bytes = fs::metadata(format!("{staging}/{EMPTY}"))
                .or_else(|_| fs::metadata(format!("{}/{name}", self.folder())))
                .map_err(|error| disk::fault("open", &staging, &error))?
                .len();
            parts.push(Part { staged: EMPTY.to_owned(), name, bytes });
        }
        if let (WriteMode::Truncate, Some(name)) =
            (self.places.mode(), &self.places.mark_done_file_name)
        {
            // It said that the files of an earlier run are there.
            remove(&format!("{}/{name}", self.folder()))?;
            disk::sync_folder(self.folder())?;
        }
        for part in &parts {
            self.publish(&staging, part)?;
        }
        disk::sync_folder(self.folder())?;
        if self.places.mode() == WriteMode::Truncate {
            for name in self.older(&run.id, suffix)? {
                remove(&format!("{}/{name}", self.folder()))?;
            }
        }
        if let Some(name) = &self.places.mark_done_file_name {
            disk::write_whole(self.folder(), name, b"")?;
        }
        Ok(())
    }
}

fn parts_of(receipts: &[Vec<u8>]) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    for receipt in receipts {
        let receipt: Receipt = serde_json::from_slice(receipt).map_err(|_| {
            Fault::plugin("file.receipt", "a receipt is not one of this version of the plug-in")
        })?;
        parts.extend(receipt.parts);
    }
    Ok(parts)
}

/// A text as a pattern that it alone matches.
fn literal(text: &str) -> String {
    let letter = |letter: char| match letter {
        '*' | '?' | '[' => format!("[{letter}]"),
        other => other.to_string(),
    };
    text.chars().map(letter).collect()
}

fn remove(path: &str) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if !disk::is_missing(&error) => Err(disk::fault("remove", path, &error)),
        _ => Ok(()),
    }
}

/// The run in a name `<fileName>-<run>-<task>-<part>.<suffix>`.
fn run_of<'a>(name: &'a str, file_name: &str, suffix: &str) -> Option<&'a str> {
    let rest = name.strip_prefix(file_name)?.strip_prefix('-')?;
    let rest = rest.strip_suffix(suffix)?.strip_suffix('.')?;
    let mut words = rest.split('-');
    let (run, task, part) = (words.next()?, words.next()?, words.next()?);
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let is_run = !run.is_empty()
        && run.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    (is_run && is_number(task) && is_number(part) && words.next().is_none()).then_some(run)
}

/// The field as files hold it: no format here has a place for a decimal that is no number.
fn held(mut field: Field) -> Field {
    const EXTREMES: &str = "airlock:extremes";
    if field.data_type().is_decimal() {
        field.metadata_mut().remove(EXTREMES);
    }
    field
}

impl Writer for FolderSession {
    type Sink = FileSink;

    fn connect(configuration: &Configuration) -> Result<Self> {
        Ok(Self {
            places: WritePlaces::of(configuration)?,
            parameters: parameters::write_format(configuration)?,
        })
    }

    fn prepare(&mut self, run: &Run, datasets: Vec<Dataset>) -> Result<Prepared> {
        let (dataset, format) = self.columns(&datasets)?;
        self.check_conflict(&run.id)?;
        crate::note_idle(&[self.places.idle_keys(), self.parameters.idle_keys()].concat());
        let staging = self.staging(&run.id);
        if !fs::metadata(&staging).is_ok_and(|there| there.is_dir()) {
            fs::create_dir(&staging).map_err(|error| disk::fault("create", &staging, &error))?;
        }
        // Also shows, before anything is read, what the format can't hold and whether the disk takes it.
        let empty = DiskOutput::create(&format!("{staging}/{EMPTY}"))?;
        format.encoder(Box::new(empty), &dataset.schema)?.finish()?;
        disk::sync_folder(&staging)?;
        disk::sync_folder(self.folder())?;
        Ok(self.answer(dataset, &format))
    }

    fn preview(&mut self, datasets: Vec<Dataset>) -> Result<Prepared> {
        let (dataset, format) = self.columns(&datasets)?;
        self.check_conflict("")?;
        format.encoder(Box::new(Vec::new()), &dataset.schema)?.finish()?;
        Ok(self.answer(dataset, &format))
    }

    fn open(&mut self, task: Task, datasets: Vec<Dataset>) -> Result<FileSink> {
        let (dataset, format) = self.columns(&datasets)?;
        let suffix = self.suffix(&format);
        let (run, index) = (task.run.clone(), task.index);
        let stem = format!("{}-{run}-{index}", self.places.file_name);
        FileSink::open(
            self.staging(&run),
            task,
            dataset.schema,
            format,
            stem,
            suffix,
            self.limits(),
        )
    }

    /// By the run's name in the files' names: what else bears it is found, too.
    fn read_back(
        &mut self,
        run: &Run,
        datasets: Vec<Dataset>,
        receipts: Vec<Vec<u8>>,
    ) -> Result<ReadBack> {
        let (dataset, format) = self.columns(&datasets)?;
        let (suffix, file_name) = (self.suffix(&format), &self.places.file_name);
        if format!("{file_name}{suffix}").contains('{') {
            return Ok(ReadBack::Impossible("no pattern knows names with a brace".into()));
        }
        let (mut reader, forms) = match self.parameters.back(&dataset.schema)? {
            Ok(back) => back,
            Err(why) => return Ok(ReadBack::Impossible(why)),
        };
        if !receipts.is_empty() && parts_of(&receipts)?.is_empty() && !self.wants_empty() {
            return Ok(ReadBack::Nothing);
        }
        let name = format!("{}-{}-*.{}", literal(file_name), run.id, literal(&suffix));
        let folder = self.places.path.trim_end_matches('/');
        reader.insert("path".to_owned(), json!([format!("{folder}/{name}")]));
        let parameter = serde_json::Value::Object(reader).to_string();
        Ok(ReadBack::By(Back { parameter, forms, replaces_by: Vec::new() }))
    }

    fn finish(&mut self, run: &Run, outcome: Outcome, receipts: Vec<Vec<u8>>) -> Result<()> {
        if let Outcome::Succeeded = outcome {
            let suffix = match &self.places.suffix {
                Some(suffix) => suffix.trim_start_matches('.').to_owned(),
                None => self.parameters.suffix()?,
            };
            self.publish_all(run, &receipts, &suffix)?;
        }
        let staging = self.staging(&run.id);
        match fs::remove_dir_all(&staging) {
            Err(error) if !disk::is_missing(&error) => Err(disk::fault("remove", &staging, &error)),
            _ if fs::metadata(self.folder()).is_ok() => disk::sync_folder(self.folder()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::run_of;

    #[test]
    fn only_names_of_the_own_pattern_have_a_run() {
        let table = [
            ("orders-20251101a1-0-0.csv", Some("20251101a1")),
            ("orders-x-12-3.csv", Some("x")),
            ("orders-2024-x-12-3.csv", None),
            ("orders.csv", None),
            ("orders-x-1.csv", None),
            ("orders-x-1-a.csv", None),
            ("orders-X-1-1.csv", None),
            ("orders-x-1-1.csv.gz", None),
            ("orders-x-1-1.parquet", None),
            ("my-orders-x-1-1.csv", None),
        ];
        for (name, run) in table {
            assert_eq!(run_of(name, "orders", "csv"), run, "{name}");
        }
    }
}
