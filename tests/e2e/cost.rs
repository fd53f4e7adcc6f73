//! How many instructions plug-ins run for a row: no time, so that it is the same on every machine, and what makes
//! a hot loop longer is seen in the change that does it.
//!
//! `cost.txt` has the numbers; `UPDATE_EXPECTED=1` writes those of now, which one does too where less is run, so that
//! it stays so.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use domain::grant::{Access, Grant, Place, Requirement};
use domain::port::{
    Attempt, Budget, Destination as _, Reader as _, Source as _, Step, Writer as _,
};
use domain::{Batch, Configuration, Dataset, Mark, RunId, Secret, Side};
use sandbox::{Meter, Reach, Sandbox, Settings};
use serde_json::{Value, json};
use tests::{MysqlServer, PgServer, lineitem, mysql, postgres, tree};

const ROWS: u64 = 20_000;
const BUDGET: Budget = Budget { rows: 8192, bytes: 1 << 20, wait: Duration::from_secs(60) };
/// What a number may be above the recorded one, in parts of it. Hash tables of guests begin with random numbers.
const TOLERANCE: f64 = 0.03;
/// The same for what a server sends: it comes in pieces of any size, and each costs by itself.
const SERVER_TOLERANCE: f64 = 0.5;
const SERVER_READ: [&str; 2] = ["PostgreSQL read", "MariaDB read"];
const EXPECTED: &str = "e2e/cost.txt";

/// One plug-in in one role.
struct Role<'a> {
    plugin: &'static str,
    connection: Value,
    parameter: Value,
    reach: Reach,
    base: &'a Path,
}

struct Stage {
    sandbox: Sandbox,
    meter: Meter,
    /// What was measured: a name and instructions a row.
    found: Vec<(String, f64)>,
}

impl Stage {
    fn new() -> Self {
        let meter = Meter::default();
        let settings = Settings {
            cache_dir: Some(tree::target().join("test-cache/metered")),
            meter: Some(meter.clone()),
            ..Settings::default()
        };
        Self { sandbox: Sandbox::new(settings).unwrap(), meter, found: Vec::new() }
    }

    async fn component(&self, name: &str) -> sandbox::Component {
        let bytes = fs::read(tree::component(name)).unwrap();
        self.sandbox.load(bytes, name).await.unwrap()
    }

    fn note(&mut self, name: &str, before: u64) {
        let each = (self.meter.used() - before) as f64 / ROWS as f64;
        self.found.push((name.to_owned(), each));
    }

    /// All rows of a reader, in one split after another.
    async fn read(&mut self, name: &str, role: Role<'_>) -> (Vec<Dataset>, Vec<Batch>) {
        let component = self.component(role.plugin).await;
        let before = self.meter.used();
        let source = component.source(role.configuration(Side::Reader), role.reach);
        let mut reader = source.connect().await.unwrap();
        let plan = reader.plan(1, &[]).await.unwrap();
        let splits = reader.splits(&plan.start, 1000).await.unwrap();
        assert!(splits.last);
        let mut batches = Vec::new();
        for split in &splits.splits {
            reader.open(split, None, &plan.datasets).await.unwrap();
            loop {
                match reader.next(BUDGET).await.unwrap() {
                    Step::Rows(rows) => batches.extend(rows.batches),
                    Step::Ended { .. } => break,
                    Step::Idle | Step::Advanced { .. } => {}
                }
            }
        }
        assert_eq!(batches.iter().map(Batch::len).sum::<usize>() as u64, ROWS, "{name}");
        self.note(name, before);
        (plan.datasets, batches)
    }

