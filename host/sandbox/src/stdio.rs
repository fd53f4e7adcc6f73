//! What a guest prints: standard output is data for people, standard error and the log go to the log.
//! Everything is escaped and bounded; beyond a bound a stream goes on and drops.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::limits::Limits;
use crate::secrets::Secrets;
use crate::text;

/// Where a guest's standard output goes.
pub trait Output: Send + Sync + 'static {
    /// Takes some text: escaped but for line ends and tabs, in the order the guest wrote it.
    fn write(&self, text: &str);
}

/// An output that keeps nothing.
pub struct Discard;

impl Output for Discard {
    fn write(&self, _text: &str) {}
}

/// The end of standard error that is kept for the message of a trap, bytes.
const TAIL_BYTES: usize = 4 << 10;
/// Lines of a panic that a fault shows, and bytes of each.
const PANIC_LINES: usize = 3;
const PANIC_LINE_BYTES: usize = 300;
/// A guest may write this much at a time, bytes.
const PERMIT: usize = 64 << 10;

/// The log of one session: lines of the log, and of standard error.
#[derive(Debug)]
pub(crate) struct Log {
    plugin: String,
    secrets: Secrets,
    lines_left: u64,
    bytes_left: u64,
    dropped: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

impl Log {
    pub(crate) fn new(plugin: &str, secrets: Secrets, limits: &Limits) -> Self {
        Self {
            plugin: plugin.to_owned(),
            secrets,
            lines_left: limits.log_lines,
            bytes_left: limits.log_bytes,
            dropped: 0,
        }
    }

    /// Writes one line, or drops it beyond the limits.
    pub(crate) fn line(&mut self, level: Level, message: &str) {
        let line = text::harmless(&self.secrets.blank(message), text::MESSAGE_BYTES_MAX);
        if self.lines_left == 0 || self.bytes_left < line.len() as u64 {
            if self.dropped == 0 {
                tracing::warn!(plugin = %self.plugin, "further lines of its log are dropped: limits log-lines, log-bytes");
            }
            self.dropped += 1;
            return;
        }
        self.lines_left -= 1;
        self.bytes_left -= line.len() as u64;
        let plugin = self.plugin.as_str();
        match level {
            Level::Error => tracing::error!(target: "plugin", plugin, "{line}"),
            Level::Warn => tracing::warn!(target: "plugin", plugin, "{line}"),
            Level::Info => tracing::info!(target: "plugin", plugin, "{line}"),
            Level::Debug => tracing::debug!(target: "plugin", plugin, "{line}"),
        }
    }
}

/// Standard error: lines for the log, and the newest bytes for the message of a trap.
#[derive(Debug)]
pub(crate) struct Stderr {
    log: Arc<Mutex<Log>>,
    line: Vec<u8>,
    tail: VecDeque<u8>,
}

impl Stderr {
    pub(crate) fn new(log: Arc<Mutex<Log>>) -> Self {
        Self { log, line: Vec::new(), tail: VecDeque::new() }
    }

    /// Forgets what earlier calls wrote.
    pub(crate) fn new_call(&mut self) {
        self.tail.clear();
    }

    /// What the guest said about its end: its panic, or its last lines.
    pub(crate) fn last_words(&self) -> Option<String> {
        let bytes: Vec<u8> = self.tail.iter().copied().collect();
        let said = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
        let from = lines
            .iter()
            .rposition(|line| line.contains("panicked at"))
            .unwrap_or(lines.len().saturating_sub(PANIC_LINES));
        let words: Vec<String> = lines[from..]
            .iter()
            .take(PANIC_LINES)
            .map(|line| text::harmless(line, PANIC_LINE_BYTES))
            .collect();
        (!words.is_empty()).then(|| words.join(" / "))
    }

    fn take(&mut self, bytes: &[u8]) {
        let newest = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
        self.tail.extend(newest);
        let too_many = self.tail.len().saturating_sub(TAIL_BYTES);
        self.tail.drain(..too_many);
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = text::MESSAGE_BYTES_MAX.saturating_sub(self.line.len());
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
                log.line(Level::Debug, &String::from_utf8_lossy(&line));
            }
        }
    }
}

/// Standard output: text for people.
pub(crate) struct Stdout {
    output: Arc<dyn Output>,
    plugin: String,
    secrets: Secrets,
    left: u64,
    /// The beginning of a character that came in two writes.
    begun: Vec<u8>,
}

