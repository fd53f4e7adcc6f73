//! Writes a DataX document as one of script mode that means the same.
//!
//! What DataX leaves to its own defaults is said in words: the limit of dirty records, the casts, the
//! number of lanes. Variables stay variables. A secret is never written: it becomes a reference, and
//! where script mode takes none the document is refused.

use std::collections::BTreeSet;
use std::rc::Rc;

use domain::configuration::Side;
use domain::description::SourceType;
use domain::fault::Fault;
use domain::job::{Casts, DocumentKind, ErrorLimit, Rate, Settings};
use serde_json::{Map, Value, json};

use crate::blank::{is_secret_name, secret_ranges};
use crate::connection::{self, Inline};
use crate::document::{Document, Lazy, Notes, Spot};
use crate::draft::{Draft, DraftStep, DraftTransformer, Properties};
use crate::schema::Schema;
use crate::settings::{self, MB};
use crate::step::{self, Workbench};
use crate::substitute::Substituted;
use crate::{Input, Refused, Secrets, draft, parameter, sources, transformer};

/// Stands for the `$` of a variable while the document is turned, so that a text which only looks
/// like one stays a text. No document means this character.
const MARK: char = '\u{10ffff}';

/// What became of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Converted {
    /// In script mode, JSON with line ends.
    pub document: String,
    /// The data sources that its connections became, JSON with line ends; `None` where none did.
    pub sources: Option<String>,
    /// What is written otherwise than it was, and what is not kept: of domain user, none of them an
    /// error.
    pub notes: Vec<Fault>,
}

/// Turns a DataX document into one of script mode; with `apart`, connections become data sources.
///
/// Of the input's parameters only the names count: DataX replaces `$name` where one is given.
///
/// # Errors
/// Everything that keeps the document from being turned.
pub fn convert(input: &Input<'_>, apart: bool) -> Result<Converted, Refused> {
    let mut notes = Notes::default();
    let Some((document, draft)) = read(input, &mut notes) else { return Err(notes.refused()) };
    let sources = Lazy::new(input.sources);
    let bench = Workbench {
        kind: DocumentKind::DataX,
        sources: &sources,
        plugins: input.plugins,
        secrets: input.secrets,
    };
    let settings = settings::read(DocumentKind::DataX, &document, &mut notes);
    tell_defaults(&document, &mut notes);
    let mut conversion = Conversion { bench, apart, several: false, sources: Map::new(), notes };
    let steps = [draft.reader, draft.writer].map(|step| conversion.step(step?));
    let transformers = draft.transformers.into_iter();
    let transformers =
        transformers.map(|step| between(step, input.secrets, &mut conversion.notes)).collect();
    let [Some(reader), Some(writer)] = steps else { return Err(conversion.notes.refused()) };
    let Conversion { sources, mut notes, .. } = conversion;
    if !notes.faults.is_empty() {
        return Err(notes.refused());
    }
    let spot = document.root().key("job").key("setting").key("speed");
    let setting = setting(&settings, &spot, &mut notes);
    notes.sort();
    let mut steps = vec![reader];
    steps.extend(named(transformers));
    steps.push(writer);
    let hops = steps.windows(2).map(|pair| json!({"from": pair[0]["name"], "to": pair[1]["name"]}));
    let hops: Vec<_> = hops.collect();
    let document = json!({
        "type": "job",
        "version": "2.0",
        "steps": steps,
        "setting": setting,
        "order": {"hops": hops},
    });
    let sources = (!sources.is_empty()).then(|| written(&Value::Object(sources)));
    Ok(Converted { document: written(&document), sources, notes: notes.warnings })
}

/// Parses, with the mark before each variable's name for its value.
fn read(input: &Input<'_>, notes: &mut Notes) -> Option<(Rc<Document>, Draft)> {
    let given = parameter::evaluate_all(input.parameters, input.clock, &mut notes.faults);
    let braced = Substituted::new(input.name, input.text, &parameter::Values::new(), false);
    let names = braced.names().map(str::to_owned).chain(given.into_keys());
    let itself = |name: String| (name.clone(), Some(format!("{MARK}{{{name}}}")));
    let substituted = Substituted::new(input.name, input.text, &names.map(itself).collect(), true);
    let parsed = Document::of_job(&substituted).map_err(|fault| notes.faults.push(fault)).ok();
    substituted.tell(parsed.as_ref().map(|(document, _)| &**document), notes);
    let (document, duplicates) = parsed?;
    notes.warnings.extend(duplicates);
    if draft::kind(document.value()) == Some(DocumentKind::Script) {
        let message = "the document is one of script mode already";
        notes.faults.push(document.root().fault("spec.convert", message));
        return None;
    }
    let draft = Draft::read(&document, notes)?;
    Some((document, draft))
}

