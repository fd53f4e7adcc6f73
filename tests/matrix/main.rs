//! The same table from every format to every format, every value compared by another program.
//!
//! TPC-H's `lineitem`: 50,000 rows, with `SOAK=1` a million. Types are kept wherever a format has them:
//! bigint, decimal(15,2) and date.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod formats;
mod inferred;
mod memory;

use formats::Format;

/// A test for each source, which goes to every destination.
macro_rules! sources {
    ($($name:ident: $from:ident;)*) => {
        $(#[test] fn $name() { formats::check_all(Format::$from); })*
    };
}

sources! {
    from_csv: Csv;
    from_jsonl: Jsonl;
    from_parquet: Parquet;
    from_orc: Orc;
    from_avro: Avro;
    from_arrow: Arrow;
    from_postgresql: PostgreSql;
    from_mysql: MySql;
    from_sqlite: Sqlite;
}
