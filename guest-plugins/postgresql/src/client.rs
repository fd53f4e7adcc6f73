//! A connection to the server: PostgreSQL's protocol, version 3, over a blocking stream.
//!
//! The framing is here, because a COPY is read best in place, straight from the buffer of the socket.
//! `postgres-protocol` writes the messages. How a session begins is in [`crate::login`].
//!
//! After an [`Error::Fault`] the connection is of no more use; after an [`Error::Server`] it is.

use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use database::{Stream, Wire};
use postgres_protocol::message::frontend;
use sdk::{Fault, log};

use crate::error::{Error, Result, ServerError, VENDOR, broken};
use crate::sql;

/// One message of the server at most; a row beyond it doesn't fit into a guest either.
const MESSAGE_BYTES_MAX: usize = 256 << 20;
/// Tag and length of a message.
const HEAD_BYTES: usize = 5;
/// Rows of a catalog query at most, so that no answer fills the memory.
const QUERY_ROWS_MAX: usize = 100_000;

/// A row of a query, as text.
pub(crate) type TextRow = Vec<Option<String>>;

/// Whether a query's answer is one value, and that is true.
pub(crate) fn is_true(rows: &[TextRow]) -> bool {
    rows.first().and_then(|row| row.first()?.as_deref()) == Some("t")
}

/// A column of a statement's result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) name: String,
    /// The table and the column in it that the value comes from; 0 for an expression.
    pub(crate) table: u32,
    pub(crate) attribute: i16,
    pub(crate) type_oid: u32,
    pub(crate) typmod: i32,
}

/// What comes next in a COPY from the server.
pub(crate) enum CopyStep {
    /// More of its messages came; see [`Client::unread`].
    More,
    /// The COPY is complete.
    Done,
    /// Nothing came within the wait.
    Idle,
}

/// A connection that is logged in.
pub(crate) struct Client {
    pub(crate) wire: Wire,
    outbox: BytesMut,
    /// The server's word for where it is: `I` idle, `T` in a transaction, `E` in a failed one.
    status: u8,
    /// What the server said before it ended the session.
    last_words: Option<ServerError>,
    /// The server's version as a number, such as 150004.
    pub(crate) version: u32,
}

impl Drop for Client {
    fn drop(&mut self) {
        // A farewell keeps the server's log clean; the kernel takes so few bytes without waiting.
        self.outbox.clear();
        frontend::terminate(&mut self.outbox);
        self.wire.part(&self.outbox);
    }
}

impl Client {
    /// A connection over `stream`, not yet logged in, whose answers may take `wait`.
    pub(crate) fn new(stream: Stream, wait: Duration) -> Self {
        Self {
            wire: Wire::new(VENDOR, stream, wait),
            outbox: BytesMut::new(),
            status: b'I',
            last_words: None,
            version: 0,
        }
    }

    /// As [`Wire::allow`].
    pub(crate) fn allow(&mut self, wait: Duration) {
        self.wire.allow(wait);
    }

    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    /// Whether a transaction is open, failed or not.
    pub(crate) fn in_transaction(&self) -> bool {
        self.status != b'I'
    }

    /// Runs statements and answers the rows of the last that has any, as text.
    pub(crate) fn query(&mut self, sql: &str) -> Result<Vec<TextRow>> {
        Ok(self.run(sql)?.0)
    }

    /// Runs statements and answers how many rows the last one touched.
    pub(crate) fn execute(&mut self, sql: &str) -> Result<u64> {
        Ok(self.run(sql)?.1)
    }

    fn run(&mut self, sql: &str) -> Result<(Vec<TextRow>, u64)> {
        log::statement(sql, Some(&sql::shape(sql)));
        self.send(|out| frontend::query(sql, out))?;
        let (mut rows, mut touched, mut error) = (Vec::new(), 0, None);
        loop {
            let (tag, body) = self.answer()?;
            match tag {
                b'T' => rows.clear(),
                b'D' if rows.len() >= QUERY_ROWS_MAX => {
                    let message = format!("a query answered more than {QUERY_ROWS_MAX} rows");
                    return Err(Fault::external("postgresql.too_many_rows", message).into());
                }
                b'D' => rows.push(text_row(self.wire.bytes(body))?),
                b'C' => touched = touched_rows(self.wire.bytes(body)),
                b'E' => error = error.or(Some(ServerError::parse(self.wire.bytes(body)))),
                b'G' => self.send(|out| frontend::copy_fail("there are no rows here", out))?,
                b'Z' => break,
                _ => {}
            }
        }
        match error {
            Some(error) => Err(Error::Server(Box::new(error))),
            None => Ok((rows, touched)),
        }
    }

