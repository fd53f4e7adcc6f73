//! The calls into a plug-in, and how long each may take.

use std::time::Duration;

use crate::limits::Limits;

/// A call into a plug-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Instantiate,
    Describe,
    Requirements,
    Check,
    Browse,
    Discover,
    Connect,
    MakePlan,
    NextSplits,
    Open,
    Next,
    Acknowledge,
    Tend,
    Apply,
    Prepare,
    Preview,
    Committed,
    Write,
    Commit,
    Close,
    Finish,
    ReadBack,
    /// The destructor of a session, cursor or sink.
    Drop,
}

impl Call {
    /// The contract's word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Instantiate => "instantiate",
            Self::Describe => "describe",
            Self::Requirements => "requirements",
            Self::Check => "check",
            Self::Browse => "browse",
            Self::Discover => "discover",
            Self::Connect => "connect",
            Self::MakePlan => "make-plan",
            Self::NextSplits => "next-splits",
            Self::Open => "open",
            Self::Next => "next",
            Self::Acknowledge => "acknowledge",
            Self::Tend => "tend",
            Self::Apply => "apply",
            Self::Prepare => "prepare",
            Self::Preview => "preview",
            Self::Committed => "committed",
            Self::Write => "write",
            Self::Commit => "commit",
            Self::Close => "close",
            Self::Finish => "finish",
            Self::ReadBack => "read-back",
            Self::Drop => "drop",
        }
    }

    /// The name of the limit on its time, and the time.
    pub(crate) fn wall(self, limits: &Limits) -> (&'static str, Duration) {
        match self {
            Self::Instantiate
            | Self::Describe
            | Self::Requirements
            | Self::Open
            | Self::Next
            | Self::Acknowledge
            | Self::Tend
            | Self::Apply
            | Self::Committed
            | Self::Write
            | Self::Drop => ("short-call", limits.short_call),
            Self::Connect | Self::Check | Self::Browse | Self::Discover | Self::NextSplits => {
                ("long-call", limits.long_call)
            }
            Self::MakePlan
            | Self::Preview
            | Self::Prepare
            | Self::Commit
            | Self::Close
            | Self::Finish
            | Self::ReadBack => ("run-call", limits.run_call),
        }
    }
}
