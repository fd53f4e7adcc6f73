//! A private MariaDB server: its own folder, its own port, gone with the test program.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::certificates;
use crate::disk::SmallDisk;
use crate::env::Env;

const SERVER: &str = "/usr/sbin/mariadbd";
/// The password of [`USER`], and a marker: it must stand in no output and no file of the program.
pub const PASSWORD: &str = "marker-3Kx-never-shown";
/// Whom jobs log in as; the tests themselves log in as `root`.
const USER: &str = "mover";
/// Another program may take the port between our look and the server's start.
const STARTS_MAX: u32 = 5;
const READY_MAX: Duration = Duration::from_secs(120);
/// Waits for the end of its standard input, which comes with the end of the test program however it
/// ends; then ends the server whose number stands in the folder, and takes the folder away.
const KEEPER: &str = r#"
trap '' INT
cat > /dev/null
[ -f "$FOLDER/data/server.pid" ] && kill -9 "$(cat "$FOLDER/data/server.pid")"
rm -rf "$FOLDER"
"#;

/// One server; tests have databases of their own in it.
pub struct MysqlServer {
    folder: PathBuf,
    /// As whom the server runs, where the tests run as root: it refuses that.
    owner: Option<(u32, u32)>,
    port: u16,
    /// What it is started with beside what all are.
    more: Vec<String>,
    process: Mutex<Option<Child>>,
    keeper: Child,
    input: Option<ChildStdin>,
}