    async fn write(&mut self, name: &str, role: Role<'_>, datasets: &[Dataset], batches: &[Batch]) {
        let component = self.component(role.plugin).await;
        let before = self.meter.used();
        let destination = component.destination(role.configuration(Side::Writer), role.reach);
        let mut writer = destination.connect().await.unwrap();
        let attempt = Attempt { run: RunId("r1".into()), epoch: 1, bounded: true, verify: false };
        let prepared = writer.prepare(&attempt, datasets).await.unwrap();
        assert_eq!(prepared.datasets[0].schema.fields().len(), datasets[0].schema.fields().len());
        writer.open(&attempt, 0, 1, datasets).await.unwrap();
        for batch in batches {
            assert!(writer.write(batch).await.unwrap().undone.is_none(), "{name}");
        }
        writer.close(&Mark { sequence: 1, end: true, ..Mark::default() }).await.unwrap();
        self.note(name, before);
    }
}

impl<'a> Role<'a> {
    fn files(base: &'a Path, path: &str, access: Access, parameter: Value) -> Self {
        let requirement = Requirement::Directory { path: path.into(), access };
        let place = Place::Directory { path: path.into(), access };
        Self::new("file", base, parameter, Some((requirement, place)))
    }

    fn new(
        plugin: &'static str,
        base: &'a Path,
        parameter: Value,
        place: Option<(Requirement, Place)>,
    ) -> Self {
        let grant =
            |(requirement, place)| Grant { requirement, place, origin: "/parameter".into() };
        let grants: Vec<_> = place.into_iter().map(grant).collect();
        let reach = Reach::new(&grants, base).unwrap();
        Self { plugin, connection: json!({}), parameter, reach, base }
    }

    fn configuration(&self, side: Side) -> Configuration {
        assert!(self.base.is_dir());
        Configuration {
            source_type: self.plugin.into(),
            side,
            connection: Secret::new(self.connection.to_string()),
            connection_blanked: "{}".into(),
            parameter: self.parameter.to_string(),
            parameter_blanked: self.parameter.to_string(),
        }
    }
}

/// `lineitem` as the columns of a reader of texts.
fn columns() -> Value {
    let word = |kind| match kind {
        "bigint" => "long",
        "text" => "string",
        kind => kind,
    };
    let column = |(index, (name, kind))| json!({"index": index, "name": name, "type": word(kind)});
    lineitem::COLUMNS.into_iter().enumerate().map(column).collect()
}

fn output(form: &str) -> Value {
    json!({"path": "out", "fileName": form, "fileFormat": form, "writeMode": "truncate"})
}

async fn files(stage: &mut Stage, base: &Path) {
    fs::copy(lineitem::file(ROWS, "csv"), base.join("lineitem.csv")).unwrap();
    fs::create_dir(base.join("out")).unwrap();
    let csv =
        json!({"path": ["lineitem.csv"], "fileFormat": "csv", "header": true, "column": columns()});
    let reader = Role::files(base, "lineitem.csv", Access::Read, csv);
    let (datasets, batches) = stage.read("CSV read", reader).await;
    for (name, form) in
        [("Parquet written", "parquet"), ("JSON lines written", "jsonl"), ("CSV written", "csv")]
    {
        let writer = Role::files(base, "out", Access::Write, output(form));
        stage.write(name, writer, &datasets, &batches).await;
    }
}

async fn postgresql(stage: &mut Stage, base: &Path) {
    let database = PgServer::shared().database();
    database.setup(&lineitem::create_table("lineitem"));
    database.import("lineitem", &lineitem::file(ROWS, "csv"));
    let mut connection = database.properties();
    connection["username"] = json!(postgres::USER);
    connection["password"] = json!(postgres::PASSWORD);
    let reader = of_server("postgresql", base, PgServer::shared().port(), connection);
    stage.read(SERVER_READ[0], reader).await;
}

async fn mariadb(stage: &mut Stage, base: &Path) {
    let database = MysqlServer::shared().database();
    database.sql(&lineitem::create_table("lineitem"));
    database.import("lineitem", &lineitem::file(ROWS, "csv"));
    let mut connection = database.properties();
    connection["password"] = json!(mysql::PASSWORD);
    let reader = of_server("mysql", base, database.port(), connection);
    stage.read(SERVER_READ[1], reader).await;
}

