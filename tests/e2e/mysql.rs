use serde_json::json;
use tests::{Document, Env, MysqlDatabase, MysqlServer, Stopped, document, tree};

/// A job that writes 20,000 rows into `people` of a database with that table.
fn to_people(server: &'static MysqlServer) -> (Env, MysqlDatabase) {
    let database = server.database();
    database.sql("create table people (id bigint primary key, name varchar(20))");
    let mut env = Env::new();
    database.admit(&mut env);
    let rows: String = (0..20_000).map(|row| format!("{row},row {row}\n")).collect();
    env.write("rows.csv", format!("id,name\n{rows}"));
    let writer = ("mysql", json!({"datasource": "my", "table": "people"}));
    env.write_json("job.json", Document::new(document::csv("rows.csv"), writer).json());
    (env, database)
}

#[test]
fn a_server_that_restarts_costs_a_pause() {
    let server = MysqlServer::own();
    let (env, database) = to_people(server);
    let program = env.program(&tree::stops(), &["run", "job.json", "-o", "json"]);
    let stopped = Stopped::at(program, "writer.write:1:after", env.root()).unwrap();
    server.kill();
    let running = stopped.go();
    server.start_again();
    let output = running.wait().expect(0);
    assert!(output.json()["retries"].as_u64().unwrap() > 0, "{output}");
    assert_eq!(
        database.sql("select count(*), sum(id), count(distinct id) from people"),
        "20000\t199990000\t20000\n"
    );
}

#[test]
fn what_is_wrong_has_a_code_of_its_own() {
    let (mut env, database) = to_people(MysqlServer::shared());
    let reader = |table: &str, column: &str| {
        let reader = json!({"datasource": "my", "table": table, "column": [column]});
        Document::new(("mysql", reader), document::out("csv"))
    };
    let writer = |table: &str| {
        let writer = json!({"datasource": "my", "table": table});
        Document::new(document::csv("rows.csv"), ("mysql", writer))
    };
    let code = |env: &Env, document: Document, exit: i32| {
        env.write_json("job.json", document.json());
        env.airlock(&["run", "job.json", "-o", "json"]).run().expect(exit).error_code()
    };
    assert_eq!(code(&env, reader("peopel", "id"), 3), "mysql.table_not_found");
    assert_eq!(code(&env, reader("people", "nmae"), 3), "mysql.column_not_found");
    assert_eq!(code(&env, reader("people", "id +"), 2), "mysql.syntax_error");
    assert_eq!(code(&env, writer("mysql.user"), 3), "mysql.table_not_found");
    database.sql("create table short (id tinyint, name varchar(3))");
    assert_eq!(code(&env, writer("short"), 4), "run.dirty_limit");
    // Reading alone does not let it write.
    database.grant("select");
    assert_eq!(code(&env, writer("people"), 3), "mysql.permission_denied");
    env.set("MYSQLPASSWORD", "wrong");
    assert_eq!(code(&env, reader("people", "id"), 3), "mysql.authentication_failed");
}

#[test]
fn a_broken_split_goes_on_behind_its_last_key() {
    let (env, database) = to_people(MysqlServer::shared());
    database.sql(
        "create table wide (id bigint primary key, name text);
         create table target like wide;
         insert into wide select seq, repeat(char(97 + seq % 26), 2500) from seq_1_to_30000;
         analyze table wide",
    );
    let reader = json!({"datasource": "my", "table": "wide", "splitFactor": 1});
    let writer = json!({"datasource": "my", "table": "target"});
    env.write_json("job.json", Document::new(("mysql", reader), ("mysql", writer)).json());
    for stop in ["writer.commit:1:before", "writer.commit:1:after"] {
        database.sql("truncate target");
        let program = env.program(&tree::stops(), &["run", "job.json", "-o", "json"]);
        Stopped::at(program, stop, env.root()).unwrap().kill();
        let before: u64 = database.sql("select count(*) from target").trim().parse().unwrap();
        assert!(before < 30_000, "{stop}");
        assert_eq!(before > 0, stop.ends_with("after"), "{stop}");
        env.airlock(&["run", "job.json", "--resume", "-o", "json"]).run().expect(0);
        assert_eq!(
            database.sql("select count(*), sum(t.id) from target t join wide using (id, name)"),
            "30000\t450015000\n",
            "{stop}"
        );
    }
}

