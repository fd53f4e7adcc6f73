//! Job documents: from the text that a user wrote to a [`domain::job::Job`], or to every error in it.
//!
//! [`read`] substitutes parameters, parses, tells the kinds of documents apart, checks shape, steps,
//! settings and each step's parameters and connection against its plug-in's JSON Schemas, and collects
//! the places that the user named. Whatever is wrong is told at once, each with JSON pointer, line,
//! reason and hint.
//!
//! What is not here: files, environment, clocks, components. The caller hands in texts, the clock, what
//! plug-ins say of themselves ([`Plugins`]) and where secrets come from ([`Secrets`]). Default values
//! of parameters are the plug-ins' own.
//!
//! Begin with [`read`], then `step`, which follows one step from its draft to its configuration.
//! A new kind of document goes beside `script` and `datax`; a new setting into `settings`; a new key
//! that names a place into `places`.

mod between;
mod blank;
mod chain;
mod connection;
mod convert;
mod datax;
mod document;
mod draft;
mod jdbc;
mod json;
pub mod parameter;
mod pattern;
mod places;
pub mod schema;
mod script;
mod settings;
mod sources;
mod step;
mod substitute;
mod transformer;

use std::collections::BTreeSet;
use std::rc::Rc;

use domain::configuration::{Configuration, Side};
use domain::description::{Description, SourceType};
use domain::fault::Fault;
use domain::grant::NamedPlace;
use domain::job::{DocumentKind, Job};
use domain::nearest;

pub use blank::{blank_document, secret_keys};
pub use convert::{Converted, convert};
pub use document::Lines;
pub use parameter::{Clock, Parameters};

use between::Between;
use document::{Document, Notes};
use draft::Draft;
use step::Workbench;
use substitute::{Secrecy, Substituted};

/// What plug-ins say of themselves, as far as documents need it.
pub trait Plugins {
    /// The type with this name or alias, any case.
    fn find(&self, name: &str) -> Option<&SourceType>;
    /// All names, for "did you mean".
    fn names(&self) -> Vec<&str>;
}

impl Plugins for [Description] {
    fn find(&self, name: &str) -> Option<&SourceType> {
        self.iter().find_map(|description| description.source_type(name))
    }

    fn names(&self) -> Vec<&str> {
        let types = self.iter().flat_map(|description| &description.types);
        types.map(|kind| kind.name.as_str()).collect()
    }
}

impl Plugins for Vec<Description> {
    fn find(&self, name: &str) -> Option<&SourceType> {
        self.as_slice().find(name)
    }

    fn names(&self) -> Vec<&str> {
        self.as_slice().names()
    }
}

/// Where `{"env": …}` and `{"file": …}` get their texts.
pub trait Secrets {
    /// The variable's text; `None` where it is not set.
    fn env(&self, name: &str) -> Option<String>;
    /// The file's text. A relative `path` starts at the folder of the document named `beside`.
    ///
    /// # Errors
    /// The reason, for people.
    fn file(&self, beside: &str, path: &str) -> Result<String, String>;
}

/// The data sources' document.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The file as the user named it, or where it was looked for.
    pub name: &'a str,
    /// `None`: there is no such file.
    pub text: Option<&'a str>,
}

/// All that a document's meaning depends on.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    pub text: &'a str,
    /// The document's file as the user named it.
    pub name: &'a str,
    pub parameters: &'a Parameters,
    pub clock: &'a Clock,
    pub sources: Sources<'a>,
    pub plugins: &'a dyn Plugins,
    pub secrets: &'a dyn Secrets,
}

/// The places that the user named, by the step that may reach them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Places {
    /// By reader.
    pub readers: Vec<Vec<NamedPlace>>,
    /// By step between that a plug-in does.
    pub transformers: Vec<Vec<NamedPlace>>,
    pub writer: Vec<NamedPlace>,
}

/// A property that stands elsewhere in the user's documents than in the object it is a part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// In the plug-in's words: `/parameter/table`, `/connection/host`.
    pub from: String,
    /// Where the user wrote it: `/job/content/0/writer/parameter/connection/0/table`.
    pub to: String,
    /// It was taken out of a text there, which has no places within.
    pub whole: bool,
}

