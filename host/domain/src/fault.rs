//! What went wrong, whose fault it is, and what to do about it.

use std::fmt;
use std::time::Duration;

/// The one error type that crosses borders: from plug-ins, through the engine, to people.
pub type Result<T, E = Fault> = std::result::Result<T, E>;

/// Whose fault it is decides who is told and with which exit code a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultDomain {
    /// The document, its parameters or the arguments.
    User,
    /// A server, the network, a file, a permission.
    External,
    /// The content that was moved.
    Data,
    /// A plug-in trapped, passed a limit or broke the contract.
    Plugin,
    /// A bug of the host.
    Internal,
}

impl FaultDomain {
    /// The stable word for JSON and the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::External => "external",
            Self::Data => "data",
            Self::Plugin => "plugin",
            Self::Internal => "internal",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        [Self::User, Self::External, Self::Data, Self::Plugin, Self::Internal]
            .into_iter()
            .find(|domain| domain.word() == word)
    }

    /// The exit code of a command that ends with such a fault.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::User => 2,
            Self::External => 3,
            Self::Data | Self::Plugin => 4,
        }
    }
}

/// Whether the same again may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    Never,
    /// After this long; zero leaves the wait to the host's backoff.
    After(Duration),
}

/// An error that says what, where, why, and what to do next.
///
/// Texts are lower case without a full stop; values stand in double quotes; no secrets, no rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    pub domain: FaultDomain,
    pub retry: Retry,
    /// Stable and dotted, such as `spec.unknown_plugin`. Part of the API.
    pub code: String,
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// Where: a JSON pointer into the document, once `spec` or the command line has made it one.
    pub place: Option<String>,
    /// A file of the user and a line in it, counted from 1.
    pub line: Option<(String, u32)>,
    /// Who was at work, from the inside out: `task 3 (orders-3.csv)`, `reader "file"`.
    pub context: Vec<String>,
}

impl Fault {
    pub fn new(domain: FaultDomain, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            domain,
            retry: Retry::Never,
            code: code.into(),
            message: message.into(),
            hint: None,
            place: None,
            line: None,
            context: Vec::new(),
        }
    }

    pub fn user(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FaultDomain::User, code, message)
    }

    pub fn external(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FaultDomain::External, code, message)
    }

    pub fn data(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FaultDomain::Data, code, message)
    }

    pub fn plugin(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FaultDomain::Plugin, code, message)
    }

    pub fn internal(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FaultDomain::Internal, code, message)
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }

    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry = Retry::After(wait);
        self
    }

    /// Adds who was at work, further out than what is there.
    pub fn within(mut self, who: impl Into<String>) -> Self {
        self.context.push(who.into());
        self
    }

    pub fn may_retry(&self) -> bool {
        self.retry != Retry::Never
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for who in self.context.iter().rev() {
            write!(f, "{who}: ")?;
        }
        write!(f, "{} [{}]", self.message, self.code)
    }
}

impl std::error::Error for Fault {}
