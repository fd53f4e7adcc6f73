//! Files that say themselves of which types they are: broken ones, and ones that a plug-in cannot hold.

use std::fs;

use serde_json::json;
use tests::{Document, Env, document, referee};

const BLOCKS: [(&str, &str); 4] =
    [("avro", "avro"), ("orc", "orc"), ("arrow", "arrow"), ("arrows", "arrowstream")];

#[test]
fn cut_and_broken_files_of_avro_orc_and_arrow() {
    for (suffix, format) in BLOCKS {
        let env = Env::new();
        let name = format!("rows.{suffix}");
        let whole = env.path(&format!("whole.{suffix}"));
        referee::make(&whole, "select range as id, md5(range::text) as name from range(5000)");
        let good = fs::read(&whole).unwrap();
        let half = good.len() / 2;
        let reader = json!({"path": [name], "fileFormat": format});
        env.write_json("job.json", Document::new(("file", reader), document::out("csv")).json());
        let mut hole = good.clone();
        hole.drain(half..half + 1000);
        let mut garbage = good.clone();
        garbage[half..half + 64].fill(0xa5);
        let cases = [
            ("cut", good[..half].to_vec()),
            ("hole", hole),
            ("garbage", garbage),
            ("empty", Vec::new()),
            ("text", b"id,name\n1,a\n".to_vec()),
        ];
        for (case, bytes) in cases {
            // Text in an Arrow or ORC file is any bytes, so that what is no number is a value that changed.
            if case == "garbage" && suffix != "avro" {
                continue;
            }
            env.write(&name, bytes);
            let output = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(4);
            assert_eq!(output.error_code(), "format.corrupt", "{suffix} {case}: {output}");
            let message = output.json()["error"]["message"].as_str().unwrap().to_owned();
            assert!(message.contains(&name), "{suffix} {case}: {message}");
            assert!(env.files("out").is_empty(), "nothing is half published");
        }
    }
}

#[test]
fn columns_of_types_that_no_job_has_are_named() {
    let env = Env::new();
    referee::make(&env.path("rows.arrow"), "select 1 as id, union_value(a := 2) as u");
    let reader = json!({"path": ["rows.arrow"]});
    env.write_json("job.json", Document::new(("file", reader), document::out("csv")).json());
    let output = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(2);
    assert_eq!(output.error_code(), "format.type", "{output}");
    let reader = json!({"path": ["rows.arrow"], "column": ["id"]});
    env.write_json("job.json", Document::new(("file", reader), document::out("csv")).json());
    env.airlock(&["run", "job.json"]).run().expect(0);
}

#[test]
fn cut_and_wrong_files_of_excel_and_xml() {
    for (suffix, format) in [("xlsx", "excel"), ("xml", "xml")] {
        let env = Env::new();
        let name = format!("rows.{suffix}");
        let good = match suffix {
            "xml" => format!("<rows>{}</rows>", "<row><id>1</id></row>".repeat(500)).into_bytes(),
            _ => {
                let whole = env.path(&format!("whole.{suffix}"));
                referee::make(
                    &whole,
                    "select range as id, md5(range::text) as name from range(500)",
                );
                fs::read(&whole).unwrap()
            }
        };
        let reader = json!({"path": [name], "fileFormat": format});
        env.write_json("job.json", Document::new(("file", reader), document::out("csv")).json());
        env.write(&name, &good);
        env.airlock(&["run", "job.json"]).run().expect(0);
        let cut = good[..good.len() / 2].to_vec();
        for (case, bytes) in [("cut", cut), ("text", b"id,name\n1,a\n".to_vec())] {
            env.write(&name, bytes);
            let output = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(4);
            assert_eq!(output.error_code(), "format.corrupt", "{suffix} {case}: {output}");
            let message = output.json()["error"]["message"].as_str().unwrap().to_owned();
            assert!(message.contains(&name), "{suffix} {case}: {message}");
        }
    }
}

