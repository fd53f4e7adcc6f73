//! How a session begins: TLS, the login, and the settings that hold in it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::BytesMut;
use database::settings::Login;
use database::tls::{self, Mode, Security};
use database::{ANSWER_WAIT, LOGIN_WAIT, Stream};
use postgres_protocol::authentication::{md5_hash, sasl};
use postgres_protocol::message::frontend;
use sdk::Fault;

use crate::client::Client;
use crate::error::{Error, Result, ServerError, VENDOR, broken};
use crate::settings::Connection;

/// Settings that hold in every session: texts read the same everywhere, the server ends no session that
/// waits for the other side, and notices soon when the network is gone.
const SETTINGS: &[(&str, &str)] = &[
    ("standard_conforming_strings", "on"),
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO"),
    ("IntervalStyle", "postgres"),
    ("bytea_output", "hex"),
    ("xmloption", "content"),
    ("extra_float_digits", "3"),
    ("array_nulls", "on"),
    ("lc_monetary", "C"),
    ("client_min_messages", "error"),
    ("statement_timeout", "0"),
    ("transaction_timeout", "0"),
    ("idle_session_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("tcp_keepalives_idle", "60"),
    ("tcp_keepalives_interval", "10"),
    ("tcp_keepalives_count", "6"),
];

impl Client {
    /// Reaches the server, begins TLS as the data source says, logs in, and runs the statements of
    /// `session`.
    ///
    /// # Errors
    /// Those of `sdk::net::connect`, `postgresql.tls_*`, `postgresql.authentication_failed`,
    /// `postgresql.database_not_found` and other words of the server.
    pub(crate) fn connect(connection: &Connection, session: &[String]) -> Result<Self, Fault> {
        let login = connection.login()?;
        let security = connection.security()?;
        let stream = sdk::net::connect(login.host, login.port, LOGIN_WAIT)?;
        let lost = |error| VENDOR.lost(error);
        stream.set_read_timeout(Some(LOGIN_WAIT)).map_err(lost)?;
        stream.set_write_timeout(Some(ANSWER_WAIT)).map_err(lost)?;
        let stream = encrypted(stream, login.host, security)?;
        let is_verified = stream.is_encrypted() && security.verifies();
        let mut client = Self::new(stream, LOGIN_WAIT);
        let mut parameters = BTreeMap::from([("application_name", "airlock")]);
        let own = connection.properties.iter();
        parameters.extend(own.map(|(name, value)| (name.as_str(), value.as_str())));
        parameters.extend([
            ("user", login.username),
            ("database", login.database),
            ("client_encoding", "UTF8"),
        ]);
        client.send(|out| frontend::startup_message(parameters, out))?;
        client.log_in(&login, is_verified)?;
        client.allow(ANSWER_WAIT);
        client.settle(connection.schema.as_deref(), session)?;
        client.allow(ANSWER_WAIT);
        Ok(client)
    }

    fn log_in(&mut self, login: &Login<'_>, is_verified: bool) -> Result<()> {
        loop {
            let (tag, body) = self.answer()?;
            match tag {
                b'R' => {
                    let body = self.wire.bytes(body).to_vec();
                    self.authenticate(&body, login, is_verified)?;
                }
                b'E' => {
                    return Err(Error::Server(Box::new(ServerError::parse(self.wire.bytes(body)))));
                }
                b'K' | b'v' => {}
                b'Z' => return Ok(()),
                _ => return Err(broken("an unexpected answer to the login").into()),
            }
        }
    }

    fn authenticate(&mut self, body: &[u8], login: &Login<'_>, is_verified: bool) -> Result<()> {
        let password = login.password.as_bytes();
        let short = || Error::Fault(broken("a login message is too short"));
        let (kind, rest) = body.split_first_chunk::<4>().ok_or_else(short)?;
        match u32::from_be_bytes(*kind) {
            0 => Ok(()),
            // Whoever the certificate does not show to be the server may be anyone.
            3 if !is_verified => {
                let message = "the server asks for the password in clear text, and its identity is not checked";
                Err(Fault::external("postgresql.authentication_failed", message)
                    .hint("let the server ask for scram-sha-256, or give the authority of its certificate in \"ssl.ca\"")
                    .into())
            }
            3 => self.send(|out| frontend::password_message(password, out)),
            5 => {
                let salt = *rest.first_chunk::<4>().ok_or_else(short)?;
                let hash = md5_hash(login.username.as_bytes(), password, salt);
                self.send(|out| frontend::password_message(hash.as_bytes(), out))
            }
            10 => self.scram(rest, password),
            kind => {
                let message =
                    format!("the server asks for a kind of login that is not supported ({kind})");
                Err(Fault::external("postgresql.authentication_failed", message)
                    .hint("scram-sha-256 and md5 are")
                    .into())
            }
        }
    }

    fn scram(&mut self, mechanisms: &[u8], password: &[u8]) -> Result<()> {
        const PLAIN: &str = "SCRAM-SHA-256";
        const BOUND: &str = "SCRAM-SHA-256-PLUS";
        let offers = |wanted: &str| {
            mechanisms.split(|byte| *byte == 0).any(|name| name == wanted.as_bytes())
        };
        let end_point = match &self.wire.stream {
            Stream::Tls(stream) => tls::end_point(stream),
            Stream::Plain(_) => None,
        };
        // Bound to the connection, a login is of no use to whoever stands in between. Where the server
        // does not offer that, it is told that it could have, and refuses if it did.
        let (mechanism, binding) = match end_point {
            Some(hash) if offers(BOUND) => {
                (BOUND, sasl::ChannelBinding::tls_server_end_point(hash))
            }
            Some(_) => (PLAIN, sasl::ChannelBinding::unrequested()),
            None => (PLAIN, sasl::ChannelBinding::unsupported()),
        };
        if !offers(mechanism) {
            let message = "the server offers no login by SCRAM-SHA-256";
            return Err(Fault::external("postgresql.authentication_failed", message).into());
        }
        let refused = |error: std::io::Error| {
            Error::Fault(Fault::external(
                "postgresql.authentication_failed",
                format!("the login failed: {error}"),
            ))
        };
        let mut scram = sasl::ScramSha256::new(password, binding);
        self.send(|out| frontend::sasl_initial_response(mechanism, scram.message(), out))?;
        let body = self.sasl_answer(11)?;
        scram.update(&body).map_err(refused)?;
        self.send(|out| frontend::sasl_response(scram.message(), out))?;
        let body = self.sasl_answer(12)?;
        scram.finish(&body).map_err(refused)
    }

    fn sasl_answer(&mut self, expected: u32) -> Result<Vec<u8>> {
        let (tag, body) = self.answer()?;
        let body = self.wire.bytes(body);
        match (tag, body.split_first_chunk::<4>()) {
            (b'E', _) => Err(Error::Server(Box::new(ServerError::parse(body)))),
            (b'R', Some((kind, rest))) if u32::from_be_bytes(*kind) == expected => {
                Ok(rest.to_vec())
            }
            _ => Err(broken("an unexpected answer to the login").into()),
        }
    }

    /// The user's settings, and then those on which the plug-in depends, so that they always hold.
    fn settle(&mut self, schema: Option<&str>, session: &[String]) -> Result<()> {
        let rows = self.query("SHOW server_version_num")?;
        let version = rows.first().and_then(|row| row.first()?.as_deref()?.parse().ok());
        self.version = version.ok_or_else(|| broken("the server has no version"))?;
        if let Some(schema) = schema {
            self.execute(&format!("SET search_path = {}", crate::sql::ident(schema)))?;
        }
        for statement in session {
            self.execute(statement).map_err(|error| error.at("/parameter/session"))?;
        }
        let own: Vec<String> =
            SETTINGS.iter().map(|(name, value)| format!("('{name}', '{value}')")).collect();
        // Not every version has all of them.
        self.query(&format!(
            "SELECT pg_catalog.set_config(s.name, v.value, false) FROM (VALUES {}) AS v (name, value) \
             JOIN pg_catalog.pg_settings s ON pg_catalog.lower(s.name) = pg_catalog.lower(v.name); \
             SELECT pg_catalog.set_config('synchronous_commit', 'on', false) \
             WHERE pg_catalog.current_setting('synchronous_commit') = 'off'",
            own.join(", ")
        ))?;
        // A server that waits for a lock then notices that its client is gone, and lets go; old ones
        // and some platforms can't.
        match self.execute("SET client_connection_check_interval = '5s'") {
            Err(Error::Fault(fault)) => Err(fault.into()),
            Ok(_) | Err(Error::Server(_)) => Ok(()),
        }
    }
}

/// Asks for TLS as the mode says, and begins it.
fn encrypted(mut stream: TcpStream, host: &str, security: Security<'_>) -> Result<Stream, Fault> {
    if security.mode == Mode::Disable {
        return Ok(Stream::Plain(stream));
    }
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    let lost = |error| VENDOR.lost(error);
    stream.write_all(&request).map_err(lost)?;
    // One byte and no more: what follows an `S` is already TLS.
    let mut answer = [0];
    stream.read_exact(&mut answer).map_err(lost)?;
    match answer[0] {
        b'S' => Ok(Stream::Tls(Box::new(tls::begin(VENDOR, stream, host, security)?))),
        b'E' => Err(VENDOR.lost("the server could not begin a session")),
        b'N' => security.without(VENDOR).map(|()| Stream::Plain(stream)),
        _ => Err(broken("an unexpected answer to the request for TLS")),
    }
}
