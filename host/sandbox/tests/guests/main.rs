//! The sandbox with real guests: `stream`, which behaves, and `faulty`, which does not.

#![allow(clippy::unwrap_used, reason = "a test that panics fails")]

mod files;
mod hidden;
mod honest;
mod limits;
mod listening;
mod loading;
mod misbehaviour;
mod network;
mod play;
mod rewritten;
mod setup;
