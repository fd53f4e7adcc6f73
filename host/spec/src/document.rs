//! A parsed document, spots in it, and the faults that are told about them.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use domain::fault::Fault;
use serde_json::{Map, Value};

use crate::Sources;
use crate::json::{self, Extent};
use crate::substitute::Substituted;

/// What was found so far. Every check goes on after a fault, so that all are told at once.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) faults: Vec<Fault>,
    pub(crate) warnings: Vec<Fault>,
}

impl Notes {
    /// The faults by file and line; those without a line come first.
    pub(crate) fn faults_in_order(mut self) -> Vec<Fault> {
        self.faults.sort_by(|a, b| a.line.cmp(&b.line));
        self.faults
    }
}

/// A document whose values know their lines.
#[derive(Debug)]
pub(crate) struct Document {
    name: String,
    /// Stands before pointers: nothing for the job, `datasources.json#` for the data sources.
    prefix: String,
    value: Value,
    extents: HashMap<String, Extent>,
    /// Line in the user's file, by pointer.
    lines: HashMap<String, u32>,
}

type Parsed = (Rc<Document>, Vec<Fault>);

impl Document {
    /// Parses a job document; answers it with warnings about duplicate keys.
    pub(crate) fn of_job(name: &str, substituted: &Substituted<'_>) -> Result<Parsed, Fault> {
        let spot_of = |at| substituted.position(at);
        Self::parse(name, String::new(), substituted.text(), &spot_of)
    }

    fn of_sources(name: &str, text: &str) -> Result<Parsed, Fault> {
        let starts = line_starts(text);
        let prefix = format!("{}#", file_name(name));
        Self::parse(name, prefix, text, &|at| position(text, &starts, at))
    }

    fn parse(
        name: &str,
        prefix: String,
        text: &str,
        position: &dyn Fn(usize) -> (u32, u32),
    ) -> Result<Parsed, Fault> {
        let parsed = json::parse(text).map_err(|syntax| {
            let (line, column) = position(syntax.at);
            let message = format!("{} (column {column})", syntax.message);
            let mut fault = Fault::user("spec.syntax", message);
            fault.hint = syntax.hint.map(str::to_owned);
            fault.line = Some((name.to_owned(), line));
            fault.at(format!("{prefix}{}", syntax.pointer))
        })?;
        let duplicates = parsed.duplicates.iter().map(|(pointer, at)| {
            let message = format!("the key \"{}\" stands here twice; the last one counts", json::last_key(pointer));
            let mut fault = Fault::user("spec.duplicate_key", message).hint("remove one of them");
            fault.line = Some((name.to_owned(), position(*at).0));
            fault.at(format!("{prefix}{pointer}"))
        });
        let duplicates = duplicates.collect();
        let lines = parsed.extents.iter();
        let lines = lines.map(|(pointer, extent)| (pointer.clone(), position(extent.start).0));
        let lines = lines.collect();
        let document =
            Self { name: name.to_owned(), prefix, value: parsed.value, extents: parsed.extents, lines };
        Ok((Rc::new(document), duplicates))
    }

    pub(crate) fn value(&self) -> &Value {
        &self.value
    }

    pub(crate) fn root(self: &Rc<Self>) -> Spot {
        Spot { document: Rc::clone(self), pointer: String::new(), whole: false }
    }

    /// The pointer of the innermost value around a byte of the parsed text.
    pub(crate) fn pointer_at(&self, at: usize) -> String {
        let around = self.extents.iter().filter(|(_, extent)| extent.start <= at && at < extent.end);
        let innermost = around.max_by_key(|(pointer, extent)| (extent.start, pointer.len()));
        innermost.map(|(pointer, _)| pointer.clone()).unwrap_or_default()
    }

    /// The line of a pointer, or of the nearest value around it.
    fn line(&self, pointer: &str) -> u32 {
        let mut pointer = pointer;
        loop {
            match (self.lines.get(pointer), pointer.rfind('/')) {
                (Some(line), _) => return *line,
                (None, Some(slash)) => pointer = &pointer[..slash],
                (None, None) => return 1,
            }
        }
    }
}

/// A value's place in a document. Spots travel with values that move, so that faults and grants still
/// name what the user wrote.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    document: Rc<Document>,
    pointer: String,
    /// The value was taken out of a text (a part of a `jdbcUrl`): spots below it are itself.
    whole: bool,
}

impl Spot {
    pub(crate) fn key(&self, key: &str) -> Self {
        if self.whole {
            return self.clone();
        }
        Self { pointer: json::child(&self.pointer, key), ..self.clone() }
    }

    pub(crate) fn item(&self, index: usize) -> Self {
        self.key(&index.to_string())
    }

    /// Below this spot by a relative pointer.
    pub(crate) fn below(&self, pointer: &str) -> Self {
        if self.whole {
            return self.clone();
        }
        Self { pointer: format!("{}{pointer}", self.pointer), ..self.clone() }
    }

    /// This spot for values that are taken out of a text here.
    pub(crate) fn whole(&self) -> Self {
        Self { whole: true, ..self.clone() }
    }

