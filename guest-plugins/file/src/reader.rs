//! The reader: files become splits, splits become batches.

use std::sync::Arc;

use formats::parameters::{FileFormat, ReadParameters};
use formats::{FileReader, Input, ReadFormat, Share};
use sdk::{
    Budget, Configuration, Cursor, Dataset, Fault, Plan, Position, Reader, Result, Rows, Split,
    Splits, Step,
};
use serde::{Deserialize, Serialize};

use crate::disk::{self, DiskInput};
use crate::parameters::{self, ReadPlaces};
use crate::places;

/// Bytes that one call may pass over to find the ends of splits, so that the first splits come soon.
const SCAN_BYTES_MAX: u64 = 128 << 20;

/// One session with the files of a job.
pub struct FileSession {
    places: ReadPlaces,
    parameters: ReadParameters,
    /// `["*"]` in a DataX document is all columns as text.
    all_text: bool,
    /// By name; listed once a session.
    files: Option<Vec<String>>,
}

/// The split's own word about itself.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Token {
    file: String,
    /// Bytes and time of change as they were when the split was made.
    len: u64,
    changed_ms: u64,
    share: Share,
}

/// Where the making of splits goes on: behind this share of this file, or with the file behind it.
#[derive(Debug, Serialize, Deserialize)]
struct Next {
    file: String,
    share: Option<Share>,
}

/// A file of the job, open, with how it is read.
struct Opened {
    disk: Arc<DiskInput>,
    input: Arc<dyn Input>,
    format: ReadFormat,
}

fn broken(what: &str) -> Fault {
    Fault::plugin("file.token", format!("the {what} was not made by this version of the plug-in"))
}

fn encoded(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Fault::plugin("file.token", error.to_string()))
}

impl FileSession {
    fn files(&mut self) -> Result<&[String]> {
        if self.files.is_none() {
            self.files = Some(places::files(self.places.path.as_slice())?);
        }
        Ok(self.files.as_deref().unwrap_or_default())
    }

    fn open_file(&self, path: &str) -> Result<Opened> {
        let disk = Arc::new(DiskInput::open(path)?);
        let format = self.parameters.format(path, self.all_text)?;
        Ok(Opened { input: disk.clone(), disk, format })
    }

    /// Fails where files that were named differently would be read by one rule.
    fn check_formats(&self, files: &[String]) -> Result<()> {
        if self.parameters.file_format.is_some() {
            return Ok(());
        }
        let format = |path: &String| FileFormat::by_name(path).unwrap_or(FileFormat::Csv);
        let first = files.first().map(format);
        match files.iter().find(|path| Some(format(path)) != first) {
            None => Ok(()),
            Some(other) => {
                let message = format!(
                    "\"{}\" and \"{other}\" are of different formats",
                    files.first().map(String::as_str).unwrap_or_default()
                );
                Err(Fault::user("file.formats_differ", message)
                    .hint("set \"fileFormat\", or narrow \"path\"")
                    .at("/parameter/path"))
            }
        }
    }

    /// The schema of `files`.
    fn dataset(&self, files: &[String], path: String) -> Result<Dataset> {
        self.check_formats(files)?;
        let Some(first) = files.first() else { return Err(broken("list of files")) };
        let first = self.open_file(first)?;
        let open = |index: usize| -> Result<Arc<dyn Input>> {
            Ok(Arc::new(DiskInput::open(&files[index])?))
        };
        let schema = first.format.schema(files.len(), &open)?;
        let inferred = first.format.infers_types();
        Ok(Dataset {
            path: vec![path],
            schema,
            primary_key: Vec::new(),
            metadata: vec![
                ("files".to_owned(), files.len().to_string()),
                ("inferred".to_owned(), inferred.to_string()),
            ],
        })
    }

    /// The dataset that the whole configuration means.
    pub(crate) fn whole(&mut self) -> Result<Dataset> {
        let written = self.places.path.as_slice().join(" ");
        let files = self.files()?.to_vec();
        self.dataset(&files, written)
    }

    /// The dataset of one of the files.
    pub(crate) fn one(&self, file: &str) -> Result<Dataset> {
        self.dataset(&[file.to_owned()], file.to_owned())
    }

    pub(crate) fn list(&mut self) -> Result<Vec<String>> {
        self.files().map(<[String]>::to_vec)
    }

    fn check_done_file(&self) -> Result<()> {
        let Some(name) = &self.places.mark_done_file_name else { return Ok(()) };
        let written = self.places.path.as_slice().first().map(String::as_str).unwrap_or_default();
        let folder = places::folder_text(written);
        let folder = match std::fs::metadata(folder).is_ok_and(|found| found.is_file()) {
            true => folder.rsplit_once('/').map_or(".", |(folder, _)| folder),
            false => folder,
        };
        let path = format!("{folder}/{name}");
        match std::fs::metadata(&path) {
            Ok(_) => Ok(()),
            Err(error) if disk::is_missing(&error) => {
                let message =
                    format!("\"{path}\" is not there yet, so that the files are not ready");
                Err(Fault::external("file.not_done", message).retry_after(60_000))
            }
            Err(error) => Err(disk::fault("open", &path, &error)),
        }
    }

