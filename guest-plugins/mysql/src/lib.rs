//! The MySQL plug-in: reads tables and queries of MariaDB and MySQL, writes tables.
//!
//! Rows are read by prepared statements, whose binary form keeps every value, and written by loads or by
//! INSERTs of many rows. The connection is blocking and of this crate, as the host suspends a guest that waits.
//! What it is not: a reader of the binary log, nor a runner of scripts.
//!
//! Begin with [`reader`], or with [`writer`] and its `sink`. `splits` cuts tables into shares, `watermark` finds what is new, `decode` has
//! the host's codec make columns of rows, `encode` writes rows, `target` and `marks` are what the writer knows about its table,
//! `swap` puts rows in the place of others, `catalog` asks the server, `settings` is what users may write.

mod auth;
mod back;
mod catalog;
mod client;
mod decode;
mod encode;
mod error;
mod inspect;
mod login;
mod marks;
pub mod reader;
mod settings;
mod sink;
mod splits;
mod sql;
mod swap;
mod target;
mod types;
mod watermark;
mod wire;
pub mod writer;

use sdk::{
    CheckStep, Configuration, Dataset, Description, Endpoint, Entry, NoTransformer, Plugin,
    Requirement, Result, Role, SourceType,
};

/// The plug-in.
pub struct Mysql;

impl Plugin for Mysql {
    type Reader = reader::MysqlReader;
    type Transformer = NoTransformer;
    type Writer = writer::MysqlWriter;

    fn describe() -> Description {
        let names = ["mariadb", "mysqlreader", "mysqlwriter"];
        Description {
            name: "mysql".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "reads and writes tables of MariaDB and MySQL".to_owned(),
            types: vec![SourceType {
                name: "mysql".to_owned(),
                aliases: names.map(str::to_owned).to_vec(),
                title: "MySQL".to_owned(),
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
sdk::export!(Mysql);
