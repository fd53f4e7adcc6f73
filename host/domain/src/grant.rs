//! Which places a plug-in may reach: what it requires against what the user named.
//!
//! A requirement is covered by a place that the user wrote in the step or its data source, by a fixed
//! place of the service that was accepted at installation, or by an explicit grant of the operator.
//! Everything else is refused, with the rule that refused it (invariant 4). This module only decides;
//! `sandbox` enforces below the guest.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use crate::configuration::Side;
use crate::fault::{Fault, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    Read,
    Write,
}

impl Access {
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// A place that a plug-in asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Requirement {
    Tcp {
        host: String,
        first_port: u16,
        last_port: u16,
    },
    /// A cluster whose nodes only its first answer names.
    Members {
        host: String,
        first_port: u16,
        last_port: u16,
    },
    /// A URL that every request must start with.
    Http(String),
    /// The text that the user wrote, cut before its first wildcard and back to the folder; the folder
    /// appears to the guest under exactly this name.
    Directory {
        path: String,
        access: Access,
    },
    /// The file that the user wrote, with those that a database keeps beside it. They appear to the guest
    /// in its root under `name`, and nothing else of their folder does.
    File {
        path: String,
        access: Access,
        name: String,
    },
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, first_port, last_port } if first_port == last_port => {
                write!(f, "tcp {host}:{first_port}")
            }
            Self::Tcp { host, first_port, last_port } => {
                write!(f, "tcp {host}:{first_port}-{last_port}")
            }
            Self::Members { host, first_port, .. } => {
                write!(f, "tcp members of {host}:{first_port}")
            }
            Self::Http(url) => write!(f, "http {url}"),
            Self::Directory { path, access } | Self::File { path, access, .. } => {
                write!(f, "{} {path}", access.word())
            }
        }
    }
}

/// A place that somebody other than the plug-in named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A host and a port, both written.
    Tcp {
        host: String,
        port: u16,
    },
    /// A host whose port nobody wrote: the usual one of its type or scheme. It means somebody's public
    /// server, never an address of this machine or its networks.
    Host {
        host: String,
        port: u16,
    },
    Http(String),
    /// A folder for reading (readers) or writing (writers), as the user wrote it.
    Directory {
        path: String,
        access: Access,
    },
    /// A folder with all that lies below it, from the root on; the operator's.
    Tree {
        path: PathBuf,
        access: Access,
    },
}

/// A place and who named it: a JSON pointer such as `/steps/0/parameter/path`, or `--allow-net`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPlace {
    pub place: Place,
    pub origin: String,
}

/// A requirement that is covered, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub requirement: Requirement,
    /// The place that covers it.
    pub place: Place,
    /// Who named the place.
    pub origin: String,
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.requirement, &self.place) {
            // Files that only a look into the folder can find: the folder is what is opened.
            (Requirement::Directory { path, access }, Place::Directory { path: written, .. })
                if written.contains(WILDCARDS) =>
            {
                let (word, folder) = (access.word(), folder_text(path));
                write!(f, "{word} {folder} (for {written}, named by {})", self.origin)
            }
            _ => write!(f, "{} (named by {})", self.requirement, self.origin),
        }
    }
}

/// Covers each of `requirements` by one of `named`, or refuses. Relative paths start at `base`, which
/// is written from the root on.
///
/// # Errors
/// `grant.refused`, domain external, naming the first place that nobody named, and the rule.
pub fn judge(
    side: Side,
    plugin: &str,
    requirements: &[Requirement],
    named: &[NamedPlace],
    base: &Path,
) -> Result<Vec<Grant>> {
    let covering = |requirement: &Requirement| {
        let covering = named.iter().filter(|named| covers(&named.place, requirement, base));
        // A port that was written opens more than one that was not.
        covering.min_by_key(|named| matches!(named.place, Place::Host { .. }))
    };
    let grant = |requirement: &Requirement| match covering(requirement) {
        Some(NamedPlace { place, origin }) => Ok(Grant {
            requirement: requirement.clone(),
            place: place.clone(),
            origin: origin.clone(),
        }),
        None => Err(refusal(side, plugin, requirement)),
    };
    requirements.iter().map(grant).collect()
}

