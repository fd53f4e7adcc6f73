//! URLs of `http` and `https`: what they are made of, how others are found from them, and how they are
//! shown.

use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use sdk::{Endpoint, Fault, Requirement, Result};
use ureq::http::Uri;

/// What a name or value of a query must not hold as it is.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What a written path or query must not hold; all that may have a meaning there stays.
const WRITTEN: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A name or value as it stands in a query.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, VALUE).to_string()
}

/// Scheme, host and port: whom a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) is_https: bool,
    /// In lower case, without the brackets of an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Origin {
    pub(crate) fn requirement(&self) -> Requirement {
        let (host, port) = (self.host.clone(), self.port);
        Requirement::Tcp(Endpoint { host, first_port: port, last_port: port })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_https { "https" } else { "http" };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

/// One URL, without a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) origin: Origin,
    /// Begins with a slash; percent-encoded.
    path: String,
    /// `name=value` joined by `&`; percent-encoded.
    query: String,
}

/// Never with its query, which may hold a key.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path)
    }
}

impl Url {
    /// # Errors
    /// What is wrong with the text, which is not shown.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let encoded = utf8_percent_encode(text, WRITTEN).to_string();
        let uri: Uri =
            encoded.split('#').next().unwrap_or_default().parse().map_err(|_| "it is no URL")?;
        let is_https = match uri.scheme_str() {
            Some(scheme) if scheme.eq_ignore_ascii_case("https") => true,
            Some(scheme) if scheme.eq_ignore_ascii_case("http") => false,
            _ => return Err("it does not begin with http:// or https://"),
        };
        let authority = uri.authority().ok_or("it has no host")?;
        if authority.as_str().contains('@') {
            return Err("a user stands in it; give \"username\" and \"password\" apart from it");
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err("it has no host");
        }
        let port = match authority.as_str()[authority.host().len()..].strip_prefix(':') {
            None => {
                if is_https {
                    443
                } else {
                    80
                }
            }
            Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or("its port is none")?,
        };
        Ok(Self {
            origin: Origin { is_https, host: host.to_ascii_lowercase(), port },
            path: uri.path().to_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
        })
    }

    /// With a path, and perhaps a query, below this one's.
    pub(crate) fn below(&self, text: &str) -> Result<Self, &'static str> {
        let base = self.path.trim_end_matches('/');
        let text = text.trim();
        let slash = if text.is_empty() || text.starts_with(['/', '?']) { "" } else { "/" };
        let mut below = Self::parse(&format!("{}{base}{slash}{text}", self.origin))?;
        if !self.query.is_empty() {
            below = below.with_query(&self.query);
        }
        Ok(below)
    }

    /// What `reference`, from an answer of this URL, leads to.
    pub(crate) fn join(&self, reference: &str) -> Result<Self, &'static str> {
        let reference = reference.trim();
        let folder = &self.path[..=self.path.rfind('/').unwrap_or(0)];
        let text = match reference {
            absolute if is_absolute(absolute) => absolute.to_owned(),
            other if other.starts_with("//") => {
                format!("{}:{other}", if self.origin.is_https { "https" } else { "http" })
            }
            path if path.starts_with('/') => format!("{}{path}", self.origin),
            query if query.starts_with('?') => format!("{}{}{query}", self.origin, self.path),
            relative => format!("{}{folder}{relative}", self.origin),
        };
        Self::parse(&text)
    }

    /// With more at the end of its query: text that is encoded already, as far as it must be.
    pub(crate) fn with_query(mut self, text: &str) -> Self {
        let text = text.trim_start_matches(['?', '&']);
        if !text.is_empty() {
            if !self.query.is_empty() {
                self.query.push('&');
            }
            self.query
                .extend(utf8_percent_encode(text, WRITTEN).map(|part| part.replace('#', "%23")));
        }
        self
    }

    /// With `name` set to `value` in its query, in place of what stood there.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut url = self.without(name);
        if !url.query.is_empty() {
            url.query.push('&');
        }
        url.query.extend(utf8_percent_encode(name, VALUE));
        url.query.push('=');
        url.query.extend(utf8_percent_encode(value, VALUE));
        url
    }

    /// Without `name` in its query.
    pub(crate) fn without(&self, name: &str) -> Self {
        let name = encoded(name);
        let kept = self.query.split('&').filter(|pair| {
            let own = pair.split('=').next().unwrap_or_default();
            !pair.is_empty() && own != name
        });
        Self { query: kept.collect::<Vec<_>>().join("&"), ..self.clone() }
    }

    /// As it is asked for, query included.
    pub(crate) fn text(&self) -> String {
        match self.query.as_str() {
            "" => self.to_string(),
            query => format!("{self}?{query}"),
        }
    }

    /// The last part of its path, as a name for what it answers.
    pub(crate) fn name(&self) -> String {
        let part = self.path.rsplit('/').find(|part| !part.is_empty());
        let part = part.unwrap_or(&self.origin.host);
        percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned()
    }
}

/// Whether a text is a whole URL, and no path or query that may hold one.
pub(crate) fn is_absolute(text: &str) -> bool {
    text.contains("://")
        && text.split(['/', '?', '#']).next().is_some_and(|part| part.ends_with(':'))
}

/// A URL of the document that is none.
pub(crate) fn invalid(code: &str, why: &str, place: &str) -> Fault {
    Fault::user(code, format!("the URL can't be used: {why}"))
        .hint("such as https://api.example.com/v1/orders")
        .at(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn urls_have_parts() {
        let parsed = url("HTTPS://API.example.com/a b?x=1&key=ü#f");
        assert_eq!(parsed.origin.to_string(), "https://api.example.com:443");
        assert_eq!(parsed.text(), "https://api.example.com:443/a%20b?x=1&key=%C3%BC");
        assert_eq!(parsed.to_string(), "https://api.example.com:443/a%20b");
        assert_eq!(parsed.name(), "a b");
        assert_eq!(url("http://[::1]:8080").text(), "http://[::1]:8080/");
        assert_eq!(url("http://[::1]:8080").origin.host, "::1");
        for bad in [
            "",
            "api.example.com",
            "ftp://a/",
            "http://",
            "http://u:p@h/",
            "http://h:0/",
            "http://h:x/",
        ] {
            assert!(Url::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn others_are_found_from_one() {
        let base = url("https://h/v1/?k=1");
        let below = |text| base.below(text).unwrap().text();
        assert_eq!(below("orders"), "https://h:443/v1/orders?k=1");
        assert_eq!(below("/orders?a=2"), "https://h:443/v1/orders?a=2&k=1");
        assert_eq!(below(""), "https://h:443/v1?k=1");
        let page = url("https://h/v1/orders?page=1");
        let join = |text| page.join(text).unwrap().text();
        assert_eq!(join("?page=2"), "https://h:443/v1/orders?page=2");
        assert_eq!(join("/v2"), "https://h:443/v2");
        assert_eq!(join("more?to=http://x/"), "https://h:443/v1/more?to=http://x/");
        assert_eq!(join("//other/x"), "https://other:443/x");
        assert_eq!(join("http://h/x"), "http://h:80/x");
    }

    #[test]
    fn queries_are_set() {
        let page = url("http://h/?page=1&a=b");
        assert_eq!(page.with("page", "2 &").text(), "http://h:80/?a=b&page=2%20%26");
        assert_eq!(page.without("page").without("a").text(), "http://h:80/");
        assert_eq!(
            url("http://h/").with_query("&a=1&b=x y#").text(),
            "http://h:80/?a=1&b=x%20y%23"
        );
    }
}
