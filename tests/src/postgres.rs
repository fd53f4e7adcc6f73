//! A private PostgreSQL server: its own folder, its own port, gone with the test program.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};

use crate::disk::SmallDisk;
use crate::env::Env;

/// Where Debian keeps the server's programs, one folder for each version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// The password of [`USER`], and a marker: it must stand in no output and no file of the program.
pub const PASSWORD: &str = "marker-7Qz-never-shown";
/// Whom jobs log in as; the tests themselves log in as `postgres`.
pub const USER: &str = "mover";
const SUPERUSER_PASSWORD: &str = "superuser";
/// Another program may take the port between our look and the server's start.
const STARTS_MAX: u32 = 5;
const READY_MAX: Duration = Duration::from_secs(120);
/// Waits for the end of its standard input, which comes with the end of the test program however it
/// ends; then stops the server of the folder, if one runs, and takes the folder away.
const KEEPER: &str = r#"
trap '' INT
cat > /dev/null
"$PROGRAMS/pg_ctl" stop -D "$FOLDER/data" -m fast -t 30 || "$PROGRAMS/pg_ctl" stop -D "$FOLDER/data" -m immediate
rm -rf "$FOLDER"
"#;

/// One server; tests have databases of their own in it.
pub struct PgServer {
    folder: PathBuf,
    owner: Owner,
    port: u16,
    process: Mutex<Process>,
    keeper: Child,
    input: Option<ChildStdin>,
}

#[derive(Default)]
struct Process {
    /// `None` where it does not run.
    server: Option<Child>,
    /// How often it was started: each start has a log of its own.
    starts: u32,
}

