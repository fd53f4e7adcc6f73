//! Ctrl-C and the request to terminate: the first asks a run to stop, the second ends at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use domain::fault::{Fault, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};

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

    /// Asks a run to stop although no signal came.
    pub(crate) fn ask(&self) {
        self.asked.send_replace(true);
    }

    /// Takes note of a signal; says whether the process must end at once.
    fn came(&self, code: u8) -> bool {
        let first = self.code.swap(code, Ordering::Relaxed) == 0;
        let listened_to = self.is_listened_to();
        self.asked.send_replace(true);
        !(first && listened_to)
    }
}

/// Signals are heard on a thread of its own, so that they are heard whatever holds up the others,
/// such as a reader of standard output that does not read.
pub(crate) struct Signals {
    stop: Stop,
    ended: oneshot::Receiver<u8>,
}

impl Signals {
    /// From here on no signal is lost.
    ///
    /// # Errors
    /// `host.signals` where the system refuses.
    pub(crate) fn listen() -> Result<Self> {
        let refused =
            |error| Fault::internal("host.signals", format!("cannot listen to signals: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        let runtime = runtime.map_err(refused)?;
        let within = runtime.enter();
        let interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
        let terminate = signal(SignalKind::terminate()).map_err(refused)?;
        drop(within);
        let (end, ended) = oneshot::channel();
        let stop = Stop::new();
        let heard = hear(interrupt, terminate, stop.clone(), end);
        let thread = std::thread::Builder::new().name("signals".into());
        thread.spawn(move || runtime.block_on(heard)).map_err(refused)?;
        Ok(Self { stop, ended })
    }

    pub(crate) fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Waits until the process must end at once, and answers its exit code.
    pub(crate) async fn end_at_once(self) -> u8 {
        match self.ended.await {
            Ok(code) => code,
            // The thread never ends without a word; if it did, nobody could ask any more.
            Err(_) => std::future::pending().await,
        }
    }
}

async fn hear(mut interrupt: Signal, mut terminate: Signal, stop: Stop, end: oneshot::Sender<u8>) {
    loop {
        let code = tokio::select! {
            _ = interrupt.recv() => EXIT_INTERRUPTED,
            _ = terminate.recv() => EXIT_TERMINATED,
        };
        if stop.came(code) {
            // Nobody waits for it where the command has just ended by itself.
            let _ = end.send(code);
            return;
        }
        terminal::say_raw("stopping; once more to end at once\n");
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
