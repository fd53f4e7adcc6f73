use std::path::Path;

use serde_json::{Value, json};
use tests::postgres::{PASSWORD, USER};
use tests::{Document, Env, Output, PgServer, document};

/// Searches everything that a program said, and every byte that it left behind.
fn search(env: &Env, outputs: &[Output]) {
    for output in outputs {
        assert!(!output.stdout.contains(PASSWORD) && !output.stderr.contains(PASSWORD), "{output}");
    }
    search_folder(&env.state());
}

fn search_folder(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            search_folder(&path);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes());
        assert!(!found, "the password is in {}", path.display());
    }
}

/// A job into a table, run well and badly, shown by every command, with the loudest log.
fn exercise(env: &mut Env, more: &[&str]) -> Vec<Output> {
    env.set("AIRLOCK_LOG", "trace");
    let mut outputs = Vec::new();
    for words in [
        &["validate", "job.json"][..],
        &["plan", "job.json", "--explain"],
        &["check", "job.json", "--explain"],
        &["run", "job.json", "--explain"],
        &["run", "bad.json", "--explain"],
    ] {
        for format in [&[][..], &["-o", "json"]] {
            outputs.push(env.airlock(&[words, format, more].concat()).run());
        }
    }
    outputs.push(env.airlock(&["runs"]).run());
    outputs
}

fn documents(env: &Env, target: impl Fn(&str) -> (&'static str, Value)) {
    env.write("rows.csv", "id,name\n1,a\n");
    for (file, name) in [("job.json", "people"), ("bad.json", "poeple")] {
        env.write_json(file, Document::new(document::csv("rows.csv"), target(name)).json());
    }
}

#[test]
fn a_password_from_the_environment_is_never_shown() {
    let database = PgServer::shared().database();
    database.setup("create table people (id bigint, name text)");
    let mut env = Env::new();
    database.admit(&mut env);
    documents(&env, document::table);
    let outputs = exercise(&mut env, &[]);
    assert_eq!(outputs[6].code, Some(0), "{}", outputs[6]);
    assert_eq!(outputs[8].code, Some(3), "{}", outputs[8]);
    search(&env, &outputs);
}

#[test]
fn a_password_in_the_document_is_never_shown() {
    let database = PgServer::shared().database();
    database.setup("create table people (id bigint, name text)");
    let mut env = Env::new();
    let port = PgServer::shared().port();
    let url = format!("jdbc:postgresql://127.0.0.1:{port}/{}", database.name);
    documents(&env, |table| {
        let connection = json!([{"jdbcUrl": url.clone(), "table": [table]}]);
        (
            "postgresql",
            json!({"username": USER, "password": PASSWORD, "connection": connection, "column": ["id", "name"]}),
        )
    });
    let outputs = exercise(&mut env, &[]);
    assert_eq!(outputs[6].code, Some(0), "{}", outputs[6]);
    search(&env, &outputs);
}

#[test]
fn a_password_given_as_a_parameter_is_never_shown() {
    let database = PgServer::shared().database();
    database.setup("create table people (id bigint, name text)");
    let mut env = Env::new();
    let port = PgServer::shared().port();
    let url = format!("jdbc:postgresql://127.0.0.1:{port}/{}", database.name);
    documents(&env, |table| {
        let connection = json!([{"jdbcUrl": url.clone(), "table": [table]}]);
        (
            "postgresql",
            json!({"username": USER, "password": "${secret}", "connection": connection, "column": ["id", "name"]}),
        )
    });
    let given = format!("secret={PASSWORD}");
    let outputs = exercise(&mut env, &["-p", &given]);
    assert_eq!(outputs[6].code, Some(0), "{}", outputs[6]);
    search(&env, &outputs);
}

#[test]
fn a_password_in_a_file_is_never_shown() {
    let database = PgServer::shared().database();
    database.setup("create table people (id bigint, name text)");
    let mut env = Env::new();
    let mut properties = database.properties();
    properties["password"] = json!({"file": "password.txt"});
    env.write("password.txt", format!("{PASSWORD}\n"));
    env.write_json(
        "datasources.json",
        &json!({"pg": {"type": "postgresql", "properties": properties}}),
    );
    documents(&env, document::table);
    let outputs = exercise(&mut env, &[]);
    assert_eq!(outputs[6].code, Some(0), "{}", outputs[6]);
    search(&env, &outputs);
}

/// The search itself can fail: it finds what is there.
#[test]
#[should_panic(expected = "the password is in")]
fn the_search_finds_a_password() {
    let env = Env::new();
    std::fs::create_dir_all(env.state()).unwrap();
    std::fs::write(env.state().join("book"), format!("..{PASSWORD}..")).unwrap();
    search(&env, &[]);
}
