use arrow_array::cast::AsArray;

use super::*;

fn texts(batches: &[RecordBatch], column: usize) -> Vec<Option<String>> {
    let column = |batch: &RecordBatch| {
        let values = batch.column(column).as_string::<i32>().clone();
        values.iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>()
    };
    batches.iter().flat_map(column).collect()
}

#[test]
fn paths_mean_files_in_a_stable_order() {
    let folder = Folder::new();
    for name in ["b.csv", "a.csv", "c.txt", ".hidden.csv", "sub/d.csv", "sub/deep/e.csv"] {
        folder.put(name, b"x\n");
    }
    let table: [(&str, &[&str]); 6] = [
        ("", &["a.csv", "b.csv", "c.txt"]),
        ("/*.csv", &["a.csv", "b.csv"]),
        ("/[bc].*", &["b.csv", "c.txt"]),
        ("/**/*.csv", &["a.csv", "b.csv", "sub/d.csv", "sub/deep/e.csv"]),
        ("/s*/d.csv", &["sub/d.csv"]),
        ("/{a,b}.csv", &["a.csv", "b.csv"]),
    ];
    for (pattern, expected) in table {
        let found = crate::places::files(&[format!("{}{pattern}", folder.text())], None).unwrap();
        let expected: Vec<_> =
            expected.iter().map(|name| format!("{}/{name}", folder.text())).collect();
        assert_eq!(found, expected, "{pattern}");
    }
    let missing = crate::places::files(&[format!("{}/x*.csv", folder.text())], None).unwrap_err();
    assert_eq!(missing.code, "file.not_found");
    assert_eq!(missing.place.as_deref(), Some("/parameter/path/0"));
}

#[test]
fn faults_of_files_have_codes() {
    let folder = Folder::new();
    let path = folder.put("a.csv", b"a\n1\n");
    let table = [
        (json!({ "path": path, "column": ["a"] }), "format.column_missing"),
        (json!({ "path": path, "header": true, "column": ["b"] }), "format.column_missing"),
        (json!({ "path": path, "column": [{ "value": "x", "type": "int" }] }), "parameter.invalid"),
        (json!({ "path": path, "fileFormat": "parquet" }), "format.corrupt"),
        (json!({ "path": path, "compress": "gzip" }), "format.corrupt"),
        (json!({ "path": path, "markDoneFileName": "done" }), "file.not_done"),
        (json!({ "path": format!("{path}x") }), "file.not_found"),
    ];
    for (parameter, code) in table {
        let mut session = reader(&parameter);
        let fault = session
            .plan(1, &[])
            .and_then(|plan| {
                let splits = session.splits(&plan.start, 1)?;
                let split = splits.splits.into_iter().next().unwrap();
                session.open(split, None, plan.datasets).map(drop)
            })
            .unwrap_err();
        assert_eq!(fault.code, code, "{parameter}: {}", fault.message);
    }
}

#[test]
fn a_file_that_changed_after_the_plan_is_refused() {
    let folder = Folder::new();
    let path = folder.put("a.csv", b"a\n1\n");
    let mut session = reader(&json!({ "path": path, "header": true }));
    let plan = session.plan(1, &[]).unwrap();
    let split = session.splits(&plan.start, 1).unwrap().splits.remove(0);
    folder.put("a.csv", b"a\n1\n2\n");
    let fault = session.open(split, None, plan.datasets).err().unwrap();
    assert_eq!(fault.code, "file.changed");
}

