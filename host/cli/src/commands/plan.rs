//! `airlock plan JOB`: what a run would do, changing nothing.

use crate::arguments::SandboxedJobArguments;
use crate::document::DocumentFile;
use crate::failure::{Ending, Failure};
use crate::host::{Host, clock_text};
use crate::job::{self, GrantedJob, Said};
use crate::ports::Ports;
use crate::render::{self, plan::Plan};

pub(crate) async fn plan(
    host: &Host,
    ports: &impl Ports,
    arguments: &SandboxedJobArguments,
) -> Ending {
    let input = &arguments.job.input;
    let document = DocumentFile::read(&arguments.job.job)?;
    let said = Said::new(host, input, &arguments.limits, &arguments.grants);
    let catalogue = said.catalogue(host, &input.plugins).await?;
    let sources = input.sources.as_deref();
    let read = job::read(host, &said, &catalogue, &document, sources, &said.given)?;
    let job = GrantedJob::new(&catalogue, read, &document.folder, &said.allowed).await?;
    let store = store::SqliteStore::open(&host.folders()?.state)?;
    let engine = job.engine(ports, ports.store(store));
    let failed = |fault| Failure {
        faults: vec![job.locator.locate(fault)],
        warnings: job.read.warnings.clone(),
    };
    let preview = engine.preview(&document.identity).await.map_err(failed)?;
    let notes: Vec<_> = engine.sources.iter().filter_map(|source| source.note()).collect();
    let plan = Plan {
        preview: &preview,
        transformers: &job.read.job.transformers,
        grants: &job.grants(),
        notes: &notes,
        clock: &clock_text(&said.given.clock, &host.zone()),
        warnings: job.read.warnings.iter().map(render::fault::json).collect(),
    };
    let text = || {
        job.read.warnings.iter().for_each(|warning| host.console.warn(warning));
        render::plan::text(&plan)
    };
    host.result(text, || render::plan::json(&plan))?;
    Ok(0)
}
