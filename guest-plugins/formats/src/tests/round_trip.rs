use std::sync::Arc;

use arrow_array::builder::{ListBuilder, MapBuilder, StringBuilder};
use arrow_array::types::{Float32Type, Int32Type};
use arrow_array::*;
use arrow_buffer::i256;
use arrow_schema::{DataType, Field, Schema, TimeUnit};

use super::*;

/// Some rows that every format holds.
pub(in crate::tests) fn plain_batch() -> RecordBatch {
    let ids = Int64Array::from_iter_values(0..200);
    let texts = StringArray::from_iter_values((0..200).map(|row| format!("row {row}")));
    RecordBatch::try_from_iter([("id", Arc::new(ids) as ArrayRef), ("text", Arc::new(texts))])
        .unwrap()
}

/// A column of each type that text formats read back as declared: type, value.
fn declared() -> Vec<(&'static str, ArrayRef)> {
    let timestamps = vec![Some(i64::MAX), None, Some(-1), Some(i64::MIN)];
    vec![
        (
            "smallint",
            Arc::new(Int16Array::from(vec![Some(i16::MIN), None, Some(0), Some(i16::MAX)])),
        ),
        ("int", Arc::new(Int32Array::from(vec![Some(i32::MIN), None, Some(0), Some(i32::MAX)]))),
        ("bigint", Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(0), Some(i64::MAX)]))),
        (
            "float",
            Arc::new(Float32Array::from(vec![
                Some(0.1),
                None,
                Some(f32::MIN_POSITIVE),
                Some(f32::INFINITY),
            ])),
        ),
        (
            "double",
            Arc::new(Float64Array::from(vec![
                Some(0.1),
                None,
                Some(f64::MAX),
                Some(f64::NEG_INFINITY),
            ])),
        ),
        (
            "decimal(38,5)",
            Arc::new(
                Decimal128Array::from(vec![Some(-1), None, Some(0), Some(10_i128.pow(38) - 1)])
                    .with_precision_and_scale(38, 5)
                    .unwrap(),
            ),
        ),
        (
            "decimal(76,3)",
            Arc::new(
                Decimal256Array::from(vec![
                    Some(i256::MINUS_ONE),
                    None,
                    Some(i256::ZERO),
                    i256::from_string(&"9".repeat(76)),
                ])
                .with_precision_and_scale(76, 3)
                .unwrap(),
            ),
        ),
        (
            "string",
            Arc::new(StringArray::from(vec![
                Some(""),
                None,
                Some("a,\"b\"\r\n\\"),
                Some("\u{feff}NULL é\u{1}"),
            ])),
        ),
        ("boolean", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false), Some(true)]))),
        ("date", Arc::new(Date32Array::from(vec![Some(-719_528), None, Some(0), Some(2_932_896)]))),
        (
            "time",
            Arc::new(Time64MicrosecondArray::from(vec![
                Some(0),
                None,
                Some(1),
                Some(86_400_000_000),
            ])),
        ),
        ("timestamp", Arc::new(TimestampMicrosecondArray::from(timestamps.clone()))),
        ("timestamptz", Arc::new(TimestampMicrosecondArray::from(timestamps).with_timezone("UTC"))),
        (
            "binary",
            Arc::new(BinaryArray::from(vec![
                Some(&b""[..]),
                None,
                Some(&[0, 255, 10]),
                Some(b"x"),
            ])),
        ),
    ]
}

pub(in crate::tests) fn declared_batch() -> (RecordBatch, Value) {
    let columns = declared();
    let column: Value = columns
        .iter()
        .enumerate()
        .map(|(at, (kind, _))| json!({ "name": format!("c{at}"), "type": kind }))
        .collect();
    let arrays = columns.into_iter().enumerate();
    let batch =
        RecordBatch::try_from_iter(arrays.map(|(at, (_, array))| (format!("c{at}"), array)))
            .unwrap();
    (batch, column)
}

pub(in crate::tests) fn read_back(parameter: &Value, name: &str, bytes: Vec<u8>) -> RecordBatch {
    let (format, file) = (format(parameter, name), input(name, bytes));
    let schema = schema(&format, &file).unwrap();
    let mut batches = Vec::new();
    for share in format.shares(&file, None).unwrap() {
        let mut reader = format.open(&file, &share.unwrap(), &schema, None).unwrap();
        while let Some(chunk) = reader.next(BUDGET).unwrap() {
            assert!(chunk.undecodable.is_empty(), "{:?}", chunk.undecodable);
            batches.extend(chunk.batch);
        }
    }
    arrow_select::concat::concat_batches(&schema, &batches).unwrap()
}

