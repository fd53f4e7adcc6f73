//! What a step and its data source may say, and the checks that need no server.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use database::ANSWER_WAIT;
use database::settings::{Ssl, missing};
use database::tls::Mode;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use sdk::parameters::{self, Number};
use sdk::{Configuration, Fault, Result};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::auth::{Auth, OAuth};
use crate::client::{Client, Request};
use crate::transport::TlsWay;
use crate::url::{self, Url};

mod files;
mod reading;
mod writing;

pub(crate) use files::{FileDocument, FileParameter};
pub(crate) use reading::{ReaderDocument, ReaderParameter, ResponseType};
pub(crate) use writing::{BodyType, Shape, WriterDocument, WriterParameter};

/// Headers that are the connection's own: another value would change what the request is.
const OWN_HEADERS: [&str; 12] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "upgrade",
    "te",
    "trailer",
    "expect",
    "accept-encoding",
];

/// What the reader and the writer say of their requests alike.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Asking {
    /// Name of the data source.
    #[serde(default)]
    #[expect(dead_code, reason = "the host has looked it up")]
    datasource: Option<String>,
    /// What is asked for, or where records are sent: a path below the data source's URL, such as `/orders`,
    /// or a whole URL of its server.
    #[serde(default)]
    url: Option<String>,
    /// Of the reader `get` (default) or `post`; of the writer `post` (default), `put` or `patch`.
    #[serde(default)]
    method: Option<String>,
    /// The query, as an object or as a text such as `a=1&b=2`; of a reader's `post` an object is the body.
    #[serde(default)]
    parameters: Option<Parameters>,
    /// Headers of each request, by name.
    #[serde(default)]
    #[schemars(extend("writeOnly" = true))]
    custom_header: Headers,
    /// How long an answer may take, in milliseconds; at most 50,000.
    #[serde(default)]
    #[schemars(extend("default" = 50_000))]
    socket_timeout: Option<Number>,
}

impl Asking {
    /// For looking at `url` by itself.
    pub(crate) fn of_url(url: &str) -> Self {
        // A document of one text is one.
        serde_json::from_value(serde_json::json!({ "url": url }))
            .unwrap_or_else(|_| unreachable!("it has no other key"))
    }

    pub(crate) fn wait(&self) -> Duration {
        answer_wait(self.socket_timeout)
    }

    pub(crate) fn names_url(&self) -> bool {
        self.url.as_deref().is_some_and(|url| !url.trim().is_empty())
    }

    /// A request with the data source's headers and its own, of a method among `known`; without
    /// `parameters`.
    ///
    /// # Errors
    /// `parameter.invalid`, `connection.invalid`.
    fn request(&self, connection: &Connection, known: &[Method]) -> Result<Request> {
        let method = method(self.method.as_deref(), known)?;
        let mut request = Request::new(method, connection.url_of(self.url.as_deref())?);
        request.headers = connection.headers()?;
        self.custom_header.add_to(&mut request.headers, "/parameter/customHeader")?;
        Ok(request)
    }
}

