//! The plug-in of HTTP APIs: reads their pages as rows, sends rows to them.
//!
//! Bodies are JSON, JSON lines or CSV; the last two are streamed, a page of JSON is held whole. The
//! protocol is `ureq`'s, over sockets and TLS of this guest (`transport`); every request goes to one
//! origin, that of the data source, apart from those for a token of OAuth 2.
//! What it is not: a browser. There are no cookies, no proxies, and no redirect leads to another origin.
//!
//! Begin with [`reader`] (with `paging`, `page` and `records`), or with [`writer`]. `client` sends, waits
//! and tries again, `auth` is who asks, `url` where, `error` what answers mean, `settings` what users may
//! write.

mod auth;
mod client;
mod error;
mod inspect;
mod page;
mod paging;
pub mod reader;
mod records;
mod settings;
mod stream;
mod transport;
mod url;
pub mod writer;

use sdk::{
    CheckStep, Configuration, Dataset, Description, NoTransformer, Plugin, Requirement, Result,
    Role, SourceType,
};

/// The plug-in.
pub struct Rest;

impl Plugin for Rest {
    type Reader = reader::RestReader;
    type Transformer = NoTransformer;
    type Writer = writer::RestWriter;

    fn describe() -> Description {
        Description {
            name: "rest".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "reads and writes HTTP APIs".to_owned(),
            types: vec![api(), file()],
            metadata: Vec::new(),
        }
    }

    fn requirements(configuration: &Configuration) -> Result<Vec<Requirement>> {
        inspect::requirements(configuration)
    }

    fn check(configuration: &Configuration) -> Result<Vec<CheckStep>> {
        inspect::check(configuration)
    }

    fn discover(configuration: &Configuration, paths: &[Vec<String>]) -> Result<Vec<Dataset>> {
        inspect::discover(configuration, paths)
    }
}

fn role<T: schemars::JsonSchema>() -> Option<Role> {
    Some(Role { parameter_schema: sdk::parameters::schema::<T>(), features: Vec::new() })
}

fn api() -> SourceType {
    SourceType {
        name: "restapi".to_owned(),
        aliases: ["http", "rest", "restapireader", "restapiwriter"].map(str::to_owned).to_vec(),
        title: "REST API".to_owned(),
        family: "saas".to_owned(),
        connection_schema: sdk::parameters::schema::<settings::Connection>(),
        reader: role::<settings::ReaderDocument>(),
        transformer: None,
        writer: role::<settings::WriterDocument>(),
        places: Vec::new(),
    }
}

fn file() -> SourceType {
    SourceType {
        name: reader::FILE_TYPE.to_owned(),
        aliases: vec!["httpfilereader".to_owned()],
        title: "File behind HTTP".to_owned(),
        family: "file".to_owned(),
        reader: role::<settings::FileDocument>(),
        writer: None,
        ..api()
    }
}

// The entry points have names that only a component's linker takes.
#[cfg(target_arch = "wasm32")]
sdk::export!(Rest);
