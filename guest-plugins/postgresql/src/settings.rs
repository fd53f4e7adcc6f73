//! What a step and its data source may say, and the checks that need no server.

use std::collections::BTreeMap;

use database::load::{LoadMode, Partition};
use database::settings::{self, Login, Selection, Ssl, list, single};
use database::tables::{MissingColumn, Named};
use database::tls::{Mode, Security};
use database::watermark::{self, Watermark};
use schemars::JsonSchema;
use sdk::parameters::{self, OneOrMany};
use sdk::{Configuration, Fault, Result};
use serde::Deserialize;

const PORT: u16 = 5432;
const SPLIT_FACTOR: u32 = 5;
const SPLIT_FACTOR_MAX: u32 = 100;

fn port() -> u16 {
    PORT
}

fn split_factor() -> u32 {
    SPLIT_FACTOR
}

/// Properties of a PostgreSQL data source.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Connection {
    /// Host name or address of the server.
    host: String,
    /// Port of the server.
    #[serde(default = "port")]
    #[schemars(range(min = 1, max = 65535))]
    port: u16,
    /// Name of the database.
    database: String,
    /// Name of the role that logs in.
    username: String,
    /// Password of the role.
    #[serde(default)]
    #[schemars(extend("writeOnly" = true))]
    password: Option<String>,
    /// Encryption of the connection: `verify-full` where there is a `ca`, else `prefer`.
    #[serde(default)]
    ssl: Option<Ssl>,
    /// Schema of the tables that are named without one.
    #[serde(default)]
    pub(crate) schema: Option<String>,
    /// Run-time settings of the server for this connection, such as `TimeZone`.
    #[serde(default)]
    pub(crate) properties: BTreeMap<String, String>,
}

impl Connection {
    pub(crate) fn read(configuration: &Configuration) -> Result<Self> {
        parameters::connection(configuration)
    }

    /// # Errors
    /// `connection.invalid` with the place of what is empty, or of a mode of encryption that is none.
    pub(crate) fn login(&self) -> Result<Login<'_>> {
        self.mode()?;
        let password = self.password.as_deref().unwrap_or_default();
        let Self { host, port, database, username, .. } = self;
        Login { host, port: *port, database, username, password }.checked()
    }

    /// # Errors
    /// As [`Security::new`].
    pub(crate) fn security(&self) -> Result<Security<'_>> {
        Security::new(self.mode()?, self.ssl.as_ref().and_then(Ssl::ca))
    }

    fn mode(&self) -> Result<Option<Mode>> {
        Ok(self.ssl.as_ref().map(Ssl::mode).transpose()?.flatten())
    }
}

/// Parameters of the reader.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("anyOf" = [
    {"required": ["table"]}, {"required": ["tablePattern"]}, {"required": ["querySql"]}
]))]
pub(crate) struct ReaderParameter {
    /// Name of the data source.
    #[serde(default)]
    #[expect(dead_code, reason = "the host has looked it up")]
    datasource: Option<String>,
    /// The table, as `table` or `schema.table`, or several that have the same columns; `orders_[0-7]`
    /// means each number, `orders_[00-31]` each with two digits.
    #[serde(default)]
    table: Option<OneOrMany<String>>,
    /// Regular expression of PostgreSQL for whole names of tables, in place of `table`: those that match
    /// when the run is planned.
    #[serde(default)]
    table_pattern: Option<String>,
    /// What becomes of a column that some of the tables have, and others not: an `error`, or `null` is
    /// read.
    #[serde(default)]
    pub(crate) missing_column: MissingColumn,
    /// Columns, constants and expressions in SQL; `["*"]` means all columns.
    #[serde(default)]
    column: Option<OneOrMany<String>>,
    /// Condition in SQL that rows must meet.
    #[serde(default, rename = "where")]
    filter: Option<String>,
    /// A query that is read instead of a table; table, column, where and splitPk are then not looked at.
    #[serde(default)]
    query_sql: Option<OneOrMany<String>>,
    /// Column by whose ranges the table is split, so that each has about as many rows; a value that many
    /// rows have is split further. Where nothing is said, the primary key, or the table's pages where there
    /// is none. `ctid` means the pages: fast, but not safe to resume while the table is written to.
    #[serde(default)]
    split_pk: Option<String>,
    /// Reads what is new since the last run that succeeded.
    #[serde(default)]
    watermark: Option<Watermark>,
    /// Splits for each lane at least; a large table has more where that costs nothing.
    #[serde(default = "split_factor")]
    #[schemars(range(min = 1, max = 100))]
    split_factor: u32,
    /// Taken for compatibility; rows are streamed.
    #[serde(default)]
    #[schemars(with = "u32", range(min = 1), extend("default" = 1024))]
    #[expect(dead_code, reason = "accepted from documents of DataX")]
    fetch_size: Option<u32>,
    /// Statements that are run after each login.
    #[serde(default)]
    session: Option<OneOrMany<String>>,
}