fn covers(place: &Place, requirement: &Requirement, base: &Path) -> bool {
    match (place, requirement) {
        (
            Place::Tcp { host, port } | Place::Host { host, port },
            Requirement::Tcp { host: wanted, first_port, last_port },
        ) => host.eq_ignore_ascii_case(wanted) && first_port == last_port && port == first_port,
        (Place::Http(base), Requirement::Http(url)) => covers_url(base, url),
        (
            Place::Directory { path, access },
            Requirement::Directory { path: wanted, access: wanted_access },
        ) => access == wanted_access && folder_text(path) == folder_text(wanted),
        (
            Place::Directory { path, access },
            Requirement::File { path: wanted, access: wanted_access, .. },
        ) => access == wanted_access && path == wanted,
        (
            Place::Tree { path, access },
            Requirement::Directory { path: wanted, access: wanted_access },
        ) => access == wanted_access && lies_below(path, &base.join(folder_text(wanted))),
        (
            Place::Tree { path, access },
            Requirement::File { path: wanted, access: wanted_access, .. },
        ) => access == wanted_access && lies_below(path, &base.join(wanted)),
        _ => false,
    }
}

/// By the text alone; a link below the folder may lead elsewhere, which is looked at when it is opened.
fn lies_below(folder: &Path, path: &Path) -> bool {
    !path.components().any(|part| part == Component::ParentDir) && path.starts_with(folder)
}

/// A URL covers itself and what lies below it, at a boundary of its path.
fn covers_url(base: &str, url: &str) -> bool {
    let base = base.trim_end_matches('/');
    url.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
}

const WILDCARDS: [char; 4] = ['*', '?', '[', '{'];

/// The part of a written path before its first wildcard, cut back to the last `/` where there is a
/// wildcard; `.` where nothing is left.
pub fn folder_text(written: &str) -> &str {
    let before = match written.find(WILDCARDS) {
        Some(wildcard) => match written[..wildcard].rfind('/') {
            Some(0) => "/",
            Some(slash) => &written[..slash],
            None => "",
        },
        None => written,
    };
    match before.trim_end_matches('/') {
        "" if before.starts_with('/') => "/",
        "" => ".",
        text => text,
    }
}

