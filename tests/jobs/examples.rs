//! Documents as users of DataWorks and DataX bring them along, in the folder `examples`: run unchanged
//! but for addresses, and compared row by row.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tests::postgres::PASSWORD;
use tests::{Database, Env, MysqlDatabase, MysqlServer, PgServer, tree};

/// The examples that no test can run as they stand, and the plug-ins that they wait for. Where one of
/// them comes, its example gets a test here.
const WAITING: [(&str, &[&str]); 1] = [("dataworks_files_to_partition", &["odps", "oss"])];

fn text(name: &str) -> String {
    let file = tree::tests().join("examples").join(format!("{name}.json"));
    fs::read_to_string(file).unwrap()
}

/// An example with other addresses.
fn document(name: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text(name), |text, (from, to)| {
        assert!(text.contains(from), "{name} has no {from}");
        text.replace(from, to)
    })
}

/// The types that a document names.
fn types(document: &Value) -> BTreeSet<String> {
    let content = document["job"]["content"].as_array().into_iter().flatten();
    let datax = content.flat_map(|one| [&one["reader"]["name"], &one["writer"]["name"]]);
    let steps = document["steps"].as_array().into_iter().flatten().map(|step| &step["stepType"]);
    datax.chain(steps).map(|name| name.as_str().unwrap().to_owned()).collect()
}

#[test]
fn examples_that_wait_for_a_plugin_are_listed() {
    let listed = Env::new().airlock(&["plugin", "list", "-o", "json"]).run().expect(0).json();
    let plugins = listed["plugins"].as_array().unwrap();
    let kinds = plugins.iter().flat_map(|plugin| plugin["types"].as_array().unwrap());
    let names = kinds.flat_map(|kind| {
        let aliases = kind["aliases"].as_array().unwrap();
        aliases.iter().chain([&kind["name"]]).map(|name| name.as_str().unwrap().to_owned())
    });
    let known: BTreeSet<String> = names.collect();
    let mut waiting = BTreeMap::new();
    for entry in fs::read_dir(tree::tests().join("examples")).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let wanted = types(&serde_json::from_str(&text(&name)).unwrap());
        let missing: Vec<_> = wanted.difference(&known).cloned().collect();
        if !missing.is_empty() {
            waiting.insert(name, missing);
        }
    }
    let expected = WAITING.map(|(name, types)| {
        (name.to_owned(), types.iter().map(|kind| (*kind).to_owned()).collect::<Vec<_>>())
    });
    assert_eq!(waiting, BTreeMap::from(expected), "an example can be run: give it a test");
}

#[test]
fn datax_stream() {
    let env = Env::new();
    env.write("job.json", text("datax_stream"));
    let output = env.airlock(&["run", "job.json"]).run().expect(0);
    let rows: Vec<Vec<_>> = output
        .stdout
        .lines()
        .filter(|line| line.contains('\t'))
        .map(|line| line.split('\t').collect())
        .collect();
    // So many for each task, and a task for each channel.
    assert_eq!(rows.len(), 200, "{output}");
    for row in rows {
        // Bytes are printed as hexadecimal digits.
        assert_eq!(row[..4], ["airlock", "true", "726177", "2024-01-01 00:00:00"], "{output}");
        assert!((1..=100).contains(&row[4].parse::<u64>().unwrap()), "{output}");
    }
}

/// What `gzip` with `arguments` makes of a file.
fn gzip(arguments: &[&str], file: &std::path::Path) -> Vec<u8> {
    let output = Command::new("gzip")
        .args(arguments)
        .stdin(fs::File::open(file).unwrap())
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    assert!(output.status.success());
    output.stdout
}

