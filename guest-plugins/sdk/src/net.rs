//! Connections over TCP.
//!
//! A guest's name lookup works only through the standard library, and so does everything here: the
//! stream may then be handed to any client. Whoever wants time-outs on reads sets them on the stream.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use crate::{Fault, Result};

/// Addresses of one name that are tried, so that a name with very many doesn't hold up a job.
const ADDRESSES_MAX: usize = 8;

/// A stream to the first address of `host` that answers, all attempts within `wait`.
///
/// # Errors
/// `net.name_not_found`, `net.refused`, `net.timed_out`, `net.unreachable`, all of which may be tried
/// again; `net.not_granted` where the host does not let this plug-in go there.
pub fn connect(host: &str, port: u16, wait: Duration) -> Result<TcpStream> {
    let deadline = Instant::now() + wait;
    let mut last = None;
    for address in resolve(host, port)?.into_iter().take(ADDRESSES_MAX) {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(timed_out(host, port, wait));
        }
        match TcpStream::connect_timeout(&address, left).and_then(connected(address)) {
            Ok(stream) => {
                // Small messages go back and forth; without it each waits for an acknowledgement.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = Some(error),
        }
    }
    Err(match last {
        Some(error) => failed(host, port, wait, &error),
        None => not_found(host, "the name has no address"),
    })
}

/// In a guest, a connect with a time limit answers a stream also where it was refused, and the reason is
/// lost; it has been quick then, and so is the same again, which says why.
fn connected(address: SocketAddr) -> impl FnOnce(TcpStream) -> io::Result<TcpStream> {
    move |stream| match stream.peer_addr() {
        Ok(_) => Ok(stream),
        Err(_) => TcpStream::connect(address),
    }
}

/// All addresses of `host`.
///
/// # Errors
/// `net.name_not_found`, `net.not_granted`.
pub fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>> {
    match (host, port).to_socket_addrs() {
        Ok(addresses) => Ok(addresses.collect()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(not_granted(host, port)),
        Err(error) => Err(not_found(host, &error.to_string())),
    }
}

fn failed(host: &str, port: u16, wait: Duration, error: &io::Error) -> Fault {
    let at = format!("\"{host}\" port {port}");
    match error.kind() {
        ErrorKind::PermissionDenied => not_granted(host, port),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => timed_out(host, port, wait),
        ErrorKind::ConnectionRefused => {
            Fault::external("net.refused", format!("{at} refuses connections"))
                .hint("check that the server runs and listens on this address and port")
                .retry_after(0)
        }
        _ => Fault::external("net.unreachable", format!("{at} can't be reached: {error}"))
            .retry_after(0),
    }
}

fn not_granted(host: &str, port: u16) -> Fault {
    Fault::external("net.not_granted", format!("this job may not reach \"{host}\" port {port}"))
        .hint("a step reaches the host and port that it or its data source names, and what `--allow-net host:port` grants")
}

fn not_found(host: &str, why: &str) -> Fault {
    Fault::external("net.name_not_found", format!("the name \"{host}\" does not resolve: {why}"))
        .hint("check the spelling of the host, and that this machine's name service knows it")
        .retry_after(0)
}

fn timed_out(host: &str, port: u16, wait: Duration) -> Fault {
    let seconds = wait.as_secs_f64();
    Fault::external(
        "net.timed_out",
        format!("\"{host}\" port {port} did not answer within {seconds} s"),
    )
    .hint("a firewall may drop packets on the way")
    .retry_after(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_listener_is_reached() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(connect("127.0.0.1", port, Duration::from_secs(20)).is_ok());
        assert!(connect("localhost", port, Duration::from_secs(20)).is_ok());
    }

    #[test]
    fn faults_say_what_failed() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let fault = connect("127.0.0.1", free, Duration::from_secs(20)).unwrap_err();
        assert_eq!(fault.code, "net.refused");
        assert_eq!(fault.retry_after_ms, Some(0));
        let fault = connect("no such host", 1, Duration::from_secs(20)).unwrap_err();
        assert_eq!(fault.code, "net.name_not_found");
        let fault = connect("127.0.0.1", free, Duration::ZERO).unwrap_err();
        assert_eq!(fault.code, "net.timed_out");
    }

    #[test]
    fn a_refused_address_is_a_missing_grant() {
        let error = io::Error::from(ErrorKind::PermissionDenied);
        let fault = failed("db", 5432, Duration::from_secs(1), &error);
        assert_eq!((fault.code.as_str(), fault.retry_after_ms), ("net.not_granted", None));
    }
}
