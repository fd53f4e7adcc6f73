//! Looking at a data source without moving rows: `check`, `browse`, `discover`.

use rusqlite::Connection as Database;
use sdk::{CheckStep, Configuration, Dataset, Entry, Result, Side};

use crate::catalog::{self, schema_not_found};
use crate::places::Places;
use crate::reader::Source;
use crate::settings::{Connection, ReaderParameter, WriterParameter};
use crate::sql;
use crate::target::Target;

/// Entries of one answer at most.
const ENTRIES_MAX: u32 = 10_000;

/// Goes the way to the table step by step, up to the first that fails.
pub(crate) fn check(configuration: &Configuration) -> Result<Vec<CheckStep>> {
    let places = Places::of(&Connection::read(configuration)?);
    let step = |name: &str, fault| CheckStep { name: name.to_owned(), fault };
    // A run makes the file that it writes.
    if configuration.side == Side::Writer && !places.are_there()? {
        return Ok(vec![step("file", None)]);
    }
    let database = match places.open_to_read(&[]) {
        Ok(database) => database,
        Err(fault) => return Ok(vec![step("file", Some(fault))]),
    };
    let mut steps = vec![step("file", None)];
    if let Some(looked) = look(&database, &places, configuration) {
        steps.push(step("table", looked.err()));
    }
    Ok(steps)
}

/// What the step's parameter names, where it names anything.
fn look(database: &Database, places: &Places, configuration: &Configuration) -> Option<Result<()>> {
    match configuration.side {
        Side::Reader => {
            let parameter: ReaderParameter = sdk::parameters::parameter(configuration).ok()?;
            parameter.selection().ok()?;
            let source = Source::look(database, &places.schemas(), &parameter);
            Some(source.and_then(|source| source.try_read(database)))
        }
        Side::Transformer => None,
        Side::Writer => {
            let parameter: WriterParameter = sdk::parameters::parameter(configuration).ok()?;
            let (schemas, name) = (places.schemas(), parameter.table().ok()?);
            if parameter.creates_table()
                && matches!(catalog::find_table(database, &schemas, &name), Ok(None))
            {
                return Some(Ok(()));
            }
            Some(Target::look(database, &schemas, &parameter).map(drop))
        }
    }
}

/// Schemas, and the tables of one.
pub(crate) fn browse(
    configuration: &Configuration,
    path: &[String],
    after: &str,
    limit: u32,
) -> Result<Vec<Entry>> {
    let places = Places::of(&Connection::read(configuration)?);
    let limit = limit.clamp(1, ENTRIES_MAX);
    let (names, is_dataset) = match path {
        [] => {
            places.open_to_read(&[])?;
            let mut schemas = places.schemas();
            schemas.retain(|schema| schema.as_str() > after);
            schemas.sort();
            schemas.truncate(limit as usize);
            (schemas, false)
        }
        [schema] => (catalog::tables(&places.open_to_read(&[])?, schema, after, limit)?, true),
        _ => (Vec::new(), true),
    };
    let below = |name: String| path.iter().cloned().chain([name]).collect();
    Ok(names.into_iter().map(|name| Entry { path: below(name), is_dataset }).collect())
}

/// The tables at `paths`, or what the step reads.
pub(crate) fn discover(
    configuration: &Configuration,
    paths: &[Vec<String>],
) -> Result<Vec<Dataset>> {
    let places = Places::of(&Connection::read(configuration)?);
    let database = places.open_to_read(&[])?;
    if paths.is_empty() && configuration.side == Side::Writer {
        let parameter: WriterParameter = sdk::parameters::parameter(configuration)?;
        return Ok(vec![Target::look(&database, &places.schemas(), &parameter)?.dataset()]);
    }
    if paths.is_empty() {
        let parameter: ReaderParameter = sdk::parameters::parameter(configuration)?;
        return Ok(vec![Source::look(&database, &places.schemas(), &parameter)?.dataset()]);
    }
    let table = |path: &Vec<String>| {
        if let [schema] = path.as_slice() {
            return Err(schema_not_found(schema, &places.schemas()));
        }
        let name = path.iter().map(|part| sql::ident(part)).collect::<Vec<_>>().join(".");
        let parameter = ReaderParameter::of_table(&name);
        Ok(Source::look(&database, &places.schemas(), &parameter)?.dataset())
    };
    paths.iter().map(table).collect()
}
