//! `airlock plan JOB`: what a run would do, changing nothing.

use crate::arguments::SandboxedJobArguments;
use crate::document::DocumentFile;
use crate::failure::Ending;
use crate::host::{Host, clock_text};
use crate::job::{self, Given, GrantedJob};
use crate::ports::Ports;
use crate::render::{self, plan::Plan};

pub(crate) async fn plan(
    host: &Host,
    ports: &impl Ports,
    arguments: &SandboxedJobArguments,
) -> Ending {
    let input = &arguments.job.input;
    let document = DocumentFile::read(&arguments.job.job)?;
    let given = Given::from_arguments(host, input)?;
    let catalogue = job::catalogue(host, &arguments.limits, &input.plugins).await?;
    let read = job::read(host, &catalogue, &document, input.sources.as_deref(), &given)?;
    let job = GrantedJob::new(&catalogue, read, &document.folder, &arguments.grants).await?;
    let store = store::SqliteStore::open(&host.folders()?.state)?;
    let engine = job.engine(ports, ports.store(store));
    let preview = engine.preview().await.map_err(|fault| job.locator.locate(fault))?;
    let plan = Plan {
        preview: &preview,
        grants: &job.grants(),
        clock: &clock_text(&given.clock, &host.zone()),
        warnings: job.read.warnings.iter().map(render::fault::json).collect(),
    };
    let text = || {
        job.read.warnings.iter().for_each(|warning| host.console.warn(warning));
        render::plan::text(&plan)
    };
    host.console.result(text, || render::plan::json(&plan))?;
    Ok(0)
}
