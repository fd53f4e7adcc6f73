//! One session a lane and side: hundreds of splits do not mean hundreds of logins.

use serde_json::json;
use tests::{Document, Env, PgServer};

/// `concurrent`, and on each side one session to plan or prepare, and one to spare.
const LOGINS_MAX: usize = 6;

#[test]
fn four_hundred_splits_take_at_most_six_logins_a_side() {
    let server = PgServer::shared();
    let (source, destination) = (server.database(), server.database());
    source.setup("create table numbers (id bigint primary key, half numeric(12,1) not null)");
    source.setup("insert into numbers select n, n / 2.0 from generate_series(1, 20000) n");
    destination.setup("create table numbers (id bigint primary key, half numeric(12,1) not null)");
    let mut env = Env::new();
    source.admit(&mut env);
    let sources = json!({
        "from": {"type": "postgresql", "properties": source.properties()},
        "to": {"type": "postgresql", "properties": destination.properties()},
    });
    env.write_json("datasources.json", &sources);
    let reader =
        json!({"datasource": "from", "table": "numbers", "splitPk": "id", "splitFactor": 100});
    let writer = json!({"datasource": "to", "table": "numbers"});
    let job = Document::new(("postgresql", reader), ("postgresql", writer)).concurrent(4);
    env.write_json("job.json", job.json());
    let output = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(0);
    assert_eq!(output.json()["tasks"], 400, "{output}");
    assert_eq!(output.json()["records_written"], 20000, "{output}");
    let sums = "select concat_ws(' ', count(*), sum(id), sum(half)) from numbers";
    assert_eq!(source.sql(sums), destination.sql(sums));
    for (side, database) in [("reader", source), ("writer", destination)] {
        let logins = database.logins();
        assert!((1..=LOGINS_MAX).contains(&logins), "{logins} logins of the {side}");
    }
}
