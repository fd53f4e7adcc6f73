//! What a guest prints: standard output is data for people, standard error and the log go to the log.
//! Everything is escaped and bounded; beyond a bound a stream goes on and drops.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::limits::{self, Limits};
use crate::secrets::Secrets;
use crate::statements::Statement;
use crate::text;

/// Where a guest's standard output goes, and the statements that it sends to its service.
pub trait Output: Send + Sync + 'static {
    /// Takes some text: escaped but for line ends and tabs, in the order the guest wrote it.
    fn write(&self, text: &str);

    /// Whether anybody asked for statements.
    fn takes_statements(&self) -> bool {
        false
    }

    fn statement(&self, _statement: Statement<'_>) {}
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
/// A line of standard error that is kept until its end, bytes; more is shown of none.
const LINE_BYTES_MAX: usize = 4 * text::MESSAGE_BYTES_MAX;
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
    /// What to say of the limits on lines and on bytes.
    hints: [String; 2],
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
            hints: ["log-lines", "log-bytes"].map(|name| limits::how_to_raise(limits, name)),
        }
    }

    /// Writes one line, or drops it beyond the limits.
    pub(crate) fn line(&mut self, level: Level, message: &str) {
        let line = text::harmless(&self.secrets.blank(message), text::MESSAGE_BYTES_MAX);
        if self.lines_left == 0 || self.bytes_left < line.len() as u64 {
            if self.dropped == 0 {
                let limit = if self.lines_left == 0 { "log-lines" } else { "log-bytes" };
                let hint = &self.hints[usize::from(limit == "log-bytes")];
                tracing::warn!(plugin = %self.plugin, "further lines of its log are dropped: {hint}");
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

impl Drop for Log {
    fn drop(&mut self) {
        if self.dropped > 0 {
            tracing::warn!(plugin = %self.plugin, "{} lines of its log were dropped", self.dropped);
        }
    }
}

/// Standard error: lines for the log, and the newest bytes for the message of a trap.
#[derive(Debug)]
pub(crate) struct Stderr {
    log: Arc<Mutex<Log>>,
    secrets: Secrets,
    line: Vec<u8>,
    tail: VecDeque<u8>,
}

impl Stderr {
    pub(crate) fn new(log: Arc<Mutex<Log>>, secrets: Secrets) -> Self {
        Self { log, secrets, line: Vec::new(), tail: VecDeque::new() }
    }

    /// Bytes of the tail: what is shown, and before it the longest secret that it may begin within.
    fn tail_bytes(&self) -> usize {
        TAIL_BYTES + self.secrets.longest()
    }

    /// Forgets what earlier calls wrote.
    pub(crate) fn new_call(&mut self) {
        self.tail.clear();
    }

    /// What the guest said about its end: its panic, or its last lines; without secrets.
    pub(crate) fn last_words(&self) -> Option<String> {
        let bytes: Vec<u8> = self.tail.iter().copied().collect();
        let said = String::from_utf8_lossy(&bytes);
        let said = self.secrets.blank(&said);
        // What is left of a secret that began before the tail stands at its beginning.
        let cut = if bytes.len() < self.tail_bytes() { 0 } else { self.secrets.longest() };
        let said = &said[said.ceil_char_boundary(cut.min(said.len()))..];
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
        let newest = &bytes[bytes.len().saturating_sub(self.tail_bytes())..];
        self.tail.extend(newest);
        let too_many = self.tail.len().saturating_sub(self.tail_bytes());
        self.tail.drain(..too_many);
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE_BYTES_MAX.saturating_sub(self.line.len());
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                let line = String::from_utf8_lossy(&line);
                let line = self.secrets.blank_cut(&line);
                let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
                log.line(Level::Debug, &line);
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
    /// What is dropped at the limit, bytes.
    dropped: u64,
    /// What to say of the limit.
    hint: String,
    /// The beginning of a character, or of a secret, that came in two writes.
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
        let hint = limits::how_to_raise(limits, "output");
        Self { output, plugin, secrets, left, dropped: 0, hint, begun: Vec::new() }
    }

    fn take(&mut self, bytes: &[u8]) {
        if self.dropped > 0 || bytes.len() as u64 > self.left {
            if self.dropped == 0 {
                tracing::warn!(plugin = %self.plugin, "the rest of its standard output is dropped: {}", self.hint);
            }
            self.dropped += bytes.len() as u64;
            return;
        }
        self.left -= bytes.len() as u64;
        let mut all = std::mem::take(&mut self.begun);
        all.extend_from_slice(bytes);
        let keep = unfinished(&all).max(self.secrets.begun(&all));
        self.begun = all.split_off(all.len() - keep);
        self.say(&all);
    }

    fn say(&self, bytes: &[u8]) {
        let said = String::from_utf8_lossy(bytes);
        self.output.write(&text::printable(&self.secrets.blank(&said)));
    }
}

impl Drop for Stdout {
    fn drop(&mut self) {
        if !self.begun.is_empty() {
            self.say(&self.begun);
        }
        if self.dropped > 0 {
            tracing::warn!(plugin = %self.plugin, "{} bytes of its standard output were dropped", self.dropped);
        }
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
        stderr_with(limits, Secrets::default())
    }

    fn stderr_with(limits: &Limits, secrets: Secrets) -> Stderr {
        let log = Arc::new(Mutex::new(Log::new("x", secrets.clone(), limits)));
        Stderr::new(log, secrets)
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
    fn t03_a_secret_in_two_writes_or_cut_stays_out() {
        let secret = "canary-bird";
        let kept = Arc::new(Kept::default());
        let secrets = || Secrets::from_texts(&[secret]);
        let mut out = Stdout::new(kept.clone(), "x", secrets(), &Limits::default());
        for byte in "a canary-bird, a canary".bytes() {
            out.take(&[byte]);
        }
        assert_eq!(*kept.0.lock().unwrap(), "a ***, a ");
        drop(out);
        assert_eq!(*kept.0.lock().unwrap(), "a ***, a canary");

        // Wherever the tail begins, and wherever a line is cut.
        for length in 0..40 {
            let mut err = stderr_with(&Limits::default(), secrets());
            let begin = "x".repeat(200);
            err.take(begin.as_bytes());
            err.take(secret.as_bytes());
            err.take("y".repeat(TAIL_BYTES - 20 + length).as_bytes());
            let tail: Vec<u8> = err.tail.iter().copied().collect();
            assert!(tail.len() <= err.tail_bytes());
            let words = err.last_words().unwrap();
            assert!(!words.contains('b') && !words.contains('d'), "{length}: {words}");
            let mut err = stderr_with(&Limits::default(), secrets());
            err.take(format!("{}{secret}", "x".repeat(280 + length)).as_bytes());
            let words = err.last_words().unwrap();
            assert!(!words.contains('c'), "{length}: {words}");
        }
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
