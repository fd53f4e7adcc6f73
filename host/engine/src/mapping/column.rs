//! The cast of one column: its values in the destination's type, and those that did not come through.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ListArray, UInt32Array, make_array, new_null_array};
use arrow_buffer::OffsetBuffer;
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, Field, FieldRef};
use domain::job::Casts;
use domain::port::DirtyStage;
use domain::{Fault, Result};

use super::zones::Rules;
use super::{Cast, ColumnCast, datax, extremes, judge_values, texts};
use crate::dirty::Reason;

/// Values without a counterpart become null in Arrow's casts.
pub(super) const SAFE: CastOptions<'static> =
    CastOptions { safe: true, format_options: arrow_cast::display::FormatOptions::new() };

/// Why a value did not come through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// There is no counterpart at all.
    Value,
    /// The nearest counterpart is another value.
    Changed,
    /// NULL in a column that must not be.
    Null,
    /// Infinity, NaN or the end of the day, where the destination has no such thing; or a plain value
    /// that would be taken for one there.
    Extreme,
}

impl Misfit {
    pub(super) fn reason(self, pair: &ColumnCast, column: usize) -> Reason {
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
                let place = format!("column \"{name}\" ({kind})");
                ("cast.extreme", format!("{place} has no such infinity, NaN or 24:00"))
            }
            Self::Null => ("cast.null", format!("column \"{name}\" takes no NULL")),
        };
        Reason {
            stage: DirtyStage::Cast,
            column: Some(column as u32),
            code: code.into(),
            message,
            plugin: None,
        }
    }
}

/// A column after its cast. Lists may allow more nulls than the destination, until the dirty rows are out.
pub(super) struct Converted {
    pub(super) column: ArrayRef,
    /// Rows that must not be written; of several misfits of a row the first counts.
    pub(super) misfits: Vec<(usize, Misfit)>,
}

impl Converted {
    pub(super) fn whole(column: ArrayRef) -> Self {
        Self { column, misfits: Vec::new() }
    }

    /// A column whose new nulls are values that were lost.
    pub(super) fn from(before: &ArrayRef, column: ArrayRef) -> Self {
        let mut misfits = Vec::new();
        if column.null_count() > before.null_count() {
            let lost = |row: &usize| before.is_valid(*row) && column.is_null(*row);
            misfits = (0..column.len()).filter(lost).map(|row| (row, Misfit::Value)).collect();
        }
        Self { column, misfits }
    }
}

/// Casts a column of the field `from` to the field `to`.
pub(super) fn convert(
    from: &Field,
    to: &Field,
    column: &ArrayRef,
    rules: &Rules,
) -> Result<Converted> {
    let found = extremes::find(from, column);
    let mut done = if found.is_empty() {
        plain(from, to, column, rules)?
    } else {
        let others = extremes::taken_out(column, &found)?;
        extremes::put_back(to, plain(from, to, &others, rules)?, &found)?
    };
    let false_ones = extremes::false_ones(from, to, &done.column);
    done.misfits.extend(false_ones.into_iter().map(|(row, _)| (row, Misfit::Extreme)));
    if !to.is_nullable() && done.column.null_count() > 0 {
        let nulls = (0..done.column.len()).filter(|row| done.column.is_null(*row));
        done.misfits.extend(nulls.map(|row| (row, Misfit::Null)));
    }
    Ok(done)
}

/// The cast of values without extremes.
fn plain(from: &Field, to: &Field, column: &ArrayRef, rules: &Rules) -> Result<Converted> {
    use DataType as T;
    let (source, target) = (from.data_type(), to.data_type());
    match (source, target) {
        (T::List(item), T::List(to)) => return lists(item, to, column, rules),
        (T::FixedSizeList(item, _), T::List(to)) => {
            let list = arrow_all(column, &T::List(item.clone()))?;
            return lists(item, to, &list, rules);
        }
        (T::Null, _) => return Ok(Converted::whole(new_null_array(target, column.len()))),
        _ if source.equals_datatype(target) => return Ok(Converted::whole(column.clone())),
        _ => {}
    }
    if rules.casts == Casts::DataX && datax::has(from, to) {
        return datax::convert(from, to, column, rules);
    }
    match (source, target) {
        (T::Utf8, _) if texts::can_be(to) => texts::read(column, to, rules),
        (_, T::Utf8) if texts::is_uuid(from) => Ok(Converted::whole(texts::of_uuids(column))),
        (T::Timestamp(unit, Some(_)), T::Utf8) if rules.zone.is_some() => {
            arrow(&relabeled(column, &T::Timestamp(*unit, rules.zone.clone()))?, target)
        }
        _ => {
            let mut done = arrow(column, target)?;
            if rules.casts == Casts::Exact && judge_values(from, to) == Cast::Checked {
                done.misfits.extend(changed(column, &done.column)?);
            }
            Ok(done)
        }
    }
}

