use serde_json::{Value, json};
use tests::{Database, Document, Env, Output, PgServer, Stopped, document, tree};

/// A job from texts into `people`, whose writer has these parameters, that has run.
fn job(rows: &str, dirty: u64, parameters: Value) -> (Env, Database, String) {
    let database = PgServer::shared().database();
    database.setup("create table people (id bigint primary key, amount numeric(10,2), note text)");
    let mut env = Env::new();
    database.admit(&mut env);
    env.write("rows.csv", format!("id,amount,note\n{rows}"));
    let text = |index: u32, name: &str| json!({"index": index, "type": "string", "name": name});
    let column = json!([text(0, "id"), text(1, "amount"), text(2, "note")]);
    let reader =
        json!({"path": ["rows.csv"], "fileFormat": "csv", "header": true, "column": column});
    let (kind, mut writer) = document::table("people");
    writer.as_object_mut().unwrap().extend(parameters.as_object().unwrap().clone());
    let job = Document::new(("file", reader), (kind, writer)).tolerating(dirty);
    env.write_json("job.json", job.json());
    let run = env.airlock(&["run", "job.json", "-o", "json"]).run().expect(0).json();
    assert_eq!(run["records_dirty"], dirty, "{run}");
    let id = run["run_id"].as_str().unwrap().to_owned();
    (env, database, id)
}

fn replay(env: &Env, run: &str, more: &[&str]) -> Output {
    env.airlock(&[&["dirty", "replay", run, "-o", "json"], more].concat()).run()
}

fn counts(output: &Value) -> [u64; 3] {
    ["replayed", "dirty", "raw"].map(|key| output[key].as_u64().unwrap())
}

