//! Rows that take the place of others, and attempts that come too late, against a real server.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use postgresql::sink::PostgresSink;
use postgresql::writer::PostgresWriter;
use sdk::{Batch, CommitMode, FaultDomain, Outcome, Result, Sink, Writer};
use serde_json::{Value, json};

use crate::support::{Database, code, fault, run_of, server, task};
use crate::write::{load, named, of, prepare, rows};

const PATIENCE: Duration = Duration::from_secs(120);
const STAGES: &str =
    "SELECT count(*) FROM pg_class WHERE starts_with(relname, '_airlock_swap_') AND relkind = 'r'";

/// A run that has staged its rows and not finished.
fn staged(db: &Database<'_>, parameter: &Value, run: &str, batch: RecordBatch) -> PostgresWriter {
    let (mut writer, prepared) = prepare(db, parameter, run, &batch).unwrap();
    assert_eq!(prepared.commit_mode, CommitMode::Staged);
    let mut sink = writer.open(task(run, 0, 1), prepared.datasets).unwrap();
    let answer = sink.write(Batch::inserts(batch)).unwrap();
    assert!(answer.undone.is_none() && answer.remarks.is_empty(), "{answer:?}");
    sink.close(b"end".to_vec()).unwrap();
    drop(sink);
    writer
}

fn finish(writer: &mut PostgresWriter, run: &str) -> Result<()> {
    writer.finish(&run_of(run, 1), Outcome::Succeeded, Vec::new())
}

fn wait(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "{what} does not come");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Sessions that wait for a lock.
fn waiting(db: &Database<'_>) -> u64 {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    db.sql(sql).parse().unwrap()
}

/// Sessions that work with staging tables.
fn holders(db: &Database<'_>) -> u64 {
    let sql = "SELECT count(DISTINCT pid) FROM pg_locks WHERE locktype = 'advisory' \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    db.sql(sql).parse().unwrap()
}

#[test]
fn readers_see_the_old_rows_or_the_new_ones_in_every_isolation() {
    let db = server().database("swap_seen");
    db.sql("CREATE TABLE t (id bigint PRIMARY KEY, note text); INSERT INTO t SELECT i, 'old' FROM generate_series(1, 7) i");
    let parameter = json!({"table": "t", "loadMode": "swap"});
    let mut writer = staged(&db, &parameter, "r", named(0..100));
    let sums = "SELECT count(*), min(note) FROM t";
    assert_eq!(db.sql(sums), "7|old");
    // A snapshot from before still sees the old rows when the new ones are there.
    let mut reader =
        db.session("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 'begun' FROM t LIMIT 1");
    finish(&mut writer, "r").unwrap();
    writeln!(reader.stdin.take().unwrap(), "{sums}; COMMIT").unwrap();
    let output = reader.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "7|old");
    assert_eq!(db.sql(sums), "100|n0");
    assert_eq!(db.sql(STAGES), "0");
    finish(&mut writer, "r").unwrap();
    assert_eq!(db.sql(sums), "100|n0", "the same end again changes nothing");
}

