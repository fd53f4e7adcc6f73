//! The rules of script-mode and DataX documents, one row each: a document that holds, one change, and
//! what is then told, by code and place. What stands at a bound holds.

use serde_json::{Map, Value, json};

mod fixture;

fn script() -> Value {
    json!({"type": "job", "version": "2.0",
        "steps": [
            {"stepType": "file", "category": "reader", "name": "Reader", "parameter": {
                "path": ["in-*.csv"], "fileFormat": "csv",
                "column": [{"index": 0, "type": "long"}, {"value": "x", "type": "string"}]}},
            {"stepType": "postgresql", "category": "writer", "name": "Writer", "parameter": {
                "datasource": "warehouse", "table": "t", "column": ["id", "origin"]}}],
        "setting": {"speed": {"concurrent": 8}, "errorLimit": {}, "common": {"column": {}}},
        "order": {"hops": [{"from": "Reader", "to": "Writer"}]}})
}

fn datax() -> Value {
    json!({
        "job": {
            "setting": {"speed": {"channel": 1}, "errorLimit": {}},
            "content": [{
                "reader": {"name": "streamreader", "parameter": {"sliceRecordCount": 1, "column": [{"value": 1}]}},
                "writer": {"name": "streamwriter", "parameter": {}}}]},
        "core": {"transport": {"channel": {"speed": {}}}},
        "common": {"column": {}}})
}

/// Puts a value where a pointer says; null takes the key away.
fn put(document: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer has a slash");
    match document.pointer_mut(parent) {
        Some(Value::Object(members)) if value.is_null() => drop(members.remove(key)),
        Some(Value::Object(members)) => drop(members.insert(key.to_owned(), value)),
        Some(Value::Array(items)) => items[key.parse::<usize>().expect("an index")] = value,
        _ => panic!("nothing stands at {parent}"),
    }
}

/// What is told of a document, and the same for people: codes and places of the faults, or else of the
/// warnings behind `!`.
fn told(document: &Value) -> (String, String) {
    let (word, faults, shown) = match fixture::read(&document.to_string(), &[]) {
        Ok(read) => {
            let shown = read.warnings.iter().map(|fault| fixture::render("warning", fault));
            let shown = shown.collect();
            ("! ", read.warnings, shown)
        }
        Err(refused) => {
            let shown = fixture::render_all(&refused);
            ("", refused.faults, shown)
        }
    };
    let faults = faults.iter().map(|fault| {
        let place = fault.place.as_deref().unwrap_or_default();
        format!("{word}{} {place}", fault.code)
    });
    (faults.collect::<Vec<_>>().join(", "), shown)
}

#[track_caller]
fn expect(document: &Value, expected: &str, rule: &str) {
    let (told, shown) = told(document);
    // What follows from the first faults may come behind them.
    let follows = !expected.is_empty() && told.starts_with(&format!("{expected}, "));
    assert!(told == expected || follows, "{rule}: expected {expected}\n{shown}");
}

#[track_caller]
fn check(base: &Value, rows: &[(&str, &str, Value, &str)]) {
    expect(base, "", "the document itself");
    for (rule, pointer, value, expected) in rows {
        let mut document = base.clone();
        put(&mut document, pointer, value.clone());
        expect(&document, expected, &format!("{rule}: {pointer} = {value}"));
    }
}

#[test]
fn the_shape_of_a_script_mode_job() {
    let renamed = json!({"stepType": "postgresql", "category": "writer", "name": "Reader",
        "parameter": {"datasource": "warehouse", "table": "t"}});
    check(
        &script(),
        &[
            ("type is job", "/type", json!("task"), "spec.value /type"),
            ("type is there", "/type", json!(null), "spec.required "),
            ("the version is known", "/version", json!("3.0"), "spec.version /version"),
            ("the older version is read", "/version", json!("1.0"), "! spec.version /version"),
            ("there are steps", "/steps", json!(null), "spec.required "),
            (
                "a step has a category",
                "/steps/1/category",
                json!("sink"),
                "spec.value /steps/1/category, spec.one_to_one /steps",
            ),
            ("names are unique", "/steps/1", renamed, "spec.step_name /steps/1/name"),
            ("hops name steps", "/order/hops/0/to", json!("Writr"), "spec.hop /order/hops/0/to"),
            ("reader and writer are joined", "/order/hops", json!([]), "spec.hop /order/hops"),
            ("keys are case-sensitive", "/Order", json!({}), "! spec.unknown_key /Order"),
            ("types are not", "/steps/1/stepType", json!("PostgreSQL"), ""),
            ("exports say more", "/extend", json!({"mode": "wizard", "cu": "0.5"}), ""),
            ("exports say this too", "/transform", json!(false), ""),
        ],
    );
}

