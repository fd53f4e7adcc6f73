use serde_json::json;
use tests::{Document, Env, PgServer, document, referee};

#[test]
fn text_that_is_not_utf8() {
    let env = Env::new();
    env.write("rows.csv", b"id,name\n1,good\n2,\xff\xfe bad\n3,good\n");
    env.write_json(
        "job.json",
        Document::new(document::csv("rows.csv"), document::out("csv")).json(),
    );
    let output = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(4);
    assert_eq!(output.error_code(), "run.dirty_limit", "{output}");
    assert_eq!(output.json()["records_dirty"], 1);
    assert_eq!(env.files("out").len(), 0, "nothing is half published");
    let tolerant = Document::new(document::csv("rows.csv"), document::out("csv")).tolerating(1);
    env.write_json("job.json", tolerant.json());
    let output = env.airlock(&["run", "job.json", "--bizdate", "20251031"]).run().expect(0);
    insta::assert_snapshot!(output.normal());
    assert!(referee::dump(&env.path("out")).ends_with("id,name\n1,good\n3,good\n"));
}

#[test]
fn the_books_keep_a_dirty_record_whole() {
    let env = Env::new();
    env.write("rows.csv", b"id,name\n1,good\nx,bad\n");
    let column = json!([{"index": 0, "type": "bigint", "name": "id"}, {"index": 1, "type": "string", "name": "name"}]);
    let reader =
        json!({"path": ["rows.csv"], "fileFormat": "csv", "header": true, "column": column});
    let job = Document::new(("file", reader), document::out("csv")).tolerating(1);
    env.write_json("job.json", job.json());
    let run = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(0).json();
    let id = run["run_id"].as_str().unwrap();
    insta::assert_snapshot!(env.airlock(&["dirty", "show", id]).run().normal());
    insta::assert_snapshot!("dirty_list", env.airlock(&["dirty", "list", id]).run().normal());
    let none = env.airlock(&["dirty", "show", id, "--code", "other"]).run().expect(0);
    assert_eq!(none.stdout, "no dirty records\n");
}

#[test]
fn dirty_records_are_exported_whole_and_all() {
    const ROWS: usize = 2500;
    let env = Env::new();
    let rows: String = (0..ROWS).map(|row| format!("x{row},\"a, \"\"b\"\"\"\n")).collect();
    env.write("rows.csv", format!("id,name\n{rows}"));
    let column = json!([{"index": 0, "type": "bigint", "name": "id"}, {"index": 1, "type": "string", "name": "name"}]);
    let reader =
        json!({"path": ["rows.csv"], "fileFormat": "csv", "header": true, "column": column});
    let job = Document::new(("file", reader), document::out("csv")).tolerating(ROWS as u64);
    env.write_json("job.json", job.json());
    let run = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(0).json();
    let id = run["run_id"].as_str().unwrap();
    let lines = env.airlock(&["dirty", "export", id, "-"]).run().expect(0).stdout;
    assert_eq!(lines.lines().count(), ROWS);
    for (row, line) in lines.lines().enumerate() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let whole = record.to_string();
        assert!(
            whole.contains(&format!("x{row}\"")) || whole.contains(&format!("x{row},")),
            "{line}"
        );
    }
    let export = ["dirty", "export", id, "--format", "csv", "dirty.csv"];
    env.airlock(&export).run().expect(0);
    let csv = std::fs::read_to_string(env.path("dirty.csv")).unwrap();
    assert_eq!(csv.lines().count(), ROWS + 1);
    assert!(csv.starts_with("\"task\",\"record\",\"stage\",\"code\""), "{}", &csv[..100]);
    env.airlock(&export).run().expect(3);
}

#[test]
fn a_truncated_parquet_file() {
    let env = Env::new();
    let whole = env.path("whole.parquet");
    referee::make(&whole, "select range as id, 'row ' || range as name from range(1000)");
    let bytes = std::fs::read(&whole).unwrap();
    let reader = json!({"path": ["rows.parquet"], "fileFormat": "parquet"});
    let job = Document::new(("file", reader), document::out("csv"));
    env.write_json("job.json", job.json());
    // Without its end there is no footer; with the end, but a hole before it, pages are missing.
    let mut hole = bytes[..100].to_vec();
    hole.extend_from_slice(&bytes[bytes.len() / 2..]);
    for (name, content) in
        [("cut", bytes[..bytes.len() / 2].to_vec()), ("hole", hole), ("empty", Vec::new())]
    {
        env.write("rows.parquet", content);
        let output = env.airlock(&["run", "job.json"]).run().expect(4);
        assert_eq!(env.files("out").len(), 0, "nothing is half published");
        if name == "cut" {
            insta::assert_snapshot!(output.normal());
        }
    }
}

#[test]
fn a_gzip_file_that_is_cut() {
    let env = Env::new();
    referee::make(
        &env.path("whole.csv.gz"),
        "select range as id, md5(range::text) as name from range(1000)",
    );
    let bytes = std::fs::read(env.path("whole.csv.gz")).unwrap();
    env.write("rows.csv.gz", &bytes[..bytes.len() / 2]);
    let reader =
        json!({"path": ["rows.csv.gz"], "fileFormat": "csv", "header": true, "compress": "gzip"});
    env.write_json("job.json", Document::new(("file", reader), document::out("csv")).json());
    env.airlock(&["run", "job.json"]).run().expect(4);
    assert_eq!(env.files("out").len(), 0, "nothing is half published");
}

#[test]
fn a_column_that_is_too_small() {
    let database = PgServer::shared().database();
    database.setup("create table narrow (id smallint, name varchar(3))");
    let mut env = Env::new();
    database.admit(&mut env);
    env.write("rows.csv", "id,name\n1,abc\n40000,abc\n3,abcd\n");
    let job = Document::new(document::csv("rows.csv"), document::table("narrow"));
    env.write_json("job.json", job.json());
    let output = env.airlock(&["run", "job.json", "--bizdate", "20251031"]).run().expect(4);
    assert_eq!(database.count("select count(*) from narrow"), 0, "{output}");
    let job = Document::new(document::csv("rows.csv"), document::table("narrow")).tolerating(2);
    env.write_json("job.json", job.json());
    let output = env.airlock(&["run", "job.json", "--bizdate", "20251031"]).run().expect(0);
    insta::assert_snapshot!(output.normal());
    assert_eq!(database.sql("select * from narrow"), "1|abc\n");
}

#[test]
fn no_file_matches() {
    let env = Env::new();
    env.write_json(
        "job.json",
        Document::new(document::csv("rows-*.csv"), document::out("csv")).json(),
    );
    insta::assert_snapshot!(env.airlock(&["run", "job.json"]).run().normal());
    assert!(!env.path("out").exists(), "the destination is as it was");
}
