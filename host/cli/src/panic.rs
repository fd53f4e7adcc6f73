//! What a bug of the program looks like to its user.

use std::any::Any;

use domain::fault::Fault;
use tokio::task::JoinError;

use crate::terminal;

const FIX: &str = "this is a bug, please report it with the job document and the version";

/// Replaces the runtime's message by one that says what to do.
pub(crate) fn install() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(|at| format!(" at {}:{}", at.file(), at.line()));
        let (place, text) = (place.unwrap_or_default(), text(info.payload()));
        let version = env!("CARGO_PKG_VERSION");
        terminal::say_raw(&format!(
            "error: internal error{place}: {text} [internal.panic]\n  fix: {FIX} {version}\n"
        ));
    }));
}

/// What ended a task that shall never end so.
pub(crate) fn fault(error: JoinError) -> Fault {
    let text = match error.try_into_panic() {
        Ok(payload) => text(&*payload).to_owned(),
        Err(_) => "a task was cancelled".to_owned(),
    };
    Fault::internal("internal.panic", format!("internal error: {text}"))
        .hint(format!("{FIX} {}", env!("CARGO_PKG_VERSION")))
}

fn text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or(payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("panic")
}
