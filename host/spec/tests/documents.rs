//! Documents that hold: what they mean, which places they name, what is kept of their secrets.

use domain::grant::{Access, NamedPlace, Place};
use domain::job::{Casts, DocumentKind, ErrorLimit, Rate, Rates};
use serde_json::{Value, json};
use spec::{Read, Sources};

mod fixture;

const EXAMPLE: &str = r#"{"type": "job", "version": "2.0",
 "steps": [
  {"stepType": "file", "category": "reader", "name": "Reader", "parameter": {"path": ["orders-*.csv"], "fileFormat": "csv", "header": true}},
  {"stepType": "file", "category": "writer", "name": "Writer", "parameter": {"path": "out/dt=${bizdate}", "fileName": "orders", "fileFormat": "parquet", "compress": "snappy", "writeMode": "truncate"}}],
 "setting": {"speed": {"concurrent": 2}, "errorLimit": {"record": 0}},
 "order": {"hops": [{"from": "Reader", "to": "Writer"}]}}"#;

#[track_caller]
fn holds(text: &str, parameters: &[&str]) -> Read {
    fixture::read(text, parameters)
        .unwrap_or_else(|refused| panic!("{}", fixture::render_all(&refused)))
}

fn warnings(read: &Read) -> Vec<String> {
    read.warnings.iter().map(|fault| fixture::render("warning", fault)).collect()
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).expect("the text is JSON")
}

fn named(place: Place, origin: &str) -> NamedPlace {
    NamedPlace { place, origin: origin.to_owned() }
}

fn tcp(host: &str, port: u16, origin: &str) -> NamedPlace {
    named(Place::Tcp { host: host.to_owned(), port }, origin)
}

/// A host whose port was not written.
fn usual(host: &str, port: u16, origin: &str) -> NamedPlace {
    named(Place::Host { host: host.to_owned(), port }, origin)
}

fn folder(path: &str, access: Access, origin: &str) -> NamedPlace {
    named(Place::Directory { path: path.to_owned(), access }, origin)
}

#[test]
fn the_example_holds_as_it_stands() {
    let read = holds(EXAMPLE, &[]);
    assert!(read.warnings.is_empty());
    assert_eq!(read.job.kind, DocumentKind::Script);
    assert_eq!(read.job.settings.concurrent, 2);
    assert_eq!(read.job.settings.error_limit, ErrorLimit { records: Some(0), share: None });
    assert_eq!(read.job.settings.casts, Casts::Exact);
    let writer = &read.job.writer;
    assert_eq!(json_of(&writer.configuration.parameter)["path"], "out/dt=20251031");
    assert_eq!(writer.parameter_place, "/steps/1/parameter");
    assert_eq!(writer.configuration.connection.expose(), "{}");
    assert_eq!(
        read.places.readers[0],
        [folder("orders-*.csv", Access::Read, "/steps/0/parameter/path/0")]
    );
    assert_eq!(
        read.places.writer,
        [folder("out/dt=20251031", Access::Write, "/steps/1/parameter/path")]
    );
    assert_eq!(read.parameters_used, [("bizdate".to_owned(), "20251031".to_owned())]);
    assert_eq!(read.text_blanked, EXAMPLE);
    assert_eq!(read.lines.of("/steps/1/parameter/path"), Some(("job.json".to_owned(), 4)));
    assert_eq!(read.lines.of("/steps/1/parameter/nothing/0"), Some(("job.json".to_owned(), 4)));
}

/// Reads PostgreSQL by `reader` and writes to `writer`, both parameters of script mode.
fn script(reader: Value, writer: Value, setting: Value) -> String {
    json!({"type": "job", "version": "2.0",
        "steps": [{"stepType": "postgresql", "category": "reader", "name": "R", "parameter": reader},
                  {"stepType": "postgresql", "category": "writer", "name": "W", "parameter": writer}],
        "setting": setting, "order": {"hops": [{"from": "R", "to": "W"}]}})
    .to_string()
}

