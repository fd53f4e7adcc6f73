//! Reaching a server, TLS, and logging in.

use std::path::Path;
use std::process::Command;

use crate::support::{PASSWORD, Server, code, configuration, fault, server};
use postgresql::Postgresql;
use postgresql::reader::PostgresReader;
use sdk::{Configuration, Plugin, Reader, Requirement, Result, Side};
use serde_json::{Value, json};

fn connect(connection: &Value) -> Result<PostgresReader> {
    let parameter = json!({"querySql": "SELECT 1 AS one"});
    PostgresReader::connect(&configuration(Side::Reader, connection, &parameter))
}

fn with(connection: &Value, changes: Value) -> Value {
    let mut connection = connection.clone();
    for (key, value) in changes.as_object().unwrap() {
        connection[key] = value.clone();
    }
    connection
}

#[test]
fn passwords_and_databases_are_checked() {
    let db = server().database("logins");
    db.sql("SET password_encryption = 'md5'; CREATE ROLE old LOGIN PASSWORD 'hidden'; CREATE ROLE nobody LOGIN PASSWORD 'x'");
    let good = db.connection();
    assert!(connect(&good).is_ok());
    let wrong = fault(connect(&with(&good, json!({"password": "wrong"}))));
    assert_eq!(wrong.code, "postgresql.authentication_failed");
    assert_eq!((wrong.domain, wrong.retry_after_ms), (sdk::FaultDomain::External, None));
    assert!(!wrong.message.contains("wrong horse") && !wrong.message.contains(PASSWORD));
    assert_eq!(
        code(connect(&with(&good, json!({"username": "nobody_there"})))),
        "postgresql.authentication_failed"
    );
    assert_eq!(
        code(connect(&with(&good, json!({"database": "absent"})))),
        "postgresql.database_not_found"
    );
    assert_eq!(code(connect(&with(&good, json!({"host": "no such host"})))), "net.name_not_found");
    assert_eq!(code(connect(&with(&good, json!({"port": 1})))), "net.refused");
    assert_eq!(code(connect(&with(&good, json!({"port": 70_000})))), "connection.invalid");
    let zone =
        with(&good, json!({"properties": {"TimeZone": "Asia/Shanghai"}, "schema": "public"}));
    assert!(connect(&zone).is_ok());
}

#[test]
fn md5_works_where_the_server_asks_for_it() {
    let server = Server::start("", |data| {
        let rules = "host all old 127.0.0.1/32 md5\nhost all all 127.0.0.1/32 scram-sha-256\n";
        std::fs::write(data.join("pg_hba.conf"), rules).unwrap();
    });
    let db = server.database("md5s");
    db.sql("SET password_encryption = 'md5'; CREATE ROLE old LOGIN PASSWORD 'hidden'");
    let old = with(&db.connection(), json!({"username": "old", "password": "hidden"}));
    assert!(connect(&old).is_ok());
    let wrong = with(&old, json!({"password": "guess"}));
    assert_eq!(code(connect(&wrong)), "postgresql.authentication_failed");
}

#[test]
fn the_way_to_a_table_is_checked_step_by_step() {
    let db = server().database("checks");
    db.sql(
        "CREATE TABLE open (id bigint); CREATE TABLE closed (id bigint);
         CREATE ROLE guest LOGIN PASSWORD 'g'; GRANT SELECT, INSERT ON open TO guest",
    );
    let check = |side, connection: &Value, parameter: Value| -> Vec<(String, Option<String>)> {
        let steps = Postgresql::check(&configuration(side, connection, &parameter)).unwrap();
        steps.into_iter().map(|step| (step.name, step.fault.map(|fault| fault.code))).collect()
    };
    let last = |steps: Vec<(String, Option<String>)>| steps.last().cloned().unwrap();
    let guest = with(&db.connection(), json!({"username": "guest", "password": "g"}));
    let steps = check(Side::Reader, &guest, json!({"table": "open"}));
    let names: Vec<_> = steps.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["resolve", "connect", "tls", "authenticate", "database", "table"]);
    assert!(steps.iter().all(|(_, fault)| fault.is_none()), "{steps:?}");
    let denied = ("table".to_owned(), Some("postgresql.permission_denied".to_owned()));
    assert_eq!(last(check(Side::Reader, &guest, json!({"table": "closed"}))), denied);
    assert_eq!(last(check(Side::Writer, &guest, json!({"table": "closed"}))), denied);
    assert_eq!(last(check(Side::Writer, &guest, json!({"table": "open"}))).1, None);
    assert_eq!(last(check(Side::Reader, &guest, json!({}))), ("database".to_owned(), None));
    let wrong = with(&guest, json!({"password": "no"}));
    let steps = check(Side::Reader, &wrong, json!({"table": "open"}));
    assert_eq!(
        last(steps),
        ("authenticate".to_owned(), Some("postgresql.authentication_failed".to_owned()))
    );
}

