//! Texts, packed in each way or not: cut, broken, and larger than a plug-in's memory.

use std::fmt::Write;
use std::fs;

use serde_json::{Value, json};
use tests::{Document, Env, document, referee};

/// Endings of files that another program packs.
const PACKINGS: [&str; 8] =
    ["csv.gz", "csv.zst", "csv.xz", "csv.bz2", "csv.lz4", "csv.snappy", "csv.block", "csv.zip"];
/// Of a plug-in, in the tests of large files.
const MEMORY: u64 = 32 << 20;
/// Of 90 bytes and more each.
const ROWS: u64 = 400_000;

/// A reader of a file of text whose first record holds the names.
fn reader(name: &str) -> Value {
    let mut reader = json!({"path": [name], "fileFormat": "csv", "header": true});
    if name.ends_with(".block") {
        reader["compress"] = "snappy".into();
    }
    reader
}

#[test]
fn cut_and_broken_files_of_each_packing() {
    for suffix in PACKINGS {
        let env = Env::new();
        let (name, whole) = (format!("rows.{suffix}"), env.path(&format!("whole.{suffix}")));
        referee::make(&whole, "select range as id, md5(range::text) as name from range(5000)");
        let good = fs::read(&whole).unwrap();
        let job = Document::new(("file", reader(&name)), document::out("csv"));
        env.write_json("job.json", job.json());
        env.write(&name, &good);
        let output = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(0);
        assert_eq!(output.json()["records_written"], 5000, "{suffix}: {output}");
        let half = good.len() / 2;
        let mut hole = good.clone();
        hole.drain(half..half + 1000);
        let written = env.files("out");
        for (case, bytes) in [("cut", good[..half].to_vec()), ("hole", hole)] {
            env.write(&name, bytes);
            let output = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(4);
            assert_eq!(output.error_code(), "format.corrupt", "{suffix} {case}: {output}");
            let message = output.json()["error"]["message"].as_str().unwrap().to_owned();
            assert!(message.contains(&name), "{suffix} {case}: {message}");
            assert_eq!(env.files("out"), written, "nothing is half published");
        }
    }
}

/// A text that ends too early: its last record is told, and nothing of it is guessed.
#[test]
fn a_text_that_is_cut_has_a_dirty_record() {
    let cases = [
        ("rows.csv", "id,name\n1,one\n2,\"tw", json!({"header": true})),
        ("rows.jsonl", "{\"id\": 1, \"name\": \"one\"}\n{\"id\": 2, \"na", json!({})),
    ];
    for (name, text, mut reader) in cases {
        let env = Env::new();
        env.write(name, text);
        reader["path"] = json!([name]);
        let job = Document::new(("file", reader), document::out("csv"));
        env.write_json("job.json", job.json());
        let output = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(4);
        assert_eq!(output.error_code(), "run.dirty_limit", "{name}: {output}");
        assert_eq!(output.json()["records_dirty"], 1, "{name}: {output}");
        assert!(env.files("out").is_empty(), "{name}: nothing is half published");
    }
}

/// Runs a job with a plug-in's memory that is smaller than the text.
fn moves(env: &Env, reader: Value, to: &str) {
    let job = Document::new(("file", reader.clone()), document::out(to));
    env.write_json("job.json", job.json());
    let limit = format!("memory={MEMORY}");
    let output = env.airlock(&["run", "job.json", "-o", "json", "--limit", &limit]).run();
    assert_eq!(output.expect(0).json()["records_written"], ROWS, "{reader}");
}

#[test]
fn packed_files_larger_than_a_plugins_memory_are_moved() {
    let query = format!("select range as id, repeat(range::text, 16) as name from range({ROWS})");
    for suffix in PACKINGS {
        // One block is unpacked at once.
        if suffix == "csv.block" {
            continue;
        }
        let env = Env::new();
        let name = format!("rows.{suffix}");
        referee::make(&env.path(&name), &query);
        moves(&env, reader(&name), "csv");
    }
}

/// A record by its number.
type Row<'a> = &'a dyn Fn(u64) -> String;

