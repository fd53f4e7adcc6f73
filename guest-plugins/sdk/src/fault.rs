//! Constructors of faults.
//!
//! Texts are lower case without a full stop, values in double quotes, no secrets and no row values.

use crate::{Fault, FaultDomain};

impl Fault {
    pub fn new(domain: FaultDomain, code: &str, message: impl Into<String>) -> Self {
        Self {
            domain,
            retry_after_ms: None,
            code: code.to_owned(),
            message: message.into(),
            hint: None,
            place: None,
        }
    }

    /// The job's document is to blame.
    pub fn user(code: &str, message: impl Into<String>) -> Self {
        Self::new(FaultDomain::User, code, message)
    }

    /// A server, the network, a file or a permission is to blame.
    pub fn external(code: &str, message: impl Into<String>) -> Self {
        Self::new(FaultDomain::External, code, message)
    }

    /// The content that is moved is to blame.
    pub fn data(code: &str, message: impl Into<String>) -> Self {
        Self::new(FaultDomain::Data, code, message)
    }

    /// This plug-in is to blame.
    pub fn plugin(code: &str, message: impl Into<String>) -> Self {
        Self::new(FaultDomain::Plugin, code, message)
    }

    /// What to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// JSON pointer into `/connection` or `/parameter`.
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }

    /// The same again may succeed after `ms` milliseconds; 0 leaves the wait to the host.
    pub fn retry_after(mut self, ms: u64) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }
}