#[test]
fn the_table_stays_what_it_is() {
    let db = server().database("swap_kept");
    db.sql(
        "CREATE TABLE t (id bigint PRIMARY KEY, note text NOT NULL CHECK (note <> 'bad'), serial int GENERATED ALWAYS AS IDENTITY,
           plain serial, twice bigint GENERATED ALWAYS AS (id * 2) STORED, at timestamptz DEFAULT now());
         CREATE INDEX by_note ON t (note); COMMENT ON TABLE t IS 'kept'; CREATE VIEW v AS SELECT id, twice FROM t;
         CREATE ROLE swap_reader; GRANT SELECT ON t TO swap_reader;
         INSERT INTO t (id, note) SELECT i, 'old' FROM generate_series(1, 10) i;
         CREATE TABLE points (id bigint REFERENCES t); INSERT INTO points VALUES (3);
         CREATE TABLE seen (what text);
         CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO seen VALUES (TG_OP); RETURN NULL; END$$;
         CREATE TRIGGER see AFTER INSERT OR DELETE ON t EXECUTE FUNCTION see()",
    );
    let before = db.sql("SELECT 't'::regclass::oid");
    let parameter = json!({"table": "t", "loadMode": "swap", "column": ["id", "note"]});
    let (written, refused, _) = load(&db, parameter.clone(), "r", &[named(0..50)]);
    assert_eq!((written, refused.len()), (50, 0));
    assert_eq!(db.sql("SELECT 't'::regclass::oid"), before);
    assert_eq!(db.sql("SELECT count(*), sum(twice), count(DISTINCT serial), min(serial), count(DISTINCT plain) FROM t"), "50|2450|50|11|50");
    assert_eq!(db.sql("SELECT sum(twice) FROM v"), "2450");
    assert_eq!(db.sql("SELECT obj_description('t'::regclass), has_table_privilege('swap_reader', 't', 'SELECT')"), "kept|t");
    assert_eq!(
        db.sql("SELECT string_agg(what, ' ' ORDER BY what) FROM seen WHERE what <> ''"),
        "DELETE INSERT"
    );
    // What a sequence gives goes on behind what the run took.
    assert_eq!(db.sql("INSERT INTO t (id, note) VALUES (1000, 'x') RETURNING serial"), "61");
    // A row that the foreign key of another table needs is not there any more: the old rows stay.
    let mut without = staged(&db, &parameter, "s", named(10..20));
    let wrong = fault(finish(&mut without, "s"));
    assert_eq!(wrong.code, "postgresql.foreign_key_violation", "{}", wrong.message);
    assert_eq!(db.sql("SELECT count(*) FROM t"), "51");
    db.sql("DELETE FROM points");
    finish(&mut without, "s").unwrap();
    assert_eq!(db.sql("SELECT count(*) FROM t"), "10");
}

#[test]
fn what_a_swap_would_do_to_other_rows_is_refused() {
    let db = server().database("swap_refused");
    db.sql(
        "CREATE TABLE t (id bigint PRIMARY KEY, note text); CREATE TABLE u (id bigint REFERENCES t ON DELETE CASCADE);
         CREATE TABLE parent (id bigint, note text); CREATE TABLE child () INHERITS (parent); CREATE VIEW w AS SELECT * FROM parent;
         CREATE TABLE p (id bigint, note text, ds date)",
    );
    let refused = |parameter: Value| {
        let mut writer = db.writer(parameter)?;
        writer.preview(vec![of(&named(0..1))]).map(|_| ())
    };
    for table in ["t", "parent", "w"] {
        let wrong = fault(refused(json!({"table": table, "loadMode": "swap"})));
        assert_eq!(wrong.code, "postgresql.swap_unsupported", "{table}: {}", wrong.message);
    }
    let part = |partition: &str| code(refused(json!({"table": "p", "partition": partition})));
    assert_eq!(part("ds=yesterday evening"), "postgresql.partition_value");
    assert_eq!(part("day=20251031"), "postgresql.column_not_found");
    for bad in ["ds", "ds=", "=1", "ds=1,ds=2", ""] {
        assert_eq!(part(bad), "parameter.invalid", "{bad}");
    }
    let both = json!({"table": "p", "partition": "ds=20251031", "loadMode": "append"});
    assert_eq!(code(refused(both)), "parameter.invalid");
    refused(json!({"table": "p", "partition": "ds=20251031"})).unwrap();
}

