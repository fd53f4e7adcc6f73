//! What every command needs of this process: how to speak, where its files are, what time it is.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use domain::fault::Result;
use jiff::Zoned;
use sandbox::OnHostCall;
use serde_json::Value;
use spec::Clock;

use crate::arguments::Common;
use crate::console::Console;
use crate::environment::Environment;
use crate::folders::Folders;
use crate::job::GuestOutput;
use crate::render::escape;
use crate::signals::Stop;
use crate::terminal;

/// One process of the command line.
pub(crate) struct Host {
    pub(crate) console: Console,
    pub(crate) environment: Environment,
    pub(crate) guest_output: Arc<GuestOutput>,
    pub(crate) state_dir: Option<PathBuf>,
    /// When the process began, in the machine's zone.
    pub(crate) now: Zoned,
    pub(crate) stop: Stop,
    pub(crate) on_host_call: Option<OnHostCall>,
}

impl Host {
    pub(crate) fn new(
        common: Common,
        console: Console,
        environment: Environment,
        stop: Stop,
        output: GuestOutput,
        on_host_call: Option<OnHostCall>,
    ) -> Self {
        let (state_dir, now) = (common.state_dir, Zoned::now());
        let guest_output = Arc::new(output);
        Self { console, environment, guest_output, state_dir, now, stop, on_host_call }
    }

    /// A result, and behind it the statements of plug-ins where they were asked for.
    ///
    /// # Errors
    /// Those of standard output.
    pub(crate) fn result(
        &self,
        text: impl FnOnce() -> String,
        json: impl FnOnce() -> Value,
    ) -> io::Result<()> {
        let Some(statements) = &self.guest_output.statements else {
            return self.console.result(text, json);
        };
        let json = || {
            let mut object = json();
            object["statements"] = statements.json();
            object
        };
        self.console.result(|| text() + &statements.text(), json)
    }

    /// The statements of a command that has no result.
    pub(crate) fn say_statements(&self) {
        if let Some(statements) = &self.guest_output.statements {
            terminal::say(&escape::lines(&statements.text()));
        }
    }

    /// # Errors
    /// As [`Folders::find`].
    pub(crate) fn folders(&self) -> Result<Folders> {
        Folders::find(self.state_dir.as_deref(), &self.environment)
    }

    /// The machine's zone: its name, or its offset now where it has none.
    pub(crate) fn zone(&self) -> String {
        match self.now.time_zone().iana_name() {
            Some(name) => name.to_owned(),
            None => self.now.offset().to_string(),
        }
    }
}

/// A run's clock for people.
pub(crate) fn clock_text(clock: &Clock, zone: &str) -> String {
    let cyctime = clock.cyctime.strftime("%Y-%m-%d %H:%M:%S");
    let bizdate = clock.bizdate.strftime("%Y%m%d");
    format!("{cyctime} ({zone}), business date {bizdate}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_shows_its_zone() {
        let clock: Clock = "20251101023045 20251031".parse().unwrap();
        assert_eq!(
            clock_text(&clock, "Asia/Shanghai"),
            "2025-11-01 02:30:45 (Asia/Shanghai), business date 20251031"
        );
    }
}
