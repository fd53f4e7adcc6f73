//! What a step and its data source may say, and the checks that need no server.

use std::collections::BTreeMap;

use database::load::{LoadMode, Partition};
use database::settings::{self, Login, Selection, Ssl, list, mode_of, single};
use database::tables::{MissingColumn, Named};
use database::tls::{Mode, Security};
use database::watermark::{self, Watermark};
use schemars::JsonSchema;
use sdk::parameters::{self, Number, OneOrMany};
use sdk::{Configuration, Result};
use serde::Deserialize;

use crate::sql;

const PORT: u16 = 3306;
const SPLIT_FACTOR: u32 = 5;
const SPLIT_FACTOR_MAX: u32 = 100;

fn port() -> u16 {
    PORT
}

fn split_factor() -> u32 {
    SPLIT_FACTOR
}

/// Properties of a MySQL or MariaDB data source.
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
    /// Name of the user that logs in.
    username: String,
    /// Password of the user.
    #[serde(default)]
    #[schemars(extend("writeOnly" = true))]
    password: Option<String>,
    /// Encryption of the connection: `verify-full` where there is a `ca`, else `prefer`.
    #[serde(default)]
    ssl: Option<Ssl>,
    /// Options of a JDBC driver. `sslMode`, `useSSL`, `requireSSL` and `verifyServerCertificate` ask for
    /// encryption, where the strictest of all that is said holds; `allowPublicKeyRetrieval` lets a
    /// password travel without it, encrypted with a key of which nobody knows whose it is. The others
    /// are taken for compatibility; sessions are UTF-8 and in UTC.
    #[serde(default)]
    properties: BTreeMap<String, String>,
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
        let ca = self.ssl.as_ref().and_then(Ssl::ca);
        Security::new(self.mode()?, ca)
    }

    /// The strictest mode that is asked for: nobody who asks for encryption is to get a connection
    /// without.
    fn mode(&self) -> Result<Option<Mode>> {
        let mut asked = self.ssl.as_ref().map(Ssl::mode).transpose()?.flatten();
        for (name, value) in &self.properties {
            let is_true = value.eq_ignore_ascii_case("true");
            let mode = match name.to_ascii_lowercase().as_str() {
                "sslmode" => Some(mode_of(value, &format!("/connection/properties/{name}"))?),
                "usessl" if !is_true => Some(Mode::Disable),
                "usessl" | "requiressl" => is_true.then_some(Mode::Require),
                "verifyservercertificate" => is_true.then_some(Mode::VerifyCa),
                _ => None,
            };
            asked = asked.max(mode);
        }
        Ok(asked)
    }

    /// Whether a password may be encrypted with whatever key the server sends.
    pub(crate) fn takes_any_key(&self) -> bool {
        self.properties.iter().any(|(name, value)| {
            name.eq_ignore_ascii_case("allowPublicKeyRetrieval")
                && value.eq_ignore_ascii_case("true")
        })
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
    /// The table, as `table` or `database.table`, or several that have the same columns; `orders_[0-7]`
    /// means each number, `orders_[00-31]` each with two digits, `shop_[0-3].orders` a table of each
    /// database.
    #[serde(default)]
    table: Option<OneOrMany<String>>,
    /// Regular expression of the server for whole names of tables of the data source's database, in place
    /// of `table`: those that match when the run is planned.
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
    /// Column by whose ranges the table is split, in the database's own order; the first of the primary
    /// key where nothing is said. It should have an index. A value that more rows have than a split should
    /// is split further by the primary key.
    #[serde(default)]
    split_pk: Option<String>,
    /// Reads what is new since the last run that succeeded.
    #[serde(default)]
    watermark: Option<Watermark>,
    /// Splits for each lane at least; a large table has more.
    #[serde(default = "split_factor")]
    #[schemars(range(min = 1, max = 100))]
    split_factor: u32,
    /// What becomes of a date with a zero in it, such as `0000-00-00`: `refuse` makes the record a dirty
    /// one, `null` reads NULL.
    #[serde(default)]
    zero_dates: ZeroDates,
    /// Taken for compatibility: the server that the data source names is read, which may be a read-only one.
    #[serde(default)]
    use_read_only: bool,
    /// Taken for compatibility; rows are streamed.
    #[serde(default)]
    #[schemars(with = "u32")]
    #[expect(dead_code, reason = "accepted from documents of DataX")]
    fetch_size: Option<i64>,
    /// Taken for compatibility; sessions are UTF-8.
    #[serde(default)]
    #[expect(dead_code, reason = "accepted from documents of DataWorks")]
    encoding: Option<String>,
    /// Taken for compatibility; each call has a limit of its own.
    #[serde(default)]
    #[expect(dead_code, reason = "accepted from documents of DataWorks")]
    socket_timeout: Option<Number>,
    /// Statements that are run after each login.
    #[serde(default)]
    session: Option<OneOrMany<String>>,
}

