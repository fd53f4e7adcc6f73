use super::*;

/// What one value becomes by DataX's table, or why it is dirty.
fn by_datax(column: ArrayRef, to: DataType, zone: &str) -> String {
    let from = field(column.data_type().clone());
    let (values, dirty) = cast_in(from, field(to), column, &placed(Casts::DataX, zone));
    match dirty.first() {
        Some((_, code)) => code.clone(),
        None => values[0].clone().unwrap_or_default(),
    }
}

#[test]
fn the_table_of_datax() {
    use DataType as T;
    let long = |value: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![value])) };
    let int = |value: i32| -> ArrayRef { Arc::new(Int32Array::from(vec![value])) };
    let double = |value: f64| -> ArrayRef { Arc::new(Float64Array::from(vec![value])) };
    let decimal = |value: i128| -> ArrayRef {
        Arc::new(Decimal128Array::from(vec![value]).with_precision_and_scale(10, 4).unwrap())
    };
    let truth = |value| -> ArrayRef { Arc::new(arrow_array::BooleanArray::from(vec![value])) };
    let bytes = |value: &[u8]| -> ArrayRef { Arc::new(BinaryArray::from(vec![value])) };
    let date = |value| -> ArrayRef { Arc::new(Date32Array::from(vec![value])) };
    let local = |value| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(vec![value])) };
    let instant = |value| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(vec![value]).with_timezone("UTC"))
    };
    let time =
        |value| -> ArrayRef { Arc::new(arrow_array::Time64MicrosecondArray::from(vec![value])) };
    let text = |value: &str| texts(&[Some(value)]);
    let (hour, dirty) = (3_600_000_000_i64, "cast.no_value");
    let clock = T::Time64(TimeUnit::Microsecond);
    let table = [
        // Long
        (long(1 << 40), T::Int32, dirty),
        (int(-1), T::Int64, "-1"),
        (long((1 << 53) + 1), T::Float64, "9007199254740992.0"),
        (long(100_000), T::Decimal128(5, 2), dirty),
        (long(7), T::Utf8, "7"),
        (long(-2), T::Boolean, "true"),
        (int(0), T::Boolean, "false"),
        (long(0), micros(None), "1970-01-01T08:00:00"),
        (long(1_500), micros(Some("UTC")), "1970-01-01T00:00:01.500Z"),
        (long(57_600_000), T::Date32, "1970-01-02"),
        (int(57_599_999), T::Date32, "1970-01-01"),
        (long(0), clock.clone(), "08:00:00"),
        (long(1), T::Binary, dirty),
        // Double
        (double(-1.9), T::Int64, "-1"),
        (double(1e20), T::Int64, dirty),
        (double(f64::NAN), T::Int64, dirty),
        (decimal(19_999), T::Int64, "1"),
        (decimal(12_345), T::Decimal128(10, 2), "1.23"),
        (decimal(12_350), T::Decimal128(10, 2), "1.24"),
        (decimal(12_500), T::Float64, "1.25"),
        (double(1.255), T::Decimal128(5, 1), "1.3"),
        (double(1e300), T::Float32, dirty),
        (double(0.5), T::Float32, "0.5"),
        (decimal(12_500), T::Utf8, "1.2500"),
        (double(1.5), T::Date32, dirty),
        (double(1.0), T::Boolean, dirty),
        (decimal(10_000), micros(None), dirty),
        (double(1.0), T::Binary, dirty),
        // String
        (text("1.9"), T::Int64, "1"),
        (text("-1.9e2"), T::Int16, "-190"),
        (text("1e5"), T::Int16, dirty),
        (text("18446744073709551615"), T::UInt64, "18446744073709551615"),
        (text("NaN"), T::Int64, dirty),
        (text(""), T::Int64, dirty),
        (text("123456789012345678"), T::Float64, "1.2345678901234568e17"),
        (text("Infinity"), T::Float64, "inf"),
        (text("1e400"), T::Float64, dirty),
        (text("1.255"), T::Decimal128(5, 2), "1.26"),
        (text("2025-01-31 10:00:00"), micros(None), "2025-01-31T10:00:00"),
        (text("2025-01-31 10:00:00"), micros(Some("UTC")), "2025-01-31T02:00:00Z"),
        (text("2025-01-31T10:00:00Z"), micros(None), "2025-01-31T18:00:00"),
        (text("2025-01-31"), micros(None), "2025-01-31T00:00:00"),
        (text("10:00:00"), micros(None), "1970-01-01T10:00:00"),
        (text("20250131"), T::Date32, "2025-01-31"),
        (text("2025-01-31 23:59:59"), T::Date32, "2025-01-31"),
        (text("2025-01-31 23:59:59.1234567"), clock.clone(), "23:59:59.123456"),
        (text("10:00"), clock.clone(), "10:00:00"),
        (text("24:00"), clock.clone(), "cast.extreme"),
        (text("x"), T::Date32, dirty),
        (text("TRUE"), T::Boolean, "true"),
        (text("yes"), T::Boolean, dirty),
        (text("1"), T::Boolean, dirty),
        (text("ab"), T::Binary, "6162"),
        // Date
        (date(1), T::Int64, "57600000"),
        (local(hour), T::Int64, "-25200000"),
        (instant(hour), T::Int64, "3600000"),
        (time(9 * hour), T::Int64, "3600000"),
        (date(20_000), T::Int32, dirty),
        (date(1), T::Float64, dirty),
        (date(1), T::Decimal128(38, 0), dirty),
        (date(1), T::Utf8, "1970-01-02"),
        (local(hour), T::Utf8, "1970-01-01 01:00:00"),
        (instant(hour + 1_000), T::Utf8, "1970-01-01 09:00:00.001"),
        (time(hour), T::Utf8, "01:00:00"),
        (local(hour), T::Date32, "1970-01-01"),
        (instant(16 * hour), T::Date32, "1970-01-02"),
        (instant(hour), micros(None), "1970-01-01T09:00:00"),
        (local(hour), micros(Some("UTC")), "1969-12-31T17:00:00Z"),
        (date(0), micros(Some("UTC")), "1969-12-31T16:00:00Z"),
        (date(1), micros(None), "1970-01-02T00:00:00"),
        (instant(hour), clock, "09:00:00"),
        (date(1), T::Boolean, dirty),
        (date(1), T::Binary, dirty),
        // Bool
        (truth(true), T::Int32, "1"),
        (truth(false), T::Float64, "0.0"),
        (truth(true), T::Decimal128(5, 2), "1.00"),
        (truth(true), T::Utf8, "true"),
        (truth(true), T::Date32, dirty),
        (truth(true), T::Binary, dirty),
        // Bytes
        (bytes(b"ab"), T::Utf8, "ab"),
        (bytes(b"\xff"), T::Utf8, dirty),
        (bytes(b"1"), T::Int64, dirty),
        (bytes(b"1"), T::Float64, dirty),
        (bytes(b"1"), T::Date32, dirty),
        (bytes(b"1"), T::Boolean, dirty),
        (bytes(b"abcd"), T::FixedSizeBinary(4), "61626364"),
    ];
    for (column, to, expected) in table {
        let what = format!("{} to {to}", column.data_type());
        assert_eq!(by_datax(column, to, "Asia/Shanghai"), expected, "{what}");
    }
}

