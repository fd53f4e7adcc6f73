//! Ctrl-C and the request to terminate: the first asks a run to stop, the second ends at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use domain::fault::{Fault, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::failure::{EXIT_INTERRUPTED, EXIT_TERMINATED};
use crate::terminal;

/// Whether somebody asked this process to stop.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    asked: Arc<watch::Sender<bool>>,
    /// The exit code that belongs to the signal; 0 before any.
    code: Arc<AtomicU8>,
}

impl Stop {
    fn new() -> Self {
        Self { asked: Arc::new(watch::Sender::new(false)), code: Arc::default() }
    }

    /// For a run that stops cleanly when it turns true. Where nobody holds one, the first signal
    /// ends the process.
    pub(crate) fn subscribe(&self) -> watch::Receiver<bool> {
        self.asked.subscribe()
    }

    /// The exit code of the signal that came, if one did.
    pub(crate) fn code(&self) -> Option<u8> {
        Some(self.code.load(Ordering::Relaxed)).filter(|code| *code != 0)
    }

    /// Whether a run is under way.
    pub(crate) fn is_listened_to(&self) -> bool {
        self.asked.receiver_count() > 0
    }

    /// Takes note of a signal; says whether the process must end at once.
    fn came(&self, code: u8) -> bool {
        let first = self.code.swap(code, Ordering::Relaxed) == 0;
        let listened_to = self.is_listened_to();
        self.asked.send_replace(true);
        !(first && listened_to)
    }
}

/// Signals that were asked for, before any can be lost.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    stop: Stop,
}

impl Signals {
    /// Must be called within the runtime.
    ///
    /// # Errors
    /// `host.signals` where the system refuses.
    pub(crate) fn listen() -> Result<Self> {
        let refused =
            |error| Fault::internal("host.signals", format!("cannot listen to signals: {error}"));
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(refused)?,
            terminate: signal(SignalKind::terminate()).map_err(refused)?,
            stop: Stop::new(),
        })
    }

    pub(crate) fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Waits until the process must end at once, and answers its exit code.
    pub(crate) async fn end_at_once(mut self) -> u8 {
        loop {
            let code = tokio::select! {
                _ = self.interrupt.recv() => EXIT_INTERRUPTED,
                _ = self.terminate.recv() => EXIT_TERMINATED,
            };
            if self.stop.came(code) {
                return code;
            }
            terminal::say("stopping; once more to end at once\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_signal_asks_the_second_ends() {
        let stop = Stop::new();
        let listener = stop.subscribe();
        assert_eq!(stop.code(), None);
        assert!(!stop.came(EXIT_INTERRUPTED));
        assert!(*listener.borrow());
        assert_eq!(stop.code(), Some(130));
        assert!(stop.came(EXIT_TERMINATED));
        assert_eq!(stop.code(), Some(143));
    }

    #[test]
    fn without_a_run_the_first_signal_ends() {
        assert!(Stop::new().came(EXIT_INTERRUPTED));
    }
}