    fn label(file: &str, share: &Share) -> String {
        match share {
            Share::Whole => file.to_owned(),
            Share::Bytes { start, end, .. } => format!("{file} bytes {start} to {end}"),
            Share::Groups { first, count: 1, .. } => format!("{file} row group {first}"),
            Share::Groups { first, count, .. } => {
                format!("{file} row groups {first} to {}", first + count - 1)
            }
        }
    }

    fn split(opened: &Opened, file: &str, share: &Share) -> Result<Split> {
        let token = Token {
            file: file.to_owned(),
            len: opened.disk.len(),
            changed_ms: opened.disk.changed_ms,
            share: share.clone(),
        };
        let (rows, bytes) = match share {
            Share::Whole => (None, opened.disk.len()),
            Share::Bytes { start, end, .. } => (None, end - start),
            Share::Groups { rows, bytes, .. } => (Some(*rows), *bytes),
        };
        Ok(Split {
            token: encoded(&token)?,
            label: Self::label(file, share),
            stage: 0,
            rows_estimate: rows,
            bytes_estimate: Some(bytes),
        })
    }
}

impl Reader for FileSession {
    type Cursor = FileCursor;

    fn connect(configuration: &Configuration) -> Result<Self> {
        Ok(Self {
            places: ReadPlaces::of(configuration)?,
            parameters: parameters::read_format(configuration)?,
            all_text: configuration.source_type.starts_with("txtfile"),
            files: None,
        })
    }

    fn plan(&mut self, _parallelism: u32, _since: &[Position]) -> Result<Plan> {
        self.check_done_file()?;
        let dataset = self.whole()?;
        Ok(Plan { datasets: vec![dataset], bounded: true, start: Vec::new() })
    }

    fn splits(&mut self, at: &[u8], limit: u32) -> Result<Splits> {
        let mut next: Option<Next> = match at {
            [] => None,
            bytes => Some(serde_json::from_slice(bytes).map_err(|_| broken("place of splits"))?),
        };
        let files = self.files()?.to_vec();
        let mut splits = Vec::new();
        let mut scanned = 0;
        // The files from the one where it goes on.
        let first = next.as_ref().map_or(0, |next| files.partition_point(|file| *file < next.file));
        for file in &files[first..] {
            let after = match &next {
                Some(next) if next.file == *file => match &next.share {
                    Some(share) => Some(share.clone()),
                    None => continue,
                },
                _ => None,
            };
            let opened = self.open_file(file)?;
            for share in opened.format.shares(&opened.input, after)? {
                let share = share?;
                splits.push(Self::split(&opened, file, &share)?);
                if let Share::Bytes { start, end, .. } = &share {
                    scanned += end - start;
                }
                next = Some(Next { file: file.clone(), share: Some(share) });
                if splits.len() >= limit.max(1) as usize || scanned >= SCAN_BYTES_MAX {
                    return Ok(Splits { splits, last: false, next: encoded(&next)? });
                }
            }
            next = Some(Next { file: file.clone(), share: None });
        }
        Ok(Splits { splits, last: true, next: encoded(&next)? })
    }

    fn open(
        &mut self,
        split: Split,
        start: Option<Position>,
        datasets: Vec<Dataset>,
    ) -> Result<FileCursor> {
        let token: Token = serde_json::from_slice(&split.token).map_err(|_| broken("split"))?;
        let dataset = datasets.first().ok_or_else(|| broken("plan"))?;
        let opened = self.open_file(&token.file)?;
        if opened.disk.len() != token.len || opened.disk.changed_ms != token.changed_ms {
            let message = format!("\"{}\" changed after the run had planned it", token.file);
            return Err(Fault::external("file.changed", message).hint("start a new run"));
        }
        let reader =
            opened.format.open(&opened.input, &token.share, &dataset.schema, start.as_deref())?;
        Ok(FileCursor { reader })
    }
}

/// Reads one split.
pub struct FileCursor {
    reader: FileReader,
}

impl Cursor for FileCursor {
    fn next(&mut self, budget: Budget) -> Result<Step> {
        Ok(match self.reader.next(budget)? {
            None => Step::Ended(None),
            Some(chunk) => Step::Rows(Rows {
                batches: chunk.batch.map(sdk::Batch::inserts).into_iter().collect(),
                undecodable: chunk.undecodable,
                position: Some(chunk.position),
                ..Rows::default()
            }),
        })
    }
}
