use super::*;

fn rows(parameter: Value, bytes: impl Into<Vec<u8>>) -> Vec<Vec<Option<String>>> {
    let content = read(&parameter, &input("a.csv", bytes)).unwrap();
    assert!(content.undecodable.is_empty(), "{:?}", content.undecodable);
    content.rows
}

#[test]
fn csv_fields_are_told_apart() {
    let three = || json!({ "column": text_columns(3) });
    let table: Vec<(Value, &str, Vec<Vec<&str>>)> = vec![
        (three(), "a,b,c\n", vec![vec!["a", "b", "c"]]),
        (three(), "a,b,c", vec![vec!["a", "b", "c"]]),
        (three(), "a,b,c\r\nd,e,f\r\n", vec![vec!["a", "b", "c"], vec!["d", "e", "f"]]),
        (three(), "a,,c\n", vec![vec!["a", "NULL", "c"]]),
        (three(), "a,\"\",c\n", vec![vec!["a", "", "c"]]),
        (three(), "\"a,b\",\"c\nd\",\"e\"\"f\"\n", vec![vec!["a,b", "c\nd", "e\"f"]]),
        (three(), "\"\"\"\",\"\"\"\"\"\",\"x\"\r\n", vec![vec!["\"", "\"\"", "x"]]),
        (three(), "5\" pipe,a\"b\"c,x\n", vec![vec!["5\" pipe", "a\"b\"c", "x"]]),
        (three(), ",,\n", vec![vec!["NULL", "NULL", "NULL"]]),
        (three(), ",,", vec![vec!["NULL", "NULL", "NULL"]]),
        (three(), "a,b,\"c\"", vec![vec!["a", "b", "c"]]),
        (three(), "\u{feff}a,b,c\n", vec![vec!["a", "b", "c"]]),
        (three(), "\n\na,b,c\n\r\n", vec![vec!["a", "b", "c"]]),
        (three(), " a , b,c \n", vec![vec![" a ", " b", "c "]]),
        (three(), "a\rb,\"c\r\",d\n", vec![vec!["a\rb", "c\r", "d"]]),
        (
            json!({ "column": text_columns(1), "header": ["a"] }),
            "a\n\nb\n",
            vec![vec!["a"], vec!["NULL"], vec!["b"]],
        ),
        (
            json!({ "column": text_columns(3), "nullFormat": "\\N" }),
            "\\N,\"\\N\",\n",
            vec![vec!["NULL", "\\N", ""]],
        ),
        (
            json!({ "column": text_columns(2), "lineDelimiter": "\r" }),
            "a,b\rc,d\r",
            vec![vec!["a", "b"], vec!["c", "d"]],
        ),
        (
            json!({ "column": text_columns(2), "fieldDelimiter": "\\u0001" }),
            "a\u{1}b\n",
            vec![vec!["a", "b"]],
        ),
        (
            json!({ "column": text_columns(3), "csvReaderConfig": { "trimWhitespace": true } }),
            " a ,\"b\" ,\tc\r\n",
            vec![vec!["a", "b", "c"]],
        ),
        (
            json!({ "column": text_columns(2), "csvReaderConfig": { "escapeMode": 2 } }),
            "\"a\\\"b\\\\\",c\\,d\\n\n\"x\\ny\",z\n",
            vec![vec!["a\"b\\", "c,d\n"], vec!["x\ny", "z"]],
        ),
        (
            json!({ "column": text_columns(2), "csvReaderConfig": { "useTextQualifier": "false" } }),
            "\"a,b\"\n",
            vec![vec!["\"a", "b\""]],
        ),
        (
            json!({ "column": text_columns(2), "csvReaderConfig": { "textQualifier": "'" } }),
            "'a,b',\"\n",
            vec![vec!["a,b", "\""]],
        ),
        (
            json!({ "column": text_columns(1), "csvReaderConfig": { "useComments": true } }),
            "# no\na\n#\n",
            vec![vec!["a"]],
        ),
        (
            json!({ "column": text_columns(2), "fileFormat": "text" }),
            "\"a,\\N\n,b\r\n",
            vec![vec!["\"a", "NULL"], vec!["", "b"]],
        ),
        (
            json!({ "fileFormat": "text", "column": [{ "index": 0, "type": "int" }, { "index": 1, "type": "string" }] }),
            ",\n1,\\N\n",
            vec![vec!["NULL", ""], vec!["1", "NULL"]],
        ),
    ];
    for (parameter, text, expected) in table {
        let expected: Vec<_> = expected.iter().map(|texts| row(texts)).collect();
        assert_eq!(rows(parameter.clone(), text), expected, "{parameter} {text:?}");
    }
}

