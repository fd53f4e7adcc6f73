//! The records that a simulation moves: small, and such that each tells from its id what it must be.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use domain::port::Split;
use domain::{Batch, Dataset, Fault, Position, Result};

/// What becomes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives.
    Good,
    /// It arrives, and the destination says that it changed a value.
    Changed,
    /// The same, but told in the answer to a later call.
    ChangedNext,
    /// The reader cannot decode it.
    Undecodable,
    /// Its amount is a text that is no number, or has a fraction that an integer would lose.
    Uncastable,
    /// The step makes nothing of it.
    Dropped,
    /// The step makes two of it: itself, and its twin.
    Doubled,
    /// The step cannot handle it.
    RefusedByStep,
    /// Refused in the answer to the write that brings it.
    RefusedAtOnce,
    /// Refused in the answer to a later write, or else with `undone` as `RefusedLate`.
    RefusedNext,
    /// Refused when its batch is taken: `undone`, naming the row.
    RefusedLate,
    /// Refused when its batch is taken: `undone`, naming no row.
    RefusedUnnamed,
}

impl Fate {
    /// Whether the record belongs into the dirty store instead of the destination.
    pub fn is_dirty(self) -> bool {
        !matches!(
            self,
            Self::Good | Self::Changed | Self::ChangedNext | Self::Dropped | Self::Doubled
        )
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    pub id: i64,
    pub fate: Fate,
}

/// The records of one split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitScript {
    pub stage: u32,
    pub records: Vec<Record>,
}

/// Ids of split `n` start at `n` times this, plus one.
const IDS_PER_SPLIT: i64 = 1_000_000;
/// Twins lie so far behind the records that they are made of, in the same split.
const TWINS: i64 = 500_000;

pub fn id(split: usize, index: usize) -> i64 {
    split as i64 * IDS_PER_SPLIT + index as i64 + 1
}

/// Split and index of a record.
pub fn place_of(id: i64) -> Option<(usize, usize)> {
    let from_zero = usize::try_from(id.checked_sub(1)?).ok()?;
    Some((from_zero / IDS_PER_SPLIT as usize, from_zero % IDS_PER_SPLIT as usize))
}

/// The record that a step makes beside another.
pub fn twin(id: i64) -> i64 {
    id + TWINS
}

/// The record that this one is the twin of.
pub fn twin_of(id: i64) -> Option<i64> {
    let (_, index) = place_of(id)?;
    (index as i64 >= TWINS).then_some(id - TWINS)
}

/// A text or NULL, told from the id alone.
pub fn name(id: i64) -> Option<String> {
    (id % 5 != 0).then(|| format!("name {id}"))
}

pub fn amount(id: i64) -> i64 {
    id * 3
}

/// What the amounts are at the source; at the destination they are integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amounts {
    Integers,
    Texts,
    /// With two digits behind the point.
    Decimals,
}

const DECIMAL: DataType = DataType::Decimal128(20, 2);

/// One table of three columns.
pub fn dataset(amounts: Amounts) -> Dataset {
    let amount = match amounts {
        Amounts::Integers => DataType::Int64,
        Amounts::Texts => DataType::Utf8,
        Amounts::Decimals => DECIMAL,
    };
    Dataset {
        path: vec!["sim".into(), "orders".into()],
        schema: Arc::new(Schema::new(vec![
            Field::new("id", DataType::Int64, false),
            Field::new("name", DataType::Utf8, true),
            Field::new("amount", amount, true),
        ])),
        primary_key: vec!["id".into()],
        metadata: Vec::new(),
    }
}

/// The amount of a record as text. One that cannot be cast has no number at all, or half a unit.
fn amount_text(record: Record, amounts: Amounts) -> String {
    let (id, amount) = (record.id, amount(record.id));
    match (amounts, record.fate) {
        (Amounts::Texts, Fate::Uncastable) if id % 2 == 0 => format!("x{id}"),
        (Amounts::Texts, Fate::Uncastable) => format!("{amount}.5"),
        (Amounts::Decimals, Fate::Uncastable) => format!("{amount}.50"),
        (Amounts::Decimals, _) => format!("{amount}.00"),
        (Amounts::Integers | Amounts::Texts, _) => amount.to_string(),
    }
}

