//! The program `airlock`. All of it is in the library, so that tests can build a second program with
//! stop points between the engine and its ports.

fn main() -> std::process::ExitCode {
    cli::main_with(cli::Plain)
}
