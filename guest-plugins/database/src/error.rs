//! What the server says went wrong, and what that means for a job.

use sdk::Fault;

/// What can go wrong in a conversation with a server.
#[derive(Debug)]
pub enum Error<S> {
    /// The server refused a statement; the connection goes on.
    Server(Box<S>),
    /// All else; the connection is of no more use.
    Fault(Fault),
}

/// An error in the words of a server.
pub trait Spoken {
    /// What it means for the job.
    fn fault(&self) -> Fault;
}

impl<S> From<Fault> for Error<S> {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl<S: Spoken> From<Error<S>> for Fault {
    fn from(error: Error<S>) -> Self {
        match error {
            Error::Server(error) => error.fault(),
            Error::Fault(fault) => fault,
        }
    }
}

impl<S: Spoken> Error<S> {
    /// Names where a statement of the user failed.
    pub fn at(self, place: &str) -> Self {
        match self {
            Self::Server(error) => Self::Fault(error.fault().at(place)),
            fault => fault,
        }
    }
}

/// Whose fault an error of the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The document.
    User,
    /// The server, and the same again fails again.
    Server,
    /// The server, for a while.
    Passing,
    /// The rows.
    Data,
}

/// What an error of the server means for a job.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub blame: Blame,
    pub code: &'static str,
    pub hint: Option<&'static str>,
}

impl Kind {
    pub fn new(blame: Blame, code: &'static str, hint: Option<&'static str>) -> Self {
        Self { blame, code, hint }
    }

    pub fn fault(&self, message: String) -> Fault {
        let fault = match self.blame {
            Blame::User => Fault::user(self.code, message),
            Blame::Server => Fault::external(self.code, message),
            Blame::Passing => Fault::external(self.code, message).retry_after(0),
            Blame::Data => Fault::data(self.code, message),
        };
        Fault { hint: self.hint.map(str::to_owned), ..fault }
    }
}

/// The words of a kind of server in faults.
#[derive(Clone, Copy, Debug)]
pub struct Vendor {
    /// The first part of its codes.
    pub code: &'static str,
    pub name: &'static str,
}

impl Vendor {
    /// A fault outside the job, whose code is `what` behind the vendor's own.
    pub fn external(&self, what: &str, message: impl Into<String>) -> Fault {
        Fault::external(&format!("{}.{what}", self.code), message)
    }

    /// A fault of the job, whose code is `what` behind the vendor's own.
    pub fn user(&self, what: &str, message: impl Into<String>) -> Fault {
        Fault::user(&format!("{}.{what}", self.code), message)
    }

    /// The server sent what the protocol doesn't have there.
    pub fn broken(&self, what: &str) -> Fault {
        let name = self.name;
        let message = format!("the server does not follow {name}'s protocol: {what}");
        self.external("protocol", message)
            .hint(format!("check that a {name} server listens on this port, and no other service or a proxy that speaks otherwise"))
    }

    /// The connection broke; everything not committed is undone, so it is safe to begin anew.
    pub fn lost(&self, why: impl std::fmt::Display) -> Fault {
        self.external("connection_lost", format!("the connection to the server is lost: {why}"))
            .hint("the server went away or the network broke; nothing half-done stays")
            .retry_after(0)
    }

    pub fn timed_out(&self) -> Fault {
        self.external("timed_out", "the server did not answer in time")
            .hint("the server is overloaded, waits for a lock, or the network drops packets")
            .retry_after(0)
    }

    /// The login failed in a way that the server has no word for.
    pub fn login_failed(&self, message: impl Into<String>) -> Fault {
        self.external("authentication_failed", message)
    }

    /// Rows that make no batch.
    pub(crate) fn broken_batch(&self, why: &str) -> Fault {
        Fault::plugin(&format!("{}.batch", self.code), why)
    }

    /// A stored split of another version of the plug-in.
    pub fn split_unreadable(&self) -> Fault {
        let code = format!("{}.split_unreadable", self.code);
        Fault::plugin(&code, "a stored split can't be read")
            .hint("the run was begun with another version of this plug-in; start a new run")
    }

    /// What a split is read from is not what was planned.
    pub fn table_changed(&self) -> Fault {
        self.external("table_changed", "the columns are not those of the plan any more")
            .hint("the table was altered since the run began; start a new run")
    }
}