#[test]
fn splits_go_on_in_another_session() {
    let folder = Folder::new();
    let rows: String = (0..500).map(|row| format!("{row},\"a\n{row}\"\r\n")).collect();
    for name in ["a.csv", "b.csv", "c.csv"] {
        folder.put(name, rows.as_bytes());
    }
    let parameter = json!({ "path": format!("{}/*.csv", folder.text()), "splitBytes": 700 });
    let whole = all_splits(&mut reader(&parameter), 1000);
    assert!(whole.len() > 20);
    for limit in [1, 2, 7] {
        let mut at = reader(&parameter).plan(1, &[]).unwrap().start;
        let mut all = Vec::new();
        loop {
            let splits = reader(&parameter).splits(&at, limit).unwrap();
            assert!(splits.splits.len() <= limit as usize);
            all.extend(splits.splits.into_iter().map(|split| split.token));
            at = splits.next;
            if splits.last {
                break;
            }
        }
        let expected: Vec<_> = whole.iter().map(|split| split.token.clone()).collect();
        assert_eq!(all, expected);
    }
    let (_, batches, dirty) = read_all(&parameter);
    assert!(dirty.is_empty());
    let expected: Vec<_> =
        (0..3).flat_map(|_| (0..500).map(|row| Some(format!("a\n{row}")))).collect();
    assert_eq!(texts(&batches, 1), expected);
}

#[test]
fn headers_of_files_may_be_in_another_order() {
    let folder = Folder::new();
    folder.put("a.csv", b"id,name\n1,x\n");
    folder.put("b.csv", b"name,id\ny,2\n");
    let parameter = json!({ "path": format!("{}/*.csv", folder.text()), "header": "true" });
    let (dataset, batches, _) = read_all(&parameter);
    assert_eq!(
        dataset.metadata,
        [("files".into(), "2".into()), ("inferred".into(), "true".into())]
    );
    assert_eq!(texts(&batches, 1), [Some("x".into()), Some("y".into())]);
    folder.put("c.csv", b"name,id,more\ny,2,3\n");
    let fault = reader(&parameter).plan(1, &[]).err().unwrap();
    assert_eq!(fault.code, "format.columns_differ");
}

#[test]
fn names_that_are_no_data_are_passed_over() {
    let folder = Folder::new();
    for name in ["a.csv", "_b.csv", ".c.csv", "done", "_tmp/d.csv", "x/done", "x/e.csv"] {
        folder.put(name, b"1\n");
    }
    let table: [(&str, &[&str]); 5] = [
        ("", &["a.csv"]),
        ("/*", &["a.csv"]),
        ("/**", &["a.csv", "x/e.csv"]),
        ("/_*.csv", &["_b.csv"]),
        ("/_b.csv", &["_b.csv"]),
    ];
    for (pattern, expected) in table {
        let path = format!("{}{pattern}", folder.text());
        let found = crate::places::files(&[path], Some("done")).unwrap();
        let expected: Vec<_> =
            expected.iter().map(|name| format!("{}/{name}", folder.text())).collect();
        assert_eq!(found, expected, "{pattern}");
    }
}

#[test]
fn splits_are_made_of_the_files_that_were_planned() {
    let plan = |names: &[&str]| {
        let folder = Folder::new();
        for name in names {
            folder.put(name, "1,x\n".repeat(300).as_bytes());
        }
        let parameter = json!({ "path": format!("{}/*.csv", folder.text()), "splitBytes": 200 });
        let start = reader(&parameter).plan(1, &[]).unwrap().start;
        (folder, parameter, start)
    };
    let code = |parameter: &Value, at: &[u8]| {
        reader(parameter).splits(at, 2).err().map(|fault| fault.code)
    };
    let changed = Some("file.changed".to_owned());

    let (folder, parameter, start) = plan(&["a.csv", "b.csv"]);
    assert_eq!(code(&parameter, &start), None);
    folder.put("c.csv", b"1,x\n");
    assert_eq!(code(&parameter, &start), changed, "a file more");
    fs::remove_file(folder.0.join("a.csv")).unwrap();
    assert_eq!(code(&parameter, &start), changed, "as many files, and others");

    // In the middle of a file that grows.
    let (folder, parameter, start) = plan(&["a.csv"]);
    let next = reader(&parameter).splits(&start, 2).unwrap().next;
    assert_eq!(code(&parameter, &next), None);
    folder.put("a.csv", "1,x\n".repeat(301).as_bytes());
    assert_eq!(code(&parameter, &next), changed);
}