#[test]
fn texts_larger_than_a_plugins_memory_are_moved() {
    let line = |row: u64| format!("{row:>8}{:>90}", "row");
    let column = json!([{"name": "id", "width": 8, "type": "int"}, {"name": "name", "width": 90}]);
    let made: [(&str, Value, Row<'_>, &str, &str); 4] = [
        ("rows.csv", reader("rows.csv"), &|row| format!("{row},{:90}\n", "row"), "id,name\n", ""),
        (
            "rows.jsonl",
            json!({"path": ["rows.jsonl"]}),
            &|row| format!("{{\"id\": {row}, \"name\": \"{:80}\"}}\n", "row"),
            "",
            "",
        ),
        (
            "rows.xml",
            json!({"path": ["rows.xml"]}),
            &|row| format!("<row><id>{row}</id><name>{:70}</name></row>\n", "row"),
            "<rows>",
            "</rows>",
        ),
        (
            "rows.txt",
            json!({"path": ["rows.txt"], "fileFormat": "fixed", "column": column}),
            &|row| line(row) + "\n",
            "",
            "",
        ),
    ];
    for (name, reader, row, head, tail) in made {
        let env = Env::new();
        let mut text = head.to_owned();
        (0..ROWS).for_each(|number| text.write_str(&row(number)).unwrap());
        env.write(name, text + tail);
        for to in ["csv", "parquet"] {
            moves(&env, reader.clone(), to);
        }
    }
}

#[test]
fn other_encodings_larger_than_a_plugins_memory_are_moved() {
    let query =
        format!("select range as id, '中文' || repeat(range::text, 14) as name from range({ROWS})");
    for (suffix, encoding) in [("gbk.csv", "GBK"), ("utf-16.csv", "UTF-16")] {
        let env = Env::new();
        let name = format!("rows.{suffix}");
        referee::make(&env.path(&name), &query);
        let mut reader = reader(&name);
        reader["encoding"] = encoding.into();
        moves(&env, reader, "jsonl");
    }
    let env = Env::new();
    referee::make(&env.path("rows.parquet"), &query);
    moves(&env, json!({"path": ["rows.parquet"]}), "parquet");
}

/// A sheet is read in blocks of rows: it may be larger than the memory.
#[test]
fn a_sheet_larger_than_a_plugins_memory_is_moved() {
    const MEMORY: &str = "memory=64MiB";
    let env = Env::new();
    let query = "select range as id, range * 1000003 as far, -range as near from range(700000)";
    referee::make(&env.path("rows.parquet"), query);
    referee::make(&env.path("rows.numbers.xlsx"), query);
    let job = Document::new(("file", json!({"path": ["rows.numbers.xlsx"]})), document::out("csv"));
    env.write_json("job.json", job.json());
    env.airlock(&["run", "job.json", "--limit", MEMORY]).run().expect(0);
    let written = env.files("out").pop().unwrap();
    assert_eq!(referee::sums(&written), referee::sums(&env.path("rows.parquet")));
}

/// The texts that sheets share are held whole, and so is a sheet that is written: where that does not fit,
/// it is told.
#[test]
fn a_workbook_whose_texts_do_not_fit_is_told() {
    const SMALL: &str = "memory=12MiB";
    let env = Env::new();
    let query = "select range as id, md5(range::text) as name from range(40000)";
    referee::make(&env.path("rows.parquet"), query);
    let reader = json!({"path": ["rows.parquet"]});
    let job = Document::new(("file", reader), document::out("excel"));
    env.write_json("write.json", job.json());
    let code = |job: &str, more: &[&str], exit: i32| {
        let arguments = [&["run", job, "-o", "json"], more].concat();
        env.airlock(&arguments).run().expect(exit).json()["error"]["code"].clone()
    };
    assert_eq!(code("write.json", &["--limit", SMALL], 4), "plugin.limit.memory");
    code("write.json", &[], 0);
    let file = env.files("out").pop().unwrap();
    fs::copy(file, env.path("rows.xlsx")).unwrap();
    let job = Document::new(("file", json!({"path": ["rows.xlsx"]})), document::out("csv"));
    env.write_json("read.json", job.json());
    assert_eq!(code("read.json", &["--limit", SMALL], 4), "plugin.limit.memory");
    code("read.json", &[], 0);
}