fn refusal(side: Side, plugin: &str, requirement: &Requirement) -> Fault {
    let (rule, option) = match requirement {
        Requirement::Tcp { host, first_port, .. } => (
            "a plug-in connects only to hosts and ports that its step or data source names",
            format!("--allow-net {host}:{first_port}"),
        ),
        Requirement::Members { host, .. } => (
            "nodes of a cluster are reached only where the data source gives a pattern or network",
            format!("--allow-net {host}"),
        ),
        Requirement::Http(url) => (
            "a plug-in requests only URLs that its step or data source names",
            format!("--allow-net {url}"),
        ),
        Requirement::Directory { path, access } => (
            "a plug-in opens only folders that its step or data source names",
            format!("--allow-{} {path}", access.word()),
        ),
        Requirement::File { path, access, .. } => (
            "a plug-in opens only files that its step or data source names",
            format!("--allow-{} {path}", access.word()),
        ),
    };
    Fault::external(
        "grant.refused",
        format!(
            "{} \"{plugin}\" asks for {requirement}, which the job does not name: {rule}",
            side.word()
        ),
    )
    .hint(format!("name the place in the step or its data source, or grant it with {option}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_cut_before_the_first_wildcard() {
        let table = [
            ("data", "data"),
            ("data/", "data"),
            ("data/in/*.csv", "data/in"),
            ("orders-*.csv", "."),
            ("/data/[ab]/x", "/data"),
            ("/*.csv", "/"),
            ("/", "/"),
            ("", "."),
            ("in/orders.csv", "in/orders.csv"),
        ];
        for (written, folder) in table {
            assert_eq!(folder_text(written), folder, "{written}");
        }
    }

    fn tcp(host: &str, port: u16) -> NamedPlace {
        let place = Place::Tcp { host: host.into(), port };
        NamedPlace { place, origin: "/connection/host".into() }
    }

    fn wanted(host: &str, first_port: u16, last_port: u16) -> Requirement {
        Requirement::Tcp { host: host.into(), first_port, last_port }
    }

    #[test]
    fn a_port_is_covered_only_by_itself() {
        let named = [tcp("db.example", 5432)];
        let ask = |requirement| judge(Side::Reader, "x", &[requirement], &named, Path::new("/"));
        assert!(ask(wanted("db.example", 5432, 5432)).is_ok());
        assert!(ask(wanted("DB.example", 5432, 5432)).is_ok());
        for refused in [
            wanted("db.example", 5433, 5433),
            wanted("db.example", 5432, 5433),
            wanted("db.example.evil", 5432, 5432),
            Requirement::Members { host: "db.example".into(), first_port: 5432, last_port: 5432 },
        ] {
            assert_eq!(ask(refused).unwrap_err().code, "grant.refused");
        }
    }

    #[test]
    fn a_url_covers_what_lies_below_it() {
        assert!(covers_url("https://a.example/api", "https://a.example/api/v1"));
        assert!(covers_url("https://a.example/api/", "https://a.example/api?x"));
        assert!(!covers_url("https://a.example/api", "https://a.example/apix"));
        assert!(!covers_url("https://a.example", "https://a.example.evil/"));
    }

    #[test]
    fn a_reader_place_is_not_a_writer_place() {
        let place = Place::Directory { path: "in/*.csv".into(), access: Access::Read };
        let named = [NamedPlace { place, origin: "/steps/0/parameter/path".into() }];
        let ask = |access| {
            let requirement = Requirement::Directory { path: "in".into(), access };
            judge(Side::Reader, "file", &[requirement], &named, Path::new("/"))
        };
        let granted = ask(Access::Read).unwrap();
        assert_eq!(
            granted[0].to_string(),
            "read in (for in/*.csv, named by /steps/0/parameter/path)"
        );
        assert!(ask(Access::Write).is_err());
    }

    #[test]
    fn a_file_is_covered_by_itself_alone() {
        let place = Place::Directory { path: "in/shop.db".into(), access: Access::Write };
        let named = [NamedPlace { place, origin: "/connection/path".into() }];
        let ask = |path: &str, access| {
            let requirement = Requirement::File { path: path.into(), access, name: "main".into() };
            judge(Side::Writer, "sqlite", &[requirement], &named, Path::new("/")).is_ok()
        };
        assert!(ask("in/shop.db", Access::Write));
        assert!(!ask("in/shop.db", Access::Read));
        for other in ["in", "in/shop", "in/shop.db-wal", "in/other.db", "./in/shop.db"] {
            assert!(!ask(other, Access::Write), "{other}");
        }
    }

    #[test]
    fn a_written_port_is_preferred() {
        let usual = Place::Host { host: "db.example".into(), port: 5432 };
        let usual = NamedPlace { place: usual, origin: "/connection/jdbcUrl".into() };
        let requirement = [wanted("db.example", 5432, 5432)];
        let base = Path::new("/");
        let only = judge(Side::Reader, "x", &requirement, std::slice::from_ref(&usual), base);
        assert_eq!(only.unwrap()[0].place, usual.place);
        let both = [usual, tcp("db.example", 5432)];
        let granted = judge(Side::Reader, "x", &requirement, &both, base).unwrap();
        assert_eq!(granted[0].place, both[1].place);
    }

    #[test]
    fn an_operators_folder_covers_what_lies_below_it() {
        let place = Place::Tree { path: "/data/in".into(), access: Access::Read };
        let named = [NamedPlace { place, origin: "--allow-read".into() }];
        let ask = |path: &str, access| {
            let requirement = Requirement::Directory { path: path.into(), access };
            judge(Side::Reader, "file", &[requirement], &named, Path::new("/data")).is_ok()
        };
        for covered in ["in", "./in", "in/", "in/a/b", "/data/in/x.csv", "in/*.csv"] {
            assert!(ask(covered, Access::Read), "{covered}");
        }
        for other in [".", "inside", "in/../out", "in/..", "/etc", "/data", "out"] {
            assert!(!ask(other, Access::Read), "{other}");
        }
        assert!(!ask("in", Access::Write));
    }
}
