//! The plug-in, built for this machine, against a real server.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod copies;
mod login;
mod read;
mod skew;
mod support;
mod swap;
mod watermark;
mod write;
mod write_values;
