//! Documents that do not hold: each `bad/NAME.json` has its whole list of faults in `bad/NAME.txt`.
//!
//! `UPDATE_GOLDEN=1 cargo test --release -p spec --test bad` writes the lists anew; read the change.

use std::fs;
use std::path::Path;

mod fixture;

fn told(text: &str) -> String {
    // The same parameters for all documents.
    match fixture::read(text, &["lead=007", "n=7"]) {
        Ok(read) => {
            let warnings = read.warnings.iter().map(|fault| fixture::render("warning", fault));
            "the document holds\n".to_owned() + &warnings.collect::<String>()
        }
        Err(refused) => fixture::render_all(&refused),
    }
}

#[test]
fn every_fault_is_told_with_pointer_line_reason_and_hint() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut names: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    names.sort();
    assert!(names.len() >= 15, "the folder has lost documents");
    let mut different = Vec::new();
    for path in names {
        let told = told(&fs::read_to_string(&path).unwrap());
        let golden = path.with_extension("txt");
        if update {
            fs::write(&golden, &told).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if told != expected {
            different.push(format!("{}\n--- expected\n{expected}--- told\n{told}", path.display()));
        }
        assert!(told.starts_with("error"), "{} holds", path.display());
        assert!(!told.contains("s3cret"), "{} shows a secret", path.display());
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
