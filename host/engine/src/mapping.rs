//! From a reader's fields to the destination's, by position: which cast each pair needs, and the cast.
//!
//! A cast keeps every value or makes its row dirty; one that cannot keep values in general is refused
//! when the run is planned, unless the job allows DataX's conversions (invariant 9).

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_cast::{CastOptions, can_cast_types, cast_with_options};
use arrow_schema::{DataType, Field, FieldRef, SchemaRef, TimeUnit};
use domain::job::Casts;
use domain::port::DirtyStage;
use domain::{Batch, Dataset, Fault, Result};

use crate::dirty::Reason;
use crate::unsettled::filtered;

mod extremes;

/// What becomes of the values of one pair of fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cast {
    /// The types are one.
    Same,
    /// Every value has an equal one.
    Exact,
    /// A value without an equal one makes its record dirty.
    Checked,
    /// Values change; only where the job allows it.
    Lossy,
    /// There is no cast.
    Impossible,
}

impl Cast {
    pub fn word(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Exact => "exact",
            Self::Checked => "checked",
            Self::Lossy => "lossy",
            Self::Impossible => "impossible",
        }
    }
}

/// One pair of fields.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnCast {
    pub from: FieldRef,
    pub to: FieldRef,
    pub cast: Cast,
}

/// The casts of each dataset of a run, index for index.
#[derive(Clone, Debug)]
pub struct Mapping {
    datasets: Vec<DatasetMapping>,
    casts: Casts,
}

#[derive(Clone, Debug)]
struct DatasetMapping {
    schema: SchemaRef,
    columns: Vec<ColumnCast>,
}

/// A batch in the destination's types, and the rows that could not be brought there.
pub(crate) struct Mapped {
    pub(crate) batch: Batch,
    /// Row numbers of the batch before the mapping.
    pub(crate) dirty: Vec<(usize, Reason)>,
}

impl Mapping {
    /// Pairs the fields by position.
    ///
    /// # Errors
    /// `mapping.dataset_count`, `mapping.column_count`: the two sides do not match;
    /// `mapping.impossible_cast`, `mapping.lossy_cast`: a pair that the job does not allow.
    pub fn new(from: &[Dataset], to: &[Dataset], casts: Casts) -> Result<Self> {
        let mapping = Self::unchecked(from, to, casts)?;
        for (dataset, from) in mapping.datasets.iter().zip(from) {
            for pair in &dataset.columns {
                allowed(pair, casts)
                    .map_err(|fault| fault.within(format!("table \"{}\"", from.title())))?;
            }
        }
        Ok(mapping)
    }

    /// The same without judging the pairs: for showing them.
    pub fn unchecked(from: &[Dataset], to: &[Dataset], casts: Casts) -> Result<Self> {
        if from.len() != to.len() {
            return Err(Fault::plugin(
                "mapping.dataset_count",
                format!("the reader has {} tables, the writer prepared {}", from.len(), to.len()),
            ));
        }
        let datasets = from.iter().zip(to).map(pair_up).collect::<Result<_>>()?;
        Ok(Self { datasets, casts })
    }

    /// The pairs of each dataset.
    pub fn columns(&self) -> Vec<Vec<ColumnCast>> {
        self.datasets.iter().map(|dataset| dataset.columns.clone()).collect()
    }

    /// Casts a batch to the destination's types.
    pub(crate) fn apply(&self, batch: Batch) -> Result<Mapped> {
        let mapping = self.datasets.get(batch.dataset as usize).ok_or_else(|| {
            Fault::plugin("plugin.lie.dataset", format!("there is no dataset {}", batch.dataset))
        })?;
        if mapping.is_same() {
            return Ok(Mapped { batch: mapping.relabeled(batch)?, dirty: Vec::new() });
        }
        mapping.cast(batch, self.casts)
    }
}

fn pair_up((from, to): (&Dataset, &Dataset)) -> Result<DatasetMapping> {
    let (left, right) = (from.schema.fields(), to.schema.fields());
    if left.len() != right.len() {
        return Err(Fault::user(
            "mapping.column_count",
            format!(
                "the reader has {} columns, the writer {}, and columns map by position",
                left.len(),
                right.len()
            ),
        )
        .hint("give both steps a \"column\" list of the same length"));
    }
    let columns = left
        .iter()
        .zip(right)
        .map(|(from, to)| ColumnCast { from: from.clone(), to: to.clone(), cast: judge(from, to) })
        .collect();
    Ok(DatasetMapping { schema: to.schema.clone(), columns })
}

