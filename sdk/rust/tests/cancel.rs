//! Futures that are dropped.

mod common;

use std::future::Future;
use std::io::Write;
use std::time::{Duration, Instant};

use common::{child_ok, image, name, shared, small, soon, unnamed};
use microsandbox::{ExecEvent, Image, LogOptions, Sandbox};

/// Poll it for a while, then drop it.
async fn drop_after<T>(ms: u64, f: impl Future<Output = T>) {
    assert!(tokio::time::timeout(Duration::from_millis(ms), f).await.is_err(), "it was quick");
}

async fn runs(sb: &Sandbox, what: &str) -> bool {
    let out = sb.exec("ps", ["-o", "args"]).await.unwrap();
    out.stdout().unwrap().lines().any(|l| l == what)
}

async fn ends(sb: &Sandbox, what: &str) {
    let begin = Instant::now();
    while runs(sb, what).await {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what} runs on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_command() {
    let sb = shared().await;
    drop_after(700, sb.exec("sleep", ["1111"])).await;
    ends(&sb, "sleep 1111").await;
    let task = tokio::spawn({
        let sb = sb.clone();
        async move { sb.exec("sleep", ["1112"]).await }
    });
    while !runs(&sb, "sleep 1112").await {}
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    ends(&sb, "sleep 1112").await;
}

#[tokio::test]
async fn a_stream() {
    let sb = shared().await;
    let mut x = sb.exec_stream("sleep", ["2222"]).await.unwrap();
    assert!(matches!(x.recv().await, Some(ExecEvent::Started { .. })));
    // What is dropped here is only the wait.
    drop_after(100, x.recv()).await;
    drop_after(100, x.wait()).await;
    assert!(runs(&sb, "sleep 2222").await);
    drop(x);
    ends(&sb, "sleep 2222").await;
    // The last one that knows of it does not keep it.
    let mut x = sb.exec_stream_with("sleep", |e| e.arg("2223").stdin_pipe()).await.unwrap();
    let (_stdin, _control) = (x.take_stdin(), x.control());
    x.recv().await;
    drop(x);
    ends(&sb, "sleep 2223").await;
}

#[tokio::test]
async fn a_creation() {
    let begin = Instant::now();
    drop(unnamed().await);
    let whole = begin.elapsed(); // of one on this host, now; the next one may be much quicker
    let mut cut = 0;
    // At all moments: before, while and after the machine is started.
    for percent in [0, 1, 2, 5, 10, 30, 60, 90] {
        let n = name(&format!("cancelled-{percent}"));
        let create = small(Sandbox::builder(&n)).create();
        if let Ok(made) = tokio::time::timeout(whole * percent / 100, create).await {
            drop(made.unwrap());
            Sandbox::get(&n).await.unwrap().destroy().await.unwrap();
            continue;
        }
        cut += 1;
        let begin = Instant::now();
        loop {
            let left = Sandbox::get(&n).await;
            let free = left.as_ref().err().is_some_and(|e| e.is_not_found());
            // It may not have begun when we looked first.
            if free && begin.elapsed() > Duration::from_millis(1500) {
                break;
            }
            assert!(begin.elapsed() < Duration::from_secs(60), "{percent}: {left:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    assert!(cut >= 4, "{cut} were cut, of creations of {whole:?}");
    let n = name("cancelled-record");
    drop_after(0, small(Sandbox::builder(&n)).create_stopped()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(Sandbox::get(&n).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn waits() {
    let sb = shared().await;
    drop_after(100, sb.wait()).await;
    let mut logs = sb.log_stream(&LogOptions::default()).await.unwrap();
    let end = tokio::time::timeout(Duration::from_millis(300), async {
        while logs.recv().await.is_some() {}
    });
    assert!(end.await.is_err());
    drop(logs);
    assert!(sb.exec("true", []).await.unwrap().success());
}

#[test]
fn a_pull() {
    // In a process of its own: it counts threads.
    child_ok("child_a_pull", &[]);
}

#[tokio::test]
#[ignore = "a child of a_pull"]
async fn child_a_pull() {
    // A registry that says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let begin = Instant::now();
    drop_after(500, Image::pull_with(format!("{address}/a/b"), |p| p.insecure())).await;
    // It never answers.
    assert!(begin.elapsed() < Duration::from_secs(15));
    // The pool's thread is free again.
    let before = threads();
    for _ in 0..5 {
        drop_after(100, Image::pull_with(format!("{address}/a/b"), |p| p.insecure())).await;
    }
    soon("the threads are free again", || threads() <= before + 2).await;
    assert!(Image::pull(image()).await.is_ok());
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[tokio::test]
async fn files() {
    let sb = shared().await;
    let fs = sb.fs();
    drop_after(0, fs.read("/bin/busybox")).await;
    let (r, mut w) = std::io::pipe().unwrap();
    w.write_all(b"no end").unwrap();
    let r: std::os::fd::OwnedFd = r.into();
    drop_after(300, fs.unpack_tar(r, "/tmp", |c| c)).await;
    drop(w);
    assert!(fs.exists("/tmp").await.unwrap());
}
