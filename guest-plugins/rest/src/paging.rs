//! Which page comes next, and how it is asked for.

use schemars::JsonSchema;
use sdk::{Fault, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use ureq::http::{HeaderMap, header};

use crate::auth::Auth;
use crate::client::{Request, elsewhere};
use crate::error::VENDOR;
use crate::records::Path;
use crate::url::{Url, is_absolute};

/// Pages of one split at most: a service that never ends is told.
const PAGES_MAX: u64 = 10_000_000;
/// A cursor or a link longer than this is none; it is a position, too.
const CURSOR_BYTES_MAX: usize = 16 << 10;

/// How pages follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Paging {
    /// There is one.
    Single,
    /// All are known before: `param` has each value from `start` to `end`.
    Range { param: String, param_in: Option<ParamIn>, start: u64, end: u64, step: u64 },
    /// Counted, until one has no records.
    Page { param: String, param_in: Option<ParamIn>, start: u64 },
    /// Records are counted, until a page has none.
    Offset { param: String, param_in: Option<ParamIn>, start: u64 },
    /// Each names the next one.
    Cursor { param: String, param_in: Option<ParamIn>, from: CursorFrom },
    /// Each links to the next one in its headers.
    Link,
}

/// Where a cursor is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CursorFrom {
    Body(Path),
    Header(String),
}

/// Where a parameter stands in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ParamIn {
    Query,
    Body,
}

/// Which page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum At {
    First,
    Number(u64),
    Cursor(String),
    Url(String),
    /// Behind the last.
    End,
}

impl ParamIn {
    /// Sets a parameter: where it is said, else in a body that is an object, else in the query.
    ///
    /// # Errors
    /// `parameter.invalid` where the body is to hold it and is no object.
    pub(crate) fn set(
        said: Option<Self>,
        request: &mut Request,
        name: &str,
        value: &Value,
    ) -> Result<()> {
        let body = request.body.as_deref().and_then(|body| serde_json::from_slice(body).ok());
        match (body, said) {
            (Some(Value::Object(mut members)), None | Some(Self::Body)) => {
                members.insert(name.to_owned(), value.clone());
                request.body = Some(Value::Object(members).to_string().into_bytes());
            }
            (_, Some(Self::Body)) => {
                return Err(Fault::user(
                    "parameter.invalid",
                    "the body is no object, so that it can hold no parameter",
                )
                .at("/parameter/pagination/paramIn"));
            }
            _ => {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                request.url = request.url.with(name, &text);
            }
        }
        Ok(())
    }
}

impl Paging {
    /// The first page.
    pub(crate) fn first(&self) -> At {
        match self {
            Self::Single | Self::Cursor { .. } | Self::Link => At::First,
            Self::Range { start, .. } | Self::Page { start, .. } | Self::Offset { start, .. } => {
                At::Number(*start)
            }
        }
    }

    /// The request for a page.
    ///
    /// # Errors
    /// Those of [`ParamIn::set`]; `http.link_elsewhere`.
    pub(crate) fn request(&self, at: &At, first: &Request) -> Result<Request> {
        let mut request = first.clone();
        match (self, at) {
            (
                Self::Range { param, param_in, .. }
                | Self::Page { param, param_in, .. }
                | Self::Offset { param, param_in, .. },
                At::Number(number),
            ) => ParamIn::set(*param_in, &mut request, param, &Value::from(*number))?,
            (Self::Cursor { param, param_in, .. }, At::Cursor(cursor)) => {
                ParamIn::set(*param_in, &mut request, param, &Value::from(cursor.as_str()))?;
            }
            (_, At::Url(url)) => {
                let url = Url::parse(url).map_err(|why| VENDOR.broken(why))?;
                if url.origin != first.url.origin {
                    return Err(elsewhere("link_elsewhere", "the link to the next page", &url));
                }
                request.url = url;
            }
            _ => {}
        }
        Ok(request)
    }

    /// What an answer says of the next page, apart from its records.
    ///
    /// # Errors
    /// `http.cursor` for one that can't be used.
    pub(crate) fn onward(
        &self,
        headers: &HeaderMap,
        body: Option<&RawValue>,
    ) -> Result<Option<String>> {
        let text = match self {
            Self::Link => headers
                .get_all(header::LINK)
                .iter()
                .find_map(|value| next_link(value.to_str().ok()?)),
            Self::Cursor { from: CursorFrom::Header(name), .. } => {
                headers.get(name.as_str()).and_then(|value| value.to_str().ok()).map(str::to_owned)
            }
            Self::Cursor { from: CursorFrom::Body(path), .. } => {
                let value = body.and_then(|body| path.find(body));
                match value.and_then(|value| serde_json::from_str(value.get()).ok()) {
                    None | Some(Value::Null | Value::Bool(false)) => None,
                    Some(Value::String(text)) => Some(text),
                    Some(Value::Number(number)) => Some(number.to_string()),
                    Some(_) => {
                        return Err(VENDOR
                            .external(
                                "cursor",
                                format!("what stands at \"{path}\" is no text or number"),
                            )
                            .at("/parameter/pagination/path"));
                    }
                }
            }
            _ => None,
        };
        match text.filter(|text| !text.is_empty()) {
            Some(long) if long.len() > CURSOR_BYTES_MAX => Err(VENDOR
                .external("cursor", format!("a cursor is longer than {CURSOR_BYTES_MAX} bytes"))),
            text => Ok(text),
        }
    }

