//! The SQLite plug-in: reads tables, views and queries of SQLite's files, and writes tables.
//!
//! SQLite itself runs inside of the component, on the files that its connection names and on those that it
//! keeps beside them. A guest can take no locks, so nobody else may write a file that is read, or have one
//! open that is written: what shows that somebody does ends the run.
//! What it is not: a client of servers that speak another protocol (libSQL, rqlite).
//!
//! Begin with [`reader`], or with [`writer`] and its `sink`. `places` are the files, `rows` streams a
//! statement, `types` and `catalog` say what a table is, `splits` cuts it into shares, `decode` and `encode`
//! turn values into Arrow and back, `target` and `marks` are what the writer knows about its table.

mod back;
mod catalog;
mod decode;
mod encode;
mod error;
mod inspect;
mod marks;
mod moments;
mod places;
pub mod reader;
mod rows;
mod settings;
mod sink;
mod splits;
mod sql;
mod swap;
mod target;
mod types;
pub mod writer;

use sdk::{
    CheckStep, Configuration, Dataset, Description, Entry, NoTransformer, Plugin, Requirement,
    Result, Role, SourceType,
};

/// The plug-in.
pub struct Sqlite;

impl Plugin for Sqlite {
    type Reader = reader::SqliteReader;
    type Transformer = NoTransformer;
    type Writer = writer::SqliteWriter;

    fn describe() -> Description {
        let role = |parameter_schema| Role { parameter_schema, features: Vec::new() };
        let names = ["sqlite3", "sqlitereader", "sqlitewriter"];
        Description {
            name: "sqlite".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "reads and writes tables of SQLite's files".to_owned(),
            types: vec![SourceType {
                name: "sqlite".to_owned(),
                aliases: names.map(str::to_owned).to_vec(),
                title: "SQLite".to_owned(),
                family: "database".to_owned(),
                connection_schema: sdk::parameters::schema::<settings::Connection>(),
                reader: Some(role(sdk::parameters::schema::<settings::ReaderParameter>())),
                transformer: None,
                writer: Some(role(sdk::parameters::schema::<settings::WriterParameter>())),
                places: Vec::new(),
            }],
            metadata: Vec::new(),
        }
    }

    fn requirements(configuration: &Configuration) -> Result<Vec<Requirement>> {
        places::requirements(configuration)
    }

    fn check(configuration: &Configuration) -> Result<Vec<CheckStep>> {
        inspect::check(configuration)
    }

    fn browse(
        configuration: &Configuration,
        path: &[String],
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Entry>> {
        inspect::browse(configuration, path, after.unwrap_or_default(), limit)
    }

    fn discover(configuration: &Configuration, paths: &[Vec<String>]) -> Result<Vec<Dataset>> {
        inspect::discover(configuration, paths)
    }
}

// The entry points have names that only a component's linker takes.
#[cfg(target_arch = "wasm32")]
sdk::export!(Sqlite);
