//! Texts and bytes, one after another or by their place in a dictionary.

use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, StringArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

use crate::column::Presence;
use crate::error::{Error, Result};
use crate::ints::Ints;
use crate::stream::Stream;

/// Lengths that are read at once.
const LENGTHS_AT_ONCE: usize = 4096;

/// Where the bytes of values are.
pub(crate) enum Texts {
    Direct {
        data: Stream,
        lengths: Ints,
    },
    Dictionary {
        indexes: Ints,
        /// Read at the first value.
        unread: Option<Box<(Stream, Ints, usize)>>,
        offsets: Vec<usize>,
        bytes: Vec<u8>,
    },
}

fn too_large() -> Error {
    Error::TooLarge("its values in one batch take more than 2 GiB".into())
}

/// A length as files have it.
pub(crate) fn length(value: i64) -> Result<usize> {
    usize::try_from(value).map_err(|_| Error::corrupt("a length is below zero"))
}

impl Texts {
    /// The next values, those of rows that have none being empty.
    pub(crate) fn read(&mut self, presence: &Presence, is_text: bool) -> Result<ArrayRef> {
        let mut numbers = Vec::new();
        let (offsets, bytes) = match self {
            Self::Direct { data, lengths } => {
                lengths.read(presence.count, &mut numbers)?;
                let offsets = offsets(&numbers, presence, |it| length(*it))?;
                let mut bytes = Vec::new();
                data.append(offsets.last().map_or(0, |last| *last as usize), &mut bytes)?;
                (offsets, bytes)
            }
            Self::Dictionary { indexes, unread, offsets: places, bytes: all } => {
                if let Some(dictionary) = unread.take() {
                    (*places, *all) = read_dictionary(*dictionary)?;
                }
                indexes.read(presence.count, &mut numbers)?;
                let place = |index: &i64| {
                    let index = usize::try_from(*index).ok();
                    let found = index.and_then(|at| Some((places.get(at)?, places.get(at + 1)?)));
                    found.ok_or_else(|| Error::corrupt("a value is outside its dictionary"))
                };
                let offsets = offsets(&numbers, presence, |index| {
                    place(index).map(|(begin, end)| end - begin)
                })?;
                let total = offsets.last().map_or(0, |last| *last as usize);
                let mut bytes = Vec::with_capacity(total);
                for index in &numbers {
                    let (begin, end) = place(index)?;
                    bytes.extend_from_slice(&all[*begin..*end]);
                }
                (offsets, bytes)
            }
        };
        array(offsets, bytes, presence.nulls.clone(), is_text)
    }
}

fn array(
    offsets: Vec<i32>,
    bytes: Vec<u8>,
    nulls: Option<NullBuffer>,
    is_text: bool,
) -> Result<ArrayRef> {
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    let bytes = Buffer::from(bytes);
    Ok(match is_text {
        true => {
            let texts = StringArray::try_new(offsets, bytes, nulls);
            Arc::new(texts.map_err(|_| Error::corrupt("a text is not in UTF-8"))?) as ArrayRef
        }
        false => {
            let bytes = BinaryArray::try_new(offsets, bytes, nulls);
            Arc::new(bytes.map_err(|error| Error::corrupt(error.to_string()))?)
        }
    })
}

/// Where the values of rows end, of which some have none.
pub(crate) fn offsets<T>(
    values: &[T],
    presence: &Presence,
    length: impl Fn(&T) -> Result<usize>,
) -> Result<Vec<i32>> {
    let mut offsets = Vec::with_capacity(presence.rows + 1);
    offsets.push(0);
    let mut end = 0_usize;
    let mut next = |value: &T| {
        end = end.checked_add(length(value)?).ok_or_else(too_large)?;
        i32::try_from(end).map_err(|_| too_large())
    };
    match &presence.nulls {
        None => {
            for value in values {
                offsets.push(next(value)?);
            }
        }
        Some(nulls) => {
            let (mut values, mut last) = (values.iter(), 0);
            for is_there in nulls {
                if let Some(value) = is_there.then(|| values.next()).flatten() {
                    last = next(value)?;
                }
                offsets.push(last);
            }
        }
    }
    Ok(offsets)
}

/// Where each value begins, with the end of the last, and all bytes.
fn read_dictionary(
    (mut data, mut lengths, size): (Stream, Ints, usize),
) -> Result<(Vec<usize>, Vec<u8>)> {
    let (mut offsets, mut bytes, mut numbers) = (vec![0], Vec::new(), Vec::new());
    let mut left = size;
    while left > 0 {
        numbers.clear();
        lengths.read(left.min(LENGTHS_AT_ONCE), &mut numbers)?;
        left -= numbers.len();
        for value in &numbers {
            data.append(length(*value)?, &mut bytes)?;
            offsets.push(bytes.len());
        }
    }
    Ok((offsets, bytes))
}
