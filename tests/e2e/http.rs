use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tests::{Api, Document, Env, Output, Stopped, certificates, document, tree};

/// A job from the data source `api` to `out`, as JSON lines.
fn job(env: &Env, parameter: Value) {
    env.write_json("job.json", reading(parameter).json());
}

fn reading(mut parameter: Value) -> Document {
    parameter["datasource"] = "api".into();
    Document::new(("restapi", parameter), document::out("jsonl"))
}

fn run(env: &Env, parameter: Value) -> Output {
    job(env, parameter);
    env.airlock(&["run", "job.json", "-o", "json"]).run()
}

/// The ids that are in the files of `out`, in order.
fn ids(env: &Env) -> Vec<i64> {
    let mut ids: Vec<i64> = rows(env).iter().map(|row| row["id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    ids
}

fn rows(env: &Env) -> Vec<Value> {
    let text = env.published("out").into_iter().map(|file| std::fs::read_to_string(file).unwrap());
    let text: String = text.collect();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn up_to(last: i64) -> Vec<i64> {
    (1..=last).collect()
}

#[test]
fn pages_of_each_kind_are_read_to_their_end() {
    let env = Env::new();
    let api = Api::start(&env);
    api.admit(&env, json!({}));
    let kinds = [
        json!({"url": "/page", "dataPath": "data.list", "pagination": {"type": "page", "size": 60, "sizeParam": "per_page"}}),
        json!({"url": "page", "dataPath": "data.list", "pagination": {"type": "page", "end": 3}}),
        json!({"url": "/offset", "pagination": {"type": "offset"}}),
        json!({"url": "/cursor", "dataPath": "items", "pagination": {"type": "cursor", "path": "meta.next"}}),
        json!({"url": "/header", "pagination": {"type": "cursor", "header": "X-Next"}}),
        json!({"url": "/link", "pagination": {"type": "link"}}),
        json!({"url": "/search", "method": "post", "body": {"most": 250}, "dataPath": "hits", "pagination": {"type": "page"}}),
        json!({"url": api.url() + "/one", "dataMode": "oneData", "dataPath": "data", "requestTimes": "multiple",
               "requestParam": "n", "startIndex": "1", "endIndex": 250, "step": 1}),
    ];
    for parameter in kinds {
        let output = run(&env, parameter.clone()).expect(0);
        assert_eq!(ids(&env), up_to(250), "{parameter}\n{output}");
    }
}

#[test]
fn columns_have_paths_types_and_constants() {
    let env = Env::new();
    let api = Api::start(&env);
    api.admit(&env, json!({}));
    let column = json!([
        {"name": "id", "type": "LONG"}, {"name": "city", "path": "address.city", "type": "STRING"},
        {"name": "tags[1]"}, {"name": "tags"}, {"name": "amount", "type": "decimal(9,2)"}, {"name": "zip", "path": "address.zip", "type": "string"},
        {"name": "source", "value": "api"}
    ]);
    run(&env, json!({"url": "/page", "parameters": {"per_page": 2}, "dataPath": "data.list", "column": column})).expect(0);
    let expected = json!([
        {"id": 1, "city": "city 1", "tags[1]": "t1", "tags": ["a", "t1"], "amount": 0.25, "zip": null, "source": "api"},
        {"id": 2, "city": "city 2", "tags[1]": "t2", "tags": ["a", "t2"], "amount": 0.50, "zip": null, "source": "api"},
    ]);
    assert_eq!(Value::from(rows(&env)), expected);
}

#[test]
fn records_that_do_not_fit_are_dirty_or_null() {
    let env = Env::new();
    let api = Api::start(&env);
    api.admit(&env, json!({}));
    let mut parameter = json!({"url": "/typed", "dataPath": "data", "column": [
        {"name": "id", "type": "LONG"}, {"name": "day", "type": "DATE", "format": "yyyyMMdd"},
        {"name": "price", "type": "decimal(38,6)"}, {"name": "ok", "type": "BOOLEAN"}]});
    env.write_json("job.json", reading(parameter.clone()).tolerating(4).json());
    let output = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(0);
    assert_eq!(ids(&env), [1, 7], "{output}");
    let text = std::fs::read_to_string(&env.published("out")[0]).unwrap();
    assert!(text.contains("12345678901234567890.123450"), "{text}");
    let run_id = output.json()["run_id"].as_str().unwrap().to_owned();
    let dirty = env.airlock(&["dirty", "export", &run_id, "-"]).run().expect(0).stdout;
    for told in
        ["typed, record 2", "typed, record 3", "typed, record 4", "typed, record 5", "http.record"]
    {
        assert!(dirty.contains(told), "{told}: {dirty}");
    }
    parameter["dirtyData"] = "null".into();
    env.write_json("job.json", reading(parameter).tolerating(2).json());
    let summary = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(0).json();
    assert_eq!((&summary["records_nulled"], &summary["records_dirty"]), (&json!(2), &json!(2)));
    let found: Vec<_> =
        rows(&env).iter().map(|row| (row["id"].clone(), row["day"].clone())).collect();
    let row = |id: Value, day: Value| (id, day);
    assert_eq!(
        found,
        [
            row(1.into(), "2025-10-31".into()),
            row(Value::Null, "2025-11-01".into()),
            row(3.into(), Value::Null),
            row(7.into(), "2025-11-02".into()),
        ]
    );
}

#[test]
fn bodies_are_json_lines_csv_or_packed() {
    let env = Env::new();
    let api = Api::start(&env);
    api.admit(&env, json!({}));
    run(&env, json!({"url": "/lines", "responseType": "NDJSON"})).expect(0);
    assert_eq!(ids(&env), up_to(5000));
    run(&env, json!({"url": "/csv", "responseType": "csv", "parameters": "n=5000"})).expect(0);
    assert_eq!(ids(&env), up_to(5000));
    assert_eq!(rows(&env)[6]["name"], "name, 7");
    run(
        &env,
        json!({"url": "/csv", "responseType": "CSV", "column": [{"name": "id", "type": "long"}]}),
    )
    .expect(0);
    assert_eq!(rows(&env)[0], json!({"id": 1}));
    run(&env, json!({"url": "/gzip"})).expect(0);
    assert_eq!(ids(&env), up_to(250));
}

#[test]
fn a_file_is_read_whatever_lies_around_it() {
    let env = Env::new();
    let api = Api::start(&env);
    let source = json!({"files": {"type": "httpfile", "properties": {"urlPrefix": api.url()}}});
    env.write_json("datasources.json", &source);
    let files = [
        (json!({"fileName": "/csv", "fileFormat": "csv", "header": true}), 5000),
        (json!({"fileName": "rows.csv.gz", "header": true}), 100_000),
        (json!({"fileName": "dense.csv.bz2", "header": true}), 40_000),
        (json!({"fileName": "lines?n=7", "fileFormat": "jsonl", "requestParam": "m=1"}), 7),
    ];
    let run = |mut parameter: Value, exit: i32| {
        parameter["datasource"] = "files".into();
        let reader = ("httpfile", parameter);
        env.write_json("job.json", Document::new(reader, document::out("jsonl")).json());
        env.airlock(&["run", "job.json", "-o", "json"]).run().expect(exit)
    };
    for other in [
        json!({"fileName": "rows.parquet"}),
        json!({"fileName": "rows.xlsx"}),
        json!({"fileName": "rows.xml"}),
        json!({"fileName": "rows.csv.zip"}),
    ] {
        let output = run(other, 2);
        assert_eq!(output.error_code(), "parameter.invalid", "{output}");
        assert!(output.to_string().contains("step of type file"), "{output}");
    }
    for (key, word) in [("fileFormat", "orc"), ("fileFormat", "avro"), ("compress", "zip")] {
        let output = run(json!({"fileName": "rows", key: word}), 2);
        assert_eq!(output.error_code(), "spec.value", "{output}");
    }
    for (parameter, last) in files {
        run(parameter, 0);
        assert_eq!(ids(&env), up_to(last));
    }
    env.airlock(&["check", "job.json"]).run().expect(0);
    env.airlock(&["check", "files"]).run().expect(0);
}

#[test]
fn who_asks_is_shown_in_each_way() {
    let mut env = Env::new();
    let api = Api::start(&env);
    env.set("SECRET", "open-sesame");
    env.set("PASSWORD", "pa:ss ü");
    let secret = json!({"env": "SECRET"});
    let ways = [
        ("/basic", json!({"username": "etl", "password": {"env": "PASSWORD"}})),
        ("/bearer", json!({"authToken": secret})),
        ("/bearer", json!({"securityProtocol": "Token Auth", "authToken": secret})),
        ("/key", json!({"apiKey": secret, "keyName": "X-Key"})),
        ("/keyquery", json!({"apiKey": secret, "keyName": "key", "keyIn": "query"})),
    ];
    for (url, properties) in ways {
        api.admit(&env, properties);
        let output = run(&env, json!({"url": url})).expect(0);
        assert_eq!(ids(&env), up_to(3), "{url}");
        assert!(!output.to_string().contains("sesame"), "{output}");
    }
    api.admit(&env, json!({"authToken": "wrong"}));
    let output = run(&env, json!({"url": "/bearer"})).expect(3);
    assert_eq!(output.error_code(), "http.unauthorized");
    let output = env.airlock(&["check", "job.json"]).run().expect(3);
    insta::assert_snapshot!(output.normal());
}

#[test]
fn tokens_of_oauth_are_asked_for_and_renewed() {
    let mut env = Env::new();
    let api = Api::start(&env);
    env.set("SECRET", "s/cret");
    let secret = json!({"env": "SECRET"});
    api.admit(&env, json!({"oauth2Url": api.url() + "/token", "clientId": "client", "clientSecret": secret, "scope": "read all"}));
    let parameter =
        json!({"url": "/oauth", "dataPath": "data.list", "pagination": {"type": "page"}});
    let output = run(&env, parameter.clone()).expect(0);
    assert_eq!(ids(&env), up_to(250), "{output}");
    let tokens = api.paths().iter().filter(|path| *path == "/token").count();
    assert!(tokens >= 3, "{:?}", api.paths());
    env.set("SECRET", "wrong");
    let output = run(&env, parameter).expect(3);
    assert_eq!(output.error_code(), "http.token_refused", "{output}");
}

#[test]
fn what_breaks_for_a_while_is_asked_again() {
    let env = Env::new();
    let api = Api::start(&env);
    api.admit(&env, json!({}));
    let pages = json!({"type": "page"});
    run(&env, json!({"url": "/flaky", "dataPath": "data.list", "pagination": pages})).expect(0);
    assert_eq!(ids(&env), up_to(250));
    run(&env, json!({"url": "/cut", "dataPath": "data.list", "pagination": pages})).expect(0);
    assert_eq!(ids(&env), up_to(250));
    let column = json!([{"name": "id", "type": "long"}]);
    let output = run(&env, json!({"url": "/cutlines", "responseType": "NDJSON", "column": column}))
        .expect(0);
    assert_eq!(ids(&env), up_to(5000), "{output}");
}

#[test]
fn what_leads_elsewhere_or_never_ends_is_refused() {
    let env = Env::new();
    let api = Api::start(&env);
    api.admit(&env, json!({}));
    run(&env, json!({"url": "/moved", "dataPath": "data.list"})).expect(0);
    assert_eq!(ids(&env), up_to(250));
    let column = json!([{"name": "id", "type": "long"}]);
    let refused = [
        (json!({"url": "/away"}), 3, "http.redirect_refused"),
        (json!({"url": "/linkaway", "pagination": {"type": "link"}}), 3, "http.link_elsewhere"),
        (
            json!({"url": "/loop", "dataPath": "items", "pagination": {"type": "cursor", "path": "next"}}),
            3,
            "http.cursor_repeats",
        ),
        (json!({"url": "/endless", "column": column}), 3, "http.body_too_large"),
        (json!({"url": "/bomb", "column": column}), 3, "http.body_too_large"),
        (json!({"url": "/headers", "column": column}), 3, "http.headers_too_large"),
        (json!({"url": "/people", "column": column}), 4, "http.json"),
        (json!({"url": "/nowhere"}), 3, "http.not_found"),
        (json!({"url": "/page"}), 4, "http.shape"),
        (json!({"url": "http://127.0.0.1:1/page"}), 2, "parameter.invalid"),
        (json!({"url": "/page", "customHeader": {"Host": "other"}}), 2, "parameter.invalid"),
    ];
    for (parameter, exit, code) in refused {
        let output = run(&env, parameter.clone()).expect(exit);
        assert_eq!(output.error_code(), code, "{parameter}\n{output}");
        assert!(!output.to_string().contains("token=secret"), "{output}");
    }
}

#[test]
fn a_private_authority_is_trusted_where_it_is_given() {
    let env = Env::new();
    certificates::make(env.root());
    std::fs::copy(env.root().join("ca.pem"), env.path("ca.pem")).unwrap();
    std::fs::copy(env.root().join("other.pem"), env.path("other.pem")).unwrap();
    let api = Api::with_tls(&env, env.root());
    let parameter =
        json!({"url": "/page", "dataPath": "data.list", "pagination": {"type": "page"}});
    for (ssl, code) in [
        (json!({"ca": {"file": "ca.pem"}}), None),
        (json!({"mode": "required"}), None),
        (json!({"ca": {"file": "other.pem"}}), Some("http.tls_certificate")),
        (json!({}), Some("http.tls_certificate")),
    ] {
        api.admit(&env, json!({"ssl": ssl}));
        let output = run(&env, parameter.clone()).expect(if code.is_some() { 3 } else { 0 });
        match code {
            Some(code) => assert_eq!(output.error_code(), code, "{output}"),
            None => assert_eq!(ids(&env), up_to(250)),
        }
    }
    // One connection carries many requests.
    let requests = api.requests();
    let clients: BTreeSet<_> =
        requests.iter().map(|request| request["client"].to_string()).collect();
    assert!(clients.len() * 2 <= requests.len(), "{} of {}", clients.len(), requests.len());
}

/// A job from rows with these names to `api`.
fn sending(env: &Env, names: &[&str], mut parameter: Value, tolerated: u64) -> Output {
    let lines: String = (1..).zip(names).map(|(id, name)| format!("{id},{name}\n")).collect();
    env.write("rows.csv", format!("id,name\n{lines}"));
    parameter["datasource"] = "api".into();
    let document = Document::new(document::csv("rows.csv"), ("restapi", parameter));
    env.write_json("job.json", document.tolerating(tolerated).json());
    env.airlock(&["run", "job.json", "-o", "json"]).run()
}

/// The records that requests which were answered well have brought, by the log.
fn bodies(api: &Api) -> Vec<(String, Value)> {
    let request = |request: Value| {
        let body = request["body"].as_str().unwrap();
        let lines =
            body.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>();
        (request["method"].as_str().unwrap().to_owned(), Value::from(lines))
    };
    api.requests().into_iter().map(request).collect()
}

#[test]
fn records_are_sent_in_each_shape() {
    let rows = [
        json!({"id": 1, "name": "a"}),
        json!({"id": 2, "name": "b"}),
        json!({"id": 3, "name": "c"}),
    ];
    let [a, b, c] = rows.clone();
    let shapes = [
        (json!({}), vec![("POST", json!([rows]))]),
        (
            json!({"batchSize": 2, "method": "PUT"}),
            vec![("PUT", json!([[a, b]])), ("PUT", json!([[c]]))],
        ),
        (json!({"bodyType": "NDJSON", "method": "patch"}), vec![("PATCH", json!(rows))]),
        (json!({"dataPath": "data.rows"}), vec![("POST", json!([{"data": {"rows": rows}}]))]),
        (
            json!({"dataMode": "oneData"}),
            vec![("POST", json!([a])), ("POST", json!([b])), ("POST", json!([c]))],
        ),
    ];
    for (parameter, expected) in shapes {
        let env = Env::new();
        let api = Api::start(&env);
        api.admit(&env, json!({}));
        let mut parameter = parameter;
        parameter["url"] = "/sink".into();
        let output = sending(&env, &["a", "b", "c"], parameter, 0).expect(0);
        assert_eq!(output.json()["commit_mode"], "at-least-once");
        let expected: Vec<_> =
            expected.into_iter().map(|(method, body)| (method.to_owned(), body)).collect();
        assert_eq!(bodies(&api), expected, "{output}");
    }
}

#[test]
fn records_that_a_server_refuses_are_found() {
    let env = Env::new();
    let api = Api::start(&env);
    api.admit(&env, json!({}));
    let names: Vec<&str> = (0..100).map(|row| if row % 40 == 7 { "bad" } else { "good" }).collect();
    let output =
        sending(&env, &names, json!({"url": "/sink?most=30", "batchSize": 64}), 3).expect(0);
    let summary = output.json();
    assert_eq!(
        (&summary["records_written"], &summary["records_dirty"]),
        (&json!(97), &json!(3)),
        "{output}"
    );
    assert_eq!(summary["dirty"][0]["code"], "http.refused", "{output}");
    let output = sending(
        &env,
        &names,
        json!({"url": "/sink", "dataMode": "oneData", "column": ["id", "name"]}),
        3,
    )
    .expect(0);
    assert_eq!(output.json()["records_written"], 97, "{output}");
    let output = sending(&env, &names, json!({"url": "/sink"}), 2).expect(4);
    assert_eq!(output.error_code(), "run.dirty_limit");
}

#[test]
fn a_request_and_its_repetitions_have_one_key() {
    let env = Env::new();
    let api = Api::start(&env);
    api.admit(&env, json!({}));
    let parameter =
        json!({"url": "/shaky", "batchSize": 2, "idempotencyHeader": "Idempotency-Key"});
    let output = sending(&env, &["a", "b", "c", "d"], parameter, 0).expect(0);
    assert_eq!(output.json()["records_written"], 4, "{output}");
    let mut bodies_of = BTreeMap::<String, BTreeSet<String>>::new();
    for request in api.requests() {
        let key = request["headers"]["idempotency-key"].as_str().unwrap().to_owned();
        bodies_of.entry(key).or_default().insert(request["body"].to_string());
    }
    assert!(bodies_of.values().all(|bodies| bodies.len() == 1), "{bodies_of:?}");
    assert_eq!(bodies_of.len(), 2, "{bodies_of:?}");
}

#[test]
fn a_killed_run_goes_on_at_the_page_where_it_was() {
    let env = Env::new();
    let api = Api::start(&env);
    api.admit(&env, json!({}));
    let pages = json!({"type": "page", "size": 10, "sizeParam": "per_page"});
    job(&env, json!({"url": "/page", "dataPath": "data.list", "pagination": pages}));
    let program = env.program(&tree::stops(), &["run", "job.json"]);
    Stopped::at(program, "reader.next:12:before", env.root()).unwrap().kill();
    env.airlock(&["run", "job.json", "--resume", "-o", "json"]).run().expect(0);
    assert_eq!(ids(&env), up_to(250));
}

#[test]
fn what_is_there_is_shown() {
    let env = Env::new();
    let api = Api::start(&env);
    api.admit(&env, json!({}));
    insta::assert_snapshot!(
        "discover_an_api",
        env.airlock(&["discover", "api", "page"]).run().normal()
    );
    env.airlock(&["check", "api"]).run().expect(0);
    job(&env, json!({"url": "/page", "dataPath": "data.list", "pagination": {"type": "page"}}));
    insta::assert_snapshot!("plan_of_an_api", env.airlock(&["plan", "job.json"]).run().normal());
    env.airlock(&["check", "job.json"]).run().expect(0);
    let sink = json!({"datasource": "api", "url": "/sink"});
    env.write("rows.csv", "id,name\n1,a\n");
    env.write_json("job.json", Document::new(document::csv("rows.csv"), ("restapi", sink)).json());
    insta::assert_snapshot!("plan_to_an_api", env.airlock(&["plan", "job.json"]).run().normal());
    env.airlock(&["check", "job.json"]).run().expect(0);
    assert!(
        api.requests().iter().all(|request| request["method"] != "POST"),
        "looking sends nothing"
    );
}
