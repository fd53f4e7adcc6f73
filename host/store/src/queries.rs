//! What people ask of the books.

use domain::port::{Dirty, DirtyRecord, DirtyStage};
use domain::run::RunState;
use domain::{Epoch, Fault, Result, RunId, TaskIndex};
use rusqlite::{Row, params};

use crate::fault::Trouble;
use crate::rows;
use crate::sqlite::{SqliteStore, collect, fault, state};

/// A run as a list shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct RunEntry {
    pub id: RunId,
    pub document: String,
    pub created_ms: i64,
    pub state: RunState,
    pub epoch: Epoch,
    pub fault: Option<Fault>,
}

/// A change of a run's state, and its cause.
#[derive(Clone, Debug, PartialEq)]
pub struct EventEntry {
    /// Milliseconds since 1970.
    pub at_ms: i64,
    pub event: String,
    /// After the event.
    pub state: RunState,
    pub epoch: Epoch,
    pub fault: Option<Fault>,
}

/// A dirty record, and the task and mark that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirtyEntry {
    pub task: TaskIndex,
    pub sequence: u64,
    /// Tells it from the others of its mark.
    pub number: u64,
    pub dirty: Dirty,
    /// The run that wrote it since.
    pub replayed_by: Option<RunId>,
}

/// Which dirty records of a run are asked for; all where nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirtyFilter {
    pub task: Option<TaskIndex>,
    pub code: Option<String>,
}

/// Attempts of a run whose reports are kept, the newest.
const REPORTS_MAX: u32 = 20;

/// Dirty records of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirtyReason {
    pub stage: DirtyStage,
    pub code: String,
    pub column: Option<String>,
    /// Of the first such record, in the order of [`SqliteStore::dirty`].
    pub message: String,
    pub origin: Option<String>,
    pub records: u64,
    /// Those of them that a replay wrote since.
    pub replayed: u64,
}

impl SqliteStore {
    /// The newest runs first.
    pub async fn runs(&self, limit: u32) -> Result<Vec<RunEntry>> {
        const SQL: &str = "SELECT id, document, created_ms, state, epoch, fault FROM run
             ORDER BY created_ms DESC, rowid DESC LIMIT ?1";
        self.worker.call(move |books| collect(books, SQL, params![limit], run_entry)).await
    }

    /// Keeps what the newest attempt of a run tells of itself, in place of what it told before.
    pub async fn save_report(&self, run: &RunId, report: String) -> Result<()> {
        const SAVE: &str = "INSERT INTO report (run, epoch, report)
             SELECT id, epoch, ?2 FROM run WHERE id = ?1
             ON CONFLICT (run, epoch) DO UPDATE SET report = excluded.report";
        const FORGET: &str = "DELETE FROM report WHERE run = ?1 AND epoch <=
             (SELECT epoch FROM run WHERE id = ?1) - ?2";
        let run = run.clone();
        self.transact(move |books| {
            books.execute(SAVE, params![run.0, report])?;
            books.execute(FORGET, params![run.0, REPORTS_MAX])?;
            Ok(())
        })
        .await
    }

    /// What the attempts of a run told, the newest last.
    pub async fn reports(&self, run: &RunId) -> Result<Vec<String>> {
        const SQL: &str = "SELECT report FROM report WHERE run = ?1 ORDER BY epoch";
        let run = run.clone();
        let read = |row: &Row<'_>| Ok(row.get("report")?);
        self.worker.call(move |books| collect(books, SQL, params![run.0], read)).await
    }

    /// What happened to a run, from the beginning.
    pub async fn events(&self, run: &RunId) -> Result<Vec<EventEntry>> {
        const SQL: &str =
            "SELECT at_ms, event, state, epoch, fault FROM event WHERE run = ?1 ORDER BY number";
        let run = run.clone();
        self.worker.call(move |books| collect(books, SQL, params![run.0], event_entry)).await
    }

    /// At most `limit` dirty records of a run, task by task in the order of the source: the first
    /// ones, or those behind `after`.
    pub async fn dirty(
        &self,
        run: &RunId,
        filter: &DirtyFilter,
        after: Option<&DirtyEntry>,
        limit: u32,
    ) -> Result<Vec<DirtyEntry>> {
        const SQL: &str = "SELECT task, sequence, number, stage, code, message, dataset, field,
                plugin, origin, position, raw, named, replayed_by
             FROM dirty WHERE run = ?1 AND (?2 IS NULL OR task = ?2) AND (?3 IS NULL OR code = ?3)
                AND (task, sequence, number) > (?4, ?5, ?6)
             ORDER BY task, sequence, number LIMIT ?7";
        let (run, filter) = (run.clone(), filter.clone());
        let (task, sequence, number) = match after {
            Some(entry) => {
                (i64::from(entry.task), rows::signed(entry.sequence)?, rows::signed(entry.number)?)
            }
            None => (-1, -1, -1),
        };
        self.worker
            .call(move |books| {
                let values =
                    params![run.0, filter.task, filter.code, task, sequence, number, limit];
                collect(books, SQL, values, dirty_entry)
            })
            .await
    }

