//! Files without types, and a job that declares none: the types come from the values.

use serde_json::json;
use tests::{Document, document, lineitem, referee};

use crate::formats::{Format, Place, rows};

fn types_are_kept(from: Format, suffix: &str) {
    let place = Place::new(from, Format::Parquet, rows());
    let path = lineitem::file(rows(), suffix).display().to_string();
    let mut parameter = json!({"path": [path], "fileFormat": suffix});
    if from == Format::Csv {
        parameter["header"] = true.into();
    }
    let job = Document::new(("file", parameter), place.writer()).concurrent(2);
    assert_eq!(place.run(&job)["records_written"], rows());
    assert_eq!(referee::compare(&lineitem::file(rows(), "parquet"), &place.written()), rows());
    for ((name, kind), (_, wanted)) in referee::types(&place.file()).iter().zip(lineitem::COLUMNS) {
        let kept = match wanted {
            "bigint" => kind == "int64",
            "date" => kind == "date32[day]",
            // How many digits there could be is not in the file; how many decimals is.
            "decimal(15,2)" => kind.starts_with("decimal") && kind.ends_with(", 2)"),
            _ => kind == "string",
        };
        assert!(kept, "{name}: {kind}, not {wanted}");
    }
}

#[test]
fn csv_keeps_its_types() {
    types_are_kept(Format::Csv, "csv");
}

#[test]
fn jsonl_keeps_its_types() {
    types_are_kept(Format::Jsonl, "jsonl");
}

#[test]
fn csv_creates_a_table_of_its_types() {
    let place = Place::new(Format::Csv, Format::PostgreSql, rows());
    let path = lineitem::file(rows(), "csv").display().to_string();
    let writer = json!({"datasource": "pg", "table": "created", "createTable": true});
    let job = Document::new(document::csv(&path), ("postgresql", writer)).concurrent(2);
    assert_eq!(place.run(&job)["records_written"], rows());
    assert_eq!(
        referee::compare(&lineitem::file(rows(), "parquet"), &place.exported("created")),
        rows()
    );
    // How many digits there could be is not in the file; how many decimals is.
    let wanted = lineitem::COLUMNS.map(|(_, kind)| match kind {
        "decimal(15,2)" => "numeric 2",
        other => other,
    });
    assert_eq!(place.table_types("created"), wanted);
}

/// Digits that are no number: a zero stands before them.
#[test]
fn a_code_with_zeros_stays_text() {
    for to in Format::ALL {
        let place = Place::new(Format::Csv, to, rows());
        place.env.write("codes.csv", "code,n\n007,7\n010,10\n100,100\n");
        let writer = match to {
            Format::PostgreSql => {
                ("postgresql", json!({"datasource": "pg", "table": "codes", "createTable": true}))
            }
            Format::MySql => {
                ("mysql", json!({"datasource": "my", "table": "codes", "createTable": true}))
            }
            Format::Sqlite => {
                ("sqlite", json!({"datasource": "copy", "table": "codes", "createTable": true}))
            }
            _ => place.writer(),
        };
        assert_eq!(
            place.run(&Document::new(document::csv("codes.csv"), writer))["records_written"],
            3
        );
        let written = match to {
            Format::PostgreSql | Format::MySql | Format::Sqlite => place.exported("codes"),
            _ => place.written(),
        };
        assert_eq!(referee::compare(&place.env.path("codes.csv"), &written), 3, "{to:?}");
        let kinds = |pairs: Vec<(String, String)>| -> Vec<String> {
            pairs.into_iter().map(|(_, kind)| kind).collect()
        };
        match to {
            Format::Csv => {}
            Format::Jsonl => assert_eq!(kinds(referee::kinds(&written)), ["str", "int"]),
            Format::Parquet | Format::Orc | Format::Avro | Format::Arrow => {
                assert_eq!(kinds(referee::types(&place.file())), ["string", "int64"]);
            }
            Format::PostgreSql => assert_eq!(place.table_types("codes"), ["text", "bigint"]),
            Format::MySql => assert_eq!(place.table_types("codes"), ["longtext", "bigint"]),
            Format::Sqlite => {
                let kinds = "select type from pragma_table_info('codes');";
                let kinds = referee::sqlite(&place.env.path("copy.db"), kinds);
                assert_eq!(kinds, "TEXT\nINTEGER\n");
            }
        }
    }
}
