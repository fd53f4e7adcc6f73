//! `airlock completions SHELL`

use clap::CommandFactory;

use crate::arguments::{Arguments, CompletionsArguments};
use crate::failure::Ending;
use crate::terminal;

pub(crate) fn completions(arguments: &CompletionsArguments) -> Ending {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "airlock", &mut script);
    terminal::print(&String::from_utf8_lossy(&script))?;
    Ok(0)
}
