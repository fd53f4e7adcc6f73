//! The port `Store` on SQLite.

use std::path::Path;

use domain::port::{
    Dirty, DirtyRecord, Done, NewRun, Plan, Prepared, RunRecord, SourceRecord, Split, Splits,
    Store, TaskRecord,
};
use domain::run::{RunEvent, RunState};
use domain::verify::{Sums, Verified};
use domain::{Epoch, Fault, Mark, Position, Result, RunId, SourceIndex, TaskIndex, books};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, Transaction, params};

use crate::bookmarks;
use crate::fault::Trouble;
use crate::replay::{self, Shape};
use crate::rows::{self, CountsRow, FaultRow, PlanRow, PreparedRow, VerifiedRow};
use crate::schema;
use crate::sums;
use crate::worker::Worker;

/// The books of one user, in one file.
pub struct SqliteStore {
    pub(crate) worker: Worker,
}

impl SqliteStore {
    /// Opens the books under the `state` folder, making both where they are missing.
    ///
    /// # Errors
    /// `store.no_access`, `store.corrupt`, `store.newer`, `store.locked`, `store.disk_full`: domain
    /// external, with the file and what to do.
    pub fn open(state: &Path) -> Result<Self> {
        let (file, connection) = schema::open(state)?;
        Ok(Self { worker: Worker::start(&file, connection)? })
    }

    /// One transaction, durable when it answers; nothing of it happens where `job` fails.
    pub(crate) async fn transact<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Transaction<'_>) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T> {
        self.worker
            .call(move |books| {
                let behavior = rusqlite::TransactionBehavior::Immediate;
                let transaction = books.transaction_with_behavior(behavior)?;
                let answer = job(&transaction)?;
                transaction.commit()?;
                Ok(answer)
            })
            .await
    }
}

impl Store for SqliteStore {
    async fn record(&self, run: &NewRun) -> Result<()> {
        let record = RunRecord::new(run.clone());
        self.transact(move |books| insert_run(books, &record)).await
    }

    async fn load(&self, run: &RunId) -> Result<RunRecord> {
        let run = run.clone();
        self.worker.call(move |books| load_run(books, &run)).await
    }

    async fn newest_unfinished(&self, document: &str) -> Result<Option<RunId>> {
        const SQL: &str = "SELECT id FROM run
             WHERE document = ?1 AND state NOT IN (?2, ?3)
             ORDER BY created_ms DESC, rowid DESC LIMIT 1";
        let document = document.to_owned();
        let ended = [RunState::Succeeded.word(), RunState::Failed.word()];
        self.worker
            .call(move |books| {
                let run = books
                    .query_row(SQL, params![document, ended[0], ended[1]], |row| row.get(0))
                    .optional()?;
                Ok(run.map(RunId))
            })
            .await
    }

    async fn bookmarks(&self, document: &str) -> Result<Vec<Position>> {
        let document = document.to_owned();
        let kept = self.worker.call(move |books| bookmarks::of(books, &document)).await?;
        Ok(kept.into_iter().map(|bookmark| bookmark.position).collect())
    }

    async fn happened(
        &self,
        run: &RunId,
        event: RunEvent,
        cause: Option<&Fault>,
    ) -> Result<RunRecord> {
        let (run, cause) = (run.clone(), cause.cloned());
        self.transact(move |books| {
            let mut record = load_run(books, &run)?;
            record.happen(event, cause.as_ref())?;
            update_state(books, &record)?;
            insert_event(books, &record, event, cause.as_ref())?;
            if record.state == RunState::Succeeded {
                bookmarks::renew(books, &record.new)?;
            }
            if record.state.is_ended() {
                replay::settle(books, &record, || load_tasks(books, &run))?;
            }
            Ok(record)
        })
        .await
    }

    async fn save_plans(&self, run: &RunId, plans: &[Plan]) -> Result<()> {
        let (run, plans) = (run.clone(), plans.to_vec());
        self.transact(move |books| {
            let stored = load_run(books, &run)?.sources;
            match stored.iter().map(|source| &source.plan).eq(&plans) {
                true => Ok(()),
                false if stored.is_empty() => insert_plans(books, &run, &plans),
                false => Err(books::written_once(&run, "plan").into()),
            }
        })
        .await
    }

    async fn save_prepared(&self, run: &RunId, prepared: &Prepared) -> Result<()> {
        let (run, prepared) = (run.clone(), prepared.clone());
        self.transact(move |books| match load_run(books, &run)?.prepared {
            Some(stored) if stored == prepared => Ok(()),
            Some(_) => Err(books::written_once(&run, "prepared answer").into()),
            None => {
                let json = rows::to_json(&PreparedRow::of(&prepared)?)?;
                books
                    .execute("UPDATE run SET prepared = ?2 WHERE id = ?1", params![run.0, json])?;
                Ok(())
            }
        })
        .await
    }

