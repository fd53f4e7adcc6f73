use serde_json::json;
use tests::{Document, Env, document, tree};

/// `faulty`, a plug-in that is not built in and does on request what it must not.
fn faulty() -> String {
    tree::component("faulty").display().to_string()
}

fn rows_into_nothing(parameter: serde_json::Value) -> Document {
    Document::new(("faulty", parameter), ("stream", json!({"print": false})))
}

#[test]
fn a_plugin_that_is_not_built_in_runs() {
    let env = Env::new();
    env.write_json("job.json", rows_into_nothing(json!({"rows": 10, "splits": 2})).json());
    let plugin = faulty();
    for command in ["validate", "plan", "check", "run"] {
        env.airlock(&[command, "job.json", "--plugin", &plugin]).run().expect(0);
    }
    let output =
        env.airlock(&["run", "job.json", "--plugin", &plugin, "-o", "json"]).run().expect(0);
    assert_eq!(output.json()["records_written"], 20);
    env.airlock(&["run", "job.json"]).run().expect(2);
}

#[test]
fn warmed_plugins_are_in_the_cache() {
    let env = Env::new();
    let warm = || {
        let warmed = env.airlock(&["plugin", "warm", &faulty(), "-o", "json"]).run().expect(0);
        let plugins = warmed.json()["plugins"].as_array().unwrap().clone();
        plugins.iter().map(|plugin| plugin["compiled"].as_bool().unwrap()).collect::<Vec<_>>()
    };
    let first = warm();
    assert!(first.len() > 5, "{first:?}");
    assert_eq!(warm(), vec![false; first.len()]);
    env.airlock(&["plugin", "warm", "no.wasm"]).run().expect(2);
}

#[test]
fn no_job_writes_where_the_books_and_the_compiled_code_are() {
    let env = Env::new();
    env.airlock(&["runs"]).run().expect(0);
    for folder in [env.root().to_owned(), env.state(), env.state().join("locks")] {
        let writer = json!({"path": folder, "fileName": "x", "fileFormat": "csv"});
        let rows = json!({"column": [{"value": "1", "type": "long"}], "sliceRecordCount": 1});
        env.write_json("job.json", Document::new(("stream", rows), ("file", writer)).json());
        let run = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(2);
        assert_eq!(run.error_code(), "reach.own_folder", "{}", folder.display());
    }
}

/// A job with the plug-in on both sides of its step, which does what `parameter` says.
fn rows_through_a_step(parameter: serde_json::Value) -> serde_json::Value {
    json!({
        "type": "job",
        "version": "2.0",
        "steps": [
            {"stepType": "faulty", "category": "reader", "name": "R", "parameter": {"rows": 10, "splits": 1}},
            {"stepType": "faulty", "category": "map", "name": "Odd", "parameter": parameter},
            {"stepType": "stream", "category": "writer", "name": "W", "parameter": {"print": false}}
        ],
        "order": {"hops": [{"from": "R", "to": "Odd"}, {"from": "Odd", "to": "W"}]}
    })
}

#[test]
fn a_step_of_a_plugin_that_is_not_built_in() {
    let env = Env::new();
    let plugin = faulty();
    let act = |act: &str| json!({"call": "apply", "act": act});
    let run = |parameter: serde_json::Value, code: i32| {
        env.write_json("job.json", &rows_through_a_step(parameter));
        let run = ["run", "job.json", "--plugin", &plugin, "-o", "json"];
        env.airlock(&run).run().expect(code).json()
    };
    assert_eq!(run(json!({}), 0)["records_written"], 10);
    for command in ["validate", "plan", "check"] {
        env.airlock(&[command, "job.json", "--plugin", &plugin]).run().expect(0);
    }
    let dropped = run(act("drop"), 0);
    assert_eq!(
        (&dropped["records_written"], &dropped["records_filtered"]),
        (&json!(0), &json!(10))
    );
    let refused = run(act("refuse"), 4);
    assert_eq!(refused["dirty"][0]["stage"], "transform", "{refused}");
    assert_eq!(refused["dirty"][0]["message"], "Odd: refused on purpose", "{refused}");
    for (name, code) in [("origins-twice", "plugin.lie.map"), ("panic", "plugin.trap")] {
        let failed = run(act(name), 4);
        assert_eq!(failed["error"]["code"], code, "{failed}");
        let who = failed["error"]["context"].to_string();
        assert!(who.contains("of step \\\"Odd\\\""), "{who}");
    }
    // A step reaches no place that the job does not name.
    let asks = json!({"call": "requirements", "act": "ask-directory", "target": "/etc"});
    assert_eq!(run(asks, 3)["error"]["code"], "grant.refused");
}

