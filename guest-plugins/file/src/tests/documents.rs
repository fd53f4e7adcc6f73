use super::*;

#[test]
fn requirements_name_each_folder_once() {
    let ask = |side, parameter: Value| {
        let found = FilePlugin::requirements(&configuration(side, &parameter)).unwrap();
        found
            .into_iter()
            .map(|requirement| match requirement {
                sdk::Requirement::Directory(directory) => directory.path,
                _ => panic!("a file needs folders alone"),
            })
            .collect::<Vec<_>>()
    };
    let read = |path: Value| ask(Side::Reader, json!({ "path": path }));
    assert_eq!(read(json!("in/orders-*.csv")), ["in"]);
    assert_eq!(read(json!(["a-*.csv", "b.csv", "in/", "in/*.csv"])), [".", "b.csv", "in"]);
    assert_eq!(ask(Side::Writer, json!({ "path": "out/dt=1", "fileName": "x" })), ["out/dt=1"]);
}

#[test]
fn schemas_name_exactly_what_the_code_reads() {
    let description = FilePlugin::describe();
    let types = &description.types[0];
    let keys = |schema: &str| {
        let schema: Value = serde_json::from_str(schema).unwrap();
        let properties = schema["properties"].as_object().unwrap().clone();
        for (key, property) in &properties {
            let described = property.get("description").is_some()
                || property.get("$ref").is_some()
                || property.get("allOf").is_some();
            assert!(described, "{key} has no description");
        }
        let mut keys: Vec<_> = properties.keys().cloned().collect();
        keys.sort();
        keys.join(" ")
    };
    assert_eq!(
        keys(&types.reader.as_ref().unwrap().parameter_schema),
        "column compress csvReaderConfig encoding fieldDelimiter fileFormat header inferTypes \
         lineDelimiter markDoneFileName maxRetryTime nullFormat object parquetSchema \
         partitionColumns path rowPath sheet skipHeader splitBytes"
    );
    assert_eq!(
        keys(&types.writer.as_ref().unwrap().parameter_schema),
        "column compress compression dateFormat dictionary encoding escapeChar fieldDelimiter fileFormat \
         fileName generateEmptyFile header lineDelimiter markDoneFileName maxFileSize nullFormat \
         object ossBlockSize pageSize parquetSchema path quote rowGroupRows rowGroupSize \
         singleFileOutput skipHeader suffix timeout writeHeader writeMode writeSingleObject"
    );
}

#[test]
fn bad_parameters_are_refused_before_anything_runs() {
    let read = |mut more: Value| {
        more["path"] = json!("x.csv");
        (Side::Reader, more)
    };
    let write = |mut more: Value| {
        more["path"] = json!("x");
        more["fileName"] = more.get("fileName").cloned().unwrap_or(json!("a"));
        (Side::Writer, more)
    };
    let invalid = [
        (Side::Reader, json!({ "path": [] })),
        (Side::Reader, json!({})),
        read(json!({ "object": "y" })),
        read(json!({ "fieldDelimiter": "||" })),
        read(json!({ "fieldDelimiter": ";", "lineDelimiter": ";" })),
        read(json!({ "fieldDelimiter": "'", "csvReaderConfig": { "textQualifier": "'" } })),
        read(json!({ "fieldDelimiter": "\\", "csvReaderConfig": { "escapeMode": 2 } })),
        read(json!({ "fieldDelimiter": "#", "csvReaderConfig": { "useComments": true } })),
        read(json!({ "nullFormat": "a,b" })),
        read(json!({ "nullFormat": "\"\"" })),
        read(json!({ "nullFormat": "a\n" })),
        read(json!({ "compress": "lzo" })),
        read(json!({ "encoding": "klingon" })),
        read(json!({ "column": [{ "index": 0, "type": "money" }] })),
        read(json!({ "column": [{ "index": 0, "type": "decimal" }] })),
        write(json!({ "fileName": "a/b" })),
        write(json!({ "fileName": ".a" })),
        write(json!({ "fileName": "_a" })),
        (Side::Writer, json!({ "path": "x*", "fileName": "a" })),
        (Side::Writer, json!({ "path": "x" })),
        write(json!({ "writeMode": "replace" })),
        write(json!({ "fieldDelimiter": ";", "lineDelimiter": ";" })),
        write(json!({ "fieldDelimiter": "'", "quote": "'" })),
        write(json!({ "fieldDelimiter": "\\", "escapeChar": "\\" })),
        write(json!({ "nullFormat": "," })),
    ];
    for (side, parameter) in invalid {
        let fault = FilePlugin::requirements(&configuration(side, &parameter)).unwrap_err();
        assert_eq!(fault.code, "parameter.invalid", "{parameter}: {}", fault.message);
        assert!(fault.place.is_some(), "{parameter}");
    }
    let (_, single) = write(json!({ "singleFileOutput": "true" }));
    let fault = FilePlugin::requirements(&configuration(Side::Writer, &single)).unwrap_err();
    assert_eq!(fault.code, "parameter.unsupported");
    let (_, mode) = write(json!({ "writeMode": "NONCONFLICT" }));
    FilePlugin::requirements(&configuration(Side::Writer, &mode)).unwrap();
}

