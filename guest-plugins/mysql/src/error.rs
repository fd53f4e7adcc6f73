//! What the server says went wrong, and what that means for a job.

use database::{Blame, Kind, Spoken, Vendor};
use sdk::{Fault, Result as Read};

use crate::wire::Parts;

pub(crate) const VENDOR: Vendor = Vendor { code: "mysql", name: "MySQL" };

/// Answer of everything that talks to the server.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

pub(crate) type Error = database::Error<ServerError>;

/// An error or a warning of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServerError {
    pub(crate) number: u16,
    pub(crate) message: String,
}

impl ServerError {
    /// Reads an error packet behind its first byte.
    pub(crate) fn parse(body: &[u8]) -> Read<Self> {
        let mut parts = Parts::new(body);
        let number = parts.number(2)? as u16;
        let rest = parts.rest();
        // A mark and the SQLSTATE stand before the message.
        let message = if rest.first() == Some(&b'#') { rest.get(6..) } else { Some(rest) };
        let message = String::from_utf8_lossy(message.unwrap_or_default()).into_owned();
        Ok(Self { number, message })
    }

    /// Whether the rows are to blame and not the statement, the server or the way there.
    pub(crate) fn refuses_rows(&self) -> bool {
        refusal(self.number).is_some()
    }

    /// The dotted code for a row that was refused.
    pub(crate) fn refusal_code(&self) -> &'static str {
        refusal(self.number).map_or("mysql.row_refused", |(code, _)| code)
    }

    /// The message without values of rows, which stand in quotes before the name of the column.
    pub(crate) fn text(&self) -> String {
        let Some((_, what)) = refusal(self.number) else { return self.message.clone() };
        let behind = [" for column ", " for key ", "Column ", "CONSTRAINT "].iter();
        let tail = behind.filter_map(|word| self.message.rfind(word)).next();
        match tail.map(|start| self.message[start..].trim()) {
            Some(tail) => {
                let end = tail.find(" at row ").unwrap_or(tail.len());
                format!("{what} ({})", &tail[..end])
            }
            None => what.to_owned(),
        }
    }

    /// The row of the statement that is meant, from 1.
    pub(crate) fn row(&self) -> Option<usize> {
        let (_, row) = self.message.rsplit_once(" at row ")?;
        row.trim().parse().ok().filter(|row| *row > 0)
    }

    /// The column that is meant.
    pub(crate) fn column(&self) -> Option<&str> {
        let (_, tail) = self.message.rsplit_once("olumn ")?;
        let quote = tail.chars().next().filter(|c| matches!(c, '\'' | '`'))?;
        // A column in back quotes has its table before it.
        let end = tail.find(" at row ").unwrap_or(tail.len());
        let name = tail[..end].trim_end_matches(" cannot be null").trim();
        let name = name.strip_suffix(quote)?;
        name.rsplit_once(quote).map(|(_, name)| name)
    }
}

impl Spoken for ServerError {
    fn fault(&self) -> Fault {
        kind_of(self).fault(format!("{} (error {})", self.text(), self.number))
    }
}

/// Code and words for what the server says about the values of a row.
fn refusal(number: u16) -> Option<(&'static str, &'static str)> {
    Some(match number {
        1062 | 1169 | 1586 => ("mysql.unique_violation", "a row with this key is there"),
        1048 | 1263 => ("mysql.not_null_violation", "the column takes no NULL"),
        1216 | 1217 | 1451 | 1452 => {
            ("mysql.foreign_key_violation", "a foreign key refuses the row")
        }
        3819 | 4025 => ("mysql.check_violation", "a check of the table refuses the row"),
        1264 | 1690 => ("mysql.value_out_of_range", "the value lies outside the column's type"),
        1406 => ("mysql.value_too_long", "the value is longer than the column"),
        1265 => ("mysql.value_would_change", "the column would keep another value"),
        1292 | 1366 | 1367 | 1411 | 1416 | 3140..=3143 => {
            ("mysql.value_invalid", "the column does not take the value")
        }
        1644 => ("mysql.raised_by_trigger", "a trigger or rule of the table refuses the row"),
        1118 | 1153 => ("mysql.row_too_large", "the row is larger than the server takes"),
        1369 => ("mysql.check_violation", "the view does not show such a row"),
        1526 => ("mysql.row_refused", "the table has no partition for the row"),
        _ => return None,
    })
}

