//! What a step and its data source may say, and the checks that need no file.

use database::load::{LoadMode, Partition};
use database::settings::{self, list, single};
use schemars::JsonSchema;
use sdk::parameters::{self, OneOrMany};
use sdk::{Configuration, Fault, Result};
use serde::Deserialize;

use crate::sql;

const SPLIT_FACTOR: u32 = 5;
const SPLIT_FACTOR_MAX: u32 = 100;
/// Schemas beside the main one; SQLite takes no more.
const ATTACHED_MAX: usize = 10;

fn split_factor() -> u32 {
    SPLIT_FACTOR
}

/// A file of SQLite.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Connection {
    /// The file. A writer makes it where it is absent, in a folder that is there.
    pub(crate) path: String,
    /// More files, whose tables are named by a schema: `archive.orders`.
    #[serde(default)]
    #[schemars(length(max = 10))]
    pub(crate) attach: Vec<Attached>,
}

/// A file beside the main one.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Attached {
    /// What its tables are named by.
    pub(crate) schema: String,
    /// The file.
    pub(crate) path: String,
}

impl Connection {
    /// # Errors
    /// `connection.invalid` with the place of what is empty or named twice.
    pub(crate) fn read(configuration: &Configuration) -> Result<Self> {
        let connection: Self = parameters::connection(configuration)?;
        let invalid = |message: String, place: String| {
            Err(Fault::user("connection.invalid", message).at(place))
        };
        if connection.path.trim().is_empty() || connection.path.contains('\0') {
            return invalid("the connection names no file".into(), "/connection/path".into());
        }
        if connection.attach.len() > ATTACHED_MAX {
            let message = format!("more than {ATTACHED_MAX} files are attached");
            return invalid(message, "/connection/attach".into());
        }
        let mut schemas = vec!["main".to_owned(), "temp".to_owned()];
        for (index, Attached { schema, path }) in connection.attach.iter().enumerate() {
            let place = |key: &str| format!("/connection/attach/{index}/{key}");
            if path.trim().is_empty() || path.contains('\0') {
                return invalid("the connection names no file".into(), place("path"));
            }
            let name = schema.to_lowercase();
            if name.is_empty() || name.contains('\0') || schemas.contains(&name) {
                let message = format!("\"{schema}\" can't be the name of a schema, or is taken");
                return invalid(message, place("schema"));
            }
            schemas.push(name);
        }
        Ok(connection)
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
    /// The table or view, as `table` or `schema.table`.
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
    /// Column by whose ranges the table is split, in the database's own order; the rowid where nothing is
    /// said. It should have an index.
    #[serde(default)]
    split_pk: Option<String>,
    /// Splits for each lane at least; a large table has more.
    #[serde(default = "split_factor")]
    #[schemars(range(min = 1, max = 100))]
    split_factor: u32,
    /// Columns whose values are read as texts, whatever they are declared as; `["*"]` means all.
    #[serde(default)]
    as_text: Option<OneOrMany<String>>,
    /// What a number in a column of dates or times is: `refuse` makes its record a dirty one, `seconds` and
    /// `milliseconds` count from 1970.
    #[serde(default)]
    numeric_dates: NumericDates,
    /// Taken for compatibility; rows are streamed.
    #[serde(default)]
    #[schemars(with = "u32")]
    #[expect(dead_code, reason = "accepted from documents of DataX")]
    fetch_size: Option<i64>,
    /// Statements that are run whenever the file is opened.
    #[serde(default)]
    session: Option<OneOrMany<String>>,
}

/// What a number in a column of dates or times is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum NumericDates {
    #[default]
    Refuse,
    Seconds,
    Milliseconds,
}

/// What is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    Query(String),
    Table { table: String, columns: Vec<String>, filter: Option<String>, split_by: Option<String> },
}

impl ReaderParameter {
    /// All of one table.
    pub(crate) fn of_table(name: &str) -> Self {
        Self {
            datasource: None,
            table: Some(OneOrMany::One(name.to_owned())),
            column: None,
            filter: None,
            query_sql: None,
            split_pk: None,
            split_factor: SPLIT_FACTOR,
            as_text: None,
            numeric_dates: NumericDates::Refuse,
            fetch_size: None,
            session: None,
        }
    }

