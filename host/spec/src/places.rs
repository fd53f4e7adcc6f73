//! The places that a user named in a step or its data source: what grants are judged by.
//!
//! Only under the keys here, which are the host's own list: `host` and `port`, `address`, `jdbcUrl`,
//! `endpoint`, `url`, `urlPrefix`, `oauth2Url`, `path`, `object`, and `path` in the items of `attach`. Never a
//! schema's default, and no text that only the plug-in calls a place.

use domain::configuration::Side;
use domain::grant::{Access, NamedPlace, Place};
use serde_json::Value;

use crate::document::Spot;
use crate::draft::Properties;
use crate::jdbc;

/// Ports that a type or a URL's scheme means where none is written.
const DEFAULT_PORTS: [(&str, u16); 33] = [
    ("clickhouse", 8123),
    ("db2", 50000),
    ("dm", 5236),
    ("doris", 9030),
    ("elasticsearch", 9200),
    ("ftp", 21),
    ("gbase8a", 5258),
    ("hdfs", 8020),
    ("hive", 10000),
    ("holo", 80),
    ("hologres", 80),
    ("http", 80),
    ("https", 443),
    ("kafka", 9092),
    ("kingbasees", 54321),
    ("mariadb", 3306),
    ("memcache", 11211),
    ("milvus", 19530),
    ("mongodb", 27017),
    ("mysql", 3306),
    ("oceanbase", 2881),
    ("oracle", 1521),
    ("postgresql", 5432),
    ("redis", 6379),
    ("redshift", 5439),
    ("saphana", 30015),
    ("selectdb", 9030),
    ("sftp", 22),
    ("sqlserver", 1433),
    ("ssh", 22),
    ("starrocks", 9030),
    ("tidb", 4000),
    ("vertica", 5433),
];

fn default_port(word: &str) -> Option<u16> {
    let found = DEFAULT_PORTS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
    found.map(|(_, port)| *port)
}

/// The places that `connection` and `parameter` name, in their order.
pub(crate) fn named(
    side: Side,
    source_type: &str,
    connection: &Properties,
    parameter: &Properties,
) -> Vec<NamedPlace> {
    let mut named = Named { side, source_type, places: Vec::new() };
    for properties in [connection, parameter] {
        let port = properties.get("port").and_then(|property| port_of(&property.value));
        for property in &properties.entries {
            let (value, spot) = (&property.value, &property.spot);
            match property.name.as_str() {
                "host" => named.hosts(value, port, spot),
                "address" => named.hosts(value, None, spot),
                "jdbcUrl" => each_text(value, spot, &mut |url, spot| named.jdbc_url(url, spot)),
                "endpoint" | "url" | "urlPrefix" | "oauth2Url" => {
                    each_text(value, spot, &mut |url, spot| named.url(url, spot));
                }
                "path" | "object" => {
                    each_text(value, spot, &mut |path, spot| named.path(path, spot))
                }
                "attach" => named.attached(value, spot),
                _ => {}
            }
        }
    }
    named.places
}

/// A text, or the texts of a list.
fn each_text(value: &Value, spot: &Spot, each: &mut dyn FnMut(&str, &Spot)) {
    match value {
        Value::String(text) if !text.is_empty() => each(text, spot),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                if let Some(text) = item.as_str().filter(|text| !text.is_empty()) {
                    each(text, &spot.item(index));
                }
            }
        }
        _ => {}
    }
}

fn port_of(value: &Value) -> Option<u16> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    u16::try_from(number).ok().filter(|port| *port > 0)
}

struct Named<'a> {
    side: Side,
    source_type: &'a str,
    places: Vec<NamedPlace>,
}

impl Named<'_> {
    fn add(&mut self, place: Place, spot: &Spot) {
        let known = self.places.iter().any(|named| named.place == place);
        if !known {
            self.places.push(NamedPlace { place, origin: spot.place() });
        }
    }

    fn tcp(&mut self, host: String, port: Option<u16>, spot: &Spot) {
        self.host(host, port, self.source_type, spot);
    }

    /// A host with the port that was written, else with the usual one of `word`.
    fn host(&mut self, host: String, port: Option<u16>, word: &str, spot: &Spot) {
        match (port, default_port(word)) {
            (Some(port), _) => self.add(Place::Tcp { host, port }, spot),
            (None, Some(port)) => self.add(Place::Host { host, port }, spot),
            (None, None) => {}
        }
    }

    /// `h`, `h:1`, `h1:1,h2:2`, a list of them or of `{"host", "port"}`.
    fn hosts(&mut self, value: &Value, port: Option<u16>, spot: &Spot) {
        match value {
            Value::String(text) => {
                for (host, own) in text.split(',').filter_map(jdbc::host_and_port) {
                    self.tcp(host, own.or(port), spot);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.hosts(item, port, &spot.item(index));
                }
            }
            Value::Object(members) => {
                let port = members.get("port").and_then(port_of).or(port);
                if let Some(host) = members.get("host") {
                    self.hosts(host, port, &spot.key("host"));
                }
            }
            _ => {}
        }
    }

    fn jdbc_url(&mut self, url: &str, spot: &Spot) {
        if let Some(parsed) = jdbc::parse(url) {
            for (host, port) in parsed.hosts {
                // The type knows a port where the URL's kind has none.
                let known = default_port(&parsed.kind).is_some();
                let word = if known { parsed.kind.as_str() } else { self.source_type };
                self.host(host, port, word, spot);
            }
        }
    }

    /// A URL names itself and the host and port it leads to; a host without a scheme names both
    /// schemes of HTTP.
    fn url(&mut self, text: &str, spot: &Spot) {
        let Some((scheme, rest)) = text.split_once("://") else {
            for scheme in ["https", "http"] {
                self.url(&format!("{scheme}://{text}"), spot);
            }
            return;
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let Some((host, port)) = jdbc::host_and_port(&rest[..end]) else { return };
        if matches!(scheme, "http" | "https") {
            self.add(Place::Http(text.to_owned()), spot);
        }
        self.host(host, port, scheme, spot);
    }

    /// The files of `[{"path": "a.db"}, …]`.
    fn attached(&mut self, value: &Value, spot: &Spot) {
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            if let Some(path) = item["path"].as_str().filter(|path| !path.is_empty()) {
                self.path(path, &spot.item(index).key("path"));
            }
        }
    }

    fn path(&mut self, path: &str, spot: &Spot) {
        let access = match self.side {
            Side::Reader | Side::Transformer => Access::Read,
            Side::Writer => Access::Write,
        };
        self.add(Place::Directory { path: path.to_owned(), access }, spot);
    }
}
