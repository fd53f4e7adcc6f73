use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_schema::{Field, Schema};

use std::sync::Arc;

use arrow_buffer::i256;

use super::*;
use crate::Decoder;
use crate::postgresql::column::{OUT_OF_RANGE, date, instant, narrow, wide};

fn decoder(kinds: &[Kind]) -> CopyDecoder {
    let field =
        |(index, kind): (usize, &Kind)| Field::new(format!("c{index}"), data_type(kind), true);
    let fields: Vec<_> = kinds.iter().enumerate().map(field).collect();
    let how = CopyDecoding { kinds: kinds.to_vec() };
    CopyDecoder::new(&how, Arc::new(Schema::new(fields))).unwrap()
}

fn copy(rows: &[Vec<Option<Vec<u8>>>]) -> Vec<u8> {
    let mut bytes = SIGNATURE.to_vec();
    bytes.extend([0; 8]);
    for row in rows {
        bytes.extend((row.len() as i16).to_be_bytes());
        for value in row {
            match value {
                None => bytes.extend((-1_i32).to_be_bytes()),
                Some(value) => {
                    bytes.extend((value.len() as i32).to_be_bytes());
                    bytes.extend(value);
                }
            }
        }
    }
    bytes.extend((-1_i16).to_be_bytes());
    bytes
}

fn sample() -> (Vec<Kind>, Vec<u8>) {
    let list = Kind::Array(Box::new(Kind::Int4), 23);
    let mut array = Vec::new();
    for word in [1, 1, 23, 2, 1, 4, 7, -1_i32] {
        array.extend(word.to_be_bytes());
    }
    let rows = [
        vec![Some(5_i64.to_be_bytes().to_vec()), Some(b"abc".to_vec()), Some(array)],
        vec![None, None, None],
        vec![Some((-1_i64).to_be_bytes().to_vec()), Some(b"bad \xff".to_vec()), None],
        vec![Some(6_i64.to_be_bytes().to_vec()), Some(Vec::new()), Some(vec![0; 12])],
    ];
    (vec![Kind::Int8, Kind::Text, list], copy(&rows))
}

#[test]
fn rows_are_the_same_however_the_bytes_are_cut() {
    let (kinds, bytes) = sample();
    let whole = {
        let mut decoder = decoder(&kinds);
        decoder.feed(&bytes).unwrap();
        decoder.finish().unwrap();
        decoder.gathered(0).unwrap().rows
    };
    assert_eq!(whole.num_rows(), 3);
    let ids = whole.column(0).as_primitive::<Int64Type>();
    assert_eq!((ids.value(0), ids.is_null(1), ids.value(2)), (5, true, 6));
    assert_eq!(whole.column(1).as_string::<i32>().value(0), "abc");
    let lists = whole.column(2).as_list::<i32>();
    let first = lists.value(0);
    let first = first.as_primitive::<Int32Type>();
    assert_eq!((first.value(0), first.is_null(1), first.len()), (7, true, 2));
    assert_eq!(lists.value(2).len(), 0);
    for size in 1..bytes.len() {
        let mut decoder = decoder(&kinds);
        bytes.chunks(size).for_each(|chunk| decoder.feed(chunk).unwrap());
        decoder.finish().unwrap();
        let gathered = decoder.gathered(0).unwrap();
        assert_eq!(gathered.rows, whole, "pieces of {size}");
        assert_eq!((gathered.records, gathered.flawed.len()), (4, 1));
        assert_eq!(gathered.flawed[0].record, 2);
        assert_eq!(gathered.flawed[0].code, "postgresql.text_invalid");
    }
}

#[test]
fn an_end_in_the_middle_is_noticed() {
    let (kinds, bytes) = sample();
    for end in 0..bytes.len() {
        let mut decoder = decoder(&kinds);
        decoder.feed(&bytes[..end]).unwrap();
        assert!(decoder.finish().is_err(), "{end}");
    }
    let mut decoder = decoder(&kinds);
    decoder.feed(&bytes).unwrap();
    assert!(decoder.feed(b"x").is_err());
}

