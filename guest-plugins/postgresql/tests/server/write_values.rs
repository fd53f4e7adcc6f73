//! Values that the writer takes, refuses, or leaves as they are, against a real server.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use sdk::{Batch, Dataset, Fault, Outcome, Sink, Writer};
use serde_json::{Value, json};

use crate::support::{Database, code, fault, run_of, server, task};

fn texts(column: &[&str]) -> RecordBatch {
    let column: ArrayRef = Arc::new(StringArray::from(column.to_vec()));
    RecordBatch::try_from_iter_with_nullable([("v", column, true)]).unwrap()
}

fn numbers(ids: &[i64]) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
    RecordBatch::try_from_iter_with_nullable([("id", column, true)]).unwrap()
}

fn of(batch: &RecordBatch) -> Dataset {
    Dataset {
        path: vec!["source".to_owned()],
        schema: batch.schema(),
        primary_key: Vec::new(),
        metadata: Vec::new(),
    }
}

/// Writes a batch as one task and answers row and code of what was refused, and the rows that the
/// server took and did not add.
fn load(
    db: &Database<'_>,
    parameter: Value,
    run: &str,
    batch: &RecordBatch,
) -> (Vec<(u32, String)>, u64) {
    let mut writer = db.writer(parameter).unwrap();
    writer.preview(vec![of(batch)]).unwrap();
    let prepared = writer.prepare(&run_of(run, 1), vec![of(batch)]).unwrap();
    let mut sink = writer.open(task(run, 0, 1), prepared.datasets).unwrap();
    let answer = sink.write(Batch::inserts(batch.clone())).unwrap();
    assert!(answer.undone.is_none(), "{answer:?}");
    sink.close(b"end".to_vec()).unwrap();
    let dropped = sink.dropped();
    drop(sink);
    writer.finish(&run_of(run, 1), Outcome::Succeeded, Vec::new()).unwrap();
    (answer.remarks.into_iter().map(|remark| (remark.row, remark.code)).collect(), dropped)
}

fn preview(db: &Database<'_>, parameter: Value, batch: &RecordBatch) -> Result<(), Fault> {
    db.writer(parameter)?.preview(vec![of(batch)]).map(|_| ())
}

#[test]
fn texts_that_the_server_would_round_or_cut_are_refused() {
    let db = server().database("rounds");
    let cases: &[(&str, &[&str], &[u32])] = &[
        ("interval(2)", &["1 day 00:00:01.25", "00:00:01.251", "1 year"], &[1]),
        ("interval", &["00:00:01.123456", "00:00:01.1234567"], &[1]),
        ("timetz(0)", &["10:00:00+02", "10:00:00.5+02"], &[1]),
        ("numeric(99,3)", &["1.250", "1.2345", "1e-4", "NaN"], &[1, 2]),
        ("numeric(5,-2)", &["12300", "12345"], &[1]),
        ("numeric(10,2)[]", &["{1.25,NULL}", "{{1.251}}", "[0:0]={2.5}"], &[1]),
        ("varchar(3)[]", &["{abc,\"d,e\"}", "{\"abc \"}"], &[1]),
        ("timestamp(0)[]", &["{2020-01-01 00:00:00}", "{2020-01-01 00:00:00.5}"], &[1]),
        ("\"char\"", &["x", "xy"], &[1]),
        ("money", &["$1,234.50", "1.125"], &[1]),
        ("tsrange", &["[2020-01-01,2020-01-02)", "[2020-01-01 00:00:00.1234567,)"], &[1]),
    ];
    for (index, (kind, values, refused)) in cases.iter().enumerate() {
        db.sql(&format!("CREATE TABLE t{index} (v {kind})"));
        let (remarks, _) =
            load(&db, json!({"table": format!("t{index}")}), &format!("r{index}"), &texts(values));
        let rows: Vec<u32> = remarks.iter().map(|(row, _)| *row).collect();
        assert_eq!(rows, *refused, "{kind}: {remarks:?}");
    }
    // A name is cut in text form only, which another column brings about.
    db.sql("CREATE TABLE names (v name, i interval)");
    let long = "x".repeat(64);
    let columns = |name: &'static str, values: [&str; 2]| {
        (name, Arc::new(StringArray::from(values.to_vec())) as ArrayRef, true)
    };
    let rows = [columns("v", [&long, &long[1..]]), columns("i", ["1 day", "1 day"])];
    let rows = RecordBatch::try_from_iter_with_nullable(rows).unwrap();
    let (remarks, _) = load(&db, json!({"table": "names"}), "names", &rows);
    assert_eq!(remarks, [(0, "postgresql.value_too_long".to_owned())]);
}

