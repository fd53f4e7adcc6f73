//! The values of one column, gathered row by row.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Decimal128Builder, Decimal256Builder, PrimitiveBuilder,
    StringBuilder,
};
use arrow_array::types::{
    Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_schema::DataType;

use crate::mysql::value::Cell;

pub(super) enum Column {
    Bool(BooleanBuilder),
    I8(PrimitiveBuilder<Int8Type>),
    I16(PrimitiveBuilder<Int16Type>),
    I32(PrimitiveBuilder<Int32Type>),
    I64(PrimitiveBuilder<Int64Type>),
    U8(PrimitiveBuilder<UInt8Type>),
    U16(PrimitiveBuilder<UInt16Type>),
    U32(PrimitiveBuilder<UInt32Type>),
    U64(PrimitiveBuilder<UInt64Type>),
    F32(PrimitiveBuilder<Float32Type>),
    F64(PrimitiveBuilder<Float64Type>),
    I128(Decimal128Builder),
    I256(Decimal256Builder),
    Date(PrimitiveBuilder<Date32Type>),
    Instant(PrimitiveBuilder<TimestampMicrosecondType>),
    Bytes(BinaryBuilder),
    /// With room for texts that are made.
    Text(StringBuilder, Vec<u8>),
}

/// The same for each builder of a column.
macro_rules! each {
    ($column:expr, $builder:ident => $what:expr) => {
        match $column {
            Column::Bool($builder) => $what,
            Column::I8($builder) => $what,
            Column::I16($builder) => $what,
            Column::I32($builder) => $what,
            Column::I64($builder) => $what,
            Column::U8($builder) => $what,
            Column::U16($builder) => $what,
            Column::U32($builder) => $what,
            Column::U64($builder) => $what,
            Column::F32($builder) => $what,
            Column::F64($builder) => $what,
            Column::I128($builder) => $what,
            Column::I256($builder) => $what,
            Column::Date($builder) => $what,
            Column::Instant($builder) => $what,
            Column::Bytes($builder) => $what,
            Column::Text($builder, _) => $what,
        }
    };
}

impl Column {
    /// Without room at first: a guest may ask for many columns and hand over nothing.
    pub(super) fn new(kind: &DataType) -> Self {
        match kind {
            DataType::Boolean => Self::Bool(BooleanBuilder::with_capacity(0)),
            DataType::Int8 => Self::I8(PrimitiveBuilder::with_capacity(0)),
            DataType::Int16 => Self::I16(PrimitiveBuilder::with_capacity(0)),
            DataType::Int32 => Self::I32(PrimitiveBuilder::with_capacity(0)),
            DataType::Int64 => Self::I64(PrimitiveBuilder::with_capacity(0)),
            DataType::UInt8 => Self::U8(PrimitiveBuilder::with_capacity(0)),
            DataType::UInt16 => Self::U16(PrimitiveBuilder::with_capacity(0)),
            DataType::UInt32 => Self::U32(PrimitiveBuilder::with_capacity(0)),
            DataType::UInt64 => Self::U64(PrimitiveBuilder::with_capacity(0)),
            DataType::Float32 => Self::F32(PrimitiveBuilder::with_capacity(0)),
            DataType::Float64 => Self::F64(PrimitiveBuilder::with_capacity(0)),
            DataType::Decimal128(..) => {
                Self::I128(Decimal128Builder::with_capacity(0).with_data_type(kind.clone()))
            }
            DataType::Decimal256(..) => {
                Self::I256(Decimal256Builder::with_capacity(0).with_data_type(kind.clone()))
            }
            DataType::Date32 => Self::Date(PrimitiveBuilder::with_capacity(0)),
            DataType::Timestamp(..) => {
                Self::Instant(PrimitiveBuilder::with_capacity(0).with_data_type(kind.clone()))
            }
            DataType::Binary => Self::Bytes(BinaryBuilder::with_capacity(0, 0)),
            _ => Self::Text(StringBuilder::with_capacity(0, 0), Vec::new()),
        }
    }

    /// A cell of another kind than the column cannot come: both are made from one kind.
    pub(super) fn append(&mut self, cell: Cell<'_>) {
        match (self, cell) {
            (Self::Bool(to), Cell::Bool(value)) => to.append_value(value),
            (Self::I8(to), Cell::Int(value)) => to.append_value(value as i8),
            (Self::I16(to), Cell::Int(value)) => to.append_value(value as i16),
            (Self::I32(to), Cell::Int(value)) => to.append_value(value as i32),
            (Self::I64(to), Cell::Int(value)) => to.append_value(value),
            (Self::U8(to), Cell::Int(value)) => to.append_value(value as u8),
            (Self::U16(to), Cell::Int(value)) => to.append_value(value as u16),
            (Self::U32(to), Cell::Int(value)) => to.append_value(value as u32),
            (Self::U64(to), Cell::Int(value)) => to.append_value(value as u64),
            (Self::F32(to), Cell::Float(value)) => to.append_value(value),
            (Self::F64(to), Cell::Double(value)) => to.append_value(value),
            (Self::I128(to), Cell::Narrow(value)) => to.append_value(value),
            (Self::I256(to), Cell::Wide(value)) => to.append_value(value),
            (Self::Date(to), Cell::Int(value)) => to.append_value(value as i32),
            (Self::Instant(to), Cell::Int(value)) => to.append_value(value),
            (Self::Bytes(to), Cell::Bytes(value)) => to.append_value(value),
            (Self::Text(to, _), Cell::Text(value)) => to.append_value(value),
            (Self::Text(to, made), Cell::Time(value)) => {
                made.clear();
                value.push(made);
                to.append_value(String::from_utf8_lossy(made));
            }
            (column, _) => each!(column, to => to.append_null()),
        }
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        each!(self, to => Arc::new(to.finish()))
    }
}
