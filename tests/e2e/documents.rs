use serde_json::json;
use tests::{Document, Env, document};

const ROWS: &str = "id,name\n1,a\n";

fn env_with(job: &str) -> Env {
    let env = Env::new();
    env.write("job.json", job);
    env.write("rows.csv", ROWS);
    env
}

fn good() -> Document {
    Document::new(document::csv("rows.csv"), document::out("csv"))
}

#[test]
fn a_document_that_does_not_exist() {
    let env = Env::new();
    insta::assert_snapshot!(env.airlock(&["run", "none.json"]).run().normal());
}

#[test]
fn broken_json() {
    let env = env_with("{\"type\": \"job\",\n \"steps\": [\n  {\"stepType\": \"file\",}\n ]}\n");
    insta::assert_snapshot!(env.airlock(&["run", "job.json"]).run().normal());
    assert!(!env.path("out").exists());
}

#[test]
fn an_unknown_plugin() {
    let mut job = good().json().clone();
    job["steps"][1]["stepType"] = "postgersql".into();
    let env = env_with(&format!("{job:#}\n"));
    insta::assert_snapshot!(env.airlock(&["run", "job.json"]).run().normal());
}

#[test]
fn all_errors_at_once() {
    let mut job = good().json().clone();
    job["steps"][0]["parameter"]["fileFormat"] = "cvs".into();
    job["steps"][0]["parameter"]["header"] = 7.into();
    job["steps"][1]["parameter"]["writeMode"] = "replace".into();
    job["setting"]["speed"]["concurrent"] = 99.into();
    job["order"]["hops"][0]["to"] = "Wirter".into();
    let env = env_with(&format!("{job:#}\n"));
    insta::assert_snapshot!(env.airlock(&["run", "job.json"]).run().normal());
    let output = env.airlock(&["validate", "job.json", "-o", "json"]).run().expect(2);
    assert!(output.json()["errors"].as_array().unwrap().len() >= 4, "{output}");
}

#[test]
fn an_unknown_key_warns() {
    let mut job = good().json().clone();
    job["steps"][0]["parameter"]["fileFromat"] = "csv".into();
    job["steps"][0]["parameter"]["heder"] = true.into();
    let env = env_with(&format!("{job:#}\n"));
    insta::assert_snapshot!(
        env.airlock(&["run", "job.json", "--bizdate", "20251031"]).run().normal()
    );
}

#[test]
fn a_variable_without_a_value() {
    let mut job = good().json().clone();
    job["steps"][1]["parameter"]["path"] = "out/${region}/${day}".into();
    let env = env_with(&format!("{job:#}\n"));
    insta::assert_snapshot!(env.airlock(&["run", "job.json", "-p", "day=1"]).run().normal());
    env.airlock(&["run", "job.json", "-p", "day=1", "-p", "region=eu"]).run().expect(0);
    assert!(env.path("out/eu/1").exists());
}

#[test]
fn a_data_source_that_nobody_defined() {
    let job = Document::new(document::csv("rows.csv"), document::table("t"));
    let env = env_with(&format!("{:#}\n", job.json()));
    insta::assert_snapshot!(env.airlock(&["run", "job.json"]).run().normal());
}

#[test]
fn a_secret_from_a_variable_that_is_not_set() {
    let job = Document::new(document::csv("rows.csv"), document::table("t"));
    let env = env_with(&format!("{:#}\n", job.json()));
    let properties = json!({"host": "127.0.0.1", "port": 5432, "database": "d", "username": "u",
        "password": {"env": "NO_SUCH_VARIABLE"}});
    env.write_json(
        "datasources.json",
        &json!({"pg": {"type": "postgresql", "properties": properties}}),
    );
    insta::assert_snapshot!(env.airlock(&["run", "job.json"]).run().normal());
}

#[test]
fn wrong_arguments() {
    let env = env_with("{}");
    env.airlock(&["run"]).run().expect(2);
    env.airlock(&["run", "job.json", "--no-such-option"]).run().expect(2);
    env.airlock(&["run", "job.json", "--bizdate", "yesterday"]).run().expect(2);
    env.airlock(&["run", "job.json", "-p", "novalue"]).run().expect(2);
    env.airlock(&["fly"]).run().expect(2);
    env.airlock::<&str>(&[]).run().expect(2);
}

#[test]
fn a_document_of_no_known_kind() {
    let env = env_with("{\"hello\": \"world\"}\n");
    insta::assert_snapshot!(env.airlock(&["run", "job.json"]).run().normal());
}
