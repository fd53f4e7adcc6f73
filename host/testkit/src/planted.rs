//! Bugs of an engine, planted between it and the doubles, to prove that the checkers find them.

/// Each stands in the double that it bends; the engine under test is a correct one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// Positions are acknowledged as soon as they were read.
    AckBeforeStore,
    /// The first row of the first batch is lost where a task is redone.
    LoseRowOnRetry,
    /// Dirty records never reach the books.
    ForgetDirty,
    /// Dirty records behind the resumed mark are kept, and told again.
    KeepDirtyOnResume,
    /// The destination's own mark is not looked at.
    IgnoreDestinationMark,
    /// Every mark is stored as if it were durable.
    TrustEveryCommit,
    /// `finish` gets one receipt too few.
    LoseReceipt,
    /// Plan and prepared answer are made anew by each attempt.
    ForgetAnswers,
    /// A task is done with a record more than it has.
    Miscount,
}

impl Planted {
    pub const ALL: [Self; 9] = [
        Self::AckBeforeStore,
        Self::LoseRowOnRetry,
        Self::ForgetDirty,
        Self::KeepDirtyOnResume,
        Self::IgnoreDestinationMark,
        Self::TrustEveryCommit,
        Self::LoseReceipt,
        Self::ForgetAnswers,
        Self::Miscount,
    ];
}
