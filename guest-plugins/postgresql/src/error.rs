//! What the server says went wrong, and what that means for a job.

use database::{Blame, Kind, Spoken, Vendor};
use sdk::Fault;

pub(crate) const VENDOR: Vendor = Vendor { code: "postgresql", name: "PostgreSQL" };

/// Answer of everything that talks to the server.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

pub(crate) type Error = database::Error<ServerError>;

/// An `ErrorResponse`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServerError {
    /// SQLSTATE.
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// Where the server was: `COPY t, line 3, column a`.
    pub(crate) context: Option<String>,
    pub(crate) column: Option<String>,
    pub(crate) constraint: Option<String>,
    /// The server ends the session after it.
    pub(crate) fatal: bool,
}

impl ServerError {
    /// Reads the fields of an `ErrorResponse` or `NoticeResponse`; unreadable parts are left out.
    pub(crate) fn parse(body: &[u8]) -> Self {
        let mut error = Self::default();
        for field in body.split(|byte| *byte == 0) {
            let Some((kind, text)) = field.split_first() else { continue };
            let text = String::from_utf8_lossy(text).into_owned();
            match kind {
                b'V' => error.fatal = matches!(text.as_str(), "FATAL" | "PANIC"),
                b'C' => error.code = text,
                b'M' => error.message = text,
                b'H' => error.hint = Some(text),
                b'W' => error.context = Some(text),
                b'c' => error.column = Some(text),
                b'n' => error.constraint = Some(text),
                _ => {}
            }
        }
        error
    }

    /// Whether the rows are to blame and not the statement, the server or the way there.
    pub(crate) fn refuses_rows(&self) -> bool {
        matches!(self.code.get(..2), Some("21" | "22" | "23" | "44"))
            || matches!(self.code.as_str(), RAISED_BY_TRIGGER | LIMIT_EXCEEDED)
    }

    /// The message without values of rows: in errors about data those stand in quotes or behind a
    /// colon.
    pub(crate) fn text(&self) -> String {
        if !self.code.starts_with("22") {
            return self.message.clone();
        }
        let end = self.message.find(": ").unwrap_or(self.message.len());
        let text = &self.message[..end];
        // A value may hold quotes itself, so all between the first and the last may be of it.
        match (text.find('"'), text.rfind('"')) {
            (Some(first), Some(last)) if first < last => {
                format!("{}…{}", &text[..=first], &text[last..])
            }
            (Some(first), _) => text[..first].trim_end().to_owned(),
            _ => text.to_owned(),
        }
    }

    /// The dotted code for a row that was refused.
    pub(crate) fn refusal_code(&self) -> &'static str {
        match self.code.as_str() {
            "23505" => "postgresql.unique_violation",
            "23502" => "postgresql.not_null_violation",
            "23503" => "postgresql.foreign_key_violation",
            "23514" => "postgresql.check_violation",
            "23P01" => "postgresql.exclusion_violation",
            "22001" => "postgresql.value_too_long",
            "22003" | "22008" => "postgresql.value_out_of_range",
            "22021" | "22P05" => "postgresql.text_invalid",
            "22P02" | "22P03" | "22007" => "postgresql.value_invalid",
            RAISED_BY_TRIGGER => "postgresql.raised_by_trigger",
            LIMIT_EXCEEDED => "postgresql.row_too_large",
            _ => "postgresql.row_refused",
        }
    }

    /// The line of a COPY of `table` that the server was at, from 1.
    pub(crate) fn copy_line(&self, table: &str) -> Option<u64> {
        let prefix = format!("COPY {table}, line ");
        let lines = self.context.as_deref()?.lines();
        let rest = lines.filter_map(|line| line.strip_prefix(&prefix)).next_back()?;
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse().ok().filter(|line| *line > 0)
    }

    /// The column of a COPY of `table` that the server was at.
    pub(crate) fn copy_column(&self, table: &str) -> Option<&str> {
        if let Some(column) = &self.column {
            return Some(column);
        }
        let prefix = format!("COPY {table}, line ");
        let line = self.context.as_deref()?.lines().rfind(|line| line.starts_with(&prefix))?;
        let (_, column) = line[prefix.len()..].split_once(", column ")?;
        Some(column.split_once(": ").map_or(column, |(name, _)| name))
    }
}

impl Spoken for ServerError {
    fn fault(&self) -> Fault {
        let text = format!("the server says: {} (SQLSTATE {})", self.text(), self.code);
        let fault = kind_of(self).fault(text);
        let hint = fault.hint.clone().or_else(|| self.hint.clone());
        Fault { hint, ..fault }
    }
}

const RAISED_BY_TRIGGER: &str = "P0001";
const LIMIT_EXCEEDED: &str = "54000";