#[test]
fn schemas_and_tables_are_found() {
    let db = server().database("found");
    db.sql("CREATE SCHEMA shop; CREATE TABLE shop.a (id bigint PRIMARY KEY, note text); CREATE VIEW shop.b AS SELECT 1 AS x");
    let look = configuration(Side::Reader, &db.connection(), &json!({}));
    let names = |path: &[&str], after| {
        let path: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
        let entries = Postgresql::browse(&look, &path, after, 10).unwrap();
        entries
            .into_iter()
            .map(|entry| (entry.path.join("."), entry.is_dataset))
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&[], None), [("public".to_owned(), false), ("shop".to_owned(), false)]);
    assert_eq!(names(&["shop"], None), [("shop.a".to_owned(), true), ("shop.b".to_owned(), true)]);
    assert_eq!(names(&["shop"], Some("a")), [("shop.b".to_owned(), true)]);
    let path = vec!["shop".to_owned(), "a".to_owned()];
    let datasets = Postgresql::discover(&look, &[path]).unwrap();
    assert_eq!(datasets[0].primary_key, ["id"]);
    assert_eq!(datasets[0].schema.fields().len(), 2);
}

#[test]
fn the_place_is_known_without_a_server() {
    let place = |connection: Value| -> Result<(String, u16)> {
        let configuration = configuration(Side::Reader, &connection, &json!({}));
        match Postgresql::requirements(&configuration)?.remove(0) {
            Requirement::Tcp(place) => Ok((place.host, place.first_port)),
            _ => panic!("a server is reached by TCP"),
        }
    };
    let whole = json!({"host": "db", "database": "d", "username": "u"});
    assert_eq!(place(whole.clone()).unwrap(), ("db".to_owned(), 5432));
    assert_eq!(place(with(&whole, json!({"port": 6000}))).unwrap().1, 6000);
    assert_eq!(code(place(json!({}))), "connection.invalid");
    assert_eq!(code(place(with(&whole, json!({"port": 70000})))), "connection.invalid");
}

fn openssl(folder: &Path, arguments: &str) {
    let output =
        Command::new("openssl").current_dir(folder).args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An authority `ca`, another `other`, and a server's certificate for localhost.
fn certificates(folder: &Path) {
    for name in ["ca", "other"] {
        openssl(
            folder,
            &format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN={name} -keyout {name}.key -out {name}.pem"
            ),
        );
    }
    openssl(
        folder,
        "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost -keyout server.key -out server.csr",
    );
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    openssl(
        folder,
        "x509 -req -days 30 -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -out server.crt",
    );
    let folder = folder.display();
    let owner = format!(
        "chown --reference={folder} {folder}/server.key {folder}/server.crt && chmod 600 {folder}/server.key"
    );
    assert!(Command::new("sh").args(["-c", &owner]).status().unwrap().success());
}

