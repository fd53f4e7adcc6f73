//! Where output goes: results to standard output, everything else to standard error.

use std::io::{self, IsTerminal};

use domain::fault::Fault;
use serde_json::{Map, Value};

use crate::arguments::Format;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::render::{self, escape};
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
            Format::Text => terminal::print(&escape::lines(&text())),
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
        let text = escape::lines(text.trim_end());
        if self.colour {
            terminal::say(&format!("\u{1b}[1;{colour}m{word}:\u{1b}[0m {text}\n"));
        } else {
            terminal::say(&format!("{word}: {text}\n"));
        }
    }

    /// Warnings of a document before its result, which has them itself with `-o json`.
    pub(crate) fn warnings(&self, warnings: &[Fault]) {
        if self.format == Format::Text {
            warnings.iter().for_each(|warning| self.warn(warning));
        }
    }

    /// The same as [`Console::failed`]; where the object cannot be written, standard error still can.
    pub(crate) fn tell(&self, failure: &Failure, rest: Map<String, Value>) {
        if self.failed(failure, rest).is_err() {
            failure.faults.iter().for_each(|fault| self.error(fault));
        }
    }

    /// Tells what ended a command before it had a result of its own: with `-o json` beside the keys
    /// of `rest`.
    ///
    /// # Errors
    /// Those of standard output.
    fn failed(&self, failure: &Failure, rest: Map<String, Value>) -> io::Result<()> {
        match self.format {
            Format::Text => {
                failure.warnings.iter().for_each(|warning| self.warn(warning));
                failure.faults.iter().for_each(|fault| self.error(fault));
                Ok(())
            }
            Format::Json => {
                let mut object = rest;
                object.extend(render::fault::failed(&failure.faults, &failure.warnings));
                print_json(&object.into())
            }
        }
    }
}

fn print_json(value: &Value) -> io::Result<()> {
    terminal::print(&format!("{value}\n"))
}
