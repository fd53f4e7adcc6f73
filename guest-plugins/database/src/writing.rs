//! What writers to tables answer and refuse the same way.

use std::time::Duration;

use sdk::{Batch, CommitMode, Dataset, Fault, Prepared, Result, Wishes};

use crate::Vendor;
use crate::load::LoadMode;

/// A batch that makes a statement worth its way.
const BATCH_BYTES: u64 = 512 << 10;
/// A transaction of this size keeps the cost of commits small and a redone part short.
pub const COMMIT_BYTES: u64 = 32 << 20;
/// A transaction is open for so long at most while rows come.
pub const COMMIT_WAIT: Duration = Duration::from_secs(5);

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