#[test]
fn tls_trusts_what_the_data_source_says() {
    let secure = Server::start("-c ssl=on", certificates);
    let db = secure.database("secured");
    let pem = |name: &str| std::fs::read_to_string(secure.folder.join("data").join(name)).unwrap();
    let (ca, other, own) = (pem("ca.pem"), pem("other.pem"), pem("server.crt"));
    let named = with(&db.connection(), json!({"host": "localhost"}));
    let numbered = db.connection();
    let cases = [
        (&named, json!({"mode": "disable"}), None),
        (&named, json!({"mode": "prefer"}), None),
        (&named, json!({"mode": "require"}), None),
        (&named, json!({"mode": "verify-ca", "ca": ca}), None),
        (&named, json!({"mode": "verify-full", "ca": ca}), None),
        (&named, json!({"ca": ca}), None),
        (&named, json!({"mode": "verify-full", "ca": own}), None),
        (&named, json!({"mode": "verify-full", "ca": format!("{other}{ca}")}), None),
        (&numbered, json!({"mode": "verify-ca", "ca": ca}), None),
        (&numbered, json!({"mode": "verify-full", "ca": ca}), Some("postgresql.tls_certificate")),
        (&numbered, json!({"mode": "verify-full", "ca": own}), Some("postgresql.tls_certificate")),
        (&named, json!({"mode": "verify-full", "ca": other}), Some("postgresql.tls_certificate")),
        (&named, json!({"mode": "verify-ca", "ca": other}), Some("postgresql.tls_certificate")),
        (&named, json!({"mode": "require", "ca": other}), Some("postgresql.tls_certificate")),
        (&named, json!({"mode": "verify-full"}), Some("connection.invalid")),
        (&named, json!({"mode": "verify-full", "ca": "no pem"}), Some("connection.invalid")),
        (&named, json!({"mode": "maybe"}), Some("connection.invalid")),
    ];
    for (connection, ssl, expected) in cases {
        let found = connect(&with(connection, json!({"ssl": ssl}))).err().map(|fault| fault.code);
        assert_eq!(found.as_deref(), expected, "{ssl}");
    }
    let wrong = fault(connect(&with(&numbered, json!({"ssl": {"mode": "verify-full", "ca": ca}}))));
    assert!(wrong.message.contains("is not made out for \"127.0.0.1\""), "{}", wrong.message);
    let wrong = fault(connect(&with(&named, json!({"ssl": {"ca": other}}))));
    assert!(wrong.message.contains("does not come from the authority"), "{}", wrong.message);
    // Rows travel through it, both ways.
    let mut connection = named.clone();
    connection["ssl"] = json!({"ca": ca});
    let parameter =
        json!({"querySql": "SELECT i, repeat('x', 1000) FROM generate_series(1, 5000) i"});
    let mut reader =
        PostgresReader::connect(&configuration(Side::Reader, &connection, &parameter)).unwrap();
    let plan = reader.plan(1, &[]).unwrap();
    let split = reader.splits(&plan.start, 1).unwrap().splits.remove(0);
    let (batches, _) = crate::support::read_split(&mut reader, split, &plan.datasets).unwrap();
    assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 5000);

    // The server that the tests share has none.
    let plain = server().database("plain").connection();
    for mode in ["disable", "prefer"] {
        assert!(connect(&with(&plain, json!({"ssl": {"mode": mode}}))).is_ok(), "{mode}");
    }
    for ssl in
        [json!({"mode": "require"}), json!({"mode": "verify-ca", "ca": ca}), json!({"ca": ca})]
    {
        let refused = code(connect(&with(&plain, json!({"ssl": ssl}))));
        assert_eq!(refused, "postgresql.tls_not_offered");
    }
}

#[test]
fn a_password_goes_in_clear_text_only_to_a_server_that_is_known() {
    let server = Server::start("-c ssl=on", |data| {
        certificates(data);
        std::fs::write(data.join("pg_hba.conf"), "host all all 127.0.0.1/32 password\n").unwrap();
    });
    let db = server.database("clear");
    let ca = std::fs::read_to_string(server.folder.join("data/ca.pem")).unwrap();
    for mode in ["disable", "prefer", "require"] {
        let wrong = fault(connect(&with(&db.connection(), json!({"ssl": {"mode": mode}}))));
        assert_eq!(wrong.code, "postgresql.authentication_failed", "{mode}");
        assert!(wrong.message.contains("identity is not checked"), "{}", wrong.message);
    }
    for ssl in [json!({"mode": "verify-ca", "ca": ca}), json!({"ca": ca})] {
        assert!(connect(&with(&db.connection(), json!({"host": "localhost", "ssl": ssl}))).is_ok());
    }
}

#[test]
fn schemas_of_parameters_are_json_schemas() {
    let description = Postgresql::describe();
    let kind = &description.types[0];
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let connection = read(&kind.connection_schema);
    assert_eq!(connection["properties"]["password"]["writeOnly"], true);
    let keys = |schema: &str| -> Vec<String> {
        read(schema)["properties"].as_object().unwrap().keys().cloned().collect()
    };
    let reader = keys(&kind.reader.as_ref().unwrap().parameter_schema);
    for key in
        ["table", "column", "where", "querySql", "splitPk", "splitFactor", "fetchSize", "session"]
    {
        assert!(reader.iter().any(|known| known == key), "{key}");
    }
    let writer = keys(&kind.writer.as_ref().unwrap().parameter_schema);
    for key in [
        "table",
        "column",
        "preSql",
        "postSql",
        "writeMode",
        "conflictMode",
        "uniqueIndexColumns",
        "updateColumn",
        "createTable",
        "batchSize",
        "pgType",
        "emptyAsNull",
        "session",
    ] {
        assert!(writer.iter().any(|known| known == key), "{key}");
    }
    for name in ["postgres", "pg", "postgresqlreader", "postgresqlwriter"] {
        assert!(kind.aliases.iter().any(|alias| alias == name), "{name}");
    }
}

#[test]
fn a_configuration_is_needed() {
    let nothing = Configuration {
        source_type: "postgresql".to_owned(),
        side: Side::Reader,
        connection: "{}".to_owned(),
        parameter: "{}".to_owned(),
    };
    assert_eq!(code(PostgresReader::connect(&nothing)), "connection.invalid");
}
