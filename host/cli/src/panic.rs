//! What a bug of the program looks like to its user.

use crate::terminal;

/// Replaces the runtime's message by one that says what to do.
pub(crate) fn install() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(|at| format!(" at {}:{}", at.file(), at.line()));
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or(payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("panic");
        terminal::say_raw(&format!(
            "error: internal error{}: {text} [internal.panic]\n  fix: this is a bug, please report it with the job document and the version {}\n",
            place.unwrap_or_default(),
            env!("CARGO_PKG_VERSION"),
        ));
    }));
}