#[test]
fn the_steps_of_a_script_mode_job() {
    check(
        &script(),
        &[
            (
                "the source exists by its exact name",
                "/steps/1/parameter/datasource",
                json!("Warehouse"),
                "spec.unknown_source /steps/1/parameter/datasource",
            ),
            (
                "its type is the step's",
                "/steps/1/parameter/datasource",
                json!("shop"),
                "spec.source_type /steps/1/parameter/datasource",
            ),
            (
                "the type has the role",
                "/steps/1",
                json!({"stepType": "feed", "category": "writer", "name": "Writer", "parameter": {}}),
                "spec.no_role /steps/1/stepType",
            ),
            (
                "there are columns",
                "/steps/1/parameter/column",
                json!([]),
                "spec.columns /steps/1/parameter/column",
            ),
            (
                "all faults of a step are told at once",
                "/steps/1/parameter",
                json!({"datasource": "warehouse", "table": "t", "column": [], "writeMode": "replace"}),
                "spec.value /steps/1/parameter/writeMode, spec.columns /steps/1/parameter/column",
            ),
            (
                "there are as many on both sides",
                "/steps/1/parameter/column",
                json!(["id"]),
                "spec.columns /steps/1/parameter/column",
            ),
            ("all columns are as many as there are", "/steps/1/parameter/column", json!(["*"]), ""),
            (
                "a column of a file has a type",
                "/steps/0/parameter/column/0",
                json!({"index": 0}),
                "spec.required /steps/0/parameter/column/0",
            ),
            (
                "it has an index or a value",
                "/steps/0/parameter/column/0",
                json!({"index": 0, "value": "x", "type": "string"}),
                "spec.value /steps/0/parameter/column/0",
            ),
            (
                "words are of their list",
                "/steps/0/parameter/fileFormat",
                json!("xls"),
                "spec.value /steps/0/parameter/fileFormat",
            ),
            ("in any case", "/steps/0/parameter/fileFormat", json!("CSV"), ""),
            (
                "a mode is of its list",
                "/steps/1/parameter/writeMode",
                json!("replace"),
                "spec.value /steps/1/parameter/writeMode",
            ),
            (
                "a packing is of its list",
                "/steps/0/parameter/compress",
                json!("rar"),
                "spec.value /steps/0/parameter/compress",
            ),
            (
                "a variable has a value",
                "/steps/1/parameter/table",
                json!("t_${region}"),
                "spec.variable_unassigned /steps/1/parameter/table",
            ),
            (
                "the business date always has one",
                "/steps/1/parameter/table",
                json!("t_${bizdate}"),
                "",
            ),
            ("so has the legacy name of it", "/steps/1/parameter/table", json!("t_${date}"), ""),
        ],
    );
}

#[test]
fn a_query_says_by_itself_what_is_read() {
    let mut document = script();
    put(
        &mut document,
        "/steps/0",
        json!({"stepType": "postgresql", "category": "reader", "name": "Reader",
            "parameter": {"datasource": "warehouse", "querySql": "select 1, 2"}}),
    );
    let parameter = "/steps/0/parameter";
    check(
        &document,
        &[
            (
                "a filter",
                &format!("{parameter}/where"),
                json!("a > 1"),
                "! spec.no_effect /steps/0/parameter/where",
            ),
            ("no filter", &format!("{parameter}/where"), json!(""), ""),
            (
                "a table",
                &format!("{parameter}/table"),
                json!("t"),
                "! spec.no_effect /steps/0/parameter/table",
            ),
            (
                "columns",
                &format!("{parameter}/column"),
                json!(["a"]),
                "! spec.no_effect /steps/0/parameter/column",
            ),
            (
                "a key",
                &format!("{parameter}/splitPk"),
                json!("a"),
                "! spec.no_effect /steps/0/parameter/splitPk",
            ),
        ],
    );
}

