//! What `check` and `discover` look at: a job's two ends, or one data source.

use std::path::Path;

use domain::configuration::Side;
use domain::fault::{Fault, Result};

use crate::arguments::TargetArguments;
use crate::catalogue::Catalogue;
use crate::document::{DocumentFile, HostSecrets, SourcesFile};
use crate::grants;
use crate::host::Host;
use crate::job::{self, End, Given, GrantedJob};
use crate::locate::Locator;

/// One or two ends, granted.
pub(crate) struct Target {
    pub(crate) ends: Vec<End>,
    pub(crate) locator: Locator,
}

impl Target {
    /// # Errors
    /// All that is wrong with the document or the data source, and refused grants.
    pub(crate) async fn open(host: &Host, arguments: &TargetArguments) -> Result<Self, Vec<Fault>> {
        let plugins = &arguments.input.plugins;
        let catalogue = job::catalogue(host, &arguments.limits, plugins).await?;
        match is_document(&arguments.target) {
            true => Self::of_job(host, &catalogue, arguments).await,
            false => Self::of_source(host, &catalogue, arguments).await,
        }
    }

    async fn of_job(
        host: &Host,
        catalogue: &Catalogue,
        arguments: &TargetArguments,
    ) -> Result<Self, Vec<Fault>> {
        let document = DocumentFile::read(&arguments.target).map_err(|fault| vec![fault])?;
        let given = Given::from_arguments(host, &arguments.input)?;
        let sources = arguments.input.sources.as_deref();
        let read = job::read(host, catalogue, &document, sources, &given)?;
        read.warnings.iter().for_each(|warning| host.console.warn(warning));
        let job = GrantedJob::new(catalogue, read, &document.folder, &arguments.grants).await?;
        Ok(Self { ends: vec![job.reader, job.writer], locator: job.locator })
    }

    async fn of_source(
        host: &Host,
        catalogue: &Catalogue,
        arguments: &TargetArguments,
    ) -> Result<Self, Vec<Fault>> {
        let one = |fault: Fault| vec![fault];
        let named = arguments.input.sources.as_deref();
        let sources = SourcesFile::read(named, Path::new(""), None).map_err(one)?;
        let name = arguments.target.display().to_string();
        let secrets = HostSecrets(&host.environment);
        let source = spec::source(&name, sources.sources(), catalogue, &secrets);
        let broken = catalogue.take_faults();
        let source = if broken.is_empty() { source? } else { return Err(broken) };
        source.warnings.iter().for_each(|warning| host.console.warn(warning));
        let locator = Locator::of_source(&source);
        let places = [source.places, grants::places(&arguments.grants)?].concat();
        // Relative paths of a data source start beside its file.
        let base = named.and_then(Path::parent).unwrap_or(Path::new(""));
        let base = std::path::absolute(base.join(".")).map_err(|error| {
            one(Fault::external("host.folder", format!("there is no current folder: {error}")))
        })?;
        let end = End::granted(catalogue, &source.configuration, &places, &base).await;
        let end = end.map_err(|fault| one(locator.locate_in(Side::Reader, fault)))?;
        Ok(Self { ends: vec![end], locator })
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