    /// Counts the dirty records of a run by stage, code and column: the first `limit` reasons.
    pub async fn dirty_reasons(&self, run: &RunId, limit: u32) -> Result<Vec<DirtyReason>> {
        // Beside `min`, SQLite answers the other columns of the row that has it.
        const SQL: &str = "SELECT stage, code, field, message, origin, count(*) AS records, count(replayed_by) AS replayed,
                min(printf('%010d %019d %019d', task, sequence, number)) AS first
             FROM dirty WHERE run = ?1
             GROUP BY stage, code, field ORDER BY first LIMIT ?2";
        let run = run.clone();
        self.worker
            .call(move |books| collect(books, SQL, params![run.0, limit], dirty_reason))
            .await
    }

    /// Dirty records of a run; those that were loaded with a changed value are counted too.
    pub async fn dirty_count(&self, run: &RunId, filter: &DirtyFilter) -> Result<u64> {
        const SQL: &str = "SELECT count(*) FROM dirty
             WHERE run = ?1 AND (?2 IS NULL OR task = ?2) AND (?3 IS NULL OR code = ?3)";
        let (run, filter) = (run.clone(), filter.clone());
        self.worker
            .call(move |books| {
                let values = params![run.0, filter.task, filter.code];
                let count: i64 = books.query_row(SQL, values, |row| row.get(0))?;
                Ok(rows::unsigned(count)?)
            })
            .await
    }
}

fn dirty_stage(row: &Row<'_>) -> Result<DirtyStage, Trouble> {
    let word: String = row.get("stage")?;
    DirtyStage::parse(&word).ok_or_else(|| rows::unreadable(&format!("stage \"{word}\"")).into())
}

fn dirty_reason(row: &Row<'_>) -> Result<DirtyReason, Trouble> {
    Ok(DirtyReason {
        stage: dirty_stage(row)?,
        code: row.get("code")?,
        column: row.get("field")?,
        message: row.get("message")?,
        origin: row.get("origin")?,
        records: rows::unsigned(row.get("records")?)?,
        replayed: rows::unsigned(row.get("replayed")?)?,
    })
}

pub(crate) fn dirty_entry(row: &Row<'_>) -> Result<DirtyEntry, Trouble> {
    let raw: Option<Vec<u8>> = row.get("raw")?;
    let named: Option<String> = row.get("named")?;
    let record = match (raw, named) {
        (Some(bytes), _) => DirtyRecord::Raw(bytes),
        (None, Some(json)) => DirtyRecord::Values(rows::from_json(&json)?),
        (None, None) => return Err(rows::unreadable("a dirty record without its content").into()),
    };
    Ok(DirtyEntry {
        task: row.get("task")?,
        sequence: rows::unsigned(row.get("sequence")?)?,
        number: rows::unsigned(row.get("number")?)?,
        dirty: Dirty {
            stage: dirty_stage(row)?,
            code: row.get("code")?,
            message: row.get("message")?,
            dataset: row.get("dataset")?,
            column: row.get("field")?,
            plugin: row.get("plugin")?,
            origin: row.get("origin")?,
            position: row.get::<_, Option<i64>>("position")?.map(rows::unsigned).transpose()?,
            record,
        },
        replayed_by: row.get::<_, Option<String>>("replayed_by")?.map(RunId),
    })
}

fn run_entry(row: &Row<'_>) -> Result<RunEntry, Trouble> {
    Ok(RunEntry {
        id: RunId(row.get("id")?),
        document: row.get("document")?,
        created_ms: row.get("created_ms")?,
        state: state(row)?,
        epoch: rows::unsigned(row.get("epoch")?)?,
        fault: fault(row)?,
    })
}

fn event_entry(row: &Row<'_>) -> Result<EventEntry, Trouble> {
    Ok(EventEntry {
        at_ms: row.get("at_ms")?,
        event: row.get("event")?,
        state: state(row)?,
        epoch: rows::unsigned(row.get("epoch")?)?,
        fault: fault(row)?,
    })
}