#[test]
fn text_formats_give_back_what_they_were_given() {
    let (batch, column) = declared_batch();
    let styles = [
        json!({ "header": true }),
        json!({ "nullFormat": "NULL", "header": true }),
        json!({ "lineDelimiter": "\r\n", "quote": "'", "header": true }),
        json!({ "escapeChar": "\\", "header": true, "fieldDelimiter": "-" }),
        json!({ "fileFormat": "json" }),
        json!({ "compress": "gzip", "header": true }),
        json!({ "fileFormat": "jsonl", "compress": "zstd" }),
    ];
    for style in styles {
        let bytes = written(&style, std::slice::from_ref(&batch));
        let mut parameter = json!({ "column": column, "header": style["header"], "nullFormat": style["nullFormat"],
            "fieldDelimiter": style["fieldDelimiter"], "csvReaderConfig": {} });
        if style["quote"] == "'" {
            parameter["csvReaderConfig"]["textQualifier"] = json!("'");
        }
        if style["escapeChar"] == "\\" {
            parameter["csvReaderConfig"]["escapeMode"] = json!(2);
        }
        let name = if style["fileFormat"].is_string() { "a.jsonl" } else { "a.csv" };
        let found = read_back(&parameter, name, bytes);
        for (at, column) in batch.columns().iter().enumerate() {
            assert_eq!(found.column(at), column, "{style} column {at}");
        }
    }
}

#[test]
fn csv_and_json_write_exact_texts() {
    let (batch, _) = declared_batch();
    let batch = batch.slice(2, 1);
    let csv = String::from_utf8(written(&json!({}), std::slice::from_ref(&batch))).unwrap();
    assert_eq!(
        csv,
        "0,0,0,1.1754944e-38,1.7976931348623157e308,0.00000,0.000,\"a,\"\"b\"\"\r\n\\\",false,1970-01-01,\
         00:00:00.000001,1969-12-31 23:59:59.999999,1969-12-31 23:59:59.999999Z,AP8K\n"
    );
    let json = String::from_utf8(written(&json!({ "fileFormat": "json" }), &[batch])).unwrap();
    assert_eq!(
        json,
        "{\"c0\":0,\"c1\":0,\"c2\":0,\"c3\":1.1754944e-38,\"c4\":1.7976931348623157e308,\"c5\":0.00000,\
         \"c6\":0.000,\"c7\":\"a,\\\"b\\\"\\r\\n\\\\\",\"c8\":false,\"c9\":\"1970-01-01\",\
         \"c10\":\"00:00:00.000001\",\"c11\":\"1969-12-31T23:59:59.999999\",\
         \"c12\":\"1969-12-31T23:59:59.999999Z\",\"c13\":\"AP8K\"}\n"
    );
}

#[test]
fn what_has_no_end_comes_back() {
    let text = "infinity,-infinity,infinity,24:00:00\n";
    let column = json!([
        { "index": 0, "type": "date" }, { "index": 1, "type": "timestamp" },
        { "index": 2, "type": "timestamptz" }, { "index": 3, "type": "time" },
    ]);
    let batch = read_back(&json!({ "column": column }), "a.csv", text.into());
    let schema = batch.schema();
    let meaning = |field: usize| {
        schema.field(field).metadata().get("airlock:extremes").map(|text| text.to_string())
    };
    assert_eq!(meaning(0).as_deref(), Some("infinity"));
    assert_eq!(meaning(3).as_deref(), Some("24:00"));
    assert_eq!(String::from_utf8(written(&json!({}), &[batch])).unwrap(), text);
}

#[test]
fn a_pattern_may_hold_what_has_a_meaning() {
    let days = Arc::new(Date32Array::from(vec![0])) as ArrayRef;
    let batch = RecordBatch::try_from_iter([("day", days.clone()), ("again", days)]).unwrap();
    let parameter = json!({ "dateFormat": "dd,MM \"yyyy\"" });
    let text = String::from_utf8(written(&parameter, &[batch])).unwrap();
    assert_eq!(text, "\"01,01 \"\"1970\"\"\",\"01,01 \"\"1970\"\"\"\n");
}

#[test]
fn dates_follow_the_pattern_of_the_job() {
    let days: ArrayRef = Arc::new(Date32Array::from(vec![19_782]));
    let at: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1_709_209_845_123_456]));
    let batch = RecordBatch::try_from_iter([("day", days), ("at", at)]).unwrap();
    let style = json!({ "dateFormat": "yyyyMMdd'T'HHmmss.SSS" });
    let text = String::from_utf8(written(&style, &[batch])).unwrap();
    assert_eq!(text, "20240229T000000.000,20240229T123045.123\n");
}