#[test]
fn datax_files() {
    let env = Env::new();
    let files = [
        "id,name,ts\n1,\"Ada, or so\",2025-10-01 08:00:00\n2,\\N,2025-10-02 23:59:59\n",
        "id,name,ts\n3,Grace,\\N\n",
    ];
    for (index, rows) in files.iter().enumerate() {
        let plain = env.write("plain", rows);
        env.write(&format!("in/{index}.csv"), gzip(&["-c"], &plain));
    }
    let changes = [("/data/in/*.csv", "in/*.csv"), ("/data/out", "out")];
    env.write("job.json", document("datax_files", &changes));
    env.airlock(&["run", "job.json"]).run().expect(0);
    let mut lines = Vec::new();
    for file in env.published("out") {
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("orders") && name.contains(".csv"), "{name}");
        let text = String::from_utf8(gzip(&["-dc"], &file)).unwrap();
        let (header, rows) = text.split_once('\n').unwrap();
        assert_eq!(header, "id\tname\tts\tbatch");
        lines.extend(rows.lines().map(str::to_owned));
    }
    lines.sort();
    let wanted = [
        "1\tAda, or so\t2025-10-01\tbatch-7",
        "2\t\\N\t2025-10-02\tbatch-7",
        "3\tGrace\t\\N\tbatch-7",
    ];
    assert_eq!(lines, wanted);
}

/// Data sources by name, each a database.
fn sources(env: &mut Env, shops: &[(&str, &MysqlDatabase)], warehouse: (&str, &Database)) {
    let source = |kind: &str, properties: Value| json!({"type": kind, "properties": properties});
    let mut sources = serde_json::Map::new();
    for (name, database) in shops {
        database.admit(env);
        sources.insert((*name).to_owned(), source("mysql", database.properties()));
    }
    env.set("PGPASSWORD", PASSWORD);
    let (name, database) = warehouse;
    sources.insert(name.to_owned(), source("postgresql", database.properties()));
    env.write_json("datasources.json", &Value::Object(sources));
}

#[test]
fn datax_relational() {
    let (shop, database) = (MysqlServer::shared().database(), PgServer::shared().database());
    for n in 0..32 {
        shop.sql(&format!(
            "create table orders_{n:02} (id int primary key, name varchar(20), created_at datetime,
               city varchar(20), zip varchar(5));
             insert into orders_{n:02} select {n} * 100 + seq,
               case seq % 7 when 0 then 'test' when 1 then null else concat('name ', seq) end,
               timestamp('2025-10-28') + interval seq hour, concat('city ', seq), lpad(seq, 5, '0')
               from seq_0_to_99"
        ));
    }
    // The users that the document names.
    shop.sql(&format!(
        "create user etl identified by 'change-me'; grant select on {}.* to etl",
        shop.name
    ));
    database.setup(
        "create table ods_orders (id int, name text, created_at timestamp, place text, load_day date,
           note text, biz int);
         insert into ods_orders values (-1, 'old', null, null, '2025-01-01', null, null)",
    );
    database.sql(
        "create role etl login password 'change-me'; alter table ods_orders owner to etl;
         grant create, usage on schema public to etl",
    );
    let from = format!("mysql://127.0.0.1:{}/{}", shop.port(), shop.name);
    let to = format!("postgresql://127.0.0.1:{}/{}", PgServer::shared().port(), database.name);
    let changes = [
        ("mysql://a.example:3306/shop", from.as_str()),
        ("mysql://b.example:3306/shop", &from),
        ("postgresql://c.example:5432/dw", &to),
    ];
    let env = Env::new();
    env.write("job.json", document("datax_relational", &changes));
    env.airlock(&["run", "job.json", "--bizdate", "20251031"]).run().expect(0);
    let all = "select n * 100 + i id,
        case i % 7 when 0 then 'test' when 1 then null else 'name ' || i end as name,
        timestamp '2025-10-28' + i * interval '1 hour' created_at, concat('city ', i, '-', lpad(i::text, 5, '0')) place
        from generate_series(0, 31) n, generate_series(0, 99) i";
    let wanted = format!(
        "select id, name, created_at, overlay(place placing '****' from 4 for 4) place,
           date '2025-01-01' load_day, null::text note, 20251031 biz from ({all}) o
         where created_at >= '20251031' and name is distinct from 'test'"
    );
    same(&database, &wanted, "ods_orders");
}

