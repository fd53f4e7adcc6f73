//! The host's own steps.

use std::collections::HashMap;

use domain::Secret;
use domain::job::{Alphabet, Computed, Edits, Extraction, Mask, Masking, Replacement};

use super::*;

fn own(work: job::Work) -> Transformer {
    Transformer { name: "T".into(), category: Category::Map, work, place: "/steps/1".into() }
}

fn filter(condition: &str) -> Transformer {
    own(job::Work::Filter { condition: condition.into() })
}

fn computed(name: &str, expression: &str, data_type: Option<&str>) -> Computed {
    let (name, expression) = (name.to_owned(), expression.to_owned());
    Computed { name, expression, data_type: data_type.map(str::to_owned) }
}

fn edit(edits: Edits) -> Transformer {
    own(job::Work::Edit(edits))
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn longs(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

/// The codes of dirty rows with the column as it was read.
fn dirty(done: &Processed) -> Vec<(usize, Option<u32>, &str)> {
    let of = |(row, reason): &(usize, Reason)| (*row, reason.column);
    done.dirty.iter().map(|it| (of(it).0, of(it).1, it.1.code.as_str())).collect()
}

fn names(done: &Processed) -> Vec<String> {
    done.batch.rows.schema().fields().iter().map(|field| field.name().clone()).collect()
}

#[test]
fn a_filter_keeps_what_is_true() {
    let column = longs(&[Some(1), None, Some(0), Some(5), Some(-1)]);
    let done = process(&[column], &[filter("10 / c0 > 2")]);
    assert_eq!(done.batch.rows.column(0).to_data(), longs(&[Some(1)]).to_data());
    assert_eq!(done.filtered, 3);
    assert_eq!(dirty(&done), [(2, Some(0), "expression.division_by_zero")]);
}

#[test]
fn a_step_is_refused_at_its_place() {
    let table: [(Transformer, &str, &str); 7] = [
        (filter("c1"), "expression.unknown_column", "/steps/1/parameter/condition"),
        (filter("c0"), "expression.type", "/steps/1/parameter/condition"),
        (
            edit(Edits { drop: owned(&["c0", "x"]), ..Edits::default() }),
            "transform.column",
            "/steps/1/parameter/drop/1",
        ),
        (
            edit(Edits { rename: vec![("a/b".into(), "x".into())], ..Edits::default() }),
            "transform.column",
            "/steps/1/parameter/rename/a~1b",
        ),
        (
            edit(Edits {
                computed: vec![computed("x", "c0", None), computed("y", "c0", Some("date"))],
                ..Edits::default()
            }),
            "expression.type",
            "/steps/1/parameter/column/1/expression",
        ),
        (
            edit(Edits { select: Some(owned(&["c0", "c0"])), ..Edits::default() }),
            "transform.column",
            "/steps/1",
        ),
        (
            own(job::Work::Replace(vec![Replacement {
                column: "c0".into(),
                pattern: "a".into(),
                by: String::new(),
            }])),
            "transform.type",
            "/steps/1/parameter/rules/0/field",
        ),
    ];
    for (step, code, place) in table {
        let fault = processing(&[longs(&[])], &[step]).err().unwrap();
        assert_eq!((fault.code.as_str(), fault.place.as_deref()), (code, Some(place)));
    }
}

#[test]
fn columns_are_computed_dropped_renamed_and_selected() {
    let columns = [longs(&[Some(1), Some(i64::MAX)]), text_pair(), longs(&[Some(3), None])];
    let edits = Edits {
        computed: vec![computed("c0", "c0 + 1", None), computed("n", "c0", Some("text"))],
        drop: owned(&["c1"]),
        rename: vec![("c0".into(), "c2".into()), ("c2".into(), "c0".into())],
        select: Some(owned(&["n", "c0", "c2"])),
    };
    let done = process(&columns, &[edit(edits)]);
    assert_eq!(names(&done), ["n", "c0", "c2"]);
    // The new name sees the column before the step.
    assert_eq!(done.batch.rows.column(0).to_data(), text("1").to_data());
    assert_eq!(done.batch.rows.column(1).to_data(), longs(&[Some(3)]).to_data());
    assert_eq!(done.batch.rows.column(2).to_data(), longs(&[Some(2)]).to_data());
    assert_eq!(dirty(&done), [(1, Some(0), "expression.overflow")]);
}

fn text_pair() -> ArrayRef {
    texts(&[Some("a"), Some("b")])
}

#[test]
fn a_column_is_told_where_it_was_read_and_a_key_follows_its_columns() {
    let edits = Edits {
        rename: vec![("c1".into(), "key".into())],
        select: Some(owned(&["key", "c0"])),
        ..Edits::default()
    };
    let columns = [text_pair(), longs(&[Some(0), Some(1)])];
    let done = process(&columns, &[edit(edits.clone()), filter("1 / key = 1")]);
    assert_eq!(dirty(&done), [(0, Some(1), "expression.division_by_zero")]);
    let settings = Settings { transformers: vec![edit(edits)], ..Settings::default() };
    let keyed = Dataset { primary_key: owned(&["c1"]), ..dataset(&columns) };
    let made = now(Processing::new(std::slice::from_ref(&keyed), &settings, &[])).unwrap();
    assert_eq!(made.datasets()[0].primary_key, ["key"]);
    let dropped = edit(Edits { drop: owned(&["c1"]), ..Edits::default() });
    let settings = Settings { transformers: vec![dropped], ..Settings::default() };
    let made = now(Processing::new(&[keyed], &settings, &[])).unwrap();
    assert_eq!(made.datasets()[0].primary_key, Vec::<String>::new());
}

#[test]
fn what_was_not_sent_stays_so() {
    let columns = [longs(&[Some(1), Some(2)]), longs(&[Some(3), Some(4)])];
    let step = edit(Edits {
        computed: vec![computed("n", "c0 + c1", None)],
        select: Some(owned(&["n", "c1", "c0"])),
        ..Edits::default()
    });
    let mut batch = batch(&columns);
    batch.absent = vec![vec![0b01], vec![]];
    let done = apply(&processing(&columns, &[step]).unwrap(), batch).unwrap();
    assert_eq!(done.batch.absent, [vec![], vec![], vec![0b01]]);
}

#[test]
fn extremes_are_no_numbers() {
    let days: ArrayRef = Arc::new(Date32Array::from(vec![0, i32::MAX]));
    let metadata: HashMap<_, _> = [("airlock:extremes".to_owned(), "infinity".to_owned())].into();
    let field = Field::new("c0", DataType::Date32, true).with_metadata(metadata.clone());
    let schema = Arc::new(Schema::new(vec![field]));
    let dataset = Dataset { schema: schema.clone(), ..dataset(std::slice::from_ref(&days)) };
    let step = edit(Edits { computed: vec![computed("n", "c0 - 1", None)], ..Edits::default() });
    let kept = edit(Edits { rename: vec![("c0".into(), "d".into())], ..Edits::default() });
    for (step, count) in [(step, 1), (kept, 2)] {
        let settings = Settings { transformers: vec![step], ..Settings::default() };
        let made = now(Processing::new(std::slice::from_ref(&dataset), &settings, &[])).unwrap();
        let rows = RecordBatch::try_new(schema.clone(), vec![days.clone()]).unwrap();
        let done = apply(&made, Batch::new(0, rows)).unwrap();
        assert_eq!(done.batch.len(), count);
        assert_eq!(done.batch.rows.schema().field(0).metadata(), &metadata);
        assert!(done.dirty.iter().all(|(_, reason)| reason.code == "transform.extreme"));
    }
}

#[test]
fn texts_are_replaced_by_rules_in_order() {
    let rule = |pattern: &str, by: &str| Replacement {
        column: "c0".into(),
        pattern: pattern.into(),
        by: by.into(),
    };
    let columns = [texts(&[Some("none"), Some("abAB"), None, Some("")])];
    let rules = vec![rule("(?i)ab", "x"), rule("(x)(x)", "$2-$$"), rule("^$", "empty")];
    let done = process(&columns, &[own(job::Work::Replace(rules))]);
    let expected = texts(&[Some("none"), Some("x-$"), None, Some("empty")]);
    assert_eq!(done.batch.rows.column(0).to_data(), expected.to_data());
}

#[test]
fn json_is_extracted_or_told() {
    let extraction = |name: &str, path: &str, data_type: &str, null| Extraction {
        name: name.into(),
        from: "c0".into(),
        path: path.into(),
        data_type: data_type.into(),
        null_where_invalid: null,
    };
    let rows = [r#"{"a": 1, "b": true}"#, r#"{"a": "x"}"#, "{", r#"{"a": 99999999999}"#, "null"];
    let columns = [texts(&rows.map(Some))];
    let strict = own(job::Work::Extract(vec![extraction("a", "$.a", "int", false)]));
    let done = process(&columns, &[strict]);
    let json = |row| (row, Some(0), "transform.json");
    assert_eq!(dirty(&done), [json(1), json(2), json(3), json(4)]);
    let loose = vec![extraction("a", "$.a", "int", true), extraction("b", "$.b", "boolean", true)];
    let done = process(&columns, &[own(job::Work::Extract(loose))]);
    assert_eq!((done.batch.len(), done.dirty.len()), (5, 0));
    let (a, b) = (done.batch.rows.column(1), done.batch.rows.column(2));
    assert_eq!((a.null_count(), b.null_count()), (4, 4));
    assert_eq!(a.data_type(), &DataType::Int32);
}

fn masked(method: Mask, values: &[Option<&str>]) -> Processed {
    let masking = Masking { column: "c0".into(), method };
    process(&[texts(values)], &[own(job::Work::Mask(vec![masking]))])
}

fn as_texts(done: &Processed) -> Vec<Option<String>> {
    let column = done.batch.rows.column(0).as_string::<i32>();
    column.iter().map(|text| text.map(str::to_owned)).collect()
}

#[test]
fn values_are_masked() {
    let cover = |first, last| Mask::Cover { first, last, with: '*' };
    // RFC 4231, test case 2.
    let hash = Mask::Hash { key: Secret::new("Jefe") };
    let digest = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    for (method, value, expected) in [
        (cover(3, 4), Some("13800138000"), Some("138****8000")),
        (cover(0, 1), Some("日本語"), Some("**語")),
        (cover(2, 2), Some("abcd"), Some("****")),
        (cover(usize::MAX, 1), Some("ab"), Some("**")),
        (cover(0, 0), Some(""), Some("")),
        (cover(1, 1), None, None),
        (hash.clone(), Some("what do ya want for nothing?"), Some(digest)),
        (hash, None, None),
        (Mask::Null, Some("a"), None),
        (Mask::Fixed("x".into()), None, Some("x")),
    ] {
        let done = masked(method, &[value]);
        assert_eq!(as_texts(&done), [expected.map(str::to_owned)], "{value:?}");
    }
}

#[test]
fn a_format_is_preserved() {
    let by = |key: &str, alphabet| Mask::FormatPreserving { key: Secret::new(key), alphabet };
    let values = ["4111-1111 1111 1111", "4111-1111 1111 1112", "+49 30 123456", "", "12345", "ab"];
    let first = masked(by("a key of some length", Alphabet::Digits), &values.map(Some));
    assert_eq!(dirty(&first), [(4, Some(0), "transform.mask"), (5, Some(0), "transform.mask")]);
    let made: Vec<_> = as_texts(&first).into_iter().flatten().collect();
    let shape = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "9");
    for (value, made) in values.iter().zip(&made) {
        assert_eq!(shape(value), shape(made));
        assert!(value.is_empty() || value != made);
    }
    assert_ne!(made[0], made[1]);
    let again = masked(by("a key of some length", Alphabet::Digits), &values.map(Some));
    assert_eq!(as_texts(&first), as_texts(&again));
    let other = masked(by("another key of a length", Alphabet::Digits), &values.map(Some));
    assert_ne!(as_texts(&first), as_texts(&other));
    let letters = masked(by("a key of some length", Alphabet::Alphanumeric), &[Some("Ada-99")]);
    let text = as_texts(&letters).remove(0).unwrap();
    assert!(text.len() == 6 && text.chars().nth(3) == Some('-') && text != "Ada-99", "{text}");
    // FF1 can be undone with the key: no two values become one.
    let all: Vec<_> = (0..2_000).map(|n| format!("{n:06}")).collect();
    let all: Vec<_> = all.iter().map(|text| Some(text.as_str())).collect();
    let made = masked(by("a key of some length", Alphabet::Digits), &all);
    let distinct: std::collections::HashSet<_> = as_texts(&made).into_iter().collect();
    assert_eq!(distinct.len(), all.len());
}

/// The tests' job is in Asia/Shanghai, eight hours before UTC.
#[test]
fn clocks_are_those_of_the_job() {
    let instants = TimestampMillisecondArray::from(vec![57_600_000]).with_timezone("UTC");
    let columns: [ArrayRef; 2] = [Arc::new(instants), Arc::new(Date32Array::from(vec![1]))];
    for (expression, expected) in [
        ("CAST(c0 AS date) = c1", Some(true)),
        ("CAST(c1 AS timestamptz) = c0", Some(true)),
        ("CAST(CAST(c0 AS timestamp) AS timestamptz) = c0", Some(true)),
        ("CAST('1970-01-02 00:00:00' AS timestamptz) = c0", Some(true)),
        ("c0 = '1970-01-01 16:00:00Z'", Some(true)),
        ("CAST(c0 AS text) = '1970-01-02T00:00:00+08:00'", Some(true)),
        ("CAST(CAST(c0 AS timestamp) AS time) = '00:00:00'", Some(true)),
        ("extract(hour FROM c0) = 0", Some(true)),
        ("extract(epoch FROM c0) = 57600", Some(true)),
        ("date_trunc('day', c0) = c1", Some(true)),
        ("to_char(c0, 'YYYY-MM-DD HH24') = '1970-01-02 00'", Some(true)),
        ("CAST(c0 AS time) = '00:00:00'", None),
    ] {
        let kept = processing(&columns, &[filter(expression)]);
        let kept = kept.and_then(|made| apply(&made, batch(&columns)));
        assert_eq!(kept.ok().map(|done| done.batch.len() == 1), expected, "{expression}");
    }
}
