//! How a session begins: the greeting, the login, and the settings that hold in it.

use std::io::{Read, Write};
use std::net::TcpStream;

use database::settings::Login;
use database::tls::{self, Mode, Security};
use database::{ANSWER_WAIT, LOGIN_WAIT, Spoken, Stream};
use sdk::Fault;

use crate::auth;
use crate::client::{Client, Server};
use crate::error::{Result, ServerError, VENDOR, broken};
use crate::settings::Connection;
use crate::wire::Parts;

/// Long flags, found rows as affected, a database, protocol 4.1, transactions, several results, and
/// a plug-in for the login.
const CAPABILITIES: u32 =
    0x1 | 0x2 | 0x4 | 0x8 | 0x80 | 0x200 | 0x2000 | 0x8000 | 0x2_0000 | 0x8_0000;
/// The capability of TLS.
const TLS: u32 = 0x800;

/// Settings that hold in every session: texts are UTF-8, instants UTC, what does not fit is refused and
/// never cut, a key of 0 is a key of 0, and nobody ends a session that waits for the other side.
const SETTINGS: &str = "SET NAMES utf8mb4, time_zone = '+00:00', \
    sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION', \
    net_write_timeout = 86400, net_read_timeout = 86400, wait_timeout = 86400, \
    innodb_lock_wait_timeout = 40, autocommit = 1";

/// What holds whatever the user's statements say: how instants and texts are read and written, and that
/// no value is cut.
const FIXED: &str = "SET NAMES utf8mb4, time_zone = '+00:00', autocommit = 1, \
    sql_mode = CONCAT_WS(',', REPLACE(@@sql_mode, 'NO_BACKSLASH_ESCAPES', ''), 'STRICT_ALL_TABLES')";

impl Client {
    /// Reaches the server, logs in, and runs the statements of `session`.
    ///
    /// # Errors
    /// Those of `sdk::net::connect`, `mysql.authentication_failed`, `mysql.database_not_found` and other
    /// words of the server.
    pub(crate) fn connect(connection: &Connection, session: &[String]) -> Result<Self, Fault> {
        let login = connection.login()?;
        let security = connection.security()?;
        let lost = |error| VENDOR.lost(error);
        let mut stream = sdk::net::connect(login.host, login.port, LOGIN_WAIT)?;
        stream.set_read_timeout(Some(LOGIN_WAIT)).map_err(lost)?;
        stream.set_write_timeout(Some(ANSWER_WAIT)).map_err(lost)?;
        let greeting = Greeting::receive(&mut stream)?;
        let stream = encrypted(stream, login.host, security, &greeting)?;
        let is_encrypted = stream.is_encrypted();
        let mut client = Self::new(stream, LOGIN_WAIT);
        client.sequence = if is_encrypted { 2 } else { 1 };
        client.server = Server::of(&greeting.version);
        let way = Way {
            is_verified: is_encrypted && security.verifies(),
            takes_any_key: connection.takes_any_key(),
        };
        client.log_in(&login, greeting, way)?;
        client.allow(ANSWER_WAIT);
        client.settle(session)?;
        client.allow(ANSWER_WAIT);
        Ok(client)
    }

    fn log_in(&mut self, login: &Login<'_>, greeting: Greeting, way: Way) -> Result<()> {
        let Greeting { mut plugin, mut scramble, .. } = greeting;
        let mut proof = auth::prove(&plugin, login.password, &scramble);
        if proof.is_none() {
            // The server names another way where the user has one.
            (plugin, proof) = (auth::NATIVE.to_owned(), Some(Vec::new()));
        }
        self.send(&response(login, &plugin, &proof.unwrap_or_default()))?;
        loop {
            let body = self.answer()?;
            let body = self.bytes(body).to_vec();
            match body.split_first() {
                Some((0, _)) => return Ok(()),
                Some((0xfe, rest)) => {
                    let mut parts = Parts::new(rest);
                    plugin = String::from_utf8_lossy(parts.until_zero()).into_owned();
                    scramble = parts.rest().strip_suffix(&[0]).unwrap_or(parts.rest()).to_vec();
                    if plugin == auth::CLEAR && way.is_verified {
                        self.send_clear(login)?;
                        continue;
                    }
                    let proof = auth::prove(&plugin, login.password, &scramble);
                    self.send(&proof.ok_or_else(|| auth::unsupported(&plugin))?)?;
                }
                // caching_sha2_password: 3 means that the proof was enough, 4 that the server does not
                // know the password's hash yet.
                Some((1, [3])) => {}
                Some((1, [4])) if self.wire.stream.is_encrypted() => self.send_clear(login)?,
                Some((1, [4])) if way.takes_any_key => self.send_sealed(login, &scramble)?,
                Some((1, [4])) => return Err(auth::needs_encryption().into()),
                _ => return Err(broken("an unexpected answer to the login").into()),
            }
        }
    }

    /// Sends the password itself.
    fn send_clear(&mut self, login: &Login<'_>) -> Result<()> {
        self.send(&[login.password.as_bytes(), &[0]].concat())
    }

