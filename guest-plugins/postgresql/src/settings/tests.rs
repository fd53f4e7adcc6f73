use serde_json::{Value, json};

use super::*;

fn connection(value: Value) -> Connection {
    serde_json::from_value(value).unwrap()
}

fn reader(value: Value) -> ReaderParameter {
    serde_json::from_value(value).unwrap()
}

fn writer(mut value: Value) -> WriterParameter {
    value["table"] = json!("t");
    serde_json::from_value(value).unwrap()
}

/// A connection with all that it needs, changed by `changes`.
fn complete(changes: Value) -> Value {
    let mut value = json!({"host": "db", "database": "dw", "username": "u"});
    changes.as_object().unwrap().iter().for_each(|(k, v)| value[k] = v.clone());
    value
}

#[test]
fn a_login_is_complete_or_says_what_is_missing() {
    let whole = connection(complete(json!({})));
    let login = whole.login().unwrap();
    assert_eq!((login.host, login.port, login.database, login.password), ("db", 5432, "dw", ""));
    let read = |value: Value| {
        let configuration = sdk::Configuration {
            source_type: "postgresql".to_owned(),
            side: sdk::Side::Reader,
            connection: value.to_string(),
            parameter: "{}".to_owned(),
        };
        Connection::read(&configuration).and_then(|connection| connection.login().map(|_| ()))
    };
    for name in ["host", "database", "username"] {
        let mut value = complete(json!({}));
        value.as_object_mut().unwrap().remove(name);
        assert_eq!(read(value).unwrap_err().code, "connection.invalid", "{name}");
        let place = read(complete(json!({ name: "" }))).unwrap_err().place;
        assert_eq!(place, Some(format!("/connection/{name}")));
    }
    let place = read(complete(json!({"port": 0}))).unwrap_err().place;
    assert_eq!(place.as_deref(), Some("/connection/port"));
}

#[test]
fn the_mode_of_tls_follows_what_is_given() {
    let mode = |ssl: Value| {
        connection(complete(json!({"ssl": ssl})))
            .security()
            .map(|s| s.mode)
            .map_err(|fault| fault.code)
    };
    assert_eq!(connection(complete(json!({}))).security().unwrap().mode, Mode::Prefer);
    assert_eq!(mode(json!({"ca": "x"})), Ok(Mode::VerifyName));
    assert_eq!(mode(json!({"mode": "require", "ca": "x"})), Ok(Mode::VerifyCa));
    assert_eq!(mode(json!({"mode": "require"})), Ok(Mode::Require));
    assert_eq!(mode(json!({"mode": "verify-ca"})), Err("connection.invalid".to_owned()));
}

#[test]
fn what_is_read_is_a_table_or_a_query() {
    let table = |columns: &[&str], filter: Option<&str>, split_by: Option<&str>| Selection::Table {
        table: "t".to_owned(),
        columns: columns.iter().map(|c| (*c).to_owned()).collect(),
        filter: filter.map(str::to_owned),
        split_by: split_by.map(str::to_owned),
    };
    let cases = [
        (json!({"table": "t"}), table(&["*"], None, None)),
        (
            json!({"table": [" t "], "column": ["a", "1"], "where": "a > 1;", "splitPk": "a"}),
            table(&["a", "1"], Some("a > 1"), Some("a")),
        ),
        (json!({"table": "t", "where": " ", "splitPk": ""}), table(&["*"], None, None)),
        (json!({"table": "t", "querySql": ["select 1;"]}), Selection::Query("select 1".to_owned())),
    ];
    for (value, expected) in cases {
        assert_eq!(reader(value.clone()).selection().unwrap(), expected, "{value}");
    }
    for bad in
        [json!({}), json!({"table": []}), json!({"table": ["a", "b"]}), json!({"table": " "})]
    {
        assert_eq!(reader(bad.clone()).selection().unwrap_err().code, "parameter.invalid", "{bad}");
    }
}

#[test]
fn the_schemas_say_what_is_needed_and_what_numbers_may_be() {
    let schema = |text: String| -> Value { serde_json::from_str(&text).unwrap() };
    let read = schema(parameters::schema::<ReaderParameter>());
    let factor = &read["properties"]["splitFactor"];
    assert_eq!((&factor["minimum"], &factor["maximum"]), (&json!(1), &json!(100)));
    assert_eq!((&factor["type"], &factor["default"]), (&json!("integer"), &json!(5)));
    assert_eq!(read["properties"]["fetchSize"]["type"], "integer");
    let one_of = ["table", "tablePattern", "querySql"].map(|key| json!({"required": [key]}));
    assert_eq!(read["anyOf"], json!(one_of));
    let write = schema(parameters::schema::<WriterParameter>());
    assert_eq!(write["required"], json!(["table"]));
    assert_eq!(write["properties"]["createTable"]["type"], "boolean");
    let connection = schema(parameters::schema::<Connection>());
    assert_eq!(connection["required"], json!(["host", "database", "username"]));
    assert_eq!(connection["properties"]["port"]["default"], 5432);
    assert_eq!(reader(json!({})).split_factor(), 5);
    assert_eq!(reader(json!({"splitFactor": 100})).split_factor(), 100);
}

#[test]
fn write_modes_and_keys_are_read() {
    let mode = |value: Value| writer(value).conflict_mode();
    assert_eq!(mode(json!({})), None);
    assert_eq!(mode(json!({"writeMode": "copy"})), None);
    assert_eq!(mode(json!({"writeMode": "upsert"})), Some(ConflictMode::Update));
    assert_eq!(
        mode(json!({"writeMode": "upsert", "conflictMode": "ignore"})),
        Some(ConflictMode::Ignore)
    );
    assert_eq!(mode(json!({"writeMode": "replace"})), Some(ConflictMode::Replace));
    let index = |value: Value| writer(json!({"uniqueIndexColumns": value})).unique_index();
    let some = |names: &[&str]| Some(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>());
    assert_eq!(index(json!([["a", "b"]])).unwrap(), some(&["a", "b"]));
    assert_eq!(index(json!(["a", "b"])).unwrap(), some(&["a", "b"]));
    assert_eq!(index(json!([])).unwrap(), None);
    assert!(index(json!([["a"], ["b"]])).is_err());
    assert!(writer(json!({"createTable": true})).creates_table());
}

#[test]
fn several_tables_are_told_from_one() {
    let several = |value: Value| reader(value).several();
    let listed =
        |names: &[&str]| Some(Named::Listed(names.iter().map(|name| (*name).to_owned()).collect()));
    assert_eq!(several(json!({"table": "t"})).unwrap(), None);
    assert_eq!(several(json!({"table": ["t"]})).unwrap(), None);
    assert_eq!(several(json!({"table": ["a", "b"]})).unwrap(), listed(&["a", "b"]));
    assert_eq!(several(json!({"table": "t_[08-10]"})).unwrap(), listed(&["t_08", "t_09", "t_10"]));
    let pattern = json!({"tablePattern": "t_\\d+"});
    assert_eq!(several(pattern).unwrap(), Some(Named::Matching("t_\\d+".into())));
    assert_eq!(several(json!({"querySql": "select 1", "table": ["a", "b"]})).unwrap(), None);
    for bad in [
        json!({"table": ["a", "b"], "watermark": {"column": "id"}}),
        json!({"table": "a", "tablePattern": "b"}),
        json!({"table": "t_[2-1]"}),
    ] {
        assert_eq!(several(bad.clone()).unwrap_err().code, "parameter.invalid", "{bad}");
    }
}
