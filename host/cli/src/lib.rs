//! The command line: arguments, wiring, output, exit codes.
//!
//! Here alone concrete things meet: `spec` reads a document, `bundle` and `sandbox` give its plug-ins,
//! `domain::grant` judges what they may reach, `store` keeps the books and `engine` runs. Standard
//! output carries results, standard error everything else.
//!
//! What is not here: how a document is read, how rows move, what a guest may do. A command reads its
//! arguments, asks the crates below, and shows what they said.
//!
//! Begin with [`main_with`], then `commands/run.rs`; `job.rs` is what the commands share. A new command
//! goes into `arguments.rs` and `commands/`, a new way to show something into `render/`.

mod adding;
mod again;
mod arguments;
mod books;
mod catalogue;
mod commands;
mod console;
mod difference;
mod document;
mod environment;
mod failure;
mod folders;
mod grants;
mod host;
mod human;
mod job;
mod kept;
mod locate;
mod logging;
mod misuse;
mod panic;
mod ports;
mod progress;
mod render;
mod replay;
mod run_id;
mod sampler;
mod shell;
mod signals;
mod statements;
mod target;
mod terminal;

use std::process::ExitCode;
use std::sync::Arc;

use domain::fault::{Fault, Result};
use serde_json::Map;
use tokio::task::JoinError;

pub use ports::{Plain, Ports};

use arguments::{Arguments, Command, Format};
use console::Console;
use environment::Environment;
use failure::Ending;
use host::Host;
use job::GuestOutput;
use signals::{Signals, Stop};

/// Runs one command of the command line, with `ports` around what the engine drives.
pub fn main_with<P: Ports>(ports: P) -> ExitCode {
    panic::install();
    let environment = Environment::read();
    logging::start(&environment);
    let arguments = match Arguments::read() {
        Ok(arguments) => arguments,
        Err(error) => return ExitCode::from(misuse::tell(&error, &environment)),
    };
    let console = Console::new(arguments.common.output, &environment);
    let ended =
        start(ports, arguments, console, environment).unwrap_or_else(|fault| Err(fault.into()));
    ExitCode::from(code(console, ended))
}

/// Starts the runtime, and answers how the command ended, or that it had to end at once.
fn start<P: Ports>(
    ports: P,
    arguments: Arguments,
    console: Console,
    environment: Environment,
) -> Result<Ending> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Fault::internal("host.runtime", format!("cannot start: {error}")))?;
    let ended = runtime.block_on(async {
        let signals = Signals::listen()?;
        let stop = signals.stop();
        // On a thread of its own, so that a signal is heard whatever the command is at.
        let command = dispatch(ports, arguments, console, environment, stop.clone());
        let command = tokio::spawn(command);
        tokio::select! {
            ended = command => Ok(ended.unwrap_or_else(|error| panicked(console, error))),
            code = signals.end_at_once() => {
                if stop.is_listened_to() {
                    terminal::say_raw("ended at once; the run can be resumed\n");
                }
                Ok(Ok(code))
            }
        }
    });
    // A guest that is being compiled shall not delay the end.
    runtime.shutdown_background();
    ended
}

async fn dispatch<P: Ports>(
    ports: P,
    arguments: Arguments,
    console: Console,
    environment: Environment,
    stop: Stop,
) -> Ending {
    let ports = Arc::new(ports);
    let explains = arguments.command.explains();
    let output = GuestOutput::new(console.format, stop.clone(), explains);
    let on_host_call = ports.on_host_call();
    let host = Host::new(arguments.common, console, environment, stop, output, on_host_call);
    let ended = match &arguments.command {
        Command::Run(arguments) => Box::pin(commands::run::run(&host, &*ports, arguments)).await,
        Command::Validate(arguments) => commands::validate::validate(&host, arguments).await,
        Command::Plan(arguments) => Box::pin(commands::plan::plan(&host, &*ports, arguments)).await,
        Command::Check(arguments) => Box::pin(commands::check::check(&host, arguments)).await,
        Command::Discover(arguments) => {
            Box::pin(commands::discover::discover(&host, &*ports, arguments)).await
        }
        Command::Plugin(command) => commands::plugin::plugin(&host, command).await,
        Command::Runs(arguments) => commands::runs::runs(&host, arguments).await,
        Command::Report(arguments) => commands::report::report(&host, arguments).await,
        Command::Convert(arguments) => commands::convert::convert(&host, arguments).await,
        Command::Dirty(command) => Box::pin(commands::dirty::dirty(&host, &*ports, command)).await,
        Command::Watermark(command) => commands::watermark::watermark(&host, command).await,
        Command::Doctor(arguments) => commands::doctor::doctor(&host, arguments).await,
        Command::Completions(arguments) => commands::completions::completions(arguments),
    };
    if ended.is_err() {
        host.say_statements();
    }
    ended
}

/// Tells why a command ended early, and answers the exit code.
fn code(console: Console, ended: Ending) -> u8 {
    let failure = match ended {
        Ok(code) => return code,
        Err(failure) => failure,
    };
    console.tell(&failure, Map::new());
    failure.exit_code()
}

/// The panic was told on standard error already; a program that reads JSON gets its object too.
fn panicked(console: Console, error: JoinError) -> Ending {
    match console.format {
        Format::Text => Ok(1),
        Format::Json => Err(panic::fault(error).into()),
    }
}
