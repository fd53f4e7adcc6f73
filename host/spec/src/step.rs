//! From a step's draft to its configuration: type, connection, secrets, schemas, places.

use std::collections::BTreeSet;

use domain::configuration::{Configuration, Secret, Side};
use domain::description::{Role, SourceType};
use domain::fault::{Fault, FaultDomain};
use domain::grant::NamedPlace;
use domain::job::{Address, DocumentKind, MissingColumn, Step};

use serde_json::Value;

use crate::connection::{self, Inline};
use crate::document::{Lazy, Lines, Notes, Spot};
use crate::draft::{DraftStep, Properties};
use crate::schema::{Finding, Schema};
use crate::{Moved, Plugins, Secrets, Source, blank, nearest, places, sources};

/// Written by exports; nothing reads them, and nobody need be told.
const PASSED_OVER: [&str; 7] = [
    "envType",
    "useSpecialSecret",
    "tableComment",
    "singleOrMulti",
    "guid",
    "ConnectionPropertiesMode",
    "regionId",
];

/// What steps are finished with.
pub(crate) struct Workbench<'a> {
    pub(crate) kind: DocumentKind,
    pub(crate) sources: &'a Lazy<'a>,
    pub(crate) plugins: &'a dyn Plugins,
    pub(crate) secrets: &'a dyn Secrets,
}

/// Where DataX says no type it means text, so that a reader that could infer one does not.
pub(crate) fn keep_texts(parameter: &mut Properties, schema: &Schema) {
    const KEY: &str = "inferTypes";
    if schema.property_names().contains(KEY) && parameter.get(KEY).is_none() {
        let spot = parameter.spot.key(KEY);
        parameter.push(KEY, Value::Bool(false), spot);
    }
}

/// A step with what the document's caller needs beside it.
pub(crate) struct Finished {
    pub(crate) step: Step,
    pub(crate) places: Vec<NamedPlace>,
    pub(crate) moved: Vec<Moved>,
    /// Names of secret keys of its type.
    pub(crate) secrets: BTreeSet<String>,
    /// Texts of its connection that are secret.
    pub(crate) secret_texts: BTreeSet<String>,
    pub(crate) missing_column: MissingColumn,
    /// The parameters that remain, for checks between the steps.
    parameter: Properties,
}

impl Finished {
    /// Takes over another address of the same source.
    fn add_address(&mut self, other: Self) {
        let Step { source: title, configuration, .. } = other.step;
        self.step.alternatives.push(Address { title, configuration });
        for named in other.places {
            if !self.places.iter().any(|known| known.place == named.place) {
                self.places.push(named);
            }
        }
        self.secret_texts.extend(other.secret_texts);
    }
}