/// What moved, by the step it belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MovedProperties {
    /// By reader.
    pub readers: Vec<Vec<Moved>>,
    /// By step between that a plug-in does.
    pub transformers: Vec<Vec<Moved>>,
    pub writer: Vec<Moved>,
}

impl Places {
    /// By step that a plug-in does, in the order of a job.
    pub fn steps(&self) -> impl Iterator<Item = &Vec<NamedPlace>> {
        self.readers.iter().chain(&self.transformers).chain([&self.writer])
    }
}

impl MovedProperties {
    /// By step that a plug-in does, in the order of a job.
    pub fn steps(&self) -> impl Iterator<Item = &Vec<Moved>> {
        self.readers.iter().chain(&self.transformers).chain([&self.writer])
    }
}

/// Why a document does not hold, and what else was found in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Refused {
    /// At least one, in the order of the document; all of domain user (a plug-in whose schema is
    /// unreadable is of domain plugin).
    pub faults: Vec<Fault>,
    pub warnings: Vec<Fault>,
}

/// A document that holds.
#[derive(Clone, Debug)]
pub struct Read {
    pub job: Job,
    pub places: Places,
    pub moved: MovedProperties,
    pub warnings: Vec<Fault>,
    /// Names and values of the variables that the document uses, evaluated; values that stand in a
    /// secret's place are blank.
    pub parameters_used: Vec<(String, String)>,
    /// Those of them that stand in a secret's place: their values are not for the books.
    pub secret_parameters: Vec<String>,
    /// The text before substitution with secrets blanked, for the books and for `--resume`.
    pub text_blanked: String,
    /// Keys that hold secrets by the schemas of the job's plug-ins: [`blank_document`] took them.
    pub secret_keys: BTreeSet<String>,
    /// Gives a place (a JSON pointer, or `datasources.json#` and one) its file and line.
    pub lines: Lines,
}

/// A data source looked at by itself.
#[derive(Clone, Debug)]
pub struct Source {
    pub configuration: Configuration,
    /// Where its properties stand: `datasources.json#/warehouse/properties`.
    pub connection_place: String,
    pub places: Vec<NamedPlace>,
    pub moved: Vec<Moved>,
    pub warnings: Vec<Fault>,
    pub lines: Lines,
}

/// Reads a job document.
///
/// # Errors
/// Everything that was found.
pub fn read(input: &Input<'_>) -> Result<Read, Refused> {
    let mut notes = Notes::default();
    let mut values = parameter::evaluate_all(input.parameters, input.clock, &mut notes.faults);
    let (substituted, document, draft) = parse(input, &mut values, &mut notes)?;
    let sources = document::Lazy::new(input.sources);
    let bench = Workbench {
        kind: draft.kind,
        sources: &sources,
        plugins: input.plugins,
        secrets: input.secrets,
    };
    let mut settings = settings::read(draft.kind, &document, &mut notes);
    let readers = draft.reader.and_then(|step| bench.finish_sources(step, &mut notes));
    let between = draft.transformers.into_iter();
    let between = between.filter_map(|step| bench.finish_between(step, &mut notes));
    let between: Vec<Between> = between.collect();
    let writer = draft.writer.and_then(|step| bench.finish(step, &mut notes));
    let keeps_columns = !between.iter().any(|step| step.transformer.work.changes_columns());
    if let (Some(readers), Some(writer), true) = (&readers, &writer, keeps_columns) {
        step::check_columns(readers, writer, &mut notes);
    }
    unused_parameters(input.parameters, &substituted, &mut notes);
    let lines = Lines::new(sources.parsed().into_iter().chain([Rc::clone(&document)]));
    substituted.settle(&document, &mut notes);
    let (Some(readers), Some(writer), true) = (readers, writer, notes.faults.is_empty()) else {
        return Err(notes.refused());
    };
    notes.sort();
    let plugins = between.iter().filter_map(|step| step.plugin.as_ref());
    let steps = || readers.iter().chain(plugins.clone()).chain([&writer]);
    let secret_keys: BTreeSet<String> = steps().flat_map(|step| &step.secrets).cloned().collect();
    let texts = steps().flat_map(|step| &step.secret_texts).cloned().collect();
    let secrets = Secrecy { keys: &secret_keys, texts };
    settings.missing_column = readers.first().map_or_else(Default::default, |it| it.missing_column);
    let (mut moved, mut places) = (MovedProperties::default(), Places::default());
    let mut steps = Vec::with_capacity(readers.len());
    for reader in readers {
        moved.readers.push(reader.moved);
        places.readers.push(reader.places);
        steps.push(reader.step);
    }
    let mut transformers = Vec::with_capacity(between.len());
    for Between { transformer, plugin } in between {
        transformers.push(transformer);
        if let Some(plugin) = plugin {
            moved.transformers.push(plugin.moved);
            places.transformers.push(plugin.places);
        }
    }
    (moved.writer, places.writer) = (writer.moved, writer.places);
    let secret_parameters = substituted.secret(&document, &secrets, &values);
    Ok(Read {
        text_blanked: blank_document(input.text, &secret_keys),
        parameters_used: substituted.used(&values, &secret_parameters),
        secret_parameters,
        secret_keys,
        moved,
        places,
        job: Job { kind: draft.kind, readers: steps, transformers, writer: writer.step, settings },
        warnings: notes.warnings,
        lines,
    })
}

