//! A row that the destination refuses does not cost a COPY for every row around it.

use serde_json::json;
use tests::{Document, Env, PgServer, document, soak};

/// How the destination refuses a row.
#[derive(Clone, Copy)]
enum Guard {
    /// A check, with which the server names the row.
    Check,
    /// A foreign key, which is looked at behind the COPY, so that no row is named.
    ForeignKey,
}

/// COPYs of a run of `rows` rows, of which the destination refuses one.
fn copies(guard: Guard, rows: u32, refused: Option<u32>) -> usize {
    let database = PgServer::shared().database();
    database.setup(&match guard {
        Guard::Check => "create table guarded (id bigint, constraint small check (id < 100000000))".to_owned(),
        Guard::ForeignKey => format!(
            "create table known (id bigint primary key); insert into known select generate_series(0, {rows}); \
             create table guarded (id bigint references known)"
        ),
    });
    let mut env = Env::new();
    database.admit(&mut env);
    let mut text = "id\n".to_owned();
    for row in 0..rows {
        let value = if refused == Some(row) { 100_000_000 + row } else { row };
        text += &format!("{value}\n");
    }
    env.write("rows.csv", text);
    let column = json!([{"index": 0, "type": "bigint", "name": "id"}]);
    let reader =
        json!({"path": ["rows.csv"], "fileFormat": "csv", "header": true, "column": column});
    let job = Document::new(("file", reader), document::table("guarded")).tolerating(1);
    env.write_json("job.json", job.json());
    let summary = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(0).json();
    let dirty = u32::from(refused.is_some());
    assert_eq!(summary["records_dirty"], dirty);
    assert_eq!(database.count("select count(*) from guarded"), u64::from(rows - dirty));
    // The log says failed ones a second time, as the statement of an error.
    database.statements("log:  statement: copy ")
}

fn one_bad_row_costs_at_most_log2_more_copies(guard: Guard) {
    let rows = if soak() { 1_000_000 } else { 100_000 };
    let good = copies(guard, rows, None);
    assert!(good > 0);
    for bad in [0, rows / 3, rows - 1] {
        let more = copies(guard, rows, Some(bad)) - good;
        // What is sent again goes in smaller COPYs at first.
        let again = 4;
        assert!(
            more as u32 <= rows.ilog2() + again,
            "{more} more COPYs than {good}, for row {bad}"
        );
    }
}

#[test]
fn one_row_that_the_server_names() {
    one_bad_row_costs_at_most_log2_more_copies(Guard::Check);
}

#[test]
fn one_row_that_the_server_does_not_name() {
    one_bad_row_costs_at_most_log2_more_copies(Guard::ForeignKey);
}
