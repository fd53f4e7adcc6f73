//! Where output goes: results to standard output, everything else to standard error.

use std::io::{self, IsTerminal};

use domain::fault::Fault;
use serde_json::{Value, json};

use crate::arguments::Format;
use crate::environment::Environment;
use crate::render;
use crate::terminal;

/// How a command speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Console {
    pub(crate) format: Format,
    /// Standard error is a terminal that wants colour.
    colour: bool,
    /// Standard error is a terminal that can redraw.
    pub(crate) interactive: bool,
}

impl Console {
    pub(crate) fn new(format: Format, environment: &Environment) -> Self {
        let dumb = environment.variable("TERM").is_none_or(|term| term == "dumb");
        let interactive = io::stderr().is_terminal() && !dumb;
        let colour = interactive && environment.variable("NO_COLOR").is_none();
        Self { format, colour, interactive }
    }

    /// A result for people: `text`, or one object with `-o json`.
    pub(crate) fn result(
        &self,
        text: impl FnOnce() -> String,
        json: impl FnOnce() -> Value,
    ) -> io::Result<()> {
        match self.format {
            Format::Text => terminal::print(&text()),
            Format::Json => print_json(&json()),
        }
    }

    /// Something that is good to know, on standard error.
    pub(crate) fn note(&self, text: &str) {
        self.aside("note", "36", text);
    }

    pub(crate) fn warn(&self, fault: &Fault) {
        self.complaint("warning", "33", fault);
    }

    pub(crate) fn error(&self, fault: &Fault) {
        self.complaint("error", "31", fault);
    }

    fn complaint(&self, word: &str, colour: &str, fault: &Fault) {
        self.aside(word, colour, &render::fault::text(fault));
    }

    fn aside(&self, word: &str, colour: &str, text: &str) {
        let text = text.trim_end();
        if self.colour {
            terminal::say(&format!("\u{1b}[1;{colour}m{word}:\u{1b}[0m {text}\n"));
        } else {
            terminal::say(&format!("{word}: {text}\n"));
        }
    }

    /// Tells faults that ended a command before it had a result of its own.
    pub(crate) fn failed(&self, faults: &[Fault]) -> io::Result<()> {
        match self.format {
            Format::Text => faults.iter().for_each(|fault| self.error(fault)),
            Format::Json => {
                let errors: Vec<_> = faults.iter().map(render::fault::json).collect();
                let first = errors.first().cloned().unwrap_or_default();
                print_json(&json!({"status": "failed", "error": first, "errors": errors}))?;
            }
        }
        Ok(())
    }
}

fn print_json(value: &Value) -> io::Result<()> {
    terminal::print(&format!("{value}\n"))
}
