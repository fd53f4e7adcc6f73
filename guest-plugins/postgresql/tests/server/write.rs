//! The writer against a real server.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema};
use postgresql::writer::PostgresWriter;
use sdk::{Batch, CommitMode, Dataset, FaultDomain, Outcome, Prepared, Result, Sink, Writer};
use serde_json::{Value, json};

use crate::support::{Database, ReadAll, code, fault, run_of, server, task, write_all};

/// Rows of a bigint and a text.
pub(crate) fn rows(
    ids: impl IntoIterator<Item = i64>,
    text: impl Fn(i64) -> Option<String>,
) -> RecordBatch {
    let ids: Vec<i64> = ids.into_iter().collect();
    let texts: StringArray = ids.iter().map(|id| text(*id)).collect();
    batch(vec![("id", Arc::new(Int64Array::from(ids))), ("note", Arc::new(texts))])
}

pub(crate) fn named(ids: impl IntoIterator<Item = i64>) -> RecordBatch {
    rows(ids, |id| Some(format!("n{id}")))
}

pub(crate) fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true)))
        .unwrap()
}

fn dataset(fields: Vec<Field>) -> Dataset {
    Dataset {
        path: vec!["source".to_owned()],
        schema: Arc::new(Schema::new(fields)),
        primary_key: Vec::new(),
        metadata: Vec::new(),
    }
}

pub(crate) fn of(batch: &RecordBatch) -> Dataset {
    dataset(batch.schema().fields().iter().map(|field| field.as_ref().clone()).collect())
}

pub(crate) fn prepare(
    db: &Database<'_>,
    parameter: &Value,
    run: &str,
    like: &RecordBatch,
) -> Result<(PostgresWriter, Prepared)> {
    let mut writer = db.writer(parameter.clone())?;
    let prepared = writer.prepare(&run_of(run, 1), vec![of(like)])?;
    Ok((writer, prepared))
}

/// Writes batches as one task and answers what was refused.
pub(crate) fn load(
    db: &Database<'_>,
    parameter: Value,
    run: &str,
    batches: &[RecordBatch],
) -> (usize, Vec<u32>, u64) {
    let (mut writer, prepared) = prepare(db, &parameter, run, &batches[0]).unwrap();
    let mut sink = writer.open(task(run, 0, 1), prepared.datasets).unwrap();
    let (written, refused) = write_all(&mut sink, b"end", batches);
    let copies = sink.copies();
    drop(sink);
    writer.finish(&run_of(run, 1), Outcome::Succeeded, Vec::new()).unwrap();
    (written, refused, copies)
}

#[test]
fn what_the_server_would_cut_or_round_is_refused() {
    let db = server().database("cuts");
    db.sql("CREATE TABLE t (at timestamp(0), note varchar(3), many varchar(3)[])");
    let times = |micros: Vec<i64>| Arc::new(TimestampMicrosecondArray::from(micros)) as ArrayRef;
    let texts = |texts: Vec<&str>| Arc::new(StringArray::from(texts)) as ArrayRef;
    let rows = batch(vec![
        ("at", times(vec![1_000_000, 1_500_000, 2_000_000, 3_000_000, i64::MAX])),
        ("note", texts(vec!["abc", "abc", "abc   ", "äöü", ""])),
    ]);
    let parameter = json!({"table": "t", "column": ["at", "note"], "emptyAsNull": true});
    let (mut writer, prepared) = prepare(&db, &parameter, "r", &rows).unwrap();
    let mut sink = writer.open(task("r", 0, 1), prepared.datasets).unwrap();
    let answer = sink.write(Batch::inserts(rows)).unwrap();
    let codes: Vec<_> = answer.remarks.iter().map(|r| (r.row, r.column, r.code.as_str())).collect();
    assert_eq!(
        codes,
        [(1, Some(0), "postgresql.value_would_round"), (2, Some(1), "postgresql.value_too_long")]
    );
    assert!(answer.undone.is_none(), "the good rows are taken");
    sink.close(b"m".to_vec()).unwrap();
    assert_eq!(sink.copies(), 1);
    assert_eq!(
        db.sql("SELECT at, coalesce(note, 'none') FROM t ORDER BY at"),
        "1970-01-01 00:00:01|abc\n1970-01-01 00:00:03|äöü\ninfinity|none"
    );
}

