//! What an instance may reach: the grants of a job, made concrete for this machine.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use domain::grant::{Access, Grant, Place, Requirement, folder_text};
use domain::{Fault, Result};
use rustix::process::{Flock, FlockType, fcntl_getlk};

use crate::address::{self, Kind};
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
    /// The operator's folder that it must lie below, links followed.
    within: Option<PathBuf>,
    /// It is a file, which the guest sees under this name.
    seen_as: Option<String>,
}

/// A folder that no guest sees, for the granted files in it.
pub(crate) struct Hidden {
    path: PathBuf,
    pub(crate) dir: Dir,
    pub(crate) access: Access,
}

/// What stands behind the name of a database's file in those beside it.
const BESIDE: [&str; 4] = ["", "-journal", "-wal", "-shm"];

/// A folder that was opened for one session.
pub(crate) struct OpenFolder {
    pub(crate) dir: Dir,
    pub(crate) name: String,
    pub(crate) access: Access,
}

/// A file that was granted by its name. What lies beside it is not seen.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OpenFile {
    /// The folder's name for the guest, and the file's in it.
    pub(crate) folder: String,
    pub(crate) name: String,
    /// Which of the hidden folders it lies in, and its name there: links are followed.
    pub(crate) hidden: usize,
    pub(crate) real: String,
}

/// What was opened for one session.
#[derive(Default)]
pub(crate) struct Opened {
    /// Each name once.
    pub(crate) folders: Vec<OpenFolder>,
    pub(crate) hidden: Vec<Hidden>,
    pub(crate) files: Vec<OpenFile>,
}

