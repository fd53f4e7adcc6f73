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
    for ((name, kind), (_, wanted)) in
        referee::types(&place.parquet_file()).iter().zip(lineitem::COLUMNS)
    {
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
}
