//! Shares of tables whose rows are not spread evenly over the key.

use std::collections::BTreeMap;

use crate::support::{Database, ReadAll, read_split, server};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use sdk::Reader;
use serde_json::{Value, json};

const ROWS: usize = 100_000;
const LANES: usize = 4;

fn rows_of(all: &ReadAll) -> Vec<usize> {
    let rows = all.splits.iter().map(|(_, batches)| batches.iter().map(|batch| batch.num_rows()));
    rows.map(Iterator::sum).collect()
}

/// Rows that each lane reads where every split goes to the lane that has read the least.
fn lanes(splits: &[usize]) -> Vec<usize> {
    let mut lanes = vec![0; LANES];
    for rows in splits {
        if let Some(lane) = lanes.iter_mut().min() {
            *lane += rows;
        }
    }
    lanes
}

/// Every row is read once, lanes read equally many, and no split has more than its share by far.
fn is_even(db: &Database<'_>, parameter: Value) {
    let all = db.read(parameter.clone(), LANES as u32).unwrap();
    let mut seen: BTreeMap<i64, usize> = BTreeMap::new();
    for batch in all.batches() {
        for id in batch.column_by_name("id").unwrap().as_primitive::<Int64Type>().values() {
            *seen.entry(*id).or_default() += 1;
        }
    }
    assert_eq!(seen.len(), ROWS, "{parameter}");
    assert!(seen.values().all(|count| *count == 1), "{parameter}");
    let splits = rows_of(&all);
    let lanes = lanes(&splits);
    let fair = ROWS / LANES;
    assert!(lanes.iter().all(|rows| rows.abs_diff(fair) < fair / 5), "{parameter}: {lanes:?}");
    let share = ROWS / (LANES * 5);
    assert!(splits.iter().all(|rows| *rows < share * 2), "{parameter}: {splits:?}");
}

#[test]
fn a_key_that_most_rows_have_keeps_all_lanes_busy() {
    let db = server().database("hot");
    db.sql(&format!(
        "CREATE TABLE keyed (id bigint PRIMARY KEY, k int, s text COLLATE \"und-x-icu\", u uuid, at timestamptz, maybe int);
         INSERT INTO keyed SELECT i, k, 'It''s ' || k, md5(k::text)::uuid, timestamptz '2020-01-01 12:00+02' + k * interval '1 s',
           nullif(k, 700) FROM (SELECT i, CASE WHEN i % 10 = 0 THEN i ELSE 700 END AS k FROM generate_series(1, {ROWS}) i) t;
         CREATE TABLE heap AS SELECT * FROM keyed;
         CREATE TABLE late AS SELECT * FROM keyed ORDER BY (k = 700), id;
         CREATE TABLE pair (id bigint, k int, n int, PRIMARY KEY (k, n));
         INSERT INTO pair SELECT id, k, id FROM keyed;
         CREATE TABLE parts (id bigint, k int) PARTITION BY HASH (id);
         CREATE TABLE p0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
         CREATE TABLE p1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
         INSERT INTO parts SELECT id, k FROM keyed"
    ));
    for key in ["k", "s", "u", "at", "maybe"] {
        is_even(&db, json!({"table": "keyed", "splitPk": key}));
        is_even(&db, json!({"table": "heap", "splitPk": key}));
    }
    for table in ["late", "pair", "parts"] {
        is_even(&db, json!({"table": table, "splitPk": "k"}));
    }
    is_even(&db, json!({"table": "pair"}));
}

#[test]
fn a_range_that_most_rows_lie_in_is_cut_into_most_of_the_shares() {
    let db = server().database("ranges");
    // Nearly all ids lie in a ten-millionth of their range.
    db.sql(&format!(
        "CREATE TABLE t (id bigint PRIMARY KEY, day date, name text);
         INSERT INTO t SELECT CASE WHEN i % 1000 = 0 THEN i * 1000000000000 ELSE i END,
           date '2020-01-01' + (power(i, 0.3) * 10)::int, repeat('z', i / 10000) || i FROM generate_series(1, {ROWS}) i"
    ));
    for key in ["id", "day", "name"] {
        is_even(&db, json!({"table": "t", "splitPk": key}));
    }
}