#[test]
fn tables_without_transactions_and_large_rows() {
    let (env, database) = to_people(MysqlServer::shared());
    database.sql(
        r"set sql_mode = '';
          create table source (id int primary key, text longtext) engine = myisam;
          create table target (id int primary key, text longtext) engine = myisam;
          insert into target values (2, 'there'), (7, 'goes');
          insert into source values (1, 'it''s a \\'), (2, 'double'), (3, repeat('x', 17 << 20)), (4, '\0')",
    );
    let reader = json!({"datasource": "my", "table": "source"});
    let writer = json!({
        "datasource": "my",
        "table": "target",
        "preSql": ["delete from @table where id = 7", "alter table @table comment 'x'"],
        "session": ["set session sql_mode = 'NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT'"],
    });
    let job = Document::new(("mysql", reader), ("mysql", writer)).tolerating(1);
    env.write_json("job.json", job.json());
    let output = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(0);
    assert_eq!(output.json()["commit_mode"], "at-least-once", "{output}");
    assert_eq!(output.json()["dirty"][0]["code"], "mysql.unique_violation", "{output}");
    assert_eq!(
        database.sql("select id, length(text), left(hex(text), 20) from target order by id"),
        "1\t8\t697427732061205C\n2\t5\t7468657265\n3\t17825792\t78787878787878787878\n4\t1\t00\n"
    );
}

#[test]
fn what_can_not_be_replaced_is_refused_before_anything_is_written() {
    let (env, database) = to_people(MysqlServer::shared());
    database.sql(
        "create table loose (id bigint, name varchar(20)) engine = myisam; insert into loose values (1, 'kept');
         create table parts (id bigint, name varchar(20), ds date); create view seen as select id, name from people;
         create table points (person bigint, foreign key (person) references people (id));",
    );
    let code = |table: &str, partition: Option<&str>, exit: i32| {
        let mut writer = json!({"datasource": "my", "table": table, "loadMode": "swap"});
        if let Some(partition) = partition {
            writer["partition"] = partition.into();
        }
        let job = Document::new(document::csv("rows.csv"), ("mysql", writer));
        env.write_json("job.json", job.json());
        env.airlock(&["run", "job.json", "-o", "json"]).run().expect(exit).error_code()
    };
    for table in ["people", "loose", "seen"] {
        assert_eq!(code(table, None, 2), "mysql.swap_unsupported", "{table}");
    }
    assert_eq!(code("parts", Some("day=20251031"), 3), "mysql.column_not_found");
    assert_eq!(code("parts", Some("ds=yesterday"), 2), "mysql.partition_value");
    assert_eq!(code("parts", Some("ds"), 2), "parameter.invalid");
    assert_eq!(database.sql("select * from loose"), "1\tkept\n");
    let stages = "select count(*) from information_schema.tables where table_schema = database()
        and table_name like '\\_airlock\\_swap%'";
    assert_eq!(database.sql(stages), "0\n");
}

