use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Decimal256Type, Int32Type, TimestampMicrosecondType, UInt16Type,
    UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_buffer::i256;
use arrow_schema::{DataType, Field, Schema};

use super::decode::RowDecoder;
use super::value::{Cell, NO_DAY, NO_DECIMAL, Parts, ZERO_DATE, decimal, moment, time};
use super::{Kind, RowDecoding, data_type};
use crate::temporal::DAY_US;
use crate::{Budget, Decoded, Decoder};

const ALL: Budget = Budget { rows: u32::MAX, bytes: usize::MAX };

fn decoder(how: &RowDecoding) -> RowDecoder {
    let mut kinds: Vec<DataType> = how.kinds.iter().map(|kind| data_type(*kind)).collect();
    kinds.extend(how.zero_is_null.then_some(DataType::Boolean));
    kinds.extend(how.has_key.then_some(DataType::Utf8));
    let field = |(at, kind)| Field::new(format!("c{at}"), kind, true);
    let fields: Vec<_> = kinds.into_iter().enumerate().map(field).collect();
    RowDecoder::new(how.clone(), Arc::new(Schema::new(fields))).unwrap()
}

fn plain(kinds: &[Kind]) -> RowDecoding {
    RowDecoding { kinds: kinds.to_vec(), zero_is_null: false, has_key: false }
}

/// A packet, or several where one is too small.
fn packet(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in body.chunks(0xff_ffff) {
        bytes.extend(&(part.len() as u32).to_le_bytes()[..3]);
        bytes.push(7);
        bytes.extend(part);
    }
    if body.len().is_multiple_of(0xff_ffff) {
        bytes.extend([0, 0, 0, 7]);
    }
    bytes
}

/// A row of values that are there or not.
fn row(values: &[Option<Vec<u8>>]) -> Vec<u8> {
    let mut body = vec![0; 1 + (values.len() + 2).div_ceil(8)];
    for (at, value) in values.iter().enumerate() {
        match value {
            Some(value) => body.extend(value),
            None => body[1 + (at + 2) / 8] |= 1 << ((at + 2) % 8),
        }
    }
    packet(&body)
}

fn text(text: &[u8]) -> Vec<u8> {
    let length = match text.len() {
        0..=250 => vec![text.len() as u8],
        251..=0xffff => [&[0xfc], &(text.len() as u16).to_le_bytes()[..]].concat(),
        _ => [&[0xfd], &(text.len() as u32).to_le_bytes()[..3]].concat(),
    };
    [&length, text].concat()
}

/// Everything that the bytes hold.
fn read(how: &RowDecoding, bytes: &[u8]) -> crate::Result<Decoded> {
    let mut decoder = decoder(how);
    let taken = decoder.decode(bytes, false, ALL)?.taken;
    Ok(Decoded { taken, ..decoder.decode(&[], true, ALL)? })
}

fn value(kind: Kind, bytes: Vec<u8>) -> RecordBatch {
    read(&plain(&[kind]), &row(&[Some(bytes)])).unwrap().rows
}

#[test]
fn values_are_those_that_were_sent() {
    let number = |kind, bytes: &[u8]| {
        let rows = value(kind, bytes.to_vec());
        arrow_array::cast::downcast_array::<arrow_array::PrimitiveArray<UInt64Type>>(rows.column(0))
            .value(0)
    };
    assert_eq!(number(Kind::Int(8, true), &[0xff; 8]), u64::MAX);
    assert_eq!(number(Kind::Bits, &[2, 0x08, 0x01]), 2049);
    let rows = value(Kind::Int(4, false), vec![0xfe, 0xff, 0xff, 0xff]);
    assert_eq!(rows.column(0).as_primitive::<Int32Type>().value(0), -2);
    let rows = value(Kind::Year, vec![0x6b, 0x08]);
    assert_eq!(rows.column(0).as_primitive::<UInt16Type>().value(0), 2155);
    assert!(value(Kind::Bool, vec![1, 1]).column(0).as_boolean().value(0));
    let rows = value(Kind::Decimal(15, 2), text(b"-1.5"));
    assert_eq!(rows.column(0).as_primitive::<Decimal128Type>().value(0), -150);
    let rows = value(Kind::Decimal(65, 30), text(b"0.000000000000000000000000000001"));
    assert_eq!(rows.column(0).as_primitive::<Decimal256Type>().value(0), i256::ONE);
    let rows = value(Kind::Date, vec![4, 0xb2, 7, 1, 3]);
    assert_eq!(rows.column(0).as_primitive::<Date32Type>().value(0), 2);
    let rows = value(Kind::Timestamp, vec![11, 0xb1, 7, 12, 31, 23, 59, 59, 5, 0, 0, 0]);
    assert_eq!(rows.column(0).as_primitive::<TimestampMicrosecondType>().value(0), 5 - 1_000_000);
    let rows = value(Kind::Time, vec![8, 1, 34, 0, 0, 0, 22, 59, 59]);
    assert_eq!(rows.column(0).as_string::<i32>().value(0), "-838:59:59");
    let long = "x".repeat(70_000);
    let rows = value(Kind::Text, text(long.as_bytes()));
    assert_eq!(rows.column(0).as_string::<i32>().value(0), long);
    assert_eq!(
        value(Kind::Bytes, text(b"\xff\0")).column(0).as_binary::<i32>().value(0),
        b"\xff\0"
    );
}

