//! One folder: run plain, then killed and resumed at some points, compared with what is expected.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tests::mysql::{MysqlDatabase, MysqlServer};
use tests::postgres::{Database, PgServer};
use tests::{Env, Output, Stopped, referee, tree};

/// The file that `setup_sqlite.sql` makes and `check_sqlite.sql` asks.
const SQLITE: &str = "shop.db";

/// What `case.json` says; every key may be left out.
struct Case {
    /// `arguments`: more words of the command line.
    arguments: Vec<String>,
    /// `exit_code`: of the last job, 0 by default.
    exit_code: i32,
    /// `jobs`: documents that run one after another; `job.json` by default.
    jobs: Vec<String>,
    /// `stop`: where the run is killed in place of `writer.close:1:before`.
    stop: String,
    /// `verify`: whether what a killed run wrote can be read back; true by default.
    verify: bool,
}

impl Case {
    fn read(folder: &Path) -> Self {
        let text = fs::read_to_string(folder.join("case.json")).unwrap_or_else(|_| "{}".into());
        let value: Value = serde_json::from_str(&text).unwrap();
        let texts = |key: &str| -> Option<Vec<String>> {
            let values = value[key].as_array()?.iter();
            Some(values.map(|text| text.as_str().unwrap().to_owned()).collect())
        };
        Self {
            arguments: texts("arguments").unwrap_or_default(),
            exit_code: value["exit_code"].as_i64().unwrap_or(0) as i32,
            jobs: texts("jobs").unwrap_or_else(|| vec!["job.json".into()]),
            stop: value["stop"].as_str().unwrap_or("writer.close:1:before").to_owned(),
            verify: value["verify"].as_bool().unwrap_or(true),
        }
    }

    /// Where it is killed: with nothing durable, with a task that only the destination knows to be done,
    /// and with one that the books know and others that are not begun.
    fn stops(&self, one_task: bool) -> Vec<&str> {
        let mut stops = vec![self.stop.as_str(), VERIFIED];
        if !one_task {
            stops.push("store.complete:1:after");
        }
        stops
    }
}

/// Here a run is verified, too, so that all that can be moved is read back as it was.
const VERIFIED: &str = "writer.close:1:after";

/// Runs the folder `name` both ways.
pub(crate) fn check(name: &str) {
    let folder = tree::tests().join("jobs").join(name);
    let case = Case::read(&folder);
    let plain = Place::new(&folder).all(&case, Place::run);
    let expected = folder.join("expected.txt");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&expected, &plain).unwrap();
    }
    let wanted = fs::read_to_string(&expected).unwrap_or_default();
    same(&wanted, &plain, "the run differs from expected.txt");
    for stop in case.stops(plain.contains("\ntasks: 1\n")) {
        let run = |place: &Place, case: &Case, job: &str| place.run_killed(case, job, stop);
        let resumed = Place::new(&folder).all(&case, run);
        same(&plain, &resumed, &format!("killed at {stop} and resumed, the run differs"));
    }
}

fn same(wanted: &str, got: &str, what: &str) {
    assert!(wanted == got, "{what}\n--- wanted ---\n{wanted}\n--- got ---\n{got}");
}

/// A copy of the folder, and the database where it needs one.
struct Place {
    env: Env,
    database: Option<Database>,
    mysql: Option<MysqlDatabase>,
}

impl Place {
    fn new(folder: &Path) -> Self {
        let mut env = Env::new();
        env.copy(folder);
        let _ = fs::remove_file(env.path("expected.txt"));
        if let Ok(text) = fs::read_to_string(env.path("make.json")) {
            let files: Value = serde_json::from_str(&text).unwrap();
            for (name, query) in files.as_object().unwrap() {
                referee::make(&env.path(name), query.as_str().unwrap());
            }
        }
        let database = fs::read_to_string(env.path("setup.sql")).ok().map(|setup| {
            let database = PgServer::shared().database();
            database.admit(&mut env);
            database.setup(&setup);
            database
        });
        let mysql = fs::read_to_string(env.path("setup_mysql.sql")).ok().map(|setup| {
            let database = MysqlServer::shared().database();
            database.admit(&mut env);
            database.sql(&setup);
            database
        });
        if let Ok(setup) = fs::read_to_string(env.path("setup_sqlite.sql")) {
            referee::sqlite(&env.path(SQLITE), &setup);
        }
        Self { env, database, mysql }
    }

