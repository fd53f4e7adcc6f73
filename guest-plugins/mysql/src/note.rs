//! Lines for the run's log; native tests have no host to write them to.

pub(crate) fn warn(message: &str) {
    if cfg!(target_arch = "wasm32") {
        sdk::log::warn(message);
    }
}

pub(crate) fn info(message: &str) {
    if cfg!(target_arch = "wasm32") {
        sdk::log::info(message);
    }
}

pub(crate) fn debug(message: &str) {
    if cfg!(target_arch = "wasm32") {
        sdk::log::debug(message);
    }
}

/// Those of one `series` differ only in values.
pub(crate) fn statement(text: &str, series: &str) {
    if cfg!(target_arch = "wasm32") {
        sdk::log::statement(text, Some(series));
    }
}
