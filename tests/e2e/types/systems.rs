//! The systems of the matrix: which types each has, and how its own server is asked.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tests::postgres::USER;
use tests::{Database, Env, MysqlDatabase, MysqlServer, PgServer, referee};

/// A system with types of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum System {
    Postgresql,
    Mysql,
    Sqlite,
    /// CSV and JSON lines: one table of types, and the same reading of texts.
    Text,
    Parquet,
    Orc,
    Avro,
    Arrow,
    Stream,
}

pub(super) const SYSTEMS: [System; 9] = [
    System::Postgresql,
    System::Mysql,
    System::Sqlite,
    System::Text,
    System::Parquet,
    System::Orc,
    System::Avro,
    System::Arrow,
    System::Stream,
];
/// Files that know their types, and what their names end with.
pub(super) const FILES: [(System, &str); 4] = [
    (System::Parquet, "parquet"),
    (System::Orc, "orc"),
    (System::Avro, "avro"),
    (System::Arrow, "arrow"),
];
/// Those whose tables have columns of declared types, into which values must fit.
pub(super) const SERVERS: [System; 3] = [System::Postgresql, System::Mysql, System::Sqlite];

/// Stands for the types of PostgreSQL that travel as the server's text.
pub(super) const OTHER: &str = "interval";

/// Types of PostgreSQL that are made of others, or have a modifier: what the server's list of types lacks.
pub(super) const MADE: [&str; 10] = [
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
pub(super) const VALUES: &str = r#"do $$ declare at name; value text; begin
  for at in select attname from pg_attribute where attrelid = 'types'::regclass and attnum > 0 loop
    foreach value in array array['{"a": 1}', '1', '2025-01-02', '12:00', '{1}', '01234567-89ab-cdef-0123-456789abcdef'] loop
      begin execute format('update types set %I = %L', at, value); exit; exception when others then null; end;
    end loop;
  end loop; end $$"#;

/// Types of MySQL, of which the server has no list, each with a value in SQL.
pub(super) const MYSQL: [(&str, &str); 36] = [
    ("bit(1)", "b'1'"),
    ("tinyint", "1"),
    ("tinyint unsigned", "1"),
    ("smallint", "1"),
    ("smallint unsigned", "1"),
    ("year", "2025"),
    ("int", "1"),
    ("mediumint", "1"),
    ("int unsigned", "1"),
    ("bigint", "1"),
    ("bigint unsigned", "1"),
    ("bit(12)", "5"),
    ("float", "1"),
    ("double", "1"),
    ("decimal(15,2)", "1"),
    ("decimal(65,30)", "1"),
    ("date", "'2025-01-02'"),
    ("datetime", "'2025-01-02 12:00:00'"),
    ("datetime(6)", "'2025-01-02 12:00:00.5'"),
    ("timestamp", "'2025-01-02 12:00:00'"),
    ("timestamp(6)", "'2025-01-02 12:00:00.5'"),
    ("text", "'1'"),
    ("longtext", "'1'"),
    ("char(5)", "'1'"),
    ("varchar(20)", "'1'"),
    ("json", "'{\"a\": 1}'"),
    ("time", "'12:00:00'"),
    ("enum('1','2')", "'1'"),
    ("set('1','2')", "'1'"),
    ("uuid", "'123e4567-e89b-12d3-a456-426655440000'"),
    ("inet6", "'::1'"),
    ("blob", "x'31'"),
    ("longblob", "x'31'"),
    ("binary(16)", "x'0123456789abcdef0123456789abcdef'"),
    ("varbinary(20)", "x'31'"),
    ("point", "point(1, 2)"),
];

/// Types that columns of SQLite are declared with, each with a value in SQL.
pub(super) const SQLITE: [(&str, &str); 15] = [
    ("BOOLEAN", "1"),
    ("INTEGER", "1"),
    ("DOUBLE", "1"),
    ("DECIMAL(15,2)", "1"),
    ("DECIMAL_TEXT(20,0)", "1"),
    ("DECIMAL_TEXT(50,10)", "1"),
    ("DATE", "'2025-01-02'"),
    ("TIME", "'12:00:00'"),
    ("DATETIME", "'2025-01-02 12:00:00'"),
    ("TIMESTAMPTZ", "'2025-01-02 12:00:00Z'"),
    ("TEXT", "'1'"),
    ("NUMERIC", "1"),
    ("JSON", "'{\"a\": 1}'"),
    ("BLOB", "x'31'"),
    (UNDECLARED, "'1'"),
];
/// A column of SQLite that is declared as nothing.
const UNDECLARED: &str = "";

impl System {
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Postgresql => "PostgreSQL",
            Self::Mysql => "MySQL",
            Self::Sqlite => "SQLite",
            Self::Text => "CSV and JSON lines",
            Self::Parquet => "Parquet",
            Self::Orc => "ORC",
            Self::Avro => "Avro",
            Self::Arrow => "Arrow IPC",
            Self::Stream => "stream",
        }
    }

    /// A step that reads or writes columns of a server's table.
    pub(super) fn table(self, name: &str, columns: &[usize]) -> (&'static str, Value) {
        let (kind, source) = match self {
            Self::Mysql => ("mysql", "my"),
            Self::Sqlite => ("sqlite", file(name)),
            _ => ("postgresql", "pg"),
        };
        let names: Vec<_> = columns.iter().map(|at| format!("t{at}")).collect();
        (kind, json!({"datasource": source, "table": name, "column": names}))
    }

    /// A type in Markdown.
    pub(super) fn named(self, kind: &str) -> String {
        match self {
            Self::Postgresql if kind == OTHER => "all others".to_owned(),
            Self::Sqlite if kind == UNDECLARED => "none".to_owned(),
            _ => format!("`{kind}`"),
        }
    }

    /// Whether a column has a length, digits or a range beside its type, which its writer or a check of
    /// its table holds.
    pub(super) fn is_bounded(self, kind: &str) -> bool {
        let word = kind.split(['(', ' ']).next().unwrap_or_default();
        match self {
            Self::Mysql => matches!(
                word,
                "bit"
                    | "binary"
                    | "char"
                    | "datetime"
                    | "timestamp"
                    | "varbinary"
                    | "varchar"
                    | "year"
            ),
            // What its numbers can't hold is refused, NaN and texts that look like numbers too.
            Self::Sqlite => matches!(word, "DOUBLE" | "NUMERIC"),
            _ => word == "character" && kind.contains('('),
        }
    }
}