/// A reader of `lineitem` in a server of this machine.
fn of_server<'a>(plugin: &'static str, base: &'a Path, port: u16, connection: Value) -> Role<'a> {
    let host = "127.0.0.1".to_owned();
    let requirement = Requirement::Tcp { host: host.clone(), first_port: port, last_port: port };
    let place = Some((requirement, Place::Tcp { host, port }));
    let parameter = json!({"table": "lineitem", "column": ["*"]});
    Role { connection, ..Role::new(plugin, base, parameter, place) }
}

async fn streams(stage: &mut Stage, base: &Path) {
    let column = |index: u64| json!({"type": "long", "sequence": format!("{index},{}", index + 1)});
    let columns: Vec<_> = (0..8).map(column).collect();
    let parameter = json!({"sliceRecordCount": ROWS, "column": columns});
    let (datasets, batches) =
        stage.read("rows made up", Role::new("stream", base, parameter, None)).await;
    let sums = Role::new("stream", base, json!({"checksum": true}), None);
    stage.write("rows summed up", sums, &datasets, &batches).await;
}

/// What costs more than the recorded number by more than it may, or has none.
fn grown(found: &[(String, f64)], expected: &str) -> Vec<String> {
    let lines = || expected.lines().filter_map(|line| line.rsplit_once(": "));
    let recorded = |name: &str| lines().find(|line| line.0 == name)?.1.parse::<f64>().ok();
    let judge = |(name, now): &(String, f64)| {
        let Some(before) = recorded(name) else {
            return Some(format!("{name}: {now:.1} instructions a row, and none are recorded"));
        };
        let change = now / before - 1.0;
        let allowed =
            if SERVER_READ.contains(&name.as_str()) { SERVER_TOLERANCE } else { TOLERANCE };
        (change > allowed).then(|| {
            let percent = change * 100.0;
            format!(
                "{name}: grew by {percent:.1} %, from {before:.1} to {now:.1} instructions a row"
            )
        })
    };
    found.iter().filter_map(judge).collect()
}

#[test]
fn plugins_run_no_more_instructions_for_a_row_than_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        files(&mut stage, folder.path()).await;
        postgresql(&mut stage, folder.path()).await;
        mariadb(&mut stage, folder.path()).await;
        streams(&mut stage, folder.path()).await;
    });
    let file = tree::tests().join(EXPECTED);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        let lines = stage.found.iter().fold(String::new(), |mut lines, (name, each)| {
            let _ = writeln!(lines, "{name}: {each:.1}");
            lines
        });
        fs::write(&file, lines).unwrap();
        return;
    }
    let grown = grown(&stage.found, &fs::read_to_string(&file).unwrap_or_default());
    assert!(
        grown.is_empty(),
        "{}\nwhere it is meant so: UPDATE_EXPECTED=1 cargo test --release -p tests --test e2e cost:: writes tests/{EXPECTED}",
        grown.join("\n")
    );
}

#[test]
fn what_grew_is_named_with_how_much() {
    let found = |each: f64| [("CSV read".to_owned(), each)];
    let expected = "CSV read: 100.0\nother: 1.0\n";
    assert!(grown(&found(102.9), expected).is_empty());
    let grew = "CSV read: grew by 3.5 %, from 100.0 to 103.5 instructions a row";
    assert_eq!(grown(&found(103.5), expected), [grew]);
    assert!(grown(&found(50.0), expected).is_empty());
    let server = |each: f64| [(SERVER_READ[1].to_owned(), each)];
    let expected_server = format!("{}: 100.0\n", SERVER_READ[1]);
    assert!(grown(&server(149.0), &expected_server).is_empty());
    assert_eq!(grown(&server(151.0), &expected_server).len(), 1);
    assert_eq!(grown(&found(1.0), ""), ["CSV read: 1.0 instructions a row, and none are recorded"]);
}
