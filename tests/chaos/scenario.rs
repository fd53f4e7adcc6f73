//! The jobs that are killed, and what must come out of each.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};
use tests::{Airlock, Database, Document, Env, Output, PgServer, Stopped, document, referee};

/// What is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// PostgreSQL to PostgreSQL, a table without a key; each task commits once on its way.
    Table,
    /// CSV to Parquet, several files.
    Parquet,
    /// CSV to PostgreSQL, where the destination refuses some rows.
    Refused,
    /// The same of one long file that is packed, so that it is one task: it commits on its way, and goes
    /// on behind its last commit.
    Long,
}

/// Rows of the large table and the bytes of each: two tasks of 40 MiB, each one commit.
const LARGE_ROWS: u32 = 8192;
const LARGE: &str = "repeat(md5(n::text), 320)";
/// Files and rows of each in the scenarios that read CSV.
const FILES: u64 = 4;
const ROWS: u64 = 2000;
/// Rows of the long file and characters of each: 80 MiB, of which the destination commits 32 at a time.
const LONG_ROWS: u64 = 20_000;
const LONG_CHARACTERS: usize = 4096;

impl Scenario {
    /// The tasks of a run on one lane.
    pub(crate) fn tasks(self) -> u64 {
        match self {
            Self::Table => 2,
            Self::Parquet | Self::Refused => FILES,
            Self::Long => 1,
        }
    }

    fn document(self, lanes: u32) -> Document {
        let (reader, writer) = match self {
            Self::Table => {
                let reader =
                    json!({"datasource": "pg", "table": "source", "splitFactor": 2 / lanes});
                let sql = |word: &str| {
                    json!([format!("insert into log select '{word} ' || count(*) from copy")])
                };
                let writer = json!({"datasource": "pg", "table": "copy", "preSql": sql("before"), "postSql": sql("after")});
                (("postgresql", reader), ("postgresql", writer))
            }
            Self::Parquet => (rows_reader("none"), document::out("parquet")),
            Self::Refused => (rows_reader("none"), document::table("guarded")),
            Self::Long => (rows_reader("gzip"), document::table("guarded")),
        };
        Document::new(reader, writer).concurrent(lanes).tolerating(100)
    }

    /// What a run that is never killed leaves behind.
    pub(crate) fn undisturbed(self, lanes: u32) -> &'static Undisturbed {
        static ALL: [OnceLock<Undisturbed>; 8] = [const { OnceLock::new() }; 8];
        let index = self as usize * 2 + (lanes as usize - 1);
        ALL[index].get_or_init(|| {
            let site = Site::new(self, lanes);
            let output = site.stopping(&[]).run().expect(0);
            let calls = site.calls();
            Undisturbed { left: site.left(&output), calls }
        })
    }
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
    pub(crate) left: String,
    pub(crate) calls: Vec<String>,
}

/// One job, where it runs.
pub(crate) struct Site {
    scenario: Scenario,
    pub(crate) env: Env,
    database: Option<Database>,
}

impl Site {
    pub(crate) fn new(scenario: Scenario, lanes: u32) -> Self {
        let mut env = Env::new();
        let database = (scenario != Scenario::Parquet).then(|| PgServer::shared().database());
        if let Some(database) = &database {
            database.admit(&mut env);
        }
        match (scenario, &database) {
            (Scenario::Table, Some(database)) => database.setup(&format!(
                "create table source (n int, label text); create table copy (like source);
                 create table log (what text);
                 insert into source select n, {LARGE} from generate_series(1, {LARGE_ROWS}) n;
                 analyze source"
            )),
            (Scenario::Refused | Scenario::Long, Some(database)) => {
                // Without a key, so that a row that comes twice is there twice.
                database
                    .setup("create table guarded (id bigint, n bigint check (n >= 0), label text)");
            }
            _ => {}
        }
        match scenario {
            Scenario::Table => {}
            Scenario::Long => {
                let file = write_file(&env, 0, LONG_ROWS, LONG_CHARACTERS);
                let packed = Command::new("gzip").arg("-1").arg(file).status();
                assert!(packed.is_ok_and(|status| status.success()));
            }
            Scenario::Parquet | Scenario::Refused => {
                for file in 0..FILES {
                    write_file(&env, file, ROWS, 0);
                }
            }
        }
        env.write_json("job.json", scenario.document(lanes).json());
        Self { scenario, env, database }
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

    /// The calls of the newest program.
    pub(crate) fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.trace()).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub(crate) fn stopped_at(&self, point: &str) -> Stopped {
        match Stopped::at(self.stopping(&[]), point, self.env.root()) {
            Ok(stopped) => stopped,
            Err(output) => panic!("{:?} never comes to {point}\n{output}", self.scenario),
        }
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
        assert!(opened("writer.open") <= tasks - done, "{calls:?}\n{output}");
        assert!(opened("reader.open") <= tasks - done, "{calls:?}\n{output}");
        let wanted = &self.scenario.undisturbed(lanes).left;
        let left = self.left(output);
        assert!(*wanted == left, "--- never killed ---\n{wanted}\n--- resumed ---\n{left}");
        done
    }

    /// Whether the books say that the newest run has succeeded.
    pub(crate) fn has_succeeded(&self) -> bool {
        let output = self.env.airlock(&["runs", "--limit", "1", "-o", "json"]).run().expect(0);
        output.json()["runs"][0]["state"] == "succeeded"
    }

    /// Rows, dirty records and sums, as one text.
    fn left(&self, output: &Output) -> String {
        let summary = output.json();
        let mut text = String::new();
        for key in [
            "status",
            "records_read",
            "records_written",
            "records_dirty",
            "records_filtered",
            "records_changed",
            "bytes_read",
            "bytes_written",
            "tasks",
        ] {
            text += &format!("{key} {}\n", summary[key]);
        }
        text += &self.dirty(summary["run_id"].as_str().unwrap());
        text + &match self.scenario {
            Scenario::Table => self.database().sql(
                "select count(*), count(distinct n), sum(n), sum(hashtext(label)::bigint) from copy; select * from log order by 1",
            ),
            Scenario::Refused | Scenario::Long => self.database().sql("select count(*), sum(id), sum(n), sum(hashtext(label)::bigint) from guarded"),
            Scenario::Parquet => referee::dump(&self.env.path("out")),
        }
    }

    /// The dirty records, whole, in an order of their own.
    fn dirty(&self, run: &str) -> String {
        let output =
            self.env.airlock(&["dirty", run, "--limit", "1000", "-o", "json"]).run().expect(0);
        let records = output.json()["records"].as_array().unwrap().clone();
        let mut lines: Vec<_> = records.iter().map(|record| format!("{record}\n")).collect();
        lines.sort();
        lines.concat()
    }
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