    async fn add_splits(&self, run: &RunId, source: SourceIndex, splits: &Splits) -> Result<()> {
        let (run, splits) = (run.clone(), splits.clone());
        self.transact(move |books| add_splits(books, &run, source, &splits)).await
    }

    async fn tasks(&self, run: &RunId) -> Result<Vec<TaskRecord>> {
        let run = run.clone();
        self.worker.call(move |books| load_tasks(books, &run)).await
    }

    async fn claim(&self, run: &RunId, task: TaskIndex) -> Result<TaskRecord> {
        let run = run.clone();
        self.transact(move |books| {
            let mut record = load_task(books, &run, task)?;
            record.epoch += 1;
            books.execute(
                "UPDATE task SET epoch = ?3 WHERE run = ?1 AND number = ?2",
                params![run.0, task, rows::signed(record.epoch)?],
            )?;
            Ok(record)
        })
        .await
    }

    async fn drop_dirty_behind(
        &self,
        run: &RunId,
        task: TaskIndex,
        epoch: Epoch,
        sequence: u64,
    ) -> Result<()> {
        let run = run.clone();
        self.transact(move |books| {
            load_task(books, &run, task)?.admit(&run, epoch)?;
            books.execute(
                "DELETE FROM dirty WHERE run = ?1 AND task = ?2 AND sequence > ?3",
                params![run.0, task, rows::signed(sequence)?],
            )?;
            Ok(())
        })
        .await
    }

    async fn add_dirty(
        &self,
        run: &RunId,
        task: TaskIndex,
        epoch: Epoch,
        sequence: u64,
        dirty: &[Dirty],
    ) -> Result<()> {
        let (run, dirty) = (run.clone(), dirty.to_vec());
        self.transact(move |books| {
            load_task(books, &run, task)?.admit(&run, epoch)?;
            insert_dirty(books, &run, task, sequence, &dirty)
        })
        .await
    }

    async fn save_sums(
        &self,
        run: &RunId,
        task: TaskIndex,
        epoch: Epoch,
        sequence: u64,
        sums: &Sums,
    ) -> Result<()> {
        let (run, bytes) = (run.clone(), sums.encode());
        self.transact(move |books| {
            load_task(books, &run, task)?.admit(&run, epoch)?;
            sums::save(books, &run, task, sequence, &bytes)
        })
        .await
    }

    async fn task_sums(&self, run: &RunId, task: TaskIndex, sequence: u64) -> Result<Option<Sums>> {
        let run = run.clone();
        self.worker.call(move |books| sums::of_task(books, &run, task, sequence)).await
    }

    async fn run_sums(&self, run: &RunId) -> Result<Sums> {
        let run = run.clone();
        self.worker.call(move |books| sums::of_run(books, &run)).await
    }

    async fn save_verified(&self, run: &RunId, verified: &Verified) -> Result<()> {
        let (run, json) = (run.clone(), rows::to_json(&VerifiedRow::of(verified))?);
        self.transact(move |books| {
            let sql = "UPDATE run SET verified = ?2 WHERE id = ?1";
            match books.execute(sql, params![run.0, json])? {
                0 => Err(books::no_such_run(&run).into()),
                _ => Ok(()),
            }
        })
        .await
    }

    async fn checkpoint(
        &self,
        run: &RunId,
        task: TaskIndex,
        epoch: Epoch,
        mark: &Mark,
    ) -> Result<()> {
        let (run, mark) = (run.clone(), mark.clone());
        self.transact(move |books| {
            let mut record = load_task(books, &run, task)?;
            record.admit(&run, epoch)?;
            if record.checkpoint(&mark) {
                books.execute(
                    "UPDATE task SET mark = ?3 WHERE run = ?1 AND number = ?2",
                    params![run.0, task, mark.encode()],
                )?;
                sums::forget_before(books, &run, task, mark.sequence)?;
            }
            Ok(())
        })
        .await
    }

    async fn complete(
        &self,
        run: &RunId,
        task: TaskIndex,
        epoch: Epoch,
        done: &Done,
    ) -> Result<()> {
        let (run, done) = (run.clone(), done.clone());
        self.transact(move |books| {
            let mut record = load_task(books, &run, task)?;
            record.admit(&run, epoch)?;
            if record.complete(&done) {
                let counts = rows::to_json(&CountsRow::of(&done.counts))?;
                books.execute(
                    "UPDATE task SET counts = ?3, receipt = ?4, bookmark = ?5
                     WHERE run = ?1 AND number = ?2",
                    params![run.0, task, counts, done.receipt, done.bookmark],
                )?;
                let sequence = record.mark.as_ref().map_or(0, |mark| mark.sequence);
                sums::fold(books, &run, task, sequence)?;
            }
            Ok(())
        })
        .await
    }
}

