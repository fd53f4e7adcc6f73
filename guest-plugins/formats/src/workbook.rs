//! Workbooks of Excel: sheets are read as text, rows are written with types.

mod read;
mod write;

pub(crate) use read::{SheetText, sheets};
pub(crate) use write::WorkbookEncoder;
