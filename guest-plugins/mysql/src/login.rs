//! How a session begins: the greeting, the login, and the settings that hold in it.

use std::time::Duration;

use ring::digest;
use sdk::Fault;

use crate::client::{ANSWER_WAIT, Client};
use crate::error::{Result, broken, lost};
use crate::settings::{Connection, Login};
use crate::wire::Parts;

/// Reaching the server, and then all answers of the login.
const LOGIN_WAIT: Duration = Duration::from_secs(20);
/// Long flags, found rows as affected, a database, protocol 4.1, transactions, several results, and
/// a plug-in for the login.
const CAPABILITIES: u32 = 0x1 | 0x2 | 0x4 | 0x8 | 0x200 | 0x2000 | 0x8000 | 0x2_0000 | 0x8_0000;

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
        let stream = sdk::net::connect(login.host, login.port, LOGIN_WAIT)?;
        stream.set_write_timeout(Some(ANSWER_WAIT)).map_err(lost)?;
        let mut client = Self::new(stream, LOGIN_WAIT);
        client.log_in(&login)?;
        client.allow(ANSWER_WAIT);
        client.settle(session)?;
        client.allow(ANSWER_WAIT);
        Ok(client)
    }

    fn log_in(&mut self, login: &Login<'_>) -> Result<()> {
        let greeting = self.answer()?;
        let greeting = Greeting::read(self.bytes(greeting))?;
        self.is_mariadb = greeting.version.contains("MariaDB");
        let mut scramble = greeting.scramble;
        let mut plugin = greeting.plugin;
        let Some(proof) = prove(&plugin, login.password, &scramble) else {
            // The server names another way where the user has one.
            return self.answer_login(login, "mysql_native_password", &[], &mut scramble);
        };
        if plugin.is_empty() {
            plugin = "mysql_native_password".to_owned();
        }
        self.answer_login(login, &plugin, &proof, &mut scramble)
    }

    fn answer_login(
        &mut self,
        login: &Login<'_>,
        plugin: &str,
        proof: &[u8],
        scramble: &mut Vec<u8>,
    ) -> Result<()> {
        const UTF8MB4: u8 = 45;
        const PACKET: u32 = 1 << 30;
        let mut body = CAPABILITIES.to_le_bytes().to_vec();
        body.extend_from_slice(&PACKET.to_le_bytes());
        body.push(UTF8MB4);
        body.extend_from_slice(&[0; 23]);
        body.extend_from_slice(login.username.as_bytes());
        body.extend_from_slice(&[0, proof.len() as u8]);
        body.extend_from_slice(proof);
        body.extend_from_slice(login.database.as_bytes());
        body.push(0);
        body.extend_from_slice(plugin.as_bytes());
        body.push(0);
        self.send(&body)?;
        loop {
            let body = self.answer()?;
            let body = self.bytes(body).to_vec();
            match body.split_first() {
                Some((0, _)) => return Ok(()),
                Some((0xfe, rest)) => {
                    let mut parts = Parts::new(rest);
                    let plugin = String::from_utf8_lossy(parts.until_zero()).into_owned();
                    *scramble = parts.until_zero().to_vec();
                    let proof = prove(&plugin, login.password, scramble)
                        .ok_or_else(|| unsupported(&plugin))?;
                    self.send(&proof)?;
                }
                // caching_sha2_password: 3 means that the proof was enough.
                Some((1, [3])) => {}
                Some((1, [4])) => return Err(needs_encryption().into()),
                _ => return Err(broken("an unexpected answer to the login").into()),
            }
        }
    }

    fn settle(&mut self, session: &[String]) -> Result<()> {
        self.execute(SETTINGS)?;
        let limit = if self.is_mariadb { "max_statement_time" } else { "max_execution_time" };
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

/// What the server says first.
struct Greeting {
    version: String,
    scramble: Vec<u8>,
    plugin: String,
}

impl Greeting {
    fn read(body: &[u8]) -> Result<Self, Fault> {
        const VERSION: u64 = 10;
        let mut parts = Parts::new(body);
        if parts.number(1)? != VERSION {
            return Err(broken("the greeting is of another version"));
        }
        let version = String::from_utf8_lossy(parts.until_zero()).into_owned();
        parts.bytes(4)?;
        let mut scramble = parts.bytes(8)?.to_vec();
        parts.bytes(1 + 2 + 1 + 2 + 2)?;
        let length = parts.number(1)? as usize;
        parts.bytes(10)?;
        let second = parts.bytes(length.saturating_sub(8).max(13))?;
        scramble.extend_from_slice(second.strip_suffix(&[0]).unwrap_or(second));
        let plugin = String::from_utf8_lossy(parts.until_zero()).into_owned();
        Ok(Self { version, scramble, plugin })
    }
}

/// What shows that this side knows the password; `None` for a way that is not here.
fn prove(plugin: &str, password: &str, scramble: &[u8]) -> Option<Vec<u8>> {
    if !matches!(plugin, "" | "mysql_native_password" | "caching_sha2_password") {
        return None;
    }
    if password.is_empty() {
        return Some(Vec::new());
    }
    let hash =
        |algorithm, parts: &[&[u8]]| digest::digest(algorithm, &parts.concat()).as_ref().to_vec();
    let mix = |a: Vec<u8>, b: Vec<u8>| a.iter().zip(b).map(|(a, b)| a ^ b).collect();
    Some(if plugin == "caching_sha2_password" {
        let sha = &digest::SHA256;
        let once = hash(sha, &[password.as_bytes()]);
        let twice = hash(sha, &[&once]);
        mix(once, hash(sha, &[&twice, scramble]))
    } else {
        let sha = &digest::SHA1_FOR_LEGACY_USE_ONLY;
        let once = hash(sha, &[password.as_bytes()]);
        let twice = hash(sha, &[&once]);
        mix(once, hash(sha, &[scramble, &twice]))
    })
}

fn unsupported(plugin: &str) -> Fault {
    Fault::external(
        "mysql.authentication_failed",
        format!("the server asks for a kind of login that is not supported (\"{plugin}\")"),
    )
    .hint("mysql_native_password and caching_sha2_password are")
}

fn needs_encryption() -> Fault {
    Fault::external(
        "mysql.authentication_failed",
        "the server wants the password itself, which goes over no connection that is not encrypted",
    )
    .hint("log in once from another client, after which the server knows a hash, or let the user log in by mysql_native_password")
}