pub(crate) fn insert_run(books: &Connection, record: &RunRecord) -> Result<(), Trouble> {
    let NewRun { id, document, text, parameters, created_ms, verify } = &record.new;
    let verify = verify.as_ref().map(rows::to_json).transpose()?;
    let inserted = books.execute(
        "INSERT INTO run (id, document, text, parameters, created_ms, verify, state, epoch)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0)",
        params![id.0, document, text, parameters, created_ms, verify, record.state.word()],
    );
    match inserted {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            Err(books::run_exists(id).into())
        }
        other => other.map(|_| ()).map_err(Trouble::from),
    }
}

fn load_run(books: &Connection, run: &RunId) -> Result<RunRecord, Trouble> {
    const SQL: &str =
        "SELECT id, document, text, parameters, created_ms, state, epoch, prepared, fault, verify, verified
         FROM run WHERE id = ?1";
    const SOURCES: &str = "SELECT plan, plan_start, splits_next, splits_last FROM source
         WHERE run = ?1 ORDER BY number";
    let record = collect(books, SQL, params![run.0], run_record)?.pop();
    let sources = collect(books, SOURCES, params![run.0], source_record)?;
    Ok(RunRecord { sources, ..record.ok_or_else(|| books::no_such_run(run))? })
}

fn source_record(row: &Row<'_>) -> Result<SourceRecord, Trouble> {
    let plan: String = row.get("plan")?;
    Ok(SourceRecord {
        plan: rows::from_json::<PlanRow>(&plan)?.back(row.get("plan_start")?)?,
        next: row.get("splits_next")?,
        last: row.get("splits_last")?,
    })
}

fn insert_plans(books: &Connection, run: &RunId, plans: &[Plan]) -> Result<(), Trouble> {
    let mut insert = books.prepare_cached(
        "INSERT INTO source (run, number, plan, plan_start, splits_next, splits_last)
         VALUES (?1, ?2, ?3, ?4, ?4, FALSE)",
    )?;
    for (number, plan) in (0_u32..).zip(plans) {
        let json = rows::to_json(&PlanRow::of(plan)?)?;
        insert.execute(params![run.0, number, json, plan.start])?;
    }
    Ok(())
}

fn run_record(row: &Row<'_>) -> Result<RunRecord, Trouble> {
    let prepared: Option<String> = row.get("prepared")?;
    let verify: Option<String> = row.get("verify")?;
    let verified: Option<String> = row.get("verified")?;
    Ok(RunRecord {
        new: NewRun {
            id: RunId(row.get("id")?),
            document: row.get("document")?,
            text: row.get("text")?,
            parameters: row.get("parameters")?,
            created_ms: row.get("created_ms")?,
            verify: verify.map(|json| rows::from_json(&json)).transpose()?,
        },
        state: state(row)?,
        epoch: rows::unsigned(row.get("epoch")?)?,
        sources: Vec::new(),
        prepared: prepared.map(|json| rows::from_json::<PreparedRow>(&json)?.back()).transpose()?,
        fault: fault(row)?,
        verified: verified.map(|json| rows::from_json::<VerifiedRow>(&json)?.back()).transpose()?,
    })
}

pub(crate) fn state(row: &Row<'_>) -> Result<RunState, Trouble> {
    let word: String = row.get("state")?;
    RunState::parse(&word).ok_or_else(|| rows::unreadable(&format!("state \"{word}\"")).into())
}

pub(crate) fn fault(row: &Row<'_>) -> Result<Option<Fault>, Trouble> {
    let json: Option<String> = row.get("fault")?;
    Ok(json.map(|json| rows::from_json::<FaultRow>(&json)?.back()).transpose()?)
}

fn fault_json(fault: Option<&Fault>) -> Result<Option<String>> {
    fault.map(|fault| rows::to_json(&FaultRow::of(fault))).transpose()
}

fn update_state(books: &Connection, record: &RunRecord) -> Result<(), Trouble> {
    books.execute(
        "UPDATE run SET state = ?2, epoch = ?3, fault = ?4 WHERE id = ?1",
        params![
            record.new.id.0,
            record.state.word(),
            rows::signed(record.epoch)?,
            fault_json(record.fault.as_ref())?
        ],
    )?;
    Ok(())
}

/// The time of an event is for people only, nothing is decided by it: so it is the database's clock.
fn insert_event(
    books: &Connection,
    record: &RunRecord,
    event: RunEvent,
    cause: Option<&Fault>,
) -> Result<(), Trouble> {
    books.execute(
        "INSERT INTO event (run, number, at_ms, event, state, epoch, fault)
         VALUES (?1, (SELECT count(*) FROM event WHERE run = ?1),
             CAST(unixepoch('subsec') * 1000 AS INTEGER), ?2, ?3, ?4, ?5)",
        params![
            record.new.id.0,
            event.word(),
            record.state.word(),
            rows::signed(record.epoch)?,
            fault_json(cause)?
        ],
    )?;
    Ok(())
}