#[test]
fn the_speed_of_a_script_mode_job() {
    let concurrent = "spec.setting /setting/speed/concurrent";
    let distribute = "/setting/executeMode";
    check(
        &script(),
        &[
            ("lanes are 1 to 32", "/setting/speed", json!({"concurrent": 1}), ""),
            ("lanes are 1 to 32", "/setting/speed", json!({"concurrent": "32"}), ""),
            ("lanes are 1 to 32", "/setting/speed", json!({"concurrent": 0}), concurrent),
            ("lanes are 1 to 32", "/setting/speed", json!({"concurrent": 33}), concurrent),
            ("lanes are whole", "/setting/speed", json!({"concurrent": 2.5}), concurrent),
            ("lanes are a number", "/setting/speed", json!({"concurrent": "many"}), concurrent),
            (
                "several nodes are one here",
                distribute,
                json!("distribute"),
                "! spec.no_effect /setting/executeMode",
            ),
            ("no mode", distribute, json!(""), ""),
            ("another mode", distribute, json!("local"), "spec.setting /setting/executeMode"),
            (
                "a rate is needed",
                "/setting/speed",
                json!({"throttle": true}),
                "spec.setting /setting/speed/throttle",
            ),
            (
                "a rate of 0 is none",
                "/setting/speed",
                json!({"throttle": true, "mbps": 0}),
                "spec.setting /setting/speed/mbps",
            ),
            (
                "a rate is whole",
                "/setting/speed",
                json!({"throttle": true, "mbps": 1.5}),
                "spec.setting /setting/speed/mbps",
            ),
            (
                "a rate is a number",
                "/setting/speed",
                json!({"throttle": true, "mbps": "fast"}),
                "spec.setting /setting/speed/mbps",
            ),
            ("a rate holds", "/setting/speed", json!({"throttle": "true", "mbps": "1"}), ""),
            (
                "a rate that does not hold",
                "/setting/speed",
                json!({"throttle": false, "mbps": "1"}),
                "! spec.no_effect /setting/speed/mbps",
            ),
            ("no rate", "/setting/speed", json!({"throttle": false, "mbps": ""}), ""),
            (
                "yes or no",
                "/setting/speed",
                json!({"throttle": 1, "mbps": 1}),
                "spec.setting /setting/speed/throttle",
            ),
            (
                "an obsolete measure",
                "/setting/speed",
                json!({"dmu": 5}),
                "! spec.no_effect /setting/speed/dmu",
            ),
        ],
    );
    for (concurrent, expected) in
        [(7, "spec.setting /setting/executeMode"), (8, "! spec.no_effect /setting/executeMode")]
    {
        let mut document = script();
        put(&mut document, distribute, json!("distribute"));
        put(&mut document, "/setting/speed/concurrent", json!(concurrent));
        expect(&document, expected, &format!("several nodes need 8 lanes, not {concurrent}"));
    }
}

#[test]
fn the_other_settings_of_a_script_mode_job() {
    let limit = "/setting/errorLimit";
    let record = "spec.setting /setting/errorLimit/record";
    let zone = "/setting/common/column/timeZone";
    let no_zone = "spec.setting /setting/common/column/timeZone";
    check(
        &script(),
        &[
            ("none", limit, json!({"strategy": "ZeroTolerance"}), ""),
            ("none, with its number", limit, json!({"strategy": "ZeroTolerance", "record": 0}), ""),
            (
                "none, with another",
                limit,
                json!({"strategy": "ZeroTolerance", "record": 5}),
                "! spec.no_effect /setting/errorLimit/record",
            ),
            ("some need a number", limit, json!({"strategy": "Tolerance"}), record),
            ("some are not 0", limit, json!({"strategy": "Tolerance", "record": 0}), record),
            ("some are whole", limit, json!({"strategy": "Tolerance", "record": "1.5"}), record),
            ("some", limit, json!({"strategy": "TOLERANCE", "record": "1"}), ""),
            ("any number", limit, json!({"strategy": "Ignore"}), ""),
            ("any number, cleared", limit, json!({"strategy": "Ignore", "record": ""}), ""),
            (
                "any number is no limit",
                limit,
                json!({"strategy": "Ignore", "record": 7}),
                "! spec.no_effect /setting/errorLimit/record",
            ),
            (
                "no strategy",
                limit,
                json!({"strategy": "Tolerant"}),
                "spec.setting /setting/errorLimit/strategy",
            ),
            ("a number alone", limit, json!({"record": "-1"}), record),
            ("a share", limit, json!({"percentage": 0.5}), ""),
            ("a share is at most all", limit, json!({"percentage": 1}), ""),
            (
                "a share is at most all",
                limit,
                json!({"percentage": 2}),
                "spec.setting /setting/errorLimit/percentage",
            ),
            (
                "a number beside it wins",
                limit,
                json!({"record": 1, "percentage": 0.5}),
                "! spec.no_effect /setting/errorLimit/percentage",
            ),
            (
                "so does a strategy",
                limit,
                json!({"strategy": "Ignore", "percentage": 0.5}),
                "! spec.no_effect /setting/errorLimit/percentage",
            ),
            ("a zone by its name", zone, json!("America/New_York"), ""),
            ("a zone by hours", zone, json!("GMT+8"), ""),
            ("a zone by minutes", zone, json!("GMT-03:30"), ""),
            ("a zone as Java writes it", zone, json!("GMT+0800"), ""),
            ("no zone", zone, json!(""), ""),
            ("a zone that there is not", zone, json!("GMT+25"), no_zone),
            ("a zone in other letters", zone, json!("asia/shanghai"), no_zone),
            ("a zone that there is not", zone, json!("Asia/Peking"), no_zone),
            (
                "resuming needs no word",
                "/setting/failoverEnable",
                json!(true),
                "! spec.no_effect /setting/failoverEnable",
            ),
            ("nor its absence", "/setting/failoverEnable", json!(false), ""),
            (
                "no Java",
                "/setting/jvmOption",
                json!("-Xmx1024m"),
                "! spec.no_effect /setting/jvmOption",
            ),
            ("no Java", "/setting/jvmMemory", json!(2), "! spec.no_effect /setting/jvmMemory"),
            ("no option", "/setting/jvmOption", json!(""), ""),
            ("one language", "/setting/locale", json!("zh_CN"), "! spec.no_effect /setting/locale"),
        ],
    );
}

