use arrow_array::cast::AsArray;
use arrow_array::{
    Array, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array,
    ListArray, NullArray, StringArray, TimestampMillisecondArray, UInt64Array,
};
use domain::job::{Category, Comparison, Condition, DigestAlgorithm, PadSide};

use super::*;

mod own;

fn transformer(column: usize, action: Action) -> Transformer {
    let place = format!("/job/content/0/transformer/{column}");
    let (name, category) = (action.word().to_owned(), Category::Map);
    Transformer { name, category, work: job::Work::Column { column, action }, place }
}

fn dataset(columns: &[ArrayRef]) -> Dataset {
    let fields = columns.iter().enumerate();
    let fields = fields
        .map(|(at, column)| Field::new(format!("c{at}"), column.data_type().clone(), true))
        .collect::<Vec<_>>();
    Dataset {
        path: vec!["t".into()],
        schema: Arc::new(Schema::new(fields)),
        primary_key: Vec::new(),
        metadata: Vec::new(),
    }
}

fn processing(columns: &[ArrayRef], transformers: &[Transformer]) -> Result<Processing> {
    let settings = Settings {
        transformers: transformers.to_vec(),
        time_zone: Some("Asia/Shanghai".into()),
        ..Settings::default()
    };
    now(Processing::new(&[dataset(columns)], &settings, &[]))
}

/// What a future answers that waits for nothing.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(answer) => answer,
        std::task::Poll::Pending => panic!("it waits"),
    }
}

/// A batch behind steps of the host's own, which leave it in one part.
fn apply(processing: &Processing, batch: Batch) -> Result<Processed> {
    now(Passing::new(batch).next(processing, &mut Sessions::default()))
        .map(|done| done.expect("a part"))
}

fn batch(columns: &[ArrayRef]) -> Batch {
    let rows = RecordBatch::try_new(dataset(columns).schema, columns.to_vec()).unwrap();
    Batch::new(0, rows)
}

fn process(columns: &[ArrayRef], transformers: &[Transformer]) -> Processed {
    apply(&processing(columns, transformers).unwrap(), batch(columns)).unwrap()
}

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// What one value becomes, `null`, or the code of the dirty record.
fn one(column: ArrayRef, action: Action) -> String {
    let done = process(&[column], &[transformer(0, action)]);
    if let Some((_, reason)) = done.dirty.first() {
        assert_eq!((done.batch.len(), reason.stage), (0, DirtyStage::Transform));
        return reason.code.clone();
    }
    let column = done.batch.rows.column(0).as_string::<i32>().clone();
    if column.is_null(0) { "null".to_owned() } else { column.value(0).to_owned() }
}

fn text(value: &str) -> ArrayRef {
    texts(&[Some(value)])
}

fn long(value: i64) -> ArrayRef {
    Arc::new(Int64Array::from(vec![value]))
}

#[test]
fn parts_of_texts() {
    let part = |start, length| Action::Substring { start, length };
    let decimal = Decimal128Array::from(vec![12_500]).with_precision_and_scale(10, 4).unwrap();
    // 1970-01-01T00:00:00Z, in the job's zone.
    let instant = TimestampMillisecondArray::from(vec![0]).with_timezone("UTC");
    for (column, start, length, expected) in [
        (text("hello"), 1, 3, "ell"),
        (text("hello"), 0, 0, ""),
        (text("hello"), 2, 100, "llo"),
        (text("hello"), 2, usize::MAX, "llo"),
        (text("hello"), 5, 1, ""),
        (text("hello"), 6, 1, "transform.range"),
        (text(""), 0, 1, ""),
        (texts(&[None]), 6, 1, "null"),
        (text("日本語"), 1, 1, "本"),
        // Java counts two for what lies beyond the first plane.
        (text("a😀b"), 3, 1, "b"),
        (text("a😀b"), 1, 2, "😀"),
        (text("a😀b"), 0, 2, "transform.half"),
        (text("a😀b"), 2, 2, "transform.half"),
        (text("a😀"), 3, 1, ""),
        (text("a😀"), 4, 1, "transform.range"),
        (long(-1234), 0, 3, "-12"),
        (Arc::new(decimal), 0, 4, "1.25"),
        (Arc::new(BooleanArray::from(vec![true])), 0, 2, "tr"),
        (Arc::new(BinaryArray::from(vec![&b"raw"[..]])), 1, 2, "aw"),
        (Arc::new(BinaryArray::from(vec![&b"\xff"[..]])), 0, 1, "transform.no_value"),
        (Arc::new(Date32Array::from(vec![1])), 0, 7, "1970-01"),
        (Arc::new(instant), 0, 13, "1970-01-01 08"),
    ] {
        let kind = column.data_type().clone();
        assert_eq!(one(column, part(start, length)), expected, "{kind} {start} {length}");
    }
}

