//! What `check` and `discover` say of each system: where all is well, and of each thing that may be wrong.

use std::fmt::Write;

use serde_json::{Value, json};
use tests::{Document, Env, MysqlServer, PgServer, SmallDisk, document, referee};

/// Output of commands, one below the other.
struct Looks<'a> {
    env: &'a Env,
    text: String,
}

impl<'a> Looks<'a> {
    fn new(env: &'a Env) -> Self {
        Self { env, text: String::new() }
    }

    fn look(&mut self, arguments: &[&str]) {
        let shown = self.env.airlock(arguments).run().normal();
        writeln!(self.text, "$ airlock {}\n{shown}", arguments.join(" ")).unwrap();
    }

    /// A data source that differs from a good one by one property.
    fn check_with(&mut self, name: &str, good: &Value, (key, value): (&str, Value)) {
        let mut source = good.clone();
        source["properties"][key] = value;
        self.env.admit(name, source);
        self.look(&["check", name]);
    }

    /// A job that reads or writes a table.
    fn check_job(&mut self, name: &str, reader: (&str, Value), writer: (&str, Value)) {
        let name = format!("{name}.json");
        self.env.write_json(&name, Document::new(reader, writer).json());
        self.look(&["check", &name]);
    }
}

fn print() -> (&'static str, Value) {
    ("stream", json!({}))
}

/// What may be wrong with a server, whatever it is.
fn server(looks: &mut Looks<'_>, kind: &str, good: &Value, source: &str) {
    looks.look(&["check", source]);
    looks.check_with("password", good, ("password", json!("wrong")));
    looks.check_with("database", good, ("database", json!("nope")));
    looks.check_with("port", good, ("port", json!(1)));
    looks.check_with("tls", good, ("ssl", json!({"mode": "require"})));
    let table = |name: &str| (kind, json!({"datasource": source, "table": name}));
    looks.check_job("absent", table("nope"), print());
    looks.check_job("right", document::csv("rows.csv"), table("secret"));
    // Names that do not resolve are told in words of the machine.
    let mut unknown = good.clone();
    unknown["properties"]["host"] = "nohost.invalid".into();
    looks.env.admit("unknown", unknown);
    let output = looks.env.airlock(&["check", "unknown", "-o", "json"]).run().expect(3);
    assert!(output.stdout.contains("\"net.name_not_found\""), "{output}");
}

#[test]
fn postgresql() {
    let mut env = Env::new();
    let database = PgServer::shared().database();
    database.admit(&mut env);
    database.sql(
        "create table orders (id bigint primary key, amount numeric(10,2), at timestamptz, span interval);
         create table secret (id bigint); grant all on orders to mover; grant select on secret to mover;
         create table _airlock_commit (id int)",
    );
    env.write("rows.csv", "id\n1\n");
    let good = json!({"type": "postgresql", "properties": database.properties()});
    let mut looks = Looks::new(&env);
    server(&mut looks, "postgresql", &good, "pg");
    for path in [&["public"][..], &["public", "orders"], &["public", "nope"], &["nope"]] {
        looks.look(&[&["discover", "pg"], path].concat());
    }
    insta::assert_snapshot!(looks.text);
}

#[test]
fn mysql() {
    let mut env = Env::new();
    let database = MysqlServer::shared().database();
    database.admit(&mut env);
    database.sql(
        "create table orders (id bigint primary key, amount decimal(10,2), at timestamp(3) null,
           kind enum('A','b'), doc json, name varchar(20) not null);
         create table _airlock_commit (id int); create table secret (id bigint)",
    );
    database.grant("select");
    env.write("rows.csv", "id\n1\n");
    let good = json!({"type": "mysql", "properties": database.properties()});
    let mut looks = Looks::new(&env);
    server(&mut looks, "mysql", &good, "my");
    let name = database.name.as_str();
    for path in [&[name][..], &[name, "orders"], &[name, "nope"], &["nope"]] {
        looks.look(&[&["discover", "my"], path].concat());
    }
    insta::assert_snapshot!(looks.text.replace(name, "[DATABASE]"));
}

#[test]
fn sqlite() {
    let env = Env::new();
    env.write("rows.csv", "id\n1\n");
    referee::sqlite(
        &env.path("shop.db"),
        "create table orders (id integer primary key, amount decimal(10,2), name varchar(20) not null, loose);
         create view names as select name from orders;",
    );
    let good = json!({"type": "sqlite", "properties": {"path": "shop.db"}});
    env.admit("shop", good.clone());
    let mut looks = Looks::new(&env);
    looks.look(&["check", "shop"]);
    looks.check_with("absent", &good, ("path", json!("none.db")));
    looks.check_with("folder", &good, ("path", json!(".")));
    looks.check_with("text", &good, ("path", json!("rows.csv")));
    let table = |name: &str| ("sqlite", json!({"datasource": "shop", "table": name}));
    looks.check_job("absent", table("nope"), print());
    looks.check_job("view", document::csv("rows.csv"), table("names"));
    for path in [&[][..], &["main"], &["main", "orders"], &["main", "nope"], &["nope"]] {
        looks.look(&[&["discover", "shop"], path].concat());
    }
    looks.look(&["discover", "text"]);
    insta::assert_snapshot!(looks.text);
}

#[test]
fn files() {
    let env = Env::new();
    env.write("rows.csv", "id,name\n1,one\n");
    env.write("in/more.csv", "id,name\n2,two\n");
    let mut looks = Looks::new(&env);
    let read = |path: &str, format: &str| {
        ("file", json!({"path": [path], "fileFormat": format, "header": true}))
    };
    looks.check_job("good", read("rows.csv", "csv"), document::out("parquet"));
    looks.check_job("absent", read("none.csv", "csv"), print());
    looks.check_job("nothing", read("in/*.txt", "csv"), print());
    looks.check_job("format", read("rows.csv", "parquet"), print());
    looks.look(&["discover", "good.json"]);
    looks.look(&["discover", "good.json", "rows.csv"]);
    looks.look(&["discover", "good.json", "none.csv"]);
    insta::assert_snapshot!(looks.text);
}

#[test]
fn a_folder_that_takes_no_files_is_told() {
    let env = Env::new();
    env.write("rows.csv", "id\n1\n");
    let Some(disk) = SmallDisk::mount(env.path("small"), 1, None) else { return };
    disk.freeze();
    for path in ["small", "small/new/deep"] {
        let writer = ("file", json!({"path": path, "fileName": "x", "fileFormat": "csv"}));
        env.write_json("job.json", Document::new(document::csv("rows.csv"), writer).json());
        for command in ["check", "run"] {
            let output = env.airlock(&[command, "job.json", "-o", "json"]).run().expect(3);
            assert!(output.stdout.contains("\"reach.denied\""), "{command} {path}: {output}");
        }
    }
}
