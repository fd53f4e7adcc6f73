//! A connection to the server: MySQL's protocol, version 10, over a blocking stream.
//!
//! Blocking, because one session does one thing at a time and the host suspends a guest that waits.
//! Rows are read in place, straight from the buffer of the socket. How a session begins is in
//! [`crate::login`].
//!
//! After an [`Error::Fault`] the connection is of no more use; after an [`Error::Server`] it is.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::time::{Duration, Instant};

use sdk::Fault;

use crate::error::{Error, Result, ServerError, broken, lost};
use crate::note;
use crate::sql;
use crate::types::Definition;
use crate::wire::Parts;

/// All answers of one call in the middle of a task: shorter than the host's limit of a call, so that the
/// user gets a sentence.
pub(crate) const ANSWER_WAIT: Duration = Duration::from_secs(50);
/// Statements of the user, DDL and commits, in calls which the host lets take as long as a run.
pub(crate) const STATEMENT_WAIT: Duration = Duration::from_secs(24 * 3600);
/// Space for what the server sends; many rows fit.
const INBOX_BYTES: usize = 256 << 10;
/// A packet at most; what is longer comes in several.
const PACKET_BYTES: usize = 0xff_ffff;
/// One row at most; a longer one doesn't fit into a guest either.
const ROW_BYTES_MAX: usize = 256 << 20;
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
}

/// What comes next of a query's rows.
pub(crate) enum RowStep {
    /// Bytes of the inbox; see [`Client::bytes`].
    Row(Range<usize>),
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
    stream: TcpStream,
    inbox: Vec<u8>,
    /// The unread part of the inbox.
    unread: Range<usize>,
    read_timeout: Option<Duration>,
    /// The number of the next packet in this exchange.
    sequence: u8,
    status: u16,
    /// The statement whose rows are being read.
    statement: u32,
    stage: Stage,
    pub(crate) is_mariadb: bool,
    /// The longest statement that the server takes.
    pub(crate) packet_max: usize,
    /// When the answers of this call must be there; see [`Self::allow`].
    deadline: Instant,
}

impl Drop for Client {
    fn drop(&mut self) {
        // A farewell keeps the server's log clean; the kernel takes so few bytes without waiting.
        let _ = self.stream.write_all(&[1, 0, 0, 0, 1]);
    }
}

impl Client {
    /// A connection over `stream`, not yet logged in, whose answers may take `wait`.
    pub(crate) fn new(stream: TcpStream, wait: Duration) -> Self {
        Self {
            stream,
            inbox: vec![0; INBOX_BYTES],
            unread: 0..0,
            read_timeout: None,
            sequence: 0,
            status: 0,
            statement: 0,
            stage: Stage::Rows,
            is_mariadb: false,
            packet_max: 1 << 20,
            deadline: Instant::now() + wait,
        }
    }

    /// Lets all answers from now on take `wait` together, until it is called again: once a call of the
    /// host.
    pub(crate) fn allow(&mut self, wait: Duration) {
        self.deadline = Instant::now() + wait;
    }

    pub(crate) fn in_transaction(&self) -> bool {
        self.status & IN_TRANSACTION != 0
    }

