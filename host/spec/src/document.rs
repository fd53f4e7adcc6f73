//! A parsed document, spots in it, and the faults that are told about them.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use domain::fault::Fault;
use serde_json::{Map, Value};

use crate::json::{self, Extent};
use crate::substitute::Substituted;
use crate::{Refused, Sources};

/// What was found so far. Every check goes on after a fault, so that all are told at once.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) faults: Vec<Fault>,
    pub(crate) warnings: Vec<Fault>,
}

impl Notes {
    /// By file and line, each once: what several sources share is looked at for each of them. Those
    /// without a line come first.
    pub(crate) fn sort(&mut self) {
        for notes in [&mut self.faults, &mut self.warnings] {
            let mut told = HashSet::new();
            notes.retain(|fault| {
                told.insert((fault.code.clone(), fault.message.clone(), fault.place.clone()))
            });
            notes.sort_by(|a, b| a.line.cmp(&b.line));
        }
    }

    pub(crate) fn refused(mut self) -> Refused {
        self.sort();
        Refused { faults: self.faults, warnings: self.warnings }
    }
}

/// Where the values of a document stand.
#[derive(Debug)]
struct Index {
    /// The file as the user named it.
    name: String,
    /// Stands before pointers: nothing for the job, `datasources.json#` for the data sources.
    prefix: String,
    /// Extent in the parsed text and line in the user's file, by pointer.
    values: HashMap<String, (Extent, u32)>,
}

impl Index {
    /// The line of a pointer, or of the nearest value around it.
    fn line(&self, pointer: &str) -> Option<u32> {
        let mut pointer = pointer;
        loop {
            if let Some((_, line)) = self.values.get(pointer) {
                return Some(*line);
            }
            pointer = &pointer[..pointer.rfind('/')?];
        }
    }
}

/// The user's text, and the way back to it from the parsed one.
struct Original<'a> {
    text: &'a str,
    starts: &'a [usize],
    /// The byte of the user's text for a byte of the parsed one.
    offset: &'a dyn Fn(usize) -> usize,
}

impl Original<'_> {
    fn line(&self, at: usize) -> u32 {
        line(self.starts, (self.offset)(at))
    }

    fn column(&self, at: usize) -> u32 {
        column(self.text, self.starts, (self.offset)(at))
    }
}

/// A document whose values know their lines.
#[derive(Debug)]
pub(crate) struct Document {
    index: Arc<Index>,
    value: Value,
}

/// A document with warnings about its duplicate keys.
pub(crate) type Parsed = (Rc<Document>, Vec<Fault>);

impl Document {
    /// Parses a job document; answers it with warnings about duplicate keys.
    pub(crate) fn of_job(substituted: &Substituted<'_>) -> Result<Parsed, Fault> {
        let original = Original {
            text: substituted.source(),
            starts: substituted.starts(),
            offset: &|at| substituted.offset(at),
        };
        Self::parse(substituted.name(), String::new(), substituted.text(), &original)
    }

    fn of_sources(name: &str, text: &str) -> Result<Parsed, Fault> {
        let prefix = format!("{}#", file_name(name));
        let original = Original { text, starts: &line_starts(text), offset: &|at| at };
        Self::parse(name, prefix, text, &original)
    }

    fn parse(
        name: &str,
        prefix: String,
        text: &str,
        original: &Original<'_>,
    ) -> Result<Parsed, Fault> {
        let tell = |code, message, pointer: &str, at| {
            let mut fault = Fault::user(code, message);
            fault.line = Some((name.to_owned(), original.line(at)));
            fault.place = non_empty(format!("{prefix}{pointer}"));
            fault
        };
        let parsed = json::parse(text).map_err(|syntax| {
            let message = format!("{} (column {})", syntax.message, original.column(syntax.at));
            let fault = tell("spec.syntax", message, &syntax.pointer, syntax.at);
            Fault { hint: syntax.hint.map(str::to_owned), ..fault }
        })?;
        let duplicates = parsed.duplicates.iter().map(|(pointer, at)| {
            let key = json::last_key(pointer);
            let message = format!("the key \"{key}\" stands here twice; the last one counts");
            tell("spec.duplicate_key", message, pointer, *at).hint("remove one of them")
        });
        let duplicates = duplicates.collect();
        let values = parsed.extents.into_iter();
        let values =
            values.map(|(pointer, extent)| (pointer, (extent, original.line(extent.start))));
        let index = Arc::new(Index { name: name.to_owned(), values: values.collect(), prefix });
        Ok((Rc::new(Self { index, value: parsed.value }), duplicates))
    }