#[test]
fn columns_are_chosen_by_index_name_or_value() {
    let parameter = json!({ "header": true, "column": [
        { "name": "c", "type": "long" }, { "index": 0, "type": "string" },
        { "value": "batch-7", "type": "string" }, { "value": 3, "type": "int" },
        { "value": null, "type": "date" }, { "index": 0, "name": "again", "type": "string" },
    ] });
    let content = read(&parameter, &input("a.csv", "a,b,c\nx,y,7\n")).unwrap();
    assert_eq!(content.rows, [row(&["7", "x", "batch-7", "3", "NULL", "x"])]);
    let names: Vec<_> = content.schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["c", "column_0", "value_2", "value_3", "value_4", "again"]);
}

#[test]
fn texts_become_values_of_their_type() {
    let table = [
        ("long", None, "-9223372036854775808", Ok("-9223372036854775808")),
        ("long", None, "9223372036854775808", Err("format.range")),
        ("long", None, "1.0", Err("format.value")),
        ("long", None, "+007", Ok("7")),
        ("long", None, "-", Err("format.value")),
        ("int", None, "2147483648", Err("format.range")),
        ("smallint", None, "-32768", Ok("-32768")),
        ("double", None, "1e300", Ok("1e300")),
        ("double", None, "NaN", Ok("NaN")),
        ("double", None, "-Infinity", Ok("-Infinity")),
        ("double", None, "0x1", Err("format.value")),
        ("double", None, "1e999", Err("format.range")),
        ("float", None, "-1e39", Err("format.range")),
        ("float", None, "0.1", Ok("0.1")),
        ("decimal(15,2)", None, "-0.05", Ok("-0.05")),
        ("decimal(15,2)", None, "1", Ok("1.00")),
        ("decimal(15,2)", None, "1.500", Ok("1.50")),
        ("decimal(15,2)", None, "1.505", Err("format.precision")),
        ("decimal(15,2)", None, "1.5e3", Ok("1500.00")),
        ("decimal(15,2)", None, ".5", Ok("0.50")),
        ("decimal(15,2)", None, "9999999999999.99", Ok("9999999999999.99")),
        ("decimal(15,2)", None, "10000000000000.00", Err("format.range")),
        ("decimal(3,0)", None, "1000", Err("format.range")),
        (
            "decimal(38,2)",
            None,
            "999999999999999999999999999999999999.99",
            Ok("999999999999999999999999999999999999.99"),
        ),
        (
            "decimal(76,1)",
            None,
            "-123456789012345678901234567890123456789012345678901234567890.5",
            Ok("-123456789012345678901234567890123456789012345678901234567890.5"),
        ),
        ("decimal(15,2)", None, "1,5", Err("format.value")),
        ("boolean", None, "TRUE", Ok("true")),
        ("boolean", None, "1", Err("format.value")),
        ("date", None, "2024-02-29", Ok("2024-02-29")),
        ("date", None, "2023-02-29", Err("format.value")),
        ("date", None, "1969-12-31", Ok("1969-12-31")),
        ("date", None, "0001-01-01", Ok("0001-01-01")),
        ("date", None, "-0044-03-15", Ok("-0044-03-15")),
        ("date", None, "12024-01-01", Ok("12024-01-01")),
        ("date", None, "2024-02-29 00:00:00", Ok("2024-02-29")),
        ("date", None, "2024-02-29 00:00:01", Err("format.precision")),
        ("date", Some("yyyy/MM/dd"), "2024/02/29", Ok("2024-02-29")),
        ("date", Some("yyyyMMdd"), "20240229", Ok("2024-02-29")),
        ("date", Some("d.M.yyyy"), "9.2.2024", Ok("2024-02-09")),
        ("date", Some("yyyy-MM-dd HH:mm:ss"), "2024-02-29 23:59:59", Ok("2024-02-29 23:59:59")),
        (
            "date",
            Some("yyyy-MM-dd'T'HH:mm:ss.SSSXXX"),
            "2024-02-29T23:59:59.123+01:00",
            Ok("2024-02-29 22:59:59.123000Z"),
        ),
        ("time", None, "24:00:00", Ok("24:00:00")),
        ("time", None, "24:00:01", Err("format.value")),
        ("time", None, "12:30", Ok("12:30:00")),
        ("time", None, "12:30:00.000001", Ok("12:30:00.000001")),
        ("time", None, "12:30:00.0000001", Err("format.precision")),
        ("timestamp", None, "2024-01-01 10:00:00.5", Ok("2024-01-01 10:00:00.500000")),
        ("timestamp", None, "2024-01-01T10:00:00", Ok("2024-01-01 10:00:00")),
        ("timestamp", None, "2024-01-01T10:00:00Z", Err("format.zone")),
        ("timestamp", None, "1969-12-31 23:59:59.999999", Ok("1969-12-31 23:59:59.999999")),
        ("timestamp", None, "294248-01-01 00:00:00", Err("format.range")),
        ("timestamptz", None, "2024-01-01 00:00:00+05:30", Ok("2023-12-31 18:30:00Z")),
        ("timestamptz", None, "2024-01-01 00:00:00-08", Ok("2024-01-01 08:00:00Z")),
        ("timestamptz", None, "2024-01-01 00:00:00", Err("format.zone")),
        ("bytes", None, "aé", Ok("YcOp")),
        ("binary", None, "YcOp", Ok("YcOp")),
        ("binary", None, "?", Err("format.value")),
        ("binary", Some("hex"), "\\x61c3", Ok("YcM=")),
    ];
    for (kind, format, text, expected) in table {
        let parameter = json!({ "fieldDelimiter": "|", "column": [{ "index": 0, "type": kind, "format": format }] });
        let content = read(&parameter, &input("a.csv", format!("{text}\n"))).unwrap();
        let found = match content.undecodable.as_slice() {
            [] => Ok(content.rows[0][0].clone().unwrap()),
            [dirty] => Err(dirty.code.clone()),
            _ => panic!("two reasons for one record"),
        };
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(found, expected, "{kind} {format:?} {text}");
    }
}

