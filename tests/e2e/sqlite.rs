//! Files of SQLite: what is wrong with one has a code of its own, and a file that somebody writes is not
//! read as a mixture.

use std::fs;

use serde_json::{Value, json};
use tests::referee::Holder;
use tests::{Document, Env, SmallDisk, Stopped, document, referee, tree};

const ROWS: &str = "create table people (id integer primary key, name varchar(20) not null unique);
    insert into people with recursive n (i) as (select 1 union all select i + 1 from n where i < 20000)
    select i, 'row ' || i from n;";

/// A file `shop.db` with a table of 20,000 people.
fn shop(setup: &str) -> Env {
    let env = Env::new();
    referee::sqlite(&env.path("shop.db"), setup);
    named(&env, json!({"path": "shop.db"}));
    env
}

fn named(env: &Env, properties: Value) {
    let sources = json!({"shop": {"type": "sqlite", "properties": properties}});
    env.write_json("datasources.json", &sources);
}

fn reader(table: &str, column: &str) -> Document {
    let reader = json!({"datasource": "shop", "table": table, "column": [column]});
    Document::new(("sqlite", reader), document::out("csv"))
}

fn writer(parameter: Value) -> Document {
    let mut writer = json!({"datasource": "shop", "table": "people"});
    for (key, value) in parameter.as_object().unwrap() {
        writer[key] = value.clone();
    }
    Document::new(document::csv("rows.csv"), ("sqlite", writer))
}

fn code(env: &Env, document: Document, exit: i32) -> String {
    env.write_json("job.json", document.json());
    env.airlock(&["run", "job.json", "-o", "json"]).run().expect(exit).error_code()
}

#[test]
fn what_is_wrong_has_a_code_of_its_own() {
    let env = shop(ROWS);
    env.write("rows.csv", "id,name\n30000,new\n");
    assert_eq!(code(&env, reader("peopel", "id"), 3), "sqlite.table_not_found");
    assert_eq!(code(&env, reader("people", "nmae"), 3), "sqlite.column_not_found");
    assert_eq!(code(&env, reader("people", "id +"), 2), "sqlite.syntax_error");
    assert_eq!(code(&env, reader("people", "f(id)"), 2), "sqlite.function_unknown");
    assert_eq!(code(&env, reader("old.people", "id"), 2), "sqlite.schema_not_found");
    assert_eq!(code(&env, writer(json!({"column": ["id"]})), 2), "sqlite.column_count");
    assert_eq!(
        code(&env, writer(json!({"preSql": "drop table none"})), 3),
        "sqlite.table_not_found"
    );
    let query = json!({"datasource": "shop", "querySql": "delete from people"});
    let query = Document::new(("sqlite", query), document::out("csv"));
    assert_eq!(code(&env, query, 2), "parameter.invalid");
    assert_eq!(referee::sqlite(&env.path("shop.db"), "select count(*) from people;"), "20000\n");
}

#[test]
fn what_is_no_database_is_told() {
    let env = shop(ROWS);
    let whole = fs::read(env.path("shop.db")).unwrap();
    let mut corrupt = whole.clone();
    corrupt[4096..20_000].fill(0x5a);
    let cases: [(&[u8], &str); 4] = [
        (b"id,name\n1,one and some more text\n", "sqlite.not_a_database"),
        (b"** This file contains an SQLite 2.1 database **", "sqlite.version_unsupported"),
        (&corrupt, "sqlite.corrupt"),
        (&whole[..whole.len() / 2], "sqlite.corrupt"),
    ];
    for (bytes, expected) in cases {
        env.write("shop.db", bytes);
        assert_eq!(code(&env, reader("people", "*"), 3), expected);
    }
    fs::remove_file(env.path("shop.db")).unwrap();
    assert_eq!(code(&env, reader("people", "*"), 3), "reach.not_found");
    // A writer makes it, but not its folder.
    env.write("rows.csv", "id,name\n1,one\n");
    assert_eq!(code(&env, writer(json!({})), 3), "sqlite.table_not_found");
    assert!(!env.path("shop.db").exists());
    let create = || writer(json!({"createTable": true})).json().clone();
    env.write_json("job.json", &create());
    env.airlock(&["run", "job.json"]).run().expect(0);
    assert_eq!(referee::sqlite(&env.path("shop.db"), "select * from people;"), "1\tone\n");
    named(&env, json!({"path": "none/shop.db"}));
    assert_eq!(code(&env, writer(json!({"createTable": true})), 3), "reach.not_found");
}

#[test]
fn a_file_that_others_use_is_left_alone() {
    let env = shop(ROWS);
    env.write("rows.csv", "id,name\n30000,new\n");
    // A journal says that a transaction is open, or was broken off.
    let journal = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7, 0, 0, 0, 0];
    env.write("shop.db-journal", journal);
    assert_eq!(code(&env, reader("people", "id"), 3), "sqlite.half_written");
    fs::remove_file(env.path("shop.db-journal")).unwrap();
    // So does an index of a write-ahead log in the middle of a program's work.
    referee::sqlite(
        &env.path("shop.db"),
        "pragma journal_mode = wal; delete from people where id = 1;",
    );
    assert!(env.path("shop.db-shm").exists());
    assert_eq!(code(&env, writer(json!({})), 3), "sqlite.in_use");
    fs::remove_file(env.path("shop.db-shm")).unwrap();
    env.write_json("job.json", writer(json!({})).json());
    env.airlock(&["run", "job.json", "--verify"]).run().expect(0);
    let check =
        "select count(*), max(id) from people; pragma journal_mode; pragma integrity_check;";
    assert_eq!(referee::sqlite(&env.path("shop.db"), check), "20000\t30000\nwal\nok\n");
}

