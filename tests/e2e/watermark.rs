use rustix::process::Signal;
use serde_json::{Value, json};
use tests::{
    Database, Document, Env, MysqlDatabase, MysqlServer, PgServer, Stopped, document, tree,
};

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

/// A table with columns that grow, and a job that reads what is new by one of them.
fn growing(more: Value) -> (Env, MysqlDatabase) {
    let database = MysqlServer::shared().database();
    database.sql(
        "create table t (id int primary key, n bigint unsigned, amount decimal(20,3), day date, at datetime(6),
           tz timestamp(6) null, s varchar(20) collate utf8mb4_general_ci, d float, key (at));
         create table copies (id int)",
    );
    let mut env = Env::new();
    database.admit(&mut env);
    watch(&env, more);
    (env, database)
}

fn watch(env: &Env, more: Value) {
    let mut reader = json!({"datasource": "my", "table": "t", "column": ["id"]});
    reader.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let copies = json!({"datasource": "my", "table": "copies"});
    let job = Document::new(("mysql", reader), ("mysql", copies)).concurrent(2);
    env.write_json("job.json", job.json());
}

/// Rows whose columns all grow, by steps of a microsecond more than a second.
fn grow(database: &MysqlDatabase, from: u32, to: u32) {
    database.sql(&format!(
        "insert into t select seq, seq * 3, seq / 8, date '2024-01-01' + interval seq day,
           timestamp '2024-01-01 00:00:00' + interval seq * 1000001 microsecond,
           timestamp '2024-01-01 00:00:00' + interval seq * 1000001 microsecond,
           concat(if(seq % 2, 'ä', 'A'), lpad(seq, 9, '0')), seq from seq_{from}_to_{to}"
    ));
}

#[test]
fn mysql_reads_what_is_new_by_each_type() {
    let (env, database) = growing(json!({}));
    let read = || summary(&env, &[])["records_read"].as_u64().unwrap();
    for column in ["id", "n", "amount", "day", "at", "tz"] {
        let session = "set time_zone = '+08:00'";
        watch(&env, json!({"watermark": {"column": column}, "session": session}));
        database.sql("truncate t");
        grow(&database, 1, 2000);
        assert_eq!(read(), 2000, "{column}");
        assert_eq!(read(), 0, "{column}");
        grow(&database, 2001, 2500);
        assert_eq!(read(), 500, "{column}");
        database.sql("insert into t (id, n, amount, day, at, tz) select 2501, n, amount, day, at, tz from t where id = 2500");
        assert_eq!(read(), u64::from(column == "id"), "{column}");
    }
    // A text counts in the database's own order, in which letters are equal in either case.
    database.sql("truncate t; insert into t (id, s) values (1, 'a'), (2, 'B')");
    watch(&env, json!({"watermark": {"column": "s"}}));
    assert_eq!(read(), 2);
    database.sql("insert into t (id, s) values (3, 'b'), (4, 'A'), (5, 'c')");
    let new = summary(&env, &[]);
    assert_eq!(new["records_read"], 1, "{new}");
    let words = new["watermarks"][0].as_str().unwrap();
    assert!(words.contains(&format!("/{}.t.s above B up to c", database.name)), "{words}");
}