/// Properties of a data source that is an HTTP API.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Connection {
    /// Where the API begins, such as `https://api.example.com/v1`. All requests go to its server.
    #[serde(default)]
    url: Option<String>,
    /// As `url`.
    #[serde(default)]
    url_prefix: Option<String>,
    /// Headers that each request carries, by name.
    #[serde(default)]
    #[schemars(extend("writeOnly" = true))]
    default_header: Headers,
    /// As `defaultHeader`.
    #[serde(default)]
    #[schemars(extend("writeOnly" = true))]
    default_headers: Headers,
    /// How the server learns who asks: `none`, `basic`, `bearer`, `apiKey` or `oauth2`. Left out: by what
    /// is given below.
    #[serde(default)]
    auth_type: Option<String>,
    /// As `authType`.
    #[serde(default)]
    security_protocol: Option<String>,
    /// The user of basic authentication.
    #[serde(default)]
    username: Option<String>,
    /// Their password.
    #[serde(default)]
    #[schemars(extend("writeOnly" = true))]
    password: Option<String>,
    /// As `username`.
    #[serde(default)]
    auth_username: Option<String>,
    /// As `password`.
    #[serde(default)]
    #[schemars(extend("writeOnly" = true))]
    auth_password: Option<String>,
    /// The token of bearer authentication.
    #[serde(default)]
    #[schemars(extend("writeOnly" = true))]
    auth_token: Option<String>,
    /// A key that each request carries.
    #[serde(default)]
    #[schemars(extend("writeOnly" = true))]
    api_key: Option<String>,
    /// The header or the parameter of the query that holds `apiKey`.
    #[serde(default)]
    #[schemars(extend("default" = "X-API-Key"))]
    key_name: Option<String>,
    /// Where `apiKey` stands.
    #[serde(default)]
    key_in: KeyIn,
    /// OAuth 2 with client credentials: where tokens come from.
    #[serde(default)]
    oauth2_url: Option<String>,
    /// Name of the client.
    #[serde(default)]
    client_id: Option<String>,
    /// Secret of the client.
    #[serde(default)]
    #[schemars(extend("writeOnly" = true))]
    client_secret: Option<String>,
    /// What the token is to allow.
    #[serde(default)]
    scope: Option<String>,
    /// Where the client's name and secret stand in the request for a token.
    #[serde(default)]
    client_in: ClientIn,
    /// Encryption of connections to `https`: `verify-full` where nothing is said, with the authorities
    /// that Mozilla trusts where there is no `ca`. A URL with `http://` is not encrypted.
    #[serde(default)]
    ssl: Option<Ssl>,
}

/// Where a key stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum KeyIn {
    #[default]
    Header,
    Query,
}

/// Where a client's credentials stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ClientIn {
    #[default]
    Header,
    Body,
}

/// Headers by name, as an object or as its text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Headers(BTreeMap<String, String>);

impl JsonSchema for Headers {
    fn schema_name() -> Cow<'static, str> {
        "Headers".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["object", "string"],
            "additionalProperties": {"type": ["string", "number", "boolean"]}
        })
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "an object with headers is expected")]
        enum Written {
            Map(BTreeMap<String, Value>),
            Text(String),
        }
        let members = match Option::<Written>::deserialize(deserializer)? {
            None => BTreeMap::new(),
            Some(Written::Map(members)) => members,
            Some(Written::Text(text)) if text.trim().is_empty() => BTreeMap::new(),
            Some(Written::Text(text)) => serde_json::from_str(&text)
                .map_err(|_| serde::de::Error::custom("an object with headers is expected"))?,
        };
        let text = |value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        Ok(Self(members.into_iter().map(|(name, value)| (name, text(value))).collect()))
    }
}

impl Headers {
    /// # Errors
    /// `parameter.invalid` for what is no header, or one that is the connection's own.
    fn add_to(&self, headers: &mut HeaderMap, place: &str) -> Result<()> {
        for (name, value) in &self.0 {
            let wrong =
                |why: &str| Fault::user("parameter.invalid", format!("\"{name}\" {why}")).at(place);
            let parsed = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| wrong("is no name of a header"))?;
            if OWN_HEADERS.contains(&parsed.as_str()) {
                return Err(wrong("is a header that the connection itself sets"));
            }
            headers.insert(parsed, header_value(value, place)?);
        }
        Ok(())
    }
}

/// # Errors
/// `parameter.invalid` for a text that no header can carry; it is not shown.
pub(crate) fn header_value(text: &str, place: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text).map_err(|_| {
        Fault::user("parameter.invalid", "a value holds characters that no header can carry")
            .hint("line ends and control characters, for instance at the end of a file")
            .at(place)
    })
}

/// Query parameters, or those of a body: an object, or a text such as `a=1&b=2`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "an object or a text is expected")]
pub(crate) enum Parameters {
    Named(serde_json::Map<String, Value>),
    Text(String),
}

