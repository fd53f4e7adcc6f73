//! The reader against a real server.

use std::collections::BTreeMap;

use crate::support::{
    BUDGET, Database, PASSWORD, ReadAll, code, configuration, fault, read_split, server,
};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_schema::DataType;
use postgresql::reader::PostgresReader;
use sdk::{Budget, Cursor, Reader, Side, Step};
use serde_json::{Value, json};

/// How often each `id` was read, over all splits.
fn ids(all: &ReadAll) -> BTreeMap<i64, usize> {
    let mut seen = BTreeMap::new();
    for batch in all.batches() {
        let column = batch.column_by_name("id").unwrap();
        for id in column.as_primitive::<Int64Type>().values() {
            *seen.entry(*id).or_default() += 1;
        }
    }
    seen
}

fn covers(db: &Database<'_>, parameter: Value, parallelism: u32, splits_min: usize) {
    let all = db.read(parameter.clone(), parallelism).unwrap();
    let seen = ids(&all);
    assert_eq!(seen.len(), 10_000, "{parameter}");
    assert!(seen.values().all(|count| *count == 1), "{parameter}");
    assert!(all.splits.len() >= splits_min, "{parameter}: {} splits", all.splits.len());
    assert!(all.undecodable.is_empty());
}

#[test]
fn splits_cover_every_row_exactly_once() {
    let db = server().database("splits");
    db.sql(
        "CREATE TABLE t (id bigint PRIMARY KEY, maybe int, name text, uid uuid, day date, at timestamptz, amount numeric(10,2), flat int);
         INSERT INTO t SELECT i, CASE WHEN i % 10 = 0 THEN NULL ELSE i - 5000 END,
           CASE WHEN i % 7 = 0 THEN NULL ELSE 'It''s ' || md5(i::text) END, md5(i::text)::uuid,
           date '2020-01-01' + i % 300, timestamptz '2020-01-01 00:00+02' + i * interval '1 minute',
           i / 3.0, 7 FROM generate_series(1, 10000) i;
         CREATE TABLE parts (id bigint, k int) PARTITION BY LIST (k);
         CREATE TABLE p0 PARTITION OF parts FOR VALUES IN (0);
         CREATE TABLE p1 PARTITION OF parts FOR VALUES IN (1, 2);
         INSERT INTO parts SELECT i, i % 3 FROM generate_series(1, 10000) i;
         CREATE VIEW v AS SELECT * FROM t;
         ANALYZE",
    );
    for key in ["id", "maybe", "name", "uid", "day", "at", "amount"] {
        covers(
            &db,
            json!({"table": "t", "column": ["*"], "splitPk": key, "splitFactor": 4}),
            3,
            12,
        );
    }
    covers(&db, json!({"table": "t", "splitPk": "flat"}), 3, 1);
    covers(&db, json!({"table": "t", "column": ["id", "name"]}), 3, 15);
    covers(&db, json!({"table": ["public.parts"]}), 2, 10);
    covers(&db, json!({"table": "v", "column": ["id"]}), 3, 1);
    covers(&db, json!({"table": "v", "column": ["id"], "splitPk": "id"}), 2, 10);
    covers(&db, json!({"querySql": "SELECT id, id AS id FROM t -- all ;"}), 2, 1);
    covers(&db, json!({"table": "t", "splitPk": "id", "splitFactor": 100}), 10, 1000);
}

#[test]
fn an_empty_table_and_one_of_nulls_can_be_split() {
    let db = server().database("empties");
    db.sql("CREATE TABLE e (id bigint, s text); CREATE TABLE n (id bigint, s text); INSERT INTO n VALUES (NULL, NULL)");
    for key in ["id", "s"] {
        assert_eq!(db.read(json!({"table": "e", "splitPk": key}), 4).unwrap().rows(), 0);
        assert_eq!(db.read(json!({"table": "n", "splitPk": key}), 4).unwrap().rows(), 1);
    }
    assert_eq!(db.read(json!({"table": "e"}), 4).unwrap().rows(), 0);
}

