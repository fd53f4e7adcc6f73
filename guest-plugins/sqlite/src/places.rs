//! The files of a connection: what the plug-in asks for, how they are opened, and what shows that somebody
//! else writes them.
//!
//! A guest can take no locks. A file that is read is opened as one that nobody changes, and its state is
//! compared as long as rows are read. What its write-ahead log holds is read with an index in this guest's
//! own memory. A file that is written must not be open elsewhere.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::time::UNIX_EPOCH;

use rusqlite::{Connection as Database, OpenFlags};
use sdk::{Access, Configuration, Fault, Requirement, Result, Side};
use serde::{Deserialize, Serialize};

use crate::error::{self, VENDOR};
use crate::settings::{Connection, ReaderParameter, WriterParameter};
use crate::sql;

/// Begins each file of SQLite 3.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Begins each file of SQLite 2.
const OLD_MAGIC: &[u8] = b"** This file contains an SQLite 2";
/// Begins a rollback journal that counts.
const JOURNAL_MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
/// The way to the file system that takes no locks.
const NO_LOCKS: &str = "unix-none";
/// Pages of a database that stay in memory, in KiB.
const CACHE_KIB: u32 = 16 << 10;

/// A file of the connection.
#[derive(Clone, Debug)]
struct Place {
    schema: String,
    /// As the user wrote it.
    path: String,
    /// The name under which the host shows it.
    seen_as: String,
}

/// The files of a connection, the main one first.
#[derive(Clone, Debug)]
pub(crate) struct Places(Vec<Place>);

/// The places of a step. Reads all parameters, so that a bad one is found before anything runs.
pub(crate) fn requirements(configuration: &Configuration) -> Result<Vec<Requirement>> {
    let places = Places::of(&Connection::read(configuration)?);
    let access = match configuration.side {
        Side::Reader | Side::Transformer => Access::Read,
        Side::Writer => Access::Write,
    };
    check_parameter(configuration)?;
    let file = |place: &Place| {
        Requirement::File(sdk::File {
            path: place.path.clone(),
            access,
            name: place.seen_as.clone(),
        })
    };
    Ok(places.0.iter().map(file).collect())
}

/// A data source that is looked at by itself has no parameters.
fn check_parameter(configuration: &Configuration) -> Result<()> {
    if configuration.parameter.trim() == "{}" {
        return Ok(());
    }
    match configuration.side {
        Side::Reader => {
            sdk::parameters::parameter::<ReaderParameter>(configuration)?.selection().map(drop)
        }
        Side::Transformer => Ok(()),
        Side::Writer => {
            let parameter: WriterParameter = sdk::parameters::parameter(configuration)?;
            parameter.judge()
        }
    }
}

impl Places {
    pub(crate) fn of(connection: &Connection) -> Self {
        let main = Place {
            schema: "main".to_owned(),
            path: connection.path.clone(),
            seen_as: "main".to_owned(),
        };
        let attached = connection.attach.iter().enumerate().map(|(index, file)| Place {
            schema: file.schema.clone(),
            path: file.path.clone(),
            seen_as: format!("attached_{index}"),
        });
        Self([main].into_iter().chain(attached).collect())
    }

    /// The names of the schemas, in the order in which a bare table is looked for.
    pub(crate) fn schemas(&self) -> Vec<String> {
        self.0.iter().map(|place| place.schema.clone()).collect()
    }

    /// What the main file is called.
    pub(crate) fn title(&self) -> &str {
        self.0.first().map_or("", |place| &place.path)
    }