    /// The columns that `sql` would answer; it is not run.
    pub(crate) fn describe(&mut self, sql: &str) -> Result<Vec<Described>> {
        self.send(|out| {
            frontend::parse("", sql, [], out)?;
            frontend::describe(b'S', "", out)?;
            frontend::sync(out);
            Ok(())
        })?;
        let (mut columns, mut error) = (Vec::new(), None);
        loop {
            let (tag, body) = self.answer()?;
            match tag {
                b'T' => columns = described(self.wire.bytes(body))?,
                b'E' => error = error.or(Some(ServerError::parse(self.wire.bytes(body)))),
                b'Z' => break,
                _ => {}
            }
        }
        match error {
            Some(error) => Err(Error::Server(Box::new(error))),
            None => Ok(columns),
        }
    }

    /// Begins `statement`, a `COPY … FROM STDIN`, to which [`Self::copy_send`] sends rows.
    pub(crate) fn copy_in(&mut self, statement: &str) -> Result<()> {
        log::statement(statement, Some(&sql::shape(statement)));
        self.send(|out| frontend::query(statement, out))?;
        let mut error = None;
        loop {
            let (tag, body) = self.answer()?;
            match tag {
                b'G' => return Ok(()),
                b'E' => error = error.or(Some(ServerError::parse(self.wire.bytes(body)))),
                b'Z' => break,
                _ => {}
            }
        }
        Err(error.map_or_else(|| broken("no COPY").into(), |error| Error::Server(Box::new(error))))
    }

    /// Sends bytes of a COPY, without waiting for what the server says of them.
    pub(crate) fn copy_send(&mut self, data: &[u8]) -> Result<()> {
        /// A COPY needs no alignment of its messages; large ones are buffered whole by the server. With
        /// its head a message is what one call of WASI's sends.
        const CHUNK_BYTES: usize = (64 << 10) - 5;
        for chunk in data.chunks(CHUNK_BYTES) {
            self.outbox.clear();
            put_copy_data(chunk, &mut self.outbox);
            self.wire.send(&self.outbox)?;
        }
        Ok(())
    }

    /// Ends the COPY with its last bytes, and answers how many rows were taken. Where the server has
    /// given up before, it passes over all that comes behind.
    pub(crate) fn copy_end(&mut self, trailer: &[u8]) -> Result<u64> {
        self.outbox.clear();
        put_copy_data(trailer, &mut self.outbox);
        frontend::copy_done(&mut self.outbox);
        self.wire.send(&self.outbox)?;
        let (mut taken, mut error) = (0, None);
        loop {
            let (tag, body) = self.answer()?;
            match tag {
                b'C' => taken = touched_rows(self.wire.bytes(body)),
                b'E' => error = error.or(Some(ServerError::parse(self.wire.bytes(body)))),
                b'Z' => break,
                _ => {}
            }
        }
        error.map_or(Ok(taken), |error| Err(Error::Server(Box::new(error))))
    }

    /// Begins a `COPY … TO STDOUT`; its messages are read by [`Self::unread`] and [`Self::copy_next`]. Those of one `series` are
    /// explained once.
    pub(crate) fn copy_out(&mut self, statement: &str, series: &str) -> Result<()> {
        log::statement(statement, Some(series));
        self.send(|out| frontend::query(statement, out))
    }

    /// What came and is not read yet.
    pub(crate) fn unread(&self) -> &[u8] {
        self.wire.unread()
    }

    /// Counts so many of the unread bytes as read.
    pub(crate) fn pass(&mut self, count: usize) {
        self.wire.take(count);
    }

    /// Waits until `deadline` for more than the rows that were read from [`Self::unread`]; what is no row
    /// is read here.
    pub(crate) fn copy_next(&mut self, deadline: Instant) -> Result<CopyStep> {
        loop {
            let needed = match self.head()? {
                Some((tag, _)) if tag != b'd' => match self.buffered()? {
                    Ok((b'E', body)) => {
                        let error = ServerError::parse(self.wire.bytes(body));
                        self.ready()?;
                        return Err(Error::Server(Box::new(error)));
                    }
                    Ok((b'c', _)) => {
                        self.ready()?;
                        return Ok(CopyStep::Done);
                    }
                    Ok(_) => continue,
                    Err(needed) => needed,
                },
                Some((_, whole)) if whole <= self.unread().len() => return Ok(CopyStep::More),
                Some((_, whole)) => whole,
                None => HEAD_BYTES,
            };
            let filled = self.wire.fill(needed, deadline).map_err(|lost| self.gone(lost))?;
            return Ok(if filled { CopyStep::More } else { CopyStep::Idle });
        }
    }

    /// Waits until the server takes the next statement.
    fn ready(&mut self) -> Result<()> {
        loop {
            match self.answer()? {
                (b'Z', _) => return Ok(()),
                (b'E', body) => {
                    return Err(Error::Server(Box::new(ServerError::parse(self.wire.bytes(body)))));
                }
                _ => {}
            }
        }
    }

