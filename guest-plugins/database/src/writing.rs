//! What writers to tables answer and refuse the same way.

use std::time::{Duration, Instant};

use sdk::{Batch, CommitMode, Dataset, Fault, Prepared, Remark, Result, Wishes};

use crate::Vendor;
use crate::load::LoadMode;

/// A batch that makes a statement worth its way.
const BATCH_BYTES: u64 = 512 << 10;
const COLUMN_PLACE: &str = "/parameter/column";
/// A transaction of this size keeps the cost of commits small and a redone part short.
const COMMIT_BYTES: u64 = 32 << 20;
/// A transaction is open for so long at most while rows come.
const COMMIT_WAIT: Duration = Duration::from_secs(5);

/// When a transaction that rows are written in is to be committed.
#[derive(Debug)]
pub struct Pace {
    bytes: u64,
    since: Instant,
}

impl Default for Pace {
    fn default() -> Self {
        Self { bytes: 0, since: Instant::now() }
    }
}

impl Pace {
    /// So many bytes of rows were written.
    pub fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    /// Whether a mark is to be committed: the host says `now`, or there is enough behind the last commit.
    pub fn is_due(&self, now: bool) -> bool {
        now || self.bytes >= COMMIT_BYTES || self.since.elapsed() >= COMMIT_WAIT
    }
}

/// A column of a table, as any writer looks at it.
pub trait Writable: Clone {
    fn name(&self) -> &str;
    /// The server computes its values.
    fn is_generated(&self) -> bool;
}

/// The columns of a table that are written: those that `names` names, `*` for all; `find` looks one up.
///
/// # Errors
/// Those of `find`, `column_generated`, `parameter.invalid` for a column that is named twice.
pub fn written<'a, C: Writable + 'a>(
    vendor: Vendor,
    names: &[String],
    all: &'a [C],
    find: impl Fn(&str) -> Result<&'a C>,
) -> Result<Vec<C>> {
    let mut columns: Vec<C> = Vec::new();
    for name in names {
        if name.trim() == "*" {
            columns.extend(all.iter().filter(|column| !column.is_generated()).cloned());
            continue;
        }
        let column = find(name)?;
        if column.is_generated() {
            let hint = "leave it out of \"column\"";
            return Err(column_generated(vendor, name).hint(hint).at(COLUMN_PLACE));
        }
        columns.push(column.clone());
    }
    for (index, column) in columns.iter().enumerate() {
        if columns[..index].iter().any(|other| other.name() == column.name()) {
            let message = format!("the column \"{}\" is named twice", column.name());
            return Err(Fault::user("parameter.invalid", message).at(COLUMN_PLACE));
        }
    }
    Ok(columns)
}

/// Leaves those columns that incoming fields meet, one by one: where nobody named columns, those of the
/// partition do not come and get its values.
///
/// # Errors
/// `column_count` where other fields come in than are written.
pub fn fit<C: Writable>(
    vendor: Vendor,
    incoming: &Dataset,
    columns: &mut Vec<C>,
    takes_all: bool,
    partition: &[&str],
) -> Result<()> {
    let fields = incoming.schema.fields().len();
    if takes_all && fields + partition.len() == columns.len() {
        columns.retain(|column| !partition.contains(&column.name()));
    }
    if fields == columns.len() {
        return Ok(());
    }
    let message = format!("{fields} fields come in, but {} columns are written", columns.len());
    let names: Vec<_> = columns.iter().map(Writable::name).collect();
    let hint = format!("fields meet columns by position; the columns are {}", names.join(", "));
    Err(vendor.user("column_count", message).hint(hint).at(COLUMN_PLACE))
}

/// What is said of a row that is not written, of a batch by its number.
pub fn refused(batch: u64, row: u32, column: Option<usize>, code: &str, message: String) -> Remark {
    let column = column.map(|index| index as u32);
    Remark { batch, row, column, loaded: false, code: code.to_owned(), message }
}

/// The only table of a step.
///
/// # Errors
/// `dataset_count` where other than one dataset comes in.
pub fn single(vendor: Vendor, mut datasets: Vec<Dataset>) -> Result<Dataset> {
    match datasets.len() {
        1 => Ok(datasets.remove(0)),
        count => {
            let message = format!("{count} datasets come in, but a step writes one table");
            Err(vendor.user("dataset_count", message))
        }
    }
}

/// The answer to `prepare`; `is_marked` where marks are committed with their rows.
pub fn prepared(dataset: Dataset, is_marked: bool, mode: LoadMode) -> Prepared {
    Prepared {
        datasets: vec![dataset],
        commit_mode: match (is_marked, mode) {
            (true, LoadMode::Append) => CommitMode::Transactional,
            (true, LoadMode::Swap) => CommitMode::Staged,
            (false, _) => CommitMode::AtLeastOnce,
        },
        wishes: Wishes {
            batch_rows: 0,
            batch_bytes: BATCH_BYTES,
            commit_bytes: COMMIT_BYTES,
            commit_ms: COMMIT_WAIT.as_millis() as u32,
            sort_by: Vec::new(),
            lanes: 0,
        },
    }
}

/// Updates and deletes, and values that were not sent, need a writer that follows changes.
///
/// # Errors
/// `changes_unsupported`.
pub fn refuse_changes(vendor: Vendor, batch: &Batch) -> Result<()> {
    let operations = batch.operations.as_deref().unwrap_or_default();
    let absent = batch.absent.iter().flatten().any(|bits| *bits != 0);
    if absent || operations.iter().any(|operation| *operation != 0) {
        let message = "this writer takes new rows only, no updates or deletes";
        return Err(vendor.user("changes_unsupported", message));
    }
    Ok(())
}

/// A column whose values the server computes can't be written.
pub fn column_generated(vendor: Vendor, name: &str) -> Fault {
    vendor.user("column_generated", format!("the server computes the column \"{name}\""))
}