#[test]
fn moments_and_times_are_read() {
    let moment = |bytes: &[u8]| {
        let read = moment(&mut Parts::new(bytes)).unwrap();
        read.map(|(days, micros)| days * DAY_US + micros)
    };
    assert_eq!(moment(&[4, 0xb2, 7, 1, 2]), Ok(DAY_US));
    assert_eq!(moment(&[11, 0xb2, 7, 1, 1, 0, 0, 1, 5, 0, 0, 0]), Ok(1_000_005));
    assert_eq!(moment(&[0]), Err(ZERO_DATE));
    assert_eq!(moment(&[4, 0xb2, 7, 0, 2]), Err(ZERO_DATE));
    assert_eq!(moment(&[4, 0xb2, 7, 2, 30]), Err(NO_DAY));
    assert_eq!(moment(&[4, 0xb2, 7, 13, 1]), Err(NO_DAY));
    let time = |bytes: &[u8]| {
        let mut out = Vec::new();
        time(&mut Parts::new(bytes)).unwrap().push(&mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(time(&[0]), "00:00:00");
    assert_eq!(time(&[8, 1, 34, 0, 0, 0, 22, 59, 59]), "-838:59:59");
    assert_eq!(time(&[12, 0, 0, 0, 0, 0, 1, 2, 3, 0x20, 0xa1, 7, 0]), "01:02:03.5");
}

#[test]
fn decimals_keep_all_digits() {
    let digits = |text: &str, digits, scale| match decimal(text.as_bytes(), digits, scale) {
        Ok(Cell::Narrow(number)) => Ok(number.to_string()),
        Ok(Cell::Wide(number)) => Ok(number.to_string()),
        Ok(other) => panic!("{other:?}"),
        Err(misfit) => Err(misfit),
    };
    assert_eq!(digits("-1.50", 5, 2), Ok("-150".into()));
    assert_eq!(digits("-0.05", 5, 2), Ok("-5".into()));
    assert_eq!(digits("7", 5, 3), Ok("7000".into()));
    assert_eq!(digits("1.234", 5, 2), Err(NO_DECIMAL));
    assert_eq!(digits("", 5, 2), Err(NO_DECIMAL));
    let wide = "9".repeat(65);
    assert_eq!(digits(&wide, 65, 0), Ok(wide.clone()));
    assert_eq!(digits(&wide, 38, 0), Err(NO_DECIMAL));
}

fn sample() -> (RowDecoding, Vec<u8>) {
    let kinds = vec![Kind::Int(4, false), Kind::Text, Kind::Date];
    let how = RowDecoding { kinds, zero_is_null: true, has_key: true };
    let int = |number: i32| Some(number.to_le_bytes().to_vec());
    let day = |day| Some(vec![4, 0xb2, 7, 1, day]);
    let rows = [
        row(&[int(5), Some(text(b"abc")), day(2), Some(text(b"k1"))]),
        row(&[None, None, None, Some(text(b"k2"))]),
        row(&[int(6), Some(text(b"bad \xff")), day(2), Some(text(b"k3"))]),
        row(&[int(7), Some(text(b"")), day(0), Some(text(b"k4"))]),
    ];
    (how, rows.concat())
}

#[test]
fn rows_are_the_same_however_the_bytes_are_cut() {
    let (how, bytes) = sample();
    let whole = read(&how, &bytes).unwrap();
    assert_eq!((whole.taken, whole.records, whole.rows.num_rows()), (bytes.len(), 4, 3));
    let ids = whole.rows.column(0).as_primitive::<Int32Type>();
    assert_eq!((ids.value(0), ids.is_null(1), ids.value(2)), (5, true, 7));
    assert!(whole.rows.column(2).is_null(2));
    let zeros: Vec<_> = whole.rows.column(3).as_boolean().iter().collect();
    assert_eq!(zeros, [Some(false), Some(false), Some(true)]);
    let keys: Vec<_> = whole.rows.column(4).as_string::<i32>().iter().flatten().collect();
    assert_eq!(keys, ["k1", "k2", "k4"]);
    let flawed = &whole.flawed[0];
    assert_eq!((flawed.record, flawed.code.as_str()), (2, "mysql.text_invalid"));
    assert_eq!(super::key(&how, &flawed.data).unwrap().as_deref(), Some("k3"));
    for size in 1..bytes.len() {
        let (mut decoder, mut unread) = (decoder(&how), Vec::new());
        for piece in bytes.chunks(size) {
            unread.extend_from_slice(piece);
            let taken = decoder.decode(&unread, false, ALL).unwrap().taken;
            unread.drain(..taken);
        }
        let gathered = decoder.decode(&[], true, ALL).unwrap();
        assert_eq!((unread.len(), gathered.rows), (0, whole.rows.clone()), "pieces of {size}");
    }
}

#[test]
fn budgets_hold_and_other_packets_stay() {
    let (how, bytes) = sample();
    let mut two = decoder(&how);
    let first = two.decode(&bytes, false, Budget { rows: 2, bytes: usize::MAX }).unwrap();
    assert_eq!((first.records, first.rows.num_rows()), (2, 2));
    let rest = two.decode(&bytes[first.taken..], false, Budget { rows: 1, bytes: 1 }).unwrap();
    assert_eq!((rest.records, rest.flawed.len()), (1, 1));
    // NULLs take their room too, however short their row is.
    let many = row(&vec![None; 1000]).repeat(100);
    let mut wide = decoder(&plain(&[Kind::Decimal(65, 0); 1000]));
    let some = wide.decode(&many, false, Budget { rows: 1000, bytes: 64_000 }).unwrap();
    assert_eq!(some.records, 2);
    for end in [packet(b"\xfe\0\0\x02\0"), packet(b"\xff\x10\x04#08S01gone")] {
        let followed = [bytes.clone(), end].concat();
        assert_eq!(read(&how, &followed).unwrap().taken, bytes.len());
    }
    for strange in [packet(b""), packet(b"\x01abc"), packet(b"\0\0")] {
        let followed = [bytes.clone(), strange].concat();
        assert_eq!(read(&how, &followed).unwrap_err().code, "mysql.protocol");
    }
}

#[test]
fn a_row_of_several_packets_is_one() {
    for length in [0xff_ffff - 6, 17 << 20, (0xff_ffff * 2) - 6] {
        let bytes = row(&[Some(text(&vec![b'x'; length.min(0xff_ffff)])), None]);
        let large = row(&[
            Some([&[0xfe], &(length as u64).to_le_bytes()[..], &vec![b'y'; length]].concat()),
            None,
        ]);
        let how = plain(&[Kind::Text, Kind::Year]);
        let all = read(&how, &[large.clone(), bytes].concat()).unwrap();
        assert_eq!(all.rows.column(0).as_string::<i32>().value(0).len(), length);
        assert_eq!(all.records, 2);
        assert_eq!(read(&how, &large[..large.len() - 1]).unwrap().taken, 0);
    }
}

#[test]
fn options_that_are_not_of_the_columns_are_refused() {
    let schema = |kind| Arc::new(Schema::new(vec![Field::new("c", kind, true)]));
    let open = |how, kind| RowDecoder::new(how, schema(kind)).map(|_| ()).map_err(|f| f.code);
    assert_eq!(open(plain(&[Kind::Year]), DataType::UInt16), Ok(()));
    assert_eq!(open(plain(&[Kind::Year]), DataType::Int16), Err("codec.options"));
    assert_eq!(open(plain(&[]), DataType::Int16), Err("codec.options"));
    let odd = DataType::Int64;
    assert_eq!(open(plain(&[Kind::Int(3, false)]), odd), Err("codec.options"));
    let negative = DataType::Decimal128(5, -1);
    assert_eq!(open(plain(&[Kind::Decimal(5, -1)]), negative), Err("codec.options"));
}

/// A guest may hand over anything: an answer, a fault, never a panic.
#[test]
fn broken_bytes_do_no_harm() {
    let (how, bytes) = sample();
    let check = |how: &RowDecoding, bytes: &[u8]| {
        if let Ok(decoded) = read(how, bytes) {
            assert_eq!(decoded.records as usize, decoded.rows.num_rows() + decoded.flawed.len());
            assert!(decoded.taken <= bytes.len());
        }
    };
    for index in 0..bytes.len() {
        for value in [0, 1, 0x7f, 0x80, 0xfb, 0xfc, 0xfd, 0xfe, 0xff] {
            let mut broken = bytes.clone();
            broken[index] = value;
            check(&how, &broken);
        }
        check(&how, &bytes[index..]);
    }
    let kinds = [
        Kind::Bool,
        Kind::Bits,
        Kind::Int(1, false),
        Kind::Int(2, true),
        Kind::Int(8, false),
        Kind::Year,
        Kind::Float,
        Kind::Double,
        Kind::Decimal(10, 2),
        Kind::Decimal(65, 30),
        Kind::Text,
        Kind::Bytes,
        Kind::Date,
        Kind::Time,
        Kind::DateTime,
        Kind::Timestamp,
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..20_000 {
        let chosen: Vec<_> = (0..=random() % 3).map(|_| kinds[(random() % 16) as usize]).collect();
        let how =
            RowDecoding { kinds: chosen, zero_is_null: round % 2 == 0, has_key: round % 3 == 0 };
        let mut body: Vec<u8> = (0..random() % 40).map(|_| random() as u8).collect();
        // Half of them get past the first bytes.
        if round % 2 == 0 && body.len() > 2 {
            (body[0], body[1]) = (0, 0);
        }
        check(&how, &packet(&body));
        check(&how, &body);
    }
}
