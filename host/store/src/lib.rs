//! Where a run's books are kept: the only crate that knows a database.
//!
//! [`SqliteStore`] is the port `domain::port::Store` on one SQLite file in the state folder of one
//! user: runs with their states and events, tasks with their marks, dirty records and their replays, bookmarks. [`RunLock`]
//! says that the process of a run lives.
//!
//! What is not here: decisions. Which state follows, which epoch is fenced and which mark is further is
//! decided in `domain` (`run`, `books`); a call here loads a record, lets it decide, and writes it down
//! in the same transaction. Nor does this crate know jobs, plug-ins or people's output.
//!
//! Begin with [`sqlite`], then `schema` for the tables; `rows` is how domain words stand in
//! them, `queries` what people ask.

mod bookmarks;
mod fault;
mod lock;
mod queries;
mod replay;
mod rows;
mod schema;
mod sqlite;
mod sums;
#[cfg(test)]
mod tests;
mod worker;

pub use lock::RunLock;
pub use queries::{DirtyEntry, DirtyFilter, DirtyReason, EventEntry, RunEntry};
pub use replay::{Replay, Shape, Standing};
pub use sqlite::SqliteStore;
