//! Why a command ended early, and with which code.

use std::io;

use domain::fault::Fault;

/// The exit code of a command that was interrupted by Ctrl-C.
pub(crate) const EXIT_INTERRUPTED: u8 = 130;
/// The exit code of a command that was asked to terminate.
pub(crate) const EXIT_TERMINATED: u8 = 143;

/// What a command answers: its exit code, or why it could not go on.
pub(crate) type Ending = Result<u8, Failure>;

#[derive(Debug)]
pub(crate) enum Failure {
    /// At least one; all are told, the first decides the exit code.
    Faults(Vec<Fault>),
    /// Standard output cannot be written.
    Output(io::Error),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Faults(vec![fault])
    }
}

impl From<Vec<Fault>> for Failure {
    fn from(faults: Vec<Fault>) -> Self {
        Self::Faults(faults)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// The code of a command that ends with `faults`; the first decides.
pub(crate) fn exit_code(faults: &[Fault]) -> u8 {
    faults.first().map_or(1, |fault| fault.domain.exit_code())
}

/// What a failed write to standard output means: a reader that went away is content.
pub(crate) fn of_output(error: &io::Error) -> Option<Fault> {
    match error.kind() {
        io::ErrorKind::BrokenPipe => None,
        _ => Some(Fault::external(
            "output.write",
            format!("cannot write to standard output: {error}"),
        )),
    }
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

    #[test]
    fn a_broken_pipe_is_no_fault() {
        assert_eq!(of_output(&io::ErrorKind::BrokenPipe.into()), None);
        assert_eq!(of_output(&io::ErrorKind::StorageFull.into()).unwrap().domain.exit_code(), 3);
    }
}
