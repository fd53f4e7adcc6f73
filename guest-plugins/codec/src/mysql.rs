//! Rows of MySQL's protocol, in its binary form.

mod column;
mod decode;
mod kind;
#[cfg(test)]
mod tests;
mod value;

pub(crate) use decode::RowDecoder;
pub use decode::{RowDecoding, key};
pub use kind::{DECIMAL128_DIGITS, Kind, data_type};