#[test]
fn files_larger_than_a_plugins_memory_are_moved() {
    const MEMORY: u64 = 32 << 20;
    /// Of 72 bytes each.
    const ROWS: u64 = 500_000;
    let query = format!(
        "select range as id, md5(range::text) || md5(range::text) as name from range({ROWS})"
    );
    let kinds = [
        ("avro", "avro"),
        ("arrow", "arrow"),
        ("arrows", "arrowstream"),
        ("orc", "orc"),
        // In one stripe.
        ("whole.orc", "csv"),
        ("whole.zlib.orc", "csv"),
    ];
    for (suffix, to) in kinds {
        let env = Env::new();
        let name = format!("rows.{suffix}");
        referee::make(&env.path(&name), &query);
        let reader = json!({"path": [name]});
        let (writer, mut parameter) = document::out(to);
        if to == "orc" {
            parameter["rowGroupSize"] = 4.into();
        }
        env.write_json("job.json", Document::new(("file", reader), (writer, parameter)).json());
        let limit = format!("memory={MEMORY}");
        let output = env.airlock(&["run", "job.json", "-o", "json", "--limit", &limit]).run();
        assert_eq!(output.expect(0).json()["records_written"], ROWS, "{suffix}");
    }
}

/// Rows of many shapes: runs, NULLs, texts that come often and once, moments before 1970, nested values.
const SHAPES: &str = "select range as id, range % 3 = 0 as flag, (range % 7)::tinyint as small, \
    case when range % 5 > 0 then -range * range end as big, 'of few ' || range % 11 as often, \
    case when range % 4 > 0 then md5(range::text) end as text, encode(md5(range::text)) as bytes, \
    (range * 12345 % 100000000 / 100)::decimal(15, 2) as money, \
    (range::hugeint * range * 1000000000000000 * 1000)::decimal(38, 0) as wide, \
    date '1900-01-01' + (range % 60000)::int as day, \
    timestamp '1900-01-01 00:00:00.25' + to_seconds(range * 100003) as at, \
    (timestamp '1950-06-01 12:00:00' + to_milliseconds(range * 10000300))::timestamptz as moment, \
    range / 7::double as ratio, (range / 3)::float as single, [range, null, -range] as list, \
    case when range % 2 > 0 then {'a': range, 'b': ['x', null, range::text]} end as pair, \
    map {range::text: range % 9} as map from range(7000)";

#[test]
fn orc_of_another_program_is_read_as_it_was_written() {
    let kinds =
        ["plain", "old", "zlib", "snappy", "lz4", "zstd", "dictionary", "old.dictionary.zlib"];
    for kind in kinds {
        let env = Env::new();
        let name = format!("rows.{kind}.orc");
        referee::make(&env.path(&name), SHAPES);
        let reader = json!({"path": [name], "splitBytes": 100_000});
        env.write_json(
            "job.json",
            Document::new(("file", reader), document::out("parquet")).json(),
        );
        let output = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(0);
        assert_eq!(output.json()["records_written"], 7000, "{kind}: {output}");
        let written = env.path("out/*.parquet");
        assert_eq!(referee::compare(&env.path(&name), &written), 7000, "{kind}");
    }
}

#[test]
fn orc_is_written_as_another_program_reads_it() {
    for codec in ["none", "snappy", "zlib", "lz4", "zstd"] {
        let env = Env::new();
        referee::make(&env.path("rows.parquet"), SHAPES);
        let (writer, mut parameter) = document::out("orc");
        parameter["compress"] = codec.into();
        parameter["rowGroupRows"] = 3000.into();
        let reader = json!({"path": ["rows.parquet"]});
        env.write_json("job.json", Document::new(("file", reader), (writer, parameter)).json());
        let output = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(0);
        assert_eq!(output.json()["records_written"], 7000, "{codec}: {output}");
        let written = env.path("out/*.orc");
        assert_eq!(referee::compare(&env.path("rows.parquet"), &written), 7000, "{codec}");
    }
}

#[test]
fn times_that_orc_cannot_tell_from_others_are_dirty() {
    let env = Env::new();
    let values = "('1969-12-31 23:59:59.5'), ('1969-12-31 23:59:58.5'), ('1970-01-01 00:00:00.5')";
    let query = format!("select moment::timestamp as moment from (values {values}) t(moment)");
    referee::make(&env.path("rows.parquet"), &query);
    let reader = json!({"path": ["rows.parquet"]});
    let mut job = Document::new(("file", reader), document::out("orc")).json().clone();
    job["setting"]["errorLimit"] = json!({"record": 1});
    env.write_json("job.json", &job);
    let output = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(0).json();
    assert_eq!((&output["records_written"], &output["records_dirty"]), (&json!(2), &json!(1)));
}