#[test]
fn the_settings_of_a_datax_job() {
    let (speed, limit) = ("/job/setting/speed", "/job/setting/errorLimit");
    let channel = "/core/transport/channel";
    check(
        &datax(),
        &[
            ("channels", speed, json!({"channel": "5"}), ""),
            (
                "channels are from 1 on",
                speed,
                json!({"channel": 0}),
                "spec.setting /job/setting/speed/channel",
            ),
            (
                "more than there are lanes",
                speed,
                json!({"channel": 33}),
                "! spec.setting /job/setting/speed",
            ),
            (
                "bytes need those of a channel",
                speed,
                json!({"byte": 1}),
                "spec.setting /job/setting/speed/byte",
            ),
            ("records too", speed, json!({"record": 1}), "spec.setting /job/setting/speed/record"),
            (
                "what is not positive is no rate",
                speed,
                json!({"byte": -1, "record": 0, "channel": 2}),
                "",
            ),
            (
                "a channel's rate alone",
                channel,
                json!({"speed": {"byte": 1_048_576, "record": "100"}}),
                "",
            ),
            (
                "queues are ours",
                channel,
                json!({"capacity": 512}),
                "! spec.no_effect /core/transport/channel/capacity",
            ),
            (
                "groups too",
                "/core/container",
                json!({"taskGroup": {"channel": 5}}),
                "! spec.no_effect /core/container",
            ),
            ("any number", limit, json!(null), ""),
            ("a number", limit, json!({"record": 0}), ""),
            (
                "a number is not below 0",
                limit,
                json!({"record": -1}),
                "spec.setting /job/setting/errorLimit/record",
            ),
            ("a share", limit, json!({"percentage": 0.02}), ""),
            (
                "a share is at most all",
                limit,
                json!({"percentage": 1.02}),
                "spec.setting /job/setting/errorLimit/percentage",
            ),
            (
                "a number beside it wins",
                limit,
                json!({"record": 1, "percentage": 0.5}),
                "! spec.no_effect /job/setting/errorLimit/percentage",
            ),
            ("a zone", "/common/column", json!({"timeZone": "GMT+8"}), ""),
            (
                "formats are ours",
                "/common/column",
                json!({"dateFormat": "yyyy"}),
                "! spec.no_effect /common/column/dateFormat",
            ),
            (
                "a run that moves nothing",
                "/job/setting/dryRun",
                json!(true),
                "spec.setting /job/setting/dryRun",
            ),
            ("one that does", "/job/setting/dryRun", json!(false), ""),
            (
                "keys of ciphers",
                "/job/setting/keyVersion",
                json!("v1"),
                "! spec.no_effect /job/setting/keyVersion",
            ),
            (
                "handlers",
                "/job/preHandler",
                json!({"pluginType": "handler"}),
                "! spec.no_effect /job/preHandler",
            ),
            ("a Java machine", "/entry", json!({"jvm": "-Xms1G"}), "! spec.no_effect /entry"),
            ("no settings at all", "/job/setting", json!(null), ""),
            (
                "a date is no variable here",
                "/job/content/0/writer/parameter",
                json!({"fieldDelimiter": "${date}"}),
                "spec.variable_unassigned /job/content/0/writer/parameter/fieldDelimiter",
            ),
        ],
    );
}

#[test]
fn a_step_alone_says_what_is_missing() {
    let mut document = script();
    let Some(Value::Array(steps)) = document.get_mut("steps") else { unreachable!() };
    steps.pop();
    put(&mut document, "/order/hops", Value::Array(Vec::new()));
    expect(&document, "spec.one_to_one /steps", "a writer");
    put(&mut document, "/steps", Value::Array(vec![Value::Object(Map::new())]));
    expect(&document, "spec.required /steps/0, spec.required /steps/0", "words of a step");
}
