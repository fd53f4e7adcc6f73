//! Connections for `ureq`: a socket of this guest, encrypted or not, on which each call has a deadline.

use std::fmt;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use database::tls::{self, Mode, Security};
use database::{LOGIN_WAIT, Stream};
use sdk::Result;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

use crate::error::{VENDOR, carry, lost};
use crate::url::Url;

/// Space for what comes and what goes; a block of a body fits.
const BUFFER_BYTES: usize = 128 << 10;

/// When the answers of this call of the host must be there; shared by all connections of a session.
#[derive(Clone, Debug)]
pub(crate) struct Deadline(Arc<Mutex<Instant>>);

impl Deadline {
    pub(crate) fn after(wait: Duration) -> Self {
        Self(Arc::new(Mutex::new(Instant::now() + wait)))
    }

    /// Lets all from now on take `wait` together, until it is called again.
    pub(crate) fn allow(&self, wait: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + wait;
    }

    pub(crate) fn left(&self) -> Duration {
        let deadline = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        deadline.saturating_duration_since(Instant::now())
    }
}

/// How TLS is spoken.
#[derive(Clone, Debug)]
pub(crate) struct TlsWay {
    pub(crate) mode: Option<Mode>,
    pub(crate) ca: Option<String>,
}

/// Makes connections.
#[derive(Debug)]
pub(crate) struct Connecting {
    pub(crate) tls: TlsWay,
    pub(crate) deadline: Deadline,
}

impl Connecting {
    fn open(&self, uri: &Uri) -> Result<Connection> {
        let origin = Url::parse(&uri.to_string()).map_err(|why| VENDOR.broken(why))?.origin;
        let wait = LOGIN_WAIT.min(self.deadline.left());
        let socket = sdk::net::connect(&origin.host, origin.port, wait)?;
        let stream = if origin.is_https {
            socket.set_read_timeout(Some(LOGIN_WAIT)).map_err(lost)?;
            let anchors = webpki_roots::TLS_SERVER_ROOTS;
            let security = Security::of_web(self.tls.mode, self.tls.ca.as_deref(), anchors);
            Stream::Tls(Box::new(tls::begin(VENDOR, socket, &origin.host, security)?))
        } else {
            Stream::Plain(socket)
        };
        let buffers = LazyBuffers::new(BUFFER_BYTES, BUFFER_BYTES);
        Ok(Connection { stream, buffers, deadline: self.deadline.clone() })
    }
}

impl Connector<()> for Connecting {
    type Out = Connection;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Connection>, ureq::Error> {
        self.open(details.uri).map(Some).map_err(carry)
    }
}

/// One connection.
pub(crate) struct Connection {
    stream: Stream,
    buffers: LazyBuffers,
    deadline: Deadline,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connection")
    }
}

impl Connection {
    /// # Errors
    /// `http.timed_out` behind the deadline.
    fn left(&self) -> Result<Duration, ureq::Error> {
        match self.deadline.left() {
            Duration::ZERO => Err(carry(VENDOR.timed_out())),
            // A time-out of less would be none.
            left => Ok(left.max(Duration::from_millis(1))),
        }
    }
}

impl Transport for Connection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        let left = self.left()?;
        let failed = |error| carry(lost(error));
        self.stream.socket().set_write_timeout(Some(left)).map_err(failed)?;
        self.stream.write_all(&self.buffers.output()[..amount]).map_err(failed)
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        loop {
            let left = self.left()?;
            self.stream
                .socket()
                .set_read_timeout(Some(left))
                .map_err(|error| carry(lost(error)))?;
            match self.stream.read(self.buffers.input_append_buf()) {
                Ok(count) => {
                    self.buffers.input_appended(count);
                    return Ok(count > 0);
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                    _ => return Err(carry(lost(error))),
                },
            }
        }
    }

    /// A guest cannot look without reading; what was closed meanwhile shows at the next request.
    fn is_open(&mut self) -> bool {
        true
    }

    fn is_tls(&self) -> bool {
        self.stream.is_encrypted()
    }
}

/// Names are looked up where a connection is made.
#[derive(Debug)]
pub(crate) struct NoResolver;

impl Resolver for NoResolver {
    fn resolve(
        &self,
        _: &Uri,
        _: &Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}
