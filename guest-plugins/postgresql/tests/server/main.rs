//! The plug-in, built for this machine, against a real server.

mod login;
mod read;
mod support;
mod write;
