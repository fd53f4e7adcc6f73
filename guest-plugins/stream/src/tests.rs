//! What the reader makes and the writer prints, natively.

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use sdk::{Budget, Configuration, Cursor, Reader, Side, Step};
use serde_json::{Value, json};

use crate::checksum::Checksum;
use crate::reader::{Recipe, StreamReader};
use crate::writer::{lines, output, printable};

fn configuration(side: Side, parameter: &Value) -> Configuration {
    Configuration {
        source_type: "stream".into(),
        side,
        connection: "{}".into(),
        parameter: parameter.to_string(),
    }
}

fn every_kind() -> Value {
    json!({
        "sliceRecordCount": "1000",
        "column": [
            {"type": "string", "value": "DataX"},
            {"type": "long", "value": 19890604},
            {"type": "LONG", "random": "-5,5"},
            {"type": "int", "sequence": "1"},
            {"type": "double", "random": "0.5,1.5"},
            {"type": "decimal(9,2)", "random": "-1.00,100.50", "name": "price"},
            {"type": "bool", "random": "1,3"},
            {"type": "date", "random": "2024-01-01,2024-12-31", "dateFormat": "yyyy-MM-dd"},
            {"type": "date", "value": "2024-02-29 12:30:00"},
            {"type": "string", "random": "0,12"},
            {"type": "bytes", "random": "3,3"},
            {"value": null}
        ]
    })
}

/// All rows of slice `index`, from row `from` on, in steps of at most `rows`.
fn read(parameter: &Value, index: u32, from: Option<u64>, rows: u32) -> RecordBatch {
    let mut reader = StreamReader::connect(&configuration(Side::Reader, parameter)).unwrap();
    let plan = reader.plan(4, &[]).unwrap();
    let mut splits = reader.splits(&plan.start, 3).unwrap();
    assert_eq!((splits.splits.len(), splits.last), (3, false));
    let rest = reader.splits(&splits.next, 3).unwrap();
    assert_eq!((rest.splits.len(), rest.last), (1, true));
    splits.splits.extend(rest.splits);
    let split = splits.splits.swap_remove(index as usize);
    let start = from.map(|row| row.to_le_bytes().to_vec());
    let mut cursor = reader.open(split, start, Vec::new()).unwrap();
    let mut batches = Vec::new();
    loop {
        match cursor.next(Budget { rows, bytes: 1 << 20, wait_ms: 0 }).unwrap() {
            Step::Rows(mut step) => {
                assert!(step.position.is_some());
                batches.push(step.batches.remove(0).rows);
            }
            Step::Ended(_) => break,
            _ => panic!("neither rows nor the end"),
        }
    }
    concat_batches(&plan.datasets[0].schema, &batches).unwrap()
}

#[test]
fn a_slice_has_as_many_rows_as_were_asked_for() {
    assert_eq!(read(&every_kind(), 0, None, u32::MAX).num_rows(), 1000);
}

#[test]
fn a_resumed_slice_makes_the_rows_that_it_would_have_made() {
    let whole = read(&every_kind(), 2, None, u32::MAX);
    for from in [0, 1, 7, 999] {
        let rest = read(&every_kind(), 2, Some(from), 13);
        assert_eq!(rest, whole.slice(from as usize, 1000 - from as usize), "from {from}");
    }
}

#[test]
fn slices_and_seeds_differ_and_sequences_go_on() {
    let (first, second) = (read(&every_kind(), 0, None, 100), read(&every_kind(), 1, None, 100));
    assert_ne!(first.column(2), second.column(2));
    let text = lines(&second.project(&[3]).unwrap().slice(0, 2), ",").unwrap();
    assert_eq!(text, "1001\n1002\n");
    let mut other = every_kind();
    other["seed"] = json!(7);
    assert_ne!(read(&other, 0, None, 100).column(2), first.column(2));
}

#[test]
fn random_values_keep_within_their_bounds_and_reach_them() {
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Date32Type, Decimal128Type, Float64Type, Int64Type};
    let rows = read(&every_kind(), 0, None, 100);
    let longs = rows.column(2).as_primitive::<Int64Type>().values().to_vec();
    assert_eq!((longs.iter().min(), longs.iter().max()), (Some(&-5), Some(&5)));
    let doubles = rows.column(4).as_primitive::<Float64Type>();
    assert!(doubles.values().iter().all(|value| (0.5..1.5).contains(value)));
    let prices = rows.column(5).as_primitive::<Decimal128Type>();
    assert!(prices.values().iter().all(|value| (-100..=10050).contains(value)));
    let flags = rows.column(6).as_boolean().true_count();
    assert!((700..800).contains(&flags), "{flags} of 1000 are true");
    let days = rows.column(7).as_primitive::<Date32Type>();
    assert!(days.values().iter().all(|day| (19723..=20088).contains(day)));
    let texts = rows.column(9).as_string::<i32>();
    assert!(texts.iter().flatten().all(|text| text.len() <= 12));
    assert!(rows.column(10).as_binary::<i32>().iter().flatten().all(|bytes| bytes.len() == 3));
    assert_eq!(rows.column(11).null_count(), 1000);
}

