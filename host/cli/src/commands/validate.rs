//! `airlock validate JOB`: every error and warning of a document, reaching nothing.

use serde_json::json;

use crate::arguments::{GrantArguments, JobArguments, LimitArguments};
use crate::document::DocumentFile;
use crate::failure::Ending;
use crate::host::{Host, clock_text};
use crate::job::{self, Said};
use crate::render::fault;

pub(crate) async fn validate(host: &Host, arguments: &JobArguments) -> Ending {
    let document = DocumentFile::read(&arguments.job)?;
    let input = &arguments.input;
    let said = Said::new(host, input, &LimitArguments::default(), &GrantArguments::default());
    let catalogue = said.catalogue(host, &input.plugins).await?;
    let sources = input.sources.as_deref();
    let read = job::read(host, &said, &catalogue, &document, sources, &said.given)?;
    job::try_requirements(&catalogue, &read).await?;
    let clock = clock_text(&said.given.clock, &host.zone());
    let text = || {
        read.warnings.iter().for_each(|warning| host.console.warn(warning));
        let count = crate::human::plural(read.warnings.len() as u64, "warning");
        format!("\"{}\" is valid, {count}\nclock: {clock}\n", document.name)
    };
    let json = || {
        json!({
            "status": "succeeded",
            "errors": [],
            "warnings": read.warnings.iter().map(fault::json).collect::<Vec<_>>(),
            "clock": clock,
            "error": null,
        })
    };
    host.console.result(text, json)?;
    Ok(0)
}