#[test]
fn data_sources_give_connections_and_places_and_keep_their_secrets() {
    let text = script(
        json!({"datasource": "warehouse", "table": "t", "column": ["a"]}),
        json!({"connection": [{"datasource": "by_file", "table": ["u"]}], "column": ["a"], "batchSize": "1024"}),
        json!({}),
    );
    let read = holds(&text, &[]);
    let reader = &read.job.readers[0];
    assert_eq!(reader.connection_place, "datasources.json#/warehouse/properties");
    let connection = json_of(reader.configuration.connection.expose());
    assert_eq!(connection["password"], "s3cret");
    assert_eq!(connection["port"], 5433, "a number written as a text is normalised");
    assert_eq!(json_of(&reader.configuration.connection_blanked)["password"], "");
    assert_eq!(
        read.places.readers[0],
        [tcp("127.0.0.1", 5433, "datasources.json#/warehouse/properties/host")]
    );
    assert_eq!(json_of(&reader.configuration.parameter), json!({"table": "t", "column": ["a"]}));
    let writer = &read.job.writer.configuration;
    assert_eq!(json_of(writer.connection.expose())["password"], "f1le", "without the line end");
    assert_eq!(json_of(&writer.connection_blanked)["host"], "db.example", "a place is no secret");
    assert_eq!(
        read.places.writer,
        [usual("db.example", 5432, "datasources.json#/by_file/properties/host")]
    );
    assert_eq!(
        json_of(&writer.parameter),
        json!({"table": ["u"], "column": ["a"], "batchSize": 1024})
    );
    assert_eq!(read.lines.of("datasources.json#/warehouse/properties/host").unwrap().1, 5);
    assert!(!format!("{read:?}").contains("s3cret"));
    assert!(warnings(&read).is_empty(), "{:?}", warnings(&read));
}

#[test]
fn inline_connections_move_out_of_the_parameters() {
    let text = script(
        json!({"host": "h", "database": "d", "username": "u", "password": "p", "querySql": "select 1"}),
        json!({"jdbcUrl": "jdbc:postgresql://w:6000/d?sslmode=require&user=u&password=q&x=y", "table": "t"}),
        json!({}),
    );
    let read = holds(&text, &[]);
    assert_eq!(
        json_of(&read.job.readers[0].configuration.parameter),
        json!({"querySql": "select 1"})
    );
    assert_eq!(read.places.readers[0], [usual("h", 5432, "/steps/0/parameter/host")]);
    assert_eq!(
        warnings(&read),
        [
            "warning /steps/1/parameter/jdbcUrl (job.json:1): the option \"x\" of \"jdbcUrl\" has no effect [spec.no_effect]\n"
        ]
    );
    let writer = &read.job.writer;
    assert_eq!(
        json_of(writer.configuration.connection.expose()),
        json!({"host": "w", "port": 6000, "database": "d", "username": "u", "password": "q",
               "ssl": {"mode": "require"}})
    );
    assert_eq!(writer.connection_place, "/steps/1/parameter");
    assert_eq!(read.places.writer, [tcp("w", 6000, "/steps/1/parameter/jdbcUrl")]);
    let kept = [&read.text_blanked, &writer.configuration.connection_blanked];
    assert!(
        kept.iter()
            .all(|text| !text.contains("\"p\"") && !text.contains("=q") && !text.contains("\"q\""))
    );
}

const DATAX: &str = r#"{ "job": {
    "setting": { "speed": { "channel": 4, "byte": 8388608, "record": 40000 },
                 "errorLimit": { "percentage": 0.02 } },
    "content": [ {
      "reader": { "name": "postgresqlreader", "parameter": {
        "username": "etl", "password": "${pw}",
        "column": ["id", "'$bizdate'", "'${bizdate}'"], "splitPk": "id",
        "connection": [ { "jdbcUrl": ["jdbc:postgresql://a.example/shop", "jdbc:postgresql://b.example/shop"],
                          "table": ["orders"] } ] } },
      "writer": { "name": "txtfilewriter", "parameter": { "path": "/data/out", "fileName": "orders",
        "writeMode": "truncate", "compress": "gzip", "header": ["a", "b", "c"] } } } ] },
  "core": { "transport": { "channel": { "speed": { "byte": 2097152, "record": "10000" } } } },
  "common": { "column": { "timeZone": "GMT+8" } } }"#;

