//! What both kinds of documents say, before plug-ins are asked: one reader and one writer, each with a
//! type and parameters that remember where they stand.

use std::rc::Rc;

use domain::configuration::Side;
use domain::fault::Fault;
use domain::job::{Category, DocumentKind};
use serde_json::{Map, Value};

use crate::document::{Document, Notes, Spot};
use crate::{Moved, datax, json, script};

/// A key with its value; the spot is where the user wrote it, also after it moved.
#[derive(Clone, Debug)]
pub(crate) struct Property {
    pub(crate) name: String,
    pub(crate) value: Value,
    pub(crate) spot: Spot,
}

/// The members of an object whose parts may come from several places of a document.
#[derive(Clone, Debug)]
pub(crate) struct Properties {
    pub(crate) entries: Vec<Property>,
    /// Where a missing key would stand.
    pub(crate) spot: Spot,
}

impl Properties {
    pub(crate) fn new(spot: Spot) -> Self {
        Self { entries: Vec::new(), spot }
    }

    pub(crate) fn of(members: &Map<String, Value>, spot: &Spot) -> Self {
        let entries = members.iter().map(|(name, value)| Property {
            name: name.clone(),
            value: value.clone(),
            spot: spot.key(name),
        });
        Self { entries: entries.collect(), spot: spot.clone() }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Property> {
        self.entries.iter().find(|property| property.name == name)
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Property> {
        let index = self.entries.iter().position(|property| property.name == name)?;
        Some(self.entries.remove(index))
    }

    pub(crate) fn push(&mut self, name: &str, value: Value, spot: Spot) {
        self.entries.push(Property { name: name.to_owned(), value, spot });
    }

    /// The object itself.
    pub(crate) fn to_value(&self) -> Value {
        let members = self.entries.iter().map(|entry| (entry.name.clone(), entry.value.clone()));
        Value::Object(members.collect())
    }

    /// Takes over the values of an object that `to_value` gave and a check changed.
    pub(crate) fn update(&mut self, object: &Value) {
        self.entries.retain_mut(|entry| match object.get(&entry.name) {
            Some(value) => {
                entry.value = value.clone();
                true
            }
            None => false,
        });
    }

    /// Those that stand elsewhere than in the object, which the plug-in knows as `word`.
    pub(crate) fn moved(&self, word: &str) -> Vec<Moved> {
        let elsewhere =
            |property: &&Property| property.spot.place() != self.spot.key(&property.name).place();
        let moved = self.entries.iter().filter(elsewhere).map(|property| Moved {
            from: format!("/{word}{}", json::child("", &property.name)),
            to: property.spot.place(),
            whole: property.spot.is_whole(),
        });
        moved.collect()
    }

    /// The spot of a pointer that is relative to the object.
    pub(crate) fn spot_of(&self, pointer: &str) -> Spot {
        let rest = pointer.strip_prefix('/').unwrap_or(pointer);
        let (first, rest) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        match self.get(&json::last_key(first)) {
            Some(property) if !pointer.is_empty() => property.spot.below(rest),
            _ => self.spot.clone(),
        }
    }
}

/// One end of a job, as written.
#[derive(Clone, Debug)]
pub(crate) struct DraftStep {
    pub(crate) side: Side,
    pub(crate) name: String,
    pub(crate) type_name: String,
    pub(crate) type_spot: Spot,
    pub(crate) parameter: Properties,
    /// Its step has several sources, and what stands beside `connection` is for all of them.
    pub(crate) is_one_of_several: bool,
}

/// A step between the ends, as written.
#[derive(Debug)]
pub(crate) struct DraftTransformer {
    pub(crate) name: String,
    pub(crate) category: Category,
    pub(crate) type_name: String,
    pub(crate) type_spot: Spot,
    pub(crate) parameter: Properties,
    /// The step itself.
    pub(crate) spot: Spot,
}

#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) kind: DocumentKind,
    /// `None` where it is missing or wrong, which was told.
    pub(crate) reader: Option<DraftStep>,
    /// In the order in which records meet them.
    pub(crate) transformers: Vec<DraftTransformer>,
    pub(crate) writer: Option<DraftStep>,
}

/// Which kind a document is, by its shape.
pub(crate) fn kind(value: &Value) -> Option<DocumentKind> {
    if value.get("steps").is_some() || value.get("type").and_then(Value::as_str) == Some("job") {
        return Some(DocumentKind::Script);
    }
    value.get("job")?.get("content").map(|_| DocumentKind::DataX)
}

impl Draft {
    /// A draft of which nothing was read yet.
    pub(crate) fn new(kind: DocumentKind) -> Self {
        Self { kind, reader: None, transformers: Vec::new(), writer: None }
    }

    pub(crate) fn read(document: &Rc<Document>, notes: &mut Notes) -> Option<Self> {
        match kind(document.value()) {
            Some(DocumentKind::Script) => Some(script::read(document, notes)),
            Some(DocumentKind::DataX) => Some(datax::read(document, notes)),
            None => {
                notes.faults.push(shapeless(&document.root()));
                None
            }
        }
    }
}

fn shapeless(spot: &Spot) -> Fault {
    let message = "the document is no job: it has neither \"steps\" nor \"job.content\"";
    spot.fault("spec.shape", message).hint(
        "expected {\"type\": \"job\", \"version\": \"2.0\", \"steps\": […], \"setting\": {…}, \
         \"order\": {\"hops\": […]}} or {\"job\": {\"content\": [{\"reader\": {\"name\": …, \
         \"parameter\": {…}}, \"writer\": {…}}], \"setting\": {…}}}",
    )
}
