//! The rows of a share, which the host's codec makes columns of.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use codec::mysql::{RowDecoding, key};
use sdk::codec::{Decoded, Decoder, Flawed};
use sdk::{Fault, Result, Undecodable};

use crate::types::Kind;

/// Gathers the rows of a share.
pub(crate) struct RowReader {
    /// Of the columns that are read; those of the codec's own stand behind them.
    schema: SchemaRef,
    how: RowDecoding,
    decoder: Decoder,
    last_key: Option<String>,
    /// Where rows come from, for people.
    label: String,
    /// Rows so far, undecodable ones included.
    seen: u64,
}

/// Rows, and what became of them.
pub(crate) struct Gathered {
    pub(crate) rows: RecordBatch,
    pub(crate) undecodable: Vec<Undecodable>,
    /// Rows with NULL in place of a zero date.
    pub(crate) nulled: u64,
}

impl RowReader {
    /// `kinds` are those of the schema's fields; `label` says where rows come from.
    ///
    /// # Errors
    /// Those of the codec.
    pub(crate) fn new(
        schema: SchemaRef,
        kinds: Vec<Kind>,
        (has_key, zero_is_null): (bool, bool),
        label: String,
    ) -> Result<Self> {
        let how = RowDecoding { kinds, zero_is_null, has_key };
        let own = [
            zero_is_null.then(|| Field::new("zero_date", DataType::Boolean, false)),
            has_key.then(|| Field::new("key", DataType::Utf8, true)),
        ];
        let own = own.into_iter().flatten().map(Arc::new);
        let fields: Vec<_> = schema.fields().iter().cloned().chain(own).collect();
        let decoder = Decoder::open("mysql-rows", &how, &Arc::new(Schema::new(fields)))?;
        Ok(Self { schema, how, decoder, last_key: None, label, seen: 0 })
    }

    /// Reads rows from the front of `bytes`, which begin with one, and answers how many bytes are done
    /// with. Handed none, it gives what it has.
    ///
    /// # Errors
    /// `mysql.protocol` for bytes that are no rows.
    pub(crate) fn read(
        &mut self,
        bytes: &[u8],
        rows: u32,
        size: u64,
    ) -> Result<(usize, Option<Gathered>)> {
        let decoded = self.decoder.decode(bytes, bytes.is_empty(), rows, size)?;
        let taken = decoded.taken;
        let gathered = if decoded.records > 0 { Some(self.gathered(decoded)?) } else { None };
        Ok((taken, gathered))
    }

    /// The key of the last row, decodable or not.
    pub(crate) fn last_key(&self) -> Option<&str> {
        self.last_key.as_deref()
    }

    fn gathered(&mut self, decoded: Decoded) -> Result<Gathered> {
        if self.how.has_key {
            self.last_key = self.key_of_last(&decoded)?;
        }
        let width = self.schema.fields().len();
        let zeros = decoded.rows.columns().get(width).filter(|_| self.how.zero_is_null);
        let nulled = zeros.map_or(0, |zeros| zeros.as_boolean().true_count() as u64);
        let undecodable = |flawed: Flawed| Undecodable {
            dataset: None,
            origin: format!("{}, row {}", self.label, self.seen + u64::from(flawed.record) + 1),
            data: flawed.data,
            code: flawed.code,
            message: flawed.message,
        };
        let undecodable = decoded.flawed.into_iter().map(undecodable).collect();
        self.seen += u64::from(decoded.records);
        let broken = |error: ArrowError| Fault::plugin("mysql.batch", error.to_string());
        let options = RecordBatchOptions::new().with_row_count(Some(decoded.rows.num_rows()));
        let columns = decoded.rows.columns()[..width].to_vec();
        let rows = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options);
        Ok(Gathered { rows: rows.map_err(broken)?, undecodable, nulled })
    }

    fn key_of_last(&self, decoded: &Decoded) -> Result<Option<String>> {
        match decoded.flawed.last() {
            Some(flawed) if flawed.record + 1 == decoded.records => {
                Ok(key(&self.how, &flawed.data)?)
            }
            _ => {
                let keys = decoded.rows.columns().last();
                let last = |keys: &dyn Array| {
                    let at = keys.len().checked_sub(1).filter(|at| keys.is_valid(*at))?;
                    Some(keys.as_string::<i32>().value(at).to_owned())
                };
                Ok(keys.and_then(|keys| last(keys.as_ref())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of an integer, a date and a key, as a packet.
    fn row(number: i32, date: &[u8], key: &str) -> Vec<u8> {
        let mut body = vec![0, 0];
        body.extend(number.to_le_bytes());
        body.push(date.len() as u8);
        body.extend(date);
        body.push(key.len() as u8);
        body.extend(key.as_bytes());
        [&(body.len() as u32).to_le_bytes()[..3], &[0], &body].concat()
    }

    fn reader(zero_is_null: bool) -> RowReader {
        let fields = [("n", DataType::Int32), ("day", DataType::Date32)];
        let fields = fields.map(|(name, kind)| Field::new(name, kind, true)).to_vec();
        let kinds = vec![Kind::Int(4, false), Kind::Date];
        let schema = Arc::new(Schema::new(fields));
        RowReader::new(schema, kinds, (true, zero_is_null), "t".into()).unwrap()
    }

    #[test]
    fn the_last_key_is_that_of_the_last_row_decodable_or_not() {
        let (day, zero) = ([0xb2, 7, 1, 2], [0, 0, 0, 0]);
        let bytes = [row(1, &day, "a"), row(2, &zero, "b")].concat();
        let mut strict = reader(false);
        assert_eq!(strict.read(&bytes, 9, 1 << 20).unwrap().0, bytes.len());
        assert_eq!(strict.last_key(), None);
        let gathered = strict.read(&[], 9, 1 << 20).unwrap().1.unwrap();
        assert_eq!((gathered.rows.num_rows(), gathered.rows.num_columns()), (1, 2));
        assert_eq!(gathered.undecodable[0].origin, "t, row 2");
        assert_eq!(gathered.undecodable[0].code, "mysql.zero_date");
        assert_eq!(strict.last_key(), Some("b"));
        assert!(strict.read(&[], 9, 1 << 20).unwrap().1.is_none());
        assert_eq!(strict.last_key(), Some("b"));
        let mut nulls = reader(true);
        let gathered = nulls.read(&bytes, 2, 1 << 20).unwrap().1.unwrap();
        assert_eq!((gathered.rows.num_rows(), gathered.nulled), (2, 1));
        assert_eq!((gathered.rows.num_columns(), nulls.last_key()), (2, Some("b")));
    }
}