#[test]
fn datax_jobs_hold_with_their_own_defaults() {
    let read = holds(DATAX, &["pw=a\"b"]);
    assert_eq!(read.job.kind, DocumentKind::DataX);
    let settings = &read.job.settings;
    assert_eq!(settings.concurrent, 4);
    let rate = |bytes, records| Rate { bytes: Some(bytes), records: Some(records) };
    let rates = Rates { job: rate(8_388_608, 40_000), lane: rate(2_097_152, 10_000) };
    assert_eq!(settings.rates, rates);
    assert_eq!(settings.error_limit, ErrorLimit { records: None, share: Some(0.02) });
    assert_eq!(settings.casts, Casts::DataX);
    assert_eq!(settings.time_zone.as_deref(), Some("GMT+8"));
    let reader = &read.job.readers[0];
    assert_eq!(
        json_of(reader.configuration.connection.expose()),
        json!({"username": "etl", "password": "a\"b", "host": "a.example", "database": "shop"})
    );
    assert_eq!(
        json_of(&reader.configuration.parameter),
        json!({"column": ["id", "'20251031'", "'20251031'"], "splitPk": "id", "table": ["orders"]})
    );
    let origin = "/job/content/0/reader/parameter/connection/0/jdbcUrl/0";
    let other = "/job/content/0/reader/parameter/connection/0/jdbcUrl/1";
    let places = [usual("a.example", 5432, origin), usual("b.example", 5432, other)];
    assert_eq!(read.places.readers[0], places);
    assert_eq!((reader.source.as_str(), reader.alternatives.len()), ("a.example/shop", 1));
    let alternative = &reader.alternatives[0];
    assert_eq!(alternative.title, "b.example/shop");
    assert_eq!(
        json_of(alternative.configuration.connection.expose()),
        json!({"username": "etl", "password": "a\"b", "host": "b.example", "database": "shop"})
    );
    assert_eq!(
        read.places.writer,
        [folder("/data/out", Access::Write, "/job/content/0/writer/parameter/path")]
    );
    assert_eq!(read.job.writer.configuration.source_type, "file");
    assert_eq!(read.secret_parameters, ["pw"]);
    assert!(!read.text_blanked.contains("${pw}"));
    assert_eq!(warnings(&read), Vec::<String>::new());
}

#[test]
fn properties_that_moved_are_found_where_they_were_written() {
    let read = holds(DATAX, &["pw=x"]);
    let moved = |from: &str| {
        let found = read.moved.readers[0].iter().find(|moved| moved.from == from).unwrap();
        (found.to.as_str(), found.whole)
    };
    let entry = "/job/content/0/reader/parameter/connection/0";
    assert_eq!(moved("/parameter/table"), (format!("{entry}/table").as_str(), false));
    assert_eq!(moved("/connection/host"), (format!("{entry}/jdbcUrl/0").as_str(), true));
    // The connection stands among the parameters, so its own keys are where they seem to be.
    assert!(read.moved.readers[0].iter().all(|moved| moved.from != "/connection/username"));
    assert!(read.moved.writer.is_empty());
}

#[test]
fn parameters_within_secrets_are_secret_wherever_they_stand() {
    let table = [
        ("jdbc:postgresql://h/d?user=u&password=${x}", "s3cret/#", true),
        ("jdbc:postgresql://u:${x}@h/d", "s3cret", true),
        ("jdbc:postgresql://${x}@h/d", "u:s3cret", true),
        ("jdbc:postgresql://${x}", "u:s3cret@h/d", true),
        ("${x}", "jdbc:postgresql://u:s3cret@h/d", true),
        ("jdbc:postgresql://h/d?user=u&password=s3${x}t", "cre", true),
        ("jdbc:postgresql://${x}/d?user=u&password=p", "h", false),
        ("jdbc:postgresql://h/${x}?user=u", "d", false),
    ];
    for (url, value, secret) in table {
        let writer = json!({"datasource": "warehouse", "table": "t"});
        let text =
            script(json!({"jdbcUrl": url, "username": "u", "table": "t"}), writer, json!({}));
        let read = holds(&text, &[&format!("x={value}")]);
        assert_eq!(read.secret_parameters == ["x"], secret, "{url}");
        let shown = format!("{:?}{}", read.parameters_used, read.text_blanked);
        assert!(!secret || !shown.contains(value), "{url}: {shown}");
    }
    // The same value, given for a password and elsewhere too.
    let reader =
        json!({"host": "h", "database": "d", "username": "${a}", "password": "${b}", "table": "t"});
    let writer = json!({"datasource": "warehouse", "table": "t"});
    let read = holds(&script(reader, writer, json!({})), &["a=same", "b=same"]);
    assert_eq!(read.secret_parameters, ["a", "b"]);
}

