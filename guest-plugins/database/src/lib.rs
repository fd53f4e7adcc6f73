//! What plug-ins of databases share: how they reach a server, and what they say when it fails.
//!
//! A plug-in has a [`Vendor`], whose words stand in its faults, and brings the protocol, the types and the
//! SQL; here is what is the same whatever the server: [`Wire`] is a connection that is read in place,
//! over [`tls`] or not; [`Error`], [`Blame`] and [`Kind`] make faults of a server's errors; [`settings`]
//! reads what all documents say the same way; [`columns`] are those that are read, [`tables`] and [`walk`]
//! are for steps that read several, [`watermark`] finds what is new; [`writing`] is what writers answer,
//! [`load`] has the words for rows that are replaced, [`marks`] is the shape of the table that says how far
//! a run has come; [`names`] reads those that users write in quotes.
//!
//! It is a library of plug-ins and no part of the SDK: an author of another kind of connector needs none
//! of it.

pub mod columns;
mod error;
pub mod load;
pub mod marks;
pub mod names;
pub mod settings;
pub mod tables;
pub mod tls;
pub mod walk;
pub mod watermark;
mod wire;
pub mod writing;

pub use error::{Blame, Error, Kind, Spoken, Vendor};
pub use wire::{Stream, Wire};

use std::time::Duration;

/// Reaching the server, and then all answers of the login.
pub const LOGIN_WAIT: Duration = Duration::from_secs(20);
/// All answers of one call in the middle of a task: shorter than the host's limit of a call, so that the
/// user gets a sentence.
pub const ANSWER_WAIT: Duration = Duration::from_secs(50);
/// Statements of the user, DDL and commits, in calls which the host lets take as long as a run.
pub const STATEMENT_WAIT: Duration = Duration::from_secs(24 * 3600);
