//! Statements that a guest sends to its service, on their way to people who asked for them.

use std::sync::Arc;

use domain::Side;

use crate::secrets::Secrets;
use crate::stdio::Output;
use crate::text;

/// A statement at most, bytes; what is longer is cut.
const STATEMENT_BYTES_MAX: usize = 16 << 10;
/// Statements of one session that are passed on.
const STATEMENTS_MAX: u64 = 100_000;

/// A statement of a plug-in: without secrets, escaped but for line ends and tabs.
#[derive(Clone, Copy, Debug)]
pub struct Statement<'a> {
    pub plugin: &'a str,
    /// Of the session; `None` outside of sessions.
    pub side: Option<Side>,
    /// What it has in common with others that differ only in values.
    pub series: &'a str,
    pub text: &'a str,
}

/// Those of one session.
pub(crate) struct Statements {
    output: Arc<dyn Output>,
    plugin: String,
    side: Option<Side>,
    secrets: Secrets,
    left: u64,
}

impl Statements {
    pub(crate) fn new(
        output: Arc<dyn Output>,
        plugin: &str,
        side: Option<Side>,
        secrets: Secrets,
    ) -> Self {
        Self { output, plugin: plugin.to_owned(), side, secrets, left: STATEMENTS_MAX }
    }

    /// Passes one on, unless nobody asked for it.
    pub(crate) fn tell(&mut self, text: &str, series: Option<&str>) {
        if self.left == 0 || !self.output.takes_statements() {
            return;
        }
        self.left -= 1;
        let shown = self.clean(text);
        let series = series.map_or_else(|| shown.clone(), |series| self.clean(series));
        let (plugin, side) = (self.plugin.as_str(), self.side);
        self.output.statement(Statement { plugin, side, series: &series, text: &shown });
    }

    fn clean(&self, text: &str) -> String {
        let mut clean = text::printable(&self.secrets.blank(text));
        if clean.len() > STATEMENT_BYTES_MAX {
            clean.truncate(clean.floor_char_boundary(STATEMENT_BYTES_MAX));
            clean.push('…');
        }
        clean
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Kept(Mutex<Vec<(String, String)>>);

    impl Output for Kept {
        fn write(&self, _text: &str) {}

        fn takes_statements(&self) -> bool {
            true
        }

        fn statement(&self, statement: Statement<'_>) {
            self.0.lock().unwrap().push((statement.series.into(), statement.text.into()));
        }
    }

    #[test]
    fn t03_statements_show_no_secret_and_are_bounded() {
        let kept = Arc::new(Kept::default());
        let secrets = Secrets::from_texts(&["canary-bird"]);
        let mut statements = Statements::new(kept.clone(), "x", None, secrets);
        statements.tell("SET key = 'canary-bird'\n\u{1b}[2J", None);
        statements.tell(&"canary-bird ".repeat(5000), Some("series"));
        let told = kept.0.lock().unwrap();
        assert_eq!(told[0].1, "SET key = '***'\n\\u{1b}[2J");
        assert_eq!(told[0].0, told[0].1);
        assert_eq!(told[1].0, "series");
        assert!(told[1].1.len() <= STATEMENT_BYTES_MAX + '…'.len_utf8());
        assert!(!told[1].1.contains("can"), "it was cut before it was blanked");
    }
}