impl Stdout {
    pub(crate) fn new(
        output: Arc<dyn Output>,
        plugin: &str,
        secrets: Secrets,
        limits: &Limits,
    ) -> Self {
        let (plugin, left) = (plugin.to_owned(), limits.output_bytes);
        Self { output, plugin, secrets, left, begun: Vec::new() }
    }

    fn take(&mut self, bytes: &[u8]) {
        if self.left == 0 {
            return;
        }
        if bytes.len() as u64 > self.left {
            tracing::warn!(plugin = %self.plugin, "the rest of its standard output is dropped: limit output");
            self.left = 0;
            return;
        }
        self.left -= bytes.len() as u64;
        let mut all = std::mem::take(&mut self.begun);
        all.extend_from_slice(bytes);
        let keep = unfinished(&all);
        self.begun = all.split_off(all.len() - keep);
        let said = String::from_utf8_lossy(&all);
        self.output.write(&text::printable(&self.secrets.blank(&said)));
    }
}

/// How many bytes at the end are the beginning of a character.
fn unfinished(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => bytes.len() - error.valid_up_to(),
        _ => 0,
    }
}

/// One of the two as a stream of WASI. It always takes what comes.
pub(crate) enum Sink {
    Out(Arc<Mutex<Stdout>>),
    Err(Arc<Mutex<Stderr>>),
}

impl Sink {
    fn share(&self) -> Self {
        match self {
            Self::Out(out) => Self::Out(Arc::clone(out)),
            Self::Err(err) => Self::Err(Arc::clone(err)),
        }
    }
}

impl IsTerminal for Sink {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Sink {
    /// Only WASI 0.3 asks for this form, and it is not linked.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.share())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Sink {
    async fn ready(&mut self) {}
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Sink {
    fn write(&mut self, bytes: wasmtime_wasi_io::bytes::Bytes) -> StreamResult<()> {
        match self {
            Self::Out(out) => out.lock().unwrap_or_else(PoisonError::into_inner).take(&bytes),
            Self::Err(err) => err.lock().unwrap_or_else(PoisonError::into_inner).take(&bytes),
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Kept(Mutex<String>);

    impl Output for Kept {
        fn write(&self, text: &str) {
            self.0.lock().unwrap().push_str(text);
        }
    }

    fn stderr(limits: &Limits) -> Stderr {
        Stderr::new(Arc::new(Mutex::new(Log::new("x", Secrets::default(), limits))))
    }

    #[test]
    fn output_is_escaped_and_characters_stay_whole() {
        let kept = Arc::new(Kept::default());
        let mut out = Stdout::new(kept.clone(), "x", Secrets::default(), &Limits::default());
        for byte in "a\u{1b}é€\n".bytes() {
            out.take(&[byte]);
        }
        out.take(b"\xff.");
        assert_eq!(*kept.0.lock().unwrap(), "a\\u{1b}é€\n\u{fffd}.");
    }

    #[test]
    fn output_ends_at_its_limit() {
        let kept = Arc::new(Kept::default());
        let limits = Limits { output_bytes: 5, ..Limits::default() };
        let mut out = Stdout::new(kept.clone(), "x", Secrets::default(), &limits);
        out.take(b"12345");
        out.take(b"6");
        assert_eq!(*kept.0.lock().unwrap(), "12345");
    }

    #[test]
    fn t03_the_log_ends_at_its_limit() {
        let limits = Limits { log_lines: 3, log_bytes: 100, ..Limits::default() };
        let mut log = Log::new("x", Secrets::default(), &limits);
        for _ in 0..1_000 {
            log.line(Level::Info, "line");
        }
        assert_eq!((log.lines_left, log.bytes_left, log.dropped), (0, 88, 997));
    }

    #[test]
    fn the_last_words_are_the_panic() {
        let mut err = stderr(&Limits::default());
        err.take(b"loading\nthread 'main' panicked at src/lib.rs:1:2:\nindex out of bo");
        err.take(b"unds\n\x1b[0mnote: run with RUST_BACKTRACE\nmore\n");
        let words = err.last_words().unwrap();
        assert!(
            words.starts_with("thread 'main' panicked at src/lib.rs:1:2: / index out of bounds / ")
        );
        assert!(!words.contains('\u{1b}') && !words.contains("more"), "{words}");
        err.new_call();
        assert_eq!(err.last_words(), None);
        for _ in 0..100 {
            err.take(&[b'x'; 1000]);
        }
        assert_eq!(err.tail.len(), TAIL_BYTES);
    }
}
