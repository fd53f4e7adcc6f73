//! What a step may reach, with the operator's own grants from `--allow-net`, `--allow-read` and
//! `--allow-write`.

use std::path::{Path, PathBuf};

use domain::Configuration;
use domain::fault::{Fault, Result};
use domain::grant::{self, Access, Grant, NamedPlace, Place, Requirement};
use sandbox::Limits;

use crate::arguments::GrantArguments;

/// Sessions with other sources that a lane keeps at most.
const RESTING_MAX: u64 = 7;

/// The places that the arguments name.
///
/// # Errors
/// `arguments.allow_net` for what is neither a host with a port nor a URL.
pub(crate) fn places(arguments: &GrantArguments) -> Result<Vec<NamedPlace>, Vec<Fault>> {
    let (mut places, mut faults) = (Vec::new(), Vec::new());
    for text in &arguments.net {
        match net(text) {
            Some(place) => places.push(NamedPlace { place, origin: "--allow-net".into() }),
            None => faults.push(
                Fault::user(
                    "arguments.allow_net",
                    format!("\"{text}\" behind --allow-net is neither HOST:PORT nor a URL"),
                )
                .hint("write it as db.example.com:5432, [::1]:5432 or https://api.example.com/v1"),
            ),
        }
    }
    for (access, paths) in [(Access::Read, &arguments.read), (Access::Write, &arguments.write)] {
        let origin = format!("--allow-{}", access.word());
        let trees = paths.iter().flat_map(|path| trees(Path::new(path)));
        places.extend(trees.map(|path| NamedPlace {
            place: Place::Tree { path, access },
            origin: origin.clone(),
        }));
    }
    if faults.is_empty() { Ok(places) } else { Err(faults) }
}

/// A folder from the root on, as it is written and as it is without links and `..`.
fn trees(path: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        [std::path::absolute(path), path.canonicalize()].into_iter().flatten().collect();
    paths.dedup();
    paths
}

fn net(text: &str) -> Option<Place> {
    if text.starts_with("http://") || text.starts_with("https://") {
        return Some(Place::Http(text.to_owned()));
    }
    let (host, port) = text.rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    // An address of version 6 has colons of its own, so it needs its brackets.
    let host = bare.or(Some(host).filter(|host| !host.contains(':')))?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    (!host.is_empty()).then(|| Place::Tcp { host: host.to_owned(), port })
}

/// Covers what a step requires by what its user and the operator named.
///
/// # Errors
/// `grant.refused`.
pub(crate) fn judge(
    step: &Configuration,
    requirements: &[Requirement],
    named: &[NamedPlace],
    base: &Path,
) -> Result<Vec<Grant>> {
    // Only a process without a current folder has none.
    let base = std::path::absolute(base).unwrap_or_else(|_| base.to_owned());
    grant::judge(step.side, &step.source_type, requirements, named, &base)
}

/// How many sessions with other sources a lane may keep. Each lane has two instances and one for each
/// of `transformers`, and planning has one more for each source and one for the destination; what is
/// left is shared by the lanes.
///
/// # Errors
/// `limits.instances`, domain user.
pub(crate) fn resting_sessions(
    limits: &Limits,
    concurrent: u32,
    sources: u64,
    transformers: u64,
) -> Result<usize> {
    let concurrent = u64::from(concurrent.max(1));
    let needed = (2 + transformers) * concurrent + sources + 1;
    if needed <= limits.instances {
        let share = (limits.instances - needed) / concurrent;
        return Ok(share.min(sources.saturating_sub(1)).min(RESTING_MAX) as usize);
    }
    let limit = limits.instances;
    let message = match sources {
        1 => {
            format!("{concurrent} lanes need {needed} instances of plug-ins, the limit is {limit}")
        }
        _ => format!(
            "{concurrent} lanes and {sources} sources need {needed} instances of plug-ins, the limit is {limit}"
        ),
    };
    let hint = format!("lower \"concurrent\", or raise the limit: --limit instances={needed}");
    Err(Fault::user("limits.instances", message).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_need_a_port() {
        let tcp = |host: &str, port| Some(Place::Tcp { host: host.into(), port });
        let table = [
            ("db:5432", tcp("db", 5432)),
            ("[::1]:80", tcp("::1", 80)),
            ("https://a.example/x", Some(Place::Http("https://a.example/x".into()))),
            ("db", None),
            ("db:0", None),
            ("db:99999", None),
            (":80", None),
            ("::1:80", None),
            ("ftp://x", None),
        ];
        for (text, place) in table {
            assert_eq!(net(text), place, "{text}");
        }
    }

    #[test]
    fn all_wrong_arguments_are_told() {
        let arguments = GrantArguments { net: vec!["a".into(), "b".into()], ..Default::default() };
        assert_eq!(places(&arguments).unwrap_err().len(), 2);
        let arguments = GrantArguments { read: vec!["src".into()], ..Default::default() };
        let places = places(&arguments).unwrap();
        assert_eq!(places[0].origin, "--allow-read");
        let path = std::env::current_dir().unwrap().join("src");
        assert_eq!(places[0].place, Place::Tree { path, access: Access::Read });
    }

    #[test]
    fn lanes_without_instances_are_refused_before_the_run() {
        let limits = Limits { instances: 10, ..Limits::default() };
        assert_eq!(resting_sessions(&limits, 4, 1, 0), Ok(0));
        let fault = resting_sessions(&limits, 5, 1, 0).unwrap_err();
        assert_eq!(fault.code, "limits.instances");
        assert!(fault.hint.unwrap().ends_with("--limit instances=12"));
        assert_eq!(resting_sessions(&limits, 2, 3, 0), Ok(1));
        assert_eq!(resting_sessions(&limits, 1, 3, 0), Ok(2));
        assert!(resting_sessions(&limits, 2, 6, 0).unwrap_err().message.contains("6 sources"));
        assert_eq!(resting_sessions(&limits, 2, 3, 1), Ok(0));
        assert!(resting_sessions(&limits, 4, 1, 1).is_err());
    }
}
