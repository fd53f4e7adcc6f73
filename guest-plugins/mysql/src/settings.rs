//! What a step and its data source may say, and the checks that need no server.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use sdk::load::{self, LoadMode};
use sdk::parameters::{self, Number, OneOrMany};
use sdk::{Configuration, Fault, Result};
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
    /// Encryption of the connection, which is not there yet: only the mode `disable` is taken.
    #[serde(default)]
    ssl: Option<Ssl>,
    /// Options of a JDBC driver, taken for compatibility; sessions are UTF-8 and in UTC. Those that ask
    /// for encryption are refused.
    #[serde(default)]
    properties: BTreeMap<String, String>,
}

/// Encryption of the connection.
#[derive(Deserialize, JsonSchema)]
struct Ssl {
    /// How much is asked of the server.
    #[serde(default)]
    mode: Option<String>,
}

/// Where to log in.
pub(crate) struct Login<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) database: &'a str,
    pub(crate) username: &'a str,
    pub(crate) password: &'a str,
}

impl Connection {
    pub(crate) fn read(configuration: &Configuration) -> Result<Self> {
        parameters::connection(configuration)
    }

    /// # Errors
    /// `connection.invalid` with the place of what is empty.
    pub(crate) fn login(&self) -> Result<Login<'_>> {
        for (text, name) in
            [(&self.host, "host"), (&self.database, "database"), (&self.username, "username")]
        {
            if text.is_empty() || text.contains('\0') {
                let message = format!("the connection has no \"{name}\"");
                return Err(
                    Fault::user("connection.invalid", message).at(format!("/connection/{name}"))
                );
            }
        }
        if let Some(place) = self.asks_for_encryption() {
            let message = "connections to this type of server can't be encrypted yet";
            return Err(Fault::user("connection.invalid", message)
                .hint("go through a tunnel that encrypts, and leave the setting out")
                .at(place));
        }
        if self.port == 0 {
            return Err(Fault::user("connection.invalid", "the port is not between 1 and 65535")
                .at("/connection/port"));
        }
        Ok(Login {
            host: &self.host,
            port: self.port,
            database: &self.database,
            username: &self.username,
            password: self.password.as_deref().unwrap_or_default(),
        })
    }

    /// Where encryption is asked for: nobody who does is to get a connection without.
    fn asks_for_encryption(&self) -> Option<String> {
        if self.ssl.as_ref().is_some_and(|ssl| ssl.mode.as_deref() != Some("disable")) {
            return Some("/connection/ssl".to_owned());
        }
        let asks = |name: &str, value: &str| match name.to_ascii_lowercase().as_str() {
            "usessl" | "requiressl" => value.eq_ignore_ascii_case("true"),
            "sslmode" => !["disabled", "preferred", "disable", "prefer"]
                .contains(&value.to_ascii_lowercase().as_str()),
            _ => false,
        };
        let found = self.properties.iter().find(|(name, value)| asks(name, value));
        found.map(|(name, _)| format!("/connection/properties/{name}"))
    }
}

/// Parameters of the reader.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("anyOf" = [{"required": ["table"]}, {"required": ["querySql"]}]))]
pub(crate) struct ReaderParameter {
    /// Name of the data source.
    #[serde(default)]
    #[expect(dead_code, reason = "the host has looked it up")]
    datasource: Option<String>,
    /// The table, as `table` or `database.table`.
    #[serde(default)]
    table: Option<OneOrMany<String>>,
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
    /// key where nothing is said. It should have an index.
    #[serde(default)]
    split_pk: Option<String>,
    /// Splits for each lane at least; a large table has more.
    #[serde(default = "split_factor")]
    #[schemars(range(min = 1, max = 100))]
    split_factor: u32,
    /// What becomes of a date with a zero in it, such as `0000-00-00`: `refuse` makes the record a dirty
    /// one, `null` reads NULL.
    #[serde(default)]
    zero_dates: ZeroDates,
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

/// What is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    Query(String),
    Table { table: String, columns: Vec<String>, filter: Option<String>, split_by: Option<String> },
}

impl ReaderParameter {
    /// # Errors
    /// `parameter.invalid` where there is no table or query, or more than one.
    pub(crate) fn selection(&self) -> Result<Selection> {
        if let Some(query) = &self.query_sql {
            let query = single(query.as_slice(), "querySql")?;
            return Ok(Selection::Query(sql::without_semicolon(query).to_owned()));
        }
        let table = single(list(self.table.as_ref()), "table")?.to_owned();
        let columns = columns_of(self.column.as_ref());
        let filter = self.filter.as_deref().map(sql::without_semicolon);
        let filter = filter.filter(|filter| !filter.is_empty()).map(str::to_owned);
        let split_by = self.split_pk.clone().filter(|name| !name.trim().is_empty());
        Ok(Selection::Table { table, columns, filter, split_by })
    }

    /// Splits for each lane; the host has checked the schema, and what is beyond it is cut.
    pub(crate) fn split_factor(&self) -> u32 {
        self.split_factor.clamp(1, SPLIT_FACTOR_MAX)
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
pub(crate) struct WriterParameter {
    /// Name of the data source.
    #[serde(default)]
    #[expect(dead_code, reason = "the host has looked it up")]
    datasource: Option<String>,
    /// The table, as `table` or `database.table`.
    table: OneOrMany<String>,
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
        single(self.table.as_slice(), "table").map(str::to_owned)
    }

    pub(crate) fn columns(&self) -> Vec<String> {
        columns_of(self.column.as_ref())
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

    /// Columns and values of the partition.
    pub(crate) fn partition(&self) -> Result<Vec<(String, String)>> {
        load::partition(self.load_mode, self.partition.as_deref())
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

fn list(texts: Option<&OneOrMany<String>>) -> &[String] {
    texts.map(OneOrMany::as_slice).unwrap_or_default()
}

fn columns_of(columns: Option<&OneOrMany<String>>) -> Vec<String> {
    match list(columns) {
        [] => vec!["*".to_owned()],
        columns => columns.to_vec(),
    }
}

fn single<'a>(texts: &'a [String], name: &str) -> Result<&'a str> {
    match texts {
        [text] if !text.trim().is_empty() => Ok(text.trim()),
        [] | [_] => Err(Fault::user("parameter.invalid", format!("\"{name}\" is missing"))
            .at(format!("/parameter/{name}"))),
        _ => Err(Fault::user("parameter.invalid", format!("\"{name}\" names more than one"))
            .hint("a step reads or writes one table; use a step for each")
            .at(format!("/parameter/{name}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encryption_that_is_asked_for_is_refused() {
        let login = |more: &str| {
            let text = format!(r#"{{"host": "h", "database": "d", "username": "u"{more}}}"#);
            let connection: Connection = serde_json::from_str(&text).unwrap();
            connection.login().map(|login| login.port).map_err(|fault| fault.place.unwrap())
        };
        assert_eq!(login(""), Ok(3306));
        assert_eq!(login(r#", "ssl": {"mode": "disable"}"#), Ok(3306));
        assert_eq!(
            login(r#", "properties": {"useSSL": "false", "sslMode": "PREFERRED"}"#),
            Ok(3306)
        );
        assert_eq!(login(r#", "ssl": {}"#), Err("/connection/ssl".into()));
        let asked = r#", "properties": {"sslMode": "VERIFY_CA"}"#;
        assert_eq!(login(asked), Err("/connection/properties/sslMode".into()));
    }
}
