//! Takes out of a text what differs from run to run, so that it can be compared.

use std::borrow::Cow;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use crate::tree;

/// What is replaced, in this order.
static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        // Names of runs, before the digits in them are taken for something else.
        (r"\b\d{8}t\d{6}[0-9a-z]{5}\b", "[RUN]"),
        (r"\b[0-9a-f]{64}\b", "[DIGEST]"),
        (r"(127\.0\.0\.1|localhost):\d{4,5}\b", "$1:[PORT]"),
        (r#"\bport \d{5}\b"#, "port [PORT]"),
        (r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \(UTC\), business date \d{8}", "[CLOCK]"),
        (r#""(elapsed_ms|waited_reader_ms|waited_writer_ms|records_per_second)":\d+"#, "\"$1\":0"),
        (r"(?m)^(  elapsed ) .*$", "$1 [TIME]"),
        (r"(?m)^read .* records/s, .*\n", ""),
        (r"\bpid \d+\b", "pid [PID]"),
        // Places in sources move with every change of them.
        (r"\.rs:\d+:\d+\b", ".rs:[LINE]"),
    ]
    .map(|(pattern, with)| (Regex::new(pattern).unwrap(), with))
    .into()
});

/// The rules, and the folder of one test.
pub struct Normal {
    folder: String,
}

impl Normal {
    pub fn of(folder: &Path) -> Self {
        Self { folder: folder.display().to_string() }
    }

    pub fn apply(&self, text: &str) -> String {
        let text = text.replace(&self.folder, "[DIR]");
        let target = tree::target();
        let checkout = target.parent().unwrap_or(&target).display().to_string();
        let text = text.replace(&checkout, "[CHECKOUT]");
        RULES.iter().fold(text, |text, (pattern, with)| match pattern.replace_all(&text, *with) {
            Cow::Borrowed(_) => text,
            Cow::Owned(changed) => changed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_taken_out() {
        let text = "\
succeeded run 20251101t023045x7k2p
  elapsed   1.2 s, 200 records/s, 1.0 KiB/s
  granted   reader: tcp 127.0.0.1:54321 (named by /srv/x/work/job.json)
  clock     2026-11-23 01:51:43 (UTC), business date 20261122
{\"elapsed_ms\":12,\"records_read\":12}
";
        assert_eq!(
            Normal::of(Path::new("/srv/x")).apply(text),
            "\
succeeded run [RUN]
  elapsed  [TIME]
  granted   reader: tcp 127.0.0.1:[PORT] (named by [DIR]/work/job.json)
  clock     [CLOCK]
{\"elapsed_ms\":0,\"records_read\":12}
"
        );
    }
}
