//! Where the next run of a document goes on.

use domain::port::NewRun;
use domain::{Bookmark, Position, Result, bookmark};
use rusqlite::{Connection, Row, params};

use crate::fault::Trouble;
use crate::sqlite::{SqliteStore, collect};

impl SqliteStore {
    /// Lets `change` make other bookmarks of those that a document has, and answers them.
    ///
    /// # Errors
    /// Those of `change`, and nothing is changed then.
    pub async fn change_bookmarks(
        &self,
        document: &str,
        change: impl FnOnce(Vec<Bookmark>) -> Result<Vec<Bookmark>> + Send + 'static,
    ) -> Result<Vec<Bookmark>> {
        let document = document.to_owned();
        self.transact(move |books| {
            let changed = change(of(books, &document)?)?;
            replace(books, &document, &changed)?;
            Ok(changed)
        })
        .await
    }
}

/// In the order in which they were given.
pub(crate) fn of(books: &Connection, document: &str) -> Result<Vec<Bookmark>, Trouble> {
    const SQL: &str =
        "SELECT position, created_ms FROM bookmark WHERE document = ?1 ORDER BY number";
    let read = |row: &Row<'_>| {
        Ok(Bookmark { position: row.get("position")?, created_ms: row.get("created_ms")? })
    };
    collect(books, SQL, params![document], read)
}

/// A run has succeeded: those of its tasks count from now on.
pub(crate) fn renew(books: &Connection, run: &NewRun) -> Result<(), Trouble> {
    const SQL: &str = "SELECT bookmark FROM task
         WHERE run = ?1 AND bookmark IS NOT NULL ORDER BY number";
    let given = collect(books, SQL, params![run.id.0], |row| Ok(row.get::<_, Position>(0)?))?;
    if given.is_empty() {
        return Ok(());
    }
    let all = bookmark::renew(of(books, &run.document)?, given, run.created_ms);
    replace(books, &run.document, &all)
}

fn replace(books: &Connection, document: &str, all: &[Bookmark]) -> Result<(), Trouble> {
    books.execute("DELETE FROM bookmark WHERE document = ?1", params![document])?;
    let mut insert = books.prepare_cached(
        "INSERT INTO bookmark (document, number, position, created_ms) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for (number, bookmark) in (0_i64..).zip(all) {
        insert.execute(params![document, number, bookmark.position, bookmark.created_ms])?;
    }
    Ok(())
}
