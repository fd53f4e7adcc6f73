//! What an answer that is no success means for a job.

use std::io;
use std::time::{Duration, SystemTime};

use database::Vendor;
use sdk::{Fault, Result};
use ureq::http::{HeaderMap, StatusCode, header};

/// The plug-in's words in faults.
pub(crate) const VENDOR: Vendor = Vendor { code: "http", name: "HTTP" };

/// The rows of a request are to blame, or there are too many of them.
pub(crate) const REFUSED: &str = "http.refused";
/// Who asks is not known, or not any more.
pub(crate) const UNAUTHORIZED: &str = "http.unauthorized";

/// Characters of an answer that are shown.
const SHOWN_CHARS: usize = 200;

/// A fault on its way through code that knows only errors.
pub(crate) fn carry(fault: Fault) -> ureq::Error {
    ureq::Error::Other(Box::new(fault))
}

/// The connection broke.
pub(crate) fn lost(why: impl std::fmt::Display) -> Fault {
    VENDOR.lost(why).hint("the server went away or the network broke")
}

/// What went wrong below the answer's status.
pub(crate) fn of_ureq(error: ureq::Error) -> Fault {
    match error {
        ureq::Error::Other(inner) => match inner.downcast::<Fault>() {
            Ok(fault) => *fault,
            Err(other) => VENDOR.broken(&other.to_string()),
        },
        ureq::Error::Io(error) => of_io(error),
        ureq::Error::Timeout(_) => VENDOR.timed_out(),
        ureq::Error::BodyExceedsLimit(bytes) => too_large(bytes),
        ureq::Error::LargeResponseHeader(_, most) => VENDOR.external(
            "headers_too_large",
            format!("the headers of the answer are longer than {most} bytes"),
        ),
        ureq::Error::Decompress(_, error) => {
            VENDOR.external("body", format!("the body can't be unpacked: {error}")).retry_after(0)
        }
        other => VENDOR.broken(&other.to_string()),
    }
}

/// What went wrong while a body was read.
pub(crate) fn of_io(error: io::Error) -> Fault {
    if error.get_ref().is_some_and(|inner| inner.is::<ureq::Error>()) {
        return of_ureq(ureq::Error::from(error));
    }
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            VENDOR.external("body", format!("the body can't be unpacked: {error}")).retry_after(0)
        }
        _ => lost(error),
    }
}

/// A body of more bytes than this.
pub(crate) fn too_large(bytes: u64) -> Fault {
    VENDOR
        .external("body_too_large", format!("the body is longer than {} MiB, unpacked", bytes >> 20))
        .hint("ask for fewer records a page, raise \"maxBodyBytes\", or read JSON lines or CSV, which are not held whole")
}

/// The fault of an answer with this status, `said` being the beginning of its body.
pub(crate) fn of_status(status: StatusCode, headers: &HeaderMap, said: &str) -> Fault {
    let words = status.canonical_reason().unwrap_or("an unknown status");
    let mut message = format!("the server answers {} ({words})", status.as_u16());
    let said: String = said.split_whitespace().collect::<Vec<_>>().join(" ");
    if !said.is_empty() {
        message += &format!(": {}", said.chars().take(SHOWN_CHARS).collect::<String>());
    }
    let fault = |what: &str| VENDOR.external(what, message.clone());
    match status.as_u16() {
        401 => {
            fault("unauthorized").hint("check the credentials of the data source").at("/connection")
        }
        403 => fault("forbidden").hint("the credentials do not allow this request"),
        404 | 410 => fault("not_found").hint("check \"url\"").at("/parameter/url"),
        405 => fault("method_not_allowed").hint("check \"method\"").at("/parameter/method"),
        400 | 409 | 413 | 422 => fault("refused"),
        429 => again(fault("too_many_requests"), headers),
        502..=504 => again(fault("unavailable"), headers),
        500 => fault("server_error"),
        _ => fault("status"),
    }
}

/// To be tried again, when the server says.
pub(crate) fn again(fault: Fault, headers: &HeaderMap) -> Fault {
    let wait = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let wait = wait.and_then(|value| retry_after(value, SystemTime::now())).unwrap_or_default();
    fault.retry_after(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
}

/// Seconds, or a date.
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    match value.trim().parse::<u32>() {
        Ok(seconds) => Some(Duration::from_secs(seconds.into())),
        Err(_) => {
            let date = httpdate::parse_http_date(value.trim()).ok()?;
            Some(date.duration_since(now).unwrap_or_default())
        }
    }
}

/// The place of `what` in the answer is not as the job says.
pub(crate) fn shape<T>(message: String, hint: &str, place: &str) -> Result<T> {
    Err(Fault::data("http.shape", message).hint(hint).at(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(retry_after(" 7", now), Some(Duration::from_secs(7)));
        assert_eq!(
            retry_after("Sun, 06 Nov 1994 08:49:47 GMT", now),
            Some(Duration::from_secs(10))
        );
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("-1", now), None);
        assert_eq!(retry_after("soon", now), None);
    }

    #[test]
    fn a_status_has_a_code_and_says_whether_to_try_again() {
        let of = |status: u16| {
            let fault =
                of_status(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), " a\n b ");
            (fault.code, fault.retry_after_ms.is_some())
        };
        assert_eq!(of(401), (UNAUTHORIZED.to_owned(), false));
        assert_eq!(of(422), (REFUSED.to_owned(), false));
        assert_eq!(of(429), ("http.too_many_requests".to_owned(), true));
        assert_eq!(of(503), ("http.unavailable".to_owned(), true));
        assert_eq!(of(500), ("http.server_error".to_owned(), false));
        assert_eq!(of(418), ("http.status".to_owned(), false));
        let fault = of_status(StatusCode::NOT_FOUND, &HeaderMap::new(), " a\n b ");
        assert_eq!(fault.message, "the server answers 404 (Not Found): a b");
    }
}
