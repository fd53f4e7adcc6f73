//! The columns that a file with a schema of its own has, and where the columns of a job are among them.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema, SchemaRef};
use sdk::{Fault, Result};

use crate::columns::{self, Listed, Origin, Wanted};
use crate::kind::Kind;

/// What a file says of its columns.
pub(crate) struct Own {
    /// The file.
    pub(crate) label: String,
    pub(crate) schema: SchemaRef,
}

/// Where the values of a planned column are.
pub(crate) enum Source {
    Column(usize),
    Constant(ArrayRef),
}

impl Own {
    /// The wanted fields.
    pub(crate) fn schema(&self, wanted: &Wanted) -> Result<SchemaRef> {
        let own = &self.schema;
        let Wanted::Listed(listed) = wanted else {
            own.fields().iter().try_for_each(|field| check_known(field, "/parameter/column"))?;
            return Ok(Arc::new(Schema::new(own.fields().clone())));
        };
        let fields = listed.iter().enumerate().map(|(at, column)| {
            let Origin::Constant(_) = column.origin else {
                let field = own.field(self.index(column)?);
                check_known(field, &column.place)?;
                check_type(column, field)?;
                let name = column.name.clone().unwrap_or_else(|| field.name().clone());
                return Ok(field.clone().with_name(name));
            };
            let kind = column.kind.clone().unwrap_or(Kind::Text);
            let name = column.name.clone().unwrap_or_else(|| format!("value_{at}"));
            Ok(kind.field(name))
        });
        Ok(Arc::new(Schema::new(fields.collect::<Result<Vec<_>>>()?)))
    }

    fn index(&self, column: &Listed) -> Result<usize> {
        let fields = self.schema.fields();
        let found = match &column.origin {
            Origin::Index(index) => (*index < fields.len()).then_some(*index),
            Origin::Name(name) => fields.iter().position(|field| field.name() == name),
            Origin::Constant(_) => None,
        };
        found.ok_or_else(|| column.missing())
    }

    fn differs(&self, which: &str) -> Fault {
        let message = format!("\"{}\" differs from other files of the job: {which}", self.label);
        Fault::data("format.columns_differ", message).hint(
            "read files of one schema in one job, or list \"column\" with what all files have",
        )
    }

    /// Where this file has the planned columns.
    ///
    /// # Errors
    /// `format.columns_differ`, where it has others.
    pub(crate) fn sources(&self, wanted: &Wanted, planned: &Schema) -> Result<Vec<Source>> {
        let sources = match wanted {
            Wanted::Listed(listed) => {
                listed.iter().map(|column| self.source(column)).collect::<Result<Vec<_>>>()?
            }
            Wanted::All | Wanted::AllText => self.all(planned)?,
        };
        let own = self.schema.fields();
        for (source, planned) in sources.iter().zip(planned.fields()) {
            let Source::Column(index) = source else { continue };
            let (name, data_type) = (own[*index].name(), own[*index].data_type());
            if data_type != planned.data_type() {
                let others = planned.data_type();
                return Err(self.differs(&format!(
                    "column \"{name}\" is {data_type}, and {others} in the others"
                )));
            }
            if own[*index].is_nullable() && !planned.is_nullable() {
                return Err(self.differs(&format!("column \"{name}\" may be NULL")));
            }
        }
        Ok(sources)
    }

    /// All columns by their names, in whatever order the file has them. A name that stands twice in a
    /// file means the column at the same place.
    fn all(&self, planned: &Schema) -> Result<Vec<Source>> {
        let own = self.schema.fields();
        let find = |at: usize, name: &str| {
            let mut places = (0..own.len()).filter(|index| own[*index].name() == name);
            match (places.next(), places.next()) {
                (Some(place), None) => Some(place),
                (Some(_), Some(_)) => own.get(at).filter(|field| field.name() == name).map(|_| at),
                _ => None,
            }
        };
        let mut sources = Vec::with_capacity(own.len());
        for (at, field) in planned.fields().iter().enumerate() {
            let place = find(at, field.name());
            let missing = || self.differs(&format!("it has no column \"{}\"", field.name()));
            sources.push(Source::Column(place.ok_or_else(missing)?));
        }
        let more = own.iter().find(|field| planned.field_with_name(field.name()).is_err());
        match more {
            Some(more) => Err(self.differs(&format!("it has a column \"{}\" more", more.name()))),
            None if own.len() != sources.len() => Err(self.differs("it has other columns")),
            None => Ok(sources),
        }
    }

    fn source(&self, column: &Listed) -> Result<Source> {
        match &column.origin {
            Origin::Constant(text) => {
                let kind = column.kind.clone().unwrap_or(Kind::Text);
                columns::constant(text.as_deref(), &kind, &column.place).map(Source::Constant)
            }
            Origin::Index(_) | Origin::Name(_) => self.index(column).map(Source::Column),
        }
    }

