//! Why a command ended early, and with which code.

use std::io;

use domain::fault::Fault;

/// The exit code of a command that was interrupted by Ctrl-C.
pub(crate) const EXIT_INTERRUPTED: u8 = 130;
/// The exit code of a command that was asked to terminate.
pub(crate) const EXIT_TERMINATED: u8 = 143;

/// What a command answers: its exit code, or why it could not go on.
pub(crate) type Ending = Result<u8, Failure>;

/// All that was found until then.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Failure {
    /// At least one; the first decides the exit code.
    pub(crate) faults: Vec<Fault>,
    /// Of the document, not told yet.
    pub(crate) warnings: Vec<Fault>,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::from(vec![fault])
    }
}

impl From<Vec<Fault>> for Failure {
    fn from(faults: Vec<Fault>) -> Self {
        Self { faults, warnings: Vec::new() }
    }
}

impl From<spec::Refused> for Failure {
    fn from(refused: spec::Refused) -> Self {
        Self { faults: refused.faults, warnings: refused.warnings }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::from(of_output(&error))
    }
}

impl Failure {
    /// The code that a command ends with.
    pub(crate) fn exit_code(&self) -> u8 {
        exit_code(&self.faults)
    }
}

/// The code of a command that ends with `faults`; the first decides.
pub(crate) fn exit_code(faults: &[Fault]) -> u8 {
    faults.first().map_or(1, |fault| fault.domain.exit_code())
}

/// Standard output cannot be written.
pub(crate) fn of_output(error: &io::Error) -> Fault {
    Fault::external("output.write", format!("cannot write to standard output: {error}"))
        .hint("check the space on the disk that it goes to")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_exit_codes() {
        let table = [
            (Fault::internal("x", "x"), 1),
            (Fault::user("x", "x"), 2),
            (Fault::external("x", "x"), 3),
            (Fault::data("x", "x"), 4),
            (Fault::plugin("x", "x"), 4),
        ];
        for (fault, code) in table {
            assert_eq!(exit_code(&[fault]), code);
        }
    }
}