#[test]
fn a_file_that_another_program_has_locked_is_left_alone() {
    let env = shop(ROWS);
    env.write("rows.csv", "id,name\n30000,new\n");
    let count = "select count(*) from people;";
    for lock in ["begin immediate; insert into people values (40000, 'theirs')", "begin exclusive"]
    {
        let held = Holder::new(&env.path("shop.db"), lock);
        assert_eq!(code(&env, writer(json!({})), 3), "reach.locked", "{lock}");
        // Nothing is in the file yet that is not committed.
        env.write_json("job.json", reader("people", "id").json());
        let output = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(0);
        assert_eq!(output.json()["records_read"], 20_000, "{output}");
        drop(held);
        assert_eq!(referee::sqlite(&env.path("shop.db"), count), "20000\n");
    }
    env.write_json("job.json", writer(json!({})).json());
    env.airlock(&["run", "job.json"]).run().expect(0);
    assert_eq!(referee::sqlite(&env.path("shop.db"), count), "20001\n");
}

#[test]
fn a_file_that_takes_no_writes_is_read_alone() {
    let env = Env::new();
    let Some(disk) = SmallDisk::mount(env.path("small"), 4, None) else { return };
    env.write("rows.csv", "id,name\n30000,new\n");
    named(&env, json!({"path": "small/shop.db"}));
    referee::sqlite(&env.path("small/shop.db"), ROWS);
    disk.freeze();
    assert_eq!(code(&env, writer(json!({})), 3), "sqlite.read_only");
    env.write_json("job.json", reader("people", "*").json());
    env.airlock(&["run", "job.json"]).run().expect(0);
    named(&env, json!({"path": "small/new.db"}));
    assert_eq!(code(&env, writer(json!({"createTable": true})), 3), "sqlite.cannot_open");
}

/// Views, columns that are computed, tables without a rowid and those that hold to their types.
const ODD: &str = "create table strict_people (id int not null check (id < 9), name text not null) strict;
    create table keyed (name text primary key, id int) without rowid;
    create table computed (id integer primary key, name text, upper text as (upper(name)), twice int as (id * 2) stored);
    create view names as select id, name from computed;
    create view taking as select id, name from computed;
    create trigger take instead of insert on taking begin insert into computed (id, name) values (new.id, new.name); end;";

#[test]
fn odd_tables_are_written_or_say_why_not() {
    let env = shop(ODD);
    env.write("rows.csv", "id,name\n1,one\nx,two\n3,\n4,four\n9,nine\n");
    let run = |parameter: Value| {
        env.write_json("job.json", writer(parameter).tolerating(9).json());
        env.airlock(&["run", "job.json", "-o", "json"]).run().expect(0).json()
    };
    let dirty = |summary: &Value| -> Vec<_> {
        let reasons = summary["dirty"].as_array().unwrap().iter();
        reasons.map(|reason| reason["code"].as_str().unwrap().to_owned()).collect()
    };
    let sql = |text: &str| referee::sqlite(&env.path("shop.db"), text);
    let strict = run(json!({"table": "strict_people"}));
    let mut codes = dirty(&strict);
    codes.sort();
    assert_eq!(codes, ["cast.no_value", "cast.null", "sqlite.check_violation"], "{strict}");
    assert_eq!(sql("select * from strict_people order by id;"), "1\tone\n4\tfour\n");
    let keyed = run(json!({"table": "keyed", "column": ["id", "name"]}));
    assert_eq!(keyed["records_written"], 3, "{keyed}");
    let again = run(json!({"table": "keyed", "column": ["id", "name"]}));
    assert!(dirty(&again).contains(&"sqlite.unique_violation".into()), "{again}");
    let upsert = json!({"table": "keyed", "column": ["id", "name"], "writeMode": "upsert"});
    assert_eq!(run(upsert)["records_written"], 3);
    assert_eq!(code(&env, writer(json!({"table": "names"})), 2), "sqlite.view_not_writable");
    let computed = json!({"table": "computed", "column": ["id", "upper"]});
    assert_eq!(code(&env, writer(computed), 2), "sqlite.column_generated");
    assert_eq!(run(json!({"table": "taking"}))["records_written"], 4);
    assert_eq!(sql("select id, upper, twice from computed where id = 9;"), "9\tNINE\t18\n");
    for (table, rows) in [("names", 4), ("computed", 4), ("keyed", 3), ("strict_people", 2)] {
        env.write_json("job.json", reader(table, "*").json());
        let output = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(0);
        assert_eq!(output.json()["records_read"], rows, "{table}: {output}");
    }
}

#[test]
fn a_file_that_is_written_while_it_is_read_ends_the_run() {
    let env = shop(ROWS);
    env.write_json("job.json", reader("people", "*").json());
    let program = env.program(&tree::stops(), &["run", "job.json", "-o", "json"]);
    let stopped = Stopped::at(program, "reader.next:1:after", env.root()).unwrap();
    referee::sqlite(&env.path("shop.db"), "update people set name = 'changed ' || id;");
    let output = stopped.go().wait().expect(3);
    assert_eq!(output.error_code(), "sqlite.file_changed");
}

#[test]
fn a_data_source_can_be_looked_at() {
    let env = shop(&format!("{ROWS} create view names as select name from people;"));
    let check = env.airlock(&["check", "shop", "-o", "json"]).run().expect(0);
    assert!(check.stdout.contains("\"file\""), "{check}");
    let shown = env.airlock(&["discover", "shop", "main", "people"]).run().expect(0);
    for word in ["id", "Int64", "name", "Utf8"] {
        assert!(shown.stdout.contains(word), "{word}: {shown}");
    }
    let listed = env.airlock(&["discover", "shop"]).run().expect(0);
    assert!(listed.stdout.contains("main"), "{listed}");
}
