//! `stream`: rows that are made up, and rows that go nowhere.
//!
//! The reader makes the rows that its columns describe ([`parameters`]), the same ones in every
//! attempt; the writer prints them, or counts and drops them. No system is needed on either side, so
//! this is the plug-in of first steps, of dry runs against one real side, and of measuring.
//!
//! Begin with [`parameters`], then [`reader`] and [`writer`]; [`generate`] makes the columns, [`checksum`] sums them up.

mod checksum;
mod date;
mod generate;
mod kind;
mod parameters;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

use sdk::{
    CheckStep, Configuration, Description, Entry, NoTransformer, Plugin, Requirement, Result, Role,
    Side, SourceType,
};

use crate::parameters::{Connection, ReaderParameters, WriterParameters};

struct Stream;

impl Plugin for Stream {
    type Reader = reader::StreamReader;
    type Transformer = NoTransformer;
    type Writer = writer::StreamWriter;

    fn describe() -> Description {
        let role = |parameter_schema| Role { parameter_schema, features: vec!["resume".into()] };
        Description {
            name: "stream".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "makes rows up, and prints or drops rows".into(),
            types: vec![SourceType {
                name: "stream".into(),
                aliases: vec!["streamreader".into(), "streamwriter".into()],
                title: "Stream".into(),
                family: "test".into(),
                connection_schema: sdk::parameters::schema::<Connection>(),
                reader: Some(role(sdk::parameters::schema::<ReaderParameters>())),
                transformer: None,
                writer: Some(role(sdk::parameters::schema::<WriterParameters>())),
                places: Vec::new(),
            }],
            metadata: Vec::new(),
        }
    }

    /// Needs no place; reads the parameters, so that a bad one is found before anything runs.
    fn requirements(configuration: &Configuration) -> Result<Vec<Requirement>> {
        match configuration.side {
            Side::Reader => drop(reader::Recipe::of(configuration)?),
            Side::Transformer => return Err(NoTransformer::fault()),
            Side::Writer => drop(writer::output(configuration)?),
        }
        Ok(Vec::new())
    }

    fn check(configuration: &Configuration) -> Result<Vec<CheckStep>> {
        let fault = Self::requirements(configuration).err();
        Ok(vec![CheckStep { name: "parameters".into(), fault }])
    }

    fn browse(
        _configuration: &Configuration,
        path: &[String],
        after: Option<&str>,
        _limit: u32,
    ) -> Result<Vec<Entry>> {
        let first = path.is_empty() && after.is_none();
        let entry = || Entry { path: vec!["stream".into()], is_dataset: true };
        Ok(first.then(entry).into_iter().collect())
    }

    fn discover(
        configuration: &Configuration,
        _paths: &[Vec<String>],
    ) -> Result<Vec<sdk::Dataset>> {
        Ok(vec![reader::Recipe::of(configuration)?.dataset()])
    }
}

sdk::export!(Stream);
