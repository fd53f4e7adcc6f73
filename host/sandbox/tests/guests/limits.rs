//! Each limit, set low and run into: what ends, or is dropped, and how people hear of it.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use domain::Side;
use domain::grant::Access;
use domain::port::{Reader as _, Source as _};
use sandbox::{Component, Limits, Reach};

use crate::listening::heard;
use crate::play::{Beside, Case, all, read};
use crate::setup::{Printed, faulty, folder, guest_within, sandbox, tcp, tight};

/// Where each limit is run into.
const TESTS: [(&str, &str); 19] = [
    ("component", "t36_a_large_component_is_refused_by_its_size"),
    ("memory", "t35_t24_crashes_and_bombs_end_their_session_alone"),
    ("short-call", "t26_sleepers_end_by_the_clock"),
    ("long-call", "t26_sleepers_end_by_the_clock"),
    ("run-call", "t26_sleepers_end_by_the_clock"),
    ("cpu-call", "t26_t27_endless_loops_end_by_processor_time"),
    ("cpu-session", "t26_work_adds_up_over_a_session"),
    ("log-lines", "t28_lines_of_log_beyond_the_limit_are_counted"),
    ("log-bytes", "t28_bytes_of_log_beyond_the_limit_are_counted"),
    ("output", "t28_output_beyond_the_limit_is_counted"),
    ("message", "t29_what_a_call_hands_over_is_bounded"),
    ("batch-rows", "a_batch_is_bounded"),
    ("batch-bytes", "a_batch_is_bounded"),
    ("position", "t40_t41_lies_are_refused"),
    ("token", "t40_t41_lies_are_refused"),
    ("handles", "t24_handles_are_bounded"),
    ("name-lookup", "a_lookup_that_takes_too_long_is_told"),
    ("instances", "instances_beyond_the_limit_wait_and_are_refused"),
    ("no-progress", "a_source_that_gives_nothing_is_named"),
];

fn sources(folder: &Path) -> String {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let text = |path: std::path::PathBuf| match path.is_dir() {
        true => sources(&path),
        false => fs::read_to_string(path).unwrap(),
    };
    paths.map(text).collect()
}

#[test]
fn every_limit_has_a_test() {
    let limits: Vec<_> = Limits::table().iter().map(|row| row.name).collect();
    assert_eq!(TESTS.map(|(limit, _)| limit).to_vec(), limits);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let e2e = root.join("../../tests/e2e");
    let sources =
        [root.join("src"), root.join("tests"), e2e].map(|folder| sources(&folder)).concat();
    for (limit, test) in TESTS {
        assert!(sources.contains(&format!("fn {test}()")), "{limit}: no test {test}");
    }
}

#[tokio::test]
async fn t26_work_adds_up_over_a_session() {
    let limits = Limits { cpu_session: Duration::from_millis(500), ..Limits::default() };
    let (component, _) = guest_within("faulty", limits).await;
    let script = r#"{"call": "tend", "act": "work", "nth": 0}"#;
    let source = component.source(faulty(Side::Reader, script), Reach::none());
    let mut reader = source.connect().await.unwrap();
    // One call is far from the limit.
    reader.tend().await.unwrap();
    let fault = loop {
        match reader.tend().await {
            Ok(_) => {}
            Err(fault) => break fault,
        }
    };
    assert_eq!(fault.code, "plugin.limit.cpu_session", "{fault}");
    assert!(fault.message.contains("\"tend\": 500ms"), "{fault}");
    assert!(fault.hint.unwrap().contains("--limit cpu-session=VALUE (now 500ms)"));
}

