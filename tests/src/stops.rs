//! Kills at a named point: the second binary stops there, the test sees it and sends SIGKILL.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::airlock::{Airlock, Output, Running};

/// A program that will stop at a point.
pub struct Stopped {
    running: Running,
    reached: PathBuf,
    point: String,
}

impl Stopped {
    /// Starts `program`, which must be `airlock-stops`, and waits until it has come to `point`.
    /// `Err`: it ended before it came there.
    pub fn at(program: Airlock, point: &str, folder: &Path) -> Result<Self, Output> {
        let reached = folder.join("reached");
        for file in [reached.clone(), folder.join("reached.go")] {
            let _ = fs::remove_file(file);
        }
        let mut running = program
            .env("AIRLOCK_STOP", point)
            .env("AIRLOCK_STOP_REACHED", &reached.display().to_string())
            .start();
        let begun = Instant::now();
        while !reached.exists() {
            running.in_time(begun, &format!("does not come to {point}"));
            if running.has_ended() {
                // Its last act may have been to come there.
                return Err(running.wait());
            }
            std::thread::sleep(crate::airlock::LOOK_EVERY);
        }
        Ok(Self { running, reached, point: point.to_owned() })
    }

    /// Lets it go on.
    pub fn go(self) -> Running {
        let name = format!("{}.go", self.reached.display());
        fs::write(name, &self.point).unwrap();
        self.running
    }

    /// Ends it where it stands.
    pub fn kill(self) {
        assert_eq!(self.running.kill().code, None, "killed at {}", self.point);
    }
}