    /// The bytes that a range of the inbox means, until the next call.
    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.inbox[range]
    }

    /// Runs a statement and answers its rows, as text.
    pub(crate) fn query(&mut self, sql: &str) -> Result<Vec<TextRow>> {
        Ok(self.run(sql.as_bytes())?.0)
    }

    /// Runs a statement and answers what it did.
    pub(crate) fn execute(&mut self, sql: &str) -> Result<Done> {
        Ok(self.run(sql.as_bytes())?.1)
    }

    /// The same, for a statement whose values need not be text.
    pub(crate) fn execute_bytes(&mut self, sql: &[u8]) -> Result<Done> {
        Ok(self.run(sql)?.1)
    }

    fn run(&mut self, statement: &[u8]) -> Result<(Vec<TextRow>, Done)> {
        const QUERY: u8 = 3;
        /// Of a statement that carries rows, its beginning tells.
        const SHOWN: usize = 2000;
        let shown = String::from_utf8_lossy(&statement[..statement.len().min(SHOWN)]);
        note::statement(&shown, &sql::shape(&shown));
        self.command(QUERY, statement)?;
        let (mut rows, mut done) = (Vec::new(), Done::default());
        loop {
            let body = self.answer()?;
            match self.inbox[body.clone()].first() {
                Some(0) => done = self.done(body)?,
                Some(0xfb) => {
                    // The server asks for a file of this side, which it never gets.
                    self.send(&[])?;
                    continue;
                }
                _ => {
                    rows.clear();
                    let count = Parts::new(&self.inbox[body]).length()?;
                    self.definitions(count)?;
                    while let Some(row) = self.text_row(count)? {
                        if rows.len() >= QUERY_ROWS_MAX {
                            let message =
                                format!("a query answered more than {QUERY_ROWS_MAX} rows");
                            return Err(Fault::external("mysql.too_many_rows", message).into());
                        }
                        rows.push(row);
                    }
                }
            }
            if self.status & MORE_RESULTS == 0 {
                return Ok((rows, done));
            }
        }
    }

    fn done(&mut self, body: Range<usize>) -> Result<Done> {
        let mut parts = Parts::new(&self.inbox[body]);
        parts.number(1)?;
        let rows = parts.length()?;
        parts.length()?;
        let (status, warnings) = (parts.number(2)? as u16, parts.number(2)? as u16);
        self.status = status;
        Ok(Done { rows, warnings })
    }

    /// The next row of a query in text form; `None` behind the last.
    fn text_row(&mut self, columns: u64) -> Result<Option<TextRow>> {
        let body = self.answer()?;
        if self.is_end(&body)? {
            return Ok(None);
        }
        let mut parts = Parts::new(&self.inbox[body]);
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
        if self.inbox[body.start..body.end].first() != Some(&0xfe) || body.len() >= 9 {
            return Ok(false);
        }
        let mut parts = Parts::new(&self.inbox[body.clone()]);
        parts.bytes(3)?;
        self.status = parts.number(2)? as u16;
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
            definitions.push(Definition::read(&self.inbox[body])?);
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
        let mut parts = Parts::new(&self.inbox[body]);
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

    /// Begins a query whose rows come in binary form; [`Self::next_row`] answers them. Those of one
    /// `series` are explained once.
    pub(crate) fn stream(&mut self, sql: &str, series: &str) -> Result<()> {
        const EXECUTE: u8 = 0x17;
        note::statement(sql, series);
        self.prepare(sql)?;
        let mut body = self.statement.to_le_bytes().to_vec();
        // No cursor, and run once.
        body.extend_from_slice(&[0, 1, 0, 0, 0]);
        self.stage = Stage::Count;
        self.command(EXECUTE, &body)
    }

    /// The next row of [`Self::stream`], until `deadline`.
    pub(crate) fn next_row(&mut self, deadline: Instant) -> Result<RowStep> {
        loop {
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
                Stage::Rows => return Ok(RowStep::Row(body)),
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
            if Instant::now() >= self.deadline {
                return Err(timed_out().into());
            }
            let mut packet = Vec::with_capacity(part.len() + 4);
            packet.extend_from_slice(&(part.len() as u32).to_le_bytes()[..3]);
            packet.push(self.sequence);
            packet.extend_from_slice(part);
            self.sequence = self.sequence.wrapping_add(1);
            self.stream.write_all(&packet).map_err(lost)?;
            rest = behind;
            if part.len() < PACKET_BYTES {
                return Ok(());
            }
        }
    }

    /// The next packet, which is no error of the server.
    pub(crate) fn answer(&mut self) -> Result<Range<usize>> {
        let body = self.packet(self.deadline)?.ok_or_else(timed_out)?;
        self.refused(&body)?;
        Ok(body)
    }

    fn refused(&self, body: &Range<usize>) -> Result<()> {
        let bytes = &self.inbox[body.clone()];
        if bytes.first() != Some(&0xff) {
            return Ok(());
        }
        let mut parts = Parts::new(&bytes[1..]);
        let number = parts.number(2)? as u16;
        let rest = parts.rest();
        // A mark and the SQLSTATE stand before the message.
        let message = if rest.first() == Some(&b'#') { rest.get(6..) } else { Some(rest) };
        let message = String::from_utf8_lossy(message.unwrap_or_default()).into_owned();
        Err(Error::Server(ServerError { number, message }))
    }

    /// The next packet; `None` where it did not come until `deadline`.
    fn packet(&mut self, deadline: Instant) -> Result<Option<Range<usize>>> {
        loop {
            match self.buffered()? {
                Ok(body) => return Ok(Some(body)),
                Err(needed) => {
                    if !self.fill(needed, deadline)? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// The next packet, where all of it is in the inbox; else how many bytes are needed for it.
    fn buffered(&mut self) -> Result<std::result::Result<Range<usize>, usize>> {
        const HEAD: usize = 4;
        let unread = &self.inbox[self.unread.clone()];
        let (mut at, mut parts) = (0, Vec::new());
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
            self.sequence = head[3].wrapping_add(1);
            parts.push(at + HEAD..end);
            at = end;
            if length < PACKET_BYTES {
                break;
            }
        }
        let base = self.unread.start;
        let start = base + HEAD;
        let mut end = start;
        for part in parts {
            // Where there are several, their heads go.
            let (from, to) = (base + part.start, base + part.end);
            if from != end {
                self.inbox.copy_within(from..to, end);
            }
            end += to - from;
        }
        self.unread.start += at;
        Ok(Ok(start..end))
    }

    /// Reads more, with room for `needed` unread bytes; false where nothing came until `deadline`.
    fn fill(&mut self, needed: usize, deadline: Instant) -> Result<bool> {
        if self.unread.is_empty() {
            self.unread = 0..0;
        }
        if self.inbox.len() - self.unread.start < needed || self.unread.end == self.inbox.len() {
            self.inbox.copy_within(self.unread.clone(), 0);
            self.unread = 0..self.unread.len();
        }
        if self.inbox.len() < needed {
            self.inbox.resize(needed.next_multiple_of(INBOX_BYTES), 0);
        }
        // A timeout of zero would mean none.
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        self.set_read_timeout(left)?;
        match self.stream.read(&mut self.inbox[self.unread.end..]) {
            Ok(0) => Err(lost("the server closed it").into()),
            Ok(count) => {
                self.unread.end += count;
                Ok(true)
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => Ok(Instant::now() < deadline),
                ErrorKind::Interrupted => Ok(true),
                _ => Err(lost(error).into()),
            },
        }
    }

    /// Sets the time-out where it differs by enough to matter: each setting costs a call.
    fn set_read_timeout(&mut self, wait: Duration) -> Result<()> {
        let near = |now: Duration| now.abs_diff(wait) <= wait / 8;
        if self.read_timeout.is_some_and(near) {
            return Ok(());
        }
        self.stream.set_read_timeout(Some(wait)).map_err(lost)?;
        self.read_timeout = Some(wait);
        Ok(())
    }
}

fn timed_out() -> Fault {
    Fault::external("mysql.timed_out", "the server did not answer in time")
        .hint("the server is overloaded, waits for a lock, or the network drops packets")
        .retry_after(0)
}
