//! Rows of PostgreSQL's COPY.

mod column;
pub(crate) mod decode;
pub(crate) mod encode;
pub mod interval;
pub mod kind;
mod limits;
mod numeric;
mod text;

pub use decode::{CopyDecoding, SIGNATURE};
pub use encode::{CopyColumn, CopyEncoding, Form};