#[test]
fn dirty_records_are_sent_again_after_fixes_and_nothing_else_happens() {
    let rows = "1,1.50,a\n2,\"1,000.50\",b\n3,\"3,000.50\",c\n4,4 EUR,after\n5,too,many,fields\n";
    let takes_away = json!({
        "preSql": ["truncate @table"],
        "postSql": ["delete from @table where note = 'after'"],
    });
    let (env, database, id) = job(rows, 4, takes_away);
    let fix = ["--fix", "amount=REPLACE(amount, ',', '')"];
    let dry = replay(&env, &id, &[&fix[..], &["--dry-run", "--where", "id <> '3'"]].concat());
    let dry = dry.expect(0).json();
    let shape = &dry["shapes"][0];
    assert_eq!((&shape["records"], &shape["left_out"]), (&json!(2), &json!(1)), "{dry}");
    assert_eq!(shape["rows"][0], json!(["2", "1000.50", "b"]));
    assert_eq!(database.count("select count(*) from people"), 1);

    let first = replay(&env, &id, &[&fix[..], &["--where", "id <> '3'"]].concat());
    let first = first.expect(0).json();
    assert_eq!((counts(&first), &first["left_out"]), ([1, 2, 1], &json!(1)), "{first}");
    let listed = env.airlock(&["dirty", "list", &id, "-o", "json"]).run().expect(0).json();
    let replayed: u64 = listed["reasons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["replayed"].as_u64().unwrap())
        .sum();
    assert_eq!((&listed["count"], replayed), (&json!(4), 1), "{listed}");

    // Only what is left; what cannot be fixed stays, with the reason of now.
    let second =
        replay(&env, &id, &["--fix", "amount=CAST(REPLACE(amount, ',', '') AS decimal(10,2))"]);
    assert_eq!(counts(&second.expect(0).json()), [1, 1, 1]);
    let shown = env.airlock(&["dirty", "show", &id]).run().expect(0).stdout;
    assert!(shown.contains("fix of column \"amount\"") && shown.contains("replayed by"), "{shown}");
    assert!(shown.contains("amount: 4 EUR"), "{shown}");
    let third = replay(&env, &id, &["--fix", "amount=NULL"]).expect(0).json();
    assert_eq!(counts(&third), [1, 0, 1], "{third}");
    let none = replay(&env, &id, &[]).expect(0).json();
    assert_eq!((counts(&none), &none["replays"]), ([0, 0, 1], &json!([])));
    assert_eq!(
        database.sql("select id, amount, note from people order by id"),
        "1|1.50|a\n2|1000.50|b\n3|3000.50|c\n4||after\n"
    );

    let replayed = third["replays"][0]["run_id"].as_str().unwrap();
    assert_eq!(replay(&env, replayed, &[]).expect(2).error_code(), "replay.of_replay");
    let unknown = replay(&env, &id, &["--fix", "amuont=1", "--where", "TRUE"]).expect(0);
    assert_eq!(counts(&unknown.json()), [0, 0, 1], "nobody is left who could miss it");
}

#[test]
fn what_the_destination_refused_goes_there_as_it_was() {
    let (env, database, id) = job("1,1.50,a\n1,2.50,b\n7,x,c\n", 2, json!({}));
    let wrong = replay(&env, &id, &["--fix", "nothing=1"]).expect(2);
    assert_eq!(wrong.error_code(), "replay.column", "{wrong}");
    let again = replay(&env, &id, &["--fix", "id=CAST(id AS bigint) + 1"]).expect(0).json();
    assert_eq!(again["replays"].as_array().unwrap().len(), 2, "each shape is a run of its own");
    assert_eq!(counts(&again), [1, 1, 0], "{again}");
    assert_eq!(
        database.sql("select id, amount, note from people order by id"),
        "1|1.50|a\n2|2.50|b\n"
    );
}

#[test]
fn a_replay_that_is_killed_loses_and_doubles_nothing() {
    const ROWS: usize = 12_000;
    let note = "n".repeat(6000);
    // Each tenth stays dirty.
    let amount = |row: usize| {
        if row.is_multiple_of(10) { "one".into() } else { format!("1,{:02}", row % 100) }
    };
    let row = |row: usize| format!("{row},\"{}\",{note}\n", amount(row));
    let rows: String = (0..ROWS).map(row).collect();
    let (env, database, id) = job(&rows, ROWS as u64, json!({}));
    // Without its key, a row that is sent twice is there twice.
    database.sql("alter table people drop constraint people_pkey");
    let arguments = ["dirty", "replay", &id, "--fix", "amount=REPLACE(amount, ',', '.')"];
    let stops = [
        "writer.prepare:1:after",
        "writer.commit:1:before",
        "writer.commit:1:after",
        "store.checkpoint:1:after",
        "writer.close:1:after",
        "store.complete:1:after",
        "writer.finish:1:after",
        "store.happened:2:before",
    ];
    for stop in stops {
        let program = env.program(&tree::stops(), &arguments);
        Stopped::at(program, stop, env.root()).unwrap().kill();
    }
    let other = replay(&env, &id, &["--fix", "amount=NULL"]).expect(2);
    assert_eq!(other.error_code(), "replay.unfinished", "{other}");
    let done = env.airlock(&arguments).run().expect(0);
    assert!(
        done.stdout.contains("10,800 dirty records of run")
            && done.stdout.contains("1,200 dirty still"),
        "{done}"
    );
    let counted = "select count(*), count(distinct id), sum(id) from people";
    assert_eq!(database.sql(counted), "10800|10800|64800000\n");
    let none = replay(&env, &id, &[]).expect(0).json();
    assert_eq!(counts(&none), [0, 1200, 0], "{none}");
    assert_eq!(database.sql(counted), "10800|10800|64800000\n");
}

#[test]
fn rows_that_were_swapped_in_stay_and_a_partition_is_not_replaced() {
    let (env, database, id) = job("1,1.50,a\n2,x,b\n", 1, json!({"loadMode": "swap"}));
    let done = replay(&env, &id, &["--fix", "amount='2.50'"]).expect(0).json();
    assert_eq!(done["replays"][0]["commit_mode"], "transactional", "{done}");
    let rows = "select id, amount, note from people order by id";
    assert_eq!(database.sql(rows), "1|1.50|a\n2|2.50|b\n");
    let (env, _database, id) = job("1,1.50,a\n2,x,a\n", 1, json!({"partition": "note=a"}));
    let refused = replay(&env, &id, &["--fix", "amount='2.50'"]).expect(2);
    assert_eq!(refused.error_code(), "replay.cannot_add", "{refused}");
}
