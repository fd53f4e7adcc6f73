//! Files that say themselves of which types they are: broken ones, and ones that a plug-in cannot hold.

use std::fs;

use serde_json::json;
use tests::{Document, Env, document, referee};

const BLOCKS: [(&str, &str); 3] = [("avro", "avro"), ("arrow", "arrow"), ("arrows", "arrowstream")];

#[test]
fn cut_and_broken_files_of_avro_and_arrow() {
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
            // Text in an Arrow file is any bytes, so that what is no number is a value that changed.
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
    for (suffix, to) in [("avro", "avro"), ("arrow", "arrow"), ("arrows", "arrowstream")] {
        let env = Env::new();
        let name = format!("rows.{suffix}");
        referee::make(&env.path(&name), &query);
        let reader = json!({"path": [name]});
        env.write_json("job.json", Document::new(("file", reader), document::out(to)).json());
        let limit = format!("memory={MEMORY}");
        let output = env.airlock(&["run", "job.json", "-o", "json", "--limit", &limit]).run();
        assert_eq!(output.expect(0).json()["records_written"], ROWS, "{suffix}");
    }
}
