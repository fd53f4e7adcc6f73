//! The contract's words and the domain's: the same things, spelled twice.

use std::time::Duration;

use domain::description::{CheckStep, Description, Entry, Role, SourceType};
use domain::grant::{Access, Requirement};
use domain::port::{Answer, CommitMode, Outcome, Remark, Wishes};
use domain::{Configuration, Dataset, Fault, FaultDomain, FlatField, Mark, Result, Side};

use crate::bindings::airlock::connector::types;
use crate::bindings::exports::airlock::connector::{connector, writer};
use crate::secrets::Secrets;
use crate::text::{MESSAGE_BYTES_MAX, harmless};

/// A code of a plug-in's fault at most, bytes.
const CODE_BYTES_MAX: usize = 96;

/// A guest's own fault, with its texts made harmless.
pub(crate) fn fault(fault: types::Fault, secrets: &Secrets) -> Fault {
    let harmless = |text: &str| harmless(&secrets.blank(text), MESSAGE_BYTES_MAX);
    let domain = match fault.domain {
        types::FaultDomain::User => FaultDomain::User,
        types::FaultDomain::External => FaultDomain::External,
        types::FaultDomain::Data => FaultDomain::Data,
        types::FaultDomain::Plugin => FaultDomain::Plugin,
    };
    let mut known = Fault::new(domain, code(&fault.code), harmless(&fault.message));
    if let Some(wait) = fault.retry_after_ms {
        known = known.retry_after(Duration::from_millis(wait));
    }
    if let Some(hint) = fault.hint {
        known = known.hint(harmless(&hint));
    }
    let place = fault.place.filter(|place| is_place(place));
    match place {
        Some(place) => known.at(harmless(&place)),
        None => known,
    }
}

