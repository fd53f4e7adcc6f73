//! A statement whose rows are read over several calls, with the connection that it is of.

use rusqlite::{Connection, Row, Rows, Statement};
use sdk::{Result, log};
use self_cell::{MutBorrow, self_cell};

use crate::error;

self_cell! {
    struct Prepared {
        owner: Connection,
        #[not_covariant]
        dependent: Statement,
    }
}

self_cell! {
    struct Running {
        owner: MutBorrow<Prepared>,
        #[not_covariant]
        dependent: Rows,
    }
}

/// Rows that are yet to be read.
pub(crate) struct Stream(Running);

impl Stream {
    /// Statements of one `series` are explained once.
    pub(crate) fn new(connection: Connection, sql: &str, series: &str) -> Result<Self> {
        log::statement(sql, Some(series));
        let prepared = Prepared::try_new(connection, |connection| connection.prepare(sql))
            .map_err(error::fault)?;
        let running = Running::new(MutBorrow::new(prepared), |prepared| {
            prepared.borrow_mut().with_dependent_mut(|_, statement| statement.raw_query())
        });
        Ok(Self(running))
    }

    /// Hands the next row to `take`; false behind the last.
    ///
    /// # Errors
    /// Those of `take`, and what SQLite could not read.
    pub(crate) fn next(&mut self, take: impl FnOnce(&Row<'_>) -> Result<()>) -> Result<bool> {
        self.0.with_dependent_mut(|_, rows| match rows.next() {
            Ok(Some(row)) => take(row).map(|()| true),
            Ok(None) => Ok(false),
            Err(error) => Err(error::fault(error)),
        })
    }
}