#[test]
fn nan_travels_in_decimals() {
    let db = server().database("nans");
    db.sql(
        "CREATE TABLE s (id bigint, a numeric(15,2), b numeric(50,1), c numeric(5,1)[]);
         INSERT INTO s VALUES (1, 'NaN', 'NaN', '{1.5}'), (2, 1.25, -2.5, NULL), (3, 0, 0, '{NaN}'); CREATE TABLE d (LIKE s);
         CREATE TABLE e (id bigint, a numeric, b numeric, c numeric(5,1)[], i interval)",
    );
    let all = db.copy(json!({"table": "s"}), json!({"table": "d"}), "r").unwrap();
    assert_eq!(all.undecodable.len(), 1);
    assert_eq!(all.undecodable[0].code, "postgresql.nan", "lists of decimals have no place for it");
    for index in [1, 2] {
        let field = all.datasets[0].schema.field(index);
        assert_eq!(field.metadata()["airlock:extremes"], "NaN");
    }
    let rows = "1|NaN|NaN|{1.5}\n2|1.25|-2.5|";
    assert_eq!(db.sql("SELECT * FROM d ORDER BY id"), rows);
    // In text form, which the interval brings about, and into numerics without precision.
    let query = "SELECT *, interval '1 day' AS i FROM s";
    db.copy(json!({"querySql": query}), json!({"table": "e"}), "s").unwrap();
    assert_eq!(db.sql("SELECT id, a, b, c FROM e ORDER BY id"), rows);
}

#[test]
fn uuids_come_in_as_text() {
    let db = server().database("uuids");
    db.sql("CREATE TABLE t (v uuid)");
    let good = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    let (remarks, _) = load(
        &db,
        json!({"table": "t"}),
        "r",
        &texts(&[good, "a0ee", "{A0EEBC999C0B4EF8BB6D6BB9BD380A11}"]),
    );
    assert_eq!(remarks, [(1, "postgresql.value_invalid".to_owned())]);
    assert_eq!(db.sql("SELECT * FROM t"), format!("{good}\n{good}"));
    let (remarks, _) = load(&db, json!({"table": "t", "emptyAsNull": true}), "s", &texts(&[""]));
    assert!(remarks.is_empty());
    assert_eq!(db.sql("SELECT count(*) FROM t WHERE v IS NULL"), "1");
}

#[test]
fn pre_sql_may_make_the_table() {
    let db = server().database("made");
    let pre = json!(["CREATE TABLE IF NOT EXISTS @table (id bigint PRIMARY KEY)"]);
    let parameter = json!({"table": "t", "writeMode": "upsert", "preSql": pre});
    for run in ["r1", "r2"] {
        assert_eq!(load(&db, parameter.clone(), run, &numbers(&[1, 2])), (vec![], 0));
    }
    assert_eq!(db.sql("SELECT count(*) FROM t"), "2");
    // What the statements don't make is missed when they have been run, and they leave nothing.
    let parameter = json!({"table": "absent", "preSql": "CREATE TABLE other (id bigint)"});
    assert!(preview(&db, parameter.clone(), &numbers(&[1])).is_ok());
    let mut writer = db.writer(parameter).unwrap();
    let failed = writer.prepare(&run_of("r3", 1), vec![of(&numbers(&[1]))]);
    assert_eq!(code(failed), "postgresql.table_not_found");
    assert_eq!(db.sql("SELECT to_regclass('other') IS NULL"), "t");
}

#[test]
fn an_upsert_needs_a_unique_index_that_fits() {
    let db = server().database("indexes");
    db.sql(
        "CREATE TABLE t (id bigint, k bigint, later bigint UNIQUE DEFERRABLE, part bigint, PRIMARY KEY (id) INCLUDE (k));
         CREATE UNIQUE INDEX ON t (part) WHERE part > 0; CREATE INDEX ON t (k); CREATE UNIQUE INDEX ON t ((k + 1))",
    );
    let columns = ["id", "k", "later", "part"].map(|name| Field::new(name, DataType::Int64, true));
    let rows = RecordBatch::new_empty(Arc::new(Schema::new(columns.to_vec())));
    let look = |keys: &[&str]| {
        let parameter = json!({"table": "t", "writeMode": "upsert", "uniqueIndexColumns": [keys]});
        preview(&db, parameter, &rows)
    };
    assert!(look(&["id"]).is_ok());
    for keys in [&["k"][..], &["later"], &["part"], &["id", "k"]] {
        let wrong = fault(look(keys));
        assert_eq!(wrong.code, "postgresql.no_key", "{keys:?}");
        assert_eq!(wrong.place.as_deref(), Some("/parameter/uniqueIndexColumns"));
    }
    db.sql("CREATE UNIQUE INDEX ON t (part, k)");
    assert!(look(&["k", "part"]).is_ok());
}