    pub(crate) fn send(
        &mut self,
        fill: impl FnOnce(&mut BytesMut) -> std::io::Result<()>,
    ) -> Result<()> {
        self.outbox.clear();
        fill(&mut self.outbox).map_err(|_| {
            Fault::user(
                "postgresql.statement_invalid",
                "a statement holds a zero byte or is too long",
            )
        })?;
        Ok(self.wire.send(&self.outbox)?)
    }

    /// The next message that belongs to the conversation, within what the call allows.
    pub(crate) fn answer(&mut self) -> Result<(u8, Range<usize>)> {
        self.message(self.wire.deadline)?.ok_or_else(|| Error::Fault(VENDOR.timed_out()))
    }

    /// The next message that belongs to the conversation, or `None` after `deadline`. Its range is
    /// good until the next call.
    fn message(&mut self, deadline: Instant) -> Result<Option<(u8, Range<usize>)>> {
        loop {
            match self.buffered()? {
                Ok((b'S' | b'N' | b'A', _)) => {}
                Ok(message) => return Ok(Some(message)),
                Err(needed) => {
                    let filled = self.wire.fill(needed, deadline);
                    if !filled.map_err(|lost| self.gone(lost))? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// The tag of the next message and its length, where its head is in the inbox.
    fn head(&self) -> Result<Option<(u8, usize)>> {
        let Some([tag, length @ ..]) = self.unread().first_chunk::<HEAD_BYTES>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length) as usize;
        if !(4..=MESSAGE_BYTES_MAX).contains(&length) {
            return Err(broken("a message of impossible length").into());
        }
        Ok(Some((*tag, 1 + length)))
    }

    /// The next message, where all of it is in the inbox; else how many bytes are needed for it.
    fn buffered(&mut self) -> Result<Result<(u8, Range<usize>), usize>> {
        let Some((tag, needed)) = self.head()? else { return Ok(Err(HEAD_BYTES)) };
        if self.unread().len() < needed {
            return Ok(Err(needed));
        }
        let whole = self.wire.take(needed);
        let body = whole.start + HEAD_BYTES..whole.end;
        match tag {
            b'Z' => self.status = self.wire.bytes(body.clone()).first().copied().unwrap_or(b'I'),
            b'E' => {
                let error = ServerError::parse(self.wire.bytes(body.clone()));
                self.last_words = Some(error).filter(|error| error.fatal);
            }
            _ => {}
        }
        Ok(Ok((tag, body)))
    }

    /// The connection is gone: the server's last words say best why.
    fn gone(&mut self, lost: Fault) -> Error {
        match self.last_words.take() {
            Some(error) => Error::Server(Box::new(error)),
            None => Error::Fault(lost),
        }
    }
}

/// Appends a message `CopyData`, if there is anything in it.
fn put_copy_data(data: &[u8], out: &mut BytesMut) {
    if !data.is_empty() {
        out.extend_from_slice(b"d");
        out.extend_from_slice(&(data.len() as u32 + 4).to_be_bytes());
        out.extend_from_slice(data);
    }
}

fn text_row(body: &[u8]) -> Result<TextRow> {
    let short = || Error::Fault(broken("a row is too short"));
    let (count, mut rest) = body.split_first_chunk::<2>().ok_or_else(short)?;
    let mut row = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, behind) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        rest = behind;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            row.push(None);
            continue;
        };
        let (text, behind) = rest.split_at_checked(length).ok_or_else(short)?;
        row.push(Some(String::from_utf8_lossy(text).into_owned()));
        rest = behind;
    }
    Ok(row)
}

fn described(body: &[u8]) -> Result<Vec<Described>> {
    let short = || Error::Fault(broken("a description is too short"));
    let (count, mut rest) = body.split_first_chunk::<2>().ok_or_else(short)?;
    let mut columns = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let end = rest.iter().position(|byte| *byte == 0).ok_or_else(short)?;
        let name = String::from_utf8_lossy(&rest[..end]).into_owned();
        let (fixed, behind) = rest[end + 1..].split_first_chunk::<18>().ok_or_else(short)?;
        rest = behind;
        let [t0, t1, t2, t3, a0, a1, o0, o1, o2, o3, _, _, m0, m1, m2, m3, _, _] = *fixed;
        columns.push(Described {
            name,
            table: u32::from_be_bytes([t0, t1, t2, t3]),
            attribute: i16::from_be_bytes([a0, a1]),
            type_oid: u32::from_be_bytes([o0, o1, o2, o3]),
            typmod: i32::from_be_bytes([m0, m1, m2, m3]),
        });
    }
    Ok(columns)
}

/// The number at the end of a command's tag, such as `INSERT 0 5`.
fn touched_rows(body: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(body);
    text.trim_end_matches('\0').rsplit(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0)
}
