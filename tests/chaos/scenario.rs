//! The jobs that are killed, and what must come out of each.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};
use tests::postgres::USER;
use tests::{
    Airlock, Database, Document, Env, MysqlDatabase, MysqlServer, Output, PgServer, Stopped,
    document, referee,
};

/// What is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// PostgreSQL to PostgreSQL, a table without a key; each task commits once, at its end.
    Table,
    /// CSV to Parquet, several files.
    Parquet,
    /// CSV to PostgreSQL, where the destination refuses some rows.
    Refused,
    /// The same of one long file that is packed, so that it is one task: it commits on its way, and goes
    /// on behind its last commit.
    Long,
    /// The long file to CSV, which is durable up to the middle of a part.
    Text,
    /// Several CSV files to JSON lines.
    Lines,
    /// CSV to PostgreSQL by key, in a schema where no marks can be kept: redone, a row replaces itself.
    Upsert,
    /// A file so long that its task ends one Parquet file and begins another: what is begun of such a
    /// file has no footer, and can't be made durable before its end.
    Huge,
    /// CSV to PostgreSQL, in the place of the rows that are there.
    Swap,
    /// CSV to MariaDB, where the destination refuses some rows.
    Mysql,
    /// CSV to SQLite, where the destination refuses some rows.
    Sqlite,
}

/// Rows of the large table and the bytes of each: two tasks of 40 MiB.
const LARGE_ROWS: u32 = 8192;
const LARGE: &str = "repeat(md5(n::text), 320)";
/// Files and rows of each in the scenarios that read CSV.
const FILES: u64 = 4;
const ROWS: u64 = 2000;
/// Rows of the long file and characters of each: 80 MiB, of which the destination commits 32 at a time.
const LONG_ROWS: u64 = 20_000;
const LONG_CHARACTERS: usize = 4096;
/// The file of SQLite.
const SQLITE: &str = "shop.db";
/// Rows of the huge file: 350 MiB, of which a Parquet file gets 256.
const HUGE_ROWS: u64 = 90_000;

impl Scenario {
    pub(crate) const ALL: [Self; 11] = [
        Self::Table,
        Self::Parquet,
        Self::Refused,
        Self::Long,
        Self::Text,
        Self::Lines,
        Self::Upsert,
        Self::Huge,
        Self::Swap,
        Self::Mysql,
        Self::Sqlite,
    ];

    /// The tasks of a run on one lane.
    pub(crate) fn tasks(self) -> u64 {
        match self {
            Self::Table => 2,
            Self::Long | Self::Text | Self::Huge => 1,
            _ => FILES,
        }
    }

    fn has_database(self) -> bool {
        matches!(self, Self::Table | Self::Refused | Self::Long | Self::Upsert | Self::Swap)
    }

    fn document(self, lanes: u32) -> Document {
        let (reader, writer) = match self {
            Self::Table => {
                let reader =
                    json!({"datasource": "pg", "table": "source", "splitFactor": 2 / lanes});
                (("postgresql", reader), logged_table("copy"))
            }
            Self::Parquet => (rows_reader("none"), document::out("parquet")),
            Self::Refused => (rows_reader("none"), logged_table("guarded")),
            Self::Long => (rows_reader("gzip"), document::table("guarded")),
            Self::Text => (rows_reader("gzip"), document::out("csv")),
            Self::Lines => (rows_reader("none"), document::out("jsonl")),
            Self::Upsert => {
                let (kind, mut parameter) = document::table("keyed");
                parameter["writeMode"] = "upsert".into();
                (rows_reader("none"), (kind, parameter))
            }
            Self::Swap => {
                let (kind, mut parameter) = logged_table("guarded");
                parameter["loadMode"] = "swap".into();
                (rows_reader("none"), (kind, parameter))
            }
            Self::Sqlite => {
                let (_, mut parameter) = logged_table("guarded");
                parameter["datasource"] = "shop".into();
                (rows_reader("none"), ("sqlite", parameter))
            }
            Self::Mysql => {
                let sql = |word: &str| {
                    format!("insert into log select concat('{word} ', count(*)) from guarded")
                };
                let parameter = json!({"datasource": "my", "table": "guarded",
                    "preSql": [sql("before")], "postSql": [sql("after")]});
                (rows_reader("none"), ("mysql", parameter))
            }
            Self::Huge => {
                let (kind, mut parameter) = document::out("parquet");
                parameter["compress"] = "none".into();
                (rows_reader("gzip"), (kind, parameter))
            }
        };
        Document::new(reader, writer).concurrent(lanes).tolerating(200)
    }