    pub(crate) fn value(&self) -> &Value {
        &self.value
    }

    pub(crate) fn root(self: &Rc<Self>) -> Spot {
        Spot { document: Rc::clone(self), pointer: String::new(), whole: false }
    }

    /// The pointer of the innermost value around a byte of the parsed text.
    pub(crate) fn pointer_at(&self, at: usize) -> String {
        let values = self.index.values.iter();
        let around = values.filter(|(_, (extent, _))| extent.start <= at && at < extent.end);
        let innermost = around.max_by_key(|(pointer, (extent, _))| (extent.start, pointer.len()));
        innermost.map(|(pointer, _)| pointer.clone()).unwrap_or_default()
    }

    /// Where the values of the keys stand that `is_meant` names.
    pub(crate) fn extents_of(
        &self,
        is_meant: impl Fn(&str) -> bool,
    ) -> impl Iterator<Item = Extent> {
        let meant = move |pointer: &str| is_meant(&json::last_key(pointer));
        let values = self.index.values.iter().filter(move |(pointer, _)| meant(pointer));
        values.map(|(_, (extent, _))| *extent)
    }
}

fn non_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
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

    pub(crate) fn is_whole(&self) -> bool {
        self.whole
    }

    /// The pointer, with the file's name where it is not the job's.
    pub(crate) fn place(&self) -> String {
        format!("{}{}", self.document.index.prefix, self.pointer)
    }

    /// The file as the user named it.
    pub(crate) fn file(&self) -> &str {
        &self.document.index.name
    }

    pub(crate) fn fault(&self, code: &str, message: impl Into<String>) -> Fault {
        let index = &self.document.index;
        let mut fault = Fault::user(code, message);
        fault.place = non_empty(self.place());
        fault.line = Some((index.name.clone(), index.line(&self.pointer).unwrap_or(1)));
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
            let fault = spot.fault("spec.required", format!("\"{key}\" is missing"));
            notes
                .faults
                .push(Fault { hint: crate::nearest::misspelled(key, members.keys()), ..fault });
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
        let fault =
            spot.key(key).fault("spec.unknown_key", format!("unknown key \"{key}\", ignored"));
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

    /// The document, where it was needed.
    pub(crate) fn parsed(&self) -> Option<Rc<Document>> {
        self.parsed.get()?.clone()
    }
}

/// Gives places of the documents that were read their lines, for faults that come later.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    documents: Vec<Arc<Index>>,
}

impl Lines {
    pub(crate) fn new(documents: impl IntoIterator<Item = Rc<Document>>) -> Self {
        let documents = documents.into_iter().map(|document| Arc::clone(&document.index));
        Self { documents: documents.collect() }
    }

    /// File and line of a place, or of the nearest value around it.
    pub fn of(&self, place: &str) -> Option<(String, u32)> {
        self.documents.iter().find_map(|document| {
            let pointer = place.strip_prefix(&document.prefix)?;
            Some((document.name.clone(), document.line(pointer)?))
        })
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

/// The line of a byte, from 1.
pub(crate) fn line(starts: &[usize], at: usize) -> u32 {
    starts.partition_point(|start| *start <= at).max(1) as u32
}

/// The column of a byte in characters, from 1.
fn column(text: &str, starts: &[usize], at: usize) -> u32 {
    let start = starts[line(starts, at) as usize - 1];
    text.get(start..at).unwrap_or_default().chars().count() as u32 + 1
}
