//! The reader: files become splits, splits become batches.

use std::sync::Arc;

use formats::parameters::{FileFormat, ReadParameters};
use formats::{FileReader, Input, ReadFormat, Share};
use sdk::{
    Budget, Configuration, Cursor, Dataset, Fault, Plan, Position, Reader, Result, Rows, Split,
    Splits, Step,
};
use serde::{Deserialize, Serialize};

use crate::disk::{self, DiskInput, State};
use crate::parameters::{self, ReadPlaces};
use crate::places;

/// Bytes that one call may pass over to find the ends of splits, so that the first splits come soon.
const SCAN_BYTES_MAX: u64 = 128 << 20;
/// Where the job does not say how large splits are, each lane gets one of a small table; but no split
/// is smaller than is worth a file of its own.
const SPLIT_BYTES_MIN: u64 = 8 << 20;

/// One session with the files of a job.
pub struct FileSession {
    places: ReadPlaces,
    parameters: ReadParameters,
    /// By name; listed once a session.
    files: Option<Vec<String>>,
}

/// The split's own word about itself.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Token {
    file: String,
    /// As the file was when the split was made.
    state: State,
    share: Share,
}

/// Where the making of splits goes on.
#[derive(Debug, Serialize, Deserialize)]
struct Next {
    /// The files of the plan.
    listing: Listing,
    sizes: Sizes,
    /// `None` at the beginning.
    behind: Option<Behind>,
}

/// How large splits are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Sizes {
    /// As the job says.
    Written,
    /// Not beyond this by much, so that all lanes are busy.
    AtMost(u64),
    /// For one lane: text is not cut, since to find a place to cut it may cost a pass over it.
    OneLane,
}

impl Sizes {
    /// Of a file that is read as `format`.
    fn bytes(self, format: &ReadFormat) -> u64 {
        match self {
            Self::OneLane if format.is_text() => u64::MAX,
            Self::Written | Self::OneLane => format.split_bytes,
            Self::AtMost(bytes) => format.split_bytes.min(bytes),
        }
    }
}

/// Behind this share of this file, or with the file behind it.
#[derive(Debug, Serialize, Deserialize)]
struct Behind {
    file: String,
    state: State,
    share: Option<Share>,
}

/// What tells one list of files from another.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Listing {
    count: usize,
    digest: u64,
}

