//! Which addresses an instance may connect to: names are looked up by the host, granted ones only, and
//! what they meant first is what they mean for the life of the instance.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use wasmtime_wasi::sockets::SocketAddrUse;

use crate::address::{self, Kind};

/// Answers of one lookup at most; the rest is passed over.
const ANSWERS_MAX: usize = 16;

/// A host and its ports that an instance was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) host: Host,
    pub(crate) first_port: u16,
    pub(crate) last_port: u16,
    /// The user wrote the port beside the host, so that the machine's own networks are meant, too.
    pub(crate) port_is_written: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// Written as an address: the user names the very place, whatever its kind.
    Address(IpAddr),
    Name(String),
}

impl Host {
    /// Reads a host as a document has it: `db.example`, `10.0.0.1`, `[::1]`.
    pub(crate) fn parse(text: &str) -> Self {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        match bare.parse::<IpAddr>() {
            Ok(ip) => Self::Address(ip.to_canonical()),
            Err(_) => Self::Name(bare.trim_end_matches('.').to_ascii_lowercase()),
        }
    }
}

/// Why a name was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoAddress {
    /// Nobody granted the name; nothing was asked.
    NotGranted,
    /// The resolver has no answer, or none that may be reached.
    Unknown,
    /// It leads to this machine or its networks, and nobody wrote the port.
    PortNotWritten,
    TimedOut,
}

/// An address that is open on the ports from `first` to `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pin {
    ip: IpAddr,
    first: u16,
    last: u16,
}

/// The network as one instance sees it.
#[derive(Debug)]
pub(crate) struct Network {
    endpoints: Vec<Endpoint>,
    deadline: Duration,
    pins: Mutex<Pins>,
}

#[derive(Debug, Default)]
struct Pins {
    open: Vec<Pin>,
    /// Answered names and their addresses.
    names: Vec<(String, Vec<IpAddr>)>,
}

impl Network {
    pub(crate) fn new(endpoints: Vec<Endpoint>, deadline: Duration) -> Self {
        let literal = |endpoint: &Endpoint| match endpoint.host {
            Host::Address(ip) => Some(pin(ip, endpoint)),
            Host::Name(_) => None,
        };
        let open = endpoints.iter().filter_map(literal).collect();
        Self { endpoints, deadline, pins: Mutex::new(Pins { open, names: Vec::new() }) }
    }

    /// Whether a socket may do `purpose` with `address`: nothing but the implicit bind of a connection,
    /// and connections to pinned addresses on granted ports.
    pub(crate) fn admits(&self, address: SocketAddr, purpose: SocketAddrUse) -> bool {
        match purpose {
            SocketAddrUse::TcpBind => address.ip().is_unspecified() && address.port() == 0,
            SocketAddrUse::TcpConnect => {
                let ip = address.ip().to_canonical();
                let port = address.port();
                let pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
                pins.open.iter().any(|pin| pin.ip == ip && (pin.first..=pin.last).contains(&port))
            }
            SocketAddrUse::TcpListen
            | SocketAddrUse::TcpAccept
            | SocketAddrUse::UdpBind
            | SocketAddrUse::UdpSend
            | SocketAddrUse::UdpReceive => false,
        }
    }

    /// The addresses of a granted name, from the system's resolver the first time.
    pub(crate) async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, NoAddress> {
        let host = Host::parse(name);
        if !self.endpoints.iter().any(|endpoint| endpoint.host == host) {
            return Err(NoAddress::NotGranted);
        }
        let name = match host {
            Host::Address(ip) => return Ok(vec![ip]),
            Host::Name(name) => name,
        };
        if let Some(known) = self.known(&name) {
            return Ok(known);
        }
        let lookup = tokio::net::lookup_host((name.as_str(), 0));
        let answers = tokio::time::timeout(self.deadline, lookup)
            .await
            .map_err(|_| NoAddress::TimedOut)?
            .map_err(|_| NoAddress::Unknown)?;
        self.pin(&name, answers.map(|answer| answer.ip()))
    }

    fn known(&self, name: &str) -> Option<Vec<IpAddr>> {
        let pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        pins.names.iter().find(|(known, _)| known == name).map(|(_, ips)| ips.clone())
    }

    /// Judges each answer, and opens those that pass on the ports that the name was granted with.
    fn pin(
        &self,
        name: &str,
        answers: impl Iterator<Item = IpAddr>,
    ) -> Result<Vec<IpAddr>, NoAddress> {
        let mut ips: Vec<_> = Vec::new();
        for ip in answers.take(ANSWERS_MAX).map(|ip| ip.to_canonical()) {
            let kind = address::kind(ip);
            if kind != Kind::Special && !ips.contains(&ip) {
                ips.push(ip);
            }
        }
        let named = |endpoint: &&Endpoint| endpoint.host == Host::Name(name.to_owned());
        let named: Vec<_> = self.endpoints.iter().filter(named).collect();
        if !named.iter().any(|endpoint| endpoint.port_is_written) {
            let before = ips.len();
            ips.retain(|ip| address::kind(*ip) == Kind::Public);
            if ips.is_empty() && before > 0 {
                return Err(NoAddress::PortNotWritten);
            }
        }
        if ips.is_empty() {
            return Err(NoAddress::Unknown);
        }
        let mut pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        // Two lookups at a time: the first answer counts.
        if let Some((_, known)) = pins.names.iter().find(|(known, _)| known == name) {
            return Ok(known.clone());
        }
        for endpoint in named {
            let meant =
                |ip: &&IpAddr| endpoint.port_is_written || address::kind(**ip) == Kind::Public;
            pins.open.extend(ips.iter().filter(meant).map(|ip| pin(*ip, endpoint)));
        }
        pins.names.push((name.to_owned(), ips.clone()));
        Ok(ips)
    }
}