#[test]
fn texts_filled_up_or_cut() {
    use PadSide::{Left, Right};
    for (value, side, length, pad, expected) in [
        (Some("7"), Left, 3, "0", "007"),
        (Some("7"), Right, 3, "0", "700"),
        (Some("7"), Left, 6, "ab", "ababa7"),
        (Some("7"), Right, 6, "ab", "7ababa"),
        (Some("12345"), Left, 3, "0", "123"),
        (Some("123"), Left, 3, "0", "123"),
        (Some("123"), Left, 0, "0", ""),
        (None, Left, 2, "x", "xx"),
        (None, Right, 0, "x", ""),
        (Some("日"), Left, 3, "本語", "本語日"),
        (Some("a"), Left, 3, "😀", "😀a"),
        (Some("a"), Left, 4, "😀", "transform.half"),
        (Some("😀a"), Left, 1, "x", "transform.half"),
    ] {
        let action = Action::Pad { side, length, pad: pad.to_owned() };
        assert_eq!(one(texts(&[value]), action), expected, "{value:?} {side:?} {length}");
    }
}

#[test]
fn parts_replaced() {
    for (value, start, length, by, expected) in [
        (Some("13800138000"), 3, 4, "****", "138****8000"),
        (Some("abc"), 1, 0, "-", "a-bc"),
        (Some("abc"), 1, 2, "-", "a-"),
        (Some("abc"), 1, 100, "-", "a-"),
        (Some("abc"), 3, 1, "-", "abc-"),
        (Some("abc"), 4, 1, "-", "transform.range"),
        (Some("abc"), 0, 3, "", ""),
        (None, 9, 1, "-", "null"),
        (Some("😀b"), 1, 1, "-", "transform.half"),
    ] {
        let action = Action::Replace { start, length, replacement: by.to_owned() };
        assert_eq!(one(texts(&[value]), action), expected, "{value:?} {start} {length}");
    }
}

