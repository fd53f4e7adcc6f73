//! A connection to the server: MySQL's protocol, version 10, over a blocking stream.
//!
//! Rows go to the host's codec straight from the buffer of the socket. How a session begins is in
//! [`crate::login`].
//!
//! After an [`Error::Fault`] the connection is of no more use; after an [`Error::Server`] it is.

use std::ops::Range;
use std::time::{Duration, Instant};

use database::{Stream, Wire};
use sdk::{Fault, log};

use crate::error::{Error, Result, ServerError, VENDOR, broken};
use crate::sql;
use crate::types::Definition;
use crate::wire::Parts;

/// A packet at most; what is longer comes in several.
const PACKET_BYTES: usize = 0xff_ffff;
/// Length and number of a packet.
const HEAD: usize = 4;
/// One row at most; a longer one doesn't fit into a guest either.
const ROW_BYTES_MAX: usize = 256 << 20;
/// A packet of rows that are loaded; the server takes each as it comes.
const FILE_PART_BYTES: usize = 1 << 20;
/// Rows of a catalog query at most, so that no answer fills the memory.
const QUERY_ROWS_MAX: usize = 100_000;

const IN_TRANSACTION: u16 = 1;
const MORE_RESULTS: u16 = 8;

/// A row of a query, as text.
pub(crate) type TextRow = Vec<Option<String>>;

/// What a statement did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    pub(crate) rows: u64,
    pub(crate) warnings: u16,
    /// Of a LOAD DATA: rows that were read, deleted and skipped, and warnings.
    pub(crate) loaded: Option<[u64; 4]>,
}

/// What comes next of a query's rows.
pub(crate) enum RowStep {
    /// The unread bytes begin with a whole row.
    Rows,
    Done,
    /// Nothing came within the wait.
    Idle,
}

/// What comes next of a statement that is streamed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The number of columns: a server that sorts sends it late.
    Count,
    Columns,
    Rows,
}

/// A connection that is logged in.
pub(crate) struct Client {
    pub(crate) wire: Wire,
    /// The number of the next packet in this exchange.
    pub(crate) sequence: u8,
    status: u16,
    /// Warnings of the rows that ended last.
    warnings: u16,
    /// The statement whose rows are being read.
    statement: u32,
    stage: Stage,
    pub(crate) server: Server,
    /// The longest statement that the server takes.
    pub(crate) packet_max: usize,
}

/// Which server it is, and what not all of them have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) is_mariadb: bool,
    /// Columns of the type `vector`.
    pub(crate) has_vectors: bool,
}

impl Server {
    /// By the version in its greeting, such as `9.1.0` or `5.5.5-11.7.2-MariaDB`.
    pub(crate) fn of(version: &str) -> Self {
        let is_mariadb = version.contains("MariaDB");
        // MariaDB 10 and 11 begin with a version that old clients understand.
        let version = version.strip_prefix("5.5.5-").filter(|_| is_mariadb).unwrap_or(version);
        let mut numbers = version.split(['.', '-']).map(|number| number.parse().unwrap_or(0));
        let version: (u32, u32) =
            (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
        Self { is_mariadb, has_vectors: version >= if is_mariadb { (11, 7) } else { (9, 0) } }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // A farewell keeps the server's log clean; the kernel takes so few bytes without waiting.
        self.wire.part(&[1, 0, 0, 0, 1]);
    }
}

impl Client {
    /// A connection over `stream`, not yet logged in, whose answers may take `wait`.
    pub(crate) fn new(stream: Stream, wait: Duration) -> Self {
        Self {
            wire: Wire::new(VENDOR, stream, wait),
            sequence: 0,
            status: 0,
            warnings: 0,
            statement: 0,
            stage: Stage::Rows,
            server: Server::default(),
            packet_max: 1 << 20,
        }
    }

    /// As [`Wire::allow`].
    pub(crate) fn allow(&mut self, wait: Duration) {
        self.wire.allow(wait);
    }

    pub(crate) fn in_transaction(&self) -> bool {
        self.status & IN_TRANSACTION != 0
    }

    /// The bytes that a range of the inbox means, until the next call.
    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.wire.bytes(range)
    }

