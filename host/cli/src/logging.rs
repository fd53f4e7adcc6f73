//! The program's own log, on standard error. `AIRLOCK_LOG` filters it.

use tracing_subscriber::EnvFilter;

use crate::environment::Environment;
use crate::terminal::LogLines;

/// Warnings of our own crates, and nothing of others: what a user should know by default.
const FILTER: &str = "off,airlock=warn,cli=warn,domain=warn,engine=warn,sandbox=warn,spec=warn,store=warn,plugin=warn";

/// Starts the log; later calls change nothing.
pub(crate) fn start(environment: &Environment) {
    let named = environment.variable("AIRLOCK_LOG");
    let filter =
        EnvFilter::try_new(named.unwrap_or(FILTER)).unwrap_or_else(|_| EnvFilter::new(FILTER));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(LogLines::default)
        .with_ansi(false)
        .without_time()
        .finish();
    // A second subscriber is refused, which only tests that start twice can see.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