impl Parameters {
    /// Adds them to a URL.
    fn add_to(&self, mut url: Url) -> Url {
        match self {
            Self::Text(text) => url.with_query(text),
            Self::Named(members) => {
                for (name, value) in members {
                    url = match value {
                        Value::String(text) => url.with(name, text),
                        other => url.with(name, &other.to_string()),
                    };
                }
                url
            }
        }
    }

    /// As the JSON object that the body of a POST is.
    fn object(&self) -> Option<Value> {
        match self {
            Self::Named(members) => Some(Value::Object(members.clone())),
            Self::Text(text) if text.trim_start().starts_with(['{', '[']) => {
                serde_json::from_str(text).ok()
            }
            Self::Text(_) => None,
        }
    }
}

impl Connection {
    pub(crate) fn read(configuration: &Configuration) -> Result<Self> {
        parameters::connection(configuration)
    }

    /// The data source's URL, where it has one.
    ///
    /// # Errors
    /// `connection.invalid`.
    pub(crate) fn base(&self) -> Result<Option<Url>> {
        let texts = [self.url.as_deref(), self.url_prefix.as_deref()];
        let text = texts.into_iter().flatten().find(|text| !text.trim().is_empty());
        let wrong = |why| url::invalid("connection.invalid", why, "/connection/url");
        text.map(|text| Url::parse(text).map_err(wrong)).transpose()
    }

    /// The URL of a step, which stands below the data source's or is one itself.
    ///
    /// # Errors
    /// `parameter.invalid`, also for a URL of another server than the data source's.
    pub(crate) fn url_of(&self, written: Option<&str>) -> Result<Url> {
        let written = written.map(str::trim).unwrap_or_default();
        let wrong = |why| url::invalid("parameter.invalid", why, "/parameter/url");
        let is_whole = url::is_absolute(written);
        match self.base()? {
            None if written.is_empty() => Err(missing("url")),
            None => Url::parse(written).map_err(wrong),
            Some(base) if !is_whole => base.below(written).map_err(wrong),
            Some(base) => {
                let url = Url::parse(written).map_err(wrong)?;
                if url.origin == base.origin {
                    return Ok(url);
                }
                let message =
                    format!("the step asks {}, and its data source is {}", url.origin, base.origin);
                Err(Fault::user("parameter.invalid", message)
                    .hint("write a path below the data source's URL, or use a data source for the other server")
                    .at("/parameter/url"))
            }
        }
    }

