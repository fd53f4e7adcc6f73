//! Standard error, shared between messages, log lines and progress bars that redraw themselves.

use std::io::{self, Write};
use std::sync::OnceLock;

use indicatif::MultiProgress;

static BARS: OnceLock<MultiProgress> = OnceLock::new();

/// The bars of this process, above which everything else is written.
pub(crate) fn bars() -> &'static MultiProgress {
    BARS.get_or_init(MultiProgress::new)
}

/// Writes to standard error. That it may be closed is no reason to fail.
pub(crate) fn say(text: &str) {
    let write = || {
        // Nobody is left to be told.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    };
    match BARS.get() {
        Some(bars) => bars.suspend(write),
        None => write(),
    }
}

/// A writer for log lines, each written at once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LogLines;

impl Write for LogLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        say(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