#[test]
fn upserts_meet_rows_that_are_there() {
    let db = server().database("upserts");
    let fresh = |name: &str| {
        db.sql(&format!(
            "CREATE TABLE {name} (id bigint PRIMARY KEY, note text, kept text DEFAULT 'fresh');
             INSERT INTO {name} VALUES (1, 'old', 'mine'), (2, 'old', 'mine')"
        ));
    };
    let twice = rows([2, 3, 3, 4], |id| Some(format!("new{id}")));
    let last = batch(vec![
        ("id", Arc::new(Int64Array::from(vec![5, 5, 5]))),
        ("note", Arc::new(StringArray::from(vec!["a", "b", "c"]))),
    ]);
    let cases = [
        (
            "updated",
            json!({"writeMode": "upsert"}),
            "1|old|mine\n2|new2|mine\n3|new3|fresh\n4|new4|fresh\n5|c|fresh",
        ),
        (
            "alike",
            json!({"writeMode": "update", "uniqueIndexColumns": [["ID"]], "updateColumn": ["note"]}),
            "1|old|mine\n2|new2|mine\n3|new3|fresh\n4|new4|fresh\n5|c|fresh",
        ),
        (
            "replaced",
            json!({"writeMode": "upsert", "conflictMode": "replace"}),
            "1|old|mine\n2|new2|fresh\n3|new3|fresh\n4|new4|fresh\n5|c|fresh",
        ),
        (
            "ignored",
            json!({"writeMode": "upsert", "conflictMode": "ignore"}),
            "1|old|mine\n2|old|mine\n3|new3|fresh\n4|new4|fresh\n5|a|fresh",
        ),
    ];
    for (name, mut parameter, expected) in cases {
        fresh(name);
        parameter["table"] = json!(name);
        parameter["column"] = json!(["id", "note"]);
        let (written, refused, _) = load(&db, parameter, name, &[twice.clone(), last.clone()]);
        assert_eq!((written, refused.len()), (7, 0), "{name}");
        assert_eq!(db.sql(&format!("SELECT * FROM {name} ORDER BY id")), expected, "{name}");
    }
}

#[test]
fn upserts_refuse_bad_rows_and_know_no_equal_nulls() {
    let db = server().database("upserts_bad");
    db.sql("CREATE TABLE t (id bigint, note text CHECK (note <> 'bad'), UNIQUE (id))");
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, None, Some(2), Some(1)]));
    let notes: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c", "bad", "d"]));
    let parameter = json!({"table": "t", "writeMode": "upsert", "uniqueIndexColumns": ["id"]});
    let rows = batch(vec![("id", ids), ("note", notes)]);
    let (written, refused, _) = load(&db, parameter.clone(), "r", std::slice::from_ref(&rows));
    assert_eq!((written, refused), (4, vec![3]));
    assert_eq!(db.sql("SELECT id, note FROM t ORDER BY note"), "|b\n|c\n1|d");
    let prepare = |changes: Value| {
        let mut parameter = json!({"table": "t", "writeMode": "upsert"});
        changes.as_object().unwrap().iter().for_each(|(k, v)| parameter[k] = v.clone());
        prepare(&db, &parameter, "x", &rows).map(|_| ())
    };
    assert_eq!(code(prepare(json!({}))), "postgresql.no_key");
    assert_eq!(
        code(prepare(json!({"uniqueIndexColumns": [["idd"]]}))),
        "postgresql.column_not_found"
    );
    assert_eq!(
        code(prepare(json!({"uniqueIndexColumns": [["id"], ["note"]]}))),
        "parameter.invalid"
    );
}

