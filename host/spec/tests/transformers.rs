//! DataX's transformers, as a job holds them.

use domain::job::{Action, Comparison, Condition, DigestAlgorithm, Job, PadSide, Transformer};
use serde_json::{Value, json};

#[allow(dead_code, reason = "the fixture serves other tests too")]
mod fixture;

fn job(transformer: Value) -> (Job, Vec<String>) {
    let reader = json!({"name": "streamreader",
        "parameter": {"sliceRecordCount": 1, "column": [{"value": "a", "type": "string"}]}});
    let writer = json!({"name": "streamwriter", "parameter": {}});
    let content = json!([{"reader": reader, "writer": writer, "transformer": transformer}]);
    let read = fixture::read(&json!({"job": {"content": content}}).to_string(), &[]);
    let read = read.unwrap_or_else(|refused| panic!("{}", fixture::render_all(&refused)));
    let warnings = read.warnings.iter().map(|fault| fault.to_string()).collect();
    (read.job, warnings)
}

#[test]
fn each_is_read_with_its_place() {
    let entry = |name: &str, column: Value, paras: Value| json!({"name": name, "parameter": {"columnIndex": column, "paras": paras}});
    let (job, warnings) = job(json!([
        entry("dx_substr", json!(0), json!(["2", 5])),
        entry("dx_pad", json!("1"), json!(["L", "10", "ab"])),
        entry("dx_pad", json!(1), json!(["r", "10", " "])),
        entry("dx_replace", json!(2), json!(["0", "1", ""])),
        entry("dx_filter", json!(3), json!(["==", "x"])),
        entry("dx_filter", json!(3), json!(["NOT LIKE", "\\d.*"])),
        entry("dx_digest", json!(4), json!(["sha1", "toUpperCase"])),
    ]));
    let condition = Condition::Compare(Comparison::Equal, "x".into());
    let pattern = Condition::NotLike("(?R)\\A(?:[0-9].*)\\z".into());
    let expected = [
        (0, Action::Substring { start: 2, length: 5 }),
        (1, Action::Pad { side: PadSide::Left, length: 10, pad: "ab".into() }),
        (1, Action::Pad { side: PadSide::Right, length: 10, pad: " ".into() }),
        (2, Action::Replace { start: 0, length: 1, replacement: String::new() }),
        (3, Action::Drop(condition)),
        (3, Action::Drop(pattern)),
        (4, Action::Digest { algorithm: DigestAlgorithm::Sha1, upper_case: true }),
    ];
    let expected = expected.into_iter().enumerate().map(|(index, (column, action))| Transformer {
        column,
        action,
        place: format!("/job/content/0/transformer/{index}"),
    });
    assert_eq!(job.transformers, expected.collect::<Vec<_>>());
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn none_are_none() {
    for none in [json!(null), json!([])] {
        assert_eq!(job(none).0.transformers, []);
    }
}