impl ReaderParameter {
    /// # Errors
    /// `parameter.invalid` where there is no table or query, or more than one.
    pub(crate) fn selection(&self) -> Result<Selection> {
        if let Some(query) = &self.query_sql {
            return Selection::query(query);
        }
        Ok(self.table_selection(single(list(self.table.as_ref()), "table")?))
    }

    /// What is read of one table.
    pub(crate) fn table_selection(&self, table: &str) -> Selection {
        let (filter, split_by) = (self.filter.as_deref(), self.split_pk.as_deref());
        Selection::table(table, self.column.as_ref(), filter, split_by)
    }

    /// The tables, where the step may read several; `None` for one table or a query.
    ///
    /// # Errors
    /// `parameter.invalid` where `table` and `tablePattern` are both given, and for a bad range.
    pub(crate) fn several(&self) -> Result<Option<Named>> {
        if self.query_sql.is_some() {
            return Ok(None);
        }
        let named = Named::read(list(self.table.as_ref()), self.table_pattern.as_deref())?;
        if named.is_some() && self.watermark.is_some() {
            return Err(watermark::beside_several());
        }
        Ok(named)
    }

    /// What a step that is not read yet must be.
    ///
    /// # Errors
    /// `parameter.invalid`, of all that is judged without a server.
    pub(crate) fn judge(&self) -> Result<()> {
        if self.several()?.is_none() {
            self.selection()?;
        }
        self.watermark().map(|_| ())
    }

    /// # Errors
    /// `parameter.invalid` beside a query, whose columns are the user's own.
    pub(crate) fn watermark(&self) -> Result<Option<&Watermark>> {
        if self.watermark.is_some() && self.query_sql.is_some() {
            return Err(watermark::beside_query());
        }
        Ok(self.watermark.as_ref())
    }

    /// Splits for each lane; the host has checked the schema, and what is beyond it is cut.
    pub(crate) fn split_factor(&self) -> u32 {
        self.split_factor.clamp(1, SPLIT_FACTOR_MAX)
    }

    pub(crate) fn session(&self) -> &[String] {
        list(self.session.as_ref())
    }
}

/// Parameters of the writer.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-adding" = {"preSql": null, "postSql": null, "loadMode": "append"}, "x-replacing" = ["partition"]))]
pub(crate) struct WriterParameter {
    /// Name of the data source.
    #[serde(default)]
    #[expect(dead_code, reason = "the host has looked it up")]
    datasource: Option<String>,
    /// The table, as `table` or `schema.table`.
    table: OneOrMany<String>,
    /// Columns that are written, in the order of the incoming fields; `["*"]` means all.
    #[serde(default)]
    column: Option<OneOrMany<String>>,
    /// Statements that are run once, in one transaction, before the first row; `@table` is the table.
    #[serde(default)]
    pre_sql: Option<OneOrMany<String>>,
    /// Statements that are run once, in one transaction, after the last row; `@table` is the table.
    #[serde(default)]
    post_sql: Option<OneOrMany<String>>,
    /// `insert` (or `copy`) adds rows, `upsert` (or `update`, `replace`) meets those that are there.
    #[serde(default)]
    #[schemars(extend("default" = "insert"))]
    write_mode: Option<WriteMode>,
    /// What becomes of rows that are there: `append` leaves them, `swap` replaces them all at once when
    /// the run ends, and those who read the table see either the old rows or the new ones. With
    /// `partition` only that partition is replaced, and `swap` is what is meant where nothing is said.
    #[serde(default)]
    #[schemars(extend("default" = "append"))]
    load_mode: Option<LoadMode>,
    /// The partition that the rows belong to, as `ds=20251031` or `ds=20251031,hour=5`. Columns that are
    /// not written get these values; rows with others are refused.
    #[serde(default)]
    partition: Option<String>,
    /// What an upsert does with a row that is there: `update` the written columns, `replace` all
    /// (those not written get their default), or `ignore` the new row.
    #[serde(default)]
    conflict_mode: Option<ConflictMode>,
    /// Columns of the unique index that decides whether a row is there; the primary key where nothing
    /// is said.
    #[serde(default)]
    unique_index_columns: Option<Vec<OneOrMany<String>>>,
    /// Columns that an upsert changes; all that are written where nothing is said.
    #[serde(default)]
    update_column: Option<OneOrMany<String>>,
    /// Creates the table where it is absent, from the incoming fields.
    #[serde(default)]
    create_table: bool,
    /// Types in SQL by column, for `createTable`.
    #[serde(default)]
    pub(crate) pg_type: BTreeMap<String, String>,
    /// Taken for compatibility; batches are cut by bytes.
    #[serde(default)]
    #[schemars(with = "u32", range(min = 1), extend("default" = 1024))]
    #[expect(dead_code, reason = "accepted from documents of DataX")]
    batch_size: Option<u32>,
    /// Empty texts become NULL.
    #[serde(default)]
    empty_as_null: bool,
    /// Schema of the table `_airlock_commit` that keeps how far a run has come, and of the tables that
    /// a swap stages rows in; that of the table where nothing is said.
    #[serde(default)]
    pub(crate) mark_schema: Option<String>,
    /// Statements that are run after each login.
    #[serde(default)]
    session: Option<OneOrMany<String>>,
}

