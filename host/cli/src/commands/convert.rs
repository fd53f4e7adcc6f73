//! `airlock convert JOB`: a DataX document as one of script mode.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use domain::fault::{Fault, Result};
use serde_json::{Value, json};
use spec::{Clock, Converted, Parameters, Sources};

use crate::arguments::{ConvertArguments, Format};
use crate::document::{DocumentFile, HostSecrets, SourcesFile};
use crate::failure::{Ending, Failure};
use crate::host::Host;
use crate::job;
use crate::render::fault;
use crate::terminal;

pub(crate) async fn convert(host: &Host, arguments: &ConvertArguments) -> Ending {
    let document = DocumentFile::read(&arguments.job)?;
    let limits = sandbox::Limits::default();
    let catalogue = job::catalogue(host, limits, &arguments.plugins).await?;
    // No data source is looked up, and no secret.
    let nowhere = SourcesFile { name: String::new(), text: None, folder: document.folder.clone() };
    let names = arguments.parameters.iter().map(|name| name.split('=').next().unwrap_or(name));
    let input = spec::Input {
        text: &document.text,
        name: &document.name,
        parameters: &Parameters::from_pairs(names.map(|name| (name.to_owned(), String::new()))),
        clock: &Clock::standing_in(host.now.datetime()),
        sources: Sources { name: "", text: None },
        plugins: &catalogue,
        secrets: &HostSecrets {
            environment: &host.environment,
            sources: &nowhere,
            document: Some(&document),
        },
    };
    let converted = spec::convert(&input, arguments.sources.is_some());
    let broken = catalogue.take_faults();
    if !broken.is_empty() {
        return Err(broken.into());
    }
    let converted = converted.map_err(Failure::from)?;
    if let (Some(path), Some(text)) = (&arguments.sources, &converted.sources) {
        write_new(path, text)?;
    }
    match host.console.format {
        // The document is JSON whose texts are safe for a terminal.
        Format::Text => {
            converted.notes.iter().for_each(|note| host.console.note(&fault::text(note)));
            terminal::print(&converted.document)?;
        }
        Format::Json => terminal::print(&format!("{}\n", json_of(&converted)))?,
    }
    Ok(0)
}

fn json_of(converted: &Converted) -> Value {
    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    json!({
        "status": "succeeded",
        "document": parsed(&converted.document),
        "sources": converted.sources.as_deref().map(parsed),
        "notes": converted.notes.iter().map(fault::json).collect::<Vec<_>>(),
        "error": null,
    })
}

/// Data sources that are there already are somebody's.
fn write_new(path: &Path, text: &str) -> Result<()> {
    let written = File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        let message = format!("cannot write the data sources \"{}\": {error}", path.display());
        match error.kind() {
            io::ErrorKind::AlreadyExists => Fault::user("sources.exist", message)
                .hint("name a new file, and put its data sources into yours"),
            _ => Fault::external("sources.write", message),
        }
    })
}