#[test]
fn a_plugin_that_asks_for_a_place_its_job_does_not_name() {
    let env = Env::new();
    // The port is this test's own: a plug-in that came through would be seen.
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let parameter = json!({"call": "requirements", "act": "ask-tcp", "target": target});
    env.write_json("job.json", rows_into_nothing(parameter).json());
    let output = env.airlock(&["run", "job.json", "--plugin", &faulty()]).run();
    insta::assert_snapshot!(output.normal());
    assert!(listener.accept().is_err(), "it is refused before it runs");
    let runs = env.airlock(&["runs", "-o", "json"]).run().expect(0);
    assert!(!runs.stdout.contains("running"), "{runs}");
}

#[test]
fn a_plugin_that_asks_for_a_folder_its_job_does_not_name() {
    let env = Env::new();
    let parameter = json!({"call": "requirements", "act": "ask-directory", "target": "/etc"});
    env.write_json("job.json", rows_into_nothing(parameter).json());
    let plugin = faulty();
    let output =
        env.airlock(&["run", "job.json", "--plugin", &plugin, "-o", "json"]).run().expect(3);
    assert_eq!(output.error_code(), "grant.refused", "{output}");
    // The operator may.
    let allowed = ["run", "job.json", "--plugin", &plugin, "--allow-read", "/etc"];
    env.airlock(&allowed).run().expect(0);
}

#[test]
fn a_plugin_that_reaches_out_without_asking() {
    let env = Env::new();
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let target = listener.local_addr().unwrap().to_string();
    for (act, target) in
        [("connect", target.as_str()), ("read", "/etc/passwd"), ("resolve", "localhost")]
    {
        let parameter = json!({"call": "connect", "act": act, "target": target});
        env.write_json("job.json", rows_into_nothing(parameter).json());
        let output =
            env.airlock(&["run", "job.json", "--plugin", &faulty(), "-o", "json"]).run().expect(4);
        assert_eq!(output.error_code(), "faulty.refused", "{act}: {output}");
    }
    assert!(listener.accept().is_err());
}

#[test]
fn a_plugin_that_traps_or_never_comes_back_ends_its_run() {
    let env = Env::new();
    let parameter = json!({"call": "next", "act": "panic", "nth": 2});
    env.write_json("job.json", rows_into_nothing(parameter).json());
    insta::assert_snapshot!(
        env.airlock(&["run", "job.json", "--plugin", &faulty()]).run().normal()
    );
    let parameter = json!({"call": "next", "act": "spin"});
    env.write_json("job.json", rows_into_nothing(parameter).json());
    let limited =
        ["run", "job.json", "--plugin", &faulty(), "-o", "json", "--limit", "short-call=1s"];
    let output = env.airlock(&limited).run().expect(4);
    assert_eq!(output.json()["error"]["domain"], "plugin", "{output}");
}

