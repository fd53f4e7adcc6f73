use serde_json::{Value, json};

use super::*;

fn connection(value: Value) -> Connection {
    serde_json::from_value(value).unwrap()
}

fn reader(value: Value) -> ReaderParameter {
    serde_json::from_value(value).unwrap()
}

fn writer(value: Value) -> WriterParameter {
    serde_json::from_value(value).unwrap()
}

#[test]
fn urls_are_taken_apart() {
    let url = |host: &str, port, database: Option<&str>| Url {
        host: Some(host.to_owned()),
        port,
        database: database.map(str::to_owned),
    };
    let cases = [
        ("jdbc:postgresql://db:5433/dw?ssl=true", url("db", Some(5433), Some("dw"))),
        ("jdbc:postgresql://db/dw", url("db", None, Some("dw"))),
        ("jdbc:postgresql://db", url("db", None, None)),
        ("jdbc:postgresql://[::1]:1/x", url("::1", Some(1), Some("x"))),
        ("jdbc:postgresql://[::1]/x", url("::1", None, Some("x"))),
    ];
    for (text, expected) in cases {
        assert_eq!(Url::parse(text).unwrap(), expected, "{text}");
    }
    for bad in ["", "jdbc:mysql://x/y", "jdbc:postgresql://a:b/x", "jdbc:postgresql://a:1,b:2/x"] {
        assert_eq!(Url::parse(bad).unwrap_err().code, "connection.invalid", "{bad}");
    }
}

#[test]
fn a_login_is_complete_or_says_what_is_missing() {
    let login =
        connection(json!({"jdbcUrl": "jdbc:postgresql://db/dw", "username": "u"})).login().unwrap();
    assert_eq!((login.host.as_str(), login.port, login.database.as_str()), ("db", 5432, "dw"));
    let place = |value: Value| connection(value).login().err().and_then(|fault| fault.place);
    assert_eq!(place(json!({})).as_deref(), Some("/connection/host"));
    assert_eq!(place(json!({"host": "db"})).as_deref(), Some("/connection/database"));
    assert_eq!(
        place(json!({"host": "db", "database": "d"})).as_deref(),
        Some("/connection/username")
    );
    assert_eq!(place(json!({"host": "db", "port": 0})).as_deref(), Some("/connection/port"));
}

#[test]
fn the_mode_of_tls_follows_what_is_given() {
    let mode = |ssl: Value| connection(json!({"ssl": ssl})).ssl_mode().map_err(|fault| fault.code);
    assert_eq!(connection(json!({})).ssl_mode().unwrap(), SslMode::Prefer);
    assert_eq!(mode(json!({"ca": "x"})), Ok(SslMode::VerifyFull));
    assert_eq!(mode(json!({"mode": "require", "ca": "x"})), Ok(SslMode::VerifyCa));
    assert_eq!(mode(json!({"mode": "require"})), Ok(SslMode::Require));
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
        (json!({"connection": [{"table": ["t"]}]}), table(&["*"], None, None)),
        (json!({"table": "t", "querySql": ["select 1;"]}), Selection::Query("select 1".to_owned())),
        (
            json!({"connection": [{"querySql": ["select 1"]}]}),
            Selection::Query("select 1".to_owned()),
        ),
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
fn split_factors_have_bounds() {
    for (value, expected) in
        [(json!({}), 5), (json!({"splitFactor": 1000}), 1000), (json!({"splitFactor": "7"}), 7)]
    {
        assert_eq!(reader(value).split_factor().unwrap(), expected);
    }
    for bad in [json!(0), json!(1001), json!("x")] {
        assert!(reader(json!({"splitFactor": bad})).split_factor().is_err(), "{bad}");
    }
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
    assert!(writer(json!({"createTable": "true"})).creates_table().unwrap());
    assert!(writer(json!({"createTable": "yes"})).creates_table().is_err());
}
