use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::path::Path;

use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};
use serde_json::json;
use tests::{
    Database, Document, Env, MysqlServer, Output, PgServer, SmallDisk, Stopped, document, referee,
    tree,
};

/// A job from a CSV file to the table `people`, and its database.
fn to_people() -> (Env, Database) {
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

#[test]
fn a_wrong_password() {
    let (env, _database) = to_people();
    let output = env.airlock(&["run", "job.json"]).env("PGPASSWORD", "wrong").run();
    insta::assert_snapshot!(output.normal());
}

#[test]
fn an_absent_table() {
    let (env, _database) = to_people();
    env.write_json(
        "job.json",
        Document::new(document::csv("rows.csv"), document::table("poeple")).json(),
    );
    insta::assert_snapshot!(env.airlock(&["run", "job.json"]).run().normal());
    let reading = Document::new(document::table("nowhere.people"), document::out("csv"));
    env.write_json("job.json", reading.json());
    env.airlock(&["run", "job.json"]).run().expect(3);
    assert_eq!(env.files("out").len(), 0);
}

#[test]
fn an_absent_database() {
    let (env, database) = to_people();
    let mut properties = database.properties();
    properties["database"] = "nowhere".into();
    env.write_json(
        "datasources.json",
        &json!({"pg": {"type": "postgresql", "properties": properties}}),
    );
    env.airlock(&["run", "job.json"]).run().expect(3);
}

#[test]
fn a_server_that_is_not_there() {
    let (env, database) = to_people();
    // A port that nobody listens on, nor can begin to.
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
    let place: SocketAddr = getsockname(&socket).unwrap().try_into().unwrap();
    let mut properties = database.properties();
    properties["port"] = place.port().into();
    env.write_json(
        "datasources.json",
        &json!({"pg": {"type": "postgresql", "properties": properties}}),
    );
    insta::assert_snapshot!(env.airlock(&["run", "job.json"]).run().normal());
}

#[test]
fn a_server_that_says_nothing_sensible() {
    let (env, database) = to_people();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut properties = database.properties();
    properties["port"] = listener.local_addr().unwrap().port().into();
    let server = std::thread::spawn(move || {
        use std::io::Write;
        // As often as the program tries; the thread ends with the test program.
        for stream in listener.incoming() {
            let _ = stream.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    env.write_json(
        "datasources.json",
        &json!({"pg": {"type": "postgresql", "properties": properties}}),
    );
    env.airlock(&["run", "job.json"]).run().expect(3);
    drop(server);
}

#[test]
fn a_session_that_is_ended_in_the_middle_goes_on_in_a_new_one() {
    let (env, database) = to_people();
    database.setup("create table numbers (n bigint primary key); insert into numbers select generate_series(1, 200000)");
    database.setup("create table copy (n bigint)");
    let reader = json!({"datasource": "pg", "table": "numbers", "splitPk": "n"});
    let job = Document::new(("postgresql", reader), document::table("copy"));
    env.write_json("job.json", job.json());
    let held = database.hold("lock table copy in share row exclusive mode");
    let mut running = env.airlock(&["run", "job.json", "-o", "json"]).start();
    running.until("a session that waits for the lock", |_| database.waiting() > 0);
    database.disconnect_all();
    drop(held);
    let output = running.wait().expect(0);
    assert!(output.json()["retries"].as_u64().unwrap() > 0, "{output}");
    assert_eq!(
        database.sql("select count(*), sum(n), count(distinct n) from copy"),
        "200000|20000100000|200000\n"
    );
}

#[test]
fn a_server_that_dies_in_the_middle() {
    let server = PgServer::own();
    let database = server.database();
    database.setup("create table people (id bigint, name text)");
    let mut env = Env::new();
    database.admit(&mut env);
    let rows: String = (0..50_000).map(|row| format!("{row},row {row}\n")).collect();
    env.write("rows.csv", format!("id,name\n{rows}"));
    env.write_json(
        "job.json",
        Document::new(document::csv("rows.csv"), document::table("people")).json(),
    );
    let stops = tree::stops();
    let program = env.program(&stops, &["run", "job.json", "-o", "json"]);
    let stopped = Stopped::at(program, "writer.write:1:after", env.root()).unwrap();
    server.kill();
    let output = stopped.go().wait().expect(3);
    assert!(output.json()["resume"].is_string(), "it can go on: {output}");
    server.start_again();
    assert_eq!(database.count("select count(*) from people"), 0, "nothing is half published");
    env.airlock(&["run", "job.json", "--resume"]).run().expect(0);
    assert_eq!(
        database.sql("select count(*), count(distinct id), sum(id) from people"),
        "50000|50000|1249975000\n"
    );
}

/// A job that writes some ten megabytes of text that cannot be packed.
fn large_files(format: &str) -> Env {
    let env = Env::new();
    let reader =
        json!({"column": [{"random": "100,100", "type": "string"}], "sliceRecordCount": 100_000});
    let parameter = json!({"path": "small/out", "fileName": "rows", "fileFormat": format, "writeMode": "truncate"});
    env.write_json("job.json", Document::new(("stream", reader), ("file", parameter)).json());
    env
}

/// Once there is room, the run goes on to its end, and every row is there once.
fn goes_on(env: &Env) {
    let output = env.airlock(&["run", "job.json", "--resume", "-o", "json"]).run().expect(0);
    assert_eq!(output.json()["records_written"], 100_000, "{output}");
    let rows = |file: &std::path::PathBuf| {
        let out = env.path("counted.csv");
        let table = match file.extension().is_some_and(|suffix| suffix == "parquet") {
            true => format!("'{}'", file.display()),
            false => format!("read_csv('{}', header = false)", file.display()),
        };
        referee::make(&out, &format!("select count(*) n from {table}"));
        let text = std::fs::read_to_string(out).unwrap();
        text.lines().last().unwrap().parse::<u64>().unwrap()
    };
    assert_eq!(env.published("small/out").iter().map(rows).sum::<u64>(), 100_000);
}

fn nothing_is_published(env: &Env, output: &Output) {
    assert!(output.stderr.contains("resume"), "once there is room, it goes on: {output}");
    let published = env.published("small/out");
    assert!(published.is_empty(), "nothing is half published: {published:?}");
}

#[test]
fn a_disk_that_is_full() {
    for format in ["csv", "parquet"] {
        let env = large_files(format);
        // Without the right to mount, the file that may not grow stands for the disk.
        let Some(disk) = SmallDisk::mount(env.path("small"), 1, None) else { continue };
        nothing_is_published(&env, &env.airlock(&["run", "job.json"]).run().expect(3));
        disk.grow();
        goes_on(&env);
    }
}

/// A job that writes some ten megabytes into the table `people`.
fn many_people(env: &Env, writer: &str, source: &str) {
    let columns = json!([
        {"random": "1,1000000", "type": "long"},
        {"random": "100,100", "type": "string"},
    ]);
    let reader = json!({"column": columns, "sliceRecordCount": 100_000});
    let writer = (writer, json!({"datasource": source, "table": "people"}));
    env.write_json("job.json", Document::new(("stream", reader), writer).json());
}

/// The run says that its server's disk is full, and goes on once there is room.
fn fills(env: &Env, disk: &SmallDisk, code: &str) {
    let output = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(3);
    assert_eq!(output.error_code(), code, "{output}");
    assert!(output.json()["resume"].is_string(), "it can go on: {output}");
    disk.grow();
    let output = env.airlock(&["run", "job.json", "--resume", "-o", "json"]).run().expect(0);
    assert_eq!(output.json()["records_written"], 100_000, "{output}");
}

#[test]
fn a_disk_of_postgresql_that_is_full() {
    let server = PgServer::own();
    let Some(disk) = server.small_disk(4) else { return };
    let database = server.database();
    let folder = disk.path().display();
    database.sql(&format!("create tablespace small location '{folder}'"));
    database.sql("create table people (id bigint, name text) tablespace small");
    database.sql("grant all on people to mover");
    let mut env = Env::new();
    database.admit(&mut env);
    many_people(&env, "postgresql", "pg");
    fills(&env, &disk, "postgresql.disk_full");
    assert_eq!(database.count("select count(*) from people"), 100_000);
}

#[test]
fn a_disk_of_mysql_that_is_full() {
    let server = MysqlServer::own();
    let Some(disk) = server.small_disk(4) else { return };
    let database = server.database();
    let folder = disk.path().display();
    database.sql(&format!(
        "create table people (id bigint, name varchar(200)) data directory = '{folder}'"
    ));
    let mut env = Env::new();
    database.admit(&mut env);
    many_people(&env, "mysql", "my");
    fills(&env, &disk, "mysql.disk_full");
    assert_eq!(database.sql("select count(*) from people"), "100000\n");
}

#[test]
fn a_disk_of_sqlite_that_is_full() {
    let env = Env::new();
    let Some(disk) = SmallDisk::mount(env.path("small"), 4, None) else { return };
    let file = env.path("small/shop.db");
    env.admit("shop", json!({"type": "sqlite", "properties": {"path": "small/shop.db"}}));
    referee::sqlite(&file, "create table people (id bigint, name text);");
    many_people(&env, "sqlite", "shop");
    fills(&env, &disk, "sqlite.disk_full");
    assert_eq!(referee::sqlite(&file, "select count(*) from people;"), "100000\n");
}

#[test]
fn a_file_that_may_not_grow() {
    for format in ["csv", "parquet"] {
        let env = large_files(format);
        // In blocks of 512 bytes; the signal that comes with it would end the program.
        let limited = "trap '' XFSZ; ulimit -f 4096; exec \"$0\" run job.json";
        let airlock = tree::airlock().display().to_string();
        let output = env.program(Path::new("/bin/sh"), &["-c", limited, &airlock]).run();
        nothing_is_published(&env, &output.expect(3));
        goes_on(&env);
    }
}

#[test]
fn standard_output_that_is_full() {
    let env = Env::new();
    let reader = json!({"column": [{"value": 1, "type": "long"}], "sliceRecordCount": 3});
    env.write_json("job.json", Document::new(("stream", reader), ("stream", json!({}))).json());
    env.airlock(&["run", "job.json"]).stdout("/dev/full").run().expect(3);
    env.airlock(&["completions", "bash"]).stdout("/dev/full").run().expect(3);
}

#[test]
fn a_state_folder_that_cannot_be_written() {
    let env = Env::new();
    env.write("file", "no folder");
    env.write_json(
        "job.json",
        Document::new(document::csv("rows.csv"), document::out("csv")).json(),
    );
    let state = env.path("file").display().to_string();
    let output = env.airlock(&["run", "job.json", "--state-dir", &state]).run().expect(3);
    insta::assert_snapshot!(output.normal());
}
