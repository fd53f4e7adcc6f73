//! What is wrong with a file, or with what shall be one.

use std::fmt;
use std::io;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug)]
pub enum Error {
    /// The bytes are none of a whole ORC file.
    Corrupt(String),
    /// A part of the format that is not read or written here.
    Unsupported(String),
    /// A value does not fit the type in which its column is read.
    Precision(String),
    /// The values of one column in one batch take more than an array holds.
    TooLarge(String),
    /// Of the source.
    Io(io::Error),
}

impl Error {
    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt(what.into())
    }

    /// Names the place in front of what is wrong.
    pub(crate) fn at(self, place: impl fmt::Display) -> Self {
        match self {
            Self::Corrupt(what) => Self::Corrupt(format!("{place}: {what}")),
            Self::Unsupported(what) => Self::Unsupported(format!("{place}: {what}")),
            Self::Precision(what) => Self::Precision(format!("{place}: {what}")),
            Self::TooLarge(what) => Self::TooLarge(format!("{place}: {what}")),
            Self::Io(error) => Self::Io(error),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt(what)
            | Self::Unsupported(what)
            | Self::Precision(what)
            | Self::TooLarge(what) => f.write_str(what),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
