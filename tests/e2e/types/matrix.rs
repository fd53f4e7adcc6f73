//! What real plug-ins and servers answer for each type of each system.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tests::{Document, Env, Output, document, referee};

use super::systems::{FILES, MYSQL, OTHER, SERVERS, SQLITE, Servers, System};
use super::{class, table};

/// Types of a server that stand in one table: a job for each would take minutes.
pub(super) const TOGETHER: usize = 6;

/// What the casts of each type of a source into one column mean; `None`: impossible.
pub(super) type Fates = Vec<Option<usize>>;

/// A column on its way.
#[derive(Clone)]
pub(super) struct Pair {
    from: String,
    pub(super) to: String,
    pub(super) cast: String,
}

/// A folder and a database of each server, with files and tables of all types.
pub(super) struct Matrix {
    env: Env,
    /// How many were given to the program.
    jobs: AtomicU32,
    servers: Servers,
    /// The types of each system, in its own words.
    pub(super) kinds: BTreeMap<System, Vec<String>>,
    /// The kinds of JSON values by Arrow type.
    json: BTreeMap<String, &'static str>,
    /// How many types a system has at most.
    most: usize,
}

impl Matrix {
    pub(super) fn new() -> Self {
        let mut env = Env::new();
        let servers = Servers::new(&mut env);
        env.write("row.csv", "1\n");
        let (kinds, json) = (BTreeMap::new(), BTreeMap::new());
        let mut matrix = Self { env, jobs: AtomicU32::new(0), servers, kinds, json, most: 0 };
        let text = matrix.examples("file", "DescribedColumn");
        let stream = matrix.examples("stream", "Column");
        matrix.kinds.extend([(System::Text, text), (System::Stream, stream)]);
        for (system, suffix) in FILES {
            let columns = referee::columns(&matrix.env.path(&format!("types.{suffix}")));
            matrix.kinds.insert(system, columns.into_iter().map(|(_, kind)| kind).collect());
        }
        matrix.tables();
        // They have all Arrow types that the others have.
        matrix.json = FILES
            .into_iter()
            .map(|(system, _)| system)
            .chain(SERVERS)
            .flat_map(|source| matrix.json_kinds(source))
            .collect();
        matrix
    }

