//! Bugs of an engine or a destination, planted in the doubles, to prove that the checkers find them.

/// Each bends one double; the engine under test is a correct one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    AckOnRead,
    AckBeforeStore,
    LoseRowOnRetry,
    LoseCommitOnRetry,
    SendTwiceAfterUndone,
    AcceptStaleEpoch,
    ForgetEnd,
    ForgetDirty,
    CountDirtyTwice,
    CutDirty,
    KeepDirtyOnResume,
    IgnoreDestinationMark,
    TrustEveryCommit,
    LoseReceipt,
    ForgetAnswers,
    Miscount,
    ChangeValue,
    LoseTwin,
}

impl Planted {
    pub const ALL: [Self; 18] = [
        Self::AckOnRead,
        Self::AckBeforeStore,
        Self::LoseRowOnRetry,
        Self::LoseCommitOnRetry,
        Self::SendTwiceAfterUndone,
        Self::AcceptStaleEpoch,
        Self::ForgetEnd,
        Self::ForgetDirty,
        Self::CountDirtyTwice,
        Self::CutDirty,
        Self::KeepDirtyOnResume,
        Self::IgnoreDestinationMark,
        Self::TrustEveryCommit,
        Self::LoseReceipt,
        Self::ForgetAnswers,
        Self::Miscount,
        Self::ChangeValue,
        Self::LoseTwin,
    ];

    /// What goes wrong, for people.
    pub fn about(self) -> &'static str {
        match self {
            Self::AckOnRead => "a position is acknowledged as soon as it was read",
            Self::AckBeforeStore => "a position is acknowledged before the store has it",
            Self::LoseRowOnRetry => "the first row of a task that is redone is lost",
            Self::LoseCommitOnRetry => "the first commit of a task that is redone is lost",
            Self::SendTwiceAfterUndone => "a batch comes twice after batches were undone",
            Self::AcceptStaleEpoch => "a call of an older epoch is accepted",
            Self::ForgetEnd => "a mark at the end is kept as one on the way",
            Self::ForgetDirty => "dirty records never reach the books",
            Self::CountDirtyTwice => "a dirty record is counted twice",
            Self::CutDirty => "a dirty record is stored without its last value",
            Self::KeepDirtyOnResume => "dirty records behind the resumed mark are kept",
            Self::IgnoreDestinationMark => "the destination's own mark is not looked at",
            Self::TrustEveryCommit => "every mark is stored as if it were durable",
            Self::LoseReceipt => "finish gets one receipt too few",
            Self::ForgetAnswers => "plan and prepared answer are made anew by each attempt",
            Self::Miscount => "a task is done with a record more than it has",
            Self::ChangeValue => "a value is changed on its way",
            Self::LoseTwin => "a step that makes two of a record loses one",
        }
    }
}