#[test]
fn records_that_do_not_fit_are_told_whole() {
    let text = b"id,n\n1,one\nx,two\n\"3\nx\",three\n4\n5,f,g\n6,s\xffx\n7,\"a\"b\n8,eight\n";
    let parameter = json!({ "header": true, "column": [
        { "name": "id", "type": "long" }, { "name": "n", "type": "string" },
    ] });
    let content = read(&parameter, &input("in/a.csv", &text[..])).unwrap();
    assert_eq!(content.rows, [row(&["1", "one"]), row(&["8", "eight"])]);
    let told: Vec<_> = content
        .undecodable
        .iter()
        .map(|dirty| (dirty.origin.as_str(), dirty.code.as_str(), dirty.data.as_slice()))
        .collect();
    assert_eq!(
        told,
        [
            ("in/a.csv:3", "format.value", &b"x,two"[..]),
            ("in/a.csv:4", "format.value", b"\"3\nx\",three"),
            ("in/a.csv:6", "format.fields", b"4"),
            ("in/a.csv:7", "format.fields", b"5,f,g"),
            ("in/a.csv:8", "format.utf8", b"6,s\xffx"),
            ("in/a.csv:9", "format.quote", b"7,\"a\"b"),
        ]
    );
    let message = &content.undecodable[0].message;
    assert_eq!(message, "column \"id\" is no bigint: the text is not written like one");
}

#[test]
fn a_budget_is_kept() {
    let text: String = (0..5000).map(|row| format!("{row},{}\n", "x".repeat(row % 50))).collect();
    let file = input("a.csv", text);
    let format = format(&json!({}), "a.csv");
    let schema = schema(&format, &file).unwrap();
    for (rows_max, bytes_max) in [(1, u64::MAX), (7, u64::MAX), (1000, 2000), (1000, 1)] {
        let budget = Budget { rows: rows_max, bytes: bytes_max, wait_ms: 0 };
        let share = format.shares(&file, None).unwrap().next().unwrap().unwrap();
        let mut reader = format.open(&file, &share, &schema, None).unwrap();
        let mut rows = 0;
        while let Some(chunk) = reader.next(budget).unwrap() {
            let batch = chunk.batch.unwrap();
            assert!(batch.num_rows() <= rows_max as usize);
            let size =
                |column: &arrow_array::ArrayRef| column.to_data().get_slice_memory_size().unwrap();
            let bytes: usize = batch.columns().iter().map(size).sum();
            assert!(batch.num_rows() == 1 || bytes as u64 <= bytes_max, "{bytes} {bytes_max}");
            rows += batch.num_rows();
        }
        assert_eq!(rows, 5000);
    }
}

