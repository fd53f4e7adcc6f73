//! Which files a guest can touch: below the folders of its session, and nothing else.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use domain::Side;
use domain::grant::Access;
use domain::port::{Destination as _, Source as _, Writer as _};
use sandbox::{Component, Reach};

use crate::setup::{attempt, faulty, folder, guest};

async fn reaches(component: &Component, reach: Reach, act: &str, target: &str) -> bool {
    let parameter = format!(r#"{{"call": "connect", "act": "{act}", "target": "{target}"}}"#);
    let source = component.source(faulty(Side::Reader, &parameter), reach);
    let fault = source.connect().await.err().unwrap();
    assert!(fault.code == "faulty.reached" || fault.code == "faulty.refused", "{fault}");
    fault.code == "faulty.reached"
}

/// `in/a.csv`, `in/deep/b.csv`, `secret.txt` beside them, and ways out of `in`.
fn tree(base: &Path) {
    fs::create_dir_all(base.join("in/deep")).unwrap();
    fs::write(base.join("in/a.csv"), "a").unwrap();
    fs::write(base.join("in/deep/b.csv"), "b").unwrap();
    fs::write(base.join("secret.txt"), "s").unwrap();
    symlink("../secret.txt", base.join("in/up")).unwrap();
    symlink("/etc/passwd", base.join("in/absolute")).unwrap();
    symlink("..", base.join("in/folder")).unwrap();
    symlink("a.csv", base.join("in/inside")).unwrap();
}

#[tokio::test]
async fn t48_a_reader_reads_below_its_folder_only() {
    let component = guest("faulty").await;
    let base = tempfile::tempdir().unwrap();
    tree(base.path());
    let reach = || folder(base.path(), "in/*.csv", Access::Read);
    for good in ["in/a.csv", "./in/a.csv", "in/deep/b.csv", "in/deep/../a.csv", "in/inside"] {
        assert!(reaches(&component, reach(), "read", good).await, "{good}");
    }
    let outside = base.path().join("secret.txt");
    for bad in [
        "secret.txt",
        "in/../secret.txt",
        "in/deep/../../secret.txt",
        "in/up",
        "in/up/",
        "in/absolute",
        "in/folder/secret.txt",
        "in/a.csv/",
        "/etc/passwd",
        "/proc/self/environ",
        "in/../../../../../../etc/passwd",
        outside.to_str().unwrap(),
    ] {
        assert!(!reaches(&component, reach(), "read", bad).await, "{bad}");
    }
    assert!(!reaches(&component, Reach::none(), "read", "in/a.csv").await);
}

#[tokio::test]
async fn t48_a_reader_writes_nothing() {
    let component = guest("faulty").await;
    let base = tempfile::tempdir().unwrap();
    tree(base.path());
    for target in ["in/a.csv", "in/new.csv"] {
        let reach = folder(base.path(), "in", Access::Read);
        assert!(!reaches(&component, reach.clone(), "write", target).await);
        assert!(!reaches(&component, reach, "link", "in/link").await);
    }
    assert_eq!(fs::read_to_string(base.path().join("in/a.csv")).unwrap(), "a");
    assert!(!base.path().join("in/new.csv").exists());
}

#[tokio::test]
async fn t48_a_writer_writes_below_its_folder_only() {
    let component = guest("faulty").await;
    let base = tempfile::tempdir().unwrap();
    tree(base.path());
    let reach = || folder(base.path(), "in", Access::Write);
    assert!(reaches(&component, reach(), "write", "in/new.csv").await);
    assert_eq!(fs::read_to_string(base.path().join("in/new.csv")).unwrap(), "written by a plug-in");
    for bad in ["secret.txt", "in/../secret.txt", "in/up", "in/folder/new", "/tmp/airlock-escape"] {
        assert!(!reaches(&component, reach(), "write", bad).await, "{bad}");
    }
    assert!(!reaches(&component, reach(), "link", "in/link").await);
    assert_eq!(fs::read_to_string(base.path().join("secret.txt")).unwrap(), "s");
    assert!(!base.path().join("new").exists());
}

#[tokio::test]
async fn a_writers_folder_that_is_not_there_takes_nothing() {
    let component = guest("faulty").await;
    let base = tempfile::tempdir().unwrap();
    let reach = folder(base.path(), "out", Access::Write);
    assert!(!reaches(&component, reach.clone(), "write", "out/x").await);
    assert!(!base.path().join("out").exists());
    // Made before the next session, it is a folder like any other.
    fs::create_dir(base.path().join("out")).unwrap();
    assert!(reaches(&component, reach, "write", "out/x").await);
}

#[tokio::test]
async fn t48_a_granted_file_shows_nothing_beside_it() {
    let component = guest("faulty").await;
    let base = tempfile::tempdir().unwrap();
    tree(base.path());
    symlink("in/deep/b.csv", base.path().join("latest.csv")).unwrap();
    let reach = |path| folder(base.path(), path, Access::Read);
    for (path, good) in [
        ("in/a.csv", "in/a.csv"),
        ("in/a.csv", "./in/a.csv"),
        ("secret.txt", "secret.txt"),
        ("latest.csv", "latest.csv"),
    ] {
        assert!(reaches(&component, reach(path), "read", good).await, "{good}");
        assert!(!reaches(&component, reach(path), "write", good).await, "{good}");
    }
    for (path, bad) in [
        ("in/a.csv", "in/deep/b.csv"),
        ("in/a.csv", "in/inside"),
        ("in/a.csv", "in/../secret.txt"),
        ("in/a.csv", "in/a.csv/../deep/b.csv"),
        ("secret.txt", "in/a.csv"),
        ("secret.txt", "latest.csv"),
        ("latest.csv", "b.csv"),
        ("latest.csv", "secret.txt"),
    ] {
        assert!(!reaches(&component, reach(path), "read", bad).await, "{path}: {bad}");
    }
}

#[tokio::test]
async fn a_writers_folder_comes_just_before_prepare() {
    let component = guest("faulty").await;
    let base = tempfile::tempdir().unwrap();
    let parameter = r#"{"call": "prepare", "act": "write", "target": "out/deep/x"}"#;
    let reach = folder(base.path(), "out/deep", Access::Write);
    let destination = component.destination(faulty(Side::Writer, parameter), reach);
    let mut writer = destination.connect().await.unwrap();
    writer.preview(&[]).await.unwrap();
    assert!(!base.path().join("out").exists());
    let fault = writer.prepare(&attempt(), &[]).await.unwrap_err();
    assert_eq!(fault.code, "faulty.reached");
    assert!(base.path().join("out/deep/x").exists());
}
