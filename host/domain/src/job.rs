//! What a document means once it was read, substituted and checked.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::configuration::{Configuration, Secret};

/// Which family a document belongs to; it decides defaults (limits of dirty records, casts).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentKind {
    /// DataWorks script mode: `type: job, version: 2.0, steps, order.hops`.
    Script,
    /// DataX: `job.content[0].reader` and `writer`.
    DataX,
}

/// Readers, a Writer, what changes records between them, and how to run it all.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub kind: DocumentKind,
    /// One for each source, of one type; never empty.
    pub readers: Vec<Step>,
    /// The chain between Reader and Writer: each takes what the one before it gives.
    pub transformers: Vec<Transformer>,
    pub writer: Step,
    pub settings: Settings,
}

/// A step that a plug-in does.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The name that hops refer to.
    pub name: String,
    pub configuration: Configuration,
    /// Where the step's parameters stand in the document: `/steps/0/parameter`.
    pub parameter_place: String,
    /// Where the connection stands: a pointer in the document or in the data sources' file.
    pub connection_place: String,
    /// What people call its source: the data source's name, else the address of its connection.
    pub source: String,
    /// Other addresses of the same source, tried in this order where the ones before don't answer.
    pub alternatives: Vec<Address>,
}

/// Another address of a source.
#[derive(Clone, Debug, PartialEq)]
pub struct Address {
    /// As `source` of a step.
    pub title: String,
    pub configuration: Configuration,
}

/// A step between Reader and Writer: changes, drops or adds records on their way.
#[derive(Clone, Debug, PartialEq)]
pub struct Transformer {
    /// The name that hops refer to; in a DataX document, which has no names, what it is.
    pub name: String,
    pub category: Category,
    pub work: Work,
    /// Where the step stands in the document: `/steps/1`, `/job/content/0/transformer/0`.
    pub place: String,
}

/// How many records may come out of one, as the document has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// At most one.
    Map,
    /// Any number.
    Flatmap,
}

impl Category {
    /// The word in a document.
    pub fn word(self) -> &'static str {
        match self {
            Self::Map => "map",
            Self::Flatmap => "flatmap",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        [Self::Map, Self::Flatmap].into_iter().find(|category| category.word() == word)
    }
}

/// What a transformer does.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// A transformer of DataX: by the value of the column at this position, from 0 on.
    Column { column: usize, action: Action },
    /// `filter`: keeps the records for which the condition, an expression, is true.
    Filter { condition: String },
    /// `edit-columns`.
    Edit(Edits),
    /// `string-replace`: rules, one after another.
    Replace(Vec<Replacement>),
    /// `json-extracting`: columns that come behind those that there are.
    Extract(Vec<Extraction>),
    /// `data-masking`: at most one mask a column.
    Mask(Vec<Masking>),
    /// A plug-in's.
    Plugin(Step),
}

impl Work {
    /// Whether there may be others behind the step than before it.
    pub fn changes_columns(&self) -> bool {
        matches!(self, Self::Edit(_) | Self::Extract(_) | Self::Plugin(_))
    }

    /// The type in a document.
    pub fn word(&self) -> &str {
        match self {
            Self::Column { action, .. } => action.word(),
            Self::Filter { .. } => "filter",
            Self::Edit(_) => "edit-columns",
            Self::Replace(_) => "string-replace",
            Self::Extract(_) => "json-extracting",
            Self::Mask(_) => "data-masking",
            Self::Plugin(step) => &step.configuration.source_type,
        }
    }
}

/// What becomes of the columns of a record, in the order of the fields here. All columns go by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Edits {
    /// Over the columns as they come to the step.
    pub computed: Vec<Computed>,
    /// Columns that are left out.
    pub drop: Vec<String>,
    /// Names before and after.
    pub rename: Vec<(String, String)>,
    /// The columns that stay, in this order; `None`: all of them.
    pub select: Option<Vec<String>>,
}

/// A column with the values of an expression: a new one, or in the place of the one with its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Computed {
    pub name: String,
    pub expression: String,
    /// What the values are cast to, as a type of SQL; `None`: the expression's own type.
    pub data_type: Option<String>,
}