#[test]
fn json_lines_are_read_by_name() {
    let text = concat!(
        "{\"id\":1,\"t\":\"a\\u00e9\\n\\ud83d\\ude00\",\"n\":{\"x\":[1,\"}\"]},\"d\":1.50,\"on\":true}\n",
        "\r\n",
        " { \"on\" : false , \"d\" : 2 , \"id\" : 2, \"t\" : null } \r\n",
        "{}\n",
    );
    let parameter = json!({ "column": [
        { "name": "id", "type": "long" }, { "name": "t", "type": "string" },
        { "name": "n", "type": "string" }, { "name": "d", "type": "decimal(10,2)" },
        { "name": "on", "type": "boolean" }, { "value": "c" },
    ] });
    let content = read(&parameter, &input("a.jsonl", text)).unwrap();
    assert!(content.undecodable.is_empty(), "{:?}", content.undecodable);
    assert_eq!(
        content.rows,
        [
            row(&["1", "aé\n😀", "{\"x\":[1,\"}\"]}", "1.50", "true", "c"]),
            row(&["2", "NULL", "NULL", "2.00", "false", "c"]),
            row(&["NULL", "NULL", "NULL", "NULL", "NULL", "c"]),
        ]
    );
}

#[test]
fn lines_that_are_no_objects_are_told() {
    let bad = [
        "[1]",
        "{",
        "{\"a\":1",
        "{\"a\":1}x",
        "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":.5}",
        "{\"a\":1.}",
        "{\"a\":nul}",
        "{\"a\" 1}",
        "{a:1}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"x}",
        "{\"a\":[1}",
        "{\"a\":1,}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":\"\t\"}",
        "{\"a\":}",
        "null",
    ];
    let text = bad.join("\n") + "\n{\"a\":\"7\"}";
    let parameter = json!({ "column": [{ "name": "a", "type": "long" }] });
    let content = read(&parameter, &input("a.jsonl", text)).unwrap();
    assert_eq!(content.rows, [row(&["7"])]);
    assert_eq!(content.undecodable.len(), bad.len());
    for (dirty, (at, line)) in content.undecodable.iter().zip(bad.iter().enumerate()) {
        assert_eq!(dirty.code, "format.json", "{line}");
        assert_eq!(dirty.origin, format!("a.jsonl:{}", at + 1));
        assert_eq!(dirty.data, line.as_bytes());
    }
}

#[test]
fn members_that_were_not_inferred_are_told() {
    let mut text = String::new();
    for row in 0..200_000 {
        text += &format!("{{\"id\":{row}}}\n");
    }
    let at = text.len() / 4;
    let at = at + text[at..].find('\n').unwrap() + 1;
    text.insert_str(at, "{\"id\":1,\"new\":2}\n{\"id\":\"x\"}\n");
    let content = read(&json!({}), &input("a.jsonl", text)).unwrap();
    assert_eq!(content.rows.len(), 200_000);
    let codes: Vec<_> = content.undecodable.iter().map(|dirty| dirty.code.as_str()).collect();
    assert_eq!(codes, ["format.unknown_member", "format.value"]);
    assert!(content.undecodable[1].message.contains("declare \"column\""));
}

#[test]
fn broken_packed_files_are_faults_of_data() {
    let batch = crate::tests::round_trip::plain_batch();
    for (compress, name) in [
        ("gzip", "a.csv.gz"),
        ("zstd", "a.csv.zst"),
        ("snappy", "a.csv.sz"),
        ("hadoop-snappy", "a.csv.snappy"),
        ("lz4", "a.csv.lz4"),
        ("xz", "a.csv.xz"),
        ("bzip2", "a.csv.bz2"),
        ("zip", "a.csv.zip"),
    ] {
        let good = written(&json!({ "compress": compress }), std::slice::from_ref(&batch));
        assert_eq!(
            read(&json!({}), &input(name, good.clone())).unwrap().rows.len(),
            batch.num_rows()
        );
        // Without an ending in the name the first bytes tell.
        if compress != "hadoop-snappy" {
            assert_eq!(
                read(&json!({}), &input("a", good.clone())).unwrap().rows.len(),
                batch.num_rows()
            );
        }
        let cut = input(name, &good[..good.len() - 9]);
        assert_eq!(read(&json!({}), &cut).err().unwrap().code, "format.corrupt");
        let mut broken = good.clone();
        broken[good.len() / 2] ^= 0x55;
        let broken = read(&json!({}), &input(name, broken));
        assert_eq!(broken.err().unwrap().code, "format.corrupt");
    }
}