#[test]
fn rows_are_printed_with_the_delimiter() {
    let rows = read(&every_kind(), 0, None, 100).project(&[0, 1, 3, 8, 11]).unwrap();
    let text = lines(&rows.slice(0, 1), " | ").unwrap();
    assert_eq!(text, "DataX | 19890604 | 1 | 2024-02-29 12:30:00 | null\n");
}

#[test]
fn a_bad_parameter_is_named_with_its_place() {
    let table = [
        (json!({"type": "long", "random": "9,1"}), "/random"),
        (json!({"type": "long", "random": "1"}), "/random"),
        (json!({"type": "int", "value": 3_000_000_000_u64}), "/value"),
        (json!({"type": "bool", "random": "0,0"}), "/random"),
        (json!({"type": "date", "value": "2024-02-30 00:00:00"}), "/value"),
        (json!({"type": "string", "random": "1,99999999"}), "/random"),
        (json!({"type": "int", "sequence": "2147483000"}), "/sequence"),
        (json!({"type": "uuid", "value": "x"}), "/type"),
        (json!({"type": "long"}), ""),
    ];
    for (column, place) in table {
        let parameter = json!({"sliceRecordCount": 1000, "column": [column]});
        let fault = Recipe::of(&configuration(Side::Reader, &parameter)).err().unwrap();
        assert_eq!(fault.place.unwrap(), format!("/parameter/column/0{place}"), "{column}");
        assert_eq!(fault.domain, sdk::FaultDomain::User);
    }
}

#[test]
fn a_long_constant_makes_small_batches() {
    let parameter = json!({"sliceRecordCount": 1000, "column": [{"value": "x".repeat(100_000)}]});
    let mut reader = StreamReader::connect(&configuration(Side::Reader, &parameter)).unwrap();
    let plan = reader.plan(1, &[]).unwrap();
    let split = reader.splits(&plan.start, 1).unwrap().splits.remove(0);
    let mut cursor = reader.open(split, None, Vec::new()).unwrap();
    let budget = Budget { rows: 8192, bytes: 1 << 20, wait_ms: 0 };
    let Step::Rows(rows) = cursor.next(budget).unwrap() else { panic!("no rows") };
    assert_eq!(rows.batches[0].rows.num_rows(), 2);
}

#[test]
fn a_path_is_refused_with_the_way_out() {
    let refused = |parameter| output(&configuration(Side::Writer, &parameter)).err().unwrap();
    let fault = refused(json!({"path": "/tmp/x", "fileName": "y"}));
    assert_eq!(fault.code, "stream.file");
    assert!(fault.hint.unwrap().contains("\"file\""));
    assert_eq!(refused(json!({"sleepTime": 31})).code, "stream.sleep");
    assert_eq!(refused(json!({"encoding": "GBK"})).code, "parameter.invalid");
    assert!(output(&configuration(Side::Writer, &json!({"print": true}))).is_ok());
}

#[test]
fn a_sequence_fits_its_type_for_all_slices_together() {
    let plan = |column: Value, parallelism| {
        let parameter = json!({"sliceRecordCount": 1000, "column": [column]});
        let configuration = configuration(Side::Reader, &parameter);
        StreamReader::connect(&configuration).unwrap().plan(parallelism, &[]).map(drop)
    };
    let int = || json!({"type": "int", "sequence": "2147481648"});
    plan(int(), 2).unwrap();
    let fault = plan(int(), 3).unwrap_err();
    assert_eq!(fault.place.as_deref(), Some("/parameter/column/0/sequence"));
    let long = || json!({"type": "long", "sequence": "0,9000000000000000"});
    plan(long(), 1).unwrap();
    plan(long(), 2).unwrap_err();
}

#[test]
fn schemas_name_exactly_what_the_code_reads() {
    let description = <crate::Stream as sdk::Plugin>::describe();
    let keys = |schema: &Value| {
        let mut keys: Vec<_> = schema["properties"].as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys.join(" ")
    };
    let read = |role: &Option<sdk::Role>| -> Value {
        serde_json::from_str(&role.as_ref().unwrap().parameter_schema).unwrap()
    };
    let (reader, writer) = (read(&description.types[0].reader), read(&description.types[0].writer));
    assert_eq!(keys(&reader), "column seed sliceRecordCount");
    let column = reader["$defs"].as_object().unwrap().values().next().unwrap();
    assert_eq!(keys(column), "dateFormat name random sequence type value");
    let writes =
        "checksum encoding fieldDelimiter fileName path print recordNumBeforeSleep sleepTime";
    assert_eq!(keys(&writer), writes);
}

