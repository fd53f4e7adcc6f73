//! Lines for the log of the run. Never rows, never secrets. Native tests have no host to write them to.

use crate::bindings::airlock::connector::log::{self, Level};

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

/// A statement that is about to be sent to the service; see the contract's `log.statement`.
pub fn statement(text: &str, series: Option<&str>) {
    if cfg!(target_arch = "wasm32") {
        log::statement(text, series);
    }
}

fn write(level: Level, message: &str) {
    if cfg!(target_arch = "wasm32") {
        log::write(level, message);
    }
}
