//! The files that a user wrote: a job document, its data sources, and the secrets they point to.

use std::io::Read;
use std::path::{Path, PathBuf};

use domain::fault::{Fault, Result};

use crate::environment::Environment;
use crate::shell;

/// A document or a secret larger than this is refused: somebody named the wrong file.
const DOCUMENT_BYTES_MAX: u64 = 16 << 20;
/// What a document on standard input is called.
const STANDARD_INPUT: &str = "<stdin>";
/// How the identity of one begins.
const STANDARD_INPUT_PREFIX: &str = "stdin:";
/// Where data sources are looked for, beside the document.
const SOURCES_FILE: &str = "datasources.json";

/// A job document as it was found.
#[derive(Clone, Debug)]
pub(crate) struct DocumentFile {
    /// As the user named it.
    pub(crate) name: String,
    pub(crate) text: String,
    /// Where its relative paths start.
    pub(crate) folder: PathBuf,
    /// Names it in the books: the absolute path; for standard input the digest of what came, and the
    /// working folder, where relative paths start.
    pub(crate) identity: String,
}

impl DocumentFile {
    /// # Errors
    /// `document.unreadable`: domain user where there is no such file, else external.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Self::read_standard_input();
        }
        let name = path.display().to_string();
        let text = read_text(path).map_err(|error| unreadable("document", &name, &error))?;
        let absolute =
            path.canonicalize().map_err(|error| unreadable("document", &name, &error))?;
        let folder = absolute.parent().unwrap_or(Path::new("/")).to_owned();
        Ok(Self { name, text, folder, identity: absolute.display().to_string() })
    }

    /// How the document is named to a shell.
    pub(crate) fn argument(&self) -> String {
        match self.name.as_str() {
            STANDARD_INPUT => "-".into(),
            name => shell::quoted(name),
        }
    }

    fn read_standard_input() -> Result<Self> {
        let refused = |error| unreadable("document", STANDARD_INPUT, &error);
        let text = read_bounded(std::io::stdin().lock()).map_err(refused)?;
        let folder = std::env::current_dir().map_err(refused)?;
        let digest = blake3::hash(text.as_bytes()).to_hex();
        let identity = format!("{STANDARD_INPUT_PREFIX}{digest}:{}", folder.display());
        Ok(Self { name: STANDARD_INPUT.into(), text, folder, identity })
    }
}

/// Whether two identities name one document, which may have changed since: one file, or standard
/// input in one folder.
pub(crate) fn same_place(before: &str, now: &str) -> bool {
    let folder = |identity: &str| {
        let rest = identity.strip_prefix(STANDARD_INPUT_PREFIX)?;
        rest.split_once(':').map(|(_, folder)| folder.to_owned())
    };
    before == now || folder(before).is_some_and(|before| folder(now) == Some(before))
}

/// The data sources' file: named, or looked for.
#[derive(Clone, Debug)]
pub(crate) struct SourcesFile {
    pub(crate) name: String,
    pub(crate) text: Option<String>,
    /// Where its relative paths start: the folder of the file itself, also behind a link.
    pub(crate) folder: PathBuf,
}

impl SourcesFile {
    /// The file that was named, which must be there, or the one in `folder`, which may be.
    ///
    /// # Errors
    /// `sources.unreadable`.
    pub(crate) fn read(named: Option<&Path>, folder: &Path, beside: Option<&str>) -> Result<Self> {
        let path = match named {
            Some(path) => path.to_owned(),
            None => folder.join(SOURCES_FILE),
        };
        // Messages show the file as a person would type it, beside the document.
        let shown = match (named, beside.and_then(|name| Path::new(name).parent())) {
            (None, Some(parent)) => parent.join(SOURCES_FILE),
            (None, None) => PathBuf::from(SOURCES_FILE),
            (Some(path), _) => path.to_owned(),
        };
        let name = shown.display().to_string();
        let read = read_text(&path).and_then(|text| Ok((text, path.canonicalize()?)));
        match read {
            Ok((text, real)) => {
                let folder = real.parent().unwrap_or(folder).to_owned();
                Ok(Self { name, text: Some(text), folder })
            }
            Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Self { name, text: None, folder: folder.to_owned() })
            }
            Err(error) => Err(unreadable("sources", &name, &error)),
        }
    }

    pub(crate) fn sources(&self) -> spec::Sources<'_> {
        spec::Sources { name: &self.name, text: self.text.as_deref() }
    }
}

/// Secrets from the environment and from files.
pub(crate) struct HostSecrets<'a> {
    pub(crate) environment: &'a Environment,
    pub(crate) sources: &'a SourcesFile,
    /// `None` where a data source is looked at by itself.
    pub(crate) document: Option<&'a DocumentFile>,
}

impl spec::Secrets for HostSecrets<'_> {
    fn env(&self, name: &str) -> Option<String> {
        self.environment.variable(name).map(str::to_owned)
    }

    fn file(&self, beside: &str, path: &str) -> Result<String, String> {
        let document = self.document.filter(|document| document.name == beside);
        let folder = document.map_or(&self.sources.folder, |document| &document.folder);
        read_text(&folder.join(path)).map_err(|error| reason(&error))
    }
}