/// Lists by their elements: a list with an element that did not come through did not either.
fn lists(from: &FieldRef, to: &FieldRef, column: &ArrayRef, rules: &Rules) -> Result<Converted> {
    let list = &without_hidden(column.as_list::<i32>())?;
    let offsets = list.offsets();
    let (first, last) = (offsets[0], offsets[list.len()]);
    let elements = list.values().slice(first as usize, (last - first) as usize);
    let done = convert(from, to, &elements, rules)?;
    let list_of =
        |element: usize| offsets.partition_point(|end| (*end - first) as usize <= element) - 1;
    let misfits = done.misfits.into_iter().map(|(element, misfit)| (list_of(element), misfit));
    let misfits = misfits.collect();
    let item = to.as_ref().clone().with_nullable(true);
    let item = item.with_data_type(done.column.data_type().clone());
    let offsets = OffsetBuffer::new(offsets.iter().map(|offset| offset - first).collect());
    let column = ListArray::try_new(Arc::new(item), offsets, done.column, list.nulls().cloned());
    Ok(Converted { column: Arc::new(column.map_err(cast_fault)?), misfits })
}

/// The same lists, those that are null without elements: they may have some, which nobody must see.
fn without_hidden(list: &ListArray) -> Result<ListArray> {
    let hides = |row| list.is_null(row) && list.value_length(row) > 0;
    if list.null_count() == 0 || !(0..list.len()).any(hides) {
        return Ok(list.clone());
    }
    let rows = UInt32Array::from_iter_values(0..list.len() as u32);
    let bare = arrow_select::take::take(list, &rows, None).map_err(cast_fault)?;
    Ok(bare.as_list::<i32>().clone())
}

/// Arrow's cast, which tells only by null what it could not do.
pub(super) fn arrow(column: &ArrayRef, target: &DataType) -> Result<Converted> {
    Ok(Converted::from(column, arrow_all(column, target)?))
}

/// The same without what it tells.
pub(super) fn arrow_all(column: &ArrayRef, target: &DataType) -> Result<ArrayRef> {
    arrow_with(column, target, &SAFE)
}

/// Some kernels give up a whole column for one value that they cannot show; then each row goes alone.
pub(super) fn arrow_with(
    column: &ArrayRef,
    target: &DataType,
    options: &CastOptions<'_>,
) -> Result<ArrayRef> {
    if let Ok(cast) = cast_with_options(column, target, options) {
        return Ok(cast);
    }
    let rows: Vec<ArrayRef> = (0..column.len())
        .map(|row| {
            let one = column.slice(row, 1);
            cast_with_options(&one, target, options).unwrap_or_else(|_| new_null_array(target, 1))
        })
        .collect();
    if rows.is_empty() {
        return Ok(new_null_array(target, 0));
    }
    let rows: Vec<&dyn Array> = rows.iter().map(AsRef::as_ref).collect();
    arrow_select::concat::concat(&rows).map_err(cast_fault)
}

/// The rows whose value, cast back, is another one.
fn changed(before: &ArrayRef, after: &ArrayRef) -> Result<Vec<(usize, Misfit)>> {
    if matches!(before.data_type(), DataType::Binary) {
        return Ok(Vec::new());
    }
    let back = arrow_all(after, before.data_type())?;
    let equal = arrow_ord::cmp::not_distinct(&back, before).map_err(cast_fault)?;
    let changed = |row: &usize| after.is_valid(*row) && !equal.value(*row);
    Ok((0..after.len()).filter(changed).map(|row| (row, Misfit::Changed)).collect())
}

/// The same buffers as values of another type with the same layout.
pub(crate) fn relabeled(column: &ArrayRef, kind: &DataType) -> Result<ArrayRef> {
    if column.data_type() == kind {
        return Ok(column.clone());
    }
    let data = column.to_data();
    let children = domain::dataset::children(kind).into_iter().zip(data.child_data());
    let children = children.map(|(field, child)| {
        Ok(relabeled(&make_array(child.clone()), field.data_type())?.to_data())
    });
    let children = children.collect::<Result<Vec<_>>>()?;
    let data = data.into_builder().data_type(kind.clone()).child_data(children).build();
    data.map(make_array).map_err(cast_fault)
}

/// A cast's column relabeled.
pub(super) fn retyped(done: Converted, kind: &DataType) -> Result<Converted> {
    Ok(Converted { column: relabeled(&done.column, kind)?, ..done })
}

pub(super) fn cast_fault(error: arrow_schema::ArrowError) -> Fault {
    Fault::internal("engine.cast", error.to_string())
}