    /// # Errors
    /// `connection.invalid` with the place of what is missing, or is no word that is known.
    pub(crate) fn auth(&self) -> Result<Auth> {
        let word = self.auth_type.as_deref().or(self.security_protocol.as_deref());
        let plain: String = word
            .unwrap_or_default()
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|letter| letter.to_ascii_lowercase())
            .collect();
        match plain.as_str() {
            "" => self.given(),
            "none" | "noauth" | "anonymous" => Ok(Auth::None),
            "basic" | "basicauth" => self.basic(),
            "bearer" | "token" | "tokenauth" | "bearertoken" => self.bearer(),
            "apikey" => self.key(),
            "oauth" | "oauth2" | "clientcredentials" | "oauth2clientcredentials" => self.oauth(),
            _ => Err(Fault::user(
                "connection.invalid",
                "this kind of authentication is not known here",
            )
            .hint("the kinds are none, basic, bearer, apiKey and oauth2")
            .at("/connection/authType")),
        }
    }

    /// The kind whose properties are given.
    fn given(&self) -> Result<Auth> {
        let user = self.username.as_ref().or(self.auth_username.as_ref());
        let given = [
            user.is_some_and(|text| !text.is_empty()),
            self.auth_token.is_some(),
            self.api_key.is_some(),
            self.oauth2_url.is_some(),
        ];
        match given {
            [true, ..] => self.basic(),
            [_, true, ..] => self.bearer(),
            [_, _, true, _] => self.key(),
            [.., true] => self.oauth(),
            _ => Ok(Auth::None),
        }
    }

    fn basic(&self) -> Result<Auth> {
        let username = self.username.clone().or(self.auth_username.clone());
        let password = self.password.clone().or(self.auth_password.clone());
        Ok(Auth::Basic {
            username: username.ok_or_else(|| missing("username"))?,
            password: password.unwrap_or_default(),
        })
    }

    fn bearer(&self) -> Result<Auth> {
        self.auth_token.clone().map(Auth::Bearer).ok_or_else(|| missing("authToken"))
    }

    fn key(&self) -> Result<Auth> {
        let value = self.api_key.clone().ok_or_else(|| missing("apiKey"))?;
        let name = self.key_name.clone().unwrap_or_else(|| "X-API-Key".to_owned());
        if self.key_in == KeyIn::Query {
            return Ok(Auth::KeyInQuery { name, value });
        }
        let name = HeaderName::from_bytes(name.as_bytes()).ok();
        let name = name.filter(|name| !OWN_HEADERS.contains(&name.as_str())).ok_or_else(|| {
            Fault::user("connection.invalid", "\"keyName\" is no header that can hold a key")
                .at("/connection/keyName")
        })?;
        Ok(Auth::KeyInHeader { name, value })
    }

    fn oauth(&self) -> Result<Auth> {
        let text = self.oauth2_url.as_deref().ok_or_else(|| missing("oauth2Url"))?;
        let wrong = |why| url::invalid("connection.invalid", why, "/connection/oauth2Url");
        Ok(Auth::ClientCredentials(Box::new(OAuth {
            url: Url::parse(text).map_err(wrong)?,
            client_id: self.client_id.clone().ok_or_else(|| missing("clientId"))?,
            client_secret: self.client_secret.clone().ok_or_else(|| missing("clientSecret"))?,
            scope: self.scope.clone().filter(|scope| !scope.is_empty()),
            in_body: self.client_in == ClientIn::Body,
        })))
    }

    /// # Errors
    /// `connection.invalid` for a mode that is none, or would do without encryption.
    fn tls(&self) -> Result<TlsWay> {
        let mode = self.ssl.as_ref().map(Ssl::mode).transpose()?.flatten();
        if mode.is_some_and(|mode| mode < Mode::Require) {
            let message = "connections to https are always encrypted";
            return Err(Fault::user("connection.invalid", message)
                .hint("the modes are require, verify-ca and verify-full; a URL with http:// is not encrypted")
                .at("/connection/ssl/mode"));
        }
        let ca = self.ssl.as_ref().and_then(Ssl::ca).map(str::to_owned);
        Ok(TlsWay { mode, ca })
    }

    /// A client for this data source.
    ///
    /// # Errors
    /// `connection.invalid`.
    pub(crate) fn client(&self) -> Result<Client> {
        Ok(Client::new(self.auth()?, self.tls()?, ANSWER_WAIT))
    }

    /// The headers of all requests.
    fn headers(&self) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        self.default_header.add_to(&mut headers, "/connection/defaultHeader")?;
        self.default_headers.add_to(&mut headers, "/connection/defaultHeaders")?;
        Ok(headers)
    }
}

/// # Errors
/// `parameter.invalid` for a method that is not among `known`.
fn method(written: Option<&str>, known: &[Method]) -> Result<Method> {
    let word = written.map(str::trim).unwrap_or_default().to_ascii_uppercase();
    if word.is_empty() {
        return Ok(known[0].clone());
    }
    known.iter().find(|method| method.as_str() == word).cloned().ok_or_else(|| {
        let names = known.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        Fault::user("parameter.invalid", format!("the method is none of {names}"))
            .at("/parameter/method")
    })
}

/// How long a call may wait for an answer: what the document says, and less than the host waits.
fn answer_wait(milliseconds: Option<Number>) -> Duration {
    let said = milliseconds.map(|Number(ms)| Duration::from_millis(ms.max(1)));
    said.map_or(ANSWER_WAIT, |said| said.min(ANSWER_WAIT))
}