impl Reach {
    /// Nothing at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// What `grants` say; relative paths start at `base`.
    ///
    /// # Errors
    /// `reach.unsupported`, domain external, for kinds of places that are not offered yet;
    /// `reach.port_not_written`, domain user, for addresses of this machine or its networks whose port
    /// nobody wrote.
    pub fn new(grants: &[Grant], base: &Path) -> Result<Self> {
        let mut reach = Self::default();
        for grant in grants {
            match &grant.requirement {
                Requirement::Tcp { host, first_port, last_port } => {
                    let endpoint = Endpoint {
                        host: Host::parse(host),
                        first_port: *first_port,
                        last_port: *last_port,
                        port_is_written: !matches!(grant.place, Place::Host { .. }),
                    };
                    check_port(&endpoint, host, &grant.origin)?;
                    reach.endpoints.push(endpoint);
                }
                Requirement::Directory { path, access } => {
                    let text = folder_text(path);
                    reach.folders.push(Folder::new(grant, base, text, *access, None));
                }
                Requirement::File { path, access, name } => {
                    let seen_as = Some(name.clone());
                    reach.folders.push(Folder::new(grant, base, path, *access, seen_as));
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

    /// The same places, to read alone.
    pub(crate) fn to_read(&self) -> Self {
        let mut reach = self.clone();
        reach.folders.iter_mut().for_each(|folder| folder.access = Access::Read);
        reach
    }

    /// Opens folders and files. None to write to has the host's `own` folders in it, nor lies in one: what
    /// the host runs and remembers is there.
    ///
    /// # Errors
    /// `reach.own_folder`, domain user; other codes of `reach`, domain external.
    pub(crate) fn open(&self, own: &[PathBuf]) -> Result<Opened> {
        let mut opened = Opened::default();
        for folder in &self.folders {
            folder.open(own, &mut opened)?;
        }
        for index in 0..opened.files.len() {
            let name = opened.files[index].folder.clone();
            if !opened.folders.iter().any(|folder| folder.name == name) {
                opened.add(empty()?, name, Access::Read);
            }
        }
        Ok(opened)
    }

    /// Makes the folders to write that are not there, durably, and answers whether there were any.
    ///
    /// # Errors
    /// `grant.folder`, domain external, at the place that named the folder.
    pub(crate) fn make_folders(&self) -> Result<bool> {
        let mut made = false;
        let to_write =
            |folder: &&Folder| folder.access == Access::Write && folder.seen_as.is_none();
        for folder in self.folders.iter().filter(to_write) {
            folder.check_within()?;
            made |= make_folder(&folder.path).map_err(|error| folder.not_made(&error))?;
        }
        Ok(made)
    }
}

/// Addresses of this machine and its networks are opened only where their port was written.
fn check_port(endpoint: &Endpoint, host: &str, origin: &str) -> Result<()> {
    let own = match &endpoint.host {
        Host::Address(ip) => address::kind(*ip) != Kind::Public,
        Host::Name(name) => name == "localhost" || name.ends_with(".localhost"),
    };
    if endpoint.port_is_written || !own {
        return Ok(());
    }
    let fault = Fault::user(
        "reach.port_not_written",
        format!(
            "\"{host}\" is of this machine or its networks, which are reached only where the port is written"
        ),
    )
    .hint(format!("write the port, too: {}", endpoint.first_port));
    Err(at(fault, origin))
}

/// Makes a folder and those above it. Each is durable in the one above before the next is made.
fn make_folder(path: &Path) -> io::Result<bool> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(false);
    }
    let above = path.parent().unwrap_or(Path::new("/"));
    make_folder(above)?;
    match fs::create_dir(path) {
        // Another lane or process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        other => other?,
    }
    let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
    File::open(above)?.sync_all()?;
    Ok(true)
}

impl Opened {
    /// A name that is there already keeps its folder.
    fn add(&mut self, dir: Dir, name: String, access: Access) {
        if !self.folders.iter().any(|folder| folder.name == name) {
            self.folders.push(OpenFolder { dir, name, access });
        }
    }

    /// The number of a hidden folder.
    fn hide(&mut self, folder: &Path, access: Access) -> io::Result<usize> {
        let known = |hidden: &Hidden| hidden.path == folder && hidden.access == access;
        match self.hidden.iter().position(known) {
            Some(index) => Ok(index),
            None => {
                let dir = open_dir(folder)?;
                self.hidden.push(Hidden { path: folder.to_owned(), dir, access });
                Ok(self.hidden.len() - 1)
            }
        }
    }
}

impl Folder {
    fn new(
        grant: &Grant,
        base: &Path,
        text: &str,
        access: Access,
        seen_as: Option<String>,
    ) -> Self {
        let within = match &grant.place {
            Place::Tree { path, .. } => Some(path.clone()),
            _ => None,
        };
        let (path, origin) = (base.join(text), grant.origin.clone());
        Self { text: text.to_owned(), path, access, origin, within, seen_as }
    }

    fn open(&self, own: &[PathBuf], opened: &mut Opened) -> Result<()> {
        self.check_within()?;
        if let Some(name) = &self.seen_as {
            return self.open_seen_as(name, opened).map_err(|error| self.fault(&error));
        }
        match (fs::metadata(&self.path), self.access) {
            (Ok(meta), access) if meta.is_dir() => {
                self.check_apart(own)?;
                if access == Access::Write {
                    may_write(&self.path).map_err(|error| self.fault(&error))?;
                }
                let dir = open_dir(&self.path).map_err(|error| self.fault(&error))?;
                opened.add(dir, self.text.clone(), access);
                Ok(())
            }
            (Ok(_), Access::Read) => self.open_file(opened).map_err(|error| self.fault(&error)),
            (Ok(_), Access::Write) => {
                let error = io::Error::from(io::ErrorKind::NotADirectory);
                Err(self.fault(&error).hint("name a folder, which files are written to"))
            }
            // Planning must not make it, and nothing can be written to what stands for it.
            (Err(error), Access::Write) if error.kind() == io::ErrorKind::NotFound => {
                let there = self.path.ancestors().find(|path| path.exists());
                may_write(there.unwrap_or(&self.path)).map_err(|error| self.fault(&error))?;
                opened.add(empty()?, self.text.clone(), Access::Write);
                Ok(())
            }
            (Err(error), _) => Err(self.fault(&error)),
        }
    }

    /// Opens a file as the user would, through links.
    fn open_file(&self, opened: &mut Opened) -> io::Result<()> {
        let real = self.path.canonicalize()?;
        let name = real.file_name().and_then(|name| name.to_str());
        let (Some(folder), Some(name)) = (real.parent(), name) else {
            return Err(io::Error::other("its name is no UTF-8"));
        };
        let hidden = opened.hide(folder, Access::Read)?;
        let (folder, file) = match self.text.rsplit_once('/') {
            Some(("", file)) => ("/", file),
            Some((folder, file)) => (folder, file),
            None => (".", self.text.as_str()),
        };
        opened.files.push(OpenFile {
            folder: folder.to_owned(),
            name: file.to_owned(),
            hidden,
            real: name.to_owned(),
        });
        Ok(())
    }

    /// Opens a file, and those beside it, under the guest's name for it. One to write may be made by the
    /// guest, in a folder that is there; a guest takes no locks, so nobody else may have it locked.
    fn open_seen_as(&self, name: &str, opened: &mut Opened) -> io::Result<()> {
        let is_new = self.access == Access::Write && fs::symlink_metadata(&self.path).is_err();
        let real = match (is_new, self.path.parent(), self.path.file_name()) {
            (true, Some(folder), Some(file)) => folder.canonicalize()?.join(file),
            _ => self.path.canonicalize()?,
        };
        if real.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if self.access == Access::Write && !is_new && is_locked(&File::open(&real)?)? {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        let file = real.file_name().and_then(|file| file.to_str());
        let (Some(folder), Some(file)) = (real.parent(), file) else {
            return Err(io::Error::other("its name is no UTF-8"));
        };
        let hidden = opened.hide(folder, self.access)?;
        let beside = |end: &&str| OpenFile {
            folder: ".".to_owned(),
            name: format!("{name}{end}"),
            hidden,
            real: format!("{file}{end}"),
        };
        opened.files.extend(BESIDE.iter().map(beside));
        Ok(())
    }

    /// Links must not lead out of an operator's folder. What is not there yet is judged by what it
    /// will lie in.
    fn check_within(&self) -> Result<()> {
        let Some(within) = &self.within else { return Ok(()) };
        let there = self.path.ancestors().find_map(|path| path.canonicalize().ok());
        // The operator's folder itself may not be there yet.
        let within = within.canonicalize().unwrap_or_else(|_| within.clone());
        let lies_below = there.is_some_and(|there| {
            there.starts_with(&within) || (within.starts_with(&there) && !within.exists())
        });
        match lies_below {
            true => Ok(()),
            false => Err(Fault::external(
                "reach.outside",
                format!(
                    "\"{}\" leads out of the folder \"{}\" of {}",
                    self.path.display(),
                    within.display(),
                    self.origin
                ),
            )
            .hint("name the folder that it leads to")),
        }
    }

    fn check_apart(&self, own: &[PathBuf]) -> Result<()> {
        let real = match self.access {
            Access::Read => return Ok(()),
            Access::Write => self.path.canonicalize().map_err(|error| self.fault(&error))?,
        };
        let touches = |own: &&PathBuf| own.starts_with(&real) || real.starts_with(own);
        let Some(own) = own.iter().find(touches) else { return Ok(()) };
        let message = format!(
            "cannot open \"{}\" for writing: Airlock's own files are there, in \"{}\"",
            self.path.display(),
            own.display()
        );
        let fault = Fault::user("reach.own_folder", message)
            .hint("name a folder below it, or keep Airlock's files elsewhere with --state-dir");
        Err(at(fault, &self.origin))
    }

    fn fault(&self, error: &io::Error) -> Fault {
        let code = match error.kind() {
            io::ErrorKind::NotFound => "reach.not_found",
            io::ErrorKind::PermissionDenied => "reach.denied",
            io::ErrorKind::NotADirectory => "reach.not_a_folder",
            io::ErrorKind::IsADirectory => "reach.not_a_file",
            io::ErrorKind::ResourceBusy => "reach.locked",
            io::ErrorKind::ReadOnlyFilesystem => "reach.denied",
            _ => "reach.unreadable",
        };
        let why = match error.kind() {
            io::ErrorKind::NotFound => "it does not exist".to_owned(),
            io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            io::ErrorKind::NotADirectory => "it is no folder".to_owned(),
            io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
            io::ErrorKind::ResourceBusy => "another program has it locked".to_owned(),
            _ => error.to_string(),
        };
        let word = self.access.word().trim_end_matches('e');
        let path = self.path.display();
        let fault = Fault::external(code, format!("cannot open \"{path}\" for {word}ing: {why}"));
        let fault = match error.kind() {
            io::ErrorKind::ResourceBusy => {
                fault.hint("let that program end, then start the run again")
            }
            _ => fault,
        };
        at(fault, &self.origin)
    }

    fn not_made(&self, error: &io::Error) -> Fault {
        let message = format!("cannot create the folder \"{}\": {error}", self.path.display());
        let fault = Fault::external("grant.folder", message)
            .hint("check the permissions of the folder above it and the space on the disk");
        at(fault, &self.origin)
    }
}

/// The fault at the place that named it, where that is one of the document.
fn at(fault: Fault, origin: &str) -> Fault {
    match origin.contains('/') {
        true => fault.at(origin.to_owned()),
        false => fault,
    }
}

/// Whether another process holds a lock on a part of the file.
fn is_locked(file: &File) -> io::Result<bool> {
    let whole = Flock::from(FlockType::WriteLock);
    Ok(fcntl_getlk(file, &whole)?.is_some())
}

/// Whether files can be made in a folder, told before anything is read.
fn may_write(folder: &Path) -> io::Result<()> {
    Ok(rustix::fs::access(folder, rustix::fs::Access::WRITE_OK)?)
}

fn open_dir(path: &Path) -> io::Result<Dir> {
    Dir::open_ambient_dir(path, ambient_authority())
}

/// A folder without files that takes none: it is unlinked, so nothing can ever be in it.
fn empty() -> Result<Dir> {
    let fault = |error: &io::Error| {
        Fault::internal("reach.empty_folder", format!("cannot make an empty folder: {error}"))
    };
    let mut name = [0; 16];
    getrandom::fill(&mut name).map_err(|error| fault(&io::Error::other(error.to_string())))?;
    let name = format!("airlock-empty-{:032x}", u128::from_le_bytes(name));
    let path = std::env::temp_dir().join(name);
    fs::create_dir(&path).map_err(|error| fault(&error))?;
    let dir = open_dir(&path);
    fs::remove_dir(&path).map_err(|error| fault(&error))?;
    dir.map_err(|error| fault(&error))
}

#[cfg(test)]
mod tests;
