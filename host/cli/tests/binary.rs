//! What only the program itself shows: its exit codes when nobody reads, and every byte of its books.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

const PRINTING: &str = r#"{"type": "job", "version": "2.0", "steps": [
  {"stepType": "stream", "category": "reader", "name": "R", "parameter": {"sliceRecordCount": 3, "column": [{"value": "x"}]}},
  {"stepType": "stream", "category": "writer", "name": "W", "parameter": {"print": true}}],
  "order": {"hops": [{"from": "R", "to": "W"}]}}"#;

/// Nothing listens on port 1.
const TO_NOBODY: &str = r#"{"type": "job", "version": "2.0", "steps": [
  {"stepType": "stream", "category": "reader", "name": "R", "parameter": {"sliceRecordCount": 1, "column": [{"value": "x"}]}},
  {"stepType": "postgresql", "category": "writer", "name": "W", "parameter": {
    "jdbcUrl": "jdbc:postgresql://127.0.0.1:1/d?user=u&password=${pw}", "table": "t", "column": ["*"]}}],
  "order": {"hops": [{"from": "R", "to": "W"}]}}"#;

/// A folder with a document `job.json`, and the program in it.
struct Place(TempDir);

impl Place {
    fn with(document: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("job.json"), document).unwrap();
        Self(folder)
    }

    fn airlock(&self, line: &str) -> Command {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_airlock"));
        command
            .args(line.split(' '))
            .current_dir(self.0.path())
            .env_clear()
            .env("HOME", self.0.path())
            .env("XDG_STATE_HOME", self.state())
            .env("XDG_CACHE_HOME", checkout.join("target/test-cache"));
        command
    }

    fn state(&self) -> PathBuf {
        self.0.path().join("state")
    }

    /// Whether any file of the books holds these bytes.
    fn books_hold(&self, text: &str) -> bool {
        let files = fs::read_dir(self.state().join("airlock")).into_iter().flatten().flatten();
        let holds = |bytes: Vec<u8>| bytes.windows(text.len()).any(|part| part == text.as_bytes());
        files.filter_map(|file| fs::read(file.path()).ok()).any(holds)
    }
}

#[test]
fn a_reader_that_went_away_changes_no_exit_code() {
    let broken = PRINTING.replace(": 3,", ": -3,");
    for (document, line, code) in [
        (PRINTING, "run job.json", 0),
        (PRINTING, "plan job.json -o json", 0),
        (broken.as_str(), "run job.json -o json", 2),
        (broken.as_str(), "validate job.json -o json", 2),
        (TO_NOBODY, "check job.json -p pw=x", 3),
    ] {
        let place = Place::with(document);
        let mut command = place.airlock(line);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(code), "{line}");
    }
}

#[test]
fn printed_rows_that_are_lost_fail_the_run() {
    let place = Place::with(PRINTING);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = place.airlock("run job.json").stdout(full).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("[output.write]"), "{stderr}");
}

#[test]
fn a_run_that_waits_for_its_reader_can_be_ended() {
    let place = Place::with(&PRINTING.replace(": 3,", ": 300000,"));
    let mut command = place.airlock("run job.json");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    // It prints, and nobody reads on.
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let interrupt = || {
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    };
    interrupt();
    let first = said.next().unwrap().unwrap();
    assert_eq!(first, "stopping; once more to end at once");
    interrupt();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_secret_parameter_within_a_url_is_in_no_book() {
    let place = Place::with(TO_NOBODY);
    let mut command = place.airlock("run job.json -p pw=marker-4Kd-never-kept");
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // It is recorded before it connects, and tries to connect for a while.
    while !place.books_hold("job.json") {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was recorded");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!place.books_hold("marker-4Kd-never-kept"));
}
