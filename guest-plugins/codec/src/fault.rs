//! What a codec says when it can't go on.

use std::fmt;

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// The job asks for what the format does not have.
    User,
    /// The service that the bytes come from is to blame.
    External,
    /// The bytes are not what they should be.
    Data,
    /// The caller's options or columns are wrong.
    Plugin,
}

/// A codec can't go on, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub domain: Domain,
    /// Stable and dotted, such as `format.type`.
    pub code: &'static str,
    pub message: String,
    pub hint: Option<&'static str>,
}

pub type Result<T, E = Fault> = std::result::Result<T, E>;

impl Fault {
    pub fn user(code: &'static str, message: impl Into<String>) -> Self {
        Self { domain: Domain::User, code, message: message.into(), hint: None }
    }

    pub fn external(code: &'static str, message: impl Into<String>) -> Self {
        Self { domain: Domain::External, code, message: message.into(), hint: None }
    }

    pub fn data(code: &'static str, message: impl Into<String>) -> Self {
        Self { domain: Domain::Data, code, message: message.into(), hint: None }
    }

    pub fn plugin(code: &'static str, message: impl Into<String>) -> Self {
        Self { domain: Domain::Plugin, code, message: message.into(), hint: None }
    }

    #[must_use]
    pub fn hint(self, hint: &'static str) -> Self {
        Self { hint: Some(hint), ..self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}
