//! The file, its tables, and how older files become newer ones.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::Result;
use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use crate::fault::{self, Trouble};

/// Under the state folder.
const FILE_NAME: &str = "runs.sqlite";

/// How long a call waits for another process that writes. A transaction here takes milliseconds, a
/// checkpoint of the log on a slow disk seconds.
const BUSY_WAIT: Duration = Duration::from_secs(10);

/// Tries to switch a new file to its log, which does not wait for others by itself.
const LOG_TRIES: u32 = 50;
const LOG_PAUSE: Duration = Duration::from_millis(20);

/// Each entry brings a file from the format of its index to the next (`PRAGMA user_version`). Entries
/// are never changed after a release, only added.
const MIGRATIONS: [&str; 6] = [
    "
    CREATE TABLE run (
        id          TEXT PRIMARY KEY,
        document    TEXT NOT NULL,
        text        TEXT NOT NULL,
        parameters  TEXT NOT NULL,
        created_ms  INTEGER NOT NULL,
        state       TEXT NOT NULL,
        epoch       INTEGER NOT NULL,
        plan        TEXT,     -- JSON
        plan_start  BLOB,
        prepared    TEXT,     -- JSON
        splits_next BLOB,
        splits_last INTEGER,
        fault       TEXT      -- JSON
    ) STRICT;
    CREATE INDEX run_by_document ON run (document, created_ms);

    -- Every change of a run's state and its cause.
    CREATE TABLE event (
        run    TEXT NOT NULL REFERENCES run,
        number INTEGER NOT NULL,
        at_ms  INTEGER NOT NULL,
        event  TEXT NOT NULL,
        state  TEXT NOT NULL, -- after the event
        epoch  INTEGER NOT NULL,
        fault  TEXT,          -- JSON
        PRIMARY KEY (run, number)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE task (
        run            TEXT NOT NULL REFERENCES run,
        number         INTEGER NOT NULL,
        token          BLOB NOT NULL,
        label          TEXT NOT NULL,
        stage          INTEGER NOT NULL,
        rows_estimate  INTEGER,
        bytes_estimate INTEGER,
        epoch          INTEGER NOT NULL,
        mark           BLOB,  -- Mark::encode
        counts         TEXT,  -- JSON; set when the task is done
        receipt        BLOB,
        bookmark       BLOB,
        PRIMARY KEY (run, number)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE dirty (
        number     INTEGER PRIMARY KEY,
        run        TEXT NOT NULL REFERENCES run,
        task       INTEGER NOT NULL,
        sequence   INTEGER NOT NULL, -- of the mark that it belongs to
        stage      TEXT NOT NULL,
        code       TEXT NOT NULL,
        message    TEXT NOT NULL,
        dataset    TEXT NOT NULL,
        field      TEXT,
        plugin     TEXT NOT NULL,
        origin     TEXT,
        raw        BLOB,             -- either this
        named      TEXT              -- or this, JSON
    ) STRICT;
    CREATE INDEX dirty_by_mark ON dirty (run, task, sequence);
    ",
    "
    -- Where the next run of a document goes on.
    CREATE TABLE bookmark (
        document   TEXT NOT NULL,
        number     INTEGER NOT NULL,
        position   BLOB NOT NULL,
        created_ms INTEGER NOT NULL, -- of the run that gave it
        PRIMARY KEY (document, number)
    ) STRICT, WITHOUT ROWID;
    ",
    "
    ALTER TABLE run ADD COLUMN verify TEXT;   -- JSON; what NewRun says
    ALTER TABLE run ADD COLUMN sums BLOB;     -- Sums::encode, of the tasks that are done
    ALTER TABLE run ADD COLUMN verified TEXT; -- JSON

    -- What a task has written up to a mark, from before the destination gets the mark.
    CREATE TABLE sums (
        run      TEXT NOT NULL REFERENCES run,
        task     INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        sums     BLOB NOT NULL, -- Sums::encode
        PRIMARY KEY (run, task, sequence)
    ) STRICT;
    ",
    "
    -- What a run has of each of its sources.
    CREATE TABLE source (
        run         TEXT NOT NULL REFERENCES run,
        number      INTEGER NOT NULL,
        plan        TEXT NOT NULL, -- JSON
        plan_start  BLOB NOT NULL,
        splits_next BLOB NOT NULL,
        splits_last INTEGER NOT NULL,
        PRIMARY KEY (run, number)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO source
        SELECT id, 0, plan, plan_start, coalesce(splits_next, plan_start), coalesce(splits_last, 0)
        FROM run WHERE plan IS NOT NULL;
    ALTER TABLE run DROP COLUMN plan;
    ALTER TABLE run DROP COLUMN plan_start;
    ALTER TABLE run DROP COLUMN splits_next;
    ALTER TABLE run DROP COLUMN splits_last;
    ALTER TABLE task ADD COLUMN source INTEGER NOT NULL DEFAULT 0;
    ",
    "
    ALTER TABLE dirty ADD COLUMN position INTEGER; -- of the record in its task

    -- What an attempt tells of itself: JSON of the front end's own.
    CREATE TABLE report (
        run    TEXT NOT NULL REFERENCES run,
        epoch  INTEGER NOT NULL,
        report TEXT NOT NULL,
        PRIMARY KEY (run, epoch)
    ) STRICT, WITHOUT ROWID;
    ",
    "
    ALTER TABLE dirty ADD COLUMN shape TEXT NOT NULL DEFAULT 'read'; -- whose columns the values are
    UPDATE dirty SET shape = 'written' WHERE stage IN ('write', 'loaded');
    ALTER TABLE dirty ADD COLUMN replayed_by TEXT; -- the run that wrote it

    -- A run that sends dirty records of another again.
    CREATE TABLE replay (
        run        TEXT PRIMARY KEY REFERENCES run,
        of         TEXT NOT NULL REFERENCES run,
        shape      TEXT NOT NULL,
        definition TEXT NOT NULL -- JSON of the front end's own
    ) STRICT;
    CREATE INDEX replay_by_run ON replay (of);

    -- The records that it took, by their position in its only task.
    CREATE TABLE replay_record (
        replay   TEXT NOT NULL REFERENCES replay,
        position INTEGER NOT NULL,
        dirty    INTEGER NOT NULL REFERENCES dirty,
        PRIMARY KEY (replay, position)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX replay_by_record ON replay_record (dirty);
    ",
];

/// Opens the books under `state`; what is missing is made, for its owner alone.
pub(crate) fn open(state: &Path) -> Result<(PathBuf, Connection)> {
    let file = state.join(FILE_NAME);
    make_folder(state)?;
    // SQLite gives its log and index the permissions of the file.
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&file)
        .map_err(|error| fault::of_file(&error, &file))?;
    let connection = connect(&file).map_err(|trouble| trouble.into_fault(&file))?;
    Ok((file, connection))
}

/// Makes a folder that nobody but its owner may look into; one that exists is left as it is.
pub(crate) fn make_folder(folder: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| fault::of_file(&error, folder))
}

fn connect(file: &Path) -> Result<Connection, Trouble> {
    let mut connection = Connection::open(file)?;
    connection.busy_timeout(BUSY_WAIT)?;
    switch_to_log(&connection)?;
    // A commit is on the disk when it answers, also when the power fails just then.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    migrate(&mut connection, file)?;
    Ok(connection)
}

/// A write-ahead log lets people read while a run writes.
fn switch_to_log(connection: &Connection) -> Result<(), Trouble> {
    let mut tries = 0;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && tries < LOG_TRIES =>
            {
                tries += 1;
                std::thread::sleep(LOG_PAUSE);
            }
            answer => return Ok(answer?),
        }
    }
}

fn migrate(connection: &mut Connection, file: &Path) -> Result<(), Trouble> {
    let known = MIGRATIONS.len() as i64;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let done = usize::try_from(version)
        .map_err(|_| fault::corrupt(file, &format!("their format is {version}")))?;
    if done > MIGRATIONS.len() {
        return Err(fault::newer(file, version, known).into());
    }
    for migration in &MIGRATIONS[done..] {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    Ok(())
}
