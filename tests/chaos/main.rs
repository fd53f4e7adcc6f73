//! Kill -9, and go on: the same rows, dirty records and sums as a run that was never killed.
//!
//! `airlock-stops` is `airlock` with stop points between the engine and its ports. It stops at the
//! point that a test names; the test sees that it was reached, sends SIGKILL from outside, resumes and
//! compares with a run that nothing disturbed. What a guest does inside of one call is met before one of
//! its calls to the host, or by a lock that the test holds in the database.
//!
//! `sudden` kills the real binary at any time instead, and `restarts` the server.
//!
//! Each resumed run also shows that tasks that were done are not read again.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod chance;
mod inside;
mod points;
mod random;
mod restarts;
mod scenario;
mod sudden;