/// A rule for the texts of a column.
#[derive(Clone, Debug, PartialEq)]
pub struct Replacement {
    pub column: String,
    /// A regular expression, each match of which is replaced.
    pub pattern: String,
    /// `$1` is the first group, `$$` a dollar.
    pub by: String,
}

/// A column with what a path finds in the JSON texts of another one.
#[derive(Clone, Debug, PartialEq)]
pub struct Extraction {
    pub name: String,
    pub from: String,
    /// A path of RFC 9535.
    pub path: String,
    /// A type of SQL.
    pub data_type: String,
    /// Whether NULL stands for what is missing, NULL or of no use; else the record is dirty.
    pub null_where_invalid: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Masking {
    pub column: String,
    pub method: Mask,
}

/// What stands in the place of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Mask {
    /// HMAC-SHA256 of the text, in hexadecimal digits.
    Hash {
        key: Secret,
    },
    /// `with` for each character but the first and the last ones.
    Cover {
        first: usize,
        last: usize,
        with: char,
    },
    Null,
    /// The same for all records.
    Fixed(String),
    /// Other characters of the alphabet in the places of its characters, by FF1 (NIST SP 800-38G).
    FormatPreserving {
        key: Secret,
        alphabet: Alphabet,
    },
}

/// The characters that a format-preserving mask replaces; others stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alphabet {
    Digits,
    /// Digits and the letters from A to Z and a to z.
    Alphanumeric,
}

impl Alphabet {
    pub fn characters(self) -> &'static str {
        const ALL: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        match self {
            Self::Digits => &ALL[..10],
            Self::Alphanumeric => ALL,
        }
    }
}

/// What a transformer of DataX does with a value. Lengths and starts count UTF-16 units, as Java does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// `dx_substr`: the part of a text from `start` on.
    Substring { start: usize, length: usize },
    /// `dx_pad`: exactly `length` long, cut at the end or filled up with `pad`.
    Pad { side: PadSide, length: usize, pad: String },
    /// `dx_replace`: another text in place of the part from `start` on.
    Replace { start: usize, length: usize, replacement: String },
    /// `dx_filter`: drops the records whose value meets the condition.
    Drop(Condition),
    /// `dx_digest`: the digest of the text, in hexadecimal digits.
    Digest { algorithm: DigestAlgorithm, upper_case: bool },
}

impl Action {
    /// The name in a document.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Substring { .. } => "dx_substr",
            Self::Pad { .. } => "dx_pad",
            Self::Replace { .. } => "dx_replace",
            Self::Drop(_) => "dx_filter",
            Self::Digest { .. } => "dx_digest",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PadSide {
    Left,
    Right,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestAlgorithm {
    Md5,
    Sha1,
}

/// What `dx_filter` asks of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// The text matches a regular expression, which is anchored at both ends.
    Like(String),
    NotLike(String),
    /// By the column's type: as numbers, as milliseconds since 1970, or as texts.
    Compare(Comparison, String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// Whether it holds for a left value that compares so to the right one; `None`: they don't compare.
    pub fn holds(self, order: Option<Ordering>) -> bool {
        match self {
            Self::Equal => order == Some(Ordering::Equal),
            Self::NotEqual => order != Some(Ordering::Equal),
            Self::Less => order == Some(Ordering::Less),
            Self::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Self::Greater => order == Some(Ordering::Greater),
            Self::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Lanes at most, 1 to 32.
    pub concurrent: u32,
    pub rates: Rates,
    pub error_limit: ErrorLimit,
    pub casts: Casts,
    /// Other rules for some columns, by their names at the destination.
    pub column_casts: BTreeMap<String, Casts>,
    pub missing_column: MissingColumn,
    /// IANA or GMT name of the zone of texts and clocks that name none; UTC without it.
    pub time_zone: Option<String>,
}

/// How fast a job may read at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Of all lanes together.
    pub job: Rate,
    /// Of each lane.
    pub lane: Rate,
}

/// A limit on what is read in a second; `None`: any amount. Not 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// The widths of the values, as a run counts what it read.
    pub bytes: Option<u64>,
    pub records: Option<u64>,
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

/// What becomes of a column that some of a job's tables have, and others not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingColumn {
    /// The job is refused.
    #[default]
    Error,
    /// It is read as NULL, and the plan and the run say so.
    Null,
}

/// Which casts a run, or a column of it, may make (invariant 9).
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