#[test]
fn runs_that_replace_the_same_rows_take_turns() {
    let (env, database) = to_people(MysqlServer::shared());
    let writer = json!({"datasource": "my", "table": "people", "loadMode": "swap"});
    env.write("few.csv", "id,name\n1,few\n2,few\n");
    for (file, rows) in [("many.json", "rows.csv"), ("few.json", "few.csv")] {
        let job = Document::new(document::csv(rows), ("mysql", writer.clone()));
        env.write_json(file, job.json());
    }
    database.sql("insert into people values (-1, 'old')");
    let run = |file: &str| env.program(&tree::stops(), &["run", file, "-o", "json"]);
    let stopped = Stopped::at(run("many.json"), "writer.finish:1:before", env.root()).unwrap();
    run("few.json").run().expect(0);
    assert_eq!(database.sql("select count(*), min(name) from people"), "2\tfew\n");
    stopped.go().wait().expect(0);
    assert_eq!(database.sql("select count(*), min(id) from people"), "20000\t0\n");
}

#[test]
fn logins_are_as_secret_as_the_data_source_says() {
    let (server, certificates) = MysqlServer::secure();
    let database = server.database();
    let mut env = Env::new();
    database.admit(&mut env);
    let text = |name: &str| std::fs::read_to_string(certificates.join(name)).unwrap();
    let (ca, other) = (text("ca.pem"), text("other.pem"));
    database.sql(&format!(
        "create user sealed identified by 'one' require ssl; grant all on {0}.* to sealed;
         create user signed identified via ed25519 using password('two'); grant all on {0}.* to signed",
        database.name
    ));
    let code = |changes: serde_json::Value| {
        let mut properties = database.properties();
        for (key, value) in changes.as_object().unwrap() {
            properties[key] = value.clone();
        }
        let sources = json!({"my": {"type": "mysql", "properties": properties}});
        env.write_json("datasources.json", &sources);
        let output = env.airlock(&["check", "my", "-o", "json"]).run();
        output.json()["error"]["code"].as_str().unwrap_or("ok").to_owned()
    };
    let sealed = |more: serde_json::Value| {
        let mut changes = json!({"username": "sealed", "password": "one", "host": "localhost"});
        changes.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        code(changes)
    };
    assert_eq!(sealed(json!({})), "ok", "preferred");
    assert_eq!(sealed(json!({"ssl": {"mode": "disabled"}})), "mysql.authentication_failed");
    assert_eq!(sealed(json!({"properties": {"useSSL": "true"}})), "ok");
    assert_eq!(sealed(json!({"ssl": {"ca": ca}})), "ok");
    assert_eq!(sealed(json!({"ssl": {"ca": ca}, "host": "127.0.0.1"})), "mysql.tls_certificate");
    let by_authority = json!({"ssl": {"mode": "verify-ca", "ca": ca}, "host": "127.0.0.1"});
    assert_eq!(sealed(by_authority), "ok");
    assert_eq!(sealed(json!({"ssl": {"ca": other}})), "mysql.tls_certificate");
    let jdbc = json!({"ssl": {"ca": other}, "properties": {"sslMode": "VERIFY_CA"}});
    assert_eq!(sealed(jdbc), "mysql.tls_certificate");
    assert_eq!(sealed(json!({"properties": {"sslMode": "VERIFY_CA"}})), "connection.invalid");
    assert_eq!(code(json!({"username": "signed", "password": "two"})), "ok");
    let guess = json!({"username": "signed", "password": "three"});
    assert_eq!(code(guess), "mysql.authentication_failed");

    let plain = MysqlServer::shared().database();
    let mut properties = plain.properties();
    properties["ssl"] = json!({"mode": "required"});
    assert_eq!(code(properties), "mysql.tls_not_offered");
}

#[test]
fn rows_travel_encrypted() {
    let (server, _) = MysqlServer::secure();
    let (env, database) = to_people(server);
    let job = |reader, writer| env.write_json("job.json", Document::new(reader, writer).json());
    job(document::csv("rows.csv"), ("mysql", json!({"datasource": "my", "table": "people"})));
    env.airlock(&["run", "job.json"]).run().expect(0);
    let version = "select variable_value from information_schema.session_status \
                   where variable_name = 'Ssl_version'";
    job(("mysql", json!({"datasource": "my", "querySql": version})), document::out("csv"));
    env.airlock(&["run", "job.json"]).run().expect(0);
    let written = std::fs::read_to_string(env.published("out").pop().unwrap()).unwrap();
    assert!(written.contains("TLSv1.3"), "{written}");
    assert_eq!(database.sql("select count(*), sum(id) from people"), "20000\t199990000\n");
}