#[test]
fn stream_to_stream_holds_with_both_names() {
    let text = r#"{ "job": { "setting": { "speed": { "channel": 2 }, "errorLimit": { "record": 0 } }, "content": [ {
   "reader": { "name": "streamreader", "parameter": { "sliceRecordCount": 100, "column": [
      {"value": "airlock", "type": "string"}, {"random": "1,100", "type": "long"} ] } },
   "writer": { "name": "StreamWriter", "parameter": { "print": "true", "fieldDelimiter": "\t" } } } ] } }"#;
    let read = holds(text, &[]);
    assert_eq!(read.job.settings.error_limit, ErrorLimit { records: Some(0), share: None });
    assert_eq!(json_of(&read.job.writer.configuration.parameter)["print"], true);
    assert!(read.places.readers[0].is_empty() && read.places.writer.is_empty());
}

fn settings(setting: Value) -> (domain::job::Settings, Vec<String>) {
    let step = json!({"datasource": "warehouse", "table": "t"});
    let read = holds(&script(step.clone(), step, setting), &[]);
    let codes = read
        .warnings
        .iter()
        .map(|fault| format!("{} {}", fault.code, fault.place.clone().unwrap_or_default()));
    (read.job.settings.clone(), codes.collect())
}

#[test]
fn limits_of_dirty_records_by_the_table() {
    let limit = |records, share| ErrorLimit { records, share };
    let table = [
        (json!({}), limit(Some(0), None)),
        (json!({"record": "0"}), limit(Some(0), None)),
        (json!({"record": "5"}), limit(Some(5), None)),
        (json!({"record": ""}), limit(None, None)),
        (json!({"record": null}), limit(Some(0), None)),
        (json!({"percentage": 0.5}), limit(None, Some(0.5))),
        (json!({"strategy": "ZeroTolerance"}), limit(Some(0), None)),
        (json!({"strategy": "tolerance", "record": 100}), limit(Some(100), None)),
        (json!({"strategy": "Ignore", "record": ""}), limit(None, None)),
    ];
    for (setting, expected) in table {
        let (settings, warnings) = settings(json!({"errorLimit": setting}));
        assert_eq!((settings.error_limit, warnings.len()), (expected, 0), "{setting}");
    }
}

#[test]
fn rates_stand_in_settings() {
    let rate = |bytes, records| Rate { bytes, records };
    let table = [
        (json!({"mbps": 1}), rate(None, None), vec!["spec.no_effect /setting/speed/mbps"]),
        (json!({"throttle": true, "mbps": "10"}), rate(Some(10 << 20), None), vec![]),
        (
            json!({"throttle": true, "mbps": 2, "record": 500}),
            rate(Some(2 << 20), Some(500)),
            vec![],
        ),
        (json!({"throttle": true, "record": 500}), rate(None, Some(500)), vec![]),
        (json!({"record": 500}), rate(None, None), vec!["spec.no_effect /setting/speed/record"]),
    ];
    for (speed, job, expected) in table {
        let (settings, warnings) = settings(json!({"speed": speed}));
        assert_eq!(settings.rates, Rates { job, lane: Rate::default() }, "{speed}");
        assert_eq!(warnings, expected, "{speed}");
    }
}

#[test]
fn rates_stand_in_datax_jobs() {
    let rate = |bytes, records| Rate { bytes, records };
    let table = [
        (json!({"channel": 3}), json!({}), 3, rate(None, None), rate(None, None)),
        (
            json!({"channel": 3, "byte": -1}),
            json!({"byte": -1}),
            3,
            rate(None, None),
            rate(None, None),
        ),
        // The rate of a channel holds without one of the job.
        (json!({"channel": 2}), json!({"record": 10}), 2, rate(None, None), rate(None, Some(10))),
        (
            json!({"byte": 100}),
            json!({"byte": 200}),
            1,
            rate(Some(100), None),
            rate(Some(200), None),
        ),
        (
            json!({"channel": 2, "throttle": true, "mbps": 1}),
            json!({}),
            2,
            rate(Some(1 << 20), None),
            rate(None, None),
        ),
    ];
    for (speed, core, concurrent, job, lane) in table {
        let text = json!({
            "core": {"transport": {"channel": {"speed": core}}},
            "job": {"setting": {"speed": speed}, "content": [{
                "reader": {"name": "streamreader", "parameter": {"sliceRecordCount": 1, "column": [{"value": 1}]}},
                "writer": {"name": "streamwriter", "parameter": {}}}]}});
        let read = holds(&text.to_string(), &[]);
        let settings = &read.job.settings;
        assert_eq!(
            (settings.concurrent, settings.rates),
            (concurrent, Rates { job, lane }),
            "{speed}"
        );
        assert_eq!(warnings(&read), [""; 0], "{speed}");
    }
}