/// All that Parquet holds: nested, opaque, zones, units.
pub(in crate::tests) fn rich_batch() -> RecordBatch {
    let mut lists = ListBuilder::new(StringBuilder::new());
    lists.append_value([Some("a"), None]);
    lists.append_null();
    lists.append_value([Some("\"x\"")]);
    let mut maps =
        MapBuilder::new(None, StringBuilder::new(), arrow_array::builder::Int32Builder::new());
    maps.keys().append_value("k");
    maps.values().append_value(1);
    maps.append(true).unwrap();
    maps.append(false).unwrap();
    maps.append(true).unwrap();
    let fixed = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(
        [Some([Some(1.0), None]), None, Some([Some(3.0), Some(4.0)])],
        2,
    );
    let inner: ArrayRef = Arc::new(PrimitiveArray::<Int32Type>::from(vec![Some(1), None, Some(3)]));
    let structs =
        StructArray::from(vec![(Arc::new(Field::new("x", DataType::Int32, true)), inner)]);
    let uuid = FixedSizeBinaryArray::try_from_iter([[7_u8; 16]; 3].iter()).unwrap();
    let seconds =
        TimestampSecondArray::from(vec![Some(1), None, Some(-1)]).with_timezone("Asia/Shanghai");
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("list", Arc::new(lists.finish())),
        ("map", Arc::new(maps.finish())),
        ("fixed", Arc::new(fixed)),
        ("struct", Arc::new(structs)),
        ("uuid", Arc::new(uuid)),
        ("seconds", Arc::new(seconds)),
        ("nanos", Arc::new(TimestampNanosecondArray::from(vec![Some(1), None, Some(-1)]))),
        ("unsigned", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None, Some(0)]))),
        ("millis", Arc::new(Time32MillisecondArray::from(vec![Some(1), None, Some(0)]))),
        ("nothing", Arc::new(NullArray::new(3))),
        ("money", Arc::new(StringArray::from(vec![Some("$1.00"), None, Some("$2.00")]))),
    ];
    let fields = columns.iter().map(|(name, array)| {
        let field = Field::new(*name, array.data_type().clone(), true);
        let extension = |name: &str, more: &str| {
            let pairs = [("ARROW:extension:name", name), ("ARROW:extension:metadata", more)];
            pairs.map(|(key, value)| (key.to_owned(), value.to_owned()))
        };
        match *name {
            "uuid" => field.with_metadata(extension("arrow.uuid", "")),
            "money" => field.with_metadata(extension(
                "arrow.opaque",
                "{\"type_name\":\"money\",\"vendor_name\":\"PostgreSQL\"}",
            )),
            _ => field,
        }
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    RecordBatch::try_new(schema, columns.into_iter().map(|(_, array)| array).collect()).unwrap()
}

#[test]
fn parquet_gives_back_types_values_and_metadata() {
    let codecs = ["none", "snappy", "gzip", "zstd", "lz4", "brotli"];
    for batch in [declared_batch().0, rich_batch()] {
        for codec in codecs {
            let style = json!({ "fileFormat": "parquet", "compress": codec });
            let found =
                read_back(&json!({}), "a.parquet", written(&style, std::slice::from_ref(&batch)));
            assert_eq!(found.schema().fields(), batch.schema().fields(), "{codec}");
            for (at, column) in batch.columns().iter().enumerate() {
                assert_eq!(&found.column(at).to_data(), &column.to_data(), "{codec} column {at}");
            }
        }
    }
}

#[test]
fn nested_values_are_json_in_text() {
    let text =
        String::from_utf8(written(&json!({ "fileFormat": "json" }), &[rich_batch()])).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["list"], json!(["a", null]));
    assert_eq!(lines[0]["map"], json!({ "k": 1 }));
    assert_eq!(lines[0]["fixed"], json!([1.0, null]));
    assert_eq!(lines[2]["struct"], json!({ "x": 3 }));
    assert_eq!(lines[0]["uuid"], json!("07070707-0707-0707-0707-070707070707"));
    assert_eq!(lines[0]["seconds"], json!("1970-01-01T00:00:01Z"));
    assert_eq!(lines[0]["nanos"], json!("1970-01-01T00:00:00.000000001"));
    assert_eq!(lines[0]["unsigned"], json!(u64::MAX));
    assert_eq!(lines[1]["money"], json!(null));
    // Read again, nested values stay JSON.
    let read = read_back(&json!({}), "a.jsonl", text.clone().into_bytes());
    let again = String::from_utf8(written(&json!({ "fileFormat": "json" }), &[read])).unwrap();
    let again: Vec<Value> = again.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(again[0]["list"], json!(["a", null]));
}