#[test]
fn mysql_starts_and_goes_back_by_a_lag() {
    let (env, database) = growing(json!({}));
    grow(&database, 1, 100);
    // Behind a mark, or as the first run.
    let read = |watermark: Value, mark: Option<&str>| {
        let column = watermark["column"].as_str().unwrap();
        let name = format!("127.0.0.1:{}/{}.t.{column}", database.port(), database.name);
        watch(&env, json!({"watermark": watermark}));
        let to = mark.map(|mark| ["--mark", &name, "--to", mark]);
        let to = to.as_ref().map_or(&[][..], |to| to);
        env.airlock(&[&["watermark", "reset", "job.json"], to].concat()).run().expect(0);
        summary(&env, &[])["records_read"].as_u64().unwrap()
    };
    assert_eq!(read(json!({"column": "n", "start": 297}), None), 2);
    assert_eq!(read(json!({"column": "n", "start": 1, "lag": 3}), Some("297")), 2);
    assert_eq!(read(json!({"column": "n", "start": 1, "lag": 5000}), Some("297")), 100);
    assert_eq!(read(json!({"column": "amount", "start": "12.375"}), None), 2);
    assert_eq!(read(json!({"column": "amount", "lag": 1, "start": 1}), Some("12.375")), 9);
    assert_eq!(read(json!({"column": "day", "start": "2024-04-09"}), None), 2);
    assert_eq!(
        read(json!({"column": "day", "lag": 1, "start": "2024-01-01"}), Some("2024-04-09")),
        2
    );
    assert_eq!(read(json!({"column": "at", "start": "2024-01-01 00:01:40"}), None), 1);
    let at = Some("2024-01-01 00:01:39.000099");
    assert_eq!(read(json!({"column": "at", "lag": 1, "start": "2024-01-01"}), at), 2);
    assert_eq!(
        read(json!({"column": "at", "lag": u64::from(u32::MAX) * 100, "start": "2024-01-01"}), at),
        100
    );
}

#[test]
fn mysql_loses_no_row_without_a_value() {
    let (env, database) = growing(json!({}));
    database.sql(
        "set sql_mode = '';
         insert into t (id, n, day) values (1, 1, '2024-01-01'), (2, null, '0000-00-00'), (3, null, null)",
    );
    let refused = |more: Value, exit: i32| {
        watch(&env, more);
        let output = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(exit).json();
        let text = |key: &str| output["error"][key].as_str().unwrap_or_default().to_owned();
        (text("code"), text("place").replace("/steps/0/parameter/watermark", ""))
    };
    let watermark = |column: &str| json!({"watermark": {"column": column}});
    let null = ("mysql.watermark_null".to_owned(), "/nulls".to_owned());
    assert_eq!(refused(watermark("n"), 4), null);
    assert_eq!(refused(watermark("day"), 4), null);
    let read = |nulls: &str| {
        watch(&env, json!({"watermark": {"column": "day", "nulls": nulls}}));
        let read = summary(&env, &[]);
        (read["records_read"].clone(), read["watermarks"][0].as_str().unwrap().to_owned())
    };
    let (rows, words) = read("skip");
    assert!(rows == 1 && words.ends_with("rows without a value: 2, skipped"), "{words}");
    assert_eq!((read("read").0, read("read").0), (json!(2), json!(2)));

    let code = |code: &str, place: &str| (format!("mysql.{code}"), place.to_owned());
    assert_eq!(refused(watermark("d"), 2), code("watermark_type", "/column"));
    assert_eq!(refused(watermark("x"), 3), code("column_not_found", "/column"));
    let lag = json!({"watermark": {"column": "s", "lag": 1}});
    assert_eq!(refused(lag, 2), code("watermark_type", "/lag"));
    for (column, start) in [("n", "1e5"), ("at", "soon"), ("at", "2024-01-01 and more")] {
        let more = json!({"watermark": {"column": column, "start": start, "nulls": "skip"}});
        assert_eq!(refused(more, 2), code("watermark_invalid", "/start"), "{start}");
    }
}

#[test]
fn mysql_goes_on_with_the_window_of_a_killed_run() {
    let (env, database) = growing(json!({"watermark": {"column": "at"}}));
    grow(&database, 1, 5000);
    let program = env.program(&tree::stops(), &["run", "job.json"]);
    Stopped::at(program, "writer.close:1:before", env.root()).unwrap().kill();
    grow(&database, 5001, 6000);
    assert_eq!(summary(&env, &["--resume"])["records_read"], 5000);
    assert_eq!(summary(&env, &[])["records_read"], 1000);
    assert_eq!(database.sql("select count(*), count(distinct id) from copies"), "6000\t6000\n");
}