/// Substitutes and parses. DataX also replaces `$name`, and script mode has a value for `date`; which
/// it is, only the parsed document tells.
fn parse<'a>(
    input: &Input<'a>,
    values: &mut parameter::Values,
    notes: &mut Notes,
) -> Result<(Substituted<'a>, Rc<Document>, Draft), Refused> {
    let mut substituted = Substituted::new(input.name, input.text, values, false);
    let mut parsed = Document::of_job(&substituted);
    let kind = |parsed: &document::Parsed| draft::kind(parsed.0.value());
    if substituted.has_bare(values) {
        let bare = Substituted::new(input.name, input.text, values, true);
        let again = Document::of_job(&bare);
        if again.as_ref().ok().and_then(kind) == Some(DocumentKind::DataX) {
            (substituted, parsed) = (bare, again);
        }
    }
    if substituted.uses("date") && parsed.as_ref().ok().and_then(kind) == Some(DocumentKind::Script)
    {
        parameter::assign_date(values, input.clock);
        substituted = Substituted::new(input.name, input.text, values, false);
        parsed = Document::of_job(&substituted);
    }
    let (document, duplicates) = match parsed {
        Ok(parsed) => parsed,
        Err(fault) => {
            notes.faults.push(fault);
            substituted.tell(None, notes);
            return Err(std::mem::take(notes).refused());
        }
    };
    notes.warnings.extend(duplicates);
    substituted.tell(Some(&document), notes);
    let draft = Draft::read(&document, notes);
    match draft {
        Some(draft) => Ok((substituted, document, draft)),
        None => Err(std::mem::take(notes).refused()),
    }
}

fn unused_parameters(parameters: &Parameters, substituted: &Substituted<'_>, notes: &mut Notes) {
    for name in parameters.names().filter(|name| !substituted.uses(name)) {
        let message = format!("parameter \"{name}\" is given, but the document does not use it");
        let hint = format!("write \"${{{name}}}\" where its value shall stand");
        notes.warnings.push(Fault::user("spec.parameter_unused", message).hint(hint));
    }
}

/// Reads one data source, for looking at it without a job.
///
/// # Errors
/// As [`read`].
pub fn source(
    name: &str,
    sources: Sources<'_>,
    plugins: &dyn Plugins,
    secrets: &dyn Secrets,
) -> Result<Source, Refused> {
    let mut notes = Notes::default();
    let lazy = document::Lazy::new(sources);
    let bench = Workbench { kind: DocumentKind::Script, sources: &lazy, plugins, secrets };
    let looked_at = bench.source(name, Side::Reader, &mut notes);
    match looked_at {
        Some(source) if notes.faults.is_empty() => {
            notes.sort();
            Ok(Source { warnings: notes.warnings, lines: Lines::new(lazy.parsed()), ..source })
        }
        _ => Err(notes.refused()),
    }
}