impl Workbench<'_> {
    /// Checks a reader for each of its sources; `None` where something was wrong, which was told.
    pub(crate) fn finish_sources(
        &self,
        draft: DraftStep,
        notes: &mut Notes,
    ) -> Option<Vec<Finished>> {
        let mut finish = |drafts: Vec<DraftStep>| -> Option<Finished> {
            // All of them, so that all that is wrong is told.
            let finished: Vec<_> =
                drafts.into_iter().map(|draft| self.finish(draft, notes)).collect();
            let mut finished = finished.into_iter().collect::<Option<Vec<_>>>()?.into_iter();
            let mut first = finished.next()?;
            finished.for_each(|other| first.add_address(other));
            Some(first)
        };
        let finished: Vec<_> = sources::split(draft).into_iter().map(&mut finish).collect();
        let mut finished = finished.into_iter().collect::<Option<Vec<_>>>()?;
        sources::tell_apart(finished.iter_mut().map(|one| &mut one.step.source));
        Some(finished)
    }

    /// Checks a step against its plug-in; `None` where something was wrong, which was told.
    pub(crate) fn finish(&self, mut draft: DraftStep, notes: &mut Notes) -> Option<Finished> {
        let kind = self.find(&draft.type_name, Some(&draft.type_spot), notes)?;
        refuse_other_side(&draft, kind, notes)?;
        let role = role(kind, draft.side, &draft.type_spot, notes)?;
        let (connection_schema, parameter_schema) = schemas(kind, role, notes)?;
        let before = notes.faults.len();
        let inline = connection::take(&mut draft, &connection_schema, &parameter_schema, notes);
        if self.kind == DocumentKind::DataX && draft.side == Side::Reader {
            keep_texts(&mut draft.parameter, &parameter_schema);
        }
        let parameter_place = draft.parameter.spot.place();
        let missing_column = match draft.side {
            Side::Reader => sources::missing_column(&mut draft.parameter, &parameter_schema, notes),
            Side::Transformer | Side::Writer => MissingColumn::default(),
        };
        check(&parameter_schema, &mut draft.parameter, &BTreeSet::new(), notes);
        refuse_no_columns(&draft.parameter, notes);
        if !draft.is_one_of_several {
            tell_beside_query(&draft.parameter, notes);
        }
        let connected =
            inline.and_then(|inline| self.connect(inline, kind, &connection_schema, notes));
        let connected = connected.filter(|_| notes.faults.len() == before)?;
        let places = places::named(draft.side, &kind.name, &connected.properties, &draft.parameter);
        let moved = [draft.parameter.moved("parameter"), connected.properties.moved("connection")];
        let parameter = draft.parameter.to_value();
        let mut blanked = parameter.clone();
        blank::blank_value(&mut blanked, &parameter_schema.secret_names(), &BTreeSet::new());
        let parameter_blanked = blanked.to_string();
        let configuration = Configuration {
            source_type: kind.name.clone(),
            side: draft.side,
            connection: connected.text,
            connection_blanked: connected.blanked,
            parameter: parameter.to_string(),
            parameter_blanked,
        };
        let step = Step {
            name: draft.name,
            configuration,
            parameter_place,
            connection_place: connected.properties.spot.place(),
            source: connected.title,
            alternatives: Vec::new(),
        };
        Some(Finished {
            step,
            places,
            moved: moved.concat(),
            secrets: blank::secret_keys(kind),
            secret_texts: connected.secret_texts,
            missing_column,
            parameter: draft.parameter,
        })
    }

    /// A data source by itself; its warnings and lines are the caller's to add.
    pub(crate) fn source(&self, name: &str, side: Side, notes: &mut Notes) -> Option<Source> {
        let (type_name, type_spot, properties) =
            connection::of_source(name, None, self.sources, notes)?;
        let kind = self.find(&type_name, Some(&type_spot), notes)?;
        let schema = Schema::parse(&kind.connection_schema)
            .map_err(|fault| notes.faults.push(fault))
            .ok()?;
        let connected = self.finish_connection(properties, kind, &schema, notes);
        let nothing = Properties::new(connected.properties.spot.clone());
        let places = places::named(side, &kind.name, &connected.properties, &nothing);
        let configuration = Configuration {
            source_type: kind.name.clone(),
            side,
            connection: connected.text,
            connection_blanked: connected.blanked,
            parameter: "{}".to_owned(),
            parameter_blanked: "{}".to_owned(),
        };
        Some(Source {
            configuration,
            connection_place: connected.properties.spot.place(),
            places,
            moved: connected.properties.moved("connection"),
            warnings: Vec::new(),
            lines: Lines::default(),
        })
    }

    /// The type that a name means; DataX's names end in `reader` and `writer`.
    pub(crate) fn find(
        &self,
        name: &str,
        spot: Option<&Spot>,
        notes: &mut Notes,
    ) -> Option<&SourceType> {
        let lower = name.to_lowercase();
        let stem = lower.strip_suffix("reader").or_else(|| lower.strip_suffix("writer"));
        let found = self.plugins.find(name).or_else(|| self.plugins.find(stem?));
        if found.is_none() {
            let names = self.plugins.names();
            let near = nearest::hint(stem.unwrap_or(name), names.iter().copied());
            let message = format!("there is no plug-in for \"{name}\"");
            let fault = match spot {
                Some(spot) => spot.fault("spec.unknown_plugin", message),
                None => Fault::user("spec.unknown_plugin", message),
            };
            let listed =
                || format!("there are {}; others come with --plugin FILE", names.join(", "));
            notes.faults.push(fault.hint(near.unwrap_or_else(listed)));
        }
        found
    }

    fn connect(
        &self,
        inline: Inline,
        kind: &SourceType,
        schema: &Schema,
        notes: &mut Notes,
    ) -> Option<Connected> {
        let Some(source) = inline.source else {
            if inline.properties.entries.is_empty() && schema.requires_anything() {
                let message = format!(
                    "the step says nothing of its connection, which \"{}\" needs",
                    kind.name
                );
                let hint = "name a data source with \"datasource\"";
                notes
                    .faults
                    .push(inline.properties.spot.fault("spec.no_connection", message).hint(hint));
                return None;
            }
            return Some(self.finish_connection(inline.properties, kind, schema, notes));
        };
        let Some(name) = source.value.as_str() else {
            notes.faults.push(source.spot.fault("spec.type", "\"datasource\" must be a text"));
            return None;
        };
        let (type_name, type_spot, properties) =
            connection::of_source(name, Some(&source.spot), self.sources, notes)?;
        let same = self.find(&type_name, Some(&type_spot), notes)?.name == kind.name;
        if !same {
            let message = format!(
                "data source \"{name}\" is of type \"{type_name}\", but the step's type is \"{}\"",
                kind.name
            );
            let hint = format!("name a data source of type \"{}\"", kind.name);
            notes.faults.push(source.spot.fault("spec.source_type", message).hint(hint));
            return None;
        }
        let connected = self.finish_connection(properties, kind, schema, notes);
        Some(Connected { title: name.to_owned(), ..connected })
    }

    /// Takes apart, resolves secrets, checks, blanks.
    fn finish_connection(
        &self,
        mut properties: Properties,
        kind: &SourceType,
        schema: &Schema,
        notes: &mut Notes,
    ) -> Connected {
        let hidden = connection::resolve(&mut properties, self.secrets, notes);
        let before = notes.faults.len();
        connection::take_apart(&mut properties, kind, schema, self.plugins, notes);
        // What could not be taken apart would only be missing.
        if notes.faults.len() == before {
            check(schema, &mut properties, &hidden, notes);
        }
        refuse_user_in_url(&properties, notes);
        let value = properties.to_value();
        let mut blanked = value.clone();
        blank::blank_value(&mut blanked, &schema.secret_names(), &hidden);
        let mut secret_texts = BTreeSet::new();
        blank::secret_texts(&value, &blanked, &mut secret_texts);
        let (text, blanked) = (Secret::new(value.to_string()), blanked.to_string());
        let title = connection::title(&properties).unwrap_or_else(|| kind.name.clone());
        Connected { properties, text, blanked, secret_texts, title }
    }
}

