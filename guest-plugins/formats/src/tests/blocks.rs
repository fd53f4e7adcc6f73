//! Avro and Arrow IPC: types, shares, positions, and files that are broken.

use super::round_trip::{declared_batch, read_back, rich_batch};
use super::*;

const ARROW: [&str; 2] = ["arrow", "arrowstream"];

#[test]
fn arrow_gives_back_types_values_and_metadata() {
    for batch in [declared_batch().0, rich_batch()] {
        for format in ARROW {
            for codec in ["none", "lz4", "zstd"] {
                let style = json!({ "fileFormat": format, "compress": codec });
                let bytes = written(&style, std::slice::from_ref(&batch));
                let found = read_back(&json!({ "fileFormat": "arrow" }), "a", bytes);
                assert_eq!(found.schema().fields(), batch.schema().fields(), "{format} {codec}");
                for (at, column) in batch.columns().iter().enumerate() {
                    let (found, wanted) = (found.column(at).to_data(), column.to_data());
                    assert_eq!(found, wanted, "{format} {codec} column {at}");
                }
            }
        }
    }
}

#[test]
fn avro_gives_back_types_and_values_or_refuses_the_type() {
    for codec in ["none", "deflate", "snappy", "zstd"] {
        let mut refused = Vec::new();
        for batch in [declared_batch().0, rich_batch()] {
            for at in 0..batch.num_columns() {
                let one = batch.project(&[at]).unwrap();
                let name = one.schema().field(0).name().clone();
                let style = json!({ "fileFormat": "avro", "compress": codec });
                let parameters: WriteParameters = serde_json::from_value(style.clone()).unwrap();
                let format = parameters.format(std::slice::from_ref(&name)).unwrap();
                if let Err(fault) = format.encoder(Box::new(Vec::new()), &one.schema()) {
                    assert_eq!(fault.code, "format.type", "{}", fault.message);
                    refused.push(fault.message);
                    continue;
                }
                let found =
                    read_back(&json!({}), "a.avro", written(&style, std::slice::from_ref(&one)));
                assert_eq!(found.column(0).to_data(), one.column(0).to_data(), "{codec} {name}");
            }
        }
        assert_eq!(
            refused,
            [
                "column \"fixed\" is FixedSizeList(2 x Float32), which Avro holds as List(Float32)",
                "column \"seconds\" is Timestamp(s, \"Asia/Shanghai\"), which Avro holds as Timestamp(s, \"+00:00\")",
            ],
            "{codec}"
        );
    }
}

/// Many rows in blocks of a few kilobytes.
fn many(parameter: &Value) -> (Vec<RecordBatch>, Vec<u8>) {
    let batches: Vec<_> = (0..300).map(|_| round_trip::plain_batch()).collect();
    let bytes = written(parameter, &batches);
    (batches, bytes)
}

#[test]
fn shares_of_any_size_give_each_row_once() {
    for format in ["avro", "arrow"] {
        let (batches, bytes) = many(&json!({ "fileFormat": format, "compress": "none" }));
        let file = input(&format!("a.{format}"), bytes);
        let wanted: Vec<_> = batches.iter().flat_map(texts).collect();
        let mut before = usize::MAX;
        for split_bytes in [1, 5_000, 60_000, 100_000_000] {
            let parameter = json!({ "splitBytes": split_bytes });
            let shares =
                super::format(&parameter, file.label()).shares(&file, None).unwrap().count();
            assert!(shares <= before, "{format} {split_bytes}: {shares}");
            before = shares;
            assert_eq!(read(&parameter, &file).unwrap().rows, wanted, "{format} {split_bytes}");
        }
        assert_eq!(before, 1);
    }
}

#[test]
fn columns_are_chosen_by_index_name_or_value() {
    let (_, bytes) = many(&json!({ "fileFormat": "avro" }));
    let parameter = json!({ "column": [{ "value": "v" }, "text", { "index": 0, "type": "long", "name": "n" }] });
    let content = read(&parameter, &input("a.avro", bytes.clone())).unwrap();
    assert_eq!(content.rows[1], row(&["v", "row 1", "1"]));
    let wrong = json!({ "column": ["other"] });
    let fault = read(&wrong, &input("a.avro", bytes)).err().unwrap();
    assert_eq!(fault.code, "format.column_missing");
}

#[test]
fn broken_files_are_faults_of_data_that_name_a_place() {
    for format in ["avro", "arrow", "arrowstream"] {
        let (_, good) = many(&json!({ "fileFormat": format, "compress": "zstd" }));
        let name = format!("a.{format}");
        let parameter = json!({ "fileFormat": format });
        let cut = input(&name, &good[..good.len() * 2 / 3]);
        let fault = read(&parameter, &cut).err().unwrap();
        assert_eq!(fault.code, "format.corrupt", "{format}: {}", fault.message);
        assert!(fault.message.contains(&name), "{}", fault.message);
        let mut broken = good.clone();
        let middle = good.len() / 2;
        broken[middle..middle + 64].fill(0xa5);
        let fault = read(&parameter, &input(&name, broken)).err().unwrap();
        assert_eq!(fault.code, "format.corrupt", "{format}: {}", fault.message);
        let place = if format == "avro" { "byte" } else { "record batch" };
        assert!(fault.message.contains(place), "{format}: {}", fault.message);
        let fault = read(&parameter, &input(&name, "id,name\n1,a\n")).err().unwrap();
        assert_eq!(fault.code, "format.corrupt", "{format}: {}", fault.message);
    }
}

#[test]
fn names_that_avro_lacks_are_refused() {
    let parameters: WriteParameters =
        serde_json::from_value(json!({ "fileFormat": "avro" })).unwrap();
    let field = arrow_schema::Field::new("first name", arrow_schema::DataType::Int64, true);
    let schema: SchemaRef = Arc::new(arrow_schema::Schema::new(vec![field]));
    let format = parameters.format(&["first name".to_owned()]).unwrap();
    let fault = format.encoder(Box::new(Vec::new()), &schema).err().unwrap();
    assert_eq!(fault.code, "format.name");
}
