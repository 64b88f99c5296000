//! What all tests need: an image, and one machine that they share.
#![allow(dead_code)]

use std::path::PathBuf;
use std::process::{Command, Output};

use microsandbox::{Sandbox, SandboxBuilder};
use tokio::sync::OnceCell;

/// The test image: busybox.
pub fn image() -> String {
    std::env::var("MSB_TEST_IMAGE").expect("MSB_TEST_IMAGE: tests/sdk/test_rust.py sets it")
}

/// A name that no other test process has.
pub fn name(what: &str) -> String {
    format!("rs-{what}-{}", std::process::id())
}

pub fn small(b: SandboxBuilder) -> SandboxBuilder {
    b.image(image()).memory(128)
}

pub async fn unnamed() -> Sandbox {
    small(Sandbox::builder_unnamed()).create().await.unwrap()
}

static SHARED: OnceCell<Sandbox> = OnceCell::const_new();

/// One machine for all tests of a file. It ends with the process.
pub async fn shared() -> Sandbox {
    SHARED.get_or_init(unnamed).await.clone()
}

/// A folder of this test's own.
pub fn folder(what: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(name(what));
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// Run one test of this file, which is ignored by itself, in a process of its own.
pub fn child(test: &str, env: &[(&str, &str)]) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"])
        .envs(env.iter().copied())
        .output()
        .unwrap()
}

/// The child's output, when it went well.
pub fn child_ok(test: &str, env: &[(&str, &str)]) -> String {
    let out = child(test, env);
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let err = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{test}: {:?}\n{text}\n{err}", out.status);
    assert!(text.contains("1 passed"), "{test} is no test\n{text}");
    text
}

/// Whether a process runs: one that has ended, and that nobody has asked about yet, does not.
pub fn alive(pid: i64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

/// Wait until `f` says so, 60 s at most.
pub async fn soon(what: &str, mut f: impl FnMut() -> bool) {
    for _ in 0..1200 {
        if f() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("not in time: {what}");
}