fn allowed(pair: &ColumnCast, casts: Casts) -> Result<()> {
    let (from, to) = (&pair.from, &pair.to);
    let what = || {
        format!(
            "column \"{}\" ({}) to \"{}\" ({})",
            from.name(),
            from.data_type(),
            to.name(),
            to.data_type()
        )
    };
    match (pair.cast, casts) {
        (Cast::Impossible, _) => {
            Err(Fault::user("mapping.impossible_cast", format!("{} cannot be cast", what()))
                .hint("read or write the column as a text"))
        }
        (Cast::Lossy, Casts::Exact) => Err(Fault::user(
            "mapping.lossy_cast",
            format!("{} would change values", what()),
        )
        .hint(
            "declare a type that keeps them, or allow it with \"setting\": {\"casts\": \"datax\"}",
        )),
        _ => Ok(()),
    }
}

/// Which cast a pair of fields needs.
fn judge(from: &Field, to: &Field) -> Cast {
    use DataType as T;
    let (source, target) = (from.data_type(), to.data_type());
    if source.equals_datatype(target) {
        let all_fit = (to.is_nullable() || !from.is_nullable()) && !extremes::are_lost(from, to);
        return if all_fit { Cast::Same } else { Cast::Checked };
    }
    if *source == T::Null {
        return Cast::Checked;
    }
    if !can_cast_types(source, target) {
        return Cast::Impossible;
    }
    let cast = match (source, target) {
        _ if source.is_integer() && target.is_integer() => integers(source, target),
        (_, T::Decimal128(precision, scale) | T::Decimal256(precision, scale)) => {
            to_decimal(source, *precision, *scale)
        }
        (_, T::Float64) if matches!(source, T::Float32 | T::Float16) => Cast::Exact,
        (_, T::Float64) if source.is_integer() => {
            if digits(source) < 16 {
                Cast::Exact
            } else {
                Cast::Checked
            }
        }
        (T::Binary, T::Utf8) => Cast::Checked,
        (T::Utf8, T::Binary) => Cast::Exact,
        (T::Utf8, _) => Cast::Checked,
        (_, T::Utf8) if is_textual(source) => Cast::Exact,
        (T::Timestamp(a, zone_a), T::Timestamp(b, zone_b)) => match (zone_a, zone_b) {
            (None, None) | (Some(_), Some(_)) if finer(*a, *b) => Cast::Exact,
            (None, None) | (Some(_), Some(_)) => Cast::Checked,
            _ => Cast::Lossy,
        },
        (T::Date32 | T::Date64, T::Timestamp(_, None)) => Cast::Exact,
        (T::Timestamp(_, None), T::Date32) => Cast::Checked,
        (T::Date32, T::Date64) => Cast::Exact,
        (T::Time32(_), T::Time64(_)) => Cast::Exact,
        (T::Time64(_), T::Time32(_) | T::Time64(_)) => Cast::Checked,
        (T::Boolean, _) if target.is_integer() => Cast::Exact,
        (T::List(_) | T::FixedSizeList(_, _), T::List(_)) => Cast::Checked,
        _ => Cast::Lossy,
    };
    let may_miss = (from.is_nullable() && !to.is_nullable()) || extremes::are_lost(from, to);
    if cast == Cast::Exact && may_miss { Cast::Checked } else { cast }
}

fn integers(source: &DataType, target: &DataType) -> Cast {
    let width = |kind: &DataType| kind.primitive_width().unwrap_or_default();
    let fits = match (source.is_signed_integer(), target.is_signed_integer()) {
        (true, true) | (false, false) => width(target) >= width(source),
        (false, true) => width(target) > width(source),
        (true, false) => false,
    };
    if fits { Cast::Exact } else { Cast::Checked }
}

