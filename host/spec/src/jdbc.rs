//! Takes a `jdbcUrl` apart: `jdbc:postgresql://host:5432/database?key=value`.

/// The parts of a `jdbcUrl`, percent-decoded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct JdbcUrl {
    /// The word behind `jdbc:`.
    pub(crate) kind: String,
    pub(crate) hosts: Vec<(String, Option<u16>)>,
    pub(crate) database: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) options: Vec<(String, String)>,
}

/// The parts; `None` for a text of another form. Never shown as a whole: it may hold a password.
pub(crate) fn parse(url: &str) -> Option<JdbcUrl> {
    let (kind, rest) = url.trim().strip_prefix("jdbc:")?.split_once("://")?;
    let kind = kind.split(':').next().filter(|kind| !kind.is_empty())?;
    let end = rest.find(['/', '?', ';']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let (userinfo, authority) = match authority.rsplit_once('@') {
        Some((userinfo, authority)) => (Some(userinfo), authority),
        None => (None, authority),
    };
    let hosts = authority.split(',').map(host_and_port).collect::<Option<Vec<_>>>()?;
    let end = rest.find(['?', ';']).unwrap_or(rest.len());
    let (path, options) = rest.split_at(end);
    let mut parsed = JdbcUrl {
        kind: kind.to_owned(),
        hosts,
        database: path.strip_prefix('/').filter(|name| !name.is_empty()).map(decode),
        username: None,
        password: None,
        options: Vec::new(),
    };
    if let Some(userinfo) = userinfo {
        let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        parsed.username = Some(decode(user));
        parsed.password = (!password.is_empty()).then(|| decode(password));
    }
    for option in options.split(['?', '&', ';']).filter(|option| !option.is_empty()) {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        let value = decode(value);
        match key.to_ascii_lowercase().as_str() {
            "user" | "username" => parsed.username = Some(value),
            "password" => parsed.password = Some(value),
            "databasename" => parsed.database = Some(value),
            _ => parsed.options.push((decode(key), value)),
        }
    }
    Some(parsed)
}

/// `host`, `host:port`, `[::1]:port`; `None` where it is none of them.
pub(crate) fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let text = text.trim();
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(rest.strip_prefix(':')?)),
        // More than one colon without brackets: an IPv6 address without a port.
        None if text.matches(':').count() > 1 => (text, None),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        Some(port) => Some(port.parse().ok().filter(|port| *port > 0)?),
        None => None,
    };
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    (!host.is_empty() && host.chars().all(plain)).then(|| (host.to_owned(), port))
}

/// `%41` to `A`; a percent sign that begins no such pair stays.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digit = |index: usize| bytes.get(index).and_then(|byte| (*byte as char).to_digit(16));
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_fall_into_their_parts() {
        let parsed = parse(
            "jdbc:postgresql://c.example:5432/dw%20h?sslmode=require&user=etl&password=a%26b&x",
        )
        .unwrap();
        assert_eq!(parsed.kind, "postgresql");
        assert_eq!(parsed.hosts, [("c.example".to_owned(), Some(5432))]);
        assert_eq!(parsed.database.as_deref(), Some("dw h"));
        assert_eq!(
            (parsed.username.as_deref(), parsed.password.as_deref()),
            (Some("etl"), Some("a&b"))
        );
        let options =
            [("sslmode", "require"), ("x", "")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(parsed.options, options);
        let parsed = parse("jdbc:mysql:loadbalance://a,b:3307/shop").unwrap();
        assert_eq!(parsed.kind, "mysql");
        assert_eq!(parsed.hosts, [("a".to_owned(), None), ("b".to_owned(), Some(3307))]);
        let parsed = parse("jdbc:sqlserver://h:1433;databaseName=x;encrypt=true").unwrap();
        assert_eq!(parsed.database.as_deref(), Some("x"));
        let parsed = parse("jdbc:postgresql://u:p%40@[::1]:5/d").unwrap();
        assert_eq!(parsed.hosts, [("::1".to_owned(), Some(5))]);
        assert_eq!(parsed.password.as_deref(), Some("p@"));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "postgresql://h/d",
            "jdbc:postgresql:d",
            "jdbc:://h",
            "jdbc:x:///d",
            "jdbc:x://h:0/d",
            "jdbc:x://h:99999/d",
            "jdbc:x://h i/d",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
