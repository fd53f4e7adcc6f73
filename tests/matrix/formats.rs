//! What each format is as a source and as a destination, and the check of a pair.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tests::{
    Database, Document, Env, MysqlDatabase, MysqlServer, PgServer, document, lineitem, referee,
    soak,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Csv,
    Jsonl,
    Parquet,
    Orc,
    Avro,
    Arrow,
    PostgreSql,
    MySql,
    Sqlite,
}

impl Format {
    pub(crate) const ALL: [Self; 9] = [
        Self::Csv,
        Self::Jsonl,
        Self::Parquet,
        Self::Orc,
        Self::Avro,
        Self::Arrow,
        Self::PostgreSql,
        Self::MySql,
        Self::Sqlite,
    ];

    /// The word of `fileFormat`, and the suffix of the files.
    fn word(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
            Self::Orc => "orc",
            Self::Avro => "avro",
            Self::Arrow => "arrow",
            Self::PostgreSql => "postgresql",
            Self::MySql => "mysql",
            Self::Sqlite => "sqlite",
        }
    }
}

pub(crate) fn rows() -> u64 {
    if soak() { 1_000_000 } else { 50_000 }
}

/// Moves the table to every destination.
pub(crate) fn check_all(from: Format) {
    for to in Format::ALL {
        check(from, to);
    }
}

/// Moves the table, and compares every value and, where the destination has types, every type.
fn check(from: Format, to: Format) {
    let place = Place::new(from, to, rows());
    let job = Document::new(place.reader(), place.writer()).concurrent(2);
    let summary = place.run(&job);
    let pair = format!("{from:?} to {to:?}");
    assert_eq!(summary["records_read"], rows(), "{pair}: {summary}");
    assert_eq!(summary["records_written"], rows(), "{pair}: {summary}");
    let same = referee::compare(&lineitem::file(rows(), "parquet"), &place.written());
    assert_eq!(same, rows(), "{pair}");
    if [Format::Parquet, Format::Orc, Format::Arrow].contains(&to) {
        let got = referee::types(&place.file());
        assert_eq!(got, wanted_types());
    }
    if to == Format::Jsonl {
        check_kinds(&place.written());
    }
}

/// Numbers are numbers in JSON, and everything else a text.
fn check_kinds(file: &Path) {
    for ((name, kinds), (_, kind)) in referee::kinds(file).iter().zip(lineitem::COLUMNS) {
        let wanted = match kind {
            "bigint" => "int",
            "decimal(15,2)" => "float",
            _ => "str",
        };
        assert_eq!(kinds, wanted, "{name}: {kind}");
    }
}

/// The Arrow types of the table's columns.
fn wanted_types() -> Vec<(String, String)> {
    let arrow = |kind: &str| match kind {
        "bigint" => "int64",
        "decimal(15,2)" => "decimal128(15, 2)",
        "date" => "date32[day]",
        _ => "string",
    };
    lineitem::COLUMNS.map(|(name, kind)| (name.to_owned(), arrow(kind).to_owned())).into()
}

/// Where a pair's table comes from and goes to.
pub(crate) struct Place {
    from: Format,
    to: Format,
    rows: u64,
    pub(crate) env: Env,
    postgresql: Option<Database>,
    mysql: Option<MysqlDatabase>,
}

impl Place {
    pub(crate) fn new(from: Format, to: Format, rows: u64) -> Self {
        let mut env = Env::new();
        let is_needed = |format| [from, to].contains(&format);
        let postgresql = is_needed(Format::PostgreSql).then(|| PgServer::shared().database());
        if let Some(database) = &postgresql {
            database.admit(&mut env);
            if from == Format::PostgreSql {
                database.setup(&lineitem::create_table("lineitem"));
                database.import("lineitem", &lineitem::file(rows, "csv"));
            }
            if to == Format::PostgreSql {
                database.setup(&lineitem::create_table("copy"));
            }
        }
        let mysql = is_needed(Format::MySql).then(|| MysqlServer::shared().database());
        if let Some(database) = &mysql {
            database.admit(&mut env);
            if from == Format::MySql {
                database.sql(&lineitem::create_table("lineitem"));
                database.import("lineitem", &lineitem::file(rows, "csv"));
            }
            if to == Format::MySql {
                database.sql(&lineitem::create_table("copy"));
            }
        }
        if is_needed(Format::Sqlite) {
            // Files of their own, since a reader wants nobody to write its.
            for name in ["lineitem", "copy"] {
                let path = format!("{name}.db");
                env.admit(name, json!({"type": "sqlite", "properties": {"path": path}}));
                let statement = format!("{};", lineitem::create_table(name));
                referee::sqlite(&env.path(&path), &statement);
            }
        }
        if from == Format::Sqlite {
            let file = lineitem::file(rows, "csv");
            referee::sqlite_load(&env.path("lineitem.db"), "lineitem", &file);
        }
        Self { from, to, rows, env, postgresql, mysql }
    }