fn note(spot: &Spot, message: impl Into<String>, notes: &mut Notes) {
    notes.warnings.push(spot.fault("spec.converted", message));
}

/// What DataX means where nothing is written, and script mode does not.
fn tell_defaults(document: &Rc<Document>, notes: &mut Notes) {
    let setting = document.root().key("job").key("setting");
    let written = |pointer: &str| {
        let value = document.value().pointer(&format!("/job/setting/{pointer}"));
        value.is_some_and(|value| !value.is_null())
    };
    if !written("errorLimit/record") && !written("errorLimit/percentage") {
        let message =
            "there is no limit of dirty records, as DataX has it: \"errorLimit\" says \"Ignore\"";
        note(&setting, message, notes);
    }
    if !written("casts") {
        note(&setting, "values are cast as DataX casts them: \"casts\" says \"datax\"", notes);
    }
}

fn setting(settings: &Settings, speed_spot: &Spot, notes: &mut Notes) -> Value {
    let mut setting = json!({
        "speed": speed(settings, speed_spot, notes),
        "errorLimit": error_limit(&settings.error_limit),
        "casts": casts(settings),
    });
    if let Some(zone) = &settings.time_zone {
        setting["common"] = json!({"column": {"timeZone": zone}});
    }
    setting
}

fn casts(settings: &Settings) -> Value {
    if settings.column_casts.is_empty() {
        return match settings.casts {
            Casts::Exact => "exact".into(),
            Casts::DataX => "datax".into(),
        };
    }
    let word = |rule: &Casts| match rule {
        Casts::Exact => Value::from("exact"),
        Casts::DataX => "lossy".into(),
    };
    let columns = settings.column_casts.iter().map(|(name, rule)| (name.clone(), word(rule)));
    Value::Object(std::iter::once(("*".into(), word(&settings.casts))).chain(columns).collect())
}

/// Script mode limits a job alone, in whole MB and in records.
fn speed(settings: &Settings, spot: &Spot, notes: &mut Notes) -> Value {
    let lanes = settings.concurrent;
    let mut speed = json!({ "concurrent": lanes });
    let (job, lane) = (settings.rates.job, settings.rates.lane);
    let mut not_kept = |message: String| {
        notes.warnings.push(spot.fault("spec.not_kept", message));
    };
    if lane != Rate::default() {
        not_kept(format!("the rate of one channel is not kept: the job's is that of all {lanes}"));
    }
    let all = |lane: Option<u64>| lane.map(|rate| rate.saturating_mul(lanes.into()));
    if let Some(bytes) = job.bytes.or(all(lane.bytes)) {
        let mbps = bytes.div_ceil(MB);
        if mbps * MB != bytes {
            not_kept(format!("{bytes} bytes a second are written as {mbps} MB"));
        }
        speed["throttle"] = true.into();
        speed["mbps"] = mbps.into();
    }
    if let Some(records) = job.records.or(all(lane.records)) {
        speed["throttle"] = true.into();
        speed["record"] = records.into();
    }
    speed
}

fn error_limit(limit: &ErrorLimit) -> Value {
    match (limit.records, limit.share) {
        (None, None) => json!({"strategy": "Ignore"}),
        (Some(records), None) => json!({"record": records}),
        (None, Some(share)) => json!({"percentage": share}),
        (Some(records), Some(share)) => json!({"record": records, "percentage": share}),
    }
}

/// A transformer as a step, without a name. What variables stand in is judged when they have values.
fn between(draft: DraftTransformer, secrets: &dyn Secrets, notes: &mut Notes) -> Value {
    let parameter = draft.parameter.to_value();
    let step = json!({
        "stepType": draft.type_name,
        "category": draft.category.word(),
        "name": null,
        "parameter": parameter,
    });
    if !holds_variable(&parameter) {
        transformer::finish(draft, &[], secrets, notes);
    }
    step
}