#[test]
fn borders_of_a_large_table_come_from_a_sample_of_it() {
    let db = server().database("sampled");
    db.sql(&format!(
        "CREATE TABLE t (id bigint PRIMARY KEY, k int, note text);
         INSERT INTO t SELECT i, CASE WHEN i % 10 = 0 THEN i ELSE 7 END, repeat('x', 400) FROM generate_series(1, {ROWS}) i;
         CREATE INDEX ON t (k);
         CREATE TABLE scattered (u uuid PRIMARY KEY, id bigint, k int, note text);
         INSERT INTO scattered SELECT md5(i::text)::uuid, i, CASE WHEN i % 10 > 0 THEN 7 END, repeat('x', 400) FROM generate_series(1, {ROWS}) i;
         ANALYZE"
    ));
    let pages = db.sql("SELECT pg_relation_size('t') / 8192").parse::<u64>().unwrap();
    assert!(pages > 4096, "{pages} pages are looked at whole");
    is_even(&db, json!({"table": "t", "splitPk": "k", "column": ["id", "k"]}));
    is_even(&db, json!({"table": "t", "column": ["id"]}));
    let of_pages = |parameter: Value| {
        let mut reader = db.reader(parameter).unwrap();
        let plan = reader.plan(LANES as u32, &[]).unwrap();
        let splits = reader.splits(&plan.start, 100).unwrap().splits;
        splits.iter().filter(|split| String::from_utf8_lossy(&split.token).contains("ctid")).count()
    };
    // By a key that lies scattered each part would look at nearly all pages.
    let scattered = json!({"table": "scattered", "splitPk": "k", "column": ["id", "k"]});
    is_even(&db, scattered.clone());
    assert!(of_pages(scattered) > 10);
    assert_eq!(of_pages(json!({"table": "t", "splitPk": "k"})), 0);
    // Few rows of a sample meet a narrow filter, so all are looked at.
    let narrow = json!({"table": "t", "splitPk": "k", "column": ["id"], "where": "id % 200 = 1"});
    let all = db.read(narrow, LANES as u32).unwrap();
    assert_eq!(all.rows(), ROWS / 200);
    assert!(rows_of(&all).iter().all(|rows| *rows < 2 * ROWS / 200 / 20));
}

/// Reads all splits of a plan while another session writes between them; the planning session ends
/// before where it is not `kept`. Answers how often each id was read.
fn while_written(db: &Database<'_>, parameter: &Value, kept: bool) -> BTreeMap<i64, usize> {
    let mut planner = Some(db.reader(parameter.clone()).unwrap());
    let plan = planner.as_mut().unwrap().plan(LANES as u32, &[]).unwrap();
    let splits = planner.as_mut().unwrap().splits(&plan.start, 1000).unwrap();
    assert!(splits.last && splits.splits.len() > LANES);
    if !kept {
        drop(planner.take());
    }
    let mut lane = db.reader(parameter.clone()).unwrap();
    let mut seen = BTreeMap::new();
    for (index, split) in splits.splits.into_iter().enumerate() {
        let low = 1_000_000 + index * 10;
        db.sql(&format!(
            "INSERT INTO t SELECT i, 7, md5(i::text) FROM generate_series({low}, {low} + 9) i;
             INSERT INTO t SELECT -i, i, 'm' FROM generate_series({low}, {low} + 9) i;
             UPDATE t SET note = note || 'x' WHERE id % 11 = 0"
        ));
        for batch in read_split(&mut lane, split, &plan.datasets).unwrap().0 {
            for id in batch.column(0).as_primitive::<Int64Type>().values() {
                *seen.entry(*id).or_default() += 1;
            }
        }
    }
    db.sql("DELETE FROM t WHERE id < 0 OR id >= 1000000");
    seen
}

#[test]
fn rows_that_come_while_a_table_is_read_double_and_lose_none() {
    let db = server().database("written");
    db.sql(
        "CREATE TABLE t (id bigint PRIMARY KEY, k int, note text);
         INSERT INTO t SELECT i, CASE WHEN i % 10 = 0 THEN i ELSE 7 END, md5(i::text) FROM generate_series(1, 5000) i",
    );
    for key in ["id", "k", "note", "ctid"] {
        let parameter = json!({"table": "t", "splitPk": key});
        // All sessions read the snapshot of the plan.
        let seen = while_written(&db, &parameter, true);
        assert_eq!(seen.len(), 5000, "{key}");
        assert!(seen.values().all(|count| *count == 1), "{key}");
        // Without it rows are read as they are, and those that were there come once.
        if key == "id" || key == "k" {
            let seen = while_written(&db, &parameter, false);
            let old = seen.iter().filter(|(id, _)| (1..=5000).contains(*id));
            assert_eq!(old.clone().count(), 5000, "{key}");
            assert!(old.into_iter().all(|(_, count)| *count == 1), "{key}");
        }
    }
}
