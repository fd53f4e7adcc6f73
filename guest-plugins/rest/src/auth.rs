//! Who asks: what a request carries so that the server knows.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sdk::{Fault, Result};
use serde::Deserialize;
use ureq::http::{HeaderName, HeaderValue, Method, header};

use crate::client::{Client, Request};
use crate::error::VENDOR;
use crate::settings::header_value;
use crate::url::{Url, encoded};

/// A token is renewed so long before it ends.
const MARGIN: Duration = Duration::from_secs(30);
/// An answer with a token at most.
const TOKEN_BYTES_MAX: u64 = 64 << 10;

/// The kinds of authentication.
#[derive(Clone, Debug)]
pub(crate) enum Auth {
    None,
    Basic { username: String, password: String },
    Bearer(String),
    KeyInHeader { name: HeaderName, value: String },
    KeyInQuery { name: String, value: String },
    ClientCredentials(Box<OAuth>),
}

/// Client credentials of OAuth 2.
#[derive(Clone, Debug)]
pub(crate) struct OAuth {
    pub(crate) url: Url,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    pub(crate) scope: Option<String>,
    /// The credentials stand in the body, not in a header.
    pub(crate) in_body: bool,
}

/// A token, until when it is used.
#[derive(Debug)]
pub(crate) struct Token {
    text: String,
    until: Option<Instant>,
}

impl Token {
    pub(crate) fn holds(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    /// Seconds; some servers write it as text.
    expires_in: Option<serde_json::Value>,
}

impl Auth {
    /// Puts what is known of who asks on a request; `token` is that of OAuth 2.
    ///
    /// # Errors
    /// `connection.invalid` for a text that no header can carry.
    pub(crate) fn sign(&self, request: &mut Request, token: Option<&Token>) -> Result<()> {
        let mut set = |name: HeaderName, text: &str, place: &str| -> Result<()> {
            let mut value = header_value(text, place)?;
            value.set_sensitive(true);
            request.headers.insert(name, value);
            Ok(())
        };
        match self {
            Self::None => Ok(()),
            Self::Basic { username, password } => {
                let value = basic(username, password);
                set(header::AUTHORIZATION, &value, "/connection/password")
            }
            Self::Bearer(token) => {
                set(header::AUTHORIZATION, &format!("Bearer {token}"), "/connection/authToken")
            }
            Self::KeyInHeader { name, value } => set(name.clone(), value, "/connection/apiKey"),
            Self::KeyInQuery { name, value } => {
                request.url = request.url.with(name, value);
                Ok(())
            }
            Self::ClientCredentials(_) => match token {
                Some(Token { text, .. }) => set(
                    header::AUTHORIZATION,
                    &format!("Bearer {text}"),
                    "/connection/clientSecret",
                ),
                None => Ok(()),
            },
        }
    }

    /// The key as it stands in a query.
    pub(crate) fn key_in_query(&self) -> Option<String> {
        match self {
            Self::KeyInQuery { value, .. } if !value.is_empty() => Some(encoded(value)),
            _ => None,
        }
    }

    /// A URL without the key that may stand in it.
    pub(crate) fn without_key(&self, url: &Url) -> Url {
        match self {
            Self::KeyInQuery { name, .. } => url.without(name),
            _ => url.clone(),
        }
    }
}

fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

impl OAuth {
    /// Asks for a token.
    ///
    /// # Errors
    /// `http.token_refused`, `http.token` where the answer holds none, and those of the connection.
    pub(crate) fn ask(&self, client: &mut Client) -> Result<Token> {
        let mut form = "grant_type=client_credentials".to_owned();
        if let Some(scope) = &self.scope {
            form += &format!("&scope={}", encoded(scope));
        }
        let mut request = Request::new(Method::POST, self.url.clone());
        let (id, secret) = (encoded(&self.client_id), encoded(&self.client_secret));
        if self.in_body {
            form += &format!("&client_id={id}&client_secret={secret}");
        } else {
            let mut value = header_value(&basic(&id, &secret), "/connection/clientSecret")?;
            value.set_sensitive(true);
            request.headers.insert(header::AUTHORIZATION, value);
        }
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers.insert(header::CONTENT_TYPE, kind);
        request.body = Some(form.into_bytes());
        let asked = Instant::now();
        let answer = client.answer(&request).map_err(|fault| match fault.code.as_str() {
            "http.refused" | "http.unauthorized" | "http.forbidden" => Fault {
                code: "http.token_refused".to_owned(),
                message: format!("no token: {}", fault.message),
                ..fault
            }
            .hint("check \"clientId\", \"clientSecret\" and \"scope\" of the data source")
            .at("/connection/clientSecret"),
            _ => fault,
        })?;
        let body = answer.whole(TOKEN_BYTES_MAX)?;
        let answer: TokenAnswer = serde_json::from_slice(&body).map_err(|_| {
            VENDOR
                .external("token", "the token's server answers no token")
                .hint("check \"oauth2Url\"")
                .at("/connection/oauth2Url")
        })?;
        let lasts = answer.expires_in.and_then(|seconds| match &seconds {
            serde_json::Value::String(text) => text.parse().ok(),
            other => other.as_f64(),
        });
        let lasts = lasts.filter(|seconds| (1.0..1e9).contains(seconds));
        let until = lasts.map(|seconds| {
            let lasts = Duration::from_secs_f64(seconds);
            asked + lasts.saturating_sub(MARGIN).max(lasts / 2)
        });
        Ok(Token { text: answer.access_token, until })
    }
}
