//! How many COPYs a load takes, and which rows a refused one costs.

use std::sync::Arc;

use arrow_array::{Int64Array, StringArray};
use sdk::{Batch, FaultDomain, Sink, Writer};
use serde_json::json;

use crate::support::{server, task};
use crate::write::{batch, load, named, prepare, rows};

#[test]
fn one_bad_row_costs_one_more_copy_where_the_server_names_it() {
    let db = server().database("named");
    db.sql("CREATE TABLE t (id bigint PRIMARY KEY, note text NOT NULL CHECK (note <> 'bad'))");
    let good = [named(0..1000), named(1000..2000), named(2000..3000)];
    assert_eq!(
        load(&db, json!({"table": "t"}), "r1", &good),
        (3000, vec![], 1),
        "one COPY for all"
    );
    // A key that is there, a NULL and a value that a check refuses.
    for (run, id, note) in [("r2", 7, Some("x")), ("r3", 90_000, None), ("r4", 90_000, Some("bad"))]
    {
        let text =
            |row: i64| if row == 456 { note.map(str::to_owned) } else { Some(format!("n{row}")) };
        let mut ids: Vec<i64> = (10_000..10_999).collect();
        ids.insert(456, id);
        let texts: StringArray = (0..1000).map(text).collect();
        let bad = batch(vec![("id", Arc::new(Int64Array::from(ids))), ("note", Arc::new(texts))]);
        assert_eq!(load(&db, json!({"table": "t"}), run, &[bad]), (999, vec![456], 2), "{run}");
        db.sql("DELETE FROM t WHERE id >= 10000");
    }
    assert_eq!(db.sql("SELECT count(*), sum(id) FROM t"), "3000|4498500");
}

#[test]
fn rows_are_named_in_text_copies_too() {
    let db = server().database("named_text");
    db.sql("CREATE TABLE t (id bigint, note interval)");
    let text =
        |id: i64| Some(if id == 77 { "no\tinterval".to_owned() } else { format!("{id} days") });
    let (written, refused, copies) = load(&db, json!({"table": "t"}), "r", &[rows(0..100, text)]);
    assert_eq!((written, refused, copies), (99, vec![77], 2));
    assert_eq!(db.sql("SELECT note FROM t WHERE id = 99"), "99 days");
    let (mut writer, prepared) =
        prepare(&db, &json!({"table": "t"}), "s", &rows(0..1, text)).unwrap();
    let mut sink = writer.open(task("s", 0, 1), prepared.datasets).unwrap();
    sink.write(Batch::inserts(rows(76..79, text))).unwrap();
    let answer = sink.commit(b"m".to_vec(), true).unwrap();
    assert_eq!(answer.remarks[0].column, Some(1));
    assert_eq!(answer.remarks[0].code, "postgresql.value_invalid");
    assert!(!answer.remarks[0].message.contains("no\tinterval"), "{}", answer.remarks[0].message);
    assert_eq!((answer.taken, answer.undone.unwrap().domain), (0, FaultDomain::Data));
}

#[test]
fn a_bad_row_without_a_name_is_found_in_halves() {
    let db = server().database("halves");
    db.sql(
        "CREATE TABLE owners (id bigint PRIMARY KEY); INSERT INTO owners SELECT generate_series(0, 4095);
         CREATE TABLE t (id bigint REFERENCES owners DEFERRABLE INITIALLY DEFERRED, note text);
         CREATE TABLE u (id bigint UNIQUE DEFERRABLE INITIALLY DEFERRED, note text)",
    );
    let mut ids: Vec<i64> = (0..4096).collect();
    ids[1234] = -1;
    let (written, refused, copies) = load(&db, json!({"table": "t"}), "r", &[named(ids)]);
    assert_eq!((written, refused), (4095, vec![1234]));
    // One for the whole, one for each of the twelve halvings, and one without the row.
    assert_eq!(copies, 14);
    assert_eq!(db.sql("SELECT count(*) FROM t"), "4095");
    db.sql("INSERT INTO u VALUES (500, 'there')");
    let (written, refused, _) = load(&db, json!({"table": "u"}), "r2", &[named(0..1000)]);
    assert_eq!((written, refused), (999, vec![500]));
}

