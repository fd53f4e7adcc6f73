use serde_json::json;
use tests::{Document, Env, document};

/// A run with one dirty record and a hostile name.
fn run(env: &Env) -> String {
    env.write("rows.csv", b"id,<b>name</b>\n1,good\nx,bad\n");
    let column = json!([
        {"index": 0, "type": "bigint", "name": "id"},
        {"index": 1, "type": "string", "name": "<b>name</b>"}
    ]);
    let reader =
        json!({"path": ["rows.csv"], "fileFormat": "csv", "header": true, "column": column});
    let job = Document::new(("file", reader), document::out("csv")).tolerating(1);
    env.write_json("job.json", job.json());
    let run = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(0).json();
    run["run_id"].as_str().unwrap().to_owned()
}

#[test]
fn the_books_tell_where_the_time_of_a_run_went() {
    let env = Env::new();
    let id = run(&env);
    let shown = env.airlock(&["runs", "show", &id, "-o", "json"]).run().expect(0).json();
    assert_eq!((&shown["state"], &shown["fault"]), (&json!("succeeded"), &json!(null)));
    let attempt = &shown["attempts"][0];
    assert_eq!(attempt["status"], "succeeded");
    assert_eq!(attempt["counts"]["records_read"], 2);
    let stages: Vec<_> = attempt["stages"].as_array().unwrap().iter().map(|one| &one[0]).collect();
    assert_eq!(stages, ["planning", "preparing", "moving", "finishing"]);
    let task = &attempt["slowest"][0];
    assert_eq!(
        (&task["records"], &task["done"], &task["dirty"]),
        (&json!(2), &json!(true), &json!(1))
    );
    assert!(!attempt["samples"].as_array().unwrap().is_empty());
    assert_eq!(attempt["columns"][1]["from"], "<b>name</b>");
    assert_eq!(shown["dirty"][0]["code"], "format.value");
    let text = env.airlock(&["runs", "show", &id]).run().expect(0).stdout;
    assert!(text.contains("rows.csv") && text.contains("lane  tasks"), "{text}");
    let none = env.airlock(&["runs", "show", "20000101t000000aaaaa"]).run().expect(2);
    assert!(none.stderr.contains("store.no_such_run"), "{none}");
}

#[test]
fn a_report_is_one_file_and_no_name_is_markup() {
    let env = Env::new();
    let id = run(&env);
    env.airlock(&["report", &id, "run.html"]).run().expect(0);
    let page = std::fs::read_to_string(env.path("run.html")).unwrap();
    assert!(page.contains("&lt;b&gt;name&lt;/b&gt;") && !page.contains("<b>name"), "{page}");
    assert!(page.contains("Mapping and casts") && page.contains("Grants"), "{page}");
    env.airlock(&["report", &id, "run.html"]).run().expect(3);
    assert_eq!(
        env.airlock(&["report", &id, "-"]).run().expect(0).stdout.matches("<html").count(),
        1
    );
}
