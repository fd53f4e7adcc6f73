//! A private PostgreSQL server for the tests, and the host's part played by hand.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, Write};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use postgresql::reader::PostgresReader;
use postgresql::writer::PostgresWriter;
use sdk::{
    Batch, Budget, Configuration, Cursor, Dataset, Fault, Reader, Result, Run, Side, Sink, Split,
    Step, Task, Undecodable, Writer,
};
use serde_json::{Value, json};

/// Where Debian keeps the server's programs, one folder for each version.
const VERSIONS: &str = "/usr/lib/postgresql";
pub(crate) const PASSWORD: &str = "correct horse";
/// Everything here takes moments; a test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// Another program may take the port between our look and the server's start.
const STARTS_MAX: u32 = 5;
/// Waits for the end of its standard input, which comes with the end of the test process however it
/// ends; then stops the server of the folder, if one runs, and takes the folder away.
const KEEPER: &str = r#"
trap '' INT
cat > /dev/null
"$BIN/pg_ctl" stop -D "$FOLDER/data" -m fast -t 30 || "$BIN/pg_ctl" stop -D "$FOLDER/data" -m immediate
rm -rf "$FOLDER"
"#;

/// A server with its data in a folder of its own, as long as its keeper's standard input is open.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) folder: PathBuf,
    _keeper: Child,
}

/// The server that the tests share; each test has a database of its own.
pub(crate) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start("", |_| {}))
}

/// The programs of the newest version that is installed.
fn programs() -> PathBuf {
    let versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let versions = versions.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let usable = versions
        .map(|version| (version, Path::new(VERSIONS).join(version.to_string()).join("bin")));
    let newest = usable.filter(|(_, folder)| folder.join("initdb").exists()).max();
    newest.expect("the server's programs are installed by: cargo xtask test").1
}

/// As whom the server runs: it refuses root.
struct Owner(Option<(u32, u32)>);

impl Owner {
    fn find() -> Self {
        if fs::metadata("/proc/self").unwrap().uid() != 0 {
            return Self(None);
        }
        let users = fs::read_to_string("/etc/passwd").unwrap();
        let user = users.lines().find_map(|line| line.strip_prefix("postgres:"));
        let user = user.expect("the user \"postgres\" comes with the server: cargo xtask test");
        let fields: Vec<_> = user.split(':').collect();
        Self(Some((fields[1].parse().unwrap(), fields[2].parse().unwrap())))
    }

    fn own(&self, path: &Path) {
        if let Some((user, group)) = self.0 {
            chown(path, Some(user), Some(group)).unwrap();
        }
    }

    fn command(&self, program: &Path, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(folder).env_clear().env("PATH", "/usr/bin:/bin").env("LANG", "C.UTF-8");
        if let Some((user, group)) = self.0 {
            command.uid(user).gid(group);
        }
        command
    }
}