struct Connected {
    properties: Properties,
    text: Secret,
    blanked: String,
    secret_texts: BTreeSet<String>,
    /// What people call it.
    title: String,
}

pub(crate) fn role<'k>(
    kind: &'k SourceType,
    side: Side,
    spot: &Spot,
    notes: &mut Notes,
) -> Option<&'k Role> {
    let role = match side {
        Side::Reader => &kind.reader,
        Side::Transformer => &kind.transformer,
        Side::Writer => &kind.writer,
    };
    if role.is_none() {
        let message = format!("\"{}\" cannot be a {}", kind.name, side.word());
        let hint = "choose a type that can";
        notes.faults.push(spot.fault("spec.no_role", message).hint(hint));
    }
    role.as_ref()
}

/// DataX's names say the side; the wrong one is a slip that no parameter would show.
pub(crate) fn refuse_other_side(
    draft: &DraftStep,
    kind: &SourceType,
    notes: &mut Notes,
) -> Option<()> {
    let other = match draft.side {
        Side::Reader => Side::Writer,
        Side::Writer => Side::Reader,
        Side::Transformer => return Some(()),
    };
    let name = draft.type_name.to_lowercase();
    if name == kind.name || !name.ends_with(other.word()) {
        return Some(());
    }
    let message = format!(
        "\"{}\" names a {}, but stands where a {} is expected",
        draft.type_name,
        other.word(),
        draft.side.word()
    );
    let hint = format!("write \"{}\", or exchange both sides", kind.name);
    notes.faults.push(draft.type_spot.fault("spec.no_role", message).hint(hint));
    None
}

