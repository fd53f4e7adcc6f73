//! From a reader's fields to the destination's, by position: which cast each pair needs, and the cast.
//!
//! A cast keeps every value or makes its row dirty; one that cannot keep values in general is refused
//! when the run is planned, unless the job allows DataX's conversions (invariant 9).

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_cast::can_cast_types;
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};
use domain::job::Casts;
use domain::{Batch, Dataset, Fault, Result};

use self::column::{cast_fault, convert};
use self::zones::Rules;
use crate::dirty::Reason;
use crate::settings::Settings;
use crate::unsettled::filtered;

mod clock;
mod column;
mod datax;
mod expressions;
mod extremes;
mod number;
mod texts;
mod zones;

pub(crate) use column::relabeled;
pub(crate) use datax::{Kind, kind};
pub(crate) use expressions::Exact;
pub(crate) use extremes::{rows as extreme_rows, word as extreme_word};

/// Columns that a note names.
const NAMES_MAX: usize = 10;

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
    /// Which casts the job allows here.
    pub rule: Casts,
}

impl ColumnCast {
    /// Whether the job may make this cast.
    pub fn is_allowed(&self) -> bool {
        match (self.cast, self.rule) {
            (Cast::Same | Cast::Exact | Cast::Checked, _) | (Cast::Lossy, Casts::DataX) => true,
            // DataX tells each value that its table has no place for.
            (Cast::Impossible, Casts::DataX) => datax::has(&self.from, &self.to),
            (Cast::Lossy | Cast::Impossible, Casts::Exact) => false,
        }
    }
}

/// The casts of each dataset of a run, index for index.
#[derive(Clone, Debug)]
pub struct Mapping {
    datasets: Vec<DatasetMapping>,
    rules: Rules,
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

/// Values as DataX sees them, whatever casts a job allows: for what works on them before the mapping.
#[derive(Clone, Debug)]
pub(crate) struct Values(Rules);

impl Values {
    /// # Errors
    /// `mapping.time_zone`: the job's zone is not known.
    pub(crate) fn new(settings: &Settings) -> Result<Self> {
        Ok(Self(Rules { casts: Casts::DataX, ..Rules::new(settings)? }))
    }

    /// The column as texts or numbers, and the rows, in their order, whose value is none.
    pub(crate) fn read(
        &self,
        from: &Field,
        kind: &DataType,
        column: &ArrayRef,
    ) -> Result<(ArrayRef, Vec<usize>)> {
        let done = convert(from, &Field::new("", kind.clone(), true), column, &self.0)?;
        let mut unread: Vec<_> = done.misfits.into_iter().map(|(row, _)| row).collect();
        unread.sort_unstable();
        unread.dedup();
        Ok((done.column, unread))
    }
}

impl Mapping {
    /// Pairs the fields by position.
    ///
    /// # Errors
    /// `mapping.dataset_count`, `mapping.column_count`: the two sides do not match;
    /// `mapping.impossible_cast`, `mapping.lossy_cast`: a pair that the job does not allow;
    /// `mapping.casts_column`: the job has a rule for a column that there is not;
    /// `mapping.time_zone`: the job's zone is not known.
    pub fn new(from: &[Dataset], to: &[Dataset], settings: &Settings) -> Result<Self> {
        let mapping = Self::unchecked(from, to, settings)?;
        rules_have_columns(settings, to)?;
        for (dataset, from) in mapping.datasets.iter().zip(from) {
            for pair in &dataset.columns {
                allowed(pair)
                    .map_err(|fault| fault.within(format!("table \"{}\"", from.title())))?;
            }
        }
        Ok(mapping)
    }

    /// The same without judging the pairs: for showing them.
    pub fn unchecked(from: &[Dataset], to: &[Dataset], settings: &Settings) -> Result<Self> {
        if from.len() != to.len() {
            return Err(Fault::plugin(
                "mapping.dataset_count",
                format!("the reader has {} tables, the writer prepared {}", from.len(), to.len()),
            ));
        }
        let rules = Rules::new(settings)?;
        let sides = from.iter().zip(to);
        let datasets =
            sides.map(|(from, to)| pair_up(from, to, settings)).collect::<Result<_>>()?;
        Ok(Self { datasets, rules })
    }

    /// What a summary says where DataX's conversions may have changed values.
    pub(crate) fn note(&self) -> Option<String> {
        let pairs = self.datasets.iter().flat_map(|dataset| &dataset.columns);
        let lossy = pairs.filter(|pair| matches!(pair.cast, Cast::Lossy | Cast::Impossible));
        let names: Vec<_> = lossy.map(|pair| format!("\"{}\"", pair.from.name())).collect();
        let others = names.len().saturating_sub(NAMES_MAX);
        let more = if others > 0 { format!(" and {others} others") } else { String::new() };
        let shown = names[..names.len() - others].join(", ");
        (!names.is_empty()).then(|| {
            format!("DataX's conversions, which may change values, were used for {shown}{more}")
        })
    }