    /// What a run that is never killed leaves behind.
    pub(crate) fn undisturbed(self, lanes: u32) -> &'static Undisturbed {
        static ALL: [OnceLock<Undisturbed>; Scenario::ALL.len() * 2] =
            [const { OnceLock::new() }; Scenario::ALL.len() * 2];
        let index = self as usize * 2 + (lanes as usize - 1);
        ALL[index].get_or_init(|| {
            let site = Site::new(self, lanes);
            let summary = site.stopping(&[]).run().expect(0).json();
            let (calls, host_calls) = (site.calls(), site.host_calls());
            Undisturbed { sums: sums(&summary), rows: site.rows(&summary), calls, host_calls }
        })
    }
}

/// A table, with a word in the table `log` before the rows come and after.
fn logged_table(name: &str) -> (&'static str, Value) {
    let sql =
        |word: &str| json!([format!("insert into log select '{word} ' || count(*) from {name}")]);
    let (kind, mut parameter) = document::table(name);
    parameter["preSql"] = sql("before");
    parameter["postSql"] = sql("after");
    (kind, parameter)
}

fn rows_reader(compress: &str) -> (&'static str, Value) {
    let kinds = [("id", "bigint"), ("n", "bigint"), ("label", "string")].into_iter().enumerate();
    let column =
        kinds.map(|(index, (name, kind))| json!({"index": index, "name": name, "type": kind}));
    let column: Vec<_> = column.collect();
    let parameter = json!({"path": ["rows-*.csv*"], "fileFormat": "csv", "header": true,
        "compress": compress, "column": column});
    ("file", parameter)
}

/// What came out, and the calls that it took.
pub(crate) struct Undisturbed {
    sums: String,
    pub(crate) rows: String,
    pub(crate) calls: Vec<String>,
    /// The calls in which guests called their host, one for each time.
    host_calls: Vec<String>,
}

impl Undisturbed {
    pub(crate) fn count(&self, call: &str) -> usize {
        self.calls.iter().filter(|line| *line == call).count()
    }

    /// How often a guest calls its host in calls of this name; in all calls for `None`.
    pub(crate) fn host_calls(&self, call: Option<&str>) -> usize {
        self.host_calls.iter().filter(|line| call.is_none_or(|call| *line == call)).count()
    }
}

/// One job, where it runs.
pub(crate) struct Site {
    scenario: Scenario,
    pub(crate) env: Env,
    database: Option<Database>,
    mysql: Option<MysqlDatabase>,
    /// Tasks that were in the books when a program was killed.
    completed: Cell<u64>,
}

impl Site {
    pub(crate) fn new(scenario: Scenario, lanes: u32) -> Self {
        let mut env = Env::new();
        let database = scenario.has_database().then(|| PgServer::shared().database());
        if let Some(database) = &database {
            database.admit(&mut env);
            database.setup("create table log (what text)");
            match scenario {
                Scenario::Table => database.setup(&format!(
                    "create table source (n int, label text); create table copy (like source);
                     insert into source select n, {LARGE} from generate_series(1, {LARGE_ROWS}) n;
                     analyze source"
                )),
                Scenario::Upsert => drop(database.sql(&format!(
                    "create table keyed (id bigint primary key, n bigint check (n >= 0), label text);
                     grant all on keyed, log to {USER};
                     revoke create on schema public from {USER}, public"
                ))),
                // Without a key, so that a row that comes twice is there twice.
                _ => database
                    .setup("create table guarded (id bigint, n bigint check (n >= 0), label text)"),
            }
            if scenario == Scenario::Swap {
                database
                    .setup("insert into guarded select n, n, 'old' from generate_series(1, 3) n");
            }
        }
        let mysql = (scenario == Scenario::Mysql).then(|| MysqlServer::shared().database());
        if let Some(mysql) = &mysql {
            mysql.admit(&mut env);
            mysql.sql(
                "create table log (what text);
                 create table guarded (id bigint, n bigint check (n >= 0), label text)",
            );
        }
        if scenario == Scenario::Sqlite {
            env.admit("shop", json!({"type": "sqlite", "properties": {"path": SQLITE}}));
            referee::sqlite(
                &env.path(SQLITE),
                "create table log (what text);
                 create table guarded (id bigint, n bigint check (n >= 0), label text);",
            );
        }
        match scenario {
            Scenario::Table => {}
            Scenario::Long | Scenario::Text => write_packed(&env, LONG_ROWS),
            Scenario::Huge => write_packed(&env, HUGE_ROWS),
            _ => {
                for file in 0..FILES {
                    write_file(&env, file, ROWS, 0);
                }
            }
        }
        env.write_json("job.json", scenario.document(lanes).json());
        Self { scenario, env, database, mysql, completed: Cell::new(0) }
    }

