use serde_json::{Value, json};
use tests::{Document, Env, PgServer, document};

/// Texts of the statements of a command, and how often each was sent.
fn statements(env: &Env, arguments: &[&str]) -> Vec<(String, u64)> {
    let arguments = [arguments, &["--explain", "-o", "json"]].concat();
    let output = env.airlock(&arguments).run().expect(0).json();
    let shown = output["statements"]["shown"].as_array().unwrap();
    let pair = |statement: &Value| {
        let text = statement["text"].as_str().unwrap().to_owned();
        (text, statement["times"].as_u64().unwrap())
    };
    shown.iter().map(pair).collect()
}

#[test]
fn statements_are_shown_once_each() {
    let database = PgServer::shared().database();
    database.setup(
        "create table people (id bigint primary key, name text);
         insert into people select i, repeat('n', 100) from generate_series(1, 5000) i;
         create table copies (id bigint, name text)",
    );
    let mut env = Env::new();
    database.admit(&mut env);
    let (kind, mut writer) = document::table("copies");
    writer["preSql"] = json!(["truncate @table"]);
    let job = Document::new(document::table("people"), (kind, writer)).concurrent(2);
    env.write_json("job.json", job.json());

    let run = statements(&env, &["run", "job.json"]);
    let find =
        |begin: &str| run.iter().filter(|(text, _)| text.starts_with(begin)).collect::<Vec<_>>();
    let copies =
        find("COPY (SELECT c0, c1 FROM (SELECT \"id\", \"name\" FROM \"public\".\"people\"");
    assert_eq!(copies.len(), 1, "{run:?}");
    assert_eq!(copies[0].1, 10, "a split each: {run:?}");
    assert!(
        find("truncate \"public\".\"copies\"").len() == 1 || find("truncate").len() == 1,
        "{run:?}"
    );
    assert!(
        run.iter().any(|(text, _)| text.starts_with("COPY") && text.contains("FROM STDIN")),
        "{run:?}"
    );

    let plan = statements(&env, &["plan", "job.json"]);
    assert!(!plan.iter().any(|(text, _)| text.starts_with("COPY")), "{plan:?}");
    assert!(plan.iter().any(|(text, _)| text.contains("percentile_disc")), "{plan:?}");
    for arguments in [&["check", "pg"][..], &["discover", "pg", "public", "people"]] {
        assert!(!statements(&env, arguments).is_empty(), "{arguments:?}");
    }
    let text = env.airlock(&["run", "job.json", "--explain"]).run().expect(0).stdout;
    assert!(text.contains("\n  reader postgresql (and 9 like it):\n    COPY ("), "{text}");
    let plain = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(0).json();
    assert_eq!(plain.get("statements"), None);
}
