use serde_json::json;
use tests::env::BIZDATE;
use tests::{Database, Document, Env, PgServer, document};

const ORDERS: &str = "id,code,amount,day\n1,007,12.50,2025-10-31\n2,010,0.05,2025-11-01\n";

/// From a CSV file to a table in which one column is smaller and one is missing in the file.
fn with_table() -> (Env, Database) {
    let database = PgServer::shared().database();
    database.setup(
        "create table orders (id bigint primary key, code text not null, amount numeric(15,2), day date);
         create table empty ();
         create schema other; create table other.things (id int)",
    );
    let mut env = Env::new();
    database.admit(&mut env);
    env.write("orders.csv", ORDERS);
    env.write_json(
        "job.json",
        Document::new(document::csv("orders.csv"), document::table("orders")).json(),
    );
    (env, database)
}

#[test]
fn validate() {
    let (env, database) = with_table();
    insta::assert_snapshot!(env.airlock(&["validate", "job.json"]).run().normal());
    let output = env.airlock(&["validate", "job.json", "-o", "json"]).run().expect(0);
    assert_eq!(output.json()["error"], serde_json::Value::Null);
    assert_eq!(database.logins(), 0, "it reaches nothing");
}

#[test]
fn plan_shows_and_changes_nothing() {
    let (env, database) = with_table();
    insta::assert_snapshot!(
        env.airlock(&["plan", "job.json", "--bizdate", BIZDATE, "--cyctime", "20251101023045"])
            .run()
            .normal()
    );
    let output = env.airlock(&["plan", "job.json", "-o", "json"]).run().expect(0);
    let plan = output.json();
    assert_eq!(plan["datasets"][0]["columns"].as_array().unwrap().len(), 4, "{output}");
    assert!(plan["splits"].as_array().is_some_and(|splits| splits.len() == 1));
    assert_eq!(plan["grants"].as_array().unwrap().len(), 2);
    assert_eq!(database.sql("select * from orders"), "");
    assert_eq!(
        database.sql("select count(*) from pg_class where relname like '\\_airlock%'"),
        "0\n"
    );
}

#[test]
fn plan_marks_casts_that_lose_something() {
    let (env, database) = with_table();
    database
        .setup("create table narrow (id smallint, code text, amount double precision, day date)");
    env.write_json(
        "job.json",
        Document::new(document::csv("orders.csv"), document::table("narrow")).json(),
    );
    let plan = env.airlock(&["plan", "job.json", "-o", "json"]).run().expect(0).json();
    let columns = plan["datasets"][0]["columns"].as_array().unwrap();
    let casts: Vec<_> = columns.iter().map(|column| column["cast"].as_str().unwrap()).collect();
    assert_eq!(casts, ["checked", "same", "lossy", "same"]);
    let output = env.airlock(&["plan", "job.json"]).run().expect(0);
    let marked: Vec<_> = output.stdout.lines().filter(|line| line.contains("! lossy")).collect();
    assert!(marked.len() == 1 && marked[0].contains("amount"), "{output}");
    assert_eq!(database.sql("select * from narrow"), "");
    let run = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(2);
    assert_eq!(run.error_code(), "mapping.lossy_cast", "nothing is rounded: {run}");
    assert_eq!(database.sql("select * from narrow"), "");
    let hint = run.json()["error"]["hint"].as_str().unwrap().to_owned();
    assert!(hint.ends_with(r#""setting": {"casts": {"amount": "lossy"}}"#), "{hint}");
}

#[test]
fn plan_makes_no_folder() {
    let env = Env::new();
    env.write("orders.csv", ORDERS);
    env.write_json(
        "job.json",
        Document::new(document::csv("orders.csv"), document::out("parquet")).json(),
    );
    insta::assert_snapshot!(
        env.airlock(&["plan", "job.json", "--cyctime", "20251101023045"]).run().normal()
    );
    assert!(!env.path("out").exists());
}

#[test]
fn check_goes_step_by_step() {
    let (env, _database) = with_table();
    insta::assert_snapshot!("check_job", env.airlock(&["check", "job.json"]).run().normal());
    insta::assert_snapshot!("check_source", env.airlock(&["check", "pg"]).run().normal());
    let wrong = env.airlock(&["check", "pg"]).env("PGPASSWORD", "wrong").run().expect(3);
    insta::assert_snapshot!("check_wrong_password", wrong.normal());
    let json = env.airlock(&["check", "pg", "-o", "json"]).run().expect(0);
    assert!(json.json().is_object());
    env.airlock(&["check", "nobody"]).run().expect(2);
}

#[test]
fn discover_shows_tables_columns_and_keys() {
    let (env, _database) = with_table();
    insta::assert_snapshot!("discover_source", env.airlock(&["discover", "pg"]).run().normal());
    insta::assert_snapshot!(
        "discover_schema",
        env.airlock(&["discover", "pg", "public"]).run().normal()
    );
    insta::assert_snapshot!(
        "discover_table",
        env.airlock(&["discover", "pg", "public", "orders"]).run().normal()
    );
    let json = env.airlock(&["discover", "pg", "public", "orders", "-o", "json"]).run().expect(0);
    assert!(json.stdout.contains("\"primary_key\":[\"id\"]"), "{json}");
    env.airlock(&["discover", "pg", "public", "nothing"]).run().expect(3);
}

#[test]
fn discover_samples_the_rows_of_a_job() {
    let (env, database) = with_table();
    insta::assert_snapshot!(env.airlock(&["discover", "job.json", "--sample", "1"]).run().normal());
    assert_eq!(database.sql("select * from orders"), "");
    let json =
        env.airlock(&["discover", "job.json", "--sample", "1", "-o", "json"]).run().expect(0);
    assert!(json.stdout.contains("007"), "{json}");
}

#[test]
fn doctor_finds_this_machine_well() {
    let env = Env::new();
    let output = env.airlock(&["doctor"]).run().expect(0);
    assert!(output.stdout.contains("memory"), "the limits are listed: {output}");
    assert!(env.airlock(&["doctor", "-o", "json"]).run().expect(0).json().is_object());
}

#[test]
fn completions_for_every_shell() {
    let env = Env::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = env.airlock(&["completions", shell]).run().expect(0);
        assert!(output.stdout.contains("resume"), "{shell}");
    }
    env.airlock(&["completions", "csh"]).run().expect(2);
}

#[test]
fn help_and_version() {
    let env = Env::new();
    insta::assert_snapshot!("help", env.airlock(&["--help"]).run().normal());
    insta::assert_snapshot!("help_run", env.airlock(&["run", "--help"]).run().normal());
    assert!(env.airlock(&["--version"]).run().expect(0).stdout.starts_with("airlock "));
}

#[test]
fn a_reader_that_goes_away_is_content() {
    let env = Env::new();
    let reader =
        json!({"column": [{"value": "row", "type": "string"}], "sliceRecordCount": 100_000});
    env.write_json(
        "job.json",
        Document::new(("stream", reader), ("stream", json!({"print": true}))).json(),
    );
    let program = env.program(
        std::path::Path::new("/bin/sh"),
        &[
            "-c",
            "{ \"$0\" run job.json; echo \"code $?\" >&2; } | head -n 1",
            &tests::tree::airlock().display().to_string(),
        ],
    );
    let output = program.run().expect(0);
    assert_eq!(output.stdout, "row\n");
    assert!(output.stderr.ends_with("code 0\n"), "{output}");
    assert!(!output.stderr.contains("panicked"), "{output}");
}
