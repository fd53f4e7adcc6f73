//! TYPES.md: what each type of a system becomes in every other one, as the real plug-ins and the real
//! server answer it.
//!
//! The lists of types are the server's own, those that plug-ins give as examples, and those that pyarrow
//! writes; `airlock plan` says what becomes of them, and a run shows what a destination makes of its own.
//! `UPDATE_EXPECTED=1` writes it anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tests::{Database, Document, Env, PgServer, document, referee, tree};

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

Columns travel as Arrow types, and Parquet files hold those. CSV files hold texts, and NULL apart from them; of JSON \
lines the kind of value is named; `stream` prints texts. A length, or a number of decimals of a second, that a column of PostgreSQL has beside its type, is held by \
the writer: a value beyond it makes its record dirty. Digits as in `numeric(15,2)` are examples.
";

/// Types that are made of others, or have a modifier: what the server's list of types lacks.
const MADE: [&str; 10] = [
    "numeric(15,2)",
    "numeric(50,10)",
    "numeric(100,5)",
    "character(5)",
    "character varying(20)",
    "time(0) without time zone",
    "timestamp(3) without time zone",
    "integer[]",
    "text[]",
    "numeric(15,2)[]",
];
/// Gives each column of a table the first of some values that its type takes.
const VALUES: &str = r#"do $$ declare at name; value text; begin
  for at in select attname from pg_attribute where attrelid = 'types'::regclass and attnum > 0 loop
    foreach value in array array['{"a": 1}', '1', '2025-01-02', '12:00', '{1}', '01234567-89ab-cdef-0123-456789abcdef'] loop
      begin execute format('update types set %I = %L', at, value); exit; exception when others then null; end;
    end loop;
  end loop; end $$"#;
/// What a cast may mean for columns that are there.
const CLASSES: [&str; 5] = ["same", "widened", "as text", "checked", "lossy"];
/// From this one on a value may not come through.
const CHECKED: usize = 3;
/// Stands for the types of PostgreSQL that travel as the server's text.
const OTHER: &str = "interval";

fn path() -> PathBuf {
    tree::tests().parent().unwrap().join("TYPES.md")
}

#[test]
fn the_matrix_is_what_plugins_do() {
    let matrix = Matrix::new();
    let there = SOURCES.map(|source| matrix.there(source));
    let alike = matrix.alike(&there);
    let mut text = HEAD.to_owned() + &alike_text(&alike);
    for (source, there) in SOURCES.into_iter().zip(there) {
        text += &format!("\n## From {}\n\n", source.title());
        text += &matrix.made(source);
        text +=
            "\nInto columns of PostgreSQL that are there; what is not listed is impossible:\n\n";
        text += &matrix.there_text(source, &there, &alike);
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

#[test]
fn what_is_not_checked_comes_through() {
    let matrix = Matrix::new();
    let kinds = &matrix.kinds[&Source::Postgresql];
    // A column's own length is held by the writer.
    let whole = |kind: &str| !kind.starts_with("character") || !kind.contains('(');
    for (target, kind) in kinds.iter().enumerate().filter(|(_, kind)| whole(kind)) {
        for source in [Source::Postgresql, Source::Parquet] {
            let pairs = matrix.pairs_with(source, target);
            let sure = |pair: &Option<Pair>| {
                pair.as_ref().and_then(class).is_some_and(|class| class < CHECKED)
            };
            let columns: Vec<_> = (0..pairs.len()).filter(|at| sure(&pairs[*at])).collect();
            if columns.is_empty() {
                continue;
            }
            let job = Document::new(matrix.reader(source, &columns), there(target, &columns));
            matrix.env.write_json("job.json", job.json());
            let output = matrix.env.airlock(&["run", "job.json", "-o", "json"]).run();
            assert!(output.code == Some(0), "from {} into {kind}: {output}", source.title());
        }
    }
}

const SOURCES: [Source; 4] = [Source::Postgresql, Source::Text, Source::Parquet, Source::Stream];

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Postgresql,
    /// CSV and JSON lines: one table of types, and the same reading of texts.
    Text,
    Parquet,
    Stream,
}

impl Source {
    fn title(self) -> &'static str {
        match self {
            Self::Postgresql => "PostgreSQL",
            Self::Text => "CSV and JSON lines",
            Self::Parquet => "Parquet",
            Self::Stream => "stream",
        }
    }
}

/// What the casts of each type of a source into one column mean, of [`CLASSES`]; `None`: impossible.
type Fates = Vec<Option<usize>>;

