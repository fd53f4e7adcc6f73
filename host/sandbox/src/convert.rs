//! The contract's words and the domain's: the same things, spelled twice.

use std::time::Duration;

use domain::description::{CheckStep, Description, Entry, Role, SourceType};
use domain::grant::{Access, Requirement};
use domain::port::{Answer, CommitMode, Form, Outcome, ReadBack, Remark, Wishes};
use domain::{Configuration, Dataset, Fault, FaultDomain, FlatField, Mark, Result, Side};

use serde_json::Value;

use crate::bindings::airlock::connector::types;
use crate::bindings::exports::airlock::connector::{connector, writer};
use crate::secrets::Secrets;
use crate::text::{MESSAGE_BYTES_MAX, harmless, is_harmful, is_misleading, printable};

/// A code of a plug-in's fault at most, bytes.
const CODE_BYTES_MAX: usize = 96;
/// A place that a plug-in asks for at most, bytes.
const PLACE_BYTES_MAX: usize = 4096;
/// A name and a summary in a description at most, bytes.
const TITLE_BYTES_MAX: usize = 256;
const SUMMARY_BYTES_MAX: usize = 4096;

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
            Side::Transformer => types::Side::Transformer,
            Side::Writer => types::Side::Writer,
        },
        connection: configuration.connection.expose().to_owned(),
        parameter: configuration.parameter.clone(),
    }
}

/// The same with secrets blanked.
pub(crate) fn configuration_blanked(known: &Configuration) -> types::Configuration {
    types::Configuration {
        connection: known.connection_blanked.clone(),
        parameter: known.parameter_blanked.clone(),
        ..configuration(known)
    }
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
        metadata: metadata_in(field.metadata),
    };
    let flat: Vec<_> = dataset.fields.into_iter().map(field).collect();
    let metadata = metadata_in(dataset.metadata);
    let dataset = Dataset::unflatten(dataset.path, &flat, dataset.primary_key, metadata)?;
    crate::batch::check_dataset(&dataset)?;
    Ok(dataset)
}

/// Comments of a source's tables come along as values; they are shown, so they are made harmless.
fn metadata_in(metadata: Vec<(String, String)>) -> Vec<(String, String)> {
    let value = |value: String| match value.chars().any(is_harmful) {
        true => printable(&value),
        false => value,
    };
    metadata.into_iter().map(|(key, text)| (key, value(text))).collect()
}

pub(crate) fn datasets_in(datasets: Vec<types::Dataset>) -> Result<Vec<Dataset>> {
    datasets.into_iter().map(dataset_in).collect()
}

/// A place that a plug-in asks for, unless its text would mislead who reads it.
pub(crate) fn requirement(
    requirement: connector::Requirement,
) -> std::result::Result<Requirement, String> {
    let requirement = place(requirement);
    let text = match &requirement {
        Requirement::Tcp { host, .. } | Requirement::Members { host, .. } => host,
        Requirement::Http(url) => url,
        Requirement::Directory { path, .. } => path,
        Requirement::File { path, name, .. } => match plain(name) {
            true => path,
            false => return Err(format!("\"{}\" is no plain name of a file", harmless(name, 100))),
        },
    };
    match text.len() > PLACE_BYTES_MAX || text.chars().any(is_misleading) {
        false => Ok(requirement),
        true => Err(format!(
            "the place \"{}\" has control characters or more than {PLACE_BYTES_MAX} bytes",
            harmless(text, 100)
        )),
    }
}

fn place(requirement: connector::Requirement) -> Requirement {
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
        R::Directory(folder) => {
            Requirement::Directory { path: folder.path, access: access(folder.access) }
        }
        R::File(file) => {
            Requirement::File { path: file.path, access: access(file.access), name: file.name }
        }
    }
}

fn access(access: connector::Access) -> Access {
    match access {
        connector::Access::Read => Access::Read,
        connector::Access::Write => Access::Write,
    }
}

