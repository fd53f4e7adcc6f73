//! Looking at a data source without moving rows: `check`, `browse`, `discover`.

use sdk::{CheckStep, Configuration, Dataset, Entry, Fault, Result, Side};

use crate::catalog;
use crate::client::Client;
use crate::error::VENDOR;
use crate::reader::{Source, dataset, declared};
use crate::settings::{Connection, ReaderParameter, WriterParameter};
use crate::sql;
use crate::target::Target;

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
            if let Some(looked) = look(&mut client, configuration) {
                steps.push(CheckStep { name: "table".to_owned(), fault: looked.err() });
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
        code if code.starts_with("mysql.tls") => 2,
        "mysql.database_not_found" | "mysql.permission_denied" => 4,
        _ => 3,
    }
}

/// What a step reads.
fn sources(client: &mut Client, parameter: &ReaderParameter) -> crate::error::Result<Vec<Source>> {
    let Some(named) = parameter.several()? else {
        return Ok(vec![Source::look(client, parameter, &parameter.selection()?)?]);
    };
    let tables = catalog::named(client, &named)?;
    let selections = tables.iter().map(|table| parameter.table_selection(&table.sql()));
    selections.map(|selection| Source::look(client, parameter, &selection)).collect()
}

/// What the step's parameter names, where it names anything.
fn look(client: &mut Client, configuration: &Configuration) -> Option<Result<()>> {
    match configuration.side {
        Side::Reader => {
            let parameter: ReaderParameter = sdk::parameters::parameter(configuration).ok()?;
            parameter.judge().ok()?;
            let sources = sources(client, &parameter);
            let read = sources
                .and_then(|sources| sources.iter().try_for_each(|source| source.try_read(client)));
            Some(read.map_err(Fault::from))
        }
        Side::Transformer => None,
        Side::Writer => {
            let parameter: WriterParameter = sdk::parameters::parameter(configuration).ok()?;
            parameter.table().ok()?;
            Some(writable(client, &parameter))
        }
    }
}

fn writable(client: &mut Client, parameter: &WriterParameter) -> Result<()> {
    if parameter.creates_table() && catalog::find_table(client, &parameter.table()?)?.is_none() {
        return Ok(());
    }
    let target = Target::look(client, parameter)?;
    // The rights are looked at before the condition, which no row meets.
    let names: Vec<String> = target.columns.iter().map(|c| sql::ident(&c.name)).collect();
    let nulls = vec!["NULL"; names.len()].join(", ");
    let (table, names) = (target.table.sql(), names.join(", "));
    client
        .execute(&format!("INSERT INTO {table} ({names}) SELECT {nulls} FROM DUAL WHERE 1 = 0"))
        .map_err(|error| error.at("/parameter/table"))?;
    Ok(())
}

/// Databases, and the tables of one.
pub(crate) fn browse(
    configuration: &Configuration,
    path: &[String],
    after: &str,
    limit: u32,
) -> Result<Vec<Entry>> {
    let client = &mut Client::connect(&Connection::read(configuration)?, &[])?;
    let limit = limit.clamp(1, ENTRIES_MAX);
    let (names, is_dataset) = match path {
        [] => (catalog::databases(client, after, limit)?, false),
        [database] => (catalog::tables(client, database, after, limit)?, true),
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
        let found = match configuration.side {
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
        return Ok(vec![found]);
    }
    let mut datasets = Vec::new();
    for path in paths {
        if let [database] = path.as_slice() {
            let message =
                format!("there is no database \"{database}\" with tables that the user may see");
            return Err(VENDOR
                .external("database_not_found", message)
                .hint("look at the databases with `airlock discover`"));
        }
        let name = path.iter().map(|part| sql::ident(part)).collect::<Vec<_>>().join(".");
        let table = catalog::table(client, &name)?;
        let all = catalog::columns(client, &table)?;
        let mut columns = client.describe(&format!("SELECT * FROM {}", table.sql()))?;
        for column in &mut columns {
            column.declared = declared(&all, &sql::ident(&column.name));
        }
        let key = catalog::primary_key(client, &table)?;
        datasets.push(dataset(vec![table.database, table.name], &columns, key));
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
            ("mysql.tls_not_offered", "tls"),
            ("mysql.authentication_failed", "authenticate"),
            ("mysql.too_many_connections", "authenticate"),
            ("mysql.database_not_found", "database"),
        ];
        for (code, step) in cases {
            assert_eq!(STEPS[step_of(code)], step, "{code}");
        }
    }
}
