//! TYPES.md: what each type of a system becomes in every other one, as the real plug-ins and the real
//! server answer it.
//!
//! The lists of types are the server's own, those that plug-ins give as examples, and those that pyarrow and
//! fastavro write; `airlock plan` says what becomes of them, and a run shows what a destination makes of its own.
//! `UPDATE_EXPECTED=1` writes it anew.

mod matrix;
mod systems;

use std::fs;
use std::path::PathBuf;

use tests::{Document, tree};

use matrix::{Fates, Matrix, Pair, TOGETHER};
use systems::{SERVERS, SYSTEMS, System};

const HEAD: &str = "\
# Types

Made by `cargo xtask types`; a test fails where it is stale. What each type of a source becomes in a destination:

* *same*: the types are one.
* *widened*: another type, which has an equal value for each.
* *as text*: a text that reads back as the same value.
* *checked*: each value is looked at, by Airlock or by the server that reads its text; one that the destination's \
type cannot hold makes its record dirty.
* *lossy*: values would change, so the job is refused, unless `casts` in `setting` allows it for the column.
* *impossible*: the job is refused; read or write the column as a text.

Columns travel as Arrow types, and files of Parquet, ORC, Avro and Arrow IPC hold those. CSV files hold texts, and NULL apart from them; of JSON \
lines the kind of value is named; `stream` prints texts. A length, a number of decimals of a second, or a range, that a column of a database has beside \
what its Arrow type says, is held by the writer: a value beyond it makes its record dirty, as do NaN and infinity in \
floats of MySQL, and what a check of a table refuses. Types that Avro lacks (such as unsigned \
numbers, short ones and intervals) stand in its files under names that Arrow gave them, and types that ORC lacks \
(such as unsigned numbers, times and decimals of more than 38 digits) as others with the name of their own beside \
them; other programs see the plain type, which in ORC is a larger number, a number of microseconds or a text. Unions can't be read, of Avro those of several types beside null, nor list views and run-end encoded \
columns of Arrow IPC. Digits as in `numeric(15,2)` are examples. MySQL \
stands for MariaDB too, of which these answers are. A column of SQLite is what it is declared as: `BIGINT` and other words with \
INT fare as `INTEGER`, `VARCHAR(20)` as `TEXT`, `REAL` as `DOUBLE`, `TIMESTAMP` as `DATETIME`; *none* is one that is declared \
as nothing, and is what its values are, here texts. A value that SQLite would keep as another one, such as a number of more \
than 15 digits in `DECIMAL` or `NUMERIC`, makes its record dirty; `DECIMAL_TEXT` keeps them all.
";

/// What a cast may mean for columns that are there.
const CLASSES: [&str; 5] = ["same", "widened", "as text", "checked", "lossy"];
/// From this one on a value may not come through.
const CHECKED: usize = 3;
/// Systems whose columns have a value of each type here.
const VALUED: [System; 7] = [
    System::Postgresql,
    System::Mysql,
    System::Sqlite,
    System::Parquet,
    System::Orc,
    System::Avro,
    System::Arrow,
];

fn path() -> PathBuf {
    tree::tests().parent().unwrap().join("TYPES.md")
}

#[test]
fn the_matrix_is_what_plugins_do() {
    let matrix = Matrix::new();
    let mut text = HEAD.to_owned();
    let checked = |server| {
        let into = Into::new(&matrix, server);
        into.check(&matrix);
        into
    };
    let into = std::thread::scope(|scope| {
        let threads = SERVERS.map(|server| scope.spawn(move || checked(server)));
        threads.map(|thread| thread.join().unwrap())
    });
    into.iter().for_each(|into| text += &into.alike_text());
    for source in SYSTEMS {
        text += &format!("\n## From {}\n\n", source.title());
        text += &matrix.made(source);
        for into in &into {
            let title = into.server.title();
            text += &format!(
                "\nInto columns of {title} that are there; what is not listed is impossible:\n\n"
            );
            text += &into.text(&matrix, source);
        }
    }
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(path(), text).unwrap();
        return;
    }
    let shown = fs::read_to_string(path()).unwrap_or_default();
    let stale = text.lines().find(|line| !shown.contains(line));
    assert!(
        shown == text,
        "`cargo xtask types` writes it anew; the first line that is new: {stale:?}"
    );
}

/// What casts into the columns of one server's tables mean.
struct Into {
    server: System,
    /// Of each system, for each type of the server.
    fates: Vec<(System, Vec<Fates>)>,
    /// The server's types for which every cast means the same, in groups.
    alike: Vec<Vec<String>>,
}

