//! The parameters of a `stream` step.

use schemars::JsonSchema;
use sdk::parameters::Number;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A stream needs no connection.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Connection {}

/// What rows to make up.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReaderParameters {
    /// The columns of each row, at least one.
    #[schemars(length(min = 1))]
    pub(crate) column: Vec<Column>,
    /// Rows of each task. The job makes as many tasks as it runs side by side, so two lanes and 100
    /// make 200 rows.
    pub(crate) slice_record_count: Number,
    /// Another number makes other random values; the same number makes the same ones.
    #[serde(default)]
    pub(crate) seed: Number,
}

/// One column: a constant `value`, a `random` range or a `sequence`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Column {
    /// Name of the field. Without one: `column_0`, `column_1` and so on.
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// Type of the values: string, long (or bigint), int, double, decimal(p,s), bool (or boolean),
    /// date, timestamp, bytes (or binary). A date with a `dateFormat` without hours is a day, any
    /// other a timestamp.
    #[serde(default = "string", rename = "type")]
    #[schemars(extend("examples" = crate::kind::NAMES))]
    pub(crate) kind: String,
    /// The same value in every row; null is NULL. Wins over `random`.
    #[serde(default, deserialize_with = "present")]
    #[schemars(schema_with = "scalar")]
    pub(crate) value: Option<Value>,
    /// Two bounds with a comma between: the smallest and largest number, the shortest and longest
    /// text of letters and digits (also for bytes), the first and last date, or false and true as a
    /// ratio such as `1,3`.
    #[serde(default)]
    pub(crate) random: Option<String>,
    /// Numbers that count up over all tasks: the first one, or the first one and the step such as
    /// `100,10`. Of type long, int or decimal.
    #[serde(default)]
    pub(crate) sequence: Option<String>,
    /// How dates in `value` and `random` are spelled, of the letters y M d H m s S.
    #[serde(default = "date_format")]
    pub(crate) date_format: String,
}

fn string() -> String {
    "string".to_owned()
}

fn date_format() -> String {
    "yyyy-MM-dd HH:mm:ss".to_owned()
}

/// A null that is there is a value.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

fn scalar(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "description": "The same value in every row; null is NULL. Wins over `random`.",
        "type": ["string", "number", "boolean", "null"]
    })
}

/// What becomes of the rows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-adding" = {}))]
pub(crate) struct WriterParameters {
    /// Prints each row as a line; else rows are counted and dropped.
    #[serde(default)]
    pub(crate) print: bool,
    /// Prints a line for each task when it ends: how many rows came, and a sum over all bytes of each
    /// column. Rows that came before a resumption are not in it.
    #[serde(default)]
    pub(crate) checksum: bool,
    /// Stands between the values of a printed row.
    #[serde(default = "tab")]
    pub(crate) field_delimiter: String,
    /// Encoding of printed rows.
    #[serde(default)]
    pub(crate) encoding: Encoding,
    /// After so many rows of a task the writer sleeps once; 0: never.
    #[serde(default)]
    pub(crate) record_num_before_sleep: Number,
    /// How many seconds the writer sleeps, at most 30.
    #[serde(default)]
    pub(crate) sleep_time: Number,
    /// Not taken: the `file` plug-in writes files.
    #[serde(default)]
    #[schemars(extend("deprecated" = true))]
    pub(crate) path: Option<String>,
    /// Not taken: the `file` plug-in writes files.
    #[serde(default)]
    #[schemars(extend("deprecated" = true))]
    pub(crate) file_name: Option<String>,
}

fn tab() -> String {
    "\t".to_owned()
}

/// The encodings of printed rows.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
pub(crate) enum Encoding {
    #[default]
    #[serde(rename = "UTF-8", alias = "utf-8", alias = "UTF8", alias = "utf8")]
    Utf8,
}