#[test]
fn an_undone_batch_leaves_those_before_it() {
    let db = server().database("undone");
    db.sql("CREATE TABLE t (id bigint PRIMARY KEY, note text)");
    let (mut writer, prepared) = prepare(&db, &json!({"table": "t"}), "r", &named(0..1)).unwrap();
    let mut sink = writer.open(task("r", 0, 1), prepared.datasets).unwrap();
    assert_eq!(sink.committed(), None);
    assert_eq!(sink.write(Batch::inserts(named(0..10))).unwrap().taken, 0, "it is on its way");
    sink.write(Batch::inserts(named([10, 11, 5, 12]))).unwrap();
    let answer = sink.commit(b"m".to_vec(), true).unwrap();
    assert_eq!((answer.taken, answer.remarks.len(), answer.durable), (0, 1, None));
    let remark = &answer.remarks[0];
    assert_eq!((remark.batch, remark.row, remark.loaded), (1, 2, false));
    assert_eq!(remark.code, "postgresql.unique_violation");
    assert!(remark.message.contains("t_pkey"));
    assert!(answer.undone.is_some());
    sink.write(Batch::inserts(named(0..10))).unwrap();
    sink.write(Batch::inserts(named([10, 11, 12]))).unwrap();
    assert_eq!(db.sql("SELECT count(*) FROM t"), "0", "nothing shows before the commit");
    let answer = sink.close(b"m".to_vec()).unwrap().answer;
    assert_eq!((answer.taken, answer.durable.as_deref()), (4, Some(&b"m"[..])));
    assert_eq!(db.sql("SELECT count(*) FROM t"), "13");
}

#[test]
fn a_bad_row_without_a_name_is_found_in_many_batches() {
    let db = server().database("nameless");
    db.sql(
        "CREATE TABLE owners (id bigint PRIMARY KEY); INSERT INTO owners SELECT generate_series(0, 999);
         CREATE TABLE t (id bigint REFERENCES owners, note text)",
    );
    let batches = [named(0..100), named((100..150).chain([5000]).chain(150..200)), named(200..300)];
    let (mut writer, prepared) = prepare(&db, &json!({"table": "t"}), "r", &batches[0]).unwrap();
    let mut sink = writer.open(task("r", 0, 1), prepared.datasets).unwrap();
    for batch in &batches {
        assert_eq!(sink.write(Batch::inserts(batch.clone())).unwrap().taken, 0);
    }
    let answer = sink.commit(b"m".to_vec(), true).unwrap();
    assert_eq!((answer.taken, answer.remarks[0].batch, answer.remarks[0].row), (0, 1, 50));
    assert_eq!(answer.remarks[0].code, "postgresql.foreign_key_violation");
    sink.write(Batch::inserts(batches[0].clone())).unwrap();
    sink.write(Batch::inserts(named(100..200))).unwrap();
    sink.write(Batch::inserts(batches[2].clone())).unwrap();
    sink.close(b"m".to_vec()).unwrap();
    assert_eq!(db.sql("SELECT count(*), sum(id) FROM t"), "300|44850");
}

#[test]
fn a_large_load_is_several_copies() {
    let db = server().database("large");
    db.sql("CREATE TABLE t (id bigint PRIMARY KEY, note text)");
    let wide = |from: i64| rows(from..from + 1000, |id| Some(format!("{id}{}", "x".repeat(3000))));
    let batches: Vec<_> = (0..6).map(|at| wide(at * 1000)).collect();
    assert_eq!(load(&db, json!({"table": "t"}), "r", &batches), (6000, vec![], 2));
    let twice = [wide(10_000), wide(11_000), wide(12_000), wide(5990), wide(13_000)];
    let (written, refused, _) = load(&db, json!({"table": "t"}), "s", &twice);
    assert_eq!((written, refused), (4990, (0..10).collect()));
    assert_eq!(db.sql("SELECT count(*) FROM t"), "10990");
}