    /// The kinds of JSON values that the columns of a source become, by their Arrow types.
    fn json_kinds(&self, source: System) -> Vec<(String, &'static str)> {
        let possible = self.each(source, |columns| {
            self.plan(self.reader(source, columns), document::out("jsonl"))
        });
        let columns: Vec<_> = (0..possible.len()).filter(|at| possible[*at].is_some()).collect();
        let pairs: Vec<_> = possible.into_iter().flatten().collect();
        let reader = self.reader(source, &columns);
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
                "NoneType" => "null",
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

    /// A table with a column of each type of a server, and tables in which each of these types has as many
    /// columns as any system has types.
    fn tables(&mut self) {
        let words = |kinds: &[(&str, &str)]| -> Vec<_> {
            kinds.iter().map(|(kind, _)| (*kind).to_owned()).collect()
        };
        let kinds = [
            (System::Mysql, words(&MYSQL)),
            (System::Sqlite, words(&SQLITE)),
            (System::Postgresql, self.listed()),
        ];
        for (server, kinds) in kinds {
            self.servers.make(server, "types", &kinds);
            self.kinds.insert(server, kinds);
        }
        self.servers.fill();
        self.most = self.kinds.values().map(Vec::len).max().unwrap();
        for server in SERVERS {
            for (table, kinds) in self.kinds[&server].chunks(TOGETHER).enumerate() {
                let columns: Vec<_> =
                    kinds.iter().flat_map(|kind| vec![kind.clone(); self.most]).collect();
                self.servers.make(server, &table_there(table), &columns);
            }
        }
    }

    /// Each type that PostgreSQL has, but one for those that travel as its text.
    fn listed(&self) -> Vec<String> {
        let kinds = self.servers.listed();
        self.servers.make(System::Postgresql, "every", &kinds);
        let reader = ("postgresql", json!({"datasource": "pg", "table": "every"}));
        let pairs = self.plan(reader, ("stream", json!({}))).unwrap();
        let own = |(kind, pair): &(&String, Pair)| {
            !pair.from.contains("arrow.opaque") || kind.starts_with("numeric")
        };
        let kinds: Vec<_> =
            kinds.iter().zip(pairs).filter(own).map(|(kind, _)| kind.clone()).collect();
        [kinds, vec![OTHER.to_owned()]].concat()
    }

    /// The pairs of a job's columns; `None` where it cannot be planned.
    fn plan(&self, reader: (&str, Value), writer: (&str, Value)) -> Option<Vec<Pair>> {
        let output = self.airlock("plan", &Document::new(reader, writer));
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
        self.airlock("run", &Document::new(reader, writer)).code == Some(0)
    }

    /// Gives a job to the program, in a file of its own: several are asked at once.
    pub(super) fn airlock(&self, command: &str, job: &Document) -> Output {
        let name = format!("job-{}.json", self.jobs.fetch_add(1, Ordering::Relaxed));
        self.env.write_json(&name, job.json());
        self.env.airlock(&[command, &name, "-o", "json"]).run()
    }

    /// Reads some columns of a source, by their numbers.
    pub(super) fn reader(&self, source: System, columns: &[usize]) -> (&'static str, Value) {
        let kinds = &self.kinds[&source];
        let names: Vec<_> = columns.iter().map(|at| format!("t{at}")).collect();
        let nulls = || -> Vec<_> {
            let columns = columns.iter();
            columns
                .map(|at| json!({"name": format!("t{at}"), "type": kinds[*at], "value": null}))
                .collect()
        };
        match source {
            System::Postgresql | System::Mysql | System::Sqlite => source.table("types", columns),
            System::Text => {
                ("file", json!({"path": ["row.csv"], "fileFormat": "csv", "column": nulls()}))
            }
            System::Parquet | System::Orc | System::Avro | System::Arrow => {
                let suffix = FILES.iter().find(|(system, _)| *system == source).unwrap().1;
                let path = format!("types.{suffix}");
                ("file", json!({"path": [path], "fileFormat": suffix, "column": names}))
            }
            System::Stream => ("stream", json!({"sliceRecordCount": 1, "column": nulls()})),
        }
    }

    /// What becomes of each column; all at once, or ever fewer where one of them spoils it.
    fn each<T>(
        &self,
        source: System,
        answer: impl Fn(&[usize]) -> Option<Vec<T>>,
    ) -> Vec<Option<T>> {
        let all: Vec<_> = (0..self.kinds[&source].len()).collect();
        halves(&all, &answer)
    }

    /// Destinations that make their own columns: a row for each type.
    pub(super) fn made(&self, source: System) -> String {
        let kinds = &self.kinds[&source];
        let print = ("stream", json!({"print": true}));
        let plain =
            self.each(source, |columns| self.plan(self.reader(source, columns), print.clone()));
        let written = |writer: (&'static str, Value)| {
            self.each(source, |columns| self.written(source, columns, writer.clone()))
        };
        let made = |server| self.each(source, |columns| self.new_table(source, server, columns));
        let cells = [
            made(System::Postgresql),
            made(System::Mysql),
            made(System::Sqlite),
            written(document::out("parquet")),
            written(document::out("orc")),
            written(document::out("avro")),
            written(document::out("arrow")),
            written(document::out("csv"))
                .into_iter()
                .map(|cell| cell.map(|_| "text".into()))
                .collect(),
            written(document::out("jsonl"))
                .into_iter()
                .zip(&plain)
                .map(|(cell, pair)| {
                    cell?;
                    Some(self.json[&pair.as_ref()?.from].to_owned())
                })
                .collect(),
            written(print).into_iter().map(|cell| cell.map(|_| "text".into())).collect(),
        ];
        let rows = kinds.iter().enumerate().map(|(at, kind)| {
            let arrow = plain[at].as_ref().map_or_else(String::new, |pair| pair.from.clone());
            // Only the same system has the same words.
            let cells = cells.iter().enumerate().map(|(to, column)| match &column[at] {
                Some(cell) if SERVERS.get(to) == Some(&source) && *cell == code(kind) => {
                    "same".to_owned()
                }
                Some(cell) if *cell == code(&arrow) => "same".to_owned(),
                Some(cell) => cell.clone(),
                None => "impossible".to_owned(),
            });
            let head = [source.named(kind), code(&arrow)];
            head.into_iter().chain(cells.collect::<Vec<_>>()).collect()
        });
        let head = [
            "Type",
            "Arrow",
            "New table in PostgreSQL",
            "New table in MySQL",
            "New table in SQLite",
            "Parquet",
            "ORC",
            "Avro",
            "Arrow IPC",
            "CSV",
            "JSON lines",
            "stream",
        ];
        table(&head, rows.collect())
    }

    /// The types of a table that a server creates.
    fn new_table(&self, source: System, server: System, columns: &[usize]) -> Option<Vec<String>> {
        self.servers.clear(server, "made");
        let (kind, mut parameter) = server.table("made", &[]);
        parameter["column"] = json!(["*"]);
        parameter["createTable"] = true.into();
        let reader = self.reader(source, columns);
        let pairs = self.plan(reader.clone(), (kind, parameter.clone()))?;
        let made =
            self.runs(reader, (kind, parameter)).then(|| self.servers.columns(server, "made"))?;
        let cells = made.iter().zip(pairs).map(|(kind, pair)| with_cast(code(kind), &pair));
        Some(cells.collect())
    }

    /// The types in which a destination takes the columns, where it does.
    fn written(
        &self,
        source: System,
        columns: &[usize],
        writer: (&str, Value),
    ) -> Option<Vec<String>> {
        let reader = self.reader(source, columns);
        let pairs = self.plan(reader.clone(), writer.clone())?;
        let cells = pairs.iter().map(|pair| with_cast(code(&pair.to), pair)).collect();
        self.runs(reader, writer).then_some(cells)
    }

    /// A step that reads columns of a source, and one that writes them: each into a column of the server's
    /// type at that place of one of the tables that are there.
    pub(super) fn steps(
        &self,
        (source, server): (System, System),
        table: usize,
        cells: &[(usize, usize)],
    ) -> [(&'static str, Value); 2] {
        let from: Vec<_> = cells.iter().map(|(_, column)| *column).collect();
        let into: Vec<_> = cells.iter().map(|(place, column)| place * self.most + column).collect();
        [self.reader(source, &from), server.table(&table_there(table), &into)]
    }

    /// For each type of a server, and then for each of the source's, what the cast means.
    pub(super) fn there(&self, source: System, server: System) -> Vec<Fates> {
        let mut fates = Vec::new();
        for (table, kinds) in self.kinds[&server].chunks(TOGETHER).enumerate() {
            let places = 0..kinds.len();
            let columns = self.each(source, |columns| {
                let cells =
                    places.clone().flat_map(|place| columns.iter().map(move |at| (place, *at)));
                let cells: Vec<_> = cells.collect();
                let [reader, writer] = self.steps((source, server), table, &cells);
                let classes: Vec<_> = self.plan(reader, writer)?.iter().map(class).collect();
                let of_column =
                    |at| classes.iter().skip(at).step_by(columns.len()).copied().collect();
                Some((0..columns.len()).map(of_column).collect::<Vec<Fates>>())
            });
            fates.extend(places.map(|place| -> Fates {
                columns.iter().map(|classes| classes.as_ref()?[place]).collect()
            }));
        }
        fates
    }
}

/// The table with a part of a server's types.
fn table_there(table: usize) -> String {
    format!("there_{table}")
}

fn halves<T>(columns: &[usize], answer: &impl Fn(&[usize]) -> Option<Vec<T>>) -> Vec<Option<T>> {
    if let Some(answers) = answer(columns) {
        return answers.into_iter().map(Some).collect();
    }
    let (left, right) = columns.split_at(columns.len() / 2);
    match left {
        [] => columns.iter().map(|_| None).collect(),
        _ => halves(left, answer).into_iter().chain(halves(right, answer)).collect(),
    }
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn with_cast(cell: String, pair: &Pair) -> String {
    match pair.cast.as_str() {
        "same" | "exact" => cell,
        other => format!("{cell}, {other}"),
    }
}