#[test]
fn keys_without_a_meaning_are_told() {
    let folder = Folder::new();
    let path = folder.put("a.jsonl", b"{\"a\":1}\n");
    let parameter = json!({
        "object": path, "maxRetryTime": 60, "fieldDelimiter": ",", "parquetSchema": "message x {}",
    });
    let (dataset, batches, _) = read_all(&parameter);
    assert_eq!(batches[0].num_rows(), 1);
    let told =
        ("without effect".to_owned(), "maxRetryTime, parquetSchema, fieldDelimiter".to_owned());
    assert_eq!(dataset.metadata.last(), Some(&told));
    let parameter = json!({
        "path": "x", "fileName": "a", "object": "b", "timeout": 60_000, "ossBlockSize": 16,
        "singleFileOutput": false, "writeSingleObject": "false", "parquetSchema": "message x {}",
    });
    FilePlugin::requirements(&configuration(Side::Writer, &parameter)).unwrap();
}

#[test]
fn checks_look_at_each_place() {
    let folder = Folder::new();
    let path = folder.put("a.csv", b"a\n");
    let parameter = json!({ "path": [path, format!("{}/none", folder.text())] });
    let steps = FilePlugin::check(&configuration(Side::Reader, &parameter)).unwrap();
    let codes: Vec<_> = steps.into_iter().map(|step| step.fault.map(|fault| fault.code)).collect();
    assert_eq!(codes, [None, Some("file.not_found".to_owned())]);
    let parameter = json!({ "path": path, "fileName": "x" });
    let steps = FilePlugin::check(&configuration(Side::Writer, &parameter)).unwrap();
    assert!(steps[0].fault.is_some(), "a file is no folder");
}

#[test]
fn a_data_source_is_browsed_and_discovered() {
    let folder = Folder::new();
    for name in ["a.csv", "b.csv", "c.csv"] {
        folder.put(name, b"1,x\n");
    }
    let configuration = Configuration {
        connection: json!({ "path": format!("{}/*.csv", folder.text()) }).to_string(),
        ..configuration(Side::Reader, &json!({}))
    };
    let entries = FilePlugin::browse(&configuration, &[], None, 2).unwrap();
    let last = entries.last().unwrap().path[0].clone();
    assert!(last.ends_with("/b.csv"));
    let rest = FilePlugin::browse(&configuration, &[], Some(&last), 9).unwrap();
    assert_eq!(rest.len(), 1);
    let found = FilePlugin::discover(&configuration, &[rest[0].path.clone()]).unwrap();
    assert_eq!(found[0].schema.field(0).data_type(), &arrow_schema::DataType::Int64);
    let outside = FilePlugin::discover(&configuration, &[vec!["/etc/passwd".into()]]);
    assert_eq!(outside.unwrap_err().code, "file.not_found");
}