    pub(crate) fn database(&self) -> &Database {
        self.database.as_ref().expect("the scenario has a database")
    }

    /// `airlock-stops run`, its calls written down.
    pub(crate) fn stopping(&self, more: &[&str]) -> Airlock {
        let _ = fs::remove_file(self.trace());
        let arguments =
            [&["run", "job.json", "-o", "json", "--bizdate", "20251031"], more].concat();
        self.env
            .program(Path::new(env!("CARGO_BIN_EXE_airlock-stops")), &arguments)
            .env("AIRLOCK_STOP_TRACE", &self.trace().display().to_string())
    }

    fn trace(&self) -> PathBuf {
        self.env.root().join("trace")
    }

    /// The lines of the newest program's trace.
    fn traced(&self) -> Vec<String> {
        let text = fs::read_to_string(self.trace()).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The calls of the newest program.
    pub(crate) fn calls(&self) -> Vec<String> {
        let is_call = |line: &String| !line.ends_with(" done") && !line.ends_with(".host");
        self.traced().into_iter().filter(is_call).collect()
    }

    fn host_calls(&self) -> Vec<String> {
        let traced = self.traced();
        let calls = traced.iter().filter_map(|line| line.strip_suffix(".host"));
        calls.map(str::to_owned).collect()
    }

    pub(crate) fn stopped_at(&self, point: &str) -> Stopped {
        match Stopped::at(self.stopping(&[]), point, self.env.root()) {
            Ok(stopped) => stopped,
            Err(output) => panic!("{:?} never comes to {point}\n{output}", self.scenario),
        }
    }

    /// Has `kill` end the program, and remembers which tasks it had done.
    pub(crate) fn killed(&self, kill: impl FnOnce()) {
        kill();
        let traced = self.traced();
        let completed = traced.iter().filter(|line| *line == "store.complete done").count() as u64;
        self.completed.set(self.completed.get() + completed);
    }

    /// Goes on to the end; answers how many tasks were done before.
    pub(crate) fn resume(&self, lanes: u32) -> u64 {
        let output = self.stopping(&["--resume"]).run().expect(0);
        self.check(&output, lanes)
    }

    /// Compares a resumed run with one that was never killed, and checks that tasks that were done are
    /// not opened again. Answers how many were done.
    pub(crate) fn check(&self, output: &Output, lanes: u32) -> u64 {
        let summary = output.json();
        let number = |key: &str| summary[key].as_u64().unwrap();
        let (tasks, done) = (number("tasks"), number("tasks_resumed"));
        let calls = self.calls();
        let opened = |call: &str| calls.iter().filter(|line| *line == call).count() as u64;
        assert!(done >= self.completed.get(), "{:?} were done\n{output}", self.completed);
        assert!(opened("writer.open") <= tasks - done, "{calls:?}\n{output}");
        assert!(opened("reader.open") <= tasks - done, "{calls:?}\n{output}");
        let wanted = self.scenario.undisturbed(lanes);
        same(&wanted.sums, &sums(&summary));
        same(&wanted.rows, &self.rows(&summary));
        done
    }

    /// The newest run as the books know it, where it has succeeded.
    pub(crate) fn succeeded(&self) -> Option<Value> {
        let output = self.env.airlock(&["runs", "--limit", "1", "-o", "json"]).run().expect(0);
        let run = output.json()["runs"][0].clone();
        (run["state"] == "succeeded").then_some(run)
    }

    /// The real binary on the job.
    pub(crate) fn airlock(&self, more: &[&str]) -> Airlock {
        self.env
            .airlock(&[&["run", "job.json", "-o", "json", "--bizdate", "20251031"], more].concat())
    }

    /// Compares sums and rows of a run that came to its end with one that was never killed.
    pub(crate) fn check_result(&self, output: &Output, lanes: u32) {
        let (summary, wanted) = (output.json(), self.scenario.undisturbed(lanes));
        same(&wanted.sums, &sums(&summary));
        same(&wanted.rows, &self.rows(&summary));
    }

    /// Compares what a run left behind that was killed behind its end.
    pub(crate) fn check_rows(&self, run: &Value, lanes: u32) {
        same(&self.scenario.undisturbed(lanes).rows, &self.rows(run));
    }

    /// Rows and dirty records of the run, as one text.
    fn rows(&self, run: &Value) -> String {
        let dirty = self.dirty(run["run_id"].as_str().expect("a run has a name"));
        let sums = |table: &str| {
            self.database().sql(&format!("select count(*), sum(hashtext(t::text)::bigint) from {table} t; select * from log order by 1"))
        };
        dirty
            + &match self.scenario {
                Scenario::Table => sums("copy"),
                Scenario::Refused | Scenario::Long | Scenario::Swap => sums("guarded"),
                Scenario::Upsert => sums("keyed"),
                Scenario::Mysql => self.mysql.as_ref().expect("the scenario has a database").sql(
                    "select count(*), sum(crc32(concat_ws('|', id, n, label))) from guarded;
                     select * from log order by 1",
                ),
                Scenario::Sqlite => referee::sqlite(
                    &self.env.path(SQLITE),
                    "select count(*), count(distinct id), sum(id), sum(n), sum(label = 'label ' || id) from guarded;
                     select * from log order by 1; pragma integrity_check;",
                ),
                Scenario::Parquet | Scenario::Lines => referee::dump(&self.env.path("out")),
                Scenario::Text => referee::sums(&self.env.path("out/*.csv")),
                Scenario::Huge => referee::sums(&self.env.path("out/*.parquet")),
            }
    }

    /// The dirty records, whole, in an order of their own.
    fn dirty(&self, run: &str) -> String {
        let output = self
            .env
            .airlock(&["dirty", "show", run, "--limit", "1000", "-o", "json"])
            .run()
            .expect(0);
        let records = output.json()["records"].as_array().unwrap().clone();
        let mut lines: Vec<_> = records.iter().map(|record| format!("{record}\n")).collect();
        lines.sort();
        // Each run's database has a name of its own.
        match &self.mysql {
            Some(mysql) => lines
                .concat()
                .replace(&format!("`{}`.", mysql.name), "")
                .replace(&format!("\"{}.guarded\"", mysql.name), "\"guarded\""),
            None => lines.concat(),
        }
    }
}

fn same(wanted: &str, got: &str) {
    assert!(wanted == got, "--- never killed ---\n{wanted}\n--- resumed ---\n{got}");
}

/// What a summary says that must not depend on kills.
fn sums(summary: &Value) -> String {
    let keys = [
        "status",
        "records_read",
        "records_nulled",
        "records_written",
        "records_dirty",
        "records_filtered",
        "records_added",
        "records_changed",
        "bytes_read",
        "bytes_written",
        "tasks",
    ];
    keys.map(|key| format!("{key} {}\n", summary[key])).concat()
}

/// A file with one row in 2,000 that has no number, and two that the guarded table refuses.
fn write_file(env: &Env, file: u64, rows: u64, characters: usize) -> PathBuf {
    let mut text = "id,n,label\n".to_owned();
    let filler = "x".repeat(characters);
    for row in 0..rows {
        let id = file * rows + row;
        let n = match row % ROWS {
            77 => "none".to_owned(),
            500 | 1999 => "-1".to_owned(),
            _ => (id * 7).to_string(),
        };
        text += &format!("{id},{n},label {id}{filler}\n");
    }
    env.write(&format!("rows-{file}.csv"), text)
}

/// One such file, long and packed.
fn write_packed(env: &Env, rows: u64) {
    let file = write_file(env, 0, rows, LONG_CHARACTERS);
    let packed = Command::new("gzip").arg("-1").arg(file).status();
    assert!(packed.is_ok_and(|status| status.success()));
}
