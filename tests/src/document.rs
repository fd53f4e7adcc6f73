//! Job documents in script mode, put together.

use serde_json::{Value, json};

/// A document of one reader and one writer.
pub struct Document(Value);

impl Document {
    /// `reader` and `writer` are a step's type and parameters.
    pub fn new(reader: (&str, Value), writer: (&str, Value)) -> Self {
        let step = |category: &str, name: &str, (kind, parameter): (&str, Value)| json!({"stepType": kind, "category": category, "name": name, "parameter": parameter});
        Self(json!({
            "type": "job",
            "version": "2.0",
            "steps": [step("reader", "Reader", reader), step("writer", "Writer", writer)],
            "setting": {"speed": {"concurrent": 1}},
            "order": {"hops": [{"from": "Reader", "to": "Writer"}]},
        }))
    }

    pub fn concurrent(mut self, lanes: u32) -> Self {
        self.0["setting"]["speed"]["concurrent"] = lanes.into();
        self
    }

    /// How many dirty records are tolerated.
    pub fn tolerating(mut self, records: u64) -> Self {
        self.0["setting"]["errorLimit"] = json!({"record": records});
        self
    }

    pub fn json(&self) -> &Value {
        &self.0
    }
}

/// Parameters of a `file` reader of CSV with a header.
pub fn csv(path: &str) -> (&'static str, Value) {
    ("file", json!({"path": [path], "fileFormat": "csv", "header": true}))
}

/// Parameters of a `file` writer into the folder `out`.
pub fn out(format: &str) -> (&'static str, Value) {
    let header = format == "csv";
    let mut parameter =
        json!({"path": "out", "fileName": "rows", "fileFormat": format, "writeMode": "truncate"});
    if header {
        parameter["header"] = true.into();
    }
    ("file", parameter)
}

/// Parameters of a `postgresql` step on the data source `pg`.
pub fn table(name: &str) -> (&'static str, Value) {
    ("postgresql", json!({"datasource": "pg", "table": name}))
}