fn read_text(path: &Path) -> std::io::Result<String> {
    read_bounded(std::fs::File::open(path)?)
}

fn read_bounded(from: impl Read) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    from.take(DOCUMENT_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    let wrong = |message: String| std::io::Error::new(std::io::ErrorKind::InvalidData, message);
    if bytes.len() as u64 > DOCUMENT_BYTES_MAX {
        return Err(wrong(format!("it is larger than {} MiB", DOCUMENT_BYTES_MAX >> 20)));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        wrong(format!("it is not UTF-8 text (byte {at})"))
    })
}

fn unreadable(what: &str, name: &str, error: &std::io::Error) -> Fault {
    use std::io::ErrorKind as Kind;
    let word = if what == "sources" { "the data sources" } else { "the job document" };
    let message = format!("cannot read {word} \"{name}\": {}", reason(error));
    let code = format!("{what}.unreadable");
    match error.kind() {
        Kind::NotFound | Kind::InvalidData | Kind::IsADirectory => Fault::user(code, message),
        _ => Fault::external(code, message),
    }
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "it does not exist".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied".into(),
        std::io::ErrorKind::IsADirectory => "it is a folder".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_knows_its_folder_and_identity() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job.json");
        std::fs::write(&path, "{}").unwrap();
        let document = DocumentFile::read(&path).unwrap();
        let real = folder.path().canonicalize().unwrap();
        assert_eq!(document.folder, real);
        assert_eq!(document.identity, real.join("job.json").display().to_string());
        assert_eq!(document.text, "{}");
    }

    #[test]
    fn unreadable_documents_say_why() {
        let folder = tempfile::tempdir().unwrap();
        let latin = folder.path().join("latin.json");
        std::fs::write(&latin, b"{\"a\": \"\xe9\"}").unwrap();
        let large = folder.path().join("large.json");
        std::fs::write(&large, vec![b' '; DOCUMENT_BYTES_MAX as usize + 1]).unwrap();
        let table = [
            (folder.path().join("none.json"), "does not exist"),
            (folder.path().to_owned(), "it is a folder"),
            (latin, "not UTF-8 text (byte 7)"),
            (large, "larger than 16 MiB"),
        ];
        for (path, why) in table {
            let fault = DocumentFile::read(&path).unwrap_err();
            assert_eq!(fault.domain.exit_code(), 2, "{fault}");
            assert!(fault.message.contains(why), "{fault}");
        }
    }

    #[test]
    fn the_secrets_of_a_linked_document_lie_beside_the_file_itself() {
        let folder = tempfile::tempdir().unwrap();
        let (real, links) = (folder.path().join("real"), folder.path().join("links"));
        for folder in [&real, &links] {
            std::fs::create_dir(folder).unwrap();
        }
        for (name, text) in [("job.json", "{}"), (SOURCES_FILE, "{}"), ("pw.txt", "s3cret")] {
            std::fs::write(real.join(name), text).unwrap();
        }
        let link = links.join("job.json");
        std::os::unix::fs::symlink(real.join("job.json"), &link).unwrap();
        let document = DocumentFile::read(&link).unwrap();
        let sources = SourcesFile::read(None, &document.folder, Some(&document.name)).unwrap();
        assert_eq!(sources.name, links.join(SOURCES_FILE).display().to_string());
        let environment = Environment::default();
        let secrets =
            HostSecrets { environment: &environment, sources: &sources, document: Some(&document) };
        for beside in [&document.name, &sources.name] {
            let secret = spec::Secrets::file(&secrets, beside, "pw.txt");
            assert_eq!(secret.as_deref(), Ok("s3cret"), "{beside}");
        }
    }

    #[test]
    fn standard_input_is_one_document_in_one_folder() {
        let table = [
            ("/a/job.json", "/a/job.json", true),
            ("/a/job.json", "/b/job.json", false),
            ("stdin:1:/a", "stdin:2:/a", true),
            ("stdin:1:/a", "stdin:1:/b", false),
            ("stdin:1:/a", "/a", false),
        ];
        for (before, now, same) in table {
            assert_eq!(same_place(before, now), same, "{before} {now}");
        }
    }

    #[test]
    fn data_sources_may_be_absent_unless_they_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let read =
            |named: Option<&Path>| SourcesFile::read(named, folder.path(), Some("jobs/a.json"));
        let absent = read(None).unwrap();
        assert_eq!((absent.name.as_str(), absent.text), ("jobs/datasources.json", None));
        let named = folder.path().join("other.json");
        assert_eq!(read(Some(&named)).unwrap_err().code, "sources.unreadable");
        std::fs::write(folder.path().join(SOURCES_FILE), "{}").unwrap();
        assert_eq!(read(None).unwrap().text.as_deref(), Some("{}"));
    }
}