/// What each error of a login means for a job.
fn kind_of_login(number: u16) -> Option<Kind> {
    use Blame::Server;
    let kind = Kind::new;
    Some(match number {
        1045 | 1698 | 1251 | 1862 | 3118 => kind(
            Server,
            "mysql.authentication_failed",
            Some(
                "check username and password of the data source, and from which hosts the user may log in, and whether over TLS alone",
            ),
        ),
        1130 | 1129 => kind(
            Server,
            "mysql.authentication_failed",
            Some("the server lets nobody in from this machine; allow its host or FLUSH HOSTS"),
        ),
        1049 => {
            kind(Server, "mysql.database_not_found", Some("check \"database\" of the data source"))
        }
        1044 => kind(
            Server,
            "mysql.permission_denied",
            Some(
                "check \"database\" of the data source, which may not be there, or grant its user what the job needs",
            ),
        ),
        _ => return None,
    })
}

/// What each error means for a job.
fn kind_of(error: &ServerError) -> Kind {
    use Blame::{Data, Passing, Server, User};
    let kind = Kind::new;
    if let Some(kind) = kind_of_login(error.number) {
        return kind;
    }
    match error.number {
        1051 | 1146 => kind(
            Server,
            "mysql.table_not_found",
            Some("look at the tables with `airlock discover`"),
        ),
        1054 => kind(Server, "mysql.column_not_found", None),
        1142 | 1143 | 1227 | 1370 => kind(
            Server,
            "mysql.permission_denied",
            Some("grant the user of the data source what the job needs"),
        ),
        1290 | 1792 | 1836 => kind(
            Server,
            "mysql.read_only",
            Some("this server or session takes no writes; name the primary"),
        ),
        1021 | 1114 => {
            kind(Server, "mysql.disk_full", Some("free space at the server, then resume the run"))
        }
        1040 | 1203 | 1226 => kind(
            Passing,
            "mysql.too_many_connections",
            Some("lower the job's \"concurrent\" or raise max_connections"),
        ),
        1205 => kind(
            Passing,
            "mysql.lock_timeout",
            Some(
                "another session holds locks on the rows; information_schema.innodb_trx shows which",
            ),
        ),
        1213 | 1020 => kind(Passing, "mysql.transaction_lost", None),
        1053 | 1077 | 1079 | 1080 | 1158..=1161 | 1184 | 1927 => {
            kind(Passing, "mysql.server_shutdown", None)
        }
        1317 | 1969 | 3024 => kind(
            Server,
            "mysql.canceled",
            Some("a time limit of the server or an administrator ended the statement"),
        ),
        1364 => kind(
            User,
            "mysql.column_required",
            Some("the column has no default; name it in \"column\""),
        ),
        1064 | 1139 | 1149 | 3685..=3700 => kind(User, "mysql.syntax_error", None),
        1193 | 1231 => kind(User, "mysql.setting_unknown", None),
        _ if error.refuses_rows() => kind(Data, error.refusal_code(), None),
        _ => kind(Server, "mysql.server_error", None),
    }
}

/// The server sent what the protocol doesn't have there.
pub(crate) fn broken(what: &str) -> Fault {
    VENDOR.broken(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(number: u16, message: &str) -> ServerError {
        ServerError { number, message: message.into() }
    }

    #[test]
    fn rows_and_columns_are_found_and_values_left_out() {
        let cases = [
            (1264, "Out of range value for column 'a b' at row 3", Some(3), Some("a b")),
            (
                1366,
                "Incorrect integer value: 'secret' for column `db`.`t`.`n` at row 12",
                Some(12),
                Some("n"),
            ),
            (1048, "Column 'n' cannot be null", None, Some("n")),
            (1062, "Duplicate entry 'secret' for key 'PRIMARY'", None, None),
        ];
        for (number, message, row, column) in cases {
            let error = error(number, message);
            assert_eq!((error.row(), error.column()), (row, column), "{message}");
            assert!(!error.text().contains("secret"), "{}", error.text());
            assert_eq!(error.fault().domain, sdk::FaultDomain::Data);
        }
    }

    #[test]
    fn numbers_decide_blame_and_retry() {
        let cases = [
            (1045, "mysql.authentication_failed", sdk::FaultDomain::External, None),
            (1146, "mysql.table_not_found", sdk::FaultDomain::External, None),
            (1142, "mysql.permission_denied", sdk::FaultDomain::External, None),
            (1064, "mysql.syntax_error", sdk::FaultDomain::User, None),
            (1213, "mysql.transaction_lost", sdk::FaultDomain::External, Some(0)),
            (1205, "mysql.lock_timeout", sdk::FaultDomain::External, Some(0)),
            (1053, "mysql.server_shutdown", sdk::FaultDomain::External, Some(0)),
            (1062, "mysql.unique_violation", sdk::FaultDomain::Data, None),
            (9999, "mysql.server_error", sdk::FaultDomain::External, None),
        ];
        for (number, code, domain, retry) in cases {
            let fault = error(number, "m").fault();
            assert_eq!(
                (fault.code.as_str(), fault.domain, fault.retry_after_ms),
                (code, domain, retry)
            );
        }
    }
}