#[test]
fn all_kinds_of_tables_are_written() {
    let db = server().database("kinds");
    db.sql(
        "CREATE TABLE made (no bigint GENERATED ALWAYS AS IDENTITY, id bigint, twice bigint GENERATED ALWAYS AS (id * 2) STORED);
         CREATE TABLE parts (id bigint PRIMARY KEY) PARTITION BY RANGE (id);
         CREATE TABLE p0 PARTITION OF parts FOR VALUES FROM (0) TO (10); CREATE TABLE p1 PARTITION OF parts FOR VALUES FROM (10) TO (20);
         CREATE TABLE base (id bigint PRIMARY KEY); CREATE VIEW seen AS SELECT id FROM base",
    );
    let rows = numbers(&[1, 12]);
    load(&db, json!({"table": "made", "column": ["id"]}), "r", &rows);
    assert_eq!(db.sql("SELECT no, id, twice FROM made ORDER BY 1"), "1|1|2\n2|12|24");
    let generated = json!({"table": "made", "column": ["twice"]});
    assert_eq!(code(preview(&db, generated, &rows)), "postgresql.column_generated");
    load(&db, json!({"table": "parts"}), "s", &rows);
    load(&db, json!({"table": "parts", "writeMode": "upsert"}), "t", &rows);
    assert_eq!(db.sql("SELECT tableoid::regclass, id FROM parts ORDER BY 2"), "p0|1\np1|12");
    let upsert = json!({"table": "seen", "writeMode": "upsert", "uniqueIndexColumns": ["id"]});
    load(&db, upsert, "u", &rows);
    assert_eq!(db.sql("SELECT id FROM base ORDER BY 1"), "1\n12");
}

#[test]
fn rows_that_a_trigger_drops_are_counted() {
    let db = server().database("drops");
    db.sql(
        "CREATE TABLE t (id bigint);
         CREATE FUNCTION pick() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN CASE WHEN NEW.id > 1 THEN NEW END; END';
         CREATE TRIGGER pick BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION pick()",
    );
    assert_eq!(load(&db, json!({"table": "t"}), "r", &numbers(&[0, 1, 2])), (vec![], 2));
    assert_eq!(db.sql("SELECT id FROM t"), "2");
}

#[test]
fn nobody_works_on_a_run_that_has_ended() {
    let db = server().database("ended");
    db.sql("CREATE TABLE t (id bigint)");
    let rows = numbers(&[1]);
    for (run, outcome) in [("good", Outcome::Succeeded), ("bad", Outcome::Failed)] {
        let mut writer = db.writer(json!({"table": "t"})).unwrap();
        let prepared = writer.prepare(&run_of(run, 2), vec![of(&rows)]).unwrap();
        let mut late = db.writer(json!({"table": "t"})).unwrap();
        let mut sink = late.open(task(run, 0, 1), prepared.datasets.clone()).unwrap();
        sink.write(Batch::inserts(rows.clone())).unwrap();
        writer.finish(&run_of(run, 2), outcome, Vec::new()).unwrap();
        assert_eq!(code(sink.close(b"end".to_vec())), "postgresql.fenced", "{run}");
        drop(sink);
        let opened = late.open(task(run, 0, 1), prepared.datasets.clone()).map(|_| ());
        assert_eq!(code(opened), "postgresql.fenced", "{run}");
        let prepared = late.prepare(&run_of(run, 1), vec![of(&rows)]);
        assert_eq!(code(prepared), "postgresql.fenced", "{run}");
    }
    assert_eq!(db.sql("SELECT count(*) FROM t"), "0");
    // Runs that nobody has touched for long go with the next that ends.
    db.sql("INSERT INTO _airlock_commit VALUES ('old', 0, 1, NULL, now() - interval '181 days'), ('newer', 0, 1, NULL, now() - interval '179 days')");
    let mut writer = db.writer(json!({"table": "t"})).unwrap();
    writer.prepare(&run_of("next", 1), vec![of(&rows)]).unwrap();
    writer.finish(&run_of("next", 1), Outcome::Succeeded, Vec::new()).unwrap();
    assert_eq!(
        db.sql("SELECT string_agg(run, ' ' ORDER BY run) FROM _airlock_commit"),
        "bad good newer next"
    );
}

#[test]
fn types_are_chosen_by_column() {
    let db = server().database("chosen");
    let rows = texts(&["{1.5,2}"]);
    let parameter = |types: Value| json!({"table": "t", "createTable": true, "pgType": types});
    let wrong = fault(preview(&db, parameter(json!({"w": "bigint"})), &rows));
    assert_eq!(wrong.domain, sdk::FaultDomain::User);
    assert_eq!(wrong.place.as_deref(), Some("/parameter/pgType/w"));
    assert_eq!(load(&db, parameter(json!({"v": "double[]"})), "r", &rows), (vec![], 0));
    assert_eq!(db.sql("SELECT v, pg_typeof(v) FROM t"), "{1.5,2}|double precision[]");
}
