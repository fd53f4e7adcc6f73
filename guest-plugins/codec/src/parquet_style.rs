//! How Parquet files are laid out.

use serde::{Deserialize, Serialize};

/// A row group ends before its values pass this: it takes little memory while it is written, and has
/// about as many rows as readers like to take at once.
const ROW_GROUP_BYTES: usize = 16 << 20;

/// Each column holds a page and a dictionary of this size while it is written.
const PAGE_BYTES: usize = 512 << 10;

/// How the pages of a Parquet file are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PageCodec {
    None,
    #[default]
    Snappy,
    Gzip,
    Zstd,
    Lz4,
    Brotli,
}

/// How Parquet files are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ParquetStyle {
    pub codec: PageCodec,
    /// A row group ends before its values take more.
    pub group_bytes: usize,
    /// A row group has no more rows.
    pub group_rows: usize,
    /// Of a page, and of a column's dictionary.
    pub page_bytes: usize,
    pub dictionary: bool,
}

impl Default for ParquetStyle {
    fn default() -> Self {
        Self {
            codec: PageCodec::default(),
            group_bytes: ROW_GROUP_BYTES,
            group_rows: usize::MAX,
            page_bytes: PAGE_BYTES,
            dictionary: true,
        }
    }
}