impl Into {
    fn new(matrix: &Matrix, server: System) -> Self {
        let fates: Vec<_> =
            SYSTEMS.into_iter().map(|source| (source, matrix.there(source, server))).collect();
        let mut groups: Vec<(Vec<&Fates>, Vec<String>)> = Vec::new();
        for (target, kind) in matrix.kinds[&server].iter().enumerate() {
            let fate: Vec<_> = fates.iter().map(|(_, there)| &there[target]).collect();
            match groups.iter_mut().find(|(other, _)| *other == fate) {
                Some((_, kinds)) => kinds.push(kind.clone()),
                None => groups.push((fate, vec![kind.clone()])),
            }
        }
        let alike = groups.into_iter().map(|(_, kinds)| kinds).collect();
        Self { server, fates, alike }
    }

    fn alike_text(&self) -> String {
        let mut text = format!(
            "\nOf columns of {} that are there, one stands for those that fare alike:\n\n",
            self.server.title()
        );
        for kinds in self.alike.iter().filter(|kinds| kinds.len() > 1) {
            let names: Vec<_> = kinds.iter().map(|kind| self.server.named(kind)).collect();
            text += &format!("* {} for {}\n", names[0], names[1..].join(", "));
        }
        text
    }

    /// What no cast checks comes through, where the column has no bound beside its type.
    fn check(&self, matrix: &Matrix) {
        for source in VALUED {
            for (table, kinds) in matrix.kinds[&self.server].chunks(TOGETHER).enumerate() {
                let fates = &self.of(source)[table * TOGETHER..];
                let sure = kinds.iter().enumerate().flat_map(|(place, kind)| {
                    let is_sure = |class: Option<usize>| class.is_some_and(|class| class < CHECKED);
                    let is_bounded = self.server.is_bounded(kind);
                    let columns = fates[place].iter().enumerate();
                    let sure = columns.filter(move |(_, class)| !is_bounded && is_sure(**class));
                    sure.map(move |(column, _)| (place, column))
                });
                let sure: Vec<_> = sure.collect();
                if sure.is_empty() {
                    continue;
                }
                let [reader, writer] = matrix.steps((source, self.server), table, &sure);
                let output = matrix.airlock("run", &Document::new(reader, writer));
                let (from, into) = (source.title(), self.server.title());
                assert!(output.code == Some(0), "from {from} into {kinds:?} of {into}: {output}");
            }
        }
    }

    /// Of one system, for each type of the server.
    fn of(&self, source: System) -> &[Fates] {
        let there = self.fates.iter().find(|(system, _)| *system == source);
        there.map(|(_, fates)| fates.as_slice()).unwrap_or_default()
    }

    /// A row for each type of a source, with the server's types by what the cast means.
    fn text(&self, matrix: &Matrix, source: System) -> String {
        let targets = &matrix.kinds[&self.server];
        let there = self.of(source);
        let is_first = |target: &str| self.alike.iter().any(|kinds| kinds[0] == target);
        let rows = matrix.kinds[&source].iter().enumerate().map(|(at, kind)| {
            let mut cells = vec![Vec::new(); CLASSES.len()];
            for (target, classes) in
                targets.iter().zip(there).filter(|(target, _)| is_first(target))
            {
                if let Some(class) = classes[at] {
                    cells[class].push(self.server.named(target));
                }
            }
            let cells = cells.into_iter().map(|targets| targets.join(", "));
            [source.named(kind)].into_iter().chain(cells).collect()
        });
        table(&[&["Type"], &CLASSES[..]].concat(), rows.collect())
    }
}

/// Which of [`CLASSES`] a cast is; `None`: impossible.
fn class(pair: &Pair) -> Option<usize> {
    let word = match pair.cast.as_str() {
        "exact" if pair.to.starts_with("Utf8") => "as text",
        "exact" => "widened",
        "impossible" => return None,
        other => other,
    };
    Some(CLASSES.iter().position(|class| *class == word).expect("a word of casts"))
}

/// A table in Markdown; types with the same cells share a row.
fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut text = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
    let mut merged: Vec<(String, Vec<String>)> = Vec::new();
    for mut row in rows {
        let kind = row.remove(0);
        match merged.iter_mut().find(|(_, cells)| *cells == row) {
            Some((kinds, _)) => *kinds = format!("{kinds}, {kind}"),
            None => merged.push((kind, row)),
        }
    }
    for (kinds, cells) in merged {
        text += &format!("| {kinds} | {} |\n", cells.join(" | "));
    }
    text
}
