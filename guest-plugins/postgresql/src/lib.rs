//! The PostgreSQL plug-in: reads tables and queries, writes tables.
//!
//! Rows travel by COPY both ways, in binary form wherever the types have one here ([`types`]); the
//! connection is blocking and of this crate ([`client`] says why). What it is not: a reader of the
//! write-ahead log, nor a runner of scripts.
//!
//! Begin with [`reader`], or with [`writer`] and its [`sink`]. `splits` cuts tables into shares, the
//! host's codec turns COPY into Arrow and back, `sent` is a COPY under way, `target` and `marks` are what the writer knows about its
//! table, `swap` puts rows in the place of others, `catalog` asks the server, `settings` is what users may
//! write.

mod back;
mod catalog;
mod client;
mod columns;
mod cutting;
mod error;
mod inspect;
mod login;
mod marks;
pub mod reader;
mod sent;
mod settings;
pub mod sink;
mod splits;
mod sql;
mod swap;
mod tables;
mod target;
mod types;
mod watermark;
pub mod writer;
mod xids;

use sdk::{
    CheckStep, Configuration, Dataset, Description, Endpoint, Entry, NoTransformer, Plugin,
    Requirement, Result, Role, SourceType,
};

/// The plug-in.
pub struct Postgresql;

impl Plugin for Postgresql {
    type Reader = reader::PostgresReader;
    type Transformer = NoTransformer;
    type Writer = writer::PostgresWriter;

    fn describe() -> Description {
        let names = ["postgres", "pg", "postgresqlreader", "postgresqlwriter"];
        Description {
            name: "postgresql".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "reads and writes PostgreSQL tables by COPY".to_owned(),
            types: vec![SourceType {
                name: "postgresql".to_owned(),
                aliases: names.map(str::to_owned).to_vec(),
                title: "PostgreSQL".to_owned(),
                family: "database".to_owned(),
                connection_schema: sdk::parameters::schema::<settings::Connection>(),
                reader: Some(Role {
                    parameter_schema: sdk::parameters::schema::<settings::ReaderParameter>(),
                    features: Vec::new(),
                }),
                transformer: None,
                writer: Some(Role {
                    parameter_schema: sdk::parameters::schema::<settings::WriterParameter>(),
                    features: Vec::new(),
                }),
                places: Vec::new(),
            }],
            metadata: Vec::new(),
        }
    }

    fn requirements(configuration: &Configuration) -> Result<Vec<Requirement>> {
        let connection = settings::Connection::read(configuration)?;
        let login = connection.login()?;
        let (host, port) = (login.host.to_owned(), login.port);
        Ok(vec![Requirement::Tcp(Endpoint { host, first_port: port, last_port: port })])
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
sdk::export!(Postgresql);
