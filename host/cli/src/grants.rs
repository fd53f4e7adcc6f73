//! The operator's own grants, from `--allow-net`, `--allow-read` and `--allow-write`.

use std::path::Path;

use domain::fault::{Fault, Result};
use domain::grant::{Access, Grant, NamedPlace, Place, Requirement, folder_text};

use crate::arguments::GrantArguments;

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
        let folder = |path: &String| Place::Directory { path: path.clone(), access };
        places.extend(
            paths.iter().map(|path| NamedPlace { place: folder(path), origin: origin.clone() }),
        );
    }
    if faults.is_empty() { Ok(places) } else { Err(faults) }
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

/// Creates the folders that a writer was granted, where they are missing: just before a run, never
/// while planning.
///
/// # Errors
/// `grant.folder`, domain external, at the place that named the folder.
pub(crate) fn create_folders(grants: &[Grant], base: &Path) -> Result<()> {
    for grant in grants {
        let Requirement::Directory { path, access: Access::Write } = &grant.requirement else {
            continue;
        };
        let folder = base.join(folder_text(path));
        if folder.exists() {
            continue;
        }
        std::fs::create_dir_all(&folder).map_err(|error| {
            let message = format!("cannot create the folder \"{}\": {error}", folder.display());
            let fault = Fault::external("grant.folder", message)
                .hint("check the permissions of the folder above it and the space on the disk");
            match grant.origin.starts_with('/') {
                true => fault.at(grant.origin.clone()),
                false => fault,
            }
        })?;
    }
    Ok(())
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
        let arguments = GrantArguments { read: vec!["in".into()], ..Default::default() };
        let places = places(&arguments).unwrap();
        assert_eq!(places[0].origin, "--allow-read");
    }

    #[test]
    fn only_folders_to_write_are_created() {
        let base = tempfile::tempdir().unwrap();
        let grant = |path: &str, access| Grant {
            requirement: Requirement::Directory { path: path.into(), access },
            origin: "/steps/1/parameter/path".into(),
        };
        let grants = [grant("in", Access::Read), grant("out/dt=1", Access::Write)];
        create_folders(&grants, base.path()).unwrap();
        assert!(base.path().join("out/dt=1").is_dir());
        assert!(!base.path().join("in").exists());
        std::fs::write(base.path().join("file"), "").unwrap();
        let fault = create_folders(&[grant("file/x", Access::Write)], base.path()).unwrap_err();
        assert_eq!(fault.place.as_deref(), Some("/steps/1/parameter/path"));
    }
}
