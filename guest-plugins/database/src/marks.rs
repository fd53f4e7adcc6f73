//! The table beside the destination that says how far each task of a run has come.
//!
//! A row is changed in the same transaction as the rows that it speaks of, guarded by the epoch, so
//! that of two processes that work on one task only the newer can commit. Two rows of a run have
//! numbers of their own: [`PREPARED`] and [`FINISHED`] say that its statements were run.

use sdk::Fault;

use crate::Vendor;

/// Its name.
pub const TABLE: &str = "_airlock_commit";
/// The row of a run whose pre-statements were run.
pub const PREPARED: i64 = -1;
/// The row of a run that has ended: its post-statements were run, or it failed.
pub const FINISHED: i64 = -2;
/// How long a finished run is remembered, so that a late repetition of `finish` does nothing.
pub const REMEMBERED_DAYS: u32 = 30;
/// After so long without a change, a run that never finished is resumed by nobody.
pub const ABANDONED_DAYS: u32 = 180;

/// A newer attempt works on the task.
pub fn fenced(vendor: Vendor) -> Fault {
    vendor
        .external("fenced", "a newer attempt has taken this task over")
        .hint("another process works on the same run; let it, or end it and resume")
}

/// The run has ended while this attempt was at work.
pub fn ended(vendor: Vendor) -> Fault {
    vendor
        .external("fenced", "this run has ended at the destination")
        .hint("another process has finished it; start a new run")
}