#[test]
fn filters_constants_and_expressions_are_sql() {
    let db = server().database("expressions");
    db.sql(
        "CREATE TABLE \"Odd Name\" (id bigint, \"Mixed\" int, name text);
         INSERT INTO \"Odd Name\" SELECT i, i * 2, 'n' || i FROM generate_series(1, 100) i",
    );
    let all = db
        .read(
            json!({
                "table": "\"Odd Name\"",
                "column": ["ID", "Mixed", "'abc'", "1", "null", "upper(name)", "2.3", "true", "id -- again"],
                "where": "id > 90 OR id = 1; ",
                "splitPk": "id"
            }),
            2,
        )
        .unwrap();
    assert_eq!(all.rows(), 11);
    let names: Vec<_> = all.datasets[0].schema.fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(
        names,
        ["id", "Mixed", "'abc'", "1", "null", "upper(name)", "2.3", "true", "id -- again"]
    );
    let batch = all.batches().last().unwrap();
    let last = batch.num_rows() - 1;
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(last), 100);
    assert_eq!(batch.column(1).as_primitive::<Int32Type>().value(last), 200);
    assert_eq!(batch.column(2).as_string::<i32>().value(last), "abc");
    assert_eq!(batch.column(4).null_count(), batch.num_rows());
    assert_eq!(batch.column(5).as_string::<i32>().value(last), "N100");
    assert_eq!(batch.column(6).as_string::<i32>().value(last), "2.3");
}

#[test]
fn the_plan_names_types_and_key() {
    let db = server().database("plans");
    db.sql("CREATE DOMAIN cents AS numeric(12,2) NOT NULL; CREATE TABLE t (b int, a bigint, c cents, i interval, PRIMARY KEY (a, b))");
    let mut reader = db.reader(json!({"table": "t"})).unwrap();
    let plan = reader.plan(1, &[]).unwrap();
    let dataset = &plan.datasets[0];
    assert_eq!(dataset.path, ["public", "t"]);
    assert_eq!(dataset.primary_key, ["a", "b"]);
    let types: Vec<_> = dataset
        .schema
        .fields()
        .iter()
        .map(|f| f.metadata().get("pg:type").cloned().unwrap())
        .collect();
    assert_eq!(types, ["integer", "bigint", "numeric(12,2)", "interval"]);
    assert!(!dataset.schema.field(0).is_nullable());
    assert!(dataset.schema.field(3).is_nullable());
}

#[test]
fn all_sessions_read_the_snapshot_of_the_plan() {
    let db = server().database("snapshots");
    db.sql("CREATE TABLE t (id bigint PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 1000)");
    let parameter = json!({"table": "t", "splitPk": "id"});
    let mut planner = db.reader(parameter.clone()).unwrap();
    let plan = planner.plan(1, &[]).unwrap();
    let splits = planner.splits(&plan.start, 100).unwrap();
    assert!(splits.last);
    db.sql("INSERT INTO t SELECT generate_series(1001, 2000); DELETE FROM t WHERE id <= 10");
    let count = |reader: &mut postgresql::reader::PostgresReader| -> usize {
        let read =
            |split: &sdk::Split| read_split(reader, split.clone(), &plan.datasets).unwrap().0;
        let batches: Vec<_> = splits.splits.iter().flat_map(read).collect();
        batches.iter().map(|batch| batch.num_rows()).sum()
    };
    let mut lane = db.reader(parameter.clone()).unwrap();
    assert_eq!(count(&mut lane), 1000);
    assert_eq!(count(&mut planner), 1000);
    // Without the session that planned, the table is read as it is.
    drop(planner);
    let gone = || {
        db.sql("SELECT count(*) FROM pg_stat_activity WHERE datname = 'snapshots' AND backend_type = 'client backend' AND pid <> pg_backend_pid()") == "1"
    };
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !gone() {
        assert!(std::time::Instant::now() < end, "the planner's session stays");
    }
    assert_eq!(count(&mut lane), 1990);
}

#[test]
fn a_row_that_cannot_be_represented_is_set_aside_whole() {
    let db = server().database("misfits");
    db.sql(
        "CREATE TABLE t (id bigint, a int[], s text);
         INSERT INTO t VALUES (1, '{1,2}', 'x'), (2, '{{1,2},{3,4}}', 'y'), (3, '[0:1]={5,6}', 'z'), (4, NULL, NULL), (5, '{}', '')",
    );
    let all = db.read(json!({"table": "t"}), 1).unwrap();
    assert_eq!(ids(&all).into_keys().collect::<Vec<_>>(), [1, 4, 5]);
    assert_eq!(all.undecodable.len(), 2);
    assert!(all.undecodable.iter().all(|row| row.code == "postgresql.array_shape"));
    assert!(all.undecodable[0].data.windows(1).any(|byte| byte == b"y"));
    let query = "SELECT 1::bigint AS id, n::numeric(5,2) FROM unnest('{1.5,NaN}'::numeric[]) n";
    let nan = db.read(json!({"querySql": query}), 1).unwrap();
    assert_eq!((nan.rows(), nan.undecodable.len()), (2, 0));
    // The last years of the server's calendar, and the one instant that stands for infinity.
    let query = "SELECT 1::bigint AS id, t::timestamp FROM unnest('{294276-12-31,294247-01-10 04:00:54.775807,294247-01-10 04:00:54.775806,infinity}'::text[]) t";
    let late = db.read(json!({"querySql": query}), 1).unwrap();
    assert_eq!((late.rows(), late.undecodable.len()), (2, 2));
    // The text of the whole column comes back for every shape.
    let all = db.read(json!({"table": "t", "column": ["id", "a::text"]}), 1).unwrap();
    assert_eq!((all.rows(), all.undecodable.len()), (5, 0));
}