    /// The pointer, with the file's name where it is not the job's.
    pub(crate) fn place(&self) -> String {
        format!("{}{}", self.document.prefix, self.pointer)
    }

    /// The file as the user named it.
    pub(crate) fn file(&self) -> &str {
        &self.document.name
    }

    pub(crate) fn fault(&self, code: &str, message: impl Into<String>) -> Fault {
        let mut fault = Fault::user(code, message).at(self.place());
        fault.line = Some((self.document.name.clone(), self.document.line(&self.pointer)));
        fault
    }
}

/// The value's kind, for people.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The members of an object, or a fault.
pub(crate) fn object<'v>(
    value: &'v Value,
    spot: &Spot,
    notes: &mut Notes,
) -> Option<&'v Map<String, Value>> {
    let members = value.as_object();
    if members.is_none() {
        let message = format!("expected an object, found {}", kind_of(value));
        notes.faults.push(spot.fault("spec.type", message));
    }
    members
}

/// The text under a key that must be there, or a fault.
pub(crate) fn text<'v>(
    members: &'v Map<String, Value>,
    key: &str,
    spot: &Spot,
    notes: &mut Notes,
) -> Option<&'v str> {
    match members.get(key) {
        Some(Value::String(text)) if !text.is_empty() => return Some(text),
        Some(Value::String(_)) => {
            notes.faults.push(spot.key(key).fault("spec.value", format!("\"{key}\" is empty")));
        }
        Some(other) => {
            let message = format!("\"{key}\" must be a text, not {}", kind_of(other));
            notes.faults.push(spot.key(key).fault("spec.type", message));
        }
        None => {
            let message = format!("\"{key}\" is missing");
            notes.faults.push(spot.fault("spec.required", message));
        }
    }
    None
}

/// Warns of keys that nothing reads.
pub(crate) fn unknown_keys(
    members: &Map<String, Value>,
    known: &[&str],
    spot: &Spot,
    notes: &mut Notes,
) {
    for key in members.keys().filter(|key| !known.contains(&key.as_str())) {
        let fault = spot.key(key).fault("spec.unknown_key", format!("unknown key \"{key}\", ignored"));
        let hint = crate::nearest::hint(key, known.iter().copied());
        notes.warnings.push(Fault { hint, ..fault });
    }
}

/// The data sources' document, parsed when a step first names one.
pub(crate) struct Lazy<'a> {
    sources: Sources<'a>,
    parsed: OnceCell<Option<Rc<Document>>>,
}

impl<'a> Lazy<'a> {
    pub(crate) fn new(sources: Sources<'a>) -> Self {
        Self { sources, parsed: OnceCell::new() }
    }

    pub(crate) fn name(&self) -> &str {
        self.sources.name
    }

    /// The document; `None` where there is none, or an unreadable one, which is told the first time.
    pub(crate) fn document(&self, notes: &mut Notes) -> Option<Rc<Document>> {
        let parse = |text| match Document::of_sources(self.sources.name, text) {
            Ok((document, duplicates)) => {
                notes.warnings.extend(duplicates);
                Some(document)
            }
            Err(fault) => {
                notes.faults.push(fault);
                None
            }
        };
        self.parsed.get_or_init(|| self.sources.text.and_then(parse)).clone()
    }

    pub(crate) fn is_absent(&self) -> bool {
        self.sources.text.is_none()
    }

    pub(crate) fn parsed(&self) -> Option<&Document> {
        self.parsed.get()?.as_deref()
    }
}

/// Gives places of the documents that were read their lines, for faults that come later.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lines {
    /// File and line by place.
    by_place: BTreeMap<String, (String, u32)>,
}

impl Lines {
    pub(crate) fn new(job: &Document, sources: Option<&Document>) -> Self {
        let mut lines = Self::of_sources(sources);
        lines.add(job);
        lines
    }

    pub(crate) fn of_sources(sources: Option<&Document>) -> Self {
        let mut lines = Self::default();
        if let Some(document) = sources {
            lines.add(document);
        }
        lines
    }

    fn add(&mut self, document: &Document) {
        for (pointer, line) in &document.lines {
            let place = format!("{}{pointer}", document.prefix);
            self.by_place.insert(place, (document.name.clone(), *line));
        }
    }

    /// File and line of a place, or of the nearest value around it.
    pub fn of(&self, place: &str) -> Option<(String, u32)> {
        let mut place = place;
        loop {
            if let Some(found) = self.by_place.get(place) {
                return Some(found.clone());
            }
            place = &place[..place.rfind('/')?];
        }
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// Byte offsets at which lines start.
pub(crate) fn line_starts(text: &str) -> Vec<usize> {
    let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
    std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect()
}

/// Line and column (in characters) of a byte, both from 1.
pub(crate) fn position(text: &str, starts: &[usize], at: usize) -> (u32, u32) {
    let line = starts.partition_point(|start| *start <= at).max(1);
    let before = text.get(starts[line - 1]..at).unwrap_or_default();
    (line as u32, before.chars().count() as u32 + 1)
}
