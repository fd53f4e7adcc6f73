//! Runs that send the dirty records of another run again: which records each of them took, and what
//! became of those.

use domain::port::{CommitMode, Dirty, DirtyStage, NewRun, RunRecord, TaskRecord};
use domain::run::RunState;
use domain::{Result, RunId};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::fault::Trouble;
use crate::queries::{DirtyEntry, DirtyFilter, dirty_entry};
use crate::rows;
use crate::sqlite::{SqliteStore, collect, insert_run};

/// Whose columns the values of a dirty record are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    /// As the source has them.
    Read,
    /// As the destination has them.
    Written,
}

impl Shape {
    pub const ALL: [Self; 2] = [Self::Read, Self::Written];

    /// Of what was told at a stage.
    pub(crate) fn of(stage: DirtyStage) -> Self {
        match stage {
            DirtyStage::Read | DirtyStage::Transform | DirtyStage::Cast => Self::Read,
            DirtyStage::Write | DirtyStage::Loaded => Self::Written,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Written => "written",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|shape| shape.word() == word)
    }
}

/// A run that sends dirty records again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    pub run: RunId,
    /// Whose dirty records they are.
    pub of: RunId,
    pub shape: Shape,
    /// How they are sent: JSON of the front end's own.
    pub definition: String,
    /// How many it took.
    pub records: u64,
}

/// The dirty records of a run by what a replay can do with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Dirty still, with their values.
    pub dirty: u64,
    /// Dirty still, and bytes that no reader could decode.
    pub raw: u64,
    /// Written by a replay.
    pub replayed: u64,
    /// Loaded with a change: they are at the destination.
    pub loaded: u64,
}

impl SqliteStore {
    /// Writes down a new run that sends the dirty records `dirty` again, in this order.
    ///
    /// # Errors
    /// Those of the books.
    pub async fn record_replay(
        &self,
        new: &NewRun,
        replay: &Replay,
        dirty: Vec<u64>,
    ) -> Result<()> {
        let (record, replay) = (RunRecord::new(new.clone()), replay.clone());
        self.transact(move |books| {
            insert_run(books, &record)?;
            let run = &record.new.id.0;
            books.execute(
                "INSERT INTO replay (run, of, shape, definition) VALUES (?1, ?2, ?3, ?4)",
                params![run, replay.of.0, replay.shape.word(), replay.definition],
            )?;
            let mut insert = books.prepare_cached(
                "INSERT INTO replay_record (replay, position, dirty) VALUES (?1, ?2, ?3)",
            )?;
            for (position, number) in (0_i64..).zip(&dirty) {
                insert.execute(params![run, position, rows::signed(*number)?])?;
            }
            Ok(())
        })
        .await
    }

    /// The replay that `run` is, where it is one.
    pub async fn replay(&self, run: &RunId) -> Result<Option<Replay>> {
        let (run, sql) = (run.clone(), format!("{REPLAY_SQL} WHERE replay.run = ?1"));
        let found = self.worker.call(move |books| collect(books, &sql, params![run.0], replay));
        Ok(found.await?.pop())
    }

    /// The replay of `of` that has not ended.
    pub async fn unfinished_replay(&self, of: &RunId) -> Result<Option<Replay>> {
        let sql = format!(
            "{REPLAY_SQL} JOIN run ON run.id = replay.run
             WHERE replay.of = ?1 AND run.state NOT IN (?2, ?3) ORDER BY run.rowid LIMIT 1"
        );
        let (of, ended) = (of.clone(), [RunState::Succeeded.word(), RunState::Failed.word()]);
        let values = move |books: &mut Connection| {
            collect(books, &sql, params![of.0, ended[0], ended[1]], replay)
        };
        Ok(self.worker.call(values).await?.pop())
    }

    /// At most `limit` records that a replay took, from `position` on.
    pub async fn replay_records(
        &self,
        replay: &RunId,
        position: u64,
        limit: u32,
    ) -> Result<Vec<Dirty>> {
        const SQL: &str = "SELECT dirty.* FROM replay_record
                 JOIN dirty ON dirty.number = replay_record.dirty
             WHERE replay_record.replay = ?1 AND replay_record.position >= ?2
             ORDER BY replay_record.position LIMIT ?3";
        let (replay, position) = (replay.clone(), rows::signed(position)?);
        let entries = self.worker.call(move |books| {
            collect(books, SQL, params![replay.0, position, limit], dirty_entry)
        });
        Ok(entries.await?.into_iter().map(|entry| entry.dirty).collect())
    }

    /// At most `limit` records that a replay can take and that none has written, in the order in which
    /// they came, behind the one of the number `after`.
    pub async fn replayable(
        &self,
        run: &RunId,
        shape: Shape,
        filter: &DirtyFilter,
        after: u64,
        limit: u32,
    ) -> Result<Vec<DirtyEntry>> {
        const SQL: &str = "SELECT * FROM dirty
             WHERE run = ?1 AND shape = ?2 AND replayed_by IS NULL AND named IS NOT NULL
                AND stage <> ?3 AND (?4 IS NULL OR task = ?4) AND (?5 IS NULL OR code = ?5)
                AND number > ?6
             ORDER BY number LIMIT ?7";
        let (run, filter, after) = (run.clone(), filter.clone(), rows::signed(after)?);
        let loaded = DirtyStage::Loaded.word();
        self.worker
            .call(move |books| {
                let DirtyFilter { task, code } = filter;
                let values = params![run.0, shape.word(), loaded, task, code, after, limit];
                collect(books, SQL, values, dirty_entry)
            })
            .await
    }

