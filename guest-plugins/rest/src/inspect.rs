//! Looking at a data source without moving rows: `requirements`, `check`, `discover`.

use sdk::{CheckStep, Configuration, Dataset, Fault, NoTransformer, Requirement, Result, Side};
use ureq::http::Method;

use crate::auth::Auth;
use crate::client::{Client, Request};
use crate::reader::{FILE_TYPE, Source};
use crate::settings::{Asking, Connection, FileParameter, ReaderParameter};
use crate::url::Origin;
use crate::writer::Target;

const STEPS: [&str; 5] = ["resolve", "connect", "tls", "authenticate", "request"];

/// The server, and that of its tokens.
pub(crate) fn requirements(configuration: &Configuration) -> Result<Vec<Requirement>> {
    let origin = match configuration.side {
        Side::Reader => Source::of(configuration)?.request.url.origin,
        Side::Transformer => return Err(NoTransformer::fault()),
        Side::Writer => Target::of(configuration)?.shape.request.url.origin,
    };
    let mut origins: Vec<Origin> = vec![origin];
    if let Auth::ClientCredentials(oauth) = Connection::read(configuration)?.auth()?
        && !origins.contains(&oauth.url.origin)
    {
        origins.push(oauth.url.origin);
    }
    Ok(origins.iter().map(Origin::requirement).collect())
}

/// Goes the way to the answer step by step, up to the first that fails.
pub(crate) fn check(configuration: &Configuration) -> Result<Vec<CheckStep>> {
    let (asked, is_https) = match configuration.side {
        Side::Reader => {
            let source = Source::of(configuration)?;
            let mut client = source.client()?;
            let asked = match names_url(configuration) {
                true => source.try_read(&mut client),
                false => reached(client.send(&source.request).map(drop)),
            };
            (asked, source.request.url.origin.is_https)
        }
        Side::Transformer => return Err(NoTransformer::fault()),
        Side::Writer => {
            let target = Target::of(configuration)?;
            let mut client = target.client()?;
            (knock(&mut client, &target), target.shape.request.url.origin.is_https)
        }
    };
    let steps = STEPS.into_iter().filter(|name| is_https || *name != "tls");
    let Err(fault) = asked else {
        return Ok(steps.map(|name| CheckStep { name: name.to_owned(), fault: None }).collect());
    };
    let failed = STEPS[step_of(&fault.code)];
    let mut checked: Vec<_> = steps
        .take_while(|name| *name != failed)
        .map(|name| CheckStep { name: name.to_owned(), fault: None })
        .collect();
    checked.push(CheckStep { name: failed.to_owned(), fault: Some(fault) });
    Ok(checked)
}

/// Whether the step itself says what is asked for, and not its data source alone.
fn names_url(configuration: &Configuration) -> bool {
    if configuration.source_type == FILE_TYPE {
        let parameter: Result<FileParameter> = sdk::parameters::parameter(configuration);
        return parameter.is_ok_and(|parameter| !parameter.file_name.is_empty());
    }
    let asking: Result<Asking> = sdk::parameters::parameter(configuration);
    asking.is_ok_and(|asking| asking.names_url())
}

/// The step that a fault belongs to.
fn step_of(code: &str) -> usize {
    match code {
        "net.name_not_found" => 0,
        code if code.starts_with("net.") || code.starts_with("connection.") => 1,
        code if code.starts_with("http.tls") => 2,
        "http.unauthorized" | "http.forbidden" | "http.token" | "http.token_refused" => 3,
        _ => 4,
    }
}

/// An answer of the server to what was not meant as a question is enough.
fn reached(asked: Result<()>) -> Result<()> {
    let is_answer = |code: &str| {
        matches!(
            code,
            "http.not_found"
                | "http.method_not_allowed"
                | "http.refused"
                | "http.status"
                | "http.redirect_refused"
                | "http.redirects"
        )
    };
    asked.or_else(|fault: Fault| if is_answer(&fault.code) { Ok(()) } else { Err(fault) })
}

/// Asks what can be sent here, which sends nothing.
fn knock(client: &mut Client, target: &Target) -> Result<()> {
    let mut request = Request::new(Method::OPTIONS, target.shape.request.url.clone());
    request.headers = target.shape.request.headers.clone();
    request.headers.remove(ureq::http::header::CONTENT_TYPE);
    client.reach()?;
    reached(client.send(&request).map(drop))
}

/// What the step reads, or what answers at each path below the data source's URL.
pub(crate) fn discover(
    configuration: &Configuration,
    paths: &[Vec<String>],
) -> Result<Vec<Dataset>> {
    if configuration.side != Side::Reader {
        return Ok(Vec::new());
    }
    if paths.is_empty() || names_url(configuration) {
        let source = Source::of(configuration)?;
        let mut client = source.client()?;
        return Ok(vec![source.dataset(&mut client)?]);
    }
    paths
        .iter()
        .map(|path| {
            let connection = Connection::read(configuration)?;
            let asking = Asking::of_url(&path.join("/"));
            let source = Source::new(connection, &asking, &ReaderParameter::default())?;
            let mut client = source.client()?;
            source.guessed(&mut client)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_belong_to_a_step() {
        let cases = [
            ("net.name_not_found", "resolve"),
            ("net.refused", "connect"),
            ("http.tls_certificate", "tls"),
            ("http.unauthorized", "authenticate"),
            ("http.not_found", "request"),
            ("http.json", "request"),
        ];
        for (code, step) in cases {
            assert_eq!(STEPS[step_of(code)], step, "{code}");
        }
    }
}
