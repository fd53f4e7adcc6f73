//! A folder = a test. Each job runs twice: straight through, and killed in the middle and resumed.
//! Both times the same must come out: files, rows in the database, counts, dirty records.
//!
//! A folder holds
//! * `job.json`, and the files that it reads;
//! * `make.json`, where files are made by other programs: name and query of DuckDB, or `columns` for one
//!   column of each type;
//! * `setup.sql`, where a database is needed: the data source `pg`, its port as `${port}` and its name as
//!   `${database}`; `check.sql` asks it at the end;
//! * `setup_mysql.sql` and `check_mysql.sql`, the same for the data source `my`,
//!   `${mysql_port}` and `${mysql_database}`;
//! * `setup_sqlite.sql` and `check_sqlite.sql`, the same for the file `shop.db`;
//! * `case.json`, where something is not as usual: see [`case::Case`];
//! * `expected.txt`, what comes out. `UPDATE_EXPECTED=1` writes it anew.
//!
//! `examples` runs documents as users bring them along.
//!
//! The folder `quickstart` is the first that a newcomer runs; `e2e` tests what it says.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod case;
mod copies;
mod examples;
mod logins;

/// A test for each folder, and a test that none is forgotten.
macro_rules! folders {
    ($($name:ident)*) => {
        $(#[test] fn $name() { case::check(stringify!($name)); })*
        const LISTED: &[&str] = &[$(stringify!($name)),*];
    };
}

folders! {
    arrow_small_splits
    arrow_to_arrow_types
    avro_small_splits
    avro_to_avro_types
    casts_datax
    casts_exact
    create_table
    csv_character_that_gbk_lacks
    csv_dialect
    csv_encodings
    csv_globs
    csv_gzip_to_csv_zstd
    csv_header_list
    csv_nulls
    csv_packings
    csv_small_splits
    csv_to_csv_append
    csv_to_jsonl
    csv_to_mysql
    csv_to_parquet_inferred
    csv_to_parquet_typed
    csv_to_postgresql
    csv_zstd_to_parquet_gzip
    dataworks_mysql_to_postgresql
    datax_columns_as_text
    datax_files
    datax_mysql
    datax_postgresql
    datax_transformers
    dirty_rows_by_strategy
    dirty_rows_over_the_limit
    dirty_rows_tolerated
    excel_to_excel
    fixed_to_fixed
    folders_to_columns
    jsonl_to_csv
    jsonl_to_parquet
    mysql_all_types
    mysql_create_table
    mysql_refuses_rows
    mysql_replace
    mysql_split_by_hot_value
    mysql_split_by_null_key
    mysql_split_by_primary_key
    mysql_split_by_text
    mysql_to_csv
    mysql_to_postgresql
    mysql_update
    mysql_zero_dates_to_null
    orc_small_splits
    orc_to_orc_types
    parquet_other_order
    parquet_to_csv
    parquet_to_excel_refuses
    parquet_to_parquet_types
    plugin_explode
    plugin_redact
    postgresql_all_types
    postgresql_interval_fields
    postgresql_nan_to_parquet
    postgresql_odd_values
    postgresql_query
    postgresql_refuses_rows
    postgresql_to_csv
    postgresql_to_jsonl
    postgresql_to_mysql
    postgresql_to_parquet
    postgresql_to_postgresql
    postgresql_uuid_from_text
    postgresql_values_without_a_place
    postgresql_where_bizdate
    sharded_missing_column
    sharded_mysql
    sharded_mysql_missing_column
    sharded_postgresql
    split_by_ctid
    split_by_hot_value
    split_by_icu_text
    split_by_integer
    split_by_primary_key
    split_by_text
    sqlite_all_types
    sqlite_create_table
    sqlite_log_and_attached
    sqlite_refuses_rows
    sqlite_replace
    sqlite_to_sqlite
    sqlite_truncate
    sqlite_upsert
    statements_before_and_after
    statements_create_the_table
    steps_filter_and_edit
    steps_mask
    steps_replace_and_extract
    stream_to_stream
    swap_mysql_partition
    swap_mysql_table
    swap_sqlite_partition
    swap_partition
    swap_table
    throttled
    upsert_ignores
    upsert_replaces
    upsert_some_columns
    xml_to_jsonl
}

#[test]
fn every_folder_is_listed() {
    let entries = std::fs::read_dir(tests::tree::tests().join("jobs")).unwrap();
    let folders = entries.map(|entry| entry.unwrap()).filter(|entry| entry.path().is_dir());
    for folder in folders {
        let name = folder.file_name().into_string().unwrap();
        assert!(name == "quickstart" || LISTED.contains(&name.as_str()), "{name} is not listed");
    }
}
