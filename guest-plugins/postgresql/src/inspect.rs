//! Looking at a data source without moving rows: `check`, `browse`, `discover`.

use sdk::{CheckStep, Configuration, Dataset, Entry, Fault, Result, Side};

use crate::catalog;
use crate::client::Client;
use crate::error::VENDOR;
use crate::reader::{Source, dataset};
use crate::settings::{Connection, ReaderParameter, WriterParameter};
use crate::target::Target;
use crate::{sql, tables};

/// Entries of one answer at most.
const ENTRIES_MAX: u32 = 10_000;

const STEPS: [&str; 5] = ["resolve", "connect", "tls", "authenticate", "database"];

/// Goes the way to the table step by step, up to the first that fails.
pub(crate) fn check(configuration: &Configuration) -> Result<Vec<CheckStep>> {
    let connection = Connection::read(configuration)?;
    let client = Client::connect(&connection, &session(configuration));
    let failed = client.as_ref().err().map(|fault| step_of(&fault.code));
    let mut steps: Vec<CheckStep> = STEPS
        .iter()
        .take(failed.map_or(STEPS.len(), |failed| failed + 1))
        .map(|name| CheckStep { name: (*name).to_owned(), fault: None })
        .collect();
    match client {
        Ok(mut client) => {
            if let Some((name, looked)) = look(&mut client, configuration) {
                steps.push(CheckStep { name: name.to_owned(), fault: looked.err() });
            }
        }
        Err(fault) => {
            if let Some(last) = steps.last_mut() {
                last.fault = Some(fault);
            }
        }
    }
    Ok(steps)
}

/// The statements of the step after each login; a parameter that can't be read has none.
fn session(configuration: &Configuration) -> Vec<String> {
    let session = match configuration.side {
        Side::Reader => sdk::parameters::parameter(configuration)
            .map(|parameter: ReaderParameter| parameter.session().to_vec()),
        Side::Transformer => return Vec::new(),
        Side::Writer => sdk::parameters::parameter(configuration)
            .map(|parameter: WriterParameter| parameter.session().to_vec()),
    };
    session.unwrap_or_default()
}

/// The step that a fault of the login belongs to.
fn step_of(code: &str) -> usize {
    match code {
        "net.name_not_found" => 0,
        code if code.starts_with("net.") || code.starts_with("connection.") => 1,
        code if code.starts_with("postgresql.tls") => 2,
        "postgresql.database_not_found" => 4,
        _ => 3,
    }
}

/// What a step reads.
fn sources(client: &mut Client, parameter: &ReaderParameter) -> crate::error::Result<Vec<Source>> {
    let missing = parameter.missing_column;
    let Some(named) = parameter.several()? else {
        return Ok(vec![Source::look(client, &parameter.selection()?, missing)?]);
    };
    let tables = tables::find(client, &named)?;
    let selections = tables.iter().map(|table| parameter.table_selection(&table.sql()));
    selections.map(|selection| Source::look(client, &selection, missing)).collect()
}

/// What the step's parameter names, where it names anything.
fn look(client: &mut Client, configuration: &Configuration) -> Option<(&'static str, Result<()>)> {
    match configuration.side {
        Side::Reader => {
            let parameter: ReaderParameter = sdk::parameters::parameter(configuration).ok()?;
            parameter.judge().ok()?;
            let sources = sources(client, &parameter);
            let read = sources
                .and_then(|sources| sources.iter().try_for_each(|source| source.try_read(client)));
            Some(("table", read.map_err(Fault::from)))
        }
        Side::Transformer => None,
        Side::Writer => {
            let parameter: WriterParameter = sdk::parameters::parameter(configuration).ok()?;
            parameter.table().ok()?;
            Some(("table", writable(client, &parameter)))
        }
    }
}

fn writable(client: &mut Client, parameter: &WriterParameter) -> Result<()> {
    let name = parameter.table()?;
    if parameter.creates_table() && catalog::find_table(client, &name)?.is_none() {
        return Ok(());
    }
    let target = Target::look(client, parameter)?;
    let names: Vec<&str> = target.columns.iter().map(|column| column.name.as_str()).collect();
    let rows = client.query(&format!(
        "SELECT bool_and(pg_catalog.has_column_privilege({}::oid, c, 'INSERT')) FROM unnest(ARRAY[{}]::text[]) AS c",
        target.table.oid,
        sql::literals(names)
    ))?;
    match rows.first().and_then(|row| row.first()?.as_deref()) {
        Some("f") => Err(Fault::external(
            "postgresql.permission_denied",
            format!("the role may not insert into \"{}\"", target.table.title()),
        )
        .hint("GRANT INSERT on the table to the role of the data source")
        .at("/parameter/table")),
        _ => Ok(()),
    }
}

/// Schemas, and the tables of one.
pub(crate) fn browse(
    configuration: &Configuration,
    path: &[String],
    after: &str,
    limit: u32,
) -> Result<Vec<Entry>> {
    let client = &mut Client::connect(&Connection::read(configuration)?, &[])?;
    let limit = limit.clamp(1, ENTRIES_MAX);
    let (names, is_dataset) = match path {
        [] => (catalog::schemas(client, after, limit)?, false),
        [schema] => (catalog::tables(client, schema, after, limit)?, true),
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
    let client = &mut Client::connect(&Connection::read(configuration)?, &[])?;
    if paths.is_empty() {
        let datasets = match configuration.side {
            Side::Reader => {
                let parameter: ReaderParameter = sdk::parameters::parameter(configuration)?;
                let sources = sources(client, &parameter)?;
                return Ok(sources.iter().map(Source::dataset).collect());
            }
            Side::Transformer => return Ok(Vec::new()),
            Side::Writer => {
                let parameter: WriterParameter = sdk::parameters::parameter(configuration)?;
                Target::look(client, &parameter)?.dataset()
            }
        };
        return Ok(vec![datasets]);
    }
    let mut datasets = Vec::new();
    for path in paths {
        if let [schema] = path.as_slice() {
            let message = format!("there is no schema \"{schema}\", or nothing lies in it");
            return Err(VENDOR
                .external("schema_not_found", message)
                .hint("look at the schemas with `airlock discover`"));
        }
        let name = path.iter().map(|part| sql::ident(part)).collect::<Vec<_>>().join(".");
        let table = catalog::table(client, &name)?;
        let columns = catalog::table_columns(client, &table)?;
        let columns: Vec<_> = columns.into_iter().map(catalog::Column::for_reading).collect();
        let key = catalog::primary_key(client, &table)?;
        datasets.push(dataset(vec![table.schema, table.name], &columns, key));
    }
    Ok(datasets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_the_login_belong_to_a_step() {
        let cases = [
            ("net.name_not_found", "resolve"),
            ("net.refused", "connect"),
            ("net.not_granted", "connect"),
            ("postgresql.tls_certificate", "tls"),
            ("postgresql.tls_not_offered", "tls"),
            ("postgresql.authentication_failed", "authenticate"),
            ("postgresql.too_many_connections", "authenticate"),
            ("postgresql.database_not_found", "database"),
        ];
        for (code, step) in cases {
            assert_eq!(STEPS[step_of(code)], step, "{code}");
        }
    }
}