    /// The pairs of each dataset.
    pub fn columns(&self) -> Vec<Vec<ColumnCast>> {
        self.datasets.iter().map(|dataset| dataset.columns.clone()).collect()
    }

    /// The batch in the destination's types, and how many rows could not be brought there.
    ///
    /// # Errors
    /// A batch that is not of these datasets.
    pub fn cast(&self, batch: Batch) -> Result<(Batch, usize)> {
        self.apply(batch).map(|mapped| (mapped.batch, mapped.dirty.len()))
    }

    /// Casts a batch to the destination's types.
    pub(crate) fn apply(&self, batch: Batch) -> Result<Mapped> {
        let mapping = self.datasets.get(batch.dataset as usize).ok_or_else(|| {
            Fault::plugin("plugin.lie.dataset", format!("there is no dataset {}", batch.dataset))
        })?;
        if mapping.is_same() {
            return Ok(Mapped { batch: mapping.relabeled(batch)?, dirty: Vec::new() });
        }
        mapping.cast(batch, &self.rules)
    }
}

fn pair_up(from: &Dataset, to: &Dataset, settings: &Settings) -> Result<DatasetMapping> {
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
    let columns = left.iter().zip(right).map(|(from, to)| {
        let rule = settings.column_casts.get(to.name()).copied().unwrap_or(settings.casts);
        let changes = rule == Casts::DataX
            && judge_values(from, to) == Cast::Checked
            && datax::may_change(from, to);
        let cast = if changes { Cast::Lossy } else { judge(from, to) };
        ColumnCast { from: from.clone(), to: to.clone(), cast, rule }
    });
    let columns = columns.collect();
    Ok(DatasetMapping { schema: to.schema.clone(), columns })
}

/// A rule for a column that there is not was meant for another.
fn rules_have_columns(settings: &Settings, to: &[Dataset]) -> Result<()> {
    let has = |name: &str| to.iter().any(|dataset| dataset.schema.index_of(name).is_ok());
    let Some(name) = settings.column_casts.keys().find(|name| !has(name)) else { return Ok(()) };
    let fields = to.first().map(|dataset| dataset.schema.fields().iter());
    let names = fields.into_iter().flatten().map(|field| field.name());
    let names: Vec<_> = names.take(NAMES_MAX).map(|name| format!("\"{name}\"")).collect();
    let message = format!("\"casts\" has a rule for \"{name}\", which the writer does not write");
    Err(Fault::user("mapping.casts_column", message)
        .hint(format!("columns are named as the writer has them: {}", names.join(", "))))
}

fn allowed(pair: &ColumnCast) -> Result<()> {
    if pair.is_allowed() {
        return Ok(());
    }
    let (from, to) = (&pair.from, &pair.to);
    let what = format!(
        "column \"{}\" ({}) to \"{}\" ({})",
        from.name(),
        from.data_type(),
        to.name(),
        to.data_type()
    );
    if pair.cast == Cast::Impossible {
        let fault = Fault::user("mapping.impossible_cast", format!("{what} cannot be cast"));
        return Err(fault.hint("read or write the column as a text"));
    }
    Err(Fault::user("mapping.lossy_cast", format!("{what} would change values")).hint(format!(
        "declare a type that keeps them, or allow it for this column with \"setting\": {{\"casts\": {{{:?}: \"lossy\"}}}}",
        to.name()
    )))
}

/// Which cast a pair of fields needs.
fn judge(from: &Field, to: &Field) -> Cast {
    let cast = judge_values(from, to);
    let may_miss = (from.is_nullable() && !to.is_nullable())
        || extremes::are_lost(from, to)
        || extremes::may_arise(from, to)
        || is_read_there(from, to);
    if may_miss && matches!(cast, Cast::Same | Cast::Exact) { Cast::Checked } else { cast }
}

/// The same for values that are neither null nor extremes.
fn judge_values(from: &Field, to: &Field) -> Cast {
    use DataType as T;
    let (source, target) = (from.data_type(), to.data_type());
    match (source, target) {
        (T::List(from), T::List(to)) => return judge(from, to),
        (T::FixedSizeList(from, _), T::List(to)) => {
            let cast = judge(from, to);
            return if cast == Cast::Same { Cast::Exact } else { cast };
        }
        (T::Null, _) => return Cast::Checked,
        _ if source.equals_datatype(target) => return Cast::Same,
        (_, T::Utf8) if texts::is_uuid(from) => return Cast::Exact,
        (T::Utf8, _) if texts::is_uuid(to) => return Cast::Checked,
        // Arrow would make a list of one element.
        (_, T::List(_) | T::FixedSizeList(..)) if !source.is_nested() => return Cast::Impossible,
        _ if !can_cast_types(source, target) => return Cast::Impossible,
        _ => {}
    }
    match (source, target) {
        (T::Utf8, T::Float32 | T::Float64) if is_opaque(from) => Cast::Lossy,
        (T::Utf8, T::Binary) => Cast::Exact,
        (T::Utf8, _) => {
            if texts::can_be(to) {
                Cast::Checked
            } else {
                Cast::Lossy
            }
        }
        (_, T::Utf8) if is_textual(source) => Cast::Exact,
        (T::Binary, T::Utf8) => Cast::Checked,
        (T::FixedSizeBinary(_), T::Binary) => Cast::Exact,
        (T::Boolean, _) if target.is_integer() => Cast::Exact,
        _ if source.is_temporal() && target.is_temporal() => temporal(source, target),
        _ => numbers(source, target),
    }
}

/// Whether a field holds the texts of another vendor's type.
fn is_opaque(field: &Field) -> bool {
    field.extension_type_name() == Some("arrow.opaque")
}

/// Whether the destination reads the texts that a field holds, and may refuse one: JSON, and types of
/// another vendor. Those of the very same type come from where they were read.
fn is_read_there(from: &Field, to: &Field) -> bool {
    match to.extension_type_name() {
        Some("arrow.json") => from.extension_type_name() != Some("arrow.json"),
        Some("arrow.opaque") => {
            !is_opaque(from) || from.extension_type_metadata() != to.extension_type_metadata()
        }
        _ => false,
    }
}

fn numbers(source: &DataType, target: &DataType) -> Cast {
    use DataType as T;
    match (source, target) {
        _ if source.is_integer() && target.is_integer() => integers(source, target),
        (_, T::Decimal128(precision, scale) | T::Decimal256(precision, scale)) => {
            to_decimal(source, *precision, *scale)
        }
        (T::Decimal128(..) | T::Decimal256(..), _) if target.is_integer() => Cast::Checked,
        (T::Float16, T::Float32 | T::Float64) | (T::Float32, T::Float64) => Cast::Exact,
        (_, T::Float64) if source.is_integer() => {
            if digits(source) < 16 {
                Cast::Exact
            } else {
                Cast::Checked
            }
        }
        _ => Cast::Lossy,
    }
}

fn temporal(source: &DataType, target: &DataType) -> Cast {
    use DataType as T;
    let by_unit = |finer| if finer { Cast::Exact } else { Cast::Checked };
    match (source, target) {
        (T::Timestamp(a, None), T::Timestamp(b, None))
        | (T::Timestamp(a, Some(_)), T::Timestamp(b, Some(_)))
        | (T::Time32(a), T::Time32(b))
        | (T::Time64(a), T::Time64(b)) => by_unit(b >= a),
        (T::Date32 | T::Date64, T::Timestamp(_, None)) => Cast::Exact,
        (T::Timestamp(_, None), T::Date32) => Cast::Checked,
        (T::Date32, T::Date64) | (T::Time32(_), T::Time64(_)) => Cast::Exact,
        (T::Time64(_), T::Time32(_)) => Cast::Checked,
        _ => Cast::Lossy,
    }
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
        Some(8) if integer.is_signed_integer() => 19,
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

    fn cast(&self, batch: Batch, rules: &Rules) -> Result<Mapped> {
        let count = batch.len();
        let mut dirty: Vec<(usize, Reason)> = Vec::new();
        let mut keep = vec![true; count];
        let mut columns = Vec::with_capacity(self.columns.len());
        for (index, (pair, column)) in self.columns.iter().zip(batch.rows.columns()).enumerate() {
            let rules = Rules { casts: pair.rule, ..rules.clone() };
            let done = convert(&pair.from, &pair.to, column, &rules)?;
            for (row, misfit) in done.misfits {
                if std::mem::replace(&mut keep[row], false) {
                    dirty.push((row, misfit.reason(pair, index)));
                }
            }
            columns.push(done.column);
        }
        if dirty.is_empty() {
            let rows = assemble(&self.schema, columns, count)?;
            return Ok(Mapped { batch: Batch { rows, ..batch }, dirty });
        }
        let loose = Arc::new(Schema::new(loosened(&self.schema, &columns)));
        let all = Batch { rows: assemble(&loose, columns, count)?, ..batch };
        let kept = filtered(&all, &keep)?;
        Ok(Mapped { batch: self.relabeled(kept)?, dirty })
    }
}

/// The fields as the columns are before the dirty rows are out: with nulls anywhere.
fn loosened(schema: &SchemaRef, columns: &[ArrayRef]) -> Vec<Field> {
    let fields = schema.fields().iter().zip(columns);
    let loose = |(field, column): (&FieldRef, &ArrayRef)| {
        field.as_ref().clone().with_nullable(true).with_data_type(column.data_type().clone())
    };
    fields.map(loose).collect()
}

fn assemble(schema: &SchemaRef, columns: Vec<ArrayRef>, count: usize) -> Result<RecordBatch> {
    // Names and metadata inside nested types may differ between the two sides; the layout does not.
    let columns = schema.fields().iter().zip(columns);
    let columns = columns.map(|(field, column)| relabeled(&column, field.data_type()));
    let options = RecordBatchOptions::new().with_row_count(Some(count));
    RecordBatch::try_new_with_options(schema.clone(), columns.collect::<Result<_>>()?, &options)
        .map_err(cast_fault)
}

#[cfg(test)]
mod tests;