fn is_place(place: &str) -> bool {
    ["/connection", "/parameter"].into_iter().any(|base| {
        place.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// A code as it is, or a word in its place where it is none.
pub(crate) fn code(code: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match !code.is_empty() && code.len() <= CODE_BYTES_MAX && code.chars().all(plain) {
        true => code.to_owned(),
        false => "plugin.unnamed".to_owned(),
    }
}

/// A configuration for a call with grants: secrets included.
pub(crate) fn configuration(configuration: &Configuration) -> types::Configuration {
    types::Configuration {
        source_type: configuration.source_type.clone(),
        side: match configuration.side {
            Side::Reader => types::Side::Reader,
            Side::Writer => types::Side::Writer,
        },
        connection: configuration.connection.expose().to_owned(),
        parameter: configuration.parameter.clone(),
    }
}

/// The same with secrets blanked.
pub(crate) fn configuration_blanked(known: &Configuration) -> types::Configuration {
    types::Configuration { connection: known.connection_blanked.clone(), ..configuration(known) }
}

/// # Errors
/// What `domain::Dataset::flatten` says.
pub(crate) fn dataset_out(dataset: &Dataset) -> Result<types::Dataset> {
    let field = |field: FlatField| types::Field {
        name: field.name,
        format: field.format,
        nullable: field.nullable,
        children: field.children,
        metadata: field.metadata,
    };
    Ok(types::Dataset {
        path: dataset.path.clone(),
        fields: dataset.flatten()?.into_iter().map(field).collect(),
        primary_key: dataset.primary_key.clone(),
        metadata: dataset.metadata.clone(),
    })
}

pub(crate) fn datasets_out(datasets: &[Dataset]) -> Result<Vec<types::Dataset>> {
    datasets.iter().map(dataset_out).collect()
}

/// # Errors
/// What `domain::Dataset::unflatten` says, and `contract.type_unsupported` for types that this host
/// does not move.
pub(crate) fn dataset_in(dataset: types::Dataset) -> Result<Dataset> {
    let field = |field: types::Field| FlatField {
        name: field.name,
        format: field.format,
        nullable: field.nullable,
        children: field.children,
        metadata: field.metadata,
    };
    let flat: Vec<_> = dataset.fields.into_iter().map(field).collect();
    let dataset = Dataset::unflatten(dataset.path, &flat, dataset.primary_key, dataset.metadata)?;
    crate::batch::check_dataset(&dataset)?;
    Ok(dataset)
}

pub(crate) fn datasets_in(datasets: Vec<types::Dataset>) -> Result<Vec<Dataset>> {
    datasets.into_iter().map(dataset_in).collect()
}

pub(crate) fn requirement(requirement: connector::Requirement) -> Requirement {
    use connector::Requirement as R;
    match requirement {
        R::Tcp(place) => Requirement::Tcp {
            host: place.host,
            first_port: place.first_port,
            last_port: place.last_port,
        },
        R::Members(place) => Requirement::Members {
            host: place.host,
            first_port: place.first_port,
            last_port: place.last_port,
        },
        R::Http(url) => Requirement::Http(url),
        R::Directory(folder) => Requirement::Directory {
            path: folder.path,
            access: match folder.access {
                connector::Access::Read => Access::Read,
                connector::Access::Write => Access::Write,
            },
        },
    }
}

pub(crate) fn description(description: connector::Description) -> Description {
    let role = |role: connector::Role| Role {
        parameter_schema: role.parameter_schema,
        features: role.features,
    };
    let source_type = |kind: connector::SourceType| SourceType {
        name: kind.name,
        aliases: kind.aliases,
        title: kind.title,
        family: kind.family,
        connection_schema: kind.connection_schema,
        reader: kind.reader.map(role),
        writer: kind.writer.map(role),
        places: kind.places.into_iter().map(requirement).collect(),
    };
    Description {
        name: description.name,
        version: description.version,
        summary: description.summary,
        types: description.types.into_iter().map(source_type).collect(),
        metadata: description.metadata,
    }
}

pub(crate) fn check_step(step: connector::CheckStep, secrets: &Secrets) -> CheckStep {
    let fault = step.fault.map(|own| fault(own, secrets));
    CheckStep { name: harmless(&step.name, 100), fault }
}

pub(crate) fn entry(entry: connector::Entry) -> Entry {
    Entry { path: entry.path, is_dataset: entry.is_dataset }
}

pub(crate) fn commit_mode(mode: writer::CommitMode) -> CommitMode {
    match mode {
        writer::CommitMode::Transactional => CommitMode::Transactional,
        writer::CommitMode::Staged => CommitMode::Staged,
        writer::CommitMode::Idempotent => CommitMode::Idempotent,
        writer::CommitMode::BrokerTransaction => CommitMode::BrokerTransaction,
        writer::CommitMode::AtLeastOnce => CommitMode::AtLeastOnce,
    }
}

pub(crate) fn wishes(wishes: writer::Wishes) -> Wishes {
    Wishes {
        batch_rows: wishes.batch_rows,
        batch_bytes: wishes.batch_bytes,
        commit_bytes: wishes.commit_bytes,
        commit_ms: wishes.commit_ms,
        sort_by: wishes.sort_by,
    }
}

pub(crate) fn outcome(outcome: Outcome) -> writer::Outcome {
    match outcome {
        Outcome::Succeeded => writer::Outcome::Succeeded,
        Outcome::Failed => writer::Outcome::Failed,
    }
}

/// # Errors
/// `mark.unreadable` for a mark that the host did not write.
pub(crate) fn answer(answer: writer::Answer, secrets: &Secrets) -> Result<Answer> {
    let remark = |remark: writer::Remark| Remark {
        batch: remark.batch,
        row: remark.row,
        column: remark.column,
        loaded: remark.loaded,
        code: code(&remark.code),
        message: harmless(&secrets.blank(&remark.message), MESSAGE_BYTES_MAX),
    };
    Ok(Answer {
        remarks: answer.remarks.into_iter().map(remark).collect(),
        undone: answer.undone.map(|own| fault(own, secrets)),
        durable: answer.durable.map(|bytes| Mark::decode(&bytes)).transpose()?,
        taken: answer.taken,
    })
}