    /// # Errors
    /// `parameter.invalid` where there is no table or query, or more than one.
    pub(crate) fn selection(&self) -> Result<Selection> {
        if let Some(query) = &self.query_sql {
            let query = single(query.as_slice(), "querySql")?;
            return Ok(Selection::Query(sql::without_semicolon(query).to_owned()));
        }
        let table = single(list(self.table.as_ref()), "table")?.to_owned();
        let columns = settings::columns(self.column.as_ref());
        let filter = self.filter.as_deref().map(sql::without_semicolon);
        let filter = filter.filter(|filter| !filter.is_empty()).map(str::to_owned);
        let split_by = self.split_pk.clone().filter(|name| !name.trim().is_empty());
        Ok(Selection::Table { table, columns, filter, split_by })
    }

    /// Splits for each lane; the host has checked the schema, and what is beyond it is cut.
    pub(crate) fn split_factor(&self) -> u32 {
        self.split_factor.clamp(1, SPLIT_FACTOR_MAX)
    }

    /// Whether a column is read as texts.
    pub(crate) fn is_text(&self, column: &str) -> bool {
        let means = |name: &String| name.trim() == "*" || name.trim().eq_ignore_ascii_case(column);
        list(self.as_text.as_ref()).iter().any(means)
    }

    pub(crate) fn numeric_dates(&self) -> NumericDates {
        self.numeric_dates
    }

    pub(crate) fn session(&self) -> &[String] {
        list(self.session.as_ref())
    }
}

/// Parameters of the writer.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-adding" = {"preSql": null, "postSql": null, "truncate": false, "loadMode": "append"}, "x-replacing" = ["partition"]))]
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
    /// Statements that are run once before the first row; `@table` is the table.
    #[serde(default)]
    pre_sql: Option<OneOrMany<String>>,
    /// Statements that are run once after the last row; `@table` is the table.
    #[serde(default)]
    post_sql: Option<OneOrMany<String>>,
    /// `insert` (or `insert into`) adds rows, `upsert` (or `update`) changes those whose primary key is
    /// there, `replace` (or `replace into`) puts the new row in the place of all that it conflicts with.
    #[serde(default)]
    #[schemars(extend("default" = "insert"))]
    write_mode: Option<WriteMode>,
    /// What becomes of rows that are there: `append` leaves them, `swap` replaces them all at once when
    /// the run ends. With `partition` only that partition is replaced, and `swap` is what is meant where
    /// nothing is said.
    #[serde(default)]
    #[schemars(extend("default" = "append"))]
    load_mode: Option<LoadMode>,
    /// The partition that the rows belong to, as `ds=20251031` or `ds=20251031,hour=5`. Columns that are
    /// not written get these values; rows with others are refused.
    #[serde(default)]
    partition: Option<String>,
    /// Creates the table where it is absent, from the incoming fields.
    #[serde(default)]
    create_table: bool,
    /// Deletes all rows of the table before the first comes, and before the statements of `preSql`.
    #[serde(default)]
    truncate: bool,
    /// Empty texts become NULL.
    #[serde(default)]
    empty_as_null: bool,
    /// Taken for compatibility; rows are written one by one, in large transactions.
    #[serde(default)]
    #[schemars(with = "u32", range(min = 1))]
    #[expect(dead_code, reason = "accepted from documents of DataX")]
    batch_size: Option<u32>,
    /// Statements that are run whenever the file is opened.
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
    #[serde(alias = "update")]
    Upsert,
    /// Adds rows, in the place of those that they conflict with.
    #[serde(alias = "replace into")]
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

    pub(crate) fn write_mode(&self) -> WriteMode {
        self.write_mode.unwrap_or_default()
    }

    pub(crate) fn load_mode(&self) -> LoadMode {
        LoadMode::of(self.load_mode, self.partition.as_deref())
    }

    pub(crate) fn partition(&self) -> Result<Partition> {
        Partition::read(self.load_mode, self.partition.as_deref())
    }

    pub(crate) fn creates_table(&self) -> bool {
        self.create_table
    }

    pub(crate) fn truncates(&self) -> bool {
        self.truncate
    }

    /// All that is judged without a file.
    ///
    /// # Errors
    /// `parameter.invalid`.
    pub(crate) fn judge(&self) -> Result<()> {
        self.table()?;
        self.partition()?;
        if self.truncate && self.load_mode() == LoadMode::Swap {
            let message =
                "a swap replaces rows when the run ends; \"truncate\" would delete them before";
            return Err(Fault::user("parameter.invalid", message)
                .hint("leave \"truncate\" out")
                .at("/parameter/truncate"));
        }
        Ok(())
    }

    pub(crate) fn empty_as_null(&self) -> bool {
        self.empty_as_null
    }
}
