//! The program `airlock` with stop points: at one chosen call of a port it says so and waits, so that
//! a test can kill it there, from outside, with SIGKILL.
//!
//! * `AIRLOCK_STOP=writer.commit:2:before` (or `after`) names the call and which one of its kind;
//!   `any:17:before` is the 17th call of all. `writer.commit.host:3:before` stops in the middle of a
//!   call: before the third time that the guest calls its host from a `writer.commit`, counted over all
//!   of them; `host:17:before` is the 17th time from any call.
//! * `AIRLOCK_STOP_REACHED=FILE`: the file that appears when the point is reached. The program goes on
//!   when `FILE.go` appears, which a test uses to prepare what the call shall meet.
//! * `AIRLOCK_STOP_TRACE=FILE`: the calls as they come, one a line, and `CALL done` when it answers.
//!
//! Without these it is `airlock`.

mod points;
mod ports;

use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    match points::Points::from_environment() {
        Ok(points) => cli::main_with(ports::Stopping(Arc::new(points))),
        Err(message) => {
            #[allow(clippy::print_stderr, reason = "only tests read it")]
            {
                eprintln!("airlock-stops: {message}");
            }
            ExitCode::FAILURE
        }
    }
}
