//! A blocking connection whose answers are read in place.
//!
//! Blocking, because one session does one thing at a time and the host suspends a guest that waits.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::time::{Duration, Instant};

use sdk::Result;

use crate::Vendor;
use crate::tls::TlsStream;

/// Space for what the server sends; many rows fit.
const INBOX_BYTES: usize = 256 << 10;

/// A stream to the server, encrypted or not.
pub enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream>),
}

impl Stream {
    pub fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref(),
        }
    }

    pub fn is_encrypted(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// # Errors
    /// Those of the socket; `WouldBlock` or `TimedOut` behind its time-out.
    pub fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }

    /// # Errors
    /// Those of the socket.
    pub fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }
}

/// A stream with what came over it and is not read yet.
pub struct Wire {
    pub stream: Stream,
    vendor: Vendor,
    inbox: Vec<u8>,
    /// The unread part of the inbox.
    unread: Range<usize>,
    read_timeout: Option<Duration>,
    /// When the answers of this call must be there.
    pub deadline: Instant,
}

impl Wire {
    /// A connection whose answers may take `wait`.
    pub fn new(vendor: Vendor, stream: Stream, wait: Duration) -> Self {
        Self {
            stream,
            vendor,
            inbox: vec![0; INBOX_BYTES],
            unread: 0..0,
            read_timeout: None,
            deadline: Instant::now() + wait,
        }
    }

    /// Lets all answers from now on take `wait` together, until it is called again: once a call of the
    /// host.
    pub fn allow(&mut self, wait: Duration) {
        self.deadline = Instant::now() + wait;
    }

    /// What came and is not read yet.
    pub fn unread(&self) -> &[u8] {
        &self.inbox[self.unread.clone()]
    }

    /// Takes so many of the unread bytes, and answers where in the inbox they are.
    pub fn take(&mut self, count: usize) -> Range<usize> {
        let start = self.unread.start;
        self.unread.start += count;
        start..start + count
    }

    /// Bytes of the inbox, good until more is read.
    pub fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.inbox[range]
    }

    /// Moves bytes that were taken to an earlier place in the inbox.
    pub fn shift(&mut self, from: Range<usize>, to: usize) {
        self.inbox.copy_within(from, to);
    }

    /// # Errors
    /// The vendor's `timed_out` behind the deadline, `connection_lost`.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        if Instant::now() >= self.deadline {
            return Err(self.vendor.timed_out());
        }
        self.stream.write_all(bytes).map_err(|error| self.vendor.lost(error))
    }

    /// A farewell, whose failure matters to nobody.
    pub fn part(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Reads more, with room for `needed` unread bytes; false where nothing came until `deadline`.
    ///
    /// # Errors
    /// The vendor's `connection_lost`.
    pub fn fill(&mut self, needed: usize, deadline: Instant) -> Result<bool> {
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
            Ok(0) => Err(self.vendor.lost("the server closed it")),
            Ok(count) => {
                self.unread.end += count;
                Ok(true)
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => Ok(Instant::now() < deadline),
                ErrorKind::Interrupted => Ok(true),
                _ => Err(self.vendor.lost(error)),
            },
        }
    }

    /// Sets the time-out where it differs by enough to matter: each setting costs a call.
    fn set_read_timeout(&mut self, wait: Duration) -> Result<()> {
        let near = |now: Duration| now.abs_diff(wait) <= wait / 8;
        if self.read_timeout.is_some_and(near) {
            return Ok(());
        }
        let set = self.stream.socket().set_read_timeout(Some(wait));
        set.map_err(|error| self.vendor.lost(error))?;
        self.read_timeout = Some(wait);
        Ok(())
    }
}