/// Gives each step what it is for a name, with a number where that is taken.
fn named(mut steps: Vec<Value>) -> Vec<Value> {
    for index in 0..steps.len() {
        let (before, rest) = steps.split_at_mut(index);
        let kind = &rest[0]["stepType"];
        let same = before.iter().filter(|step| step["stepType"] == *kind).count();
        let kind = kind.as_str().unwrap_or_default();
        let name = if same == 0 { kind.to_owned() } else { format!("{kind}_{}", same + 1) };
        rest[0]["name"] = name.into();
    }
    steps
}

struct Conversion<'a> {
    bench: Workbench<'a>,
    apart: bool,
    /// The step at work has several connections.
    several: bool,
    /// The data sources so far, by name.
    sources: Map<String, Value>,
    notes: Notes,
}

impl Conversion<'_> {
    /// The step in script mode; `None` where something was wrong, which was told.
    fn step(&mut self, draft: DraftStep) -> Option<Value> {
        let notes = &mut self.notes;
        let kind = self.bench.find(&draft.type_name, Some(&draft.type_spot), notes)?.clone();
        step::refuse_other_side(&draft, &kind, notes)?;
        let drafts = match draft.side {
            Side::Reader => sources::entries(draft),
            Side::Transformer | Side::Writer => vec![draft],
        };
        let several = drafts.len() > 1;
        self.several = several;
        let parts = drafts.into_iter().enumerate().map(|(index, mut draft)| {
            let name = draft.name.clone();
            if several {
                // So that each has variables and a data source of its own.
                draft.name = format!("{name}_{}", index + 1);
            }
            Some((name, draft.side, self.part(draft, &kind)?))
        });
        let parts: Vec<_> = parts.collect();
        let parts = parts.into_iter().collect::<Option<Vec<_>>>()?;
        let (name, side, first) = parts.first()?;
        let parameter = match several {
            false => first.whole(),
            true => {
                let entries = parts.iter().map(|(_, _, part)| Value::Object(part.entry()));
                let mut parameter = first.shared();
                parameter.insert("connection".to_owned(), entries.collect());
                parameter
            }
        };
        Some(json!({
            "stepType": kind.name,
            "category": side.word(),
            "name": name,
            "parameter": parameter,
        }))
    }

    /// The parameters of a step with one connection.
    fn part(&mut self, mut draft: DraftStep, kind: &SourceType) -> Option<Part> {
        let notes = &mut self.notes;
        let role = step::role(kind, draft.side, &draft.type_spot, notes)?;
        let (connection, parameter) = step::schemas(kind, role, notes)?;
        let inline = connection::take(&mut draft, &connection, &parameter, notes)?;
        if draft.side == Side::Reader {
            let before = draft.parameter.entries.len();
            step::keep_texts(&mut draft.parameter, &parameter);
            if draft.parameter.entries.len() > before {
                let message =
                    "columns without a type are texts, as DataX has it: \"inferTypes\" says false";
                note(&draft.parameter.spot, message, notes);
            }
        }
        for property in &draft.parameter.entries {
            refuse_secrets(&property.name, &property.value, &property.spot, &parameter, notes);
        }
        let members = self.connection(inline, &draft, kind, &connection)?;
        let parameters = draft.parameter.entries.into_iter();
        Some(Part {
            members,
            parameters: parameters.map(|entry| (entry.name, entry.value)).collect(),
        })
    }

    /// The keys that say the connection in a step.
    fn connection(
        &mut self,
        inline: Inline,
        draft: &DraftStep,
        kind: &SourceType,
        schema: &Schema,
    ) -> Option<Map<String, Value>> {
        if let Some(source) = inline.source {
            return Some([("datasource".to_owned(), source.value)].into_iter().collect());
        }
        let mut properties = inline.properties;
        let mut secrets = References { prefix: &draft.name, keys: schema.secret_names() };
        let varies =
            properties.entries.iter().any(|entry| secrets.varies(&entry.name, &entry.value));
        let faults = self.notes.faults.len();
        let url = properties.get("jdbcUrl");
        let is_one = |url: &Value| url.as_array().is_none_or(|urls| urls.len() == 1);
        let has_fixed_url =
            url.is_some_and(|url| is_one(&url.value) && !holds_variable(&url.value));
        if has_fixed_url && schema.property_names().contains("host") {
            let notes = &mut self.notes;
            connection::take_apart(&mut properties, kind, schema, self.bench.plugins, notes);
        }
        let has_urls = properties.get("jdbcUrl").is_some_and(|url| !is_one(&url.value));
        let apart = self.apart && !varies && !has_urls && !properties.entries.is_empty();
        if self.apart && has_urls {
            let message =
                "a data source has one address, and the connection several: it stays in the step";
            note(&properties.spot, message, &mut self.notes);
        }
        if self.apart && varies {
            let message = "the connection holds variables, which data sources do not know: it stays in the step";
            note(&properties.spot, message, &mut self.notes);
        }
        for property in &mut properties.entries {
            let spot = &property.spot;
            secrets.refer(
                &property.name.clone(),
                &mut property.value,
                spot,
                !apart,
                &mut self.notes,
            );
        }
        if self.notes.faults.len() > faults {
            return None;
        }
        Some(if apart { self.source(&properties, draft, kind) } else { members(&properties) })
    }

    /// Makes the connection a data source, and names it.
    fn source(
        &mut self,
        properties: &Properties,
        draft: &DraftStep,
        kind: &SourceType,
    ) -> Map<String, Value> {
        let number = draft.name.rsplit_once('_').map(|(_, number)| format!("_{number}"));
        let number = number.filter(|_| self.several).unwrap_or_default();
        let name = format!("{}_{}{number}", draft.side.word(), kind.name);
        let message = format!("the connection is data source \"{name}\"");
        note(&properties.spot, message, &mut self.notes);
        let source = json!({"type": kind.name, "properties": members(properties)});
        self.sources.insert(name.clone(), source);
        [("datasource".to_owned(), Value::from(name))].into_iter().collect()
    }
}

