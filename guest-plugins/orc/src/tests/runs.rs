//! Runs: the examples of the specification, and every number back.

use std::sync::Arc;

use super::*;
use crate::bytes::{Booleans, Bytes};
use crate::ints::Ints;
use crate::ints_out::IntsOut;
use crate::out::{BooleansOut, BytesOut};
use crate::stream::{Packed, Stream};

fn stream(bytes: &[u8], codec: Codec) -> Stream {
    let packed = Packed::new(codec, 64 << 10).unwrap();
    Stream::new(Arc::new(Memory(bytes.to_vec())), packed, 0, bytes.len() as u64)
}

fn ints(bytes: &[u8], is_signed: bool, is_second: bool, count: usize) -> Vec<i64> {
    let mut out = Vec::new();
    let mut ints = Ints::new(stream(bytes, Codec::None), is_signed, is_second);
    ints.read(count, &mut out).unwrap();
    assert!(ints.read(1, &mut Vec::new()).is_err(), "there is no more");
    out
}

#[test]
fn integers_of_the_first_form() {
    assert_eq!(ints(&[0x61, 0x00, 0x07], false, false, 100), [7; 100]);
    let down: Vec<_> = (1..=100).rev().collect();
    assert_eq!(ints(&[0x61, 0xff, 0x64], false, false, 100), down);
    assert_eq!(ints(&[0xfb, 2, 3, 6, 7, 0xb], false, false, 5), [2, 3, 6, 7, 11]);
}

#[test]
fn integers_of_the_second_form() {
    assert_eq!(ints(&[0x0a, 0x27, 0x10], false, true, 5), [10_000; 5]);
    let direct = [0x5e, 0x03, 0x5c, 0xa1, 0xab, 0x1e, 0xde, 0xad, 0xbe, 0xef];
    assert_eq!(ints(&direct, false, true, 4), [23_713, 43_806, 57_005, 48_879]);
    let delta = [0xc6, 0x09, 0x02, 0x02, 0x22, 0x42, 0x42, 0x46];
    assert_eq!(ints(&delta, false, true, 10), [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]);
    let patched = [
        0x8e, 0x13, 0x2b, 0x21, 0x07, 0xd0, 0x1e, 0x00, 0x14, 0x70, 0x28, 0x32, 0x3c, 0x46, 0x50,
        0x5a, 0x64, 0x6e, 0x78, 0x82, 0x8c, 0x96, 0xa0, 0xaa, 0xb4, 0xbe, 0xfc, 0xe8,
    ];
    let expected = [[2030, 2000, 2020, 1_000_000].to_vec(), (2040..=2190).step_by(10).collect()];
    assert_eq!(ints(&patched, false, true, 20), expected.concat());
}

#[test]
fn bytes_and_bits() {
    let mut out = Vec::new();
    Bytes::new(stream(&[0x61, 0x00, 0xfe, 0x44, 0x45], Codec::None)).read(102, &mut out).unwrap();
    assert_eq!(out, [[0; 100].as_slice(), &[0x44, 0x45]].concat());
    let bits = Booleans::new(stream(&[0xff, 0x80], Codec::None)).read(8).unwrap();
    assert_eq!(
        bits.iter().collect::<Vec<_>>(),
        [true, false, false, false, false, false, false, false]
    );
}

/// Of several shapes: random, of few bits, rising, falling, repeated, steady, extreme.
fn numbers(random: &mut Random, is_signed: bool) -> Vec<i64> {
    let mut values = Vec::new();
    for _ in 0..60 {
        let (length, shape) = (random.below(700) as usize, random.below(8));
        let bits = random.below(64);
        let mut value = (random.next() >> bits) as i64;
        for _ in 0..length {
            value = match shape {
                0 => (random.next() >> bits) as i64,
                1 => value,
                2 => value.wrapping_add(random.below(100) as i64),
                3 => value.wrapping_sub(random.below(1000) as i64),
                4 => value.wrapping_add(7),
                5 => [i64::MIN, i64::MAX, 0, -1][random.below(4) as usize],
                6 => value.wrapping_add(i64::from(random.below(9) == 0)),
                _ => random.below(3) as i64,
            };
            values.push(if is_signed { value } else { value & i64::MAX });
        }
    }
    values
}

#[test]
fn any_integers_come_back() {
    for seed in 1..40 {
        for is_signed in [true, false] {
            let values = numbers(&mut Random(seed * 0x9e37_79b9), is_signed);
            let codec = CODECS[seed as usize % CODECS.len()];
            let mut out = IntsOut::new(codec, is_signed);
            values.iter().for_each(|value| out.push(*value).unwrap());
            let bytes = out.finish().unwrap().concat();
            let mut ints = Ints::new(stream(&bytes, codec), is_signed, true);
            let (mut found, mut random) = (Vec::new(), Random(seed));
            while found.len() < values.len() {
                let count = (random.below(900) as usize).min(values.len() - found.len());
                ints.read(count, &mut found).unwrap();
            }
            assert!(found == values, "seed {seed}, signed {is_signed}");
        }
    }
}

#[test]
fn integers_that_follow_a_rule_take_little_room() {
    let bytes = |values: &mut dyn Iterator<Item = i64>| {
        let mut out = IntsOut::new(Codec::None, true);
        values.for_each(|value| out.push(value).unwrap());
        out.finish().unwrap().concat().len()
    };
    assert!(bytes(&mut (0..100_000)) < 2_000);
    assert!(bytes(&mut std::iter::repeat_n(5, 100_000)) < 1_000);
    assert!(bytes(&mut (0..10_000).map(|it| 1_000_000 + it * 3 + it % 2)) < 6_000);
}

#[test]
fn any_bytes_and_bits_come_back() {
    for seed in 1..30_u64 {
        let mut random = Random(seed * 0x9e37_79b9);
        let variety = 1 + random.below(4);
        let values: Vec<_> = (0..5_000).map(|_| random.below(variety) as u8).collect();
        let mut out = BytesOut::new(Codec::None);
        values.iter().for_each(|value| out.push(*value).unwrap());
        let (mut bytes, mut found) =
            (Bytes::new(stream(&out.finish().unwrap().concat(), Codec::None)), Vec::new());
        bytes.read(1_234, &mut found).unwrap();
        bytes.read(values.len() - 1_234, &mut found).unwrap();
        assert_eq!(found, values, "seed {seed}");

        let mut out = BooleansOut::new(Codec::Zstd);
        let mut wanted: Vec<_> = values.iter().map(|value| *value == 0).collect();
        wanted.iter().for_each(|bit| out.push(*bit).unwrap());
        out.push_true(77).unwrap();
        wanted.resize(wanted.len() + 77, true);
        let bytes = out.finish().unwrap().concat();
        let (mut bits, mut found) = (Booleans::new(stream(&bytes, Codec::Zstd)), Vec::new());
        while found.len() < wanted.len() {
            let count = (random.below(50) as usize).min(wanted.len() - found.len());
            found.extend(bits.read(count).unwrap().iter());
        }
        assert_eq!(found, wanted, "seed {seed}");
    }
}
