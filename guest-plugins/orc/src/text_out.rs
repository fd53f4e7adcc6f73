//! Texts and bytes on their way out, by a dictionary while that pays.

use std::collections::HashMap;

use crate::codec::Codec;
use crate::error::Result;
use crate::ints_out::IntsOut;
use crate::meta::{Encoding, stream};
use crate::out::Out;

/// A dictionary of more bytes is given up.
const DICTIONARY_BYTES_MAX: usize = 1 << 20;
/// What an entry takes beside its bytes, about.
const ENTRY_BYTES: usize = 48;
/// From so many values on, a dictionary has to be shorter than half of them.
const SAMPLE: usize = 1024;

/// The texts of a stripe.
pub(crate) struct TextsOut {
    data: Out,
    lengths: IntsOut,
    /// `None`: values stand one after another.
    dictionary: Option<Dictionary>,
    codec: Codec,
    /// Whether the next stripe begins with a dictionary.
    is_worth_it: bool,
}

#[derive(Default)]
struct Dictionary {
    places: HashMap<Box<[u8]>, u32>,
    /// The place of each value.
    indexes: Vec<u32>,
    bytes: usize,
}

impl Dictionary {
    fn pays(&self) -> bool {
        let is_half = self.indexes.len() < SAMPLE || self.places.len() <= self.indexes.len() / 2;
        is_half && self.bytes <= DICTIONARY_BYTES_MAX
    }

    /// The values by their places.
    fn entries(&self) -> Vec<&[u8]> {
        let mut entries = vec![&[][..]; self.places.len()];
        for (entry, place) in &self.places {
            entries[*place as usize] = entry;
        }
        entries
    }
}

impl TextsOut {
    pub(crate) fn new(codec: Codec, with_dictionary: bool) -> Self {
        Self {
            data: Out::new(codec),
            lengths: IntsOut::new(codec, false),
            dictionary: with_dictionary.then(Dictionary::default),
            codec,
            is_worth_it: with_dictionary,
        }
    }

    pub(crate) fn push(&mut self, value: &[u8]) -> Result<()> {
        let Some(dictionary) = &mut self.dictionary else {
            self.lengths.push(value.len() as i64)?;
            return self.data.write(value);
        };
        let place = match dictionary.places.get(value) {
            Some(place) => *place,
            None => {
                let place = dictionary.places.len() as u32;
                dictionary.bytes += value.len() + ENTRY_BYTES;
                dictionary.places.insert(value.into(), place);
                place
            }
        };
        dictionary.indexes.push(place);
        if dictionary.pays() { Ok(()) } else { self.give_up() }
    }

    fn give_up(&mut self) -> Result<()> {
        self.is_worth_it = false;
        let Some(dictionary) = self.dictionary.take() else { return Ok(()) };
        let entries = dictionary.entries();
        for index in &dictionary.indexes {
            let value = entries[*index as usize];
            self.lengths.push(value.len() as i64)?;
            self.data.write(value)?;
        }
        Ok(())
    }

    pub(crate) fn bytes(&self) -> usize {
        let dictionary = self.dictionary.as_ref();
        let held = dictionary.map_or(0, |it| it.bytes + size_of_val(it.indexes.as_slice()));
        self.data.bytes() + self.lengths.bytes() + held
    }

    /// Hands out the streams by their kinds.
    pub(crate) fn finish(&mut self, put: &mut dyn FnMut(u64, Vec<Vec<u8>>)) -> Result<Encoding> {
        let next = self.is_worth_it.then(Dictionary::default);
        let dictionary = std::mem::replace(&mut self.dictionary, next);
        let Some(dictionary) = dictionary.filter(|it| !it.indexes.is_empty()) else {
            put(stream::DATA, self.data.finish()?);
            put(stream::LENGTH, self.lengths.finish()?);
            return Ok(Encoding::DIRECT_V2);
        };
        let mut indexes = IntsOut::new(self.codec, false);
        for index in &dictionary.indexes {
            indexes.push(i64::from(*index))?;
        }
        put(stream::DATA, indexes.finish()?);
        let entries = dictionary.entries();
        for entry in &entries {
            self.lengths.push(entry.len() as i64)?;
            self.data.write(entry)?;
        }
        put(stream::LENGTH, self.lengths.finish()?);
        put(stream::DICTIONARY, self.data.finish()?);
        Ok(Encoding::dictionary(entries.len()))
    }
}
