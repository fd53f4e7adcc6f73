//! What a step of a job hands to its plug-in.

use std::fmt;

/// Which side of a job a step stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    Reader,
    /// Between the two.
    Transformer,
    Writer,
}

impl Side {
    pub fn word(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Transformer => "transformer",
            Self::Writer => "writer",
        }
    }
}

/// A text that must never be shown: it has neither `Display` nor a telling `Debug` (invariant 8).
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one who must send it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A step's connection and parameters, as JSON documents that were checked against the plug-in's
/// schemas.
#[derive(Clone, Debug, PartialEq)]
pub struct Configuration {
    /// The plug-in's own name of the type, aliases resolved: `file`, `postgresql`.
    pub source_type: String,
    /// Whose step this is; a data source looked at by itself is a reader.
    pub side: Side,
    /// With secrets; for sessions only.
    pub connection: Secret,
    /// The same with secrets blanked (`""`); for `requirements`, the store and people.
    pub connection_blanked: String,
    /// With secrets, where the plug-in's schema has some among the parameters.
    pub parameter: String,
    /// The same with secrets blanked; for `requirements` and people.
    pub parameter_blanked: String,
}
