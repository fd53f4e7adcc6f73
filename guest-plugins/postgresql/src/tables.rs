//! Steps that read several tables: how they are found.

use database::tables::Named;

use crate::catalog::{self, Table};
use crate::client::Client;
use crate::error::{Result, VENDOR};

/// The tables that a step names, each of which must be there, in their order.
///
/// # Errors
/// `postgresql.table_not_found`, `postgresql.no_table_matches`, `parameter.invalid`.
pub(crate) fn find(client: &mut Client, named: &Named) -> Result<Vec<Table>> {
    let tables = match named {
        Named::Listed(names) => {
            let found = names.iter().map(|name| catalog::table(client, name));
            found.collect::<Result<Vec<_>>>()?
        }
        Named::Matching(pattern) => catalog::tables_like(client, pattern)?,
    };
    let titles: Vec<_> = tables.iter().map(Table::title).collect();
    named.judge(VENDOR, &titles)?;
    Ok(tables)
}
