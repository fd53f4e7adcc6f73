//! A fault as people and programs read it.

use domain::fault::Fault;
use serde_json::{Map, Value, json};

/// The message, then where, who and what to do, each on a line of its own.
pub(crate) fn text(fault: &Fault) -> String {
    let mut text = format!("{} [{}]", fault.message, fault.code);
    let line = fault.line.as_ref().map(|(file, line)| format!("{file}:{line}"));
    let place: Vec<_> = line.into_iter().chain(fault.place.clone()).collect();
    if !place.is_empty() {
        text += &format!("\n  at {}", place.join(" "));
    }
    if !fault.context.is_empty() {
        text += &format!("\n  in {}", fault.context.join(", "));
    }
    if let Some(hint) = &fault.hint {
        // A hint may be a text of several lines, such as a difference.
        text += &format!("\n  fix: {}", hint.replace('\n', "\n    "));
    }
    text
}

/// The error object, the same wherever one is shown.
pub(crate) fn json(fault: &Fault) -> Value {
    let (file, line) = fault.line.clone().unzip();
    json!({
        "code": fault.code,
        "domain": fault.domain.word(),
        "message": fault.message,
        "hint": fault.hint,
        "place": fault.place,
        "file": file,
        "line": line,
        "context": fault.context,
        "retryable": fault.may_retry(),
    })
}

/// Keys of the object of a command that failed: `error` is the first of `errors`.
pub(crate) fn failed(faults: &[Fault], warnings: &[Fault]) -> Map<String, Value> {
    let list = |faults: &[Fault]| faults.iter().map(json).collect::<Vec<_>>();
    let (errors, warnings) = (list(faults), list(warnings));
    let first = errors.first().cloned().unwrap_or_default();
    [
        ("status", "failed".into()),
        ("error", first),
        ("errors", errors.into()),
        ("warnings", warnings.into()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into_iter()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Fault {
        let mut fault = Fault::user("spec.unknown_key", "key \"pth\" is unknown")
            .hint("did you mean \"path\"?")
            .at("/steps/0/parameter/pth")
            .within("reader \"file\"")
            .within("task 3 (orders-3.csv)");
        fault.line = Some(("tests/x/job.json".into(), 12));
        fault
    }

    #[test]
    fn a_text_says_what_where_who_and_what_to_do() {
        assert_eq!(
            text(&full()),
            "\
key \"pth\" is unknown [spec.unknown_key]
  at tests/x/job.json:12 /steps/0/parameter/pth
  in reader \"file\", task 3 (orders-3.csv)
  fix: did you mean \"path\"?"
        );
        assert_eq!(text(&Fault::internal("a.b", "what")), "what [a.b]");
    }

    #[test]
    fn the_error_object_has_every_key() {
        let expected = r#"{"code":"spec.unknown_key","domain":"user","message":"key \"pth\" is unknown","hint":"did you mean \"path\"?","place":"/steps/0/parameter/pth","file":"tests/x/job.json","line":12,"context":["reader \"file\"","task 3 (orders-3.csv)"],"retryable":false}"#;
        assert_eq!(json(&full()).to_string(), expected);
        let bare = json(&Fault::external("a.b", "c").retry_after(std::time::Duration::ZERO));
        assert_eq!(bare["file"], Value::Null);
        assert_eq!(bare["retryable"], true);
    }
}