    /// Runs a statement and answers its rows, as text.
    pub(crate) fn query(&mut self, sql: &str) -> Result<Vec<TextRow>> {
        Ok(self.run(sql.as_bytes(), None)?.0)
    }

    /// The same, with how many warnings there are.
    pub(crate) fn query_warned(&mut self, sql: &str) -> Result<(Vec<TextRow>, u16)> {
        let (rows, done) = self.run(sql.as_bytes(), None)?;
        Ok((rows, done.warnings))
    }

    /// Runs a statement and answers what it did.
    pub(crate) fn execute(&mut self, sql: &str) -> Result<Done> {
        Ok(self.run(sql.as_bytes(), None)?.1)
    }

    /// The same, for a statement whose values need not be text.
    pub(crate) fn execute_bytes(&mut self, sql: &[u8]) -> Result<Done> {
        Ok(self.run(sql, None)?.1)
    }

    /// Runs a LOAD DATA LOCAL that reads `rows`.
    pub(crate) fn load(&mut self, sql: &str, rows: &[u8]) -> Result<Done> {
        Ok(self.run(sql.as_bytes(), Some(rows))?.1)
    }

    fn run(&mut self, statement: &[u8], file: Option<&[u8]>) -> Result<(Vec<TextRow>, Done)> {
        let mut file = file;
        const QUERY: u8 = 3;
        /// Of a statement that carries rows, its beginning tells.
        const SHOWN: usize = 2000;
        let shown = String::from_utf8_lossy(&statement[..statement.len().min(SHOWN)]);
        log::statement(&shown, Some(&sql::shape(&shown)));
        self.command(QUERY, statement)?;
        let (mut rows, mut done) = (Vec::new(), Done::default());
        loop {
            let body = self.answer()?;
            match self.bytes(body.clone()).first() {
                Some(0) => done = self.done(body)?,
                Some(0xfb) => {
                    // The server asks for a file of this side by a name. There is none, whatever the name:
                    // it gets the rows of a load, and else nothing.
                    let part = self.packet_max.clamp(1, FILE_PART_BYTES);
                    for part in file.take().unwrap_or_default().chunks(part) {
                        self.send(part)?;
                    }
                    self.send(&[])?;
                    continue;
                }
                _ => {
                    rows.clear();
                    let count = Parts::new(self.wire.bytes(body)).length()?;
                    self.definitions(count)?;
                    while let Some(row) = self.text_row(count)? {
                        if rows.len() >= QUERY_ROWS_MAX {
                            let message =
                                format!("a query answered more than {QUERY_ROWS_MAX} rows");
                            return Err(Fault::external("mysql.too_many_rows", message).into());
                        }
                        rows.push(row);
                    }
                    done.warnings = self.warnings;
                }
            }
            if self.status & MORE_RESULTS == 0 {
                return Ok((rows, done));
            }
        }
    }

    fn done(&mut self, body: Range<usize>) -> Result<Done> {
        let mut parts = Parts::new(self.wire.bytes(body));
        parts.number(1)?;
        let rows = parts.length()?;
        parts.length()?;
        let (status, warnings) = (parts.number(2)? as u16, parts.number(2)? as u16);
        self.status = status;
        let rest = parts.rest();
        // Some servers tell the length of the text, others do not.
        let text = Parts::new(rest).text().ok().filter(|text| text.len() + 1 == rest.len());
        Ok(Done { rows, warnings, loaded: numbers(text.unwrap_or(rest)) })
    }

    /// The next row of a query in text form; `None` behind the last.
    fn text_row(&mut self, columns: u64) -> Result<Option<TextRow>> {
        let body = self.answer()?;
        if self.is_end(&body)? {
            return Ok(None);
        }
        let mut parts = Parts::new(self.wire.bytes(body));
        let mut row = Vec::new();
        for _ in 0..columns {
            if parts.rest().first() == Some(&0xfb) {
                parts.number(1)?;
                row.push(None);
            } else {
                row.push(Some(String::from_utf8_lossy(parts.text()?).into_owned()));
            }
        }
        Ok(Some(row))
    }

