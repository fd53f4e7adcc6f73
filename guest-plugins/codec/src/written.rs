//! How single bytes and byte texts stand in the options of a codec: as JSON strings.

use serde::{Deserialize, Deserializer, Serializer, de};

/// A byte of ASCII.
pub(crate) mod byte {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(byte: &u8, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_char(char::from(*byte))
    }

    pub(crate) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<u8, D::Error> {
        u8::try_from(char::deserialize(from)?)
            .map_err(|_| de::Error::custom("no character of one byte"))
    }
}

/// A byte of ASCII, or null.
pub(crate) mod maybe_byte {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(byte: &Option<u8>, to: S) -> Result<S::Ok, S::Error> {
        match byte {
            Some(byte) => byte::serialize(byte, to),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Option<u8>, D::Error> {
        let read =
            |c: char| u8::try_from(c).map_err(|_| de::Error::custom("no character of one byte"));
        Option::<char>::deserialize(from)?.map(read).transpose()
    }
}

/// Bytes of UTF-8.
pub(crate) mod text {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(bytes) {
            Ok(text) => to.serialize_str(text),
            Err(_) => Err(serde::ser::Error::custom("no text")),
        }
    }

    pub(crate) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Vec<u8>, D::Error> {
        String::deserialize(from).map(String::into_bytes)
    }
}
