//! What a step's `parameter` asks for, and when it is due.

use std::cell::RefCell;
use std::collections::HashMap;

use schemars::JsonSchema;
use sdk::{Configuration, Result};
use serde::Deserialize;

/// One misbehaviour, and the size of what is read.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Script {
    /// The call that goes wrong; empty: none.
    pub(crate) call: String,
    /// What it does.
    pub(crate) act: String,
    /// Which of these calls in one instance, from 1; 0: each.
    pub(crate) nth: u32,
    /// How much or how many, where an act has a size; 0: its own default.
    pub(crate) amount: u64,
    /// An address, name, path or format string, where an act needs one.
    pub(crate) target: String,
    /// Rows of each split.
    pub(crate) rows: u64,
    /// Number of splits.
    pub(crate) splits: u32,
    /// Rows of a batch at most.
    pub(crate) batch: u32,
    /// Sessions ask to be tended after this many ms; 0: never.
    pub(crate) tend: u32,
    /// Paths that a step may name, so that they can be granted.
    pub(crate) path: Vec<String>,
    /// Directories that the step asks for, as they stand in `path`.
    pub(crate) ask: Vec<String>,
    /// Addresses (`host:port`) that the step asks for.
    pub(crate) ask_tcp: Vec<String>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            call: String::new(),
            act: String::new(),
            nth: 1,
            amount: 0,
            target: String::new(),
            rows: 1000,
            splits: 4,
            batch: 100,
            tend: 0,
            path: Vec::new(),
            ask: Vec::new(),
            ask_tcp: Vec::new(),
        }
    }
}

thread_local! {
    /// How often each call came in this instance.
    static CALLS: RefCell<HashMap<String, u32>> = RefCell::default();
}

impl Script {
    pub(crate) fn of(configuration: &Configuration) -> Result<Self> {
        sdk::parameters::parameter(configuration)
    }

    /// The act that is due in this `call`, if any. Counts the call.
    pub(crate) fn due(&self, call: &str) -> Option<&str> {
        let count = CALLS.with_borrow_mut(|calls| {
            let count = calls.entry(call.to_owned()).or_default();
            *count += 1;
            *count
        });
        let due = self.call == call && (self.nth == 0 || self.nth == count);
        due.then_some(self.act.as_str())
    }

    pub(crate) fn amount_or(&self, default: u64) -> u64 {
        if self.amount == 0 { default } else { self.amount }
    }
}
