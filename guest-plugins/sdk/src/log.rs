//! Lines for the log of the run. Never rows, never secrets.

use crate::bindings::airlock::connector::log::{Level, write};

pub fn error(message: &str) {
    write(Level::Error, message);
}

pub fn warn(message: &str) {
    write(Level::Warn, message);
}

pub fn info(message: &str) {
    write(Level::Info, message);
}

pub fn debug(message: &str) {
    write(Level::Debug, message);
}