#[test]
fn what_a_run_wrote_is_read_back() {
    let (env, database) = to_people(MysqlServer::shared());
    let verify = |more: serde_json::Value, exit: i32| {
        let mut writer = json!({"datasource": "my", "table": "people"});
        writer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let job = Document::new(document::csv("rows.csv"), ("mysql", writer));
        env.write_json("job.json", job.json());
        env.airlock(&["run", "job.json", "--verify", "-o", "json"]).run().expect(exit)
    };
    let matches = |more: serde_json::Value| {
        let output = verify(more, 0);
        let verified = &output.json()["verified"];
        (verified["matches"].clone(), verified["records_found"].clone())
    };
    let all = (json!(true), json!(20_000));
    assert_eq!(matches(json!({})), all, "of an empty table");
    // Others' rows are left alone where keys tell them from the run's.
    database.sql("truncate people; insert into people values (-1, 'old')");
    assert_eq!(matches(json!({})), all, "above the highest key");
    let emptied = json!({"writeMode": "update", "preSql": ["delete from @table"]});
    assert_eq!(matches(emptied), all, "of a table that preSql empties");
    assert_eq!(matches(json!({"loadMode": "swap"})), all, "of a swap");
    assert_eq!(verify(json!({"writeMode": "replace"}), 2).error_code(), "verify.impossible");
    database.sql("truncate people; insert into people values (30000, 'old')");
    assert_eq!(verify(json!({}), 2).error_code(), "verify.impossible", "below the highest key");
    database.sql(
        "truncate people;
         create trigger lie before insert on people for each row set new.name = if(new.id = 7, 'x', new.name)",
    );
    let output = verify(json!({}), 4);
    assert_eq!(output.error_code(), "verify.mismatch", "{output}");
    assert_eq!(output.json()["verified"]["different"], 1, "{output}");
}

#[test]
fn tables_of_several_databases_are_read_as_one() {
    let server = MysqlServer::shared();
    let (first, second) = (server.database(), server.database());
    first.sql(
        "create table orders_1 (id int primary key, name varchar(9));
         create table orders_2 like orders_1;
         create table Orders_3 like orders_1;
         insert into orders_1 select seq, seq from seq_1_to_3000;
         insert into orders_2 select seq, seq from seq_3001_to_3010;
         create table copies (id int, name varchar(9))",
    );
    second.sql(
        "create table orders_1 (id int, name varchar(9), note text);
         insert into orders_1 values (5001, 'last', 'x')",
    );
    let mut env = Env::new();
    first.admit(&mut env);
    let run = |reader: serde_json::Value, exit: i32| {
        let mut parameter = json!({"datasource": "my", "column": ["id", "name"]});
        parameter.as_object_mut().unwrap().extend(reader.as_object().unwrap().clone());
        let copies = json!({"datasource": "my", "table": "copies", "preSql": "delete from @table"});
        env.write_json("job.json", Document::new(("mysql", parameter), ("mysql", copies)).json());
        env.airlock(&["run", "job.json", "-o", "json"]).run().expect(exit)
    };
    let sums = "select count(*), count(distinct id), sum(id) from copies";
    let both = [&first, &second].map(|database| format!("{}.orders_1", database.name));
    run(json!({"table": both}), 0);
    assert_eq!(first.sql(sums), "3001\t3001\t4506501\n");
    // A name in the pattern's place is a whole one, in its own case.
    run(json!({"tablePattern": "orders_\\d|copie"}), 0);
    assert_eq!(first.sql(sums), "3010\t3010\t4531555\n");

    let code = |reader: serde_json::Value, exit: i32| {
        let output = run(reader, exit).json();
        let text = |key: &str| output["error"][key].as_str().unwrap_or_default().to_owned();
        (text("code"), text("place"), text("message"))
    };
    let at = |place: &str| format!("/steps/0/parameter/{place}");
    let (found, place, _) = code(json!({"tablePattern": "order"}), 3);
    assert_eq!((found.as_str(), place), ("mysql.no_table_matches", at("tablePattern")));
    let (found, place, _) = code(json!({"tablePattern": "order("}), 2);
    assert_eq!((found.as_str(), place), ("mysql.syntax_error", at("tablePattern")));
    let (found, place, _) = code(json!({"table": ["orders_[1-2]", "orders_1"]}), 2);
    assert_eq!((found.as_str(), place), ("parameter.invalid", at("table")));
    let (found, _, message) = code(json!({"table": ["orders_1", "orders_9"]}), 3);
    assert_eq!(found, "mysql.table_not_found");
    assert!(message.contains("orders_9"), "{message}");
    let several = json!({"table": ["orders_1", both[1]], "column": ["id", "note"]});
    let (found, _, message) = code(several.clone(), 3);
    assert_eq!(found, "mysql.column_not_found");
    assert!(message.contains(&format!("{}.orders_1", first.name)), "{message}");
    let mut several = several;
    several["missingColumn"] = json!("null");
    run(several, 0);
    assert_eq!(first.sql("select count(*), count(name) from copies"), "3001\t1\n");
}

