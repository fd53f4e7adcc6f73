//! Says that a process works on a run: a file lock, which the kernel releases when the process ends,
//! however it ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use domain::{Fault, Result, RunId};

use crate::{fault, schema};

/// A lock's file may vanish between open and lock, because its holder just ended; then once more.
const TRIES: u32 = 8;

/// Held while an attempt is at work; released by drop, or by the kernel when the process dies.
#[derive(Debug)]
pub struct RunLock {
    path: PathBuf,
    /// Open for as long as the lock is held.
    _file: File,
}

impl RunLock {
    /// Takes the lock of `run` under the `state` folder.
    ///
    /// # Errors
    /// `run.still_alive`, domain user, where another attempt holds it; `run.bad_id` for an id that no
    /// run can have; those of the file system.
    pub fn take(state: &Path, run: &RunId) -> Result<Self> {
        let well_formed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if run.0.is_empty() || !run.0.bytes().all(well_formed) {
            return Err(Fault::user("run.bad_id", format!("\"{run}\" cannot be the id of a run"))
                .hint("ids have lower case letters, digits and \"-\" only"));
        }
        let folder = state.join("locks");
        schema::make_folder(&folder)?;
        let path = folder.join(format!("{run}.lock"));
        for _ in 0..TRIES {
            if let Some(file) = try_once(&path, run)? {
                return Ok(Self { path, _file: file });
            }
        }
        Err(still_alive(run, None))
    }
}

impl Drop for RunLock {
    /// The file goes first: whoever opened it before sees, once it has the lock, that it is gone.
    fn drop(&mut self) {
        // What cannot be removed is left; it is locked by nobody and does no harm.
        drop(fs::remove_file(&self.path));
    }
}

/// `None` where the file was removed in the meantime.
fn try_once(path: &Path, run: &RunId) -> Result<Option<File>> {
    let refused = |error: std::io::Error| fault::of_file(&error, path);
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(refused)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(still_alive(run, read_process(&mut file))),
        Err(TryLockError::Error(error)) => return Err(refused(error)),
    }
    let held = file.metadata().map_err(refused)?;
    match fs::metadata(path) {
        Ok(named) if (named.dev(), named.ino()) == (held.dev(), held.ino()) => {}
        _ => return Ok(None),
    }
    write_process(&mut file).map_err(refused)?;
    Ok(Some(file))
}

/// For the message only: the lock counts, not the number.
fn write_process(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    write!(file, "{}", std::process::id())
}

fn read_process(file: &mut File) -> Option<u32> {
    const DIGITS_MAX: u64 = 10;
    let mut text = String::new();
    file.take(DIGITS_MAX).read_to_string(&mut text).ok()?;
    text.parse().ok()
}

fn still_alive(run: &RunId, process: Option<u32>) -> Fault {
    let who = process.map(|id| format!(" (process {id})")).unwrap_or_default();
    Fault::user("run.still_alive", format!("run \"{run}\" is still at work{who}"))
        .hint("wait until it ends, or stop it, and then resume the run")
}