/// Compares a query with a table, row by row.
fn same(database: &Database, wanted: &str, table: &str) {
    for (left, right) in [(wanted, table), (table, wanted)].map(|(left, right)| {
        let rows =
            |of: &str| if of == table { format!("select * from {table}") } else { of.to_owned() };
        (rows(left), rows(right))
    }) {
        let differ = database.sql(&format!("({left}) except all ({right}) limit 10"));
        assert!(differ.is_empty(), "rows of ({left}) alone:\n{differ}");
    }
    assert!(database.count(&format!("select count(*) from {table}")) > 0);
}

#[test]
fn dataworks_tables() {
    let (shop, dw) = (MysqlServer::shared().database(), PgServer::shared().database());
    shop.sql("create table orders (id int primary key) select seq id from seq_1_to_5000");
    dw.setup("create table ods_orders (id int)");
    let mut env = Env::new();
    sources(&mut env, &[("shop", &shop)], ("dw", &dw));
    env.write("job.json", document("dataworks_tables", &[]));
    env.airlock(&["run", "job.json"]).run().expect(0);
    same(&dw, "select generate_series(1, 5000)", "ods_orders");
}

#[test]
fn dataworks_incremental() {
    let (shop, dwh) = (MysqlServer::shared().database(), PgServer::shared().database());
    shop.sql(
        "create table orders (id int primary key, customer_id int, amount decimal(12,2), status varchar(10),
           updated_at datetime);
         insert into orders select seq, seq % 7, seq * 1.25, 'paid',
           timestamp('2025-10-30 12:00') + interval seq minute from seq_1_to_3000",
    );
    dwh.setup(
        "create table ods_orders (id int, customer_id int, amount numeric(12,2), status text,
           updated_at timestamp, ds text)",
    );
    let mut env = Env::new();
    sources(&mut env, &[("shop_mysql", &shop)], ("dwh_pg", &dwh));
    env.write("job.json", document("dataworks_incremental", &[]));
    // The business date's rows are replaced, however often it runs.
    for _ in 0..2 {
        let run = ["run", "job.json", "-p", "bizdate=$bizdate", "-p", "gmtdate=$gmtdate"];
        env.airlock(&[&run[..], &["--bizdate", "20251031"]].concat()).run().expect(0);
        let wanted = "select *, '20251031' from (select n id, n % 7, (n * 1.25)::numeric(12,2), 'paid',
            timestamp '2025-10-30 12:00' + n * interval '1 minute' updated_at from generate_series(1, 3000) n) o
            where updated_at >= '2025-10-31' and updated_at < '2025-11-01'";
        same(&dwh, wanted, "ods_orders");
    }
}

#[test]
fn dataworks_shards() {
    let server = MysqlServer::shared();
    let (first, second) = (server.database(), server.database());
    let dwh = PgServer::shared().database();
    for n in 0..16 {
        let database = if n < 8 { &first } else { &second };
        database.sql(&format!(
            "create table order_{n} (order_id int primary key, buyer_id int, amount decimal(10,2), gmt_modified datetime);
             insert into order_{n} select {n} * 1000 + seq, seq, seq * 0.5,
               timestamp('2025-10-31 09:00') + interval seq minute from seq_1_to_200"
        ));
    }
    dwh.setup(
        "create table orders_all (order_id int, buyer_id int, amount numeric(10,2), gmt_modified timestamp)",
    );
    let mut env = Env::new();
    sources(&mut env, &[("order_db_0", &first), ("order_db_1", &second)], ("dwh_pg", &dwh));
    env.write("job.json", document("dataworks_shards", &[]));
    let run = ["run", "job.json", "-p", "start=$[yyyymmddhh24miss-1/24]"];
    let more = ["-p", "end=$[yyyymmddhh24miss]", "--cyctime", "20251031110000"];
    env.airlock(&[&run[..], &more].concat()).run().expect(0);
    let wanted = "select n * 1000 + i, i, (i * 0.5)::numeric(10,2),
        timestamp '2025-10-31 09:00' + i * interval '1 minute'
        from generate_series(0, 15) n, generate_series(60, 119) i";
    same(&dwh, wanted, "orders_all");
}
