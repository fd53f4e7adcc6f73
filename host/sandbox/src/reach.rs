//! What an instance may reach: the grants of a job, made concrete for this machine.

use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use domain::grant::{Access, Grant, Requirement, folder_text};
use domain::{Fault, Result};

use crate::network::{Endpoint, Host};

/// The places that a session may reach. Nothing is opened before a session starts.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    pub(crate) endpoints: Vec<Endpoint>,
    folders: Vec<Folder>,
}

#[derive(Clone, Debug)]
struct Folder {
    /// As the user wrote it; the folder's name for the guest.
    text: String,
    path: PathBuf,
    access: Access,
    /// Who named it.
    origin: String,
}

/// A folder that was opened for one session.
pub(crate) struct OpenFolder {
    pub(crate) dir: Dir,
    pub(crate) name: String,
    pub(crate) access: Access,
}

impl Reach {
    /// Nothing at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// What `grants` say; relative paths start at `base`.
    ///
    /// # Errors
    /// `reach.unsupported`, domain external, for kinds of places that are not offered yet.
    pub fn new(grants: &[Grant], base: &Path) -> Result<Self> {
        let mut reach = Self::default();
        for grant in grants {
            match &grant.requirement {
                Requirement::Tcp { host, first_port, last_port } => {
                    reach.endpoints.push(Endpoint {
                        host: Host::parse(host),
                        first_port: *first_port,
                        last_port: *last_port,
                    })
                }
                Requirement::Directory { path, access } => {
                    let text = folder_text(path).to_owned();
                    let path = base.join(&text);
                    let origin = grant.origin.clone();
                    reach.folders.push(Folder { text, path, access: *access, origin });
                }
                other @ (Requirement::Members { .. } | Requirement::Http(_)) => {
                    return Err(Fault::external(
                        "reach.unsupported",
                        format!("this version cannot open {other} to a plug-in"),
                    ));
                }
            }
        }
        Ok(reach)
    }

    /// Opens the folders, each name once.
    pub(crate) fn open_folders(&self) -> Result<Vec<OpenFolder>> {
        let mut opened: Vec<OpenFolder> = Vec::new();
        for folder in &self.folders {
            let open = folder.open()?;
            let same = opened.iter().position(|other| other.name == open.name);
            match same {
                Some(index) if open.access == Access::Write => opened[index] = open,
                Some(_) => {}
                None => opened.push(open),
            }
        }
        Ok(opened)
    }
}

impl Folder {
    /// The folder itself, or the parent of a file.
    fn open(&self) -> Result<OpenFolder> {
        let (path, name) = match std::fs::metadata(&self.path) {
            Ok(meta) if meta.is_dir() => (self.path.clone(), self.text.clone()),
            Ok(_) => self.parent(),
            Err(error)
                if error.kind() == std::io::ErrorKind::NotFound && self.access == Access::Write =>
            {
                return self.empty();
            }
            Err(error) => return Err(self.fault(&error)),
        };
        let dir = Dir::open_ambient_dir(&path, ambient_authority())
            .map_err(|error| self.fault(&error))?;
        Ok(OpenFolder { dir, name, access: self.access })
    }

    fn parent(&self) -> (PathBuf, String) {
        let path = self.path.parent().unwrap_or(Path::new("/")).to_owned();
        let text = match self.text.rsplit_once('/') {
            Some(("", _)) => "/",
            Some((parent, _)) => parent,
            None => ".",
        };
        (path, text.to_owned())
    }

    /// A writer's folder that is not there yet is shown as one without files that takes none: planning
    /// must not create it. It is an unlinked folder, so nothing can ever be in it.
    fn empty(&self) -> Result<OpenFolder> {
        let fault = |error: &std::io::Error| {
            Fault::internal("reach.empty_folder", format!("cannot make an empty folder: {error}"))
        };
        let mut name = [0; 16];
        getrandom::fill(&mut name)
            .map_err(|error| fault(&std::io::Error::other(error.to_string())))?;
        let name = format!("airlock-empty-{:032x}", u128::from_le_bytes(name));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).map_err(|error| fault(&error))?;
        let dir = Dir::open_ambient_dir(&path, ambient_authority());
        std::fs::remove_dir(&path).map_err(|error| fault(&error))?;
        let dir = dir.map_err(|error| fault(&error))?;
        Ok(OpenFolder { dir, name: self.text.clone(), access: self.access })
    }

    fn fault(&self, error: &std::io::Error) -> Fault {
        let code = match error.kind() {
            std::io::ErrorKind::NotFound => "reach.not_found",
            std::io::ErrorKind::PermissionDenied => "reach.denied",
            _ => "reach.unreadable",
        };
        let why = match error.kind() {
            std::io::ErrorKind::NotFound => "it does not exist".to_owned(),
            std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            _ => error.to_string(),
        };
        let fault = Fault::external(
            code,
            format!("cannot open \"{}\" for {}ing: {why}", self.path.display(), self.access.word()),
        );
        match self.origin.starts_with('/') {
            true => fault.at(self.origin.clone()),
            false => fault,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(base: &Path, path: &str, access: Access) -> Reach {
        let requirement = Requirement::Directory { path: path.into(), access };
        let origin = "/steps/0/parameter/path".into();
        Reach::new(&[Grant { requirement, origin }], base).unwrap()
    }

    #[test]
    fn a_file_means_its_folder() {
        let base = tempfile::tempdir().unwrap();
        std::fs::create_dir(base.path().join("in")).unwrap();
        std::fs::write(base.path().join("in/a.csv"), "x").unwrap();
        std::fs::write(base.path().join("b.csv"), "x").unwrap();
        for (path, name) in [("in", "in"), ("in/a.csv", "in"), ("b.csv", "."), ("in/*.csv", "in")] {
            let opened = reach(base.path(), path, Access::Read).open_folders().unwrap();
            assert_eq!(opened.len(), 1);
            assert_eq!(opened[0].name, name, "{path}");
            let file = if name == "in" { "a.csv" } else { "b.csv" };
            assert_eq!(opened[0].dir.read_to_string(file).unwrap(), "x", "{path}");
        }
    }

    #[test]
    fn a_readers_folder_must_exist_and_a_writers_may_come() {
        let base = tempfile::tempdir().unwrap();
        let fault = reach(base.path(), "no", Access::Read).open_folders().err().unwrap();
        assert_eq!(fault.code, "reach.not_found");
        assert_eq!(fault.place.as_deref(), Some("/steps/0/parameter/path"));
        let opened = reach(base.path(), "no", Access::Write).open_folders().unwrap();
        assert_eq!(opened[0].name, "no");
        assert_eq!(opened[0].dir.entries().unwrap().count(), 0);
        assert!(opened[0].dir.create("x").is_err());
        assert!(!base.path().join("no").exists());
    }

    #[test]
    fn a_folder_named_twice_is_opened_once() {
        let base = tempfile::tempdir().unwrap();
        std::fs::write(base.path().join("a"), "").unwrap();
        std::fs::write(base.path().join("b"), "").unwrap();
        let grant = |path: &str| Grant {
            requirement: Requirement::Directory { path: path.into(), access: Access::Read },
            origin: "--allow-read".into(),
        };
        let reach = Reach::new(&[grant("a"), grant("b")], base.path()).unwrap();
        assert_eq!(reach.open_folders().unwrap().len(), 1);
    }
}
