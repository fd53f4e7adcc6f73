//! The tour in README.md shows what is really printed.
//!
//! `UPDATE_EXPECTED=1` writes it anew: blocks whose output differs by more than times and names.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tests::normal::Normal;
use tests::postgres::{PASSWORD, USER};
use tests::{Database, Env, Output, PgServer, Stopped, tree};

/// How the tour calls the program.
const PROGRAM: &str = "target/release/airlock";
/// How the tour kills it in the middle; here it is killed where it has come for sure.
const KILLED: &str = "timeout --signal=KILL 1";
const KILLED_AT: &str = "store.checkpoint:2:after";
/// What the tour calls the server's port, the database and who logs in.
const NAMES: [&str; 3] = ["5432", "dw", "etl"];

/// A part of the README.
enum Part {
    Text(String),
    /// A file of the tour, named behind the fence's language.
    File {
        name: String,
        text: String,
    },
    /// A command behind `$ `, and what it prints.
    Command {
        line: String,
        printed: String,
    },
}

pub(crate) fn path() -> PathBuf {
    tree::tests().parent().unwrap().join("README.md")
}

/// Two tests may write the README anew, each its own part.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    // Within a fence; and the name of the file whose text stands there.
    let (mut fenced, mut file) = (false, None);
    for line in text.split_inclusive('\n') {
        if let Some(language) = line.trim_end().strip_prefix("```") {
            fenced = !fenced;
            file = language.split_once(' ').map(|(_, name)| name.to_owned());
            add_text(&mut parts, line);
        } else if let Some(name) = &file {
            match parts.last_mut() {
                Some(Part::File { text, .. }) => text.push_str(line),
                _ => parts.push(Part::File { name: name.clone(), text: line.to_owned() }),
            }
        } else if let (true, Some(command)) = (fenced, line.strip_prefix("$ ")) {
            let line = command.trim_end().to_owned();
            parts.push(Part::Command { line, printed: String::new() });
        } else if let (true, Some(Part::Command { printed, .. })) = (fenced, parts.last_mut()) {
            printed.push_str(line);
        } else {
            add_text(&mut parts, line);
        }
    }
    parts
}

fn add_text(parts: &mut Vec<Part>, line: &str) {
    match parts.last_mut() {
        Some(Part::Text(text)) => text.push_str(line),
        _ => parts.push(Part::Text(line.to_owned())),
    }
}

/// Where the tour takes place.
struct Tour {
    env: Env,
    database: Database,
}

impl Tour {
    fn new() -> Self {
        let database = PgServer::shared().database();
        let mut env = Env::new();
        env.set("PGPASSWORD", PASSWORD);
        let quickstart = tree::tests().join("jobs/quickstart");
        for entry in fs::read_dir(&quickstart).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                env.write(&format!("tests/jobs/quickstart/{name}"), fs::read(&path).unwrap());
            }
        }
        Self { env, database }
    }

    /// The names of the tour, each with what it is called here.
    fn names(&self) -> [(&'static str, String); 3] {
        let port = PgServer::shared().port().to_string();
        let [five, database, user] = NAMES;
        [(five, port), (database, self.database.name.clone()), (user, USER.to_owned())]
    }

    fn write(&self, name: &str, text: &str) {
        let text = self.names().iter().fold(text.to_owned(), |text, (toured, here)| {
            let text = text.replace(&format!("\"{toured}\""), &format!("\"{here}\""));
            text.replace(&format!(": {toured},"), &format!(": {here},"))
        });
        self.env.write(name, text);
    }

    /// What a person would see.
    fn run(&self, line: &str) -> String {
        if let Some(line) = line.strip_prefix(KILLED) {
            return self.kill(line.trim());
        }
        let (program, arguments) = words(line);
        assert_eq!(program, PROGRAM, "{line}");
        self.shown(&self.env.airlock(&arguments).run().expect(0))
    }

    fn kill(&self, line: &str) -> String {
        let (_, arguments) = words(line);
        let program = self.env.program(&tree::stops(), &arguments);
        let stopped = Stopped::at(program, KILLED_AT, self.env.root());
        stopped.unwrap_or_else(|ended| panic!("{ended}")).kill();
        "Killed\n".to_owned()
    }

    fn shown(&self, output: &Output) -> String {
        // On a terminal progress is a bar, which is gone in the end.
        let is_progress = |line: &&str| line.starts_with("read ") && line.contains(" records/s, ");
        // How busy the machine is, is chance, and so is what would make the run faster.
        let is_advice = |line: &&str| line.starts_with("  advice ");
        let notes = output.stderr.split_inclusive('\n').filter(|line| !is_progress(line));
        let told = output.stdout.split_inclusive('\n').filter(|line| !is_advice(line));
        let text: String = notes.chain(told).collect();
        let names = self.names();
        // A name is a word of its own: the `t1` in the time of a run's number is none.
        names.iter().fold(text, |text, (toured, here)| {
            let word = regex::Regex::new(&format!(r"\b{}\b", regex::escape(here))).unwrap();
            word.replace_all(&text, *toured).into_owned()
        })
    }
}

fn words(line: &str) -> (String, Vec<String>) {
    let mut words = line.split_whitespace().map(str::to_owned);
    (words.next().unwrap(), words.collect())
}

/// Without what differs from run to run.
fn normal(text: &str) -> String {
    let text = Normal::of(Path::new("/nowhere")).apply(text);
    // How far it had come is chance, also by the look of the progress.
    let done = regex::Regex::new(r", \d+ done before").unwrap();
    done.replace_all(&text, "").into_owned()
}

#[test]
fn the_tour_shows_what_is_printed() {
    let tour = Tour::new();
    let _alone = alone();
    let before = fs::read_to_string(path()).unwrap();
    let (mut after, mut differing) = (String::new(), Vec::new());
    let mut commands = 0;
    for part in parts(&before) {
        match part {
            Part::Text(text) => after += &text,
            Part::File { name, text } => {
                tour.write(&name, &text);
                after += &text;
            }
            Part::Command { line, printed } => {
                let now = tour.run(&line);
                let same = normal(&now) == normal(&printed);
                if !same {
                    differing.push(format!("$ {line}\n--- README\n{printed}--- printed\n{now}"));
                }
                after += &format!("$ {line}\n{}", if same { &printed } else { &now });
                commands += 1;
            }
        }
    }
    assert!(commands >= 5, "the tour has lost commands");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(path(), after).unwrap();
        return;
    }
    assert!(differing.is_empty(), "UPDATE_EXPECTED=1 writes it anew\n{}", differing.join("\n"));
}
