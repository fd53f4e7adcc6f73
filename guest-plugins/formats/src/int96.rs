//! Timestamps as old Parquet files hold them: INT96, a day and the nanoseconds in it.
//!
//! They are read as microseconds, which reach every year; nanoseconds wrap around before 1677 and after
//! 2262. What microseconds do not hold must not be lost unseen, so that the columns are read a second
//! time as nanoseconds, and compared.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampMicrosecondType, TimestampNanosecondType};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Fields, Schema, SchemaRef, TimeUnit};
use parquet::basic::Type;
use parquet::schema::types::SchemaDescriptor;

/// The top-level fields that are INT96 themselves.
pub(crate) fn columns(file: &SchemaDescriptor) -> Vec<usize> {
    let roots = file.root_schema().get_fields().iter().enumerate();
    let is_int96 = |kind: &Type| *kind == Type::INT96;
    roots
        .filter(|(_, root)| root.is_primitive() && is_int96(&root.get_physical_type()))
        .map(|(index, _)| index)
        .collect()
}

/// The schema with microseconds in these columns.
pub(crate) fn as_micros(schema: &SchemaRef, columns: &[usize]) -> SchemaRef {
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    let fields: Fields = schema
        .fields()
        .iter()
        .enumerate()
        .map(|(index, field)| match columns.contains(&index) {
            true => Arc::new(field.as_ref().clone().with_data_type(micros.clone())),
            false => field.clone(),
        })
        .collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// The first column and row with digits below a microsecond; both batches hold the same columns.
pub(crate) fn lost_digits(micros: &RecordBatch, nanos: &RecordBatch) -> Option<(String, usize)> {
    let schema = nanos.schema();
    schema.fields().iter().zip(nanos.columns()).find_map(|(field, exact)| {
        let read = micros.column_by_name(field.name())?;
        let read = read.as_primitive_opt::<TimestampMicrosecondType>()?;
        let exact = exact.as_primitive_opt::<TimestampNanosecondType>()?;
        // Wrapping on both sides leaves the difference as it is.
        let row = (0..read.len().min(exact.len())).find(|row| {
            exact.is_valid(*row) && read.value(*row).wrapping_mul(1000) != exact.value(*row)
        })?;
        Some((field.name().clone(), row))
    })
}