#[test]
fn a_newer_epoch_fences_the_older() {
    let db = server().database("fences");
    db.sql("CREATE TABLE t (id bigint, note text)");
    let (mut old, prepared) = prepare(&db, &json!({"table": "t"}), "r", &named(0..1)).unwrap();
    let mut stale = old.open(task("r", 0, 1), prepared.datasets.clone()).unwrap();
    stale.write(Batch::inserts(named(0..10))).unwrap();
    stale.commit(b"one".to_vec(), true).unwrap();
    stale.write(Batch::inserts(named(10..20))).unwrap();
    // Another process takes the task over and goes on at the mark.
    let mut new = db.writer(json!({"table": "t"})).unwrap();
    let mut sink = new.open(task("r", 0, 2), prepared.datasets.clone()).unwrap();
    assert_eq!(sink.committed().as_deref(), Some(&b"one"[..]));
    assert_eq!(code(stale.commit(b"two".to_vec(), true)), "postgresql.fenced");
    drop(stale);
    assert_eq!(
        code(old.open(task("r", 0, 1), prepared.datasets.clone()).map(|_| ())),
        "postgresql.fenced"
    );
    sink.write(Batch::inserts(named(10..20))).unwrap();
    sink.close(b"end".to_vec()).unwrap();
    assert_eq!(db.sql("SELECT count(*), count(DISTINCT id) FROM t"), "20|20");
    // The same end after a restart, by a still newer process.
    let mut again = new.open(task("r", 0, 3), prepared.datasets).unwrap();
    assert_eq!(again.committed().as_deref(), Some(&b"end"[..]));
    assert_eq!(again.close(b"end".to_vec()).unwrap().receipt, Vec::<u8>::new());
    assert_eq!(db.sql("SELECT count(*) FROM t"), "20");
}

#[test]
fn rows_and_mark_are_one() {
    let db = server().database("atoms");
    db.sql("CREATE TABLE t (id bigint, note text)");
    let (mut writer, prepared) = prepare(&db, &json!({"table": "t"}), "r", &named(0..1)).unwrap();
    let mut sink = writer.open(task("r", 0, 1), prepared.datasets.clone()).unwrap();
    sink.write(Batch::inserts(named(0..10))).unwrap();
    let answer = sink.commit(b"soon".to_vec(), false).unwrap();
    assert_eq!(answer.durable, None, "a little waits");
    sink.write(Batch::inserts(named(10..20))).unwrap();
    // The server ends the session: nothing of both is there.
    db.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'atoms' AND pid <> pg_backend_pid()");
    let lost = fault(sink.commit(b"later".to_vec(), true));
    assert_eq!(
        (lost.domain, lost.retry_after_ms),
        (FaultDomain::External, Some(0)),
        "{}",
        lost.code
    );
    assert_eq!(db.sql("SELECT count(*) FROM t"), "0");
    drop((sink, writer));
    let mut writer = db.writer(json!({"table": "t"})).unwrap();
    let mut sink = writer.open(task("r", 0, 2), prepared.datasets).unwrap();
    assert_eq!(sink.committed(), None);
    sink.write(Batch::inserts(named(0..20))).unwrap();
    assert_eq!(sink.commit(b"now".to_vec(), true).unwrap().durable.as_deref(), Some(&b"now"[..]));
    assert_eq!(db.sql("SELECT count(*) FROM t"), "20");
    assert_eq!(
        db.sql("SELECT convert_from(mark, 'UTF8') FROM _airlock_commit WHERE task = 0"),
        "now"
    );
}

#[test]
fn statements_are_run_once_a_run() {
    let db = server().database("once");
    db.sql("CREATE TABLE \"T\" (id bigint, note text); CREATE TABLE said (what text)");
    let parameter = json!({
        "table": "\"T\"",
        "preSql": ["INSERT INTO said VALUES ('pre')", "TRUNCATE @table"],
        "postSql": "INSERT INTO said SELECT 'post ' || count(*) FROM @table",
    });
    for _ in 0..2 {
        let (_, prepared) = prepare(&db, &parameter, "r", &named(0..1)).unwrap();
        assert_eq!(prepared.commit_mode, CommitMode::Transactional);
    }
    let (mut writer, prepared) = prepare(&db, &parameter, "r", &named(0..1)).unwrap();
    let mut sink = writer.open(task("r", 0, 1), prepared.datasets).unwrap();
    sink.write(Batch::inserts(named(0..5))).unwrap();
    sink.close(b"end".to_vec()).unwrap();
    drop(sink);
    for _ in 0..2 {
        let mut writer = db.writer(parameter.clone()).unwrap();
        writer.finish(&run_of("r", 2), Outcome::Succeeded, Vec::new()).unwrap();
    }
    assert_eq!(db.sql("SELECT string_agg(what, ', ') FROM said"), "pre, post 5");
    assert_eq!(db.sql("SELECT run, task FROM _airlock_commit"), "r|-2");
    prepare(&db, &parameter, "another", &named(0..1)).unwrap();
    assert_eq!(db.sql("SELECT count(*) FROM said"), "3");
    writer.finish(&run_of("another", 1), Outcome::Failed, Vec::new()).unwrap();
    writer.finish(&run_of("another", 1), Outcome::Failed, Vec::new()).unwrap();
    assert_eq!(db.sql("SELECT count(*) FROM said"), "3");
    assert_eq!(db.sql("SELECT run, task FROM _airlock_commit ORDER BY run"), "another|-2\nr|-2");
}

