use std::path::Path;

use serde_json::{Value, json};
use tests::{Database, Document, Env, Output, PgServer, Stopped, document};

/// Where the destination is asked how to read it back, with the run published: the third time.
const PUBLISHED: &str = "writer.read_back:3:before";

const ROWS: u64 = 2000;

/// A folder with rows in CSV, and a job that writes them.
fn job(env: &Env, writer: (&'static str, Value)) {
    let rows: String = (1..=ROWS).map(|id| format!("{id},name {id}\n")).collect();
    env.write("rows.csv", format!("id,name\n{rows}"));
    env.write_json("job.json", Document::new(document::csv("rows.csv"), writer).json());
}

fn into_table(setup: &str) -> (Env, Database) {
    let database = PgServer::shared().database();
    database.setup(setup);
    let mut env = Env::new();
    database.admit(&mut env);
    job(&env, document::table("people"));
    (env, database)
}

fn verify(env: &Env, more: &[&str]) -> Output {
    env.airlock(&[&["run", "job.json", "--verify", "-o", "json"], more].concat()).run()
}

/// Stopped with the run published and nothing read back yet.
fn published(env: &Env) -> Stopped {
    let program = Path::new(env!("CARGO_BIN_EXE_airlock-stops"));
    let program = env.program(program, &["run", "job.json", "--verify", "-o", "json"]);
    Stopped::at(program, PUBLISHED, env.root()).unwrap_or_else(|ended| panic!("{ended}"))
}

#[test]
fn rows_of_others_are_left_alone() {
    let (env, database) = into_table(
        "create table people (id bigint primary key, name text); insert into people values (0, 'old')",
    );
    let verified = verify(&env, &[]).expect(0).json()["verified"].clone();
    assert_eq!(verified["matches"], true, "{verified}");
    assert_eq!((&verified["records_found"], &verified["key"]), (&json!(ROWS), &json!(["id"])));
    assert_eq!(database.count("select count(*) from people"), ROWS + 1);
}

#[test]
fn a_trigger_that_changes_drops_and_doubles_rows_is_found() {
    let (env, _database) = into_table(
        "create table people (id bigint, name text);
         create function lie() returns trigger language plpgsql as $$ begin
           if new.id = 30 then new.name := 'other'; end if;
           if new.id = 40 then return null; end if;
           if new.id = 50 and pg_trigger_depth() = 1 then insert into people values (50, new.name); end if;
           return new;
         end $$;
         create trigger lie before insert on people for each row execute function lie()",
    );
    let output = verify(&env, &["--verify-key", "id"]).expect(4);
    assert_eq!(output.error_code(), "verify.mismatch", "{output}");
    let summary = output.json();
    let verified = &summary["verified"];
    let counts = ["missing", "extra", "different", "buckets_differ"];
    assert_eq!(counts.map(|key| verified[key].as_u64()), [Some(1), Some(1), Some(1), Some(3)]);
    let mut found = verified["differences"].as_array().unwrap().clone();
    found.sort_by_key(|one| one["key"]["id"].to_string());
    let one = |kind: &str, id: &str, columns: &[&str]| json!({"kind": kind, "key": {"id": id}, "columns": columns});
    let wanted =
        [one("different", "30", &["name"]), one("missing", "40", &[]), one("extra", "50", &[])];
    assert_eq!(found, wanted, "{output}");
    assert_eq!(summary["status"], "failed", "nobody may take it for what was read");
    assert!(summary["resume"].is_null());
}

#[test]
fn a_file_that_was_changed_is_found() {
    let env = Env::new();
    job(&env, document::out("csv"));
    let stopped = published(&env);
    let file = env.published("out").pop().unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\n77,name 77\n", "\n77,Name 77\n")).unwrap();
    let output = stopped.go().wait().expect(4);
    let verified = &output.json()["verified"];
    assert_eq!(output.error_code(), "verify.mismatch", "{output}");
    assert_eq!((&verified["key"], &verified["records_found"]), (&json!([]), &json!(ROWS)));
}

#[test]
fn a_run_that_is_killed_before_it_was_read_back_is_read_back_when_it_is_resumed() {
    let env = Env::new();
    job(&env, document::out("parquet"));
    published(&env).kill();
    let state = env.airlock(&["runs", "-o", "json"]).run().expect(0).stdout;
    assert!(state.contains("verifying"), "{state}");
    let output = env.airlock(&["run", "job.json", "--resume"]).run().expect(0);
    let line = "2,000 records read back as written, compared by their count and one checksum, since there is no key";
    assert!(output.stdout.contains(line), "{output}");
}

#[test]
fn what_cannot_be_read_back_is_refused_before_anything_is_done() {
    let env = Env::new();
    job(&env, ("stream", json!({"print": true})));
    let output = verify(&env, &[]).expect(2);
    assert_eq!(output.error_code(), "verify.impossible", "{output}");
    assert_eq!(output.json()["records_read"], 0);
    job(&env, document::out("csv"));
    let output = verify(&env, &["--verify-key", "nobody"]).expect(2);
    assert_eq!(output.error_code(), "verify.key", "{output}");
    assert!(env.files("out").is_empty());
}

#[test]
fn a_run_is_resumed_as_it_began() {
    let (env, database) = into_table("create table people (id bigint, name text)");
    let held = database.hold("lock table people");
    let mut running = env.airlock(&["run", "job.json"]).start();
    running.until("a session that waits for the lock", |_| database.waiting() > 0);
    running.kill();
    drop(held);
    let output = verify(&env, &["--resume"]).expect(2);
    assert_eq!(output.error_code(), "run.not_verified", "{output}");
    let output = env.airlock(&["run", "job.json", "--resume", "-o", "json"]).run().expect(0);
    assert!(output.json()["verified"].is_null(), "{output}");
}

#[test]
fn rows_that_were_refused_are_not_missed() {
    let (env, database) = into_table(
        "create table people (id bigint primary key, name text check (name <> 'name 7')); insert into people values (8, 'x')",
    );
    let job = Document::new(document::csv("rows.csv"), document::table("people")).tolerating(2);
    env.write_json("job.json", job.json());
    let verified = verify(&env, &[]).expect(0).json()["verified"].clone();
    assert_eq!(
        (&verified["matches"], &verified["records_found"]),
        (&json!(true), &json!(ROWS - 2))
    );
    assert_eq!(database.count("select count(*) from people"), ROWS - 1);
}
