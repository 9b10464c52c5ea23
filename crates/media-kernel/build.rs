//! Compiles the program with clang; without a clang that can, the crate is built without it and says so when asked.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCES: [&str; 3] = ["bpf/relay.bpf.c", "bpf/layout.h", "bpf/helpers.h"];

fn main() {
    println!("cargo::rustc-check-cfg=cfg(has_program)");
    println!("cargo::rerun-if-env-changed=CLANG");
    println!("cargo::rerun-if-env-changed=PATH");
    SOURCES.iter().for_each(|source| println!("cargo::rerun-if-changed={source}"));
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".into());
    let object = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it")).join("relay.bpf.o");
    match compile(&clang, &object) {
        Ok(()) => println!("cargo::rustc-cfg=has_program"),
        Err(reason) => println!("cargo::warning=the in-kernel path is left out of this build: {reason}"),
    }
}

fn compile(clang: &str, object: &Path) -> Result<(), String> {
    let architecture = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets it");
    let output = Command::new(clang)
        .args(["-O2", "-g", "-Wall", "-Wno-pass-failed", "-target", "bpf", "-mcpu=v3"])
        // headers are octets, and added up and moved by words
        .arg("-fno-strict-aliasing")
        // Debian keeps asm/types.h where only compilers for the machine itself look
        .arg(format!("-I/usr/include/{architecture}-linux-gnu"))
        .args(["-c", SOURCES[0], "-o"])
        .arg(object)
        .output()
        .map_err(|error| format!("{clang} could not be run ({error})"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(text.lines().find(|line| line.contains("error")).unwrap_or("clang failed").to_owned())
}