/// A column on its way.
#[derive(Clone)]
struct Pair {
    from: String,
    to: String,
    cast: String,
}

struct Matrix {
    env: Env,
    database: Database,
    /// The types of each source, in its own words.
    kinds: BTreeMap<Source, Vec<String>>,
    /// The kinds of JSON values by Arrow type.
    json: BTreeMap<String, &'static str>,
}

impl Matrix {
    fn new() -> Self {
        let database = PgServer::shared().database();
        let mut env = Env::new();
        database.admit(&mut env);
        env.write("row.csv", "1\n");
        let parquet = referee::columns(&env.path("types.parquet"));
        let mut matrix = Self { env, database, kinds: BTreeMap::new(), json: BTreeMap::new() };
        let text = matrix.examples("file", "DescribedColumn");
        let stream = matrix.examples("stream", "Column");
        let parquet = parquet.into_iter().map(|(_, kind)| kind).collect();
        matrix.kinds.extend([(Source::Text, text), (Source::Stream, stream)]);
        matrix.kinds.insert(Source::Parquet, parquet);
        matrix.tables();
        // They have all Arrow types that the others have.
        matrix.json = [Source::Parquet, Source::Postgresql]
            .into_iter()
            .flat_map(|source| matrix.json_kinds(source))
            .collect();
        matrix
    }

    /// The kinds of JSON values that the columns of a source become, by their Arrow types.
    fn json_kinds(&self, source: Source) -> Vec<(String, &'static str)> {
        let columns: Vec<_> = (0..self.kinds[&source].len()).collect();
        let reader = self.reader(source, &columns);
        let pairs = self.plan(reader.clone(), document::out("jsonl")).unwrap();
        assert!(self.runs(reader, document::out("jsonl")));
        let kinds = referee::kinds(&self.env.path("out").join("*.jsonl"));
        assert_eq!(kinds.len(), pairs.len());
        let word = |(pair, (_, kind)): (Pair, (String, String))| {
            let kind = match kind.as_str() {
                _ if pair.from.contains("arrow.json") => "as it is",
                "bool" => "true or false",
                "int" | "float" => "number",
                "str" => "text",
                "list" => "list",
                "dict" => "object",
                other => panic!("{} became {other}", pair.from),
            };
            (pair.from, kind)
        };
        pairs.into_iter().zip(kinds).map(word).collect()
    }

    /// The types that a plug-in's schema gives as examples for a column.
    fn examples(&self, plugin: &str, column: &str) -> Vec<String> {
        let inspected = self.env.airlock(&["plugin", "inspect", plugin, "-o", "json"]).run();
        let kind = inspected.expect(0).json()["types"][0].clone();
        let column = &kind["reader"]["parameter_schema"]["$defs"][column];
        let examples = column["properties"]["type"]["examples"].as_array().unwrap();
        examples.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    }

    /// A table with a column of each type that the server has, but one for those that travel as its
    /// text; and for each of these types a table with as many columns of it as any source has.
    fn tables(&mut self) {
        let all = self.database.sql(
            "select format_type(oid, -1) from pg_type where typnamespace = 'pg_catalog'::regnamespace \
             and typtype in ('b', 'r', 'm') and typcategory <> 'A' order by typcategory, not typispreferred, typlen < 0, typlen, typname",
        );
        let mut kinds: Vec<_> = all.lines().map(str::to_owned).collect();
        kinds.extend(MADE.map(str::to_owned));
        self.source_table("every", &kinds);
        let reader = ("postgresql", json!({"datasource": "pg", "table": "every"}));
        let pairs = self.plan(reader, ("stream", json!({}))).unwrap();
        let own = |(kind, pair): &(&String, Pair)| {
            !pair.from.contains("arrow.opaque") || kind.starts_with("numeric")
        };
        let kinds: Vec<_> =
            kinds.iter().zip(pairs).filter(own).map(|(kind, _)| kind.clone()).collect();
        let kinds = [kinds, vec![OTHER.to_owned()]].concat();
        self.source_table("types", &kinds);
        self.database.setup(VALUES);
        self.kinds.insert(Source::Postgresql, kinds.clone());
        let most = self.kinds.values().map(Vec::len).max().unwrap();
        for (index, kind) in kinds.iter().enumerate() {
            self.source_table(&format!("there_{index}"), &vec![kind.clone(); most]);
        }
    }

    /// A table with one row of nulls.
    fn source_table(&self, name: &str, kinds: &[String]) {
        let columns = kinds.iter().enumerate().map(|(at, kind)| format!("t{at} {kind}"));
        let columns = columns.collect::<Vec<_>>().join(", ");
        self.database
            .setup(&format!("create table {name} ({columns}); insert into {name} default values"));
    }

