use std::fs;

use serde_json::{Value, json};
use tests::{Env, tree};

/// The job `name`, and a document of script mode beside it.
fn converted(name: &str) -> Env {
    let env = Env::new();
    env.copy(&tree::tests().join("jobs").join(name));
    let output = env.airlock(&["convert", "job.json"]).run().expect(0);
    env.write("script.json", &output.stdout);
    env
}

#[test]
fn a_converted_document_plans_what_the_first_one_plans() {
    for name in ["datax_files", "datax_columns_as_text", "datax_transformers"] {
        let env = converted(name);
        let plan = |document| {
            let mut plan = env.airlock(&["plan", document, "-o", "json"]).run().expect(0).json();
            // Where grants are named differs, and when it ran.
            for key in ["grants", "clock", "warnings"] {
                plan[key] = Value::Null;
            }
            // The steps of a DataX document have no names.
            for step in plan["datasets"][0]["steps"].as_array_mut().unwrap() {
                step["name"] = Value::Null;
            }
            plan
        };
        assert_eq!(plan("script.json"), plan("job.json"), "{name}");
    }
}

#[test]
fn what_changed_is_told_beside_the_document() {
    let env = converted("datax_files");
    insta::assert_snapshot!(env.airlock(&["convert", "job.json"]).run().normal());
    env.airlock(&["convert", "script.json"]).run().expect(2);
}

#[test]
fn connections_become_data_sources_without_their_secrets() {
    const SECRET: &str = "marker-7Qz-never-shown";
    let env = Env::new();
    let parameter = json!({"username": "u", "password": SECRET, "column": ["a"],
        "connection": [{"jdbcUrl": ["jdbc:postgresql://127.0.0.1:5432/d"], "table": ["t"]}]});
    let reader = json!({"name": "postgresqlreader", "parameter": parameter});
    let writer = json!({"name": "streamwriter", "parameter": {"print": true}});
    let content = json!([{"reader": reader, "writer": writer}]);
    env.write_json("job.json", &json!({"job": {"content": content}}));
    let convert = ["convert", "job.json", "--sources", "datasources.json"];
    let output = env.airlock(&convert).run().expect(0);
    let sources = fs::read_to_string(env.path("datasources.json")).unwrap();
    assert!(sources.contains("READER_PASSWORD"), "{sources}");
    assert!(!output.to_string().contains(SECRET) && !sources.contains(SECRET), "{output}");
    env.write("script.json", &output.stdout);
    env.airlock(&["validate", "script.json"]).env("READER_PASSWORD", SECRET).run().expect(0);
    let again = env.airlock(&[&convert[..], &["-o", "json"]].concat()).run().expect(2);
    assert_eq!(again.error_code(), "sources.exist", "data sources are not written over");
}