#[test]
fn batches_keep_to_the_budget_and_waiting_is_idle() {
    let db = server().database("budgets");
    let query = "SELECT i::bigint AS id, repeat('x', 1000) AS s FROM generate_series(1, 2000) i";
    let mut reader = db.reader(json!({"querySql": query})).unwrap();
    let plan = reader.plan(1, &[]).unwrap();
    let split = reader.splits(&plan.start, 10).unwrap().splits.remove(0);
    let mut cursor = reader.open(split, None, plan.datasets.clone()).unwrap();
    let mut sizes = Vec::new();
    loop {
        match cursor.next(Budget { rows: 100, ..BUDGET }).unwrap() {
            Step::Rows(rows) => sizes.push(rows.batches[0].rows.num_rows()),
            Step::Ended(_) => break,
            _ => {}
        }
    }
    assert_eq!(sizes.iter().sum::<usize>(), 2000);
    assert!(sizes.iter().all(|size| *size <= 100));

    let mut reader = db.reader(json!({"querySql": "SELECT 1 AS one, pg_sleep(2)::text"})).unwrap();
    let plan = reader.plan(1, &[]).unwrap();
    let split = reader.splits(&plan.start, 10).unwrap().splits.remove(0);
    let mut cursor = reader.open(split.clone(), None, plan.datasets.clone()).unwrap();
    assert!(matches!(cursor.next(Budget { wait_ms: 10, ..BUDGET }).unwrap(), Step::Idle));
    // A cursor that is dropped in the middle does not spoil the session.
    drop(cursor);
    assert_eq!(read_split(&mut reader, split, &plan.datasets).unwrap().0[0].num_rows(), 1);
}

#[test]
fn a_server_that_ends_the_session_is_a_passing_fault() {
    let db = server().database("killed");
    let query = "SELECT i, pg_sleep(0.001)::text FROM generate_series(1, 1000000) i";
    let mut reader = db.reader(json!({"querySql": query})).unwrap();
    let plan = reader.plan(1, &[]).unwrap();
    let split = reader.splits(&plan.start, 10).unwrap().splits.remove(0);
    let mut cursor = reader.open(split, None, plan.datasets).unwrap();
    db.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'killed' AND pid <> pg_backend_pid()");
    let fault = loop {
        match cursor.next(BUDGET) {
            Ok(Step::Ended(_)) => panic!("the end of a session is not the end of the rows"),
            Ok(_) => {}
            Err(fault) => break fault,
        }
    };
    assert_eq!(fault.code, "postgresql.server_shutdown");
    assert_eq!((fault.domain, fault.retry_after_ms), (sdk::FaultDomain::External, Some(0)));
}

#[test]
fn what_the_document_gets_wrong_is_said() {
    let db = server().database("wrong");
    db.sql("CREATE TABLE orders (order_id bigint, note text)");
    let plan = |parameter: Value| db.reader(parameter).and_then(|mut reader| reader.plan(1, &[]));
    let wrong = fault(plan(json!({"table": "ordres"})));
    assert_eq!(wrong.code, "postgresql.table_not_found");
    assert_eq!(wrong.hint.as_deref(), Some("did you mean \"public.orders\"?"));
    let wrong = fault(plan(json!({"table": "orders", "column": ["ordr_id"]})));
    assert_eq!(wrong.code, "postgresql.column_not_found");
    assert!(wrong.hint.unwrap().contains("order_id"));
    let wrong = fault(plan(json!({"table": "orders", "splitPk": "order_ID_"})));
    assert_eq!(wrong.code, "postgresql.column_not_found");
    assert_eq!(wrong.place.as_deref(), Some("/parameter/splitPk"));
    assert_eq!(code(plan(json!({"table": "other.public.orders"}))), "parameter.invalid");
    assert_eq!(code(plan(json!({"table": ["orders", "b"]}))), "postgresql.table_not_found");
    assert_eq!(code(plan(json!({}))), "parameter.invalid");
    assert_eq!(code(db.read(json!({"querySql": "SELECT 1/0 AS x"}), 1)), "postgresql.row_refused");
}