/// How rows meet those that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WriteMode {
    /// Adds rows; a row whose key is there is refused.
    Insert,
    /// The same as insert.
    Copy,
    /// Adds rows, and meets those whose key is there as conflictMode says.
    Upsert,
    /// The same as upsert with the conflict mode update.
    Update,
    /// The same as upsert with the conflict mode replace.
    Replace,
}

/// What an upsert does with a row whose key is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ConflictMode {
    /// Keeps the row that is there.
    Ignore,
    /// Changes the written columns.
    Update,
    /// Changes the written columns; the others get their default.
    Replace,
}

impl WriterParameter {
    /// # Errors
    /// `parameter.invalid` where there is no table, or more than one.
    pub(crate) fn table(&self) -> Result<String> {
        single(self.table.as_slice(), "table").map(str::to_owned)
    }

    pub(crate) fn columns(&self) -> Vec<String> {
        settings::columns(self.column.as_ref())
    }

    pub(crate) fn pre_sql(&self) -> &[String] {
        list(self.pre_sql.as_ref())
    }

    pub(crate) fn post_sql(&self) -> &[String] {
        list(self.post_sql.as_ref())
    }

    pub(crate) fn session(&self) -> &[String] {
        list(self.session.as_ref())
    }

    pub(crate) fn update_columns(&self) -> &[String] {
        list(self.update_column.as_ref())
    }

    /// How an upsert meets rows that are there; `None` where rows are only added.
    pub(crate) fn conflict_mode(&self) -> Option<ConflictMode> {
        match self.write_mode.unwrap_or(WriteMode::Insert) {
            WriteMode::Insert | WriteMode::Copy => None,
            WriteMode::Upsert | WriteMode::Update => {
                Some(self.conflict_mode.unwrap_or(ConflictMode::Update))
            }
            WriteMode::Replace => Some(ConflictMode::Replace),
        }
    }

    pub(crate) fn load_mode(&self) -> LoadMode {
        LoadMode::of(self.load_mode, self.partition.as_deref())
    }

    pub(crate) fn partition(&self) -> Result<Partition> {
        Partition::read(self.load_mode, self.partition.as_deref())
    }

    /// The named key of an upsert; `None` means the primary key.
    ///
    /// # Errors
    /// `parameter.invalid` for more than one index: PostgreSQL looks at one.
    pub(crate) fn unique_index(&self) -> Result<Option<Vec<String>>> {
        let place = "/parameter/uniqueIndexColumns";
        let lists = self.unique_index_columns.as_deref().unwrap_or_default();
        match lists {
            [] => Ok(None),
            [OneOrMany::Many(columns)] => Ok(Some(columns.clone())),
            // `["a", "b"]` is one index of two columns.
            _ if lists.iter().all(|list| matches!(list, OneOrMany::One(_))) => {
                Ok(Some(lists.iter().flat_map(|list| list.as_slice().to_vec()).collect()))
            }
            _ => Err(Fault::user("parameter.invalid", "an upsert goes by one unique index")
                .hint("name the columns of one index, for instance [[\"id\"]]")
                .at(place)),
        }
    }

    pub(crate) fn creates_table(&self) -> bool {
        self.create_table
    }

    pub(crate) fn empty_as_null(&self) -> bool {
        self.empty_as_null
    }
}

#[cfg(test)]
mod tests;
