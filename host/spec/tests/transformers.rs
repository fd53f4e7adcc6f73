//! DataX's transformers, as a job holds them.

use domain::configuration::Side;
use domain::job::{
    Action, Category, Comparison, Computed, Condition, DigestAlgorithm, Edits, Extraction, Job,
    PadSide, Replacement, Transformer, Work,
};
use serde_json::{Value, json};

#[allow(dead_code, reason = "the fixture serves other tests too")]
mod fixture;

fn job(transformer: Value) -> (Job, Vec<String>) {
    let reader = json!({"name": "streamreader",
        "parameter": {"sliceRecordCount": 1, "column": [{"value": "a", "type": "string"}]}});
    let writer = json!({"name": "streamwriter", "parameter": {}});
    let content = json!([{"reader": reader, "writer": writer, "transformer": transformer}]);
    let read = fixture::read(&json!({"job": {"content": content}}).to_string(), &[]);
    let read = read.unwrap_or_else(|refused| panic!("{}", fixture::render_all(&refused)));
    let warnings = read.warnings.iter().map(|fault| fault.to_string()).collect();
    (read.job, warnings)
}

#[test]
fn each_is_read_with_its_place() {
    let entry = |name: &str, column: Value, paras: Value| json!({"name": name, "parameter": {"columnIndex": column, "paras": paras}});
    let (job, warnings) = job(json!([
        entry("dx_substr", json!(0), json!(["2", 5])),
        entry("dx_pad", json!("1"), json!(["L", "10", "ab"])),
        entry("dx_pad", json!(1), json!(["r", "10", " "])),
        entry("dx_replace", json!(2), json!(["0", "1", ""])),
        entry("dx_filter", json!(3), json!(["==", "x"])),
        entry("dx_filter", json!(3), json!(["NOT LIKE", "\\d.*"])),
        entry("dx_digest", json!(4), json!(["sha1", "toUpperCase"])),
    ]));
    let condition = Condition::Compare(Comparison::Equal, "x".into());
    let pattern = Condition::NotLike("(?R)\\A(?:[0-9].*)\\z".into());
    let expected = [
        (0, Action::Substring { start: 2, length: 5 }),
        (1, Action::Pad { side: PadSide::Left, length: 10, pad: "ab".into() }),
        (1, Action::Pad { side: PadSide::Right, length: 10, pad: " ".into() }),
        (2, Action::Replace { start: 0, length: 1, replacement: String::new() }),
        (3, Action::Drop(condition)),
        (3, Action::Drop(pattern)),
        (4, Action::Digest { algorithm: DigestAlgorithm::Sha1, upper_case: true }),
    ];
    let expected = expected.into_iter().enumerate().map(|(index, (column, action))| Transformer {
        name: action.word().to_owned(),
        category: Category::Map,
        work: Work::Column { column, action },
        place: format!("/job/content/0/transformer/{index}"),
    });
    assert_eq!(job.transformers, expected.collect::<Vec<_>>());
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn none_are_none() {
    for none in [json!(null), json!([])] {
        assert_eq!(job(none).0.transformers, []);
    }
}

/// A document of script mode with steps between, by name and `columnIndex`, and these hops.
fn script(steps: &[(&str, usize)], hops: &[(&str, &str)]) -> Value {
    let reader = json!({"stepType": "stream", "category": "reader", "name": "In",
        "parameter": {"sliceRecordCount": 1, "column": [{"value": "a", "type": "string"}]}});
    let writer =
        json!({"stepType": "stream", "category": "writer", "name": "Out", "parameter": {}});
    let between = steps.iter().map(|(name, column)| {
        json!({"stepType": "dx_substr", "category": "map", "name": name, "displayName": "cut",
            "parameter": {"columnIndex": column, "paras": ["0", "1"]}})
    });
    let steps: Vec<_> = [reader].into_iter().chain(between).chain([writer]).collect();
    let hops: Vec<_> = hops.iter().map(|(from, to)| json!({"from": from, "to": to})).collect();
    json!({"type": "job", "version": "2.0", "steps": steps, "order": {"hops": hops}})
}

#[test]
fn steps_of_script_mode_go_by_hops() {
    let document = script(&[("T2", 2), ("T1", 1)], &[("T2", "Out"), ("In", "T1"), ("T1", "T2")]);
    let read = fixture::read(&document.to_string(), &[]).expect("the document holds");
    let order = read.job.transformers.iter().map(|step| (step.name.as_str(), step.place.as_str()));
    assert_eq!(order.collect::<Vec<_>>(), [("T1", "/steps/2"), ("T2", "/steps/1")]);
}

#[test]
fn hops_that_are_no_chain_are_told() {
    type Row<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);
    let table: [Row<'_>; 5] = [
        (&[("In", "Out")], &["/steps/1", "/steps/2"]),
        (&[("In", "T1"), ("T1", "T2")], &["/order/hops"]),
        (&[("In", "T1"), ("T1", "T2"), ("T2", "T1")], &["/order/hops", "/order/hops/2/to"]),
        (
            &[("In", "T1"), ("In", "T2"), ("T1", "Out"), ("T2", "Out")],
            &["/steps/2", "/order/hops/1/from", "/order/hops/3/to"],
        ),
        (&[], &["/order/hops"]),
    ];
    for (hops, places) in table {
        let document = script(&[("T1", 0), ("T2", 0)], hops).to_string();
        let refused = fixture::read(&document, &[]).expect_err("the steps are no chain");
        let mut told: Vec<_> = refused.faults.iter().filter_map(|at| at.place.as_deref()).collect();
        told.sort_unstable();
        let mut places = places.to_vec();
        places.sort_unstable();
        assert_eq!(told, places, "{hops:?}");
    }
}