#[test]
fn the_plan_tries_the_statements_before_anything_is_written() {
    let db = server().database("tried");
    db.sql(
        "CREATE TABLE orders (order_id bigint, doc json); CREATE TABLE closed (id bigint);
         CREATE ROLE trier LOGIN PASSWORD 't'; GRANT SELECT ON orders TO trier",
    );
    let mut connection = db.connection();
    connection["username"] = json!("trier");
    connection["password"] = json!("t");
    let wrong = |parameter: Value| {
        let reader = PostgresReader::connect(&configuration(Side::Reader, &connection, &parameter));
        let fault = fault(reader.and_then(|mut reader| reader.plan(1, &[])));
        (fault.code, fault.place.unwrap_or_default())
    };
    let cases = [
        (json!({"querySql": "SELEC 1"}), "syntax_error", "querySql"),
        (json!({"querySql": "DELETE FROM orders RETURNING 1"}), "syntax_error", "querySql"),
        (json!({"table": "orders", "where": "order_id >"}), "syntax_error", "where"),
        (json!({"table": "orders", "where": "ordr_id > 1"}), "column_not_found", "where"),
        (json!({"table": "closed"}), "permission_denied", "table"),
        (json!({"table": "orders", "splitPk": "doc"}), "statement_invalid", "splitPk"),
    ];
    for (parameter, code, place) in cases {
        let expected = (format!("postgresql.{code}"), format!("/parameter/{place}"));
        assert_eq!(wrong(parameter.clone()), expected, "{parameter}");
    }
}

/// The labels of the plan's splits.
fn labels(db: &Database<'_>, parameter: Value) -> Vec<String> {
    let mut reader = db.reader(parameter).unwrap();
    let plan = reader.plan(2, &[]).unwrap();
    let splits = reader.splits(&plan.start, 100).unwrap().splits;
    splits.into_iter().map(|split| split.label).collect()
}

#[test]
fn a_table_is_split_by_its_key_where_it_has_one() {
    let db = server().database("keys");
    db.sql(
        "CREATE TABLE keyed (id bigint PRIMARY KEY, note text);
         INSERT INTO keyed SELECT i, repeat('x', 100) FROM generate_series(1, 10000) i;
         CREATE TABLE texts (name text COLLATE \"und-x-icu\" PRIMARY KEY, id bigint);
         INSERT INTO texts SELECT md5(i::text) || chr(192 + i % 300), i FROM generate_series(1, 10000) i;
         CREATE TABLE heap AS SELECT * FROM keyed; CREATE TABLE small (id bigint PRIMARY KEY)",
    );
    let begin = |parameter: Value, text: &str, count: usize| {
        let labels = labels(&db, parameter);
        assert!(labels.iter().all(|label| label.starts_with(text)), "{labels:?}");
        assert_eq!(labels.len(), count, "{labels:?}");
    };
    begin(json!({"table": "keyed"}), "id ", 10);
    begin(json!({"table": "texts"}), "name, range ", 10);
    begin(json!({"table": "keyed", "splitPk": "ctid"}), "pages ", 10);
    begin(json!({"table": "heap"}), "pages ", 10);
    begin(json!({"table": "small"}), "all rows", 1);
    covers(&db, json!({"table": "texts"}), 2, 10);
    covers(&db, json!({"table": "texts", "splitPk": "name", "splitFactor": 100}), 2, 200);
}

#[test]
fn rows_that_move_are_read_once_without_the_snapshot() {
    let db = server().database("moves");
    db.sql("CREATE TABLE t (id bigint PRIMARY KEY, note text) WITH (fillfactor = 100); INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 10000) i");
    let parameter = json!({"table": "t"});
    let mut planner = db.reader(parameter.clone()).unwrap();
    let plan = planner.plan(2, &[]).unwrap();
    let splits = planner.splits(&plan.start, 100).unwrap().splits;
    drop(planner);
    let mut seen = BTreeMap::new();
    for split in splits {
        let mut reader = db.reader(parameter.clone()).unwrap();
        let (batches, _) = read_split(&mut reader, split, &plan.datasets).unwrap();
        for batch in batches {
            for id in batch.column(0).as_primitive::<Int64Type>().values() {
                *seen.entry(*id).or_insert(0) += 1;
            }
        }
        // Each of these rows gets a new place in the table.
        db.sql("UPDATE t SET note = note || 'y' WHERE id % 3 = 0");
    }
    assert_eq!(seen.len(), 10_000);
    assert!(seen.values().all(|count| *count == 1));
}

#[test]
fn foreign_tables_are_read_with_the_nulls_that_they_deny() {
    let db = server().database("foreigners");
    let port = db.connection()["port"].to_string();
    db.sql(&format!(
        "CREATE TABLE there (id bigint, k int);
         INSERT INTO there SELECT i, CASE WHEN i % 5 > 0 THEN i END FROM generate_series(1, 10000) i;
         CREATE EXTENSION postgres_fdw;
         CREATE SERVER loop FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '{port}', dbname 'foreigners');
         CREATE USER MAPPING FOR postgres SERVER loop OPTIONS (user 'postgres', password '{PASSWORD}');
         CREATE FOREIGN TABLE here (id bigint, k int NOT NULL) SERVER loop OPTIONS (table_name 'there')"
    ));
    // The reader says NULL where the catalog says that there is none, so only the ids are read.
    covers(&db, json!({"table": "here", "column": ["id"], "splitPk": "k"}), 2, 10);
    covers(&db, json!({"table": "here", "column": ["id"]}), 2, 1);
}