/// The file of SQLite that a table is in: each is read or written by one program at a time.
fn file(table: &str) -> &str {
    table.split('_').next().unwrap_or_default()
}

/// A database of each server.
pub(super) struct Servers {
    postgresql: Database,
    mysql: MysqlDatabase,
    /// Where the files of SQLite are.
    folder: PathBuf,
}

impl Servers {
    pub(super) fn new(env: &mut Env) -> Self {
        let servers = Self {
            postgresql: PgServer::shared().database(),
            mysql: MysqlServer::shared().database(),
            folder: env.work(),
        };
        servers.postgresql.admit(env);
        servers.mysql.admit(env);
        for name in ["types", "there", "made"] {
            env.admit(
                name,
                json!({"type": "sqlite", "properties": {"path": format!("{name}.db")}}),
            );
        }
        servers
    }

    /// Runs statements of a table, and answers the rows.
    fn sql(&self, system: System, table: &str, text: &str) -> String {
        match system {
            System::Mysql => self.mysql.sql(text),
            System::Sqlite => {
                let path = self.folder.join(format!("{}.db", file(table)));
                referee::sqlite(&path, &format!("{text};"))
            }
            _ => self.postgresql.sql(&format!("set role {USER};\n{text}")),
        }
    }

    /// Makes room for a table that a job creates.
    pub(super) fn clear(&self, system: System, table: &str) {
        match system {
            System::Sqlite => {
                // There is none before the first job.
                let _ = fs::remove_file(self.folder.join(format!("{}.db", file(table))));
            }
            _ => drop(self.sql(system, table, &format!("drop table if exists {table}"))),
        }
    }

    /// The types of all columns of a table, in the server's words.
    pub(super) fn columns(&self, system: System, table: &str) -> Vec<String> {
        let statement = match system {
            System::Mysql => format!(
                "select if(exists (select 1 from information_schema.check_constraints k \
                 where k.constraint_schema = table_schema and k.table_name = c.table_name \
                 and k.check_clause = concat('json_valid(`', column_name, '`)')), 'json', column_type) \
                 from information_schema.columns c \
                 where table_schema = database() and table_name = '{table}' order by ordinal_position"
            ),
            System::Sqlite => format!("select type from pragma_table_info('{table}')"),
            _ => format!(
                "select format_type(atttypid, atttypmod) from pg_attribute \
                 where attrelid = '{table}'::regclass and attnum > 0 order by attnum"
            ),
        };
        let kinds = self.sql(system, table, &statement);
        kinds.lines().map(str::to_owned).collect()
    }

    /// Every type that PostgreSQL lists.
    pub(super) fn listed(&self) -> Vec<String> {
        let all = self.postgresql.sql(
            "select format_type(oid, -1) from pg_type where typnamespace = 'pg_catalog'::regnamespace \
             and typtype in ('b', 'r', 'm') and typcategory <> 'A' order by typcategory, not typispreferred, typlen < 0, typlen, typname",
        );
        all.lines().map(str::to_owned).chain(MADE.map(str::to_owned)).collect()
    }

    /// A table with one row of nulls.
    pub(super) fn make(&self, system: System, name: &str, kinds: &[String]) {
        let null = if system == System::Mysql { " null default null" } else { "" };
        let columns = kinds.iter().enumerate().map(|(at, kind)| format!("t{at} {kind}{null}"));
        let columns = columns.collect::<Vec<_>>().join(", ");
        let row = if system == System::Mysql { "() values ()" } else { "default values" };
        let statements = format!("create table {name} ({columns}); insert into {name} {row}");
        self.sql(system, name, &statements);
    }

    /// A value in each column of the table `types`.
    pub(super) fn fill(&self) {
        self.sql(System::Postgresql, "types", VALUES);
        for (system, kinds) in [(System::Mysql, &MYSQL[..]), (System::Sqlite, &SQLITE)] {
            let values =
                kinds.iter().enumerate().map(|(at, (_, value))| format!("t{at} = {value}"));
            let values = values.collect::<Vec<_>>().join(", ");
            self.sql(system, "types", &format!("update types set {values}"));
        }
    }
}
