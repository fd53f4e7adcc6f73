use super::*;

fn kind(values: &[&str]) -> String {
    let text: String = values.iter().map(|value| format!("{value}|x\n")).collect();
    let file = input("a.csv", text);
    let format = format(&json!({ "fieldDelimiter": "|" }), "a.csv");
    types(&schema(&format, &file).unwrap()).remove(0)
}

#[test]
fn types_follow_from_texts() {
    let table: Vec<(&[&str], &str)> = vec![
        (&["1", "-5", "0"], "bigint"),
        (&["1", ""], "bigint"),
        (&["9223372036854775807"], "bigint"),
        (&["9223372036854775808", "1"], "decimal(38,0)"),
        (&["123456789012345678901234567890123456789"], "string"),
        (&["1.50", "20.25"], "decimal(18,2)"),
        (&["1234567890123.50"], "decimal(38,2)"),
        (&["1.5", "20.25"], "double"),
        (&["1", "1.5"], "double"),
        (&["1e5", "1"], "double"),
        (&["1.5", "NaN"], "double"),
        (&["0.12345678901234567890", "1.5"], "string"),
        (&["0.12345678901234567", "1.5"], "string"),
        (&["0.30000000000000004", "1.5"], "double"),
        (&["9007199254740993", "1.5"], "string"),
        (&["9007199254740992", "1.5"], "double"),
        (&["1e-400", "1"], "string"),
        (&["1e400", "1"], "string"),
        (&["123456789012345e-335", "1"], "string"),
        (&["007", "8"], "string"),
        (&["-0"], "string"),
        (&["0.5"], "decimal(18,1)"),
        (&["00.5"], "string"),
        (&["+1"], "string"),
        (&[" 1"], "string"),
        (&["1."], "string"),
        (&[".5"], "string"),
        (&["true", "false"], "boolean"),
        (&["true", "TRUE"], "string"),
        (&["t", "f"], "string"),
        (&["2024-02-29", "1970-01-01"], "date"),
        (&["2023-02-29"], "string"),
        (&["2024-1-1"], "string"),
        (&["2024-01-01", "1"], "string"),
        (&["2024-01-01 10:00:00", "2024-01-01T10:00:00.5"], "timestamp"),
        (&["2024-01-01T10:00:00Z", "2024-01-01 10:00:00+01:00"], "timestamptz"),
        (&["2024-01-01T10:00:00Z", "2024-01-01 10:00:00"], "string"),
        (&["2024-01-01 10:00:00.1234567"], "string"),
        (&["2024-01-01 10:00"], "string"),
        (&["12:30:00"], "string"),
        (&["", ""], "string"),
        (&["\"\"", "1"], "string"),
        (&["\"12\"", "1"], "bigint"),
        (&["inf"], "string"),
    ];
    for (values, expected) in table {
        assert_eq!(kind(values), expected, "{values:?}");
    }
}

#[test]
fn json_values_have_types_of_their_own() {
    let text = concat!(
        "{\"i\":1,\"d\":1.50,\"t\":\"1\",\"day\":\"2024-01-01\",\"at\":\"2024-01-01T10:00:00Z\",\"on\":true,\"n\":{},\"null\":null,\"mix\":1}\n",
        "{\"i\":2,\"d\":2.25,\"t\":\"x\",\"day\":null,\"mix\":\"1\",\"n\":[1]}\n",
    );
    let file = input("a.jsonl", text);
    let schema = schema(&format(&json!({}), "a.jsonl"), &file).unwrap();
    let found: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(found, ["i", "d", "t", "day", "at", "on", "n", "null", "mix"]);
    let expected = [
        "bigint",
        "decimal(18,2)",
        "string",
        "date",
        "timestamptz",
        "boolean",
        "string",
        "string",
        "string",
    ];
    assert_eq!(types(&schema), expected);
    let name = schema.field(6).metadata().get("ARROW:extension:name").map(|name| name.to_string());
    assert_eq!(name.as_deref(), Some("arrow.json"));
}

#[test]
fn the_middle_and_the_end_are_looked_at() {
    // A value of another type in the middle and one in the end of a file of several MiB.
    let row = |number: usize| format!("{number},{number},\"a\nb\"\n");
    let mut text: String = (0..300_000).map(row).collect();
    assert!(text.len() > 4 << 20);
    let file = input("a.csv", text.clone());
    let format = format(&json!({}), "a.csv");
    assert_eq!(types(&schema(&format, &file).unwrap()), ["bigint", "bigint", "string"]);
    let middle = text.len() / 2 + 1000;
    let middle = middle + text[middle..].find("\"\n").unwrap() + 2;
    text.insert_str(middle, "007,1,x\n");
    text += "1,1.5,x\n";
    let file = input("a.csv", text);
    assert_eq!(types(&schema(&format, &file).unwrap()), ["string", "double", "string"]);
}

#[test]
fn all_columns_may_be_text() {
    let file = input("a.csv", "a,b\n1,2\n");
    let table = [
        (json!(["*"]), json!("false"), ["string", "string"]),
        (json!(null), json!(false), ["string", "string"]),
        (json!(["*"]), json!(true), ["bigint", "bigint"]),
        (json!(["a", { "name": "b", "type": "int" }]), json!(false), ["string", "int"]),
        (json!(["a", { "name": "b", "type": "int" }]), json!(null), ["bigint", "int"]),
    ];
    for (column, infers, expected) in table {
        let parameter = json!({ "column": column, "inferTypes": infers, "header": true });
        let format = format(&parameter, "a.csv");
        assert_eq!(types(&schema(&format, &file).unwrap()), expected, "{parameter}");
        assert_eq!(format.infers_types(), expected.contains(&"bigint"), "{parameter}");
    }
}

#[test]
fn files_without_columns_are_faults() {
    for (name, text) in [("a.csv", ""), ("a.jsonl", "\n"), ("a.csv", "\n\n")] {
        let fault = schema(&format(&json!({}), name), &input(name, text)).unwrap_err();
        assert_eq!(fault.code, "format.no_columns");
    }
    let header_alone =
        schema(&format(&json!({ "header": true }), "a.csv"), &input("a.csv", "a,b\n"));
    assert_eq!(types(&header_alone.unwrap()), ["string", "string"]);
    let twice = schema(&format(&json!({ "header": true }), "a.csv"), &input("a.csv", "a,a\n"));
    assert_eq!(twice.unwrap_err().code, "format.header");
}
