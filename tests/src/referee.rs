//! The other programs that say whether a result is right: DuckDB, pyarrow and fastavro, in Python scripts.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::tree;

/// Every value of both tables, as text, in any order; answers the number of rows.
///
/// A table is a file or a glob; the suffix says the format.
pub fn compare(left: &Path, right: &Path) -> u64 {
    ask(&["compare", &left.display().to_string(), &right.display().to_string()])
        .trim()
        .parse()
        .unwrap()
}

/// The columns of a file that has types: name and Arrow type.
pub fn types(file: &Path) -> Vec<(String, String)> {
    pairs(&ask(&["types", &file.display().to_string()]))
}

fn pairs(answer: &str) -> Vec<(String, String)> {
    let pairs = answer.lines().filter_map(|line| line.split_once(' '));
    pairs.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
}

/// How many rows a table has, and a sum over all values, in any order.
pub fn sums(table: &Path) -> String {
    ask(&["sums", &table.display().to_string()])
}

/// The members of JSON lines, and which kinds of value each has, in Python's words.
pub fn kinds(table: &Path) -> Vec<(String, String)> {
    pairs(&ask(&["kinds", &table.display().to_string()]))
}

/// Every file below a folder, names without the run's id, unpacked and readable.
pub fn dump(folder: &Path) -> String {
    ask(&["dump", &folder.display().to_string()])
}

/// Makes a file, of the format that its suffix says, of a DuckDB query; or of the word `columns`, as
/// [`columns`] does.
pub fn make(file: &Path, query: &str) {
    ask(&["make", &file.display().to_string(), query]);
}

/// Runs statements on a file of SQLite by Python's own, and answers their rows.
pub fn sqlite(file: &Path, script: &str) -> String {
    ask_script("referee_sqlite.py", &["run", &file.display().to_string(), script])
}

/// Another program that has a file of SQLite open. Dropped, it ends.
pub struct Holder(Child);

impl Holder {
    /// Runs statements, and waits.
    pub fn new(file: &Path, script: &str) -> Self {
        let file = file.display().to_string();
        let mut child = command("referee_sqlite.py", &["hold", &file, script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut held = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut held).unwrap();
        assert_eq!(held, "held\n");
        Self(child)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Loads a CSV file with a header into a table of a file of SQLite.
pub fn sqlite_load(file: &Path, table: &str, csv: &Path) {
    let (file, csv) = (file.display().to_string(), csv.display().to_string());
    ask_script("referee_sqlite.py", &["load", &file, table, &csv]);
}

/// Writes a table of a file of SQLite into a CSV file with a header.
pub fn sqlite_export(file: &Path, table: &str, csv: &Path) {
    let (file, csv) = (file.display().to_string(), csv.display().to_string());
    ask_script("referee_sqlite.py", &["export", &file, table, &csv]);
}

/// Makes a file of Parquet, ORC, Avro or Arrow IPC with a column of each type that pyarrow or fastavro writes, `t0`
/// and so on, and one row of values; answers the columns.
pub fn columns(file: &Path) -> Vec<(String, String)> {
    pairs(&ask(&["columns", &file.display().to_string()]))
}

pub(crate) fn ask(arguments: &[&str]) -> String {
    ask_script("referee.py", arguments)
}

fn ask_script(name: &str, arguments: &[&str]) -> String {
    let output = command(name, arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the referee on {arguments:?}:\n{said}");
    String::from_utf8(output.stdout).unwrap()
}

fn command(script: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(tree::python());
    command.arg(tree::tests().join("src").join(script)).args(arguments);
    command
}