#[test]
fn digests() {
    use DigestAlgorithm::{Md5, Sha1};
    for (value, algorithm, upper_case, expected) in [
        (Some("abc"), Md5, false, "900150983cd24fb0d6963f7d28e17f72"),
        (Some("abc"), Md5, true, "900150983CD24FB0D6963F7D28E17F72"),
        (Some("abc"), Sha1, false, "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (Some(""), Md5, false, "d41d8cd98f00b204e9800998ecf8427e"),
        (None, Md5, false, "d41d8cd98f00b204e9800998ecf8427e"),
        (None, Sha1, true, "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709"),
        (Some("日"), Sha1, false, "15917f3b32616f3c61f1bd69a435a449c35fa12d"),
    ] {
        let found = one(texts(&[value]), Action::Digest { algorithm, upper_case });
        assert_eq!(found, expected, "{value:?}");
    }
}

fn condition(operator: &str, value: &str) -> Condition {
    use Comparison as C;
    let comparison = match operator {
        "like" => return Condition::Like(format!("\\A(?:{value})\\z")),
        "not like" => return Condition::NotLike(format!("\\A(?:{value})\\z")),
        "=" => C::Equal,
        "!=" => C::NotEqual,
        "<" => C::Less,
        "<=" => C::LessOrEqual,
        ">" => C::Greater,
        _ => C::GreaterOrEqual,
    };
    Condition::Compare(comparison, value.to_owned())
}

/// A letter for each row: kept, filtered or dirty.
fn fates(column: ArrayRef, operator: &str, value: &str) -> String {
    let count = column.len();
    let rows: ArrayRef = Arc::new((0..count as i64).collect::<Int64Array>());
    let filter = transformer(0, Action::Drop(condition(operator, value)));
    let done = process(&[column, rows], &[filter]);
    let mut fates = vec!["f"; count];
    for (row, reason) in &done.dirty {
        assert_eq!(reason.code, "transform.no_value");
        fates[*row] = "d";
    }
    let kept = done.batch.rows.column(1).as_primitive::<arrow_array::types::Int64Type>();
    for (at, row) in kept.values().iter().enumerate() {
        assert_eq!(done.origins.of(at) as i64, *row);
        fates[*row as usize] = "k";
    }
    let fates = fates.concat();
    assert_eq!(done.filtered, fates.matches('f').count() as u64);
    fates
}

#[test]
fn filters_drop_what_meets_the_condition() {
    let words = texts(&[Some("a"), Some("b"), Some("null"), None, Some("ab")]);
    let longs: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(2), Some(10), None]));
    let large: ArrayRef = Arc::new(UInt64Array::from(vec![1, u64::MAX]));
    let doubles: ArrayRef =
        Arc::new(Float64Array::from(vec![Some(1.5), Some(f64::NAN), None, Some(-0.0)]));
    let days: ArrayRef = Arc::new(Date32Array::from(vec![Some(0), Some(1), None]));
    let truths: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]));
    let bytes: ArrayRef =
        Arc::new(BinaryArray::from_opt_vec(vec![Some(b"a"), Some(b"\xff"), None]));
    let planes = texts(&[Some("\u{ffff}"), Some("😀")]);
    for (column, operator, value, expected) in [
        (&words, "=", "a", "fkkkk"),
        (&words, "=", "null", "kkffk"),
        (&words, "=", "NULL", "kkkfk"),
        (&words, "!=", "a", "kffff"),
        (&words, "!=", "null", "ffkkf"),
        (&words, ">", "a", "kffkf"),
        (&words, ">=", "a", "fffkf"),
        (&words, "<", "b", "fkkkf"),
        (&words, "<=", "b", "ffkkf"),
        (&words, "like", "a.*", "fkkkf"),
        (&words, "like", "b", "kfkkk"),
        (&words, "not like", "a.*", "kfffk"),
        // As numbers, not as texts.
        (&longs, ">", "9", "kkfk"),
        (&longs, "<=", "2", "ffkk"),
        (&longs, "=", "2", "kfkk"),
        (&longs, "!=", "2", "fkff"),
        (&longs, "=", "null", "kkkf"),
        (&longs, "!=", "null", "fffk"),
        (&longs, "like", "1.*", "fkfk"),
        (&large, ">", "0", "fd"),
        (&doubles, ">", "1", "fkkk"),
        (&doubles, "=", "0", "kkkf"),
        (&doubles, "!=", "1.5", "kfff"),
        (&doubles, "!=", "null", "ffkf"),
        // Days begin in the job's zone, eight hours before those of UTC.
        (&days, "<", "0", "fkk"),
        (&days, ">=", "57600000", "kfk"),
        (&days, "=", "null", "kkf"),
        (&days, "like", "1970-01-02", "kfk"),
        (&truths, "=", "true", "fkk"),
        (&truths, "!=", "true", "kff"),
        (&bytes, "=", "a", "fdk"),
        // Java orders by UTF-16 units, in which the second begins with U+D83D.
        (&planes, ">", "\u{fffe}", "fk"),
    ] {
        assert_eq!(fates(column.clone(), operator, value), expected, "{operator} {value}");
    }
}