#[test]
fn parquet_that_is_cut_off_is_a_fault_of_data() {
    let batch = crate::tests::round_trip::plain_batch();
    let good = written(&json!({ "fileFormat": "parquet" }), &[batch]);
    for length in [0, 3, 8, good.len() / 2, good.len() - 1] {
        let fault = read(&json!({}), &input("a.parquet", &good[..length])).err().unwrap();
        assert_eq!(fault.code, "format.corrupt", "{length}");
        assert!(fault.message.contains("\"a.parquet\""));
    }
}

#[test]
fn a_record_without_end_is_refused() {
    let text = "a,\"".to_owned() + &"x".repeat(60 << 20);
    let parameter = json!({ "column": text_columns(2) });
    let fault = read(&parameter, &input("a.csv", text)).err().unwrap();
    assert_eq!(fault.code, "format.record_too_long");
}

/// Gives the bytes that it had, and fewer than it said.
struct Shrinking(Memory);

impl Input for Shrinking {
    fn label(&self) -> &str {
        &self.0.label
    }

    fn len(&self) -> u64 {
        self.0.len() + 100
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        self.0.read_at(offset, buffer)
    }
}

#[test]
fn a_file_that_shrinks_is_a_fault_and_no_end() {
    let csv = b"1,a\n2,b".to_vec();
    let packed = written(&json!({ "compress": "gzip" }), &[round_trip::plain_batch()]);
    let parquet = written(&json!({ "fileFormat": "parquet" }), &[round_trip::plain_batch()]);
    for (name, bytes) in [("a.csv", csv), ("a.csv.gz", packed), ("a.parquet", parquet)] {
        let memory = Memory { label: name.to_owned(), bytes };
        let file: Arc<dyn Input> = Arc::new(Shrinking(memory));
        let fault = read(&json!({ "column": ["*"], "inferTypes": false }), &file).err().unwrap();
        assert_eq!(fault.code, "file.changed", "{name}: {}", fault.message);
    }
}

#[test]
fn packed_files_may_have_several_members() {
    for compress in ["gzip", "zstd", "snappy", "hadoop-snappy", "lz4", "xz", "bzip2"] {
        let parameter = json!({ "compress": compress });
        let one = written(&parameter, &[round_trip::plain_batch()]);
        let content = read(&parameter, &input("a.csv", [one.clone(), one].concat())).unwrap();
        assert_eq!(content.rows.len(), 400, "{compress}");
        assert_eq!(content.rows[..200], content.rows[200..], "{compress}");
    }
}

#[test]
fn snappy_may_be_one_block_without_frames() {
    let text: String = (0..50_000).map(|row| format!("{row},row {row}\n")).collect();
    for length in [1, 100, 127, 128, 300, 16_384, text.len()] {
        let text = &text[..length];
        let packed = snap::raw::Encoder::new().compress_vec(text.as_bytes()).unwrap();
        let parameter = json!({ "column": text_columns(1) });
        let rows = read(&parameter, &input("a.csv.snappy", packed.clone())).unwrap().rows;
        assert_eq!(rows.len(), text.lines().count(), "{length}");
        let cut = input("a.csv.snappy", &packed[..packed.len() - 1]);
        assert_eq!(read(&parameter, &cut).err().unwrap().code, "format.corrupt", "{length}");
    }
}

#[test]
fn inferred_doubles_that_would_be_rounded_are_dirty() {
    for (name, sample, more) in [
        ("a.csv", "d\n1.5\n1e5\n", "d\n0.30000000000000004\n0.12345678901234567\n1e999\n"),
        (
            "a.jsonl",
            "{\"d\":1.5}\n{\"d\":1e5}\n",
            "{\"d\":0.30000000000000004}\n{\"d\":0.12345678901234567}\n{\"d\":1e999}\n",
        ),
    ] {
        let (sample, more) = (input(name, sample), input(name, more));
        let read = |parameter: Value| {
            let format = format(&parameter, name);
            let schema = schema(&format, &sample).unwrap();
            let share = format.shares(&more, None).unwrap().next().unwrap().unwrap();
            let (mut rows, mut dirty) = (Vec::new(), Vec::new());
            read_share(&format, &more, &share, &schema, None, BUDGET, &mut rows, &mut dirty)
                .unwrap();
            let codes: Vec<_> = dirty.into_iter().map(|record| record.code).collect();
            (rows.len(), codes)
        };
        let inferred = read(json!({ "header": true }));
        assert_eq!(inferred, (1, vec!["format.precision".into(), "format.range".into()]), "{name}");
        // Who declares a double wants the nearest one.
        let column = json!([{ "name": "d", "type": "double" }]);
        let declared = read(json!({ "header": true, "column": column }));
        assert_eq!(declared, (2, vec!["format.range".into()]), "{name}");
    }
}