/// What becomes of a date with a zero in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ZeroDates {
    #[default]
    Refuse,
    Null,
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

    /// Whether the document says what the table is split by.
    pub(crate) fn names_split(&self) -> bool {
        self.split_pk.as_ref().is_some_and(|name| !name.trim().is_empty())
    }

    /// Splits for each lane; the host has checked the schema, and what is beyond it is cut.
    pub(crate) fn split_factor(&self) -> u32 {
        self.split_factor.clamp(1, SPLIT_FACTOR_MAX)
    }

    /// Whether a read-only server is asked for.
    pub(crate) fn wants_read_only(&self) -> bool {
        self.use_read_only
    }

    pub(crate) fn zero_is_null(&self) -> bool {
        self.zero_dates == ZeroDates::Null
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
    /// The table, as `table` or `database.table`.
    table: OneOrMany<String>,
    /// The database of a table that names none; that of the data source where nothing is said.
    #[serde(default)]
    selected_database: Option<String>,
    /// Columns that are written, in the order of the incoming fields; `["*"]` means all.
    #[serde(default)]
    column: Option<OneOrMany<String>>,
    /// Statements that are run once before the first row; `@table` is the table.
    #[serde(default)]
    pre_sql: Option<OneOrMany<String>>,
    /// Statements that are run once after the last row; `@table` is the table.
    #[serde(default)]
    post_sql: Option<OneOrMany<String>>,
    /// `insert` (or `insert into`) adds rows, `update` changes those whose key is there, `replace` puts
    /// the new row in their place.
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
    /// Columns that an update changes; all that are written where nothing is said.
    #[serde(default)]
    update_column: Option<OneOrMany<String>>,
    /// `skipNull` leaves a column whose value is NULL at its default; an update leaves it as it is in a row
    /// that is there.
    #[serde(default)]
    null_mode: NullMode,
    /// Creates the table where it is absent, from the incoming fields.
    #[serde(default)]
    create_table: bool,
    /// Rows of one statement at most.
    #[serde(default)]
    #[schemars(with = "u32", range(min = 1))]
    batch_size: Option<u32>,
    /// Empty texts become NULL.
    #[serde(default)]
    empty_as_null: bool,
    /// Taken for compatibility; sessions are UTF-8.
    #[serde(default)]
    #[expect(dead_code, reason = "accepted from documents of DataWorks")]
    encoding: Option<String>,
    /// Taken for compatibility; each call has a limit of its own.
    #[serde(default)]
    #[expect(dead_code, reason = "accepted from documents of DataWorks")]
    socket_timeout: Option<Number>,
    /// Statements that are run after each login.
    #[serde(default)]
    session: Option<OneOrMany<String>>,
}

/// How rows meet those that are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WriteMode {
    /// Adds rows; a row whose key is there is refused.
    #[default]
    #[serde(alias = "insert into")]
    Insert,
    /// Adds rows, and changes those whose key is there.
    Update,
    /// Adds rows, in the place of those whose key is there.
    Replace,
}

/// What a NULL does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum NullMode {
    /// It is written.
    #[default]
    #[serde(rename = "writeNull")]
    Write,
    /// The column gets its default, or stays as it is.
    #[serde(rename = "skipNull")]
    Skip,
}