#[test]
fn a_plugin_that_goes_on_for_ever_without_a_row_ends_its_run() {
    let env = Env::new();
    for (call, act, code) in [
        ("next", "empty-forever", "plugin.lie.idle"),
        ("next", "advanced-forever", "plugin.lie.idle"),
        ("next-splits", "splits-forever", "plugin.lie.splits"),
    ] {
        let parameter = json!({"call": call, "act": act, "nth": 0});
        env.write_json("job.json", rows_into_nothing(parameter).json());
        let output =
            env.airlock(&["run", "job.json", "--plugin", &faulty(), "-o", "json"]).run().expect(4);
        assert_eq!(output.error_code(), code, "{act}: {output}");
    }
}

#[test]
fn a_source_that_gives_nothing_is_named() {
    let env = Env::new();
    let parameter = json!({"call": "next", "act": "idle-forever", "nth": 0});
    env.write_json("job.json", rows_into_nothing(parameter).json());
    let run = ["run", "job.json", "--plugin", &faulty(), "-o", "json", "--limit", "no-progress=1s"];
    let output = env.airlock(&run).run().expect(3);
    assert_eq!(output.error_code(), "run.no_progress", "{output}");
    assert!(output.json()["resume"].is_string(), "{output}");
    assert!(output.stdout.contains("the source has given neither a record"), "{output}");
}

#[test]
fn a_plugin_that_lies_about_its_data_ends_its_run() {
    let env = Env::new();
    for act in ["offsets-falling", "utf8-invalid", "buffers-few", "null-forbidden"] {
        env.write_json("job.json", rows_into_nothing(json!({"call": "next", "act": act})).json());
        let output =
            env.airlock(&["run", "job.json", "--plugin", &faulty(), "-o", "json"]).run().expect(4);
        assert_eq!(output.json()["error"]["domain"], "plugin", "{act}: {output}");
        assert_eq!(output.json()["records_written"], 0, "{act}");
    }
}

#[test]
fn terminal_sequences_of_a_plugin_are_shown_not_obeyed() {
    let env = Env::new();
    let parameter = json!({"call": "next", "act": "fault-escapes"});
    env.write_json("job.json", rows_into_nothing(parameter).json());
    let output = env.airlock(&["run", "job.json", "--plugin", &faulty()]).run().expect(4);
    assert!(!output.stderr.contains('\u{1b}') && !output.stderr.contains('\u{202e}'), "{output}");
}

#[test]
fn a_plugin_that_is_no_component() {
    let env = Env::new();
    env.write_json(
        "job.json",
        Document::new(document::csv("rows.csv"), document::out("csv")).json(),
    );
    env.write("rows.csv", "id\n1\n");
    env.write("text.wasm", "this is no component");
    // A core module: its magic and version, and nothing else.
    env.write("module.wasm", b"\0asm\x01\0\0\0");
    let whole = std::fs::read(faulty()).unwrap();
    env.write("cut.wasm", &whole[..whole.len() / 2]);
    let output = env.airlock(&["run", "job.json", "--plugin", "text.wasm"]).run();
    insta::assert_snapshot!(output.normal());
    for (file, code) in [("module.wasm", 2), ("cut.wasm", 2), ("none.wasm", 2)] {
        let output = env.airlock(&["run", "job.json", "--plugin", file]).run().expect(code);
        assert!(output.stderr.contains(file), "{file}: {output}");
    }
    assert_eq!(env.files("out").len(), 0);
}

#[test]
fn plugins_are_listed_and_inspected() {
    let env = Env::new();
    insta::assert_snapshot!("plugin_list", env.airlock(&["plugin", "list"]).run().normal());
    let output = env.airlock(&["plugin", "inspect", "txtfilereader"]).run().expect(0);
    for word in ["file", "fileFormat", "writeMode", "column"] {
        assert!(output.stdout.contains(word), "{word}: {output}");
    }
    let json = env.airlock(&["plugin", "inspect", "postgresql", "-o", "json"]).run().expect(0);
    assert!(json.json().is_object());
    env.airlock(&["plugin", "inspect", &faulty()]).run().expect(0);
    env.airlock(&["plugin", "inspect", "nothing"]).run().expect(2);
}