/// A document with one step between.
fn with_step(kind: &str, parameter: &Value) -> String {
    let mut document = script(&[("T", 0)], &[("In", "T"), ("T", "Out")]);
    document["steps"][1]["stepType"] = kind.into();
    document["steps"][1]["parameter"] = parameter.clone();
    document.to_string()
}

#[test]
fn own_steps_are_read() {
    let table = [
        ("filter", json!({"condition": "a > 1"}), Work::Filter { condition: "a > 1".into() }),
        (
            "edit-columns",
            json!({"column": [{"name": "n", "expression": "a || b", "type": "string"}],
                "rename": {"a": "b"}, "select": ["b"]}),
            Work::Edit(Edits {
                computed: vec![Computed {
                    name: "n".into(),
                    expression: "a || b".into(),
                    data_type: Some("string".into()),
                }],
                drop: vec![],
                rename: vec![("a".into(), "b".into())],
                select: Some(vec!["b".into()]),
            }),
        ),
        (
            "string-replace",
            json!({"rules": [{"field": "a", "find": "a.b", "replace": "$1"},
                {"field": "a", "find": "a.b", "replace": "$1", "regex": true, "caseSensitive": "true"}]}),
            Work::Replace(vec![
                Replacement { column: "a".into(), pattern: r"(?i)a\.b".into(), by: "$$1".into() },
                Replacement { column: "a".into(), pattern: "a.b".into(), by: "$1".into() },
            ]),
        ),
        (
            "json-extracting",
            json!({"column": [{"name": "n", "fromColumn": "a", "jsonPath": "$.a", "type": "long",
                "nullOrInvalidDataAction": "null"}]}),
            Work::Extract(vec![Extraction {
                name: "n".into(),
                from: "a".into(),
                path: "$.a".into(),
                data_type: "long".into(),
                null_where_invalid: true,
            }]),
        ),
    ];
    for (kind, parameter, expected) in table {
        let read = fixture::read(&with_step(kind, &parameter), &[]).expect("the document holds");
        let step = &read.job.transformers[0];
        assert_eq!((&step.work, step.work.word()), (&expected, kind));
    }
}

