//! Sends requests: signed, to one origin, within a deadline, and again where that may help.

use std::io::Read;
use std::time::Duration;

use sdk::{Fault, Result};
use ureq::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use ureq::{Agent, Body, BodyReader};

use crate::auth::{Auth, Token};
use crate::error::{self, VENDOR};
use crate::transport::{Connecting, Deadline, NoResolver, TlsWay};
use crate::url::Url;

/// All headers of an answer at most.
const HEADER_BYTES_MAX: usize = 32 << 10;
/// Redirects of one request at most.
const REDIRECTS_MAX: usize = 5;
/// How often a request is sent in one call of the host; the host has more patience.
const TRIES_MAX: u32 = 4;
/// Before the second try; it doubles.
const BACKOFF: Duration = Duration::from_millis(200);
/// Bytes of an answer that is no success which are looked at.
const SAID_BYTES_MAX: u64 = 4 << 10;

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Vec<u8>>,
}

impl Request {
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: None }
    }
}

/// An answer of success, whose body is not read yet.
pub(crate) struct Answer {
    /// Where it came from, behind all redirects.
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    status: StatusCode,
    body: Body,
}

impl Answer {
    /// The body, which fails behind so many unpacked bytes.
    pub(crate) fn into_reader(self, bytes_max: u64) -> BodyReader<'static> {
        self.body.into_with_config().limit(bytes_max).reader()
    }

    /// All of the body.
    ///
    /// # Errors
    /// `http.body_too_large`, `http.connection_lost` and others of the connection.
    pub(crate) fn whole(self, bytes_max: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.into_reader(bytes_max).read_to_end(&mut bytes).map_err(error::of_io)?;
        Ok(bytes)
    }
}

/// One session with a service.
pub(crate) struct Client {
    agent: Agent,
    pub(crate) deadline: Deadline,
    pub(crate) auth: Auth,
    token: Option<Token>,
    /// An internal error of the server is tried again, too.
    pub(crate) retries_errors: bool,
}

impl Client {
    pub(crate) fn new(auth: Auth, tls: TlsWay, wait: Duration) -> Self {
        let deadline = Deadline::after(wait);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_response_header_size(HEADER_BYTES_MAX)
            .user_agent(concat!("airlock/", env!("CARGO_PKG_VERSION")))
            .build();
        let connecting = Connecting { tls, deadline: deadline.clone() };
        let agent = Agent::with_parts(config, connecting, NoResolver);
        Self { agent, deadline, auth, token: None, retries_errors: false }
    }

    /// Sends a signed request, again where the answer or a broken connection allows it and time is left.
    ///
    /// # Errors
    /// Those of [`error::of_status`] and of the connection; `http.redirect_refused`.
    pub(crate) fn send(&mut self, request: &Request) -> Result<Answer> {
        self.again(|client| client.signed(request))
    }

    /// As [`Self::send`] with all of the body read, too, before it counts as answered.
    pub(crate) fn fetch(&mut self, request: &Request, bytes_max: u64) -> Result<Fetched> {
        self.again(|client| {
            let answer = client.signed(request)?;
            let (url, headers) = (answer.url.clone(), answer.headers.clone());
            let is_empty = answer.status == StatusCode::NO_CONTENT;
            let body = answer.whole(bytes_max)?;
            Ok(Fetched { url, headers, body: if is_empty { b"null".to_vec() } else { body } })
        })
    }

    fn again<T>(&mut self, mut once: impl FnMut(&mut Self) -> Result<T>) -> Result<T> {
        let mut tries = 0;
        loop {
            let fault = match once(self) {
                Ok(done) => return Ok(done),
                Err(fault) => fault,
            };
            let Some(wished) = fault.retry_after_ms else { return Err(fault) };
            let wait = Duration::from_millis(wished).max(BACKOFF * (1 << tries));
            tries += 1;
            // Half of what is left must stay for the answer.
            if tries >= TRIES_MAX || wait > self.deadline.left() / 2 {
                return Err(fault);
            }
            sdk::log::info(&format!("again in {} ms: {}", wait.as_millis(), fault.message));
            std::thread::sleep(wait);
        }
    }

    /// Signs and sends; a token that is not taken any more is renewed once.
    fn signed(&mut self, request: &Request) -> Result<Answer> {
        let is_fresh = self.renew()?;
        match self.answer(&self.sign(request)?) {
            Err(fault)
                if fault.code == error::UNAUTHORIZED && self.token.is_some() && !is_fresh =>
            {
                self.token = None;
                self.renew()?;
                self.answer(&self.sign(request)?)
            }
            answered => answered,
        }
    }

    fn sign(&self, request: &Request) -> Result<Request> {
        let mut signed = request.clone();
        self.auth.sign(&mut signed, self.token.as_ref())?;
        Ok(signed)
    }

