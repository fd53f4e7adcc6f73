//! Cuts, and going on from a position.

use super::*;

/// Quotes with line ends, `\r\n`, quotes that mean nothing, long and empty fields.
fn nasty(rows: usize) -> String {
    let fields = [
        "a",
        "",
        "\"\"",
        "\"x,y\"",
        "\"line\nend\"",
        "\"two\r\nends\r\n\"",
        "\"say \"\"hi\"\"\"",
        "5\" pipe",
        "\"\"\"\"",
        "\"\"\"\n\"\"\"",
        "it's \"quoted\" not",
        "\"long long long long long long long,\n long\"",
    ];
    let ends = ["\n", "\r\n"];
    let field = |at: usize| fields[at * 7 % fields.len()];
    let row = |row: usize| format!("{row},{},{}{}", field(row), field(row / 3 + 1), ends[row % 2]);
    (0..rows).map(row).collect()
}

type Rows = Vec<Vec<Option<String>>>;

/// Rows and undecodable records of a file that is read in shares of `split_bytes`.
fn by_shares(
    parameter: &Value,
    name: &str,
    text: &str,
    split_bytes: usize,
) -> (Rows, Vec<Undecodable>, usize) {
    let mut parameter = parameter.clone();
    parameter["splitBytes"] = json!(split_bytes);
    let (format, file) = (format(&parameter, name), input(name, text));
    let schema = schema(&format, &file).unwrap();
    let (mut rows, mut dirty, mut shares) = (Vec::new(), Vec::new(), 0);
    for share in format.shares(&file, None).unwrap() {
        let share = share.unwrap();
        read_share(&format, &file, &share, &schema, None, BUDGET, &mut rows, &mut dirty).unwrap();
        shares += 1;
    }
    (rows, dirty, shares)
}

fn check_every_cut(parameter: &Value, name: &str, text: &str) {
    let whole = by_shares(parameter, name, text, usize::MAX >> 2);
    assert_eq!(whole.2, 1);
    for split_bytes in 1..text.len() {
        let found = by_shares(parameter, name, text, split_bytes);
        assert_eq!(found.0, whole.0, "{name} {split_bytes}");
        let origins = |dirty: &[Undecodable]| {
            dirty.iter().map(|dirty| (dirty.origin.clone(), dirty.data.clone())).collect::<Vec<_>>()
        };
        // CSV with quotes knows its lines in each share, others only in the first.
        if name.ends_with(".csv") {
            assert_eq!(origins(&found.1), origins(&whole.1), "{split_bytes}");
        } else {
            assert_eq!(found.1.len(), whole.1.len());
        }
        assert!(split_bytes > text.len() / 3 || found.2 > 1, "{name} {split_bytes} was not cut");
    }
}

#[test]
fn every_cut_of_csv_gives_the_rows_of_one_split() {
    let column = json!([
        { "index": 0, "type": "long" }, { "index": 1, "type": "string" }, { "index": 2, "type": "string" },
    ]);
    let bad = "bad,a,b\n7,\"x\ny\"z,b\n";
    let text = nasty(17) + bad + &nasty(9) + "99,no end,\"x\"";
    check_every_cut(&json!({ "column": column }), "a.csv", &text);
    let header = format!("\u{feff}\"id\",\"a\n1\",b\r\n{text}");
    check_every_cut(&json!({ "column": column, "header": true }), "a.csv", &header);
}

#[test]
fn every_cut_of_lines_gives_the_rows_of_one_split() {
    let text: String = (0..30).map(|row| format!("{row},\"x{}\r\n", "y".repeat(row % 7))).collect();
    let column = json!([{ "index": 0, "type": "long" }, { "index": 1, "type": "string" }]);
    check_every_cut(&json!({ "column": column }), "a.txt", &text);
    let text: String = (0..30)
        .map(|row| format!("{{\"id\":{row},\"t\":\"\\n{}\"}}\n", "y".repeat(row % 7)))
        .collect();
    check_every_cut(&json!({}), "a.jsonl", &(text + "no object\n\n{\"id\":1}"));
}

