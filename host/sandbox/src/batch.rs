//! Batches at the border: buffers that a guest made become a record batch that nobody need doubt, and
//! a record batch becomes buffers that start at row 0.

mod check;
mod decode;
mod encode;

pub(crate) use check::check_dataset;
pub(crate) use decode::{Refused, decode};
pub(crate) use encode::{Outgoing, encode};

#[cfg(test)]
mod tests;
