use std::fs;
use std::path::PathBuf;

use serde_json::json;
use tests::{Document, Env, Output};

/// An environment with a compile cache of its own, which the first run fills.
fn own_cache() -> (Env, PathBuf, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let env = Env::cold(folder.path());
    let reader = json!({"column": [{"value": 1, "type": "long"}], "sliceRecordCount": 3});
    env.write_json("job.json", Document::new(("stream", reader), ("stream", json!({}))).json());
    run(&env);
    (env, folder.path().join("airlock"), folder)
}

fn run(env: &Env) -> Output {
    env.airlock(&["run", "job.json", "--progress", "none"]).run().expect(0)
}

/// The largest entry: compiled code.
fn code(cache: &std::path::Path) -> PathBuf {
    let mut files = Vec::new();
    let mut folders = vec![cache.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.into_iter().max_by_key(|file| fs::metadata(file).unwrap().len()).unwrap()
}

#[test]
fn a_good_entry_is_used_without_a_word() {
    let (env, cache, _folder) = own_cache();
    let before = fs::metadata(code(&cache)).unwrap().modified().unwrap();
    assert_eq!(run(&env).stderr, "");
    assert_eq!(fs::metadata(code(&cache)).unwrap().modified().unwrap(), before);
}

#[test]
fn a_changed_entry_is_compiled_anew_with_a_warning() {
    let (env, cache, _folder) = own_cache();
    let entry = code(&cache);
    let good = fs::read(&entry).unwrap();
    let mut changed = good.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    for bad in [changed, good[..good.len() / 2].to_vec(), Vec::new()] {
        fs::write(&entry, &bad).unwrap();
        let output = run(&env);
        assert!(output.stderr.contains("cache"), "a warning: {output}");
        assert!(fs::read(&entry).unwrap() != bad, "it is written anew");
        assert_eq!(run(&env).stderr, "", "and good again");
    }
}

#[test]
fn an_entry_of_another_machine_is_not_believed() {
    let (env, cache, _folder) = own_cache();
    let (_other_env, other_cache, _other_folder) = own_cache();
    // The same name and code, but what vouches for it is signed with another key.
    let seal = |code: PathBuf| code.with_added_extension("seal");
    fs::copy(code(&other_cache), code(&cache)).unwrap();
    fs::copy(seal(code(&other_cache)), seal(code(&cache))).unwrap();
    assert!(run(&env).stderr.contains("cache"), "a warning");
}

#[test]
fn a_cache_that_cannot_be_written_is_no_reason_to_fail() {
    let (env, cache, _folder) = own_cache();
    fs::remove_dir_all(&cache).unwrap();
    fs::write(&cache, "no folder").unwrap();
    let output = env.airlock(&["run", "job.json"]).run().expect(0);
    assert!(output.stderr.contains("cache"), "and it is said: {output}");
}