#[test]
fn decimals_that_may_be_no_number_are_printed_as_texts() {
    use arrow_schema::{DataType, Field, Schema};
    let decimal = Field::new("a", DataType::Decimal128(15, 2), true);
    let marked = decimal.clone().with_metadata([("airlock:extremes".to_owned(), "NaN".to_owned())]);
    let schema = Schema::new(vec![decimal, marked.with_name("b")]).into();
    let dataset =
        sdk::Dataset { path: Vec::new(), schema, primary_key: Vec::new(), metadata: Vec::new() };
    let shown = printable(dataset).schema;
    let kinds: Vec<_> = shown.fields().iter().map(|field| field.data_type().clone()).collect();
    assert_eq!(kinds, [DataType::Decimal128(15, 2), DataType::Utf8]);
}

#[test]
fn instants_are_printed_in_utc() {
    use arrow_array::{ArrayRef, RecordBatch, TimestampMicrosecondArray};
    use arrow_schema::{DataType, Field, Schema, TimeUnit};
    let instants = |zone: &str| DataType::Timestamp(TimeUnit::Microsecond, Some(zone.into()));
    let fields = [instants("Asia/Shanghai"), DataType::new_list(instants("UTC"), true)];
    let fields = fields.map(|kind| Field::new("a", kind, true));
    let schema = Schema::new(fields.to_vec()).into();
    let dataset =
        sdk::Dataset { path: Vec::new(), schema, primary_key: Vec::new(), metadata: Vec::new() };
    let shown = printable(dataset).schema;
    let kinds: Vec<_> = shown.fields().iter().map(|field| field.data_type().clone()).collect();
    assert_eq!(kinds, [instants("+00:00"), DataType::new_list(instants("+00:00"), true)]);
    let values = TimestampMicrosecondArray::from(vec![1_735_819_200_500_000]);
    let values: ArrayRef = std::sync::Arc::new(values.with_timezone("+00:00"));
    let rows = RecordBatch::try_from_iter([("a", values)]).unwrap();
    assert_eq!(lines(&rows, "|").unwrap(), "2025-01-02 12:00:00.500+00:00\n");
}

/// What a writer prints at the end of a task that gets `batches`.
fn checksum_of(batches: &[RecordBatch]) -> String {
    let mut checksum = Checksum::default();
    for batch in batches {
        checksum.add(batch).unwrap();
    }
    checksum.line(" ")
}

#[test]
fn checksums_see_every_value_and_the_order_of_rows_but_no_batches() {
    let rows = read(&every_kind(), 0, None, u32::MAX);
    let whole = checksum_of(std::slice::from_ref(&rows));
    assert!(whole.starts_with("1000 "), "{whole}");
    assert_eq!(checksum_of(&[rows.slice(0, 1), rows.slice(1, 600), rows.slice(601, 399)]), whole);
    let moved = checksum_of(&[rows.slice(1, 999), rows.slice(0, 1)]);
    let sums = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    for (index, (sum, moved)) in sums(&whole).iter().zip(sums(&moved)).enumerate() {
        // The number of rows, and columns of one value.
        let constant = [0, 1, 2, 9, 12].contains(&index);
        assert_eq!(*sum == moved, constant, "column {index}");
    }
}

#[test]
fn checksums_are_those_that_the_recipe_foretells() {
    let parameter = json!({"sliceRecordCount": 3, "column": [
        {"type": "long", "sequence": "-1,5"}, {"type": "decimal(9,2)", "sequence": "0.10,-0.25"}
    ]});
    let rows = read(&parameter, 0, None, u32::MAX);
    let long = [-1_i64, 4, 9].into_iter().zip([1, 3, 5]).map(|(word, weight)| word * weight);
    // The upper half of a negative decimal is -1.
    let decimal = [10_i64, 0, -15, -1, -40, -1].into_iter().zip([1, 3, 5, 7, 9, 11]);
    let decimal = decimal.map(|(word, weight)| word * weight);
    let (long, decimal) = (long.sum::<i64>() as u64, decimal.sum::<i64>() as u64);
    assert_eq!(checksum_of(&[rows]), format!("3 {long:016x} {decimal:016x}\n"));
}

#[test]
fn what_cannot_be_summed_up_is_told_before_the_first_row() {
    use arrow_schema::{DataType, Field, Schema};
    use sdk::Writer as _;
    let list = Field::new("a", DataType::new_list(DataType::Int64, true), true);
    let dataset = sdk::Dataset {
        path: Vec::new(),
        schema: Schema::new(vec![list]).into(),
        primary_key: Vec::new(),
        metadata: Vec::new(),
    };
    let told = |checksum: bool| {
        let writer = configuration(Side::Writer, &json!({"checksum": checksum}));
        let mut writer = crate::writer::StreamWriter::connect(&writer).unwrap();
        writer.preview(vec![dataset.clone()]).err().map(|fault| fault.code)
    };
    assert_eq!((told(false), told(true).as_deref()), (None, Some("stream.checksum")));
}