/// Rows of each task, where every task writes a file.
fn rows_of_tasks(env: &Env, reader: serde_json::Value) -> Vec<usize> {
    let job = Document::new(("mysql", reader), document::out("csv")).concurrent(4);
    env.write_json("job.json", job.json());
    env.airlock(&["run", "job.json"]).run().expect(0);
    let files = env.published("out");
    // A header stands above the rows of each file.
    let rows_of = |path| std::fs::read_to_string(path).unwrap().lines().skip(1).count();
    let rows = files.into_iter().map(rows_of).collect();
    std::fs::remove_dir_all(env.path("out")).unwrap();
    rows
}

#[test]
fn a_key_that_most_rows_have_keeps_all_lanes_busy() {
    const ROWS: usize = 40_000;
    const LANES: usize = 4;
    let database = MysqlServer::shared().database();
    let mut env = Env::new();
    database.admit(&mut env);
    database.sql(&format!(
        "create table keyed (id int primary key, k int, s varchar(20), at datetime, key (k), key (s), key (at));
         insert into keyed select seq, if(seq % 10 = 0, seq, 700), concat('It''s ', if(seq % 10 = 0, seq, 700)),
           if(seq % 10 = 0, '2024-01-01' + interval seq second, null) from seq_1_to_{ROWS};
         create table pair (k int, n int, primary key (k, n));
         insert into pair select k, id from keyed;
         analyze table keyed, pair"
    ));
    let cases = [("keyed", Some("k")), ("keyed", Some("s")), ("keyed", Some("at")), ("pair", None)];
    for (table, key) in cases {
        let mut reader = json!({"datasource": "my", "table": table, "column": ["1"]});
        if let Some(key) = key {
            reader["splitPk"] = json!(key);
        }
        let tasks = rows_of_tasks(&env, reader);
        assert_eq!(tasks.iter().sum::<usize>(), ROWS, "{table} {key:?}");
        // Every task goes to the lane that has read the least.
        let mut lanes = [0; LANES];
        for rows in &tasks {
            *lanes.iter_mut().min().unwrap() += rows;
        }
        let fair = ROWS / LANES;
        let is_fair = lanes.iter().all(|rows| rows.abs_diff(fair) < fair / 4);
        assert!(is_fair, "{table} {key:?}: {lanes:?} of {tasks:?}");
        let share = ROWS / (LANES * 5);
        assert!(tasks.iter().all(|rows| *rows <= share * 5 / 2), "{table} {key:?}: {tasks:?}");
    }
}