#[test]
fn failed_statements_leave_nothing() {
    let db = server().database("failing");
    db.sql("CREATE TABLE t (id bigint, note text); INSERT INTO t VALUES (1, 'kept')");
    let run = |statements: Value| {
        let parameter = json!({"table": "t", "preSql": statements});
        fault(prepare(&db, &parameter, "r", &named(0..1)).map(|_| ()))
    };
    let failed = run(json!(["DELETE FROM t", "DELETE FROM absent"]));
    assert_eq!(failed.code, "postgresql.table_not_found");
    assert_eq!(failed.place.as_deref(), Some("/parameter/preSql/1"));
    assert_eq!(run(json!("DELETE FROM t; COMMIT")).code, "postgresql.statement_ends_transaction");
    assert_eq!(run(json!("VACUUM t")).code, "postgresql.not_in_transaction");
    assert_eq!(db.sql("SELECT count(*) FROM _airlock_commit"), "0");
}

#[test]
fn without_a_mark_table_rows_may_come_twice_and_it_is_said() {
    let db = server().database("unmarked");
    db.sql(
        "CREATE TABLE t (id bigint, note text); REVOKE CREATE ON SCHEMA public FROM PUBLIC;
         CREATE ROLE loader LOGIN PASSWORD 'l'; GRANT INSERT, SELECT ON t TO loader; CREATE SCHEMA marks AUTHORIZATION loader",
    );
    let mut connection = db.connection();
    connection["username"] = json!("loader");
    connection["password"] = json!("l");
    let writer = |parameter: Value| {
        let configuration =
            crate::support::configuration(sdk::Side::Writer, &connection, &parameter);
        PostgresWriter::connect(&configuration).unwrap()
    };
    let mut plain = writer(json!({"table": "t"}));
    assert_eq!(plain.preview(vec![of(&named(0..1))]).unwrap().commit_mode, CommitMode::AtLeastOnce);
    let prepared = plain.prepare(&run_of("r", 1), vec![of(&named(0..1))]).unwrap();
    assert_eq!(prepared.commit_mode, CommitMode::AtLeastOnce);
    let mut sink = plain.open(task("r", 0, 1), prepared.datasets).unwrap();
    sink.write(Batch::inserts(named(0..3))).unwrap();
    sink.close(b"end".to_vec()).unwrap();
    drop(sink);
    plain.finish(&run_of("r", 1), Outcome::Succeeded, Vec::new()).unwrap();
    assert_eq!(db.sql("SELECT count(*) FROM t"), "3");
    let mut elsewhere = writer(json!({"table": "t", "markSchema": "marks"}));
    assert_eq!(
        elsewhere.preview(vec![of(&named(0..1))]).unwrap().commit_mode,
        CommitMode::Transactional
    );
    let prepared = elsewhere.prepare(&run_of("r", 1), vec![of(&named(0..1))]).unwrap();
    assert_eq!(prepared.commit_mode, CommitMode::Transactional);
    assert_eq!(db.sql("SELECT count(*) FROM marks._airlock_commit"), "1");
    let mut denied = writer(json!({"table": "t", "preSql": "TRUNCATE @table"}));
    assert_eq!(
        code(denied.prepare(&run_of("s", 1), vec![of(&named(0..1))])),
        "postgresql.permission_denied"
    );
}