#[test]
fn faults_of_own_steps_have_their_places() {
    let table: [(&str, Value, &[&str]); 10] = [
        ("filter", json!({}), &["spec.required "]),
        ("filter", json!({"condition": "a >"}), &["expression.syntax /condition"]),
        (
            "filter",
            json!({"condition": "lowr(a) = 'x'"}),
            &["expression.unknown_function /condition"],
        ),
        ("edit-columns", json!({}), &["spec.required "]),
        (
            "edit-columns",
            json!({"column": [{"name": "n", "expression": "1 +"}, {"expression": "1", "type": "nix"}],
                "drop": ["a", 1], "rename": {"a/b": 2}}),
            &[
                "expression.syntax /column/0/expression",
                "spec.required /column/1",
                "expression.type /column/1/type",
                "spec.type /drop/1",
                "spec.type /rename/a~1b",
            ],
        ),
        ("string-replace", json!({"rules": []}), &["spec.value /rules"]),
        (
            "string-replace",
            json!({"rules": [{"field": "a", "find": "(", "replace": "", "regex": true}]}),
            &["spec.value /rules/0/find"],
        ),
        (
            "data-masking",
            json!({"column": [{"name": "a", "method": "hash", "secretKey": "short"},
                {"name": "b", "method": "mask", "keepFirst": -1, "with": "**"},
                {"name": "c", "method": "hide"}, {"name": "d", "method": "fixed"},
                {"name": "e", "method": "hash", "secretKey": {"env": "NOT_THERE"}}]}),
            &[
                "spec.secret_missing /column/4/secretKey",
                "spec.value /column/0/secretKey",
                "spec.value /column/1/keepFirst",
                "spec.value /column/2/method",
                "spec.required /column/3",
            ],
        ),
        ("json-extracting", json!({"columns": []}), &["spec.required "]),
        (
            "json-extracting",
            json!({"column": [{"name": "n", "fromColumn": "a", "jsonPath": "a", "type": "x",
                "nullOrInvalidDataAction": "SKIP"}]}),
            &[
                "expression.value /column/0/jsonPath",
                "expression.type /column/0/type",
                "spec.value /column/0/nullOrInvalidDataAction",
            ],
        ),
    ];
    for (kind, parameter, expected) in table {
        let refused = fixture::read(&with_step(kind, &parameter), &[]).expect_err("it is wrong");
        let told = refused.faults.iter().map(|fault| {
            let place = fault.place.as_deref().unwrap_or_default();
            format!("{} {}", fault.code, place.replace("/steps/1/parameter", ""))
        });
        assert_eq!(told.collect::<Vec<_>>(), expected, "{kind} {parameter}");
    }
}

#[test]
fn a_key_is_a_secret() {
    let parameter = json!({"column": [{"name": "a", "method": "hash", "secretKey": "${K}"}]});
    let document = with_step("data-masking", &parameter);
    let read = fixture::read(&document, &["K=a key of some length"]).expect("the document holds");
    assert_eq!(read.secret_parameters, ["K"]);
    assert!(!format!("{:?}", read.job).contains("a key of some length"));
    let literal = document.replace("${K}", "a key of some length");
    let read = fixture::read(&literal, &[]).expect("the document holds");
    assert!(!read.text_blanked.contains("a key of some length"));
}

/// A job with a step of `step_type` between, of a category.
fn through(step_type: &str, category: &str, parameter: Value) -> String {
    json!({
        "type": "job", "version": "2.0",
        "steps": [
            {"stepType": "stream", "category": "reader", "name": "R", "parameter": {
                "sliceRecordCount": 1, "column": [{"value": "a"}]}},
            {"stepType": step_type, "category": category, "name": "S", "parameter": parameter},
            {"stepType": "stream", "category": "writer", "name": "W", "parameter": {}}
        ],
        "order": {"hops": [{"from": "R", "to": "S"}, {"from": "S", "to": "W"}]}
    })
    .to_string()
}

#[test]
fn a_plugin_is_a_step() {
    let text = through("explode", "flatmap", json!({"column": "a", "token": "t0ken"}));
    let read =
        fixture::read(&text, &[]).unwrap_or_else(|it| panic!("{}", fixture::render_all(&it)));
    let step = &read.job.transformers[0];
    let Work::Plugin(plugin) = &step.work else { panic!("{step:?}") };
    assert_eq!((step.name.as_str(), step.category), ("S", Category::Flatmap));
    assert_eq!(plugin.configuration.side, Side::Transformer);
    assert_eq!(plugin.parameter_place, "/steps/1/parameter");
    assert!(plugin.configuration.parameter.contains("t0ken"));
    assert!(!plugin.configuration.parameter_blanked.contains("t0ken"));
    assert!(!read.text_blanked.contains("t0ken"));
    assert_eq!(read.places.transformers, [vec![]]);
}

#[test]
fn a_plugin_that_cannot_be_the_step_is_refused() {
    for (step_type, category, parameter, code, place) in [
        ("explode", "map", json!({"column": "a"}), "spec.category", "/steps/1/category"),
        ("file", "map", json!({}), "spec.no_role", "/steps/1/stepType"),
        ("explod", "flatmap", json!({}), "spec.transformer", "/steps/1/stepType"),
        ("explode", "flatmap", json!({}), "spec.required", "/steps/1/parameter"),
    ] {
        let refused = fixture::read(&through(step_type, category, parameter), &[]).unwrap_err();
        let [fault] = refused.faults.as_slice() else { panic!("{:?}", refused.faults) };
        assert_eq!((fault.code.as_str(), fault.place.as_deref()), (code, Some(place)), "{fault}");
    }
}