#[test]
fn every_cut_with_escapes_and_comments_gives_the_rows_of_one_split() {
    let column = json!([{ "index": 0, "type": "long" }, { "index": 1, "type": "string" }]);
    let lines = [
        "1,\"say \\\"hi\\\"\n\\\\\"\n",
        "# \"a comment\n",
        "2,two\\\nlines\\,\"x\n",
        "#\n",
        "3,#\"no quote\n",
        "4,\\\"plain\r\n",
        "5,\"broken\"\\\n",
        "6,\"# in quotes\n# too\"\n",
        "\n",
    ];
    let text: String = lines.repeat(5).concat() + "9,\"no end\\";
    for quotes in [true, false] {
        let config = json!({ "escapeMode": 2, "useComments": true, "useTextQualifier": quotes });
        let parameter = json!({ "csvReaderConfig": config, "column": column });
        check_every_cut(&parameter, "a.csv", &text);
    }
    let config = json!({ "useComments": true });
    let parameter = json!({ "csvReaderConfig": config, "column": column });
    check_every_cut(&parameter, "a.csv", &text);
    check_every_cut(
        &json!({ "csvReaderConfig": config, "column": text_columns(3) }),
        "a.csv",
        &nasty(20),
    );
}

/// A field longer than a block of the window, and a cut inside it.
#[test]
fn fields_longer_than_a_block_are_read() {
    let long = "long \"\"field\"\",\n".repeat(40_000);
    let text = format!("1,\"{long}\",x\n2,\"{long}\",y\n3,z,z\n");
    let parameter = json!({ "column": text_columns(3) });
    let whole = by_shares(&parameter, "a.csv", &text, usize::MAX >> 2);
    assert_eq!(whole.0.len(), 3);
    assert_eq!(whole.0[0][1].as_ref().unwrap().len(), long.replace("\"\"", "\"").len());
    for split_bytes in [1, 1000, 300_000, 640_003, 700_000] {
        assert_eq!(by_shares(&parameter, "a.csv", &text, split_bytes).0, whole.0);
    }
}

#[test]
fn a_reader_goes_on_from_each_position() {
    let text = nasty(150) + "bad,a,b\n" + &nasty(50);
    let column = json!([
        { "index": 0, "type": "long" }, { "index": 1, "type": "string" }, { "index": 2, "type": "string" },
    ]);
    let batch = crate::tests::round_trip::plain_batch();
    let lines: String = (0..200).map(|row| format!("{{\"id\":{row}}}\n")).collect();
    let packed = |packing: crate::Packing| {
        let output = Shared::default();
        let mut packer = crate::pack::Packer::new(Box::new(output.clone()), packing, "a").unwrap();
        packer.write(text.as_bytes()).unwrap();
        packer.finish().unwrap();
        output.0.lock().unwrap().clone()
    };
    let files = [
        ("a.csv", text.clone().into_bytes()),
        ("a.csv.gz", packed(crate::Packing::Gzip)),
        ("a.csv.zst", packed(crate::Packing::Zstd)),
        ("a.jsonl", lines.into_bytes()),
        ("a.avro", written(&json!({ "fileFormat": "avro" }), &[batch.clone(), batch.clone()])),
        ("a.arrow", written(&json!({ "fileFormat": "arrow" }), &[batch.clone(), batch.clone()])),
        (
            "a.arrows",
            written(&json!({ "fileFormat": "arrowstream" }), &[batch.clone(), batch.clone()]),
        ),
        ("a.parquet", written(&json!({ "fileFormat": "parquet" }), &[batch.clone(), batch])),
    ];
    for (name, bytes) in files {
        let parameter = match name.contains(".csv") {
            true => json!({ "column": column }),
            false => json!({}),
        };
        let (format, file) = (format(&parameter, name), input(name, bytes));
        let schema = schema(&format, &file).unwrap();
        let share = format.shares(&file, None).unwrap().next().unwrap().unwrap();
        let budget = Budget { rows: 7, ..BUDGET };
        let go = |position: Option<&[u8]>, rows: &mut Rows, dirty: &mut Vec<Undecodable>| {
            read_share(&format, &file, &share, &schema, position, budget, rows, dirty).unwrap()
        };
        let (mut rows, mut dirty) = (Vec::new(), Vec::new());
        let positions = go(None, &mut rows, &mut dirty);
        assert!(positions.len() > 10, "{name}");
        for (before, dirty_before, position) in positions {
            let (mut rest, mut dirty_rest) =
                (rows[..before].to_vec(), dirty[..dirty_before].to_vec());
            go(Some(&position), &mut rest, &mut dirty_rest);
            assert_eq!(rest, rows, "{name} from {before}");
            let origins = |dirty: &[Undecodable]| {
                dirty.iter().map(|dirty| dirty.origin.clone()).collect::<Vec<_>>()
            };
            assert_eq!(origins(&dirty_rest), origins(&dirty), "{name} from {before}");
        }
    }
}
