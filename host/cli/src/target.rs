//! What `check` and `discover` look at: the plug-ins of a job, or one data source.

use std::path::Path;

use domain::configuration::Side;
use domain::fault::Fault;

use crate::arguments::TargetArguments;
use crate::catalogue::Catalogue;
use crate::document::{DocumentFile, HostSecrets, SourcesFile};
use crate::failure::Failure;
use crate::host::Host;
use crate::job::{self, End, GrantedJob, Said};
use crate::locate::Locator;

/// The plug-ins of a job in the order of its steps, or a data source, granted.
pub(crate) struct Target {
    pub(crate) ends: Vec<End>,
    pub(crate) locator: Locator,
    pub(crate) warnings: Vec<Fault>,
}

impl Target {
    /// # Errors
    /// All that is wrong with the document or the data source, and refused grants.
    pub(crate) async fn open(host: &Host, arguments: &TargetArguments) -> Result<Self, Failure> {
        let input = &arguments.input;
        let said = Said::new(host, input, &arguments.limits, &arguments.grants);
        let catalogue = said.catalogue(host, &input.plugins).await?;
        match is_document(&arguments.target) {
            true => Self::of_job(host, &said, &catalogue, arguments).await,
            false => Self::of_source(host, &said, &catalogue, arguments).await,
        }
    }

    async fn of_job(
        host: &Host,
        said: &Said,
        catalogue: &Catalogue,
        arguments: &TargetArguments,
    ) -> Result<Self, Failure> {
        let document = DocumentFile::read(&arguments.target)?;
        let sources = arguments.input.sources.as_deref();
        let read = job::read(host, said, catalogue, &document, sources, &said.given)?;
        let warnings = read.warnings.clone();
        let job = GrantedJob::new(catalogue, read, &document.folder, &said.allowed).await?;
        let ends = job.readers.into_iter().flatten();
        let ends = ends.chain(job.transformers).chain([job.writer]).collect();
        Ok(Self { ends, locator: job.locator, warnings })
    }

    async fn of_source(
        host: &Host,
        said: &Said,
        catalogue: &Catalogue,
        arguments: &TargetArguments,
    ) -> Result<Self, Failure> {
        let here = std::env::current_dir().map_err(|error| {
            Fault::external("host.folder", format!("there is no current folder: {error}"))
        })?;
        let sources = SourcesFile::read(arguments.input.sources.as_deref(), &here, None)?;
        let name = arguments.target.display().to_string();
        let environment = &host.environment;
        let secrets = HostSecrets { environment, sources: &sources, document: None };
        let source = spec::source(&name, sources.sources(), catalogue, &secrets);
        let source = said.judge(catalogue, source, |source| source.warnings.clone())?;
        let locator = Locator::of_source(&source);
        let places = [source.places, said.allowed.clone()].concat();
        // Relative paths of a data source start beside its file.
        let word = Side::Reader.word();
        let configuration = &source.configuration;
        let granted = End::granted(catalogue, word, &name, configuration, &places, &sources.folder);
        match granted.await {
            Ok(end) => Ok(Self { ends: vec![end], locator, warnings: source.warnings }),
            Err(fault) => {
                let faults = vec![locator.locate_in(word, fault)];
                Err(Failure { faults, warnings: source.warnings })
            }
        }
    }
}

impl Target {
    /// For results that have no place for them.
    pub(crate) fn tell_warnings(&self, host: &Host) {
        self.warnings.iter().for_each(|warning| host.console.warn(warning));
    }
}

/// A document is a file, or would be one by its name.
pub(crate) fn is_document(target: &Path) -> bool {
    let by_name = target.extension().is_some_and(|extension| extension == "json");
    target == Path::new("-") || by_name || target.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_data_source() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("job");
        std::fs::write(&file, "{}").unwrap();
        assert!(is_document(&file));
        assert!(is_document(Path::new("-")));
        assert!(is_document(Path::new("absent.json")));
        assert!(!is_document(Path::new("warehouse")));
    }
}
