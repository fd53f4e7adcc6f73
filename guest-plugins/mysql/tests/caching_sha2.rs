//! Logins by `caching_sha2_password`, at a server that speaks no more than a login, by the manual:
//! MariaDB has none of it.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

use mysql::reader::MysqlReader;
use rsa::sha2::{Digest, Sha256};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sdk::{Configuration, Reader, Side};
use serde_json::{Value, json};

const PASSWORD: &str = "a password that is longer than a scramble";
const SCRAMBLE: &[u8; 20] = b"abcdefghijklmnopqrst";
const TLS: u32 = 0x800;

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// One session of the server.
struct Session {
    stream: Box<dyn Stream>,
    sequence: u8,
}

impl Session {
    fn receive(&mut self) -> Option<Vec<u8>> {
        let mut head = [0; 4];
        self.stream.read_exact(&mut head).ok()?;
        self.sequence = head[3] + 1;
        let mut body = vec![0; u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize];
        self.stream.read_exact(&mut body).ok()?;
        Some(body)
    }

    fn send(&mut self, body: &[u8]) {
        let head = [body.len() as u8, (body.len() >> 8) as u8, 0, self.sequence];
        self.sequence += 1;
        self.stream.write_all(&[&head, body].concat()).unwrap();
        self.stream.flush().unwrap();
    }
}

/// What the server is like.
#[derive(Clone, Copy)]
struct Server {
    tls: bool,
    /// It has the hash of the password in its cache.
    knows: bool,
}

fn openssl(folder: &Path, arguments: &str, input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .current_dir(folder)
        .args(arguments.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments}");
    output.stdout
}

fn greeting(server: Server) -> Vec<u8> {
    let capabilities: u32 = 0xf_f7ff | if server.tls { TLS } else { 0 };
    let [low, lower, high, higher] = capabilities.to_le_bytes();
    let mut body = b"\x0a8.0.36\0\x01\0\0\0".to_vec();
    body.extend_from_slice(&SCRAMBLE[..8]);
    body.extend_from_slice(&[0, low, lower, 45, 2, 0, high, higher, 21]);
    body.extend_from_slice(&[0; 10]);
    body.extend_from_slice(&SCRAMBLE[8..]);
    body.extend_from_slice(b"\0caching_sha2_password\0");
    body
}

fn encrypted(stream: TcpStream, folder: &Path) -> Box<dyn Stream> {
    let chain = vec![CertificateDer::from_pem_file(folder.join("cert.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let connection = ServerConnection::new(Arc::new(config)).unwrap();
    Box::new(StreamOwned::new(connection, stream))
}

/// Whether a proof is of the password: the server keeps no more than the hash of its hash.
fn is_proof(proof: &[u8]) -> bool {
    let kept = Sha256::digest(Sha256::digest(PASSWORD));
    let mix = Sha256::digest([kept.as_slice(), SCRAMBLE].concat());
    let once: Vec<u8> = proof.iter().zip(mix).map(|(a, b)| a ^ b).collect();
    Sha256::digest(once) == kept
}

/// Logs one client in and takes its statements.
fn serve(stream: TcpStream, server: Server, folder: &Path) -> Option<()> {
    let raw = stream.try_clone().unwrap();
    let mut session = Session { stream: Box::new(stream), sequence: 0 };
    session.send(&greeting(server));
    let mut response = session.receive()?;
    if response.len() == 32 {
        session.stream = encrypted(raw, folder);
        response = session.receive()?;
    }
    let behind_name = response[32..].iter().position(|byte| *byte == 0)? + 33;
    let length = usize::from(response[behind_name]);
    let mut is_right = is_proof(&response[behind_name + 1..][..length]);
    if server.knows {
        session.send(&[1, 3]);
    } else {
        session.send(&[1, 4]);
        let ended = [PASSWORD.as_bytes(), &[0]].concat();
        let mut sent = session.receive()?;
        if sent == [2] {
            let key = openssl(folder, "rsa -in key.pem -pubout", b"");
            session.send(&[&[1], key.as_slice()].concat());
            let sealed = session.receive()?;
            let opened = openssl(
                folder,
                "pkeyutl -decrypt -inkey key.pem -pkeyopt rsa_padding_mode:oaep",
                &sealed,
            );
            sent = opened.iter().zip(SCRAMBLE.iter().cycle()).map(|(a, b)| a ^ b).collect();
        }
        is_right = sent == ended;
    }
    if !is_right {
        session.send(b"\xff\x15\x04#28000Access denied");
        return None;
    }
    loop {
        session.send(&[0, 0, 0, 2, 0, 0, 0]);
        session.receive().filter(|command| command[0] != 1)?;
    }
}

/// The code of a login's fault, `ok` where there is none.
fn login(server: Server, changes: Value) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let folder = std::env::temp_dir().join(format!("airlock-sha2-{port}"));
    std::fs::create_dir_all(&folder).unwrap();
    openssl(
        &folder,
        "req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -keyout key.pem -out cert.pem",
        b"",
    );
    let kept = folder.clone();
    thread::spawn(move || serve(listener.accept().unwrap().0, server, &kept));
    let mut connection = json!({
        "host": "127.0.0.1", "port": port, "database": "d", "username": "u", "password": PASSWORD,
    });
    connection.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let configuration = Configuration {
        side: Side::Reader,
        source_type: "mysql".to_owned(),
        connection: connection.to_string(),
        parameter: json!({"querySql": "SELECT 1"}).to_string(),
    };
    let answer = MysqlReader::connect(&configuration);
    std::fs::remove_dir_all(&folder).unwrap();
    answer.map_or_else(|fault| fault.code, |_| "ok".to_owned())
}

#[test]
fn the_password_is_shown_without_being_told() {
    let knows = Server { tls: false, knows: true };
    assert_eq!(login(knows, json!({})), "ok");
    assert_eq!(login(knows, json!({"password": "guess"})), "mysql.authentication_failed");
}

#[test]
fn a_server_that_does_not_know_the_hash_is_told_the_password_over_tls_alone() {
    let plain = Server { tls: false, knows: false };
    assert_eq!(login(Server { tls: true, knows: false }, json!({})), "ok");
    assert_eq!(login(plain, json!({})), "mysql.authentication_failed");
    let disabled = json!({"ssl": {"mode": "disabled"}});
    assert_eq!(login(Server { tls: true, knows: false }, disabled), "mysql.authentication_failed");
    assert_eq!(login(plain, json!({"ssl": {"mode": "required"}})), "mysql.tls_not_offered");
}

#[test]
fn the_servers_key_seals_the_password_where_the_data_source_lets_it() {
    let plain = Server { tls: false, knows: false };
    let any_key = json!({"allowPublicKeyRetrieval": "true"});
    assert_eq!(login(plain, json!({"properties": any_key})), "ok");
    let guess = json!({"properties": any_key, "password": "guess"});
    assert_eq!(login(plain, guess), "mysql.authentication_failed");
}