    /// How the dirty records of a run stand.
    pub async fn standing(&self, run: &RunId) -> Result<Standing> {
        const SQL: &str = "SELECT
                count(*) FILTER (WHERE stage = ?2) AS loaded,
                count(replayed_by) AS replayed,
                count(*) FILTER (WHERE stage <> ?2 AND replayed_by IS NULL AND named IS NULL) AS raw,
                count(*) FILTER (WHERE stage <> ?2 AND replayed_by IS NULL AND named IS NOT NULL) AS dirty
             FROM dirty WHERE run = ?1";
        let (run, loaded) = (run.clone(), DirtyStage::Loaded.word());
        let read = |row: &Row<'_>| {
            Ok(Standing {
                dirty: rows::unsigned(row.get("dirty")?)?,
                raw: rows::unsigned(row.get("raw")?)?,
                replayed: rows::unsigned(row.get("replayed")?)?,
                loaded: rows::unsigned(row.get("loaded")?)?,
            })
        };
        let found =
            self.worker.call(move |books| collect(books, SQL, params![run.0, loaded], read));
        Ok(found.await?.pop().unwrap_or_default())
    }

    /// How many records `replay` has written.
    pub async fn replayed_by(&self, replay: &RunId) -> Result<u64> {
        const SQL: &str = "SELECT count(*) FROM replay_record
                 JOIN dirty ON dirty.number = replay_record.dirty
             WHERE replay_record.replay = ?1 AND dirty.replayed_by = ?1";
        let replay = replay.clone();
        self.worker
            .call(move |books| {
                let count: i64 = books.query_row(SQL, params![replay.0], |row| row.get(0))?;
                Ok(rows::unsigned(count)?)
            })
            .await
    }
}

const REPLAY_SQL: &str = "SELECT replay.run, replay.of, replay.shape, replay.definition,
        (SELECT count(*) FROM replay_record WHERE replay_record.replay = replay.run) AS records
     FROM replay";

fn replay(row: &Row<'_>) -> Result<Replay, Trouble> {
    let word: String = row.get("shape")?;
    let shape = Shape::parse(&word);
    Ok(Replay {
        run: RunId(row.get("run")?),
        of: RunId(row.get("of")?),
        shape: shape.ok_or_else(|| rows::unreadable(&format!("shape \"{word}\"")))?,
        definition: row.get("definition")?,
        records: rows::unsigned(row.get("records")?)?,
    })
}

/// How many of its records a run that has ended brought to its destination, or found dirty: all where
/// it succeeded; else what its mark covers, unless its commit mode publishes at the end alone.
fn covered(record: &RunRecord, tasks: &[TaskRecord]) -> u64 {
    let is_staged = |mode| matches!(mode, CommitMode::Staged | CommitMode::BrokerTransaction);
    let staged = record.prepared.as_ref().is_none_or(|prepared| is_staged(prepared.commit_mode));
    if record.state != RunState::Succeeded && staged {
        return 0;
    }
    let counts = tasks.iter().map(|task| match (&task.done, &task.mark) {
        (Some(done), _) => done.counts.records_read,
        (None, Some(mark)) => mark.counts.records_read,
        (None, None) => 0,
    });
    counts.sum()
}

/// Brings what became of a replay that has ended to the records that it took, in the transaction that
/// ends it: nothing can come between.
pub(crate) fn settle(
    books: &Connection,
    record: &RunRecord,
    tasks: impl FnOnce() -> Result<Vec<TaskRecord>, Trouble>,
) -> Result<(), Trouble> {
    // The records keep their values and their shape, whatever becomes of their reason. The order of the
    // tables is said, so that each reason is looked at once.
    const AGAIN: &str = "WITH told AS MATERIALIZED (
             SELECT replay_record.dirty AS number, new.stage, new.code, new.message, new.field
             FROM dirty AS new CROSS JOIN replay_record
             WHERE new.run = ?1 AND new.stage <> ?3
                 AND replay_record.replay = ?1 AND replay_record.position = new.position
                 AND replay_record.position < ?2)
         UPDATE dirty
         SET stage = told.stage, code = told.code, message = told.message, field = told.field
         FROM told WHERE dirty.number = told.number";
    const DONE: &str = "UPDATE dirty SET replayed_by = ?1
         WHERE number IN (
             SELECT dirty FROM replay_record WHERE replay = ?1 AND position < ?2
                 AND position NOT IN (
                     SELECT position FROM dirty
                     WHERE run = ?1 AND stage <> ?3 AND position IS NOT NULL))";
    let run = &record.new.id.0;
    let is_replay = "SELECT 1 FROM replay WHERE run = ?1";
    if books.query_row(is_replay, params![run], |_| Ok(())).optional()?.is_none() {
        return Ok(());
    }
    let covered = rows::signed(covered(record, &tasks()?))?;
    let loaded = DirtyStage::Loaded.word();
    books.execute(AGAIN, params![run, covered, loaded])?;
    books.execute(DONE, params![run, covered, loaded])?;
    Ok(())
}