#[test]
fn parquet_is_read_by_row_groups_and_columns() {
    // About 100 bytes a row, so that row groups end by their bytes.
    let texts = |from: usize| {
        let text = |row: usize| format!("{row:090}");
        let ids = Int64Array::from_iter_values((from..from + 10_000).map(|row| row as i64));
        let texts = StringArray::from_iter_values((from..from + 10_000).map(text));
        RecordBatch::try_from_iter([("id", Arc::new(ids) as ArrayRef), ("text", Arc::new(texts))])
            .unwrap()
    };
    let batches: Vec<_> = (0..60).map(|at| texts(at * 10_000)).collect();
    let bytes = written(&json!({ "fileFormat": "parquet", "compress": "none" }), &batches);
    let file = input("a.parquet", bytes.clone());
    let one_each = format(&json!({ "splitBytes": 1 }), "a.parquet");
    let shares: Vec<_> =
        one_each.shares(&file, None).unwrap().map(|share| share.unwrap()).collect();
    assert!(shares.len() >= 2);
    for share in &shares {
        let Share::Groups { count, bytes, .. } = share else { panic!("row groups are wanted") };
        assert_eq!(*count, 1);
        assert!(*bytes <= 32 << 20, "{bytes}");
    }
    let parameter = json!({ "splitBytes": 1, "column": [
        { "value": "v" }, { "name": "text" }, { "index": 0, "type": "long", "name": "number" },
    ] });
    let found = read_back(&parameter, "a.parquet", bytes);
    assert_eq!(found.num_rows(), 600_000);
    let last = texts_of(&found, 599_999);
    assert_eq!(last, ["v".to_owned(), format!("{:090}", 599_999), "599999".to_owned()]);
    let wrong = format(&json!({ "column": [{ "name": "text", "type": "long" }] }), "a.parquet");
    assert_eq!(schema(&wrong, &file).unwrap_err().code, "format.type");
    let missing = format(&json!({ "column": ["other"] }), "a.parquet");
    assert_eq!(schema(&missing, &file).unwrap_err().code, "format.column_missing");
}

fn texts_of(batch: &RecordBatch, row: usize) -> Vec<String> {
    texts(&batch.slice(row, 1)).remove(0).into_iter().map(Option::unwrap).collect()
}

#[test]
fn types_without_a_text_are_refused_before_a_row() {
    let field = Field::new("d", DataType::Duration(TimeUnit::Second), true);
    let schema: SchemaRef = Arc::new(Schema::new(vec![field]));
    for format in ["csv", "json"] {
        let parameters: WriteParameters =
            serde_json::from_value(json!({ "fileFormat": format })).unwrap();
        let format = parameters.format(&["d".to_owned()]).unwrap();
        let fault = format.encoder(Box::new(Shared::default()), &schema).err().unwrap();
        assert_eq!(fault.code, "format.type");
    }
}

#[test]
fn texts_come_back_in_each_encoding() {
    let column = StringArray::from(vec![Some("中文, \"a\""), None, Some("行\n末"), Some("")]);
    let batch = RecordBatch::try_from_iter([("名", Arc::new(column) as ArrayRef)]).unwrap();
    for encoding in ["GBK", "GB18030", "UTF-16", "UTF-16LE", "UTF-16BE", "Big5"] {
        for mut parameter in [
            json!({ "header": true }),
            json!({ "fileFormat": "jsonl" }),
            json!({ "header": true, "compress": "zip" }),
        ] {
            parameter["encoding"] = json!(encoding);
            let bytes = written(&parameter, std::slice::from_ref(&batch));
            let content = read(&parameter, &input("a", bytes)).unwrap();
            assert_eq!(content.schema.field(0).name(), "名", "{parameter}");
            assert_eq!(content.rows, texts(&batch), "{parameter}");
        }
    }
}

#[test]
fn a_character_that_the_encoding_lacks_refuses_its_row() {
    let texts = StringArray::from(vec!["a", "€", "b"]);
    let ids = Int64Array::from(vec![1, 2, 3]);
    let columns = [("id", Arc::new(ids) as ArrayRef), ("text", Arc::new(texts))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    for parameter in [json!({}), json!({ "fileFormat": "jsonl" })] {
        let mut parameter = parameter;
        parameter["encoding"] = json!("iso-8859-1");
        let parameters: crate::parameters::WriteParameters =
            serde_json::from_value(parameter).unwrap();
        let format = parameters.format(&["id".to_owned(), "text".to_owned()]).unwrap();
        let mut encoder = format.encoder(Box::new(Vec::new()), &batch.schema()).unwrap();
        let refused = encoder.write(&batch).unwrap();
        assert_eq!(refused.len(), 1);
        assert_eq!((refused[0].row, refused[0].column), (1, 1));
    }
}
