//! How words of the domain stand in columns: nested ones as JSON of this crate's own types, so that a
//! change of the domain cannot silently change the file.

use std::time::Duration;

use domain::dataset::FlatField;
use domain::port::{CommitMode, Plan, Prepared, Wishes};
use domain::verify::{Difference, DifferenceKind, Verified};
use domain::{Counts, Dataset, Fault, FaultDomain, Result, Retry};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// # Errors
/// Never for the types of this module; `store.unwritable`, a bug of the host, else.
pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Fault::internal("store.unwritable", format!("no JSON: {error}")))
}

/// # Errors
/// `store.unreadable` for a text that this program did not write.
pub(crate) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| unreadable(&error.to_string()))
}

pub(crate) fn unreadable(what: &str) -> Fault {
    Fault::external(
        "store.unreadable",
        format!("an entry of the books cannot be understood: {what}"),
    )
    .hint("the file was changed by another program; the run cannot be resumed")
}

/// SQLite's numbers are signed. Epochs and sequences count up by one and never come near the limit.
pub(crate) fn signed(number: u64) -> Result<i64> {
    i64::try_from(number)
        .map_err(|_| Fault::internal("store.number", format!("{number} is no count of events")))
}

pub(crate) fn unsigned(number: i64) -> Result<u64> {
    u64::try_from(number).map_err(|_| unreadable(&format!("a count of {number}")))
}

/// A guest's word, so it may be anything; an estimate beyond the limit is as good as the limit.
pub(crate) fn estimate(number: Option<u64>) -> Option<i64> {
    number.map(|number| i64::try_from(number).unwrap_or(i64::MAX))
}

#[derive(Serialize, Deserialize)]
pub(crate) struct DatasetRow {
    path: Vec<String>,
    fields: Vec<FieldRow>,
    primary_key: Vec<String>,
    metadata: Vec<(String, String)>,
}

#[derive(Serialize, Deserialize)]
struct FieldRow {
    name: String,
    format: String,
    nullable: bool,
    children: u32,
    metadata: Vec<(String, String)>,
}

impl DatasetRow {
    fn of(dataset: &Dataset) -> Result<Self> {
        let fields = dataset.flatten()?.into_iter().map(FieldRow::of).collect();
        Ok(Self {
            path: dataset.path.clone(),
            fields,
            primary_key: dataset.primary_key.clone(),
            metadata: dataset.metadata.clone(),
        })
    }

    fn back(self) -> Result<Dataset> {
        let flat: Vec<_> = self.fields.into_iter().map(FieldRow::back).collect();
        Dataset::unflatten(self.path, &flat, self.primary_key, self.metadata)
    }
}

impl FieldRow {
    fn of(field: FlatField) -> Self {
        let FlatField { name, format, nullable, children, metadata } = field;
        Self { name, format, nullable, children, metadata }
    }

    fn back(self) -> FlatField {
        let Self { name, format, nullable, children, metadata } = self;
        FlatField { name, format, nullable, children, metadata }
    }
}

fn dataset_rows(datasets: &[Dataset]) -> Result<Vec<DatasetRow>> {
    datasets.iter().map(DatasetRow::of).collect()
}

fn datasets(rows: Vec<DatasetRow>) -> Result<Vec<Dataset>> {
    rows.into_iter().map(DatasetRow::back).collect()
}

/// Without `start`, which has a column of its own.
#[derive(Serialize, Deserialize)]
pub(crate) struct PlanRow {
    datasets: Vec<DatasetRow>,
    bounded: bool,
}

impl PlanRow {
    pub(crate) fn of(plan: &Plan) -> Result<Self> {
        Ok(Self { datasets: dataset_rows(&plan.datasets)?, bounded: plan.bounded })
    }

