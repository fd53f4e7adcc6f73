//! From bytes to a component: what is refused, and what the cache may be trusted with.

use std::fs;
use std::path::{Path, PathBuf};

use domain::FaultDomain;
use sandbox::{Compiled, Component, Limits, Sandbox, Settings};

fn with_cache(folder: &Path) -> Sandbox {
    let cache_dir = Some(folder.to_owned());
    Sandbox::new(Settings { cache_dir, ..Settings::default() }).unwrap()
}

async fn load(folder: &Path) -> Component {
    let bytes = testkit::guest::component("stream");
    with_cache(folder).load(bytes, "stream").await.unwrap()
}

fn entry(folder: &Path, suffix: &str) -> PathBuf {
    let mut entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.find(|path| path.to_string_lossy().ends_with(suffix)).unwrap()
}

fn is_fresh(component: &Component) -> bool {
    matches!(component.compiled(), Compiled::Fresh(_))
}

#[tokio::test]
async fn files_that_are_no_plugin_are_told_apart() {
    let sandbox = Sandbox::new(Settings::default()).unwrap();
    for bytes in [&b""[..], b"hello", b"\0asm\x01\0\0\0", b"\0asm\x0d\0\x01\0\xff\xff"] {
        let fault = sandbox.load(bytes.to_vec(), "x.wasm").await.err().unwrap();
        assert_eq!(
            (fault.code.as_str(), fault.domain),
            ("plugin.not_a_component", FaultDomain::User)
        );
    }
    let empty = sandbox.load(b"\0asm\x0d\0\x01\0".to_vec(), "x.wasm").await.err().unwrap();
    assert_eq!(empty.code, "plugin.not_a_plugin");
    let whole = testkit::guest::component("stream");
    let half = whole[..whole.len() / 2].to_vec();
    assert_eq!(sandbox.load(half, "x.wasm").await.err().unwrap().domain, FaultDomain::User);
    let limits = Limits { component_bytes: 1000, ..Limits::default() };
    let small = Sandbox::new(Settings { limits, ..Settings::default() }).unwrap();
    assert_eq!(small.load(whole, "x.wasm").await.err().unwrap().code, "plugin.limit.component");
}

#[tokio::test]
async fn code_that_is_not_valid_is_refused() {
    let sandbox = Sandbox::new(Settings::default()).unwrap();
    let whole = testkit::guest::component("stream");
    let mut refused = 0;
    // Somewhere in the middle lies code; not every change makes it invalid.
    for at in (0..3).map(|part| whole.len() / 3 + part * 1013) {
        let mut bad = whole.clone();
        bad[at..at + 64].fill(0xff);
        match sandbox.load(bad, "bad").await {
            Ok(_) => {}
            Err(fault) => {
                refused += 1;
                let known = ["plugin.invalid", "plugin.not_a_component", "plugin.too_complex"];
                assert!(known.contains(&fault.code.as_str()), "{fault}");
            }
        }
    }
    assert!(refused > 0);
}

#[tokio::test]
async fn t49_a_changed_or_cut_entry_is_compiled_anew() {
    let folder = tempfile::tempdir().unwrap();
    assert!(is_fresh(&load(folder.path()).await));
    assert!(!is_fresh(&load(folder.path()).await));
    let path = entry(folder.path(), ".code");
    let good = fs::read(&path).unwrap();
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    // The unit tests of the cache flip every byte and cut at every length.
    for bad in [&flipped[..], &good[..good.len() - 1], &[]] {
        fs::write(&path, bad).unwrap();
        let component = load(folder.path()).await;
        assert!(is_fresh(&component), "{} bytes were loaded", bad.len());
        // The entry is good again.
        assert!(!is_fresh(&load(folder.path()).await));
    }
}

#[tokio::test]
async fn t49_a_changed_description_is_asked_for_anew() {
    let folder = tempfile::tempdir().unwrap();
    let honest = load(folder.path()).await.describe().await.unwrap();
    let path = entry(folder.path(), ".description");
    let changed = String::from_utf8_lossy(&fs::read(&path).unwrap()).replace("stream", "strewn");
    fs::write(&path, changed).unwrap();
    assert_eq!(load(folder.path()).await.describe().await.unwrap(), honest);
}

#[tokio::test]
async fn sandboxes_side_by_side_share_a_cache() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = tokio::join!(load(folder.path()), load(folder.path()));
    assert_eq!(one.digest(), other.digest());
    assert!(!is_fresh(&load(folder.path()).await));
}

#[tokio::test]
async fn without_a_usable_cache_everything_still_works() {
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(is_fresh(&load(file.path()).await));
    assert!(is_fresh(&load(&file.path().join("below")).await));
}