    /// Whether a packet is the end of rows; its status is kept then.
    fn is_end(&mut self, body: &Range<usize>) -> Result<bool> {
        if self.bytes(body.clone()).first() != Some(&0xfe) || body.len() >= 9 {
            return Ok(false);
        }
        let mut parts = Parts::new(self.wire.bytes(body.clone()));
        parts.number(1)?;
        let (warnings, status) = (parts.number(2)? as u16, parts.number(2)? as u16);
        (self.warnings, self.status) = (warnings, status);
        Ok(true)
    }

    /// The descriptions of so many columns, and the end of them.
    fn definitions(&mut self, count: u64) -> Result<Vec<Definition>> {
        let mut definitions = Vec::new();
        if count == 0 {
            return Ok(definitions);
        }
        loop {
            let body = self.answer()?;
            if self.is_end(&body)? {
                return Ok(definitions);
            }
            definitions.push(Definition::read(self.wire.bytes(body))?);
        }
    }

    /// The columns that `sql` would answer; it is not run.
    pub(crate) fn describe(&mut self, sql: &str) -> Result<Vec<Definition>> {
        let definitions = self.prepare(sql)?;
        self.close_statement()?;
        Ok(definitions)
    }

    fn prepare(&mut self, sql: &str) -> Result<Vec<Definition>> {
        const PREPARE: u8 = 0x16;
        self.command(PREPARE, sql.as_bytes())?;
        let body = self.answer()?;
        let mut parts = Parts::new(self.wire.bytes(body));
        parts.number(1)?;
        self.statement = parts.number(4)? as u32;
        let (columns, parameters) = (parts.number(2)?, parts.number(2)?);
        self.definitions(parameters)?;
        if parameters > 0 {
            self.close_statement()?;
            let message = "the statement has places for values (?), but there are none";
            return Err(Fault::user("mysql.syntax_error", message).into());
        }
        self.definitions(columns)
    }

    fn close_statement(&mut self) -> Result<()> {
        const CLOSE: u8 = 0x19;
        let statement = self.statement.to_le_bytes();
        self.command(CLOSE, &statement)
    }

    /// Begins a query whose rows come in binary form; [`Self::next_rows`] waits for them. Those of one
    /// `series` are explained once.
    pub(crate) fn stream(&mut self, sql: &str, series: &str) -> Result<()> {
        const EXECUTE: u8 = 0x17;
        log::statement(sql, Some(series));
        self.prepare(sql)?;
        let mut body = self.statement.to_le_bytes().to_vec();
        // No cursor, and run once.
        body.extend_from_slice(&[0, 1, 0, 0, 0]);
        self.stage = Stage::Count;
        self.command(EXECUTE, &body)
    }

    /// What came and is not read yet.
    pub(crate) fn unread(&self) -> &[u8] {
        self.wire.unread()
    }

    /// Leaves so many of the unread bytes behind, which were rows.
    pub(crate) fn pass(&mut self, count: usize) {
        self.wire.take(count);
    }

    /// Waits for the next rows of [`Self::stream`], until `deadline`.
    pub(crate) fn next_rows(&mut self, deadline: Instant) -> Result<RowStep> {
        loop {
            if self.stage == Stage::Rows {
                match self.whole()? {
                    Ok(parts) if self.unread()[parts[0].clone()].first() == Some(&0) => {
                        return Ok(RowStep::Rows);
                    }
                    Ok(_) => {}
                    Err(needed) if self.wire.fill(needed, deadline)? => continue,
                    Err(_) => return Ok(RowStep::Idle),
                }
            }
            let Some(body) = self.packet(deadline)? else { return Ok(RowStep::Idle) };
            self.refused(&body)?;
            let is_end = self.stage != Stage::Count && self.is_end(&body)?;
            match self.stage {
                Stage::Count => self.stage = Stage::Columns,
                Stage::Columns if is_end => self.stage = Stage::Rows,
                Stage::Columns => {}
                Stage::Rows if is_end => {
                    self.close_statement()?;
                    return Ok(RowStep::Done);
                }
                Stage::Rows => return Err(broken("a packet that is no row").into()),
            }
        }
    }

    /// Begins an exchange.
    fn command(&mut self, command: u8, body: &[u8]) -> Result<()> {
        self.sequence = 0;
        let mut packet = Vec::with_capacity(body.len() + 1);
        packet.push(command);
        packet.extend_from_slice(body);
        self.send(&packet)
    }