impl Server {
    /// Starts a server with further `options`, after `arrange` has seen its data folder.
    #[allow(clippy::zombie_processes, reason = "the keeper ends with the test process")]
    pub(crate) fn start(options: &str, arrange: impl FnOnce(&Path)) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("airlock-postgresql-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        let owner = Owner::find();
        owner.own(&folder);
        let keeper = owner
            .command(Path::new("/bin/sh"), &folder)
            .args(["-c", KEEPER])
            .env("BIN", programs())
            .env("FOLDER", &folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let password = folder.join("password");
        fs::write(&password, PASSWORD).unwrap();
        owner.own(&password);
        let data = folder.join("data");
        let made = owner
            .command(&programs().join("initdb"), &folder)
            .args(["-A", "scram-sha-256", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8"])
            .arg("--no-sync")
            .arg(format!("--pwfile={}", password.display()))
            .arg("-D")
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        arrange(&data);
        for _ in 0..STARTS_MAX {
            if let Some(port) = begin(&owner, &folder, options) {
                return Self { port, folder, _keeper: keeper };
            }
        }
        let log = fs::read(folder.join("log")).unwrap_or_default();
        panic!("the server does not start\n{}", String::from_utf8_lossy(&log));
    }

    /// A new database of the server.
    pub(crate) fn database(&self, name: &str) -> Database<'_> {
        let database = Database { server: self, name: name.to_owned() };
        let postgres = Database { server: self, name: "postgres".to_owned() };
        postgres.sql(&format!("CREATE DATABASE {name}"));
        database
    }
}

/// Starts the server of `folder`, and answers its port; `None` where it ends, such as where the port is
/// taken.
#[allow(clippy::zombie_processes, reason = "the keeper ends the server with the test process")]
fn begin(owner: &Owner, folder: &Path, options: &str) -> Option<u16> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let log = fs::File::create(folder.join("log")).unwrap();
    let mut server = owner
        .command(&programs().join("postgres"), folder)
        .arg("-D")
        .arg(folder.join("data"))
        .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
        .args(["-c", &format!("unix_socket_directories={}", folder.display())])
        .args(["-c", "fsync=off", "-c", "max_connections=50"])
        .args(options.split_whitespace())
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end && server.try_wait().unwrap().is_none() {
        let log = fs::read(folder.join("log")).unwrap_or_default();
        if String::from_utf8_lossy(&log).contains("ready to accept connections") {
            return Some(port);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let _ = server.kill();
    let _ = server.wait();
    None
}

/// A database of the server, seen through psql and through the plug-in.
pub(crate) struct Database<'a> {
    server: &'a Server,
    pub(crate) name: String,
}

impl Database<'_> {
    fn psql(&self) -> Child {
        Command::new("psql")
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-h",
                "127.0.0.1",
                "-U",
                "postgres",
            ])
            .args(["-p", &self.server.port.to_string(), "-d", &self.name])
            .env("PGPASSWORD", PASSWORD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// A session that has done what `sql` says, and lasts until its input ends.
    pub(crate) fn session(&self, sql: &str) -> Child {
        let mut child = self.psql();
        let input = child.stdin.as_mut().unwrap();
        writeln!(input, "{sql};\n\\echo done").unwrap();
        let output = child.stdout.as_mut().unwrap();
        let mut line = String::new();
        let mut output = std::io::BufReader::new(output);
        while line.trim() != "done" {
            line.clear();
            assert!(output.read_line(&mut line).unwrap() > 0, "the session ends at {sql}");
        }
        child
    }

    /// What psql prints for `sql`.
    pub(crate) fn sql(&self, sql: &str) -> String {
        let mut child = self.psql();
        child.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        assert!(output.status.success(), "{sql}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    pub(crate) fn connection(&self) -> Value {
        json!({
            "host": "127.0.0.1", "port": self.server.port, "database": self.name,
            "username": "postgres", "password": PASSWORD,
        })
    }

    pub(crate) fn reader(&self, parameter: Value) -> Result<PostgresReader> {
        PostgresReader::connect(&configuration(Side::Reader, &self.connection(), &parameter))
    }

    pub(crate) fn writer(&self, parameter: Value) -> Result<PostgresWriter> {
        PostgresWriter::connect(&configuration(Side::Writer, &self.connection(), &parameter))
    }

    /// Reads all splits in one session.
    pub(crate) fn read(&self, parameter: Value, parallelism: u32) -> Result<ReadAll> {
        let mut reader = self.reader(parameter)?;
        let plan = reader.plan(parallelism, &[])?;
        let mut splits = Vec::new();
        let mut at = plan.start;
        loop {
            let answer = reader.splits(&at, 7)?;
            splits.extend(answer.splits);
            at = answer.next;
            if answer.last {
                break;
            }
        }
        let mut all = ReadAll { datasets: plan.datasets, ..ReadAll::default() };
        for split in splits {
            let (batches, undecodable) = read_split(&mut reader, split.clone(), &all.datasets)?;
            all.splits.push((split, batches));
            all.undecodable.extend(undecodable);
        }
        Ok(all)
    }

    /// Moves all rows as the engine would, where no cast is needed, and answers what came in.
    pub(crate) fn copy(&self, reader: Value, writer: Value, run: &str) -> Result<ReadAll> {
        let all = self.read(reader, 2)?;
        self.write_all(writer, run, &all)?;
        Ok(all)
    }

    pub(crate) fn write_all(&self, parameter: Value, run: &str, all: &ReadAll) -> Result<()> {
        let mut writer = self.writer(parameter)?;
        let run = sdk::Run { id: run.to_owned(), epoch: 1, bounded: true, verify: false };
        let prepared = writer.prepare(&run, all.datasets.clone())?;
        let types = |dataset: &Dataset| -> Vec<_> {
            dataset.schema.fields().iter().map(|f| f.data_type().clone()).collect()
        };
        assert_eq!(types(&prepared.datasets[0]), types(&all.datasets[0]), "a cast would be needed");
        for (index, (_, batches)) in all.splits.iter().enumerate() {
            let task = task(&run.id, index as u32, 1);
            let mut sink = writer.open(task, prepared.datasets.clone())?;
            for batch in batches {
                let answer = sink.write(Batch::inserts(batch.clone()))?;
                assert!(answer.undone.is_none() && answer.remarks.is_empty(), "{answer:?}");
            }
            sink.close(b"end".to_vec())?;
        }
        writer.finish(&run, sdk::Outcome::Succeeded, Vec::new())
    }
}

pub(crate) fn configuration(side: Side, connection: &Value, parameter: &Value) -> Configuration {
    Configuration {
        source_type: "postgresql".to_owned(),
        side,
        connection: connection.to_string(),
        parameter: parameter.to_string(),
    }
}

pub(crate) fn run_of(id: &str, epoch: u64) -> Run {
    Run { id: id.to_owned(), epoch, bounded: true, verify: false }
}

pub(crate) fn task(run: &str, index: u32, epoch: u64) -> Task {
    Task { run: run.to_owned(), index, epoch, verify: false }
}

pub(crate) const BUDGET: Budget = Budget { rows: 65_536, bytes: 256 << 10, wait_ms: 10_000 };

/// What a reader gave, split by split.
#[derive(Default)]
pub(crate) struct ReadAll {
    pub(crate) datasets: Vec<Dataset>,
    pub(crate) splits: Vec<(Split, Vec<RecordBatch>)>,
    pub(crate) undecodable: Vec<Undecodable>,
}

impl ReadAll {
    pub(crate) fn batches(&self) -> impl Iterator<Item = &RecordBatch> {
        self.splits.iter().flat_map(|(_, batches)| batches)
    }

    pub(crate) fn rows(&self) -> usize {
        self.batches().map(RecordBatch::num_rows).sum()
    }
}

pub(crate) fn read_split(
    reader: &mut PostgresReader,
    split: Split,
    datasets: &[Dataset],
) -> Result<(Vec<RecordBatch>, Vec<Undecodable>)> {
    let mut cursor = reader.open(split, None, datasets.to_vec())?;
    let (mut batches, mut undecodable) = (Vec::new(), Vec::new());
    let end = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < end, "the split has no end");
        match cursor.next(BUDGET)? {
            Step::Rows(rows) => {
                batches.extend(rows.batches.into_iter().map(|batch| batch.rows));
                undecodable.extend(rows.undecodable);
            }
            Step::Idle => {}
            Step::Advanced(_) => panic!("a table has no position of its own"),
            Step::Ended(_) => return Ok((batches, undecodable)),
        }
    }
}