#[test]
fn arrays_of_any_shape_are_read_as_text() {
    let db = server().database("shapes");
    db.sql(
        "CREATE TABLE made AS SELECT 1::bigint AS id, '{{1,2},{3,4}}'::int[] AS a UNION ALL SELECT 2, '[0:1]={5,6}';
         CREATE TABLE flat (id bigint, a int[]); INSERT INTO flat VALUES (1, '{1}')",
    );
    let of = |parameter: Value| {
        let all = db.read(parameter, 1).unwrap();
        let kind = all.datasets[0].schema.field(1).data_type().clone();
        (all.rows(), all.undecodable.len(), kind == DataType::Utf8)
    };
    assert_eq!(of(json!({"table": "made"})), (2, 0, true));
    assert_eq!(of(json!({"table": "flat"})), (1, 0, false));
    assert_eq!(of(json!({"querySql": "SELECT 1::bigint AS id, array[1, 2] AS a"})), (1, 0, false));
    db.sql("CREATE TABLE copied (id bigint, a int[])");
    db.copy(json!({"table": "made"}), json!({"table": "copied"}), "r").unwrap();
    assert_eq!(db.sql("SELECT a FROM copied ORDER BY id"), "{{1,2},{3,4}}\n[0:1]={5,6}");
}

#[test]
fn the_plug_ins_own_settings_hold_whatever_the_user_sets() {
    let db = server().database("settings");
    let session = json!([
        "SET DateStyle = 'German'; SET bytea_output = 'escape'",
        "SET extra_float_digits = 0",
        "SET work_mem = '5MB'"
    ]);
    let query = "SELECT '[2020-01-31 10:00,)'::tsrange AS r, current_setting('work_mem') AS w, current_setting('idle_in_transaction_session_timeout') AS i";
    let all = db.read(json!({"querySql": query, "session": session}), 1).unwrap();
    let batch = all.batches().next().unwrap();
    let text = |column: usize| batch.column(column).as_string::<i32>().value(0).to_owned();
    assert_eq!(
        (text(0), text(1), text(2)),
        ("[\"2020-01-31 10:00:00\",)".into(), "5MB".into(), "0".into())
    );
    let wrong = fault(db.reader(json!({"table": "t", "session": "SET nothing_known = 1"})));
    assert_eq!(wrong.place.as_deref(), Some("/parameter/session"));
}

#[test]
fn a_table_altered_since_the_plan_is_refused() {
    let db = server().database("altered");
    db.sql("CREATE TABLE t (id bigint)");
    let mut reader = db.reader(json!({"table": "t"})).unwrap();
    let plan = reader.plan(1, &[]).unwrap();
    let split = reader.splits(&plan.start, 1).unwrap().splits.remove(0);
    drop(reader);
    db.sql("ALTER TABLE t ADD COLUMN more int");
    let mut reader = db.reader(json!({"table": "t"})).unwrap();
    assert_eq!(
        code(reader.open(split, None, plan.datasets).map(|_| ())),
        "postgresql.table_changed"
    );
}
