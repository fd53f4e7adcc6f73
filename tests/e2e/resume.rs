use rustix::process::Signal;
use serde_json::json;
use tests::{Database, Document, Env, Output, PgServer, document};

/// A job that waits for a lock that the test holds.
fn waiting_job() -> (Env, Database) {
    let database = PgServer::shared().database();
    database.setup("create table people (id bigint, name text)");
    let mut env = Env::new();
    database.admit(&mut env);
    env.write("rows.csv", "id,name\n1,a\n2,b\n");
    env.write_json(
        "job.json",
        Document::new(document::csv("rows.csv"), document::table("people")).json(),
    );
    (env, database)
}

/// Starts the job, and signals while it waits in the database.
fn interrupted(env: &Env, database: &Database, signal: Signal, more: &[&str]) -> Output {
    let held = database.hold("lock table people");
    let arguments = [&["run", "job.json", "--bizdate", "20251031"], more].concat();
    let mut running = env.airlock(&arguments).start();
    running.until("a session that waits for the lock", |_| database.waiting() > 0);
    running.signal(signal);
    let output = running.wait();
    drop(held);
    output
}

#[test]
fn ctrl_c_says_how_to_go_on() {
    let (env, database) = waiting_job();
    let output = interrupted(&env, &database, Signal::INT, &[]).expect(130);
    insta::assert_snapshot!(output.normal());
    assert_eq!(database.count("select count(*) from people"), 0);
    let resumed = env.airlock(&["run", "job.json", "--resume", "-o", "json"]).run().expect(0);
    assert_eq!(database.sql("select * from people order by id"), "1|a\n2|b\n");
    assert!(resumed.stderr.contains("going on with run"), "{resumed}");
    let again = env.airlock(&["run", "job.json", "--resume", "-o", "json"]).run().expect(0);
    assert!(again.stderr.contains("nothing is unfinished"), "{again}");
    assert_ne!(again.json()["run_id"], resumed.json()["run_id"]);
}

#[test]
fn a_request_to_terminate_says_how_to_go_on() {
    let (env, database) = waiting_job();
    let output = interrupted(&env, &database, Signal::TERM, &["-o", "json"]).expect(143);
    let summary = output.json();
    assert_eq!(summary["status"], "interrupted", "{output}");
    let command = summary["resume"].as_str().unwrap();
    let id = summary["run_id"].as_str().unwrap();
    assert_eq!(command, format!("airlock run job.json --resume={id}"));
    let words: Vec<_> = command.split(' ').skip(1).collect();
    env.airlock(&words).run().expect(0);
    assert_eq!(database.sql("select * from people order by id"), "1|a\n2|b\n");
}

#[test]
fn a_changed_document_is_refused_with_the_difference() {
    let (env, database) = waiting_job();
    interrupted(&env, &database, Signal::INT, &[]).expect(130);
    let mut job =
        Document::new(document::csv("rows.csv"), document::table("people")).json().clone();
    job["setting"]["speed"]["concurrent"] = 2.into();
    env.write_json("job.json", &job);
    let output = env.airlock(&["run", "job.json", "--resume"]).run();
    insta::assert_snapshot!(output.normal());
    assert_eq!(database.count("select count(*) from people"), 0);
}

#[test]
fn the_clock_is_that_of_the_first_attempt() {
    let (env, database) = waiting_job();
    interrupted(&env, &database, Signal::INT, &[]).expect(130);
    let output = env.airlock(&["run", "job.json", "--resume", "-o", "json"]).run().expect(0);
    let clock = output.json()["clock"].as_str().unwrap().to_owned();
    assert!(clock.ends_with("business date 20251031"), "{clock}");
}

#[test]
fn a_run_whose_process_lives_is_refused() {
    let (env, database) = waiting_job();
    let held = database.hold("lock table people");
    let mut running = env.airlock(&["run", "job.json"]).start();
    running.until("a session that waits for the lock", |_| database.waiting() > 0);
    let second = env.airlock(&["run", "job.json", "--resume", "-o", "json"]).run().expect(2);
    assert_eq!(second.error_code(), "run.still_alive", "{second}");
    drop(held);
    running.wait().expect(0);
    assert_eq!(database.sql("select * from people order by id"), "1|a\n2|b\n");
}

#[test]
fn a_run_that_failed_on_its_data_is_not_resumed() {
    let env = Env::new();
    env.write("rows.csv", "id\n1\nx\n");
    let reader = json!({"path": ["rows.csv"], "fileFormat": "csv", "header": true,
        "column": [{"index": 0, "type": "bigint"}]});
    env.write_json("job.json", Document::new(("file", reader), document::out("csv")).json());
    let failed = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(4).json();
    let resume = format!("--resume={}", failed["run_id"].as_str().unwrap());
    let output = env.airlock(&["run", "job.json", &resume, "-o", "json"]).run().expect(2);
    assert_eq!(output.error_code(), "run.ended");
    assert!(
        env.files("").iter().all(|file| !file.display().to_string().contains("/out/")),
        "cleared away"
    );
}

/// Nothing has begun at the destination, so there is nothing to go on with.
#[test]
fn a_database_that_goes_away_before_anything_began_ends_the_run() {
    let (env, database) = waiting_job();
    let held = database.hold("lock table people");
    let mut running = env.airlock(&["run", "job.json", "-o", "json"]).start();
    running.until("a session that waits for the lock", |_| database.waiting() > 0);
    let name = &database.name;
    database.sql(&format!("alter database {name} with connection limit 0"));
    database.disconnect_all();
    let output = running.wait().expect(3);
    assert!(output.json()["resume"].is_null(), "{output}");
    drop(held);
    database.sql(&format!("alter database {name} with connection limit -1"));
    let again = env.airlock(&["run", "job.json", "--resume", "-o", "json"]).run().expect(0);
    assert!(again.stderr.contains("nothing is unfinished"), "{again}");
    assert_eq!(database.sql("select * from people order by id"), "1|a\n2|b\n");
}

#[test]
fn runs_are_listed() {
    let (env, database) = waiting_job();
    interrupted(&env, &database, Signal::INT, &[]).expect(130);
    env.airlock(&["run", "job.json"]).run().expect(0);
    let output = env.airlock(&["runs"]).run().expect(0);
    assert!(
        output.stdout.contains("interrupted") && output.stdout.contains("succeeded"),
        "{output}"
    );
    assert!(env.airlock(&["runs", "-o", "json"]).run().expect(0).json().is_object());
}
