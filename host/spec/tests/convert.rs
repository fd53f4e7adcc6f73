//! DataX documents as documents of script mode: they mean the same, and show no secret.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use domain::job::{DocumentKind, Job};
use serde_json::{Value, json};
use spec::{Converted, Input, Parameters, Refused, Sources};

#[allow(dead_code, reason = "these documents have data sources of their own")]
mod fixture;

use fixture::Given;

const PASSWORD: &str = "s3cret-1";

fn input<'a>(
    text: &'a str,
    parameters: &'a Parameters,
    clock: &'a spec::Clock,
    plugins: &'a Vec<domain::description::Description>,
    secrets: &'a Given,
    sources: Option<&'a str>,
) -> Input<'a> {
    let sources = Sources { name: "datasources.json", text: sources };
    Input { text, name: "job.json", parameters, clock, sources, plugins, secrets }
}

const PARAMETERS: [&str; 7] = [
    "port=5432",
    "database=d",
    "mysql_port=3306",
    "mysql_database=d",
    "password=s3cret-1",
    "user=u",
    "day=$[yyyymmdd]",
];

fn with<T>(text: &str, sources: Option<&str>, act: impl FnOnce(&Input<'_>) -> T) -> T {
    let parameters = Parameters::from_arguments(PARAMETERS).expect("the parameters are valid");
    let names = ["READER_PASSWORD", "WRITER_PASSWORD", "READER_1_PASSWORD", "READER_2_PASSWORD"];
    let given = Given(BTreeMap::from(names.map(|name| (name.to_owned(), PASSWORD.to_owned()))));
    act(&input(text, &parameters, &fixture::clock(), &fixture::plugins(), &given, sources))
}

fn convert(text: &str, apart: bool) -> Result<Converted, Refused> {
    with(text, None, |input| spec::convert(input, apart))
}

fn job(text: &str, sources: Option<&str>) -> Job {
    with(text, sources, spec::read)
        .unwrap_or_else(|refused| panic!("{}\n{text}", fixture::render_all(&refused)))
        .job
}

/// What a job means: all but where it stands.
fn meaning(job: &Job) -> Value {
    let configured = |name: &str, configuration: &domain::Configuration| {
        let value = |text: &str| serde_json::from_str::<Value>(text).expect("the text is JSON");
        json!([
            name,
            configuration.source_type,
            value(configuration.connection.expose()),
            value(&configuration.connection_blanked),
            value(&configuration.parameter),
        ])
    };
    let step = |step: &domain::job::Step| {
        let others = step.alternatives.iter().map(|other| &other.configuration);
        let all = std::iter::once(&step.configuration).chain(others);
        all.map(|configuration| configured(&step.name, configuration)).collect::<Vec<_>>()
    };
    let between = job.transformers.iter();
    let between = between.map(|step| (format!("{:?}", step.work), step.category.word()));
    let readers = job.readers.iter().map(step).collect::<Vec<_>>();
    json!([readers, between.collect::<Vec<_>>(), step(&job.writer)])
}

/// Both ways of writing it mean what it meant.
#[track_caller]
fn means_the_same(text: &str) -> [Converted; 2] {
    let before = job(text, None);
    assert_eq!(before.kind, DocumentKind::DataX);
    [false, true].map(|apart| {
        let converted = convert(text, apart)
            .unwrap_or_else(|refused| panic!("{}", fixture::render_all(&refused)));
        let after = job(&converted.document, converted.sources.as_deref());
        assert_eq!(after.kind, DocumentKind::Script);
        assert_eq!(meaning(&after), meaning(&before), "{}", converted.document);
        let mut settings = after.settings;
        if converted.notes.iter().any(|note| note.code == "spec.not_kept") {
            settings.rates = before.settings.rates;
        }
        assert_eq!(settings, before.settings, "{}", converted.document);
        let shown = format!("{converted:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
        assert!(!shown.contains('\u{10ffff}'), "{shown}");
        converted
    })
}

fn datax(reader: Value, writer: Value, setting: Value) -> String {
    let content = json!([{"reader": reader, "writer": writer}]);
    json!({"job": {"setting": setting, "content": content}}).to_string()
}

fn stream() -> [Value; 2] {
    let reader = json!({"name": "streamreader", "parameter": {"sliceRecordCount": 1, "column": [{"value": "\u{24}{x"}]}});
    [reader, json!({"name": "streamwriter", "parameter": {"print": true}})]
}

#[test]
fn every_datax_document_of_the_jobs_means_the_same() {
    let jobs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/jobs");
    let mut count = 0;
    for folder in fs::read_dir(jobs).unwrap() {
        let Ok(text) = fs::read_to_string(folder.unwrap().path().join("job.json")) else {
            continue;
        };
        let is_datax = text.contains("\"content\"") && !text.contains("\"steps\"");
        if is_datax {
            means_the_same(&text);
            count += 1;
        }
    }
    assert!(count >= 4, "the folder has lost documents");
}

#[test]
fn settings_say_what_datax_leaves_unsaid() {
    let table = [
        (json!({}), json!({"strategy": "Ignore"}), 1),
        (json!({"errorLimit": {"record": 0}}), json!({"record": 0}), 1),
        (
            json!({"errorLimit": {"record": "7"}, "speed": {"channel": 40}}),
            json!({"record": 7}),
            32,
        ),
        (
            json!({"errorLimit": {"record": 1}, "casts": {"*": "exact", "v": "lossy"}}),
            json!({"record": 1}),
            1,
        ),
        (
            json!({"errorLimit": {"percentage": 0.02}, "speed": {"channel": 4}}),
            json!({"percentage": 0.02}),
            4,
        ),
    ];
    for (setting, limit, lanes) in table {
        let [reader, writer] = stream();
        let text = datax(reader, writer, setting.clone());
        let text = text.replace("${x", "\\u0024{x");
        let [converted, _] = means_the_same(&text);
        let document: Value = serde_json::from_str(&converted.document).unwrap();
        assert_eq!(document["setting"]["errorLimit"], limit);
        assert_eq!(document["setting"]["speed"]["concurrent"], lanes);
        let casts = setting.get("casts").cloned().unwrap_or(json!("datax"));
        assert_eq!(document["setting"]["casts"], casts);
    }
}

#[test]
fn rates_are_those_of_the_job() {
    let [reader, writer] = stream();
    let text = datax(reader, writer, json!({"speed": {"byte": 8_388_608, "record": 40_000}}));
    let mut document: Value = serde_json::from_str(&text.replace("${x", "x")).unwrap();
    document["core"] =
        json!({"transport": {"channel": {"speed": {"byte": 2_097_152, "record": 10_000}}}});
    let [converted, _] = means_the_same(&document.to_string());
    let kept: Value = serde_json::from_str(&converted.document).unwrap();
    let speed = json!({"concurrent": 4, "throttle": true, "mbps": 8, "record": 40_000});
    assert_eq!(kept["setting"]["speed"], speed);
    assert!(converted.notes.iter().any(|note| note.code == "spec.not_kept"));
}

fn postgresql(password: &str, url: &str) -> String {
    let parameter = |url: Value| {
        json!({"username": "u", "password": password, "column": ["a"], "where": "d = $day and e = $other",
               "connection": [{"jdbcUrl": url, "table": ["t"]}]})
    };
    let mut writer = parameter(url.into());
    writer.as_object_mut().expect("it is an object").remove("where");
    datax(
        json!({"name": "postgresqlreader", "parameter": parameter(json!([url]))}),
        json!({"name": "postgresqlwriter", "parameter": writer}),
        json!({}),
    )
}

#[test]
fn secrets_become_references_and_connections_data_sources() {
    let [inline, apart] =
        means_the_same(&postgresql(PASSWORD, "jdbc:postgresql://h:6000/d?sslmode=require"));
    let document: Value = serde_json::from_str(&inline.document).unwrap();
    let parameter = &document["steps"][0]["parameter"];
    assert_eq!(parameter["password"], json!({"env": "READER_PASSWORD"}));
    assert_eq!(parameter["where"], "d = ${day} and e = $other", "only given ones are variables");
    assert_eq!(inline.sources, None);
    let document: Value = serde_json::from_str(&apart.document).unwrap();
    assert_eq!(document["steps"][1]["parameter"]["datasource"], "writer_postgresql");
    let sources: Value = serde_json::from_str(&apart.sources.unwrap()).unwrap();
    assert_eq!(
        sources["writer_postgresql"],
        json!({"type": "postgresql", "properties": {"host": "h", "port": 6000, "database": "d",
               "username": "u", "password": {"env": "WRITER_PASSWORD"}, "ssl": {"mode": "require"}}})
    );
    let codes: Vec<_> = apart.notes.iter().map(|note| note.code.as_str()).collect();
    assert!(codes.contains(&"spec.converted"), "{codes:?}");
}

#[test]
fn a_secret_of_a_url_is_taken_out_of_it() {
    let text = postgresql("", "jdbc:postgresql://h/d?password=s3cret-1");
    let text = text.replace("\"password\":\"\",", "");
    means_the_same(&text);
}

#[test]
fn connections_with_variables_stay_in_the_step() {
    let [_, apart] = means_the_same(&postgresql("${password}", "jdbc:postgresql://h:${port}/d"));
    assert_eq!(apart.sources, None);
    assert!(apart.document.contains("\"password\": \"${password}\""), "{}", apart.document);
    assert!(apart.document.contains("jdbc:postgresql://h:${port}/d"), "{}", apart.document);
}

#[test]
fn what_cannot_be_turned_is_refused() {
    let [reader, writer] = stream();
    let mut secret = writer.clone();
    secret["parameter"]["accessKey"] = json!("s3cret-1");
    let table = [
        (r#"{"type": "job", "version": "2.0", "steps": []}"#.to_owned(), "spec.convert"),
        (datax(reader.clone(), secret, json!({})).replace("${x", "x"), "spec.convert_secret"),
        (postgresql("p", "jdbc:postgresql://h:${port}/d?password=s3cret-1"), "spec.convert_secret"),
        (r#"{"job": {"content": [], "setting": ${x}}}"#.to_owned(), "spec.parameter_value"),
        (
            datax(json!({"name": "hbasereader", "parameter": {}}), writer, json!({})),
            "spec.unknown_plugin",
        ),
    ];
    for (text, code) in table {
        let refused = convert(&text, false).unwrap_err();
        let shown = fixture::render_all(&refused);
        assert!(refused.faults.iter().any(|fault| fault.code == code), "{code}: {shown}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}

#[test]
fn each_connection_of_a_reader_stays_one() {
    let reader = json!({"name": "postgresqlreader", "parameter": {
        "username": "u", "password": PASSWORD, "column": ["id"],
        "connection": [
            {"jdbcUrl": ["jdbc:postgresql://a/d"], "table": ["t_[0-3]"]},
            {"jdbcUrl": ["jdbc:postgresql://b/d", "jdbc:postgresql://c/d"], "querySql": ["select 1"]},
        ],
    }});
    let text = datax(reader, stream()[1].clone(), json!({"speed": {"channel": 1}}));
    let [inline, apart] = means_the_same(&text);
    assert!(inline.sources.is_none());
    let document: Value = serde_json::from_str(&apart.document).unwrap();
    let connection = &document["steps"][0]["parameter"]["connection"];
    assert_eq!(connection[0], json!({"datasource": "reader_postgresql_1", "table": ["t_[0-3]"]}));
    assert_eq!(connection[1]["jdbcUrl"][1], "jdbc:postgresql://c/d");
}