/// Types of one column in two shards with a value each, and what both become in a new table, by how they
/// are read back; nothing where the shards are refused.
const PAIRS: [(&str, &str, &str, &str, Option<&str>); 14] = [
    ("enum('a','b')", "varchar(9)", "'b'", "'B '", None),
    ("set('a','b')", "varchar(9)", "'a,b'", "'b,a'", None),
    ("json", "longtext", "'{\"a\": 1}'", "'no json'", None),
    ("time", "varchar(20)", "'-838:59:59'", "'12:00'", None),
    ("uuid", "char(36)", "uuid()", "'x'", None),
    ("int", "bigint", "1", "2", None),
    ("decimal(10,2)", "decimal(12,4)", "1.25", "1.2345", None),
    ("datetime(3)", "timestamp(3)", "now(3)", "now(3)", None),
    ("point", "blob", "point(1, 2)", "'x'", None),
    ("enum('a','b')", "enum('b','c')", "'b'", "'c'", Some("b/c")),
    ("enum('a','b')", "set('b','c')", "'a'", "'b,c'", Some("a/b,c")),
    ("varchar(3)", "text", "'abc'", "'a longer text '", Some("abc/a longer text ")),
    (
        "datetime",
        "datetime(6)",
        "'2020-01-02 03:04:05'",
        "'2020-01-02 03:04:05.000006'",
        Some("2020-01-02 03:04:05.000000/2020-01-02 03:04:05.000006"),
    ),
    (
        "bit(12)",
        "bigint unsigned",
        "b'100000000001'",
        "18446744073709551615",
        Some("2049/18446744073709551615"),
    ),
];

#[test]
fn shards_whose_types_differ_are_united_without_a_change_or_refused() {
    let (env, database) = to_people(MysqlServer::shared());
    for (a, b, of_a, of_b, wanted) in PAIRS {
        database.sql(&format!(
            "create or replace table a (id int primary key, c {a}); insert into a values (1, {of_a});
             create or replace table b (id int primary key, c {b}); insert into b values (2, {of_b});
             drop table if exists target"
        ));
        let one_source = json!({"datasource": "my", "table": ["a", "b"]});
        let source = |table: &str| json!({"datasource": "my", "table": [table]});
        let two_sources = json!({"connection": [source("a"), source("b")]});
        for reader in [one_source, two_sources] {
            let writer = json!({"datasource": "my", "table": "target", "createTable": true});
            let job = Document::new(("mysql", reader), ("mysql", writer));
            env.write_json("job.json", job.json());
            let run = env.airlock(&["run", "job.json", "-o", "json"]).run();
            let Some(wanted) = wanted else {
                assert_eq!(run.expect(3).error_code(), "sources.column_type", "{a} and {b}");
                assert_eq!(database.sql("show tables like 'target'"), "", "{a} and {b}");
                continue;
            };
            run.expect(0);
            let found = "select group_concat(c order by id separator '/') from target";
            assert_eq!(database.sql(found), format!("{wanted}\n"), "{a} and {b}");
            database.sql("drop table target");
        }
    }
}

/// Rows whose texts mean something in a file that is loaded, and values at the ends of their types.
const TRICKY: &str = r#"create table source (id int primary key, t text, v varchar(20), f float, d double,
        n decimal(30,10), u bigint unsigned, day date, at datetime(6), ts timestamp(3) null, h time(2), e enum('a','2'), j json);
    insert into source values
        (1, 'a\tb\nc\\d', '\\N', 0.1, 1e308, 12345678901234567890.0123456789, 18446744073709551615,
            '9999-12-31', '1000-01-01 00:00:00.000001', '2038-01-19 03:14:07.999', '-838:59:59.00', '2', '{"a": "x\\\\ty"}'),
        (2, '\0', '', -0.0, 5e-324, -0.0000000001, 0, '0001-01-01', null, null, '00:00:00.05', 'a', '[]'),
        (3, '\r\n', 'NULL', 3.40282e38, -1.5, 0, 1, null, null, null, null, null, null),
        (4, repeat('\\', 5000), '\'"`', null, null, null, null, null, null, null, null, null, null),
        (5, unhex('F09F9982E4B8AD'), 'ä ', 1, 2, 3, 4, null, null, null, null, null, null),
        (6, null, null, null, null, null, null, null, null, null, null, null, null)"#;