#[test]
fn the_number_of_rows_is_that_of_the_file_whichever_columns_are_chosen() {
    for (text, expected) in [("a,b,c\n\nd,e,f\n\n", 2), ("a\n\nb\n", 3), ("\n\na,b\n", 1)] {
        let chosen = [
            json!([{ "index": 0, "type": "string" }]),
            json!([{ "value": "x" }]),
            json!([{ "value": 1, "type": "int" }, { "index": 0, "type": "string" }]),
        ];
        for column in chosen {
            let got = rows(json!({ "column": column }), text);
            assert_eq!(got.len(), expected, "{column} {text:?}");
        }
    }
}

#[test]
fn names_may_have_another_case() {
    let parameter = json!({
        "header": true, "column": ["ID", { "name": "Name", "type": "string" }],
        "csvReaderConfig": { "caseSensitive": false },
    });
    let content = read(&parameter, &input("a.csv", "id,NAME\n1,x\n")).unwrap();
    assert_eq!(content.rows, [row(&["1", "x"])]);
    assert_eq!(types(&content.schema), ["bigint", "string"]);
    let all = json!({ "header": true, "csvReaderConfig": { "caseSensitive": false } });
    let files = [input("a.csv", "id,name\n1,x\n"), input("b.csv", "NAME,ID\ny,2\n")];
    let format = format(&all, "a.csv");
    let schema = format.schema(2, &|index| Ok(files[index].clone())).unwrap();
    assert_eq!(types(&schema), ["bigint", "string"]);
}

#[test]
fn fields_of_fixed_width_are_read_and_written() {
    let column = json!([
        { "name": "id", "width": 5, "type": "int" },
        { "name": "city", "width": 4 },
        { "name": "day", "start": 10, "width": 10, "type": "date" },
        { "name": "first", "start": 5, "width": 1 },
        { "value": "x" },
    ]);
    let text = "    1Köln 2026-11-27\r\n   22Ulm\n\n  333     2026-11-28 more\n";
    let parameter = json!({ "fileFormat": "fixed", "column": column });
    let content = read(&parameter, &input("a.dat", text)).unwrap();
    let wanted = [
        row(&["1", "Köln", "2026-11-27", "K", "x"]),
        row(&["333", "NULL", "2026-11-28", "NULL", "x"]),
    ];
    assert_eq!(content.rows, wanted);
    let [dirty] = content.undecodable.as_slice() else { panic!("{:?}", content.undecodable) };
    assert_eq!(dirty.code, "format.fields");

    let batch = round_trip::plain_batch();
    let names: Vec<_> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
    let widths: Vec<_> = names.iter().map(|name| json!({ "name": name, "width": 60 })).collect();
    let parameters: WriteParameters =
        serde_json::from_value(json!({ "fileFormat": "fixed", "column": widths })).unwrap();
    let output = Shared::default();
    let format = parameters.format(&names).unwrap();
    let mut encoder = format.encoder(Box::new(output.clone()), &batch.schema()).unwrap();
    let refused = encoder.write(&batch).unwrap();
    encoder.finish().unwrap();
    let back = parameters.back(&batch.schema()).unwrap().unwrap().0;
    let bytes = output.0.lock().unwrap().clone();
    let found = read(&Value::Object(back), &input("a.txt", bytes)).unwrap();
    assert!(found.undecodable.is_empty(), "{:?}", found.undecodable);
    let is_refused = |row: usize| refused.iter().any(|refused| refused.row as usize == row);
    let kept = texts(&batch).into_iter().enumerate().filter(|(row, _)| !is_refused(*row));
    assert_eq!(found.rows, kept.map(|(_, row)| row).collect::<Vec<_>>());
    let narrow = json!({ "fileFormat": "fixed", "column": [{ "name": "id" }] });
    let narrow: WriteParameters = serde_json::from_value(narrow).unwrap();
    let fault = narrow.format(&["id".to_owned()]).unwrap_err();
    assert_eq!(fault.place.as_deref(), Some("/parameter/column/0"));
}