#[test]
fn what_cannot_be_is_told_before_the_run() {
    let filter = |operator, value| Action::Drop(condition(operator, value));
    let list = ListArray::new_null(Arc::new(Field::new("item", DataType::Int64, true)), 1);
    for (column, at, action, code) in [
        (long(1), 1, filter("=", "1"), "transform.column"),
        (long(1), 0, filter("=", "x"), "transform.value"),
        (long(1), 0, filter("=", "1.5"), "transform.value"),
        (long(1), 0, filter(">", "null"), "transform.value"),
        (Arc::new(Float64Array::from(vec![1.0])), 0, filter("=", "x"), "transform.value"),
        (Arc::new(Date32Array::from(vec![1])), 0, filter(">", "1970-01-01"), "transform.value"),
        (text("x"), 0, filter("like", "("), "transform.pattern"),
        (Arc::new(list), 0, filter("=", "x"), "transform.type"),
        (Arc::new(NullArray::new(1)), 0, filter("=", "x"), "transform.type"),
    ] {
        let fault = processing(&[column], &[transformer(at, action)]).err().unwrap();
        assert_eq!(fault.code, code, "{fault}");
        assert_eq!(fault.place, Some(format!("/job/content/0/transformer/{at}")));
    }
}

#[test]
fn transformers_go_in_order_and_a_record_that_is_out_meets_no_more() {
    let columns = [texts(&[Some("drop"), Some(""), Some("abc"), None]), text_rows(4)];
    let done = process(
        &columns,
        &[
            transformer(0, Action::Drop(condition("=", "drop"))),
            // Would be out of range for the first record too.
            transformer(1, Action::Replace { start: 1, length: 9, replacement: "!".into() }),
            transformer(0, Action::Substring { start: 1, length: 1 }),
            transformer(0, Action::Pad { side: PadSide::Left, length: 3, pad: "-".into() }),
        ],
    );
    let dirty: Vec<_> = done.dirty.iter().map(|(row, why)| (*row, why.code.as_str())).collect();
    assert_eq!((done.filtered, dirty), (1, vec![(1, "transform.range")]));
    assert_eq!(
        done.dirty[0].1.message,
        "dx_substr of column \"c0\": the value has length 0, and the part begins at 1"
    );
    assert_eq!(
        done.batch.rows.columns(),
        [texts(&[Some("--b"), Some("---")]), texts(&[Some("r!"), Some("r!")]),]
    );
    assert_eq!([done.origins.of(0), done.origins.of(1)], [2, 3]);
}

fn text_rows(count: usize) -> ArrayRef {
    texts(&vec![Some("row"); count])
}

#[test]
fn types_behind_the_transformers_are_texts() {
    let columns: [ArrayRef; 3] = [long(1), long(2), long(3)];
    let made = processing(
        &columns,
        &[
            transformer(0, Action::Substring { start: 0, length: 1 }),
            transformer(1, Action::Pad { side: PadSide::Left, length: 3, pad: "0".into() }),
            transformer(2, Action::Drop(condition("=", "9"))),
            // Of a text by now: no number.
            transformer(1, Action::Drop(condition("=", "00x"))),
        ],
    )
    .unwrap();
    let fields = made.datasets()[0].schema.fields().iter();
    let found: Vec<_> =
        fields.map(|field| (field.data_type().clone(), field.is_nullable())).collect();
    let expected = [(DataType::Utf8, true), (DataType::Utf8, false), (DataType::Int64, true)];
    assert_eq!(found, expected);
    let empty = batch(&columns);
    let empty = Batch { rows: empty.rows.slice(0, 0), ..empty };
    let done = apply(&made, empty).unwrap();
    assert_eq!(done.batch.rows.schema(), made.datasets()[0].schema);
    assert_eq!((done.filtered, done.dirty.len()), (0, 0));
}

#[test]
fn operations_and_absent_values_stay_with_their_rows() {
    let columns = [texts(&[Some("a"), Some("b"), Some("c")])];
    let made = processing(&columns, &[transformer(0, Action::Drop(condition("=", "b")))]).unwrap();
    let changes =
        Batch { operations: Some(vec![0, 3, 2]), absent: vec![vec![0b100]], ..batch(&columns) };
    let done = apply(&made, changes).unwrap();
    assert_eq!(done.batch.operations, Some(vec![0, 2]));
    assert_eq!(done.batch.absent, [vec![0b10]]);
}
