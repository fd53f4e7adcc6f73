//! TPC-H's table `lineitem`, made once and kept in the target folder.

use std::path::PathBuf;
use std::sync::Mutex;

use crate::referee::ask;
use crate::tree;

/// The table's columns, as PostgreSQL creates them.
pub const COLUMNS: [(&str, &str); 16] = [
    ("l_orderkey", "bigint"),
    ("l_partkey", "bigint"),
    ("l_suppkey", "bigint"),
    ("l_linenumber", "bigint"),
    ("l_quantity", "decimal(15,2)"),
    ("l_extendedprice", "decimal(15,2)"),
    ("l_discount", "decimal(15,2)"),
    ("l_tax", "decimal(15,2)"),
    ("l_returnflag", "text"),
    ("l_linestatus", "text"),
    ("l_shipdate", "date"),
    ("l_commitdate", "date"),
    ("l_receiptdate", "date"),
    ("l_shipinstruct", "text"),
    ("l_shipmode", "text"),
    ("l_comment", "text"),
];

/// Rows of one unit of the benchmark's scale, a little less than there are.
const ROWS_PER_SCALE: f64 = 5_990_000.0;

/// `lineitem.csv`, or in the format of another suffix, with exactly `rows` rows.
pub fn file(rows: u64, suffix: &str) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let folder = tree::target().join("test-data").join(format!("lineitem-{rows}"));
    std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
    let scale = format!("{:.3}", (rows as f64 / ROWS_PER_SCALE).max(0.01) + 0.001);
    let tool = tree::tool("tpchgen-cli");
    let (folder_text, tool) = (folder.display().to_string(), tool.display().to_string());
    ask(&["lineitem", &folder_text, &tool, &scale, &rows.to_string(), suffix]);
    folder.join(format!("lineitem.{suffix}"))
}

/// The statement that creates the table `name`.
pub fn create_table(name: &str) -> String {
    let columns = COLUMNS.map(|(column, kind)| format!("{column} {kind}"));
    format!("create table {name} ({})", columns.join(", "))
}