    /// Runs all jobs by `run`, and tells what came out.
    fn all(self, case: &Case, run: impl Fn(&Self, &Case, &str) -> Output) -> String {
        let mut text = String::new();
        for (index, job) in case.jobs.iter().enumerate() {
            let last = index + 1 == case.jobs.len();
            let output = run(&self, case, job).expect(if last { case.exit_code } else { 0 });
            text += &told(&output);
        }
        if self.env.path("out").exists() {
            text += &referee::dump(&self.env.path("out"));
        }
        if let Ok(check) = fs::read_to_string(self.env.path("check.sql")) {
            let database = self.database.as_ref().expect("check.sql needs setup.sql");
            text += &format!("== check.sql\n{}", database.sql(&check));
        }
        if let Ok(check) = fs::read_to_string(self.env.path("check_mysql.sql")) {
            let database = self.mysql.as_ref().expect("check_mysql.sql needs setup_mysql.sql");
            text += &format!("== check_mysql.sql\n{}", database.sql(&check));
        }
        if let Ok(check) = fs::read_to_string(self.env.path("check_sqlite.sql")) {
            let answer = referee::sqlite(&self.env.path(SQLITE), &check);
            text += &format!("== check_sqlite.sql\n{answer}");
        }
        text
    }

    fn arguments(&self, case: &Case, job: &str) -> Vec<String> {
        let mut arguments = vec!["run".to_owned(), job.into(), "-o".into(), "json".into()];
        if let Some(database) = &self.database {
            let port = PgServer::shared().port();
            arguments.extend(["-p".into(), format!("port={port}")]);
            arguments.extend(["-p".into(), format!("database={}", database.name)]);
        }
        if let Some(database) = &self.mysql {
            arguments.extend(["-p".into(), format!("mysql_port={}", database.port())]);
            arguments.extend(["-p".into(), format!("mysql_database={}", database.name)]);
        }
        arguments.extend(case.arguments.clone());
        arguments
    }

    fn run(&self, case: &Case, job: &str) -> Output {
        self.env.airlock(&self.arguments(case, job)).run()
    }

    /// Killed at a stop point, then resumed by the real binary. A run that fails before it comes there
    /// is not killed.
    fn run_killed(&self, case: &Case, job: &str, stop: &str) -> Output {
        let stops = Path::new(env!("CARGO_BIN_EXE_airlock-stops"));
        let mut arguments = self.arguments(case, job);
        if case.verify && stop == VERIFIED {
            arguments.push("--verify".into());
        }
        let program = self.env.program(stops, &arguments);
        match Stopped::at(program, stop, self.env.root()) {
            Ok(stopped) => stopped.kill(),
            Err(output) => {
                assert!(case.exit_code != 0, "it never comes to {stop}\n{output}");
                return output;
            }
        }
        let mut arguments = self.arguments(case, job);
        arguments.push("--resume".into());
        self.env.airlock(&arguments).run()
    }
}

/// The parts of a summary that must not depend on how the run went.
fn told(output: &Output) -> String {
    let summary = output.json();
    let mut text = String::new();
    let rare = ["records_nulled", "records_added"].into_iter().filter(|key| summary[*key] != 0);
    for key in ["status", "records_read"].into_iter().chain(rare).chain([
        "records_written",
        "records_filtered",
        "records_dirty",
    ]) {
        text += &format!("{key}: {}\n", summary[key].to_string().trim_matches('"'));
    }
    for key in ["records_changed", "bytes_read", "bytes_written", "tasks", "commit_mode"] {
        text += &format!("{key}: {}\n", summary[key].to_string().trim_matches('"'));
    }
    for reason in summary["dirty"].as_array().into_iter().flatten() {
        let column = reason["column"].as_str().unwrap_or("-");
        text += &format!("dirty: {} {} {column}", reason["stage"], reason["code"]);
        text += &format!(" {} {}\n", reason["origin"], reason["records"]);
    }
    if let Some(code) = summary["error"]["code"].as_str() {
        text += &format!("error: {code}\n");
    }
    text
}