pub(crate) fn schemas(
    kind: &SourceType,
    role: &Role,
    notes: &mut Notes,
) -> Option<(Schema, Schema)> {
    let mut parse = |text: &str| {
        let within =
            |fault: Fault| notes.faults.push(fault.within(format!("plug-in \"{}\"", kind.name)));
        Schema::parse(text).map_err(within).ok()
    };
    let connection = parse(&kind.connection_schema);
    let parameter = parse(&role.parameter_schema);
    Some((connection?, parameter?))
}

/// Checks properties against a schema, and takes over its normal form.
fn check(
    schema: &Schema,
    properties: &mut Properties,
    hidden: &BTreeSet<String>,
    notes: &mut Notes,
) {
    let mut value = properties.to_value();
    let findings = schema.check(&mut value, hidden);
    for finding in findings {
        tell(finding, properties, notes);
    }
    properties.update(&value);
}

fn tell(finding: Finding, properties: &Properties, notes: &mut Notes) {
    let last = crate::json::last_key(&finding.pointer);
    if finding.is_warning && PASSED_OVER.contains(&last.as_str()) {
        return;
    }
    let fault = properties.spot_of(&finding.pointer).fault(finding.code, finding.message);
    // A schema that cannot be checked is nothing that the user did.
    let domain =
        if finding.code.starts_with("contract.") { FaultDomain::Plugin } else { fault.domain };
    let fault = Fault { hint: finding.hint, domain, ..fault };
    if finding.is_warning { notes.warnings.push(fault) } else { notes.faults.push(fault) }
}

/// A URL is shown with the grants, so it holds no password.
fn refuse_user_in_url(properties: &Properties, notes: &mut Notes) {
    for name in ["endpoint", "url"] {
        let Some(property) = properties.get(name) else { continue };
        let authority = property.value.as_str().and_then(|url| url.split_once("://"));
        let authority = authority.and_then(|(_, rest)| rest.split(['/', '?']).next());
        if authority.is_some_and(|authority| authority.contains('@')) {
            let message = format!("\"{name}\" holds a user name or password");
            let hint = "give them under keys of their own";
            notes.faults.push(property.spot.fault("spec.secret_in_url", message).hint(hint));
        }
    }
}

/// Columns go by position: both sides have as many, where both say which.
pub(crate) fn check_columns(readers: &[Finished], writer: &Finished, notes: &mut Notes) {
    let table = readers.iter().find(|reader| !has_query(&reader.parameter));
    let Some(reader) = table.or(readers.first()) else { return };
    let columns = |finished: &Finished| {
        let property = finished.parameter.get("column")?;
        let columns = property.value.as_array()?;
        let all = columns.iter().any(|column| column.as_str() == Some("*"));
        (!all).then(|| (columns.len(), property.spot.clone()))
    };
    let reads_query = has_query(&reader.parameter);
    let (Some((read, _)), Some((written, spot)), false) =
        (columns(reader), columns(writer), reads_query)
    else {
        return;
    };
    if read != written {
        let message = format!("the numbers of columns differ: reader {read}, writer {written}");
        let hint = "columns go by position; write as many on both sides";
        notes.faults.push(spot.fault("spec.columns", message).hint(hint));
    }
}

fn has_query(parameter: &Properties) -> bool {
    parameter.get("querySql").is_some_and(|property| property.value != "")
}

/// Unless the plug-in's schema told it.
fn refuse_no_columns(parameter: &Properties, notes: &mut Notes) {
    let Some(property) = parameter.get("column") else { return };
    let place = Some(property.spot.place());
    let is_empty = property.value.as_array().is_some_and(Vec::is_empty);
    if is_empty && notes.faults.iter().all(|fault| fault.place != place) {
        let fault = property.spot.fault("spec.columns", "\"column\" is empty");
        notes.faults.push(fault.hint("name the columns, or write [\"*\"]"));
    }
}

/// A query says by itself what is read.
fn tell_beside_query(parameter: &Properties, notes: &mut Notes) {
    if !has_query(parameter) {
        return;
    }
    for name in ["table", "column", "where", "splitPk"] {
        let Some(property) = parameter.get(name).filter(|property| property.value != "") else {
            continue;
        };
        let message = format!("\"{name}\" has no effect: \"querySql\" says what is read");
        notes.warnings.push(property.spot.fault("spec.no_effect", message));
    }
}
