//! The proof: what all suites share. The suites run the real binary on real files and a real server.
//!
//! * `e2e` is what a user sees: output and exit codes as snapshots, for good input and bad.
//! * `jobs` has a folder for each test: a job, its input and what must come out, run straight through
//!   and killed in the middle and resumed.
//! * `matrix` moves the same table between all formats and compares every value.
//! * `chaos` kills with SIGKILL at named points, in a second binary that stops there, and resumes.
//!
//! What is decided without a process is tested beside its code instead. Begin with [`Env`]; then
//! [`PgServer`], and [`referee`], the other programs that say whether the result is right.
//!
//! `SOAK=1` makes samples large. `INSTA_UPDATE=always` and `UPDATE_EXPECTED=1` write snapshots and
//! expected results anew; look at the difference before you keep it.

#![allow(clippy::unwrap_used, reason = "a test's helper that cannot go on must fail the test")]

pub mod airlock;
pub mod api;
pub mod certificates;
pub mod disk;
pub mod document;
pub mod env;
pub mod lineitem;
pub mod mysql;
pub mod normal;
pub mod postgres;
pub mod referee;
pub mod stops;
pub mod tree;

pub use airlock::{Airlock, Output, Running};
pub use api::Api;
pub use disk::SmallDisk;
pub use document::Document;
pub use env::Env;
pub use mysql::{MysqlDatabase, MysqlServer};
pub use postgres::{Database, PgServer};
pub use stops::Stopped;

/// Whether the large samples are asked for.
pub fn soak() -> bool {
    std::env::var_os("SOAK").is_some_and(|value| value == "1")
}
