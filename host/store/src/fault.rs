//! What a database or a file says, as faults that people understand.

use std::io;
use std::path::Path;
use std::time::Duration;

use domain::Fault;
use rusqlite::ErrorCode;

/// Why a job on the database failed: the database itself, or a decision of the domain.
#[derive(Debug)]
pub(crate) enum Trouble {
    Database(rusqlite::Error),
    Fault(Fault),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Trouble {
    pub(crate) fn into_fault(self, file: &Path) -> Fault {
        match self {
            Self::Fault(fault) => fault,
            Self::Database(error) => of_database(&error, file),
        }
    }
}

pub(crate) fn of_database(error: &rusqlite::Error, file: &Path) -> Fault {
    let code = error.sqlite_error_code();
    let name = file.display();
    match code {
        Some(ErrorCode::DiskFull) => disk_full(file),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            let message = format!("another process keeps the books \"{name}\" locked");
            Fault::external("store.locked", message)
                .hint("end the program that holds the file open, then resume the run")
                .retry_after(Duration::ZERO)
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            corrupt(file, &error.to_string())
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            no_access(file, &error.to_string())
        }
        Some(ErrorCode::SystemIoFailure) => {
            let message = format!("the books \"{name}\" cannot be read or written: {error}");
            Fault::external("store.io", message)
                .hint("check the disk and its free space, then resume the run")
        }
        _ => {
            Fault::internal("store.query", format!("the books \"{name}\" refused a query: {error}"))
        }
    }
}

pub(crate) fn of_file(error: &io::Error, file: &Path) -> Fault {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => disk_full(file),
        _ => no_access(file, &error.to_string()),
    }
}

/// What stands in the file is not what this program wrote.
pub(crate) fn corrupt(file: &Path, why: &str) -> Fault {
    let message = format!("the books \"{}\" are damaged: {why}", file.display());
    Fault::external("store.corrupt", message).hint(
        "move the file away, or restore a copy of it; runs in it cannot be resumed without it",
    )
}

pub(crate) fn newer(file: &Path, version: i64, known: i64) -> Fault {
    let message = format!(
        "the books \"{}\" have format {version}, this program knows formats up to {known}",
        file.display()
    );
    Fault::external("store.newer", message)
        .hint("use the newer program that wrote them, or another state folder")
}

fn disk_full(file: &Path) -> Fault {
    let message = format!("no space is left for the books \"{}\"", file.display());
    Fault::external("store.disk_full", message).hint("free some space, then resume the run")
}

fn no_access(file: &Path, why: &str) -> Fault {
    let message = format!("the books \"{}\" cannot be opened for writing: {why}", file.display());
    Fault::external("store.no_access", message)
        .hint("check the owner and the permissions, or choose another state folder")
}