fn pin(ip: IpAddr, endpoint: &Endpoint) -> Pin {
    Pin { ip, first: endpoint.first_port, last: endpoint.last_port }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(hosts: &[(&str, u16)]) -> Network {
        let endpoint = |(host, port): &(&str, u16)| Endpoint {
            host: Host::parse(host),
            first_port: *port,
            last_port: *port,
            port_is_written: true,
        };
        Network::new(hosts.iter().map(endpoint).collect(), Duration::from_secs(10))
    }

    fn connects(network: &Network, to: &str) -> bool {
        network.admits(to.parse().unwrap(), SocketAddrUse::TcpConnect)
    }

    #[test]
    fn t16_an_address_is_open_on_its_port_only() {
        let network = network(&[("127.0.0.1", 11434), ("[::1]", 5432)]);
        assert!(connects(&network, "127.0.0.1:11434"));
        assert!(connects(&network, "[::1]:5432"));
        assert!(connects(&network, "[::ffff:127.0.0.1]:11434"));
        for other in ["127.0.0.1:6379", "127.0.0.2:11434", "[::1]:11434", "8.8.8.8:11434"] {
            assert!(!connects(&network, other), "{other}");
        }
    }

    #[test]
    fn t19_no_listening_and_no_datagrams() {
        let network = network(&[("127.0.0.1", 1)]);
        let any: SocketAddr = "0.0.0.0:0".parse().unwrap();
        let granted: SocketAddr = "127.0.0.1:1".parse().unwrap();
        assert!(network.admits(any, SocketAddrUse::TcpBind));
        assert!(!network.admits("0.0.0.0:80".parse().unwrap(), SocketAddrUse::TcpBind));
        assert!(!network.admits(granted, SocketAddrUse::TcpBind));
        for purpose in [
            SocketAddrUse::TcpListen,
            SocketAddrUse::TcpAccept,
            SocketAddrUse::UdpBind,
            SocketAddrUse::UdpSend,
            SocketAddrUse::UdpReceive,
        ] {
            assert!(!network.admits(any, purpose));
            assert!(!network.admits(granted, purpose));
        }
    }

    #[test]
    fn t12_what_a_name_meant_first_is_what_it_means() {
        let network = network(&[("db.example", 5432), ("DB.example.", 5433)]);
        assert!(!connects(&network, "10.0.0.1:5432"));
        let first = network.pin("db.example", ["10.0.0.1".parse().unwrap()].into_iter()).unwrap();
        let again = network.pin("db.example", ["10.0.0.2".parse().unwrap()].into_iter()).unwrap();
        assert_eq!(first, again);
        assert!(connects(&network, "10.0.0.1:5432"));
        assert!(connects(&network, "10.0.0.1:5433"));
        assert!(!connects(&network, "10.0.0.1:22"));
        assert!(!connects(&network, "10.0.0.2:5432"));
    }

    #[test]
    fn t11_a_name_never_leads_to_the_platform() {
        let network = network(&[("x.example", 80)]);
        let bad = ["169.254.169.254", "fe80::1", "0.0.0.0", "::ffff:169.254.169.254"];
        let answers = bad.map(|ip| ip.parse::<IpAddr>().unwrap());
        assert_eq!(network.pin("x.example", answers.into_iter()), Err(NoAddress::Unknown));
        let mixed = [answers[0], "192.0.66.1".parse().unwrap()];
        assert_eq!(network.pin("x.example", mixed.into_iter()), Ok(vec![mixed[1]]));
        assert!(!connects(&network, "169.254.169.254:80"));
        assert!(connects(&network, "192.0.66.1:80"));
    }

    #[test]
    fn t16_a_name_without_a_written_port_never_leads_to_own_networks() {
        let endpoint = |port, port_is_written| Endpoint {
            host: Host::parse("db.example"),
            first_port: port,
            last_port: port,
            port_is_written,
        };
        let (own, public): (IpAddr, IpAddr) =
            ("10.0.0.1".parse().unwrap(), "192.0.66.1".parse().unwrap());
        let network = |endpoints| Network::new(endpoints, Duration::from_secs(10));
        let only = network(vec![endpoint(5432, false)]);
        let refused = only.pin("db.example", [own].into_iter());
        assert_eq!(refused, Err(NoAddress::PortNotWritten));
        assert_eq!(only.pin("db.example", [own, public].into_iter()), Ok(vec![public]));
        assert!(!connects(&only, "10.0.0.1:5432") && connects(&only, "192.0.66.1:5432"));
        let both = network(vec![endpoint(5432, false), endpoint(6000, true)]);
        assert_eq!(both.pin("db.example", [own].into_iter()), Ok(vec![own]));
        assert!(!connects(&both, "10.0.0.1:5432") && connects(&both, "10.0.0.1:6000"));
    }

    #[tokio::test]
    async fn t02_names_that_nobody_granted_are_not_asked_for() {
        let network = network(&[("localhost", 1), ("127.0.0.1", 2)]);
        for n in 0..1000 {
            let name = format!("{n:x}.evil.example");
            assert_eq!(network.resolve(&name).await, Err(NoAddress::NotGranted));
        }
        let ip: IpAddr = "127.0.0.1".parse().unwrap();
        assert_eq!(network.resolve("127.0.0.1").await, Ok(vec![ip]));
        assert!(network.resolve("LOCALHOST.").await.unwrap().contains(&ip));
        assert_eq!(network.resolve("10.0.0.1").await, Err(NoAddress::NotGranted));
    }
}