#[test]
fn settings_without_effect_are_told() {
    let (read, warnings) = settings(json!({
        "executeMode": "distribute", "failoverEnable": true, "jvmOption": "-Xms1g", "locale": "zh_CN", "casts": "datax",
        "speed": {"concurrent": "8", "throttle": true, "mbps": "10", "dmu": 1},
        "common": {"column": {"timeZone": "Asia/Shanghai"}}, "speeed": {}}));
    assert_eq!(read.concurrent, 8);
    assert_eq!(read.casts, Casts::DataX);
    assert_eq!(read.time_zone.as_deref(), Some("Asia/Shanghai"));
    assert_eq!(
        warnings,
        [
            "spec.unknown_key /setting/speeed",
            "spec.no_effect /setting/speed/dmu",
            "spec.no_effect /setting/executeMode",
            "spec.no_effect /setting/failoverEnable",
            "spec.no_effect /setting/jvmOption",
            "spec.no_effect /setting/locale",
        ]
    );
    assert_eq!(
        settings(json!({"executeMode": null, "speed": {"throttle": false, "mbps": "x"}}))
            .0
            .concurrent,
        3
    );
}

#[test]
fn casts_may_be_lossy_by_column() {
    let rules =
        |names: &[&str], rule| names.iter().map(|name| ((*name).to_owned(), rule)).collect();
    let table = [
        (json!({"amount": "lossy"}), Casts::Exact, rules(&["amount"], Casts::DataX)),
        (json!(["a", "b"]), Casts::Exact, rules(&["a", "b"], Casts::DataX)),
        (json!({"*": "lossy", "id": "exact"}), Casts::DataX, rules(&["id"], Casts::Exact)),
    ];
    for (casts, rest, columns) in table {
        let (read, warnings) = settings(json!({ "casts": casts }));
        assert_eq!((read.casts, read.column_casts), (rest, columns), "{casts}");
        assert_eq!(warnings, [""; 0]);
    }
}

#[test]
fn keys_of_datax_that_nothing_reads_are_told() {
    let text = r#"{"entry": {"jvm": "-Xms1g"},
      "core": {"container": {"job": {"id": 1}}, "transport": {"chanel": {}, "channel": {"capacity": 512, "speed": {"bytes": 1}}}},
      "common": {"colunm": {}, "column": {"encoding": "utf-8", "timezone": "GMT+8"}},
      "job": {"setting": {"speed": {"channel": 1}}, "content": [{
        "reader": {"name": "streamreader", "parameter": {"sliceRecordCount": 1, "column": [{"value": 1}]}},
        "writer": {"name": "streamwriter", "parameter": {}}}]}}"#;
    let read = holds(text, &[]);
    let told: Vec<_> = read
        .warnings
        .iter()
        .map(|fault| format!("{} {}", fault.code, fault.place.clone().unwrap_or_default()))
        .collect();
    assert_eq!(
        told,
        [
            "spec.no_effect /entry",
            "spec.no_effect /core/container",
            "spec.unknown_key /core/transport/chanel",
            "spec.no_effect /core/transport/channel/capacity",
            "spec.unknown_key /core/transport/channel/speed/bytes",
            "spec.unknown_key /common/colunm",
            "spec.unknown_key /common/column/timezone",
            "spec.no_effect /common/column/encoding",
        ]
    );
}

#[test]
fn warnings_are_told_beside_errors() {
    let reader = json!({"datasource": "warehouse", "table": "t"});
    let writer = json!({"connection": [{"datasource": "warehouse", "tabel": ["t"]}]});
    let refused = fixture::read(&script(reader, writer, json!({})), &[]).unwrap_err();
    assert_eq!(
        fixture::render_all(&refused),
        "error /steps/1/parameter (job.json:1): \"table\" is missing [spec.required]\n\
         warning /steps/1/parameter/connection/0/tabel (job.json:1): unknown key \"tabel\", ignored [spec.unknown_key]\n  \
         hint: did you mean \"table\"?\n"
    );
}

