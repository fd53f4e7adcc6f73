//! The same table from every format to every format, every value compared by another program.
//!
//! TPC-H's `lineitem`: 50,000 rows, with `SOAK=1` a million. Types are kept wherever a format has them:
//! bigint, decimal(15,2) and date.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod formats;
mod inferred;
mod memory;

use formats::Format;

/// A test for each pair.
macro_rules! pairs {
    ($($name:ident: $from:ident to $to:ident;)*) => {
        $(#[test] fn $name() { formats::check(Format::$from, Format::$to); })*
    };
}

pairs! {
    csv_to_csv: Csv to Csv;
    csv_to_jsonl: Csv to Jsonl;
    csv_to_parquet: Csv to Parquet;
    csv_to_postgresql: Csv to PostgreSql;
    jsonl_to_csv: Jsonl to Csv;
    jsonl_to_jsonl: Jsonl to Jsonl;
    jsonl_to_parquet: Jsonl to Parquet;
    jsonl_to_postgresql: Jsonl to PostgreSql;
    parquet_to_csv: Parquet to Csv;
    parquet_to_jsonl: Parquet to Jsonl;
    parquet_to_parquet: Parquet to Parquet;
    parquet_to_postgresql: Parquet to PostgreSql;
    postgresql_to_csv: PostgreSql to Csv;
    postgresql_to_jsonl: PostgreSql to Jsonl;
    postgresql_to_parquet: PostgreSql to Parquet;
    postgresql_to_postgresql: PostgreSql to PostgreSql;
}