    /// Sends a packet as the next of the exchange.
    pub(crate) fn send(&mut self, body: &[u8]) -> Result<()> {
        let mut rest = body;
        loop {
            let (part, behind) = rest.split_at(rest.len().min(PACKET_BYTES));
            let mut packet = Vec::with_capacity(part.len() + 4);
            packet.extend_from_slice(&(part.len() as u32).to_le_bytes()[..3]);
            packet.push(self.sequence);
            packet.extend_from_slice(part);
            self.sequence = self.sequence.wrapping_add(1);
            self.wire.send(&packet)?;
            rest = behind;
            if part.len() < PACKET_BYTES {
                return Ok(());
            }
        }
    }

    /// The next packet, which is no error of the server.
    pub(crate) fn answer(&mut self) -> Result<Range<usize>> {
        let body = self.packet(self.wire.deadline)?.ok_or_else(|| VENDOR.timed_out())?;
        self.refused(&body)?;
        Ok(body)
    }

    fn refused(&self, body: &Range<usize>) -> Result<()> {
        match self.bytes(body.clone()).split_first() {
            Some((0xff, error)) => Err(Error::Server(Box::new(ServerError::parse(error)?))),
            _ => Ok(()),
        }
    }

    /// The next packet; `None` where it did not come until `deadline`.
    fn packet(&mut self, deadline: Instant) -> Result<Option<Range<usize>>> {
        loop {
            match self.buffered()? {
                Ok(body) => return Ok(Some(body)),
                Err(needed) => {
                    if !self.wire.fill(needed, deadline)? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Where the parts of the next packet lie in the unread bytes, where all of it is there; else how many
    /// bytes are needed for it.
    fn whole(&self) -> Result<std::result::Result<Vec<Range<usize>>, usize>> {
        let unread = self.wire.unread();
        let (mut at, mut parts) = (0, Vec::with_capacity(1));
        loop {
            let Some(head) = unread.get(at..at + HEAD) else { return Ok(Err(at + HEAD)) };
            let length = Parts::new(head).number(3)? as usize;
            let end = at + HEAD + length;
            if end > ROW_BYTES_MAX {
                return Err(broken("a row of impossible length").into());
            }
            if unread.len() < end {
                return Ok(Err(end));
            }
            parts.push(at + HEAD..end);
            at = end;
            if length < PACKET_BYTES {
                return Ok(Ok(parts));
            }
        }
    }

    /// The next packet, where all of it is in the inbox; else how many bytes are needed for it.
    fn buffered(&mut self) -> Result<std::result::Result<Range<usize>, usize>> {
        let parts = match self.whole()? {
            Ok(parts) => parts,
            Err(needed) => return Ok(Err(needed)),
        };
        let last = &parts[parts.len() - 1];
        // The number of a packet stands before its body.
        self.sequence = self.unread()[last.start - 1].wrapping_add(1);
        let base = self.wire.take(last.end).start;
        let start = base + HEAD;
        let mut end = start;
        for part in parts {
            // Where there are several, their heads go.
            let (from, to) = (base + part.start, base + part.end);
            if from != end {
                self.wire.shift(from..to, end);
            }
            end += to - from;
        }
        Ok(Ok(start..end))
    }
}

/// The numbers in a text of any language, where there are four.
fn numbers(text: &[u8]) -> Option<[u64; 4]> {
    let text = std::str::from_utf8(text).ok()?;
    let parts = text.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    parts.map(|part| part.parse().ok()).collect::<Option<Vec<_>>>()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_loaded_is_told_in_any_language() {
        let cases = [
            ("Records: 1000  Deleted: 2  Skipped: 0  Warnings: 1", Some([1000, 2, 0, 1])),
            (
                "Datens\u{e4}tze: 3  Gel\u{f6}scht: 0  Ausgelassen: 0  Warnungen: 0",
                Some([3, 0, 0, 0]),
            ),
            ("Records: 3  Duplicates: 0  Warnings: 0", None),
            ("", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(numbers(text.as_bytes()), wanted, "{text}");
        }
    }
}
