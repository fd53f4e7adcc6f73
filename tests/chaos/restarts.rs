//! A PostgreSQL server that restarts in the middle of a run, as source, destination or both: a pause,
//! and every row once.

use serde_json::json;
use tests::postgres::{PASSWORD, USER};
use tests::{Database, Document, Env, Output, PgServer, Stopped, document, tree};

/// Rows that are moved, in several tasks.
const ROWS: u32 = 20_000;

/// What the server is for the job.
#[derive(Clone, Copy, Debug)]
enum Part {
    Source,
    Destination,
    Both,
}

/// How the server goes down.
#[derive(Clone, Copy, Debug)]
enum Way {
    Killed,
    ShutDown,
}

struct Site {
    env: Env,
    server: &'static PgServer,
    database: Database,
}

impl Site {
    fn new(server: &'static PgServer, part: Part, lanes: u32) -> Self {
        let database = server.database();
        database.setup(&format!(
            "create table numbers (n int primary key, label text);
             insert into numbers select n, repeat(md5(n::text), 20) from generate_series(1, {ROWS}) n;
             analyze numbers; create table copy (like numbers)"
        ));
        let mut env = Env::new();
        database.admit(&mut env);
        let table = || {
            (
                "postgresql",
                json!({"datasource": "pg", "table": "numbers", "splitPk": "n", "splitFactor": 2}),
            )
        };
        let job = match part {
            Part::Source => Document::new(table(), document::out("csv")),
            Part::Destination => {
                for file in 0..4 {
                    let rows = database.sql(&format!(
                        "select n || ',' || label from numbers where n % 4 = {file}"
                    ));
                    env.write(&format!("rows-{file}.csv"), format!("n,label\n{rows}"));
                }
                Document::new(document::csv("rows-*.csv"), document::table("copy"))
            }
            Part::Both => Document::new(table(), document::table("copy")),
        };
        env.write_json("job.json", job.concurrent(lanes).json());
        Self { env, server, database }
    }

    fn stopped_at(&self, point: &str) -> Stopped {
        let program = self.env.program(&tree::stops(), &["run", "job.json", "-o", "json"]);
        Stopped::at(program, point, self.env.root())
            .unwrap_or_else(|output| panic!("it never comes to {point}\n{output}"))
    }

    fn go_down(&self, way: Way) {
        match way {
            Way::Killed => self.server.kill(),
            Way::ShutDown => self.server.shut_down(),
        }
    }

    fn resume(&self) -> Output {
        self.env.airlock(&["run", "job.json", "--resume", "-o", "json"]).run()
    }

    fn check(&self, part: Part) {
        if let Part::Source = part {
            for file in self.env.published("out") {
                self.database.import("copy", &file);
            }
        }
        let missing = "select count(*) from (select * from numbers except select * from copy) m";
        assert_eq!(self.database.count(missing), 0);
        assert_eq!(self.database.count("select count(*) from copy"), u64::from(ROWS));
    }
}

/// Restarts the server at each point, and compares. Where `true` stands, something was under way, which
/// is tried again.
fn restarts(part: Part, points: &[(&str, bool)]) {
    let server = PgServer::own();
    for (index, (point, retried)) in points.iter().enumerate() {
        let way = if index % 2 == 0 { Way::Killed } else { Way::ShutDown };
        let site = Site::new(server, part, 2);
        let stopped = site.stopped_at(point);
        site.go_down(way);
        server.start_again();
        let output = stopped.go().wait().expect(0);
        let retries = output.json()["retries"].as_u64().unwrap();
        assert!(retries > 0 || !retried, "{way:?} at {point}: {output}");
        site.check(part);
    }
}

#[test]
fn of_the_source() {
    let points = [
        ("reader.plan:1:before", true),
        ("reader.open:1:before", true),
        ("reader.next:1:after", true),
        ("reader.next:3:before", true),
        ("writer.finish:1:before", false),
    ];
    restarts(Part::Source, &points);
}

#[test]
fn of_the_destination() {
    let points = [
        ("writer.prepare:1:before", true),
        ("writer.prepare:1:after", false),
        ("writer.write:1:after", true),
        ("writer.close:1:before", true),
        ("writer.close:1:after", false),
        ("store.complete:1:after", true),
        ("writer.finish:1:before", true),
        ("writer.finish:1:after", false),
    ];
    restarts(Part::Destination, &points);
}

#[test]
fn of_both() {
    let points = [
        ("reader.next:1:after", true),
        ("writer.write:1:after", true),
        ("writer.close:2:before", true),
        ("store.checkpoint:1:before", true),
        ("store.complete:1:after", true),
    ];
    restarts(Part::Both, &points);
}

/// The real binary, and no point but that it is at work.
#[test]
fn at_any_time() {
    let server = PgServer::own();
    let site = Site::new(server, Part::Both, 2);
    let lock = site.database.hold("lock table copy in share row exclusive mode");
    let mut running = site.env.airlock(&["run", "job.json", "-o", "json"]).start();
    running.until("a session that waits for the lock", |_| site.database.waiting() > 0);
    site.go_down(Way::Killed);
    drop(lock);
    server.start_again();
    let output = running.wait().expect(0);
    assert!(output.json()["retries"].as_u64().unwrap() > 0, "{output}");
    site.check(Part::Both);
}

#[test]
fn a_source_that_stays_away_interrupts_the_run() {
    let server = PgServer::own();
    let site = Site::new(server, Part::Source, 2);
    let stopped = site.stopped_at("reader.next:2:after");
    server.kill();
    let output = stopped.go().wait().expect(3);
    assert!(output.json()["resume"].is_string(), "{output}");
    assert!(site.env.published("out").is_empty());
    server.start_again();
    site.resume().expect(0);
    site.check(Part::Source);
}

#[test]
fn a_password_that_changed_meanwhile() {
    let server = PgServer::own();
    let site = Site::new(server, Part::Destination, 2);
    let stopped = site.stopped_at("writer.write:1:after");
    site.database.sql(&format!("alter role {USER} password 'another'"));
    server.shut_down();
    server.start_again();
    let output = stopped.go().wait().expect(3);
    assert_eq!(output.error_code(), "postgresql.authentication_failed", "{output}");
    assert!(output.json()["resume"].is_string(), "{output}");
    site.database.sql(&format!("alter role {USER} password '{PASSWORD}'"));
    site.resume().expect(0);
    site.check(Part::Destination);
}

/// What was committed to the table is gone with it: the run must not go on as if it were there.
#[test]
fn a_table_that_is_dropped_in_the_middle() {
    let site = Site::new(PgServer::shared(), Part::Destination, 1);
    let stopped = site.stopped_at("store.complete:2:after");
    site.database.sql("drop table copy");
    let output = stopped.go().wait().expect(3);
    assert_eq!(output.error_code(), "postgresql.table_not_found", "{output}");
    site.database.setup("create table copy (n int, label text)");
    let output = site.resume();
    assert_eq!(
        output.error_code(),
        "postgresql.table_replaced",
        "two tasks of its rows are gone: {output}"
    );
}