fn to_decimal(source: &DataType, precision: u8, scale: i8) -> Cast {
    let room = i32::from(precision) - i32::from(scale);
    match source {
        DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => {
            let fits = scale >= *s && room >= i32::from(*p) - i32::from(*s);
            if fits { Cast::Exact } else { Cast::Checked }
        }
        _ if source.is_integer() => {
            if scale >= 0 && room >= digits(source) {
                Cast::Exact
            } else {
                Cast::Checked
            }
        }
        DataType::Utf8 => Cast::Checked,
        _ => Cast::Lossy,
    }
}

/// Decimal digits that an integer type may need.
fn digits(integer: &DataType) -> i32 {
    match integer.primitive_width() {
        Some(1) => 3,
        Some(2) => 5,
        Some(4) => 10,
        _ => 20,
    }
}

/// Types whose text reads back as the same value.
fn is_textual(kind: &DataType) -> bool {
    use DataType as T;
    kind.is_integer()
        || kind.is_floating()
        || kind.is_temporal()
        || matches!(kind, T::Boolean | T::Decimal128(..) | T::Decimal256(..))
}

fn finer(from: TimeUnit, to: TimeUnit) -> bool {
    to >= from
}

impl DatasetMapping {
    fn is_same(&self) -> bool {
        self.columns.iter().all(|pair| pair.cast == Cast::Same)
    }

    /// The same columns under the destination's names.
    fn relabeled(&self, batch: Batch) -> Result<Batch> {
        let count = batch.len();
        let (_, columns, _) = batch.rows.into_parts();
        Ok(Batch { rows: assemble(&self.schema, columns, count)?, ..batch })
    }

    fn cast(&self, batch: Batch, casts: Casts) -> Result<Mapped> {
        let count = batch.len();
        let mut bad: Vec<(usize, Reason)> = Vec::new();
        let mut is_bad = vec![false; count];
        let mut columns = Vec::with_capacity(self.columns.len());
        for (index, (pair, column)) in self.columns.iter().zip(batch.rows.columns()).enumerate() {
            let result = cast_column(pair, column, casts)?;
            for (row, why) in misfits(pair, column, &result, casts)? {
                if !std::mem::replace(&mut is_bad[row], true) {
                    bad.push((row, why.reason(pair, index)));
                }
            }
            columns.push(result);
        }
        let dirty = !bad.is_empty();
        let mapped = Batch { rows: batch.rows.clone(), ..batch };
        let rows = if dirty {
            let keep: Vec<bool> = is_bad.iter().map(|bad| !bad).collect();
            let loose = loosened(&self.schema);
            let all = Batch { rows: assemble(&loose, columns, count)?, ..mapped.clone() };
            let kept = filtered(&all, &keep)?;
            return Ok(Mapped { batch: self.relabeled(kept)?, dirty: bad });
        } else {
            assemble(&self.schema, columns, count)?
        };
        Ok(Mapped { batch: Batch { rows, ..mapped }, dirty: bad })
    }
}

fn loosened(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    std::sync::Arc::new(arrow_schema::Schema::new(fields.collect::<Vec<_>>()))
}

fn assemble(schema: &SchemaRef, columns: Vec<ArrayRef>, count: usize) -> Result<RecordBatch> {
    // Names inside nested types may differ between the two sides; the layout does not.
    let columns = schema.fields().iter().zip(columns).map(|(field, column)| {
        if column.data_type() == field.data_type() {
            return Ok(column);
        }
        let data = column.to_data().into_builder().data_type(field.data_type().clone());
        data.build().map(arrow_array::make_array)
    });
    let columns = columns.collect::<Result<Vec<_>, _>>().map_err(cast_fault)?;
    let options = RecordBatchOptions::new().with_row_count(Some(count));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(cast_fault)
}

fn cast_fault(error: arrow_schema::ArrowError) -> Fault {
    Fault::internal("engine.cast", error.to_string())
}

/// Values without a counterpart become null here, and are found by `misfits`.
const SAFE: CastOptions<'static> =
    CastOptions { safe: true, format_options: arrow_cast::display::FormatOptions::new() };