#[test]
fn rows_are_refused_where_the_table_would_refuse_them() {
    let db = server().database("swap_bad");
    db.sql("CREATE TABLE t (id bigint PRIMARY KEY, note text NOT NULL CHECK (note <> 'bad')); INSERT INTO t VALUES (5, 'old')");
    let text = |id: i64| Some(if id == 7 { "bad".to_owned() } else { format!("n{id}") });
    let parameter = json!({"table": "t", "loadMode": "swap"});
    let (written, refused, _) = load(&db, parameter, "r", &[rows((0..100).chain([5]), text)]);
    assert_eq!((written, refused), (99, vec![7, 100]));
    assert_eq!(db.sql("SELECT count(*), count(*) FILTER (WHERE note = 'old') FROM t"), "99|0");
    // Upserts meet the rows of their own run alone.
    let parameter = json!({"table": "t", "loadMode": "swap", "writeMode": "upsert"});
    let (written, _, _) = load(&db, parameter, "u", &[named([1, 2, 2]), named([2, 3])]);
    assert_eq!(written, 5);
    assert_eq!(db.sql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM t"), "1 2 3");
}

#[test]
fn a_partition_is_replaced_and_others_stay() {
    let db = server().database("swap_part");
    db.sql(
        "CREATE TABLE plain (id bigint, note text, ds date, hour int);
         CREATE TABLE split (id bigint, note text, ds date, hour int) PARTITION BY LIST (ds);
         CREATE TABLE split_31 PARTITION OF split FOR VALUES IN ('2025-10-31');
         CREATE TABLE split_30 PARTITION OF split FOR VALUES IN ('2025-10-30')",
    );
    for (run, table) in [("a", "plain"), ("b", "split")] {
        db.sql(&format!("INSERT INTO {table} SELECT i, 'old', d, h FROM generate_series(1, 3) i, unnest('{{2025-10-30,2025-10-31}}'::date[]) d, generate_series(4, 5) h"));
        let by_part = format!(
            "SELECT string_agg(n, ' ' ORDER BY n) FROM (SELECT concat_ws(':', ds, hour, count(*), min(note)) n FROM {table} GROUP BY ds, hour) x"
        );
        let parameter =
            json!({"table": table, "partition": "ds=20251031, hour='5'", "column": ["id", "note"]});
        let (written, refused, _) = load(&db, parameter, run, &[named(0..9)]);
        assert_eq!((written, refused.len()), (9, 0));
        assert_eq!(
            db.sql(&by_part),
            "2025-10-30:4:3:old 2025-10-30:5:3:old 2025-10-31:4:3:old 2025-10-31:5:9:n0"
        );
        // All columns but those of the partition are what `*` means where so many come.
        let (written, _, _) = load(
            &db,
            json!({"table": table, "partition": "ds=2025-10-31,hour=5"}),
            &format!("{run}2"),
            &[named(0..2)],
        );
        assert_eq!(written, 2);
        assert!(db.sql(&by_part).ends_with("2025-10-31:4:3:old 2025-10-31:5:2:n0"));
    }
}

#[test]
fn rows_of_another_partition_are_refused() {
    let db = server().database("swap_other");
    db.sql("CREATE TABLE t (id bigint, note text); INSERT INTO t VALUES (1, 'n6'), (2, 'kept')");
    let text = |id: i64| (id != 4).then(|| if id == 2 { "n7".into() } else { "n6".into() });
    let parameter = json!({"table": "t", "partition": "note=n6"});
    let (written, refused, _) = load(&db, parameter, "r", &[rows(0..6, text)]);
    assert_eq!((written, refused), (4, vec![2, 4]));
    assert_eq!(
        db.sql("SELECT string_agg(concat_ws(':', id, note), ' ' ORDER BY id) FROM t"),
        "0:n6 1:n6 2:kept 3:n6 5:n6"
    );
}

#[test]
fn runs_on_one_partition_take_turns() {
    let db = server().database("swap_turns");
    db.sql("CREATE TABLE t (id bigint, note text, ds text); INSERT INTO t SELECT i, 'old', 'x' FROM generate_series(1, 1000) i");
    let parameter =
        json!({"table": "t", "partition": "ds=x", "postSql": "SELECT pg_advisory_xact_lock(5)"});
    drop(staged(&db, &parameter, "a", named(0..10)));
    drop(staged(&db, &parameter, "b", named(0..20)));
    let end = |run: &str| finish(&mut db.writer(parameter.clone()).unwrap(), run).unwrap();
    thread::scope(|scope| {
        let held = Held::take(&db, "SELECT pg_advisory_lock(5)");
        let first = scope.spawn(|| end("a"));
        wait("the first run's last statement", || waiting(&db) == 1);
        let second = scope.spawn(|| end("b"));
        wait("the second run behind the first", || waiting(&db) == 2);
        assert_eq!(db.sql("SELECT count(*), min(note) FROM t"), "1000|old");
        drop(held);
        first.join().unwrap();
        second.join().unwrap();
    });
    assert_eq!(db.sql("SELECT count(*), min(note) FROM t"), "20|n0");
}

/// A lock that is held until it is dropped.
struct Held(Option<std::process::Child>);

impl Held {
    fn take(db: &Database<'_>, sql: &str) -> Self {
        Self(Some(db.session(sql)))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // The end of its input ends the session.
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }
}

#[test]
fn a_failed_run_leaves_nothing_and_a_killed_one_its_rows() {
    let db = server().database("swap_left");
    db.sql("CREATE TABLE t (id bigint, note text); INSERT INTO t VALUES (1, 'old')");
    let parameter = json!({"table": "t", "loadMode": "swap"});
    let mut failed = staged(&db, &parameter, "failed", named(0..5));
    assert_eq!(db.sql(STAGES), "1");
    failed.finish(&run_of("failed", 1), Outcome::Failed, Vec::new()).unwrap();
    assert_eq!((db.sql(STAGES), db.sql("SELECT count(*) FROM t")), ("0".into(), "1".into()));
    // Killed, and resumed by another process behind its mark.
    drop(staged(&db, &parameter, "killed", named(0..5)));
    let mut resumed = db.writer(parameter.clone()).unwrap();
    let mut sink = resumed.open(task("killed", 0, 2), vec![of(&named(0..1))]).unwrap();
    assert_eq!(sink.committed().as_deref(), Some(&b"end"[..]));
    sink.close(b"end".to_vec()).unwrap();
    drop(sink);
    resumed.finish(&run_of("killed", 2), Outcome::Succeeded, Vec::new()).unwrap();
    assert_eq!(db.sql("SELECT count(*), min(note) FROM t"), "5|n0");
}

#[test]
fn a_newer_run_ends_dead_ones_and_no_live_one() {
    let db = server().database("swap_dead");
    db.sql("CREATE TABLE t (id bigint, note text, ds text DEFAULT 'x')");
    let parameter = json!({"table": "t", "loadMode": "swap", "column": ["id", "note"]});
    drop(staged(&db, &parameter, "dead", named(0..5)));
    let mut live = staged(&db, &parameter, "live", named(0..6));
    let part = json!({"table": "t", "partition": "ds=y", "column": ["id", "note"]});
    let mut apart = staged(&db, &part, "apart", named(0..7));
    finish(&mut apart, "apart").unwrap();
    drop(apart);
    assert_eq!(db.sql(STAGES), "2", "a partition ends no run of the whole table");
    wait("the end of the dead run's session", || holders(&db) == 1);
    let mut newer = staged(&db, &parameter, "newer", named(0..8));
    finish(&mut newer, "newer").unwrap();
    assert_eq!(db.sql(STAGES), "1");
    let mut dead = db.writer(parameter.clone()).unwrap();
    assert_eq!(
        code(dead.open(task("dead", 0, 2), vec![of(&named(0..1))]).map(|_| ())),
        "postgresql.fenced"
    );
    assert_eq!(
        code(dead.finish(&run_of("dead", 2), Outcome::Succeeded, Vec::new())),
        "postgresql.fenced"
    );
    assert_eq!(db.sql("SELECT count(*) FROM t"), "8");
    finish(&mut live, "live").unwrap();
    assert_eq!(db.sql("SELECT count(*) FROM t"), "6");
    // What is left of a run that nobody remembers goes with the next one.
    drop((live, newer));
    drop(staged(&db, &parameter, "forgotten", named(0..5)));
    wait("the end of its session", || holders(&db) == 0);
    db.sql("DELETE FROM _airlock_commit WHERE run = 'forgotten'");
    drop(staged(&db, &parameter, "next", named(0..5)));
    assert_eq!(db.sql(STAGES), "1");
}

#[test]
fn a_table_is_created_for_its_partition() {
    let db = server().database("swap_created");
    let parameter = json!({"table": "t", "partition": "ds=20251031", "createTable": true, "pgType": {"ds": "date"}});
    let (written, _, _) = load(&db, parameter, "r", &[named(0..3)]);
    assert_eq!(written, 3);
    assert_eq!(db.sql("SELECT count(*), min(ds) FROM t"), "3|2025-10-31");
}

/// What a stale attempt has open, and the writer that it belongs to.
fn stale(db: &Database<'_>, parameter: &Value) -> (PostgresWriter, PostgresSink) {
    let (mut writer, prepared) = prepare(db, parameter, "r", &named(0..1)).unwrap();
    let mut sink = writer.open(task("r", 0, 1), prepared.datasets).unwrap();
    sink.write(Batch::inserts(named(0..10))).unwrap();
    (writer, sink)
}

#[test]
fn a_commit_that_comes_while_the_run_ends_is_refused_when_it_has_ended() {
    let db = server().database("fence_end");
    db.sql("CREATE TABLE t (id bigint, note text)");
    let parameter = json!({"table": "t", "postSql": "SELECT pg_advisory_xact_lock(6)"});
    let (mut old, mut sink) = stale(&db, &parameter);
    thread::scope(|scope| {
        let held = Held::take(&db, "SELECT pg_advisory_lock(6)");
        let end = scope.spawn(|| {
            let mut newer = db.writer(parameter.clone()).unwrap();
            newer.finish(&run_of("r", 2), Outcome::Succeeded, Vec::new()).unwrap();
        });
        wait("the last statement of the run", || waiting(&db) == 1);
        let db = &db;
        scope.spawn(move || {
            wait("the commit behind it", || waiting(db) == 2);
            drop(held);
        });
        assert_eq!(code(sink.commit(b"late".to_vec(), true)), "postgresql.fenced");
        end.join().unwrap();
    });
    drop(sink);
    assert_eq!(db.sql("SELECT count(*) FROM t"), "0");
    let opened = old.open(task("r", 1, 1), vec![of(&named(0..1))]);
    assert_eq!(code(opened.map(|_| ())), "postgresql.fenced");
    assert_eq!(db.sql("SELECT run, task FROM _airlock_commit"), "r|-2");
}

#[test]
fn a_task_that_is_opened_while_the_run_ends_is_refused_when_it_has_ended() {
    let db = server().database("fence_open");
    db.sql("CREATE TABLE t (id bigint, note text)");
    let parameter = json!({"table": "t", "postSql": "SELECT pg_advisory_xact_lock(6)"});
    let (mut old, _) = prepare(&db, &parameter, "r", &named(0..1)).unwrap();
    thread::scope(|scope| {
        let held = Held::take(&db, "SELECT pg_advisory_lock(6)");
        let end = scope.spawn(|| finish(&mut db.writer(parameter.clone()).unwrap(), "r").unwrap());
        wait("the last statement of the run", || waiting(&db) == 1);
        let db = &db;
        scope.spawn(move || {
            wait("the task behind it", || waiting(db) == 2);
            drop(held);
        });
        let opened = old.open(task("r", 3, 1), vec![of(&named(0..1))]);
        assert_eq!(code(opened.map(|_| ())), "postgresql.fenced");
        end.join().unwrap();
    });
}

#[test]
fn rows_that_a_stale_attempt_has_not_committed_hold_no_swap_up() {
    let db = server().database("fence_swap");
    db.sql("CREATE TABLE t (id bigint, note text); INSERT INTO t VALUES (1, 'old')");
    for (run, outcome, rows) in [("failed", Outcome::Failed, "1"), ("r", Outcome::Succeeded, "5")] {
        let parameter = json!({"table": "t", "loadMode": "swap"});
        let (mut old, prepared) = prepare(&db, &parameter, run, &named(0..1)).unwrap();
        let mut sink = old.open(task(run, 0, 1), prepared.datasets.clone()).unwrap();
        sink.write(Batch::inserts(named(0..10))).unwrap();
        let mut newer = db.writer(parameter).unwrap();
        let mut again = newer.open(task(run, 0, 2), prepared.datasets).unwrap();
        again.write(Batch::inserts(named(0..5))).unwrap();
        again.close(b"end".to_vec()).unwrap();
        drop(again);
        newer.finish(&run_of(run, 2), outcome, Vec::new()).unwrap();
        assert_eq!(fault(sink.commit(b"late".to_vec(), true)).domain, FaultDomain::External);
        assert_eq!(db.sql("SELECT count(*) FROM t"), rows);
        assert_eq!(db.sql(STAGES), "0");
    }
}

#[test]
fn an_older_attempt_does_not_end_the_run() {
    let db = server().database("fence_finish");
    db.sql("CREATE TABLE t (id bigint, note text); CREATE TABLE said (what text)");
    let parameter = json!({"table": "t", "postSql": "INSERT INTO said VALUES ('post')"});
    let (mut old, _) = prepare(&db, &parameter, "r", &named(0..1)).unwrap();
    // A newer attempt has begun to end it, and was killed before it came to its statements.
    db.sql("UPDATE _airlock_commit SET epoch = 2 WHERE run = 'r' AND task = -1");
    assert_eq!(code(finish(&mut old, "r")), "postgresql.fenced");
    assert_eq!(db.sql("SELECT count(*) FROM said"), "0");
    old.finish(&run_of("r", 3), Outcome::Succeeded, Vec::new()).unwrap();
    assert_eq!(db.sql("SELECT count(*) FROM said"), "1");
}