    pub(crate) fn back(self, start: Vec<u8>) -> Result<Plan> {
        Ok(Plan { datasets: datasets(self.datasets)?, bounded: self.bounded, start })
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct PreparedRow {
    datasets: Vec<DatasetRow>,
    commit_mode: String,
    batch_rows: u32,
    batch_bytes: u64,
    commit_bytes: u64,
    commit_ms: u32,
    sort_by: Vec<String>,
    #[serde(default)]
    lanes: u32,
}

impl PreparedRow {
    pub(crate) fn of(prepared: &Prepared) -> Result<Self> {
        let Wishes { batch_rows, batch_bytes, commit_bytes, commit_ms, sort_by, lanes } =
            prepared.wishes.clone();
        Ok(Self {
            datasets: dataset_rows(&prepared.datasets)?,
            commit_mode: prepared.commit_mode.word().into(),
            batch_rows,
            batch_bytes,
            commit_bytes,
            commit_ms,
            sort_by,
            lanes,
        })
    }

    pub(crate) fn back(self) -> Result<Prepared> {
        let Self { batch_rows, batch_bytes, commit_bytes, commit_ms, sort_by, lanes, .. } = self;
        Ok(Prepared {
            datasets: datasets(self.datasets)?,
            commit_mode: CommitMode::parse(&self.commit_mode)
                .ok_or_else(|| unreadable(&format!("commit mode \"{}\"", self.commit_mode)))?,
            wishes: Wishes { batch_rows, batch_bytes, commit_bytes, commit_ms, sort_by, lanes },
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct FaultRow {
    domain: String,
    /// `None`: never.
    retry_after_ms: Option<u64>,
    code: String,
    message: String,
    hint: Option<String>,
    place: Option<String>,
    line: Option<(String, u32)>,
    context: Vec<String>,
}

impl FaultRow {
    pub(crate) fn of(fault: &Fault) -> Self {
        let Fault { domain, retry, code, message, hint, place, line, context } = fault.clone();
        let retry_after_ms = match retry {
            Retry::Never => None,
            Retry::After(wait) => Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        };
        let domain = domain.word().to_owned();
        Self { domain, retry_after_ms, code, message, hint, place, line, context }
    }

    pub(crate) fn back(self) -> Result<Fault> {
        let Self { domain, retry_after_ms, code, message, hint, place, line, context } = self;
        let domain = FaultDomain::parse(&domain)
            .ok_or_else(|| unreadable(&format!("fault domain \"{domain}\"")))?;
        let retry = match retry_after_ms {
            None => Retry::Never,
            Some(wait) => Retry::After(Duration::from_millis(wait)),
        };
        Ok(Fault { domain, retry, code, message, hint, place, line, context })
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct CountsRow {
    records_read: u64,
    /// Missing in books of versions that did not count them.
    #[serde(default)]
    records_nulled: u64,
    records_written: u64,
    records_filtered: u64,
    /// Missing in books of versions that made no records of others.
    #[serde(default)]
    records_added: u64,
    records_dirty: u64,
    records_changed: u64,
    bytes_read: u64,
    bytes_written: u64,
}

impl CountsRow {
    pub(crate) fn of(counts: &Counts) -> Self {
        let Counts {
            records_read,
            records_nulled,
            records_written,
            records_filtered,
            records_added,
            records_dirty,
            records_changed,
            bytes_read,
            bytes_written,
        } = *counts;
        Self {
            records_read,
            records_nulled,
            records_written,
            records_filtered,
            records_added,
            records_dirty,
            records_changed,
            bytes_read,
            bytes_written,
        }
    }

    pub(crate) fn back(self) -> Counts {
        let Self {
            records_read,
            records_nulled,
            records_written,
            records_filtered,
            records_added,
            records_dirty,
            records_changed,
            bytes_read,
            bytes_written,
        } = self;
        Counts {
            records_read,
            records_nulled,
            records_written,
            records_filtered,
            records_added,
            records_dirty,
            records_changed,
            bytes_read,
            bytes_written,
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct VerifiedRow {
    written: u64,
    found: u64,
    key: Vec<String>,
    buckets_differ: u32,
    missing: u64,
    extra: u64,
    different: u64,
    differences: Vec<DifferenceRow>,
    notes: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct DifferenceRow {
    kind: String,
    key: Vec<(String, Option<String>)>,
    columns: Vec<String>,
}

impl VerifiedRow {
    pub(crate) fn of(verified: &Verified) -> Self {
        let difference = |one: &Difference| DifferenceRow {
            kind: one.kind.word().to_owned(),
            key: one.key.clone(),
            columns: one.columns.clone(),
        };
        Self {
            written: verified.written,
            found: verified.found,
            key: verified.key.clone(),
            buckets_differ: verified.buckets_differ,
            missing: verified.missing,
            extra: verified.extra,
            different: verified.different,
            differences: verified.differences.iter().map(difference).collect(),
            notes: verified.notes.clone(),
        }
    }

    pub(crate) fn back(self) -> Result<Verified> {
        let difference = |row: DifferenceRow| {
            let kind = DifferenceKind::parse(&row.kind)
                .ok_or_else(|| unreadable(&format!("the difference \"{}\"", row.kind)))?;
            Ok(Difference { kind, key: row.key, columns: row.columns })
        };
        Ok(Verified {
            written: self.written,
            found: self.found,
            key: self.key,
            buckets_differ: self.buckets_differ,
            missing: self.missing,
            extra: self.extra,
            different: self.different,
            differences: self.differences.into_iter().map(difference).collect::<Result<_>>()?,
            notes: self.notes,
        })
    }
}