impl PgServer {
    /// The server of this test program, started by the first who asks.
    pub fn shared() -> &'static Self {
        static SERVER: OnceLock<PgServer> = OnceLock::new();
        SERVER.get_or_init(Self::start)
    }

    /// A server of one test's own, which it may kill. It ends with the test program at the latest.
    pub fn own() -> &'static Self {
        Box::leak(Box::new(Self::start()))
    }

    pub fn start() -> Self {
        let folder =
            tempfile::Builder::new().prefix("airlock-postgresql-").tempdir().unwrap().keep();
        let owner = Owner::find();
        owner.own(&folder);
        let mut keeper = owner
            .command(Path::new("/bin/sh"), &folder)
            .args(["-c", KEEPER])
            .env("PROGRAMS", programs())
            .env("FOLDER", &folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = keeper.stdin.take();
        let process = Mutex::default();
        let mut server = Self { folder, owner, port: 0, process, keeper, input };
        server.make();
        for _ in 0..STARTS_MAX {
            server.port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
            if server.is_started() {
                server.psql("postgres", &format!("create role {USER} login password '{PASSWORD}'"));
                return server;
            }
        }
        panic!("the server does not start\n{}", server.log());
    }

    /// The folder of its data.
    fn make(&self) {
        let password = self.folder.join("password");
        fs::write(&password, SUPERUSER_PASSWORD).unwrap();
        self.owner.own(&password);
        let made = self
            .owner
            .command(&programs().join("initdb"), &self.folder)
            .args(["--username=postgres", "--auth=scram-sha-256", "--no-sync", "--encoding=UTF8"])
            .arg("--locale=C.UTF-8")
            .arg(format!("--pwfile={}", password.display()))
            .arg(format!("--pgdata={}", self.data().display()))
            .output()
            .expect("the server's programs are installed by: cargo xtask test");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Starts the server, and waits until it answers or has ended, such as where its port is taken.
    fn is_started(&self) -> bool {
        let mut process = self.process();
        process.starts += 1;
        let log_file = log_file(&self.folder, process.starts);
        let log = fs::File::create(&log_file).unwrap();
        let server = self
            .owner
            .command(&programs().join("postgres"), &self.folder)
            .arg("-D")
            .arg(self.data())
            .args(self.settings().iter().map(|setting| format!("-c{setting}")))
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let server = process.server.insert(server);
        let begun = Instant::now();
        while begun.elapsed() < READY_MAX && server.try_wait().unwrap().is_none() {
            if read(&log_file).contains("ready to accept connections") {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        process.end(Signal::KILL);
        false
    }

    fn settings(&self) -> [String; 10] {
        [
            "listen_addresses=127.0.0.1".into(),
            format!("port={}", self.port),
            format!("unix_socket_directories={}", self.folder.display()),
            "fsync=off".into(),
            "full_page_writes=off".into(),
            "max_wal_size=4GB".into(),
            "log_connections=on".into(),
            "log_statement=all".into(),
            "log_line_prefix=%d|%u|%p|".into(),
            "timezone=UTC".into(),
        ]
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the server and all its sessions with SIGKILL, as a machine that loses its power.
    pub fn kill(&self) {
        self.process().end(Signal::KILL);
    }

    /// Shuts the server down in good order: sessions are told and ended.
    pub fn shut_down(&self) {
        self.process().end(Signal::INT);
    }

    /// Starts a server that has ended again, in its place and on its port.
    pub fn start_again(&self) {
        let begun = Instant::now();
        // The sessions of a killed server end a moment after it; until then the folder is theirs.
        while !self.is_started() {
            assert!(begun.elapsed() < READY_MAX, "it does not start again\n{}", self.log());
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// A disk of so many megabytes in the server's folder, for a tablespace; `None` without the right to
    /// mount.
    pub fn small_disk(&self, megabytes: u32) -> Option<SmallDisk> {
        SmallDisk::mount(self.folder.join("small"), megabytes, self.owner.0)
    }

    /// Everything that the server logged.
    pub fn log(&self) -> String {
        let starts = self.process().starts;
        (1..=starts).map(|start| read(&log_file(&self.folder, start))).collect()
    }

    /// A new database, empty, with the schema `public`.
    pub fn database(&'static self) -> Database {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let name = format!("t{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.psql("postgres", &format!("create database {name} owner {USER}"));
        Database { server: self, name }
    }

    fn psql(&self, database: &str, text: &str) -> String {
        let mut client = self.client(database).spawn().unwrap();
        let mut input = client.stdin.take().unwrap();
        let text = text.to_owned();
        let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
        let output = client.wait_with_output().unwrap();
        let _ = writer.join().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn client(&self, database: &str) -> Command {
        let mut psql = Command::new("psql");
        psql.args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--set=ON_ERROR_STOP=1",
        ])
        .args(["--host=127.0.0.1", "--username=postgres"])
        .arg(format!("--port={}", self.port))
        .arg(format!("--dbname={database}"))
        .env("PGPASSWORD", SUPERUSER_PASSWORD)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
        psql
    }

    /// Stops the server, takes its folder away, and waits until both are gone.
    pub fn stop(&mut self) {
        drop(self.input.take());
        let _ = self.keeper.wait();
        self.kill();
    }
}

impl Process {
    /// Signals the server, in case of SIGKILL its sessions too, and waits until it has ended.
    fn end(&mut self, signal: Signal) {
        if let Some(mut server) = self.server.take() {
            let pid = Pid::from_child(&server);
            let _ = match signal {
                Signal::KILL => kill_process_group(pid, signal),
                _ => kill_process(pid, signal),
            };
            let _ = server.wait();
        }
    }
}

impl Drop for PgServer {
    fn drop(&mut self) {
        self.stop();
    }
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

fn log_file(folder: &Path, start: u32) -> PathBuf {
    folder.join(format!("log-{start}"))
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// As whom the server runs: it refuses root.
struct Owner(Option<(u32, u32)>);

impl Owner {
    fn find() -> Self {
        if fs::metadata("/proc/self").unwrap().uid() != 0 {
            return Self(None);
        }
        let users = fs::read_to_string("/etc/passwd").unwrap();
        let fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let user = fields.into_iter().find(|fields| fields[0] == "postgres");
        let user = user.expect("the user \"postgres\" comes with the server: cargo xtask test");
        Self(Some((user[2].parse().unwrap(), user[3].parse().unwrap())))
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

/// A database of one test.
pub struct Database {
    server: &'static PgServer,
    pub name: String,
}

impl Database {
    /// Runs statements as the superuser, and answers the rows: `|` between columns, NULL empty.
    pub fn sql(&self, text: &str) -> String {
        self.server.psql(&self.name, text)
    }

    /// As [`Database::sql`], as the user that jobs log in as, who then owns what it creates.
    pub fn setup(&self, text: &str) {
        self.sql(&format!("set role {USER};\n{text}"));
    }

    /// One number.
    pub fn count(&self, query: &str) -> u64 {
        self.sql(query).trim().parse().unwrap()
    }

    /// Writes the rows of `query` into a CSV file with a header, in the database's own text.
    pub fn export(&self, query: &str, file: &Path) {
        let copy = format!("copy ({query}) to stdout (format csv, header)");
        fs::write(file, self.sql(&copy)).unwrap();
    }

    /// Loads a CSV file with a header.
    pub fn import(&self, table: &str, file: &Path) {
        self.sql(&format!("\\copy {table} from '{}' (format csv, header)", file.display()));
    }

    /// Keeps a transaction open that has run `text`; dropped, it is rolled back.
    pub fn hold(&self, text: &str) -> Held {
        let mut client = self.server.client(&self.name).spawn().unwrap();
        let mut input = client.stdin.take().unwrap();
        writeln!(input, "begin;\n{text};\n\\echo held").unwrap();
        let mut said = Vec::new();
        let output = client.stdout.as_mut().unwrap();
        let mut byte = [0];
        while !said.ends_with(b"held\n") {
            let read = output.read(&mut byte).unwrap();
            assert!(read == 1, "the statements fail: {text}");
            said.push(byte[0]);
        }
        Held { client, input: Some(input) }
    }

    /// Sessions that wait for a lock.
    pub fn waiting(&self) -> u64 {
        self.count(&format!(
            "select count(*) from pg_stat_activity where datname = '{}' and wait_event_type = 'Lock'",
            self.name
        ))
    }

    /// Ends the sessions of jobs, as a server that goes down does.
    pub fn disconnect_all(&self) {
        self.sql(&format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = '{USER}' and datname = '{}'",
            self.name
        ));
    }

    /// What the server logged about jobs in this database.
    pub fn log(&self) -> Vec<String> {
        let mark = format!("{}|{USER}|", self.name);
        let log = self.server.log();
        log.lines().filter(|line| line.starts_with(&mark)).map(str::to_owned).collect()
    }

    /// How often jobs logged in.
    pub fn logins(&self) -> usize {
        self.log().iter().filter(|line| line.contains("connection authorized")).count()
    }

    /// Lines about jobs that contain `text`, in lower case, such as `log:  statement: copy `: an error
    /// repeats its statement, but not as a log.
    pub fn statements(&self, text: &str) -> usize {
        let log = self.log();
        log.iter().filter(|line| line.to_lowercase().contains(text)).count()
    }

    /// The properties of a data source, the password from the environment of [`Database::admit`].
    pub fn properties(&self) -> Value {
        json!({
            "host": "127.0.0.1",
            "port": self.server.port,
            "database": self.name,
            "username": USER,
            "password": {"env": "PGPASSWORD"},
        })
    }

    /// Gives a test's programs the data source `pg` and its password.
    pub fn admit(&self, env: &mut Env) {
        env.set("PGPASSWORD", PASSWORD);
        env.admit("pg", json!({"type": "postgresql", "properties": self.properties()}));
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.server
                .psql("postgres", &format!("drop database if exists {} with (force)", self.name));
        }
    }
}

/// An open transaction.
pub struct Held {
    client: Child,
    input: Option<ChildStdin>,
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.client.wait();
    }
}

#[cfg(test)]
mod tests;