#[tokio::test]
async fn t24_handles_are_bounded() {
    let limits = Limits { handles: 100, ..Limits::default() };
    let (component, _) = guest_within("faulty", limits).await;
    let case = |act, more, code| Case { side: Side::Reader, call: "next", act, more, code };
    let few = case("handles", r#", "amount": 50"#, "faulty.reached");
    all(&component, vec![few, case("handles", "", "plugin.limit.handles")]).await;

    let base = tempfile::tempdir().unwrap();
    fs::create_dir(base.path().join("in")).unwrap();
    fs::write(base.path().join("in/a.csv"), "a").unwrap();
    let connect = async |amount: u64| {
        let parameter = format!(
            r#"{{"call": "connect", "act": "files", "target": "in/a.csv", "amount": {amount}}}"#
        );
        let reach = folder(base.path(), "in", Access::Read);
        let source = component.source(faulty(Side::Reader, &parameter), reach);
        source.connect().await.err().unwrap()
    };
    assert_eq!(connect(50).await.code, "faulty.reached");
    let fault = connect(1000).await;
    assert_eq!(fault.code, "plugin.limit.handles", "{fault}");
    assert!(fault.hint.unwrap().contains("--limit handles=VALUE (now 100)"));
}

#[tokio::test]
async fn instances_beyond_the_limit_wait_and_are_refused() {
    let limits = Limits { instances: 4, ..tight() };
    let (component, _) = guest_within("faulty", limits).await;
    let mut beside = Beside::start(&component).await;
    let source = component.source(faulty(Side::Reader, "{}"), Reach::none());
    let mut held = Vec::new();
    for _ in 1..4 {
        held.push(source.connect().await.unwrap());
    }
    let fault = source.connect().await.err().unwrap();
    assert_eq!(fault.code, "plugin.limit.instances", "{fault}");
    assert!(fault.message.contains("instances side by side"), "{fault}");
    assert!(fault.hint.unwrap().contains("--limit instances=VALUE (now 4)"));
    beside.go_on().await;
    held.pop();
    source.connect().await.unwrap();
}

/// Loads `faulty` and plays one script, and answers what was told about it.
fn told(limits: Limits, parameter: &str) -> (Vec<String>, Arc<Printed>) {
    let (sandbox, printed) = sandbox(limits);
    let lines = heard(async move {
        let component = sandbox.load(testkit::guest::component("faulty"), "faulty").await.unwrap();
        read(&component, parameter).await.unwrap();
    });
    (lines, printed)
}

/// How many lines hold `word`.
fn count(lines: &[String], word: &str) -> usize {
    lines.iter().filter(|line| line.contains(word)).count()
}

/// The number before `word`, in the one line that has it.
fn number(lines: &[String], word: &str) -> usize {
    assert_eq!(count(lines, word), 1, "{lines:?}");
    let line = lines.iter().find(|line| line.contains(word)).unwrap();
    let before = line.split(word).next().unwrap();
    let digits = before.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap();
    digits.parse().unwrap()
}

#[test]
fn t28_lines_of_log_beyond_the_limit_are_counted() {
    let limits = Limits { log_lines: 5, ..Limits::default() };
    let flood = r#"{"call": "next", "act": "log-flood", "amount": 100}"#;
    let (lines, _) = told(limits, flood);
    assert_eq!(count(&lines, "of a flood"), 5, "{lines:?}");
    let why = "further lines of its log are dropped: the limit is 5, --limit log-lines=VALUE";
    assert_eq!(count(&lines, why), 1, "{lines:?}");
    assert_eq!(number(&lines, " lines of its log were dropped"), 95);
}

#[test]
fn t28_bytes_of_log_beyond_the_limit_are_counted() {
    let limits = Limits { log_bytes: 1024, ..Limits::default() };
    // Standard error goes to the same log.
    for act in ["log-flood", "stderr-flood"] {
        let flood = format!(r#"{{"call": "next", "act": "{act}", "amount": 100}}"#);
        let (lines, _) = told(limits.clone(), &flood);
        let kept = count(&lines, "of a flood");
        assert!((1..1024 / 50).contains(&kept), "{lines:?}");
        let why =
            "further lines of its log are dropped: the limit is 1KiB, --limit log-bytes=VALUE";
        assert_eq!(count(&lines, why), 1, "{lines:?}");
        assert_eq!(number(&lines, " lines of its log were dropped"), 100 - kept);
    }
}

#[test]
fn t28_output_beyond_the_limit_is_counted() {
    let flood = r#"{"call": "next", "act": "stdout-flood", "amount": 100}"#;
    let (lines, printed) = told(Limits::default(), flood);
    assert_eq!(count(&lines, "standard output"), 0, "{lines:?}");
    let all = printed.text();
    let limits = Limits { output_bytes: 1024, ..Limits::default() };
    let (lines, printed) = told(limits, flood);
    let kept = printed.text();
    assert!(all.starts_with(&kept) && (1..=1024).contains(&kept.len()));
    let why = "the rest of its standard output is dropped: the limit is 1KiB, --limit output=VALUE";
    assert_eq!(count(&lines, why), 1, "{lines:?}");
    let dropped = number(&lines, " bytes of its standard output were dropped");
    assert_eq!(kept.len() + dropped, all.len());
}

#[test]
fn a_lookup_that_takes_too_long_is_told() {
    let limits = Limits { name_lookup: Duration::from_millis(10), ..Limits::default() };
    let (sandbox, _) = sandbox(limits);
    let lookup = async |component: &Component| {
        let parameter = r#"{"call": "connect", "act": "resolve", "target": "localhost"}"#;
        let source = component.source(faulty(Side::Reader, parameter), tcp("localhost", 1));
        source.connect().await.err().unwrap()
    };
    let lines = heard(async move {
        let component = sandbox.load(testkit::guest::component("faulty"), "faulty").await.unwrap();
        // Names are looked up where work may block, and its only thread is taken.
        let (release, held) = std::sync::mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || held.recv());
        let fault = lookup(&component).await;
        assert_eq!(fault.code, "faulty.refused", "{fault}");
        drop(release);
    });
    let why =
        "looking up \"localhost\" took too long: the limit is 10ms, --limit name-lookup=VALUE";
    assert_eq!(count(&lines, why), 1, "{lines:?}");
}
