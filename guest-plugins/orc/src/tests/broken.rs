//! Files that are cut off, and of which some bytes are others.

use super::round_trip::batch;
use super::*;
use crate::Error;

/// Whatever the bytes: an error or rows.
fn survives(bytes: Vec<u8>) {
    let Ok(file) = File::open(Arc::new(Memory(bytes))) else { return };
    let all: Vec<_> = (0..file.schema().fields().len()).collect();
    for index in 0..file.stripes().count() {
        let Ok(mut stripe) = file.stripe(index, &all) else { continue };
        let mut left = 200;
        while let Ok(Some(_)) = stripe.next(64) {
            left -= 1;
            if left == 0 {
                break;
            }
        }
    }
}

#[test]
fn any_byte_may_be_another_one() {
    for (at, codec) in CODECS.into_iter().enumerate() {
        let batch = batch(60, &mut Random(at as u64 + 3));
        let good = written(std::slice::from_ref(&batch), &batch.schema(), options(codec));
        for place in 0..good.len() {
            for change in [0x01, 0x80, 0xff, good[place]] {
                let mut bytes = good.clone();
                bytes[place] ^= change;
                survives(bytes);
            }
        }
    }
}

#[test]
fn random_bytes_may_stand_in_many_places() {
    let batch = batch(100, &mut Random(11));
    let good = written(std::slice::from_ref(&batch), &batch.schema(), options(Codec::None));
    let mut random = Random(0x1234_5678);
    for _ in 0..3_000 {
        let mut bytes = good.clone();
        for _ in 0..1 + random.below(8) {
            let place = random.below(bytes.len() as u64) as usize;
            bytes[place] = random.next() as u8;
        }
        survives(bytes);
    }
}

#[test]
fn a_file_that_is_cut_anywhere_is_an_error() {
    let batch = batch(60, &mut Random(9));
    let good = written(std::slice::from_ref(&batch), &batch.schema(), options(Codec::Snappy));
    for length in 0..good.len() {
        let found = read(good[..length].to_vec(), 100);
        assert!(matches!(found, Err(Error::Corrupt(_) | Error::Unsupported(_))), "at {length}");
    }
}

#[test]
fn a_hole_is_told_with_its_place() {
    let batch = batch(2_000, &mut Random(21));
    let good = written(std::slice::from_ref(&batch), &batch.schema(), options(Codec::Zlib));
    let mut bytes = good.clone();
    let middle = good.len() / 2;
    bytes[middle..middle + 300].fill(0xa5);
    let error = read(bytes, 100).unwrap_err().to_string();
    assert!(error.starts_with("stripe 0: column \""), "{error}");
    assert!(error.contains("at byte"), "{error}");
}
