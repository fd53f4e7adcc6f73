//! What a plug-in says about itself.

use crate::fault::Fault;
use crate::grant::Requirement;

/// The answer of `describe`; cached by the component's digest.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    pub name: String,
    pub version: String,
    pub summary: String,
    pub types: Vec<SourceType>,
    pub metadata: Vec<(String, String)>,
}

impl Description {
    /// The type that `name` (its own name or an alias, any case) means.
    pub fn source_type(&self, name: &str) -> Option<&SourceType> {
        self.types.iter().find(|kind| {
            kind.name.eq_ignore_ascii_case(name)
                || kind.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
        })
    }
}

/// One data source type (`stepType`) that a plug-in serves.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceType {
    pub name: String,
    pub aliases: Vec<String>,
    pub title: String,
    pub family: String,
    /// JSON Schema 2020-12 of the connection properties; secrets are `"writeOnly": true`.
    pub connection_schema: String,
    pub reader: Option<Role>,
    pub transformer: Option<Role>,
    pub writer: Option<Role>,
    /// Places of the service itself, accepted when the plug-in is installed.
    pub places: Vec<Requirement>,
}

/// What a type can do on one side.
#[derive(Clone, Debug, PartialEq)]
pub struct Role {
    /// JSON Schema 2020-12 of `parameter`.
    pub parameter_schema: String,
    pub features: Vec<String>,
}

impl Role {
    /// The feature of a transformer that may make several rows of one.
    const FLATMAP: &str = "flatmap";

    pub fn makes_several(&self) -> bool {
        self.features.iter().any(|feature| feature == Self::FLATMAP)
    }
}

/// One step of `check`: `resolve`, `connect`, `authenticate`, …
#[derive(Clone, Debug, PartialEq)]
pub struct CheckStep {
    pub name: String,
    pub fault: Option<Fault>,
}

/// Something that lies under a path of a data source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub path: Vec<String>,
    pub is_dataset: bool,
}