    /// The pairs of a job's columns; `None` where it cannot be planned.
    fn plan(&self, reader: (&str, Value), writer: (&str, Value)) -> Option<Vec<Pair>> {
        self.env.write_json("job.json", Document::new(reader, writer).json());
        let output = self.env.airlock(&["plan", "job.json", "-o", "json"]).run();
        let plan = (output.code == Some(0)).then(|| output.json())?;
        let pairs = plan["datasets"][0]["columns"].as_array()?.iter().map(|pair| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            Pair {
                // Names of elements say nothing of types.
                from: text(&pair["from"]["type"]).replace(", field: 'element'", ""),
                to: text(&pair["to"]["type"]),
                cast: text(&pair["cast"]),
            }
        });
        Some(pairs.collect())
    }

    fn runs(&self, reader: (&str, Value), writer: (&str, Value)) -> bool {
        self.env.write_json("job.json", Document::new(reader, writer).json());
        let output = self.env.airlock(&["run", "job.json", "-o", "json"]).run();
        output.code == Some(0)
    }

    /// Reads some columns of a source, by their numbers.
    fn reader(&self, source: Source, columns: &[usize]) -> (&'static str, Value) {
        let kinds = &self.kinds[&source];
        let names: Vec<_> = columns.iter().map(|at| format!("t{at}")).collect();
        let nulls = || -> Vec<_> {
            let columns = columns.iter();
            columns
                .map(|at| json!({"name": format!("t{at}"), "type": kinds[*at], "value": null}))
                .collect()
        };
        match source {
            Source::Postgresql => {
                ("postgresql", json!({"datasource": "pg", "table": "types", "column": names}))
            }
            Source::Text => {
                ("file", json!({"path": ["row.csv"], "fileFormat": "csv", "column": nulls()}))
            }
            Source::Parquet => (
                "file",
                json!({"path": ["types.parquet"], "fileFormat": "parquet", "column": names}),
            ),
            Source::Stream => ("stream", json!({"sliceRecordCount": 1, "column": nulls()})),
        }
    }

    /// What becomes of each column; all at once, or one by one where one of them spoils it.
    fn each<T>(
        &self,
        source: Source,
        answer: impl Fn(&[usize]) -> Option<Vec<T>>,
    ) -> Vec<Option<T>> {
        let all: Vec<_> = (0..self.kinds[&source].len()).collect();
        if let Some(answers) = answer(&all) {
            return answers.into_iter().map(Some).collect();
        }
        all.iter().map(|at| answer(&[*at])?.pop()).collect()
    }

    /// Destinations that make their own columns: a row for each type.
    fn made(&self, source: Source) -> String {
        let kinds = &self.kinds[&source];
        let print = ("stream", json!({"print": true}));
        let plain =
            self.each(source, |columns| self.plan(self.reader(source, columns), print.clone()));
        let written = |writer: (&'static str, Value)| {
            self.each(source, |columns| self.written(source, columns, writer.clone()))
        };
        let cells = [
            self.each(source, |columns| self.new_table(source, columns)),
            written(document::out("parquet")),
            written(document::out("csv"))
                .into_iter()
                .map(|cell| cell.map(|_| "text".into()))
                .collect(),
            written(document::out("jsonl"))
                .into_iter()
                .zip(&plain)
                .map(|(cell, pair)| cell.and(Some(self.json[&pair.as_ref()?.from].to_owned())))
                .collect(),
            written(print).into_iter().map(|cell| cell.map(|_| "text".into())).collect(),
        ];
        let rows = kinds.iter().enumerate().map(|(at, kind)| {
            let arrow = plain[at].as_ref().map_or_else(String::new, |pair| pair.from.clone());
            // Only the same system has the same words.
            let own = if source == Source::Postgresql { kind } else { "" };
            let cells = cells.iter().map(|column| match &column[at] {
                Some(cell) if [code(own), code(&arrow)].contains(cell) => "same".to_owned(),
                Some(cell) => cell.clone(),
                None => "impossible".to_owned(),
            });
            let head = [named(source, kind), code(&arrow)];
            head.into_iter().chain(cells.collect::<Vec<_>>()).collect()
        });
        let head = ["Type", "Arrow", "New table", "Parquet", "CSV", "JSON lines", "stream"];
        table(&head, rows.collect())
    }

    /// The types of a table that the destination creates.
    fn new_table(&self, source: Source, columns: &[usize]) -> Option<Vec<String>> {
        self.database.setup("drop table if exists made");
        let writer =
            ("postgresql", json!({"datasource": "pg", "table": "made", "createTable": true}));
        let reader = self.reader(source, columns);
        let pairs = self.plan(reader.clone(), writer.clone())?;
        let made = self.runs(reader, writer).then(|| {
            self.database.sql(
                "select format_type(atttypid, atttypmod) from pg_attribute \
                 where attrelid = 'made'::regclass and attnum > 0 order by attnum",
            )
        })?;
        Some(made.lines().zip(pairs).map(|(kind, pair)| with_cast(code(kind), &pair)).collect())
    }

    /// The types in which a destination takes the columns, where it does.
    fn written(
        &self,
        source: Source,
        columns: &[usize],
        writer: (&str, Value),
    ) -> Option<Vec<String>> {
        let reader = self.reader(source, columns);
        let pairs = self.plan(reader.clone(), writer.clone())?;
        let cells = pairs.iter().map(|pair| with_cast(code(&pair.to), pair)).collect();
        self.runs(reader, writer).then_some(cells)
    }

    /// A source's columns on their way into columns of one type of PostgreSQL, by its number.
    fn pairs_with(&self, source: Source, target: usize) -> Vec<Option<Pair>> {
        self.each(source, |columns| self.plan(self.reader(source, columns), there(target, columns)))
    }

    /// For each type of PostgreSQL, and then for each of the source's, what the cast means.
    fn there(&self, source: Source) -> Vec<Fates> {
        let targets = 0..self.kinds[&Source::Postgresql].len();
        let fates =
            |pairs: Vec<Option<Pair>>| pairs.iter().map(|pair| class(pair.as_ref()?)).collect();
        targets.map(|target| fates(self.pairs_with(source, target))).collect()
    }

    /// The types of PostgreSQL for which every cast means the same, in groups.
    fn alike(&self, there: &[Vec<Fates>]) -> Vec<Vec<String>> {
        let mut groups: Vec<(Vec<&Fates>, Vec<String>)> = Vec::new();
        for (target, kind) in self.kinds[&Source::Postgresql].iter().enumerate() {
            let fate: Vec<_> = there.iter().map(|source| &source[target]).collect();
            match groups.iter_mut().find(|(other, _)| *other == fate) {
                Some((_, kinds)) => kinds.push(kind.clone()),
                None => groups.push((fate, vec![kind.clone()])),
            }
        }
        groups.into_iter().map(|(_, kinds)| kinds).collect()
    }

    /// A row for each type of a source, with the types of PostgreSQL by what the cast means.
    fn there_text(&self, source: Source, there: &[Fates], alike: &[Vec<String>]) -> String {
        let targets = &self.kinds[&Source::Postgresql];
        let is_first = |target: &str| alike.iter().any(|kinds| kinds[0] == target);
        let rows = self.kinds[&source].iter().enumerate().map(|(at, kind)| {
            let mut cells = vec![Vec::new(); CLASSES.len()];
            for (target, classes) in
                targets.iter().zip(there).filter(|(target, _)| is_first(target))
            {
                if let Some(class) = classes[at] {
                    cells[class].push(named(Source::Postgresql, target));
                }
            }
            let cells = cells.into_iter().map(|targets| targets.join(", "));
            [named(source, kind)].into_iter().chain(cells).collect()
        });
        table(&[&["Type"], &CLASSES[..]].concat(), rows.collect())
    }
}

fn alike_text(alike: &[Vec<String>]) -> String {
    let mut text =
        "\nOf columns of PostgreSQL that are there, one stands for those that fare alike:\n\n"
            .to_owned();
    for kinds in alike.iter().filter(|kinds| kinds.len() > 1) {
        let names: Vec<_> = kinds.iter().map(|kind| named(Source::Postgresql, kind)).collect();
        text += &format!("* {} for {}\n", names[0], names[1..].join(", "));
    }
    text
}

/// Writes some columns of the table that has only columns of one type.
fn there(target: usize, columns: &[usize]) -> (&'static str, Value) {
    let names: Vec<_> = columns.iter().map(|at| format!("t{at}")).collect();
    ("postgresql", json!({"datasource": "pg", "table": format!("there_{target}"), "column": names}))
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn named(source: Source, kind: &str) -> String {
    match source {
        Source::Postgresql if kind == OTHER => "all others".to_owned(),
        _ => code(kind),
    }
}

fn with_cast(cell: String, pair: &Pair) -> String {
    match pair.cast.as_str() {
        "same" | "exact" => cell,
        other => format!("{cell}, {other}"),
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
