use rustix::process::Signal;
use serde_json::{Value, json};
use tests::{Database, Document, Env, PgServer, document};

/// A table of orders, and a job that reads what is new in it.
fn orders() -> (Env, Database) {
    let database = PgServer::shared().database();
    database.setup(
        "create table orders (id bigint primary key, at timestamptz not null);
         create table copies (id bigint, at timestamptz)",
    );
    let mut env = Env::new();
    database.admit(&mut env);
    let (kind, mut reader) = document::table("orders");
    reader["watermark"] = json!({"column": "at"});
    let job = Document::new((kind, reader), document::table("copies")).concurrent(3);
    env.write_json("job.json", job.json());
    (env, database)
}

/// Orders of as many minutes of one day.
fn add(database: &Database, from: u32, to: u32) {
    database.setup(&format!(
        "insert into orders select i, timestamptz '2025-11-01 00:00Z' + i * interval '1 min' from generate_series({from}, {to}) i"
    ));
}

fn summary(env: &Env, more: &[&str]) -> Value {
    let arguments = [&["run", "job.json", "-o", "json"], more].concat();
    env.airlock(&arguments).run().expect(0).json()
}

/// What the orders and their copies have in common: each is there once.
fn is_copied(database: &Database, rows: u64) {
    assert_eq!(database.count("select count(*) from copies"), rows);
    assert_eq!(database.count("select count(distinct id) from copies"), rows);
}

#[test]
fn each_run_reads_what_is_new() {
    let (env, database) = orders();
    let read = |more: &[&str]| summary(&env, more)["records_read"].as_u64().unwrap();
    let show = || env.airlock(&["watermark", "show", "job.json"]).run().expect(0).stdout;
    assert_eq!(read(&[]), 0, "nothing is there yet");
    assert!(show().contains("no run of this document has left a mark"));
    add(&database, 1, 1000);
    assert_eq!(read(&[]), 1000);
    assert!(show().contains(".public.orders.at"), "{}", show());
    assert!(show().contains(" 2025-11-01 16:40:00"), "{}", show());
    assert_eq!(read(&[]), 0);
    add(&database, 1001, 1500);
    let plan = env.airlock(&["plan", "job.json"]).run().expect(0);
    assert!(plan.stdout.contains("  watermark: "), "{plan}");
    assert_eq!(read(&[]), 500);
    is_copied(&database, 1500);

    env.airlock(&["watermark", "reset", "job.json", "--to", "2025-11-02 00:00Z"]).run().expect(0);
    let again = summary(&env, &[]);
    assert_eq!(again["records_read"], 60, "{again}");
    let words = again["watermarks"][0].as_str().unwrap();
    assert!(
        words.contains(".public.orders.at above 2025-11-02 00:00Z up to 2025-11-02 01:00:00"),
        "{words}"
    );
    env.airlock(&["watermark", "reset", "job.json"]).run().expect(0);
    assert_eq!(read(&[]), 1500);
    env.airlock(&["watermark", "reset", "job.json", "--mark", "x", "--to", "1"]).run().expect(2);
}

#[test]
fn a_run_that_did_not_succeed_moves_no_mark() {
    let (env, database) = orders();
    add(&database, 1, 100);
    summary(&env, &[]);
    add(&database, 101, 5000);
    // Killed while it waits for the destination.
    let held = database.hold("lock table copies");
    let mut running = env.airlock(&["run", "job.json"]).start();
    running.until("a session that waits for the lock", |_| database.waiting() > 0);
    running.signal(Signal::KILL);
    running.wait();
    drop(held);
    let show = || env.airlock(&["watermark", "show", "job.json"]).run().expect(0).stdout;
    assert!(show().contains(" 2025-11-01 01:40:00"), "{}", show());
    // What comes after the plan is left to the next run, whichever that is.
    add(&database, 5001, 6000);
    assert_eq!(summary(&env, &["--resume"])["records_read"], 4900);
    is_copied(&database, 5000);
    assert_eq!(summary(&env, &[])["records_read"], 1000);
    is_copied(&database, 6000);
}

#[test]
fn a_value_that_is_none_of_the_column_is_refused() {
    let (env, database) = orders();
    add(&database, 1, 10);
    summary(&env, &[]);
    env.airlock(&["watermark", "reset", "job.json", "--to", "soon"]).run().expect(0);
    let refused = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(2).json();
    assert_eq!(refused["error"]["code"], "postgresql.watermark_invalid", "{refused}");
    assert_eq!(refused["error"]["place"], "/steps/0/parameter/watermark", "{refused}");
}
