//! What SQLite says went wrong, and what that means for a job.

use database::{Blame, Kind, Vendor};
use rusqlite::{Error, ErrorCode};
use sdk::Fault;

pub(crate) const VENDOR: Vendor = Vendor { code: "sqlite", name: "SQLite" };

/// The extended code of a write that failed for another reason than a full disk.
const IOERR_WRITE: i32 = 778;

pub(crate) const READ_ONLY_HINT: &str =
    "the file, its folder or this step takes no writes; check their rights";

/// What an error of SQLite means for a job.
pub(crate) fn fault(error: Error) -> Fault {
    let message = text(&error);
    kind_of(&error).fault(message)
}

/// The same, where a statement of the user failed.
pub(crate) fn at(place: &str) -> impl FnOnce(Error) -> Fault {
    move |error| fault(error).at(place)
}

/// A row that a constraint of the table refuses: code, words, and the column where SQLite names it.
pub(crate) fn refusal(error: &Error) -> Option<(&'static str, String, Option<String>)> {
    let Error::SqliteFailure(code, message) = error else { return None };
    let message = message.as_deref().unwrap_or_default();
    // "NOT NULL constraint failed: table.column", and for a key a list of them.
    let named = message.split_once("failed: ").or_else(|| message.rsplit_once(" column "));
    let named = named.map_or("", |(_, named)| named);
    let column = named.rsplit_once('.').filter(|_| !named.contains(','));
    let column = column.map(|(_, column)| column.to_owned());
    let (name, words) = match (code.code, code.extended_code) {
        (ErrorCode::TooBig, _) => ("sqlite.value_too_long", "the row is longer than SQLite takes"),
        (ErrorCode::TypeMismatch, _) => {
            ("sqlite.type_mismatch", "the primary key takes whole numbers alone")
        }
        (ErrorCode::ConstraintViolation, 1299) => {
            ("sqlite.not_null_violation", "the column takes no NULL")
        }
        (ErrorCode::ConstraintViolation, 1555 | 2067 | 2579) => {
            ("sqlite.unique_violation", "a row with this key is there")
        }
        (ErrorCode::ConstraintViolation, 787) => {
            ("sqlite.foreign_key_violation", "a foreign key refuses the row")
        }
        (ErrorCode::ConstraintViolation, 275) => {
            ("sqlite.check_violation", "a check of the table refuses the row")
        }
        (ErrorCode::ConstraintViolation, 3091) => {
            ("sqlite.type_mismatch", "the column of a STRICT table takes no value of this type")
        }
        (ErrorCode::ConstraintViolation, 1811) => {
            ("sqlite.raised_by_trigger", "a trigger of the table refuses the row")
        }
        (ErrorCode::ConstraintViolation, _) => ("sqlite.row_refused", "the table refuses the row"),
        _ => return None,
    };
    let words = match named.is_empty() || code.code != ErrorCode::ConstraintViolation {
        true => words.to_owned(),
        // The name of a column or a check; values of rows are not among it.
        false => format!("{words} ({named})"),
    };
    Some((name, words, column))
}

/// The message without values of rows.
fn text(error: &Error) -> String {
    if let Some((_, words, _)) = refusal(error) {
        return words;
    }
    match error {
        Error::SqliteFailure(code, Some(message)) => {
            format!("{message} (error {})", code.extended_code)
        }
        Error::SqlInputError { error, msg, .. } => {
            format!("{msg} (error {})", error.extended_code)
        }
        other => other.to_string(),
    }
}