/// The code of a call that must fail.
pub(crate) fn code<T>(result: Result<T>) -> String {
    fault(result).code
}

pub(crate) fn fault<T>(result: Result<T>) -> Fault {
    match result {
        Ok(_) => panic!("it should have failed"),
        Err(fault) => fault,
    }
}

/// Some rows of a batch, on their way.
struct Part<'a> {
    batch: &'a RecordBatch,
    rows: Vec<u32>,
    /// The call of `write` that they went with.
    number: u64,
}

impl Part<'_> {
    fn record(&self) -> RecordBatch {
        let columns = self.batch.columns().iter().map(|column| {
            let data = column.to_data();
            let mut taken =
                arrow_data::transform::MutableArrayData::new(vec![&data], false, self.rows.len());
            for row in &self.rows {
                taken.try_extend(0, *row as usize, *row as usize + 1).unwrap();
            }
            arrow_array::make_array(taken.freeze())
        });
        RecordBatch::try_new(self.batch.schema(), columns.collect()).unwrap()
    }
}

/// Writes and closes as the engine does: what was undone comes again, without the rows refused. Answers how
/// many rows were written, and those refused, by their number in their batch.
pub(crate) fn write_all(
    sink: &mut impl Sink,
    mark: &[u8],
    batches: &[RecordBatch],
) -> (usize, Vec<u32>) {
    let whole = |batch| Part { batch, rows: (0..batch.num_rows() as u32).collect(), number: 0 };
    let mut waiting: VecDeque<_> = batches.iter().map(whole).collect();
    let (mut open, mut calls, mut refused) = (Vec::<Part<'_>>::new(), 0, Vec::new());
    loop {
        let answer = match waiting.pop_front() {
            Some(part) => {
                let record = part.record();
                open.push(Part { number: calls, ..part });
                calls += 1;
                sink.write(Batch::inserts(record)).unwrap()
            }
            None => sink.close(mark.to_vec()).unwrap().answer,
        };
        let ended = answer.durable.as_deref() == Some(mark);
        for remark in answer.remarks.iter().rev() {
            let part = open.iter_mut().find(|part| part.number == remark.batch).unwrap();
            refused.push(part.rows.remove(remark.row as usize));
        }
        open.retain(|part| part.number >= answer.taken);
        if answer.undone.is_some() {
            assert!(!answer.remarks.is_empty(), "a row is always named");
            open.drain(..).rev().for_each(|part| waiting.push_front(part));
        }
        if ended {
            let all: usize = batches.iter().map(RecordBatch::num_rows).sum();
            refused.sort_unstable();
            return (all - refused.len(), refused);
        }
    }
}
