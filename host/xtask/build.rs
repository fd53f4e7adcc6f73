//! Hands the machine's target on to the program.

#![allow(clippy::print_stdout, reason = "a build script speaks to cargo on its standard output")]

fn main() {
    let target = std::env::var("TARGET").unwrap_or_default();
    println!("cargo::rustc-env=NATIVE_TARGET={target}");
    println!("cargo::rerun-if-changed=build.rs");
}