impl Listing {
    /// FNV-1a of the names: the same in every session and version.
    fn of(files: &[String]) -> Self {
        let names = files.iter().flat_map(|file| file.bytes().chain([0]));
        let digest = names.fold(0xcbf2_9ce4_8422_2325, |digest: u64, byte| {
            (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self { count: files.len(), digest }
    }
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
    /// As the user wrote them.
    pub(crate) fn paths(&self) -> &[String] {
        self.places.paths()
    }

    fn files(&mut self) -> Result<&[String]> {
        if self.files.is_none() {
            let done = self.places.mark_done_file_name.as_deref();
            self.files = Some(places::files(self.places.paths(), done)?);
        }
        Ok(self.files.as_deref().unwrap_or_default())
    }

    fn open_file(&self, path: &str) -> Result<Opened> {
        let disk = Arc::new(DiskInput::open(path)?);
        let format = self.parameters.format(path)?;
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
        let own = first.format.schema(files.len(), &open)?;
        let schema = match &first.format.folders {
            Some(folders) => folders.schema(&own, files)?,
            None => own,
        };
        let inferred = first.format.infers_types();
        let mut metadata = vec![
            ("files".to_owned(), files.len().to_string()),
            ("inferred".to_owned(), inferred.to_string()),
        ];
        let idle = self.idle_keys();
        if !idle.is_empty() {
            metadata.push(("without effect".to_owned(), idle.join(", ")));
        }
        Ok(Dataset { path: vec![path], schema, primary_key: Vec::new(), metadata })
    }

    /// Keys of the document that mean nothing for these files.
    fn idle_keys(&self) -> Vec<&'static str> {
        let name = self.places.paths().first().map(String::as_str).unwrap_or_default();
        [self.places.idle_keys(), self.parameters.idle_keys(name)].concat()
    }

    /// The dataset that the whole configuration means.
    pub(crate) fn whole(&mut self) -> Result<Dataset> {
        let written = self.places.paths().join(" ");
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

    /// The sizes of splits that keep `parallelism` lanes busy.
    fn sizes(&mut self, parallelism: u32) -> Result<Sizes> {
        if self.parameters.split_bytes.is_some() {
            return Ok(Sizes::Written);
        }
        if parallelism <= 1 {
            return Ok(Sizes::OneLane);
        }
        // A file that is gone is told where it is opened.
        let sizes = self.files()?.iter().filter_map(|file| std::fs::metadata(file).ok());
        let total: u64 = sizes.map(|found| found.len()).sum();
        Ok(Sizes::AtMost((total / u64::from(parallelism)).max(SPLIT_BYTES_MIN)))
    }

    fn check_done_file(&self) -> Result<()> {
        let Some(name) = &self.places.mark_done_file_name else { return Ok(()) };
        let written = self.places.paths().first().map(String::as_str).unwrap_or_default();
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
            Share::Entry { name, .. } => format!("{file}/{name}"),
            Share::Bytes { start, end, .. } => format!("{file} bytes {start} to {end}"),
            Share::Batches { first, count: 1, .. } => format!("{file} record batch {first}"),
            Share::Batches { first, count, .. } => {
                format!("{file} record batches {first} to {}", first + count - 1)
            }
            Share::Groups { first, count: 1, .. } => format!("{file} row group {first}"),
            Share::Groups { first, count, .. } => {
                format!("{file} row groups {first} to {}", first + count - 1)
            }
        }
    }

    fn split(opened: &Opened, file: &str, share: &Share) -> Result<Split> {
        let token = Token { file: file.to_owned(), state: opened.disk.state, share: share.clone() };
        let (rows, bytes) = match share {
            Share::Whole => (None, opened.disk.len()),
            Share::Entry { bytes, .. } => (None, *bytes),
            Share::Bytes { start, end, .. } => (None, end - start),
            Share::Groups { rows, bytes, .. } => (Some(*rows), *bytes),
            Share::Batches { bytes, .. } => (None, *bytes),
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
        let places = ReadPlaces::of(configuration)?;
        let parameters = parameters::read_format(configuration, &places)?;
        Ok(Self { places, parameters, files: None })
    }

    fn plan(&mut self, parallelism: u32, _since: &[Position]) -> Result<Plan> {
        self.check_done_file()?;
        let dataset = self.whole()?;
        crate::note_idle(&self.idle_keys());
        let sizes = self.sizes(parallelism)?;
        let next = Next { listing: Listing::of(self.files()?), sizes, behind: None };
        Ok(Plan { datasets: vec![dataset], bounded: true, start: encoded(&next)? })
    }

    fn splits(&mut self, at: &[u8], limit: u32) -> Result<Splits> {
        let Next { listing, sizes, mut behind } =
            serde_json::from_slice(at).map_err(|_| broken("place of splits"))?;
        let files = self.files()?.to_vec();
        if Listing::of(&files) != listing {
            let (before, now) = (listing.count, files.len());
            let message =
                format!("the run had planned {before} files, and now there are {now} or others");
            return Err(Fault::external("file.changed", message).hint("start a new run"));
        }
        let mut splits = Vec::new();
        let mut scanned = 0;
        // The files from the one where it goes on.
        let first = behind.as_ref().map_or(0, |it| files.partition_point(|file| *file < it.file));
        for file in &files[first..] {
            let begun = behind.as_ref().filter(|behind| behind.file == *file);
            if begun.is_some_and(|begun| begun.share.is_none()) {
                continue;
            }
            let mut opened = self.open_file(file)?;
            opened.format.split_bytes = sizes.bytes(&opened.format);
            let state = opened.disk.state;
            if begun.is_some_and(|begun| begun.state != state) {
                return Err(formats::changed(file));
            }
            let after = begun.and_then(|begun| begun.share.clone());
            for share in opened.format.shares(&opened.input, after)? {
                let share = share?;
                splits.push(Self::split(&opened, file, &share)?);
                if let Share::Bytes { start, end, .. } = &share {
                    scanned += end - start;
                }
                behind = Some(Behind { file: file.clone(), state, share: Some(share) });
                if splits.len() >= limit.max(1) as usize || scanned >= SCAN_BYTES_MAX {
                    let next = encoded(&Next { listing, sizes, behind })?;
                    return Ok(Splits { splits, last: false, next });
                }
            }
            behind = Some(Behind { file: file.clone(), state, share: None });
        }
        Ok(Splits { splits, last: true, next: encoded(&Next { listing, sizes, behind })? })
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
        if opened.disk.state != token.state {
            return Err(formats::changed(&token.file));
        }
        let reader =
            opened.format.open(&opened.input, &token.share, &dataset.schema, start.as_deref())?;
        Ok(FileCursor { reader, disk: opened.disk })
    }
}

/// Reads one split.
pub struct FileCursor {
    reader: FileReader,
    disk: Arc<DiskInput>,
}

impl Cursor for FileCursor {
    fn next(&mut self, budget: Budget) -> Result<Step> {
        Ok(match self.reader.next(budget)? {
            None => {
                // What was read may be of before and after a change.
                self.disk.check(self.disk.state)?;
                Step::Ended(None)
            }
            Some(chunk) => Step::Rows(Rows {
                batches: chunk.batch.map(sdk::Batch::inserts).into_iter().collect(),
                undecodable: chunk.undecodable,
                position: Some(chunk.position),
                ..Rows::default()
            }),
        })
    }
}