#[test]
fn a_lock_that_is_held_is_said_and_may_pass() {
    let db = server().database("locks");
    db.sql("CREATE TABLE t (id bigint PRIMARY KEY, note text)");
    let parameter = json!({"table": "t", "session": "SET lock_timeout = 300"});
    let (mut holder, prepared) = prepare(&db, &json!({"table": "t"}), "r", &named(0..1)).unwrap();
    let mut held = holder.open(task("r", 0, 1), prepared.datasets.clone()).unwrap();
    // So much that the COPY ends, and the keys are there.
    held.write(Batch::inserts(rows(0..10, |_| Some("x".repeat(1 << 20))))).unwrap();
    // The same key waits for the transaction of the other.
    let mut waiter = db.writer(parameter).unwrap();
    let mut waiting = waiter.open(task("r", 1, 1), prepared.datasets.clone()).unwrap();
    waiting.write(Batch::inserts(named(5..6))).unwrap();
    let fault = fault(waiting.commit(b"m".to_vec(), true));
    assert_eq!(fault.code, "postgresql.lock_timeout");
    assert_eq!((fault.domain, fault.retry_after_ms), (FaultDomain::External, Some(0)));
    held.close(b"end".to_vec()).unwrap();
    drop(waiting);
    let mut again = waiter.open(task("r", 1, 2), prepared.datasets).unwrap();
    again.write(Batch::inserts(named(10..20))).unwrap();
    again.close(b"end".to_vec()).unwrap();
    assert_eq!(db.sql("SELECT count(*) FROM t"), "20");
}

#[test]
fn a_table_is_previewed_and_created_from_the_fields() {
    let db = server().database("created");
    db.sql("CREATE TYPE mood AS ENUM ('glad', 'sad')");
    let with =
        |field: Field, name: &str| field.with_metadata([("pg:type".to_owned(), name.to_owned())]);
    let mut incoming = dataset(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("price", DataType::Decimal128(15, 2), true),
        with(Field::new("how", DataType::Utf8, true), "mood"),
        with(Field::new("absent", DataType::Utf8, true), "no_such_type"),
        with(Field::new("evil", DataType::Utf8, true), "text); DROP TYPE mood; --"),
        Field::new("chosen", DataType::Int32, true),
    ]);
    incoming.primary_key = vec!["id".to_owned()];
    let parameter =
        json!({"table": "public.New", "createTable": true, "pgType": {"chosen": "numeric(9,0)"}});
    let mut writer = db.writer(parameter.clone()).unwrap();
    let preview = writer.preview(vec![incoming.clone()]).unwrap();
    let types: Vec<_> =
        preview.datasets[0].schema.fields().iter().map(|f| f.data_type().clone()).collect();
    assert_eq!(types[1], DataType::Decimal128(15, 2));
    assert_eq!(types[5], DataType::Decimal128(9, 0));
    assert_eq!(
        db.sql("SELECT to_regclass('public.new') IS NULL"),
        "t",
        "a preview changes nothing"
    );
    for _ in 0..2 {
        let prepared = writer.prepare(&run_of("r", 1), vec![incoming.clone()]).unwrap();
        assert_eq!(prepared.datasets[0].primary_key, ["id"]);
    }
    let columns = "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'public.new'::regclass AND attnum > 0";
    assert_eq!(
        db.sql(columns),
        "id bigint, price numeric(15,2), how mood, absent text, evil text, chosen numeric(9,0)"
    );
    let nested =
        dataset(vec![Field::new_struct("s", vec![Field::new("x", DataType::Int8, true)], true)]);
    let mut other = db.writer(json!({"table": "other", "createTable": true})).unwrap();
    assert_eq!(code(other.preview(vec![nested])), "postgresql.type_unmappable");
    let mut absent = db.writer(json!({"table": "nwe"})).unwrap();
    let wrong = fault(absent.preview(vec![incoming.clone()]));
    assert_eq!(
        (wrong.code.as_str(), wrong.hint.as_deref()),
        ("postgresql.table_not_found", Some("did you mean \"public.new\"?"))
    );
    let mut narrow = db.writer(json!({"table": "new", "column": ["id"]})).unwrap();
    assert_eq!(code(narrow.preview(vec![incoming])), "postgresql.column_count");
}

