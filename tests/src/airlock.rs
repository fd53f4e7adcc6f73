//! The program under test, started, watched and ended.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::env::Env;
use crate::normal::Normal;

/// No run of a test takes as long; a longer one hangs.
const RUN_MAX: Duration = Duration::from_secs(30 * 60);
/// How often a running program is looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A command that has not been started.
pub struct Airlock {
    program: PathBuf,
    arguments: Vec<String>,
    variables: BTreeMap<String, String>,
    folder: PathBuf,
    capture: PathBuf,
    root: PathBuf,
    input: Option<PathBuf>,
    output: Option<PathBuf>,
}

impl Airlock {
    pub(crate) fn new(env: &Env, program: &Path, arguments: Vec<String>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self {
            program: program.to_owned(),
            arguments,
            variables: env.variables().clone(),
            folder: env.work(),
            capture: env.root().join(format!("capture-{number}")),
            root: env.root().to_owned(),
            input: None,
            output: None,
        }
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// Standard input is `file`.
    pub fn stdin(mut self, file: &Path) -> Self {
        self.input = Some(file.to_owned());
        self
    }

    /// Standard output goes to `file`, such as `/dev/full`.
    pub fn stdout(mut self, file: &str) -> Self {
        self.output = Some(file.into());
        self
    }

    pub fn start(self) -> Running {
        let file = |suffix| self.capture.with_extension(suffix);
        let (out, err) = (self.output.clone().unwrap_or_else(|| file("out")), file("err"));
        let input = match &self.input {
            Some(path) => Stdio::from(File::open(path).unwrap()),
            None => Stdio::null(),
        };
        let open = |path: &Path| File::options().create(true).append(true).open(path).unwrap();
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .envs(&self.variables)
            .current_dir(&self.folder)
            .stdin(input)
            .stdout(open(&out))
            .stderr(open(&err))
            .spawn()
            .unwrap_or_else(|error| panic!("\"{}\": {error}", self.program.display()));
        let what = format!("{} {}", self.program.display(), self.arguments.join(" "));
        Running { child: Some(child), out, err, what, root: self.root, peak_kib: 0 }
    }

    pub fn run(self) -> Output {
        self.start().wait()
    }
}

/// A program at work. Dropped, it is killed.
pub struct Running {
    child: Option<Child>,
    out: PathBuf,
    err: PathBuf,
    what: String,
    root: PathBuf,
    peak_kib: u64,
}

impl Running {
    pub fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("not waited for yet");
        let pid = Pid::from_child(child);
        // One that has ended by itself needs no signal; it stays a zombie until it is waited for.
        kill_process(pid, signal).unwrap();
    }

    pub fn has_ended(&mut self) -> bool {
        self.look();
        self.child.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some())
    }

    pub fn stderr(&self) -> String {
        text(&self.err)
    }

    /// Fails where the program is at work for longer than any takes.
    pub(crate) fn in_time(&self, begun: Instant, what: &str) {
        assert!(begun.elapsed() < RUN_MAX, "{} {what}\n{}", self.what, self.stderr());
    }

    /// Waits until `condition` holds; fails when the program ends before.
    pub fn until(&mut self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !condition(self) {
            if self.has_ended() && !condition(self) {
                panic!("{} ended before {what}\n{}", self.what, self.stderr());
            }
            self.in_time(begun, &format!("does not come to {what}"));
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Ends it with SIGKILL, as a machine that loses its power.
    pub fn kill(mut self) -> Output {
        self.signal(Signal::KILL);
        self.end()
    }

    pub fn wait(mut self) -> Output {
        let begun = Instant::now();
        while !self.has_ended() {
            self.in_time(begun, "does not end");
            std::thread::sleep(LOOK_EVERY);
        }
        self.end()
    }

    fn end(&mut self) -> Output {
        let mut child = self.child.take().expect("not waited for yet");
        let status = child.wait().unwrap();
        Output {
            code: status.code(),
            stdout: if self.out.is_file() { text(&self.out) } else { String::new() },
            stderr: text(&self.err),
            what: self.what.clone(),
            root: self.root.clone(),
            peak_kib: self.peak_kib,
        }
    }

    /// The kernel's own high-water mark only rises, so the last look is what counts.
    fn look(&mut self) {
        let Some(child) = &self.child else { return };
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        self.peak_kib = self.peak_kib.max(peak.unwrap_or(0));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// How a program ended, and what it said.
#[derive(Debug)]
pub struct Output {
    /// `None`: ended by a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    /// The most memory that was seen in use, in KiB.
    pub peak_kib: u64,
    what: String,
    root: PathBuf,
}

impl Output {
    /// Fails unless the program ended with `code`.
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// The one object on standard output.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// The code of the error object on standard output.
    pub fn error_code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Everything a user sees, without what differs from run to run.
    pub fn normal(&self) -> String {
        let code = self.code.map_or("a signal".to_owned(), |code| code.to_string());
        let mut text = format!("exit code: {code}\n");
        for (name, stream) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !stream.is_empty() {
                text += &format!("--- {name} ---\n{stream}");
                if !stream.ends_with('\n') {
                    text += "(no line end)\n";
                }
            }
        }
        Normal::of(&self.root).apply(&text)
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { what, code, stdout, stderr, .. } = self;
        write!(f, "{what}\nexit code: {code:?}\n--- stdout ---\n{stdout}\n--- stderr ---\n{stderr}")
    }
}