impl MysqlServer {
    /// The server of this test program, started by the first who asks.
    pub fn shared() -> &'static Self {
        static SERVER: OnceLock<MysqlServer> = OnceLock::new();
        SERVER.get_or_init(|| Self::start(|_| Vec::new()))
    }

    /// A server of one test's own, which it may kill. It ends with the test program at the latest.
    pub fn own() -> &'static Self {
        Box::leak(Box::new(Self::start(|_| Vec::new())))
    }

    /// A server of one test's own with TLS and logins by ed25519, and the folder of its certificates,
    /// as [`certificates::make`] makes them.
    pub fn secure() -> (&'static Self, &'static Path) {
        let server: &Self = Box::leak(Box::new(Self::start(|folder| {
            certificates::make(folder);
            let file = |name: &str| folder.join(name).display().to_string();
            vec![
                format!("--ssl-cert={}", file("server.crt")),
                format!("--ssl-key={}", file("server.key")),
                "--plugin-load-add=auth_ed25519".to_owned(),
            ]
        })));
        (server, &server.folder)
    }

    /// Its temporary files lie in its own folder: a server that starts deletes those of others.
    fn start(prepare: impl Fn(&Path) -> Vec<String>) -> Self {
        let folder = tempfile::Builder::new().prefix("airlock-mysql-").tempdir().unwrap().keep();
        let owner = owner();
        let more = prepare(&folder);
        if let Some((user, group)) = owner {
            let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
            for path in files.chain([folder.clone()]) {
                chown(&path, Some(user), Some(group)).unwrap();
            }
        }
        let mut keeper = command(Path::new("/bin/sh"), owner)
            .args(["-c", KEEPER])
            .env("FOLDER", &folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = keeper.stdin.take();
        let process = Mutex::default();
        let mut server = Self { folder, owner, port: 0, more, process, keeper, input };
        let made = command(Path::new("/usr/bin/mariadb-install-db"), owner)
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .env("TMPDIR", &server.folder)
            .arg(format!("--datadir={}", server.data().display()))
            .output()
            .expect("the server's programs are installed by: cargo xtask test");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        for _ in 0..STARTS_MAX {
            server.port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
            if server.is_started() {
                let user = format!("'{USER}'@'%' identified by '{PASSWORD}'");
                server.client("mysql", &format!("create user {user}"));
                return server;
            }
        }
        panic!("the server does not start\n{}", server.log());
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Starts the server, and waits until it greets or has ended, such as where its port is taken.
    fn is_started(&self) -> bool {
        let log = fs::File::options().create(true).append(true).open(self.folder.join("log"));
        let log = log.unwrap();
        let mut child = command(Path::new(SERVER), self.owner)
            .args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve"])
            .args(["--innodb-flush-log-at-trx-commit=2", "--pid-file=server.pid"])
            .arg("--max-allowed-packet=64M")
            .arg(format!("--datadir={}", self.data().display()))
            .arg(format!("--socket={}", self.folder.join("s.sock").display()))
            .arg(format!("--port={}", self.port))
            .args(&self.more)
            .env("TMPDIR", &self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while begun.elapsed() < READY_MAX && child.try_wait().unwrap().is_none() {
            let mut head = [0];
            let greets = TcpStream::connect(("127.0.0.1", self.port))
                .and_then(|mut stream| stream.read_exact(&mut head));
            if greets.is_ok() && child.try_wait().unwrap().is_none() {
                *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = child.kill();
        let _ = child.wait();
        false
    }

    /// Ends the server with SIGKILL.
    pub fn kill(&self) {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut server) = process {
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    /// Starts a killed server again, in its place and on its port.
    pub fn start_again(&self) {
        let begun = Instant::now();
        while !self.is_started() {
            assert!(begun.elapsed() < READY_MAX, "it does not start again\n{}", self.log());
        }
    }

    /// A disk of so many megabytes in the server's folder, for a table; `None` without the right to mount.
    pub fn small_disk(&self, megabytes: u32) -> Option<SmallDisk> {
        SmallDisk::mount(self.folder.join("small"), megabytes, self.owner)
    }

    /// Everything that the server logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// A new database, empty.
    pub fn database(&'static self) -> MysqlDatabase {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let name = format!("t{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let grant = format!("grant all on {name}.* to '{USER}'@'%'");
        self.client("mysql", &format!("create database {name} character set utf8mb4; {grant};"));
        MysqlDatabase { server: self, name }
    }

    fn client(&self, database: &str, text: &str) -> String {
        let mut client = Command::new("mariadb")
            .args(["--no-defaults", "--user=root", "--batch", "--skip-column-names"])
            .args(["--default-character-set=utf8mb4", "--init-command=set time_zone='+00:00'"])
            .arg(format!("--socket={}", self.folder.join("s.sock").display()))
            .args(["--local-infile", database])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        client.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = client.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for MysqlServer {
    fn drop(&mut self) {
        self.kill();
        drop(self.input.take());
        let _ = self.keeper.wait();
    }
}

fn owner() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let user = fields.into_iter().find(|fields| fields[0] == "mysql");
    let user = user.expect("the user \"mysql\" comes with the server: cargo xtask test");
    Some((user[2].parse().unwrap(), user[3].parse().unwrap()))
}

fn command(program: &Path, owner: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/").env_clear().env("PATH", "/usr/bin:/bin:/usr/sbin");
    if let Some((user, group)) = owner {
        command.uid(user).gid(group);
    }
    command
}

/// A database of one test.
pub struct MysqlDatabase {
    server: &'static MysqlServer,
    pub name: String,
}

impl MysqlDatabase {
    /// Runs statements as `root`, and answers the rows: a tab between columns, `NULL` for none.
    pub fn sql(&self, text: &str) -> String {
        self.server.client(&self.name, text)
    }

    /// Writes a table into a CSV file with a header, in the database's own text; NULL is nothing.
    pub fn export(&self, table: &str, file: &Path) {
        let names = self.sql(&format!(
            "select column_name from information_schema.columns \
             where table_schema = database() and table_name = '{table}' order by ordinal_position"
        ));
        let names: Vec<_> = names.lines().collect();
        let quoted = |name: &&str| {
            format!("ifnull(concat('\"', replace(`{name}`, '\"', '\"\"'), '\"'), '')")
        };
        let values = names.iter().map(quoted).collect::<Vec<_>>().join(", ',', ");
        let rows = self.sql(&format!("select concat({values}) from `{table}`"));
        // As the client prints line breaks, tabs and backslashes.
        let rows = rows.replace("\\n", "\n").replace("\\t", "\t").replace("\\\\", "\\");
        fs::write(file, format!("{}\n{rows}", names.join(","))).unwrap();
    }

    /// Loads a CSV file with a header.
    pub fn import(&self, table: &str, file: &Path) {
        self.sql(&format!(
            "load data local infile '{}' into table {table} \
             fields terminated by ',' optionally enclosed by '\"' escaped by '' ignore 1 lines",
            file.display()
        ));
    }

    /// Leaves jobs no more than these rights.
    pub fn grant(&self, rights: &str) {
        let on = format!("on {}.*", self.name);
        self.sql(&format!(
            "revoke all {on} from '{USER}'@'%'; grant {rights} {on} to '{USER}'@'%'"
        ));
    }

    pub fn port(&self) -> u16 {
        self.server.port
    }

    /// The properties of a data source, the password from the environment of [`Self::admit`].
    pub fn properties(&self) -> Value {
        json!({
            "host": "127.0.0.1",
            "port": self.server.port,
            "database": self.name,
            "username": USER,
            "password": {"env": "MYSQLPASSWORD"},
        })
    }

    /// Gives a test's programs the data source `my` and its password, beside those that are there.
    pub fn admit(&self, env: &mut Env) {
        env.set("MYSQLPASSWORD", PASSWORD);
        env.admit("my", json!({"type": "mysql", "properties": self.properties()}));
    }
}
