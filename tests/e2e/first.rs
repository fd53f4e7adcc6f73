use serde_json::{Value, json};
use tests::env::BIZDATE;
use tests::{Document, Env, document, referee, tree};

const ORDERS: &str = "id,code,amount,day\n1,007,12.50,2025-10-31\n2,010,0.05,2025-11-01\n";

/// The document that the project's description begins with, as it stands.
const EXAMPLE: &str = r#"{"type": "job", "version": "2.0",
 "steps": [
  {"stepType": "file", "category": "reader", "name": "Reader", "parameter": {"path": ["orders-*.csv"], "fileFormat": "csv", "header": true}},
  {"stepType": "file", "category": "writer", "name": "Writer", "parameter": {"path": "out/dt=${bizdate}", "fileName": "orders", "fileFormat": "parquet", "compress": "snappy", "writeMode": "truncate"}}],
 "setting": {"speed": {"concurrent": 2}, "errorLimit": {"record": 0}},
 "order": {"hops": [{"from": "Reader", "to": "Writer"}]}}
"#;

#[test]
fn the_example_runs_as_it_stands() {
    let env = Env::new();
    env.write("job.json", EXAMPLE);
    env.write("orders-1.csv", ORDERS);
    env.write("orders-2.csv", "id,code,amount,day\n3,100,7.00,2025-11-02\n");
    let output = env.airlock(&["run", "job.json", "--bizdate", BIZDATE]).run();
    insta::assert_snapshot!(output.normal());
    insta::assert_snapshot!("the_example_writes", referee::dump(&env.path("out")));
}

#[test]
fn a_second_run_replaces_what_the_first_wrote() {
    let env = Env::new();
    env.write("job.json", EXAMPLE);
    env.write("orders-1.csv", ORDERS);
    env.write("out/dt=20251031/other.parquet", "not ours");
    for _ in 0..2 {
        env.airlock(&["run", "job.json", "--bizdate", BIZDATE]).run().expect(0);
    }
    let names: Vec<_> = env.files("out").iter().map(|path| path.display().to_string()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(
        std::fs::read_to_string(env.path("out/dt=20251031/other.parquet")).unwrap(),
        "not ours"
    );
}

#[test]
fn the_business_date_is_yesterday_unless_it_is_given() {
    let env = Env::new();
    env.write("job.json", EXAMPLE);
    env.write("orders-1.csv", ORDERS);
    let run = |arguments: &[&str]| {
        let arguments = [&["run", "job.json", "-o", "json"], arguments].concat();
        env.airlock(&arguments).run().expect(0).json()["clock"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        run(&["--cyctime", "20251101023045"]),
        "2025-11-01 02:30:45 (UTC), business date 20251031"
    );
    assert!(env.path("out/dt=20251031").exists());
    run(&["-p", "bizdate=20240229"]);
    assert!(env.path("out/dt=20240229").exists());
    run(&[]);
    assert_eq!(std::fs::read_dir(env.path("out")).unwrap().count(), 3, "now is another day");
}

#[test]
fn the_quickstart_runs() {
    let env = Env::new();
    env.copy(&tree::tests().join("jobs/quickstart"));
    let _ = std::fs::remove_dir_all(env.path("out"));
    let summary = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(0).json();
    assert_eq!(summary["status"], "succeeded");
    assert_eq!(summary["records_read"], summary["records_written"]);
    assert!(summary["records_read"].as_u64().unwrap() >= 1000, "some thousand rows: {summary}");
    let files = env.files("out");
    assert!(files.iter().all(|file| file.extension().is_some_and(|suffix| suffix == "parquet")));
    let wanted = env.path("wanted.csv");
    // DuckDB reads the source by its own lights; both as text.
    let source = env.path("orders.csv").display().to_string();
    referee::make(
        &wanted,
        &format!("select * from read_csv('{source}', header=true, all_varchar=true)"),
    );
    let rows = referee::compare(&wanted, &env.path("out/*.parquet"));
    assert_eq!(Some(rows), summary["records_written"].as_u64());
}

#[test]
fn a_summary_is_one_object() {
    let env = Env::new();
    env.write("job.json", EXAMPLE);
    env.write("orders-1.csv", ORDERS);
    let output =
        env.airlock(&["run", "job.json", "--bizdate", BIZDATE, "-o", "json"]).run().expect(0);
    assert_eq!(output.stdout.lines().count(), 1, "{output}");
    insta::assert_snapshot!(output.normal());
}

#[test]
fn a_summary_of_a_failure_has_the_same_shape() {
    let env = Env::new();
    let reader = json!({"path": ["rows.csv"], "fileFormat": "csv", "header": true,
        "column": [{"index": 0, "type": "bigint"}]});
    let job = Document::new(("file", reader), document::out("csv"));
    env.write_json("job.json", job.json());
    env.write("rows.csv", "id\n1\nx\n");
    let failed = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(4).json();
    env.write("rows.csv", "id\n1\n2\n");
    let done = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(0).json();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&failed), keys(&done));
    assert_eq!((&failed["status"], &failed["records_dirty"]), (&json!("failed"), &json!(1)));
    assert_eq!(failed["error"]["code"], "run.dirty_limit");
    assert!(env.files("out").len() == 1, "only the second run published");
}

#[test]
fn progress_as_json_goes_to_standard_error() {
    let env = Env::new();
    let reader = json!({"column": [{"value": 1, "type": "long"}], "sliceRecordCount": 1000});
    let job = Document::new(("stream", reader), ("stream", json!({"print": false})));
    env.write_json("job.json", job.json());
    let output =
        env.airlock(&["run", "job.json", "--progress", "json", "-o", "json"]).run().expect(0);
    let events: Vec<Value> =
        output.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.first().unwrap()["event"], "started");
    assert_eq!(events.last().unwrap()["event"], "ended");
    assert_eq!(events.last().unwrap()["status"], "succeeded");
    assert_eq!(events.last().unwrap()["run_id"], output.json()["run_id"]);
}

#[test]
fn printed_rows_are_data() {
    let env = Env::new();
    let column = json!([{"value": "a\u{1b}[31m", "type": "string"}, {"value": 7, "type": "long"}]);
    let reader = json!({"column": column, "sliceRecordCount": 2});
    let job = Document::new(("stream", reader), ("stream", json!({"print": true})));
    env.write_json("job.json", job.json());
    let output = env.airlock(&["run", "job.json"]).run();
    insta::assert_snapshot!(output.normal());
    let json = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(0);
    assert_eq!(json.stdout.lines().count(), 1, "rows go to standard error then: {json}");
}

#[test]
fn a_job_may_come_on_standard_input() {
    let env = Env::new();
    let reader = json!({"column": [{"value": 1, "type": "long"}], "sliceRecordCount": 3});
    let job = Document::new(("stream", reader), ("stream", json!({"print": false})));
    let file = env.write_json("elsewhere/job.json", job.json());
    let output = env.airlock(&["run", "-", "-o", "json"]).stdin(&file).run().expect(0);
    assert_eq!(output.json()["records_written"], 3);
}