/// What each error means for a job.
fn kind_of(error: &Error) -> Kind {
    use Blame::{Data, Passing, Server, User};
    let kind = Kind::new;
    if let Some((code, ..)) = refusal(error) {
        return kind(Data, code, None);
    }
    let (code, message) = match error {
        Error::SqliteFailure(code, message) => (code, message.as_deref().unwrap_or_default()),
        Error::SqlInputError { error, msg, .. } => (error, msg.as_str()),
        Error::MultipleStatement => {
            return kind(User, "sqlite.syntax_error", Some("write one statement an entry"));
        }
        _ => return kind(Server, "sqlite.failed", None),
    };
    match code.code {
        ErrorCode::NotADatabase => kind(
            Server,
            "sqlite.not_a_database",
            Some(
                "the file is no SQLite database, or it is encrypted, which this plug-in cannot read",
            ),
        ),
        ErrorCode::DatabaseCorrupt => kind(
            Server,
            "sqlite.corrupt",
            Some(
                "look at it with `sqlite3 FILE 'PRAGMA integrity_check'`; `.recover` saves what can be read",
            ),
        ),
        ErrorCode::CannotOpen => {
            kind(Server, "sqlite.cannot_open", Some("check the path, and the rights of its folder"))
        }
        ErrorCode::DiskFull => {
            kind(Server, "sqlite.disk_full", Some("make room, then resume the run"))
        }
        // Not only a broken disk: a quota that is used up comes so, too.
        ErrorCode::SystemIoFailure if code.extended_code == IOERR_WRITE => kind(
            Server,
            "sqlite.write_failed",
            Some("the disk is full or broken; make room, then resume the run"),
        ),
        ErrorCode::SystemIoFailure => kind(Server, "sqlite.io_failed", None),
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => {
            kind(Server, "sqlite.read_only", Some(READ_ONLY_HINT))
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => kind(
            Passing,
            "sqlite.locked",
            Some("another program has the file open; let it end, then resume the run"),
        ),
        ErrorCode::OutOfMemory => kind(
            Server,
            "sqlite.out_of_memory",
            Some("rows or sorts are larger than the plug-in's memory; raise --limit memory"),
        ),
        _ => kind_of_message(message),
    }
}

/// The same of an error that SQLite has no number for.
fn kind_of_message(message: &str) -> Kind {
    use Blame::{Server, User};
    let kind = Kind::new;
    let has = |words: &str| message.contains(words);
    match message {
        _ if has("no such table") => kind(
            Server,
            "sqlite.table_not_found",
            Some("look at the tables with `airlock discover`"),
        ),
        _ if has("no such column") || has("has no column") => {
            kind(Server, "sqlite.column_not_found", None)
        }
        _ if has("syntax error") || has("incomplete input") => {
            kind(User, "sqlite.syntax_error", None)
        }
        _ if has("no such function") || has("wrong number of arg") => {
            kind(User, "sqlite.function_unknown", None)
        }
        _ if has("unsupported file format") => kind(
            Server,
            "sqlite.version_unsupported",
            Some(
                "the file was written by another version of SQLite, whose format this one cannot read",
            ),
        ),
        _ => kind(Server, "sqlite.failed", None),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn errors_have_codes_and_show_no_values() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(
            "create table t (id integer primary key, n text not null unique, c int check (c > 0));
             create table s (a int) strict;
             insert into t values (1, 'secret', 1)",
        )
        .unwrap();
        let cases = [
            ("insert into t values (2, 'secret', 1)", "sqlite.unique_violation", Some("n")),
            ("insert into t values (1, 'x', 1)", "sqlite.unique_violation", Some("id")),
            ("insert into t values (2, null, 1)", "sqlite.not_null_violation", Some("n")),
            ("insert into t values (2, 'x', 0)", "sqlite.check_violation", None),
            ("insert into t values ('x', 'x', 1)", "sqlite.type_mismatch", None),
            ("insert into s values ('x')", "sqlite.type_mismatch", Some("a")),
            ("select * from u", "sqlite.table_not_found", None),
            ("select u from t", "sqlite.column_not_found", None),
            ("selec 1", "sqlite.syntax_error", None),
            ("select f(1)", "sqlite.function_unknown", None),
        ];
        for (statement, code, column) in cases {
            let error = db.execute_batch(statement).unwrap_err();
            let named = refusal(&error).and_then(|(_, _, column)| column);
            let fault = fault(error);
            assert_eq!((fault.code.as_str(), named.as_deref()), (code, column), "{statement}");
            assert!(!fault.message.contains("secret"), "{}", fault.message);
        }
    }
}