impl WriterParameter {
    /// # Errors
    /// `parameter.invalid` where there is no table, or more than one.
    pub(crate) fn table(&self) -> Result<String> {
        let table = single(self.table.as_slice(), "table")?;
        let database = self.selected_database.as_deref().filter(|name| !name.trim().is_empty());
        Ok(match (database, sql::split_name(table).as_deref()) {
            (Some(database), Some([table])) => {
                format!("{}.{}", sql::ident(database.trim()), sql::ident(table))
            }
            _ => table.to_owned(),
        })
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

    pub(crate) fn write_mode(&self) -> WriteMode {
        self.write_mode.unwrap_or_default()
    }

    pub(crate) fn load_mode(&self) -> LoadMode {
        LoadMode::of(self.load_mode, self.partition.as_deref())
    }

    pub(crate) fn partition(&self) -> Result<Partition> {
        Partition::read(self.load_mode, self.partition.as_deref())
    }

    pub(crate) fn skips_null(&self) -> bool {
        self.null_mode == NullMode::Skip
    }

    pub(crate) fn creates_table(&self) -> bool {
        self.create_table
    }

    pub(crate) fn batch_rows(&self) -> usize {
        self.batch_size.map_or(usize::MAX, |rows| rows.max(1) as usize)
    }

    pub(crate) fn empty_as_null(&self) -> bool {
        self.empty_as_null
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_names_no_database_is_of_the_selected_one() {
        let table = |more: &str| {
            let text = format!(r#"{{"table": {more}}}"#);
            serde_json::from_str::<WriterParameter>(&text).unwrap().table().unwrap()
        };
        assert_eq!(table(r#""t""#), "t");
        assert_eq!(table(r#""t", "selectedDatabase": "d`b""#), "`d``b`.`t`");
        assert_eq!(table(r#""a.t", "selectedDatabase": "b""#), "a.t");
        assert_eq!(table(r#""t", "selectedDatabase": " ""#), "t");
    }

    #[test]
    fn the_strictest_mode_that_is_asked_for_holds() {
        let mode = |more: &str| {
            let text = format!(r#"{{"host": "h", "database": "d", "username": "u"{more}}}"#);
            let connection: Connection = serde_json::from_str(&text).unwrap();
            connection.security().map(|found| found.mode).map_err(|fault| fault.place.unwrap())
        };
        let table = [
            ("", Ok(Mode::Prefer)),
            (r#", "ssl": {}"#, Ok(Mode::Prefer)),
            (r#", "ssl": {"ca": "c"}"#, Ok(Mode::VerifyName)),
            (r#", "ssl": {"mode": "required", "ca": "c"}"#, Ok(Mode::VerifyCa)),
            (r#", "ssl": {"mode": "disable"}"#, Ok(Mode::Disable)),
            (r#", "properties": {"useSSL": "false"}"#, Ok(Mode::Disable)),
            (r#", "properties": {"useSSL": "true", "requireSSL": "false"}"#, Ok(Mode::Require)),
            (r#", "properties": {"useSSL": "false", "sslMode": "PREFERRED"}"#, Ok(Mode::Prefer)),
            (
                r#", "properties": {"sslMode": "REQUIRED"}, "ssl": {"mode": "disabled"}"#,
                Ok(Mode::Require),
            ),
            (r#", "properties": {"sslMode": "VERIFY_CA"}, "ssl": {"ca": "c"}"#, Ok(Mode::VerifyCa)),
            (
                r#", "properties": {"verifyServerCertificate": "true"}"#,
                Err("/connection/ssl/ca".to_owned()),
            ),
            (r#", "ssl": {"mode": "on"}"#, Err("/connection/ssl/mode".into())),
            (r#", "properties": {"sslMode": "x"}"#, Err("/connection/properties/sslMode".into())),
        ];
        for (more, expected) in table {
            assert_eq!(mode(more), expected, "{more}");
        }
    }
}