#[test]
fn a_data_source_is_read_by_itself() {
    let source = |name| {
        let sources = Sources { name: "conf/datasources.json", text: Some(fixture::SOURCES) };
        spec::source(name, sources, &fixture::plugins(), &fixture::Given::new())
    };
    let shop = source("shop").unwrap();
    assert_eq!(shop.configuration.parameter, "{}");
    assert_eq!(
        shop.places,
        [tcp("a.example", 3307, "datasources.json#/shop/properties/address/0/host")]
    );
    let faults = source("warehose").unwrap_err().faults;
    assert_eq!(
        fixture::render("error", &faults[0]),
        "error: there is no data source \"warehose\" [spec.unknown_source]\n  hint: did you mean \"warehouse\"?\n"
    );
    let faults = source("no_secret").unwrap_err().faults;
    assert_eq!(faults[0].code, "spec.secret_missing");
}

#[test]
fn parameters_stand_anywhere_and_unused_ones_are_told() {
    let text = r#"{"type": "job", "version": "1.0", "steps": [
      {"stepType": "stream", "category": "reader", "name": "R", "parameter": {"sliceRecordCount": ${rows}, "column": ${columns}}},
      {"stepType": "file", "category": "writer", "name": "W", "parameter": {"path": "${bdp.system.cyctime}/$[hh24]/\u0024{x}", "fileName": "${quote}"}}],
      "order": {"hops": [{"from": "R", "to": "W"}]}}"#;
    let read = holds(text, &["rows=10", "columns=[{\"value\": 1}]", "quote='a\"b'", "idle=1"]);
    let reader = json_of(&read.job.readers[0].configuration.parameter);
    assert_eq!(reader, json!({"sliceRecordCount": 10, "column": [{"value": 1}]}));
    let writer = json_of(&read.job.writer.configuration.parameter);
    assert_eq!(writer, json!({"path": "20251101023045/$[hh24]/${x}", "fileName": "a\"b"}));
    assert_eq!(
        warnings(&read),
        [
            "warning: parameter \"idle\" is given, but the document does not use it [spec.parameter_unused]\n  hint: write \"${idle}\" where its value shall stand\n",
            "warning /version (job.json:1): version \"1.0\" is read as \"2.0\" [spec.version]\n  hint: write \"2.0\"\n",
        ]
    );
}

#[test]
fn each_entry_of_a_connection_is_a_source_of_its_own() {
    let reader = json!({
        "column": ["id"], "missingColumn": "NULL", "useSpecialSecret": true, "singleOrMulti": "multi",
        "connection": [
            {"datasource": "warehouse", "table": ["t_[0-3]"]},
            {"datasource": "by_file", "querySql": ["select id from t"]},
            {"datasource": "warehouse", "table": ["u"]},
            {"jdbcUrl": "jdbc:postgresql://x:6000/d", "username": "u", "table": ["t"]},
        ],
    });
    let writer = json!({"datasource": "warehouse", "table": "all", "column": ["id"]});
    let read = holds(&script(reader, writer, json!({})), &[]);
    let titles: Vec<_> = read.job.readers.iter().map(|reader| reader.source.as_str()).collect();
    assert_eq!(titles, ["warehouse", "by_file", "warehouse (2)", "x:6000/d"]);
    let parameters: Vec<_> =
        read.job.readers.iter().map(|step| json_of(&step.configuration.parameter)).collect();
    let shared = |parameter: &Value, key: &str| parameter[key].clone();
    assert_eq!(shared(&parameters[0], "table"), json!(["t_[0-3]"]));
    assert_eq!(shared(&parameters[1], "querySql"), json!(["select id from t"]));
    assert!(parameters.iter().all(|parameter| parameter["column"] == json!(["id"])));
    assert!(parameters.iter().all(|parameter| parameter.get("missingColumn").is_none()));
    assert_eq!(read.job.settings.missing_column, domain::job::MissingColumn::Null);
    let hosts: Vec<_> = read.places.readers.iter().map(Vec::len).collect();
    assert_eq!(hosts, [1, 1, 1, 1], "each reaches its own server alone");
    assert_eq!(warnings(&read), Vec::<String>::new());
}