    /// Sends the password, encrypted with the key that the server answers.
    fn send_sealed(&mut self, login: &Login<'_>, scramble: &[u8]) -> Result<()> {
        const ASK_FOR_KEY: u8 = 2;
        self.send(&[ASK_FOR_KEY])?;
        let body = self.answer()?;
        let sealed = match self.bytes(body).split_first() {
            Some((1, key)) => auth::seal(login.password, scramble, key)?,
            _ => return Err(broken("no key where one was asked for").into()),
        };
        self.send(&sealed)
    }

    fn settle(&mut self, session: &[String]) -> Result<()> {
        self.execute(SETTINGS)?;
        let limit =
            if self.server.is_mariadb { "max_statement_time" } else { "max_execution_time" };
        self.execute(&format!("SET SESSION {limit} = 0"))?;
        let rows = self.query("SELECT @@max_allowed_packet")?;
        let packet = rows.first().and_then(|row| row.first()?.as_deref()?.parse().ok());
        self.packet_max = packet.unwrap_or(self.packet_max);
        for (index, statement) in session.iter().enumerate() {
            self.execute(statement)
                .map_err(|error| error.at(&format!("/parameter/session/{index}")))?;
        }
        self.execute(FIXED)?;
        Ok(())
    }
}

/// What may travel to the server.
#[derive(Clone, Copy)]
struct Way {
    /// The connection is encrypted, and the server has shown who it is.
    is_verified: bool,
    /// A password may be encrypted with whatever key the server sends.
    takes_any_key: bool,
}

/// The beginning of an answer to the greeting; all of it is a request for TLS.
fn head(capabilities: u32) -> Vec<u8> {
    const UTF8MB4: u8 = 45;
    const PACKET: u32 = 1 << 30;
    let mut body = capabilities.to_le_bytes().to_vec();
    body.extend_from_slice(&PACKET.to_le_bytes());
    body.push(UTF8MB4);
    body.extend_from_slice(&[0; 23]);
    body
}

/// The login.
fn response(login: &Login<'_>, plugin: &str, proof: &[u8]) -> Vec<u8> {
    let mut body = head(CAPABILITIES);
    body.extend_from_slice(login.username.as_bytes());
    body.extend_from_slice(&[0, proof.len() as u8]);
    body.extend_from_slice(proof);
    for text in [login.database, plugin] {
        body.extend_from_slice(text.as_bytes());
        body.push(0);
    }
    body
}

/// Begins TLS as the data source says, where the server offers it.
fn encrypted(
    mut stream: TcpStream,
    host: &str,
    security: Security<'_>,
    greeting: &Greeting,
) -> Result<Stream, Fault> {
    if security.mode == Mode::Disable {
        return Ok(Stream::Plain(stream));
    }
    if greeting.capabilities & TLS == 0 {
        return security.without(VENDOR).map(|()| Stream::Plain(stream));
    }
    let head = head(CAPABILITIES | TLS);
    let request = [&[head.len() as u8, 0, 0, 1], head.as_slice()].concat();
    stream.write_all(&request).map_err(|error| VENDOR.lost(error))?;
    Ok(Stream::Tls(Box::new(tls::begin(VENDOR, stream, host, security)?)))
}

/// What the server says first.
struct Greeting {
    version: String,
    capabilities: u32,
    scramble: Vec<u8>,
    plugin: String,
}

impl Greeting {
    /// Reads it, and not a byte more: what follows may be TLS.
    fn receive(stream: &mut TcpStream) -> Result<Self, Fault> {
        const BYTES_MAX: usize = 4096;
        let lost = |error| VENDOR.lost(error);
        let mut head = [0; 4];
        stream.read_exact(&mut head).map_err(lost)?;
        let length = Parts::new(&head).number(3)? as usize;
        if length > BYTES_MAX {
            return Err(broken("a greeting of impossible length"));
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).map_err(lost)?;
        match body.split_first() {
            Some((0xff, error)) => Err(ServerError::parse(error)?.fault()),
            _ => Self::read(&body),
        }
    }

    fn read(body: &[u8]) -> Result<Self, Fault> {
        const VERSION: u64 = 10;
        let mut parts = Parts::new(body);
        if parts.number(1)? != VERSION {
            return Err(broken("the greeting is of another version"));
        }
        let version = String::from_utf8_lossy(parts.until_zero()).into_owned();
        parts.bytes(4)?;
        let mut scramble = parts.bytes(8)?.to_vec();
        parts.bytes(1)?;
        let low = parts.number(2)? as u32;
        parts.bytes(1 + 2)?;
        let capabilities = low | (parts.number(2)? as u32) << 16;
        let length = parts.number(1)? as usize;
        parts.bytes(10)?;
        let second = parts.bytes(length.saturating_sub(8).max(13))?;
        scramble.extend_from_slice(second.strip_suffix(&[0]).unwrap_or(second));
        let plugin = String::from_utf8_lossy(parts.until_zero()).into_owned();
        Ok(Self { version, capabilities, scramble, plugin })
    }
}
