//! What a document means once it was read, substituted and checked.

use crate::configuration::Configuration;

/// Which family a document belongs to; it decides defaults (limits of dirty records, casts).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentKind {
    /// DataWorks script mode: `type: job, version: 2.0, steps, order.hops`.
    Script,
    /// DataX: `job.content[0].reader` and `writer`.
    DataX,
}

/// A Reader, a Writer and how to run them. One to one comes first; steps between will stand here.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub kind: DocumentKind,
    pub reader: Step,
    pub writer: Step,
    pub settings: Settings,
}

/// One end of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The name that hops refer to.
    pub name: String,
    pub configuration: Configuration,
    /// Where the step's parameters stand in the document: `/steps/0/parameter`.
    pub parameter_place: String,
    /// Where the connection stands: a pointer in the document or in the data sources' file.
    pub connection_place: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Lanes at most, 1 to 32.
    pub concurrent: u32,
    pub error_limit: ErrorLimit,
    pub casts: Casts,
    /// IANA or GMT name of the zone of texts and clocks that name none; UTC without it.
    pub time_zone: Option<String>,
}

/// How many dirty records a run may have; it fails when there are more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ErrorLimit {
    /// `None`: any number.
    pub records: Option<u64>,
    /// A share of the records read, checked at the end; `records` wins where both are given.
    pub share: Option<f64>,
}

impl ErrorLimit {
    pub const ZERO: Self = Self { records: Some(0), share: None };
    pub const NONE: Self = Self { records: None, share: None };

    /// Whether `dirty` records are too many already, whatever comes.
    pub fn exceeded(&self, dirty: u64) -> bool {
        self.records.is_some_and(|limit| dirty > limit)
    }

    /// Whether a run that read `read` records and had `dirty` ones ends as failed.
    pub fn exceeded_at_end(&self, dirty: u64, read: u64) -> bool {
        match (self.records, self.share) {
            (Some(limit), _) => dirty > limit,
            (None, Some(share)) => read > 0 && dirty as f64 / read as f64 > share,
            (None, None) => false,
        }
    }
}

/// Which casts a run may make (invariant 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Casts {
    /// Only those that keep every value; a value that would change is dirty.
    Exact,
    /// DataX's table of conversions, with a note.
    DataX,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_fails_when_there_are_more_than_the_limit() {
        let limit = ErrorLimit { records: Some(2), share: Some(0.0) };
        assert!(!limit.exceeded(2));
        assert!(limit.exceeded(3));
        assert!(!limit.exceeded_at_end(2, 2), "records win over the share");
        let share = ErrorLimit { records: None, share: Some(0.1) };
        assert!(!share.exceeded(1000));
        assert!(!share.exceeded_at_end(1, 10));
        assert!(share.exceeded_at_end(2, 10));
        assert!(!share.exceeded_at_end(0, 0));
        assert!(!ErrorLimit::NONE.exceeded_at_end(u64::MAX, 1));
    }
}
