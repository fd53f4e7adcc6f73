//! Files of the granted folders, and what can go wrong with them.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use formats::{Input, Output};
use sdk::{Fault, Result};
use serde::{Deserialize, Serialize};

/// A fault of the file system, `what` being what was tried: `open`, `write`.
pub(crate) fn fault(what: &str, path: &str, error: &io::Error) -> Fault {
    let (code, reason, hint) = match kind(error) {
        ErrorKind::NotFound => ("file.not_found", "there is no such file", "check the path"),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => (
            "file.permission",
            "permission is denied",
            "check the rights of the user that runs the job",
        ),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            ("file.disk_full", "the disk is full", "make room, then resume the run")
        }
        // What a stream of WASI could not write it calls an error of input or output, whatever it was.
        _ if cfg!(target_os = "wasi") && what == "write" => {
            ("file.write_failed", "the disk is full or broken", "make room, then resume the run")
        }
        _ => {
            let message = format!("can't {what} \"{path}\": {error}");
            return Fault::external("file.failed", message);
        }
    };
    Fault::external(code, format!("can't {what} \"{path}\": {reason}")).hint(hint)
}

/// The standard library does not know all error numbers of WASI.
fn kind(error: &io::Error) -> ErrorKind {
    if cfg!(target_os = "wasi") {
        match error.raw_os_error() {
            Some(51) => return ErrorKind::StorageFull,
            Some(19) => return ErrorKind::QuotaExceeded,
            Some(2 | 63 | 76) => return ErrorKind::PermissionDenied,
            Some(69) => return ErrorKind::ReadOnlyFilesystem,
            _ => {}
        }
    }
    error.kind()
}

pub(crate) fn is_missing(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound
}

/// A file that is read.
pub(crate) struct DiskInput {
    path: String,
    open: Mutex<Open>,
    /// As it was when the file was opened.
    pub(crate) state: State,
}

struct Open {
    file: File,
    /// Where the next read begins, if that is known. To seek would end the host's stream, which reads ahead.
    at: Option<u64>,
}

impl Open {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at.take() != Some(offset) {
            self.file.seek(SeekFrom::Start(offset))?;
        }
        loop {
            match self.file.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => {
                    let read = read?;
                    self.at = Some(offset + read as u64);
                    return Ok(read);
                }
            }
        }
    }
}

/// What shows that a file was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Bytes.
    pub(crate) len: u64,
    /// When it was changed last, ms since 1970; 0 where the file system does not say.
    pub(crate) changed_ms: u64,
}

impl State {
    fn of(metadata: &Metadata) -> Self {
        let changed = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let changed_ms = changed.map_or(0, |since| since.as_millis() as u64);
        Self { len: metadata.len(), changed_ms }
    }
}

impl DiskInput {
    pub(crate) fn open(path: &str) -> Result<Self> {
        let wrong = |error: io::Error| fault("open", path, &error);
        let file = File::open(path).map_err(wrong)?;
        let metadata = file.metadata().map_err(wrong)?;
        if metadata.is_dir() {
            let message = format!("\"{path}\" is a folder");
            return Err(Fault::external("file.is_folder", message));
        }
        let state = State::of(&metadata);
        let open = Mutex::new(Open { file, at: None });
        Ok(Self { path: path.to_owned(), open, state })
    }

    /// # Errors
    /// `file.changed`, where the file is not as it was at `state`.
    pub(crate) fn check(&self, state: State) -> Result<()> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let metadata = open.file.metadata().map_err(|error| fault("open", &self.path, &error))?;
        if State::of(&metadata) == state { Ok(()) } else { Err(formats::changed(&self.path)) }
    }
}

impl Input for DiskInput {
    fn label(&self) -> &str {
        &self.path
    }

    fn len(&self) -> u64 {
        self.state.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        // Nothing that holds the lock can leave the file in a state of its own.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.read_at(offset, buffer).map_err(|error| fault("read", &self.path, &error))
    }
}

/// A file that is written.
pub(crate) struct DiskOutput {
    path: String,
    file: File,
}

impl DiskOutput {
    /// A new file, in place of one with this name.
    pub(crate) fn create(path: &str) -> Result<Self> {
        let file = File::create(path).map_err(|error| fault("create", path, &error))?;
        Ok(Self { path: path.to_owned(), file })
    }
}

impl Output for DiskOutput {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|error| fault("write", &self.path, &error))
    }

    fn sync(&mut self) -> Result<()> {
        self.file.sync_all().map_err(|error| fault("sync", &self.path, &error))
    }
}

/// Names made or removed in a folder are durable on return.
pub(crate) fn sync_folder(path: &str) -> Result<()> {
    let wrong = |error: io::Error| fault("sync", path, &error);
    File::open(path).map_err(wrong)?.sync_all().map_err(wrong)
}

/// Writes a small file at once: whole and durable, or not at all.
pub(crate) fn write_whole(folder: &str, name: &str, bytes: &[u8]) -> Result<()> {
    let path = format!("{folder}/{name}");
    let draft = format!("{path}.tmp");
    let mut output = DiskOutput::create(&draft)?;
    output.write(bytes)?;
    output.sync()?;
    fs::rename(&draft, &path).map_err(|error| fault("rename", &draft, &error))?;
    sync_folder(folder)
}

/// Cuts a file to `len` bytes where it is longer; durable on return.
///
/// # Errors
/// `file.part_damaged`, where it is shorter.
pub(crate) fn cut(path: &str, len: u64) -> Result<()> {
    let wrong = |error: io::Error| fault("open", path, &error);
    let file = OpenOptions::new().write(true).open(path).map_err(wrong)?;
    let there = file.metadata().map_err(wrong)?.len();
    if there < len {
        let message = format!("\"{path}\" has {there} bytes, and {len} were written");
        return Err(Fault::external("file.part_damaged", message)
            .hint("somebody changed the staged files: start a new run"));
    }
    if there > len {
        file.set_len(len).map_err(|error| fault("cut", path, &error))?;
        file.sync_all().map_err(|error| fault("sync", path, &error))?;
    }
    Ok(())
}

/// How often a folder is listed anew because a file went away meanwhile: other lanes rename theirs.
const LISTINGS_MAX: u32 = 1000;

/// The names in a folder; none where it is absent.
pub(crate) fn names(folder: &str) -> Result<Vec<String>> {
    let mut listed = try_names(folder);
    for _ in 1..LISTINGS_MAX {
        match &listed {
            Err(error) if is_missing(error) => listed = try_names(folder),
            _ => break,
        }
    }
    let mut names = listed.map_err(|error| fault("list", folder, &error))?;
    names.sort();
    Ok(names)
}

fn try_names(folder: &str) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if is_missing(&error) => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        // A name that is not UTF-8 can't be named in a document either.
        names.extend(entry?.file_name().into_string());
    }
    Ok(names)
}