    /// The page behind one that was read: the `page`th, with so many records, from `url`.
    ///
    /// # Errors
    /// `http.link_elsewhere`; `http.cursor_repeats` where a page leads to itself; `http.too_many_pages`.
    pub(crate) fn next(
        &self,
        at: &At,
        (page, records): (u64, u64),
        onward: Option<&str>,
        (url, auth): (&Url, &Auth),
    ) -> Result<At> {
        let counted = |by: u64| match at {
            At::Number(number) if records > 0 => number.checked_add(by).map_or(At::End, At::Number),
            _ => At::End,
        };
        let next = match self {
            Self::Single => At::End,
            Self::Range { end, step, .. } => match at {
                At::Number(number) if end - number >= *step => At::Number(number + step),
                _ => At::End,
            },
            Self::Page { .. } => counted(1),
            Self::Offset { .. } => counted(records),
            Self::Cursor { .. } | Self::Link => match onward {
                None => At::End,
                Some(text) if *self == Self::Link || is_absolute(text) => {
                    let next = url.join(text).map_err(|why| {
                        VENDOR.external(
                            "cursor",
                            format!("the link to the next page can't be used: {why}"),
                        )
                    })?;
                    if next.origin != url.origin {
                        return Err(elsewhere(
                            "link_elsewhere",
                            "the link to the next page",
                            &next,
                        ));
                    }
                    At::Url(auth.without_key(&next).text())
                }
                Some(text) => At::Cursor(text.to_owned()),
            },
        };
        if next == *at {
            return Err(VENDOR
                .external("cursor_repeats", "a page leads to itself")
                .hint("check \"pagination\": the parameter may be another one, so that the server always answers the first page"));
        }
        if page >= PAGES_MAX {
            return Err(VENDOR.external("too_many_pages", format!("more than {PAGES_MAX} pages")));
        }
        Ok(next)
    }

    /// For people.
    pub(crate) fn words(&self) -> &'static str {
        match self {
            Self::Single => "one",
            Self::Range { .. } => "all known before",
            Self::Page { .. } => "by number, until one is empty",
            Self::Offset { .. } => "by offset, until one is empty",
            Self::Cursor { .. } => "by cursor",
            Self::Link => "by link",
        }
    }
}

/// The target of a link with `rel="next"` in a header `Link`.
fn next_link(header: &str) -> Option<String> {
    let mut rest = header;
    while let Some((_, behind)) = rest.split_once('<') {
        let (target, behind) = behind.split_once('>')?;
        let end = behind.find('<').unwrap_or(behind.len());
        let is_next = behind[..end].split(';').any(|parameter| {
            let Some((name, value)) = parameter.split_once('=') else { return false };
            let value = value.trim().trim_end_matches(',').trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("rel")
                && value.split_whitespace().any(|word| word.eq_ignore_ascii_case("next"))
        });
        if is_next {
            return Some(target.to_owned());
        }
        rest = &behind[end..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read() {
        let github = "<https://h/r?page=1>; rel=\"prev\", <https://h/r?page=3,4>; rel=\"next\", <x>; rel=last";
        assert_eq!(next_link(github).as_deref(), Some("https://h/r?page=3,4"));
        assert_eq!(next_link("</a>; title=\"x\"; rel=\"up next\"").as_deref(), Some("/a"));
        assert_eq!(next_link("</a>; rel=nextish"), None);
        assert_eq!(next_link("</a"), None);
    }

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn pages_follow_each_other() {
        let base = url("http://h/v1/r?a=b");
        let key = Auth::KeyInQuery { name: "key".into(), value: "s".into() };
        let next = |paging: &Paging, at: At, records, onward: Option<&str>| {
            paging.next(&at, (1, records), onward, (&base, &key)).map_err(|fault| fault.code)
        };
        let param = || "p".to_owned();
        let page = Paging::Page { param: param(), param_in: None, start: 1 };
        assert_eq!(next(&page, At::Number(1), 5, None), Ok(At::Number(2)));
        assert_eq!(next(&page, At::Number(2), 0, None), Ok(At::End));
        let offset = Paging::Offset { param: param(), param_in: None, start: 0 };
        assert_eq!(next(&offset, At::Number(100), 7, None), Ok(At::Number(107)));
        let range = Paging::Range { param: param(), param_in: None, start: 1, end: 6, step: 3 };
        assert_eq!(next(&range, At::Number(1), 0, None), Ok(At::Number(4)));
        assert_eq!(next(&range, At::Number(4), 9, None), Ok(At::End));
        let from = CursorFrom::Header("x-next".into());
        let cursor = Paging::Cursor { param: param(), param_in: None, from };
        assert_eq!(next(&cursor, At::First, 1, Some("c1")), Ok(At::Cursor("c1".into())));
        assert_eq!(next(&cursor, At::First, 1, None), Ok(At::End));
        let repeated = next(&cursor, At::Cursor("c1".into()), 1, Some("c1"));
        assert_eq!(repeated, Err("http.cursor_repeats".to_owned()));
        let to = |text| next(&Paging::Link, At::First, 1, Some(text));
        assert_eq!(to("?key=s&c=2"), Ok(At::Url("http://h:80/v1/r?c=2".into())));
        assert_eq!(to("https://h/v1/r"), Err("http.link_elsewhere".to_owned()));
    }

    #[test]
    fn parameters_stand_in_the_query_or_the_body() {
        let page = Paging::Page { param: "page".into(), param_in: None, start: 1 };
        let mut first = Request::new(ureq::http::Method::POST, url("http://h/?page=9"));
        let asked = page.request(&At::Number(2), &first).unwrap();
        assert_eq!(asked.url.text(), "http://h:80/?page=2");
        first.body = Some(b"{\"a\":1,\"page\":1}".to_vec());
        let asked = page.request(&At::Number(2), &first).unwrap();
        assert_eq!(asked.body.as_deref(), Some(&b"{\"a\":1,\"page\":2}"[..]));
        let elsewhere = page.request(&At::Url("http://other/".into()), &first).unwrap_err();
        assert_eq!(elsewhere.code, "http.link_elsewhere");
    }
}
