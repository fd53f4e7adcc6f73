use serde_json::json;

use super::*;

/// Value after the check, and findings as lines `pointer: message (hint)`, warnings with `~`.
fn check(schema: Value, value: Value) -> (Value, Vec<String>) {
    let mut value = value;
    let schema = Schema::parse(&schema.to_string()).unwrap();
    let findings = schema.check(&mut value, &BTreeSet::new());
    let lines = findings.into_iter().map(|finding| {
        let mark = if finding.is_warning { "~" } else { "" };
        let hint = finding.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{mark}{}: {}{hint}", finding.pointer, finding.message)
    });
    (value, lines.collect())
}

#[track_caller]
fn holds(schema: Value, value: Value, normalised: Value) {
    assert_eq!(check(schema, value), (normalised, Vec::new()));
}

#[track_caller]
fn fails(schema: Value, value: Value, expected: &[&str]) {
    assert_eq!(check(schema, value).1, expected);
}

#[test]
fn texts_of_numbers_and_booleans_are_normalised() {
    let of = |kind: &str| json!({"properties": {"x": {"type": kind}}});
    holds(of("integer"), json!({"x": "2"}), json!({"x": 2}));
    holds(of("integer"), json!({"x": 2.0}), json!({"x": 2}));
    holds(of("integer"), json!({"x": "0"}), json!({"x": 0}));
    holds(of("number"), json!({"x": "0.5"}), json!({"x": 0.5}));
    holds(of("boolean"), json!({"x": "True"}), json!({"x": true}));
    holds(of("string"), json!({"x": "2"}), json!({"x": "2"}));
    holds(json!({"type": ["integer", "string"]}), json!("2"), json!("2"));
    fails(of("integer"), json!({"x": "2.5"}), &["/x: \"x\" must be a whole number, not a text"]);
    fails(of("integer"), json!({"x": "007"}), &["/x: \"x\" must be a whole number, not a text"]);
    fails(of("integer"), json!({"x": 2.5}), &["/x: \"x\" must be a whole number, not a number"]);
    fails(of("string"), json!({"x": 2}), &["/x: \"x\" must be a text, not a number"]);
    fails(
        json!({"type": ["string", "array"]}),
        json!(true),
        &[": the value must be a text or a list, not true or false"],
    );
}

#[test]
fn null_is_absent_where_it_is_no_type() {
    let schema = json!({"properties": {"a": {"type": "string"}, "b": {}, "c": {"type": ["null", "string"]}}});
    holds(schema, json!({"a": null, "b": null, "c": null}), json!({"b": null, "c": null}));
    let schema = json!({"required": ["a"], "properties": {"a": {"type": "string", "description": "its name"}}});
    fails(schema, json!({"a": null}), &[": \"a\" is missing (add \"a\": its name)"]);
}

#[test]
fn choices_are_compared_without_case_and_spelled_by_the_schema() {
    let schema = json!({"properties": {"writeMode": {"enum": ["insert", "upsert"]}}});
    holds(schema.clone(), json!({"writeMode": "INSERT"}), json!({"writeMode": "insert"}));
    fails(
        schema,
        json!({"writeMode": "upser"}),
        &[
            "/writeMode: \"writeMode\" is \"upser\", none of \"insert\", \"upsert\" (did you mean \"upsert\"?)",
        ],
    );
    fails(json!({"const": "job"}), json!("x"), &[": the value is \"x\", not \"job\""]);
}

#[test]
fn bounds_of_numbers_texts_and_lists() {
    let schema = json!({"properties": {
        "n": {"type": "integer", "minimum": 1, "maximum": 32},
        "t": {"type": "string", "minLength": 1, "pattern": "^[a-z]*$"},
        "l": {"type": "array", "minItems": 1, "maxItems": 2, "items": {"type": "string"}}}});
    holds(
        schema.clone(),
        json!({"n": 32, "t": "a", "l": ["x"]}),
        json!({"n": 32, "t": "a", "l": ["x"]}),
    );
    fails(
        schema.clone(),
        json!({"n": 33, "t": "A", "l": ["x", 1, "y"]}),
        &[
            "/n: \"n\" is 33, more than 32",
            "/t: \"t\" is \"A\", which does not match ^[a-z]*$",
            "/l: \"l\" has 3 items, more than 2",
            "/l/1: item 2 of \"l\" must be a text, not a number",
        ],
    );
    fails(
        schema,
        json!({"n": "0", "t": "", "l": []}),
        &["/n: \"n\" is 0, less than 1", "/t: \"t\" is empty", "/l: \"l\" is empty"],
    );
}

#[test]
fn unknown_keys_warn_and_open_objects_take_all() {
    let closed = json!({"properties": {"splitPk": {}}, "additionalProperties": false});
    fails(
        closed,
        json!({"splitpk": 1}),
        &["~/splitpk: unknown key \"splitpk\", ignored (did you mean \"splitPk\"?)"],
    );
    fails(json!({"properties": {}}), json!({"x": 1}), &["~/x: unknown key \"x\", ignored"]);
    holds(
        json!({"properties": {}, "additionalProperties": true}),
        json!({"x": 1}),
        json!({"x": 1}),
    );
    holds(json!({}), json!({"x": 1}), json!({"x": 1}));
    let shared = json!({"properties": {"a": {}}, "oneOf": [{"properties": {"b": {"const": 1}}}]});
    holds(shared, json!({"a": 1, "b": 1, "c": 1}), json!({"a": 1, "b": 1, "c": 1}));
    let typed = json!({"additionalProperties": {"type": "string"}});
    fails(typed, json!({"a/b": 1}), &["/a~1b: \"a/b\" must be a text, not a number"]);
}

