//! One module a command. Each reads its arguments, wires what it needs, and shows what it got.

pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod convert;
pub(crate) mod dirty;
pub(crate) mod discover;
pub(crate) mod doctor;
pub(crate) mod plan;
pub(crate) mod plugin;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod validate;
pub(crate) mod watermark;