    /// The columns in the job's order. `batch` has those of the file at `roots`, which are sorted.
    pub(crate) fn arranged(
        batch: &RecordBatch,
        roots: &[usize],
        sources: &[Source],
        schema: &SchemaRef,
    ) -> Result<RecordBatch, ArrowError> {
        let rows = batch.num_rows();
        let arrays = sources.iter().map(|source| match source {
            Source::Constant(value) => columns::repeated(value, rows)
                .map_err(|fault| ArrowError::ComputeError(fault.message)),
            Source::Column(index) => {
                let at = roots.binary_search(index).unwrap_or(0);
                Ok(batch.column(at).clone())
            }
        });
        let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(schema.clone(), arrays, &options)
    }
}

/// The file's columns that are read, each once, in the file's order.
pub(crate) fn roots(sources: &[Source]) -> Vec<usize> {
    let indexes = sources.iter().filter_map(|source| match source {
        Source::Column(index) => Some(*index),
        Source::Constant(_) => None,
    });
    let mut roots: Vec<_> = indexes.collect();
    roots.sort_unstable();
    roots.dedup();
    roots
}

/// No column of a job is of these types.
fn check_known(field: &Field, place: &str) -> Result<()> {
    let wrong_scale = |digits: u8, scale: i8| scale < 0 || scale.unsigned_abs() > digits;
    let inner = match field.data_type() {
        DataType::Union(..)
        | DataType::RunEndEncoded(..)
        | DataType::ListView(_)
        | DataType::LargeListView(_)
        | DataType::FixedSizeBinary(..=0)
        | DataType::FixedSizeList(_, ..=0) => return Err(unknown(field, place)),
        DataType::Decimal128(digits, scale) | DataType::Decimal256(digits, scale)
            if wrong_scale(*digits, *scale) =>
        {
            return Err(unknown(field, place));
        }
        DataType::Struct(fields) if fields.is_empty() => return Err(unknown(field, place)),
        DataType::List(inner) | DataType::FixedSizeList(inner, _) | DataType::Map(inner, _) => {
            std::slice::from_ref(inner)
        }
        DataType::Struct(fields) => fields,
        _ => &[],
    };
    inner.iter().try_for_each(|field| check_known(field, place))
}

fn unknown(field: &Field, place: &str) -> Fault {
    let message = format!(
        "column \"{}\" is of the type {}, which can't be read",
        field.name(),
        field.data_type()
    );
    Fault::user("format.type", message).hint("list \"column\" without it").at(place)
}

/// The declared type must be the file's; DataX's six stand for their families. Nothing is cast here, so
/// that nothing is lost here.
fn check_type(column: &Listed, field: &Field) -> Result<()> {
    let (Some(kind), Some(word)) = (&column.kind, &column.word) else { return Ok(()) };
    let own = field.data_type();
    let fits = match word.to_ascii_lowercase().as_str() {
        "long" => own.is_integer(),
        "double" => own.is_numeric() && !own.is_integer(),
        "string" => *own == DataType::Utf8,
        "date" => own.is_temporal(),
        "bytes" => matches!(own, DataType::Binary | DataType::FixedSizeBinary(_)),
        _ => {
            matches!((&kind.data_type(), own), (a, b) if a == b)
                || matches!((kind, own), (Kind::Instant(_), DataType::Timestamp(_, Some(_))))
        }
    };
    if fits {
        return Ok(());
    }
    let message = format!("column \"{}\" is declared {word}, and the file has {own}", field.name());
    Err(Fault::user("format.type", message)
        .hint("leave \"type\" out: the file knows its types")
        .at(column.place.clone()))
}

/// The same fields without the layouts that only save memory: dictionaries, views, 64-bit offsets, short
/// decimals.
pub(crate) fn plain_schema(schema: &SchemaRef) -> SchemaRef {
    let fields: Fields = schema.fields().iter().map(|field| plain_field(field)).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn plain_field(field: &Field) -> Field {
    field.clone().with_data_type(plain_type(field.data_type()))
}

pub(crate) fn plain_type(data_type: &DataType) -> DataType {
    let inner = |field: &Field| Arc::new(plain_field(field));
    match data_type {
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, value) => plain_type(value),
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::List(field) | DataType::LargeList(field) => DataType::List(inner(field)),
        DataType::FixedSizeList(field, size) => DataType::FixedSizeList(inner(field), *size),
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| plain_field(field)).collect())
        }
        DataType::Map(field, sorted) => DataType::Map(inner(field), *sorted),
        other => other.clone(),
    }
}