#[test]
fn alternatives_take_the_branch_that_fits_best() {
    let column = json!({"items": {"oneOf": [
        {"type": "string"},
        {"type": "object", "required": ["index"], "additionalProperties": false,
         "properties": {"index": {"type": "integer"}, "type": {"enum": ["long"]}}},
        {"type": "object", "required": ["value"], "additionalProperties": false,
         "properties": {"value": {}, "type": {"enum": ["long"]}}}]}});
    holds(
        column.clone(),
        json!(["*", {"index": "0"}, {"value": "x", "type": "LONG"}]),
        json!(["*", {"index": 0}, {"value": "x", "type": "long"}]),
    );
    fails(
        column.clone(),
        json!([{"index": 0, "type": "lang"}]),
        &["/0/type: \"type\" is \"lang\", not \"long\" (did you mean \"long\"?)"],
    );
    fails(
        column.clone(),
        json!([true]),
        &[
            "/0: item 1 of \"\" has none of the forms that are allowed (expected a text, or an object with \"index\", or an object with \"value\")",
        ],
    );
    fails(
        column,
        json!([{"index": 0, "value": 1}]),
        &[
            "/0: item 1 of \"\" fits several forms at once (expected a text, or an object with \"index\", or an object with \"value\")",
        ],
    );
    let either = json!({"anyOf": [{"required": ["host"]}, {"required": ["address"]}]});
    holds(either.clone(), json!({"host": 1, "address": 2}), json!({"host": 1, "address": 2}));
    fails(either, json!({}), &[": \"host\" is missing"]);
}

#[test]
fn references_within_the_schema_are_followed() {
    let schema = json!({
        "properties": {"ssl": {"anyOf": [{"$ref": "#/$defs/Ssl"}, {"type": "null"}]}},
        "$defs": {
            "Ssl": {"type": "object", "properties": {"mode": {"$ref": "#/$defs/Mode"}, "key": {"writeOnly": true}}},
            "Mode": {"oneOf": [{"const": "require", "description": "x"}, {"type": "string", "enum": ["prefer", "disable"]}]}}});
    holds(schema.clone(), json!({"ssl": {"mode": "PREFER"}}), json!({"ssl": {"mode": "prefer"}}));
    holds(schema.clone(), json!({"ssl": null}), json!({"ssl": null}));
    fails(
        schema.clone(),
        json!({"ssl": {"mode": "requir"}}),
        &[
            "/ssl/mode: \"mode\" is \"requir\", none of \"require\", \"prefer\", \"disable\" (did you mean \"require\"?)",
        ],
    );
    assert!(Schema::parse(&schema.to_string()).unwrap().secret_names().contains("key"));
    fails(
        json!({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}}),
        json!({}),
        &[": the schema needs more than 400000 checks for this value"],
    );
}

#[test]
fn all_branches_of_all_of_are_checked() {
    let schema = json!({"allOf": [
        {"properties": {"a": {"type": "integer", "exclusiveMinimum": 0}}, "required": ["a"]},
        {"properties": {"b": {"type": "string", "maxLength": 1}}}]});
    holds(schema.clone(), json!({"a": "1", "b": "x"}), json!({"a": 1, "b": "x"}));
    fails(
        schema,
        json!({"a": 0, "b": "xy"}),
        &["/a: \"a\" is 0, not more than 0", "/b: \"b\" has more than 1 characters"],
    );
}

#[test]
fn secrets_are_not_shown() {
    let schema = json!({"properties": {"pin": {"writeOnly": true, "pattern": "^x$"}}});
    fails(
        schema.clone(),
        json!({"pin": "1234"}),
        &["/pin: \"pin\" is a secret, which does not match ^x$"],
    );
    assert!(Schema::parse(&schema.to_string()).unwrap().secret_names().contains("pin"));
}

#[test]
fn a_schema_cannot_keep_the_host_busy() {
    let mut schema = json!({"type": "string"});
    for _ in 0..12 {
        schema = json!({"anyOf": [schema.clone(), schema]});
    }
    let schema = json!({"items": schema});
    let mut value = json!(vec!["x"; 1000]);
    let parsed = Schema { root: schema, patterns: BTreeMap::new() };
    let findings = parsed.check(&mut value, &BTreeSet::new());
    assert_eq!(findings.last().unwrap().code, "contract.schema");
}

#[test]
fn a_text_that_is_no_schema_is_the_plugins_fault() {
    for text in ["{", "[]", "{\"pattern\": \"(\"}"] {
        assert_eq!(Schema::parse(text).unwrap_err().code, "contract.schema", "{text}");
    }
    assert!(Schema::parse("").is_ok());
}