#[test]
fn pairs_that_datax_may_change_are_marked_and_noted() {
    let fields = |kinds: &[DataType]| {
        let fields = kinds.iter().enumerate();
        let fields = fields.map(|(at, kind)| Field::new(format!("c{at}"), kind.clone(), true));
        [dataset(fields.collect())]
    };
    let from = fields(&[DataType::Utf8, DataType::Int64, DataType::Utf8, DataType::Float64]);
    let to = fields(&[DataType::Int32, DataType::Int32, DataType::Utf8, DataType::Date32]);
    let mapping = Mapping::new(&from, &to, &settings(Casts::DataX)).unwrap();
    let casts: Vec<_> = mapping.columns()[0].iter().map(|pair| pair.cast).collect();
    assert_eq!(casts, [Cast::Lossy, Cast::Checked, Cast::Same, Cast::Impossible]);
    assert_eq!(
        mapping.note().unwrap(),
        "DataX's conversions, which may change values, were used for \"c0\", \"c3\""
    );
    let required = [dataset(vec![Field::new("c", DataType::Utf8, false)])];
    let text = fields(&[DataType::Date32]);
    let mapping = Mapping::new(&text, &required, &settings(Casts::DataX)).unwrap();
    assert_eq!(mapping.columns()[0][0].cast, Cast::Checked, "only NULL has no place");
    let same = Mapping::new(&from, &from, &settings(Casts::DataX)).unwrap();
    assert_eq!(same.note(), None);
}