/// What each SQLSTATE means for a job, the exact ones before their classes.
fn kind_of(error: &ServerError) -> Kind {
    use Blame::{Data, Passing, Server, User};
    let kind = Kind::new;
    match error.code.as_str() {
        "28P01" | "28000" => kind(
            Server,
            "postgresql.authentication_failed",
            Some("check username and password of the data source, and the server's pg_hba.conf"),
        ),
        "3D000" => kind(
            Server,
            "postgresql.database_not_found",
            Some("check \"database\" of the data source"),
        ),
        "3F000" => kind(Server, "postgresql.schema_not_found", None),
        "42P01" => kind(Server, "postgresql.table_not_found", None),
        "42703" => kind(Server, "postgresql.column_not_found", None),
        "42704" => kind(Server, "postgresql.object_not_found", None),
        "42501" => kind(
            Server,
            "postgresql.permission_denied",
            Some("grant the role of the data source what the job needs"),
        ),
        "25006" => kind(
            Server,
            "postgresql.read_only",
            Some("this server or session takes no writes; name the primary"),
        ),
        "25001" => kind(
            User,
            "postgresql.not_in_transaction",
            Some("statements of preSql and postSql run in one transaction; run this one elsewhere"),
        ),
        "53100" => kind(
            Server,
            "postgresql.disk_full",
            Some("free space at the server, then resume the run"),
        ),
        "53300" => kind(
            Passing,
            "postgresql.too_many_connections",
            Some("lower the job's \"concurrent\" or raise max_connections"),
        ),
        "53200" => kind(Passing, "postgresql.out_of_memory", None),
        "55P03" => kind(
            Passing,
            "postgresql.lock_timeout",
            Some("another session holds a lock on the table; pg_locks shows which"),
        ),
        "55000" => kind(Server, "postgresql.object_not_ready", None),
        "57014" => kind(
            Server,
            "postgresql.canceled",
            Some("a statement_timeout of the role or an administrator ended the statement"),
        ),
        "57P01" | "57P02" | "57P03" | "57P05" => kind(Passing, "postgresql.server_shutdown", None),
        "40001" | "40P01" | "25P03" | "25P04" => kind(Passing, "postgresql.transaction_lost", None),
        "0A000" => kind(User, "postgresql.unsupported", None),
        "42601" => kind(User, "postgresql.syntax_error", None),
        code => match code.get(..2).unwrap_or_default() {
            "08" => kind(Passing, "postgresql.connection_lost", None),
            "53" | "58" => kind(Server, "postgresql.server_resources", None),
            "28" => kind(Server, "postgresql.authentication_failed", None),
            "42" => kind(User, "postgresql.statement_invalid", None),
            _ if error.refuses_rows() => kind(Data, error.refusal_code(), None),
            _ => kind(Server, "postgresql.server_error", None),
        },
    }
}

/// The server sent what the protocol doesn't have there.
pub(crate) fn broken(what: &str) -> Fault {
    VENDOR.broken(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str, message: &str, context: &str) -> ServerError {
        ServerError {
            code: code.into(),
            message: message.into(),
            context: Some(context.into()),
            ..ServerError::default()
        }
    }

    #[test]
    fn fields_are_read() {
        let error = ServerError::parse(b"SERROR\0C23505\0Mduplicate\0WCOPY t, line 2\0nt_pkey\0\0");
        assert_eq!(error.code, "23505");
        assert_eq!(error.constraint.as_deref(), Some("t_pkey"));
        assert_eq!(error.copy_line("t"), Some(2));
        assert_eq!(ServerError::parse(b""), ServerError::default());
    }

    #[test]
    fn lines_are_read_from_contexts() {
        let cases = [
            ("COPY t, line 3, column a: \"x\"", Some(3), Some("a")),
            ("COPY t, line 17", Some(17), None),
            ("COPY t, line 4: \"1\t2\"", Some(4), None),
            ("SQL function \"f\"\nCOPY t, line 5, column b c", Some(5), Some("b c")),
            ("COPY other, line 3", None, None),
            ("COPY t, line 0", None, None),
            ("COPY t, Zeile 3", None, None),
            ("SQL statement \"SELECT 1 FROM ONLY t\"", None, None),
        ];
        for (context, line, column) in cases {
            let error = error("22P02", "", context);
            assert_eq!(error.copy_line("t"), line, "{context}");
            assert_eq!(error.copy_column("t"), column, "{context}");
        }
    }

    #[test]
    fn messages_carry_no_values() {
        let text = |code, message| error(code, message, "").text();
        assert_eq!(
            text("22P02", "invalid input syntax for type interval: \"secret\""),
            "invalid input syntax for type interval"
        );
        assert_eq!(
            text("22003", "value \"9\"9\" is out of range for type integer"),
            "value \"…\" is out of range for type integer"
        );
        assert_eq!(text("22003", "value \"a: b\" is out of range"), "value");
        assert_eq!(text("22001", "value too long"), "value too long");
        assert_eq!(text("42601", "syntax error: x"), "syntax error: x");
    }

    #[test]
    fn states_decide_blame_and_retry() {
        let cases = [
            ("28P01", "postgresql.authentication_failed", sdk::FaultDomain::External, None),
            ("42P01", "postgresql.table_not_found", sdk::FaultDomain::External, None),
            ("42501", "postgresql.permission_denied", sdk::FaultDomain::External, None),
            ("42601", "postgresql.syntax_error", sdk::FaultDomain::User, None),
            ("53100", "postgresql.disk_full", sdk::FaultDomain::External, None),
            ("57P01", "postgresql.server_shutdown", sdk::FaultDomain::External, Some(0)),
            ("57P05", "postgresql.server_shutdown", sdk::FaultDomain::External, Some(0)),
            ("40001", "postgresql.transaction_lost", sdk::FaultDomain::External, Some(0)),
            ("23505", "postgresql.unique_violation", sdk::FaultDomain::Data, None),
            ("22012", "postgresql.row_refused", sdk::FaultDomain::Data, None),
            ("XX000", "postgresql.server_error", sdk::FaultDomain::External, None),
            ("", "postgresql.server_error", sdk::FaultDomain::External, None),
        ];
        for (state, code, domain, retry) in cases {
            let fault = error(state, "m", "").fault();
            assert_eq!(fault.code, code, "{state}");
            assert_eq!(fault.domain, domain, "{state}");
            assert_eq!(fault.retry_after_ms, retry, "{state}");
        }
    }
}