    /// Opens the files to read, and runs the user's statements for that.
    pub(crate) fn open_to_read(&self, session: &[String]) -> Result<Database> {
        let mut uris = Vec::new();
        for place in &self.0 {
            place.check()?;
            if place.is_half_written()? {
                return Err(half_written(&place.path));
            }
            // An immutable file is read without its log.
            let way = if place.has_log()? { "mode=ro" } else { "immutable=1" };
            uris.push(format!("file:{}?{way}", escaped(&place.guest_path(""))));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        self.open(&uris, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX, session)
    }

    /// Opens the files to write, makes those that are absent, and runs the user's statements for that.
    ///
    /// # Errors
    /// `sqlite.in_use` for a file that another program has open, `sqlite.read_only`.
    pub(crate) fn open_to_write(&self, session: &[String]) -> Result<Database> {
        let mut uris = Vec::new();
        for place in &self.0 {
            match place.check() {
                Err(fault) if fault.code != "sqlite.file_not_found" => return Err(fault),
                _ => {}
            }
            if metadata(&place.guest_path("-shm")).map_err(|error| place.failed(&error))?.is_some()
            {
                let path = &place.path;
                let message =
                    format!("another program has \"{path}\" open, or was killed while it had");
                return Err(VENDOR.external("in_use", message).hint(format!(
                    "end that program; where none is left, tidy up with `sqlite3 {path} 'PRAGMA wal_checkpoint(TRUNCATE)'`"
                )));
            }
            uris.push(format!("file:{}?mode=rwc", escaped(&place.guest_path(""))));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let database = self.open(&uris, flags, session)?;
        for place in &self.0 {
            if database.is_readonly(place.schema.as_str()).map_err(error::fault)? {
                let message = format!("\"{}\" takes no writes", place.path);
                return Err(VENDOR.external("read_only", message).hint(error::READ_ONLY_HINT));
            }
            // A journal that is emptied in place needs no change of the folder to count as gone. A file
            // with a log keeps it.
            let mode = format!("PRAGMA {}.journal_mode", sql::ident(&place.schema));
            let now: String =
                database.query_row(&mode, [], |row| row.get(0)).map_err(error::fault)?;
            if now != "wal" {
                run(&database, &format!("{mode} = TRUNCATE")).map_err(error::fault)?;
            }
        }
        Ok(database)
    }

    /// Whether all files are there.
    pub(crate) fn are_there(&self) -> Result<bool> {
        for place in &self.0 {
            let found = metadata(&place.guest_path(""));
            if found.map_err(|error| place.failed(&error))?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Empty databases in place of the files that are yet to be made, and the others.
    pub(crate) fn stand_in(&self) -> Result<Database> {
        let mut uris = Vec::new();
        for (index, place) in self.0.iter().enumerate() {
            let path = place.guest_path("");
            let found = metadata(&path).map_err(|error| place.failed(&error))?;
            uris.push(match found {
                Some(_) => format!("file:{}?immutable=1", escaped(&path)),
                None => format!("file:absent_{index}?mode=memory"),
            });
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        self.open(&uris, flags, &[])
    }

    /// Takes away what only an open file needs beside it.
    pub(crate) fn tidy(&self, database: &Database) -> Result<()> {
        for place in &self.0 {
            let schema = sql::ident(&place.schema);
            let mode: String = database
                .query_row(&format!("PRAGMA {schema}.journal_mode"), [], |row| row.get(0))
                .map_err(error::fault)?;
            let last = match mode.as_str() {
                "wal" => format!("PRAGMA {schema}.wal_checkpoint(TRUNCATE)"),
                _ => format!("PRAGMA {schema}.journal_mode = DELETE"),
            };
            run(database, &last).map_err(error::fault)?;
        }
        Ok(())
    }

    fn open(&self, uris: &[String], flags: OpenFlags, session: &[String]) -> Result<Database> {
        let open = |uri: &String| Database::open_with_flags_and_vfs(uri, flags, NO_LOCKS);
        let database = open(&uris[0]).map_err(error::fault)?;
        // The index of a write-ahead log then lies in memory, not in a file that others share.
        run(&database, "PRAGMA locking_mode = EXCLUSIVE").map_err(error::fault)?;
        for (place, uri) in self.0.iter().zip(uris).skip(1) {
            let schema = sql::ident(&place.schema);
            run(&database, &format!("ATTACH {} AS {schema}", sql::literal(uri)))
                .map_err(error::fault)?;
        }
        let settings = format!(
            "PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON; PRAGMA synchronous = FULL; \
             PRAGMA cache_size = -{CACHE_KIB}"
        );
        database.execute_batch(&settings).map_err(error::fault)?;
        for place in &self.0 {
            // The first look finds what is no database, or can't be read.
            let first = format!("SELECT count(*) FROM {}.sqlite_schema", sql::ident(&place.schema));
            database.query_row(&first, [], |_| Ok(())).map_err(|error| {
                let fault = error::fault(error);
                Fault { message: format!("\"{}\": {}", place.path, fault.message), ..fault }
            })?;
        }
        for (index, statement) in session.iter().enumerate() {
            run(&database, statement).map_err(error::at(&format!("/parameter/session/{index}")))?;
        }
        Ok(database)
    }

    /// How the files are now.
    pub(crate) fn state(&self) -> Result<State> {
        self.0.iter().map(Place::state).collect::<Result<_>>().map(State)
    }
}

/// Runs statements, whose rows nobody wants.
pub(crate) fn run(database: &Database, statements: &str) -> rusqlite::Result<()> {
    sdk::log::statement(statements, None);
    database.execute_batch(statements)
}

/// What shows that a file was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State(Vec<FileState>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct FileState {
    /// Bytes, and when it was changed last, ms since 1970.
    file: (u64, u64),
    /// SQLite's own count of its changes.
    changes: u32,
    /// As `file`, where there is a write-ahead log.
    log: Option<(u64, u64)>,
}

/// Somebody wrote a file while it was read.
pub(crate) fn changed(path: &str) -> Fault {
    VENDOR
        .external("file_changed", format!("\"{path}\" was written while it was read"))
        .hint("no locks can be taken on it: read it while no program writes it, or a copy (`sqlite3 FILE 'VACUUM INTO ...'`); start a new run")
}

fn half_written(path: &str) -> Fault {
    let message = format!("\"{path}\" is in the middle of a transaction: it has a journal");
    VENDOR.external("half_written", message).hint(format!(
        "let the program that writes it end; where it was killed, `sqlite3 {path} 'SELECT 1 FROM sqlite_schema'` undoes what it left half done"
    ))
}

impl Place {
    /// The path of the file, or of one beside it, as this guest sees it. Tests run natively.
    fn guest_path(&self, end: &str) -> String {
        match cfg!(target_arch = "wasm32") {
            true => format!("/{}{end}", self.seen_as),
            false => format!("{}{end}", self.path),
        }
    }

    /// # Errors
    /// `sqlite.file_not_found`, `sqlite.version_unsupported`, `sqlite.not_a_database`.
    fn check(&self) -> Result<()> {
        let path = &self.path;
        let mut head = Vec::new();
        match File::open(self.guest_path("")) {
            Ok(file) => {
                let read = file.take(OLD_MAGIC.len() as u64).read_to_end(&mut head);
                read.map_err(|error| self.failed(&error))?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let message = format!("there is no file \"{path}\"");
                return Err(VENDOR.external("file_not_found", message).hint("check the path"));
            }
            Err(error) => return Err(self.failed(&error)),
        }
        if head.is_empty() || head.starts_with(MAGIC) {
            return Ok(());
        }
        if head == OLD_MAGIC {
            let message = format!("\"{path}\" is a file of SQLite 2, which SQLite 3 cannot read");
            return Err(VENDOR
                .external("version_unsupported", message)
                .hint("convert it with `sqlite OLD .dump | sqlite3 NEW`"));
        }
        let message = format!("\"{path}\" is no SQLite database, or it is encrypted");
        Err(VENDOR
            .external("not_a_database", message)
            .hint("check the path; encrypted files cannot be read"))
    }

    fn failed(&self, error: &io::Error) -> Fault {
        VENDOR.external("cannot_open", format!("can't open \"{}\": {error}", self.path))
    }

    /// Whether a journal says that a transaction is open or was broken off.
    fn is_half_written(&self) -> Result<bool> {
        let mut head = Vec::new();
        match File::open(self.guest_path("-journal")) {
            Ok(file) => {
                let read = file.take(JOURNAL_MAGIC.len() as u64).read_to_end(&mut head);
                read.map_err(|error| self.failed(&error))?;
                Ok(head == JOURNAL_MAGIC)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Whether a write-ahead log holds anything.
    fn has_log(&self) -> Result<bool> {
        let found = metadata(&self.guest_path("-wal")).map_err(|error| self.failed(&error))?;
        Ok(found.is_some_and(|found| found.len() > 0))
    }

    fn state(&self) -> Result<FileState> {
        self.look().map_err(|error| self.failed(&error))
    }

    fn look(&self) -> io::Result<FileState> {
        const CHANGES_AT: u64 = 24;
        let path = self.guest_path("");
        let mut changes = [0; 4];
        let mut file = File::open(&path)?;
        file.seek(SeekFrom::Start(CHANGES_AT))?;
        match file.read_exact(&mut changes) {
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => return Err(error),
            _ => {}
        }
        Ok(FileState {
            file: times(&fs::metadata(&path)?),
            changes: u32::from_be_bytes(changes),
            log: metadata(&self.guest_path("-wal"))?.as_ref().map(times),
        })
    }
}

/// Bytes, and when the file was changed last.
fn times(metadata: &Metadata) -> (u64, u64) {
    let changed = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    (metadata.len(), changed.map_or(0, |since| since.as_millis() as u64))
}

/// `None` where there is no such file.
fn metadata(path: &str) -> io::Result<Option<Metadata>> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A path as a part of a URI.
fn escaped(path: &str) -> String {
    path.replace('%', "%25").replace('?', "%3f").replace('#', "%23")
}
