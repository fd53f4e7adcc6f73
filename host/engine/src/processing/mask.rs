//! `data-masking`: values that shall not reach the destination, and what stands in their places.

use std::fmt::Write;
use std::sync::Arc;

use aes::Aes256;
use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StringArray, new_null_array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use domain::job::{self, Alphabet, Masking};
use domain::{Fault, Result};
use fpe::ff1::{FF1, FlexibleNumeralString};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::Misfit;

#[derive(Clone, Debug)]
pub(super) struct Masks {
    columns: Vec<(usize, Mask)>,
    pub(super) schema: SchemaRef,
}

#[derive(Clone)]
enum Mask {
    Hash(Hmac<Sha256>),
    Cover { first: usize, last: usize, with: char },
    Null,
    Fixed(String),
    FormatPreserving { cipher: Arc<FF1<Aes256>>, alphabet: Alphabet },
}

/// Without keys.
impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mask")
    }
}

/// So many values there must be for FF1 at least (NIST SP 800-38G): among fewer one is soon found.
const VALUES_MIN: u64 = 1_000_000;

impl Masks {
    /// # Errors
    /// `transform.column`: a column that there is not; `transform.type`: one without texts.
    pub(super) fn new(maskings: &[Masking], schema: &SchemaRef) -> Result<Self> {
        let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
        let mut columns = Vec::with_capacity(maskings.len());
        for (index, masking) in maskings.iter().enumerate() {
            let column = match &masking.method {
                job::Mask::Null | job::Mask::Fixed(_) => super::column(&masking.column, schema),
                _ => super::text_column(&masking.column, schema),
            };
            let column =
                column.map_err(|fault| fault.at(format!("/parameter/column/{index}/name")))?;
            // What described the old values does not describe the new ones.
            let (kind, null) = match &masking.method {
                job::Mask::Null => (fields[column].data_type().clone(), true),
                job::Mask::Fixed(_) => (DataType::Utf8, false),
                _ => (DataType::Utf8, true),
            };
            fields[column] = Arc::new(Field::new(&masking.column, kind, null));
            columns.push((column, ready(&masking.method)?));
        }
        let schema = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
        Ok(Self { columns, schema })
    }

    /// Masks the columns; answers by column the rows whose values cannot be masked.
    pub(super) fn apply(&self, columns: &mut [ArrayRef]) -> Vec<(usize, Vec<Misfit>)> {
        let masked = self.columns.iter().map(|(column, mask)| {
            let (made, misfits) = mask.apply(&columns[*column]);
            columns[*column] = made;
            (*column, misfits)
        });
        masked.collect()
    }
}

fn ready(method: &job::Mask) -> Result<Mask> {
    Ok(match method {
        job::Mask::Hash { key } => {
            let hash = Hmac::new_from_slice(key.expose().as_bytes());
            Mask::Hash(hash.map_err(|_| unusable())?)
        }
        job::Mask::Cover { first, last, with } => {
            Mask::Cover { first: *first, last: *last, with: *with }
        }
        job::Mask::Null => Mask::Null,
        job::Mask::Fixed(value) => Mask::Fixed(value.clone()),
        job::Mask::FormatPreserving { key, alphabet } => {
            // AES takes 32 bytes, whatever length the key has.
            let key = Sha256::digest(key.expose().as_bytes());
            let cipher = FF1::new(&key, alphabet.characters().len() as u32);
            let cipher = Arc::new(cipher.map_err(|_| unusable())?);
            Mask::FormatPreserving { cipher, alphabet: *alphabet }
        }
    })
}

fn unusable() -> Fault {
    Fault::internal("engine.mask", "the cipher takes no such key")
}

impl Mask {
    fn apply(&self, column: &ArrayRef) -> (ArrayRef, Vec<Misfit>) {
        let count = column.len();
        match self {
            Self::Null => (new_null_array(column.data_type(), count), Vec::new()),
            Self::Fixed(value) => {
                let values = std::iter::repeat_n(value.as_str(), count);
                (Arc::new(StringArray::from_iter_values(values)), Vec::new())
            }
            _ => self.texts(column.as_string::<i32>()),
        }
    }

    fn texts(&self, texts: &StringArray) -> (ArrayRef, Vec<Misfit>) {
        let mut misfits = Vec::new();
        let mut made = StringBuilder::with_capacity(texts.len(), texts.value_data().len());
        let mut masked = String::new();
        for row in 0..texts.len() {
            if texts.is_null(row) {
                made.append_null();
                continue;
            }
            masked.clear();
            if let Err(message) = self.write(texts.value(row), &mut masked) {
                misfits.push(Misfit { row, code: "transform.mask", message });
                made.append_null();
                continue;
            }
            made.append_value(&masked);
        }
        (Arc::new(made.finish()), misfits)
    }

    fn write(&self, text: &str, to: &mut String) -> Result<(), String> {
        match self {
            Self::Hash(hash) => {
                let digest = hash.clone().chain_update(text.as_bytes()).finalize().into_bytes();
                for byte in digest {
                    // Writing to a text does not fail.
                    let _ = write!(to, "{byte:02x}");
                }
            }
            Self::Cover { first, last, with } => {
                let count = text.chars().count();
                // A text that would stay whole is covered whole.
                let short = count <= first.saturating_add(*last);
                let shown = |at: usize| !short && (at < *first || at >= count - last);
                to.extend(
                    text.chars().enumerate().map(|(at, c)| if shown(at) { c } else { *with }),
                );
            }
            Self::FormatPreserving { cipher, alphabet } => {
                return encrypted(cipher, alphabet.characters(), text, to);
            }
            // They look at no text.
            Self::Null | Self::Fixed(_) => {}
        }
        Ok(())
    }
}

fn encrypted(
    cipher: &FF1<Aes256>,
    alphabet: &str,
    text: &str,
    to: &mut String,
) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let numeral = |c: char| alphabet.find(c).map(|at| at as u16);
    let numerals: Vec<_> = text.chars().filter_map(numeral).collect();
    let values = (alphabet.len() as u64).saturating_pow(numerals.len() as u32);
    if values < VALUES_MIN {
        let message = "the value has too few characters that others could stand for";
        return Err(message.to_owned());
    }
    let numerals = FlexibleNumeralString::from(numerals);
    let done = cipher.encrypt(&[], &numerals).map_err(|_| "the value is too long".to_owned())?;
    let mut done = Vec::from(done).into_iter();
    to.extend(text.chars().map(|c| match numeral(c) {
        // As many as there were.
        Some(_) => done.next().map_or(c, |n| char::from(alphabet.as_bytes()[usize::from(n)])),
        None => c,
    }));
    Ok(())
}