/// A step's connection and its parameters.
struct Part {
    members: Map<String, Value>,
    parameters: Map<String, Value>,
}

impl Part {
    fn whole(&self) -> Map<String, Value> {
        self.members.clone().into_iter().chain(self.parameters.clone()).collect()
    }

    /// As one of several entries of `connection`.
    fn entry(&self) -> Map<String, Value> {
        let own = self.parameters.clone().into_iter().filter(|(name, _)| is_of_entry(name));
        self.members.clone().into_iter().chain(own).collect()
    }

    /// What all entries share.
    fn shared(&self) -> Map<String, Value> {
        self.parameters.clone().into_iter().filter(|(name, _)| !is_of_entry(name)).collect()
    }
}

fn is_of_entry(name: &str) -> bool {
    matches!(name, "table" | "querySql")
}

fn members(properties: &Properties) -> Map<String, Value> {
    let entries = properties.entries.iter();
    entries.map(|entry| (entry.name.clone(), entry.value.clone())).collect()
}

/// Puts references in the place of a connection's secrets.
struct References<'a> {
    /// What the names of the environment variables begin with.
    prefix: &'a str,
    /// Secret keys of the type, beside those that look like it.
    keys: BTreeSet<String>,
}

impl References<'_> {
    fn is_secret(&self, key: &str) -> bool {
        self.keys.contains(key) || is_secret_name(key)
    }

    /// Whether a variable stands in it elsewhere than in a secret's place.
    fn varies(&self, key: &str, value: &Value) -> bool {
        match value {
            _ if self.is_secret(key) => false,
            Value::Object(members) => members.iter().any(|(key, value)| self.varies(key, value)),
            value => holds_variable(value),
        }
    }

    /// `variables`: a secret may be one.
    fn refer(
        &mut self,
        path: &str,
        value: &mut Value,
        spot: &Spot,
        variables: bool,
        notes: &mut Notes,
    ) {
        let key = path.rsplit('_').next().unwrap_or(path).to_owned();
        match value {
            Value::Object(members) if is_reference(members) => {}
            Value::Object(members) => {
                for (key, value) in members {
                    self.refer(&format!("{path}_{key}"), value, &spot.key(key), variables, notes);
                }
            }
            Value::String(text) if self.is_secret(&key) && text.is_empty() => {}
            Value::String(text) if self.is_secret(&key) && variables && !is_literal(text) => {}
            Value::String(_) | Value::Number(_) if self.is_secret(&key) => {
                let name = variable_name(&format!("{}_{path}", self.prefix));
                let message = format!(
                    "the secret is not written: \"{key}\" is read from the environment variable \"{name}\""
                );
                note(spot, message, notes);
                *value = json!({ "env": name });
            }
            value => refuse_in_urls(value, spot, notes),
        }
    }
}