#[test]
fn loaded_rows_are_those_that_inserts_make() {
    let server = MysqlServer::own();
    let (env, database) = to_people(server);
    database.sql(TRICKY);
    database.sql("create table target like source");
    let loads = || database.sql("show global status like 'Com_load'");
    let same = "select (select count(*) from target) = 6 and not exists (select * from source except select * from target)
        and (select group_concat(hex(t), hex(v), f, d order by id) from source) = (select group_concat(hex(t), hex(v), f, d order by id) from target)";
    let run = |writer: serde_json::Value| {
        let reader = json!({"datasource": "my", "table": "source"});
        env.write_json("job.json", Document::new(("mysql", reader), ("mysql", writer)).json());
        env.airlock(&["run", "job.json", "-o", "json"]).run().expect(0)
    };
    let target = || json!({"datasource": "my", "table": "target"});
    let plain = "set session sql_mode = 'NO_BACKSLASH_ESCAPES'";
    let with = |key: &str, value: serde_json::Value| {
        let mut writer = target();
        writer[key] = value;
        writer
    };
    let truncated = json!(["truncate table target"]);
    for writer in [
        target(),
        with("writeMode", "replace".into()),
        with("session", json!([plain])),
        with("loadMode", "swap".into()),
    ] {
        let mut writer = writer;
        if writer["loadMode"].is_null() && writer["writeMode"].is_null() {
            writer["preSql"] = truncated.clone();
        }
        let before = loads();
        run(writer.clone());
        assert_eq!(database.sql(same), "1\n", "{writer}");
        assert_ne!(loads(), before, "{writer}");
    }
    // Where the server takes no loads, and where a value is left at its default, rows are inserted.
    let before = loads();
    run(
        json!({"datasource": "my", "table": "target", "preSql": truncated, "nullMode": "skipNull"}),
    );
    database.sql("set global local_infile = 0");
    run(json!({"datasource": "my", "table": "target", "preSql": truncated}));
    assert_eq!((database.sql(same), loads()), ("1\n".to_owned(), before));
}

#[test]
fn a_load_that_is_not_clean_is_taken_back() {
    let server = MysqlServer::own();
    let (env, database) = to_people(server);
    database.sql(
        "create table strict (id bigint primary key, name varchar(7) not null check (name <> 'row 5'), must int not null default 1,
            foreign key (id) references people (id));
         insert into people select seq, '' from seq_0_to_19999; delete from people where id = 7;
         insert into strict values (3, 'there', 1)",
    );
    let writer = json!({"datasource": "my", "table": "strict", "column": ["id", "name"]});
    let job = Document::new(document::csv("rows.csv"), ("mysql", writer)).tolerating(20_000);
    env.write_json("job.json", job.json());
    let summary = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(0).json();
    let codes: std::collections::BTreeSet<_> = summary["dirty"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reason| reason["code"].as_str().unwrap().to_owned())
        .collect();
    let wanted = [
        "mysql.check_violation",
        "mysql.foreign_key_violation",
        "mysql.unique_violation",
        "mysql.value_too_long",
    ];
    assert_eq!(codes, wanted.map(str::to_owned).into(), "{summary}");
    // Names of more than seven characters come with the row 1000; three of the others are refused.
    assert_eq!(summary["records_written"], 997, "{summary}");
    assert_eq!(database.sql("select count(*), sum(name = 'there') from strict"), "998\t1\n");
    // A column that must have a value, and is not written, is told as it is by an INSERT.
    database.sql("create table needy (id bigint primary key, name varchar(20), must int not null)");
    let writer = json!({"datasource": "my", "table": "needy", "column": ["id", "name"]});
    env.write_json("job.json", Document::new(document::csv("rows.csv"), ("mysql", writer)).json());
    let output = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(2);
    assert_eq!(output.error_code(), "mysql.column_required");
}