fn add_splits(
    books: &Connection,
    run: &RunId,
    source: SourceIndex,
    splits: &Splits,
) -> Result<(), Trouble> {
    let found = books.execute(
        "UPDATE source SET splits_next = ?3, splits_last = ?4 WHERE run = ?1 AND number = ?2",
        params![run.0, source, splits.next, splits.last],
    )?;
    if found == 0 {
        load_run(books, run)?;
        return Err(books::no_such_source(run, source).into());
    }
    let known: u32 =
        books.query_row("SELECT count(*) FROM task WHERE run = ?1", params![run.0], |row| {
            row.get(0)
        })?;
    let mut insert = books.prepare_cached(
        "INSERT INTO task
             (run, number, source, token, label, stage, rows_estimate, bytes_estimate, epoch)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0)",
    )?;
    for (number, split) in (known..).zip(&splits.splits) {
        insert.execute(params![
            run.0,
            number,
            source,
            split.token,
            split.label,
            split.stage,
            rows::estimate(split.rows_estimate),
            rows::estimate(split.bytes_estimate)
        ])?;
    }
    Ok(())
}

const TASK_SQL: &str =
    "SELECT number, source, token, label, stage, rows_estimate, bytes_estimate, epoch,
        mark, counts, receipt, bookmark FROM task";

fn load_tasks(books: &Connection, run: &RunId) -> Result<Vec<TaskRecord>, Trouble> {
    let sql = format!("{TASK_SQL} WHERE run = ?1 ORDER BY number");
    collect(books, &sql, params![run.0], task_record)
}

fn load_task(books: &Connection, run: &RunId, task: TaskIndex) -> Result<TaskRecord, Trouble> {
    let sql = format!("{TASK_SQL} WHERE run = ?1 AND number = ?2");
    collect(books, &sql, params![run.0, task], task_record)?
        .pop()
        .ok_or_else(|| books::no_such_task(run, task).into())
}

fn task_record(row: &Row<'_>) -> Result<TaskRecord, Trouble> {
    let mark: Option<Vec<u8>> = row.get("mark")?;
    let counts: Option<String> = row.get("counts")?;
    let receipt: Option<Vec<u8>> = row.get("receipt")?;
    let bookmark = row.get("bookmark")?;
    let estimate = |column: &str| -> Result<Option<u64>, Trouble> {
        let number: Option<i64> = row.get(column)?;
        Ok(number.map(rows::unsigned).transpose()?)
    };
    let done = match counts {
        None => None,
        Some(json) => Some(Done {
            counts: rows::from_json::<CountsRow>(&json)?.back(),
            receipt: receipt.unwrap_or_default(),
            bookmark,
        }),
    };
    Ok(TaskRecord {
        index: row.get("number")?,
        source: row.get("source")?,
        split: Split {
            token: row.get("token")?,
            label: row.get("label")?,
            stage: row.get("stage")?,
            rows_estimate: estimate("rows_estimate")?,
            bytes_estimate: estimate("bytes_estimate")?,
        },
        epoch: rows::unsigned(row.get("epoch")?)?,
        mark: mark.map(|bytes| Mark::decode(&bytes)).transpose()?,
        done,
    })
}

fn insert_dirty(
    books: &Connection,
    run: &RunId,
    task: TaskIndex,
    sequence: u64,
    dirty: &[Dirty],
) -> Result<(), Trouble> {
    let mut insert = books.prepare_cached(
        "INSERT INTO dirty (run, task, sequence, stage, code, message, dataset, field, plugin,
             origin, raw, named, position, shape)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?;
    for one in dirty {
        let (raw, named) = match &one.record {
            DirtyRecord::Raw(bytes) => (Some(bytes), None),
            DirtyRecord::Values(values) => (None, Some(rows::to_json(values)?)),
        };
        insert.execute(params![
            run.0,
            task,
            rows::signed(sequence)?,
            one.stage.word(),
            one.code,
            one.message,
            one.dataset,
            one.column,
            one.plugin,
            one.origin,
            raw,
            named,
            one.position.map(rows::signed).transpose()?,
            Shape::of(one.stage).word()
        ])?;
    }
    Ok(())
}

/// All rows of a query, each read by `read`.
pub(crate) fn collect<T>(
    books: &Connection,
    sql: &str,
    with: impl rusqlite::Params,
    read: impl Fn(&Row<'_>) -> Result<T, Trouble>,
) -> Result<Vec<T>, Trouble> {
    let mut query = books.prepare_cached(sql)?;
    let mut rows = query.query(with)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}
