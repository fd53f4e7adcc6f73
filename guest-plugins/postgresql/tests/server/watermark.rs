//! What is new since the last run.

use crate::support::{Database, fault, read_split, server};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use sdk::{Cursor, Position, Reader, Result, Step};
use serde_json::{Value, json};

/// What one run read.
#[derive(Debug)]
struct Run {
    ids: Vec<i64>,
    /// What the next run reads since.
    since: Vec<Position>,
    /// As the plan tells it.
    text: String,
}

/// Reads as a run would, behind the bookmarks `since`.
fn run(db: &Database<'_>, parameter: &Value, since: &[Position]) -> Result<Run> {
    let mut reader = db.reader(parameter.clone())?;
    let plan = reader.plan(2, since)?;
    let text = plan.datasets[0].metadata.iter().find(|(key, _)| key == "watermark");
    let text = text.map(|(_, text)| text.clone()).unwrap_or_default();
    let splits = reader.splits(&plan.start, 1000)?.splits;
    let mut ids = Vec::new();
    let mut given: Vec<Position> = Vec::new();
    for split in splits {
        for batch in read_split(&mut reader, split.clone(), &plan.datasets)?.0 {
            let column = batch.column_by_name("id").unwrap();
            ids.extend(column.as_primitive::<Int64Type>().values());
        }
        let mut cursor = reader.open(split, None, plan.datasets.clone())?;
        let bookmark = loop {
            if let Step::Ended(bookmark) = cursor.next(crate::support::BUDGET)? {
                break bookmark;
            }
        };
        given.extend(bookmark);
    }
    given.dedup();
    assert!(given.len() <= 1, "all splits give one bookmark: {given:?}");
    ids.sort_unstable();
    let since = if given.is_empty() { since.to_vec() } else { given };
    Ok(Run { ids, since, text })
}

/// What the mark of a column is called.
fn name(db: &Database<'_>, column: &str) -> String {
    format!("127.0.0.1:{}/{}.public.t.{column}", db.connection()["port"], db.name)
}

fn shown(since: &[Position]) -> String {
    String::from_utf8(since[0].clone()).unwrap()
}

#[test]
fn each_run_reads_what_the_one_before_did_not() {
    let db = server().database("marks");
    db.sql(
        "CREATE TABLE t (id bigint PRIMARY KEY, n int, big bigint, amount numeric(20,3), free numeric, day date,
           at timestamp, tz timestamptz, s text COLLATE \"und-x-icu\", v varchar(20));
         CREATE FUNCTION fill(low int, high int) RETURNS void LANGUAGE sql AS $$
           INSERT INTO t SELECT i, i, i * 10000000000, i / 8.0, i * 1e-25::numeric, date '2024-01-01' + i,
             timestamp '2024-01-01' + i * interval '1.000001 s', timestamptz '2024-01-01 00:00+08' + i * interval '1.000001 s',
             'Ä' || lpad(i::text, 9, '0'), lpad(i::text, 9, '0') FROM generate_series(low, high) i $$",
    );
    for column in ["n", "big", "amount", "free", "day", "at", "tz", "s", "v"] {
        db.sql("TRUNCATE t; SELECT fill(1, 500)");
        let parameter = json!({"table": "t", "column": ["id"], "watermark": {"column": column}});
        let first = run(&db, &parameter, &[]).unwrap();
        assert_eq!(first.ids, (1..=500).collect::<Vec<_>>(), "{column}");
        let begin = format!("{}=", name(&db, column));
        assert!(shown(&first.since).starts_with(&begin), "{first:?}");
        let nothing = run(&db, &parameter, &first.since).unwrap();
        assert_eq!((nothing.ids.len(), &nothing.since), (0, &first.since), "{column}");
        assert!(nothing.text.ends_with("nothing is new"), "{}", nothing.text);
        db.sql("SELECT fill(501, 1000)");
        let second = run(&db, &parameter, &first.since).unwrap();
        assert_eq!(second.ids, (501..=1000).collect::<Vec<_>>(), "{column}");
        assert!(second.text.contains(" above ") && second.text.contains(" up to "));
        // A mark of another column or table says nothing about this one.
        let other = json!({"table": "t", "column": ["id"], "watermark": {"column": "id"}});
        assert_eq!(run(&db, &other, &second.since).unwrap().ids.len(), 1000);
    }
}