    /// Gets a token where one is needed; whether it did.
    fn renew(&mut self) -> Result<bool> {
        let Auth::ClientCredentials(oauth) = &self.auth else { return Ok(false) };
        if self.token.as_ref().is_some_and(Token::holds) {
            return Ok(false);
        }
        let oauth = oauth.clone();
        self.token = Some(oauth.ask(self)?);
        Ok(true)
    }

    /// Reaches the server and shows who asks, as far as that is possible without a request for data.
    pub(crate) fn reach(&mut self) -> Result<()> {
        self.renew().map(drop)
    }

    /// Sends as it is, and follows redirects that stay at the origin.
    pub(crate) fn answer(&mut self, request: &Request) -> Result<Answer> {
        let mut request = request.clone();
        for _ in 0..=REDIRECTS_MAX {
            let (status, headers, body) = self.exchange(&request)?;
            if status.is_success() {
                return Ok(Answer { url: request.url, headers, status, body });
            }
            if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
                redirect(&mut request, status, &headers)?;
                continue;
            }
            let fault = error::of_status(status, &headers, &self.said(body, &request));
            return Err(match status.is_server_error() && self.retries_errors {
                true => error::again(fault, &headers),
                false => fault,
            });
        }
        Err(VENDOR.external("redirects", format!("more than {REDIRECTS_MAX} redirects")))
    }

    /// The beginning of a body, for people, without what shows who asked.
    fn said(&self, body: Body, request: &Request) -> String {
        let mut bytes = Vec::new();
        let limited = body.into_with_config().limit(u64::MAX).reader();
        // What could be read is enough.
        let _ = limited.take(SAID_BYTES_MAX).read_to_end(&mut bytes);
        let mut text = String::from_utf8_lossy(&bytes).into_owned();
        if text.trim_start().starts_with('<') {
            return String::new();
        }
        let secrets = request.headers.values().filter(|value| value.is_sensitive());
        for secret in secrets.filter_map(|value| value.to_str().ok()) {
            let bare = secret.split_once(' ').map_or(secret, |(_, bare)| bare);
            text = text.replace(bare, "***");
        }
        match self.auth.key_in_query() {
            Some(key) => text.replace(&key, "***"),
            None => text,
        }
    }

    fn exchange(&mut self, request: &Request) -> Result<(StatusCode, HeaderMap, Body)> {
        let mut builder =
            ureq::http::Request::builder().method(request.method.clone()).uri(request.url.text());
        if let Some(headers) = builder.headers_mut() {
            *headers = request.headers.clone();
        }
        sdk::log::statement(&format!("{} {}", request.method, request.url), None);
        let unmade = |error: ureq::http::Error| VENDOR.user("request", error.to_string());
        let answered = match &request.body {
            Some(body) => self.agent.run(builder.body(body.as_slice()).map_err(unmade)?),
            None => self.agent.run(builder.body(()).map_err(unmade)?),
        };
        let (parts, body) = answered.map_err(error::of_ureq)?.into_parts();
        Ok((parts.status, parts.headers, body))
    }
}

/// A whole answer; `null` where it has no content.
pub(crate) struct Fetched {
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// Turns a request to where a redirect leads.
///
/// # Errors
/// `http.redirect_refused` where that is another origin, `http.redirects` where it is nowhere, or a request
/// that changes something would become another one.
fn redirect(request: &mut Request, status: StatusCode, headers: &HeaderMap) -> Result<()> {
    let to = headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
    let to = to.and_then(|to| request.url.join(to).ok()).ok_or_else(|| {
        VENDOR.external(
            "redirects",
            format!("the server answers {} and no place to go to", status.as_u16()),
        )
    })?;
    if to.origin != request.url.origin {
        return Err(elsewhere("redirect_refused", "a redirect", &to));
    }
    let keeps = matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
    if !keeps && request.method != Method::GET {
        let message = format!("the server answers {} to {}", status.as_u16(), request.method);
        return Err(VENDOR
            .external("redirects", message)
            .hint("check \"url\"")
            .at("/parameter/url"));
    }
    request.url = to;
    Ok(())
}

/// The service leads to another origin, which the job did not name and whose credentials these are not.
pub(crate) fn elsewhere(what: &str, who: &str, to: &Url) -> Fault {
    VENDOR
        .external(what, format!("{who} leads to another server, {}", to.origin))
        .hint("only the data source's own server is asked; name the other one as the data source if it is meant")
}

/// A header that the document does not set.
pub(crate) fn set_default(headers: &mut HeaderMap, name: header::HeaderName, value: &'static str) {
    headers.entry(name).or_insert(HeaderValue::from_static(value));
}