#[test]
fn a_file_that_changes_while_it_is_read_is_told() {
    let folder = Folder::new();
    for (before, after) in [("1,x\n2,y\n", "1,x\n2"), ("1,x\n2,y\n", "1,x\n2,y\n3,z\n")] {
        let path = folder.put("a.csv", before.as_bytes());
        let mut session = reader(&json!({ "path": path }));
        let plan = session.plan(1, &[]).unwrap();
        let split = session.splits(&plan.start, 1).unwrap().splits.remove(0);
        let mut cursor = session.open(split, None, plan.datasets).unwrap();
        folder.put("a.csv", after.as_bytes());
        let fault = loop {
            match cursor.next(BUDGET) {
                Ok(Step::Rows(_)) => {}
                Ok(_) => panic!("it ended as if nothing had happened"),
                Err(fault) => break fault,
            }
        };
        assert_eq!(fault.code, "file.changed");
    }
}

#[test]
fn folders_are_columns() {
    let folder = Folder::new();
    for (name, content) in [
        ("dt=2026-11-26/hour=7/a.csv", "id,v\n1,x\n2,y\n"),
        ("dt=2026-11-27/hour=12/a.csv", "id,v\n3,z\n"),
        ("dt=__HIVE_DEFAULT_PARTITION__/hour=0/b.csv", "id,v\n4,\n"),
    ] {
        folder.put(name, content.as_bytes());
    }
    let path = format!("{}/**/*.csv", folder.text());
    let parameter = json!({ "path": path, "header": true, "partitionColumns": true });
    let (dataset, batches, dirty) = read_all(&parameter);
    assert!(dirty.is_empty());
    let names: Vec<_> = dataset.schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["id", "v", "dt", "hour"]);
    let types: Vec<_> =
        dataset.schema.fields().iter().map(|field| field.data_type().to_string()).collect();
    assert_eq!(types, ["Int64", "Utf8", "Date32", "Int64"]);
    let batch = arrow_select::concat::concat_batches(&dataset.schema, &batches).unwrap();
    let hours: Vec<_> =
        batch.column(3).as_primitive::<arrow_array::types::Int64Type>().values().to_vec();
    assert_eq!(hours, [7, 7, 12, 0]);
    assert_eq!(batch.column(2).null_count(), 1);
    let column = json!([{ "name": "hour", "type": "string" }, "v", "dt"]);
    let parameter =
        json!({ "path": path, "header": true, "partitionColumns": "true", "column": column });
    let (dataset, batches, _) = read_all(&parameter);
    let names: Vec<_> = dataset.schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["hour", "v", "dt"]);
    assert_eq!(texts(&batches, 0), ["7", "7", "12", "0"].map(|hour| Some(hour.to_owned())));

    let wrong = json!([{ "name": "hour", "type": "date" }, "v"]);
    let parameter =
        json!({ "path": path, "header": true, "partitionColumns": true, "column": wrong });
    let fault = reader(&parameter).plan(1, &[]).err().unwrap();
    assert_eq!(fault.code, "format.folder_value", "{}", fault.message);
    folder.put("dt=2026-11-28/a.csv", b"id,v\n");
    let parameter = json!({ "path": path, "header": true, "partitionColumns": true });
    let fault = reader(&parameter).plan(1, &[]).err().unwrap();
    assert_eq!(fault.code, "format.folders_differ", "{}", fault.message);
    folder.put("flat.csv", b"id,v\n");
    let parameter =
        json!({ "path": format!("{}/flat.csv", folder.text()), "partitionColumns": true });
    assert_eq!(reader(&parameter).plan(1, &[]).err().unwrap().code, "format.no_folders");
}