#[test]
fn a_start_a_lag_and_a_filter_hold() {
    let db = server().database("lags");
    db.sql(
        "CREATE TABLE t (id bigint, n smallint, day date, at timestamptz);
         INSERT INTO t SELECT i, i, date '2024-01-01' + i, timestamptz '2024-01-01 00:00Z' + i * interval '1 min' FROM generate_series(1, 100) i",
    );
    let with = |watermark: Value| json!({"table": "t", "splitPk": "id", "watermark": watermark});
    let ids = |watermark: Value, since: &[Position]| run(&db, &with(watermark), since).unwrap().ids;
    assert_eq!(ids(json!({"column": "n", "start": 99}), &[]), [99, 100]);
    assert_eq!(ids(json!({"column": "at", "start": "2024-01-01 01:39:00Z"}), &[]), [99, 100]);
    // The start counts for the first run alone, and a lag only for the others.
    let mark =
        |column: &str, value: &str| vec![format!("{}={value}", name(&db, column)).into_bytes()];
    assert_eq!(ids(json!({"column": "n", "start": 1, "lag": 2}), &mark("n", "99")), [98, 99, 100]);
    assert_eq!(ids(json!({"column": "n", "start": 99, "lag": 50}), &[]), [99, 100]);
    assert_eq!(ids(json!({"column": "n", "lag": 40000}), &mark("n", "99")).len(), 100);
    assert_eq!(ids(json!({"column": "day", "lag": 1}), &mark("day", "2024-04-09")), [99, 100]);
    assert_eq!(ids(json!({"column": "at", "lag": 60}), &mark("at", "2024-01-01 01:40:00Z")), [100]);
    // With a lag nothing may be new and rows come all the same; the mark stays.
    let again = run(&db, &with(json!({"column": "n", "lag": 1})), &mark("n", "100")).unwrap();
    assert_eq!((again.ids, shown(&again.since)), (vec![100], format!("{}=100", name(&db, "n"))));
    db.sql("DELETE FROM t WHERE id > 98");
    let lower = run(&db, &with(json!({"column": "n", "lag": 3})), &mark("n", "100")).unwrap();
    assert_eq!((lower.ids, shown(&lower.since)), (vec![98], format!("{}=100", name(&db, "n"))));
    let mut filtered = with(json!({"column": "n"}));
    filtered["where"] = json!("id <= 50 -- old");
    let filtered = run(&db, &filtered, &mark("n", "48")).unwrap();
    assert_eq!(
        (filtered.ids, shown(&filtered.since)),
        (vec![49, 50], format!("{}=50", name(&db, "n")))
    );
}

#[test]
fn rows_without_a_value_are_not_lost_without_a_word() {
    let db = server().database("nulls");
    db.sql("CREATE TABLE t (id bigint, n int); INSERT INTO t VALUES (1, 1), (2, NULL), (3, NULL)");
    let with = |nulls: &str| json!({"table": "t", "watermark": {"column": "n", "nulls": nulls}});
    let refused = fault(run(&db, &with("refuse"), &[]).map(|_| ()));
    assert_eq!(
        (refused.code.as_str(), refused.domain),
        ("postgresql.watermark_null", sdk::FaultDomain::Data)
    );
    let skipped = run(&db, &with("skip"), &[]).unwrap();
    assert_eq!(skipped.ids, [1]);
    assert!(skipped.text.ends_with("rows without a value: 2, skipped"), "{}", skipped.text);
    let read = run(&db, &with("read"), &[]).unwrap();
    assert_eq!(read.ids, [1, 2, 3]);
    let again = run(&db, &with("read"), &read.since).unwrap();
    assert_eq!((again.ids, again.since), (vec![2, 3], read.since));
    db.sql("DELETE FROM t");
    let empty = run(&db, &with("refuse"), &[]).unwrap();
    assert!(empty.ids.is_empty() && empty.since.is_empty());
}

#[test]
fn what_cannot_be_a_watermark_is_refused() {
    let db = server().database("no_marks");
    db.sql("CREATE TABLE t (id bigint, u uuid, at timestamp, s text); INSERT INTO t VALUES (1, NULL, 'infinity', 'x')");
    let refused = |watermark: Value, since: &[Position]| {
        let fault =
            fault(run(&db, &json!({"table": "t", "watermark": watermark}), since).map(|_| ()));
        (fault.code, fault.place.unwrap_or_default())
    };
    let mark = vec![format!("{}=x", name(&db, "id")).into_bytes()];
    let cases: [(Value, &[Position], &str, &str); 6] = [
        (json!({"column": "u"}), &[], "watermark_type", "/column"),
        (json!({"column": "ids"}), &[], "column_not_found", "/column"),
        (json!({"column": "s", "lag": 1}), &[], "watermark_type", "/lag"),
        (json!({"column": "at"}), &[], "watermark_endless", "/column"),
        (json!({"column": "id", "start": "x"}), &[], "watermark_invalid", "/start"),
        (json!({"column": "id"}), &mark, "watermark_invalid", ""),
    ];
    for (watermark, since, code, place) in cases {
        let expected = (format!("postgresql.{code}"), format!("/parameter/watermark{place}"));
        assert_eq!(refused(watermark.clone(), since), expected, "{watermark}");
    }
    let query = json!({"querySql": "SELECT 1", "watermark": {"column": "id"}});
    assert_eq!(fault(db.reader(query).map(|_| ())).code, "parameter.invalid");
}