/// How often the server ran statements of a kind.
fn count(database: &MysqlDatabase, status: &str) -> u64 {
    let row = database.sql(&format!("show global status like '{status}'"));
    row.trim().rsplit('\t').next().unwrap().parse().unwrap()
}

#[test]
fn a_refused_load_leaves_nothing_to_the_inserts_behind_it() {
    let server = MysqlServer::own();
    let (env, database) = to_people(server);
    env.write("one.csv", "id,name\n1,a name that is longer than its column\n");
    let writer = ("mysql", json!({"datasource": "my", "table": "people"}));
    let job = Document::new(document::csv("one.csv"), writer).tolerating(1);
    env.write_json("job.json", job.json());
    database.sql("alter table people add check (char_length(name) < 30), modify name text");
    for (local_infile, taken_back) in [(1, 2), (0, 1)] {
        database.sql(&format!("set global local_infile = {local_infile}"));
        let before = count(&database, "Com_rollback_to_savepoint");
        let output = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(0);
        assert_eq!(output.json()["dirty"][0]["code"], "mysql.check_violation", "{output}");
        // Once for the load, and once for the INSERT that told the row.
        assert_eq!(count(&database, "Com_rollback_to_savepoint") - before, taken_back);
    }
}

#[test]
fn a_load_has_no_more_rows_than_a_statement_may() {
    let server = MysqlServer::own();
    let (env, database) = to_people(server);
    let writer = json!({"datasource": "my", "table": "people", "batchSize": 1000});
    env.write_json("job.json", Document::new(document::csv("rows.csv"), ("mysql", writer)).json());
    env.airlock(&["run", "job.json", "-o", "json"]).run().expect(0);
    assert!(count(&database, "Com_load") >= 20);
    assert_eq!(database.sql("select count(*) from people"), "20000\n");
}

#[test]
fn numbers_are_no_places_in_lists_and_no_null_becomes_now() {
    let server = MysqlServer::own();
    let (env, database) = to_people(server);
    database.sql(
        "create table source (id int primary key, number int, bits varchar(9), at timestamp null);
         insert into source values (1, 2, 'x', 20200102030405), (2, 3, 'x', now()), (3, 5, '2', now()),
            (4, 5, 'y,x', now()), (5, null, 'x', now()), (6, 5, 'x', null), (7, 0, '', now()), (8, 5, '0', now())",
    );
    for (local_infile, loads) in [(1, 1), (0, 0)] {
        database.sql(&format!(
            "set global local_infile = {local_infile};
             create or replace table target (id int primary key, place enum('5','b','2'), bits set('x','y'),
                at timestamp not null default current_timestamp)"
        ));
        let before = count(&database, "Com_load");
        let reader = json!({"datasource": "my", "table": "source"});
        let writer = json!({"datasource": "my", "table": "target"});
        let job = Document::new(("mysql", reader), ("mysql", writer)).tolerating(8);
        env.write_json("job.json", job.json());
        env.airlock(&["run", "job.json", "-o", "json"]).run().expect(0);
        let rows = database.sql("select id, place, bits from target order by id");
        assert_eq!(rows, "1\t2\tx\n4\t5\tx,y\n5\tNULL\tx\n", "{local_infile}");
        assert_eq!(count(&database, "Com_load") - before, loads);
    }
}