/// The values of a record as the dirty store has them.
pub(crate) fn values(record: Record, amounts: Amounts) -> Vec<(String, Option<String>)> {
    vec![
        ("id".into(), Some(record.id.to_string())),
        ("name".into(), name(record.id)),
        ("amount".into(), Some(amount_text(record, amounts))),
    ]
}

/// The rows of `records`, as the source gives them.
///
/// # Errors
/// None in practice: the columns are made for the schema.
pub fn batch(records: &[Record], amounts: Amounts) -> Result<Batch> {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(records.iter().map(|one| one.id)));
    let names: ArrayRef = Arc::new(records.iter().map(|one| name(one.id)).collect::<StringArray>());
    let column: ArrayRef = match amounts {
        Amounts::Integers => {
            Arc::new(Int64Array::from_iter_values(records.iter().map(|one| amount(one.id))))
        }
        Amounts::Texts => Arc::new(StringArray::from_iter_values(
            records.iter().map(|one| amount_text(*one, amounts)),
        )),
        Amounts::Decimals => {
            let half = |one: &Record| if one.fate == Fate::Uncastable { 50 } else { 0 };
            let hundredths = records.iter().map(|one| i128::from(amount(one.id) * 100 + half(one)));
            Arc::new(Decimal128Array::from_iter_values(hundredths).with_data_type(DECIMAL))
        }
    };
    rows_of(dataset(amounts), vec![ids, names, column])
}

fn rows_of(dataset: Dataset, columns: Vec<ArrayRef>) -> Result<Batch> {
    let rows = RecordBatch::try_new(dataset.schema, columns)
        .map_err(|error| Fault::internal("testkit.batch", error.to_string()))?;
    Ok(Batch::new(0, rows))
}

/// A batch at the destination whose amounts have lost their last digit.
pub(crate) fn cut(batch: &Batch) -> Result<Batch> {
    let amounts = batch.rows.column(2).as_primitive::<Int64Type>();
    let cut: Int64Array = amounts.unary(|amount| amount / 10);
    let mut columns = batch.rows.columns().to_vec();
    columns[2] = Arc::new(cut);
    rows_of(dataset(Amounts::Integers), columns)
}

/// The ids of a batch at the destination, or what is wrong with it.
pub fn ids_of(batch: &Batch) -> Result<Vec<i64>, String> {
    let wanted = dataset(Amounts::Integers).schema;
    let types = |schema: &Schema| -> Vec<DataType> {
        schema.fields().iter().map(|field| field.data_type().clone()).collect()
    };
    if types(&batch.rows.schema()) != types(&wanted) {
        return Err(format!("a batch of other types: {:?}", batch.rows.schema()));
    }
    let ids = batch.rows.column(0).as_primitive::<Int64Type>();
    let names = batch.rows.column(1).as_string::<i32>();
    let amounts = batch.rows.column(2).as_primitive::<Int64Type>();
    for row in 0..batch.len() {
        let id = ids.value(row);
        let found_name = names.is_valid(row).then(|| names.value(row).to_owned());
        if found_name != name(id) || amounts.is_null(row) || amounts.value(row) != amount(id) {
            return Err(format!("record {id} arrived with other values"));
        }
    }
    Ok(ids.values().to_vec())
}

pub fn token(split: usize) -> Vec<u8> {
    format!("split-{split}").into_bytes()
}

pub fn split_of(token: &[u8]) -> Option<usize> {
    std::str::from_utf8(token).ok()?.strip_prefix("split-")?.parse().ok()
}

pub fn split(number: usize, script: &SplitScript) -> Split {
    Split {
        token: token(number),
        label: format!("part {number}"),
        stage: script.stage,
        rows_estimate: Some(script.records.len() as u64),
        bytes_estimate: None,
    }
}

/// Just before the record with `index`.
pub fn position(split: usize, index: usize) -> Position {
    format!("{split}@{index}").into_bytes()
}

pub fn place_in(position: &[u8]) -> Option<(usize, usize)> {
    let (split, index) = std::str::from_utf8(position).ok()?.split_once('@')?;
    Some((split.parse().ok()?, index.parse().ok()?))
}