/// `{"env": …}` or `{"file": …}`.
fn is_reference(members: &Map<String, Value>) -> bool {
    members.len() == 1 && (members.contains_key("env") || members.contains_key("file"))
}

/// `Reader_clientPassword` is `READER_CLIENT_PASSWORD`.
fn variable_name(path: &str) -> String {
    let mut name = String::with_capacity(path.len() + 1);
    let mut lower = false;
    for character in path.chars() {
        if character.is_uppercase() && lower {
            name.push('_');
        }
        lower = character.is_lowercase();
        let plain = if character.is_ascii_alphanumeric() { character } else { '_' };
        name.push(plain.to_ascii_uppercase());
    }
    name
}

/// Among the parameters, where script mode knows no references, a secret must be a variable.
fn refuse_secrets(key: &str, value: &Value, spot: &Spot, schema: &Schema, notes: &mut Notes) {
    let secret = is_secret_name(key) || schema.secret_names().contains(key);
    match value {
        Value::Object(members) if secret && !is_reference(members) => {
            members.values().for_each(|value| refuse_secrets(key, value, spot, schema, notes));
        }
        Value::Object(members) => {
            for (key, value) in members {
                refuse_secrets(key, value, &spot.key(key), schema, notes);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                refuse_secrets(key, item, &spot.item(index), schema, notes);
            }
        }
        Value::String(text) if secret && !is_literal(text) => {}
        Value::String(_) | Value::Number(_) if secret => refuse_secret(key, spot, notes),
        value => refuse_in_urls(value, spot, notes),
    }
}

fn refuse_in_urls(value: &Value, spot: &Spot, notes: &mut Notes) {
    match value {
        Value::String(text) if secret_ranges(text).any(|range| is_literal(&text[range])) => {
            refuse_secret("the URL", spot, notes);
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                refuse_in_urls(item, &spot.item(index), notes);
            }
        }
        _ => {}
    }
}

fn refuse_secret(what: &str, spot: &Spot, notes: &mut Notes) {
    let message =
        format!("a secret stands here (\"{what}\"), which is not written to another document");
    let hint = "write ${NAME} in its place, and give it with -p";
    notes.faults.push(spot.fault("spec.convert_secret", message).hint(hint));
}

fn holds_variable(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(MARK),
        Value::Array(items) => items.iter().any(holds_variable),
        Value::Object(members) => members.values().any(holds_variable),
        _ => false,
    }
}

/// Whether something stands there beside variables.
fn is_literal(text: &str) -> bool {
    let mut rest = text;
    while let Some(name) = rest.strip_prefix(MARK) {
        rest = name.find('}').map_or("", |end| &name[end + 1..]);
    }
    !rest.is_empty()
}

/// The JSON text: variables as variables, other texts safe from being taken for one, and nothing in
/// it that steers a terminal.
fn written(value: &Value) -> String {
    let mut text = String::new();
    for character in format!("{value:#}\n").replace("${", "\\u0024{").chars() {
        match character {
            MARK => text.push('$'),
            '\n' => text.push('\n'),
            control if control.is_control() => text += &format!("\\u{:04x}", u32::from(control)),
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_and_texts_that_look_like_one_are_told_apart() {
        let value = json!({"a": format!("{MARK}{{x}} ${{y}} \u{9b}\n")});
        assert_eq!(written(&value), "{\n  \"a\": \"${x} \\u0024{y} \\u009b\\n\"\n}\n");
        assert!(!is_literal(&format!("{MARK}{{x}}{MARK}{{y}}")) && !is_literal(""));
        assert!(is_literal(&format!("{MARK}{{x}}s")) && is_literal("s"));
    }

    #[test]
    fn environment_variables_have_names_of_their_kind() {
        assert_eq!(variable_name("Reader_clientPassword"), "READER_CLIENT_PASSWORD");
        assert_eq!(variable_name("Writer_ssl_access-key"), "WRITER_SSL_ACCESS_KEY");
    }
}
