//! The attacks of the threat model by their numbers: each has a test named after it, or a reason why it
//! has none yet.

#![allow(clippy::unwrap_used, reason = "a test's helper that cannot go on must fail the test")]

use std::fs;
use std::path::Path;

/// Numbers without a test of their own.
const OPEN: [(u8, &str); 30] = [
    (4, "metric names do not exist yet; positions and tokens are bounded by t40_t41"),
    (5, "no HTTP is offered to plug-ins yet"),
    (6, "rows of a shared sink are its owner's to look at: a paragraph, no test"),
    (7, "no environment: a test of the environment's size; secrets are the step's own"),
    (8, "one user a process; stacks are zeroed by a setting of the engine"),
    (9, "one user a process: a paragraph, no test"),
    (13, "addresses are parsed once by the standard library; t11 judges the inner ones"),
    (14, "no HTTP is offered to plug-ins yet"),
    (15, "no HTTP is offered to plug-ins yet"),
    (17, "no HTTP is offered to plug-ins yet"),
    (18, "a grant names host and port, not the protocol"),
    (20, "descriptors are bounded for all instances together; no test opens thousands"),
    (21, "encryption is the plug-in's own"),
    (32, "no HTTP is offered to plug-ins yet"),
    (34, "measured by the soak tests"),
    (37, "bounded by the engine, which has its own tests"),
    (38, "bounded by the engine, which has its own tests"),
    (39, "frames are bounded by a setting of the engine, names by t41"),
    (42, "no pages yet"),
    (44, "marks are the host's own envelope; positions are opaque and belong to one run"),
    (45, "sums are judged by the engine, which has its own tests"),
    (46, "limits on dirty records are the engine's, which has its own tests"),
    (47, "quoting is the writer's; the PostgreSQL plug-in has its own tests"),
    (50, "no guest data is unwrapped: a lint; t40 mutates batches"),
    (51, "a process of its own for plug-ins comes with the service"),
    (52, "no index of plug-ins yet"),
    (54, "nested components are counted by t25, and get the grants of the whole"),
    (55, "a paragraph of the documentation, no test"),
    (56, "resources of a plug-in lie in its own store"),
    (58, "no quota is shared between runs yet"),
];
const LAST: u8 = 58;

fn tests_below(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            tests_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let names = text.split("fn t").skip(1).filter_map(|rest| rest.split('(').next());
            found.extend(names.map(|name| format!("t{name}")));
        }
    }
}

#[test]
fn every_attack_has_a_test_or_a_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut tests = Vec::new();
    for folder in ["host", "tests", "guest-plugins"] {
        tests_below(&root.join(folder), &mut tests);
    }
    for number in 1..=LAST {
        let word = format!("t{number:02}");
        let has_test = tests.iter().any(|name| name.split('_').any(|part| part == word));
        let is_open = OPEN.iter().any(|(open, _)| *open == number);
        assert!(has_test != is_open, "{word}: test {has_test}, open {is_open}");
    }
}