/// Every type, with its ordinary values, its borders, and what lies outside of Arrow's.
const ALL_TYPES: &str = r#"
CREATE TYPE mood AS ENUM ('glad', 'so so', 'sad');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN cents AS numeric(12,2);
CREATE TABLE every (
  id bigint PRIMARY KEY, b boolean, i2 smallint, i4 integer, i8 bigint, f4 real, f8 double precision,
  n numeric, n15 numeric(15,2), n38 numeric(38,10), n76 numeric(76,20), nneg numeric(5,-2), nsmall numeric(2,4), n99 numeric(99,3), dom cents,
  t text, vc varchar(20), c char(5), nm name, js json, jb jsonb, u uuid, by bytea,
  d date, tm time, tm0 time(0), tz timetz, ts timestamp, ts3 timestamp(3), tstz timestamptz, iv interval, o oid,
  mn money, ip inet, cd cidr, mac macaddr, bt bit(3), vb varbit, x xml, r4 int4range, rts tstzrange, en mood, co pair,
  p point, ch "char", tsv tsvector, ai int[], ai2 int[][], at text[], ad numeric(10,2)[], an numeric[], atz timestamptz[], au uuid[], ajb jsonb[], ab bytea[], ae mood[], abool bool[], ad1 date[], af8 float8[]
);
INSERT INTO every (id) VALUES (0);
INSERT INTO every VALUES (
  1, true, -32768, -2147483648, -9223372036854775808, '-3.4028235e38', '-1.7976931348623157e308',
  123456789012345678901234567890.123456789012345678901234567890, -9999999999999.99, 1234567890123456789012345678.0123456789,
  12345678901234567890123456789012345678901234567890123456.01234567890123456789, -12300, 0.0012, 1e90, 1.50,
  E'tab\t line\n back\\slash "quote" ''q'' \\N äöü 🙂', 'var', 'ab', 'a name', '{"a" : [1, 2]}', '{"b": "x\ny"}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '\x00ff5c0a',
  '0044-03-15 BC', '00:00:00.000001', '12:34:56', '23:59:59.999999+05:30', '0044-03-15 01:02:03.456789 BC', '2020-02-29 12:34:56.789', '1999-12-31 23:59:59.999999+13', '-1 mons +3 days -04:05:06.789', 4294967295,
  '-1234567.89', '10.1.2.3/8', '10.0.0.0/8', '08:00:2b:01:02:03', B'101', B'10', '<a>x</a>', '[1,5)', '["2020-01-01 00:00+00",infinity)', 'so so', '(1,"a ""b"", c")',
  '(1.5,-2)', 'z', '''a'':1 ''b'':2A', '{1,NULL,-3}', '{{1,2},{3,4}}', E'{"a\tb",NULL,"NULL","q\\"x\\\\",""}', '{1.10,NULL,-99999999.99}', '{1.1,NaN,1e40}',
  '{"2020-01-01 00:00:00+00",infinity}', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,NULL}', '{"{\"k\": 1}",null}', '{"\\x00ff",NULL}', '{glad,sad}', '{t,f,NULL}', '{infinity,0001-01-01 BC}', '{1.5,NaN,-Infinity}'
);
INSERT INTO every (id, b, i2, i4, i8, f4, f8, n, n15, n38, n76, dom, t, vc, c, js, jb, by, d, tm, tz, ts, ts3, tstz, iv, o, mn, r4, ai, at, ai2) VALUES (
  2, false, 32767, 2147483647, 9223372036854775807, 'NaN', 'Infinity', 'NaN', -0.01, 0, 1, -1.5, '', '', '', 'null', 'null', '',
  'infinity', '24:00:00', '24:00:00-15:59', 'infinity', '-infinity', 'infinity', '178000000 years', 0, '92233720368547758.07', 'empty', '{}', '{}', '{}'
), (
  3, NULL, 0, 0, 0, '-0', '1e-320', 'Infinity', 0.00, 0, -0.00000000000000000001, 0, repeat('long ', 50000), NULL, NULL, NULL, '[1e400]', NULL,
  '-infinity', '12:00', NULL, '-infinity', NULL, '-infinity', NULL, NULL, NULL, NULL, NULL, NULL, NULL
), (
  4, NULL, NULL, NULL, NULL, '1.17549435e-38', '5e-324', '-0.000000000000000000000000000001000', 9999999999999.99, 9999999999999999999999999999.9999999999,
  99999999999999999999999999999999999999999999999999999999.99999999999999999999, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
  '5874897-12-31', NULL, NULL, '294246-12-31 23:59:59.999999', NULL, '4713-01-01 00:00:00+00 BC', NULL, NULL, NULL, NULL, NULL, NULL, NULL
);"#;

fn same_rows(db: &Database<'_>, table: &str) {
    let texts = |table: &str| db.sql(&format!("SELECT t::text FROM {table} t ORDER BY id"));
    let (expected, found) = (texts("every"), texts(table));
    for (expected, found) in expected.lines().zip(found.lines()) {
        assert_eq!(expected, found, "{table}");
    }
    assert_eq!(expected, found, "{table}");
}

#[test]
fn every_type_comes_back_the_same() {
    let db = server().database("types");
    db.sql(ALL_TYPES);
    let all = db
        .copy(json!({"table": "every"}), json!({"table": "copied", "createTable": true}), "r1")
        .unwrap();
    assert!(all.undecodable.is_empty(), "{:?}", all.undecodable);
    same_rows(&db, "copied");
    let types = |table: &str| {
        db.sql(&format!("SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), E'\n' ORDER BY attnum) FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum > 0"))
    };
    // A domain is its base type in a new table, and an array has no number of dimensions there.
    assert_eq!(types("copied"), types("every").replace("dom cents", "dom numeric(12,2)"));
    // Into a table that is there, in text form, with upsert.
    db.sql("CREATE TABLE there (LIKE every INCLUDING ALL)");
    db.write_all(json!({"table": "there", "writeMode": "upsert"}), "r2", &all).unwrap();
    same_rows(&db, "there");
}

#[test]
fn every_type_with_a_binary_form_goes_in_it() {
    let db = server().database("binaries");
    db.sql(ALL_TYPES);
    let columns = [
        "id", "b", "i2", "i4", "i8", "f4", "f8", "n15", "n38", "n76", "dom", "t", "vc", "c", "nm",
        "js", "jb", "u", "by", "d", "tm", "tm0", "ts", "ts3", "tstz", "o", "ai", "at", "ad", "atz",
        "au", "ajb", "ab", "abool", "ad1", "af8",
    ];
    // As CREATE TABLE AS would make them, arrays have no dimensions.
    let names = columns.map(|name| format!("'{name}'")).join(", ");
    db.sql(&format!(
        "DO $$ DECLARE c text; BEGIN FOR c IN SELECT attname FROM pg_attribute WHERE attrelid = 'every'::regclass \
         AND attnum > 0 AND attname NOT IN ({names}) LOOP EXECUTE format('ALTER TABLE every DROP COLUMN %I', c); END LOOP; END $$; \
         CREATE TABLE there (LIKE every)"
    ));
    let opaque = |all: &ReadAll| {
        let fields = all.datasets[0].schema.fields().clone();
        fields
            .iter()
            .any(|f| f.metadata().get("ARROW:extension:name").is_some_and(|n| n == "arrow.opaque"))
    };
    let all = db.copy(json!({"table": "every"}), json!({"table": "there"}), "r").unwrap();
    assert!(!opaque(&all));
    same_rows(&db, "there");
}

#[test]
fn a_numeric_without_precision_takes_decimals_as_they_are() {
    let db = server().database("numerics");
    db.sql("CREATE TABLE s (id bigint, a numeric(15,2), b numeric(70,5)); INSERT INTO s SELECT i, i / 8.0, -i / 3.0 FROM generate_series(0, 100) i; CREATE TABLE d (id numeric, a numeric, b numeric)");
    let all = db.read(json!({"table": "s"}), 1).unwrap();
    let mut writer = db.writer(json!({"table": "d"})).unwrap();
    let prepared = writer.prepare(&run_of("r", 1), all.datasets.clone()).unwrap();
    let kinds: Vec<_> =
        prepared.datasets[0].schema.fields().iter().map(|f| f.data_type().clone()).collect();
    assert_eq!(
        kinds,
        [DataType::Decimal128(19, 0), DataType::Decimal128(15, 2), DataType::Decimal256(70, 5)]
    );
    db.write_all(
        json!({"table": "d", "column": ["a", "b"]}),
        "q",
        &db.read(json!({"table": "s", "column": ["a", "b"]}), 1).unwrap(),
    )
    .unwrap();
    assert_eq!(db.sql("SELECT count(*) FROM (SELECT a::text, b::text FROM s EXCEPT SELECT a::text, b::text FROM d) x"), "0");
}