fn cast_column(pair: &ColumnCast, column: &ArrayRef, casts: Casts) -> Result<ArrayRef> {
    let target = pair.to.data_type();
    if column.data_type().equals_datatype(target) {
        return Ok(column.clone());
    }
    if let (DataType::Utf8, Casts::Exact, true) = (column.data_type(), casts, target.is_decimal()) {
        // Arrow rounds texts with too many decimals; through the widest type they can be compared.
        return cast_all(&widest(column)?, target);
    }
    cast_all(column, target)
}

/// Some kernels give up a whole column for one value that they cannot show; then each row goes alone.
fn cast_all(column: &ArrayRef, target: &DataType) -> Result<ArrayRef> {
    if let Ok(cast) = cast_with_options(column, target, &SAFE) {
        return Ok(cast);
    }
    let rows: Vec<ArrayRef> = (0..column.len())
        .map(|row| {
            let one = column.slice(row, 1);
            cast_with_options(&one, target, &SAFE).unwrap_or_else(|_| new_null_array(target, 1))
        })
        .collect();
    let rows: Vec<&dyn Array> = rows.iter().map(AsRef::as_ref).collect();
    arrow_select::concat::concat(&rows).map_err(cast_fault)
}

/// A text as a decimal with more decimals than any that is kept.
fn widest(texts: &ArrayRef) -> Result<ArrayRef> {
    cast_all(texts, &DataType::Decimal256(76, 38))
}

#[derive(Clone, Copy)]
enum Misfit {
    /// There is no counterpart at all.
    Value,
    /// The nearest counterpart is another value.
    Changed,
    /// NULL in a column that must not be.
    Null,
    /// Infinity, or the end of the day, where the destination has no such thing.
    Extreme,
}

impl Misfit {
    fn reason(self, pair: &ColumnCast, column: usize) -> Reason {
        let (name, kind) = (pair.to.name(), pair.to.data_type());
        let (code, message) = match self {
            Self::Value => (
                "cast.no_value",
                format!("the value has no counterpart in column \"{name}\" ({kind})"),
            ),
            Self::Changed => {
                ("cast.changed", format!("the value would change in column \"{name}\" ({kind})"))
            }
            Self::Extreme => {
                ("cast.extreme", format!("column \"{name}\" ({kind}) has no infinity or 24:00"))
            }
            Self::Null => ("cast.null", format!("column \"{name}\" takes no NULL")),
        };
        Reason { stage: DirtyStage::Cast, column: Some(column as u32), code: code.into(), message }
    }
}

/// The rows whose value did not come through.
fn misfits(
    pair: &ColumnCast,
    before: &ArrayRef,
    after: &ArrayRef,
    casts: Casts,
) -> Result<Vec<(usize, Misfit)>> {
    let mut found = Vec::new();
    if after.null_count() > 0 || before.null_count() > 0 {
        for row in 0..after.len() {
            match (before.is_null(row), after.is_null(row)) {
                (false, true) if *before.data_type() != DataType::Null => {
                    found.push((row, Misfit::Value));
                }
                (_, true) if !pair.to.is_nullable() => found.push((row, Misfit::Null)),
                _ => {}
            }
        }
    }
    if extremes::are_lost(&pair.from, &pair.to) {
        found.extend(extremes::rows(before).into_iter().map(|row| (row, Misfit::Extreme)));
    }
    if pair.cast == Cast::Checked && casts == Casts::Exact {
        found.extend(changed(before, after)?.into_iter().map(|row| (row, Misfit::Changed)));
    }
    Ok(found)
}

/// The rows whose value, cast back, is another one.
fn changed(before: &ArrayRef, after: &ArrayRef) -> Result<Vec<usize>> {
    let before = match before.data_type() {
        DataType::Utf8 if after.data_type().is_decimal() => widest(before)?,
        // A text has many spellings; that it was understood is enough.
        DataType::Utf8 | DataType::Null | DataType::Binary => return Ok(Vec::new()),
        kind if kind.equals_datatype(after.data_type()) => return Ok(Vec::new()),
        _ => before.clone(),
    };
    let back = cast_all(after, before.data_type())?;
    let mut rows = Vec::new();
    let equal = arrow_ord::cmp::not_distinct(&back, &before).map_err(cast_fault)?;
    for row in 0..after.len() {
        if !after.is_null(row) && !equal.value(row) {
            rows.push(row);
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests;
