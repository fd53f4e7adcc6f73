//! What commands know, as text and as JSON. Pure: no input, no output.

pub(crate) mod dataset;
pub(crate) mod escape;
pub(crate) mod fault;
pub(crate) mod plan;
pub(crate) mod report;
pub(crate) mod shown_run;
pub(crate) mod summary;
pub(crate) mod table;