    /// Columns are declared where the format has no types of its own.
    pub(crate) fn reader(&self) -> (&'static str, Value) {
        let path = |suffix| lineitem::file(self.rows, suffix).display().to_string();
        let declared = lineitem::COLUMNS.iter();
        let kind = |kind: &str| if kind == "text" { "string".to_owned() } else { kind.to_owned() };
        match self.from {
            Format::Csv => {
                let columns = declared.enumerate().map(
                    |(index, (name, is))| json!({"index": index, "name": name, "type": kind(is)}),
                );
                let columns: Vec<_> = columns.collect();
                (
                    "file",
                    json!({"path": [path("csv")], "fileFormat": "csv", "header": true, "column": columns}),
                )
            }
            Format::Jsonl => {
                let columns: Vec<_> =
                    declared.map(|(name, is)| json!({"name": name, "type": kind(is)})).collect();
                ("file", json!({"path": [path("jsonl")], "fileFormat": "jsonl", "column": columns}))
            }
            typed @ (Format::Parquet | Format::Orc | Format::Avro | Format::Arrow) => {
                let word = typed.word();
                ("file", json!({"path": [path(word)], "fileFormat": word}))
            }
            Format::PostgreSql => document::table("lineitem"),
            Format::MySql => ("mysql", json!({"datasource": "my", "table": "lineitem"})),
            Format::Sqlite => ("sqlite", json!({"datasource": "lineitem", "table": "lineitem"})),
        }
    }

    pub(crate) fn writer(&self) -> (&'static str, Value) {
        match self.to {
            Format::PostgreSql => document::table("copy"),
            Format::MySql => ("mysql", json!({"datasource": "my", "table": "copy"})),
            Format::Sqlite => ("sqlite", json!({"datasource": "copy", "table": "copy"})),
            file => document::out(file.word()),
        }
    }

    pub(crate) fn run(&self, job: &Document) -> Value {
        self.env.write_json("job.json", job.json());
        self.env.airlock(&["run", "job.json", "-o", "json"]).run().expect(0).json()
    }

    /// What was written, for the referee: the files, or the table as the database spells it.
    pub(crate) fn written(&self) -> PathBuf {
        match self.to {
            Format::PostgreSql | Format::MySql | Format::Sqlite => self.exported("copy"),
            file => self.env.path(&format!("out/*.{}", file.word())),
        }
    }

    fn database(&self) -> &Database {
        self.postgresql.as_ref().expect("one side is PostgreSQL")
    }

    /// A table as the database spells it.
    pub(crate) fn exported(&self, table: &str) -> PathBuf {
        let file = self.env.path("exported.csv");
        match (&self.mysql, self.to) {
            (Some(database), Format::MySql) => database.export(table, &file),
            (_, Format::Sqlite) => {
                referee::sqlite_export(&self.env.path("copy.db"), table, &file);
            }
            _ => self.database().export(&format!("select * from {table}"), &file),
        }
        file
    }

    /// The columns of a table, as the standard's catalog has them: type, and digits behind the point.
    pub(crate) fn table_types(&self, table: &str) -> Vec<String> {
        let query = format!(
            "select concat_ws(' ', data_type, case data_type when 'numeric' then numeric_scale end)
             from information_schema.columns where table_name = '{table}' order by ordinal_position"
        );
        let types = match (&self.mysql, self.to) {
            (Some(database), Format::MySql) => {
                database.sql(&query.replace("where", "where table_schema = database() and"))
            }
            _ => self.database().sql(&query),
        };
        types.lines().map(str::to_owned).collect()
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.env.files("out").into_iter().next().expect("a file was written")
    }
}
