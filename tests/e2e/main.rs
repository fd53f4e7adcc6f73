//! What a user sees: the real binary's output and exit codes, for good input and bad.
//!
//! Output is a snapshot (`INSTA_UPDATE=always` writes them anew) wherever a person reads it; where only
//! one fact counts, the fact is asserted. A new test stands with what it is about:

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

/// The bench of whole programs: what it shows of them.
mod bench;
/// The compile cache: cold, warm, tampered with.
mod cache;
/// Every command but `run`.
mod commands;
/// DataX documents as documents of script mode.
mod convert;
/// What plug-ins compute for a row, in instructions.
mod cost;
/// Content that cannot be read or written.
mod data;
/// Documents that are wrong.
mod documents;
/// What plug-ins send to databases, shown.
mod explain;
/// The first things a newcomer does, and the shape of a summary.
mod first;
/// Formats of files that other programs wrote.
mod formats;
/// HTTP APIs: kinds of pages, bodies, credentials, and what breaks.
mod http;
/// What `check` and `discover` say of each system.
mod looks;
/// MySQL and MariaDB: what is wrong, and what breaks.
mod mysql;
/// Servers, disks and permissions that fail.
mod outside;
/// Texts, packed or not: cut, broken, and larger than memory; and workbooks.
mod packed;
/// Plug-ins that are not built in, and those that ask for too much.
mod plugins;
/// The tour in README.md.
mod readme;
mod replay;
mod report;
/// Runs that go on after something stopped them.
mod resume;
/// Secrets stay secret.
mod secrets;
/// Files of SQLite, and what is wrong with them.
mod sqlite;
/// The table of what is supported in README.md.
mod supported;
/// What types become, in TYPES.md.
mod types;
/// What a run wrote, read back.
mod verify;
/// Runs that read what is new since the last one.
mod watermark;
