//! The bench itself, without the programs that it compares with.

use std::process::Command;

use tests::tree;

#[test]
fn the_bench_tells_slow_missing_and_wrong_programs() {
    let done = Command::new(tree::tool("python"))
        .args(["-m", "unittest", "-q"])
        .current_dir(tree::tests().join("bench"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
