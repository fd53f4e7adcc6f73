//! Standard error, shared between messages, log lines and progress bars that redraw themselves.

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use indicatif::MultiProgress;

use crate::render::escape;

static BARS: OnceLock<MultiProgress> = OnceLock::new();

/// The bars of this process, above which everything else is written.
pub(crate) fn bars() -> &'static MultiProgress {
    BARS.get_or_init(MultiProgress::new)
}

/// Writes to standard error. That it may be closed is no reason to fail.
pub(crate) fn say(text: &str) {
    match BARS.get() {
        Some(bars) => bars.suspend(|| say_raw(text)),
        None => say_raw(text),
    }
}

/// The same without regard to bars, for a process that may be in any state.
pub(crate) fn say_raw(text: &str) {
    // Where it cannot be written nobody is left to be told.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Writes to standard output, between two drawings of the bars where both go to a terminal: what
/// waits for a slow reader shall hold up nothing else.
///
/// # Errors
/// Those of standard output. A reader that went away is content with what it has.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let write = || {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    };
    let written = match BARS.get() {
        Some(bars) if io::stdout().is_terminal() => bars.suspend(write),
        _ => write(),
    };
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// A writer for log lines, each written at once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LogLines;

impl Write for LogLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        say(&escape::lines(&String::from_utf8_lossy(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