/// A server may send anything: an answer, a fault, never a panic.
#[test]
fn broken_bytes_do_no_harm() {
    let (kinds, bytes) = sample();
    for index in 0..bytes.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut broken = bytes.clone();
            broken[index] = value;
            let mut decoder = decoder(&kinds);
            if decoder.feed(&broken).is_ok() {
                let rows = decoder.rows;
                assert_eq!(decoder.gathered(0).unwrap().rows.num_rows(), rows);
            }
        }
    }
    let all = [
        Kind::Bool,
        Kind::Int2,
        Kind::Int4,
        Kind::Int8,
        Kind::Float4,
        Kind::Float8,
        Kind::Jsonb,
        Kind::Uuid,
        Kind::Date,
        Kind::Time,
        Kind::TimestampTz,
        Kind::Oid,
        Kind::Numeric { precision: 10, scale: 2 },
        Kind::Numeric { precision: 70, scale: 2 },
        Kind::Array(Box::new(Kind::Text), 25),
    ];
    for kind in all {
        let mut decoder = decoder(std::slice::from_ref(&kind));
        decoder.feed(&copy(&[vec![Some(b"abc".to_vec())], vec![None]])).unwrap();
        assert_eq!((decoder.rows, decoder.flawed.len()), (1, 1), "{kind:?}");
        assert_eq!(decoder.gathered(0).unwrap().rows.num_rows(), 1);
    }
}

#[test]
fn extremes_stand_for_infinity_and_decimals_have_none() {
    assert_eq!((date(i32::MAX), date(i32::MIN), date(0)), (Ok(i32::MAX), Ok(i32::MIN), Ok(10_957)));
    assert_eq!(instant(i64::MAX), Ok(i64::MAX));
    assert_eq!(instant(0), Ok(946_684_800_000_000));
    assert_eq!(instant(i64::MAX - 1), Err(OUT_OF_RANGE));
    let nan = [0, 0, 0, 0, 0xc0, 0, 0, 0];
    assert_eq!(narrow(&nan, &Kind::Numeric { precision: 5, scale: 1 }), Ok(i128::MIN));
    assert_eq!(wide(&nan, &Kind::Numeric { precision: 50, scale: 1 }), Ok(i256::MIN));
    let hundred = [0, 1, 0, 0, 0, 0, 0, 0, 0, 100];
    assert_eq!(narrow(&hundred, &Kind::Numeric { precision: 2, scale: 0 }), Err(OUT_OF_RANGE));
}

/// Messages of the server, cut wherever the network cut them.
#[test]
fn messages_are_taken_whole_and_others_left() {
    let (kinds, bytes) = sample();
    let mut stream = Vec::new();
    for body in bytes.chunks(7) {
        stream.push(b'd');
        stream.extend((body.len() as u32 + 4).to_be_bytes());
        stream.extend(body);
    }
    let end = stream.len();
    stream.extend(b"c\0\0\0\x04");
    let budget = Budget { rows: 1000, bytes: 1 << 20 };
    for size in 1..end {
        let mut decoder = decoder(&kinds);
        let (mut from, mut to) = (0, 0);
        while from < end {
            to = (to + size).min(stream.len());
            let decoded = decoder.decode(&stream[from..to], false, budget).unwrap();
            assert_eq!(decoded.records, 0);
            from += decoded.taken;
        }
        assert_eq!(from, end, "pieces of {size}");
        let decoded = decoder.decode(&[], true, budget).unwrap();
        assert_eq!((decoded.records, decoded.rows.num_rows()), (4, 3));
    }
    let one = Budget { rows: 1, bytes: 1 << 20 };
    let decoded = decoder(&kinds).decode(&stream, false, one).unwrap();
    assert!(decoded.records >= 1 && decoded.taken < end);
}