/// Whether a plug-in may call a file so in its root.
fn plain(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.len() <= PLACE_BYTES_MAX && name.chars().all(is_plain)
}

/// What a plug-in says about itself, with its texts made harmless.
///
/// # Errors
/// Why it cannot be taken.
pub(crate) fn description(
    description: connector::Description,
) -> std::result::Result<Description, String> {
    let title = |text: String| harmless(&text, TITLE_BYTES_MAX);
    let titles = |texts: Vec<String>| texts.into_iter().map(title).collect();
    let role = |role: connector::Role| Role {
        parameter_schema: schema(role.parameter_schema),
        features: titles(role.features),
    };
    let source_type = |kind: connector::SourceType| {
        let places = kind.places.into_iter().map(requirement);
        Ok(SourceType {
            name: title(kind.name),
            aliases: titles(kind.aliases),
            title: title(kind.title),
            family: title(kind.family),
            connection_schema: schema(kind.connection_schema),
            reader: kind.reader.map(role),
            transformer: kind.transformer.map(role),
            writer: kind.writer.map(role),
            places: places.collect::<std::result::Result<_, String>>()?,
        })
    };
    let types = description.types.into_iter().map(source_type);
    let metadata = description.metadata.into_iter();
    Ok(Description {
        name: title(description.name),
        version: title(description.version),
        summary: harmless(&description.summary, SUMMARY_BYTES_MAX),
        types: types.collect::<std::result::Result<_, String>>()?,
        metadata: metadata
            .map(|(key, value)| (title(key), harmless(&value, SUMMARY_BYTES_MAX)))
            .collect(),
    })
}

/// A schema whose texts are harmless once they are decoded. One that is no JSON is left to who reads
/// it.
fn schema(text: String) -> String {
    let Ok(parsed) = serde_json::from_str::<Value>(&text) else {
        return harmless(&text, SUMMARY_BYTES_MAX);
    };
    let clean = clean(parsed.clone());
    if clean == parsed { text } else { clean.to_string() }
}

/// The value with all its texts made harmless. Its depth is bounded by the parser.
fn clean(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(printable(&text)),
        Value::Array(items) => items.into_iter().map(clean).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, member)| (harmless(&name, TITLE_BYTES_MAX), clean(member)))
            .collect(),
        other => other,
    }
}

pub(crate) fn check_step(step: connector::CheckStep, secrets: &Secrets) -> CheckStep {
    let fault = step.fault.map(|own| fault(own, secrets));
    CheckStep { name: harmless(&secrets.blank(&step.name), 100), fault }
}

pub(crate) fn entry(entry: connector::Entry) -> Entry {
    let path = entry.path.iter().map(|part| harmless(part, MESSAGE_BYTES_MAX)).collect();
    Entry { path, is_dataset: entry.is_dataset }
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
        lanes: wishes.lanes,
    }
}

/// # Errors
/// What is wrong with it.
pub(crate) fn read_back(read_back: writer::ReadBack, fields: usize) -> Result<ReadBack, String> {
    let back = match read_back {
        writer::ReadBack::By(back) => back,
        writer::ReadBack::Nothing => return Ok(ReadBack::Nothing),
        writer::ReadBack::Impossible(why) => {
            return Ok(ReadBack::Impossible(harmless(&why, MESSAGE_BYTES_MAX)));
        }
    };
    if back.forms.len() != fields {
        return Err(format!("{} forms of {fields} fields", back.forms.len()));
    }
    let form = |form: &writer::Form| match form {
        writer::Form::Same => Form::Same,
        writer::Form::EmptyIsNull => Form::EmptyIsNull,
        writer::Form::Padded => Form::Padded,
        writer::Form::Json => Form::Json,
        writer::Form::Uuid => Form::Uuid,
        writer::Form::Reshaped => Form::Reshaped,
    };
    let forms = back.forms.iter().map(form).collect();
    Ok(ReadBack::By { parameter: back.parameter, forms, replaces_by: back.replaces_by })
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
